"""Time every question of the library on every engine and print one table.

    python benchmarks/engines.py [--write] [--runs N]

Each question is asked with the parameters of its first case in tests/expected/, of the embedded
Oxigraph and rdflib and of the stores that tests/stores.py starts; the stores hold what the tests
load into them. Every cell is the median of several runs, or one run where that takes over two
seconds, and covers the request and the reading of all rows. `--write` puts the table into
docs/query-times.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
PAGE = ROOT / "docs" / "query-times.md"
_LONG = 2.0  # seconds above which one run is enough

import test_queries as cases  # noqa: E402
import test_stores  # noqa: E402
from run import repeated, replace_table, seconds  # noqa: E402
from stores import STORES  # noqa: E402

from her2kg import queries  # noqa: E402


class Embedded:
    """An engine in this process, with the datasets of the tests."""

    def __init__(self, name: str) -> None:
        self._name = name

    def for_question(self, name: str) -> Any:
        if name.startswith("cohort/"):
            return cases.evaluated_cohort(self._name).engine
        if "patient" in cases.LIBRARY[name].parameters:
            return cases.evaluated(self._name).engine
        return cases.knowledge(self._name).engine


@contextmanager
def engines() -> Iterator[dict[str, Any]]:
    """The engines by name: those of this process and the stores that are installed."""
    found: dict[str, Any] = {name: Embedded(name) for name in ("oxigraph", "rdflib")}
    started = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name, kind in STORES.items():
                if reason := kind.missing():
                    print(f"{name}: {reason}", file=sys.stderr)
                    continue
                place = Path(folder) / name.replace(" ", "-")
                place.mkdir()
                found[name] = test_stores.Filled(kind, place)
                started.append(found[name].store)
            yield found
        finally:
            for store in started:
                store.close()


def typical(work: Callable[[], Any], runs: int) -> float:
    """Median wall time of a call, or that of one call where it is long."""
    first = seconds(work)
    return first if first > _LONG else statistics.median([first, *repeated(work, runs - 1)])


def first_cases() -> dict[str, Any]:
    """The first case of each question that has one."""
    found: dict[str, Any] = {}
    for name in cases.CASES:
        case = cases.read_case(name)
        found.setdefault(case.query, case)
    return found


def measure(running: dict[str, Any], runs: int) -> dict[str, dict[str, float]]:
    """Seconds by question and engine."""
    names = cases.knowledge("oxigraph").names
    found: dict[str, dict[str, float]] = {}
    for question, case in first_cases().items():
        found[question] = {}
        for name, engine in running.items():
            dataset = engine.for_question(question)
            queries.run(dataset, names, question, case.parameters)  # plans and caches are ready

            def ask(dataset: Any = dataset, case: Any = case) -> Any:
                return queries.run(dataset, names, case.query, case.parameters)

            found[question][name] = typical(ask, runs)
        print(question, file=sys.stderr)
    return found


def table(found: dict[str, dict[str, float]]) -> list[str]:
    """The lines of two Markdown tables: the whole library, then question by question."""
    names = list(next(iter(found.values())))
    first = names[0]
    lines = [
        "| engine | all questions | median | slowest | median ratio |",
        "| --- |" + " ---: |" * 4,
    ]
    for name in names:
        times = [row[name] for row in found.values()]
        ratio = statistics.median(row[name] / row[first] for row in found.values())
        slowest = max(found, key=lambda question: found[question][name])
        lines.append(
            f"| {name} | {sum(times):.2f} s | {_ms(statistics.median(times))} "
            f"| {_ms(max(times))} `{slowest}` | {ratio:.1f} x {first} |"
        )
    lines += ["", f"| question, ms | {' | '.join(names)} |", "| --- |" + " ---: |" * len(names)]
    for question, row in found.items():
        cells = " | ".join(_number(row[name]) for name in names)
        lines.append(f"| `{question}` | {cells} |")
    return lines


def _number(value: float) -> str:
    return f"{value * 1000:.3g}" if value < 1 else f"{value * 1000:.0f}"


def _ms(value: float) -> str:
    return f"{_number(value)} ms"


def main() -> None:
    """Measure, print, write if asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="renew docs/query-times.md")
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    with engines() as running:
        found = measure(running, asked.runs)
    machine = f"{os.cpu_count()} processors, {platform.system()} {platform.machine()}"
    packages = ", ".join(f"{name} {version(name)}" for name in ("pyoxigraph", "rdflib", "oxigraph"))
    lines = [f"Python {platform.python_version()}, {packages}, {machine}.", "", *table(found)]
    print("\n".join(lines))
    if asked.write:
        replace_table(PAGE, "times", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
