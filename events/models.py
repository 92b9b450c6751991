"""Events: those that wait (Inbox), those that are done (Event, partitioned), and the keys that make each one once.

`Inbox` is written by `events/inbox.py` and `events/replay.py`, `Event` and `EventKey` by `events/store.py`,
`EventTally` by `events/tallies.py`, `Hook` and `HookCall` by `events/hooks.py`.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext, gettext_lazy

from apps_connectors.models import App
from core.lib.ordered_json import OrderedJSONField


class EventState(models.TextChoices):
    """What became of an event."""

    PROCESSED = "processed", gettext_lazy("Processed")
    UNLINKED = "unlinked", gettext_lazy("Unlinked")
    REJECTED = "rejected", gettext_lazy("Rejected")


class SourceKind(models.TextChoices):
    """What produced an event."""

    RUN = "run", gettext_lazy("Import run")
    API_KEY = "api_key", gettext_lazy("API key")
    PERSON = "person", gettext_lazy("Person")
    WEBHOOK = "webhook", gettext_lazy("Webhook")


class Inbox(models.Model):
    """An event that was accepted at a door and waits to be processed. Its id is the id it keeps."""

    id = models.UUIDField(primary_key=True)
    message_id = models.TextField()
    type = models.TextField()
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()
    source_kind = models.CharField(max_length=10, choices=SourceKind.choices)
    source_id = models.BigIntegerField()
    payload = OrderedJSONField()
    token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)
    is_replay = models.BooleanField(default=False, db_default=False)  # it is stored already and is taken once more

    class Meta:
        db_table = "inbox"


class Event(models.Model):
    """An event with its fate; written once. Partitioned by the week of its id, a UUIDv7 by the database's clock."""

    id = models.UUIDField(primary_key=True)
    message_id = models.TextField()
    type = models.TextField()
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()
    source_kind = models.CharField(max_length=10, choices=SourceKind.choices)
    source_id = models.BigIntegerField()
    payload = OrderedJSONField()
    state = models.CharField(max_length=10, choices=EventState.choices)
    profile_id = models.UUIDField(null=True)
    error = models.TextField()  # why it is unlinked or rejected, or the warning it carries; "" for none
    xid = models.BigIntegerField()

    class Meta:
        db_table = "event"
        managed = False


class EventKey(models.Model):
    """The md5 of (source, message id) of every event taken lately: the same message twice is one event."""

    key = models.UUIDField(primary_key=True)
    event_id = models.UUIDField()

    class Meta:
        db_table = "event_key"


class EventTally(models.Model):
    """How many events of a type came in an hour that is over. Written by `events/tallies.py`."""

    pk = models.CompositePrimaryKey("hour", "type")
    hour = models.DateTimeField()
    type = models.TextField()
    events = models.PositiveIntegerField()

    class Meta:
        db_table = "event_tally"


class Hook(models.Model):
    """Where a tool's webhooks arrive for an App: one address with a secret in it. Written by `events/hooks.py`.

    `mapping` holds paths into the body: {"fields": {property key: path}, "type", "message_id", "occurred_at", "items"}.
    `signature` says how bodies are signed; see `events/hook_bodies.py`. `secrets` is one encrypted token for the secret
    in the address and the signing secret together; `secret_hash` tells the first one.
    """

    app = models.OneToOneField(App, on_delete=models.CASCADE, related_name="hook")
    secret_hash = models.CharField(max_length=64)
    secrets = models.TextField()
    mapping = models.JSONField(default=dict)
    signature = models.CharField(max_length=20, default="none")
    signature_header = models.CharField(max_length=100, blank=True)
    listening_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "hook"

    def __str__(self) -> str:
        return gettext("the webhook of %(app)s") % {"app": self.app}


class HookCall(models.Model):
    """One of the last calls that came while someone was listening, as it came."""

    hook = models.ForeignKey(Hook, on_delete=models.CASCADE, related_name="calls")
    at = models.DateTimeField(auto_now_add=True)
    body = models.TextField()
    answer = models.TextField()

    class Meta:
        db_table = "hook_call"
