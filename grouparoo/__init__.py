"""The composition root: settings, URLs, Celery, wiring. Nothing imports from here but this package itself."""

from __future__ import annotations

from grouparoo.celery import app as celery_app

__all__ = ["celery_app"]
