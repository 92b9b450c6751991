"""Groups as static lists of contacts: found by name, made when they are missing, changed in one call each."""

from __future__ import annotations

from collections.abc import Collection

from plugins.contracts import Halt, Retry
from plugins.hubspot.app import HubspotApp
from plugins.hubspot.calling import Problem

_CONTACTS = "0-1"  # HubSpot's number for contacts
_BY_HAND = ("MANUAL", "SNAPSHOT")  # the kinds of list whose members somebody adds and removes
_DUPLICATE_NAME = "ILS.DUPLICATE_LIST_NAMES"


class Lists:
    """The lists of one account, by name."""

    def __init__(self, app: HubspotApp) -> None:
        self._app = app
        self._ids: dict[str, str] = {}

    def change(self, name: str, *, add: Collection[str], remove: Collection[str]) -> set[str]:
        """Add contacts to a list and take others out, by their ids; those that HubSpot does not find to add.

        Who is in already, or out already, is no trouble. Raises `Retry` and `Halt`.
        """
        list_id = self._find(name) or (self._make(name) if add else "")
        if not list_id:
            return set()
        line = self._app.line
        asked = {"recordIdsToAdd": sorted(add), "recordIdsToRemove": sorted(remove)}
        try:
            answer = line.call(line.memberships.add_and_remove, list_id, asked)
        except Problem as problem:
            if problem.status != 404:
                raise Halt(f"The list “{name}” cannot be changed. {problem.explain()}") from None
            self._ids.pop(name, None)
            raise Retry(f"The list “{name}” was deleted at HubSpot meanwhile; it is made anew.", after=1.0) from None
        return {str(each) for each in answer.get("recordIdsMissing") or ()} & set(add)

    def _find(self, name: str) -> str:
        """A list's id; empty when there is none."""
        if name not in self._ids:
            line = self._app.line
            try:
                found = line.call(line.lists.get_by_name, name, _CONTACTS).get("list") or {}
            except Problem as problem:
                if problem.status != 404:
                    raise Halt(f"The list “{name}” cannot be read. {problem.explain()}") from None
                return ""
            if found.get("processingType") not in _BY_HAND:
                raise Halt(
                    f"HubSpot's list “{name}” fills itself, so nobody can be added to it: rename it at HubSpot, or"
                    " give the group another name in the export."
                )
            self._ids[name] = str(found["listId"])
        return self._ids[name]

    def _make(self, name: str) -> str:
        line = self._app.line
        asked = {"name": name, "objectTypeId": _CONTACTS, "processingType": "MANUAL"}
        try:
            made = line.call(line.lists.create, asked).get("list") or {}
        except Problem as problem:
            if problem.document.get("subCategory") == _DUPLICATE_NAME and self._find(name):
                return self._ids[name]
            raise Halt(f"The list “{name}” cannot be made. {problem.explain()}") from None
        self._ids[name] = str(made["listId"])
        return self._ids[name]
