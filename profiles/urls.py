"""Addresses of property rules."""

from __future__ import annotations

from django.urls import path

from profiles import views

app_name = "properties"
urlpatterns = [path("", views.list_rules, name="list")]
