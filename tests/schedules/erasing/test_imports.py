"""Rows and files that name someone who was erased."""

from __future__ import annotations

import gzip
from pathlib import Path

from django.conf import settings as product
from pytest_django import Settings

from core.accounts.actors import SYSTEM
from profiles import suppression
from profiles.models import Profile
from schedules.erasing import erasures
from tests.everywhere import find_everywhere
from tests.schedules.erasing.world import ALICE, World, finish
from tests.schedules.shop import Shop, import_all, make_rules, users_schedule


def test_rows_of_imports_are_skipped_and_counted(shop: Shop) -> None:
    make_rules()
    users = users_schedule(shop.app())
    shop.add_users(3)
    import_all(users)
    finish(erasures.erase(Profile.objects.get(properties__user_id=2).pk, actor=SYSTEM))
    shop.run("update users set first_name = 'Liddell', changed_at = changed_at + interval '1 day'")
    run = import_all(users)
    counted = {key: run.counters.get(key, 0) for key in ("read", "events", "unchanged", "skipped", "rejected")}
    assert counted == {"read": 3, "events": 2, "unchanged": 0, "skipped": 1, "rejected": 0}
    assert [(each.message, each.count, each.examples) for each in run.errors.all()] == [(suppression.ERASED, 1, [])]
    assert find_everywhere(["person2@example.com"]) == {}
    assert Profile.objects.count() == 2


def test_files_that_name_them_go_and_others_stay(world: World, settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    assert Path(product.MEDIA_ROOT) == tmp_path
    (tmp_path / "a.csv").write_text(f"email,name\n{ALICE.upper()},Alice\n")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(f"x;{ALICE}".encode()))
    (tmp_path / "c.csv").write_bytes(f"email\n{ALICE}\n".encode("utf-16"))
    (tmp_path / "d.csv").write_text("email\nbob@example.com\n")
    (tmp_path / "e.csv.gz").write_text("this is not packed")
    erasure = finish(world.erase())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["d.csv", "e.csv.gz"]
    assert erasure.counts["uploaded files"] == 3
