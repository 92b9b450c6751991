"""The client libraries that people already have, unmodified, against the real doors: host and key are all that changes.

Each goes through a proxy that first answers 503 without passing the request on, and then passes it on but loses the
answer: what the library sends again has to count once.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser
from pytest_django.live_server_helper import LiveServer

from events.models import Event, EventState, Inbox
from pipeline import inbox
from profiles.models import Profile, ProfileMerge
from tests.accounts.factories import make_key
from tests.conftest import find_system_part
from tests.pipeline.people import rule
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CLIENTS = Path(__file__).parent / "clients"
BROWSER_CLIENT = CLIENTS / "node_modules/@segment/analytics-next/dist/umd"
SHOP = "/shop/"  # a page of someone's own, with the client's scripts
_PASSED_ON = ("Content-Type", "Content-Encoding", "Authorization", "X-Write-Key")


class LossyProxy(ThreadingHTTPServer):
    """Passes requests on; the first POST is refused, the answer to the second is lost."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target, self.posts, self.lock = target, 0, Lock()
        self.encodings: set[str] = set()

    @property
    def url(self) -> str:
        """Where clients send to."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: LossyProxy

    def do_POST(self) -> None:
        with self.server.lock:
            self.server.posts += 1
            number = self.server.posts
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.encodings.add(self.headers.get("Content-Encoding", ""))
        status, answer, headers = (503, b"{}", {}) if number == 1 else self._pass_on(body)
        if number == 2:
            status, answer = 500, b"{}"
        self._answer(status, answer, headers)

    def do_GET(self) -> None:
        if not self.path.startswith(SHOP):
            self._answer(*self._pass_on(None))
        elif self.path == SHOP:
            self._answer(200, b"<!doctype html><title>Shop</title>", {"Content-Type": "text/html"})
        else:
            script = (BROWSER_CLIENT / Path(self.path).name).read_bytes()
            self._answer(200, script, {"Content-Type": "text/javascript"})

    def do_OPTIONS(self) -> None:
        self._answer(*self._pass_on(None))

    def _pass_on(self, body: bytes | None) -> tuple[int, bytes, dict[str, str]]:
        headers = {name: self.headers[name] for name in _PASSED_ON if name in self.headers}
        headers["Host"] = self.headers["Host"]
        request = Request(self.server.target + self.path, body, headers, method=self.command)
        try:
            with urlopen(request, timeout=10) as answer:
                return answer.status, answer.read(), dict(answer.headers)
        except HTTPError as error:
            with error:
                return error.code, error.read(), dict(error.headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.startswith("Access-Control") or name in ("Content-Type", "Retry-After"):
                self.send_header(name, value)
        if not headers:
            self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def proxy(live_server: LiveServer) -> Iterator[LossyProxy]:
    """Between a client and the product."""
    with LossyProxy(live_server.url) as proxy:
        Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()


@pytest.fixture(scope="session")
def node_clients() -> str:
    """The path of node, once the clients are installed from their lock file."""
    node = find_system_part("node", name="Node.js")
    if not (CLIENTS / "node_modules" / "@segment" / "analytics-next").exists():
        npm = find_system_part("npm", name="npm")
        # Not `npm ci`: it insists on packages of other platforms, which not every registry has.
        command = [npm, "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(command, cwd=CLIENTS, check=True, capture_output=True)
    return node


@pytest.fixture(autouse=True)
def _rules() -> None:
    rule("user_id", is_unique=True, identity_rank=1)
    rule("email", "email", is_unique=True, identity_rank=2)
    rule("first_name")
    rule("plan")


def send(*command: str, proxy: LossyProxy) -> None:
    _, token = make_key("events:write")
    done = subprocess.run(
        [*command, proxy.url, token], cwd=CLIENTS, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert proxy.posts >= 3, "the client did not try again"


def take_in(expected: int) -> None:
    wait_until(
        lambda: Inbox.objects.count() + Event.objects.count() >= expected, what="the events are there", within=20
    )
    while inbox.process_some():
        pass


def assert_story() -> None:
    """Alice visited, signed in, bought once, and turned out to be u-0 as well."""
    take_in(7)
    kinds = sorted(Event.objects.values_list("type", flat=True))
    assert kinds == ["Opened", "Purchase", "alias", "group", "identify", "page", "screen"]
    assert set(Event.objects.values_list("state", flat=True)) == {EventState.PROCESSED}
    (alice,) = Profile.objects.filter(merged_into=None)
    wanted = {"user_id": "u-1", "email": "alice@example.com", "first_name": "Alice", "plan": "gold"}
    assert alice.properties == wanted
    merges = ProfileMerge.objects.filter(winner_id=alice.pk).count()
    of_alice = set(Event.objects.values_list("profile_id", flat=True))
    assert len(of_alice) == merges + 1
    bought = Event.objects.get(type="Purchase")
    assert (bought.message_id, bought.payload["total"]) == ("purchase-1", 12.5)
    assert bought.payload["_context"]["library"]["name"]
    assert abs((bought.received_at - bought.occurred_at).total_seconds()) < 30
    assert Event.objects.get(type="page").payload["name"] == "Prices"


def test_segments_python_client(proxy: LossyProxy) -> None:
    send(sys.executable, "segment_python.py", proxy=proxy)
    assert proxy.encodings == {"gzip"}
    assert_story()


def test_rudderstacks_python_client(proxy: LossyProxy) -> None:
    send(sys.executable, "rudder_python.py", proxy=proxy)
    assert proxy.encodings == {"gzip"}
    assert_story()


def test_segments_node_client(proxy: LossyProxy, node_clients: str) -> None:
    send(node_clients, "segment_node.mjs", proxy=proxy)
    assert_story()


def test_rudderstacks_node_client(proxy: LossyProxy, node_clients: str) -> None:
    send(node_clients, "rudder_node.mjs", proxy=proxy)
    assert_story()


@pytest.mark.parametrize("batched", [False, True])
def test_segments_browser_client(proxy: LossyProxy, node_clients: str, browser: Browser, batched: bool) -> None:
    assert node_clients
    _, token = make_key("events:write")
    page = browser.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    shop = proxy.url.replace("127.0.0.1", "localhost") + SHOP  # another origin than that of the doors
    page.goto(shop)
    page.add_script_tag(url=f"{shop}index.js")
    page.evaluate(
        """([host, key, batched]) => {
            const { AnalyticsBrowser } = window.AnalyticsNext;
            const delivery = batched ? {strategy: "batching", config: {size: 3, timeout: 500}} : {strategy: "standard"};
            const analytics = AnalyticsBrowser.load(
                {writeKey: key, cdnURL: host},
                {integrations: {"Segment.io": {deliveryStrategy: delivery}}});
            analytics.setAnonymousId("device-1");
            analytics.page("Prices");
            analytics.identify("u-1", {firstName: "Alice", email: "alice@example.com", plan: "gold"});
            analytics.track("Purchase", {total: 12.5});
            analytics.group("acme", {name: "Acme"});
            analytics.alias("u-1", "u-0");
        }""",
        [proxy.url, token, batched],
    )
    wait_until(lambda: Inbox.objects.count() >= 5, what="the events are there", within=30)
    page.close()
    take_in(5)
    assert not problems
    assert sorted(Event.objects.values_list("type", flat=True)) == ["Purchase", "alias", "group", "identify", "page"]
    (alice,) = Profile.objects.filter(merged_into=None)
    assert alice.properties["first_name"] == "Alice"
    assert Event.objects.get(type="Purchase").payload["total"] == 12.5
