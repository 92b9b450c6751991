"""The Mailchimp plugin keeps the contract, by the official client, against the stand-in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from plugins.contracts import OutboundItem, RecordSource, SyncMode, Target
from plugins.mailchimp.changes import hash_email
from plugins.mailchimp.standin.server import Misbehaviour, Standin
from plugins.testing import EXPORT_FIELDS, PluginContract, ReceivedEvent, SourceNames, SourceRow
from tests.plugins.mailchimp.conftest import LIST, LocalMailchimp, options_for
from tests.plugins.mailchimp.exports import put_member

STATUSES = ("subscribed", "unsubscribed", "cleaned", "archived")


class TestMailchimp(PluginContract):
    app_type = LocalMailchimp
    longest_text: ClassVar[int] = 255
    source_names: ClassVar[SourceNames] = SourceNames("ID", "NAME", "email_address", "email", "email")
    calculates: ClassVar[bool] = False

    standin: Standin

    @pytest.fixture(autouse=True)
    def _give_standin(self, standin: Standin) -> None:
        self.standin = standin

    def working_options(self) -> Mapping[str, Any]:
        return options_for(self.standin)

    def broken_options(self) -> Mapping[str, Mapping[str, Any]]:
        return {
            "a wrong key": options_for(self.standin, api_key="0123456789abcdef0123456789abcdef-us9"),
            "a server that is not there": options_for(self.standin, server_url="http://127.0.0.1:1"),
            "an audience that is not there": options_for(self.standin, list_id="nosuchlist"),
            "a key without a data centre": {"api_key": "0123456789abcdef", "list_id": LIST},
        }

    def make_target(self, *, mode: SyncMode = SyncMode.SYNC, groups: tuple[str, ...] = ()) -> Target:
        fields = self.standin.store.merge_fields(LIST) or []
        self.standin.store.delete_list(LIST)
        self.standin.store.add_list(LIST, "Newsletter", fields)
        return Target(options={}, key_field="email", fields=EXPORT_FIELDS, mode=mode, groups=groups)

    def held_groups(self, app: Any, target: Target, key: Any) -> set[str]:
        member = self.standin.store.member(LIST, hash_email(key))
        if member is None or member["status"] == "archived":
            return set()
        return {tag["name"] for tag in self.standin.store.tags(LIST, member["hash"])}

    def refused_payload(self) -> Mapping[str, Any]:
        return {"email": "someone@fake.invalid", "name": "Nobody"}

    def limit_rate(self, app: Any) -> None:
        self.standin.expect(Misbehaviour("throttle", after=7))

    def cut_connection(self, app: Any) -> None:
        self.standin.expect(Misbehaviour("cut"))

    # ------------------------------------------------------------ members as rows

    def fill_source(self, rows: Sequence[SourceRow]) -> RecordSource:
        fields = self.standin.store.merge_fields(LIST) or []
        self.standin.store.delete_list(LIST)
        self.standin.store.add_list(LIST, "Newsletter", fields)
        for row in rows:
            put_member(
                self.standin,
                self.key_of(row.id),
                status=STATUSES[row.id % len(STATUSES)],
                merge_fields={"ID": str(row.id), "NAME": "" if row.name is None else row.name},
                changed=row.changed_at.isoformat(timespec="seconds"),
            )
        return RecordSource(table=LIST, changed_column="last_changed", id_column="email_address")

    def missing_source(self) -> RecordSource:
        return RecordSource(table="nosuchlist", changed_column="last_changed", id_column="email_address")

    def key_of(self, id_: int) -> str:
        return f"person{id_:03}@example.com"

    # ------------------------------------------------------------ outbound events

    def event_options(self) -> Mapping[str, Any]:
        for person in ("alice", "bob", "charlie"):
            if self.standin.store.member(LIST, f"{person}@example.com") is None:
                put_member(self.standin, f"{person}@example.com")
        return {}

    def received_events(self) -> Sequence[ReceivedEvent]:
        return [
            ReceivedEvent(person=row["email"].partition("@")[0], body=row["body"]["properties"])
            for row in self.standin.store.events(LIST)
        ]

    def expected_body(self, item: OutboundItem) -> Mapping[str, Any]:
        return {
            key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for key, value in item.body.items()
        }

    def refused_item(self, item: OutboundItem) -> OutboundItem:
        return replace(item, identities={}, body={"number": 2})
