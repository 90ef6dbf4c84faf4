"""Read a patient record that comes as RDF; no statement outside the ontology passes."""

from __future__ import annotations

import hashlib
import logging
import math
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from xml.sax import SAXParseException

from rdflib import OWL, RDF, XSD, BNode, Graph, Literal, URIRef
from rdflib.compare import to_canonical_graph
from rdflib.plugins.parsers.notation3 import BadSyntax

from her2kg.errors import DataError, Fact, Problem, did_you_mean
from her2kg.namespaces import BASE
from her2kg.record_input import parse_json, read_bytes, read_text_of, refuse_large
from her2kg.record_rdf import PATIENT, Names, Term, Triple, literal

RDF_FORMATS = {".ttl": "turtle", ".nt": "nt", ".jsonld": "json-ld", ".rdf": "xml", ".owl": "owl"}
_DATATYPES = {
    "decimal": (XSD.decimal, XSD.integer, XSD.int, XSD.nonNegativeInteger, XSD.double),
    "date": (XSD.date,),
    "boolean": (XSD.boolean,),
    "string": (XSD.string, None),
}
_NOT_IN_IRIS = re.compile(r'[\x00-\x20<>"{}|\\^`]')


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
        (s, p, literal(value.toPython(), "decimal") if p in numeric else value)
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


def _short(iri: Term | str) -> str:
    return f"her2kg:{iri[len(BASE) :]}" if iri.startswith(BASE) else str(iri)
