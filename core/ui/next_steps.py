"""What comes next where a step of setting up ends: pages of lower apps ask, the composition root answers.

The page of a lower app writes `{% next_step "app" app %}`; whoever knows the whole way registers how to answer. Nothing
is shown where nobody answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NextStep:
    """The next thing to do: the words of its button, why, and where."""

    label: str
    text: str
    url: str


Answer = Callable[[object], NextStep | None]

_answers: dict[str, Answer] = {}


def register(place: str, answer: Answer) -> None:
    """`answer` is given the subject of the page and says what comes next, or None."""
    _answers[place] = answer


def after(place: str, subject: object) -> NextStep | None:
    """What comes next at this place."""
    return _answers[place](subject) if place in _answers else None
