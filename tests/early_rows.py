"""Rows of `test_criteria.py` for the compound classes of patients with early disease.

Each class has records just inside, just outside, and records that cannot tell.
"""

from __future__ import annotations

from typing import Any

Patch = dict[str, Any]
Row = tuple[list[Patch], list[Patch], list[Patch]]

OPPOSITES = {
    "AdjuvantTrastuzumabNotCompletedPatient": "CompletedAdjuvantTrastuzumabPatient",
    "NeoadjuvantCyclesBelow6Patient": "NeoadjuvantCyclesAtLeast6Patient",
    "NoAnthracyclineContraindicationPatient": "AnthracyclineContraindicatedPatient",
    "NoEarlierAntiHer2ForEarlyDiseasePatient": "PriorEarlyAntiHer2Patient",
    "NoIldHistoryPatient": "IldHistoryPatient",
    "NoPriorAdjuvantPertuzumabPatient": "PriorAdjuvantPertuzumabPatient",
    "NoPriorAdjuvantTrastuzumabEmtansinePatient": "PriorAdjuvantTrastuzumabEmtansinePatient",
    "NoPriorNeoadjuvantPertuzumabPatient": "PriorNeoadjuvantPertuzumabPatient",
    "NoSymptomaticHeartFailurePatient": "SymptomaticHeartFailurePatient",
    "PathologicalTumor2CmOrLargerPatient": "PathologicalTumorBelow2CmPatient",
    "SurgeryMoreThan12WeeksAgoPatient": "SurgeryAtMost12WeeksAgoPatient",
}
NO_LIST = {"prior_therapies": None, "prior_therapies_complete": None}


def early(tnm: str | None, **more: Any) -> Patch:
    return {"setting": "early", "brain_mets": None, "tnm": tnm, **more}


def after(response: str | None, **more: Any) -> Patch:
    return early("cT2 cN1 M0", pathologic_response=response, **NO_LIST, **more)


def low(judged: bool | None, toxic: bool | None) -> Patch:
    return {"judgement": {"low_risk_of_recurrence": judged, "trastuzumab_cardiotoxicity": toxic}}


def chemotherapy(contraindicated: bool | None, declined: bool | None) -> Patch:
    return {
        "judgement": {
            "chemotherapy_contraindicated": contraindicated,
            "chemotherapy_declined": declined,
        }
    }


def small(**more: Any) -> Patch:
    """Node-negative, hormone receptor-positive, 0.5 cm."""
    return early("pT1a pN0 M0", pathological_tumor_size_cm=0.5, er_percent=90, **more)


HIGH_RISK_FEATURE: Row = (
    [
        small(age=34, grade=1),
        small(age=35, grade=2),
        early("pT2 pN0 M0", pathological_tumor_size_cm=2.1, age=35, grade=1),
    ],
    [small(age=35, grade=1), early("pT1c pN0 M0", pathological_tumor_size_cm=2.0, age=35, grade=1)],
    [small(age=35, grade=None)],
)
ROWS: dict[str, Row] = {
    "HighRiskFeaturePatient": HIGH_RISK_FEATURE,
    "AdjuvantTrastuzumabLabelRiskPatient": (
        [
            *HIGH_RISK_FEATURE[0],
            early("pT1a pN1a M0", pathological_tumor_size_cm=0.5, age=35, grade=1),
            small(age=35, grade=1) | {"er_percent": 0, "pr_percent": 0},
        ],
        HIGH_RISK_FEATURE[1][:1],
        HIGH_RISK_FEATURE[2],
    ),
    "AnatomicStageIIICautionPatient": (
        [early(None, stage="IIIA")],
        [early(None, stage="IIB"), early(None, stage="I")],
        [early(None, stage=None)],
    ),
    "NeoadjuvantPertuzumabDiseasePatient": (
        [
            early("cT2 cN0 M0", clinical_tumor_size_cm=2.1),
            early("cT1c cN1 M0", clinical_tumor_size_cm=2.0),
            early("cT4d cN0 M0"),
        ],
        [early("cT1c cN0 M0", clinical_tumor_size_cm=2.0)],
        [early("cN0 M0")],
    ),
    "NeoadjuvantTrastuzumabEuDiseasePatient": (
        [early("cT2 cN0 M0", clinical_tumor_size_cm=2.1), early("cT4b cN0 M0")],
        [early("cT1c cN0 M0", clinical_tumor_size_cm=2.0)],
        [early("cN0 M0")],
    ),
    "AtLeast2CmOrNodePositivePatient": (
        [early("cT1c cN0 M0", clinical_tumor_size_cm=2.0), early("cT1b cN1 M0")],
        [early("cT1c cN0 M0", clinical_tumor_size_cm=1.9)],
        [early("cN0 M0")],
    ),
    "LargerThan2CmOrNodePositivePatient": (
        [early("cT2 cN0 M0"), early("cT4b cN0 M0"), early("cT1b cN1 M0")],
        [early("cT1c cN0 M0", clinical_tumor_size_cm=2.0)],
        [early("cN0 M0")],
    ),
    "LocallyAdvancedInflammatoryOrHighRiskPatient": (
        [early("cT4b cN0 M0"), early("cT4d cN0 M0")],
        [early("cT2 cN0 M0", judgement={"high_risk_of_recurrence": False})],
        [early("cT2 cN0 M0")],
    ),
    "NodeNegativeOrMicrometastasisPatient": (
        [early("pT1c pN0 M0"), early("pT1c pN1mi M0")],
        [early("pT1c pN1a M0")],
        [early("pT1c M0")],
    ),
    "NodePositiveOrTumorLargerThan1CmPatient": (
        [early("pT1a pN1a M0"), early("pT1c pN0 M0", pathological_tumor_size_cm=1.1)],
        [early("pT1b pN0 M0", pathological_tumor_size_cm=1.0)],
        [early("pN0 M0")],
    ),
    "ClinicalT1N0Patient": (
        [early("cT1c cN0 M0"), early("cT1a cN0 M0")],
        [early("cT2 cN0 M0"), early("cT1c cN1 M0")],
        [early("cT1c M0")],
    ),
    "ClinicalT1aOrT1bN0Patient": (
        [early("cT1b cN0 M0")],
        [early("cT1c cN0 M0"), early("cT1b cN1 M0")],
        [early("cT1b M0"), early("cT1 cN0 M0")],
    ),
    "KatherinePresentationPatient": (
        [early("cT1c cN0 M0"), early("cT1b cN1 M0")],
        [early("cT1b cN0 M0")],
        [early("cT1b M0")],
    ),
    "Destiny11DiseasePatient": (
        [early("cT3 cN0 M0"), early("cT1c cN1 M0")],
        [early("cT2 cN0 M0")],
        [early("cT3 M0")],
    ),
    "Destiny05PresentationPatient": (
        [
            early("cT4b cN0 M0; ypT1c ypN0", **NO_LIST),
            early("cT2 cN1 M0; ypT1c ypN1a", **NO_LIST),
        ],
        [early("cT2 cN0 M0; ypT1c ypN0", **NO_LIST)],
        [early("cT2 cN1 M0", **NO_LIST)],
    ),
    "ResidualDiseaseWithConjugateAvailablePatient": (
        [
            after(
                "residual invasive disease",
                judgement={"antibody_drug_conjugate_unavailable": False},
            )
        ],
        [
            after("pCR"),
            after(
                "residual invasive disease",
                judgement={"antibody_drug_conjugate_unavailable": True},
            ),
        ],
        [after("residual invasive disease")],
    ),
    "NoNeoadjuvantTherapyOrResidualDiseasePatient": (
        [early("pT1c pN0 M0"), after("residual invasive disease")],
        [after("pCR")],
        [early(None, **NO_LIST)],
    ),
    "LowRiskOrCardiotoxicityPatient": (
        [low(True, False), low(False, True)],
        [low(False, False)],
        [low(None, False), low(False, None)],
    ),
    "NeitherLowRiskNorCardiotoxicityPatient": (
        [low(False, False)],
        [low(True, False), low(False, True)],
        [low(None, False), low(False, None)],
    ),
    "FitAndWillingForChemotherapyPatient": (
        [chemotherapy(False, False)],
        [chemotherapy(True, False), chemotherapy(False, True)],
        [chemotherapy(None, False), chemotherapy(False, None)],
    ),
    "LvefBelow55Patient": (
        [{"lvef_percent": 54}],
        [{"lvef_percent": 55}],
        [{"lvef_percent": None}],
    ),
    "HypersensitiveToEveryTaxanePatient": (
        [{"history": {"hypersensitivity": ["docetaxel", "paclitaxel"]}}],
        [{"history": {"hypersensitivity": ["docetaxel"]}}],
        [{"history": {"hypersensitivity": None}}],
    ),
    "BilirubinKnownPatient": ([{}], [], [{"labs": {"bilirubin_x_uln": None}}]),
    "PlateletsKnownPatient": ([{}], [], [{"labs": {"platelets_10e9_per_l": None}}]),
    "TransaminasesKnownPatient": (
        [{}],
        [],
        [{"labs": {"ast_x_uln": None}}, {"labs": {"alt_x_uln": None}}],
    ),
}


def early_rows(known: dict[str, Row]) -> dict[str, Row]:
    """The rows above, and those of complements from the rows of what they deny."""
    rows = dict(ROWS)
    for name, denied in OPPOSITES.items():
        met, unmet, unknown = known[denied]
        rows[name] = (unmet, met, unknown)
    return rows
