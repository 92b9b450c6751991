"""What a plugin's test class tells the contract suite, and the data that the suite gives it.

Hooks may use `self.tmp_path`, and whatever a fixture of the test class with `autouse=True` sets on `self`: pytest
makes one instance per test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from plugins.base import App, ExportsProfiles, GivesSamples, ReadsBack, TestsConnection
from plugins.contracts import OptionKind, OutboundItem, ProfileExport, RecordSource, SyncMode, Target

Test = TypeVar("Test", bound=Callable[..., None])

EXPORT_FIELDS: Mapping[str, str] = {
    "email": "email",
    "name": "string",
    "spent": "float",
    "visits": "integer",
    "since": "date",
    "vip": "boolean",
}

STRANGE_NAMES = [
    "Zoë Ünïcode-日本語 👩‍👩‍👧",
    "O'Brien; drop table users; --",
    '"quoted", with comma; and\ttab',
    "two\nlines\r\nthree",
    "100 % {{profile.email}} %s ? :name",
    "back\\slash\\",
    "=1+1",
    " spaces around ",
    "x" * 200_000,
    None,
]

START = datetime(2024, 2, 29, 23, 59, 59, 999_998, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row that `fill_source` puts into the tool: columns `id` (integer, unique), `changed_at`, `name` (any text)."""

    id: int
    changed_at: datetime  # UTC, to the microsecond
    name: str | None


@dataclass(frozen=True, slots=True)
class SourceNames:
    """What the tool calls the columns of a `SourceRow`, and by which of them a rule finds a profile's row."""

    id: str = "id"
    name: str = "name"
    key_column: str = "id"
    key: str = "user_id"  # the property that it matches
    key_type: str = "integer"


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event as the tool received it. `id` is None where the tool does not get to see the event's id."""

    person: str  # alice, bob or charlie
    body: Mapping[str, Any]
    id: str | None = None


def people(count: int, *, same_time: int = 1) -> list[SourceRow]:
    """Rows in reading order; `same_time` of them at a time share their changed_at."""
    return [
        SourceRow(place + 1, START + timedelta(microseconds=place // same_time), f"Person {place + 1}")
        for place in range(count)
    ]


def in_batches(app: Any, target: Target, batch: Sequence[ProfileExport]) -> list[Any]:
    """Export in batches of the plugin's own size; the outcomes in order."""
    size = app.batch_size
    return [
        outcome for start in range(0, len(batch), size) for outcome in app.export(target, batch[start : start + size])
    ]


def needs(*capabilities: type, hook: str = "", flag: str = "") -> Callable[[Test], Test]:
    """Inherit the test only with these capabilities, with the optional hook overridden, and with the flag set."""

    def mark(test: Test) -> Test:
        test.needs = (capabilities, hook, flag)  # type: ignore[attr-defined]  # a note on the function
        return test

    return mark


class Hooks:
    """Override the first two, and those of the App type's capabilities."""

    app_type: ClassVar[type[App]]
    longest_text: ClassVar[int] = 1_000_000  # characters that a text of the tool may have
    source_names: ClassVar[SourceNames] = SourceNames()
    calculates: ClassVar[bool] = True  # whether rules may add rows up, choose them by filters, find them by any column
    tmp_path: Path

    @pytest.fixture(autouse=True)
    def _give_tmp_path(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path

    # ------------------------------------------------------------ connection

    def working_options(self) -> Mapping[str, Any]:
        """Options with which everything works."""
        raise NotImplementedError

    def broken_options(self) -> Mapping[str, Mapping[str, Any]]:
        """By what is wrong ("wrong password", "unknown host"): options with which nothing works. At least one."""
        raise NotImplementedError

    def cut_connection(self, app: Any) -> None:
        """Optional: end the open connection of `app` from the other side."""
        raise NotImplementedError

    # ------------------------------------------------------------ the source

    def fill_source(self, rows: Sequence[SourceRow]) -> RecordSource:
        """Let the tool hold exactly `rows`, and say how to read them. Called again, it replaces what was there.

        Tools without a changed column leave it out of the source. `name` may be as long as `longest_text`. A tool that
        has columns of its own says in `source_names` which of them hold `id` and `name`.
        """
        raise NotImplementedError

    def key_of(self, id_: int) -> Any:
        """What the row of this id holds in the column by which rules find it."""
        return id_

    def missing_source(self) -> RecordSource:
        """A source that does not exist."""
        raise NotImplementedError

    def name_query(self, table: str) -> str:
        """Optional: a query for the `name` of the rows whose `id` is `{{profile.user_id}}`, in the order of names."""
        raise NotImplementedError

    # ------------------------------------------------------------ the destination

    def make_target(self, *, mode: SyncMode = SyncMode.SYNC, groups: tuple[str, ...] = ()) -> Target:
        """An empty destination with `EXPORT_FIELDS` and the key field `email`."""
        raise NotImplementedError

    def held(self, app: Any, target: Target, keys: Sequence[Any]) -> Mapping[Any, Mapping[str, Any]]:
        """What the destination holds for these keys; override it where the App type cannot read back."""
        assert isinstance(app, ReadsBack), "override held()"  # noqa: S101 - a test's own words
        return app.read_back(target, keys)

    def held_groups(self, app: Any, target: Target, key: Any) -> set[str]:
        """Optional: the groups that the destination shows for one key."""
        raise NotImplementedError

    def refused_payload(self) -> Mapping[str, Any]:
        """Optional: a payload that the tool refuses while it takes others."""
        raise NotImplementedError

    def limit_rate(self, app: Any) -> None:
        """Optional: let the tool answer "too many requests" to the next call."""
        raise NotImplementedError

    # ------------------------------------------------------------ outbound events

    def event_options(self) -> Mapping[str, Any]:
        """What a subscription of this App type is set up with; nothing by default."""
        return {}

    def received_events(self) -> Sequence[ReceivedEvent]:
        """What the tool has received during the test, in order of arrival.

        Alice, Bob and Charlie (user_id 1 to 3, alice@example.com and so on) are known to the tool before.
        """
        raise NotImplementedError

    def expected_body(self, item: OutboundItem) -> Mapping[str, Any]:
        """The body as the tool receives it; override it where the tool takes less than any JSON object."""
        return item.body

    def refused_item(self, item: OutboundItem) -> OutboundItem:
        """Optional: the item, changed so that the tool refuses it while it takes others."""
        raise NotImplementedError

    # ------------------------------------------------------------ for the tests themselves

    def strange_names(self) -> list[str | None]:
        """The odd values that the tool can hold."""
        return [name for name in STRANGE_NAMES if name is None or len(name) <= self.longest_text]

    def connect(self) -> Any:
        """A new instance with the working options; typed loosely, since tests ask for its capabilities."""
        return self.app_type(self.working_options())

    def secrets(self, options: Mapping[str, Any]) -> list[str]:
        """The values of the options that nobody may see."""
        keys = [option.key for option in self.app_type.spec.options if option.kind is OptionKind.SECRET]
        return [str(options[key]) for key in keys if options.get(key)]

    @classmethod
    def leave_out_what_does_not_apply(cls) -> None:
        """Take away the tests of capabilities and hooks that this test class has not got."""
        for name in dir(cls):
            capabilities, hook, flag = getattr(getattr(cls, name), "needs", ((), "", ""))
            lacks = any(not issubclass(cls.app_type, capability) for capability in capabilities)
            if lacks or (flag and not getattr(cls, flag)) or (hook and getattr(cls, hook) is getattr(Hooks, hook)):
                setattr(cls, name, None)  # pytest passes over what cannot be called

    def use(self, app: Any) -> None:
        """Ask the tool for something, by whatever capability is at hand."""
        if isinstance(app, GivesSamples):
            app.tables()
        elif isinstance(app, ExportsProfiles):
            app.export(self.make_target(), [])
        elif isinstance(app, TestsConnection):
            app.test()
