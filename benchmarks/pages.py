"""`pages`: every page and every reading endpoint of the product, at N profiles, 5 N events and up to 10,000 runs.

Asked in this process, as a signed-in admin, twenty times each: the time from the request to the whole answer, and the
number of statements. New pages are found by themselves, in the table of addresses.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver

from benchmarks.filling import Filled, fill
from benchmarks.harness import Report, other_database
from benchmarks.whole_tables import find_whole_tables
from core.ui.remembering import COOKIE
from groups.models import GroupMember
from profiles.models import Profile

CALLS = 20
MOST_P95_MS, MOST_QUERIES = 150, 15
SHOWN = 10  # the slowest, and those with the most statements
# What is no page of its own: whole files, and what a tool answers in its own time.
LEFT_OUT = {
    "erasures:person": "a file of all that is known of someone",
    "erasures_api:person": "a file of all that is known of someone",
    "groups:download": "a file of everyone",
    "groups_api:members_csv": "a file of everyone",
    "runs:download_plan": "a file of everyone",
    "runs:rejected": "a file of everyone",
    "team_api:schema": "the description of the API, the same for everyone",
}


@dataclass(slots=True)
class Measured:
    """One address and what it costs."""

    path: str
    p95_ms: float
    queries: int


def run(profiles: int) -> Report:
    """Ask every address; see the module's text. The report's seconds are those of all calls."""
    call_command("collectstatic", interactive=False, verbosity=0)  # pages name their styles by what stands in them
    report = Report("pages", profiles, 0)
    with other_database("source") as source:
        filled = fill(profiles, source=source)
        client = Client(headers={"host": "localhost"})
        client.force_login(filled.user)
        measured, otherwise, whole = _measure(report, client, [*addresses(filled), *searches(filled)])
    _judge(report, measured)
    report.detail |= {"answered_otherwise": otherwise, "whole_tables": whole}
    _verify(report, client, filled)
    return report


def _measure(
    report: Report, client: Client, paths: Sequence[str]
) -> tuple[list[Measured], dict[str, int], dict[str, list[str]]]:
    """What each costs; those that are no page to look at, with their status; statements that read large tables."""
    measured: list[Measured] = []
    otherwise: dict[str, int] = {}
    whole: dict[str, list[str]] = {}
    for path in paths:
        status = _ask(client, path)
        if status != HTTPStatus.OK:
            otherwise[path] = status
            report.check(status < HTTPStatus.INTERNAL_SERVER_ERROR, f"{path} answered {status}")
            continue
        with CaptureQueriesContext(connection) as queries:
            _ask(client, path)
        count = len(queries)  # now: the next request forgets them
        times = sorted(_timed(client, path) for _ in range(CALLS))
        report.seconds += sum(times)
        measured.append(Measured(path, round(times[int(CALLS * 0.95) - 1] * 1000, 1), count))
        if found := find_whole_tables(partial(_ask, client, path)):
            whole[path] = found
    return measured, otherwise, whole


def addresses(filled: Filled) -> Iterator[str]:
    """Every page and every endpoint that can be read, with the ids of what there is in the place of their variables."""
    values = {key: str(value) for key, value in filled.ids.items()}
    values |= {"guid": str(filled.guid), "event_id": str(filled.event_id), "name": str(filled.event_id)}
    values |= {"direction": "import"}
    for name, route, view in _walk(get_resolver().url_patterns):
        is_page, endpoint = hasattr(view, "required_role"), getattr(view, "cls", None)
        if name in LEFT_OUT or not (is_page or hasattr(endpoint, "get")):
            continue
        path = _fill_in(route, _own(name, values))
        if path:
            yield path


def searches(filled: Filled) -> Iterator[str]:
    """What people ask of lists: filters, orders, further pages, searches that find much, little and nothing."""
    group, rule = filled.ids["group_id"], "locale"
    for path in ("/search/", "/profiles/", "/events/"):
        name = {"/search/": "q", "/profiles/": "q", "/events/": "person"}[path]
        for text in ("person1", "person12345@example.com", "nobody", "7", str(filled.guid)):
            yield f"{path}?{name}={text}"
    yield f"/profiles/?group={group}"
    yield f"/profiles/?group={group}&q=person1"
    yield f"/profiles/?before={filled.guid}"
    yield "/profiles/?sort=newest"
    for query in (
        "type=Purchase",
        "state=unlinked",
        "span=month",
        "type=Call&span=week",
        "type=None",
        "key=sku&value=x",
    ):
        yield f"/events/?{query}"
    yield f"/events/?before={filled.event_id}"
    yield f"/groups/{group}/breakdown/?property={rule}"
    yield f"/groups/overlap/?group={group}&group={group + 1}"
    yield f"/profiles/why/{group}/?who=person7@example.com"
    for sort in ("-size", "-moved", "-calculated"):
        yield f"/groups/?sort={sort}"
    yield "/properties/?sort=-coverage"
    for query in ("sort=-duration", "sort=-rejected", "state=failed", "direction=export"):
        yield f"/runs/?{query}"
    yield f"/schedules/{filled.ids['schedule_id']}/people/?state=rejected"
    yield f"/schedules/{filled.ids['schedule_id']}/people/?q=person1"
    yield f"/outbound-events/{filled.ids['subscription_id']}/?state=rejected"
    yield from _of_one_export(filled)
    yield from _of_one_person(filled)
    for path in ("profiles", "events", "runs", "deliveries", f"groups/{group}/members", f"groups/{group}/log"):
        yield f"/api/v1/{path}/?limit=50"


def _of_one_export(filled: Filled) -> Iterator[str]:
    """The plan of a run that would change everyone, and who is at a destination, searched as people search."""
    plan, ledger = f"/runs/{filled.plan}/plan/", f"/schedules/{filled.ids['schedule_id']}/people/"
    yield plan
    yield f"/api/v1/runs/{filled.plan}/plan/rows/"
    for query in ("kind=removed", "kind=created", "q=person77777@", "q=nobody", "kind=removed&q=nobody"):
        yield f"{plan}?{query}"
    for query in ("state=owed", "state=held", "q=nobody", "state=rejected&q=person777", f"after={filled.busy}"):
        yield f"{ledger}?{query}"


def _of_one_person(filled: Filled) -> Iterator[str]:
    """Someone who did very much, and someone who became part of them."""
    for guid in (filled.busy, filled.merged):
        for page in ("", "changes/", "merges/", "past/"):
            yield f"/profiles/{guid}/{page}"
        yield f"/events/?person={guid}"
        yield f"/api/v1/profiles/{guid}/events/"


def _walk(patterns: list[Any], prefix: str = "/", names: tuple[str, ...] = ()) -> Iterator[tuple[str, str, Any]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route, (*names, pattern.namespace) if pattern.namespace else names)
        elif isinstance(pattern, URLPattern):
            yield ":".join((*names, pattern.name or "")), route, pattern.callback


def _own(name: str, values: Mapping[str, str]) -> dict[str, str]:
    """The same word means another thing at some addresses."""
    keys = {"rules_api": "locale", "apps_api": "postgres", "apps": "postgres"}
    return {**values, "key": keys.get(name.partition(":")[0], "locale")}


def _fill_in(route: str, values: Mapping[str, str]) -> str:
    """The path, or nothing where there is a variable of which this benchmark has nothing."""
    filled = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values.get(found.group(1), "<"), route)
    return "" if "<" in filled else filled


def _ask(client: Client, path: str) -> int:
    """The status of an answer, read whole. What a list remembers of the last call is forgotten."""
    for name in [name for name in client.cookies if name.startswith(COOKIE)]:
        del client.cookies[name]
    response = client.get(path)
    if response.streaming:
        b"".join(response)
    return int(response.status_code)


def _timed(client: Client, path: str) -> float:
    began = time.perf_counter()
    _ask(client, path)
    return time.perf_counter() - began


def _judge(report: Report, measured: list[Measured]) -> None:
    by_time = sorted(measured, key=lambda each: -each.p95_ms)
    by_queries = sorted(measured, key=lambda each: -each.queries)
    report.detail = {
        "pages": len(measured),
        "worst_p95_ms": by_time[0].p95_ms,
        "worst_queries": by_queries[0].queries,
        "slowest": {each.path: each.p95_ms for each in by_time[:SHOWN]},
        "most_queries": {each.path: each.queries for each in by_queries[:SHOWN]},
    }
    for each in measured:
        report.check(each.p95_ms < MOST_P95_MS, f"{each.path} takes {each.p95_ms} ms, wanted below {MOST_P95_MS}")
        report.check(
            each.queries <= MOST_QUERIES, f"{each.path} sends {each.queries} statements, at most {MOST_QUERIES}"
        )


def _verify(report: Report, client: Client, filled: Filled) -> None:
    """What some of them say is what plain SQL says."""
    newest = Profile.objects.order_by("-guid").values_list("guid", flat=True)[:50]
    listed = json.loads(client.get("/api/v1/profiles/?limit=50").content)["results"]
    report.check([row["id"] for row in listed] == [str(guid) for guid in newest], "the list of profiles is another one")
    group = filled.ids["group_id"]
    told = json.loads(client.get(f"/api/v1/groups/{group}/").content)
    size = GroupMember.objects.filter(group_id=group).count()
    is_right = told["size"] == size or not told["size_is_exact"]
    report.check(is_right, f"a group of {size} is said to have exactly {told['size']}")
    person = Profile.objects.get(properties__user_id=7).pk
    found = client.get("/search/?q=person7@example.com").content.decode()
    report.check(f'href="/profiles/{person}/"' in found, "the search does not find a person")
