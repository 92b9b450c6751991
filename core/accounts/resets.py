"""A new password for whoever forgot theirs, by a link that is good once and for an hour.

The link's token is Django's: it is made from the password it replaces, so it ends with it, and nothing is stored. What
is asked for by email is sent by a worker, so that the answer takes as long for an address that nobody has.
"""

from __future__ import annotations

import logging
from urllib.parse import urljoin

from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.urls import reverse
from django.utils.encoding import force_str
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode
from django.utils.translation import gettext, gettext_lazy

from core.accounts import audit, mail, people, project
from core.accounts.actors import Actor
from core.accounts.models import User
from core.lib.errors import NotFound, Refused
from core.work import leases
from core.work.leases import Lease
from core.work.wake import wake

WORK = "password_reset"
MOST_FAILURES = 5  # about six minutes of a mail server that takes nothing
GONE = gettext_lazy("This link was used or is older than an hour. Ask for a new one.")

log = logging.getLogger(__name__)


def ask(email: str, *, root: str) -> None:
    """Have a link sent to this address if someone signs in with it; `root` is where the pages begin."""
    user = User.objects.filter(email=email.strip().lower(), is_active=True).first()
    if user is not None:
        leases.enqueue(kind=WORK, subject=str(user.pk), mark={"root": root})
        wake("password_resets")


def send_some() -> bool:
    """Send one link that was asked for; whether it is worth coming back."""
    return leases.run_slice(WORK, _send)


def make_path(user: User) -> str:
    """Where a link for this person leads, below the root; good for an hour, until a password is set or they sign in."""
    who = urlsafe_base64_encode(str(user.pk).encode())
    return reverse("accounts:new_password", args=[who, default_token_generator.make_token(user)])


def make_path_by_hand(person_id: int, *, actor: Actor) -> tuple[User, str]:
    """The same for an admin, who gives it to them in a safe way; this is written down."""
    with transaction.atomic():
        user = User.objects.filter(pk=person_id).first()
        if user is None:
            raise NotFound(gettext("There is no such person."))
        if not user.is_active:
            raise Refused(gettext("This account is switched off. Switch it on first."))
        audit.record("person.make_reset_link", user, actor=actor)
    return user, make_path(user)


def find(who: str, token: str) -> User:
    """Whose password a link may change. Raises NotFound when it is no good."""
    return _find(who, token, is_locked=False)


def reset(who: str, token: str, password: str) -> User:
    """Change it, which ends all sessions. Raises NotFound, or InvalidInput for a weak password."""
    with transaction.atomic():
        user = _find(who, token, is_locked=True)  # a second use waits here, and finds the link used
        return people.set_password(user.pk, password, actor=Actor.person(user))


def _send(lease: Lease) -> bool:
    """A server that does not take it is tried again for some minutes; the link is made anew each time."""
    user = User.objects.filter(pk=int(lease.subject), is_active=True).first()
    if user is not None:
        url = urljoin(lease.mark["root"], make_path(user))
        subject = gettext("A new password for %(project)s") % {"project": project.current().name}
        try:
            mail.send(user.email, subject=subject, template="accounts/mail_password.txt", context={"url": url})
        except mail.NotSent as error:
            log.warning("a link for a new password was not sent: %s", error.__cause__)
            if lease.failures + 1 < MOST_FAILURES:
                lease.fail_slice(str(error.__cause__))
                return False
    lease.finish()
    leases.forget([lease.work_id])
    return False


def _find(who: str, token: str, *, is_locked: bool) -> User:
    try:
        person_id = int(force_str(urlsafe_base64_decode(who))[:18])
    except ValueError:
        raise NotFound(GONE) from None
    found = User.objects.select_for_update(no_key=True) if is_locked else User.objects.all()
    user = found.filter(pk=person_id, is_active=True).first()
    if user is None or not default_token_generator.check_token(user, token):
        raise NotFound(GONE)
    return user
