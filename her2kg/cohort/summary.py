"""Counts over a cohort: verdicts by regimen, what excludes most, which facts are missing most."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from her2kg import queries
from her2kg.cohort.circuit import CONTRADICTION
from her2kg.cohort.claims import FALSE, Claim, Column, joined_all, joined_any, negated
from her2kg.cohort.expressions import Expression
from her2kg.cohort.frames import translate
from her2kg.verdicts import VERDICTS

if TYPE_CHECKING:
    from her2kg.cohort.engine import Judge

NONE_VALID = "none valid"
_WAYS = (*VERDICTS, NONE_VALID)
_LISTED = "prior_therapies_complete"  # what is asked for where the list of courses is open


@dataclass
class Summary:
    """Counts of patients.

    Shape: `verdicts` counts (column, verdict), `excluded` (regimen, criterion, wanted) among the
    ineligible, `missing` places of the record on which an undetermined claim waits; `scope` counts
    inside and outside.
    """

    patients: int = 0
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    excluded: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    outside: int = 0
    columns: tuple[tuple[str, str, str], ...] = ()

    @classmethod
    def of(cls, judge: Judge) -> Summary:
        """An empty summary of a question: its columns are known."""
        return cls(columns=tuple((judge.name(*each), *each) for each in judge.columns))

    def add(self, other: Summary) -> None:
        """Add the counts of another part of the cohort."""
        self.patients += other.patients
        self.outside += other.outside
        self.verdicts.update(other.verdicts)
        self.excluded.update(other.excluded)
        self.missing.update(other.missing)

    def to_dict(self) -> dict[str, Any]:
        """The counts as JSON values."""
        return {
            "patients": self.patients,
            "outside": self.outside,
            "verdicts": [[*key, number] for key, number in sorted(self.verdicts.items())],
            "excluded": [[*key, number] for key, number in sorted(self.excluded.items())],
            "missing": [[key, number] for key, number in sorted(self.missing.items())],
        }

    def read(self, said: Mapping[str, Any]) -> Summary:
        """Take over what `to_dict` gave."""
        self.patients, self.outside = said["patients"], said["outside"]
        self.verdicts = Counter({(a, b): number for a, b, number in said["verdicts"]})
        self.excluded = Counter({(a, b, c): number for a, b, c, number in said["excluded"]})
        self.missing = Counter({path: number for path, number in said["missing"]})
        return self

    def rows(self) -> list[dict[str, Any]]:
        """One row for each regimen and basis, `any` for all bases together.

        Shape: regimen, basis, patients by verdict, and those for whom no claim is valid.
        """
        return [
            {"regimen": regimen, "basis": basis}
            | {way.replace(" ", "_"): self.verdicts[name, way] for way in _WAYS}
            for name, regimen, basis in self.columns
        ]


class Counting:
    """How the counts of one question are computed from the columns of classes."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        compiled = judge.compiled
        claims = {claim.name: claim for claim in judge.claims}
        rows = queries.run(compiled.kg.engine, compiled.kg.names, "eligibility/claim-criteria", {})
        self.criteria: dict[tuple[str, str, bool], set[str]] = defaultdict(set)
        self.of_claim: dict[str, set[tuple[str, bool]]] = defaultdict(set)
        self.starts: dict[tuple[str, str, bool], Any] = {}
        self.labels: dict[str, tuple[str, str]] = {}
        for row in rows.to_dicts():
            name = row["claim"].local
            if name not in claims:
                continue
            criterion, wanted = row["criterion"].local, row["wanted"] == "met"
            self.criteria[claims[name].regimen, criterion, wanted].add(name)
            self.of_claim[name].add((criterion, wanted))
            self.starts[name, criterion, wanted] = row["ruleFrom"]
            self.labels[criterion] = (row["label"], row["required"])
        self.claims = claims
        self.paths: dict[str, dict[str, set[tuple[str, str]]]] = defaultdict(
            lambda: defaultdict(set)
        )
        for cls, part, prop, path in compiled.axioms.rows("missing-paths"):
            self.paths[cls][_LISTED if prop == "hadCourse" else path].add((part, prop))
        self.open_bits = {
            prop.name: prop.bits(
                value for value, said in compiled.axioms.facts["leavesOpen"].items() if True in said
            )
            for prop in compiled.axioms.properties.values()
            if prop.values
        }

    def checks(self, first: int, last: int) -> Iterator[tuple[Claim, str, bool, Expression]]:
        """Every criterion of every claim that counts, with how it must be and when it counts."""
        for name, claim in sorted(self.claims.items()):
            for criterion, wanted in sorted(self.of_claim[name]):
                start = self.starts[name, criterion, wanted]
                counts = self.judge.compiled.claims.counts(claim, start, first, last)
                if counts != FALSE:
                    yield claim, criterion, wanted, counts

    def expressions(
        self, first: int, last: int, column: Column
    ) -> tuple[list[list[pl.Expr]], list[pl.Expr], list[tuple[Any, ...]]]:
        """Columns to compute before, then one sum for each count, and what each counts.

        A flag of those whom a regimen does not suit must be there.
        """
        claims = self.judge.compiled.claims
        opens: dict[str, Expression] = {}
        asked: dict[str, Expression] = {}
        sums: list[pl.Expr] = []
        keys: list[tuple[Any, ...]] = []
        for (regimen, criterion, wanted), names in sorted(self.criteria.items()):
            fails = column(criterion, not wanted)
            if fails is None:
                continue
            counted = [
                claims.counts(self.claims[name], self.starts[name, criterion, wanted], first, last)
                for name in names
            ]
            held = joined_all([joined_any(counted), fails])
            if held == FALSE:
                continue
            flag = translate(held, {}) & pl.col(f"_out {regimen}")
            sums.append(flag.sum())
            keys.append(("excluded", regimen, criterion, wanted))
        waiting: dict[str, list[Expression]] = defaultdict(list)
        for name, claim in self.claims.items():
            open_ = self._undetermined(claim, first, last, column)
            if open_ is None:
                continue
            opens[f"_open {name}"] = open_
            for criterion, wanted in sorted(self.of_claim[name]):
                counts = claims.counts(claim, self.starts[name, criterion, wanted], first, last)
                waits = joined_all([counts, ("column", None, f"_open {name}")])
                if waits != FALSE:
                    waiting[criterion].append(waits)
        by_path: dict[str, list[Expression]] = defaultdict(list)
        for criterion, open_claims in waiting.items():
            unknown = _unknown(criterion, column)
            asked[f"_asked {criterion}"] = joined_all([joined_any(open_claims), unknown])
            for path, parts in self.paths.get(criterion, {}).items():
                bears = joined_any(self._bears(part, prop, column) for part, prop in sorted(parts))
                by_path[path].append(joined_all([("column", None, f"_asked {criterion}"), bears]))
        for path, ways in sorted(by_path.items()):
            sums.append(translate(joined_any(ways), {}).sum())
            keys.append(("missing", path))
        before = [
            [translate(read, {}).alias(name) for name, read in each.items()]
            for each in (opens, asked)
        ]
        return before, sums, keys

    def _undetermined(
        self, claim: Claim, first: int, last: int, column: Column
    ) -> Expression | None:
        shared, found = self.judge.compiled.claims.verdicts([claim], first, last, column)
        valid, eligible, ineligible = found[claim.regimen, claim.basis]
        if valid == FALSE:
            return None
        inner = {("column", None, name): read for name, read in shared.items()}

        def filled(read: Any) -> Any:
            if read in inner:
                return filled(inner[read])
            if isinstance(read, tuple) and read[0] in ("and", "or", "not"):
                return (read[0], *map(filled, read[1:]))
            return read

        parts = [
            filled(valid),
            negated(filled(eligible)),
            negated(filled(ineligible)),
            negated(("column", None, CONTRADICTION)),
        ]
        return joined_all(parts)

    def _bears(self, part: str, prop: str, column: Column) -> Expression:
        """Whether a condition waits for its fact."""
        unknown = _unknown(part, column)
        if prop == "hadCourse":
            return joined_all([unknown, ("not", ("column", None, "hadCourse_closed"))])
        bits = self.open_bits.get(prop, 0)
        if bits:
            return joined_any([unknown, ("overlaps", ("column", None, prop), bits)])
        return unknown

    def count(
        self, patient: pl.DataFrame, codes: Mapping[str, pl.Series], plan: tuple[Any, Any, Any]
    ) -> Summary:
        """Count one batch, or the rows of it that contradict themselves."""
        found = Summary.of(self.judge)
        before, sums, keys = plan
        # What is said of a row that contradicts itself counts only once it is settled.
        against = VERDICTS.index("ineligible")
        frame = patient.with_columns(
            ((codes[regimen] == against) & ~patient[CONTRADICTION]).alias(f"_out {regimen}")
            for regimen in {key[0] for key in self.criteria}
        )
        for columns in before:
            frame = frame.with_columns(columns)
        numbers = frame.select(each.alias(str(at)) for at, each in enumerate(sums)).row(0)
        for key, number in zip(keys, numbers, strict=True):
            if number:
                kind, *rest = key
                if kind == "missing":
                    found.missing[rest[0]] += number
                else:
                    found.excluded[tuple(rest)] += number
        return found


def _unknown(node: str, column: Column) -> Expression:
    known = [read for read in (column(node, True), column(node, False)) if read is not None]
    return negated(joined_any(known))
