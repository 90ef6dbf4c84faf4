"""An ontology as a page or a picture needs it: labels, the class tree, class expressions.

Terms are N-Triples terms, as `turtle.py` reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from her2kg.namespaces import BASE
from her2kg.release_graphs import text_of
from her2kg.turtle import PREFIXES, Triple

RDF, RDFS, OWL, XSD, SKOS = (PREFIXES[name] for name in ("rdf", "rdfs", "owl", "xsd", "skos"))
NIL = f"<{RDF}nil>"
LISTED_INDIVIDUALS = 110  # individuals of a class that the page lists one by one
PROPERTIES = (
    ("object-properties", "Object properties", "ObjectProperty"),
    ("data-properties", "Data properties", "DatatypeProperty"),
    ("annotation-properties", "Annotation properties", "AnnotationProperty"),
)
_FACETS = {
    "minInclusive": ">=",
    "minExclusive": ">",
    "maxInclusive": "<=",
    "maxExclusive": "<",
}
_CARDINALITIES = {
    f"{word}{kind}": word
    for word in ("min", "max")
    for kind in ("Cardinality", "QualifiedCardinality")
} | {"cardinality": "exactly", "qualifiedCardinality": "exactly"}


@dataclass(frozen=True)
class Token:
    """A piece of a class expression: `term` is the IRI that it names, `kind` how to set it."""

    text: str
    kind: str = ""
    term: str | None = None


class View:
    """Look-ups in the triples of an ontology; every answer is sorted by label."""

    def __init__(self, triples: Iterable[Triple]) -> None:
        self.facts: dict[str, dict[str, list[str]]] = {}
        self._subjects: dict[str, dict[str, list[str]]] = {}
        for s, p, o in sorted(triples):
            self.facts.setdefault(s, {}).setdefault(p[1:-1], []).append(o)

    def values(self, subject: str, predicate: str) -> list[str]:
        return self.facts.get(subject, {}).get(predicate, [])

    def value(self, subject: str, predicate: str) -> str | None:
        return next(iter(self.values(subject, predicate)), None)

    def text(self, subject: str, predicate: str) -> str:
        return text_of(self.value(subject, predicate) or "")

    def label(self, term: str) -> str:
        """The label of a term, else its short name; the text of a literal."""
        if term.startswith("<"):
            return self.text(term, f"{RDFS}label") or curie(term)
        return text_of(term)

    def sorted(self, terms: Iterable[str]) -> list[str]:
        return sorted(set(terms), key=lambda term: (self.label(term).casefold(), term))

    def of_type(self, kind: str) -> list[str]:
        """The named terms of a type, a full IRI."""
        return self.sorted(self._by_type.get(f"<{kind}>", ()))

    @cached_property
    def _by_type(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for subject in self.facts:
            if subject.startswith("<"):
                for kind in self.values(subject, f"{RDF}type"):
                    found.setdefault(kind, []).append(subject)
        return found

    @cached_property
    def people(self) -> dict[str, list[str]]:
        """The individuals that are stated to be in each class itself."""
        return {cls: self.of_type(cls[1:-1]) for cls in self.classes}

    def own(self, kind: str) -> list[str]:
        """Our own terms of a kind of OWL, such as ObjectProperty."""
        return [term for term in self.of_type(OWL + kind) if term.startswith(f"<{BASE}")]

    @cached_property
    def on_page(self) -> set[str]:
        """The terms that have a place on the page: individuals of large classes have none."""
        terms = {term for _, _, kind in PROPERTIES for term in self.own(kind)}
        terms.update(self.classes)
        for people in self.people.values():
            if len(people) <= LISTED_INDIVIDUALS:
                terms.update(people)
        return terms

    # Classes

    @cached_property
    def classes(self) -> list[str]:
        return self.own("Class")

    def parents(self, cls: str) -> list[str]:
        """The named classes that a class is stated to lie below."""
        above = self.values(cls, f"{RDFS}subClassOf")
        return self.sorted(c for c in above if c.startswith("<"))

    @cached_property
    def _children(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for cls in self.classes:
            for parent in self.parents(cls):
                found.setdefault(parent, []).append(cls)
        return found

    def children(self, cls: str) -> list[str]:
        return self._children.get(cls, [])

    @cached_property
    def roots(self) -> list[str]:
        known = set(self.classes)
        return [c for c in self.classes if known.isdisjoint(self.parents(c))]

    def below(self, cls: str) -> list[str]:
        """Every class below a class, each once, parents before children."""
        found: dict[str, None] = {}
        waiting = list(reversed(self.children(cls)))
        while waiting:
            each = waiting.pop()
            if each not in found:
                found[each] = None
                waiting += reversed(self.children(each))
        return list(found)

    def individuals(self, cls: str) -> list[str]:
        """The individuals that are stated to be in a class or in one below it."""
        kinds = [cls, *self.below(cls)]
        return self.sorted(each for kind in kinds for each in self._by_type.get(kind, ()))

    def subjects_of(self, predicate: str) -> dict[str, list[str]]:
        """The terms that have a property, by the value that they have it with."""
        known = self._subjects.get(predicate)
        if known is None:
            known = {}
            for subject in self.sorted(s for s, facts in self.facts.items() if predicate in facts):
                for value in self.values(subject, predicate):
                    known.setdefault(value, []).append(subject)
            self._subjects[predicate] = known
        return known

    @cached_property
    def disjoint(self) -> dict[str, list[str]]:
        """The classes that are stated to be disjoint with a class, in sets or in pairs."""
        sets = [
            self.members(self.values(node, f"{OWL}members")[0])
            for node in self.facts
            if f"<{OWL}AllDisjointClasses>" in self.values(node, f"{RDF}type")
        ]
        for one in self.classes:
            sets += [[one, other] for other in self.values(one, f"{OWL}disjointWith")]
        found: dict[str, list[str]] = {}
        for members in sets:
            for one in members:
                others = [other for other in members if other != one]
                found[one] = self.sorted([*found.get(one, ()), *others])
        return found

    # Class expressions

    def members(self, head: str) -> list[str]:
        """The members of an RDF list."""
        found = []
        while head != NIL:
            found.append(self.values(head, f"{RDF}first")[0])
            head = self.values(head, f"{RDF}rest")[0]
        return found

    def expression(self, node: str, *, nested: bool = False) -> list[Token]:
        """A class expression in Manchester syntax, with labels in place of names."""
        if not node.startswith("_:"):
            return [self._named(node)]
        for word, joined in (("intersectionOf", "and"), ("unionOf", "or")):
            head = self.value(node, OWL + word)
            if head is not None:
                tokens = self._joined(self.members(head), joined)
                return [Token("("), *tokens, Token(")")] if nested else tokens
        negated = self.value(node, f"{OWL}complementOf") or self.value(
            node, f"{OWL}datatypeComplementOf"
        )
        if negated is not None:
            return [Token("not ", "word"), *self.expression(negated, nested=True)]
        one_of = self.value(node, f"{OWL}oneOf")
        if one_of is not None:
            named = [self._named(each) for each in self.members(one_of)]
            return [Token("{"), *_separated(named), Token("}")]
        if self.value(node, f"{OWL}onDatatype") is not None:
            return self._range(node)
        tokens = self._restriction(node)
        return [Token("("), *tokens, Token(")")] if nested else tokens

    def _joined(self, members: list[str], word: str) -> list[Token]:
        tokens: list[Token] = []
        for each in members:
            if tokens:
                tokens.append(Token(f" {word} ", "join"))
            tokens += self.expression(each, nested=True)
        return tokens

    def _restriction(self, node: str) -> list[Token]:
        tokens = [self._named(self.values(node, f"{OWL}onProperty")[0], "property")]
        for word, name in (("some", "someValuesFrom"), ("only", "allValuesFrom")):
            filler = self.value(node, OWL + name)
            if filler is not None:
                return [*tokens, Token(f" {word} ", "word"), *self.expression(filler, nested=True)]
        value = self.value(node, f"{OWL}hasValue")
        if value is not None:
            return [*tokens, Token(" value ", "word"), self._named(value)]
        for name, word in _CARDINALITIES.items():
            number = self.value(node, OWL + name)
            if number is not None:
                tokens.append(Token(f" {word} {text_of(number)} ", "word"))
                filler = self.value(node, f"{OWL}onClass") or self.value(node, f"{OWL}onDataRange")
                return tokens + (self.expression(filler, nested=True) if filler else [])
        raise ValueError(f"a restriction of {tokens[0].text} of a kind that is not written here")

    def _range(self, node: str) -> list[Token]:
        facets = []
        for facet in self.members(self.values(node, f"{OWL}withRestrictions")[0]):
            for name, sign in _FACETS.items():
                for value in self.values(facet, XSD + name):
                    facets.append(Token(f"{sign} {text_of(value)}", "literal"))
        datatype = self._named(self.values(node, f"{OWL}onDatatype")[0])
        return [datatype, Token("["), *_separated(facets), Token("]")]

    def _named(self, term: str, kind: str = "") -> Token:
        if term.startswith("<"):
            return Token(self.label(term), kind or "name", term)
        text = text_of(term)
        return Token(text if re.match(r"-?[0-9]|true|false", text) else f'"{text}"', "literal")

    @cached_property
    def usage(self) -> dict[str, list[str]]:
        """The classes whose definition names a term, for each term so named."""
        found: dict[str, list[str]] = {}
        for cls in self.classes:
            axioms = self.values(cls, f"{OWL}equivalentClass")
            axioms = axioms + self.values(cls, f"{RDFS}subClassOf")
            used = {
                token.term
                for node in axioms
                if node.startswith("_:")
                for token in self.expression(node)
                if token.term
            }
            for term in used:
                found.setdefault(term, []).append(cls)
        return found


def _separated(tokens: list[Token]) -> list[Token]:
    found: list[Token] = []
    for token in tokens:
        found += [Token(", "), token] if found else [token]
    return found


def curie(term: str) -> str:
    """The short form of an IRI term: `her2kg:Patient`."""
    iri = term[1:-1]
    for prefix, namespace in PREFIXES.items():
        if iri.startswith(namespace):
            return f"{prefix}:{iri[len(namespace) :]}"
    return iri


def local(term: str) -> str:
    """The local name of one of our own terms; it is its anchor on the page."""
    return term[1:-1].removeprefix(BASE)
