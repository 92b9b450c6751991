from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from core.lib.errors import NotFound, Refused
from core.ui.wording import NBSP
from events.inbox import accept
from groups.models import GroupMember
from pipeline.inbox import process_some
from profiles.models import Profile, ProfileChange
from schedules import run_changes
from schedules.models import Run
from tests.accounts.factories import make_user
from tests.api.door import Program
from tests.groups.people import calculated, recalculate_all
from tests.schedules.shop import NOON, Shop, import_all, make_rules, users_schedule

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Twelve people whose first name a second run wrote wrong."""
    monkeypatch.setattr(run_changes, "PAGE", 5)
    make_rules()
    users = users_schedule(shop.app())
    shop.add_users(12)
    import_all(users)
    shop.run("update users set first_name = 'Wrong', changed_at = %s", NOON.replace(year=2027))
    run = import_all(users)
    assert names() == ["Wrong"] * 12
    return run


def names() -> list[str | None]:
    return [each.properties.get("first_name") for each in Profile.objects.order_by("guid")]


def take_back() -> None:
    while run_changes.work_slice():
        pass


def test_values_go_back_and_who_someone_is_stays(run: Run) -> None:
    wrong = calculated("Wrong", {"property": "first_name", "operator": "equals", "value": "Wrong"})
    recalculate_all()
    assert GroupMember.objects.filter(group=wrong).count() == 12
    shown = run_changes.preview(run)
    assert (shown.profiles, shown.goes_back, shown.by_key) == (12, 12, [("first_name", 12)])
    run_changes.revert_run(run.pk, actor=SYSTEM)
    take_back()
    assert names() == ["Alice"] * 12
    assert not GroupMember.objects.filter(group=wrong).exists()
    run.refresh_from_db()
    assert run.counters["taken_back"] == 12
    assert run.notes[-1].startswith("12 values were taken back")
    call_command("check_integrity", stdout=StringIO())
    with pytest.raises(Refused, match="already"):
        run_changes.revert_run(run.pk, actor=SYSTEM)


def test_what_was_written_since_stays(run: Run) -> None:
    accept([{"user_id": 3, "first_name": "Charlie"}], source_kind="api_key", source_id=1)
    accept([{"payload": {"user_id": 4, "first_name": "Wrong"}}], source_kind="api_key", source_id=1)
    process_some()
    run_changes.revert_run(run.pk, actor=SYSTEM)
    take_back()
    assert Profile.objects.get(properties__user_id=3).properties["first_name"] == "Charlie"
    assert Profile.objects.get(properties__user_id=4).properties["first_name"] == "Wrong"
    assert names().count("Alice") == 10


def test_the_first_run_is_taken_back_to_nothing_but_identities(shop: Shop) -> None:
    make_rules()
    users = users_schedule(shop.app())
    shop.add_users(3)
    run = import_all(users)
    run_changes.revert_run(run.pk, actor=SYSTEM)
    take_back()
    assert names() == [None] * 3
    assert {tuple(sorted(each.properties)) for each in Profile.objects.all()} == {("email", "user_id")}
    assert ProfileChange.objects.order_by("-id")[0].cause == SYSTEM.cause


def test_people_and_programs_look_before_they_take_back(run: Run, client: Client) -> None:
    client.force_login(make_user("Bob", role=Role.EDITOR))
    page = client.get(reverse("runs:changes", args=[run.pk])).content.decode().replace(NBSP, " ")
    assert "12 profiles" in page
    assert "12 would go back" in page
    assert client.post(reverse("runs:revert", args=[run.pk])).status_code == 302
    assert "being taken back" in client.get(reverse("runs:changes", args=[run.pk])).content.decode()
    program = Program("schedules:write")
    headers = {"Authorization": f"Bearer {program.token}"}
    seen = program.client.get(f"/api/v1/runs/{run.pk}/changes/", headers=headers).json()
    assert (seen["profiles"], len(seen["values"])) == (12, 12)
    assert program.client.post(f"/api/v1/runs/{run.pk}/revert/", headers=headers).status_code == 409
    assert program.client.post("/api/v1/runs/987654/revert/", headers=headers).status_code == 404
    with pytest.raises(NotFound):
        run_changes.revert_run(987654, actor=SYSTEM)
