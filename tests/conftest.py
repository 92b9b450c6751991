"""What every test may ask for: the embedded servers, other processes, MariaDB, Chromium.

Servers run only when a test asks for them. A part that only the system's packages have skips its tests with the
command that mends it; with CI=true it fails them.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from core.accounts import project
from core.lib.processes import ProcessGroup
from core.lib.servers import start_servers
from core.lib.servers.places import locate
from grouparoo.running import beat_command, process_env, worker_command
from profiles import ruleset
from tests.mariadb import MariaDB, start_mariadb
from tests.settings import SERVERS_ARE_GIVEN, TEST_VAR
from tests.waiting import wait_until

SLOW_TESTS_RUN = os.environ.get("FULL") == "1"


# Tests that stop servers, start the product's processes or drive a browser want the machine for themselves.
ALONE = (
    *("tests/core", "tests/demo", "tests/faults", "tests/grouparoo", "tests/sakila", "tests/ui/test_browser.py"),
    *("tests/story", "tests/operations/test_image.py"),
)


def pytest_configure() -> None:
    """A shell gives what it starts in the background an ignored Ctrl-C; the processes of the tests must obey it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs alone, and leave what takes minutes to FULL=1."""
    for item in items:
        if item.nodeid.startswith(ALONE):
            item.add_marker(pytest.mark.alone)
        if item.get_closest_marker("slow") and not SLOW_TESTS_RUN:
            item.add_marker(pytest.mark.skip(reason="takes minutes: FULL=1 make test"))


def find_system_part(program: str, *, name: str) -> str:
    """Return the path of a system program, or skip (in CI: fail) with what to do."""
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        reason = f"{name} is missing: sudo make system"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


# ---------------------------------------------------------------- PostgreSQL and Valkey


@pytest.fixture(scope="session")
def servers() -> Iterator[None]:
    """PostgreSQL and Valkey on a folder of the suite's own, or those of DATABASE_URL and REDIS_URL."""
    if SERVERS_ARE_GIVEN:
        yield
        return
    programs = os.environ.get("PG_BIN")
    with start_servers(TEST_VAR, programs=Path(programs) if programs else None, durable=False):
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings(servers: None, django_db_modify_db_settings_parallel_suffix: None) -> None:
    """pytest-django asks for this before it creates the test database."""


@pytest.fixture(scope="session")
def postgres_server(servers: None) -> Callable[[str], str]:
    """Return a function that names the URL of another database on the same server (it does not create it)."""

    def name_url(database: str) -> str:
        if not SERVERS_ARE_GIVEN:
            return locate(TEST_VAR).database_url_of(database)
        head, _, tail = os.environ["DATABASE_URL"].rpartition("/")
        _, mark, options = tail.partition("?")
        return f"{head}/{database}{mark}{options}"

    return name_url


@pytest.fixture(autouse=True)
def _clean_slate(request: pytest.FixtureRequest) -> Iterator[None]:
    """Empty after a test what Django's flush does not know (partitioned tables) and forget what processes cache."""
    marker = request.node.get_closest_marker("django_db")
    writes = "transactional_db" in request.fixturenames or bool(marker and marker.kwargs.get("transaction"))
    if writes:
        request.getfixturevalue("transactional_db")
    yield
    ruleset.forget()
    project.forget()
    if writes:
        with connection.cursor() as cursor:
            cursor.execute("truncate event, profile_change, group_membership_change, sent_log")


# ---------------------------------------------------------------- the product's own processes


@pytest.fixture
def processes() -> Iterator[ProcessGroup]:
    """Start programs that cannot outlive the test."""
    with ProcessGroup() as group:
        yield group


@pytest.fixture
def product_env(postgres_server: Callable[[str], str], transactional_db: None) -> dict[str, str]:
    """The environment in which the product's processes work on this test's database."""
    return process_env(
        "test",
        database_url=postgres_server(str(connection.settings_dict["NAME"])),
        redis_url=settings.REDIS_URL,
    )


@pytest.fixture
def start_worker(processes: ProcessGroup, product_env: dict[str, str], tmp_path: Path) -> Callable[..., int]:
    """Return a function that starts a real Celery worker, waits until it takes tasks and returns its process id."""

    def start(*, concurrency: int = 1, queues: tuple[str, ...] = settings.QUEUES) -> int:
        log = tmp_path / f"worker-{len(processes.children)}.log"
        command = [*worker_command(processes=concurrency, queues=queues), "--loglevel", "INFO"]
        with log.open("wb") as output:
            child = processes.start(command, env=product_env, output=output)
        wait_until(
            lambda: " ready." in log.read_text() or child.poll() is not None, what="the worker is ready", within=30
        )
        if child.poll() is not None:
            pytest.fail(f"The worker ended:\n{log.read_text()}")
        return child.pid

    return start


@pytest.fixture
def start_beat(processes: ProcessGroup, product_env: dict[str, str], tmp_path: Path) -> Callable[[], int]:
    """Return a function that starts beat and returns its process id."""

    def start() -> int:
        with (tmp_path / f"beat-{len(processes.children)}.log").open("wb") as output:
            return processes.start(beat_command(), env=product_env, output=output).pid

    return start


# ---------------------------------------------------------------- what only the system's packages have


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A MariaDB server of the suite's own."""
    program = find_system_part("mariadbd", name="MariaDB")
    installer = find_system_part("mariadb-install-db", name="MariaDB")
    with start_mariadb(program, installer=installer) as server:
        yield server


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The path of the system's Chromium, for `playwright.chromium.launch(executable_path=...)`."""
    return find_system_part("chromium", name="Chromium")
