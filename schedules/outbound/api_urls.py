"""Addresses of subscriptions and deliveries below /api/v1/."""

from __future__ import annotations

from django.urls import path

from schedules.outbound import api, replays_api

app_name = "outbound_api"
urlpatterns = [
    path("api/v1/subscriptions/", api.Subscriptions.as_view(), name="subscriptions"),
    path("api/v1/subscriptions/preview/", api.PreviewSubscription.as_view(), name="preview"),
    path("api/v1/subscriptions/<int:subscription_id>/", api.OneSubscription.as_view(), name="subscription"),
    path("api/v1/subscriptions/<int:subscription_id>/pause/", api.PauseSubscription.as_view(), name="pause"),
    path("api/v1/subscriptions/<int:subscription_id>/resume/", api.ResumeSubscription.as_view(), name="resume"),
    path("api/v1/subscriptions/<int:subscription_id>/test/", api.TestSubscription.as_view(), name="test"),
    path("api/v1/subscriptions/<int:subscription_id>/replay/", replays_api.OneReplay.as_view(), name="replay"),
    path("api/v1/subscriptions/<int:subscription_id>/replay/count/", replays_api.CountReplay.as_view(), name="count"),
    path("api/v1/deliveries/", api.Deliveries.as_view(), name="deliveries"),
    path("api/v1/deliveries/send_again/", api.SendAgain.as_view(), name="send_again"),
    path("api/v1/deliveries/<uuid:event_id>-<int:subscription_id>/", api.OneDelivery.as_view(), name="delivery"),
]
