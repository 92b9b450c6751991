from __future__ import annotations

from datetime import timedelta

import pytest

from events.models import Event, EventKey
from profiles.models import Profile, ProfileChange, ProfileIdentity, ProfileProperty
from tests.pipeline.people import NOON, event, everyone, shop_rules, take

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _rules() -> None:
    shop_rules()


def test_an_event_with_a_new_identity_makes_a_profile_with_typed_values() -> None:
    result = take(event({"user_id": "3", "first_name": " Alice ", "age": "41", "colour": "red"}))
    assert (result.events, result.created) == (1, 1)
    assert everyone() == [{"user_id": 3, "first_name": "Alice", "age": 41}]
    stored = Event.objects.get()
    assert stored.payload == {"user_id": "3", "first_name": " Alice ", "age": "41", "colour": "red"}
    assert (stored.state, stored.profile_id) == ("processed", Profile.objects.get().guid)


def test_the_same_person_is_found_by_any_of_their_identities() -> None:
    take(event({"user_id": 3, "email": "Alice@Example.com"}))
    take(event({"email": "alice@example.com", "age": 41}, at=1))
    assert everyone() == [{"user_id": 3, "email": "alice@example.com", "age": 41}]


def test_events_of_one_batch_are_taken_in_order_of_arrival() -> None:
    take(
        event({"user_id": 3, "first_name": "Alice"}, at=1),
        event({"user_id": 4, "first_name": "Bob"}, at=1),
        event({"user_id": 3, "email": "alice@example.com"}, at=2),
        event({"email": "alice@example.com", "first_name": "Alicia"}, at=3),
    )
    assert everyone() == [
        {"user_id": 3, "email": "alice@example.com", "first_name": "Alicia"},
        {"user_id": 4, "first_name": "Bob"},
    ]


def test_an_older_event_does_not_overwrite_and_is_kept_in_the_change_log() -> None:
    take(event({"user_id": 3, "first_name": "Alicia"}, at=10))
    take(event({"user_id": 3, "first_name": "Alice", "age": 41}, at=5))
    assert everyone() == [{"user_id": 3, "first_name": "Alicia", "age": 41}]
    last = ProfileChange.objects.order_by("id").last()
    assert last is not None
    assert last.changes == {"age": [None, 41]}
    assert last.lost is not None
    assert last.lost["first_name"][0] == "Alice"


def test_a_time_in_the_future_counts_as_the_time_of_arrival() -> None:
    late = NOON + timedelta(hours=6)
    take(event({"user_id": 3, "first_name": "Alice"}, at=NOON + timedelta(days=900)))
    take(event({"user_id": 3, "first_name": "Alicia"}, at=late, received_at=late))
    assert everyone() == [{"user_id": 3, "first_name": "Alicia"}]


def test_a_value_that_does_not_fit_becomes_null_and_says_why() -> None:
    take(event({"user_id": 3, "age": 41}))
    result = take(event({"user_id": 3, "age": "forty-two"}, at=1))
    assert everyone() == [{"user_id": 3}]
    assert Profile.objects.get().property_meta["age"][4:] == ["forty-two", "not a whole number"]
    assert result.errors == [(0, "age: not a whole number", "forty-two")]


def test_an_event_without_identity_is_stored_unlinked_with_the_reason() -> None:
    result = take(event({"first_name": "Alice"}), event({"email": "no address"}), event({"email": "null"}))
    assert result.unlinked == 3
    assert not Profile.objects.exists()
    reasons = list(Event.objects.order_by("id").values_list("state", "error"))
    assert [state for state, _ in reasons] == ["unlinked"] * 3
    assert "email: not an email address" in reasons[1][1]


def test_a_blocked_value_identifies_nobody() -> None:
    take(event({"email": "test@test.com", "first_name": "Nobody"}))
    assert not Profile.objects.exists()


def test_two_profiles_for_one_event_the_lower_rank_wins_and_both_are_named() -> None:
    take(event({"user_id": 3, "email": "alice@example.com"}), event({"user_id": 4, "email": "bob@example.com"}))
    result = take(event({"user_id": 3, "email": "bob@example.com", "age": 41}, at=1))
    assert result.conflicts == 1
    assert everyone() == [
        {"user_id": 3, "email": "alice@example.com", "age": 41},
        {"user_id": 4, "email": "bob@example.com"},
    ]
    warning = Event.objects.order_by("id").last()
    assert warning is not None
    assert warning.error.startswith("identity conflict")
    for profile in Profile.objects.all():
        assert str(profile.guid) in warning.error


def test_a_new_email_address_frees_the_old_one_for_others() -> None:
    take(event({"user_id": 3, "email": "old@example.com"}))
    take(event({"user_id": 3, "email": "new@example.com"}, at=1), event({"email": "old@example.com"}, at=2))
    assert {str(person) for person in everyone()} == {
        str({"email": "old@example.com"}),
        str({"email": "new@example.com", "user_id": 3}),
    }
    assert ProfileIdentity.objects.count() == 3


def test_the_same_message_twice_is_one_event() -> None:
    first = event({"user_id": 3}, message_id="once")
    again = event({"user_id": 3, "age": 9}, message_id="once")
    result = take(first, again)
    assert (result.events, result.duplicates) == (1, 1)
    assert take(again).duplicates == 1
    assert (Event.objects.count(), EventKey.objects.count()) == (1, 1)


def test_null_clears_a_value_and_is_not_a_rejection() -> None:
    take(event({"user_id": 3, "first_name": "Alice"}))
    result = take(event({"user_id": 3, "first_name": ""}, at=1))
    assert everyone() == [{"user_id": 3}]
    assert result.errors == []


def test_text_that_postgresql_cannot_hold_rejects_that_event_alone() -> None:
    nul, surrogate = event({"user_id": 3, "note": "a\x00b"}), event({"user_id": 4, "note": "\ud800"})
    result = take(nul, surrogate, event({"user_id": 5}))
    assert (result.rejected, result.events) == (2, 1)
    assert everyone() == [{"user_id": 5}]
    assert "U+0000" in result.errors[0][2]


def test_a_backslash_before_u0000_is_just_text() -> None:
    take(event({"user_id": 3, "first_name": "\\u0000"}))
    assert everyone() == [{"user_id": 3, "first_name": "\\u0000"}]


def test_only_the_keys_a_schedule_maps_are_saved() -> None:
    take(event({"user_id": 3, "first_name": "Alice", "age": 9}, saves=frozenset({"user_id", "age"})))
    assert everyone() == [{"user_id": 3, "age": 9}]


def test_a_schedule_that_may_not_create_leaves_strangers_unlinked() -> None:
    assert take(event({"user_id": 3}, may_create=False)).unlinked == 1
    assert not Profile.objects.exists()


def test_the_view_shows_one_row_per_property() -> None:
    take(event({"user_id": 3, "first_name": "Alice"}))
    rows = ProfileProperty.objects.filter(profile=Profile.objects.get()).order_by("key")
    assert [(row.key, row.type, row.value, row.text) for row in rows] == [
        ("first_name", "string", "Alice", "Alice"),
        ("user_id", "integer", 3, "3"),
    ]
