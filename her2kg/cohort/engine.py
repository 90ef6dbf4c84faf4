"""Verdicts for many patients at once: the compiled classes, run batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache

import polars as pl

from her2kg.cohort.axioms import Axioms
from her2kg.cohort.circuit import CONTRADICTION, Circuit
from her2kg.cohort.claims import ANY, FALSE, INTERVAL, Claims, Column
from her2kg.cohort.clauses import compile_clauses
from her2kg.cohort.contradictions import Contradictions
from her2kg.cohort.definitions import Definitions
from her2kg.cohort.encoding import Encoder
from her2kg.cohort.expressions import Expression
from her2kg.cohort.frames import Program, Tables, translate
from her2kg.cohort.summary import NONE_VALID, Counting, Summary
from her2kg.graph import fingerprint, module_files
from her2kg.knowledge import KnowledgeGraph
from her2kg.verdicts import BASES, VERDICTS

VERDICT = pl.Enum(VERDICTS)
REASONS = dict.fromkeys(("id", "regimen", "claim", "criterion", "wanted", "status"), pl.String)
SCOPE = pl.Enum(["inside", "outside"])


@dataclass(frozen=True)
class Question:
    """What is asked of each patient; see `KnowledgeGraph.eligibility` for the meaning.

    Shape: `as_of` is a day, the name of a column with days, or None for each record's own day.
    """

    bases: tuple[str, ...] = BASES
    jurisdictions: tuple[str, ...] = ()
    regimens: tuple[str, ...] | None = None
    as_of: date | str | None = None


class Compiled:
    """The classes of one graph as columns; the same for every question and batch.

    `axioms` may be those of the graph with something changed.
    """

    def __init__(self, kg: KnowledgeGraph, axioms: Axioms | None = None) -> None:
        self.kg = kg
        self.axioms = axioms or Axioms(kg.engine)
        self.definitions = Definitions(self.axioms, kg.names.properties())
        self.circuit = Circuit(self.axioms, self.definitions, compile_clauses(self.axioms))
        self.claims = Claims(self.axioms)
        self.encoder = Encoder(self.axioms, self.definitions, kg.names)

    @cached_property
    def fingerprint(self) -> str:
        """A name for what the knowledge says."""
        return fingerprint(module_files(self.kg.home))

    @cached_property
    def program(self) -> Program:
        return Program(self.definitions, self.circuit.stages)

    @cached_property
    def contradictions(self) -> Contradictions:
        return Contradictions(self.circuit, self.program)

    def judged(self, rows: pl.DataFrame, today: date) -> Tables:
        """All tables of one batch with every class decided."""
        tables = self.encoder.encode(rows, today)
        tables.run(self.program)
        return tables


class Judge:
    """Answers one question for batches of patients."""

    def __init__(self, compiled: Compiled, question: Question, today: date | None = None) -> None:
        self.compiled = compiled
        self.question = question
        self.today = today or date.today()
        self.claims = compiled.claims.asked(
            question.bases, question.jurisdictions, question.regimens
        )
        self._plan = lru_cache(maxsize=16)(self._planned)
        self._sums = lru_cache(maxsize=16)(
            lambda first, last, column: self.counting.expressions(first, last, column)
        )

    @cached_property
    def columns(self) -> list[tuple[str, str]]:
        """Regimen and basis of each column of verdicts, in order; `any` is over all bases."""
        bases: dict[str, set[str]] = {}
        for claim in self.claims:
            bases.setdefault(claim.regimen, set()).add(claim.basis)
        return [
            (regimen, basis)
            for regimen in sorted(bases)
            for basis in (ANY, *(each for each in BASES if each in bases[regimen]))
        ]

    def verdicts(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Verdicts of a batch of clean rows.

        Shape: one row a patient: id, as_of, scope (inside or outside), then for each regimen a
        column of its name and `NAME.BASIS` for each basis with claims: eligible, undetermined or
        ineligible; empty where no claim of that basis is valid on the day.
        """
        return self.answer(rows, self.compiled.judged(rows, self.today))

    def with_summary(
        self, rows: pl.DataFrame, *, reasons: bool = False
    ) -> tuple[pl.DataFrame, Summary, pl.DataFrame]:
        """Verdicts of a batch as `verdicts` gives them, their counts and, if asked, reasons."""
        summary = Summary.of(self)
        why: list[pl.DataFrame] | None = [] if reasons else None
        found = self.answer(rows, self.compiled.judged(rows, self.today), summary, why)
        return found, summary, pl.concat(why) if why else pl.DataFrame(schema=REASONS)

    def by_claim(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Verdicts of each claim for a batch of clean rows.

        Shape: one row a patient: id, as_of, then a column for each claim asked about, empty where
        the claim is not valid on the day.
        """
        patient = self.compiled.judged(rows, self.today).frames["patient"]
        days = self.days(rows, patient)
        wrong = patient[CONTRADICTION].arg_true()
        found: list[pl.Series] = []
        for places, part, column in self.parts(rows, patient, days, wrong):
            claims = self.compiled.claims
            first, last = self.span(part[INTERVAL])
            codes = []
            for claim in self.claims:
                shared, answers = claims.verdicts([claim], first, last, column)
                frame = part.with_columns(
                    translate(read, {}).alias(name) for name, read in shared.items()
                )
                code = self._code(*answers[claim.regimen, claim.basis], claim.basis)
                codes.append(frame.with_columns(code.alias(claim.name))[claim.name])
            found = codes if places is None else _put(found, places, codes)
        return pl.DataFrame(
            [rows["id"], days.alias("as_of"), *(each.cat.to(VERDICT) for each in found)]
        )

    def answer(
        self,
        rows: pl.DataFrame,
        tables: Tables,
        summary: Summary | None = None,
        reasons: list[pl.DataFrame] | None = None,
    ) -> pl.DataFrame:
        """Verdicts of a batch whose classes are decided.

        Counts are added to `summary`, and to `reasons` what stands against a regimen or is open.
        """
        patient = tables.frames["patient"]
        days = self.days(rows, patient)
        wrong = patient[CONTRADICTION].arg_true()
        told: list[pl.Series] = []
        for places, part, column in self.parts(rows, patient, days, wrong):
            codes = self.told(part, column)
            if summary is not None:
                self.count(summary, part, codes, column)
            if reasons is not None:
                ids = rows["id"] if places is None else rows["id"].gather(places)
                reasons.append(self.reasons(ids, part, column))
            told = codes if places is None else _put(told, places, codes)
        scope, *verdicts = told
        if summary is not None:
            summary.patients += rows.height
            summary.outside += int(scope.sum())
            for name, codes in zip(self.names, verdicts, strict=True):
                for code, number in codes.value_counts().iter_rows():
                    way = NONE_VALID if code is None else VERDICTS[code]
                    summary.verdicts[name, way] += number
        return pl.DataFrame(
            [
                rows["id"],
                days.alias("as_of"),
                scope.cat.to(SCOPE),
                *(each.cat.to(VERDICT) for each in verdicts),
            ]
        )

    def parts(
        self, rows: pl.DataFrame, patient: pl.DataFrame, days: pl.Series, wrong: pl.Series
    ) -> Iterator[tuple[pl.Series | None, pl.DataFrame, Column]]:
        """All rows, then those that contradict themselves once more, as they are to be judged.

        Shape: places in the batch (none: all of them), patients with their interval, and where
        their classes are found; what the first part says of rows with a contradiction is void.
        """
        patient = patient.with_columns(self.intervals(days))
        yield None, patient, self.compiled.circuit.column
        if not len(wrong):
            return
        contradictions = self.compiled.contradictions
        again = self.compiled.encoder.encode(rows[wrong], self.today)
        again.derive(self.compiled.program)
        settled = contradictions.decide(again).with_columns(
            self.intervals(days.gather(wrong)), pl.lit(False).alias(CONTRADICTION)
        )
        yield wrong, settled, contradictions.column

    def reasons(self, ids: pl.Series, patient: pl.DataFrame, column: Column) -> pl.DataFrame:
        """The criteria of each valid claim that a patient does not meet, or may not meet.

        Shape: id, regimen, claim, criterion, wanted (met or unmet), status (unmet or unknown).
        """
        first, last = self.span(patient[INTERVAL])
        found = []
        for claim, criterion, wanted, counts in self.counting.checks(first, last):
            met, unmet = (
                translate(column(criterion, side) or FALSE, {}) for side in (wanted, not wanted)
            )
            flags = patient.select(
                counts=translate(counts, {}), met=met, unmet=unmet, number=pl.int_range(pl.len())
            ).filter(pl.col("counts") & ~pl.col("met") & ~patient[CONTRADICTION])
            if not flags.height:
                continue
            found.append(
                flags.select(
                    ids.gather(flags["number"]).alias("id"),
                    pl.lit(claim.regimen).alias("regimen"),
                    pl.lit(claim.name).alias("claim"),
                    pl.lit(criterion).alias("criterion"),
                    pl.lit("met" if wanted else "unmet").alias("wanted"),
                    pl.when("unmet").then(pl.lit("unmet")).otherwise(pl.lit("unknown"))
                    .alias("status"),
                )
            )  # fmt: skip
        return pl.concat(found) if found else pl.DataFrame(schema=REASONS)

    def count(
        self, summary: Summary, patient: pl.DataFrame, told: list[pl.Series], column: Column
    ) -> None:
        """Add what excludes and what is missing, for rows of one way to find classes."""
        if not patient.height:
            return
        first, last = self.span(patient[INTERVAL])
        codes = dict(zip(self.names, told[1:], strict=True))
        summary.add(self.counting.count(patient, codes, self._sums(first, last, column)))

    @staticmethod
    def span(intervals: pl.Series) -> tuple[int, int]:
        """The first and last interval of a batch."""
        return int(intervals.min() or 0), int(intervals.max() or 0)

    @cached_property
    def counting(self) -> Counting:
        return Counting(self)

    def prepare(self) -> None:
        """Build what every batch needs, before several are judged at once."""
        _ = self.compiled.program, self.compiled.contradictions, self.counting

    def told(self, patient: pl.DataFrame, column: Column) -> list[pl.Series]:
        """Places of scope and verdicts in their words, for patients whose classes are decided."""
        shared, answers = self._plan(*self.span(patient[INTERVAL]), column)
        patient = patient.with_columns(shared)
        outside = translate(self.compiled.claims.outside(column), {})
        scope = outside.cast(pl.UInt8)
        found = patient.with_columns(scope.alias("scope"), *answers)
        return found.select("scope", *self.names).get_columns()

    @staticmethod
    def name(regimen: str, basis: str) -> str:
        """The column of the verdicts of a regimen by a basis."""
        return regimen if basis == ANY else f"{regimen}.{basis}"

    @cached_property
    def names(self) -> list[str]:
        """The columns of verdicts, in order."""
        return [self.name(*each) for each in self.columns]

    def days(self, rows: pl.DataFrame, patient: pl.DataFrame) -> pl.Series:
        """The day on which the claims must be valid, for each row."""
        asked = self.question.as_of
        if isinstance(asked, date):
            return pl.repeat(asked, rows.height, dtype=pl.Date, eager=True)
        if asked is not None:
            return (
                rows[asked].cast(pl.Date).zip_with(rows[asked].is_not_null(), patient["recordDate"])
            )
        return patient["recordDate"]

    def intervals(self, days: pl.Series) -> pl.Series:
        """The number of the interval of each day."""
        changes = pl.Series(self.compiled.claims.days, dtype=pl.Date)
        return changes.search_sorted(days, side="right").cast(pl.Int32).alias(INTERVAL)

    def _planned(
        self, first: int, last: int, column: Column
    ) -> tuple[list[pl.Expr], list[pl.Expr]]:
        shared, found = self.compiled.claims.verdicts(self.claims, first, last, column)
        answers = []
        for regimen, basis in self.columns:
            valid, eligible, ineligible = found[regimen, basis]
            answers.append(self._code(valid, eligible, ineligible, basis).alias(
                self.name(regimen, basis)
            ))  # fmt: skip
        return [translate(read, {}).alias(name) for name, read in shared.items()], answers

    @staticmethod
    def _code(
        valid: Expression, eligible: Expression, ineligible: Expression, basis: str
    ) -> pl.Expr:
        # A regimen without a valid claim is ineligible; a basis without one has no verdict.
        code = (
            pl.when(translate(eligible, {}))
            .then(pl.lit(0, pl.UInt8))
            .when(translate(ineligible, {}))
            .then(pl.lit(2, pl.UInt8))
            .otherwise(pl.lit(1, pl.UInt8))
        )
        if basis != ANY:
            code = pl.when(translate(valid, {})).then(code).otherwise(pl.lit(None, pl.UInt8))
        return code


def _put(columns: list[pl.Series], places: pl.Series, new: list[pl.Series]) -> list[pl.Series]:
    """Put values at some places of each column."""
    return [old.scatter(places, each) for old, each in zip(columns, new, strict=True)]
