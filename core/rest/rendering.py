"""Writes JSON answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson
from django.core.serializers.json import DjangoJSONEncoder
from rest_framework.renderers import BaseRenderer


class JsonRenderer(BaseRenderer):
    """Compact JSON in UTF-8; times in UTC with a Z. What orjson does not know, Django's encoder writes."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        """`data` as JSON; nothing for None, as a 204 has no body."""
        if data is None:
            return b""
        try:
            return orjson.dumps(data, option=orjson.OPT_UTC_Z)
        except TypeError:
            return json.dumps(data, cls=DjangoJSONEncoder).encode()
