"""What the tests of the API share: a client for programs, and the one shape of errors."""

from __future__ import annotations

import json
import re
from typing import Any

from django.test import Client

from tests.accounts.factories import make_key

EVENTS = "/api/v1/events/"


class Program:
    """A program that calls the API with a key."""

    def __init__(self, *scopes: str) -> None:
        self.key, self.token = make_key(*(scopes or ("events:write",)))
        self.client = Client(raise_request_exception=False)

    def post(self, body: Any, *, to: str = EVENTS, content_type: str = "application/json", **headers: str) -> Any:
        """Send `body`, as JSON unless it is text or bytes already."""
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        given = {"Authorization": f"Bearer {self.token}", **headers}
        return self.client.post(to, data, content_type=content_type, headers=given)


def assert_one_shape(response: Any, status: int, code: str) -> dict[str, Any]:
    """Check that this is the error shape and nothing else; gives what stands inside."""
    assert response.status_code == status, response.content
    assert response["Content-Type"].startswith("application/json")
    body = response.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"code", "message", "fields", "request_id"}
    assert error["code"] == code
    assert re.fullmatch(r".{10,}[.?]", error["message"], re.DOTALL), error["message"]
    assert isinstance(error["fields"], dict)
    assert error["request_id"]
    assert error["request_id"] == response["X-Request-ID"]
    return error
