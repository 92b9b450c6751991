"""Settings: each is documented, and nonsense stops the start with a sentence that says what to do."""

from __future__ import annotations

import ast
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from core.lib.servers import PROJECT
from grouparoo import environment
from grouparoo.settings import as_broker_url, configure_database

OPERATIONS = (PROJECT / "docs" / "operations.md").read_text()


def find_variables_read() -> set[str]:
    """The names in every read_…("NAME") of settings.py."""
    tree = ast.parse((PROJECT / "grouparoo" / "settings.py").read_text())
    return {
        str(node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id.startswith("read_")
        and isinstance(node.args[0], ast.Constant)
    }


def find_variables_documented() -> set[str]:
    table = OPERATIONS.partition("## Settings")[2].partition("### Keys for secrets")[0]
    return set(re.findall(r"^\| `([A-Z_]+)`", table, flags=re.MULTILINE))


def test_every_variable_is_documented_and_nothing_else() -> None:
    assert find_variables_read() == find_variables_documented()


def test_every_make_target_is_documented() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    offered = set(re.findall(r"^\t@echo 'make (\w+)", makefile, flags=re.MULTILINE))
    assert offered
    assert offered <= set(re.findall(r"`make (\w+)`", OPERATIONS))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DEBUG", "banana", "DEBUG is “banana”. Set it to one of: 1, true, yes, on"),
        ("WEB_PROCESSES", "0", "WEB_PROCESSES is “0”. Set it to a whole number from 1 to 64."),
        ("WEB_PROCESSES", "two", "WEB_PROCESSES is “two”."),
        ("LOG_LEVEL", "LOUD", "LOG_LEVEL is “LOUD”. Set it to one of: DEBUG, INFO"),
        ("DATABASE_URL", "mysql://user:hidden@host/db", "DATABASE_URL has to begin with postgresql://"),
        ("REDIS_URL", "localhost:6379", "REDIS_URL has to begin with redis://"),
        ("EMAIL_URL", "http://user:hidden@smtp.example.com", "EMAIL_URL has to begin with smtp://"),
        ("EMAIL_URL", "smtp://", "EMAIL_URL names no server."),
        ("EMAIL_URL", "smtp+tls://user:hidden@smtp.example.com", "EMAIL_URL is set, so EMAIL_FROM has to be, too"),
        ("GROUPAROO_SECRET_KEYS", "too short", "Key 1 in GROUPAROO_SECRET_KEYS"),
        ("LANGUAGES", "en,klingon", "LANGUAGES names “klingon”. Set it to codes of languages"),
        ("SECRET_KEY_FILE", "/no/such/file", "SECRET_KEY_FILE names a file that cannot be read"),
    ],
)
def test_nonsense_stops_the_start_in_one_sentence(name: str, value: str, sentence: str, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "GROUPAROO_VAR": str(tmp_path / "var"), name: value}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=PROJECT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("A setting is not right: ")
    assert sentence in done.stderr
    assert "hidden" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("url", "port", "tls", "ssl"),
    [
        ("smtp+tls://user:p%40ss@smtp.example.com", 587, True, False),
        ("smtp+ssl://user:p%40ss@smtp.example.com", 465, False, True),
        ("smtp://user:p%40ss@smtp.example.com:2525", 2525, False, False),
    ],
)
def test_a_mail_server_is_one_address(
    monkeypatch: pytest.MonkeyPatch, url: str, port: int, tls: bool, ssl: bool
) -> None:
    monkeypatch.setenv("EMAIL_URL", url)
    found = environment.read_email_url("EMAIL_URL")
    assert (found["EMAIL_HOST"], found["EMAIL_PORT"]) == ("smtp.example.com", port)
    assert (found["EMAIL_HOST_USER"], found["EMAIL_HOST_PASSWORD"]) == ("user", "p@ss")
    assert (found.get("EMAIL_USE_TLS", False), found.get("EMAIL_USE_SSL", False)) == (tls, ssl)


def test_a_value_may_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("SOME_KEY_FILE", str(tmp_path / "key"))
    assert environment.read_text("SOME_KEY") == "from a file"


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "encryption"
    first = environment.read_encryption_keys("NO_SUCH_VARIABLE", kept_in=path)
    assert environment.read_encryption_keys("NO_SUCH_VARIABLE", kept_in=path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_keys_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    monkeypatch.setenv("SOME_KEYS", ", ".join(keys))
    assert environment.read_encryption_keys("SOME_KEYS", kept_in=tmp_path / "unused") == keys
    monkeypatch.setenv("SOME_KEYS", f"{keys[0]},broken")
    with pytest.raises(ImproperlyConfigured, match="Key 2"):
        environment.read_encryption_keys("SOME_KEYS", kept_in=tmp_path / "unused")


def test_a_given_database_keeps_its_options_and_gets_our_limits() -> None:
    database = configure_database("postgresql://alice:p%40ss@db.example.com:5433/shop?sslmode=require")
    assert (database["HOST"], database["PORT"], database["PASSWORD"]) == ("db.example.com", 5433, "p@ss")
    assert database["OPTIONS"]["sslmode"] == "require"
    assert "idle_in_transaction_session_timeout" in database["OPTIONS"]["options"]


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("redis://:secret@host:6379/2", "redis://:secret@host:6379/2"),
        ("unix:///run/valkey.sock?db=3", "redis+socket:///run/valkey.sock?virtual_host=3"),
        ("unix:///run/valkey.sock", "redis+socket:///run/valkey.sock?virtual_host=0"),
    ],
)
def test_the_broker_has_the_address_that_was_given(url: str, broker: str) -> None:
    assert as_broker_url(url) == broker


def test_an_open_address_without_https_is_warned_of(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["grouparoo.example.com"]
    settings.HTTPS = False
    assert "grouparoo.W003" in [message.id for message in run_checks(include_deployment_checks=True)]
    settings.HTTPS = True
    assert "grouparoo.W003" not in [message.id for message in run_checks(include_deployment_checks=True)]


@pytest.mark.django_db
def test_the_suites_own_database_passes_the_checks() -> None:
    assert run_checks(databases=["default"]) == []
