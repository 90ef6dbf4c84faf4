"""One SPARQL endpoint over HTTP: requests through SPARQLWrapper, retries, one sentence per failure.

Nothing is followed or guessed silently: a redirect, a page that is no SPARQL answer, an answer that
breaks off are errors that say what came back and what to do.
"""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPBasicAuthHandler,
    HTTPDigestAuthHandler,
    HTTPPasswordMgrWithDefaultRealm,
    HTTPRedirectHandler,
    OpenerDirector,
    build_opener,
)

from her2kg.errors import EngineError

SECONDS = 60.0  # for one request, unless another time-out is given
_TRIES = 5
_LONGEST_WAIT = 60.0  # seconds between two tries, whatever Retry-After says
_BUSY = {429, 503}  # the store did nothing: a query and an update may be sent again
_UPSTREAM = {502, 504}  # the store may have done something: only a query may be sent again
_CHUNK = 1 << 16
_LONGEST_REASON = 200


class _NoRedirect(HTTPRedirectHandler):
    """A redirected POST would lose its query: say where the endpoint is instead."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True)
class Answer:
    """What an endpoint sent: the body, its media type, the headers with names in lower case."""

    body: bytes
    media: str
    headers: dict[str, str]


class Endpoint:
    """Where queries and, if it has an address for them, updates are sent.

    Units: `timeout` in seconds, for one request with its whole answer.
    Errors: EngineError for an address, a user name or a time-out that cannot be used.
    """

    def __init__(
        self,
        address: str,
        *,
        update_address: str | None = None,
        user: str | None = None,
        password: str | None = None,
        timeout: float = SECONDS,
    ) -> None:
        self.address = _checked(address, "endpoint")
        self.update_address = update_address and _checked(update_address, "update endpoint")
        if not timeout > 0:
            raise EngineError(f"time-out {timeout!r} is not accepted; give seconds above 0")
        if (user is None) != (password is None):
            given, lacks = ("user name", "password") if password is None else ("password", "user")
            raise EngineError(
                f"a {given} was given and no {'user name' if lacks == 'user' else lacks}; "
                "give both or neither (the command line reads HER2KG_PASSWORD)"
            )
        self.timeout = timeout
        self._with_password = user is not None
        self._opener = self._make_opener(user, password)

    def _make_opener(self, user: str | None, password: str | None) -> OpenerDirector:
        if user is None or password is None:
            return build_opener(_NoRedirect)
        known = HTTPPasswordMgrWithDefaultRealm()
        for address in filter(None, (self.address, self.update_address)):
            known.add_password(None, address, user, password)
        return build_opener(_NoRedirect, HTTPBasicAuthHandler(known), HTTPDigestAuthHandler(known))

    def ask(self, query: str, graphs: Iterable[str] = ()) -> tuple[dict[str, Any], dict[str, str]]:
        """SPARQL JSON results of a SELECT or ASK, with the headers they came with."""
        from SPARQLWrapper import JSON, SELECT

        answer = self._send(query, SELECT, JSON, graphs)
        try:
            found = json.loads(answer.body)
        except ValueError:
            raise EngineError(self._not_results(answer)) from None
        if not isinstance(found, dict) or not isinstance(found.get("head"), dict):
            raise EngineError(self._not_results(answer))
        return found, answer.headers

    def triples(self, query: str, graphs: Iterable[str] = ()) -> Answer:
        """The RDF of a CONSTRUCT or DESCRIBE, in Turtle or N-Triples."""
        from SPARQLWrapper import CONSTRUCT, TURTLE

        answer = self._send(query, CONSTRUCT, TURTLE, graphs)
        if not any(word in answer.media for word in ("turtle", "n-triples", "n3", "text/plain")):
            raise EngineError(self._not_results(answer))
        return answer

    def update(self, update: str) -> None:
        """Run a SPARQL update. Errors: EngineError, also where there is no address for updates."""
        from SPARQLWrapper import INSERT, JSON

        self.require_updates()
        self._send(update, INSERT, JSON, ())

    def require_updates(self) -> None:
        """Errors: EngineError if there is no address for updates."""
        if self.update_address is None:
            raise EngineError(
                f"{self.address} is used read-only; name the address for updates: update_endpoint, "
                "or --update-endpoint on the command line"
            )

    def _send(self, text: str, kind: str, form: str, graphs: Iterable[str]) -> Answer:
        from SPARQLWrapper import INSERT, POST, SPARQLWrapper

        wrapper = SPARQLWrapper(self.address, updateEndpoint=self.update_address)
        wrapper.setMethod(POST)
        wrapper.setReturnFormat(form)
        wrapper.setQuery(text)
        wrapper.queryType = kind  # its own guess stumbles over words in comments
        for graph in graphs:
            wrapper.addParameter("default-graph-uri", graph)
        changes = kind == INSERT
        place = self.update_address if changes and self.update_address else self.address
        repeatable = _BUSY if changes else _BUSY | _UPSTREAM
        for tried in range(1, _TRIES + 1):
            try:
                # SPARQLWrapper writes the request; its own sending hides headers, and its digest
                # authentication changes the whole process.
                return self._read(wrapper._createRequest(), place)
            except HTTPError as error:
                if error.code not in repeatable or tried == _TRIES:
                    raise EngineError(self._refusal(error, place, tried)) from None
                _sleep(_wait(error, tried))
            except ConnectionResetError as error:
                if changes or tried == _TRIES:
                    raise EngineError(f"{place} closed the connection; try again") from error
                _sleep(_wait(None, tried))
            except (URLError, OSError, HTTPException, ValueError) as error:
                raise EngineError(self._unreached(error, place)) from error
        raise AssertionError("the last try returns or raises")

    def _read(self, request: Any, place: str) -> Answer:
        """Send a request and read the whole answer within the time-out."""
        end = time.monotonic() + self.timeout
        parts: list[bytes] = []
        response: HTTPResponse
        try:
            response = self._opener.open(request, timeout=self.timeout)
        except URLError as error:
            if isinstance(error.reason, ConnectionResetError):
                raise error.reason from None
            raise
        with response:
            try:
                while chunk := response.read1(_CHUNK):
                    parts.append(chunk)
                    if time.monotonic() > end:
                        raise TimeoutError
            except (TimeoutError, OSError, IncompleteRead) as error:
                raise EngineError(self._broken_off(error, place, sum(map(len, parts)))) from None
            body = b"".join(parts)
            promised = response.headers.get("Content-Length", "")
            if promised.isdigit() and len(body) < int(promised):
                raise EngineError(self._broken_off(None, place, len(body)))
            headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(body, headers.get("content-type", "").partition(";")[0].strip(), headers)

    def _broken_off(self, error: Exception | None, place: str, size: int) -> str:
        if isinstance(error, TimeoutError):
            return (
                f"the answer of {place} was not complete within {self.timeout:g} s ({size} bytes "
                "came); raise the time-out, or ask for less"
            )
        return f"the answer of {place} broke off after {size} bytes; try again, or ask for less"

    def _not_results(self, answer: Answer) -> str:
        what = answer.media or "an answer without a media type"
        if "json" in what:
            what = f"{what} that is cut off or is not SPARQL results"
        start = " ".join(answer.body[:60].decode("utf-8", "replace").split())
        return (
            f"{self.address} sent {what}, beginning {start!r}, and not the results asked for; "
            "check that this is the address of a SPARQL endpoint (often ending in /sparql or "
            "/query)"
        )

    def _refusal(self, error: HTTPError, place: str, tried: int) -> str:
        """The sentence for an HTTP status that is not a success."""
        code = error.code
        if code == 401:
            if self._with_password:
                return f"{place} refused the user name or the password; check both"
            return f"{place} asks for a user name and a password; give user and password"
        if code == 403:
            return (
                f"{place} forbids this (403{_because(error)}); use an account that may, or, to "
                "evaluate here, leave the address for updates away"
            )
        if code == 404:
            return f"{place} does not exist on that server (404); check the address"
        if code in (301, 302, 303, 307, 308):
            moved = error.headers.get("Location", "another address")
            return f"{place} has moved to {moved}; give that address"
        if code == 400:
            return f"{place} refused the query (400{_because(error)})"
        if code in _BUSY | _UPSTREAM:
            return f"{place} is busy ({code}, {tried} tries); try again later"
        return f"{place} failed ({code}{_because(error)}); see the log of that server"

    def _unreached(self, error: Exception, place: str) -> str:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, TimeoutError):
            return f"{place} did not answer within {self.timeout:g} s; raise the time-out"
        if isinstance(reason, ConnectionRefusedError):
            return f"{place} refused the connection; check the address and that the server runs"
        if isinstance(reason, socket.gaierror):
            return f"{place} names a host that is not known; check the address"
        if isinstance(reason, HTTPException):
            kind = type(reason).__name__
            return f"{place} did not answer in HTTP ({kind}); check the address and the port"
        if isinstance(reason, ValueError) or "digest" in str(reason).lower():
            return f"{place} wants a kind of login that is not supported: {reason}"
        return f"{place} cannot be reached: {reason}; check the address and that the server runs"


def _checked(address: str, what: str) -> str:
    parts = urlsplit(address)
    try:
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or any(c.isspace() or c in '<>"' for c in address):
        raise EngineError(
            f"{address!r} is no address of a SPARQL {what}; "
            "give one such as http://localhost:7878/query"
        )
    if "@" in parts.netloc:
        raise EngineError(
            f"the address of the {what} holds a user name; give it as user and password instead"
        )
    return address


def _because(error: HTTPError) -> str:
    """What the server says, on one line, where it says it in plain text."""
    try:
        text = error.read(2000).decode("utf-8", "replace")
    except (OSError, HTTPException):
        return ""
    text = " ".join(text.split())
    if not text or text.startswith("<"):
        return ""
    return f": {text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 3] + '...'}"


def _wait(error: HTTPError | None, tried: int) -> float:
    """Seconds until the next try: what Retry-After says, else twice as long each time."""
    stated = error.headers.get("Retry-After", "") if error is not None else ""
    seconds: float | None = None
    if stated.strip().isdigit():
        seconds = float(stated)
    elif stated:
        try:
            seconds = parsedate_to_datetime(stated).timestamp() - time.time()
        except ValueError:
            seconds = None
    if seconds is None:
        seconds = 0.5 * 2 ** (tried - 1) * random.uniform(0.75, 1.25)
    return min(max(seconds, 0.0), _LONGEST_WAIT)


_sleep = time.sleep
