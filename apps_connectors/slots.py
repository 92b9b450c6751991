"""How many calls may be made to an App at the same time, over all workers: leased rows.

The only writer of `AppSlot`. Called by whoever is about to call a plugin for a while: exports, outbound events, and
through `connections.connect` all that read in the background from an App type that counts its readers too.

An App that takes long to answer gets one call at a time for a while, however many it allows: so one that hangs holds
one worker, and not one for each of its schedules.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import connection
from django.db.models.functions import Now

from apps_connectors.models import AppSlot

SLOW_SECONDS = 10.0  # a call that takes longer makes its App a slow one
_REMEMBERED = timedelta(minutes=2)
_LOOK_SECONDS = 0.05  # between two looks of someone who waits

_TAKE = """
    update app_slot s set token = %(token)s, lease_until = clock_timestamp() + %(lease)s
     where s.id = any(array(select f.id from app_slot f join app a on a.id = f.app_id
                    where f.app_id = %(app)s
                      and f.number < case when exists (select from app_slot o where o.app_id = a.id
                                                          and o.slow_until > clock_timestamp())
                                          then 1 else a.parallel_calls end
                      and (f.token is null or f.lease_until < clock_timestamp())
                    order by f.number limit %(most)s for no key update of f skip locked))
    returning s.id
"""
_MAKE = """
    insert into app_slot (app_id, number)
    select a.id, n from app a, generate_series(0, a.parallel_calls - 1) n where a.id = %s on conflict do nothing
"""


@contextmanager
def slot(app_id: int, seconds: float = 120, *, wait: float = 0.0) -> Iterator[bool]:
    """Hold one of the App's calls for the block; gives False when all are in use for `wait` seconds.

    Never inside a transaction: others have to see the slot taken. A worker that dies gives it back after `seconds`.
    """
    with slots(app_id, most=1, seconds=seconds, wait=wait) as taken:
        yield taken == 1


@contextmanager
def slots(app_id: int, *, most: int, seconds: float = 120, wait: float = 0) -> Iterator[int]:
    """The same for up to `most` of its calls at once; gives how many there are, 0 when all are in use just now."""
    token = uuid4()
    until = time.monotonic() + wait
    while not (taken := _take(app_id, token=token, most=most, seconds=seconds)) and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
    began = time.monotonic()
    try:
        yield taken
    finally:
        if taken:
            is_slow = time.monotonic() - began > SLOW_SECONDS
            slow_until = Now() + _REMEMBERED if is_slow else None
            mine = AppSlot.objects.filter(app_id=app_id, token=token)
            mine.update(token=None, lease_until=None, slow_until=slow_until)


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
