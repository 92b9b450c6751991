"""The page that shows what a run changed, and takes it back."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui import notices
from core.ui.forms import actor_of, telling
from core.ui.pages import STOP_POLLING, wants_fragment
from core.ui.wording import value_text
from pipeline.reverting import Value
from profiles import queries
from profiles.models import ProfilePropertyRule
from schedules import run_changes, runs
from schedules.models import Direction, Run


@require_GET
@role_required(Role.VIEWER)
def show_changes(request: HttpRequest, run_id: int) -> HttpResponse:
    """How many values of which properties a run wrote, and what would become of them if it were taken back.

    For htmx how far taking it back has come, until it has.
    """
    run = get_object_or_404(Run.objects.select_related("schedule"), pk=run_id, direction=Direction.IMPORT)
    if wants_fragment(request) and (work := run_changes.work_of(run)) is not None:
        if work.finished_at:
            notices.see(request.user.pk, f"revert:{run_id}")
        status = STOP_POLLING if work.finished_at else 200
        return render(request, "runs/_taken_back.html", {"run": run, "work": work}, status=status)
    shown = run_changes.preview(run)
    rules = queries.rules_in_use()
    by_key = {rule.key: rule for rule in rules}
    profiles = queries.by_ids(list({value.profile_id: None for value in shown.values}))
    people = {person.profile.pk: person for person in queries.name_people(profiles, rules)}
    context = {
        "run": run,
        "shown": shown,
        "by_key": [(by_key.get(key, key), count) for key, count in shown.by_key],
        "rows": [
            (people.get(each.profile_id), by_key.get(each.key, each.key), *_texts(by_key.get(each.key), each), each)
            for each in shown.values
        ],
        "work": run_changes.work_of(run),
        "is_finished": run.state not in runs.UNFINISHED,
    }
    return render(request, "runs/changes.html", context)


@require_POST
@role_required(Role.EDITOR)
def revert(request: HttpRequest, run_id: int) -> HttpResponse:
    """Take back what the run wrote."""
    with telling(request):
        run_changes.revert_run(run_id, actor=actor_of(request))
    return redirect("runs:changes", run_id)


def _texts(rule: ProfilePropertyRule | None, each: Value) -> tuple[str, str, str]:
    values = (each.before, each.written, each.now)
    before, written, now = (
        "" if v is None else value_text(v, rule.type, is_identity=rule.is_unique) if rule else str(v) for v in values
    )
    return before, written, now
