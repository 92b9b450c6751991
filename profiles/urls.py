"""Addresses of property rules."""

from __future__ import annotations

from django.urls import path

from profiles import from_table_views, views

app_name = "properties"
urlpatterns = [
    path("", views.list_rules, name="list"),
    path("new/", views.create_rule, name="create"),
    path("from-table/", from_table_views.make_rules, name="from_table"),
    path("progress/", views.show_progress, name="progress"),
    path("of-app/<int:app_id>/", views.show_rules_of_app, name="of_app"),
    path("<int:rule_id>/", views.show_rule, name="show"),
    path("<int:rule_id>/unique/", from_table_views.show_simulation, name="simulate"),
    path("<int:rule_id>/edit/", views.edit_rule, name="edit"),
    path("<int:rule_id>/resume/", views.resume_rule, name="resume"),
    path("<int:rule_id>/delete/", views.delete_rule, name="delete"),
]
