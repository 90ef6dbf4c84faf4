"""The same rows in the stores of others: every question, the derivation and the truth rules.

The stores are those of `stores.py`; the rows are those of `test_queries.py`. A store that is not
installed is skipped; `.ci/run` installs all.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rdflib import Literal, URIRef
from stores import STORES, Dataset
from test_queries import (
    CASES,
    COHORT,
    EXAMPLES,
    LIBRARY,
    PATIENT,
    STATED,
    TRUTHS,
    as_cells,
    evaluated,
    evaluated_cohort,
    knowledge,
    read_case,
)

from her2kg import KnowledgeGraph, queries, rules
from her2kg.namespaces import BASE, PREFIXES
from her2kg.record_rdf import to_triples

pytestmark = pytest.mark.timeout(600)


class Filled:
    """A running store, filled when a dataset is first asked for."""

    def __init__(self, kind: Any, folder: Path) -> None:
        self.store = kind(folder)
        self._triples = folder / "knowledge.nt"
        self._datasets: dict[str, Dataset] = {}

    def dataset(self, name: str, patients: tuple[Path, ...]) -> Dataset:
        if name not in self._datasets:
            if not self._triples.exists():
                _write_knowledge(self._triples)
            found = self.store.load(name, self._triples)
            kg = knowledge("oxigraph")
            for path in patients:
                record = kg.record(path)
                mark = (URIRef(record.iri), URIRef(BASE + "isUnderEvaluation"), Literal(True))
                found.add([*to_triples(record, kg.names), mark])
            if patients:
                rules.run_folder(found, "derivation")
                rules.infer(found)
            self._datasets[name] = found
        return self._datasets[name]

    def knowledge(self) -> Dataset:
        return self.dataset("knowledge", ())

    def patient(self) -> Dataset:
        return self.dataset("patient", (PATIENT,))

    def cohort(self) -> Dataset:
        return self.dataset("cohort", tuple(EXAMPLES / f"{name}.json" for name in COHORT))

    def for_question(self, name: str) -> Dataset:
        if name.startswith("cohort/"):
            return self.cohort()
        return self.patient() if "patient" in LIBRARY[name].parameters else self.knowledge()


def _write_knowledge(path: Path) -> None:
    kg = KnowledgeGraph()
    kg.complete()
    lines = [
        f"{s.n3()} {p.n3()} {o.n3()} .\n"
        for s, p, o in kg.engine.construct(rules.system("everything.rq"))
    ]
    path.write_text("".join(lines), encoding="utf-8")


@pytest.fixture(scope="module", params=list(STORES))
def filled(request: Any, tmp_path_factory: Any) -> Iterator[Filled]:
    kind = STORES[request.param]
    if reason := kind.missing():
        pytest.skip(reason)
    found = Filled(kind, tmp_path_factory.mktemp("store"))
    yield found
    found.store.close()


def rows_of(dataset: Any, query: str) -> set[tuple[str, ...]]:
    prefixes = "".join(f"PREFIX {prefix}: <{iri}>\n" for prefix, iri in PREFIXES.items())
    return {tuple(row) for row in as_cells(queries.Rows(*dataset.select(prefixes + query)))}


@pytest.mark.parametrize("query", [STATED, TRUTHS], ids=["derived facts", "truth values"])
@pytest.mark.parametrize("patients", ["patient", "cohort"])
def test_rules_decide_the_same(filled: Filled, patients: str, query: str) -> None:
    own = (evaluated if patients == "patient" else evaluated_cohort)("oxigraph")
    expected = rows_of(own.engine, query)
    assert len(expected) > 50
    assert rows_of(getattr(filled, patients)(), query) == expected


@pytest.mark.parametrize("name", CASES)
def test_answer_equals_expected_rows(filled: Filled, name: str) -> None:
    case = read_case(name)
    dataset = filled.for_question(case.query)
    names = knowledge("oxigraph").names
    rows = queries.run(dataset, names, case.query, case.parameters)
    cells = as_cells(rows, case.only)
    assert list(rows.columns) == case.columns
    if any("_:" in row for row in case.rows):  # blank nodes have no order
        cells, case.rows[:] = sorted(cells), sorted(case.rows)
    assert cells == case.rows
