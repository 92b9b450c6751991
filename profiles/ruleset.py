"""The property rules as the pipeline reads them: one frozen snapshot, loaded once for each change of any rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from django.db import connection

from core.accounts import project
from plugins.contracts import ColumnAsk, Filter, QueryAsk
from profiles.models import ProfilePropertyRule, Retrieval, RuleSetVersion, RuleState, RuleVariable
from profiles.suppression_key import read_key
from profiles.types import TYPES, parse_array

RULES_LOCK = 0x47520002  # advisory: shared by every batch while it writes, exclusive while a rule changes


_REGIONAL = frozenset({"phone_number", "date"})  # types whose reading depends on the project's region


@dataclass(frozen=True, slots=True)
class Rule:
    """One property rule. `parse` turns any value into the typed one, or raises `profiles.types.Rejected`."""

    id: int
    key: str
    label: str
    type: str
    is_unique: bool
    is_array: bool
    identity_rank: int | None
    app_id: int | None
    retrieval: str
    query: str
    column: Mapping[str, Any]
    column_key: str  # the key of the unique rule that a column rule is matched by; "" for others
    paused_reason: str
    is_timed: bool
    reads: tuple[str, ...]
    parse: Callable[[Any], Any] = field(compare=False)

    @property
    def is_asked(self) -> bool:
        """Whether its App is asked for it at every hydration."""
        return self.retrieval != Retrieval.EVENT and not self.paused_reason


@dataclass(frozen=True)
class RuleSet:
    """All rules in use. `version` names the state of the rules it was read from."""

    version: int
    rules: tuple[Rule, ...]
    follows_updates: bool = False  # whether ProfileDate has the time of each profile's last change
    suppression_key: bytes | None = field(default=None, repr=False)  # set once somebody was erased on request

    @cached_property
    def by_key(self) -> dict[str, Rule]:
        """Rules by property key."""
        return {rule.key: rule for rule in self.rules}

    @cached_property
    def by_id(self) -> dict[int, Rule]:
        """Rules by id."""
        return {rule.id: rule for rule in self.rules}

    @cached_property
    def unique(self) -> tuple[Rule, ...]:
        """Unique rules, the one that wins a conflict first."""
        unique = [rule for rule in self.rules if rule.is_unique]
        return tuple(sorted(unique, key=lambda rule: (rule.identity_rank or 0, rule.id)))

    @cached_property
    def timed(self) -> tuple[Rule, ...]:
        """Date rules whose values are kept in ProfileDate."""
        return tuple(rule for rule in self.rules if rule.is_timed)

    @cached_property
    def layers(self) -> tuple[tuple[Rule, ...], ...]:
        """The rules that are asked, in dependency order: a layer reads only what earlier layers gave."""
        asked = {rule.key: rule for rule in self.rules if rule.is_asked}
        depth: dict[str, int] = {}

        def depth_of(key: str) -> int:
            if key not in depth:
                below = [depth_of(read) + 1 for read in asked[key].reads if read in asked and read != key]
                depth[key] = max(below, default=0)
            return depth[key]

        layers: dict[int, list[Rule]] = {}
        for key, rule in asked.items():
            layers.setdefault(depth_of(key), []).append(rule)
        return tuple(tuple(layers[level]) for level in sorted(layers))

    def ask(self, rule: Rule) -> QueryAsk | ColumnAsk:
        """What to ask the rule's App."""
        if rule.retrieval == Retrieval.QUERY:
            variables = {key: self.by_key[key].type for key in rule.reads}
            return QueryAsk(rule=rule.key, template=rule.query, variables=variables, is_array=rule.is_array)
        column = rule.column
        return ColumnAsk(
            rule=rule.key,
            table=column["table"],
            column=column["column"],
            key_column=column["key_column"],
            key=rule.column_key,
            key_type=self.by_key[rule.column_key].type,
            aggregation=column.get("aggregation", "exact"),
            sort_column=column.get("sort_column", ""),
            filters=tuple(Filter(**condition) for condition in column.get("filters", [])),
            is_array=rule.is_array,
        )


@dataclass(slots=True)
class _Cache:
    """The last snapshot of this process and what it was read for: replaced whole, as threads share it."""

    found: tuple[tuple[int, str], RuleSet] | None = None


_cache = _Cache()


# Written out, since every batch and every call at a door asks this.
_VERSION = "coalesce((select version from rule_set_version where id = 1), 0)"
_NOW = f"select clock_timestamp(), {_VERSION}"


def current_version() -> int:
    """Which state of the rules the database has now; 0 before the first rule."""
    return _ask_now()[1]


def forget() -> None:
    """Read the rules anew at the next `load`; for tests that write them behind the product's back."""
    _cache.found = None


def load() -> RuleSet:
    """The rules as they are now; costs one small query while nothing changed."""
    return load_with_time()[0]


def load_with_time() -> tuple[RuleSet, datetime]:
    """The same, and what the database's clock says: for whoever needs both, by one query."""
    now, version = _ask_now()
    wanted = (version, project.current().phone_region)
    found = _cache.found
    if found is None or found[0] != wanted:
        found = _cache.found = wanted, _read(version=wanted[0], region=wanted[1])
    return found[1], now


def _ask_now() -> tuple[datetime, int]:
    with connection.cursor() as cursor:
        cursor.execute(_NOW)
        now, version = cursor.fetchone()
    return now, int(version)


def hold(version: int) -> bool:
    """Inside a transaction: keep rules from changing until it ends; False when they are no longer of `version`."""
    with connection.cursor() as cursor:  # each statement of one call has a snapshot of its own
        cursor.execute(f"select pg_advisory_xact_lock_shared({RULES_LOCK}); select {_VERSION}")
        held: int = cursor.fetchone()[0]
    return held == version


def _read(*, version: int, region: str) -> RuleSet:
    rows = list(ProfilePropertyRule.objects.filter(state=RuleState.READY).order_by("id"))
    keys = {row.pk: row.key for row in rows}
    reads: dict[int, list[str]] = {row.pk: [] for row in rows}
    for rule_id, read_id in RuleVariable.objects.values_list("rule_id", "reads_id").order_by("id"):
        if rule_id in reads and read_id in keys:
            reads[rule_id].append(keys[read_id])
    rules = tuple(
        Rule(
            id=row.pk,
            key=row.key,
            label=row.label,
            type=row.type,
            is_unique=row.is_unique,
            is_array=row.is_array,
            identity_rank=row.identity_rank,
            app_id=row.app_id,
            retrieval=row.retrieval,
            query=row.query,
            column=row.column,
            column_key=keys.get(row.column_key_id or 0, ""),
            paused_reason=row.paused_reason,
            is_timed=row.is_timed,
            reads=tuple(reads[row.pk]),
            parse=parser_of(row.type, is_array=row.is_array, region=region),
        )
        for row in rows
    )
    follows = RuleSetVersion.objects.filter(pk=1, follows_updates=True).exists()
    return RuleSet(version=version, rules=rules, follows_updates=follows, suppression_key=read_key())


def parser_of(type_name: str, *, is_array: bool, region: str) -> Callable[[Any], Any]:
    """What turns any value into a typed one, or raises `profiles.types.Rejected`."""
    if is_array:
        return partial(parse_array, type_name, region=region)
    parse = TYPES[type_name].parse
    return partial(parse, region=region) if type_name in _REGIONAL else parse
