"""The launcher: the embedded servers run as long as someone holds them, and no longer."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg2
import pytest
import redis

from core.lib.servers import PROJECT, ServerError, Servers, start_servers
from core.lib.servers.account import make_folder
from core.lib.servers.places import LONGEST_SOCKET_PATH, SOCKET_NAME, is_reachable_by_others, locate
from tests.waiting import wait_until

HOLD = """
import sys, time
from pathlib import Path
from core.lib.servers import start_servers
servers = start_servers(Path(sys.argv[1]), durable=False)
print("started", flush=True)
time.sleep(600)
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder for servers; what root keeps for it elsewhere, and nothing else, is removed afterwards."""
    folder = tmp_path / "home"
    yield folder
    remove_places_elsewhere(folder)


def remove_places_elsewhere(home: Path) -> None:
    places = locate(home)
    for folder in {places.base, places.run.parent} - {home}:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def started(home: Path) -> Iterator[Servers]:
    with start_servers(home, durable=False) as servers:
        yield servers


def run_sql(servers: Servers, statement: str) -> str:
    """Run one statement and return the first value of its answer, if it has one."""
    with closing(psycopg2.connect(servers.database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return str(cursor.fetchone()[0]) if cursor.description else ""


def hold_in_another_process(home: Path) -> subprocess.Popen[bytes]:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(home)], cwd=PROJECT, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder.stdout as output:
        assert output.readline() == b"started\n"
    return holder


def find_processes(home: Path) -> list[str]:
    """The command lines that name the folder, without what has ended and waits to be counted."""
    places = locate(home)
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            if process.status() != psutil.STATUS_ZOMBIE and (str(places.base) in line or str(places.run) in line):
                found.append(line)
        except psutil.Error:
            continue
    return [line for line in found if HOLD not in line]


def see_nothing_running(home: Path) -> None:
    wait_until(lambda: find_processes(home) == [], what="nothing runs any more", within=20)


def find_keeper(home: Path) -> psutil.Process:
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "core.lib.servers.keeper" in line and str(home) in line:
            return process
    raise AssertionError("There is no keeper.")


def test_both_servers_answer_and_speak_utf8(started: Servers) -> None:
    assert run_sql(started, "show server_encoding") == "UTF8"
    assert run_sql(started, "select upper('élan')") == "ÉLAN"
    with redis.Redis.from_url(started.redis_url) as client:
        assert client.ping()


def test_they_listen_on_sockets_alone(started: Servers) -> None:
    assert run_sql(started, "show listen_addresses") == ""
    with redis.Redis.from_url(started.redis_url) as client:
        assert client.config_get("port") == {"port": "0"}


def test_they_do_not_run_as_root(started: Servers) -> None:
    pid = int(run_sql(started, "select pg_backend_pid()"))
    assert pid
    owner = locate(started.places.home).postgres_data.stat().st_uid
    assert owner != 0


def test_stop_leaves_nothing_running_and_a_second_start_keeps_the_data(home: Path) -> None:
    with start_servers(home, durable=False) as servers:
        run_sql(servers, "create table kept as select 42 as answer")
    see_nothing_running(home)
    with start_servers(home, durable=False) as servers:
        assert run_sql(servers, "select answer from kept") == "42"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_end_of_the_starter_stops_them(home: Path, number: signal.Signals) -> None:
    holder = hold_in_another_process(home)
    assert find_processes(home) != []
    holder.send_signal(number)
    holder.wait()
    see_nothing_running(home)


def test_they_run_until_the_last_of_two_lets_go(home: Path) -> None:
    holder = hold_in_another_process(home)
    with start_servers(home, durable=False) as servers:
        holder.kill()
        holder.wait()
        assert run_sql(servers, "select 1") == "1"
    see_nothing_running(home)


def test_a_start_heals_what_a_killed_keeper_left_behind(home: Path) -> None:
    holder = hold_in_another_process(home)
    try:
        with start_servers(home, durable=False) as servers:
            run_sql(servers, "create table kept as select 42 as answer")
        find_keeper(home).kill()
    finally:
        holder.kill()
        holder.wait()
    assert any("postgres" in line for line in find_processes(home))
    with start_servers(home, durable=False) as servers:
        assert run_sql(servers, "select answer from kept") == "42"
    see_nothing_running(home)


def test_a_server_that_is_killed_starts_again(started: Servers) -> None:
    pid = int((started.places.postgres_data / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGKILL)

    def answers() -> bool:
        try:
            return run_sql(started, "select 1") == "1"
        except psycopg2.Error:
            return False

    wait_until(lambda: not psutil.pid_exists(pid) and answers(), what="PostgreSQL answers again", within=60)


def test_one_server_can_be_stopped_and_started_for_a_test(started: Servers) -> None:
    started.stop_server("valkey")
    with redis.Redis.from_url(started.redis_url) as client:
        with pytest.raises(redis.ConnectionError):
            client.ping()
        started.start_server("valkey")
        assert client.ping()


def test_data_of_another_version_is_refused_with_what_to_do(home: Path) -> None:
    with start_servers(home, durable=False) as servers:
        version_file = servers.places.postgres_data / "PG_VERSION"
    version_file.write_text("14\n")
    with pytest.raises(ServerError, match=r"made by PostgreSQL 14.*PG_BIN"):
        start_servers(home, durable=False)
    see_nothing_running(home)


def test_a_pid_file_with_the_number_of_another_program_does_no_harm(home: Path) -> None:
    with start_servers(home, durable=False) as servers:
        pid_file = servers.places.postgres_data / "postmaster.pid"
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        pid_file.write_text(f"{bystander.pid}\n{servers.places.postgres_data}\n")
        with start_servers(home, durable=False) as servers:
            assert run_sql(servers, "select 1") == "1"
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    places = locate(tmp_path / ("long" * 30))
    assert len(str(places.postgres_socket_folder / SOCKET_NAME)) <= LONGEST_SOCKET_PATH


def test_a_folder_behind_closed_doors_is_seen(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert not is_reachable_by_others(closed / "var")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its data to another account")
def test_root_in_a_closed_folder_keeps_data_elsewhere_and_opens_no_door(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with start_servers(closed / "var", durable=False) as servers:
        assert run_sql(servers, "select 1") == "1"
        assert closed not in servers.places.postgres_data.parents
    remove_places_elsewhere(closed / "var")
    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_anyone_may_write_is_refused(tmp_path: Path) -> None:
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    open_folder.chmod(0o777)
    with pytest.raises(ServerError, match="GROUPAROO_VAR"):
        make_folder(open_folder)
