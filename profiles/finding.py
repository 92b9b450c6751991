"""Finding many people at once by what identifies them: a pasted list, one value a line. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext

from core.accounts import project
from core.lib.errors import InvalidInput
from profiles.identity import read_owners
from profiles.models import Profile, ProfilePropertyRule, RuleState
from profiles.types import TYPES, Rejected, compare_key

MOST_LINES = 100_000
_CHUNK = 5_000  # lines looked up with one statement


@dataclass(frozen=True, slots=True)
class Found:
    """Whom a list names, each once, and the lines that name nobody or more than one person."""

    guids: tuple[UUID, ...]
    unmatched: tuple[str, ...]
    ambiguous: tuple[str, ...]


def find_by_lines(text: str) -> Found:
    """Each line is a guid or a value of any unique property. Raises InvalidInput for an empty or too long list."""
    return find_by_values(text.splitlines())


def find_by_values(values: Iterable[str]) -> Found:
    """As `find_by_lines`, for lines that were split already."""
    lines = list(dict.fromkeys(line for line in (value.replace("\0", "").strip() for value in values) if line))
    if not lines or len(lines) > MOST_LINES:
        message = (
            gettext("Write one value a line.")
            if not lines
            else gettext("At most %(most_lines)s lines at once, please.") % {"most_lines": f"{MOST_LINES:,}"}
        )
        raise InvalidInput(message, {"lines": message})
    rules = list(ProfilePropertyRule.objects.filter(is_unique=True, state=RuleState.READY))
    owners: dict[str, set[UUID]] = {}
    for start in range(0, len(lines), _CHUNK):
        owners |= _owners(lines[start : start + _CHUNK], rules)
    guids: dict[UUID, None] = {}
    unmatched: list[str] = []
    ambiguous: list[str] = []
    for line in lines:
        found = owners.get(line, set())
        if len(found) == 1:
            guids.setdefault(next(iter(found)))
        else:
            (ambiguous if found else unmatched).append(line)
    return Found(tuple(guids), tuple(unmatched), tuple(ambiguous))


def _owners(lines: Sequence[str], rules: Iterable[ProfilePropertyRule]) -> dict[str, set[UUID]]:
    """Who is meant by each line, with two statements for all of them."""
    region = project.current().phone_region
    meant: dict[tuple[int, str], list[str]] = {}
    for rule in rules:
        for line in lines:
            try:
                value = TYPES[rule.type].parse(line, region=region)
            except Rejected:
                continue
            if value is not None:
                meant.setdefault((rule.pk, compare_key(rule.type, value)), []).append(line)
    owners: dict[str, set[UUID]] = {}
    for identity, guid in read_owners(meant).items():
        for line in meant[identity]:
            owners.setdefault(line, set()).add(guid)
    by_guid: dict[UUID, str] = {}
    for line in lines:
        given = _as_guid(line)
        if given is not None:
            by_guid[given] = line
    for profile in Profile.objects.filter(pk__in=by_guid, merged_into__isnull=True).only("pk"):
        owners.setdefault(by_guid[profile.pk], set()).add(profile.pk)
    return owners


def _as_guid(line: str) -> UUID | None:
    try:
        return UUID(line)
    except ValueError:
        return None
