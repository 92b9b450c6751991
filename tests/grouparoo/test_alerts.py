"""Alerts: a problem is told once when it begins and once when it is over, to each who is to be told, whatever dies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from core.accounts.actors import SYSTEM
from core.accounts.models import AuditEntry, Role
from core.lib.errors import InvalidInput
from core.work import leases
from core.work.models import UNFINISHED, Work
from grouparoo.alerts import recipients, sending, watching
from grouparoo.alerts.models import AlertRecipients, Incident
from profiles.models import ProfilePropertyRule
from schedules import schedules_store
from schedules.models import Run, RunState, Schedule
from tests.api.door import Program
from tests.mailserver import MailServer, run_mail_server, use
from tests.receiver import SECRET, Receiver, answer, cut, run_receiver
from tests.ui.shop import Shop, make_shop, make_user
from tests.ui.test_pages import read

pytestmark = pytest.mark.django_db


@pytest.fixture
def letters(settings: Settings) -> Iterator[MailServer]:
    with run_mail_server() as server:
        use(settings, server)
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as running:
        yield running


@pytest.fixture
def calm(db: None) -> Shop:
    """A shop with nothing wrong in it."""
    shop = make_shop(with_problems=False)
    Run.objects.filter(state__in=[RunState.FAILED, *UNFINISHED]).update(state=RunState.COMPLETE)
    Schedule.objects.update(halted_reason="", next_at=None)
    Run.objects.update(started_at=timezone.now())
    ProfilePropertyRule.objects.update(paused_reason="")
    for app in shop.apps.values():
        type(app).objects.filter(pk=app.pk).update(test_ok=True)
    watching.watch()
    assert not Incident.objects.exists(), list(Incident.objects.values_list("title", flat=True))
    return shop


def tell(*emails: str, webhook: str = "") -> None:
    given = {"emails": emails, "webhook_url": webhook, "secret": SECRET if webhook else ""}
    recipients.change(given, base_url="https://grouparoo.example.com/", actor=SYSTEM)


def work() -> None:
    """What workers do until nothing is due, as if every pause were over."""
    for _ in range(50):
        Work.objects.filter(kind=watching.KIND, state__in=UNFINISHED).update(next_at=timezone.now())
        if not leases.is_due(watching.KIND):
            return
        sending.work_slice()
    raise AssertionError("there is always more to tell")


def halt(shop: Shop, reason: str = "The key was refused.") -> Schedule:
    schedules_store.halt(shop.schedules["export"].pk, reason)
    return shop.schedules["export"]


# ---------------------------------------------------------------- once when it begins, once when it is over


def test_a_problem_is_told_once_and_its_end_once(calm: Shop, letters: MailServer, receiver: Receiver) -> None:
    tell("alice@example.com", "bob@example.com", webhook=receiver.url)
    schedule = halt(calm)
    for _ in range(3):
        watching.watch()
        work()
    assert [letter["To"] for letter in letters.letters] == ["alice@example.com", "bob@example.com"]
    assert "stopped and needs a person" in letters.letters[0]["Subject"]
    text = letters.letters[0].get_content()
    assert "The key was refused." in text
    assert f"https://grouparoo.example.com/schedules/{schedule.pk}/" in text
    schedules_store.resume(schedule.pk, actor=SYSTEM)
    for _ in range(3):
        watching.watch()
        work()
    assert ["Over: " in letter["Subject"] for letter in letters.letters] == [False, False, True, True]
    assert [delivery.json["type"] for delivery in receiver.deliveries] == ["incident.opened", "incident.recovered"]
    assert all(delivery.signed for delivery in receiver.deliveries)
    body = receiver.deliveries[1].json["data"]
    assert (body["kind"], body["subject"]) == ("schedule_halted", f"schedule:{schedule.pk}")
    assert body["recovered_at"] is not None
    [incident] = Incident.objects.all()
    assert incident.recovered_at is not None


def test_what_is_wrong_in_another_way_is_no_recovery(calm: Shop, receiver: Receiver) -> None:
    tell(webhook=receiver.url)
    schedule = calm.schedules["export"]
    run = Run.objects.filter(schedule=schedule).latest("pk")
    Run.objects.filter(pk=run.pk).update(state=RunState.FAILED, error="The table is gone.")
    watching.watch()
    halt(calm)
    watching.watch()
    work()
    told = [(delivery.json["type"], delivery.json["data"]["kind"]) for delivery in receiver.deliveries]
    assert told == [("incident.opened", "run_failed"), ("incident.opened", "schedule_halted")]


def test_each_kind_of_problem_is_noticed(calm: Shop) -> None:
    app = next(iter(calm.apps.values()))
    type(app).objects.filter(pk=app.pk).update(test_ok=False, test_message="No route to host.")
    ProfilePropertyRule.objects.filter(pk=calm.rules["ltv"].pk).update(paused_reason="Its column is gone.")
    halt(calm)
    watching.watch()
    assert set(Incident.objects.values_list("kind", flat=True)) == {"app_silent", "property_paused", "schedule_halted"}


# ---------------------------------------------------------------- a schedule that did not run


@pytest.mark.parametrize(
    ("ago", "rhythm", "is_late"),
    [
        (timedelta(minutes=22), {"every_minutes": 10}, True),
        (timedelta(minutes=19), {"every_minutes": 10}, False),
        (timedelta(days=3), {"every_minutes": None, "cron": "0 6 * * *"}, True),
        (timedelta(hours=20), {"every_minutes": None, "cron": "0 6 * * *"}, False),
        (timedelta(days=90), {"every_minutes": None, "cron": ""}, False),
    ],
)
def test_a_schedule_that_did_not_run_for_twice_its_rhythm(
    calm: Shop, ago: timedelta, rhythm: dict[str, Any], is_late: bool
) -> None:
    schedule = calm.schedules["users"]
    long_ago, last = timezone.now() - timedelta(days=400), timezone.now() - ago
    Schedule.objects.filter(pk=schedule.pk).update(created_at=long_ago, updated_at=long_ago, **rhythm)
    Run.objects.filter(schedule=schedule).update(created_at=last, started_at=last)
    watching.watch()
    assert Incident.objects.filter(kind="schedule_late", subject=f"schedule:{schedule.pk}").exists() is is_late


@pytest.mark.parametrize("held", [{"enabled": False}, {"halted_reason": "Look at it."}])
def test_what_a_person_stopped_is_not_late(calm: Shop, held: dict[str, Any]) -> None:
    long_ago = timezone.now() - timedelta(days=40)
    schedule = calm.schedules["users"]
    Run.objects.filter(schedule=schedule).update(created_at=long_ago, started_at=long_ago)
    Schedule.objects.filter(pk=schedule.pk).update(created_at=long_ago, updated_at=long_ago, **held)
    watching.watch()
    assert not Incident.objects.filter(kind="schedule_late").exists()


def test_one_that_runs_for_long_is_not_late_and_one_that_waits_for_a_worker_is(calm: Shop) -> None:
    long_ago = timezone.now() - timedelta(days=4)
    schedule = calm.schedules["users"]
    Schedule.objects.filter(pk=schedule.pk).update(created_at=long_ago, updated_at=long_ago)
    runs = Run.objects.filter(schedule=schedule)
    latest = runs.order_by("-created_at")[0].pk
    runs.exclude(pk=latest).update(created_at=long_ago - timedelta(days=1))
    runs.filter(pk=latest).update(created_at=long_ago, started_at=long_ago, state=RunState.RUNNING)
    watching.watch()
    assert not Incident.objects.exists()
    runs.filter(pk=latest).update(state=RunState.PENDING, started_at=None)
    watching.watch()
    assert Incident.objects.get().kind == "schedule_late"


# ---------------------------------------------------------------- retries, kills, two at once


def test_a_recipient_that_is_away_is_told_when_it_is_back_and_in_order(
    calm: Shop, letters: MailServer, receiver: Receiver
) -> None:
    tell("alice@example.com", webhook=receiver.url)
    receiver.expect(answer(503), cut(), answer(429))
    letters.refuses = b"451 4.3.0 Try again later"
    schedule = halt(calm)
    watching.watch()
    for _ in range(2):
        Work.objects.filter(kind=watching.KIND).update(next_at=timezone.now())
        sending.work_slice()
    schedules_store.resume(schedule.pk, actor=SYSTEM)
    watching.watch()
    letters.refuses = b""
    work()
    accepted = [each.json["type"] for each in receiver.deliveries if each.answer == 200]
    assert accepted == ["incident.opened", "incident.recovered"]
    assert ["Over: " in letter["Subject"] for letter in letters.letters] == [False, True]


def test_an_answer_that_says_never_is_shown_and_not_asked_again(calm: Shop, receiver: Receiver, client: Client) -> None:
    tell(webhook=receiver.url)
    receiver.always = answer(401)
    schedule = halt(calm)
    watching.watch()
    work()
    schedules_store.resume(schedule.pk, actor=SYSTEM)
    watching.watch()
    work()
    assert len(receiver.deliveries) == 1, "whoever never heard of the beginning is not told of the end"
    client.force_login(make_user(Role.ADMIN))
    assert "look at the signing secret" in read(client.get("/settings/alerts/"))


def test_a_worker_that_dies_before_it_noted_the_answer_tells_again_under_the_same_id(
    calm: Shop, receiver: Receiver
) -> None:
    tell(webhook=receiver.url)
    halt(calm)
    watching.watch()
    lease = leases.claim(watching.KIND)
    assert lease is not None
    incident = Incident.objects.get()
    sending.tell(recipients.read(), incident.channels[0], incident, watching.OPENED)  # and then it is killed
    Work.objects.filter(pk=lease.work_id).update(lease_until=timezone.now() - timedelta(seconds=1))
    work()
    assert len({delivery.id for delivery in receiver.deliveries}) == 1
    assert len(receiver.deliveries) == 2


def test_a_sweep_that_is_killed_has_done_nothing(calm: Shop, receiver: Receiver) -> None:
    tell(webhook=receiver.url)
    halt(calm)
    with transaction.atomic():
        watching.watch()
        transaction.set_rollback(True)  # killed before the commit
    assert not Incident.objects.exists()
    assert not Work.objects.filter(kind=watching.KIND).exists()
    watching.watch()
    work()
    assert len(receiver.deliveries) == 1


def test_what_ended_long_ago_is_forgotten_with_its_work(calm: Shop, receiver: Receiver) -> None:
    tell(webhook=receiver.url)
    schedule = halt(calm)
    watching.watch()
    work()
    watching.forget(older_than=timedelta())
    assert Incident.objects.exists(), "it is open"
    schedules_store.resume(schedule.pk, actor=SYSTEM)
    watching.watch()
    work()
    watching.forget(older_than=timedelta())
    assert not Incident.objects.exists()
    assert not Work.objects.filter(kind=watching.KIND).exists()


# ---------------------------------------------------------------- who is told


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"emails": ["nobody"]}, "emails"),
        ({"webhook_url": "https://example.com/hook"}, "secret"),
        ({"webhook_url": "ftp://example.com", "secret": SECRET}, "webhook_url"),
        ({"webhook_url": "https://example.com/hook", "secret": "open sesame"}, "secret"),
        ({"webhook_url": "http://10.0.0.7/hook", "secret": SECRET}, "webhook_url"),
    ],
)
def test_what_cannot_be_told_is_refused(settings: Settings, given: dict[str, Any], field: str) -> None:
    settings.GROUPAROO_ALLOW_PRIVATE_HOSTS = False
    with pytest.raises(InvalidInput) as caught:
        recipients.change(given, base_url="http://localhost/", actor=SYSTEM)
    assert field in caught.value.fields


def test_an_address_that_became_private_is_not_called(calm: Shop, receiver: Receiver, settings: Settings) -> None:
    tell(webhook=receiver.url)
    settings.GROUPAROO_ALLOW_PRIVATE_HOSTS = False
    halt(calm)
    watching.watch()
    work()
    assert receiver.deliveries == []
    assert "private network" in Work.objects.get(kind=watching.KIND).error


def test_the_secret_is_kept_encrypted_and_shown_to_nobody(client: Client, receiver: Receiver) -> None:
    tell(webhook=receiver.url)
    client.force_login(make_user(Role.ADMIN))
    page = client.get("/settings/alerts/").content.decode()
    body = Program("team:write").client.get("/api/v1/alerts/", headers={"Authorization": "Bearer x"})
    assert body.status_code == 401
    entry = AuditEntry.objects.filter(action="alerts.update").latest("pk")
    for text in (page, AlertRecipients.objects.get().secrets, str(entry.before), str(entry.after)):
        assert SECRET not in text
    client.post("/settings/alerts/", {"emails": "", "webhook_url": receiver.url, "secret": ""})
    assert recipients.read().secret == SECRET, "left empty, it is kept"
    recipients.rotate_secrets()
    assert recipients.read().secret == SECRET


def test_a_test_alert_says_what_everyone_answered(client: Client, letters: MailServer, receiver: Receiver) -> None:
    client.force_login(make_user(Role.ADMIN))
    assert "nobody to tell yet" in read(client.post("/settings/alerts/test/", follow=True))
    wrong = client.post("/settings/alerts/", {"emails": "nobody", "webhook_url": receiver.url, "secret": SECRET})
    assert wrong.status_code == 422
    assert receiver.url in wrong.content.decode(), "what was typed is kept"
    given = {"emails": "alice@example.com", "webhook_url": receiver.url, "secret": SECRET}
    assert client.post("/settings/alerts/", given).status_code == 302
    text = read(client.post("/settings/alerts/test/", follow=True))
    assert "An email went to alice@example.com." in text
    assert "answered 200" in text
    receiver.always = answer(500)
    assert "answered 500" in read(client.post("/settings/alerts/test/", follow=True))
    assert not Incident.objects.exists()


def test_without_a_mail_server_emails_are_kept_and_nobody_waits_for_them(calm: Shop, client: Client) -> None:
    tell("alice@example.com")
    halt(calm)
    watching.watch()
    assert Incident.objects.get().channels == []
    client.force_login(make_user(Role.ADMIN))
    assert "EMAIL_URL" in read(client.get("/settings/alerts/"))
    assert "nobody was to be told" in read(client.get("/settings/alerts/"))


def test_programs_read_and_change_the_same(calm: Shop) -> None:
    program = Program("team:write")
    headers = {"Authorization": f"Bearer {program.token}"}
    url = "/api/v1/alerts/"
    changed = program.client.patch(
        url, {"emails": ["Alice@example.com"]}, content_type="application/json", headers=headers
    )
    assert changed.json() == {"emails": ["alice@example.com"], "webhook_url": "", "has_secret": False}
    halt(calm)
    watching.watch()
    [found] = program.client.get("/api/v1/incidents/?open=true", headers=headers).json()["results"]
    assert found["kind"] == "schedule_halted"
    assert program.client.get("/api/v1/incidents/?open=false", headers=headers).json()["results"] == []
    assert program.post({}, to="/api/v1/alerts/test/").json() == {"results": []}
