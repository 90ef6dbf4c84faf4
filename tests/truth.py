"""The truth rules of `queries/inference/` once more, in memory, fast enough for changed classes.

A class is changed, and only what rests on it is judged again. That this agrees with the rules is
proved in `test_mutants.py`, class by class, for the records of the tests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from her2kg.namespaces import Iri

MET, UNMET, UNKNOWN, CONFLICTING = "met", "unmet", "unknown", "conflicting"
FACETS = ("minInclusive", "maxInclusive", "minExclusive", "maxExclusive")


@dataclass(frozen=True)
class Node:
    """One class expression, flat: its parts are other nodes, by IRI or blank node."""

    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    negates: tuple[str, ...] = ()
    prop: str | None = None
    value: Any = None  # of `p value v`
    filler: str | None = None  # of `p some C`, `p min n C`
    count: int | None = None
    ranged: bool = False
    facets: tuple[tuple[str, Decimal], ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        filler = (self.filler,) if self.filler else ()
        return self.all_of + self.any_of + self.negates + filler


@dataclass
class Knowledge:
    """The classes, and what holds of individuals whatever the patient."""

    nodes: dict[str, Node]
    upper: dict[str, tuple[str, ...]]  # direct superclasses
    lower: dict[str, tuple[str, ...]]
    disjoint: dict[str, tuple[str, ...]]
    differs: set[tuple[str, str]]
    functional: set[str]
    data_properties: set[str]
    met: dict[str, frozenset[str]]  # classes of drugs, values and the like
    unmet: dict[str, frozenset[str]]
    _users: dict[str, set[str]] = field(default_factory=dict)

    def users(self, node: str) -> set[str]:
        """Nodes whose own expression names the node, its subclasses' and superclasses' aside."""
        if not self._users:
            users: dict[str, set[str]] = defaultdict(set)
            for name, each in self.nodes.items():
                for part in each.parts:
                    users[part].add(name)
            self._users = users
        return self._users.get(node, set())

    def _decides(self, node: str) -> bool:
        """Whether anything follows from a class; from most headings nothing does."""
        return node in self.nodes or node in self.disjoint or bool(self.users(node))

    def resting_on(self, changed: Iterable[str]) -> set[str]:
        """Every node whose truth may change when the given ones are changed."""
        found, waiting = set(changed), list(changed)
        while waiting:
            node = waiting.pop()
            upper = {u for u in self.upper.get(node, ()) if self._decides(u)}
            near = {
                *self.users(node),
                *upper,
                *self.lower.get(node, ()),
                *self.disjoint.get(node, ()),
            }
            for each in near - found:
                found.add(each)
                waiting.append(each)
        return found


@dataclass(frozen=True)
class Facts:
    """One evaluated record: the individuals under evaluation, after `queries/derivation/`."""

    patient: str
    types: Mapping[str, frozenset[str]]
    values: Mapping[str, Mapping[str, tuple[Any, ...]]]
    closed: Mapping[str, Mapping[str, tuple[int, ...]]]  # sizes of lists that are complete


class Truth:
    """What is met and unmet for the individuals of one record."""

    def __init__(self, knowledge: Knowledge, facts: Facts) -> None:
        self.knowledge = knowledge
        self.facts = facts
        self.met: dict[str, set[str]] = {x: set() for x in facts.values}
        self.unmet: dict[str, set[str]] = {x: set() for x in facts.values}
        self.conflicting: dict[str, set[str]] = {x: set() for x in facts.values}

    def copy(self) -> Truth:
        other = Truth.__new__(Truth)
        other.knowledge, other.facts = self.knowledge, self.facts
        other.met = {x: set(found) for x, found in self.met.items()}
        other.unmet = {x: set(found) for x, found in self.unmet.items()}
        other.conflicting = {x: set(found) for x, found in self.conflicting.items()}
        return other

    def save(self, names: set[str]) -> list[tuple[set[str], ...]]:
        """What stands of some classes, for `restore`."""
        return [(self.met[x] & names, self.unmet[x] & names) for x in self.met]

    def restore(self, saved: list[tuple[set[str], ...]], names: set[str]) -> None:
        for x, (met, unmet) in zip(self.met, saved, strict=True):
            self.met[x] -= names
            self.unmet[x] -= names
            self.conflicting[x] -= names
            self.met[x] |= met
            self.unmet[x] |= unmet

    def snapshot(self, node: str) -> list[tuple[bool, ...]]:
        """How one class stands for every individual."""
        return [
            (node in self.met[x], node in self.unmet[x], node in self.conflicting[x])
            for x in self.met
        ]

    def status(self, node: str, x: str | None = None) -> str:
        x = x or self.facts.patient
        if node in self.conflicting[x]:
            return CONFLICTING
        met, unmet = node in self.met[x], node in self.unmet[x]
        return CONFLICTING if met and unmet else MET if met else UNMET if unmet else UNKNOWN

    def _holds(self, x: str, node: str) -> bool:
        found = self.met.get(x)
        return node in (self.knowledge.met.get(x, ()) if found is None else found)

    def _refuted(self, x: str, node: str) -> bool:
        found = self.unmet.get(x)
        return node in (self.knowledge.unmet.get(x, ()) if found is None else found)

    def derive(self, x: str, name: str, node: Node | None) -> tuple[bool, bool]:
        """Whether the rules meet and refute one class for one individual, one step."""
        know, facts = self.knowledge, self.facts
        met, unmet = self.met[x], self.unmet[x]
        holds = name in facts.types.get(x, ())
        holds = holds or any(lower in met for lower in know.lower.get(name, ()))
        fails = any(upper in unmet for upper in know.upper.get(name, ()))
        fails = fails or any(other in met for other in know.disjoint.get(name, ()))
        if node is None:
            return holds, fails
        if node.all_of:
            holds = holds or all(part in met for part in node.all_of)
            fails = fails or any(part in unmet for part in node.all_of)
        if node.any_of:
            holds = holds or any(part in met for part in node.any_of)
            fails = fails or all(part in unmet for part in node.any_of)
        for part in node.negates:
            holds = holds or part in unmet
            fails = fails or part in met
        if node.prop is not None:
            yes, no = self._restriction(x, node)
            holds, fails = holds or yes, fails or no
        return holds, fails

    def _restriction(self, x: str, node: Node) -> tuple[bool, bool]:
        know, facts = self.knowledge, self.facts
        values = facts.values[x].get(node.prop, ())
        sizes = facts.closed.get(x, {}).get(node.prop, ())
        functional = node.prop in know.functional
        holds = fails = False
        if node.value is not None:
            holds = node.value in values
            if isinstance(node.value, Iri):
                other = sum((each, node.value) in know.differs for each in set(values))
                fails = bool(other and functional) or any(0 < size <= other for size in sizes)
            else:
                fails = functional and any(_unequal(each, node.value) for each in values)
            fails = fails or 0 in sizes
        if node.ranged:
            holds = holds or any(_inside(each, node.facets) for each in values)
            fails = fails or (functional and any(_outside(e, node.facets) for e in values))
        if node.filler is not None:
            number = node.count if node.count is not None else 1
            good = sum(self._holds(each, node.filler) for each in set(values))
            bad = sum(self._refuted(each, node.filler) for each in set(values))
            holds = holds or (good >= max(number, 1))
            fails = fails or (functional and bad > 0)
            for size in sizes:
                fails = fails or size == 0 or (bad and bad >= size)
                if node.count is not None:
                    fails = fails or number > size or (bad and bad > size - number)
        return bool(holds), bool(fails)

    def settle(self, nodes: Mapping[str, Node], affected: set[str] | None = None) -> None:
        """Run to the fixpoint; with `affected`, only those nodes are judged, the rest stand."""
        names = set(nodes) | set(self.knowledge.upper) if affected is None else affected
        for x in self.met:
            own = names | self.facts.types.get(x, frozenset()) if affected is None else names
            for found in (self.met[x], self.unmet[x], self.conflicting[x]):
                found -= own
        self._fixpoint(nodes, names)
        clash = {x: (self.met[x] & self.unmet[x]) - self.conflicting[x] for x in self.met}
        if not any(clash.values()):
            return
        for x in self.met:
            self.conflicting[x] |= clash[x]
            self.met[x] -= names
            self.unmet[x] -= names
        self._fixpoint(nodes, names)

    def _fixpoint(self, nodes: Mapping[str, Node], names: set[str]) -> None:
        know = self.knowledge
        waiting = dict.fromkeys((x, name) for x in reversed(list(self.met)) for name in names)
        for x, types in self.facts.types.items():
            if len(names) > 1000:
                waiting |= dict.fromkeys((x, name) for name in types)
        users: dict[str, set[str]] = defaultdict(set)
        for name in names:
            for part in nodes[name].parts if name in nodes else ():
                users[part].add(name)
        while waiting:
            x, name = next(iter(waiting))
            del waiting[x, name]
            if name in self.conflicting[x]:
                continue
            had = name in self.met[x], name in self.unmet[x]
            if all(had):
                continue
            holds, fails = self.derive(x, name, nodes.get(name))
            if holds:
                self.met[x].add(name)
            if fails:
                self.unmet[x].add(name)
            if (had[0] or holds, had[1] or fails) == had:
                continue
            near = {
                *users.get(name, ()),
                *know.upper.get(name, ()),
                *know.lower.get(name, ()),
                *know.disjoint.get(name, ()),
            } & names
            for each in near:
                for y in self.met:
                    waiting[y, each] = None


def _unequal(found: Any, wanted: Any) -> bool:
    """SPARQL's `!=`: what cannot be compared is no answer."""
    numbers = (int, Decimal)
    if isinstance(found, bool) != isinstance(wanted, bool):
        return False
    if isinstance(found, numbers) and isinstance(wanted, numbers):
        return found != wanted
    return type(found) is type(wanted) and found != wanted


def _compared(found: Any, facets: tuple[tuple[str, Decimal], ...]) -> Iterator[tuple[str, bool]]:
    for facet, limit in facets:
        yield (
            facet,
            {
                "minInclusive": found >= limit,
                "maxInclusive": found <= limit,
                "minExclusive": found > limit,
                "maxExclusive": found < limit,
            }[facet],
        )


def _inside(found: Any, facets: tuple[tuple[str, Decimal], ...]) -> bool:
    if facets and (isinstance(found, (str, bool, date)) or found is None):
        return False
    return all(holds for _, holds in _compared(found, facets))


def _outside(found: Any, facets: tuple[tuple[str, Decimal], ...]) -> bool:
    if facets and (isinstance(found, (str, bool, date)) or found is None):
        return False
    return any(not holds for _, holds in _compared(found, facets))
