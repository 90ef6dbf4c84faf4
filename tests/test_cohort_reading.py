"""Tables of patients: what is read, which rows are good, what is said of the others."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

import patients
import polars as pl
import pytest

from her2kg.cohort.checking import Batch, Checker, batches
from her2kg.cohort.reading import Chunk
from her2kg.cohort.rejects import RejectWriter
from her2kg.cohort.rows import PARTS, frame_of, record_of, row_of, schema
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
    for holder, name in [(record, "her2_ish"), *((t, "ish") for t in record.get("her2_tests") or ())]:
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
    from her2kg.cohort.values import Unfit, row_from_json

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
    from her2kg.cohort.values import row_from_json

    table = frame_of([row_from_json(record) for record in texts])
    checker = Checker(names, TODAY)
    chunk = Chunk(table, "table", pl.int_range(1, table.height + 1, eager=True))
    batch = checker.check(chunk)
    refused = set(batch.rejects["id"])
    wanted = {record["id"] for record in records if problems_of(json.dumps(record), names)}
    assert refused == wanted
    assert len(wanted) > 500
    # A row that passed is as it was; one that was loaded is the record in its normal form.
    suspects = set(checker.screen.suspects(table))
    by_id = {row["id"]: row for row in batch.rows.iter_rows(named=True)}
    for number, row in enumerate(table.iter_rows(named=True)):
        if number not in suspects:
            assert by_id[row["id"]] == row
        elif row["id"] in by_id:
            record = load_record(record_of(row), names=names, today=TODAY).to_dict()
            assert by_id[row["id"]] == frame_of([row_of(record)]).row(0, named=True)
    ids = batch.rows["id"].to_list()
    assert ids == [row["id"] for row in table.iter_rows(named=True) if row["id"] in by_id]
    assert batch.places.to_list() == [int(p) + 1 for p, r in enumerate(table["id"]) if r in by_id]
