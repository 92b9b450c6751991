"""Exporting to Mailchimp: consent is kept, addresses move, tags are diffed, many go at once where that is safe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plugins.contracts import ACCEPTED, Halt, OutcomeKind, SyncMode
from plugins.mailchimp.changes import hash_email
from plugins.mailchimp.standin.server import Standin
from tests.plugins.mailchimp.conftest import LIST, LocalMailchimp, options_for
from tests.plugins.mailchimp.exports import (
    MEMBER,
    calls,
    change,
    export,
    make_target,
    people,
    person,
    put_member,
    send,
    status,
    tags,
)

ALICE, BOB = "alice@example.com", "bob@example.com"


# ---------------------------------------------------------------- consent


def test_a_new_member_is_subscribed_and_has_their_merge_fields(standin: Standin, mailchimp: LocalMailchimp) -> None:
    assert send(mailchimp, person("Alice")) == ACCEPTED
    member = standin.store.member(LIST, ALICE)
    assert member is not None
    assert (member["status"], member["merge_fields"]) == ("subscribed", {"FNAME": "Alice"})


def test_new_members_get_the_status_that_the_app_says(standin: Standin) -> None:
    with LocalMailchimp(options_for(standin, new_status="pending")) as app:
        send(app, person("Alice"))
        export(app, *[change(None, payload) for payload in people(30)])
    assert {status(standin, ALICE), status(standin, "person7@example.com")} == {"pending"}


@pytest.mark.parametrize("left", ["unsubscribed", "cleaned", "pending", "transactional"])
@pytest.mark.parametrize("together_with", [0, 40])
def test_nobody_who_left_is_subscribed_again(
    standin: Standin, mailchimp: LocalMailchimp, left: str, together_with: int
) -> None:
    put_member(standin, ALICE, status=left)
    others = [change(None, payload) for payload in people(together_with)]
    assert {outcome.kind for outcome in export(mailchimp, change(None, person("Alice")), *others)} == {
        OutcomeKind.ACCEPTED
    }
    known = [change(payload, {**payload, "FNAME": "X"}) for payload in people(together_with)]
    export(mailchimp, change(person("Alice"), person("Alice", FNAME="Alicia")), *known)
    member = standin.store.member(LIST, ALICE)
    assert member is not None
    assert (member["status"], member["merge_fields"]["FNAME"]) == (left, "Alicia")


def test_a_removed_member_is_archived_and_comes_back(standin: Standin, mailchimp: LocalMailchimp) -> None:
    send(mailchimp, person("Alice"))
    export(mailchimp, change(person("Alice"), None))
    assert status(standin, ALICE) == "archived"
    assert send(mailchimp, person("Alice")) == ACCEPTED
    assert status(standin, ALICE) == "subscribed"


def test_an_archived_member_who_had_left_stays_away(standin: Standin, mailchimp: LocalMailchimp) -> None:
    put_member(standin, ALICE, status="archived", was="unsubscribed")
    outcome = send(mailchimp, person("Alice"))
    assert outcome.kind is OutcomeKind.REJECT
    assert "compliance state" in outcome.reason
    assert status(standin, ALICE) == "archived"


@pytest.mark.parametrize("left", ["unsubscribed", "cleaned"])
def test_whoever_left_is_not_archived_when_removed_but_only_loses_our_tags(
    standin: Standin, mailchimp: LocalMailchimp, left: str
) -> None:
    target = make_target(groups=("gold",))
    send(mailchimp, person("Alice"), target, groups=("gold",))
    put_member(standin, ALICE, status=left)
    for _ in range(2):
        assert export(mailchimp, change(person("Alice"), None, before=("gold",)), target=target) == [ACCEPTED]
        assert (status(standin, ALICE), tags(standin, ALICE)) == (left, [])
    send(mailchimp, person("Alice"), target, groups=("gold",))
    assert status(standin, ALICE) == left


def test_a_member_whom_someone_archived_at_mailchimp_stays_archived(
    standin: Standin, mailchimp: LocalMailchimp
) -> None:
    put_member(standin, ALICE, status="archived", was="subscribed")
    assert export(mailchimp, change(person("Alice"), person("Alice", FNAME="Alicia"))) == [ACCEPTED]
    assert status(standin, ALICE) == "archived"


def test_a_member_who_joins_between_reading_and_writing_is_not_overwritten(
    standin: Standin, mailchimp: LocalMailchimp, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = mailchimp.line.lists.get_list_members_info

    def read_and_then_someone_leaves(*args: Any, **parameters: Any) -> Any:
        answer = read(*args, **parameters)
        put_member(standin, ALICE, status="unsubscribed")
        return answer

    monkeypatch.setattr(mailchimp.line.lists, "get_list_members_info", read_and_then_someone_leaves)
    outcomes = export(mailchimp, change(None, person("Alice")), *[change(None, payload) for payload in people(40)])
    assert set(outcomes) == {ACCEPTED}
    assert status(standin, ALICE) == "unsubscribed"
    assert calls(standin, "PUT") == [f"PUT {MEMBER}/{hash_email(ALICE)}"]


# ---------------------------------------------------------------- many at once


def test_five_hundred_new_members_take_three_calls(standin: Standin, mailchimp: LocalMailchimp) -> None:
    mailchimp.merge_fields(LIST)
    standin.calls.clear()
    assert set(export(mailchimp, *[change(None, payload) for payload in people(500)])) == {ACCEPTED}
    assert standin.calls == [f"GET {MEMBER}", f"GET {MEMBER}", f"POST /lists/{LIST}"]


def test_five_hundred_known_members_take_one_call(standin: Standin, mailchimp: LocalMailchimp) -> None:
    export(mailchimp, *[change(None, payload) for payload in people(500)])
    standin.calls.clear()
    outcomes = export(mailchimp, *[change(payload, {**payload, "FNAME": "New"}) for payload in people(500)])
    assert set(outcomes) == {ACCEPTED}
    assert standin.calls == [f"POST /lists/{LIST}"]
    member = standin.store.member(LIST, "person499@example.com")
    assert member is not None
    assert (member["status"], member["merge_fields"]["FNAME"]) == ("subscribed", "New")


def test_a_bad_one_among_many_is_rejected_alone(standin: Standin, mailchimp: LocalMailchimp) -> None:
    payloads = [*people(30), person("Alice", email_address="alice@fake.invalid"), person("Bob")]
    outcomes = export(mailchimp, *[change(None, payload) for payload in payloads])
    assert [outcome.kind for outcome in outcomes].index(OutcomeKind.REJECT) == 30
    assert sum(outcome.kind is OutcomeKind.ACCEPTED for outcome in outcomes) == 31
    assert "looks fake or invalid" in outcomes[30].reason
    assert status(standin, BOB) == "subscribed"


def test_a_known_member_who_was_deleted_for_good_is_rejected_and_never_made_anew(
    standin: Standin, mailchimp: LocalMailchimp
) -> None:
    standin.store.forget(LIST, hash_email(ALICE))
    changes = [change(payload, payload) for payload in [person("Alice"), *people(20)]]
    outcomes = export(mailchimp, *changes)
    assert outcomes[0].kind is OutcomeKind.REJECT
    assert "permanently deleted" in outcomes[0].reason
    assert outcomes[1:] == [ACCEPTED] * 20


def test_calls_for_one_member_never_meet_and_stay_below_ten(standin: Standin, mailchimp: LocalMailchimp) -> None:
    changes = [change(None, payload, groups=("gold",)) for payload in people(60)]
    changes += [change(None, person("Alice", FNAME=f"Alice {number}"), groups=("gold",)) for number in range(5)]
    assert set(export(mailchimp, *changes, target=make_target(groups=("gold",)))) == {ACCEPTED}
    assert not standin.parallel
    assert 1 < standin.most_at_once <= 8
    member = standin.store.member(LIST, ALICE)
    assert member is not None
    assert member["merge_fields"]["FNAME"] == "Alice 4"


@pytest.mark.parametrize("together_with", [0, 30])
@pytest.mark.parametrize(
    ("email", "said"),
    [
        ("alice@fake.invalid", "alice@fake.invalid looks fake or invalid, please enter a real email address."),
        ("alice", "Please provide a valid email address."),
        ("forgotten@example.com", "was permanently deleted and cannot be re-imported"),
        ("left@example.com", "is in a compliance state due to unsubscribe, bounce, or compliance review"),
    ],
)
def test_whom_mailchimp_refuses_is_rejected_in_its_own_plain_words_and_holds_up_nobody(
    standin: Standin, mailchimp: LocalMailchimp, email: str, said: str, together_with: int
) -> None:
    standin.store.forget(LIST, hash_email("forgotten@example.com"))
    put_member(standin, "left@example.com", status="archived", was="unsubscribed")
    others = [change(None, payload) for payload in people(together_with)]
    outcome, *rest = export(mailchimp, change(None, person("Alice", email_address=email)), *others)
    assert (outcome.kind, said in outcome.reason) == (OutcomeKind.REJECT, True), outcome
    assert outcome.reason.startswith("Mailchimp refused this: ")
    assert rest == [ACCEPTED] * together_with


# ---------------------------------------------------------------- addresses


def test_a_changed_address_moves_the_member_with_their_tags(standin: Standin, mailchimp: LocalMailchimp) -> None:
    target = make_target(groups=("gold",))
    send(mailchimp, person("Alice"), target, groups=("gold",))
    moved = person("Alice", email_address="alice@new.example.com")
    item = change(person("Alice"), moved, before=("gold",), groups=("gold",))
    assert export(mailchimp, item, target=target) == [ACCEPTED]
    assert (status(standin, ALICE), status(standin, "alice@new.example.com")) == ("", "subscribed")
    assert tags(standin, "alice@new.example.com") == ["gold"]
    assert export(mailchimp, item, target=target) == [ACCEPTED]
    assert status(standin, "alice@new.example.com") == "subscribed"


@pytest.mark.parametrize(("mode", "left_as"), [(SyncMode.SYNC, "archived"), (SyncMode.ADDITIVE, "subscribed")])
def test_where_the_new_address_is_a_member_already_the_old_one_lets_go(
    standin: Standin, mailchimp: LocalMailchimp, mode: SyncMode, left_as: str
) -> None:
    target = make_target(groups=("gold",), mode=mode)
    send(mailchimp, person("Alice"), target, groups=("gold",))
    put_member(standin, BOB, status="unsubscribed")
    standin.store.set_tag(LIST, hash_email(BOB), "his own", active=True)
    item = change(person("Alice"), person("Alice", email_address=BOB), before=("gold",), groups=("gold",))
    assert export(mailchimp, item, target=target) == [ACCEPTED]
    assert (status(standin, ALICE), tags(standin, ALICE)) == (left_as, [])
    assert (status(standin, BOB), tags(standin, BOB)) == ("unsubscribed", ["gold", "his own"])


def test_another_case_of_an_address_is_the_same_member(standin: Standin, mailchimp: LocalMailchimp) -> None:
    put_member(standin, "Alice@Example.com")
    send(mailchimp, person("Alice"))
    upper = person("Alice", email_address="ALICE@example.com", FNAME="Alicia")
    assert export(mailchimp, change(person("Alice"), upper)) == [ACCEPTED]
    found, total = standin.store.members(LIST, limit=10)
    assert (total, found[0]["merge_fields"]["FNAME"]) == (1, "Alicia")


def test_without_an_address_a_profile_is_rejected(mailchimp: LocalMailchimp) -> None:
    outcome = send(mailchimp, person("Alice", email_address=None))
    assert outcome.kind is OutcomeKind.REJECT
    assert "no email address" in outcome.reason


# ---------------------------------------------------------------- tags


def test_only_the_differences_of_tags_are_sent_whatever_their_case(standin: Standin, mailchimp: LocalMailchimp) -> None:
    target = make_target(groups=("Gold", "Silver", "Bronze"))
    put_member(standin, ALICE)
    for name in ("gold", "BRONZE", "somebody else's"):
        standin.store.set_tag(LIST, hash_email(ALICE), name, active=True)
    send(mailchimp, person("Alice"), target, groups=("Gold", "Silver"))
    assert tags(standin, ALICE) == ["gold", "Silver", "somebody else's"]
    standin.calls.clear()
    export(
        mailchimp, change(person("Alice"), person("Alice"), before=("Gold",), groups=("GOLD", "silver")), target=target
    )
    assert not [call for call in standin.calls if call.endswith("/tags")]


def test_a_member_of_more_tags_than_an_answer_holds_keeps_the_others(
    standin: Standin, mailchimp: LocalMailchimp
) -> None:
    put_member(standin, ALICE)
    for number in range(60):
        standin.store.set_tag(LIST, hash_email(ALICE), f"tag {number:02}", active=True)
    target = make_target(groups=("tag 59", "zulu"))
    item = change(person("Alice"), person("Alice"), before=("tag 59",), groups=("zulu",))
    assert export(mailchimp, item, target=target) == [ACCEPTED]
    assert tags(standin, ALICE) == [*(f"tag {number:02}" for number in range(59)), "zulu"]


@pytest.mark.parametrize("mode", [SyncMode.ADDITIVE, SyncMode.ENRICH])
def test_leaving_where_nothing_is_removed_clears_our_tags(
    standin: Standin, mailchimp: LocalMailchimp, mode: SyncMode
) -> None:
    target = make_target(mode=mode, groups=("gold",))
    send(mailchimp, person("Alice"), make_target(groups=("gold",)), groups=("gold",))
    standin.store.set_tag(LIST, hash_email(ALICE), "other", active=True)
    assert export(mailchimp, change(person("Alice"), None, before=("gold",)), target=target) == [ACCEPTED]
    assert (status(standin, ALICE), tags(standin, ALICE)) == ("subscribed", ["other"])


def test_removing_twice_and_removing_nobody_is_fine(standin: Standin, mailchimp: LocalMailchimp) -> None:
    send(mailchimp, person("Alice"))
    gone = [change(person("Alice"), None), change(person("Bob"), None)]
    assert export(mailchimp, *gone) == [ACCEPTED] * 2
    assert export(mailchimp, *gone) == [ACCEPTED] * 2


def test_in_a_backfill_no_tag_starts_a_journey(standin: Standin, mailchimp: LocalMailchimp) -> None:
    put_member(standin, BOB)
    target = make_target(groups=("gold", "old"))
    for is_backfill in (True, False):
        some = [change(None, person(f"P{number}-{is_backfill}"), groups=("gold",)) for number in range(20)]
        moved = person("Alice", email_address=BOB)
        taken_over = change(person("Alice"), moved, before=("old",), groups=("gold",))
        send(mailchimp, person("Alice"), groups=("old",))
        given = standin.store.tag_changes(LIST)
        export(mailchimp, *some, taken_over, target=replace(target, is_backfill=is_backfill))
        sent = standin.store.tag_changes(LIST)[len(given) :]
        assert {bool(row["is_syncing"]) for row in sent} == {is_backfill}
        assert {(row["name"], bool(row["active"])) for row in sent} == {("gold", True), ("old", False)}
        standin.store.set_tag(LIST, hash_email(BOB), "gold", active=False)


# ---------------------------------------------------------------- fields


def test_an_audience_tells_its_fields(mailchimp: LocalMailchimp) -> None:
    found = {field.key: (field.type, field.required) for field in mailchimp.fields({})}
    assert found["email_address"] == ("email", True)
    assert found["SPENT"] == ("float", False)
    assert found["BIRTHDAY"] == ("date", False)


def test_a_merge_field_that_the_audience_lacks_halts_the_export(mailchimp: LocalMailchimp) -> None:
    with pytest.raises(Halt, match="no merge field PLAN: make it at Mailchimp"):
        export(mailchimp, change(None, person("Alice", PLAN="a")), target=make_target(more={"PLAN": "string"}))


def test_an_audience_that_is_gone_halts_the_export(standin: Standin, mailchimp: LocalMailchimp) -> None:
    send(mailchimp, person("Alice"))
    standin.store.delete_list(LIST)
    with LocalMailchimp(options_for(standin)) as app, pytest.raises(Halt, match="does not exist any more"):
        export(app, change(None, person("Bob")))
    outcome = send(mailchimp, person("Bob"))
    assert outcome.kind is OutcomeKind.HALT


@pytest.mark.parametrize(
    ("tag", "type_", "value", "held"),
    [
        ("JOINED", "date", "2024-02-29T23:59:59.000000Z", "2024-02-29"),
        ("BIRTHDAY", "date", "1990-12-24T00:00:00.000000Z", "12/24"),
        ("PHONE", "phone_number", "+14155550103", "415-555-0103"),
        ("MOBILE", "phone_number", "+4930123456", "+4930123456"),
        ("ZIP", "integer", 2134, "02134"),
        ("VISITS", "integer", 3, 3),
        ("SPENT", "float", 12.5, 12.5),
        ("VIP", "boolean", False, "false"),
        ("NAME", "string", ["red", "blue"], "red, blue"),
        ("SITE", "url", "https://example.com/a", "https://example.com/a"),
        ("HOME", "string", "1 Main St, Springfield, IL, 62701, US",
         {"addr1": "1 Main St", "city": "Springfield", "state": "IL", "zip": "62701", "country": "US"}),
        ("HOME", "string", "1 Main St, Flat 2, Springfield, IL, 62701, US",
         {"addr1": "1 Main St", "addr2": "Flat 2", "city": "Springfield", "state": "IL", "zip": "62701",
          "country": "US"}),
        ("HOME", "string", '{"addr1": "1 A", "city": "B", "state": "C", "zip": "D"}',
         {"addr1": "1 A", "city": "B", "state": "C", "zip": "D"}),
    ],
)  # fmt: skip
def test_values_are_written_as_their_merge_field_asks(
    standin: Standin, mailchimp: LocalMailchimp, tag: str, type_: str, value: Any, held: Any
) -> None:
    target = make_target(more={tag: type_})
    assert send(mailchimp, person("Alice", **{tag: value}), target) == ACCEPTED
    member = standin.store.member(LIST, ALICE)
    assert member is not None
    assert member["merge_fields"][tag] == held
    assert send(mailchimp, person("Alice", **{tag: None}), target) == ACCEPTED
    member = standin.store.member(LIST, ALICE)
    assert member is not None
    assert member["merge_fields"][tag] == ""


@pytest.mark.parametrize(
    ("tag", "value", "said"),
    [
        ("HOME", "somewhere", "write it as “street, city"),
        ("HOME", "{broken", "takes an address"),
        ("JOINED", "soon", "takes a date"),
        ("NAME", "x" * 256, "255 characters or less"),
        ("SITE", "example", "complete website address"),
        ("PHONE", "+4930123456", "NPA-NXX-LINE"),
    ],
)
def test_a_value_that_does_not_fit_is_rejected_in_plain_words(
    mailchimp: LocalMailchimp, tag: str, value: str, said: str
) -> None:
    outcome = send(mailchimp, person("Alice", **{tag: value}), make_target(more={tag: "string"}))
    assert outcome.kind is OutcomeKind.REJECT
    assert said in outcome.reason
    assert tag in outcome.reason
