"""What is deleted of someone, layer by layer: each call one transaction's worth, until there is nothing left of it.

Only the modules that own the tables delete; here is the order. Runs in the caller's transaction, which holds the lease
of the erasure. By then no door lets anything of the person in, and every write that was begun before has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from core.accounts import audit
from events import hooks, store
from groups import locks, membership
from profiles import hydration_retries, identity, merges, properties, rules, ruleset
from profiles.models import Profile
from schedules import runs, sent_log
from schedules.erasing.erasures import find_mentions
from schedules.ledger import removals
from schedules.outbound import deliveries

AT_ONCE = 2000  # rows of one table that are deleted in one transaction
_LOOKED_AT = 20_000  # rows that are looked at in one transaction where no index leads to a person
_FIRST = UUID(int=0)

Delete = Callable[[Sequence[UUID]], int]


@dataclass(frozen=True, slots=True)
class Layer:
    """Rows of one table that carry the ids of profiles. `what` is how the proof names them."""

    what: str
    delete: Delete


def _some(delete: Callable[..., int]) -> Delete:
    return lambda profile_ids: delete(profile_ids, limit=AT_ONCE)


LAYERS = (
    Layer("events", _some(store.forget_people)),
    Layer("outbound events", _some(deliveries.forget_people)),
    Layer("changes of values", _some(properties.forget_changes)),
    Layer("joining and leaving groups", _some(membership.forget_changes)),
    Layer("what exports sent", _some(sent_log.forget_people)),
    Layer("what destinations hold", removals.forget_people),
    Layer("waiting for Apps to answer", hydration_retries.forget),
    Layer("merges", merges.forget),
)


def delete_some(profile_ids: Sequence[UUID]) -> Mapping[str, int]:
    """Delete the next rows of the first layer that has any; empty when none has."""
    for layer in LAYERS:
        if count := layer.delete(profile_ids):
            return {layer.what: count}
    return {}


def delete_profiles(profile_ids: Sequence[UUID]) -> Mapping[str, int]:
    """Delete identities, memberships and the profiles themselves; locks are taken in the order that everyone keeps."""
    ruleset.hold(ruleset.current_version())
    identity.lock_versions(profile_ids)
    identities = identity.forget(profile_ids)
    locks.hold_all()
    return {
        "identities": identities,
        "memberships": membership.forget(profile_ids),
        "profiles": properties.forget_people(profile_ids),
    }


def untell(profile_ids: Sequence[UUID]) -> Mapping[str, int]:
    """Take the person out of what is small: kept webhook calls, the audit log, the errors of rules."""
    mentions = find_mentions(profile_ids)
    table = Profile._meta.db_table  # noqa: SLF001  Django's documented API
    return {
        "webhook calls": hooks.forget_calls(mentions),
        "entries of the audit log, emptied": audit.untell(
            table, [str(each) for each in profile_ids], mentions.patterns
        ),
        "errors of properties, emptied": rules.untell(mentions),
    }


def untell_runs(profile_ids: Sequence[UUID], *, after: str) -> tuple[str | None, Mapping[str, int]]:
    """Take the person out of the errors and notes of the next runs: the last of these, None when there are no more."""
    last, count = runs.untell(find_mentions(profile_ids), after=int(after or 0), limit=AT_ONCE)
    return None if last is None else str(last), {"errors and notes of runs, emptied": count}


def delete_nobodys_events(profile_ids: Sequence[UUID], *, after: str) -> tuple[str | None, Mapping[str, int]]:
    """Delete what names the person among the next events that belong to nobody: as `untell_runs`."""
    mentions = find_mentions(profile_ids)
    last, count = store.forget_nobodys(mentions, after=UUID(after) if after else _FIRST, limit=_LOOKED_AT)
    return None if last is None else str(last), {"events of nobody that named them": count}
