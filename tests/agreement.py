"""The agreement run: rules on Oxigraph, rules on rdflib and HermiT over generated patients.

    python -m tests.agreement --patients 2000 --seed 1 --workers 2 -o result.jsonl

Each line of the result is one patient; a run that was stopped goes on where it ended. The summary
is printed at the end. Exit 1 if a difference is not among tests/data/case-splits.csv.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from her2kg import KnowledgeGraph
from her2kg.errors import EngineError
from her2kg.namespaces import BASE
from her2kg.reasoning import Comparison, Reasoner
from her2kg.records import Record
from tests import patients

CASE_SPLITS = Path(__file__).parent / "data" / "case-splits.csv"


@cache
def reasoner() -> Reasoner:
    return Reasoner(patients.graph())


@cache
def second() -> KnowledgeGraph:
    return KnowledgeGraph(engine="rdflib")


def judge(number: int, seed: int, *, rdflib: bool) -> dict[str, Any]:
    """Compare every class of one generated patient; a line of the result."""
    data = patients.seeded(number, seed)
    record = patients.graph().record(data)
    start = time.perf_counter()
    _, decided = patients.graph().decided(record)
    between = time.perf_counter()
    line: dict[str, Any] = {"number": number, "rules_seconds": round(between - start, 3)}
    try:
        found = reasoner().compare(record)
    except EngineError as error:
        return {**line, "undecided": str(error)}
    line["both_seconds"] = round(time.perf_counter() - between, 3)
    line["consistent"] = found.consistent
    pairs = Counter(f"{m.rules}/{m.reasoner}" for m in found.memberships)
    line["pairs"] = dict(sorted(pairs.items()))
    line["met"] = sorted({m.class_ for m in found.memberships if m.rules == "met"})
    line["unmet"] = sorted({m.class_ for m in found.memberships if m.rules == "unmet"})
    line["differences"] = [
        [m.individual.removeprefix("patient_generated"), m.class_, m.rules, m.reasoner]
        for m in found.differences
    ]
    if rdflib:
        line["rdflib"] = second().decided(record)[1] == decided
    if line["differences"] or line.get("rdflib") is False:
        line["record"] = data
    if line["consistent"] and line["differences"]:
        line["roots"], line["left"] = roots(record, found)
    return line


def roots(record: Record, found: Comparison) -> tuple[list[list[str]], list[list[str]]]:
    """The differences from which the rules find the others themselves, and those left over.

    One difference after the other, what others rest on first, is told to the rules, until they
    decide all that the reasoner decides. Left over is where the rules decide what it does not, or
    what it decides the other way round.
    """
    depth = reasoner().hermit.depth
    told: dict[tuple[str, str], str] = {}
    wanted = {(BASE + m.individual, BASE + m.class_): m.reasoner for m in found.memberships}
    by_rules = {(BASE + m.individual, BASE + m.class_): m.rules for m in found.memberships}
    while True:
        behind = [
            key
            for key, status in by_rules.items()
            if status == "unknown" != wanted[key] and key not in told
        ]
        if not behind:
            break
        key = min(behind, key=lambda k: (-len(k[0]), depth.get(k[1], 0), k))
        told[key] = wanted[key]
        _, decided = patients.graph().decided(record, told)
        by_rules = {key: decided.get(key, "unknown") for key in wanted}

    def short(key: tuple[str, str]) -> list[str]:
        name = key[0].removeprefix(BASE).removeprefix("patient_generated")
        return [name, key[1].removeprefix(BASE)]

    left = [key for key, status in by_rules.items() if status != wanted[key]]
    return (
        [[*short(key), "unknown", status] for key, status in told.items()],
        [[*short(key), by_rules[key], wanted[key]] for key in left],
    )


def _job(task: tuple[int, int, bool]) -> dict[str, Any]:
    number, seed, rdflib = task
    return judge(number, seed, rdflib=rdflib)


def explained() -> dict[tuple[str, str], str]:
    """Roots that the rules cannot see, as (class, value by HermiT), and the axioms."""
    with CASE_SPLITS.open(encoding="utf-8", newline="") as file:
        return {(row["class"], row["reasoner"]): row["axiom"] for row in csv.DictReader(file)}


def unexplained(line: dict[str, Any]) -> Iterator[list[str]]:
    """Differences of one line that are neither a known root nor follow from one by the rules."""
    if not line.get("consistent", True):
        yield from line["differences"]
        return
    known = explained()
    for each in line.get("roots", ()):
        _, iri, _, by_reasoner = each
        if (iri, by_reasoner) not in known:
            yield each
    yield from line.get("left", ())


def summary(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Count a run."""
    pairs: Counter[str] = Counter()
    for line in lines:
        if line.get("consistent"):
            pairs.update(line["pairs"])
    met = {iri for line in lines if line.get("consistent") for iri in line["met"]}
    unmet = {iri for line in lines if line.get("consistent") for iri in line["unmet"]}
    every = {iri for iris in reasoner()._kinds.values() for iri in iris}
    never = sorted(iri.removeprefix(BASE) for iri in every if iri.removeprefix(BASE) not in met)
    differences = Counter(
        (iri, rules, by_reasoner)
        for line in lines
        for _, iri, rules, by_reasoner in line.get("differences", ())
    )
    begun = Counter(
        (iri, by_reasoner) for line in lines for _, iri, _, by_reasoner in line.get("roots", ())
    )
    rules = sum(line["rules_seconds"] for line in lines)
    both = sum(line.get("both_seconds", 0) for line in lines)
    return {
        "patients": len(lines),
        "consistent": sum(bool(line.get("consistent")) for line in lines),
        "inconsistent by both": sum(
            line.get("consistent") is False and not line["differences"] for line in lines
        ),
        "undecided by HermiT": [line["number"] for line in lines if "undecided" in line],
        "compared on rdflib too": sum("rdflib" in line for line in lines),
        "rdflib differs": [line["number"] for line in lines if line.get("rdflib") is False],
        "memberships": sum(pairs.values()),
        "rules/reasoner": dict(sorted(pairs.items())),
        "patients with a difference": sum(bool(line.get("differences")) for line in lines),
        "differences": differences.total(),
        "roots": [[*each, count] for each, count in sorted(begun.items())],
        "unexplained": sum(1 for line in lines for _ in unexplained(line)),
        "classes": len(every),
        "classes met at least once": len(met),
        "classes refuted at least once": len(unmet),
        "never met": never,
        "seconds of the rules": round(rules),
        "seconds of the reasoner": round(both - rules),
    }


def _known(path: Path, seed: int) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    if lines and lines[0].get("seed") != seed:
        sys.exit(f"{path} holds a run of seed {lines[0].get('seed')}; name another file with -o")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--patients", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rdflib-every", type=int, default=50, help="0: never")
    parser.add_argument("-o", "--output", type=Path, default=Path("agreement.jsonl"))
    asked = parser.parse_args()
    lines = _known(asked.output, asked.seed)
    done = {line["number"] for line in lines}
    every = asked.rdflib_every
    tasks = [
        (number, asked.seed, bool(every) and number % every == 0)
        for number in range(asked.patients)
        if number not in done
    ]
    with (
        asked.output.open("a", encoding="utf-8") as out,
        get_context("spawn").Pool(asked.workers) as pool,
    ):
        for line in pool.imap_unordered(_job, tasks):
            line["seed"] = asked.seed
            lines.append(line)
            out.write(json.dumps(line) + "\n")
            out.flush()
            for each in unexplained(line):
                print(line["number"], *each, file=sys.stderr)
            if len(lines) % 50 == 0:
                print(f"{len(lines)} of {asked.patients} patients", file=sys.stderr)
    counted = summary(lines)
    print(json.dumps(counted, indent=2))
    sys.exit(1 if counted["unexplained"] or counted["rdflib differs"] else 0)


if __name__ == "__main__":
    main()
