"""What every endpoint is made of: a scope for each method, and a declaration of each operation.

    class Apps(Endpoint):
        required_scope = scopes_of("apps")

        @operation("list_apps", query=PageQuery, answers=AppAnswer, is_page=True)
        def get(self, request: Request) -> Response: ...

The declaration is what the OpenAPI document shows. It also gives creates their Idempotency-Key and single reads their
ETag.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from hashlib import sha256
from typing import Any, TypeVar

from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.lib.errors import NotFound
from core.lib.storable import find_problem_in_text
from core.rest import idempotency
from core.rest.reading import Body, Query
from core.rest.rendering import JsonRenderer

Method = TypeVar("Method", bound=Callable[..., HttpResponseBase])
Answer = serializers.Serializer[Any]

_KEY_PARAMETER = OpenApiParameter(
    idempotency.HEADER,
    {"type": "string", "minLength": 1, "maxLength": idempotency.LONGEST, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="Name this request, such as by a UUID: sent again within 24 hours it is answered as the first time.",
)
_ETAG_PARAMETER = OpenApiParameter(
    "If-None-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag of the answer you have: 304 without a body when nothing changed.",
)


class Endpoint(APIView):
    """An address of the API. Subclasses set `required_scope` and decorate each method with `operation`."""

    required_scope: str | dict[str, str]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """After the caller was let in: nothing has a name that cannot be stored."""
        super().initial(request, *args, **kwargs)
        if any(isinstance(value, str) and find_problem_in_text(value) for value in kwargs.values()):
            raise NotFound("There is nothing of this name.")


def scopes_of(topic: str) -> dict[str, str]:
    """Reading needs the topic's read scope, everything else its write scope."""
    return {"GET": f"{topic}:read", **dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), f"{topic}:write")}


def operation(
    name: str,
    *,
    answers: type[Answer] | Any = None,
    status: int = 200,
    body: type[Body] | Any = None,
    query: type[Query] | None = None,
    is_page: bool = False,
    is_list: bool = False,
    is_one: bool = False,
    is_create: bool = False,
    media_type: str = "application/json",
) -> Callable[[Method], Method]:
    """Declare one method of an endpoint.

    `answers` is what an answer of `status` holds; with `is_page` a page of them, with `is_list` all of them. `is_one`
    gives a read its ETag, `is_create` takes an Idempotency-Key.
    """
    parameters: list[Any] = [query] if query is not None else []
    parameters += [_KEY_PARAMETER] * is_create + [_ETAG_PARAMETER] * is_one
    shape = _page_of(answers) if is_page else _list_of(answers) if is_list else answers
    responses: dict[Any, Any] = {(status, media_type) if answers is not None else status: shape}
    if is_one:
        responses[304] = None

    def decorate(method: Method) -> Method:
        @wraps(method)
        def called(view: Any, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if is_create:
                return idempotency.answer_once(request, lambda: method(view, request, *args, **kwargs))
            response = method(view, request, *args, **kwargs)
            return _tag(request, response) if is_one and isinstance(response, Response) else response

        declare = extend_schema(operation_id=name, request=body, responses=responses, parameters=parameters)
        declared: Any = declare(called)
        return declared  # type: ignore[no-any-return]  # has the method's own signature

    return decorate


def _tag(request: Request, response: Response) -> HttpResponseBase:
    etag = f'"{sha256(JsonRenderer().render(response.data)).hexdigest()[:32]}"'
    response["ETag"] = etag
    found = get_conditional_response(request, etag=etag, response=response)
    return response if found is None else found


@cache
def _page_of(answer: type[Answer]) -> Answer:
    link: dict[str, Any] = {"allow_null": True, "help_text": "The address of that page; null when there is none."}
    return inline_serializer(
        f"{answer.__name__}Page",
        {"next": serializers.URLField(**link), "previous": serializers.URLField(**link), "results": answer(many=True)},
    )


@cache
def _list_of(answer: type[Answer]) -> Answer:
    return inline_serializer(f"{answer.__name__}List", {"results": answer(many=True)})
