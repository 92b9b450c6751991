"""Addresses of schedules, runs, uploads and exports below /api/v1/."""

from __future__ import annotations

from django.urls import path

from schedules import again_api, api, first_rows_api, plan_api, run_changes_api

app_name = "schedules_api"
urlpatterns = [
    path("api/v1/schedules/", api.Schedules.as_view(), name="schedules"),
    path("api/v1/schedules/first-rows/", first_rows_api.TryFirstRows.as_view(), name="first_rows"),
    path("api/v1/schedules/<int:schedule_id>/", api.OneSchedule.as_view(), name="schedule"),
    path("api/v1/schedules/<int:schedule_id>/run/", api.RunNow.as_view(), name="run_now"),
    path("api/v1/schedules/<int:schedule_id>/dry-run/", plan_api.DryRun.as_view(), name="dry_run"),
    path("api/v1/schedules/<int:schedule_id>/send-again/", again_api.SendAgain.as_view(), name="send_again"),
    path("api/v1/schedules/<int:schedule_id>/resume/", api.ResumeSchedule.as_view(), name="resume"),
    path("api/v1/runs/", api.Runs.as_view(), name="runs"),
    path("api/v1/runs/<int:run_id>/", api.OneRun.as_view(), name="run"),
    path("api/v1/runs/<int:run_id>/stop/", api.StopRun.as_view(), name="stop_run"),
    path("api/v1/runs/<int:run_id>/retry/", api.RetryRun.as_view(), name="retry_run"),
    path("api/v1/runs/<int:run_id>/plan/", plan_api.OnePlan.as_view(), name="plan"),
    path("api/v1/runs/<int:run_id>/plan/rows/", plan_api.PlanRows.as_view(), name="plan_rows"),
    path("api/v1/runs/<int:run_id>/plan/send/", plan_api.SendPlan.as_view(), name="send_plan"),
    path("api/v1/runs/<int:run_id>/plan/discard/", plan_api.DiscardPlan.as_view(), name="discard_plan"),
    path("api/v1/runs/<int:run_id>/changes/", run_changes_api.RunChanges.as_view(), name="run_changes"),
    path("api/v1/runs/<int:run_id>/revert/", run_changes_api.RevertRun.as_view(), name="revert_run"),
    path("api/v1/uploads/", api.Uploads.as_view(), name="uploads"),
    path("api/v1/profiles/<uuid:guid>/exports/", api.ExportsOfProfile.as_view(), name="profile_exports"),
    path("api/v1/profiles/<uuid:guid>/sent/", again_api.SentOfProfile.as_view(), name="profile_sent"),
]
