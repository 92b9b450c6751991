"""Stacked columns over time: two drawings as SVG text, and the same numbers as a table.

A part of a column is a thick line, so that the parts differ by dash as well as by colour: see `.c1` to `.c7` in the
stylesheet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from core.ui.charts import Canvas, nice_ceiling, px, scale
from core.ui.wording import number

WIDE = Canvas(920, 176, "wide-only", 0, right=40)
NARROW = Canvas(312, 150, "narrow-only", 0, right=32)
_LABELS = {WIDE: 8, NARROW: 4}
_WIDEST, _SHARE = 26.0, 0.62  # of a column: in pixels, and of the room it has
_LEAST = 1.5  # pixels: what is little is not nothing
OTHERS = 7  # the look of what has no look of its own


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in the table, its name under the axis, and its parts from the bottom up."""

    name: str
    short: str
    values: Sequence[float]

    @property
    def total(self) -> float:
        """All parts together."""
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Columns:
    """A chart of columns with everything it says. `parts` are (name, look from 1 to 7)."""

    sentence: str
    label: str  # for whoever does not see it
    head: str  # of the table's first column
    parts: Sequence[tuple[str, int]]
    columns: Sequence[Column]
    say: Callable[[float], str] = number
    usual: float | None = None
    unit: int = 1  # what the scale counts in: 60 for seconds that are shown as minutes

    @property
    def has_legend(self) -> bool:
        """Whether the parts have to be told apart."""
        return len(self.parts) > 1

    @property
    def rows(self) -> list[tuple[str, list[str]]]:
        """The table, the latest first: a name, what each part is, and the sum where there is more than one part."""
        return [
            (column.name, [self.say(value) for value in [*column.values, *([column.total] if self.has_legend else [])]])
            for column in reversed(self.columns)
        ]

    @property
    def drawings(self) -> SafeString:
        """The chart for wide and for narrow screens."""
        return mark_safe(_draw(self, WIDE) + _draw(self, NARROW))  # noqa: S308  every text in it is escaped


def swatch(look: int) -> SafeString:
    """The colour and the dash of a part, for a legend."""
    return mark_safe(  # noqa: S308  a number
        f'<svg viewBox="0 0 12 12" aria-hidden="true"><line class="c{int(look)}" x1="6" x2="6" y1="12" y2="0"/></svg>'
    )


def _draw(chart: Columns, canvas: Canvas) -> str:
    highest = max([column.total for column in chart.columns] + [chart.usual or 0])
    units = nice_ceiling(highest / chart.unit)
    top = units * chart.unit
    room = (canvas.width - canvas.left - canvas.right) / len(chart.columns)
    marks = scale(canvas, units, say=lambda value: chart.say(value * chart.unit))
    every = ceil(len(chart.columns) / _LABELS[canvas])
    for place, column in enumerate(chart.columns):
        x = canvas.left + room * (place + 0.5)
        marks.append(_draw_column(chart, column, canvas, x=x, width=min(_WIDEST, room * _SHARE), top=top))
        if (len(chart.columns) - 1 - place) % every == 0:
            marks.append(
                f'<text x="{px(x)}" y="{canvas.height - 6}" text-anchor="middle">{escape(column.short)}</text>'
            )
    if chart.usual is not None:
        y, right = _height_of(chart.usual, canvas, top), canvas.width - canvas.right
        marks.append(f'<line class="usual" x1="{canvas.left}" x2="{right}" y1="{px(y)}" y2="{px(y)}"/>')
        said = escape(chart.say(chart.usual))
        marks.append(f'<text class="label" x="{right + 6}" y="{px(y + 4)}">{said}</text>')
    return (
        f'<svg class="{canvas.look}" viewBox="0 0 {canvas.width} {canvas.height}" role="img" '
        f'aria-label="{escape(chart.label)}">{"".join(marks)}</svg>'
    )


def _draw_column(chart: Columns, column: Column, canvas: Canvas, *, x: float, width: float, top: float) -> str:
    """The parts on top of each other, and what they are for whoever points at them."""
    lines, said, y = [], [], float(canvas.height - canvas.bottom)
    for value, (name, look) in zip(column.values, chart.parts, strict=True):
        if value <= 0:
            continue
        end = y - max(_LEAST, value / top * (canvas.height - canvas.bottom - canvas.top))
        lines.append(
            f'<line class="c{look}" x1="{px(x)}" x2="{px(x)}" y1="{px(y)}" y2="{px(end)}" stroke-width="{px(width)}"/>'
        )
        said.append(f"{chart.say(value)} {name}")
        y = end
    if not lines:
        return ""
    return f"<g><title>{escape(column.name)}: {escape(', '.join(said))}</title>{''.join(lines)}</g>"


def _height_of(value: float, canvas: Canvas, top: float) -> float:
    base = canvas.height - canvas.bottom
    return base - value / top * (base - canvas.top)
