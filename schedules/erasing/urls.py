"""Addresses of erasures, and of everything that is held about a person."""

from __future__ import annotations

from django.urls import path

from schedules.erasing import views

app_name = "erasures"
urlpatterns = [
    path("", views.list_erasures, name="list"),
    path("<int:erasure_id>/", views.show_erasure, name="show"),
    path("<int:erasure_id>/by-hand/<int:destination_id>/", views.mark_by_hand, name="by_hand"),
    path("of-profile/<uuid:guid>/", views.show_of_profile, name="of_profile"),
    path("new/<uuid:guid>/", views.erase, name="new"),
    path("person/<uuid:guid>.json", views.download_person, name="person"),
]
