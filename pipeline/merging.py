"""Two profiles that stand for one person are made one, and two again: what a person or a program asks for.

What an event brings about is merged in `pipeline/process.py` by the same functions.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from core.accounts import audit
from core.accounts.actors import Actor
from core.lib.errors import InvalidInput, NotFound, Refused
from groups import membership
from pipeline.items import BatchResult
from pipeline.process import Join, process
from pipeline.refresh import NoClaim, refresh
from profiles import hydration, identity, merges, properties, ruleset, suppression
from profiles.identity import Owners
from profiles.models import Profile, ProfileMerge


@dataclass(frozen=True, slots=True)
class Difference:
    """One property of two profiles: what each holds, and what the one that stays would hold."""

    key: str
    winner: Any
    loser: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Preview:
    """What a merge would bring.

    `kept_identities` are unique values of the loser that lead to the winner from then on, although it shows its own.
    """

    differences: Sequence[Difference]
    kept_identities: Mapping[str, Any]


def preview(winner: UUID, loser: UUID) -> Preview:
    """What merging would do; nothing is written. Raises as `merge` does."""
    rules = ruleset.load()
    _check(winner, loser)
    people = identity.read_people([winner, loser])
    before = copy.deepcopy(people[winner].values)
    lost = people[loser].values
    merges.absorb(people[winner], people[loser], Owners(), rules, cause="", now_us=hydration.database_now_us())
    after = people[winner].values
    keys = [rule.key for rule in rules.rules if rule.key in before or rule.key in lost]
    return Preview(
        [Difference(key, before.get(key), lost.get(key), after.get(key)) for key in keys],
        {
            rule.key: lost[rule.key]
            for rule in rules.unique
            if rule.key in lost and after.get(rule.key) != lost[rule.key]
        },
    )


def merge(winner: UUID, loser: UUID, *, actor: Actor) -> ProfileMerge:
    """Let the loser become part of the winner. Raises NotFound, InvalidInput, or Refused when one is merged already."""
    _check(winner, loser)

    def tell(_: BatchResult) -> None:
        audit.record("profile.merge", Profile(pk=winner), after={"merged": str(loser)}, actor=actor)

    process([], claim=NoClaim(), refresh=[winner, loser], join=Join(winner, loser, actor.cause), also=tell)
    made = ProfileMerge.objects.filter(winner_id=winner, loser_id=loser, undone_at=None).order_by("-pk").first()
    if made is None:
        raise Refused(gettext("Someone merged one of these two a moment ago: look again."))
    return made


def undo(merge_id: int, *, actor: Actor) -> ProfileMerge:
    """Make them two again, with their values, identities and manual groups. Raises NotFound or Refused.

    What was written since stays with the winner; events keep the profile they came to.
    """
    with transaction.atomic():
        made = ProfileMerge.objects.select_for_update(no_key=True).filter(pk=merge_id).first()
        if made is None:
            raise NotFound(gettext("There is no such merge."))
        if made.undone_at is not None:
            raise Refused(gettext("This merge was undone already."))
        _refuse_erased(made.winner_id, made.loser_id)
        rules = ruleset.load()
        if not ruleset.hold(rules.version):
            raise Refused(gettext("The properties are being changed: try again in a moment."))
        people = identity.read_people([made.winner_id, made.loser_id], lock=True)
        winner, loser = people.get(made.winner_id), people.get(made.loser_id)
        if winner is None or loser is None:
            raise NotFound(gettext("One of the two profiles is gone."))
        if loser.merged_into != winner.guid:
            raise Refused(
                gettext("The profile that stayed was itself merged into another one since: undo that merge first.")
            )
        merges.take_back(made, winner, loser, rules, cause=actor.cause)
        now_us = hydration.database_now_us()
        changes = properties.write(properties.draft([winner, loser], rules, now_us=now_us))
        membership.follow_undone(
            winner=winner.guid, loser=loser.guid, joined=made.joined, left=made.left, now=timezone.now()
        )
        membership.refresh(changes.profiles, changed_rules=changes.rules, created=True)
        audit.record("profile.unmerge", Profile(pk=winner.guid), before={"merged": str(loser.guid)}, actor=actor)
    refresh([made.winner_id, made.loser_id])
    made.refresh_from_db()
    return made


def merges_of(guid: UUID) -> list[ProfileMerge]:
    """The merges in which a profile took others or became part of one, the latest first."""
    return list(
        (ProfileMerge.objects.filter(winner_id=guid) | ProfileMerge.objects.filter(loser_id=guid)).order_by("-pk")[:50]
    )


def _check(winner: UUID, loser: UUID) -> None:
    if winner == loser:
        raise InvalidInput(
            gettext("A profile cannot be merged with itself."), {"loser": gettext("Choose another profile.")}
        )
    found = {profile.pk: profile.merged_into for profile in Profile.objects.filter(pk__in=[winner, loser])}
    _refuse_erased(winner, loser)
    for guid in (winner, loser):
        if guid not in found:
            raise NotFound(gettext("There is no profile %(guid)s.") % {"guid": guid})
        if found[guid] is not None:
            raise Refused(
                gettext("The profile %(guid)s is part of %(found)s already.") % {"guid": guid, "found": found[guid]}
            )


def _refuse_erased(*guids: UUID) -> None:
    if suppression.being_erased(guids):
        raise Refused(gettext("One of the two is being erased on request: nothing of them changes any more."))
