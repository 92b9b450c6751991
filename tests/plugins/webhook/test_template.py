"""What a template makes of a message, and what is said of one that cannot be used."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plugins.contracts import Field, Halt, OutcomeKind, ProfileExport
from tests.plugins.webhook.connections import connect
from tests.plugins.webhook.exports import ALICE, BOB, change, export, person, target
from tests.receiver import Receiver


def body_by(receiver: Receiver, template: Any, item: ProfileExport) -> Any:
    """The body that a template comes to."""
    text = template if isinstance(template, str) else json.dumps(template)
    (outcome,) = export(receiver, item, to=target(template=text, removal="delete"))
    assert outcome.kind is OutcomeKind.ACCEPTED
    return receiver.deliveries[-1].json


def test_a_value_alone_in_its_quotes_keeps_its_type_and_becomes_words_inside_a_text(receiver: Receiver) -> None:
    template = {
        "mail": "{{email}}",
        "age": "{{ age }}",
        "vip": "{{vip}}",
        "tags": "{{groups}}",
        "nested": [{"deep": "{{name}} is {{age}}, vip: {{vip}}, in {{groups}}."}],
        "fixed": [1, None, True, "as it is"],
    }
    body = body_by(receiver, template, change(None, ALICE, new_groups=("gold", "silver")))
    assert body == {
        "mail": "alice@example.com",
        "age": 31,
        "vip": True,
        "tags": ["gold", "silver"],
        "nested": [{"deep": "Alice is 31, vip: true, in gold, silver."}],
        "fixed": [1, None, True, "as it is"],
    }


def test_a_missing_value_is_null_alone_and_nothing_inside_a_text(receiver: Receiver) -> None:
    body = body_by(receiver, {"age": "{{age}}", "text": "({{age}}) {{email}}"}, change(None, BOB))
    assert body == {"age": None, "text": "() bob@example.com"}


def test_own_words_stand_for_the_message_and_the_whole_profile(receiver: Receiver) -> None:
    template = {"of": "{{profile}}", "what": "{{action}}", "who": "{{key}}", "was": "{{old_key}}", "id": "{{id}}"}
    body = body_by(receiver, template, change(BOB, ALICE))
    assert body == {
        "of": ALICE,
        "what": "upsert",
        "who": "alice@example.com",
        "was": "bob@example.com",
        "id": receiver.deliveries[0].headers["webhook-id"],
    }


@pytest.mark.parametrize(
    "name",
    ['"}, "admin": true, {"x": "', "\\", '\\"', "{{email}}", "{{", "\n\u2028\x1f", "</script>", "日本 👩"],
)
def test_no_value_breaks_out_of_its_place(receiver: Receiver, name: str) -> None:
    body = body_by(receiver, {"name": "{{name}}", "text": "<{{name}}>"}, change(None, {**ALICE, "name": name}))
    assert body == {"name": name, "text": f"<{name}>"}


def test_a_template_may_be_nothing_but_the_profile(receiver: Receiver) -> None:
    assert body_by(receiver, '"{{profile}}"', change(None, ALICE)) == ALICE


def test_many_by_a_template_are_a_list(receiver: Receiver) -> None:
    to = target(at_once=10, template='{"mail": "{{email}}", "do": "{{action}}"}')
    export(receiver, change(None, ALICE), change(BOB, None), to=to)
    assert receiver.deliveries[0].json == [
        {"mail": "alice@example.com", "do": "upsert"},
        {"mail": "bob@example.com", "do": "remove"},
    ]


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ('{"age": {{age}}}', "not JSON: look at line 1, column 10. Put every {{…}} into quotes"),
        ('{\n  "a": "{{email}}"\n  "b": 1\n}', "line 3"),
        ("{{email}}", "not JSON"),
        ('{"a": NaN, "b": "{{email}}"}', "not JSON"),
        ("   ", "not JSON"),
        ('{"a": "b"}', "names no value"),
        ('{"{{key}}": "{{email}}", "b": "{{action}}"}', "may stand in values alone"),
        ('{"a": "{{email"}', "without its }}"),
        ('{"a": "{{}}"}', "without a name"),
        ('{"a": "{{profile}}", "b": "{{email}}", "c": "{{action}}"}', "choose one of the two"),
        ('{"a": "{{email}}"}', "nothing of the action"),
        ("[" * 40 + '"{{action}}"' + "]" * 40, "levels"),
        ("[" * 5000 + '"{{action}}"' + "]" * 5000, "at most 10,000 characters"),
        ("[" * 2000 + '"{{action}}"' + "]" * 2000, "not JSON"),
        ({"a": "{{email}}"}, "has to be a text"),
    ],
)
def test_a_template_that_cannot_be_used_says_what_to_change(template: Any, words: str) -> None:
    with connect("https://example.com/hook") as app, pytest.raises(Halt) as caught:
        app.fields({"template": template})
    assert words in caught.value.reason
    assert caught.value.option == "template"


def test_the_fields_of_a_template_are_those_of_the_export(receiver: Receiver) -> None:
    template = '{"a": "{{First Name}} {{ email }}", "b": ["{{email}}", "{{action}}", "{{groups}}"]}'
    with connect(receiver.url) as app:
        assert [(field.key, field.required) for field in app.fields({"template": template})] == [
            ("First Name", True),
            ("email", True),
        ]
        assert app.fields({"template": '{"k": "{{key}}", "a": "{{action}}"}'}) == [Field("key", "json")]
        assert list(app.fields({"template": '{"p": "{{profile}}", "a": "{{action}}"}'})) == []
        assert list(app.fields({})) == []


def test_a_field_that_the_export_no_longer_has_halts_it(receiver: Receiver) -> None:
    with pytest.raises(Halt, match="and this export has no such field"):
        export(receiver, person(1), to=target(template='{"a": "{{city}}", "b": "{{action}}"}'))
    assert receiver.deliveries == []
