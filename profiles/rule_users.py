"""What stands against deleting a property rule: every row, of any app, whose foreign key protects it. Reads only."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import PROTECT, Model

from profiles.models import ProfileIdentity, ProfilePropertyRule

MOST_NAMED = 20


def users_of(rule: ProfilePropertyRule) -> list[str]:
    """Names such as "the group Lapsed customers". An upper app names itself by the text of its row."""
    names: set[str] = set()
    for relation in rule._meta.get_fields(include_hidden=True):  # noqa: SLF001  Django's documented API
        found: Any = relation
        if not (found.auto_created and found.one_to_many and found.on_delete is PROTECT):
            continue
        model = cast("type[Model]", found.related_model)
        if model is ProfileIdentity:  # values of its own, which go with it
            continue
        rows = model._default_manager.filter(**{found.field.name: rule}).select_related()[:MOST_NAMED]  # noqa: SLF001
        names |= {f"the property {row}" if isinstance(row, ProfilePropertyRule) else str(row) for row in rows}
    return sorted(names)
