"""Why a profile is in its groups, or not: each rule with its answer, the value that decides it, where that came from
and when, how near a miss is, and when time alone will change the answer. A few statements, however many groups.

The answers are those of `groups/compile.py`: the same SQL that decides membership, for one person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils.translation import gettext, ngettext
from psycopg2 import sql

from core.lib.clock import from_us
from groups.compile import HAPPENED, Compiled, Scope, compile_leaf, compile_times
from groups.definitions import Definition, define_many, event_types
from groups.foreseeing import MOST_TIMES, Question, foresee
from groups.models import Group, GroupKind, GroupMember
from groups.sentence import say_leaf, say_name
from groups.tree import AnyLeaf, EventLeaf, GroupLeaf, Leaf, Node, Source, Times
from profiles.meta import CAUSE, UPDATED, get
from profiles.models import Profile

_SHORT = {"greater_than": 1, "greater_than_or_equal": 1, "less_than": -1, "less_than_or_equal": -1}


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule: what it asks, whether it holds, and what decides it.

    `wanted` is the answer that helps someone into the group (False below a `none`); `is_moot` says that it has another
    one and that this does not matter, since what it belongs to is as wanted all the same.
    `value`: of a property or a field its value, None without one; of a group since when they are in it, or None; of an
    event how often they did it. `at`: when the value last changed, they joined, they last did it. `cause`: what set
    the value, where that is not the rule's own source (as in the change log). `short`: how far a miss is, in words.
    """

    path: str
    kind: str  # property, profile, group, event
    key: str
    label: str
    sentence: str
    holds: bool
    wanted: bool
    is_moot: bool
    value: Any
    at: datetime | None
    cause: str
    short: str

    @property
    def is_met(self) -> bool:
        """Whether the answer is the one that helps."""
        return self.holds is self.wanted


@dataclass(frozen=True, slots=True)
class Branch:
    """A node with its parts, in the order of the rules."""

    path: str
    match: str
    holds: bool
    wanted: bool
    is_moot: bool
    parts: tuple[Branch | Reason, ...]

    @property
    def is_branch(self) -> bool:
        """Branches and reasons stand side by side in a template."""
        return True

    @property
    def is_met(self) -> bool:
        """Whether the answer is the one that helps."""
        return self.holds is self.wanted

    def branches(self) -> Iterator[Branch]:
        """This node and every one below, in order."""
        yield self
        for part in self.parts:
            if isinstance(part, Branch):
                yield from part.branches()

    def reasons(self) -> Iterator[Reason]:
        """Every rule below, in order."""
        for part in self.parts:
            if isinstance(part, Branch):
                yield from part.reasons()
            else:
                yield part


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a group's rules hold for a profile, why, and when time alone turns that round (None: not foreseen).

    `missing`: how many rules would have to turn round for them to hold; `nearest`: where that is one, what is missing.
    """

    holds: bool
    root: Branch
    missing: int
    nearest: str
    flips_at: datetime | None

    @property
    def match(self) -> str:
        """How many of the rules at the top have to hold."""
        return self.root.match

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Every rule, in order."""
        return tuple(self.root.reasons())

    @property
    def blocks(self) -> tuple[Branch, ...]:
        """Every node, the outermost first."""
        return tuple(self.root.branches())


def explain(profile: Profile, groups: Iterable[Group], *, now: datetime) -> dict[int, Explanation]:
    """The explanation of each calculated group, by its id. Groups that cannot be read are left out."""
    calculated = [group for group in groups if group.kind == GroupKind.CALCULATED and group.rules]
    definitions = define_many((group.pk, group.rules_version, group.rules) for group in calculated)
    if not definitions:
        return {}
    person = _Person(profile.pk, definitions[0].zone, event_types(definitions), now)
    leaves = [(each, leaf) for each in definitions for leaf in each.node.leaves()]
    questions = [Question(each.group_id, leaf, now) for each, leaf in leaves]
    answers: dict[int, dict[str, bool]] = {}
    for question, holds in zip(questions, person.answer(questions), strict=False):
        answers.setdefault(question.group_id, {})[question.leaf.path] = holds
    if not answers:
        return {}
    times = person.times_of([leaf for _, leaf in leaves if isinstance(leaf, EventLeaf)])
    read = {leaf.group_id for _, leaf in leaves if isinstance(leaf, GroupLeaf)}
    joined = person.joined(read)
    names = dict(Group.objects.filter(pk__in=read).values_list("pk", "name")) if read else {}
    flips = foresee(definitions, profile, times, answers, ask=person.answer, now=now)
    return {
        each.group_id: _Explaining(profile, answers[each.group_id], times, joined, names, each.zone, now).explain(
            each, flips.get(each.group_id)
        )
        for each in definitions
    }


# ---------------------------------------------------------------- what is asked of the database


@dataclass(frozen=True, slots=True)
class _Person:
    """One profile, and the questions about it; every question about events is asked of the same few rows."""

    guid: UUID
    zone: ZoneInfo
    types: list[str]
    now: datetime

    def answer(self, questions: Sequence[Question]) -> list[bool]:
        """Each question at its moment, in one statement; nothing when the profile is gone."""
        return self._ask([(compile_leaf(each.leaf, self.zone, scope=Scope.BATCH), each.at) for each in questions])

    def times_of(self, leaves: Sequence[EventLeaf]) -> dict[EventLeaf, list[datetime]]:
        """When they did what each leaf counts, rising; the latest of them where they are many."""
        asked = [(compile_times(leaf, self.zone, most=MOST_TIMES), self.now) for leaf in dict.fromkeys(leaves)]
        row = self._ask(asked, as_json=True)
        return {
            leaf: [datetime.fromisoformat(at) for at in times]
            for leaf, times in zip(dict.fromkeys(leaves), row, strict=False)
        }

    def joined(self, group_ids: set[int]) -> dict[int, datetime]:
        """Since when they are in these groups."""
        if not group_ids:
            return {}
        members = GroupMember.objects.filter(profile_id=self.guid, group__in=group_ids)
        return dict(members.values_list("group_id", "created_at"))

    def _ask(self, asked: Sequence[tuple[Compiled, datetime]], *, as_json: bool = False) -> list[Any]:
        if not asked:
            return []
        ids = "{" + str(self.guid) + "}"
        template = "json_build_array({})" if as_json else "array[{}]"
        listed = sql.SQL(template).format(sql.SQL(", ").join(compiled.sql for compiled, _ in asked))
        statement = sql.SQL("{}select {} from profile p where p.guid = %s").format(
            sql.SQL(HAPPENED if self.types else ""), listed
        )
        params: list[Any] = [ids, self.types] if self.types else []
        params += [param for compiled, at in asked for param in compiled.bind(at, ids=ids)]
        with connection.cursor() as cursor:
            cursor.execute(statement, [*params, self.guid])
            row = cursor.fetchone()
        return list(row[0]) if row else []


# ---------------------------------------------------------------- what is said


@dataclass(frozen=True, slots=True)
class _Explaining:
    """One group for one person."""

    profile: Profile
    answers: Mapping[str, bool]
    times: Mapping[EventLeaf, list[datetime]]
    joined: Mapping[int, datetime]
    names: Mapping[int, str]
    zone: ZoneInfo
    now: datetime

    def explain(self, definition: Definition, flips_at: datetime | None) -> Explanation:
        root = self._branch(definition.node, wanted=True, is_moot=False)
        missing = 0 if root.holds else _cost(root, wanted=True)
        nearest = ""
        if missing == 1:
            miss = next(each for each in root.reasons() if self._would_help(definition.node, each))
            nearest = miss.short or miss.sentence
        return Explanation(root.holds, root, missing, nearest, flips_at)

    def _would_help(self, node: Node, reason: Reason) -> bool:
        return node.holds({**self.answers, reason.path: not reason.holds})

    def _branch(self, node: Node, *, wanted: bool, is_moot: bool) -> Branch:
        holds = node.holds(dict(self.answers))
        below = wanted if node.match != "none" else not wanted
        is_settled = is_moot or holds is wanted
        parts = tuple(
            self._branch(child, wanted=below, is_moot=is_settled)
            if isinstance(child, Node)
            else self._reason(child, wanted=below, is_settled=is_settled)
            for child in node.children
        )
        return Branch(node.path, node.match, holds, wanted, is_moot and holds is not wanted, parts)

    def _reason(self, leaf: AnyLeaf, *, wanted: bool, is_settled: bool) -> Reason:
        holds = self.answers[leaf.path]
        if isinstance(leaf, GroupLeaf):  # the cached tree knows no names
            leaf = replace(leaf, name=self.names.get(leaf.group_id, ""))
        kind, key, label, value, at, cause = self._evidence(leaf)
        return Reason(
            path=leaf.path,
            kind=kind,
            key=key,
            label=label,
            sentence=say_leaf(leaf),
            holds=holds,
            wanted=wanted,
            is_moot=is_settled and holds is not wanted,
            value=value,
            at=at,
            cause=cause,
            short=_say_short(leaf, value) if wanted and not holds else "",
        )

    def _evidence(self, leaf: AnyLeaf) -> tuple[str, str, str, Any, datetime | None, str]:
        """(kind, key, label, value, at, cause)."""
        match leaf:
            case GroupLeaf():
                since = self.joined.get(leaf.group_id)
                return "group", str(leaf.group_id), leaf.name, since, since, ""
            case EventLeaf():
                done = [at for at in self.times[leaf] if leaf.within is None or self._is_within(leaf, at)]
                return "event", leaf.type, leaf.type, len(done), done[-1] if done else None, ""
            case Leaf(source=Source.PROFILE):
                value = getattr(self.profile, "pk" if leaf.key == "guid" else leaf.key)
                return "profile", leaf.key, say_name(leaf), value, None, ""
            case Leaf():
                entry = self.profile.property_meta.get(leaf.key)
                updated = get(entry, UPDATED)
                at = self.profile.created_at if updated is None else from_us(updated)
                value = self.profile.properties.get(leaf.key)
                known = value is not None or entry is not None
                return "property", leaf.key, leaf.label, value, at if known else None, get(entry, CAUSE) or ""

    def _is_within(self, leaf: EventLeaf, at: datetime) -> bool:
        begin, _ = leaf.boundaries
        return begin.at(self.now, self.zone) < at <= self.now


def _cost(part: Branch | Reason, *, wanted: bool) -> int:
    """How many rules have to turn round for a part to be as wanted."""
    if isinstance(part, Reason):
        return int(part.holds is not wanted)
    if part.match == "none":
        costs = [_cost(each, wanted=not wanted) for each in part.parts]
        return sum(costs) if wanted else min(costs)
    costs = [_cost(each, wanted=wanted) for each in part.parts]
    return sum(costs) if (part.match == "all") is wanted else min(costs)


def _say_short(leaf: AnyLeaf, value: Any) -> str:
    """How far a miss is: one Purchase short; 37.5 short of 100."""
    if isinstance(leaf, EventLeaf):
        lacking = leaf.count - value
        if lacking > 0 and leaf.times is not Times.AT_MOST:
            return ngettext("one %(event)s short", "%(count)s %(event)s short", lacking) % {
                "count": lacking,
                "event": leaf.type,
            }
        if lacking >= 0:
            return ""
        text = ngettext("one %(event)s too many", "%(count)s %(event)s too many", -lacking)
        return text % {"count": -lacking, "event": leaf.type}
    if not isinstance(leaf, Leaf) or isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    direction = _SHORT.get(leaf.operator.key)
    if direction is None or not isinstance(leaf.argument, int | float):
        return ""
    distance = round((leaf.argument - value) * direction, 6)
    if not distance:
        return ""
    if direction > 0:
        text = gettext("%(property)s is %(distance)s short of %(wanted)s")
    else:
        text = gettext("%(property)s is %(distance)s above %(wanted)s")
    return text % {"property": leaf.label, "distance": f"{distance:g}", "wanted": f"{leaf.argument:g}"}
