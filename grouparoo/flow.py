"""The strip on Home: Sources, Events, Profiles, Groups, Destinations, with what passed each in the last 24 hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from core.ui.counting import Count
from core.ui.wording import number, plural
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
    return number(counted.all) if counted.exact else f"about {number(counted.all)}"


def _sources(rows: Sequence[Mapping[str, Any]], failed: int, silent: int, apps: int) -> Step:
    read, runs = sum(row["read"] for row in rows), sum(row["runs"] for row in rows)
    if failed or silent:
        look, word = "bad", f"{plural(failed, 'run')} failed" if failed else f"{plural(silent, 'App')} silent"
    else:
        look, word = ("ok", "All healthy") if apps else ("off", "None connected")
    detail = tuple((row["schedule__app__name"], number(row["read"])) for row in _largest(rows, "read"))
    unit = f"{'row' if read == 1 else 'rows'} read in {plural(runs, 'run')}"
    return Step("Sources", "database", reverse("apps:list"), number(read), unit, detail, look, word)


def _events(events: Count) -> Step:
    detail: tuple[tuple[str, str], ...] = ()
    look, word = "ok", "Taken as they come"
    if events.exact:
        from_runs, unlinked = events.parts["from_runs"], events.parts["unlinked"]
        detail = (("From runs", number(from_runs)), ("Sent to the API", number(events.all - from_runs)))
        if unlinked:
            look, word = "warn", f"{number(unlinked)} found no person"
        elif events.all:
            word = "All found their person"
        else:
            look, word = "off", "None came"
    unit = "event came in" if events.all == 1 else "events came in"
    return Step("Events", "zap", reverse("events:list"), _told(events), unit, detail, look, word)


def _profiles(counts: Mapping[str, Count], paused: int) -> Step:
    changes = counts["changes"]
    people = changes.parts.get("people", changes.all)
    unit = ("person changed" if people == 1 else "people changed") if changes.exact else "changes to people"
    detail = (("New people", _told(counts["new"])), ("All people", _told(counts["everyone"])))
    look, word = ("warn", f"{plural(paused, 'property', 'properties')} paused") if paused else ("ok", "All filled in")
    figure = number(people) if changes.exact else _told(changes)
    if not counts["everyone"].all:
        look, word = "off", "Nobody yet"
    return Step("Profiles", "user", reverse("profiles:list"), figure, unit, detail, look, word)


def _groups(moves: Count, sized: Sequence[Sized]) -> Step:
    behind = sum(1 for each in sized if each.is_behind)
    detail: tuple[tuple[str, str], ...] = ()
    if moves.exact:
        detail = (("Joined", number(moves.parts["joined"])), ("Left", number(moves.parts["left"])))
    if behind:
        look, word = "info", f"{number(behind)} being calculated"
    else:
        look, word = ("ok", "All up to date") if sized else ("off", "None yet")
    unit = f"{'move' if moves.all == 1 else 'moves'} in {plural(len(sized), 'group')}"
    return Step("Groups", "blend", reverse("groups:list"), _told(moves), unit, detail, look, word)


def _destinations(rows: Sequence[Mapping[str, Any]], events: Count, failed: int, halted: int) -> Step:
    """People by exports and events by subscriptions. An estimate of the events counts as accepted."""
    sent, rejected = sum(row["sent"] for row in rows), sum(row["rejected"] for row in rows)
    forwarded = events.parts.get("accepted", events.all)
    detail = (("People", number(sent)), ("Events", number(forwarded) if events.exact else _told(events)))
    rejected += events.parts.get("failed", 0)
    late = events.parts.get("late", 0)
    if failed:
        look, word = "bad", f"{plural(failed, 'run')} failed"
    elif halted:
        look, word = "wait", f"{number(halted)} {'waits' if halted == 1 else 'wait'} for you"
    elif rejected:
        look, word = "warn", f"{number(rejected)} rejected"
    elif late:
        look, word = "warn", f"{plural(late, 'event')} retried"
    else:
        look, word = ("ok", "All accepted") if rows or events.all else ("off", "Nothing to send")
    url = reverse("schedules:list" if rows or not events.all else "subscriptions:list")
    figure = number(sent + forwarded) if events.exact else f"about {number(sent + forwarded)}"
    return Step("Destinations", "send", url, figure, _say_sent(sent, forwarded), detail, look, word)


def _say_sent(people: int, events: int) -> str:
    if people and events:
        return "people and events sent"
    if events:
        return "event sent" if events == 1 else "events sent"
    return "person sent" if people == 1 else "people sent"


def _largest(rows: Sequence[Mapping[str, Any]], key: str) -> list[Mapping[str, Any]]:
    return sorted(rows, key=lambda row: -row[key])[:2]
