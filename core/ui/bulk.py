"""Doing one thing to several rows that were chosen in a list: each by the function that does it to one.

A row has `<input type="checkbox" name="chosen" value="ID" form="chosen">`, the head `{% include "ui/_all.html" %}`, the
foot of the panel `<form class="foot" id="chosen" method="post">` with a button `name="do"` for each action. Whatever
one of them is refused, the others are done; the next page says how many were and why the rest was not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from django.contrib import messages
from django.http import HttpRequest

from core.lib.errors import InvalidInput, NotFound, Refused
from core.ui.wording import plural

MOST = 100  # more than a page of any list
_MOST_REASONS = 5

Item = TypeVar("Item")


def chosen_numbers(request: HttpRequest) -> list[int]:
    """The ids that were chosen, each once, in the order of the list; of a question's page those in its address."""
    given = request.POST.getlist("chosen") or request.GET.getlist("chosen")
    return [int(each) for each in dict.fromkeys(given) if each.isdecimal() and len(each) < 18][:MOST]


def act_on_each(request: HttpRequest, items: Sequence[Item], act: Callable[[Item], object], *, done: str) -> None:
    """Do it to each, and tell: "3 runs stopped. 1 was refused: Run 12 has ended already.".

    `done` is what is told of one and of many: "run stopped,runs stopped".
    """
    if not items:
        messages.error(request, "Nothing was chosen. Tick the rows first.")
        return
    count, reasons = 0, []
    for item in items:
        try:
            act(item)
            count += 1
        except (InvalidInput, NotFound, Refused) as error:
            reasons.append(error.message)
    one, _, many = done.partition(",")
    if count:
        messages.success(request, f"{plural(count, one, many)}.")
    if reasons:
        messages.error(request, _say_refused(reasons))


def _say_refused(reasons: Sequence[str]) -> str:
    shown = list(dict.fromkeys(reasons))
    more = f" And {len(shown) - _MOST_REASONS} further reasons." if len(shown) > _MOST_REASONS else ""
    was = "was" if len(reasons) == 1 else "were"
    return f"{len(reasons)} {was} refused: {' '.join(shown[:_MOST_REASONS])}{more}"
