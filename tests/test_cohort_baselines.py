"""The label indications written by hand in benchmarks/cohort/ give the verdicts of the graph."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import patients
import polars as pl
import pytest

from benchmarks.cohort import handwritten
from benchmarks.cohort.rows import frame
from her2kg.eligibility import Evaluator

GENERATED = 180


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    given = [json.loads(text) for text in patients.examples()]
    given += [patients.seeded(number, 20) for number in range(GENERATED)]
    # Without a day of its own a record is read as of today, and a table has no today.
    return [
        {"as_of": patients.AS_OF.isoformat(), **each, "id": f"patient-{number}"}
        for number, each in enumerate(given)
    ]


def by_hand(table: pl.DataFrame, as_of: date = patients.AS_OF) -> pl.DataFrame:
    names = handwritten.codes(patients.graph())
    return handwritten.verdicts(table.lazy(), as_of, names).collect()


def of_graph(record: dict[str, Any], as_of: date = patients.AS_OF) -> dict[str, str]:
    answers = patients.graph().eligibility(
        record, as_of=as_of, bases=("label",), jurisdictions=("US",)
    )
    return {each.regimen: each.verdict for each in answers.regimens}


def test_each_regimen_has_the_one_claim_that_is_written_by_hand() -> None:
    evaluator = Evaluator(patients.graph().engine, patients.graph().names)
    found: dict[str, list[tuple[str, date]]] = {}
    for claim in evaluator._claims:
        if claim.basis == "label" and claim.jurisdiction == "US" and claim.valid_until is None:
            found.setdefault(claim.regimen.local, []).append((claim.iri.local, claim.valid_from))
    for regimen, claim in handwritten.CLAIMS.items():
        assert found[regimen] == [claim]


def test_verdicts_by_hand_equal_those_of_the_graph(records: list[dict[str, Any]]) -> None:
    table = by_hand(frame(records))
    graph = patients.graph()
    seen, contradicted = set(), 0
    for record, row in zip(records, table.iter_rows(named=True), strict=True):
        stands = of_graph(record)
        told = {name: row[name] for name in handwritten.CLAIMS}
        wanted = {name: stands[name] for name in handwritten.CLAIMS}
        seen.update(wanted.items())
        if told != wanted:
            # Only a record that contradicts itself may be judged otherwise.
            assert "conflicting" in graph.decided(graph.record(record))[1].values(), record
            contradicted += 1
    assert contradicted <= len(records) // 50
    assert len(seen) == 3 * len(handwritten.CLAIMS), "a verdict that no patient has is not compared"


def test_claims_and_rules_count_from_their_first_day() -> None:
    record = {
        "id": "second-line", "as_of": "2010-01-01", "age": 50, "sex": "female",
        "pregnancy": "not pregnant", "menopausal": "premenopausal", "setting": "metastatic",
        "her2_ihc": "3+", "lvef_percent": 60, "labs": {"creatinine_clearance_ml_min": 90},
        "history": {"hypersensitivity": []},
        "prior_therapies": [{"drugs": ["trastuzumab", "docetaxel"], "setting": "metastatic"}],
    }  # fmt: skip
    found = []
    for day in ("2010-01-28", "2012-06-07", "2020-04-17", "2025-10-30", "2025-10-31"):
        as_of = date.fromisoformat(day)
        row = by_hand(frame([record]), as_of).row(0, named=True)
        stands = of_graph(record, as_of)
        found.append(row["regimen_tucatinib_trastuzumab_capecitabine"])
        for name in handwritten.CLAIMS:
            assert row[name] == stands[name], (name, as_of)
    assert found == ["ineligible", "ineligible", "eligible", "eligible", "undetermined"]


def test_columns_may_be_absent_and_order_is_kept(records: list[dict[str, Any]]) -> None:
    table = frame(records)
    whole = by_hand(table)
    assert whole["id"].to_list() == table["id"].to_list()
    filled = [name for name in table.columns if table[name].null_count() < table.height]
    assert by_hand(table.select(filled)).equals(whole)
    nothing = by_hand(table.select("id"))
    for name in handwritten.CLAIMS:
        assert set(nothing[name]) == {"undetermined"}
