"""Every criterion class in threes: a record just inside, one just outside, one that cannot tell."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

import pytest
from early_rows import early_rows
from edge_rows import extended
from rdflib import Literal, URIRef
from safety_rows import NEVER_REFUTED, TOXICITIES
from safety_rows import ROWS as SAFETY

from her2kg import KnowledgeGraph, rules
from her2kg.namespaces import BASE
from her2kg.record_rdf import to_triples

Patch = dict[str, Any]
Row = tuple[list[Patch], list[Patch], list[Patch]]

BASE_RECORD: Patch = {
    "id": "criterion",
    "as_of": "2026-11-22",
    "sex": "female",
    "age": 55,
    "menopausal": "postmenopausal",
    "pregnancy": "not pregnant",
    "ecog": 1,
    "her2_ihc": "3+",
    "er_percent": 0,
    "pr_percent": 0,
    "setting": "metastatic",
    "brain_mets": "none",
    "leptomeningeal_disease": False,
    "measurable_disease": True,
    "prior_therapies": [],
    "prior_therapies_complete": True,
    "lvef_percent": 60,
    "labs": {
        "creatinine_clearance_ml_min": 90,
        "bilirubin_x_uln": 0.6,
        "ast_x_uln": 0.8,
        "alt_x_uln": 0.8,
        "platelets_10e9_per_l": 240,
        "anc_10e9_per_l": 4.0,
        "dpyd": "normal metaboliser",
    },
    "history": {
        "interstitial_lung_disease": "none",
        "heart_failure": "none",
        "neuropathy_grade": 0,
        "hypersensitivity": [],
    },
    "judgement": {},
    "medications": [],
}


# Records


def patched(record: Patch, patch: Patch) -> Patch:
    """A copy with the patch laid over it; None takes a field out, objects are merged."""
    result = dict(record)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = patched(result[key], value)
        else:
            result[key] = value
    return result


def given(*courses: Patch, **more: Any) -> Patch:
    """A therapy list that is complete."""
    return {"prior_therapies": list(courses), "prior_therapies_complete": True, **more}


def among(*courses: Patch, **more: Any) -> Patch:
    """A therapy list that may lack courses."""
    return {"prior_therapies": list(courses), "prior_therapies_complete": None, **more}


def advanced(*drugs: str, **more: Any) -> Patch:
    """A course for metastatic disease, by default ended by progression."""
    course = {
        "drugs": list(drugs),
        "setting": "metastatic",
        "start": "2024-01-08",
        "end": "2024-09-30",
        "outcome": "progression",
        **more,
    }
    return {key: value for key, value in course.items() if value is not None or key == "drugs"}


def year(number: int) -> Patch:
    """Dates of a course, so that courses follow one another year by year."""
    return {"start": f"{2010 + number}-02-01", "end": f"{2010 + number}-11-01"}


def early(*drugs: str, **more: Any) -> Patch:
    """An adjuvant course that was completed."""
    course = {
        "drugs": list(drugs),
        "setting": "adjuvant",
        "start": "2024-06-03",
        "end": "2025-03-15",
        "outcome": "completed",
        **more,
    }
    return {key: value for key, value in course.items() if value is not None or key == "drugs"}


def relapse(day: str | None, *courses: Patch, **more: Any) -> Patch:
    """A complete list of courses and a day of recurrence."""
    return given(*courses, recurrence_date=day, **more)


def lab(**values: Any) -> Patch:
    return {"labs": values}


def history(**values: Any) -> Patch:
    return {"history": values}


def fall(baseline: float | None, now: float | None) -> Patch:
    """The ejection fraction before therapy and the newest one."""
    return {"lvef_baseline_percent": baseline, "lvef_percent": now}


def judged(**values: Any) -> Patch:
    return {"judgement": values}


def row(met: Iterable[Patch], unmet: Iterable[Patch], unknown: Iterable[Patch]) -> Row:
    return list(met), list(unmet), list(unknown)


def opposite(of: Row) -> Row:
    """The row of the complement."""
    met, unmet, unknown = of
    return unmet, met, unknown


def values(field: str, met: Iterable[Any], unmet: Iterable[Any], **more: Any) -> Row:
    """A row about one field of the record; absent is unknown."""
    return row(
        [{field: value, **more} for value in met],
        [{field: value, **more} for value in unmet],
        [{field: None, **more}],
    )


def nested(part: str, field: str, met: Iterable[Any], unmet: Iterable[Any]) -> Row:
    """A row about one field of labs, history or judgement; absent is unknown."""
    return row(
        [{part: {field: value}} for value in met],
        [{part: {field: value}} for value in unmet],
        [{part: {field: None}}],
    )


DRUGS_UNKNOWN = {**advanced(), "drugs": None}
EARLY_DRUGS_UNKNOWN = {**early(), "drugs": None}
NOTHING = given()
EMPTY_LIST = among()
ANY_HER2 = "anti-HER2 therapy"
MALE = {"sex": "male", "menopausal": None, "pregnancy": None}
EARLY = {"setting": "early", "brain_mets": None}
PREGNANT = {"pregnancy": "pregnant", "menopausal": "premenopausal", "age": 34}
NOT_SAID = {"pregnancy": None, "menopausal": None}

# The days of a recurrence after a course that ended on 15 March 2025, and of month ends.
SIX_MONTHS, DAY_MORE = "2025-09-15", "2025-09-16"
DAY_LESS = "2025-09-14"
TWELVE_MONTHS, TWELVE_AND_A_DAY, TWELVE_LESS_A_DAY = "2026-03-15", "2026-03-16", "2026-03-14"
END_OF_AUGUST = {"start": "2024-01-08", "end": "2024-08-31"}
LEAP_DAY = {"start": "2023-08-07", "end": "2024-02-29"}

# Sequences of courses.
THP = advanced("trastuzumab", "pertuzumab", "docetaxel", **year(1), outcome="completed")
THP_PROGRESSED = {**THP, "outcome": "progression"}
UNDER_WAY = {"outcome": "ongoing", "end": None}
HP_AFTER = {**advanced("Phesgo", **year(2), setting="maintenance"), **UNDER_WAY}
HP_PROGRESSED = advanced("Phesgo", **year(2), setting="maintenance")
HP_CALLED_METASTATIC = advanced("Phesgo", **year(2))
TDXD = advanced("Enhertu", **year(3))
TUCATINIB = advanced("tucatinib", "trastuzumab", "capecitabine", **year(4))
NERATINIB = advanced("neratinib", "capecitabine", **year(5))
TOXIC_DOCETAXEL = advanced("trastuzumab", "pertuzumab", "docetaxel", **year(1), outcome="toxicity")
SWITCH_OF_TAXANE = advanced(
    "trastuzumab", "pertuzumab", "paclitaxel", **year(2), outcome="progression"
)
SWITCH_OF_HER2_DRUG = advanced("T-DM1", **year(2), outcome="progression")
TCHP = early(
    *("docetaxel", "carboplatin", "trastuzumab", "pertuzumab"),
    setting="neoadjuvant",
    start="2024-02-05",
    end="2024-05-27",
)
HP_ADJUVANT = early("Phesgo", start="2024-07-01", end="2025-03-15")
TDM1_ADJUVANT = early("Kadcyla", setting="post-neoadjuvant", start="2024-07-01", end="2025-03-15")


def chemo(drug: str, number: int, **more: Any) -> Patch:
    return advanced(drug, **{**year(number), **more})


def hormone(*drugs: str, number: int, **more: Any) -> Patch:
    return advanced(*drugs, **{**year(number), **more})


def toxic(drug: str, *events: Patch | None) -> Patch:
    """A course with toxicities; no event at all: not recorded, None: recorded that none."""
    course = advanced(drug, outcome="toxicity")
    if events:
        course["adverse_events"] = [event for event in events if event is not None]
    return course


def event(name: str, grade: int | None) -> Patch:
    return {"event": name, **({} if grade is None else {"grade": grade})}


def progressed(*drugs: str, **more: Any) -> Row:
    """Progression on drugs given for metastatic disease."""
    stopped = advanced(*drugs, **more, outcome="stopped")
    return row(
        [
            given(advanced(*drugs, **more)),
            among(advanced(*drugs, **more)),
            given({**stopped, "progression_date": "2024-10-28"}),
            given({**stopped, "best_response": "progressive disease"}),
        ],
        [
            NOTHING,
            given(advanced(*drugs, **more, outcome="completed")),
            given(advanced(*drugs, **more, **UNDER_WAY)),
            given(advanced("capecitabine", **more)),
        ],
        [
            EMPTY_LIST,
            among(advanced(*drugs, **more, outcome="completed")),
            given(stopped),
            given(advanced(*drugs, **more, outcome="toxicity")),
            given(advanced(*drugs, **more, outcome=None)),
            given(DRUGS_UNKNOWN),
        ],
    )


def had(
    met: Iterable[str], unmet: Iterable[str], unknown: Iterable[str], *, course=advanced
) -> Row:
    """A drug in the history, by one course with one drug; names of drugs and placeholders."""
    return row(
        [*(given(course(name)) for name in met), *(among(course(name)) for name in met)],
        [NOTHING, *(given(course(name)) for name in unmet)],
        [
            EMPTY_LIST,
            given(DRUGS_UNKNOWN if course is advanced else EARLY_DRUGS_UNKNOWN),
            *(among(course(name)) for name in unmet),
            *(given(course(name)) for name in unknown),
        ],
    )


def had_anywhere(met: Iterable[str], unmet: Iterable[str], unknown: Iterable[str]) -> Row:
    """A drug in any setting."""
    met, unmet, unknown = list(met), list(unmet), list(unknown)
    parts = [had(met, unmet, unknown, course=course) for course in (advanced, early)]
    return tuple([*one, *other] for one, other in zip(*parts, strict=True))


def plus(base: Row, met: Iterable[Patch] = (), unmet: Iterable[Patch] = (), unknown=()) -> Row:
    return row([*base[0], *met], [*base[1], *unmet], [*base[2], *unknown])


# The table

GENERAL: dict[str, Row] = {
    "AdultPatient": plus(
        values("age", [18, 18.0, 90], [17, 17.9]),
        met=[{"age": None, "birth_date": "2008-11-22"}],
        unmet=[{"age": None, "birth_date": "2008-11-23"}],
    ),
    "ChildPatient": plus(
        values("age", [17], [18]), unmet=[{"age": None, "birth_date": "2008-11-22"}]
    ),
    "AgeFrom18To70Patient": values("age", [18, 70], [17, 71]),
    "AgeFrom20To70Patient": values("age", [20, 70], [19, 71]),
    "EcogAtMost1Patient": values("ecog", [0, 1], [2]),
    "EcogAtMost2Patient": values("ecog", [2], [3]),
    "EcogAbove1Patient": values("ecog", [2], [1]),
    # Menopause and a pregnancy tell the sex where it is not recorded; their absence does not.
    "FemalePatient": row(
        [{"sex": "female"}, {"sex": None}, {**PREGNANT, "sex": None, "menopausal": None}],
        [MALE],
        [
            {"sex": None, **NOT_SAID},
            {"sex": None, "menopausal": None},
            {"sex": None, "menopausal": "premenopausal"},
        ],
    ),
    "PostmenopausalPatient": plus(
        values("menopausal", ["postmenopausal"], ["premenopausal"]), unmet=[MALE]
    ),
    "PregnancyExcludedByRecordPatient": row(
        [{"pregnancy": "not pregnant"}], [PREGNANT], [{"pregnancy": None}]
    ),
    "PregnancyExcludedByMenopausePatient": values(
        "menopausal", ["postmenopausal"], ["premenopausal"]
    ),
    "PregnancyExcludedByAgePatient": values("age", [60], [59, 59.9]),
    "PregnancyExcludedBySexPatient": row(
        [MALE],
        [{"sex": "female"}, {"sex": None, "menopausal": "postmenopausal"}],
        [{"sex": None, "menopausal": None}],
    ),
    "PregnancyExcludedPatient": row(
        [
            {"pregnancy": "not pregnant", "menopausal": "premenopausal", "age": 34},
            {"pregnancy": None, "menopausal": "postmenopausal", "age": 50},
            {**NOT_SAID, "age": 60},
            {**MALE, "age": 40},
        ],
        [PREGNANT],
        [
            {**NOT_SAID, "age": 59},
            {"pregnancy": None, "menopausal": "premenopausal"},
            {**NOT_SAID, "age": 40, "sex": None},
        ],
    ),
    "PregnantPatient": row(
        [PREGNANT],
        [
            {"pregnancy": "not pregnant", "menopausal": "premenopausal", "age": 34},
            {"pregnancy": None, "menopausal": "postmenopausal", "age": 50},
            {**NOT_SAID, "age": 60},
            {**MALE, "age": 40},
        ],
        [{**NOT_SAID, "age": 59}, {"pregnancy": None, "menopausal": "premenopausal"}],
    ),
}

BIOMARKERS: dict[str, Row] = {
    "Her2PositiveByIhcPatient": values("her2_ihc", ["3+"], ["2+", "1+", "0"]),
    "Her2PositiveByIshPatient": row(
        [
            {"her2_ihc": "2+", "her2_ish": "positive"},
            {"her2_ihc": "1+", "her2_ish": "positive"},
            {"her2_ihc": None, "her2_ish": "positive"},
        ],
        [{"her2_ihc": "2+", "her2_ish": "negative"}],
        [{"her2_ihc": "2+"}, {"her2_ihc": "2+", "her2_ish": "not done"}, {"her2_ihc": None}],
    ),
    "Her2PositiveAsReportedPatient": row(
        [{"her2_ihc": None, "her2_status": "positive"}],
        [{"her2_ihc": None, "her2_status": "negative"}],
        [{"her2_ihc": None}],
    ),
    "Her2PositivePatient": row(
        [
            {"her2_ihc": "3+"},
            {"her2_ihc": "3+", "her2_ish": "negative"},
            {"her2_ihc": "3+", "her2_ish": "not done"},
            {"her2_ihc": "2+", "her2_ish": "positive"},
            {"her2_ihc": None, "her2_status": "positive"},
            {"her2_ihc": "2+", "her2_status": "positive"},
            {"her2_ihc": "3+", "her2_status": "negative"},
        ],
        [
            {"her2_ihc": "2+", "her2_ish": "negative"},
            {"her2_ihc": "1+"},
            {"her2_ihc": "1+", "her2_ish": "not done"},
            {"her2_ihc": "0"},
            {"her2_ihc": None, "her2_status": "negative"},
            {"her2_ihc": "1+", "her2_status": "positive"},
        ],
        [
            {"her2_ihc": "2+"},
            {"her2_ihc": "2+", "her2_ish": "not done"},
            {"her2_ihc": "2+", "her2_ish": "equivocal"},
            {"her2_ihc": None},
            {"her2_ihc": None, "her2_status": "equivocal"},
        ],
    ),
    "Her2NegativeByIhcPatient": row(
        [{"her2_ihc": "1+"}, {"her2_ihc": "0"}],
        [{"her2_ihc": "3+"}, {"her2_ihc": "1+", "her2_ish": "positive"}],
        [{"her2_ihc": None}],
    ),
    "Her2NegativeByIshPatient": row(
        [{"her2_ihc": "2+", "her2_ish": "negative"}],
        [{"her2_ihc": "2+", "her2_ish": "positive"}, {"her2_ihc": "3+", "her2_ish": "negative"}],
        [{"her2_ihc": "2+"}, {"her2_ihc": "2+", "her2_ish": "not done"}],
    ),
    "Her2NegativeAsReportedPatient": row(
        [{"her2_ihc": None, "her2_status": "negative"}],
        [{"her2_ihc": None, "her2_status": "positive"}],
        [{"her2_ihc": None}],
    ),
    "Her2NegativePatient": row(
        [
            {"her2_ihc": "0"},
            {"her2_ihc": "1+"},
            {"her2_ihc": "2+", "her2_ish": "negative"},
            {"her2_ihc": None, "her2_status": "negative"},
        ],
        [{"her2_ihc": "3+"}, {"her2_ihc": "2+", "her2_ish": "positive"}],
        [{"her2_ihc": "2+"}, {"her2_ihc": None}],
    ),
    "Her2LowPatient": row(
        [
            {"her2_ihc": "1+"},
            {"her2_ihc": "1+", "her2_ish": "not done"},
            {"her2_ihc": "2+", "her2_ish": "negative"},
        ],
        [{"her2_ihc": "3+"}, {"her2_ihc": "2+", "her2_ish": "positive"}, {"her2_ihc": "0"}],
        [
            {"her2_ihc": "2+"},
            {"her2_ihc": "2+", "her2_ish": "equivocal"},
            {"her2_ihc": None},
            {"her2_ihc": None, "her2_status": "negative"},
        ],
    ),
    "Her2UltralowPatient": row(
        [{"her2_ihc": "0", "her2_membrane_staining": True}],
        [{"her2_ihc": "0", "her2_membrane_staining": False}, {"her2_ihc": "1+"}],
        [{"her2_ihc": "0"}, {"her2_ihc": None, "her2_status": "negative"}],
    ),
    "Her2NullPatient": row(
        [{"her2_ihc": "0", "her2_membrane_staining": False}],
        [{"her2_ihc": "0", "her2_membrane_staining": True}, {"her2_ihc": "1+"}],
        [{"her2_ihc": "0"}],
    ),
    "Her2LowOrUltralowPatient": row(
        [{"her2_ihc": "1+"}, {"her2_ihc": "0", "her2_membrane_staining": True}],
        [{"her2_ihc": "0", "her2_membrane_staining": False}, {"her2_ihc": "3+"}],
        [{"her2_ihc": "0"}, {"her2_ihc": "2+"}, {"her2_ihc": None}],
    ),
    "HormoneReceptorPositivePatient": row(
        [
            {"er_percent": 1},
            {"pr_percent": 1},
            {"er_percent": None, "pr_percent": 1},
            {"er_percent": 1, "pr_percent": None},
        ],
        [{"er_percent": 0.9, "pr_percent": 0.9}],
        [{"er_percent": None}, {"er_percent": 0.9, "pr_percent": None}],
    ),
    "HormoneReceptorNegativePatient": row(
        [{"er_percent": 0.9, "pr_percent": 0.9}],
        [{"er_percent": 1}, {"er_percent": None, "pr_percent": 1}],
        [{"er_percent": 0.9, "pr_percent": None}, {"er_percent": None}],
    ),
}

UNRESECTABLE = {"setting": "unresectable"}
DE_NOVO_UNRESECTABLE = {
    "setting": "unresectable",
    "stage": "IIIB",
    "tnm": "cT4b cN2 M0",
    "resectable": False,
    **given(),
}
RECURRENT_UNRESECTABLE = {"setting": "unresectable", "recurrence_date": "2026-10-05"}
ACTIVE_STATES = ["active", "untreated-asymptomatic", "treated-progressing", "active-asymptomatic"]


def brain(met: Iterable[str], unmet: Iterable[str], unknown: Iterable[str] = ()) -> Row:
    return plus(
        values("brain_mets", met, unmet), unknown=[{"brain_mets": state} for state in unknown]
    )


DISEASE: dict[str, Row] = {
    "MetastaticPatient": row(
        [{"setting": "metastatic"}], [UNRESECTABLE, EARLY], [{"setting": None}]
    ),
    "UnresectablePatient": row(
        [UNRESECTABLE], [{"setting": "metastatic"}, EARLY], [{"setting": None}]
    ),
    "EarlyDiseasePatient": row(
        [EARLY], [{"setting": "metastatic"}, UNRESECTABLE], [{"setting": None}]
    ),
    "InSituOnlyPatient": row(
        [
            {**EARLY, "invasive": False},
            {**EARLY, "tnm": "pTis pN0 M0"},
            {**EARLY, "tnm": "cTis cN0"},
        ],
        [
            {"invasive": True},
            {"invasive": None},
            {**EARLY, "tnm": "cT1mi cN0"},
            {**EARLY, "tnm": "T2"},
            {**EARLY, "tnm": "cTis cN0; pT1a pN0"},
            {**EARLY, "tnm": "cTis cN1"},
        ],
        [EARLY, {**EARLY, "tnm": "cN0"}, {**EARLY, "tnm": "cT0 cN0"}, {"setting": None}],
    ),
    "AdvancedDiseasePatient": row(
        [{"setting": "metastatic"}, UNRESECTABLE], [EARLY], [{"setting": None}]
    ),
    "LocallyRecurrentUnresectablePatient": row(
        [RECURRENT_UNRESECTABLE], [{"setting": "metastatic"}, EARLY], [UNRESECTABLE]
    ),
    "LocallyAdvancedUnresectablePatient": row(
        [DE_NOVO_UNRESECTABLE],
        [RECURRENT_UNRESECTABLE, {"setting": "metastatic"}, EARLY],
        [{**UNRESECTABLE, **EMPTY_LIST}],
    ),
    "MetastaticOrLocallyRecurrentPatient": row(
        [{"setting": "metastatic"}, RECURRENT_UNRESECTABLE],
        [EARLY],
        [{**UNRESECTABLE, **EMPTY_LIST}, {"setting": None}],
    ),
    "MetastaticOrLocallyAdvancedPatient": row(
        [{"setting": "metastatic"}, DE_NOVO_UNRESECTABLE],
        [EARLY, RECURRENT_UNRESECTABLE],
        [{**UNRESECTABLE, **EMPTY_LIST}, {"setting": None}],
    ),
    "MeasurableDiseasePatient": values("measurable_disease", [True], [False]),
    "NoLeptomeningealDiseasePatient": plus(
        values("leptomeningeal_disease", [False], [True]),
        unmet=[{"leptomeningeal_disease": None, "metastatic_sites": ["leptomeninges"]}],
        unknown=[{"leptomeningeal_disease": None, "metastatic_sites": ["liver"]}],
    ),
    "NoBrainMetastasesPatient": plus(
        brain(["none"], ["treated-stable", "symptomatic", *ACTIVE_STATES]),
        unmet=[{"brain_mets": None, "metastatic_sites": ["brain"]}],
        unknown=[{"brain_mets": None, "metastatic_sites": ["liver"]}],
    ),
    "BrainMetastasesPatient": plus(
        brain(["treated-stable", "symptomatic", *ACTIVE_STATES], ["none"]),
        met=[{"brain_mets": None, "metastatic_sites": ["brain"]}],
        unknown=[{"brain_mets": None, "metastatic_sites": ["liver"]}],
    ),
    "BrainMetastasesBySitePatient": row(
        [{"brain_mets": None, "metastatic_sites": ["brain"]}],
        [{"brain_mets": "none"}],
        [{"brain_mets": None}, {"brain_mets": None, "metastatic_sites": ["liver"]}],
    ),
    "BrainMetastasesByStatePatient": brain(["treated-stable", "active"], ["none"]),
    "NoOrStableBrainMetastasesPatient": brain(
        ["none", "stable", "treated-stable"], [*ACTIVE_STATES, "symptomatic"]
    ),
    "NoOrAsymptomaticBrainMetastasesPatient": brain(
        ["none", "stable", "untreated-asymptomatic", "active-asymptomatic"],
        ["symptomatic", "treated-progressing"],
        ["active"],
    ),
    "BrainMetastasesOfHer2climbPatient": brain(
        ["none", "stable", "untreated-asymptomatic", "active-asymptomatic", "treated-progressing"],
        ["symptomatic"],
    ),
    "ActiveOrSymptomaticBrainMetastasesPatient": brain(
        [*ACTIVE_STATES, "symptomatic"], ["none", "stable"]
    ),
    "SymptomaticBrainMetastasesPatient": brain(
        ["symptomatic"], ["none", "stable", "active-asymptomatic"]
    ),
}

JUDGEMENTS: dict[str, Row] = {
    "ChemotherapyNotIntendedPatient": nested("judgement", "chemotherapy_intended", [False], [True]),
    "NotSuitableForEndocrineTherapyPatient": nested(
        "judgement", "suitable_for_endocrine_therapy", [False], [True]
    ),
    "NoSatisfactoryAlternativePatient": nested(
        "judgement", "satisfactory_alternative", [False], [True]
    ),
    "NoVisceralCrisisPatient": nested("judgement", "visceral_crisis", [False], [True]),
    "SymptomaticMassEffectPatient": row(
        [{"brain_mets": "symptomatic", **judged(symptomatic_mass_effect=True)}],
        [{"brain_mets": "active", **judged(symptomatic_mass_effect=False)}],
        [{"brain_mets": "active"}],
    ),
    "NoSymptomaticMassEffectPatient": row(
        [{"brain_mets": "active", **judged(symptomatic_mass_effect=False)}],
        [{"brain_mets": "symptomatic", **judged(symptomatic_mass_effect=True)}],
        [{"brain_mets": "active"}],
    ),
    "ImmediateBrainTherapyNeededPatient": row(
        [{"brain_mets": "symptomatic", **judged(immediate_brain_therapy_needed=True)}],
        [{"brain_mets": "active", **judged(immediate_brain_therapy_needed=False)}],
        [{"brain_mets": "active"}],
    ),
    "NoImmediateBrainTherapyNeededPatient": row(
        [
            {"brain_mets": "none"},
            {"brain_mets": "active", **judged(immediate_brain_therapy_needed=False)},
        ],
        [{"brain_mets": "symptomatic", **judged(immediate_brain_therapy_needed=True)}],
        [{"brain_mets": "active"}, {"brain_mets": None}],
    ),
    "SpecialCircumstancePatient": nested(
        "judgement",
        "special_circumstances",
        [
            ["low disease burden"],
            ["long disease-free interval", "contraindication to HER2 therapy"],
        ],
        [[]],
    ),
}

TAXANE_CONTRAINDICATED = row(
    [
        history(neuropathy_grade=3),
        history(neuropathy_grade=3, hypersensitivity=None),
        history(hypersensitivity=["docetaxel"]),
        history(hypersensitivity=["Taxol"], neuropathy_grade=None),
        history(hypersensitivity=["taxane"]),
    ],
    [history(neuropathy_grade=2), history(hypersensitivity=["trastuzumab", "capecitabine"])],
    [history(hypersensitivity=None), history(neuropathy_grade=None)],
)


def hypersensitive(*met: str, unmet: Iterable[str], unknown: Iterable[str]) -> Row:
    """A severe reaction to one drug, by its names and by placeholders that may stand for it."""
    return row(
        [history(hypersensitivity=[name]) for name in met],
        [history(hypersensitivity=names) for name in unmet for names in ([name], [])],
        [
            history(hypersensitivity=None),
            *(history(hypersensitivity=[name]) for name in unknown),
        ],
    )


STEROID_ILD = row(
    [
        history(interstitial_lung_disease="past", ild_needed_steroids=True),
        history(interstitial_lung_disease="current", ild_needed_steroids=True),
    ],
    [
        history(interstitial_lung_disease="none"),
        history(interstitial_lung_disease="past", ild_needed_steroids=False),
    ],
    [
        history(interstitial_lung_disease="past"),
        history(interstitial_lung_disease=None),
    ],
)

ORGANS: dict[str, Row] = {
    "LvefKnownPatient": row(
        [{"lvef_percent": 10}, {"lvef_percent": 60}], [], [{"lvef_percent": None}]
    ),
    "LvefAtLeast50Patient": values("lvef_percent", [50, 50.0], [49.9]),
    "LvefBelow50Patient": values("lvef_percent", [49.9], [50]),
    "LvefBelow40Patient": values("lvef_percent", [39.9], [40]),
    "LvefFallAtLeast16PointsPatient": row(
        [fall(60, 44), fall(70, 50)],
        [fall(60, 44.1), fall(50, 60)],
        [fall(None, 35), fall(60, None)],
    ),
    "LvefFrom40To45AndFallAtLeast10PointsPatient": row(
        [fall(55, 45), fall(50, 40)],
        [fall(54.9, 45), fall(60, 45.1), fall(60, 39.9)],
        [fall(None, 42), fall(60, None)],
    ),
    "LeptomeningealDiseasePatient": plus(
        values("leptomeningeal_disease", [True], [False]),
        met=[{"leptomeningeal_disease": None, "metastatic_sites": ["leptomeninges"]}],
        unknown=[{"leptomeningeal_disease": None, "metastatic_sites": ["liver"]}],
    ),
    "LvefFallAbove20PointsPatient": row(
        [fall(60, 39.9), fall(70.1, 50)],
        [fall(60, 40), fall(70, 50.0), fall(50, 60)],
        [fall(None, 35), fall(60, None)],
    ),
    "CreatinineClearanceBelow30Patient": nested(
        "labs", "creatinine_clearance_ml_min", [29, 29.9], [30]
    ),
    "BilirubinAboveUlnPatient": nested("labs", "bilirubin_x_uln", [1.1, 1.01], [1.0, 1]),
    "BilirubinAbove1Point5UlnPatient": nested("labs", "bilirubin_x_uln", [1.6], [1.5]),
    "BilirubinAbove10UlnPatient": nested("labs", "bilirubin_x_uln", [10.1], [10, 10.0]),
    "NeutrophilsBelow1Point5Patient": nested("labs", "anc_10e9_per_l", [1.4, 1.49], [1.5]),
    "NeutrophilsBelow1Patient": nested("labs", "anc_10e9_per_l", [0.9], [1.0]),
    "PlateletsBelow100Patient": nested("labs", "platelets_10e9_per_l", [99], [100]),
    "PlateletsBelow50Patient": nested("labs", "platelets_10e9_per_l", [49], [50]),
    "TransaminasesAbove5UlnPatient": row(
        [lab(ast_x_uln=5.1), lab(alt_x_uln=5.1), lab(ast_x_uln=None, alt_x_uln=5.1)],
        [lab(ast_x_uln=5.0, alt_x_uln=5.0)],
        [lab(ast_x_uln=None), lab(alt_x_uln=None)],
    ),
    "TransaminasesAbove20UlnPatient": row(
        [lab(ast_x_uln=20.1), lab(alt_x_uln=20.1), lab(ast_x_uln=None, alt_x_uln=20.1)],
        [lab(ast_x_uln=20, alt_x_uln=20.0)],
        [lab(ast_x_uln=None), lab(alt_x_uln=None), lab(ast_x_uln=20, alt_x_uln=None)],
    ),
    "TransaminasesAbove3AndBilirubinAbove2UlnPatient": row(
        [
            lab(ast_x_uln=3.1, bilirubin_x_uln=2.1),
            lab(alt_x_uln=3.1, bilirubin_x_uln=2.1),
            lab(ast_x_uln=None, alt_x_uln=3.1, bilirubin_x_uln=2.1),
        ],
        [
            lab(ast_x_uln=3.0, alt_x_uln=3, bilirubin_x_uln=2.1),
            lab(ast_x_uln=3.1, alt_x_uln=3.1, bilirubin_x_uln=2),
            # One half that is refuted decides, whatever the other one is.
            lab(ast_x_uln=None, alt_x_uln=None, bilirubin_x_uln=2.0),
            lab(ast_x_uln=3, alt_x_uln=3, bilirubin_x_uln=None),
        ],
        [
            lab(ast_x_uln=3.1, bilirubin_x_uln=None),
            lab(ast_x_uln=None, alt_x_uln=3, bilirubin_x_uln=2.1),
            lab(ast_x_uln=None, alt_x_uln=None, bilirubin_x_uln=2.1),
        ],
    ),
    "DpydPoorMetaboliserPatient": nested(
        "labs", "dpyd", ["poor metaboliser"], ["normal metaboliser", "intermediate metaboliser"]
    ),
    "DpydIntermediateMetaboliserPatient": nested(
        "labs", "dpyd", ["intermediate metaboliser"], ["normal metaboliser", "poor metaboliser"]
    ),
    "HeartFailurePatient": nested(
        "history", "heart_failure", ["symptomatic", "asymptomatic"], ["none"]
    ),
    "SymptomaticHeartFailurePatient": nested(
        "history", "heart_failure", ["symptomatic"], ["asymptomatic", "none"]
    ),
    "NyhaClass2OrWorsePatient": nested("history", "nyha_class", ["II", "III", "IV"], ["I"]),
    "IldHistoryPatient": nested(
        "history", "interstitial_lung_disease", ["past", "current"], ["none"]
    ),
    "IldThatNeededSteroidsPatient": STEROID_ILD,
    "NoIldThatNeededSteroidsPatient": opposite(STEROID_ILD),
    "NeuropathyGrade3Patient": nested("history", "neuropathy_grade", [3], [2]),
    "NeuropathyBelowGrade3Patient": nested("history", "neuropathy_grade", [2], [3]),
    "HypersensitiveToCapecitabinePatient": hypersensitive(
        "capecitabine",
        "Xeloda",
        "5-FU",
        unmet=["docetaxel", "lapatinib"],
        unknown=["chemotherapy"],
    ),
    "HypersensitiveToDocetaxelPatient": hypersensitive(
        "docetaxel",
        "Taxotere",
        unmet=["paclitaxel", "nab-paclitaxel", "trastuzumab"],
        unknown=["taxane"],
    ),
    "HypersensitiveToPaclitaxelPatient": hypersensitive(
        "paclitaxel", "Taxol", unmet=["docetaxel", "nab-paclitaxel"], unknown=["taxane"]
    ),
    "HypersensitiveToNabPaclitaxelPatient": hypersensitive(
        "nab-paclitaxel", "Abraxane", unmet=["paclitaxel", "docetaxel"], unknown=["taxane"]
    ),
    "HypersensitiveToPertuzumabPatient": hypersensitive(
        "pertuzumab", "Perjeta", "Phesgo", unmet=["trastuzumab", "docetaxel"], unknown=[ANY_HER2]
    ),
    "HypersensitiveToNeratinibPatient": hypersensitive(
        "neratinib", "Nerlynx", unmet=["lapatinib", "tucatinib"], unknown=[ANY_HER2]
    ),
    "HypersensitiveToTucatinibPatient": hypersensitive(
        "tucatinib", "Tukysa", unmet=["lapatinib", "neratinib"], unknown=[ANY_HER2]
    ),
    "HypersensitiveToTrastuzumabPatient": hypersensitive(
        "trastuzumab", "Ogivri", "Phesgo", unmet=["T-DXd", "T-DM1", "Perjeta"], unknown=[ANY_HER2]
    ),
    "HypersensitiveToTrastuzumabEmtansinePatient": hypersensitive(
        "T-DM1", "Kadcyla", unmet=["trastuzumab", "T-DXd"], unknown=[ANY_HER2]
    ),
    "HypersensitiveToTrastuzumabDeruxtecanPatient": hypersensitive(
        "T-DXd", "Enhertu", unmet=["trastuzumab", "T-DM1"], unknown=[ANY_HER2]
    ),
    "HypersensitiveToMargetuximabPatient": hypersensitive(
        "margetuximab", "Margenza", unmet=["trastuzumab", "T-DXd"], unknown=[ANY_HER2]
    ),
    "HypersensitiveToTaxanePatient": hypersensitive(
        "docetaxel",
        "Abraxane",
        "taxane",
        unmet=["trastuzumab", "capecitabine"],
        unknown=["chemotherapy"],
    ),
    "HypersensitiveToLapatinibPatient": hypersensitive(
        "lapatinib", "Tyverb", unmet=["neratinib", "tucatinib"], unknown=[ANY_HER2]
    ),
    "TaxaneContraindicatedPatient": TAXANE_CONTRAINDICATED,
    "NoTaxaneContraindicationPatient": opposite(TAXANE_CONTRAINDICATED),
    "StrongCyp2c8InhibitorPatient": row(
        [{"medications": ["gemfibrozil"]}, {"medications": ["gemfibrozil", "herbal tea"]}],
        [{"medications": []}, {"medications": ["rifampicin"]}],
        [{"medications": None}, {"medications": ["herbal tea"]}],
    ),
    "StrongCyp3aInducerPatient": row(
        [{"medications": ["rifampin"]}, {"medications": ["phenytoin"]}],
        [{"medications": []}, {"medications": ["gemfibrozil"]}],
        [{"medications": None}, {"medications": ["herbal tea"]}],
    ),
    "IldOnTrastuzumabDeruxtecanPatient": row(
        [
            given(toxic("Enhertu", event("ILD", 2))),
            given(toxic("Enhertu", event("nausea", 3), event("ILD", 3))),
            among(toxic("Enhertu", event("ILD", 2))),
            given(
                advanced("Enhertu", "pertuzumab", adverse_events=[event("ILD", 2)]),
            ),
            given(early("Enhertu", setting="neoadjuvant", adverse_events=[event("ILD", 2)])),
        ],
        [
            NOTHING,
            given(toxic("Enhertu", event("ILD", 1))),
            given(toxic("Enhertu", None)),
            given(toxic("Enhertu", event("nausea", 3))),
            given(toxic("Kadcyla", event("ILD", 3))),
        ],
        [
            EMPTY_LIST,
            given(toxic("Enhertu")),
            given(toxic("Enhertu", event("ILD", None))),
            given({**toxic("Enhertu", event("ILD", 3)), "drugs": None}),
            among(toxic("Enhertu", event("ILD", 1))),
        ],
    ),
    "NrhOrIldOnTrastuzumabEmtansinePatient": row(
        [
            given(toxic("Kadcyla", event("ILD", 1))),
            given(toxic("T-DM1", event("nodular regenerative hyperplasia", None))),
        ],
        [NOTHING, given(toxic("Kadcyla", None)), given(toxic("Enhertu", event("ILD", 3)))],
        [EMPTY_LIST, given(toxic("Kadcyla"))],
    ),
}

TRASTUZUMAB = had_anywhere(
    ["trastuzumab", "Herceptin", "Ogivri", "Herceptin Hylecta", "Phesgo"],
    ["Enhertu", "Kadcyla", "pertuzumab", "margetuximab", "docetaxel"],
    [ANY_HER2],
)
PERTUZUMAB = had_anywhere(
    ["pertuzumab", "Perjeta", "Phesgo", "Poherdy"], ["trastuzumab", "Enhertu"], [ANY_HER2]
)
TRASTUZUMAB_DERUXTECAN = had_anywhere(["Enhertu"], ["trastuzumab", "Kadcyla"], [ANY_HER2])
TRASTUZUMAB_EMTANSINE = had_anywhere(["Kadcyla"], ["trastuzumab", "Enhertu"], [ANY_HER2])
TUCATINIB_HAD = had_anywhere(["Tukysa"], ["neratinib", "trastuzumab"], [ANY_HER2])
ANY_TKI = had_anywhere(
    ["tucatinib", "lapatinib", "neratinib", "pyrotinib"],
    ["trastuzumab", "Enhertu", "palbociclib"],
    [ANY_HER2],
)
ADVANCED_HER2 = plus(
    had(
        ["trastuzumab", "Enhertu", "tucatinib", "Phesgo", ANY_HER2],
        ["docetaxel", "letrozole", "chemotherapy"],
        [],
    ),
    met=[given(advanced("trastuzumab", setting="maintenance"))],
    unmet=[given(early("trastuzumab"))],
    unknown=[given(advanced("trastuzumab", setting=None)), among(early("trastuzumab"))],
)
ADVANCED_CHEMOTHERAPY = plus(
    had(
        ["docetaxel", "capecitabine", "chemotherapy", "taxane"],
        ["Enhertu", "Kadcyla", "letrozole", "palbociclib", "trastuzumab"],
        [],
    ),
    unmet=[given(early("docetaxel"))],
)
ADVANCED_CAPECITABINE = plus(
    had(["capecitabine", "Xeloda"], ["docetaxel", "trastuzumab", "taxane"], ["chemotherapy"]),
    unmet=[given(early("capecitabine"))],
)
ADVANCED_THERAPY = row(
    [
        given(advanced("letrozole")),
        given(advanced("trastuzumab", **UNDER_WAY)),
        given(DRUGS_UNKNOWN),
        among(advanced("letrozole")),
    ],
    [NOTHING, given(early("trastuzumab"))],
    [EMPTY_LIST, among(early("trastuzumab")), given(advanced("letrozole", setting=None))],
)
OTHER_THAN_TRASTUZUMAB = had_anywhere(
    ["pertuzumab", "Phesgo", "Kadcyla", "Enhertu", "lapatinib", "margetuximab", "zanidatamab"],
    ["trastuzumab", "Ogivri", "docetaxel"],
    [ANY_HER2],
)
OTHER_THAN_TRASTUZUMAB_OR_LAPATINIB = had_anywhere(
    ["pertuzumab", "Phesgo", "Kadcyla", "Enhertu", "tucatinib", "neratinib", "pyrotinib"],
    ["trastuzumab", "lapatinib", "docetaxel"],
    [ANY_HER2],
)
TDM1_LAPATINIB_CAPECITABINE = had_anywhere(
    ["Kadcyla", "lapatinib", "capecitabine"], ["Enhertu", "docetaxel"], [ANY_HER2, "chemotherapy"]
)

EXPOSURE: dict[str, Row] = {
    "PriorTrastuzumabPatient": TRASTUZUMAB,
    "NoPriorTrastuzumabPatient": opposite(TRASTUZUMAB),
    "PriorPertuzumabPatient": PERTUZUMAB,
    "NoPriorPertuzumabPatient": opposite(PERTUZUMAB),
    "IldHistoryOrPriorTrastuzumabDeruxtecanPatient": row(
        [
            history(interstitial_lung_disease="past"),
            *(
                {**patch, **history(interstitial_lung_disease="none")}
                for patch in TRASTUZUMAB_DERUXTECAN[0]
            ),
        ],
        [
            {**patch, **history(interstitial_lung_disease="none")}
            for patch in TRASTUZUMAB_DERUXTECAN[1]
        ],
        [
            {**patch, **history(interstitial_lung_disease="none")}
            for patch in TRASTUZUMAB_DERUXTECAN[2]
        ],
    ),
    "PriorTrastuzumabDeruxtecanPatient": TRASTUZUMAB_DERUXTECAN,
    "NoPriorTrastuzumabDeruxtecanPatient": opposite(TRASTUZUMAB_DERUXTECAN),
    "PriorTrastuzumabEmtansinePatient": TRASTUZUMAB_EMTANSINE,
    "NoPriorTrastuzumabEmtansinePatient": opposite(TRASTUZUMAB_EMTANSINE),
    "PriorTucatinibPatient": TUCATINIB_HAD,
    "NoPriorTucatinibPatient": opposite(TUCATINIB_HAD),
    "PriorHer2TyrosineKinaseInhibitorPatient": ANY_TKI,
    "NoPriorHer2TyrosineKinaseInhibitorPatient": opposite(ANY_TKI),
    "PriorAntiHer2Patient": had_anywhere(
        ["trastuzumab", "Enhertu", "lapatinib", ANY_HER2], ["docetaxel", "letrozole"], []
    ),
    "PriorEarlyAntiHer2Patient": plus(
        had(["trastuzumab", "Kadcyla", ANY_HER2], ["docetaxel"], [], course=early),
        unmet=[given(advanced("trastuzumab"))],
    ),
    "PriorTaxanePatient": had_anywhere(
        ["docetaxel", "paclitaxel", "nab-paclitaxel", "Taxol", "taxane"],
        ["capecitabine", "trastuzumab", "Kadcyla"],
        ["chemotherapy"],
    ),
    "PriorAnthracyclinePatient": had_anywhere(
        ["doxorubicin", "epirubicin", "anthracycline", "Caelyx"],
        ["docetaxel", "trastuzumab", "taxane"],
        ["chemotherapy"],
    ),
    "PriorCdk46InhibitorPatient": had_anywhere(
        ["palbociclib", "ribociclib", "abemaciclib"], ["letrozole", "tucatinib"], []
    ),
    "PriorSystemicTherapyPatient": had_anywhere(
        ["letrozole", "trastuzumab", "chemotherapy", "endocrine therapy"], [], []
    ),
    "PriorAdvancedAntiHer2Patient": ADVANCED_HER2,
    "NoPriorAdvancedAntiHer2Patient": opposite(ADVANCED_HER2),
    "PriorAdvancedChemotherapyPatient": ADVANCED_CHEMOTHERAPY,
    "NoPriorAdvancedChemotherapyPatient": opposite(ADVANCED_CHEMOTHERAPY),
    "PriorAdvancedCapecitabinePatient": ADVANCED_CAPECITABINE,
    "NoPriorAdvancedCapecitabinePatient": opposite(ADVANCED_CAPECITABINE),
    "PriorAdvancedTherapyPatient": ADVANCED_THERAPY,
    "NoPriorAdvancedTherapyPatient": opposite(ADVANCED_THERAPY),
    "PriorAdvancedTrastuzumabPatient": plus(
        had(["trastuzumab", "Ogivri", "Phesgo"], ["Kadcyla", "Enhertu"], [ANY_HER2]),
        unmet=[given(early("trastuzumab"))],
    ),
    "PriorAdvancedLapatinibPatient": plus(
        had(["lapatinib", "Tyverb"], ["tucatinib", "trastuzumab"], [ANY_HER2]),
        unmet=[given(early("lapatinib"))],
    ),
    "PriorTrastuzumabChemotherapyPatient": row(
        [
            given(advanced("trastuzumab", "docetaxel")),
            given(TCHP),
            given(advanced("trastuzumab", "chemotherapy")),
        ],
        [
            NOTHING,
            given(advanced("trastuzumab"), advanced("docetaxel", **year(1))),
            given(advanced("Enhertu")),
            given(advanced("trastuzumab", "letrozole")),
        ],
        [EMPTY_LIST, given(advanced(ANY_HER2, "docetaxel")), given(DRUGS_UNKNOWN)],
    ),
    "PriorTdm1LapatinibOrCapecitabinePatient": TDM1_LAPATINIB_CAPECITABINE,
    "NoPriorTdm1LapatinibOrCapecitabinePatient": opposite(TDM1_LAPATINIB_CAPECITABINE),
    "OtherAntiHer2ThanTrastuzumabPatient": OTHER_THAN_TRASTUZUMAB,
    "NoOtherAntiHer2ThanTrastuzumabPatient": opposite(OTHER_THAN_TRASTUZUMAB),
    "OtherAntiHer2ThanTrastuzumabOrLapatinibPatient": OTHER_THAN_TRASTUZUMAB_OR_LAPATINIB,
    "NoOtherAntiHer2ThanTrastuzumabOrLapatinibPatient": opposite(
        OTHER_THAN_TRASTUZUMAB_OR_LAPATINIB
    ),
}

PROGRESSED_TDXD = progressed("Enhertu")
PROGRESSED_TDM1 = progressed("Kadcyla")
PROGRESSED_TUCATINIB = plus(
    progressed("tucatinib", "trastuzumab"),
    met=[given(advanced("Tukysa", "Phesgo", setting="maintenance"))],
    unmet=[given(advanced("lapatinib")), given(advanced("Kadcyla"))],
    unknown=[given(advanced(ANY_HER2))],
)
PROGRESSED_LAPATINIB = plus(
    progressed("lapatinib", "letrozole"),
    met=[given(early("lapatinib", outcome="recurrence"))],
    unmet=[given(advanced("neratinib"))],
    unknown=[given(advanced(ANY_HER2))],
)
PROGRESSED_NERATINIB = plus(
    progressed("neratinib"),
    met=[given(early("neratinib", setting="extended adjuvant", outcome="recurrence"))],
    unmet=[given(advanced("tucatinib"))],
    unknown=[given(advanced(ANY_HER2))],
)
PROGRESSED_EARLY = row(
    [
        given(early("trastuzumab", outcome="recurrence")),
        given(early("lapatinib", outcome="progression")),
    ],
    [
        NOTHING,
        given(early("trastuzumab")),
        given(advanced("trastuzumab")),
        given(early("docetaxel", outcome="recurrence")),
        # Stopped for another reason: later relapse is not progression during the course.
        given(early("trastuzumab", outcome="stopped")),
    ],
    [EMPTY_LIST, given(early("trastuzumab", outcome=None))],
)

PROGRESSION: dict[str, Row] = {
    "ProgressedOnTrastuzumabDeruxtecanPatient": PROGRESSED_TDXD,
    "NoProgressionOnTrastuzumabDeruxtecanPatient": opposite(PROGRESSED_TDXD),
    "ProgressedOnTrastuzumabEmtansinePatient": PROGRESSED_TDM1,
    "NoProgressionOnTrastuzumabEmtansinePatient": opposite(PROGRESSED_TDM1),
    "ProgressedOnTucatinibPatient": PROGRESSED_TUCATINIB,
    "NoProgressionOnTucatinibPatient": opposite(PROGRESSED_TUCATINIB),
    "ProgressedOnLapatinibPatient": PROGRESSED_LAPATINIB,
    "NoProgressionOnLapatinibPatient": opposite(PROGRESSED_LAPATINIB),
    "ProgressedOnNeratinibPatient": PROGRESSED_NERATINIB,
    "NoProgressionOnNeratinibPatient": opposite(PROGRESSED_NERATINIB),
    "ProgressedOnPyrotinibPatient": plus(
        progressed("pyrotinib"),
        unmet=[given(advanced("neratinib"))],
        unknown=[given(advanced(ANY_HER2))],
    ),
    "ProgressedOnTrastuzumabPatient": plus(
        progressed("trastuzumab"),
        met=[given(early("trastuzumab", outcome="recurrence")), given(THP, HP_PROGRESSED)],
        unmet=[given(TDXD)],
    ),
    "ProgressedOnTrastuzumabChemotherapyPatient": plus(
        progressed("trastuzumab", "vinorelbine"),
        # Maintenance belongs to the regimen that it continues.
        met=[given(THP, HP_PROGRESSED)],
        unmet=[given(THP, HP_AFTER), given(advanced("trastuzumab", "letrozole"))],
    ),
    "ProgressedOnAdvancedAntiHer2Patient": plus(
        progressed("trastuzumab", "docetaxel"),
        met=[given(THP, HP_PROGRESSED)],
        unmet=[given(THP, HP_AFTER), given(early("trastuzumab", outcome="recurrence"))],
    ),
    "ProgressedOnAdvancedEndocrinePatient": plus(
        progressed("letrozole"), unmet=[given(early("tamoxifen", outcome="recurrence"))]
    ),
    "ProgressedOnEndocrinePatient": plus(
        progressed("letrozole", "palbociclib"),
        met=[given(early("tamoxifen", outcome="recurrence"))],
    ),
    "ProgressedOnEarlyTrastuzumabOrLapatinibPatient": PROGRESSED_EARLY,
    "NoProgressionOnEarlyTrastuzumabOrLapatinibPatient": opposite(PROGRESSED_EARLY),
    "EndocrineTherapyFailedIfHormoneReceptorPositivePatient": row(
        [
            {"er_percent": 0, **NOTHING},
            {"er_percent": 80, **given(advanced("letrozole"))},
            {"er_percent": None, **given(advanced("letrozole"))},
        ],
        [
            {"er_percent": 80, **NOTHING},
            {"er_percent": 80, **given(advanced("letrozole", **UNDER_WAY))},
        ],
        [{"er_percent": 80, **EMPTY_LIST}, {"er_percent": None, **NOTHING}],
    ),
}


def window(drug: str, inside: str, outside: str, **more: Any) -> Row:
    """A recurrence in a window after a course that ended on 15 March 2025; both days counted."""
    course = early(drug, **more)
    return row(
        [relapse(inside, course), among(course, recurrence_date=inside)],
        [
            NOTHING,
            relapse(outside, course),
            relapse(inside, early("letrozole")),
            relapse(inside, advanced(drug, end=None)),
        ],
        [
            EMPTY_LIST,
            relapse(None, course),
            relapse(inside, {key: course[key] for key in course if key not in ("end", "outcome")}),
            relapse(inside, EARLY_DRUGS_UNKNOWN),
            among(course, recurrence_date=outside),
        ],
    )


WITHIN_6_OF_HER2 = plus(
    window("trastuzumab", SIX_MONTHS, DAY_MORE),
    met=[
        relapse("2024-12-02", early("trastuzumab")),
        relapse(None, early("trastuzumab", end=None, outcome="recurrence")),
        relapse("2026-09-01", early("trastuzumab", end=None, outcome="ongoing")),
        relapse("2025-02-28", early("trastuzumab", **END_OF_AUGUST)),
        relapse("2024-08-29", early("trastuzumab", **LEAP_DAY)),
        relapse(SIX_MONTHS, TCHP, HP_ADJUVANT),
        relapse(SIX_MONTHS, TCHP, TDM1_ADJUVANT),
    ],
    unmet=[
        relapse("2025-03-01", early("trastuzumab", **END_OF_AUGUST)),
        relapse("2024-08-30", early("trastuzumab", **LEAP_DAY)),
        relapse(DAY_MORE, TCHP, HP_ADJUVANT),
        relapse(SIX_MONTHS, early("docetaxel")),
    ],
)
WITHIN_6_OF_THERAPY = plus(
    window("trastuzumab", SIX_MONTHS, DAY_MORE), met=[relapse(SIX_MONTHS, early("docetaxel"))]
)
WITHIN_12_OF_HER2 = plus(
    window("trastuzumab", TWELVE_MONTHS, TWELVE_AND_A_DAY),
    unmet=[relapse(TWELVE_MONTHS, early("docetaxel"))],
)
BEFORE_12_OF_THERAPY = plus(
    window("trastuzumab", TWELVE_LESS_A_DAY, TWELVE_MONTHS),
    met=[relapse(TWELVE_LESS_A_DAY, early("docetaxel"))],
)
BEFORE_6_OF_CHEMOTHERAPY = plus(
    window("docetaxel", DAY_LESS, SIX_MONTHS), unmet=[relapse(DAY_LESS, early("trastuzumab"))]
)

RELAPSE: dict[str, Row] = {
    "RelapseWithin6MonthsOfEarlyAntiHer2Patient": WITHIN_6_OF_HER2,
    "RelapseWithin6MonthsOfEarlyTherapyPatient": WITHIN_6_OF_THERAPY,
    "NoRelapseWithin6MonthsOfEarlyTherapyPatient": opposite(WITHIN_6_OF_THERAPY),
    "RelapseWithin12MonthsOfEarlyAntiHer2Patient": WITHIN_12_OF_HER2,
    "NoRelapseWithin12MonthsOfEarlyAntiHer2Patient": opposite(WITHIN_12_OF_HER2),
    "RelapseBefore12MonthsOfEarlyTherapyPatient": BEFORE_12_OF_THERAPY,
    "NoRelapseBefore12MonthsOfEarlyTherapyPatient": opposite(BEFORE_12_OF_THERAPY),
    "RelapseBefore6MonthsOfEarlyChemotherapyPatient": BEFORE_6_OF_CHEMOTHERAPY,
    "NoRelapseBefore6MonthsOfEarlyChemotherapyPatient": opposite(BEFORE_6_OF_CHEMOTHERAPY),
    "RelapseWithin12MonthsOfEarlyPertuzumabPatient": plus(
        window("Phesgo", TWELVE_MONTHS, TWELVE_AND_A_DAY),
        unmet=[relapse(TWELVE_MONTHS, early("trastuzumab"))],
        unknown=[relapse(TWELVE_MONTHS, early(ANY_HER2))],
    ),
    "RelapseWithin6MonthsOfAdjuvantChemotherapyPatient": plus(
        window("docetaxel", SIX_MONTHS, DAY_MORE),
        unmet=[
            relapse(SIX_MONTHS, early("docetaxel", setting="neoadjuvant")),
            relapse(SIX_MONTHS, TDM1_ADJUVANT),
        ],
    ),
    "ProgressedOnAdvancedOrRelapseWithin6MonthsPatient": row(
        [
            given(THP_PROGRESSED),
            given(THP, HP_PROGRESSED),
            among(THP_PROGRESSED),
            relapse(SIX_MONTHS, early("trastuzumab")),
            relapse(SIX_MONTHS, TCHP, HP_ADJUVANT),
        ],
        [
            NOTHING,
            given(THP, HP_AFTER),
            relapse(DAY_MORE, early("trastuzumab")),
            relapse(SIX_MONTHS, early("docetaxel")),
            given(advanced("letrozole")),
        ],
        [
            EMPTY_LIST,
            given(TOXIC_DOCETAXEL),
            relapse(None, early("trastuzumab")),
            among(THP),
            among(early("trastuzumab"), recurrence_date=DAY_MORE),
        ],
    ),
    "EarlyRelapseByNccnPatient": row(
        [
            relapse(SIX_MONTHS, early("trastuzumab")),
            relapse(TWELVE_MONTHS, early("Phesgo")),
            relapse(TWELVE_MONTHS, TCHP, HP_ADJUVANT),
        ],
        [
            NOTHING,
            relapse(DAY_MORE, early("trastuzumab")),
            relapse(TWELVE_AND_A_DAY, early("Phesgo")),
        ],
        [EMPTY_LIST, relapse(None, early("Phesgo")), relapse(DAY_MORE, early(ANY_HER2))],
    ),
    "SecondLineByAscoPatient": row(
        [
            given(THP_PROGRESSED),
            given(THP, HP_PROGRESSED),
            relapse(TWELVE_MONTHS, early("trastuzumab")),
        ],
        [
            NOTHING,
            given(THP, HP_AFTER),
            relapse(TWELVE_AND_A_DAY, early("trastuzumab")),
            given(advanced("letrozole")),
        ],
        [EMPTY_LIST, given(TOXIC_DOCETAXEL), relapse(None, early("trastuzumab"))],
    ),
    "ThirdLineByAscoPatient": row(
        [
            given(THP_PROGRESSED, TDXD),
            among(THP_PROGRESSED, TDXD),
            relapse(
                TWELVE_MONTHS,
                early("trastuzumab"),
                advanced("Enhertu", start="2026-04-06", end="2026-10-05"),
            ),
        ],
        [
            NOTHING,
            given(THP, HP_PROGRESSED),
            relapse(
                TWELVE_AND_A_DAY,
                early("trastuzumab"),
                advanced("Enhertu", start="2026-04-06", end="2026-10-05"),
            ),
            relapse(TWELVE_MONTHS, early("trastuzumab")),
        ],
        [EMPTY_LIST, among(THP_PROGRESSED)],
    ),
    "TrastuzumabTaxaneAdvancedOrEarlyRelapsePatient": row(
        [
            given(THP),
            given(chemo("paclitaxel", 1), advanced("trastuzumab", "letrozole", **year(2))),
            relapse(SIX_MONTHS, early("trastuzumab", "docetaxel")),
            # The adjuvant part belongs to the therapy that began before surgery.
            relapse(SIX_MONTHS, TCHP, HP_ADJUVANT),
        ],
        [
            NOTHING,
            given(advanced("trastuzumab", "vinorelbine")),
            relapse(DAY_MORE, early("trastuzumab", "docetaxel")),
            relapse(DAY_MORE, TCHP, HP_ADJUVANT),
            given(TDXD),
        ],
        [EMPTY_LIST, relapse(None, early("trastuzumab", "docetaxel"))],
    ),
}

TWO_LINES = (THP, HP_PROGRESSED, TDXD)
THREE_LINES = (*TWO_LINES, TUCATINIB)
MORE_THAN_TWO_LINES = row(
    [given(*THREE_LINES), among(*THREE_LINES), given(*THREE_LINES, NERATINIB)],
    [
        NOTHING,
        given(*TWO_LINES),
        given(*TWO_LINES, {**TUCATINIB, **UNDER_WAY}),
        given(TOXIC_DOCETAXEL, SWITCH_OF_HER2_DRUG, TDXD),
    ],
    [EMPTY_LIST, among(*TWO_LINES)],
)
MORE_THAN_TWO_CHEMOTHERAPY_LINES = row(
    [given(chemo("paclitaxel", 1), chemo("capecitabine", 2), chemo("vinorelbine", 3))],
    [
        NOTHING,
        given(chemo("paclitaxel", 1), chemo("capecitabine", 2)),
        given(chemo("paclitaxel", 1), chemo("capecitabine", 2), TDXD),
        given(
            chemo("paclitaxel", 1, outcome="toxicity"),
            chemo("capecitabine", 2),
            chemo("vinorelbine", 3),
        ),
    ],
    [EMPTY_LIST, among(chemo("paclitaxel", 1), chemo("capecitabine", 2))],
)
TWO_ENDOCRINE_LINES = row(
    [
        given(hormone("letrozole", "palbociclib", number=1), hormone("fulvestrant", number=2)),
        among(hormone("letrozole", number=1), hormone("fulvestrant", number=2)),
    ],
    [
        NOTHING,
        given(hormone("letrozole", number=1)),
        given(THP, hormone("Phesgo", "letrozole", number=2, setting="maintenance")),
        given(hormone("letrozole", number=1), chemo("capecitabine", 2)),
        given(early("tamoxifen"), hormone("letrozole", number=16)),
        given(hormone("letrozole", number=1, outcome="toxicity"), hormone("anastrozole", number=2)),
    ],
    [EMPTY_LIST, among(hormone("letrozole", number=1))],
)
CYCLES = row(
    [
        given({**THP, "cycles": 4}),
        given({**THP, "cycles": 8}),
        given({**THP, "cycles": 6}, HP_AFTER),
    ],
    [given({**THP, "cycles": 3}), given({**THP, "cycles": 9})],
    [EMPTY_LIST, given(THP), among({**THP, "cycles": 3})],
)

COUNTS: dict[str, Row] = {
    "TwoAdvancedAntiHer2RegimensPatient": row(
        [
            given(THP_PROGRESSED, TDXD),
            given(THP, HP_PROGRESSED, TDXD),
            among(THP_PROGRESSED, TDXD),
            given(TOXIC_DOCETAXEL, SWITCH_OF_HER2_DRUG),
            given({**THP_PROGRESSED, "end": None}, advanced(ANY_HER2, "capecitabine", **year(3))),
        ],
        [
            NOTHING,
            given(THP),
            given(THP, HP_AFTER),
            given(THP, HP_PROGRESSED),
            given(THP, HP_CALLED_METASTATIC),
            given(THP, hormone("Phesgo", "letrozole", number=2)),
            given(early("trastuzumab"), advanced("Enhertu", start="2026-01-05", end="2026-10-05")),
            # A change of the taxane for toxicity keeps the anti-HER2 regimen.
            given(TOXIC_DOCETAXEL, SWITCH_OF_TAXANE),
        ],
        [
            EMPTY_LIST,
            among(THP_PROGRESSED),
            given(THP_PROGRESSED, {**DRUGS_UNKNOWN, **year(3)}),
            given(THP_PROGRESSED, advanced("Enhertu", start=None, end=None)),
        ],
    ),
    "ThreeAdvancedAntiHer2RegimensPatient": row(
        [given(*THREE_LINES), among(*THREE_LINES)],
        [NOTHING, given(*TWO_LINES)],
        [EMPTY_LIST, among(*TWO_LINES)],
    ),
    "TwoAntiHer2RegimensPatient": row(
        [
            given(THP_PROGRESSED, TDXD),
            given(TCHP, TDM1_ADJUVANT),
            given(early("trastuzumab"), advanced("Enhertu", start="2026-01-05", end="2026-10-05")),
            among(TCHP, TDM1_ADJUVANT),
        ],
        [
            NOTHING,
            given(TCHP),
            given(TCHP, HP_ADJUVANT),
            given(early("docetaxel"), advanced("Enhertu", start="2026-01-05", end="2026-10-05")),
            given(THP, HP_PROGRESSED),
        ],
        [EMPTY_LIST, among(TCHP)],
    ),
    "PriorAdvancedLinePatient": row(
        [
            given(THP_PROGRESSED),
            given(THP),
            given(advanced("letrozole", outcome="stopped")),
            given(advanced("letrozole", outcome=None)),
            among(THP),
        ],
        [NOTHING, given(early("trastuzumab")), given(advanced("trastuzumab", **UNDER_WAY))],
        [EMPTY_LIST, given(advanced("trastuzumab", end=None, outcome=None))],
    ),
    "OneAdvancedLinePatient": row(
        [
            given(THP_PROGRESSED),
            given(THP, HP_AFTER),
            given(THP, HP_CALLED_METASTATIC),
            given(TOXIC_DOCETAXEL, SWITCH_OF_TAXANE),
            given(TOXIC_DOCETAXEL, SWITCH_OF_HER2_DRUG),
            given(advanced("trastuzumab", **UNDER_WAY)),
        ],
        [NOTHING, given(early("trastuzumab")), given(THP_PROGRESSED, TDXD), among(*TWO_LINES)],
        [EMPTY_LIST, among(THP)],
    ),
    "OneToThreeAdvancedLinesPatient": row(
        [given(THP), given(*THREE_LINES), given(*THREE_LINES, {**NERATINIB, **UNDER_WAY})],
        [NOTHING, given(*THREE_LINES, NERATINIB), among(*THREE_LINES, NERATINIB)],
        [EMPTY_LIST, among(*THREE_LINES)],
    ),
    "MoreThanTwoAdvancedLinesPatient": MORE_THAN_TWO_LINES,
    "AtMostTwoAdvancedLinesPatient": opposite(MORE_THAN_TWO_LINES),
    "TwoAdvancedChemotherapyLinesPatient": row(
        [
            given(chemo("paclitaxel", 1), chemo("capecitabine", 2)),
            among(chemo("paclitaxel", 1), chemo("capecitabine", 2)),
        ],
        [
            NOTHING,
            given(chemo("paclitaxel", 1)),
            given(THP, HP_PROGRESSED),
            given(THP_PROGRESSED, TDXD),
            given(chemo("paclitaxel", 1, outcome="toxicity"), chemo("capecitabine", 2)),
            given(
                early("docetaxel"), advanced("capecitabine", start="2026-01-05", end="2026-10-05")
            ),
        ],
        [EMPTY_LIST, among(chemo("paclitaxel", 1))],
    ),
    "MoreThanTwoAdvancedChemotherapyLinesPatient": MORE_THAN_TWO_CHEMOTHERAPY_LINES,
    "AtMostTwoAdvancedChemotherapyLinesPatient": opposite(MORE_THAN_TWO_CHEMOTHERAPY_LINES),
    "OneOrTwoAdvancedChemotherapyLinesPatient": row(
        [
            given(chemo("paclitaxel", 1)),
            given(chemo("paclitaxel", 1), chemo("capecitabine", 2)),
        ],
        [
            NOTHING,
            given(TDXD),
            given(chemo("paclitaxel", 1), chemo("capecitabine", 2), chemo("vinorelbine", 3)),
        ],
        [EMPTY_LIST, among(chemo("paclitaxel", 1))],
    ),
    "TwoAdvancedEndocrineLinesPatient": TWO_ENDOCRINE_LINES,
    "AtMostOneAdvancedEndocrineLinePatient": opposite(TWO_ENDOCRINE_LINES),
    "FourToEightInductionCyclesPatient": plus(
        CYCLES, unmet=[NOTHING, given({**TDXD, "cycles": 6})]
    ),
    "OutsideFourToEightInductionCyclesPatient": opposite(CYCLES),
    "PertuzumabTrastuzumabInductionPatient": row(
        [
            given(THP),
            given(advanced("Phesgo", "docetaxel")),
            given(advanced("pertuzumab", "Ogivri", "paclitaxel")),
            among(THP),
        ],
        [
            NOTHING,
            given(advanced("trastuzumab", "docetaxel")),
            given(advanced("Phesgo", "letrozole")),
            given(advanced("Enhertu", "pertuzumab")),
            given(TCHP),
        ],
        [EMPTY_LIST, given(advanced(ANY_HER2, "docetaxel"))],
    ),
    "ControlledAfterInductionPatient": row(
        [
            given(THP),
            given({**THP, **UNDER_WAY}),
            given(THP, HP_AFTER),
            given(advanced("trastuzumab", "vinorelbine", outcome="completed")),
        ],
        [
            NOTHING,
            given(THP_PROGRESSED),
            given(THP, HP_PROGRESSED),
            given(advanced("Enhertu", "pertuzumab", outcome="completed")),
            given(TCHP),
        ],
        [EMPTY_LIST, given(TOXIC_DOCETAXEL), among(THP)],
    ),
}

# HER2 and hormone receptors: each test vector is IHC score, ratio, copy number, recount, status.

VECTORS = [
    ("3+", None, None, None, "positive"),
    ("2+", None, None, None, "unknown"),
    ("2+", 2.4, 6.2, None, "positive"),
    ("2+", 2.2, 3.6, True, "negative"),
    ("3+", 2.2, 3.6, None, "positive"),
    ("1+", 2.2, 3.6, None, "negative"),
    ("2+", 1.6, 6.5, True, "positive"),
    ("1+", 1.6, 6.5, None, "negative"),
    ("2+", 1.5, 5.0, True, "negative"),
    ("2+", 1.3, 2.8, None, "negative"),
    ("2+", 2.0, 4.0, None, "positive"),
    ("2+", 1.9, 4.0, True, "negative"),
    ("2+", 1.9, 6.0, True, "positive"),
    (None, 1.5, 5.0, None, "unknown"),
    ("2+", 2.1, 3.9, None, "unknown"),
    (None, 2.3, 5.5, None, "positive"),
    (None, 1.9, 3.9, None, "negative"),
    ("0", 2.0, 3.9, None, "negative"),
]
TRUTH = {
    "positive": ("met", "unmet"),
    "negative": ("unmet", "met"),
    "unknown": ("unknown", "unknown"),
    "conflicting": ("conflicting", "conflicting"),
}


def ish(ihc: str | None, ratio: Any = None, copies: Any = None, **more: Any) -> Patch:
    """An IHC score with ISH counts."""
    stated = {"ratio": ratio, "copy_number": copies, **more}
    counts = {name: value for name, value in stated.items() if value is not None}
    return {"her2_ihc": ihc, "her2_ish": counts or None}


def counted(ihc: str | None, ratio: Any, copies: Any, recount: bool | None = None) -> Patch:
    return ish(ihc, ratio, copies, recount_confirmed=recount)


def group(*inside: tuple[float, float], outside: Iterable[tuple[float, float]]) -> Row:
    """A dual-probe group by pairs of ratio and copy number."""
    return row(
        [counted(None, *pair) for pair in inside],
        [counted(None, *pair) for pair in outside],
        [{"her2_ihc": None}, counted(None, inside[0][0], None)],
    )


def single(ihc: str | None, copies: float) -> Patch:
    return ish(ihc, None, copies, probe="single")


def test_of(day: str, specimen: str | None, ihc: str | None, ish: Any = None) -> Patch:
    stated = {"date": day, "specimen": specimen, "ihc": ihc, "ish": ish}
    return {name: value for name, value in stated.items() if value is not None}


test_of.__test__ = False


def tests(*each: Patch, **more: Any) -> Patch:
    return {"her2_ihc": None, "her2_tests": list(each), **more}


tests.__test__ = False
TESTING: dict[str, Row] = {
    "IshGroup1Patient": group((2.0, 4.0), (9, 30), outside=[(1.99, 4.0), (2.0, 3.99)]),
    "IshGroup2Patient": group((2.0, 3.99), outside=[(1.99, 3.99), (2.0, 4.0)]),
    "IshGroup3Patient": group((1.99, 6.0), outside=[(2.0, 6.0), (1.99, 5.99)]),
    "IshGroup4Patient": group(
        (1.99, 4.0), (1.99, 5.99), outside=[(2.0, 4.0), (1.99, 3.99), (1.99, 6.0)]
    ),
    "IshGroup5Patient": group((1.99, 3.99), outside=[(2.0, 3.99), (1.99, 4.0)]),
    "IshWorkUpPatient": group(
        (2.0, 3.99), (1.99, 6.0), (1.99, 4.0), outside=[(2.0, 4.0), (1.99, 3.99)]
    ),
    "Her2PositiveByRecountPatient": row(
        [counted("2+", 1.6, 6.0, True)],
        [counted("2+", 1.6, 5.9, True), counted("1+", 1.6, 6.0, True)],
        [counted("2+", 1.6, 6.0), counted(None, 1.6, 6.0, True)],
    ),
    "Her2PositiveBySingleProbePatient": row(
        [single("2+", 6.0), single(None, 6.0), single("0", 6.0)],
        [single("2+", 5.99), ish("2+", 1.6, 6.5, probe="dual")],
        [ish("2+", None, 6.0), {"her2_ihc": None}],
    ),
    "Her2NegativeByIshCountsPatient": row(
        [counted(None, 1.9, 3.9), counted("0", 1.6, 6.5), single("1+", 4.0)],
        [counted("3+", 1.9, 3.9), counted("2+", 2.0, 4.0), single("2+", 6.0)],
        [counted("2+", 1.5, 5.0), counted(None, 1.5, 5.0), single("2+", 4.0), single(None, 5)],
    ),
    "Her2NegativeByGroup5Patient": row(
        [counted(None, 1.9, 3.9), counted("2+", 1.9, 3.9)],
        [counted("3+", 1.9, 3.9), counted("2+", 1.9, 4.0)],
        [{"her2_ihc": None}],
    ),
    "Her2NegativeByWorkUpPatient": row(
        [counted("0", 2.1, 3.9), counted("1+", 1.6, 6.5), counted("1+", 1.6, 5.0)],
        [counted("3+", 2.1, 3.9), counted("2+", 1.6, 5.0, True), counted("1+", 1.9, 3.9)],
        [counted(None, 1.6, 5.0), {"her2_ihc": "1+"}],
    ),
    "Her2NegativeByRecountPatient": row(
        [counted("2+", 2.1, 3.9, True), counted("2+", 1.6, 5.0, True)],
        [counted("2+", 1.6, 6.5, True), counted("1+", 1.6, 5.0, True)],
        [counted("2+", 1.6, 5.0), counted(None, 1.6, 5.0, True)],
    ),
    "Her2NegativeBySingleProbePatient": row(
        [single("2+", 3.9), single(None, 3.9), single("1+", 5.9)],
        [single("3+", 3.9), single("2+", 6.0), single("2+", 4.0), ish("1+", 1.5, 5, probe="dual")],
        [single(None, 4.0), ish("1+", None, 5.0)],
    ),
    "ErPositivePatient": values("er_percent", [1, 100], [0.9, 0]),
    "ErNegativePatient": values("er_percent", [0.9, 0], [1]),
    "ErLowPositivePatient": values("er_percent", [1, 10], [0.9, 10.1]),
    "PrPositivePatient": values("pr_percent", [1, 100], [0.9, 0]),
    "PrNegativePatient": values("pr_percent", [0.9, 0], [1]),
}

# Early disease. The base record has no therapy, so that clinical categories tell of no surgery.
EARLY_PHASE = {**EARLY, "phase": None}


def tnm(*texts: str) -> list[Patch]:
    return [{**EARLY, "tnm": text} for text in texts]


def category(met: Iterable[str], unmet: Iterable[str], unknown: Iterable[str] = ()) -> Row:
    """A row about TNM categories; none recorded is unknown."""
    return row(tnm(*met), tnm(*unmet), [EARLY, *tnm(*unknown)])


def neo(*drugs: str, **more: Any) -> Patch:
    """A neoadjuvant course that was completed."""
    course = {"setting": "neoadjuvant", "start": "2026-01-05", "end": "2026-05-04", **more}
    return early(*(drugs or ("docetaxel", "trastuzumab", "pertuzumab")), **course)


def adjuvant(*drugs: str, **more: Any) -> Patch:
    return early(*drugs, **more)


NEO_DRUGS_UNKNOWN = {**neo(), "drugs": None}
AFTER_NEO = {**EARLY, **given(neo())}
OPERATED = {**EARLY, "surgery_date": "2026-06-01"}
NEO_OPERATED = {**AFTER_NEO, "surgery_date": "2026-06-01"}


def neo_had(met: Iterable[str], unmet: Iterable[str], unknown: Iterable[str]) -> Row:
    """A drug given before surgery."""
    return row(
        [*(given(neo(name)) for name in met), *(among(neo(name)) for name in met)],
        [
            NOTHING,
            *(given(neo(name)) for name in unmet),
            *(given(early(name)) for name in met),
            *(given(advanced(name)) for name in met),
        ],
        [EMPTY_LIST, given(NEO_DRUGS_UNKNOWN), *(given(neo(name)) for name in unknown)],
    )


def adjuvant_had(met: str, unmet: str) -> Row:
    return row(
        [given(early(met)), given(early(met, setting="post-neoadjuvant")), among(early(met))],
        [NOTHING, given(early(unmet)), given(neo(met)), given(advanced(met))],
        [EMPTY_LIST, given(EARLY_DRUGS_UNKNOWN)],
    )


def clinical_size(inside: float, outside: float, met: str, unmet: str, unknown: str) -> Row:
    """A clinical size just inside and outside, and T categories that settle it or do not."""
    return row(
        [
            {**EARLY, "clinical_tumor_size_cm": inside},
            {**EARLY, "phase": "before surgery", "tumor_size_cm": inside},
            {**EARLY, "tnm": "cN0", "tumor_size_cm": inside},
            *tnm(met),
        ],
        [
            {**EARLY, "clinical_tumor_size_cm": outside},
            {**EARLY, "phase": "before surgery", "tumor_size_cm": outside},
            {**EARLY, "clinical_tumor_size_cm": outside, "tumor_size_cm": inside},
            *tnm(unmet),
        ],
        [
            EARLY,
            {**EARLY, "tumor_size_cm": inside},
            {**OPERATED, "tumor_size_cm": inside},
            *tnm(unknown, "cT4b", "T2", "T1", "pT1", "pT2"),
        ],
    )


def pathological_size(inside: float, outside: float, met: str, unmet: str, unknown: str) -> Row:
    return row(
        [
            {**EARLY, "pathological_tumor_size_cm": inside},
            {**OPERATED, "tumor_size_cm": inside},
            {**EARLY, "tnm": "pN0", **EMPTY_LIST, "tumor_size_cm": inside},
            *tnm(met),
        ],
        [
            {**EARLY, "pathological_tumor_size_cm": outside},
            {**OPERATED, "tumor_size_cm": outside},
            *tnm(unmet),
        ],
        [
            EARLY,
            {**EARLY, "phase": "before surgery", "tumor_size_cm": inside},
            {**OPERATED, **EMPTY_LIST, "tumor_size_cm": inside},
            {**NEO_OPERATED, "tumor_size_cm": inside},
            {**NEO_OPERATED, "tnm": "cT1a cN0; ypT2 ypN0"},
            *tnm(unknown, "pT4b"),
        ],
    )


def staged(met: Iterable[str], unmet: Iterable[str], unknown: Iterable[str]) -> Row:
    """A row about the stated stage; texts with a T are TNM."""
    parts = [
        [{**EARLY, "tnm" if "T" in text or "N" in text else "stage": text} for text in texts]
        for texts in (met, unmet, unknown)
    ]
    return row(parts[0], parts[1], [EARLY, {**AFTER_NEO, "tnm": "ypT1 ypN0"}, *parts[2]])


DONE = row(
    [
        OPERATED,
        {**EARLY, "phase": "after surgery"},
        {**EARLY, "phase": "adjuvant therapy under way"},
        {**EARLY, "phase": "adjuvant therapy completed"},
        {**EARLY, "positive_nodes": 0},
        {**EARLY, "nodes": "2 positive"},
        {**EARLY, "pathological_tumor_size_cm": 1},
        {**AFTER_NEO, "phase": "residual disease"},
        {**AFTER_NEO, "pathologic_response": "pCR"},
        {**AFTER_NEO, "tnm": "cT2 cN0; ypT0 ypN0"},
        {**EARLY, **given(early("trastuzumab"))},
        {**EARLY, **given(early("neratinib", setting="extended adjuvant"))},
        *tnm("pT1 pN0", "cT1 pN0"),
    ],
    [
        {**EARLY, "phase": "before surgery"},
        {**EARLY, **EMPTY_LIST, "phase": "before surgery", "tnm": "T2"},
        {**AFTER_NEO, "tnm": "cT2 cN1"},
        *tnm("cT2 cN1 M0", "cN0"),
    ],
    [
        EARLY,
        {**EARLY, **EMPTY_LIST, "tnm": "cT2 cN1 M0"},
        {**EARLY, **given({**neo(), "setting": None}), "tnm": "cT2 cN1 M0"},
        {"tnm": "cT2 cN1 M0", "setting": None},
        {"tnm": "cT2 cN1 M0", "setting": "unresectable"},
        *tnm("T2 N1 M0"),
    ],
)
RECEIVED_NEO = row(
    [
        given(neo()),
        among(neo()),
        given(NEO_DRUGS_UNKNOWN),
        {**EARLY, **EMPTY_LIST, "tnm": "cT2; ypT1"},
        {**EARLY, **EMPTY_LIST, "nodes": "ypN0"},
        {**EARLY, **EMPTY_LIST, "pathologic_response": "pCR"},
        {**EARLY, **EMPTY_LIST, "phase": "residual disease"},
    ],
    [NOTHING, given(early("trastuzumab")), given(advanced("trastuzumab"))],
    [EMPTY_LIST, among(early("trastuzumab")), given({**neo(), "setting": None})],
)
PCR = row(
    [
        {**AFTER_NEO, "pathologic_response": "pCR"},
        {**AFTER_NEO, "pathologic_response": "residual in situ only", "tnm": "ypN0"},
        {**AFTER_NEO, "pathologic_response": "residual in situ only", "nodes": "ypN0"},
        {**AFTER_NEO, "tnm": "ypT0 ypN0"},
        {**AFTER_NEO, "tnm": "ypTis ypN0(sn)"},
    ],
    [
        {**AFTER_NEO, "pathologic_response": "residual invasive disease"},
        {**AFTER_NEO, "phase": "residual disease"},
        {**AFTER_NEO, "tnm": "ypT1mi ypN0"},
        {**AFTER_NEO, "tnm": "ypT0 ypN1mi"},
        {**AFTER_NEO, "tnm": "ypT0 ypN0(i+)"},
        {**AFTER_NEO, "pathologic_response": "residual in situ only", "tnm": "ypN1"},
    ],
    [
        AFTER_NEO,
        {**AFTER_NEO, "tnm": "ypT0"},
        {**AFTER_NEO, "tnm": "ypN0"},
        {**AFTER_NEO, "pathologic_response": "residual in situ only"},
        {**AFTER_NEO, "tnm": "cT0 cN0"},
    ],
)
NODE_POSITIVE = row(
    [
        *tnm("pN1", "pN1mi", "cN1", "cN0; pN2a"),
        {**EARLY, "positive_nodes": 1},
        {**EARLY, **EMPTY_LIST, "positive_nodes": 1},
        {**NEO_OPERATED, "tnm": "cT2 cN1; ypT0 ypN0"},
        {**NEO_OPERATED, "tnm": "cT2 cN0; ypT0 ypN1mi"},
        {**NEO_OPERATED, "tnm": "cT2 cN3"},
    ],
    [
        *tnm("pN0", "pN0(i+)", "cN0", "cN1; pN0"),
        {**OPERATED, "positive_nodes": 0},
        {**NEO_OPERATED, "tnm": "cT2 cN0; ypT1 ypN0(i+)"},
        {**NEO_OPERATED, "tnm": "cT2 cN0", "pathologic_response": "pCR"},
    ],
    [
        EARLY,
        *tnm("N1", "N0"),
        {**OPERATED, "tnm": "cN1"},
        {**OPERATED, "tnm": "cN0"},
        {**EARLY, **EMPTY_LIST, "tnm": "cN1"},
        {**EARLY, **EMPTY_LIST, "positive_nodes": 0},
        {**NEO_OPERATED, "positive_nodes": 0},
        {**NEO_OPERATED, "tnm": "cT2 cN0; ypT1"},
    ],
)
AT_SURGERY = row(
    [*tnm("pN1mi"), {**EARLY, "positive_nodes": 1}, {**AFTER_NEO, "tnm": "ypN1"}],
    [*tnm("pN0", "cN0"), {**OPERATED, "positive_nodes": 0}],
    [EARLY, *tnm("cN1"), {**EARLY, **EMPTY_LIST, "positive_nodes": 0}],
)
CLINICALLY = row(
    [*tnm("cN1"), {**NEO_OPERATED, "tnm": "cN1"}],
    [*tnm("cN0", "cN1; pN1"), {**EARLY, "tnm": "pN0", "nodes": "cN1"}],
    [EARLY, {**EARLY, **EMPTY_LIST, "tnm": "cN1"}],
)
LOCALLY_ADVANCED = row(
    tnm("cT2 cN2", "cT3 cN3c", "cT4", "cT4d cN0", "cT4b"),
    [
        *tnm("cT1 cN0", "cT1c cN1", "cT2 cN0", "cT3 cN1", "cT3 cN1 M0"),
        {"setting": "metastatic", "tnm": "cT3 cN1"},
    ],
    [EARLY, *tnm("cT1", "cT1 cN2", "cT2", "cT3", "cN2", "T4"), {**EARLY, "tnm": "pT4"}],
)
NOT_LOCALLY_ADVANCED = row(
    tnm("cT1 cN0", "cT1c cN1", "cT2 cN0", "cT3 cN1"),
    tnm("cT2 cN2", "cT4", "cT1 cN2"),
    [EARLY, *tnm("cT1", "cT3", "cN1")],
)
INFLAMMATORY = row(
    [{**EARLY, "inflammatory": True}, *tnm("cT4d", "pT4d", "T4d")],
    [{**EARLY, "inflammatory": False}, *tnm("cT3", "cT4b", "cTis", "cT0")],
    [EARLY, *tnm("cT4", "cTX", "cN1")],
)
RECURRED = row(
    [
        {**EARLY, "recurrence_date": "2026-10-05"},
        given(early("trastuzumab", outcome="recurrence")),
        {"setting": "unresectable", "recurrence_date": "2026-10-05"},
    ],
    [
        {**EARLY, "phase": "adjuvant therapy completed"},
        {**EARLY, **given(early("trastuzumab"))},
        {**EARLY, **among(early("Kadcyla", setting="post-neoadjuvant"))},
    ],
    [
        EARLY,
        {**EARLY, "phase": "adjuvant therapy under way"},
        {**EARLY, **given(early("trastuzumab", **UNDER_WAY))},
        {**EARLY, **given(neo())},
    ],
)


def ago(inside: Iterable[str], outside: Iterable[str], **more: Any) -> Row:
    """The last day of adjuvant trastuzumab, before the record date of 22 November 2026."""
    start = {"start": "2023-01-09"}
    both = [[early("trastuzumab", end=day, **start) for day in days] for days in (inside, outside)]
    return row(
        [
            *(given(course) for course in both[0]),
            given(early("Kadcyla", setting="post-neoadjuvant", end=list(inside)[0], **start)),
            given(early("Phesgo", end=list(inside)[0], **start)),
        ],
        [
            NOTHING,
            *(given(course) for course in both[1]),
            given(early("neratinib", end=list(inside)[0], **start)),
            given(early("trastuzumab", end=list(inside)[0], setting="neoadjuvant", **start)),
            given(early("trastuzumab", **UNDER_WAY)),
            given(both[0][0], early("trastuzumab", **UNDER_WAY)),
        ],
        [
            EMPTY_LIST,
            among(both[0][0]),
            given(early("trastuzumab", end=None, **start)),
            given({**both[0][0], "drugs": None}),
        ],
    )


STAGE_ONE = ["I", "IA", "IB", "cT1 cN0 M0", "pT1mi pN0", "pT1c pN1mi", "cT0 cN1mi"]
STAGE_TWO = ["II", "IIA", "IIB", "cT2 cN0", "cT1 cN1", "cT0 cN1", "cT3 cN0", "pT2 pN1mi"]
STAGE_THREE_A = ["IIIA", "cT3 cN1", "cT2 cN2a", "pT1 pN2", "pT3 pN1mi"]
STAGE_THREE = ["III", "IIIB", "IIIC", "cT4 cN0", "cT4d cN2", "cT1 cN3", "cN3a", *STAGE_THREE_A]
NOT_STAGED = ["cT2", "cN1", "T2 N0", "cTX cN0"]
STAGING: dict[str, Row] = {
    "EarlyStagePatient": row(
        [EARLY | {"invasive": True}, EARLY | {"stage": "I"}, DE_NOVO_UNRESECTABLE],
        [{"setting": "metastatic"}, RECURRENT_UNRESECTABLE, EARLY | {"invasive": False}],
        [{"setting": None}, {"setting": "unresectable"}, EARLY],
    ),
    "DefinitiveSurgeryDonePatient": DONE,
    "BeforeDefinitiveSurgeryPatient": opposite(DONE),
    "RecurrencePatient": RECURRED,
    "NoRecurrencePatient": opposite(RECURRED),
    "ClinicalT1To4Patient": category(
        ["cT1mi", "cT1", "cT2", "cT3", "cT4d"], ["cT0", "cTis"], ["T2", "pT2"]
    ),
    "ClinicalT1aOrT1bPatient": category(
        ["cT1a", "cT1b"], ["cT1mi", "cT1c", "cT2"], ["cT1", "pT1a"]
    ),
    "ClinicalT1Patient": category(["cT1", "cT1mi", "cT1c"], ["cTis", "cT2"]),
    "ClinicalT1To3Patient": category(["cT1a", "cT3"], ["cT0", "cT4"]),
    "ClinicalT2OrT3Patient": category(["cT2", "cT3"], ["cT1c", "cT4"]),
    "ClinicalT3OrT4Patient": category(["cT3", "cT4", "cT4d"], ["cT2"]),
    "ClinicalT4Patient": category(["cT4", "cT4a"], ["cT3"]),
    "ClinicalN0Patient": category(["cN0", "cN0(i+)"], ["cN1mi", "cN1"], ["N0", "pN0"]),
    "ClinicalN0To1Patient": category(["cN0", "cN1"], ["cN2a"]),
    "ClinicalN1To3Patient": category(["cN1mi", "cN3c"], ["cN0", "cN0(i+)"]),
    "ClinicalN2To3Patient": category(["cN2", "cN3"], ["cN1"]),
    "ClinicallyNodePositivePatient": category(["cN1", "cN1mi"], ["cN0(i+)"], ["pN1", "N1"]),
    "PathologicalN1miPatient": category(["pN1mi"], ["pN0", "pN1a", "pN0(i+)"], ["pN1", "cN1mi"]),
    "FourOrMorePositiveNodesPatient": plus(
        values("positive_nodes", [4, 12], [3, 0]), met=[{"nodes": "4 positive"}]
    ),
    "ReceivedNeoadjuvantTherapyPatient": RECEIVED_NEO,
    "NoNeoadjuvantTherapyPatient": opposite(RECEIVED_NEO),
    "NeoadjuvantTherapyByYpPatient": row(
        [{**AFTER_NEO, "tnm": "ypT0"}, {**AFTER_NEO, "nodes": "ypN1"}], [NOTHING], [AFTER_NEO]
    ),
    "NeoadjuvantTherapyByResponsePatient": row(
        [
            {**AFTER_NEO, "pathologic_response": "pCR"},
            {**AFTER_NEO, "phase": "residual disease"},
        ],
        [NOTHING],
        [AFTER_NEO],
    ),
    "PriorNeoadjuvantTaxanePatient": neo_had(
        ["docetaxel", "taxane"], ["doxorubicin", "trastuzumab"], ["chemotherapy"]
    ),
    "PriorNeoadjuvantTrastuzumabPatient": neo_had(
        ["trastuzumab", "Phesgo"], ["Kadcyla", "Enhertu"], [ANY_HER2]
    ),
    "PriorNeoadjuvantAntiHer2Patient": neo_had(["pertuzumab", ANY_HER2], ["docetaxel"], []),
    "PriorNeoadjuvantPertuzumabPatient": neo_had(["pertuzumab"], ["trastuzumab"], [ANY_HER2]),
    "PriorAdjuvantPertuzumabPatient": adjuvant_had("pertuzumab", "trastuzumab"),
    "PriorAdjuvantTrastuzumabEmtansinePatient": adjuvant_had("Kadcyla", "trastuzumab"),
    "CompletedAdjuvantTrastuzumabPatient": row(
        [
            given(early("trastuzumab")),
            given(early("Kadcyla", setting="post-neoadjuvant")),
            {**EARLY, **given(early("Phesgo"), early("letrozole", **UNDER_WAY))},
        ],
        [
            NOTHING,
            given(early("trastuzumab", **UNDER_WAY)),
            {
                **EARLY,
                "phase": "adjuvant therapy completed",
                **among(early("trastuzumab", **UNDER_WAY)),
            },
            given(early("trastuzumab", outcome="toxicity")),
            given(early("neratinib")),
            given(neo("trastuzumab")),
        ],
        [
            EMPTY_LIST,
            among(early("trastuzumab")),
            given(early("trastuzumab", outcome=None)),
            {**EARLY, **EMPTY_LIST, "phase": "adjuvant therapy completed"},
            given(EARLY_DRUGS_UNKNOWN),
        ],
    ),
    "AdjuvantAntiHer2EndedLessThan12MonthsAgoPatient": ago(
        ["2025-11-23", "2026-11-22"], ["2025-11-22", "2024-11-22"]
    ),
    "AdjuvantAntiHer2EndedAtMost24MonthsAgoPatient": ago(
        ["2024-11-22", "2025-11-22"], ["2024-11-21"]
    ),
    "AdjuvantAntiHer2EndedMoreThan12MonthsAgoPatient": ago(
        ["2025-11-21", "2024-05-01"], ["2025-11-22", "2026-06-01"]
    ),
    "CompletedAnthracyclinePatient": row(
        [
            given(neo("doxorubicin", "cyclophosphamide")),
            among(neo("epirubicin")),
            given(early("doxorubicin"), early("paclitaxel", **UNDER_WAY)),
            given(neo("doxorubicin", outcome="toxicity")),
        ],
        [
            NOTHING,
            given(neo("docetaxel", "carboplatin")),
            given(neo("doxorubicin", "cyclophosphamide", **UNDER_WAY)),
        ],
        [
            EMPTY_LIST,
            given(NEO_DRUGS_UNKNOWN),
            given(neo("chemotherapy")),
            given(neo("doxorubicin", "paclitaxel", **UNDER_WAY)),
            given(neo("doxorubicin", end=None, outcome=None)),
        ],
    ),
    "NeoadjuvantTherapyAtLeast16WeeksPatient": row(
        [
            given(neo(start="2026-01-05", end="2026-04-27")),
            among(neo(start="2026-01-05", end="2026-04-27")),
            given(
                neo("doxorubicin", start="2026-01-05", end="2026-02-16"),
                neo("paclitaxel", "trastuzumab", start="2026-03-09", end="2026-04-27"),
            ),
        ],
        [NOTHING, given(early("trastuzumab")), given(neo(start="2026-01-05", end="2026-04-26"))],
        [
            EMPTY_LIST,
            among(neo(start="2026-01-05", end="2026-04-26")),
            given(neo(end=None)),
        ],
    ),
    "NeoadjuvantTherapyAtLeast16WeeksRecordedPatient": row(
        [among(neo(start="2024-01-29", end="2024-05-20"))],
        [among(neo(start="2024-01-29", end="2024-05-19"))],
        [EMPTY_LIST, among(neo(start=None))],
    ),
    "NeoadjuvantCyclesAtLeast6Patient": row(
        [
            given(neo(cycles=6)),
            among(neo(cycles=6)),
            given(neo(cycles=4), neo("Enhertu", cycles=2)),
        ],
        [NOTHING, given(neo(cycles=5))],
        [among(neo(cycles=5)), given(neo()), given(neo(cycles=4), neo("Enhertu"))],
    ),
    "NeoadjuvantCyclesAtLeast6RecordedPatient": row(
        [among(neo(cycles=6))], [among(neo(cycles=5))], [EMPTY_LIST, given(neo())]
    ),
    "SurgeryAtMost12WeeksAgoPatient": values(
        "surgery_date", ["2026-08-30", "2026-11-22"], ["2026-08-29", "2025-11-22"], **EARLY
    ),
    "PathologicCompleteResponsePatient": PCR,
    "ResidualInvasiveDiseasePatient": opposite(PCR),
    "PathologicCompleteResponseStatedPatient": row(
        [{**AFTER_NEO, "pathologic_response": "pCR"}],
        [{**AFTER_NEO, "pathologic_response": "residual invasive disease"}],
        [AFTER_NEO],
    ),
    "PathologicCompleteResponseInSituPatient": row(
        [{**AFTER_NEO, "pathologic_response": "residual in situ only", "nodes": "ypN0"}],
        [{**AFTER_NEO, "pathologic_response": "residual in situ only", "nodes": "ypN0(i+)"}],
        [{**AFTER_NEO, "pathologic_response": "residual in situ only"}],
    ),
    "PathologicCompleteResponseByYpPatient": row(
        [{**AFTER_NEO, "tnm": "ypTis ypN0"}],
        [{**AFTER_NEO, "tnm": "ypT1 ypN0"}, {**AFTER_NEO, "tnm": "ypT0 ypN1"}],
        [{**AFTER_NEO, "tnm": "ypT0"}],
    ),
    "ResidualInvasiveDiseaseStatedPatient": row(
        [
            {**AFTER_NEO, "pathologic_response": "residual invasive disease"},
            {**AFTER_NEO, "phase": "residual disease"},
        ],
        [{**AFTER_NEO, "pathologic_response": "pCR"}],
        [AFTER_NEO],
    ),
    "ResidualInvasiveDiseaseByYpPatient": row(
        [{**AFTER_NEO, "tnm": "ypT1a"}, {**AFTER_NEO, "tnm": "ypN1mi"}],
        [{**AFTER_NEO, "tnm": "ypT0 ypN0"}],
        [AFTER_NEO, {**AFTER_NEO, "tnm": "ypT0"}],
    ),
    "PostNeoadjuvantNodePositivePatient": row(
        [{**AFTER_NEO, "tnm": "ypN1mi"}, {**AFTER_NEO, "nodes": "ypN2a"}],
        [{**AFTER_NEO, "tnm": "ypN0"}, {**AFTER_NEO, "tnm": "ypN0(i+)"}, *tnm("cN1", "pN1")],
        [AFTER_NEO, *({**stage, "prior_therapies_complete": None} for stage in tnm("cN1", "pN1"))],
    ),
    "NodePositivePatient": NODE_POSITIVE,
    "NodeNegativePatient": opposite(NODE_POSITIVE),
    "NodePositiveAtSurgeryPatient": AT_SURGERY,
    "NodePositiveClinicallyPatient": CLINICALLY,
    "NodeNegativeAtSurgeryPatient": row(
        [*tnm("pN0", "pN0(i+)"), {**OPERATED, "positive_nodes": 0}],
        [*tnm("pN1mi"), {**EARLY, "positive_nodes": 1}],
        [EARLY, {**EARLY, **EMPTY_LIST, "positive_nodes": 0}],
    ),
    "NodeNegativeClinicallyPatient": row(
        [*tnm("cN0"), {**NEO_OPERATED, "tnm": "cN0; ypN0"}],
        [*tnm("cN1"), {**NEO_OPERATED, "tnm": "cN0; ypN1"}],
        [EARLY, {**NEO_OPERATED, "tnm": "cN0"}, {**EARLY, **EMPTY_LIST, "tnm": "cN0"}],
    ),
    "LocallyAdvancedPatient": LOCALLY_ADVANCED,
    "LocallyAdvancedByTnmPatient": row(
        tnm("cT2 cN2", "cT4b"),
        [{"setting": "metastatic", "tnm": "cT4"}, *tnm("cT1", "cT3 cN1")],
        [EARLY, *tnm("cT2", "cN2")],
    ),
    "NotLocallyAdvancedPatient": NOT_LOCALLY_ADVANCED,
    "InflammatoryPatient": INFLAMMATORY,
    "InflammatoryByRecordPatient": INFLAMMATORY,
    "NotInflammatoryPatient": opposite(INFLAMMATORY),
    "ClinicalTumorLargerThan2CmPatient": clinical_size(2.1, 2.0, "cT2", "cT1c", "cT0"),
    "ClinicalTumorAtMost2CmPatient": clinical_size(2.0, 2.1, "cT1c", "cT2", "cT0"),
    "ClinicalTumorAtLeast2CmPatient": clinical_size(2.0, 1.9, "cT2", "cT1b", "cT1c"),
    "ClinicalTumorBelow2CmPatient": clinical_size(1.9, 2.0, "cT1b", "cT2", "cT1"),
    "PathologicalTumorLargerThan1CmPatient": pathological_size(1.1, 1.0, "pT1c", "pT1b", "pT1"),
    "PathologicalTumorAtMost1CmPatient": pathological_size(1.0, 1.1, "pT1b", "pT2", "pT1"),
    "PathologicalTumorLargerThan2CmPatient": pathological_size(2.1, 2.0, "pT3", "pT1", "pT0"),
    "PathologicalTumorAtMost2CmPatient": pathological_size(2.0, 2.1, "pT1", "pT2", "pT0"),
    "PathologicalTumorAtLeast2CmPatient": pathological_size(2.0, 1.9, "pT2", "pT1a", "pT1c"),
    "PathologicalTumorBelow2CmPatient": pathological_size(1.9, 2.0, "pT1a", "pT2", "pT1c"),
    "PathologicalTumorLargerThan3CmPatient": pathological_size(3.1, 3.0, "pT3", "pT1", "pT2"),
    "PathologicalTumorAtMost3CmPatient": pathological_size(3.0, 3.1, "pT1c", "pT3", "pT2"),
    "AnatomicStageIPatient": staged(STAGE_ONE, ["0", *STAGE_TWO, *STAGE_THREE], NOT_STAGED),
    "AnatomicStageIIPatient": staged(STAGE_TWO, ["0", *STAGE_ONE, *STAGE_THREE], NOT_STAGED),
    "AnatomicStageIIIPatient": staged(STAGE_THREE, ["0", *STAGE_ONE, *STAGE_TWO], NOT_STAGED),
    "AnatomicStageIIOrIIIPatient": staged([*STAGE_TWO, *STAGE_THREE], STAGE_ONE, NOT_STAGED),
    "AnatomicStageIToIIIPatient": plus(
        staged([*STAGE_ONE, *STAGE_TWO, *STAGE_THREE], ["0", "cTis cN0"], NOT_STAGED),
        unmet=[{"stage": "IV"}, {"tnm": "cT1 cN0 M1"}],
    ),
    "AnatomicStageIIToIIIAPatient": staged(
        [*STAGE_TWO, *STAGE_THREE_A], [*STAGE_ONE, "IIIB", "IIIC", "cT4 cN1"], [*NOT_STAGED, "III"]
    ),
    "AgeBelow35Patient": values("age", [34, 34.9], [35]),
    "PremenopausalPatient": values("menopausal", ["premenopausal"], ["postmenopausal"]),
    "HistologicGrade2Or3Patient": values("grade", [2, 3], [1]),
    "LvefAbove55Patient": values("lvef_percent", [55.1], [55]),
    "PertuzumabEarlyStartLvefPatient": row(
        [
            {"lvef_percent": 55},
            {"lvef_percent": 50, **given(neo("doxorubicin"))},
            {"lvef_percent": 55, **EMPTY_LIST},
        ],
        [
            {"lvef_percent": 54.9},
            {"lvef_percent": 49.9, **given(neo("doxorubicin"))},
            {"lvef_percent": 49.9, **EMPTY_LIST},
        ],
        [{"lvef_percent": None}, {"lvef_percent": 52, **EMPTY_LIST}],
    ),
    "ChildPughClassCPatient": nested("labs", "child_pugh", ["C"], ["B"]),
    "TransaminasesAbove2Point5UlnPatient": row(
        [lab(ast_x_uln=2.6), lab(alt_x_uln=2.6, ast_x_uln=None)],
        [lab(ast_x_uln=2.5, alt_x_uln=2.5)],
        [lab(ast_x_uln=2.5, alt_x_uln=None)],
    ),
    "HighRiskOfRecurrencePatient": row(
        [judged(high_risk_of_recurrence=True), *tnm("cN1")],
        [{**EARLY, "tnm": "cN0", **judged(high_risk_of_recurrence=False)}],
        [EARLY, *tnm("cN0"), {**EARLY, **judged(high_risk_of_recurrence=False)}],
    ),
    **{
        name: nested("judgement", field, [True], [False])
        for name, field in {
            "LowRiskOfRecurrencePatient": "low_risk_of_recurrence",
            "HighCardiotoxicityRiskPatient": "high_cardiotoxicity_risk",
            "AnthracyclineContraindicatedPatient": "anthracycline_contraindicated",
            "ChemotherapyContraindicatedPatient": "chemotherapy_contraindicated",
            "ChemotherapyDeclinedPatient": "chemotherapy_declined",
            "AntibodyDrugConjugateUnavailablePatient": "antibody_drug_conjugate_unavailable",
            "TrastuzumabCardiotoxicityPatient": "trastuzumab_cardiotoxicity",
            "OsteonecrosisRiskPatient": "osteonecrosis_risk",
        }.items()
    },
}
ANY_N = {"ClinicalN0To3Patient": row(tnm("cN0", "cN3c"), [], [EARLY, *tnm("pN1")])}

TABLE: dict[str, Row] = {
    **GENERAL,
    **BIOMARKERS,
    **DISEASE,
    **JUDGEMENTS,
    **ORGANS,
    **EXPOSURE,
    **PROGRESSION,
    **RELAPSE,
    **COUNTS,
    **TESTING,
    **STAGING,
    **ANY_N,
}
TABLE |= {name: row for name, row in SAFETY.items() if name not in TABLE}
TABLE |= early_rows(TABLE)
TABLE = extended(TABLE, TOXICITIES, plus)
ALWAYS_KNOWN = {
    "LvefKnownPatient",
    "ClinicalN0To3Patient",
    "BilirubinKnownPatient",
    "PlateletsKnownPatient",
    "TransaminasesKnownPatient",
} | NEVER_REFUTED  # has a value or is unknown, never refuted


# Evaluation


@cache
def graph() -> KnowledgeGraph:
    return KnowledgeGraph()


@cache
def evaluated(text: str) -> dict[str, str]:
    """Met and unmet classes of a record; a class that is both is conflicting."""
    kg = graph()
    record = kg.record(json.loads(text))
    triples = to_triples(record, kg.names)
    mark = (URIRef(record.iri), URIRef(BASE + "isUnderEvaluation"), Literal(True))
    kg.engine.add([*triples, mark])
    try:
        rules.run_folder(kg.engine, "derivation")
        rules.infer(kg.engine)
        found: dict[str, str] = {}
        for iri, status in kg.query("eligibility/statuses", patient=f"<{record.iri}>").rows:
            known = found.setdefault(iri.local, status)
            found[iri.local] = status if known == status else "conflicting"
        return found
    finally:
        kg.engine.remove_subjects({triple[0] for triple in triples})


def status(criterion: str, patch: Patch) -> str:
    return evaluated(json.dumps(patched(BASE_RECORD, patch))).get(criterion, "unknown")


def said(patch: Patch) -> str:
    return json.dumps(patch, ensure_ascii=False)


@cache
def criteria() -> frozenset[str]:
    """Named classes of patients that populations and safety rules share."""
    rows = (
        graph()
        .select("""
        SELECT DISTINCT ?class WHERE {
          ?class rdfs:subClassOf+ her2kg:PatientCriterion .
          FILTER NOT EXISTS { ?class rdfs:subClassOf* her2kg:PatientPopulation }
          FILTER(isIRI(?class))
        }
    """)
        .rows
    )
    return frozenset(iri.local for (iri,) in rows if not iri.local.endswith("Criterion"))


def test_every_criterion_has_a_row():
    assert criteria() - set(TABLE) == set()


def test_every_row_is_about_a_criterion():
    assert set(TABLE) - criteria() == set()


def test_every_row_has_three_parts():
    for name, parts in TABLE.items():
        lacking = [part for part in parts if not part]
        assert not lacking or name in ALWAYS_KNOWN, f"{name}: a part of the row is empty"


@pytest.mark.parametrize("wanted", ["met", "unmet", "unknown"])
@pytest.mark.parametrize("criterion", sorted(TABLE))
def test_criterion(criterion, wanted):
    patches = TABLE[criterion][("met", "unmet", "unknown").index(wanted)]
    wrong = [
        f"{criterion} is {found}, expected {wanted}, for {said(patch)}"
        for patch in patches
        if (found := status(criterion, patch)) != wanted
    ]
    wrong += [
        f"{name} is met and unmet for {said(patch)}"
        for patch in patches
        for name, found in evaluated(json.dumps(patched(BASE_RECORD, patch))).items()
        if found == "conflicting"
    ]
    assert not wrong, "\n".join(wrong)


@cache
def together(engine: str, texts: tuple[str, ...]) -> list[dict[str, str]]:
    """Met and unmet classes of several records that are evaluated in one graph."""
    kg = KnowledgeGraph(engine=engine)
    marked = URIRef(BASE + "isUnderEvaluation")
    iris = []
    for number, text in enumerate(texts):
        record = kg.record({**json.loads(text), "id": f"criterion-{number}"})
        kg.engine.add([*to_triples(record, kg.names), (URIRef(record.iri), marked, Literal(True))])
        iris.append(record.iri)
    rules.run_folder(kg.engine, "derivation")
    rules.infer(kg.engine)
    found: list[dict[str, str]] = []
    for iri in iris:
        statuses: dict[str, str] = {}
        for term, each in kg.query("eligibility/statuses", patient=f"<{iri}>").rows:
            known = statuses.setdefault(term.local, each)
            statuses[term.local] = each if known == each else "conflicting"
        found.append(statuses)
    return found


def her2(found: dict[str, str]) -> tuple[str, str]:
    """Whether HER2-positive and whether HER2-negative."""
    names = ("Her2PositivePatient", "Her2NegativePatient")
    return tuple(found.get(name, "unknown") for name in names)


@pytest.mark.parametrize("engine", ["oxigraph", "rdflib"])
def test_her2_vectors(engine):
    vectors = VECTORS if engine == "oxigraph" else VECTORS[::3]  # rdflib: 6 s for each
    records = [patched(BASE_RECORD, counted(*vector[:4])) for vector in vectors]
    found = together(engine, tuple(json.dumps(record) for record in records))
    wrong = [
        f"{vector}: {her2(each)}"
        for vector, each in zip(vectors, found, strict=True)
        if her2(each) != TRUTH[vector[4]]
    ]
    assert not wrong, "\n".join(wrong)


PRIMARY_POSITIVE = test_of("2024-01-10", "primary", "3+")
PRIMARY_NEGATIVE = test_of("2024-01-10", "primary", "1+")
OPEN_TEST = test_of("2026-05-01", "metastasis", "2+")


COUNTING = [
    (tests(PRIMARY_POSITIVE), "positive"),
    (tests(PRIMARY_POSITIVE, test_of("2026-05-01", "metastasis", "1+")), "negative"),
    (tests(PRIMARY_NEGATIVE, test_of("2023-05-01", "metastasis", "3+")), "positive"),
    (tests(PRIMARY_POSITIVE, OPEN_TEST), "positive"),
    (
        tests(
            test_of("2025-01-01", "metastasis", "0"),
            test_of("2026-01-01", "metastasis", "3+"),
        ),
        "positive",
    ),
    (tests(test_of("2026-05-01", "residual disease", "3+")), "unknown"),
    (tests(PRIMARY_POSITIVE, test_of("2026-05-01", "residual disease", "0")), "positive"),
    (
        tests(PRIMARY_POSITIVE, test_of("2026-05-01", "residual disease", "0"), **EARLY),
        "positive",
    ),
    (tests(PRIMARY_NEGATIVE, test_of("2025-01-10", "primary", "3+"), **EARLY), "positive"),
    (tests(PRIMARY_POSITIVE, test_of("2024-01-10", "primary", "1+")), "conflicting"),
    (
        tests(PRIMARY_POSITIVE, test_of("2024-01-10", "primary", "1+"), her2_ihc="3+"),
        "positive",
    ),
    (
        tests(PRIMARY_POSITIVE, test_of("2025-01-10", "primary", "1+"), her2_ihc="3+"),
        "conflicting",
    ),
    (tests(OPEN_TEST), "unknown"),
    (tests(OPEN_TEST, test_of("2026-05-09", "metastasis", None, "positive")), "positive"),
    (tests(OPEN_TEST, test_of("2026-05-09", "metastasis", None, "negative")), "negative"),
    (tests(OPEN_TEST, test_of("2026-05-01", "metastasis", None, "negative")), "negative"),
    (
        tests(
            OPEN_TEST,
            test_of("2026-05-09", "metastasis", None, {"ratio": 1.5, "copy_number": 5}),
        ),
        "unknown",
    ),
    (
        tests(
            OPEN_TEST,
            test_of("2026-05-09", "metastasis", None, {"ratio": 1.5, "copy_number": 3}),
        ),
        "negative",
    ),
    (tests(test_of("2024-01-10", None, "3+")), "positive"),
    (tests(test_of("2026-01-10", None, "3+"), PRIMARY_NEGATIVE), "negative"),
    (tests(PRIMARY_POSITIVE, setting=None), "positive"),
]


@pytest.mark.parametrize(("patch", "expected"), COUNTING)
def test_counting_her2_test(patch, expected):
    assert her2(evaluated(json.dumps(patched(BASE_RECORD, patch)))) == TRUTH[expected]


LATE_ISH = {"date": "2026-05-09", "specimen": "metastasis", "ish": {"ratio": 1.5, "copy_number": 3}}
TESTS_AND_STAGING = {
    "HER2 tests of advanced disease": tests(OPEN_TEST, LATE_ISH),
    "HER2 test of residual disease": tests(
        PRIMARY_POSITIVE, test_of("2026-05-01", "residual disease", "0"), **EARLY
    ),
    "stage after neoadjuvant therapy": {
        **NEO_OPERATED, "tnm": "cT2 cN0; ypT1a ypN1mi", "stage": "II", "tumor_size_cm": 3
    },
    "stage after surgery": {
        **OPERATED, "tnm": "cT2 cN1; pT1c pN0", "stage": "IIB", "tumor_size_cm": 1.4
    },
    "stage, TNM and size that disagree": {
        **EARLY, "tnm": "cT2 cN1", "stage": "I", "tumor_size_cm": 1.5
    },
    "courses before surgery": {
        **EARLY, **given(neo("doxorubicin", cycles=4), neo(cycles=4), early("trastuzumab"))
    },
}  # fmt: skip


@pytest.mark.parametrize("case", TESTS_AND_STAGING)
def test_rdflib_agrees_on_tests_and_staging(case):
    text = json.dumps(patched(BASE_RECORD, TESTS_AND_STAGING[case]))
    assert together("rdflib", (text,)) == [evaluated(text)]


@pytest.mark.parametrize(
    ("criterion", "patch"),
    [
        ("ClinicalTumorLargerThan2CmPatient", {**EARLY, "tnm": "cT2", "tumor_size_cm": 1.5}),
        ("AnatomicStageIPatient", {**EARLY, "stage": "IA", "tnm": "cT2 cN1"}),
        ("AnatomicStageIIPatient", {**EARLY, "stage": "I", "tnm": "cT2 cN1"}),
        ("InflammatoryPatient", {**EARLY, "inflammatory": True, "tnm": "cT2"}),
        (
            "PathologicCompleteResponsePatient",
            {**AFTER_NEO, "pathologic_response": "pCR", "tnm": "ypT1"},
        ),
    ],
)
def test_statements_that_contradict_one_another_are_conflicting(criterion, patch):
    assert status(criterion, patch) == "conflicting"
