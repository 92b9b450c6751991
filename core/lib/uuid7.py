"""UUIDv7: ids that sort by the time they were made. The time always comes from the database's clock, see callers."""

from __future__ import annotations

import os
import struct
from datetime import UTC, datetime
from uuid import UUID

_VERSION_AND_VARIANT = (0x7 << 76) | (0x2 << 62)
_RANDOM_42 = (1 << 42) - 1


def make_many(at: datetime, count: int) -> list[UUID]:
    """`count` ids of the millisecond `at`, in increasing order.

    The 12 bits behind the millisecond and 20 of the random ones count upward from a random start, so ids of one call
    keep their order and those of two calls in the same millisecond do not meet.
    """
    base = (int(at.timestamp() * 1000) << 80) | _VERSION_AND_VARIANT
    start = int.from_bytes(os.urandom(4), "big") >> 1  # half of the counter's range is left to count in
    noise = struct.unpack(f"{count}Q", os.urandom(8 * count))
    return [
        UUID(int=base | ((counter >> 20) & 0xFFF) << 64 | (counter & 0xFFFFF) << 42 | low & _RANDOM_42)
        for counter, low in enumerate(noise, start)
    ]


def lowest(at: datetime) -> UUID:
    """The smallest possible id of that millisecond or later: a bound for partitions and searches by time."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def time_of(value: UUID) -> datetime:
    """When an id was made, to the millisecond."""
    return datetime.fromtimestamp((value.int >> 80) / 1000, tz=UTC)
