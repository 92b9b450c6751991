"""A MariaDB server for the suite: its own data, socket and port, gone when the suite ends in any way."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

from core.lib.processes import ProcessGroup, find_free_port
from tests.waiting import wait_until

USER = "grouparoo"
PASSWORD = "a password with spaces, 'quotes' and @ signs"  # what a URL or a statement would trip over


@dataclass(frozen=True, slots=True)
class MariaDB:
    """Where the server is, and a person who may do everything there."""

    host: str
    port: int
    user: str
    password: str

    def connect(self, database: str | None = None) -> Any:
        """Open a connection that commits by itself."""
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            database=database,
            autocommit=True,
            charset="utf8mb4",
        )

    def create_database(self, name: str) -> None:
        """Create an empty database, in place of one of that name."""
        self.run(None, [f"drop database if exists `{name}`", f"create database `{name}` character set utf8mb4"])

    def run(self, database: str | None, statements: Sequence[str]) -> None:
        """Run statements one after the other."""
        with closing(self.connect(database)) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


@contextmanager
def start_mariadb(program: str, *, installer: str) -> Iterator[MariaDB]:
    """Run a server on a new folder; as root it runs as an account without rights."""
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="grouparoo-mariadb-"))
    as_user: dict[str, Any] = {}
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)
        as_user = {"user": account.pw_uid, "group": account.pw_gid}
    data = folder / "data"
    subprocess.run(
        [installer, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
         "--skip-test-db", "--skip-log-bin"],
        check=True, capture_output=True, cwd=folder, **(as_user | {"extra_groups": []} if as_user else {}),
    )  # fmt: skip
    port = find_free_port()
    command = [
        program, "--no-defaults", f"--datadir={data}", f"--socket={folder / 'socket'}", f"--port={port}",
        f"--pid-file={folder / 'pid'}", "--bind-address=127.0.0.1", "--skip-log-bin", "--skip-name-resolve",
        "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=256M", "--performance-schema=off",
    ]  # fmt: skip
    log_path = folder / "log"
    try:
        with ProcessGroup() as processes, log_path.open("wb") as log:
            child = processes.start(command, cwd=folder, output=log, **as_user)
            wait_until(
                lambda: child.poll() is not None or b"ready for connections" in log_path.read_bytes(),
                what="MariaDB takes connections",
                within=60,
            )
            assert child.poll() is None, log_path.read_text()
            server = MariaDB("127.0.0.1", port, USER, PASSWORD)
            create_user(folder / "socket", server=server)
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def create_user(socket: Path, *, server: MariaDB) -> None:
    with closing(pymysql.connect(unix_socket=str(socket), user="root")) as connection, connection.cursor() as cursor:
        cursor.execute("create user %s@'%%' identified by %s", [server.user, server.password])
        cursor.execute("grant all on *.* to %s@'%%'", [server.user])
