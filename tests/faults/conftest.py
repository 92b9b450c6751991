"""Servers of these tests' own, which may be stopped under the product's feet, and the product's processes on them."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from apps_connectors import connections
from core.accounts import project
from core.lib.processes import ProcessGroup
from core.lib.servers import PROJECT, Servers, start_servers
from core.work import wake
from grouparoo.running import process_env
from grouparoo.settings import configure_database
from profiles import ruleset
from tests.faults.product import Product
from tests.faults.shop import Shop

TEMPLATE = "product_template"
LEASE_SECONDS = 4


@pytest.fixture(scope="package")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """PostgreSQL and Valkey that nobody else uses, with an empty product as a template."""
    programs = os.environ.get("PG_BIN")
    home = tmp_path_factory.mktemp("breakable")
    with start_servers(home, programs=Path(programs) if programs else None, durable=False) as servers:
        make_database(servers, TEMPLATE)
        env = process_env("migrate", database_url=servers.places.database_url_of(TEMPLATE), redis_url=servers.redis_url)
        subprocess.run([sys.executable, "manage.py", "migrate", "-v", "0"], check=True, cwd=PROJECT, env=env)
        yield servers


@pytest.fixture
def product(
    breakable: Servers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Product]:
    """The product on a fresh database of the breakable servers; this process reads and sets it up there too."""
    make_database(breakable, "product", template=TEMPLATE)
    given = configure_database(breakable.places.database_url_of("product"))
    connection.close()
    for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS"):
        monkeypatch.setitem(connection.settings_dict, key, given.get(key, ""))
    monkeypatch.setattr(wake._wakes, "send", None)  # beat's sweeps find what is due
    project.forget()
    ruleset.forget()
    env = process_env(
        "fault",
        database_url=breakable.places.database_url_of("product"),
        redis_url=breakable.redis_url,
    ) | {"GROUPAROO_LEASE_SECONDS": str(LEASE_SECONDS)}
    with django_db_blocker.unblock(), ProcessGroup() as group:
        product = Product(breakable, group, env, tmp_path)
        yield product
        group.stop(within=0)
        print(product.log())  # pytest shows it of a test that failed
        connections.close_all()
        connection.close()


@pytest.fixture
def chance() -> random.Random:
    """When the faults come; the seed is printed, which pytest shows of a test that failed."""
    seed = int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(10**6))
    print(f"FAULT_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def shop(product: Product) -> Shop:
    """The shop, set up and not yet read."""
    servers = product.servers
    for name in ("shop", "destination"):
        make_database(servers, name)
    shop = Shop(servers.places.database_url_of("shop"), servers.places.database_url_of("destination"))
    shop.set_up()
    return shop


def make_database(servers: Servers, name: str, *, template: str = "template1") -> None:
    """A fresh database; one of an earlier test is dropped."""
    with closing(psycopg2.connect(servers.places.database_url_of("postgres"))) as server:
        server.autocommit = True
        with server.cursor() as cursor:
            cursor.execute(f"drop database if exists {name} with (force)")
            cursor.execute(f"create database {name} template {template}")
