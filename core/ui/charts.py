"""Charts as SVG text, drawn on the server: no script, no `style`, printable. Template tags are thin doors to these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil, log10

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from core.ui.wording import month_day, number

SPARK_WIDTH, SPARK_HEIGHT = 96, 24
_INSET = 2.0  # room for the line's width and the end dot


@dataclass(frozen=True, slots=True)
class Canvas:
    """The space of one drawing of a chart, in pixels."""

    width: int
    height: int
    look: str  # the class that shows it on wide or on narrow screens
    days_between_labels: int
    left: int = 44
    right: int = 44
    top: int = 12
    bottom: int = 28


WIDE = Canvas(920, 220, "wide-only", 7)
NARROW = Canvas(312, 170, "narrow-only", 14)


def spark(values: Sequence[float]) -> SafeString:
    """A 96 x 24 line scaled to its own range, with a dot at the last value. Decoration: its number stands beside it."""
    if not values:
        return SafeString("")
    points = _points(values, left=0, right=SPARK_WIDTH, top=_INSET, bottom=SPARK_HEIGHT - _INSET, low=min(values))
    line = _join(points)
    end = points[-1]
    return mark_safe(  # noqa: S308  every part is a number
        f'<svg class="spark" viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}" aria-hidden="true">'
        f'<polygon class="area" points="{px(points[0][0])},{SPARK_HEIGHT} {line} {px(end[0])},{SPARK_HEIGHT}"/>'
        f'<polyline points="{line}"/><circle cx="{px(end[0])}" cy="{px(end[1])}" r="2.5"/></svg>'
    )


def bar(parts: Sequence[tuple[float, str]], *, label: str, tall: bool = False) -> SafeString:
    """Parts of a whole side by side: (share of 100, class of the part)."""
    rects, start = [], 0.0
    for share, look in parts:
        if share <= 0:
            continue
        width = min(share, 100 - start)
        kind = f' class="{escape(look)}"' if look else ""
        rects.append(f'<rect x="{px(start)}" y="0" width="{px(width)}" height="10"{kind}/>')
        start += width
    size = " is-tall" if tall else ""
    return mark_safe(  # noqa: S308  the label is escaped, the rest are numbers
        f'<svg class="bar{size}" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}">{"".join(rects)}</svg>'
    )


def area(series: Sequence[tuple[date, int]], *, label: str) -> SafeString:
    """A size by day, from zero, drawn once for wide and once for narrow screens so that labels never shrink."""
    if len(series) < 2:
        return SafeString("")
    drawings = "".join(_draw_area(series, canvas, label) for canvas in (WIDE, NARROW))
    return mark_safe(drawings)  # noqa: S308  the label is escaped, the rest are numbers and dates


def _draw_area(series: Sequence[tuple[date, int]], canvas: Canvas, label: str) -> str:
    values = [size for _, size in series]
    top_value = nice_ceiling(max(values))
    right, base = canvas.width - canvas.right, canvas.height - canvas.bottom
    points = _points(values, left=canvas.left, right=right, top=canvas.top, bottom=base, low=0, high=top_value)
    line, end = _join(points), points[-1]
    marks = scale(canvas, top_value)
    last = len(series) - 1
    for index in range(last, -1, -canvas.days_between_labels):
        anchor = "end" if index == last else "start" if index == 0 else "middle"
        x = points[index][0]
        marks.append(
            f'<text x="{px(x)}" y="{canvas.height - 6}" text-anchor="{anchor}">{day_label(series[index][0])}</text>'
        )
    return (
        f'<svg class="{canvas.look}" viewBox="0 0 {canvas.width} {canvas.height}" role="img" '
        f'aria-label="{escape(label)}">{"".join(marks)}'
        f'<polygon class="area" points="{px(points[0][0])},{base} {line} {px(end[0])},{base}"/>'
        f'<polyline class="stroke" points="{line}"/>'
        f'<circle class="dot" cx="{px(end[0])}" cy="{px(end[1])}" r="4.5"/>'
        f'<text class="label" x="{px(end[0] + 9)}" y="{px(end[1] + 4)}">{number(values[-1])}</text></svg>'
    )


def scale(canvas: Canvas, top_value: int, *, say: Callable[[float], str] = number) -> list[str]:
    """Hairlines from zero to the top, each with its value."""
    steps = 3 if top_value % 3 == 0 else 2 if top_value % 2 == 0 else 1
    right, base = canvas.width - canvas.right, canvas.height - canvas.bottom
    marks = []
    for step in range(steps + 1):
        y, value = base - (base - canvas.top) * step / steps, say(top_value * step // steps)
        marks.append(f'<line class="grid" x1="{canvas.left}" x2="{right}" y1="{px(y)}" y2="{px(y)}"/>')
        marks.append(f'<text x="{canvas.left - 8}" y="{px(y + 4)}" text-anchor="end">{escape(value)}</text>')
    return marks


def nice_ceiling(value: float) -> int:
    """The next round number at or above: 268 -> 300, 4755 -> 6000."""
    if value <= 3:
        return 3
    size: int = 10 ** int(log10(value))
    for step in (1, 1.5, 2, 3, 4, 6, 8, 10):
        if value <= step * size:
            return ceil(step * size)
    return 10 * size


def day_label(day: date) -> str:
    """ "8 Jan"."""
    return month_day(day)


def _points(
    values: Sequence[float],
    *,
    left: float,
    right: float,
    top: float,
    bottom: float,
    low: float,
    high: float | None = None,
) -> list[tuple[float, float]]:
    high = max(values) if high is None else high
    span = (high - low) or 1.0
    flat = high == low
    step = (right - left) / (len(values) - 1) if len(values) > 1 else 0.0
    start = left if len(values) > 1 else right
    return [
        (start + index * step, (top + bottom) / 2 if flat else bottom - (value - low) / span * (bottom - top))
        for index, value in enumerate(values)
    ]


def _join(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{px(x)},{px(y)}" for x, y in points)


def px(value: float) -> str:
    """A length in a drawing, to a tenth."""
    return f"{value:.1f}".removesuffix(".0")
