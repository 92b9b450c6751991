"""The audit log: who changed which part of the configuration, and how. The only writer of `AuditEntry`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.db.models import Model

from core.accounts.actors import Actor
from core.accounts.models import AuditEntry


def record(
    action: str,
    subject: Model,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    actor: Actor,
) -> None:
    """Write down one change, in the caller's transaction.

    `action` is such as "group.create"; `subject` is what was changed, named by its table and its key. With both
    `before` and `after` only what differs is kept. Secrets have to be masked by the caller.
    """
    old, new = _plain(before), _plain(after)
    if old is not None and new is not None:
        kept = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
        old = {key: value for key, value in old.items() if key in kept}
        new = {key: value for key, value in new.items() if key in kept}
    AuditEntry.objects.create(
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label[:254],
        action=action,
        subject_kind=subject._meta.db_table,  # noqa: SLF001  Django's documented API
        subject_id=str(subject.pk),
        subject_label=str(subject)[:254],
        before=old,
        after=new,
    )


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if values is None:
        return None
    plain: dict[str, Any] = json.loads(json.dumps(dict(values), cls=DjangoJSONEncoder))
    return plain


def untell(subject_kind: str, subject_ids: Sequence[str], patterns: Sequence[str]) -> int:
    """Take the content out of entries about these subjects, and of others that name them; how many.

    Who did what when stays. In the caller's transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "update audit_entry set before = null, after = null, subject_label = ''"
            " where (subject_kind = %s and subject_id = any(%s) or concat(before, after, subject_label) ilike any(%s))"
            " and (before is not null or after is not null or subject_label <> '')",
            [subject_kind, list(subject_ids), list(patterns)],
        )
        return int(cursor.rowcount)
