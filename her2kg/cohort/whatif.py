"""What would change in a cohort: missing facts filled in, a limit moved, another day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import polars as pl

from her2kg.cohort.axioms import Axioms, Leaf
from her2kg.cohort.checking import batches
from her2kg.cohort.claims import ANY
from her2kg.cohort.engine import Compiled, Judge
from her2kg.cohort.rows import row_of, schema
from her2kg.cohort.screening import SIZE, Cohorts
from her2kg.errors import DataError, Fact, Problem, UnknownTerm, did_you_mean
from her2kg.knowledge import KnowledgeGraph
from her2kg.namespaces import BASE
from her2kg.verdicts import VERDICTS

RECORDED = "recorded"  # in the place of a value: draw from the values that are recorded
_SEED = 1
_ELIGIBLE, _UNDETERMINED, _INELIGIBLE = VERDICTS


@dataclass(frozen=True)
class Change:
    """What is changed before the cohort is judged a second time.

    Shape: `fills` maps a column to the value of those who have none, or to `recorded`; `limits`
    maps the local name of a class to the new limit of its number; `day` is the second day.
    """

    fills: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Decimal] = field(default_factory=dict)
    day: date | None = None
    words: tuple[str, ...] = ()


def read_change(
    kg: KnowledgeGraph, fills: Iterable[str], limits: Iterable[str], day: date | None
) -> Change:
    """Read `FIELD=VALUE` and `CLASS=NUMBER`.

    Errors: DataError or UnknownTerm with what is accepted.
    """
    axioms = Axioms(kg.engine)
    filled: dict[str, Any] = {}
    moved: dict[str, Decimal] = {}
    words = []
    for given in fills:
        name, value = _pair(given, "fill", "FIELD=VALUE, such as lvef_percent=60")
        filled[name] = _value(kg, name, value)
        how = "drawn from those recorded" if filled[name] == RECORDED else value
        words.append(f"{name}, where it is missing: {how}")
    for given in limits:
        name, value = _pair(given, "limit", "CLASS=NUMBER, such as LvefAtLeast50Patient=45")
        leaf = _limited(kg, axioms, name)
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise DataError([Problem("limit", given, "a number after the =")]) from None
        moved[leaf.node] = number
        before = leaf.limits[0][1]
        words.append(
            f"{kg.names.every_label[BASE + leaf.node]}: limit {number} in place of {before}"
        )
    if day is not None:
        words.append(f"claims and rules of {day}")
    if not words:
        accepted = "--fill FIELD=VALUE, --limit CLASS=NUMBER, or --from DAY --to DAY"
        raise DataError([Problem("change", Fact("nothing"), accepted)])
    return Change(filled, moved, day, tuple(words))


def _pair(given: str, what: str, accepted: str) -> tuple[str, str]:
    name, sign, value = given.partition("=")
    if not sign or not name.strip() or not value.strip():
        raise DataError([Problem(what, given, accepted)])
    return name.strip(), value.strip()


def _value(kg: KnowledgeGraph, name: str, value: str) -> Any:
    """A value as the record accepts it, in the type of its column."""
    known = {each: kind for each, kind in schema().items() if not isinstance(kind, pl.List)}
    if name not in known or name == "id":
        near = ", ".join(did_you_mean(name, known)) or "lvef_percent"
        raise DataError([Problem("fill", name, f"a field of one value; the nearest: {near}")])
    if value == RECORDED:
        return RECORDED
    typed: Any = value
    if known[name] in (pl.Float64, pl.Int64):
        try:
            typed = float(value)
            typed = int(typed) if typed.is_integer() else typed
        except ValueError:
            typed = value
    elif known[name] == pl.Boolean:
        typed = {"true": True, "false": False}.get(value, value)
    part, _, inner = name.partition(".")
    data = {"id": "fill", part: {inner: typed} if inner else typed}
    return row_of(kg.record(data).to_dict())[name]


def _limited(kg: KnowledgeGraph, axioms: Axioms, name: str) -> Leaf:
    """The class of a name, if it is one number range with one limit."""
    fit = {
        node: leaf
        for node, leaf in axioms.leaves.items()
        if BASE + node in kg.names.every_label and leaf.limits is not None and len(leaf.limits) == 1
    }
    by_name = {node.casefold(): node for node in fit}
    by_name |= {kg.names.every_label[BASE + node].casefold(): node for node in fit}
    found = by_name.get(name.removeprefix("her2kg:").casefold())
    if found is None:
        near = did_you_mean(name, [*fit, *(kg.names.every_label[BASE + node] for node in fit)])
        raise UnknownTerm(name, "class with one limit", near)
    return fit[found]


def compiled_with(cohorts: Cohorts, limits: Mapping[str, Decimal]) -> Compiled:
    """The classes of a graph with some limits moved.

    The same range written again moves along; another class with a number of its own stays.
    """
    if not limits:
        return cohorts.compiled
    axioms = Axioms(cohorts.kg.engine)
    for node, number in limits.items():
        move(axioms, axioms.leaves[node], number)
    return Compiled(cohorts.kg, axioms)


def move(axioms: Axioms, leaf: Leaf, number: Decimal) -> None:
    """Move the limit of a class in place."""
    own = {each.node for each in axioms.leaves.values() if each.property == leaf.property}
    moved = {
        node
        for node in own
        if axioms.leaves[node].limits == leaf.limits and axioms.leaves[node].filler is None
    }
    for node in moved:
        axioms.leaves[node] = replace(leaf, node=node, limits=((leaf.limits[0][0], number),))
    # Which range lies within which was worked out with the old limit; the number itself tells it.
    for kind in ("Upper", "Lower", "Disjoint"):
        for node in own:
            axioms.joined[kind][node] = [
                other
                for other in axioms.joined[kind][node]
                if other not in own or not {node, other} & moved
            ]


def filled(rows: pl.DataFrame, fills: Mapping[str, Any], seed: int) -> pl.DataFrame:
    """Rows with values in the place of missing ones.

    What is drawn comes from the values recorded in the same rows, each as likely as it is there.
    """
    new = []
    for name, value in fills.items():
        kind = schema()[name]
        given = rows[name] if name in rows.columns else pl.Series(name, [None] * rows.height, kind)
        if value != RECORDED:
            new.append(given.cast(kind).fill_null(pl.lit(value, kind)).alias(name))
            continue
        known = given.drop_nulls()
        if known.len():
            drawn = known.sample(rows.height, with_replacement=True, seed=seed)
            new.append(given.zip_with(given.is_not_null(), drawn).alias(name))
    return rows.with_columns(new)


def compare(
    frames: Iterable[pl.DataFrame], before: Judge, after: Judge, fills: Mapping[str, Any]
) -> pl.DataFrame:
    """Verdicts of a cohort before and after a change, regimen by regimen.

    Shape: regimen, patients, then eligible, undetermined and ineligible before and after, and
    those who become eligible (from undetermined, from ineligible) and who no longer are.
    """
    totals: dict[str, dict[str, int]] = {}
    patients = 0
    for number, rows in enumerate(frames):
        first = before.verdicts(rows)
        second = after.verdicts(filled(rows, fills, _SEED + number))
        patients += rows.height
        for regimen, basis in before.columns:
            if basis != ANY:
                continue
            counts = (
                pl.DataFrame({"before": first[regimen], "after": second[regimen]})
                .group_by("before", "after")
                .len()
            )
            own = totals.setdefault(regimen, {})
            for old, new, many in counts.iter_rows():
                own[f"{old} {new}"] = own.get(f"{old} {new}", 0) + many
    return pl.DataFrame(
        [{"regimen": regimen, "patients": patients} | _line(own) for regimen, own in totals.items()]
    ).sort("gained", "lost", "regimen", descending=[True, True, False])


def _line(own: Mapping[str, int]) -> dict[str, int]:
    line = {}
    for at, when in enumerate(("before", "after")):
        for word in VERDICTS:
            line[f"{word}_{when}"] = sum(n for k, n in own.items() if k.split()[at] == word)
    from_open = own.get(f"{_UNDETERMINED} {_ELIGIBLE}", 0)
    from_out = own.get(f"{_INELIGIBLE} {_ELIGIBLE}", 0)
    lost = sum(
        n for k, n in own.items() if k.startswith(_ELIGIBLE) and not k.endswith(f" {_ELIGIBLE}")
    )
    return line | {
        "gained": from_open + from_out,
        "gained_from_undetermined": from_open,
        "gained_from_ineligible": from_out,
        "lost": lost,
    }


def what_if(
    cohorts: Cohorts,
    source: Any,
    change: Change,
    *,
    therapies: Any = None,
    as_of: date | str | None = None,
    **asked: Any,
) -> pl.DataFrame:
    """Judge a cohort as it is and as it would be after a change; see `compare` for the rows.

    Errors: as `Cohorts.judge`; rows with problems are left out.
    """
    question = cohorts.question(as_of=as_of, **asked)
    second = replace(question, as_of=change.day) if change.day is not None else question
    before = Judge(cohorts.compiled, question)
    after = Judge(compiled_with(cohorts, change.limits), second)
    extra = (question.as_of,) if isinstance(question.as_of, str) else ()
    extra = tuple(name for name in extra if name not in schema())
    read = batches(source, names=cohorts.kg.names, therapies=therapies, size=SIZE, extra=extra)
    frames = (batch.rows for batch in read if batch.rows.height)
    return compare(frames, before, after, change.fills)


def changed(table: pl.DataFrame) -> pl.DataFrame:
    """The regimens for which a number changes."""
    same = pl.all_horizontal(pl.col(f"{w}_before") == pl.col(f"{w}_after") for w in VERDICTS)
    return table.filter(~same | (pl.col("gained") > 0) | (pl.col("lost") > 0))
