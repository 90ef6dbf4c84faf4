"""Which reasoners read the conditions of her2kg: the table of docs/reasoning.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from owlapi import REASONERS, Desk

from her2kg.errors import DataError
from her2kg.reasoning import _UNSUITABLE, accept

PAGE = (Path(__file__).parent.parent / "docs" / "reasoning.md").read_text(encoding="utf-8")
HEAD = """
@prefix : <urn:x:> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
<urn:x> a owl:Ontology .
:lvefPercent a owl:DatatypeProperty , owl:FunctionalProperty .
:ageYears a owl:DatatypeProperty , owl:FunctionalProperty .
:Patient a owl:Class .
"""


def limits(prop: str, *facets: str) -> str:
    return (
        f"[ a owl:Restriction ; owl:onProperty :{prop} ; owl:someValuesFrom [ a rdfs:Datatype ;"
        f" owl:onDatatype xsd:decimal ; owl:withRestrictions ( {' '.join(facets)} ) ] ]"
    )


def joined(how: str, *parts: str) -> str:
    return f"[ a owl:Class ; owl:{how} ( {' '.join(parts)} ) ]"


CLASSES = {  # as criteria are defined: the definition and the members
    "AtLeast50": (limits("lvefPercent", "[ xsd:minInclusive 50.0 ]"), "a"),
    "From40To50": (
        limits("lvefPercent", "[ xsd:minInclusive 40.0 ]", "[ xsd:maxExclusive 50.0 ]"),
        "bd",
    ),
    "Below40": (limits("lvefPercent", "[ xsd:maxExclusive 40.0 ]"), "c"),
    "Adult": (limits("ageYears", "[ xsd:minInclusive 18.0 ]"), "abd"),
    "AdultAtLeast50": (joined("intersectionOf", ":Patient", ":Adult", ":AtLeast50"), "a"),
    "Below50": (
        joined("intersectionOf", ":Patient", "[ a owl:Class ; owl:complementOf :AtLeast50 ]"),
        "bcd",
    ),
    "Stated": (joined("unionOf", ":AtLeast50", ":From40To50", ":Below40"), "abcd"),
}
PATIENTS = {"a": (50.0, 60), "b": (49.9, 60), "c": (39.9, 17), "d": (40.0, 18)}
TEXT = HEAD + "".join(
    [
        *(f":{name} a owl:Class ; owl:equivalentClass {d} .\n" for name, (d, _) in CLASSES.items()),
        *(
            f":{name} a owl:NamedIndividual , :Patient ; :lvefPercent {lvef} ; :ageYears {age}.0 .\n"
            for name, (lvef, age) in PATIENTS.items()
        ),
        ":e a owl:NamedIndividual , :Patient .\n",
    ]
)


@pytest.fixture(scope="module")
def desk():
    made = Desk()
    yield made
    made.close()


def found(desk: Desk, reasoner: str) -> dict[str, str]:
    asked = [f"urn:x:{name}" for name in CLASSES]
    answer = desk("members", text=TEXT, classes=asked, reasoner=reasoner)
    return {
        iri.removeprefix("urn:x:"): "".join(x.removeprefix("urn:x:") for x in members)
        for iri, members in answer.items()
    }


@pytest.mark.parametrize("reasoner", ["HermiT", "Openllet"])
def test_reasoner_finds_every_member(desk, reasoner):
    assert found(desk, reasoner) == {name: members for name, (_, members) in CLASSES.items()}


def test_elk_finds_no_member_and_says_nothing(desk):
    assert set(found(desk, "ELK").values()) == {""}


def test_jfact_leaves_members_out(desk):
    answer = found(desk, "JFact")
    assert any(answer[name] != members for name, (_, members) in CLASSES.items()), answer


def test_page_has_a_row_for_each_reasoner_and_those_refused_are_refused():
    table = PAGE.split("## Which reasoners to trust")[1]
    rows = dict(re.findall(r"^\| ([^|]+?) +\| ([^|]+?) +\|", table, re.MULTILINE))
    assert set(REASONERS) <= set(rows)
    assert {name for name, trust in rows.items() if trust == "yes"} == {"HermiT", "Openllet"}
    for name in _UNSUITABLE:
        with pytest.raises(DataError, match=name):
            accept(name)
