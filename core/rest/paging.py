"""Paging by cursor, for every list that grows: the page stays right while rows come and go before it."""

from __future__ import annotations

from rest_framework.pagination import CursorPagination


class Pages(CursorPagination):
    """Fifty at a time, up to five hundred by `?limit=`. The view or a subclass sets `ordering`, unique and indexed."""

    page_size = 50
    max_page_size = 500
    page_size_query_param = "limit"
    ordering = "-id"
    invalid_cursor_message = "This cursor does not belong to this list. Start again without one."
