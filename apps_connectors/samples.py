"""What an App shows of itself: its tables, a few rows of one, the choices of an option. For doors; nothing is kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.utils.translation import gettext

from apps_connectors import connections
from apps_connectors.queries import get_app
from core.lib.errors import InvalidInput, Refused
from plugins import base, registry
from plugins.base import GivesSamples
from plugins.contracts import OptionKind, PluginError, Sample, Table

MOST_ROWS = 100
_LONGEST = 1000  # characters of one cell


def list_tables(app_id: int) -> Sequence[Table]:
    """Every table of an App. Raises NotFound, or Refused when it has none to show or does not answer."""
    with _connect(app_id) as app:
        return _sampled(app).tables()


def sample_table(app_id: int, table: str, *, limit: int = 10) -> Sample:
    """The first rows of a table, each value as JSON can hold it. Raises as `list_tables`, and InvalidInput."""
    with _connect(app_id) as app:
        known = [each.name for each in _sampled(app).tables()]
        if table not in known:
            tables = ", ".join(known[:50]) or gettext("none")
            message = gettext("There is no table “%(table)s”. There are: %(tables)s.") % {
                "table": table,
                "tables": tables,
            }
            raise InvalidInput(message, {"table": message})
        found = _sampled(app).sample(table, limit=min(limit, MOST_ROWS))
    return Sample(found.columns, tuple(tuple(_plain(value) for value in row) for row in found.rows))


def list_choices(app_id: int, option: str) -> Sequence[tuple[str, str]]:
    """The (value, label) pairs that an App offers for an option. Raises NotFound, InvalidInput or Refused."""
    with _connect(app_id) as app:
        found = next((each for each in app.spec.options if each.key == option), None)
        if found is None or found.kind not in (OptionKind.CHOICE, OptionKind.LOADED_CHOICE):
            message = gettext("“%(option)s” is no option that has choices.") % {"option": option[:60]}
            raise InvalidInput(message, {"option": message})
        return found.choices or app.choices(option)


@contextmanager
def _connect(app_id: int) -> Iterator[base.App]:
    get_app(app_id)
    try:
        with connections.connect(app_id) as app:
            yield app
    except PluginError as error:
        raise Refused(error.reason) from None


def _sampled(app: base.App) -> GivesSamples:
    if not isinstance(app, GivesSamples):
        raise Refused(
            gettext("An App of the type %(spec)s has no tables to show.")
            % {"spec": registry.get(app.spec.key).spec.label}
        )
    return app


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, bytes | memoryview):
        return f"{len(bytes(value))} bytes"
    return str(value)[:_LONGEST]
