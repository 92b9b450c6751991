"""CSV files that people bring: by command, by API, into profiles."""

from __future__ import annotations

import gzip
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from apps_connectors import apps_store
from apps_connectors.models import App
from core.accounts import keys
from core.accounts.actors import SYSTEM
from core.lib.errors import InvalidInput, NotFound, Refused
from profiles.models import Profile, ProfilePropertyRule
from profiles.rules import NewRule, create_rule
from schedules import importing, runs, schedules_store, uploads
from schedules.models import Run, RunState, Schedule
from schedules.schedules_store import ScheduleData
from tests.receiver import answer, run_file_host
from tests.schedules.shop import Worker, counters, finish, make_rules, names

PEOPLE = (
    b"User ID,E-Mail Address,EMAIL,First_Name,Shoe size\n1,x,alice@example.com,Alice,38\n2,x,bob@example.com,Bob,44\n"
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def files(settings: Any, tmp_path: Path) -> App:
    """The App that takes files, with a folder for them, and the rules."""
    settings.MEDIA_ROOT = tmp_path / "uploads"
    make_rules()
    return apps_store.create_app("csv", "Files", {}, actor=SYSTEM)


def upload(content: bytes, *, name: str = "people.csv", app: str = "Files") -> Run:
    return uploads.start_upload(app, BytesIO(content), name=name, actor=SYSTEM)


def stored(folder: Any) -> list[Path]:
    return list(Path(folder).glob("*"))


def test_columns_are_matched_without_case_spaces_and_underscores(files: App) -> None:
    run = finish(upload(PEOPLE))
    assert (run.state, run.error) == (RunState.COMPLETE, "")
    assert counters(run, "read", "events", "created", "rejected") == [2, 2, 2, 0]
    found = Profile.objects.order_by("properties__user_id").values_list("properties", flat=True)
    assert list(found) == [
        {"user_id": 1, "email": "alice@example.com", "first_name": "Alice"},
        {"user_id": 2, "email": "bob@example.com", "first_name": "Bob"},
    ]


def test_columns_that_nothing_takes_become_properties(files: App) -> None:
    content = (
        b"user_id,Loyalty Points,memberSince,code,vip,note,e-mail 2\n"
        b'1,12,2025-01-31,007,yes,,a@example.com\n2,13.5,"Jan 5, 2019",042,no,hello,b@example.com\n'
    )
    kept = uploads.keep_file("Files", BytesIO(content), name="people.csv")
    columns = ("Loyalty Points", "memberSince", "code", "vip", "note", "e-mail 2")
    run = uploads.start_kept(kept.token, {"user_id": "user_id", **dict.fromkeys(columns, uploads.NEW)}, actor=SYSTEM)
    finish(run)
    made = dict(ProfilePropertyRule.objects.filter(app=files).values_list("key", "type"))
    assert made == {
        "loyalty_points": "float",
        "member_since": "date",
        "code": "string",
        "vip": "boolean",
        "note": "string",
        "e_mail_2": "email",
    }
    first = Profile.objects.get(properties__user_id=1).properties
    assert (first["loyalty_points"], first["code"], first["vip"]) == (12, "007", True)
    other = uploads.keep_file("Files", BytesIO(content), name="people.csv")
    with pytest.raises(InvalidInput, match="who a row is about"):
        uploads.start_kept(other.token, {"code": uploads.NEW}, actor=SYSTEM)
    assert ProfilePropertyRule.objects.filter(app=files).count() == len(columns)


def test_the_same_file_twice_changes_nothing(files: App) -> None:
    finish(upload(PEOPLE))
    again = finish(upload(PEOPLE))
    assert counters(again, "read", "created", "changed") == [2, 0, 0]
    assert Schedule.objects.count() == 1


def test_ragged_rows_are_told_with_their_line_and_the_others_are_taken(files: App) -> None:
    content = "user_id;first_name\n1;Zoë\n2;Bob;extra\n3\n4;Charlie\n".encode("latin-1")
    run = finish(upload(content))
    assert counters(run, "read", "created", "rejected") == [4, 2, 2]
    assert sorted(example["row"] for error in run.errors.all() for example in error.examples) == [3, 4]
    assert names("first_name") == ["Charlie", "Zoë"]
    assert any("Latin-1" in note for note in run.notes)


def test_a_compressed_file_is_read(files: App) -> None:
    assert finish(upload(gzip.compress(PEOPLE), name="people.csv.gz")).counters["created"] == 2


def test_a_rule_may_name_the_label_of_its_column(files: App) -> None:
    create_rule(NewRule(key="is_vip", type="boolean", app=files, column_label="VIP"), actor=SYSTEM)
    finish(upload(b"user_id,vip\n1,yes\n2,no\n"))
    assert names("is_vip") == [False, True]


def test_a_rule_of_another_app_takes_nothing_from_this_one(files: App) -> None:
    other = apps_store.create_app("csv", "Other files", {}, actor=SYSTEM)
    create_rule(NewRule(key="vip", type="boolean", app=other, column_label="VIP"), actor=SYSTEM)
    finish(upload(b"user_id,vip\n1,yes\n"))
    assert names("vip") == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name,city\nAlice,Paris\n", r"No column says who a row is about.*email, user_id.*name, city"),
        (b"user_id,User Id\n1,2\n", "would both set user_id"),
        (b"", "No column says who a row is about"),
        (b"PK\x03\x04 not a csv", "save it as CSV"),
    ],
)
def test_a_file_that_fits_nothing_is_refused_and_not_kept(
    files: App, settings: Any, content: bytes, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        upload(content)
    assert not Run.objects.exists()
    assert stored(settings.MEDIA_ROOT) == []


def test_an_app_that_takes_no_files_is_named_with_those_that_do(files: App) -> None:
    with pytest.raises(NotFound, match="“Files”"):
        upload(PEOPLE, app="Nobody")


def test_one_file_of_an_app_at_a_time(files: App, settings: Any) -> None:
    upload(PEOPLE)
    with pytest.raises(Refused, match="is not finished yet"):
        upload(PEOPLE)
    assert len(stored(settings.MEDIA_ROOT)) == 1


def test_the_file_goes_when_its_run_is_complete_and_stays_for_a_retry(
    files: App, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "PAGE_SIZE", 10)
    run = upload(b"user_id\n" + b"".join(b"%d\n" % number for number in range(1, 31)))
    worker = Worker()
    assert worker.take_page()
    runs.stop_run(run.pk, actor=SYSTEM)
    while worker.take_page():
        pass
    assert len(stored(settings.MEDIA_ROOT)) == 1
    run = finish(runs.retry_run(run.pk, actor=SYSTEM))
    assert run.state == RunState.COMPLETE
    assert names() == list(range(1, 31))
    assert stored(settings.MEDIA_ROOT) == []


def test_percent_follows_the_bytes_of_the_file(files: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "PAGE_SIZE", 10)
    content = b"user_id\n" + b"".join(b"%04d\n" % number for number in range(1, 41))
    run = upload(content)
    worker = Worker()
    worker.take_page()
    run.work.refresh_from_db()
    assert run.work.total == len(content)
    assert 20 <= run.work.done * 100 / len(content) <= 35
    while worker.take_page():
        pass
    run.work.refresh_from_db()
    assert run.work.done == len(content)


def test_nobody_reads_files_of_the_server_by_a_schedule(files: App, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("user_id\n1\n")
    options = {"path": str(secret), "uploaded": True}
    data = {"direction": "import", "name": "sly", "app_id": files.pk, "options": options}
    answer = call_api("post", "/api/v1/schedules/", data)
    assert answer.status_code == 400
    assert not Schedule.objects.exists()


def test_a_schedule_reads_a_file_of_the_apps_folder_whole_each_time(tmp_path: Path) -> None:
    make_rules()
    (tmp_path / "people.csv").write_bytes(PEOPLE)
    app = apps_store.create_app("csv", "Folder", {"folder": str(tmp_path)}, actor=SYSTEM)
    data = {"direction": "import", "name": "folder", "app_id": app.pk, "options": {"path": "people.csv"}}
    schedule = call_api("post", "/api/v1/schedules/", data).json()
    run = call_api("post", f"/api/v1/schedules/{schedule['id']}/run/", {}).json()
    assert counters(finish(Run.objects.get(pk=run["id"])), "read", "created") == [2, 2]
    assert (tmp_path / "people.csv").exists()


# ---------------------------------------------------------------- the doors


def test_the_command_starts_a_run_and_says_which(files: App, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(PEOPLE)
    out = StringIO()
    call_command("upload_csv", str(path), app="Files", stdout=out)
    run = Run.objects.get()
    assert f"Run {run.pk} imports people.csv." in out.getvalue()
    assert run.trigger == "upload"


def test_the_command_says_what_to_mend(files: App, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("upload_csv", str(tmp_path / "none.csv"), app="Files")
    (tmp_path / "odd.csv").write_text("name\nAlice\n")
    with pytest.raises(CommandError, match="No column says who"):
        call_command("upload_csv", str(tmp_path / "odd.csv"), app="Files")


def call_api(method: str, path: str, body: Any = None, *, scopes: tuple[str, ...] = ("schedules:write",)) -> Any:
    """Call the API with a key of these scopes."""
    _, token = keys.create_key("tests", scopes, actor=SYSTEM)
    client = Client(headers={"Authorization": f"Bearer {token}"})
    if body is None:
        return client.get(path)
    if any(isinstance(value, SimpleUploadedFile) for value in body.values()):
        return client.post(path, body)
    return getattr(client, method)(path, body, content_type="application/json")


def test_the_api_takes_a_file_and_tells_how_far_its_run_is(files: App) -> None:
    answer = call_api("post", "/api/v1/uploads/", {"app": "Files", "file": SimpleUploadedFile("people.csv", PEOPLE)})
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert (told["state"], told["file"]) == ("pending", "people.csv")
    finish(Run.objects.get(pk=told["id"]))
    told = call_api("get", f"/api/v1/runs/{told['id']}/").json()
    assert (told["state"], told["percent"], told["counters"]["created"]) == ("complete", 100, 2)
    assert told["errors"] == []


def test_the_api_says_what_is_missing(files: App) -> None:
    file = SimpleUploadedFile("people.csv", PEOPLE)
    assert call_api("post", "/api/v1/uploads/", {"file": file}).json()["error"]["fields"] == {"app": "This is needed."}
    answer = call_api("post", "/api/v1/uploads/", {"file": SimpleUploadedFile("p.csv", PEOPLE), "app": "Nobody"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_reading_does_not_let_a_key_write(files: App) -> None:
    file = SimpleUploadedFile("people.csv", PEOPLE)
    answer = call_api("post", "/api/v1/uploads/", {"app": "Files", "file": file}, scopes=("schedules:read",))
    assert answer.status_code == 403


def test_runs_are_listed_stopped_and_retried_over_the_api(files: App) -> None:
    run = upload(PEOPLE)
    listed = call_api("get", f"/api/v1/runs/?schedule={run.schedule_id}").json()["results"]
    assert [row["id"] for row in listed] == [run.pk]
    assert call_api("post", f"/api/v1/runs/{run.pk}/stop/", {}).status_code == 202
    assert finish(run).state == RunState.STOPPED
    assert call_api("post", f"/api/v1/runs/{run.pk}/stop/", {}).status_code == 409
    again = call_api("post", f"/api/v1/runs/{run.pk}/retry/", {})
    assert again.status_code == 201
    assert finish(Run.objects.get(pk=again.json()["id"])).counters["created"] == 2
    assert call_api("get", "/api/v1/runs/999999/").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "direction"),
        ({"direction": "import", "name": 5, "app_id": 1}, "name"),
        ({"direction": "import", "name": "x", "app_id": "1"}, "app_id"),
        ({"direction": "import", "name": "x", "app_id": 1, "colour": "red"}, "colour"),
        ({"direction": "import", "name": "x", "app_id": 1, "fields": {"id": 5}}, "fields.id"),
        ({"direction": "import", "name": "x", "app_id": 1, "groups": {"a": "b"}}, "groups"),
        ({"direction": "import", "name": "x", "app_id": 1, "every_minutes": 0}, "every_minutes"),
    ],
)
def test_a_schedule_that_is_no_schedule_is_refused_by_the_field(files: App, body: Any, field: str) -> None:
    answer = call_api(
        "post", "/api/v1/schedules/", {**body, **({"app_id": files.pk} if body.get("app_id") == 1 else {})}
    )
    assert answer.status_code == 400
    assert field in answer.json()["error"]["fields"]


def test_a_schedule_is_changed_and_deleted_over_the_api(files: App) -> None:
    finish(upload(PEOPLE))
    schedule = Schedule.objects.get()
    path = f"/api/v1/schedules/{schedule.pk}/"
    answer = call_api("patch", path, {"name": "people by hand"})
    assert (answer.status_code, answer.json()["name"]) == (200, "people by hand")
    assert call_api("get", path).json()["name"] == "people by hand"
    assert call_api("delete", path, {}).status_code == 204
    assert call_api("get", path).status_code == 404


def test_a_file_at_an_address_is_imported_by_every_run_of_its_schedule(settings: Any, files: App) -> None:
    settings.GROUPAROO_ALLOW_PRIVATE_HOSTS = True
    with run_file_host() as host:
        host.expect(*[answer(body=PEOPLE) for _ in range(9)])
        app = apps_store.create_app("csv", "Sheet", {"url": f"{host.url}?key=7"}, actor=SYSTEM)
        data = ScheduleData(direction="import", name="Sheet", app_id=app.pk, options={"path": host.url})
        schedule = schedules_store.create_schedule(data, actor=SYSTEM)
        first = finish(runs.start_run(schedule.pk, trigger="test", actor=SYSTEM))
        again = finish(runs.start_run(schedule.pk, trigger="test", actor=SYSTEM))
    assert (first.state, first.error, counters(first, "read", "created")) == (RunState.COMPLETE, "", [2, 2])
    assert (again.state, again.error, counters(again, "read", "created", "changed")) == (
        RunState.COMPLETE,
        "",
        [2, 0, 0],
    )
    assert names("first_name") == ["Alice", "Bob"]
    assert stored(settings.MEDIA_ROOT) == [], "what was fetched goes with the run"
    assert again.options["file"] == host.url


def test_a_file_that_cannot_be_fetched_fails_the_run_with_the_reason(settings: Any, files: App) -> None:
    settings.GROUPAROO_ALLOW_PRIVATE_HOSTS = True
    with run_file_host() as host:
        host.expect(answer(body=PEOPLE), *[answer(404) for _ in range(5)])
        app = apps_store.create_app("csv", "Sheet", {"url": host.url}, actor=SYSTEM)
        data = ScheduleData(direction="import", name="Sheet", app_id=app.pk, options={"path": host.url})
        schedule = schedules_store.create_schedule(data, actor=SYSTEM)
        run = finish(runs.start_run(schedule.pk, trigger="test", actor=SYSTEM))
    assert run.state == RunState.FAILED
    assert "answered 404" in run.error
    assert stored(settings.MEDIA_ROOT) == []
