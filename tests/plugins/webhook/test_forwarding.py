"""What a receiver gets, and what each of its answers means for an event."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from plugins.contracts import Halt, Outcome, OutcomeKind
from tests.plugins.webhook.connections import BODY, connect, event
from tests.receiver import SECRET, Receiver, answer, be_slow, cut, garbage, run_receiver

NEWER_SECRET = "whsec_" + b64encode(b"a newer secret, 32 bytes long ...").decode()


def forward_one(receiver: Receiver, **options: object) -> Outcome:
    with connect(receiver.url, **options) as app:
        return app.forward([event(1)])[0]


# ---------------------------------------------------------------- what arrives


def test_the_body_is_the_event_as_it_is_and_nothing_else(receiver: Receiver) -> None:
    assert forward_one(receiver).kind is OutcomeKind.ACCEPTED
    (delivery,) = receiver.deliveries
    assert delivery.body == (
        b'{"cart_abandoned_at":"Jan 5, 2019","cart_items":["red shirt"],'
        b'"profile":{"user_id":3,"first_name":"Evan","email":"evan@grouparoo.com"}}'
    )
    assert (delivery.method, delivery.path) == ("POST", "/hook")
    assert delivery.headers["content-type"] == "application/json"
    assert delivery.headers["grouparoo-event"] == "cart_abandoned"
    assert "grouparoo-note" not in delivery.headers


def test_the_signature_is_what_the_standard_says(receiver: Receiver) -> None:
    """Worked out here by hand, without the library that makes and checks it elsewhere."""
    forward_one(receiver)
    (delivery,) = receiver.deliveries
    signed = f"event-1.{delivery.headers['webhook-timestamp']}.".encode() + delivery.body
    digest = hmac.new(b64decode(SECRET.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    assert delivery.headers["webhook-signature"] == f"v1,{b64encode(digest).decode()}"
    assert abs(int(delivery.headers["webhook-timestamp"]) - time.time()) < 60


def test_every_attempt_has_the_same_id_so_that_a_receiver_can_tell_it(receiver: Receiver) -> None:
    receiver.expect(answer(500))
    assert [forward_one(receiver).kind, forward_one(receiver).kind] == [OutcomeKind.RETRY, OutcomeKind.ACCEPTED]
    assert [each.headers["webhook-id"] for each in receiver.deliveries] == ["event-1"] * 2
    assert [each.headers["idempotency-key"] for each in receiver.deliveries] == ["event-1"] * 2


def test_while_a_secret_changes_both_sign(receiver: Receiver) -> None:
    assert forward_one(receiver, secret=f"{NEWER_SECRET} {SECRET}").kind is OutcomeKind.ACCEPTED
    assert forward_one(receiver, secret=NEWER_SECRET).kind is OutcomeKind.ACCEPTED
    assert [each.signed for each in receiver.deliveries] == [True, False]
    assert len(receiver.deliveries[0].headers["webhook-signature"].split()) == 2


def test_headers_of_one_s_own_go_along(receiver: Receiver) -> None:
    forward_one(receiver, headers="Authorization: Bearer a:b | X-Team: growth\nUser-Agent: shop")
    (delivery,) = receiver.deliveries
    assert delivery.headers["authorization"] == "Bearer a:b"
    assert delivery.headers["x-team"] == "growth"
    assert delivery.headers["user-agent"] == "shop"


@pytest.mark.parametrize(("flag", "note"), [("is_test", "test"), ("is_backfill", "backfill")])
def test_a_test_and_an_old_event_say_so(receiver: Receiver, flag: str, note: str) -> None:
    with connect(receiver.url) as app:
        app.forward([event(1, is_test=flag == "is_test", is_backfill=flag == "is_backfill")])
    assert receiver.deliveries[0].headers["grouparoo-note"] == note


def test_a_type_in_any_language_fits_into_its_header(receiver: Receiver) -> None:
    with connect(receiver.url) as app:
        outcome = app.forward([replace(event(1), type="カート 1\n")])[0]
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert receiver.deliveries[0].headers["grouparoo-event"] == "%E3%82%AB%E3%83%BC%E3%83%88 1%0A"


def test_events_go_over_one_connection(receiver: Receiver) -> None:
    with connect(receiver.url) as app:
        for number in range(3):
            app.forward([event(number)])
    assert len({each.connection for each in receiver.deliveries}) == 1


# ---------------------------------------------------------------- what an answer means

ANSWERS = [
    *[(status, OutcomeKind.ACCEPTED) for status in (200, 201, 202, 204)],
    *[(status, OutcomeKind.RETRY) for status in (408, 425, 429, 500, 502, 503, 504, 599)],
    *[(status, OutcomeKind.HALT) for status in (301, 302, 303, 307, 308, 401, 403, 410)],
    *[(status, OutcomeKind.REJECT) for status in (400, 404, 405, 409, 413, 415, 422)],
]


@pytest.mark.parametrize(("status", "kind"), ANSWERS)
def test_each_status_means_what_happens_next(receiver: Receiver, status: int, kind: OutcomeKind) -> None:
    receiver.expect(answer(status, body=b"" if status == 204 else b"because of that"))
    outcome = forward_one(receiver)
    assert outcome.kind is kind
    assert outcome.reply.startswith(str(status))
    assert status == 204 or outcome.reply.endswith("\nbecause of that")
    assert kind is OutcomeKind.ACCEPTED or len(outcome.reason) > 15


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    with run_receiver() as other:
        receiver.expect(answer(307, headers={"Location": other.url}))
        outcome = forward_one(receiver)
        assert outcome.kind is OutcomeKind.HALT
        assert other.url in outcome.reason
        assert other.deliveries == []


@pytest.mark.parametrize("status", [429, 503, 500, 408])
def test_the_receiver_s_own_pause_is_honoured(receiver: Receiver, status: int) -> None:
    receiver.expect(answer(status, headers={"Retry-After": "120"}))
    assert forward_one(receiver).after == 120


def test_a_pause_may_be_a_date(receiver: Receiver) -> None:
    later = datetime.now(UTC) + timedelta(minutes=10)
    receiver.expect(answer(503, headers={"Retry-After": format_datetime(later, usegmt=True)}))
    after = forward_one(receiver).after
    assert after is not None
    assert 500 < after <= 600


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("0", 0.0),
        ("999999999999999999", 86_400.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        *[(text, None) for text in ("", "soon", "-5", "1.5", "²", "Wed, 99 Oct 2015")],
    ],
)
def test_a_pause_that_makes_no_sense_harms_nothing(receiver: Receiver, text: str, after: float | None) -> None:
    receiver.expect(answer(429, headers={"Retry-After": text.encode().decode("latin-1")}))
    assert forward_one(receiver).after == after


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [(cut(), "ended the connection"), (garbage(), "not HTTP"), (be_slow(20), "within 1 seconds")],
    ids=["cut", "garbage", "slow"],
)
def test_no_answer_at_all_is_tried_again(receiver: Receiver, behaviour: object, words: str) -> None:
    receiver.expect(behaviour)  # type: ignore[arg-type]  # parametrized
    started = time.monotonic()
    outcome = forward_one(receiver, timeout=1)
    assert outcome.kind is OutcomeKind.RETRY
    assert words in outcome.reason
    assert time.monotonic() - started < 5


def test_a_receiver_that_answers_drop_by_drop_is_left_after_the_time_to_wait(receiver: Receiver) -> None:
    receiver.expect(be_slow(0.2, every_byte=True))
    started = time.monotonic()
    outcome = forward_one(receiver, timeout=1)
    assert outcome.kind is OutcomeKind.RETRY
    assert "within 1 seconds" in outcome.reason
    assert time.monotonic() - started < 3


# ---------------------------------------------------------------- the log


def test_only_the_beginning_of_a_long_answer_is_kept_and_the_next_event_is_well(receiver: Receiver) -> None:
    receiver.expect(answer(200, body=b"x" * 3_000_000))
    with connect(receiver.url) as app:
        first, second = app.forward([event(1), event(2)])
    assert first.kind is second.kind is OutcomeKind.ACCEPTED
    assert 4000 < len(first.reply) < 5000
    assert second.reply == '200 OK\n{"ok": true}'


def test_what_cannot_be_shown_of_an_answer_is_left_out(receiver: Receiver) -> None:
    receiver.expect(answer(200, body=b"a\x00b\x1b[31m\xff\ttab\r\nline \xf0\x9f\x91\xa9"))
    reply = forward_one(receiver).reply
    assert reply == "200 OK\nab[31m\ufffd\ttab\nline 👩"


def test_a_receiver_that_repeats_our_headers_does_not_bring_them_into_the_log(receiver: Receiver) -> None:
    receiver.expect(answer(400, body=b'{"you sent": {"authorization": "Bearer open-sesame", "token": "open-sesame"}}'))
    outcome = forward_one(receiver, headers="Authorization: Bearer open-sesame")
    assert "open-sesame" not in outcome.reply
    assert "you sent" in outcome.reply


# ---------------------------------------------------------------- batches


def kinds(outcomes: list[Outcome]) -> str:
    return "".join(outcome.kind[2] for outcome in outcomes)  # c, t, j, l


def forward(receiver: Receiver, profiles: str) -> list[Outcome]:
    with connect(receiver.url, timeout=1) as app:
        return list(app.forward([event(number, profile=name) for number, name in enumerate(profiles)]))


def test_a_problem_of_one_event_holds_only_its_own_profile(receiver: Receiver) -> None:
    receiver.expect(answer(500), answer(200), answer(422))
    assert kinds(forward(receiver, "abab")) == "tctj"
    assert [each.id for each in receiver.deliveries] == ["event-0", "event-1", "event-3"]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_receiver_that_is_busy_or_down_is_left_alone_by_the_whole_batch(receiver: Receiver, status: int) -> None:
    receiver.expect(answer(200), answer(status, headers={"Retry-After": "9"}))
    outcomes = forward(receiver, "abcd")
    assert kinds(outcomes) == "cttt"
    assert [outcome.after for outcome in outcomes] == [None, 9, 9, 9]
    assert len(receiver.deliveries) == 2


def test_a_receiver_that_does_not_answer_is_waited_for_once_in_a_batch(receiver: Receiver) -> None:
    receiver.expect(be_slow(20))
    started = time.monotonic()
    outcomes = forward(receiver, "abcdefgh")
    assert kinds(outcomes) == "t" * 8
    assert time.monotonic() - started < 4
    assert outcomes[0].after is None  # this one was tried
    assert all(outcome.after is not None for outcome in outcomes[1:])  # these were not, and it costs them no try


@pytest.mark.parametrize("status", [401, 410])
def test_a_receiver_that_wants_nothing_more_gets_nothing_more(receiver: Receiver, status: int) -> None:
    receiver.expect(answer(status))
    outcomes = forward(receiver, "abc")
    assert kinds(outcomes) == "lll"
    assert len(receiver.deliveries) == 1


def test_what_does_not_fit_into_json_is_refused_and_not_sent(receiver: Receiver) -> None:
    with connect(receiver.url) as app:
        outcomes = app.forward([event(1, body={"a": "\ud800"}), event(2)])
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.REJECT, OutcomeKind.ACCEPTED]
    assert "lone surrogate" in outcomes[0].reason
    assert [each.json for each in receiver.deliveries] == [dict(BODY)]


def test_a_batch_ends_in_time_also_when_every_answer_is_slow(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugins.webhook.forwarding.MOST_SECONDS", 0.0)
    outcomes = forward(receiver, "abc")
    assert kinds(outcomes) == "ctt"
    assert [outcome.after for outcome in outcomes[1:]] == [1.0, 1.0]


# ---------------------------------------------------------------- several at once


def forward_at_once(receiver: Receiver, profiles: str, *, calls: int = 3) -> list[Outcome]:
    with connect(receiver.url, timeout=5) as app:
        app.calls_at_once = calls
        return list(app.forward([event(number, profile=name) for number, name in enumerate(profiles)]))


def test_several_people_are_served_at_once_and_each_in_their_order(receiver: Receiver) -> None:
    receiver.always = be_slow(0.02)
    people = "abcdefgh" * 8
    assert kinds(forward_at_once(receiver, people)) == "c" * 64
    assert receiver.most_at_once == 3
    assert len({each.connection for each in receiver.deliveries}) <= 3
    numbers = [int(each.id.removeprefix("event-")) for each in receiver.deliveries]
    assert sorted(numbers) == list(range(64))
    for place in range(8):
        own = [number for number in numbers if number % 8 == place]
        assert own == sorted(own)


def test_one_person_s_events_never_go_at_once(receiver: Receiver) -> None:
    receiver.always = be_slow(0.01)
    assert kinds(forward_at_once(receiver, "a" * 12, calls=8)) == "c" * 12
    assert receiver.most_at_once == 1


def test_a_receiver_that_is_down_is_asked_once_however_many_may_go_at_once(receiver: Receiver) -> None:
    receiver.always = answer(503)
    outcomes = forward_at_once(receiver, "abcdefgh", calls=8)
    assert kinds(outcomes) == "t" * 8
    assert len(receiver.deliveries) == 1
    assert outcomes[0].after is None
    assert all(outcome.after is not None for outcome in outcomes[1:])


def test_once_one_is_told_to_pause_no_further_call_begins(receiver: Receiver) -> None:
    receiver.expect(answer(200))
    receiver.always = answer(429, headers={"Retry-After": "9"})
    outcomes = forward_at_once(receiver, "abcdefghijklmnop", calls=3)
    assert kinds(outcomes) == "c" + "t" * 15
    assert len(receiver.deliveries) <= 1 + 3, "only what was under way"
    assert {outcome.after for outcome in outcomes[1:]} == {9}


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        *[({"url": url}, "URL has to begin") for url in ("example.com", "ftp://example.com/", "http://", "http://[")],
        *[({"url": url}, "URL has to begin") for url in ("http://a b/", "http://example.com:99999/", "http://a\n.com")],
        ({"url": "https://bob:pw@example.com/"}, "name or a password"),
        ({"url": "https://" + "ä" * 80 + ".com/"}, "not a host's name"),
        *[
            ({"secret": secret}, "signing secret")
            for secret in ("", "hunter2", "whsec_", "whsec_c2hvcnQ=", "whsec_ä", "whsec_*")
        ],
        ({"secret": "whsec_" + "QUFB" * 40}, "24 to 64 bytes"),
        *[({"headers": text}, "Name: value") for text in ("x", "a b: c", ": c", "a:", "a: é", "a: \x01")],
        *[({"headers": f"{name}: x"}, "ours to set") for name in ("Webhook-Id", "HOST", "Content-Length")],
        *[({"timeout": seconds}, "between 1 and 30") for seconds in (0, -1, 31, 10**9)],
    ],
)
def test_an_option_that_cannot_be_used_says_what_to_change(options: dict[str, object], words: str) -> None:
    with connect(**{"url": "https://example.com/", **options}) as app:  # type: ignore[arg-type]  # mixed on purpose
        with pytest.raises(Halt) as caught:
            app.forward([event(1)])
        result = app.test()
    assert not result.ok
    assert result.message == caught.value.reason
    assert words in result.message


@pytest.mark.parametrize(
    ("url", "path"),
    [("", "/"), ("/a/b?c=d&e=%20f", "/a/b?c=d&e=%20f"), ("/ü?q=日", "/%C3%BC?q=%E6%97%A5"), ("/x#part", "/x")],
)
def test_the_path_and_the_query_arrive(receiver: Receiver, url: str, path: str) -> None:
    with connect(receiver.url.removesuffix("/hook") + url) as app:
        assert app.forward([event(1)])[0].kind is OutcomeKind.ACCEPTED
    assert receiver.deliveries[0].path == path


# ---------------------------------------------------------------- the test of the connection


@pytest.mark.parametrize(
    ("status", "ok"), [(200, True), (404, True), (405, True), (301, False), (401, False), (410, False), (503, False)]
)
def test_the_test_says_whether_someone_answers_and_sends_no_event(receiver: Receiver, status: int, ok: bool) -> None:
    receiver.always = answer(status)
    with connect(receiver.url) as app:
        result = app.test()
    assert result.ok is ok
    assert result.message.endswith(".")
    assert [each.method for each in receiver.deliveries] == ["HEAD"]
