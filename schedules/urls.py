"""Addresses of schedules."""

from __future__ import annotations

from django.urls import path

from schedules import again_views, chosen_views, ledger_views, plan_views, schedule_views, upload_views, views
from schedules.editing import views as editing

app_name = "schedules"
urlpatterns = [
    path("", views.list_schedules, name="list"),
    path("upload/", upload_views.upload, name="upload"),
    path("upload/<str:token>/", upload_views.upload_file, name="upload_file"),
    path("chosen/", chosen_views.act_on_schedules, name="chosen"),
    path("times/", editing.show_times, name="times"),
    path("new/<slug:direction>/", editing.choose_app, name="choose_app"),
    path("new/<slug:direction>/<int:app_id>/", editing.create, name="create"),
    path("<int:schedule_id>/", schedule_views.show_schedule, name="show"),
    path("<int:schedule_id>/edit/", editing.edit, name="edit"),
    path("<int:schedule_id>/run/", schedule_views.run_now, name="run"),
    path("<int:schedule_id>/dry-run/", plan_views.dry_run, name="dry_run"),
    path("<int:schedule_id>/people/", ledger_views.show_ledger, name="ledger"),
    path("<int:schedule_id>/people/again/", ledger_views.send_chosen_again, name="chosen_again"),
    path("<int:schedule_id>/again/", again_views.send_again, name="again"),
    path("<int:schedule_id>/again/<uuid:guid>/", again_views.send_person_again, name="person_again"),
    path("<int:schedule_id>/switch/", schedule_views.switch, name="switch"),
    path("<int:schedule_id>/resume/", schedule_views.resume, name="resume"),
    path("<int:schedule_id>/delete/", schedule_views.delete, name="delete"),
    path("of-profile/<uuid:guid>/", views.show_exports_of_profile, name="of_profile"),
    path("sent/<uuid:guid>/", again_views.show_sent, name="sent"),
    path("of-group/<int:group_id>/", views.show_exports_of_group, name="of_group"),
    path("of-app/<int:app_id>/", views.show_schedules_of_app, name="of_app"),
]
