"""A watched path: new and changed files of a folder are taken by the runs of a schedule, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps_connectors import apps_store
from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from core.lib.errors import InvalidInput
from events.models import Event
from profiles.models import Profile
from schedules import importing, schedules_store
from schedules.models import RunState, Schedule
from schedules.schedules_store import ScheduleData
from tests.accounts.factories import make_user
from tests.schedules.shop import Worker, counters, finish, import_all, let_leases_run_out, make_rules, names, start

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_rules()
    folder = tmp_path / "incoming"
    folder.mkdir()
    write(folder / "a.csv", {1: "Alice"})
    return folder


@pytest.fixture
def app(folder: Path) -> App:
    return apps_store.create_app("csv", "Files", {"folder": str(folder)}, actor=SYSTEM)


def write(path: Path, people: dict[int, str]) -> None:
    """A file as a careful program puts it there: whole."""
    part = path.with_suffix(".part")
    part.write_text("".join(["user_id,first_name\n", *(f"{number},{name}\n" for number, name in people.items())]))
    part.rename(path)


def watch(app: App, path: str, **more: Any) -> Schedule:
    options = {"path": path, **more.pop("options", {})}
    data = ScheduleData(direction="import", name=path, app_id=app.pk, options=options, **more)
    return schedules_store.create_schedule(data, actor=SYSTEM)


def run(schedule: Schedule) -> list[int]:
    """What a run read, made and changed."""
    return list(counters(import_all(schedule), "read", "created", "changed"))


def people() -> dict[int, str]:
    found = Profile.objects.values_list("properties__user_id", "properties__first_name")
    return dict(sorted(found))


@pytest.mark.parametrize("path", ["*", "*.csv", "."])
def test_each_file_is_taken_once_and_again_when_it_changed(folder: Path, app: App, path: str) -> None:
    watched = watch(app, path)
    assert run(watched) == [1, 1, 0]
    assert run(watched) == [0, 0, 0]
    write(folder / "c.csv", {2: "Bob", 3: "Charlie"})
    write(folder / "b.csv", {2: "Robert"})  # comes after c.csv, so it is what counts
    assert run(watched) == [3, 2, 1]
    assert people() == {1: "Alice", 2: "Robert", 3: "Charlie"}
    write(folder / "a.csv", {1: "Ally", 4: "Dora"})
    assert run(watched) == [2, 1, 1]
    assert people() == {1: "Ally", 2: "Robert", 3: "Charlie", 4: "Dora"}
    assert Event.objects.count() == 6


def test_one_file_that_did_not_change_is_not_read_again_and_the_same_content_changes_nothing(
    folder: Path, app: App
) -> None:
    watched = watch(app, "a.csv")
    write(folder / "b.csv", {2: "Bob"})
    assert run(watched) == [1, 1, 0]
    assert run(watched) == [0, 0, 0]
    write(folder / "a.csv", {1: "Alice"})
    os.utime(folder / "a.csv", (0, 0))  # as copies that keep times do
    assert run(watched) == [1, 0, 0]
    (folder / "a.csv").unlink()
    gone = finish(start(watched))
    assert (gone.state, "There is no file" in gone.error) == (RunState.FAILED, True)


def test_a_worker_that_dies_between_files_leaves_the_next_one_where_it_was(
    folder: Path, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "PAGE_SIZE", 2)
    for number, name in enumerate(("b.csv", "c.csv", "d.csv")):
        write(folder / name, {10 * number + each: f"{name} {each}" for each in range(5)})
    watched = watch(app, "*")
    going = start(watched)
    worker = Worker()
    for _ in range(5):
        assert worker.take_page()
    let_leases_run_out()
    done = finish(going)
    assert counters(done, "read", "events", "created", "unchanged") == [16, 16, 15, 0]
    assert len(names()) == 15
    assert run(watched) == [0, 0, 0]


def test_a_file_that_changes_while_it_is_read_is_read_anew(
    folder: Path, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "PAGE_SIZE", 2)
    write(folder / "a.csv", dict.fromkeys(range(6), "Alice"))
    going = start(watch(app, "a.csv"))
    worker = Worker()
    assert worker.take_page()
    write(folder / "a.csv", dict.fromkeys(range(6), "Ally"))
    let_leases_run_out()
    assert finish(going).state == RunState.COMPLETE
    assert set(people().values()) == {"Ally"}


def test_an_emptied_folder_is_nothing_new(folder: Path, app: App) -> None:
    watched = watch(app, "*")
    assert run(watched) == [1, 1, 0]
    (folder / "a.csv").unlink()
    assert run(watched) == [0, 0, 0]
    write(folder / "a.csv", {1: "Ally"})
    assert run(watched) == [1, 0, 1]


def test_rows_that_cannot_be_read_name_their_file(folder: Path, app: App) -> None:
    (folder / "b.csv").write_text("user_id,first_name\n2,Bob,too much\n")
    done = import_all(watch(app, "*"))
    [error] = done.errors.all()
    assert error.examples == [{"row": 2, "text": "b.csv: 2,Bob,too much"}]


def test_a_pattern_reaches_nothing_outside_the_folder(folder: Path, app: App) -> None:
    write(folder.parent / "secret.csv", {7: "Mallory"})
    (folder / "link.csv").symlink_to(folder.parent / "secret.csv")
    for path in ("../*.csv", "../secret.csv", "/etc/*.csv"):
        with pytest.raises(InvalidInput):
            watch(app, path)
    assert run(watch(app, "*")) == [1, 1, 0]
    assert people() == {1: "Alice"}


def test_rows_of_a_changed_file_are_known_by_their_content_where_a_column_tells_the_change(
    folder: Path, app: App
) -> None:
    file = folder / "a.csv"
    file.write_text("user_id,first_name,at\n1,Alice,2026-01-01\n2,Bob,2026-01-01\n")
    watched = watch(app, "a.csv", options={"changed_column": "at"})
    assert run(watched) == [2, 2, 0]
    file.write_text("user_id,first_name,at\n1,Ally,2026-01-02\n2,Bob,2026-01-01\n")
    assert counters(import_all(watched), "read", "events", "unchanged", "changed") == [2, 1, 1, 1]
    assert people() == {1: "Ally", 2: "Bob"}


def test_the_editor_offers_every_file(folder: Path, app: App, client: Client) -> None:
    write(folder / "b.csv", {2: "Bob"})
    client.force_login(make_user("Bob", role=Role.EDITOR))
    form = {"way": "path", "path": "*", "rhythm": "every", "every_minutes": "10", "may_create": "on"}
    form |= {"column-0": "user_id", "feeds-0": "user_id", "column-1": "first_name", "feeds-1": "first_name"}
    address = reverse("schedules:create", args=["import", app.pk])
    assert "Every file of the folder" in client.get(address).content.decode()
    assert client.post(address, form).status_code == 302
    assert run(Schedule.objects.get()) == [2, 2, 0]
