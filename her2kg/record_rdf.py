"""The patient record as RDF, in the terms of the ontology: written and read."""

from __future__ import annotations

import hashlib
import logging
import math
import re
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from xml.sax import SAXParseException

from rdflib import OWL, RDF, XSD, BNode, Graph, Literal, URIRef
from rdflib.compare import to_canonical_graph
from rdflib.plugins.parsers.notation3 import BadSyntax

from her2kg.errors import DataError, EngineError, Fact, Problem, UnknownTerm, did_you_mean
from her2kg.namespaces import BASE
from her2kg.record_checks import completed_years, drugs_of
from her2kg.record_input import parse_json, read_bytes, read_text_of, refuse_large

if TYPE_CHECKING:
    from her2kg.records import Record

Term = URIRef | BNode | Literal
Triple = tuple[URIRef | BNode, URIRef, Term]

RDF_FORMATS = {".ttl": "turtle", ".nt": "nt", ".jsonld": "json-ld", ".rdf": "xml", ".owl": "owl"}

PATIENT = URIRef(f"{BASE}Patient")
COURSE = URIRef(f"{BASE}TherapyCourse")
TOXICITY = URIRef(f"{BASE}ToxicityEpisode")
RECORD_PATH = URIRef(f"{BASE}recordPath")
_UNRESOLVED = f"{BASE}toxicityUnresolved"

_NOT_RDF = {"her2_tests", "prior_therapies_complete", "conditions", "genomics", "notes"}
_BY_HAND = {"prior_therapies", "medications", "history.hypersensitivity"}
_CLOSED = {"judgement.special_circumstances"}
_ALIAS = {"her2_ish.result": "her2_ish"}
_DATATYPES = {
    "decimal": (XSD.decimal, XSD.integer, XSD.int, XSD.nonNegativeInteger, XSD.double),
    "date": (XSD.date,),
    "boolean": (XSD.boolean,),
    "string": (XSD.string, None),
}
_NOT_IN_IRIS = re.compile(r'[\x00-\x20<>"{}|\\^`]')
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
            self.add(node, iri, _literal(value, kind))

    def link(
        self, node: URIRef, path: str, targets: Iterable[str], *, closed: bool = False
    ) -> None:
        iri, _ = self.property(path)
        distinct = list(dict.fromkeys(URIRef(target) for target in targets))
        for target in distinct:
            self.add(node, iri, target)
        if closed:
            self.close(node, iri, len(distinct))

    def close(self, node: URIRef, iri: URIRef, count: int) -> None:
        """State that the listed values are all there are: a maximum cardinality."""
        restriction = self.blank("closure")
        self.add(node, RDF.type, restriction)
        self.add(restriction, RDF.type, OWL.Restriction)
        self.add(restriction, OWL.onProperty, iri)
        number = Literal(str(count), datatype=XSD.nonNegativeInteger)
        self.add(restriction, OWL.maxCardinality, number)

    def all_different(self, nodes: list[URIRef]) -> None:
        if len(nodes) < 2:
            return
        axiom = self.blank("different")
        cells = [self.blank("list") for _ in nodes]
        self.add(axiom, RDF.type, OWL.AllDifferent)
        self.add(axiom, OWL.distinctMembers, cells[0])
        for cell, node, rest in zip(cells, nodes, [*cells[1:], RDF.nil], strict=True):
            self.add(cell, RDF.first, node)
            self.add(cell, RDF.rest, rest)

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


def _literal(value: Any, kind: str) -> Literal:
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


# Reading


def read_rdf(source: str | Path | bytes, names: Names) -> tuple[list[Triple], str]:
    """Read a patient in Turtle, N-Triples, JSON-LD or RDF/XML.

    Shape: the triples without ontology headers, and the IRI of the one her2kg:Patient; bytes
    are taken by their look. Numbers become xsd:decimal. Nothing is fetched from a network.
    Errors: one DataError for a syntax error, or for every statement the ontology does not know.
    """
    if isinstance(source, bytes):
        place, suffix = "record", ""
        refuse_large(len(source), place)
        content = source
    else:
        place, suffix = str(source), Path(source).suffix.lower()
        content = read_bytes(Path(source), "one patient in RDF")
    graph = _parse(read_text_of(content, place), RDF_FORMATS.get(suffix, "owl"), place)
    for header in list(graph.subjects(RDF.type, OWL.Ontology)):
        graph.remove((header, None, None))
    patients = sorted(str(node) for node in set(graph.subjects(RDF.type, PATIENT)))
    if len(patients) != 1 or isinstance(next(graph.subjects(RDF.type, PATIENT)), BNode):
        given = f"{len(patients)} patients" if len(patients) != 1 else "a patient without an IRI"
        accepted = "exactly one individual with an IRI of the class her2kg:Patient"
        raise DataError([Problem(place, Fact(given), accepted)])
    problems = {str(problem): problem for problem in _check(graph, URIRef(patients[0]), names)}
    if problems:
        raise DataError([problems[text] for text in sorted(problems)], place)
    numeric = {URIRef(str(iri)) for iri, kind in names.properties().values() if kind == "decimal"}
    triples = [
        (s, p, _literal(value.toPython(), "decimal") if p in numeric else value)
        for s, p, value in graph
    ]
    return sorted(triples, key=lambda triple: [term.n3() for term in triple]), patients[0]


def _parse(text: str, syntax: str, place: str) -> Graph:
    start = text.lstrip()
    if syntax == "owl":
        looks_xml = start.startswith(("<?xml", "<rdf:", "<!DOCTYPE"))
        syntax = "xml" if looks_xml else "json-ld" if start[:1] in ("{", "[") else "turtle"
    if syntax == "json-ld":
        data, problems = parse_json(text, place)
        problems += _remote_contexts(data, place)
        if problems:
            raise DataError(problems)
    rdflib_log = logging.getLogger("rdflib.term")
    level = rdflib_log.level
    rdflib_log.setLevel(logging.CRITICAL)  # values of the wrong type are reported by _check
    try:
        return Graph().parse(data=text, format=syntax, publicID=BASE.removesuffix("#"))
    except Exception as error:  # noqa: BLE001 - rdflib's parsers raise errors of any kind
        given = Fact(f"text that is not {syntax} ({_reason(error)})")
        accepted = "one patient in Turtle, N-Triples, JSON-LD or RDF/XML; correct the syntax"
        raise DataError([Problem(place, given, accepted)]) from None
    finally:
        rdflib_log.setLevel(level)


def _reason(error: Exception) -> str:
    if isinstance(error, BadSyntax):
        return f"line {error.lines + 1}: {' '.join(str(error._why).split())}"
    if isinstance(error, SAXParseException):
        return f"line {error.getLineNumber()}: {error.getMessage()}"
    if isinstance(error, IndexError):
        return "it ends in the middle of a statement"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    words = " ".join(str(error).split())
    return words[:120] or type(error).__name__


def _remote_contexts(data: Any, place: str) -> Iterator[Problem]:
    stack = [data]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            context = item.get("@context")
            contexts = context if isinstance(context, list) else [context]
            remote = [c for c in contexts if isinstance(c, str)]
            remote += [v for k, v in item.items() if k == "@import"]
            for address in remote:
                accepted = "a context written in the file; nothing is fetched from a network"
                yield Problem(f"{place}, @context", address, accepted)
            stack.extend(item.values())


def _check(graph: Graph, patient: URIRef, names: Names) -> Iterator[Problem]:
    """Find the statements that the ontology does not know, or that are not about the patient."""
    kinds = {str(iri): kind for iri, kind in names.properties().values()}
    words = sorted(_short(iri) for iri in kinds)
    about = _reachable(graph, patient, names)
    for subject in sorted(set(graph.subjects()), key=str):
        if subject not in about:
            accepted = "statements about the patient and what hangs off it only"
            yield Problem(_short(subject), Fact("as a subject"), accepted)
    for triple in graph:
        subject, predicate, value = triple
        for term in triple:
            if isinstance(term, URIRef) and _NOT_IN_IRIS.search(term):
                yield Problem(_short(subject), str(term), "an IRI without spaces and brackets")
        at = f"{_short(subject)} {_short(predicate)}"
        if str(predicate).startswith(BASE):
            kind = kinds.get(str(predicate))
            if kind is None and not names.is_term(str(predicate)):
                close = ", ".join(did_you_mean(_short(predicate), words))
                hint = f"; did you mean {close}?" if close else ""
                yield Problem(at, Fact("an unknown property"), f"a property of the schema{hint}")
            elif kind is not None:
                yield from _check_value(at, value, kind)
        if isinstance(value, URIRef) and value.startswith(BASE) and value not in about:
            known = str(value) in kinds or names.is_term(str(value))
            if not known:
                yield Problem(at, Fact(_short(value)), "an individual or class of the ontology")


def _check_value(at: str, value: Term, kind: str) -> Iterator[Problem]:
    if kind == "object":
        if isinstance(value, Literal):
            yield Problem(at, str(value), "an individual of the ontology, not a text or number")
        return
    accepted = {
        "decimal": "a finite number, such as one of type xsd:decimal, without a unit",
        "date": "a day of type xsd:date",
        "boolean": "true or false of type xsd:boolean",
        "string": "plain text",
    }[kind]
    fits = isinstance(value, Literal) and value.datatype in _DATATYPES[kind]
    if fits and kind == "decimal" and not value.ill_typed:
        fits = math.isfinite(value.toPython())
    if not fits or value.ill_typed or value.language:
        yield Problem(at, str(value), accepted)


def _reachable(graph: Graph, patient: URIRef, names: Names) -> set[Term]:
    """Collect the patient, its courses and axioms, but no term of the knowledge itself."""
    found: set[Term] = set()
    stack: list[Any] = [patient, *graph.subjects(RDF.type, OWL.AllDifferent)]
    while stack:
        node = stack.pop()
        if node in found or isinstance(node, Literal) or names.is_term(str(node)):
            continue
        if (node, None, None) in graph:
            found.add(node)
            stack.extend(graph.objects(node))
    return found


def fingerprint(triples: list[Triple], iri: str, names: Names) -> tuple[str, date | None, str]:
    """Give the id, the reference date and the SHA-256 of a record that came as RDF."""
    paths = {path: URIRef(str(prop)) for path, (prop, _) in names.properties().items()}
    graph = Graph()
    for triple in triples:
        graph.add(triple)
    identifier = graph.value(URIRef(iri), paths.get("id"))
    as_of = graph.value(URIRef(iri), paths.get("as_of"))
    lines = to_canonical_graph(graph).serialize(format="nt", encoding="utf-8").splitlines()
    digest = hashlib.sha256(b"\n".join(sorted(line for line in lines if line))).hexdigest()
    name = str(identifier) if identifier is not None else iri.removeprefix(f"{BASE}patient_")
    return name, as_of.toPython() if as_of is not None else None, digest


def _short(iri: Term | str) -> str:
    return f"her2kg:{iri[len(BASE) :]}" if iri.startswith(BASE) else str(iri)
