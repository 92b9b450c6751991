"""`HubspotApp`: the connection to one HubSpot account, the properties of its contacts, and what it shows of itself."""

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
    Sample,
    Table,
    TestResult,
)
from plugins.hubspot.calling import Line, Problem
from plugins.hubspot.properties import KEY_FIELD, Property, read_properties, read_value

_KEPT_SECONDS = 60.0  # how long the properties are remembered
_CONTACTS = "contacts"  # the one table there is
_MOST_SAMPLED = 200  # what one page of a search holds at most
_SCOPES = (
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.lists.read",
    "crm.lists.write",
)

SPEC = AppSpec(
    key="hubspot",
    label="HubSpot",
    description="Keep contacts and their properties in step, with a static list for each group.",
    icon="contact-round",
    categories=("crm",),
    options=(
        Option(
            "access_token",
            "Access token",
            kind=OptionKind.SECRET,
            required=True,
            placeholder="pat-na1-00000000-0000-0000-0000-000000000000",
            help=f"Of a private app made at HubSpot, with the scopes {', '.join(_SCOPES)}.",
        ),
        Option(
            "server_url",
            "Server (advanced)",
            placeholder="https://api.hubapi.com",
            help="Leave it empty for HubSpot itself. Another address is for tests.",
        ),
    ),
    parallel_calls=1,  # one batch at a time: two calls for one contact must not meet
)


class HubspotApp(App, TestsConnection, GivesSamples):
    """One account. Connects at the first call."""

    spec = SPEC

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._line: Line | None = None
        self._properties: tuple[float, Mapping[str, Property]] | None = None

    @property
    def line(self) -> Line:
        """The calls, made ready at their first use. Raises `Halt`."""
        if self._line is None:
            self._line = Line(
                token=str(self.options.get("access_token") or "").strip(),
                server_url=str(self.options.get("server_url") or "").strip(),
                private_hosts_allowed=self.private_hosts_allowed,
            )
        return self._line

    def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def properties(self) -> Mapping[str, Property]:
        """The properties of contacts by name, not older than a minute."""
        if self._properties is None or time.monotonic() - self._properties[0] > _KEPT_SECONDS:
            answer = self.ask(self.line.properties.get_all, _CONTACTS)
            self._properties = (time.monotonic(), read_properties(answer))
        return self._properties[1]

    def ask(self, method: Any, *args: Any, **parameters: Any) -> dict[str, Any]:
        """A call about the account as a whole. Raises `Retry`, or `Halt` when HubSpot refuses it."""
        try:
            return self.line.call(method, *args, **parameters)
        except Problem as problem:
            meaning = problem.meaning()
        raise Halt(meaning.reason) if isinstance(meaning, Reject) else meaning

    # ------------------------------------------------------------ TestsConnection

    def test(self) -> TestResult:
        try:
            total = self._search(properties=(), limit=1).get("total") or 0
            self.properties()
            self.ask(self.line.lists.do_search, {"query": "", "count": 1})
            missing = self._find_missing_scopes()
        except PluginError as error:
            return TestResult(ok=False, message=error.reason)
        if missing:
            named = " and ".join(missing)
            message = f"The access token lacks a scope: give the private app at HubSpot {named}."
            return TestResult(ok=False, message=message)
        return TestResult(ok=True, message=f"HubSpot accepts the access token; the account has {total:,} contacts.")

    def _find_missing_scopes(self) -> list[str]:
        """What the token does not allow; nothing for tokens of which HubSpot does not tell."""
        try:
            scopes = self.line.read_scopes()
        except Problem:
            return []
        return [scope for scope in _SCOPES if scope not in scopes]

    # ------------------------------------------------------------ GivesSamples

    def tables(self) -> Sequence[Table]:
        columns = (Column(found.name, found.value_type, found.type) for found in self._in_order())
        return [Table(name=_CONTACTS, columns=tuple(columns), primary_key=(KEY_FIELD,))]

    def sample(self, table: str, *, limit: int = 10) -> Sample:
        """The contacts that changed last, with the properties that any of them has."""
        if table != _CONTACTS:
            raise Halt(f"HubSpot has no “{table}” that could be shown: it is contacts.")
        known = self._in_order()
        found = self._search(properties=[each.name for each in known], limit=min(limit, _MOST_SAMPLED))
        people = [contact.get("properties") or {} for contact in found.get("results") or ()]
        shown = [each for each in known if each.name == KEY_FIELD or any(person.get(each.name) for person in people)]
        rows = tuple(tuple(read_value(person.get(each.name), each.value_type) for each in shown) for person in people)
        return Sample(tuple(each.name for each in shown), rows)

    def _in_order(self) -> list[Property]:
        """The key first, then what can be written, then the rest."""
        return sorted(self.properties().values(), key=lambda found: (found.name != KEY_FIELD, found.is_read_only))

    def _search(self, *, properties: Sequence[str], limit: int) -> dict[str, Any]:
        newest_first = [{"propertyName": "lastmodifieddate", "direction": "DESCENDING"}]
        asked = {"properties": list(properties), "limit": limit, "sorts": newest_first, "filterGroups": []}
        return self.ask(self.line.searches.do_search, asked)
