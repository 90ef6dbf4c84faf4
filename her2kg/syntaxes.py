"""Read the syntaxes in which ontologies are saved: Turtle, RDF/XML and OWL/XML."""

from __future__ import annotations

import io
import re
import types
import xml.etree.ElementTree as ET
from typing import Any, Literal

from her2kg.engines import parse_terms
from her2kg.errors import DataError, Fact, Problem
from her2kg.namespaces import PREFIXES

XSD, _OWL = PREFIXES["xsd"], PREFIXES["owl"]
# Only forms that every parser keeps: rdflib reads 007 as 7, 0.0000001 as 1E-7 and 1e3 as 1000.0.
_SHORTHAND = {
    f"{XSD}integer": re.compile(r"(?:0|-?[1-9][0-9]*)\Z"),
    f"{XSD}decimal": re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]{1,6}\Z"),
    f"{XSD}boolean": re.compile(r"(?:true|false)\Z"),
}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED = re.compile(r'[\\"\x00-\x1f\x7f\x85\u2028\u2029\ufeff]')

# A term is held as its N-Triples text: "<iri>", "_:label" or '"literal"...' in its Turtle form.
Triple = tuple[str, str, str]
Syntax = Literal["turtle", "nt", "xml", "owlxml", "functional"]
SYNTAXES: dict[Syntax, str] = {
    "turtle": "Turtle",
    "nt": "N-Triples",
    "xml": "RDF/XML",
    "owlxml": "OWL/XML",
    "functional": "functional or Manchester syntax",
}
_FUNCTIONAL = re.compile(r"\s*(?:#.*\n\s*)*(?:Prefix|Ontology)(?:\(|: )")

# What owlready2 reads faithfully; of anything else it drops a part without a word.
_AXIOMS = frozenset(
    [
        "Prefix",
        "Import",
        "Annotation",
        "Declaration",
        "SubClassOf",
        "EquivalentClasses",
        "DisjointClasses",
        "DisjointUnion",
        "SubObjectPropertyOf",
        "SubDataPropertyOf",
        "SubAnnotationPropertyOf",
        "FunctionalObjectProperty",
        "FunctionalDataProperty",
        "TransitiveObjectProperty",
        "SymmetricObjectProperty",
        "ObjectPropertyDomain",
        "ObjectPropertyRange",
        "DataPropertyDomain",
        "DataPropertyRange",
        "AnnotationPropertyDomain",
        "AnnotationPropertyRange",
        "ClassAssertion",
        "ObjectPropertyAssertion",
        "DataPropertyAssertion",
        "AnnotationAssertion",
        "SameIndividual",
        "DifferentIndividuals",
    ]
)
_PAIRS = ("EquivalentClasses", "SameIndividual")
_MISREAD = frozenset(
    [
        "AnonymousIndividual",
        "DataComplementOf",
        "DataExactCardinality",
        "DataIntersectionOf",
        "DataMaxCardinality",
        "DataMinCardinality",
        "DataUnionOf",
    ]
)


def parse_turtle(text_or_graph: Any, *, path: str = "Turtle text") -> set[Triple]:
    """Read Turtle text or an rdflib graph into triples of N-Triples terms.

    Text may also be RDF/XML or OWL/XML, which are told by their first element.

    Shape: a set of (subject, predicate, object); numbers keep their lexical form.
    Errors: DataError naming `path` and the line if the text is in none of these syntaxes.
    """
    if isinstance(text_or_graph, str | bytes):
        return parse_text(text_or_graph, path, syntax_of(text_or_graph))
    return parse_text(text_or_graph.serialize(format="nt"), path, "nt")


def syntax_of(text: str | bytes) -> Syntax:
    """Tell in which syntax an ontology is written: by what it begins with, not by its name."""
    head = text[:10_000] if isinstance(text, str) else text[:10_000].decode(errors="replace")
    if not head.lstrip("\ufeff \t\r\n").startswith(("<?xml", "<!DOCTYPE", "<rdf:", "<Ontology")):
        return "functional" if _FUNCTIONAL.match(head) else "turtle"
    return "xml" if re.search(r"<rdf:RDF\b", head) else "owlxml"


def parse_text(text: str | bytes, path: str, syntax: Syntax) -> set[Triple]:
    """Read a text of a known syntax; as `parse_turtle` otherwise."""
    data = (text.encode() if isinstance(text, str) else text).removeprefix(b"\xef\xbb\xbf")
    if syntax == "functional":
        accepted = "Turtle, RDF/XML or OWL/XML; save it so in Protege"
        raise DataError([Problem(path, Fact("functional or Manchester syntax"), accepted)])
    try:
        if syntax == "owlxml":
            return _owlxml(data)
        return parse_terms(data, syntax, _literal)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f"{path}, line {line}" if line else path
        if syntax == "owlxml" and not line:
            accepted = "OWL/XML that can be read whole; save it as Turtle in Protege"
            raise DataError([Problem(place, Fact(error), accepted)]) from error
        given = data.split(b"\n")[line - 1].decode(errors="replace").strip() if line else str(error)
        reason = re.sub(r"^Parser error at line.*?: | \(line \d+\)$", "", str(error))
        accepted = f"valid {SYNTAXES[syntax]} ({reason})"
        raise DataError([Problem(place, given, accepted)]) from error


def _literal(value: str, language: str | None, datatype: str) -> str:
    pattern = _SHORTHAND.get(datatype)
    if pattern and pattern.match(value):
        return value
    quoted = '"' + _ESCAPED.sub(_escape, value) + '"'
    if language:
        return f"{quoted}@{language}"
    return quoted if datatype == f"{XSD}string" else f"{quoted}^^<{datatype}>"


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0]) or f"\\u{ord(match[0]):04X}"


# OWL/XML


def _owlxml(data: bytes) -> set[Triple]:
    """Read OWL/XML into triples.

    Errors: SyntaxError, with `lineno` where it is known, for what is not OWL/XML or is an axiom
    that would not be read whole.
    """
    _refuse_what_would_be_lost(data)
    import owlready2.owlxml_2_ntriples as reader

    triples: set[Triple] = set()

    def term(name: str) -> str:
        return name if name.startswith("_:") else f"<{name}>"

    def link(subject: str, predicate: str, value: str) -> None:
        triples.add((term(subject), term(predicate), term(value)))

    def data_value(subject: str, predicate: str, value: str, kind: str | None) -> None:
        kind = kind or f"{XSD}string"
        if kind.startswith("@"):
            text = _literal(value, kind[1:].lower(), "")
        else:
            text = _literal(value, None, kind)
        triples.add((term(subject), term(predicate), text))

    # The same function, but one that keeps numbers as they are written.
    exact: dict[str, Any] = {**vars(reader), "INT_DATATYPES": (), "FLOAT_DATATYPES": ()}
    parse = types.FunctionType(reader.parse.__code__, exact, "parse", (None,) * 3 + ("",))
    try:
        parse(io.BytesIO(data), link, data_value)
    except reader.OwlReadyOntologyParsingError as error:
        raise SyntaxError(str(error.__cause__ or error)) from error
    return triples


def _refuse_what_would_be_lost(data: bytes) -> None:
    try:
        root = ET.fromstring(data)
    except ET.ParseError as error:
        raise _at(error.position[0], str(error)) from error
    for axiom in root:
        names = {part.tag.removeprefix(f"{{{_OWL}}}") for part in axiom.iter()}
        name = axiom.tag.removeprefix(f"{{{_OWL}}}")
        parts = [part for part in axiom if part.tag != f"{{{_OWL}}}Annotation"]
        lost = sorted(names & _MISREAD)
        if name not in _AXIOMS:
            lost = [name]
        elif name in _PAIRS and len(parts) != 2:
            lost = [f"{name} of {len(parts)}"]
        if lost:
            raise SyntaxError(f"{lost[0]}, of which a part would be lost")


def _at(line: int, message: str) -> SyntaxError:
    error = SyntaxError(message)
    error.lineno = line
    return error
