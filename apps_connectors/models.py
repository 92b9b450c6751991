"""A configured tool. Written only by `apps_connectors/apps_store.py`; slots only by `apps_connectors/slots.py`."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower


class App(models.Model):
    """A named connection made by a plugin. `secrets` holds one encrypted token for all secret options together."""

    name = models.CharField(max_length=200)
    type = models.CharField(max_length=60)  # the plugin's App type key
    options = models.JSONField(default=dict)  # without secrets
    secrets = models.TextField(blank=True)
    parallel_calls = models.PositiveSmallIntegerField(default=4)
    paused_at = models.DateTimeField(null=True)
    tested_at = models.DateTimeField(null=True)
    test_ok = models.BooleanField(null=True)
    test_message = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "app"
        constraints = [models.UniqueConstraint(Lower("name"), name="app_name_unique")]

    def __str__(self) -> str:
        return self.name


class AppSlot(models.Model):
    """One of the calls that may be made to an App at the same time, over all workers; leased, so a dead worker's
    slot comes back by itself. `slow_until`: the last call took long, so until then only one goes to the App at a time.
    """

    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="slots")
    number = models.PositiveSmallIntegerField()
    token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    slow_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "app_slot"
        constraints = [models.UniqueConstraint(fields=["app", "number"], name="app_slot_unique")]
