"""Chromium for the browser's client."""

from __future__ import annotations

from tests.ui.conftest import browser

__all__ = ["browser"]
