"""docker-compose.yml, read by a parser of compose files and held against the specification's schema.

No container engine is needed: the parser is podman-compose, which only wants to know an engine's version.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec.models import ComposeSpecification, Healthcheck, Service
from django.core.management import get_commands, load_command_class

from core.lib.servers import PROJECT

FILE = PROJECT / "docker-compose.yml"
NEEDED = {"SECRET_KEY": "s", "GROUPAROO_SECRET_KEYS": "k", "POSTGRES_PASSWORD": "p"}


def parse(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """What the parser makes of the file with these variables alone."""
    engine = folder / "podman"
    engine.write_text("#!/bin/sh\necho 'podman version 5.4.0'\n")
    engine.chmod(0o755)
    command = [sys.executable, "-m", "podman_compose", "--file", str(FILE), "config"]
    environment = {"PATH": f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin", **env}
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The file with its variables filled in."""
    parsed = parse(tmp_path_factory.mktemp("engine"), **NEEDED)
    assert parsed.returncode == 0, parsed.stderr
    return yaml.safe_load(parsed.stdout)


def test_it_keeps_to_the_specification(compose: Any) -> None:
    ComposeSpecification.model_validate(compose)
    with pytest.raises(ValueError, match=r"services\.web\.ports"):
        ComposeSpecification.model_validate({"services": {"web": {"ports": "8000"}}})


def test_no_word_is_misspelt(compose: Any) -> None:
    """The schema passes over words that it does not know."""
    for name, service in compose["services"].items():
        assert service.keys() <= Service.model_fields.keys(), name
        if "healthcheck" in service:
            assert service["healthcheck"].keys() <= Healthcheck.model_fields.keys(), name


def test_each_part_has_a_health_check_and_comes_back(compose: Any) -> None:
    services = compose["services"]
    assert set(services) == {"prepare", "web", "worker", "sender", "beat", "postgres", "redis"}
    for name, service in services.items():
        if name == "prepare":
            assert service["restart"] == "on-failure"
        else:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_programs_wait_for_the_tables_and_the_tables_for_the_database(compose: Any) -> None:
    services = compose["services"]
    for name in ("web", "worker", "sender", "beat"):
        waits = services[name]["depends_on"]
        assert waits["prepare"]["condition"] == "service_completed_successfully"
        assert waits["redis"]["condition"] == "service_healthy"
    assert services["prepare"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_the_database_gets_the_memory_that_env_says(tmp_path: Path) -> None:
    for given, expected in (({}, "512MB"), ({"POSTGRES_SHARED_BUFFERS": "4GB"}, "4GB")):
        compose = yaml.safe_load(parse(tmp_path, **NEEDED, **given).stdout)
        assert f"--shared_buffers={expected}" in compose["services"]["postgres"]["command"]


def test_workers_may_be_any_number(compose: Any) -> None:
    worker = compose["services"]["worker"]
    assert not {"container_name", "ports", "hostname"} & worker.keys()


def test_what_has_to_last_lies_in_volumes(compose: Any) -> None:
    assert set(compose["volumes"]) == {"data", "postgres"}
    assert compose["services"]["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]
    assert {tuple(compose["services"][name]["volumes"]) for name in ("prepare", "web", "worker", "sender", "beat")} == {
        ("data:/var/lib/grouparoo",)
    }


def test_nothing_but_the_web_is_reached_from_outside(compose: Any) -> None:
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert published == {"web": ["127.0.0.1:8000:8000"]}


def test_commands_are_commands_of_the_product(compose: Any) -> None:
    commands = get_commands()
    for name in ("prepare", "web", "worker", "sender", "beat"):
        service = compose["services"][name]
        calls = [service["command"]]
        if "healthcheck" in service:
            assert service["healthcheck"]["test"][:3] == ["CMD", "python", "manage.py"]
            calls.append(service["healthcheck"]["test"][3:])
        for command, *arguments in calls:
            owner = commands[command]
            assert isinstance(owner, str)
            load_command_class(owner, command).create_parser("manage.py", command).parse_args(arguments)


@pytest.mark.parametrize("missing", NEEDED)
def test_without_a_secret_it_says_which_one(missing: str, tmp_path: Path) -> None:
    parsed = parse(tmp_path, **{name: value for name, value in NEEDED.items() if name != missing})
    assert parsed.returncode != 0
    assert missing in parsed.stderr
    assert "write it into .env" in parsed.stderr


def test_every_variable_of_the_example_is_used_and_the_other_way_round() -> None:
    example = (PROJECT / ".env.example").read_text().splitlines()
    given = {line.partition("=")[0] for line in example if line and not line.startswith("#")}
    text = FILE.read_text()
    assert [name for name in given if f"${{{name}:" not in text] == []
    with_defaults = {part.partition(":")[0] for part in text.split("${")[1:]}
    assert with_defaults - given == {"LOG_FORMAT", "LOG_LEVEL"}
