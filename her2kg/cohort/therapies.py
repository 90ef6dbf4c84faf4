"""Courses of therapy in a table of their own, joined to the patients by id."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from her2kg.cohort import reading
from her2kg.cohort.reading import Chunk
from her2kg.cohort.rows import schema
from her2kg.cohort.values import Odd, Unfit, column, from_text, loads, reader, typed
from her2kg.errors import MISSING, DataError, Fact, Problem, did_you_mean, one_of

COURSES = "prior_therapies"
_LINES = (".ndjson", ".jsonl")
_PATIENT = "the id of a patient of the other table"


class Therapies:
    """All courses of an input, held in memory by patient.

    Shape: a table with a column id and columns of a course, one row a course, in any order; the
    courses of a patient keep the order of the table. It is held whole, in columns, with every
    field of a course, so that it must be much smaller than the memory.
    Errors: DataError if it cannot be read, has an unknown column, or no column id.
    """

    def __init__(self, source: Any, *, size: int = reading.SIZE) -> None:
        self.source = str(source) if isinstance(source, str | Path) else "therapies"
        self._files: list[str] = []
        self._odd: dict[tuple[int, int], Any] = {}  # file and row -> a course that does not fit
        tables = list(self._tables(source, size))
        table = pl.concat(tables) if tables else pl.DataFrame(schema=_columns())
        self._nameless = table.filter(pl.col("id").is_null()).select("file", "row").rows()
        self._ids = (
            table.filter(pl.col("id").is_not_null())
            .group_by("id", maintain_order=True)
            .agg("course", "file", "row")
            .with_row_index("at")
        )
        self._seen = pl.repeat(False, self._ids.height, eager=True)
        self._wrong = self._patients_with_odd()

    def _patients_with_odd(self) -> dict[int, list[Any]]:
        """The courses of each patient with one that does not fit, by number in `_ids`."""
        if not self._odd:
            return {}
        keys = pl.DataFrame(
            list(self._odd), schema={"file": pl.UInt32, "row": pl.UInt32}, orient="row"
        )
        rows = self._ids.select("at", "file", "row").explode("file", "row")
        found = {}
        for at in rows.join(keys, on=["file", "row"], how="semi")["at"].unique():
            each = self._ids.row(at, named=True)
            places = zip(each["file"], each["row"], strict=True)
            found[at] = [
                self._odd.get(place, course)
                for place, course in zip(places, each["course"], strict=True)
            ]
        return found

    # --- reading ------------------------------------------------------------------------------

    def _tables(self, source: Any, size: int) -> Iterator[pl.DataFrame]:
        if not isinstance(source, str | Path):
            yield from self._of_table(reading.frame(source).lazy(), "therapies", typed, size)
            return
        for path in reading.files(Path(source)):
            suffix = path.suffix.lower()
            if suffix == ".json":
                given = Fact("a record of one patient")
                accepted = "a table of courses: a Parquet, CSV, TSV or NDJSON file"
                raise DataError([Problem(str(path), given, accepted)])
            if suffix in _LINES:
                yield self._of_lines(path)
            else:
                convert = typed if suffix == ".parquet" else from_text
                yield from self._of_table(reading.scan(path), str(path), convert, size)

    def _of_table(
        self, table: pl.LazyFrame, source: str, convert: reading.Convert, size: int
    ) -> Iterator[pl.DataFrame]:
        fields = {each.name: each.dtype for each in _course().fields}
        _refuse_columns(reading.columns_of(table, source), source)
        self._files.append(source)
        start = 1
        for part in reading.parts_of(table, source, size):
            made, odd = {}, {}
            for series in part.drop("id").get_columns():
                made[series.name], odd[series.name] = convert(series, fields[series.name])
            course = [
                made.get(name, pl.repeat(None, part.height, dtype=dtype, eager=True)).alias(name)
                for name, dtype in fields.items()
            ]
            courses = pl.DataFrame(course).to_struct("course")
            self._keep_odd(courses, odd, start)
            ids, _ = from_text(part["id"].cast(pl.String), pl.String)
            rows = pl.int_range(start, start + part.height, dtype=pl.UInt32, eager=True)
            yield self._table(ids, courses, rows)
            start += part.height

    def _keep_odd(self, courses: pl.Series, odd: dict[str, Odd], start: int) -> None:
        file = len(self._files) - 1
        for name, values in odd.items():
            for row, value in values.items():
                course = self._odd.setdefault((file, start + row), dict(courses[row]))
                course[name] = value

    def _table(self, ids: pl.Series, courses: pl.Series, rows: pl.Series) -> pl.DataFrame:
        file = pl.repeat(len(self._files) - 1, len(rows), dtype=pl.UInt32, eager=True)
        found = [
            ids.alias("id"),
            courses.alias("course"),
            file.alias("file"),
            rows.alias("row"),
        ]
        return pl.DataFrame(found)

    def _of_lines(self, path: Path) -> pl.DataFrame:
        self._files.append(str(path))
        read = reader(_course(), COURSES)
        ids, courses, rows = [], [], []
        for number, line in reading.lines(path):
            value, course = None, None
            try:
                value = loads(reading.plain_text(line))
                if not isinstance(value, dict):
                    raise Unfit
                identifier = value.pop("id", None)
                ids.append(identifier if isinstance(identifier, str) else None)
                course = read(value)
            except (Unfit, ValueError, RecursionError):
                if len(ids) == len(rows):
                    ids.append(None)
                self._odd[len(self._files) - 1, number] = value
            courses.append(course)
            rows.append(number)
        return self._table(
            pl.Series(ids, dtype=pl.String),
            column("course", courses, _course()),
            pl.Series(rows, dtype=pl.UInt32),
        )

    # --- joining ------------------------------------------------------------------------------

    def join(self, chunk: Chunk) -> Chunk:
        """The chunk with the courses of its patients, empty for those without one.

        Errors: DataError if the table of patients has courses too.
        """
        held = chunk.rows[COURSES] if COURSES in chunk.rows.columns else None
        if COURSES in chunk.odd or (held is not None and held.null_count() < len(held)):
            accepted = "courses in one of the two tables; leave the column out or give no therapies"
            raise DataError([Problem(COURSES, Fact("a column beside the table"), accepted)])
        places = chunk.rows.select("id").join(
            self._ids.select("id", "at"), on="id", how="left", maintain_order="left"
        )["at"]
        here = places.drop_nulls()
        self._seen = self._seen.scatter(here, True) if len(here) else self._seen
        courses = self._ids["course"].gather(places).alias(COURSES)
        chunk.rows = chunk.rows.with_columns(courses)
        chunk.joined = (COURSES,)
        if self._wrong:
            odd = {
                row: self._wrong[at] for row, at in enumerate(places.to_list()) if at in self._wrong
            }
            if odd:
                chunk.odd[COURSES] = odd
        return chunk

    def without_patient(self) -> Iterator[tuple[str, int, str | None, Problem]]:
        """Courses that no patient has, once all patients are joined: file, row, id, problem."""
        for file, row in self._nameless:
            yield self._files[file], row, None, Problem("id", MISSING, _PATIENT)
        for each in self._ids.filter(~self._seen).select("id", "file", "row").iter_rows():
            identifier, found, rows = each
            for file, row in zip(found, rows, strict=True):
                yield self._files[file], row, identifier, Problem("id", identifier, _PATIENT)


def _course() -> Any:
    return schema()[COURSES].inner


def _columns() -> dict[str, Any]:
    return {"id": pl.String, "course": _course(), "file": pl.UInt32, "row": pl.UInt32}


def _refuse_columns(given: pl.Schema, source: str) -> None:
    fields = [each.name for each in _course().fields]
    problems = []
    if "id" not in given:
        problems.append(Problem("id", MISSING, "a column with the id of the patient"))
    for name in given:
        if name not in ("id", *fields):
            close = did_you_mean(name, fields)
            accepted = one_of(close) if close else ", ".join(["id", *fields])
            problems.append(Problem(name, Fact("an unknown column"), f"a column {accepted}"))
    for name, dtype in given.items():
        if name in fields:
            wanted = _course().to_schema()[name]
            for path in reading.strange(dtype, wanted, name):
                accepted = "a field of an adverse event; fields: her2kg schema"
                problems.append(Problem(path, Fact("an unknown column"), accepted))
    if problems:
        raise DataError(problems, source)
