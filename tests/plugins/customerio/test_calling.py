"""Each answer that Customer.io may give means one thing: try again, refuse this one, or stop until a person looks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from core.lib.pauses import read_retry_after
from plugins.contracts import ACCEPTED, Halt, OutcomeKind, ProfileExport
from plugins.customerio import Customerio, calling
from tests.plugins.customerio.conftest import LocalCustomerio, options_for
from tests.plugins.customerio.exports import change, export, held, people, person, send
from tests.plugins.customerio.standin import Misbehaviour, Standin

RETRY, REJECT, HALT = OutcomeKind.RETRY, OutcomeKind.REJECT, OutcomeKind.HALT


@pytest.mark.parametrize(
    ("kind", "meaning", "said"),
    [
        ("throttle", RETRY, "fewer calls (status 429)"),
        ("error", RETRY, "a problem of its own (status 500)"),
        ("unavailable", RETRY, "a problem of its own (status 503)"),
        ("garbage", RETRY, "not JSON"),
        ("list", RETRY, "not JSON"),
        ("cut", RETRY, "cut the connection"),
        ("refuse", REJECT, "Customer.io refused this: batch: is malformed."),
        ("vague", REJECT, "Customer.io refused this: invalid."),
        ("forbid", HALT, "look at the key"),
        ("missing", HALT, "not at this address (status 404)"),
        ("redirect", HALT, "choose the region"),
    ],
)
def test_an_answer_has_one_meaning_and_the_next_try_works(
    standin: Standin, customerio: LocalCustomerio, kind: str, meaning: OutcomeKind, said: str
) -> None:
    standin.expect(Misbehaviour(kind))
    outcome = send(customerio, person("Alice"))
    assert (outcome.kind, said in outcome.reason) == (meaning, True), outcome
    assert held(standin) == {}
    assert len(standin.calls) == 1, "the client does not repeat by itself"
    assert send(customerio, person("Alice")) == ACCEPTED


def test_wrong_keys_halt_and_are_not_told(standin: Standin) -> None:
    with LocalCustomerio(options_for(standin, api_key="wrongkey")) as app:
        outcome = send(app, person("Alice"))
    assert (outcome.kind, "does not accept the site ID and API key" in outcome.reason) == (HALT, True)
    assert "wrongkey" not in outcome.reason


@pytest.mark.parametrize("kind", ["throttle", "error", "unavailable"])
def test_the_time_that_customerio_asks_for_is_kept(standin: Standin, customerio: LocalCustomerio, kind: str) -> None:
    standin.expect(Misbehaviour(kind, after="7"))
    assert send(customerio, person("Alice")).after == 7


def test_the_time_may_be_a_date_and_what_cannot_be_read_is_none() -> None:
    soon = datetime.now(UTC) + timedelta(minutes=2)
    assert 100 < (read_retry_after(format_datetime(soon, usegmt=True)) or 0) <= 120
    assert read_retry_after("9" * 12) == 86_400
    assert [read_retry_after(text) for text in ("", "soon", "-1", "²")] == [None] * 4


def test_a_slow_answer_is_to_be_tried_again(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "ANSWER_SECONDS", 0.2)
    standin.expect(Misbehaviour("slow", seconds=1.0))
    with LocalCustomerio(options_for(standin)) as app:
        outcome = send(app, person("Alice"))
    assert (outcome.kind, outcome.reason) == (RETRY, "Customer.io did not answer in time.")


def test_an_answer_that_got_lost_does_no_harm_when_all_is_sent_again(
    standin: Standin, customerio: LocalCustomerio
) -> None:
    moved = change(person("Alice"), person("Alice", email="alice@new.example.com"))
    assert send(customerio, person("Alice")) == ACCEPTED
    for step in range(4):
        # Each of the four calls of a move loses its answer once.
        standin.expect(*[Misbehaviour("slow")] * step, Misbehaviour("cut_after"))
        assert export(customerio, moved)[0].kind is RETRY
    assert export(customerio, moved) == [ACCEPTED]
    assert held(standin) == {"alice@new.example.com": {"name": "Alice"}}


def _many(count: int) -> list[ProfileExport]:
    return [change(None, payload) for payload in people(count)]


def test_once_it_can_take_nothing_the_rest_of_the_batch_waits(
    standin: Standin, customerio: LocalCustomerio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugins.customerio.batches.MOST_BYTES", 2_000)
    standin.expect(Misbehaviour("slow"), Misbehaviour("throttle", after="9"))
    outcomes = export(customerio, *_many(100))
    assert len(standin.calls) == 2
    taken = len(held(standin))
    assert 0 < taken < 50
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.ACCEPTED] * taken + [RETRY] * (100 - taken)
    assert {outcome.after for outcome in outcomes[taken:]} == {9.0}


def test_a_batch_refused_as_a_whole_is_searched_for_the_one_at_fault(
    standin: Standin, customerio: LocalCustomerio
) -> None:
    # The whole, its first half, and so on down to the first person; all others are taken.
    standin.expect(*[Misbehaviour("refuse")] * 5)
    outcomes = export(customerio, *_many(16))
    assert [outcome.kind for outcome in outcomes] == [REJECT] + [OutcomeKind.ACCEPTED] * 15
    assert len(held(standin)) == 15


def test_a_batch_ends_when_its_time_is_over(
    standin: Standin, customerio: LocalCustomerio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugins.customerio.batches.SECONDS", -1.0)
    outcome = send(customerio, person("Alice"))
    assert (outcome.kind, outcome.after) == (RETRY, 1.0)
    assert standin.calls == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"api_key": ""}, "lacks its site ID or API key"),
        ({"site_id": ""}, "lacks its site ID or API key"),
        ({"api_key": "kéy"}, "lacks its site ID or API key"),
        ({"server_url": "file:///etc/passwd"}, "http://"),
        ({"server_url": "http://"}, "http://"),
        ({"server_url": "http://[::1"}, "http://"),
        ({"server_url": "http://user:secret@127.0.0.1"}, "http://"),
    ],
)
def test_options_that_cannot_work_halt_with_what_to_mend(standin: Standin, options: dict[str, Any], said: str) -> None:
    with LocalCustomerio(options_for(standin, **options)) as app, pytest.raises(Halt, match=said):
        send(app, person("Alice"))


def test_a_server_inside_a_private_network_is_not_called_unless_that_is_allowed(standin: Standin) -> None:
    with Customerio(options_for(standin)) as app:
        result = app.test()
    assert (result.ok, "GROUPAROO_ALLOW_PRIVATE_HOSTS" in result.message) == (False, True)
    assert standin.calls == []


@pytest.mark.parametrize(("region", "host"), [("us", "track.customer.io"), ("eu", "track-eu.customer.io")])
def test_a_region_leads_to_its_server(region: str, host: str) -> None:
    client = calling._Client("site", "key", region=region, server_url="")
    assert client.base_url == f"https://{host}/api/v1"
    assert not client._is_plain


def test_the_test_of_a_connection_names_the_workspace_or_the_right_region(standin: Standin) -> None:
    with LocalCustomerio(options_for(standin)) as app:
        assert app.test().message == "Customer.io accepts the keys, which are those of workspace 3."
        standin.region = "eu"
        assert app.test().message == "This account is in the region EU: choose it in the App's settings."
