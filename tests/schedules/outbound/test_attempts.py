"""The log of a delivery: every attempt with its time, what was sent and what was answered, without a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps_connectors import apps_store
from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from core.lib.secrets import encrypt
from plugins.contracts import Outcome, OutcomeKind
from plugins.mailchimp.standin.server import run_standin
from schedules.outbound import deliveries, trying
from schedules.outbound.models import OutboundDelivery
from tests.api.door import Program
from tests.pipeline.people import event, take
from tests.plugins.mailchimp.conftest import LIST, options_for
from tests.plugins.mailchimp.exports import put_member
from tests.receiver import Receiver, answer, run_receiver
from tests.schedules.outbound.world import World, carts, deliver, make_due, run_slices
from tests.ui.shop import make_user

SECRET = "open-sesame"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as running:
        yield running


@pytest.fixture
def hook(world: World, receiver: Receiver) -> World:
    """The world, with a webhook App aimed at the receiver, which wants a password."""
    headers = f"Authorization: Bearer {SECRET} | X-Team: growth-team"
    options = {"url": receiver.url, "secret": receiver.secret, "timeout": 1, "headers": headers}
    return replace(world, app=apps_store.create_app("webhook", "Hook", options, actor=SYSTEM))


def attempts() -> list[dict[str, Any]]:
    return list(OutboundDelivery.objects.get().log)


def test_each_attempt_says_when_how_long_what_was_sent_and_what_was_answered(hook: World, receiver: Receiver) -> None:
    hook.subscribe()
    receiver.expect(answer(500, body=b"out of order"))
    carts(1, 1)
    deliver(waits=1)
    failed, taken = attempts()
    assert (failed["outcome"], taken["outcome"]) == ("retrying", "accepted")
    assert "500" in failed["text"]
    assert failed["reply"] == "500 Internal Server Error\nout of order"
    assert taken["reply"].startswith("200 OK")
    assert 0 < taken["seconds"] < 1
    assert failed["at"] < taken["at"]
    assert taken["request"].splitlines()[0] == f"POST {receiver.url}"
    headers = dict(line.split(": ", 1) for line in taken["request"].splitlines()[1:])
    sent = receiver.deliveries[-1].headers
    assert headers["webhook-id"] == sent["webhook-id"]
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == headers["x-team"] == "••••"
    assert sent["webhook-signature"].startswith(headers["webhook-signature"].removesuffix("…"))
    assert len(headers["webhook-signature"]) < 20 < len(sent["webhook-signature"])
    kept = json.dumps(attempts())
    assert SECRET not in kept
    assert receiver.secret not in kept
    assert "cart_abandoned_at" not in kept, "the body is kept once"


def test_whatever_a_plugin_says_no_secret_of_the_app_gets_into_the_log(world: World, settings: Any) -> None:
    world.app.secrets = encrypt({"token": SECRET}, settings.GROUPAROO_SECRET_KEYS)
    world.app.save()
    world.box.answer = lambda item: Outcome(
        OutcomeKind.REJECT, f"Not {SECRET}.", reply=f"401 {SECRET}", request=f"POST /?token={SECRET}"
    )
    world.subscribe()
    carts(1, 1)
    deliver()
    [refused] = attempts()
    assert (refused["text"], refused["reply"], refused["request"]) == ("Not ••••.", "401 ••••", "POST /?token=••••")


def test_the_log_of_a_delivery_that_fails_for_ever_stays_small(world: World) -> None:
    long = "x" * 100_000
    world.box.answer = lambda item: Outcome(OutcomeKind.RETRY, long, reply=long, request=long, seconds=0.5)
    world.subscribe()
    carts(1, 1)
    deliver(waits=14)
    row = OutboundDelivery.objects.get()
    assert (row.attempts, len(row.log)) == (15, 10)
    assert len(json.dumps(row.log)) < 35_000
    assert max(entry["at"] for entry in row.log) == row.log[-1]["at"], "the last ones are kept"


def test_an_attempt_that_a_dead_worker_made_is_in_the_log(world: World) -> None:
    world.subscribe()
    carts(1, 1)

    def die() -> None:
        raise KeyboardInterrupt

    world.box.after = die
    with pytest.raises(KeyboardInterrupt):
        deliver()
    world.box.after = lambda: None
    make_due()
    run_slices()
    unanswered, taken = attempts()
    assert (unanswered["outcome"], unanswered["text"]) == ("sent", deliveries.UNANSWERED)
    assert taken["outcome"] == "accepted"
    assert OutboundDelivery.objects.get().attempts == 2


def test_what_was_not_sent_for_another_of_the_same_person_has_no_attempt(world: World) -> None:
    world.box.answer = lambda item: Outcome(OutcomeKind.RETRY, "Not now.", reply="503", request="POST /")
    world.subscribe()
    carts(1, 1, 2)
    deliver()
    first, second = OutboundDelivery.objects.order_by("event_id")
    assert len(first.log) == 1
    assert (second.log, second.reply, second.attempts) == ([], "", 0)


def test_the_page_and_the_api_show_it(hook: World, receiver: Receiver, client: Client) -> None:
    hook.subscribe()
    receiver.expect(answer(503, body=b"come back later"))
    carts(1, 1)
    deliver(waits=1)
    delivery = OutboundDelivery.objects.get()
    client.force_login(make_user(Role.VIEWER))
    page = client.get(f"/outbound-events/deliveries/{delivery.public_id}/").content.decode()
    for said in (f"POST {receiver.url}", "authorization: ••••", "come back later", "200 OK", "took"):
        assert said in page
    assert SECRET not in page
    program = Program("events:read")
    given = {"Authorization": f"Bearer {program.token}"}
    read = program.client.get(f"/api/v1/deliveries/{delivery.public_id}/", headers=given).json()
    assert [each["outcome"] for each in read["log"]] == ["retrying", "accepted"]
    assert read["log"][1]["request"].startswith(f"POST {receiver.url}")


def test_a_test_event_shows_its_request(hook: World, receiver: Receiver) -> None:
    told = trying.send_test_event(hook.subscribe().pk, actor=SYSTEM)
    assert told.request.startswith(f"POST {receiver.url}\n")
    assert "grouparoo-note: test" in told.request


def test_what_mailchimp_is_asked_is_in_the_log_without_the_key(world: World, tmp_path: Path) -> None:
    with run_standin(tmp_path / "mailchimp.sqlite") as standin:
        standin.store.add_list(LIST, "Newsletter")
        put_member(standin, "alice@example.com")
        app = apps_store.create_app("mailchimp", "Mailchimp", options_for(standin), actor=SYSTEM)
        replace(world, app=app).subscribe()
        take(event({"user_id": 1, "email": "alice@example.com", "cart_abandoned_at": "Jan 5, 2019"}, type="cart"))
        deliver()
        [taken] = attempts()
        assert taken["request"].startswith(f"POST /3.0/lists/{LIST}/members/")
        assert '"name": "cart"' in taken["request"]
        assert taken["seconds"] > 0
        assert standin.key not in json.dumps(taken)
