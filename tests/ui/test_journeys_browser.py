"""Whole journeys of a marketer in Chromium, on real servers, with what a worker does: each from its first page to its
last, by what the pages say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from apps_connectors import apps_store, connections
from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from core.ui.models import Notice
from pipeline import inbox
from plugins.contracts import ACCEPTED, Outcome, OutcomeKind, ProfileExport
from profiles.models import Profile
from profiles.rules import NewRule, create_rule
from schedules import exporting, importing, schedules_store
from schedules.models import Run
from tests.accounts.factories import make_key
from tests.profiles.shop import Shop as Source
from tests.receiver import answer, run_receiver
from tests.schedules.destinations import Memory, Shelf, World, export, make_world, wait_for_horizon
from tests.schedules.outbound.world import deliver
from tests.ui.carts import Carts, make_carts
from tests.ui.shop import make_shop, make_user
from tests.ui.test_browser import MODES, find_faults, follow, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.alone, pytest.mark.django_db(transaction=True)]

WITH_AND_WITHOUT = pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
ALICE = {"email": "alice@example.com", "first_name": "Alice"}
BOB = {"email": "bob@example.com", "first_name": "Bob"}
PEOPLE = "user_id;first_name;city\n1;Alice;Oslo\n2;Bob\n;Nobody;Ulm\n"
CART = {"user_id": 3, "cart_abandoned_at": "Jan 5, 2019", "cart_items": ["red shirt"]}
LONG = 20_000  # milliseconds until what goes on in the background has to be there


@pytest.fixture
def world(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> World:
    """Alice and Bob are VIPs, whom an export sends."""
    made = make_world(monkeypatch)
    make_user(Role.EDITOR)
    return made


@pytest.fixture
def source(transactional_db: None, tmp_path: Path) -> Iterator[Source]:
    """A database to import from, an App for files, and the property that tells people apart."""
    make_user(Role.EDITOR)
    create_rule(NewRule("user_id", "integer", is_unique=True), actor=SYSTEM)
    create_rule(NewRule("first_name", "string"), actor=SYSTEM)
    apps_store.create_app("csv", "Files", {}, actor=SYSTEM)
    yield Source(tmp_path)
    connections.close_all()


@pytest.fixture
def carts(transactional_db: None) -> Iterator[Carts]:
    """A shop whose abandoned carts go to a webhook."""
    make_user(Role.EDITOR)
    with run_receiver() as receiver:
        yield make_carts(receiver)
    connections.close_all()


def work(slice_: Callable[[], bool]) -> None:
    """What a worker does."""
    while slice_():
        pass


def send() -> None:
    """What a worker does with exports, when it may read all that was written before."""
    wait_for_horizon()
    work(exporting.work_slice)


def shelf() -> Shelf:
    return Memory.shelves["people"]


def watch_the_run(page: Page, server: LiveServer, *, script: bool) -> None:
    """The newest run's page, while the run does its work."""
    page.goto(f"{server.url}/runs/{Run.objects.latest('id').pk}/")
    send()
    if not script:
        page.reload()


@WITH_AND_WITHOUT
def test_a_dry_run_is_looked_at_and_exactly_that_is_sent(
    live_server: LiveServer, browser: Browser, world: World, script: bool
) -> None:
    alice, bob = world.people(ALICE, BOB)
    schedule = world.export()
    export(schedule)
    world.change(alice, first_name="Alicia")
    world.leave(bob, "vip")
    calls = len(shelf().calls)
    with signed_in(browser, live_server, script=script) as page:
        page.get_by_role("link", name="Schedules").first.click()
        page.get_by_role("link", name="people", exact=True).click()
        follow(page, page.get_by_role("button", name="Dry run"))
        watch_the_run(page, live_server, script=script)
        main = page.get_by_role("main")
        expect(main).to_contain_text("1 would be removed, 1 updated, 0 created", timeout=LONG)
        expect(main).to_contain_text("A dry run: nothing has left.")
        follow(page, page.get_by_role("link", name="Look at it, and decide"))
        expect(main).to_contain_text("Nothing of it has left.")
        expect(page.locator("del", has_text="Alice")).to_be_visible()
        expect(page.locator("ins", has_text="Alicia")).to_be_visible()
        assert len(shelf().calls) == calls
        world.change(alice, first_name="Ally")  # after the plan was made: it waits for the next run
        follow(page, page.get_by_role("button", name="Send, and remove 1\u00a0person"))
        watch_the_run(page, live_server, script=script)
        expect(main).to_contain_text("Complete", timeout=LONG)
        expect(main).to_contain_text("1 updated")
        expect(main).to_contain_text("1 removed")
    [(row, _)] = shelf().rows.values()
    assert row["name"] == "Alicia"


def test_one_event_is_followed_from_the_list_to_what_the_app_answered(
    live_server: LiveServer, browser: Browser, carts: Carts
) -> None:
    carts.subscribe("Cart reminder")
    _, token = make_key("events:write")
    carts.receiver.always = answer(200, body=b"Thanks")
    with signed_in(browser, live_server) as page:
        page.get_by_role("link", name="Events", exact=True).first.click()
        expect(page.get_by_role("row", name="cart_abandoned")).to_have_count(0)
        left = page.request.post(
            f"{live_server.url}/api/v1/events/",
            headers={"Authorization": f"Bearer {token}"},
            data={"message_id": "cart-1", "type": "cart_abandoned", "payload": CART},
        )
        assert left.status == 202
        work(inbox.process_some)
        row = page.get_by_role("row", name="cart_abandoned")
        expect(row).to_contain_text("Alice", timeout=LONG)  # the list listens
        follow(page, row.get_by_role("link", name="cart_abandoned"))
        main = page.get_by_role("main")
        for step in ("Received", "Person found", "Filled in", "Groups checked"):
            expect(main.get_by_text(step, exact=True)).to_be_visible()
        keys = page.get_by_role("row")
        expect(keys.filter(has_text="cart_items")).to_contain_text("Passed through")
        expect(keys.filter(has_text="cart_abandoned_at").first).to_contain_text("5 Jan 2019")
        deliver()
        page.reload()
        body = page.get_by_role("region", name="What Shop got by Cart reminder")
        expect(body).to_contain_text('"first_name": "Alice"')
        expect(main).to_contain_text("Accepted")
        follow(page, page.get_by_role("link", name="Open the delivery"))
        expect(main).to_contain_text("200 OK")
        expect(main).to_contain_text("Thanks")
    [delivery] = carts.receiver.deliveries
    assert delivery.json["cart_items"] == ["red shirt"]


@WITH_AND_WITHOUT
def test_a_file_is_uploaded_and_what_was_rejected_is_mended_and_sent_again(
    live_server: LiveServer, browser: Browser, source: Source, tmp_path: Path, script: bool
) -> None:
    (tmp_path / "people.csv").write_text(PEOPLE)
    with signed_in(browser, live_server, script=script) as page:
        upload(page, tmp_path / "people.csv")
        main = page.get_by_role("main")
        expect(main).to_contain_text("Line 3 will be rejected")
        follow(page, page.get_by_role("button", name="Import the file"))
        work(importing.work_slice)
        if not script:
            page.reload()
        expect(main).to_contain_text("Complete", timeout=LONG)
        expect(main).to_contain_text("2 values where the header has 3")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download these rows as a CSV").click()
        rejected = Path(download.value.path()).read_text(encoding="utf-8-sig")
        (tmp_path / "mended.csv").write_text(rejected.replace("2,Bob", "2,Bob,Bonn"))
        upload(page, tmp_path / "mended.csv")
        follow(page, page.get_by_role("button", name="Import the file"))
        work(importing.work_slice)
        page.goto(f"{live_server.url}/profiles/?q=2")
        follow(page, page.get_by_role("main").locator("tbody th a").first)
        expect(main).to_contain_text("Bob")
    names = Profile.objects.order_by("properties__user_id").values_list("properties__first_name", flat=True)
    assert list(names) == ["Alice", "Bob"]


def upload(page: Page, file: Path) -> None:
    """From the menu to the page that says what is in the file."""
    follow(page, page.get_by_role("link", name="Schedules").first)
    follow(page, page.get_by_role("link", name="Upload a CSV"))
    page.locator("input[type=file]").set_input_files(file)
    page.locator("main form button").last.click()
    expect(page.get_by_role("button", name="Import the file")).to_be_visible()


@WITH_AND_WITHOUT
def test_a_failed_import_is_found_on_the_first_page_and_goes_on_where_it_was(
    live_server: LiveServer, browser: Browser, source: Source, script: bool
) -> None:
    options = {"table": "users", "id_column": "id"}
    fields = {"id": "user_id", "first_name": "first_name"}
    data = schedules_store.ScheduleData("import", "Shop: users", source.app.pk, options=options, fields=fields)
    schedule = schedules_store.create_schedule(data, actor=SYSTEM)
    source.run("alter table users rename to customers")
    with signed_in(browser, live_server, script=script) as page:
        page.goto(f"{live_server.url}/schedules/{schedule.pk}/")
        follow(page, page.get_by_role("button", name="Run now"))
        work(importing.work_slice)
        page.goto(live_server.url)
        main = page.get_by_role("main")
        expect(page.get_by_role("heading", level=1)).to_contain_text("needs you")
        expect(page.locator("#notices")).to_contain_text("“Shop: users”")
        follow(page, page.locator("#notices").get_by_role("link", name="Look at it"))
        expect(main).to_contain_text("users")
        assert not Notice.objects.exists()  # whoever looks has seen it
        source.run("alter table customers rename to users")
        follow(page, page.get_by_role("button", name="Go on where it was"))
        work(importing.work_slice)
        if not script:
            page.reload()
        expect(main).to_contain_text("Complete", timeout=LONG)
        expect(main).to_contain_text("3 people new")
        page.goto(live_server.url)
        expect(page.get_by_role("heading", level=1)).to_have_text("All is flowing")


@WITH_AND_WITHOUT
def test_people_whom_a_destination_refused_are_chosen_and_sent_again(
    live_server: LiveServer, browser: Browser, world: World, script: bool
) -> None:
    def refuse_bob(item: ProfileExport) -> Outcome:
        is_bob = item.new is not None and item.new["name"] == "Bob"
        return Outcome(OutcomeKind.REJECT, "Bob looks fake.") if is_bob else ACCEPTED

    world.people(ALICE, BOB)
    schedule = world.export()
    shelf().answer = refuse_bob
    run = export(schedule)
    with signed_in(browser, live_server, script=script) as page:
        page.goto(f"{live_server.url}/runs/{run.pk}/")
        main = page.get_by_role("main")
        expect(main).to_contain_text("Bob looks fake.")
        follow(page, page.get_by_role("link", name="Who was rejected, and try again"))
        expect(main).not_to_contain_text("alice@example.com")
        page.get_by_role("checkbox", name="Bob").check()
        shelf().answer = Shelf().answer
        follow(page, page.get_by_role("button", name="Send the chosen again"))
        send()
        page.goto(f"{live_server.url}/schedules/{schedule.pk}/people/?state=rejected")
        expect(main).not_to_contain_text("Bob looks fake.")
    assert set(shelf().rows) == {"alice@example.com", "bob@example.com"}


def test_what_was_chosen_is_deleted_with_the_keyboard_alone(live_server: LiveServer, browser: Browser) -> None:
    make_user(Role.EDITOR)
    make_shop()
    with signed_in(browser, live_server) as page:
        page.keyboard.press("g")
        page.keyboard.press("g")
        expect(page.get_by_role("heading", level=1)).to_have_text("Groups")
        page.wait_for_load_state()
        press_until(page, page.get_by_role("checkbox", name="Choose Spring dinner guests"), "Space")
        press_until(page, page.get_by_role("button", name="Delete"), "Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Delete 1\u00a0group?")
        page.wait_for_load_state()
        press_until(page, page.get_by_role("button", name="Delete 1\u00a0group"), "Enter")
        expect(page.get_by_role("status").first).to_have_text("1 group was deleted.")
        expect(page.get_by_role("row", name="Spring dinner guests")).to_have_count(0)


def test_the_dialog_of_keys_gives_the_focus_back(live_server: LiveServer, browser: Browser) -> None:
    make_user(Role.EDITOR)
    with signed_in(browser, live_server) as page:
        link = page.get_by_role("link", name="Groups").first
        link.focus()
        page.keyboard.press("?")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        for _ in range(12):  # round and round, never behind it
            page.keyboard.press("Tab")
            assert page.evaluate(
                "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
            )
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(link).to_be_focused()


def press_until(page: Page, wanted: object, key: str, *, most: int = 80) -> None:
    """Go on with Tab until it has the focus, see that it shows, and press the key."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if wanted.evaluate("it => it === document.activeElement"):  # type: ignore[attr-defined]
            shown = (
                "it => { const s = getComputedStyle(it); return s.outlineStyle !== 'none' && s.outlineWidth !== '0px' }"
            )
            assert wanted.evaluate(shown)  # type: ignore[attr-defined]
            page.keyboard.press(key)
            return
    pytest.fail(f"Tab does not lead to {wanted} in {most} steps.")


@pytest.mark.parametrize(("width", "theme"), MODES)
def test_no_page_of_these_journeys_has_a_fault_that_axe_finds(
    live_server: LiveServer, browser: Browser, axe_source: str, width: int, theme: str
) -> None:
    make_user(Role.EDITOR)
    shop = make_shop()
    lapsed, planned = shop.groups["Lapsed customers"].pk, shop.planned
    assert planned is not None
    assert shop.finished is not None
    urls = {
        "a question with something against it": f"/groups/{lapsed}/delete/",
        "a question": f"/groups/{shop.groups['Spring dinner guests'].pk}/delete/",
        "a property's question": f"/properties/{shop.rules['newsletter'].pk}/delete/",
        "an App's question": f"/apps/{shop.apps['CSV uploads'].pk}/delete/",
        "a schedule's question": f"/schedules/{shop.schedules['export'].pk}/delete/",
        "the plan": f"/runs/{planned.pk}/plan/",
        "changes": f"/runs/{shop.finished.pk}/changes/",
        "search": "/search/",
        "notices": "/notices/",
        "breakdown": f"/groups/{lapsed}/breakdown/?property=locale",
        "a table's columns": f"/properties/from-table/?app={shop.apps['Warehouse'].pk}",
        "editing": f"/groups/{lapsed}/edit/",
        "sent": f"/schedules/sent/{shop.evan.pk}/",
    }
    faults = {}
    with signed_in(browser, live_server, width=width, theme=theme) as page:
        for name, url in urls.items():
            page.goto(f"{live_server.url}{url}")
            expect(page.locator("[aria-busy]")).to_have_count(0)
            if found := find_faults(page, axe_source):
                faults[name] = found
    assert faults == {}
