"""How fast cohorts are judged, Parquet to Parquet, beside what else could be used.

    python -m benchmarks.cohort.run --sizes 10000 100000 1000000
    python -m benchmarks.cohort.run --sizes 10000 100000 1000000 10000000 --write

All rows come from one run on one machine. Every run is a process of its own: its time includes the
start and the compiling of the classes, its memory is the peak of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from benchmarks.cohort.handwritten import CLAIMS
from her2kg import KnowledgeGraph
from her2kg.cohort.rows import record_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "cohorts.md"
BY_RULES = 100  # patients of whom each takes about a tenth of a second
_PART = re.compile(r"(<!-- cohort benchmarks -->\n).*?(<!-- end of cohort benchmarks -->)", re.S)


def measured(*command: str) -> tuple[float, float]:
    """Seconds and peak memory in MB of a command. Errors: RuntimeError if it fails."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        if status:
            said.seek(0)
            raise RuntimeError(said.read().decode()[-2000:])
    return seconds, usage.ru_maxrss / 1024


def line(what: str, patients: int, seconds: float, memory: float | None = None) -> dict:
    return {
        "what": what,
        "patients": patients,
        "seconds": round(seconds, 2),
        "per_second": round(patients / seconds),
        "memory": round(memory) if memory is not None else None,
    }


def run(sizes: list[int], folder: Path) -> list[dict]:
    her2kg = [sys.executable, "-m", "her2kg"]
    lines = []
    cohorts = {}
    for size in sizes:
        cohort = cohorts[size] = folder / f"{size}.parquet"
        seconds, memory = measured(*her2kg, "simulate", str(size), "--seed", "1", "-o", str(cohort))
        lines.append(line("simulate", size, seconds, memory))
        told = [*her2kg, "cohort", str(cohort), "-o", str(folder / "verdicts"), "--format", "json"]
        lines.append(line("all regimens", size, *measured(*told)))
    middle = cohorts[sizes[-1] if len(sizes) < 3 else sizes[2]]
    number = pl.scan_parquet(middle).select(pl.len()).collect().item()
    five = [part for name in CLAIMS for part in ("--regimen", name)]
    told = [*her2kg, "cohort", str(middle), "-o", str(folder / "five"), "--format", "json"]
    told += [*five, "--basis", "label", "--jurisdiction", "US"]
    lines.append(line("five regimens by label", number, *measured(*told)))
    hand = [sys.executable, "-m", "benchmarks.cohort.handwritten", str(middle)]
    hand += [str(folder / "hand.parquet"), "--as-of", "2026-06-30"]
    lines.append(line("five regimens by label, written by hand", number, *measured(*hand)))
    lines.append(_by_rules(middle))
    return lines


def _by_rules(cohort: Path) -> dict:
    """The SPARQL rules, one patient after the other, without reading."""
    kg = KnowledgeGraph()
    rows = pl.read_parquet(cohort, n_rows=BY_RULES)
    records = [kg.record(record_of(row)) for row in rows.iter_rows(named=True)]
    kg.eligibility(records[0])
    start = time.perf_counter()
    for record in records:
        kg.eligibility(record)
    return line("SPARQL rules, with reasons", len(records), time.perf_counter() - start)


def table(lines: list[dict]) -> str:
    head = "| what | patients | seconds | patients a second | peak memory |\n"
    head += "| --- | ---: | ---: | ---: | ---: |\n"
    rows = [
        f"| {each['what']} | {each['patients']:,} | {each['seconds']:,} | {each['per_second']:,} "
        f"| {str(each['memory']) + ' MB' if each['memory'] else ''} |\n"
        for each in lines
    ]
    return head + "".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--write", action="store_true", help="renew the table of docs/cohorts.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = run(given.sizes, Path(folder))
    print(json.dumps(lines, indent=1))
    text = table(lines)
    print(text)
    if given.write:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(_PART.sub(lambda m: m[1] + "\n" + text + "\n" + m[2], page), "utf-8")


if __name__ == "__main__":
    main()
