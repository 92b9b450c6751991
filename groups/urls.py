"""Addresses of groups."""

from __future__ import annotations

from django.urls import path

from groups import chosen_views, editing, tools_views, views

app_name = "groups"
urlpatterns = [
    path("", views.list_groups, name="list"),
    path("new/", editing.create_calculated, name="create"),
    path("count/", editing.count_draft, name="count"),
    path("new/manual/", editing.create_manual, name="create_manual"),
    path("new/by_value/", tools_views.make_by_value, name="by_value"),
    path("overlap/", tools_views.show_overlap, name="overlap"),
    path("chosen/", chosen_views.act_on_chosen, name="chosen"),
    path("chosen/delete/", chosen_views.delete_chosen, name="delete_chosen"),
    path("<int:group_id>/copy/", tools_views.copy_group, name="copy"),
    path("<int:group_id>/members.csv", tools_views.download_members, name="download"),
    path("<int:group_id>/breakdown/", tools_views.show_breakdown, name="breakdown"),
    path("<int:group_id>/", views.show_group, name="show"),
    path("<int:group_id>/users/", views.show_users, name="users"),
    path("<int:group_id>/log/", views.show_log, name="log"),
    path("<int:group_id>/progress/", views.show_progress, name="progress"),
    path("<int:group_id>/edit/", editing.edit_group, name="edit"),
    path("<int:group_id>/delete/", editing.delete_group, name="delete"),
    path("<int:group_id>/recalculate/", editing.recalculate, name="recalculate"),
    path("<int:group_id>/people/", editing.add_list, name="people"),
    path("<int:group_id>/add/", editing.add_one, name="add"),
    path("<int:group_id>/remove/", editing.remove_chosen, name="remove"),
]
