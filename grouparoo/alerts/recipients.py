"""Who is told of problems. The only writer of `AlertRecipients`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils.translation import gettext

from core.accounts import audit, mail
from core.accounts.actors import Actor
from core.lib.errors import InvalidInput
from core.lib.hosts import is_private
from core.lib.secrets import decrypt, encrypt, rotate
from grouparoo.alerts.models import AlertRecipients
from plugins.contracts import Halt
from plugins.webhook.receiver import read_receiver

MOST_EMAILS = 20
EMAIL, WEBHOOK = "email", "webhook"


@dataclass(frozen=True, slots=True)
class Recipients:
    """Who is told now. `secret` is for signing and leaves this process in no other way."""

    emails: Sequence[str]
    webhook_url: str
    secret: str
    base_url: str

    @property
    def channels(self) -> list[dict[str, str]]:
        """Everyone who is told, as incidents keep them; email only where there is a server for it."""
        emails = [{EMAIL: address} for address in self.emails] if mail.is_on() else []
        return emails + ([{WEBHOOK: self.webhook_url}] if self.webhook_url else [])


def read() -> Recipients:
    """As they are now."""
    row = AlertRecipients.objects.filter(pk=1).first() or AlertRecipients()
    kept = decrypt(row.secrets, settings.GROUPAROO_SECRET_KEYS)
    return Recipients(row.emails, row.webhook_url, kept.get("secret", ""), row.base_url)


def change(given: Mapping[str, Any], *, base_url: str, actor: Actor) -> Recipients:
    """Change what is given of emails, webhook_url and secret (which is kept when it is empty). Raises InvalidInput."""
    AlertRecipients.objects.bulk_create([AlertRecipients(pk=1)], ignore_conflicts=True)
    with transaction.atomic():
        row = AlertRecipients.objects.select_for_update(no_key=True).get(pk=1)
        before, old = _seen(row), read()
        row.emails = _read_emails(given.get("emails", old.emails))
        row.webhook_url = str(given.get("webhook_url", old.webhook_url)).strip()
        secret = str(given.get("secret") or "").strip() or (old.secret if row.webhook_url else "")
        _check_webhook(row.webhook_url, secret)
        row.secrets = encrypt({"secret": secret} if secret else {}, settings.GROUPAROO_SECRET_KEYS)
        row.base_url = base_url.rstrip("/")[:300]
        row.save()
        if secret != old.secret or _seen(row) != before:
            audit.record("alerts.update", row, before=before, after=_seen(row), actor=actor)
    return read()


def rotate_secrets() -> None:
    """Encrypt the secret with the newest key."""
    for row in AlertRecipients.objects.all():
        AlertRecipients.objects.filter(pk=row.pk).update(secrets=rotate(row.secrets, settings.GROUPAROO_SECRET_KEYS))


def _seen(row: AlertRecipients) -> dict[str, Any]:
    return {"emails": row.emails, "webhook_url": row.webhook_url}


def _read_emails(given: Sequence[str]) -> list[str]:
    emails = list(dict.fromkeys(each.strip().lower() for each in given if each.strip()))
    for email in emails:
        try:
            validate_email(email)
        except ValidationError:
            message = gettext("“%(email)s” is not an email address.") % {"email": email}
            raise InvalidInput(message, {"emails": message}) from None
    if len(emails) > MOST_EMAILS:
        message = gettext("At most %(most_emails)s addresses: use a list of your mail server for more.") % {
            "most_emails": MOST_EMAILS
        }
        raise InvalidInput(message, {"emails": message})
    return emails


def _check_webhook(url: str, secret: str) -> None:
    if not url:
        return
    if not secret:
        message = gettext("Give the signing secret, or the receiver cannot tell our messages from anyone's.")
        raise InvalidInput(message, {"secret": message})
    try:
        receiver = read_receiver({"url": url, "secret": secret})
    except Halt as error:
        field = "secret" if "secret" in error.reason else "webhook_url"
        raise InvalidInput(error.reason, {field: error.reason}) from None
    if not settings.GROUPAROO_ALLOW_PRIVATE_HOSTS and is_private(receiver.host):
        message = gettext(
            "“%(host)s” is inside a private network. Whoever runs this installation can allow that "
            "by setting GROUPAROO_ALLOW_PRIVATE_HOSTS."
        ) % {"host": receiver.host}
        raise InvalidInput(message, {"webhook_url": message})
