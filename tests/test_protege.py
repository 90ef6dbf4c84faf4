"""The ontology opens in what Protege is built on, and comes back from it as it was."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from owlapi import Desk

from her2kg.tree import format_tree
from her2kg.turtle import format_turtle

ROOT = Path(__file__).parent.parent
ONTOLOGY = ROOT / "ontology"
CLEAN = ("unparsed", "guessed", "errors", "undeclared", "untyped", "punned", "profile")
SYNTAXES = ("ttl", "rdf", "owx")
ALONE = ("schema.ttl", "criteria.ttl", "safety.ttl", "regimens/tdm1.ttl")


@pytest.fixture(scope="module")
def desk():
    made = Desk()
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """A folder that the worker processes of one test session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="module")
def whole(desk, shared) -> dict:
    """What the OWL API finds in the whole ontology, which it also saves; asked once a session."""
    with (shared / "owlapi.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = shared / "owlapi.json"
        if not kept.exists():
            answer = desk(
                "check",
                home=str(ONTOLOGY),
                name="her2kg.ttl",
                reason=True,
                save_to=str(shared / "saved"),
                formats=SYNTAXES,
            )
            kept.write_text(json.dumps(answer))
        return json.loads(kept.read_text())


def modules() -> list[Path]:
    return [
        path
        for path in sorted(ONTOLOGY.rglob("*.ttl"))
        if path.name != "shapes.ttl" and "examples" not in path.parts
    ]


def test_every_module_is_opened_offline(whole):
    assert whole["failed"] is None
    assert whole["modules"] == len(modules())


@pytest.mark.parametrize("matter", CLEAN)
def test_whole_ontology_is_clean(whole, matter):
    assert whole[matter] == []


def test_ontology_is_consistent(whole):
    assert whole["consistent"] is True


@pytest.mark.parametrize("name", ALONE)
def test_module_opened_alone_is_clean(desk, name):
    found = desk("check", home=str(ONTOLOGY), name=name)
    assert found["failed"] is None
    # schema.ttl names its sources without importing them: that would be a circle.
    assert {k: found[k] for k in CLEAN if found[k] and k != "untyped"} == {}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_module_saved_unchanged_is_formatted_to_the_same_bytes(whole, shared, syntax):
    changed = []
    for path in modules():
        name = path.relative_to(ONTOLOGY)
        saved = shared / "saved" / syntax / name.with_suffix(f".{syntax}")
        if format_turtle(saved.read_bytes()) != path.read_text(encoding="utf-8"):
            changed.append(name.as_posix())
    assert changed == []


# --- the checks can fail --------------------------------------------------------------------------

PREFIXES = """
@prefix her2kg: <https://w3id.org/her2kg#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""
SCHEMA = """
<https://w3id.org/her2kg/schema> a owl:Ontology .
her2kg:Patient a owl:Class . her2kg:Drug a owl:Class ; owl:disjointWith her2kg:Patient .
her2kg:hadDrug a owl:ObjectProperty . her2kg:lvefPercent a owl:DatatypeProperty .
her2kg:note a owl:AnnotationProperty .
"""
FACTS = """
<https://w3id.org/her2kg/facts> a owl:Ontology .
her2kg:TreatedPatient a owl:Class ; owl:equivalentClass
    [ a owl:Restriction ; owl:onProperty her2kg:hadDrug ; owl:someValuesFrom her2kg:Drug ] .
her2kg:drug_a a owl:NamedIndividual, her2kg:Drug ; her2kg:note her2kg:TreatedPatient .
her2kg:patient_a a owl:NamedIndividual, her2kg:Patient ; her2kg:hadDrug her2kg:drug_a .
"""


def small(folder: Path, facts: str) -> Path:
    """A small ontology of a root and two modules, formatted."""
    home = folder / "ontology"
    home.mkdir()
    for name, text in (
        ("her2kg", "<https://w3id.org/her2kg> a owl:Ontology ."),
        ("schema", SCHEMA),
        ("facts", facts),
    ):
        (home / f"{name}.ttl").write_text(PREFIXES + text, encoding="utf-8")
    format_tree(folder, check=False)
    return home


def wrong(desk: Desk, home: Path) -> set[str]:
    found = desk("check", home=str(home), name="her2kg.ttl", reason=True)
    if found["failed"]:
        return {found["failed"].split(":")[0].rpartition(".")[2]}
    return {matter for matter in CLEAN if found[matter]} | (
        set() if found["consistent"] is True else {"inconsistent"}
    )


def test_small_ontology_is_clean(desk, tmp_path):
    assert wrong(desk, small(tmp_path, FACTS)) == set()


@pytest.mark.parametrize(
    ("old", "new", "matter"),
    [
        ("hadDrug her2kg:drug_a", "hadDrugs her2kg:drug_a", "undeclared"),
        ("someValuesFrom her2kg:Drug ]", "someValuesFrom her2kg:Drgu ]", "undeclared"),
        ("; owl:someValuesFrom her2kg:Drug ]", "]", "errors"),
        ("her2kg:note her2kg:TreatedPatient", "her2kg:note her2kg:TraetedPatient", "untyped"),
        (
            "her2kg:TreatedPatient a owl:Class",
            "her2kg:note a owl:ObjectProperty . her2kg:T a owl:Class",
            "punned",
        ),
        (
            "owl:NamedIndividual, her2kg:Drug ",
            "owl:NamedIndividual, her2kg:Drug, her2kg:Patient ",
            "inconsistent",
        ),
    ],
    ids=[
        "undeclared-property",
        "undeclared-class",
        "no-filler",
        "untyped",
        "punned",
        "inconsistent",
    ],
)
def test_mistake_is_found(desk, tmp_path, old, new, matter):
    assert old in FACTS
    assert matter in wrong(desk, small(tmp_path, FACTS.replace(old, new)))


def test_missing_import_is_found(desk, tmp_path):
    home = small(tmp_path, FACTS)
    (home / "schema.ttl").unlink()
    assert wrong(desk, home) == {"UnloadableImportException"}


def test_property_used_before_its_declaration_is_guessed(desk, tmp_path):
    """What `her2kg format` prevents: a module that does not import what it uses."""
    home = small(tmp_path, FACTS)
    facts = home / "facts.ttl"
    facts.write_text(facts.read_text().replace("owl:imports", "rdfs:seeAlso"))
    assert wrong(desk, home) != set()


# --- what the ontology does not use, but an editor may ---------------------------------------------

ODD = """
<https://w3id.org/her2kg/facts> a owl:Ontology .
her2kg:A a owl:Class ; rdfs:label "a"@en-GB, "plain", "x \\"y\\" \\\\ z"@en .
her2kg:B a owl:Class ; rdfs:subClassOf her2kg:A .
[] a owl:Axiom ; owl:annotatedSource her2kg:B ; owl:annotatedProperty rdfs:subClassOf ;
    owl:annotatedTarget her2kg:A ; her2kg:note "why"@en .
her2kg:C a owl:Class ; owl:equivalentClass [ a owl:Restriction ; owl:onProperty her2kg:lvefPercent ;
    owl:someValuesFrom [ a rdfs:Datatype ; owl:onDatatype xsd:decimal ;
        owl:withRestrictions ( [ xsd:maxExclusive 55.50 ] [ xsd:minInclusive 50 ] ) ] ] .
her2kg:i a owl:NamedIndividual, her2kg:C ; her2kg:lvefPercent 50, 50.0, 50.00 ;
    her2kg:note true, "2026-01-01"^^xsd:date, <https://example.org/x/> .
her2kg:j a owl:NamedIndividual .
her2kg:k a owl:NamedIndividual .
[] a owl:AllDifferent ; owl:distinctMembers ( her2kg:k her2kg:j ) .
[] a owl:AllDisjointClasses ; owl:members ( her2kg:A her2kg:C her2kg:B ) .
"""


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_odd_constructs_come_back_as_they_were(desk, tmp_path, syntax):
    home = small(tmp_path, ODD)
    found = desk("check", home=str(home), name="facts.ttl", save_to=str(tmp_path), formats=[syntax])
    assert found["failed"] is None
    saved = (tmp_path / syntax / f"facts.{syntax}").read_bytes()
    assert format_turtle(saved) == (home / "facts.ttl").read_text()
