"""A CSV file at an address: redirects, refusals, answers that are cut short, and what is told to whom."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from plugins.contracts import Halt, Retry
from plugins.csv import Csv, fetching
from tests.receiver import Behaviour, Receiver, answer, cut, run_file_host

FILE = b"user_id,email\n1,alice@example.com\n"
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nuser_id\n"


@pytest.fixture
def host() -> Iterator[Receiver]:
    with run_file_host() as receiver:
        yield receiver


def app_of(url: str, *, allowed: bool = True) -> Csv:
    app = Csv({"url": url, "authorization": "Bearer abc"})
    app.private_hosts_allowed = allowed
    return app


def fetch(url: str, *, allowed: bool = True) -> bytes:
    into = io.BytesIO()
    with app_of(url, allowed=allowed) as app:
        app.fetch(url.partition("?")[0], into)
    return into.getvalue()


def test_a_file_is_fetched_with_its_query_and_authorization(host: Receiver) -> None:
    host.expect(answer(body=FILE))
    assert fetch(f"{host.url}?key=7") == FILE
    [asked] = host.deliveries
    assert (asked.method, asked.path.endswith("?key=7"), asked.headers["authorization"]) == ("GET", True, "Bearer abc")


def test_another_host_is_not_told_the_authorization(host: Receiver) -> None:
    with run_file_host() as other:
        host.expect(answer(302, headers={"Location": other.url}))
        other.expect(answer(body=FILE))
        assert fetch(host.url) == FILE
        assert "authorization" not in other.deliveries[0].headers


def test_redirects_in_a_circle_come_to_an_end(host: Receiver) -> None:
    host.expect(*[answer(302, headers={"Location": host.url}) for _ in range(9)])
    with pytest.raises(Halt, match="more than 5 times"):
        fetch(host.url)


@pytest.mark.parametrize(
    ("behaviour", "error", "words"),
    [
        (answer(404), Halt, "answered 404"),
        (answer(401), Halt, "without signing in"),
        (answer(503), Retry, "answered 503"),
        (answer(body=b"<html>", headers={"Content-Type": "text/html; charset=utf-8"}), Halt, "web page"),
        (cut(), Retry, "ended the connection"),
        (
            Behaviour(cuts=True, raw=b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nuser_id\n"),
            Retry,
            "ended the connection",
        ),
    ],
    ids=["missing", "secret", "down", "page", "cut", "half"],
)
def test_what_is_no_whole_file_is_refused(
    host: Receiver, behaviour: Behaviour, error: type[Exception], words: str
) -> None:
    host.expect(behaviour)
    with pytest.raises(error, match=words):
        fetch(host.url)


def test_a_time_to_wait_is_kept_to(host: Receiver) -> None:
    host.expect(answer(429, headers={"Retry-After": "7"}))
    with pytest.raises(Retry) as caught:
        fetch(host.url)
    assert caught.value.after == 7


def test_a_file_that_is_too_large_is_refused(host: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MOST_BYTES", 20)
    host.expect(answer(body=FILE))
    with pytest.raises(Halt, match="the most that is fetched"):
        fetch(host.url)


def test_a_private_host_is_refused_also_by_way_of_a_redirect(host: Receiver) -> None:
    with pytest.raises(Halt, match="GROUPAROO_ALLOW_PRIVATE_HOSTS"):
        fetch(host.url, allowed=False)
    assert host.deliveries == []


def test_looking_at_a_large_file_fetches_its_beginning(host: Receiver) -> None:
    rows = b"".join(b"%d,person%d@example.com\n" % (number, number) for number in range(200_000))
    host.expect(answer(body=b"user_id,email\n" + rows))
    with app_of(host.url) as app:
        sample = app.sample(host.url, limit=2)
        assert app.tables()[0].name == host.url
        assert app.test().ok
    assert sample.columns == ("user_id", "email")
    assert sample.rows[1] == ("1", "person1@example.com")
    assert len(host.deliveries) == 1, "asked once for the life of the connection"


def test_a_schedule_of_the_former_address_is_told_so(host: Receiver) -> None:
    with app_of(host.url) as app, pytest.raises(Halt, match="another one now"):
        app.fetch("https://example.com/former.csv", io.BytesIO())
