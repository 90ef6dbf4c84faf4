"""The server's side of its workers: who is idle, who waits, who is ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from her2kg.errors import EngineError
from her2kg.serve_store import Graph

WAITING = 256  # requests that may wait for a worker before others are turned away
_GRACE = 0.5  # seconds in which a worker may still finish for a client that went away
_READY = 60  # seconds in which the keeper must have loaded the graph
_ID = struct.Struct("q")


@dataclass(frozen=True)
class Limits:
    """What one request may use: seconds, megabytes of memory, megabytes of answer."""

    seconds: float = 30
    memory: int = 1024
    answer: int = 64


@dataclass
class Reply:
    """What a worker answered: its head, and its bytes in memory or in a file to be removed."""

    head: dict[str, Any]
    data: bytes = b""

    @property
    def path(self) -> str | None:
        return self.head.get("path")


class Busy(Exception):
    """No worker was free in time, or too many requests wait already."""


class _Worker:
    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.pid, self.reader, self.writer = pid, reader, writer

    async def ask(self, request: dict[str, Any]) -> Reply:
        try:
            self.writer.write(json.dumps(request).encode() + b"\n")
            await self.writer.drain()
            await self.reader.readexactly(1)  # it begins
        except (OSError, asyncio.IncompleteReadError):
            # It was killed from outside while it was idle: no fault of the request.
            return Reply({"ok": False, "fault": "unbegun"})
        head = json.loads(await self.reader.readuntil(b"\n"))
        inline = head.get("size", 0) if not head.get("path") else 0
        return Reply(head, await self.reader.readexactly(inline))


class Pool:
    """A fixed number of workers, each replaced when it has to be ended.

    Errors: EngineError if the graph cannot be loaded.
    """

    def __init__(
        self,
        graph: Graph,
        folder: Path,
        *,
        workers: int,
        limits: Limits,
        updates: bool = False,
        service: bool = False,
    ) -> None:
        self.limits = limits
        self.size = 1 if updates else workers
        self._settings = {
            "graph": str(graph.path),
            "about": str(graph.path.with_suffix(".json")),
            "folder": str(folder),
            "updates": updates,
            "service": service,
            "memory": limits.memory,
            "max_bytes": limits.answer << 20,
            "parent": os.getpid(),
        }
        self._idle: asyncio.Queue[_Worker | None] = asyncio.Queue()
        self._waiting = 0
        self._keeper: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._all: set[_Worker] = set()

    async def start(self) -> None:
        """Start the keeper and all workers."""
        await self._start_keeper()
        for _ in range(self.size):
            self._idle.put_nowait(await self._spawn())

    @property
    def workers(self) -> list[int]:
        """The process ids of the workers."""
        return sorted(worker.pid for worker in self._all)

    async def _start_keeper(self) -> None:
        if self._control is not None:
            self._control.close()
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "her2kg.serve_worker", str(theirs.fileno())]
            # Started from the main thread: the keeper dies with the thread that started it.
            self._keeper = subprocess.Popen(
                [*command, json.dumps(self._settings)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": _import_path()},
            )
        ours.settimeout(_READY)
        self._control = ours
        try:
            await asyncio.to_thread(self._answered)
        except OSError:
            raise EngineError(
                "the process that holds the graph did not start; start her2kg serve again"
            ) from None

    def _answered(self) -> int:
        assert self._control is not None
        data = self._control.recv(_ID.size)
        if len(data) != _ID.size:
            raise ConnectionError
        return int(_ID.unpack(data)[0])

    def _order(self, order: bytes, pid: int, handles: list[int]) -> int:
        assert self._control is not None
        message = order + _ID.pack(pid)
        if handles:
            socket.send_fds(self._control, [message], handles)
        else:
            self._control.sendall(message)
        return self._answered()

    async def _spawn(self) -> _Worker:
        """A new worker; a keeper that has died is replaced first."""
        async with self._turn:
            if self._closed:
                raise ConnectionError
            ours, theirs = socket.socketpair()
            with theirs:
                try:
                    pid = await asyncio.to_thread(self._order, b"F", 0, [theirs.fileno()])
                except OSError:
                    await self._start_keeper()
                    pid = await asyncio.to_thread(self._order, b"F", 0, [theirs.fileno()])
        reader, writer = await asyncio.open_connection(sock=ours)
        worker = _Worker(pid, reader, writer)
        self._all.add(worker)
        return worker

    async def _replace(self, worker: _Worker) -> None:
        """End a worker and put another in its place."""
        self._all.discard(worker)
        worker.writer.close()
        with contextlib.suppress(OSError):
            async with self._turn:
                await asyncio.to_thread(self._order, b"E", worker.pid, [])
        self._remove_leftovers(worker.pid)
        fresh = None
        with contextlib.suppress(OSError, EngineError):
            fresh = await self._spawn()
        self._idle.put_nowait(fresh)

    def _remove_leftovers(self, pid: int) -> None:
        for path in Path(self._settings["folder"]).glob(f"answer-{pid}-*"):
            path.unlink(missing_ok=True)

    def _later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self) -> _Worker:
        """An idle worker. Errors: Busy."""
        if self._waiting >= WAITING:
            raise Busy
        self._waiting += 1
        try:
            async with asyncio.timeout(self.limits.seconds):
                while True:
                    worker = await self._idle.get()
                    if worker is not None and not worker.reader.at_eof():
                        return worker
                    if worker is None:  # its place was left empty when a start had failed
                        await asyncio.sleep(0.1)
                        self._later(self._refill())
                    else:  # it died while it was idle
                        self._later(self._replace(worker))
        except TimeoutError:
            raise Busy from None
        finally:
            self._waiting -= 1

    async def _refill(self) -> None:
        fresh = None
        with contextlib.suppress(OSError, EngineError):
            fresh = await self._spawn()
        self._idle.put_nowait(fresh)

    async def ask(self, request: dict[str, Any]) -> Reply:
        """Have a request answered by the next free worker, within the time limit.

        A caller that is cancelled frees its worker.

        Shape: the head of the reply has `ok`, and `fault` if not: syntax, accept, size, time,
        ended, service or failed.
        Errors: Busy.
        """
        for _ in range(self.size + 1):
            reply = await self._ask_once(request)
            if reply.head.get("fault") != "unbegun":
                return reply
        return Reply({"ok": False, "fault": "ended"})

    async def _ask_once(self, request: dict[str, Any]) -> Reply:
        worker = await self._take()
        asking = asyncio.ensure_future(worker.ask(request))
        try:
            done, _ = await asyncio.wait([asking], timeout=self.limits.seconds)
        except asyncio.CancelledError:
            self._later(self._abandon(worker, asking))
            raise
        if not done:
            asking.cancel()
            self._later(self._replace(worker))
            return Reply({"ok": False, "fault": "time"})
        try:
            reply = asking.result()
        except (OSError, asyncio.IncompleteReadError, ValueError):
            self._later(self._replace(worker))
            return Reply({"ok": False, "fault": "ended"})
        if reply.head.get("fault") == "unbegun":
            self._later(self._replace(worker))
        else:
            self._idle.put_nowait(worker)
        return reply

    async def _abandon(self, worker: _Worker, asking: asyncio.Future[Reply]) -> None:
        """Free a worker whose client went away: nearly done, it may finish, else it is ended."""
        done, _ = await asyncio.wait([asking], timeout=_GRACE)
        if not done or asking.exception() or asking.result().head.get("fault") == "unbegun":
            asking.cancel()
            await self._replace(worker)
            return
        self._idle.put_nowait(worker)
        if path := asking.result().path:
            Path(path).unlink(missing_ok=True)

    async def close(self) -> None:
        """End all workers and the keeper."""
        self._closed = True
        if self._control is not None:
            self._control.close()
        for worker in self._all:
            worker.writer.close()
        if self._keeper is not None:
            if sys.platform == "linux":  # the workers end with it
                self._keeper.kill()
            try:
                await asyncio.to_thread(self._keeper.wait, 5)
            except subprocess.TimeoutExpired:
                self._keeper.kill()


def _import_path() -> str:
    """Where the keeper finds this package, also when the server runs from a checkout."""
    here = str(Path(__file__).parent.parent)
    return os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
