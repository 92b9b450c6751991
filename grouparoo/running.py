"""The commands and the environment of the product's processes: web, worker, sender and beat.

`manage.py up` and `demo`, the benchmarks and the tests start them from here, so that all run the same thing.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

PROJECT = Path(__file__).resolve().parent.parent


def web_command(*, host: str, port: int, processes: int) -> list[str]:
    """Serve the UI and the API."""
    return [
        *(sys.executable, "-m", "gunicorn", "grouparoo.wsgi:application"),
        *("--chdir", str(PROJECT), "--bind", f"{host}:{port}"),
        *("--workers", str(processes), "--threads", "4", "--timeout", "60", "--graceful-timeout", "10"),
        *("--keep-alive", "30", "--max-requests", "20000", "--max-requests-jitter", "2000"),
        *("--log-level", "warning", "--no-control-socket"),
    ]


def worker_command(*, processes: int, queues: Sequence[str] = (), name: str = "") -> list[str]:
    """Run tasks of `queues` (none named: of all), `processes` at a time; without a name it gets one of its own.

    `worker` and `sender` are both this: the one with the inner queues, the other with those that wait for destinations.
    """
    return [
        *(sys.executable, "-m", "celery", "--quiet", "--workdir", str(PROJECT), "-A", "grouparoo", "worker"),
        *("--concurrency", str(processes), "--queues", ",".join(queues or settings.QUEUES)),
        *("--hostname", name or f"worker-{uuid.uuid4().hex[:8]}@%h", "--loglevel", "WARNING"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]


def beat_command() -> list[str]:
    """Wake the sweeps up. It keeps no file: when what is due stands in rows, and any number of beats may run."""
    return [
        *(sys.executable, "-m", "celery", "--quiet", "--workdir", str(PROJECT), "-A", "grouparoo", "beat"),
        *("--scheduler", "grouparoo.beating:Scheduler", "--loglevel", "WARNING", "--pidfile="),
    ]


def process_env(name: str, *, database_url: str, redis_url: str) -> dict[str, str]:
    """The environment of one process; `name` shows in the database's list of connections."""
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "grouparoo.settings",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        # Its default depends on whether addresses were given, and from here on they are.
        "GROUPAROO_ALLOW_PRIVATE_HOSTS": str(settings.GROUPAROO_ALLOW_PRIVATE_HOSTS),
        "GROUPAROO_PROCESS": f"grouparoo {name}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH")))),
    }
