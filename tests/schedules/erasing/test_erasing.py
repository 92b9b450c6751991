"""A person is erased: nothing of them is left, every destination has answered, and a proof stays."""

from __future__ import annotations

from io import StringIO

from django.core.management import call_command

from tests.everywhere import find_everywhere
from tests.schedules.erasing.world import ALICE, BOB, TRACES, World, finish, send, shelf


def test_nothing_of_the_person_is_left_anywhere(world: World) -> None:
    schedule = world.export()
    assert set(shelf(schedule).rows) == {ALICE, BOB}
    assert find_everywhere(TRACES)
    erasure = finish(world.erase())
    assert set(shelf(schedule).rows) == {BOB}
    assert find_everywhere([*TRACES, str(world.alice)]) == {}
    call_command("check_integrity", stdout=StringIO())
    assert [each.state for each in erasure.destinations.all()] == ["removed"]
    assert erasure.counts["events"] == 1
