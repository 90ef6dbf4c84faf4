"""Every class of the ontology as two columns, met and unmet, in the order to compute them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from her2kg.cohort.axioms import Axioms, Leaf
from her2kg.cohort.clauses import KINDS, NESTED, Body, Literal, System, membership
from her2kg.cohort.definitions import PARENTS, Definitions
from her2kg.cohort.expressions import Expression

TABLES = ("toxicity", "course", "patient")  # what hangs off a row is judged before the row
CONTRADICTION = "contradiction"


@dataclass(frozen=True)
class Stage:
    """Columns of one table that do not read one another, or that are computed round by round.

    Shape: with `rounds` above 1 the columns are computed again and again, each time from the ones
    before, until they stay the same: at most that often.
    """

    table: str
    columns: Mapping[str, Expression]
    rounds: int = 1


class Circuit:
    """The stages of all classes, and the column of each literal.

    Shape: a literal without a column can never hold.
    """

    def __init__(self, axioms: Axioms, definitions: Definitions, system: System) -> None:
        self.axioms = axioms
        self.definitions = definitions
        self.system = system
        self.table_of = self._tables()
        self.same: dict[Literal, Literal] = {}
        self._join_equals()
        self.stages = [stage for table in TABLES for stage in self._stages(table)]

    def column(self, node: str, met: bool) -> Expression | None:
        """The column of a literal, or None where it can never hold."""
        literal = self._first((node, met))
        if literal in self.system.given or self.system.clauses.get(literal):
            return ("column", None, _column(literal))
        if met and node in KINDS:
            return ("flag", True)
        return None

    # --- leaves -------------------------------------------------------------------------------

    def leaf(self, leaf: Leaf, met: bool, *, plain: bool = False) -> Expression:
        """What the facts of a row tell of a leaf; `plain` reads a column of each literal's own."""
        if leaf.property in NESTED:
            inside = self.column(leaf.filler, met)
            if plain and inside is not None:
                inside = plain_column(leaf.filler, met)
            return self._nested(leaf, met, inside)
        prop = self.axioms.properties[leaf.property]
        column: Expression = ("column", None, leaf.property)
        if not prop.is_mask:
            return self._number(leaf, met, column)
        inside, outside = self._sides(leaf)
        if met:
            if leaf.least == 1:
                return ("overlaps", column, inside)
            return ("ge", ("number_of", column, inside), ("number", leaf.least))
        if prop.functional:
            return ("overlaps", column, outside)
        closed: Expression = ("column", None, f"{leaf.property}_closed")
        if leaf.property not in self.closable():
            return ("flag", False)
        open_ = (1 << prop.width) - 1 & ~outside
        if leaf.least == 1:
            return ("and", closed, ("not", ("overlaps", column, open_)))
        return ("and", closed, ("lt", ("number_of", column, open_), ("number", leaf.least)))

    def closable(self) -> set[str]:
        """Properties whose values a record can state to be all there are."""
        return {"gaveDrug", "hypersensitiveTo", "specialCircumstance", "takesMedicine"}

    def _sides(self, leaf: Leaf) -> tuple[int, int]:
        prop = self.axioms.properties[leaf.property]
        values = [True, False] if prop.range == "boolean" else prop.values
        told = {value: membership(self.axioms, leaf, value) for value in values}
        return tuple(prop.bits(v for v, sides in told.items() if sides[k]) for k in (0, 1))

    def _number(self, leaf: Leaf, met: bool, column: Expression) -> Expression:
        ways = [(_fits(leaf, met, column), None)]
        for source in self.definitions.sources:
            if source.property == leaf.property:
                fits = _fits(leaf, met, ("column", None, source.column))
                where = ("column", None, source.where)
                ways.append((("any", source.table, ("and", where, fits)), None))
        found = [way for way, _ in ways]
        return ("or", *found) if len(found) > 1 else found[0]

    def _nested(self, leaf: Leaf, met: bool, inside: Expression | None) -> Expression:
        child = NESTED[leaf.property]
        if met:
            if inside is None:
                return ("flag", False)
            if leaf.least == 1:
                return ("any", child, inside)
            return ("ge", ("count", child, inside), ("number", leaf.least))
        closed: Expression = ("column", None, f"{leaf.property}_closed")
        if leaf.least == 1:
            open_: Expression = ("flag", True) if inside is None else ("not", inside)
            return ("and", closed, ("not", ("any", child, open_)))
        left: Expression = ("count", child, ("flag", True))
        if inside is not None:
            left = ("sub", left, ("count", child, inside))
        return ("and", closed, ("lt", left, ("number", leaf.least)))

    # --- order --------------------------------------------------------------------------------

    def _tables(self) -> dict[str, str]:
        """The table of each node, by the properties below it."""
        found = dict(KINDS)
        for node, leaf in self.axioms.leaves.items():
            own = {"hadCourse": "patient", "hadToxicity": "course"}
            known = self.definitions.table_of.get(leaf.property)
            found[node] = own.get(leaf.property) or known or "patient"
        near: dict[str, set[str]] = defaultdict(set)
        for (node, _), bodies in self.system.clauses.items():
            for body in bodies:
                for part, _ in body:
                    near[node].add(part)
                    near[part].add(node)
        waiting = list(found)
        while waiting:
            node = waiting.pop()
            for other in near[node]:
                if other not in found:
                    found[other] = found[node]
                    waiting.append(other)
        return found

    def _join_equals(self) -> None:
        """A literal that follows from one other literal and nothing else needs no own column."""
        for literal, bodies in self.system.clauses.items():
            if len(bodies) == 1 and literal not in self.system.given:
                (body,) = bodies
                if len(body) == 1:
                    (other,) = body
                    if self._first(other) != literal:
                        self.same[literal] = other

    def _first(self, literal: Literal) -> Literal:
        while literal in self.same:
            literal = self.same[literal]
        return literal

    def _bodies(self, literal: Literal) -> set[Body]:
        bodies = {
            frozenset(map(self._first, body)) for body in self.system.clauses.get(literal, ())
        }
        return {body for body in bodies if literal not in body}

    def _stages(self, table: str) -> Iterable[Stage]:
        literals = {
            literal
            for literal in {*self.system.given, *self.system.clauses}
            if self.table_of.get(literal[0]) == table and literal not in self.same
        }
        bodies = {literal: self._bodies(literal) for literal in literals}
        facts = {
            _column(literal): self.leaf(self.axioms.leaves[literal[0]], literal[1])
            for literal in sorted(literals & self.system.given)
        }
        yield Stage(table, facts)
        depth: dict[Literal, int] = {}
        layers: dict[int, list[tuple[Literal, ...]]] = defaultdict(list)
        for ring in _rings(literals, bodies):
            below = [
                depth[part]
                for literal in ring
                for body in bodies[literal]
                for part in body
                if part in depth
            ]
            idle = len(ring) == 1 and not bodies[ring[0]]
            place = 0 if idle else 1 + max(below, default=0)
            depth.update(dict.fromkeys(ring, place))
            if not idle:
                layers[place].append(ring)
        for place in sorted(layers):
            rings = [ring for ring in layers[place] if len(ring) > 1]
            inside = {literal: set(ring) for ring in rings for literal in ring}
            yield Stage(
                table,
                {
                    _column(x): self._joined(
                        x, {body for body in bodies[x] if not body & inside.get(x, set())}
                    )
                    for x in sorted(x for ring in layers[place] for x in ring)
                },
            )
            if rings:
                yield self._again(table, inside, bodies, max(map(len, rings)))
        yield self._contradictions(table, literals)

    def _again(
        self,
        table: str,
        inside: Mapping[Literal, set[Literal]],
        bodies: Mapping[Literal, set[Body]],
        rounds: int,
    ) -> Stage:
        """Literals that rest on one another: round by round, from what their other clauses tell."""
        columns = {}
        for literal in sorted(inside):
            ways = [body for body in bodies[literal] if body & inside[literal]]
            if ways:
                own: Expression = ("column", None, _column(literal))
                columns[_column(literal)] = ("or", own, *map(_all, sorted(ways, key=sorted)))
        return Stage(table, columns, rounds)

    def _joined(self, literal: Literal, bodies: set[Body]) -> Expression:
        ways = [_all(body) for body in sorted(bodies, key=sorted)]
        if literal in self.system.given:
            ways.append(("column", None, _column(literal)))
        if not ways:
            return ("flag", False)
        return ("or", *ways) if len(ways) > 1 else ways[0]

    def _contradictions(self, table: str, literals: set[Literal]) -> Stage:
        """Whether a row both meets and fails a class, or has two values where there is one.

        A contradiction begins in such values, or where more than its parts decide a class.
        """
        ways: list[Expression] = []
        several = {source.property for source in self.definitions.sources}
        asked = {leaf.property for leaf in self.axioms.leaves.values()}
        for name in sorted(asked):
            prop = self.axioms.properties[name]
            if prop.functional and prop.is_mask and self.definitions.table_of.get(name) == table:
                ways.append(("several", ("column", None, name)))
        checked = {
            node for node, leaf in self.axioms.leaves.items() if leaf.property in several
        }  # fmt: skip
        for node in sorted({*checked, *self.system.outer, *KINDS}):
            if self.table_of.get(node) == table:
                met, unmet = self.column(node, True), self.column(node, False)
                if met is not None and unmet is not None:
                    ways.append(("and", met, unmet) if met[0] != "flag" else unmet)
        for child, parent in PARENTS.items():
            if parent == table and child in TABLES:
                ways.append(("any", child, ("column", None, CONTRADICTION)))
        return Stage(table, {CONTRADICTION: ("or", *ways) if ways else ("flag", False)})


def plain_column(node: str, met: bool) -> Expression:
    """The column of a literal where no two share one."""
    return ("column", None, _column((node, met)))


def _all(body: Body) -> Expression:
    parts = [("column", None, _column(literal)) for literal in sorted(body)]
    return ("and", *parts) if len(parts) > 1 else parts[0]


def _column(literal: Literal) -> str:
    return f"{'met' if literal[1] else 'unmet'} {literal[0]}"


_INSIDE = {"MinInclusive": "ge", "MaxInclusive": "le", "MinExclusive": "gt", "MaxExclusive": "lt"}
_OUTSIDE = {"MinInclusive": "lt", "MaxInclusive": "gt", "MinExclusive": "le", "MaxExclusive": "ge"}


def _fits(leaf: Leaf, met: bool, column: Expression) -> Expression:
    """Whether a number is inside the limits of a leaf, or outside."""
    if leaf.limits is None:
        same: Expression = ("eq", column, ("number", float(leaf.value)))
        return same if met else ("not", same)
    if not leaf.limits:
        return ("known", column) if met else ("flag", False)
    words = _INSIDE if met else _OUTSIDE
    parts = [(words[kind], column, ("number", float(limit))) for kind, limit in leaf.limits]
    return parts[0] if len(parts) == 1 else ("and" if met else "or", *parts)


def _rings(
    literals: Iterable[Literal], bodies: Mapping[Literal, set[Body]]
) -> list[tuple[Literal, ...]]:
    """Sets of literals that rest on one another, those that others rest on first (Tarjan)."""
    index: dict[Literal, int] = {}
    low: dict[Literal, int] = {}
    stack: list[Literal] = []
    held: set[Literal] = set()
    found: list[tuple[Literal, ...]] = []
    order = sorted(literals)
    known = set(order)
    for root in order:
        if root in index:
            continue
        work = [(root, iter(sorted({p for b in bodies[root] for p in b} & known)))]
        index[root] = low[root] = len(index)
        stack.append(root)
        held.add(root)
        while work:
            node, parts = work[-1]
            for part in parts:
                if part not in index:
                    index[part] = low[part] = len(index)
                    stack.append(part)
                    held.add(part)
                    work.append((part, iter(sorted({p for b in bodies[part] for p in b} & known))))
                    break
                if part in held:
                    low[node] = min(low[node], index[part])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    ring = []
                    while True:
                        part = stack.pop()
                        held.discard(part)
                        ring.append(part)
                        if part == node:
                            break
                    found.append(tuple(sorted(ring)))
    return found
