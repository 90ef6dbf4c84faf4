"""The agreement run of cohorts: columns and SPARQL rules over generated patients.

    python -m tests.cohort_agreement --patients 100000 --seed 1 --workers 2 -o result.jsonl

Every patient is judged on three days: that of the record and two on which a claim or rule changes.
Each line of the result is a part of the patients; a run that was stopped goes on where it ended.
The summary is printed at the end. Exit 1 if any verdict differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import date, timedelta
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import polars as pl

from her2kg.cohort.engine import Compiled, Judge, Question
from her2kg.cohort.rows import frame_of, row_of
from her2kg.records import Record
from tests import patients

TODAY = patients.AS_OF
_PART = 250


@cache
def compiled() -> Compiled:
    return Compiled(patients.graph())


@cache
def jurisdictions() -> tuple[str, ...]:
    rows = patients.graph().query("terms/jurisdictions").to_dicts()
    return tuple(row["code"] for row in rows)


def days(rng: Random) -> list[date]:
    """The day of the record, and two days at which something changes, or the day before one."""
    changes = compiled().claims.days
    return [TODAY, *(rng.choice(changes) - timedelta(rng.randint(0, 1)) for _ in range(2))]


def by_rules(record: Record, asked: list[date]) -> tuple[list[dict[str, str]], bool]:
    """Verdicts of all claims by the SPARQL rules for each day, and whether it is in the scope."""
    evaluator = patients.graph()._evaluator
    with evaluator.inferred(record):
        about = f"<{record.iri}>"
        found = [
            {
                claim.local: verdict
                for claim, verdict in evaluator._ask("claim-verdicts", patient=about, asOf=day)
            }
            for day in asked
        ]
        return found, not evaluator._ask("scope", patient=about)


def frame(records: list[Record], asked: list[date]) -> pl.DataFrame:
    """Records as rows, with the day asked for in a column of its own."""
    table = frame_of([row_of(record.to_dict()) for record in records])
    return table.with_columns(pl.Series("asked", asked, dtype=pl.Date))


def part(number: int, size: int, seed: int) -> dict[str, Any]:
    """Compare some patients; a line of the result."""
    records, asked = [], []
    for each in range(number * size, (number + 1) * size):
        rng = Random(f"{seed}-{each}")
        data = patients.draw(rng, consistent=bool(each % 2)) | {"id": f"patient-{each}"}
        records.append(patients.graph().record(data))
        asked.append(days(rng))
    judge = Judge(compiled(), Question(jurisdictions=jurisdictions(), as_of="asked"), TODAY)
    start = time.perf_counter()
    told = []
    for at in range(3):
        table = frame(records, [each[at] for each in asked])
        told.append(
            (judge.by_claim(table).to_dicts(), judge.verdicts(table).select("scope").to_series())
        )
    columns_seconds = time.perf_counter() - start
    line: dict[str, Any] = {"part": number, "patients": size, "verdicts": 0, "differences": []}
    start = time.perf_counter()
    for at, record in enumerate(records):
        found, inside = by_rules(record, asked[at])
        for turn in range(3):
            answers, scope = told[turn]
            if (scope[at] == "inside") != inside:
                line["differences"].append([record.model.id, "scope", scope[at]])
            for claim in judge.claims:
                rules, columns = found[turn].get(claim.name), answers[at][claim.name]
                line["verdicts"] += rules is not None
                if rules != columns:
                    day = asked[at][turn].isoformat()
                    line["differences"].append([record.model.id, claim.name, day, rules, columns])
    line["columns_seconds"] = round(columns_seconds, 2)
    line["rules_seconds"] = round(time.perf_counter() - start, 2)
    return line


def _job(task: tuple[int, int, int]) -> dict[str, Any]:
    return part(*task)


def _known(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    lines = _known(given.output)
    done = {line["part"] for line in lines}
    parts = range(-(-given.patients // _PART))
    tasks = [(number, _PART, given.seed) for number in parts if number not in done]
    with (
        given.output.open("a", encoding="utf-8") as result,
        get_context("spawn").Pool(given.workers) as pool,
    ):
        for line in pool.imap_unordered(_job, tasks):
            lines.append(line)
            result.write(json.dumps(line) + "\n")
            result.flush()
    wrong = [each for line in lines for each in line["differences"]]
    print(f"patients             {sum(line['patients'] for line in lines):,}")
    print(f"verdicts of claims   {sum(line['verdicts'] for line in lines):,}")
    print(f"differences          {len(wrong):,}")
    print(f"seconds, rules       {sum(line['rules_seconds'] for line in lines):,.0f}")
    print(f"seconds, columns     {sum(line['columns_seconds'] for line in lines):,.0f}")
    for each in wrong[:20]:
        print(*each)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
