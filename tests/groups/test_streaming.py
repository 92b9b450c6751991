"""Live numbers: an estimate at once, the exact count, then everything; the next question cancels the one that runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from core.accounts.models import Role
from core.lib.errors import InvalidInput, Refused
from groups import counting
from groups.counting import Counted, Estimated, Matched, stream
from tests.accounts.factories import make_user
from tests.factories import make_profiles, make_rule
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

TREE = {"match": "all", "rules": [{"property": "ltv", "operator": "greater_than", "value": 0}]}
NAME = "draft-of-alice"


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many people that they are estimated first: a third of them match."""
    monkeypatch.setattr(counting, "FEW", 100)
    make_rule("ltv", "float", label="Lifetime value")
    make_profiles([{"ltv": n % 3 - 1} for n in range(900)])
    with connection.cursor() as cursor:
        cursor.execute("analyze profile")


def test_an_estimate_comes_first_then_the_count_then_everything(many: None) -> None:
    steps = list(stream(TREE, draft=NAME))
    assert [type(step) for step in steps] == [Estimated, Matched, Counted]
    estimated, matched, counted = steps
    assert isinstance(counted, Counted)
    assert (estimated.everyone, matched.everyone, counted.everyone) == (900, 900, 900)
    assert (matched.matching, counted.matching) == (300, 300)
    assert 200 < estimated.matching < 400
    assert len(counted.sample) == 10


def test_few_people_are_counted_at_once() -> None:
    make_rule("ltv", "float")
    make_profiles([{"ltv": 1}, {}])
    assert [type(step) for step in stream(TREE, draft=NAME)] == [Counted]


def test_the_next_question_cancels_the_one_that_runs(many: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def match_slowly(cursor: Any, *_: Any, **__: Any) -> tuple[int, int]:
        cursor.execute("select pg_sleep(60)")
        return 0, 0

    def ask() -> list[Any]:
        try:
            return list(stream(TREE, draft=NAME, limit_ms=30_000))
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with monkeypatch.context() as slow:
            slow.setattr(counting, "_match", match_slowly)
            older = pool.submit(ask)
            wait_until(is_sleeping, what="the older count runs")
        began = time.monotonic()
        newer = list(stream(TREE, draft=NAME))
        assert [type(step) for step in older.result(timeout=10)] == [Estimated]
        assert time.monotonic() - began < 10
    assert [type(step) for step in newer] == [Estimated, Matched, Counted]


def is_sleeping() -> bool:
    """Whether another session is in the middle of a count."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select exists (select from pg_stat_activity where application_name = %s and state = 'active'"
            " and query like '%%pg_sleep%%' and pid <> pg_backend_pid())",
            [f"count {NAME}"],
        )
        return bool(cursor.fetchone()[0])


def test_what_takes_too_long_is_told_and_what_makes_no_sense_is_refused_at_once(
    many: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_match", lambda cursor, *_, **__: cursor.execute("select pg_sleep(60)"))
    with pytest.raises(Refused, match="given up"):
        list(stream(TREE, draft=NAME, limit_ms=100))
    with pytest.raises(InvalidInput, match="Add at least one rule"):
        stream({"match": "all", "rules": []}, draft=NAME)
    with pytest.raises(InvalidInput, match="letters and digits"):
        stream(TREE, draft="'; drop table profile")


def lines(client: Client, **fields: str) -> Iterator[dict[str, str]]:
    """What the page is sent for a form."""
    response = client.post("/groups/count/", fields)
    assert response["Content-Type"] == "application/x-ndjson"
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]  # of a streamed answer
    return map(json.loads, text.splitlines())


def test_the_page_gets_its_pieces_line_by_line(many: None, client: Client) -> None:
    client.force_login(make_user("alice", role=Role.EDITOR))
    rule = {"parts": "rule", "match": "all", "property-0": "ltv", "operator-0": "greater_than"}
    found = list(lines(client, draft=NAME, **rule, **{"value-0": "0"}))
    assert [each["target"] for each in found] == ["#live", "#live", "#live", "#num-0", "#none-0", "#said"]
    assert "about" in found[0]["html"]
    assert "300" in found[1]["html"]
    assert found[-1]["html"].replace("\N{NO-BREAK SPACE}", " ") == "300 people match of 900."
    [live, said] = lines(client, draft=NAME, **rule, **{"value-0": "much"})
    assert "as soon as every rule is complete" in live["html"]
    assert said["html"] == "The count appears as soon as every rule is complete."
