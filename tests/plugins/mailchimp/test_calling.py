"""Each answer that Mailchimp may give means one thing: try again, refuse this one, or stop until a person looks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import requests

from plugins.contracts import ACCEPTED, ColumnAsk, Halt, OutcomeKind, RecordSource, Retry
from plugins.mailchimp import calling
from plugins.mailchimp.standin.server import Misbehaviour, Standin
from tests.plugins.mailchimp.conftest import LIST, LocalMailchimp, options_for
from tests.plugins.mailchimp.exports import change, export, people, person, put_member, send, status

RETRY, REJECT, HALT = OutcomeKind.RETRY, OutcomeKind.REJECT, OutcomeKind.HALT


@pytest.mark.parametrize(
    ("misbehaviour", "kind", "said"),
    [
        (Misbehaviour("throttle"), RETRY, "fewer calls (status 429)"),
        (Misbehaviour("bare429"), RETRY, "fewer calls (status 429)"),
        (Misbehaviour("bare403"), RETRY, "fewer calls (status 403)"),
        (Misbehaviour("blocked"), RETRY, "fewer calls (status 503)"),
        (Misbehaviour("error"), RETRY, "a problem of its own (status 500)"),
        (Misbehaviour("garbage"), RETRY, "not JSON"),
        (Misbehaviour("redirect"), RETRY, "status 302"),
        (Misbehaviour("cut"), RETRY, "cut the connection"),
        (Misbehaviour("forbidden"), HALT, "use one with more rights"),
    ],
)
def test_an_answer_has_one_meaning_and_the_next_try_works(
    standin: Standin, mailchimp: LocalMailchimp, misbehaviour: Misbehaviour, kind: OutcomeKind, said: str
) -> None:
    mailchimp.merge_fields(LIST)
    standin.expect(misbehaviour)
    outcome = send(mailchimp, person("Alice"))
    assert (outcome.kind, said in outcome.reason) == (kind, True), outcome
    assert status(standin, "alice@example.com") == ""
    assert send(mailchimp, person("Alice")) == ACCEPTED


def test_a_wrong_key_halts(standin: Standin) -> None:
    with LocalMailchimp(options_for(standin, api_key="wrong-us1")) as app, pytest.raises(Halt, match="make a new one"):
        send(app, person("Alice"))


@pytest.mark.parametrize("kind", ["throttle", "bare429", "bare403", "error", "blocked"])
def test_the_time_that_mailchimp_asks_for_is_kept(standin: Standin, mailchimp: LocalMailchimp, kind: str) -> None:
    mailchimp.merge_fields(LIST)
    standin.expect(Misbehaviour(kind, after=7))
    assert send(mailchimp, person("Alice")).after == 7


def test_the_time_may_be_a_date() -> None:
    response = requests.Response()
    response.status_code = 429
    response.headers["Retry-After"] = format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True)
    error = calling._read_error(response)
    assert isinstance(error, Retry)
    assert 100 < (error.after or 0) <= 120


@pytest.mark.parametrize("text", ["soon", "-1", ""])
def test_a_time_that_is_none_is_left_to_us(text: str) -> None:
    response = requests.Response()
    response.status_code = 429
    response.headers["Retry-After"] = text
    error = calling._read_error(response)
    assert isinstance(error, Retry)
    assert error.after is None


def test_a_slow_answer_is_to_be_tried_again(
    standin: Standin, mailchimp: LocalMailchimp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "ANSWER_SECONDS", 0.2)
    mailchimp.merge_fields(LIST)
    standin.expect(Misbehaviour("slow", seconds=1.0))
    outcome = send(mailchimp, person("Alice"))
    assert (outcome.kind, outcome.reason) == (RETRY, "Mailchimp did not answer in time.")


def test_an_answer_that_got_lost_does_no_harm_when_all_is_sent_again(
    standin: Standin, mailchimp: LocalMailchimp
) -> None:
    mailchimp.merge_fields(LIST)
    standin.expect(Misbehaviour("cut_after"))
    assert send(mailchimp, person("Alice")).kind is RETRY
    assert status(standin, "alice@example.com") == "subscribed"
    assert send(mailchimp, person("Alice")) == ACCEPTED


def test_once_it_asks_for_fewer_calls_the_rest_of_the_batch_waits(standin: Standin, mailchimp: LocalMailchimp) -> None:
    mailchimp.merge_fields(LIST)
    standin.calls.clear()
    standin.expect(Misbehaviour("throttle", after=9))
    outcomes = export(mailchimp, *[change(None, payload) for payload in people(300)])
    assert {(outcome.kind, outcome.after) for outcome in outcomes} == {(RETRY, 9.0)}
    assert len(standin.calls) == 1


def test_a_server_that_fails_again_and_again_is_left_alone(standin: Standin, mailchimp: LocalMailchimp) -> None:
    mailchimp.merge_fields(LIST)
    standin.calls.clear()
    standin.expect(*[Misbehaviour("error")] * 500)
    outcomes = export(mailchimp, *[change(payload, None) for payload in people(300)])
    assert {outcome.kind for outcome in outcomes} == {RETRY}
    assert len(standin.calls) < 30


def test_one_failure_among_many_keeps_nobody_else_back(standin: Standin, mailchimp: LocalMailchimp) -> None:
    mailchimp.merge_fields(LIST)
    standin.expect(Misbehaviour("error", only="^DELETE"))
    for payload in people(20):
        put_member(standin, payload["email_address"])
    kinds = [outcome.kind for outcome in export(mailchimp, *[change(payload, None) for payload in people(20)])]
    assert (kinds.count(RETRY), kinds.count(OutcomeKind.ACCEPTED)) == (1, 19)


def test_a_batch_ends_when_its_time_is_over(
    standin: Standin, mailchimp: LocalMailchimp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugins.mailchimp.lanes.BATCH_SECONDS", -1.0)
    outcome = send(mailchimp, person("Alice"))
    assert (outcome.kind, outcome.after) == (RETRY, 1.0)
    assert "ran out of time" in outcome.reason


def test_no_connection_stays_open_between_two_batches(standin: Standin, mailchimp: LocalMailchimp) -> None:
    adapter: Any = mailchimp.line._client.session.get_adapter(standin.url)
    pools = adapter.poolmanager.pools
    source = RecordSource(table=LIST)
    for act in (
        lambda: export(mailchimp, *[change(None, payload) for payload in people(30)]),
        lambda: mailchimp.read_page(source, after=None, limit=5),
        lambda: mailchimp.retrieve([ColumnAsk("a", LIST, "status", "email_address", "a", "email")], [{"a": "a@b.de"}]),
    ):
        assert mailchimp.test().ok
        assert len(pools) == 1
        act()
        assert len(pools) == 0


def test_a_bad_request_for_many_is_made_one_by_one(standin: Standin, mailchimp: LocalMailchimp) -> None:
    outcomes = export(mailchimp, *[change(None, person("Bob", email_address=f"b{n}@fake.invalid")) for n in range(25)])
    assert {outcome.kind for outcome in outcomes} == {REJECT}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"api_key": ""}, "no API key"),
        ({"api_key": "kéy-us1"}, "no API key"),
        ({"api_key": "0123"}, "data centre"),
        ({"api_key": "0123-evil.example/x"}, "data centre"),
        ({"api_key": "0123-us1", "server_url": "file:///etc/passwd"}, "http://"),
        ({"api_key": "0123-us1", "list_id": "../../x"}, "not the id of a Mailchimp audience"),
        ({"api_key": "0123-us1", "list_id": ""}, "No audience is chosen"),
    ],
)
def test_options_that_cannot_work_halt_with_what_to_mend(options: dict[str, Any], said: str) -> None:
    with LocalMailchimp({"list_id": LIST, **options}) as app, pytest.raises(Halt, match=said):
        send(app, person("Alice"))


def test_a_server_inside_a_private_network_is_not_called_unless_that_is_allowed(standin: Standin) -> None:
    app = LocalMailchimp(options_for(standin))
    app.private_hosts_allowed = False
    assert not app.test().ok
    assert "GROUPAROO_ALLOW_PRIVATE_HOSTS" in app.test().message
    assert standin.calls == []


def test_a_key_of_a_data_centre_leads_to_its_address() -> None:
    assert calling._base("0123-us21", "", private_hosts_allowed=False) == "https://us21.api.mailchimp.com/3.0"


def test_the_test_of_a_connection_names_the_audience_or_asks_for_one(standin: Standin) -> None:
    put_member(standin, "alice@example.com")
    with LocalMailchimp(options_for(standin)) as app:
        assert app.test().message == "Mailchimp's audience “Newsletter” has 1 members."
        assert list(app.choices("list_id")) == [(LIST, "Newsletter")]
    with LocalMailchimp(options_for(standin, list_id="")) as app:
        assert app.test().message == "Mailchimp accepts the key. Choose one of its 1 audiences."


def test_a_sample_shows_members_with_merge_fields_and_tags(standin: Standin, mailchimp: LocalMailchimp) -> None:
    send(mailchimp, person("Alice"), groups=("gold",))
    assert [table.name for table in mailchimp.tables()] == [LIST]
    sample = mailchimp.sample(LIST, limit=5)
    row = dict(zip(sample.columns, sample.rows[0], strict=True))
    assert (row["email_address"], row["FNAME"], row["tags"]) == ("alice@example.com", "Alice", "gold")
