"""The Customer.io plugin keeps the contract, by the official client, against the stand-in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from plugins.contracts import OutboundItem, SyncMode, Target
from plugins.customerio.forwarding import make_ulid
from plugins.testing import EXPORT_FIELDS, PluginContract, ReceivedEvent
from tests.plugins.customerio.conftest import LocalCustomerio, options_for
from tests.plugins.customerio.standin import Misbehaviour, Standin
from tests.plugins.customerio.workspace import Workspace


class TestCustomerio(PluginContract):
    app_type = LocalCustomerio
    longest_text: ClassVar[int] = 250

    standin: Standin

    @pytest.fixture(autouse=True)
    def _give_standin(self, standin: Standin) -> None:
        self.standin = standin

    def working_options(self) -> Mapping[str, Any]:
        return options_for(self.standin)

    def broken_options(self) -> Mapping[str, Mapping[str, Any]]:
        return {
            "a wrong key": options_for(self.standin, api_key="0123456789abcdef0000"),
            "a wrong site": options_for(self.standin, site_id="0000"),
            "a server that is not there": options_for(self.standin, server_url="http://127.0.0.1:1"),
            "no key": options_for(self.standin, api_key=""),
        }

    def make_target(self, *, mode: SyncMode = SyncMode.SYNC, groups: tuple[str, ...] = ()) -> Target:
        self.standin.workspace = Workspace()
        return Target(options={}, key_field="email", fields=EXPORT_FIELDS, mode=mode, groups=groups)

    def held(self, app: Any, target: Target, keys: Sequence[Any]) -> Mapping[Any, Mapping[str, Any]]:
        found = {key: self.standin.workspace.find({"email": key}) for key in keys}
        return {
            key: {**person.attributes, "email": person.email, "since": _moment(person.attributes.get("since"))}
            for key, person in found.items()
            if person is not None
        }

    def held_groups(self, app: Any, target: Target, key: Any) -> set[str]:
        person = self.standin.workspace.find({"email": key})
        return set() if person is None else {group for group in target.groups if person.attributes.get(f"in_{group}")}

    def refused_payload(self) -> Mapping[str, Any]:
        return {"email": "nobody@example.com", "name": "x" * 1001}

    def limit_rate(self, app: Any) -> None:
        self.standin.expect(Misbehaviour("throttle", after="7"))

    def cut_connection(self, app: Any) -> None:
        self.standin.expect(Misbehaviour("cut"))

    # ------------------------------------------------------------ outbound events

    def received_events(self) -> Sequence[ReceivedEvent]:
        numbered = {make_ulid(self.event(number)): f"event-{number}" for number in range(200)}
        return [
            ReceivedEvent(event.identifiers["email"].partition("@")[0], event.data, numbered[str(event.id)])
            for event in self.standin.workspace.events
        ]

    def refused_item(self, item: OutboundItem) -> OutboundItem:
        return replace(item, identities={}, body={"number": 2})


def _moment(seconds: Any) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
