"""The work on an erasure, step by step: what each does, and how it goes on after a kill.

Each transaction holds the lease and moves the mark, which names the step; so a worker may be killed at any moment, and
whoever comes next goes on. A step that has to wait gives the work back for a while.

    withdraw    no event of the person goes out any more
    remove      every destination is told to remove, and its answer awaited
    settle      whatever was under way when the person was first refused has ended
    texts       errors, notes, calls and entries that name them are emptied
    nobodys     events that belong to nobody and name them are deleted
    uploads     uploaded files that name them are deleted
    delete      events, logs, ledger
    profiles    identities, memberships, the profiles themselves
    again       what came in between is deleted, until nothing does
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from core.lib.mentions import telling_values
from core.work import database, leases
from core.work.leases import Lease, LostLease
from events import inbox
from profiles import suppression
from schedules import cursor, uploads
from schedules.erasing import deleting, destinations, erasures
from schedules.outbound import deliveries

log = logging.getLogger(__name__)

_SETTLE_SECONDS = 0.5

STEPS: dict[str, str | Promise] = {
    "suppress": gettext_lazy("Refused at every door"),
    "withdraw": gettext_lazy("No event of theirs goes out any more"),
    "remove": gettext_lazy("Removed at every destination"),
    "settle": gettext_lazy("What was under way has ended"),
    "texts": gettext_lazy("Errors, notes and logs emptied where they named them"),
    "nobodys": gettext_lazy("Events that belonged to nobody searched"),
    "uploads": gettext_lazy("Uploaded files searched"),
    "delete": gettext_lazy("Events, logs and ledger deleted"),
    "profiles": gettext_lazy("Profile and identities deleted"),
    "again": gettext_lazy("Looked once more: nothing is left"),
}


def work_slice() -> bool:
    """Work on one erasure for a slice; whether it is worth coming back at once."""
    return leases.run_slice(erasures.KIND, work_on)


def work_on(lease: Lease) -> bool:
    """One transaction's worth of one erasure; whether there is more to do at once."""
    erasure_id, step = int(lease.subject), lease.mark["step"]
    try:
        return _DO[step](lease, erasure_id, suppression.profiles_of(erasure_id))
    except LostLease:
        raise
    except Exception as error:
        if connection.connection is None or connection.connection.closed:
            raise  # our own database is away; the lease brings the work back
        log.exception("erasure %s could not go on", erasure_id)
        lease.fail_slice(f"{STEPS[step]}: {type(error).__name__}")  # its text may name the person
    return False


def _withdraw(lease: Lease, erasure_id: int, profile_ids: list[UUID]) -> bool:
    with transaction.atomic():
        dropped = deliveries.withdraw(profile_ids)
        _end(lease, erasure_id, "withdraw", {"outbound events that were owed": dropped})
    return True


def _remove(lease: Lease, erasure_id: int, _: list[UUID]) -> bool:
    wait = destinations.ask_each(erasure_id, hold=lambda: lease.hold(mark=lease.mark))
    if wait is not None:
        lease.release(delay=wait)
        return False
    with transaction.atomic():
        _end(lease, erasure_id, "remove", {})
    return True


def _settle(lease: Lease, erasure_id: int, _: list[UUID]) -> bool:
    """Wait until no transaction is open that may have begun before the person was refused, and the inbox is past then.

    Numbers of transactions of another server mean nothing here: a restored copy begins anew.
    """
    here = database.identify()
    if lease.mark.get("cluster") != here:
        fence, now = cursor.read_newest(), timezone.now().isoformat()
        with transaction.atomic():
            lease.hold(mark={"step": "settle", "cluster": here, "fence": fence, "until": now})
        return True
    is_over = cursor.read_horizon() >= lease.mark["fence"]
    if not is_over or inbox.is_any_older(datetime.fromisoformat(lease.mark["until"])):
        lease.release(delay=_SETTLE_SECONDS)
        return False
    with transaction.atomic():
        _end(lease, erasure_id, "settle", {})
    return True


def _empty_texts(lease: Lease, erasure_id: int, profile_ids: list[UUID]) -> bool:
    with transaction.atomic():
        after = lease.mark.get("after", "")
        counts = {} if after else deleting.untell(profile_ids)
        last, more = deleting.untell_runs(profile_ids, after=after)
        _go_on(lease, erasure_id, "texts", last, {**counts, **more})
    return True


def _search_nobodys(lease: Lease, erasure_id: int, profile_ids: list[UUID]) -> bool:
    with transaction.atomic():
        last, counts = deleting.delete_nobodys_events(profile_ids, after=lease.mark.get("after", ""))
        _go_on(lease, erasure_id, "nobodys", last, counts)
    return True


def _search_uploads(lease: Lease, erasure_id: int, profile_ids: list[UUID]) -> bool:
    """Outside of any transaction, since files may be large. What is read twice after a kill does no harm."""
    values = telling_values(erasures.find_mentions(profile_ids).values)
    found = uploads.remove_files_with(values, between=lease.renew)
    with transaction.atomic():
        counts = {"uploaded files": found.removed, "uploaded files kept until their import is over": found.kept}
        _end(lease, erasure_id, "uploads", counts)
    return True


def _delete(lease: Lease, erasure_id: int, profile_ids: list[UUID]) -> bool:
    with transaction.atomic():
        if counts := deleting.delete_some(profile_ids):
            erasures.add_counts(erasure_id, counts)
            lease.hold(mark=lease.mark)
        else:
            _end(lease, erasure_id, "delete", {})
    return True


def _delete_profiles(lease: Lease, erasure_id: int, profile_ids: list[UUID]) -> bool:
    with transaction.atomic():
        _end(lease, erasure_id, "profiles", deleting.delete_profiles(profile_ids))
    return True


def _look_again(lease: Lease, erasure_id: int, profile_ids: list[UUID]) -> bool:
    with transaction.atomic():
        if counts := deleting.delete_some(profile_ids):
            erasures.add_counts(erasure_id, counts)
            lease.hold(mark=lease.mark)
            return True
        erasures.note_step(erasure_id, "again", {})
        erasures.finish(erasure_id)
        lease.hold(mark={}, done=len(STEPS))
        lease.finish()
    return False


def _go_on(lease: Lease, erasure_id: int, step: str, last: str | None, counts: Mapping[str, int]) -> None:
    """Behind `last` of this step, or with the next one where there is nothing behind it."""
    if last is None:
        _end(lease, erasure_id, step, counts)
    else:
        erasures.add_counts(erasure_id, counts)
        lease.hold(mark={"step": step, "after": last})


def _end(lease: Lease, erasure_id: int, step: str, counts: Mapping[str, int]) -> None:
    """A step has ended; the next one begins. In the transaction that did the last of it."""
    names = list(STEPS)
    following = names.index(step) + 1
    lease.hold(mark={"step": names[following]}, done=following, total=len(names))
    erasures.note_step(erasure_id, step, counts)


_DO: dict[str, Callable[[Lease, int, list[UUID]], bool]] = {
    "withdraw": _withdraw,
    "remove": _remove,
    "settle": _settle,
    "texts": _empty_texts,
    "nobodys": _search_nobodys,
    "uploads": _search_uploads,
    "delete": _delete,
    "profiles": _delete_profiles,
    "again": _look_again,
}
