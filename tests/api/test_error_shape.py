"""Every way to fail answers in one shape, with a sentence that says what to do."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404
from django.test import Client
from rest_framework import exceptions, serializers

from core.lib.errors import InvalidInput, NotFound, Refused
from pipeline import api
from tests.accounts.factories import make_bob, make_charlie
from tests.api.door import EVENTS, Program, assert_one_shape

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/api/", "/api/v1/nothing/", "/api/v1/events/7/8/"])
def test_an_unknown_address(path: str) -> None:
    assert_one_shape(Client().get(path), 404, "not_found")


def test_a_method_that_the_address_does_not_have() -> None:
    program = Program()
    response = program.client.delete(EVENTS, headers={"Authorization": f"Bearer {program.token}"})
    assert_one_shape(response, 405, "method_not_allowed")
    assert "POST" in response["Allow"]


@pytest.mark.parametrize(
    "header", ["Bearer wrong", "Bearer", "Bearer ", "Basic d2ViOnNob3A=", "wrong", "Bearer a b", "Bearer gr_\u00e9"]
)
def test_a_key_that_opens_nothing(header: str) -> None:
    make_bob()
    response = Client().post(EVENTS, "{}", content_type="application/json", headers={"Authorization": header})
    assert_one_shape(response, 401, "not_signed_in")
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_nobody() -> None:
    response = Client().post(EVENTS, "{}", content_type="application/json")
    assert "Authorization: Bearer" in assert_one_shape(response, 401, "not_signed_in")["message"]


def test_a_key_without_the_scope() -> None:
    error = assert_one_shape(Program("events:read").post({"user_id": 3}), 403, "not_allowed")
    assert "events:write" in error["message"]


def test_a_person_without_the_role() -> None:
    client = Client()
    client.force_login(make_charlie())
    error = assert_one_shape(client.post(EVENTS, "{}", content_type="application/json"), 403, "not_allowed")
    assert "Editor" in error["message"]


def test_a_browser_without_the_csrf_token() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_bob())
    error = assert_one_shape(client.post(EVENTS, "{}", content_type="application/json"), 403, "not_allowed")
    assert "X-CSRFToken" in error["message"]


@pytest.mark.parametrize(
    "body",
    ["", "{", "[1,", "{'a': 1}", "{} {}", b"\xff\xfe", b'{"name": "caf\xe9"}', "[" * 100_000, '{"a":' * 5000 + "1"],
)
def test_a_body_that_is_not_json(body: Any) -> None:
    assert "JSON" in assert_one_shape(Program().post(body), 400, "invalid")["message"]


@pytest.mark.parametrize("body", ["3", "null", '"text"', "true", "[]", "NaN", "1e999"])
def test_json_that_is_not_an_object(body: str) -> None:
    assert_one_shape(Program().post(body), 400, "invalid")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_of_another_type(content_type: str) -> None:
    assert_one_shape(Program().post("{}", content_type=content_type), 415, "unsupported_media_type")


def test_an_answer_of_another_type() -> None:
    assert_one_shape(Program().post({"user_id": 3}, Accept="application/xml"), 406, "not_acceptable")


def test_a_body_that_is_too_large(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    error = assert_one_shape(Program().post([{"text": "x" * 1000}]), 413, "too_large")
    assert "1,000 bytes" in error["message"]


def test_more_events_than_one_request_may_hold(settings: Any) -> None:
    settings.EVENTS_PER_REQUEST = 3
    assert "1 to 3" in assert_one_shape(Program().post([{"user_id": 1}] * 4), 400, "invalid")["message"]


class Nested(serializers.Serializer[Any]):
    host = serializers.CharField()
    ports = serializers.ListField(child=serializers.IntegerField())


def serializer_error() -> Exception:
    serializer = Nested(data={"ports": [1, "x"]})
    with pytest.raises(exceptions.ValidationError) as caught:
        serializer.is_valid(raise_exception=True)
    return caught.value


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidInput("Choose another name.", {"name": "It is taken."}), 400, "invalid"),
        (Refused("This App is in use. Change its rules first."), 409, "refused"),
        (NotFound("There is no such group."), 404, "not_found"),
        (Http404(), 404, "not_found"),
        (PermissionDenied("Only an admin may do this."), 403, "not_allowed"),
        (SuspiciousOperation("strange"), 400, "invalid"),
        (exceptions.Throttled(wait=7), 429, "too_many_requests"),
        (OperationalError("server closed the connection: password=hunter2"), 500, "internal"),
        (RuntimeError("password=hunter2"), 500, "internal"),
    ],
)
def test_whatever_an_endpoint_raises(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, status: int, code: str
) -> None:
    caplog.set_level(logging.CRITICAL)

    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(api, "accept", fail)
    response = Program().post({"user_id": 3})
    assert_one_shape(response, status, code)
    assert "hunter2" not in response.content.decode()
    assert response.get("Retry-After") == ("8" if status == 429 else None)


def test_what_a_serializer_found_is_named_by_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    error = serializer_error()

    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(api, "accept", fail)
    fields = assert_one_shape(Program().post({"user_id": 3}), 400, "invalid")["fields"]
    assert set(fields) == {"host", "ports.1"}


def test_a_failure_before_the_endpoint(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["shop.example.com"]
    assert_one_shape(Client().get(EVENTS, headers={"Host": "evil.example.com"}), 400, "invalid")


def test_a_failure_beside_the_endpoint(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("in another middleware")

    monkeypatch.setattr("django_htmx.middleware.HtmxMiddleware.__call__", fail)
    assert_one_shape(Client(raise_request_exception=False).get(EVENTS), 500, "internal")


def test_a_request_id_that_a_proxy_gave_is_kept_and_nonsense_is_not() -> None:
    given = Client().get(EVENTS, headers={"X-Request-ID": "abc-123.def_456"})
    assert given["X-Request-ID"] == "abc-123.def_456"
    for nonsense in ("x", "a b c d e f g h", "<script>alert(1)</script>", "y" * 65):
        assert Client().get(EVENTS, headers={"X-Request-ID": nonsense})["X-Request-ID"] != nonsense


def test_a_page_keeps_its_own_errors() -> None:
    response = Client().get("/nothing/")
    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")
    assert response["X-Request-ID"]
