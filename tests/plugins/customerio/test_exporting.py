"""What an export leaves in a Customer.io workspace: attributes, groups, moved and removed people."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.contracts import ACCEPTED, Halt, OutcomeKind, SyncMode
from tests.plugins.customerio.conftest import LocalCustomerio
from tests.plugins.customerio.exports import change, export, held, make_target, people, person, send
from tests.plugins.customerio.standin import Standin

REJECT = OutcomeKind.REJECT
NEW = {**person("Alice"), "email": "alice@new.example.com"}

# ---------------------------------------------------------------- attributes


@pytest.mark.parametrize(
    ("value_type", "value", "expected"),
    [
        ("date", "2024-02-29T23:59:59.999998Z", 1709251199),
        ("date", "1969-12-31T23:59:59.000000Z", -1),
        ("date", ["2024-02-29T00:00:00.000000Z", None], [1709164800]),
        ("boolean", False, False),
        ("integer", 0, 0),
        ("float", 12.5, 12.5),
        ("phone_number", "+4930123456", "+4930123456"),
        ("string", ["red", "blue"], ["red", "blue"]),
        ("string", "日本語", "日本語"),
    ],
)
def test_a_value_arrives_with_its_type(
    standin: Standin, customerio: LocalCustomerio, value_type: str, value: Any, expected: Any
) -> None:
    target = make_target(more={"it": value_type})
    assert send(customerio, person("Alice", it=value), target) == ACCEPTED
    assert held(standin) == {"alice@example.com": {"name": "Alice", "it": expected}}


@pytest.mark.parametrize("nothing", [None, "", [], [None]])
def test_an_empty_value_removes_the_attribute(standin: Standin, customerio: LocalCustomerio, nothing: Any) -> None:
    target = make_target(more={"it": "string"})
    send(customerio, person("Alice", it="here"), target)
    export(customerio, change(person("Alice", it="here"), person("Alice", it=nothing)), target=target)
    assert held(standin) == {"alice@example.com": {"name": "Alice"}}


def test_nobody_who_unsubscribed_is_subscribed_again_by_an_empty_property(
    standin: Standin, customerio: LocalCustomerio
) -> None:
    standin.workspace.put(email="alice@example.com").attributes["unsubscribed"] = True
    target = make_target(more={"unsubscribed": "boolean"})
    send(customerio, person("Alice", unsubscribed=None), target)
    assert held(standin)["alice@example.com"]["unsubscribed"] is True
    send(customerio, person("Alice", unsubscribed=False), target)
    assert held(standin)["alice@example.com"]["unsubscribed"] is False


def test_what_others_wrote_stays(standin: Standin, customerio: LocalCustomerio) -> None:
    standin.workspace.put(email="alice@example.com").attributes["plan"] = "gold"
    send(customerio, person("Alice"))
    assert held(standin) == {"alice@example.com": {"name": "Alice", "plan": "gold"}}


def test_a_person_known_by_id_has_their_email_beside_it(standin: Standin, customerio: LocalCustomerio) -> None:
    target = make_target(key="id", more={"id": "integer"})
    send(customerio, person("Alice", id=1), target)
    [alice] = standin.workspace.people
    assert (alice.id, alice.email, alice.attributes) == ("1", "alice@example.com", {"name": "Alice"})


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"email": None, "name": "Alice"}, "There is no email"),
        ({"email": "  ", "name": "Alice"}, "There is no email"),
        ({"email": "alice", "name": "Alice"}, "identifiers.email: is not an email address"),
        (person("Alice", since="soon"), "since takes a date, not “soon”"),
        (person("Alice", name="x" * 1001), "'name' cannot be longer than 1000 bytes"),
    ],
)
def test_a_refused_person_is_told_why_and_keeps_nobody_back(
    standin: Standin, customerio: LocalCustomerio, payload: dict[str, Any], said: str
) -> None:
    target = make_target(more={"since": "date"})
    changes = [change(None, each) for each in (person("Bob"), payload, person("Charlie"))]
    outcomes = export(customerio, *changes, target=target)
    assert (outcomes[1].kind, said in outcomes[1].reason) == (REJECT, True), outcomes[1]
    assert (outcomes[0], outcomes[2]) == (ACCEPTED, ACCEPTED)
    assert set(held(standin)) == {"bob@example.com", "charlie@example.com"}


def test_a_person_too_large_for_one_operation_is_refused_without_a_call(
    standin: Standin, customerio: LocalCustomerio
) -> None:
    target = make_target(more={f"field{number}": "string" for number in range(40)})
    outcome = send(customerio, person("Alice", **{f"field{number}": "x" * 1000 for number in range(40)}), target)
    assert (outcome.kind, "32 KB" in outcome.reason) == (REJECT, True)
    assert standin.calls == []


def test_many_go_in_few_calls_that_are_small_enough(standin: Standin, customerio: LocalCustomerio) -> None:
    fields = {f"field{number}": "string" for number in range(5)}
    payloads = people(500, **dict.fromkeys(fields, "é" * 100))
    outcomes = export(customerio, *[change(None, each) for each in payloads], target=make_target(more=fields))
    assert outcomes == [ACCEPTED] * 500
    assert len(held(standin)) == 500
    assert len(standin.calls) == 4
    assert max(standin.sizes) <= 500_000


def test_suppressed_people_stay_away(standin: Standin, customerio: LocalCustomerio) -> None:
    standin.workspace.suppressed.add("alice@example.com")
    assert send(customerio, person("Alice")) == ACCEPTED
    assert held(standin) == {}


# ---------------------------------------------------------------- targets


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"key": "user_id"}, "by id or email: call the key field so, not “user_id”"),
        ({"more": {"_secret": "string"}}, "keeps the attribute _secret"),
        ({"more": {"cio_id": "string"}}, "keeps the attribute cio_id"),
        ({"more": {"x" * 151: "string"}}, "at most 150 bytes"),
        ({"groups": ["VIP", "vip!"]}, "would be the attribute in_vip, which is there already"),
        ({"groups": ["VIP"], "more": {"in_vip": "boolean"}}, "in_vip, which is there already"),
        ({"groups": ["日" * 50]}, "at most 150 bytes"),
    ],
)
def test_a_target_that_cannot_work_halts_with_what_to_mend(
    standin: Standin, customerio: LocalCustomerio, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(Halt, match=said):
        send(customerio, person("Alice"), make_target(**more))
    assert standin.calls == []


def test_a_key_field_that_is_no_identifier_is_refused_when_it_is_chosen(customerio: LocalCustomerio) -> None:
    assert list(customerio.fields({})) == []
    assert list(customerio.fields({"key_field": "id"})) == []
    with pytest.raises(Halt, match="id or email"):
        customerio.fields({"key_field": "user_id"})


# ---------------------------------------------------------------- groups


def test_each_group_is_an_attribute_that_is_true_or_false(standin: Standin, customerio: LocalCustomerio) -> None:
    target = make_target(groups=["Lapsed customers", "USA", "Über 60 / 日本"])
    send(customerio, person("Alice"), target, groups=("Lapsed customers",))
    assert held(standin)["alice@example.com"] == {
        "name": "Alice",
        "in_lapsed_customers": True,
        "in_usa": False,
        "in_über_60_日本": False,
    }


def test_a_group_that_is_not_exported_any_more_leaves_nothing_behind(
    standin: Standin, customerio: LocalCustomerio
) -> None:
    send(customerio, person("Alice"), make_target(groups=["gold", "silver"]), groups=("gold",))
    again = change(person("Alice"), person("Alice"), before=("gold",), groups=("silver",))
    export(customerio, again, target=make_target(groups=["silver"]))
    assert held(standin)["alice@example.com"] == {"name": "Alice", "in_silver": True}


@pytest.mark.parametrize("mode", [SyncMode.ADDITIVE, SyncMode.ENRICH])
def test_who_is_not_to_be_removed_loses_the_groups_and_is_not_made_anew(
    standin: Standin, customerio: LocalCustomerio, mode: SyncMode
) -> None:
    send(customerio, person("Alice"), make_target(groups=["gold"]), groups=("gold",))
    target = make_target(mode=mode, groups=["gold"])
    changes = [change(person(name), None, before=("gold",)) for name in ("Alice", "Bob")]
    assert export(customerio, *changes, target=target) == [ACCEPTED, ACCEPTED]
    assert held(standin) == {"alice@example.com": {"name": "Alice"}}


# ---------------------------------------------------------------- changed keys


def test_a_moved_person_keeps_what_only_customerio_knows(standin: Standin, customerio: LocalCustomerio) -> None:
    send(customerio, person("Alice"))
    standin.workspace.people[0].attributes["unsubscribed"] = True
    assert export(customerio, change(person("Alice"), NEW)) == [ACCEPTED]
    assert held(standin) == {"alice@new.example.com": {"name": "Alice", "unsubscribed": True}}


def test_a_value_that_a_moved_person_lost_does_not_come_back(standin: Standin, customerio: LocalCustomerio) -> None:
    target = make_target(groups=["gold"])
    send(customerio, person("Alice"), target, groups=("gold",))
    export(customerio, change(person("Alice"), {**NEW, "name": None}, before=("gold",)), target=target)
    assert held(standin) == {"alice@new.example.com": {"in_gold": False}}


def test_an_email_in_another_case_is_the_same_person(standin: Standin, customerio: LocalCustomerio) -> None:
    send(customerio, person("Alice"))
    export(customerio, change(person("Alice"), person("Alice", email="ALICE@example.com", name="A.")))
    assert [entry["action"] for batch in standin.batches for entry in batch] == ["identify", "identify"]
    assert held(standin) == {"alice@example.com": {"name": "A."}}


def test_a_person_whose_id_changed_keeps_the_email(standin: Standin, customerio: LocalCustomerio) -> None:
    target = make_target(key="id", more={"id": "string"})
    send(customerio, person("Alice", id="a"), target)
    export(customerio, change(person("Alice", id="a"), person("Alice", id="b")), target=target)
    [alice] = standin.workspace.people
    assert (alice.id, alice.email, alice.attributes) == ("b", "alice@example.com", {"name": "Alice"})
    assert [failure for failure in standin.workspace.failures if "Update" in failure] == []


@pytest.mark.parametrize(
    ("mode", "left"),
    [(SyncMode.SYNC, {}), (SyncMode.ADDITIVE, {"alice@example.com": {"name": "Alice"}})],
)
def test_a_merge_that_came_too_early_leaves_nobody_in_our_groups(
    standin: Standin, customerio: LocalCustomerio, mode: SyncMode, left: dict[str, Any]
) -> None:
    standin.workspace.merges_too_late = True
    target = make_target(mode=mode, groups=["gold"])
    send(customerio, person("Alice"), target, groups=("gold",))
    export(customerio, change(person("Alice"), NEW, before=("gold",), groups=("gold",)), target=target)
    assert held(standin) == {**left, "alice@new.example.com": {"name": "Alice", "in_gold": True}}


def test_where_nothing_may_be_made_a_moved_person_only_loses_the_groups(
    standin: Standin, customerio: LocalCustomerio
) -> None:
    send(customerio, person("Alice"), make_target(groups=["gold"]), groups=("gold",))
    target = make_target(mode=SyncMode.ENRICH, groups=["gold"])
    export(customerio, change(person("Alice"), NEW, before=("gold",), groups=("gold",)), target=target)
    assert held(standin) == {"alice@example.com": {"name": "Alice"}}


def test_a_move_to_a_key_that_is_refused_leaves_the_old_person_alone(
    standin: Standin, customerio: LocalCustomerio
) -> None:
    send(customerio, person("Alice"))
    [outcome] = export(customerio, change(person("Alice"), person("Alice", email="no address")))
    assert outcome.kind is REJECT
    assert held(standin) == {"alice@example.com": {"name": "Alice"}}


def test_the_email_of_a_person_known_by_id_changes_where_the_workspace_allows_it(
    standin: Standin, customerio: LocalCustomerio
) -> None:
    target = make_target(key="id", more={"id": "string"})
    send(customerio, person("Alice", id="a"), target)
    moved = change(person("Alice", id="a"), person("Alice", id="a", email="alice@new.example.com"))
    export(customerio, moved, target=target)
    assert standin.workspace.people[0].email == "alice@example.com"
    standin.workspace.updates_email_by_id = True
    export(customerio, moved, target=target)
    assert standin.workspace.people[0].email == "alice@new.example.com"
