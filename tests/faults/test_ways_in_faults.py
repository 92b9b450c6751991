"""The ways in while web and workers are killed: uploads, webhooks, taking a run back, asking everyone again.

The kills come at random points; a test that fails shows its seed, and FAULT_SEED repeats it.
"""

from __future__ import annotations

import random
from io import BytesIO
from itertools import pairwise
from threading import Thread

from django.db.models import Sum

from apps_connectors import apps_store
from core.accounts.actors import SYSTEM
from core.work.models import UNFINISHED, Work
from events.models import Event
from profiles.models import Profile, ProfileChange, ProfileIdentity
from profiles.rules import NewRule, create_rule, update_rule
from schedules import run_changes, uploads
from schedules.models import Run, RunError, RunState
from tests.faults.browsing import Visitor
from tests.faults.door import HookSenders
from tests.faults.product import Product, wait_for
from tests.faults.shop import CUSTOMERS, Shop, check_nothing_is_stuck, run_sql
from tests.waiting import wait_until

ROWS = 8000
WITHIN = 60.0


def make_rules() -> None:
    create_rule(NewRule("user_id", "integer", is_unique=True, identity_rank=1), actor=SYSTEM)
    create_rule(NewRule("email", "email"), actor=SYSTEM)
    create_rule(NewRule("first_name", "string"), actor=SYSTEM)
    apps_store.create_app("csv", "Files", {}, actor=SYSTEM)


def make_file(*, first_name: str = "Alice") -> bytes:
    """Every 100th row has no address, behind every 1,000th stands one that is too long."""
    lines = ["user_id,email,first_name"]
    for number in range(ROWS):
        email = "no address" if number % 100 == 0 else f"person{number}@example.com"
        lines += [f"{number},{email},{first_name}"]
        if number % 1000 == 0:
            lines += [f"{number},{email},{first_name},too much"]
    return "\n".join(lines).encode()


def last_run() -> Run:
    return Run.objects.latest("pk")


def wait_for_rows(share: float) -> None:
    wait_until(
        lambda: Run.objects.exists() and last_run().counters.get("events", 0) >= share * ROWS,
        what=f"{share:.0%} of the rows are taken",
        within=WITHIN,
    )


def wait_for_end(state: RunState = RunState.COMPLETE) -> Run:
    wait_until(lambda: last_run().finished_at is not None, what="the run has ended", within=WITHIN)
    run = last_run()
    assert (run.state, run.error) == (state, "")
    return run


# ---------------------------------------------------------------- uploads


def test_an_upload_by_page_takes_every_row_once_whoever_is_killed_on_the_way(
    product: Product, chance: random.Random
) -> None:
    """Web is killed while the file comes and while its import is started, then two workers in turn."""
    make_rules()
    product.collect_pages()
    web = product.start_web()
    visitor = Visitor(product.port)
    files = {"file": ("people.csv", make_file(), "text/csv")}
    visitor.post_half("/schedules/upload/", {"app": "Files"}, files=files, then=lambda: product.kill(web))
    assert not Run.objects.exists()
    web = product.start_web()
    product.start_beat()
    looked = visitor.post("/schedules/upload/", {"app": "Files"}, files=files)
    chosen = {"column-0": "user_id", "column-1": "email", "column-2": "first_name"}
    path = looked.url.removeprefix(visitor.base)
    starting = Thread(target=visitor.post, args=(path, chosen))
    starting.start()
    wait_for(chance.uniform(0.0, 0.2))
    product.kill(web)
    web = product.start_web()
    starting.join()
    workers = product.start_workers(2)
    for worker, share in zip(workers, sorted(chance.uniform(0.05, 0.8) for _ in range(2)), strict=True):
        wait_for_rows(share)
        product.kill(worker)
        product.start_workers(1)
    run = wait_for_end()
    check_upload(run)
    rejected = visitor.get(f"/runs/{run.pk}/rejected.csv").text.splitlines()
    assert len(rejected) == 1 + ROWS // 100 + ROWS // 1000
    check_nothing_is_stuck()


def check_upload(run: Run) -> None:
    assert Run.objects.count() == 1
    wrong = ROWS // 1000
    wanted = {"read": ROWS + wrong, "events": ROWS, "created": ROWS, "rejected": wrong}
    assert {key: run.counters[key] for key in wanted} == wanted
    told = dict(RunError.objects.values_list("message").annotate(Sum("count")))
    assert told == {"email: not an email address": ROWS // 100, "4 values where the header has 3": wrong}
    taken = Event.objects.filter(source_kind="run", source_id=run.pk, state="processed")
    assert taken.count() == taken.values("message_id").distinct().count() == ROWS == Event.objects.count()
    held = sorted(Profile.objects.values_list("properties__user_id", flat=True))
    assert held == list(range(ROWS))
    assert ProfileIdentity.objects.count() == ROWS
    assert ProfileChange.objects.count() == ROWS  # one change each: nobody was written twice


# ---------------------------------------------------------------- webhooks


def test_webhooks_count_once_each_while_web_and_workers_are_killed(product: Product, chance: random.Random) -> None:
    """A tool sends what was not answered again."""
    senders, web = HookSenders(chance), product.start_web()
    product.start_beat()
    [worker] = product.start_workers(1)
    with senders.send(product.port):
        for share in sorted(chance.uniform(0.02, 0.9) for _ in range(2)):
            senders.wait_for_accepted(share)
            wait_for(chance.uniform(0.0, 0.02))
            product.kill(web)
            product.kill(worker)
            web = product.start_web()
            [worker] = product.start_workers(1)
    assert senders.sent_again > 0
    wait_until(senders.are_processed, what="every event is processed", within=WITHIN)
    senders.check()


# ---------------------------------------------------------------- taking back


def test_taking_a_run_back_ends_right_although_its_workers_are_killed(product: Product, chance: random.Random) -> None:
    make_rules()
    product.start_beat()
    workers = product.start_workers(2)
    for first_name in ("Alice", "Wrong"):
        uploads.start_upload("Files", BytesIO(make_file(first_name=first_name)), name="people.csv", actor=SYSTEM)
        wait_for_end()
    run = last_run()
    assert first_names() == {"Wrong"}
    work = run_changes.revert_run(run.pk, actor=SYSTEM)
    for worker, share in zip(workers, sorted(chance.uniform(0.05, 0.7) for _ in range(2)), strict=True):
        wait_for_done(work, share * ROWS)
        product.kill(worker)
        product.start_workers(1)
    wait_until(lambda: Work.objects.get(pk=work.pk).state not in UNFINISHED, what="it is taken back", within=WITHIN)
    assert first_names() == {"Alice"}
    run.refresh_from_db()
    assert run.counters["taken_back"] == ROWS
    changes: dict[object, list[list[str | None]]] = {}
    for profile, changed in ProfileChange.objects.order_by("id").values_list("profile_id", "changes"):
        changes.setdefault(profile, []).append(changed["first_name"])
    assert len(changes) == ROWS
    for chain in changes.values():
        assert [after for _, after in chain] == ["Alice", "Wrong", "Alice"]
        assert all(before[1] == after[0] for before, after in pairwise(chain))
    check_nothing_is_stuck()


def first_names() -> set[str]:
    return set(Profile.objects.values_list("properties__first_name", flat=True))


def wait_for_done(work: Work, done: float) -> None:
    wait_until(lambda: Work.objects.get(pk=work.pk).done >= done, what=f"{done:.0f} are done", within=WITHIN)


# ---------------------------------------------------------------- asking again, and only what changed


def test_asking_everyone_again_and_reading_what_changed_end_right_although_workers_are_killed(
    product: Product, shop: Shop, chance: random.Random
) -> None:
    """A rule is changed, so that everyone is asked again; meanwhile rows changed, which the next run reads."""
    shop.customers = CUSTOMERS // 2
    run_sql(shop.source, f"delete from customers where id > {shop.customers}")
    product.start_beat()
    workers = product.start_workers(2)
    shop.start_import()
    shop.wait_until_settled()
    shop.check()
    run_sql(
        shop.source,
        "update purchases set total = total + 1;"
        " update customers set country = 'DE', updated_at = timestamptz '2026-02-01' + id * interval '1 second'"
        " where id % 5 = 0",
    )
    change_ltv(shop)
    everyone = Work.objects.filter(kind="rehydrate").latest("pk")
    wait_for_done(everyone, chance.uniform(0.05, 0.5) * shop.customers)
    product.kill(workers[0])
    changed = shop.start_import()
    product.start_workers(1)
    wait_until(lambda: has_begun(changed), what="the next run has begun", within=WITHIN)
    product.kill(workers[1])
    product.start_workers(1)
    shop.wait_until_settled()
    people = shop.people()
    shop.check_profiles(people)
    shop.check_groups(people)
    shop.check_destination(people)
    changed.refresh_from_db()
    assert changed.counters["events"] == shop.customers // 5
    check_nothing_is_stuck()


def has_begun(run: Run) -> bool:
    run.refresh_from_db()
    return run.started_at is not None


def change_ltv(shop: Shop) -> None:
    """Another query for the same sum."""
    rule = shop.schedule.app.rules.get(key="ltv")
    query = "select sum(p.total) from purchases p where p.customer_id = {{profile.user_id}}"
    update_rule(rule.pk, NewRule("ltv", "float", app=rule.app, query=query), actor=SYSTEM)
