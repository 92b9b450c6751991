"""How many calls may be made to an App at the same time, over all workers: leased rows.

The only writer of `AppSlot`. Called by whoever is about to call a plugin for a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import connection

from apps_connectors.models import AppSlot

_TAKE = """
    update app_slot s set token = %(token)s, lease_until = clock_timestamp() + %(lease)s
     where s.id = any(array(select f.id from app_slot f join app a on a.id = f.app_id
                    where f.app_id = %(app)s and f.number < a.parallel_calls
                      and (f.token is null or f.lease_until < clock_timestamp())
                    order by f.number limit %(most)s for no key update of f skip locked))
    returning s.id
"""
_MAKE = """
    insert into app_slot (app_id, number)
    select a.id, n from app a, generate_series(0, a.parallel_calls - 1) n where a.id = %s on conflict do nothing
"""


@contextmanager
def slot(app_id: int, seconds: float = 120) -> Iterator[bool]:
    """Hold one of the App's calls for the block; gives False when all are in use just now.

    Never inside a transaction: others have to see the slot taken. A worker that dies gives it back after `seconds`.
    """
    with slots(app_id, most=1, seconds=seconds) as taken:
        yield taken == 1


@contextmanager
def slots(app_id: int, *, most: int, seconds: float = 120) -> Iterator[int]:
    """The same for up to `most` of its calls at once; gives how many there are, 0 when all are in use just now."""
    token = uuid4()
    taken = _take(app_id, token=token, most=most, seconds=seconds)
    try:
        yield taken
    finally:
        if taken:
            AppSlot.objects.filter(app_id=app_id, token=token).update(token=None, lease_until=None)


def _take(app_id: int, *, token: UUID, most: int, seconds: float) -> int:
    given: dict[str, Any] = {"app": app_id, "token": token, "most": most, "lease": timedelta(seconds=seconds)}
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, given)
        if cursor.rowcount:
            return int(cursor.rowcount)
        cursor.execute(_MAKE, [app_id])  # the first call, or more may run than before
        if not cursor.rowcount:
            return 0
        cursor.execute(_TAKE, given)
        return int(cursor.rowcount)
