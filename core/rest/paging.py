"""Paging by cursor, for every list that grows: the page stays right while rows come and go before it."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DataError, OperationalError, connection, transaction
from django.db.models import Q, QuerySet
from psycopg2 import errorcodes
from rest_framework import exceptions
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from core.lib.errors import InvalidInput

_PATIENCE_SECONDS = 3


class Pages(CursorPagination):
    """Fifty at a time, up to five hundred by `?limit=`. The view or a subclass sets `ordering`, unique and indexed."""

    page_size = 50
    max_page_size = 500
    page_size_query_param = "limit"
    ordering = "-id"
    invalid_cursor_message = "This cursor does not belong to this list. Start again without one."

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """The rows of the page. A cursor of another list is an error of the caller."""
        try:
            return super().paginate_queryset(queryset, request, view=view)
        except (ValueError, ValidationError, DataError):  # its place is no value of this list's order
            raise exceptions.NotFound(self.invalid_cursor_message) from None


def answer_page(
    request: Request,
    rows: QuerySet[Any],
    *,
    ordering: str | tuple[str, ...],
    show: Callable[[Sequence[Any]], Sequence[Any]],
    is_search: bool = False,
) -> Response:
    """One page of `rows`; `show` turns all of them into their answers at once, so that it may read in bulk.

    A search whose filters no index serves is given up after some seconds, with a sentence on how to narrow it.
    """
    pages = Pages()
    pages.ordering = (ordering,) if isinstance(ordering, str) else ordering  # type: ignore[assignment]  # DRF takes both
    with _patience() if is_search else nullcontext():
        found = pages.paginate_queryset(rows, request) or []
    return pages.get_paginated_response(list(show(found)))


def answer_log(request: Request, rows: QuerySet[Any], *, show: Callable[[Sequence[Any]], Sequence[Any]]) -> Response:
    """One page of a log, the latest first: rows with `at` and `id`, of which thousands may have the same time."""
    pages = Pages()
    size = pages.get_page_size(request) or Pages.page_size
    cursor = request.query_params.get("cursor")
    if cursor:
        at, id_ = _read_place(cursor)
        rows = rows.filter(Q(at__lt=at) | Q(at=at, id__lt=id_), at__lte=at)
    found = list(rows.order_by("-at", "-id")[: size + 1])
    following = None
    if len(found) > size:
        last = found[size - 1]
        place = urlsafe_b64encode(f"{last.at.isoformat()}_{last.id}".encode()).decode()
        following = replace_query_param(request.build_absolute_uri(), "cursor", place)
    return Response({"next": following, "previous": None, "results": list(show(found[:size]))})


def _read_place(cursor: str) -> tuple[datetime, int]:
    try:
        at, _, id_ = urlsafe_b64decode(cursor.encode()).decode().rpartition("_")
        when = datetime.fromisoformat(at)
        if when.tzinfo is None:
            raise ValueError(at)
        return when, int(id_[:19])
    except ValueError:
        raise exceptions.NotFound(Pages.invalid_cursor_message) from None


@contextmanager
def _patience() -> Iterator[None]:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("set local statement_timeout = %s", [f"{_PATIENCE_SECONDS}s"])
            yield
            cursor.execute("set local statement_timeout = default")
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) != errorcodes.QUERY_CANCELED:
            raise
        message = f"This search takes more than {_PATIENCE_SECONDS} seconds. Narrow it, such as by since and until."
        raise InvalidInput(message) from None
