"""What the tests of groups share: caches that do not outlive a rollback, and a clock that stands where it is put."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from django.db import connection

from tests.groups.people import forget_caches

_CLOCK = """
create schema standing_clock;
create function standing_clock.clock_timestamp() returns timestamptz language sql volatile
    as $$ select current_setting('standing.now')::timestamptz $$;
create function standing_clock.statement_timestamp() returns timestamptz language sql volatile
    as $$ select current_setting('standing.now')::timestamptz $$;
"""


@pytest.fixture(autouse=True)
def fresh_caches() -> Iterator[None]:
    """A rolled back version number comes again with other rules: processes never see that, tests do."""
    forget_caches()
    yield
    forget_caches()


@pytest.fixture
def set_clock(db: None) -> Callable[[datetime], None]:
    """Return a function that sets the database's clock, for this connection and until the test ends."""
    with connection.cursor() as cursor:
        cursor.execute(_CLOCK)

    def set_to(now: datetime) -> None:
        with connection.cursor() as cursor:
            cursor.execute("select set_config('standing.now', %s, true)", [now.isoformat()])
            cursor.execute("set local search_path = standing_clock, pg_catalog, public")

    return set_to
