"""Questions per second of `her2kg serve`, beside Virtuoso with the same triples.

    python benchmarks/serve.py [--seconds 10] [--clients 1 8 64]

Every question of the library that stands on knowledge alone, with the parameters of its cases in
`tests/expected/`, goes round in the same order to both, over HTTP with connections that are kept.
Both get the same time, one after the other. Needs Virtuoso, as `tests/stores.py` does.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import stores  # noqa: E402
from serving import serving  # noqa: E402
from test_queries import CASES, read_case  # noqa: E402

from her2kg import KnowledgeGraph, queries  # noqa: E402
from her2kg.serve_store import prepared  # noqa: E402

LIMIT = 60.0
QUICK = 0.5  # seconds


def questions() -> list[tuple[str, str]]:
    """Name of the case and text of each question."""
    names = KnowledgeGraph().names
    found = []
    for name in CASES:
        if name.startswith(("cohort/", "eligibility/", "early/")):
            continue  # proved on patients that are not served
        case = read_case(name)
        query = queries.find(case.query)
        found.append((name, queries.bind(query, case.parameters, names)))
    return found


class Target:
    """A server that takes queries."""

    def __init__(self, name: str, port: int, path: str, more: dict[str, str]) -> None:
        self.name, self.port, self.path, self.more = name, port, path, more

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)

    def ask(self, connection: http.client.HTTPConnection, text: str) -> bool:
        body = urlencode({"query": text, **self.more})
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/sparql-results+json",
        }
        try:
            connection.request("POST", self.path, body, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status == 200
        except (OSError, http.client.HTTPException):
            connection.close()
            return False


def once(target: Target, asked: list[tuple[str, str]]) -> dict[str, float]:
    """Seconds for each question, asked alone; those that fail are left out."""
    connection = target.connect()
    taken = {}
    for name, text in asked:
        start = time.perf_counter()
        if target.ask(connection, text):
            taken[name] = time.perf_counter() - start
    connection.close()
    return taken


def load(
    target: Target, asked: list[tuple[str, str]], clients: int, seconds: float
) -> dict[str, float]:
    """Keep a number of clients asking, each going round from another place of the list.

    Shape: queries per second; median and 95th percentile in milliseconds; failed requests.
    """
    times: list[float] = []
    failed = [0]
    end = time.perf_counter() + seconds

    def client(number: int) -> None:
        connection = target.connect()
        at = number * len(asked) // clients
        while time.perf_counter() < end:
            start = time.perf_counter()
            if target.ask(connection, asked[at % len(asked)][1]):
                times.append(time.perf_counter() - start)
            else:
                failed[0] += 1
            at += 1
        connection.close()

    start = time.perf_counter()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = time.perf_counter() - start
    ordered = sorted(times)
    return {
        "rate": len(times) / whole,
        "median": statistics.median(ordered) * 1000,
        "p95": ordered[int(len(ordered) * 0.95)] * 1000,
        "failed": failed[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    given = parser.parse_args()
    if missing := stores.Virtuoso.missing():
        sys.exit(missing)
    asked = questions()
    with tempfile.TemporaryDirectory() as folder, serving("--timeout", "60") as server:
        graph = prepared(Path(folder))
        triples = Path(folder) / "graph.nt"
        triples.write_bytes(graph.path.read_bytes())  # one graph: N-Quads are N-Triples
        virtuoso = stores.Virtuoso(Path(folder))
        try:
            virtuoso.load("her2kg", triples)
            more = {"default-graph-uri": "urn:her2kg"}
            targets = [
                Target("her2kg serve", server.port, "/sparql", {}),
                Target("Virtuoso", virtuoso._port, "/sparql", more),
            ]
            _report(targets, asked, given)
        finally:
            virtuoso.close()


def _report(targets: list[Target], asked: list[tuple[str, str]], given: Any) -> None:
    for target in targets:
        once(target, asked)  # both have warm caches
    alone = [once(target, asked) for target in targets]
    both = [each for each in asked if all(each[0] in taken for taken in alone)]
    ratios = sorted(alone[1][name] / alone[0][name] for name, _ in both)
    print(f"{len(both)} of {len(asked)} cases are answered by both.\n")
    ours, theirs = (sum(taken[name] for name, _ in both) for taken in alone)
    print(f"One after the other: {ours:.2f} s and {theirs:.2f} s, ratio {theirs / ours:.2f}.")
    tenth, middle, ninth = (ratios[int(len(ratios) * part)] for part in (0.1, 0.5, 0.9))
    print(
        f"Virtuoso takes {middle:.2f} times as long on the median question "
        f"({tenth:.2f} and {ninth:.2f} at the 10th and 90th percentile).\n"
    )
    quick = [each for each in both if all(taken[each[0]] < QUICK for taken in alone)]
    print(f"All {len(both)} cases:\n")
    _table(targets, both, given)
    print(f"\nThe {len(quick)} cases that take under {QUICK:g} s on both:\n")
    _table(targets, quick, given)


def _table(targets: list[Target], asked: list[tuple[str, str]], given: Any) -> None:
    print("| clients | server | queries/s | median ms | p95 ms | failed | ratio of queries/s |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for clients in given.clients:
        measured = [load(target, asked, clients, given.seconds) for target in targets]
        ratio = measured[0]["rate"] / measured[1]["rate"]
        for target, found in zip(targets, measured, strict=True):
            shown = f"{ratio:.2f}" if target is targets[0] else ""
            print(
                f"| {clients} | {target.name} | {found['rate']:.0f} | {found['median']:.1f} "
                f"| {found['p95']:.1f} | {found['failed']:.0f} | {shown} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
