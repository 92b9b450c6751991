"""The base class of every App type and the capabilities it can have.

A plugin subclasses `App` together with the capabilities it offers; the rest of the product asks with `isinstance` or
`issubclass`. An instance is one open connection to one tool: made with checked options, used inside `with`, closed at
the end. Nothing here may import Django or any app of the product.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from plugins.contracts import (
    AppSpec,
    ColumnAsk,
    Field,
    Mark,
    Option,
    OutboundItem,
    Outcome,
    Page,
    ProfileExport,
    QueryAsk,
    RecordSource,
    Retrieval,
    Sample,
    SyncMode,
    Table,
    Target,
    TestResult,
)

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


class App:
    """One tool, connected with `options` (already checked against `spec.options`, secrets in clear)."""

    spec: ClassVar[AppSpec]
    private_hosts_allowed: bool = False  # set by the product; for plugins that connect to an address a person typed
    calls_at_once: int = 1  # set by the product: how many calls it may make at the same time; for plugins that can

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.spec.key}>"  # never the options: they hold secrets

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what the connection holds; safe to call twice."""

    def choices(self, option: str) -> Sequence[tuple[str, str]]:
        """The (value, label) pairs of a `LOADED_CHOICE` option, asked from the tool."""
        raise NotImplementedError(option)


class TestsConnection(ABC):
    """Says in a sentence whether the connection works and what to mend."""

    __test__ = False

    @abstractmethod
    def test(self) -> TestResult:
        """Never raises for a tool that cannot be reached: that is a result with `ok=False`."""


class GivesSamples(ABC):
    """Shows what the tool has, for pickers and previews."""

    takes_queries: ClassVar[bool] = False  # whether an import may read a query, which `sample_query` can then show

    @abstractmethod
    def tables(self) -> Sequence[Table]:
        """Every table or list with its columns, in name order."""

    @abstractmethod
    def sample(self, table: str, *, limit: int = 10) -> Sample:
        """The first rows of one table."""

    def sample_query(self, query: str, *, limit: int = 10) -> Sample:
        """The first rows of an import's query, `{{high_water_mark}}` counting as null. Raises `Halt` or `Retry`."""
        raise NotImplementedError(query)


class ImportsRecords(ABC):
    """Reads records page by page in the order (changed, id)."""

    @abstractmethod
    def read_page(self, source: RecordSource, *, after: Mark | None, limit: int) -> Page:
        """The rows behind `after` (all of them when None). Ties on the changed value neither loop nor get lost."""

    def count(self, source: RecordSource, *, after: Mark | None) -> int | None:
        """How many rows `read_page` would give in all, where that is cheap to know; for the progress bar.

        Of a file it is the size in bytes, to which `Page.done_bytes` counts up.
        """
        return None

    def rewind(self, mark: Mark, *, lookback: float) -> Mark:
        """The mark `lookback` seconds earlier, from which the next run starts to see rows that were committed late."""
        return mark


class FetchesFiles(ABC):
    """Has files at addresses, which are fetched whole before they are read as if someone had brought them."""

    @abstractmethod
    def is_remote(self, path: str) -> bool:
        """Whether the file of this `RecordSource.path` has to be fetched first."""

    @abstractmethod
    def fetch(self, path: str, into: SupportsWrite[bytes]) -> None:
        """Write the file to `into`. Raises `Retry` when it did not come whole, `Halt` when it never will."""


class RetrievesProperties(ABC):
    """Fetches the values of many rules for a batch of profiles, in as few statements as the tool allows."""

    @abstractmethod
    def retrieve(self, asks: Sequence[QueryAsk | ColumnAsk], profiles: Sequence[Mapping[str, Any]]) -> Retrieval:
        """`profiles[i]` holds the typed property values that the asks' variables need. Values are only ever bound.

        A rule that fails on its own gives an `Answer` with `error`; a tool that cannot be reached raises `Retry`
        or `Halt`.
        """

    def check_query(self, template: str, variables: Mapping[str, str]) -> None:  # noqa: B027  may be left as it is
        """Raise `Reject` with a sentence when the template is not one read-only SELECT this tool can run."""


class ExportsProfiles(ABC):
    """Writes profiles to the tool."""

    target_options: ClassVar[tuple[Option, ...]] = ()  # what an export Schedule is asked for, such as the table
    sync_modes: ClassVar[frozenset[SyncMode]] = frozenset(SyncMode)
    idempotent: ClassVar[bool] = True  # sending the same item twice leaves the tool as sending it once
    batch_size: ClassVar[int] = 1000
    new_fields_option: ClassVar[str] = ""  # the target option (yes or no) with which fields that are missing are made

    def fields(self, target_options: Mapping[str, Any]) -> Sequence[Field]:
        """The fields the tool knows at this target; empty when it makes whatever is sent.

        Raises `Halt` with what to do when nothing can be exported there.
        """
        return ()

    @abstractmethod
    def export(self, target: Target, batch: Sequence[ProfileExport]) -> Sequence[Outcome]:
        """One outcome per profile, in order. Raises `Retry` or `Halt` for the whole batch."""

    def finish(self, target: Target) -> None:  # noqa: B027  may be left as it is
        """Called once at the end of a run, for tools that publish what was written as a whole (files)."""


class ReadsBack(ABC):
    """Tells what the tool holds now, to settle doubt after a crash."""

    @abstractmethod
    def read_back(self, target: Target, keys: Sequence[Any]) -> Mapping[Any, Mapping[str, Any]]:
        """The payload held for each key; keys the tool does not hold are absent."""


class ForwardsEvents(ABC):
    """Takes outbound events.

    `repeatable` says whether the tool can tell a repeated event by its id, so that sending one again after a crash
    does no harm. `forward` sends the events of one profile one after the other in the batch's order; once one of them
    is to be tried again, those behind it are answered so too, and not sent.
    """

    repeatable: ClassVar[bool] = False
    event_batch_size: ClassVar[int] = 100

    @abstractmethod
    def forward(self, batch: Sequence[OutboundItem]) -> Sequence[Outcome]:
        """One outcome per event, in order. Raises `Retry` or `Halt` for the whole batch."""


CAPABILITIES: tuple[type, ...] = (
    TestsConnection,
    GivesSamples,
    ImportsRecords,
    FetchesFiles,
    RetrievesProperties,
    ExportsProfiles,
    ReadsBack,
    ForwardsEvents,
)
