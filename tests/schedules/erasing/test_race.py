"""Real workers, and events of the person that arrive all the while; one of the workers is killed on the way."""

from __future__ import annotations

import csv
import os
import signal
import threading
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from apps_connectors import apps_store
from core.accounts.actors import SYSTEM
from core.work import partitions
from events.inbox import FateKind, accept
from events.models import Inbox
from groups.groups_store import create_group
from profiles.models import Profile, ProfileIdentity
from schedules import schedules_store
from schedules.erasing import erasures
from schedules.schedules_store import ScheduleData
from tests.everywhere import find_everywhere
from tests.pipeline.people import rule
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
ALICE = "alice.liddell@example.com"


def read_emails(folder: Path) -> set[str]:
    """Whom the files of the destination hold."""
    found: set[str] = set()
    for path in folder.glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            found |= {row["email"] for row in csv.DictReader(file)}
    return found


def keep_sending(until: threading.Event) -> list[FateKind]:
    """Events of Alice and of others, one request after the other; what became of each one of Alice."""
    fates: list[FateKind] = []
    number = 0
    try:
        while not until.wait(0.01):
            number += 1
            theirs = {"email": ALICE, "first_name": "Liddell-Wonder", "_anonymous_id": "device-of-alice", "n": number}
            sent = accept([theirs, {"email": f"person{number}@example.com"}], source_kind="api_key", source_id=1)
            fates.append(sent[0].kind)
    finally:
        connection.close()
    return fates


def test_nothing_of_what_arrives_meanwhile_stays(
    start_worker: Callable[..., int], start_beat: Callable[[], int], tmp_path: Path
) -> None:
    partitions.ensure(timezone.now())
    rule("email", "email", is_unique=True)
    rule("first_name")
    files = tmp_path / "files"
    files.mkdir()
    app = apps_store.create_app("csv", "Files", {"folder": str(files)}, actor=SYSTEM)
    fields = {"email": "email", "name": "first_name"}
    options = {"key_field": "email", "folder": "people"}
    data = ScheduleData("export", "people", app.pk, options=options, fields=fields, everyone=True, after_changes=True)
    schedule = schedules_store.create_schedule(data, actor=SYSTEM)
    create_group("VIP", kind="manual", actor=SYSTEM)
    accept([{"email": ALICE, "first_name": "Liddell-Wonder"}], source_kind="api_key", source_id=1)
    first = start_worker()
    start_beat()
    wait_until(lambda: ALICE in read_emails(files / "people"), what="Alice is exported", within=60)
    enough, fates = threading.Event(), []
    sender = threading.Thread(target=lambda: fates.extend(keep_sending(enough)))
    sender.start()
    try:
        wait_until(lambda: Profile.objects.count() > 20, what="others have come too", within=60)
        alice = ProfileIdentity.objects.get(value=ALICE).profile_id
        erasure = erasures.erase(alice, actor=SYSTEM)
        start_worker()
        os.kill(first, signal.SIGKILL)

        def is_over() -> bool:
            erasure.refresh_from_db()
            return erasure.finished_at is not None

        wait_until(is_over, what="the erasure is over", within=120)
    finally:
        enough.set()
        sender.join()
    assert {FateKind.ACCEPTED, FateKind.REJECTED} == set(fates), "some came before, some after"
    wait_until(lambda: not Inbox.objects.exists(), what="the inbox is empty", within=120)  # the lease of the killed one
    assert find_everywhere([ALICE, "Liddell-Wonder", "device-of-alice"]) == {}
    wait_until(
        lambda: (held := read_emails(files / "people")) - {ALICE} == held and len(held) > 20,
        what="the destination holds others alone",
        within=60,
    )
    assert erasure.destinations.get(schedule_id=schedule.pk).state == "removed"
    call_command("check_integrity", stdout=StringIO())
