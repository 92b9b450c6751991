"""Addresses of property rules below /api/v1/."""

from __future__ import annotations

from django.urls import path

from profiles import api, from_table_api

app_name = "rules_api"
urlpatterns = [
    path("api/v1/rules/", api.Rules.as_view(), name="rules"),
    path("api/v1/rules/try/", api.TryRule.as_view(), name="try_rule"),
    path("api/v1/rules/from-table/guess/", from_table_api.GuessFromTable.as_view(), name="guess_from_table"),
    path("api/v1/rules/from-table/", from_table_api.MakeFromTable.as_view(), name="make_from_table"),
    path("api/v1/rules/<str:key>/unique/", from_table_api.SimulateUnique.as_view(), name="simulate_unique"),
    path("api/v1/rules/<str:key>/", api.OneRule.as_view(), name="rule"),
    path("api/v1/rules/<str:key>/resume/", api.ResumeRule.as_view(), name="resume_rule"),
    path("api/v1/rules/<str:key>/coverage/", api.Coverage.as_view(), name="coverage"),
]
