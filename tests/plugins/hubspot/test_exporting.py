"""What an export does to HubSpot's contacts: who is made, moved, kept and archived, and what their properties hold."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.contracts import ACCEPTED, Halt, OutcomeKind, SyncMode, Target
from plugins.hubspot import exporting
from tests.plugins.hubspot.account import Account, define
from tests.plugins.hubspot.conftest import LocalHubspot
from tests.plugins.hubspot.exports import calls, change, export, make_target, people, person, send
from tests.plugins.hubspot.standin import Misbehaviour, Standin

ALICE, BOB, NEW = "alice@example.com", "bob@example.com", "alice@new.example.com"
MOVED = person("Alice", email=NEW)


@pytest.fixture(params=["tells_each", "echoes_traces", "names_culprits", ""])
def any_way(request: pytest.FixtureRequest, account: Account) -> None:
    """HubSpot does those of a call that it can, saying more or less of each, or refuses it for the sake of one."""
    if request.param:
        setattr(account, request.param, False)


# ---------------------------------------------------------------- many at once


def test_a_hundred_new_contacts_take_two_calls_and_a_hundred_known_ones_as_well(
    standin: Standin, hubspot: LocalHubspot
) -> None:
    hubspot.properties()
    standin.calls.clear()
    assert export(hubspot, *[change(None, payload) for payload in people(100)]) == [ACCEPTED] * 100
    assert calls(standin) == ["POST batch/read", "POST batch/create"]
    standin.calls.clear()
    known = [change(payload, {**payload, "firstname": "New"}) for payload in people(100)]
    assert export(hubspot, *known) == [ACCEPTED] * 100
    assert calls(standin) == ["POST batch/read", "POST batch/update"]
    assert standin.account.get("person99@example.com") == {"email": "person99@example.com", "firstname": "New"}


def test_where_only_the_address_is_sent_a_known_contact_takes_no_call_of_its_own(
    standin: Standin, hubspot: LocalHubspot
) -> None:
    standin.account.put(ALICE)
    target = Target({}, "email", {"email": "email"}, groups=("gold",))
    assert send(hubspot, {"email": ALICE}, target, groups=("gold",)) == ACCEPTED
    assert standin.account.members("gold") == {ALICE}
    assert "POST batch/update" not in calls(standin)


def test_a_batch_that_moves_everyone_reads_both_addresses(standin: Standin, hubspot: LocalHubspot) -> None:
    export(hubspot, *[change(None, payload) for payload in people(100)])
    standin.calls.clear()
    moved = [change(payload, {**payload, "email": f"new-{payload['email']}"}) for payload in people(100)]
    assert export(hubspot, *moved) == [ACCEPTED] * 100
    assert calls(standin) == ["POST batch/read", "POST batch/read", "POST batch/update"]
    assert standin.account.emails() == {f"new-person{number}@example.com" for number in range(100)}


@pytest.mark.usefixtures("any_way")
def test_bad_ones_among_many_are_rejected_alone(account: Account, hubspot: LocalHubspot) -> None:
    for payload in people(40):
        account.put(payload["email"])
    target = make_target(more={"visits": "integer"})
    new = [person("Alice", email="alice@fake.invalid"), person("Bob"), person("Charlie", visits="many")]
    known = [
        change(payload, {**payload, "visits": "x" if place == 7 else place}) for place, payload in enumerate(people(40))
    ]
    outcomes = export(hubspot, *known, *[change(None, payload) for payload in new], target=target)
    rejected = {place: each.reason for place, each in enumerate(outcomes) if each.kind is OutcomeKind.REJECT}
    assert rejected == {
        7: "HubSpot refused this: x was not a valid number.",
        40: "HubSpot refused this: Email address alice@fake.invalid is invalid.",
        42: "HubSpot refused this: many was not a valid number.",
    }
    assert sum(each == ACCEPTED for each in outcomes) == 40
    assert account.emails() == {BOB, *(payload["email"] for payload in people(40))}
    assert account.get("person8@example.com") == {
        "email": "person8@example.com",
        "firstname": "Person 8",
        "visits": "8",
    }


def test_what_was_rejected_stays_so_when_the_time_runs_out(
    standin: Standin, hubspot: LocalHubspot, monkeypatch: pytest.MonkeyPatch
) -> None:
    standin.account.tells_each = False
    monkeypatch.setattr(exporting, "BATCH_SECONDS", 2.0)
    of_ten_of_five_of_two = [Misbehaviour("slow", only="create")] * 3
    standin.expect(*of_ten_of_five_of_two, Misbehaviour("slow", only="create", seconds=2.1))
    bad = [person("Alice", email=f"alice{number}@fake.invalid") for number in range(10)]
    outcomes = export(hubspot, *[change(None, payload) for payload in bad])
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.REJECT, *[OutcomeKind.RETRY] * 9]
    assert (outcomes[1].after, "ran out of time" in outcomes[1].reason) == (1.0, True)


def test_a_contact_that_vanishes_between_reading_and_writing_is_tried_again_and_made_anew(
    account: Account, hubspot: LocalHubspot, monkeypatch: pytest.MonkeyPatch
) -> None:
    contact = account.put(ALICE)
    update = hubspot.line.contacts.update

    def vanish_first(*args: Any, **parameters: Any) -> Any:
        contact.is_archived = True
        return update(*args, **parameters)

    monkeypatch.setattr(hubspot.line.contacts, "update", vanish_first)
    again = change(person("Alice"), person("Alice", firstname="Alicia"))
    assert export(hubspot, again)[0].kind is OutcomeKind.RETRY
    assert export(hubspot, again) == [ACCEPTED]
    assert account.get(ALICE) == {"email": ALICE, "firstname": "Alicia"}


@pytest.mark.usefixtures("any_way")
def test_a_contact_that_someone_else_makes_in_between_is_updated(
    account: Account, hubspot: LocalHubspot, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = hubspot.line.contacts.create

    def be_late(*args: Any, **parameters: Any) -> Any:
        monkeypatch.setattr(hubspot.line.contacts, "create", create)
        account.put_list("old", account.put(ALICE, plan="free"))
        return create(*args, **parameters)

    monkeypatch.setattr(hubspot.line.contacts, "create", be_late)
    target = make_target(groups=("old",))
    outcomes = export(hubspot, change(None, person("Alice")), change(None, person("Bob")), target=target)
    assert outcomes == [ACCEPTED, ACCEPTED]
    assert account.members("old") == set()
    assert account.get(ALICE) == {"email": ALICE, "firstname": "Alice", "plan": "free"}
    assert account.emails() == {ALICE, BOB}


def test_profiles_of_one_batch_that_touch_one_address_go_in_their_order(
    account: Account, hubspot: LocalHubspot
) -> None:
    changes = [change(None, person("Alice", firstname=f"Alice {number}")) for number in range(3)]
    assert export(hubspot, *changes) == [ACCEPTED] * 3
    assert account.get(ALICE) == {"email": ALICE, "firstname": "Alice 2"}


# ---------------------------------------------------------------- sync modes


@pytest.mark.parametrize(
    ("mode", "left", "members"),
    [(SyncMode.SYNC, {BOB}, {BOB}), (SyncMode.ADDITIVE, {ALICE, BOB}, {BOB}), (SyncMode.ENRICH, {ALICE, BOB}, {BOB})],
)
def test_a_removal_archives_or_only_leaves_our_lists(
    account: Account, hubspot: LocalHubspot, mode: SyncMode, left: set[str], members: set[str]
) -> None:
    target = make_target(mode=mode, groups=("gold",))
    alice, bob = account.put(ALICE), account.put(BOB)
    account.put_list("gold", alice, bob)
    account.put_list("somebody else's", alice)
    gone = [change(person("Alice"), None, before=("gold",)), change(person("Charlie"), None, before=("gold",))]
    for _ in range(2):
        assert export(hubspot, *gone, target=target) == [ACCEPTED] * 2
        assert (account.emails(), account.members("gold")) == (left, members)
    assert account.members("somebody else's") == ({ALICE} if ALICE in left else set())


def test_a_removed_contact_comes_back(account: Account, hubspot: LocalHubspot) -> None:
    send(hubspot, person("Alice"))
    export(hubspot, change(person("Alice"), None))
    assert account.emails() == set()
    assert send(hubspot, person("Alice")) == ACCEPTED
    assert account.emails() == {ALICE}


def test_enriching_updates_and_moves_who_is_there_and_makes_nobody(account: Account, hubspot: LocalHubspot) -> None:
    target = make_target(mode=SyncMode.ENRICH, groups=("gold",))
    account.put(ALICE)
    outcomes = export(
        hubspot,
        change(person("Alice"), MOVED, groups=("gold",)),
        change(None, person("Bob"), groups=("gold",)),
        target=target,
    )
    assert outcomes == [ACCEPTED, ACCEPTED]
    assert account.get(NEW) == {"email": NEW, "firstname": "Alice"}
    assert account.emails() == {NEW} == account.members("gold")


# ---------------------------------------------------------------- addresses


def test_a_changed_address_moves_the_contact_with_all_it_has(account: Account, hubspot: LocalHubspot) -> None:
    contact = account.put(ALICE, plan="free")
    account.put_list("gold", contact)
    moving = change(person("Alice"), MOVED, before=("gold",), groups=("gold",))
    for _ in range(2):
        assert export(hubspot, moving, target=make_target(groups=("gold",))) == [ACCEPTED]
        assert account.get(NEW) == {"email": NEW, "firstname": "Alice", "plan": "free"}
        assert account.emails() == {NEW} == account.members("gold")
    assert list(account.contacts) == [contact.id]


@pytest.mark.parametrize(("mode", "left"), [(SyncMode.SYNC, {NEW}), (SyncMode.ADDITIVE, {ALICE, NEW})])
def test_where_the_new_address_is_a_contact_already_the_old_one_lets_go(
    account: Account, hubspot: LocalHubspot, mode: SyncMode, left: set[str]
) -> None:
    account.put_list("gold", account.put(ALICE))
    account.put_list("old", kept := account.put(NEW, plan="free"))
    target = make_target(mode=mode, groups=("gold", "old"))
    moving = change(person("Alice"), MOVED, before=("gold",), groups=("gold",))
    for _ in range(2):
        assert export(hubspot, moving, target=target) == [ACCEPTED]
        assert (account.emails(), account.members("gold"), account.members("old")) == (left, {NEW}, set())
    assert kept.properties["plan"] == "free"
    assert account.get(NEW) == {"email": NEW, "firstname": "Alice", "plan": "free"}


@pytest.mark.usefixtures("any_way")
def test_a_new_address_that_someone_takes_in_between_is_kept(
    account: Account, hubspot: LocalHubspot, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.put(ALICE)
    account.put(BOB)
    update = hubspot.line.contacts.update

    def be_late(*args: Any, **parameters: Any) -> Any:
        monkeypatch.setattr(hubspot.line.contacts, "update", update)
        account.put(NEW)
        return update(*args, **parameters)

    monkeypatch.setattr(hubspot.line.contacts, "update", be_late)
    outcomes = export(hubspot, change(person("Alice"), MOVED), change(person("Bob"), person("Bob")))
    assert outcomes == [ACCEPTED, ACCEPTED]
    assert account.emails() == {NEW, BOB}
    assert account.get(NEW) == {"email": NEW, "firstname": "Alice"}


def test_another_case_of_an_address_is_the_same_contact(account: Account, hubspot: LocalHubspot) -> None:
    account.put(ALICE)
    upper = person("Alice", email="ALICE@Example.com", firstname="Alicia")
    assert export(hubspot, change(person("Alice"), upper)) == [ACCEPTED]
    assert account.get(ALICE) == {"email": ALICE, "firstname": "Alicia"}


def test_without_an_address_a_profile_is_rejected(hubspot: LocalHubspot) -> None:
    outcome = send(hubspot, person("Alice", email=None))
    assert (outcome.kind, "no email address" in outcome.reason) == (OutcomeKind.REJECT, True)


# ---------------------------------------------------------------- merged contacts


@pytest.mark.parametrize("finds_others", [True, False])
def test_a_merged_contact_is_updated_by_its_further_address_and_keeps_its_own(
    account: Account, hubspot: LocalHubspot, finds_others: bool
) -> None:
    account.finds_others = finds_others
    account.put(BOB, ALICE)
    assert send(hubspot, person("Alice"), make_target(groups=("gold",)), groups=("gold",)) == ACCEPTED
    assert account.get(BOB) == {"email": BOB, "firstname": "Alice"}
    assert (account.emails(), account.members("gold")) == ({BOB}, {BOB})


def test_a_merged_contact_is_neither_archived_nor_moved_for_an_address_that_is_not_its_own(
    account: Account, hubspot: LocalHubspot
) -> None:
    account.put_list("gold", account.put(BOB, ALICE))
    target = make_target(groups=("gold",))
    assert export(hubspot, change(person("Alice"), MOVED), target=target) == [ACCEPTED]
    assert account.emails() == {BOB, NEW}
    assert export(hubspot, change(person("Alice"), None, before=("gold",)), target=target) == [ACCEPTED]
    assert (account.emails(), account.members("gold")) == ({BOB, NEW}, set())


def test_two_profiles_that_hubspot_merged_are_written_one_after_the_other(
    standin: Standin, account: Account, hubspot: LocalHubspot
) -> None:
    account.put(BOB, ALICE)
    both = [change(person("Bob"), person("Bob")), change(person("Alice"), person("Alice"))]
    assert export(hubspot, *both) == [ACCEPTED, ACCEPTED]
    assert account.get(BOB) == {"email": BOB, "firstname": "Alice"}
    assert calls(standin).count("POST batch/update") == 2
    assert export(hubspot, change(person("Bob"), None), both[1]) == [ACCEPTED, ACCEPTED]
    assert account.emails() == {BOB}, "Alice's address still is this contact's"


def test_a_merged_contact_stays_in_a_list_as_long_as_one_of_its_profiles_is_in_the_group(
    account: Account, hubspot: LocalHubspot
) -> None:
    account.put_list("gold", account.put(BOB, ALICE))
    leaves = change(person("Bob"), person("Bob"), before=("gold",))
    joins = change(person("Alice"), person("Alice"), groups=("gold",))
    assert export(hubspot, joins, leaves, target=make_target(groups=("gold",))) == [ACCEPTED, ACCEPTED]
    assert account.members("gold") == {BOB}


# ---------------------------------------------------------------- lists


def test_only_the_differences_of_lists_are_sent_whatever_the_case_of_their_names(
    standin: Standin, account: Account, hubspot: LocalHubspot
) -> None:
    account.put_list("gold")
    target = make_target(groups=("Gold", "Silver", "Bronze"))
    assert send(hubspot, person("Alice"), target, groups=("Gold", "Silver")) == ACCEPTED
    assert {each.name: account.members(each.name) for each in account.lists.values()} == {
        "gold": {ALICE},
        "Silver": {ALICE},
    }
    standin.calls.clear()
    same = change(person("Alice"), person("Alice"), before=("Gold", "Silver"), groups=("GOLD", "silver"))
    assert export(hubspot, same, target=target) == [ACCEPTED]
    assert calls(standin) == ["POST batch/read", "POST batch/update"]
    less = change(person("Alice"), person("Alice"), before=("Gold", "Silver"), groups=("Gold", "Bronze"))
    assert export(hubspot, less, target=target) == [ACCEPTED]
    assert [account.members(name) for name in ("gold", "Silver", "Bronze")] == [{ALICE}, set(), {ALICE}]


def test_a_list_changes_with_one_call_for_all(standin: Standin, hubspot: LocalHubspot) -> None:
    target = make_target(groups=("gold", "silver"))
    export(hubspot, *[change(None, payload, groups=("gold",)) for payload in people(50)], target=target)
    standin.calls.clear()
    swapped = [
        change(payload, payload, before=("gold",), groups=("silver",) if place % 2 else ("gold",))
        for place, payload in enumerate(people(50))
    ]
    assert export(hubspot, *swapped, target=target) == [ACCEPTED] * 50
    assert sum("memberships" in call for call in standin.calls) == 2
    assert [len(standin.account.members(name)) for name in ("gold", "silver")] == [25, 25]


def test_someone_whom_hubspot_knew_before_leaves_our_lists_that_they_are_not_in_here(
    account: Account, hubspot: LocalHubspot
) -> None:
    alice = account.put(ALICE)
    account.put_list("gold", alice)
    account.put_list("theirs", alice)
    assert send(hubspot, person("Alice"), make_target(groups=("gold", "new")), groups=("new",)) == ACCEPTED
    assert [account.members(name) for name in ("gold", "new", "theirs")] == [set(), {ALICE}, {ALICE}]


def test_a_known_contact_that_was_deleted_comes_back_with_all_its_lists(
    account: Account, hubspot: LocalHubspot
) -> None:
    known = change(person("Alice"), person("Alice"), before=("gold",), groups=("gold",))
    assert export(hubspot, known, target=make_target(groups=("gold",))) == [ACCEPTED]
    assert account.members("gold") == {ALICE}


def test_a_list_that_was_deleted_meanwhile_is_made_anew(account: Account, hubspot: LocalHubspot) -> None:
    target = make_target(groups=("gold",))
    send(hubspot, person("Alice"), target, groups=("gold",))
    account.lists.clear()
    outcome = send(hubspot, person("Bob"), target, groups=("gold",))
    assert (outcome.kind, outcome.after) == (OutcomeKind.RETRY, 1.0)
    assert send(hubspot, person("Bob"), target, groups=("gold",)) == ACCEPTED
    assert account.members("gold") == {BOB}


def test_a_list_that_someone_makes_in_between_is_used(
    account: Account, hubspot: LocalHubspot, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = hubspot.line.lists.create

    def be_late(*args: Any, **parameters: Any) -> Any:
        account.put_list("Gold")
        return create(*args, **parameters)

    monkeypatch.setattr(hubspot.line.lists, "create", be_late)
    assert send(hubspot, person("Alice"), make_target(groups=("gold",)), groups=("gold",)) == ACCEPTED
    assert account.members("Gold") == {ALICE}
    assert len(account.lists) == 1


def test_a_list_that_fills_itself_halts_the_export(account: Account, hubspot: LocalHubspot) -> None:
    account.put_list("gold", kind="DYNAMIC")
    outcome = send(hubspot, person("Alice"), make_target(groups=("gold",)), groups=("gold",))
    assert outcome.kind is OutcomeKind.HALT
    assert "“gold” fills itself" in outcome.reason


def test_a_contact_that_a_list_does_not_know_yet_is_tried_again(
    account: Account, hubspot: LocalHubspot, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = hubspot.line.memberships.add_and_remove
    answers = iter([{"recordIdsMissing": ["101"]}])
    monkeypatch.setattr(
        hubspot.line.memberships, "add_and_remove", lambda *args, **more: next(answers, None) or add(*args, **more)
    )
    target = make_target(groups=("gold",))
    outcome = send(hubspot, person("Alice"), target, groups=("gold",))
    assert (outcome.kind, "does not know this contact yet" in outcome.reason) == (OutcomeKind.RETRY, True)
    assert send(hubspot, person("Alice"), target, groups=("gold",)) == ACCEPTED
    assert account.members("gold") == {ALICE}


@pytest.mark.parametrize("name", ["50 % off / “gold”?", "Zoë & Söhne #1"])
def test_a_list_may_have_any_name(account: Account, hubspot: LocalHubspot, name: str) -> None:
    for _ in range(2):
        with LocalHubspot(hubspot.options) as app:
            assert send(app, person("Alice"), make_target(groups=(name,)), groups=(name,)) == ACCEPTED
    assert [each.name for each in account.lists.values()] == [name]
    assert account.members(name) == {ALICE}


# ---------------------------------------------------------------- fields


def test_fields_are_the_properties_that_can_be_written(hubspot: LocalHubspot) -> None:
    found = {field.key: (field.type, field.required) for field in hubspot.fields({})}
    assert next(iter(found)) == "email"
    assert found["email"] == ("email", True)
    assert (found["spent"][0], found["vip"][0], found["since"][0], found["phone"][0]) == (
        "float",
        "boolean",
        "date",
        "string",
    )
    assert not {"createdate", "hs_object_id", "score", "old"} & set(found)


@pytest.mark.parametrize(
    ("name", "said"),
    [("size", "no property size: make it"), ("createdate", "lets nobody write the property createdate")],
)
def test_a_property_that_cannot_be_written_halts_the_export(hubspot: LocalHubspot, name: str, said: str) -> None:
    with pytest.raises(Halt, match=said):
        export(hubspot, change(None, person("Alice", **{name: "x"})), target=make_target(more={name: "string"}))


def test_without_the_email_address_an_export_halts(hubspot: LocalHubspot) -> None:
    with pytest.raises(Halt, match="has to send the email address"):
        hubspot.export(Target({}, "email", {"firstname": "string"}), [change(None, person("Alice"))])


@pytest.mark.usefixtures("any_way")
def test_a_property_that_vanishes_after_it_was_read_halts_and_rejects_nobody(
    account: Account, hubspot: LocalHubspot
) -> None:
    hubspot.properties()
    del account.properties["firstname"]
    outcomes = export(hubspot, change(None, person("Alice")), change(None, person("Bob")))
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.HALT}
    assert 'Property "firstname" does not exist. Mend the property' in outcomes[0].reason


@pytest.mark.parametrize(
    ("name", "type_", "value", "held"),
    [
        ("since", "date", "2024-02-29T23:59:59.000000Z", "2024-02-29T23:59:59.000Z"),
        ("since", "date", "2024-03-01T00:30:00+02:00", "2024-02-29T22:30:00.000Z"),
        ("birthday", "date", "1990-12-24T00:00:00.000000Z", "1990-12-24"),
        ("birthday", "date", "1990-12-24T23:59:59.999999Z", "1990-12-24"),
        ("phone", "phone_number", "+4930123456", "+4930123456"),
        ("visits", "integer", 3, "3"),
        ("visits", "boolean", True, "1"),
        ("spent", "float", 12.5, "12.5"),
        ("vip", "boolean", False, "false"),
        ("vip", "boolean", True, "true"),
        ("name", "boolean", True, "true"),
        ("name", "string", ["red", "blue"], "red, blue"),
        ("plan", "string", "pro_2024", "pro_2024"),
        ("plan", "string", "professional", "pro_2024"),
        ("plan", "string", "FREE", "free"),
        ("colours", "string", ["Red", "blue"], "red;blue"),
        ("hubspot_owner_id", "integer", 77, "77"),
    ],
)
def test_values_are_written_as_their_property_asks_and_null_clears_them(
    account: Account, hubspot: LocalHubspot, name: str, type_: str, value: Any, held: str
) -> None:
    target = make_target(more={name: type_})
    assert send(hubspot, person("Alice", **{name: value}), target) == ACCEPTED
    assert (account.get(ALICE) or {})[name] == held
    assert send(hubspot, person("Alice", **{name: None}), target) == ACCEPTED
    assert name not in (account.get(ALICE) or {})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("plan", "gold", "The property plan has no option “gold”; it has free, pro_2024."),
        ("colours", ["red", "green"], "The property colours has no option “green”; it has red, blue."),
        ("birthday", "soon", "The property birthday takes a date, not “soon”."),
        ("name", "x" * 65_537, "HubSpot refused this: name is longer than 65536 characters."),
    ],
)
def test_a_value_that_does_not_fit_is_rejected_in_plain_words(
    hubspot: LocalHubspot, name: str, value: Any, said: str
) -> None:
    outcomes = export(
        hubspot, change(None, person("Alice", **{name: value})), change(None, person("Bob")),
        target=make_target(more={name: "string"}),
    )  # fmt: skip
    assert (outcomes[0].kind, outcomes[0].reason, outcomes[1]) == (OutcomeKind.REJECT, said, ACCEPTED)


def test_a_long_list_of_options_is_cut_in_the_reason(account: Account, hubspot: LocalHubspot) -> None:
    account.properties["plan"] = define("plan", "enumeration", "select", **{f"p{number}": "" for number in range(30)})
    outcome = send(hubspot, person("Alice", plan="x"), make_target(more={"plan": "string"}))
    assert outcome.reason.endswith("it has p0, p1, p2, p3, p4, p5, p6, p7, ….")


def test_what_is_read_back_is_what_a_payload_would_hold(account: Account, hubspot: LocalHubspot) -> None:
    more = {"since": "date", "birthday": "date", "vip": "boolean", "visits": "integer", "spent": "float"}
    payload = person("Alice", since="2024-02-29T23:59:59.000000Z", birthday=None, vip=True, visits=3, spent=12.5)
    target = make_target(more=more)
    send(hubspot, payload, target)
    account.put(BOB, "robert@example.com", birthday="1990-12-24")
    held = hubspot.read_back(target, [ALICE, "robert@example.com", "nobody@example.com", "no address"])
    assert held[ALICE] == payload
    assert held["robert@example.com"]["birthday"] == "1990-12-24T00:00:00.000000Z"
    assert set(held) == {ALICE, "robert@example.com"}
