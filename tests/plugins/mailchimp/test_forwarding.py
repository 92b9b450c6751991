"""Events as Mailchimp's members show them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from plugins.contracts import OutboundItem, OutcomeKind
from plugins.mailchimp.standin.server import Misbehaviour, Standin
from tests.plugins.mailchimp.conftest import LIST, LocalMailchimp, options_for
from tests.plugins.mailchimp.exports import put_member

EVAN = "evan@grouparoo.com"


def evans_event(**changes: Any) -> OutboundItem:
    """The cart that user 3 left, as the story tells it."""
    item = OutboundItem(
        id="event-1",
        type="cart_abandoned",
        occurred_at=datetime(2019, 1, 5, 12, 30, tzinfo=UTC),
        body={
            "cart_abandoned_at": "Jan 5, 2019",
            "cart_items": ["red shirt"],
            "profile": {"user_id": 3, "first_name": "Evan", "email": EVAN},
        },
        profile="evan",
        identities={"user_id": 3, "email": EVAN},
    )
    return replace(item, **changes)


def received(standin: Standin) -> list[dict[str, Any]]:
    return [row["body"] for row in standin.store.events(LIST)]


@pytest.fixture(autouse=True)
def evan(standin: Standin) -> None:
    put_member(standin, EVAN)


def test_the_storys_event_arrives_as_a_member_event(standin: Standin, mailchimp: LocalMailchimp) -> None:
    outcome = mailchimp.forward([evans_event()])[0]
    assert (outcome.kind, outcome.reply) == (OutcomeKind.ACCEPTED, "204 No Content")
    assert received(standin) == [
        {
            "name": "cart_abandoned",
            "properties": {
                "cart_abandoned_at": "Jan 5, 2019",
                "cart_items": '["red shirt"]',
                "profile": '{"user_id": 3, "first_name": "Evan", "email": "evan@grouparoo.com"}',
            },
            "occurred_at": "2019-01-05T12:30:00+00:00",
        }
    ]
    assert json.loads(received(standin)[0]["properties"]["profile"])["user_id"] == 3


def test_an_old_event_starts_no_automation(standin: Standin, mailchimp: LocalMailchimp) -> None:
    mailchimp.forward([evans_event(is_backfill=True)])
    assert received(standin)[0]["is_syncing"] is True


@pytest.mark.parametrize(
    ("type_", "name"),
    [("x", "event_x"), ("", "event_unnamed"), ("a" * 31, "a" * 30), ("Order: shipped ✓", "Order: shipped ✓")],
)
def test_names_fit_and_a_changed_one_keeps_its_type(
    standin: Standin, mailchimp: LocalMailchimp, type_: str, name: str
) -> None:
    assert mailchimp.forward([evans_event(type=type_)])[0].kind is OutcomeKind.ACCEPTED
    event = received(standin)[0]
    assert event["name"] == name
    assert event["properties"].get("event_type", name) == type_


def test_the_member_is_found_by_the_profiles_address_though_the_body_has_none(
    standin: Standin, mailchimp: LocalMailchimp
) -> None:
    mailchimp.forward([evans_event(body={"cart": 1}, identities={"email": "EVAN@grouparoo.com"})])
    assert received(standin)[0]["properties"] == {"cart": "1"}


def test_the_address_may_be_another_property(standin: Standin) -> None:
    with LocalMailchimp(options_for(standin, email_property="work_email")) as app:
        body = {"profile": {"work_email": EVAN}}
        assert app.forward([evans_event(body=body, identities={})])[0].kind is OutcomeKind.ACCEPTED
        outcome = app.forward([evans_event()])[0]
    assert (outcome.kind, outcome.reason) == (
        OutcomeKind.REJECT,
        "The profile has no work_email, by which Mailchimp knows a member.",
    )


def test_an_event_waits_for_whoever_is_no_member_yet(standin: Standin, mailchimp: LocalMailchimp) -> None:
    stranger = evans_event(identities={"email": "alice@example.com"})
    outcomes = mailchimp.forward([stranger, evans_event(), replace(stranger, id="event-2")])
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.RETRY, OutcomeKind.ACCEPTED, OutcomeKind.RETRY]
    assert "no member of the audience yet" in outcomes[0].reason
    assert standin.store.member(LIST, "alice@example.com") is None
    put_member(standin, "alice@example.com")
    assert mailchimp.forward([stranger])[0].kind is OutcomeKind.ACCEPTED


def test_without_its_audience_nothing_can_be_forwarded(standin: Standin, mailchimp: LocalMailchimp) -> None:
    standin.store.delete_list(LIST)
    outcome = mailchimp.forward([evans_event()])[0]
    assert outcome.kind is OutcomeKind.HALT
    assert "choose another one" in outcome.reason


def test_a_subscription_may_name_another_audience(standin: Standin, mailchimp: LocalMailchimp) -> None:
    standin.store.add_list("other", "Other")
    assert mailchimp.forward([evans_event(options={"list_id": "other"})])[0].kind is OutcomeKind.RETRY
    assert mailchimp.forward([evans_event(options={"list_id": LIST})])[0].kind is OutcomeKind.ACCEPTED


def test_events_of_one_member_arrive_in_order_and_one_at_a_time(standin: Standin, mailchimp: LocalMailchimp) -> None:
    put_member(standin, "bob@example.com")
    bob = {"identities": {"email": "bob@example.com"}}
    items = [evans_event(body={"n": number}, **(bob if number % 2 else {})) for number in range(40)]
    standin.expect(*[Misbehaviour("slow", seconds=0.005)] * 40)
    assert {outcome.kind for outcome in mailchimp.forward(items)} == {OutcomeKind.ACCEPTED}
    assert not standin.parallel
    for email in (EVAN, "bob@example.com"):
        numbers = [int(row["body"]["properties"]["n"]) for row in standin.store.events(LIST) if row["email"] == email]
        assert numbers == sorted(numbers)
        assert len(numbers) == 20


def test_a_throttled_batch_goes_out_later(standin: Standin, mailchimp: LocalMailchimp) -> None:
    standin.expect(Misbehaviour("throttle", after=3))
    outcomes = mailchimp.forward([evans_event(), evans_event(id="event-2")])
    assert [(outcome.kind, outcome.after) for outcome in outcomes] == [(OutcomeKind.RETRY, 3.0)] * 2
    assert received(standin) == []
