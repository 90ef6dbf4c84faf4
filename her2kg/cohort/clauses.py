"""From class axioms to the clauses that columns compute, and the proof that they are enough.

The truth rules of `queries/inference/` go both ways: from parts to wholes and from wholes to
parts. As columns, most of the second kind is idle: it could only tell what the parts have told
already. A clause is left out where that can be proven, by cases over how each of its conditions
can come about, for every record without a contradiction. A record with one is judged by the rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from her2kg.cohort.axioms import Axioms, Leaf

Literal = tuple[str, bool]  # a node and whether it is met or unmet
Body = frozenset[Literal]
Clauses = dict[Literal, set[Body]]

KINDS = {"Patient": "patient", "TherapyCourse": "course", "ToxicityEpisode": "toxicity"}
NESTED = {"hadCourse": "course", "hadToxicity": "toxicity"}  # properties that lead to own tables
_ROUNDS = 50


@dataclass(frozen=True)
class System:
    """The clauses to compute, and the leaves that facts decide.

    Shape: `clauses` maps a literal to the bodies it follows from; `given` holds the literals that
    facts of a record can tell; `outer` holds the nodes that more than their own parts decide;
    `every` holds all clauses, also those that are proven to add nothing, `late` those of them that
    wait until nothing else follows, and do not speak against what holds.
    """

    clauses: Clauses
    given: frozenset[Literal]
    outer: frozenset[str]
    every: Clauses
    late: frozenset[tuple[Literal, Body]]


def compile_clauses(axioms: Axioms) -> System:
    """Choose the clauses that decide every class, and prove that the others add nothing.

    Errors: RuntimeError if no set is proven, which would be a defect.
    Source: queries/inference
    """
    return _Compiler(axioms).system()


class _Compiler:
    def __init__(self, axioms: Axioms) -> None:
        self.axioms = axioms
        self.chosen: Clauses = defaultdict(set)
        self.late: set[tuple[Literal, Body]] = set()
        self.others: list[tuple[Literal, Body]] = []
        self.write_clauses()
        self.implied = self.implied_by_facts()
        self.keep_derivable()
        self.number = sorted(self.derivable)
        nodes = sorted({node for node, _ in self.number})
        # All that is met stands in the lower half of the bits, all that is unmet in the upper half.
        self.half = len(nodes)
        self.places = {
            (node, side): 1 << place + (0 if side else self.half)
            for place, node in enumerate(nodes)
            for side in (True, False)
        }
        self.extra: set[str] = set()

    # --- what the rules say -------------------------------------------------------------------

    def write_clauses(self) -> None:
        joined = self.axioms.joined
        others: set[tuple[Literal, Body]] = set()

        def whole(node: str, members: Iterable[str], side: bool) -> None:
            parts = sorted(set(members))
            self.choose((node, side), [(part, side) for part in parts])
            for part in parts:
                self.choose((node, not side), [(part, not side)])
                others.add(((part, side), frozenset([(node, side)])))
                rest = [(other, side) for other in parts if other != part]
                if rest:
                    left = ((part, not side), frozenset([(node, not side), *rest]))
                    others.add(left)
                    self.late.add(left)

        for node, members in joined["AllOf"].items():
            whole(node, members, True)
        for node, members in joined["AnyOf"].items():
            whole(node, members, False)
        for node, negated in joined["Negates"].items():
            for part in negated:
                self.choose((node, True), [(part, False)])
                self.choose((node, False), [(part, True)])
        for kind, side, result in (
            ("Disjoint", True, False),
            ("Upper", True, True),
            ("Lower", False, False),
        ):
            for node, targets in joined[kind].items():
                others |= {((each, result), frozenset([(node, side)])) for each in targets}
        sure = {(kind, True) for kind in KINDS}
        self.others = sorted(
            (head, body - sure)
            for head, body in others
            if head not in body and head not in sure
        )  # fmt: skip
        self.late = {(head, body - sure) for head, body in self.late}
        for head, bodies in self.chosen.items():
            self.chosen[head] = {body - sure for body in bodies}

    def choose(self, head: Literal, body: Iterable[Literal]) -> None:
        self.chosen[head].add(frozenset(body))

    # --- what single facts say ----------------------------------------------------------------

    def implied_by_facts(self) -> dict[Literal, set[Literal]]:
        """For each leaf literal that a fact can tell, what the same fact tells of other leaves."""
        by_property: dict[str, list[Leaf]] = defaultdict(list)
        for leaf in self.axioms.leaves.values():
            by_property[leaf.property].append(leaf)
        found: dict[Literal, set[Literal]] = {}
        for prop, leaves in by_property.items():
            if prop in NESTED:
                found |= {
                    (leaf.node, s): {(leaf.node, s)} for leaf in leaves for s in (True, False)
                }
                continue
            cells = [self.told(leaves, value) for value in self.possible(prop, leaves)]
            functional = self.axioms.properties[prop].functional
            for leaf in leaves:
                for side in (True, False):
                    literal = (leaf.node, side)
                    fitting = [cell for cell in cells if literal in cell]
                    if leaf.least > 1:
                        found[literal] = {literal}
                    elif fitting:
                        common = set.intersection(*fitting)
                        # Of a property with several values, one may be inside and one outside.
                        found[literal] = {x for x in common if functional or x[1] == side}
                    elif not functional and not side:
                        found[literal] = {literal}  # an empty list, known to be complete
        return found

    def possible(self, prop: str, leaves: list[Leaf]) -> list[Any]:
        """One value of a property for each way in which the leaves can tell values apart."""
        known = self.axioms.properties[prop]
        if known.values:
            return list(known.values)
        if known.range == "boolean":
            return [True, False]
        limits = sorted(
            {limit for leaf in leaves for _, limit in leaf.limits or ()}
            | {Decimal(str(leaf.value)) for leaf in leaves if leaf.value is not None}
        )
        between = [(a + b) / 2 for a, b in zip(limits, limits[1:], strict=False)]
        ends = [limits[0] - 1, limits[-1] + 1] if limits else [Decimal(0)]
        return [*limits, *between, *ends]

    def told(self, leaves: list[Leaf], value: Any) -> set[Literal]:
        """What one stated value tells of the leaves of its property."""
        cell: set[Literal] = set()
        for leaf in leaves:
            inside, outside = membership(self.axioms, leaf, value)
            if inside:
                cell.add((leaf.node, True))
            if outside:
                cell.add((leaf.node, False))
        return cell

    def keep_derivable(self) -> None:
        """Drop the clauses that nothing can ever fulfil."""
        every: Clauses = defaultdict(set)
        for head, bodies in self.chosen.items():
            every[head] |= bodies
        for head, body in self.others:
            every[head].add(body)
        self.every = _fulfillable(every, self.implied)
        self.derivable = _derivable(every, self.implied)
        found = self.derivable
        self.chosen = _fulfillable(self.chosen, found)
        self.others = [(h, body) for h, body in self.others if h in found and body <= found]

    # --- the proof ----------------------------------------------------------------------------

    def system(self) -> System:
        for _ in range(_ROUNDS):
            self.prepare()
            missing = [
                (head, body)
                for head, body in self.others
                if body not in self.chosen.get(head, ()) and not self.adds_nothing(head, body)
            ]
            if not missing:
                break
            for head, body in missing:
                self.chosen.setdefault(head, set()).add(body)
                self.extra.add(head[0])
        else:
            raise RuntimeError("no set of clauses was proven to be enough")
        kept = _fulfillable(self.chosen, self.implied)
        return System(
            kept, frozenset(self.implied), frozenset(self.extra), self.every, frozenset(self.late)
        )

    def mask(self, literals: Iterable[Literal]) -> int:
        places = self.places
        found = 0
        for literal in literals:
            found |= places.get(literal, 0)
        return found

    def prepare(self) -> None:
        """Work out, for each literal, all that holds whenever it does, by the chosen clauses.

        The greatest solution is approached from above: everything, until a way to come about says
        otherwise.
        """
        self.users: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for head, bodies in self.chosen.items():
            for body in bodies:
                packed = self.mask(body)
                for literal in body:
                    self.users[self.places[literal].bit_length() - 1].append(
                        (self.places[head], packed)
                    )
        self.ways = {
            literal: [tuple(body) for body in self.chosen.get(literal, ())]
            for literal in self.number
        }
        self.closed: dict[int, int | None] = {}
        self.entailed: dict[Literal, int | None] = dict.fromkeys(self.number)
        dependants: dict[Literal, set[Literal]] = defaultdict(set)
        for head, bodies in self.chosen.items():
            for body in bodies:
                for literal in body:
                    dependants[literal].add(head)
        for node, leaf in self.axioms.leaves.items():
            if leaf.property in NESTED:
                for side in (True, False):
                    dependants[leaf.filler, side].add((node, side))
        waiting = set(self.number)
        while waiting:
            later: set[Literal] = set()
            for literal in sorted(waiting):
                shared: int | None = None
                for start in self.starts(literal):
                    closed = self.close(start | self.places[literal])
                    if closed is not None:
                        shared = closed if shared is None else shared & closed
                if shared is not None and shared != self.entailed[literal]:
                    self.entailed[literal] = shared
                    later |= dependants[literal] & self.derivable
            waiting = later

    def starts(self, literal: Literal) -> Iterable[int]:
        """All ways in which a literal can come about, with what is known then."""
        if literal in self.implied:
            told = self.told_by_fact(literal)
            if told is not None:
                yield told
        for body in self.ways[literal]:
            known = self.known(body)
            if known is not None:
                yield known

    def told_by_fact(self, literal: Literal) -> int | None:
        node, side = literal
        leaf = self.axioms.leaves[node]
        if leaf.property not in NESTED:
            return self.mask(self.implied[literal])
        within = self.entailed.get((leaf.filler, side))
        if within is None:
            return None
        found = self.places[literal]
        for other in self.axioms.leaves.values():
            if other.property != leaf.property:
                continue
            fewer = other.least <= leaf.least if side else other.least >= leaf.least
            if fewer and within & self.places.get((other.filler, side), 0):
                found |= self.places.get((other.node, side), 0)
        return found

    def known(self, literals: Iterable[Literal]) -> int | None:
        """All that holds with some literals; None where one of them can never come about."""
        found = 0
        for literal in literals:
            entailed = self.entailed[literal]
            if entailed is None:
                return None
            found |= entailed
        return found

    def close(self, start: int) -> int | None:
        """All that follows by the chosen clauses; None if that is a contradiction."""
        if start not in self.closed:
            self.closed[start] = self.follow(start)
        return self.closed[start]

    def follow(self, start: int) -> int | None:
        found, fresh, users = start, start, self.users
        while fresh:
            if found & found >> self.half & (1 << self.half) - 1:
                return None
            added = 0
            while fresh:
                place = fresh.bit_length() - 1
                fresh ^= 1 << place
                for head, body in users.get(place, ()):
                    if not found & head and body & found == body:
                        added |= head
            found |= added
            fresh = added
        return found

    def adds_nothing(self, head: Literal, body: Body) -> bool:
        """Whether a clause only tells what is known, by cases over one of its conditions."""
        target = self.places[head]
        known = self.known(body)
        if known is None:
            return True
        closed = self.close(known)
        if closed is None or closed & target:
            return True
        for literal in body:
            for start in self.starts(literal):
                case = self.close(start | closed)
                if case is not None and not case & target:
                    break
            else:
                return True
        return False


def _derivable(clauses: Clauses, given: Iterable[Literal]) -> set[Literal]:
    """All that some facts can tell, or that follows."""
    found = set(given)
    growing = True
    while growing:
        growing = False
        for head, bodies in clauses.items():
            if head not in found and any(body <= found for body in bodies):
                found.add(head)
                growing = True
    return found


def _fulfillable(clauses: Clauses, given: Iterable[Literal]) -> Clauses:
    """The clauses whose conditions can all hold."""
    found = _derivable(clauses, given)
    kept = {head: {body for body in bodies if body <= found} for head, bodies in clauses.items()}
    return {head: bodies for head, bodies in kept.items() if bodies}


def membership(axioms: Axioms, leaf: Leaf, value: Any) -> tuple[bool, bool]:
    """Whether a value is inside what a leaf asks, and whether it is known to be outside."""
    if leaf.filler is not None:
        return value in axioms.inside[leaf.filler], value in axioms.outside[leaf.filler]
    if isinstance(value, bool):
        inside = leaf.limits is not None or leaf.value == value
        return inside, not inside
    if isinstance(value, Decimal):
        inside = leaf.holds(value)
        return inside, not inside
    return value == leaf.value, value in axioms.outside[leaf.value]
