"""Programs that send events to a web server which is killed under them, and what must be true of these events."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from itertools import pairwise
from threading import Event as Signal
from threading import Lock
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from django.urls import reverse

from apps_connectors import apps_store
from core.accounts.actors import SYSTEM
from core.accounts.keys import create_key
from events import hooks
from events.models import Event, EventKey, EventState, Inbox
from profiles.models import Profile, ProfileChange
from profiles.rules import NewRule, create_rule
from tests.waiting import wait_until

MESSAGES, PEOPLE, AT_ONCE, PROGRAMS = 3000, 200, 25, 3
ACCEPTED_WITHIN = 60.0
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Senders:
    """Programs that post events with message ids, and send each list again until the door has taken it."""

    taken = 202

    def __init__(self, chance: random.Random) -> None:
        make_rules()
        moments = chance.sample(range(10**6), MESSAGES)  # they arrive in another order than they happened
        self.messages = [
            make_message(number, user=chance.randrange(PEOPLE), moment=moment) for number, moment in enumerate(moments)
        ]
        self.accepted = 0
        self.sent: list[Future[None]] = []
        self.sent_again = 0
        self.stopped, self.counting = Signal(), Lock()
        _, self.token = create_key("web shop", ["events:write"], actor=SYSTEM)

    @contextmanager
    def send(self, port: int) -> Iterator[None]:
        """Send everything from several threads while the block runs, and until all of it was accepted."""
        lists = [self.messages[start : start + AT_ONCE] for start in range(0, MESSAGES, AT_ONCE)]
        with ThreadPoolExecutor(PROGRAMS) as programs:
            self.sent = [programs.submit(self.post, messages, port) for messages in lists]
            try:
                yield
                self.wait_for_accepted(1.0)
            finally:
                self.stopped.set()

    def make_request(self, messages: list[dict[str, Any]], port: int) -> Request:
        """These messages as this door takes them."""
        return Request(
            f"http://127.0.0.1:{port}/api/v1/events/",
            data=json.dumps(messages).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )

    def post(self, messages: list[dict[str, Any]], port: int) -> None:
        """Post these messages until the door has taken them."""
        while not self.stopped.is_set():
            try:
                with urlopen(self.make_request(messages, port), timeout=5) as answer:
                    fates = json.load(answer)
                assert answer.status == self.taken
                assert fates["accepted"] + fates["duplicate"] == len(messages), fates
            except HTTPError as refused:
                raise AssertionError(refused.read()) from refused  # the door takes all of them, or does not answer
            except (OSError, HTTPException, ValueError):  # refused, cut off, or half an answer: nobody knows, so again
                self.sent_again += 1
                self.stopped.wait(0.05)
                continue
            with self.counting:
                self.accepted += len(messages)
            return

    def wait_for_accepted(self, share: float) -> None:
        """Until this share of all messages was accepted."""
        wait_until(lambda: self.has_accepted(share), what=f"{share:.0%} are accepted", within=ACCEPTED_WITHIN)

    def has_accepted(self, share: float) -> bool:
        """Whether this share of all messages was accepted; raises what went wrong in a program."""
        for each in self.sent:
            if each.done():
                each.result()
        return self.accepted >= share * MESSAGES

    def are_processed(self) -> bool:
        """Whether nothing waits for a worker any more."""
        return not Inbox.objects.exists()

    def check(self) -> None:
        """Every message is one event, processed once, and of each person the latest value stands."""
        stored = Event.objects.filter(state=EventState.PROCESSED, profile_id__isnull=False, error="")
        assert sorted(stored.values_list("message_id", flat=True)) == [one["message_id"] for one in self.messages]
        assert Event.objects.count() == EventKey.objects.count() == MESSAGES
        latest: dict[int, dict[str, Any]] = {}
        for message in sorted(self.messages, key=lambda one: str(one["occurred_at"])):
            latest[message["payload"]["user_id"]] = message["payload"]
        held = Profile.objects.values_list("properties", flat=True)
        assert sorted(held, key=lambda values: values["user_id"]) == [latest[user] for user in sorted(latest)]
        check_log_is_a_chain()


class HookSenders(Senders):
    """A tool whose webhooks carry the messages, deep in their bodies, and come again until they are answered."""

    taken = 200

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        app = apps_store.create_app("csv", "Checkout", {}, actor=SYSTEM)
        hooks.create_hook(app.pk, actor=SYSTEM)
        mapping = {
            "fields": {"user_id": "payload.user_id", "visits": "payload.visits"},
            "items": "data.events",
            "message_id": "message_id",
            "type": "type",
            "occurred_at": "occurred_at",
        }
        hook = hooks.update_hook(app.pk, mapping=mapping, actor=SYSTEM)
        self.address = reverse("hooks:door", args=[app.pk, hooks.read_secrets(hook)["address"]])

    def make_request(self, messages: list[dict[str, Any]], port: int) -> Request:
        """One call of the tool."""
        body = json.dumps({"data": {"events": messages}}).encode()
        return Request(
            f"http://127.0.0.1:{port}{self.address}", data=body, headers={"Content-Type": "application/json"}
        )


def check_log_is_a_chain() -> None:
    """Each change begins with the value that the one before ended with: none was made twice."""
    changes: dict[Any, list[tuple[Any, Any]]] = {}
    for profile, changed in ProfileChange.objects.order_by("id").values_list("profile_id", "changes"):
        if "visits" in changed:
            changes.setdefault(profile, []).append(changed["visits"])
    assert len(changes) == Profile.objects.count()
    for chain in changes.values():
        assert chain[0][0] is None
        assert all(before[1] == after[0] for before, after in pairwise(chain))


def make_rules() -> None:
    """`user_id` tells people apart; `visits` comes in events."""
    create_rule(NewRule("user_id", "integer", is_unique=True, identity_rank=1), actor=SYSTEM)
    create_rule(NewRule("visits", "integer"), actor=SYSTEM)


def make_message(number: int, *, user: int, moment: int) -> dict[str, Any]:
    """A message about someone, `moment` seconds after a time long past."""
    return {
        "message_id": f"message-{number:05}",
        "type": "visit",
        "occurred_at": (LONG_AGO + timedelta(seconds=moment)).isoformat(),
        "payload": {"user_id": user, "visits": number},
    }
