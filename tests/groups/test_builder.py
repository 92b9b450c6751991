"""The builder's form: whatever tree is saved comes back as it was, and buttons change nothing but the shape."""

from __future__ import annotations

from typing import Any

import pytest

from groups.builder import draft as drafts
from groups.builder import form, shape
from groups.builder.draft import Block, Draft, Row
from groups.reading import COUNTS, DID, IN_GROUP
from tests.groups import worlds
from tests.groups.strategies import PROPERTIES
from tests.groups.test_operators import RULES

GROUPS = {7: "VIPs", 8: "Lapsed"}


def sent(draft: Draft) -> dict[str, str]:
    """What a browser sends of the form that shows a draft."""
    fields: dict[str, str] = {}
    _send_block(draft.root, fields)
    return fields


def _send_block(block: Block, fields: dict[str, str]) -> None:
    fields[f"parts{block.suffix}"] = block.listed
    fields[f"match{block.suffix}"] = block.match
    for part in block.parts:
        if isinstance(part, Block):
            _send_block(part, fields)
        else:
            _send_row(part, fields)


def _send_row(row: Row, fields: dict[str, str]) -> None:
    """Only the fields that a row shows."""
    given = {"property": row.subject, "operator": row.operator, "conditions": str(len(row.where))}
    if row.kind == "payload":
        given = {"key": row.key, "type": row.payload_type, "operator": row.operator}
    if row.kind in ("group", "event"):
        given[row.kind] = row.key
    if row.kind == "event":
        given["window"] = row.window
    if row.takes_count or row.argument in ("text", "value", "values", "range"):
        given["value"] = row.value
    if row.argument == "range":
        given["last"] = row.last
    if row.argument == "span" or row.window == "past":
        given |= {"amount": row.amount, "unit": row.unit}
    for name, is_on in (("leave_out", row.leaves_out), ("case", row.minds_case)):
        if is_on:
            given[name] = "on"
    if row.asks_items:
        given["items"] = "all" if row.asks_all else "any"
    fields |= {f"{name}-{row.id}": value for name, value in given.items()}
    for each in row.where:
        _send_row(each, fields)


def read(fields: dict[str, str]) -> Draft:
    return form.read_draft(fields, by_key=RULES, groups=GROUPS)


@pytest.mark.parametrize("seed", range(300))
def test_a_saved_tree_comes_back_from_the_form_as_it_was(seed: int) -> None:
    world = worlds.begin(seed)
    tree = worlds.tree(world, reads=list(GROUPS), depth=4)
    draft = form.draft_of(tree, by_key=RULES, groups=GROUPS)
    assert draft.tree() == tree
    assert read(sent(draft)).tree() == tree


def test_the_words_of_the_form_cover_every_operator() -> None:
    assert drafts.EVENT_WORDS.keys() == {**DID, **COUNTS}.keys()
    assert drafts.GROUP_WORDS.keys() == IN_GROUP.keys()
    assert {rule.key for rule in RULES.values()} == set(PROPERTIES)


def keys(block: Block) -> Any:
    """The keys of a block's rules, nested as it is."""
    return [keys(part) if isinstance(part, Block) else part.key for part in block.parts]


def nested() -> Draft:
    leaf = {"property": "the_string", "operator": "exists"}
    event = {
        "event": "Purchase",
        "operator": "did",
        "where": [{"key": key, "type": "text", "operator": "exists"} for key in ("a", "b")],
    }
    tree = {"match": "all", "rules": [leaf, {"match": "any", "rules": [event, {**leaf, "property": "the_float"}]}]}
    return form.draft_of(tree, by_key=RULES, groups=GROUPS)


def test_buttons_change_the_shape_and_say_where_to_go_on() -> None:
    draft = nested()
    added = shape.change(draft, "add-1")
    assert (keys(added.root), added.focus) == (["the_string", ["Purchase", "the_float", ""]], "1-2")
    block = shape.change(draft, "nest")
    assert (keys(block.root), block.focus) == (["the_string", ["Purchase", "the_float"], [""]], "2-0")
    removed = shape.change(draft, "remove-1-0")
    assert (keys(removed.root), removed.focus) == (["the_string", ["the_float"]], "1-0")
    assert [row.place for row in removed.rows] == [("0",), ("1", "0")]
    gone = shape.change(draft, "remove-1")
    assert (keys(gone.root), gone.focus) == (["the_string"], "0")
    assert keys(shape.change(shape.change(gone, "remove-0"), "remove-0").root) == [""]
    more = shape.change(draft, "where-1-0")
    assert [each.id for each in more.rows[1].where] == ["1-0-where-0", "1-0-where-1", "1-0-where-2"]
    assert more.focus == "1-0-where-2"
    fewer = shape.change(draft, "remove-1-0-where-0")
    assert [(each.id, each.key) for each in fewer.rows[1].where] == [("1-0-where-0", "b")]
    for nothing in ("count", "load", "save", "remove-9", "add-x-y", "where-0", "explode-1"):
        assert shape.change(draft, nothing).tree() == draft.tree()


def test_what_is_wrong_stands_at_its_rule() -> None:
    draft = nested().with_problems(
        {
            "rules.1.0.where.1.value": "Say what.",
            "rules.1.0.where": "Too many.",
            "rules.0.operator": "No.",
            "rules.1.match": "Which?",
            "rules": "All of it.",
        }
    )
    assert [(each.name, each.wrong) for each in draft.wrong] == [
        ("rule 1", "No."),
        ("block 2", "Which?"),
        ("rule 2.1", "Too many."),
        ("condition 2 of rule 2.1", "Say what."),
    ]
    assert (draft.problems, draft.problem_count) == (("All of it.",), 5)


def test_a_form_that_makes_no_sense_is_read_as_far_as_it_goes() -> None:
    fields = {
        "parts": "rule,block,nonsense",
        "match": "most",
        "property-0": "group:",
        "group-0": "x",
        "parts-1": "block",
    }
    draft = read(fields)
    assert draft.root.match == "all"
    assert draft.tree()["rules"][0] == {"group": None, "operator": "in"}
    assert len(draft.rows) == 3
    deep = read({"parts": "block", **{f"parts-{'-'.join('0' * n)}": "block" for n in range(1, 9)}})
    assert len(deep.rows[0].place) == 5
