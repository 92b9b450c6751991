"""A HubSpot account in memory: what it holds, and what it answers to each call. It knows nothing of HTTP.

It refuses what HubSpot's documentation says is refused, and in the same words where those are known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

TOKEN = "pat-na1-11111111-2222-3333-4444-555555555555"
SCOPES = {"crm.objects.contacts.read", "crm.objects.contacts.write", "crm.lists.read", "crm.lists.write"}

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.(?!invalid$)[a-z]{2,}").fullmatch
_MOST = 100
_LONGEST = 65_536
_READ_ONLY = ("createdate", "lastmodifieddate", "hs_object_id", "hs_additional_emails")

Answer = tuple[int, Any]


class Refusal(Exception):
    """An error of HubSpot's, as a document."""

    def __init__(self, status: int, category: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.document = {
            "status": "error",
            "message": message,
            "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf",
            "category": category,
            **more,
        }


def define(name: str, kind: str = "string", field_type: str = "text", **options: str) -> dict[str, Any]:
    """A property as HubSpot describes it; `options` are labels by value."""
    return {
        "name": name,
        "label": name.title(),
        "type": kind,
        "fieldType": field_type,
        "groupName": "contactinformation",
        "options": [{"value": value, "label": label} for value, label in options.items()],
        "calculated": False,
        "archived": False,
        "modificationMetadata": {"readOnlyValue": name in _READ_ONLY},
    }


@dataclass
class Contact:
    """A contact; `others` are its further addresses, which a merge left."""

    id: str
    properties: dict[str, str]
    others: list[str] = field(default_factory=list)
    is_archived: bool = False

    def shown(self, properties: Sequence[str]) -> dict[str, Any]:
        """As HubSpot shows it."""
        held = {**self.properties, "hs_object_id": self.id, "hs_additional_emails": ";".join(self.others)}
        wanted = ("createdate", "lastmodifieddate", "hs_object_id", *properties)
        return {
            "id": self.id,
            "properties": {name: held.get(name) or None for name in wanted},
            "createdAt": held["createdate"],
            "updatedAt": held["lastmodifieddate"],
            "archived": self.is_archived,
        }


@dataclass
class List:
    """A list of contacts."""

    id: str
    name: str
    kind: str = "MANUAL"
    members: set[str] = field(default_factory=set)

    def shown(self) -> dict[str, Any]:
        """As HubSpot shows it."""
        return {"listId": self.id, "name": self.name, "objectTypeId": "0-1", "processingType": self.kind}


@dataclass
class Account:
    """Everything that one access token leads to.

    `tells_each`: a call for many, all of which carry a trace id, does those that it can. `finds_others`: reading by
    address finds a merged contact by its further addresses. `echoes_traces`: what was written carries its trace id.
    `names_culprits`: what was refused carries its trace id.
    """

    token: str = TOKEN
    scopes: set[str] = field(default_factory=lambda: set(SCOPES))
    tells_each: bool = True
    finds_others: bool = True
    echoes_traces: bool = True
    names_culprits: bool = True
    properties: dict[str, dict[str, Any]] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    lists: dict[str, List] = field(default_factory=dict)
    _last: int = 100

    # ------------------------------------------------------------ for tests

    def clear(self) -> None:
        """Forget contacts and lists."""
        self.contacts.clear()
        self.lists.clear()

    def put(self, email: str, *others: str, **properties: str) -> Contact:
        """Let the account hold a contact, as if by someone else's hand."""
        contact = self._add({"email": email, **properties})
        contact.others = list(others)
        return contact

    def put_list(self, name: str, *members: Contact, kind: str = "MANUAL") -> List:
        """Let the account hold a list."""
        found = List(self._number(), name, kind, {each.id for each in members})
        self.lists[found.id] = found
        return found

    def get(self, email: str) -> dict[str, str] | None:
        """What a contact holds that was not archived, by its own address."""
        found = [each for each in self._live() if each.properties.get("email") == email]
        assert len(found) < 2, "an address is one contact's"
        return {key: value for key, value in found[0].properties.items() if key not in _READ_ONLY} if found else None

    def emails(self) -> set[str]:
        """The addresses of all contacts that were not archived."""
        return {each.properties["email"] for each in self._live()}

    def members(self, name: str) -> set[str]:
        """The addresses of a list's members."""
        found = [each for each in self.lists.values() if each.name == name]
        return {each.properties["email"] for each in self._live() if found and each.id in found[0].members}

    # ------------------------------------------------------------ the calls

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, token: str) -> Answer:
        """Do what a call asks for. Raises `Refusal`."""
        if token != self.token:
            text = "Authentication credentials not found. This API supports OAuth 2.0 authentication."
            raise Refusal(401, "INVALID_AUTHENTICATION", text)
        for call, scope, act in _CALLS:
            found = re.fullmatch(call, f"{method} {path}")
            if found is None:
                continue
            if scope and scope not in self.scopes:
                named = {"message": "One or more of the following scopes are required."}
                named |= {"context": {"requiredGranularScopes": [scope]}}  # type: ignore[dict-item]  # a document
                text = "This app hasn't been granted all required scopes to make this call."
                raise Refusal(403, "MISSING_SCOPES", text, errors=[named])
            return act(self, body, **found.groupdict())
        raise Refusal(404, "OBJECT_NOT_FOUND", f"No route {method} {path}")

    def tell_scopes(self, body: Any) -> Answer:
        if body["tokenKey"] != self.token:
            raise Refusal(404, "OBJECT_NOT_FOUND", "There is no such token.")
        return 200, {"userId": 1, "hubId": 2, "appId": 3, "scopes": sorted(self.scopes)}

    def list_properties(self, body: Any) -> Answer:
        return 200, {"results": list(self.properties.values())}

    def search(self, body: Any) -> Answer:
        newest = sorted(self._live(), key=lambda each: each.properties["lastmodifieddate"], reverse=True)
        shown = [each.shown(body["properties"]) for each in newest[: body["limit"]]]
        return 200, {"total": len(newest), "results": shown}

    def read(self, body: Any) -> Answer:
        inputs = self._inputs(body)
        assert body["idProperty"] == "email"
        found = [self._find(each["id"]) for each in inputs]
        missing = [each["id"] for each, contact in zip(inputs, found, strict=True) if contact is None]
        results = {contact.id: contact.shown(body["properties"]) for contact in found if contact is not None}
        answer = {"status": "COMPLETE", "results": list(results.values())}
        if not missing:
            return 200, answer
        text = "Could not get some CONTACT objects, they may be deleted or not exist. Check that ids are valid."
        error = Refusal(404, "OBJECT_NOT_FOUND", text, context={"ids": missing}).document
        return 207, {**answer, "numErrors": 1, "errors": [error]}

    def create(self, body: Any) -> Answer:
        def make(given: Mapping[str, Any]) -> Contact:
            self._check(given["properties"], None)
            return self._add(given["properties"])

        return self._do_each(body, make, done=201)

    def update(self, body: Any) -> Answer:
        def change(given: Mapping[str, Any]) -> Contact | None:
            contact = self.contacts.get(given["id"])
            if contact is None or contact.is_archived:
                return None  # which HubSpot passes over in silence
            self._check(given["properties"], contact)
            self._set(contact, given["properties"])
            return contact

        return self._do_each(body, change, done=200)

    def archive(self, body: Any) -> Answer:
        for given in self._inputs(body):
            if given["id"] in self.contacts:
                self.contacts[given["id"]].is_archived = True
                for each in self.lists.values():
                    each.members.discard(given["id"])
        return 204, None

    def find_lists(self, body: Any) -> Answer:
        return 200, {"lists": [each.shown() for each in self.lists.values()][: body["count"]]}

    def find_list(self, body: Any, name: str) -> Answer:
        for each in self.lists.values():
            if each.name.lower() == name.lower():
                return 200, {"list": each.shown()}
        raise Refusal(404, "OBJECT_NOT_FOUND", f"List does not exist with name {name}.")

    def make_list(self, body: Any) -> Answer:
        if any(each.name.lower() == body["name"].lower() for each in self.lists.values()):
            text = f"A list already exists with name '{body['name']}'."
            raise Refusal(400, "VALIDATION_ERROR", text, subCategory="ILS.DUPLICATE_LIST_NAMES")
        return 200, {"list": self.put_list(body["name"], kind=body["processingType"]).shown()}

    def change_members(self, body: Any, list_id: str) -> Answer:
        found = self.lists.get(list_id)
        if found is None:
            raise Refusal(404, "OBJECT_NOT_FOUND", f"List does not exist with ID {list_id}.")
        if found.kind == "DYNAMIC":
            raise Refusal(400, "VALIDATION_ERROR", "This list is not a MANUAL or SNAPSHOT list.")
        asked = [*body["recordIdsToAdd"], *body["recordIdsToRemove"]]
        missing = [each for each in asked if each not in self.contacts or self.contacts[each].is_archived]
        added = set(body["recordIdsToAdd"]) - found.members - set(missing)
        removed = set(body["recordIdsToRemove"]) & found.members
        found.members = (found.members | added) - removed
        gone = {"recordIdsRemoved": sorted(removed), "recordIdsMissing": missing}
        return 200, {"recordsIdsAdded": sorted(added), **gone}

    # ------------------------------------------------------------ contacts

    def _live(self) -> Iterator[Contact]:
        return (each for each in self.contacts.values() if not each.is_archived)

    def _find(self, email: str, *, anyway: bool = False) -> Contact | None:
        for each in self._live():
            others = each.others if self.finds_others or anyway else []
            if email.strip().lower() in (each.properties.get("email"), *others):
                return each
        return None

    def _number(self) -> str:
        self._last += 1
        return str(self._last)

    def _add(self, properties: Mapping[str, str]) -> Contact:
        contact = Contact(self._number(), {"createdate": _now()})
        self.contacts[contact.id] = contact
        self._set(contact, properties)
        return contact

    def _set(self, contact: Contact, properties: Mapping[str, str]) -> None:
        given = {name: value.strip().lower() if name == "email" else value for name, value in properties.items()}
        held = {**contact.properties, **given, "lastmodifieddate": _now()}
        contact.properties = {name: value for name, value in held.items() if value != ""}

    def _inputs(self, body: Any) -> list[dict[str, Any]]:
        inputs: list[dict[str, Any]] = body["inputs"]
        if len(inputs) > _MOST:
            raise Refusal(400, "VALIDATION_ERROR", f"No more than {_MOST} inputs are allowed in a batch request")
        ids = [each["id"] for each in inputs if "id" in each]
        if len(ids) != len(set(ids)):
            twice = sorted({each for each in ids if ids.count(each) > 1})
            text = f"Duplicate IDs found in batch input: [{', '.join(twice)}]. IDs must be unique"
            raise Refusal(400, "VALIDATION_ERROR", text, context={"ids": twice})
        return inputs

    def _do_each(self, body: Any, act: Callable[[Mapping[str, Any]], Contact | None], *, done: int) -> Answer:
        """Each its own fate when all carry a trace id, else all or nothing."""
        before = {key: (dict(each.properties), each.is_archived) for key, each in self.contacts.items()}
        inputs = self._inputs(body)
        is_each = self.tells_each and all(given.get("objectWriteTraceId") for given in inputs)
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for given in inputs:
            try:
                contact = act(given)
            except Refusal as refusal:
                if not is_each:
                    self.contacts = {key: each for key, each in self.contacts.items() if key in before}
                    for key, each in self.contacts.items():
                        each.properties, each.is_archived = before[key]
                    raise
                context = {"objectWriteTraceId": [given["objectWriteTraceId"]]} if self.names_culprits else {}
                errors.append({**refusal.document, "context": context})
                continue
            if contact is not None:
                trace = {"objectWriteTraceId": given["objectWriteTraceId"]} if self.echoes_traces and is_each else {}
                results.append({**contact.shown(list(given["properties"])), **trace})
        answer: dict[str, Any] = {"status": "COMPLETE", "results": results}
        if errors:
            return 207, {**answer, "numErrors": len(errors), "errors": errors}
        return (done if len(results) == len(inputs) else 207), answer

    def _check(self, properties: Mapping[str, str], contact: Contact | None) -> None:
        wrong = [each for name, value in properties.items() if (each := self._complain(name, value))]
        if wrong:
            raise Refusal(400, "VALIDATION_ERROR", f"Property values were not valid: {json.dumps(wrong)}")
        if properties.get("email"):
            found = self._find(properties["email"], anyway=True)
            if found is not None and found is not contact:
                raise Refusal(409, "CONFLICT", f"Contact already exists. Existing ID: {found.id}")

    def _complain(self, name: str, value: str) -> dict[str, Any] | None:
        known = self.properties.get(name)
        if known is None:
            return _wrong(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')
        if known["modificationMetadata"]["readOnlyValue"]:
            return _wrong(name, "READ_ONLY_VALUE", f'"{name}" is a read only property; its value cannot be set.')
        assert isinstance(value, str), "HubSpot's values are texts"
        if value == "":
            return None
        if name == "email" and not _EMAIL(value.lower()):
            return _wrong(name, "INVALID_EMAIL", f"Email address {value} is invalid")
        if len(value) > _LONGEST:
            return _wrong(name, "PROPERTY_VALUE_TOO_LONG", f"{name} is longer than {_LONGEST} characters")
        options = {option["value"] for option in known["options"]}
        if options and not set(value.split(";")) <= options:
            return _wrong(name, "INVALID_OPTION", f"{value} was not one of the allowed options: {sorted(options)}")
        return _complain_of_form(known["type"], name, value)


def _complain_of_form(kind: str, name: str, value: str) -> dict[str, Any] | None:
    if kind == "number" and not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
        return _wrong(name, "INVALID_DOUBLE", f"{value} was not a valid number.")
    if kind == "date" and not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return _wrong(name, "INVALID_DATE", f"{value} was not a valid date.")
    if kind == "datetime" and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", value):
        return _wrong(name, "INVALID_DATE", f"{value} was not a valid date.")
    return None


def _wrong(name: str, code: str, message: str) -> dict[str, Any]:
    return {"isValid": False, "message": message, "error": code, "name": name}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


_CONTACTS = "/crm/v3/objects/contacts"
_READ, _WRITE = "crm.objects.contacts.read", "crm.objects.contacts.write"
_CALLS: Sequence[tuple[str, str, Callable[..., Answer]]] = (
    ("POST /oauth/v2/private-apps/get/access-token-info", "", Account.tell_scopes),
    ("GET /crm/v3/properties/contacts", _READ, Account.list_properties),
    (f"POST {_CONTACTS}/search", _READ, Account.search),
    (f"POST {_CONTACTS}/batch/read", _READ, Account.read),
    (f"POST {_CONTACTS}/batch/create", _WRITE, Account.create),
    (f"POST {_CONTACTS}/batch/update", _WRITE, Account.update),
    (f"POST {_CONTACTS}/batch/archive", _WRITE, Account.archive),
    ("POST /crm/v3/lists/search", "crm.lists.read", Account.find_lists),
    ("GET /crm/v3/lists/object-type-id/0-1/name/(?P<name>.+)", "crm.lists.read", Account.find_list),
    ("POST /crm/v3/lists/", "crm.lists.write", Account.make_list),
    (r"PUT /crm/v3/lists/(?P<list_id>\d+)/memberships/add-and-remove", "crm.lists.write", Account.change_members),
)
