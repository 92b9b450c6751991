"""Tells one recipient of one incident, with retries for a day.

A worker that is killed between the answer and writing it down tells once more, under the same `webhook-id`; it never
stays untold. Who is told of the beginning is told of the end after it, in this order.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext

from core.accounts import mail
from core.lib.json import dumps
from core.work import leases
from core.work.leases import Lease
from core.work.models import UNFINISHED, Work, WorkState
from grouparoo.alerts import recipients
from grouparoo.alerts.models import Incident
from grouparoo.alerts.recipients import EMAIL, Recipients
from grouparoo.alerts.watching import KIND, OPENED, RECOVERED, subject_of
from plugins.contracts import Halt, OutcomeKind, Retry
from plugins.webhook.answers import name, read_reply
from plugins.webhook.calling import Line
from plugins.webhook.headers import make_headers
from plugins.webhook.receiver import read_receiver

GIVE_UP = timedelta(hours=24)
_WAITS_SECONDS = 15.0  # the end for its beginning to arrive
_OURS = UUID("5b0d6f0a-5a1e-4f0e-9a2b-0f6f9a3c7d11")


class NotTold(Exception):
    """A recipient could not be told. `is_final`: trying again would not help."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.is_final = reason, is_final


def work_slice() -> bool:
    """Tell those who are to be told for a slice; whether it is worth coming back at once."""
    return leases.run_slice(KIND, tell_one)


def tell_one(lease: Lease) -> bool:
    """One recipient of one incident."""
    incident_id, phase, place = lease.subject.split(":")
    incident = Incident.objects.filter(pk=incident_id).first()
    if incident is None or lease.stop_requested:
        lease.finish(state=WorkState.STOPPED)
        return False
    if phase == RECOVERED and not _knows(incident, int(place), lease):
        return False
    try:
        tell(recipients.read(), incident.channels[int(place)], incident, phase)
    except NotTold as error:
        began = (incident.recovered_at if phase == RECOVERED else None) or incident.opened_at
        if error.is_final or timezone.now() - began > GIVE_UP:
            lease.finish(state=WorkState.FAILED, error=error.reason)
        else:
            lease.fail_slice(error.reason)
        return False
    lease.finish()
    return False


def _knows(incident: Incident, place: int, lease: Lease) -> bool:
    """Whether the recipient was told of the beginning; waits while that is under way, ends what never was."""
    opened = Work.objects.filter(kind=KIND, subject=subject_of(incident, OPENED, place)).order_by("-id").first()
    if opened is not None and opened.state == WorkState.COMPLETE:
        return True
    if opened is not None and opened.state in UNFINISHED:
        lease.release(delay=_WAITS_SECONDS)
    else:
        lease.finish(state=WorkState.STOPPED)
    return False


def tell(who: Recipients, channel: dict[str, str], incident: Incident, phase: str) -> str:
    """Tell one recipient now; what they answered. Raises NotTold."""
    if EMAIL in channel:
        return _send_email(who, channel[EMAIL], incident, phase)
    return _call_webhook(who, incident, phase)


def _send_email(who: Recipients, address: str, incident: Incident, phase: str) -> str:
    if not mail.is_on():
        raise NotTold(gettext("This installation sends no email any more: EMAIL_URL is not set."), is_final=True)
    subject = incident.title if phase == OPENED else gettext("Over: %(title)s") % {"title": incident.title}
    link = f"{who.base_url}{incident.url}"
    context = {"incident": incident, "is_over": phase == RECOVERED, "link": link}
    try:
        mail.send(address, subject=subject, template="alerts/email.txt", context=context)
    except mail.NotSent as error:
        raise NotTold(error.message) from error
    return gettext("An email went to %(address)s.") % {"address": address}


def _call_webhook(who: Recipients, incident: Incident, phase: str) -> str:
    body = dumps(describe(who, incident, phase))
    try:
        receiver = read_receiver({"url": who.webhook_url, "secret": who.secret})
        line = Line(receiver, private_hosts_allowed=settings.GROUPAROO_ALLOW_PRIVATE_HOSTS)
        try:
            message_id = str(uuid5(_OURS, f"{incident.pk}:{incident.opened_at.isoformat()}:{phase}"))
            reply = line.call("POST", body.encode(), make_headers(receiver, message_id, body))
        finally:
            line.close()
    except Halt as error:
        raise NotTold(error.reason, is_final=True) from None
    except Retry as error:
        raise NotTold(error.reason) from None
    outcome = read_reply(reply, host=receiver.host, what="the alert")
    if outcome.kind is not OutcomeKind.ACCEPTED:
        raise NotTold(outcome.reason, is_final=outcome.kind is not OutcomeKind.RETRY)
    return gettext("%(host)s answered %(name)s.") % {"host": receiver.host, "name": name(reply)}


def describe(who: Recipients, incident: Incident, phase: str) -> dict[str, Any]:
    """What a webhook is sent: type, time and data, as Standard Webhooks recommend."""
    at = incident.recovered_at if phase == RECOVERED and incident.recovered_at else incident.opened_at
    return {
        "type": f"incident.{phase}",
        "timestamp": at.isoformat(),
        "data": {
            "id": incident.pk,
            "kind": incident.kind,
            "subject": incident.subject,
            "title": incident.title,
            "text": incident.text,
            "url": f"{who.base_url}{incident.url}",
            "opened_at": incident.opened_at.isoformat(),
            "recovered_at": incident.recovered_at.isoformat() if incident.recovered_at else None,
        },
    }


def send_test(who: Recipients) -> list[tuple[str, bool]]:
    """Tell everyone of an incident that is none, now: what each answered, and whether it worked."""
    now = timezone.now()
    test = Incident(
        pk=0,
        kind="test",
        subject="test",
        title=gettext("A test alert"),
        text=gettext("Nothing is wrong."),
        opened_at=now,
    )
    test.url = "/"
    told: list[tuple[str, bool]] = []
    for channel in who.channels:
        try:
            told.append((tell(who, channel, test, OPENED), True))
        except NotTold as error:
            told.append((error.reason, False))
    return told
