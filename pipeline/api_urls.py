"""Addresses of the doors through which events come in."""

from __future__ import annotations

from django.urls import path

from pipeline.api import Events

app_name = "events_api"
urlpatterns = [path("api/v1/events/", Events.as_view(), name="events")]
