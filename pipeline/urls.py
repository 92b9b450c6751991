"""Addresses of people."""

from __future__ import annotations

from django.urls import path

from pipeline import merge_views, views, why_views

app_name = "profiles"
urlpatterns = [
    path("", views.list_profiles, name="list"),
    path("chosen/", views.act_on_chosen, name="chosen"),
    path("why/<int:group_id>/", why_views.show_why, name="why"),
    path("<uuid:guid>/", views.show_profile, name="show"),
    path("<uuid:guid>/changes/", views.show_changes, name="changes"),
    path("<uuid:guid>/refresh/", views.refresh_profile, name="refresh"),
    path("<uuid:guid>/merge/", merge_views.merge_profiles, name="merge"),
    path("<uuid:guid>/merges/", merge_views.list_merges, name="merges"),
    path("<uuid:guid>/past/", merge_views.show_past, name="past"),
    path("merges/<int:merge_id>/undo/", merge_views.undo_merge, name="undo_merge"),
    path("<uuid:guid>/join/", views.join_group, name="join"),
    path("<uuid:guid>/leave/", views.leave_group, name="leave"),
]
