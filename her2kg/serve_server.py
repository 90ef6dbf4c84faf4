"""Run the application of `serve_app` on an address until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from her2kg.errors import Her2kgError
from her2kg.serve_app import Options, create_app
from her2kg.serve_pool import Pool
from her2kg.serve_store import prepared

_FOLDER = "her2kg-serve-"
_SILENT_SECONDS = 20  # to send the head of a request
_CONNECTIONS = 600
_HEAD_BYTES = 64 << 10


class _Protocol(H11Protocol):
    """HTTP that closes a connection on which no whole request head arrives in time."""

    _since = 0.0
    _check: Any = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._since = time.monotonic()
        self._check = self.loop.call_later(_SILENT_SECONDS, self._look)

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._since = time.monotonic()
        if time.monotonic() - self._since >= _SILENT_SECONDS:
            self.transport.close()
            return
        self._check = self.loop.call_later(_SILENT_SECONDS / 4, self._look)

    def on_response_complete(self) -> None:
        self._since = time.monotonic()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._check is not None:
            self._check.cancel()
        super().connection_lost(exc)


class _Server(uvicorn.Server):
    """Uvicorn that leaves signals to `run`, so that a stop is no error."""

    def capture_signals(self) -> Any:
        return contextlib.nullcontext()


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens on an address.

    Errors: Her2kgError if the address is not one of this machine or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise Her2kgError(
            f"--host {host!r} is no address of this machine; accepted: 127.0.0.1, localhost, ::1, "
            "or an address of one of its networks"
        ) from None
    # With the protocol named, asyncio turns off the delay of small packets.
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(2048)
    except OSError as error:
        found.close()
        raise Her2kgError(
            f"port {port} of {host} cannot be used ({(error.strerror or 'refused').lower()}); "
            "name another with --port, or 0 for any that is free"
        ) from None
    return found


def _clear_leftovers() -> None:
    """Remove the folders of servers that were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*-*"):
        number = path.name.removeprefix(_FOLDER).split("-")[0]
        try:
            if number.isdigit() and path.stat().st_uid == os.getuid() and not path.is_symlink():
                os.kill(int(number), 0)
        except ProcessLookupError:
            shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue


def run(options: Options, port: int, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `say` is told the address once it answers.

    Errors: Her2kgError, EngineError, DataError before it answers.
    """
    _clear_leftovers()
    with (
        listening(options.host, port) as taken,
        tempfile.TemporaryDirectory(prefix=f"{_FOLDER}{os.getpid()}-") as folder,
    ):
        graph = prepared(Path(folder))
        asyncio.run(_serve(options, taken, graph, Path(folder), say))


async def _serve(
    options: Options, taken: socket.socket, graph: Any, folder: Path, say: Callable[[str], None]
) -> None:
    pool = Pool(
        graph,
        folder,
        workers=options.workers,
        limits=options.limits,
        updates=options.updates,
        service=options.service,
    )
    config = uvicorn.Config(
        create_app(pool, graph, options),
        http=_Protocol,
        ws="none",
        log_level="critical",
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=_HEAD_BYTES,
    )
    server = _Server(config)

    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C ends the loop
            loop.add_signal_handler(number, stop)
    try:
        await pool.start()
        name = f"[{options.host}]" if ":" in options.host else options.host
        say(f"http://{name}:{taken.getsockname()[1]}/")
        await server.serve(sockets=[taken])
    finally:
        await pool.close()
