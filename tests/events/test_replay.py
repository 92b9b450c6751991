from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from core.work import leases
from events import pages
from events.inbox import accept
from events.models import Event, EventState, Inbox
from events.pages import Filters, find
from events.replay import replay, replay_unlinked
from pipeline.inbox import process_some
from profiles.models import Profile
from tests.accounts.factories import make_user
from tests.api.door import Program
from tests.pipeline.people import event, rule, take

pytestmark = pytest.mark.django_db(transaction=True)


def send(*payloads: dict[str, Any]) -> list[Event]:
    fates = accept(list(payloads), source_kind="api_key", source_id=1)
    process_some()
    return [Event.objects.get(pk=fate.id) for fate in fates if fate.id]


def test_what_found_nobody_finds_them_once_there_is_a_property(client: Client) -> None:
    (lonely,) = send({"email": "alice@example.com", "first_name": "Alice"})
    assert lonely.state == EventState.UNLINKED
    rule("email", "email", is_unique=True)
    rule("first_name")
    assert replay([lonely.pk], actor=SYSTEM) == 1
    assert replay([lonely.pk], actor=SYSTEM) == 0
    assert Event.objects.get().state == EventState.UNLINKED
    call_command("check_integrity", stdout=StringIO())
    process_some()
    again = Event.objects.get()
    assert (again.state, again.pk, again.message_id) == (EventState.PROCESSED, lonely.pk, lonely.message_id)
    assert Profile.objects.get().properties == {"email": "alice@example.com", "first_name": "Alice"}


def test_what_is_taken_again_has_its_own_time(client: Client) -> None:
    rule("email", "email", is_unique=True)
    rule("first_name")
    old = {"payload": {"email": "a@example.com", "first_name": "Al"}, "occurred_at": "2026-01-01T00:00:00Z"}
    new = {"payload": {"email": "a@example.com", "first_name": "Alice"}, "occurred_at": "2026-01-02T00:00:00Z"}
    first, _ = send(old, new)
    replay([first.pk], actor=SYSTEM)
    process_some()
    assert Profile.objects.get().properties["first_name"] == "Alice"


def test_a_new_identity_brings_back_the_events_that_found_nobody() -> None:
    send({"email": "a@example.com"}, {"phone": "1"}, {"email": "b@example.com", "n": 1})
    rule("email", "email", is_unique=True)
    while leases.run_slice("relink", replay_unlinked):
        pass
    assert Inbox.objects.count() == 2
    process_some()
    assert sorted(Event.objects.values_list("state", flat=True)) == ["processed", "processed", "unlinked"]
    assert Profile.objects.count() == 2


def test_rows_of_runs_are_left_to_their_schedule() -> None:
    rule("email", "email", is_unique=True)
    take(event({"email": "a@example.com"}))
    assert replay([Event.objects.get().pk], actor=SYSTEM) == 0


def test_payloads_are_searched_as_far_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    send(*({"sku": f"shirt-{number % 5}", "n": number} for number in range(50)))
    everyone = find(Filters(key="sku", value="shirt-3"), before=None, limit=100)
    assert len(everyone.events) == 10
    assert everyone.looked_to is None
    assert len(find(Filters(key="n"), before=None, limit=7).events) == 7
    monkeypatch.setattr(pages, "LOOKED_AT", 20)
    near = find(Filters(key="sku", value="shirt-3"), before=None, limit=100)
    assert len(near.events) == 4
    further = find(Filters(key="sku", value="shirt-3"), before=near.looked_to, limit=100)
    assert [each.pk for each in near.events + further.events] == [each.pk for each in everyone.events[:8]]


def test_people_and_programs_take_events_again(client: Client) -> None:
    lonely = send({"email": "alice@example.com", "plan": "gold"}, {"email": "bob@example.com"})
    rule("email", "email", is_unique=True)
    client.force_login(make_user("Bob", role=Role.EDITOR))
    page = client.get(reverse("events:list"), {"key": "plan", "value": "gold"})
    assert "Take these events again" in page.content.decode()
    assert client.post(reverse("events:replay"), {"key": "plan", "value": "gold"}).status_code == 302
    assert Inbox.objects.get().pk == lonely[0].pk
    assert client.post(reverse("events:replay"), {"event": str(lonely[1].pk)}).status_code == 302
    assert Inbox.objects.count() == 2
    process_some()
    program = Program("events:write", "events:read")
    answer = program.post({"ids": [str(each.pk) for each in lonely]}, to="/api/v1/events/replay/")
    assert (answer.status_code, answer.json()) == (202, {"replayed": 2})
    found = program.client.get(
        "/api/v1/events/", {"key": "plan", "value": "gold"}, headers={"Authorization": f"Bearer {program.token}"}
    )
    assert [each["id"] for each in found.json()["results"]] == [str(lonely[0].pk)]
