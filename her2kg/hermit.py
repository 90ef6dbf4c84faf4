"""HermiT, kept running: which classes follow for an individual, and from which axioms.

The reasoner and the OWL API are those that owlready2 ships; JPype runs them in this process, so
that the class axioms are read once and each patient costs only the tests. HermiT answers yes or no
to one question, "can this be true?"; the three values of a class are three pairs of such answers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from threading import Event, Thread
from typing import Any

from rdflib import OWL, RDF, XSD, BNode, Graph, URIRef
from rdflib.collection import Collection as RdfList

from her2kg.errors import EngineError
from her2kg.reasoner_values import Values

Individual = str
Literal = tuple[Individual, str]  # an individual and a class

_CHUNK = 60  # literals refuted by one test; more make its search long
_CHUNK_SECONDS = 1
_TOGETHER = 12  # literals that one model is to show the other way round
_TEST_SECONDS = 30
NO_JAVA = (
    "HermiT needs Java, and none was found; install a Java runtime, version 11 or later "
    "(on Debian: apt install default-jre-headless), or name its folder in JAVA_HOME"
)


def start_java() -> None:
    """Start the Java machine of this process with HermiT and its OWL API; once is enough.

    Errors: EngineError if there is no Java.
    """
    import jpype

    if jpype.isJVMStarted():
        return
    import owlready2

    home = Path(owlready2.__file__).parent / "hermit"
    try:
        jpype.startJVM("-Xmx4g", "-Xss16m", classpath=[str(home), str(home / "HermiT.jar")])
    except (jpype.JVMNotFoundException, OSError) as error:
        raise EngineError(NO_JAVA) from error


class Hermit:
    """HermiT with the class axioms of the knowledge loaded.

    `axioms` are the triples of the class and property axioms and the value individuals.

    Errors: EngineError if there is no Java or the axioms are outside OWL 2 DL.
    """

    def __init__(self, axioms: Iterable[tuple[Any, Any, Any]]) -> None:
        start_java()
        from jpype import JClass

        self._class = JClass
        self._manager = JClass("org.semanticweb.owlapi.apibinding.OWLManager")
        self._values = Values(axioms)
        self.ontology = self._load(self._values.always)
        self._factory = self.ontology.getOWLOntologyManager().getOWLDataFactory()
        self._iri = JClass("org.semanticweb.owlapi.model.IRI").create
        # None stands for owl:topObjectProperty and the like, which no record states.
        self._objects = {str(p.getIRI()) for p in self.ontology.getObjectPropertiesInSignature()}
        self._datas = {str(p.getIRI()) for p in self.ontology.getDataPropertiesInSignature()}
        self._configuration = JClass("org.semanticweb.HermiT.Configuration")()
        self._reasoner_class = JClass("org.semanticweb.HermiT.Reasoner")
        try:
            self._reasoner = self._reasoner_class(self._configuration, self.ontology)
        except Exception as error:
            raise EngineError(f"HermiT cannot read the axioms: {error}") from error
        self._atomic = JClass("org.semanticweb.HermiT.model.AtomicConcept")
        self.depth = self._depths()
        self._named = JClass("org.semanticweb.HermiT.model.Individual")
        self._task = JClass(
            "org.semanticweb.HermiT.tableau.ReasoningTaskDescription"
        ).isABoxSatisfiable()
        self._view = JClass("org.semanticweb.HermiT.tableau.ExtensionTable$View").TOTAL

    def _load(self, triples: Iterable[tuple[Any, Any, Any]]) -> Any:
        graph = Graph()
        for triple in triples:
            graph.add(triple)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "axioms.owl"
            graph.serialize(str(path), format="xml", encoding="utf-8")
            file = self._class("java.io.File")(str(path))
            return self._manager.createOWLOntologyManager().loadOntologyFromOntologyDocument(file)

    def _depths(self) -> dict[str, int]:
        """How many definitions each class stands on: what it is made of comes before it."""
        used = {
            str(each.getIRI()): {
                str(c.getIRI())
                for axiom in self.ontology.getEquivalentClassesAxioms(each)
                for c in axiom.getClassesInSignature()
            }
            - {str(each.getIRI())}
            for each in self.ontology.getClassesInSignature()
        }
        depth: dict[str, int] = {}

        def of(iri: str) -> int:
            if iri not in depth:
                depth[iri] = 0  # stands while a cycle is walked
                depth[iri] = max((1 + of(each) for each in used.get(iri, ())), default=0)
            return depth[iri]

        for iri in used:
            of(iri)
        return depth

    # Knowledge alone

    def is_consistent(self) -> bool:
        """Say whether the axioms can all be true together, every value individual included."""
        tableau = self.tableau(self.axioms(self._values.everything()))
        return self.has_model(tableau, self._class("java.util.HashMap")(), _TEST_SECONDS)

    def unsatisfiable_classes(self) -> list[str]:
        """Classes that nothing can belong to; classifies, which takes some ten seconds."""
        found = self._reasoner.getUnsatisfiableClasses().getEntitiesMinusBottom()
        return sorted(str(each.getIRI()) for each in found)

    def superclasses(self) -> dict[str, set[str]]:
        """All named superclasses of each class, inferred; classifies.

        Shape: IRI -> IRIs, the class itself and owl:Thing left out.
        """
        found = {}
        for each in self.ontology.getClassesInSignature():
            uppers = self._reasoner.getSuperClasses(each, False).getFlattened()
            same = self._reasoner.getEquivalentClasses(each).getEntities()
            names = {str(c.getIRI()) for group in (uppers, same) for c in group}
            found[str(each.getIRI())] = names - {str(each.getIRI()), str(OWL.Thing)}
        return found

    # One patient

    def axioms(self, triples: Iterable[tuple[Any, Any, Any]]) -> list[Any]:
        """The facts of a patient as axioms of the OWL API; annotations are left out.

        What is known of the individuals that they name is added.

        Shape: class, property and difference assertions; a complete list of different values is
        "only these".
        """
        triples = list(triples)
        graph = Graph()
        for triple in [*triples, *self._values.about(triples)]:
            graph.add(triple)
        different = [
            set(RdfList(graph, graph.value(node, OWL.distinctMembers)))
            for node in graph.subjects(RDF.type, OWL.AllDifferent)
        ]
        found = []
        closed = {
            (subject, graph.value(kind, OWL.onProperty))
            for kind in graph.subjects(OWL.allValuesFrom, None)
            for subject in graph.subjects(RDF.type, kind)
        }
        for subject, predicate, value in graph:
            if isinstance(subject, BNode):
                continue
            if predicate == RDF.type and isinstance(value, BNode):
                most = (value, OWL.maxCardinality, None) in graph
                # "Only these" says more than their number.
                if not (most and (subject, graph.value(value, OWL.onProperty)) in closed):
                    found.append(self._complete_list(graph, subject, value, different))
            else:
                axiom = self._assertion(subject, predicate, value)
                if axiom is not None:
                    found.append(axiom)
        for members in different:
            individuals = self._set(self._individual(each) for each in members)
            found.append(self._factory.getOWLDifferentIndividualsAxiom(individuals))
        return found

    def _complete_list(
        self, graph: Graph, subject: Any, restriction: BNode, different: list[set[Any]]
    ) -> Any:
        """The axiom that there are no more values than those stated.

        "At most n" beside n different values and "only these" follow from each other; HermiT is
        many times faster with the second.
        """
        f = self._factory
        name = graph.value(restriction, OWL.onProperty)
        of = f.getOWLObjectProperty(self._iri(str(name)))
        number = graph.value(restriction, OWL.maxCardinality)
        values = set(graph.objects(subject, name))
        only = number is None or (
            len(values) == int(number) > 0 and self._all_different(values, different)
        )
        if not only:
            kind = f.getOWLObjectMaxCardinality(int(number), of)
        else:
            if number is None:
                named = graph.value(restriction, OWL.allValuesFrom)
                values = set(RdfList(graph, graph.value(named, OWL.oneOf)))
            these = f.getOWLObjectOneOf(self._set(self._individual(each) for each in values))
            kind = f.getOWLObjectAllValuesFrom(of, these)
        return f.getOWLClassAssertionAxiom(kind, self._individual(subject))

    def _all_different(self, values: set[Any], different: list[set[Any]]) -> bool:
        groups = [*different, *self._values.different]
        return len(values) == 1 or any(values <= set(group) for group in groups)

    def _assertion(self, subject: Any, predicate: Any, value: Any) -> Any:
        f, individual = self._factory, self._individual(subject)
        if predicate == RDF.type:
            return (
                None
                if value == OWL.NamedIndividual
                else f.getOWLClassAssertionAxiom(self.named_class(str(value)), individual)
            )
        if str(predicate) in self._objects and isinstance(value, URIRef):
            of = f.getOWLObjectProperty(self._iri(str(predicate)))
            return f.getOWLObjectPropertyAssertionAxiom(of, individual, self._individual(value))
        if str(predicate) in self._datas:
            kind = f.getOWLDatatype(self._iri(str(value.datatype or XSD.string)))
            of = f.getOWLDataProperty(self._iri(str(predicate)))
            literal = f.getOWLLiteral(str(value), kind)
            return f.getOWLDataPropertyAssertionAxiom(of, individual, literal)
        return None

    def _individual(self, iri: Any) -> Any:
        return self._factory.getOWLNamedIndividual(self._iri(str(iri)))

    def named_class(self, iri: str) -> Any:
        """A class of the OWL API by its IRI."""
        return self._factory.getOWLClass(self._iri(iri))

    def _set(self, items: Iterable[Any]) -> Any:
        found = self._class("java.util.HashSet")()
        for item in items:
            found.add(item)
        return found

    def statuses(
        self,
        facts: list[Any],
        literals: Collection[Literal],
        expected: Mapping[Literal, str] | None = None,
    ) -> dict[Literal, str] | None:
        """Say for each individual and class what follows from the axioms and `facts`.

        A class is met if its negation is impossible, unmet if it is impossible itself, unknown if
        a model was found for each. `expected` only orders the tests: nothing is taken from it.

        Shape: (individual, class) -> met, unmet or unknown; None where the facts contradict the
        axioms, so that everything follows. `facts` as `axioms` gives them.
        Errors: EngineError if a single test takes more than half a minute.
        """
        search = _Search(self, facts, literals)
        search.prove_expected(expected or {})
        # What was proven makes this test quick; without any model it was proven of nothing.
        try:
            if not search.model(None):
                return None
        except TimeoutError as error:
            raise EngineError(
                f"HermiT did not say in {_TEST_SECONDS} seconds whether the facts can be true"
            ) from error
        search.decide_rest()
        return search.result()

    def tableau(self, facts: list[Any], extra: Any = None) -> Any:
        """The tableau of HermiT for the axioms, the facts and one more axiom."""
        return self._reasoner.getTableau([*facts, extra] if extra is not None else facts)

    def has_model(self, tableau: Any, nodes: Any, seconds: float) -> bool:
        """Search a model; `nodes`, a Java map with individuals as keys, gets their nodes in it.

        Errors: TimeoutError if the search takes longer than `seconds`.
        """
        from jpype import JException

        # HermiT's own time limit is fixed when it starts, so that a flag is set from here.
        flag = tableau.getInterruptFlag()
        done = Event()

        def watch() -> None:
            wait = seconds
            while not done.wait(wait):
                flag.interrupt()
                wait = 0.01  # again, since the start of a search forgets an interrupt

        watcher = Thread(target=watch, daemon=True)
        watcher.start()
        try:
            return bool(
                tableau.isSatisfiable(True, True, None, None, None, None, nodes, self._task)
            )
        except JException as error:
            if "Interrupted" in type(error).__name__:
                raise TimeoutError from error
            raise
        finally:
            done.set()
            watcher.join()
            flag.endTask()  # forgets an interrupt that came too late

    def assertion(self, expression: Any, individual: str) -> Any:
        """The axiom that an individual belongs to a class expression."""
        return self._factory.getOWLClassAssertionAxiom(expression, self._individual(individual))

    def can_all_be_true(self, axioms: Iterable[Any]) -> bool:
        """Say whether axioms have a model, on their own and without the ontology."""
        ontology = self._manager.createOWLOntologyManager().createOntology(self._set(axioms))
        reasoner = self._reasoner_class(self._configuration, ontology)
        try:
            return bool(reasoner.isConsistent())
        finally:
            reasoner.dispose()

    def axioms_about(self, iri: str) -> list[Any]:
        """Logical axioms that speak of a class or individual; of a property what it is itself.

        That a property is functional belongs to it; each criterion that uses it does not.
        """
        f, name = self._factory, self._iri(iri)
        found = []
        if iri in self._objects or iri in self._datas:
            of = (
                f.getOWLObjectProperty(name) if iri in self._objects else f.getOWLDataProperty(name)
            )
            axioms = self.ontology.getReferencingAxioms(of)
            types = self._class("org.semanticweb.owlapi.model.AxiomType").RBoxAxiomTypes
            found = [axiom for axiom in axioms if axiom.isOfType(types)]
        else:
            for entity in (f.getOWLClass(name), f.getOWLNamedIndividual(name)):
                axioms = self.ontology.getReferencingAxioms(entity)
                found += [axiom for axiom in axioms if axiom.isLogicalAxiom()]
        return sorted(found, key=str)

    def negation(self, literal: Literal) -> Any:
        """The class expression that the individual of a literal is outside its class."""
        return self._factory.getOWLObjectComplementOf(self.named_class(literal[1]))


class _Search:
    """Collects what the models of one patient show, until every literal is settled."""

    def __init__(self, hermit: Hermit, facts: list[Any], literals: Collection[Literal]) -> None:
        self.hermit, self.facts = hermit, list(facts)
        self.literals = set(literals)
        # What a patient is rests on the courses, and they on their episodes: the longest IRI first.
        self.individuals = sorted({individual for individual, _ in literals}, key=len, reverse=True)
        self.seen_true: set[Literal] = set()
        self.seen_false: set[Literal] = set()
        self.proven: dict[Literal, str] = {}

    @cached_property
    def links(self) -> dict[Individual, list[Individual]]:
        """Which individuals each of the patient's is stated to be related to."""
        kind = self.hermit._class(
            "org.semanticweb.owlapi.model.AxiomType"
        ).OBJECT_PROPERTY_ASSERTION
        found: dict[Individual, list[Individual]] = {}
        for fact in self.facts:
            if fact.isOfType(kind):
                ends = (str(each.toStringID()) for each in (fact.getSubject(), fact.getObject()))
                subject, value = ends
                found.setdefault(subject, []).append(value)
        return found

    def model(self, axiom: Any, seconds: float = _TEST_SECONDS) -> bool:
        """Look for a model with the axiom; note what each literal is in it."""
        h = self.hermit
        tableau = h.tableau(self.facts, axiom)
        nodes = h._class("java.util.HashMap")()
        keys = {each: h._named.create(each) for each in self.individuals}
        for key in keys.values():
            nodes.put(key, None)
        if not h.has_model(tableau, nodes, seconds):
            return False
        true = set()
        for individual, key in keys.items():
            labels = self._labels(tableau, nodes.get(key).getCanonicalNode())
            true |= {(individual, label) for label in labels}
        self.seen_true |= true & self.literals
        self.seen_false |= self.literals - true
        return True

    def _labels(self, tableau: Any, node: Any) -> set[str]:
        from jpype import JBoolean

        table = tableau.getExtensionManager().getBinaryExtensionTable()
        retrieval = table.createRetrieval(JBoolean[:]([False, True]), self.hermit._view)
        retrieval.getBindingsBuffer()[1] = node
        retrieval.open()
        found = set()
        while not retrieval.afterLast():
            concept = retrieval.getTupleBuffer()[0]
            if isinstance(concept, self.hermit._atomic):
                found.add(str(concept.getIRI()))
            retrieval.next()
        return found

    def opposite(self, literal: Literal, status: str) -> Any:
        """The class expression by which a model would show that the status does not follow."""
        h = self.hermit
        return h.negation(literal) if status == "met" else h.named_class(literal[1])

    def possible(self, literal: Literal, status: str) -> bool:
        return (
            status == "met"
            and literal not in self.seen_false
            or (status == "unmet" and literal not in self.seen_true)
        )

    def prove_expected(self, expected: Mapping[Literal, str]) -> None:
        """Prove what is expected, each individual from what it leads to.

        What follows from some of the facts follows from all: a course does not wait for the rest.
        """
        for individual in self.individuals:
            literals = [each for each in self.literals if each[0] == individual]
            part = _Search(self.hermit, self.facts_of(individual), literals)
            part.refute(individual, expected)
            for literal, status in part.proven.items():
                self.prove(literal, status)

    def facts_of(self, individual: Individual) -> list[Any]:
        """The facts that speak of no other individual of the patient than those it leads to."""
        left = set(self.individuals) - self.reachable(individual)
        return [
            fact
            for fact in self.facts
            if left.isdisjoint(str(i.toStringID()) for i in fact.getIndividualsInSignature())
        ]

    def reachable(self, individual: Individual) -> set[Individual]:
        """An individual, and those that the facts lead to from it."""
        found, waiting = set(), [individual]
        while waiting:
            each = waiting.pop()
            if each not in found:
                found.add(each)
                waiting += self.links.get(each, ())
        return found

    def refute(self, individual: Individual, expected: Mapping[Literal, str]) -> None:
        """Refute many opposites by one test each: none of them can be true."""
        waiting = sorted(
            (
                (literal, status)
                for literal, status in expected.items()
                if literal in self.literals and literal[0] == individual
            ),
            key=lambda pair: (self.hermit.depth.get(pair[0][1], 0), pair),
        )
        size = _CHUNK
        while waiting := [pair for pair in waiting if self.possible(*pair)]:
            chunk = waiting[:size]
            try:
                refuted = not self.model(self.any_of(individual, chunk), _CHUNK_SECONDS)
            except TimeoutError:
                if size == 1:
                    waiting = waiting[1:]  # left to the single tests
                size = max(1, size // 4)
                continue
            if refuted:
                for literal, status in chunk:
                    self.prove(literal, status)
                waiting = waiting[len(chunk) :]
                size = min(_CHUNK, 2 * size)

    def prove(self, literal: Literal, status: str) -> None:
        """Note what follows; as a fact of later tests it spares HermiT to find it again."""
        h, (individual, iri) = self.hermit, literal
        self.proven[literal] = status
        known = h.named_class(iri) if status == "met" else h.negation(literal)
        self.facts.append(h.assertion(known, individual))

    def any_of(self, individual: Individual, chunk: list[tuple[Literal, str]]) -> Any:
        h = self.hermit
        parts = h._set(self.opposite(literal, status) for literal, status in chunk)
        whole = h._factory.getOWLObjectUnionOf(parts) if parts.size() > 1 else next(iter(parts))
        return h.assertion(whole, individual)

    def decide_rest(self) -> None:
        """Find a model for each value that no model has shown, or prove that there is none."""
        while waiting := [
            (literal, status)
            for literal in sorted(self.literals - self.proven.keys())
            for status in ("met", "unmet")
            if self.possible(literal, status)
        ]:
            # Neighbours by name exclude each other more often than those far apart.
            step = max(1, len(waiting) // _TOGETHER)
            self.settle(waiting[::step][:_TOGETHER])

    def settle(self, batch: list[tuple[Literal, str]]) -> None:
        """Show that none of a batch follows, by one model where there is one."""
        batch = [pair for pair in batch if self.possible(*pair)]
        individuals = {literal[0] for literal, _ in batch}
        if len(individuals) > 1:
            for individual in sorted(individuals):
                self.settle([pair for pair in batch if pair[0][0] == individual])
        elif len(batch) == 1:
            self.settle_one(*batch[0])
        elif batch:
            try:
                if self.model(self.all_of(batch), _CHUNK_SECONDS):
                    return
            except TimeoutError:
                pass
            half = len(batch) // 2
            self.settle(batch[:half])
            self.settle(batch[half:])

    def settle_one(self, literal: Literal, status: str) -> None:
        try:
            if not self.model(self.all_of([(literal, status)])):
                self.prove(literal, status)
        except TimeoutError as error:
            raise EngineError(
                f"HermiT did not decide {literal[1]} for {literal[0]} in {_TEST_SECONDS} seconds"
            ) from error

    def all_of(self, batch: list[tuple[Literal, str]]) -> Any:
        """The axiom that the opposite of each literal of a batch holds."""
        h = self.hermit
        parts = [self.opposite(literal, status) for literal, status in batch]
        whole = h._factory.getOWLObjectIntersectionOf(h._set(parts)) if parts[1:] else parts[0]
        return h.assertion(whole, batch[0][0][0])

    def result(self) -> dict[Literal, str]:
        return {literal: self.proven.get(literal, "unknown") for literal in self.literals}
