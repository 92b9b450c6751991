"""The image's steps without a container engine: its files in a clean folder, its commands, its environment.

What is not proved here is `docker build` itself: the base image and the installation of the packages into it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from core.lib.processes import ProcessGroup, find_free_port
from core.lib.servers import PROJECT, Servers
from core.lib.servers.postgres import find_package
from tests.faults.conftest import make_database
from tests.waiting import wait_until

KEY = "aW1hZ2UgdGVzdHMgYWxvbmUsIHdvcnRoIG5vdGhpbmc="


@pytest.fixture
def env(image: Path, breakable: Servers, tmp_path: Path) -> dict[str, str]:
    """The environment that docker-compose.yml gives, with the addresses of servers that run here."""
    make_database(breakable, "image")
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": breakable.places.database_url_of("image"),
        "REDIS_URL": breakable.redis_url,
        "SECRET_KEY": "a long key of the image's test, which nobody uses for anything else",
        "GROUPAROO_SECRET_KEYS": KEY,
        "GROUPAROO_VAR": str(tmp_path / "var"),
        "ALLOWED_HOSTS": "grouparoo.example.com",
        "HTTPS": "true",
        "BEHIND_PROXY": "true",
        "LOG_FORMAT": "json",
        "TMPDIR": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def manage(image: Path, env: dict[str, str], *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run what ENTRYPOINT runs, with these arguments."""
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=image, env=env, capture_output=True, text=True, check=False, **more)


def test_the_entry_point_is_what_compose_calls() -> None:
    text = (PROJECT / "Dockerfile").read_text()
    assert 'ENTRYPOINT ["python", "manage.py"]' in text
    assert 'CMD ["run", "web"]' in text
    assert "USER grouparoo" in text.rpartition("COPY")[2], "what serves is not root"


def test_a_deployed_product_has_nothing_that_django_warns_of(image: Path, env: dict[str, str]) -> None:
    checked = manage(image, env, "check", "--deploy", "--fail-level", "WARNING")
    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout


def test_the_programs_start_answer_their_health_checks_and_end(
    image: Path, env: dict[str, str], tmp_path: Path
) -> None:
    prepared = manage(image, env, "prepare")
    assert prepared.returncode == 0, prepared.stderr
    made = manage(
        image,
        {**env, "GROUPAROO_USER_PASSWORD": "a long enough passphrase"},
        *("createuser", "--email", "ada@example.com", "--role", "admin"),
    )
    assert "can sign in" in made.stdout, made.stderr

    port = str(find_free_port())
    logs: dict[str, Path] = {}
    with ProcessGroup() as group:
        programs = {}
        for name, arguments in {
            "web": ("--host", "127.0.0.1", "--port", port),
            "worker": (),
            "sender": (),
            "beat": (),
        }.items():
            logs[name] = tmp_path / f"{name}.log"
            with logs[name].open("wb") as output:
                command = [sys.executable, "manage.py", "run", name, *arguments]
                programs[name] = group.start(command, cwd=image, env=env, output=output)
        for name, more in {"web": ("--port", port), "worker": (), "sender": (), "beat": ()}.items():
            wait_until(
                lambda name=name, more=more: manage(image, env, "health", name, *more).returncode == 0,  # type: ignore[misc]
                what=f"the {name} is healthy",
                within=60,
            )
        wait_until(lambda: ask(port, "/readyz")["status"] == "ready", what="everything is ready", within=30)
        assert ask(port, "/readyz")["parts"]["workers"]["seen"] == 2

        # Others are sent to https; the proxy, which has ended TLS, is not, and gets the sign-in page by its name.
        proxied = {"Host": "grouparoo.example.com", "X-Forwarded-Proto": "https"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/sign-in/", headers=proxied)
        with urllib.request.urlopen(request) as page:
            assert "Sign in" in page.read().decode()
            assert "Secure" in page.headers["Set-Cookie"]
            assert page.headers["Strict-Transport-Security"].startswith("max-age=31536000")

        for program in programs.values():
            program.send_signal(signal.SIGTERM)
        for name, program in programs.items():
            assert program.wait(timeout=30) == 0, f"{name}: {logs[name].read_text()}"
    requests = [json.loads(line) for line in logs["web"].read_text().splitlines() if '"path"' in line]
    [seen] = [line for line in requests if line["path"] == "/sign-in/"]
    assert {"time", "level", "logger", "message", "request_id", "method", "status", "ms"} <= seen.keys()


def test_a_restored_backup_starts_with_all_sending_stopped(
    image: Path, env: dict[str, str], breakable: Servers, tmp_path: Path
) -> None:
    assert manage(image, env, "prepare").returncode == 0
    with closing(psycopg2.connect(env["DATABASE_URL"])) as product, product, product.cursor() as cursor:
        cursor.execute("select sending_stopped from project")
        assert cursor.fetchall() == [(False,)]
    dump = tmp_path / "grouparoo.dump"
    run_postgres("pg_dump", env["DATABASE_URL"], "-Fc", "-f", str(dump))
    make_database(breakable, "restored")
    restored = {**env, "DATABASE_URL": breakable.places.database_url_of("restored")}
    run_postgres("pg_restore", "--dbname", restored["DATABASE_URL"], "--no-owner", str(dump))
    prepared = manage(image, restored, "prepare")
    assert prepared.returncode == 0, prepared.stderr
    assert "Sending is stopped" in prepared.stdout
    with closing(psycopg2.connect(restored["DATABASE_URL"])) as product, product, product.cursor() as cursor:
        cursor.execute("select sending_stopped, sending_stopped_reason like 'This database was restored%' from project")
        assert cursor.fetchall() == [(True, True)]
    assert "Sending is stopped" not in manage(image, restored, "prepare").stdout, "it is said once"


def run_postgres(program: str, *arguments: str) -> None:
    """A program of the PostgreSQL that the tests run on."""
    folder = Path(os.environ["PG_BIN"]) if os.environ.get("PG_BIN") else find_package() / "pginstall" / "bin"
    subprocess.run([folder / program, *arguments], check=True, capture_output=True)


def ask(port: str, path: str) -> Any:
    """The JSON at an address of the web process."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
        return json.load(answer)
