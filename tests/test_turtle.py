"""The canonical Turtle: one form, no fact lost, one fact one line."""

from __future__ import annotations

from pathlib import Path

import pyoxigraph as ox
import pytest
import rdflib
from hypothesis import given
from hypothesis import strategies as st

from her2kg.errors import DataError
from her2kg.tree import expected_files, format_tree
from her2kg.turtle import format_turtle, parse_turtle

ROOT = Path(__file__).parent.parent
FILES = sorted([*(ROOT / "ontology").rglob("*.ttl"), *(ROOT / "tests").rglob("*.ttl")])
OWL = "@prefix owl: <http://www.w3.org/2002/07/owl#> .\n"
HEAD = (
    "@prefix her2kg: <https://w3id.org/her2kg#> .\n"
    + OWL
    + "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n"
    "@prefix skos: <http://www.w3.org/2004/02/skos/core#> .\n"
    "@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n"
)
PROTEGE = """\
@prefix : <https://w3id.org/her2kg/criteria#> .
@prefix ns1: <https://w3id.org/her2kg#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix xml: <http://www.w3.org/XML/1998/namespace> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@base <https://w3id.org/her2kg/criteria> .

<https://w3id.org/her2kg/criteria> rdf:type owl:Ontology .

#################################################################
#    Annotation properties
#################################################################

###  http://purl.org/dc/terms/source
<http://purl.org/dc/terms/source> rdf:type owl:AnnotationProperty .

###  https://w3id.org/her2kg#ErPositivePatient
ns1:ErPositivePatient rdf:type owl:Class ;
    owl:equivalentClass [ owl:intersectionOf ( ns1:Patient
            [ rdf:type owl:Restriction ;
              owl:onProperty ns1:erPercent ;
              owl:someValuesFrom [ rdf:type rdfs:Datatype ;
                  owl:onDatatype xsd:decimal ;
                  owl:withRestrictions ( [ xsd:minInclusive "50.0"^^xsd:decimal ]
                                         [ xsd:maxInclusive "100"^^xsd:decimal ] ) ] ] ) ;
        rdf:type owl:Class ] ;
    rdfs:subClassOf ns1:PatientCriterion ;
    rdfs:label "ER-positive patient"@en .

ns1:ihc_3 rdf:type owl:NamedIndividual , ns1:IhcScore ; rdfs:label "3+"@en .

[ rdf:type owl:AllDisjointClasses ; owl:members ( ns1:A ns1:B ) ] .
[ rdf:type owl:AllDifferent ; owl:distinctMembers ( ns1:ihc_2 ns1:ihc_3 ) ] .
"""
CANONICAL = """\
@prefix dcterms: <http://purl.org/dc/terms/> .
@prefix her2kg: <https://w3id.org/her2kg#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .

<https://w3id.org/her2kg/criteria>
    a owl:Ontology ;
    .

her2kg:ErPositivePatient
    a owl:Class ;
    rdfs:label "ER-positive patient"@en ;
    owl:equivalentClass [
        a owl:Class ;
        owl:intersectionOf (
            her2kg:Patient
            [
                a owl:Restriction ;
                owl:onProperty her2kg:erPercent ;
                owl:someValuesFrom [
                    a rdfs:Datatype ;
                    owl:onDatatype xsd:decimal ;
                    owl:withRestrictions (
                        [ xsd:minInclusive 50.0 ]
                        [ xsd:maxInclusive "100"^^xsd:decimal ]
                    ) ;
                ] ;
            ]
        ) ;
    ] ;
    rdfs:subClassOf her2kg:PatientCriterion ;
    .

her2kg:ihc_3
    a her2kg:IhcScore ;
    a owl:NamedIndividual ;
    rdfs:label "3+"@en ;
    .

dcterms:source
    a owl:AnnotationProperty ;
    .

[]
    a owl:AllDifferent ;
    owl:distinctMembers ( her2kg:ihc_2 her2kg:ihc_3 ) ;
    .

[]
    a owl:AllDisjointClasses ;
    owl:members ( her2kg:A her2kg:B ) ;
    .
"""


@pytest.fixture(autouse=True)
def lexical_forms(monkeypatch):
    """Compare literals as they are written."""
    monkeypatch.setattr(rdflib, "NORMALIZE_LITERALS", False)


def same_graph(one: str, other: str) -> bool:
    """Whether two texts state the same, whatever their blank nodes are called."""
    graphs = []
    for text in (one, other):
        graph = ox.Dataset(ox.parse(text.encode(), format=ox.RdfFormat.TURTLE))
        graph.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
        graphs.append(set(graph))
    return graphs[0] == graphs[1]


def test_protege_file_is_written_in_the_canonical_form():
    assert format_turtle(PROTEGE) == CANONICAL
    assert same_graph(PROTEGE, CANONICAL)


def test_format_of_rdflib_graph_equals_format_of_text():
    assert format_turtle(rdflib.Graph().parse(data=PROTEGE, format="turtle")) == CANONICAL


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_format_is_idempotent_and_keeps_every_fact(path):
    text = path.read_text(encoding="utf-8")
    formatted = format_turtle(text)
    assert format_turtle(formatted) == formatted
    assert same_graph(text, formatted)


def test_order_of_facts_and_labels_of_blank_nodes_do_not_matter():
    one = HEAD + "her2kg:a rdfs:seeAlso _:x, _:y . _:x rdfs:label 'b' . _:y rdfs:label 'a' ."
    other = HEAD + "_:m rdfs:label 'a' . her2kg:a rdfs:seeAlso _:m, _:n . _:n rdfs:label 'b' ."
    assert format_turtle(one) == format_turtle(other)


def test_adding_a_fact_adds_one_line():
    before = format_turtle(CANONICAL)
    for fact in (
        'her2kg:ihc_3 <http://www.w3.org/2000/01/rdf-schema#label> "IHC 3+"@en .',
        "her2kg:ErPositivePatient rdfs:subClassOf her2kg:Patient .",
        'her2kg:ihc_3 rdfs:comment "z" .',
    ):
        after = format_turtle(before + fact)
        missing = [line for line in before.splitlines() if line not in after.splitlines()]
        assert not missing
        assert len(after.splitlines()) == len(before.splitlines()) + 1


def test_sections_come_in_order():
    text = HEAD + (
        "<http://example.org/x> a owl:Class . her2kg:a_1 a her2kg:B . her2kg:note a"
        " owl:AnnotationProperty . her2kg:data a owl:DatatypeProperty, owl:FunctionalProperty ."
        " her2kg:link a owl:FunctionalProperty, owl:ObjectProperty . her2kg:B a owl:Class ."
        " her2kg:A a owl:Class . <https://w3id.org/her2kg/m> a owl:Ontology ."
        " [] a owl:AllDifferent ; owl:distinctMembers ( her2kg:a_1 ) ."
    )
    subjects = [line for line in format_turtle(text).splitlines() if line and line[0] not in " @"]
    assert subjects == [
        "<https://w3id.org/her2kg/m>",
        "her2kg:A",
        "her2kg:B",
        "her2kg:link",
        "her2kg:data",
        "her2kg:note",
        "her2kg:a_1",
        "<http://example.org/x>",
        "[]",
    ]


@pytest.mark.parametrize(
    ("given_term", "written"),
    [
        ("50", "50"),
        ("50.0", "50.0"),
        ("50.00", "50.00"),
        ("0", "0"),
        ('"1.5e3"^^xsd:double', '"1.5e3"^^xsd:double'),
        ('"0.0000001"^^xsd:decimal', '"0.0000001"^^xsd:decimal'),
        ("true", "true"),
        ('"50"^^xsd:decimal', '"50"^^xsd:decimal'),
        ('"50.0"^^xsd:decimal', "50.0"),
        ('"+5"^^xsd:integer', '"+5"^^xsd:integer'),
        ('"1"^^xsd:boolean', '"1"^^xsd:boolean'),
        ('"007"^^xsd:integer', '"007"^^xsd:integer'),
        ('"2024-01-01"^^xsd:date', '"2024-01-01"^^xsd:date'),
        ('"""a\n"b\t\\\\"""@en', '"a\\n\\"b\\t\\\\"@en'),
        ("'≥ 50 %'@en", '"≥ 50 %"@en'),
        ('"x"^^<http://example.org/t>', '"x"^^<http://example.org/t>'),
        ("her2kg:platelets10e9PerL", "her2kg:platelets10e9PerL"),
        ("<https://w3id.org/her2kg#a/b>", "<https://w3id.org/her2kg#a/b>"),
        ("<https://w3id.org/her2kg#a.>", "<https://w3id.org/her2kg#a.>"),
        ("<https://w3id.org/her2kg/drugs>", "<https://w3id.org/her2kg/drugs>"),
        ("()", "()"),
    ],
)
def test_terms_keep_their_form(given_term, written):
    text = format_turtle(f"{HEAD}her2kg:a rdfs:comment {given_term} .")
    assert f"    rdfs:comment {written} ;\n" in text
    assert same_graph(f"{HEAD}her2kg:a rdfs:comment {given_term} .", text)


def test_string_datatype_is_left_out():
    text = f'{HEAD}her2kg:a rdfs:comment "x"^^xsd:string .'
    assert '    rdfs:comment "x" ;\n' in format_turtle(text)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_any_text_survives(value):
    literal = rdflib.Literal(value, lang="en")
    graph = rdflib.Graph()
    graph.add((rdflib.URIRef("https://w3id.org/her2kg#a"), rdflib.RDFS.comment, literal))
    text = format_turtle(graph)
    assert len(text.splitlines()) == 6
    assert [str(o) for o in rdflib.Graph().parse(data=text, format="turtle").objects()] == [value]
    assert format_turtle(text) == text


def test_shared_and_cyclic_blank_nodes_keep_their_graph():
    text = HEAD + (
        "her2kg:A rdfs:subClassOf _:s . _:s a owl:Class ; owl:complementOf her2kg:B ."
        " [] a owl:Axiom ; owl:annotatedSource her2kg:A ; owl:annotatedTarget _:s ."
        " _:x rdfs:seeAlso _:y . _:y rdfs:seeAlso _:x . _:z rdfs:seeAlso _:z ."
    )
    formatted = format_turtle(text)
    assert same_graph(text, formatted)
    assert format_turtle(formatted) == formatted
    renamed = text.replace("_:s", "_:q").replace("_:x", "_:p")
    assert format_turtle(renamed) == formatted


@pytest.mark.parametrize(
    "lists",
    [
        "her2kg:a rdfs:seeAlso ( 1 ( 2 3 ) () [ rdfs:label 'x' ] ) .",
        "her2kg:a rdfs:seeAlso _:l . _:l rdf:first 1 ; rdf:rest rdf:nil ; a rdf:List .",
        "her2kg:a rdfs:seeAlso _:l . _:l rdf:first 1, 2 ; rdf:rest rdf:nil .",
        "her2kg:a rdfs:seeAlso _:l . her2kg:b rdfs:seeAlso _:l . _:l rdf:first 1 ; rdf:rest () .",
        "_:l rdf:first 1 ; rdf:rest ( 2 ) .",
        "her2kg:a rdfs:seeAlso [] .",
    ],
)
def test_odd_lists_survive(lists):
    text = f"{HEAD}@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .\n{lists}"
    formatted = format_turtle(text)
    assert same_graph(text, formatted)
    assert format_turtle(formatted) == formatted


def test_long_list_has_one_member_a_line():
    members = " ".join(f"her2kg:value_{n:02}" for n in range(20))
    text = format_turtle(f"{HEAD}[] a owl:AllDifferent ; owl:distinctMembers ( {members} ) .")
    assert "        her2kg:value_00\n        her2kg:value_01\n" in text


def test_broken_turtle_names_the_file_and_the_line():
    with pytest.raises(DataError) as caught:
        parse_turtle("@prefix a: <http://a.example/> .\n\na:b a:c .\n", path="ontology/drugs.ttl")
    (problem,) = caught.value.problems
    assert problem.path == "ontology/drugs.ttl, line 3"
    assert problem.value == "a:b a:c ."


def ontology(iri: str) -> str:
    return format_turtle(f"{OWL}<https://w3id.org/her2kg{iri}> a owl:Ontology .")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("", "/schema", "/shapes", "/examples/one", "/regimens/thp"):
        path = tmp_path / "ontology" / f"{name.strip('/') or 'her2kg'}.ttl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ontology(name))
    return tmp_path


def test_format_tree_lists_the_modules_that_are_present(tree):
    folder = tree / "ontology"
    changed = [folder / "catalog-v001.xml", folder / "her2kg.ttl"]
    assert format_tree(tree, check=True) == changed
    assert not (folder / "catalog-v001.xml").exists()
    assert format_tree(tree, check=False) == changed
    assert format_tree(tree, check=False) == []
    text = (folder / "her2kg.ttl").read_text()
    assert text.count("owl:imports") == 2
    assert "owl:imports <https://w3id.org/her2kg/regimens/thp> ;" in text
    catalog = (folder / "catalog-v001.xml").read_text()
    assert '<uri name="https://w3id.org/her2kg/regimens/thp" uri="regimens/thp.ttl"/>' in catalog


def test_format_tree_follows_a_new_and_a_removed_regimen(tree):
    format_tree(tree, check=False)
    (tree / "ontology/regimens/thp.ttl").unlink()
    (tree / "ontology/regimens/tchp.ttl").write_text(ontology("/regimens/tchp"))
    format_tree(tree, check=False)
    text = (tree / "ontology/her2kg.ttl").read_text()
    assert "regimens/tchp" in text and "regimens/thp" not in text


def test_format_tree_imports_the_modules_that_declare_what_a_module_uses(tree):
    folder = tree / "ontology"
    prefix = (
        "@prefix : <https://w3id.org/her2kg#> . @prefix dcterms: <http://purl.org/dc/terms/> .\n"
    )
    schema = ontology("/schema").replace("    .", ".") + prefix
    schema += ":hasDrug a owl:ObjectProperty . :Drug a owl:Class ; dcterms:source :source_a ."
    (folder / "schema.ttl").write_text(schema)
    (folder / "sources.ttl").write_text(ontology("/sources") + prefix + ":source_a a :Source .")
    thp = ontology("/regimens/thp") + prefix + ":thp :hasDrug :x ; dcterms:source :source_a ."
    (folder / "regimens/thp.ttl").write_text(thp)
    format_tree(tree, check=False)
    imported = [
        line.split("her2kg/")[1].rstrip("> ;")
        for line in (folder / "regimens/thp.ttl").read_text().splitlines()
        if "owl:imports" in line
    ]
    assert imported == ["schema", "sources"]
    # Declarations must be complete before any module is read, so their module imports none.
    assert "owl:imports" not in (folder / "schema.ttl").read_text()
    assert format_tree(tree, check=False) == []


def test_format_tree_leaves_no_temporary_file_and_keeps_the_mode(tree):
    path = tree / "ontology/schema.ttl"
    path.write_text(path.read_text() + "\n\n")
    path.chmod(0o640)
    assert path in format_tree(tree, check=False)
    assert path.stat().st_mode & 0o777 == 0o640
    assert not [p for p in (tree / "ontology").rglob("*") if p.name.startswith(".")]


def test_format_tree_writes_nothing_if_one_file_is_wrong(tree):
    (tree / "ontology/drugs.ttl").write_text("@prefix a: <http://a.example/> .\na:b .\n")
    (tree / "ontology/safety.ttl").write_text("<http://a.example/> <http://a.example/> 1 .")
    (tree / "ontology/again.ttl").write_text(ontology("/schema"))
    before = (tree / "ontology/her2kg.ttl").read_text()
    with pytest.raises(DataError) as caught:
        format_tree(tree, check=False)
    assert [problem.path for problem in caught.value.problems] == [
        "ontology/drugs.ttl, line 2",
        "ontology/safety.ttl",
        "ontology/schema.ttl",
    ]
    assert (tree / "ontology/her2kg.ttl").read_text() == before


def test_missing_ontology_is_a_data_error(tmp_path):
    with pytest.raises(DataError):
        expected_files(tmp_path)
