"""What load balancers and container engines ask: does the process answer, and how is each part."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone

from core.work import leases, partitions
from core.work.models import Work
from grouparoo import beating, health
from grouparoo.celery import app as celery

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _look_anew() -> None:
    health.forget()
    partitions.ensure(timezone.now())


def ask(client: Client, **headers: Any) -> tuple[int, Any]:
    """The answer of /readyz."""
    response = client.get("/readyz", headers=headers)
    return response.status_code, response.json()


def test_the_process_answers_by_any_name_without_sign_in_and_without_the_database(
    client: Client, settings: Any, django_assert_num_queries: Any
) -> None:
    settings.ALLOWED_HOSTS = ["grouparoo.example.com"]
    settings.SECURE_SSL_REDIRECT = True
    with django_assert_num_queries(0):
        response = client.get("/healthz", headers={"host": "10.1.2.3:8000"})
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response["Cache-Control"] == "no-store"


def test_without_workers_it_is_degraded_but_in_service(client: Client) -> None:
    status, said = ask(client)
    assert (status, said["status"]) == (200, "degraded")
    parts = said["parts"]
    assert [name for name, part in parts.items() if not part["ok"]] == ["workers"]
    assert parts["workers"]["problem"] == "No worker answers: start one."
    assert parts["backlog"] == {"ok": True, "oldest_seconds": 0}


def test_work_that_nobody_does_is_told(client: Client) -> None:
    leases.enqueue(kind="import", subject="1")
    with connection.cursor() as cursor:
        cursor.execute("update work set next_at = now() - interval '20 minutes'")
    assert Work.objects.count() == 1
    status, said = ask(client)
    assert (status, said["parts"]["backlog"]["oldest_seconds"]) == (200, pytest.approx(1200, abs=5))
    assert "Work waits" in said["parts"]["backlog"]["problem"]


def test_a_missing_migration_takes_it_out_of_service(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from django_migrations where id = (select max(id) from django_migrations where app = 'accounts')"
        )
    status, said = ask(client)
    assert (status, said["status"]) == (503, "not ready")
    assert said["parts"]["migrations"] == {"ok": False, "waiting": 1, "problem": "Run: python manage.py prepare"}


def test_a_missing_partition_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "missing", lambda now: [(partitions.TABLES[0], partitions.week_start(now))])
    status, said = ask(client)
    assert (status, said["parts"]["partitions"]["missing"]) == (200, 1)
    assert not said["parts"]["partitions"]["ok"]


def test_a_broker_that_is_away_is_told_at_once(client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    def fail(**_: Any) -> None:
        raise redis.ConnectionError("away")

    monkeypatch.setattr(celery.control, "ping", fail)
    status, said = ask(client)
    assert (status, said["status"]) == (200, "degraded")
    assert {name for name, part in said["parts"].items() if not part["ok"]} == {"broker", "workers"}


def test_a_database_that_is_away_takes_it_out_of_service(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise DatabaseError("no route to db.internal as grouparoo")

    monkeypatch.setattr(connection, "ensure_connection", fail)
    status, said = ask(client)
    assert status == 503
    assert "db.internal" not in str(said), "nothing of the inside is told"
    assert "backlog" not in said["parts"]


def test_the_answer_is_kept_for_a_moment(client: Client, django_assert_num_queries: Any) -> None:
    first = ask(client)
    with django_assert_num_queries(0):
        assert ask(client) == first


def test_a_dead_program_fails_its_health_check(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beating, "sign_of_life", lambda: tmp_path / "beat")
    for program in ("web", "beat", "worker", "sender"):
        with pytest.raises(CommandError, match=f"The {program} does not answer"):
            call_command("health", program, port=1)
    beating.sign_of_life().touch()
    call_command("health", "beat")
