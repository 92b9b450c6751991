"""How logs are written: lines for people, or one JSON object a line for programs (`LOG_FORMAT=json`).

Each line carries the id of the request or the task in which it was written: `request_id` is what the answer's
X-Request-ID said, `task_id` is Celery's.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any

from celery import current_task
from django.http import HttpRequest, HttpResponseBase
from pythonjsonlogger.json import JsonFormatter

from core.lib import request_ids

_NAMES = {"levelname": "level", "name": "logger", "processName": "process"}
_requests = logging.getLogger("grouparoo.requests")


# Addresses that are secrets themselves: those of webhooks, what a browser's client asks with its write key,
# invitations, and links for a new password.
_SECRET_PATHS = re.compile(r"(/hooks/\d+/|/v1/projects/|/invitation/|/new-password/[^/?\s]+/)[^/?\s]+")


def _masked(text: str) -> str:
    return _SECRET_PATHS.sub(r"\1…", text)


class Context(logging.Filter):
    """Adds what a line belongs to, and takes secrets out of addresses."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_masked(each) if isinstance(each, str) else each for each in record.args)
        if isinstance(path := getattr(record, "path", None), str):
            record.path = _masked(path)
        if request_id := request_ids.current():
            record.request_id = request_id
        request = getattr(current_task, "request", None)
        if request is not None and getattr(request, "id", None):
            record.task_id, record.task = request.id, current_task.name
        record.context = "".join(
            f" [{name} {value}]" for name in ("request_id", "task_id") if (value := getattr(record, name, None))
        )
        return True


class Lines(JsonFormatter):
    """One object a line: time (UTC, ISO 8601), level, logger, message, ids, exception."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={**_NAMES, "asctime": "time"},
            json_ensure_ascii=False,
        )
        self.converter = time.gmtime

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  its name there
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        log_data.pop("context", None)
        log_data.pop("request", None)  # Django's loggers bring the whole object
        return super().process_log_record(log_data)


class RequestLog:
    """A line for each request that was answered: method, path without its query, status, milliseconds."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        response = self.get_response(request)
        if _requests.isEnabledFor(logging.INFO):
            figures = {
                "method": request.method,
                "path": request.path,
                "status": response.status_code,
                "ms": round((time.perf_counter() - started) * 1000, 1),
            }
            _requests.info("%s %s %s", request.method, request.path, response.status_code, extra=figures)
        return response


def configure(*, level: str, json: bool) -> dict[str, Any]:
    """The value of Django's LOGGING. Requests are written one by one only as JSON: a terminal would drown in them."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"context": {"()": "grouparoo.logs.Context"}},
        "formatters": {
            "line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s%(context)s"},
            "json": {"()": "grouparoo.logs.Lines"},
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "json" if json else "line",
                "filters": ["context"],
            }
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {"grouparoo.requests": {"level": level if json else "WARNING"}},
    }
