"""Loading, caching, building from an edited ontology, and the small rules of the facade."""

import shutil
from pathlib import Path

import pytest
from rdflib import Literal, URIRef

from her2kg import DataError, EngineError, KnowledgeGraph, UnknownTerm, graph, rules
from her2kg.namespaces import BASE, ONTOLOGY_HOME, QUERIES_HOME, Blank
from her2kg.record_rdf_read import read_rdf

RECORD = {
    "id": "graph-test",
    "as_of": "2026-11-22",
    "her2_ihc": "3+",
    "setting": "metastatic",
    "age": 50,
    "sex": "female",
    "pregnancy": "not pregnant",
    "lvef_percent": 60,
    "prior_therapies": [],
    "prior_therapies_complete": True,
}
PREFIXES = """
@prefix dcterms: <http://purl.org/dc/terms/> .
@prefix her2kg: <https://w3id.org/her2kg#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""
CLAIM = """
her2kg:TestPopulation a owl:Class ; rdfs:label "test population"@en ;
    skos:definition "A test population."@en ; rdfs:subClassOf her2kg:LabelPopulation ;
    owl:equivalentClass %s .
her2kg:indication_test a owl:NamedIndividual , her2kg:LabelIndication ; rdfs:label "test claim"@en ;
    skos:definition "A test claim."@en ; her2kg:ofRegimen her2kg:regimen_hp_eribulin ;
    her2kg:population her2kg:TestPopulation ; her2kg:basis her2kg:basis_label ;
    her2kg:setting her2kg:setting_metastatic_later ; her2kg:jurisdiction her2kg:jurisdiction_us ;
    her2kg:validFrom "2020-01-01"^^xsd:date ; her2kg:confidence her2kg:confidence_recalled ;
    dcterms:source her2kg:source_curator_knowledge .
"""
INLINE = """[ a owl:Class ; owl:intersectionOf ( her2kg:Her2PositivePatient
    [ a owl:Class ; owl:complementOf her2kg:PriorAdvancedAntiHer2Patient ]
    [ a owl:Restriction ; owl:onProperty her2kg:childPughClass ; owl:hasValue her2kg:child_pugh_a ]
    [ a owl:Restriction ; owl:onProperty her2kg:ageYears ; owl:someValuesFrom
        [ a rdfs:Datatype ; owl:onDatatype xsd:decimal ;
          owl:withRestrictions ( [ xsd:minInclusive 18.0 ] ) ] ] ) ]"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A copy of the ontology and a cache of its own."""
    monkeypatch.setenv("HER2KG_CACHE", str(tmp_path / "cache"))
    target = tmp_path / "ontology"
    shutil.copytree(ONTOLOGY_HOME, target)
    return target


def add(home: Path, expression: str) -> None:
    path = home / "regimens" / "test.ttl"
    path.write_text(PREFIXES + CLAIM % expression, encoding="utf-8")


def label_claim(kg, record):
    (claim,) = (c for c in kg.eligibility(record)["HPE"].claims if c.claim == "indication_test")
    return claim


def test_cache_is_used_and_renewed_after_a_change(home, tmp_path):
    KnowledgeGraph(ontology=home)
    kept = sorted((tmp_path / "cache").iterdir())
    assert [path.name.partition(".")[2] for path in kept] == ["later.nt", "nt"]
    KnowledgeGraph(ontology=home)
    assert sorted((tmp_path / "cache").iterdir()) == kept
    add(home, "her2kg:Her2PositivePatient")
    KnowledgeGraph(ontology=home)
    assert len(list((tmp_path / "cache").iterdir())) == 4


@pytest.mark.parametrize("engine", ["oxigraph", "rdflib"])
def test_kept_graph_becomes_whole_when_a_question_is_asked(home, tmp_path, engine):
    query = "SELECT (COUNT(*) AS ?n) WHERE { ?s ?p ?o }"
    axioms = """SELECT (COUNT(*) AS ?n) WHERE {
        ?node her2kg:exprProperty ?property ; owl:onProperty ?property }"""
    built = KnowledgeGraph(ontology=home)
    counts = [built.select(each).rows for each in (query, axioms)]
    kept = KnowledgeGraph(ontology=home, engine=engine)
    assert kept.engine.select(query).rows < counts[0]
    assert [kept.select(each).rows for each in (query, axioms)] == counts
    emptied = KnowledgeGraph(ontology=home)
    shutil.rmtree(tmp_path / "cache")
    assert emptied.select(query).rows == counts[0]


def test_verdicts_need_nothing_that_is_loaded_later(home):
    """Whatever a verdict or the reading of a record asks has the same rows without it."""
    whole, first = KnowledgeGraph(ontology=home), KnowledgeGraph(ontology=home)
    assert len(first.engine.store) < len(whole.engine.store)
    names = ("classes", "code-prefixes", "defined", "ingredients", "jurisdictions", "names",
             "properties", "shared-names", "values")  # fmt: skip
    asked = [path for path in (QUERIES_HOME / "eligibility").glob("*.rq")]
    asked += [QUERIES_HOME / "terms" / f"{name}.rq" for name in names]
    for path in asked:
        text = path.read_text(encoding="utf-8")
        rows = [_named(kg.engine.select(text).rows) for kg in (first, whole)]
        assert rows[0] == rows[1], path


def _named(rows):
    """Rows without the names of blank nodes, which differ from load to load."""
    return sorted(str(tuple("_:" if isinstance(v, Blank) else v for v in row)) for row in rows)


def test_unwritable_cache_is_no_error(home, monkeypatch, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("HER2KG_CACHE", str(blocked))
    assert KnowledgeGraph(ontology=home).version


def test_cached_and_built_graph_answer_alike(home):
    built = KnowledgeGraph(ontology=home).eligibility(RECORD).to_json()
    assert KnowledgeGraph(ontology=home).eligibility(RECORD).to_json() == built


def test_empty_ontology_folder_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="no ontology module"):
        KnowledgeGraph(ontology=tmp_path)


def test_broken_turtle_names_the_file(home):
    (home / "regimens" / "broken.ttl").write_text("her2kg:x a")
    with pytest.raises(EngineError, match=r"broken\.ttl"):
        KnowledgeGraph(ontology=home)


def test_criterion_outside_the_profile_is_a_build_error_that_names_it(home):
    add(
        home,
        "[ a owl:Restriction ; owl:onProperty her2kg:hadCourse ; "
        "owl:allValuesFrom her2kg:AdvancedCourse ]",
    )
    with pytest.raises(DataError, match="TestPopulation.*allValuesFrom"):
        KnowledgeGraph(ontology=home)


def test_inline_conditions_show_as_reasons_and_are_asked_for(home):
    add(home, INLINE)
    kg = KnowledgeGraph(ontology=home)
    claim = label_claim(kg, RECORD)
    labels = {reason.label: reason.status for reason in claim.reasons}
    assert labels["not: anti-HER2 therapy for advanced disease"] == "met"
    assert labels["Child-Pugh class: Child-Pugh A"] == "unknown"
    assert labels["age at least 18"] == "met"
    assert claim.verdict == "undetermined"
    assert "labs.child_pugh" in kg.eligibility(RECORD)["HPE"].missing
    worse = label_claim(kg, {**RECORD, "labs": {"child_pugh": "C"}})
    assert worse.verdict == "ineligible"


@pytest.mark.parametrize(
    "expression",
    [
        "her2kg:Her2PositivePatient",
        "[ a owl:Restriction ; owl:onProperty her2kg:her2IhcScore ; "
        "owl:hasValue her2kg:ihc_3_plus ]",
        "[ a owl:Class ; owl:unionOf ( her2kg:Her2PositivePatient her2kg:Her2LowPatient ) ]",
    ],
    ids=["named class", "one restriction", "union"],
)
def test_population_of_one_condition_has_a_reason(home, expression):
    add(home, expression)
    claim = label_claim(KnowledgeGraph(ontology=home), RECORD)
    required = ("not:", "LVEF", "HER2 status known", "pregnancy")  # what the drugs ask for
    population = [r for r in claim.reasons if not r.label.startswith(required)]
    assert [reason.status for reason in population] == ["met"]


def test_patient_iri_stands_for_the_example():
    kg = KnowledgeGraph()
    path = ONTOLOGY_HOME / "examples" / "lvef-49.json"
    by_iri = kg.eligibility("patient_lvef_49").to_json()
    assert by_iri == kg.eligibility(path).to_json()
    with pytest.raises(UnknownTerm, match="did you mean 'patient_lvef_49'"):
        kg.eligibility("patient_lvef_48")


def test_many_patients_leave_the_graph_as_it_was(monkeypatch):
    monkeypatch.setattr("her2kg.engines._RENEW_AFTER", 2_000)
    kg = KnowledgeGraph()
    size = len(kg.engine.store)
    first = kg.eligibility(RECORD).to_json()
    for number in range(6):
        kg.eligibility({**RECORD, "id": f"p{number}", "age": 40 + number})
    assert len(kg.engine.store) == size
    assert kg.eligibility(RECORD).to_json() == first


def test_error_in_evaluation_leaves_the_graph_as_it_was(monkeypatch):
    kg = KnowledgeGraph()
    size = len(kg.engine.store)
    monkeypatch.setattr("her2kg.rules.infer", lambda engine: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        kg.eligibility(RECORD)
    assert len(kg.engine.store) == size


@pytest.mark.parametrize(
    ("call", "accepted"),
    [
        ({"bases": ["lable"]}, "label, guideline, trial"),
        ({"bases": []}, "label, guideline, trial"),
        ({"jurisdictions": ["UK"]}, "US"),
        ({"as_of": "22.11.2026"}, "YYYY-MM-DD"),
    ],
)
def test_wrong_options_name_what_is_accepted(call, accepted):
    with pytest.raises(DataError, match=accepted):
        KnowledgeGraph().eligibility(RECORD, **call)


def test_options_choose_claims():
    kg = KnowledgeGraph()
    answers = kg.eligibility(RECORD, bases=["LABEL"], jurisdictions=["eu"], regimens=["THP"])
    assert set(answers) == {"regimen_thp_docetaxel", "regimen_thp_neoadjuvant_docetaxel"}
    assert {c.jurisdiction for each in answers.values() for c in each.claims} == {"EU"}
    assert answers.bases == ("label",) and answers.jurisdictions == ("EU",)
    with pytest.raises(UnknownTerm):
        answers["T-DXd"]


def test_unknown_engine_and_unreachable_endpoint_are_one_sentence():
    with pytest.raises(EngineError, match="oxigraph and rdflib"):
        KnowledgeGraph(engine="jena")
    kg = KnowledgeGraph(endpoint="http://127.0.0.1:9/sparql")
    with pytest.raises(EngineError, match="refused the connection"):
        kg.select("ASK { ?s ?p ?o }")


def test_syntax_error_is_placed_in_the_query_as_given():
    kg = KnowledgeGraph()
    with pytest.raises(EngineError, match="at 2:"):
        kg.select("SELECT ?x WHERE {\n ?x a her2kg:Drug ;; . } }")
    with pytest.raises(EngineError, match=r"at 1:(1\d|2\d)\b"):
        kg.select("SELECT ?x WHERE ?x a her2kg:Drug")


def test_rows_become_data_frames():
    rows = KnowledgeGraph().query("regimens/adverse-events", regimen="tucatinib")
    assert len(rows) > 5
    frame = rows.to_polars()
    assert tuple(frame.columns) == rows.columns and frame.height == len(rows)
    assert list(rows.to_pandas().columns) == list(rows.columns)


def test_every_module_is_loaded_and_examples_are_not():
    names = {path.name for path in graph.module_files()}
    assert {"schema.ttl", "thp-docetaxel.ttl"} <= names
    assert not names & {"shapes.ttl", "lvef-49.ttl"}


def test_conflicting_values_count_as_unknown_and_show_both():
    kg = KnowledgeGraph()
    turtle = """
    @prefix her2kg: <https://w3id.org/her2kg#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
    her2kg:patient_two a her2kg:Patient ; her2kg:recordIdentifier "two" ;
        her2kg:recordDate "2026-11-22"^^xsd:date ; her2kg:ageYears 50.0 ;
        her2kg:diseaseExtent her2kg:extent_metastatic ;
        her2kg:her2IhcScore her2kg:ihc_3_plus , her2kg:ihc_1_plus .
    """
    triples, iri = read_rdf(turtle.encode(), kg.names)
    mark = (URIRef(iri), URIRef(BASE + "isUnderEvaluation"), Literal(True))
    kg.engine.add([*triples, mark])
    rules.run_folder(kg.engine, "derivation")
    rules.infer(kg.engine)
    rows = kg.query("eligibility/statuses", patient=f"<{iri}>").rows
    statuses = {status for term, status in rows if term.local == "Her2PositiveByIhcPatient"}
    assert statuses == {"conflicting"}
