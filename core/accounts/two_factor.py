"""Signing in with a second factor: a code of an authenticator app (TOTP), or one of ten codes kept for bad days.

The only writer of `TwoFactor` and `RecoveryCode`. No code is taken twice. Wrong ones are counted in the row itself, so
that nobody can guess on while Redis is away.
"""

from __future__ import annotations

import hmac
import math
import re
import secrets
import time
from base64 import b32encode
from datetime import timedelta
from hashlib import sha256

import pyotp
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from core.accounts import audit, project
from core.accounts.actors import Actor
from core.accounts.models import RecoveryCode, TwoFactor, User
from core.accounts.sessions import NEEDS_SECOND_FACTOR
from core.lib.errors import InvalidInput, NotFound, Refused
from core.lib.secrets import UnreadableSecrets, decrypt, encrypt, rotate

RECOVERY_CODES = 10
MOST_FAILURES = 10
WINDOW = timedelta(minutes=15)
_STEPS_ASIDE = 1  # clocks may differ by this many steps of half a minute
_BYTES_OF_A_RECOVERY_CODE = 10
_CODE = re.compile(r"[0-9]{6}")
_LONGEST_PROJECT = 40  # characters: more is cut off by apps, and would not fit into a QR code


def is_on(person_id: int) -> bool:
    """Whether this person needs a code to sign in."""
    return TwoFactor.objects.filter(person_id=person_id, confirmed_at__isnull=False).exists()


def is_owed(session: SessionBase) -> bool:
    """Whether whose session this is has to set one up before anything else, and the team still wants it."""
    return bool(session.get(NEEDS_SECOND_FACTOR)) and project.current().two_factor_required


def begin(person_id: int) -> None:
    """Make a secret for an authenticator app. It asks for nothing until `confirm` has seen a code of it."""
    with transaction.atomic():
        factor = _lock(person_id)
        if factor is not None and factor.confirmed_at is not None:
            raise Refused(gettext("You sign in with two factors already. Turn them off first to use another device."))
        secret = encrypt({"totp": pyotp.random_base32()}, settings.GROUPAROO_SECRET_KEYS)
        TwoFactor.objects.update_or_create(person_id=person_id, defaults={"secret": secret, "last_step": 0})


def secret_to_scan(person_id: int) -> str:
    """The secret while it is being set up, to be put into an app; "" at any other time."""
    factor = TwoFactor.objects.filter(person_id=person_id, confirmed_at=None).first()
    try:
        return _read(factor) if factor is not None else ""
    except UnreadableSecrets:
        return ""


def name_for_app(secret: str, *, email: str, issuer: str) -> str:
    """What stands in the QR code: the secret, and how the app is to call it."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer[:_LONGEST_PROJECT])


def confirm(person_id: int, code: str, *, actor: Actor) -> list[str]:
    """From now on this person signs in with two factors; their recovery codes, which nobody can see again.

    Raises InvalidInput for a wrong code.
    """
    with transaction.atomic():
        factor = _lock(person_id)
        if factor is None or factor.confirmed_at is not None:
            raise Refused(gettext("There is nothing to confirm. Begin again from your account."))
        is_right = _take(factor, code)
        if is_right:
            TwoFactor.objects.filter(pk=factor.pk).update(confirmed_at=Now())
            audit.record("person.two_factor_on", factor.person, actor=actor)
            return _make_codes(person_id)
    message = gettext(
        "This is not the code that the app shows now. Look whether its clock is right, and try the next one."
    )
    raise InvalidInput(message, {"code": message})


def check(person_id: int, code: str) -> bool:
    """Whether this code lets the person in; it is used up then. Raises Refused after too many wrong ones."""
    given = re.sub(r"[\s-]", "", code).lower()
    with transaction.atomic():
        factor = _lock(person_id)
        if factor is None or factor.confirmed_at is None:
            return False
        if _CODE.fullmatch(given):
            return _take(factor, given)
        _refuse_after_too_many(factor)
        is_right = bool(
            RecoveryCode.objects.filter(person_id=person_id, code_hash=_hash(given), used_at=None).update(used_at=Now())
        )
        if is_right:
            audit.record("person.use_recovery_code", factor.person, actor=Actor.person(factor.person))
        _note(factor, is_right=is_right)
        return is_right


def renew_codes(person_id: int, *, actor: Actor) -> list[str]:
    """Ten new recovery codes; those before open nothing any more."""
    with transaction.atomic():
        factor = _lock(person_id)
        if factor is None or factor.confirmed_at is None:
            raise Refused(gettext("Recovery codes belong to two factors, which are not on."))
        audit.record("person.renew_recovery_codes", factor.person, actor=actor)
        return _make_codes(person_id)


def codes_left(person_id: int) -> int:
    """How many recovery codes were not used."""
    return RecoveryCode.objects.filter(person_id=person_id, used_at=None).count()


def turn_off(person_id: int, *, actor: Actor) -> None:
    """The password alone lets this person in again. Doing so twice changes nothing."""
    with transaction.atomic():
        factor = _lock(person_id)
        if factor is None:
            if not User.objects.filter(pk=person_id).exists():
                raise NotFound(gettext("There is no such person."))
            return
        if factor.confirmed_at is not None:
            audit.record("person.two_factor_off", factor.person, actor=actor)
        RecoveryCode.objects.filter(person_id=person_id).delete()
        factor.delete()


def rotate_secrets() -> None:
    """Encrypt every secret with the newest key, in the caller's transaction. Raises UnreadableSecrets."""
    found = list(TwoFactor.objects.select_for_update(no_key=True).order_by("pk"))
    for factor in found:
        factor.secret = rotate(factor.secret, settings.GROUPAROO_SECRET_KEYS)
    TwoFactor.objects.bulk_update(found, ["secret"])


def _lock(person_id: int) -> TwoFactor | None:
    found = TwoFactor.objects.select_for_update(no_key=True, of=("self",)).select_related("person")
    return found.filter(person_id=person_id).first()


def _read(factor: TwoFactor) -> str:
    return decrypt(factor.secret, settings.GROUPAROO_SECRET_KEYS)["totp"]


def _take(factor: TwoFactor, code: str) -> bool:
    """Whether the app shows this code about now and showed it to nobody before; under the row's lock."""
    _refuse_after_too_many(factor)
    try:
        app = pyotp.TOTP(_read(factor))
    except UnreadableSecrets:
        raise Refused(
            gettext(
                "The key that opens your second factor is missing here. Use a recovery code, "
                "or have an admin turn it off."
            )
        ) from None
    given, now = re.sub(r"\s", "", code).encode(), int(time.time()) // app.interval
    steps = range(max(factor.last_step + 1, now - _STEPS_ASIDE), now + _STEPS_ASIDE + 1)
    taken = next((step for step in steps if hmac.compare_digest(app.generate_otp(step).encode(), given)), None)
    _note(factor, is_right=taken is not None, step=taken)
    return taken is not None


def _refuse_after_too_many(factor: TwoFactor) -> None:
    if factor.failures < MOST_FAILURES or factor.failing_since is None:
        return
    left = factor.failing_since + WINDOW - timezone.now()
    if left > timedelta():
        minutes = math.ceil(left / timedelta(minutes=1))
        raise Refused(
            ngettext(
                "That were too many wrong codes. Try again in %(count)s minute.",
                "That were too many wrong codes. Try again in %(count)s minutes.",
                minutes,
            )
            % {"count": minutes}
        )


def _note(factor: TwoFactor, *, is_right: bool, step: int | None = None) -> None:
    if is_right:
        factor.failures, factor.failing_since = 0, None
        factor.last_step = factor.last_step if step is None else step
    else:
        now = timezone.now()
        is_new = factor.failing_since is None or now - factor.failing_since >= WINDOW
        factor.failures, factor.failing_since = (1, now) if is_new else (factor.failures + 1, factor.failing_since)
    factor.save(update_fields=["failures", "failing_since", "last_step"])


def _make_codes(person_id: int) -> list[str]:
    made = [b32encode(secrets.token_bytes(_BYTES_OF_A_RECOVERY_CODE)).decode().lower() for _ in range(RECOVERY_CODES)]
    RecoveryCode.objects.filter(person_id=person_id).delete()
    RecoveryCode.objects.bulk_create([RecoveryCode(person_id=person_id, code_hash=_hash(code)) for code in made])
    return ["-".join(re.findall("....", code)) for code in made]


def _hash(code: str) -> str:
    return sha256(code.encode()).hexdigest()
