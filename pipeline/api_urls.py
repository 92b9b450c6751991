"""Addresses of events and profiles below /api/v1/."""

from __future__ import annotations

from django.urls import path

from pipeline import api, merges_api, profiles_api

app_name = "events_api"
urlpatterns = [
    path("api/v1/events/", api.Events.as_view(), name="events"),
    path("api/v1/events/replay/", api.Replay.as_view(), name="replay"),
    path("api/v1/events/<str:name>/", api.OneEvent.as_view(), name="event"),
    path("api/v1/profiles/", profiles_api.Profiles.as_view(), name="profiles"),
    path("api/v1/profiles/<uuid:guid>/", profiles_api.OneProfile.as_view(), name="profile"),
    path("api/v1/profiles/<uuid:guid>/refresh/", profiles_api.Refresh.as_view(), name="refresh"),
    path("api/v1/profiles/<uuid:guid>/changes/", profiles_api.Changes.as_view(), name="changes"),
    path("api/v1/profiles/<uuid:guid>/events/", profiles_api.EventsOfProfile.as_view(), name="profile_events"),
    path("api/v1/profiles/<uuid:guid>/groups/", profiles_api.GroupsOfProfile.as_view(), name="profile_groups"),
    path("api/v1/profiles/<uuid:guid>/groups/<int:group_id>/", profiles_api.WhyInGroup.as_view(), name="profile_group"),
    path("api/v1/profiles/<uuid:guid>/merge/", merges_api.Merge.as_view(), name="merge"),
    path("api/v1/profiles/<uuid:guid>/merges/", merges_api.Merges.as_view(), name="merges"),
    path("api/v1/profiles/<uuid:guid>/as-of/", merges_api.AsOf.as_view(), name="as_of"),
    path("api/v1/merges/<int:merge_id>/undo/", merges_api.UndoMerge.as_view(), name="undo_merge"),
    path("api/v1/profiles/<uuid:guid>/moves/", profiles_api.MovesOfProfile.as_view(), name="profile_moves"),
]
