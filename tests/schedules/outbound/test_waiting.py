"""An event goes out with the profile's data as they are once every App has answered, or not at all before a day."""

from __future__ import annotations

from typing import Any

from django.db import connection

from profiles import hydration_retries
from schedules.outbound.models import OutboundDelivery
from schedules.outbound.owing import LATE
from tests.pipeline.people import event, take
from tests.schedules.outbound.world import World, carts, deliver, person, states


def leave_cart_without_the_source(user_id: int, number: int) -> None:
    """An event in whose batch an App did not answer for this person, as the pipeline notes it."""
    carts(user_id, number)
    hydration_retries.note(failed=[person(user_id)], answered=[], reason="The warehouse is away.")


def get_the_source_back(user_id: int, **values: Any) -> None:
    """The App answers with these values."""
    take(event({"user_id": user_id, **values}))
    hydration_retries.note(failed=[], answered=[person(user_id)], reason="")


def make_older(hours: int) -> None:
    """As if they had waited for so long."""
    with connection.cursor() as cursor:
        cursor.execute("update outbound_delivery set waits_since = waits_since - make_interval(hours => %s)", [hours])


def test_an_event_waits_until_the_profiles_data_are_complete(world: World) -> None:
    take(event({"user_id": 1, "first_name": "Alice"}), event({"user_id": 2, "first_name": "Bob"}))
    world.subscribe(properties=("first_name",))
    leave_cart_without_the_source(1, 1)
    carts(2, 2)
    deliver(waits=1)
    assert states() == ["waiting", "accepted"]
    assert OutboundDelivery.objects.get(state="waiting").body is None
    get_the_source_back(1, first_name="Alicia")
    carts(1, 3)
    deliver()
    assert world.box.numbers() == [2], "the next one of the same profile does not overtake it"
    deliver(waits=1)
    assert world.box.numbers() == [2, 1, 3]
    assert [body["profile"]["first_name"] for body in world.box.bodies] == ["Bob", "Alicia", "Alicia"]
    assert not OutboundDelivery.objects.exclude(warning="").exists()


def test_after_a_day_it_goes_out_with_what_is_known_and_a_warning(world: World) -> None:
    take(event({"user_id": 1, "first_name": "Alice"}))
    world.subscribe(properties=("first_name",))
    leave_cart_without_the_source(1, 1)
    deliver()
    make_older(23)
    deliver(waits=1)
    assert states() == ["waiting"]
    make_older(2)
    deliver(waits=1)
    assert states() == ["accepted"]
    assert world.box.bodies[0]["profile"]["first_name"] == "Alice"
    assert OutboundDelivery.objects.get().warning.startswith(LATE)


def test_the_groups_are_asked_when_the_data_are_complete(world: World) -> None:
    take(event({"user_id": 1}), event({"user_id": 2}))
    world.subscribe(groups=(world.groups["usa"].pk,))
    leave_cart_without_the_source(1, 1)
    leave_cart_without_the_source(2, 2)
    deliver()
    assert states() == ["waiting", "waiting"]
    world.join(2, "usa")
    get_the_source_back(1)
    get_the_source_back(2)
    deliver(waits=1)
    assert world.box.numbers() == [2]
    assert states() == ["accepted"], "whoever turned out to be in no group is in no log"
