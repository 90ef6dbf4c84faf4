"""The rows that were refused, and why, as a CSV or Parquet file that appears when it is whole."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import IO

import polars as pl

from her2kg import output
from her2kg.cohort.checking import REJECTS
from her2kg.errors import DataError, Fact, Problem
from her2kg.files import replacing

_KINDS = (".csv", ".parquet")


class RejectWriter:
    """Collects rejects in a file of bounded memory use; a context manager.

    Shape: one row a problem, the columns of `checking.REJECTS`; in CSV, text that a spreadsheet
    would run as a formula gets an apostrophe in front. `counts` are problems by column without
    numbers of items (`prior_therapies[].regimen`), `rows` is the number of rows refused. The file
    takes its name when the block ends without an error; without rejects it has only a header.
    Errors: DataError for another kind of file and for a folder that does not exist.
    """

    def __init__(self, path: str | Path | None) -> None:
        self.path = Path(path) if path is not None else None
        self.counts: Counter[str] = Counter()
        self.rows = 0
        self._folder: Path | None = None
        self._csv: IO[str] | None = None
        self._parts = 0
        if self.path is None:
            return
        if self.path.suffix.lower() not in _KINDS:
            given = Fact(f"a file {self.path.suffix or 'without a suffix'}")
            raise DataError([Problem(str(path), given, "a file .csv or .parquet")])
        if not self.path.parent.is_dir():
            given = Fact("a file in a folder that does not exist")
            raise DataError([Problem(str(path), given, "a file in a folder that exists")])

    def __enter__(self) -> RejectWriter:
        if self.path is not None:
            name = f".{self.path.name}."
            self._folder = Path(tempfile.mkdtemp(dir=self.path.parent, prefix=name))
            if self.path.suffix.lower() == ".csv":
                self._csv = (self._folder / "rejects").open("w", encoding="utf-8", newline="")
                self._csv.write(output.to_csv(list(REJECTS), [], guard=True))
        return self

    def write(self, rejects: pl.DataFrame) -> None:
        """Add the rejects of one batch."""
        if not rejects.height:
            return
        paths = rejects["column"].str.replace_all(r"\[\d+\]", "[]")
        self.counts.update(dict(paths.value_counts().iter_rows()))
        self.rows += rejects.select(pl.struct("file", "row").n_unique()).item()
        if self._csv is not None:
            text = output.to_csv(list(REJECTS), rejects.iter_rows(), guard=True)
            self._csv.write(text.partition("\n")[2])
        elif self._folder is not None:
            rejects.write_parquet(self._folder / f"{self._parts:08}.parquet")
            self._parts += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._folder is None or self.path is None:
            return
        try:
            if self._csv is not None:
                self._csv.close()
            if kind is None:
                with replacing(self.path) as temporary:
                    self._join(self._folder, temporary)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _join(self, folder: Path, target: Path) -> None:
        if self._csv is not None:
            shutil.move(folder / "rejects", target)
        elif self._parts:
            pl.scan_parquet(folder / "*.parquet", glob=True).sink_parquet(target)
        else:
            pl.DataFrame(schema=REJECTS).write_parquet(target)
