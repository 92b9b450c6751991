"""The numbers of a draft for its page, one after the other as they are found.

Each line is JSON: {"target": a place on the page, "html": its new content}. The last lines fill in the rules' own
numbers and what a screen reader says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.translation import gettext, gettext_lazy, ngettext

from core.lib.errors import InvalidInput, Refused
from core.ui.wording import counted as say_counted
from core.ui.wording import number
from groups.builder.draft import Draft
from groups.counting import Counted, Estimated, LeafCount, Matched, Step, stream
from groups.groups_store import check_rules
from groups.sentence import say_tree
from profiles import queries

INCOMPLETE = gettext_lazy("The count appears as soon as every rule is complete.")


@dataclass(frozen=True, slots=True)
class Live:
    """What the rules would take now, as far as it is known, or why it is not.

    `steps` are the funnel: a rule at the top, and what it changes, in words.
    """

    sentence: str = ""
    estimated: Estimated | None = None
    matched: Matched | Counted | None = None
    counted: Counted | None = None
    people: Sequence[queries.Person] = ()
    steps: Sequence[tuple[Step, str]] = ()
    problem: str = ""

    @property
    def emptied(self) -> str:
        """The first rule after which nobody is left."""
        return next((step.sentence for step, _ in self.steps if not step.people), "")


def show(counted: Counted, draft: Draft) -> Live:
    """Everything that was counted, for the page."""
    before, steps = 0 if draft.root.match == "any" else counted.everyone, []
    for step in counted.funnel:
        moved, before = step.people - before, step.people
        steps.append((step, _say_moved(moved)))
    people = queries.name_people(queries.by_ids(counted.sample), queries.rules_in_use())
    return Live(counted.sentence, matched=counted, counted=counted, people=people, steps=steps)


def _say_moved(moved: int) -> str:
    if not moved:
        return gettext("just as many")
    text = gettext("%(count)s more") if moved > 0 else gettext("%(count)s fewer")
    return text % {"count": number(abs(moved))}


def say(draft: Draft, *, name: str) -> Iterator[str]:
    """The lines for a draft; `name` is what its page calls it, see `groups/counting.py`."""
    if draft.is_empty:
        yield _line("#live", Live())
        return
    try:
        sentence = say_tree(check_rules(draft.tree()))
        for step in stream(draft.tree(), draft=name):
            if isinstance(step, Estimated):
                yield _line("#live", Live(sentence, estimated=step))
            elif isinstance(step, Matched):
                yield _line("#live", Live(sentence, matched=step))
            else:
                yield from _say_counted(step, draft)
    except InvalidInput as error:
        whole = error.fields.get("draft") or error.fields.get("rules") or str(INCOMPLETE)
        yield from _say_problem(whole)
    except Refused as error:
        yield from _say_problem(error.message)


def _say_problem(problem: str) -> Iterator[str]:
    yield _line("#live", Live(problem=problem))
    yield _json("#said", escape(problem))


def _say_counted(counted: Counted, draft: Draft) -> Iterator[str]:
    yield _line("#live", show(counted, draft))
    leaves = {leaf.path: leaf for leaf in counted.leaves}
    for row in draft.rows:
        leaf: LeafCount | None = leaves.get(".".join(row.place))
        for part in ("num", "none"):
            yield _json(f"#{part}-{row.id}", render_to_string(f"groups/_{part}.html", {"leaf": leaf}))
    said = say_counted(
        ngettext(
            "%(count)s person matches of %(everyone)s.", "%(count)s people match of %(everyone)s.", counted.matching
        ),
        counted.matching,
        everyone=number(counted.everyone),
    )
    yield _json("#said", said)


def _line(target: str, live: Live) -> str:
    return _json(target, render_to_string("groups/_live.html", {"live": live}))


def _json(target: str, html: str) -> str:
    return json.dumps({"target": target, "html": html}) + "\n"
