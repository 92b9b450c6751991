"""Addresses of people."""

from __future__ import annotations

from django.urls import path

from pipeline import views

app_name = "profiles"
urlpatterns = [
    path("", views.list_profiles, name="list"),
    path("<uuid:guid>/", views.show_profile, name="show"),
    path("<uuid:guid>/changes/", views.show_changes, name="changes"),
]
