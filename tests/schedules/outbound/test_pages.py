"""The pages of outbound events, asked for without a browser: what they say, what they refuse, what they cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from plugins.contracts import Outcome, OutcomeKind
from profiles.models import ProfilePropertyRule
from schedules.models import Schedule, ScheduleField, ScheduleGroup
from schedules.outbound import pages, queries, subscriptions
from schedules.outbound.models import OutboundDelivery, Subscription
from tests.schedules.outbound.world import World, carts, deliver, person
from tests.ui.shop import make_user

HOME = "/outbound-events/"
MOST_QUERIES = 15


@pytest.fixture
def editor(world: World, client: Client) -> Client:
    """Alice, who may edit."""
    client.force_login(make_user(Role.EDITOR))
    return client


def read(response: Any) -> str:
    """The page as text."""
    return response.content.decode()  # type: ignore[no-any-return]  # the test client's answers have no type


def make_export(world: World) -> Schedule:
    """An export of the App that names a group and two properties."""
    export = Schedule.objects.create(direction="export", name="Newsletter", app=world.app, options={})
    ScheduleGroup.objects.create(schedule=export, group=world.groups["usa"], name="usa")
    for key in ("email", "first_name"):
        ScheduleField.objects.create(schedule=export, rule=ProfilePropertyRule.objects.get(key=key), field=key)
    return export


def test_a_form_makes_what_was_chosen(world: World, editor: Client) -> None:
    given = {
        "which": "key",
        "key": " cart_abandoned_at ",
        "type": "left over from before",
        "whom": "groups",
        "groups": [str(world.groups["usa"].pk)],
        "properties": ["first_name", "email"],
    }
    response = editor.post(f"{HOME}new/{world.app.pk}/", given, follow=True)
    assert "was made" in read(response)
    made = subscriptions.read_data(Subscription.objects.get())
    assert made.name == "Postbox: events with cart_abandoned_at"
    assert (made.match, made.value) == ("key", "cart_abandoned_at")
    assert made.groups == (world.groups["usa"].pk,)
    assert made.properties == ("first_name", "email")


def test_following_an_export_leaves_its_groups_and_properties_to_it(world: World, editor: Client) -> None:
    export = make_export(world)
    given = {
        "name": "As the newsletter",
        "which": "every",
        "whom": "follow",
        "follows": str(export.pk),
        "groups": [str(world.groups["lapsed"].pk)],
        "properties": ["cart_abandoned_at"],
    }
    page = read(editor.post(f"{HOME}new/{world.app.pk}/", given, follow=True))
    made = subscriptions.read_data(Subscription.objects.get())
    assert (made.follows, made.groups, made.properties) == (export.pk, (), ())
    assert ">usa</a>" in page
    assert "<code>email</code>, <code>first_name</code>" in page


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"which": "type", "whom": "everyone"}, "Name the type of the events"),
        ({"which": "key", "whom": "everyone"}, "Name the key that the events have"),
        ({"which": "every", "whom": "groups"}, "Choose at least one group"),
        ({"which": "every", "whom": "follow"}, "Choose the export to follow"),
        ({"which": "every", "whom": "everyone", "name": "Carts"}, "Already in use"),
        ({"which": "sometimes", "whom": "everyone"}, "Select a valid choice"),
        ({"which": "every", "whom": "everyone", "groups": ["no number"]}, "Select a valid choice"),
        ({}, "is needed."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_lost(
    world: World, editor: Client, given: dict[str, Any], said: str
) -> None:
    make_export(world)
    world.subscribe("carts")
    written = {"properties": ["first_name"], "name": "My own name", **given}
    response = editor.post(f"{HOME}new/{world.app.pk}/", written)
    assert response.status_code == 422
    page = read(response)
    assert said in page
    assert f'value="{written["name"]}"' in page
    assert 'value="first_name"' in page
    assert Subscription.objects.count() == 1


def test_an_edit_keeps_the_order_of_properties_and_the_plugins_options(world: World, editor: Client) -> None:
    made = world.subscribe("carts", properties=("first_name", "email"), options={"list_id": "a1"})
    page = read(editor.get(f"{HOME}{made.pk}/edit/")).partition('id="along"')[2]
    assert page.index('value="first_name"') < page.index('value="email"')
    given = {"name": "carts", "which": "every", "whom": "everyone", "properties": ["first_name", "email", "user_id"]}
    editor.post(f"{HOME}{made.pk}/edit/", given)
    changed = subscriptions.read_data(Subscription.objects.get())
    assert changed.properties == ("first_name", "email", "user_id")
    assert changed.options == {"list_id": "a1"}


def test_conditions_are_made_shown_and_mended_beside_their_place(world: World, editor: Client) -> None:
    given = {
        "which": "every",
        "whom": "everyone",
        "conditions": "1",
        "key-where-0": "total",
        "type-where-0": "number",
        "operator-where-0": "greater_than",
        "value-where-0": "ten",
        "match": "any",
        "parts": "rule,rule",
        "property-0": "first_name",
        "operator-0": "exists",
        "property-1": "group:",
        "group-1": str(world.groups["usa"].pk),
        "operator-1": "not_in",
    }
    refused = editor.post(f"{HOME}new/{world.app.pk}/", given)
    assert refused.status_code == 422
    assert "“ten” is not a number" in read(refused)
    assert 'id="wrong-where-0"' in read(refused)
    assert not Subscription.objects.exists()
    page = read(editor.post(f"{HOME}new/{world.app.pk}/", {**given, "value-where-0": "10"}, follow=True))
    assert "Its total is greater than 10." in page
    assert "It is about people whose First name exists or who are not in usa." in page
    made = subscriptions.read_data(Subscription.objects.get())
    assert made.where == ({"key": "total", "type": "number", "operator": "greater_than", "value": 10},)
    usa = {"group": world.groups["usa"].pk, "operator": "not_in"}
    assert made.people == {"match": "any", "rules": [{"property": "first_name", "operator": "exists"}, usa]}
    edit = read(editor.get(f"{HOME}{Subscription.objects.get().pk}/edit/"))
    assert 'name="key-where-0" id="key-where-0" value="total"' in edit
    assert 'name="parts" value="rule,rule"' in edit


def test_a_button_of_the_builder_changes_what_is_shown_and_saves_nothing(world: World, editor: Client) -> None:
    given = {"which": "key", "key": "number", "whom": "everyone", "properties": ["email"], "do": "where"}
    response = editor.post(f"{HOME}new/{world.app.pk}/", given, headers={"HX-Request": "true"})
    page = read(response)
    assert response.status_code == 200
    assert response.headers["HX-Trigger-After-Settle"] == "reshaped"
    assert 'name="conditions" value="1"' in page
    assert 'role="alert"' not in page
    assert 'value="number"' in page
    assert not Subscription.objects.exists()


def test_the_preview_shows_the_exact_json_and_saves_nothing(world: World, editor: Client) -> None:
    carts(3, 7)
    given = {"which": "key", "key": "number", "whom": "everyone", "properties": ["user_id"], "preview": "1"}
    response = editor.post(f"{HOME}new/{world.app.pk}/", given, headers={"HX-Request": "true"})
    page = read(response)
    assert "<h1" not in page
    assert '<span class="k">&quot;number&quot;</span>' in page
    assert "The last such event" in page
    lacking = editor.post(f"{HOME}new/{world.app.pk}/", {**given, "key": ""}, headers={"HX-Request": "true"})
    assert lacking.status_code == 200
    assert "Name the key" in read(lacking)
    assert not Subscription.objects.exists()


def test_a_viewer_sees_everything_and_no_button(world: World, client: Client) -> None:
    client.force_login(make_user(Role.VIEWER))
    made = world.subscribe("carts")
    carts(3, 1)
    deliver()
    delivery = OutboundDelivery.objects.get()
    for url in ("", f"{made.pk}/", f"deliveries/{delivery.public_id}/"):
        response = client.get(f"{HOME}{url}")
        assert response.status_code == 200
        main = read(response).partition("<main")[2]
        assert 'method="post"' not in main
        assert "New subscription" not in main
        assert "Edit" not in main


def test_sending_again_goes_back_only_to_a_page_of_ours(world: World, editor: Client) -> None:
    made = world.subscribe("carts")
    carts(3, 1)
    deliver()
    delivery = OutboundDelivery.objects.get()
    for back, place in ((f"{HOME}{made.pk}/", f"{HOME}{made.pk}/"), ("https://example.com/", HOME), ("//a.b/", HOME)):
        response = editor.post(f"{HOME}deliveries/again/", {"ids": [delivery.public_id], "back": back})
        assert response.headers["Location"] == place
        deliver()
    assert world.box.numbers() == [1, 1, 1, 1]
    response = editor.post(f"{HOME}deliveries/again/", {"ids": ["nonsense"]}, follow=True)
    assert "That is no delivery" in read(response)


def test_the_log_is_filtered_and_read_on_page_by_page(world: World, editor: Client) -> None:
    world.box.answer = lambda item: Outcome(
        OutcomeKind.REJECT if item.body["number"] == 1 else OutcomeKind.ACCEPTED, reason="Not that one."
    )
    made = world.subscribe("carts")
    carts(3, *range(30))
    deliver()
    first = read(editor.get(f"{HOME}{made.pk}/"))
    assert first.count('id="delivery-') == 25
    last = queries.deliveries(subscription_id=made.pk)[24].event_id
    assert f"before={last}" in first
    second = read(editor.get(f"{HOME}{made.pk}/?before={last}"))
    assert second.count('id="delivery-') == 5
    rejected = read(editor.get(f"{HOME}{made.pk}/?state=rejected"))
    assert rejected.count('id="delivery-') == 1
    assert "Not that one." in rejected
    assert "Send 1 failed again" in rejected


def test_an_event_an_app_and_a_profile_show_where_events_went(world: World, editor: Client) -> None:
    world.subscribe("carts")
    carts(3, 1)
    deliver()
    delivery = OutboundDelivery.objects.get()
    for url in (f"of-event/{delivery.event_id}/", f"of-app/{world.app.pk}/", f"of-profile/{person(3)}/"):
        page = read(editor.get(f"{HOME}{url}"))
        assert "carts" in page, url
        assert "Accepted" in page or "1 accepted" in page, url


def test_home_names_a_subscription_that_waits_for_someone(world: World, editor: Client) -> None:
    world.box.answer = lambda item: Outcome(OutcomeKind.HALT, reason="The key was withdrawn.")
    made = world.subscribe("carts")
    carts(3, 1)
    deliver()
    home = read(editor.get("/"))
    assert "“carts” stopped and needs a person" in home
    assert "The key was withdrawn." in home
    assert f'href="{HOME}{made.pk}/"' in home
    assert "1 waits for you" in home
    world.box.answer = lambda item: Outcome(OutcomeKind.ACCEPTED)
    editor.post(f"{HOME}{made.pk}/resume/")
    deliver()
    home = read(editor.get("/"))
    assert "needs a person" not in home
    assert "event sent" in home


def test_deleting_says_what_follows_in_numbers(world: World, editor: Client) -> None:
    made = world.subscribe("carts")
    carts(3, 1, 2)
    deliver()
    subscriptions.pause_subscription(made.pk, actor=SYSTEM)
    carts(3, 3)
    deliver()
    page = read(editor.get(f"{HOME}{made.pk}/delete/"))
    assert "1\u00a0event that waits is not sent any more." in page
    assert "also the 2\u00a0events that arrived in the last 24 hours" in page
    editor.post(f"{HOME}{made.pk}/delete/")
    assert not OutboundDelivery.objects.exists()


def test_pages_take_few_statements_however_much_there_is(
    world: World, editor: Client, django_assert_max_num_queries: Any
) -> None:
    made = [world.subscribe(f"carts {number}", groups=(world.groups["usa"].pk,)) for number in range(12)]
    for user_id in range(1, 6):
        carts(user_id, 1)
        world.join(user_id, "usa")
        carts(user_id, 2)
    deliver()
    delivery = OutboundDelivery.objects.all()[0]
    urls = ("", f"{made[0].pk}/", f"{made[0].pk}/edit/", f"{made[0].pk}/json/", f"of-app/{world.app.pk}/")
    for url in (*urls, f"of-event/{delivery.event_id}/", f"deliveries/{delivery.public_id}/"):
        editor.get(f"{HOME}{url}")
        with django_assert_max_num_queries(MOST_QUERIES + 5 if url.endswith("json/") else MOST_QUERIES):
            assert editor.get(f"{HOME}{url}").status_code == 200


def test_a_list_that_fits_nothing_offers_to_clear(world: World, editor: Client) -> None:
    assert "No subscriptions yet" in read(editor.get(HOME))
    world.subscribe("carts")
    page = read(editor.get(f"{HOME}?state=waits"))
    assert "No subscription fits these filters" in page
    assert "Clear" in page
    assert "carts" in read(editor.get(f"{HOME}?app={world.app.pk}&state=on"))
    assert pages.show_all(pages.Filters(state="paused")) == []


def test_what_a_subscription_uses_is_not_deleted_and_the_page_says_why(world: World, editor: Client) -> None:
    made = world.subscribe("carts", groups=(world.groups["usa"].pk,))
    rule = ProfilePropertyRule.objects.get(key="first_name")
    for thing in (f"apps/{world.app.pk}", f"groups/{world.groups['usa'].pk}", f"properties/{rule.pk}"):
        response = editor.post(f"/{thing}/delete/")
        assert response.status_code == 409, thing
        assert "carts" in read(response).partition('role="alert"')[2], thing
    export = make_export(world)
    data = replace(subscriptions.read_data(made), follows=export.pk, groups=(), properties=())
    subscriptions.update_subscription(made.pk, data, actor=SYSTEM)
    response = editor.post(f"/schedules/{export.pk}/delete/")
    assert response.status_code == 409
    assert "is followed by the outbound events “carts”" in read(response)


def test_figures_of_a_day_with_too_many_events_say_so(
    world: World, editor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.subscribe("carts")
    carts(3, *range(5))
    deliver()
    assert queries.count_deliveries([made.pk])[made.pk].lately == {"accepted": 5}
    assert "5 <small>events" in read(editor.get(f"{HOME}{made.pk}/"))
    monkeypatch.setattr(queries, "_MOST_OF_A_DAY", 3)
    assert "3+ <small>events" in read(editor.get(f"{HOME}{made.pk}/"))
