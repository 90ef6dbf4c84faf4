"""Tables of patients: what is read, which rows are good, what is said of the others."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import patients
import polars as pl
import pytest

from her2kg.cohort import reading
from her2kg.cohort.checking import Batch, Checker, batches
from her2kg.cohort.reading import Chunk
from her2kg.cohort.rejects import RejectWriter
from her2kg.cohort.rows import PARTS, frame_of, record_of, row_of, schema
from her2kg.cohort.values import Unfit, row_from_json
from her2kg.errors import DataError
from her2kg.graph import example_files
from her2kg.records import load_record

TODAY = date(2026, 11, 22)
SEED = 20261122


@pytest.fixture(scope="module")
def names():
    return patients.graph().names


@pytest.fixture(scope="module")
def read(names):
    def all_of(source: Any, **more: Any) -> list[Batch]:
        return list(batches(source, names=names, today=TODAY, **more))

    return all_of


@pytest.fixture(scope="module")
def examples() -> list[dict[str, Any]]:
    records = [json.loads(path.read_text(encoding="utf-8")) for path in example_files()]
    for record in records:
        record.pop("genomics", None), record.pop("notes", None)
    return records


def one(found: list[Batch]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Good rows as records, and rejects."""
    rows = [record_of(row) for batch in found for row in batch.rows.iter_rows(named=True)]
    return rows, [each for batch in found for each in batch.rejects.iter_rows(named=True)]


def whole(record: dict[str, Any]) -> dict[str, Any]:
    """A record of JSON values as the columns hold it."""
    return record_of(frame_of([row_of(short(record))]).row(0, named=True))


def short(record: dict[str, Any]) -> dict[str, Any]:
    record = copy.deepcopy(record)
    for holder, name in [
        (record, "her2_ish"),
        *((t, "ish") for t in record.get("her2_tests") or ()),
    ]:
        if isinstance(holder.get(name), str):
            holder[name] = {"result": holder[name]}
    return {name: value for name, value in record.items() if value is not None}


def cells(record: dict[str, Any]) -> dict[str, str]:
    """A record as cells of a CSV file."""
    found = {}
    for name, value in short(record).items():
        inside = value.items() if name in PARTS else [("", value)]
        for inner, each in inside:
            place = f"{name}.{inner}" if inner else name
            plain = isinstance(each, str)
            found[place] = each if plain else json.dumps(each, ensure_ascii=False)
    return found


def problems_of(record: Any, names: Any) -> set[tuple[str, str]]:
    try:
        load_record(record, names=names, today=TODAY)
    except DataError as error:
        return {(problem.path, problem.accepted) for problem in error.problems}
    return set()


# --- the same rows from every kind of source ------------------------------------------------------


def write(kind: str, records: list[dict[str, Any]], folder: Any) -> Any:
    rows = frame_of([row_of(short(record)) for record in records])
    if kind == "parquet":
        rows.write_parquet(folder / "patients.parquet", row_group_size=20)
        return folder / "patients.parquet"
    if kind in ("csv", "tsv"):
        table = pl.DataFrame([cells(record) for record in records], infer_schema_length=None)
        path = folder / f"patients.{kind}"
        table.write_csv(path, separator="," if kind == "csv" else "\t")
        return path
    if kind in ("ndjson", "jsonl"):
        path = folder / f"patients.{kind}"
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
        return path
    if kind == "records":
        for record in records:
            (folder / f"{record['id']}.json").write_text(json.dumps(record), encoding="utf-8")
        return folder
    if kind == "folder":
        (folder / "a" / "b").mkdir(parents=True)
        rows[:40].write_parquet(folder / "a" / "b" / "one.parquet")
        rows[40:80].write_parquet(folder / "a" / "two.parquet")
        rows[80:].write_parquet(folder / "z.parquet")
        (folder / ".hidden.parquet").write_text("no table")
        return folder
    if kind == "structures":
        parts = {n: [c for c in rows.columns if c.startswith(f"{n}.")] for n in PARTS}
        flat = [c for c in rows.columns if "." not in c]
        made = [
            pl.struct(pl.col(c).alias(c.partition(".")[2]) for c in columns).alias(name)
            for name, columns in parts.items()
        ]
        return rows.select(*flat, *made)
    if kind == "pandas":
        return rows.to_pandas()
    return rows.to_arrow() if kind == "arrow" else rows


KINDS = ["parquet", "csv", "tsv", "ndjson", "jsonl", "records", "folder", "structures", "polars",
         "pandas", "arrow"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [7, 1000])
def test_examples_give_the_same_rows_from_every_source(kind, size, examples, read, tmp_path):
    if kind in ("pandas", "arrow"):
        pytest.importorskip("pyarrow")
    found = read(write(kind, examples, tmp_path), size=size)
    rows, rejects = one(found)
    assert rejects == []
    assert all(batch.rows.height <= size for batch in found)
    wanted = {record["id"]: whole(record) for record in examples}
    loaded = sum(batch.suspects for batch in found)
    different = [row["id"] for row in rows if row != wanted[row["id"]]]
    assert len(rows) == len(examples)
    assert loaded <= 3 or kind == "pandas", f"{loaded} rows suspected"
    assert len(different) <= loaded
    known = schema()
    for batch in found:
        assert all(batch.rows.schema[name] == known[name] for name in batch.rows.columns)


# --- the screen is sound --------------------------------------------------------------------------

WRONG = [
    -1, 0, 0.5, 1, 2, 3.0, 6, 99, 131, 1e9, float("nan"), float("inf"), -0.0, True, False, "",
    " ", "x", " female", "Female", "female ", "positive", "single", "dual", "true", "false", "none",
    "IV", "I", "0", "early", "metastatic", "before surgery", "residual disease", "pregnant", "male",
    "postmenopausal", "not pregnant", "M1", "cT2 cN1 M0", "cT2 cN1 M1", "pT1 pN0", "ypT1 ypN1",
    "cT2 cT3", "T9z", "cN1", "3 positive", "2026-11-23", "2026-11-22", "2020-02-30", "1890-01-01",
    "1960-5-1", "2030-01-01", "2025-01-01", "2010-01-01", [], [None], ["brain"], ["liver"], ["lymph node"], ["x"],
    [""], [" trastuzumab"], ["pertuzumab", "trastuzumab"], ["lapatinib"], {}, [{}], {"result": "positive"},
    [{"date": "2024-01-01", "ihc": "3+", "specimen": "metastasis"}],
    [{"date": "2024-01-01", "ish": {"probe": "single", "ratio": 2.0}}],
    [{"date": "2024-01-01", "ish": "positive", "ihc": "0"}], [{"ihc": "1+"}],
    [{"setting": "neoadjuvant"}], [{"regimen": "THP", "drugs": ["lapatinib"]}],
    [{"regimen": "nothing"}], [{"drugs": ["nothing"]}], [{"regimen": "THP", "drugs": []}],
    [{"start": "2024-01-02", "end": "2024-01-01"}], [{"start": "2027-01-01"}], [{"cycles": -1}],
    [{"adverse_events": [{"event": "nausea", "grade": 6}]}], [{"adverse_events": [{}]}],
    [{"adverse_events": [{"event": "nausea", "start": "2024-02-01", "resolved": "2024-01-01"}]}],
    [{"start": "2024-03-01", "adverse_events": [{"event": "nausea", "start": "2024-02-01"}]}],
    [{"adverse_events": [{"event": "nausea", "resolved": False}, {"event": "no such event"}]}],
    [{"outcome": "fine"}], [{"unknown": 1}], "text;text",
]  # fmt: skip


def mutated(rng: Random, records: list[dict[str, Any]]) -> dict[str, Any]:
    """A record with one to three fields changed, at the top or within."""
    data = copy.deepcopy(rng.choice(records))
    for _ in range(rng.choice([1, 1, 2, 3])):
        _change(rng, data)
    return data


def _change(rng: Random, data: dict[str, Any]) -> None:
    model = patients.schema()
    holders = [(data, model["properties"], "")]
    for name, part in [("labs", "Labs"), ("history", "History"), ("judgement", "Judgement"),
                       ("her2_ish", "IshTest"), ("prior_therapies", "Course"),
                       ("her2_tests", "Her2Test")]:  # fmt: skip
        held = data.get(name)
        for each in held if isinstance(held, list) else [held]:
            if isinstance(each, dict):
                holders.append((each, model["$defs"][part]["properties"], f"{name}."))
                events = each.get("adverse_events") if isinstance(each, dict) else None
                for event in events if isinstance(events, list) else []:
                    if not isinstance(event, dict):
                        continue
                    fields = model["$defs"]["AdverseEvent"]["properties"]
                    holders.append((event, fields, "prior_therapies.adverse_events."))
    holder, fields, prefix = rng.choice([holders[0], rng.choice(holders)])
    name = rng.choice([each for each in fields if each not in ("id", "genomics", "notes")])
    likely = patients._value(rng, fields[name], prefix + name, 0.6)
    alike = [each for each in WRONG if type(each) is type(likely)]
    dice = rng.random()
    if dice < 0.1:
        holder.pop(name, None)
    elif dice < 0.6:
        holder[name] = likely
    elif isinstance(likely, str) and likely[4:5] == "-":
        holder[name] = (TODAY - timedelta(days=rng.randrange(-400, 30000))).isoformat()
    else:
        holder[name] = copy.deepcopy(rng.choice(alike if dice < 0.85 else WRONG))


def fits(record: dict[str, Any]) -> bool:
    """Whether the columns can hold a record: else it is not in question for the screen."""
    try:
        row_from_json(json.loads(json.dumps(record)))
    except Unfit:
        return False
    return True


def generated(count: int, examples: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    drawn = [patients.seeded(number, SEED) for number in range(60)]
    rng = Random(SEED)
    for number in range(count):
        yield {**mutated(rng, examples + drawn), "id": f"m-{number}"}


def test_mutated_records_have_the_verdict_of_load_record(examples, names, read, tmp_path):
    records = list(generated(6000, examples))
    path = tmp_path / "mutated.ndjson"
    texts = [json.dumps(record) for record in records]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    found = read(path, size=1500)
    rows, rejects = one(found)
    told: dict[str, set[tuple[str, str]]] = {}
    for each in rejects:
        told.setdefault(each["id"], set()).add((each["column"], each["accepted"]))
    wanted = {
        record["id"]: problems
        for record, text in zip(records, texts, strict=True)
        if (problems := problems_of(text, names))
    }
    assert len(wanted) > 1000 and len(rows) > 1000
    assert {row["id"] for row in rows} == {r["id"] for r in records} - set(wanted)
    assert told == wanted


def test_mutated_records_in_a_table_have_the_verdict_of_load_record(examples, names):
    records = [record for record in generated(6000, examples) if fits(record)]
    texts = [json.loads(json.dumps(record)) for record in records]
    table = frame_of([row_from_json(record) for record in texts])
    checker = Checker(names, TODAY)
    chunk = Chunk(table, "table", pl.int_range(1, table.height + 1, eager=True))
    batch = checker.check(chunk)
    refused = set(batch.rejects["id"])
    wanted = {record["id"] for record in records if problems_of(json.dumps(record), names)}
    assert refused == wanted
    assert len(wanted) > 500
    # A row that passed is as it was; one that was loaded says what the record says, with its
    # names as they were or in their normal form.
    suspects = set(checker.screen.suspects(table))
    by_id = {row["id"]: row for row in batch.rows.iter_rows(named=True)}
    for number, row in enumerate(table.iter_rows(named=True)):
        if number not in suspects:
            assert by_id[row["id"]] == row
        elif row["id"] in by_id:
            record = load_record(record_of(row), names=names, today=TODAY).to_dict()
            own = record_of(by_id[row["id"]])
            assert load_record(own, names=names, today=TODAY).to_dict() == record
            normal = frame_of([row_of(record)]).row(0, named=True)
            named = ("history.hypersensitivity", "medications", "prior_therapies", "conditions")
            for name in set(normal) - set(named):
                assert by_id[row["id"]][name] == normal[name]
    # Rows that were loaded and changed stand after the others.
    ids = batch.rows["id"].gather(batch.places.arg_sort()).to_list()
    assert ids == [row["id"] for row in table.iter_rows(named=True) if row["id"] in by_id]
    assert batch.places.sort().to_list() == [
        int(p) + 1 for p, r in enumerate(table["id"]) if r in by_id
    ]


# --- each rule of the record, in a table ----------------------------------------------------------

METASTATIC = {
    "id": "bad", "as_of": "2026-11-22", "sex": "female", "setting": "metastatic", "stage": "IV",
    "metastatic_sites": ["liver"], "prior_therapies": [], "prior_therapies_complete": True,
}  # fmt: skip
EARLY = {"id": "bad", "as_of": "2026-11-22", "sex": "female", "setting": "early"}
COURSE = {"drugs": ["trastuzumab"], "setting": "metastatic", "start": "2025-01-08"}
INVALID: list[dict[str, Any]] = [
    {**EARLY, "id": " "},
    {**EARLY, "as_of": "2026-11-23"},
    {**EARLY, "birth_date": "1890-01-01"},
    {**EARLY, "birth_date": "1970-01-01", "age": 40},
    {**EARLY, "birth_date": "1970-01-01", "surgery_date": "1969-01-01"},
    {**EARLY, "as_of": "2025-01-01", "surgery_date": "2025-01-02"},
    {**EARLY, "recurrence_date": "2027-01-01"},
    {**EARLY, "age": 131},
    {**EARLY, "age": float("nan")},
    {**EARLY, "labs": {"ast_x_uln": float("inf")}},
    {**EARLY, "lvef_percent": 0.6},
    {**EARLY, "ecog": 6},
    {**EARLY, "sex": "Female"},
    {**EARLY, "history": {"hypersensitivity": ["no such drug"]}},
    {**EARLY, "stage": "IV"},
    {**EARLY, "metastatic_sites": ["bone"]},
    {**EARLY, "brain_mets": "active"},
    {**EARLY, "tnm": "cT2 cN1 M1"},
    {**EARLY, "tnm": "T9"},
    {**EARLY, "tnm": "cT2 cT3"},
    {**EARLY, "tnm": "cN0", "nodes": "cN1"},
    {**EARLY, "nodes": "2 positive", "positive_nodes": 3},
    {**EARLY, "invasive": False, "tnm": "cT1"},
    {**EARLY, "invasive": False, "stage": "II"},
    {**EARLY, "pregnancy": "pregnant", "sex": "male"},
    {**EARLY, "pregnancy": "pregnant", "menopausal": "postmenopausal"},
    {**EARLY, "pregnancy": "not pregnant", "weeks_pregnant": 3},
    {**EARLY, "menopausal": "premenopausal", "sex": "male"},
    {**EARLY, "phase": "before surgery", "surgery_date": "2025-01-01"},
    {**EARLY, "phase": "before surgery", "tnm": "pT1"},
    {**EARLY, "prior_therapies": [{"setting": "neoadjuvant"}], "tnm": "pT1"},
    {**EARLY, "prior_therapies": [], "prior_therapies_complete": True, "tnm": "ypT1"},
    {**EARLY, "prior_therapies": [], "prior_therapies_complete": True, "phase": "residual disease"},
    {**EARLY, "prior_therapies": [], "prior_therapies_complete": True, "pathologic_response": "pCR"},
    {**EARLY, "her2_tests": [{"date": "2024-01-01", "specimen": "metastasis"}]},
    {**EARLY, "her2_tests": [{"ihc": "3+"}]},
    {**EARLY, "her2_ihc": "1+", "her2_tests": [{"date": "2024-01-01", "ihc": "3+"}]},
    {**EARLY, "her2_ish": "negative", "her2_tests": [{"date": "2024-01-01", "ish": "positive"}]},
    {**EARLY, "her2_ish": {"probe": "single", "ratio": 2}},
    {**METASTATIC, "stage": "II"},
    {**METASTATIC, "tnm": "cT2 M0"},
    {**METASTATIC, "invasive": False},
    {**METASTATIC, "metastatic_sites": ["brain"], "brain_mets": "none"},
    {**METASTATIC, "metastatic_sites": ["elbow"]},
    {**METASTATIC, "judgement": {"special_circumstances": ["none"]}},
    {**METASTATIC, "prior_therapies": [{"regimen": "no such regimen"}]},
    {**METASTATIC, "prior_therapies": [{"regimen": "THP", "drugs": ["lapatinib"]}]},
    {**METASTATIC, "prior_therapies": [{**COURSE, "end": "2025-01-07"}]},
    {**METASTATIC, "prior_therapies": [{**COURSE, "progression_date": "2027-01-07"}]},
    {**METASTATIC, "prior_therapies": [{**COURSE, "cycles": -1}]},
    {**METASTATIC, "prior_therapies": [{**COURSE, "adverse_events": [{"grade": 2}]}]},
    {**METASTATIC, "prior_therapies": [{**COURSE, "adverse_events": [{"event": "boredom"}]}]},
    {**METASTATIC, "prior_therapies": [
        {**COURSE, "adverse_events": [{"event": "nausea", "start": "2025-01-07"}]}]},
    {**METASTATIC, "prior_therapies": [
        {**COURSE, "adverse_events": [{"event": "nausea", "resolved": "2027-01-07"}]}]},
]  # fmt: skip


@pytest.mark.parametrize("kind", ["polars", "csv"])
def test_bad_rows_among_good_ones_are_rejected_with_the_words_of_load_record(
    kind, examples, names, read, tmp_path
):
    good = examples[:10]
    records = [dict(good[0], id="first")]
    for number, record in enumerate(INVALID):
        ident = f"bad-{number}" if record["id"].strip() else record["id"]
        records += [{**record, "id": ident}, {**good[number % 10], "id": f"good-{number}"}]
    found = read(write(kind, records, tmp_path))
    rows, rejects = one(found)
    assert {row["id"] for row in rows} == {"first", *(f"good-{n}" for n in range(len(INVALID)))}
    for number, record in enumerate(records[1::2]):
        told = {
            (each["column"], each["accepted"]) for each in rejects if each["row"] == 2 * number + 2
        }
        wanted = problems_of(record, names)
        assert wanted
        if kind == "csv" and "inf" in json.dumps(cells(record)).lower():
            continue  # no number in a text
        if kind == "csv" and "NaN" in json.dumps(cells(record)):
            continue
        assert told == wanted, record


def test_places_of_good_rows_follow_the_file(read):
    table = pl.DataFrame({"id": ["a", "b", "c", "d"], "age": [50.0, -1.0, 60.0, 200.0]})
    (batch,) = read(table)
    assert batch.places.to_list() == [1, 3]
    assert batch.rejects["row"].to_list() == [2, 4]
    assert batch.rejects["value"].to_list() == ["-1.0", "200.0"]
    assert (batch.suspects, batch.read, batch.duplicates) == (2, 4, 0)


# --- values in another type -----------------------------------------------------------------------


def test_values_in_a_wider_type_are_read_and_others_are_rejected(read):
    table = pl.DataFrame(
        {
            "id": [1, 2, 3],
            "ecog": [1.0, 1.5, None],
            "surgery_date": [datetime(2024, 1, 2), None, datetime(2024, 1, 2, 3)],
            "age": pl.Series([50, 60, 70], dtype=pl.Int16),
            "recurrence_date": ["2025-01-02", None, "2.1.2025"],
            "sex": pl.Series(["female", "male", None], dtype=pl.Categorical),
            "inflammatory": [None, None, "true"],
            "notes": ["x", "y", "z"],
        }
    )
    (batch,) = read(table)
    assert [record_of(row) for row in batch.rows.iter_rows(named=True)] == [
        {"id": "1", "ecog": 1, "surgery_date": "2024-01-02", "age": 50.0,
         "recurrence_date": "2025-01-02", "sex": "female"}
    ]  # fmt: skip
    assert {(each["row"], each["column"]) for each in batch.rejects.iter_rows(named=True)} == {
        (2, "ecog"), (3, "inflammatory"), (3, "surgery_date"), (3, "recurrence_date"),
    }  # fmt: skip


def test_cells_of_csv(read, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(
        "id,age,ecog,inflammatory,medications,metastatic_sites,her2_ish,her2_tests\n"
        'a,50,1.0,true,warfarin; aspirin,"[""bone""]",positive,"[{""date"": ""2024-01-01""}]"\n'
        "b,,,,[],,,\n"
        'c,fifty,1.5,True,a;;b,,maybe,"[{""date"": 1}]"\n'
        'd,1e400,,,,,,"{not JSON"\n',
        encoding="utf-8",
    )
    rows, rejects = one(read(path))
    assert rows[0] == {
        "id": "a", "age": 50.0, "ecog": 1, "inflammatory": True,
        "medications": ["warfarin", "aspirin"], "metastatic_sites": ["bone"],
        "her2_ish": {"result": "positive"}, "her2_tests": [{"date": "2024-01-01"}],
    }  # fmt: skip
    assert rows[1] == {"id": "b", "medications": []}
    assert {(each["row"], each["column"]) for each in rejects} == {
        (3, "age"), (3, "ecog"), (3, "inflammatory"), (3, "medications[1]"), (3, "her2_ish.result"),
        (3, "her2_tests[0].date"), (4, "age"), (4, "her2_tests"),
    }  # fmt: skip
    assert {each["file"] for each in rejects} == {str(path)}


def test_lines_of_json_that_are_no_record_are_rejected(names, read, tmp_path):
    lines = [
        '\ufeff{"id": "a", "notes": "\\ud83d\\ude00", "her2_ish": "positive"}',
        '{"id": "b", "id": "b"}',
        "",
        '{"id": "c", "notes": "\\ud83d"}',
        "[1]",
        '{"id": "d", "prior_therapy": []}',
        '{"id": "e", "genomics": {"x": NaN}}',
        '{"id": "f", "genomics": [1, {"x": 1e999}]}',
        "{",
        '{"id": "g", "genomics": {"deep": ' + "[" * 60 + "]" * 60 + "}}",
        '{"id": "h", "positive_nodes": 10000000000000000000}',
        '{"id": "i", "prior_therapies": [{"adverse_events": [{"event": "nausea", "resolved": "false"}]}]}',
    ]
    path = tmp_path / "p.ndjson"
    path.write_text("\n".join(lines), encoding="utf-8")
    (batch,) = read(path)
    assert batch.rows["id"].to_list() == ["a"]
    assert batch.places.to_list() == [1]
    assert set(batch.rejects["row"]) == {2, 4, 5, 6, 7, 8, 9, 10, 11, 12}
    unknown = batch.rejects.filter(pl.col("row") == 6).row(0, named=True)
    assert unknown["id"] == "d" and "prior_therapies" in unknown["accepted"]


# --- whole inputs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"id": ["a"], "lvef": [60]}, "lvef: given an unknown column"),
        ({"id": ["a"], "platelets_10e9_per_l": [1.0]}, "did you mean labs.platelets_10e9_per_l?"),
        ({"id": ["a"], "labs.platelets": [1.0]}, "did you mean labs.platelets_10e9_per_l?"),
        ({"id": ["a"], "labs": [{"platelet": 1.0}]}, "labs.platelet"),
        ({"id": ["a"], "labs": ["x"]}, "labs: given one column"),
        ({"id": ["a"], "prior_therapies": [[{"drug": "x"}]]}, "prior_therapies[].drug"),
        ({"id": ["a"], "her2_ish": ["positive"], "her2_ish.result": ["positive"]}, "two columns"),
        ({"age": [50]}, "id: missing"),
    ],
)
def test_wrong_columns_stop_the_input(table, told, read):
    with pytest.raises(DataError) as caught:
        read(pl.DataFrame(table))
    assert told in str(caught.value)


def test_what_is_no_table_is_named(read, tmp_path):
    wrong = tmp_path / "p.parquet"
    wrong.write_text("id,age\n")
    ragged = tmp_path / "p.csv"
    ragged.write_text("id,age\na,1\nb,2,3\n")
    for source in (wrong, ragged, tmp_path / "none.csv", tmp_path / "p.xlsx", 5, [1]):
        with pytest.raises(DataError):
            read(source)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="without a table"):
        read(tmp_path / "empty")
    blank = tmp_path / "blank.csv"
    blank.write_text("")
    with pytest.raises(DataError):
        read(blank)


def test_inputs_without_rows_give_no_rows(read, tmp_path):
    header = tmp_path / "p.csv"
    header.write_text("id,age\n")
    blank = tmp_path / "p.ndjson"
    blank.write_text("\n")
    for source in (header, blank, frame_of([]), frame_of([]).select("id")):
        assert sum(batch.rows.height for batch in read(source)) == 0


def test_strict_names_file_row_column_value_and_what_is_accepted(read, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("id,age\na,50\nb,200\n")
    with pytest.raises(DataError) as caught:
        read(path, strict=True)
    text = str(caught.value)
    assert f"{path}, row 2: age: given 200.0, accepted a number from 0 to 130" in text


def test_extra_columns_are_handed_on(read):
    days = [date(2025, 1, 1), date(2025, 1, 2), date(2025, 1, 3)]
    table = pl.DataFrame({"id": ["a", " b", "c"], "age": [50, 60, -1], "index_day": days})
    (batch,) = read(table, extra=["index_day"])
    assert batch.rows["id"].to_list() == ["a", "b"]
    assert batch.rows["index_day"].to_list() == days[:2]
    with pytest.raises(DataError, match="other"):
        read(table, extra=["index_day", "other"])


def test_ids_that_come_twice_in_a_batch_are_counted_and_judged(read):
    table = pl.DataFrame({"id": ["a", "b", "a", "a"]})
    (batch,) = read(table)
    assert batch.rows.height == 4 and batch.duplicates == 2


# --- two tables -----------------------------------------------------------------------------------


def courses_table(examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"id": record["id"], **course}
        for record in examples
        for course in record.get("prior_therapies") or ()
    ]


@pytest.mark.parametrize("kind", ["polars", "parquet", "csv", "ndjson"])
@pytest.mark.parametrize("of", ["polars", "ndjson"])
def test_courses_in_a_table_of_their_own_give_the_same_rows(kind, of, examples, read, tmp_path):
    courses = courses_table(examples)
    Random(SEED).shuffle(courses)
    bare = [{n: v for n, v in r.items() if n != "prior_therapies"} for r in examples]
    bare[1]["notes"] = chr(0x1F600)  # two escapes in JSON: the record is looked at closer
    (tmp_path / "of").mkdir()
    patients_table = write(of, bare, tmp_path / "of")
    lists = schema()["prior_therapies"]
    table = pl.DataFrame(
        [
            pl.Series(
                "course",
                [row_of({"prior_therapies": [{n: v for n, v in c.items() if n != "id"}]})["prior_therapies"][0] for c in courses],
                dtype=lists.inner,
            )
        ]
    ).unnest("course").with_columns(pl.Series("id", [c["id"] for c in courses]))  # fmt: skip
    if kind == "parquet":
        table.write_parquet(tmp_path / "c.parquet")
    if kind == "csv":
        cells_of = [
            {n: v if isinstance(v, str) else json.dumps(v) for n, v in c.items() if v is not None}
            for c in courses
        ]
        pl.DataFrame(cells_of, infer_schema_length=None).write_csv(tmp_path / "c.csv")
    if kind == "ndjson":
        (tmp_path / "c.ndjson").write_text("\n".join(json.dumps(c) for c in courses))
    source = table if kind == "polars" else tmp_path / f"c.{kind}"
    found = read(patients_table, therapies=source, size=40)
    rows, rejects = one(found)
    assert rejects == []
    wanted = {r["id"]: whole(r) for r in examples}

    def unordered(row: dict[str, Any]) -> dict[str, Any]:
        told = [json.dumps(c, sort_keys=True) for c in row.get("prior_therapies", [])]
        return {**row, "prior_therapies": sorted(told)}

    loaded = sum(batch.suspects for batch in found)
    different = [r["id"] for r in rows if unordered(r) != unordered(wanted[r["id"]])]
    assert len(rows) == len(examples) and len(different) <= loaded <= 4


def test_courses_that_do_not_fit_or_have_no_patient_are_rejected(read, tmp_path):
    table = pl.DataFrame({"id": ["a", "b", "c"]})
    path = tmp_path / "c.csv"
    path.write_text(
        "id,regimen,drugs,start,cycles\n"
        "b,THP,,2024-01-01,six\n"
        "z,THP,,2024-01-01,6\n"
        "a,THP,,2024-01-01,6\n"
        ",THP,,2024-01-01,6\n"
        "a,,trastuzumab;docetaxel,2025-01-01,\n"
    )
    rows, rejects = one(read(table, therapies=path))
    assert [row["id"] for row in rows] == ["a", "c"]
    assert [course.get("start") for course in rows[0]["prior_therapies"]] == [
        "2024-01-01",
        "2025-01-01",
    ]
    assert rows[0]["prior_therapies"][1]["drugs"] == ["trastuzumab", "docetaxel"]
    assert "prior_therapies" not in rows[1]
    told = [(each["file"], each["row"], each["id"], each["column"]) for each in rejects]
    assert told == [
        ("table", 2, "b", "prior_therapies[0].cycles"),
        (str(path), 4, None, "id"),
        (str(path), 2, "z", "id"),
    ]
    with pytest.raises(DataError, match="did|a column regimen"):
        read(table, therapies=pl.DataFrame({"id": ["a"], "regime": ["THP"]}))
    with pytest.raises(DataError, match="one of the two"):
        read(frame_of([{"id": "a", "prior_therapies": []}]), therapies=path)


# --- rejects --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rejects_are_written_when_they_are_whole(suffix, read, tmp_path):
    path = tmp_path / f"rejects.{suffix}"
    table = pl.DataFrame({"id": ["=1+1", "b", "c"], "sex": ["=cmd()", "female", "x"]})
    with RejectWriter(path) as writer:
        for batch in read(table, size=1):
            writer.write(batch.rejects)
        assert not path.exists()
    assert writer.counts == {"sex": 2} and writer.rows == 2
    found = pl.read_csv(path) if suffix == "csv" else pl.read_parquet(path)
    assert found["row"].to_list() == [1, 3]
    guard = "'" if suffix == "csv" else ""
    assert found["id"].to_list() == [f"{guard}=1+1", "c"]
    assert found["value"].to_list() == [f"{guard}=cmd()", "x"]
    assert sorted(each.name for each in tmp_path.iterdir()) == [path.name]
    with pytest.raises(ZeroDivisionError), RejectWriter(path) as writer:
        writer.write(batch.rejects)
        raise ZeroDivisionError
    assert (pl.read_csv(path) if suffix == "csv" else pl.read_parquet(path)).equals(found)
    with RejectWriter(path):
        pass
    assert not (pl.read_csv(path) if suffix == "csv" else pl.read_parquet(path)).height


# --- memory ---------------------------------------------------------------------------------------


# A CSV file is read up to 400 MB ahead by Polars, whatever its length; too long for a test.
@pytest.mark.parametrize("kind", ["parquet", "ndjson"])
def test_files_are_read_in_bounded_memory(kind, tmp_path):
    status = Path("/proc/self/statm")
    if not status.exists():
        pytest.skip("memory is read from /proc")

    def megabytes() -> float:
        _, resident, shared = status.read_text().split()[:3]  # shared: pages of the file itself
        return (int(resident) - int(shared)) * 4096 / 1e6

    count, text = (40_000, "x" * 8000)
    path = tmp_path / f"p.{kind}"
    if kind == "ndjson":
        with path.open("w") as file:
            for number in range(count):
                file.write(json.dumps({"id": f"{number}", "conditions": [text]}) + "\n")
    else:
        number = pl.int_range(count, eager=True).alias("id").cast(pl.String).to_frame()
        table = number.with_columns(pl.concat_list(pl.col("id") + text).alias("conditions"))
        table.write_parquet(path, row_group_size=1000)
        del table
    before, most, rows = megabytes(), 0.0, 0
    for chunk in reading.read(path, size=1000):
        rows += chunk.rows.height
        most = max(most, megabytes() - before)
    assert rows == count
    assert most < 200, f"{most:.0f} MB for {count * len(text) / 1e6:.0f} MB of text"
