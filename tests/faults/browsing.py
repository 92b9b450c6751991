"""A person at the pages of a web server that is killed under them: what was not answered is sent again."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import Any

import requests
from django.test import Client

from core.accounts.models import Role
from tests.accounts.factories import make_user
from tests.waiting import wait_until

ANSWERED_WITHIN = 40.0


class Visitor:
    """Someone who is signed in and may edit. Every call is repeated until a server answers it."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.port = port
        self.session = requests.Session()
        client = Client()
        client.force_login(make_user("Bob", role=Role.EDITOR))
        self.session.cookies.set("sessionid", client.cookies["sessionid"].value)

    def get(self, path: str) -> requests.Response:
        """A page."""
        return self._until_answered(lambda: self.session.get(self.base + path, timeout=10))

    def post(
        self, path: str, fields: Mapping[str, str], *, files: Mapping[str, Any] | None = None
    ) -> requests.Response:
        """Send a form; where it leads to."""
        page = self.get(path)
        data = {**fields, "csrfmiddlewaretoken": _token_of(page)}
        return self._until_answered(lambda: self.session.post(self.base + path, data=data, files=files, timeout=30))

    def post_half(
        self, path: str, fields: Mapping[str, str], *, files: Mapping[str, Any], then: Callable[[], object]
    ) -> None:
        """Send half of a form, let something happen, and send the rest to whoever is still there."""
        data = {**fields, "csrfmiddlewaretoken": _token_of(self.get(path))}
        request = requests.Request("POST", self.base + path, data=data, files=files)
        prepared = self.session.prepare_request(request)
        body = prepared.body
        assert isinstance(body, bytes)
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.putrequest("POST", path)
        for name, value in prepared.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body[: len(body) // 2])
        then()
        with suppress(OSError, HTTPException):
            connection.send(body[len(body) // 2 :])
            answer = connection.getresponse()
            raise AssertionError(f"a dead server answered with {answer.status}")
        connection.close()

    def _until_answered(self, call: Callable[[], requests.Response]) -> requests.Response:
        answers: list[requests.Response] = []

        def is_answered() -> bool:
            with suppress(requests.RequestException):
                answers.append(call())
            return bool(answers)

        wait_until(is_answered, what="a server answers", within=ANSWERED_WITHIN)
        return answers[0]


def _token_of(page: requests.Response) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert found is not None, page.text[:2000]
    return found[1]
