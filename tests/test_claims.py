"""Claims at their edges: example patients with one fact changed, and the claims that turn on it.

A row of `data/claim-rows.json` names an example (the plain record of `test_criteria.py` where it
names none), what is changed in it (null takes a field out),
the day, and the verdicts of the claims for which that patient is just inside or just outside.
`populations` holds the status of a population where the verdict cannot show it, because a safety
rule says the same. The rows were found by changing every population a little (`mutants.py`): each
tells at least one claim from a near miss of itself, and they say what the claim says, no more.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from test_criteria import BASE_RECORD, evaluated, patched

from her2kg import KnowledgeGraph

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "ontology" / "examples"
ROWS: dict[str, dict[str, Any]] = json.loads(
    (HERE / "data" / "claim-rows.json").read_text(encoding="utf-8")
)


@cache
def graph() -> KnowledgeGraph:
    return KnowledgeGraph()


def record_text(row: dict[str, Any]) -> str:
    """The record of a row: the example with the change laid over it."""
    if not row["patient"]:
        return json.dumps(patched(BASE_RECORD, row["change"]))
    text = (EXAMPLES / f"{row['patient']}.json").read_text(encoding="utf-8")
    return json.dumps(patched(json.loads(text), row["change"]))


@pytest.mark.parametrize("name", ROWS)
def test_claims_at_their_edge(name):
    row = ROWS[name]
    codes = [code for _, code, _ in graph().query("terms/jurisdictions").rows]
    found = graph().eligibility(
        json.loads(record_text(row)), as_of=row["as_of"], jurisdictions=codes
    )
    verdicts = {claim.claim: claim.verdict for each in found.regimens for claim in each.claims}
    wrong = [
        f"{claim} is {verdicts.get(claim, 'not valid')}, expected {wanted}"
        for claim, wanted in row["claims"].items()
        if verdicts.get(claim) != wanted
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if "populations" in row])
def test_populations_at_their_edge(name):
    statuses = evaluated(record_text(ROWS[name]))
    wrong = [
        f"{population} is {statuses.get(population, 'unknown')}, expected {wanted}"
        for population, wanted in ROWS[name]["populations"].items()
        if statuses.get(population, "unknown") != wanted
    ]
    assert not wrong, "\n".join(wrong)


def test_every_claim_is_eligible_for_some_row():
    """A claim that suits nobody would pass every test about whom it does not suit."""
    proved = {
        claim
        for row in ROWS.values()
        for claim, verdict in row["claims"].items()
        if verdict == "eligible"
    }
    claims = graph().select("SELECT ?c WHERE { ?c her2kg:population ?p ; her2kg:basis ?b }").rows
    assert {claim.local for (claim,) in claims} - proved == set()
