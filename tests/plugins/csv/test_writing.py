"""Writing CSV files: formulas, names of files, groups, what a crash leaves behind."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.contracts import Halt, ProfileExport, SyncMode, Target
from plugins.csv import Csv
from plugins.csv import destination as writing
from plugins.csv.destination import FORMULA_STARTS, name_files, write_cell
from tests.waiting import wait_until

FIELDS = {"email": "email", "name": "string", "phone": "phone_number", "balance": "float"}


def target(*groups: str, folder: str = "", mode: SyncMode = SyncMode.SYNC) -> Target:
    return Target({"folder": folder}, "email", FIELDS, mode=mode, groups=groups)


def person(name: str, **more: Any) -> dict[str, Any]:
    return {"email": f"{name.lower()}@example.com", "name": name, **more}


def change(old: dict[str, Any] | None, new: dict[str, Any] | None, *groups: str) -> ProfileExport:
    return ProfileExport("a profile", old, new, new_groups=groups)


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.fixture
def app(tmp_path: Path) -> Csv:
    return Csv({"folder": str(tmp_path)})


@given(text=st.text() | st.sampled_from(FORMULA_STARTS).flatmap(lambda start: st.text().map(lambda rest: start + rest)))
def test_no_text_is_a_formula(text: str) -> None:
    cell = write_cell(text)
    assert not cell.startswith(FORMULA_STARTS)
    assert cell in (text, "'" + text)


def test_numbers_and_telephone_numbers_keep_their_sign() -> None:
    assert write_cell(-12.5) == "-12.5"
    assert write_cell("+16502530000", is_phone=True) == "+16502530000"
    assert write_cell("+1+cmd", is_phone=True) == "'+1+cmd"
    assert write_cell("-12.5") == "'-12.5"
    assert [write_cell(value) for value in (None, True, ["a"], 3)] == ["", "true", '["a"]', "3"]


def test_cells_are_in_quotes_so_that_no_other_delimiter_makes_a_formula(app: Csv, tmp_path: Path) -> None:
    app.export(target(), [change(None, person("Alice", balance=-1.5)), change(None, person("a;=1+1"))])
    app.finish(target())
    lines = (tmp_path / "profiles.csv").read_bytes().split(b"\r\n")
    assert lines[0] == b'"email","name","phone","balance"'
    assert b'"a;=1+1@example.com","a;=1+1","",""' in lines
    assert b'"alice@example.com","Alice","","-1.5"' in lines


def test_there_is_a_file_for_each_group_with_its_members(app: Csv, tmp_path: Path) -> None:
    groups = target("Gold", "Silver/Plus", "Empty")
    app.export(groups, [change(None, person("Alice"), "Gold", "Silver/Plus"), change(None, person("Bob"), "Gold")])
    app.finish(groups)
    found = {path.name: [row[1] for row in rows_of(path)[1:]] for path in tmp_path.glob("*.csv")}
    assert found == {"Gold.csv": ["Alice", "Bob"], "Silver_Plus.csv": ["Alice"], "Empty.csv": []}


def test_the_file_of_a_group_that_is_no_longer_exported_goes(app: Csv, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("someone else's")
    app.export(target("Gold", "Silver"), [change(None, person("Alice"), "Gold", "Silver")])
    app.finish(target("Gold", "Silver"))
    app.finish(target("Gold"))
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == ["Gold.csv", "mine.csv"]


def test_who_may_not_be_removed_leaves_the_groups(app: Csv, tmp_path: Path) -> None:
    additive = target("Gold", mode=SyncMode.ADDITIVE)
    app.export(additive, [change(None, person("Alice"), "Gold")])
    app.export(additive, [change(person("Alice"), None)])
    app.finish(additive)
    assert rows_of(tmp_path / "Gold.csv")[1:] == []
    assert app.read_back(additive, ["alice@example.com"]) == {"alice@example.com": person("Alice")}


def test_two_that_swap_their_keys_in_one_batch_are_both_held(app: Csv) -> None:
    alice, bob = person("Alice"), person("Bob")
    app.export(target(), [change(None, alice), change(None, bob)])
    swapped = [change(alice, {**alice, "email": bob["email"]}), change(bob, {**bob, "email": alice["email"]})]
    app.export(target(), swapped)
    held = app.read_back(target(), [alice["email"], bob["email"]])
    assert {key: payload["name"] for key, payload in held.items()} == {alice["email"]: "Bob", bob["email"]: "Alice"}


def test_a_crash_while_a_file_is_written_leaves_the_old_one_and_the_next_run_mends_it(
    app: Csv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.export(target(), [change(None, person("Alice"))])
    app.finish(target())
    app.export(target(), [change(None, person("Bob"))])

    def fail(*_: Any, **__: Any) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(writing, "write_cell", fail)
        with pytest.raises(KeyboardInterrupt):
            app.finish(target())
    assert [row[1] for row in rows_of(tmp_path / "profiles.csv")[1:]] == ["Alice"]
    app.finish(target())
    assert [row[1] for row in rows_of(tmp_path / "profiles.csv")[1:]] == ["Alice", "Bob"]
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


_PUBLISH = """
import sys
from plugins.contracts import SyncMode, Target
from plugins.csv import Csv

groups = tuple(f"group {number}" for number in range(20))
Csv({"folder": sys.argv[1]}).finish(Target({}, "email", {"email": "email", "name": "string"}, groups=groups))
"""


def test_a_reader_sees_whole_files_alone_when_a_writer_is_killed_between_them(app: Csv, tmp_path: Path) -> None:
    names, many = tuple(f"group {number}" for number in range(20)), 2000
    groups = Target({}, "email", {"email": "email", "name": "string"}, groups=names)

    def send(version: str) -> None:
        people = [{"email": f"p{number}@example.com", "name": version} for number in range(many)]
        app.export(groups, [ProfileExport(person["email"], None, person, new_groups=names) for person in people])

    send("old")
    app.finish(groups)
    before = {path: path.stat().st_ino for path in tmp_path.glob("*.csv")}
    send("new")
    writer = subprocess.Popen([sys.executable, "-c", _PUBLISH, str(tmp_path)])
    wait_until(lambda: (tmp_path / "group 0.csv").stat().st_ino != before[tmp_path / "group 0.csv"], what="a new file")
    writer.kill()
    writer.wait()
    found = [{row[1] for row in rows_of(path)[1:]} for path in before if len(rows_of(path)) == many + 1]
    assert len(found) == len(names)
    assert all(len(versions) == 1 for versions in found)
    app.finish(Target({}, "email", {"email": "email", "name": "string"}, groups=names[:10]))
    assert {row[1] for path in tmp_path.glob("*.csv") for row in rows_of(path)[1:]} == {"new"}
    assert len(list(tmp_path.glob("*.csv"))) == 10
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_a_run_that_changed_nothing_writes_no_file(app: Csv, tmp_path: Path) -> None:
    app.export(target(), [change(None, person("Alice"))])
    app.finish(target())
    before = (tmp_path / "profiles.csv").stat().st_ino
    app.finish(target())
    assert (tmp_path / "profiles.csv").stat().st_ino == before
    (tmp_path / "profiles.csv").unlink()
    app.finish(target())
    assert len(rows_of(tmp_path / "profiles.csv")) == 2


def test_names_of_files_are_safe_and_differ() -> None:
    groups = ("A/b", "a:B", "../../etc", "...", "x" * 300, "Ü" * 300)
    names = name_files(groups)
    assert len({name.casefold() for name in names.values()}) == len(groups)
    assert all("/" not in name and not name.startswith(".") and len(name.encode()) < 200 for name in names.values())


def test_an_export_stays_inside_the_folder(app: Csv) -> None:
    for folder in ("..", "/etc", "a/../../b"):
        with pytest.raises(Halt, match="not inside"):
            app.export(target(folder=folder), [change(None, person("Alice"))])
