"""Read a table of patients, chunk by chunk: files of several kinds, folders, data frames.

Nothing is judged here: a value that its column cannot hold is set aside for `cohort.checking`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from her2kg.cohort.rows import PARTS, record_of, schema
from her2kg.cohort.values import KEPT, Odd, Unfit, column, from_text, loads, row_from_json, typed
from her2kg.errors import MISSING, DataError, Fact, Problem, did_you_mean, one_of
from her2kg.record_input import MAX_RECORD_BYTES

PATIENTS = "one row a patient, with a column id and columns of the record; fields: her2kg schema"
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_LINES = (".ndjson", ".jsonl")
_TABLES = (".parquet", *_SEPARATORS)
KINDS = (*_TABLES, *_LINES, ".json")
SIZE = 100_000
_AT_ONCE = 1_000  # JSON records that become columns together, few enough for the processor's cache
Convert = Callable[[pl.Series, Any], tuple[pl.Series, Odd]]


@dataclass
class Chunk:
    """Some rows of an input, in the types of `rows.schema()`, not yet checked.

    Shape: `places` are row numbers from 1, counted within the file; `odd` holds, by column and
    number of the row within the chunk, the values that are not in `rows` since their type is
    another; `texts` are the JSON texts of rows that were read from JSON, `suspects` those of them
    that do not fit; `files` names the file of each row where it is not `source`.
    """

    rows: pl.DataFrame
    source: str
    places: pl.Series
    odd: dict[str, Odd] = field(default_factory=dict)
    texts: list[bytes] | None = None
    suspects: list[int] = field(default_factory=list)
    files: list[str] | None = None
    extra: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()

    def record(self, row: int) -> Any:
        """What `load_record` is asked about: the JSON text, or the record of a row of a table."""
        if self.texts is not None and not self.joined:
            return self.texts[row]
        given = self.rows.row(row, named=True)
        given |= {name: odd[row] for name, odd in self.odd.items() if row in odd}
        found = record_of({name: each for name, each in given.items() if name not in self.extra})
        if self.texts is None:
            return found
        try:
            told = loads(self.texts[row].decode("utf-8-sig"))
        except (Unfit, ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            return self.texts[row]
        return told | {name: found[name] for name in self.joined if name in found}

    def file(self, row: int) -> str:
        return self.files[row] if self.files is not None else self.source

    def doubtful(self) -> set[int]:
        """Rows with a value that their column cannot hold."""
        return set(self.suspects).union(*self.odd.values())


def read(source: Any, *, size: int = SIZE, extra: Sequence[str] = ()) -> Iterator[Chunk]:
    """Read patients from a file, a folder or a data frame.

    Shape: chunks of at most `size` rows, in the order of the file; files of a folder in the order
    of their paths, subfolders included, hidden files left out. `extra` names columns of a table
    that are not of the record and are handed on as they are.
    Errors: DataError if the source cannot be read, has a column that is not of the record, or no
    column id.
    """
    if isinstance(source, str | Path):
        yield from _of_path(Path(source), size, tuple(extra))
    else:
        yield from _of_frame(frame(source), size, tuple(extra))


def frame(source: Any) -> pl.DataFrame | pl.LazyFrame:
    """A data frame of Polars, pandas or Arrow as one of Polars.

    Errors: DataError for anything else, and for columns that Polars cannot hold.
    """
    if isinstance(source, pl.DataFrame | pl.LazyFrame):
        return source
    kind = type(source).__module__.partition(".")[0]
    try:
        if kind == "pandas":
            return pl.from_pandas(source)
        if kind == "pyarrow" or hasattr(source, "__arrow_c_stream__"):
            return pl.DataFrame(source)
    except (pl.exceptions.PolarsError, TypeError, ValueError, ImportError) as error:
        given = Fact(f"a data frame that cannot be read ({_first_line(error)})")
        raise DataError([Problem("table", given, "columns with values of one type")]) from None
    accepted = "the path of a file or folder, or a data frame of Polars, pandas or Arrow"
    raise DataError([Problem("table", Fact(f"a {type(source).__name__}"), accepted)])


def _of_frame(table: pl.DataFrame | pl.LazyFrame, size: int, extra: tuple[str, ...]):
    yield from _of_table(table.lazy(), "table", typed, size, extra)


def _of_path(path: Path, size: int, extra: tuple[str, ...]) -> Iterator[Chunk]:
    records: list[Path] = []
    outside = [name for name in extra if name not in schema()]
    for each in files(path):
        if outside and each.suffix.lower() not in _TABLES:
            given = Fact("records of JSON, which have no such field")
            raise DataError([Problem(outside[0], given, f"a file {one_of(_TABLES)}")], str(each))
        if each.suffix.lower() == ".json":
            records.append(each)
            if len(records) == size:
                yield _of_records(path, records)
                records = []
        elif each.suffix.lower() in _LINES:
            yield from _of_lines(each, size)
        else:
            convert = typed if each.suffix.lower() == ".parquet" else from_text
            yield from _of_table(scan(each), str(each), convert, size, extra)
    if records:
        yield _of_records(path, records)


def files(path: Path) -> list[Path]:
    """The file of a path, or those below it.

    Errors: DataError if there is none of a kind that can be read.
    """
    kinds = one_of(KINDS)
    if path.is_dir():
        found = [
            each
            for each in sorted(path.rglob("*"))
            if each.suffix.lower() in KINDS
            and each.is_file()
            and not any(part.startswith(".") for part in each.relative_to(path).parts)
        ]
        if not found:
            given = Fact("a folder without a table or a record")
            raise DataError([Problem(str(path), given, f"a folder with files {kinds}")])
        return found
    if not path.is_file():
        given = Fact("a file that does not exist" if not path.exists() else "no ordinary file")
        raise DataError([Problem(str(path), given, f"a file or a folder of files {kinds}")])
    if path.suffix.lower() not in KINDS:
        given = Fact(f"a file {path.suffix}" if path.suffix else "a file without a suffix")
        raise DataError([Problem(str(path), given, f"a file {kinds}")])
    return [path]


# --- tables ---------------------------------------------------------------------------------------


def scan(path: Path) -> pl.LazyFrame:
    """A Parquet, CSV or TSV file, not yet read; all cells of the latter two are texts."""
    if path.suffix.lower() == ".parquet":
        return pl.scan_parquet(path, hive_partitioning=False, glob=False)
    separator = _SEPARATORS[path.suffix.lower()]
    return pl.scan_csv(path, separator=separator, infer_schema=False, glob=False)


def parts_of(table: pl.LazyFrame, source: str, size: int) -> Iterator[pl.DataFrame]:
    """The rows of a table, `size` at a time.

    Errors: DataError if the file is not what its name says.
    """
    try:
        for part in table.collect_batches(chunk_size=size, maintain_order=True):
            for start in range(0, part.height, size):
                yield part.slice(start, size)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(source, error) from None


def columns_of(table: pl.LazyFrame, source: str) -> pl.Schema:
    """The columns of a table.

    Errors: DataError if the file is not what its name says.
    """
    try:
        return table.collect_schema()
    except pl.exceptions.NoDataError:
        return pl.Schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(source, error) from None


def unreadable(source: str, error: Exception) -> DataError:
    kind = {".parquet": "a Parquet file", ".csv": "a CSV file", ".tsv": "a TSV file"}.get(
        Path(source).suffix.lower(), "a table"
    )
    given = Fact(f"what cannot be read as {kind} ({_first_line(error)})")
    return DataError([Problem(source, given, f"{kind} with {PATIENTS}")])


def _first_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else text[:157] + "..."


def _of_table(
    table: pl.LazyFrame, source: str, convert: Convert, size: int, extra: tuple[str, ...]
) -> Iterator[Chunk]:
    plan = _plan(columns_of(table, source), source, extra)
    start = 1
    for part in parts_of(table.select(plan.selected), source, size):
        made, odd = [], {}
        for series in plan.to_columns(part).get_columns():
            wrong: Odd = {}
            if series.name not in plan.extra:
                series, wrong = convert(series, schema()[series.name])
            made.append(series)
            if wrong:
                odd[series.name] = wrong
        rows = pl.DataFrame(made)
        yield Chunk(rows, source, _places(start, rows.height), odd, extra=plan.extra)
        start += rows.height


def _places(start: int, count: int) -> pl.Series:
    return pl.int_range(start, start + count, dtype=pl.Int64, eager=True).alias("row")


@dataclass(frozen=True)
class _Plan:
    """How the columns of a table become those of the record."""

    selected: list[str]
    parts: tuple[str, ...]
    renamed: dict[str, str]
    numbered: bool
    extra: tuple[str, ...]

    def to_columns(self, part: pl.DataFrame) -> pl.DataFrame:
        for name in self.parts:
            inner = part[name].struct.unnest()
            part = part.drop(name).hstack(inner.rename(lambda each, n=name: f"{n}.{each}"))
        part = part.rename(self.renamed)
        if self.numbered:  # record numbers are often whole numbers; they name the row all the same
            part = part.with_columns(pl.col("id").cast(pl.String))
        return part


def _plan(given: pl.Schema, source: str, extra: tuple[str, ...]) -> _Plan:
    """Compare the columns of a table with those of the record.

    Errors: DataError for an unknown column, one that comes twice, and for no column id.
    """
    known = schema()
    parts = tuple(name for name in PARTS if isinstance(given.get(name), pl.Struct))
    left_out = {*KEPT, *(name for name in PARTS if given.get(name) == pl.Null)}
    short = {}
    if "her2_ish" in given and "her2_ish" not in parts:
        short["her2_ish"] = "her2_ish.result"
    reached: list[str] = []
    problems = []
    for name, dtype in given.items():
        if name in left_out or (name in extra and name not in known):
            continue
        if name in parts:
            reached += [f"{name}.{each.name}" for each in dtype.fields]
            continue
        reached.append(short.get(name, name))
    for name in reached:
        if name not in known:
            problems.append(_unknown(name, known))
        elif reached.count(name) > 1 and not any(each.path == name for each in problems):
            problems.append(Problem(name, Fact("two columns"), "each value in one column"))
    for name, dtype in given.items():
        if name in known:
            problems += [_unknown(path, ()) for path in strange(dtype, known[name], name)]
    if "id" not in given:
        problems.insert(0, Problem("id", MISSING, "a column with a text that names each patient"))
    for name in extra:
        if name not in given:
            problems.append(Problem(name, MISSING, "the column that was asked for"))
    if problems:
        raise DataError(problems, source)
    return _Plan(
        selected=[name for name in given if name not in left_out],
        parts=parts,
        renamed=short,
        numbered=given["id"].is_integer(),
        extra=tuple(name for name in extra if name not in known),
    )


def _unknown(name: str, known: Iterable[str]) -> Problem:
    candidates = [*(known or schema()), *KEPT]
    last = name.rpartition(".")[2]
    inner = {each.rpartition(".")[2]: each for each in candidates if "." in each}
    close = [inner[last]] if last in inner else did_you_mean(name, candidates)
    close = close or [inner[each] for each in did_you_mean(last, inner)]
    if name in PARTS:
        return Problem(name, Fact("one column"), f"columns {name}.FIELD; fields: her2kg schema")
    hint = f"; did you mean {one_of(close)}?" if close else "; fields: her2kg schema"
    return Problem(name, Fact("an unknown column"), f"a column of the record{hint}")


def strange(given: Any, wanted: Any, path: str) -> Iterator[str]:
    """Fields of structures within lists that the record does not have."""
    if isinstance(given, pl.List | pl.Array) and isinstance(wanted, pl.List):
        yield from strange(given.inner, wanted.inner, f"{path}[]")
    if isinstance(given, pl.Struct) and isinstance(wanted, pl.Struct):
        inner = {each.name: each.dtype for each in wanted.fields}
        for each in given.fields:
            if each.name not in inner:
                yield f"{path}.{each.name}"
            else:
                yield from strange(each.dtype, inner[each.name], f"{path}.{each.name}")


# --- JSON -----------------------------------------------------------------------------------------


def _of_lines(path: Path, size: int) -> Iterator[Chunk]:
    """One JSON record a line; blank lines are passed over, but counted."""
    texts: list[bytes] = []
    places: list[int] = []
    for number, line in lines(path):
        texts.append(line)
        places.append(number)
        if len(texts) == size:
            yield _of_texts(texts, str(path), places)
            texts, places = [], []
    if texts:
        yield _of_texts(texts, str(path), places)


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not blank, with their numbers; a longer one is cut.

    Errors: DataError if the file cannot be read.
    """
    longest = MAX_RECORD_BYTES + 2
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(longest):
                number += 1
                rest = line
                while not rest.endswith(b"\n") and (rest := file.readline(longest)):
                    pass
                if line.strip():
                    yield number, line
    except OSError as error:
        raise unreadable(str(path), error) from None


def _of_records(folder: Path, paths: list[Path]) -> Chunk:
    texts = []
    for path in paths:
        try:
            with path.open("rb") as file:
                texts.append(file.read(MAX_RECORD_BYTES + 1))
        except OSError as error:
            raise unreadable(str(path), error) from None
    chunk = _of_texts(texts, str(folder), [1] * len(texts))
    chunk.files = [str(path) for path in paths]
    return chunk


def _of_texts(texts: list[bytes], source: str, places: list[int]) -> Chunk:
    suspects: list[int] = []
    frames = []
    for start in range(0, len(texts), _AT_ONCE):
        found = []
        for number, text in enumerate(texts[start : start + _AT_ONCE], start):
            try:
                row = row_of_text(text)
            except (Unfit, ValueError, RecursionError):
                row = {"id": _id_of(text)}
                suspects.append(number)
            found.append(row)
        frames.append(_of_rows(found))
    names = set().union(*(each.columns for each in frames))
    rows = pl.concat(frames, how="diagonal").select(name for name in schema() if name in names)
    numbers = pl.Series("row", places, dtype=pl.Int64)
    return Chunk(rows, source, numbers, {}, texts, suspects)


def _of_rows(found: list[dict[str, Any]]) -> pl.DataFrame:
    names = {"id"}.union(*found)
    return pl.DataFrame(
        [
            column(name, [row.get(name) for row in found], dtype)
            for name, dtype in schema().items()
            if name in names
        ]
    )


def _id_of(text: bytes) -> str | None:
    """The id of a record that does not fit, where it can be told."""
    try:
        record = json.loads(text[:MAX_RECORD_BYTES].decode("utf-8-sig"))
        said = record.get("id") if isinstance(record, dict) else None
        return said.encode().decode() if isinstance(said, str) else None
    except (ValueError, RecursionError):
        return None


def row_of_text(text: bytes) -> dict[str, Any]:
    """The row of a JSON text.

    Errors: Unfit, ValueError or RecursionError for anything that the columns cannot hold.
    """
    return row_from_json(loads(plain_text(text)))


def plain_text(text: bytes) -> str:
    """The text of one record.

    Errors: Unfit if it is too long or may hold half of a character; ValueError if it is no UTF-8.
    """
    if len(text) > MAX_RECORD_BYTES or b"\\ud" in text or b"\\uD" in text:
        raise Unfit
    return text.decode("utf-8-sig")
