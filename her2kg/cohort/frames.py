"""Expressions computed with Polars, over one batch of patients and the tables that hang off it.

Every table but `patient` has a column `_row`: the number of the row it belongs to in the table
above it, in rising order. Pairs of courses also have `_before`, the row of the earlier course.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from her2kg.cohort.circuit import Stage
from her2kg.cohort.definitions import PARENTS, Definitions, Step
from her2kg.cohort.expressions import Expression, columns, reductions

_DECIMALS = 9  # to which sums of decimal fractions are exact again
_TYPES = {"number": pl.Float64, "date": pl.Date, "flag": pl.Boolean}
_TOTALS = ("any", "count", "sum")


def mask_type(width: int) -> Any:
    """The narrowest type that holds so many bits: columns are read faster the narrower they are."""
    for bits, dtype in ((8, pl.UInt8), (16, pl.UInt16), (31, pl.Int32)):
        if width <= bits:
            return dtype
    return pl.Int64


@dataclass
class _Reduction:
    """Rows of one child table, gathered for the rows above."""

    how: str
    alias: str
    value: pl.Expr | None
    where: pl.Expr | None  # none: every row


@dataclass
class _Work:
    """The columns of one step, ready to compute on any batch."""

    table: str
    needs: set[tuple[str | None, str]]
    expressions: list[pl.Expr]
    names: list[str]
    gathered: dict[str, list[_Reduction]] = field(default_factory=dict)
    child_needs: dict[str, set[tuple[str | None, str]]] = field(default_factory=dict)


class Program:
    """All steps and stages as Polars expressions, built once for any number of batches."""

    def __init__(self, definitions: Definitions, stages: Iterable[Stage]) -> None:
        self.definitions = definitions
        self.steps = [(step, self._of_step(step)) for step in definitions.steps]
        self.stages = [
            (stage, self.work(stage.table, stage.columns, dict.fromkeys(stage.columns, "flag")))
            for stage in stages
        ]

    def _of_step(self, step: Step) -> _Work | None:
        if step.of is not None:
            return None
        return self.work(step.table, {step.name: step.expression}, {step.name: step.kind})

    def work(self, table: str, new: Mapping[str, Expression], kinds: Mapping[str, str]) -> _Work:
        """Prepare columns of one table, none of which reads another of them."""
        aliases: dict[Expression, pl.Expr] = {}
        made = _Work(table, set(), [], list(new))
        for read in dict.fromkeys(part for each in new.values() for part in reductions(each)):
            alias = f"_gathered {len(aliases)}"
            aliases[read] = pl.col(alias)
            every = read[-1] == ("flag", True)
            made.gathered.setdefault(read[1], []).append(
                _Reduction(
                    read[0],
                    alias,
                    translate(read[2], {}) if len(read) > 3 else None,
                    None if every else translate(read[-1], {}),
                )
            )
            needs = made.child_needs.setdefault(read[1], set())
            needs.update(pair for part in read[2:] for pair in columns(part))
        for name, read in new.items():
            made.needs.update(columns(read))
            expression = self.typed(translate(read, aliases), name, kinds[name])
            made.expressions.append(expression.alias(name))
        return made

    def typed(self, expression: pl.Expr, name: str, kind: str) -> pl.Expr:
        """Give a computed column its type, and no empty cells where its kind has none."""
        if kind == "mask":
            dtype = mask_type(self.definitions.width(name))
            return expression.cast(dtype).fill_null(pl.lit(0, dtype))
        expression = expression.cast(_TYPES[kind])
        return expression.fill_null(False) if kind == "flag" else expression


class Tables:
    """The tables of one batch.

    Shape: `frames` maps patient, test, course, toxicity and pair to a frame each.
    """

    def __init__(self, frames: Mapping[str, pl.DataFrame]) -> None:
        self.frames = dict(frames)

    def run(self, program: Program) -> None:
        """Derive every column, then decide every class."""
        self.derive(program)
        self.judge(program)

    def derive(self, program: Program) -> None:
        """Add the derived columns, in their order."""
        for step, work in program.steps:
            if work is None:
                self.pair(step)
            elif step.repeat:
                frame = self.frames[step.table]
                self.frames[step.table] = frame.with_columns(pl.lit(False).alias(step.name))
                self.again(work, self.frames[step.table].height)
            else:
                self.add(work)

    def judge(self, program: Program) -> None:
        """Compute met and unmet of every class."""
        for stage, work in program.stages:
            if stage.rounds > 1:
                self.again(work, stage.rounds)
            else:
                self.add(work)

    def again(self, work: _Work, rounds: int) -> None:
        """Compute flags that rest on themselves until they stay the same; they only grow."""
        before = None
        for _ in range(max(rounds, 1)):
            self.add(work)
            frame = self.frames[work.table]
            now = frame.select(pl.col(name).sum() for name in work.names).rows()
            if now == before:
                return
            before = now

    def add(self, work: _Work) -> None:
        """Compute the columns of one step."""
        self.bring(work.table, work.needs)
        frame = self.frames[work.table]
        aliases: list[pl.Series] = []
        for child, reads in work.gathered.items():
            self.bring(child, work.child_needs[child])
            aliases += self.gather(frame.height, child, reads)
        if aliases:
            frame = frame.hstack(aliases)
        frame = frame.with_columns(work.expressions)
        self.frames[work.table] = frame.drop(each.name for each in aliases) if aliases else frame

    def bring(self, table: str, needs: Iterable[tuple[str | None, str]]) -> None:
        """Copy what is needed of the rows that the rows of a table belong to, as it is now."""
        frame = self.frames[table]
        copies = []
        for owner, name in sorted(needs, key=str):
            above = "course" if owner == "before" else PARENTS.get(table)
            if owner is None and (table != "pair" or name not in self.frames["course"].columns):
                continue
            key = frame["_before" if owner == "before" else "_row"]
            copies.append(self.frames[above][name].gather(key).alias(_name(owner, name)))
        if copies:
            self.frames[table] = frame.with_columns(copies)

    def gather(self, height: int, child: str, reads: list[_Reduction]) -> list[pl.Series]:
        """Gather rows of a child table for the rows above them."""
        frame = self.frames[child]
        rows = frame["_row"].to_numpy()
        conditions = frame.select(
            read.where.fill_null(False).alias(read.alias)
            for read in reads
            if read.where is not None
        )
        found = []
        for read in reads:
            held = conditions[read.alias] if read.where is not None else None
            if read.how in ("any", "count"):
                own = rows if held is None else rows[held.to_numpy()]
                if read.how == "any":
                    flags = np.zeros(height, dtype=bool)
                    flags[own] = True
                    found.append(pl.Series(read.alias, flags))
                else:
                    counts = np.bincount(own, minlength=height).astype(np.float64)
                    found.append(pl.Series(read.alias, counts))
                continue
            found.append(self.summed(height, frame, held, read).alias(read.alias))
        return found

    def summed(
        self, height: int, frame: pl.DataFrame, held: pl.Series | None, read: _Reduction
    ) -> pl.Series:
        """Sum, minimum, maximum, all values of a mask, or whether a later course is so."""
        key = "_before" if read.how == "any_after" else "_row"
        value = pl.lit(True) if read.value is None else read.value
        group = frame.select(pl.col(key).alias("_row"), value.alias("value"))
        if held is not None:
            group = group.filter(held)
        each = pl.col("value")
        totals = group.group_by("_row").agg(
            {
                "sum": each.sum,
                "min": each.min,
                "max": each.max,
                "collect": each.bitwise_or,
                "any_after": each.any,
            }[read.how]()
        )
        numbers = pl.int_range(height, dtype=group.schema["_row"], eager=True).alias("_row")
        joined = numbers.to_frame().join(totals, "_row", "left", maintain_order="left")["value"]
        if read.how == "collect":
            return joined.fill_null(0)
        return joined.fill_null(False) if read.how == "any_after" else joined

    def pair(self, step: Step) -> None:
        """Pair each row of a table with others of the same patient, as the condition says."""
        frame = self.frames[step.of].with_row_index("_own")
        wanted = sorted({name for _, name in columns(step.expression)})
        own = frame.select(pl.col("_row").alias("_patient"), "_own", *wanted)
        before = own.rename({"_own": "_before"} | {name: _name("before", name) for name in wanted})
        pairs = own.join(before, "_patient").filter(translate(step.expression, {}))
        pairs = pairs.sort("_own", "_before").select(pl.col("_own").alias("_row"), "_before")
        self.frames[step.table] = pairs


def _name(owner: str | None, name: str) -> str:
    return name if owner is None else f"{owner}.{name}"


def _joined(how: Callable[[Any, Any], Any], parts: list[pl.Expr]) -> pl.Expr:
    """Join expressions by halves: a long chain of them takes long to check."""
    while len(parts) > 1:
        pairs = [how(*parts[at : at + 2]) for at in range(0, len(parts) - 1, 2)]
        parts = pairs + parts[len(pairs) * 2 :]
    return parts[0]


def translate(read: Expression, gathered: Mapping[Expression, pl.Expr]) -> pl.Expr:
    """Turn an expression into one of Polars; `gathered` holds the columns of its reductions."""

    def of(part: Any) -> pl.Expr:
        return translate(part, gathered)

    if read in gathered:
        return gathered[read]
    match read:
        case ("column", owner, name):
            return pl.col(_name(owner, name))
        case ("flag", value):
            return pl.lit(value)
        case ("number", value):
            return pl.lit(float(value))
        case ("bits", value):
            return pl.lit(value)
        case ("empty",):
            return pl.lit(None)
        case ("and", *parts):
            return _joined(operator.and_, [of(part) for part in parts])
        case ("or", *parts):
            return _joined(operator.or_, [of(part) for part in parts])
        case ("not", inner):
            return ~of(inner)
        case ("union", *parts):
            return _joined(operator.or_, [of(part) for part in parts])
        case ("common", a, b):
            return of(a) & of(b)
        case ("without", a, b):
            return (of(a) | of(b)) ^ of(b)
        case ("overlaps", inner, -1):
            return of(inner) != 0
        case ("overlaps", inner, bits):
            return (of(inner) & bits) != 0
        case ("several", inner):
            return of(inner).bitwise_count_ones() > 1
        case ("number_of", inner, bits):
            return (of(inner) & bits).bitwise_count_ones().cast(pl.Float64)
        case ("known", inner):
            return of(inner).is_not_null()
        case ("when", condition, then, otherwise):
            return pl.when(of(condition)).then(of(then)).otherwise(of(otherwise))
        case ("first", *parts):
            return pl.coalesce(*map(of, parts))
        case ("exact", inner):
            return of(inner).round(_DECIMALS)
        case ("year" | "month" | "day" as part, inner):
            return getattr(of(inner).dt, part)().cast(pl.Float64)
        case ("days", start, end):
            return (of(end) - of(start)).dt.total_days().cast(pl.Float64)
        case (("eq" | "lt" | "le" | "gt" | "ge") as how, a, b):
            return getattr(of(a), how)(of(b))
        case (("add" | "sub" | "mul") as how, a, b):
            return getattr(of(a), how)(of(b))
        case ("div", a, b):
            return of(a).truediv(of(b))
    raise ValueError(f"no way to compute {read[0]}")
