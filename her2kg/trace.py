"""Why the rules decided a class: the criteria it rests on, down to the facts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from her2kg import queries, rules
from her2kg.namespaces import BASE

if TYPE_CHECKING:
    from her2kg.knowledge import KnowledgeGraph

_DEEPEST = 12
# Statuses of the parts by which a whole of each kind comes to its own.
_BEARING = {
    ("and", "met"): ("met",),
    ("and", "unmet"): ("unmet",),
    ("and", "unknown"): ("unknown", "unmet"),
    ("or", "met"): ("met",),
    ("or", "unmet"): ("unmet",),
    ("or", "unknown"): ("unknown", "met"),
}
_OPPOSITE = {"met": "unmet", "unmet": "met"}
# Where no part bears a status: what stands below, above or apart does.
_FROM_WITHOUT = {"met": (("below", "met"),), "unmet": (("above", "unmet"), ("apart", "met"))}


@dataclass(frozen=True)
class Step:
    """One criterion on the way: its status and, where no other criterion is below, the facts."""

    criterion: str
    label: str
    status: str
    observed: str


class Tracer:
    """Walks from a class to what it rests on.

    Source: queries/eligibility/criterion-parts.rq, queries/eligibility/criterion-properties.rq,
    queries/system/class-relations.rq
    """

    def __init__(self, kg: KnowledgeGraph, labels: Mapping[str, str]) -> None:
        self._labels = {**_property_labels(kg), **labels}
        self._parts: dict[Any, list[tuple[str, Any, bool]]] = defaultdict(list)

        def ask(name: str) -> list[tuple[Any, ...]]:
            return queries.run(kg.engine, kg.names, f"eligibility/{name}", {}).rows

        for whole, joined, part, label, _ in ask("criterion-parts"):
            self._parts[whole].append((joined, part, label is not None))
        self._properties: dict[str, list[str]] = defaultdict(list)
        for iri, of in ask("criterion-properties"):
            self._properties[iri].append(of)
        self._related: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for iri, relation, other in kg.engine.select(rules.system("class-relations.rq")).rows:
            self._related[iri].append((relation, other))

    def steps(
        self,
        individual: str,
        iri: str,
        decided: Mapping[tuple[str, str], str],
        facts: list[tuple[Any, Any, Any]],
    ) -> list[tuple[int, Step]]:
        """The criteria that bear the status of a class, each after what it is part of.

        Shape: (depth, step), the class itself left out; depth counts from 1. `decided` and `facts`
        as `KnowledgeGraph.decided` gives them.
        """
        seen = {iri}

        def status(node: Any) -> str:
            if (individual, str(node)) in decided:
                return decided[individual, str(node)]
            found = [
                (joined, _OPPOSITE.get(status(part), "unknown"))
                if joined == "not"
                else (joined, status(part))
                for joined, part, _ in self._parts.get(node, ())
            ]
            values = [value for _, value in found]
            first, last = ("met", "unmet") if any(j == "or" for j, _ in found) else ("unmet", "met")
            if first in values:
                return first
            return last if values and set(values) == {last} else "unknown"

        def walk(node: Any, depth: int) -> Iterator[tuple[int, Step]]:
            own = status(node)
            for joined, part, named in self._parts.get(node, ()):
                if joined != "not" and status(part) not in _BEARING.get((joined, own), ()):
                    continue
                if not named:
                    yield from walk(part, depth)
                elif str(part) not in seen and depth < _DEEPEST:
                    yield from step(str(part), depth)

        def step(name: str, depth: int) -> Iterator[tuple[int, Step]]:
            seen.add(name)
            below = list(inside(name, depth + 1))
            observed = "" if below else self._observed(individual, name, facts)
            label = self._labels.get(name, name)
            yield depth, Step(name.removeprefix(BASE), label, status(name), observed)
            yield from below

        def inside(name: str, depth: int) -> Iterator[tuple[int, Step]]:
            found = list(walk(name, depth))
            yield from found
            if found or depth >= _DEEPEST:
                return
            wanted = _FROM_WITHOUT.get(status(name), ())
            for relation, other in self._related.get(name, ()):
                if (relation, status(other)) in wanted and other not in seen:
                    yield from step(other, depth)

        return list(inside(iri, 1))

    def _name(self, term: Any) -> str:
        return self._labels.get(str(term), str(term).removeprefix(BASE))

    def _observed(self, individual: str, iri: str, facts: list[tuple[Any, Any, Any]]) -> str:
        wanted = set(self._properties.get(iri, ()))
        found = {
            f"{self._name(of)}: {self._name(value)}"
            for subject, of, value in facts
            if str(subject) == individual and str(of) in wanted
        }
        return "; ".join(sorted(found)) or "not recorded"


def _property_labels(kg: KnowledgeGraph) -> dict[str, str]:
    words = kg.engine.construct(rules.system("reasoner-words.rq"))
    return {str(term): str(text) for term, of, text in words if str(of).endswith("#label")}
