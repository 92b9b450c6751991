"""Keeping the members of an audience in step with profiles.

New members and known ones go in batches of 500 where that is safe, everything else one by one (`plugins.mailchimp.
lanes`). What an existing member's status is stays Mailchimp's own matter: a call that may meet one says only what a new
member would be. A batch has no word for that, so

- known members go without a status,
- new ones go with it only when a read just before did not find their address, and under the condition that nothing
  existing is changed. Whoever joined in between is refused by Mailchimp and goes alone.

A profile whose address changed moves its member. Where the new address is a member already, that one is kept, and the
old one loses our tags and, in the mode `sync`, is archived. Removing is archiving; in other modes only our tags go. The
same goes for members who have left: of an archived one nobody can tell any more that they did, and they might be
subscribed again when they are sent again.

Mailchimp's journeys may begin with a tag. In a backfill the calls for tags say `is_syncing`, so none does; those for
members have no such word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from plugins.base import ExportsProfiles, ReadsBack
from plugins.contracts import (
    ACCEPTED,
    Field,
    Option,
    OptionKind,
    Outcome,
    OutcomeKind,
    PluginError,
    ProfileExport,
    Reject,
    Retry,
    SyncMode,
    Target,
)
from plugins.lanes import make_lanes, outcome_of
from plugins.mailchimp.app import MailchimpApp
from plugins.mailchimp.bulk import write_many
from plugins.mailchimp.calling import Problem
from plugins.mailchimp.changes import (
    KEY_FIELD,
    Change,
    cleared_tags,
    differing_tags,
    hash_email,
    match_fields,
    read_change,
)
from plugins.mailchimp.lanes import Brake, run_lanes
from plugins.mailchimp.merge_fields import read_value

_ANYWAY: Mapping[str, str] = {"skip_merge_validation": "true"}  # required merge fields are a matter of signup forms
_ARCHIVED = "archived"
_LEFT = ("unsubscribed", "cleaned")


class MailchimpExports(MailchimpApp, ExportsProfiles, ReadsBack):
    """The exporting half of the plugin."""

    target_options: ClassVar[tuple[Option, ...]] = (
        Option("list_id", "Audience", kind=OptionKind.LOADED_CHOICE, help="Leave it empty for the App's audience."),
    )
    batch_size: ClassVar[int] = 500

    def fields(self, target_options: Mapping[str, Any]) -> Sequence[Field]:
        merge_fields = self.merge_fields(self.choose_list(target_options))
        return [
            Field(KEY_FIELD, "email", required=True),
            *(
                Field(merge_field.tag, merge_field.value_type, takes_lists=merge_field.value_type == "string")
                for merge_field in merge_fields
            ),
        ]

    def export(self, target: Target, batch: Sequence[ProfileExport]) -> Sequence[Outcome]:
        if not batch:
            return []
        list_id = self.choose_list(target.options)
        fields = match_fields(target, self.merge_fields(list_id))
        outcomes: dict[int, Outcome] = {}
        changes: dict[int, Change] = {}
        for place, item in enumerate(batch):
            try:
                change = read_change(item, target, fields)
            except Reject as error:
                outcomes[place] = outcome_of(error)
                continue
            if change.members:
                changes[place] = change
            else:
                outcomes[place] = ACCEPTED  # a removal of what belongs to someone else by now
        outcomes |= _Export(self, list_id, target, changes).run()
        self.line.rest()
        return [outcomes[place] for place in range(len(batch))]

    def read_back(self, target: Target, keys: Sequence[Any]) -> Mapping[Any, Mapping[str, Any]]:
        list_id = self.choose_list(target.options)
        fields = match_fields(target, self.merge_fields(list_id))
        found: dict[Any, Mapping[str, Any]] = {}
        members = {key: hash_email(str(key)) for key in keys}

        def read(place: int) -> Outcome:
            key = keys[place]
            member = self.find_member(list_id, members[key])
            if member is not None and member.get("status") != _ARCHIVED:
                values = member.get("merge_fields") or {}
                held = {name: read_value(values.get(own.tag), target.fields[name]) for name, own in fields.items()}
                found[key] = {target.key_field: str(member["email_address"]).lower(), **held}
            return ACCEPTED

        lanes = make_lanes([(place, [members[key]]) for place, key in enumerate(keys)])
        for outcome in run_lanes(lanes, read, Brake()).values():
            if outcome.kind is not OutcomeKind.ACCEPTED:
                raise Retry(outcome.reason, after=outcome.after)
        return found


@dataclass(slots=True)
class _Export:
    """One batch on its way."""

    app: MailchimpExports
    list_id: str
    target: Target
    changes: Mapping[int, Change]
    brake: Brake = field(default_factory=Brake)
    written: dict[int, Mapping[str, Any]] = field(default_factory=dict)  # members that a call for many has written

    def run(self) -> dict[int, Outcome]:
        lanes = make_lanes([(place, change.members) for place, change in self.changes.items()])
        if self.target.mode is not SyncMode.ENRICH:
            alone = {lane[0]: self.changes[lane[0]] for lane in lanes if len(lane) == 1}
            try:
                self.written = write_many(self.app, self.list_id, alone)
            except PluginError as error:
                self.brake.note(error)
        return run_lanes(lanes, self._write, self.brake)

    def _write(self, place: int) -> Outcome:
        change = self.changes[place]
        if not change.email:
            self._remove(change)
            return ACCEPTED
        member = self.written.get(place)
        if member is None:
            member = self._write_member(change)
        if member is not None:
            self._tag(change.email, differing_tags(change, _tags(member)))
        return ACCEPTED

    # ------------------------------------------------------------ one member

    def _write_member(self, change: Change) -> Mapping[str, Any] | None:
        """The member as it is now; None when the mode makes nothing new and there is none."""
        if not change.is_move:
            return self._upsert(change, hash_email(change.email), is_new=not change.is_known)
        old = hash_email(change.old_email)
        try:
            member = self._upsert(change, old, is_new=False)
        except Problem as problem:
            if problem.title != "Member Exists":
                raise
            self._let_go(change)
            member = None
        return member if member is not None else self._upsert(change, hash_email(change.email), is_new=True)

    def _upsert(self, change: Change, member: str, *, is_new: bool) -> Mapping[str, Any] | None:
        lists = self.app.line.lists
        body: dict[str, Any] = {"email_address": change.email, "merge_fields": dict(change.merge_fields)}
        if self.target.mode is SyncMode.ENRICH:
            return self._call_member(lists.update_list_member, member, body, **_ANYWAY)
        body["status_if_new"] = self.app.new_status
        answer = self._call_member(lists.set_list_member, member, body, **_ANYWAY)
        if answer is None:
            self._explain_missing()
        elif answer.get("status") == _ARCHIVED and is_new and not answer.get("unsubscribe_reason"):
            # This person was in the audience once, was archived, and is to be there again. For whoever had left by own
            # wish Mailchimp refuses this.
            answer = self._call_member(lists.set_list_member, member, body | {"status": self.app.new_status}, **_ANYWAY)
        return answer

    def _remove(self, change: Change) -> None:
        if self.target.mode is not SyncMode.SYNC or not self._archive(change.old_email):
            self._clear(change)

    def _let_go(self, change: Change) -> None:
        """The old address, where the new one is a member of its own."""
        self._clear(change)
        if self.target.mode is SyncMode.SYNC:
            self._archive(change.old_email)

    def _archive(self, email: str) -> bool:
        """Archive a member; False for whoever has left and stays, so that Mailchimp goes on knowing that they did."""
        lists, member = self.app.line.lists, hash_email(email)
        found = self._call_member(lists.get_list_member, member, fields=["status"])
        if found is not None and found.get("status") in _LEFT:
            return False
        try:
            self._call_member(lists.delete_list_member, member)
        except Problem as problem:
            if problem.status != 405:  # archived already, or a contact that cannot be
                raise
        return True

    def _clear(self, change: Change) -> None:
        """Take our tags away from the old address; whoever is not there any more has none."""
        self._send_tags(change.old_email, cleared_tags(change))

    def _tag(self, email: str, tags: Sequence[Mapping[str, str]]) -> None:
        if not self._send_tags(email, tags):
            self._explain_missing()

    def _send_tags(self, email: str, tags: Sequence[Mapping[str, str]]) -> bool:
        """Change a member's tags, in a backfill without starting what hangs on them; False for who is no member."""
        if not tags:
            return True
        body: dict[str, Any] = {"tags": list(tags), **({"is_syncing": True} if self.target.is_backfill else {})}
        update = self.app.line.lists.update_list_member_tags
        return self._call_member(update, hash_email(email), body) is not None

    def _call_member(
        self, method: Callable[..., Any], member: str, *args: Any, **parameters: Any
    ) -> dict[str, Any] | None:
        """A call for one member; None when there is no such member. Raises `Problem` and the contract's errors."""
        try:
            return self.app.line.call(method, self.list_id, member, *args, **parameters)
        except Problem as problem:
            if problem.status != 404:
                raise
            return None

    def _explain_missing(self) -> None:
        """Something that is there by rights was not found: the audience is gone, or two calls met."""
        self.app.ask(self.app.line.lists.get_list, self.list_id, fields=["id"])
        raise Retry("Mailchimp did not find a member that was there a moment ago.")


def _tags(member: Mapping[str, Any]) -> list[str] | None:
    """The names of a member's tags; None when the answer does not hold them all (it gives fifty at most)."""
    tags = member.get("tags")
    if tags is None or len(tags) < int(member.get("tags_count") or 0):
        return None
    return [str(tag["name"]) for tag in tags]
