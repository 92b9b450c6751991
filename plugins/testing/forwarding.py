"""The part of the contract that an App type which forwards events keeps."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from plugins.base import ForwardsEvents
from plugins.contracts import Halt, OutboundItem, Outcome, OutcomeKind, Retry
from plugins.testing.hooks import START, STRANGE_NAMES, Hooks, needs

PEOPLE = {"alice": 1, "bob": 2, "charlie": 3}


class ForwardingTests(Hooks):
    """Bodies, order, and what is answered when something is in the way."""

    def event(self, number: int, person: str = "alice", **payload: Any) -> OutboundItem:
        """The person's event of this number, as the product hands it over. The tool knows Alice, Bob and Charlie."""
        identities = {"user_id": PEOPLE[person], "email": f"{person}@example.com"}
        return OutboundItem(
            id=f"event-{number}",
            type="cart_abandoned",
            occurred_at=START,
            body={"number": number, **payload, "profile": {**identities, "first_name": person.title()}},
            profile=f"profile of {person}",
            identities=identities,
            options=self.event_options(),
        )

    def _kinds_of(self, app: Any, *items: OutboundItem) -> list[OutcomeKind]:
        outcomes = app.forward(items)
        assert len(outcomes) == len(items), "one outcome per event"
        self._check_nothing_secret(outcomes)
        return [outcome.kind for outcome in outcomes]

    def _deliver(self, app: Any, *items: OutboundItem) -> None:
        outcomes = app.forward(items)
        assert [outcome.kind for outcome in outcomes] == [OutcomeKind.ACCEPTED] * len(items), outcomes
        self._check_nothing_secret(outcomes)

    def _check_nothing_secret(self, outcomes: Sequence[Outcome]) -> None:
        said = " ".join(f"{outcome.reason} {outcome.reply} {outcome.request}" for outcome in outcomes)
        assert not [secret for secret in self.secrets(self.working_options()) if secret in said]

    def _bodies_by_profile(self) -> dict[str, list[Mapping[str, Any]]]:
        found: dict[str, list[Mapping[str, Any]]] = {}
        for event in self.received_events():
            found.setdefault(event.person, []).append(event.body)
        return found

    @needs(ForwardsEvents)
    def test_events_are_received_as_they_are_and_in_order_per_profile(self) -> None:
        items = [self.event(number, person) for number, person in enumerate(("alice", "bob", "alice", "alice", "bob"))]
        with self.connect() as app:
            self._deliver(app, *items)
        expected: dict[str, list[Mapping[str, Any]]] = {}
        for item in items:
            expected.setdefault(item.profile.removeprefix("profile of "), []).append(self.expected_body(item))
        assert self._bodies_by_profile() == expected

    @needs(ForwardsEvents)
    def test_no_events_are_no_trouble(self) -> None:
        with self.connect() as app:
            assert list(app.forward([])) == []
        assert list(self.received_events()) == []

    @needs(ForwardsEvents)
    def test_a_full_batch_is_received(self) -> None:
        people = sorted(PEOPLE)
        with self.connect() as app:
            items = [self.event(number, people[number % 3]) for number in range(app.event_batch_size)]
            self._deliver(app, *items)
        assert len(self.received_events()) == len(items)

    @needs(ForwardsEvents)
    def test_strange_nested_and_huge_bodies_are_received_as_they_are(self) -> None:
        nested = {
            "items": ["red shirt", {"size": None, "prices": [12.5, 10**15, True]}],
            "": "an empty key",
            "ü 日": {},
        }
        names = [name for name in STRANGE_NAMES if name and len(name) < 1000]
        items = [self.event(number, text=name) for number, name in enumerate(names)]
        items.append(self.event(len(items), text="x" * 50_000, cart=nested, nothing=None, empty=""))
        with self.connect() as app:
            self._deliver(app, *items)
        assert [event.body for event in self.received_events()] == [self.expected_body(item) for item in items]

    @needs(ForwardsEvents)
    def test_a_repeated_event_is_accepted_and_can_be_told_where_that_is_promised(self) -> None:
        with self.connect() as app:
            self._deliver(app, self.event(1))
            self._deliver(app, self.event(1))
        events = self.received_events()
        assert {str(event.body) for event in events} == {str(self.expected_body(self.event(1)))}
        if self.app_type.repeatable:  # type: ignore[attr-defined]  # it forwards
            assert {event.id for event in events} == {"event-1"}

    @needs(ForwardsEvents)
    def test_a_test_and_a_backfill_are_accepted_too(self) -> None:
        with self.connect() as app:
            self._deliver(app, replace(self.event(1), is_test=True), replace(self.event(2, "bob"), is_backfill=True))

    @needs(ForwardsEvents, hook="refused_item")
    def test_one_refused_event_does_not_keep_the_others_back(self) -> None:
        with self.connect() as app:
            items = [self.event(1), self.refused_item(self.event(2, "bob")), self.event(3, "charlie"), self.event(4)]
            outcomes = app.forward(items)
        kinds = [outcome.kind for outcome in outcomes]
        assert kinds == [OutcomeKind.ACCEPTED, OutcomeKind.REJECT, OutcomeKind.ACCEPTED, OutcomeKind.ACCEPTED]
        assert len(outcomes[1].reason) > 10
        assert len(self.received_events()) == 3

    @needs(ForwardsEvents, hook="limit_rate")
    def test_behind_an_event_to_be_tried_again_none_of_the_same_profile_is_sent(self) -> None:
        with self.connect() as app:
            self.limit_rate(app)
            try:
                kinds = self._kinds_of(app, self.event(1), self.event(2))
            except Retry:
                kinds = [OutcomeKind.RETRY] * 2
            assert kinds == [OutcomeKind.RETRY] * 2
            assert list(self.received_events()) == []
            self._deliver(app, self.event(1), self.event(2))
        assert [event.body["number"] for event in self.received_events()] == [
            self.expected_body(self.event(number))["number"] for number in (1, 2)
        ]

    @needs(ForwardsEvents, hook="cut_connection")
    def test_an_event_over_a_cut_connection_is_to_be_tried_again(self) -> None:
        app = self.connect()
        try:
            self._deliver(app, self.event(1))
            self.cut_connection(app)
            try:
                kinds = self._kinds_of(app, self.event(2))
            except Retry:
                kinds = [OutcomeKind.RETRY]
            assert kinds[0] in (OutcomeKind.RETRY, OutcomeKind.ACCEPTED)
        finally:
            app.close()
        with self.connect() as app:
            self._deliver(app, self.event(2))
        assert self.received_events()[-1].body == self.expected_body(self.event(2))

    @needs(ForwardsEvents)
    def test_a_broken_connection_forwards_nothing_and_says_why(self) -> None:
        for wrong, options in self.broken_options().items():
            app: Any = self.app_type(options)
            try:
                outcome = app.forward([self.event(1)])[0]
            except (Retry, Halt) as error:
                outcome = Outcome(OutcomeKind.RETRY, error.reason)
            finally:
                app.close()
            assert outcome.kind in (OutcomeKind.RETRY, OutcomeKind.HALT), wrong
            assert len(outcome.reason) > 10, wrong
        assert list(self.received_events()) == []
