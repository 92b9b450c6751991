"""Addresses of property rules below /api/v1/."""

from __future__ import annotations

from django.urls import path

from profiles import api

app_name = "rules_api"
urlpatterns = [
    path("api/v1/rules/", api.Rules.as_view(), name="rules"),
    path("api/v1/rules/try/", api.TryRule.as_view(), name="try_rule"),
    path("api/v1/rules/<str:key>/", api.OneRule.as_view(), name="rule"),
    path("api/v1/rules/<str:key>/resume/", api.ResumeRule.as_view(), name="resume_rule"),
    path("api/v1/rules/<str:key>/coverage/", api.Coverage.as_view(), name="coverage"),
]
