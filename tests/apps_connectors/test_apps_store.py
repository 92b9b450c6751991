"""Apps: options are checked, secrets stay secret, keys can be changed, what is in use stays."""

from __future__ import annotations

import logging
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.forms.models import model_to_dict

from apps_connectors import apps_store, connections, queries
from apps_connectors.models import App
from core.accounts.actors import SYSTEM, Actor
from core.accounts.models import AuditEntry
from core.lib.errors import InvalidInput, NotFound, Refused
from core.lib.secrets import MASK, UnreadableSecrets
from plugins.contracts import Halt, TestResult
from tests.accounts.factories import make_bob
from tests.apps_connectors.factories import PASSWORD, Diarist, Diary, make_app
from tests.factories import make_rule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("diary")]


def audit_text() -> str:
    return str(list(AuditEntry.objects.values("subject_label", "before", "after")))


def test_options_get_their_types_and_defaults() -> None:
    app = make_app(port="5433", secure="off", region="eu")
    assert app.options == {"host": "db.example.com", "port": 5433, "secure": False, "region": "eu"}
    assert make_app("Other").options == {"host": "db.example.com", "port": 5432, "secure": True}
    assert app.parallel_calls == 2


@pytest.mark.parametrize(
    ("options", "field", "sentence"),
    [
        ({"host": "  "}, "host", "Host is needed"),
        ({"host": 17}, "host", "has to be a text"),
        ({"host": "a\0b"}, "host", "U\\+0000"),
        ({"port": "many"}, "port", "has to be a number"),
        ({"port": "nan"}, "port", "has to be a number"),
        ({"port": True}, "port", "has to be a number"),
        ({"secure": "perhaps"}, "secure", "true or false"),
        ({"region": "moon"}, "region", "one of: eu, us"),
        ({"password": ""}, "password", "Password is needed"),
        ({"password": MASK}, "password", "Password is needed"),
        ({"colour": "red"}, "colour", "no option"),
    ],
)
def test_an_option_that_does_not_fit_is_named_and_nothing_is_made(
    options: dict[str, Any], field: str, sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence) as caught:
        make_app(**options)
    assert list(caught.value.fields) == [field]
    assert not App.objects.exists()


def test_a_type_that_is_not_installed_is_refused() -> None:
    with pytest.raises(InvalidInput, match="carrier_pigeon"):
        apps_store.create_app("carrier_pigeon", "Birds", {}, actor=SYSTEM)


def test_two_apps_cannot_have_one_name() -> None:
    make_app("Warehouse")
    other = make_app("Shop")
    with pytest.raises(InvalidInput, match="already"):
        make_app("warehouse")
    with pytest.raises(InvalidInput, match="already"):
        apps_store.update_app(other.pk, name="WAREHOUSE", actor=SYSTEM)
    other.refresh_from_db()
    assert other.name == "Shop"


def test_a_secret_is_in_no_row_no_repr_no_answer_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    app = make_app(token="s3cret-token")
    apps_store.update_app(
        app.pk, options={"host": "h.example.com", "password": MASK, "token": "n3w-token"}, actor=SYSTEM
    )
    app.refresh_from_db()
    shown = " ".join((repr(app), str(model_to_dict(app)), audit_text(), caplog.text, str(queries.show_options(app))))
    for secret in (PASSWORD, "s3cret-token", "n3w-token"):
        assert secret not in shown
    assert queries.show_options(app)["password"] == MASK


def test_giving_the_mask_back_keeps_the_secret(diary: Diary) -> None:
    app = make_app()
    apps_store.update_app(app.pk, options={"host": "h.example.com", "password": MASK}, actor=SYSTEM)
    with connections.connect(app.pk):
        pass
    assert diary.opened[-1]["password"] == PASSWORD
    assert diary.opened[-1]["host"] == "h.example.com"


def test_a_secret_left_out_is_forgotten(diary: Diary) -> None:
    app = make_app(token="s3cret-token")
    apps_store.update_app(app.pk, options={"host": "h.example.com", "password": "other"}, actor=SYSTEM)
    with connections.connect(app.pk):
        pass
    assert "token" not in diary.opened[-1]
    assert diary.opened[-1]["password"] == "other"


def test_the_audit_log_says_that_a_secret_changed_and_who_did_it() -> None:
    bob = make_bob()
    app = make_app()
    apps_store.update_app(
        app.pk, options={"host": "db.example.com", "password": "another one"}, actor=Actor.person(bob)
    )
    entry = AuditEntry.objects.get(action="app.update")
    assert (entry.actor_id, entry.subject_kind, entry.subject_id) == (bob.pk, "app", str(app.pk))
    assert entry.before is not None
    assert entry.after is not None
    assert entry.before["options"]["password"] == MASK
    assert entry.after["options"]["password"] == f"{MASK} (changed)"


def test_a_change_that_does_not_fit_leaves_the_app_as_it_was() -> None:
    app = make_app()
    with pytest.raises(InvalidInput):
        apps_store.update_app(app.pk, name="New", options={"host": "", "password": MASK}, actor=SYSTEM)
    app.refresh_from_db()
    assert (app.name, app.options["host"]) == ("Diary", "db.example.com")


def test_an_app_in_use_cannot_be_deleted_and_the_users_are_named() -> None:
    app = make_app()
    make_rule("email", "email", app=app)
    with pytest.raises(Refused, match="email"):
        apps_store.delete_app(app.pk, actor=SYSTEM)
    assert App.objects.filter(pk=app.pk).exists()
    assert not AuditEntry.objects.filter(action="app.delete").exists()


def test_an_app_that_nothing_uses_can_be_deleted() -> None:
    app = make_app()
    apps_store.delete_app(app.pk, actor=SYSTEM)
    assert not App.objects.exists()
    assert AuditEntry.objects.get(action="app.delete").subject_label == "Diary"
    with pytest.raises(NotFound):
        apps_store.delete_app(app.pk, actor=SYSTEM)


def test_the_result_of_a_test_is_kept_without_secrets(diary: Diary) -> None:
    app = make_app()
    diary.on_test = lambda options: TestResult(ok=False, message=f"Wrong password {options['password']}.")
    result = apps_store.test_app(app.pk)
    app.refresh_from_db()
    assert (result.ok, result.message) == (False, f"Wrong password {MASK}.")
    assert (app.test_ok, app.test_message) == (False, result.message)
    assert app.tested_at is not None


def test_a_plugin_that_cannot_even_open_is_a_failed_test_not_an_error(diary: Diary) -> None:
    app = make_app()

    def fail(options: Any) -> None:
        raise Halt(f"No such host {options['host']}.")

    diary.on_open = fail
    assert apps_store.test_app(app.pk) == TestResult(ok=False, message="No such host db.example.com.")


def test_a_new_key_opens_old_secrets_and_after_rotation_the_old_key_is_not_needed(settings: Any, diary: Diary) -> None:
    app = make_app()
    old, new = settings.GROUPAROO_SECRET_KEYS[0], Fernet.generate_key().decode()
    settings.GROUPAROO_SECRET_KEYS = [new, old]
    with connections.connect(app.pk):
        pass
    said = StringIO()
    call_command("rotate_secrets", stdout=said)
    assert said.getvalue() == "The secrets of 1 App are encrypted with the newest key.\n"
    settings.GROUPAROO_SECRET_KEYS = [new]
    connections.close_all()
    with connections.connect(app.pk):
        pass
    assert [options["password"] for options in diary.opened] == [PASSWORD, PASSWORD]
    settings.GROUPAROO_SECRET_KEYS = [old]
    connections.close_all()
    with pytest.raises(Halt, match="Put back the key"), connections.connect(app.pk):
        pass


def test_rotation_without_the_old_key_changes_nothing_and_says_what_to_do(settings: Any) -> None:
    app = make_app()
    settings.GROUPAROO_SECRET_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match="Put back the key"):
        call_command("rotate_secrets")
    with pytest.raises(UnreadableSecrets):
        apps_store.rotate_secrets(actor=SYSTEM)
    assert App.objects.get().secrets == app.secrets


def test_secrets_whose_key_is_lost_can_be_typed_again(settings: Any, diary: Diary) -> None:
    app = make_app()
    settings.GROUPAROO_SECRET_KEYS = [Fernet.generate_key().decode()]
    apps_store.update_app(app.pk, options={"host": "db.example.com", "password": "typed again"}, actor=SYSTEM)
    with connections.connect(app.pk):
        pass
    assert diary.opened[-1]["password"] == "typed again"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.1.2.3", "192.168.0.9", "169.254.169.254", "[::1]", "::ffff:10.0.0.1", "/tmp"]
)
def test_a_private_host_is_refused_unless_the_installation_allows_it(settings: Any, host: str) -> None:
    settings.GROUPAROO_ALLOW_PRIVATE_HOSTS = False
    with pytest.raises(InvalidInput, match="GROUPAROO_ALLOW_PRIVATE_HOSTS"):
        make_app(host=host)
    settings.GROUPAROO_ALLOW_PRIVATE_HOSTS = True
    assert make_app(host=host).options["host"] == host


def test_a_public_host_needs_no_permission(settings: Any) -> None:
    settings.GROUPAROO_ALLOW_PRIVATE_HOSTS = False
    assert make_app(host="8.8.8.8").options["host"] == "8.8.8.8"


def test_no_more_calls_at_once_than_the_tool_takes(diary: Diary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Diarist, "spec", replace(Diarist.spec, parallel_calls=1, most_parallel_calls=1))
    app = make_app()
    assert app.parallel_calls == 1
    with pytest.raises(InvalidInput, match="takes one caller at a time"):
        apps_store.update_app(app.pk, parallel_calls=2, actor=SYSTEM)
    monkeypatch.setattr(Diarist, "spec", replace(Diarist.spec, most_parallel_calls=64))
    with pytest.raises(InvalidInput, match="between 1 and 64"):
        apps_store.update_app(app.pk, parallel_calls=65, actor=SYSTEM)
