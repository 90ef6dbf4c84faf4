"""Write the patient record as RDF, in the terms of the ontology."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from rdflib import OWL, RDF, XSD, BNode, Literal, URIRef

from her2kg.errors import EngineError, UnknownTerm, did_you_mean
from her2kg.namespaces import BASE
from her2kg.record_checks import completed_years, drugs_of
from her2kg.record_tnm import categories, read_nodes

if TYPE_CHECKING:
    from her2kg.records import Record

Term = URIRef | BNode | Literal
Triple = tuple[URIRef | BNode, URIRef, Term]

PATIENT = URIRef(f"{BASE}Patient")
COURSE = URIRef(f"{BASE}TherapyCourse")
TOXICITY = URIRef(f"{BASE}ToxicityEpisode")
HER2_TEST = URIRef(f"{BASE}Her2Test")
RECORD_PATH = URIRef(f"{BASE}recordPath")
_UNRESOLVED = f"{BASE}toxicityUnresolved"
_METASTASIS = URIRef(f"{BASE}metastasisInTnm")

_NOT_RDF = {"prior_therapies_complete", "conditions", "genomics", "notes"}
_BY_HAND = {"her2_tests", "prior_therapies", "medications", "history.hypersensitivity"}
_CLOSED = {"judgement.special_circumstances"}
_ALIAS = {"her2_ish.result": "her2_ish", "her2_tests.ish.result": "her2_tests.ish"}
_MEDICINE_KINDS = ("concomitant medicine",)


class Names(Protocol):
    """What the record needs to know of the graph; names.py provides it."""

    def resolve(self, name: str, kinds: tuple[str, ...]) -> str:
        """Give the IRI of a name of one of the kinds, or raise UnknownTerm."""

    def ingredients(self, iri: str) -> list[str]:
        """Give the drugs in a drug, product or regimen."""

    def properties(self) -> dict[str, tuple[str, str]]:
        """Map each record path to its property and the kind of its value."""

    def value(self, property_iri: str, notation: str) -> str:
        """Give the individual that a record value stands for."""

    def is_term(self, iri: str) -> bool:
        """Say whether the graph defines a term of this IRI."""


def to_triples(record: Record, names: Names, *, today: date | None = None) -> list[Triple]:
    """Write a record as RDF, with the OWL closure of every list that is complete.

    Shape: triples of rdflib terms; blank nodes are the same at every call. A record that came
    as RDF is given back as it came.
    Units: ages in completed years at as_of, or at `today`; others as the property names say.
    Errors: EngineError if the ontology has no property for a stated field.
    """
    if record.rdf is not None:
        return list(record.rdf)
    writer = _Writer(record.iri, names)
    writer.patient(record, record.as_of or today or date.today())
    return writer.triples


class _Writer:
    """Collects the triples of one patient."""

    def __init__(self, iri: str, names: Names) -> None:
        self.iri, self.names = URIRef(iri), names
        self.slug = iri.removeprefix(f"{BASE}patient_")
        self.by_path = {
            re.sub(r"\[[^\]]*\]", "", path): (URIRef(str(iri)), kind)
            for path, (iri, kind) in names.properties().items()
        }
        self.triples: list[Triple] = []
        self.counts: dict[str, int] = {}

    def patient(self, record: Record, day: date) -> None:
        data = record.model.model_dump(exclude_none=True)
        data["as_of"] = day
        if "age" not in data and "birth_date" in data:
            data["age"] = completed_years(data["birth_date"], day)
        self.add(self.iri, RDF.type, PATIENT)
        for path, value in _flat(data):
            if path not in _NOT_RDF and path not in _BY_HAND:
                self.state(self.iri, _ALIAS.get(path, path), value, closed=path in _CLOSED)
        self.staging(data)
        tests = data.get("her2_tests", [])
        nodes = [URIRef(f"{self.iri}_her2_test_{n}") for n in range(1, len(tests) + 1)]
        if nodes:
            self.link(self.iri, "her2_tests", nodes)
            self.all_different(nodes)
        for node, test in zip(nodes, tests, strict=True):
            self.her2_test(node, test)
        hypersensitivity = data.get("history", {}).get("hypersensitivity")
        if hypersensitivity is not None:
            drugs = drugs_of(self.names, hypersensitivity)
            self.link(self.iri, "history.hypersensitivity", drugs, closed=True)
        if "medications" in data:
            known = [self.medicine(name) for name in data["medications"]]
            stated = [iri for iri in known if iri is not None]
            self.link(self.iri, "medications", stated, closed=None not in known)
        courses = data.get("prior_therapies", [])
        nodes = [URIRef(f"{self.iri}_course_{n}") for n in range(1, len(courses) + 1)]
        complete = data.get("prior_therapies_complete") is True
        if nodes or complete:
            self.link(self.iri, "prior_therapies", nodes, closed=complete)
        self.all_different(nodes)
        for index, (node, course) in enumerate(zip(nodes, courses, strict=True)):
            self.course(node, course, f"prior_therapies[{index}]")

    def staging(self, data: dict[str, Any]) -> None:
        """Write the categories of tnm and nodes, and the number of nodes."""
        for category in categories(data.get("tnm"), data.get("nodes")):
            if category.letter == "M":
                self.add(self.iri, _METASTASIS, literal(category.name != "M0", "boolean"))
            elif category.property is not None:
                iri = BASE + category.property
                self.add(self.iri, URIRef(iri), URIRef(self.names.value(iri, category.name)))
        by_nodes = read_nodes(data.get("nodes", ""))
        if by_nodes and by_nodes[1] is not None and "positive_nodes" not in data:
            self.state(self.iri, "positive_nodes", by_nodes[1])

    def her2_test(self, node: URIRef, test: dict[str, Any]) -> None:
        self.add(node, RDF.type, HER2_TEST)
        for path, value in _flat(test, "her2_tests."):
            self.state(node, _ALIAS.get(path, path), value)

    def course(self, node: URIRef, course: dict[str, Any], path: str) -> None:
        self.add(node, RDF.type, COURSE)
        self.add(node, RECORD_PATH, Literal(path, datatype=XSD.string))
        regimen, drugs = course.pop("regimen", None), course.pop("drugs", None)
        events = course.pop("adverse_events", None)
        if regimen is not None:
            self.link(node, "prior_therapies.regimen", [BASE + regimen])
        if regimen is not None or drugs is not None:
            self.link(node, "prior_therapies.drugs", self.given(regimen, drugs), closed=True)
        for key, value in course.items():
            self.state(node, f"prior_therapies.{key}", value)
        if events is None:
            return
        nodes = [URIRef(f"{node}_toxicity_{n}") for n in range(1, len(events) + 1)]
        self.link(node, "prior_therapies.adverse_events", nodes, closed=True)
        self.all_different(nodes)
        for episode, event in zip(nodes, events, strict=True):
            self.toxicity(episode, event)

    def toxicity(self, node: URIRef, event: dict[str, Any]) -> None:
        under = "prior_therapies.adverse_events"
        self.add(node, RDF.type, TOXICITY)
        self.link(node, f"{under}.event", [BASE + event.pop("event")])
        if event.get("resolved") is False:
            del event["resolved"]
            self.by_path.setdefault(f"{under}.unresolved", (URIRef(_UNRESOLVED), "boolean"))
            event["unresolved"] = True
        for key, value in event.items():
            self.state(node, f"{under}.{key}", value)

    def given(self, regimen: str | None, drugs: list[str] | None) -> list[str]:
        """Give the drugs of a course: those listed or, without a list, those of the regimen."""
        if drugs is not None:
            return drugs_of(self.names, drugs)
        return drugs_of(self.names, [regimen]) if regimen is not None else []

    def medicine(self, name: str) -> str | None:
        try:
            return str(self.names.resolve(name, _MEDICINE_KINDS))
        except UnknownTerm:
            return None

    def state(self, node: URIRef, path: str, value: Any, *, closed: bool = False) -> None:
        """Write a plain value, or each of a list of them, with the property of its path."""
        iri, kind = self.property(path)
        if kind == "object":
            words = value if isinstance(value, list) else [value]
            self.link(node, path, [self.names.value(str(iri), w) for w in words], closed=closed)
        else:
            self.add(node, iri, literal(value, kind))

    def link(
        self, node: URIRef, path: str, targets: Iterable[str], *, closed: bool = False
    ) -> None:
        iri, _ = self.property(path)
        distinct = list(dict.fromkeys(URIRef(target) for target in targets))
        for target in distinct:
            self.add(node, iri, target)
        if closed:
            self.close(node, iri, distinct)

    def close(self, node: URIRef, iri: URIRef, values: list[URIRef]) -> None:
        """State that the listed values are all there are: a maximum cardinality.

        Two names may stand for one thing, as a drug and "of its class, not stated which", so that
        a number alone would leave room for another: of several values, it is also only these.
        """
        number = Literal(str(len(values)), datatype=XSD.nonNegativeInteger)
        self.restrict(node, iri, OWL.maxCardinality, number)
        if len(values) > 1:
            these = self.blank("values")
            self.add(these, RDF.type, OWL.Class)
            self.add(these, OWL.oneOf, self.list_of(values))
            self.restrict(node, iri, OWL.allValuesFrom, these)

    def restrict(self, node: URIRef, iri: URIRef, how: URIRef, value: Term) -> None:
        restriction = self.blank("closure")
        self.add(node, RDF.type, restriction)
        self.add(restriction, RDF.type, OWL.Restriction)
        self.add(restriction, OWL.onProperty, iri)
        self.add(restriction, how, value)

    def list_of(self, nodes: list[URIRef]) -> BNode:
        cells = [self.blank("list") for _ in nodes]
        for cell, node, rest in zip(cells, nodes, [*cells[1:], RDF.nil], strict=True):
            self.add(cell, RDF.first, node)
            self.add(cell, RDF.rest, rest)
        return cells[0]

    def all_different(self, nodes: list[URIRef]) -> None:
        if len(nodes) < 2:
            return
        axiom = self.blank("different")
        self.add(axiom, RDF.type, OWL.AllDifferent)
        self.add(axiom, OWL.distinctMembers, self.list_of(nodes))

    def property(self, path: str) -> tuple[URIRef, str]:
        if path not in self.by_path:
            close = did_you_mean(path, self.by_path)
            hint = f" The nearest: {', '.join(close)}." if close else ""
            raise EngineError(
                f"the ontology has no property with the record path '{path}';{hint} "
                "Add her2kg:recordPath in ontology/schema.ttl"
            )
        return self.by_path[path]

    def blank(self, word: str) -> BNode:
        self.counts[word] = self.counts.get(word, 0) + 1
        return BNode(f"{self.slug}_{word}_{self.counts[word]}")

    def add(self, subject: URIRef | BNode, predicate: URIRef, value: Term) -> None:
        self.triples.append((subject, predicate, value))


def _flat(data: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        path = prefix + key
        if isinstance(value, dict) and path not in _NOT_RDF:
            yield from _flat(value, f"{path}.")
        else:
            yield path, value


def literal(value: Any, kind: str) -> Literal:
    """Write a value as an RDF literal of the kind that its property takes."""
    if kind == "boolean":
        return Literal("true" if value else "false", datatype=XSD.boolean)
    if kind == "decimal":
        number = Decimal(str(value))
        whole = number == number.to_integral_value()
        text = str(int(number)) if whole else format(number.normalize(), "f")
        return Literal(text, datatype=XSD.decimal)
    if kind == "date":
        return Literal(value.isoformat(), datatype=XSD.date)
    return Literal(str(value), datatype=XSD.string)
