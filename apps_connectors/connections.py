"""The only door to plugins: an open connection to an App, for the length of a `with`.

Whatever a plugin raises leaves here as one of the contract's errors, and no text that leaves holds a secret. An open
connection is kept for the next caller of the same process; a changed App gets a new one.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import wraps
from typing import Any

from django.conf import settings

from apps_connectors.models import App as AppRow
from apps_connectors.slots import slot
from core.lib.secrets import UnreadableSecrets, decrypt, scrub
from plugins import registry
from plugins.base import CAPABILITIES, App
from plugins.contracts import Halt, Outcome, PluginError, Retry, TestResult

_KEPT_SECONDS = 60.0
_TURN_SECONDS = 30.0  # that a reader waits for a slot: a little longer than a batch of an export takes
_MOST_KEPT = 8

log = logging.getLogger(__name__)

Place = tuple[int, datetime]  # which App, as of which change of it


@dataclass(slots=True)
class _Kept:
    """The connections of this process that nobody uses just now, with the time at which each was given back."""

    idle: list[tuple[Place, float, App]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    process: int = field(default_factory=os.getpid)


_kept = _Kept()


@contextmanager
def connect(app_id: int, *, reading: bool = False) -> Iterator[App]:
    """A connection to one App; nobody else uses it meanwhile. Raises Retry or Halt.

    Whoever reads for a while says so: where the App type counts its readers too, they wait for one of its slots. They
    do it in no transaction.
    """
    row = AppRow.objects.filter(pk=app_id).first()
    if row is None:
        raise Halt("This App was deleted.")
    with _turn_of(row) if reading else nullcontext():
        place = (row.pk, row.updated_at)
        app = _take(place) or _open(row)
        try:
            yield app
        except BaseException:
            _close([app])
            raise
        _give_back(place, app)


@contextmanager
def _turn_of(row: AppRow) -> Iterator[None]:
    """A reader's slot, where one is needed. Raises Retry when none gets free in time."""
    try:
        in_turn = registry.get(row.type).spec.reads_in_turn
    except registry.UnknownApp:  # opening it says so
        in_turn = False
    if not in_turn:
        yield
        return
    with slot(row.pk, wait=_TURN_SECONDS) as is_free:
        if not is_free:
            raise Retry(f"All calls that {row.name} allows at the same time are in use: it is read later.", after=1.0)
        yield


def close_all() -> None:
    """Close the connections that are kept."""
    with _kept.lock:
        apps = [app for _, _, app in _kept.idle]
        _kept.idle.clear()
    _close(apps)


def _open(row: AppRow) -> App:
    try:
        secret = decrypt(row.secrets, settings.GROUPAROO_SECRET_KEYS)
        make = registry.get(row.type)
    except (UnreadableSecrets, registry.UnknownApp) as error:
        raise Halt(str(error)) from None
    secrets = tuple(secret.values())
    app: App = _guard(make, secrets)({**row.options, **secret})
    app.private_hosts_allowed = settings.GROUPAROO_ALLOW_PRIVATE_HOSTS
    names = {name for kind in CAPABILITIES if isinstance(app, kind) for name in vars(kind) if name[0] != "_"}
    for name in names | {"choices", "close"}:
        method = getattr(app, name)
        if callable(method):
            setattr(app, name, _guard(method, secrets))
    return app


def _guard(method: Callable[..., Any], secrets: Sequence[str]) -> Callable[..., Any]:
    """`method`, with its errors in the contract's words and without secrets.

    The new error is raised outside the `except` block, so that the old one, with its secrets, does not hang on to it.
    """

    @wraps(method, updated=())
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return _without_secrets(method(*args, **kwargs), secrets)
        except PluginError as error:
            problem = _scrubbed(error, secrets)
        except Exception as error:  # noqa: BLE001  the plugin border: another's code may raise anything
            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            problem = Retry(scrub(text, secrets))
            log.warning("a plugin failed: %s", scrub("".join(traceback.format_exception(error)), secrets))
        raise problem

    return guarded


def _without_secrets(answer: Any, secrets: Sequence[str]) -> Any:
    """What a plugin answered, with its texts for people scrubbed."""
    if isinstance(answer, TestResult):
        return TestResult(ok=answer.ok, message=scrub(answer.message, secrets))
    if secrets and answer and isinstance(answer, list | tuple) and all(isinstance(each, Outcome) for each in answer):
        return [_without_secrets_of_outcome(each, secrets) for each in answer]
    return answer


def _without_secrets_of_outcome(outcome: Outcome, secrets: Sequence[str]) -> Outcome:
    if not (outcome.reason or outcome.reply or outcome.request):
        return outcome
    return replace(
        outcome,
        reason=scrub(outcome.reason, secrets),
        reply=scrub(outcome.reply, secrets),
        request=scrub(outcome.request, secrets),
    )


def _scrubbed(error: PluginError, secrets: Sequence[str]) -> PluginError:
    reason = scrub(error.reason, secrets)
    if isinstance(error, Retry):
        return Retry(reason, after=error.after)
    scrubbed = type(error)(reason)
    scrubbed.option = error.option
    return scrubbed


def _take(place: Place) -> App | None:
    """A kept connection, if there is one; closes those that are too old or belong to an App that changed."""
    with _kept.lock:
        if _kept.process != os.getpid():  # a fork: the connections are the parent's, not to be used nor closed
            _kept.idle.clear()
            _kept.process = os.getpid()
        since = time.monotonic() - _KEPT_SECONDS
        useful = [kept for kept in _kept.idle if kept[1] >= since and not (kept[0][0] == place[0] and kept[0] != place)]
        useless = [kept[2] for kept in _kept.idle if kept not in useful]
        found = next((kept for kept in useful if kept[0] == place), None)
        _kept.idle[:] = [kept for kept in useful if kept is not found]
    _close(useless)
    return found[2] if found else None


def _give_back(place: Place, app: App) -> None:
    with _kept.lock:
        _kept.idle.append((place, time.monotonic(), app))
        surplus = [kept[2] for kept in _kept.idle[:-_MOST_KEPT]]
        del _kept.idle[:-_MOST_KEPT]
    _close(surplus)


def _close(apps: Sequence[App]) -> None:
    for app in apps:
        with suppress(PluginError):  # it is of no more use either way
            app.close()
