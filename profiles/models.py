"""Profiles, the rules that describe their properties, and the side tables that carry what needs an index.

`Profile`, `ProfileDate` and `ProfileChange` are written only by `profiles/properties.py`, `ProfileIdentity` by
`profiles/identity.py`, and only the pipeline calls them. A rule that becomes unique fills in its identities once, by
`profiles/uniqueness.py`; the values of a deleted one are taken out of all of these by `profiles/forgetting.py`. Rules
are written only by `profiles/rules.py`, `HydrationRetry` by `profiles/hydration_retries.py`, `Suppression`,
`SuppressionKey` and `ErasedProfile` by `profiles/suppression.py`.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext, gettext_lazy

from apps_connectors.models import App
from profiles.types import TYPES


class Profile(models.Model):
    """A person as far as we know them.

    `properties` holds the typed JSON value by rule key; a key without a value is absent. `property_meta` holds, by
    key, what else is known of the value, see `profiles/meta.py`; a key whose meta is all default is absent.
    No index but the primary key and created_at: any other would cost every update its HOT shortcut.
    """

    guid = models.UUIDField(primary_key=True)
    properties = models.JSONField(default=dict)
    property_meta = models.JSONField(default=dict)
    merged_into = models.UUIDField(null=True)
    hydrated_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "profile"
        indexes = [
            models.Index(fields=["created_at"], name="profile_created_at"),
            models.Index(  # touched by merges alone, so updates of values stay on their page (HOT)
                fields=["merged_into"], condition=Q(merged_into__isnull=False), name="profile_merged_into"
            ),
        ]


class ValueTypeName(models.TextChoices):
    """The value types; `profiles/types.py` says what each accepts and stores."""

    STRING = "string", gettext_lazy("String")
    INTEGER = "integer", gettext_lazy("Integer")
    FLOAT = "float", gettext_lazy("Number")
    BOOLEAN = "boolean", gettext_lazy("True or false")
    DATE = "date", gettext_lazy("Date")
    EMAIL = "email", gettext_lazy("Email address")
    PHONE = "phone_number", gettext_lazy("Phone number")
    URL = "url", gettext_lazy("URL")


class Retrieval(models.TextChoices):
    """How a rule gets its value."""

    QUERY = "query", gettext_lazy("A query")
    COLUMN = "column", gettext_lazy("A column")
    EVENT = "event", gettext_lazy("Events")


class RuleState(models.TextChoices):
    """Whether a rule is in use."""

    DRAFT = "draft", gettext_lazy("Draft")
    READY = "ready", gettext_lazy("Ready")
    DELETED = "deleted", gettext_lazy("Deleted")


class ProfilePropertyRule(models.Model):
    """What one profile property is and where its value comes from."""

    key = models.CharField(max_length=60, unique=True)
    label = models.CharField(max_length=200)
    type = models.CharField(max_length=20, choices=ValueTypeName.choices)
    is_unique = models.BooleanField(default=False)
    is_array = models.BooleanField(default=False)
    identity_rank = models.PositiveSmallIntegerField(null=True)  # unique rules only; the lowest wins a conflict
    app = models.ForeignKey(App, null=True, on_delete=models.PROTECT, related_name="rules")
    retrieval = models.CharField(max_length=10, choices=Retrieval.choices)
    query = models.TextField(blank=True)
    column = models.JSONField(default=dict)  # table, column, key_column, aggregation, sort_column, filters
    column_key = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="matched_by")
    column_label = models.CharField(max_length=200, blank=True)  # event rules of an App that cannot be asked
    state = models.CharField(max_length=10, choices=RuleState.choices, default=RuleState.READY)
    paused_reason = models.TextField(blank=True)  # not asked while this is set
    warning = models.TextField(blank=True)
    last_error = models.TextField(blank=True, db_default="")  # why it could not be asked for someone, last
    last_error_at = models.DateTimeField(null=True)
    is_timed = models.BooleanField(default=False)  # its values are kept in ProfileDate, for moving boundaries
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "profile_property_rule"
        constraints = [
            models.CheckConstraint(condition=Q(key__regex=r"^[a-z][a-z0-9_]*$"), name="rule_key_form"),
            models.CheckConstraint(condition=~Q(is_unique=True, is_array=True), name="rule_array_not_unique"),
            models.CheckConstraint(condition=Q(retrieval="event") | Q(app__isnull=False), name="rule_needs_app"),
        ]

    def __str__(self) -> str:
        return self.label or self.key

    @property
    def type_in_words(self) -> str:
        """Such as: Whole number; Text, several."""
        label = str(TYPES[self.type].label)
        return gettext("%(type)s, several") % {"type": label} if self.is_array else label


class RuleVariable(models.Model):
    """`rule` reads `reads` through a variable of its query or as the key of its column."""

    rule = models.ForeignKey(ProfilePropertyRule, on_delete=models.CASCADE, related_name="variables")
    reads = models.ForeignKey(ProfilePropertyRule, on_delete=models.PROTECT, related_name="read_by")

    class Meta:
        db_table = "rule_variable"
        constraints = [models.UniqueConstraint(fields=["rule", "reads"], name="rule_variable_unique")]

    def __str__(self) -> str:
        return gettext("the property %(rule)s") % {"rule": self.rule}


class RuleSetVersion(models.Model):
    """One row that names the state of the rules. A batch that read its rules before a change notices by it."""

    version = models.BigIntegerField()
    follows_updates = models.BooleanField(default=False, db_default=False)  # ProfileDate has the last changes too

    class Meta:
        db_table = "rule_set_version"
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="rule_set_version_one_row")]

    def __str__(self) -> str:
        return "the state of the properties"


ANONYMOUS = 0  # stands for a rule in ProfileIdentity: ids of devices and sessions, any number of them for a person


class ProfileIdentity(models.Model):
    """Who owns a value of a unique property. This constraint, not an `if`, is what makes unique properties unique.

    Who was merged with others owns their values too. With the rule ANONYMOUS the ids of nobody in particular.
    Without a constraint on the profile: checking it for each new row cost a first import much, and identities are
    written only while their profile is locked, or made, which deleting it takes too.
    """

    pk = models.CompositePrimaryKey("rule", "value")
    rule = models.ForeignKey(
        ProfilePropertyRule, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    value = models.TextField(db_collation="C")  # C, so that the primary key also serves searches by prefix
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="identities", db_constraint=False)

    class Meta:
        db_table = "profile_identity"


class ProfileMerge(models.Model):
    """One profile became part of another: what moved, so that it can come back. Written by `profiles/merges.py`.

    `identities` are the [rule id, value] that moved, `repointed` the profiles that had been merged into the loser
    before. `values` holds, by key that the winner took, [value, meta] before and after. `joined` are the manual groups
    that the winner joined for it, `left` those that the loser was in.
    """

    winner_id = models.UUIDField(db_index=True)
    loser_id = models.UUIDField(db_index=True)
    at = models.DateTimeField()
    cause = models.CharField(max_length=60)  # "event:UUID", "person:ID" or "api_key:ID"
    identities = models.JSONField(default=list)
    repointed = models.JSONField(default=list)
    values = models.JSONField(default=dict)
    joined = models.JSONField(default=list)
    left = models.JSONField(default=list)
    undone_at = models.DateTimeField(null=True)
    undone_cause = models.CharField(max_length=60, blank=True)

    class Meta:
        db_table = "profile_merge"


LAST_CHANGE = 0  # stands for a rule in ProfileDate


class ProfileDate(models.Model):
    """The values of date rules that a relative leaf reads, ordered by time, for moving boundaries.

    With the rule LAST_CHANGE, when each profile was changed last, where some group asks for that.
    """

    pk = models.CompositePrimaryKey("rule_id", "profile_id")
    rule_id = models.BigIntegerField()
    profile_id = models.UUIDField()
    at = models.DateTimeField()

    class Meta:
        db_table = "profile_date"
        indexes = [models.Index(fields=["rule_id", "at"], name="profile_date_at")]


class HydrationRetry(models.Model):
    """A profile whose Apps could not all be asked, and when to ask again."""

    profile_id = models.UUIDField(primary_key=True)
    since = models.DateTimeField()
    next_at = models.DateTimeField(db_index=True)
    attempts = models.PositiveSmallIntegerField(default=1)
    reason = models.TextField(blank=True)

    class Meta:
        db_table = "hydration_retry"


class HydrationTrace(models.Model):
    """What one batch asked its sources. `statements` are [{text, ms, rows}], the first few of `count`."""

    xid = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    people = models.PositiveIntegerField()
    count = models.PositiveIntegerField()
    statements = models.JSONField()

    class Meta:
        db_table = "hydration_trace"


class HydrationGuard(models.Model):
    """How many values of a rule its source blanked since a time, for the guard. Written by `profiles/guards.py`."""

    rule = models.OneToOneField(ProfilePropertyRule, primary_key=True, on_delete=models.CASCADE, related_name="+")
    since = models.DateTimeField()
    blanked = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(null=True)  # values there were, counted when it first mattered
    accepted_until = models.DateTimeField(null=True)  # a person said that blanks are right

    class Meta:
        db_table = "hydration_guard"


class ProfileChange(models.Model):
    """The change log: one row for each profile and batch. Append only, partitioned by time.

    `changes` maps a key to [old, new]; `lost` maps a key to [value, as-of in microseconds, cause] of values that
    arrived but were older than what is there. `cause` reads "event:UUID", "run:ID", "person:ID" or "hydration".
    """

    id = models.BigIntegerField(primary_key=True)
    xid = models.BigIntegerField()
    at = models.DateTimeField()
    profile_id = models.UUIDField()
    changes = models.JSONField()
    lost = models.JSONField(null=True)
    cause = models.CharField(max_length=60)

    class Meta:
        db_table = "profile_change"
        managed = False


class SuppressionKey(models.Model):
    """The key of all suppressions, encrypted by the operator's keys: so these can change and no suppression is lost."""

    secret = models.TextField()

    class Meta:
        db_table = "suppression_key"
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="suppression_key_one_row")]


class Suppression(models.Model):
    """An identity of someone who was erased, as a keyed hash: no door lets in what names it. It tells nobody who."""

    digest = models.BinaryField(primary_key=True)
    at = models.DateTimeField()

    class Meta:
        db_table = "suppression"


class ErasedProfile(models.Model):
    """A profile of someone who is being erased: it is not hydrated, sent or merged any more, and its row will go.

    The rows stay until nothing of it is left; then they go too.
    """

    profile_id = models.UUIDField(primary_key=True)
    erasure_id = models.BigIntegerField(db_index=True)

    class Meta:
        db_table = "erased_profile"


class ProfileProperty(models.Model):
    """One row per profile and property, for ORM users and BI tools: a view, read only."""

    pk = models.CompositePrimaryKey("profile", "key")
    profile = models.ForeignKey(Profile, on_delete=models.DO_NOTHING, related_name="+")
    key = models.CharField(max_length=60)
    type = models.CharField(max_length=20)
    value = models.JSONField()
    text = models.TextField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "profile_property"
        managed = False
