"""Addresses for tools' webhooks, over HTTP: one for an App."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.rest.auth import actor_of
from core.rest.endpoint import Endpoint, operation, scopes_of
from core.rest.reading import Body, read_body
from events import hooks
from events.hook_bodies import CHECKS
from events.models import Hook


class HookBody(Body):
    """What an App's webhook means."""

    mapping = serializers.DictField(required=False, help_text="fields, type, message_id, occurred_at, items: paths.")
    signature = serializers.ChoiceField(list(CHECKS), required=False)
    signature_header = serializers.CharField(required=False, allow_blank=True, max_length=100)
    signing_secret = serializers.CharField(
        required=False, allow_blank=True, max_length=500, help_text="Left out, it stays; it is never answered."
    )


class HookAnswer(serializers.Serializer[Hook]):
    """An App's webhook."""

    app_id = serializers.IntegerField()
    address = serializers.CharField(help_text="Where the tool sends to: a secret.")
    mapping = serializers.DictField()
    signature = serializers.CharField()
    signature_header = serializers.CharField(allow_blank=True)


class OneHook(Endpoint):
    """The webhook of an App."""

    required_scope = {**scopes_of("apps"), "GET": "apps:write"}  # the address is a secret

    @operation("read_hook", answers=HookAnswer)
    def get(self, request: Request, app_id: int) -> Response:
        """Its address, and what its bodies mean."""
        return Response(_show(request, hooks.find_hook(app_id)))

    @operation("make_hook", body=HookBody, answers=HookAnswer)
    def put(self, request: Request, app_id: int) -> Response:
        """Give the App an address, or change what the one it has means."""
        given = read_body(request, HookBody)
        hook = hooks.create_hook(app_id, actor=actor_of(request))
        if given:
            hook = hooks.update_hook(
                app_id,
                mapping=given.get("mapping", hook.mapping),
                signature=given.get("signature", hook.signature),
                signature_header=given.get("signature_header", hook.signature_header),
                signing_secret=given.get("signing_secret"),
                actor=actor_of(request),
            )
        return Response(_show(request, hook))

    @operation("delete_hook", status=204)
    def delete(self, request: Request, app_id: int) -> Response:
        """Close the address; events that came stay."""
        hooks.delete_hook(app_id, actor=actor_of(request))
        return Response(status=204)


def _show(request: Request, hook: Hook) -> dict[str, Any]:
    address = reverse("hooks:door", args=[hook.app_id, hooks.read_secrets(hook)["address"]])
    return {"app_id": hook.app_id, "address": request.build_absolute_uri(address), **hooks.describe(hook)}
