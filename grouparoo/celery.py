"""The Celery application. Tasks are `shared_task` in each app's `tasks.py`; what calls them is in `wiring.py`."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "grouparoo.settings")

app = Celery("grouparoo")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
