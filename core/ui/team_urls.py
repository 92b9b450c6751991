"""Addresses of one's own account, the search, and what the team decides: people, API keys, settings, the audit log."""

from __future__ import annotations

from django.urls import include, path

from core.ui import (
    account,
    api_keys,
    audit_log,
    invitations,
    project_settings,
    search_page,
    second_factor,
    shortcuts,
    team,
)

PEOPLE = [
    path("", team.list_people, name="list"),
    path("add/", team.add_person, name="add"),
    path("<int:person_id>/", team.edit_person, name="edit"),
    path("<int:person_id>/reset-link/", team.make_reset_link, name="reset_link"),
    path("<int:person_id>/two-factor-off/", team.turn_two_factor_off, name="two_factor_off"),
    path("invite/", invitations.invite, name="invite"),
    path("invitations/<int:invitation_id>/send-again/", invitations.send_again, name="invite_again"),
    path("invitations/<int:invitation_id>/revoke/", invitations.revoke, name="revoke_invitation"),
]
SESSIONS = [
    path("end/", account.end_session, name="end"),
    path("end-others/", account.end_other_sessions, name="end_others"),
]
TWO_FACTOR = [
    path("", second_factor.show, name="show"),
    path("begin/", second_factor.begin, name="begin"),
    path("codes/", second_factor.renew_codes, name="codes"),
    path("off/", second_factor.turn_off, name="off"),
]
KEYS = [
    path("", api_keys.list_keys, name="list"),
    path("create/", api_keys.create_key, name="create"),
    path("<int:key_id>/revoke/", api_keys.revoke_key, name="revoke"),
]
SETTINGS = [
    path("", project_settings.edit_settings, name="list"),
    path("stop-sending/", project_settings.stop_sending, name="stop_sending"),
    path("start-sending/", project_settings.start_sending, name="start_sending"),
]
AUDIT = [path("", audit_log.show_log, name="list")]

urlpatterns = [
    path("account/", account.edit_account, name="account"),
    path("account/sessions/", include((SESSIONS, "sessions"))),
    path("account/two-factor/", include((TWO_FACTOR, "two_factor"))),
    path("account/shortcuts/", shortcuts.switch_shortcuts, name="shortcuts"),
    path("search/", search_page.show_found, name="search"),
    path("team/", include((PEOPLE, "team"))),
    path("api-keys/", include((KEYS, "api_keys"))),
    path("settings/", include((SETTINGS, "settings"))),
    path("audit-log/", include((AUDIT, "audit_log"))),
]
