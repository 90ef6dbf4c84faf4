"""Who may ask `her2kg serve`, and how much it reads: hosts, origins, lengths, slow clients."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY = 1 << 20
_BODY_SECONDS = 30  # to send a request in full
_SEND_SECONDS = 60  # to take the next piece of an answer
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_ORIGIN = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?")


class BodyTooLarge(Exception):
    """A request that is longer than is read."""


class BodyTooSlow(Exception):
    """A request that does not arrive in time."""


def is_loopback(host: str) -> bool:
    """Say whether an address or name is this machine only."""
    if host in _LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _host_name(header: str) -> str:
    """The host of a Host header, without port and brackets."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]/@\s]+))(?::\d{1,5})?", header.strip())
    return (match[1] or match[2]).lower().rstrip(".") if match else ""


class Guard:
    """ASGI middleware: refuses foreign hosts and origins, answers CORS, watches slow clients.

    A page elsewhere that has its own name resolve to this machine sends that name as Host; it is
    refused. An address cannot be made to resolve elsewhere, so a server on all addresses takes any.
    """

    def __init__(self, app: Any, *, host: str, origins: Iterable[str] = ()) -> None:
        self._app = app
        self._host = host.lower()
        self._origins = {origin.rstrip("/") for origin in origins}

    def _knows_host(self, header: str) -> bool:
        name = _host_name(header)
        if is_loopback(name) or name == self._host:
            return True
        everywhere = self._host in ("0.0.0.0", "::")
        return everywhere and (_is_address(name) or name == socket.gethostname().lower())

    def _knows_origin(self, origin: str, host: str) -> bool:
        if _ORIGIN.fullmatch(origin) or origin in self._origins:
            return True
        return origin in (f"http://{host}", f"https://{host}")  # a page of this server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {key: value.decode("latin-1") for key, value in scope["headers"]}
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        if not self._knows_host(host):
            given = f"host {host[:80]!r}" if host else "no host"
            text = f"{given} was asked for; this server answers as {self._host} or localhost only"
            await _plain(send, 421, text)
            return
        added: list[tuple[bytes, bytes]] = [(b"vary", b"Origin")]
        if origin is not None:
            if not self._knows_origin(origin, host):
                text = (
                    f"origin {origin[:80]!r} may not ask; local tools may, and those that "
                    "her2kg serve --cors ORIGIN names"
                )
                await _plain(send, 403, text)
                return
            added += [
                (b"access-control-allow-origin", origin.encode("latin-1")),
                (b"access-control-expose-headers", b"Her2kg-Note"),
            ]
        if scope["method"] == "OPTIONS":
            await _preflight(send, added if origin else [])
            return
        await self._app(scope, receive, _patient(send, added))


def _patient(send: Send, added: list[tuple[bytes, bytes]]) -> Send:
    """A `send` that adds headers, and gives up on a client that takes nothing for long."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            own = [value for key, value in headers if key.lower() == b"vary"]
            headers = [each for each in headers if each[0].lower() != b"vary"]
            vary = b", ".join([*own, b"Origin"])
            message = {**message, "headers": [*headers, (b"vary", vary), *added[1:]]}
        async with asyncio.timeout(_SEND_SECONDS):
            await send(message)

    return sending


async def _preflight(send: Send, added: list[tuple[bytes, bytes]]) -> None:
    allowed = [
        (b"allow", b"GET, POST, OPTIONS"),
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-allow-headers", b"accept, content-type, authorization, x-requested-with"),
        (b"access-control-max-age", b"600"),
        (b"content-length", b"0"),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": [*added, *allowed[:-1]]})
    await send({"type": "http.response.body", "body": b""})


async def _plain(send: Send, status: int, text: str) -> None:
    body = f"{text}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # what was sent as a body is not read
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read_body(request: Any) -> bytes:
    """The body of a request, of at most MAX_BODY bytes.

    Errors: BodyTooLarge, before more is read; BodyTooSlow.
    """
    stated = request.headers.get("content-length", "")
    if stated.isascii() and stated.isdigit() and int(stated[:20]) > MAX_BODY:
        raise BodyTooLarge
    chunks, size = [], 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > MAX_BODY:
                    raise BodyTooLarge
                chunks.append(chunk)
    except TimeoutError:
        raise BodyTooSlow from None
    return b"".join(chunks)
