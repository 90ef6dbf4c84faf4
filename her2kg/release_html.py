"""The page of a release: the ontology for people to read.

What is shown is chosen here; how it looks stands in `templates/ontology.html`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from her2kg.namespaces import BASE, ONTOLOGY
from her2kg.page import counted
from her2kg.release_pictures import inside_page
from her2kg.release_view import (
    LISTED_INDIVIDUALS,
    OWL,
    PROPERTIES,
    RDF,
    RDFS,
    SKOS,
    Token,
    View,
    curie,
    local,
)
from her2kg.release_void import Artefact
from her2kg.turtle import PREFIXES

DCTERMS = PREFIXES["dcterms"]
_GROUP = 130  # classes under one heading before its children get headings of their own
_LISTED = 15  # links in a row before it says how many more there are
_MARKS = {"join": "b", "word": "i", "literal": "u"}
_OWN_ROWS = {  # written elsewhere in an entry
    f"{RDF}type",
    f"{RDFS}label",
    f"{RDFS}subClassOf",
    f"{RDFS}subPropertyOf",
    f"{RDFS}domain",
    f"{RDFS}range",
    f"{SKOS}definition",
    f"{SKOS}altLabel",
    f"{OWL}equivalentClass",
    f"{OWL}disjointWith",
}


@dataclass
class Node:
    """A class in the collapsible tree."""

    link: Any
    count: str
    children: list[Node]
    open: bool = False


@dataclass
class Entry:
    """A class or property with what is stated about it; `rows` are pairs of a name and values."""

    anchor: str
    label: str
    name: str
    definition: str
    rows: list[tuple[str, list[Any]]]


@dataclass
class Group:
    """The entries under one heading."""

    anchor: str
    title: str
    entries: list[Entry] = field(default_factory=list)


def page(view: View, files: Sequence[Artefact], pictures: dict[str, str], regimen: str) -> str:
    """Write the page.

    Shape: one HTML file that needs nothing from elsewhere; `pictures` are SVG by file name;
    every class and property has its local name as anchor.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("her2kg"), autoescape=True, keep_trailing_newline=True
    )
    return _Writer(view).page(environment, files, pictures, regimen)


class _Writer:
    def __init__(self, view: View) -> None:
        self.view = view

    def page(
        self, environment: Any, files: Sequence[Artefact], pictures: dict[str, str], regimen: str
    ) -> str:
        view, root = self.view, f"<{ONTOLOGY}>"
        properties = [
            (anchor, name, [self.property(p) for p in self.view.own(kind)])
            for anchor, name, kind in PROPERTIES
        ]
        parts = [("files", "Files"), ("overview", "The class tree")]
        parts += [("neighbourhood", "What surrounds a regimen"), ("classes", "Classes")]
        parts += [(anchor, name) for anchor, name, _ in properties]
        return environment.get_template("ontology.html").render(
            title=view.text(root, f"{DCTERMS}title"),
            version=view.text(root, f"{OWL}versionInfo"),
            description=view.text(root, f"{DCTERMS}description"),
            comment=view.text(root, f"{RDFS}comment"),
            header=list(self.header(root)),
            files=[
                {"name": f.name, "title": f.title, "size": _size(len(f.content))} for f in files
            ],
            parts=[*parts, ("individuals", "Individuals")],
            tree=[self.node(c, opened=len(view.below(c)) > _GROUP) for c in self.by_size()],
            groups=self.groups(),
            properties=properties,
            individuals=list(self.individuals()),
            class_tree=_safe(inside_page(pictures["class-tree.svg"], "The class tree")),
            neighbourhood=_safe(inside_page(pictures["regimen.svg"], view.label(regimen))),
            regimen=view.label(regimen),
        )

    def header(self, root: str) -> Iterable[tuple[str, Any]]:
        """The statements of the ontology header, and how much there is."""
        yield "IRI", _outside(ONTOLOGY)
        skipped = {"title", "description", "comment", "type", "versionInfo"}
        for predicate, values in self.view.facts[root].items():
            name = re.split("[#/]", predicate)[-1]
            if name not in skipped:
                yield _words(name), _safe("<br>").join(self.shown_value(v) for v in values)
        kinds = [
            counted(len(self.view.own(kind)), _words(kind).lower()) for _, _, kind in PROPERTIES
        ]
        kinds = [text.replace("propertys", "properties") for text in kinds]
        people = sum(1 for each in self.view.of_type(f"{OWL}NamedIndividual"))
        classes = f"{len(self.view.classes)} classes"
        yield "Holds", ", ".join([classes, *kinds, f"{people} individuals"])

    # The tree

    def by_size(self, classes: Iterable[str] | None = None) -> list[str]:
        roots = self.view.roots if classes is None else list(classes)
        return sorted(roots, key=lambda c: (not self.view.children(c), -len(self.view.below(c))))

    def node(self, cls: str, *, opened: bool = False) -> Node:
        children = self.by_size(self.view.children(cls))
        count = str(len(self.view.below(cls))) if children else ""
        alone = opened and len(children) == 1
        nodes = [self.node(c, opened=alone) for c in children]
        return Node(self.link(cls), count, nodes, opened)

    def groups(self) -> list[Group]:
        """The classes under headings: each once, where the tree first leads to it."""
        done: set[str] = set()
        found: list[Group] = []

        def group(cls: str, classes: Iterable[str]) -> None:
            new = [c for c in dict.fromkeys(classes) if c not in done]
            done.update(new)
            if new:
                heading = Group(f"group-{local(cls)}", _headed(self.view.label(cls)))
                heading.entries = [self.cls(c) for c in new]
                found.append(heading)

        def walk(cls: str) -> None:
            below = self.view.below(cls)
            inner = [c for c in self.view.children(cls) if self.view.children(c)]
            if len(below) <= _GROUP or not inner:
                group(cls, [cls, *below])
                return
            group(cls, [cls, *(c for c in self.view.children(cls) if c not in inner)])
            for child in inner:
                walk(child)

        roots = self.by_size()
        for root in roots:
            if self.view.children(root):
                walk(root)
        single = [c for c in roots if c not in done]
        if single:
            entries = [self.cls(c) for c in single]
            found.append(Group("group-other", "Classes without subclasses", entries))
        return found

    # Entries

    def cls(self, cls: str) -> Entry:
        view, people = self.view, self.view.people[cls]
        rows = [
            ("Also called", view.values(cls, f"{SKOS}altLabel")),
            ("Subclass of", [self.axiom(c) for c in view.values(cls, f"{RDFS}subClassOf")]),
            ("Equivalent to", [self.axiom(c) for c in view.values(cls, f"{OWL}equivalentClass")]),
            ("Disjoint with", self.some(view.disjoint.get(cls, []))),
            ("Subclasses", self.some(view.children(cls))),
            ("Used in", self.some(view.usage.get(cls, []))),
            ("Population of", self.some(self.claims_about(cls))),
            ("Individuals", self.some(people) if people else []),
        ]
        return self.entry(cls, rows)

    def claims_about(self, cls: str) -> list[str]:
        return self.view.subjects_of(f"{BASE}population").get(cls, [])

    def property(self, prop: str) -> Entry:
        view = self.view
        rows = [
            ("Also called", view.values(prop, f"{SKOS}altLabel")),
            ("Subproperty of", [self.axiom(p) for p in view.values(prop, f"{RDFS}subPropertyOf")]),
            ("Domain", [self.axiom(c) for c in view.values(prop, f"{RDFS}domain")]),
            ("Range", [self.axiom(c) for c in view.values(prop, f"{RDFS}range")]),
            (
                "Is",
                ["functional"]
                if f"<{OWL}FunctionalProperty>" in view.values(prop, f"{RDF}type")
                else [],
            ),
            ("Used in", self.some(view.usage.get(prop, []))),
        ]
        return self.entry(prop, rows)

    def entry(self, term: str, rows: list[tuple[str, list[Any]]]) -> Entry:
        view = self.view
        for predicate, values in view.facts[term].items():
            if predicate not in _OWN_ROWS:
                name = view.text(f"<{predicate}>", f"{RDFS}label")
                name = (
                    name[:1].upper() + name[1:] if name else _words(re.split("[#/]", predicate)[-1])
                )
                rows.append((name, [self.shown_value(v) for v in values]))
        return Entry(
            anchor=local(term),
            label=view.label(term),
            name=curie(term),
            definition=view.text(term, f"{SKOS}definition"),
            rows=[(name, values) for name, values in rows if values],
        )

    def some(self, terms: list[str]) -> list[Any]:
        """Links in one value; beyond some, how many more there are."""
        if not terms:
            return []
        joined = _safe(" · ").join(self.link(term) for term in terms[:_LISTED])
        more = len(terms) - _LISTED
        return [joined + f" and {more} more" if more > 0 else joined]

    def axiom(self, node: str) -> Any:
        if not node.startswith("_:"):
            return self.link(node)
        pieces = [self.token(token) for token in self.view.expression(node)]
        return _safe('<span class="axiom">') + _safe("").join(pieces) + _safe("</span>")

    def token(self, token: Token) -> Any:
        if token.term:
            return self.link(token.term, "property" if token.kind == "property" else "")
        mark = _MARKS.get(token.kind)
        text = _safe("").join([token.text])
        return _safe(f"<{mark}>") + text + _safe(f"</{mark}>") if mark else text

    def shown_value(self, value: str) -> Any:
        if value.startswith("_:"):
            return self.axiom(value)
        return (
            self.link(value) if value.startswith("<") else _safe("").join([self.view.label(value)])
        )

    def link(self, term: str, kind: str = "") -> Any:
        """A link to a term on this page, else to where its IRI leads, else its label alone."""
        label = self.view.label(term)
        if term in self.view.on_page:
            style = _safe(' class="property"') if kind else ""
            return _safe('<a href="#{}"{} title="{}">{}</a>').format(
                local(term), style, curie(term), label
            )
        if term.startswith("<http") and not term.startswith(f"<{BASE}"):
            return _outside(term[1:-1], label)
        return _safe('<span title="{}">{}</span>').format(curie(term), label)

    def individuals(self) -> Iterable[dict[str, Any]]:
        done: set[str] = set()
        for cls in self.view.classes:
            people = self.view.people[cls]
            if not people:
                continue
            rows = []
            if len(people) <= LISTED_INDIVIDUALS:
                for each in people:
                    anchor = "" if each in done else local(each)
                    done.add(each)
                    definition = self.view.text(each, f"{SKOS}definition")
                    rows.append((anchor, self.view.label(each), definition))
            yield {"link": self.link(cls), "count": len(people), "rows": rows}


def _safe(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)


def _outside(iri: str, label: str | None = None) -> Any:
    return _safe('<a href="{}">{}</a>').format(iri, label or iri)


def _words(name: str) -> str:
    """A local name as words: versionIRI is Version IRI, preferredNamespaceUri is as it sounds."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = " ".join(w if w.isupper() else w.lower() for w in words.split())
    return words[:1].upper() + words[1:]


def _headed(label: str) -> str:
    return label[:1].upper() + label[1:]


def _size(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB" if count >= 100_000 else f"{count / 1000:.1f} kB"
