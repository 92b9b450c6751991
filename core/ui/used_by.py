"""What stands against deleting a row: every row, of any app, whose foreign key protects it. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from django.db.models import PROTECT, Model

MOST_NAMED = 20


def users_of(
    row: Model, *, leaving_out: Collection[type[Model]] = (), kinds: Mapping[type[Model], str] | None = None
) -> list[str]:
    """Names such as "the group Lapsed customers". An upper app names itself by the text of its row.

    `leaving_out` are models whose rows belong to this one and go with it; `kinds` are words before the text of others.
    """
    names: set[str] = set()
    for relation in row._meta.get_fields(include_hidden=True):  # noqa: SLF001  Django's documented API
        found: Any = relation
        if not (found.auto_created and found.one_to_many and found.on_delete is PROTECT):
            continue
        model = cast("type[Model]", found.related_model)
        if model in leaving_out:
            continue
        rows = model._default_manager.filter(**{found.field.name: row}).select_related()[:MOST_NAMED]  # noqa: SLF001
        kind = (kinds or {}).get(model, "")
        names |= {f"{kind} {each}".strip() for each in rows}
    return sorted(names)
