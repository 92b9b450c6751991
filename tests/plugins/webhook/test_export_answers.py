"""What each answer of a receiver means for the profiles that were sent to it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from plugins.contracts import Outcome, OutcomeKind, Retry, Target
from tests.plugins.webhook.exports import FIELDS, export, kinds, person, target
from tests.plugins.webhook.people import hold
from tests.receiver import Behaviour, Receiver, answer, be_slow, cut, garbage, run_receiver

# ---------------------------------------------------------------- what an answer means

ANSWERS = [
    *[(status, "c") for status in (200, 201, 202, 204, 207)],
    *[(status, "t") for status in (408, 425, 429, 500, 502, 503, 504)],
    *[(status, "l") for status in (301, 302, 303, 307, 308, 401, 403, 410)],
    *[(status, "j") for status in (400, 404, 405, 409, 413, 415, 422)],
]


@pytest.mark.parametrize("at_once", [None, 10])
@pytest.mark.parametrize(("status", "kind"), ANSWERS)
def test_each_status_means_what_happens_next(receiver: Receiver, status: int, kind: str, at_once: int | None) -> None:
    receiver.always = answer(status)
    try:
        (outcome,) = export(receiver, person(1), to=target(at_once=at_once))
    except Retry as error:
        outcome = Outcome(OutcomeKind.RETRY, error.reason)
    assert kinds([outcome]) == kind
    assert kind == "c" or "127.0.0.1" in outcome.reason


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    with run_receiver() as other:
        receiver.always = answer(307, headers={"Location": other.url})
        outcomes = export(receiver, person(1), person(2))
        assert other.deliveries == []
    assert kinds(outcomes) == "ll"
    assert len(receiver.deliveries) == 1


def test_a_busy_receiver_is_left_alone_for_as_long_as_it_asks(receiver: Receiver) -> None:
    receiver.expect(answer(200), answer(503, headers={"Retry-After": "9"}))
    outcomes = export(receiver, *map(person, range(4)))
    assert kinds(outcomes) == "cttt"
    assert [outcome.after for outcome in outcomes] == [None, 9, 9, 9]
    assert len(receiver.deliveries) == 2


@pytest.mark.parametrize("behaviour", [cut(), garbage(), be_slow(20)], ids=["cut", "garbage", "slow"])
def test_without_an_answer_nothing_more_is_sent(receiver: Receiver, behaviour: Any) -> None:
    receiver.expect(behaviour)
    started = time.monotonic()
    outcomes = export(receiver, *map(person, range(6)), timeout=1, to=target(at_once=2))
    assert kinds(outcomes) == "tttttt"
    assert [outcome.after for outcome in outcomes] == [None, None, 1, 1, 1, 1]
    assert time.monotonic() - started < 5
    assert len(receiver.deliveries) == 1


def test_one_profile_that_fails_alone_holds_up_nobody(receiver: Receiver) -> None:
    receiver.expect(answer(200), answer(500), answer(422), answer(200))
    assert kinds(export(receiver, *map(person, range(4)))) == "ctjc"


def test_a_batch_ends_in_time_also_when_every_answer_is_slow(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugins.webhook.exporting.MOST_SECONDS", 0.0)
    outcomes = export(receiver, *map(person, range(3)))
    assert kinds(outcomes) == "ctt"
    assert [outcome.after for outcome in outcomes[1:]] == [1.0, 1.0]


def test_an_answer_that_repeats_our_headers_brings_them_nowhere(receiver: Receiver) -> None:
    errors = [{"key": "p1@example.com", "message": "you said open-sesame"}]
    receiver.always = answer(200, body=json.dumps({"errors": errors}).encode())
    (outcome,) = export(receiver, person(1), to=target(at_once=2), headers="Authorization: Bearer open-sesame")
    assert outcome.kind is OutcomeKind.REJECT
    assert "open-sesame" not in outcome.reason + outcome.reply
    assert "you said" in outcome.reason


# ---------------------------------------------------------------- answers to many


def test_a_refused_request_is_halved_until_the_profiles_at_fault_are_alone(receiver: Receiver) -> None:
    def refuse_two(body: Any) -> Behaviour | None:
        return answer(422) if {3, 6} & {each["profile"]["age"] for each in body["profiles"]} else None

    receiver.judge = refuse_two
    outcomes = export(receiver, *map(person, range(8)), to=target(at_once=8))
    assert kinds(outcomes) == "cccjccjc"
    assert "refused the profile: 422" in outcomes[3].reason
    assert set(hold(receiver.deliveries)) == {f"p{number}@example.com" for number in (0, 1, 2, 4, 5, 7)}
    assert len(receiver.deliveries) <= 12


def test_a_receiver_may_name_whom_it_refused(receiver: Receiver) -> None:
    errors = [{"key": "p1@example.com", "message": "too\x1b[31m young"}, {"key": "p2@example.com"}]
    receiver.always = answer(207, body=json.dumps({"errors": errors}).encode())
    outcomes = export(receiver, *map(person, range(4)), to=target(at_once=4))
    assert kinds(outcomes) == "cjjc"
    assert outcomes[1].reason == "127.0.0.1 refused the profile: too[31m young"
    assert outcomes[2].reason == "127.0.0.1 refused the profile: it does not say why"
    assert len(receiver.deliveries) == 1


def test_a_key_that_is_a_number_is_found_among_the_errors(receiver: Receiver) -> None:
    receiver.always = answer(200, body=b'{"errors": [{"key": 7, "message": "no"}, {"key": "8", "message": "no"}]}')
    to = Target({"at_once": 9}, "age", FIELDS)
    outcomes = export(receiver, person(7), person(8), person(9), to=to)
    assert kinds(outcomes) == "jjc"


@pytest.mark.parametrize(
    "body", [b"", b"ok", b"[]", b"3", b'{"errors": []}', b'{"errors": null}', b'{"errors": 0}', b"[" * 90_000]
)
def test_an_answer_without_errors_takes_everyone(receiver: Receiver, body: bytes) -> None:
    receiver.always = answer(200, body=body)
    assert kinds(export(receiver, person(1), person(2), to=target(at_once=2))) == "cc"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"errors": ["bad"]}', "name the “key”"),
        (b'{"errors": "bad"}', "name the “key”"),
        (b'{"errors": {"key": "p1@example.com"}, "x": "' + b"x" * 1_100_000 + b'"}', "more than 1 MB"),
        (b'{"errors": [{"key": "nobody@example.com"}]}', "name the “key”"),
    ],
)
def test_errors_that_cannot_be_told_apart_take_nobody(receiver: Receiver, body: bytes, words: str) -> None:
    receiver.always = answer(200, body=body)
    with pytest.raises(Retry, match=words):
        export(receiver, person(1), person(2), to=target(at_once=2))


def test_when_nothing_was_taken_the_one_who_asked_may_look_for_the_profile_that_spoils_it(receiver: Receiver) -> None:
    receiver.expect(answer(200), answer(500), answer(500), answer(500))
    assert kinds(export(receiver, *map(person, range(4)), to=target(at_once=2))) == "cctt"
    with pytest.raises(Retry, match="answered 500"):
        export(receiver, *map(person, range(4)), to=target(at_once=2))
