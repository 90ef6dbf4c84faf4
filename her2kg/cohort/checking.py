"""Which rows are good: the verdict of `load_record` for every row, at the speed of columns.

A quick screen finds the rows that may have a problem; each of those is then loaded as a record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from her2kg.cohort import reading
from her2kg.cohort.reading import Chunk
from her2kg.cohort.rows import row_of, schema
from her2kg.cohort.screen import Screen
from her2kg.cohort.therapies import Therapies
from her2kg.cohort.values import Unfit, reader
from her2kg.errors import DataError, Problem, UnknownTerm
from her2kg.names import Names
from her2kg.records import load_record

# Names of drugs, regimens, events and medicines stand as they were given.
_NAMES = ("regimen", "drugs", "event", "history.hypersensitivity", "medications")
_KEPT = ("conditions",)  # not read
REJECTS = {
    "file": pl.String,
    "row": pl.Int64,
    "id": pl.String,
    "column": pl.String,
    "value": pl.String,
    "accepted": pl.String,
}
_REMEMBERED = 100_000  # names


@dataclass(frozen=True)
class Batch:
    """The good rows of a part of an input, and what is wrong with the others.

    Shape: `rows` has those columns of `rows.schema()` that the input has, in its types; `places`
    are their row numbers from 1, counted within their file; `rejects` has one row a problem: file,
    row, id, column (a record path), value and accepted as text; `duplicates` counts rows of the
    batch, good or not, whose id an earlier row of the same batch has; `suspects` counts rows that
    were loaded one by one; `read` counts all.
    """

    rows: pl.DataFrame
    places: pl.Series
    source: str
    rejects: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REJECTS))
    duplicates: int = 0
    suspects: int = 0
    read: int = 0


def batches(
    source: Any,
    *,
    names: Names,
    therapies: Any = None,
    size: int = reading.SIZE,
    extra: Sequence[str] = (),
    today: date | None = None,
    strict: bool = False,
) -> Iterator[Batch]:
    """Read and check patients, a batch at a time.

    Shape: `source` is a path (.parquet, .csv, .tsv, .ndjson, .jsonl, .json, or a folder of these)
    or a data frame of Polars, pandas or Arrow; `therapies` is another such table with the courses,
    one a row, and the id of the patient; `extra` names columns to hand on unread. Rejected courses
    without a patient come in a last batch without rows.
    Errors: DataError if the input cannot be read or has an unknown column; with `strict`, at the
    first row with a problem, naming its file, row, column and value and what is accepted.
    """
    checker = Checker(names, today)
    courses = Therapies(therapies, size=size) if therapies is not None else None
    for chunk in reading.read(source, size=size, extra=extra):
        batch = checker.check(courses.join(chunk) if courses is not None else chunk, strict=strict)
        yield batch
    if courses is None:
        return
    lost = [_reject(*where, problem) for *where, problem in courses.without_patient()]
    if lost and strict:
        file, row, _, problem = next(courses.without_patient())
        raise DataError([problem], f"{file}, row {row}")
    if lost:
        none = pl.Series("row", [], dtype=pl.Int64)
        rejects = pl.DataFrame(lost, schema=REJECTS, orient="row")
        yield Batch(pl.DataFrame(schema={"id": pl.String}), none, courses.source, rejects)


class _Remembered:
    """Names whose answers are kept, refusals too: the same wrong name may stand in many rows."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._found: dict[tuple[str, tuple[str, ...]], str | UnknownTerm] = {}

    def resolve(self, name: str, kinds: tuple[str, ...]) -> str:
        """As `Names.resolve`."""
        found = self._found.get((name, kinds))
        if found is None:
            if len(self._found) > _REMEMBERED:
                self._found.clear()
            try:
                found = self._names.resolve(name, kinds)
            except UnknownTerm as error:
                found = error
            self._found[name, kinds] = found
        if isinstance(found, UnknownTerm):
            raise found.with_traceback(None)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._names, name)


class Checker:
    """Checks chunks; keeps what it learned of names from one to the next.

    Shape: `today` is the day after which no date may lie.
    """

    def __init__(self, names: Names, today: date | None = None) -> None:
        self.names: Any = _Remembered(names)
        self.today = today or date.today()
        self.screen = Screen(self.names, self.today)

    def check(self, chunk: Chunk, *, strict: bool = False) -> Batch:
        """The good rows of a chunk, and the problems of the others.

        Shape: a row that passes the screen is handed on as it is, any other good one as its
        normalised record, after the others.
        Errors: DataError with `strict`, at the first row with a problem.
        """
        rows = chunk.rows
        doubtful = chunk.doubtful()
        suspects = sorted(doubtful.union(self.screen.suspects(rows)))
        rejects: list[tuple[Any, ...]] = []
        loaded: dict[int, dict[str, Any]] = {}
        for row in suspects:
            try:
                loaded[row] = self.load(chunk.record(row))
            except DataError as error:
                if strict:
                    where = f"{chunk.file(row)}, row {chunk.places[row]}"
                    raise DataError(error.problems, where) from None
                where = (chunk.file(row), chunk.places[row], rows["id"][row])
                rejects += [_reject(*where, problem) for problem in error.problems]
        # A good row that says the same as its record stays: to put rows in copies all others.
        changed = [
            row
            for row in suspects
            if row not in loaded
            or row in doubtful
            or not _same(rows.row(row, named=True), loaded[row], chunk.extra)
        ]
        found, places = rows, chunk.places
        if changed:
            loaded = {row: loaded[row] for row in changed if row in loaded}
            found, places = _replaced(chunk, changed, loaded)
        return Batch(
            found,
            places,
            chunk.source,
            pl.DataFrame(rejects, schema=REJECTS, orient="row"),
            rows.height - rows["id"].n_unique() if rows.height else 0,
            len(suspects),
            rows.height,
        )

    def load(self, source: Any) -> dict[str, Any]:
        """One record, normalised, as a row.

        Errors: DataError as `load_record`, and for a number that no column can hold.
        """
        record = load_record(source, names=self.names, today=self.today)
        row = row_of(record.to_dict())
        for name, value in row.items():
            try:
                reader(schema()[name], name, in_json=False)(value)
            except Unfit:
                accepted = f"whole numbers of at most {2**63 - 1} in a table"
                raise DataError([Problem(name, value, accepted)]) from None
        return row


def _same(given: dict[str, Any], loaded: dict[str, Any], extra: Sequence[str]) -> bool:
    """Whether a row states what its record states; names are resolved later, so they may differ."""
    left = {name: _without_names(name, given[name]) for name in given if name not in extra}
    right = {name: _without_names(name, value) for name, value in loaded.items()}
    return all(left.get(name) == right.get(name) for name in {*left, *right})


def _without_names(name: str, value: Any) -> Any:
    if name in _KEPT:
        return None
    if name in _NAMES:
        return value is not None or None
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [
            {inner: _without_names(inner, each) for inner, each in part.items() if each is not None}
            for part in value
        ]
    return value


def _replaced(
    chunk: Chunk, suspects: list[int], loaded: dict[int, dict[str, Any]]
) -> tuple[pl.DataFrame, pl.Series]:
    """The rows without the suspects, and after them the loaded ones."""
    rows, at = chunk.rows, pl.Series(suspects, dtype=pl.UInt32)
    keep = pl.repeat(True, rows.height, eager=True).scatter(at, False)
    if not loaded:
        return rows.filter(keep), chunk.places.filter(keep)
    stated = set().union(*loaded.values())
    types = {name: dtype for name, dtype in schema().items() if name in stated | {*rows.columns}}
    new = [
        pl.Series(name, [each.get(name) for each in loaded.values()], dtype=dtype)
        for name, dtype in types.items()
    ]
    new += [rows[name].gather(list(loaded)) for name in chunk.extra]
    both = pl.concat([rows.filter(keep), pl.DataFrame(new)], how="diagonal")
    # Sorting them in among the others would copy every list of the batch.
    return both, pl.concat([chunk.places.filter(keep), chunk.places.gather(list(loaded))])


def _reject(file: str, row: int, identifier: str | None, problem: Problem) -> tuple[Any, ...]:
    value = problem.value
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return (file, row, identifier, _text(problem.path), _text(value), _text(problem.accepted))


def _text(given: str) -> str:
    """A text that UTF-8 can hold."""
    return given.encode("utf-8", "backslashreplace").decode("utf-8")
