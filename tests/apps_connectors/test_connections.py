"""The border to plugins: what leaves it are the contract's errors, without secrets; connections are kept and closed."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.utils import timezone

from apps_connectors import apps_store, connections
from apps_connectors.models import AppSlot
from apps_connectors.slots import slot
from core.accounts.actors import SYSTEM
from core.lib.secrets import MASK
from plugins.base import GivesSamples, ImportsRecords
from plugins.contracts import Halt, PluginError, Reject, Retry, Table
from tests.apps_connectors.factories import PASSWORD, Diarist, Diary, make_app

pytestmark = pytest.mark.django_db


def ask(app_id: int) -> None:
    with connections.connect(app_id) as app:
        assert isinstance(app, GivesSamples)
        app.tables()


def raising(error: Exception) -> Any:
    def fail(options: Mapping[str, Any]) -> list[Table]:
        raise error

    return fail


@pytest.mark.parametrize("error", [ValueError("boom"), KeyError("boom"), RuntimeError("boom"), OSError("boom")])
def test_whatever_a_plugin_raises_becomes_retry_with_its_text(diary: Diary, error: Exception) -> None:
    app = make_app()
    diary.on_tables = raising(error)
    with pytest.raises(Retry, match="boom"):
        ask(app.pk)


@pytest.mark.parametrize("error", [Retry("later", after=7), Reject("bad"), Halt("stop")])
def test_the_contract_s_own_errors_pass(diary: Diary, error: PluginError) -> None:
    app = make_app()
    diary.on_tables = raising(error)
    with pytest.raises(type(error)) as caught:
        ask(app.pk)
    assert caught.value.reason == error.reason
    assert getattr(caught.value, "after", None) == getattr(error, "after", None)


@pytest.mark.parametrize("kind", [ValueError, Retry, Halt])
@pytest.mark.parametrize("form", ["{}", "postgresql://bob:{}@db/shop", "in 'quotes': {!r}"])
def test_no_text_that_leaves_holds_a_secret(
    diary: Diary, caplog: pytest.LogCaptureFixture, kind: type[Exception], form: str
) -> None:
    caplog.set_level(logging.DEBUG)
    app = make_app()
    secret = quote(PASSWORD, safe="") if "://" in form else PASSWORD
    diary.on_tables = raising(kind(f"cannot connect with {form.format(secret)}"))
    with pytest.raises(PluginError) as caught:
        ask(app.pk)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__) + caplog.text
    assert MASK in caught.value.reason
    assert secret not in told
    assert repr(secret)[1:-1] not in told


def test_what_the_caller_itself_raises_is_left_alone(diary: Diary) -> None:
    app = make_app()
    with pytest.raises(ZeroDivisionError), connections.connect(app.pk):
        _ = 1 / 0


def test_an_app_keeps_its_class_and_capabilities(diary: Diary) -> None:
    with connections.connect(make_app().pk) as app:
        assert isinstance(app, Diarist)
        assert isinstance(app, GivesSamples)
        assert not isinstance(app, ImportsRecords)
        assert PASSWORD not in repr(app)


def test_a_connection_is_kept_for_the_next_caller(diary: Diary) -> None:
    app = make_app()
    for _ in range(3):
        ask(app.pk)
    assert (len(diary.opened), diary.closed) == (1, 0)


def test_callers_at_the_same_time_have_connections_of_their_own(diary: Diary) -> None:
    app = make_app()
    with connections.connect(app.pk) as one, connections.connect(app.pk) as other:
        assert one is not other
    ask(app.pk)
    assert len(diary.opened) == 2


def test_a_connection_that_failed_is_closed(diary: Diary) -> None:
    app = make_app()
    diary.on_tables = raising(Retry("cut off"))
    with pytest.raises(Retry):
        ask(app.pk)
    assert diary.closed == 1
    diary.on_tables = lambda options: ()
    ask(app.pk)
    assert len(diary.opened) == 2


def test_a_changed_app_gets_a_new_connection_and_the_old_one_is_closed(diary: Diary) -> None:
    app = make_app()
    ask(app.pk)
    apps_store.update_app(app.pk, options={"host": "new.example.com", "password": MASK}, actor=SYSTEM)
    ask(app.pk)
    assert [options["host"] for options in diary.opened] == ["db.example.com", "new.example.com"]
    assert diary.closed == 1


def test_a_deleted_app_and_a_plugin_that_is_gone_halt(diary: Diary, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    with pytest.raises(Halt, match="deleted"):
        ask(app.pk + 1)
    type(app).objects.filter(pk=app.pk).update(type="carrier_pigeon")
    with pytest.raises(Halt, match="carrier_pigeon"):
        ask(app.pk)


# ---------------------------------------------------------------- whose turn it is


@pytest.fixture
def counts_readers(diary: Diary, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin counts its readers, and takes one of them at a time."""
    monkeypatch.setattr(Diarist, "spec", replace(Diarist.spec, parallel_calls=1, reads_in_turn=True))


@pytest.mark.usefixtures("counts_readers")
def test_a_reader_holds_a_slot_where_the_tool_counts_its_readers() -> None:
    app = make_app()
    with connections.connect(app.pk, reading=True), slot(app.pk) as is_free:
        assert not is_free
    with slot(app.pk) as is_free:
        assert is_free
    with connections.connect(app.pk), slot(app.pk) as is_free:
        assert is_free, "who does not read for long is not counted"


@pytest.mark.usefixtures("counts_readers")
def test_a_reader_waits_for_a_slot_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    with slot(app.pk):
        monkeypatch.setattr(connections, "_TURN_SECONDS", 0.1)
        with pytest.raises(Retry, match="in use") as caught, connections.connect(app.pk, reading=True):
            raise AssertionError("it has no slot")
        assert caught.value.after == 1.0
        AppSlot.objects.update(lease_until=timezone.now() + timedelta(seconds=0.3))  # its holder has died
        monkeypatch.setattr(connections, "_TURN_SECONDS", 20.0)
        with connections.connect(app.pk, reading=True) as connected:
            assert isinstance(connected, Diarist)


def test_other_tools_are_read_without_a_slot(diary: Diary) -> None:
    app = make_app()
    with slot(app.pk), slot(app.pk), connections.connect(app.pk, reading=True) as connected:
        assert isinstance(connected, Diarist)
