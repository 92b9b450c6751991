"""The strip on Home: Sources, Events, Profiles, Groups, Destinations, with what passed each in the last 24 hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext, ngettext

from core.ui.counting import Count
from core.ui.wording import counted, number
from groups.pages import Sized
from schedules.models import Run


@dataclass(frozen=True, slots=True)
class Step:
    """One station of the flow with its figures of the last 24 hours."""

    label: str
    icon: str
    url: str
    figure: str
    unit: str
    detail: tuple[tuple[str, str], ...]
    look: str
    word: str


def make_steps(
    recent: Sequence[Mapping[str, Any]],
    counts: Mapping[str, Count],
    sized: Sequence[Sized],
    *,
    halted: int,
    failed: Sequence[Run],
    silent: int,
    paused: int,
    apps: int,
) -> list[Step]:
    """Sources, Events, Profiles, Groups, Destinations: what passed each in the last 24 hours, and how it is.

    `recent` are the counters of the runs; `halted` schedules and subscriptions, `silent` Apps and `paused` properties
    wait for a person.
    """
    sources = [row for row in recent if row["direction"] == "import"]
    targets = [row for row in recent if row["direction"] == "export"]
    stuck_in = [each for each in failed if each.direction == "import"]
    stuck_out = [each for each in failed if each.direction == "export"]
    return [
        _sources(sources, len(stuck_in), silent, apps),
        _events(counts["events"]),
        _profiles(counts, paused),
        _groups(counts["moves"], sized),
        _destinations(targets, counts["outbound"], len(stuck_out), halted),
    ]


def _told(counted: Count) -> str:
    return number(counted.all) if counted.exact else gettext("about %(count)s") % {"count": number(counted.all)}


def _sources(rows: Sequence[Mapping[str, Any]], failed: int, silent: int, apps: int) -> Step:
    read, runs = sum(row["read"] for row in rows), sum(row["runs"] for row in rows)
    if failed or silent:
        look, word = "bad", _say_failed(failed) if failed else _say_silent(silent)
    else:
        look, word = ("ok", gettext("All healthy")) if apps else ("off", gettext("None connected"))
    detail = tuple((row["schedule__app__name"], number(row["read"])) for row in _largest(rows, "read"))
    runs_in_words = counted(ngettext("%(count)s run", "%(count)s runs", runs), runs)
    unit = ngettext("row read in %(runs)s", "rows read in %(runs)s", read) % {"runs": runs_in_words}
    return Step(gettext("Sources"), "database", reverse("apps:list"), number(read), unit, detail, look, word)


def _say_failed(runs: int) -> str:
    return counted(ngettext("%(count)s run failed", "%(count)s runs failed", runs), runs)


def _say_silent(apps: int) -> str:
    return counted(ngettext("%(count)s App silent", "%(count)s Apps silent", apps), apps)


def _events(events: Count) -> Step:
    detail: tuple[tuple[str, str], ...] = ()
    look, word = "ok", gettext("Taken as they come")
    if events.exact:
        from_runs, unlinked = events.parts["from_runs"], events.parts["unlinked"]
        detail = (
            (gettext("From runs"), number(from_runs)),
            (gettext("Sent to the API"), number(events.all - from_runs)),
        )
        if unlinked:
            look, word = "warn", gettext("%(unlinked)s found no person") % {"unlinked": number(unlinked)}
        elif events.all:
            word = gettext("All found their person")
        else:
            look, word = "off", gettext("None came")
    unit = ngettext("event came in", "events came in", events.all)
    return Step(gettext("Events"), "zap", reverse("events:list"), _told(events), unit, detail, look, word)


def _profiles(counts: Mapping[str, Count], paused: int) -> Step:
    changes = counts["changes"]
    people = changes.parts.get("people", changes.all)
    unit = ngettext("person changed", "people changed", people) if changes.exact else gettext("changes to people")
    detail = ((gettext("New people"), _told(counts["new"])), (gettext("All people"), _told(counts["everyone"])))
    look, word = (
        ("warn", counted(ngettext("%(count)s property paused", "%(count)s properties paused", paused), paused))
        if paused
        else ("ok", gettext("All filled in"))
    )
    figure = number(people) if changes.exact else _told(changes)
    if not counts["everyone"].all:
        look, word = "off", gettext("Nobody yet")
    return Step(gettext("Profiles"), "user", reverse("profiles:list"), figure, unit, detail, look, word)


def _groups(moves: Count, sized: Sequence[Sized]) -> Step:
    behind = sum(1 for each in sized if each.is_behind)
    detail: tuple[tuple[str, str], ...] = ()
    if moves.exact:
        detail = ((gettext("Joined"), number(moves.parts["joined"])), (gettext("Left"), number(moves.parts["left"])))
    if behind:
        look, word = "info", gettext("%(behind)s being calculated") % {"behind": number(behind)}
    else:
        look, word = ("ok", gettext("All up to date")) if sized else ("off", gettext("None yet"))
    groups = counted(ngettext("%(count)s group", "%(count)s groups", len(sized)), len(sized))
    unit = ngettext("move in %(groups)s", "moves in %(groups)s", moves.all) % {"groups": groups}
    return Step(gettext("Groups"), "blend", reverse("groups:list"), _told(moves), unit, detail, look, word)


def _destinations(rows: Sequence[Mapping[str, Any]], events: Count, failed: int, halted: int) -> Step:
    """People by exports and events by subscriptions. An estimate of the events counts as accepted."""
    sent, rejected = sum(row["sent"] for row in rows), sum(row["rejected"] for row in rows)
    forwarded = events.parts.get("accepted", events.all)
    detail = (
        (gettext("People"), number(sent)),
        (gettext("Events"), number(forwarded) if events.exact else _told(events)),
    )
    rejected += events.parts.get("failed", 0)
    late = events.parts.get("late", 0)
    if failed:
        look, word = "bad", _say_failed(failed)
    elif halted:
        look, word = (
            "wait",
            ngettext("%(count)s waits for you", "%(count)s wait for you", halted) % {"count": number(halted)},
        )
    elif rejected:
        look, word = "warn", gettext("%(rejected)s rejected") % {"rejected": number(rejected)}
    elif late:
        look, word = "warn", counted(ngettext("%(count)s event retried", "%(count)s events retried", late), late)
    else:
        look, word = ("ok", gettext("All accepted")) if rows or events.all else ("off", gettext("Nothing to send"))
    url = reverse("schedules:list" if rows or not events.all else "subscriptions:list")
    figure = (
        number(sent + forwarded) if events.exact else gettext("about %(count)s") % {"count": number(sent + forwarded)}
    )
    return Step(gettext("Destinations"), "send", url, figure, _say_sent(sent, forwarded), detail, look, word)


def _say_sent(people: int, events: int) -> str:
    if people and events:
        return gettext("people and events sent")
    if events:
        return ngettext("event sent", "events sent", events)
    return ngettext("person sent", "people sent", people)


def _largest(rows: Sequence[Mapping[str, Any]], key: str) -> list[Mapping[str, Any]]:
    return sorted(rows, key=lambda row: -row[key])[:2]
