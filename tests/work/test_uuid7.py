from __future__ import annotations

from datetime import UTC, datetime

from core.lib import uuid7

NOW = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)


def test_ids_of_one_call_are_in_order_unlike_each_other_and_carry_their_time() -> None:
    ids = uuid7.make_many(NOW, 5000)
    assert ids == sorted(set(ids))
    assert {value.version for value in ids} == {7}
    assert uuid7.time_of(ids[0]) == NOW
    assert uuid7.lowest(NOW) < ids[0]


def test_two_calls_in_one_millisecond_do_not_meet() -> None:
    assert not set(uuid7.make_many(NOW, 1000)) & set(uuid7.make_many(NOW, 1000))
