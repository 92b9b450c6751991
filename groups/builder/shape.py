"""What the buttons of the builder do to a draft: parts come and go, and everything is numbered anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from groups.builder.draft import WHERE, Block, Draft, Place, Row
from groups.builder.form import settled
from groups.reading import MAX_LEAVES


def change(draft: Draft, do: str) -> Draft:
    """What a button does to a draft: add-0, nest-0, where-0-1, remove-0-1. Anything else changes nothing.

    `where` alone and remove-where-0 belong to the conditions on an event itself.
    """
    act, _, id_ = do.partition("-")
    place = tuple(id_.split("-")) if id_ else ()
    if act not in ("add", "nest", "where", "remove"):
        return draft
    if act in ("add", "nest") and len(draft.rows) >= MAX_LEAVES:
        return draft
    if place[:1] == (WHERE,) or (act == "where" and not place):
        return _with_conditions(draft, act, place)
    root, focus = _changed(draft.root, act, place)
    return Draft(_placed(root, ()), draft.where, focus=focus)


def _with_conditions(draft: Draft, act: str, place: Place) -> Draft:
    if act == "where":
        new = _new_condition((), len(draft.where))
        return Draft(draft.root, (*draft.where, new), focus=new.id) if draft.can_ask_more else draft
    kept = [each for each in draft.where if each.place != place]
    return Draft(draft.root, _numbered(kept, ()), focus=WHERE)


def _new_condition(place: Place, at: int) -> Row:
    return settled(Row((*place, WHERE, str(at)), kind="payload", type="string"))


def _numbered(rows: Sequence[Row], place: Place) -> tuple[Row, ...]:
    return tuple(replace(each, place=(*place, WHERE, str(at))) for at, each in enumerate(rows))


def _changed(block: Block, act: str, place: Place) -> tuple[Block, str]:
    if place == block.place and act in ("add", "nest"):
        new = (*block.place, str(len(block.parts)))
        part: Row | Block = Row(new) if act == "add" else Block(new, "any", (Row((*new, "0")),))
        focus = part.id if isinstance(part, Row) else part.parts[0].id
        return replace(block, parts=(*block.parts, part)), focus
    parts: list[Row | Block] = []
    focus = ""
    for part in block.parts:
        if part.place == place and act == "remove":
            continue
        if part.place == place[: len(part.place)]:
            part, focus = _changed(part, act, place) if isinstance(part, Block) else _changed_row(part, act, place)
        parts.append(part)
    if not parts:  # an empty block goes, the outermost one keeps a rule to fill in
        parts = [Row((*block.place, "0"))]
    if act == "remove" and len(parts) < len(block.parts):  # what stands there now, or else the last one
        at = min(int(place[-1]), len(parts) - 1)
        focus = "-".join((*block.place, str(at)))
    return replace(block, parts=tuple(parts)), focus


def _changed_row(row: Row, act: str, place: Place) -> tuple[Row, str]:
    if act == "where" and place == row.place and row.can_ask_more:
        new = _new_condition(row.place, len(row.where))
        return replace(row, where=(*row.where, new)), new.id
    kept = [each for each in row.where if not (act == "remove" and each.place == place)]
    return replace(row, where=_numbered(kept, row.place)), row.id


def _placed(block: Block, place: Place) -> Block:
    """The same, with everything numbered anew."""
    parts: list[Row | Block] = []
    for at, part in enumerate(block.parts):
        new = (*place, str(at))
        if isinstance(part, Block):
            parts.append(_placed(part, new))
        else:
            parts.append(replace(part, place=new, where=_numbered(part.where, new)))
    return Block(place, block.match, tuple(parts))
