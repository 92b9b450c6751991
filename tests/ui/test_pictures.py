"""The pictures of the docs: every screen is there for them, they are small, and who lacks a part is told."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from PIL import Image
from pytest_django.live_server_helper import LiveServer

from core.accounts.models import Role
from events.models import EventTally
from grouparoo import pictures
from grouparoo.demo import past
from groups.models import GroupSize
from schedules.models import Run
from tests.ui.shop import PASSWORD, Shop, make_shop, make_user

KEPT = Path(__file__).parents[2] / "docs" / "screenshots"
MOST = 6_000_000  # bytes, of all pictures together


@pytest.mark.django_db
def test_every_screen_is_there(client: Client, shop: Shop) -> None:
    client.force_login(make_user(Role.ADMIN))
    screens = pictures.list_screens()
    assert set(pictures.MAIN) <= screens.keys()
    answers = {name: client.get(url).status_code for name, url in screens.items()}
    assert answers.pop("not-found") == 404
    assert answers.pop("properties-from-table") == 422  # this shop's Warehouse is nowhere
    assert set(answers.values()) == {200}


@pytest.mark.django_db
def test_an_empty_installation_has_the_lists_alone() -> None:
    assert {"home", "events", "patterns"} <= pictures.list_screens().keys()
    assert "group" not in pictures.list_screens()


def test_the_kept_pictures_are_small_and_the_readme_shows_some_of_them() -> None:
    kept = {path.name: path.stat().st_size for path in KEPT.glob("*.png")}
    assert len(kept) > 40
    assert sum(kept.values()) <= MOST
    readme = (KEPT.parents[1] / "README.md").read_text()
    shown = [name for name in kept if f"docs/screenshots/{name}" in readme]
    assert len(shown) >= 4


def test_who_lacks_a_part_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "find_browser", lambda: None)
    with pytest.raises(CommandError, match="sudo make system"):
        call_command("screenshots")
    monkeypatch.setattr(pictures, "CAN_BE_TAKEN", False)
    with pytest.raises(CommandError, match=r"requirements-dev\.txt"):
        call_command("screenshots")


@pytest.mark.django_db
def test_the_invented_month_has_runs_sizes_and_events(shop: Shop) -> None:
    Run.objects.all().delete()
    past.make_runs()
    past.make_sizes()
    past.make_tallies()
    assert {schedule.runs.count() for schedule in shop.schedules.values()} == {29}
    assert GroupSize.objects.filter(group=shop.groups["Spring dinner guests"]).count() == 30
    assert EventTally.objects.values("hour").distinct().count() > 700
    past.make_runs()  # there are some already
    assert Run.objects.count() == 29 * len(shop.schedules)


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_picture_of_each_width_and_theme_is_taken(
    live_server: LiveServer, chromium_path: str, tmp_path: Path
) -> None:
    make_user(Role.ADMIN)
    make_shop()
    screens = {"home": "/", "groups": "/groups/"}
    login = ("alice@example.com", PASSWORD)
    size = pictures.take(f"{live_server.url}/", screens, folder=tmp_path, sign_in=login, browser=chromium_path)
    taken = {path.name: Image.open(BytesIO(path.read_bytes())).size for path in tmp_path.glob("*.png")}
    assert taken.keys() == {
        "sign-in-1280-light.png",
        "home-1280-light.png",
        "groups-1280-light.png",
        "home-375-dark.png",
    }
    assert {name: width for name, (width, _) in taken.items()} == {name: int(name.split("-")[-2]) for name in taken}
    assert all(height <= pictures.TALLEST for _, height in taken.values())
    assert size == sum(path.stat().st_size for path in tmp_path.glob("*.png"))
