"""Column rules in full, made on the page and by API: every aggregation, every condition, arrays, coverage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from core.accounts.models import Role
from core.ui import counting
from pipeline.refresh import refresh
from profiles import coverage
from profiles.models import Profile, ProfilePropertyRule
from profiles.rule_checks import AGGREGATIONS, FILTERS
from tests.accounts.factories import make_user
from tests.api.door import Program
from tests.pipeline.people import event, rule, take
from tests.profiles.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

# what each gives for Alice, who bought for 10 on 1 January, for 5.5 on 1 February, and nothing with a name of note
TAKEN: dict[str, Any] = {
    "exact": 10.0,
    "count": 2.0,
    "sum": 15.5,
    "average": 7.75,
    "min": 5.5,
    "max": 10.0,
    "most_recent": 5.5,
    "least_recent": 10.0,
}
LEFT: dict[str, tuple[str, float]] = {  # (the value as a person writes it, the sum of Alice's rows that pass)
    "eq": ("10", 10.0),
    "ne": ("10", 5.5),
    "gt": ("5.5", 10.0),
    "gte": ("5.5", 15.5),
    "lt": ("10", 5.5),
    "lte": ("10", 15.5),
    "contains": ("5", 5.5),
    "not_contains": ("5", 10.0),
    "exists": ("", 15.5),
    "not_exists": ("", 0.0),
    "in": ("5.5, 7", 5.5),
}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    rule("user_id", "integer", is_unique=True)
    shop = Shop(tmp_path)
    take(event({"user_id": 1}))
    return shop


@pytest.fixture
def editor(client: Client) -> Client:
    client.force_login(make_user("Bob", role=Role.EDITOR))
    return client


def form_of(shop: Shop, **more: Any) -> dict[str, Any]:
    """What the page sends for a sum of purchases."""
    return {
        "do": "save",
        "label": "Bought",
        "type": "float",
        "retrieval": "column",
        "app": shop.app.pk,
        "table": "purchases",
        "column": "total",
        "key_column": "user_id",
        "column_key": "user_id",
        "aggregation": "sum",
        "sort_column": "",
        **more,
    }


def alice() -> dict[str, Any]:
    refresh([Profile.objects.get().pk])
    found: dict[str, Any] = Profile.objects.get().properties
    return found


def save_again(editor: Client, made: ProfilePropertyRule, shop: Shop, **sent: Any) -> None:
    """What the editor of a rule shows and sends back changes nothing."""
    before = made.column
    shown = editor.get(reverse("properties:edit", args=[made.pk])).content.decode()
    assert 'value="Bought"' in shown
    assert editor.post(reverse("properties:edit", args=[made.pk]), form_of(shop, **sent)).status_code == 302
    made.refresh_from_db()
    assert made.column == before


def test_the_tables_here_name_everything_that_can_be_chosen() -> None:
    assert (set(TAKEN), set(LEFT)) == (set(AGGREGATIONS), set(FILTERS))


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_every_way_of_taking_one_value_from_rows_is_made_on_the_page(
    shop: Shop, editor: Client, aggregation: str
) -> None:
    sent = {"aggregation": aggregation, "sort_column": "at" if aggregation.endswith("recent") else ""}
    assert editor.post(reverse("properties:create"), form_of(shop, **sent)).status_code == 302
    assert alice()["bought"] == TAKEN[aggregation]
    save_again(editor, ProfilePropertyRule.objects.get(key="bought"), shop, **sent)


@pytest.mark.parametrize("operator", FILTERS)
def test_every_condition_is_set_on_the_page(shop: Shop, editor: Client, operator: str) -> None:
    value, left = LEFT[operator]
    sent = {"filter_column": ["total"], "filter_operator": [operator], "filter_value": [value]}
    assert editor.post(reverse("properties:create"), form_of(shop, **sent)).status_code == 302
    assert alice()["bought"] == left
    save_again(editor, ProfilePropertyRule.objects.get(key="bought"), shop, **sent)


def draft(shop: Shop, **more: Any) -> dict[str, Any]:
    column = {"table": "purchases", "column": "total", "key_column": "user_id", **more}
    return {"key": "bought", "type": "float", "app_id": shop.app.pk, "column": column, "column_key": "user_id"}


def post(body: dict[str, Any]) -> Any:
    program = Program("profiles:write")
    headers = {"Authorization": f"Bearer {program.token}"}
    return program.client.post("/api/v1/rules/", body, content_type="application/json", headers=headers)


def test_programs_make_them_too_with_arrays_and_conditions_together(shop: Shop) -> None:
    recent = draft(shop, aggregation="most_recent", sort_column="at")
    assert post({**recent, "is_array": True}).status_code == 201
    filters = [
        {"column": "total", "operator": "gte", "value": 5},
        {"column": "at", "operator": "in", "value": ["2026-01-01", "2026-01-15"]},
        {"column": "at", "operator": "exists"},
    ]
    assert post({**draft(shop, aggregation="sum", filters=filters), "key": "in_january"}).status_code == 201
    assert alice() == {"user_id": 1, "bought": [5.5, 10.0], "in_january": 10.0}


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ([{"column": "total", "operator": "eq"}], "Say what total is compared with"),
        ([{"column": "total", "operator": "lt", "value": ""}], "Say what total is compared with"),
        ([{"column": "total", "operator": "gt", "value": [1]}], "Say what total is compared with"),
        ([{"column": "total", "operator": "in", "value": "5.5"}], "as a list"),
        ([{"column": "total", "operator": "in", "value": []}], "as a list"),
    ],
)
def test_a_condition_that_compares_with_nothing_is_refused(
    shop: Shop, filters: list[dict[str, Any]], words: str
) -> None:
    refused = post(draft(shop, aggregation="sum", filters=filters))
    assert refused.status_code == 400
    assert words in refused.json()["error"]["message"]


def test_coverage_is_counted_while_there_are_few_and_judged_when_there_are_many(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.column("age", "integer", table="users", column="age", key_column="id")
    take(*(event({"user_id": number}) for number in (2, 3)))
    alice_and_bob = coverage.Counted(people=3, with_value=1, rejected=1, is_exact=True)
    refresh(list(Profile.objects.values_list("pk", flat=True)))
    assert coverage.count_of("age") == alice_and_bob
    monkeypatch.setattr(counting, "MOST_COST", 0.0)
    judged = coverage.count_of("age")
    assert not judged.is_exact
    assert judged.people > 0
    assert judged.with_value == judged.rejected > 0
    program = Program("profiles:read")
    headers = {"Authorization": f"Bearer {program.token}"}
    told = program.client.get("/api/v1/rules/age/coverage/", headers=headers).json()
    assert (told["with_value"], told["is_exact"]) == (judged.with_value, False)
