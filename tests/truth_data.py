"""Read the classes out of a graph, and the facts of records after `queries/derivation/`."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from rdflib import Literal, URIRef
from truth import FACETS, Facts, Knowledge, Node

from her2kg import KnowledgeGraph, rules
from her2kg.files import replacing
from her2kg.graph import cache_folder
from her2kg.namespaces import BASE, ONTOLOGY_HOME, PREFIXES, QUERIES_HOME, Blank, Iri
from her2kg.record_rdf import to_triples
from her2kg.records import Record

_BATCH = 40
_OWL, _RDF = PREFIXES["owl"], PREFIXES["rdf"]
_FLAT = """SELECT ?node ?property ?value WHERE { ?node ?property ?value
  FILTER(STRSTARTS(STR(?property), "https://w3id.org/her2kg#expr")) }"""
_EXPRESSION = {"AllOf", "AnyOf", "Negates", "Property"}
_PAIRS = "SELECT ?a ?b WHERE {{ ?a {} ?b }}"
_CLOSED = """SELECT ?x ?property ?size WHERE {
  ?x a ?list . ?list owl:maxCardinality ?size ; owl:onProperty ?property }"""


def knowledge(kg: KnowledgeGraph) -> Knowledge:
    """The classes of a graph as the closure rules flattened them."""
    flat: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for node, prop, value in kg.select(_FLAT).rows:
        flat[str(node)][prop.local.removeprefix("expr")].append(value)

    def pairs(path: str) -> dict[str, tuple[str, ...]]:
        found: dict[str, set[str]] = defaultdict(set)
        for a, b in kg.select(_PAIRS.format(path)).rows:
            found[str(a)].add(str(b))
        return {a: tuple(sorted(b)) for a, b in found.items()}

    upper = pairs("rdfs:subClassOf|her2kg:exprWithin")
    lower: dict[str, set[str]] = defaultdict(set)
    for below, above in upper.items():
        for each in above:
            lower[each].add(below)
    met, unmet = pairs("her2kg:meets"), pairs("her2kg:fails")
    return Knowledge(
        nodes={node: _node(parts) for node, parts in flat.items() if _EXPRESSION & set(parts)},
        upper={a: frozenset(b) for a, b in upper.items()},
        lower={a: frozenset(b) for a, b in lower.items()},
        disjoint=pairs("her2kg:exprDisjoint"),
        differs={(str(a), str(b)) for a, b in kg.select(_PAIRS.format("her2kg:differsFrom")).rows},
        functional=_typed(kg, "owl:FunctionalProperty"),
        met={x: frozenset(found) for x, found in met.items()},
        unmet={x: frozenset(found) for x, found in unmet.items()},
        kinds={x: frozenset(found) for x, found in pairs("a").items()},
        stated={a: frozenset(b) for a, b in pairs("rdfs:subClassOf").items()},
    )


def individuals(kg: KnowledgeGraph) -> Facts:
    """Drugs, values and the like, whose classes are judged once for all patients."""
    values: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    types: dict[str, set[str]] = defaultdict(set)
    closed: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    judged = "{ SELECT DISTINCT ?x WHERE { ?x her2kg:meets ?any } }"
    for x, prop, value in kg.select(f"SELECT ?x ?p ?v WHERE {{ {judged} ?x ?p ?v }}").rows:
        if prop == _RDF + "type":
            if not isinstance(value, Blank):
                types[str(x)].add(str(value))
        else:
            values[str(x)][str(prop)].append(value)
    for x, prop, size in kg.select(_CLOSED).rows:
        closed[str(x)][str(prop)].append(int(size))
    return Facts(
        patient="",
        types={x: frozenset(found) for x, found in types.items()},
        values={x: {p: tuple(v) for p, v in each.items()} for x, each in values.items()},
        closed={x: {p: tuple(v) for p, v in each.items()} for x, each in closed.items()},
    )


def _typed(kg: KnowledgeGraph, kind: str) -> set[str]:
    return {str(x) for (x,) in kg.select(f"SELECT ?x WHERE {{ ?x a {kind} }}").rows}


def _node(parts: dict[str, list[Any]]) -> Node:
    def one(key: str) -> Any:
        found = parts.get(key, [None])
        assert len(set(found)) == 1, parts
        return found[0]

    def names(key: str) -> tuple[str, ...]:
        return tuple(sorted(str(each) for each in set(parts.get(key, ()))))

    def text(value: Any) -> str | None:
        return None if value is None else str(value)

    return Node(
        all_of=names("AllOf"),
        any_of=names("AnyOf"),
        negates=names("Negates"),
        prop=text(one("Property")),
        value=one("Value"),
        filler=text(one("Filler")),
        count=one("Count"),
        ranged=bool(one("Range")),
        facets=tuple(
            (facet, limit)
            for facet in FACETS
            for limit in parts.get(facet[0].upper() + facet[1:], ())
        ),
    )


Statuses = dict[str, str]


class Records:
    """Facts of records, and what the rules of the project say of them; kept between runs."""

    def __init__(self, kg: KnowledgeGraph) -> None:
        self.kg = kg
        digest = hashlib.sha256()
        for home, pattern in ((ONTOLOGY_HOME, "*.ttl"), (QUERIES_HOME, "*.rq")):
            for path in sorted(home.rglob(pattern)):
                if "examples" not in path.parts:
                    digest.update(path.name.encode() + path.read_bytes())
        self._file = cache_folder() / f"facts-{digest.hexdigest()[:32]}.pickle"
        self._kept: dict[str, Facts] = {}
        if self._file.is_file():
            self._kept = pickle.loads(self._file.read_bytes())

    def facts(
        self, texts: Iterable[str], report: Callable[[int, int], None] = lambda done, of: None
    ) -> dict[str, Facts]:
        """Facts of records, given as JSON text."""
        wanted = list(dict.fromkeys(texts))
        lacking = [text for text in wanted if text not in self._kept]
        for start in range(0, len(lacking), _BATCH):
            report(start, len(lacking))
            some = lacking[start : start + _BATCH]
            self._kept |= dict(zip(some, self._derived(some, lambda facts, _: facts), strict=True))
        if lacking:
            self._keep()
        return {text: self._kept[text] for text in wanted}

    def judged(self, texts: list[str]) -> list[tuple[Facts, Statuses]]:
        """Facts of records, and the status of every class by the rules of the project."""

        def infer(facts: list[Facts], records: list[Record]) -> list[tuple[Facts, Statuses]]:
            rules.infer(self.kg.engine)
            statuses = [self._statuses(record) for record in records]
            return list(zip(facts, statuses, strict=True))

        return self._derived(texts, infer)

    def _keep(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._file) as temporary:
            temporary.write_bytes(pickle.dumps(self._kept))

    def _derived(self, texts: list[str], then: Callable[..., list[Any]]) -> list[Any]:
        """Run the derivations on records that are in the graph for as long as that takes."""
        engine, mark = self.kg.engine, URIRef(BASE + "isUnderEvaluation")
        subjects: list[set[Any]] = []
        records: list[Record] = []
        for number, text in enumerate(texts):
            record = self.kg.record(json.loads(text) | {"id": f"changed-classes-{number}"})
            triples = to_triples(record, self.kg.names)
            engine.add([*triples, (URIRef(record.iri), mark, Literal(True))])
            records.append(record)
            subjects.append({triple[0] for triple in triples})
        try:
            rules.run_folder(engine, "derivation")
            return then(self._read(records, subjects), records)
        finally:
            engine.remove_subjects(set().union(*subjects))

    def _statuses(self, record: Record) -> Statuses:
        found: Statuses = {}
        rows = self.kg.query("eligibility/statuses", patient=f"<{record.iri}>").rows
        for iri, status in rows:
            known = found.setdefault(str(iri), status)
            found[str(iri)] = status if known == status else "conflicting"
        return found

    def _read(self, records: list[Record], subjects: list[set[Any]]) -> list[Facts]:
        of = {str(s): n for n, each in enumerate(subjects) for s in each}
        marked = {
            str(x)
            for (x,) in self.kg.select("SELECT ?x WHERE { ?x her2kg:isUnderEvaluation true }").rows
        }
        values: list[dict] = [defaultdict(lambda: defaultdict(list)) for _ in records]
        types: list[dict] = [defaultdict(set) for _ in records]
        closed: list[dict] = [defaultdict(lambda: defaultdict(list)) for _ in records]
        rows = self.kg.select(
            "SELECT ?x ?p ?v WHERE { ?x her2kg:isUnderEvaluation true ; ?p ?v }"
        ).rows
        for x, prop, value in rows:
            n = of[str(x)]
            if prop == _RDF + "type":
                if not isinstance(value, Blank):
                    types[n][str(x)].add(str(value))
            else:
                values[n][str(x)][str(prop)].append(value)
        for x, prop, size in self.kg.select(_CLOSED).rows:
            if str(x) in marked:
                closed[of[str(x)]][str(x)][str(prop)].append(int(size))
        return [
            Facts(
                patient=str(record.iri),
                types={x: frozenset(found) for x, found in types[n].items()},
                values={
                    x: {p: tuple(_plain(v) for v in found) for p, found in each.items()}
                    for x, each in values[n].items()
                },
                closed={
                    x: {p: tuple(sizes) for p, sizes in each.items()}
                    for x, each in closed[n].items()
                },
            )
            for n, record in enumerate(records)
        ]


def _plain(value: Any) -> Any:
    return Iri(value) if isinstance(value, Iri) else value
