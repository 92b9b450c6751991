"""Addresses of webhooks that come in: the door for tools, the pages for people."""

from __future__ import annotations

from django.urls import path

from events import hook_door, hook_views, hooks_api

app_name = "hooks"
urlpatterns = [
    path("hooks/<int:app_id>/<str:secret>", hook_door.take_hook, name="door"),
    path("api/v1/apps/<int:app_id>/hook/", hooks_api.OneHook.as_view(), name="api"),
    path("apps/<int:app_id>/hook/", hook_views.edit_hook, name="edit"),
    path("apps/<int:app_id>/hook/create/", hook_views.create_hook, name="create"),
    path("apps/<int:app_id>/hook/calls/", hook_views.show_calls, name="calls"),
    path("apps/<int:app_id>/hook/listen/", hook_views.listen, name="listen"),
    path("apps/<int:app_id>/hook/renew/", hook_views.renew_address, name="renew"),
    path("apps/<int:app_id>/hook/delete/", hook_views.delete_hook, name="delete"),
    path("apps/<int:app_id>/hook/of-app/", hook_views.of_app, name="of_app"),
]
