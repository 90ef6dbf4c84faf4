"""Verdicts of claims and regimens as expressions over the columns of classes.

A claim or rule counts from one day until another. The days on which anything changes cut time
into intervals; a row's day is known by the number of its interval, so that rows with different
days can be judged together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from her2kg.cohort.axioms import Axioms
from her2kg.cohort.expressions import Expression

INTERVAL = "interval"  # the column with the number of the interval
ANY = "any"  # over all bases

Column = Callable[[str, bool], Expression | None]  # where a class, met or unmet, is found
TRUE: Expression = ("flag", True)
FALSE: Expression = ("flag", False)


@dataclass(frozen=True)
class Check:
    """One class that a claim needs met, or unmet; a rule counts from a day on."""

    cls: str
    wanted: bool
    rule: str | None
    start: date | None


@dataclass
class Claim:
    """One claim: a regimen for the patients of a class, by one source."""

    name: str
    regimen: str
    basis: str
    jurisdiction: str | None
    start: date
    end: date | None
    checks: list[Check] = field(default_factory=list)


class Claims:
    """All claims of the graph, and the days on which what counts changes.

    Source: queries/system/claim-checks.rq, queries/system/scope-classes.rq
    """

    def __init__(self, axioms: Axioms) -> None:
        found: dict[str, Claim] = {}
        for row in axioms.rows("claim-checks"):
            name, regimen, basis, place, start, end, cls, wanted, rule, rule_start = row
            claim = found.setdefault(name, Claim(name, regimen, basis, place, start, end))
            claim.checks.append(Check(cls, wanted == "met", rule, rule_start))
        self.claims = list(found.values())
        days = {claim.start for claim in self.claims}
        days |= {claim.end for claim in self.claims if claim.end}
        days |= {each.start for claim in self.claims for each in claim.checks if each.start}
        self.days = sorted(days)
        self.scope = sorted({cls for cls, _ in axioms.rows("scope-classes")})

    def interval(self, day: date) -> int:
        """The number of the interval of a day: how many days of change are not after it."""
        return bisect_right(self.days, day)

    def asked(
        self,
        bases: Iterable[str],
        jurisdictions: Iterable[str],
        regimens: Iterable[str] | None = None,
    ) -> list[Claim]:
        """The claims of some bases, jurisdictions and regimens; of no one territory: always."""
        bases, places = set(bases), {None, *jurisdictions}
        wanted = None if regimens is None else set(regimens)
        return [
            claim
            for claim in self.claims
            if claim.basis in bases
            and claim.jurisdiction in places
            and (wanted is None or claim.regimen in wanted)
        ]

    def outside(self, column: Column) -> Expression:
        """Whether a row lies outside what the graph covers."""
        ways = [column(cls, True) for cls in self.scope]
        return joined_any([way for way in ways if way is not None])

    def verdicts(
        self, claims: Sequence[Claim], first: int, last: int, column: Column
    ) -> tuple[dict[str, Expression], dict[tuple[str, str], tuple[Expression, ...]]]:
        """Expressions of the verdicts of regimens, for rows of the intervals first to last.

        `column` tells where met and unmet of a class are found.

        Shape: columns to compute before, then for each regimen and basis (`any`: over all) three
        flags: some claim is valid, some is eligible, every valid one is ineligible.
        """
        shared: dict[str, Expression] = {}
        names: dict[Expression, Expression] = {}

        def keep(read: Expression) -> Expression:
            """Compute an expression that is used more than once only once."""
            if read[0] not in ("and", "or"):
                return read
            if read not in names:
                name = f"_shared {len(names)}"
                shared[name] = read
                names[read] = ("column", None, name)
            return names[read]

        by_regimen: dict[str, dict[str, list[tuple[Expression, ...]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for claim in claims:
            valid = self._counts(claim.start, claim.end, first, last)
            safe, unsafe, population = [], [], []
            for check in claim.checks:
                counts = self._counts(check.start, None, first, last)
                if counts == FALSE:
                    continue
                holds = column(check.cls, check.wanted) or FALSE
                fails = column(check.cls, not check.wanted) or FALSE
                if check.rule is None:
                    population = [holds, fails]
                    continue
                safe.append(holds if counts == TRUE else joined_any([negated(counts), holds]))
                unsafe.append(fails if counts == TRUE else joined_all([counts, fails]))
            eligible = joined_all([population[0], keep(joined_all(safe))])
            ineligible = joined_any([population[1], keep(joined_any(unsafe))])
            entry = (valid, joined_all([valid, eligible]), joined_any([negated(valid), ineligible]))
            by_regimen[claim.regimen][claim.basis].append(entry)
        found: dict[tuple[str, str], tuple[Expression, ...]] = {}
        for regimen, by_basis in by_regimen.items():
            every = [entry for entries in by_basis.values() for entry in entries]
            for basis, entries in {**by_basis, ANY: every}.items():
                valid, eligible, ineligible = zip(*entries, strict=True)
                found[regimen, basis] = (
                    joined_any(valid),
                    joined_any(eligible),
                    joined_all(ineligible),
                )
        return shared, found

    def counts(self, claim: Claim, rule_start: date | None, first: int, last: int) -> Expression:
        """Whether a claim, and a rule that it is checked against, count on the day of a row."""
        valid = self._counts(claim.start, claim.end, first, last)
        return joined_all([valid, self._counts(rule_start, None, first, last)])

    def _counts(self, start: date | None, end: date | None, first: int, last: int) -> Expression:
        """Whether something counts on the day of a row, given the intervals there are."""
        begin = 0 if start is None else bisect_right(self.days, start)
        stop = len(self.days) + 1 if end is None else bisect_right(self.days, end)
        if last < begin or first >= stop:
            return FALSE
        parts: list[Expression] = []
        number: Expression = ("column", None, INTERVAL)
        if first < begin:
            parts.append(("ge", number, ("number", begin)))
        if last >= stop:
            parts.append(("lt", number, ("number", stop)))
        return joined_all(parts)


def negated(read: Expression) -> Expression:
    if read[0] == "flag":
        return ("flag", not read[1])
    return ("not", read)


def joined_all(parts: Iterable[Expression]) -> Expression:
    kept = [part for part in dict.fromkeys(parts) if part != TRUE]
    if FALSE in kept:
        return FALSE
    if len(kept) < 2:
        return kept[0] if kept else TRUE
    return ("and", *kept)


def joined_any(parts: Iterable[Expression]) -> Expression:
    kept = [part for part in dict.fromkeys(parts) if part != FALSE]
    if TRUE in kept:
        return TRUE
    if len(kept) < 2:
        return kept[0] if kept else FALSE
    return ("or", *kept)
