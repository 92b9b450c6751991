"""The one search box: what it finds, how it groups it, what it costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from core.ui import search
from events import inbox
from events.models import Event
from groups.models import Group
from profiles import queries
from profiles.models import ProfileIdentity
from schedules.outbound.models import Subscription
from tests.ui.shop import Shop, make_user
from tests.ui.test_pages import OTHER_PAGES, read

pytestmark = pytest.mark.django_db


def find(client: Client, text: str, **more: str) -> str:
    return read(client.get("/search/", {"q": text, **more})).split("Found with")[-1]


def test_people_are_found_by_any_identity_and_by_their_guid(viewer: Client, shop: Shop) -> None:
    for text in ("evan@grouparoo.com", "EVAN@Group", str(shop.evan.pk)):
        page = find(viewer, text)
        assert "People" in page, text
        assert "Evan Calloway evan@grouparoo.com" in page, text
        assert f'href="/profiles/{shop.evan.pk}/"' in viewer.get("/search/", {"q": text}).content.decode()


def test_things_with_a_name_are_found_by_the_beginnings_of_their_words(viewer: Client, shop: Shop) -> None:
    Subscription.objects.create(app=shop.apps["Newsletter"], name="Carts to the Newsletter", match="every")
    expected = {
        "lapsed": "Groups Lapsed customers Calculated",
        "CUST laps": "Groups Lapsed customers Calculated",
        "engage": "Schedules Newsletter: re-engagement Export, Newsletter",
        "last_purch": "Properties Last purchase last_purchase_at",
        "lifetime": "Properties Lifetime value ltv",
        "wareh": "Apps Warehouse PostgreSQL",
        "carts to": "Outbound events Carts to the Newsletter Newsletter",
    }
    for text, words in expected.items():
        assert words in find(viewer, text), text
    assert "Lapsed customers" not in find(viewer, "apsed")


def test_what_stands_in_names_is_taken_as_it_is_written(viewer: Client, shop: Shop) -> None:
    Group.objects.create(name="50 % (VIP) [new]", kind="manual")
    for text in ("50 %", "(vip)", "[new]", "vip"):
        assert "50 % (VIP) [new]" in find(viewer, text), text
    for text in (".", "(", "[", "\\", "*", "\0", "%", "^", "a\0b"):
        assert viewer.get("/search/", {"q": text}).status_code == 200, text
    assert "50 %" not in find(viewer, ".")


def test_what_begins_with_the_words_comes_first(viewer: Client, shop: Shop) -> None:
    for name in ("A dinner", "Dinner", "Our dinner"):
        Group.objects.create(name=name, kind="manual")
    hits = [hit.label for found in search.find("dinner") for hit in found.hits]
    assert hits == ["Dinner", "A dinner", "Our dinner", "Spring dinner guests"]


def test_runs_are_found_by_their_number(viewer: Client, shop: Shop) -> None:
    assert shop.failed is not None
    for text in (str(shop.failed.pk), f"run {shop.failed.pk}", f"#{shop.failed.pk}"):
        assert f"Runs Warehouse: refunds, run {shop.failed.pk} Failed" in find(viewer, text), text
    assert "Runs" not in find(viewer, "9" * 30)


def test_events_are_found_by_id_and_by_message_id_also_while_they_wait(viewer: Client, shop: Shop) -> None:
    event = Event.objects.order_by("-id")[0]
    assert "Events purchases" in find(viewer, str(event.pk))
    bob = make_user(email="bob@example.com")
    sent = {"message_id": "order 17", "type": "ordered", "payload": {"user_id": 3}}
    inbox.accept([sent], source_kind="person", source_id=bob.pk)
    assert "Events ordered Waiting" in find(viewer, "order 17")
    assert "Events" not in find(viewer, "order 18")


def test_five_of_a_kind_are_shown_and_the_rest_on_a_page_of_its_own(viewer: Client, shop: Shop) -> None:
    for number in range(8):
        Group.objects.create(name=f"Region {number}", kind="manual")
    content = viewer.get("/search/", {"q": "region"}).content.decode()
    assert content.count("/groups/") - content.count('href="/groups/"') == search.MOST_OF_A_KIND
    assert 'href="/search/?q=region&amp;kind=groups">All results' in content
    page = read(viewer.get("/search/", {"q": "region", "kind": "groups"}))
    assert "Groups with “region” 8 results." in page
    assert "Region 7" in page
    assert viewer.get("/search/", {"q": "region", "kind": "nonsense"}).status_code == 200


def test_while_one_types_the_results_come_alone(viewer: Client, shop: Shop, fragment: dict[str, Any]) -> None:
    response = viewer.get("/search/", {"q": "evan"}, **fragment)
    assert b"<html" not in response.content
    assert "1 result. People Evan Calloway" in read(response)
    assert viewer.get("/search/", {"q": " "}, **fragment).content.strip() == b""
    assert "Nothing is found with “zzz”." in read(viewer.get("/search/", {"q": "zzz"}, **fragment))


def test_a_search_takes_few_statements(viewer: Client, shop: Shop, count_queries: Callable[[int], Any]) -> None:
    assert shop.failed is not None
    for text in ("a", "evan@grouparoo.com", str(shop.failed.pk), str(shop.evan.pk), str(Event.objects.all()[0].pk)):
        with count_queries(OTHER_PAGES):
            viewer.get("/search/", {"q": text})


def test_finding_people_reads_a_few_rows_of_the_index_however_many_there_are(shop: Shop) -> None:
    """Many people begin with "user": what is read has to depend on what is shown, not on how many they are."""
    rule = shop.rules["email"]
    ProfileIdentity.objects.bulk_create(
        ProfileIdentity(rule=rule, value=f"user{number:06}@example.com", profile=shop.evan) for number in range(20_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("analyze profile_identity")
    plans: list[str] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "profile_identity" in sql:
            with connection.cursor() as cursor:
                cursor.cursor.execute(f"explain (analyze, buffers, costs off, timing off) {sql}", params)
                plans.append("\n".join(row[0] for row in cursor.cursor.fetchall()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        queries.search("user", queries.rules_in_use(), limit=6)
    assert plans
    for plan in plans:
        assert "Seq Scan on profile_identity" not in plan
        assert "rows=20000" not in plan
