"""What happened in the demo: figures read from the product's tables, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from core.lib.servers.places import locate
from events.models import Event, EventState
from grouparoo.demo import people
from grouparoo.demo.configuration import DESTINATION, EXPORT, GROUPS, IMPORTS, SOURCE, SUBSCRIBERS, import_name
from grouparoo.demo.databases import Names
from groups.models import GroupMember
from profiles.models import Profile
from schedules.models import ExportRecord, Run


@dataclass(frozen=True, slots=True)
class Figures:
    """What is there now. `imported`: rows that became events, by table; `groups`: members by name; `ltv`: the sum."""

    imported: Mapping[str, int]
    events: int
    unlinked: int
    profiles: int
    ltv: float
    groups: Mapping[str, int]
    exported: int
    export_runs: int


def read_figures() -> Figures:
    """Count everything."""
    taken: dict[str, int] = {}
    for name, counters in Run.objects.filter(direction="import").values_list("schedule__name", "counters"):
        taken[name] = taken.get(name, 0) + int(counters.get("events", 0))
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
        exported=ExportRecord.objects.filter(state="held", key__isnull=False).count(),
        export_runs=Run.objects.filter(schedule__name=EXPORT).count(),
    )


def summarize(names: Names) -> list[str]:
    """The lines that say what happened, and with which email and password to sign in."""
    figures = read_figures()
    imported = ", ".join(f"{count:,} {table}" for table, count in figures.imported.items())
    members = ", ".join(f"{count:,} {name}" for name, count in figures.groups.items())
    profiles = f"{figures.profiles:,} profiles, worth {figures.ltv:,.2f} in all"
    unlinked = f"; {figures.unlinked:,} events found nobody" if figures.unlinked else ""
    runs = f"{figures.export_runs:,} run{'' if figures.export_runs == 1 else 's'}"
    exported = f"{figures.exported:,} people with email and first_name to the table {SUBSCRIBERS} in {runs}"
    return [
        "",
        "What happened",
        f"  Imported  {imported}  (App {SOURCE}, database {names.shop})",
        f"  Became    {figures.events:,} events of {profiles}{unlinked}",
        f"  Grouped   {members}",
        f"  Exported  {exported}  (App {DESTINATION}, database {names.newsletter})",
        *_say_where(names),
        "",
        *people.say_login(),
    ]


def _say_where(names: Names) -> list[str]:
    """Where to look at both databases; the address of a given server may hold a password and is not repeated."""
    if not settings.SERVERS_ARE_EMBEDDED:
        return []
    places = locate(settings.VAR)
    return [
        "  Look with any PostgreSQL client while this runs:",
        *[f"    {places.database_url_of(name)}" for name in (names.shop, names.newsletter)],
    ]
