"""Email to people of the team, where a server for it is configured (`EMAIL_URL`). Plain text, one template each.

A server may take seconds to answer: nothing is sent inside a transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils.translation import gettext

from core.accounts import project
from core.lib.errors import ProductError


class NotSent(ProductError):
    """The email could not be sent. Look at EMAIL_URL, or give the link to them in another way."""


def is_on() -> bool:
    """Whether this installation sends email."""
    return bool(settings.EMAIL_HOST)


def send(to: str, *, subject: str, template: str, context: Mapping[str, Any]) -> None:
    """Send one now. Raises NotSent, with what the server said."""
    text = render_to_string(template, {**context, "project_name": project.current().name})
    try:
        EmailMessage(" ".join(subject.split()), text, to=[to]).send()
    except OSError as error:  # smtplib's errors are OSErrors, too
        said = " ".join(str(error).split())[:300]
        raise NotSent(
            gettext("The email to %(to)s could not be sent: %(said)s.")
            % {"to": to, "said": said or type(error).__name__}
        ) from error
