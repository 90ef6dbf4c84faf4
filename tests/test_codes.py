"""Codes of other vocabularies: look-up, export, what is left out of the start."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter

import pytest
from rdflib import OWL, RDF, SKOS, Graph, URIRef
from typer.testing import CliRunner

from her2kg import KnowledgeGraph, UnknownCode, UnknownTerm, graph
from her2kg.cli import app
from her2kg.errors import BadParameter, DataError
from her2kg.namespaces import BASE, ONTOLOGY_HOME
from her2kg.sssom import COLUMNS, sssom

MATCHES = {SKOS[f"{name}Match"] for name in ("exact", "close", "broad", "narrow", "related")}
MODULES = [
    path for path in graph.module_files() if graph.is_deferred(path.relative_to(ONTOLOGY_HOME))
]


@pytest.fixture(scope="module")
def kg():
    return KnowledgeGraph()


@pytest.fixture(scope="module")
def mappings():
    found = Graph()
    for path in MODULES:
        found.parse(path, format="turtle")
    return found


# Look-up


@pytest.mark.parametrize(
    ("code", "drug"),
    [
        ("RxNorm:224905", "drug_trastuzumab"),
        ("RXCUI:224905", "drug_trastuzumab"),
        ("rxnorm: 224905", "drug_trastuzumab"),
        ("NCIT:C1647", "drug_trastuzumab"),
        ("ncit:c1647", "drug_trastuzumab"),
        ("NCI Thesaurus:C1647", "drug_trastuzumab"),
        ("SNOMED CT:387003001", "drug_trastuzumab"),
        ("SCTID:387003001", "drug_trastuzumab"),
        ("UNII:P188ANX8CK", "drug_trastuzumab"),
        ("DrugBank:DB00072", "drug_trastuzumab"),
        ("HemOnc:512", "drug_trastuzumab"),
        ("HemOnc:510", "product_ogivri"),
        ("CHEBI:49603", "drug_lapatinib"),
        ("ATC:L01EH03", "drug_tucatinib"),
        ("http://purl.obolibrary.org/obo/NCIT_C1647", "drug_trastuzumab"),
        ("http://purl.bioontology.org/ontology/RXNORM/224905", "drug_trastuzumab"),
        ("http://snomed.info/id/387003001", "drug_trastuzumab"),
        ("http://www.whocc.no/atc_ddd_index/?code=L01EH03", "drug_tucatinib"),
    ],
)
def test_drug_is_found_by_code(kg, code, drug):
    assert kg.drug(code).id == drug


@pytest.mark.parametrize("code", ["ATC:L01FD01", "ATC:L01CD01"])
def test_code_of_several_terms_is_ambiguous(kg, code):
    with pytest.raises(UnknownTerm, match="is ambiguous; write one of: drug_") as caught:
        kg.drug(code)
    assert caught.value.ambiguous and len(caught.value.suggestions) > 1


def test_unknown_code_of_a_known_system_says_so(kg):
    with pytest.raises(UnknownCode, match="no drug or product has this one") as caught:
        kg.drug("NCIT:C99999")
    assert caught.value.known and "\n" not in str(caught.value)


def test_code_of_an_unknown_system_names_the_systems(kg):
    with pytest.raises(UnknownCode, match="codes are known of .*RxNorm.*SNOMEDCT") as caught:
        kg.drug("GRID:12")
    assert not caught.value.known and "NCIT" in caught.value.systems


def test_code_of_another_kind_names_its_term(kg):
    with pytest.raises(UnknownCode, match="stands for disease_her2_positive_breast_carcinoma"):
        kg.drug("MONDO:0006244")


@pytest.mark.parametrize(
    ("code", "kind", "term"),
    [
        ("MONDO:0006244", "disease", "disease_her2_positive_breast_carcinoma"),
        ("LOINC:10230-1", "property", "lvefPercent"),
        ("HemOnc:45352", "class", "Taxane"),
        ("HGNC:3430", "gene", "gene_erbb2"),
        ("ICD10CM:C79.31", "value", "site_brain"),
        ("HemOnc:17428", "regimen", "regimen_tdm1"),
        ("HP:0002014", "adverse event", "ae_diarrhoea"),
    ],
)
def test_terms_of_every_kind_are_found_by_code(kg, code, kind, term):
    (found,) = kg.terms(code)
    assert (found.kind, found.id) == (kind, term)
    assert code in {f"{each.system}:{each.code}" for each in found.codes}


def test_names_with_a_colon_are_still_names(kg):
    label = next(label for label in kg.names.labels.values() if ": " in label)
    assert label in {term.label for term in kg.terms(label)}
    with pytest.raises(UnknownTerm) as caught:
        kg.drug("her2kg:drug_trastuzumabb")
    assert not isinstance(caught.value, UnknownCode) and caught.value.suggestions


def test_codes_are_no_suggestions(kg):
    kg.complete()
    with pytest.raises(UnknownTerm) as caught:
        kg.drug("L01FD0")
    assert not any("L01FD" in each for each in caught.value.suggestions)


def test_recalled_codes_are_marked(kg):
    codes = {code.system: code for code in kg.drug("nab-paclitaxel").codes}
    assert codes["RxNorm"].confidence == "verified"
    assert codes["ATC"].confidence == "recalled" and codes["ATC"].match == "broad"


def test_record_takes_codes(kg):
    def course(*drugs):
        return {"prior_therapies": [{"drugs": list(drugs), "setting": "metastatic"}], "id": "a"}

    by_code = kg.record(course("RxNorm:224905", "NCIT:C38692"))
    assert by_code.sha256 == kg.record(course("trastuzumab", "pertuzumab")).sha256
    with pytest.raises(DataError, match=r"drugs\[0\]: given \"NCIT:C0\", accepted a code that"):
        kg.record(course("NCIT:C0"))


def test_question_takes_codes(kg):
    name = "regimens/of-drug"
    assert kg.query(name, drug="RxNorm:2361285").rows == kg.query(name, drug="tucatinib").rows
    with pytest.raises(BadParameter, match="a code that the graph has"):
        kg.query(name, drug="NCIT:C0")


# Command line


def run(*arguments):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_show_lists_codes_with_match_and_mark():
    shown = " ".join(run("show", "nab-paclitaxel").stdout.split())
    assert "ATC:L01CD01 broad match (recalled, to be checked)" in shown
    assert "RxNorm:486610 exact match, paclitaxel protein-bound" in shown
    assert "mapping_" not in shown and "exactMatch" not in shown
    (found,) = json.loads(run("show", "RxNorm:486610", "--format", "json").stdout)
    assert found["id"] == "drug_nab_paclitaxel"
    assert {code["system"] for code in found["codes"]} >= {"ATC", "RxNorm", "NCIT"}


def test_show_of_an_unknown_code_is_one_sentence():
    result = run("show", "NCIT:C0")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("unknown term 'NCIT:C0'; the graph has codes of this system")
    assert result.stderr.count("\n") == 1


# Start


def test_mappings_are_loaded_when_asked_for():
    kg = KnowledgeGraph()
    ask = "SELECT ?m WHERE { ?m a <https://w3id.org/her2kg#Mapping> }"
    assert not kg.engine.select(ask).rows
    kg.eligibility("ontology/examples/second-line-after-thp.json")
    assert not kg.engine.select(ask).rows
    assert len(kg.select(ask)) == len(kg.engine.select(ask).rows) > 500


def test_verdicts_do_not_depend_on_mappings():
    kg = KnowledgeGraph()
    example = "ontology/examples/third-line-after-tdxd.json"
    before = kg.eligibility(example).to_json()
    kg.complete()
    assert kg.eligibility(example).to_json() == before


def test_snomed_ct_can_be_left_out(tmp_path):
    home = tmp_path / "ontology"
    shutil.copytree(ONTOLOGY_HOME, home)
    (home / "mappings" / "snomed-ct.ttl").unlink()
    kg = KnowledgeGraph(ontology=home)
    assert kg.drug("NCIT:C1647").id == "drug_trastuzumab"
    with pytest.raises(UnknownCode):
        kg.drug("SNOMEDCT:387003001")
    assert "\tSNOMEDCT:" not in sssom(kg)


# The modules


def test_matches_point_outside_and_have_no_logic(mappings):
    subjects = set(mappings.subjects(RDF.type, URIRef(BASE + "Mapping")))
    assert len(subjects) > 500
    for predicate in MATCHES:
        for _, concept in mappings.subject_objects(predicate):
            assert isinstance(concept, URIRef) and not concept.startswith(BASE)
    foreign = {s for s in mappings.subjects() if not s.startswith("https://w3id.org/her2kg")}
    assert all(set(mappings.predicates(s)) <= MATCHES for s in foreign)
    assert not set(mappings.predicates()) & {
        OWL.equivalentClass,
        OWL.sameAs,
        OWL.equivalentProperty,
    }


def test_no_description_of_snomed_ct_is_shipped():
    found = Graph().parse(ONTOLOGY_HOME / "mappings" / "snomed-ct.ttl", format="turtle")
    assert len(found) and not list(found.subject_objects(URIRef(BASE + "conceptLabel")))


def test_no_code_of_meddra_is_shipped(kg):
    rows = kg.query("terms/vocabularies").to_dicts()
    (meddra,) = [row for row in rows if row["vocabulary"].local == "vocabulary_meddra"]
    assert meddra["prefix"] is None and "Proprietary" in meddra["licence"]
    assert "MedDRA" not in kg.names.code_systems


# Export


def read(text):
    lines = text.splitlines()
    head = [line[1:] for line in lines if line.startswith("#")]
    rows = list(csv.DictReader((line for line in lines if line[0] != "#"), delimiter="\t"))
    return head, rows


def test_sssom_has_the_shape_of_sssom(kg):
    text = sssom(kg)
    head, rows = read(text)
    assert text == sssom(KnowledgeGraph()) and text.endswith("\n") and "\r" not in text
    slots = {line.partition(":")[0]: json.loads(line.partition(": ")[2]) for line in head
             if re.match(r"\w+: ", line)}  # fmt: skip
    assert slots["mapping_set_id"] == "https://w3id.org/her2kg/mappings"
    assert slots["license"] == "https://creativecommons.org/licenses/by/4.0/"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", slots["mapping_date"])
    prefixes = {line.strip().partition(": ")[0] for line in head[head.index("curie_map:") + 1 :]}
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == sum(count for _, count, _, _ in kg.query("terms/mapping-counts"))
    for row in rows:
        for name in ("subject_id", "predicate_id", "object_id", "mapping_justification"):
            assert row[name].partition(":")[0] in prefixes, row
        assert 0 < float(row["confidence"]) <= 1
    assert max(Counter((row["subject_id"], row["object_id"]) for row in rows).values()) == 1


def test_sssom_marks_recalled_mappings(kg):
    _, rows = read(sssom(kg))
    (row,) = [r for r in rows if r["object_id"] == "CHEBI:63587"]
    assert row["confidence"] == "0.5" and row["curation_rule_text"].startswith("recalled")


def test_sssom_leaves_vocabularies_out(kg):
    head, rows = read(sssom(kg, without=["SNOMEDCT", "HemOnc"]))
    assert not [r for r in rows if r["object_id"].startswith(("SNOMEDCT:", "HemOnc:"))]
    assert not [line for line in head if line.startswith("  SNOMEDCT")]
    assert any("Left out: HemOnc vocabulary, SNOMED CT vocabulary." in line for line in head)
    with pytest.raises(UnknownTerm):
        sssom(kg, without=["nothing"])


def test_export_writes_a_file_in_one_step(tmp_path, kg):
    target = tmp_path / "her2kg.sssom.tsv"
    target.write_text("old")
    result = run("export", "sssom", "-o", str(target))
    assert result.exit_code == 0 and result.stdout == ""
    assert target.read_text(encoding="utf-8") == sssom(kg) == run("export", "sssom").stdout
    assert f"{len(read(sssom(kg))[1])} mappings written" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_export_of_another_kind_is_wrong_input():
    result = run("export", "skos")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "unknown kind of export 'skos'; accepted: sssom\n"


def test_sssom_is_valid_by_its_own_toolkit(kg, tmp_path):
    parsers = pytest.importorskip("sssom.parsers")
    path = tmp_path / "her2kg.sssom.tsv"
    path.write_text(sssom(kg), encoding="utf-8")
    assert len(parsers.parse_sssom_table(path).df) == len(read(sssom(kg))[1])
