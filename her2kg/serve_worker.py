"""The processes of `her2kg serve` that evaluate SPARQL.

A keeper loads the graph once and forks a worker for each socket that it is handed, so that a
worker that was ended is replaced within milliseconds. A worker answers one request at a time: a
line of JSON in; a plus sign at once, then a line of JSON and as many bytes as it says out. It may
use no more memory than agreed, opens no socket unless SERVICE is allowed, and dies with its parent,
however that ends.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from her2kg import query_text
from her2kg.namespaces import PREFIXES

INLINE_BYTES = 1 << 20  # a longer answer goes through a file, not through the server's memory
MEGABYTE = 1 << 20


class TooLarge(Exception):
    """An answer that is longer than the limit."""


class Answer:
    """The bytes of an answer: in memory while they are few, then in a file of `folder`."""

    def __init__(self, limit: int, folder: str) -> None:
        self.size = 0
        self.path: str | None = None
        self._limit, self._folder = limit, folder
        self._chunks: list[bytes] = []
        self._file: Any = None

    def write(self, data: bytes) -> int:
        self.size += len(data)
        if self.size > self._limit:
            raise TooLarge
        if self._file is None and self.size > INLINE_BYTES:
            self.path = os.path.join(self._folder, f"answer-{os.getpid()}-{os.urandom(6).hex()}")
            self._file = open(self.path, "wb")  # noqa: SIM115 - closed by `end`
            self._file.writelines(self._chunks)
            self._chunks = []
        if self._file is not None:
            self._file.write(data)
        else:
            self._chunks.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def end(self) -> bytes:
        """Close the file; the bytes that are in memory."""
        if self._file is not None:
            self._file.close()
        return b"".join(self._chunks)

    def discard(self) -> None:
        self.end()
        self._chunks = []
        if self.path is not None:
            os.unlink(self.path)


class Worker:
    """Evaluates requests on one store."""

    def __init__(self, store: Any, settings: dict[str, Any]) -> None:
        import pyoxigraph

        self._ox = pyoxigraph
        self._store = store
        self._settings = settings
        self._terms = frozenset(settings["terms"])

    def answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """The head and the bytes of an answer; what is wrong stands in the head."""
        answer = Answer(self._settings["max_bytes"], self._settings["folder"])
        text = request["text"]
        try:
            if not self._settings["service"]:
                for keyword in ("SERVICE", "LOAD") if request["do"] == "update" else ("SERVICE",):
                    if query_text.calls(text, keyword):
                        return {"ok": False, "fault": "service", "text": keyword}, b""
            if request["do"] == "update":
                self._store.update(text, prefixes=PREFIXES)
                return {"ok": True, "kind": "update", "size": 0}, b""
            head = self._query(request, answer)
        except TooLarge:
            answer.discard()
            return {"ok": False, "fault": "size"}, b""
        except SyntaxError as error:
            told = query_text.syntax_sentence(text, str(error))
            return {"ok": False, "fault": "syntax", "text": told}, b""
        except MemoryError:
            return {"ok": False, "fault": "memory"}, b""
        except BaseException as error:  # a panic of the Rust code is no Exception
            answer.discard()
            return {"ok": False, "fault": "failed", "text": str(error)[:500]}, b""
        data = answer.end()
        fixed = not self._settings["updates"]  # else there may be terms that nobody told us of
        notes = query_text.unknown_terms(text, self._terms) if fixed else []
        return {**head, "size": answer.size, "path": answer.path, "notes": notes}, data

    def _query(self, request: dict[str, Any], answer: Answer) -> dict[str, Any]:
        ox = self._ox
        graphs = {
            key: [ox.NamedNode(iri) for iri in request[key]]
            for key in ("default_graph", "named_graphs")
            if request.get(key)
        }
        if graphs:  # what the protocol names replaces the whole dataset
            graphs = {"default_graph": [], "named_graphs": [], **graphs}
        result = self._store.query(request["text"], prefixes=PREFIXES, **graphs)
        kind = "graph" if isinstance(result, ox.QueryTriples) else "rows"
        wanted = request[kind]
        if wanted is None:
            return {"ok": False, "fault": "accept", "kind": kind}
        if kind == "rows":
            result.serialize(answer, format=getattr(ox.QueryResultsFormat, wanted))
        else:
            names = None if wanted == "N_TRIPLES" else PREFIXES
            ox.serialize(result, answer, format=getattr(ox.RdfFormat, wanted), prefixes=names)
        return {"ok": True, "kind": kind}

    def run(self, connection: socket.socket) -> None:
        """Answer until the other side closes."""
        with connection, connection.makefile("rb") as requests:
            for line in requests:
                connection.sendall(b"+")  # begun
                head, data = self.answer(json.loads(line))
                connection.sendall(json.dumps(head).encode() + b"\n" + data)


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when its parent ends, on Linux."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it ended in between
        os._exit(0)


def forbid_sockets() -> bool:
    """Have the kernel refuse new sockets to this process and its children, on Linux.

    Shape: whether it does; the second line of defence behind the check of the text for SERVICE.
    """
    known = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
    if sys.platform != "linux" or platform.machine() not in known:
        return False
    architecture, call = known[platform.machine()]

    def step(code: int, yes: int, no: int, value: int) -> bytes:
        return struct.pack("HBBI", code, yes, no, value)

    program = b"".join(
        [
            step(0x20, 0, 0, 4),  # load the architecture
            step(0x15, 0, 2, architecture),
            step(0x20, 0, 0, 0),  # load the number of the call
            step(0x15, 1, 0, call),
            step(0x06, 0, 0, 0x7FFF0000),  # allow
            step(0x06, 0, 0, 0x00050000 | 13),  # EACCES
        ]
    )
    buffer = ctypes.create_string_buffer(program)
    filters = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 6, ctypes.addressof(buffer)))
    kernel = ctypes.CDLL(None)
    if kernel.prctl(38, 1, 0, 0, 0) != 0:  # PR_SET_NO_NEW_PRIVS
        return False
    return kernel.prctl(22, 2, filters, 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def _limit_memory(megabytes: int) -> None:
    """Let this process grow by so much and no more."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        return
    most = pages * resource.getpagesize() + megabytes * MEGABYTE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _load(settings: dict[str, Any]) -> Callable[[], Any]:
    """How a worker gets its store: in memory, shared with the keeper; to be changed, on disk."""
    import pyoxigraph as ox

    form = ox.RdfFormat.N_QUADS
    if not settings["updates"]:
        store = ox.Store()
        store.bulk_load(path=settings["graph"], format=form)
        return lambda: store
    place = os.path.join(settings["folder"], "store")
    filled = ox.Store(place)
    if not len(filled):
        filled.bulk_load(path=settings["graph"], format=form)
    filled.flush()
    del filled
    return lambda: ox.Store(place)


class Keeper:
    """Forks workers and ends them, as the server asks; only it knows which still are its own."""

    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        self._control = control
        self._settings = settings
        self._workers: set[int] = set()
        self._store = _load(settings)

    def run(self) -> None:
        """Do what the server asks until it closes.

        Shape: `F` with a socket forks a worker and is answered with its process id as 8 bytes;
        `E` and a process id ends that worker and is answered with the id.
        """
        self._control.sendall(struct.pack("q", 0))
        while True:
            message, handles, _, _ = socket.recv_fds(self._control, 9, 1)
            if not message:
                break
            if message[:1] == b"F":
                pid = self._fork(socket.socket(fileno=handles[0]))
            else:
                (pid,) = struct.unpack("q", message[1:9])
                self._end(pid)
            self._control.sendall(struct.pack("q", pid))
        for pid in list(self._workers):
            self._end(pid)

    def _fork(self, connection: socket.socket) -> int:
        keeper = os.getpid()
        pid = os.fork()
        if pid:
            connection.close()
            self._workers.add(pid)
            return pid
        try:
            die_with_parent(keeper)
            self._control.close()
            _limit_memory(self._settings["memory"])
            Worker(self._store(), self._settings).run(connection)
        finally:
            os._exit(0)

    def _end(self, pid: int) -> None:
        if pid in self._workers:  # not yet waited for, so the number is still this process
            self._workers.discard(pid)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def main() -> None:
    """Run a keeper: the handle of its socket and its settings as JSON are the arguments."""
    settings = json.loads(sys.argv[2])
    settings["terms"] = json.loads(Path(settings["about"]).read_text(encoding="utf-8"))["terms"]
    die_with_parent(settings["parent"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends us
    if not settings["service"]:
        forbid_sockets()
    Keeper(socket.socket(fileno=int(sys.argv[1])), settings).run()


if __name__ == "__main__":
    main()
