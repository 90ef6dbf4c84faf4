"""More rows of `test_criteria.py`: records that tell a criterion from its nearest neighbours.

Each was found by changing the criterion a little (`mutants.py`): the changed class gave the same
answers for all other rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Patch = dict[str, Any]
Row = tuple[list[Patch], list[Patch], list[Patch]]


def course(*drugs: str, **more: Any) -> Patch:
    """A course for metastatic disease, completed."""
    return {
        "drugs": list(drugs),
        "setting": "metastatic",
        "start": "2024-01-08",
        "end": "2024-09-30",
        "outcome": "completed",
        **more,
    }


def adjuvant(*drugs: str, **more: Any) -> Patch:
    dates = {"start": "2024-06-03", "end": "2025-03-15"}
    return course(*drugs, **{"setting": "adjuvant", **dates, **more})


def only(*courses: Patch, **more: Any) -> Patch:
    """A list of courses that is complete."""
    return {"prior_therapies": list(courses), "prior_therapies_complete": True, **more}


def among(*courses: Patch) -> Patch:
    """A list that may lack courses."""
    return {"prior_therapies": list(courses), "prior_therapies_complete": None}


def early(tnm: str | None = None, **more: Any) -> Patch:
    return {"setting": "early", "brain_mets": None, **({"tnm": tnm} if tnm else {}), **more}


def after_neoadjuvant(tnm: str, **more: Any) -> Patch:
    neo = course(
        "docetaxel", "trastuzumab", setting="neoadjuvant", start="2026-01-05", end="2026-05-04"
    )
    return early(tnm, **only(neo), **more)


def heart(baseline: float, now: float) -> Patch:
    return {"lvef_baseline_percent": baseline, "lvef_percent": now}


def allergic(*drugs: str) -> Patch:
    return {"history": {"hypersensitivity": list(drugs)}}


def score(ihc: str | None, **more: Any) -> Patch:
    return {"her2_ihc": ihc, **more}


def single_probe(copies: float, ihc: str) -> Patch:
    return score(ihc, her2_ish={"copy_number": copies, "probe": "single"})


def medicines(*names: str) -> Patch:
    return {"medications": list(names)}


LONG_AGO = adjuvant("trastuzumab", start="2023-01-09", end="2024-05-01")
TWELVE_MONTHS_AGO = adjuvant("Kadcyla", start="2024-06-03", end="2025-11-22")
LETROZOLE = adjuvant("letrozole", start="2023-02-06", end="2026-06-01")
GOES_ON = {"outcome": "ongoing", "end": None}
UNDATED = course("trastuzumab", "docetaxel", start=None, end=None)
UNDATED_HER2 = course("anti-HER2 therapy", start=None, end=None)
AMPLIFIED = {"ratio": 2.4, "copy_number": 6.2, "probe": "dual"}
CHEMOTHERAPY = course("docetaxel", start="2022-01-10", end="2022-09-30")
LATE = {"start": "2025-01-13", "end": "2025-09-29"}
RELAPSE = {"recurrence_date": "2025-06-01"}
STAYS_ON = {"outcome": "ongoing"}

EXTRA: dict[str, Row] = {
    # The last course counts: one that ended long ago does not, beside a later one.
    "AdjuvantAntiHer2EndedMoreThan12MonthsAgoPatient": (
        [only(LONG_AGO, LETROZOLE), only(LONG_AGO, {**LETROZOLE, **GOES_ON})],
        [only(LONG_AGO, TWELVE_MONTHS_AGO), among(TWELVE_MONTHS_AGO)],
        [],
    ),
    # Endocrine therapy goes on after the last anti-HER2 therapy.
    "AdjuvantAntiHer2EndedAtMost24MonthsAgoPatient": (
        [only(TWELVE_MONTHS_AGO, {**LETROZOLE, **GOES_ON})],
        [],
        [],
    ),
    "AdjuvantAntiHer2EndedLessThan12MonthsAgoPatient": (
        [only(adjuvant("trastuzumab", end="2026-02-02"), {**LETROZOLE, **GOES_ON})],
        [],
        [],
    ),
    "AdjuvantTrastuzumabLabelRiskPatient": (
        [],
        [],
        [
            early("pT1a M0", er_percent=0, pr_percent=0),
            early("pT1a pN0 M0", er_percent=None, pr_percent=None, age=34),
        ],
    ),
    "CompletedAnthracyclinePatient": ([], [only(adjuvant("trastuzumab", **GOES_ON))], []),
    # Courses without dates: which of them began the regimen is not known.
    "PriorAdvancedAntiHer2Patient": (
        [only(UNDATED, UNDATED), only(UNDATED_HER2, UNDATED_HER2)],
        [],
        [],
    ),
    "PriorAdvancedChemotherapyPatient": ([only(UNDATED, UNDATED)], [], []),
    "PriorAntiHer2Patient": (
        [only(UNDATED, UNDATED), among({**UNDATED_HER2, "setting": None})],
        [],
        [],
    ),
    "Destiny05PresentationPatient": (
        [after_neoadjuvant("cT2 cN2 M0; ypT1c ypN0")],
        [],
        [after_neoadjuvant("cT2 M0; ypT1c ypN1a"), after_neoadjuvant("cN1 M0; ypT1c ypN1a")],
    ),
    "KatherinePresentationPatient": (
        [],
        [early("cT0 cN1 M0")],
        [early("cT2 M0"), early("cN1 M0")],
    ),
    "Her2LowPatient": (
        [score("2+", her2_ish={"ratio": 1.5, "copy_number": 3.5, "probe": "dual"})],
        [score("1+", her2_ish=AMPLIFIED)],
        [score("2+", her2_ish=None), score("2+", her2_ish=None, her2_status="negative")],
    ),
    "Her2NullPatient": (
        [],
        [
            score("1+", her2_membrane_staining=False),
            score("0", her2_membrane_staining=False, her2_ish=AMPLIFIED),
        ],
        [score(None, her2_status="negative", her2_membrane_staining=False)],
    ),
    "Her2UltralowPatient": (
        [],
        [
            score("1+", her2_membrane_staining=True),
            score("0", her2_membrane_staining=True, her2_ish=AMPLIFIED),
        ],
        [score(None, her2_status="negative", her2_membrane_staining=True)],
    ),
    "Her2NegativeBySingleProbePatient": (
        [single_probe(4, "0"), single_probe(4, "1+"), single_probe(3.9, "2+")],
        [single_probe(4, "2+"), single_probe(3.9, "3+")],
        [],
    ),
    "HypersensitiveToEveryTaxanePatient": ([], [allergic("paclitaxel")], []),
    "LvefAbove45OrFrom40To45WithFallBelow10PointsPatient": (
        [heart(54, 45)],
        [heart(55, 45), heart(56, 45)],
        [],
    ),
    "LvefAtLeast50OrFallBelow10PointsPatient": ([], [heart(59, 49)], []),
    "OtherAntiHer2ThanTrastuzumabOrLapatinibPatient": (
        [only(course("margetuximab", "capecitabine")), only(course("zanidatamab"))],
        [],
        [],
    ),
    "ProgressedOnEarlyTrastuzumabOrLapatinibPatient": (
        # Recorded as going on, and the day of recurrence lies within it.
        [only(adjuvant("trastuzumab", **STAYS_ON, end="2025-06-01"), **RELAPSE)],
        [only(adjuvant("trastuzumab", **STAYS_ON, end="2025-05-31"), **RELAPSE)],
        [only(adjuvant("trastuzumab", **STAYS_ON, end=None))],
    ),
    "SecondLineByAscoPatient": (
        [],
        # A relapse within a year that was already treated without progression.
        [
            only(
                adjuvant("trastuzumab"),
                course("trastuzumab", "docetaxel", start="2025-07-07", end=None, **STAYS_ON),
                **RELAPSE,
            )
        ],
        [],
    ),
    "TrastuzumabTaxaneAdvancedOrEarlyRelapsePatient": (
        [],
        [
            only(CHEMOTHERAPY),
            only(adjuvant("trastuzumab"), recurrence_date="2025-06-01"),
            only(adjuvant("pertuzumab", "docetaxel"), recurrence_date="2025-06-01"),
            only(adjuvant("trastuzumab"), CHEMOTHERAPY, recurrence_date="2025-06-01"),
            only(adjuvant("docetaxel"), course("trastuzumab", "letrozole", **LATE)),
        ],
        [only(adjuvant("Kadcyla"), course("trastuzumab", "docetaxel", setting=None), **RELAPSE)],
    ),
    "ControlledAfterInductionPatient": (
        [],
        [],
        [only(course("trastuzumab", "pertuzumab", "docetaxel", outcome="stopped"))],
    ),
    "PertuzumabTrastuzumabInductionPatient": (
        [],
        [only(course("pertuzumab", "margetuximab", "docetaxel"))],
        [],
    ),
    # Each way alone, the others unknown or refuted.
    "NeoadjuvantPertuzumabDiseasePatient": (
        [early("cT4d"), early(inflammatory=True), early("cT4b"), early("cN2")],
        [],
        [],
    ),
    "NeoadjuvantTrastuzumabEuDiseasePatient": ([early(inflammatory=True), early("cT4b")], [], []),
    "LocallyAdvancedInflammatoryOrHighRiskPatient": (
        [early(inflammatory=True), early("cT4b")],
        [],
        [],
    ),
    "LargerThan2CmOrNodePositivePatient": ([early("cT4b")], [], []),
    "ClinicalN1To3Patient": ([early("cN2a")], [], []),
    "ResidualInvasiveDiseaseByYpPatient": (
        [after_neoadjuvant(f"ypT{size}") for size in ("1c", "2", "3", "4b")],
        [],
        [],
    ),
    "TakesCyp3aCyp2d6OrPgpModulatorPatient": ([medicines("rifampin")], [], []),
    "TakesCyp3aOrCyp2c8ModulatorPatient": (
        [
            medicines("moderate CYP2C8 inducer"),
            medicines("moderate CYP2C8 inhibitor"),
            medicines("carbamazepine"),
        ],
        [],
        [],
    ),
    "TakesStrongCyp3aInducerOrModerateCyp2c8InducerPatient": (
        [medicines("moderate CYP2C8 inducer")],
        [],
        [],
    ),
    "TakesStrongOrModerateCyp3aOrPgpInhibitorPatient": (
        [medicines("moderate CYP3A inhibitor")],
        [],
        [],
    ),
    "TakesQtProlongingMedicineOrAntiarrhythmicPatient": (
        [medicines("QT-prolonging medicine")],
        [],
        [],
    ),
    # An anticoagulant that is not named may be another than a vitamin K antagonist.
    "TakesVitaminKAntagonistPatient": ([], [], [medicines("anticoagulant")]),
    "InflammatoryByRecordPatient": ([], [], [early("pT4b"), early("T4b")]),
    "TakesNephrotoxicMedicinePatient": ([], [], [medicines("warfarin")]),
}


def other_drug(row: Row, other: str) -> Row:
    """A toxicity that met the class, on a course of another drug: outside."""
    (met, *_), _, _ = row
    (found,) = met["prior_therapies"]
    return [], [{**met, "prior_therapies": [{**found, "drugs": [other]}]}], []


def at_grade(row: Row, grade: int) -> Row:
    (met, *_), _, _ = row
    (found,) = met["prior_therapies"]
    (event,) = found["adverse_events"]
    changed = {**found, "adverse_events": [{**event, "grade": grade}]}
    return [{**met, "prior_therapies": [changed]}], [], []


# The highest grade of a toxicity without an upper limit.
WORST = (
    "IldGrade3OrMoreOnPalbociclibPatient",
    "IldGrade3OrMoreOnRibociclibPatient",
    "PeripheralNeuropathyGrade3OrMoreOnDocetaxelPatient",
)


def extended(rows: dict[str, Row], toxicities: dict[str, tuple], plus: Callable) -> dict[str, Row]:
    """The rows with those of this file behind their own."""
    found = dict(rows)
    for name, (drug, *_) in toxicities.items():
        other = "gemcitabine" if drug != "gemcitabine" else "eribulin"
        found[name] = plus(found[name], *other_drug(rows[name], other))
    for name in WORST:
        found[name] = plus(found[name], *at_grade(rows[name], 5))
    for name, row in EXTRA.items():
        found[name] = plus(found[name], *row)
    return found
