"""Write canonical Turtle: one accepted form for every file of the ontology.

`format_turtle` turns any Turtle (hand-written, saved by Protege, an rdflib graph) into that form;
`tree.py` applies it to the files of the ontology.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from her2kg import namespaces
from her2kg.engines import canonical_blanks
from her2kg.syntaxes import Triple, parse_text, parse_turtle

BASE = namespaces.ONTOLOGY
RDF, RDFS, OWL, XSD = (namespaces.PREFIXES[name] for name in ("rdf", "rdfs", "owl", "xsd"))
PREFIXES = {
    **namespaces.PREFIXES,
    "dcat": "http://www.w3.org/ns/dcat#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "prov": "http://www.w3.org/ns/prov#",
    "schema": "https://schema.org/",
    "sh": "http://www.w3.org/ns/shacl#",
    "spdx": "http://spdx.org/rdf/terms#",
    "vann": "http://purl.org/vocab/vann/",
    "void": "http://rdfs.org/ns/void#",
}

WIDTH = 100
INDENT = "    "

_TYPE, _LABEL = f"<{RDF}type>", f"<{RDFS}label>"
_FIRST, _REST, _NIL = f"<{RDF}first>", f"<{RDF}rest>", f"<{RDF}nil>"
_ONTOLOGY, _FACETS = f"<{OWL}Ontology>", f"<{OWL}withRestrictions>"
# Lists whose order says nothing; OWL tools keep them as sets and write them in their own order.
_SETS = {
    f"<{OWL}{name}>"
    for name in (
        "disjointUnionOf",
        "distinctMembers",
        "intersectionOf",
        "members",
        "oneOf",
        "unionOf",
    )
} | {_FACETS}
_BOTH_WAYS = {
    f"<{OWL}{name}>" for name in ("differentFrom", "disjointWith", "propertyDisjointWith")
}
_IS_DATATYPE = (_TYPE, f"<{RDFS}Datatype>")
# The OWL API (so Protege) loses the statement that follows an import of the same subject.
_PLACES = {_TYPE: 0, _LABEL: 1, f"<{OWL}imports>": 3}
_SECTIONS = {
    _ONTOLOGY: 0,
    f"<{OWL}Class>": 1,
    f"<{RDFS}Class>": 1,
    f"<{RDFS}Datatype>": 1,
    f"<{OWL}ObjectProperty>": 2,
    f"<{OWL}DatatypeProperty>": 3,
    f"<{OWL}AnnotationProperty>": 4,
}
_INDIVIDUAL, _FOREIGN = 5, 6
_LOCAL_NAME = re.compile(r"[A-Za-z_0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9_-])?\Z")


def format_turtle(text_or_graph: Any, *, path: str = "Turtle text") -> str:
    """Write Turtle text or an rdflib graph in the one accepted form.

    Shape: UTF-8 text with LF line ends; formatting it again returns it unchanged; comments go.
    Units: literals keep their lexical form; language tags are written in lower case.
    Errors: DataError naming `path` and the line if the text is not Turtle.
    """
    return write_turtle(parse_turtle(text_or_graph, path=path))


def write_turtle(triples: set[Triple]) -> str:
    """Write triples as `parse_turtle` gives them in the one accepted form.

    Shape: as `format_turtle`. What says nothing is made alike, since OWL tools write it their
    way: the order within sets, which of two disjoint classes comes first, and that a datatype of
    XML Schema is a datatype.
    """
    triples = {_one_way(t) for t in triples if t[1:] != _IS_DATATYPE or not _is_xsd(t[0])}
    shared = _shared_blanks(triples)
    if shared:
        triples = _stable_labels(triples)
        shared = _shared_blanks(triples)
    return _Writer(triples, shared).document()


def _is_xsd(term: str) -> bool:
    return term.startswith(f"<{XSD}")


def _one_way(triple: Triple) -> Triple:
    """Write what holds both ways from the name that comes first."""
    left, predicate, right = triple
    if predicate in _BOTH_WAYS and left[0] == right[0] == "<" and right < left:
        return right, predicate, left
    return triple


def module_iri(triples: Iterable[Triple]) -> str | None:
    """Give the IRI of the owl:Ontology in these triples, or None."""
    iris = sorted(s[1:-1] for s, p, o in triples if p == _TYPE and o == _ONTOLOGY and s[0] == "<")
    return iris[0] if iris else None


# Writing


def _shared_blanks(triples: set[Triple]) -> set[str]:
    """Find the blank nodes that cannot be nested: referred to twice, or part of a cycle."""
    uses: dict[str, list[str]] = {}
    blanks: set[str] = set()
    for s, _, o in triples:
        blanks.update(term for term in (s, o) if term.startswith("_:"))
        if o.startswith("_:"):
            uses.setdefault(o, []).append(s)
    shared = {blank for blank, users in uses.items() if len(users) > 1}
    for blank in blanks - shared:
        seen: set[str] = set()
        node = blank
        while node.startswith("_:") and node not in seen and node not in shared and node in uses:
            seen.add(node)
            node = uses[node][0]
        if node in seen:
            shared |= seen
    return shared


def _stable_labels(triples: set[Triple]) -> set[Triple]:
    """Rename the blank nodes after their content (RDFC-1.0), so that labels do not wander."""
    text = "".join(f"{s} {p} {o} .\n" for s, p, o in triples)
    return parse_text(canonical_blanks(text.encode()), "Turtle text", "nt")


def _names_first(item: str) -> tuple[bool, str]:
    """Order what is written in a list: names before expressions, whatever their line breaks."""
    return item.startswith(("[", "(")), " ".join(item.split())


class _Writer:
    """One graph while it is written."""

    def __init__(self, triples: set[Triple], shared: set[str]) -> None:
        self.shared = shared
        self.prefixes: set[str] = set()
        self.facts: dict[str, dict[str, list[str]]] = {}
        self.nested: set[str] = set()
        for s, p, o in triples:
            self.facts.setdefault(s, {}).setdefault(p, []).append(o)
            if o.startswith("_:") and o not in shared:
                self.nested.add(o)

    def document(self) -> str:
        blocks = [
            (*self._place(subject), self._block(subject))
            for subject in self.facts
            if subject not in self.nested
        ]
        body = "\n".join(block for *_, block in sorted(blocks))
        head = "".join(f"@prefix {p}: <{PREFIXES[p]}> .\n" for p in sorted(self.prefixes))
        return f"{head}\n{body}" if head and body else head + body

    def _place(self, subject: str) -> tuple[int, str]:
        """Give the section and the order within it."""
        if subject.startswith("_:"):
            return (8, subject) if subject in self.shared else (7, "")
        types = self.facts[subject].get(_TYPE, ())
        if _ONTOLOGY in types:
            return 0, subject
        if not subject.startswith((f"<{BASE}#", f"<{BASE}/", f"<{BASE}>")):
            return _FOREIGN, subject
        return min((_SECTIONS.get(t, _INDIVIDUAL) for t in types), default=_INDIVIDUAL), subject

    def _block(self, subject: str) -> str:
        named = not subject.startswith("_:") or subject in self.shared
        lines = [self._term(subject) if named else "[]"]
        lines += [f"{INDENT}{fact} ;" for fact in self._pairs(subject, 1)]
        return "\n".join([*lines, f"{INDENT}.", ""])

    def _pairs(self, subject: str, depth: int) -> list[str]:
        """Write `predicate value`, one for each fact, in order."""
        rows = []
        for predicate, values in self.facts.get(subject, {}).items():
            verb = "a" if predicate == _TYPE else self._term(predicate)
            place = _PLACES.get(predicate, 2)
            room = WIDTH - len(INDENT) * depth - len(verb) - 3
            rows += [(place, verb, self._value(value, depth, room, predicate)) for value in values]
        return [f"{verb} {value}" for _, verb, value in sorted(rows)]

    def _value(self, value: str, depth: int, room: int, predicate: str = "") -> str:
        if not value.startswith("_:") or value in self.shared:
            return self._term(value)
        members = self._members(value)
        inner, outer = INDENT * (depth + 1), INDENT * depth
        if members is not None:
            items = [self._value(m, depth + 1, WIDTH - len(inner)) for m in members]
            if predicate in _SETS:
                items.sort(key=_names_first, reverse=predicate == _FACETS)  # minimum first
            line = f"( {' '.join(items)} )"
            if not any(m in self.nested for m in members) and len(line) <= room:
                return line
            return "\n".join(["(", *(inner + item for item in items), f"{outer})"])
        facts = self._pairs(value, depth + 1)
        line = f"[ {' ; '.join(facts)} ]" if facts else "[]"
        if "\n" not in line and len(line) <= room:
            return line
        return "\n".join(["[", *(f"{inner}{fact} ;" for fact in facts), f"{outer}]"])

    def _members(self, head: str) -> list[str] | None:
        """Give the members if this blank node is a well-formed list that can be written ( ... )."""
        members, node = [], head
        while node != _NIL:
            facts = self.facts.get(node, {})
            if node not in self.nested or facts.keys() != {_FIRST, _REST}:
                return None
            if len(facts[_FIRST]) != 1 or len(facts[_REST]) != 1:
                return None
            members.append(facts[_FIRST][0])
            node = facts[_REST][0]
        return members

    def _term(self, term: str) -> str:
        if term.startswith("<"):
            return self._name(term)
        if term.endswith(">") and "^^<" in term:
            text, _, datatype = term.rpartition("^^")
            return f"{text}^^{self._name(datatype)}"
        return term

    def _name(self, iri: str) -> str:
        if iri == _NIL:
            return "()"
        for prefix, namespace in PREFIXES.items():
            if iri.startswith(namespace, 1) and _LOCAL_NAME.match(iri[len(namespace) + 1 : -1]):
                self.prefixes.add(prefix)
                return f"{prefix}:{iri[len(namespace) + 1 : -1]}"
        return iri
