"""Property rules that read a column of an audience: one answer for each profile, with few calls."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.contracts import Answer, ColumnAsk, Filter, Halt, QueryAsk, Reject, Retry
from plugins.mailchimp.changes import hash_email
from plugins.mailchimp.standin.server import Misbehaviour, Standin
from tests.plugins.mailchimp.conftest import LIST, LocalMailchimp, options_for
from tests.plugins.mailchimp.exports import MEMBER, people, put_member

ALICE, BOB, CHARLIE = (f"{name}@example.com" for name in ("alice", "bob", "charlie"))


def ask(column: str, **more: Any) -> ColumnAsk:
    asked = {"rule": column, "table": LIST, "key_column": "email_address", "key": "email", "key_type": "email"}
    return ColumnAsk(**{**asked, "column": column, **more})


def retrieve(app: LocalMailchimp, *asks: ColumnAsk | QueryAsk, of: list[Any]) -> list[Answer]:
    profiles = [{} if email is None else {"email": email} for email in of]
    return list(app.retrieve(asks, profiles).answers)


def test_a_member_answers_by_the_address_in_any_case(standin: Standin, mailchimp: LocalMailchimp) -> None:
    put_member(standin, ALICE, status="unsubscribed", merge_fields={"FNAME": "Alice"})
    put_member(standin, BOB, status="cleaned")
    standin.store.set_tag(LIST, hash_email(ALICE), "gold", active=True)
    of = ["ALICE@example.com", BOB, CHARLIE, None]
    asks = [ask("status"), ask("FNAME"), ask("tags", rule="list", is_array=True), ask("tags")]
    status, name, tag_list, tag_text = retrieve(mailchimp, *asks, of=of)
    assert status.values == ["unsubscribed", "cleaned", None, None]
    assert name.values == ["Alice", None, None, None]
    assert tag_list.values == [["gold"], [], [], None]
    assert tag_text.values == ["gold", None, None, None]


def test_whoever_was_archived_says_so(standin: Standin, mailchimp: LocalMailchimp) -> None:
    put_member(standin, ALICE, status="archived")
    assert retrieve(mailchimp, ask("status"), of=[ALICE])[0].values == ["archived"]


def test_rules_can_count_whether_there_is_a_member(standin: Standin, mailchimp: LocalMailchimp) -> None:
    put_member(standin, ALICE)
    [answer] = retrieve(mailchimp, ask("email_address", aggregation="count"), of=[ALICE, BOB, None])
    assert answer.values == [1, 0, None]


def test_all_rules_of_a_few_people_take_one_call_for_each(standin: Standin, mailchimp: LocalMailchimp) -> None:
    for payload in people(3):
        put_member(standin, payload["email_address"])
    mailchimp.merge_fields(LIST)
    standin.calls.clear()
    of = [payload["email_address"] for payload in people(3)]
    answers = retrieve(mailchimp, ask("status"), ask("FNAME"), ask("vip"), of=[*of, *of])
    assert answers[0].values == ["subscribed"] * 6
    assert sorted(standin.calls) == sorted(f"GET {MEMBER}/{hash_email(email)}" for email in of)


def test_many_people_of_a_small_audience_take_two_calls(standin: Standin, mailchimp: LocalMailchimp) -> None:
    of = [payload["email_address"] for payload in people(500)]
    for email in of[:400]:
        put_member(standin, email, status="archived" if email == of[7] else "subscribed")
    mailchimp.merge_fields(LIST)
    standin.calls.clear()
    [answer] = retrieve(mailchimp, ask("status"), of=of)
    assert answer.values == ["archived" if place == 7 else "subscribed" for place in range(400)] + [None] * 100
    assert standin.calls == [f"GET {MEMBER}"] * 2


def test_many_people_of_a_large_audience_are_asked_for_one_by_one(standin: Standin, mailchimp: LocalMailchimp) -> None:
    with standin.store.transaction():
        for payload in people(3100):
            put_member(standin, payload["email_address"])
    of = [payload["email_address"] for payload in people(60)]
    assert retrieve(mailchimp, ask("status"), of=of)[0].values == ["subscribed"] * 60
    singles = [call for call in standin.calls if call.startswith(f"GET {MEMBER}/")]
    assert len(singles) == 60
    assert not standin.parallel
    assert standin.most_at_once <= 8


def test_where_reading_all_of_them_may_have_missed_someone_they_are_asked_for_one_by_one(
    standin: Standin, mailchimp: LocalMailchimp, monkeypatch: pytest.MonkeyPatch
) -> None:
    with standin.store.transaction():
        for payload in people(1500):
            put_member(standin, payload["email_address"])
    read = mailchimp.line.lists.get_list_members_info

    def read_and_lose_someone(*args: Any, **parameters: Any) -> Any:
        answer = read(*args, **parameters)
        if not parameters.get("offset") and "status" not in parameters:
            put_member(standin, answer["members"][0]["email_address"], status="archived")
        return answer

    monkeypatch.setattr(mailchimp.line.lists, "get_list_members_info", read_and_lose_someone)
    of = [payload["email_address"] for payload in people(200)]
    [answer] = retrieve(mailchimp, ask("status"), of=of)
    assert None not in answer.values


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (ask("status", aggregation="sum"), "nothing to add up"),
        (ask("status", key_column="FNAME"), "match the property with the column email_address"),
        (ask("status", filters=(Filter("status", "eq", "subscribed"),)), "takes no conditions"),
        (ask("PLAN"), "has no column PLAN: it has email_address, status"),
        (ask("status", table="nosuchlist"), "does not exist any more"),
        (ask("status", table="public.users"), "not the id of a Mailchimp audience"),
        (QueryAsk("status", "select 1", {}), "takes no queries"),
    ],
)
def test_a_rule_that_cannot_be_answered_says_why_and_holds_up_no_other(
    standin: Standin, mailchimp: LocalMailchimp, wrong: ColumnAsk | QueryAsk, said: str
) -> None:
    put_member(standin, ALICE)
    refused, answered = retrieve(mailchimp, wrong, ask("status", rule="right"), of=[ALICE])
    assert said in refused.error
    assert answered.values == ["subscribed"]


def test_a_query_is_refused_before_anybody_depends_on_it(mailchimp: LocalMailchimp) -> None:
    with pytest.raises(Reject, match="takes no queries"):
        mailchimp.check_query("select 1", {})


def test_a_mailchimp_that_cannot_be_asked_raises_what_that_means(standin: Standin, mailchimp: LocalMailchimp) -> None:
    mailchimp.merge_fields(LIST)
    standin.expect(Misbehaviour("throttle", after=7))
    with pytest.raises(Retry) as caught:
        retrieve(mailchimp, ask("status"), of=[ALICE])
    assert caught.value.after == 7
    wrong = LocalMailchimp(options_for(standin, api_key="wrong-us1"))
    with wrong, pytest.raises(Halt, match="make a new one"):
        retrieve(wrong, ask("status"), of=[ALICE])
