"""A running `her2kg serve` for the tests, and ways to ask it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

ROOT = Path(__file__).parent.parent
SECONDS = 90
# Every pair of triples with every other: no end in sight.
RUNAWAY = "SELECT (COUNT(*) AS ?n) WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"
START = "import sys; from her2kg.cli import main; sys.exit(main())"


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Serving:
    """A server process."""

    def __init__(self, *options: str, errors: Any = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, "serve", "--port", "0", *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=errors or subprocess.DEVNULL,
            text=True,
        )
        self.address = self.process.stdout.readline().strip()
        assert self.address, "the server did not start"
        self.port = urlsplit(self.address).port

    def ask(
        self,
        path: str = "/sparql",
        *,
        method: str = "GET",
        body: bytes | None = None,
        timeout: float = SECONDS,
        **headers: str,
    ) -> Answer:
        """One request; header names are written with _ for -."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            named = {key.replace("_", "-"): value for key, value in headers.items()}
            connection.request(method, path, body, named)
            got = connection.getresponse()
            found = {key.lower(): value for key, value in got.getheaders()}
            return Answer(got.status, found, got.read())
        finally:
            connection.close()

    def query(
        self, text: str, accept: str = "application/sparql-results+json", **more: Any
    ) -> Answer:
        """A query, as a form sent by POST."""
        body = urlencode({"query": text}).encode()
        headers = {"Content_Type": "application/x-www-form-urlencoded", "Accept": accept, **more}
        return self.ask(method="POST", body=body, **headers)

    def update(self, text: str, **headers: str) -> Answer:
        headers = {"Content_Type": "application/sparql-update", **headers}
        return self.ask("/update", method="POST", body=text.encode(), **headers)

    def raw(self, data: bytes, timeout: float = 10) -> bytes:
        """What comes back for bytes, until the server closes, or b"" after a time."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(data)
            found = b""
            try:
                while chunk := connection.recv(65536):
                    found += chunk
            except (TimeoutError, ConnectionError):
                pass
            return found

    def children(self) -> list[int]:
        """The keeper and the workers."""
        return descendants(self.process.pid)

    def handles(self) -> int:
        """How many files and sockets the server holds open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self) -> int:
        """Stop by SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            state, parent = stat.rsplit(")", 1)[1].split()[:2]
            if state != "Z":
                parents[int(entry.name)] = int(parent)
    found: list[int] = []
    for child, parent in parents.items():
        if parent == pid:
            found += [child, *descendants(child)]
    return sorted(found)


def until(holds: Any, seconds: float = 20) -> bool:
    """Wait for something to become true; whether it did."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return bool(holds())


@contextmanager
def serving(*options: str) -> Iterator[Serving]:
    """A server that is stopped at the end."""
    server = Serving(*options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
        server.process.stdout.close()
