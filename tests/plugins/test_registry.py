"""The registry: what a plugin has to say of itself, and what a broken one does to the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from grouparoo import checks
from plugins import registry
from plugins.base import App, ExportsProfiles, TestsConnection
from plugins.contracts import AppSpec, Option, OptionKind, Outcome, ProfileExport, SyncMode, Target, TestResult
from plugins.registry import InvalidPlugin, UnknownApp

SPEC = AppSpec(
    key="shelf",
    label="Shelf",
    description="Keeps things.",
    icon="box",
    categories=("storage",),
    options=(Option("name", "Name", required=True),),
)


class Shelf(App, TestsConnection):
    spec = SPEC

    def test(self) -> TestResult:
        return TestResult(ok=True, message="There.")


def shelf(*options: Option, **changes: Any) -> type[App]:
    spec = replace(SPEC, options=options or SPEC.options, **changes)
    return type("Shelf", (Shelf,), {"spec": spec})


class Unfinished(App, TestsConnection):
    spec = SPEC


class Useless(App):
    spec = SPEC


class WithoutMode(App, ExportsProfiles):
    spec = SPEC
    sync_modes = frozenset[SyncMode]()

    def export(self, target: Target, batch: Sequence[ProfileExport]) -> Sequence[Outcome]:
        return ()


class WithoutSpec(App, TestsConnection):
    def test(self) -> TestResult:
        return TestResult(ok=True, message="There.")


SHELVES: Sequence[Any] = (shelf(key="top_shelf"), shelf(key="low_shelf"))
TWINS: Sequence[Any] = (shelf(key="twin"), shelf(key="twin"))
CLASHING = shelf(key="postgres")
NOT_AN_APP = "shelf"


@pytest.mark.parametrize(
    ("app", "words"),
    [
        (object, "not a subclass of App"),
        ("shelf", "not a subclass of App"),
        (WithoutSpec, "no AppSpec"),
        (Unfinished, "lacks test"),
        (Useless, "can do nothing"),
        (WithoutMode, "no known sync mode"),
        (shelf(key="Top Shelf"), "key 'Top Shelf'"),
        (shelf(label=""), "no label"),
        (shelf(description=""), "no description"),
        (shelf(icon=""), "no icon"),
        (shelf(categories=()), "no categories"),
        (shelf(parallel_calls=0), "no calls"),
        (shelf(parallel_calls="many"), "no calls"),
        (shelf(parallel_calls=4, most_parallel_calls=3), "more calls than the most"),
        (shelf(key=7), "no key"),
        (shelf(label=" "), "no label"),
        (shelf(label=b"Shelf"), "no label"),
        (shelf(categories="storage"), "no categories"),
        (type("Shelf", (Shelf,), {"spec": replace(SPEC, options=None)}), "not a tuple of Option"),  # type: ignore[arg-type]
        (shelf("name"), "not a tuple of Option"),  # type: ignore[arg-type]  # wrong on purpose
        (shelf(Option("name", "Name", help=None)), "is no text"),  # type: ignore[arg-type]  # wrong on purpose
        (shelf(Option("name", "Name", kind=OptionKind.CHOICE, choices=("a", "b"))), "not pairs"),  # type: ignore[arg-type]
        (shelf(Option("name", "Name"), Option("name", "Name")), "name is there more than once"),
        (shelf(Option("my name", "Name")), "'my name' has a key"),
        (shelf(Option("name", "")), "'name' has no label"),
        (shelf(Option("name", "Name", kind="colour")), "unknown kind"),  # type: ignore[arg-type]  # wrong on purpose
        (shelf(Option("name", "Name", kind=OptionKind.CHOICE)), "needs choices"),
        (shelf(Option("name", "Name", choices=(("a", "A"),))), "is no choice"),
        (shelf(Option("name", "Name", kind=OptionKind.CHOICE, choices=(("a", "A"),), default="b")), "none of its"),
        (shelf(Option("name", "Name", kind=OptionKind.SECRET, default="x")), "secret with a default"),
        (shelf(Option("name", "Name", kind=OptionKind.NUMBER, default="x")), "default that is no number"),
        (shelf(Option("name", "Name", kind=OptionKind.LOADED_CHOICE)), "no choices() for the option name"),
    ],
)
def test_an_app_type_that_breaks_the_contract_is_refused_with_the_place(app: Any, words: str) -> None:
    with pytest.raises(InvalidPlugin) as caught:
        registry.check(app)
    assert words in str(caught.value)


def test_an_app_type_that_keeps_the_contract_is_accepted() -> None:
    registry.check(Shelf)
    assert registry.capabilities(Shelf) == (TestsConnection,)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    def set_entry_points(*values: str) -> None:
        found = [EntryPoint(value.rpartition(":")[2].lower(), value, registry.GROUP) for value in values]
        monkeypatch.setattr(registry, "entry_points", lambda group: found)
        registry.forget()

    yield set_entry_points
    registry.forget()


def test_the_built_in_plugins_are_all_usable(install: Callable[..., None]) -> None:
    install()
    assert {app.spec.key for app in registry.all_apps()} >= {entry.name for entry in registry.BUILT_IN}
    assert registry.broken() == ()
    labels = [app.spec.label.lower() for app in registry.all_apps()]
    assert labels == sorted(labels)


def test_an_installed_plugin_is_found_beside_the_built_in_ones(install: Callable[..., None]) -> None:
    install(f"{__name__}:Shelf", f"{__name__}:SHELVES")
    assert registry.get("shelf") is Shelf
    assert registry.get("low_shelf").spec.key == "low_shelf"
    assert registry.broken() == ()


def test_a_broken_installed_plugin_is_told_and_harms_nothing(install: Callable[..., None]) -> None:
    install(
        f"{__name__}:Unfinished",
        f"{__name__}:Missing",
        "no_such_module:App",
        f"{__name__}:NOT_AN_APP",
        f"{__name__}:CLASHING",
        f"{__name__}:TWINS",
        f"{__name__}:Shelf",
    )
    assert registry.get("shelf") is Shelf
    assert registry.get("postgres") is not CLASHING
    with pytest.raises(UnknownApp, match="twin"):
        registry.get("twin")
    reasons = {each.name: each.problem for each in registry.broken()}
    assert "lacks test" in reasons["unfinished"]
    assert "Missing" in reasons["missing"]
    assert "no_such_module" in reasons["app"]
    assert "neither an App type" in reasons["not_an_app"]
    assert "already" in reasons["clashing"]
    assert "already" in reasons["twins"]
    assert len(reasons) == 6


def test_a_broken_installed_plugin_is_a_warning_of_the_checks(install: Callable[..., None]) -> None:
    install(f"{__name__}:Unfinished", f"{__name__}:Shelf")
    (warning,) = checks.check_plugins(app_configs=None)
    assert warning.id == "grouparoo.W010"
    assert "lacks test" in warning.msg


def test_a_plugin_that_ends_the_process_when_imported_is_left_out(
    install: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugin_that_exits.py").write_text("raise SystemExit('no')")
    monkeypatch.syspath_prepend(str(tmp_path))
    install("plugin_that_exits:App", f"{__name__}:Shelf")
    assert [plugin.problem for plugin in registry.broken()] == ["SystemExit: no"]
    assert registry.get("shelf") is Shelf


def test_a_broken_built_in_plugin_fails_the_start(
    install: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    broken = EntryPoint("useless", f"{__name__}:Useless", registry.GROUP)
    monkeypatch.setattr(registry, "BUILT_IN", (*registry.BUILT_IN, broken))
    with pytest.raises(InvalidPlugin, match="Useless"):
        registry.load()


def test_an_unknown_key_is_answered_in_a_sentence() -> None:
    with pytest.raises(UnknownApp, match="No installed plugin offers an App of the type telepathy"):
        registry.get("telepathy")
