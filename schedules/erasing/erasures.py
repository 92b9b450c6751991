"""Asking for a person to be erased, and what becomes of that. The only writer of `Erasure`.

What is asked for is refused at every door at once, in the transaction that asks. The rest is work in the background,
see `schedules/erasing/steps.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from core.accounts import audit
from core.accounts.actors import Actor
from core.lib.errors import InvalidInput, NotFound, Refused
from core.lib.json import dumps
from core.lib.mentions import Mentions
from core.ui import notices
from core.ui.notices import News
from core.work import leases
from core.work.wake import wake
from profiles import ruleset, suppression
from profiles.merges import all_ids
from profiles.models import ANONYMOUS, Profile, ProfileIdentity
from profiles.naming import DEVICE
from schedules.erasing import destinations
from schedules.erasing.models import Erasure

KIND = "erase"
FIRST_STEP = "withdraw"


def erase(guid: UUID, *, actor: Actor) -> Erasure:
    """Begin to erase a person. Raises NotFound, or Refused when that was asked for already.

    From here on every identity of theirs is refused, also those of whoever became part of them.
    """
    with transaction.atomic():
        suppression.keep_batches_away()
        profile_ids = _find_profiles(guid)
        if suppression.being_erased(profile_ids):
            raise Refused(gettext("This person is being erased already."))
        erasure = _create(actor)
        suppressed = suppression.suppress(profile_ids, erasure_id=erasure.pk)
        destinations.list_holders(erasure.pk, profile_ids)
        note_step(erasure.pk, "suppress", {"identities refused from now on": suppressed})
        audit.record("person.erase", erasure, actor=actor)
        wake(KIND)
    return erasure


def erase_returned(*, actor: Actor) -> list[Erasure]:
    """Erase once more whom a restored backup brought back although the suppressions know of them."""
    return [erase(guid, actor=actor) for guid in sorted(suppression.find_returned(ruleset.load()))]


def find(erasure_id: int) -> Erasure:
    """One erasure; raises NotFound."""
    erasure = Erasure.objects.select_related("work").filter(pk=erasure_id).first()
    if erasure is None:
        raise NotFound(gettext("There is no erasure %(erasure_id)s.") % {"erasure_id": erasure_id})
    return erasure


def mark_by_hand(erasure_id: int, destination_id: int, *, reason: str, actor: Actor) -> None:
    """A person has removed someone at a destination themselves. Raises NotFound, InvalidInput or Refused."""
    erasure, reason = find(erasure_id), reason.strip()
    if erasure.finished_at is not None:
        raise Refused(gettext("This erasure is finished: its proof is not changed any more."))
    if not reason or len(reason) > destinations.LONGEST_REASON:
        message = gettext("Say in 1 to %(longest_reason)s characters how it was removed.") % {
            "longest_reason": destinations.LONGEST_REASON
        }
        raise InvalidInput(message, {"reason": message})
    if mentions_of(erasure_id).are_in(reason):
        message = gettext("This stays in the proof, so it may not name the person. Leave their address and ids out.")
        raise InvalidInput(message, {"reason": message})
    with transaction.atomic():
        destinations.settle_by_hand(erasure_id, destination_id, reason=reason, actor=actor)
        audit.record("person.erase_by_hand", erasure, after={"destination": destination_id}, actor=actor)
        leases.make_due(KIND, [erasure.work.subject])
        wake(KIND)


def mentions_of(erasure_id: int) -> Mentions:
    """How the person of an unfinished erasure is named in texts."""
    return find_mentions(suppression.profiles_of(erasure_id))


def find_mentions(profile_ids: Sequence[UUID]) -> Mentions:
    """How these profiles, which are one person, are named in texts."""
    owned = ProfileIdentity.objects.filter(profile_id__in=profile_ids).order_by("rule_id", "value")
    keys = dict(owned.exclude(rule_id=ANONYMOUS).values_list("rule_id", "rule__key"))
    named = [(keys.get(rule_id, DEVICE), value) for rule_id, value in owned.values_list("rule_id", "value")]
    return Mentions(tuple(profile_ids), tuple(named))


def note_step(erasure_id: int, step: str, counts: Mapping[str, int]) -> None:
    """A step has ended, and so many rows of what went, in the caller's transaction."""
    add_counts(erasure_id, counts)
    with connection.cursor() as cursor:
        cursor.execute(
            "update erasure set steps = steps || jsonb_build_object(%s::text, %s::text) where id = %s",
            [step, timezone.now().isoformat(), erasure_id],
        )


def add_counts(erasure_id: int, counts: Mapping[str, int]) -> None:
    """So many more rows of what went, in the caller's transaction."""
    found = {name: count for name, count in counts.items() if count}
    if not found:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "update erasure set counts = counts || (select jsonb_object_agg(a.key,"
            " coalesce((counts ->> a.key)::bigint, 0) + a.value::bigint) from jsonb_each_text(%s::jsonb) a)"
            " where id = %s",
            [dumps(found), erasure_id],
        )


def finish(erasure_id: int) -> None:
    """It is done; what is left is the proof, and whoever asked hears of it. In the caller's transaction."""
    suppression.finish(erasure_id)
    destinations.empty_problems(erasure_id)
    erasure = Erasure.objects.get(pk=erasure_id)
    erasure.finished_at = timezone.now()
    erasure.save(update_fields=["finished_at"])
    page = reverse("erasures:show", args=[erasure_id])
    news = News("ok", f"Erasure {erasure_id} is complete", page, "Nothing is held of this person any more.")
    notices.tell(erasure.asked_by, f"erasure:{erasure_id}", news)


def _create(actor: Actor) -> Erasure:
    """The row, with its work, which is named by its number and says nothing of the person."""
    with connection.cursor() as cursor:
        cursor.execute("select nextval(pg_get_serial_sequence('erasure', 'id'))")
        number = cursor.fetchone()[0]
    work = leases.enqueue(kind=KIND, subject=str(number), mark={"step": FIRST_STEP})
    return Erasure.objects.create(pk=number, work=work, asked_by=actor.cause)


def _find_profiles(guid: UUID) -> list[UUID]:
    """The profile of a person and those that became part of it; raises NotFound, Refused."""
    profile = Profile.objects.filter(pk=guid).first()
    if profile is None:
        raise NotFound(gettext("There is no profile %(guid)s.") % {"guid": guid})
    if profile.merged_into is not None:
        raise Refused(
            gettext("This profile is part of %(merged_into)s: erase that person.")
            % {"merged_into": profile.merged_into}
        )
    return sorted(all_ids(guid).values_list("pk", flat=True))
