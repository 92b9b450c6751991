"""Rules as the pipeline knows them, without a database."""

from __future__ import annotations

from typing import Any

from profiles.ruleset import Rule


def frozen_rule(key: str, type_name: str, **changes: Any) -> Rule:
    """A rule that waits for events and takes values as they are, but for what is changed."""
    usual: dict[str, Any] = {
        "id": 1,
        "key": key,
        "label": key,
        "type": type_name,
        "is_unique": False,
        "is_array": False,
        "identity_rank": None,
        "app_id": None,
        "retrieval": "event",
        "query": "",
        "column": {},
        "column_key": "",
        "paused_reason": "",
        "is_timed": False,
        "reads": (),
        "parse": lambda value: value,
    }
    return Rule(**{**usual, **changes})
