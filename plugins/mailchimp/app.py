"""`MailchimpApp`: the connection to one Mailchimp account, its audiences, and what the capabilities share."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from plugins.base import App, GivesSamples, TestsConnection
from plugins.contracts import (
    AppSpec,
    Column,
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
from plugins.mailchimp.calling import Line, Problem, check_list_id
from plugins.mailchimp.merge_fields import MergeField, read_merge_fields

_KEPT_SECONDS = 60.0  # how long the merge fields of an audience are remembered
_MOST = 1000  # what one page of Mailchimp holds at most
_SAMPLE_COLUMNS = ("email_address", "status", "tags", "last_changed")

SPEC = AppSpec(
    key="mailchimp",
    label="Mailchimp",
    description="Keep an audience's members, merge fields and tags in step, and send events to members.",
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
    parallel_calls=1,  # one batch at a time, of eight calls: two calls for one member must not meet
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
            return Halt("The audience does not exist any more at Mailchimp: choose another one.")
        meaning = problem.meaning()
        return Halt(meaning.reason) if isinstance(meaning, Reject) else meaning

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
            Table(name=found["id"], columns=self._columns(found["id"]), primary_key=("email_address",))
            for found in lists
        ]

    def _columns(self, list_id: str) -> tuple[Column, ...]:
        own = {"email_address": "email", "last_changed": "date"}
        return (
            *(Column(name, own.get(name, "string")) for name in _SAMPLE_COLUMNS),
            *(Column(field.tag, field.value_type, field.type) for field in self.merge_fields(list_id)),
        )

    def sample(self, table: str, *, limit: int = 10) -> Sample:
        list_id = check_list_id(table)
        columns = tuple(column.name for column in self._columns(list_id))
        answer = self.ask(self.line.lists.get_list_members_info, list_id, count=min(limit, _MOST))
        return Sample(columns, tuple(_row(member, columns) for member in answer.get("members") or ()))


def _row(member: Mapping[str, Any], columns: Sequence[str]) -> tuple[Any, ...]:
    values = {**(member.get("merge_fields") or {}), **{name: member.get(name) for name in _SAMPLE_COLUMNS}}
    values["tags"] = ", ".join(tag["name"] for tag in member.get("tags") or ())
    return tuple(values.get(column) for column in columns)
