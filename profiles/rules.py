"""Making, changing and deleting property rules: the only writer of `ProfilePropertyRule`, `RuleVariable` and
`RuleSetVersion`. What may be said of a rule is `profiles/rule_checks.py`'s matter.

Every change takes the rules' lock alone and counts up the version, so a batch that read the rules before notices and
starts over with the new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from core.accounts import audit
from core.accounts.actors import SYSTEM, Actor
from core.lib.errors import InvalidInput, Refused
from core.lib.mentions import Mentions
from core.ui import notices
from core.ui.notices import News
from core.work import leases
from core.work.models import Work, WorkState
from core.work.wake import wake
from profiles import guards, uniqueness
from profiles.models import Profile, ProfilePropertyRule, Retrieval, RuleSetVersion, RuleState, RuleVariable
from profiles.rule_checks import (
    AGGREGATIONS,
    FILTERS,
    NewRule,
    check_app,
    check_rule,
    invalid,
    read_rules,
    refuse_cycle,
)
from profiles.rule_users import users_of
from profiles.ruleset import RULES_LOCK, current_version

__all__ = [
    "AGGREGATIONS",
    "FILTERS",
    "NewRule",
    "create_rule",
    "create_rules",
    "delete_rule",
    "resume_rule",
    "update_rule",
]

REHYDRATE = "rehydrate"  # the kind of work that goes through everyone after a change of a rule
EVERYONE = "everyone:"  # before the state of the rules from which on everyone is asked, the subject of that work
FORGET = "forget:"  # before the id of a deleted rule, the subject of the work that takes its values away

_ERROR_IS_NOTED_EVERY = timedelta(minutes=1)

_type_checks: list[Callable[[ProfilePropertyRule], None]] = []


def check_types_with(check: Callable[[ProfilePropertyRule], None]) -> None:
    """Let an upper app refuse a change of type: `check` is given the changed rule and raises Refused."""
    if check not in _type_checks:
        _type_checks.append(check)


_unique_watchers: list[Callable[[ProfilePropertyRule], None]] = []


def when_unique(tell: Callable[[ProfilePropertyRule], None]) -> None:
    """Let an upper app know, in the same transaction, of each property that identifies people from now on."""
    if tell not in _unique_watchers:
        _unique_watchers.append(tell)


def create_rule(new: NewRule, *, actor: Actor) -> ProfilePropertyRule:
    """Make a rule that is in use at once; raises InvalidInput with what to mend."""
    reads = check_rule(new)
    with transaction.atomic():
        _lock_and_count()
        rule = _create(new, reads, actor=actor)
        _ask_everyone(rule, actor=actor)
    return rule


def create_rules(news: Sequence[NewRule], *, actor: Actor) -> list[ProfilePropertyRule]:
    """Make several rules, all or none; a later one may read an earlier one. Everyone is asked once for all of them.

    Raises InvalidInput with fields such as "2.key".
    """
    problems: dict[str, str] = {}
    for app in {new.app.pk: new for new in news if new.app is not None and new.retrieval == Retrieval.COLUMN}.values():
        check_app(app)
    made: list[ProfilePropertyRule] = []
    with transaction.atomic():
        _lock_and_count()
        for number, new in enumerate(news):
            try:
                with transaction.atomic():
                    reads = check_rule(new) if new.retrieval == Retrieval.QUERY else read_rules(new)
                    made.append(_create(new, reads, actor=actor))
            except InvalidInput as error:
                problems |= {
                    f"{number}.{name}": text for name, text in (error.fields or {"key": error.message}).items()
                }
        if problems:
            raise InvalidInput(" ".join(dict.fromkeys(problems.values())), problems)
        if asked := [rule for rule in made if rule.retrieval != Retrieval.EVENT]:
            _ask_everyone(asked[0], actor=actor)
    return made


def _create(new: NewRule, reads: Sequence[ProfilePropertyRule], *, actor: Actor) -> ProfilePropertyRule:
    """While the caller holds the rules' lock."""
    same = ProfilePropertyRule.objects.filter(key=new.key).first()
    if same is not None and same.state == RuleState.DELETED:
        raise invalid(
            "key",
            gettext("%(new)s is being deleted: its last values are taken away. Try again in a while.")
            % {"new": new.key},
        )
    if same is not None:
        raise invalid("key", gettext("There is already a property %(new)s.") % {"new": new.key})
    rule = ProfilePropertyRule.objects.create(
        key=new.key,
        label=new.label or new.key.replace("_", " ").capitalize(),
        type=new.type,
        is_unique=new.is_unique,
        is_array=new.is_array,
        identity_rank=(new.identity_rank or _next_rank()) if new.is_unique else None,
        app=new.app,
        retrieval=new.retrieval,
        query=new.query,
        column=dict(new.column),
        column_key=reads[0] if new.retrieval == Retrieval.COLUMN else None,
        column_label=new.column_label,
    )
    RuleVariable.objects.bulk_create([RuleVariable(rule=rule, reads=read) for read in reads])
    audit.record("rule.create", rule, after=describe(rule), actor=actor)
    if rule.is_unique:
        for tell in _unique_watchers:
            tell(rule)
    return rule


def update_rule(rule_id: int, new: NewRule, *, actor: Actor) -> ProfilePropertyRule:
    """Make a rule what `new` says; its key stays. Whatever changes its values asks everyone again in the background.

    Raises InvalidInput with what to mend, and Refused where its values or its users stand against the change.
    """
    reads = check_rule(new)
    with transaction.atomic():
        _lock_and_count()
        rule = ProfilePropertyRule.objects.select_for_update(no_key=True).get(pk=rule_id)
        if rule.key != new.key:
            raise invalid("key", gettext("The key of a property never changes; its label may."))
        refuse_cycle(reads, rule_id=rule.pk)
        before, was_retyped = describe(rule), (rule.type, rule.is_array) != (new.type, new.is_array)
        if was_retyped:
            _refuse_new_type(rule, new)
        if rule.is_unique and not new.is_unique:
            raise invalid(
                "is_unique",
                gettext("%(rule)s identifies people, and events rely on that. It stays unique.") % {"rule": rule},
            )
        becomes_unique = new.is_unique and not rule.is_unique
        _take_over(rule, new, reads)
        after = describe(rule)
        is_asked_anew = {**after, "label": ""} != {**before, "label": ""}
        if is_asked_anew:
            rule.paused_reason = rule.warning = ""
        rule.save()
        if becomes_unique:
            uniqueness.claim_all(rule)
            for tell in _unique_watchers:
                tell(rule)
        if was_retyped:
            for check in _type_checks:
                check(rule)
        if after != before:
            audit.record("rule.change", rule, before=before, after=after, actor=actor)
        if is_asked_anew:
            _ask_everyone(rule, actor=actor)
    return rule


def change_retrieval(rule: ProfilePropertyRule, new: NewRule, *, actor: Actor) -> ProfilePropertyRule:
    """Get a rule's value in another way from now on, for everyone; its key, type and uniqueness stay."""
    kept = (rule.key, rule.type, rule.is_unique, rule.is_array)
    if kept != (new.key, new.type, new.is_unique, new.is_array):
        raise InvalidInput(gettext("The key, type and uniqueness of a property cannot be changed here."))
    return update_rule(rule.pk, new, actor=actor)


def delete_rule(rule_id: int, *, actor: Actor) -> None:
    """Delete a rule that nothing uses; its values go in the background. Raises Refused with the users' names."""
    with transaction.atomic():
        _lock_and_count()
        rule = ProfilePropertyRule.objects.select_for_update(no_key=True).get(pk=rule_id)
        if users := users_of(rule):
            raise Refused(
                gettext("%(rule)s is in use by %(users)s. Take it out there first.")
                % {"rule": rule, "users": ", ".join(users)}
            )
        rule.state = RuleState.DELETED
        rule.save(update_fields=["state", "updated_at"])
        rule.variables.all().delete()
        audit.record("rule.delete", rule, before=describe(rule), actor=actor)
        leases.enqueue(kind=REHYDRATE, subject=f"{FORGET}{rule.pk}")
        notices.promise(actor.cause, f"{FORGET}{rule.pk}")
        wake("rehydrate")


def finish_deletion(rule_id: int) -> None:
    """Once no profile has its values any more, the key is free again."""
    gone = ProfilePropertyRule.objects.filter(pk=rule_id, state=RuleState.DELETED)
    for rule in gone:
        text = f"Nobody has a value of it any more, and a new property may have the key {rule.key}."
        notices.keep(f"{FORGET}{rule_id}", News("ok", f"“{rule.label}” is deleted", reverse("properties:list"), text))
    gone.delete()


def set_timed(rule_ids: Sequence[int], *, actor: Actor) -> bool:
    """From now on the values of these date rules are kept in ProfileDate; whether that is new for any of them."""
    with transaction.atomic():
        fresh = list(ProfilePropertyRule.objects.filter(pk__in=rule_ids, is_timed=False))
        if not fresh:
            return False
        _lock_and_count()
        ProfilePropertyRule.objects.filter(pk__in=[rule.pk for rule in fresh]).update(is_timed=True)
        for rule in fresh:
            audit.record("rule.follow_time", rule, after={"timed": True}, actor=actor)
    return True


def follow_updates(*, actor: Actor) -> None:
    """From now on the time of each profile's last change is kept in ProfileDate too."""
    with transaction.atomic():
        _lock_and_count()
        RuleSetVersion.objects.filter(pk=1).update(follows_updates=True)
        audit.record("rules.follow_updates", RuleSetVersion.objects.get(pk=1), actor=actor)


def resume_rule(rule: ProfilePropertyRule, *, actor: Actor) -> None:
    """Ask a paused rule again from the next batch on; for a day it is believed whatever it says."""
    with transaction.atomic():
        _lock_and_count()
        before = rule.paused_reason
        ProfilePropertyRule.objects.filter(pk=rule.pk).update(paused_reason="", warning="")
        guards.accept(rule.pk)
        _ask_everyone(rule, actor=actor)
        audit.record("rule.resume", rule, before={"paused": before}, after={"paused": ""}, actor=actor)


def note_answers(*, gone: Mapping[str, str], several: Mapping[str, int], failed: Mapping[str, str]) -> None:
    """After a batch: pause rules whose column or table vanished, and say which met more than one row or failed."""
    now = timezone.now()
    for key, reason in failed.items():
        stale = Q(last_error_at=None) | Q(last_error_at__lt=now - _ERROR_IS_NOTED_EVERY) | ~Q(last_error=reason[:500])
        ProfilePropertyRule.objects.filter(stale, key=key).update(last_error=reason[:500], last_error_at=now)
    for key, reason in gone.items():
        with transaction.atomic():
            paused = ProfilePropertyRule.objects.filter(key=key, paused_reason="")
            rule = paused.first()
            if rule is not None:
                _lock_and_count()
                paused.update(paused_reason=reason)
                audit.record("rule.pause", rule, after={"paused": reason}, actor=SYSTEM)
    if several:
        warning = "Its source has more than one row for some people; the first row is taken."
        ProfilePropertyRule.objects.filter(key__in=several, warning="").update(warning=warning)


def describe(rule: ProfilePropertyRule) -> dict[str, Any]:
    """A rule for the audit log."""
    return {
        "key": rule.key,
        "label": rule.label,
        "type": rule.type,
        "unique": rule.is_unique,
        "array": rule.is_array,
        "app": rule.app_id,
        "retrieval": rule.retrieval,
        "query": rule.query,
        "column": rule.column,
        "column_key": rule.column_key.key if rule.column_key else "",
        "column_label": rule.column_label,
        "identity_rank": rule.identity_rank,
    }


def _take_over(rule: ProfilePropertyRule, new: NewRule, reads: Sequence[ProfilePropertyRule]) -> None:
    rule.label = new.label or rule.label
    rule.type, rule.is_array, rule.is_unique = new.type, new.is_array, new.is_unique
    if new.is_unique:
        rule.identity_rank = new.identity_rank or rule.identity_rank or _next_rank()
    rule.app, rule.retrieval, rule.query, rule.column = new.app, new.retrieval, new.query, dict(new.column)
    rule.column_key = reads[0] if new.retrieval == Retrieval.COLUMN else None
    rule.column_label = new.column_label
    rule.is_timed = rule.is_timed and new.type == "date" and not new.is_array
    rule.variables.all().delete()
    RuleVariable.objects.bulk_create([RuleVariable(rule=rule, reads=read) for read in reads])


def _refuse_new_type(rule: ProfilePropertyRule, new: NewRule) -> None:
    """Values that a source can be asked for again may change their type; what identifies people may not."""
    if rule.is_unique:
        raise invalid("type", gettext("%(rule)s identifies people by its values, so its type stays.") % {"rule": rule})
    if new.retrieval == Retrieval.EVENT and Profile.objects.filter(properties__has_key=rule.key).exists():
        raise invalid(
            "type",
            gettext(
                "People have values of %(rule)s that came in events, and nobody can be asked for them "
                "again. Make another property with the new type."
            )
            % {"rule": rule},
        )


def _next_rank() -> int:
    return ProfilePropertyRule.objects.filter(is_unique=True).count() + 1


def _ask_everyone(rule: ProfilePropertyRule, *, actor: Actor) -> None:
    """Profiles that exist already learn the new value in the background, while the caller holds the rules' lock.

    Work that nobody has begun will ask by the new rules too. Work that has begun may have passed people by the old
    ones: another is queued behind it, and it gives way to that.
    """
    if rule.retrieval == Retrieval.EVENT:
        return
    waiting = Work.objects.filter(kind=REHYDRATE, subject__startswith=EVERYONE, state=WorkState.PENDING)
    if not waiting.exists():
        leases.enqueue(kind=REHYDRATE, subject=f"{EVERYONE}{current_version()}")
    notices.promise(actor.cause, REHYDRATE)
    wake("rehydrate")


def untell(mentions: Mentions) -> int:
    """Take what names a person out of the last errors and warnings of rules; how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update profile_property_rule set last_error = '', warning = ''"
            " where concat(last_error, warning) ilike any(%(patterns)s)",
            mentions.parameters(),
        )
        return int(cursor.rowcount)


def keep_batches_away() -> None:
    """No batch writes until the caller commits, and every one that read the rules before starts over.

    For whoever changes what a batch goes by beside the rules themselves.
    """
    _lock_and_count()


def let_changes_commit() -> None:
    """Wait for a change of the rules under way, and let none begin until the caller commits."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", [RULES_LOCK])


def _lock_and_count() -> None:
    """Keep every batch from writing until the caller commits, and name the new state of the rules.

    The name is the time of the change, so that a restored or emptied database never repeats one.
    """
    let_changes_commit()
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into rule_set_version (id, version) values (1, extract(epoch from clock_timestamp()) * 1000000)"
            " on conflict (id) do update set version = greatest(rule_set_version.version + 1, excluded.version)"
        )
