"""The webhook plugin keeps the contract."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from plugins.contracts import OutboundItem, SyncMode, Target
from plugins.testing import EXPORT_FIELDS, PluginContract, ReceivedEvent
from tests.plugins.webhook.connections import LocalWebhook
from tests.plugins.webhook.people import hold
from tests.receiver import SECRET, Delivery, Receiver, answer, cut


class TestWebhook(PluginContract):
    app_type = LocalWebhook
    receiver: Receiver
    export_options: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _give_receiver(self, receiver: Receiver) -> None:
        self.receiver = receiver

    @pytest.fixture(autouse=True)
    def _hold_a_port(self) -> Iterator[None]:
        with socket.socket() as bound:  # bound, but listening to nobody
            bound.bind(("127.0.0.1", 0))
            self.closed_port = bound.getsockname()[1]
            yield

    def working_options(self) -> Mapping[str, Any]:
        headers = "Authorization: Bearer open-sesame | X-Team: growth"
        return {"url": self.receiver.url, "secret": SECRET, "headers": headers, "timeout": 5}

    def broken_options(self) -> Mapping[str, Mapping[str, Any]]:
        options = self.working_options()
        return {
            "unknown host": {**options, "url": "http://no-such-host.invalid/hook"},
            "nobody listens": {**options, "url": f"http://127.0.0.1:{self.closed_port}/"},
            "no TLS there": {**options, "url": self.receiver.url.replace("http:", "https:")},
            "no address": {**options, "url": "example"},
            "a secret that is none": {**options, "secret": "let-me-in-please"},
            "a header that is none": {**options, "headers": "open-sesame"},
        }

    def cut_connection(self, app: Any) -> None:
        self.receiver.expect(cut())

    def limit_rate(self, app: Any) -> None:
        self.receiver.expect(answer(429))

    def make_target(self, *, mode: SyncMode = SyncMode.SYNC, groups: tuple[str, ...] = ()) -> Target:
        return Target(self.export_options, "email", EXPORT_FIELDS, mode, groups)

    def held(self, app: Any, target: Target, keys: Sequence[Any]) -> Mapping[Any, Mapping[str, Any]]:
        people = hold(self.receiver.deliveries)
        return {key: people[key].profile for key in keys if key in people}

    def held_groups(self, app: Any, target: Target, key: Any) -> set[str]:
        people = hold(self.receiver.deliveries)
        return set(people[key].groups) if key in people else set()

    def refused_payload(self) -> Mapping[str, Any]:
        return {**dict.fromkeys(EXPORT_FIELDS), "email": "charlie@example.com", "name": "\ud83d"}

    def received_events(self) -> Sequence[ReceivedEvent]:
        return [
            ReceivedEvent(person=each.json["profile"]["email"].partition("@")[0], body=each.json, id=each.id)
            for each in self.receiver.deliveries
            if each.method == "POST" and self.was_accepted(each)
        ]

    def was_accepted(self, delivery: Delivery) -> bool:
        return delivery.signed and delivery.answer == 200

    def refused_item(self, item: OutboundItem) -> OutboundItem:
        return replace(item, body={**item.body, "number": 2**70, "half": "\ud83d"})


class TestWebhookOfMany(TestWebhook):
    """The same with many profiles in one request, by another path and method."""

    app_type = LocalWebhook
    export_options: ClassVar[Mapping[str, Any]] = {
        "at_once": "7",
        "url": "/people",
        "method": "PUT",
        "removal": "delete",
    }
