"""Paging by cursor, for every list that grows: the page stays right while rows come and go before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import Model, QuerySet
from rest_framework import exceptions
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

Row = TypeVar("Row", bound=Model)


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
) -> Response:
    """One page of `rows`; `show` turns all of them into their answers at once, so that it may read in bulk."""
    pages = Pages()
    pages.ordering = (ordering,) if isinstance(ordering, str) else ordering  # type: ignore[assignment]  # DRF takes both
    found = pages.paginate_queryset(rows, request) or []
    return pages.get_paginated_response(list(show(found)))
