"""Expressions over columns: read from text, independent of the engine that computes them.

An expression is a nested tuple whose first item names the operation. Columns of values hold bits,
one for each value that the property can have; no bit is set where nothing is stated. Numbers and
dates are empty where nothing is stated. A comparison with something empty is empty, and what is
empty counts as false where a decision is due, as in SPARQL.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from her2kg.cohort.axioms import FALSE, TRUE, Axioms

Expression = tuple[Any, ...]

_COMPARE = {
    ast.Eq: "eq", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge",
}  # fmt: skip
_ARITHMETIC = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
REDUCTIONS = {"any", "any_after", "count", "sum", "min", "max", "collect"}
_OWNERS = ("patient", "before")  # whose columns a name with a dot means


class Reader:
    """Reads expressions.

    Shape: `kind_of` tells mask, number, date or flag of a column by name, `like` the property
    whose values a column holds that bears another name.
    """

    def __init__(
        self, axioms: Axioms, kind_of: Callable[[str], str], like: Mapping[str, str]
    ) -> None:
        self.axioms = axioms
        self.kind_of = kind_of
        self.like = like
        self.range: str | None = None  # of the property whose column is being read

    def read(self, text: str, target: str) -> Expression:
        """Read one expression that gives the column `target`.

        Errors: ValueError with the text that is not understood.
        """
        prop = self.axioms.properties.get(self.like.get(target, target))
        self.range = prop.range if prop else None
        return self.node(ast.parse(" ".join(text.split()), mode="eval").body)

    def node(self, node: ast.expr) -> Expression:
        match node:
            case ast.Name(id=name):
                return ("column", None, name)
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if owner in _OWNERS:
                return ("column", owner, name)
            case ast.Constant(value=bool() as value):
                return ("flag", value)
            case ast.Constant(value=int() | float() as number):
                return ("number", number)
            case ast.BoolOp(op=ast.And(), values=parts):
                return ("and", *map(self.node, parts))
            case ast.BoolOp(op=ast.Or(), values=parts):
                return ("or", *map(self.node, parts))
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return ("not", self.node(inner))
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return ("union", self.node(left), self.node(right))
            case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
                return ("common", self.node(left), self.node(right))
            case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _ARITHMETIC:
                return (_ARITHMETIC[type(operation)], self.node(left), self.node(right))
            case ast.Compare(left=left, ops=[operation], comparators=[right]):
                return (_COMPARE[type(operation)], self.node(left), self.node(right))
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self.call(name, arguments)
        raise ValueError(f"not understood: {ast.unparse(node)}")

    def call(self, name: str, given: list[ast.expr]) -> Expression:
        if name == "has":
            return ("overlaps", *self.with_bits(given[0], given[1:]))
        if name == "without":
            if isinstance(given[1], ast.Constant) or _called(given[1]) in ("inside", "flagged"):
                inner, bits = self.with_bits(given[0], given[1:])
                every = (1 << self.of_range(self.range_of(inner)).width) - 1
                return ("common", inner, ("bits", every & ~bits))
            return ("without", self.node(given[0]), self.node(given[1]))
        if name == "values":
            return ("bits", self.bits_of(self.range, given))
        if name == "none":
            return ("bits", 0)
        if name == "truth":
            return ("when", self.node(given[0]), ("bits", TRUE), ("bits", 0))
        if name == "untruth":
            return ("when", self.node(given[0]), ("bits", FALSE), ("bits", 0))
        if name == "known":
            inner = self.node(given[0])
            return ("overlaps", inner, -1) if self.kind(inner) == "mask" else ("known", inner)
        if name in REDUCTIONS:
            return (name, given[0].id, *map(self.node, given[1:]))
        if name == "when":
            parts = [self.node(each) for each in given]
            return ("when", *parts) if len(parts) == 3 else ("when", *parts, ("empty",))
        if name in ("lookup", "linked"):
            return self.from_facts(name, given)
        if name == "by_combination":
            return self.by_combination(*map(self.node, given))
        if name == "finer":
            return self.finer(self.node(given[0]))
        if name in ("first", "exact", "year", "month", "day", "days"):
            return (name, *map(self.node, given))
        raise ValueError(f"no function {name}")

    def kind(self, read: Expression) -> str:
        """Mask, number, date or flag."""
        match read[0]:
            case "column":
                return self.kind_of(read[2])
            case "bits" | "union" | "common" | "without" | "collect":
                return "mask"
            case "when" | "first":
                return self.kind(read[-2])
            case _:
                return "number"

    def range_of(self, read: Expression) -> str | None:
        """The range of the property that a mask is about."""
        if read[0] == "column":
            prop = self.axioms.properties.get(self.like.get(read[2], read[2]))
            return prop.range if prop else None
        inner = (self.range_of(part) for part in read[1:] if isinstance(part, tuple))
        return next((found for found in inner if found), None)

    def with_bits(self, about: ast.expr, names: list[ast.expr]) -> tuple[Expression, int]:
        inner = self.node(about)
        return inner, self.bits_of(self.range_of(inner), names)

    def bits_of(self, range_: str | None, given: list[ast.expr]) -> int:
        wanted: set[Any] = set()
        for each in given:
            match each:
                case ast.Constant(value=value):
                    wanted.add(value)
                case ast.Call(func=ast.Name(id="inside"), args=classes):
                    wanted.update(*(self.axioms.members[cls.value] for cls in classes))
                case ast.Call(func=ast.Name(id="flagged"), args=[flag]):
                    facts = self.axioms.facts[flag.value]
                    wanted.update(value for value, stated in facts.items() if True in stated)
                case _:
                    raise ValueError(f"not a set of values: {ast.unparse(each)}")
        prop = self.of_range(range_)
        missing = {each for each in wanted if isinstance(each, str)} - set(prop.values)
        named = {each.value for each in given if isinstance(each, ast.Constant)}
        if missing & named:
            raise ValueError(f"{prop.range} has no value {', '.join(sorted(missing & named))}")
        return prop.bits(wanted)

    def of_range(self, range_: str | None) -> Any:
        for prop in self.axioms.properties.values():
            if prop.range == range_ and prop.is_mask:
                return prop
        raise ValueError(f"no property has values of {range_}")

    def from_facts(self, name: str, given: list[ast.expr]) -> Expression:
        """What the ontology states of the value of a column: a number, or what goes with it."""
        inner = self.node(given[0])
        own = self.of_range(self.range_of(inner))
        facts = self.axioms.facts[given[1].value]
        if name == "lookup":
            found: Expression = ("empty",)
            for value, stated in facts.items():
                if own.bits([value]):
                    held = ("overlaps", inner, own.bits([value]))
                    found = ("when", held, ("number", float(stated[0])), found)
            return found
        other = self.node(given[2])
        target = self.of_range(self.range_of(other))
        ways = []
        for value, stated in facts.items():
            if own.bits([value]):
                fits = (
                    "or",
                    ("not", ("overlaps", other, -1)),
                    ("overlaps", other, target.bits(stated)),
                )
                ways.append(("and", ("overlaps", inner, own.bits([value])), fits))
        return ("or", *ways)

    def by_combination(self, t: Expression, n: Expression, spread: Expression) -> Expression:
        """The stage groups of T, N and distant metastasis."""
        found: dict[str, tuple[str, bool, set[str], set[str]]] = {}
        for name, stage, spreads, t_value, n_value in self.axioms.rows("stage-combinations"):
            entry = found.setdefault(name, (stage, spreads, set(), set()))
            entry[2].update([t_value] if t_value else ())
            entry[3].update([n_value] if n_value else ())
        stages = self.axioms.properties["anatomicStage"]
        parts: list[Expression] = []
        for stage, spreads, t_values, n_values in found.values():
            conditions = [spread if spreads else ("not", spread)]
            for read, values in ((t, t_values), (n, n_values)):
                if values:
                    bits = self.of_range(self.range_of(read)).bits(values)
                    conditions.append(("overlaps", read, bits))
            held: Expression = ("and", *conditions) if len(conditions) > 1 else conditions[0]
            parts.append(("when", held, ("bits", stages.bits([stage])), ("bits", 0)))
        return ("union", *parts)

    def finer(self, stage: Expression) -> Expression:
        """The stage groups inside a coarsely stated one."""
        prop = self.axioms.properties["anatomicStage"]
        inside: dict[str, list[str]] = {}
        for coarse, finer in self.axioms.rows("finer-stages"):
            inside.setdefault(coarse, []).append(finer)
        ways = []
        for coarse, finer in inside.items():
            stated = ("overlaps", stage, prop.bits([coarse]))
            ways.append(("when", stated, ("bits", prop.bits(finer)), ("bits", 0)))
        return ("union", *ways)


def _called(node: ast.expr) -> str | None:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None


def reductions(read: Expression) -> Iterable[Expression]:
    """The parts of an expression that gather rows of another table, outermost first."""
    if read[0] in REDUCTIONS:
        yield read
        return
    for part in read[1:]:
        if isinstance(part, tuple):
            yield from reductions(part)


def columns(read: Expression) -> Iterable[tuple[str | None, str]]:
    """The columns that an expression reads, with their owner, outside its reductions."""
    if read[0] == "column":
        yield read[1], read[2]
    elif read[0] not in REDUCTIONS:
        for part in read[1:]:
            if isinstance(part, tuple):
                yield from columns(part)
