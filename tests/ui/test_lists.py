"""Lists: they sort and page by their address, come back as they were left, and act on what was chosen in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory

from core.accounts.models import AuditEntry, Role
from core.ui.sorting import arrange, part_of, read_sort
from core.work.models import Work
from groups.models import Group, GroupMember
from profiles.models import Profile
from schedules.models import Run, RunState, Schedule
from schedules.outbound.models import OutboundCursor, Subscription
from tests.ui.shop import Shop, make_user
from tests.ui.test_pages import OTHER_PAGES, read

pytestmark = pytest.mark.django_db


@pytest.fixture
def editor(client: Client, db: None) -> Client:
    """A client signed in as someone who may change things."""
    client.force_login(make_user(Role.EDITOR, email="bob@example.com", name="Bob Weber"))
    return client


def names(response: HttpResponse | Any) -> list[str]:
    """The rows of a list, by the bold link of each."""
    return re.findall(r'<th scope="row"><a [^>]*><b>([^<]+)</b>', response.content.decode())


def head(response: HttpResponse | Any) -> list[tuple[str, str]]:
    """The heads that are sorted by: the direction and the word."""
    found = re.findall(r'<th scope="col"[^>]* aria-sort="(\w+)"><a [^>]*>([^<]+)', response.content.decode())
    return [(direction, word.strip()) for direction, word in found]


# ---------------------------------------------------------------- sorting


def test_rows_without_a_value_come_last_either_way_and_equal_ones_as_they_came() -> None:
    rows = [("Bob", 2), ("Alice", None), ("Charlie", 2), ("Dana", 1)]
    for asked, expected in (("n", ["Dana", "Bob", "Charlie", "Alice"]), ("-n", ["Bob", "Charlie", "Dana", "Alice"])):
        sort = read_sort(RequestFactory().get("/", {"sort": asked}), ("n",), usual="n")
        assert [name for name, _ in arrange(rows, sort, {"n": lambda row: row[1]})] == expected


def test_an_order_that_a_list_does_not_have_is_the_usual_one() -> None:
    for asked in ("", "nothing", "--size", "-", "size'; drop table run", "\0"):
        sort = read_sort(RequestFactory().get("/", {"sort": asked}), ("name", "size"), usual="-size")
        assert str(sort) == "-size", asked


def test_a_page_that_is_not_there_is_the_nearest_one() -> None:
    rows = list(range(120))
    for asked, number in (("", 1), ("0", 1), ("2", 2), ("99", 3), ("-1", 1), ("x", 1), ("9" * 40, 1), ("٣", 3)):
        assert part_of(rows, RequestFactory().get("/", {"page": asked})).number == number, asked
    assert part_of([], RequestFactory().get("/")).rows == []


def test_groups_sort_by_name_size_move_and_calculation(viewer: Client, shop: Shop) -> None:
    sizes = {group.name: group.members.count() for group in shop.groups.values()}
    by_size = sorted(sizes, key=lambda name: sizes[name])
    assert names(viewer.get("/groups/")) == sorted(sizes)
    assert names(viewer.get("/groups/?sort=-name")) == sorted(sizes, reverse=True)
    assert names(viewer.get("/groups/?sort=size")) == by_size
    down = viewer.get("/groups/?sort=-size")
    assert names(down) == by_size[::-1]
    assert head(down) == [("descending", "People")]
    assert 'href="?sort=size"' in down.content.decode()
    Group.objects.filter(name="USA customers").update(calculated_at=shop.now)
    assert names(viewer.get("/groups/?sort=-calculated"))[0] == "USA customers"
    assert names(viewer.get("/groups/?sort=-moved"))[-1] == "Spring dinner guests"  # it has no history


def test_groups_come_page_by_page_and_each_once(viewer: Client, shop: Shop) -> None:
    Group.objects.bulk_create(Group(name=f"Region {number:03}", kind="manual") for number in range(118))
    for sort in ("name", "-size", "calculated"):
        seen = [
            name for page in ("1", "2", "3") for name in names(viewer.get("/groups/", {"sort": sort, "page": page}))
        ]
        assert len(seen) == len(set(seen)) == 121, sort
    second = viewer.get("/groups/?sort=-size&page=2").content.decode()
    assert "Page 2 of 3" in second
    assert 'href="?sort=-size&amp;page=3"' in second
    assert 'href="?sort=size"' in second  # another order begins on its first page


def test_properties_sort_by_key_type_and_coverage(viewer: Client, shop: Shop) -> None:
    usual = names(viewer.get("/properties/"))
    assert usual[:2] == ["User id", "Email"]
    keys = re.findall(r'class="key wide-only">(\w+)<', viewer.get("/properties/?sort=key").content.decode())
    assert keys == sorted(keys)
    assert len(keys) == len(usual)
    covered = viewer.get("/properties/?sort=-coverage")
    assert names(covered)[-1] in {"Phone", "VIP"}
    assert head(covered) == [("descending", "Known of")]


def test_apps_schedules_and_subscriptions_sort(viewer: Client, shop: Shop) -> None:
    apps = viewer.get("/apps/?sort=health").content.decode()
    assert re.findall(r'<h3><a href="/apps/\d+/">([^<]+)', apps)[0] == "Newsletter"  # it does not answer
    next_up = names(viewer.get("/schedules/?sort=next"))
    assert next_up[0] == "Warehouse: users"
    assert next_up[-2:] == ["Newsletter: re-engagement", "Newsletter: customer list"]  # exports after imports
    assert names(viewer.get("/schedules/?sort=-last"))[0] == "Warehouse: refunds"
    for name in ("Beta", "alpha"):
        made = Subscription.objects.create(app=shop.apps["Newsletter"], name=name, match="every")
        OutboundCursor.objects.create(subscription=made, mark=0, cluster="", read_at=shop.now)
    assert names(viewer.get("/outbound-events/")) == ["alpha", "Beta"]
    assert names(viewer.get("/outbound-events/?sort=-name")) == ["Beta", "alpha"]
    for sort in ("waiting", "-failed", "last"):
        assert len(names(viewer.get("/outbound-events/", {"sort": sort}))) == 2


def test_runs_sort_by_time_duration_and_rejects_and_each_is_seen_once_while_others_begin(
    viewer: Client, shop: Shop
) -> None:
    assert shop.finished is not None
    for sort in ("-newest", "newest", "-duration", "duration", "-rejected", "rejected"):
        expected = set(Run.objects.values_list("pk", flat=True))
        url, seen = f"/runs/?sort={sort}", []
        while url:
            content = viewer.get(url).content.decode()
            seen += [int(pk) for pk in re.findall(r'<th scope="row"><a href="/runs/(\d+)/', content)]
            following = re.search(r'href="(\?[^"]*before=\d+)">\w+ runs', content)
            url = f"/runs/{following.group(1).replace('&amp;', '&')}" if following else ""
            work = Work.objects.create(kind="import", subject=f"{sort} {len(seen)}", state="complete", next_at=shop.now)
            Run.objects.create(
                schedule=shop.schedules["carts"], direction="import", work=work, state="complete", trigger="schedule"
            )
        assert len(seen) == len(set(seen)), sort
        assert set(seen) >= expected, sort
    most = viewer.get("/runs/?sort=-rejected").content.decode()
    rejected = {run.pk: run.counters.get("rejected", 0) for run in Run.objects.all()}
    shown = [rejected[int(pk)] for pk in re.findall(r'"/runs/(\d+)/"><b>', most)]
    assert shown[:3] == sorted(rejected.values(), reverse=True)[:3] == [26, 11, 10]


def test_an_order_keeps_the_filters_and_a_filter_the_order(viewer: Client, shop: Shop) -> None:
    content = viewer.get("/runs/?state=complete&sort=-duration").content.decode()
    assert 'href="?state=complete&amp;sort=duration"' in content
    assert '<input type="hidden" name="sort" value="-duration">' in content
    assert "The longest first" in content


def test_people_come_the_latest_or_the_oldest_first(viewer: Client, shop: Shop) -> None:
    oldest = read(viewer.get("/profiles/?sort=newest"))
    assert oldest.index("Evan Calloway") < oldest.index(str(shop.people[1].properties["email"]))
    assert "Evan Calloway" not in read(viewer.get("/profiles/?sort=-newest"))
    url, seen = "/profiles/?sort=newest", []
    while url:
        content = viewer.get(url).content.decode()
        seen += re.findall(r'<th scope="row"><a href="/profiles/([0-9a-f-]{36})/', content)
        following = re.search(r'href="(\?sort=newest&amp;before=[0-9a-f-]{36})">Next people', content)
        url = f"/profiles/{following.group(1).replace('&amp;', '&')}" if following else ""
    assert seen == [str(person.pk) for person in shop.people]
    usa = shop.groups["USA customers"]
    members = usa.members.order_by("profile_id").values_list("profile_id", flat=True)
    content = viewer.get("/profiles/", {"group": str(usa.pk), "sort": "newest"}).content.decode()
    assert re.findall(r'<th scope="row"><a href="/profiles/([0-9a-f-]{36})/', content) == [
        str(pk) for pk in members[:25]
    ]


def test_sorted_lists_keep_to_their_statements(viewer: Client, shop: Shop, count_queries: Callable[[int], Any]) -> None:
    for number in range(20):
        rules = {"match": "all", "rules": [{"property": "ltv", "operator": "greater_than", "value": number}]}
        Group.objects.create(name=f"More {number}", kind="calculated", rules=rules)
    viewer.get("/groups/?sort=size")  # what a process reads once
    for url in (
        "/groups/?sort=-size",
        "/groups/?sort=moved",
        "/properties/?sort=coverage",
        "/apps/?sort=health",
        "/schedules/?sort=-last",
        f"/runs/?sort=-duration&before={shop.finished.pk if shop.finished else 0}",
        "/outbound-events/?sort=-waiting",
        "/profiles/?sort=newest",
    ):
        with count_queries(OTHER_PAGES):
            assert viewer.get(url).status_code == 200, url


# ---------------------------------------------------------------- remembering


def test_a_plain_link_leads_to_the_list_as_it_was_left(viewer: Client, shop: Shop) -> None:
    assert viewer.get("/runs/").status_code == 200
    viewer.get("/runs/?direction=&state=failed&sort=-duration")
    back = viewer.get("/runs/")
    assert back.status_code == 302
    assert back["Location"] == "/runs/?state=failed&sort=-duration"
    page = viewer.get(back["Location"])
    assert '<a href="/runs/?clear=1">Clear</a>' in page.content.decode()
    cleared = viewer.get("/runs/?clear=1")
    assert cleared["Location"] == "/runs/"
    assert viewer.get("/runs/").status_code == 200


def test_choosing_nothing_in_the_filters_forgets_them(viewer: Client, shop: Shop) -> None:
    viewer.get("/runs/?state=failed")
    viewer.get("/runs/?direction=&state=")
    assert viewer.get("/runs/").status_code == 200


def test_each_list_remembers_its_own_until_the_browser_is_closed(viewer: Client, shop: Shop) -> None:
    viewer.get("/groups/?sort=-size")
    response = viewer.get("/runs/?sort=-rejected")
    cookie = response.cookies["list_runs"]
    assert cookie["path"] == "/runs/"
    assert not cookie["max-age"]
    assert not cookie["expires"]
    assert cookie["httponly"]
    assert viewer.get("/schedules/").status_code == 200


def test_what_someone_typed_or_where_they_were_is_not_remembered(viewer: Client, shop: Shop) -> None:
    for url in (
        "/profiles/?q=evan@grouparoo.com",
        "/events/?person=evan@grouparoo.com",
        "/events/?key=email&value=evan",
        f"/runs/?schedule={shop.schedules['users'].pk}",
    ):
        viewer.get(url)
        assert viewer.get(url.partition("?")[0]).status_code == 200, url
    usa = shop.groups["USA customers"].pk
    viewer.get(f"/profiles/?group={usa}&before={shop.people[40].pk}")
    assert viewer.get("/profiles/")["Location"] == f"/profiles/?group={usa}"
    viewer.get("/profiles/?q=evan")  # a search besides does not forget it either
    assert viewer.get("/profiles/").status_code == 302


def test_a_cookie_that_someone_made_up_does_no_harm(viewer: Client, shop: Shop) -> None:
    for made_up in (
        "https://evil.example/",
        "state=failed&next=//evil.example",
        "sort=" + "x" * 3000,
        "\x01;=%",
        "%ff=&",
    ):
        viewer.cookies["list_runs"] = made_up
        response = viewer.get("/runs/")
        if response.status_code == 302:
            assert response["Location"].startswith("/runs/?")
            assert "evil" not in response["Location"]
            response = viewer.get(response["Location"])
        assert response.status_code == 200, made_up


def test_pieces_that_htmx_asks_for_are_never_sent_elsewhere(
    viewer: Client, shop: Shop, fragment: dict[str, Any]
) -> None:
    viewer.get("/groups/?sort=-size")
    assert viewer.get("/groups/", **fragment).status_code == 200


# ---------------------------------------------------------------- acting on what was chosen


def test_a_viewer_sees_nothing_to_choose(viewer: Client, shop: Shop) -> None:
    for url in ("/groups/", "/runs/", "/schedules/", "/profiles/"):
        content = viewer.get(url).content.decode()
        assert 'name="chosen"' not in content, url
        assert 'id="chosen"' not in content, url


def test_every_box_belongs_to_the_one_form_of_its_list(editor: Client, shop: Shop) -> None:
    for url in ("/groups/", "/runs/", "/schedules/", "/profiles/"):
        content = editor.get(url).content.decode()
        assert content.count('id="chosen"') == 1, url
        assert content.count('name="chosen"') == len(names(editor.get(url))), url
        assert "Choose all on this page" in content, url


def test_schedules_that_were_chosen_are_switched_and_run_each_with_its_answer(editor: Client, shop: Shop) -> None:
    users, refunds, export = (shop.schedules[name] for name in ("users", "refunds", "export"))
    form = {"do": "off", "chosen": [users.pk, refunds.pk, 999_999]}
    page = read(editor.post("/schedules/chosen/", form, follow=True))
    assert "2 schedules are switched off." in page
    assert "1 was refused: There is no schedule 999999." in page
    assert set(Schedule.objects.filter(enabled=False)) == {users, refunds}
    page = read(editor.post("/schedules/chosen/", {"do": "on", "chosen": [users.pk]}, follow=True))
    assert "1 schedule is switched on." in page
    page = read(editor.post("/schedules/chosen/", {"do": "run", "chosen": [users.pk, export.pk]}, follow=True))
    assert "1 run starts." in page
    assert "1 was refused: Run" in page
    assert "is not finished yet: wait for its end, or stop it." in page
    assert Run.objects.filter(schedule=users, state=RunState.PENDING).count() == 1
    assert AuditEntry.objects.filter(action="schedule.update").count() == 3


def test_runs_that_were_chosen_are_stopped_or_retried(editor: Client, shop: Shop) -> None:
    assert shop.running is not None
    assert shop.failed is not None
    assert shop.finished is not None
    form: dict[str, Any] = {"do": "stop", "chosen": [shop.running.pk, shop.finished.pk]}
    page = read(editor.post("/runs/chosen/", form, follow=True))
    assert "1 run stops after the page it works on." in page
    assert f"1 was refused: Run {shop.finished.pk} has ended already." in page
    assert Work.objects.get(pk=shop.running.work_id).stop_requested
    form = {"do": "retry", "chosen": [shop.failed.pk, shop.finished.pk]}
    page = read(editor.post("/runs/chosen/", form, follow=True))
    assert "1 run goes on where it was." in page
    assert "only failed or stopped runs can be retried." in page
    assert Run.objects.filter(schedule=shop.failed.schedule, options__retry_of=shop.failed.pk).exists()


def test_groups_that_were_chosen_are_calculated_again(editor: Client, shop: Shop) -> None:
    chosen = [shop.groups[name].pk for name in ("USA customers", "Spring dinner guests")]
    page = read(editor.post("/groups/chosen/", {"do": "recalculate", "chosen": chosen}, follow=True))
    assert "1 group is calculated again." in page
    assert "1 was refused: A manual group is not calculated." in page


def test_groups_that_were_chosen_are_deleted_after_a_question_with_numbers(editor: Client, shop: Shop) -> None:
    guests, usa = shop.groups["Spring dinner guests"], shop.groups["USA customers"]
    size = GroupMember.objects.filter(group=guests).count()
    asked = editor.post("/groups/chosen/", {"do": "delete", "chosen": [guests.pk, usa.pk]}, follow=True)
    page = read(asked)
    assert Group.objects.count() == 3
    assert "Delete 2 groups?" in page
    assert f"{size} people leave Spring dinner guests." in page
    page = read(editor.post(asked.redirect_chain[-1][0], follow=True))
    assert "1 group was deleted." in page
    assert "1 was refused: USA customers is in use by" in page
    assert set(Group.objects.values_list("name", flat=True)) == {"Lapsed customers", "USA customers"}


def test_people_that_were_chosen_join_leave_and_are_refreshed(editor: Client, shop: Shop) -> None:
    guests = shop.groups["Spring dinner guests"]
    GroupMember.objects.filter(group=guests).delete()
    chosen = [str(person.pk) for person in shop.people[:3]]
    page = read(editor.post("/profiles/chosen/", {"do": "join", "group": guests.pk, "chosen": chosen}, follow=True))
    assert "3 people joined Spring dinner guests." in page
    form = {"do": "leave", "group": guests.pk, "chosen": chosen[:2]}
    assert "2 people left Spring dinner guests." in read(editor.post("/profiles/chosen/", form, follow=True))
    assert guests.members.count() == 1
    shop.apps["Warehouse"].paused_at = shop.now
    shop.apps["Warehouse"].save()
    page = read(editor.post("/profiles/chosen/", {"do": "refresh", "chosen": [*chosen, "x"]}, follow=True))
    assert "for 3 people" in page or "about 3 people" in page


def test_nothing_chosen_is_told_and_nothing_is_done(editor: Client, shop: Shop) -> None:
    for url, do in (("/groups/", "recalculate"), ("/groups/", "delete"), ("/schedules/", "run"), ("/runs/", "stop")):
        page = read(editor.post(f"{url}chosen/", {"do": do, "chosen": ["x", "-1", "9" * 40]}, follow=True))
        assert "Nothing was chosen." in page, (url, do)
    assert "Choose people" in read(editor.post("/profiles/chosen/", {"do": "join"}, follow=True))
    assert "Choose people." in read(editor.post("/profiles/chosen/", {"do": "refresh"}, follow=True))
    assert editor.post("/runs/chosen/", {"do": "burn", "chosen": ["1"]}).status_code == 302
    assert "none was chosen" in read(editor.get("/groups/chosen/delete/", follow=True))


# ---------------------------------------------------------------- shortcuts


def test_shortcuts_are_listed_and_can_be_switched_off_in_this_browser(viewer: Client, shop: Shop) -> None:
    home = viewer.get("/").content.decode()
    assert 'id="hotkeys"' in home
    assert 'data-keys="g p"' in home
    page = read(viewer.get("/account/shortcuts/"))
    assert "They are on in this browser." in page
    assert "g r Runs" in page
    page = read(viewer.post("/account/shortcuts/", {"shortcuts": "off"}, follow=True))
    assert "Keyboard shortcuts are off." in page
    home = viewer.get("/").content.decode()
    assert 'id="hotkeys"' not in home
    assert "aria-keyshortcuts" not in home
    viewer.post("/account/shortcuts/", {"shortcuts": "on"})
    assert 'id="hotkeys"' in viewer.get("/").content.decode()
    assert "/account/shortcuts/" in viewer.get("/account/").content.decode()


def test_one_works_with_a_profile_that_was_merged_meanwhile(editor: Client, shop: Shop) -> None:
    Profile.objects.filter(pk=shop.people[2].pk).update(
        merged_into=shop.people[1].pk, updated_at=shop.now + timedelta(seconds=1)
    )
    form = {"do": "refresh", "chosen": [str(shop.people[1].pk), str(shop.people[2].pk)]}
    shop.apps["Warehouse"].paused_at = shop.now
    shop.apps["Warehouse"].save()
    assert "1 person" in read(editor.post("/profiles/chosen/", form, follow=True))
