"""The API described as OpenAPI: made from the endpoints' own declarations, so that it cannot say anything else.

`tests/api/test_document.py` sends requests of every kind that the document allows, and compares the answers with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema

from core.rest.auth import ANYONE_KNOWN, scope_of

_ERROR = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "fields", "request_id"],
            "additionalProperties": False,
            "properties": {
                "code": {"type": "string", "description": "For programs; never changes."},
                "message": {"type": "string", "description": "For people; says what to do."},
                "fields": {"type": "object", "additionalProperties": {"type": "string"}},
                "request_id": {"type": "string"},
            },
        }
    },
}
_FAILURES = {
    "400": "What was sent cannot be used; `fields` says which part and why.",
    "401": "There is no valid API key and nobody is signed in.",
    "403": "The key lacks the scope, or the person the role.",
    "429": "Too many requests; `Retry-After` says when to go on.",
    "default": "Any other failure, in the same shape.",
}
_NOT_FOUND = "There is no such thing."
_REFUSED = "It cannot be done as things stand; the message says why."


class DescribedEndpoint(AutoSchema):
    """How the framework describes one endpoint, with the scope that it needs."""

    def get_description(self) -> str:  # type: ignore[override]  # the package has another signature than its base
        """The method's own words, and its scope."""
        scope = scope_of(self.view, self.method)
        needs = "Needs any valid key." if scope == ANYONE_KNOWN else f"Needs the scope `{scope}`."
        method = getattr(self.view, self.method.lower())
        return f"{(method.__doc__ or '').strip()}\n\n{needs}"

    def get_summary(self) -> str:
        """Its name in words."""
        return str(self.get_operation_id()).replace("_", " ").capitalize()

    def get_extensions(self) -> dict[str, Any]:
        """The scope, for programs."""
        return {"x-scope": scope_of(self.view, self.method)}


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # an untyped package
    """API keys."""

    target_class = "core.rest.auth.KeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """A bearer token."""
        return {"type": "http", "scheme": "bearer", "description": "An API key, made on the page of API keys."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # an untyped package
    """The browser's session."""

    target_class = "core.rest.auth.BrowserAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """A cookie; what changes something brings X-CSRFToken too."""
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}


def add_failures(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A hook of the generator: every operation may fail, and all failures have one shape."""
    result.setdefault("components", {}).setdefault("schemas", {})["Error"] = _ERROR
    for path, method, found in _operations(result):
        failures = dict(_FAILURES)
        if "{" in path or method != "get":
            failures["404"] = _NOT_FOUND
        if method != "get":
            failures["409"] = _REFUSED
        for status, description in failures.items():
            content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
            found["responses"].setdefault(status, {"description": description, "content": content})
        if "304" in found["responses"]:
            found["responses"]["304"] = {"description": "What you have is what there is."}
        if "204" in found["responses"]:
            found["responses"]["204"] = {"description": "Done; there is nothing to say."}
    return result


def allow_anything(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A hook of the generator: what may be anything may be null; "one of anything and null" would refuse it."""
    for schema in _schemas(result):
        options = schema.get("oneOf", ())
        if {} in options:
            del schema["oneOf"]
    return result


@cache
def read_document() -> dict[str, Any]:
    """The document, made once by each process, since it follows from the code alone. Nobody changes what they get."""
    generator: Any = SchemaGenerator
    document: dict[str, Any] = generator().get_schema(request=None, public=True)
    return document


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, found in methods.items():
            yield path, method, found


def _schemas(part: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document, inside out."""
    if isinstance(part, dict):
        for inner in part.values():
            yield from _schemas(inner)
        yield part
    elif isinstance(part, list):
        for inner in part:
            yield from _schemas(inner)


# ---------------------------------------------------------------- for people


@dataclass(frozen=True, slots=True)
class Part:
    """A parameter, or a part of a body or an answer. `depth` tells how far inside another part it stands."""

    name: str
    kind: str
    text: str
    is_needed: bool
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a program can do."""

    id: str
    title: str
    method: str
    path: str
    text: str
    scope: str
    parameters: tuple[Part, ...]
    body: tuple[Part, ...]
    body_kind: str
    status: str
    answer: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Topic:
    """The operations on one kind of thing."""

    name: str
    title: str
    operations: tuple[Operation, ...]


_DEEPEST = 3


def describe_for_people(document: Mapping[str, Any]) -> list[Topic]:
    """The document as topics with their operations, each with its parts in lines."""
    topics: dict[str, list[Operation]] = {}
    for path, method, found in _operations(document):
        topics.setdefault(path.split("/")[3], []).append(_describe(document, path, method, found))
    return [Topic(name, name.replace("-", " ").capitalize(), tuple(made)) for name, made in sorted(topics.items())]


def _describe(document: Mapping[str, Any], path: str, method: str, found: Mapping[str, Any]) -> Operation:
    status = next(status for status in found["responses"] if status.startswith("2"))
    body_kind, body = _content(found.get("requestBody", {}))
    _, answer = _content(found["responses"][status])
    return Operation(
        id=found["operationId"],
        title=found["summary"],
        method=method.upper(),
        path=path,
        text=found["description"].partition("\n\nNeeds ")[0],
        scope="" if found["x-scope"] == ANYONE_KNOWN else found["x-scope"],
        parameters=tuple(_parameter(document, each) for each in found.get("parameters", ())),
        body=tuple(_parts(document, body)),
        body_kind=body_kind,
        status=status,
        answer=tuple(_parts(document, answer)),
    )


def _content(holder: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    for kind, content in holder.get("content", {}).items():
        return kind, content["schema"]
    return "", {}


def _parameter(document: Mapping[str, Any], given: Mapping[str, Any]) -> Part:
    place = {"path": "in the path", "header": "header", "query": "query"}[given["in"]]
    kind = f"{_kind(document, given['schema'])}, {place}"
    return Part(given["name"], kind, given.get("description", ""), given.get("required", False))


def _parts(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> Iterator[Part]:
    """A line for each property, those of its parts below it."""
    schema = _resolve(document, schema)
    if schema.get("type") == "array":
        yield from _parts(document, schema["items"], depth)
    for option in schema.get("oneOf", ()):
        yield from _parts(document, option, depth)
    for name, inner in schema.get("properties", {}).items():
        found = _resolve(document, inner)
        text = inner.get("description") or ("" if "$ref" in inner else found.get("description", ""))
        yield Part(name, _kind(document, inner), text, name in schema.get("required", ()), depth)
        if depth < _DEEPEST:
            yield from _parts(document, inner, depth + 1)


def _kind(document: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """The type of a part in a word or two."""
    schema = _resolve(document, given)
    if "enum" in schema:
        return "one of " + ", ".join(str(value) for value in schema["enum"] if value is not None)
    if "oneOf" in schema:
        return " or ".join(_kind(document, option) for option in schema["oneOf"])
    kind = schema.get("type", "any")
    kinds = [each for each in kind if each != "null"] if isinstance(kind, list) else [kind]
    word = "list of " + _kind(document, schema["items"]) if kinds == ["array"] else schema.get("format") or kinds[0]
    return f"{word} or null" if isinstance(kind, list) and "null" in kind else str(word)


def _resolve(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that is meant, where it is named by a reference, alone or beside a description."""
    whole = schema.get("allOf", [schema])[0] if len(schema.get("allOf", ())) == 1 else schema
    if "$ref" not in whole:
        return whole
    found: Mapping[str, Any] = document["components"]["schemas"][whole["$ref"].rpartition("/")[2]]
    return found
