"""Small changes of the ontology: one class, claim or safety rule at a time, each with a name.

A change of a class replaces flat expressions (`truth.Node`), one of a claim or rule replaces the
values of one property. Nothing here is clinical: siblings and steps come from the ontology.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from truth import Knowledge, Node

from her2kg import KnowledgeGraph
from her2kg.namespaces import BASE, Iri
from her2kg.records import PatientRecord

CLASS_KINDS = (
    *("limit-inclusive", "limit-direction", "limit-up", "limit-down"),
    *("drop-conjunct", "negate-conjunct", "and-to-or", "drop-disjunct", "negate-disjunct"),
    *("or-to-and", "drop-negation", "swap-value", "swap-filler", "more", "fewer"),
)
CLAIM_KINDS = (
    *("from-earlier", "from-later", "until-earlier", "until-later", "until-never"),
    *("swap-setting", "swap-basis", "swap-jurisdiction", "swap-population"),
)
RULE_KINDS = ("swap-kind", "swap-target", "swap-class", "swap-territory", "rule-from-later")
KINDS = CLASS_KINDS + CLAIM_KINDS + RULE_KINDS

_OTHER_SIDE = {
    "minInclusive": "minExclusive",
    "minExclusive": "minInclusive",
    "maxInclusive": "maxExclusive",
    "maxExclusive": "maxInclusive",
}
_OTHER_WAY = {
    "minInclusive": "maxInclusive",
    "maxInclusive": "minInclusive",
    "minExclusive": "maxExclusive",
    "maxExclusive": "minExclusive",
}
_SIGN = {
    "minInclusive": ">=",
    "maxInclusive": "<=",
    "minExclusive": ">",
    "maxExclusive": "<",
}


# The kind that a rule is most easily taken for; of other kinds the next in the alphabet.
_NEAR_KIND = {
    "Contraindication": "Caution",
    "Caution": "Contraindication",
    "RequirementToKnow": "Caution",
    "HoldRule": "StopRule",
    "StopRule": "HoldRule",
}


@dataclass(frozen=True)
class Mutant:
    """One change. `nodes` are the changed expressions; `facts` the changed (property, values)."""

    group: str  # class, claim or rule
    subject: str  # local name
    kind: str
    what: str
    nodes: dict[str, Node] = field(default_factory=dict, compare=False)
    prop: str | None = field(default=None, compare=False)
    old: Any = field(default=None, compare=False)
    new: Any = field(default=None, compare=False)

    @property
    def name(self) -> str:
        return f"{self.subject} {self.kind}: {self.what}"


def local(name: str) -> str:
    return name.removeprefix(BASE)


class Generator:
    """Every mutant of a graph, in a fixed order."""

    def __init__(self, kg: KnowledgeGraph, knowledge: Knowledge) -> None:
        self.kg = kg
        self.knowledge = knowledge

    def _rows(self, sparql: str) -> list[tuple[Any, ...]]:
        return self.kg.select(sparql).rows

    # Classes

    @cached_property
    def defined(self) -> list[str]:
        """Named classes with a definition of their own."""
        rows = self._rows(
            "SELECT DISTINCT ?c WHERE { ?c owl:equivalentClass ?e FILTER(isIRI(?c)) }"
        )
        return sorted(str(c) for (c,) in rows)

    @cached_property
    def _labels(self) -> dict[str, str]:
        return {str(node): local(str(node)) for node in self.knowledge.nodes}

    @cached_property
    def _siblings(self) -> dict[str, list[str]]:
        """Individuals that share the most special class of one that has others."""
        rows = self._rows(
            "SELECT DISTINCT ?x ?c WHERE { ?x a owl:NamedIndividual ; a/rdfs:subClassOf* ?c ."
            " ?c a owl:Class }"
        )
        members: dict[str, set[str]] = defaultdict(set)
        kinds: dict[str, set[str]] = defaultdict(set)
        for x, c in rows:
            members[str(c)].add(str(x))
            kinds[str(x)].add(str(c))
        return {
            x: sorted(min((members[c] for c in own), key=lambda m: (len(m) < 2, len(m))))
            for x, own in kinds.items()
        }

    def sibling(self, individual: str, beside: tuple[str, ...] = ()) -> str | None:
        """The next individual of its class, round the alphabet, that does not stand beside it."""
        near = self._siblings.get(individual, [individual])
        return _next(individual, [each for each in near if each not in beside])

    def _sibling_class(self, name: str) -> str | None:
        for upper in self.knowledge.upper.get(name, ()):
            near = [
                each
                for each in sorted(self.knowledge.lower.get(upper, ()))
                if each.startswith(BASE)
            ]
            if len(near) > 1 and name in near:
                return _next(name, near)
        # An only child: the class above is the nearest other one.
        return next(
            (u for u in sorted(self.knowledge.upper.get(name, ())) if u in self._used), None
        )

    @cached_property
    def _used(self) -> set[str]:
        """Classes that some expression names."""
        return {part for node in self.knowledge.nodes.values() for part in node.parts} | {
            node.filler for node in self.knowledge.nodes.values() if node.filler
        }

    def own(self, name: str) -> list[str]:
        """The class and the unnamed expressions of its definition, outermost first."""
        found, waiting = [], [name]
        while waiting:
            node = waiting.pop(0)
            found.append(node)
            each = self.knowledge.nodes[node]
            waiting += sorted(
                (p for p in each.parts if not p.startswith(BASE) and p not in found),
                key=self.words,
            )
        return found

    def words(self, node: str, nodes: dict[str, Node] | None = None) -> str:
        """An expression in a few words, unnamed parts spelt out."""
        nodes = nodes or self.knowledge.nodes
        if node.startswith(BASE):
            return local(node)
        each = nodes[node]
        if each.all_of:
            return "(" + " and ".join(sorted(self.words(p, nodes) for p in each.all_of)) + ")"
        if each.any_of:
            return "(" + " or ".join(sorted(self.words(p, nodes) for p in each.any_of)) + ")"
        if each.negates:
            return "not " + self.words(each.negates[0], nodes)
        prop = local(each.prop or "")
        if each.value is not None:
            return f"{prop} value {local(str(each.value))}"
        if each.filler:
            number = "some" if each.count is None else f"min {each.count}"
            return f"{prop} {number} {self.words(each.filler, nodes)}"
        return " ".join([prop, *(f"{_SIGN[f]} {limit}" for f, limit in each.facets)])

    def of_class(self, name: str) -> Iterator[Mutant]:
        """Every mutant of one class; the same words at another place get a number."""
        seen: Counter[str] = Counter()
        for node in self.own(name):
            for kind, what, changed in self._changes(node):
                seen[f"{kind} {what}"] += 1
                number = seen[f"{kind} {what}"]
                place = f" ({number})" if number > 1 else ""
                yield Mutant("class", local(name), kind, what + place, nodes=changed)

    def _changes(self, name: str) -> Iterator[tuple[str, str, dict[str, Node]]]:
        node = self.knowledge.nodes[name]
        yield from self._of_limits(name, node)
        if node.value is not None:
            swapped = self._other_value(node.value)
            if swapped is not None:
                what = f"{self._prop(node)} value {_say(node.value)} -> {_say(swapped)}"
                yield "swap-value", what, {name: replace(node, value=swapped)}
        if node.filler and node.filler.startswith(BASE):
            other = self._sibling_class(node.filler)
            if other:
                what = f"{self._prop(node)} some {local(node.filler)} -> {local(other)}"
                yield "swap-filler", what, {name: replace(node, filler=other)}
        if node.count is not None:
            for kind, count in (("more", node.count + 1), ("fewer", node.count - 1)):
                if count > 0:
                    what = f"{self._prop(node)} min {node.count} -> {count}"
                    yield kind, what, {name: replace(node, count=count)}
        for part in node.negates:
            yield (
                "drop-negation",
                f"not {self.words(part)} -> {self.words(part)}",
                {name: replace(node, negates=(), all_of=(part,))},
            )
        yield from self._of_members(name, node)

    def _prop(self, node: Node) -> str:
        return local(node.prop or "")

    def _other_value(self, value: Any) -> Any:
        if isinstance(value, bool):
            return not value
        other = self.sibling(str(value)) if isinstance(value, Iri) else None
        return Iri(other) if other else None

    def _of_limits(self, name: str, node: Node) -> Iterator[tuple[str, str, dict[str, Node]]]:
        for at, (facet, limit) in enumerate(node.facets):
            step = self.step(node.prop or "", limit)
            for kind, changed in (
                ("limit-inclusive", (_OTHER_SIDE[facet], limit)),
                ("limit-direction", (_OTHER_WAY[facet], limit)),
                ("limit-up", (facet, limit + step)),
                ("limit-down", (facet, limit - step)),
            ):
                facets = (*node.facets[:at], changed, *node.facets[at + 1 :])
                what = (
                    f"{self._prop(node)} {_SIGN[facet]} {limit} -> {_SIGN[changed[0]]} {changed[1]}"
                )
                yield kind, what, {name: replace(node, facets=facets)}

    @cached_property
    def _whole_numbers(self) -> set[str]:
        fields = _integer_fields(PatientRecord.model_json_schema())
        rows = self._rows("SELECT ?p ?path WHERE { ?p her2kg:recordPath ?path }")
        return {str(p) for p, path in rows if path.rsplit(".", 1)[-1] in fields}

    def step(self, prop: str, limit: Decimal) -> Decimal:
        """One step of a limit: a whole number, a tenth for measures below 5, or its last digit."""
        limit = Decimal(limit)
        last = Decimal(1).scaleb(min(0, int(limit.normalize().as_tuple().exponent)))
        if prop in self._whole_numbers or limit >= 5:
            return min(Decimal(1), last)
        return min(Decimal("0.1"), last)

    def _of_members(self, name: str, node: Node) -> Iterator[tuple[str, str, dict[str, Node]]]:
        for members, one, other, drop, negate, swap in (
            (node.all_of, "all_of", "any_of", "drop-conjunct", "negate-conjunct", "and-to-or"),
            (node.any_of, "any_of", "all_of", "drop-disjunct", "negate-disjunct", "or-to-and"),
        ):
            shown = [part for part in members if not self._is_shadow(part)]
            for part in shown:
                shadows = [p for p in members if self._is_shadow(p) == part]
                rest = tuple(p for p in members if p != part and p not in shadows)
                words = self.words(part)
                if rest:
                    yield drop, words, {name: replace(node, **{one: rest})}
                opposite = f"not-{name}-{part}"
                changed = {name: replace(node, **{one: (*rest, opposite)})}
                changed[opposite] = Node(negates=(part,))
                yield negate, words, changed
            if len(shown) > 1:
                text = " , ".join(sorted(self.words(part) for part in shown))
                yield swap, text, {name: replace(node, **{one: (), other: tuple(shown)})}

    def _is_shadow(self, part: str) -> str | None:
        """The unnamed condition that a named stand-in of the closure rules repeats."""
        if not part.startswith(BASE) or "PopulationCondition" not in part:
            return None
        members = self.knowledge.nodes[part].all_of
        return members[0] if len(members) == 1 and not members[0].startswith(BASE) else None

    # Claims and rules

    def _values(self, subject: str, prop: str) -> list[Any]:
        rows = self._rows(f"SELECT ?v WHERE {{ her2kg:{subject} her2kg:{prop} ?v }} ORDER BY ?v")
        return [value for (value,) in rows]

    @cached_property
    def claims(self) -> list[str]:
        rows = self._rows("SELECT DISTINCT ?c WHERE { ?c her2kg:population ?p ; her2kg:basis ?b }")
        return sorted(c.local for (c,) in rows)

    @cached_property
    def _populations(self) -> list[str]:
        rows = self._rows("SELECT DISTINCT ?p WHERE { ?c her2kg:population ?p }")
        return sorted(str(p) for (p,) in rows)

    def of_claim(self, claim: str) -> Iterator[Mutant]:
        """Every mutant of one claim."""

        def change(kind: str, prop: str, old: Any, new: Any) -> Mutant:
            what = f"{_say(old)} -> {_say(new) if new is not None else 'none'}"
            return Mutant("claim", claim, kind, what, prop=prop, old=old, new=new)

        day = timedelta(days=1)
        for found in self._values(claim, "validFrom"):
            yield change("from-earlier", "validFrom", found, found - day)
            yield change("from-later", "validFrom", found, found + day)
        for found in self._values(claim, "validUntil"):
            yield change("until-earlier", "validUntil", found, found - day)
            yield change("until-later", "validUntil", found, found + day)
            yield change("until-never", "validUntil", found, None)
        for prop in ("setting", "basis", "jurisdiction"):
            for found in self._values(claim, prop):
                other = self.sibling(str(found))
                if other:
                    yield change(f"swap-{prop}", prop, found, Iri(other))
        for found in self._values(claim, "population"):
            other = _next(str(found), self._populations)
            yield change("swap-population", "population", found, Iri(other))

    @cached_property
    def rules(self) -> dict[str, list[str]]:
        """Safety rules with their kinds."""
        rows = self._rows(
            "SELECT ?r ?k WHERE { ?k rdfs:subClassOf* her2kg:SafetyRule . ?r a ?k } ORDER BY ?r ?k"
        )
        found: dict[str, list[str]] = defaultdict(list)
        for rule, kind in rows:
            found[rule.local].append(str(kind))
        return dict(found)

    def of_rule(self, rule: str) -> Iterator[Mutant]:
        """Every mutant of one safety rule."""

        def change(kind: str, prop: str, old: Any, new: Any) -> Mutant:
            what = f"{_say(old)} -> {_say(new)}"
            return Mutant("rule", rule, kind, what, prop=prop, old=old, new=new)

        kinds = sorted({kind for each in self.rules.values() for kind in each})
        for kind in self.rules[rule]:
            likely = BASE + _NEAR_KIND.get(local(kind), "")
            other = next(
                k
                for k in [likely, *_after(kind, kinds)]
                if k in kinds and k not in self.rules[rule]
            )
            yield change("swap-kind", "a", Iri(kind), Iri(other))
        targets = self._values(rule, "appliesTo")
        for found in targets:
            beside = tuple(str(target) for target in targets if target != found)
            other = self.sibling(str(found), beside)
            if other:
                yield change("swap-target", "appliesTo", found, Iri(other))
        for found in self._values(rule, "patientClass"):
            other = self._sibling_class(str(found))
            if other:
                yield change("swap-class", "patientClass", found, Iri(other))
        for found in self._values(rule, "jurisdiction"):
            other = self.sibling(str(found))
            if other:
                yield change("swap-territory", "jurisdiction", found, Iri(other))
        for found in self._values(rule, "validFrom"):
            yield change("rule-from-later", "validFrom", found, found + timedelta(days=1))

    def all(self) -> Iterator[Mutant]:
        for name in self.defined:
            yield from self.of_class(name)
        for claim in self.claims:
            yield from self.of_claim(claim)
        for rule in sorted(self.rules):
            yield from self.of_rule(rule)


def _integer_fields(schema: Any) -> set[str]:
    """Names of the fields of the patient record that hold whole numbers."""
    found: set[str] = set()
    if isinstance(schema, dict):
        for name, each in schema.get("properties", {}).items():
            kinds = [each.get("type"), *(part.get("type") for part in each.get("anyOf", []))]
            if "integer" in kinds and "number" not in kinds:
                found.add(name)
        for each in schema.values():
            found |= _integer_fields(each)
    return found


def _after(one: str, names: list[str]) -> list[str]:
    at = names.index(one) + 1
    return names[at:] + names[:at]


def _next(one: str, names: list[str]) -> str | None:
    others = [name for name in _after(one, names) if name != one]
    return others[0] if others else None


def _say(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    return local(str(value))
