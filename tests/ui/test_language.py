"""Which language a page is in, and what does not change with it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from django.test import Client
from django.utils.translation import trans_real
from pytest_django import Settings

from core.accounts.models import Role
from grouparoo import environment
from tests.ui.addresses import every_page
from tests.ui.shop import Shop, make_user
from tests.ui.texts import MarkedLanguage

pytestmark = pytest.mark.django_db

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}


@pytest.fixture
def german(settings: Settings) -> None:
    """An installation with German, of which Django brings its own texts, names of months and ways to write numbers."""
    settings.LANGUAGES = [("en", "English"), ("de", "Deutsch")]


class Machines(HTMLParser):
    """Collects what programs read: attributes other than texts, also of drawings, and scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
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


def test_what_is_streamed_keeps_the_language(client: Client, german: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(trans_real)["_translations"], "de", MarkedLanguage())
    client.force_login(make_user(role=Role.EDITOR))
    answer = client.post("/groups/count/", {"parts": ""}, headers=GERMAN)
    assert answer.streaming
    assert json.loads(b"".join(answer))["html"].strip().startswith('<p class="quiet">⟦Pick what')


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
