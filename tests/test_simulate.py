"""The synthetic registry: accepted by the rules of the record, repeatable, near its model."""

from __future__ import annotations

import json
from datetime import date, timedelta
from functools import cache

import polars as pl
import pytest
from typer.testing import CliRunner

from her2kg import KnowledgeGraph
from her2kg.cli import app
from her2kg.cohort import simulate as module
from her2kg.cohort.rows import record_of, schema
from her2kg.cohort.simulate import frames, model, simulate
from her2kg.cohort.simulate_patients import Chunk
from her2kg.errors import Her2kgError
from her2kg.namespaces import BASE
from her2kg.records import load_record

TARGETS = ("cohort.parquet", "cohort.ndjson")


@cache
def names():
    return KnowledgeGraph().names


@cache
def cohort() -> pl.DataFrame:
    """One whole chunk."""
    return next(frames(100_000, 7))


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setitem(model()["cohort"], "chunk", 300)


def tables(table: dict, path: tuple[str, ...] = ()):
    for name, inner in table.items():
        if isinstance(inner, dict):
            yield (*path, name), inner


# The records


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_row_is_an_accepted_record(seed, monkeypatch):
    monkeypatch.setitem(model()["cohort"], "chunk", 2_000)
    (frame,) = frames(2_000, seed)
    for row in frame[(seed - 1) * 600 : seed * 600 + 100].iter_rows(named=True):
        load_record(record_of(row), names=names())


def test_rare_combinations_are_accepted_too():
    rare = cohort().filter(
        (pl.col("pregnancy") == "pregnant")
        | (pl.col("stage") == "0")
        | ((pl.col("sex") == "male") & (pl.col("age") > 75))
        | (pl.col("her2_ish.probe") == "single")
        | pl.col("nodes").str.contains(r"\(i\+\)")
    )
    assert rare.height > 500
    for row in rare.head(400).iter_rows(named=True):
        load_record(record_of(row), names=names())


def test_the_columns_are_those_of_the_record():
    frame = cohort()
    assert dict(frame.schema) == schema()
    assert frame["id"].n_unique() == frame.height
    filled = [name for name in frame.columns if frame[name].null_count() == frame.height]
    assert filled == []


def test_a_missing_list_is_not_an_empty_one():
    for name in ("prior_therapies", "medications", "history.hypersensitivity"):
        column = cohort()[name]
        assert column.null_count() > 0
        assert (column.list.len() == 0).sum() > 0
    courses = cohort().select(pl.col("prior_therapies").explode()).unnest("prior_therapies")
    assert courses["adverse_events"].null_count() > 0
    assert (courses["adverse_events"].list.len() == 0).sum() > 0


# The model


def test_every_table_of_the_model_names_its_source():
    for path, table in tables(model()):
        parts = [table] if "source" in table else [inner for _, inner in tables(table)]
        for part in parts:
            assert part.get("source"), path
            assert part["source"] != "assumption" or part["why"].endswith("."), path


def test_the_names_of_a_regimen_mean_one_regimen():
    for key, regimen in model()["regimens"].items():
        if not isinstance(regimen, dict):
            continue
        meant = {str(names().resolve(name, ("regimen",))) for name in regimen.get("names", [])}
        assert meant <= {f"{BASE}{regimen['names'][0]}"} if meant else True, key
        for drug in regimen["drugs"]:
            names().resolve(drug, ("drug", "product"))


def share(condition: pl.Expr, of: pl.Expr) -> float:
    return cohort().filter(of).select(condition.mean()).item()


def test_marginals_are_those_of_the_model():
    stated = pl.col("metastatic_sites").is_not_null() & (pl.col("setting") == "metastatic")
    new = stated & (pl.col("stage") == "IV") & pl.col("tnm").str.contains("M1")
    sites, setting = model()["sites"], model()["setting"]["weights"]
    for name, weight in setting.items():
        assert share(pl.col("setting") == name, pl.col("setting").is_not_null()) == pytest.approx(
            weight, abs=0.01
        )
    for site in ("bone", "liver"):
        seen = share(pl.col("metastatic_sites").list.contains(site), new)
        assert seen == pytest.approx(sites[site]["de_novo"], abs=0.02)
    assert share(pl.col("sex") == "male", pl.col("sex").is_not_null()) == pytest.approx(
        model()["sex"]["male"], abs=0.003
    )
    median = cohort().filter(pl.col("setting") == "early")["age"].median()
    assert median == pytest.approx(model()["age"]["early"] + 2, abs=3)


def test_what_depends_on_something_else_does_so():
    metastatic = cohort().filter(pl.col("setting") == "metastatic")
    lines = pl.col("prior_therapies").list.eval(
        (pl.element().struct.field("setting") == "metastatic").sum()
    )
    counted = metastatic.with_columns(lines=lines.list.first())
    by_line = counted.group_by("lines").agg(
        ecog=(pl.col("ecog") >= 2).mean(),
        brain=pl.col("metastatic_sites").list.contains("brain").mean(),
    )
    first, later = by_line.filter(pl.col("lines") == 1), by_line.filter(pl.col("lines") == 4)
    assert later["ecog"].item() > first["ecog"].item()
    assert later["brain"].item() > first["brain"].item()
    assert counted["lines"].max() == 6


def test_no_regimen_is_given_before_its_first_day():
    courses = cohort().select(pl.col("prior_therapies").explode()).unnest("prior_therapies")
    dated = [each for each in model()["regimens"].values() if {"since", "names"} <= set(each)]
    assert len(dated) > 30
    for regimen in dated:
        starts = courses.filter(pl.col("regimen").is_in(regimen["names"]))["start"]
        assert starts.len() > 0, regimen
        assert starts.min() >= regimen["since"], regimen


# Repeatable


def test_the_first_rows_of_a_larger_registry_are_those_of_a_smaller_one(small_chunks):
    larger, smaller = pl.concat(frames(1_000, 5)), pl.concat(frames(410, 5))
    assert smaller.height == 410
    assert larger.head(410).equals(smaller, null_equal=True)


def test_one_seed_gives_the_same_rows_and_another_gives_others(small_chunks):
    once, again, other = (pl.concat(frames(600, seed)) for seed in (5, 5, 6))
    assert once.equals(again, null_equal=True)
    assert not once.drop("id").equals(other.drop("id"), null_equal=True)
    assert not once.head(300).drop("id").equals(once.tail(300).drop("id"), null_equal=True)


# Files


def test_parquet_and_ndjson_hold_the_same_records(small_chunks, tmp_path):
    table, lines = (tmp_path / name for name in TARGETS)
    day = date(2025, 3, 1)
    simulate(700, 4, table, day)
    simulate(700, 4, lines, day)
    frame = pl.read_parquet(table)
    assert dict(frame.schema) == schema()
    records = [json.loads(line) for line in lines.read_text("utf-8").splitlines()]
    assert records == [record_of(row) for row in frame.iter_rows(named=True)]
    assert {record["as_of"] for record in records} == {"2025-03-01"}
    assert "null" not in lines.read_text("utf-8")


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_interrupted_leaves_nothing(name, small_chunks, tmp_path, monkeypatch):
    target = tmp_path / name
    target.write_text("as before")
    whole = Chunk.frame

    def broken(self):
        if self.fields["id"][0] != "p00000001":
            raise KeyboardInterrupt
        return whole(self)

    monkeypatch.setattr(Chunk, "frame", broken)
    with pytest.raises(BaseException):  # noqa: B017
        simulate(900, 1, target)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert target.read_text() == "as before"


# The command


def run(*args: str):
    return CliRunner().invoke(app, ["simulate", *args], catch_exceptions=False)


def test_the_command_writes_a_file(small_chunks, tmp_path):
    target = tmp_path / "cohort.parquet"
    result = run("400", "--seed", "9", "--as-of", "2026-01-31", "-o", str(target))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"400 patients written to {target}\n"
    assert pl.read_parquet(target).height == 400


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["0"], "whole number"),
        (["-5"], ""),
        (["ten"], "whole number"),
        (["1.5"], "whole number"),
        (["1" * 30], "whole number"),
        (["5", "--seed", "-1"], "seed"),
        (["5", "--as-of", "2026-02-30"], "YYYY-MM-DD"),
        (["5", "--as-of", "20260230"], "YYYY-MM-DD"),
        (["5", "--as-of", (date.today() + timedelta(days=2)).isoformat()], "future"),
        (["5", "-o", "cohort.xlsx"], "suffix"),
        (["5", "-o", "no/such/cohort.parquet"], "folder"),
    ],
)
def test_bad_input_is_told_in_one_sentence(args, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = [] if "-o" in args else ["-o", "cohort.parquet"]
    result = run(*args, *out)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert told in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_target(tmp_path):
    (tmp_path / "x.parquet").mkdir()
    with pytest.raises(Her2kgError, match="is a folder"):
        simulate(5, 1, tmp_path / "x.parquet")


def test_the_model_is_read_once():
    assert module.model() is module.model()
