"""Calls to Customer.io's Track API by its official client, and what its answers mean.

Whatever goes wrong leaves as one of

    Refused      Customer.io refused this very request as a whole, with a reason
    Retry, Halt  as everywhere; after either, further calls are of no use for a while

The official client drops the status and headers of an error, repeats calls by itself, writes what was sent into its
errors, and speaks https alone. So the one place in which it makes a request is overridden here; paths, bodies and
authentication stay its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from customerio import CustomerIO, Regions
from customerio.client_base import TCPKeepAliveHTTPAdapter

from core.lib.hosts import is_private
from core.lib.pauses import read_retry_after
from plugins.contracts import Halt, Retry

CONNECT_SECONDS = 8.0
ANSWER_SECONDS = 30.0
REGIONS: Mapping[str, tuple[str, Any]] = {"us": ("United States", Regions.US), "eu": ("European Union", Regions.EU)}

_ADDRESS = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?").fullmatch

Operation = Mapping[str, Any]  # one part of a batch, as the Track API's version 2 names it

_WRONG_KEYS = (
    "Customer.io does not accept the site ID and API key in this region: copy both from a Track API key at Customer.io,"
    " and choose the account's region."
)


class Refused(Exception):
    """A request that Customer.io refused as a whole; `reason` is a sentence with its own words."""

    def __init__(self, said: str) -> None:
        self.reason = f"Customer.io refused this: {said.strip().rstrip('.')}."
        super().__init__(self.reason)


class _Client(CustomerIO):  # type: ignore[misc]  # the official client has no types
    """The official client over one session; no answer but a success comes back from it."""

    def __init__(self, site_id: str, key: str, *, region: str, server_url: str) -> None:
        server = urlsplit(server_url)
        super().__init__(
            site_id,
            key,
            host=server.netloc or None,
            region=REGIONS[region][1],
            timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
        )
        self._is_plain = server.scheme == "http"

    def send_request(self, method: str, url: str, data: Mapping[str, Any]) -> requests.Response:
        response: requests.Response = self.http.request(
            method,
            f"http{url.removeprefix('https')}" if self._is_plain else url,
            json=self._sanitize(data) if data else None,
            timeout=self.timeout,
            allow_redirects=False,
        )
        if not 200 <= response.status_code < 300:
            raise _read_error(response)
        return response

    def _build_session(self) -> requests.Session:
        session: requests.Session = super()._build_session()
        for scheme in ("https://", "http://"):
            session.mount(scheme, TCPKeepAliveHTTPAdapter())  # the product tries again, and keeps to Retry-After
        return session


class Line:
    """The calls of one App. Made without connecting; for one thread."""

    def __init__(self, *, site_id: str, key: str, region: str, server_url: str, private_hosts_allowed: bool) -> None:
        _check(site_id, key, server_url, private_hosts_allowed=private_hosts_allowed)
        self._client = _Client(site_id, key, region=region, server_url=server_url)

    def find_workspace(self) -> tuple[str, int]:
        """The region of the keys and the number of their workspace. Raises as the module says."""
        answer = self._call("send_request", "GET", f"{self._client.base_url}/accounts/region", {})
        return str(answer.get("region") or ""), int(answer.get("environment_id") or 0)

    def send(self, operations: Sequence[Operation]) -> dict[int, str]:
        """Send a batch; the places of those operations that were refused, each with the reason."""
        answer = self._call("batch", list(operations))
        refused: dict[int, str] = {}
        for error in _errors(answer):
            place = error.get("batch_index", 0 if len(operations) == 1 else None)
            if not isinstance(place, int) or not 0 <= place < len(operations):
                raise Refused("a part of this, without saying which")
            refused.setdefault(place, Refused(_explain(error)).reason)
        return refused

    def track(self, event: Operation) -> None:
        """Send one event that is too large for a batch: version 1 takes three times as much."""
        (identifier,) = event["identifiers"].values()
        self._call(
            "track", identifier, event["name"], event["attributes"], id=event["id"], timestamp=event["timestamp"]
        )

    def close(self) -> None:
        """Give the connections back; safe to call twice."""
        self._client.close()

    def _call(self, method: str, *args: Any, **parameters: Any) -> Mapping[str, Any]:
        """The JSON object that a method of the client gives, empty for an answer without a body."""
        try:
            response: requests.Response = getattr(self._client, method)(*args, **parameters)
        except requests.exceptions.RequestException as error:
            meaning = _read_failure(error)
        else:
            answer = _read_object(response)
            if answer is not None:
                return answer
            meaning = Retry("Customer.io answered something that is not JSON.")
        raise meaning  # outside of the handlers: nothing of the request hangs on to it


def _check(site_id: str, key: str, server_url: str, *, private_hosts_allowed: bool) -> None:
    if not (site_id and key and site_id.isascii() and key.isascii()):
        raise Halt(
            "The App lacks its site ID or API key, or one has strange letters: copy both from a Track API key at"
            " Customer.io."
        )
    if server_url and not _ADDRESS(server_url):
        raise Halt("The server's address has to begin with http:// or https://, and a host has to follow.")
    if server_url and not private_hosts_allowed and is_private(server_url):
        raise Halt(
            "The server's address is inside a private network. Whoever runs this installation can allow that by"
            " setting GROUPAROO_ALLOW_PRIVATE_HOSTS."
        )


def _read_failure(error: requests.exceptions.RequestException) -> Retry | Halt:
    if isinstance(error, requests.exceptions.Timeout):
        return Retry("Customer.io did not answer in time.")
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return Halt("The server's address is not one that can be called.")
    if isinstance(error, requests.exceptions.SSLError):
        return Retry("Customer.io's certificate could not be checked.")
    return Retry("Customer.io cannot be reached, or cut the connection.")


def _read_error(response: requests.Response) -> Exception:
    status, after = response.status_code, read_retry_after(response.headers.get("Retry-After", ""))
    if status in (408, 425, 429):
        return Retry(f"Customer.io asks for fewer calls (status {status}).", after=after)
    if status >= 500:
        return Retry(f"Customer.io has a problem of its own (status {status}).", after=after)
    if status == 401:
        return Halt(_WRONG_KEYS)
    if status == 403:
        return Halt("Customer.io forbids this to the API key (status 403): look at the key and the account there.")
    if 300 <= status < 400:
        return Halt("Customer.io sends on to another address: choose the region that the account is in.")
    if status in (404, 405):
        return Halt(f"Customer.io's Track API is not at this address (status {status}): look at the server's address.")
    said = "; ".join(map(_explain, _errors(_read_object(response) or {})))
    return Refused(said or f"status {status}")


def _read_object(response: requests.Response) -> Mapping[str, Any] | None:
    """The object of an answer, empty for an empty answer; None for a page or garbage."""
    if not response.content:
        return {}
    try:
        document = response.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _errors(answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The errors of an answer: a list in version 2, one text or a list of them under `meta` in version 1."""
    meta = answer.get("meta")
    older = meta if isinstance(meta, dict) else {}
    for found in (answer.get("errors"), older.get("errors"), older.get("error")):
        for error in found if isinstance(found, list) else [found] if found else []:
            yield error if isinstance(error, dict) else {"message": str(error)}


def _explain(error: Mapping[str, Any]) -> str:
    parts = (str(error.get(part) or "").strip() for part in ("field", "message"))
    return ": ".join(part for part in parts if part) or str(error.get("reason") or "without a reason")
