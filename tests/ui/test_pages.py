"""What the pages say, to whom, and with how many statements."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.staticfiles import finders
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from core.accounts.models import Project, Role
from core.work.models import Work
from groups.models import Group, GroupMember
from schedules.models import Run, RunState, Schedule
from tests.ui.addresses import LISTS, every_page
from tests.ui.shop import PASSWORD, Shop, make_shop, make_user

pytestmark = pytest.mark.django_db

FIRST_PAGE, OTHER_PAGES = 12, 15  # statements
STYLES = ("tokens", "base", "layout", "components")
MOST_STYLE, MOST_SCRIPT = 40 * 1024, 120 * 1024  # bytes
MOST_LINES = 60  # of a module


def read(response: HttpResponse | Any) -> str:
    """The words of a page, without its marks."""
    text = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", text))).replace("\u00a0", " ")


# ---------------------------------------------------------------- who sees what


def test_every_page_is_there_for_a_viewer(viewer: Client, shop: Shop) -> None:
    for name, url in every_page(shop).items():
        response = viewer.get(url)
        assert response.status_code == 200, f"{name}: {response.status_code}"
        assert response.content.count(b"<h1") == 1, name


def test_nobody_is_sent_to_sign_in_and_back(client: Client, shop: Shop) -> None:
    for url in every_page(shop).values():
        response = client.get(url)
        assert response.status_code == 302
        assert response["Location"].startswith("/sign-in/?next=/")


def test_a_piece_of_a_page_asked_for_after_the_session_ended_reloads_the_page(
    client: Client, fragment: dict[str, Any]
) -> None:
    response = client.get("/sign-in/", **fragment)
    assert response["HX-Refresh"] == "true"
    assert response.content == b""


def test_what_is_not_there_is_told_inside_the_shell(viewer: Client) -> None:
    for url in (f"/profiles/{uuid4()}/", "/groups/999/", "/runs/999/", "/nowhere/"):
        response = viewer.get(url)
        assert response.status_code == 404
        assert "There is nothing here" in read(response)
        assert b'id="nav"' in response.content


def test_a_mangled_address_shows_the_first_page(viewer: Client, shop: Shop) -> None:
    for url in (
        "/profiles/?before=x&group=y",
        f"/profiles/{shop.evan.pk}/changes/?before=x",
        "/runs/?before=x&schedule=99999999999999999999&state=none&direction=up",
        f"/groups/{shop.groups['USA customers'].pk}/?before=x",
    ):
        assert viewer.get(url).status_code == 200


# ---------------------------------------------------------------- signing in and out


def test_signing_in_needs_no_script_and_no_capitals(client: Client) -> None:
    make_user(email="alice@example.com")
    form = {"username": "Alice@Example.com", "password": PASSWORD, "next": "/groups/"}
    response = client.post("/sign-in/", form)
    assert response.status_code == 302
    assert response["Location"] == "/groups/"
    assert client.get("/groups/").status_code == 200


def test_a_wrong_password_says_what_to_do_and_not_what_was_wrong(client: Client) -> None:
    make_user(email="alice@example.com")
    for email in ("alice@example.com", "bob@example.com"):
        response = client.post("/sign-in/", {"username": email, "password": "wrong"})
        assert response.status_code == 200
        assert "This email and password do not go together." in read(response)


def test_signing_in_does_not_lead_to_another_site(client: Client) -> None:
    make_user(email="alice@example.com")
    form = {"username": "alice@example.com", "password": PASSWORD, "next": "https://evil.example/"}
    assert client.post("/sign-in/", form)["Location"] == "/"


def test_signing_out_takes_a_form_and_no_link(viewer: Client) -> None:
    assert viewer.get("/sign-out/").status_code == 405
    assert viewer.post("/sign-out/").status_code == 302
    assert viewer.get("/").status_code == 302


# ---------------------------------------------------------------- the shell and Home


def test_the_shell_names_the_project_the_person_and_whether_sending_is_on(client: Client, shop: Shop) -> None:
    client.force_login(make_user(Role.EDITOR, email="bob@example.com", name="Bob Weber"))
    page = read(client.get("/"))
    assert "Marlow Outfitters" in page
    assert "Bob Weber Editor" in page
    assert "Sending is on" in page
    Project.objects.update(sending_stopped=True, sending_stopped_reason="Restored from a backup.")
    page = read(client.get("/"))
    assert "Sending is stopped" in page
    assert "Restored from a backup." in page


def test_home_says_what_needs_a_person(viewer: Client, shop: Shop) -> None:
    page = read(viewer.get("/"))
    assert "Four things need you" in page
    assert "“Newsletter: customer list” stopped and needs a person" in page
    assert "The last run of “Warehouse: refunds” failed" in page
    assert "Newsletter does not answer" in page
    assert "The property “Last purchase” is paused" in page


def test_home_says_when_all_is_flowing(viewer: Client) -> None:
    make_shop(with_problems=False)
    page = read(viewer.get("/"))
    assert "All is flowing" in page
    assert "need you" not in page


def test_a_failed_run_needs_nobody_once_a_later_one_worked(viewer: Client, shop: Shop) -> None:
    assert shop.failed is not None
    work = Work.objects.create(kind="import", subject="again", state="complete", next_at=shop.now)
    Run.objects.create(
        schedule=shop.failed.schedule, direction="import", work=work, state="complete", trigger="schedule"
    )
    assert "Three things need you" in read(viewer.get("/"))


def test_the_flow_counts_the_last_24_hours(viewer: Client, shop: Shop) -> None:
    page = read(viewer.get("/"))
    people = len(shop.people)
    assert f"{people + 1} events came in From runs {people + 1} Sent to the API 0 1 found no person" in page
    assert "30 people changed" in page
    assert "40 moves in 3 groups Joined 27 Left 13 All up to date" in page
    assert "1,286 people sent People 1,286 Events 0 1 waits for you" in page


# ---------------------------------------------------------------- profiles


def test_people_are_found_by_any_identity_whole_or_its_beginning(viewer: Client, shop: Shop) -> None:
    for words in ("evan@grouparoo.com", "EVAN@grou", "evan", "3", str(shop.evan.pk)):
        page = read(viewer.get("/profiles/", {"q": words}))
        assert "Evan Calloway" in page, words
    assert "Evan Calloway" not in read(viewer.get("/profiles/", {"q": "van@grouparoo"}))
    assert "Evan Calloway" not in read(viewer.get("/profiles/", {"q": "%"}))


def test_an_exact_match_comes_before_those_that_only_begin_with_it(viewer: Client, shop: Shop) -> None:
    page = read(viewer.get("/profiles/", {"q": "3"}))
    assert page.index("evan@grouparoo.com") < page.index(str(shop.people[27].properties["email"]))


def test_a_search_stays_within_the_chosen_group(viewer: Client, shop: Shop) -> None:
    lapsed, usa = shop.groups["Lapsed customers"].pk, shop.groups["USA customers"].pk
    assert "Evan Calloway" in read(viewer.get("/profiles/", {"q": "evan", "group": str(usa)}))
    assert "No one has a value that is “evan”" in read(viewer.get("/profiles/", {"q": "evan", "group": str(lapsed)}))


def test_pages_of_people_show_everyone_once(viewer: Client, shop: Shop) -> None:
    url, seen = "/profiles/", []
    while url:
        content = viewer.get(url).content.decode()
        seen += re.findall(r'<th scope="row"><a href="/profiles/([0-9a-f-]{36})/', content)
        following = re.search(r'href="(\?before=[0-9a-f-]{36})">Next people', content)
        url = f"/profiles/{following.group(1)}" if following else ""
    assert sorted(seen) == sorted(str(person.pk) for person in shop.people)


def test_htmx_gets_the_list_alone(viewer: Client, shop: Shop, fragment: dict[str, Any]) -> None:
    response = viewer.get("/profiles/", {"q": "evan"}, **fragment)
    assert b"<html" not in response.content
    assert "Evan Calloway" in read(response)


def test_a_profile_says_where_each_value_came_from_or_why_there_is_none(viewer: Client, shop: Shop) -> None:
    assert shop.finished is not None
    page = read(viewer.get(f"/profiles/{shop.evan.pk}/"))
    assert "Email email evan@grouparoo.com identifies Email address Warehouse 3 min ago" in page
    assert "Phone phone Rejected “555-CALL-ME”: not a phone number" in page
    assert f"Warehouse: purchases, run {shop.finished.pk}" in page
    assert "Warehouse is not asked while the property is paused" in page
    assert "Not named in any upload of CSV uploads" in page
    assert "Newsletter newsletter Yes Yes or no" in page
    assert "Lifetime value ltv 0.00 Number Warehouse" in page


def test_a_value_that_hangs_on_an_unknown_one_says_so(viewer: Client, shop: Shop) -> None:
    bob = shop.people[1]
    bob.properties = {"email": "bob@example.com"}
    bob.save()
    assert "Warehouse was not asked: there is no user id" in read(viewer.get(f"/profiles/{bob.pk}/"))


def test_the_change_log_shows_old_and_new_and_what_came_too_late(viewer: Client, shop: Shop) -> None:
    page = read(viewer.get(f"/profiles/{shop.evan.pk}/changes/"))
    assert "Locale changed Locale: fr-fr en-us Its source was asked again" in page
    assert "Older than what is known, not taken First name: Ewan" in page


def test_the_timeline_joins_events_changes_and_moves(viewer: Client, shop: Shop) -> None:
    page = read(viewer.get(f"/profiles/{shop.evan.pk}/"))
    timeline = page.split("Timeline")[-1]
    assert "Joined USA customers" in timeline
    assert "purchases" in timeline
    assert "Profile created" in timeline


def test_what_upper_apps_show_on_a_profile_is_a_link_without_script(viewer: Client, shop: Shop) -> None:
    content = viewer.get(f"/profiles/{shop.evan.pk}/").content.decode()
    url = f"/schedules/of-profile/{shop.evan.pk}/"
    assert f'<a href="{url}" hx-get="{url}"' in content
    assert "Newsletter knows them as evan@grouparoo.com , in USA customers" in read(viewer.get(url))


# ---------------------------------------------------------------- groups


def test_a_group_says_its_rules_its_size_and_who_moved(viewer: Client, shop: Shop) -> None:
    group = shop.groups["Lapsed customers"]
    page = read(viewer.get(f"/groups/{group.pk}/"))
    assert re.search(r"whose Lifetime value is greater than 0 +and whose Last purchase is more than 2 months ago", page)
    assert f"{group.members.count()} people" in page
    assert "because time passed" in page
    assert "because their values changed" in page


def test_members_come_page_by_page(viewer: Client, shop: Shop, fragment: dict[str, Any]) -> None:
    group = shop.groups["USA customers"]
    url, seen = f"/groups/{group.pk}/", []
    while url:
        content = viewer.get(url, **fragment).content.decode()
        seen += re.findall(r'<th scope="row"><a href="/profiles/([0-9a-f-]{36})/', content)
        following = re.search(r'href="(/groups/\d+/\?before=[0-9a-f-]{36})"', content)
        url = following.group(1) if following else ""
    assert sorted(seen) == sorted(str(pk) for pk in group.members.values_list("profile_id", flat=True))


def test_a_group_that_does_not_follow_its_rules_yet_says_so(viewer: Client, shop: Shop) -> None:
    Group.objects.filter(name="USA customers").update(rules_version=2)
    assert "Being calculated" in read(viewer.get("/groups/"))
    assert "1 being calculated" in read(viewer.get("/"))


# ---------------------------------------------------------------- runs


def test_the_figures_of_a_run_add_up(viewer: Client, shop: Shop) -> None:
    assert shop.running is not None
    page = read(viewer.get(f"/runs/{shop.running.pk}/"))
    assert "83 % done" in page
    assert "5,595 people selected = 1,286 sent 64 created, 1,179 updated, 43 removed + 3,368 unchanged" in page
    assert "26 rejected see below + 915 still owed" in page
    assert 1286 + 3368 + 26 + 915 == 5595


def test_a_run_shows_its_pace_and_the_time_left(viewer: Client, shop: Shop) -> None:
    assert shop.running is not None
    page = read(viewer.get(f"/runs/{shop.running.pk}/"))
    assert re.search(r"Running for 7 min( \d+ s)? at 11\.\d people a second, 1 min 2\d s left", page)


def test_errors_of_a_run_are_grouped_with_counts_and_examples(viewer: Client, shop: Shop) -> None:
    assert shop.finished is not None
    page = read(viewer.get(f"/runs/{shop.finished.pk}/"))
    assert "255 rows read = 240 became events" in page
    assert "2 reasons" in page
    assert re.search(r"The email is not an email address .*? 5 .*?test@asdf", page)
    assert "Read as Latin-1." in page


def test_polling_goes_on_while_a_run_is_unfinished_and_stops_with_286(
    viewer: Client, shop: Shop, fragment: dict[str, Any]
) -> None:
    assert shop.running is not None
    url = f"/runs/{shop.running.pk}/"
    assert 'hx-trigger="every 3s"' in viewer.get(url).content.decode()
    assert viewer.get(url, **fragment).status_code == 200
    assert viewer.get("/", **fragment).status_code == 200
    Run.objects.filter(pk=shop.running.pk).update(state=RunState.COMPLETE, finished_at=shop.now)
    ended = viewer.get(url, **fragment)
    assert ended.status_code == 286
    assert "Complete" in read(ended)
    assert viewer.get("/", **fragment).status_code == 286
    whole = viewer.get(url)
    assert whole.status_code == 200
    assert "every 3s" not in whole.content.decode()


# ---------------------------------------------------------------- three empties


def test_never_used_explains_what_comes_first(viewer: Client) -> None:
    expected = {
        "/profiles/": "No profiles yet",
        "/properties/": "No property is defined yet",
        "/groups/": "People join and leave by themselves",
        "/apps/": "No App is connected yet",
        "/schedules/": "No schedules yet",
        "/runs/": "Nothing has run yet An import schedule brings people in",
        "/": "From nothing to the first export",
    }
    for url, words in expected.items():
        assert words in read(viewer.get(url)), url


def test_no_match_keeps_the_filters_and_offers_to_clear_them(viewer: Client, shop: Shop) -> None:
    people = viewer.get("/profiles/", {"q": "nobody"})
    assert "No one has a value that is “nobody” or begins with it" in read(people)
    assert b'value="nobody"' in people.content
    runs = viewer.get("/runs/", {"state": "pending"})
    assert "No run fits these filters. Clear" in read(runs)
    assert b'<option value="pending" selected>' in runs.content


def test_waiting_says_what_will_come_and_when(viewer: Client, shop: Shop) -> None:
    Run.objects.all().delete()
    assert re.search(r"Nothing has run yet Next: Warehouse: users, in \d min", read(viewer.get("/runs/")))


def test_waiting_for_the_first_people_says_that_an_import_is_running(viewer: Client) -> None:
    Work.objects.create(kind="import", subject="1", state="running", next_at=timezone.now())
    page = viewer.get("/profiles/")
    assert "An import is running" in read(page)
    assert b'role="status"' in page.content


# ---------------------------------------------------------------- budgets


def test_pages_keep_to_their_statements(viewer: Client, shop: Shop, count_queries: Callable[[int], Any]) -> None:
    for name, url in every_page(shop).items():
        viewer.get(url)
        with count_queries(FIRST_PAGE if name == "home" else OTHER_PAGES):
            viewer.get(url)


def test_a_removal_of_someone_in_no_group_that_is_sent_says_so(viewer: Client, shop: Shop) -> None:
    assert shop.planned is not None
    page = read(viewer.get(f"/runs/{shop.planned.pk}/plan/"))
    assert page.count("Is in no group that is sent any more") == 2
    shop.planned.schedule.groups.create(group=shop.groups["USA customers"], name="usa")
    members = GroupMember.objects.filter(
        group=shop.groups["USA customers"], profile_id__in=[p.pk for p in shop.people[4:6]]
    )
    page = read(viewer.get(f"/runs/{shop.planned.pk}/plan/"))
    assert page.count("Has no value any more by which the destination would know them") == members.count()


def test_more_rows_take_no_more_statements(viewer: Client, shop: Shop, count_queries: Callable[[int], Any]) -> None:
    for index in range(20):
        Schedule.objects.create(direction="import", name=f"More {index}", app=shop.apps["Warehouse"])
        rules = {"match": "all", "rules": [{"property": "ltv", "operator": "greater_than", "value": index}]}
        Group.objects.create(name=f"More {index}", kind="calculated", rules=rules)
    for url in ("/", "/groups/", "/schedules/"):
        viewer.get(url)
        with count_queries(FIRST_PAGE if url == "/" else OTHER_PAGES):
            viewer.get(url)


def test_styles_and_scripts_stay_small() -> None:
    sizes = [Path(str(finders.find(f"ui/{name}.css"))).stat().st_size for name in STYLES]
    assert sum(sizes) <= MOST_STYLE
    own = Path(str(finders.find("ui/tokens.css"))).parent
    scripts = [Path(str(finders.find("django_htmx/htmx-2.min.js"))), *own.glob("*.js")]
    assert sum(script.stat().st_size for script in scripts) <= MOST_SCRIPT
    assert sum(style.stat().st_size for style in own.glob("*.css")) <= MOST_STYLE  # none beside those named
    assert {style.stem for style in own.glob("*.css")} == set(STYLES)


def test_modules_of_our_own_stay_below_sixty_lines() -> None:
    own = Path(str(finders.find("ui/tokens.css"))).parent
    lengths = {script.name: len(script.read_text().splitlines()) for script in own.glob("*.js")}
    assert lengths
    assert {name: length for name, length in lengths.items() if length >= MOST_LINES} == {}


def test_pages_hold_no_inline_style_or_script(viewer: Client, shop: Shop) -> None:
    for name, url in every_page(shop).items():
        response = viewer.get(url)
        content = response.content.decode()
        assert not re.search(r"<[^>]+\sstyle=", content), name
        assert not re.search(r"<[^>]+\son\w+=", content), name
        assert "<script>" not in content, name
        assert "unsafe" not in response["Content-Security-Policy"], name


def test_every_list_says_which_page_it_is(viewer: Client, shop: Shop) -> None:
    for url in LISTS.values():
        content = viewer.get(url).content.decode()
        assert content.count('aria-current="page"') == 1
        assert f'<a href="{url}" aria-current="page"' in content
