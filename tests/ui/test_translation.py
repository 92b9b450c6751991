"""No text is forgotten: a made-up language is put in place of English, and what stands in no marks is told by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import available_timezones

import pytest
from django.apps import apps
from django.http import QueryDict
from django.test import Client
from django.utils.translation import gettext, ngettext, npgettext, pgettext, trans_real
from django.utils.translation.template import templatize

from core.accounts.models import Role
from core.lib.servers import PROJECT
from core.ui.wording import city_of
from plugins import registry
from plugins.contracts import AppSpec
from tests.ui.addresses import LISTS, every_page
from tests.ui.shop import Shop, make_user
from tests.ui.texts import MarkedLanguage, MarkedPage, find_untranslated

TEMPLATES = PROJECT / "templates"
CUT = 40  # characters, after which a page may leave the rest of a value out


@pytest.fixture
def marked() -> Iterator[None]:
    """Every text of the catalogue comes in marks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(vars(trans_real)["_translations"], "en", MarkedLanguage())
        trans_real.activate("en")
        yield
    trans_real.deactivate()


def list_values(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from list_values(list(value.values()))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from list_values(inner)
    elif isinstance(value, str | UUID) and len(str(value)) > 1:
        yield str(value)


def list_sentences(spec: AppSpec) -> list[Any]:
    """Everything that a plugin says of its Apps."""
    return [spec.label, spec.description, [[each.label, each.help, each.placeholder] for each in spec.options]]


def find_data(*, typed: set[str]) -> re.Pattern[str]:
    """Values of the shop but for fields with a set of words of their own; what plugins say; what someone typed."""
    values = set(list_values([list_sentences(each.spec) for each in registry.all_apps()]))
    for zone in available_timezones():
        values |= {zone.replace("_", " "), city_of(zone)}
    for model in apps.get_models():
        if model.__module__.startswith("django."):  # names of tables and permissions
            continue
        fields = [field.name for field in model._meta.concrete_fields if not field.choices]
        for row in model._default_manager.values_list(*fields):
            values |= set(list_values(row))
    values |= {value.replace(":", " ") for value in values if re.fullmatch(r"\w+:\d+", value)}  # causes that have gone
    whole = sorted((value for value in values | typed if len(value) <= CUT), key=len, reverse=True)
    cut = {value[:CUT] for value in values if len(value) > CUT}
    patterns = [rf"{re.escape(value)}.*" for value in cut] + [rf"{re.escape(value)}(?!\w)" for value in whole]
    return re.compile(rf"(?<!\w)(?:{'|'.join(patterns) or '(?!)'})", re.IGNORECASE | re.DOTALL)


def find_unmarked(client: Client, pages: dict[str, str]) -> list[str]:
    data = find_data(typed={QueryDict(urlsplit(url).query).get("q", "") for url in pages.values()} - {""})
    found = []
    for name, url in pages.items():
        page = client.get(url).content.decode()
        found += [f"{name} ({url}), line {place.line}: {place.text}" for place in MarkedPage(page, data=data).found]
    return found


# ---------------------------------------------------------------- templates


def test_every_text_of_a_template_is_ready_for_translation() -> None:
    paths = sorted(path for path in TEMPLATES.rglob("*") if path.is_file())
    assert len(paths) > 200
    forgotten = [
        f"{path.relative_to(PROJECT)}, line {place.line}: {place.text}"
        for path in paths
        for place in find_untranslated(path.read_text())
    ]
    assert not forgotten, "\n".join(["Put these into translate, blocktranslate or _(…):", *forgotten])


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>\nSave it</p>", "Save it"),
        ('<p title="Save {{ thing }}">{{ thing }}</p>', "Save \ue000"),
        ('<input type="submit" value="Save">', "Save"),
        ('{% status "ok" "Healthy" %}', "Healthy"),
        ('{{ count|plural:"person,people" }}', "person,people"),
        ('{% include "ui/_form.html" with submit="Save group" %}', "Save group"),
        ("{% translate 'Save' %} <b>and go on</b>", "and go on"),
        ('aria-label="Choose it"{% if x %} hidden{% endif %}', "Choose it"),
    ],
)
def test_a_forgotten_text_is_named(source: str, text: str) -> None:
    assert [place.text for place in find_untranslated(source)] == [text]


@pytest.mark.parametrize(
    "source",
    [
        "<p title=\"{% translate 'Save' %}\">{% blocktranslate %}Save <b>{{ it }}</b>{% endblocktranslate %}</p>",
        '{% status "ok" _("Healthy") %}{{ count|plural:_("person,people") }}{% icon "loader" "icon spin" %}',
        "<code>createuser --email</code><b>Grouparoo</b> {{ name }}, 12 · {# a comment #}",
        '{% pattern _("A button") %}<button>Save</button>{% status "ok" "Healthy" %}{% endpattern %}',
        'hx-get="{% url \'home\' %}" hx-trigger="change delay:300ms"',
    ],
)
def test_what_is_no_text_or_is_ready_is_not_named(source: str) -> None:
    assert find_untranslated(source) == []


def test_gettext_can_read_every_template() -> None:
    for path in TEMPLATES.rglob("*"):
        if path.is_file():
            assert templatize(path.read_text(), origin=str(path))


# ---------------------------------------------------------------- pages


def test_the_made_up_language_has_every_text(marked: None) -> None:
    assert gettext("Save %(thing)s") == "⟦Save ⟨%(thing)s⟩⟧"
    assert pgettext("verb", "Copy") == "⟦Copy⟧"
    assert ngettext("%(count)s run", "%(count)s runs", 2) == "⟦⟨%(count)s⟩ runs⟧"
    assert npgettext("verb", "run", "runs", 1) == "⟦run⟧"
    assert gettext("person,people") == "⟦person⟧,⟦people⟧"


def test_what_stands_in_no_marks_is_found() -> None:
    page = "<p>⟦Sent to ⟨<b>Alice</b>⟩ ⟨2 people⟩⟧</p><p title='⟦Yes⟧'>⟦cut</p><p title='No'>Bob</p>"
    found = MarkedPage(page, data=re.compile("Alice")).found
    assert [place.text for place in found] == ["2 people", "No", "Bob"]


@pytest.mark.django_db
def test_no_text_of_a_page_stands_in_no_marks(client: Client, shop: Shop, marked: None) -> None:
    client.force_login(make_user(role=Role.ADMIN))
    found = find_unmarked(client, every_page(shop))
    assert not found, "\n".join(found)


@pytest.mark.django_db
def test_nor_does_one_of_an_empty_page(client: Client, marked: None) -> None:
    client.force_login(make_user(role=Role.ADMIN))
    found = find_unmarked(client, LISTS)
    assert not found, "\n".join(found)
