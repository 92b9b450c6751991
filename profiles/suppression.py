"""People who were erased on request: what names one of them is refused at every door. The only writer of `Suppression`
and `ErasedProfile`, and with `profiles/suppression_key.py` of `SuppressionKey`.

Of an identity a keyed hash is stored, and nothing else. A batch costs one look-up for all its identities, and none at
all while nobody was ever erased: the rules that every batch reads say so. Suppressing counts their version up, so a
batch that read them before starts over and sees it; nothing slips in between.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256
from uuid import UUID

from django.db import connection
from django.db.models.functions import Now

from profiles import rules as rules_store
from profiles.identity import Identity
from profiles.models import ANONYMOUS, ErasedProfile, ProfileIdentity, Suppression
from profiles.naming import DEVICE
from profiles.ruleset import RuleSet
from profiles.suppression_key import make_key

_PAGE = 10_000

ERASED = "This person was erased on request."


def keep_batches_away() -> None:
    """Called first by who suppresses, before any profile is read: see `profiles/rules.py`."""
    rules_store.keep_batches_away()


def suppress(profile_ids: Sequence[UUID], *, erasure_id: int) -> int:
    """Refuse these people from now on, by every identity that they own; how many those are.

    In the caller's transaction, which keeps batches away: nothing that was begun before is written after.
    """
    owned = ProfileIdentity.objects.filter(profile_id__in=profile_ids)
    keys = dict(owned.exclude(rule_id=ANONYMOUS).values_list("rule_id", "rule__key"))
    named = [(keys.get(rule_id, DEVICE), value) for rule_id, value in owned.values_list("rule_id", "value")]
    secret = make_key()
    digests = {_hash(secret, key, value) for key, value in named}
    Suppression.objects.bulk_create([Suppression(digest=each, at=Now()) for each in digests], ignore_conflicts=True)
    ErasedProfile.objects.bulk_create([ErasedProfile(profile_id=each, erasure_id=erasure_id) for each in profile_ids])
    return len(digests)


def find(identities: Collection[Identity], rules: RuleSet) -> set[Identity]:
    """Those of these identities that are somebody's who was erased. One statement; none while nobody was."""
    secret = rules.suppression_key
    if secret is None or not identities:
        return set()
    keys = {rule.id: rule.key for rule in rules.unique} | {ANONYMOUS: DEVICE}
    known = {_hash(secret, keys[rule_id], value): (rule_id, value) for rule_id, value in identities if rule_id in keys}
    with connection.cursor() as cursor:
        cursor.execute("select digest from suppression where digest = any(%s)", [list(known)])
        return {known[bytes(digest)] for (digest,) in cursor.fetchall()}


def leave_out(profile_ids: Sequence[UUID], rules: RuleSet) -> Sequence[UUID]:
    """These profiles without those of people who are being erased."""
    if rules.suppression_key is None or not profile_ids:
        return profile_ids
    gone = set(being_erased(profile_ids))
    return [each for each in profile_ids if each not in gone]


def being_erased(profile_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Which of these profiles are being erased, and by which erasure."""
    found = ErasedProfile.objects.filter(profile_id__in=list(profile_ids))
    return dict(found.values_list("profile_id", "erasure_id"))


def find_returned(rules: RuleSet) -> set[UUID]:
    """Profiles that own a refused identity and are not being erased: a restored backup brings such people back.

    Goes through all identities, page by page.
    """
    found: set[UUID] = set()
    after: Identity = (-1, "")
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "select rule_id, value, profile_id from profile_identity where (rule_id, value) > (%s, %s)"
                " order by rule_id, value limit %s",
                [*after, _PAGE],
            )
            rows = cursor.fetchall()
        if not rows:
            return found - being_erased(found).keys()
        owners = {(rule_id, value): guid for rule_id, value, guid in rows}
        found |= {owners[each] for each in find(owners, rules)}
        after = rows[-1][:2]


def profiles_of(erasure_id: int) -> list[UUID]:
    """The profiles that one erasure is about."""
    found = ErasedProfile.objects.filter(erasure_id=erasure_id)
    return list(found.order_by("profile_id").values_list("profile_id", flat=True))


def finish(erasure_id: int) -> None:
    """Nothing of these profiles is left: forget which they were. The identities stay refused."""
    ErasedProfile.objects.filter(erasure_id=erasure_id).delete()


def _hash(secret: bytes, key: str, value: str) -> bytes:
    """By the key of the property, which outlives the property itself; never by its id."""
    return hmac.digest(secret, f"{key}\0{value}".encode(), sha256)
