"""Reads `Retry-After`: how long another server asks us to wait."""

from __future__ import annotations

import time
from email.utils import mktime_tz, parsedate_tz

LONGEST_PAUSE = 86_400.0  # seconds


def read_retry_after(text: str) -> float | None:
    """Seconds of the header, which is a number or a date; None when there is none that can be read."""
    text = text.strip()
    if text.isdecimal() and text.isascii():
        seconds = float(text[:12])
    elif date := parsedate_tz(text):
        try:
            seconds = mktime_tz(date) - time.time()
        except (OverflowError, ValueError):
            return None
    else:
        return None
    return min(max(seconds, 0.0), LONGEST_PAUSE)
