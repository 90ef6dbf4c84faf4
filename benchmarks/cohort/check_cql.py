"""Compare the verdicts by CQL with those of the graph, on generated patients.

    python -m benchmarks.cohort.check_cql [--patients 300] [--seed 11] [--folder FOLDER]

Needs Node and `npm ci` in this folder, so it is a script and not a test. Records on which the
graph finds a contradiction are counted apart. Exit code 1 if any other verdict differs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.cohort import fhir, handwritten
from benchmarks.cohort.rows import frame
from tests import patients

HERE = Path(__file__).resolve().parent


def by_cql(cohort: pl.DataFrame, kg: Any, as_of: str, folder: Path) -> pl.DataFrame:
    """Write bundles into a folder, run the CQL on them and read its verdicts."""
    bundles, verdicts = folder / "bundles.ndjson", folder / "verdicts.ndjson"
    fhir.write(cohort, kg, bundles)
    command = ["node", str(HERE / "run_cql.mjs"), str(bundles), str(verdicts), "--as-of", as_of]
    subprocess.run(command, check=True)
    return pl.read_ndjson(verdicts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=300)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()

    kg = patients.graph()
    records = [
        {**patients.seeded(number, options.seed), "id": f"patient-{number}"}
        for number in range(options.patients)
    ]
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        found = by_cql(frame(records), kg, patients.AS_OF.isoformat(), folder)
    rows = {row["id"]: row for row in found.iter_rows(named=True)}
    equal = contradicted = wrong = 0
    for record in records:
        answers = kg.eligibility(
            record, as_of=patients.AS_OF, bases=("label",), jurisdictions=("US",)
        )
        stands = {each.regimen: each.verdict for each in answers.regimens}
        differing = [
            name for name in handwritten.CLAIMS if rows[record["id"]][name] != stands[name]
        ]
        equal += len(handwritten.CLAIMS) - len(differing)
        if not differing:
            continue
        if "conflicting" in kg.decided(kg.record(record))[1].values():
            contradicted += len(differing)
            continue
        wrong += len(differing)
        for name in differing:
            told = rows[record["id"]][name]
            print(f"{record['id']} {name}: CQL {told}, graph {stands[name]}", file=sys.stderr)
    print(f"{equal} verdicts equal, {wrong} differ, {contradicted} differ on contradictions")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
