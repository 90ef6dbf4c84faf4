"""What the tests assert, in a form that thousands of changed ontologies can be held against.

Every check repeats an assertion of a test file; what a test asserts beyond these (reasons, missing
facts, other questions) is left out, so a mutant counted as killed is killed by a real test.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import test_claims
import test_criteria
import test_early_examples
import test_examples
import test_queries
from claim_model import Judge
from mutation import local
from truth import CONFLICTING, Truth

from her2kg.namespaces import BASE

HERE = Path(__file__).parent
DEFAULT_PLACES = ("US", "EU")
CLAIM_VERDICTS = [c for c in test_queries.CASES if c.startswith("eligibility/claim-verdicts.")]


@dataclass
class Case:
    """One record and what is asserted of it."""

    text: str
    source: str
    statuses: dict[str, str] = field(default_factory=dict)  # class: status
    no_conflict: bool = False
    day: date | None = None
    places: tuple[str, ...] = DEFAULT_PLACES
    regimens: dict[str, dict[str, Any]] = field(default_factory=dict)
    rest_ineligible: frozenset[str] | None = None  # all but these
    claims: dict[str, str] = field(default_factory=dict)
    exact: bool = False  # `claims` names every claim that is valid on the day

    @property
    def judges(self) -> bool:
        return self.day is not None


def _record(patch: dict[str, Any]) -> str:
    return json.dumps(test_criteria.patched(test_criteria.BASE_RECORD, patch))


def criterion_cases() -> list[Case]:
    """The rows of `test_criteria.py`, one case a record."""
    found: dict[str, Case] = {}

    def case(text: str) -> Case:
        return found.setdefault(text, Case(text, "test_criteria.py"))

    for name, parts in test_criteria.TABLE.items():
        for wanted, patches in zip(("met", "unmet", "unknown"), parts, strict=True):
            for patch in patches:
                each = case(_record(patch))
                each.statuses[BASE + name] = wanted
                each.no_conflict = True
    for vector in test_criteria.VECTORS:
        _her2(case(_record(test_criteria.counted(*vector[:4]))), vector[4])
    for patch, expected in test_criteria.COUNTING:
        _her2(case(_record(patch)), expected)
    contradicted = test_criteria.test_statements_that_contradict_one_another_are_conflicting
    for name, patch in _parameters(contradicted):
        case(_record(patch)).statuses[BASE + name] = CONFLICTING
    return list(found.values())


def _her2(case: Case, expected: str) -> None:
    for name, status in zip(
        ("Her2PositivePatient", "Her2NegativePatient"), test_criteria.TRUTH[expected], strict=True
    ):
        case.statuses[BASE + name] = status


def _parameters(test: Any) -> list[tuple[Any, ...]]:
    """The values that a test is parametrised with."""
    (mark,) = [mark for mark in test.pytestmark if mark.name == "parametrize"]
    return list(mark.args[1])


def example_cases() -> list[Case]:
    """The example patients with their expected files."""
    found = []
    for path in test_examples.EXPECTED:
        name, _, day = path.stem.partition(".")
        found.append(
            Case(
                text=(test_examples.FOLDER / f"{name}.json").read_text(encoding="utf-8"),
                source=f"expected/verdicts/{path.name}",
                day=date.fromisoformat(day or test_examples.TODAY),
                regimens={
                    regimen: {part: each[part] for part in each if part != "missing"}
                    for regimen, each in json.loads(path.read_text(encoding="utf-8")).items()
                },
            )
        )
    for path in test_early_examples.EXPECTED:
        name, _, day = path.stem.partition(".")
        text = (test_early_examples.FOLDER / f"{name}.json").read_text(encoding="utf-8")
        expected = test_early_examples.expected(path)
        found.append(
            Case(
                text=text,
                source=f"expected/early/{path.name}",
                day=date.fromisoformat(day or json.loads(text)["as_of"]),
                regimens={
                    regimen: {part: each[part] for part in ("verdict", "by_basis") if part in each}
                    for regimen, each in expected.items()
                },
                rest_ineligible=frozenset(expected) | test_early_examples.NOT_COMPARED,
            )
        )
    changed = test_examples.test_changed_example_gives_expected_verdict
    for name, patch, regimen, basis, verdict in _parameters(changed):
        regimen = "regimen_" + regimen.replace("-", "_")
        found.append(
            Case(
                text=json.dumps(test_examples.changed(name, **patch)),
                source=f"test_examples.py, {name} changed",
                day=date.fromisoformat(test_examples.TODAY),
                regimens={regimen: {"by_basis": {basis: verdict}}},
            )
        )
    return found


def question_cases() -> list[Case]:
    """The query patient with the verdict of every claim."""
    found = []
    for name in CLAIM_VERDICTS:
        case = test_queries.read_case(name)
        found.append(
            Case(
                text=test_queries.PATIENT.read_text(encoding="utf-8"),
                source=f"expected/{name}",
                day=date.fromisoformat(case.parameters["asOf"][0]),
                claims=dict(case.rows),
                exact=True,
            )
        )
    return found


def claim_cases() -> list[Case]:
    """The rows of `test_claims.py`: example patients near the edge of a population."""
    return [
        Case(
            text=test_claims.record_text(row),
            source=f"test_claims.py, {name}",
            day=date.fromisoformat(row["as_of"]),
            claims=row["claims"],
            statuses={BASE + each: status for each, status in row.get("populations", {}).items()},
        )
        for name, row in test_claims.ROWS.items()
    ]


@cache
def cases() -> list[Case]:
    return [*criterion_cases(), *example_cases(), *question_cases(), *claim_cases()]


def broken(
    case: Case,
    truth: Truth,
    judge: Judge,
    only: set[str] | None = None,
    touched: set[str] | None = None,
) -> str | None:
    """The first assertion of a case that fails, in a few words; None if all hold.

    `only` are the nodes that may have changed, `touched` the claims and regimens.
    """
    for name, wanted in case.statuses.items():
        if (only is None or name in only) and truth.status(name) != wanted:
            return f"{local(name)} is {truth.status(name)}, expected {wanted}"
    if case.no_conflict:
        x = truth.facts.patient
        clash = truth.conflicting[x] | (truth.met[x] & truth.unmet[x])
        named = sorted(local(each) for each in clash if each.startswith(BASE))
        if named:
            return f"{named[0]} is conflicting"
    return _verdicts_broken(case, truth, judge, touched) if case.judges else None


def _verdicts_broken(
    case: Case, truth: Truth, judge: Judge, touched: set[str] | None
) -> str | None:
    if case.claims:
        names = judge.model.claims if case.exact else case.claims
        for name in names if touched is None else touched.intersection(names):
            verdict = (
                judge.claim(name, truth.status, case.day) if name in judge.model.claims else None
            )
            if verdict != case.claims.get(name):
                return f"{name} is {verdict}, expected {case.claims.get(name)}"
    if not case.regimens and case.rest_ineligible is None:
        return None
    wanted = None if case.rest_ineligible is not None else case.regimens
    if touched is not None:
        wanted = touched if wanted is None else touched.intersection(wanted)
    found = judge.regimens(truth.status, case.day, case.places, wanted)
    for regimen, expected in case.regimens.items():
        if touched is not None and regimen not in touched:
            continue
        if regimen not in found:
            return f"{regimen} is not answered"
        for part, value in expected.items():
            got = found[regimen][part]
            if part == "by_basis":
                got = {basis: got[basis] for basis in value}
            if got != value:
                return f"{regimen}: {part} is {got}"
    for regimen, got in found.items():
        listed = case.rest_ineligible
        if listed is not None and regimen not in listed and got["verdict"] != "ineligible":
            return f"{regimen} is {got['verdict']}"
    return None


def class_use(judge: Judge) -> dict[str, set[str]]:
    """The claims and regimens whose verdict or cautions rest directly on each class."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, claim in judge.model.claims.items():
        for criterion in (claim.population, *(each[1] for each in judge.conditions[name])):
            found[criterion] |= {name, claim.regimen}
    for regimen, cautions in judge.cautions.items():
        for _, criterion, _ in cautions:
            found[criterion].add(regimen)
    return dict(found)


def by_class(found: list[Case]) -> dict[str, list[Case]]:
    """The cases that assert the status of each class."""
    index: dict[str, list[Case]] = defaultdict(list)
    for case in found:
        for name in case.statuses:
            index[name].append(case)
    return dict(index)
