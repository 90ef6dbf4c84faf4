"""The reasoner beside the rules: what HermiT entails of a patient, and whether both agree."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2kg import rules
from her2kg.errors import EngineError
from her2kg.hermit import Hermit, Literal
from her2kg.namespaces import BASE, ONTOLOGY

if TYPE_CHECKING:
    from her2kg.knowledge import KnowledgeGraph
    from her2kg.records import Record


@dataclass(frozen=True)
class Membership:
    """One class, and how an individual stands to it by the rules and by the reasoner.

    Shape: `rules` is met, unmet, unknown or conflicting; `reasoner` is met, unmet, unknown or,
    where the facts contradict the axioms, inconsistent.
    """

    individual: str
    class_: str
    label: str
    rules: str
    reasoner: str

    @property
    def agree(self) -> bool:
        return self.rules == self.reasoner


@dataclass(frozen=True)
class Comparison:
    """All classes of a patient and of the courses, by the rules and by the reasoner.

    Where the facts contradict the axioms everything follows for a reasoner, and nothing can be
    compared class by class; the rules then must name a class that is conflicting.
    """

    patient: str
    consistent: bool
    memberships: tuple[Membership, ...]

    @property
    def differences(self) -> tuple[Membership, ...]:
        if not self.consistent:
            conflicts = [each for each in self.memberships if each.rules == "conflicting"]
            return () if conflicts else self.memberships
        return tuple(each for each in self.memberships if not each.agree)


class Reasoner:
    """HermiT with the class axioms of a knowledge graph, kept running for many patients.

    Errors: EngineError if there is no Java, or the graph is on a remote endpoint.
    """

    def __init__(self, kg: KnowledgeGraph) -> None:
        self._kg = kg
        self.hermit = Hermit(knowledge_axioms(kg))

    @cached_property
    def _kinds(self) -> dict[str, list[str]]:
        """Defined classes below each kind of individual."""
        found: dict[str, list[str]] = {}
        for kind, iri in self._kg.engine.select(rules.system("classes-of-kind.rq")).rows:
            found.setdefault(str(kind), []).append(str(iri))
        return found

    def literals(self, triples: Iterable[tuple[Any, Any, Any]]) -> list[Literal]:
        """Each individual of a patient with each class that can be said of it."""
        return [
            (str(subject), iri)
            for subject, _, kind in triples
            for iri in self._kinds.get(str(kind), ())
        ]

    def compare(self, record: Record) -> Comparison:
        """Ask the rules and HermiT for every class of a patient, the courses and the episodes.

        Shape: memberships sorted by individual and class.
        Errors: DataError as for eligibility; EngineError if HermiT gives up.
        """
        triples, decided = self._kg.decided(record)
        literals = self.literals(triples)
        found = self.hermit.statuses(self.hermit.axioms(triples), literals, decided)
        return Comparison(
            patient=record.model.id,
            consistent=found is not None,
            memberships=tuple(
                Membership(
                    individual.removeprefix(BASE),
                    iri.removeprefix(BASE),
                    self._kg.names.labels.get(iri, iri),
                    decided.get((individual, iri), "unknown"),
                    "inconsistent" if found is None else found[individual, iri],
                )
                for individual, iri in sorted(set(literals))
            ),
        )


def knowledge_axioms(kg: KnowledgeGraph) -> list[tuple[Any, Any, Any]]:
    """The part of the knowledge on which the place of a patient rests, as triples.

    Source: queries/system/reasoner-axioms.rq
    """
    triples = kg.engine.construct(rules.system("reasoner-axioms.rq"))
    return _without_lists_of_others(triples)


def _without_lists_of_others(triples: list[Any]) -> list[Any]:
    """Leave out what says that individuals differ which are not in the triples."""
    from rdflib import OWL, RDF, Graph
    from rdflib.collection import Collection

    graph = Graph()
    for triple in triples:
        graph.add(triple)
    known = set(graph.subjects(RDF.type, OWL.NamedIndividual))
    for node in list(graph.subjects(RDF.type, OWL.AllDifferent)):
        cells = graph.value(node, OWL.distinctMembers)
        if cells is None or not known.issuperset(Collection(graph, cells)):
            graph.remove((node, None, None))
            if cells is not None:
                Collection(graph, cells).clear()
                graph.remove((cells, None, None))
    # Lists of anything but classes, limits and individuals that are kept would dangle.
    return list(graph)


def world(kg: KnowledgeGraph, record: Record | None = None) -> Any:
    """An owlready2 world with the class axioms and, if given, a patient with derived facts.

    `owlready2.sync_reasoner_hermit(world)` classifies it, which takes some ten seconds; labels and
    definitions are in it, so that classes can be read.

    Errors: EngineError if the graph is on a remote endpoint.
    """
    import owlready2
    from rdflib import OWL, RDF, Graph, URIRef

    graph = Graph()
    for triple in [*knowledge_axioms(kg), *kg.engine.construct(rules.system("reasoner-words.rq"))]:
        graph.add(triple)
    if record is not None:
        for triple in kg.decided(record)[0]:
            graph.add(triple)
    graph.add((URIRef(ONTOLOGY), RDF.type, OWL.Ontology))
    made = owlready2.World()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "her2kg.nt"
        graph.serialize(str(path), format="nt", encoding="utf-8")
        made.get_ontology(path.as_uri()).load()
    return made


def require_embedded(remote: bool) -> None:
    """Refuse a graph on an endpoint: its class axioms would have to be copied first."""
    if remote:
        raise EngineError(
            "the reasoner works on an embedded graph; use KnowledgeGraph() without an endpoint"
        )
