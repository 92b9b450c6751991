"""Logs as JSON: one object a line, with the id of its request or task, and never a secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from core.ui.signin import SignInForm
from grouparoo import logs

SECRET = "tell-nobody-7f3a91"

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """A function that returns what was logged so far, by the product's own filter and formatter."""
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.addFilter(logs.Context())
    handler.setFormatter(logs.Lines())
    root, requests = logging.getLogger(), logging.getLogger("grouparoo.requests")
    levels = root.level, requests.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    requests.setLevel(logging.INFO)
    try:
        yield lambda: [json.loads(line) for line in output.getvalue().splitlines()]
    finally:
        root.removeHandler(handler)
        root.setLevel(levels[0])
        requests.setLevel(levels[1])


@pytest.mark.django_db
def test_a_request_is_one_line_with_the_id_that_the_answer_names(client: Client, lines: Lines) -> None:
    response = client.get(f"/sign-in/?next=/{SECRET}/")
    [line] = [line for line in lines() if line["logger"] == "grouparoo.requests"]
    assert line["request_id"] == response["X-Request-ID"]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/sign-in/", 200)
    assert line["time"].endswith("Z")
    assert line["ms"] >= 0
    assert SECRET not in str(line), "a query may hold anything"


@pytest.mark.django_db
@pytest.mark.parametrize("path", [f"/invitation/{SECRET}:signed/", f"/new-password/MQ/{SECRET}/"])
def test_a_link_that_opens_an_account_is_on_no_line(lines: Lines, path: str) -> None:
    assert Client().get(path).status_code == 404
    assert lines()
    assert SECRET not in str(lines())


@pytest.mark.django_db
def test_a_proxys_request_id_is_kept(client: Client, lines: Lines) -> None:
    client.get("/sign-in/", headers={"X-Request-ID": "from-the-proxy-1"})
    assert {line["request_id"] for line in lines() if line["logger"] == "grouparoo.requests"} == {"from-the-proxy-1"}


@pytest.mark.django_db
def test_a_failure_is_logged_with_its_request_and_without_what_was_typed(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: SignInForm) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(SignInForm, "clean", fail)
    typed = {"username": "alice@example.com", "password": SECRET}
    response = Client(raise_request_exception=False).post("/sign-in/", typed)
    assert response.status_code == 500
    [failure] = [line for line in lines() if "exc_info" in line]
    assert "RuntimeError: out of order" in failure["exc_info"]
    assert failure["request_id"] == response["X-Request-ID"]
    assert SECRET not in json.dumps(lines())
    assert SECRET not in response.content.decode()


@pytest.mark.django_db
def test_tokens_and_cookies_of_callers_are_not_logged(client: Client, lines: Lines) -> None:
    client.cookies["sessionid"] = SECRET
    for path in ("/api/v1/profiles/", "/", "/nothing/"):
        client.get(path, headers={"Authorization": f"Bearer {SECRET}"})
    assert len(lines()) >= 3
    assert SECRET not in json.dumps(lines())


def test_a_line_of_a_task_names_it(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    task = SimpleNamespace(name="grouparoo.sweep", request=SimpleNamespace(id="0198c0de"))
    monkeypatch.setattr(logs, "current_task", task)
    logging.getLogger("schedules").warning("A page of %s was taken", "users")
    [line] = lines()
    assert (line["task_id"], line["task"]) == ("0198c0de", "grouparoo.sweep")
    assert line["message"] == "A page of users was taken"
    assert (line["level"], line["logger"]) == ("WARNING", "schedules")


def test_only_json_writes_each_request() -> None:
    levels = {json: logs.configure(level="INFO", json=json)["loggers"]["grouparoo.requests"] for json in (True, False)}
    assert levels == {True: {"level": "INFO"}, False: {"level": "WARNING"}}
