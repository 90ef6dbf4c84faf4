"""Changes of the ontology that the tests must notice; all of them are counted by `mutants.py`."""

from __future__ import annotations

import json
import random
from datetime import date
from functools import cache
from pathlib import Path

import mutants
import pytest
from claim_model import Judge
from mutants import Lab
from mutation import CLASS_KINDS, KINDS, Mutant
from truth import Truth

from her2kg.namespaces import BASE

EXAMPLES = Path(__file__).parent.parent / "ontology" / "examples"
SEED = 20261122
# Kinds of which the ontology holds too few to draw from.
PER_KIND = 2


@cache
def lab() -> Lab:
    return Lab()


@cache
def by_kind() -> dict[str, list[Mutant]]:
    found: dict[str, list[Mutant]] = {kind: [] for kind in KINDS}
    for mutant in lab().mutants():
        found[mutant.kind].append(mutant)
    return found


def drawn(kind: str) -> list[Mutant]:
    """A few mutants of one kind, the same each time for the same ontology."""
    known = mutants.equivalents()
    names = sorted((m for m in by_kind()[kind] if m.name not in known), key=lambda m: m.name)
    return random.Random(f"{SEED} {kind}").sample(names, min(PER_KIND, len(names)))


def test_every_kind_of_change_is_made():
    assert [kind for kind, found in by_kind().items() if not found] == []


def test_mutants_have_names_of_their_own():
    names = [mutant.name for mutant in lab().mutants()]
    assert len(names) == len(set(names))


def test_every_class_claim_and_rule_is_changed():
    changed = {mutant.subject for mutant in lab().mutants()}
    assert set(lab().names()) - changed == UNCHANGED


# What can only be written as it is: a rule without drug, class or another kind has still its kind;
# "has a value" has no limit to shift.
UNCHANGED = {
    "BilirubinKnownPatient",
    "LvefKnownPatient",
    "PlateletsKnownPatient",
}


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_mutants_are_noticed(kind):
    alive = [m.name for m in drawn(kind) if lab().try_out(m)[0] == "survived"]
    assert not alive, "no test notices:\n" + "\n".join(alive)


def test_equivalent_mutants_exist_and_have_a_reason():
    names = {mutant.name for mutant in lab().mutants()}
    known = mutants.equivalents()
    assert set(known) - names == set(), "the change is no longer made: renew the file"
    assert all(len(reason) > 20 for reason in known.values())


def test_unchanged_ontology_breaks_nothing():
    """A sample of the assertions holds in memory too, or every mutant would look killed."""
    cases = random.Random(SEED).sample(lab().cases, 40)
    wrong = [
        f"{case.source}: {found}"
        for case in cases
        if (found := mutants.checks.broken(case, lab().truth(case.text), lab().judge))
    ]
    assert not wrong, "\n".join(wrong)


def test_memory_agrees_with_the_rules():
    """Every class of every record of a sample: the same status by `queries/inference/`."""
    texts = [case.text for case in random.Random(SEED + 1).sample(lab().cases, 40)]
    wrong = []
    for facts, statuses in lab().records.judged(texts):
        truth = Truth(lab().knowledge, facts)
        truth.settle()
        for name in {*lab().knowledge.nodes, *statuses}:
            if name.startswith(BASE):
                found, wanted = truth.status(name), statuses.get(name, "unknown")
                if found != wanted:
                    wrong.append(f"{name}: {found}, by the rules {wanted}")
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.parametrize("name", ["second-line-after-thp", "early-pcr", "pregnant"])
def test_memory_gives_the_verdicts_of_the_answer(name):
    text = (EXAMPLES / f"{name}.json").read_text(encoding="utf-8")
    answers = lab().kg.eligibility(json.loads(text), as_of="2026-11-22")
    found = Judge(lab().model).regimens(
        lab().truth(text).status, date(2026, 11, 22), answers.jurisdictions
    )
    assert found == {
        each.regimen: {
            "verdict": each.verdict,
            "by_basis": each.by_basis,
            "cautions": sorted(note.rule for note in each.cautions),
            "contraindications": sorted(note.rule for note in each.contraindications),
        }
        for each in answers.regimens
    }


@pytest.mark.parametrize("kind", CLASS_KINDS)
def test_change_leaves_no_trace(kind):
    mutant = by_kind()[kind][0]
    case = (
        lab().by_class[BASE + mutant.subject][0]
        if BASE + mutant.subject in lab().by_class
        else lab().cases[0]
    )
    truth = lab().truth(case.text)
    before = ({x: set(found) for x, found in truth.met.items()}, dict(truth.unmet))
    lab().try_out(mutant)
    assert ({x: set(found) for x, found in truth.met.items()}, dict(truth.unmet)) == before


def test_register_notices_and_the_graph_is_as_it_was():
    mutant = next(m for m in by_kind()["from-later"])
    before = len(lab().kg.engine.select("SELECT ?s ?p ?o WHERE { ?s ?p ?o }").rows)
    assert lab()._register(mutant) == "register-claims.csv"
    after = len(lab().kg.engine.select("SELECT ?s ?p ?o WHERE { ?s ?p ?o }").rows)
    assert after == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--class", "LvefAtLeast5Patient"], "no class with a definition, claim or safety rule"),
        (["--sample", "0"], "give a whole number from 1"),
        (["-o", "no-such-folder/result.json"], "the folder does not exist"),
    ],
)
def test_wrong_input_is_one_sentence_and_status_2(arguments, words, capsys):
    assert mutants.main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error
    assert len(error.strip().splitlines()) == 1


def test_command_writes_outcomes(tmp_path, capsys):
    target = tmp_path / "result.json"
    assert mutants.main(["--class", "LvefAtLeast50Patient", "-o", str(target)]) == 0
    rows = json.loads(target.read_text(encoding="utf-8"))
    assert {row["outcome"] for row in rows} == {"killed"}
    assert len(rows) == 4
    assert "score: 100.00 %" in capsys.readouterr().out
