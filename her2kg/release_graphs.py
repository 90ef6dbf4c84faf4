"""The graphs of a release: all modules as one ontology, and its inferred copy.

Triples are sets of N-Triples terms, as `turtle.py` reads and writes them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2kg import rules
from her2kg.engines import convert
from her2kg.errors import MISSING, DataError, EngineError, Fact, Problem
from her2kg.graph import module_files
from her2kg.namespaces import BASE, ONTOLOGY, Iri
from her2kg.turtle import PREFIXES, Triple, module_iri, parse_turtle
from her2kg.verdicts import BASES

if TYPE_CHECKING:
    from her2kg.knowledge import KnowledgeGraph

OWL, RDF, RDFS = (PREFIXES[name] for name in ("owl", "rdf", "rdfs"))
DCTERMS = PREFIXES["dcterms"]
VERSION = f"{OWL}versionInfo"
_TYPE, _ROOT = f"<{RDF}type>", f"<{ONTOLOGY}>"
_CLASS, _SUBCLASS, _VERSION = f"<{OWL}Class>", f"<{RDFS}subClassOf>", f"<{OWL}versionIRI>"
_LISTS = {f"<{RDF}first>", f"<{RDF}rest>", f"<{OWL}distinctMembers>", f"<{OWL}members>", _TYPE}
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_PAIRWISE = {f"<{OWL}disjointWith>", f"<{OWL}differentFrom>"}
RULES = "rules"
_VERDICTS = {"eligible": "eligibleFor", "undetermined": "undeterminedFor"}


def merged(home: Path) -> set[Triple]:
    """All modules of an ontology folder as one ontology, with its version IRI.

    Shape: the header is that of the root; imports and the headers of the modules are left out.
    Errors: DataError if a module cannot be read or the root states no version.
    """
    triples: set[Triple] = set()
    for number, path in enumerate(module_files(home)):
        found = parse_turtle(path.read_bytes(), path=path.relative_to(home).as_posix())
        iri = module_iri(found)
        header = f"<{iri}>" if iri and iri != ONTOLOGY else None
        for s, p, o in found:
            if s != header and p != f"<{OWL}imports>":
                triples.add((_apart(s, number), p, _apart(o, number)))
    version = header_version(triples)
    return triples | {(_ROOT, _VERSION, f"<{ONTOLOGY}/{version}>")}


def _apart(term: str, number: int) -> str:
    """Keep the blank nodes of two files apart."""
    return f"_:m{number}{term[2:]}" if term.startswith("_:") else term


def stated(triples: Iterable[Triple], *properties: str, what: str) -> str:
    """The text of the first of these properties (full IRIs) that the ontology header states.

    Errors: DataError, saying `what` is missing, if the header states none.
    """
    facts = {p[1:-1]: o for s, p, o in triples if s == _ROOT}
    for iri in properties:
        if iri in facts:
            return text_of(facts[iri])
    raise DataError([Problem("ontology/her2kg.ttl", MISSING, f"{what} ({properties[0]})")])


def header_version(triples: Iterable[Triple]) -> str:
    """The version that the ontology header states."""
    return stated(triples, VERSION, what="a version")


def text_of(literal: str) -> str:
    """The text of a literal that is written as an N-Triples term."""
    match = _QUOTED.match(literal)
    return json.loads(match[0]) if match else literal


def day_of(triples: Iterable[Triple]) -> str:
    """The day that the ontology header gives: when it was last modified, else created."""
    return stated(triples, f"{DCTERMS}modified", f"{DCTERMS}created", what="a day")


# Serializations


def json_ld(turtle: str) -> str:
    """Write Turtle as JSON-LD with a context of prefixes, one node a line."""
    nodes = json.loads(convert(turtle, "turtle", "json-ld"))
    context = json.dumps(dict(sorted(PREFIXES.items())))
    lines = (json.dumps(_compact(node), ensure_ascii=False) for node in nodes)
    body = ",\n".join(lines)
    return f'{{"@context": {context},\n"@graph": [\n{body}\n]}}\n'


def _compact(value: Any) -> Any:
    if isinstance(value, list):
        return [_compact(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, inner in value.items():
        if key == "@id" or key == "@type" and isinstance(inner, str):
            found[key] = _curie(inner)
        elif key == "@type":
            found[key] = [_curie(each) for each in inner]
        else:
            found[_curie(key)] = inner if key == "@value" else _compact(inner)
    return found


def _curie(iri: str) -> str:
    for prefix, namespace in PREFIXES.items():
        local = iri.removeprefix(namespace)
        if local != iri and local and not local.startswith("/"):
            return f"{prefix}:{local}"
    return iri


def functional_syntax(turtle: str) -> str:
    """Write an ontology in OWL functional syntax.

    Errors: EngineError if the result, read back, lacks anything that was stated.
    """
    import pyhornedowl
    from pyhornedowl.model import DisjointClasses

    ontology = pyhornedowl.open_ontology_from_string(convert(turtle, "turtle", "rdf-xml"), "rdf")
    for members in _listed(parse_turtle(turtle), "AllDisjointClasses"):
        # The reader knows no owl:AllDisjointClasses; without these lines they would be lost.
        ontology.add_axiom(DisjointClasses([ontology.class_(term[1:-1]) for term in members]))
    for prefix, namespace in sorted(PREFIXES.items()):
        ontology.add_prefix_mapping(prefix, namespace)
    text = ontology.save_to_string("ofn")
    _refuse_loss(turtle, text)
    return text


def _refuse_loss(turtle: str, functional: str) -> None:
    """Read functional syntax back and compare it with what was to be written."""
    import pyhornedowl

    back = pyhornedowl.open_ontology_from_string(functional, "ofn")
    given = parse_turtle(turtle)
    got = parse_turtle(convert(back.save_to_string("rdf"), "rdf-xml", "nt"))
    lost = sorted(" ".join(t) for t in _ground(given) - _ground(got))
    short = _unnamed(given) - _unnamed(got)
    lost += [f"{count} times {predicate}" for predicate, count in sorted(short.items())]
    # Its writer of RDF cuts sets of disjoint classes short; those are compared as they were read.
    read = {frozenset(f"<{each}>" for each in _members(axiom)) for axiom in back.get_components()}
    lost += [" ".join(sorted(each)) for each in _sets(given) if frozenset(each) not in read]
    if lost:
        raise EngineError(
            f"py-horned-owl lost {len(lost)} statements in functional syntax, such as {lost[0]}; "
            "install the version that pyproject.toml names"
        )


def _members(axiom: Any) -> list[Any]:
    """What an axiom says of several terms, such as DisjointClasses; nothing for other axioms."""
    members = getattr(axiom.component, "first", None)
    return members if isinstance(members, list) else []


def _listed(triples: set[Triple], kind: str) -> list[list[str]]:
    """The members of each owl:AllDisjointClasses or owl:AllDifferent."""
    facts = {(s, p): o for s, p, o in triples if s.startswith("_:")}
    found = []
    for (node, _), value in facts.items():
        if value != f"<{OWL}{kind}>":
            continue
        heads = [facts.get((node, f"<{OWL}{name}>")) for name in ("members", "distinctMembers")]
        terms, cell = [], heads[0] or heads[1] or f"<{RDF}nil>"
        while cell != f"<{RDF}nil>":
            terms.append(facts[cell, f"<{RDF}first>"])
            cell = facts[cell, f"<{RDF}rest>"]
        found.append(terms)
    return sorted(found)


def _sets(triples: set[Triple]) -> list[list[str]]:
    """Every set or pair of terms that are stated to be disjoint or different."""
    pairs = [[s, o] for s, p, o in triples if p in _PAIRWISE and s[0] == o[0] == "<"]
    kinds = ("AllDisjointClasses", "AllDifferent")
    return sorted([*pairs, *(each for kind in kinds for each in _listed(triples, kind))])


def _ground(triples: set[Triple]) -> set[Triple]:
    named = (t for t in triples if not t[0].startswith("_:") and not t[2].startswith("_:"))
    return {t for t in named if t[1] not in _PAIRWISE}


def _unnamed(triples: set[Triple]) -> Counter[str]:
    """How often each property stands on or points to a blank node; lists can be cut otherwise."""
    found = (p for s, p, o in triples if s.startswith("_:") or o.startswith("_:"))
    return Counter(p for p in found if p not in _LISTS)


# The inferred copy


@dataclass(frozen=True)
class Subsumptions:
    """Which class lies below which, as pairs of IRIs, and a sentence on who inferred it."""

    pairs: frozenset[tuple[str, str]]
    told: str


def subsumptions(kg: KnowledgeGraph, reasoner: str) -> Subsumptions:
    """Infer which named class lies below which, by `hermit` or by `rules` alone.

    Errors: DataError for another reasoner, or if HermiT finds a class that nothing can belong to;
    EngineError if HermiT finds no Java.
    Source: queries/system/subsumptions.rq
    """
    from her2kg.reasoning import Reasoner, accept

    kg.complete()
    found = kg.engine.construct(rules.system("subsumptions.rq"))
    pairs = {(str(below), str(above)) for below, _, above in found}
    if accept(reasoner, RULES) == RULES:
        told = "by rules: the closure of what is stated and of definitions joined by and or or"
        return Subsumptions(frozenset(pairs), f"{told}; not by an OWL reasoner, which finds more")
    try:
        hermit = Reasoner(kg).hermit
    except EngineError as error:
        raise EngineError(f"{error}; or build without it: --reasoner {RULES}") from error
    if nothing := hermit.unsatisfiable_classes():
        given = Fact("a class to which nothing can belong")
        accepted = "class axioms that something can meet; Protege's reasoner explains which do not"
        raise DataError([Problem(Iri(each).curie, given, accepted) for each in nothing])
    for below, higher in hermit.superclasses().items():
        pairs.update((below, above) for above in higher)
    return Subsumptions(frozenset(pairs), "by the OWL reasoner HermiT")


def inferred(
    kg: KnowledgeGraph, triples: set[Triple], examples: Iterable[Path], below: Subsumptions
) -> set[Triple]:
    """The ontology, the subsumptions that follow, and the example patients with their verdicts.

    Shape: an ontology of its own, `.../inferred`; classes that a patient fails are not told.
    Units: verdicts on the day that the header gives, over all bases, in default jurisdictions.
    Source: queries/system/evaluated-facts.rq
    """
    from rdflib import Graph, Literal, URIRef

    day, version = day_of(triples), header_version(triples)
    named = {s for s, p, o in triples if (p, o) == (_TYPE, _CLASS) and s.startswith("<")}
    graph = Graph()
    for lower, higher in below.pairs:
        graph.add((URIRef(lower), URIRef(f"{RDFS}subClassOf"), URIRef(higher)))
    for patient, path in _patients(kg, examples).items():
        record = kg.record(path)
        label = Literal(f"example patient {record.model.id}", lang="en")
        graph.add((URIRef(patient), URIRef(f"{RDFS}label"), label))
        for triple in kg.facts(record):
            graph.add(triple)
        for answer in kg.eligibility(record, as_of=day).regimens:
            if answer.verdict in _VERDICTS:
                verdict = URIRef(BASE + _VERDICTS[answer.verdict])
                graph.add((URIRef(patient), verdict, URIRef(BASE + answer.regimen)))
    # The rules name conditions that have no name in the ontology: those stay inside.
    added = {
        (s, p, o)
        for s, p, o in parse_turtle(graph)
        if p not in (_SUBCLASS, _TYPE) or o in named or o.startswith(("_:", f"<{OWL}"))
        if p != _SUBCLASS or s in named
    }
    people = {
        (s, _TYPE, f"<{OWL}NamedIndividual>") for s, p, o in added if p == _TYPE and s[0] == "<"
    }
    above: dict[str, list[str]] = {}
    for s, p, o in added:
        if p == _SUBCLASS:
            above.setdefault(s, []).append(o)
    types = {(s, _TYPE, higher) for s, p, o in triples if p == _TYPE for higher in above.get(o, ())}
    header = f"<{ONTOLOGY}/inferred>"
    title = f"<{DCTERMS}title>"
    body = {
        (header if s == _ROOT else s, p, o)
        for s, p, o in triples
        if p != _VERSION and (s, p) != (_ROOT, title)
    }
    notes = {
        (header, _VERSION, f"<{ONTOLOGY}/{version}/inferred>"),
        (header, title, '"her2kg, inferred copy"@en'),
        (header, f"<{DCTERMS}isVersionOf>", _ROOT),
        (f"<{DCTERMS}isVersionOf>", _TYPE, f"<{OWL}AnnotationProperty>"),
        *((header, f"<{RDFS}comment>", f'"{text}"@en') for text in _notes(day, below.told)),
    }
    return body | added | people | types | notes


def _patients(kg: KnowledgeGraph, examples: Iterable[Path]) -> dict[str, Path]:
    """The example records by their IRI; one that is there as JSON and as RDF counts once."""
    found: dict[str, Path] = {}
    for path in sorted(examples):
        found.setdefault(kg.record(path).iri, path)
    return found


def _notes(day: str, told: str) -> Iterable[str]:
    yield (
        "Subsumptions between named classes, and the types of individuals that follow from them, "
        f"are inferred {told}."
    )
    yield (
        "Example patients: the types and facts that the truth rules of her2kg derive are stated. "
        "Membership in the complement of a class is not: a class that a patient lacks here is "
        "either refuted or unknown."
    )
    yield (
        f"her2kg:eligibleFor and her2kg:undeterminedFor: verdicts of the evaluator of her2kg on "
        f"{day}, over the bases {', '.join(BASES)} and the jurisdictions asked by default. "
        "A regimen that a patient has neither for is ineligible."
    )
