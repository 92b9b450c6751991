"""Pages while something goes on behind them: a group is calculated, everyone is asked again."""

from __future__ import annotations

import pytest
from django.test import Client

from core.work import leases
from core.work.models import Work
from groups.models import Group
from groups.recalculation import KIND
from tests.ui.shop import Shop
from tests.ui.test_pages import read


@pytest.mark.parametrize("done", [0, 3, 10])
def test_a_group_shows_how_far_its_calculation_is(viewer: Client, shop: Shop, done: int) -> None:
    group = shop.groups["USA customers"]
    Group.objects.filter(pk=group.pk).update(rules_version=group.rules_version + 1)
    Work.objects.filter(kind=KIND).delete()
    leases.enqueue(kind=KIND, subject=str(group.pk), total=10)
    Work.objects.filter(kind=KIND).update(done=done)
    for url in (f"/groups/{group.pk}/", f"/groups/{group.pk}/progress/"):
        response = viewer.get(url)
        assert response.status_code == 200
        assert f"{done} people of 10" in read(response)


@pytest.mark.parametrize("done", [0, 3, 10])
def test_properties_show_how_far_asking_everyone_again_is(viewer: Client, shop: Shop, done: int) -> None:
    leases.enqueue(kind="rehydrate", subject="everyone:1", total=10)
    Work.objects.filter(kind="rehydrate").update(done=done)
    for url in (f"/properties/{shop.rules['ltv'].pk}/", "/properties/progress/"):
        response = viewer.get(url)
        assert response.status_code == 200
        assert f"{done} people of 10" in read(response)
