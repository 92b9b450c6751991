"""Which language a page is in, and what does not change with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from django.test import Client
from pytest_django import Settings

from grouparoo import environment
from tests.ui.addresses import every_page
from tests.ui.shop import Shop

pytestmark = pytest.mark.django_db

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}


@pytest.fixture
def german(settings: Settings) -> Iterator[None]:
    """An installation with German, of which Django brings its own texts, names of months and ways to write numbers."""
    settings.LANGUAGES = [("en", "English"), ("de", "Deutsch")]
    return


class Machines(HTMLParser):
    """Collects what programs read: attributes other than texts, scripts, and everything of drawings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style", "svg"):
            self.inside.append(tag)
        texts = ("lang", "title", "aria-label", "placeholder", "alt", "aria-description")
        self.found += [f"{tag} {name}={value}" for name, value in attrs if name not in texts]

    def handle_endtag(self, tag: str) -> None:
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.found.append(data)


def read_for_machines(client: Client, url: str, headers: dict[str, str]) -> list[str]:
    page = client.get(url, headers=headers).content.decode()
    # Times and tokens against forgery are others each time; how a number is written is not.
    return [re.sub(r"\d+", "9", part) for part in Machines(page).found if not re.search(r"value=\w{64}$", part)]


def test_a_page_is_in_the_language_that_the_browser_asks_for(client: Client, german: None) -> None:
    assert '<html lang="de">' in client.get("/sign-in/", headers=GERMAN).content.decode()
    assert '<html lang="en">' in client.get("/sign-in/", headers={"Accept-Language": "fr"}).content.decode()
    assert '<html lang="en">' in client.get("/sign-in/").content.decode()


def test_so_is_the_page_that_explains_the_api(viewer: Client, german: None) -> None:
    assert '<html lang="de">' in viewer.get("/api/v1/docs/", headers=GERMAN).content.decode()


def test_without_another_language_every_page_is_english(client: Client) -> None:
    assert '<html lang="en">' in client.get("/sign-in/", headers=GERMAN).content.decode()


def test_programs_read_english(viewer: Client, german: None) -> None:
    for method, url in (("PATCH", "/api/v1/profiles/"), ("GET", "/api/v1/people/"), ("POST", "/v1/nothing")):
        same = {"X-Request-ID": "one-and-the-same"}
        asked = [viewer.generic(method, url, headers=same | more).content for more in (GERMAN, {})]
        assert asked[0] == asked[1], url
        assert asked[0], url


def test_numbers_for_machines_do_not_change_with_the_language(viewer: Client, shop: Shop, german: None) -> None:
    for name, url in every_page(shop).items():
        assert read_for_machines(viewer, url, GERMAN) == read_for_machines(viewer, url, {}), name


def test_languages_are_known_by_their_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGES", "de, pt-br")
    found = environment.read_languages("LANGUAGES", always="en")
    assert found == [("en", "English"), ("de", "Deutsch"), ("pt-br", "Português Brasileiro")]
