"""Facts that contradict each other count as unknown, and both are shown."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from her2kg import KnowledgeGraph

EXAMPLE = Path(__file__).parent.parent / "ontology" / "examples" / "early-neoadjuvant-2-1-cm.json"
PLAIN = {"clinical_tumor_size_cm": None, "tumor_size_cm": None, "stage": None}


@cache
def graph() -> KnowledgeGraph:
    return KnowledgeGraph()


def answer(**changes):
    record = json.loads(EXAMPLE.read_text(encoding="utf-8")) | PLAIN | changes
    return graph().eligibility({key: value for key, value in record.items() if value is not None})


@pytest.mark.parametrize("nodes", ["", "cN0 "], ids=["nodes unknown", "node-negative"])
def test_size_outside_its_category_leaves_the_claim_undetermined(nodes):
    found = answer(tnm=f"cT2 {nodes}M0", clinical_tumor_size_cm=1.5)["TCHP"]
    assert found.by_basis["label"] == "undetermined"


def test_contradiction_is_shown_as_conflicting():
    found = answer(tnm="cT2 cN0 M0", clinical_tumor_size_cm=1.5)["TCHP"]
    statuses = {reason.criterion: reason.status for reason in found.reasons}
    assert statuses["NeoadjuvantPertuzumabDiseasePatient"] == "conflicting"


def test_inflammatory_disease_against_its_category_is_not_met():
    found = answer(tnm="cT1c cN0 M0", inflammatory=True)["TCHP"]
    assert found.by_basis["label"] == "undetermined"


def test_another_fact_still_decides():
    """Positive nodes meet the claim whatever the size is."""
    found = answer(tnm="cT2 cN1 M0", nodes="cN1", clinical_tumor_size_cm=1.5)["TCHP"]
    assert found.by_basis["label"] == "eligible"
