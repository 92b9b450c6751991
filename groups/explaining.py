"""Why a profile is in its groups: each rule with its answer and the profile's value, in one statement. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from psycopg2 import sql

from core.accounts import project
from core.ui.wording import value_text
from groups.compile import Compiled, compile_leaf
from groups.definitions import define_many
from groups.models import Group, GroupKind
from groups.sentence import say_leaf
from profiles import ruleset
from profiles.models import Profile


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule: what it asks, whether it holds for the profile, and the value that decides it ("" without one)."""

    sentence: str
    holds: bool
    label: str
    value: str


def explain(profile: Profile, groups: Sequence[Group]) -> dict[int, list[Reason]]:
    """The reasons of each calculated group, in the order of its rules. Groups that cannot be read are left out."""
    calculated = [group for group in groups if group.kind == GroupKind.CALCULATED and group.rules]
    definitions = define_many((group.pk, group.rules_version, group.rules) for group in calculated)
    leaves = [(each.group_id, leaf) for each in definitions for leaf in each.node.leaves()]
    if not leaves:
        return {}
    zone = project.current().time_zone
    compiled = [compile_leaf(leaf, zone) for _, leaf in leaves]
    answers = _answer(profile.pk, compiled)
    rules = ruleset.load().by_key
    found: dict[int, list[Reason]] = {}
    for (group_id, leaf), holds in zip(leaves, answers, strict=False):
        value = profile.properties.get(leaf.key)
        shown = "" if value is None else value_text(value, leaf.type, is_identity=rules[leaf.key].is_unique)
        found.setdefault(group_id, []).append(Reason(say_leaf(leaf), holds, leaf.label, shown))
    return found


def _answer(guid: UUID, compiled: Sequence[Compiled]) -> tuple[bool, ...]:
    with connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        now = cursor.fetchone()[0]
        statement = sql.SQL("select {} from profile p where p.guid = %s").format(
            sql.SQL(", ").join(each.sql for each in compiled)
        )
        cursor.execute(statement, [*(param for each in compiled for param in each.bind(now)), guid])
        row: tuple[bool, ...] | None = cursor.fetchone()
    return row or ()
