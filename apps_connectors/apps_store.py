"""Apps: making, changing, testing and deleting them. The only writer of `App`.

Secrets come in with the other options, are encrypted together, and never go out again: whoever reads an App sees the
mask in their place, and giving the mask back keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone
from django.utils.translation import gettext

from apps_connectors import connections
from apps_connectors.models import App
from apps_connectors.options import check_options, mask
from core.accounts import audit, two_factor
from core.accounts.actors import Actor
from core.lib.errors import InvalidInput, NotFound, Refused
from core.lib.secrets import UnreadableSecrets, decrypt, encrypt, rotate
from plugins import registry
from plugins.base import TestsConnection
from plugins.contracts import AppSpec, PluginError, TestResult

_MOST_CALLS = 64
_USERS_NAMED = 5


def create_app(
    app_type: str, name: str, options: Mapping[str, Any], *, parallel_calls: int | None = None, actor: Actor
) -> App:
    """A new App of a plugin's type. Raises InvalidInput. It is not tested yet: that is `test_app`."""
    spec = _spec(app_type)
    checked = check_options(spec, options, known_secrets={})
    app = App(
        type=app_type,
        name=_read_name(name),
        options=checked.plain,
        secrets=encrypt(checked.secret, settings.GROUPAROO_SECRET_KEYS),
        parallel_calls=spec.parallel_calls if parallel_calls is None else _read_calls(parallel_calls, spec),
    )
    with _name_in_use(app), transaction.atomic():
        app.save(force_insert=True)
        audit.record("app.create", app, after=_seen(app, checked.secret), actor=actor)
    return app


def update_app(
    app_id: int,
    *,
    name: str | None = None,
    options: Mapping[str, Any] | None = None,
    parallel_calls: int | None = None,
    actor: Actor,
) -> App:
    """Change an App; what is None stays. `options` are all of them; secrets given as the mask stay as they are."""
    with transaction.atomic():
        app = _lock(app_id)
        known = _known_secrets(app)
        secret = known
        before = _seen(app, known)
        if name is not None:
            app.name = _read_name(name)
        if parallel_calls is not None:
            app.parallel_calls = _read_calls(parallel_calls, _spec(app.type))
        if options is not None:
            checked = check_options(_spec(app.type), options, known_secrets=known)
            app.options, secret = checked.plain, checked.secret
            app.secrets = encrypt(secret, settings.GROUPAROO_SECRET_KEYS)
        changed = [key for key in secret if secret[key] != known.get(key)]
        after = _seen(app, secret, changed=changed)
        with _name_in_use(app), transaction.atomic():
            app.save()
        if after != before:
            audit.record("app.update", app, before=before, after=after, actor=actor)
    return app


def delete_app(app_id: int, *, actor: Actor) -> None:
    """Delete an App that nothing uses. Refused, naming its users, while a rule or a schedule does."""
    try:
        with transaction.atomic():
            app = _lock(app_id)
            audit.record("app.delete", app, before=_seen(app, _known_secrets(app)), actor=actor)
            app.delete()
    except ProtectedError as error:
        users = sorted(str(user) for user in error.protected_objects)
        named, more = ", ".join(users[:_USERS_NAMED]), len(users) - _USERS_NAMED
        if more > 0:
            named = gettext("%(names)s and %(count)s more") % {"names": named, "count": more}
        raise Refused(gettext("This App is used by %(users)s. Change these first.") % {"users": named}) from None


def set_paused(app_id: int, paused: bool, *, actor: Actor) -> App:
    """Pause an App: no schedule of it runs and nothing is sent to it. Or let it go on. Twice changes nothing."""
    with transaction.atomic():
        app = _lock(app_id)
        if (app.paused_at is not None) != paused:
            before = {"paused_at": app.paused_at}
            app.paused_at = timezone.now() if paused else None
            App.objects.filter(pk=app.pk).update(paused_at=app.paused_at)  # open connections stay good
            after = {"paused_at": app.paused_at}
            audit.record("app.pause" if paused else "app.resume", app, before=before, after=after, actor=actor)
    return app


def test_app(app_id: int) -> TestResult:
    """Try the connection now and keep the answer with the App. Never raises for a tool that cannot be reached."""
    if not App.objects.filter(pk=app_id).exists():
        raise NotFound(gettext("There is no such App."))
    try:
        with connections.connect(app_id) as app:
            result = app.test() if isinstance(app, TestsConnection) else TestResult(ok=True, message="Nothing to test.")
    except PluginError as error:
        result = TestResult(ok=False, message=error.reason)
    App.objects.filter(pk=app_id).update(tested_at=timezone.now(), test_ok=result.ok, test_message=result.message)
    return result


_rotations: list[Callable[[], None]] = []


def rotate_with(rotation: Callable[[], None]) -> None:
    """Let an upper app encrypt its own secrets anew in the same transaction."""
    if rotation not in _rotations:
        _rotations.append(rotation)


def rotate_secrets(*, actor: Actor) -> int:
    """Encrypt every App's secrets, and those of people, with the newest key; how many Apps have some.

    Raises UnreadableSecrets.
    """
    with transaction.atomic():
        apps = list(App.objects.select_for_update(no_key=True).exclude(secrets="").order_by("pk"))
        for app in apps:
            app.secrets = rotate(app.secrets, settings.GROUPAROO_SECRET_KEYS)
            audit.record("app.rotate_secrets", app, actor=actor)
        App.objects.bulk_update(apps, ["secrets"])
        two_factor.rotate_secrets()
        for rotation in _rotations:
            rotation()
    return len(apps)


def _spec(app_type: str) -> AppSpec:
    try:
        return registry.get(app_type).spec
    except registry.UnknownApp as error:
        raise InvalidInput(str(error), {"type": str(error)}) from None


def _lock(app_id: int) -> App:
    app = App.objects.select_for_update(no_key=True).filter(pk=app_id).first()
    if app is None:
        raise NotFound(gettext("There is no such App."))
    return app


def _known_secrets(app: App) -> dict[str, str]:
    """The secrets in clear; none when the key is lost, so that they can be typed again."""
    try:
        return decrypt(app.secrets, settings.GROUPAROO_SECRET_KEYS)
    except UnreadableSecrets:
        return {}


def _seen(app: App, secret: Collection[str], *, changed: Collection[str] = ()) -> dict[str, Any]:
    options = mask(app.options, secret, changed=changed)
    return {"name": app.name, "type": app.type, "options": options, "parallel_calls": app.parallel_calls}


def _read_name(text: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= 200:
        message = gettext("Give the App a name of at most 200 characters.")
        raise InvalidInput(message, {"name": message})
    return name


def _read_calls(number: int, spec: AppSpec) -> int:
    most = min(_MOST_CALLS, spec.most_parallel_calls)
    if not 1 <= number <= most:
        message = gettext("The number of calls in parallel has to lie between 1 and %(most)s.") % {"most": most}
        if most == 1:
            message = gettext("%(spec)s takes one caller at a time: leave the number of calls in parallel at 1.") % {
                "spec": spec.label
            }
        raise InvalidInput(message, {"parallel_calls": message})
    return number


@contextmanager
def _name_in_use(app: App) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if "app_name_unique" not in str(error):
            raise
        message = gettext("There is an App called “%(app)s” already.") % {"app": app.name}
        raise InvalidInput(message, {"name": message}) from None
