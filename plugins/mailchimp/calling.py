"""Calls to Mailchimp's Marketing API by its official client, and what its answers mean.

One `Line` is one pool of kept connections of one key. Whatever goes wrong on it leaves as one of

    Problem      Mailchimp refused this very request, with a reason: the caller decides by `status` and `title`
    Down         it can take nothing just now (throttled, unreachable): further calls are of no use for a while
    Retry, Halt  as everywhere

The official client drops the headers of an error and takes an empty 403 for a success, so the one place in which it
makes a request is overridden here; paths, parameters and authentication stay its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import requests
from mailchimp_marketing import ApiClient
from mailchimp_marketing.api.lists_api import ListsApi
from mailchimp_marketing.api.ping_api import PingApi
from mailchimp_marketing.api_client import ApiClientError
from requests.adapters import HTTPAdapter

from core.lib.hosts import is_private
from core.lib.pauses import read_retry_after
from plugins.contracts import Halt, Reject, Retry
from plugins.lanes import Down

THREADS = 8  # calls at the same time; Mailchimp allows an account ten, and people look at pages meanwhile
CONNECT_SECONDS = 8.0
ANSWER_SECONDS = 30.0

_DATA_CENTRE = re.compile(r"[^-\s]+-([a-z]{2,4}[0-9]{1,3})").fullmatch
_LIST_ID = re.compile(r"[A-Za-z0-9_]{1,40}").fullmatch
_WRONG_KEY = "Mailchimp does not accept the API key: make a new one at Mailchimp and put it into the App."


class AudienceGone(Halt):
    """The audience does not exist any more at Mailchimp: choose another one."""


class Problem(Exception):
    """A request that Mailchimp refused, in the words of its problem document."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        self.status = status
        self.title = str(document.get("title") or "")
        self.detail = str(document.get("detail") or "")
        self.fields = [
            (str(each.get("field") or ""), str(each.get("message") or ""))
            for each in document.get("errors") or ()
            if isinstance(each, dict)
        ]
        super().__init__(self.explain())

    def explain(self) -> str:
        """The refusal in plain words, with the fields at fault."""
        fields = "; ".join(f"{field}: {message}" if field else message for field, message in self.fields)
        said = ": ".join(part.rstrip(".") for part in (self.detail or self.title, fields) if part)
        return f"Mailchimp refused this: {said or f'status {self.status}'}."

    def meaning(self) -> Reject | Halt | Retry:
        """What happens next, when the caller knows nothing better."""
        if self.status == 401:
            return Halt(_WRONG_KEY)
        if self.status == 403:
            return Halt(f"{self.explain()} The API key may not do this: use one with more rights.")
        return Reject(self.explain())


class _Client(ApiClient):  # type: ignore[misc]  # the official client has no types
    """The official client over one session; no answer but a success comes back from it."""

    def __init__(self, key: str, base: str) -> None:
        super().__init__({"api_key": key, "timeout": (CONNECT_SECONDS, ANSWER_SECONDS)})
        self.host = base
        self.server = ""  # it would replace the word "server" anywhere in the address
        self.session = requests.Session()
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=THREADS, pool_block=True)
        self.session.mount("https://", adapter)
        self.session.mount("http://", adapter)

    def request(
        self, method: str, url: str, query_params: Any = None, headers: Any = None, body: Any = None
    ) -> requests.Response:
        response = self.session.request(
            method,
            url,
            params=query_params,
            headers=headers,
            data=None if body is None else json.dumps(body).encode(),
            auth=("grouparoo", self.api_key),
            timeout=self.timeout,
            allow_redirects=False,
        )
        if not 200 <= response.status_code < 300:
            raise _read_error(response)
        return response


class Line:
    """The calls of one App. Made without connecting; may be used by several threads."""

    def __init__(self, *, key: str, server_url: str, private_hosts_allowed: bool) -> None:
        self._client = _Client(key, _base(key, server_url, private_hosts_allowed=private_hosts_allowed))
        self.lists = ListsApi(self._client)
        self.ping = PingApi(self._client)

    def call(self, method: Callable[..., Any], *args: Any, **parameters: Any) -> dict[str, Any]:
        """The JSON object that one call gives, empty when the answer has no body. Raises as the module says."""
        try:
            answer = method(*args, **parameters)
        except ApiClientError as error:
            cause = error.text
        else:
            return _read_object(answer)
        raise _read_cause(cause)

    def rest(self) -> None:
        """End the connections at the end of a batch, since those that other workers' batches open count too.

        The next call opens new ones.
        """
        self._client.session.close()

    def close(self) -> None:
        """Give the connections back; safe to call twice."""
        self.rest()


def check_list_id(list_id: str) -> str:
    """An audience's id as it may stand in an address. Raises `AudienceGone`."""
    if not _LIST_ID(list_id):
        raise AudienceGone(f"“{list_id}” is not the id of a Mailchimp audience: choose the audience again.")
    return list_id


def _base(key: str, server_url: str, *, private_hosts_allowed: bool) -> str:
    if not key or not key.isascii():
        raise Halt(
            "The App has no API key, or one with strange letters: make one at Mailchimp and put it into the App."
        )
    if server_url:
        if not server_url.startswith(("http://", "https://")):
            raise Halt("The server's address has to begin with http:// or https://.")
        if not private_hosts_allowed and is_private(server_url):
            raise Halt(
                "The server's address is inside a private network. Whoever runs this installation can allow that by"
                " setting GROUPAROO_ALLOW_PRIVATE_HOSTS."
            )
        return f"{server_url.rstrip('/').removesuffix('/3.0')}/3.0"
    found = _DATA_CENTRE(key)
    if found is None:
        raise Halt("The API key is not complete: it ends in a dash and the data centre, such as -us21.")
    return f"https://{found[1]}.api.mailchimp.com/3.0"


def _read_object(answer: Any) -> dict[str, Any]:
    if isinstance(answer, dict):
        return answer
    if isinstance(answer, requests.Response) and (answer.status_code == 204 or not answer.content):
        return {}
    raise Retry("Mailchimp answered something that is not JSON.")


def _read_cause(cause: object) -> Exception:
    """The meaning of what a call was ended by; nothing of the request hangs on to it."""
    if isinstance(cause, Problem | Retry | Halt):
        return cause
    if isinstance(cause, requests.exceptions.Timeout):
        return Down("Mailchimp did not answer in time.")
    if isinstance(cause, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return Halt("The server's address is not one that can be called.")
    if isinstance(cause, requests.exceptions.SSLError):
        return Down("Mailchimp's certificate could not be checked.")
    if isinstance(cause, requests.exceptions.RequestException):
        return Down("Mailchimp cannot be reached, or cut the connection.")
    return Retry(f"The call to Mailchimp failed: {type(cause).__name__}.")


def _read_error(response: requests.Response) -> Exception:
    status, document = response.status_code, _read_document(response)
    after = read_retry_after(response.headers.get("Retry-After", ""))
    if status == 401:
        return Halt(_WRONG_KEY)
    if status in (408, 429, 503) or (status == 403 and document is None):
        return Down(f"Mailchimp asks for fewer calls (status {status}).", after=after)
    if status >= 500:
        return Retry(f"Mailchimp has a problem of its own (status {status}).", after=after)
    if document is None:
        return Retry(f"Mailchimp answered with status {status} and something that is not JSON.", after=after)
    return Problem(status, document)


def _read_document(response: requests.Response) -> Mapping[str, Any] | None:
    """The problem document; None for a page, an empty answer or garbage."""
    if "json" not in response.headers.get("Content-Type", ""):
        return None
    try:
        document = response.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
