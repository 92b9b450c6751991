"""`MailchimpApp`: the connection to one Mailchimp account, its audiences, and what the capabilities share."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from plugins.base import App, GivesSamples, TestsConnection
from plugins.contracts import (
    AppSpec,
    Halt,
    Option,
    OptionKind,
    PluginError,
    Reject,
    Retry,
    Sample,
    Table,
    TestResult,
)
from plugins.mailchimp.calling import AudienceGone, Line, Problem, check_list_id
from plugins.mailchimp.changes import KEY_FIELD
from plugins.mailchimp.members import CHANGED_COLUMN, columns_of, row_of
from plugins.mailchimp.merge_fields import MergeField, read_merge_fields

_KEPT_SECONDS = 60.0  # how long the merge fields of an audience are remembered
_MOST = 1000  # what one page of Mailchimp holds at most

SPEC = AppSpec(
    key="mailchimp",
    label="Mailchimp",
    description="Keep an audience's members, merge fields and tags in step, know who left, and send events to members.",
    icon="mail",
    categories=("email",),
    options=(
        Option(
            "api_key",
            "API key",
            kind=OptionKind.SECRET,
            required=True,
            placeholder="0123456789abcdef0123456789abcdef-us21",
            help="Made at Mailchimp under Profile, Extras, API keys. It ends in a dash and the data centre.",
        ),
        Option(
            "list_id",
            "Audience",
            kind=OptionKind.LOADED_CHOICE,
            help="The audience that exports and events go to.",
        ),
        Option(
            "new_status",
            "New members are",
            kind=OptionKind.CHOICE,
            default="subscribed",
            choices=(
                ("subscribed", "Subscribed"),
                ("pending", "Asked to confirm by email"),
                ("transactional", "Not subscribed (transactional only)"),
                ("unsubscribed", "Unsubscribed"),
            ),
            help="For people whom the audience does not know yet. Nobody who left is ever subscribed again.",
        ),
        Option(
            "email_property",
            "Email property",
            default="email",
            help="The property that holds the address by which Mailchimp knows a person; for events.",
        ),
        Option(
            "server_url",
            "Server (advanced)",
            placeholder="https://us21.api.mailchimp.com",
            help="Leave it empty for Mailchimp itself. Another address is for tests and for the demo.",
        ),
    ),
    # One caller at a time, with up to eight calls at once: two calls for one member must not meet, and Mailchimp allows
    # an account ten. The two that are left are for people who look at pages, which make one call after the other.
    parallel_calls=1,
    most_parallel_calls=1,
    reads_in_turn=True,
)


class MailchimpApp(App, TestsConnection, GivesSamples):
    """One account. Connects at the first call."""

    spec = SPEC

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._line: Line | None = None
        self._merge_fields: dict[str, tuple[float, tuple[MergeField, ...]]] = {}

    @property
    def line(self) -> Line:
        """The calls, made ready at their first use. Raises `Halt`."""
        if self._line is None:
            self._line = Line(
                key=str(self.options.get("api_key") or "").strip(),
                server_url=str(self.options.get("server_url") or ""),
                private_hosts_allowed=self.private_hosts_allowed,
            )
        return self._line

    @property
    def new_status(self) -> str:
        """The status of members who are new to the audience."""
        return str(self.options.get("new_status") or "subscribed")

    def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()

    # ------------------------------------------------------------ audiences

    def choose_list(self, options: Mapping[str, Any]) -> str:
        """The audience named by a schedule's or subscription's options, else by the App. Raises `Halt`."""
        list_id = str(options.get("list_id") or self.options.get("list_id") or "")
        if not list_id:
            raise Halt("No audience is chosen: choose one in the App's settings.")
        return check_list_id(list_id)

    def merge_fields(self, list_id: str) -> tuple[MergeField, ...]:
        """An audience's merge fields, not older than a minute. Raises `Halt` for an audience that is gone."""
        kept = self._merge_fields.get(list_id)
        if kept is None or time.monotonic() - kept[0] > _KEPT_SECONDS:
            answer = self.ask(self.line.lists.get_list_merge_fields, list_id, count=_MOST)
            kept = (time.monotonic(), read_merge_fields(answer))
            self._merge_fields[list_id] = kept
        return kept[1]

    def ask(self, method: Any, *args: Any, **parameters: Any) -> dict[str, Any]:
        """A call about an audience as a whole. Raises `Retry`, or `Halt` when Mailchimp refuses it."""
        try:
            return self.line.call(method, *args, **parameters)
        except Problem as problem:
            meaning = self.explain(problem)
        raise meaning

    def explain(self, problem: Problem) -> Halt | Retry:
        """What Mailchimp's refusal of a call about an audience as a whole means."""
        if problem.status == 404:
            return AudienceGone()
        meaning = problem.meaning()
        return Halt(meaning.reason) if isinstance(meaning, Reject) else meaning

    def find_member(self, list_id: str, member: str) -> dict[str, Any] | None:
        """A member by its hash; None when the audience has none. Raises the contract's errors."""
        return self.ask_of_member(self.line.lists.get_list_member, list_id, member)

    def ask_of_member(self, method: Any, list_id: str, member: str, **parameters: Any) -> dict[str, Any] | None:
        """What a call tells of a member; None when the audience has no such one. Raises the contract's errors."""
        try:
            return self.line.call(method, list_id, member, **parameters)
        except Problem as problem:
            if problem.status == 404:
                return None
            meaning = problem.meaning()
        raise meaning

    def choices(self, option: str) -> Sequence[tuple[str, str]]:
        if option != "list_id":
            raise NotImplementedError(option)
        return [(found["id"], found["name"]) for found in self._lists()]

    def _lists(self) -> list[dict[str, Any]]:
        answer = self.ask(self.line.lists.get_all_lists, count=_MOST, fields=["lists.id", "lists.name"])
        return list(answer.get("lists") or ())

    # ------------------------------------------------------------ TestsConnection

    def test(self) -> TestResult:
        try:
            self.ask(self.line.ping.get)
            list_id = str(self.options.get("list_id") or "")
            if not list_id:
                count = len(self._lists())
                return TestResult(ok=True, message=f"Mailchimp accepts the key. Choose one of its {count} audiences.")
            found = self.ask(self.line.lists.get_list, check_list_id(list_id))
        except PluginError as error:
            return TestResult(ok=False, message=error.reason)
        members = (found.get("stats") or {}).get("member_count", 0)
        return TestResult(ok=True, message=f"Mailchimp's audience “{found.get('name')}” has {members:,} members.")

    # ------------------------------------------------------------ GivesSamples

    def tables(self) -> Sequence[Table]:
        lists = sorted(self._lists(), key=lambda found: str(found["id"]))
        chosen = str(self.options.get("list_id") or "")
        if chosen and chosen not in [found["id"] for found in lists]:
            raise Halt(f"There is no audience {chosen} in this account: choose another one in the App's settings.")
        return [
            Table(found["id"], columns_of(self.merge_fields(found["id"])), (KEY_FIELD,), label=str(found["name"]))
            for found in lists
        ]

    def sample(self, table: str, *, limit: int = 10) -> Sample:
        list_id = check_list_id(table)
        merge_fields = self.merge_fields(list_id)
        columns = tuple(column.name for column in columns_of(merge_fields))
        read, count = self.line.lists.get_list_members_info, min(limit, _MOST)
        answer = self.ask(read, list_id, count=count, sort_field=CHANGED_COLUMN, sort_dir="ASC")
        members = sorted(answer.get("members") or (), key=lambda member: (member[CHANGED_COLUMN], member[KEY_FIELD]))
        rows = [row_of(member, merge_fields) for member in members]
        return Sample(columns, tuple(tuple(_shown(value) for value in row.values()) for row in rows))


def _shown(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) else value
