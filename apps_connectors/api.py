"""Apps and the types of Apps over HTTP. Thin doors to `apps_store.py` and `samples.py`; no answer holds a secret."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps_connectors import apps_store, samples
from apps_connectors.models import App
from apps_connectors.queries import get_app, show_options
from core.lib.errors import NotFound
from core.lib.secrets import MASK
from core.rest.auth import actor_of
from core.rest.endpoint import Endpoint, operation, scopes_of
from core.rest.paging import answer_page
from core.rest.reading import Body, PageQuery, Query, read_body, read_query
from plugins import base, registry
from plugins.contracts import AppSpec, OptionKind

_WORDS = {kind.__name__: kind for kind in base.CAPABILITIES}


class AppAnswer(serializers.Serializer[App]):
    """A named connection to a tool."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    type = serializers.CharField(help_text="The key of its type.")
    options = serializers.DictField(help_text=f"Secrets show as {MASK}; send the mask back to keep them.")
    parallel_calls = serializers.IntegerField(help_text="How many calls it takes at the same time.")
    paused_at = serializers.DateTimeField(allow_null=True)
    tested_at = serializers.DateTimeField(allow_null=True)
    test_ok = serializers.BooleanField(allow_null=True)
    test_message = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class NewApp(Body):
    """A new App."""

    type = serializers.CharField(max_length=60, help_text="The key of a type; see the app types.")
    name = serializers.CharField(max_length=200)
    options = serializers.DictField(required=False, default=dict, help_text="By the keys of the type's options.")
    parallel_calls = serializers.IntegerField(required=False, min_value=1, max_value=64)


class AppChanges(Body):
    """What changes of an App."""

    name = serializers.CharField(max_length=200, required=False)
    options = serializers.DictField(required=False, help_text="All of them, not only those that change.")
    parallel_calls = serializers.IntegerField(required=False, min_value=1, max_value=64)


class Apps(Endpoint):
    """All Apps; a new one."""

    required_scope = scopes_of("apps")

    @operation("list_apps", query=PageQuery, answers=AppAnswer, is_page=True)
    def get(self, request: Request) -> Response:
        """Apps in the order they were made."""
        read_query(request, PageQuery)
        return answer_page(request, App.objects.all(), ordering="id", show=_show_all)

    @operation("create_app", body=NewApp, answers=AppAnswer, status=201, is_create=True)
    def post(self, request: Request) -> Response:
        """Make an App. It is not tested yet: test it with its own address."""
        given = read_body(request, NewApp)
        app = apps_store.create_app(
            given["type"],
            given["name"],
            given["options"],
            parallel_calls=given.get("parallel_calls"),
            actor=actor_of(request),
        )
        return Response(show_app(app), status=201)


class OneApp(Endpoint):
    """One App."""

    required_scope = scopes_of("apps")

    @operation("read_app", answers=AppAnswer, is_one=True)
    def get(self, request: Request, app_id: int) -> Response:
        """As it is, its secrets masked."""
        return Response(show_app(get_app(app_id)))

    @operation("change_app", body=AppChanges, answers=AppAnswer)
    def patch(self, request: Request, app_id: int) -> Response:
        """Change what is given; the rest stays."""
        given = read_body(request, AppChanges, partial=True)
        return Response(show_app(apps_store.update_app(get_app(app_id).pk, **given, actor=actor_of(request))))

    @operation("delete_app", status=204)
    def delete(self, request: Request, app_id: int) -> Response:
        """Delete it; 409 while a property or a schedule uses it."""
        apps_store.delete_app(get_app(app_id).pk, actor=actor_of(request))
        return Response(status=204)


# ---------------------------------------------------------------- what an App says


class TestAnswer(serializers.Serializer[Any]):
    """Whether the connection works."""

    __test__ = False

    ok = serializers.BooleanField()
    message = serializers.CharField(help_text="What works, or what to mend.")


class ColumnAnswer(serializers.Serializer[Any]):
    """A column of a table."""

    name = serializers.CharField()
    type = serializers.CharField(help_text="The product's type that fits it best.")
    native_type = serializers.CharField(allow_blank=True)


class TableAnswer(serializers.Serializer[Any]):
    """A table, list or file of an App."""

    name = serializers.CharField()
    columns = ColumnAnswer(many=True)
    primary_key = serializers.ListField(child=serializers.CharField())
    title = serializers.CharField(help_text="What people choose it by, where the name is an id; else the name.")


class SampleAnswer(serializers.Serializer[Any]):
    """The first rows of a table."""

    columns = serializers.ListField(child=serializers.CharField())
    rows = serializers.ListField(child=serializers.ListField(), help_text="In the order of the columns.")


class SampleQuery(Query):
    """Which rows."""

    table = serializers.CharField(max_length=500)
    limit = serializers.IntegerField(required=False, default=10, min_value=1, max_value=samples.MOST_ROWS)


class ChoiceAnswer(serializers.Serializer[Any]):
    """A value that an option may have."""

    value = serializers.CharField(allow_blank=True)
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]  # the word of the domain


class TestApp(Endpoint):
    """Tries the connection of one App."""

    __test__ = False
    required_scope = "apps:write"

    @operation("test_app", answers=TestAnswer)
    def post(self, request: Request, app_id: int) -> Response:
        """Try the connection now. A tool that does not answer is a result, not an error."""
        return Response(TestAnswer(apps_store.test_app(app_id)).data)


class Tables(Endpoint):
    """The tables of one App."""

    required_scope = "apps:read"

    @operation("list_tables", answers=TableAnswer, is_list=True)
    def get(self, request: Request, app_id: int) -> Response:
        """Its tables with their columns; 409 when it has none to show or does not answer."""
        return Response({"results": TableAnswer(samples.list_tables(app_id), many=True).data})


class SampleRows(Endpoint):
    """A few rows of one App: personal data as it stands there, so for those who set Apps up."""

    required_scope = "apps:write"

    @operation("read_sample", query=SampleQuery, answers=SampleAnswer)
    def get(self, request: Request, app_id: int) -> Response:
        """The first rows of one table."""
        get_app(app_id)
        wanted = read_query(request, SampleQuery)
        return Response(SampleAnswer(samples.sample_table(app_id, wanted["table"], limit=wanted["limit"])).data)


class Choices(Endpoint):
    """The choices of one App's option."""

    required_scope = "apps:read"

    @operation("list_choices", answers=ChoiceAnswer, is_list=True)
    def get(self, request: Request, app_id: int, option: str) -> Response:
        """The values that an option may have, asked from the tool itself where only it knows them."""
        found = samples.list_choices(app_id, option)
        return Response({"results": [{"value": value, "label": label} for value, label in found]})


# ---------------------------------------------------------------- types of Apps


class OptionAnswer(serializers.Serializer[Any]):
    """One option of a type of App."""

    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the word of the domain
    kind = serializers.ChoiceField([kind.value for kind in OptionKind])
    help = serializers.CharField(allow_blank=True)
    required = serializers.BooleanField()  # type: ignore[assignment]  # the word of the domain
    default = serializers.JSONField(allow_null=True)
    placeholder = serializers.CharField(allow_blank=True)
    choices = ChoiceAnswer(many=True)


class AppTypeAnswer(serializers.Serializer[Any]):
    """A kind of tool that an installed plugin connects to."""

    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the word of the domain
    description = serializers.CharField()
    categories = serializers.ListField(child=serializers.CharField())
    capabilities = serializers.ListField(child=serializers.ChoiceField(sorted(_WORDS)))
    options = OptionAnswer(many=True)


class AppTypes(Endpoint):
    """The types of Apps that installed plugins offer."""

    required_scope = "apps:read"

    @operation("list_app_types", answers=AppTypeAnswer, is_list=True)
    def get(self, request: Request) -> Response:
        """All types, by label, with the options that each needs."""
        return Response({"results": [_show_type(kind) for kind in registry.all_apps()]})


class OneAppType(Endpoint):
    """One type of App."""

    required_scope = "apps:read"

    @operation("read_app_type", answers=AppTypeAnswer, is_one=True)
    def get(self, request: Request, key: str) -> Response:
        """What it can do, and the options it needs."""
        try:
            return Response(_show_type(registry.get(key)))
        except registry.UnknownApp as error:
            raise NotFound(str(error)) from None


# ---------------------------------------------------------------- how they are shown


def show_app(app: App) -> dict[str, Any]:
    """An App as the API answers it, without its secrets."""
    return {
        "id": app.pk,
        "name": app.name,
        "type": app.type,
        "options": dict(show_options(app)),
        "parallel_calls": app.parallel_calls,
        "paused_at": app.paused_at,
        "tested_at": app.tested_at,
        "test_ok": app.test_ok,
        "test_message": app.test_message,
        "created_at": app.created_at,
        "updated_at": app.updated_at,
    }


def _show_all(apps: Sequence[App]) -> list[dict[str, Any]]:
    return [show_app(app) for app in apps]


def _show_type(kind: type[base.App]) -> dict[str, Any]:
    spec: AppSpec = kind.spec
    options = [
        {
            "key": option.key,
            "label": option.label,
            "kind": option.kind.value,
            "help": option.help,
            "required": option.required,
            "default": option.default,
            "placeholder": option.placeholder,
            "choices": [{"value": value, "label": label} for value, label in option.choices],
        }
        for option in spec.options
    ]
    return {
        "key": spec.key,
        "label": spec.label,
        "description": spec.description,
        "categories": list(spec.categories),
        "capabilities": [each.__name__ for each in registry.capabilities(kind)],
        "options": options,
    }
