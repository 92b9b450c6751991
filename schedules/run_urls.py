"""Addresses of runs."""

from __future__ import annotations

from django.urls import path

from schedules import chosen_views, plan_views, run_changes_views, schedule_views, upload_views, views

app_name = "runs"
urlpatterns = [
    path("", views.list_runs, name="list"),
    path("chosen/", chosen_views.act_on_runs, name="chosen"),
    path("<int:run_id>/", views.show_run, name="show"),
    path("<int:run_id>/changes/", run_changes_views.show_changes, name="changes"),
    path("<int:run_id>/revert/", run_changes_views.revert, name="revert"),
    path("<int:run_id>/plan/", plan_views.show_plan, name="plan"),
    path("<int:run_id>/plan.csv", plan_views.download_plan, name="download_plan"),
    path("<int:run_id>/plan/send/", plan_views.send_plan, name="send_plan"),
    path("<int:run_id>/plan/discard/", plan_views.discard_plan, name="discard_plan"),
    path("<int:run_id>/stop/", schedule_views.stop_run, name="stop"),
    path("<int:run_id>/retry/", schedule_views.retry_run, name="retry"),
    path("<int:run_id>/rejected.csv", upload_views.download_rejects, name="rejected"),
]
