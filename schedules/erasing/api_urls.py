"""Addresses of erasures below /api/v1/."""

from __future__ import annotations

from django.urls import path

from schedules.erasing import api

app_name = "erasures_api"
urlpatterns = [
    path("api/v1/erasures/", api.Erasures.as_view(), name="erasures"),
    path("api/v1/erasures/<int:erasure_id>/", api.OneErasure.as_view(), name="erasure"),
    path(
        "api/v1/erasures/<int:erasure_id>/destinations/<int:destination_id>/by-hand/",
        api.ErasureByHand.as_view(),
        name="by_hand",
    ),
    path("api/v1/profiles/<uuid:guid>/erasure-preview/", api.ErasurePreview.as_view(), name="preview"),
    path("api/v1/profiles/<uuid:guid>/everything/", api.PersonAsFile.as_view(), name="person"),
]
