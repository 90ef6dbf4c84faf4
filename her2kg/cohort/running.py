"""Judge a whole input batch by batch, with bounded memory, in a way that can be taken up again.

Verdicts are written as parts into a hidden folder beside the output, each in one step; at the end
the parts take the place of the output. A run that was interrupted goes on after its last part.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from her2kg.cohort.engine import Judge
from her2kg.cohort.summary import Summary
from her2kg.errors import DataError, Problem, one_of
from her2kg.files import replace_text, replacing

SUFFIXES = (".parquet", ".csv", ".ndjson")
_MANIFEST = "run.json"
_PART = re.compile(r"part-\d+\.parquet")
_WORKERS = os.cpu_count() or 1


@dataclass
class Done:
    """What a run did.

    Shape: `patients` judged, `rejected` rows with `problems`, `duplicates` of an id within a
    batch, `resumed` patients that an earlier run had judged.
    """

    patients: int = 0
    rejected: int = 0
    problems: int = 0
    duplicates: int = 0
    resumed: int = 0
    summary: Summary = field(default_factory=Summary)


@dataclass(frozen=True)
class Output:
    """Where verdicts go, and how.

    Shape: `path` ends in .parquet, .csv or .ndjson, or is a folder for Parquet parts; with `long`
    one row for each patient, regimen and basis, else one row a patient; `reasons` is a file of one
    of these kinds for what stands against a regimen or is open.
    """

    path: Path
    long: bool = False
    reasons: Path | None = None

    @property
    def is_folder(self) -> bool:
        return not self.path.suffix or self.path.is_dir()

    @property
    def parts(self) -> Path:
        return self.path.parent / f".{self.path.name}.parts"

    def check(self) -> None:
        """Refuse what cannot be written. Errors: DataError."""
        if not self.is_folder:
            _check_file("output", self.path, ", or a folder")
        if self.path.is_dir() and not _holds_parts(self.path):
            accepted = "a new folder, or one with parts of an earlier run; choose another"
            raise DataError([Problem("output", str(self.path), accepted)])
        if self.reasons is not None:
            _check_file("reasons", self.reasons, "")
        for path in filter(None, (self.path, self.reasons)):
            if not path.absolute().parent.is_dir():
                accepted = "a folder that is there; make it first"
                raise DataError([Problem("output", str(path.parent), accepted)])


def _check_file(what: str, path: Path, more: str) -> None:
    if path.suffix.lower() not in SUFFIXES:
        accepted = f"a file that ends in {one_of(SUFFIXES)}{more}"
        raise DataError([Problem(what, str(path), accepted)])


def _holds_parts(folder: Path) -> bool:
    return all(_PART.fullmatch(each.name) for each in folder.iterdir())


def run(
    batches: Iterable[Any],
    judge: Judge,
    output: Output | None,
    *,
    fingerprint: str = "",
    told: Callable[[int], None] = lambda _: None,
    workers: int = _WORKERS,
) -> Done:
    """Judge all batches and write their verdicts in the order of the input.

    `fingerprint` stands for the input; a run is only taken up again with the same input, question,
    knowledge and output. `told` is called with the number of patients done.

    Shape: each batch has `rows`, clean rows, and `rejects`.
    Errors: DataError from the input; OSError where the output cannot be written.
    """
    done = Done(summary=Summary.of(judge))
    if output is None:
        for each in _judged(enumerate(batches), judge, workers, False):
            _count(done, each.summary, each.batch, told)
        return done
    output.check()
    finished = _taken_up(output, _key(judge, output, fingerprint))
    waiting = _fresh(batches, finished, done, judge, output, told)
    for each in _judged(waiting, judge, workers, output.reasons is not None):
        part = output.parts / f"part-{each.number:05}.parquet"
        with replacing(part) as temporary:
            (long_form(each.verdicts, judge) if output.long else each.verdicts).write_parquet(
                temporary
            )
        if output.reasons is not None:
            with replacing(output.parts / f"reasons-{each.number:05}.parquet") as temporary:
                each.reasons.write_parquet(temporary)
        # The counts are written last: a part without them is not done.
        replace_text(part.with_suffix(".json"), json.dumps(each.summary.to_dict()))
        _count(done, each.summary, each.batch, told)
    _finish(output)
    return done


class Judged(NamedTuple):
    """One batch and what was found of it."""

    number: int
    verdicts: pl.DataFrame
    summary: Summary
    reasons: pl.DataFrame
    batch: Any


def _judged(
    batches: Iterable[tuple[int, Any]], judge: Judge, workers: int, reasons: bool
) -> Iterator[Judged]:
    """Judge several batches at a time; give them back in order, with few of them in memory."""

    def work(number: int, batch: Any) -> Judged:
        return Judged(number, *judge.with_summary(batch.rows, reasons=reasons), batch)

    judge.prepare()
    waiting: list[Future[Any]] = []
    with ThreadPoolExecutor(workers) as pool:
        try:
            for number, batch in batches:
                waiting.append(pool.submit(work, number, batch))
                if len(waiting) > workers:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for each in waiting:
                each.cancel()


def _count(done: Done, piece: Summary, batch: Any, told: Callable[[int], None]) -> None:
    done.summary.add(piece)
    done.patients += piece.patients
    done.rejected += max(batch.read - batch.rows.height, 0)
    done.problems += batch.rejects.height
    done.duplicates += batch.duplicates
    told(done.patients)


# --- taking a run up again --------------------------------------------------------------------


def _key(judge: Judge, output: Output, fingerprint: str) -> str:
    asked = {
        "question": asdict(judge.question),
        "today": judge.today,
        "knowledge": judge.compiled.fingerprint,
        "input": fingerprint,
        "long": output.long,
        "reasons": output.reasons is not None,
    }
    return sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


def _taken_up(output: Output, key: str) -> set[int]:
    """The numbers of the parts that an interrupted run of the same key has finished."""
    folder = output.parts
    manifest = folder / _MANIFEST
    try:
        same = json.loads(manifest.read_text(encoding="utf-8"))["key"] == key
    except (OSError, ValueError, KeyError):
        same = False
    if not same:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        replace_text(manifest, json.dumps({"key": key}))
        return set()
    return {
        int(part.stem.removeprefix("part-"))
        for part in folder.glob("part-*.json")
        if part.with_suffix(".parquet").exists()
    }


def _fresh(
    batches: Iterable[Any],
    finished: set[int],
    done: Done,
    judge: Judge,
    output: Output,
    told: Callable[[int], None],
) -> Iterator[tuple[int, Any]]:
    """The batches that are not done yet; those that are done are counted."""
    for number, batch in enumerate(batches):
        if number not in finished:
            yield number, batch
            continue
        said = (output.parts / f"part-{number:05}.json").read_text(encoding="utf-8")
        piece = Summary.of(judge).read(json.loads(said))
        done.resumed += piece.patients
        _count(done, piece, batch, told)


# --- what is written --------------------------------------------------------------------------


def long_form(verdicts: pl.DataFrame, judge: Judge) -> pl.DataFrame:
    """One row for each patient, regimen and basis (any: over all bases asked for)."""
    names = [judge.name(*each) for each in judge.columns]
    keys = pl.DataFrame(
        {
            "column": names,
            "regimen": [regimen for regimen, _ in judge.columns],
            "basis": [basis for _, basis in judge.columns],
        }
    )
    numbered = verdicts.with_row_index("_row")
    long = numbered.unpivot(
        names, index=["_row", "id", "as_of", "scope"], variable_name="column", value_name="verdict"
    )
    long = long.filter(pl.col("verdict").is_not_null()).join(keys, "column", maintain_order="left")
    long = long.sort("_row", "regimen", maintain_order=True)
    return long.select("id", "as_of", "scope", "regimen", "basis", "verdict")


def _finish(output: Output) -> None:
    """Put the parts in the place of the output."""
    parts = sorted(output.parts.glob("part-*.parquet"))
    if output.reasons is not None:
        why = sorted(output.parts.glob("reasons-*.parquet"))
        with replacing(output.reasons) as temporary:
            _join(why, temporary, output.reasons.suffix.lower())
        for each in why:
            each.unlink()
    if output.is_folder:
        for each in output.parts.glob("*.json"):
            each.unlink()
        before = None
        if output.path.exists():
            before = output.path.with_name(f".{output.path.name}.before")
            shutil.rmtree(before, ignore_errors=True)
            os.replace(output.path, before)
        os.replace(output.parts, output.path)
        if before is not None:
            shutil.rmtree(before)
        return
    with replacing(output.path) as temporary:
        _join(parts, temporary, output.path.suffix.lower())
    shutil.rmtree(output.parts)


def _join(parts: list[Path], target: Path, suffix: str) -> None:
    """Write the parts as one file; memory holds a few of them at a time."""
    if suffix == ".parquet" and len(parts) == 1:
        shutil.copyfile(parts[0], target)
        return
    whole = pl.scan_parquet(parts) if parts else pl.LazyFrame({"id": []}, schema={"id": pl.String})
    if suffix == ".parquet":
        whole.sink_parquet(target)
    elif suffix == ".csv":
        whole.with_columns(pl.col(pl.String).map_batches(_inert, return_dtype=pl.String)).sink_csv(
            target
        )
    else:
        whole.sink_ndjson(target)


def _inert(texts: pl.Series) -> pl.Series:
    """Text that a spreadsheet would run as a formula gets an apostrophe in front."""
    risky = texts.str.contains(r"^[=+@\t\r-]") & ~texts.str.contains(r"^[=+@\t\r-][\d.]*$")
    return texts.zip_with(~risky.fill_null(False), "'" + texts)
