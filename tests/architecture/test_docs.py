"""The documents stay true: what they name exists, and their examples work."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands
from django.urls import resolve
from standardwebhooks import WebhookVerificationError

from core.lib.servers import PROJECT
from grouparoo.wiring import SWEEPS
from plugins.contracts import ProfileExport, Target
from plugins.testing import PluginContract
from tests.plugins.webhook.connections import connect
from tests.receiver import run_receiver

DOCUMENTS = sorted([PROJECT / "README.md", PROJECT / "benchmarks" / "README.md", *(PROJECT / "docs").glob("*.md")])
NOT_OURS = ("var/", "Europe/")
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def find_packages(requirements: str) -> set[str]:
    """The names in the first part of a requirements file, which is ours; the second part is what they bring along."""
    ours = (PROJECT / requirements).read_text().split("\n\n")[0]
    return {name.lower() for name in re.findall(r"^([\w-]+)(?:\[\w+\])?==", ours, flags=re.MULTILINE)}


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def document(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_every_make_target_and_command_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"(?:`|^    |sudo )make ([a-z-]+)", text, flags=re.MULTILINE)) <= targets
    assert set(re.findall(r"manage\.py ([a-z_]+)", text)) <= get_commands().keys()


def test_every_file_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text()
    named = set(re.findall(r"`([\w.]+(?:/[\w.]*)+)`", text)) | set(re.findall(r"\b\w+(?:/\w+)+\.(?:py|md)\b", text))
    missing = {path for path in named if not path.startswith(NOT_OURS) and not (PROJECT / path).exists()}
    assert missing == set()
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_address_of_the_api_that_a_document_names_exists(document: Path) -> None:
    for address in set(re.findall(r"/api/v1/[\w/]*", document.read_text())):
        resolve(address.replace("ID", "1"))


def test_every_sweep_is_documented_with_its_rhythm() -> None:
    text = (PROJECT / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| `(\w+\.\w+)` \| (\d+) (s|h) \|", text, flags=re.MULTILINE)
    assert {task: int(number) * {"s": 1, "h": 3600}[unit] for task, number, unit in rows} == {
        task: seconds for task, (seconds, _) in SWEEPS.items()
    }


def test_every_package_we_ask_for_has_its_reason() -> None:
    text = (PROJECT / "docs" / "decisions.md").read_text().partition("## Decisions")[0].lower()
    named = {name for row in re.findall(r"^\| ([\w, -]+) \|", text, flags=re.MULTILINE) for name in row.split(", ")}
    asked_for = find_packages("requirements.txt") | find_packages("requirements-dev.txt")
    assert asked_for
    assert asked_for - named == set()
    assert named - asked_for == {"package"}


def test_the_receiver_of_the_documents_holds_what_it_is_sent() -> None:
    (program,) = CODE.findall((PROJECT / "docs" / "webhooks.md").read_text())
    names: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(program, "docs/webhooks.md", "exec"), names)
    alice, bob = {"email": "alice@example.com"}, {"email": "bob@example.com"}
    target = Target({"at_once": 2}, "email", {"email": "email"})
    with run_receiver(secret=names["SECRET"]) as receiver, connect(receiver.url, secret=names["SECRET"]) as app:
        app.export(target, [ProfileExport("1", None, alice, new_groups=("VIP",)), ProfileExport("2", None, bob)])
        app.export(replace(target, options={}), [ProfileExport("2", bob, None)])
    for delivery in receiver.deliveries:
        names["receive"](delivery.headers, delivery.body)
    assert names["people"] == {"alice@example.com": {**alice, "groups": ["VIP"]}}
    with pytest.raises(WebhookVerificationError):
        names["receive"](delivery.headers, delivery.body.replace(b"bob", b"alice"))


def test_the_plugin_of_the_documents_keeps_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin, suite = CODE.findall((PROJECT / "docs" / "plugins.md").read_text())
    (tmp_path / "my_package.py").write_text(plugin)
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict[str, object] = {"__name__": "test_shelf"}
    exec(compile(suite, "docs/plugins.md", "exec"), names)
    contract = names["TestShelf"]
    assert isinstance(contract, type)
    assert issubclass(contract, PluginContract)
    ran = 0
    for name in dir(contract):
        test = getattr(contract, name)
        if name.startswith("test_") and test is not None and test.__code__.co_argcount == 1:
            instance = contract()
            instance.tmp_path = tmp_path
            test(instance)
            ran += 1
    assert ran >= 10
