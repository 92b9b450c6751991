"""What Mailchimp's Marketing API takes and answers, as far as the stand-in plays it: JSON Schemas, written by hand.

The facts (names, types, enumerations, what is required) are those of Mailchimp's description of its API, version
3.0.55; limits that it only states in words (500 members, names of 2 to 30 characters) are in here too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional")
FIELD_TYPES = (
    "text", "number", "address", "phone", "date", "url", "imageurl", "radio", "dropdown", "birthday", "zip",
)  # fmt: skip

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer"}
_FLAG: Schema = {"type": "boolean"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_STATUS: Schema = {"type": "string", "enum": list(STATUSES)}


def _object(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


_WRITTEN: Mapping[str, Schema] = {
    "email_address": _TEXT,
    "email_type": _TEXT,
    "status": _STATUS,
    "merge_fields": {"type": "object"},
    "interests": {"type": "object", "additionalProperties": _FLAG},
    "language": _TEXT,
    "vip": _FLAG,
    "location": _object(latitude=_NUMBER, longitude=_NUMBER),
    "ip_signup": _TEXT,
    "timestamp_signup": _TIME,
    "ip_opt": _TEXT,
    "timestamp_opt": _TIME,
}
_PERMISSIONS = _list(_object(marketing_permission_id=_TEXT, enabled=_FLAG))
_EVENT_NAME: Schema = {"type": "string", "minLength": 2, "maxLength": 30}

_MEMBER = _object(
    id=_TEXT,
    email_address=_TEXT,
    full_name=_TEXT,
    status={"type": "string", "enum": [*STATUSES, "archived"]},
    unsubscribe_reason=_TEXT,
    merge_fields={"type": "object"},
    last_changed=_TIME,
    timestamp_opt=_TIME,
    member_rating=_COUNT,
    vip=_FLAG,
    tags_count=_COUNT,
    tags=_list(_object(id=_COUNT, name=_TEXT)),
    list_id=_TEXT,
)
_MERGE_FIELD = _object(
    merge_id=_COUNT,
    tag=_TEXT,
    name=_TEXT,
    type={"type": "string", "enum": list(FIELD_TYPES)},
    required=_FLAG,
    display_order=_COUNT,
    options=_object(phone_format=_TEXT, date_format=_TEXT, choices=_list(_TEXT), size=_COUNT),
    list_id=_TEXT,
)
_BULK_ERROR = _object(
    email_address=_TEXT,
    error=_TEXT,
    error_code={"type": "string", "enum": ["ERROR_CONTACT_EXISTS", "ERROR_GENERIC"]},
    field=_TEXT,
    field_message=_TEXT,
)

_SORTS = ("timestamp_opt", "timestamp_signup", "last_changed")
QUERIES: Mapping[str, Mapping[str, Sequence[str]]] = {  # the parameters of an operation; of some every value there is
    "GET /lists/{list_id}/members": {
        "fields": (), "exclude_fields": (), "count": (), "offset": (), "email_type": (),
        "status": (*STATUSES, "archived"),
        "since_timestamp_opt": (), "before_timestamp_opt": (), "since_last_changed": (), "before_last_changed": (),
        "unique_email_id": (), "vip_only": (), "interest_category_id": (), "interest_ids": (),
        "interest_match": ("any", "all", "none"), "sort_field": _SORTS, "sort_dir": ("ASC", "DESC"),
        "since_last_campaign": (), "unsubscribed_since": (),
    },
    "GET /lists/{list_id}/members/{subscriber_hash}": {"fields": (), "exclude_fields": ()},
    "GET /lists/{list_id}/members/{subscriber_hash}/tags": {
        "fields": (), "exclude_fields": (), "count": (), "offset": ()
    },
}  # fmt: skip

BODIES: Mapping[str, Schema] = {
    "POST /lists/{list_id}": _object(
        "members",
        members=_list(_object(**_WRITTEN), maxItems=500),
        sync_tags=_FLAG,
        update_existing=_FLAG,
    ),
    "POST /lists/{list_id}/members": _object(
        "email_address", "status", **_WRITTEN, marketing_permissions=_PERMISSIONS, tags=_list(_TEXT)
    ),
    "PUT /lists/{list_id}/members/{subscriber_hash}": _object(
        "email_address", "status_if_new", **_WRITTEN, status_if_new=_STATUS, marketing_permissions=_PERMISSIONS
    ),
    "PATCH /lists/{list_id}/members/{subscriber_hash}": _object(
        **{**_WRITTEN, "status": {**_STATUS, "enum": ["subscribed", "unsubscribed", "cleaned", "pending"]}},
        marketing_permissions=_PERMISSIONS,
    ),
    "POST /lists/{list_id}/members/{subscriber_hash}/tags": _object(
        "tags",
        tags=_list(_object("name", "status", name=_TEXT, status={"type": "string", "enum": ["inactive", "active"]})),
        is_syncing=_FLAG,
    ),
    "POST /lists/{list_id}/members/{subscriber_hash}/events": _object(
        "name",
        name=_EVENT_NAME,
        properties={"type": "object", "additionalProperties": _TEXT},
        is_syncing=_FLAG,
        occurred_at=_TIME,
    ),
    "POST /lists/{list_id}/merge-fields": _object(
        "name",
        "type",
        tag={"type": "string", "maxLength": 10},
        name=_TEXT,
        type={"type": "string", "enum": list(FIELD_TYPES)},
        required=_FLAG,
        default_value=_TEXT,
        public=_FLAG,
        display_order=_COUNT,
        options=_object(phone_format=_TEXT, date_format=_TEXT, choices=_list(_TEXT), size=_COUNT),
        help_text=_TEXT,
    ),
}

ANSWERS: Mapping[str, Schema] = {
    "GET /lists/{list_id}": _object(id=_TEXT, name=_TEXT, stats=_object(member_count=_COUNT)),
    "POST /lists/{list_id}": _object(
        new_members=_list(_MEMBER),
        updated_members=_list(_MEMBER),
        errors=_list(_BULK_ERROR),
        total_created=_COUNT,
        total_updated=_COUNT,
        error_count=_COUNT,
    ),
    "GET /lists/{list_id}/members": _object(members=_list(_MEMBER), list_id=_TEXT, total_items=_COUNT),
    "POST /lists/{list_id}/members": _MEMBER,
    "GET /lists/{list_id}/members/{subscriber_hash}": _MEMBER,
    "PUT /lists/{list_id}/members/{subscriber_hash}": _MEMBER,
    "PATCH /lists/{list_id}/members/{subscriber_hash}": _MEMBER,
    "GET /lists/{list_id}/members/{subscriber_hash}/tags": _object(
        tags=_list(_object(id=_COUNT, name=_TEXT, date_added=_TIME)), total_items=_COUNT
    ),
    "GET /lists/{list_id}/members/{subscriber_hash}/events": _object(
        events=_list(_object(occurred_at=_TIME, name=_TEXT, properties={"type": "object"})), total_items=_COUNT
    ),
    "GET /lists/{list_id}/merge-fields": _object(
        merge_fields=_list(_MERGE_FIELD), list_id=_TEXT, total_items=_COUNT
    ),
    "POST /lists/{list_id}/merge-fields": _MERGE_FIELD,
    "GET /lists/{list_id}/tag-search": _object(tags=_list(_object(id=_COUNT, name=_TEXT)), total_items=_COUNT),
}  # fmt: skip

PROBLEM = _object(
    "type", "title", "status", "detail", "instance",
    type=_TEXT, title=_TEXT, status=_COUNT, detail=_TEXT, instance=_TEXT,
    errors=_list(_object("field", "message", field=_TEXT, message=_TEXT)),
)  # fmt: skip
