"""The value individuals of a reasoner: only those that an axiom or a patient's facts name.

A drug or an adverse event that no class axiom names and no fact of the patient points to has a
type and differs from others, and nothing rests on it. Left out, it changes no answer, and each
test of a reasoner is about twice as fast.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rdflib import OWL, RDF, BNode, Graph
from rdflib.collection import Collection

Triple = tuple[Any, Any, Any]


class Values:
    """Splits axioms into those that always count and those that wait until a fact asks for them.

    `axioms` are the triples of all class axioms and value individuals.

    Shape: `always` are the triples of the class axioms and of the individuals they name;
    `different` are the groups of individuals that differ from each other.
    """

    def __init__(self, axioms: Iterable[Triple]) -> None:
        graph = Graph()
        for triple in axioms:
            graph.add(triple)
        individuals = set(graph.subjects(RDF.type, OWL.NamedIndividual))
        self._named = individuals & set(graph.objects(None, OWL.hasValue))
        self._spare = individuals - self._named
        self.different = []
        for node in list(graph.subjects(RDF.type, OWL.AllDifferent)):
            cells = graph.value(node, OWL.distinctMembers)
            members = Collection(graph, cells)
            self.different.append(list(members))
            members.clear()
            graph.remove((node, None, None))
            graph.remove((cells, None, None))
        self._about: dict[Any, list[Triple]] = {}
        for individual in self._spare:
            self._about[individual] = list(graph.triples((individual, None, None)))
            graph.remove((individual, None, None))
        self.always = [*graph, *self._differences(self._named, "always")]

    def everything(self) -> list[Triple]:
        """What is known of all that waits."""
        return self.about([(each, RDF.type, OWL.NamedIndividual) for each in self._spare])

    def about(self, facts: Iterable[Triple]) -> list[Triple]:
        """What is known of the waiting individuals that facts name, and of those they name."""
        found: list[Triple] = []
        asked = {term for triple in facts for term in triple} & self._spare
        waiting = set(asked)
        while waiting:
            triples = self._about[waiting.pop()]
            found += triples
            fresh = {value for _, _, value in triples} & self._spare - asked
            asked |= fresh
            waiting |= fresh
        return [*found, *self._differences(asked | self._named, "asked", asked)] if asked else []

    def _differences(self, among: set[Any], name: str, new: set[Any] | None = None) -> list[Triple]:
        graph = Graph()
        for number, members in enumerate(self.different):
            present = [member for member in members if member in among]
            if len(present) < 2 or (new is not None and new.isdisjoint(present)):
                continue
            node, cells = BNode(f"{name}_{number}"), BNode(f"{name}_{number}_list")
            graph.add((node, RDF.type, OWL.AllDifferent))
            graph.add((node, OWL.distinctMembers, cells))
            Collection(graph, cells, present)
        return list(graph)
