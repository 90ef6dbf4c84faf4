"""Every question has rows to prove it, the same on Oxigraph and on rdflib, within a time limit.

The rows are in `tests/expected/<topic>/<query>.<case>.csv`. Lines before the header steer the case:

    # regimen=regimen_thp_docetaxel     the value of a parameter; twice for two values
    # only claim=indication_x           compare only the rows with that value; twice for either

IRIs are local names or CURIEs, dates ISO days, decimals without needless zeros, booleans true or
false, and an empty cell is unbound. `python -m tests.test_queries` writes the rows of every case
file anew from Oxigraph: read the difference before you keep it.
"""

from __future__ import annotations

import csv
import io
import re
import shlex
import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from rdflib.plugins.sparql import prepareQuery

from her2kg import KnowledgeGraph, queries, rules
from her2kg.namespaces import BASE, PREFIXES, QUERIES_HOME, Blank, Iri
from her2kg.record_rdf import to_triples

HERE = Path(__file__).parent
EXPECTED = HERE / "expected"
PATIENT = HERE / "data" / "query-patient.json"
EXAMPLES = HERE.parent / "ontology" / "examples"
# The patients of the store on which the questions about a cohort are proved.
COHORT = (
    "ihc-2-without-ish",
    "minimal-record",
    "pregnant",
    "second-line-after-thp",
    "third-line-after-tdxd",
    "treatment-naive-first-line",
)
ENGINES = ("oxigraph", "rdflib")
LIMIT_SECONDS = {"oxigraph": 10, "rdflib": 150}
LIBRARY = queries.library()
CASES = sorted(path.relative_to(EXPECTED).as_posix() for path in EXPECTED.rglob("*.csv"))
# Topics that the package asks by itself; their questions need no command as an example.
INTERNAL = {"eligibility", "terms"}
# Questions that list the whole graph, triple by triple, or every pair of regimens where their
# parameters are left open.
WHOLE_GRAPH = {
    "drugs/overview",
    "evidence/behind-claim",
    "evidence/disagreements",
    "evidence/recalled",
    "regimens/compare-efficacy-indirectly",
    "terms/describe",
}
RULES = sorted(
    path.relative_to(QUERIES_HOME).as_posix()
    for folder in ("derivation", "inference")
    for path in rules.rule_files(folder)
)


@dataclass(frozen=True)
class Case:
    """One file of expected rows."""

    query: str
    parameters: dict[str, list[str]]
    only: dict[str, set[str]]
    columns: list[str]
    rows: list[list[str]]


def read_case(name: str) -> Case:
    """Read a file of `tests/expected/`."""
    lines = (EXPECTED / name).read_text(encoding="utf-8").splitlines()
    parameters: dict[str, list[str]] = defaultdict(list)
    only: dict[str, set[str]] = defaultdict(set)
    start = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    for line in lines[:start]:
        key, _, value = line.removeprefix("#").strip().partition("=")
        if key.startswith("only "):
            only[key.removeprefix("only ")].add(value)
        else:
            parameters[key].append(value)
    columns, *rows = csv.reader(io.StringIO("\n".join(lines[start:])))
    topic, file = name.split("/")
    return Case(f"{topic}/{file.split('.')[0]}", dict(parameters), dict(only), columns, rows)


def cell(value: Any) -> str:
    """A value of a row as the files write it."""
    if value is None:
        return ""
    if isinstance(value, Iri):
        return value.removeprefix(BASE) if value.startswith(BASE) else value.curie
    if isinstance(value, Blank):
        return "_:"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def as_cells(rows: Any, only: dict[str, set[str]] | None = None) -> list[list[str]]:
    """Rows as the files write them, restricted as the case says."""
    cells = [[cell(value) for value in row] for row in rows]
    for column, values in (only or {}).items():
        at = rows.columns.index(column)
        cells = [row for row in cells if row[at] in values]
    return cells


def within_limit(engine: str, what: str, work: Any) -> Any:
    """The result of `work()`; a failure that names it if it takes too long."""
    found: dict[str, Any] = {}

    def run() -> None:
        try:
            found["value"] = work()
        except Exception as error:
            found["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LIMIT_SECONDS[engine])
    if thread.is_alive():
        pytest.fail(f"{what} gave no answer in {LIMIT_SECONDS[engine]} s on {engine}")
    if "error" in found:
        raise found["error"]
    return found["value"]


@cache
def knowledge(engine: str) -> KnowledgeGraph:
    """The graph without any patient."""
    return KnowledgeGraph(engine=engine)


@cache
def evaluated(engine: str) -> KnowledgeGraph:
    """A graph that keeps the query patient after derivation and inference."""
    from rdflib import Literal, URIRef

    kg = KnowledgeGraph(engine=engine)
    record = kg.record(PATIENT)
    mark = (URIRef(record.iri), URIRef(BASE + "isUnderEvaluation"), Literal(True))
    kg.engine.add([*to_triples(record, kg.names), mark])
    rules.run_folder(kg.engine, "derivation")
    rules.infer(kg.engine)
    return kg


@cache
def evaluated_cohort(engine: str) -> KnowledgeGraph:
    """A graph that keeps several example patients after derivation and inference."""
    from rdflib import Literal, URIRef

    kg = KnowledgeGraph(engine=engine)
    for name in COHORT:
        record = kg.record(EXAMPLES / f"{name}.json")
        mark = (URIRef(record.iri), URIRef(BASE + "isUnderEvaluation"), Literal(True))
        kg.engine.add([*to_triples(record, kg.names), mark])
    rules.run_folder(kg.engine, "derivation")
    rules.infer(kg.engine)
    return kg


def graph_for(query: str, engine: str) -> KnowledgeGraph:
    """The graph on which a question is proved: with the patients where it asks for them."""
    if query.startswith("cohort/"):
        return evaluated_cohort(engine)
    return (evaluated if "patient" in LIBRARY[query].parameters else knowledge)(engine)


def answer(query: str, engine: str, parameters: dict[str, Any]) -> queries.Rows:
    """The rows of a question, within the time limit."""
    kg = graph_for(query, engine)
    return within_limit(engine, query, lambda: kg.query(query, **parameters))


def projection(text: str) -> list[str]:
    return [str(variable) for variable in prepareQuery(text).algebra.PV]


def example_of(query: queries.Query) -> dict[str, str]:
    """The parameters of the example command; fails where it is no command."""
    words = shlex.split(query.example or "")
    assert words[:2] == ["her2kg", "run"], f"{query.name}: no command: {query.example}"
    assert words[2] in LIBRARY, f"{query.name}: unknown question in the example: {words[2]}"
    assert words[2] == query.name, f"{query.name}: the example runs {words[2]}"
    options, values = words[3::2], words[4::2]
    assert len(options) == len(values), f"{query.name}: an option without value"
    assert all(option.startswith("--") for option in options), query.example
    return {option[2:]: value for option, value in zip(options, values, strict=True)}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CASES)
def test_answer_equals_expected_rows(name: str, engine: str) -> None:
    case = read_case(name)
    rows = answer(case.query, engine, case.parameters)
    assert list(rows.columns) == case.columns
    assert as_cells(rows, case.only) == case.rows


@pytest.mark.parametrize("name", LIBRARY)
def test_question_has_expected_rows(name: str) -> None:
    assert any(case.split(".")[0] == name for case in CASES), (
        f"add tests/expected/{name}.<case>.csv"
    )


@pytest.mark.parametrize("name", CASES)
def test_expected_file_belongs_to_a_question(name: str) -> None:
    case = read_case(name)
    assert case.query in LIBRARY, f"{name}: no question {case.query}"
    assert set(case.parameters) <= set(LIBRARY[case.query].parameters)
    assert set(case.only) <= set(case.columns)
    assert case.rows or case.query == "eligibility/scope", f"{name}: proves nothing without rows"
    names = knowledge("oxigraph").names
    wanted = {value for values in case.only.values() for value in values}
    assert not {value for value in wanted if not names.is_term(BASE + value)}, "not a term"


@pytest.mark.parametrize("name", [n for n in LIBRARY if n not in WHOLE_GRAPH])
def test_every_value_gives_the_same_rows_on_both_engines(name: str) -> None:
    query = LIBRARY[name]
    dates = {p for p in query.parameters if re.search(rf"VALUES \?{p} {{ .*xsd:date", query.text)}
    parameters = {parameter: "UNDEF" for parameter in query.parameters if parameter not in dates}
    both = [sorted(as_cells(answer(name, engine, parameters))) for engine in ENGINES]
    assert both[0] == both[1]


@pytest.mark.parametrize("name", LIBRARY)
def test_header_is_complete(name: str) -> None:
    query = LIBRARY[name]
    assert query.summary and query.description and query.columns, f"{name}: summary, description"
    assert query.tags == (name.split("/")[0],)
    assert query.description.endswith("?"), f"{name}: the description asks the question"


@pytest.mark.parametrize("name", LIBRARY)
def test_columns_equal_the_projection(name: str) -> None:
    assert list(LIBRARY[name].columns) == projection(LIBRARY[name].text)


@pytest.mark.parametrize("name", LIBRARY)
def test_parameter_is_one_values_line(name: str) -> None:
    for parameter in LIBRARY[name].parameters:
        found = re.findall(rf"^ *VALUES \?{parameter} {{ \S.* }}$", LIBRARY[name].text, re.M)
        assert len(found) == 1, f"{name}: {len(found)} VALUES lines of ?{parameter}"


@pytest.mark.parametrize("name", LIBRARY)
def test_projection_is_explicit(name: str) -> None:
    assert not re.search(r"SELECT\s+(DISTINCT\s+|REDUCED\s+)?\*", LIBRARY[name].text, re.I)


@pytest.mark.parametrize("name", LIBRARY)
def test_order_is_total(name: str) -> None:
    """No two rows of one answer tie: what sorts them tells them apart."""
    text = LIBRARY[name].text
    order = re.search(r"^ORDER BY (.+)$\s*\Z", text, re.M)
    assert order, f"{name}: no ORDER BY at the end"
    rows = answer(name, "oxigraph", {})
    keys = [v for v in re.findall(r"\?(\w+)", order.group(1)) if v in rows.columns]
    sorted_by = [
        tuple(cell(row[key]) for key in keys)
        for row in rows.to_dicts()
        if not any(isinstance(row[key], Blank) for key in keys)  # blank nodes have no order
    ]
    ties = {key for key in sorted_by if sorted_by.count(key) > 1}
    assert not ties, f"{name}: rows tie on {keys}: {sorted(ties)[:3]}"


@pytest.mark.parametrize("name", [n for n in LIBRARY if n.split("/")[0] not in INTERNAL])
def test_example_is_given(name: str) -> None:
    assert LIBRARY[name].example


@pytest.mark.parametrize("name", [n for n, query in LIBRARY.items() if query.example])
def test_example_runs(name: str) -> None:
    parameters = example_of(LIBRARY[name])
    assert set(parameters) == set(LIBRARY[name].parameters)
    rows = answer(name, "oxigraph", parameters)
    assert len(rows), f"{name}: the example has no rows"
    assert rows.rows == answer(name, "oxigraph", {}).rows, f"{name}: VALUES hold another example"


@pytest.mark.parametrize("name", LIBRARY)
def test_prefixes_are_declared_and_used(name: str) -> None:
    text = LIBRARY[name].text
    body = "\n".join(line for line in text.splitlines() if not line.startswith(("#", "PREFIX")))
    declared = dict(re.findall(r"^PREFIX (\w+): <(.+)>$", text, re.M))
    assert declared == {p: PREFIXES[p] for p in declared}
    assert set(declared) == {p for p in PREFIXES if re.search(rf"\b{p}:", body)}


@pytest.mark.parametrize("name", RULES)
def test_rule_is_one_construct_on_both_engines(name: str) -> None:
    from pyoxigraph import Store

    text = (QUERIES_HOME / name).read_text(encoding="utf-8")
    assert len(re.findall(r"^CONSTRUCT\b", text, re.M)) == 1
    assert prepareQuery(text).algebra.name == "ConstructQuery"
    Store().query(text)
    Store().update(re.sub(r"^CONSTRUCT\b", "INSERT", text, count=1, flags=re.M))


TRUTHS = """SELECT ?thing ?truth ?class WHERE {
  VALUES ?truth { her2kg:meets her2kg:fails }
  ?thing her2kg:isUnderEvaluation true ; ?truth ?class .
  FILTER(isIRI(?class))
}"""
STATED = """SELECT ?thing ?property ?value WHERE {
  ?thing her2kg:isUnderEvaluation true ; ?property ?value .
  FILTER(!isBlank(?value) && ?property != her2kg:meets && ?property != her2kg:fails)
}"""


@pytest.mark.parametrize("facts", [TRUTHS, STATED], ids=["truths", "derived-properties"])
def test_patient_has_the_same_derived_facts_on_both_engines(facts: str) -> None:
    both = [{tuple(row) for row in as_cells(evaluated(e).select(facts))} for e in ENGINES]
    assert both[0], "no derived fact"
    assert both[0] == both[1], f"differ: {sorted(both[0] ^ both[1])[:10]}"


def test_query_that_hangs_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMIT_SECONDS, "oxigraph", 0.1)
    with pytest.raises(pytest.fail.Exception, match="no answer in 0.1 s"):
        within_limit("oxigraph", "a hang", lambda: threading.Event().wait(1))


def write_expected() -> None:
    """Write the rows of every case file anew, keeping the lines before the header."""
    for name in CASES:
        path = EXPECTED / name
        before = [line for line in path.read_text("utf-8").splitlines() if line.startswith("#")]
        case = read_case(name)
        rows = answer(case.query, "oxigraph", case.parameters)
        target = io.StringIO()
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(rows.columns)
        writer.writerows(as_cells(rows, case.only))
        path.write_text("".join(f"{line}\n" for line in before) + target.getvalue(), "utf-8")


if __name__ == "__main__":
    write_expected()
