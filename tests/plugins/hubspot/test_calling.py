"""Each answer that HubSpot may give means one thing: try again, refuse this one, or stop until a person looks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from plugins.contracts import ACCEPTED, Halt, Outcome, OutcomeKind, PluginError, Retry
from plugins.hubspot import calling
from tests.plugins.hubspot.account import Account
from tests.plugins.hubspot.conftest import LocalHubspot, options_for
from tests.plugins.hubspot.exports import change, export, make_target, people, person, send
from tests.plugins.hubspot.standin import Misbehaviour, Standin

RETRY, REJECT, HALT = OutcomeKind.RETRY, OutcomeKind.REJECT, OutcomeKind.HALT
STEPS = ("batch/read", "batch/update", "batch/create", "batch/archive", "name/gold", "POST /crm/v3/lists/$", "add-and")


def export_all_kinds(app: LocalHubspot) -> list[Outcome]:
    """One export that takes each of `STEPS`: Alice is known, Bob new, Charlie leaves; Alice and Bob join a list."""
    alice = change(person("Alice"), person("Alice", firstname="Alicia"), groups=("gold",))
    new = change(None, person("Bob"), groups=("gold",))
    return export(app, alice, new, change(person("Charlie"), None), target=make_target(groups=("gold",)))


@pytest.mark.parametrize(
    ("misbehaviour", "kind", "said", "after"),
    [
        (Misbehaviour("throttle"), RETRY, "fewer calls", 10),
        (Misbehaviour("throttle", interval=4000), RETRY, "fewer calls", 4),
        (Misbehaviour("throttle", after=7, interval=4000), RETRY, "fewer calls", 7),
        (Misbehaviour("bare429"), RETRY, "fewer calls", 10),
        (Misbehaviour("daily"), RETRY, "used up its calls of today", 3600),
        (Misbehaviour("daily", after=600), RETRY, "goes on by itself", 600),
        (Misbehaviour("locked"), RETRY, "busy with this account (status 423)", 2),
        (Misbehaviour("migrating", after=900), RETRY, "busy with this account (status 477)", 900),
        (Misbehaviour("error"), RETRY, "a problem of its own (status 500)", None),
        (Misbehaviour("gateway", after=3), RETRY, "a problem of its own (status 502)", 3),
        (Misbehaviour("garbage"), RETRY, "not JSON", None),
        (Misbehaviour("redirect"), RETRY, "status 302", None),
        (Misbehaviour("blocked"), RETRY, "status 403 and something that is not JSON", None),
        (Misbehaviour("cut"), RETRY, "cut the connection", None),
        (Misbehaviour("forbidden"), HALT, "does not allow this: This hub does not have the feature.", None),
    ],
)
@pytest.mark.parametrize("step", STEPS)
def test_an_answer_has_one_meaning_at_every_step_and_the_next_try_works(
    standin: Standin,
    hubspot: LocalHubspot,
    step: str,
    misbehaviour: Misbehaviour,
    kind: OutcomeKind,
    said: str,
    after: float | None,
) -> None:
    account = standin.account
    account.put("alice@example.com")
    account.put("charlie@example.com")
    found = Misbehaviour(misbehaviour.kind, misbehaviour.after, misbehaviour.interval, only=step)
    standin.expect(found)
    outcomes = export_all_kinds(hubspot)
    assert not standin.expected, "the export took this step"
    assert {(outcome.kind, outcome.after) for outcome in outcomes} == {(kind, after)}
    assert said in outcomes[0].reason
    assert export_all_kinds(hubspot) == [ACCEPTED] * 3
    assert account.emails() == {"alice@example.com", "bob@example.com"} == account.members("gold")


@pytest.mark.parametrize("step", STEPS)
def test_an_answer_that_got_lost_does_no_harm_when_all_is_sent_again(
    standin: Standin, hubspot: LocalHubspot, step: str
) -> None:
    account = standin.account
    account.put("alice@example.com")
    account.put("charlie@example.com")
    standin.expect(Misbehaviour("cut_after", only=step))
    assert {outcome.kind for outcome in export_all_kinds(hubspot)} == {RETRY}
    assert export_all_kinds(hubspot) == [ACCEPTED] * 3
    assert account.emails() == {"alice@example.com", "bob@example.com"} == account.members("gold")
    assert len(account.lists) == 1


def test_a_slow_answer_is_to_be_tried_again(
    standin: Standin, hubspot: LocalHubspot, monkeypatch: pytest.MonkeyPatch
) -> None:
    hubspot.properties()
    monkeypatch.setattr(calling, "ANSWER_SECONDS", 0.2)
    standin.expect(Misbehaviour("slow", seconds=1.0))
    outcome = send(hubspot, person("Alice"))
    assert (outcome.kind, outcome.reason) == (RETRY, "HubSpot did not answer in time.")


def test_a_wrong_token_halts(standin: Standin) -> None:
    options = options_for(standin, access_token="pat-na1-other")
    with LocalHubspot(options) as app, pytest.raises(Halt, match="copy it anew"):
        send(app, person("Alice"))


@pytest.mark.parametrize(
    "scope", ["crm.objects.contacts.read", "crm.objects.contacts.write", "crm.lists.read", "crm.lists.write"]
)
def test_a_missing_scope_is_named_by_the_test_and_by_the_export(
    standin: Standin, hubspot: LocalHubspot, scope: str
) -> None:
    standin.account.scopes.discard(scope)
    result = hubspot.test()
    assert (result.ok, scope in result.message) == (False, True), result
    try:
        outcome = send(hubspot, person("Alice"), make_target(groups=("gold",)), groups=("gold",))
    except PluginError as error:
        outcome = Outcome(HALT if isinstance(error, Halt) else RETRY, error.reason)
    assert (outcome.kind, scope in outcome.reason) == (HALT, True), outcome


def test_a_token_of_which_hubspot_does_not_tell_is_tested_by_reading(standin: Standin, hubspot: LocalHubspot) -> None:
    standin.account.put("alice@example.com")
    standin.expect(Misbehaviour("unknown", only="access-token-info"))
    assert hubspot.test().message == "HubSpot accepts the access token; the account has 1 contacts."
    assert not standin.expected


@pytest.mark.parametrize(
    ("text", "expected"), [("soon", None), ("-1", None), ("", None), ("0", 0.0), ("999999", 86_400.0)]
)
def test_a_time_to_wait_is_seconds_or_left_to_us(text: str, expected: float | None) -> None:
    with pytest.raises(Retry) as caught:
        calling.read_answer(503, {"Retry-After": text}, b"")
    assert caught.value.after == expected


def test_the_time_to_wait_may_be_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True)
    with pytest.raises(Retry) as caught:
        calling.read_answer(429, {"Retry-After": date}, b"{}")
    assert 100 < (caught.value.after or 0) <= 120


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"access_token": ""}, "no access token"),
        ({"access_token": "töken"}, "no access token"),
        ({"access_token": "a\nb"}, "no access token"),
        ({"access_token": "a", "server_url": "file:///etc/passwd"}, "http://"),
        ({"access_token": "a", "server_url": "http://[::1"}, "can be called"),
    ],
)
def test_options_that_cannot_work_halt_with_what_to_mend(options: dict[str, Any], said: str) -> None:
    with LocalHubspot(options) as app, pytest.raises(Halt, match=said):
        send(app, person("Alice"))


def test_a_server_inside_a_private_network_is_not_called_unless_that_is_allowed(standin: Standin) -> None:
    app = LocalHubspot(options_for(standin))
    app.private_hosts_allowed = False
    result = app.test()
    assert not result.ok
    assert "GROUPAROO_ALLOW_PRIVATE_HOSTS" in result.message
    assert standin.calls == []


def test_without_a_server_hubspot_itself_is_called() -> None:
    assert calling._base("pat-na1-1", "", private_hosts_allowed=False) == "https://api.hubapi.com"


def test_the_rest_of_the_batch_waits_once_hubspot_asks_for_fewer_calls(standin: Standin, hubspot: LocalHubspot) -> None:
    hubspot.properties()
    standin.calls.clear()
    standin.expect(Misbehaviour("throttle", after=9))
    again = [change(None, person("Alice", firstname=f"Alice {number}")) for number in range(3)]
    outcomes = export(hubspot, *[change(None, payload) for payload in people(60)], *again)
    assert {(outcome.kind, outcome.after) for outcome in outcomes} == {(RETRY, 9.0)}
    assert len(standin.calls) == 1


def test_no_two_calls_are_under_way_at_once(standin: Standin, hubspot: LocalHubspot) -> None:
    export(hubspot, *[change(None, payload, groups=("gold", "new")) for payload in people(100)])
    assert standin.most_at_once == 1


def test_tables_and_a_sample_show_contacts_with_what_they_have(account: Account, hubspot: LocalHubspot) -> None:
    account.put("alice@example.com", vip="true", spent="12.5")
    account.put("bob@example.com", since="2024-02-29T10:00:00Z")
    (table,) = hubspot.tables()
    columns = {column.name: column.type for column in table.columns}
    assert table.columns[0].name == "email"
    assert (columns["email"], columns["spent"], columns["vip"], columns["phone"]) == (
        "email",
        "float",
        "boolean",
        "string",
    )
    sample = hubspot.sample("contacts", limit=5)
    rows = [dict(zip(sample.columns, row, strict=True)) for row in sample.rows]
    assert "firstname" not in sample.columns
    assert [row["email"] for row in rows] == ["bob@example.com", "alice@example.com"]
    assert (rows[1]["vip"], rows[1]["spent"], rows[0]["since"]) == (True, 12.5, "2024-02-29T10:00:00.000000Z")
    assert len(hubspot.sample("contacts", limit=1).rows) == 1
    with pytest.raises(Halt, match="it is contacts"):
        hubspot.sample("deals")
