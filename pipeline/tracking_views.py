"""The doors of the tracking API: unmodified client libraries send here by changing only the host and the write key.

    POST /v1/{identify,track,page,screen,group,alias,batch,import}, /v1/{i,t,p,s,g,a,b}, with or without a slash behind
    GET  /v1/projects/{write key}/settings      what the browser library asks first

200 {"success": true} is answered after the events are durable. An item that cannot be taken does not sink its batch:
it is kept as a rejected event with the reason, as clients read no answers. Errors are {"code", "message"}.
"""

from __future__ import annotations

import zlib
from base64 import b64decode
from binascii import Error as NotBase64
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from rest_framework.exceptions import ParseError

from core.accounts import keys, project
from core.accounts.models import ApiKey
from core.accounts.permissions import key_allows
from core.rest.parsing import read_json
from events.inbox import Fate, FateKind, Full, accept
from events.models import SourceKind
from pipeline import tracking
from pipeline.tracking import BadCall
from profiles import ruleset

_SHORT = {"i": "identify", "t": "track", "p": "page", "s": "screen", "g": "group", "a": "alias", "b": "batch"}
_MANY = ("batch", "import")
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET, OPTIONS",
    "Access-Control-Allow-Headers": "*, Authorization",
    "Access-Control-Max-Age": "86400",
}


class Refusal(Exception):
    """The request is answered with an error; `status`, `code` for programs, a sentence for people."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers


@csrf_exempt
@login_not_required
@require_http_methods(["POST", "OPTIONS"])
def take_calls(request: HttpRequest, call: str) -> HttpResponse:
    """Take one call or a batch."""
    call = _SHORT.get(call, call)
    if call not in (*tracking.CALLS, *_MANY):
        return JsonResponse({"code": "not_found", "message": f"There is no call {call[:40]}."}, status=404)
    if request.method == "OPTIONS":
        return HttpResponse(status=204, headers=_CORS)
    try:
        _take(request, call)
    except Refusal as refusal:
        told = {"code": refusal.code, "message": str(refusal)}
        return JsonResponse(told, status=refusal.status, headers={**_CORS, **refusal.headers})
    return JsonResponse({"success": True}, headers=_CORS)


@login_not_required
@require_http_methods(["GET", "OPTIONS"])
def show_client_settings(request: HttpRequest, write_key: str) -> HttpResponse:
    """What the browser library is to do with its calls: send them all back here."""
    if request.method == "OPTIONS":
        return HttpResponse(status=204, headers=_CORS)
    if not _may(keys.authenticate(write_key)):
        return JsonResponse({"code": "unknown_key", "message": _UNKNOWN}, status=404, headers=_CORS)
    scheme, host = request.scheme or "http", request.get_host()
    nothing_withheld = {"__default": {"enabled": True, "integrations": {}}}
    return JsonResponse(
        {
            "integrations": {"Segment.io": {"apiKey": write_key, "apiHost": f"{host}/v1", "protocol": scheme}},
            "plan": {"track": nothing_withheld, "identify": nothing_withheld, "group": nothing_withheld},
            "edgeFunction": {},
            "middlewareSettings": {},
            "enabledMiddleware": {},
            "remotePlugins": [],
            "metrics": {"sampleRate": 0},
            "analyticsNextEnabled": True,
            "legacyVideoPluginsEnabled": False,
        },
        headers=_CORS,
    )


_UNKNOWN = "The write key is unknown, revoked or may not send events: make an API key with the scope events:write."


def _take(request: HttpRequest, call: str) -> None:
    raw = _read_body(request)
    body = _read_json(raw)
    key = _authenticate(request, body)
    batch = tracking.read_batch(body, received_at=tracking.now(), keeps_times=call == "import")
    names = tracking.Names.of(ruleset.load(), user_id=project.current().user_id_key)
    is_many = call in _MANY
    items = body.get("batch") if is_many else [body]
    if not isinstance(items, list):
        raise Refusal(400, "invalid", "A batch needs a list of items under “batch”.")
    if len(items) > settings.TRACKING_BATCH_MAX_EVENTS:
        most = settings.TRACKING_BATCH_MAX_EVENTS
        raise Refusal(413, "too_large", f"A batch may have at most {most:,} events; this one has {len(items):,}.")
    if not is_many and len(raw) > settings.TRACKING_EVENT_MAX_BYTES:
        most = settings.TRACKING_EVENT_MAX_BYTES
        raise Refusal(413, "too_large", f"An event may have at most {most:,} bytes; this one has {len(raw):,}.")
    fates = _accept([_read(item, batch, names, call="" if is_many else call) for item in items], key, is_many=is_many)
    if not is_many and fates[0].kind == FateKind.REJECTED:
        nobody = fates[0].reason == tracking.NOBODY
        raise Refusal(400, "no_user_anon_id" if nobody else "invalid", fates[0].reason)


def _read(item: Any, batch: tracking.Batch, names: tracking.Names, *, call: str) -> Any:
    """The envelope of an item, or the item itself with the reason why it is none."""
    try:
        return tracking.read_call(item, batch, names, call=call)
    except BadCall as error:
        return _Refused(item, str(error))


class _Refused:
    """An item that is no call, with the reason."""

    def __init__(self, item: Any, reason: str) -> None:
        self.item, self.reason = item, reason


def _accept(read: list[Any], key: ApiKey, *, is_many: bool) -> list[Fate]:
    """The fate of each; those that are no calls are kept with the others that cannot be taken."""
    try:
        return accept(
            [each.item if isinstance(each, _Refused) else each for each in read],
            source_kind=SourceKind.API_KEY,
            source_id=key.pk,
            max_bytes=settings.TRACKING_EVENT_MAX_BYTES,
            keeps_rejected=is_many,
            refused={index: each.reason for index, each in enumerate(read) if isinstance(each, _Refused)},
        )
    except Full as full:
        raise Refusal(429, "too_many_requests", str(full), **{"Retry-After": str(full.seconds)}) from None


# ---------------------------------------------------------------- bodies and keys


def _read_body(request: HttpRequest) -> bytes:
    """The body, unpacked; never more than the limit is held."""
    most: int = settings.TRACKING_BATCH_MAX_BYTES
    too_large = Refusal(413, "too_large", f"A request may have at most {most:,} bytes. Send less at a time.")
    raw = request.read(most + 1)
    if len(raw) > most:
        raise too_large
    if request.headers.get("Content-Encoding", "").strip().lower() != "gzip":
        return raw
    unpacking = zlib.decompressobj(wbits=31)
    try:
        body = unpacking.decompress(raw, most + 1)
    except zlib.error:
        raise Refusal(400, "invalid", "The body is not gzip, although its header says so.") from None
    if len(body) > most:
        raise too_large
    if not unpacking.eof:
        raise Refusal(400, "invalid", "The gzip body ends too early.")
    return body


def _read_json(raw: bytes) -> dict[str, Any]:
    """Whatever the content type says: browsers send text/plain to be spared a preflight."""
    try:
        body = read_json(raw)
    except ParseError as error:
        raise Refusal(400, "invalid", str(error.detail)) from None
    if not isinstance(body, dict):
        raise Refusal(400, "invalid", "The body has to be a JSON object.")
    return body


def _authenticate(request: HttpRequest, body: dict[str, Any]) -> ApiKey:
    key = keys.authenticate(token) if (token := _token(request, body)) else None
    if key is None or not _may(key):
        raise Refusal(401, "unauthorized", _UNKNOWN)
    return key


def _token(request: HttpRequest, body: dict[str, Any]) -> str:
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return b64decode(rest.strip(), validate=True).decode().partition(":")[0]
        except (NotBase64, UnicodeDecodeError):
            return ""
    given = request.headers.get("X-Write-Key") or body.get("writeKey")
    return given.strip() if isinstance(given, str) else ""


def _may(key: ApiKey | None) -> bool:
    return key is not None and key_allows(key, "events:write")
