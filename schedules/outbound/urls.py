"""Addresses of the pages of outbound events."""

from __future__ import annotations

from django.urls import path

from schedules.outbound import delivery_views, editing, replay_views, views

app_name = "subscriptions"
urlpatterns = [
    path("", views.list_subscriptions, name="list"),
    path("new/", editing.choose_app, name="choose_app"),
    path("new/<int:app_id>/", editing.create, name="create"),
    path("<int:subscription_id>/", views.show_subscription, name="show"),
    path("<int:subscription_id>/edit/", editing.edit, name="edit"),
    path("<int:subscription_id>/json/", views.show_preview, name="preview"),
    path("<int:subscription_id>/test/", views.send_test_event, name="test"),
    path("<int:subscription_id>/pause/", views.pause, name="pause"),
    path("<int:subscription_id>/resume/", views.resume, name="resume"),
    path("<int:subscription_id>/skip/", views.skip, name="skip"),
    path("<int:subscription_id>/delete/", views.delete, name="delete"),
    path("<int:subscription_id>/again/", replay_views.send_again, name="replay_again"),
    path("<int:subscription_id>/past/", replay_views.send_missed, name="replay_missed"),
    path("<int:subscription_id>/replay/", replay_views.show_progress, name="replay"),
    path("<int:subscription_id>/replay/stop/", replay_views.stop, name="stop_replay"),
    path("deliveries/again/", delivery_views.send_again, name="send_again"),
    path("deliveries/<uuid:event_id>-<int:subscription_id>/", delivery_views.show_delivery, name="delivery"),
    path("of-app/<int:app_id>/", views.show_of_app, name="of_app"),
    path("of-event/<uuid:event_id>/", delivery_views.show_of_event, name="of_event"),
    path("of-profile/<uuid:guid>/", delivery_views.show_of_profile, name="of_profile"),
]
