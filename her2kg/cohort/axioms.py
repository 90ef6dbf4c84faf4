"""The class axioms and values of the ontology, as the compiler of columns needs them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from her2kg import rules
from her2kg.engines import Engine
from her2kg.errors import EngineError
from her2kg.namespaces import BASE

WIDTH = 63  # values of one property that fit in the bits of one signed integer
_OWN_ROWS = ("Regimen", "TherapyCourse", "ToxicityEpisode", "Her2Test")  # no values of a column
TRUE, FALSE = 1, 2  # bits of a property that is true or false

Limit = tuple[str, Decimal]


@dataclass(frozen=True)
class Leaf:
    """A condition on the values of one property: `p value v`, a number range, `p some C`, `min`.

    Shape: one of `value`, `limits` and `filler` is set; `least` is 1 unless a minimum is asked.
    """

    node: str
    property: str
    value: Any = None
    limits: tuple[Limit, ...] | None = None
    filler: str | None = None
    least: int = 1

    def holds(self, number: Decimal) -> bool:
        """Whether a number satisfies the limits or is the value."""
        if self.limits is None:
            return number == self.value
        return all(_COMPARE[kind](number, limit) for kind, limit in self.limits)


_COMPARE = {
    "MinInclusive": lambda a, b: a >= b,
    "MaxInclusive": lambda a, b: a <= b,
    "MinExclusive": lambda a, b: a > b,
    "MaxExclusive": lambda a, b: a < b,
}


@dataclass(frozen=True)
class Property:
    """A property of the record or a derived one; `values` are the individuals it can point to."""

    name: str
    range: str
    functional: bool
    values: tuple[str, ...] = ()
    notations: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_mask(self) -> bool:
        """Whether its column holds one bit for each value."""
        return bool(self.values) or self.range == "boolean"

    @property
    def width(self) -> int:
        """Number of bits of its column."""
        return 2 if self.range == "boolean" else max(len(self.values), 1)

    def bits(self, values: Iterable[str | bool]) -> int:
        """The bits of some of its values; values that it cannot have count for nothing."""
        if self.range == "boolean":
            return sum(TRUE if value else FALSE for value in set(values))
        wanted = set(values)
        return sum(1 << place for place, value in enumerate(self.values) if value in wanted)


class Axioms:
    """What one graph states; names are local, unnamed expressions keep their blank identifiers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.joined: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self.judged: set[str] = set()
        facts: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for node, part, value in self._rows("expressions"):
            kind = _local(part).removeprefix("expr")
            if kind in ("AllOf", "AnyOf", "Negates", "Disjoint", "Upper", "Lower"):
                self.joined[kind][_local(node)].append(_local(value))
            else:
                facts[_local(node)][kind].append(_local(value))
        for cls, lower in self.rows("judged-classes"):
            self.judged.add(cls)
            if lower is not None:
                self.joined["Upper"][lower].append(cls)
        self.leaves = {node: leaf for node, said in facts.items() for leaf in _leaves(node, said)}
        self.inside: dict[str, set[str]] = defaultdict(set)
        self.outside: dict[str, set[str]] = defaultdict(set)
        for cls, individual, inside in self._rows("members"):
            (self.inside if inside else self.outside)[_local(cls)].add(_local(individual))
        self.properties = self._read_properties()

    def _rows(self, name: str) -> list[tuple[Any, ...]]:
        return self._engine.select(rules.system(f"{name}.rq")).rows

    def rows(self, name: str) -> list[tuple[Any, ...]]:
        """Rows of a question of `queries/system/`, IRIs as local names."""
        return [tuple(_local(cell) for cell in row) for row in self._rows(name)]

    def _read_properties(self) -> dict[str, Property]:
        values: dict[str, dict[str, None]] = defaultdict(dict)
        written: dict[str, dict[str, str]] = defaultdict(dict)
        for prop, value, notation in self.rows("property-values"):
            values[prop][value] = None
            if notation is not None:
                written[prop][notation] = value
        found = {}
        for name, range_, functional in self.rows("property-kinds"):
            if range_ in _OWN_ROWS:
                values.pop(name, None)
            own = values.get(name, {})
            if len(own) > WIDTH:
                raise EngineError(
                    f"{name} has {len(own)} values, and a column holds {WIDTH}; "
                    "split the property or widen her2kg/cohort/axioms.py"
                )
            kind = range_.rsplit("#", 1)[-1]
            found[name] = Property(name, kind, functional is not None, tuple(own), written[name])
        return found

    @cached_property
    def members(self) -> dict[str, set[str]]:
        """Values of properties by named class."""
        known = {value for prop in self.properties.values() for value in prop.values}
        found: dict[str, set[str]] = defaultdict(set)
        for cls, individual in self.rows("class-members"):
            if individual in known:
                found[cls].add(individual)
        return found

    @cached_property
    def facts(self) -> dict[str, dict[str, list[Any]]]:
        """Property -> individual -> what the ontology states of it."""
        found: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for value, prop, fact in self.rows("value-facts"):
            found[prop][value].append(fact)
        return found


def _local(term: Any) -> Any:
    return str(term).removeprefix(BASE) if isinstance(term, str) else term


def _leaves(node: str, said: Mapping[str, list[Any]]) -> Iterable[Leaf]:
    if "Property" not in said:
        return
    (prop,) = set(said["Property"])
    if "Value" in said:
        yield Leaf(node, prop, value=said["Value"][0])
    elif "Filler" in said:
        yield Leaf(node, prop, filler=said["Filler"][0], least=int(said.get("Count", [1])[0]))
    elif "Range" in said:
        limits = [
            (kind, Decimal(str(limit))) for kind in _COMPARE for limit in sorted(said.get(kind, ()))
        ]
        yield Leaf(node, prop, limits=tuple(limits))
