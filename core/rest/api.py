"""The team over HTTP: people, API keys, settings, the audit log; and the document of the API itself.

Each is a thin door to its single writer in `core/accounts`. All but the document are for admins.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.accounts import keys, people, project, two_factor
from core.accounts.models import ApiKey, AuditEntry, Project, Role, User
from core.accounts.permissions import SCOPES, role_required
from core.lib.errors import NotFound
from core.rest.auth import ANYONE_KNOWN, actor_of
from core.rest.document import describe_for_people, read_document
from core.rest.endpoint import Endpoint, operation, scopes_of
from core.rest.paging import answer_page
from core.rest.reading import Body, PageQuery, read_body, read_query

# ---------------------------------------------------------------- people


class PersonAnswer(serializers.Serializer[User]):
    """Someone who signs in."""

    id = serializers.IntegerField()
    email = serializers.CharField()
    name = serializers.CharField()
    role = serializers.ChoiceField(Role.choices)
    is_active = serializers.BooleanField()
    time_zone = serializers.CharField(help_text="In which the pages show times to them; empty: the project's.")
    has_two_factor = serializers.BooleanField(help_text="Whether a code is asked of them when they sign in.")
    created_at = serializers.DateTimeField()
    last_login = serializers.DateTimeField(allow_null=True)


class NewPerson(Body):
    """Someone new."""

    email = serializers.CharField(max_length=254)
    name = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)
    password = serializers.CharField(max_length=1000, trim_whitespace=False, write_only=True)
    role = serializers.ChoiceField(Role.choices)


class PersonChanges(Body):
    """What changes of a person."""

    name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    role = serializers.ChoiceField(Role.choices, required=False)
    is_active = serializers.BooleanField(required=False)
    time_zone = serializers.CharField(max_length=64, required=False, allow_blank=True)
    password = serializers.CharField(max_length=1000, required=False, trim_whitespace=False, write_only=True)


class People(Endpoint):
    """Everyone who signs in; someone new."""

    required_scope = scopes_of("team")

    @operation("list_people", query=PageQuery, answers=PersonAnswer, is_page=True)
    def get(self, request: Request) -> Response:
        """People in the order they came."""
        read_query(request, PageQuery)
        return answer_page(request, User.objects.select_related("two_factor"), ordering="id", show=_show_people)

    @operation("create_person", body=NewPerson, answers=PersonAnswer, status=201)
    def post(self, request: Request) -> Response:
        """Someone new, who signs in with this password."""
        given = read_body(request, NewPerson)
        return Response(PersonAnswer(people.create_user(**given, actor=actor_of(request))).data, status=201)


class OnePerson(Endpoint):
    """One person."""

    required_scope = scopes_of("team")

    @operation("read_person", answers=PersonAnswer, is_one=True)
    def get(self, request: Request, person_id: int) -> Response:
        """As they are."""
        return Response(PersonAnswer(_find(User, person_id, "person")).data)

    @operation("change_person", body=PersonChanges, answers=PersonAnswer)
    def patch(self, request: Request, person_id: int) -> Response:
        """Change what is given: the name, the role, whether the account is on, the time zone, the password."""
        given = read_body(request, PersonChanges, partial=True)
        user = people.change_user(_find(User, person_id, "person").pk, **given, actor=actor_of(request))
        return Response(PersonAnswer(user).data)


class TwoFactor(Endpoint):
    """The second factor of one person."""

    required_scope = {"DELETE": "team:write"}

    @operation("turn_two_factor_off", status=204)
    def delete(self, request: Request, person_id: int) -> Response:
        """Their password alone lets them in, until they set up a new device."""
        two_factor.turn_off(_find(User, person_id, "person").pk, actor=actor_of(request))
        return Response(status=204)


# ---------------------------------------------------------------- API keys


class KeyAnswer(serializers.Serializer[ApiKey]):
    """An API key, without its token."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="The first letters of the token, to tell keys apart.")
    scopes = serializers.ListField(child=serializers.ChoiceField(SCOPES))
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewKeyAnswer(KeyAnswer):
    """A new API key with its token, which is shown only now."""

    token = serializers.CharField()


class NewKey(Body):
    """A new API key."""

    name = serializers.CharField(max_length=200)
    scopes = serializers.ListField(child=serializers.ChoiceField(SCOPES), min_length=1, max_length=len(SCOPES))
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class Keys(Endpoint):
    """The team's API keys; a new one."""

    required_scope = scopes_of("team")

    @operation("list_keys", query=PageQuery, answers=KeyAnswer, is_page=True)
    def get(self, request: Request) -> Response:
        """Keys, the latest first, with those that were revoked."""
        read_query(request, PageQuery)
        return answer_page(request, ApiKey.objects.all(), ordering="-id", show=_show_keys)

    @operation("create_key", body=NewKey, answers=NewKeyAnswer, status=201)
    def post(self, request: Request) -> Response:
        """A new key. Keep its token: nobody can see it again, not even by an Idempotency-Key."""
        key, token = keys.create_key(**read_body(request, NewKey), actor=actor_of(request))
        return Response({**KeyAnswer(key).data, "token": token}, status=201)


class OneKey(Endpoint):
    """One API key."""

    required_scope = scopes_of("team")

    @operation("read_key", answers=KeyAnswer, is_one=True)
    def get(self, request: Request, key_id: int) -> Response:
        """As it is, without its token."""
        return Response(KeyAnswer(_find(ApiKey, key_id, "API key")).data)

    @operation("revoke_key", status=204)
    def delete(self, request: Request, key_id: int) -> Response:
        """From now on it opens nothing; it stays in the list."""
        keys.revoke_key(_find(ApiKey, key_id, "API key").pk, actor=actor_of(request))
        return Response(status=204)


# ---------------------------------------------------------------- settings


class SettingsAnswer(serializers.Serializer[Project]):
    """What the team decides."""

    name = serializers.CharField()
    time_zone = serializers.CharField(help_text="Such as Europe/Berlin.")
    phone_region = serializers.CharField(help_text="Two letters, for phone numbers without a country.")
    blocked_values = serializers.ListField(
        child=serializers.CharField(allow_blank=True), help_text="Values that never identify anyone."
    )
    identity_limit = serializers.IntegerField(help_text="How many anonymous ids one person may have.")
    user_id_key = serializers.CharField(help_text="The key of the property that userId of tracking clients stands for.")
    event_retention_days = serializers.IntegerField()
    log_retention_days = serializers.IntegerField()
    delivery_retention_days = serializers.IntegerField(
        help_text="How long deliveries of outbound events are kept, with their bodies; what is still owed always is."
    )
    guard_share = serializers.FloatField(help_text="From 0 to 1: the share of changed values at which a pass halts.")
    guard_minimum = serializers.IntegerField()
    two_factor_required = serializers.BooleanField(help_text="Whether everyone has to sign in with two factors.")
    sending_stopped = serializers.BooleanField(help_text="While it is true no export sends anything.")
    sending_stopped_reason = serializers.CharField(allow_blank=True)


class SettingsChanges(Body):
    """The settings that change."""

    name = serializers.CharField(max_length=200, required=False)
    time_zone = serializers.CharField(max_length=64, required=False)
    phone_region = serializers.CharField(max_length=2, required=False)
    blocked_values = serializers.ListField(
        child=serializers.CharField(allow_blank=True, max_length=1000), required=False, max_length=1000
    )
    identity_limit = serializers.IntegerField(required=False)
    user_id_key = serializers.CharField(max_length=60, required=False)
    event_retention_days = serializers.IntegerField(required=False)
    log_retention_days = serializers.IntegerField(required=False)
    delivery_retention_days = serializers.IntegerField(required=False)
    guard_share = serializers.FloatField(required=False)
    guard_minimum = serializers.IntegerField(required=False)
    two_factor_required = serializers.BooleanField(required=False)
    sending_stopped = serializers.BooleanField(required=False)
    sending_stopped_reason = serializers.CharField(max_length=300, required=False, allow_blank=True)


class Settings(Endpoint):
    """The project's settings."""

    required_scope = scopes_of("team")

    @operation("read_settings", answers=SettingsAnswer, is_one=True)
    def get(self, request: Request) -> Response:
        """As they are."""
        return Response(_show_settings(project.current()))

    @operation("change_settings", body=SettingsChanges, answers=SettingsAnswer)
    def patch(self, request: Request) -> Response:
        """Change those that are given."""
        given = read_body(request, SettingsChanges, partial=True)
        return Response(_show_settings(project.update(given, actor=actor_of(request))))


# ---------------------------------------------------------------- the audit log


class AuditAnswer(serializers.Serializer[AuditEntry]):
    """One change of the configuration; secrets are masked."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    actor_kind = serializers.CharField()
    actor_id = serializers.IntegerField(allow_null=True)
    actor = serializers.CharField(source="actor_label", help_text="Their name at that time.")
    action = serializers.CharField(help_text="Such as group.create.")
    subject_kind = serializers.CharField(help_text="The table of what was changed.")
    subject_id = serializers.CharField()
    subject = serializers.CharField(source="subject_label", help_text="Its name at that time.")
    before = serializers.DictField(allow_null=True)
    after = serializers.DictField(allow_null=True)


class AuditQuery(PageQuery):
    """Which entries."""

    action = serializers.CharField(required=False, max_length=60, help_text="Such as group.create.")
    subject_kind = serializers.CharField(required=False, max_length=40)
    subject_id = serializers.CharField(required=False, max_length=40)
    actor_kind = serializers.ChoiceField(["person", "api_key", "system"], required=False)
    actor_id = serializers.IntegerField(required=False, min_value=1)
    since = serializers.DateTimeField(required=False, source="at__gte")
    until = serializers.DateTimeField(required=False, source="at__lt")


class Audit(Endpoint):
    """Who changed what."""

    required_scope = "team:read"

    @operation("list_audit", query=AuditQuery, answers=AuditAnswer, is_page=True)
    def get(self, request: Request) -> Response:
        """Changes of the configuration, the latest first."""
        wanted = read_query(request, AuditQuery)
        filters = {name: value for name, value in wanted.items() if name not in PageQuery().fields}
        return answer_page(request, AuditEntry.objects.filter(**filters), ordering="-id", show=_show_audit)


# ---------------------------------------------------------------- the document


class Document(Endpoint):
    """This document."""

    required_scope = ANYONE_KNOWN

    @operation("read_document", answers={"type": "object", "additionalProperties": {}}, is_one=True)
    def get(self, request: Request) -> Response:
        """The API as an OpenAPI 3.1 document in JSON."""
        return Response(read_document())


@require_GET
@role_required(Role.VIEWER)
def show_docs(request: HttpRequest) -> HttpResponse:
    """The document as a page for people."""
    return render(request, "api/docs.html", {"topics": describe_for_people(read_document())})


def _show_people(found: Any) -> Any:
    return PersonAnswer(found, many=True).data


def _show_keys(found: Any) -> Any:
    return KeyAnswer(found, many=True).data


def _show_audit(found: Any) -> Any:
    return AuditAnswer(found, many=True).data


def _show_settings(found: project.ProjectSettings) -> Any:
    shown = {str(name): getattr(found, str(name)) for name in SettingsAnswer().fields}
    return {**shown, "time_zone": str(found.time_zone), "blocked_values": sorted(found.blocked_values)}


def _find(model: type[Any], number: int, what: str) -> Any:
    found = model.objects.filter(pk=number).first()
    if found is None:
        raise NotFound(f"There is no {what} {number}.")
    return found
