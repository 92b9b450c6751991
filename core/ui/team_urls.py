"""Addresses of the search, and of what the team decides: its people, API keys, settings, and the audit log."""

from __future__ import annotations

from django.urls import include, path

from core.ui import api_keys, audit_log, project_settings, search_page, shortcuts, team

PEOPLE = [
    path("", team.list_people, name="list"),
    path("add/", team.add_person, name="add"),
    path("<int:person_id>/", team.edit_person, name="edit"),
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
    path("account/", team.edit_account, name="account"),
    path("account/shortcuts/", shortcuts.switch_shortcuts, name="shortcuts"),
    path("search/", search_page.show_found, name="search"),
    path("team/", include((PEOPLE, "team"))),
    path("api-keys/", include((KEYS, "api_keys"))),
    path("settings/", include((SETTINGS, "settings"))),
    path("audit-log/", include((AUDIT, "audit_log"))),
]
