"""The page of patterns: nothing is missing on it, and every pattern stays where it is and as it is.

What is compared are boxes to two pixels and colours, not pictures: pixels differ with every machine's fonts and with
Chromium's smoothing. For the same reason the page is laid out with a font that comes with the tests. To take what is
there now as right: `UPDATE_PATTERNS=1 make test ARGS=tests/ui/test_patterns.py`, and read the difference.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.template import engines
from django.test import Client
from playwright.sync_api import Browser, Page
from pytest_django.live_server_helper import LiveServer

from tests.conftest import find_system_part
from tests.ui.conftest import BROWSER_PARTS
from tests.ui.shop import make_user

TEMPLATES = Path(__file__).parents[2] / "templates"
STORED = Path(__file__).parent / "patterns"
FONT = BROWSER_PARTS / "node_modules/@fontsource-variable/inter/files/inter-latin-wght-normal.woff2"
ADDRESS = "/-/patterns"
NEAR = 2  # pixels, and steps of a colour of 256

READ_BOXES = """() => Object.fromEntries([...document.querySelectorAll('[data-pattern]')].map(pattern => {
    const from = pattern.getBoundingClientRect();
    const parts = [...pattern.querySelectorAll('[class]')].filter(part => !part.closest('svg svg, svg *'));
    const box = part => { const at = part.getBoundingClientRect();
        return [at.x - from.x, at.y - from.y, at.width, at.height].map(Math.round); };
    return [pattern.dataset.pattern, [pattern, ...parts].map(part => [part.getAttribute('class') || '', ...box(part)])];
}))"""
READ_COLOURS = """() => {
    const dot = Object.assign(document.createElement('canvas'), {width: 1, height: 1}).getContext('2d');
    const known = new Map();
    const read = colour => {
        if (!known.has(colour)) {
            dot.clearRect(0, 0, 1, 1); dot.fillStyle = 'transparent'; dot.fillStyle = colour; dot.fillRect(0, 0, 1, 1);
            known.set(colour, [...dot.getImageData(0, 0, 1, 1).data]);
        }
        return known.get(colour);
    };
    const colours = part => {
        const style = getComputedStyle(part);
        const used = part instanceof SVGElement ? [style.fill, style.stroke]
            : [style.color, style.backgroundColor, style.borderTopColor];
        return [part.getAttribute('class'), ...used.map(read)];
    };
    return Object.fromEntries([...document.querySelectorAll('[data-pattern]')].map(pattern => {
        const parts = [...pattern.querySelectorAll('[class]')].map(part => JSON.stringify(colours(part)));
        return [pattern.dataset.pattern, [...new Set(parts)].map(part => JSON.parse(part))];
    }));
}"""


# ---------------------------------------------------------------- nothing is missing


def read_css(*names: str) -> str:
    """Stylesheets, without their comments."""
    found = [finders.find(f"ui/{name}.css") for name in names]
    return re.sub(r"/\*.*?\*/", "", "".join(Path(str(each)).read_text() for each in found), flags=re.DOTALL)


def classes_of(css: str) -> set[str]:
    """The classes that selectors name; conditions of forms (`for-`, `if-`) are no looks."""
    names = set(re.findall(r"\.([a-z][\w-]*)", css))
    return {name for name in names if not name.startswith(("for-", "if-"))}


def classes_in(html: str) -> set[str]:
    """The classes that elements have. Those that a template puts together are left out."""
    plain = re.sub(r"\{\{.*?\}\}", "\0", re.sub(r"\{%.*?%\}", " ", html))
    return {name for given in re.findall(r'class="([^"]*)"', plain) for name in given.split() if "\0" not in name}


def test_every_class_of_the_templates_is_in_the_stylesheets() -> None:
    known = set(re.findall(r"\.([a-z][\w-]*)", read_css("tokens", "base", "layout", "components")))
    unknown = {
        str(path.relative_to(TEMPLATES)): missing
        for path in TEMPLATES.rglob("*.html")
        if (missing := classes_in(path.read_text()) - known)
    }
    assert unknown == {}


@pytest.mark.django_db
def test_every_component_and_state_of_the_stylesheet_is_on_the_page(viewer: Client) -> None:
    shown = classes_in(viewer.get(ADDRESS).content.decode())
    assert classes_of(read_css("components")) - shown == set()


@pytest.mark.django_db
def test_a_pattern_shows_the_lines_that_make_it(viewer: Client) -> None:
    page = viewer.get(ADDRESS).content.decode()
    assert "{% status &quot;ok&quot; &quot;Healthy&quot; %}" in page
    assert "{% include &quot;ui/_columns.html&quot; with chart=seven_parts %}" in page


def test_the_source_of_a_pattern_is_as_it_was_written() -> None:
    written = '<b>{{ name|default:"x" }}</b>{% if name %}\n  <i>y</i>{% endif %}{# a word #}'
    text = f'{{% load patterns %}}{{% pattern "One" %}}\n{written}\n{{% endpattern %}}'
    html = engines["django"].from_string(text).render({})
    source = html[html.index("<pre") : html.index("</pre>")]
    assert source.endswith(
        "&lt;b&gt;{{ name|default:&quot;x&quot; }}&lt;/b&gt;{% if name %}\n  &lt;i&gt;y&lt;/i&gt;{% endif %}"
    )
    assert '<div data-pattern="one" translate="no">' in html


# ---------------------------------------------------------------- everything stays as it is


@pytest.fixture(scope="session")
def font() -> str:
    """The font as CSS, installed from its lock file when it is missing."""
    if not FONT.exists():
        npm = find_system_part("npm", name="npm")
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=BROWSER_PARTS, check=True, capture_output=True)
    data = base64.b64encode(FONT.read_bytes()).decode()
    face = f"@font-face {{ font-family: Fixed; font-weight: 100 900; src: url(data:font/woff2;base64,{data}) }}"
    return f"{face} *, ::before, ::after, ::placeholder {{ font-family: Fixed !important }}"


def open_patterns(client: Client, server: LiveServer, browser: Browser, font: str, width: int, theme: str) -> Page:
    """The page in a window of this width, in the font of the tests."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
        bypass_csp=True,
    )
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": server.url}])
    page = context.new_page()
    page.goto(f"{server.url}{ADDRESS}")
    page.add_style_tag(content=font)
    assert page.evaluate("document.fonts.load('16px Fixed').then(found => found.length)") == 1
    return page


def compare(name: str, seen: dict[str, Any]) -> list[str]:
    """Where what is seen differs from what is stored by more than it may."""
    path = STORED / f"{name}.json"
    if os.environ.get("UPDATE_PATTERNS"):
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in seen.items()]
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    stored = json.loads(path.read_text())
    wrong = [f"{key} is {'new' if key in seen else 'gone'}" for key in seen.keys() ^ stored.keys()]
    for key in seen.keys() & stored.keys():
        if len(seen[key]) != len(stored[key]):
            wrong.append(f"{key} has {len(seen[key])} parts, it had {len(stored[key])}")
            continue
        pairs = zip(seen[key], stored[key], strict=True)
        wrong += [f"{key}: {now} was {then}" for now, then in pairs if not is_near(now, then)]
    return sorted(wrong)


def is_near(now: Any, then: Any) -> bool:
    """Whether two nested lists of numbers and names are the same, but for a little."""
    if isinstance(now, list):
        return len(now) == len(then) and all(map(is_near, now, then))
    return bool(now == then if isinstance(now, str) else abs(now - then) <= NEAR)


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("width", [1280, 375])
def test_every_pattern_stands_where_it_stood(
    live_server: LiveServer, browser: Browser, client: Client, font: str, width: int
) -> None:
    client.force_login(make_user())
    page = open_patterns(client, live_server, browser, font, width, "light")
    assert compare(f"boxes-{width}", page.evaluate(READ_BOXES)) == []
    page.context.close()


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_pattern_has_the_colours_it_had(
    live_server: LiveServer, browser: Browser, client: Client, font: str, theme: str
) -> None:
    client.force_login(make_user())
    page = open_patterns(client, live_server, browser, font, 1280, theme)
    assert compare(f"colours-{theme}", page.evaluate(READ_COLOURS)) == []
    page.context.close()


def test_a_pattern_that_moved_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.STORED", tmp_path)
    monkeypatch.delenv("UPDATE_PATTERNS", raising=False)
    (tmp_path / "boxes.json").write_text('{"button": [["button", 0, 0, 90, 36]], "tag": []}')
    assert compare("boxes", {"button": [["button", 0, 2, 90, 36]], "tag": []}) == []
    moved = compare("boxes", {"button": [["button", 0, 3, 90, 36]], "new": []})
    assert moved == ["button: ['button', 0, 3, 90, 36] was ['button', 0, 0, 90, 36]", "new is new", "tag is gone"]
