"""Addresses of the team and of the API's own document below /api/v1/."""

from __future__ import annotations

from django.urls import path

from core.rest import api, invitations_api

app_name = "team_api"
urlpatterns = [
    path("api/v1/people/", api.People.as_view(), name="people"),
    path("api/v1/people/<int:person_id>/", api.OnePerson.as_view(), name="person"),
    path("api/v1/people/<int:person_id>/two-factor/", api.TwoFactor.as_view(), name="two_factor"),
    path("api/v1/invitations/", invitations_api.Invitations.as_view(), name="invitations"),
    path("api/v1/invitations/<int:invitation_id>/", invitations_api.OneInvitation.as_view(), name="invitation"),
    path(
        "api/v1/invitations/<int:invitation_id>/send-again/", invitations_api.SendAgain.as_view(), name="invite_again"
    ),
    path("api/v1/keys/", api.Keys.as_view(), name="keys"),
    path("api/v1/keys/<int:key_id>/", api.OneKey.as_view(), name="key"),
    path("api/v1/settings/", api.Settings.as_view(), name="settings"),
    path("api/v1/audit/", api.Audit.as_view(), name="audit"),
    path("api/v1/schema/", api.Document.as_view(), name="schema"),
    path("api/v1/docs/", api.show_docs, name="docs"),
]
