"""A create that is sent twice happens once: the caller names it by an `Idempotency-Key` of its own.

The only writer of `IdempotentAnswer`. The first request claims the key in the database, acts, and keeps its answer for
24 hours; whoever repeats it gets that answer again. A request that failed gives the key back. When a process died
between acting and answering nobody can know what happened: the key stays taken, and the answer says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256

from django.db.models.functions import Now
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from core.lib.errors import InvalidInput, Refused
from core.rest.auth import actor_of
from core.rest.models import IdempotentAnswer
from core.rest.rendering import JsonRenderer

HEADER = "Idempotency-Key"
KEPT = timedelta(hours=24)
LONGEST = 200
_ANSWERS_WITHIN = timedelta(minutes=2)  # a request that took longer than this will never be answered
_KEY = re.compile(r"[!-~]{1,200}")


def answer_once(request: Request, act: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """What `act` answers, or what it answered the first time this caller sent this key.

    Raises InvalidInput for a key that cannot be used, Refused for one that names another request or one that is still
    being worked on.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return act()
    if not _KEY.fullmatch(key):
        message = f"An {HEADER} has 1 to {LONGEST} visible ASCII characters, such as a UUID."
        raise InvalidInput(message, {HEADER: message})
    IdempotentAnswer.objects.filter(created_at__lt=Now() - KEPT).delete()
    caller, fingerprint = actor_of(request).cause, _fingerprint(request)
    row, is_first = IdempotentAnswer.objects.get_or_create(
        caller=caller, key=key, defaults={"fingerprint": fingerprint}
    )
    if not is_first:
        return _repeat(row, fingerprint)
    kept = IdempotentAnswer.objects.filter(pk=row.pk)
    try:
        response = act()
    except BaseException:
        kept.delete()
        raise
    if isinstance(response, Response) and response.status_code < 300:
        kept.update(status=response.status_code, body=JsonRenderer().render(response.data).decode())
    else:
        kept.delete()
    return response


def _repeat(row: IdempotentAnswer, fingerprint: str) -> HttpResponse:
    if row.fingerprint != fingerprint:
        raise Refused(f"This {HEADER} was sent with another request before. Use a new one for each thing you make.")
    if row.status is None:
        if row.created_at < timezone.now() - _ANSWERS_WITHIN:
            raise Refused("Nobody knows what became of the first such request. Look whether it did its work.")
        raise Refused("The first such request is still being worked on. Send it again in a moment.")
    response = HttpResponse(row.body, status=row.status, content_type="application/json")
    response["Idempotency-Replayed"] = "true"
    return response


def _fingerprint(request: Request) -> str:
    body = json.dumps(request.data, sort_keys=True, default=str)
    return sha256(f"{request.method} {request.get_full_path()} {body}".encode(errors="surrogatepass")).hexdigest()
