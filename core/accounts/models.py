"""People with what lets them in, API keys, the audit log and the one row of things the team decides.

Written only by `core/accounts/people.py`, `sessions.py`, `two_factor.py`, `invitations.py`, `keys.py`, `audit.py` and
`project.py`, each its own tables.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy


class Role(models.TextChoices):
    """What a person may do. Each role may do all that the ones after it may."""

    ADMIN = "admin", gettext_lazy("Admin")
    EDITOR = "editor", gettext_lazy("Editor")
    VIEWER = "viewer", gettext_lazy("Viewer")


class NumberFormat(models.TextChoices):
    """How someone writes numbers."""

    COMMA_POINT = "comma_point", "12,486.5"
    POINT_COMMA = "point_comma", "12.486,5"
    SPACE_COMMA = "space_comma", "12 486,5"
    APOSTROPHE_POINT = "apostrophe_point", "12’486.5"


class User(AbstractBaseUser):
    """A person who signs in. The email address is the login."""

    email = models.EmailField(max_length=254, unique=True)  # always lower-case
    name = models.CharField(max_length=200, blank=True)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)
    is_active = models.BooleanField(default=True)
    time_zone = models.CharField(max_length=64, blank=True, default="", db_default="")  # "" is the project's
    number_format = models.CharField(
        max_length=20,
        choices=NumberFormat.choices,
        default=NumberFormat.COMMA_POINT,
        db_default=NumberFormat.COMMA_POINT,
    )
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = BaseUserManager["User"]()

    class Meta:
        db_table = "person"
        constraints = [models.CheckConstraint(condition=Q(email=Lower("email")), name="person_email_lower")]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def has_two_factor(self) -> bool:
        """Whether a code is asked for at sign-in; lists read `two_factor` along."""
        factor: TwoFactor | None = getattr(self, "two_factor", None)
        return factor is not None and factor.confirmed_at is not None


class Session(AbstractBaseSession):
    """One browser's session. What is beside its data is there to be listed: whose it is, where and when it was used."""

    person = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="sessions")
    started_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)  # noted once in some minutes
    address = models.CharField(max_length=45, blank=True)
    agent = models.CharField(max_length=300, blank=True)  # what the browser calls itself

    class Meta:
        db_table = "person_session"

    @classmethod
    def get_session_store_class(cls) -> Any:
        """Django asks for it: what reads and writes this table."""
        return import_module(settings.SESSION_ENGINE).SessionStore


class TwoFactor(models.Model):
    """The second factor of a person: the secret that their authenticator app has too, encrypted."""

    person = models.OneToOneField(User, on_delete=models.CASCADE, related_name="two_factor")
    secret = models.TextField()
    confirmed_at = models.DateTimeField(null=True)  # null while it is being set up; it asks for nothing then
    last_step = models.BigIntegerField(default=0)  # the step of time whose code was taken last; none is taken twice
    failures = models.PositiveSmallIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)

    class Meta:
        db_table = "person_two_factor"


class RecoveryCode(models.Model):
    """A code that stands in for the authenticator app once. Only its SHA-256 is kept."""

    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    code_hash = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "person_recovery_code"
        constraints = [models.UniqueConstraint(fields=["person", "code_hash"], name="recovery_code_once")]


class Invitation(models.Model):
    """Someone is asked into the team. Only the SHA-256 of the link's token is kept."""

    email = models.EmailField(max_length=254)  # always lower-case
    role = models.CharField(max_length=10, choices=Role.choices)
    token_hash = models.CharField(max_length=64, unique=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "invitation"
        constraints = [
            models.CheckConstraint(condition=Q(email=Lower("email")), name="invitation_email_lower"),
            models.UniqueConstraint(
                fields=["email"], condition=Q(accepted_at=None, revoked_at=None), name="invitation_one_open"
            ),
        ]

    def __str__(self) -> str:
        return self.email


class ApiKey(models.Model):
    """A key for programs. Only the SHA-256 of the token is kept; `prefix` lets people tell keys apart."""

    name = models.CharField(max_length=200)
    prefix = models.CharField(max_length=16)
    token_hash = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)  # such as ["events:write", "profiles:read"]
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "api_key"

    def __str__(self) -> str:
        return self.name


class AuditEntry(models.Model):
    """One change to configuration: who, when, what, before and after. Secrets are masked before they get here."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor_kind = models.CharField(max_length=10)  # person, api_key, system
    actor_id = models.BigIntegerField(null=True)
    actor_label = models.CharField(max_length=254)
    action = models.CharField(max_length=60)  # such as "group.create"
    subject_kind = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=40)
    subject_label = models.CharField(max_length=254)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        db_table = "audit_entry"
        indexes = [models.Index(fields=["subject_kind", "subject_id", "-at"], name="audit_subject")]


class Project(models.Model):
    """What the team decides, in one row. First values come from the environment, later ones from the settings page."""

    name = models.CharField(max_length=200, default="Grouparoo")
    time_zone = models.CharField(max_length=64, default="UTC")
    phone_region = models.CharField(max_length=2, default="US")
    blocked_values = models.JSONField(default=list)  # values that never identify anyone
    identity_limit = models.PositiveIntegerField(default=500, db_default=500)  # anonymous ids that one person may have
    user_id_key = models.CharField(max_length=60, default="user_id", db_default="user_id")  # what userId stands for
    event_retention_days = models.PositiveIntegerField(default=365)
    log_retention_days = models.PositiveIntegerField(default=365)
    delivery_retention_days = models.PositiveIntegerField(default=365, db_default=365)  # of outbound events
    guard_share = models.FloatField(default=0.2)  # share of blanked or removed values at which a pass halts
    guard_minimum = models.PositiveIntegerField(default=50)
    two_factor_required = models.BooleanField(default=False, db_default=False)  # everyone signs in with two factors
    sending_stopped = models.BooleanField(default=False)
    sending_stopped_reason = models.CharField(max_length=300, blank=True)
    database = models.CharField(max_length=60, blank=True)  # on which this was last started; a copy has another one
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "project"
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="project_one_row")]
