"""Calls to HubSpot's CRM API by its official client, and what its answers mean.

One `Line` is one pool of kept connections of one access token. Whatever goes wrong on it leaves as one of

    Problem      HubSpot refused this very request, with a reason: the caller decides
    Retry, Halt  as everywhere

The official client has a connection pool for each of its parts, follows redirects, and reads headers in a way that
urllib3 is giving up, so the one place in which it makes a request is replaced here; paths, parameters and
authentication stay its own. Answers stay the JSON that they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import certifi
import urllib3
from hubspot import HubSpot

from core.lib.hosts import is_private
from core.lib.pauses import read_retry_after
from plugins.contracts import Halt, Reject, Retry

CONNECT_SECONDS = 8.0
ANSWER_SECONDS = 30.0

_HUBSPOT = "https://api.hubapi.com"
_TOKEN_INFO = "/oauth/v2/private-apps/get/access-token-info"  # noqa: S105  a path
_WRONG_TOKEN = "HubSpot does not accept the access token: copy it anew from HubSpot and put it into the App."  # noqa: S105  a sentence
_INTERVAL = 10.0  # seconds over which HubSpot counts calls when it does not say so
_LOCKED = 2.0  # seconds for which HubSpot locks what it is writing
_TOMORROW = 3600.0  # until the next try once a day's calls are used up; the day ends at the account's own midnight
_EXISTING_ID = re.compile(r"Existing ID: ?([0-9]+)").search
_SETTINGS = {"PROPERTY_DOESNT_EXIST", "READ_ONLY_VALUE"}  # at fault are the export's settings, not a person's data


class Problem(Exception):
    """Something that HubSpot refused: a whole call, or one contact of a call for many."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        self.status = status
        self.document = document
        self.category = str(document.get("category") or "")
        self.message = str(document.get("message") or "")
        self.details = list(_read_details(self.message))  # what is said of each property
        super().__init__(self.explain())

    @property
    def existing_id(self) -> str:
        """The contact that has the address already, where that is what is wrong."""
        found = _EXISTING_ID(self.message)
        return found[1] if found else ""

    def explain(self) -> str:
        """The refusal in plain words."""
        texts = [str(detail.get("message") or detail.get("error") or "") for detail in self.details]
        texts = [text for text in texts if text] or [self.message or f"status {self.status}"]
        return f"HubSpot refused this: {'; '.join(text.rstrip('.') for text in texts)[:400]}."

    def meaning(self) -> Reject | Halt:
        """What happens next, when the caller knows nothing better."""
        if any(detail.get("error") in _SETTINGS for detail in self.details):
            return Halt(f"{self.explain()} Mend the property at HubSpot, or take it out of the export.")
        return Reject(self.explain())


class Line:
    """The calls of one App. Made without connecting."""

    def __init__(self, *, token: str, server_url: str, private_hosts_allowed: bool) -> None:
        self._token = token
        self._base = _base(token, server_url, private_hosts_allowed=private_hosts_allowed)
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=1, retries=False, ca_certs=certifi.where())
        crm = HubSpot(access_token=token, api_factory=self._make_api).crm
        self.contacts = crm.contacts.batch_api
        self.searches = crm.contacts.search_api
        self.properties = crm.properties.core_api
        self.lists = crm.lists.lists_api
        self.memberships = crm.lists.memberships_api

    def call(self, method: Callable[..., Any], *args: Any, **parameters: Any) -> dict[str, Any]:
        """The JSON object that one call gives, empty when the answer has no body. Raises as the module says."""
        answer: dict[str, Any] = method(*args, **parameters, _preload_content=False)  # ours, as it is
        return answer

    def read_scopes(self) -> set[str]:
        """What the access token allows. Raises as the module says."""
        answer = self.call(
            self.contacts.api_client.call_api,
            _TOKEN_INFO,
            "POST",
            header_params={"Content-Type": "application/json", "Accept": "application/json"},
            body={"tokenKey": self._token},
            auth_settings=["oauth2"],
        )
        return {str(scope) for scope in answer.get("scopes") or ()}

    def close(self) -> None:
        """Give the connections back; safe to call twice."""
        self._pool.clear()

    def _make_api(self, package: Any, name: str, config: Mapping[str, Any]) -> Any:
        """One part of the official client, over our own connections."""
        client = package.ApiClient(package.Configuration(host=self._base))
        client.configuration.access_token = config["access_token"]
        client.user_agent = "Grouparoo"
        client.request = self._request
        return getattr(package, name)(api_client=client)

    def _request(
        self, method: str, url: str, query_params: Any = None, headers: Any = None, body: Any = None, **more: Any
    ) -> dict[str, Any]:
        if query_params:
            url = f"{url}?{urlencode(query_params)}"
        try:
            response = self._pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS),
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            cause = _read_cause(error)
        else:
            return read_answer(response.status, response.headers, response.data)
        raise cause


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The JSON object of a success. Raises what any other answer means."""
    document = _read_object(body)
    if 200 <= status < 300:
        if document is None and body:
            raise Retry("HubSpot answered something that is not JSON.")
        return document or {}
    raise _read_error(status, headers, document)


def _base(token: str, server_url: str, *, private_hosts_allowed: bool) -> str:
    if not token or not token.isascii() or not token.isprintable():
        raise Halt("The App has no access token, or one with strange letters: make one at HubSpot and put it in.")
    if not server_url:
        return _HUBSPOT
    if not server_url.startswith(("http://", "https://")):
        raise Halt("The server's address has to begin with http:// or https://.")
    if not private_hosts_allowed and is_private(server_url):
        raise Halt(
            "The server's address is inside a private network. Whoever runs this installation can allow that by"
            " setting GROUPAROO_ALLOW_PRIVATE_HOSTS."
        )
    return server_url.rstrip("/")


def _read_object(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _read_details(message: str) -> Iterator[Mapping[str, Any]]:
    """The JSON list that ends messages such as “Property values were not valid: [{…}]”."""
    start = message.find("[{")
    try:
        found = json.loads(message[start:]) if start >= 0 else []
    except ValueError:
        found = []
    return (each for each in found if isinstance(each, dict))


def _read_cause(error: urllib3.exceptions.HTTPError) -> Exception:
    """The meaning of a call that got no answer; nothing of the request hangs on to it."""
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return Retry("HubSpot did not answer in time.")
    if isinstance(error, urllib3.exceptions.LocationValueError):
        return Halt("The server's address is not one that can be called.")
    if isinstance(error, urllib3.exceptions.SSLError):
        return Retry("HubSpot's certificate could not be checked.")
    return Retry("HubSpot cannot be reached, or cut the connection.")


def _read_error(status: int, headers: Mapping[str, str], document: Mapping[str, Any] | None) -> Exception:
    after = read_retry_after(headers.get("Retry-After", ""))
    if status == 401:
        return Halt(_WRONG_TOKEN)
    if status == 429:
        return _read_limit(headers, document or {}, after)
    if status in (423, 477):
        return Retry(f"HubSpot is busy with this account (status {status}).", after=_LOCKED if after is None else after)
    if status >= 500:
        return Retry(f"HubSpot has a problem of its own (status {status}).", after=after)
    if document is None:
        return Retry(f"HubSpot answered with status {status} and something that is not JSON.", after=after)
    if status == 403:
        return Halt(_explain_scopes(document))
    return Problem(status, document)


def _read_limit(headers: Mapping[str, str], document: Mapping[str, Any], after: float | None) -> Retry:
    if document.get("policyName") == "DAILY":
        return Retry(
            "The HubSpot account has used up its calls of today. Sending goes on by itself when HubSpot's day is over;"
            " export less often, or get a higher limit from HubSpot.",
            after=_TOMORROW if after is None else after,
        )
    if after is None:
        interval = headers.get("X-HubSpot-RateLimit-Interval-Milliseconds", "")
        after = int(interval) / 1000 if interval.isdecimal() else _INTERVAL
    return Retry("HubSpot asks for fewer calls (status 429).", after=after)


def _explain_scopes(document: Mapping[str, Any]) -> str:
    contexts = [document.get("context"), *(each.get("context") for each in document.get("errors") or ())]
    scopes = [
        str(scope)
        for context in contexts
        if isinstance(context, dict)
        for key in ("missingScopes", "requiredGranularScopes", "requiredScopes")
        for scope in context.get(key) or ()
    ]
    if scopes:
        named = " or ".join(dict.fromkeys(scopes))
        return f"The access token lacks a scope: give the private app at HubSpot {named}."
    return f"HubSpot does not allow this: {str(document.get('message') or 'status 403')[:300].rstrip('.')}."
