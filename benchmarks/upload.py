"""`upload`: a CSV of N rows through the UI's own path, processed by one worker.

The file is brought to the page as a browser does, the columns are accepted as guessed, and the run is waited for. The
limit is a COPY of the same file into a table of text columns.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import setup_test_environment
from django.urls import reverse

from apps_connectors import apps_store
from benchmarks.harness import Report, largest_worker_mb, wait_for, workers
from core.accounts.actors import SYSTEM
from core.accounts.models import Role, User
from profiles.models import Profile
from profiles.rules import NewRule, create_rule
from schedules.models import Run, RunState

_LEAST = 6000
_SMALL = 50_000  # below it the wait for a worker and the run's first steps are most of the time
_MOST_MB = 300
_TYPES = {
    "email": "email",
    "first_name": "string",
    "age": "integer",
    "score": "float",
    "newsletter": "boolean",
    "signed_up": "date",
}


def run(profiles: int) -> Report:
    """Upload `profiles` rows; see the module's text."""
    app = apps_store.create_app("csv", "Files", {}, actor=SYSTEM)
    create_rule(NewRule("user_id", "integer", is_unique=True), actor=SYSTEM)
    for key, type_name in _TYPES.items():
        create_rule(NewRule(key, type_name, app=app, column_label=key), actor=SYSTEM)
    setup_test_environment()  # so that the answers say what forms the pages showed
    call_command("collectstatic", interactive=False, verbosity=0)  # pages name their styles by what stands in them
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.csv"
        _write(path, profiles)
        client = Client(headers={"host": "localhost"})
        client.force_login(User.objects.create(email="bench@example.com", role=Role.EDITOR))
        with workers(1):
            started = time.perf_counter()
            run_id = _bring(client, app.name, path)
            finished = _wait(run_id, within=profiles / 500 + 120)
            seconds = time.perf_counter() - started
        report = Report("upload", profiles, seconds, _copy_bare(path), largest_worker_mb())
    report.detail = {"counters": finished.counters, "rows_per_second": round(profiles / seconds)}
    _verify(report, profiles)
    return report


def _write(path: Path, count: int) -> None:
    with path.open("w") as file:
        file.write("user_id,email,first_name,age,score,newsletter,signed_up,note\n")
        for number in range(1, count + 1):
            day = f"2025-{1 + number % 12:02}-{1 + number % 28:02}"
            name = ("Alice", "Bob", "Charlie")[number % 3]
            file.write(f"{number},person{number}@example.com,{name},{18 + number % 70},{number % 1000 / 7:.4f},")
            file.write(f"{'yes' if number % 2 else 'no'},{day},row {number}\n")


def _bring(client: Client, app: str, path: Path) -> int:
    """Bring the file, accept what its columns are taken for: the run's id."""
    with path.open("rb") as file:
        answer: Any = client.post(reverse("schedules:upload"), {"app": app, "file": file}, follow=True)
    form = answer.context["form"]
    values = {name: form[name].value() or "" for name in form.fields}
    address = answer.redirect_chain[-1][0] if answer.redirect_chain else answer.request["PATH_INFO"]
    started = client.post(address, values)
    if started.status_code != 302:
        raise RuntimeError(f"the upload was answered with {started.status_code}: {started.content[:2000]!r}")
    return int(started["Location"].rstrip("/").rpartition("/")[2])


def _wait(run_id: int, *, within: float) -> Run:
    def is_over() -> bool:
        return Run.objects.get(pk=run_id).state not in (RunState.PENDING, RunState.RUNNING)

    wait_for(is_over, what="the upload to end", within=within)
    finished = Run.objects.get(pk=run_id)
    if finished.state != RunState.COMPLETE:
        raise RuntimeError(f"the run ended {finished.state}: {finished.error}")
    return finished


def _copy_bare(path: Path) -> float:
    with connection.cursor() as cursor, path.open() as file:
        cursor.execute(
            "create table bare (user_id text, email text, first_name text, age text, score text, newsletter text,"
            " signed_up text, note text)"
        )
        started = time.perf_counter()
        cursor.copy_expert("copy bare from stdin (format csv, header)", file)
        return time.perf_counter() - started


def _verify(report: Report, count: int) -> None:
    """Every row is a person with the values of the file."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from bare b join profile p on p.properties ->> 'user_id' = b.user_id"
            " where p.properties ->> 'email' = b.email and p.properties ->> 'age' = b.age"
            " and p.properties ->> 'first_name' = b.first_name"
            " and (p.properties ->> 'newsletter')::boolean = (b.newsletter = 'yes')"
            " and left(p.properties ->> 'signed_up', 10) = b.signed_up"
        )
        [(equal,)] = cursor.fetchall()
    report.check(equal == count, f"{equal} of {count} people hold what their row says")
    report.check(Profile.objects.count() == count, f"{Profile.objects.count()} profiles of {count} rows")
    rate = report.detail["rows_per_second"]
    if count >= _SMALL:
        report.check(rate >= _LEAST, f"{rate} rows/s, wanted at least {_LEAST}")
    memory = report.peak_rss_mb or 0
    report.check(memory < _MOST_MB, f"the largest worker had {memory:.0f} MB, wanted less than {_MOST_MB}")
