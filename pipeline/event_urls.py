"""Addresses of events: the list is a page of `events`, one event's page needs groups too."""

from __future__ import annotations

from django.urls import path

from events.views import list_events, replay_events, show_progress
from pipeline.event_views import show_event

app_name = "events"
urlpatterns = [
    path("", list_events, name="list"),
    path("replay/", replay_events, name="replay"),
    path("progress/", show_progress, name="progress"),
    path("<uuid:event_id>/", show_event, name="show"),
]
