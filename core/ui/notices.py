"""Quiet notices: what someone started has ended. The only writer of `Notice`.

Told in the transaction that ends the work, so a notice is there once, whatever is killed; shown on the next page that
the person opens, or by the page that is open; gone when they dismiss it or look at what it is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from core.accounts.models import User
from core.ui.models import Notice

MOST = 20  # that are kept for one person, the newest; what is beyond goes within the hour
SHOWN = 5  # on a page
_PERSON = "person:"


@dataclass(frozen=True, slots=True)
class News:
    """What there is to say: a state's look, a sentence, more about it, where to look."""

    look: str
    title: str
    url: str
    text: str = ""


def tell(cause: str, subject: str, news: News) -> None:
    """Tell whoever `cause` names (such as "person:3"; nobody when it is no person), in the caller's transaction."""
    if (person_id := _find_person(cause)) is not None:
        Notice.objects.update_or_create(person_id=person_id, subject=subject, defaults=_write(news))


def promise(cause: str, subject: str) -> None:
    """Whoever `cause` names will be told when the work on `subject` ends, in the transaction that begins it.

    For work that several people may ask for while it goes on: each of them is told of the one end.
    """
    if (person_id := _find_person(cause)) is not None:
        Notice.objects.update_or_create(
            person_id=person_id, subject=subject, defaults=_write(News("wait", "", "")) | {"is_promised": True}
        )


def keep(subject: str, news: News) -> None:
    """Tell everyone to whom it was promised, in the transaction that ends the work."""
    Notice.objects.filter(subject=subject, is_promised=True).update(at=timezone.now(), **_write(news))


def withdraw(subject: str) -> None:
    """There is nothing to say of it any more: it is gone, or was called off."""
    Notice.objects.filter(subject=subject).delete()


def awaits(person_id: int | None) -> bool:
    """Whether someone was promised to hear of what still goes on."""
    return Notice.objects.filter(person_id=person_id, is_promised=True).exists()


def unread(person_id: int, *, looking_at: str = "") -> list[Notice]:
    """What someone has not seen yet, the newest first, as many as a page shows.

    Whoever looks at the page that a notice leads to has seen it.
    """
    found = _told(person_id).order_by("-at")
    shown = list(found[: SHOWN + 1])
    if any(notice.url == looking_at for notice in shown):
        found.filter(url=looking_at).delete()
    return [notice for notice in shown if notice.url != looking_at][:SHOWN]


def see(person_id: int | None, subject: str) -> None:
    """They watched it end: nothing has to tell them of it any more."""
    _told(person_id).filter(subject=subject).delete()


def dismiss(person_id: int, notice_id: int | None = None) -> None:
    """Away with one, or with all of them."""
    mine = _told(person_id)
    (mine if notice_id is None else mine.filter(pk=notice_id)).delete()


def forget(*, older_than: timedelta) -> None:
    """What nobody came to see in so long is nobody's news any more, and neither is what is beyond the newest few."""
    newer = Notice.objects.filter(person_id=OuterRef("person_id"), at__gt=OuterRef("at")).order_by()
    many = newer.values("person_id").annotate(many=Count("pk")).values("many")
    old = Notice.objects.annotate(newer=Coalesce(Subquery(many), 0))
    old.filter(Q(at__lt=timezone.now() - older_than) | Q(newer__gte=MOST, is_promised=False)).delete()


def _told(person_id: int | None) -> QuerySet[Notice]:
    return Notice.objects.filter(person_id=person_id, is_promised=False)


def _find_person(cause: str) -> int | None:
    """Who is named, if they can still sign in."""
    if not cause.startswith(_PERSON):
        return None
    person_id = int(cause.removeprefix(_PERSON))
    return person_id if User.objects.filter(pk=person_id, is_active=True).exists() else None


def _write(news: News) -> dict[str, Any]:
    words = {"look": news.look, "title": news.title[:300], "text": news.text[:500], "url": news.url}
    return {**words, "is_promised": False}
