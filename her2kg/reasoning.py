"""The reasoner beside the rules: what HermiT entails of a patient, and whether both agree."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2kg import rules
from her2kg.errors import DataError, EngineError, Fact, Problem, UnknownTerm, did_you_mean, one_of
from her2kg.hermit import Hermit, Literal
from her2kg.justification import classes_in, justification, render
from her2kg.namespaces import BASE, ONTOLOGY
from her2kg.trace import Step, Tracer

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


@dataclass(frozen=True)
class Justification:
    """Why a class is met, unmet or unknown: criteria by the rules, axioms by the reasoner.

    Shape: `reasons` are (depth, step), each after what it is part of; `axioms` a minimal set, in
    Manchester syntax, facts of the patient last; `classes` the classes they speak of.
    """

    patient: str
    class_: str
    label: str
    rules: str
    reasoner: str
    reasons: tuple[tuple[int, Step], ...]
    axioms: tuple[str, ...]
    classes: frozenset[str]


class Reasoner:
    """HermiT with the class axioms of a knowledge graph, kept running for many patients.

    Errors: EngineError if there is no Java, or the graph is on a remote endpoint.
    """

    def __init__(self, kg: KnowledgeGraph) -> None:
        self._kg = kg
        self.hermit = Hermit(knowledge_axioms(kg))

    @cached_property
    def _kinds(self) -> dict[str, list[str]]:
        """Classes that are defined or used, below each kind of individual."""
        found: dict[str, list[str]] = {}
        for kind, iri, _ in self._rows:
            found.setdefault(str(kind), []).append(str(iri))
        return found

    @cached_property
    def _rows(self) -> list[tuple[Any, ...]]:
        return self._kg.engine.select(rules.system("classes-of-kind.rq")).rows

    @cached_property
    def labels(self) -> dict[str, str]:
        """Labels by IRI: of the classes, and of all that has a name."""
        return {**self._kg.names.labels, **{str(iri): label for _, iri, label in self._rows}}

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
                    self.labels.get(iri, iri),
                    decided.get((individual, iri), "unknown"),
                    "inconsistent" if found is None else found[individual, iri],
                )
                for individual, iri in sorted(set(literals))
            ),
        )

    def explain(self, record: Record, name: str) -> Justification:
        """Say why a class is met, unmet or unknown, by the rules and by the reasoner.

        Errors: UnknownTerm if the knowledge defines no such class of patients; DataError if the
        facts of the record contradict each other.
        """
        iri = self._class(name)
        triples, decided = self._kg.decided(record)
        literal = (record.iri, iri)
        facts = self.hermit.axioms(triples)
        found = self.hermit.statuses(facts, [literal], decided)
        if found is None:
            given = Fact("facts that contradict each other")
            raise DataError([Problem(record.model.id, given, "a record that can be true")])
        axioms: list[Any] = []
        if found[literal] != "unknown":
            axioms = justification(self.hermit, facts, literal, found[literal])
        return Justification(
            patient=record.model.id,
            class_=iri.removeprefix(BASE),
            label=self.labels.get(iri, iri),
            rules=decided.get(literal, "unknown"),
            reasoner=found[literal],
            reasons=tuple(self._tracer.steps(record.iri, iri, decided, triples)),
            axioms=tuple(render(axioms)),
            classes=frozenset(each.removeprefix(BASE) for each in classes_in(axioms)),
        )

    @cached_property
    def _tracer(self) -> Tracer:
        return Tracer(self._kg, self.labels)

    def _class(self, name: str) -> str:
        """The IRI of a class of patients by its local name, prefixed name, IRI or label."""
        known = {iri for iri in self._kinds[BASE + "Patient"]}
        local = name.strip().removeprefix("her2kg:")
        if BASE + local.removeprefix(BASE) in known:
            return BASE + local.removeprefix(BASE)
        labels = self.labels
        found = [iri for iri in known if labels.get(iri, "").casefold() == name.strip().casefold()]
        if len(found) == 1:
            return found[0]
        close = did_you_mean(local, sorted(iri.removeprefix(BASE) for iri in known))
        raise UnknownTerm(name, "class of patients", close)


def knowledge_axioms(kg: KnowledgeGraph) -> list[tuple[Any, Any, Any]]:
    """The part of the knowledge on which the place of a patient rests, as triples.

    Source: queries/system/reasoner-axioms.rq
    """
    kg.complete()
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


# Reasoners that are asked for, and what each would silently leave out or get wrong.
_UNSUITABLE = {
    "elk": "it reads OWL 2 EL and leaves out limits of numbers, 'not' and 'or'",
    "owlrl": "OWL 2 RL has no limits of numbers in definitions, so it finds no such member",
    "reasonable": "OWL 2 RL has no limits of numbers in definitions, so it finds no such member",
    "jfact": "it gives wrong members where a definition has limits of numbers",
    "pellet": "its Java libraries need a newer Java than its own release",
}
SUITABLE = "hermit"


def accept(name: str, *others: str) -> str:
    """Accept the name of a reasoner, or one of `others`, and give it in lower case.

    Errors: DataError with why another one is refused.
    """
    asked = name.strip().casefold()
    if asked in (SUITABLE, *others):
        return asked
    why = _UNSUITABLE.get(asked)
    given = Fact(f"{name}: {why}") if why else name
    raise DataError([Problem("--reasoner", given, one_of([SUITABLE, *others]))])


def require_embedded(remote: bool) -> None:
    """Refuse a graph on an endpoint: its class axioms would have to be copied first."""
    if remote:
        raise EngineError(
            "the reasoner works on an embedded graph; use KnowledgeGraph() without an endpoint"
        )
