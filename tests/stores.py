"""Stores of others, started for the tests on this machine: the Oxigraph server, Virtuoso, Jena.

Each is filled with the triples of a file, and asked and changed in SPARQL alone. A store has what
`rules` and `queries` ask of an engine: `select`, `update` and `add`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jena
from SPARQLWrapper import JSON, POST, SPARQLWrapper

from her2kg.engines import Table, from_json

SECONDS = 60  # for one request


def table(answer: dict[str, Any]) -> Table:
    """SPARQL JSON results as the engines give them."""
    if "boolean" in answer:
        return Table(("answer",), [(answer["boolean"],)])
    columns = tuple(answer["head"]["vars"])
    rows = answer["results"]["bindings"]
    return Table(columns, [tuple(from_json(row.get(c)) for c in columns) for row in rows])


class Dataset:
    """One set of triples in a store."""

    def __init__(self, ask: Callable[[str], dict[str, Any]], change: Callable[[str], None]) -> None:
        self._ask = ask
        self.update = change

    def select(self, query: str) -> Table:
        return table(self._ask(query))

    def add(self, triples: Iterable[tuple[Any, Any, Any]]) -> None:
        # Not INSERT DATA, in which Virtuoso allows no blank nodes.
        text = " .\n".join(" ".join(term.n3() for term in triple) for triple in triples)
        self.update(f"INSERT {{ {text} }} WHERE {{ }}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[Any]) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"no server on port {port}")


class _Http:
    """A store that answers over HTTP."""

    def _wrapper(self, address: str, text: str, kind: str) -> SPARQLWrapper:
        wrapper = SPARQLWrapper(address, updateEndpoint=address)
        wrapper.setMethod(POST)
        wrapper.setTimeout(SECONDS)
        wrapper.setQuery(text)
        wrapper.queryType = kind
        if kind == "SELECT":
            wrapper.setReturnFormat(JSON)
        return wrapper


class OxigraphServer(_Http):
    """The server of the `oxigraph` package, one process for each dataset."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[Any]] = []
        self.ports: list[int] = []

    @staticmethod
    def missing() -> str | None:
        return None if shutil.which("oxigraph", path=_binaries()) else "needs pip install oxigraph"

    def load(self, name: str, triples: Path) -> Dataset:
        place = self._folder / name
        load = [_oxigraph(), "load", "--location", place, "--file", triples]
        subprocess.run(load, check=True, timeout=SECONDS)
        address = self._serve(place)
        return Dataset(
            lambda query: self._wrapper(f"{address}/query", query, "SELECT").queryAndConvert(),
            lambda update: self._wrapper(f"{address}/update", update, "INSERT").query(),
        )

    def _serve(self, place: Path) -> str:
        port = _free_port()
        self.ports.append(port)
        serve = [_oxigraph(), "serve", "--location", place, "--bind", f"127.0.0.1:{port}"]
        self._processes.append(subprocess.Popen(serve, stderr=subprocess.DEVNULL))
        _wait_for(port, self._processes[-1])
        return f"http://127.0.0.1:{port}"

    def empty(self) -> dict[str, str]:
        """What KnowledgeGraph needs to know of a store that holds nothing yet."""
        address = self._serve(self._folder / "empty")
        return {"endpoint": f"{address}/query", "update_endpoint": f"{address}/update"}

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
            process.wait(timeout=SECONDS)


def _oxigraph() -> str:
    return shutil.which("oxigraph", path=_binaries()) or "oxigraph"


def _binaries() -> str:
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


class Virtuoso(_Http):
    """Virtuoso 7 with a database of its own, one named graph for each dataset."""

    _SETTINGS = """[Database]
DatabaseFile = virtuoso.db
ErrorLogFile = virtuoso.log
LockFile = virtuoso.lck
TransactionFile = virtuoso.trx
xa_persistent_file = virtuoso.pxa
[TempDatabase]
DatabaseFile = virtuoso-temp.db
TransactionFile = virtuoso-temp.trx
[Parameters]
ServerPort = 127.0.0.1:{sql}
DirsAllowed = {folder}
NumberOfBuffers = 40000
CheckpointInterval = 0
[HTTPServer]
ServerPort = 127.0.0.1:{http}
[SPARQL]
ResultSetMaxRows = {rows}
MaxQueryExecutionTime = {seconds}
"""

    def __init__(self, folder: Path, rows: int = 1_000_000) -> None:
        self._sql, self._port = _free_port(), _free_port()
        (folder / "virtuoso.ini").write_text(
            self._SETTINGS.format(
                sql=self._sql, http=self._port, folder=folder, seconds=SECONDS, rows=rows
            )
        )
        start = ["virtuoso-t", "+configfile", "virtuoso.ini", "+foreground"]
        self._process = subprocess.Popen(
            start, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _wait_for(self._port, self._process)
        self._run("DB.DBA.USER_GRANT_ROLE('SPARQL', 'SPARQL_UPDATE', 0);", fails=True)

    @staticmethod
    def missing() -> str | None:
        found = shutil.which("virtuoso-t") and shutil.which("isql-vt")
        return None if found else "needs Virtuoso: apt install virtuoso-opensource-7-bin"

    def empty(self) -> dict[str, str]:
        """What KnowledgeGraph needs to know of this store, which asks for a password."""
        address = f"http://127.0.0.1:{self._port}/sparql-auth"
        return {
            "endpoint": address,
            "update_endpoint": address,
            "user": "dba",
            "password": "dba",
        }

    def _run(self, command: str, *, fails: bool = False) -> None:
        done = subprocess.run(
            ["isql-vt", f"127.0.0.1:{self._sql}", "dba", "dba", f"exec={command}"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        if "*** Error" in done.stdout + done.stderr and not fails:
            raise RuntimeError(done.stdout + done.stderr)

    def load(self, name: str, triples: Path) -> Dataset:
        graph = f"urn:{name}"
        self._run(
            "log_enable(2,1); "
            f"DB.DBA.TTLP_MT(file_to_string_output('{triples}'), '', '{graph}', 0);"
        )

        def wrapper(text: str) -> SPARQLWrapper:
            # Virtuoso takes updates to the default graph of the request as it takes queries.
            made = self._wrapper(f"http://127.0.0.1:{self._port}/sparql", text, "SELECT")
            made.addParameter("default-graph-uri", graph)
            return made

        return Dataset(
            lambda query: wrapper(query).queryAndConvert(),
            lambda update: wrapper(update).query(),
        )

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()


class Jena:
    """Jena ARQ in a process of its own, one model for each dataset."""

    def __init__(self, folder: Path) -> None:
        self._process = jena.Jena(folder)

    @staticmethod
    def missing() -> str | None:
        if not jena.installed():
            return "needs Jena: apt install libapache-jena-java"
        return None if shutil.which("java") else "needs Java"

    def load(self, name: str, triples: Path) -> Dataset:
        self._process.ask(do="load", store=name, path=str(triples))
        return Dataset(
            lambda query: self._process.ask(do="select", store=name, query=query),
            lambda update: self._process.ask(do="update", store=name, update=update),
        )

    def close(self) -> None:
        self._process.close()


STORES: dict[str, Any] = {
    "oxigraph server": OxigraphServer,
    "virtuoso": Virtuoso,
    "jena": Jena,
}
