"""Judge a cohort: from a file or a data frame to verdicts and their summary."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from her2kg.cohort.checking import Batch, batches
from her2kg.cohort.engine import Compiled, Judge, Question
from her2kg.cohort.reading import files
from her2kg.cohort.rejects import RejectWriter
from her2kg.cohort.rows import schema
from her2kg.cohort.running import Done, Output, run
from her2kg.errors import DataError, Fact, Problem
from her2kg.knowledge import KnowledgeGraph
from her2kg.verdicts import BASES

SIZE = 250_000  # patients in a batch: what a batch costs by itself is spread over them


class Cohorts:
    """Judges cohorts against one graph; the compiled classes are kept for the next cohort.

    >>> Cohorts(KnowledgeGraph()).judge("patients.parquet", output="verdicts.parquet")
    """

    def __init__(self, kg: KnowledgeGraph) -> None:
        self.kg = kg
        self.compiled = Compiled(kg)

    def question(
        self,
        *,
        as_of: str | date | None = None,
        bases: Iterable[str] = BASES,
        jurisdictions: Iterable[str] | None = None,
        regimens: Iterable[str] | None = None,
    ) -> Question:
        """What is asked of each patient; `as_of` is a day or the name of a column with days.

        Errors: as `KnowledgeGraph.eligibility`.
        """
        wanted = None
        if regimens is not None:
            found = [iri for name in regimens for iri in self.kg.names.regimens(name)]
            wanted = tuple(dict.fromkeys(str(iri).rsplit("#", 1)[-1] for iri in found))
        bases, places = self.kg.asked(bases, jurisdictions)
        return Question(bases, places, wanted, _day_or_column(as_of))

    def judge(
        self,
        source: Any,
        *,
        therapies: Any = None,
        output: str | Path | None = None,
        long: bool = False,
        reasons: str | Path | None = None,
        rejects: str | Path | None = None,
        strict: bool = False,
        size: int = SIZE,
        told: Callable[[int], None] = lambda _: None,
        **asked: Any,
    ) -> Done:
        """Judge all patients of a file, folder or data frame.

        `asked` is as in `question`. Without `output` there is only a summary.

        Shape: numbers of patients and rejected rows, and a Summary.
        Errors: DataError for an input that cannot be read and, with `strict`, for the first row
        with a problem; UnknownTerm for an unknown regimen.
        """
        question = self.question(**asked)
        judge = Judge(self.compiled, question)
        extra = (question.as_of,) if isinstance(question.as_of, str) else ()
        extra = tuple(name for name in extra if name not in schema())
        place = None
        if output is not None:
            place = Output(Path(output), long, Path(reasons) if reasons is not None else None)
            place.check()
        elif reasons is not None:
            accepted = "an output beside it; give -o FILE too"
            raise DataError([Problem("reasons", str(reasons), accepted)])
        with RejectWriter(rejects) if rejects is not None else nullcontext() as refused:
            found = self._batches(
                source, refused, therapies=therapies, size=size, extra=extra, strict=strict
            )
            fingerprint = _fingerprint(source, therapies, size)
            return run(found, judge, place, fingerprint=fingerprint, told=told)

    def _batches(self, source: Any, refused: Any, **how: Any) -> Iterable[Batch]:
        for batch in batches(source, names=self.kg.names, **how):
            if refused is not None:
                refused.write(batch.rejects)
            yield batch

    def verdicts(self, source: Any, *, therapies: Any = None, **asked: Any) -> pl.DataFrame:
        """Verdicts of a cohort that fits in memory; rows with a problem are an error.

        Shape: as `Judge.verdicts`. Errors: DataError, UnknownTerm.
        """
        question = self.question(**asked)
        judge = Judge(self.compiled, question)
        extra = (question.as_of,) if isinstance(question.as_of, str) else ()
        extra = tuple(name for name in extra if name not in schema())
        found = batches(source, names=self.kg.names, therapies=therapies, extra=extra, strict=True)
        return pl.concat([judge.verdicts(batch.rows) for batch in found])


def _day_or_column(given: str | date | None) -> str | date | None:
    """A day, or the name of a column; text that looks like a day must be one."""
    if given is None or isinstance(given, date):
        return given
    try:
        return date.fromisoformat(given)
    except ValueError:
        if given[:1].isdigit() or not given.strip():
            accepted = "a day as YYYY-MM-DD, or the name of a column with days"
            raise DataError([Problem("as_of", given or Fact("nothing"), accepted)]) from None
        return given


def _fingerprint(source: Any, therapies: Any, size: int) -> str:
    """A name for an input, to know it again: its files with their sizes and times of change."""
    said = [str(size)]
    for each in (source, therapies):
        if isinstance(each, str | Path):
            for path in files(Path(each)):
                found = path.stat()
                said.append(f"{path.absolute()} {found.st_size} {found.st_mtime_ns}")
        else:
            said.append(str(id(each)))
    return sha256("\n".join(said).encode()).hexdigest()
