"""Early-stage example patients against verdicts read from the evidence by hand.

An expected file holds, for each early regimen, the verdict by basis over both jurisdictions and,
for the facts that a patient was written for, the reason with its source. A regimen that is not
listed must be ineligible; a basis that is not listed is not compared.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from her2kg import KnowledgeGraph
from her2kg.verdicts import Answers

HERE = Path(__file__).parent
FOLDER = HERE.parent / "ontology" / "examples"
EXPECTED = sorted((HERE / "expected" / "early").glob("*.json"))
NAMES = [path.stem for path in EXPECTED]
# Ovarian suppression makes no claim; menopause, which bisphosphonates ask for, is none of a man's.
NOT_COMPARED = {
    "regimen_component_ovarian_function_suppression",
    "regimen_component_adjuvant_bisphosphonate",
}


@cache
def graph() -> KnowledgeGraph:
    return KnowledgeGraph()


@cache
def answers(name: str) -> Answers:
    patient, _, day = name.partition(".")
    path = FOLDER / f"{patient}.json"
    day = day or json.loads(path.read_text(encoding="utf-8"))["as_of"]
    return graph().eligibility(path, as_of=day)


def expected(path: Path) -> dict[str, dict]:
    return json.loads(path.read_text(encoding="utf-8"))


def any_of(verdicts: list[str]) -> str | None:
    order = ("eligible", "undetermined", "ineligible")
    return next((verdict for verdict in order if verdict in verdicts), None)


def test_every_early_example_has_expected_verdicts():
    patients = {path.stem for path in FOLDER.glob("early-*.json")}
    assert {name.partition(".")[0] for name in NAMES} == patients
    assert len(patients) >= 28


@pytest.mark.parametrize("path", EXPECTED, ids=NAMES)
def test_early_regimens_have_the_verdicts_of_the_evidence(path):
    found = {verdict.regimen: verdict for verdict in answers(path.stem).regimens}
    wrong = []
    for regimen, wanted in expected(path).items():
        got = found.get(regimen)
        if got is None:
            wrong.append(f"{regimen}: not answered")
            continue
        if "verdict" in wanted and got.verdict != wanted["verdict"]:
            wrong.append(f"{regimen}: {got.verdict}, expected {wanted['verdict']}")
        wrong += [
            f"{regimen}, {basis}: {got.by_basis[basis]}, expected {verdict}"
            for basis, verdict in wanted["by_basis"].items()
            if got.by_basis[basis] != verdict
        ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", EXPECTED, ids=NAMES)
def test_other_regimens_are_not_for_early_disease(path):
    listed = set(expected(path)) | NOT_COMPARED
    wrong = [
        f"{verdict.regimen}: {verdict.verdict}"
        for verdict in answers(path.stem).regimens
        if verdict.regimen not in listed and verdict.verdict != "ineligible"
    ]
    assert not wrong, "\n".join(wrong)


def with_parts(reasons):
    """Every reason and the conditions inside it."""
    for reason in reasons:
        yield reason
        yield from with_parts(reason.parts)


@pytest.mark.parametrize("path", EXPECTED, ids=NAMES)
def test_reasons_are_those_of_the_evidence(path):
    found = {verdict.regimen: verdict for verdict in answers(path.stem).regimens}
    wrong = []
    for regimen, wanted in expected(path).items():
        for reason in wanted.get("reasons", []):
            place = reason.get("jurisdiction")
            claims = [
                claim
                for claim in found[regimen].claims
                if claim.basis == reason["basis"] and place in (None, claim.jurisdiction)
            ]
            verdict = any_of([claim.verdict for claim in claims])
            if verdict != reason.get("verdict"):
                wrong.append(f"{regimen}: {verdict}, expected {reason}")
            seen = {
                (each.criterion, each.status)
                for claim in claims
                for each in with_parts(claim.reasons)
            }
            if "criterion" in reason and (reason["criterion"], reason["status"]) not in seen:
                wrong.append(f"{regimen}: no reason {reason}")
            if "missing" in reason and not any(
                path.startswith(reason["missing"]) for path in found[regimen].missing
            ):
                wrong.append(f"{regimen}: {reason['missing']} is not named as missing")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_scope_is_outside_for_in_situ_disease_and_children(name):
    wanted = "outside" if name in ("early-dcis-only", "early-age-17") else "inside"
    assert answers(name).scope == wanted
