"""Addresses for tools' webhooks: making, changing, listening. The only writer of `Hook` and `HookCall`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext

from apps_connectors.models import App
from core.accounts import audit
from core.accounts.actors import Actor
from core.lib.errors import InvalidInput, NotFound
from core.lib.mentions import Mentions
from core.lib.secrets import decrypt, encrypt, rotate
from events.hook_bodies import CHECKS, OWN_PATHS, is_signing_secret
from events.models import Hook, HookCall
from profiles import ruleset

LISTENS = timedelta(minutes=10)
KEPT_CALLS = 10
_LONGEST_BODY = 20_000  # characters of a call that are kept to be looked at
_PATH_LENGTH = 200


def find_hook(app_id: int) -> Hook:
    """The hook of an App; raises NotFound."""
    hook = Hook.objects.select_related("app").filter(app_id=app_id).first()
    if hook is None:
        raise NotFound(gettext("This App has no address for webhooks yet."))
    return hook


def authenticate(app_id: int, secret: str) -> Hook | None:
    """The hook with this address, unless its App is paused or there is none."""
    hook = Hook.objects.select_related("app").filter(app_id=app_id).first()
    given = sha256(secret.encode()).hexdigest()
    if hook is None or not compare_digest(hook.secret_hash, given) or hook.app.paused_at is not None:
        return None
    return hook


def create_hook(app_id: int, *, actor: Actor) -> Hook:
    """Give an App an address; the one it has already stays."""
    app = App.objects.filter(pk=app_id).first()
    if app is None:
        raise NotFound(gettext("There is no such App."))
    token = secrets.token_urlsafe(24)
    with transaction.atomic():
        hook, made = Hook.objects.get_or_create(app=app, defaults=_address(token, signing=""))
        if made:
            audit.record("hook.create", hook, after={"app": app.name}, actor=actor)
    return hook


def renew_address(app_id: int, *, actor: Actor) -> Hook:
    """Another secret in the address: the old one opens nothing from now on."""
    hook = find_hook(app_id)
    with transaction.atomic():
        for name, value in _address(secrets.token_urlsafe(24), signing=read_secrets(hook)["signing"]).items():
            setattr(hook, name, value)
        hook.save()
        audit.record("hook.renew", hook, actor=actor)
    return hook


def update_hook(
    app_id: int,
    *,
    mapping: Mapping[str, Any],
    signature: str = "none",
    signature_header: str = "",
    signing_secret: str | None = None,
    actor: Actor,
) -> Hook:
    """Say what bodies mean and how they are signed. `signing_secret` None stays. Raises InvalidInput."""
    hook = find_hook(app_id)
    before = describe(hook)
    if not isinstance(mapping, Mapping):
        raise InvalidInput(
            gettext("The mapping has to be an object."), {"mapping": gettext("Give fields, type and the other paths.")}
        )
    kept = read_secrets(hook)
    signing = kept["signing"] if signing_secret is None else signing_secret.strip()
    _check_signing(signature, signature_header, signing)
    with transaction.atomic():
        hook.mapping = _read_mapping(mapping)
        hook.signature, hook.signature_header = signature, signature_header.strip()
        hook.secrets = encrypt({**kept, "signing": signing}, settings.GROUPAROO_SECRET_KEYS)
        hook.save()
        if describe(hook) != before or signing != kept["signing"]:
            audit.record("hook.update", hook, before=before, after=describe(hook), actor=actor)
    return hook


def delete_hook(app_id: int, *, actor: Actor) -> None:
    """Close the address; what came stays."""
    hook = find_hook(app_id)
    with transaction.atomic():
        audit.record("hook.delete", hook, before=describe(hook), actor=actor)
        hook.delete()


def listen(app_id: int) -> Hook:
    """Keep the calls of the next minutes, to be looked at."""
    hook = find_hook(app_id)
    hook.listening_until = timezone.now() + LISTENS
    hook.save(update_fields=["listening_until"])
    return hook


def keep_call(hook: Hook, body: bytes, answer: str) -> None:
    """Keep a call while someone listens, and no more than the last few."""
    if hook.listening_until is None or hook.listening_until < timezone.now():
        return
    text = body[:_LONGEST_BODY].decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    HookCall.objects.create(hook=hook, body=text, answer=answer[:500])
    old = HookCall.objects.filter(hook=hook).order_by("-pk").values_list("pk", flat=True)[KEPT_CALLS:]
    HookCall.objects.filter(pk__in=list(old)).delete()


def calls_of(hook: Hook) -> list[HookCall]:
    """The last calls that were kept, the latest first."""
    return list(hook.calls.order_by("-pk")[:KEPT_CALLS])


def read_secrets(hook: Hook) -> dict[str, str]:
    """{"address", "signing"}."""
    return decrypt(hook.secrets, settings.GROUPAROO_SECRET_KEYS)


def rotate_secrets() -> None:
    """Encrypt every hook's secrets with the newest key, in the caller's transaction."""
    found = list(Hook.objects.select_for_update(no_key=True).order_by("pk"))
    for hook in found:
        hook.secrets = rotate(hook.secrets, settings.GROUPAROO_SECRET_KEYS)
    Hook.objects.bulk_update(found, ["secrets"])


def describe(hook: Hook) -> dict[str, Any]:
    """A hook as the audit log and the API show it, without its secrets."""
    return {"mapping": hook.mapping, "signature": hook.signature, "signature_header": hook.signature_header}


def _address(token: str, *, signing: str) -> dict[str, str]:
    return {
        "secret_hash": sha256(token.encode()).hexdigest(),
        "secrets": encrypt({"address": token, "signing": signing}, settings.GROUPAROO_SECRET_KEYS),
    }


def _check_signing(check: str, header: str, secret: str) -> None:
    if check not in CHECKS:
        raise InvalidInput(
            gettext("Choose one of %(checks)s.") % {"checks": ", ".join(CHECKS)},
            {"signature": gettext("Choose how bodies are signed.")},
        )
    if check != "none" and not secret:
        message = gettext("Give the secret that the tool signs with.")
        raise InvalidInput(message, {"signing_secret": message})
    if check == "standard" and not is_signing_secret(secret):
        message = gettext("This is no secret of Standard Webhooks: it is base64, usually after whsec_.")
        raise InvalidInput(message, {"signing_secret": message})
    if check in ("sha1", "sha256") and not header.strip():
        message = gettext("Name the header that holds the signature, such as X-Hub-Signature-256.")
        raise InvalidInput(message, {"signature_header": message})


def _read_mapping(given: Mapping[str, Any]) -> dict[str, Any]:
    fields = given.get("fields") or {}
    if not isinstance(fields, Mapping):
        raise InvalidInput(
            gettext("The fields have to be paths by property key."), {"mapping": gettext("Give paths by property key.")}
        )
    known = ruleset.load().by_key
    problems = {}
    for key, path in fields.items():
        if key not in known:
            problems[f"fields.{key}"] = gettext("There is no property %(key)s.") % {"key": key}
        elif not isinstance(path, str) or not path.strip() or len(path) > _PATH_LENGTH:
            problems[f"fields.{key}"] = gettext("Say where in the body it stands, such as data.email.")
    if problems:
        raise InvalidInput(" ".join(problems.values()), problems)
    mapping: dict[str, Any] = {"fields": {key: path.strip() for key, path in fields.items()}}
    for name in OWN_PATHS:
        mapping[name] = str(given.get(name) or "").strip()[:_PATH_LENGTH]
    return mapping


def forget_calls(mentions: Mentions) -> int:
    """Delete the kept calls that name a person who is being erased; how many. In the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from hook_call where concat(body, answer) ilike any(%(patterns)s)", mentions.parameters()
        )
        return int(cursor.rowcount)
