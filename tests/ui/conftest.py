"""A signed-in client, the shop, and a browser with axe-core."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import find_system_part
from tests.ui.shop import Shop, make_shop, make_user

BROWSER_PARTS = Path(__file__).parent / "browser"
BROWSER_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture
def viewer(db: None, client: Client) -> Client:
    """A client signed in as someone who may only look."""
    client.force_login(make_user())
    return client


@pytest.fixture
def shop(db: None) -> Shop:
    """The shop with everything that can be wrong in it."""
    return make_shop()


@pytest.fixture
def fragment() -> dict[str, Any]:
    """The headers with which htmx asks for a piece of a page."""
    return {"headers": {"HX-Request": "true"}}


@pytest.fixture(scope="session")
def axe_source() -> str:
    """The text of axe-core, installed from its lock file when it is missing."""
    script = BROWSER_PARTS / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        npm = find_system_part("npm", name="npm")
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=BROWSER_PARTS, check=True, capture_output=True)
    return script.read_text()


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    """Chromium. Playwright's own loop runs in this thread, which Django would take for an asynchronous caller."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium_path, args=BROWSER_OPTIONS)
            yield browser
            browser.close()
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def count_queries(django_assert_max_num_queries: Any) -> Callable[[int], Any]:
    """A context that fails when more than so many statements were sent."""
    return django_assert_max_num_queries  # type: ignore[no-any-return]  # pytest-django gives the fixture no type
