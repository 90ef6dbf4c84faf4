"""Cohorts by columns: what they derive, decide and answer is what the SPARQL rules do."""

from __future__ import annotations

import json
import re
from datetime import date
from functools import cache
from random import Random

import cohort_agreement
import patients
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings

from her2kg.cohort import running
from her2kg.cohort.axioms import FALSE, TRUE
from her2kg.cohort.circuit import CONTRADICTION
from her2kg.cohort.definitions import Definitions
from her2kg.cohort.engine import Compiled, Judge, Question
from her2kg.cohort.rows import frame_of, record_of, row_of, schema
from her2kg.cohort.screening import Cohorts
from her2kg.errors import DataError, UnknownTerm
from her2kg.namespaces import BASE, QUERIES_HOME
from her2kg.records import Record

TODAY = patients.AS_OF
PLACES = ("US", "EU")
_NOT_READ = ("genomics", "notes")  # never interpreted


@cache
def compiled() -> Compiled:
    return Compiled(patients.graph())


@cache
def cohorts() -> Cohorts:
    found = Cohorts.__new__(Cohorts)
    found.kg, found.compiled = patients.graph(), compiled()
    return found


@cache
def records(number: int, seed: int = 1) -> tuple[Record, ...]:
    found = []
    for each in range(number):
        data = patients.draw(Random(f"{seed}-{each}"), consistent=bool(each % 2))
        found.append(patients.graph().record(data | {"id": f"patient-{each}"}))
    return tuple(found)


def table(some: tuple[Record, ...]) -> pl.DataFrame:
    return frame_of([row_of(record.to_dict()) for record in some])


# --- rows -------------------------------------------------------------------------------------


def test_a_record_is_the_same_after_it_was_a_row():
    for record in records(60):
        row = table((record,)).to_dicts()[0]
        again = patients.graph().record(record_of(row))
        kept = {name: said for name, said in record.to_dict().items() if name not in _NOT_READ}
        assert again.to_dict() == kept


def test_the_columns_are_the_fields_of_the_record():
    fields = {field.path for field in compiled().definitions.given("patient")}
    known = {name.split(".")[0] if name.startswith("her2_ish") else name for name in schema()}
    own = {"conditions", "prior_therapies_complete", "weeks_pregnant", "her2_ish"}
    assert known - fields <= own
    assert schema()["lvef_percent"] == pl.Float64
    assert schema()["prior_therapies"].inner.to_schema()["drugs"] == pl.List(pl.String)


# --- derived columns --------------------------------------------------------------------------


def test_every_rule_of_derivation_is_said_in_columns():
    said = {rule for step in compiled().definitions.steps for rule in step.rules}
    files = sorted((QUERIES_HOME / "derivation").glob("*.rq"))
    numbers = {re.match(r"\d+[a-z]?", path.name)[0] for path in files}
    assert numbers - said == {"10"}  # the mark for the rules themselves
    assert said - numbers == set()


def test_derived_columns_are_the_derived_facts():
    some = records(120)
    tables = compiled().encoder.encode(table(some), TODAY)
    tables.derive(compiled().program)
    patient, course = tables.frames["patient"], tables.frames["course"]
    places = course["_row"].to_list()
    for number, record in enumerate(some):
        triples, _ = patients.graph().decided(record)
        _same_facts(patient.row(number, named=True), triples, record.iri, "patient")
        own = [place for place, row in enumerate(places) if row == number]
        for at, place in enumerate(own, 1):
            row = course.row(place, named=True)
            _same_facts(row, triples, f"{record.iri}_course_{at}", "course")


def _same_facts(row, triples, subject, kind):
    axioms, table_of = compiled().axioms, compiled().definitions.table_of
    # Counts of a test stay in its row; see the sources of derivation.toml.
    elsewhere = {source.property for source in compiled().definitions.sources}
    own = {"tnm", "nodes", "ishCountsComplete"}
    names = {
        name
        for name, prop in axioms.properties.items()
        if name in row and table_of.get(name) == kind and name not in elsewhere | own
        if prop.is_mask or prop.range in ("decimal", "date")
    }
    columns = set()
    for name in names:
        prop, value = axioms.properties[name], row[name]
        if prop.range == "boolean":
            columns |= {(name, flag) for flag, bit in ((True, TRUE), (False, FALSE)) if value & bit}
        elif prop.is_mask:
            columns |= {(name, each) for at, each in enumerate(prop.values) if value >> at & 1}
        elif value is not None:
            columns.add((name, value if isinstance(value, date) else round(value, 6)))
    facts = set()
    for about, predicate, value in triples:
        name = str(predicate).removeprefix(BASE)
        if str(about) != subject or name not in names:
            continue
        plain = value.toPython() if hasattr(value, "datatype") else str(value)
        plain = getattr(value, "value", plain) if not isinstance(plain, str) else plain
        if isinstance(plain, str):
            plain = plain.removeprefix(BASE)
        elif not isinstance(plain, bool | date):
            plain = round(float(plain), 6)
        facts.add((name, plain))
    assert columns == facts


# --- classes ----------------------------------------------------------------------------------


def test_every_class_is_decided_as_by_the_rules():
    some = records(120)
    patient = compiled().judged(table(some), TODAY).frames["patient"]
    circuit = compiled().circuit
    named = [
        node for node, kind in circuit.table_of.items() if kind == "patient" and node[0].isupper()
    ]
    assert len(named) > 600
    for number, record in enumerate(some):
        _, decided = patients.graph().decided(record)
        row = patient.row(number, named=True)
        if any(status == "conflicting" for status in decided.values()):
            assert row[CONTRADICTION]
        if row[CONTRADICTION]:
            continue
        for node in named:
            assert _status(row, node) == decided.get((record.iri, BASE + node)), node


def _status(row, node):
    for met, word in ((True, "met"), (False, "unmet")):
        read = compiled().circuit.column(node, met)
        if read is not None and (read[1] if read[0] == "flag" else row[read[2]]):
            return word
    return None


def test_rows_that_contradict_themselves_are_judged_as_by_the_rules():
    some = records(250, seed=4)
    wrong = compiled().judged(table(some), TODAY).frames["patient"][CONTRADICTION].arg_true()
    chosen = tuple(some[place] for place in wrong)
    assert len(chosen) > 10
    judge = Judge(compiled(), Question(jurisdictions=PLACES), TODAY)
    for record, row in zip(chosen, judge.verdicts(table(chosen)).to_dicts(), strict=True):
        _same_verdicts(patients.graph().eligibility(record, jurisdictions=PLACES), row)


def test_clauses_left_out_are_few_enough_and_all_are_accounted_for():
    system = compiled().circuit.system
    every = {(head, body) for head, bodies in system.every.items() for body in bodies}
    kept = {(head, body) for head, bodies in system.clauses.items() for body in bodies}
    assert kept <= every
    assert len(kept) < len(every) / 2


# --- verdicts ---------------------------------------------------------------------------------


def _same_verdicts(answers, row):
    assert row["scope"] == answers.scope
    for regimen in answers.regimens:
        assert row[regimen.regimen] == regimen.verdict, regimen.regimen
        for basis, verdict in regimen.by_basis.items():
            assert row.get(f"{regimen.regimen}.{basis}") == verdict, (regimen.regimen, basis)


@given(patients.records(consistent=False))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_generated_patient_has_the_verdicts_of_the_rules(data):
    record = patients.graph().record(data)
    for day in (None, date(2019, 1, 1)):
        judge = Judge(compiled(), Question(jurisdictions=PLACES, as_of=day), TODAY)
        (row,) = judge.verdicts(table((record,))).to_dicts()
        answers = patients.graph().eligibility(record, as_of=day, jurisdictions=PLACES)
        _same_verdicts(answers, row)


def test_every_claim_on_days_of_change():
    line = cohort_agreement.part(0, 40, 7)
    assert line["differences"] == []
    assert line["verdicts"] > 40 * 3 * 100


def test_one_question_of_bases_places_and_regimens():
    some = records(30)
    asked = {
        "bases": ["label"],
        "jurisdictions": ["US"],
        "regimens": ["T-DM1", "tucatinib + trastuzumab + capecitabine"],
    }
    found = cohorts().verdicts(table(some), **asked)
    for record, row in zip(some, found.to_dicts(), strict=True):
        answers = patients.graph().eligibility(record, **asked)
        _same_verdicts(answers, row)
        assert set(row) == {"id", "as_of", "scope"} | {
            name for each in answers for name in (each, f"{each}.label")
        }


def test_days_from_a_column():
    some = records(20)
    days = [date(2013, 1, 1), date(2019, 6, 1), None, date(2026, 1, 1)] * 5
    rows = table(some).with_columns(pl.Series("asked", days, dtype=pl.Date))
    found = cohorts().verdicts(rows, as_of="asked", jurisdictions=PLACES)
    for record, day, row in zip(some, days, found.to_dicts(), strict=True):
        assert row["as_of"] == (day or record.as_of)
        _same_verdicts(patients.graph().eligibility(record, as_of=day, jurisdictions=PLACES), row)


def test_a_table_of_few_columns_leaves_the_rest_unknown():
    rows = pl.DataFrame(
        {"id": ["a", "b"], "setting": ["metastatic", None], "her2_ihc": ["3+", "0"]}
    )
    found = cohorts().verdicts(rows, as_of="2026-11-22", jurisdictions=PLACES)
    for said, row in zip(rows.to_dicts(), found.to_dicts(), strict=True):
        record = {name: value for name, value in said.items() if value is not None}
        answers = patients.graph().eligibility(record, as_of="2026-11-22", jurisdictions=PLACES)
        _same_verdicts(answers, row)


def test_a_table_without_rows_has_no_verdicts(tmp_path):
    rows = table(records(2)).clear()
    assert cohorts().judge(rows, output=tmp_path / "v.parquet").patients == 0
    assert pl.read_parquet(tmp_path / "v.parquet").height == 0


# --- summary and reasons ----------------------------------------------------------------------


def test_the_summary_counts_what_single_answers_say():
    some = records(60)
    judge = Judge(compiled(), Question(jurisdictions=PLACES), TODAY)
    verdicts, summary, reasons = judge.with_summary(table(some), reasons=True)
    answers = [patients.graph().eligibility(record, jurisdictions=PLACES) for record in some]
    for row in summary.rows():
        if row["basis"] == "any":
            said = [each[row["regimen"]].verdict for each in answers]
            assert [row[word] for word in ("eligible", "undetermined", "ineligible")] == [
                said.count(word) for word in ("eligible", "undetermined", "ineligible")
            ]
    assert summary.outside == sum(each.scope == "outside" for each in answers)
    excluded = {key: 0 for key in summary.excluded}
    told = {}
    for each, record in zip(answers, some, strict=True):
        for regimen in each.regimens:
            against = set()
            for claim in regimen.claims:
                for reason in claim.reasons:
                    wanted = not reason.label.startswith("not: ")
                    if reason.status == "unmet":
                        against.add((regimen.regimen, reason.criterion, wanted))
                    if reason.status != "met":
                        key = (record.model.id, claim.claim, reason.criterion, wanted)
                        told[key] = "unmet" if reason.status == "unmet" else "unknown"
            if regimen.verdict == "ineligible":
                for key in excluded:
                    excluded[key] += key in against
    assert excluded == dict(summary.excluded)
    found = {
        (row["id"], row["claim"], row["criterion"], row["wanted"] == "met"): row["status"]
        for row in reasons.to_dicts()
    }
    assert found == told
    assert verdicts.height == 60


def test_missing_facts_are_those_of_single_answers():
    some = table(records(60))
    wrong = compiled().judged(some, TODAY).frames["patient"][CONTRADICTION]
    judge = Judge(compiled(), Question(jurisdictions=PLACES), TODAY)
    _, summary, _ = judge.with_summary(some.filter(~wrong))
    counted = dict.fromkeys(summary.missing, 0)
    for record, left_out in zip(records(60), wrong, strict=True):
        if left_out:
            continue
        answers = patients.graph().eligibility(record, jurisdictions=PLACES)
        paths = {path for regimen in answers.regimens for path in regimen.missing}
        for path in counted:
            counted[path] += path in paths
    # Facts that only a course waits for, by way of the patient, are not counted in a cohort.
    of_courses = {"recurrence_date", "as_of"}
    assert {path: n for path, n in counted.items() if path not in of_courses} == {
        path: n for path, n in summary.missing.items() if path not in of_courses
    }
    assert len(counted) > 40


# --- runs -------------------------------------------------------------------------------------


def test_a_run_writes_what_the_verdicts_are(tmp_path):
    rows = table(records(60))
    expected = cohorts().verdicts(rows)
    for name, read in (
        ("v.parquet", pl.read_parquet),
        ("v.csv", pl.read_csv),
        ("v.ndjson", pl.read_ndjson),
    ):
        done = cohorts().judge(rows, output=tmp_path / name, size=25)
        assert done.patients == 60
        found = read(tmp_path / name)
        assert found["id"].to_list() == expected["id"].to_list()
        column = expected.columns[-1]
        assert found[column].cast(pl.String).to_list() == expected[column].cast(pl.String).to_list()
    cohorts().judge(rows, output=tmp_path / "parts", size=25)
    assert len(list((tmp_path / "parts").glob("*.parquet"))) == 3
    assert pl.read_parquet(tmp_path / "parts").equals(expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "parts",
        "v.csv",
        "v.ndjson",
        "v.parquet",
    ]


def test_the_long_form_has_a_row_for_each_regimen_and_basis(tmp_path):
    rows = table(records(10))
    cohorts().judge(rows, output=tmp_path / "long.parquet", long=True)
    found = pl.read_parquet(tmp_path / "long.parquet")
    wide = cohorts().verdicts(rows)
    names = [name for name in wide.columns if name.startswith("regimen_")]
    assert found.height == sum(wide[name].is_not_null().sum() for name in names)
    some = found.filter(pl.col("id") == "patient-3", pl.col("basis") == "any")
    assert some["regimen"].to_list() == [name for name in names if "." not in name]


def test_an_interrupted_run_leaves_no_output_and_goes_on(tmp_path):
    path = tmp_path / "cohort.parquet"
    table(records(60)).write_parquet(path)
    target = tmp_path / "v.parquet"
    seen = []

    def stop(number):
        seen.append(number)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cohorts().judge(path, output=target, size=20, told=stop)
    assert not target.exists()
    done = cohorts().judge(path, output=target, size=20)
    assert 0 < done.resumed < 60
    assert done.patients == done.summary.patients == 60
    assert pl.read_parquet(target).equals(cohorts().verdicts(path))
    again = cohorts().judge(path, output=target, size=20)
    assert again.resumed == 0
    assert again.summary.rows() == done.summary.rows()
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_another_question_does_not_take_up_a_run(tmp_path):
    path = tmp_path / "cohort.parquet"
    table(records(40)).write_parquet(path)
    target = tmp_path / "v.parquet"

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cohorts().judge(path, output=target, size=20, told=stop)
    done = cohorts().judge(path, output=target, size=20, as_of="2019-01-01")
    assert done.resumed == 0
    assert pl.read_parquet(target)["as_of"].unique().to_list() == [date(2019, 1, 1)]


def test_rows_with_problems_are_left_out_and_told(tmp_path):
    rows = table(records(6)).with_columns(
        pl.when(pl.col("id") == "patient-2")
        .then(-4.0)
        .otherwise("lvef_percent")
        .alias("lvef_percent")
    )
    done = cohorts().judge(rows, output=tmp_path / "v.parquet", rejects=tmp_path / "r.csv")
    assert (done.patients, done.rejected) == (5, 1)
    (refused,) = pl.read_csv(tmp_path / "r.csv").to_dicts()
    assert (refused["row"], refused["id"], refused["column"]) == (3, "patient-2", "lvef_percent")
    with pytest.raises(DataError, match="lvef_percent"):
        cohorts().judge(rows, strict=True)


@pytest.mark.parametrize(
    ("asked", "error", "sentence"),
    [
        ({"as_of": "2026-13-01"}, DataError, "a day as YYYY-MM-DD, or the name of a column"),
        ({"regimens": ["nonsense"]}, UnknownTerm, "nonsense"),
        ({"bases": ["opinion"]}, DataError, "label, guideline, trial"),
        ({"output": "verdicts.xlsx"}, DataError, ".parquet, .csv"),
        ({"output": "nowhere/v.parquet"}, DataError, "make it first"),
        ({"reasons": "r.parquet"}, DataError, "give -o FILE too"),
    ],
)
def test_wrong_questions_are_refused(asked, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        cohorts().judge(table(records(3)), **asked)


def test_a_folder_with_other_files_is_not_overwritten(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="choose another"):
        cohorts().judge(table(records(3)), output=tmp_path / "out")
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_the_definitions_say_what_they_do_not_understand():
    from her2kg.cohort.expressions import Reader

    reader = Reader(compiled().axioms, lambda _: "number", {})
    with pytest.raises(ValueError, match="no function nonsense"):
        reader.read("nonsense(1)", "x")
    with pytest.raises(ValueError, match="has no value"):
        Definitions(compiled().axioms, patients.graph().names.properties())
        Reader(compiled().axioms, lambda _: "mask", {}).read('has(sex, "sex_none")', "x")


def test_summaries_add_up():
    judge = Judge(compiled(), Question(jurisdictions=PLACES), TODAY)
    some = table(records(40))
    _, whole, _ = judge.with_summary(some)
    parts = running.Summary.of(judge)
    for start in (0, 15):
        _, piece, _ = judge.with_summary(some[start : 15 if start == 0 else 40])
        parts.add(running.Summary.of(judge).read(json.loads(json.dumps(piece.to_dict()))))
    assert parts.to_dict() == whole.to_dict()
