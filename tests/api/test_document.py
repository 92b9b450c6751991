"""The API's document is true: requests that it allows, and many that it does not, are answered as it says.

Nothing ends in a 5xx, every answer has a status and a shape that are described, and every failure has the one shape.
FULL=1 sends many more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.db.models import Model
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from apps_connectors import apps_store
from apps_connectors.models import App
from core.accounts import invitations
from core.accounts.actors import SYSTEM
from core.accounts.models import Invitation
from core.accounts.permissions import SCOPES
from core.rest.document import read_document
from groups.models import Group
from profiles.models import Profile, ProfilePropertyRule
from schedules.models import Run, Schedule
from schedules.outbound.bodies import SubscriptionData
from schedules.outbound.models import Subscription
from schedules.outbound.subscriptions import create_subscription
from tests.accounts.factories import make_key
from tests.ui.shop import make_shop

EXAMPLES = 300 if os.environ.get("FULL") == "1" else 8

pytestmark = pytest.mark.django_db

schema = schemathesis.openapi.from_dict(read_document())
schema.app = get_wsgi_application()

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]


# What an address may name, so that not every request ends in a 404.
THINGS: dict[str, tuple[type[Model], str]] = {
    "app_id": (App, "pk"),
    "group_id": (Group, "pk"),
    "guid": (Profile, "pk"),
    "invitation_id": (Invitation, "pk"),
    "key": (ProfilePropertyRule, "key"),
    "run_id": (Run, "pk"),
    "schedule_id": (Schedule, "pk"),
    "subscription_id": (Subscription, "pk"),
}


@schema.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Two of three times, let the address name something that is there."""
    for name, value in (path_parameters or {}).items():
        if name in THINGS and (turn := crc32(repr(value).encode())) % 3:
            model, field = THINGS[name]
            there = list(model._default_manager.order_by("pk").values_list(field, flat=True)[:50])
            if there:  # nothing was deleted before that was the only one
                path_parameters[name] = str(there[turn % len(there)])  # type: ignore[index]
    return path_parameters


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """A whole request ends with closing what a server should not keep; here it would end the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
def test_answers_are_as_the_document_says(case: Any, caller: Any) -> None:
    case.call_and_validate(headers=caller, checks=CHECKS)


def subscribe() -> None:
    """Someone wants events, with conditions; nobody listens there."""
    options = {"url": "http://127.0.0.1:9/hook", "secret": "whsec_" + "QUFB" * 10}
    app = apps_store.create_app("webhook", "Hook", options, actor=SYSTEM)
    where = ({"key": "total", "type": "number", "operator": "greater_than", "value": 0},)
    people = {"match": "all", "rules": [{"profile": "created_at", "operator": "before", "value": "2100-01-01"}]}
    create_subscription(SubscriptionData("Carts", app.pk, "every", where=where, people=people), actor=SYSTEM)


@pytest.fixture
def caller() -> dict[str, str]:
    """The headers of a program that may do everything."""
    make_shop()
    subscribe()
    invitations.invite("dora@example.com", "viewer", actor=SYSTEM)
    _, token = make_key(*SCOPES)
    return {"Authorization": f"Bearer {token}"}
