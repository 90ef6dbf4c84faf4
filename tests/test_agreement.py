"""Rules on Oxigraph, rules on rdflib and HermiT give one answer for generated patients."""

import json
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from her2kg.namespaces import BASE
from tests import agreement, patients

SLOW = settings(
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@settings(SLOW, max_examples=12)
@given(patients.records())
def test_rules_and_hermit_agree_on_a_generated_patient(data):
    record = patients.graph().record(data)
    found = agreement.reasoner().compare(record)
    if not found.consistent:
        assert found.differences == (), json.dumps(data)
        return
    roots, left = agreement.roots(record, found)
    line = {"consistent": True, "roots": roots, "left": left}
    assert list(agreement.unexplained(line)) == [], json.dumps(data)


@pytest.mark.parametrize("number", range(12))
def test_rules_and_hermit_agree_on_a_patient_of_the_series(number):
    line = agreement.judge(number, 11, rdflib=False)
    assert list(agreement.unexplained(line)) == [], json.dumps(line.get("record"))


@pytest.mark.parametrize("number", range(3))
def test_rules_decide_the_same_on_both_engines(number):
    record = patients.graph().record(patients.seeded(number, 12))
    assert agreement.second().decided(record)[1] == patients.graph().decided(record)[1]


def test_what_follows_from_a_root_is_told_from_the_root():
    line = agreement.judge(104, 1, rdflib=False)
    assert [root[1:] for root in line["roots"]] == [["ThirdLineByAscoPatient", "unknown", "unmet"]]
    assert len(line["differences"]) > 10 and line["left"] == []


def test_a_root_that_is_not_in_the_table_is_unexplained(monkeypatch):
    monkeypatch.setattr(agreement, "explained", dict)
    line = {"consistent": True, "roots": [["", "X", "unknown", "met"]], "left": [["", "Y"]]}
    assert list(agreement.unexplained(line)) == [["", "X", "unknown", "met"], ["", "Y"]]


def test_a_difference_is_found(monkeypatch):
    graph = patients.graph()
    decided = graph.decided
    monkeypatch.setattr(
        type(graph),
        "decided",
        lambda self, record: (
            (found := decided(record))[0],
            {key: value for key, value in found[1].items() if key[1] != BASE + "AdultPatient"},
        ),
    )
    record = graph.record({"id": "adult", "age": 40})
    (found,) = agreement.reasoner().compare(record).differences
    assert (found.class_, found.rules, found.reasoner) == ("AdultPatient", "unknown", "met")


def test_series_is_the_same_each_time_and_covers_the_schema():
    drawn = [patients.seeded(number, 3) for number in range(400)]
    assert drawn[:20] == [patients.seeded(number, 3) for number in range(20)]
    fields = {name for data in drawn for name in data}
    assert fields >= set(patients.schema()["properties"]) - {"genomics"}
    courses = [course for data in drawn for course in data.get("prior_therapies") or ()]
    assert {name for course in courses for name in course} == set(
        patients.schema()["$defs"]["Course"]["properties"]
    )


def test_numbers_are_drawn_at_the_limits_and_beside_them():
    field = {"type": "number", "minimum": 5, "maximum": 100}
    drawn = {patients._number(Random(n), field, "lvef_percent") for n in range(400)}
    assert {49.9, 50, 50.1} <= drawn


@settings(SLOW, max_examples=25)
@given(st.integers(0, 10**6))
def test_any_number_of_a_series_is_an_accepted_record(number):
    patients.graph().record(patients.seeded(number, 4))


def test_case_splits_name_classes_of_the_graph():
    known = {
        iri.removeprefix(BASE) for iris in agreement.reasoner()._kinds.values() for iri in iris
    }
    for (class_, status), axiom in agreement.explained().items():
        assert class_ in known and status in ("met", "unmet") and axiom
