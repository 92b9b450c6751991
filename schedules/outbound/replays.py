"""Long replays of one subscription, in the background: what it sent is sent again, or what it never got is sent.

`AGAIN` owes deliveries again that ended or rest, each under its own id and with its own body, so that a receiver can
tell a repetition. `MISSED` owes events of the past that are not in the ledger, with the person as they are now; what
the ledger has forgotten cannot be told from what was never sent, so it goes back no further than that is kept.

A replay is a piece of `Work`, one for each subscription at a time; what it owes is sent by the subscription's own work.
Its mark is {what, since, until, state, profiles, after, sent}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext
from psycopg2 import errorcodes

from core.accounts import audit, project
from core.accounts.actors import Actor
from core.lib.errors import InvalidInput, NotFound, Refused
from core.ui import notices
from core.ui.notices import News
from core.ui.wording import plural
from core.work import leases
from core.work.leases import Lease
from core.work.models import UNFINISHED, Work, WorkState
from core.work.wake import wake
from schedules.outbound import deliveries, owing, queries, subscriptions
from schedules.outbound.bodies import load_plan
from schedules.outbound.deliveries import SENDABLE
from schedules.outbound.models import OutboundDelivery, Subscription
from schedules.outbound.queries import Wanted

KIND = subscriptions.REPLAY
AGAIN, MISSED = "again", "missed"
PAGE = 2000  # deliveries or events of one step
_PATIENCE = "3s"
_PASSED_ON = "id < %s and state = 'processed' and profile_id is not null"


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay as people see it. `done` of `total` were looked at, None where they were too many to count."""

    what: str
    wanted: Wanted
    state: WorkState
    is_stopping: bool
    done: int
    total: int | None
    sent: int
    error: str
    created_at: datetime
    finished_at: datetime | None

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self.state in UNFINISHED


def count(subscription_id: int, what: str, wanted: Wanted) -> int | None:
    """How many deliveries would be sent again, or how many events there are to look at; None: more than can be counted
    in a moment. Raises InvalidInput."""
    wanted = _check(what, wanted)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("set local statement_timeout = %s", [_PATIENCE])
            found = _deliveries(subscription_id, wanted).count() if what == AGAIN else _count_events(wanted)
            cursor.execute("set local statement_timeout = default")
            return found
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) == errorcodes.QUERY_CANCELED:
            return None
        raise


def start(subscription_id: int, what: str, wanted: Wanted, *, actor: Actor) -> Work:
    """Begin a replay. Raises InvalidInput, and Refused while another one of the subscription goes on."""
    wanted = _check(what, wanted)
    total = count(subscription_id, what, wanted)
    if total == 0:
        raise InvalidInput(
            gettext("There is nothing to send: choose another time, state or person."),
            {"since": gettext("Nothing fits.")},
        )
    with transaction.atomic():
        subscription = subscriptions.lock(subscription_id)
        if Work.objects.filter(kind=KIND, subject=str(subscription_id), state__in=UNFINISHED).exists():
            raise Refused(
                gettext("“%(subscription)s” is sending something again already: wait until that has ended, or stop it.")
                % {"subscription": subscription}
            )
        after = UUID(int=max(queries.id_at(wanted.since).int - 1, 0)) if wanted.since else UUID(int=0)
        mark = {"what": what, **_write(wanted), "after": str(after), "sent": 0}
        work = leases.enqueue(kind=KIND, subject=str(subscription_id), mark=mark, total=total)
        notices.promise(actor.cause, subject_of(subscription_id))
        asked = {"what": what, "count": total, **_write(wanted)}
        audit.record("subscription.replay", subscription, after=asked, actor=actor)
        wake(KIND)
    return work


def stop(subscription_id: int, *, actor: Actor) -> None:
    """Owe nothing more; what is owed already goes out. Raises NotFound, and Refused when none goes on."""
    with transaction.atomic():
        subscription = subscriptions.lock(subscription_id)
        work = Work.objects.filter(kind=KIND, subject=str(subscription_id), state__in=UNFINISHED).first()
        if work is None or not leases.request_stop(work.pk):
            raise Refused(gettext("“%(subscription)s” sends nothing again just now.") % {"subscription": subscription})
        audit.record("subscription.stop_replay", subscription, actor=actor)
        wake(KIND)


def find(subscription_id: int) -> Replay | None:
    """The replay of a subscription that goes on, or the last one that did."""
    work = Work.objects.filter(kind=KIND, subject=str(subscription_id)).order_by("-pk").first()
    return None if work is None else _show(work)


def find_or_refuse(subscription_id: int) -> Replay:
    """The same; raises NotFound when there was none."""
    found = find(subscription_id)
    if found is None:
        raise NotFound(
            gettext("Subscription %(subscription_id)s never sent anything again.")
            % {"subscription_id": subscription_id}
        )
    return found


# ---------------------------------------------------------------- the work


def work_slice() -> bool:
    """Go on with one replay for a slice; whether it is worth coming back at once."""
    return leases.run_slice(KIND, replay_page)


def replay_page(lease: Lease) -> bool:
    """One page of one replay; whether there is more."""
    subscription = Subscription.objects.select_related("app", "follows").filter(pk=int(lease.subject)).first()
    if subscription is None or lease.stop_requested:
        with transaction.atomic():
            lease.finish(state=WorkState.STOPPED)
            notices.withdraw(subject_of(int(lease.subject)))
        return False
    try:
        with transaction.atomic():
            page = _owe_page(subscription, lease.mark)
            if page.last is None:
                lease.finish()
                text = f"{plural(lease.mark['sent'], 'delivery', 'deliveries')} on the way."
                _tell(subscription, News("ok", f"“{subscription}” has sent again what was asked for", "", text))
                return False
            mark = {**lease.mark, "after": str(page.last), "sent": lease.mark["sent"] + page.sent}
            lease.hold(mark=mark, done=lease.done + page.looked_at)
            if page.sent:
                subscriptions.look_at([subscription.pk])
    except InvalidInput as error:
        with transaction.atomic():
            lease.finish(state=WorkState.FAILED, error=error.message)
            _tell(subscription, News("bad", f"“{subscription}” could not send again", "", error.message))
        return False
    return True


def subject_of(subscription_id: int) -> str:
    """The name under which notices speak of a subscription's replay."""
    return f"replay:{subscription_id}"


def _tell(subscription: Subscription, news: News) -> None:
    page = reverse("subscriptions:show", args=[subscription.pk])
    notices.keep(subject_of(subscription.pk), replace(news, url=page))


@dataclass(frozen=True, slots=True)
class _Page:
    last: UUID | None
    looked_at: int = 0
    sent: int = 0


def _owe_page(subscription: Subscription, mark: Mapping[str, Any]) -> _Page:
    after, wanted = UUID(mark["after"]), _read(mark)
    if mark["what"] == AGAIN:
        last, sent = deliveries.owe_page_again(_deliveries(subscription.pk, wanted), after=after, limit=PAGE)
        return _Page(last, sent, sent)
    with connection.cursor() as cursor:
        cursor.execute(
            f"select max(id::text)::uuid, count(*) from (select id from event where id > %s and {_PASSED_ON}"
            " order by id limit %s) page",
            [after, _until(wanted), PAGE],
        )
        last, looked_at = cursor.fetchone()
    if last is None:
        return _Page(None)
    return _Page(last, looked_at, owing.owe_past(load_plan(subscription), after=after, last=last))


# ---------------------------------------------------------------- inside


def _deliveries(subscription_id: int, wanted: Wanted) -> QuerySet[OutboundDelivery]:
    found = queries.deliveries(wanted, subscription_id=subscription_id)
    return found.filter(state__in=SENDABLE, body__isnull=False)


def _count_events(wanted: Wanted) -> int:
    with connection.cursor() as cursor:
        since = queries.id_at(wanted.since or _now())
        cursor.execute(f"select count(*) from event where id >= %s and {_PASSED_ON}", [since, _until(wanted)])
        return int(cursor.fetchone()[0])


def _check(what: str, wanted: Wanted) -> Wanted:
    """With an end, so that what comes meanwhile goes its usual way."""
    now = _now()
    wanted = replace(wanted, until=min(wanted.until or now, now))
    if what not in (AGAIN, MISSED):
        raise _invalid("what", gettext("Choose what is sent: again what was sent, or what was missed."))
    if wanted.state and wanted.state not in SENDABLE:
        raise _invalid("state", gettext("Only what has ended, or is to be tried again, can be sent again."))
    if what == MISSED:
        if wanted.since is None:
            raise _invalid("since", gettext("Say from when on."))
        if wanted.state or wanted.profiles is not None:
            raise _invalid("what", gettext("What was missed is sent for everyone: choose a time only."))
        days = project.current().delivery_retention_days
        if wanted.since < now - timedelta(days=days):
            message = gettext("What was sent more than %(days)s days ago is no longer known: choose a later time.") % {
                "days": days
            }
            raise _invalid("since", message)
    if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
        raise _invalid(
            "since", gettext("The time from which on has to lie before the time until which, and in the past.")
        )
    return wanted


def _write(wanted: Wanted) -> dict[str, Any]:
    return {
        "state": wanted.state,
        "since": wanted.since.isoformat() if wanted.since else None,
        "until": wanted.until.isoformat() if wanted.until else None,
        "profiles": None if wanted.profiles is None else [str(each) for each in wanted.profiles],
    }


def _read(mark: Mapping[str, Any]) -> Wanted:
    profiles = mark["profiles"]
    return Wanted(
        state=mark["state"],
        since=parse_datetime(mark["since"]) if mark["since"] else None,
        until=parse_datetime(mark["until"]) if mark["until"] else None,
        profiles=None if profiles is None else tuple(map(UUID, profiles)),
    )


def _show(work: Work) -> Replay:
    mark: Mapping[str, Any] = work.mark or {}
    return Replay(
        what=mark["what"],
        wanted=_read(mark),
        state=WorkState(work.state),
        is_stopping=work.stop_requested,
        done=work.done,
        total=work.total,
        sent=mark["sent"],
        error=work.error,
        created_at=work.created_at,
        finished_at=work.finished_at,
    )


def _until(wanted: Wanted) -> UUID:
    return queries.id_at(wanted.until or _now())


def _now() -> datetime:
    return timezone.now()


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, {field: message})
