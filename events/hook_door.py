"""The door for tools' webhooks: `POST /hooks/<app>/<secret>`, JSON or a form. 200 is answered after it is durable."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse, QueryDict
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from rest_framework.exceptions import ParseError

from core.rest.parsing import read_json
from events import hooks
from events.hook_bodies import Paths, is_signed, read_events
from events.inbox import FateKind, Full, accept
from events.models import Hook, SourceKind
from profiles import ruleset

# Headers that name a delivery, the same when it is sent again. Not X-Request-ID: proxies give each attempt its own.
_IDS = ("webhook-id", "idempotency-key", "x-github-delivery", "x-shopify-webhook-id")


@csrf_exempt
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def take_hook(request: HttpRequest, app_id: int, secret: str) -> JsonResponse:
    """Take what a tool tells. GET is answered too: some tools ask whether somebody is there."""
    hook = hooks.authenticate(app_id, secret)
    if hook is None:
        return _refuse(404, "not_found", "There is no webhook at this address.")
    if request.method != "POST":
        return JsonResponse({"success": True})
    most: int = settings.TRACKING_BATCH_MAX_BYTES
    body = request.read(most + 1)
    if len(body) > most:
        return _refuse(413, "too_large", f"A webhook may have at most {most:,} bytes.")
    answer, is_kept = _take(request, hook, body)
    if is_kept:
        hooks.keep_call(hook, body, answer.content.decode())
    return answer


def _take(request: HttpRequest, hook: Hook, body: bytes) -> tuple[JsonResponse, bool]:
    """The answer, and whether the call may be shown to whoever listens: not when it names someone who was erased."""
    signing = hooks.read_secrets(hook)["signing"]
    headers = dict(request.headers)
    if not is_signed(body, request.headers, check=hook.signature, header=hook.signature_header, secret=signing):
        return _refuse(401, "not_signed", "The signature is missing or does not fit the body."), True
    try:
        read = _read(body, headers.get("Content-Type", ""))
    except ParseError as error:
        return _refuse(400, "invalid", str(error.detail)), True
    delivery = next((request.headers[name] for name in _IDS if request.headers.get(name)), "")[:150]
    events = read_events(read, Paths.read(hook.mapping), keys=ruleset.load().by_key, message_id=delivery)
    if len(events) > settings.TRACKING_BATCH_MAX_EVENTS:
        most = settings.TRACKING_BATCH_MAX_EVENTS
        return _refuse(413, "too_large", f"At most {most:,} events are taken at a time."), True
    try:
        fates = accept(events, source_kind=SourceKind.WEBHOOK, source_id=hook.app_id, keeps_rejected=True)
    except Full as full:
        refused = _refuse(429, "too_many_requests", str(full))
        refused["Retry-After"] = str(full.seconds)
        return refused, True
    counted = {kind.value: sum(fate.kind == kind for fate in fates) for kind in FateKind}
    return JsonResponse({"success": True, **counted}), not any(fate.is_erased for fate in fates)


def _read(body: bytes, content_type: str) -> Any:
    if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        try:
            return QueryDict(body.decode()).dict()
        except UnicodeDecodeError:
            raise ParseError("The form is not UTF-8.") from None
    return read_json(body)


def _refuse(status: int, code: str, message: str) -> JsonResponse:
    return JsonResponse({"code": code, "message": message}, status=status)
