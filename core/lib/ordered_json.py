"""A model field for JSON that has to stay as it came: for the payloads of events, which are passed on."""

from __future__ import annotations

from typing import Any

from django.db import models

from core.lib.json import dumps, loads


class OrderedJSONField(models.JSONField):
    """JSON kept as its text, so the order of its keys and the spelling of its numbers stay (`jsonb` keeps neither).

    The price: no index and no lookup by content. In SQL, `payload ->> 'key'` works, `?` and `@>` do not.
    """

    def db_type(self, connection: Any) -> str:
        """PostgreSQL's `json`."""
        return "json"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """The text that is stored."""
        return value if value is None or hasattr(value, "as_sql") else dumps(value)

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        """Read as text: the driver itself would parse it, and lose digits."""
        return f"{sql}::text", params

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """The value of the text."""
        return loads(value) if isinstance(value, str) else value
