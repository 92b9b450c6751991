"""The second factor: codes of an app, recovery codes, none of them twice, wrong ones counted, secrets encrypted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
import time_machine
from cryptography.fernet import Fernet
from django.db import connection

from apps_connectors import apps_store
from core.accounts import two_factor
from core.accounts.actors import SYSTEM, Actor
from core.accounts.models import AuditEntry, RecoveryCode, TwoFactor, User
from core.lib.errors import InvalidInput, NotFound, Refused
from tests.accounts.factories import make_alice, make_bob

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, 0, 10, tzinfo=UTC)
STEP = timedelta(seconds=30)


def code_at(secret: str, at: datetime) -> str:
    """What the app shows then."""
    return pyotp.TOTP(secret).at(at)


def set_up(user: User, *, at: datetime = NOON) -> tuple[str, list[str]]:
    """Turn it on; the secret, and the recovery codes."""
    two_factor.begin(user.pk)
    secret = two_factor.secret_to_scan(user.pk)
    with time_machine.travel(at, tick=False):
        return secret, two_factor.confirm(user.pk, code_at(secret, at), actor=Actor.person(user))


def test_it_asks_for_nothing_until_a_first_code_was_right() -> None:
    alice = make_alice()
    two_factor.begin(alice.pk)
    assert not two_factor.is_on(alice.pk)
    with pytest.raises(InvalidInput) as caught:
        two_factor.confirm(alice.pk, "000000", actor=SYSTEM)
    assert list(caught.value.fields) == ["code"]
    assert not two_factor.is_on(alice.pk)
    assert not two_factor.check(alice.pk, code_at(two_factor.secret_to_scan(alice.pk), datetime.now(UTC)))


def test_once_it_is_on_the_secret_is_shown_no_more_and_cannot_be_replaced() -> None:
    alice = make_alice()
    secret, _ = set_up(alice)
    assert two_factor.is_on(alice.pk)
    assert two_factor.secret_to_scan(alice.pk) == ""
    with pytest.raises(Refused, match="already"):
        two_factor.begin(alice.pk)
    assert secret not in TwoFactor.objects.get().secret


@pytest.mark.parametrize("code", ["", "１２３４５６", "📱📱📱📱📱📱", "12 34", "0" * 40])
def test_whatever_is_typed_is_a_wrong_code_and_nothing_worse(code: str) -> None:
    alice = make_alice()
    two_factor.begin(alice.pk)
    with pytest.raises(InvalidInput):
        two_factor.confirm(alice.pk, code, actor=SYSTEM)
    set_up(alice)
    assert not two_factor.check(alice.pk, code)


@time_machine.travel(NOON + 4 * STEP, tick=False)
def test_a_code_lets_in_once_and_none_before_it() -> None:
    alice = make_alice()
    secret, _ = set_up(alice)
    now = NOON + 4 * STEP
    assert two_factor.check(alice.pk, f" {code_at(secret, now)[:3]} {code_at(secret, now)[3:]} ")
    assert not two_factor.check(alice.pk, code_at(secret, now))
    assert not two_factor.check(alice.pk, code_at(secret, now - STEP)), "an older one would be a replay, too"
    assert two_factor.check(alice.pk, code_at(secret, now + STEP)), "a clock half a minute ahead is all right"


@pytest.mark.parametrize(("aside", "lets_in"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_clocks_may_differ_by_half_a_minute(aside: int, lets_in: bool) -> None:
    alice = make_alice()
    secret, _ = set_up(alice)
    now = NOON + 10 * STEP
    with time_machine.travel(now, tick=False):
        assert two_factor.check(alice.pk, code_at(secret, now + aside * STEP)) is lets_in


def test_the_code_that_turned_it_on_does_not_sign_in() -> None:
    alice = make_alice()
    secret, _ = set_up(alice)
    with time_machine.travel(NOON, tick=False):
        assert not two_factor.check(alice.pk, code_at(secret, NOON))


def test_each_of_ten_recovery_codes_lets_in_once_however_it_is_written() -> None:
    alice = make_alice()
    _, codes = set_up(alice)
    assert len(set(codes)) == 10
    assert two_factor.check(alice.pk, codes[0].upper().replace("-", " "))
    assert not two_factor.check(alice.pk, codes[0])
    assert two_factor.codes_left(alice.pk) == 9
    stored = str(list(RecoveryCode.objects.values()))
    assert not [code for code in codes if code in stored or code.replace("-", "") in stored]
    assert AuditEntry.objects.filter(action="person.use_recovery_code").count() == 1


def test_codes_of_someone_else_let_nobody_in() -> None:
    alice, bob = make_alice(), make_bob()
    _, of_alice = set_up(alice)
    set_up(bob)
    assert not two_factor.check(bob.pk, of_alice[0])


def test_new_recovery_codes_replace_the_old_ones() -> None:
    alice = make_alice()
    _, old = set_up(alice)
    new = two_factor.renew_codes(alice.pk, actor=SYSTEM)
    assert not two_factor.check(alice.pk, old[0])
    assert two_factor.check(alice.pk, new[0])


def test_after_ten_wrong_codes_even_a_right_one_has_to_wait_a_quarter_of_an_hour() -> None:
    alice = make_alice()
    secret, codes = set_up(alice)
    with time_machine.travel(NOON + 2 * STEP, tick=False) as clock:
        for _ in range(two_factor.MOST_FAILURES - 1):
            assert not two_factor.check(alice.pk, "wrong")
        assert not two_factor.check(alice.pk, "000000")
        for right in (code_at(secret, NOON + 2 * STEP), codes[0]):
            with pytest.raises(Refused, match="15 minutes"):
                two_factor.check(alice.pk, right)
        clock.shift(two_factor.WINDOW)
        assert two_factor.check(alice.pk, code_at(secret, NOON + 2 * STEP + two_factor.WINDOW))


def test_a_right_code_forgives_the_wrong_ones_before_it() -> None:
    alice = make_alice()
    secret, _ = set_up(alice)
    with time_machine.travel(NOON + 2 * STEP, tick=False):
        for _ in range(two_factor.MOST_FAILURES - 1):
            two_factor.check(alice.pk, "123456")
        assert two_factor.check(alice.pk, code_at(secret, NOON + 2 * STEP))
        assert TwoFactor.objects.get().failures == 0


@pytest.mark.django_db(transaction=True)
def test_one_code_sent_four_times_at_once_lets_in_once() -> None:
    alice = make_alice()
    _, codes = set_up(alice)

    def enter(_: int) -> bool:
        try:
            return two_factor.check(alice.pk, codes[0])
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(enter, range(4))) == [False, False, False, True]


def test_turning_it_off_takes_everything_away_and_is_written_down_with_who_did_it() -> None:
    alice, bob = make_alice(), make_bob()
    _, codes = set_up(bob)
    two_factor.turn_off(bob.pk, actor=Actor.person(alice))
    two_factor.turn_off(bob.pk, actor=Actor.person(alice))
    assert not two_factor.is_on(bob.pk)
    assert not two_factor.check(bob.pk, codes[0])
    assert not RecoveryCode.objects.exists()
    entry = AuditEntry.objects.get(action="person.two_factor_off")
    assert (entry.actor_id, entry.subject_id) == (alice.pk, str(bob.pk))
    with pytest.raises(NotFound):
        two_factor.turn_off(12345, actor=SYSTEM)


def test_no_secret_is_in_the_audit_log() -> None:
    alice = make_alice()
    secret, codes = set_up(alice)
    two_factor.check(alice.pk, codes[0])
    codes += two_factor.renew_codes(alice.pk, actor=Actor.person(alice))
    logged = str(list(AuditEntry.objects.values()))
    assert not [each for each in (secret, *codes) if each in logged]


def test_rotating_the_keys_takes_the_second_factors_along(settings: Any) -> None:
    alice = make_alice()
    secret, _ = set_up(alice)
    old, new = settings.GROUPAROO_SECRET_KEYS[0], Fernet.generate_key().decode()
    settings.GROUPAROO_SECRET_KEYS = [new, old]
    apps_store.rotate_secrets(actor=SYSTEM)
    settings.GROUPAROO_SECRET_KEYS = [new]
    with time_machine.travel(NOON + 2 * STEP, tick=False):
        assert two_factor.check(alice.pk, code_at(secret, NOON + 2 * STEP))


def test_without_the_key_recovery_codes_still_let_in_and_the_refusal_says_so(settings: Any) -> None:
    alice = make_alice()
    _, codes = set_up(alice)
    settings.GROUPAROO_SECRET_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(Refused, match="recovery code"):
        two_factor.check(alice.pk, "123456")
    assert two_factor.check(alice.pk, codes[0])
