from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from standardwebhooks import Webhook

from apps_connectors import apps_store
from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from core.lib.errors import InvalidInput
from events import hooks
from events import inbox as door
from events.hook_bodies import find, list_paths
from events.models import Event, EventState, Hook, HookCall, Inbox
from grouparoo.logs import Context
from pipeline.inbox import process_some
from profiles.models import Profile
from tests.accounts.factories import make_user
from tests.api.door import Program
from tests.pipeline.people import rule

pytestmark = pytest.mark.django_db(transaction=True)
ORDER = {
    "id": "evt_1",
    "event": "order.paid",
    "at": "2026-03-01T12:00:00Z",
    "email": "billing@example.com",
    "data": {"customer": {"mail": "Alice@Example.com"}, "items": [{"sku": "red shirt"}], "total": 12.5},
}
MAPPING = {
    "fields": {"email": "data.customer.mail", "last_total": "data.total"},
    "type": "event",
    "message_id": "id",
    "occurred_at": "at",
}


@pytest.fixture
def app() -> App:
    door._backlog.until = 0.0
    rule("email", "email", is_unique=True)
    rule("last_total", "float")
    return apps_store.create_app("csv", "Checkout", {}, actor=SYSTEM)


@pytest.fixture
def hook(app: App) -> Hook:
    hooks.create_hook(app.pk, actor=SYSTEM)
    return hooks.update_hook(app.pk, mapping=MAPPING, actor=SYSTEM)


def address(hook: Hook) -> str:
    return reverse("hooks:door", args=[hook.app_id, hooks.read_secrets(hook)["address"]])


def send(client: Client, hook: Hook, body: Any, **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(address(hook), raw, content_type="application/json", headers=headers)


def test_a_message_becomes_an_event_of_the_person_it_names(client: Client, hook: Hook) -> None:
    answer = send(client, hook, ORDER)
    assert answer.json() == {"success": True, "accepted": 1, "duplicate": 0, "rejected": 0}
    assert send(client, hook, ORDER).json()["duplicate"] == 1
    process_some()
    event = Event.objects.get()
    assert (event.type, event.message_id) == ("order.paid", "evt_1")
    assert event.occurred_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert event.payload["data"] == ORDER["data"]
    assert event.payload["body.email"] == "billing@example.com"
    assert Profile.objects.get().properties == {"email": "alice@example.com", "last_total": 12.5}


def test_lists_and_forms_and_what_is_no_object(client: Client, hook: Hook) -> None:
    hooks.update_hook(hook.app_id, mapping={"fields": {"email": "to"}, "items": "events"}, actor=SYSTEM)
    answer = send(client, hook, {"events": [{"to": "a@example.com"}, 7, {"to": "b@example.com"}]})
    assert answer.json() == {"success": True, "accepted": 2, "duplicate": 0, "rejected": 1}
    assert Event.objects.get().state == EventState.REJECTED
    hooks.update_hook(hook.app_id, mapping={"fields": {"email": "data[email]"}, "type": "Unsubscribed"}, actor=SYSTEM)
    form = client.post(
        address(hook), "data%5Bemail%5D=c%40example.com", content_type="application/x-www-form-urlencoded"
    )
    assert form.json()["accepted"] == 1
    assert Inbox.objects.get(type="Unsubscribed").payload["email"] == "c@example.com"
    assert client.get(address(hook)).status_code == 200


def test_a_wrong_address_tells_nothing_and_a_new_one_closes_the_old(client: Client, hook: Hook) -> None:
    old = address(hook)
    wrong = client.post(f"/hooks/{hook.app_id}/nonsense", "{}", content_type="application/json")
    nobody = client.post("/hooks/987654/nonsense", "{}", content_type="application/json")
    assert (wrong.status_code, wrong.content) == (nobody.status_code, nobody.content)
    hooks.renew_address(hook.app_id, actor=SYSTEM)
    assert client.post(old, "{}", content_type="application/json").status_code == 404
    apps_store.set_paused(hook.app_id, True, actor=SYSTEM)
    assert send(client, Hook.objects.get(), {}).status_code == 404


def test_signatures_are_checked(client: Client, hook: Hook) -> None:
    body = json.dumps(ORDER).encode()
    given: dict[str, Any] = {"mapping": MAPPING, "signature_header": "X-Hub-Signature-256", "actor": SYSTEM}
    hooks.update_hook(hook.app_id, signature="sha256", signing_secret="s3cret", **given)
    good = "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert send(client, hook, body).status_code == 401
    assert send(client, hook, body, **{"X-Hub-Signature-256": good[:-1] + "0"}).status_code == 401
    assert send(client, hook, body + b" ", **{"X-Hub-Signature-256": good}).status_code == 401
    assert send(client, hook, body, **{"X-Hub-Signature-256": "sha256=\u00fc"}).status_code == 401
    assert send(client, hook, body, **{"X-Hub-Signature-256": good}).status_code == 200
    hooks.update_hook(hook.app_id, signature="sha1", signing_secret="s3cret", **given)
    assert send(client, hook, body, **{"X-Hub-Signature-256": good}).status_code == 401
    short = hmac.new(b"s3cret", body, hashlib.sha1).hexdigest()
    assert send(client, hook, body, **{"X-Hub-Signature-256": short}).status_code == 200

    secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    hooks.update_hook(hook.app_id, signature="standard", signing_secret=secret, **given)
    now = datetime.now(UTC)
    signed = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp()))}
    signature = Webhook(secret).sign("msg_1", now, body.decode())
    assert send(client, hook, body, **signed, **{"webhook-signature": signature}).status_code == 200
    assert send(client, hook, body, **signed, **{"webhook-signature": "v1,AAAA"}).status_code == 401
    assert send(client, hook, body, **signed, **{"webhook-signature": "v1,\u00fc"}).status_code == 401
    old = {**signed, "webhook-timestamp": "1600000000", "webhook-signature": signature}
    assert send(client, hook, body, **old).status_code == 401


def test_the_address_stands_in_no_log_and_outlives_a_new_key(
    client: Client, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(Context())
    secret = hooks.read_secrets(hook)["address"]
    client.delete(address(hook))
    assert "Method Not Allowed" in caplog.text
    assert secret not in caplog.text
    apps_store.rotate_secrets(actor=SYSTEM)
    assert hooks.read_secrets(Hook.objects.get())["address"] == secret


def test_what_cannot_be_used_is_refused_with_its_place(hook: Hook) -> None:
    with pytest.raises(InvalidInput) as caught:
        hooks.update_hook(hook.app_id, mapping={"fields": {"shoe_size": "a"}}, actor=SYSTEM)
    assert "fields.shoe_size" in caught.value.fields
    for secret in ("whsec_", "!"):
        with pytest.raises(InvalidInput, match="Standard Webhooks"):
            hooks.update_hook(hook.app_id, mapping={}, signature="standard", signing_secret=secret, actor=SYSTEM)
    with pytest.raises(InvalidInput, match="secret"):
        hooks.update_hook(hook.app_id, mapping={}, signature="sha1", signature_header="X", actor=SYSTEM)


def test_programs_make_change_and_close_an_address(app: App, client: Client) -> None:
    program = Program("apps:write")
    headers = {"Authorization": f"Bearer {program.token}"}
    path = f"/api/v1/apps/{app.pk}/hook/"
    assert program.client.get(path, headers=headers).status_code == 404
    made = program.client.put(path, {"mapping": MAPPING}, content_type="application/json", headers=headers)
    assert made.status_code == 200, made.content
    assert made.json()["mapping"]["fields"] == MAPPING["fields"]
    assert send(client, Hook.objects.get(), ORDER).json()["accepted"] == 1
    given = {"signature": "sha1", "signature_header": "X-Sign", "signing_secret": "s3cret"}
    signed = program.client.put(path, given, content_type="application/json", headers=headers)
    assert signed.json()["signature"] == "sha1"
    assert "s3cret" not in signed.content.decode()
    wrong = {"mapping": {"fields": {"shoe_size": "a"}}}
    assert program.client.put(path, wrong, content_type="application/json", headers=headers).status_code == 400
    assert program.client.delete(path, headers=headers).status_code == 204
    assert not Hook.objects.exists()


def test_paths_lead_into_objects_and_lists() -> None:
    assert find(ORDER, "data.items.0.sku") == "red shirt"
    assert find(ORDER, "data.items.7.sku") is None
    assert find({"a.b": 1}, "a.b") == 1
    assert ("data.customer.mail", "Alice@Example.com") in list_paths(ORDER)
    deep: Any = "x"
    for _ in range(500):
        deep = {"a": deep}
    assert list_paths(deep) == []


def test_the_page_listens_and_shows_the_last_calls(client: Client, hook: Hook) -> None:
    send(client, hook, ORDER)
    assert not HookCall.objects.exists()
    client.force_login(make_user("Bob", role=Role.EDITOR))
    client.post(reverse("hooks:listen", args=[hook.app_id]))
    for number in range(12):
        send(client, hook, {**ORDER, "id": f"evt_{number}"})
    assert HookCall.objects.count() == hooks.KEPT_CALLS
    page = client.get(reverse("hooks:edit", args=[hook.app_id])).content.decode()
    assert address(hook) in page
    assert "data.customer.mail" in page
    assert "Alice@Example.com" in page
    assert "Listening until" in client.get(reverse("hooks:calls", args=[hook.app_id])).content.decode()
    saved = client.post(
        reverse("hooks:edit", args=[hook.app_id]),
        {"field_email": "data.customer.mail", "signature": "none", "type": "Paid"},
    )
    assert saved.status_code == 302
    assert Hook.objects.get().mapping["fields"] == {"email": "data.customer.mail"}
    viewer = Client()
    viewer.force_login(make_user("Charlie", role=Role.VIEWER))
    assert viewer.get(reverse("hooks:edit", args=[hook.app_id])).status_code == 403
    assert "takes webhooks" in viewer.get(reverse("hooks:of_app", args=[hook.app_id])).content.decode()
