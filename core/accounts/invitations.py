"""Invitations into the team. The only writer of `Invitation`.

A link is good once, for seven days, until it is revoked or made anew. It is signed, so that made-up ones are refused
without asking the database; only its SHA-256 is kept.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from hashlib import sha256
from typing import Any

from django.core.signing import BadSignature, Signer
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from core.accounts import audit, mail, people, project
from core.accounts.actors import Actor
from core.accounts.models import Invitation, User
from core.lib.errors import InvalidInput, NotFound, Refused

LIFETIME = timedelta(days=7)
GONE = gettext_lazy(
    "This invitation was used, revoked or is older than seven days. Ask an admin of your team for a new one."
)


def invite(email: str, role: str, *, actor: Actor) -> tuple[Invitation, str]:
    """Ask someone into the team; the invitation and the token of its link. Raises InvalidInput."""
    address, wanted = people.read_email(email), people.read_role(role)
    if User.objects.filter(email=address).exists():
        message = gettext("%(address)s is in the team already.") % {"address": address}
        raise InvalidInput(message, {"email": message})
    token = _make_token()
    invitation = Invitation(
        email=address,
        role=wanted,
        token_hash=_hash(token),
        expires_at=timezone.now() + LIFETIME,
        created_by_id=actor.id if actor.kind == "person" else None,
    )
    try:
        with transaction.atomic():
            invitation.save(force_insert=True)
            audit.record("invitation.create", invitation, after=_seen(invitation), actor=actor)
    except IntegrityError:
        message = gettext(
            "There is an invitation for %(address)s already. Send it again from the team page, or revoke it."
        ) % {"address": address}
        raise InvalidInput(message, {"email": message}) from None
    return invitation, token


def renew(invitation_id: int, *, actor: Actor) -> tuple[Invitation, str]:
    """A new link, good for seven days; the one before leads nowhere any more."""
    with transaction.atomic():
        invitation = _lock_open(invitation_id)
        before, token = _seen(invitation), _make_token()
        invitation.token_hash, invitation.expires_at = _hash(token), timezone.now() + LIFETIME
        invitation.save(update_fields=["token_hash", "expires_at"])
        audit.record("invitation.renew", invitation, before=before, after=_seen(invitation), actor=actor)
    return invitation, token


def revoke(invitation_id: int, *, actor: Actor) -> Invitation:
    """The link leads nowhere any more."""
    with transaction.atomic():
        invitation = _lock_open(invitation_id)
        invitation.revoked_at = timezone.now()
        invitation.save(update_fields=["revoked_at"])
        audit.record("invitation.revoke", invitation, before=_seen(invitation), actor=actor)
    return invitation


def find(token: str) -> Invitation:
    """What a link leads to. Raises NotFound when it is no good, with what to do."""
    found = Invitation.objects.filter(
        token_hash=_read_token(token), accepted_at=None, revoked_at=None, expires_at__gt=Now()
    ).first()
    if found is None:
        raise NotFound(GONE)
    return found


def accept(token: str, *, name: str, password: str) -> User:
    """Someone follows their link and is in the team. Raises NotFound, or InvalidInput for a weak password."""
    with transaction.atomic():
        invitation = Invitation.objects.select_for_update(no_key=True).get(pk=find(token).pk)
        if invitation.accepted_at or invitation.revoked_at or invitation.token_hash != _read_token(token):
            raise NotFound(GONE)  # another request was faster
        invited = Actor("person", None, invitation.email, invitation.role)
        user = people.create_user(invitation.email, name=name, password=password, role=invitation.role, actor=invited)
        invitation.accepted_at = timezone.now()
        invitation.save(update_fields=["accepted_at"])
        audit.record("invitation.accept", invitation, actor=Actor.person(user))
    return user


def path_of(token: str) -> str:
    """The address below the root that a link leads to."""
    return reverse("accounts:join", args=[token])


def send(invitation: Invitation, *, link: str, actor: Actor) -> None:
    """Send a link by email. Raises NotSent."""
    subject = gettext("%(actor)s invites you to %(project)s") % {
        "actor": actor.label,
        "project": project.current().name,
    }
    context = {"url": link, "sender": actor.label, "invitation": invitation}
    mail.send(invitation.email, subject=subject, template="accounts/mail_invitation.txt", context=context)


def list_open() -> list[Invitation]:
    """Those that were neither used nor revoked, the latest first; also those whose time is over."""
    found = Invitation.objects.filter(accepted_at=None, revoked_at=None)
    return list(found.select_related("created_by").order_by("-created_at", "-pk"))


def _lock_open(invitation_id: int) -> Invitation:
    invitation = Invitation.objects.select_for_update(no_key=True).filter(pk=invitation_id).first()
    if invitation is None:
        raise NotFound(gettext("There is no such invitation."))
    if invitation.accepted_at is not None:
        raise Refused(
            gettext("%(invitation)s has accepted this invitation and is in the team.")
            % {"invitation": invitation.email}
        )
    if invitation.revoked_at is not None:
        raise Refused(gettext("This invitation was revoked. Invite them anew."))
    return invitation


def _seen(invitation: Invitation) -> dict[str, Any]:
    return {"email": invitation.email, "role": invitation.role, "expires_at": invitation.expires_at}


def _signer() -> Signer:
    return Signer(salt="invitation")


def _make_token() -> str:
    return _signer().sign(secrets.token_urlsafe(32))


def _read_token(token: str) -> str:
    """Its hash. Raises NotFound for one that was never made here."""
    try:
        _signer().unsign(token)
    except BadSignature:
        raise NotFound(GONE) from None
    return _hash(token)


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
