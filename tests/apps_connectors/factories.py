"""Apps of the tests: a plugin that needs no server and does what a test tells it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from apps_connectors import apps_store, connections
from apps_connectors.models import App as AppRow
from core.accounts.actors import SYSTEM
from plugins import registry
from plugins.base import App, GivesSamples, TestsConnection
from plugins.contracts import AppSpec, Option, OptionKind, Sample, Table, TestResult

PASSWORD = "p@ss wörd/17"


@dataclass
class Diary:
    """What happened to the connections of `Diarist`, and what it is to do when asked."""

    opened: list[Mapping[str, Any]] = field(default_factory=list)
    closed: int = 0
    on_open: Callable[[Mapping[str, Any]], None] = lambda options: None
    on_tables: Callable[[Mapping[str, Any]], Sequence[Table]] = lambda options: ()
    on_test: Callable[[Mapping[str, Any]], TestResult] = lambda options: TestResult(ok=True, message="It works.")


class Diarist(App, TestsConnection, GivesSamples):
    """An App that writes down what is done with it."""

    diary: ClassVar[Diary] = Diary()
    spec = AppSpec(
        key="diarist",
        label="Diarist",
        description="Writes down what is done with it.",
        icon="notebook",
        categories=("test",),
        options=(
            Option("host", "Host", required=True),
            Option("port", "Port", kind=OptionKind.NUMBER, default=5432),
            Option("password", "Password", kind=OptionKind.SECRET, required=True),
            Option("token", "Token", kind=OptionKind.SECRET),
            Option("secure", "Secure", kind=OptionKind.BOOLEAN, default=True),
            Option("region", "Region", kind=OptionKind.CHOICE, choices=(("eu", "Europe"), ("us", "USA"))),
        ),
        parallel_calls=2,
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self.diary.on_open(options)
        self.diary.opened.append(dict(options))

    def close(self) -> None:
        self.diary.closed += 1

    def test(self) -> TestResult:
        return self.diary.on_test(self.options)

    def tables(self) -> Sequence[Table]:
        return self.diary.on_tables(self.options)

    def sample(self, table: str, *, limit: int = 10) -> Sample:
        return Sample((), ())


@contextmanager
def installed_diarist(monkeypatch: pytest.MonkeyPatch) -> Iterator[Diary]:
    """Install `Diarist` beside the built-in plugins, with a new diary."""
    known = {app.spec.key: app for app in registry.all_apps()} | {"diarist": Diarist}
    monkeypatch.setattr(registry, "get", lambda key: known[key] if key in known else _unknown(key))
    monkeypatch.setattr(Diarist, "diary", Diary())
    connections.close_all()
    yield Diarist.diary
    connections.close_all()


def make_app(name: str = "Diary", **options: Any) -> AppRow:
    """An App of the type `Diarist`."""
    given = {"host": "db.example.com", "password": PASSWORD, **options}
    return apps_store.create_app("diarist", name, given, actor=SYSTEM)


def _unknown(key: str) -> type[App]:
    raise registry.UnknownApp(f"No installed plugin offers an App of the type {key}.")
