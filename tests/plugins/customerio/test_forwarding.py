"""Events as a Customer.io workspace receives them: names, times, ids, sizes, order."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from plugins.contracts import ACCEPTED, OutboundItem, OutcomeKind
from plugins.customerio.forwarding import make_ulid
from tests.plugins.customerio.conftest import LocalCustomerio, options_for
from tests.plugins.customerio.standin import Misbehaviour, Standin

WHEN = datetime(2024, 2, 29, 12, 30, 15, 999_000, tzinfo=UTC)


def item(number: int = 1, **more: Any) -> OutboundItem:
    given: dict[str, Any] = {
        "id": f"0192f0c1-0000-7000-8000-{number:012}-5",
        "type": "cart_abandoned",
        "occurred_at": WHEN,
        "body": {"number": number, "profile": {"first_name": "Alice"}},
        "profile": "alice",
        "identities": {"email": "alice@example.com", "user_id": 1},
    }
    return OutboundItem(**{**given, **more})


def test_an_event_has_its_type_as_name_its_body_as_data_and_its_own_time(
    standin: Standin, customerio: LocalCustomerio
) -> None:
    assert customerio.forward([item()]) == [ACCEPTED]
    [event] = standin.workspace.events
    assert (event.identifiers, event.name) == ({"email": "alice@example.com"}, "cart_abandoned")
    assert event.data == {"number": 1, "profile": {"first_name": "Alice"}}
    assert event.timestamp == 1709209815
    assert event.version == 2


def test_a_person_may_be_found_by_id(standin: Standin) -> None:
    with LocalCustomerio(options_for(standin, identifier="id", identifier_property="user_id")) as app:
        app.forward([item(), item(2, identities={}, body={"profile": {"user_id": 7}})])
    assert [event.identifiers for event in standin.workspace.events] == [{"id": "1"}, {"id": "7"}]


def test_an_event_of_nobody_is_refused(standin: Standin, customerio: LocalCustomerio) -> None:
    [outcome] = customerio.forward([item(identities={"email": None})])
    assert (outcome.kind, "The profile has no email" in outcome.reason) == (OutcomeKind.REJECT, True)
    assert standin.calls == []


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (" cart ", "cart"),
        ("x" * 101, "x" * 100),
        ("日" * 40, "日" * 33),
        ("   ", "event"),
    ],
)
def test_a_name_that_does_not_fit_is_cut_and_the_whole_type_goes_along(
    standin: Standin, customerio: LocalCustomerio, given: str, name: str
) -> None:
    assert customerio.forward([item(type=given)]) == [ACCEPTED]
    [event] = standin.workspace.events
    assert (event.name, event.data["event_type"]) == (name, given)


def _decode(text: str) -> int:
    return int(
        text.translate(str.maketrans("0123456789ABCDEFGHJKMNPQRSTVWXYZ", "0123456789abcdefghijklmnopqrstuv")), 32
    )


def test_an_id_is_a_ulid_of_the_time_and_differs_from_every_other() -> None:
    ids = {make_ulid(item(number)) for number in range(1000)}
    assert len(ids) == 1000
    assert {_decode(text[:10]) for text in ids} == {1709209815999}
    assert all(re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", text) for text in ids)
    assert make_ulid(item(1)) == make_ulid(item(1, body={}))
    assert make_ulid(item(occurred_at=datetime(1960, 1, 1, tzinfo=UTC))).startswith("0000000000")


def test_an_event_whose_answer_got_lost_is_there_once(standin: Standin, customerio: LocalCustomerio) -> None:
    standin.expect(Misbehaviour("cut_after"))
    assert customerio.forward([item()])[0].kind is OutcomeKind.RETRY
    assert customerio.forward([item()]) == [ACCEPTED]
    assert len(standin.workspace.events) == 1


def test_an_event_too_large_for_a_batch_goes_alone_and_in_order(standin: Standin, customerio: LocalCustomerio) -> None:
    large = item(2, body={"number": 2, "text": "ü" * 40_000})
    assert customerio.forward([item(1), large, item(3)]) == [ACCEPTED] * 3
    assert [(event.data["number"], event.version) for event in standin.workspace.events] == [(1, 2), (2, 1), (3, 2)]
    assert standin.calls[1] == "POST /api/v1/customers/alice%40example.com/events"
    assert standin.workspace.events[1].id == make_ulid(large)


def test_an_event_too_large_for_customerio_is_refused_alone(standin: Standin, customerio: LocalCustomerio) -> None:
    outcomes = customerio.forward([item(1), item(2, body={"text": "x" * 100_000}), item(3)])
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.ACCEPTED, OutcomeKind.REJECT, OutcomeKind.ACCEPTED]
    assert outcomes[1].reason == "Customer.io refused this: event data cannot be longer than 100000 bytes."


def test_behind_a_large_event_that_has_to_wait_nothing_is_sent(standin: Standin, customerio: LocalCustomerio) -> None:
    standin.expect(Misbehaviour("slow"), Misbehaviour("throttle", after="5"))
    large = item(2, body={"number": 2, "text": "x" * 40_000})
    outcomes = customerio.forward([item(1), large, item(3)])
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.ACCEPTED, OutcomeKind.RETRY, OutcomeKind.RETRY]
    assert len(standin.workspace.events) == 1


def test_an_old_event_keeps_its_time_so_that_it_triggers_nothing(standin: Standin, customerio: LocalCustomerio) -> None:
    old = replace(item(), occurred_at=datetime(2019, 1, 5, tzinfo=UTC), is_backfill=True)
    assert customerio.forward([old]) == [ACCEPTED]
    assert standin.workspace.events[0].timestamp == 1546646400


def test_nobody_who_sends_an_event_can_redirect_the_mail_it_triggers(
    standin: Standin, customerio: LocalCustomerio
) -> None:
    customerio.forward([item(body={"recipient": "mallory@example.com", "reply_to": "m@example.com", "size": 1})])
    [event] = standin.workspace.events
    assert event.data == {"event_recipient": "mallory@example.com", "event_reply_to": "m@example.com", "size": 1}
