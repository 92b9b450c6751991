"""The facts that cross the border between a plugin and the product.

Frozen dataclasses and named errors; pure Python, no Django. Every plugin and every caller of one speaks in these
words, so a plugin can be tried in a plain shell. `plugins/base.py` holds the capabilities that use them.

Errors are named for what happens next::

    PluginError
    ├── Retry    try the same again later (optionally not before `after` seconds)
    ├── Reject   this item's data is bad: not again until it changes
    └── Halt     credentials, quota, a missing table: nothing more until a person mends it

Any other exception that leaves a plugin is treated as `Retry` with its text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

# ---------------------------------------------------------------- what an App type says of itself


class OptionKind(StrEnum):
    """How an option is asked for, checked, stored and shown. Only `SECRET` is encrypted at rest and masked."""

    TEXT = "text"
    SECRET = "secret"  # noqa: S105  the name of a kind
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    LOADED_CHOICE = "loaded_choice"  # choices come from the tool itself, by `App.choices(key)`
    SQL = "sql"
    JSON = "json"  # a JSON text that a person writes, kept as the text
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of an App, as data: the form, the checks, the masking and the API schema all come from it."""

    key: str
    label: str
    kind: OptionKind = OptionKind.TEXT
    help: str = ""
    required: bool = False
    default: Any = None
    placeholder: str = ""
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AppSpec:
    """What the Marketplace shows of an App type and what the product needs to know before it makes one."""

    key: str
    label: str
    description: str
    icon: str
    categories: tuple[str, ...]
    options: tuple[Option, ...]
    parallel_calls: int = 4  # calls to one App at the same time, over all workers
    most_parallel_calls: int = 64  # what a person may raise that to
    reads_in_turn: bool = False  # whether reading takes one of these calls too: for tools that count connections


# ---------------------------------------------------------------- outcomes and errors


class PluginError(Exception):
    """Something went wrong in a plugin; the subclass says what happens next.

    `option` is the key of the option that a person has to change, where it is one: the form shows the reason beside it.
    """

    def __init__(self, reason: str = "", *, option: str = "") -> None:
        self.reason = reason or (type(self).__doc__ or "").split("\n")[0]
        self.option = option
        super().__init__(self.reason)


class Retry(PluginError):
    """The tool could not answer just now; the same will be tried again later."""

    def __init__(self, reason: str = "", *, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after  # seconds the tool asked us to wait (Retry-After); None: our own backoff


class Reject(PluginError):
    """The tool refused this item's data; it is not sent again until it changes."""


class Halt(PluginError):
    """Nothing more can be done with this App until a person mends it."""


class OutcomeKind(StrEnum):
    """What became of one exported profile or forwarded event."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    REJECT = "reject"
    HALT = "halt"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The tool's answer for one item. `after` is in seconds and only meaningful for a retry.

    `reply` is what the tool said, such as "200 OK" and the first lines of its text; `request` what was sent, secrets
    masked and without what the product keeps anyway; `seconds` how long the answer took. All three are for people who
    read the log, and may be left out.
    """

    kind: OutcomeKind
    reason: str = ""
    after: float | None = None
    reply: str = ""
    request: str = ""
    seconds: float | None = None


ACCEPTED = Outcome(OutcomeKind.ACCEPTED)


@dataclass(frozen=True, slots=True)
class TestResult:
    """Whether a connection works, in one sentence that says what to mend when it does not."""

    ok: bool
    message: str
    __test__ = False  # not a pytest class


# ---------------------------------------------------------------- samples


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a source. `type` is one of the product's value types, as near as the source's own type allows."""

    name: str
    type: str = "string"
    native_type: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table, list or file that an App has. `name` is what a person would write in a query (`schema.table`).

    Where names say nothing to people, such as ids, `label` is what the tool itself calls it.
    """

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    label: str = ""

    @property
    def title(self) -> str:
        """What people choose it by."""
        return f"{self.label} ({self.name})" if self.label else self.name


@dataclass(frozen=True, slots=True)
class Sample:
    """A few rows, aligned with `columns`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


# ---------------------------------------------------------------- import pages


@dataclass(frozen=True, slots=True)
class RecordSource:
    """What an import Schedule reads. Exactly one of `table`, `query`, `path` is set.

    `changed_column` and `id_column` give the order (changed, id) in which rows are read; without a changed column the
    whole source is read in the order of `id_column`. A query may hold `{{high_water_mark}}`, which is bound to the
    mark's changed value (or to NULL-safe "from the beginning" where there is none yet).
    """

    table: str = ""
    query: str = ""
    path: str = ""
    changed_column: str = ""
    id_column: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far reading has come: the (changed, id) of the last row taken, in the plugin's own JSON-safe text.

    `changed` is None for sources read whole; `id` is None when everything at exactly `changed` should be read again
    (the start of a run after its lookback). `offset` serves files: the byte or row that comes next. A source that gives
    a `changed` although no changed column is named, as watched files do, is read on from there by the next run.
    """

    changed: str | None = None
    id: str | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be read, with where it stood and why. `text` is the row as far as it could be read."""

    number: int
    reason: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of records: at most `limit` rows, in reading order, aligned with `columns`.

    Values are plain Python values that JSON can hold after the product's own conversion: str, int, float, Decimal,
    bool, None, datetime, date, list, dict. `mark` is where the next page starts; `more` says whether there is one.
    `changed` holds each row's changed-at value where the source has a changed column (aligned with rows, else empty).
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    mark: Mark
    more: bool
    changed: Sequence[datetime | None] = ()
    rejected: Sequence[BadRow] = ()
    done_bytes: int | None = None  # for files: how far in, for the progress bar
    notes: tuple[str, ...] = ()  # told to the user once, such as "read as Latin-1"


# ---------------------------------------------------------------- retrieving properties


@dataclass(frozen=True, slots=True)
class QueryAsk:
    """A templated query of one rule. `variables` gives the value type of each `{{profile.KEY}}` in `template`."""

    rule: str
    template: str
    variables: Mapping[str, str]  # property key -> value type
    is_array: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition of a column rule: eq, ne, gt, gte, lt, lte, contains, not_contains, exists, not_exists, in."""

    column: str
    operator: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class ColumnAsk:
    """A column rule: `aggregation` of `column` over the rows of `table` whose `key_column` equals the profile's `key`.

    Aggregations: exact, count, sum, average, min, max, most_recent, least_recent (the last two by `sort_column`).
    """

    rule: str
    table: str
    column: str
    key_column: str
    key: str  # the property key whose value is matched
    key_type: str
    aggregation: str = "exact"
    sort_column: str = ""
    filters: tuple[Filter, ...] = ()
    is_array: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement that was sent to a tool, for the people who ask what happened. Values are never part of it."""

    text: str
    seconds: float
    rows: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What retrieving gave for one rule: `values[i]` belongs to the i-th profile of the batch.

    A rule that failed has `error` set and no values. `several` lists the indexes for which a non-array rule met more
    than one row (the first was taken). `gone` marks an
    error that will not mend itself.
    """

    rule: str
    values: Sequence[Any] = ()
    several: Sequence[int] = ()
    error: str = ""
    gone: bool = False  # the error says that a column or table no longer exists


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The answers for one batch, and the statements it took."""

    answers: Sequence[Answer]
    statements: Sequence[Statement]


# ---------------------------------------------------------------- exporting


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a destination.

    `type` is one of the product's value types, as near as the tool's own allows; `json` takes any value as it is. A
    property of another type is converted before the plugin gets it, or refused while a person chooses it.
    """

    key: str
    type: str = "string"
    required: bool = False
    known: bool = True  # False: the tool makes it when first written
    takes_lists: bool = False  # a property with several values may go here, as a list of them
    key_problem: str = ""  # why people cannot be known by this field, and what to do; empty when they can


class SyncMode(StrEnum):
    """What an export may do to the destination: everything, never remove, or only update what is there."""

    SYNC = "sync"
    ADDITIVE = "additive"
    ENRICH = "enrich"


@dataclass(frozen=True, slots=True)
class Target:
    """Where an export Schedule writes: its options (such as the table), its key field, its fields with their types.

    `is_backfill`: everyone is sent for the first time or anew, so that a tool that can should start no journey.
    """

    options: Mapping[str, Any]
    key_field: str
    fields: Mapping[str, str]  # destination field -> type of its values (see `Field`), the key field included
    mode: SyncMode = SyncMode.SYNC
    groups: tuple[str, ...] = ()  # every name a group may carry at this destination
    is_backfill: bool = False


class ProfileExport(NamedTuple):
    """One profile's owed change. `new` None means removal; `old` None means the destination held nothing from us.

    Payloads hold destination fields with typed values (dates as ISO 8601 text), the key field among them.
    `release_old_key` is False when another profile has taken the old key over: then nothing may be removed there.
    `id` names the change: the same however often it is sent, another one for every later change, also for one that
    brings back what there was before. Empty where the caller cannot tell.
    """

    profile: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None
    old_groups: tuple[str, ...] = ()
    new_groups: tuple[str, ...] = ()
    release_old_key: bool = True
    id: str = ""


# ---------------------------------------------------------------- outbound events


@dataclass(frozen=True, slots=True)
class OutboundItem:
    """One event on its way out, with the profile data that goes with it.

    `id` is the same however often the item is sent, so a tool can tell a repetition. `body` is the JSON object as a
    person configured it: the event's payload as it came, and under `profile` what was chosen of the profile.
    `identities` holds the profile's unique properties by key, typed, whether or not they are part of the body: a tool
    finds its own record by them. Items of one `profile` come in the order in which they have to arrive.
    """

    id: str
    type: str
    occurred_at: datetime
    body: Mapping[str, Any]
    profile: str = ""  # the profile's guid
    identities: Mapping[str, Any] = field(default_factory=dict)
    is_backfill: bool = False  # an old event, sent to fill up: tools that can should start nothing because of it
    is_test: bool = False  # sent by a person who tries a subscription
    options: Mapping[str, Any] = field(default_factory=dict)  # the subscription's own
