"""Who was erased comes in by no door, in no way of writing, after any change of keys and properties."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from apps_connectors import apps_store
from core.accounts.actors import SYSTEM
from core.lib.errors import Refused
from core.lib.secrets import UnreadableSecrets
from core.work import leases
from events import hooks
from events import inbox as door
from events.inbox import FateKind, accept
from events.models import Event, EventKey, HookCall, Inbox
from events.replay import replay
from pipeline import merging
from pipeline.inbox import process_some
from pipeline.refresh import go_through_everyone, refresh
from profiles import rules, ruleset, suppression, suppression_key
from profiles.models import Profile, ProfileIdentity, ProfilePropertyRule, Suppression
from schedules.erasing import erasures
from tests.api.door import Program
from tests.everywhere import find_everywhere
from tests.pipeline.people import event, rule, shop_rules, take
from tests.profiles.shop import Shop as Source
from tests.schedules.erasing.world import finish

pytestmark = pytest.mark.django_db(transaction=True)
ALICE = "alice.liddell@example.com"


def person(email: str = ALICE) -> Profile:
    return Profile.objects.get(properties__email=email)


def erase() -> None:
    finish(erasures.erase(person().pk, actor=SYSTEM))


@pytest.fixture
def erased() -> None:
    """Alice was known by user_id 7, her address and a device, and is erased."""
    door._backlog.until = 0.0
    shop_rules()
    rule("phone", "phone_number", is_unique=True)
    take(event({"user_id": 7, "email": ALICE, "phone": "+43 664 1234567", "_anonymous_id": "device-1"}))
    take(event({"user_id": 8, "email": "bob@example.com"}))
    erase()
    assert list(Profile.objects.values_list("properties__email", flat=True)) == ["bob@example.com"]


@pytest.mark.parametrize(
    "payload",
    [
        {"email": ALICE},
        {"email": f"  {ALICE.upper()} "},
        {"user_id": "7"},
        {"user_id": 7.0, "email": "alice@elsewhere.example.com"},
        {"phone": "+43 (664) 123-4567"},
        {"_anonymous_id": "device-1"},
        {"_previous_id": "device-1", "user_id": 99},
        {"_previous_id": "7", "user_id": 99},
        {"user_id": 8, "email": ALICE},
    ],
    ids=json.dumps,
)
def test_whatever_names_the_person_is_refused_and_nothing_of_it_is_kept(erased: None, payload: dict[str, Any]) -> None:
    [fate, other] = accept([payload, {"user_id": 8, "n": 1}], source_kind="api_key", source_id=1)
    assert (fate.kind, fate.reason) == (FateKind.REJECTED, "This person was erased on request.")
    assert other.kind is FateKind.ACCEPTED
    result = take(event({**payload, "first_name": "Liddell"}), event({"user_id": 8, "age": 3}))
    assert (result.events, result.erased, result.created, result.errors) == (1, 1, 0, [])
    process_some()
    assert find_everywhere([ALICE, "1234567", "device-1", "Liddell", "elsewhere"]) == {}
    assert Profile.objects.count() == 1


def test_others_come_in_as_ever(erased: None) -> None:
    take(event({"user_id": 70, "email": "alice@example.com", "_anonymous_id": "device-11"}))
    assert person("alice@example.com").properties["user_id"] == 70


def test_programs_and_clients_are_told_or_not_but_nothing_is_kept(erased: None) -> None:
    program = Program("events:write")
    [fate] = program.post([{"payload": {"email": ALICE}, "message_id": "m-1"}]).json()["events"]
    assert fate == {"fate": "rejected", "reason": suppression.ERASED}
    assert program.post({"email": ALICE}).status_code == 400
    call = {"type": "identify", "userId": "7", "traits": {"email": ALICE, "firstName": "Liddell"}}
    assert program.post({"batch": [call, {"type": "track", "event": "X", "userId": "8"}]}, to="/v1/batch").json() == {
        "success": True
    }
    process_some()
    assert find_everywhere([ALICE, "Liddell", "m-1"]) == {}
    assert Event.objects.filter(type="X").exists()


def test_a_webhook_keeps_neither_the_event_nor_the_call(erased: None, client: Client) -> None:
    app = apps_store.create_app("csv", "Checkout", {}, actor=SYSTEM)
    hooks.create_hook(app.pk, actor=SYSTEM)
    hook = hooks.update_hook(app.pk, mapping={"fields": {"email": "customer.mail"}}, actor=SYSTEM)
    hooks.listen(app.pk)
    address = reverse("hooks:door", args=[app.pk, hooks.read_secrets(hook)["address"]])
    for mail in (ALICE, "charlie@example.com"):
        body = json.dumps({"customer": {"mail": mail}, "note": "Liddell" if mail == ALICE else ""})
        assert client.post(address, body, content_type="application/json").status_code == 200
    process_some()
    assert find_everywhere([ALICE, "Liddell"]) == {}
    assert [("charlie" in each.body) for each in HookCall.objects.all()] == [True]
    assert person("charlie@example.com")


def test_what_an_app_answers_gives_nobody_an_identity_of_someone_erased(tmp_path: Path) -> None:
    source = Source(tmp_path)
    rule("user_id", "integer", is_unique=True)
    source.query("email", "email", "select email from users where id = {{profile.user_id}}", is_unique=True)
    take(event({"user_id": 1}))
    finish(erasures.erase(person("alice@example.com").pk, actor=SYSTEM))
    take(event({"user_id": 3}))  # who has the same address in that table
    charlie = Profile.objects.get()
    assert charlie.properties == {"user_id": 3}
    assert charlie.property_meta["email"][-2:] == ["", "belongs to someone who was erased on request"]
    assert find_everywhere(["alice@example.com"]) == {}


def test_a_replay_brings_nothing_back(erased: None) -> None:
    take(event({"user_id": 8, "n": 2}, source_kind="api_key"))
    stored = Event.objects.latest("id")
    Event.objects.filter(pk=stored.pk).update(payload={"user_id": 7, "first_name": "Liddell"})
    replay([stored.pk], actor=SYSTEM)
    assert Inbox.objects.count() == 1
    process_some()
    assert Inbox.objects.count() == 0
    assert Profile.objects.filter(properties__user_id=7).count() == 0


def test_a_person_who_is_being_erased_is_neither_merged_nor_asked_for(tmp_path: Path) -> None:
    source = Source(tmp_path)
    shop_rules()
    rule("name_there", app=source.app, query="select first_name from users where id = {{profile.user_id}}")
    take(event({"user_id": 1, "email": ALICE}), event({"user_id": 2, "email": "bob@example.com"}))
    alice, bob = person(), person("bob@example.com")
    erasures.erase(alice.pk, actor=SYSTEM)
    for pair in ((alice.pk, bob.pk), (bob.pk, alice.pk)):
        with pytest.raises(Refused, match="being erased"):
            merging.merge(*pair, actor=SYSTEM)
    source.run("update users set first_name = 'Liddell'")
    refresh([alice.pk, bob.pk])
    alice.refresh_from_db()
    bob.refresh_from_db()
    assert (alice.properties["name_there"], bob.properties["name_there"]) == ("Alice", "Liddell")
    with pytest.raises(Refused, match="already"):
        erasures.erase(alice.pk, actor=SYSTEM)


def test_new_keys_of_the_operator_lose_no_suppression(erased: None, settings: Settings) -> None:
    old = list(settings.GROUPAROO_SECRET_KEYS)
    settings.GROUPAROO_SECRET_KEYS = [Fernet.generate_key().decode(), *old]
    apps_store.rotate_secrets(actor=SYSTEM)
    settings.GROUPAROO_SECRET_KEYS = settings.GROUPAROO_SECRET_KEYS[:1]
    ruleset.forget()
    assert accept([{"email": ALICE}], source_kind="api_key", source_id=1)[0].is_erased
    settings.GROUPAROO_SECRET_KEYS = [Fernet.generate_key().decode()]
    ruleset.forget()
    with pytest.raises(UnreadableSecrets):
        accept([{"email": ALICE}], source_kind="api_key", source_id=1)


def test_a_property_made_anew_refuses_the_same(erased: None) -> None:
    email = ProfilePropertyRule.objects.get(key="email")
    rules.delete_rule(email.pk, actor=SYSTEM)
    while leases.run_slice(rules.REHYDRATE, go_through_everyone):
        pass
    assert not ProfilePropertyRule.objects.filter(pk=email.pk).exists()
    rule("email", "email", is_unique=True)
    assert accept([{"email": ALICE}], source_kind="api_key", source_id=1)[0].is_erased


def test_hashes_tell_nobody_who_it_was(erased: None) -> None:
    assert Suppression.objects.count() == 4  # user_id, email, phone and the device
    assert {len(bytes(each.digest)) for each in Suppression.objects.all()} == {32}
    key = suppression_key.read_key()
    assert key is not None
    with connection.cursor() as cursor:
        cursor.execute("select secret from suppression_key")
        assert key.hex() not in cursor.fetchone()[0]


def test_it_costs_nothing_until_somebody_was_erased_and_one_look_up_from_then_on() -> None:
    shop_rules()

    def count(*user_ids: int) -> int:
        with CaptureQueriesContext(connection) as sent:
            take(*(event({"user_id": each}) for each in user_ids))
        return sum("where digest" in each["sql"] for each in sent.captured_queries)

    take(event({"user_id": 1, "email": ALICE}))
    assert count(*range(10, 60)) == 0
    erase()
    assert count(*range(100, 400)) == 1
    assert not EventKey.objects.filter(event_id__isnull=True).exists()
    assert not ProfileIdentity.objects.filter(value=ALICE).exists()
