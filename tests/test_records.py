"""The patient record: what is accepted, what is refused and how, and what becomes RDF."""

from __future__ import annotations

import copy
import json
import os
import pickle
import time
from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest
from fake_names import BASE, OBJECTS, FakeNames
from rdflib import OWL, RDF, XSD, BNode, Graph, Literal, URIRef
from rdflib.collection import Collection
from rdflib.compare import isomorphic

from her2kg.errors import (
    BadParameter,
    DataError,
    EngineError,
    Problem,
    UnknownQuery,
    UnknownTerm,
    did_you_mean,
)
from her2kg.record_rdf import to_triples
from her2kg.record_rdf_read import read_rdf
from her2kg.records import PARTS, PatientRecord, json_schema, load_record, write_json_schema

TODAY = date(2026, 11, 22)
EXAMPLE = json.loads("""
{"id": "case-1", "as_of": "2026-11-22", "sex": "female", "age": 55, "menopausal": "postmenopausal",
 "pregnancy": "not pregnant", "ecog": 1,
 "her2_ihc": "2+",
 "her2_ish": {"result": "positive", "ratio": 2.4, "copy_number": 6.2, "probe": "dual"},
 "her2_membrane_staining": true, "er_percent": 0, "pr_percent": 0,
 "setting": "metastatic", "stage": "IV", "tnm": "cT2 cN1 M1", "grade": 3, "tumor_size_cm": 2.4,
 "positive_nodes": 2,
 "inflammatory": false, "metastatic_sites": ["liver", "brain"], "brain_mets": "active",
 "surgery_date": "2024-05-02", "pathologic_response": "residual invasive disease",
 "recurrence_date": "2025-11-10",
 "prior_therapies": [
  {"regimen": "TCHP", "setting": "neoadjuvant", "start": "2023-12-01", "end": "2024-04-10",
   "outcome": "completed"},
  {"drugs": ["trastuzumab", "pertuzumab", "docetaxel"], "setting": "metastatic",
   "start": "2025-12-01", "end": "2026-08-01", "outcome": "progression",
   "progression_date": "2026-08-01"}],
 "prior_therapies_complete": true,
 "lvef_percent": 60, "lvef_baseline_percent": 64,
 "labs": {"creatinine_clearance_ml_min": 90, "bilirubin_x_uln": 0.6, "ast_x_uln": 0.8,
  "alt_x_uln": 0.8, "platelets_10e9_per_l": 240, "anc_10e9_per_l": 4.0,
  "dpyd": "normal metaboliser", "child_pugh": "A"},
 "history": {"interstitial_lung_disease": "none", "heart_failure": "none", "neuropathy_grade": 0,
  "hypersensitivity": []}}
""")


@pytest.fixture(scope="module")
def names():
    return FakeNames()


@pytest.fixture
def load(names):
    return lambda source: load_record(source, names=names, today=TODAY)


@pytest.fixture
def problems(load):
    def find(source, **more):
        source = {"id": "x", **source, **more} if isinstance(source, dict) else source
        with pytest.raises(DataError) as caught:
            load(source)
        assert "Traceback" not in str(caught.value)
        return {problem.path: str(problem) for problem in caught.value.problems}

    return find


def her2(name):
    return URIRef(BASE + name)


def closures(triples, node):
    """The stated maximum cardinalities of a node: {property: count}."""
    graph = Graph()
    for triple in triples:
        graph.add(triple)
    return {
        str(graph.value(kind, OWL.onProperty)).removeprefix(BASE): int(
            graph.value(kind, OWL.maxCardinality)
        )
        for kind in graph.objects(node, RDF.type)
        if (kind, OWL.maxCardinality, None) in graph
    }


def only(triples, node):
    """What a node has nothing beside, by property: local names."""
    graph = Graph()
    for triple in triples:
        graph.add(triple)
    return {
        str(graph.value(kind, OWL.onProperty)).removeprefix(BASE): [
            str(each).removeprefix(BASE)
            for each in Collection(graph, graph.value(these, OWL.oneOf))
        ]
        for kind in graph.objects(node, RDF.type)
        for these in graph.objects(kind, OWL.allValuesFrom)
    }


def values(triples, node, name):
    return [value for s, p, value in triples if s == node and p == her2(name)]


# Accepted


def test_several_values_of_a_complete_list_are_told_as_only_these(load, names):
    data = {"id": "x", "history": {"hypersensitivity": ["taxane, agent not stated", "docetaxel"]}}
    record = load(data)
    found = only(to_triples(record, names), URIRef(record.iri))
    (drugs,) = found.values()
    assert list(found) == ["hypersensitiveTo"] and len(drugs) == 2 and "drug_docetaxel" in drugs


@pytest.mark.parametrize("listed", [[], ["docetaxel"]])
def test_none_or_one_value_of_a_complete_list_is_told_by_its_number(load, names, listed):
    record = load({"id": "x", "history": {"hypersensitivity": listed}})
    triples = to_triples(record, names)
    assert only(triples, URIRef(record.iri)) == {}
    assert closures(triples, URIRef(record.iri)) == {"hypersensitiveTo": len(listed)}


def test_design_example_is_accepted(load):
    record = load(EXAMPLE)
    assert record.iri == f"{BASE}patient_case_1"
    assert record.as_of == TODAY
    assert record.not_interpreted == ()
    assert record.model.prior_therapies[0].regimen == "regimen_tchp"
    assert record.to_dict()["prior_therapies"][1]["drugs"][2] == "drug_docetaxel"
    assert len(record.sha256) == 64


def test_every_kind_of_source_gives_the_same_record(load, tmp_path):
    text = json.dumps(EXAMPLE)
    path = tmp_path / "case.json"
    path.write_text("\ufeff" + text, encoding="utf-8")
    first = load(EXAMPLE)
    sources = [path, str(path), text, "\n " + text, text.encode(), PatientRecord(**EXAMPLE)]
    sources += [first.model, first.to_dict(), {**EXAMPLE, "as_of": TODAY}]
    for source in sources:
        record = load(source)
        assert (record.sha256, record.model) == (first.sha256, first.model)


def test_only_id_is_required(load):
    record = load({"id": "Ann O'Nym"})
    assert record.to_dict() == {"id": "Ann O'Nym"}
    assert record.iri == f"{BASE}patient_ann_o_nym"
    assert record.as_of is None


def test_hash_ignores_key_order_nulls_and_name_spelling(load):
    other = dict(reversed(copy.deepcopy(EXAMPLE).items()))
    other["prior_therapies"][0]["regimen"] = "regimen_tchp"
    other["prior_therapies"][1]["drugs"] = ["HERCEPTIN", "drug_pertuzumab", "Taxotere"]
    other["age"] = 55.0
    other["notes"] = None
    other["judgement"] = {"visceral_crisis": None}
    assert load(other).sha256 == load(EXAMPLE).sha256


def test_hash_changes_with_a_value(load):
    assert load({**EXAMPLE, "ecog": 2}).sha256 != load(EXAMPLE).sha256


def test_hash_keeps_an_empty_list_apart_from_an_absent_one(load):
    assert load({"id": "x", "medications": []}).sha256 != load({"id": "x"}).sha256


def test_short_ish_is_the_same_as_an_object_with_a_result(load):
    short, full = (
        load({"id": "x", "her2_ish": "positive"}),
        load({"id": "x", "her2_ish": {"result": "positive"}}),
    )
    assert short.sha256 == full.sha256


def test_unknown_medicines_and_conditions_are_kept_and_listed(load):
    record = load(
        {"id": "x", "conditions": ["asthma"], "medications": ["Ketoconazole", "St John's wort"]}
    )
    assert record.not_interpreted == ('conditions: "asthma"', 'medications: "St John\'s wort"')
    assert record.to_dict()["medications"] == ["medicine_ketoconazole", "St John's wort"]


@pytest.mark.parametrize(
    "course",
    [
        {},
        {"drugs": None},
        {"drugs": []},
        {"regimen": "TCHP", "drugs": ["trastuzumab"]},
        {"regimen": "THP", "drugs": ["trastuzumab", "pertuzumab", "docetaxel"]},
        {"regimen": "TCHP", "drugs": ["Phesgo", "docetaxel", "carboplatin", "paclitaxel"]},
        {"outcome": "progression", "best_response": "complete response"},
        {"setting": "maintenance", "cycles": 6},
        {"drugs": ["Enhertu"], "adverse_events": [{"event": "diarrhea", "resolved": False}]},
    ],
)
def test_course_is_accepted(load, course):
    load({"id": "x", "prior_therapies": [course], "prior_therapies_complete": True})


@pytest.mark.parametrize(
    "fields",
    [
        {"metastatic_sites": ["lymph node"], "setting": "early", "tnm": "cT1 pN1mi cM0"},
        {"stage": "II", "metastatic_sites": []},
        {"brain_mets": "none", "setting": "early"},
        {"brain_mets": "none", "metastatic_sites": ["liver"]},
        {"pathologic_response": "pCR"},
        {"age": 54, "birth_date": "1971-01-01"},
        {"age": 55.9, "birth_date": "1971-01-01"},
        {"invasive": False, "setting": "early"},
        {"lvef_percent": 5, "lvef_baseline_percent": 100},
        {"sex": "male", "pregnancy": "not pregnant"},
        {"genomics": {"PIK3CA": [None, 1.5]}, "notes": ["free", {"text": True}]},
        {"as_of": "2020-01-01", "surgery_date": "2020-01-01"},
    ],
)
def test_record_is_accepted(load, fields):
    load({"id": "x", **fields})


def test_her2_tests_leave_the_short_fields_alone(load):
    listed = [{"date": "2024-01-01", "ihc": ihc} for ihc in ("1+", "3+")]
    assert load({"id": "x", "her2_tests": listed}).model.her2_ihc is None
    assert load({"id": "x", "her2_tests": listed, "her2_ihc": "3+"}).model.her2_ihc == "3+"


def test_her2_test_triples_follow_the_vocabulary(load, names):
    ish = {"result": "positive", "ratio": 2.4, "copy_number": 6, "recount_confirmed": True}
    tests = [
        {"date": "2024-01-01", "specimen": "primary", "ihc": "2+", "ish": ish},
        {"date": "2025-01-01", "specimen": "residual disease", "ish": "negative"},
    ]
    triples = to_triples(load({"id": "x", "her2_tests": tests}), names)
    said = {(s, p.removeprefix(BASE), str(o).removeprefix(BASE)) for s, p, o in triples}
    patient = URIRef(f"{BASE}patient_x")
    for number, expected in [
        (
            1,
            {
                "her2TestDate": "2024-01-01",
                "her2TestSpecimen": "her2TestSpecimen_primary",
                "her2TestIhcScore": "her2TestIhcScore_2_plus",
                "her2TestIshResult": "her2TestIshResult_positive",
                "her2TestIshRatio": "2.4",
                "her2TestIshCopyNumber": "6",
                "her2TestIshRecountConfirmed": "true",
            },
        ),
        (2, {"her2TestIshResult": "her2TestIshResult_negative"}),
    ]:
        node = URIRef(f"{patient}_her2_test_{number}")
        assert (patient, "hasHer2Test", f"patient_x_her2_test_{number}") in said
        for name, value in expected.items():
            assert (node, name, value) in said, name


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"tnm": "cT2 cN1 M0"}, {"clinicalT T2", "clinicalN N1", "M false"}),
        ({"tnm": "cT2N1M1"}, {"clinicalT T2", "clinicalN N1", "M true"}),
        ({"tnm": "pT1c pN0(sn) M0"}, {"pathologicalT T1c", "pathologicalN N0", "M false"}),
        (
            {"tnm": "cT3 cN1 M0; ypT1a ypN0(i+)"},
            {
                "clinicalT T3", "clinicalN N1", "M false",
                "postNeoadjuvantT T1a", "postNeoadjuvantN N0(i+)",
            },
        ),
        ({"tnm": "T2 N0"}, {"unprefixedT T2", "unprefixedN N0"}),
        ({"tnm": "cTX cN1mi, cM0(i+)"}, {"clinicalN N1mi", "M false"}),
        ({"tnm": "rM1"}, {"M true"}),
        ({"tnm": "ycT1 rT2"}, set()),
        ({"tnm": "cT4d", "nodes": "cN2a"}, {"clinicalT T4d", "clinicalN N2a"}),
        ({"nodes": "ypN1mi(sn)"}, {"postNeoadjuvantN N1mi"}),
        ({"nodes": "2 positive"}, {"number 2"}),
        ({"nodes": "3/14"}, {"number 3"}),
        ({"nodes": "0 of 12 positive", "positive_nodes": 0}, {"number 0"}),
    ],
)  # fmt: skip
def test_tnm_and_nodes_become_categories(load, names, fields, expected):
    words = {"metastasisInTnm": "M", "positiveNodes": "number"}
    found = set()
    for _, p, o in to_triples(load({"id": "x", **fields}), names):
        name = p.removeprefix(BASE)
        if name in words:
            found.add(f"{words[name]} {o}")
        elif name.endswith(("T", "N")) and "_category_" in o:
            category = str(o).rpartition("_category_")[2]
            found.add(f"{name} {category[0].upper()}{category[1:]}")
    assert found == expected


def test_genomics_and_notes_are_kept_as_they_are(load):
    free = {"genomics": {"a": None, "b": {}, "c": [1.5, {}]}, "notes": ["", None]}
    assert load({"id": "x", **free}).to_dict() == {"id": "x", **free}


def test_empty_parts_count_as_absent(load):
    tests = [{"date": "2024-01-01", "ish": "positive"}]
    record = load({"id": "x", "her2_tests": tests, "her2_ish": {}, "labs": {"dpyd": None}})
    assert record.model.her2_ish is None
    assert record.sha256 == load({"id": "x", "her2_tests": tests}).sha256
    assert record.sha256 == load(record.to_dict()).sha256


# Refused: values


@pytest.mark.parametrize(
    ("path", "value", "accepted"),
    [
        ("her2_ihc", "4+", "0, 1+, 2+, 3+"),
        ("her2_ihc", 3, "text: 0, 1+, 2+, 3+"),
        ("her2_ish", "amplified", "positive, negative, equivocal, not done, or an object"),
        ("her2_ish", 2.4, "an object"),
        ("her2_ish.ratio", "2.4", "a number of at least 0"),
        ("her2_ish.recount_confirmed", "yes", "true or false"),
        ("setting", "Metastatic", "early, unresectable, metastatic"),
        ("stage", "V", "IIIC"),
        ("metastatic_sites[1]", "elbow", "peritoneum"),
        ("metastatic_sites", "liver", "a list"),
        ("lvef_percent", "60%", "a number from 5 to 100 (percent), written without the unit"),
        ("lvef_percent", 100.5, "from 5 to 100"),
        ("lvef_percent", -0.1, "from 5 to 100"),
        ("lvef_percent", 4.9, "a percentage such as 62, not a fraction"),
        ("lvef_baseline_percent", 0.62, "a percentage such as 62, not a fraction"),
        ("er_percent", True, "from 0 to 100"),
        ("er_percent", float("nan"), "a finite number"),
        ("labs.ast_x_uln", float("inf"), "a finite number"),
        ("labs.ast_x_uln", -1, "upper limit of normal"),
        ("labs.creatinine_clearance_ml_min", "60 mL/min", "(mL/min), written without the unit"),
        ("labs.platelets_10e9_per_l", 10**400, "10^9 per litre"),
        ("labs.dpyd", "normal", "intermediate metaboliser"),
        ("labs", [1], "an object"),
        ("history", "none", "an object"),
        ("history.neuropathy_grade", 6, "a whole number from 0 to 5"),
        ("history.hypersensitivity", "none", "a list"),
        ("ecog", 6, "a whole number from 0 to 5"),
        ("ecog", 1.5, "a whole number from 0 to 5"),
        ("grade", 0, "a whole number from 1 to 3"),
        ("age", 131, "from 0 to 130 (years)"),
        ("age", "55", "from 0 to 130 (years)"),
        ("positive_nodes", -1, "a whole number of at least 0"),
        ("surgery_date", "02.05.2024", "a date as YYYY-MM-DD"),
        ("surgery_date", "2024-02-30", "no such day"),
        ("surgery_date", 20240502, "a date as YYYY-MM-DD"),
        ("surgery_date", "2024-05-02T00:00:00", "a date as YYYY-MM-DD"),
        ("inflammatory", "true", "true or false"),
        ("inflammatory", 1, "true or false"),
        ("tnm", 5, "text that is not blank"),
        ("medications[0]", " ", "text that is not blank"),
        ("id", "", "text that is not blank"),
        ("id", 7, "text that is not blank"),
        ("id", None, "text that is not blank"),
        ("notes", "\ud800", "text in Unicode"),
        ("genomics.af", float("nan"), "a finite number"),
        ("genomics.af", {1, 2}, "a JSON value"),
        ("prior_therapies", {}, "a list"),
        ("prior_therapies[1]", "TCHP", "an object"),
        ("prior_therapies[0].outcome", "PD", "completed, progression, recurrence"),
        ("prior_therapies[0].adverse_events[0].resolved", True, "a date as YYYY-MM-DD, or false"),
        ("prior_therapies[0].adverse_events[0].grade", 0, "a whole number from 1 to 5"),
        ("her2_tests[0].ish", "pos", "not done, or an object"),
    ],
)
def test_wrong_value_is_refused_with_what_is_accepted(problems, path, value, accepted):
    record = {"id": "x", "metastatic_sites": ["liver", "bone"], "medications": ["a"]}
    record |= {"prior_therapies": [{"adverse_events": [{"event": "diarrhoea"}]}, {}]}
    record |= {"her2_tests": [{"date": "2024-01-01"}]}
    holder, steps = record, path.replace("[", ".[").split(".")
    for step, following in pairwise(steps):
        step = int(step[1:-1]) if step[0] == "[" else step
        if isinstance(holder, dict):
            holder.setdefault(step, [] if following[0] == "[" else {})
        holder = holder[step]
    holder[int(steps[-1][1:-1]) if steps[-1][0] == "[" else steps[-1]] = value
    found = problems(record)
    assert list(found) == [path]
    assert accepted in found[path]
    assert found[path].startswith(f"{path}: given ")


def test_problem_is_one_sentence_with_value_and_accepted():
    assert str(Problem("her2_ihc", "4+", "0, 1+, 2+, 3+")) == (
        'her2_ihc: given "4+", accepted 0, 1+, 2+, 3+'
    )


@pytest.mark.parametrize(
    ("fields", "path", "hint"),
    [
        ({"her2ihc": "3+"}, "her2ihc", "did you mean her2_ihc"),
        ({"ast_x_uln": 1}, "ast_x_uln", "did you mean labs.ast_x_uln"),
        ({"labs": {"ast": 1}}, "labs.ast", "ast_x_uln"),
        ({"prior_therapies": [{"regime": "THP"}]}, "prior_therapies[0].regime", "regimen"),
        ({"qqqq": 1}, "qqqq", "one of id, as_of"),
        ({"her2_ish": {"ratios": 1}}, "her2_ish.ratios", "ratio"),
    ],
)
def test_unknown_field_is_refused_with_a_suggestion(problems, fields, path, hint):
    found = problems(fields)
    assert list(found) == [path]
    assert "unknown field" in found[path] and hint in found[path]


def test_missing_id_is_refused(load):
    with pytest.raises(DataError) as caught:
        load({"sex": "female"})
    assert str(caught.value) == "id: missing; add a text that names the record"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_word_missing_as_a_value_is_shown_as_given(problems):
    assert problems({"her2_ihc": "missing"})["her2_ihc"].startswith('her2_ihc: given "missing"')


def test_fraction_is_no_ejection_fraction(problems):
    assert problems({"lvef_percent": 0.62}) == {
        "lvef_percent": "lvef_percent: given 0.62, accepted a percentage such as 62, not a fraction"
    }
    for name in ("lvef_percent", "lvef_baseline_percent"):
        number = json_schema()["properties"][name]["anyOf"][0]
        assert number == {"type": "number", "minimum": 5, "maximum": 100}


# Refused: names


@pytest.mark.parametrize(
    ("fields", "path", "hint"),
    [
        ({"drugs": ["trastuzumap"]}, "drugs[0]", "did you mean trastuzumab"),
        ({"drugs": ["qqqq"]}, "drugs[0]", "the id, label, brand"),
        ({"drugs": ["THP"]}, "drugs[0]", "drug"),
        ({"regimen": "TCHPP"}, "regimen", "did you mean tchp"),
        ({"regimen": "HP"}, "regimen", "unambiguous regimen name: one of regimen_hp_one"),
        ({"adverse_events": [{"event": "diarhea"}]}, "adverse_events[0].event", "diarrhea"),
        ({"regimen": "TCHP", "drugs": ["paclitaxel"]}, "drugs", "drugs that go with"),
        ({"regimen": "THP", "drugs": ["Enhertu"]}, "drugs", "drugs that go with"),
    ],
)
def test_bad_name_is_refused_with_suggestions(problems, fields, path, hint):
    found = problems({"prior_therapies": [fields]})
    assert list(found) == [f"prior_therapies[0].{path}"]
    assert hint in next(iter(found.values()))


def test_unknown_hypersensitivity_is_refused(problems):
    found = problems({"history": {"hypersensitivity": ["pertuzumap"]}})
    assert "pertuzumab" in found["history.hypersensitivity[0]"]


def test_course_problem_shows_the_names_as_given(problems):
    found = problems({"prior_therapies": [{"regimen": "thp", "drugs": ["ENHERTU"]}]})
    assert 'given ["ENHERTU"], accepted drugs that go with thp' in next(iter(found.values()))


# Refused: dates and contradictions


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"as_of": "2026-11-23"}, "as_of"),
        ({"surgery_date": "2026-11-23"}, "surgery_date"),
        ({"as_of": "2020-01-01", "surgery_date": "2020-01-02"}, "surgery_date"),
        ({"as_of": "2020-01-01", "her2_tests": [{"date": "2020-02-01"}]}, "her2_tests[0].date"),
        ({"her2_tests": [{"ihc": "3+"}]}, "her2_tests[0].date"),
        ({"birth_date": "1890-01-01"}, "birth_date"),
        ({"birth_date": "2027-01-01"}, "birth_date"),
        ({"birth_date": "1970-01-01", "surgery_date": "1969-01-01"}, "surgery_date"),
        ({"birth_date": "1970-01-01", "age": 40}, "age"),
        ({"birth_date": "1971-01-01", "age": 56.5}, "age"),
        (
            {"prior_therapies": [{"start": "2024-02-01", "end": "2024-01-01"}]},
            "prior_therapies[0].end",
        ),
        (
            {"prior_therapies": [{"start": "2024-02-01", "progression_date": "2024-01-31"}]},
            "prior_therapies[0].progression_date",
        ),
        ({"prior_therapies": [{"start": "2027-02-01"}]}, "prior_therapies[0].start"),
        (
            {
                "prior_therapies": [
                    {
                        "adverse_events": [
                            {
                                "event": "diarrhoea",
                                "start": "2024-02-01",
                                "resolved": "2024-01-01",
                            }
                        ]
                    }
                ]
            },
            "prior_therapies[0].adverse_events[0].resolved",
        ),
        (
            {"prior_therapies": [{"adverse_events": [{"grade": 3}]}]},
            "prior_therapies[0].adverse_events[0].event",
        ),
        ({"stage": "II", "metastatic_sites": ["liver"]}, "stage"),
        ({"setting": "early", "metastatic_sites": ["bone"]}, "metastatic_sites"),
        ({"setting": "early", "stage": "IV"}, "stage"),
        ({"brain_mets": "none", "metastatic_sites": ["brain"]}, "brain_mets"),
        ({"brain_mets": "stable", "setting": "early"}, "brain_mets"),
        ({"pregnancy": "pregnant", "sex": "male"}, "pregnancy"),
        ({"pregnancy": "pregnant", "menopausal": "postmenopausal"}, "pregnancy"),
        ({"pregnancy": "not pregnant", "weeks_pregnant": 12}, "weeks_pregnant"),
        ({"sex": "male", "menopausal": "postmenopausal"}, "menopausal"),
        ({"tnm": "cT2N1M1", "setting": "early"}, "tnm"),
        ({"tnm": "cT2 cN1 cM0", "metastatic_sites": ["liver"]}, "tnm"),
        ({"invasive": False, "setting": "metastatic"}, "invasive"),
        ({"her2_ihc": "3+", "her2_tests": [{"date": "2024-01-01", "ihc": "1+"}]}, "her2_ihc"),
        (
            {
                "her2_ish": {"result": "negative", "ratio": 1.1},
                "her2_tests": [{"date": "2024-01-01", "ish": "positive"}],
            },
            "her2_ish",
        ),
        ({"her2_ish": {"probe": "single", "ratio": 2.1}}, "her2_ish.ratio"),
        (
            {"setting": "early", "her2_tests": [{"date": "2024-01-01", "specimen": "metastasis"}]},
            "her2_tests[0].specimen",
        ),
        ({"tnm": "T2N1, Grade 2"}, "tnm"),
        ({"tnm": "cT5"}, "tnm"),
        ({"tnm": "cT2 cT3"}, "tnm"),
        ({"tnm": "M0 M1"}, "tnm"),
        ({"nodes": "a few"}, "nodes"),
        ({"nodes": "cN1", "tnm": "cT2 cN0"}, "nodes"),
        ({"nodes": "2 positive", "positive_nodes": 3}, "positive_nodes"),
        ({"phase": "before surgery", "surgery_date": "2024-01-01"}, "phase"),
        ({"phase": "before surgery", "tnm": "pT1"}, "phase"),
        ({"tnm": "pT1", "prior_therapies": [{"setting": "neoadjuvant"}]}, "tnm"),
        ({"tnm": "ypT1", "prior_therapies_complete": True, "prior_therapies": []}, "tnm"),
        (
            {"pathologic_response": "pCR", "prior_therapies_complete": True, "prior_therapies": []},
            "pathologic_response",
        ),
        ({"phase": "residual disease", "prior_therapies_complete": True}, "phase"),
        ({"invasive": False, "tnm": "cT1mi"}, "invasive"),
    ],
)
def test_impossible_or_contradictory_record_is_refused(problems, fields, path):
    assert list(problems(fields)) == [path]


def test_all_problems_are_reported_together(problems):
    found = problems(
        {
            "her2_ihc": "4+",
            "lvef_percent": "60%",
            "her2ish": "positive",
            "sex": "male",
            "menopausal": "premenopausal",
            "surgery_date": "2027-01-01",
            "metastatic_sites": ["elbow", 5],
            "prior_therapies": [
                {"drugs": ["trastuzumap"], "outcome": "PD"},
                7,
                {"start": "2024-02-01", "end": "2024-01-01", "regimen": "HP"},
            ],
        }
    )
    assert set(found) == {
        "her2_ihc",
        "lvef_percent",
        "her2ish",
        "menopausal",
        "surgery_date",
        "metastatic_sites[0]",
        "metastatic_sites[1]",
        "prior_therapies[0].drugs[0]",
        "prior_therapies[0].outcome",
        "prior_therapies[1]",
        "prior_therapies[2].end",
        "prior_therapies[2].regimen",
    }


def test_error_text_has_one_line_a_problem_with_the_file(load, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text('{"id": "x", "ecog": 9, "grade": 9}')
    with pytest.raises(DataError) as caught:
        load(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2 and all(line.startswith(f"{path}: ") for line in lines)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


# Refused: files and text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b" \n", "an empty file"),
        (b"\xff\xfe{", "not UTF-8"),
        (b'{"id": "x",\n "sex": }', "line 2, column 9"),
        (b'{"id": "x"} {}', "not JSON"),
        (b"[]", "a list"),
        (b"12", "a value of type int"),
        (b'"x"', "a text"),
        (b"null", "null"),
        (b'{"id": "x", "id": "y"}', 'the key "id" twice'),
        (b'{"id": "x", "labs": {"ast_x_uln": 1, "ast_x_uln": 2}}', '"ast_x_uln" twice'),
        (b'{"id": "x", "notes": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested"),
        (b'{"id": "x", "notes": ' + b"[" * 60 + b"]" * 60 + b"}", "nested"),
        (b'{"id": "x", "age": ' + b"9" * 6000 + b"}", "digits"),
        (b'{"id": "x", "er_percent": NaN}', "a finite number"),
        (b'{"id": "x", "er_percent": 1e999}', "a finite number"),
    ],
)
def test_bad_file_is_one_clear_sentence(problems, tmp_path, content, message):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    found = problems(path)
    assert len(found) == 1
    text = next(iter(found.values()))
    assert message in text and "\n" not in text and len(text) < 400


@pytest.mark.parametrize("source", ["", "  ", b"", "{", b"[1]", 5, None, [], True])
def test_source_that_is_no_record_is_refused(load, source):
    with pytest.raises(DataError):
        load(source)


@pytest.mark.parametrize("name", ["missing.json", "x" * 5000, "nul\0.json", "missing.ttl"])
def test_missing_file_is_refused(load, tmp_path, name):
    with pytest.raises(DataError, match=r"does not exist|cannot be read"):
        load(str(tmp_path / name))


def test_directory_is_refused(load, tmp_path):
    with pytest.raises(DataError, match="a directory"):
        load(tmp_path)


def test_unreadable_record_message_shows_a_record_and_names_the_schema(load, tmp_path):
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "text.json").write_text("id: x")
    for source in (tmp_path / "empty.json", tmp_path / "text.json", tmp_path, b" ", "{"):
        with pytest.raises(DataError) as caught:
            load(source)
        assert str(caught.value).endswith(
            'one JSON object with a patient record, such as {"id": "case-1"}; fields: her2kg schema'
        )


def test_pipe_is_refused(load, tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(DataError, match="a device or a pipe"):
        load(tmp_path / "pipe.json")


@pytest.mark.parametrize("name", ["big.json", "big.ttl"])
def test_huge_file_is_refused_before_it_is_read(load, tmp_path, name):
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(100_000_000)
    start = time.perf_counter()
    with pytest.raises(DataError, match=r"100\.00 MB .* at most 5 MB"):
        load(path)
    assert time.perf_counter() - start < 0.5


def test_huge_text_is_refused(load):
    with pytest.raises(DataError, match="at most 5 MB"):
        load('{"id": "' + "x" * 5_000_000 + '"}')


def test_nested_dict_is_refused(load):
    loop: dict = {"id": "x"}
    loop["notes"] = loop
    with pytest.raises(DataError, match="nested"):
        load(loop)


# RDF


def test_patient_triples_follow_the_vocabulary(load, names):
    record = load(EXAMPLE)
    triples = to_triples(record, names)
    patient = URIRef(record.iri)
    assert (patient, RDF.type, her2("Patient")) in triples
    expected = {
        "recordIdentifier": [Literal("case-1", datatype=XSD.string)],
        "recordDate": [Literal("2026-11-22", datatype=XSD.date)],
        "sex": [her2("sex_female")],
        "her2IhcScore": [her2("her2IhcScore_2_plus")],
        "her2IshResult": [her2("her2IshResult_positive")],
        "ishRatio": [Literal("2.4", datatype=XSD.decimal)],
        "ishProbe": [her2("ishProbe_dual")],
        "neutrophils10e9PerL": [Literal("4", datatype=XSD.decimal)],
        "inflammatoryCancer": [Literal("false", datatype=XSD.boolean)],
        "hasMetastaticSite": [
            her2("hasMetastaticSite_liver"),
            her2("hasMetastaticSite_brain"),
        ],
        "hypersensitiveTo": [],
    }
    for name, listed in expected.items():
        assert values(triples, patient, name) == listed, name
    assert closures(triples, patient) == {"hadCourse": 2, "hypersensitiveTo": 0}
    assert all(
        p == RDF.type or str(p).startswith((BASE, str(OWL), str(RDF))) for _, p, _ in triples
    )


def test_course_triples_follow_the_vocabulary(load, names):
    record = load(EXAMPLE)
    triples = to_triples(record, names)
    first, second = (URIRef(f"{record.iri}_course_{n}") for n in (1, 2))
    assert (first, RDF.type, her2("TherapyCourse")) in triples
    assert values(triples, first, "recordPath") == [
        Literal("prior_therapies[0]", datatype=XSD.string)
    ]
    assert values(triples, first, "usedRegimen") == [her2("regimen_tchp")]
    assert len(values(triples, first, "gaveDrug")) == 4
    assert closures(triples, first) == {"gaveDrug": 4}
    assert closures(triples, second) == {"gaveDrug": 3}
    assert values(triples, second, "courseSetting") == [her2("courseSetting_metastatic")]
    assert values(triples, second, "progressionDate") == [Literal(date(2026, 8, 1))]
    graph = Graph()
    for triple in triples:
        graph.add(triple)
    axiom = graph.value(predicate=RDF.type, object=OWL.AllDifferent)
    assert list(graph.items(graph.value(axiom, OWL.distinctMembers))) == [first, second]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"prior_therapies": []}, {}),
        ({"prior_therapies_complete": True}, {"hadCourse": 0}),
        ({"prior_therapies": [{}, {}], "prior_therapies_complete": True}, {"hadCourse": 2}),
        ({"prior_therapies": [{}], "prior_therapies_complete": False}, {}),
        ({"medications": []}, {"takesMedicine": 0}),
        ({"medications": ["ketoconazole", "Ketoconazole"]}, {"takesMedicine": 1}),
        ({"medications": ["ketoconazole", "unheard of"]}, {}),
        ({"history": {"hypersensitivity": ["Phesgo", "Herceptin"]}}, {"hypersensitiveTo": 2}),
        ({"judgement": {"special_circumstances": []}}, {"specialCircumstance": 0}),
        (
            {"judgement": {"special_circumstances": ["low disease burden"]}},
            {"specialCircumstance": 1},
        ),
        ({"metastatic_sites": ["liver"]}, {}),
    ],
)
def test_patient_lists_are_closed_only_when_complete(load, names, fields, expected):
    record = load({"id": "x", **fields})
    assert closures(to_triples(record, names), URIRef(record.iri)) == expected


@pytest.mark.parametrize(
    ("course", "drugs", "expected"),
    [
        ({}, 0, {}),
        ({"drugs": None}, 0, {}),
        ({"drugs": []}, 0, {"gaveDrug": 0}),
        ({"drugs": ["Herceptin", "trastuzumab"]}, 1, {"gaveDrug": 1}),
        ({"drugs": ["Phesgo"]}, 2, {"gaveDrug": 2}),
        ({"regimen": "THP"}, 3, {"gaveDrug": 3}),
        ({"regimen": "THP", "drugs": ["Phesgo", "docetaxel"]}, 3, {"gaveDrug": 3}),
        ({"regimen": "TCHP", "drugs": ["Phesgo"]}, 2, {"gaveDrug": 2}),
        ({"adverse_events": []}, 0, {"hadToxicity": 0}),
    ],
)
def test_course_lists_are_closed_only_when_stated(load, names, course, drugs, expected):
    record = load({"id": "x", "prior_therapies": [course]})
    triples, node = to_triples(record, names), URIRef(f"{record.iri}_course_1")
    assert len(values(triples, node, "gaveDrug")) == drugs
    assert closures(triples, node) == expected


def test_toxicity_triples_follow_the_vocabulary(load, names):
    events = [
        {"event": "diarrhea", "grade": 3, "start": "2024-01-01", "resolved": "2024-01-09"},
        {"event": "Diarrhoea", "resolved": False},
    ]
    record = load({"id": "x", "prior_therapies": [{"adverse_events": events}]})
    triples = to_triples(record, names)
    course = URIRef(f"{record.iri}_course_1")
    first, second = (URIRef(f"{course}_toxicity_{n}") for n in (1, 2))
    assert values(triples, course, "hadToxicity") == [first, second]
    assert values(triples, first, "toxicityEvent") == [her2("ae_diarrhoea")]
    assert values(triples, first, "toxicityGrade") == [Literal(Decimal(3))]
    assert values(triples, first, "toxicityResolved") == [Literal(date(2024, 1, 9))]
    assert values(triples, first, "toxicityUnresolved") == []
    assert values(triples, second, "toxicityUnresolved") == [Literal(True)]
    assert closures(triples, course) == {"hadToxicity": 2}


@pytest.mark.parametrize(
    ("birth", "as_of", "years"),
    [
        ("1970-11-21", "2026-11-21", "56"),
        ("1970-11-22", "2026-11-21", "55"),
        ("1970-11-22", None, "56"),
        ("1972-02-29", "2026-02-28", "53"),
    ],
)
def test_age_is_completed_years_at_the_record_date(load, names, birth, as_of, years):
    record = load({"id": "x", "birth_date": birth, "as_of": as_of})
    triples = to_triples(record, names, today=TODAY)
    ages = values(triples, URIRef(record.iri), "ageYears")
    assert ages == [Literal(years, datatype=XSD.decimal)]
    assert "age" not in record.to_dict()


def test_blank_nodes_are_the_same_at_every_call(load, names):
    first, second = (to_triples(load(EXAMPLE), names) for _ in range(2))
    assert first == second
    assert (URIRef(load(EXAMPLE).iri), RDF.type, BNode("case_1_closure_1")) in first


def test_every_record_value_has_an_individual(load, names):
    for path, (name, notations) in OBJECTS.items():
        words = notations.split("|") if "|" in notations else notations.split()
        head, _, field = path.rpartition(".")
        part = PARTS[tuple(step.removesuffix("[]") for step in head.split(".") if step)]
        text = json.dumps(part.model_json_schema()["properties"][field])
        for word in words:
            assert json.dumps(word) in text, (path, word)
            assert names.value(BASE + name, word)


def test_field_without_a_property_is_an_engine_error(load):
    poor = FakeNames()
    del poor._properties["ecog"]
    with pytest.raises(EngineError, match="'ecog'"):
        to_triples(load({"id": "x", "ecog": 1}), poor)


@pytest.mark.parametrize(
    ("suffix", "syntax"),
    [("ttl", "turtle"), ("nt", "nt"), ("rdf", "xml"), ("owl", "xml"), ("jsonld", "json-ld")],
)
def test_rdf_comes_back_as_it_was_written(load, names, tmp_path, suffix, syntax):
    record, graph = load(EXAMPLE), Graph()
    for triple in to_triples(record, names):
        graph.add(triple)
    path = tmp_path / f"case.{suffix}"
    graph.serialize(path, format=syntax)
    triples, iri = read_rdf(path, names)
    again = Graph()
    for triple in triples:
        again.add(triple)
    assert iri == record.iri and isomorphic(graph, again)
    assert read_rdf(path.read_bytes(), names)[1] == record.iri
    loaded = load(path)
    assert (loaded.iri, loaded.as_of, loaded.model.id) == (record.iri, TODAY, "case-1")
    assert to_triples(loaded, names) == list(loaded.rdf)
    assert load(path).sha256 == loaded.sha256


HEAD = "@prefix her2kg: <https://w3id.org/her2kg#> .\n"
PATIENT = HEAD + "her2kg:patient_x a her2kg:Patient ; "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PATIENT + "her2kg:ecog", "ends in the middle"),
        (PATIENT + "her2kg:ecog 1 ;; 2 .", "line 2"),
        (PATIENT + "foo:bar 1 .", "Turtle|turtle"),
        (HEAD, "0 patients"),
        (PATIENT + "a her2kg:Patient . her2kg:patient_y a her2kg:Patient .", "2 patients"),
        (HEAD + "[] a her2kg:Patient .", "a patient without an IRI"),
        (PATIENT + "her2kg:lvefPercentage 60 .", "unknown property.*did you mean.*lvefPercent"),
        (PATIENT + "her2kg:sex her2kg:sex_unheard .", "an individual or class of the ontology"),
        (PATIENT + "a her2kg:Unheard .", "an individual or class of the ontology"),
        (PATIENT + 'her2kg:lvefPercent "60%" .', "xsd:decimal"),
        (
            PATIENT + 'her2kg:lvefPercent "NaN"^^<http://www.w3.org/2001/XMLSchema#double> .',
            "finite",
        ),
        (
            PATIENT + 'her2kg:recordDate "soon"^^<http://www.w3.org/2001/XMLSchema#date> .',
            "xsd:date",
        ),
        (PATIENT + "her2kg:sex <http://a/b c> .", "an IRI without spaces"),
        (PATIENT + "her2kg:sex <http://a/b\\u0020c> .", "an IRI without spaces|line 2"),
        (PATIENT + 'her2kg:sex "female" .', "an individual of the ontology"),
        (PATIENT + "her2kg:ageYears 5 . her2kg:drug_trastuzumab a her2kg:Patient .", "2 patients"),
        (
            PATIENT + "her2kg:ageYears 5 . her2kg:drug_trastuzumab her2kg:ageYears 5 .",
            "about the patient",
        ),
    ],
)
def test_bad_turtle_is_refused(load, tmp_path, text, message):
    path = tmp_path / "bad.ttl"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_rdf_numbers_become_decimals(names):
    text = HEAD + "her2kg:patient_x a her2kg:Patient ; her2kg:ageYears {} ."
    found = {tuple(read_rdf(text.format(n).encode(), names)[0]) for n in ("60", "60.0", "6e1")}
    assert len(found) == 1
    assert (her2("patient_x"), her2("ageYears"), Literal("60", datatype=XSD.decimal)) in found.pop()


def test_rdf_reading_leaves_a_reference_to_knowledge_alone(names):
    text = (
        PATIENT + "a her2kg:Her2PositivePatient ; her2kg:hypersensitiveTo her2kg:drug_docetaxel ."
    )
    triples, iri = read_rdf(text.encode(), names)
    assert iri == f"{BASE}patient_x" and len(triples) == 3


@pytest.mark.parametrize(
    "context",
    [
        "http://localhost:9/context.jsonld",
        [{"a": "http://a"}, "context.jsonld"],
        {"@import": "http://localhost:9/x"},
        {"a": {"@id": "http://a", "@context": "http://localhost:9/x"}},
    ],
)
def test_remote_context_is_refused(load, tmp_path, context):
    path = tmp_path / "case.jsonld"
    path.write_text(json.dumps({"@context": context, "@id": f"{BASE}patient_x"}))
    with pytest.raises(DataError, match="nothing is fetched"):
        load(path)


@pytest.mark.parametrize("name", ["bad.rdf", "bad.owl", "bad.nt", "bad.jsonld"])
def test_nonsense_rdf_is_refused(load, tmp_path, name):
    path = tmp_path / name
    path.write_text('<?xml version="1.0"?>\n<rdf:RDF')
    with pytest.raises(DataError, match="text that is not"):
        load(path)


# Schema


def test_json_schema_lists_values_and_units(tmp_path):
    schema = json_schema()
    assert schema["title"] == "her2kg patient record"
    assert schema["required"] == ["id"]
    parts = [schema, *(part for part in schema["$defs"].values() if "properties" in part)]
    assert len(parts) == len(set(PARTS.values()))
    for part in parts:
        assert part["additionalProperties"] is False
        for name, field in part["properties"].items():
            assert field.get("description"), name
    labs = schema["$defs"]["Labs"]["properties"]
    assert "mL/min" in labs["creatinine_clearance_ml_min"]["description"]
    assert schema["properties"]["her2_ihc"]["anyOf"][0]["enum"] == ["0", "1+", "2+", "3+"]
    write_json_schema(tmp_path / "schema.json")
    assert json.loads((tmp_path / "schema.json").read_text()) == schema


# Errors


def test_did_you_mean_ignores_case_and_keeps_spelling():
    assert did_you_mean("ENHERTO", ["Enhertu", "Kadcyla"]) == ("Enhertu",)
    assert did_you_mean("qqqq", ["Enhertu", "Kadcyla"]) == ()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UnknownTerm("enherto", "drug", ["Enhertu"]), "did you mean 'Enhertu'?"),
        (UnknownTerm("qqqq", "drug"), "accepted: an id, a label"),
        (UnknownTerm("HP", "regimen", ["a", "b"], True), "'HP' is ambiguous; write one of: a, b"),
        (
            UnknownQuery("eligible-regimen", ["eligibility/eligible-regimens"]),
            "did you mean 'eligibility/eligible-regimens'? List them: her2kg queries",
        ),
        (UnknownTerm("qqqq", "drug"), "Look a name up: her2kg show TERM"),
        (
            BadParameter("a/b", "patient", None, "a her2kg:Patient"),
            "given nothing, accepted a her2kg:Patient. Its header: her2kg queries a/b",
        ),
        (
            BadParameter("a/b", "regime", "THP", "only the parameters asOf, regimen"),
            "query 'a/b' has no parameter 'regime'; did you mean 'regimen'? "
            "Its header: her2kg queries a/b",
        ),
        (
            BadParameter("a/b", "zzz", 1, "only the parameters asOf, regimen"),
            "has no parameter 'zzz'; it takes asOf, regimen. Its header: her2kg queries a/b",
        ),
        (BadParameter("a/b", "zzz", 1, "no parameter at all"), "'zzz'; it takes none. Its header"),
    ],
)
def test_error_says_what_to_do_and_survives_pickling(error, text):
    assert text in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
