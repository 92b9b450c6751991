"""What `manage.py up` and `demo` show in a terminal: lines that scroll, and bars that stay below them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

BAR_WIDTH = 28
STEPS_WITHOUT_TERMINAL = 4  # a log file gets a line per quarter, not one per look


@dataclass(frozen=True, slots=True)
class Bar:
    """How far one piece of work is; `total` is None as long as nobody knows."""

    label: str
    done: int
    total: int | None
    ended: bool = False

    @property
    def share(self) -> float:
        if self.ended:
            return 1.0
        return min(self.done / self.total, 1.0) if self.total else 0.0

    def draw(self, width: int) -> str:
        filled = round(self.share * BAR_WIDTH)
        amount = f"{self.done:,}" + (f" of {self.total:,}" if self.total and not self.ended else "")
        return f"  {self.label:<{width}}  [{'█' * filled}{'·' * (BAR_WIDTH - filled)}] {self.share:4.0%}  {amount}"


class Screen:
    """Writes lines from several threads and keeps the bars at the bottom of a terminal."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.is_terminal = out.isatty()
        self.lock = threading.Lock()
        self.bars: Sequence[Bar] = ()
        self.drawn = 0
        self.quarters: dict[str, int] = {}

    def write(self, line: str) -> None:
        """Print one line above the bars."""
        with self.lock:
            self.erase()
            self.out.write(line + "\n")
            self.draw()
            self.out.flush()

    def show(self, bars: Sequence[Bar]) -> None:
        """Show how far things are; without a terminal print a line whenever a bar has passed another quarter."""
        width = max((len(bar.label) for bar in bars), default=0)
        if self.is_terminal:
            with self.lock:
                self.erase()
                self.bars = bars
                self.draw()
                self.out.flush()
            return
        for bar in bars:
            quarter = int(bar.share * STEPS_WITHOUT_TERMINAL)
            if quarter > self.quarters.get(bar.label, -1):
                self.quarters[bar.label] = quarter
                self.write(bar.draw(width))

    def finish(self) -> None:
        """Leave the bars where they are; what comes next is printed below them."""
        with self.lock:
            self.bars, self.drawn = (), 0

    def erase(self) -> None:
        if self.drawn:
            self.out.write(f"\x1b[{self.drawn}F\x1b[J")
            self.drawn = 0

    def draw(self) -> None:
        width = max((len(bar.label) for bar in self.bars), default=0)
        for bar in self.bars:
            self.out.write(bar.draw(width) + "\n")
        self.drawn = len(self.bars)
