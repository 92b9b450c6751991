"""Groups, what their rules read, who is in them, and how that changed.

`Group` and `GroupRuleUse` are written by `groups/groups_store.py`; `GroupMember`, `GroupMembershipChange` and
`GroupSize` by `groups/membership.py`.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils.translation import gettext, gettext_lazy

from profiles.models import ProfilePropertyRule


class GroupKind(models.TextChoices):
    """How a group gets its members."""

    MANUAL = "manual", gettext_lazy("Manual")
    CALCULATED = "calculated", gettext_lazy("Calculated")


class Group(models.Model):
    """A set of profiles. `rules` is the tree of a calculated group; `rules_version` counts its changes."""

    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=GroupKind.choices)
    rules = models.JSONField(null=True)
    rules_version = models.PositiveIntegerField(default=1)
    calculated_version = models.PositiveIntegerField(default=0)  # the rules that membership follows in full
    calculated_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "profile_group"
        constraints = [models.UniqueConstraint(Lower("name"), name="profile_group_name_unique")]

    def __str__(self) -> str:
        return self.name


class GroupRuleUse(models.Model):
    """What one leaf of a group's tree reads: a property rule, another group, a type of event, or a field of profiles.

    A leaf whose answer changes with time alone keeps the time up to which it was swept.
    """

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="rule_uses")
    rule = models.ForeignKey(ProfilePropertyRule, null=True, on_delete=models.PROTECT, related_name="group_uses")
    reads = models.ForeignKey(Group, null=True, on_delete=models.PROTECT, related_name="read_by")
    event_type = models.TextField(null=True)  # noqa: DJ001  null: it reads no event
    field = models.CharField(max_length=20, blank=True)
    leaf = models.CharField(max_length=60)  # the leaf's place in the tree, such as "0.2"
    swept_until = models.DateTimeField(null=True)  # set for leaves that move with time only

    class Meta:
        db_table = "group_rule_use"
        constraints = [
            models.UniqueConstraint(fields=["group", "leaf"], name="group_rule_use_unique"),
            models.CheckConstraint(condition=~Q(group=F("reads")), name="group_reads_others"),
        ]

    def __str__(self) -> str:
        return gettext("the group %(group)s") % {"group": self.group}


class GroupMember(models.Model):
    """A profile is in a group. Without a constraint on the group: checking it costs a third of every move, and members
    are written only while the group's lock is held, which deleting it takes too."""

    pk = models.CompositePrimaryKey("group", "profile_id")
    group = models.ForeignKey(
        Group, on_delete=models.CASCADE, related_name="members", db_index=False, db_constraint=False
    )
    profile_id = models.UUIDField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "group_member"
        indexes = [models.Index(fields=["profile_id"], name="group_member_profile")]


class GroupMembershipChange(models.Model):
    """The membership log: one row for each joining and leaving. Append only, partitioned by time.

    `cause` reads "profile" (its values changed, or something happened), "rules" (a recalculation), "time" (a boundary
    passed), "group:ID" (someone joined or left a group that this one reads) or "person:ID".
    """

    id = models.BigIntegerField(primary_key=True)
    xid = models.BigIntegerField()
    at = models.DateTimeField()
    group_id = models.BigIntegerField()
    profile_id = models.UUIDField()
    joined = models.BooleanField()
    cause = models.CharField(max_length=60)

    class Meta:
        db_table = "group_membership_change"
        managed = False


class GroupSize(models.Model):
    """How many members a group had at the end of a day (today: lately)."""

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="sizes")
    day = models.DateField()
    size = models.BigIntegerField()

    class Meta:
        db_table = "group_size"
        constraints = [models.UniqueConstraint(fields=["group", "day"], name="group_size_unique")]
