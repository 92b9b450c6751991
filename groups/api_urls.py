"""Addresses of groups below /api/v1/."""

from __future__ import annotations

from django.urls import path

from groups import api, tools_api

app_name = "groups_api"
urlpatterns = [
    path("api/v1/groups/", api.Groups.as_view(), name="groups"),
    path("api/v1/groups/count/", api.CountRules.as_view(), name="count"),
    path("api/v1/groups/operators/", api.Operators.as_view(), name="operators"),
    path("api/v1/groups/overlap/", tools_api.OverlapOfGroups.as_view(), name="overlap"),
    path("api/v1/groups/by_value/", tools_api.GroupsOfValues.as_view(), name="by_value"),
    path("api/v1/groups/<int:group_id>/", api.OneGroup.as_view(), name="group"),
    path("api/v1/groups/<int:group_id>/recalculate/", api.Recalculate.as_view(), name="recalculate"),
    path("api/v1/groups/<int:group_id>/members/", api.Members.as_view(), name="members"),
    path("api/v1/groups/<int:group_id>/members/add/", api.AddMembers.as_view(), name="add_members"),
    path("api/v1/groups/<int:group_id>/members/remove/", api.RemoveMembers.as_view(), name="remove_members"),
    path("api/v1/groups/<int:group_id>/members/list/", tools_api.MembersFromList.as_view(), name="members_list"),
    path("api/v1/groups/<int:group_id>/members/csv/", tools_api.MembersAsCsv.as_view(), name="members_csv"),
    path("api/v1/groups/<int:group_id>/copy/", tools_api.CopyOfGroup.as_view(), name="copy"),
    path("api/v1/groups/<int:group_id>/used_by/", tools_api.UsersOfGroup.as_view(), name="used_by"),
    path("api/v1/groups/<int:group_id>/breakdown/", tools_api.BreakdownOfGroup.as_view(), name="breakdown"),
    path("api/v1/groups/<int:group_id>/log/", api.MembershipLog.as_view(), name="log"),
]
