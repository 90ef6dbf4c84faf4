"""Expressions computed with Polars, over one batch of patients and the tables that hang off it.

Every table but `patient` has a column `_row`: the number of the row it belongs to in the table
above it, in rising order. Pairs of courses also have `_before`, the row of the earlier course.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

import polars as pl

from her2kg.cohort.circuit import Stage
from her2kg.cohort.definitions import PARENTS, Step
from her2kg.cohort.expressions import Expression, columns, reductions

_EMPTY = {"number": pl.Float64, "date": pl.Date, "mask": pl.Int64, "flag": pl.Boolean}
_DECIMALS = 9  # to which sums of decimal fractions are exact again
_NONE = {"mask": pl.lit(0, pl.Int64), "flag": pl.lit(False)}


class Tables:
    """The tables of one batch.

    Shape: `frames` maps patient, test, course, toxicity and pair to a frame each.
    """

    def __init__(self, frames: Mapping[str, pl.DataFrame]) -> None:
        self.frames = dict(frames)
        self._bounds: dict[str, tuple[pl.Series, pl.Series]] = {}

    def derive(self, steps: Iterable[Step]) -> None:
        """Add the columns of each step, in their order."""
        for step in steps:
            if step.of is not None:
                self.pair(step)
            elif step.repeat:
                self.repeat(step)
            else:
                self.assign(step.table, {step.name: step.expression}, {step.name: step.kind})

    def judge(self, stages: Iterable[Stage]) -> None:
        """Compute the columns of each stage: flags, empty where unknown counting as false."""
        for stage in stages:
            kinds = dict.fromkeys(stage.columns, "flag")
            for _ in range(stage.rounds):
                before = self.held(stage) if stage.rounds > 1 else None
                self.assign(stage.table, stage.columns, kinds)
                if stage.rounds > 1 and self.held(stage) == before:
                    break

    def held(self, stage: Stage) -> tuple[int, ...]:
        """How many rows each column of a stage holds for; it only grows from round to round."""
        frame = self.frames[stage.table]
        return frame.select(pl.col(name).sum() for name in stage.columns).row(0)

    def assign(
        self, table: str, new: Mapping[str, Expression], kinds: Mapping[str, str]
    ) -> None:
        """Compute several columns of one table, none of which reads another of them."""
        expressions = list(new.values())
        self.bring(table, expressions)
        gathered = self.gather(table, expressions)
        self.frames[table] = self.frames[table].with_columns(
            typed(translate(read, gathered), kinds[name]).alias(name) for name, read in new.items()
        )

    def bring(self, table: str, expressions: Iterable[Expression]) -> None:
        """Copy what the expressions read of the rows that the rows of a table belong to."""
        frame = self.frames[table]
        wanted = {pair for read in expressions for pair in columns(read)}
        for owner, name in sorted(wanted, key=str):
            own = _name(owner, name)
            above = "course" if owner == "before" else PARENTS.get(table)
            if owner is None and (table != "pair" or name not in self.frames["course"].columns):
                continue
            # What the rows above hold may have changed since the last copy.
            key = "_before" if owner == "before" else "_row"
            frame = frame.with_columns(self.frames[above][name].gather(frame[key]).alias(own))
        self.frames[table] = frame

    def gather(self, table: str, expressions: Iterable[Expression]) -> dict[Expression, pl.Expr]:
        """Compute the reductions in expressions, as columns of the table that they are part of."""
        found: dict[Expression, pl.Expr] = {}
        wanted = list(dict.fromkeys(part for read in expressions for part in reductions(read)))
        by_child: dict[str, list[Expression]] = {}
        for read in wanted:
            by_child.setdefault(read[1], []).append(read)
        for child, reads in by_child.items():
            inner = [part for read in reads for part in read[2:]]
            self.bring(child, inner)
            sums = [read for read in reads if read[0] in ("any", "count", "sum")]
            found |= self.totals(table, child, sums)
            for read in reads:
                if read not in sums:
                    found[read] = self.gathered(table, child, read)
        return found

    def bounds(self, table: str, child: str) -> tuple[pl.Series, pl.Series]:
        """For each row of a table, where its rows of the child table begin and end."""
        if child not in self._bounds:
            rows = self.frames[child]["_row"]
            numbers = pl.int_range(self.frames[table].height, dtype=rows.dtype, eager=True)
            self._bounds[child] = (
                rows.search_sorted(numbers, side="left"),
                rows.search_sorted(numbers, side="right"),
            )
        return self._bounds[child]

    def totals(
        self, table: str, child: str, reads: list[Expression]
    ) -> dict[Expression, pl.Expr]:
        """Any, count and sum, as differences of running totals."""
        if not reads:
            return {}
        start, end = self.bounds(table, child)
        parts = []
        for place, read in enumerate(reads):
            every = read[-1] == ("flag", True)
            held = pl.repeat(True, pl.len()) if every else translate(read[-1], {}).fill_null(False)
            if read[0] == "sum":
                value = pl.when(held).then(translate(read[2], {}).fill_null(0)).otherwise(0.0)
                parts.append(value.cum_sum().alias(str(place)))
            else:
                parts.append(held.cast(pl.Int32).cum_sum().alias(str(place)))
        running = self.frames[child].select(parts)
        zero = running.clear(1).select(pl.all().fill_null(0))
        running = pl.concat([zero, running])
        found: dict[Expression, pl.Expr] = {}
        ends, starts = running.select(pl.all().gather(end)), running.select(pl.all().gather(start))
        for place, read in enumerate(reads):
            difference = ends[str(place)] - starts[str(place)]
            found[read] = pl.lit(difference > 0 if read[0] == "any" else difference)
        return found

    def gathered(self, table: str, child: str, read: Expression) -> pl.Expr:
        """Minimum, maximum, all values of a mask, and whether any later course is so."""
        key = "_before" if read[0] == "any_after" else "_row"
        held = self.frames[child].filter(translate(read[-1], {}))
        value = translate(read[2], {}) if len(read) > 3 else pl.lit(True)
        group = held.select(pl.col(key).alias("_row"), value.alias("value"))
        how = {
            "min": pl.col("value").min(),
            "max": pl.col("value").max(),
            "collect": pl.col("value").bitwise_or(),
            "any_after": pl.col("value").any(),
        }[read[0]]
        totals = group.group_by("_row").agg(how)
        numbers = pl.int_range(self.frames[table].height, dtype=group["_row"].dtype, eager=True)
        joined = numbers.alias("_row").to_frame().join(totals, "_row", "left", maintain_order="left")
        series = joined["value"]
        if read[0] == "collect":
            series = series.fill_null(0)
        return pl.lit(series.fill_null(False) if read[0] == "any_after" else series)

    def pair(self, step: Step) -> None:
        """Pair each row of a table with others of the same patient, as the condition says."""
        frame = self.frames[step.of].with_row_index("_own")
        wanted = sorted({name for _, name in columns(step.expression)})
        own = frame.select(pl.col("_row").alias("_patient"), "_own", *wanted)
        before = own.rename({"_own": "_before"} | {name: _name("before", name) for name in wanted})
        pairs = own.join(before, "_patient").filter(translate(step.expression, {}))
        pairs = pairs.sort("_own", "_before").select(pl.col("_own").alias("_row"), "_before")
        self.frames[step.table] = pairs

    def repeat(self, step: Step) -> None:
        """Compute a flag that rests on itself, from nothing, until it stays the same."""
        frame = self.frames[step.table]
        self.frames[step.table] = frame.with_columns(pl.lit(False).alias(step.name))
        while True:
            before = self.frames[step.table][step.name]
            self.assign(step.table, {step.name: step.expression}, {step.name: step.kind})
            if self.frames[step.table][step.name].equals(before):
                return


def _name(owner: str | None, name: str) -> str:
    return name if owner is None else f"{owner}.{name}"


def typed(expression: pl.Expr, kind: str) -> pl.Expr:
    """Give a computed column its type, and no empty cells where its kind has none."""
    if kind in _NONE:
        return expression.cast(_EMPTY[kind]).fill_null(_NONE[kind])
    return expression.cast(_EMPTY[kind])


def translate(read: Expression, gathered: Mapping[Expression, pl.Expr]) -> pl.Expr:
    """Turn an expression into one of Polars; `gathered` holds its reductions, computed before."""

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
            return pl.lit(value, pl.Int64)
        case ("empty",):
            return pl.lit(None)
        case ("and", *parts):
            return reduce(lambda a, b: a & b, map(of, parts))
        case ("or", *parts):
            return reduce(lambda a, b: a | b, map(of, parts))
        case ("not", inner):
            return ~of(inner)
        case ("union", *parts):
            return reduce(lambda a, b: a | b, map(of, parts))
        case ("common", a, b):
            return of(a) & of(b)
        case ("without", a, b):
            return of(a) & (of(b) ^ pl.lit(-1, pl.Int64))
        case ("overlaps", inner, bits):
            return of(inner) != 0 if bits == -1 else (of(inner) & pl.lit(bits, pl.Int64)) != 0
        case ("within", inner, bits):
            return (of(inner) & pl.lit(~bits, pl.Int64)) == 0
        case ("number_of", inner, bits):
            return (of(inner) & pl.lit(bits, pl.Int64)).bitwise_count_ones()
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
