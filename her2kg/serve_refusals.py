"""How `her2kg serve` refuses: one sentence of plain text with a status that says why."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from her2kg import serve_formats as formats
from her2kg.errors import one_of
from her2kg.serve_guard import MAX_BODY, BodyTooLarge, BodyTooSlow
from her2kg.serve_pool import Limits


class Refusal(Exception):
    """A request that is answered by a sentence."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.headers = {key.replace("_", "-"): value for key, value in headers.items()}


def refusal(head: dict[str, Any], limits: Limits) -> Refusal:
    """What is wrong with a request that a worker could not answer."""
    text = head.get("text", "")
    advice = "ask for less, or start her2kg serve with a higher"
    if head["fault"] == "accept":
        among = formats.ROWS if head["kind"] == "rows" else formats.GRAPHS
        return Refusal(
            406, f"this query is answered in none of the types asked for; {media_types(among)}"
        )
    known = {
        "syntax": (400, text),
        "service": (403, _service_sentence(text)),
        "time": (504, f"stopped after {limits.seconds:g} seconds; {advice} --timeout"),
        "size": (507, f"the answer is longer than {limits.answer} MB; {advice} --max-size"),
        "memory": (507, f"more than {limits.memory} MB of memory; {advice} --memory"),
        "ended": (
            507,
            f"stopped: it needs more than {limits.memory} MB of memory or is nested too "
            f"deeply; {advice} --memory",
        ),
    }
    status, sentence = known.get(head["fault"], (500, f"the query failed: {text}"))
    return Refusal(status, sentence)


def media_types(media: Iterable[str]) -> str:
    """The media types that would be accepted, in words."""
    return f"accepted: {one_of(sorted(set(media)))}"


def _service_sentence(keyword: str) -> str:
    return (
        f"{keyword} is refused: it would have this server fetch from other addresses; "
        "to allow it: her2kg serve --allow-service"
    )


def _said(status: int, text: str, headers: Any = None) -> Response:
    return PlainTextResponse(f"{text}\n", status_code=status, headers=headers)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return _said(error.status, str(error), error.headers)


async def _too_large(request: Request, error: Exception) -> Response:
    text = f"a request may have {MAX_BODY >> 20} MB at most; send a shorter query"
    return _said(413, text, {"Connection": "close"})


async def _too_slow(request: Request, error: Exception) -> Response:
    text = "the request did not arrive in time; send it again"
    return _said(408, text, {"Connection": "close"})


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = f"nothing at {request.url.path[:80]!r}; see /, /sparql, /term/NAME, /queries or /health"
    if error.status_code == 405:
        text = f"{request.method} is not used here; accepted: GET, or POST at /sparql"
    return _said(error.status_code, text, error.headers)


async def _broken(request: Request, error: Exception) -> Response:
    """A fault of the server itself: told on stderr, with the place."""
    if not isinstance(error, TimeoutError):
        traceback.print_exception(error, file=sys.stderr)
    return _said(500, "the server failed at this request; please report it")


# What Starlette calls for each error.
HANDLERS: dict[Any, Any] = {
    Refusal: _refused,
    BodyTooLarge: _too_large,
    BodyTooSlow: _too_slow,
    ClientDisconnect: _gone,
    HTTPException: _unknown,
    Exception: _broken,
}
