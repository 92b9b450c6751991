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
from django.utils.translation import gettext, ngettext

from core.lib.errors import InvalidInput, NotFound, Refused
from core.ui.wording import counted

MOST = 100  # more than a page of any list
_MOST_REASONS = 5

Item = TypeVar("Item")


def chosen_numbers(request: HttpRequest) -> list[int]:
    """The ids that were chosen, each once, in the order of the list; of a question's page those in its address."""
    given = request.POST.getlist("chosen") or request.GET.getlist("chosen")
    return [int(each) for each in dict.fromkeys(given) if each.isdecimal() and len(each) < 18][:MOST]


def act_on_each(
    request: HttpRequest, items: Sequence[Item], act: Callable[[Item], object], *, done: Callable[[int], str]
) -> None:
    """Do it to each, and tell: "3 runs stopped. 1 was refused: Run 12 has ended already.".

    `done` says what is told of so many: an ngettext of "%(count)s run stopped." and "%(count)s runs stopped.".
    """
    if not items:
        messages.error(request, gettext("Nothing was chosen. Tick the rows first."))
        return
    count, reasons = 0, []
    for item in items:
        try:
            act(item)
            count += 1
        except (InvalidInput, NotFound, Refused) as error:
            reasons.append(error.message)
    if count:
        messages.success(request, counted(done(count), count))
    if reasons:
        messages.error(request, _say_refused(reasons))


def _say_refused(reasons: Sequence[str]) -> str:
    shown = list(dict.fromkeys(reasons))
    count, further = len(reasons), len(shown) - _MOST_REASONS
    text = ngettext("%(count)s was refused: %(reasons)s", "%(count)s were refused: %(reasons)s", count)
    if further > 0:
        more = ngettext("And %(count)s further reason.", "And %(count)s further reasons.", further)
        shown = [*shown[:_MOST_REASONS], more % {"count": further}]
    return text % {"count": count, "reasons": " ".join(shown)}
