"""The knowledge graph as Python developers use it: look up, query, screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from her2kg import queries, rules
from her2kg.eligibility import Evaluator
from her2kg.endpoint import SECONDS, Endpoint
from her2kg.errors import DataError, EngineError, Fact, Problem, UnknownTerm, did_you_mean
from her2kg.graph import example_files
from her2kg.graph import load as load_embedded
from her2kg.names import Names
from her2kg.namespaces import BASE, ONTOLOGY_HOME, Iri
from her2kg.query_text import unknown_terms
from her2kg.records import PatientRecord, Record, load_record, slug
from her2kg.remote import RemoteEngine, WorkingGraph
from her2kg.verdicts import BASES, Answers

_PATIENT = re.compile(r"(her2kg:|https://w3id\.org/her2kg#)?patient_\w+")


@dataclass(frozen=True)
class Link:
    """One statement about a term: `direction` is out (term is subject) or in (term is object)."""

    direction: str
    property: str
    value: Any
    label: str | None
    property_label: str | None = None


@dataclass(frozen=True)
class Code:
    """A code of a term in another vocabulary.

    Shape: `match` is exact, close, broad, narrow or related; `confidence` verified or recalled.
    """

    system: str
    code: str
    iri: str
    match: str
    confidence: str
    label: str | None = None


@dataclass(frozen=True)
class Term:
    """A term of the graph with what is stated about it.

    Shape: `id` is the local name, `links` every statement in both directions, `codes` those of
    other vocabularies.
    """

    id: str
    iri: str
    kind: str
    label: str
    definition: str
    synonyms: tuple[str, ...]
    links: tuple[Link, ...]
    codes: tuple[Code, ...] = ()

    def __getitem__(self, property_name: str) -> list[Any]:
        """Values of one property by its local name, as Python values or local ids."""
        return [
            link.value.local if isinstance(link.value, Iri) else link.value
            for link in self.links
            if link.direction == "out" and link.property.rsplit(":", 1)[-1] == property_name
        ]


class KnowledgeGraph:
    """All knowledge of her2kg, embedded by default, or in a SPARQL endpoint.

    >>> kg = KnowledgeGraph()
    >>> kg.drug("Enhertu").label
    'trastuzumab deruxtecan'

    With `endpoint` the questions are answered there, from the named graph `graph` (the ontology's
    own IRI, else the default graph) and, if given, the named graph `patients`. With
    `update_endpoint` patients are judged there too, in a copy of the knowledge that `close` or the
    end of the program drops; without, the knowledge is fetched and they are judged here.

    Units: `timeout` in seconds, for one request.
    Errors: EngineError if the engine is unknown or the endpoint does not answer;
    DataError if `ontology` holds no module or a criterion outside the profile.
    """

    def __init__(
        self,
        *,
        engine: str = "oxigraph",
        endpoint: str | None = None,
        update_endpoint: str | None = None,
        graph: str | None = None,
        patients: str | None = None,
        user: str | None = None,
        password: str | None = None,
        timeout: float = SECONDS,
        ontology: str | Path | None = None,
    ) -> None:
        self.home = Path(ontology) if ontology is not None else ONTOLOGY_HOME
        self._remote: RemoteEngine | None = None
        self._working: WorkingGraph | None = None
        # Neither this object nor the names may hold the other, or old graphs linger in memory.
        if endpoint is None:
            if any(each is not None for each in (update_endpoint, graph, patients, user, password)):
                raise EngineError(
                    "update_endpoint, graph, patients, user and password go with an endpoint; "
                    "give endpoint too"
                )
            self.engine, self._deferred = load_embedded(engine, self.home)
        else:
            reached = Endpoint(
                endpoint,
                update_address=update_endpoint,
                user=user,
                password=password,
                timeout=timeout,
            )
            self._remote = self.engine = RemoteEngine(reached, graph=graph, patients=patients)
            self._deferred = _nothing
        self.names = Names(self.engine, load_codes=self._deferred)

    def __enter__(self) -> KnowledgeGraph:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Drop the copy of the knowledge that patients are judged in, if there is one."""
        if self._working is not None:
            self._working.close()

    def complete(self) -> None:
        """Load what the start leaves out because no verdict rests on it."""
        self._deferred()

    @cached_property
    def _evaluator(self) -> Evaluator:
        if self._remote is None:
            return Evaluator(self.engine, self.names)
        if self._remote.endpoint.update_address is None:
            return Evaluator(self._remote.fetched(), self.names)
        self._working = self._remote.working_graph()
        return Evaluator(self._working, self.names)

    def publish(self, *, told: Callable[[int], None] = lambda _: None) -> int:
        """Load the installed knowledge into the store, in the place of what its graph holds.

        `told` is called with the number of triples sent so far. The graph changes all at once, or
        on a failure not at all.

        Shape: the number of triples.
        Errors: EngineError if this graph is embedded, the store takes no updates or fails.
        """
        remote = self._writable()
        engine, complete = load_embedded("oxigraph", self.home)
        complete()
        self.close()
        held = remote.replace(remote.home, engine.construct(rules.system("everything.rq")), told)
        self.__dict__.pop("_evaluator", None)
        self.names = Names(self.engine)
        return held

    def publish_patients(
        self,
        patients: Iterable[str | Path | bytes | Mapping[str, Any] | PatientRecord | Record],
        *,
        told: Callable[[int], None] = lambda _: None,
    ) -> int:
        """Judge patients in the store and keep them, with what follows, in its graph `patients`.

        They take the place of those that the graph held, all at once, or on a failure not at all.
        The questions of this object then count them. `told` is called with the number done so far.

        Shape: the number of patients.
        Errors: DataError for a record with problems; EngineError as in `publish`.
        """
        remote = self._writable()
        records = [each if isinstance(each, Record) else self.record(each) for each in patients]
        _refuse_twins(records)
        evaluator = self._evaluator

        def store(some: list[Record], place: str) -> None:
            assert self._working is not None
            with evaluator.inferred(*some) as triples:
                self._working.copy_facts({triple[0] for triple in triples}, place)

        return remote.replace_patients(records, store, told)

    def _writable(self) -> RemoteEngine:
        if self._remote is None:
            raise EngineError(
                "there is no store to publish to; "
                "name it: KnowledgeGraph(endpoint=..., update_endpoint=...)"
            )
        self._remote.endpoint.require_updates()
        return self._remote

    @property
    def version(self) -> str:
        """Version of the knowledge, from the ontology header."""
        return self._evaluator.version

    def regimen(self, name: str) -> Term:
        """A regimen by id, label, synonym or abbreviation. Errors: UnknownTerm."""
        return self._term(name, ("regimen",))

    def drug(self, name: str) -> Term:
        """A drug by id, label, brand, synonym, abbreviation or code. Errors: UnknownTerm."""
        return self._term(name, ("drug", "product"))

    def trial(self, name: str) -> Term:
        """A trial by acronym or registry identifier. Errors: UnknownTerm."""
        return self._term(name, ("trial",))

    def adverse_event(self, name: str) -> Term:
        """An adverse event by label, synonym or abbreviation. Errors: UnknownTerm."""
        return self._term(name, ("adverse event",))

    def terms(self, name: str) -> list[Term]:
        """Every term of any kind that bears the name. Errors: UnknownTerm if none does."""
        found = self.names.find(name)
        if not found:
            self.names.resolve(name, self.names.kinds)
        seen = dict.fromkeys((iri, kind) for kind, iri in found)
        return [self._describe(iri, kind) for iri, kind in seen]

    def _term(self, name: str, kinds: tuple[str, ...]) -> Term:
        iri = self.names.resolve(name, kinds)
        kind = next(kind for kind, each in self.names.find(name, kinds) if each == iri)
        return self._describe(iri, kind)

    def _describe(self, iri: str, kind: str) -> Term:
        rows = self.query("terms/describe", term=f"<{iri}>").rows
        links = tuple(
            Link(direction, prop.curie, value, value_label, prop_label)
            for direction, prop, prop_label, value, value_label in rows
        )

        def values(curie: str) -> list[Any]:
            return [k.value for k in links if k.direction == "out" and k.property == curie]

        return Term(
            id=iri.removeprefix(BASE),
            iri=iri,
            kind=kind,
            label=next(iter(values("rdfs:label")), iri),
            definition=next(iter(values("skos:definition")), ""),
            synonyms=tuple(sorted(values("skos:altLabel"))),
            links=links,
            codes=self._codes_of(iri),
        )

    def _codes_of(self, iri: str) -> tuple[Code, ...]:
        found = {}
        for row in self.query("terms/codes-of", term=f"<{iri}>").to_dicts():
            match = row["predicate"].local.removesuffix("Match")
            found[row["concept"], match] = Code(
                system=row["prefix"],
                code=row["code"],
                iri=str(row["concept"]),
                match=match,
                confidence=row["confidence"],
                label=row["conceptLabel"],
            )
        return tuple(found.values())

    def record(self, source: str | Path | bytes | Mapping[str, Any] | PatientRecord) -> Record:
        """Read and check a patient record; a patient IRI stands for the example of that name.

        Errors: DataError with every problem found; UnknownTerm for an unknown patient IRI.
        """
        if isinstance(source, str) and _PATIENT.fullmatch(source.strip()):
            source = self._example(source.strip())
        return load_record(source, names=self.names)

    @staticmethod
    def _example(name: str) -> Path:
        """The file of a shipped example patient, by its IRI or local name."""
        local = name.removeprefix(BASE).removeprefix("her2kg:")
        files = {f"patient_{slug(path.stem)}": path for path in example_files()}
        if local not in files:
            raise UnknownTerm(name, "patient", did_you_mean(local, list(files)))
        return files[local]

    def eligibility(
        self,
        patient: str | Path | bytes | Mapping[str, Any] | PatientRecord | Record,
        *,
        as_of: str | date | None = None,
        bases: Iterable[str] = BASES,
        jurisdictions: Iterable[str] | None = None,
        regimens: Iterable[str] | None = None,
    ) -> Answers:
        """Which regimens suit a patient, why, why not, and what is missing to tell.

        `as_of` chooses which claims count: those valid on that day (the record's own day, or
        today, if left out). The facts of the record are taken as they are. Without `jurisdictions`
        those are asked that the ontology marks as asked by default; claims of no one territory
        always count.

        Shape: a mapping from regimen to RegimenVerdict, eligible ones first.
        Errors: DataError for a record with problems or a value outside what is accepted;
        UnknownTerm for an unknown regimen.
        """
        record = patient if isinstance(patient, Record) else self.record(patient)
        wanted = None
        if regimens is not None:
            wanted = [iri for name in regimens for iri in self.names.regimens(name)]
        bases, places = self.asked(bases, jurisdictions)
        return self._evaluator.evaluate(
            record,
            as_of=as_day(as_of, record.as_of),
            bases=bases,
            jurisdictions=places,
            regimens=wanted,
        )

    def decided(
        self, record: Record, assumed: Mapping[tuple[str, str], str] | None = None
    ) -> tuple[list[Any], dict[tuple[str, str], str]]:
        """What the rules decide of a record, class by class, and the facts they decide it from.

        `assumed` are memberships that the rules are told beforehand, as (individual, class) -> met
        or unmet: what would follow if a reasoner that sees more had told them.

        Shape: triples, stated and derived; (individual, class) -> met, unmet or conflicting.
        """
        return self._evaluator.decided(record, assumed)

    def reasoner(
        self, patient: str | Path | bytes | Mapping[str, Any] | PatientRecord | Record | None = None
    ) -> Any:
        """An owlready2 world with the class axioms and, if given, a patient with derived facts.

        >>> import owlready2
        >>> world = KnowledgeGraph().reasoner()
        >>> world.search_one(iri="*#Her2PositivePatient").label.first()
        'HER2-positive'

        Shape: owlready2.World; `owlready2.sync_reasoner_hermit(world)` classifies it.
        Errors: DataError for a record with problems; EngineError on a remote endpoint.
        """
        from her2kg import reasoning

        reasoning.require_embedded(self._remote is not None)
        if patient is not None and not isinstance(patient, Record):
            patient = self.record(patient)
        return reasoning.world(self, patient)

    def facts(
        self, patient: str | Path | bytes | Mapping[str, Any] | PatientRecord | Record
    ) -> list[tuple[Any, Any, Any]]:
        """What a record states and what the rules derive from it, as RDF.

        Shape: triples of rdflib terms, first those stated; a class that is met is an rdf:type,
        one that is refuted is not told.
        Errors: DataError for a record with problems.
        """
        record = patient if isinstance(patient, Record) else self.record(patient)
        return self._evaluator.facts(record)

    def asked(
        self, bases: Iterable[str], jurisdictions: Iterable[str] | None
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Bases and jurisdictions as the graph writes them; without the latter, its defaults.

        Errors: DataError for a value outside what is accepted.
        """
        return _subset("basis", bases, BASES), self._territories(jurisdictions)

    def _territories(self, given: Iterable[str] | None) -> tuple[str, ...]:
        rows = self._jurisdictions
        if given is None:
            return tuple(code for _, code, by_default in rows if by_default)
        return _subset("jurisdiction", given, tuple(code for _, code, _ in rows))

    @cached_property
    def _jurisdictions(self) -> list[tuple[Any, ...]]:
        return queries.run(self.engine, self.names, "terms/jurisdictions", {}).rows

    def query(self, name: str, **parameters: Any) -> queries.Rows:
        """Run a question of the library. Errors: UnknownQuery, BadParameter, EngineError."""
        self.complete()
        return queries.run(self.engine, self.names, name, parameters)

    def select(self, sparql: str) -> queries.Rows:
        """Run any SPARQL query; `her2kg:` and the common prefixes need no declaration.

        Errors: EngineError with the place of a syntax error and the nearest prefix or keyword.
        """
        self.complete()
        return queries.select(self.engine, sparql, self.names)

    def unknown_terms(self, sparql: str) -> list[str]:
        """Which her2kg terms of a query the graph does not have, and the nearest it has.

        Shape: one sentence each with the place in the text, at most three.
        """
        if BASE not in sparql and "her2kg:" not in sparql:
            return []
        known = frozenset(iri.removeprefix(BASE) for iri in self.names.every_label)
        return unknown_terms(sparql, known)


def _nothing() -> None:
    """What is left to load where the knowledge is in a store."""


def _refuse_twins(records: list[Record]) -> None:
    seen: set[str] = set()
    for each in records:
        if each.iri in seen:
            raise DataError([Problem("id", each.model.id, "one record for each patient")])
        seen.add(each.iri)


def as_day(value: str | date | None, default: date | None = None) -> date:
    """The day given, else the default, else today. Errors: DataError for text that is no day."""
    if value is None:
        return default or date.today()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        problem = Problem("as_of", value, "a day as YYYY-MM-DD, such as 2026-11-22")
        raise DataError([problem]) from None


def _subset(path: str, given: Iterable[str], accepted: tuple[str, ...]) -> tuple[str, ...]:
    chosen = tuple(given)
    by_key = {name.casefold(): name for name in accepted}
    problems = [
        Problem(path, each, ", ".join(accepted)) for each in chosen if each.casefold() not in by_key
    ]
    if not chosen:
        problems = [Problem(path, Fact("nothing"), ", ".join(accepted))]
    if problems:
        raise DataError(problems)
    return tuple(dict.fromkeys(by_key[each.casefold()] for each in chosen))
