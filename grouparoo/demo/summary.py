"""What happened in the demo: figures read from the product's tables, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from core.lib.servers.places import locate
from events.models import Event, EventState
from grouparoo.demo import people
from grouparoo.demo.configuration import (
    GROUPS,
    IMPORTS,
    MAILCHIMP,
    MAILCHIMP_EXPORT,
    NEWSLETTER,
    SOURCE,
    SUBSCRIBERS,
    SUBSCRIPTION,
    TABLE_EXPORT,
    import_name,
)
from grouparoo.demo.databases import Names
from grouparoo.demo.mailchimp import Place
from groups.models import GroupMember
from profiles.models import Profile
from schedules.models import ExportRecord, Run, Schedule
from schedules.outbound.models import DeliveryState, OutboundDelivery, Subscription


@dataclass(frozen=True, slots=True)
class Figures:
    """What is there now. `imported`: rows that became events, by table; `groups`: members by name; `ltv`: the sum.

    `subscribers` and `members`: whom the table and Mailchimp hold; `sent`: events that Mailchimp took, `refused` those
    that it never will.
    """

    imported: Mapping[str, int]
    events: int
    unlinked: int
    profiles: int
    ltv: float
    groups: Mapping[str, int]
    subscribers: int
    members: int
    sent: int
    refused: int


def read_figures() -> Figures:
    """Count everything."""
    taken: dict[str, int] = {}
    for name, counters in Run.objects.filter(direction="import").values_list("schedule__name", "counters"):
        taken[name] = taken.get(name, 0) + int(counters.get("events", 0))
    deliveries = OutboundDelivery.objects.filter(
        subscription_id__in=Subscription.objects.filter(name=SUBSCRIPTION).values("pk")
    )
    with connection.cursor() as cursor:
        cursor.execute("select coalesce(sum((properties ->> 'ltv')::numeric), 0) from profile")
        (ltv,) = cursor.fetchone()
    return Figures(
        imported={table: taken.get(import_name(table), 0) for table in IMPORTS},
        events=Event.objects.count(),
        unlinked=Event.objects.filter(state=EventState.UNLINKED).count(),
        profiles=Profile.objects.count(),
        ltv=float(ltv),
        groups={name: GroupMember.objects.filter(group__name=name).count() for name in GROUPS},
        subscribers=_count_held(TABLE_EXPORT),
        members=_count_held(MAILCHIMP_EXPORT),
        sent=deliveries.filter(state=DeliveryState.ACCEPTED).count(),
        refused=deliveries.exclude(state=DeliveryState.ACCEPTED).count(),
    )


def _count_held(schedule: str) -> int:
    schedules = Schedule.objects.filter(name=schedule)
    return ExportRecord.objects.filter(schedule_id__in=schedules.values("pk"), state="held", key__isnull=False).count()


def summarize(names: Names, mailchimp: Place) -> list[str]:
    """The lines that say what happened, where to look, and with which email and password to sign in."""
    figures = read_figures()
    imported = ", ".join(f"{count:,} {table}" for table, count in figures.imported.items())
    members = ", ".join(f"{count:,} {name}" for name, count in figures.groups.items())
    profiles = f"{figures.profiles:,} profiles, worth {figures.ltv:,.2f} in all"
    unlinked = f"; {figures.unlinked:,} events found nobody" if figures.unlinked else ""
    refused = f"; {figures.refused:,} were refused" if figures.refused else ""
    return [
        "",
        "What happened",
        f"  Imported  {imported}  (App {SOURCE}, database {names.shop})",
        f"  Became    {figures.events:,} events of {profiles}{unlinked}",
        f"  Grouped   {members}",
        f"  Exported  {figures.subscribers:,} people to {SUBSCRIBERS}  (App {NEWSLETTER}, database {names.newsletter})",
        f"            {figures.members:,} people as members with their groups as tags  (App {MAILCHIMP})",
        f"  Sent      {figures.sent:,} abandoned carts, each with what is known of the person, to Mailchimp{refused}",
        "  Look at what arrived while this runs:",
        f"    {mailchimp.url}/   (stands in for Mailchimp)",
        *_say_where(names),
        "",
        *people.say_login(),
    ]


def _say_where(names: Names) -> list[str]:
    """Where to look at both databases; the address of a given server may hold a password and is not repeated."""
    if not settings.SERVERS_ARE_EMBEDDED:
        return []
    places = locate(settings.VAR)
    return [f"    {places.database_url_of(name)}   (any PostgreSQL client)" for name in (names.shop, names.newsletter)]
