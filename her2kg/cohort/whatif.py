"""What would change in a cohort: missing facts filled in, a limit moved, another day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import polars as pl

from her2kg.cohort.axioms import Axioms, Leaf
from her2kg.cohort.checking import Checker, batches
from her2kg.cohort.claims import ANY
from her2kg.cohort.engine import Compiled, Judge
from her2kg.cohort.reading import Chunk
from her2kg.cohort.rows import row_of, schema
from her2kg.cohort.screening import SIZE, Cohorts
from her2kg.errors import DataError, Fact, Problem, UnknownTerm, did_you_mean, one_of
from her2kg.knowledge import KnowledgeGraph
from her2kg.namespaces import BASE
from her2kg.verdicts import VERDICTS

RECORDED = "recorded"  # in the place of a value: draw from the values that are recorded
SEED = 1
_ELIGIBLE, _UNDETERMINED, _INELIGIBLE = VERDICTS
_RELATIONS = ("Upper", "Lower", "Disjoint")
COUNTS = tuple(f"{word}_{when}" for when in ("before", "after") for word in VERDICTS)
COLUMNS = {
    "regimen": pl.String,
    **dict.fromkeys(("patients", *COUNTS), pl.Int64),
    **dict.fromkeys(("gained", "gained_from_undetermined", "gained_from_ineligible"), pl.Int64),
    "lost": pl.Int64,
}


@dataclass(frozen=True)
class Change:
    """What is changed before the cohort is judged a second time.

    Shape: `fills` maps a column to the value of those who have none, or to `recorded`; `limits`
    maps the local name of a class to the new limit of its number; `days` are the days whose claims
    and rules count before and after; `seed` is that of what is drawn; `words` say it all;
    `kept` are the labels of classes that go by the old number of a moved limit and stay.
    """

    fills: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Decimal] = field(default_factory=dict)
    days: tuple[date, date] | None = None
    seed: int = SEED
    words: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass
class Tally:
    """What was done to the patients of a cohort, beside their verdicts.

    Shape: `patients` judged; `filled` counts by column those who got a value; `unfit` those who
    stay as they are since their record with the value would have a problem; `undrawn` counts by
    column those for whom nothing was recorded to draw from; `rejected` rows were left out.
    """

    patients: int = 0
    filled: Counter[str] = field(default_factory=Counter)
    unfit: int = 0
    undrawn: Counter[str] = field(default_factory=Counter)
    rejected: int = 0


# --- what is asked for ----------------------------------------------------------------------------


def read_change(
    kg: KnowledgeGraph,
    fills: Iterable[str] = (),
    limits: Iterable[str] = (),
    days: tuple[date, date] | None = None,
    *,
    seed: int = SEED,
) -> Change:
    """Read `FIELD=VALUE` and `CLASS=NUMBER`.

    Errors: DataError or UnknownTerm with what is accepted.
    """
    axioms = Axioms(kg.engine)
    values: dict[str, Any] = {}
    moved: dict[str, Decimal] = {}
    words, kept = [], []
    for given in fills:
        name, text = _pair(given, "fill", "FIELD=VALUE, such as lvef_percent=60")
        value = _value(kg, name, text)
        if name in values:
            raise DataError([Problem("fill", given, f"one value for {name}")])
        values[name] = value
        how = "drawn from those recorded" if value == RECORDED else text
        words.append(f"{name}, where it is missing: {how}")
    for given in limits:
        name, text = _pair(given, "limit", "CLASS=NUMBER, such as LvefAtLeast50Patient=45")
        leaf = _limited(kg, axioms, name)
        if leaf.node in moved:
            raise DataError([Problem("limit", given, f"one limit for {leaf.node}")])
        moved[leaf.node] = _number(given, text)
        before = leaf.limits[0][1]
        label = kg.names.every_label[BASE + leaf.node]
        words.append(f"{label}: limit {moved[leaf.node]} in place of {before}")
        kept += [kg.names.every_label[BASE + node] for node in beside(kg, axioms, leaf)]
    if days is not None:
        words.append(f"claims and rules of {days[1]} in place of those of {days[0]}")
    if not words:
        accepted = "--fill FIELD=VALUE, --limit CLASS=NUMBER, or --from DAY --to DAY"
        raise DataError([Problem("change", Fact("nothing"), accepted)])
    still = {kg.names.every_label[BASE + node] for node in moved}
    kept = sorted(set(kept) - still)
    return Change(values, moved, days, seed, tuple(words), tuple(kept))


def _pair(given: str, what: str, accepted: str) -> tuple[str, str]:
    name, sign, value = given.partition("=")
    if not sign or not name.strip() or not value.strip():
        raise DataError([Problem(what, given, accepted)])
    return name.strip(), value.strip()


def _number(given: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
        float(number)  # columns compare with it as such
    except (InvalidOperation, OverflowError, ValueError):
        number = Decimal("NaN")
    if not number.is_finite() or abs(float(number)) == float("inf"):
        raise DataError([Problem("limit", given, "a number after the =")])
    return number


def _value(kg: KnowledgeGraph, name: str, value: str) -> Any:
    """A value as the record accepts it, in the type of its column."""
    known = {each: kind for each, kind in schema().items() if not isinstance(kind, pl.List)}
    del known["id"]
    if name not in known:
        near = one_of(did_you_mean(name, known)) or "lvef_percent"
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
    row = row_of(kg.record(data).to_dict())
    if row.get(name) is None:
        raise DataError([Problem(name, value, "a value that tells something, or recorded")])
    return row[name]


# --- a limit moved --------------------------------------------------------------------------------


def movable(kg: KnowledgeGraph, axioms: Axioms) -> dict[str, Leaf]:
    """The named classes that are one number range with one limit, by local name.

    A class that the ontology states to lie within a class of another number is not among them.
    """
    found = {}
    for node, leaf in axioms.leaves.items():
        if BASE + node not in kg.names.every_label or not leaf.limits or len(leaf.limits) != 1:
            continue
        beyond = {other for kind in _RELATIONS for other in axioms.joined[kind].get(node, ())}
        numbers = [axioms.leaves[other] for other in beyond if other in axioms.leaves]
        if all(other.property == leaf.property for other in numbers):
            found[node] = leaf
    return found


def _limited(kg: KnowledgeGraph, axioms: Axioms, name: str) -> Leaf:
    """The class of a name, if its limit can be moved."""
    fit = movable(kg, axioms)
    labels = kg.names.every_label
    by_name = {labels[BASE + node].casefold(): leaf for node, leaf in fit.items()}
    by_name |= {node.casefold(): leaf for node, leaf in fit.items()}
    wanted = name.removeprefix("her2kg:").casefold()
    if wanted in by_name:
        return by_name[wanted]
    named = [*fit, *(labels[BASE + node] for node in fit)]
    near = did_you_mean(name, named)
    nodes = {*axioms.leaves, *axioms.judged, *(n for way in axioms.joined.values() for n in way)}
    others = {node.casefold() for node in nodes if BASE + node in labels}
    others |= {labels[BASE + node].casefold() for node in nodes if BASE + node in labels}
    if wanted not in others:
        raise UnknownTerm(name, "class with one limit", near or tuple(sorted(fit))[:3])
    accepted = f"a class of one number with one limit, such as {one_of(near or sorted(fit)[:3])}"
    raise DataError([Problem("limit", name, accepted)])


def beside(kg: KnowledgeGraph, axioms: Axioms, leaf: Leaf) -> list[str]:
    """Named classes that go by the same number of the same fact and do not move with a class."""
    number = leaf.limits[0][1]
    same = {
        node
        for node, other in axioms.leaves.items()
        if node != leaf.node
        and other.property == leaf.property
        and number in [limit for _, limit in other.limits or ()]
    }
    wholes: dict[str, set[str]] = {}
    for kind in ("AllOf", "AnyOf", "Negates"):
        for whole, parts in axioms.joined[kind].items():
            for part in parts:
                wholes.setdefault(part, set()).add(whole)
    # An unnamed range stands for the nearest classes with a name that are made of it.
    found, waiting, seen = set(), [*same], set(same)
    while waiting:
        node = waiting.pop()
        if BASE + node in kg.names.every_label:
            found.add(node)
            continue
        fresh = wholes.get(node, set()) - seen
        seen |= fresh
        waiting += fresh
    return sorted(found - {leaf.node})


def compiled_with(cohorts: Cohorts, limits: Mapping[str, Decimal]) -> Compiled:
    """The classes of a graph with some limits moved.

    Only the classes named move: another class, or an unnamed range within one, that goes by the
    same number stays as it is.
    """
    if not limits:
        return cohorts.compiled
    axioms = Axioms(cohorts.kg.engine)
    for node, number in limits.items():
        move(axioms, node, number)
    return Compiled(cohorts.kg, axioms)


def move(axioms: Axioms, node: str, number: Decimal) -> None:
    """Move the limit of a class in place, and with it which ranges lie within which.

    Source: queries/closure/24c-narrower-range.rq, which says the same of a graph when it is loaded
    """
    old = axioms.leaves[node]
    leaf = replace(old, limits=((old.limits[0][0], number),))
    axioms.leaves[node] = leaf
    for other in axioms.leaves.values():
        if other.node == node or other.property != leaf.property or other.limits is None:
            continue
        for narrow, wide in ((leaf, other), (other, leaf)):
            inside = _within(narrow, wide)
            _relate(axioms, "Upper", narrow.node, wide.node, inside)
            _relate(axioms, "Lower", wide.node, narrow.node, inside)
        if _overlap(leaf, other):  # stated of the old ranges, and no longer true
            _relate(axioms, "Disjoint", node, other.node, False)
            _relate(axioms, "Disjoint", other.node, node, False)


def _relate(axioms: Axioms, kind: str, node: str, other: str, holds: bool) -> None:
    there = axioms.joined[kind].get(node, [])
    if holds and other not in there:
        axioms.joined[kind][node] = [*there, other]
    elif not holds and other in there:
        axioms.joined[kind][node] = [each for each in there if each != other]


def _within(narrow: Leaf, wide: Leaf) -> bool:
    """Whether every number of one range is in another, by their limits alone."""
    return all(
        any(_tighter(own, limit) for own in narrow.limits or ()) for limit in wide.limits or ()
    )


def _tighter(own: tuple[str, Decimal], limit: tuple[str, Decimal]) -> bool:
    """Whether a limit of the same side is as tight as another one, or tighter."""
    if own[0][:3] != limit[0][:3]:
        return False
    beyond = (own[1] - limit[1]) * (1 if own[0].startswith("Min") else -1)
    open_within_closed = limit[0].endswith("Exclusive") and own[0].endswith("Inclusive")
    return beyond > 0 or (beyond == 0 and not open_within_closed)


def _overlap(one: Leaf, other: Leaf) -> bool:
    """Whether some number is in both ranges."""
    limits = sorted({limit for leaf in (one, other) for _, limit in leaf.limits or ()})
    between = [(a + b) / 2 for a, b in zip(limits, limits[1:], strict=False)]
    tried = [*limits, *between, limits[0] - 1, limits[-1] + 1] if limits else [Decimal(0)]
    return any(one.holds(number) and other.holds(number) for number in tried)


# --- missing values -------------------------------------------------------------------------------


def filled(
    rows: pl.DataFrame, change: Change, checker: Checker, batch: int = 0, tally: Tally | None = None
) -> tuple[pl.DataFrame, pl.Series]:
    """The patients of a batch who get a value in the place of a missing one, and their places.

    What is drawn comes from the values recorded in the batch, each as likely as it is there. A
    patient whose record would have a problem then is left as it is.

    Shape: rows with the values, not in their order; the place of each of them in the batch from 0.
    """
    tally = tally if tally is not None else Tally()
    new = []
    for place, (name, value) in enumerate(change.fills.items()):
        kind = schema()[name]
        if name in rows.columns:
            given = rows[name].cast(kind)
        else:
            given = pl.repeat(None, rows.height, dtype=kind, eager=True).alias(name)
        if value == RECORDED:
            known = given.drop_nulls()
            if not known.len():
                tally.undrawn[name] += rows.height
                continue
            # Two columns with one seed would draw the same patients.
            seed = (change.seed * 1_000_003 + batch) * len(schema()) + place
            drawn = known.sample(rows.height, with_replacement=True, seed=seed % 2**63)
            new.append(given.zip_with(given.is_not_null(), drawn).alias(name))
        else:
            new.append(given.fill_null(pl.lit(value, kind)).alias(name))
    missing = [
        rows[each.name].is_null() if each.name in rows.columns else each.is_not_null()
        for each in new
    ]
    some = pl.repeat(False, rows.height, eager=True)
    for each in missing:
        some = some | each
    places = some.arg_true()
    if not places.len():
        return rows.clear(), places
    extra = tuple(name for name in rows.columns if name not in schema())
    chunk = Chunk(rows.with_columns(new).filter(some), "fill", places, extra=extra)
    checked = checker.check(chunk)
    for each, empty in zip(new, missing, strict=True):
        tally.filled[each.name] += int(empty.gather(checked.places).sum())
    tally.unfit += places.len() - checked.places.len()
    return checked.rows, checked.places


# --- before and after -----------------------------------------------------------------------------


def compare(
    frames: Iterable[pl.DataFrame],
    before: Judge,
    after: Judge,
    change: Change,
    tally: Tally | None = None,
) -> pl.DataFrame:
    """Verdicts of a cohort before and after a change, regimen by regimen, over all bases asked for.

    Frames are judged one at a time and only counted, so memory holds one of them.

    Shape: regimen, patients, then eligible, undetermined and ineligible before and after, and
    those who become eligible (from undetermined, from ineligible) and who no longer are; most
    gained first. What was filled in is added to `tally`.
    """
    tally = tally if tally is not None else Tally()
    regimens = [regimen for regimen, basis in before.columns if basis == ANY]
    totals: dict[str, Counter[tuple[str, str]]] = {regimen: Counter() for regimen in regimens}
    checker = Checker(before.compiled.kg.names, before.today)
    for number, rows in enumerate(frames):
        if not rows.height:
            continue
        tally.patients += rows.height
        first, second = _both(rows, before, after, change, checker, number, tally)
        for regimen, own in totals.items():
            pairs = pl.DataFrame({"before": first[regimen], "after": second[regimen]})
            for old, new, many in pairs.group_by("before", "after").len().iter_rows():
                own[old, new] += many
    lines = [
        {"regimen": regimen, "patients": tally.patients} | _line(own)
        for regimen, own in totals.items()
    ]
    table = pl.DataFrame(lines, schema=COLUMNS, orient="row")
    return table.sort("gained", "lost", "regimen", descending=[True, True, False])


def _both(
    rows: pl.DataFrame,
    before: Judge,
    after: Judge,
    change: Change,
    checker: Checker,
    number: int,
    tally: Tally,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Verdicts of a batch before and after, with the patients in the same order in both."""
    same_classes = before.compiled is after.compiled and before.today == after.today
    if not change.fills:
        tables = before.compiled.judged(rows, before.today)
        if not same_classes:
            return before.answer(rows, tables), after.verdicts(rows)
        return before.answer(rows, tables), after.answer(rows, tables)
    first = before.verdicts(rows)
    new, places = filled(rows, change, checker, number, tally)
    untouched = pl.repeat(True, rows.height, eager=True)
    rest = untouched.scatter(places, False).arg_true() if places.len() else untouched.arg_true()
    if same_classes and before.question == after.question:
        # Who gets no value is judged as before.
        second = [first[rest], *([after.verdicts(new)] if new.height else [])]
        return pl.concat([first[rest], first[places]]), pl.concat(second)
    changed = pl.concat([rows[rest], new], how="diagonal")
    return pl.concat([first[rest], first[places]]), after.verdicts(changed)


def _line(own: Mapping[tuple[str, str], int]) -> dict[str, int]:
    line: dict[str, int] = dict.fromkeys(COUNTS, 0)
    for (old, new), many in own.items():
        line[f"{old}_before"] += many
        line[f"{new}_after"] += many
    from_open = own.get((_UNDETERMINED, _ELIGIBLE), 0)
    from_out = own.get((_INELIGIBLE, _ELIGIBLE), 0)
    return line | {
        "gained": from_open + from_out,
        "gained_from_undetermined": from_open,
        "gained_from_ineligible": from_out,
        "lost": line[f"{_ELIGIBLE}_before"] - own.get((_ELIGIBLE, _ELIGIBLE), 0),
    }


def what_if(
    cohorts: Cohorts,
    source: Any,
    change: Change,
    *,
    therapies: Any = None,
    as_of: date | str | None = None,
    size: int = SIZE,
    tally: Tally | None = None,
    **asked: Any,
) -> pl.DataFrame:
    """Judge a cohort as it is and as it would be after a change; see `compare` for the rows.

    `as_of` is as in `Cohorts.judge`, where the change is not one of days.

    Errors: as `Cohorts.judge`; rows with problems are left out and counted in `tally`.
    """
    tally = tally if tally is not None else Tally()
    question = cohorts.question(as_of=change.days[0] if change.days else as_of, **asked)
    second = replace(question, as_of=change.days[1]) if change.days else question
    before = Judge(cohorts.compiled, question)
    after = Judge(compiled_with(cohorts, change.limits), second, before.today)
    extra = (question.as_of,) if isinstance(question.as_of, str) else ()
    extra = tuple(name for name in extra if name not in schema())

    def frames() -> Iterator[pl.DataFrame]:
        read = batches(source, names=cohorts.kg.names, therapies=therapies, size=size, extra=extra)
        for batch in read:
            tally.rejected += max(batch.read - batch.rows.height, 0)
            yield batch.rows

    return compare(frames(), before, after, change, tally)


def changed(table: pl.DataFrame) -> pl.DataFrame:
    """The regimens for which a number changes."""
    same = pl.all_horizontal(pl.col(f"{w}_before") == pl.col(f"{w}_after") for w in VERDICTS)
    return table.filter(~same | (pl.col("gained") > 0) | (pl.col("lost") > 0))
