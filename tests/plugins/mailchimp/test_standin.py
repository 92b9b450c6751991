"""The stand-in itself: it refuses what Mailchimp would, answers in its shapes, forgets nothing, and shows it all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import requests

from plugins.mailchimp.changes import hash_email
from plugins.mailchimp.standin.operations import ANSWERS, PROBLEM
from plugins.mailchimp.standin.rules import problems_with
from plugins.mailchimp.standin.server import KEY, Misbehaviour, Standin
from tests.plugins.mailchimp.conftest import LIST
from tests.plugins.mailchimp.exports import put_member, status, tags

ALICE = "alice@example.com"
MEMBERS = "/lists/{list_id}/members"
MEMBER = MEMBERS + "/{subscriber_hash}"


class Caller:
    """Calls operations by their names in the description; checks every answer against its schema."""

    def __init__(self, standin: Standin) -> None:
        self.standin = standin

    def __call__(self, operation: str, body: Any = None, *, email: str = ALICE, **query: Any) -> tuple[int, Any]:
        method, path = operation.split()
        path = path.replace("{list_id}", LIST).replace("{subscriber_hash}", hash_email(email))
        response = requests.request(
            method,
            f"{self.standin.url}/3.0{path}",
            json=body,
            params=query,
            auth=("anything", self.standin.key),
            timeout=10,
        )
        document = response.json() if response.content else None
        if response.status_code == 200 and operation in ANSWERS:
            assert problems_with(ANSWERS[operation], document) == []
        elif response.status_code >= 400:
            assert problems_with(PROBLEM, document) == []
            assert response.headers["Content-Type"] == "application/problem+json"
        return response.status_code, document


@pytest.fixture
def call(standin: Standin) -> Caller:
    return Caller(standin)


def new(**more: Any) -> dict[str, Any]:
    return {"email_address": ALICE, "status_if_new": "subscribed", **more}


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("operation", "body", "said"),
    [
        (f"PUT {MEMBER}", {"email_address": ALICE}, "'status_if_new' is a required property"),
        (f"PUT {MEMBER}", new(status_if_new="archived"), "'archived' is not one of"),
        (f"PUT {MEMBER}", new(email_address=3), "3 is not of type 'string'"),
        (f"PUT {MEMBER}", new(interests={"abc": "yes"}), "'yes' is not of type 'boolean'"),
        (f"PUT {MEMBER}", new(timestamp_opt="soon"), "'soon' is not a 'date-time'"),
        (f"PUT {MEMBER}", new(email_address="alice"), "valid email address"),
        (f"PUT {MEMBER}", new(email_address="a@fake.invalid"), "looks fake or invalid"),
        (f"PUT {MEMBER}", new(merge_fields={"VISITS": "many"}), "type float"),
        (f"PUT {MEMBER}", new(merge_fields={"VIP": True}), "did not match any"),
        (f"PUT {MEMBER}", new(merge_fields={"VIP": ["a"]}), "did not match any"),
        (f"POST {MEMBER}/tags", {"tags": [{"name": "gold"}]}, "'status' is a required property"),
        (f"POST {MEMBER}/events", {"name": "x"}, "too short"),
        (f"POST {MEMBER}/events", {"name": "x" * 31}, "too long"),
        (f"POST {MEMBER}/events", {"name": "order", "properties": {"a": 1}}, "1 is not of type 'string'"),
        ("POST /lists/{list_id}", {}, "'members' is a required property"),
        ("POST /lists/{list_id}", {"members": [{}] * 501}, "too long"),
    ],
)
def test_a_body_that_mailchimp_would_refuse_is_refused(
    standin: Standin, call: Caller, operation: str, body: Any, said: str
) -> None:
    put_member(standin, "bob@example.com")
    code, document = call(operation, body)
    assert (code, document["title"]) == (400, "Invalid Resource")
    assert said in json.dumps(document)
    assert status(standin, ALICE) == ""


def test_keys_paths_and_methods_that_are_wrong_are_refused(standin: Standin, call: Caller) -> None:
    assert requests.get(f"{standin.url}/3.0/ping", auth=("any", "wrong"), timeout=10).status_code == 401
    bearer = {"Authorization": f"Bearer {standin.key}"}
    assert requests.get(f"{standin.url}/3.0/ping", headers=bearer, timeout=10).status_code == 200
    assert call(f"GET {MEMBER}")[0] == 404
    assert call("GET /lists/nosuchlist")[0] == 404
    assert call("GET /campaigns")[0] == 404
    assert call(f"POST {MEMBER}")[0] == 405
    assert call(f"GET {MEMBERS}", count=1001)[0] == 400


def test_members_are_added_changed_archived_and_forgotten(standin: Standin, call: Caller) -> None:
    assert call(f"POST {MEMBERS}", {"email_address": ALICE, "status": "subscribed"})[0] == 200
    assert call(f"POST {MEMBERS}", {"email_address": ALICE, "status": "subscribed"})[1]["title"] == "Member Exists"
    assert call(f"PATCH {MEMBER}", {"merge_fields": {"FNAME": "Alice"}})[1]["full_name"] == "Alice"
    assert call(f"DELETE {MEMBER}")[0] == 204
    assert call(f"DELETE {MEMBER}")[0] == 405
    assert call(f"GET {MEMBER}")[1]["status"] == "archived"
    assert call(f"GET {MEMBERS}")[1]["total_items"] == 0
    assert call(f"GET {MEMBERS}", status="archived")[1]["total_items"] == 1
    assert call(f"POST {MEMBER}/actions/delete-permanent")[0] == 204
    assert call(f"PUT {MEMBER}", new())[1]["title"] == "Forgotten Email Not Subscribed"


def test_whoever_left_cannot_be_subscribed_by_a_call(standin: Standin, call: Caller) -> None:
    put_member(standin, ALICE, status="unsubscribed")
    assert call(f"PUT {MEMBER}", new())[1]["status"] == "unsubscribed"
    assert call(f"PUT {MEMBER}", new(status="subscribed"))[1]["title"] == "Member In Compliance State"
    assert call(f"PUT {MEMBER}", new(status="pending"))[1]["status"] == "pending"


def test_a_required_merge_field_is_asked_for_unless_that_is_switched_off(standin: Standin, call: Caller) -> None:
    field = {"name": "Plan", "tag": "plan", "type": "text", "required": True}
    assert call("POST /lists/{list_id}/merge-fields", field)[1]["tag"] == "PLAN"
    assert call(f"PUT {MEMBER}", new())[0] == 400
    assert call(f"PUT {MEMBER}", new(), skip_merge_validation="true")[0] == 200


def test_many_at_once_have_each_their_own_fate(standin: Standin, call: Caller) -> None:
    put_member(standin, "bob@example.com", status="unsubscribed")
    members = [
        {"email_address": ALICE, "status": "subscribed"},
        {"email_address": ALICE, "status": "subscribed"},
        {"email_address": "bob@example.com", "status": "subscribed"},
        {"email_address": "charlie@example.com"},
    ]
    _, found = call("POST /lists/{list_id}", {"members": members, "update_existing": False})
    assert [member["email_address"] for member in found["new_members"]] == [ALICE]
    assert [error["error_code"] for error in found["errors"]] == [
        "ERROR_GENERIC",
        "ERROR_CONTACT_EXISTS",
        "ERROR_GENERIC",
    ]
    _, found = call("POST /lists/{list_id}", {"members": members[2:], "update_existing": True})
    assert "compliance state" in found["errors"][0]["error"]
    assert status(standin, "bob@example.com") == "unsubscribed"


def test_tags_are_the_same_in_any_case(standin: Standin, call: Caller) -> None:
    put_member(standin, ALICE)
    for name, wanted in (("Gold", ["Gold"]), ("GOLD", ["Gold"]), ("silver", ["Gold", "silver"])):
        assert call(f"POST {MEMBER}/tags", {"tags": [{"name": name, "status": "active"}]})[0] == 204
        assert tags(standin, ALICE) == wanted
    assert call(f"GET {MEMBER}/tags")[1]["total_items"] == 2
    assert [tag["name"] for tag in call("GET /lists/{list_id}/tag-search", name="gO")[1]["tags"]] == ["Gold"]
    call(f"POST {MEMBER}/tags", {"tags": [{"name": "gold", "status": "inactive"}]})
    assert tags(standin, ALICE) == ["silver"]


def test_events_are_kept_as_they_came(standin: Standin, call: Caller) -> None:
    put_member(standin, ALICE)
    event = {"name": "ordered", "properties": {"a": "1", "ü": "日本"}, "occurred_at": "2024-02-29T12:00:00+00:00"}
    assert call(f"POST {MEMBER}/events", event)[0] == 204
    assert call(f"POST {MEMBER}/events", event, email="bob@example.com")[0] == 404
    assert call(f"GET {MEMBER}/events")[1]["events"] == [event]


# ---------------------------------------------------------------- connections


def test_an_eleventh_call_at_the_same_time_is_refused_and_calls_that_meet_are_told(
    standin: Standin, call: Caller
) -> None:
    put_member(standin, ALICE)
    standin.expect(*[Misbehaviour("slow", seconds=0.5)] * 10)
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(call(f"GET {MEMBER}")[0])) for _ in range(11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200] * 10 + [429]
    state = requests.get(f"{standin.url}/standin/state", timeout=10).json()
    assert state["most_at_once"] == 11
    assert state["per_member"] == {f"{LIST}/{hash_email(ALICE)}": 11}
    assert sum(state["parallel"].values()) == 10


def test_it_misbehaves_when_another_process_asks_for_it(standin: Standin, call: Caller) -> None:
    asked: dict[str, Any] = {"kind": "throttle", "after": 7, "times": 2, "only": "^PUT"}
    assert requests.post(f"{standin.url}/standin/misbehave", json=asked, timeout=10).status_code == 204
    codes = [call(f"{method} {MEMBER}", new())[0] for method in ("GET", "PUT", "PUT", "PUT")]
    assert codes == [404, 429, 429, 200]
    wrong = requests.post(f"{standin.url}/standin/misbehave", json={"kind": "dance"}, timeout=10)
    assert (wrong.status_code, "throttle" in wrong.text) == (400, True)


def test_what_it_holds_outlives_its_sudden_death(tmp_path: Path) -> None:
    file = tmp_path / "mailchimp.sqlite"
    command = [sys.executable, "-m", "plugins.mailchimp.standin", "--file", str(file), "--merge-field", "FNAME=text"]
    for life in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            words = process.stdout.readline().split()
            url = next(word for word in words if word.startswith("http://"))
            address = f"{url}/3.0/lists/a1b2c3d4e5/members/{hash_email(ALICE)}"
            if life == 0:
                body = new(merge_fields={"FNAME": "Alice"})
                assert requests.put(address, json=body, auth=("any", KEY), timeout=10).status_code == 200
            else:
                member = requests.get(address, auth=("any", KEY), timeout=10).json()
                assert member["merge_fields"] == {"FNAME": "Alice"}
            os.kill(process.pid, signal.SIGKILL if life == 0 else signal.SIGTERM)
            assert process.wait(10) == (-signal.SIGKILL if life == 0 else 0)


# ---------------------------------------------------------------- the page


def page(standin: Standin, **query: str) -> str:
    response = requests.get(f"{standin.url}/", params=query, timeout=10)
    assert response.status_code == 200
    return response.text


def test_the_page_shows_members_tags_and_the_exact_events(standin: Standin, call: Caller) -> None:
    call(f"PUT {MEMBER}", new(merge_fields={"FNAME": "Al <b>ice", "VISITS": 3}))
    call(f"POST {MEMBER}/tags", {"tags": [{"name": "gold & silver", "status": "active"}]})
    call(f"POST {MEMBER}/events", {"name": "ordered", "properties": {"items": '["red shirt"]'}})
    shown = page(standin)
    for text in ("1 member, and 0 archived.", "Subscribed", "<dt>VISITS</dt><dd>3</dd>", "gold &amp; silver"):
        assert text in shown
    assert "Al &lt;b&gt;ice" in shown
    assert "&quot;items&quot;: &quot;[\\&quot;red shirt\\&quot;]&quot;" in shown
    assert "<script" not in shown


def test_the_page_finds_a_member_and_changes_audience(standin: Standin) -> None:
    put_member(standin, ALICE)
    put_member(standin, "bob@example.com")
    standin.store.add_list("zzz", "Zoo friends")
    assert "bob@example.com" not in page(standin, list=LIST, email=ALICE)
    assert "There is no carol@example.com." in page(standin, list=LIST, email="carol@example.com")
    assert "Members of Zoo friends" in page(standin, list="zzz")
