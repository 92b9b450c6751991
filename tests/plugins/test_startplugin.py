"""A new plugin as `startplugin` writes it: it keeps the contract, can be installed, and is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from core.lib.servers import PROJECT

FIND = """
from plugins import registry
(plugin,) = [each for each in registry.installed() if each.package == "grouparoo-acme-crm"]
assert plugin.problem == "" and plugin.version == "0.1.0" and plugin.summary and not plugin.is_built_in, plugin
assert [app.spec.label for app in plugin.app_types] == ["Acme crm"]
assert registry.get("acme_crm") is plugin.app_types[0]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plugin that was just written."""
    call_command("startplugin", "acme-crm", directory=str(tmp_path / "acme"))
    return tmp_path / "acme"


def run(*command: object, on_path: Path = PROJECT) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "PYTEST_"))}
    env["PYTHONPATH"] = os.pathsep.join(map(str, dict.fromkeys((PROJECT, on_path))))
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        check=False,  # what it said belongs into the failure
        cwd=PROJECT,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_word_of_the_template_is_left(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 4
    for path in files:
        assert "my" not in path.name.split("_")
        text = path.read_text().lower()
        assert not [word for word in ("my_tool", "my-tool", "mytool", "my tool") if word in text]


def test_it_keeps_the_contract_as_it_is(folder: Path) -> None:
    run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", folder / "pyproject.toml", folder)


def test_installed_it_is_found_with_its_package(folder: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    run("-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", site, folder)
    run("-c", FIND, on_path=site)


def test_nothing_is_overwritten(folder: Path) -> None:
    with pytest.raises(CommandError, match="is not empty"):
        call_command("startplugin", "acme-crm", directory=str(folder))


@pytest.mark.parametrize("name", ["Acme", "acme crm", "1acme", "acme-", "../acme", "", "a" * 41])
def test_a_name_that_cannot_be_used_is_refused_with_an_example(name: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="such as acme-crm"):
        call_command("startplugin", name, directory=str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["none", "class", "true-false"])
def test_a_name_that_python_knows_gives_code_that_it_can_read(name: str, tmp_path: Path) -> None:
    call_command("startplugin", name, directory=str(tmp_path / "new"))
    for path in (tmp_path / "new").rglob("*.py"):
        compile(path.read_text(), str(path), "exec")


def test_an_app_type_that_is_there_already_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="postgres already"):
        call_command("startplugin", "postgres", directory=str(tmp_path / "new"))
