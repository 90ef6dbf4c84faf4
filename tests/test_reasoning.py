"""HermiT beside the rules: the command, the three values, why a class is met or not."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from her2kg import KnowledgeGraph, hermit
from her2kg.cli import app
from her2kg.errors import DataError, EngineError, UnknownTerm
from her2kg.namespaces import BASE, ONTOLOGY_HOME
from her2kg.reasoning import Reasoner

EXAMPLES = ONTOLOGY_HOME / "examples"
# Chosen so that each shows something: a complete empty history, several courses, toxicity,
# unknown facts, pathological stage, single-probe results.
SHOWN = [
    "relapse-8-months",
    "ild-on-tdxd",
    "ihc-2-without-ish",
    "early-residual-ypn1",
    "early-adjuvant-0-5-cm-age-unknown",
    "her2-low-after-chemotherapy",
]


@pytest.fixture(scope="module")
def kg():
    return KnowledgeGraph()


@pytest.fixture(scope="module")
def reasoner(kg):
    return Reasoner(kg)


def example(name):
    return EXAMPLES / f"{name}.json"


def test_axioms_are_consistent_and_every_class_has_a_place(reasoner):
    assert reasoner.hermit.is_consistent()
    assert reasoner.hermit.ontology.getLogicalAxiomCount() > 2000


def test_something_can_belong_to_every_class(reasoner):
    assert reasoner.hermit.unsatisfiable_classes() == []


@pytest.mark.parametrize("name", SHOWN)
def test_rules_and_hermit_agree_on_an_example(kg, reasoner, name):
    found = reasoner.compare(kg.record(example(name)))
    assert found.consistent
    assert [m for m in found.memberships if not m.agree] == []
    assert {"met", "unmet", "unknown"} == {m.reasoner for m in found.memberships}


def test_each_value_of_a_class_is_told_apart(reasoner, kg):
    iri = BASE + "LvefAtLeast50Patient"
    for lvef, expected in ((50, "met"), (49.9, "unmet"), (None, "unknown")):
        stated = {} if lvef is None else {"lvef_percent": lvef}
        triples, _ = kg.decided(kg.record({"id": "lvef", **stated}))
        facts = reasoner.hermit.axioms(triples)
        literal = (f"{BASE}patient_lvef", iri)
        assert reasoner.hermit.statuses(facts, [literal]) == {literal: expected}


def test_wrong_expectations_change_nothing(reasoner, kg):
    record = kg.record(example("ihc-2-without-ish"))
    triples, decided = kg.decided(record)
    literals = [pair for pair in reasoner.literals(triples) if "Her2" in pair[1]]
    facts = reasoner.hermit.axioms(triples)
    turned = {pair: {"met": "unmet", "unmet": "met"}[status] for pair, status in decided.items()}
    right = reasoner.hermit.statuses(facts, literals, decided)
    assert reasoner.hermit.statuses(facts, literals, turned) == right
    assert reasoner.hermit.statuses(facts, literals) == right


def both(kg, reasoner, stated):
    """Every class of the patient, by the rules and by HermiT."""
    found = reasoner.compare(kg.record({"id": "both", **stated})).memberships
    return {m.class_: (m.rules, m.reasoner) for m in found if m.individual == "patient_both"}


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (["taxane, agent not stated", "pertuzumab"], "unknown"),  # it may be docetaxel
        (["anthracycline, agent not stated", "pegylated liposomal doxorubicin"], "unmet"),
    ],
)
def test_two_names_for_one_drug_leave_no_room_for_another(kg, reasoner, listed, expected):
    found = both(kg, reasoner, {"history": {"hypersensitivity": listed}})
    assert found["HypersensitiveToDocetaxelPatient"] == (expected, expected)


def test_the_only_conjunct_left_is_refuted(kg, reasoner):
    """Clinically node-negative and node-positive at surgery: no complete response."""
    course = {"drugs": ["trastuzumab", "docetaxel"], "setting": "neoadjuvant"}
    stated = {"nodes": "cN0", "positive_nodes": 5, "prior_therapies": [course]}
    found = both(kg, reasoner, stated)
    assert found["PathologicCompleteResponsePatient"] == ("unmet", "unmet")
    less = both(kg, reasoner, {**stated, "positive_nodes": None})
    assert less["PathologicCompleteResponsePatient"] == ("unknown", "unknown")


def test_the_only_disjunct_left_is_met(kg):
    """Told that the groups of the work-up apply, and that two do not, the rules find the third."""
    record = kg.record({"id": "groups"})
    groups = {"IshWorkUpPatient": "met", "IshGroup2Patient": "unmet", "IshGroup3Patient": "unmet"}
    told = {(record.iri, BASE + name): status for name, status in groups.items()}
    assert kg.decided(record, told)[1][record.iri, BASE + "IshGroup4Patient"] == "met"
    told.pop((record.iri, BASE + "IshGroup2Patient"))
    assert (record.iri, BASE + "IshGroup4Patient") not in kg.decided(record, told)[1]


def test_time_limit_ends_a_search_and_the_next_one_is_undisturbed(kg, reasoner):
    triples, _ = kg.decided(kg.record(example("ild-on-tdxd")))
    tableau = reasoner.hermit.tableau(reasoner.hermit.axioms(triples))
    with pytest.raises(TimeoutError):
        reasoner.hermit.has_model(tableau, reasoner.hermit._class("java.util.HashMap")(), 0)
    tableau = reasoner.hermit.tableau(reasoner.hermit.axioms(triples))
    assert reasoner.hermit.has_model(tableau, reasoner.hermit._class("java.util.HashMap")(), 60)


def test_only_values_that_are_named_are_given_to_the_reasoner(kg, reasoner):
    def told(stated):
        triples, _ = kg.decided(kg.record({"id": "told", **stated}))
        return {str(axiom) for axiom in reasoner.hermit.axioms(triples)}

    taken = {"prior_therapies": [{"drugs": ["eribulin"]}]}
    assert any("drug_eribulin" in axiom and "ClassAssertion" in axiom for axiom in told(taken))
    assert not any("drug_eribulin" in axiom for axiom in told({}))


def test_facts_that_contradict_each_other_are_told_as_such(reasoner, kg):
    record = kg.record({"id": "both", "tnm": "cT2 cN0 M0", "clinical_tumor_size_cm": 1.5})
    found = reasoner.compare(record)
    assert not found.consistent
    assert "conflicting" in {m.rules for m in found.memberships}
    assert found.differences == ()


WHY = [
    ("relapse-8-months", "Her2PositivePatient", "met"),
    ("relapse-8-months", "LvefAtLeast50Patient", "met"),
    ("relapse-8-months", "NoPriorTucatinibPatient", "met"),
    ("early-residual-ypn1", "ResidualInvasiveDiseasePatient", "met"),
    ("early-residual-ypn1", "AdvancedDiseasePatient", "unmet"),
    ("ild-on-tdxd", "IldHistoryPatient", "met"),
]


@pytest.mark.parametrize(("name", "class_", "status"), WHY, ids=[each[1] for each in WHY])
def test_justification_rests_on_the_criteria_of_the_rules(kg, reasoner, name, class_, status):
    record = kg.record(example(name))
    found = reasoner.explain(record, class_)
    assert (found.rules, found.reasoner) == (status, status)
    assert found.axioms
    _, decided = kg.decided(record)
    of_patients = {m.removeprefix(BASE) for m in reasoner._kinds[BASE + "Patient"]}
    by_rules = {step.criterion for _, step in found.reasons} | {class_}
    by_reasoner = found.classes & of_patients
    # What the axioms speak of, the rules name too; HermiT needs one way, the rules show all.
    assert by_reasoner <= by_rules
    for each in by_reasoner:
        assert decided[record.iri, BASE + each] in ("met", "unmet")


def test_justification_is_minimal(kg, reasoner):
    record = kg.record(example("relapse-8-months"))
    triples, _ = kg.decided(record)
    facts = reasoner.hermit.axioms(triples)
    literal = (record.iri, BASE + "Her2PositivePatient")
    found = hermit_justification(reasoner, facts, literal)
    denial = reasoner.hermit.assertion(reasoner.hermit.negation(literal), record.iri)
    assert not reasoner.hermit.can_all_be_true([*found, denial])
    for left_out in found:
        rest = [axiom for axiom in found if axiom != left_out]
        assert reasoner.hermit.can_all_be_true([*rest, denial])


def hermit_justification(reasoner, facts, literal):
    from her2kg.justification import justification

    return justification(reasoner.hermit, facts, literal, "met")


def test_what_does_not_follow_has_no_justification(kg, reasoner):
    found = reasoner.explain(kg.record({"id": "bare"}), "HER2-positive")
    assert (found.class_, found.rules, found.reasoner) == (
        "Her2PositivePatient",
        "unknown",
        "unknown",
    )
    assert found.axioms == ()


def test_unknown_class_has_suggestions(kg, reasoner):
    with pytest.raises(UnknownTerm, match="Her2PositivePatient"):
        reasoner.explain(kg.record({"id": "bare"}), "Her2PositivPatient")


def test_explaining_a_contradiction_is_refused(kg, reasoner, monkeypatch):
    monkeypatch.setattr(reasoner.hermit, "statuses", lambda *_: None)
    with pytest.raises(DataError, match="contradict"):
        reasoner.explain(kg.record({"id": "bare"}), "Her2PositivePatient")


def test_world_is_an_owlready2_world_with_the_patient(kg):
    world = kg.reasoner(example("relapse-8-months"))
    assert world.search_one(iri="*#Her2PositivePatient").label.en == ["HER2-positive"]
    patient = world.search_one(iri="*#patient_relapse_8_months")
    assert len(patient.hadCourse) == 2
    assert not world.search(iri="*#indication_*")


def test_command_shows_both_sides_and_no_difference():
    result = CliRunner().invoke(
        app, ["reason", str(example("ihc-2-without-ish")), "--format", "json"]
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["differences"] == 0 and found["consistent"]
    by_class = {m["class"]: m for m in found["memberships"]}
    assert by_class["Her2PositivePatient"]["rules"] == "unknown"
    assert by_class["Her2PositivePatient"]["reasoner"] == "unknown"
    assert "no differences" in result.stderr


def test_command_exits_with_1_where_they_differ(monkeypatch):
    decided = KnowledgeGraph.decided

    def without_one(self, record):
        triples, found = decided(self, record)
        del found[record.iri, BASE + "AdultPatient"]
        return triples, found

    monkeypatch.setattr(KnowledgeGraph, "decided", without_one)
    result = CliRunner().invoke(app, ["reason", str(example("ihc-2-without-ish"))])
    assert result.exit_code == 1, result.output
    assert "1 difference" in result.stderr
    assert "AdultPatient" in result.stdout and "<-" in result.stdout


def test_command_says_why_a_class_is_met():
    path = str(example("relapse-8-months"))
    result = CliRunner().invoke(app, ["reason", path, "--why", "Her2PositivePatient"])
    assert result.exit_code == 0, result.output
    assert "SubClassOf Her2PositivePatient" in result.stdout
    table = CliRunner().invoke(
        app, ["reason", path, "--why", "Her2PositivePatient", "--format", "csv"]
    )
    assert table.stdout.startswith("by,status,criterion,text,observed\nrules,met,")


@pytest.mark.parametrize("name", ["elk", "JFact", "owlrl", "unheard-of"])
def test_other_reasoners_are_refused(name):
    result = CliRunner().invoke(
        app, ["reason", str(example("ihc-2-without-ish")), "--reasoner", name]
    )
    assert result.exit_code == 2
    assert "--reasoner" in result.stderr and "accepted hermit" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_missing_java_is_one_sentence(monkeypatch):
    import jpype

    def none(*_, **__):
        raise jpype.JVMNotFoundException("none")

    monkeypatch.setattr(jpype, "isJVMStarted", lambda: False)
    monkeypatch.setattr(jpype, "startJVM", none)
    with pytest.raises(EngineError, match="install a Java runtime"):
        hermit.start_java()
    result = CliRunner().invoke(app, ["reason", str(example("ihc-2-without-ish"))])
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [hermit.NO_JAVA]


def test_neither_java_nor_owlready2_is_loaded_for_a_verdict():
    code = (
        "import sys; from her2kg import KnowledgeGraph; KnowledgeGraph().eligibility({'id': 'x'}); "
        "sys.exit(bool({'jpype', 'owlready2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
