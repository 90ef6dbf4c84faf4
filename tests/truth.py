"""The truth rules of `queries/inference/` once more, in memory, fast enough for changed classes.

A class is changed, and only what rests on it is judged again. That this agrees with the rules is
proved in `test_mutants.py`, class by class, for the records of the tests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from her2kg.namespaces import BASE, Iri

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


_NONE = Node()


@dataclass
class Knowledge:
    """The classes, and what holds of individuals whatever the patient."""

    nodes: dict[str, Node]
    upper: dict[str, frozenset[str]]  # direct superclasses, narrower restrictions among them
    lower: dict[str, frozenset[str]]
    disjoint: dict[str, tuple[str, ...]]
    differs: set[tuple[str, str]]
    functional: set[str]
    met: dict[str, frozenset[str]]  # classes of drugs, values and the like
    unmet: dict[str, frozenset[str]]
    kinds: dict[str, frozenset[str]]  # named classes of individuals, as stated
    stated: dict[str, frozenset[str]]  # superclasses as stated, of named classes
    users: dict[str, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.users:
            users: dict[str, set[str]] = defaultdict(set)
            for name, node in self.nodes.items():
                for part in node.parts:
                    users[part].add(name)
            self.users = {part: frozenset(names) for part, names in users.items()}
        self._pushing: dict[str, bool] = {}

    def wholes(self, node: str) -> frozenset[str]:
        """Nodes whose own expression names the node."""
        return self.users.get(node, frozenset())

    def changed(self, nodes: Mapping[str, Node]) -> Knowledge:
        """The knowledge with other expressions, and what the closure rules make of them."""
        users = dict(self.users)
        for name, node in nodes.items():
            old = self.nodes[name].parts if name in self.nodes else ()
            for part in set(old) - set(node.parts):
                users[part] = users[part] - {name}
            for part in node.parts:
                users[part] = users.get(part, frozenset()) | {name}
        result = replace(self, nodes={**self.nodes, **nodes}, users=users)
        touched = set(nodes)
        for name, node in nodes.items():
            touched |= {*node.any_of, *(self.nodes[name].any_of if name in self.nodes else ())}
            touched |= {user for user in self.wholes(name) if self.nodes[user].filler == name}
        result._narrow_again(self, {name for name in touched if result.nodes.get(name, _NONE).prop})
        return result

    def _narrow_again(self, before: Knowledge, touched: set[str]) -> None:
        """Renew what `24b-narrower-restriction.rq` and `24c` state of some restrictions."""
        old = {pair for name in touched for pair in before.narrower(name)}
        new = {pair for name in touched for pair in self.narrower(name)}
        self._exclude_again(before, touched)
        if old == new:
            return
        self.upper, self.lower = dict(self.upper), dict(self.lower)
        for narrow, wide in old - new:
            if wide not in self.stated.get(narrow, ()):
                self.upper[narrow] = self.upper[narrow] - {wide}
                self.lower[wide] = self.lower[wide] - {narrow}
        for narrow, wide in new - old:
            self.upper[narrow] = self.upper.get(narrow, frozenset()) | {wide}
            self.lower[wide] = self.lower.get(wide, frozenset()) | {narrow}

    def _exclude_again(self, before: Knowledge, touched: set[str]) -> None:
        """Renew what `24d-other-value.rq` states of some restrictions."""
        old = {pair for name in touched for pair in before.excluding(name)}
        new = {pair for name in touched for pair in self.excluding(name)}
        if old != new:
            self.disjoint = dict(self.disjoint)
            for one, other in old ^ new:
                rest = tuple(each for each in self.disjoint.get(one, ()) if each != other)
                self.disjoint[one] = (*rest, other) if (one, other) in new else rest

    def narrower(self, name: str) -> Iterator[tuple[str, str]]:
        """Pairs of a restriction and one that includes it, of which the given one is a part."""
        mine = self.nodes.get(name, _NONE)
        for other, node in self.nodes.items():
            if node.prop is not None and node.prop == mine.prop and other != name:
                if self._includes(name, mine, other, node):
                    yield other, name
                if self._includes(other, node, name, mine):
                    yield name, other

    def _includes(self, wide_name: str, wide: Node, narrow_name: str, narrow: Node) -> bool:
        same = False
        if wide.filler and narrow.filler:
            same = narrow.filler == wide.filler
            union = self.nodes.get(narrow.filler, _NONE).any_of
            inside = same or self.below(narrow.filler, wide.filler)
            if not inside:
                inside = bool(union) and all(self.below(part, wide.filler) for part in union)
        elif wide.filler and isinstance(narrow.value, Iri):
            kinds = self.kinds.get(narrow.value, ())
            inside = any(self.below(kind, wide.filler) for kind in kinds)
        else:
            inside = same = wide.value is not None and wide.value == narrow.value
        if same and not any(name.startswith(BASE) for name in (wide_name, narrow_name)):
            inside = any(wide_name in self.nodes[user].any_of for user in self.wholes(wide_name))
        if wide.ranged and narrow.ranged:
            return self._range_includes(wide_name, wide, narrow_name, narrow)
        least = wide.count or 1
        return inside and (least <= 1 or (narrow.count is not None and least <= narrow.count))

    def _range_includes(self, wide_name: str, wide: Node, narrow_name: str, narrow: Node) -> bool:
        """As `24c-narrower-range.rq` says."""
        named = wide_name.startswith(BASE) or narrow_name.startswith(BASE)
        if not named and not any(
            wide_name in self.nodes[user].any_of for user in self.wholes(wide_name)
        ):
            return False
        has = dict(narrow.facets)
        for facet, limit in wide.facets:
            side, strict = facet[:3], facet.endswith("Exclusive")
            inner, outer = has.get(f"{side}Inclusive"), has.get(f"{side}Exclusive")
            sign = 1 if side == "min" else -1
            within = (
                inner is not None and sign * (inner - limit) >= 0 and (not strict or inner != limit)
            )
            if not within and (outer is None or sign * (outer - limit) < 0):
                return False
        return True

    def excluding(self, name: str) -> Iterator[tuple[str, str]]:
        """Pairs of named classes that ask for different values of one functional property."""
        mine = self.nodes.get(name, _NONE)
        if not name.startswith(BASE) or mine.prop not in self.functional:
            return
        for other, node in self.nodes.items():
            if node.prop == mine.prop and other.startswith(BASE):
                if (mine.value, node.value) in self.differs:
                    yield name, other
                if (node.value, mine.value) in self.differs:
                    yield other, name

    def below(self, low: str, high: str) -> bool:
        """Whether a class is stated to lie below another, or is the same."""
        found, waiting = {low}, [low]
        while waiting:
            for each in self.stated.get(waiting.pop(), ()):
                if each not in found:
                    found.add(each)
                    waiting.append(each)
        return high in found

    def _decides(self, node: str) -> bool:
        """Whether anything follows from a class; from most headings nothing does."""
        return node in self.nodes or node in self.disjoint or bool(self.wholes(node))

    def pushes(self, name: str) -> bool:
        """Whether an expression can be met or refuted from without, and so settles its parts."""
        if name not in self._pushing:
            self._pushing[name] = False  # while it is looked for, against cycles
            node = self.nodes.get(name, _NONE)
            without = (
                (node.all_of and self.lower.get(name))
                or (node.any_of and self.disjoint.get(name))
                or (node.any_of and any(self._decides(u) for u in self.upper.get(name, ())))
                or any(
                    self.pushes(user)
                    for user in self.wholes(name)
                    if name in self.nodes[user].all_of + self.nodes[user].any_of
                )
            )
            self._pushing[name] = bool((node.all_of or node.any_of) and without)
        return self._pushing[name]

    def near(self, node: str) -> set[str]:
        """Nodes whose truth may change where that of the given one does."""
        found = {
            *self.wholes(node),
            *(upper for upper in self.upper.get(node, ()) if self._decides(upper)),
            *self.lower.get(node, ()),
            *self.disjoint.get(node, ()),
        }
        if self.pushes(node):
            found |= {*self.nodes[node].all_of, *self.nodes[node].any_of}
        return found

    def resting_on(self, changed: Iterable[str]) -> set[str]:
        """Every node whose truth may change when the given ones are changed."""
        found, waiting = set(changed), list(changed)
        while waiting:
            for each in self.near(waiting.pop()) - found:
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

    def derive(self, x: str, name: str) -> tuple[bool, bool]:
        """Whether the rules meet and refute one class for one individual, one step."""
        know, facts = self.knowledge, self.facts
        met, unmet, node = self.met[x], self.unmet[x], know.nodes.get(name)
        holds = name in facts.types.get(x, ())
        holds = holds or any(lower in met for lower in know.lower.get(name, ()))
        fails = any(upper in unmet for upper in know.upper.get(name, ()))
        fails = fails or any(other in met for other in know.disjoint.get(name, ()))
        for user in know.wholes(name):
            whole = know.nodes[user]
            # What is met by its parts alone tells nothing new of them, but of the only one left.
            if user in met and not holds:
                holds = name in whole.all_of and know.pushes(user)
                holds = holds or (name in whole.any_of and _only_left(name, whole.any_of, unmet))
            if user in unmet and not fails:
                fails = name in whole.any_of and know.pushes(user)
                fails = fails or (name in whole.all_of and _only_left(name, whole.all_of, met))
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

    def settle(self, affected: set[str] | None = None) -> None:
        """Run to the fixpoint; with `affected`, only those nodes are judged, the rest stand."""
        know, first, names = self.knowledge, affected, affected
        if names is None or first is None:
            names = {*know.nodes, *know.upper, *know.lower}.union(*self.facts.types.values())
            first = {name for name in know.nodes if know.nodes[name].prop}
            first = first.union(*self.facts.types.values())
        for x in self.met:
            for found in (self.met[x], self.unmet[x], self.conflicting[x]):
                found -= names
        self._fixpoint(names, first)
        clash = {x: (self.met[x] & self.unmet[x]) - self.conflicting[x] for x in self.met}
        if not any(clash.values()):
            return
        for x in self.met:
            self.conflicting[x] |= clash[x]
            self.met[x] -= names
            self.unmet[x] -= names
        self._fixpoint(names, first)

    def _fixpoint(self, names: set[str], first: set[str]) -> None:
        know = self.knowledge
        waiting = dict.fromkeys((x, name) for x in reversed(list(self.met)) for name in first)
        while waiting:
            x, name = next(iter(waiting))
            del waiting[x, name]
            if name in self.conflicting[x]:
                continue
            had = name in self.met[x], name in self.unmet[x]
            if all(had):
                continue
            holds, fails = self.derive(x, name)
            if holds:
                self.met[x].add(name)
            if fails:
                self.unmet[x].add(name)
            if (had[0] or holds, had[1] or fails) == had:
                continue
            node = know.nodes.get(name, _NONE)
            near = {
                *know.wholes(name),
                *know.upper.get(name, ()),
                *know.lower.get(name, ()),
                *know.disjoint.get(name, ()),
                *node.all_of,
                *node.any_of,
            }
            for whole in know.wholes(name):
                if whole in self.unmet[x]:
                    near.update(know.nodes[whole].all_of)
                if whole in self.met[x]:
                    near.update(know.nodes[whole].any_of)
            for each in near & names:
                waiting[x, each] = None
            if x != self.facts.patient:  # courses and what hangs off them are values of others
                for each in know.wholes(name) & names:
                    for y in self.met:
                        waiting[y, each] = None


def _only_left(part: str, parts: tuple[str, ...], decided: set[str]) -> bool:
    """Whether every other part is decided."""
    return all(other in decided or other == part for other in parts)


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
