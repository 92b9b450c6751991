"""`isolation`: the N members of a group to a PostgreSQL table, alone, and beside a dead and a slow destination.

All three are exported at once by the processes of one sender, as a small installation has them. The dead one accepts
connections and never answers, the slow one takes a second for each request. The limit is the time of the healthy one
alone in the same run; median of three each.
"""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from django.conf import settings
from django.db import connection

from apps_connectors import apps_store
from apps_connectors.models import AppSlot
from benchmarks.export import make_export, make_members, make_table
from benchmarks.harness import Report, connect_to, largest_worker_mb, other_database, run_sql, wait_for, workers
from benchmarks.pipeline import finish_run
from core.accounts.actors import SYSTEM
from groups.models import Group
from schedules import again, runs, schedules_store
from schedules.again import Selection
from schedules.ledger import owing
from schedules.models import Run, Schedule
from schedules.schedules_store import ScheduleData

TIMES = 3
_LEAST_SHARE = 0.95
_SECRET = "whsec_Z3JvdXBhcm9vLWJlbmNoLXNpZ24td2l0aC10aGlz"


def run(profiles: int) -> Report:
    """Run it; the report's seconds are those of the healthy destination beside the two bad ones."""
    with other_database("out") as out, _slow_receiver() as slow, _dead_receiver() as dead:
        target = connect_to(out)
        make_table(target)
        group = make_members(profiles)
        healthy = make_export(out, group)
        bad = [_make_webhook("Slow", slow, group), _make_webhook("Dead", dead, group)]
        with workers(settings.SENDER_PROCESSES):
            finish_run(healthy, within=profiles / 100 + 120)
            alone = [_send_everything(healthy, profiles) for _ in range(TIMES)]
            unfinished = [runs.start_run(each.pk, trigger="bench", actor=SYSTEM) for each in bad]
            wait_for(lambda: _held_slots(bad) == len(bad), what="both bad ones to be called", within=60)
            watch = _Watch([each.app_id for each in bad])
            with watch:
                beside = [_send_everything(healthy, profiles) for _ in range(TIMES)]
            for each in unfinished:
                runs.stop_run(each.pk, actor=SYSTEM)
        quick, seconds = statistics.median(alone), statistics.median(beside)
        report = Report("isolation", profiles, seconds, quick, largest_worker_mb())
        report.detail = {
            "alone_seconds": [round(each, 2) for each in alone],
            "beside_seconds": [round(each, 2) for each in beside],
            "share_of_speed": round(quick / seconds, 3),
            "most_calls_to_a_bad_one": watch.most,
            "sent_to_the_slow_one": owing.count_held(bad[0].pk),
        }
        share = quick / seconds
        report.check(share >= _LEAST_SHARE, f"{share:.1%} of the speed alone, wanted {_LEAST_SHARE:.0%}")
        report.check(watch.most == 1, f"a bad destination held {watch.most} slots")
        [(there,)] = run_sql(target, "select count(*) from people")
        report.check(there == profiles, f"{there} people arrived, {profiles} were sent")
        target.close()
        connection.close()
    return report


def _send_everything(schedule: Schedule, profiles: int) -> float:
    """Everyone is compared and written anew, by one run; its seconds."""
    run = again.start(schedule.pk, Selection(everything=True), actor=SYSTEM)
    wait_for(lambda: _is_finished(run), what="the run to end", within=profiles / 100 + 120, every=0.02)
    run.refresh_from_db()
    if run.counters.get("sent") != profiles or run.started_at is None or run.finished_at is None:
        raise RuntimeError(f"run {run.pk} ended {run.state} with {run.counters}: {run.error}")
    return (run.finished_at - run.started_at).total_seconds()


def _is_finished(run: Run) -> bool:
    return Run.objects.values_list("state", flat=True).get(pk=run.pk) not in runs.UNFINISHED


def _make_webhook(name: str, url: str, group: Group) -> Schedule:
    app = apps_store.create_app("webhook", name, {"url": url, "secret": _SECRET, "timeout": 20}, actor=SYSTEM)
    return schedules_store.create_schedule(
        ScheduleData(
            direction="export",
            name=name,
            app_id=app.pk,
            options={"key_field": "id"},
            fields={"id": "user_id", "email": "email"},
            groups={group.pk: group.name},
        ),
        actor=SYSTEM,
    )


def _held_slots(schedules: list[Schedule]) -> int:
    apps = [schedule.app_id for schedule in schedules]
    return AppSlot.objects.filter(app_id__in=apps, token__isnull=False).values("app_id").distinct().count()


class _Watch:
    """Looks how many calls to one App are under way at a time, in a thread of its own."""

    def __init__(self, apps: list[int]) -> None:
        self.most = 0
        self._apps = apps
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.1):
            for app in self._apps:
                self.most = max(self.most, AppSlot.objects.filter(app_id=app, token__isnull=False).count())
        connection.close()


@contextmanager
def _slow_receiver() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(1.0)  # what this receiver is for
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _dead_receiver() -> Iterator[str]:
    """Connections are taken by the kernel, and nobody ever reads them."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
