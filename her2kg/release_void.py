"""The description of a release for catalogues and stores, in VoID and DCAT."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from her2kg.namespaces import BASE, ONTOLOGY
from her2kg.release_graphs import day_of, header_version, text_of
from her2kg.turtle import PREFIXES, Triple, write_turtle

RDF, RDFS, OWL = (PREFIXES[name] for name in ("rdf", "rdfs", "owl"))
DCAT, DCTERMS, SPDX, VOID, XSD = (
    PREFIXES[name] for name in ("dcat", "dcterms", "spdx", "void", "xsd")
)
_IANA = "https://www.iana.org/assignments/media-types/"
_TYPE = f"<{RDF}type>"


@dataclass(frozen=True)
class Artefact:
    """One file of a release: its bytes, media type and what it is for.

    Shape: `of` is the graph that it holds, `merged` or `inferred`, or None.
    """

    name: str
    content: bytes
    media_type: str
    title: str
    of: str | None = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def describe(graphs: Mapping[str, set[Triple]], artefacts: Iterable[Artefact]) -> str:
    """Write the VoID and DCAT description of the graphs and the files that hold them.

    Shape: Turtle; `graphs` holds the triples of `merged` and of `inferred`.
    Units: sizes in bytes, sums in hexadecimal.
    """
    merged = graphs["merged"]
    version, day = header_version(merged), day_of(merged)
    release = f"{ONTOLOGY}/{version}"
    out = _Description(release)
    header = [(p[1:-1], o) for s, p, o in merged if s == f"<{ONTOLOGY}>"]
    kept = {"title", "description", "creator", "contributor", "publisher", "license", "created"}
    about = [(p, o) for p, o in header if p in {DCTERMS + name for name in kept}]

    catalogue = f"{release}/her2kg-void.ttl"
    out.add(catalogue, _TYPE, f"<{VOID}DatasetDescription>")
    out.add(catalogue, _TYPE, f"<{DCAT}Catalog>")
    out.add(catalogue, f"{DCTERMS}title", _text(f"Description of her2kg {version}"))
    out.add(catalogue, f"{DCTERMS}issued", _date(day))
    datasets = {"merged": release, "inferred": f"{release}/inferred"}
    for name, dataset in datasets.items():
        out.add(catalogue, f"{DCAT}dataset", f"<{dataset}>")
        out.add(catalogue, "http://xmlns.com/foaf/0.1/topic", f"<{dataset}>")
        for kind in (f"{VOID}Dataset", f"{DCAT}Dataset"):
            out.add(dataset, _TYPE, f"<{kind}>")
        for p, o in about:
            if name == "merged" or p != f"{DCTERMS}title":
                out.add(dataset, p, o)
        out.add(dataset, f"{DCTERMS}issued", _date(day))
        out.add(dataset, f"{DCTERMS}identifier", f'"{dataset}"')
        out.add(dataset, f"{DCAT}version", f'"{version}"')
        out.add(dataset, f"{DCTERMS}isVersionOf", f"<{ONTOLOGY}>")
        out.add(dataset, f"{DCAT}landingPage", f"<{release}/index.html>")
        out.add(dataset, f"{DCAT}keyword", _text("HER2-positive breast cancer"))
        out.add(dataset, f"{VOID}uriSpace", f'"{BASE}"')
        out.statistics(dataset, graphs[name])
    out.add(datasets["inferred"], f"{DCTERMS}title", _text("her2kg, inferred copy"))
    out.add(datasets["inferred"], f"{DCTERMS}source", f"<{release}>")
    for artefact in artefacts:
        out.distribution(datasets[artefact.of or "merged"], artefact)
    out.linksets(release, merged)
    return write_turtle(out.triples)


class _Description:
    """Collects the triples of the description."""

    def __init__(self, release: str) -> None:
        self.release = release
        self.triples: set[Triple] = set()

    def add(self, subject: str, predicate: str, value: str) -> None:
        predicate = predicate if predicate.startswith("<") else f"<{predicate}>"
        self.triples.add((f"<{subject}>", predicate, value))

    def statistics(self, dataset: str, triples: set[Triple]) -> None:
        """How much there is, by class too, and whose terms describe it."""
        types = [o for _, p, o in triples if p == _TYPE and o.startswith("<")]
        own = {s for s, _, _ in triples if s.startswith(f"<{BASE}")}
        classes = {o for o in types if o.startswith(f"<{BASE}")}
        counts = {
            "triples": len(triples),
            "entities": len(own),
            "classes": types.count(f"<{OWL}Class>"),
            "properties": len({p for _, p, _ in triples}),
            "distinctSubjects": len({s for s, _, _ in triples}),
            "distinctObjects": len({o for _, _, o in triples}),
        }
        for name, count in counts.items():
            self.add(dataset, VOID + name, str(count))
        used = {_namespace(iri) for iri in ({p for _, p, _ in triples} | set(types))}
        for namespace in used - {BASE}:
            self.add(dataset, f"{VOID}vocabulary", f"<{namespace}>")
        for iri, count in Counter(o for o in types if o in classes).items():
            part = f"{dataset}/part/{iri[1:-1].removeprefix(BASE)}"
            self.add(dataset, f"{VOID}classPartition", f"<{part}>")
            self.add(part, f"{VOID}class", iri)
            self.add(part, f"{VOID}entities", str(count))

    def distribution(self, dataset: str, artefact: Artefact) -> None:
        file = f"{self.release}/{artefact.name}"
        self.add(dataset, f"{DCAT}distribution", f"<{file}>")
        if artefact.of:
            self.add(dataset, f"{VOID}dataDump", f"<{file}>")
        self.add(file, _TYPE, f"<{DCAT}Distribution>")
        self.add(file, f"{DCTERMS}title", _text(artefact.title))
        self.add(file, f"{DCAT}downloadURL", f"<{file}>")
        self.add(file, f"{DCAT}mediaType", f"<{_IANA}{artefact.media_type}>")
        size = f'"{len(artefact.content)}"^^<{XSD}nonNegativeInteger>'
        self.add(file, f"{DCAT}byteSize", size)
        checksum = f"{file}#sha256"
        self.add(file, f"{SPDX}checksum", f"<{checksum}>")
        self.add(checksum, _TYPE, f"<{SPDX}Checksum>")
        self.add(checksum, f"{SPDX}algorithm", f"<{SPDX}checksumAlgorithm_sha256>")
        value = f'"{artefact.sha256}"^^<{XSD}hexBinary>'
        self.add(checksum, f"{SPDX}checksumValue", value)

    def linksets(self, dataset: str, triples: set[Triple]) -> None:
        """The mappings, by vocabulary and by how close they are."""
        facts: dict[str, dict[str, str]] = {}
        for s, p, o in triples:
            facts.setdefault(s, {})[p[1:-1]] = o
        found = Counter(
            (fact[f"{BASE}ofVocabulary"], fact[f"{BASE}mappingPredicate"])
            for fact in facts.values()
            if f"{BASE}mappingPredicate" in fact
        )
        for (vocabulary, predicate), count in found.items():
            about = facts[vocabulary]
            local = vocabulary[1:-1].removeprefix(BASE)
            links = f"{dataset}/links/{local}/{_local(predicate[1:-1])}"
            target = f"{dataset}/links/{local}"
            self.add(dataset, f"{VOID}subset", f"<{links}>")
            self.add(links, _TYPE, f"<{VOID}Linkset>")
            self.add(links, f"{VOID}linkPredicate", predicate)
            self.add(links, f"{VOID}subjectsTarget", f"<{dataset}>")
            self.add(links, f"{VOID}objectsTarget", f"<{target}>")
            self.add(links, f"{VOID}triples", str(count))
            self.add(target, _TYPE, f"<{VOID}Dataset>")
            self.add(target, f"{DCTERMS}title", about[f"{RDFS}label"])
            if f"{BASE}iriBase" in about:
                self.add(target, f"{VOID}uriSpace", f'"{text_of(about[f"{BASE}iriBase"])}"')


def _text(text: str) -> str:
    return f"{json.dumps(text, ensure_ascii=False)}@en"


def _date(day: str) -> str:
    return f'"{day}"^^<{XSD}date>'


def _namespace(term: str) -> str:
    iri = term[1:-1]
    return iri[: len(iri) - len(_local(iri))]


def _local(iri: str) -> str:
    return iri.rpartition("#")[2] if "#" in iri else iri.rpartition("/")[2]
