"""What must hold for any patient: shown on generated records."""

import json
from functools import cache

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from her2kg import KnowledgeGraph
from tests.test_criteria import evaluated

AS_OF = "2026-11-22"
DRUGS = [
    "trastuzumab", "pertuzumab", "Phesgo", "T-DM1", "T-DXd", "tucatinib", "lapatinib", "neratinib",
    "docetaxel", "paclitaxel", "capecitabine", "vinorelbine", "doxorubicin", "letrozole", "taxane",
    "chemotherapy", "palbociclib",
]  # fmt: skip
# Fields that speak for themselves: leaving one out may only make an answer less certain.
FREE = {
    "age": st.integers(17, 90),
    "sex": st.just("female"),
    "menopausal": st.sampled_from(["premenopausal", "postmenopausal"]),
    "ecog": st.integers(0, 3),
    "er_percent": st.sampled_from([0, 0.9, 1, 80]),
    "pr_percent": st.sampled_from([0, 0.9, 1, 80]),
    "setting": st.sampled_from(["early", "unresectable", "metastatic"]),
    "lvef_percent": st.sampled_from([35, 40, 49.9, 50, 60]),
    "lvef_baseline_percent": st.sampled_from([50, 60, 75]),
    "measurable_disease": st.booleans(),
    "tnm": st.sampled_from(["cT1c cN0 M0", "cT2 cN0", "cT2N1M0", "cT4d cN2", "T2 N1", "cT1"]),
    "grade": st.integers(1, 3),
    "prior_therapies_complete": st.just(True),
    "labs": st.fixed_dictionaries(
        {},
        optional={
            "creatinine_clearance_ml_min": st.sampled_from([29, 30, 90]),
            "bilirubin_x_uln": st.sampled_from([0.5, 1.0, 1.1, 2.1]),
            "anc_10e9_per_l": st.sampled_from([0.9, 1.0, 1.4, 1.5, 4]),
            "platelets_10e9_per_l": st.sampled_from([49, 99, 100, 250]),
            "dpyd": st.sampled_from(
                ["normal metaboliser", "intermediate metaboliser", "poor metaboliser"]
            ),
        },
    ),
    "history": st.fixed_dictionaries(
        {},
        optional={
            "interstitial_lung_disease": st.sampled_from(["none", "past", "current"]),
            "ild_needed_steroids": st.booleans(),
            "heart_failure": st.sampled_from(["none", "asymptomatic", "symptomatic"]),
            "neuropathy_grade": st.integers(0, 4),
            "hypersensitivity": st.lists(st.sampled_from(DRUGS), max_size=2, unique=True),
        },
    ),
    "judgement": st.fixed_dictionaries(
        {},
        optional={
            "visceral_crisis": st.booleans(),
            "chemotherapy_intended": st.booleans(),
            "suitable_for_endocrine_therapy": st.booleans(),
            "satisfactory_alternative": st.booleans(),
            "high_risk_of_recurrence": st.booleans(),
        },
    ),
}
COURSE = st.fixed_dictionaries(
    {
        "setting": st.sampled_from(["neoadjuvant", "adjuvant", "metastatic", "maintenance"]),
        "drugs": st.lists(st.sampled_from(DRUGS), min_size=1, max_size=4, unique=True),
    },
    optional={
        "outcome": st.sampled_from(
            ["completed", "progression", "recurrence", "toxicity", "ongoing", "stopped"]
        ),
        "best_response": st.sampled_from(["complete response", "stable disease"]),
        "cycles": st.integers(1, 9),
    },
)


@st.composite
def records(draw):
    """A record over most of the schema, with gaps, placeholders and up to four courses."""
    record = {"id": "generated", "as_of": AS_OF, "pregnancy": "not pregnant"}
    for field, values in FREE.items():
        if draw(st.booleans()):
            record[field] = draw(values)
    if draw(st.booleans()):
        record["her2_ihc"] = draw(st.sampled_from(["0", "1+", "2+", "3+"]))
    if draw(st.booleans()):
        record["her2_ish"] = draw(st.sampled_from(["positive", "negative", "equivocal"]))
    if draw(st.booleans()):
        record["her2_status"] = draw(st.sampled_from(["positive", "negative"]))
    if draw(st.booleans()):
        record["recurrence_date"] = draw(st.sampled_from(["2025-01-15", "2025-07-15"]))
    courses = draw(st.lists(COURSE, max_size=4))
    for number, course in enumerate(courses):
        # The day before the recurrence dates above, a year or half a year earlier, and so on.
        course["start"] = f"{2021 + number}-02-01"
        if draw(st.booleans()):
            course["end"] = draw(
                st.sampled_from([f"{2021 + number}-07-15", f"{2022 + number}-01-15"])
            )
    record["prior_therapies"] = courses
    return record


@cache
def graph(engine="oxigraph"):
    return KnowledgeGraph(engine=engine)


def claims(record, engine="oxigraph"):
    answers = graph(engine).eligibility(record)
    return {claim.claim: claim for regimen in answers.values() for claim in regimen.claims}


SLOW = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@SLOW
@given(records(), st.data())
def test_less_information_never_turns_an_answer_round(record, data):
    known = [field for field in FREE if field in record]
    dropped = data.draw(st.lists(st.sampled_from(known), unique=True)) if known else []
    less = {field: value for field, value in record.items() if field not in dropped}
    full, reduced = claims(record), claims(less)
    turned = {
        name: (full[name].verdict, claim.verdict)
        for name, claim in reduced.items()
        if claim.verdict not in ("undetermined", full[name].verdict)
    }
    assert not turned, f"without {dropped}"


@SLOW
@given(records(), st.data())
def test_less_information_never_turns_a_criterion_round(record, data):
    known = [field for field in FREE if field in record]
    dropped = data.draw(st.lists(st.sampled_from(known), unique=True)) if known else []
    less = {field: value for field, value in record.items() if field not in dropped}
    full, reduced = evaluated(json.dumps(record)), evaluated(json.dumps(less))
    turned = {
        name: (full.get(name, "unknown"), status)
        for name, status in reduced.items()
        if full.get(name) != status
    }
    assert not turned, f"without {dropped}"


@SLOW
@given(records())
def test_verdict_follows_from_the_reasons_and_nothing_conflicts(record):
    for claim in claims(record).values():
        statuses = {reason.status for reason in claim.reasons}
        assert statuses <= {"met", "unmet", "unknown"}, claim.claim
        if "unmet" in statuses:
            expected = "ineligible"
        else:
            expected = "undetermined" if "unknown" in statuses else "eligible"
        assert claim.verdict == expected, claim.claim


@SLOW
@given(records())
def test_undetermined_claims_say_what_is_missing(record):
    for regimen in graph().eligibility(record).values():
        if any(claim.verdict == "undetermined" for claim in regimen.claims):
            assert regimen.missing, regimen.regimen


@settings(SLOW, max_examples=3)
@given(records())
def test_rdflib_gives_the_same_answer(record):
    on_oxigraph = graph().eligibility(record).to_json()
    assert graph("rdflib").eligibility(record).to_json() == on_oxigraph
