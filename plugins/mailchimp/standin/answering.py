"""What the stand-in answers to each call, and what it does to what it remembers.

`answer` is the whole API: a request in, (status, document) out, errors as `Refusal`. It knows nothing of HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from plugins.mailchimp.changes import hash_email
from plugins.mailchimp.standin import rules
from plugins.mailchimp.standin.operations import BODIES, QUERIES
from plugins.mailchimp.standin.rules import Refusal, invalid
from plugins.mailchimp.standin.store import Store, now

_LEFT = ("unsubscribed", "cleaned")  # whoever is one of these is subscribed again by nobody but themselves
_MOST_TAGS = 50

Answer = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One call: its parts of the path by name, its query and its body."""

    store: Store
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = None

    @property
    def list_id(self) -> str:
        return self.path["list_id"]

    @property
    def hash(self) -> str:
        """The member's hash; the path may hold the address instead."""
        text = self.path["subscriber_hash"]
        return hash_email(text) if "@" in text else text.lower()

    @property
    def page(self) -> tuple[int, int]:
        """How many items are asked for (at most 1,000), and from which place on."""
        count, offset = self.query.get("count", "10"), self.query.get("offset", "0")
        if not (count.isdecimal() and offset.isdecimal() and int(count) <= 1000):
            raise invalid([("count", "Must be a number of at most 1000.")])
        return int(count), int(offset)

    def flag(self, name: str) -> bool:
        """A parameter that is true or false."""
        return self.query.get(name, "false") == "true"

    def merge_fields(self) -> list[dict[str, Any]]:
        """The audience's merge fields. Raises `Refusal` when there is no such audience."""
        found = self.store.merge_fields(self.list_id)
        if found is None:
            raise _missing()
        return found

    def member(self) -> dict[str, Any]:
        """The member. Raises `Refusal` when there is none."""
        self.merge_fields()
        found = self.store.member(self.list_id, self.hash)
        if found is None:
            raise _missing()
        return found


def answer(store: Store, method: str, path: str, query: Mapping[str, str], body: Any) -> Answer:
    """Do what a call asks for, and answer it. Raises `Refusal`."""
    known = False
    for operation, (pattern, act) in _OPERATIONS.items():
        found = pattern.fullmatch(path)
        if found is None:
            continue
        known = True
        if operation.split()[0] != method:
            continue
        if operation in BODIES:
            rules.check_body(operation, body)
        if operation in QUERIES:
            rules.check_query(operation, query)
        with store.transaction():
            status, document = act(Request(store, found.groupdict(), query, body))
        return status, _only(query.get("fields", ""), document)
    if known:
        raise Refusal(405, "Method Not Allowed", "The requested method and resource are not compatible.")
    raise _missing()


def _only(fields: str, document: Any) -> Any:
    """The part of a document that was asked for: names with dots, also into the items of a list. All without any."""
    if not fields or not isinstance(document, dict):
        return document
    shown: dict[str, Any] = {}
    wanted: dict[str, list[str]] = {}
    for field in fields.split(","):
        name, _, rest = field.partition(".")
        wanted.setdefault(name, []).append(rest)
    for name, below in wanted.items():
        if name not in document:
            continue
        inner, deeper = document[name], "" if "" in below else ",".join(below)
        items = [_only(deeper, item) for item in inner] if isinstance(inner, list) else None
        shown[name] = _only(deeper, inner) if items is None else items
    return shown


# ---------------------------------------------------------------- the account and its audiences


def _ping(request: Request) -> Answer:
    return 200, {"health_status": "Everything's Chimpy!"}


def _lists(request: Request) -> Answer:
    found = [_show_list(row) for row in request.store.lists()]
    return 200, {"lists": found, "total_items": len(found)}


def _list(request: Request) -> Answer:
    request.merge_fields()
    return 200, next(_show_list(row) for row in request.store.lists() if row["id"] == request.list_id)


def _show_list(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": row["id"], "name": row["name"], "stats": {"member_count": row["members"]}}


def _get_merge_fields(request: Request) -> Answer:
    found = request.merge_fields()
    count, offset = request.page
    return 200, {
        "merge_fields": found[offset : offset + count],
        "list_id": request.list_id,
        "total_items": len(found),
    }


def _add_merge_field(request: Request) -> Answer:
    known, given = request.merge_fields(), request.body
    number = len(known) + 1
    tag = str(given.get("tag") or f"MMERGE{number}").upper()
    if any(field["tag"] == tag for field in known):
        raise Refusal(400, "Invalid Resource", f"A Merge Field with the tag {tag} already exists for this list.")
    field = {
        "merge_id": number,
        "tag": tag,
        "name": given["name"],
        "type": given["type"],
        "required": bool(given.get("required")),
        "display_order": number + 1,
        "options": given.get("options") or {},
        "list_id": request.list_id,
    }
    request.store.set_merge_fields(request.list_id, [*known, field])
    return 200, field


# ---------------------------------------------------------------- members


def _get_members(request: Request) -> Answer:
    request.merge_fields()
    count, offset = request.page
    query = request.query
    found, total = request.store.members(
        request.list_id,
        status=query.get("status", ""),
        since=_as_stored(query.get("since_last_changed", "")),
        before=_as_stored(query.get("before_last_changed", "")),
        sort=query.get("sort_field", ""),
        descending=query.get("sort_dir") == "DESC",
        limit=count,
        offset=offset,
    )
    shown = [_show(request, member) for member in found]
    return 200, {"members": shown, "list_id": request.list_id, "total_items": total}


def _as_stored(text: str) -> str:
    """A time of a query as the store writes it."""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="seconds") if text else ""


def _get_member(request: Request) -> Answer:
    return 200, _show(request, request.member())


def _add_member(request: Request) -> Answer:
    known = request.merge_fields()
    found = request.store.member(request.list_id, hash_email(request.body["email_address"]))
    if found is not None and found["status"] != "archived":
        raise _exists(request.body["email_address"])
    return 200, _show(request, _write(request, known, found, request.body))


def _put_member(request: Request) -> Answer:
    known = request.merge_fields()
    found = request.store.member(request.list_id, request.hash)
    return 200, _show(request, _write(request, known, found, request.body))


def _patch_member(request: Request) -> Answer:
    found = request.member()
    return 200, _show(request, _write(request, request.merge_fields(), found, request.body))


def _delete_member(request: Request) -> Answer:
    member = request.member()
    if member["status"] in ("archived", "cleaned", "pending"):
        text = "Can not archive a contact that is bounced, pending or archived."
        raise Refusal(405, "Method Not Allowed", text)
    archived = {**member, "status": "archived", "was": member["status"]}
    request.store.save_member(request.list_id, member["hash"], archived)
    return 204, None


def _forget_member(request: Request) -> Answer:
    request.store.forget(request.list_id, request.member()["hash"])
    return 204, None


def _write(
    request: Request, known: list[dict[str, Any]], found: Mapping[str, Any] | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Write what a body says into a member, `found` or new. Raises `Refusal`."""
    email = str(given.get("email_address") or (found["email"] if found else ""))
    hash_ = hash_email(email)
    if found is None or hash_ != found["hash"]:
        rules.check_email(email)
        if request.store.is_forgotten(request.list_id, hash_):
            text = f"{email} was permanently deleted and cannot be re-imported. The contact must re-subscribe to get back on the list."  # noqa: E501  as one line
            raise Refusal(400, "Forgotten Email Not Subscribed", text)
        if request.store.member(request.list_id, hash_) is not None:
            raise _exists(email)
    values = rules.read_merge_fields(
        known,
        given.get("merge_fields") or {},
        skip_required=request.flag("skip_merge_validation"),
        is_new=found is None,
    )
    status = _next_status(email, found, given)
    member: dict[str, Any] = dict(found) if found else {}
    member |= {"email": email, "hash": hash_, "status": status}
    member["merge_fields"] = {**(found["merge_fields"] if found else {}), **values}
    member["vip"] = given.get("vip", member.get("vip", False))
    request.store.save_member(request.list_id, found["hash"] if found else hash_, member)
    return request.store.member(request.list_id, hash_) or member


def _next_status(email: str, found: Mapping[str, Any] | None, given: Mapping[str, Any]) -> str:
    asked = given.get("status")
    if found is None:
        status = asked or given.get("status_if_new")
        if not status:
            raise invalid([("status", "Status is required for a new member.")])
        return str(status)
    before = found["was"] if found["status"] == "archived" else found["status"]
    if asked == "subscribed" and before in _LEFT:
        text = f"{email} is in a compliance state due to unsubscribe, bounce, or compliance review and cannot be subscribed."  # noqa: E501  as one line
        raise Refusal(400, "Member In Compliance State", text)
    return str(asked or found["status"])


def _add_members(request: Request) -> Answer:
    """The call for many: each has its own fate."""
    known = request.merge_fields()
    created: list[dict[str, Any]] = []
    updated: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    seen: set[str] = set()
    for given in request.body["members"]:
        email = str(given.get("email_address") or "")
        found = request.store.member(request.list_id, hash_email(email))
        try:
            if hash_email(email) in seen and not request.flag("skip_duplicate_check"):
                raise Refusal(400, "Duplicate", f"Duplicate items found for {email}.")
            if found is not None and found["status"] != "archived" and not request.body.get("update_existing"):
                errors.append(_bulk_error(email, _exists(email), code="ERROR_CONTACT_EXISTS"))
                continue
            written = _show(request, _write(request, known, found, given))
        except Refusal as refusal:
            errors.append(_bulk_error(email, refusal, code="ERROR_GENERIC"))
            continue
        seen.add(hash_email(email))
        (updated if found else created).append(written)
    return 200, {
        "new_members": created,
        "updated_members": updated,
        "errors": errors,
        "total_created": len(created),
        "total_updated": len(updated),
        "error_count": len(errors),
    }


def _bulk_error(email: str, refusal: Refusal, *, code: str) -> dict[str, str]:
    field, message = refusal.errors[0] if refusal.errors else ("", "")
    found = {"email_address": email, "error": refusal.detail, "error_code": code}
    return {**found, "field": field, "field_message": message}


def _show(request: Request, member: Mapping[str, Any]) -> dict[str, Any]:
    tags = request.store.tags(request.list_id, member["hash"])
    values = member["merge_fields"]
    return {
        "id": member["hash"],
        "email_address": member["email"],
        "full_name": " ".join(str(values[tag]) for tag in ("FNAME", "LNAME") if values.get(tag)),
        "status": member["status"],
        "merge_fields": {field["tag"]: values.get(field["tag"], "") for field in request.merge_fields()},
        "last_changed": member.get("last_changed") or now(),
        "timestamp_opt": member.get("joined") or now(),
        "member_rating": 2,
        "vip": bool(member.get("vip")),
        "tags_count": len(tags),
        "tags": [{"id": tag["id"], "name": tag["name"]} for tag in tags[:_MOST_TAGS]],
        "list_id": request.list_id,
        **({"unsubscribe_reason": member["reason"]} if member.get("reason") else {}),
    }


# ---------------------------------------------------------------- tags and events


def _get_tags(request: Request) -> Answer:
    found = request.store.tags(request.list_id, request.member()["hash"])
    count, offset = request.page
    return 200, {"tags": found[offset : offset + count], "total_items": len(found)}


def _post_tags(request: Request) -> Answer:
    member = request.member()
    is_syncing = bool(request.body.get("is_syncing"))
    for tag in request.body["tags"]:
        active = tag["status"] == "active"
        request.store.set_tag(request.list_id, member["hash"], tag["name"], active=active, is_syncing=is_syncing)
    request.store.touch(request.list_id, member["hash"])
    return 204, None


def _find_tags(request: Request) -> Answer:
    request.merge_fields()
    found = request.store.find_tags(request.list_id, request.query.get("name", ""))
    return 200, {"tags": found, "total_items": len(found)}


def _get_events(request: Request) -> Answer:
    member = request.member()
    count, offset = request.page
    found = request.store.events(request.list_id, hash_=member["hash"], newest_first=True)
    shown = [
        {
            "occurred_at": row["body"].get("occurred_at") or row["received_at"],
            "name": row["body"]["name"],
            "properties": row["body"].get("properties") or {},
        }
        for row in found[offset : offset + count]
    ]
    return 200, {"events": shown, "total_items": len(found)}


def _post_event(request: Request) -> Answer:
    request.store.add_event(request.list_id, request.member()["hash"], request.body)
    return 204, None


def _missing() -> Refusal:
    return Refusal(404, "Resource Not Found", "The requested resource could not be found.")


def _exists(email: str) -> Refusal:
    text = f"{email} is already a list member. Use PUT to insert or update list members."
    return Refusal(400, "Member Exists", text)


_MEMBER = "/lists/{list_id}/members/{subscriber_hash}"
_ACTS: Mapping[str, Callable[[Request], Answer]] = {
    "GET /ping": _ping,
    "GET /lists": _lists,
    "GET /lists/{list_id}": _list,
    "POST /lists/{list_id}": _add_members,
    "GET /lists/{list_id}/merge-fields": _get_merge_fields,
    "POST /lists/{list_id}/merge-fields": _add_merge_field,
    "GET /lists/{list_id}/tag-search": _find_tags,
    "GET /lists/{list_id}/members": _get_members,
    "POST /lists/{list_id}/members": _add_member,
    f"GET {_MEMBER}": _get_member,
    f"PUT {_MEMBER}": _put_member,
    f"PATCH {_MEMBER}": _patch_member,
    f"DELETE {_MEMBER}": _delete_member,
    f"GET {_MEMBER}/tags": _get_tags,
    f"POST {_MEMBER}/tags": _post_tags,
    f"GET {_MEMBER}/events": _get_events,
    f"POST {_MEMBER}/events": _post_event,
    f"POST {_MEMBER}/actions/delete-permanent": _forget_member,
}
_OPERATIONS: Mapping[str, tuple[re.Pattern[str], Callable[[Request], Answer]]] = {
    operation: (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", operation.split()[1])), act)
    for operation, act in _ACTS.items()
}
