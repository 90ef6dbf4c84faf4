"""A synthetic registry of patients: realistic in its frequencies, of nobody.

The model, with the source of each table, is registry.toml. Patients come in chunks, each with a
random stream of its own: the first rows of a larger registry are those of a smaller one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from her2kg.cohort.rows import record_of, schema
from her2kg.cohort.simulate_courses import day_number
from her2kg.cohort.simulate_patients import Chunk, Registry
from her2kg.errors import Her2kgError, one_of
from her2kg.files import replacing

MODEL = Path(__file__).with_name("registry.toml")
_MOST = 99_999_999  # ids have eight digits


@cache
def model() -> dict[str, Any]:
    """The model of the registry, as registry.toml states it."""
    return tomllib.loads(MODEL.read_text(encoding="utf-8"))


@cache
def _registry() -> Registry:
    return Registry(model())


def simulate(n: int, seed: int, path: str | Path, as_of: date | None = None) -> None:
    """Write a synthetic registry of `n` patients to `path`, .parquet or .ndjson.

    Shape: `as_of` is the day of every record, by default the one of the model.
    Errors: Her2kgError for a number, seed, day, folder or suffix that cannot be used; a file that
    was there stays as it was.
    """
    path = Path(path)
    _accept(n, seed, as_of)
    write = _writer(path)
    if not path.parent.is_dir():
        raise Her2kgError(f"there is no folder {path.parent}; make it, or name another file")
    if path.is_dir():
        raise Her2kgError(f"{path} is a folder; name a file in it")
    try:
        with replacing(path) as temporary:
            write(n, seed, as_of, temporary)
    except OSError as error:
        raise Her2kgError(f"{path} cannot be written: {error.strerror or error}") from None


def frames(n: int, seed: int, as_of: date | None = None) -> Iterator[pl.DataFrame]:
    """The same patients as tables with the columns of `rows.schema()`, a chunk at a time."""
    day = day_number(as_of or model()["cohort"]["as_of"])
    size = model()["cohort"]["chunk"]
    registry = _registry()

    def chunk(number: int) -> pl.DataFrame:
        # Of the last chunk, too, all is drawn: only so are its first rows the same for any n.
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
        return Chunk(registry, rng, number * size, day).frame().head(n - number * size)

    # One chunk is drawn while the one before it is written.
    with ThreadPoolExecutor(max_workers=1) as worker:
        ahead = worker.submit(chunk, 0)
        for number in range(1, -(-n // size)):
            ready, ahead = ahead, worker.submit(chunk, number)
            yield ready.result()
        yield ahead.result()


def _accept(n: Any, seed: Any, as_of: date | None) -> None:
    if isinstance(n, bool) or not isinstance(n, int) or not 0 < n <= _MOST:
        raise Her2kgError(f"given {n} patients, accepted a whole number from 1 to {_MOST}")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise Her2kgError(f"given seed {seed}, accepted a whole number of at least 0")
    if as_of is not None and as_of > date.today():
        raise Her2kgError(f"given the day {as_of}, accepted a day that is not in the future")


def _writer(path: Path) -> Callable[[int, int, date | None, Path], None]:
    writers = {".parquet": _write_parquet, ".ndjson": _write_ndjson}
    try:
        return writers[path.suffix.lower()]
    except KeyError:
        known = one_of(list(writers))
        raise Her2kgError(f"{path.name} ends in no known suffix; accepted: {known}") from None


def _write_parquet(n: int, seed: int, as_of: date | None, path: Path) -> None:
    size = model()["cohort"]["chunk"]

    def chunks(
        columns: list[str] | None, predicate: Any, rows: int | None, batch: int | None
    ) -> Iterator[pl.DataFrame]:
        yield from frames(n, seed, as_of)

    table = register_io_source(chunks, schema=schema(), is_pure=True)
    # No statistics: patients come in no order, so that a reader could leave nothing out by them.
    table.sink_parquet(
        path, row_group_size=size, compression="zstd", compression_level=1, statistics=False
    )


def _write_ndjson(n: int, seed: int, as_of: date | None, path: Path) -> None:
    import json

    with path.open("w", encoding="utf-8") as file:
        for frame in frames(n, seed, as_of):
            for row in frame.iter_rows(named=True):
                file.write(json.dumps(record_of(row), ensure_ascii=False) + "\n")
