"""Safety rules in the answer: what excludes, what is only shown, and what is asked for.

The classes of patients behind the rules are proved one by one in `test_criteria.py`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from test_criteria import BASE_RECORD, patched, status

from her2kg import KnowledgeGraph

Patch = dict[str, Any]


@cache
def graph() -> KnowledgeGraph:
    return KnowledgeGraph()


def claim(name: str, patch: Patch, as_of: str = "2026-11-22"):
    """The verdict of one claim; every jurisdiction counts."""
    answers = graph().eligibility(
        patched(BASE_RECORD, patch), as_of=as_of, jurisdictions=["US", "EU", "CN", "BE"]
    )
    found = [c for regimen in answers.regimens for c in regimen.claims if c.claim == name]
    assert len(found) == 1, name
    return found[0]


def reason(name: str, criterion: str, patch: Patch, as_of: str = "2026-11-22") -> str | None:
    """How one criterion stands among the reasons; a contraindication is met by its absence."""
    found = [r.status for r in claim(name, patch, as_of).reasons if r.criterion == criterion]
    return found[0] if found else None


def regimen(name: str, patch: Patch):
    answers = graph().eligibility(patched(BASE_RECORD, patch), regimens=[name])
    return answers[name]


def rules(sparql: str) -> set[str]:
    return {iri.local for (iri,) in graph().select(sparql).rows}


# The new hard rules: the class that decides, a patch that meets it, one that refutes it, and one
# that cannot tell.
NEW = {
    "contraindication_infusion_reaction_tdm1": (
        "TrastuzumabStoppedForInfusionReactionPatient",
        "drug_trastuzumab_emtansine",
    ),
    "contraindication_child_pugh_neratinib_eu": ("ChildPughClassCPatient", "drug_neratinib"),
    "contraindication_cyp3a_inducer_neratinib_eu": ("StrongCyp3aInducerPatient", "drug_neratinib"),
    "contraindication_hepatic_pyrotinib": ("ChildPughClassBOrCPatient", "drug_pyrotinib"),
    "contraindication_child_pugh_doxorubicin": ("ChildPughClassCPatient", "drug_doxorubicin"),
    "contraindication_child_pugh_epirubicin": ("ChildPughClassCPatient", "drug_epirubicin"),
    "contraindication_dpd_fluorouracil": ("DpydPoorMetaboliserPatient", "drug_fluorouracil"),
    "contraindication_hypersensitivity_carboplatin": (
        "HypersensitiveToPlatinumAgentPatient",
        "drug_carboplatin",
    ),
    "contraindication_hypersensitivity_cyclophosphamide": (
        "HypersensitiveToCyclophosphamidePatient",
        "drug_cyclophosphamide",
    ),
    "contraindication_hypersensitivity_eribulin_eu": (
        "HypersensitiveToEribulinPatient",
        "drug_eribulin",
    ),
    "contraindication_hypersensitivity_fulvestrant": (
        "HypersensitiveToFulvestrantPatient",
        "drug_fulvestrant",
    ),
    "contraindication_hypersensitivity_gemcitabine": (
        "HypersensitiveToGemcitabinePatient",
        "drug_gemcitabine",
    ),
    "contraindication_hypersensitivity_goserelin": (
        "HypersensitiveToGoserelinPatient",
        "drug_goserelin",
    ),
    "contraindication_hypersensitivity_tamoxifen": (
        "HypersensitiveToTamoxifenPatient",
        "drug_tamoxifen",
    ),
}


@pytest.mark.parametrize("rule", sorted(NEW))
def test_hard_rule_rests_on_its_class_and_drug(rule):
    criterion, drug = NEW[rule]
    rows = graph().select(
        f"SELECT ?class ?drug WHERE {{ her2kg:{rule} her2kg:patientClass ?class ;"
        " her2kg:appliesTo ?drug }"
    )
    assert [(c.local, d.local) for c, d in rows.rows] == [(criterion, drug)]


@pytest.mark.parametrize("rule", sorted(NEW))
def test_hard_rule_checks_the_claims_of_its_drug_and_territory(rule):
    _, drug = NEW[rule]
    checked = rules(f"SELECT ?claim WHERE {{ ?claim her2kg:checkedBy her2kg:{rule} }}")
    territory = {"eu": "jurisdiction_eu"}.get(rule.rsplit("_", 1)[-1])
    if rule == "contraindication_hepatic_pyrotinib":
        territory = "jurisdiction_cn"
    here = f"; her2kg:jurisdiction her2kg:{territory}" if territory else ""
    assert checked == rules(
        "SELECT ?claim WHERE { ?regimen her2kg:givesDrug her2kg:"
        f"{drug} . ?claim her2kg:ofRegimen ?regimen {here} }}"
    )


def course(**more: Any) -> Patch:
    return {
        "prior_therapies": [
            {
                "drugs": ["trastuzumab", "docetaxel"],
                "setting": "metastatic",
                "start": "2025-01-06",
                "end": "2026-06-30",
                "outcome": "progression",
                **more,
            }
        ],
        "prior_therapies_complete": True,
    }


REACTION = {"adverse_events": [{"event": "infusion reaction", "grade": 4}]}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({**REACTION, "outcome": "toxicity"}, "unmet"),
        ({**REACTION, "outcome": "progression"}, "met"),
        ({"adverse_events": [], "outcome": "toxicity"}, "met"),
        ({"outcome": "toxicity"}, "unknown"),
    ],
)
def test_trastuzumab_stopped_for_an_infusion_reaction_bars_tdm1(more, expected):
    found = reason(
        "indication_tdm1_2l_us", "TrastuzumabStoppedForInfusionReactionPatient", course(**more)
    )
    assert found == expected
    verdict = claim("indication_tdm1_2l_us", course(**more)).verdict
    assert verdict == {"unmet": "ineligible", "unknown": "undetermined"}.get(expected, verdict)


def test_patient_who_never_had_trastuzumab_is_not_asked_for_infusion_reactions():
    nothing = {"prior_therapies": [], "prior_therapies_complete": True}
    name = "TrastuzumabStoppedForInfusionReactionPatient"
    assert reason("indication_tdm1_2l_us", name, nothing) == "met"


@pytest.mark.parametrize(
    ("grade", "expected"), [("A", "met"), ("B", "unmet"), ("C", "unmet"), (None, "unknown")]
)
def test_hepatic_impairment_bars_pyrotinib_in_china_only(grade, expected):
    patch = course() | {"labs": {"child_pugh": grade}}
    name = "ChildPughClassBOrCPatient"
    assert reason("indication_pyrotinib_capecitabine_cn", name, patch) == expected
    trials = rules(
        "SELECT ?claim WHERE { ?claim her2kg:ofRegimen her2kg:regimen_pyrotinib_capecitabine ;"
        " her2kg:basis her2kg:basis_trial }"
    )
    assert all(reason(trial, name, patch) is None for trial in trials)


def test_us_neratinib_is_not_barred_by_the_rules_of_the_eu():
    us = rules(
        "SELECT ?claim WHERE { ?claim her2kg:ofRegimen her2kg:regimen_neratinib_capecitabine ;"
        " her2kg:jurisdiction her2kg:jurisdiction_us }"
    )
    patch = course() | {"labs": {"child_pugh": "C"}, "medications": ["rifampin"]}
    assert us
    for name in us:
        assert reason(name, "ChildPughClassCPatient", patch) is None
        assert reason(name, "StrongCyp3aInducerPatient", patch) is None


@pytest.mark.parametrize(
    ("medicine", "expected"),
    [("rifampin", "met"), ("lansoprazole", "unmet"), ("warfarin", "unmet"), ("tea", "unknown")],
)
def test_medicine_tells_whether_it_is_a_strong_inducer(medicine, expected):
    assert status("StrongCyp3aInducerPatient", {"medications": [medicine]}) == expected


# What is shown


@pytest.mark.parametrize(
    ("name", "patch", "rule"),
    [
        ("T-DM1", {"labs": {"platelets_10e9_per_l": 99}}, "caution_platelets_tdm1"),
        ("T-DM1", {"lvef_percent": 49}, "caution_lvef_tdm1"),
        ("T-DXd", {"labs": {"creatinine_clearance_ml_min": 29}}, None),
    ],
)
def test_not_studied_caution_says_so_and_never_excludes(name, patch, rule):
    plain, found = regimen(name, course()), regimen(name, course() | patch)
    assert found.verdict == plain.verdict
    more = {c.rule: c.label for c in found.cautions if c not in plain.cautions}
    kinds = rules("SELECT ?rule WHERE { ?rule a her2kg:NotStudiedCaution }")
    marked = {r: label for r, label in more.items() if r in kinds}
    assert marked
    assert all("not studied" in label for label in marked.values()), marked
    assert rule is None or rule in marked


def test_every_not_studied_caution_is_a_caution_and_says_so():
    rows = graph().select(
        "SELECT ?rule ?label WHERE { ?rule a her2kg:NotStudiedCaution ; rdfs:label ?label }"
    )
    assert rows.rows
    assert [r.local for r, label in rows.rows if "not studied" not in label] == []
    assert (
        rules(
            "SELECT ?rule WHERE { ?rule a her2kg:NotStudiedCaution"
            " FILTER NOT EXISTS { ?rule a her2kg:Caution } }"
        )
        == set()
    )


@pytest.mark.parametrize(
    ("name", "medicine", "rule"),
    [
        ("regimen_neratinib_capecitabine", "lansoprazole", "interaction_proton_pump_inhibitors"),
        ("regimen_neratinib_capecitabine", "warfarin", "interaction_warfarin_and_coumarins"),
        ("regimen_lapatinib_capecitabine", "grapefruit", "interaction_strong_cyp3a4_inhibitors"),
        ("T-DM1", "ketoconazole", "interaction_strong_cyp3a_inhibitors"),
    ],
)
def test_interaction_with_a_recorded_medicine_is_a_caution(name, medicine, rule):
    def shown(medicines: list[str]) -> bool:
        found = regimen(name, course() | {"medications": medicines})
        return any(note.rule.startswith(rule) for note in found.cautions)

    assert shown([medicine])
    assert not shown([])


def test_hold_and_stop_rules_never_show_in_the_answer():
    patch = course() | {"labs": {"platelets_10e9_per_l": 20, "bilirubin_x_uln": 11}}
    found = regimen("T-DM1", patch)
    kinds = rules(
        "SELECT ?rule WHERE { VALUES ?kind { her2kg:HoldRule her2kg:StopRule her2kg:ResumeRule"
        " her2kg:DoseReductionRule her2kg:ContinueRule } ?rule a ?kind }"
    )
    assert {note.rule for note in (*found.cautions, *found.contraindications)} & kinds == set()
    assert (
        rules("SELECT ?claim WHERE { ?claim her2kg:checkedBy ?rule . ?rule a her2kg:HoldRule }")
        == set()
    )


@pytest.mark.parametrize(
    ("rule", "patch", "extent"),
    [
        ("hold_lvef_tdm1", {"lvef_percent": 39}, "metastatic"),
        ("hold_lvef_early_tdm1", {"lvef_percent": 44}, "early"),
        ("hold_bilirubin_tdm1", {"labs": {"bilirubin_x_uln": 2}}, "metastatic"),
        ("hold_bilirubin_early_tdm1", {"labs": {"bilirubin_x_uln": 2}}, "early"),
        ("stop_bilirubin_early_tdm1", {"labs": {"bilirubin_x_uln": 2.1}}, "early"),
        ("hold_platelets_tdm1", {"labs": {"platelets_10e9_per_l": 49}}, "metastatic"),
        ("hold_platelets_early_tdm1", {"labs": {"platelets_10e9_per_l": 74}}, "early"),
        ("hold_lvef_pertuzumab", {"lvef_percent": 39}, "metastatic"),
    ],
)
def test_hold_rule_of_one_setting_does_not_fire_in_the_other(rule, patch, extent):
    (criterion,) = rules(f"SELECT ?class WHERE {{ her2kg:{rule} her2kg:patientClass ?class }}")
    other = {"early": "metastatic", "metastatic": "early"}[extent]
    assert status(criterion, patch | {"setting": extent}) == "met"
    assert status(criterion, patch | {"setting": other}) == "unmet"
    assert status(criterion, patch | {"setting": None}) == "unknown"


# What is asked for


@pytest.mark.parametrize(
    ("name", "taken_out", "path"),
    [
        ("T-DXd", {"lvef_percent": None}, "lvef_percent"),
        (
            "T-DXd",
            {"pregnancy": None, "menopausal": "premenopausal", "age": 40},
            "pregnancy",
        ),
        ("regimen_lapatinib_capecitabine", {"labs": {"dpyd": None}}, "labs.dpyd"),
    ],
)
def test_requirement_is_a_missing_fact_of_the_label_claim(name, taken_out, path):
    found = regimen(name, course() | taken_out)
    labels = [c for c in found.claims if c.basis == "label"]
    assert labels
    assert {c.verdict for c in labels} <= {"undetermined", "ineligible"}
    if found.verdict == "undetermined":
        assert path in found.missing


def test_dpyd_requirement_counts_from_the_label_revision():
    claims = rules(
        "SELECT ?claim WHERE { ?claim her2kg:ofRegimen her2kg:regimen_lapatinib_capecitabine ;"
        " her2kg:basis her2kg:basis_label }"
    )
    patch = course() | {"labs": {"dpyd": None}}
    for name in claims:
        if claim(name, patch).claim:
            assert reason(name, "DpydKnownPatient", patch) == "unknown"
            assert reason(name, "DpydKnownPatient", patch, "2025-10-30") is None


def test_only_four_tests_are_requirements_of_a_drug():
    """The label of T-DM1 in early disease asks for three more; they are tied to its claims."""
    rows = graph().select(
        "SELECT DISTINCT ?class WHERE { ?rule a her2kg:RequirementToKnow ;"
        " her2kg:patientClass ?class ; her2kg:appliesTo ?drug ."
        " FILTER NOT EXISTS { ?drug her2kg:ofRegimen ?regimen } }"
    )
    assert {c.local for (c,) in rows.rows} == {
        "LvefKnownPatient",
        "PregnancyStatusKnownPatient",
        "DpydKnownPatient",
        "Her2StatusKnownPatient",
    }


# The data of a rule


def test_every_numeric_limit_agrees_with_its_class():
    """A rule with one limit on a property of the record has a class, and the class a limit."""
    lacking = rules(
        "SELECT ?rule WHERE { ?rule her2kg:hasThreshold ?limit ."
        " ?limit her2kg:thresholdProperty ?property ; her2kg:thresholdValue ?value ."
        " FILTER NOT EXISTS { ?rule her2kg:patientClass ?class }"
        " FILTER NOT EXISTS { ?rule her2kg:hasThreshold ?other . FILTER(?other != ?limit) } }"
    )
    assert lacking == set()


def test_contraindication_to_check_is_never_checked_by_a_claim():
    assert (
        rules(
            "SELECT ?rule WHERE { ?claim her2kg:checkedBy ?rule ."
            " ?rule a her2kg:ContraindicationToCheck }"
        )
        == set()
    )


def test_every_drug_of_the_evidence_has_what_it_is_and_how_it_is_given():
    lacking = rules(
        "SELECT ?drug WHERE { ?drug a ?class . ?class rdfs:subClassOf* her2kg:Drug ."
        " FILTER NOT EXISTS { ?drug her2kg:routeForm ?form }"
        " FILTER NOT EXISTS { ?drug a her2kg:UnspecifiedValue } }"
    )
    assert lacking == set()
