"""Making and changing property rules: the only writer of `ProfilePropertyRule`, `RuleVariable` and `RuleSetVersion`.

Every change takes the rules' lock alone and counts up the version, so a batch that read the rules before notices and
starts over with the new ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

from apps_connectors.connections import connect
from apps_connectors.models import App
from core.accounts import audit
from core.accounts.actors import SYSTEM, Actor
from core.lib import templates
from core.lib.errors import InvalidInput
from core.work import leases
from core.work.wake import wake
from plugins.base import RetrievesProperties
from plugins.contracts import PluginError
from profiles.models import ProfilePropertyRule, Retrieval, RuleState, RuleVariable, ValueTypeName
from profiles.ruleset import RULES_LOCK

_KEY = re.compile(r"[a-z][a-z0-9_]*")
AGGREGATIONS = ("exact", "count", "sum", "average", "min", "max", "most_recent", "least_recent")
FILTERS = ("eq", "ne", "gt", "gte", "lt", "lte", "contains", "not_contains", "exists", "not_exists", "in")
_SORTED = ("most_recent", "least_recent")


@dataclass(frozen=True, slots=True)
class NewRule:
    """What a person says of a rule they make. `column` holds table, column, key_column, aggregation, sort_column,
    filters; `column_key` is the key of the unique property that `key_column` matches."""

    key: str
    type: str
    label: str = ""
    is_unique: bool = False
    is_array: bool = False
    identity_rank: int | None = None
    app: App | None = None
    query: str = ""
    column: Mapping[str, Any] = field(default_factory=dict)
    column_key: str = ""
    column_label: str = ""

    @property
    def retrieval(self) -> str:
        """How it gets its value."""
        if self.query:
            return Retrieval.QUERY
        return Retrieval.COLUMN if self.column else Retrieval.EVENT


def create_rule(new: NewRule, *, actor: Actor) -> ProfilePropertyRule:
    """Make a rule that is in use at once; raises InvalidInput with what to mend."""
    reads = _check(new)
    with transaction.atomic():
        _lock_and_count()
        if ProfilePropertyRule.objects.filter(key=new.key).exists():
            raise _invalid("key", f"There is already a property {new.key}.")
        if new.is_unique and new.identity_rank is None:
            rank = ProfilePropertyRule.objects.filter(is_unique=True).count() + 1
        else:
            rank = new.identity_rank or 0
        rule = ProfilePropertyRule.objects.create(
            key=new.key,
            label=new.label or new.key.replace("_", " ").capitalize(),
            type=new.type,
            is_unique=new.is_unique,
            is_array=new.is_array,
            identity_rank=rank if new.is_unique else None,
            app=new.app,
            retrieval=new.retrieval,
            query=new.query,
            column=dict(new.column),
            column_key=reads[0] if new.retrieval == Retrieval.COLUMN else None,
            column_label=new.column_label,
        )
        RuleVariable.objects.bulk_create([RuleVariable(rule=rule, reads=read) for read in reads])
        audit.record("rule.create", rule, after=describe(rule), actor=actor)
        _ask_everyone(rule)
    return rule


def change_retrieval(rule: ProfilePropertyRule, new: NewRule, *, actor: Actor) -> ProfilePropertyRule:
    """Get a rule's value in another way from now on, for everyone; its key, type and uniqueness stay."""
    kept = (rule.key, rule.type, rule.is_unique, rule.is_array)
    if kept != (new.key, new.type, new.is_unique, new.is_array):
        raise InvalidInput("The key, type and uniqueness of a property cannot be changed here.")
    reads = _check(new)
    with transaction.atomic():
        _lock_and_count()
        before = describe(rule)
        rule.label = new.label or rule.label
        rule.app, rule.retrieval, rule.query, rule.column = new.app, new.retrieval, new.query, dict(new.column)
        rule.column_key = reads[0] if new.retrieval == Retrieval.COLUMN else None
        rule.column_label, rule.paused_reason, rule.warning = new.column_label, "", ""
        rule.save()
        rule.variables.all().delete()
        RuleVariable.objects.bulk_create([RuleVariable(rule=rule, reads=read) for read in reads])
        _refuse_cycle(rule)
        audit.record("rule.change", rule, before=before, after=describe(rule), actor=actor)
        _ask_everyone(rule)
    return rule


def set_timed(rule_ids: Sequence[int], *, actor: Actor) -> bool:
    """From now on the values of these date rules are kept in ProfileDate; whether that is new for any of them."""
    with transaction.atomic():
        fresh = list(ProfilePropertyRule.objects.filter(pk__in=rule_ids, is_timed=False))
        if not fresh:
            return False
        _lock_and_count()
        ProfilePropertyRule.objects.filter(pk__in=[rule.pk for rule in fresh]).update(is_timed=True)
        for rule in fresh:
            audit.record("rule.follow_time", rule, after={"timed": True}, actor=actor)
    return True


def resume_rule(rule: ProfilePropertyRule, *, actor: Actor) -> None:
    """Ask a paused rule again from the next batch on."""
    with transaction.atomic():
        _lock_and_count()
        before = rule.paused_reason
        ProfilePropertyRule.objects.filter(pk=rule.pk).update(paused_reason="", warning="")
        _ask_everyone(rule)
        audit.record("rule.resume", rule, before={"paused": before}, after={"paused": ""}, actor=actor)


def note_answers(*, gone: Mapping[str, str], several: Mapping[str, int]) -> None:
    """After a batch: pause rules whose column or table vanished, and say which met more than one row."""
    for key, reason in gone.items():
        with transaction.atomic():
            paused = ProfilePropertyRule.objects.filter(key=key, paused_reason="")
            rule = paused.first()
            if rule is not None:
                _lock_and_count()
                paused.update(paused_reason=reason)
                audit.record("rule.pause", rule, after={"paused": reason}, actor=SYSTEM)
    if several:
        warning = "Its source has more than one row for some people; the first row is taken."
        ProfilePropertyRule.objects.filter(key__in=several, warning="").update(warning=warning)


def describe(rule: ProfilePropertyRule) -> dict[str, Any]:
    """A rule for the audit log."""
    return {
        "key": rule.key,
        "type": rule.type,
        "unique": rule.is_unique,
        "array": rule.is_array,
        "app": rule.app_id,
        "retrieval": rule.retrieval,
        "query": rule.query,
        "column": rule.column,
    }


def _check(new: NewRule) -> list[ProfilePropertyRule]:
    """The rules it reads, after everything that can be judged without a lock was judged."""
    if not _KEY.fullmatch(new.key) or len(new.key) > 60:
        raise _invalid("key", "A key has lower-case letters, digits and underscores, and starts with a letter.")
    if new.type not in ValueTypeName.values:
        raise _invalid("type", f"{new.type} is not a type; choose one of {', '.join(ValueTypeName.values)}.")
    if new.is_unique and new.is_array:
        raise _invalid("is_unique", "A property with several values cannot be unique.")
    if new.retrieval == Retrieval.EVENT:
        return []
    if new.app is None:
        raise _invalid("app", "Choose the App that is asked for it.")
    keys = _read_query(new) if new.retrieval == Retrieval.QUERY else _read_column(new)
    if new.key in keys:
        raise _invalid("query", f"It reads {new.key}, which is the property itself.")
    found = {rule.key: rule for rule in ProfilePropertyRule.objects.filter(key__in=keys, state=RuleState.READY)}
    unknown = [key for key in keys if key not in found]
    if unknown:
        raise _invalid("query", f"There is no property {', '.join(unknown)}; make it first or mend the name.")
    if new.retrieval == Retrieval.COLUMN and not found[keys[0]].is_unique:
        raise _invalid("column_key", f"{keys[0]} is not unique, so it cannot say whose row it is.")
    _try_with_app(new, {key: found[key].type for key in keys})
    return [found[key] for key in keys]


def _read_query(new: NewRule) -> list[str]:
    try:
        keys = templates.variables(new.query)
    except templates.TemplateError as error:
        raise _invalid("query", str(error)) from None
    if not keys:
        raise _invalid("query", "It reads no property, so it would give everyone the same; use {{profile.KEY}}.")
    return keys


def _read_column(new: NewRule) -> list[str]:
    missing = [name for name in ("table", "column", "key_column") if not new.column.get(name)]
    if missing or not new.column_key:
        raise _invalid("column", f"Say the {', '.join(missing) or 'property that the key column matches'}.")
    aggregation = new.column.get("aggregation", "exact")
    if aggregation not in AGGREGATIONS:
        raise _invalid("column", f"{aggregation} is not an aggregation; choose one of {', '.join(AGGREGATIONS)}.")
    if aggregation in _SORTED and not new.column.get("sort_column"):
        raise _invalid("column", f"Say which column decides what is {aggregation.replace('_', ' ')}.")
    for condition in new.column.get("filters", []):
        operator = condition.get("operator")
        if operator not in FILTERS:
            raise _invalid("column", f"{operator} is not a filter; choose one of {', '.join(FILTERS)}.")
    return [new.column_key]


def _try_with_app(new: NewRule, variables: Mapping[str, str]) -> None:
    """Let the App judge the query before anyone depends on it."""
    assert new.app is not None  # noqa: S101  the caller looked
    try:
        with connect(new.app.pk) as app:
            if not isinstance(app, RetrievesProperties):
                raise _invalid("app", f"{new.app.name} cannot be asked for properties.")
            if new.retrieval == Retrieval.QUERY:
                app.check_query(new.query, variables)
    except PluginError as error:
        raise _invalid("query" if new.query else "app", error.reason) from None


def _refuse_cycle(rule: ProfilePropertyRule) -> None:
    """A rule may not read itself by way of others."""
    reads: dict[int, set[int]] = {}
    for rule_id, read_id in RuleVariable.objects.values_list("rule_id", "reads_id"):
        reads.setdefault(rule_id, set()).add(read_id)
    path = [rule.pk]
    seen: set[int] = set()
    if _finds_way_back(rule.pk, rule.pk, reads, path, seen):
        names = dict(ProfilePropertyRule.objects.filter(pk__in=path).values_list("pk", "key"))
        circle = " → ".join(names[p] for p in path)
        raise _invalid("query", f"These properties would read each other in a circle: {circle}.")


def _finds_way_back(at: int, goal: int, reads: Mapping[int, set[int]], path: list[int], seen: set[int]) -> bool:
    for read in reads.get(at, ()):
        path.append(read)
        if read == goal:
            return True
        if read not in seen:
            seen.add(read)
            if _finds_way_back(read, goal, reads, path, seen):
                return True
        path.pop()
    return False


def _ask_everyone(rule: ProfilePropertyRule) -> None:
    """Profiles that exist already learn the new value in the background."""
    if rule.retrieval != Retrieval.EVENT:
        leases.enqueue(kind="rehydrate", subject="everyone")
        wake("rehydrate")


def _lock_and_count() -> None:
    """Keep every batch from writing until the caller commits, and name the new state of the rules.

    The name is the time of the change, so that a restored or emptied database never repeats one.
    """
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", [RULES_LOCK])
        cursor.execute(
            "insert into rule_set_version (id, version) values (1, extract(epoch from clock_timestamp()) * 1000000)"
            " on conflict (id) do update set version = greatest(rule_set_version.version + 1, excluded.version)"
        )


def _invalid(where: str, message: str) -> InvalidInput:
    return InvalidInput(message, fields={where: message})
