"""Quiet notices: what someone started has ended, and they hear of it on whatever page they are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from core.accounts.actors import Actor
from core.accounts.models import User
from core.ui import notices
from core.ui.models import Notice
from core.ui.notices import News
from core.work import leases
from core.work.leases import LostLease
from core.work.models import Work
from groups import recalculation
from groups.groups_store import delete_group, recalculate_group
from groups.models import Group, GroupMember
from schedules import runs
from schedules.models import Run, RunState, ScheduleGroup
from tests.ui.shop import Shop, make_user
from tests.ui.test_pages import read


@pytest.fixture
def alice(db: None) -> User:
    return make_user()


def start(shop: Shop, alice: User) -> leases.Lease:
    """A run that Alice started, in a worker's hands."""
    Run.objects.filter(state__in=runs.UNFINISHED).update(state=RunState.COMPLETE)
    run = runs.start_run(shop.schedules["users"].pk, trigger=Actor.person(alice).cause, actor=Actor.person(alice))
    lease = leases.claim("import", subject=str(run.pk))
    assert lease is not None
    return lease


@pytest.mark.parametrize(
    ("state", "error", "said"),
    [
        (RunState.COMPLETE, "", "is complete"),
        (RunState.FAILED, "The server refused the password.", "The server refused the password."),
        (RunState.STOPPED, "The guard stopped it: 60 % would be removed.", "60 % would be removed"),
    ],
)
def test_whoever_started_a_run_hears_how_it_ended(
    client: Client, shop: Shop, alice: User, state: RunState, error: str, said: str
) -> None:
    runs.finish(start(shop, alice), state=state, error=error)
    client.force_login(alice)
    text = read(client.get("/groups/"))
    assert "Dismiss" in text
    assert said in text
    client.force_login(make_user(email="bob@example.com"))
    assert "Dismiss" not in read(client.get("/groups/"))


def test_who_stopped_it_themselves_and_what_a_schedule_started_tell_nobody(shop: Shop, alice: User) -> None:
    runs.finish(start(shop, alice), state=RunState.STOPPED)
    lease = start(shop, alice)
    Run.objects.filter(pk=int(lease.subject)).update(trigger="schedule")
    runs.finish(lease, state=RunState.COMPLETE)
    assert not Notice.objects.exists()


def test_a_worker_that_lost_its_lease_tells_nothing(shop: Shop, alice: User) -> None:
    lease = start(shop, alice)
    Work.objects.filter(pk=lease.work_id).update(lease_until=timezone.now() - timedelta(seconds=1))
    other = leases.claim("import", subject=lease.subject)
    assert other is not None
    with pytest.raises(LostLease), transaction.atomic():
        runs.finish(lease, state=RunState.COMPLETE)
    assert not Notice.objects.exists()
    runs.finish(other, state=RunState.COMPLETE)
    assert Notice.objects.count() == 1


def test_looking_at_the_run_is_having_seen_it(client: Client, shop: Shop, alice: User) -> None:
    lease = start(shop, alice)
    runs.finish(lease, state=RunState.COMPLETE)
    client.force_login(alice)
    assert "Dismiss" not in read(client.get(f"/runs/{lease.subject}/"))
    assert not Notice.objects.exists()


def test_one_is_put_away_by_its_person_alone(client: Client, shop: Shop, alice: User, fragment: dict[str, Any]) -> None:
    runs.finish(start(shop, alice), state=RunState.COMPLETE)
    [notice] = Notice.objects.all()
    client.force_login(make_user(email="bob@example.com"))
    client.post(f"/notices/{notice.pk}/dismiss/")
    assert Notice.objects.exists()
    client.force_login(alice)
    assert "is complete" in read(client.get("/notices/"))
    assert client.post(f"/notices/{notice.pk}/dismiss/", **fragment).content.strip() == b""
    assert not Notice.objects.exists()


def test_pages_ask_for_notices_only_while_something_goes_on(
    client: Client, shop: Shop, alice: User, fragment: dict[str, Any]
) -> None:
    client.force_login(alice)
    assert 'hx-get="/notices/"' not in client.get("/groups/").content.decode()
    lease = start(shop, alice)
    assert 'hx-get="/notices/"' in client.get("/groups/").content.decode()
    assert client.get("/notices/", **fragment).status_code == 200
    runs.finish(lease, state=RunState.FAILED, error="Away.")
    response = client.get("/notices/", **fragment)
    assert response.status_code == 286
    assert "Away." in read(response)


def test_notices_do_not_pile_up(alice: User) -> None:
    for number in range(notices.MOST + 5):
        notices.tell(f"person:{alice.pk}", f"run:{number}", News("ok", "Done", "/runs/"))
    notices.tell(f"person:{alice.pk}", "run:24", News("ok", "Done again", "/runs/"))
    notices.tell("person:987654", "run:1", News("ok", "Of nobody", "/runs/"))
    notices.forget(older_than=timedelta(days=1))
    kept = set(Notice.objects.values_list("subject", flat=True))
    assert kept == {f"run:{number}" for number in range(5, notices.MOST + 5)}
    assert len(notices.unread(alice.pk)) == notices.SHOWN
    notices.forget(older_than=timedelta())
    assert not Notice.objects.exists()


def calculate() -> None:
    """What a worker does."""
    while recalculation.is_due():
        recalculation.recalculate_some()


def told_to(person: User) -> list[str]:
    return [f"{notice.title} {notice.text}" for notice in notices.unread(person.pk)]


def test_everyone_who_asked_for_a_recalculation_hears_when_all_members_are_found(
    client: Client, shop: Shop, alice: User, fragment: dict[str, Any]
) -> None:
    bob = make_user(email="bob@example.com")
    group = shop.groups["USA customers"]
    recalculate_group(group.pk, actor=Actor.person(alice))
    assert recalculation.recalculate_some()  # it is under way
    recalculate_group(group.pk, actor=Actor.person(bob))
    client.force_login(bob)
    assert 'hx-get="/notices/"' in client.get("/apps/").content.decode()
    assert client.get("/notices/", **fragment).status_code == 200
    client.post("/notices/dismiss/")  # what is promised stays
    calculate()
    size = GroupMember.objects.filter(group=group).count()
    assert told_to(alice) == told_to(bob) == [f"All members of “USA customers” are found {size}\u00a0people."]
    assert "All members of “USA customers” are found" in read(client.get("/apps/"))
    assert client.get("/notices/", **fragment).status_code == 286
    client.get(f"/groups/{group.pk}/")
    assert (told_to(alice), told_to(bob)) == ([told_to(alice)[0]], [])


def test_who_watches_a_recalculation_end_needs_no_notice(client: Client, shop: Shop, alice: User) -> None:
    group = shop.groups["USA customers"]
    client.force_login(alice)
    recalculate_group(group.pk, actor=Actor.person(alice))
    assert client.get(f"/groups/{group.pk}/progress/").status_code == 200
    calculate()
    assert client.get(f"/groups/{group.pk}/progress/").status_code == 286
    assert told_to(alice) == []


def test_a_recalculation_that_fails_is_told_with_its_reason_and_a_deleted_group_is_no_news(
    shop: Shop, alice: User
) -> None:
    group = shop.groups["USA customers"]
    recalculate_group(group.pk, actor=Actor.person(alice))
    Group.objects.filter(pk=group.pk).update(rules={"match": "all", "rules": [{"property": "gone"}]})
    calculate()
    [said] = told_to(alice)
    assert said.startswith("“USA customers” could not be calculated ")
    assert len(said) > len("“USA customers” could not be calculated ")
    recalculate_group(shop.groups["Lapsed customers"].pk, actor=Actor.person(alice))
    ScheduleGroup.objects.all().delete()
    delete_group(shop.groups["Lapsed customers"].pk, actor=Actor.person(alice))
    delete_group(group.pk, actor=Actor.person(alice))
    calculate()
    assert not Notice.objects.exists()


def test_a_ghost_of_a_recalculation_tells_nothing(shop: Shop, alice: User) -> None:
    recalculate_group(shop.groups["USA customers"].pk, actor=Actor.person(alice))
    lease = leases.claim(recalculation.KIND)
    assert lease is not None
    Work.objects.filter(pk=lease.work_id).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert leases.claim(recalculation.KIND) is not None
    with pytest.raises(LostLease):
        recalculation._step(lease)
    assert told_to(alice) == []
    assert notices.awaits(alice.pk)
