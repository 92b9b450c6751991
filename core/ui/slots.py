"""Places on a page of a lower app where upper apps show something, with no import upward.

An upper app registers a slot in its `AppConfig.ready()`: the place, a label, and the name of a URL that takes the
subject's id and answers with a fragment (or a whole page without htmx). The page of the lower app writes
`{% slots "profile" profile.guid %}`. Without JavaScript a slot is a plain link.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse
from django.utils.functional import Promise


@dataclass(frozen=True, slots=True)
class Slot:
    """One thing an upper app shows at a place. `order` sorts the slots of a place."""

    place: str
    label: str | Promise
    url_name: str
    order: int = 0

    def url(self, subject: object) -> str:
        """The address of this slot for one subject."""
        return reverse(self.url_name, args=[subject])


_slots: dict[str, list[Slot]] = {}


def register(slot: Slot) -> None:
    """Add a slot to its place; registering the same one again changes nothing."""
    placed = _slots.setdefault(slot.place, [])
    if slot not in placed:
        placed.append(slot)
        placed.sort(key=lambda each: each.order)


def at(place: str) -> tuple[Slot, ...]:
    """The slots of a place, in order."""
    return tuple(_slots.get(place, ()))
