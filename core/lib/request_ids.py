"""The id of the request being answered, for error answers and logs. Set by `core/rest/middleware.py`."""

from __future__ import annotations

import re
from contextvars import ContextVar
from uuid import uuid4

_current: ContextVar[str] = ContextVar("request_id", default="")
_GIVEN = re.compile(r"[A-Za-z0-9._-]{8,64}")


def begin(given: str | None) -> str:
    """The id of a new request: the one a proxy gave it, if it looks like one, else a new one."""
    request_id = given if given and _GIVEN.fullmatch(given) else uuid4().hex
    _current.set(request_id)
    return request_id


def current() -> str:
    """The id of the request being answered, "" outside of requests."""
    return _current.get()
