"""Measure the running times that users see and print one table.

    python benchmarks/run.py [--write] [--runs N] [--quick]

Every row is the median of several runs; all rows come from one run of this file. `--write` puts the
table into docs/benchmarks.md, `--quick` leaves out rdflib, the largest ontology and most patients.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PAGE = ROOT / "docs" / "benchmarks.md"
EXAMPLE = ROOT / "ontology" / "examples" / "second-line-after-thp.json"
_CLI = "import sys; from her2kg.cli import main; sys.exit(main())"
_CLAIM = re.compile(r"^\s*(her2kg:(?:indication_\w+|\w+Population))\n", re.MULTILINE)
_TERM = re.compile(r"her2kg:\w+")

Row = tuple[str, float, str]


def seconds(work: Callable[[], Any]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(work: Callable[[], Any], runs: int) -> float:
    """Median wall time of several calls."""
    return statistics.median(repeated(work, runs))


def repeated(work: Callable[[], Any], runs: int) -> list[float]:
    """Wall times of several calls."""
    return [seconds(work) for _ in range(runs)]


def replace_table(page: Path, name: str, table: str) -> None:
    """Put a table into a page, between the comments `name` and `end name`."""
    text = re.sub(
        rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)",
        lambda m: f"{m[1]}\n{table}\n{m[2]}",
        page.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    page.write_text(text, encoding="utf-8")


def interleaved(works: list[Callable[[], Any]], runs: int) -> list[float]:
    """Medians of several works, run in turn so that a slow moment meets them all."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(runs):
        for found, work in zip(times, works, strict=True):
            found.append(seconds(work))
    return [statistics.median(found) for found in times]


def process(*arguments: str) -> Callable[[], Any]:
    """A whole Python process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def work() -> None:
        subprocess.run(
            [sys.executable, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL
        )

    return work


@contextmanager
def cache(folder: Path):
    """Use another cache folder."""
    before = os.environ.get("HER2KG_CACHE")
    os.environ["HER2KG_CACHE"] = str(folder)
    try:
        yield folder
    finally:
        if before is None:
            del os.environ["HER2KG_CACHE"]
        else:
            os.environ["HER2KG_CACHE"] = before


def start_up(runs: int) -> list[Row]:
    """Whole processes, and a graph made ready in a running one."""
    from her2kg import KnowledgeGraph

    eligible = process("-c", _CLI, "eligible", str(EXAMPLE))
    eligible()  # fills the cache
    works = [process("-c", "pass"), process("-c", "import rdflib"), eligible]
    nothing, rdflib, whole = interleaved(works, runs)
    kept = os.environ["HER2KG_CACHE"]

    def rebuilt() -> None:
        shutil.rmtree(kept)
        KnowledgeGraph()

    again = median(rebuilt, runs)
    ready = median(KnowledgeGraph, runs)
    return [
        ("`python -c pass`", nothing, ""),
        ("`python -c 'import rdflib'`", rdflib, ""),
        (
            "`her2kg eligible`, whole process",
            whole,
            f"{whole / nothing:.0f} x pass, {whole / rdflib:.1f} x import rdflib",
        ),
        ("`KnowledgeGraph()`, cached", ready, ""),
        ("`KnowledgeGraph()`, rebuilt", again, f"{again / ready:.1f} x cached"),
    ]


def one_patient(runs: int, *, rdflib: bool) -> list[Row]:
    """One warm patient with reasons, on each engine."""
    from her2kg import KnowledgeGraph

    rows: list[Row] = []
    first = None
    for engine in ("oxigraph", "rdflib") if rdflib else ("oxigraph",):
        kg = KnowledgeGraph(engine=engine)
        kg.eligibility(EXAMPLE)
        took = median(lambda kg=kg: kg.eligibility(EXAMPLE), runs if engine == "oxigraph" else 3)
        first = first or took
        ratio = f"{took / first:.0f} x oxigraph" if engine != "oxigraph" else ""
        rows.append((f"one patient with reasons, warm, {engine}", took, ratio))
    return rows


def multiplied(source: Path, target: Path, times: int) -> None:
    """Copy an ontology with every claim, its population and axioms repeated under new names."""
    shutil.copytree(source, target)
    for path in sorted((target / "regimens").glob("*.ttl")):
        text = path.read_text(encoding="utf-8")
        blocks = re.split(r"(?<=^ {4}\.\n)", text, flags=re.MULTILINE)
        claims = "".join(b for b in blocks if _CLAIM.match(b))
        names = set(_CLAIM.findall(claims))
        for number in range(2, times + 1):
            text += _TERM.sub(partial(_renamed, names, number), claims)
        path.write_text(text, encoding="utf-8")


def _renamed(names: set[str], number: int, term: re.Match[str]) -> str:
    return f"{term[0]}_{number}" if term[0] in names else term[0]


def claims_grow(runs: int, factors: tuple[int, ...]) -> list[Row]:
    """The time for one patient with more and more claims."""
    from her2kg import KnowledgeGraph

    rows: list[Row] = []
    first = None
    with tempfile.TemporaryDirectory() as folder:
        for factor in factors:
            home = Path(folder) / f"ontology{factor}"
            multiplied(ROOT / "ontology", home, factor)
            kg = KnowledgeGraph(ontology=home)
            query = "SELECT (COUNT(*) AS ?n) WHERE { ?claim her2kg:ofRegimen ?regimen }"
            ((count,),) = kg.select(query)
            kg.eligibility(EXAMPLE)
            took = median(lambda kg=kg: kg.eligibility(EXAMPLE), runs)
            first = first or took
            rows.append((f"one patient, {count} claims", took, f"{took / first:.1f} x the first"))
    return rows


def patients(count: int) -> list[dict[str, Any]]:
    """Records varied from the examples in age, ejection fraction, ECOG and oestrogen receptor."""
    examples = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(EXAMPLE.parent.glob("*.json"))
    ]
    found = []
    for number in range(count):
        record = copy.deepcopy(examples[number % len(examples)])
        record["id"] = f"{record['id']}-{number}"
        if "birth_date" not in record:
            record["age"] = 30 + number * 7 % 50
        record["lvef_percent"] = 45 + number * 3 % 25
        record["ecog"] = number % 3
        record["er_percent"] = number * 13 % 101
        found.append(record)
    return found


def patients_grow(counts: tuple[int, ...]) -> list[Row]:
    """More and more patients, one after the other, each with reasons."""
    from her2kg import KnowledgeGraph
    from her2kg.errors import DataError

    kg = KnowledgeGraph()
    records = []
    for record in patients(2 * max(counts)):  # a variation may contradict its example
        try:
            records.append(kg.record(record))
        except DataError:
            continue
    kg.eligibility(records[0])
    rows: list[Row] = []
    for count in counts:
        some = records[:count]
        took = median(lambda some=some: [kg.eligibility(r) for r in some], 3 if count < 1000 else 1)
        each = f"{took / count * 1000:.0f} ms a patient"
        rows.append((f"{len(some)} patients, one by one" if count > 1 else "1 patient", took, each))
    return rows


def reasoners(runs: int) -> list[Row]:
    """Every class of a patient, by the rules and by HermiT, over several example patients."""
    from her2kg import KnowledgeGraph
    from her2kg.reasoning import Reasoner

    kg = KnowledgeGraph()
    ready = seconds(lambda: Reasoner(kg))
    reasoner = Reasoner(kg)
    names = ("second-line-after-thp", "relapse-8-months", "early-pcr", "ihc-2-without-ish")
    records = [kg.record(EXAMPLE.with_name(f"{name}.json")) for name in names]
    for record in records:
        reasoner.compare(record)
    works = [
        lambda: [kg.decided(record) for record in records],
        lambda: [reasoner.compare(record) for record in records],
    ]
    rules, both = (took / len(records) for took in interleaved(works, runs))
    asked = both - rules
    return [
        ("HermiT with the class axioms loaded", ready, ""),
        ("every class of a patient, rules", rules, ""),
        ("every class of a patient, HermiT", asked, f"{asked / rules:.0f} x the rules"),
    ]


def protege() -> list[Row]:
    """The whole ontology in the OWL API: load, profile, consistency by its own HermiT."""
    sys.path.insert(0, str(ROOT / "tests"))
    from owlapi import Desk

    desk = Desk()
    found = desk("check", home=str(ROOT / "ontology"), name="her2kg.ttl", reason=True)
    desk.close()
    number = f"{found['modules']} modules, {found['entities']} entities"
    violations = f"{len(found['profile'])} violations of OWL 2 DL"
    consistent = "consistent" if found["consistent"] is True else str(found["consistent"])
    return [
        ("OWL API: load all by the catalog", found["load_seconds"], number),
        ("OWL API: OWL 2 DL profile", found["profile_seconds"], violations),
        ("OWL API: consistency, HermiT", found["reason_seconds"], consistent),
    ]


def shown(took: float) -> str:
    """Seconds or milliseconds, three figures."""
    return f"{took:.3g} s" if took >= 1 else f"{took * 1000:.3g} ms"


def report(rows: list[Row]) -> str:
    """The table with a line on where it was measured."""
    with_versions = ", ".join(f"{name} {version(name)}" for name in ("pyoxigraph", "rdflib"))
    lines = [
        f"Python {platform.python_version()}, {with_versions}, {os.cpu_count()} processors, "
        f"{platform.system()} {platform.machine()}, {time.strftime('%Y-%m-%d')}.",
        "",
        "| what | median | ratio |",
        "| --- | ---: | --- |",
        *(f"| {what} | {shown(took)} | {ratio} |" for what, took, ratio in rows),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run everything, print the table, write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="renew docs/benchmarks.md")
    parser.add_argument("--runs", type=int, default=7, help="runs of each short measurement")
    parser.add_argument("--quick", action="store_true", help="leave out what takes long")
    asked = parser.parse_args()
    factors = (1, 2, 4) if asked.quick else (1, 2, 4, 8)
    counts = (1, 10) if asked.quick else (1, 10, 100, 1000)
    with tempfile.TemporaryDirectory() as folder, cache(Path(folder) / "cache"):
        rows = start_up(asked.runs)
        rows += one_patient(asked.runs, rdflib=not asked.quick)
        rows += claims_grow(asked.runs, factors)
        rows += patients_grow(counts)
        rows += reasoners(3)
        rows += protege()
    table = report(rows)
    print(table, end="")
    if asked.write:
        replace_table(PAGE, "benchmarks", table)


if __name__ == "__main__":
    main()
