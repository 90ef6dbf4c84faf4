"""Verdicts for many patients at once: the compiled classes, run batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import Any

import polars as pl

from her2kg.cohort.axioms import Axioms
from her2kg.cohort.circuit import CONTRADICTION, Circuit
from her2kg.cohort.claims import ANY, INTERVAL, Claim, Claims
from her2kg.cohort.clauses import compile_clauses
from her2kg.cohort.definitions import Definitions
from her2kg.cohort.encoding import Encoder
from her2kg.cohort.expressions import Expression
from her2kg.cohort.frames import Program, Tables, translate
from her2kg.cohort.rows import record_of
from her2kg.knowledge import KnowledgeGraph
from her2kg.records import Record
from her2kg.verdicts import BASES, VERDICTS

VERDICT = pl.Enum(VERDICTS)
SCOPE = pl.Enum(["inside", "outside"])
_AT_ONCE = 50  # contradictory records that the rules judge together


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
    """The classes of one graph as columns; the same for every question and batch."""

    def __init__(self, kg: KnowledgeGraph) -> None:
        self.kg = kg
        self.axioms = Axioms(kg.engine)
        self.definitions = Definitions(self.axioms, kg.names.properties())
        self.circuit = Circuit(self.axioms, self.definitions, compile_clauses(self.axioms))
        self.claims = Claims(self.axioms, self.circuit)
        self.encoder = Encoder(self.axioms, self.definitions, kg.names)

    @cached_property
    def program(self) -> Program:
        return Program(self.definitions, self.circuit.stages)

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
        self._plan = lru_cache(maxsize=8)(self._planned)

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
        tables = self.compiled.judged(rows, self.today)
        return self.answer(rows, tables)

    def answer(self, rows: pl.DataFrame, tables: Tables) -> pl.DataFrame:
        """Verdicts of a batch whose classes are decided."""
        patient = tables.frames["patient"]
        days = self.days(rows, patient)
        patient = patient.with_columns(self.intervals(days))
        first, last = patient[INTERVAL].min(), patient[INTERVAL].max()
        if first is None:
            first = last = 0
        shared, answers = self._plan(int(first), int(last))
        patient = patient.with_columns(shared)
        found = patient.with_columns(answers).select(_column(*each) for each in self.columns)
        scope = patient.select(
            pl.when(translate(self.compiled.claims.outside(), {}))
            .then(pl.lit("outside"))
            .otherwise(pl.lit("inside"))
            .cast(SCOPE)
            .alias("scope")
        )
        found = pl.DataFrame(
            [
                rows["id"],
                days.alias("as_of"),
                *scope.get_columns(),
                *found.get_columns(),
            ]
        )
        wrong = patient[CONTRADICTION]
        return self.by_rules(rows, found, wrong) if wrong.any() else found

    def days(self, rows: pl.DataFrame, patient: pl.DataFrame) -> pl.Series:
        """The day on which the claims must be valid, for each row."""
        asked = self.question.as_of
        if isinstance(asked, date):
            return pl.repeat(asked, rows.height, dtype=pl.Date, eager=True)
        if asked is not None:
            return rows[asked].cast(pl.Date).zip_with(rows[asked].is_not_null(), patient["recordDate"])
        return patient["recordDate"]

    def intervals(self, days: pl.Series) -> pl.Series:
        """The number of the interval of each day."""
        changes = pl.Series(self.compiled.claims.days, dtype=pl.Date)
        return changes.search_sorted(days, side="right").cast(pl.Int32).alias(INTERVAL)

    def _planned(self, first: int, last: int) -> tuple[list[pl.Expr], list[pl.Expr]]:
        shared, found = self.compiled.claims.verdicts(self.claims, first, last)
        answers = []
        for regimen, basis in self.columns:
            valid, eligible, ineligible = found[regimen, basis]
            answers.append(self._code(valid, eligible, ineligible, basis).alias(
                _column(regimen, basis)
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
        return code.cat.to(VERDICT)

    # --- contradictory rows -------------------------------------------------------------------

    def by_rules(self, rows: pl.DataFrame, found: pl.DataFrame, wrong: pl.Series) -> pl.DataFrame:
        """Judge the rows that contradict themselves by the rules, and put their verdicts in."""
        places = wrong.arg_true()
        records = [self.record(row) for row in rows[places].iter_rows(named=True)]
        days = found["as_of"].gather(places).to_list()
        answers = list(self.rules_answers(records, days))
        columns = []
        for name in found.columns:
            if name in ("id", "as_of"):
                columns.append(found[name])
                continue
            values = [answer[name] for answer in answers]
            column = found[name].cast(pl.String).scatter(places, values)
            columns.append(column.cast(found.schema[name]))
        return pl.DataFrame(columns)

    def record(self, row: dict[str, Any]) -> Record:
        """One row as a checked record."""
        extra = {name for name in row if name == self.question.as_of}
        data = record_of({name: value for name, value in row.items() if name not in extra})
        return self.compiled.kg.record(data)

    def rules_answers(
        self, records: list[Record], days: list[date]
    ) -> Iterator[dict[str, str | None]]:
        """The verdicts of records by the rules, in the columns of a batch."""
        for record, day in zip(records, days, strict=True):
            answers = self.compiled.kg.eligibility(
                record,
                as_of=day,
                bases=self.question.bases,
                jurisdictions=self.question.jurisdictions,
                regimens=self.question.regimens,
            )
            row: dict[str, str | None] = {"scope": answers.scope}
            for regimen, basis in self.columns:
                verdict = answers[regimen]
                row[_column(regimen, basis)] = (
                    verdict.verdict if basis == ANY else verdict.by_basis[basis]
                )
            yield row


def _column(regimen: str, basis: str) -> str:
    return regimen if basis == ANY else f"{regimen}.{basis}"


def names_of(claims: Iterable[Claim]) -> list[str]:
    """The regimens of some claims."""
    return sorted({claim.regimen for claim in claims})
