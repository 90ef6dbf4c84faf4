"""The example patients: they load, answer as expected, and every answer follows from its reasons."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from her2kg import KnowledgeGraph
from her2kg.record_rdf import to_triples
from her2kg.turtle import format_turtle
from her2kg.verdicts import BASES, Answers

HERE = Path(__file__).parent
FOLDER = HERE.parent / "ontology" / "examples"
VERDICTS = HERE / "expected" / "verdicts"
# Patients with early disease stand in test_early_examples.py.
EXAMPLES = sorted(path for path in FOLDER.glob("*.json") if not path.stem.startswith("early-"))
TURTLE = sorted(FOLDER.glob("*.ttl"))
EXPECTED = sorted(VERDICTS.glob("*.json"))
TODAY = "2026-11-22"
BEFORE = "2021-06-01"
OLD_HISTORY = "second-line-2021"
PARTS = ("verdict", "by_basis", "missing", "cautions", "contraindications")


@cache
def graph() -> KnowledgeGraph:
    return KnowledgeGraph()


@cache
def answers(name: str, day: str = TODAY) -> Answers:
    return graph().eligibility(FOLDER / f"{name}.json", as_of=day)


def short(found: Answers) -> dict[str, dict]:
    """What the expected files hold of an answer."""
    return {
        verdict.regimen: {
            "verdict": verdict.verdict,
            "by_basis": verdict.by_basis,
            "missing": sorted(verdict.missing),
            "cautions": sorted(note.rule for note in verdict.cautions),
            "contraindications": sorted(note.rule for note in verdict.contraindications),
        }
        for verdict in found.regimens
    }


def differences(found: dict[str, dict], expected: dict[str, dict]) -> list[str]:
    rows = [f"{name}: not answered" for name in sorted(set(expected) - set(found))]
    rows += [f"{name}: not expected" for name in sorted(set(found) - set(expected))]
    for name in sorted(set(found) & set(expected)):
        for part in PARTS:
            got, wanted = found[name][part], expected[name][part]
            if got != wanted:
                rows.append(f"{name}: {part} is {got}, expected {wanted}")
    return rows


def all_of(statuses: list[str]) -> str:
    """Kleene's AND, in the words of a verdict; what conflicts counts as unknown."""
    if "unmet" in statuses:
        return "ineligible"
    return "eligible" if set(statuses) <= {"met"} else "undetermined"


def any_of(verdicts: list[str]) -> str:
    """Kleene's OR over verdicts."""
    if "eligible" in verdicts:
        return "eligible"
    return "undetermined" if "undetermined" in verdicts else "ineligible"


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def test_examples_and_expected_files_go_together():
    wanted = {*names(EXAMPLES), f"{OLD_HISTORY}.{BEFORE}"}
    assert set(names(EXPECTED)) == wanted
    assert len(EXAMPLES) >= 18
    assert set(names(TURTLE)) <= set(names(EXAMPLES))
    assert len(TURTLE) >= 3


@pytest.mark.parametrize("path", EXAMPLES, ids=names(EXAMPLES))
def test_example_is_a_whole_and_named_record(path):
    record = graph().record(path)
    assert record.model.id == path.stem
    assert isinstance(record.model.notes, str) and record.model.notes
    assert record.as_of.isoformat() == TODAY
    assert record.not_interpreted == ()


@pytest.mark.parametrize("path", EXPECTED, ids=names(EXPECTED))
def test_example_gives_expected_verdicts(path):
    name, _, day = path.stem.partition(".")
    expected = json.loads(path.read_text(encoding="utf-8"))
    rows = differences(short(answers(name, day or TODAY)), expected)
    assert not rows, "\n".join([path.name, *rows])


@pytest.mark.parametrize("path", EXAMPLES, ids=names(EXAMPLES))
def test_example_gives_same_bytes_twice(path):
    first = graph().eligibility(path, as_of=TODAY).to_json()
    assert graph().eligibility(path, as_of=TODAY).to_json() == first


@pytest.mark.parametrize("path", EXAMPLES, ids=names(EXAMPLES))
def test_turtle_form_gives_same_verdicts(path, tmp_path):
    turtle = tmp_path / f"{path.stem}.ttl"
    turtle.write_text(as_turtle(path), encoding="utf-8")
    found = graph().eligibility(turtle, as_of=TODAY)
    same = answers(path.stem)
    assert differences(short(found), short(same)) == []
    assert found.regimens == same.regimens, "reasons differ"
    assert (found.patient, found.scope, found.scope_note) == (
        same.patient,
        same.scope,
        same.scope_note,
    )


@pytest.mark.parametrize("path", TURTLE, ids=names(TURTLE))
def test_stored_turtle_is_the_json_record(path):
    written = as_turtle(path.with_suffix(".json"))
    assert path.read_text(encoding="utf-8") == written


def as_turtle(path: Path) -> str:
    from rdflib import Graph

    triples = Graph()
    for triple in to_triples(graph().record(path), graph().names):
        triples.add(triple)
    return format_turtle(triples)


CASES = [(path.stem, TODAY) for path in EXAMPLES] + [(OLD_HISTORY, BEFORE)]
IDS = [name if day == TODAY else f"{name}.{day}" for name, day in CASES]


@pytest.mark.parametrize(("name", "day"), CASES, ids=IDS)
def test_verdict_of_claim_is_all_of_its_reasons(name, day):
    wrong = [
        f"{claim.claim}: {claim.verdict}, but its reasons give {counted}"
        for verdict in answers(name, day).regimens
        for claim in verdict.claims
        if (counted := all_of([reason.status for reason in claim.reasons])) != claim.verdict
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("name", "day"), CASES, ids=IDS)
def test_verdict_of_regimen_is_any_of_its_claims(name, day):
    wrong = []
    for verdict in answers(name, day).regimens:
        if (counted := any_of([claim.verdict for claim in verdict.claims])) != verdict.verdict:
            wrong.append(f"{verdict.regimen}: {verdict.verdict}, but its claims give {counted}")
        for basis in BASES:
            claims = [claim.verdict for claim in verdict.claims if claim.basis == basis]
            counted = any_of(claims) if claims else None
            if counted != verdict.by_basis[basis]:
                wrong.append(f"{verdict.regimen}, {basis}: its claims give {counted}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("name", "day"), CASES, ids=IDS)
def test_reasons_are_complete(name, day):
    wrong = []
    for verdict in answers(name, day).regimens:
        settled = verdict.verdict != "undetermined"
        if not settled and not verdict.missing:
            wrong.append(f"{verdict.regimen}: undetermined, but nothing is missing")
        for claim in verdict.claims:
            for reason in claim.reasons:
                empty = [part for part in ("label", "required", "observed", "source")]
                empty = [part for part in empty if not getattr(reason, part)]
                if empty:
                    wrong.append(f"{claim.claim}, {reason.criterion}: no {', '.join(empty)}")
                if reason.status in ("met", "unmet") and reason.observed == "not recorded":
                    wrong.append(f"{reason.criterion}: {reason.status}, observed 'not recorded'")
    assert not wrong, "\n".join(sorted(set(wrong)))


def test_asked_for_another_day_only_claims_of_other_validity_differ():
    now, then = answers(OLD_HISTORY, TODAY), answers(OLD_HISTORY, BEFORE)
    verdicts = [
        {claim.claim: claim.verdict for verdict in each.regimens for claim in verdict.claims}
        for each in (now, then)
    ]
    both = set(verdicts[0]) | set(verdicts[1])
    changed = {claim for claim in both if verdicts[0].get(claim) != verdicts[1].get(claim)}
    assert changed == claims_valid_on_one_day_only()
    assert now["T-DXd"].by_basis["guideline"] == "eligible"
    assert then["T-DXd"].verdict == "ineligible"
    assert now.record_sha256 == then.record_sha256


def claims_valid_on_one_day_only() -> set[str]:
    rows = (
        graph()
        .select("""
        SELECT ?claim ?from ?until ?code WHERE {
          ?claim her2kg:population ?population ; her2kg:validFrom ?from .
          OPTIONAL { ?claim her2kg:validUntil ?until }
          OPTIONAL { ?claim her2kg:jurisdiction ?place . ?place skos:notation ?code }
        }
    """)
        .rows
    )
    found = set()
    for claim, start, until, code in rows:
        if code is not None and code not in ("US", "EU"):
            continue
        valid = [
            start.isoformat() <= day and (until is None or day < until.isoformat())
            for day in (TODAY, BEFORE)
        ]
        if valid[0] != valid[1]:
            found.add(claim.local)
    return found


def test_the_three_relapses_differ_in_one_date_only():
    records = [
        json.loads((FOLDER / f"relapse-{months}-months.json").read_text(encoding="utf-8"))
        for months in (5, 8, 14)
    ]
    for record in records:
        for key in ("id", "notes", "recurrence_date"):
            del record[key]
    assert records[0] == records[1] == records[2]


def test_relapse_windows_route_to_label_guideline_or_first_line():
    by_months = {months: answers(f"relapse-{months}-months") for months in (5, 8, 14)}

    def verdict(months: int, claim: str) -> str:
        return next(
            each.verdict
            for regimen in by_months[months].regimens
            for each in regimen.claims
            if each.claim == claim
        )

    def verdicts(claim: str) -> list[str]:
        return [verdict(months, claim) for months in (5, 8, 14)]

    no, yes = "ineligible", "eligible"
    assert verdicts("indication_tdm1_early_relapse_6m_us") == [yes, no, no]
    assert verdicts("indication_tdxd_monotherapy_asco_2022_5_0") == [yes, yes, no]
    assert verdicts("indication_thp_docetaxel_asco_2022_1_1") == [no, no, yes]
    assert verdicts("indication_tdxd_pertuzumab_destiny_breast09") == [no, yes, yes]
    assert verdicts("indication_thp_docetaxel_1l_us") == [yes, yes, yes]


def test_scope_is_outside_for_in_situ_disease_only():
    assert answers("in-situ-only").scope == "outside"
    assert "in situ" in answers("in-situ-only").scope_note.lower()
    inside = [name for name in names(EXAMPLES) if answers(name).scope == "inside"]
    assert len(inside) == len(EXAMPLES) - 1


def changed(name: str, **patch) -> dict:
    """An example with some fields replaced, objects merged and None taken out."""
    record = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    for key, value in patch.items():
        if value is None:
            record.pop(key, None)
        elif isinstance(value, dict) and isinstance(record.get(key), dict):
            record[key] = {**record[key], **value}
        else:
            record[key] = value
    return record


FIRST, SECOND = "treatment-naive-first-line", "second-line-after-thp"
IN_PREGNANCY = {"age": 34, "menopausal": "premenopausal", "pregnancy": "pregnant"}
MASS_EFFECT = {
    "metastatic_sites": ["liver", "brain"],
    "brain_mets": "symptomatic",
    "judgement": {"symptomatic_mass_effect": True, "immediate_brain_therapy_needed": True},
}


@pytest.mark.parametrize(
    ("name", "patch", "regimen", "basis", "expected"),
    [
        # Labelled contraindications of the taxanes.
        (FIRST, {"labs": {"anc_10e9_per_l": 1.4}}, "thp-docetaxel", "label", "ineligible"),
        (FIRST, {"labs": {"anc_10e9_per_l": 1.5}}, "thp-docetaxel", "label", "eligible"),
        (FIRST, {"labs": {"anc_10e9_per_l": 1.4}}, "thp-paclitaxel", "guideline", "ineligible"),
        (FIRST, {"labs": {"anc_10e9_per_l": 1.4}}, "thp-nab-paclitaxel", "guideline", "ineligible"),
        (FIRST, {"labs": {"bilirubin_x_uln": 1.1}}, "thp-docetaxel", "label", "ineligible"),
        (FIRST, {"labs": {"bilirubin_x_uln": 1.0}}, "thp-docetaxel", "label", "eligible"),
        (
            FIRST,
            {"history": {"hypersensitivity": ["docetaxel"]}},
            "thp-docetaxel",
            "label",
            "ineligible",
        ),
        (
            FIRST,
            {"history": {"hypersensitivity": ["docetaxel"]}},
            "phesgo-docetaxel",
            "label",
            "ineligible",
        ),
        # Embryo-fetal toxicity is a warning of the class, also where no label exists yet.
        (SECOND, IN_PREGNANCY, "trastuzumab-rezetecan", "trial", "ineligible"),
        (SECOND, IN_PREGNANCY, "tdxd-monotherapy", "label", "ineligible"),
        # Symptomatic brain metastases are outside every trial that allowed stable ones only.
        (SECOND, MASS_EFFECT, "tdm1", "trial", "ineligible"),
        (SECOND, MASS_EFFECT, "tucatinib-tdm1", "trial", "ineligible"),
        # Ejection fraction: unknown leaves labels open, trials and guidelines do not ask.
        (SECOND, {"lvef_percent": None}, "tdxd-monotherapy", "label", "undetermined"),
        (SECOND, {"lvef_percent": None}, "tdxd-monotherapy", "guideline", "eligible"),
        # DPYD: untested is undetermined since October 2025.
        (
            "third-line-after-tdxd",
            {"labs": {"dpyd": None}},
            "tucatinib-trastuzumab-capecitabine",
            "label",
            "undetermined",
        ),
        (
            "third-line-after-tdxd",
            {"labs": {"dpyd": "intermediate metaboliser"}},
            "tucatinib-trastuzumab-capecitabine",
            "label",
            "eligible",
        ),
    ],
)
def test_changed_example_gives_expected_verdict(name, patch, regimen, basis, expected):
    found = graph().eligibility(changed(name, **patch), as_of=TODAY)
    verdict = found["regimen_" + regimen.replace("-", "_")]
    assert verdict.by_basis[basis] == expected
    if expected == "undetermined":
        assert verdict.missing


@pytest.mark.parametrize("ish", [None, "not done", "equivocal"])
def test_missing_names_ish_where_it_does_not_decide(ish):
    found = graph().eligibility(changed("ihc-2-without-ish", her2_ish=ish), as_of=TODAY)
    assert found["THP"].verdict == "undetermined"
    assert "her2_ish" in found["THP"].missing


def test_induction_that_ended_for_toxicity_names_what_is_missing():
    record = changed("hr-positive-maintenance")
    record["prior_therapies"][0]["outcome"] = "toxicity"
    del record["prior_therapies"][0]["best_response"]
    verdict = graph().eligibility(record, as_of=TODAY)["regimen_hp_maintenance"]
    assert verdict.verdict == "undetermined"
    assert verdict.missing
