"""How often something may be tried: counted in Redis over windows of fifteen minutes, by names such as an address.

While Redis is away nothing is counted: locking everybody out would be worse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import ngettext

from core.lib import rates

WINDOW_SECONDS = 15 * 60


def wait_in_words(most_of: Mapping[str, int]) -> str:
    """How long to wait, such as "4 minutes", when one of these names was counted as often as it may be; else ""."""
    left = [rates.left_of(name, most=most, seconds=WINDOW_SECONDS) for name, most in most_of.items()]
    minutes = math.ceil(max(left) / 60)
    if minutes == 0:
        return ""
    return ngettext("a minute", "%(count)s minutes", minutes) % {"count": minutes}


def note(most_of: Mapping[str, int]) -> None:
    """Count one for each of these names."""
    for name in most_of:
        rates.count(name, seconds=WINDOW_SECONDS)


def find_address(request: HttpRequest) -> str:
    """Where a request comes from: behind a proxy the last address that it added, else the other end."""
    forwarded = request.headers.get("X-Forwarded-For", "") if settings.BEHIND_PROXY else ""
    return forwarded.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", "") or "nowhere"
