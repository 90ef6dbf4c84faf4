"""Change the ontology in thousands of small ways and count the changes that the tests notice.

    python -m tests.mutants [--class NAME] [--sample N --seed S] [-o result.json]

Each mutant is one change of one criterion, population, safety rule or claim (`mutation.py`). The
classes are judged in memory (`truth.py`), the assertions are those of the test files
(`mutant_checks.py`). Nothing is written to `ontology/`. docs/agreement.md explains the figures.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))

import claim_model
import mutant_checks as checks
import test_registers
from graph_edit import edited
from mutant_checks import Case
from mutation import Generator, Mutant
from truth import Knowledge, Truth
from truth_data import Records, individuals, knowledge

from her2kg import KnowledgeGraph
from her2kg.errors import did_you_mean
from her2kg.files import replace_text
from her2kg.namespaces import BASE

EQUIVALENT = Path(__file__).parent / "data" / "equivalent-mutants.csv"
GOAL = 95.0


@dataclass(frozen=True)
class Result:
    """What became of one mutant: killed by rows or examples, by a register, equivalent, alive."""

    mutant: str
    group: str
    kind: str
    outcome: str
    by: str


def equivalents() -> dict[str, str]:
    """Mutants that change nothing that a patient could show, with the reason."""
    with EQUIVALENT.open(encoding="utf-8", newline="") as file:
        return {row["mutant"]: row["reason"] for row in csv.DictReader(file)}


class Lab:
    """One unchanged ontology, the assertions, and the truth of their records."""

    def __init__(self, report=lambda text: None) -> None:
        self.kg = KnowledgeGraph()
        self.knowledge = knowledge(self.kg)
        self.generator = Generator(self.kg, self.knowledge)
        self.model = claim_model.read(self.kg)
        self.judge = claim_model.Judge(self.model)
        self.records = Records(self.kg)
        self.cases = checks.cases()
        self.by_class = checks.by_class(self.cases)
        self.verdict_cases = [case for case in self.cases if case.judges]
        self.used = checks.class_use(self.judge)
        self.report = report
        self._individuals = Truth(self.knowledge, individuals(self.kg))
        for x in self._individuals.met:
            self._individuals.met[x] |= self.knowledge.met.get(x, frozenset())
            self._individuals.unmet[x] |= self.knowledge.unmet.get(x, frozenset())
        self._truths: dict[str, Truth] = {}

    def truth(self, text: str) -> Truth:
        """The truth of all classes for one record of the unchanged ontology."""
        if text not in self._truths:
            (facts,) = self.records.facts([text]).values()
            truth = Truth(self.knowledge, facts)
            truth.settle()
            self._truths[text] = truth
        return self._truths[text]

    def prepare(self) -> None:
        """Derive the facts of every record at once, with progress."""
        self.records.facts(
            [case.text for case in self.cases],
            lambda done, of: self.report(f"records derived: {done} of {of}"),
        )

    def names(self) -> list[str]:
        """What can be changed: classes, claims, rules."""
        classes = [name.removeprefix(BASE) for name in self.generator.defined]
        return [*classes, *self.generator.claims, *sorted(self.generator.rules)]

    def mutants(self, name: str | None = None) -> list[Mutant]:
        """Every mutant, or those of one class, claim or rule."""
        if name is None:
            return list(self.generator.all())
        if BASE + name in self.generator.defined:
            return list(self.generator.of_class(BASE + name))
        if name in self.generator.claims:
            return list(self.generator.of_claim(name))
        return list(self.generator.of_rule(name))

    # Killing

    def try_out(self, mutant: Mutant) -> tuple[str, str]:
        """The outcome of one mutant, and the first assertion that fails."""
        if mutant.group == "class":
            found = self._kill_class(mutant)
            return ("killed", found) if found else ("survived", "")
        judge = claim_model.Judge(self.model.changed(mutant))
        touched = self.judge.differences(judge)
        for case in self.verdict_cases if touched else ():
            found = checks.broken(case, self.truth(case.text), judge, set(), touched)
            if found:
                return "killed", f"{case.source}: {found}"
        found = self._register(mutant)
        return ("register", found) if found else ("survived", "")

    def _kill_class(self, mutant: Mutant) -> str | None:
        name = BASE + mutant.subject
        changed = self.knowledge.changed(mutant.nodes)
        own = {*self.generator.own(name), *mutant.nodes}
        # An expression that something else can meet or refute settles its parts too.
        own |= {p for node in list(own) if changed.pushes(node) for p in changed.nodes[node].parts}
        affected = self.knowledge.resting_on(mutant.nodes) | changed.resting_on(mutant.nodes) | own
        changed = self._individuals_changed(own, changed)
        for case in self._cases_for(name, affected):
            truth = self.truth(case.text)
            truth.knowledge = changed
            try:
                found = self._breaks(case, own, affected)
            finally:
                truth.knowledge = self.knowledge
            if found:
                return f"{case.source}: {found}"
        return None

    def _individuals_changed(self, own: set[str], changed: Knowledge) -> Knowledge:
        """The knowledge after the change: unnamed classes may also be of drugs and values."""
        truth = self._individuals
        saved = truth.save(own)
        truth.knowledge = changed
        truth.settle(own)
        met, unmet = dict(self.knowledge.met), dict(self.knowledge.unmet)
        for x, (had, lacked) in zip(truth.met, saved, strict=True):
            if truth.met[x] & own != had or truth.unmet[x] & own != lacked:
                met[x] = met.get(x, frozenset()) - own | truth.met[x] & own
                unmet[x] = unmet.get(x, frozenset()) - own | truth.unmet[x] & own
        truth.restore(saved, own)
        truth.knowledge = self.knowledge
        changed.met, changed.unmet = met, unmet
        return changed

    def _cases_for(self, name: str, affected: set[str]) -> Iterable[Case]:
        """Cases that the change could break, those about the class itself first."""
        seen: set[int] = set()
        order = [name, *sorted(affected - {name})]
        for each in order:
            for case in self.by_class.get(each, ()):
                if id(case) not in seen:
                    seen.add(id(case))
                    yield case
        if affected & self.used.keys():
            for case in self.verdict_cases:
                if id(case) not in seen:
                    yield case

    def _breaks(self, case: Case, own: set[str], affected: set[str]) -> str | None:
        truth = self.truth(case.text)
        if any(truth.conflicting.values()):  # what conflicts is settled in two steps, all at once
            truth = truth.copy()
            truth.settle()
            return checks.broken(case, truth, self.judge, affected)
        saved = truth.save(affected)
        before = truth.save(own)
        know = truth.knowledge
        held_up = any(know.pushes(user) for node in own for user in know.wholes(node))
        try:
            if not held_up:
                truth.settle(own)
                if truth.save(own) == before and not any(truth.conflicting.values()):
                    return None
                truth.restore(saved, affected)
            used = affected & self.used.keys() if case.judges else set()
            stood = {name: truth.status(name) for name in used}
            truth.settle(affected)
            moved = [self.used[name] for name in used if truth.status(name) != stood[name]]
            touched = set().union(*moved)
            return checks.broken(case, truth, self.judge, affected, touched)
        finally:
            truth.restore(saved, affected)

    def _register(self, mutant: Mutant) -> str | None:
        """The register that no longer agrees, with the graph really changed."""
        with edited(self.kg, mutant):
            same = test_registers.found(self.kg, mutant.group) == test_registers.written(
                mutant.group
            )
        return None if same else test_registers.path(mutant.group).name


# Command


def run(lab: Lab, mutants: list[Mutant], report=lambda text: None) -> list[Result]:
    """Try every mutant out."""
    same = equivalents()
    found, start = [], time.monotonic()
    for done, mutant in enumerate(mutants):
        if done % 200 == 0 and done:
            took = time.monotonic() - start
            alive = sum(result.outcome == "survived" for result in found)
            report(f"{done} of {len(mutants)} mutants, {alive} alive, {took:.0f} s")
        outcome, by = lab.try_out(mutant)
        if mutant.name in same and outcome == "survived":
            outcome, by = "equivalent", same[mutant.name]
        found.append(Result(mutant.name, mutant.group, mutant.kind, outcome, by))
    return found


def score(results: list[Result]) -> float:
    """Killed mutants, in percent of those that are not equivalent."""
    counted = [result for result in results if result.outcome != "equivalent"]
    killed = [result for result in counted if result.outcome != "survived"]
    return 100 * len(killed) / len(counted) if counted else 100.0


def table(results: list[Result], populations: set[str]) -> str:
    """Counts by kind of change as a Markdown table."""
    rows: dict[tuple[str, str], Counter] = defaultdict(Counter)
    for result in results:
        group = result.group
        if group == "class":
            subject = result.mutant.split(" ", 1)[0]
            group = "population" if BASE + subject in populations else "criterion"
        for key in ((group, result.kind), (group, "all"), ("all", "all")):
            rows[key][result.outcome] += 1
    text = [
        "| of | change | mutants | rows and examples | register | equivalent | alive | score |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for (group, kind), counts in sorted(rows.items(), key=lambda row: (row[0][0], row[0][1])):
        total = sum(counts.values())
        base = total - counts["equivalent"]
        share = 100 * (base - counts["survived"]) / base if base else 100.0
        cells = [counts["killed"], counts["register"], counts["equivalent"], counts["survived"]]
        shown = " | ".join(str(cell) for cell in cells)
        text.append(f"| {group} | {kind} | {total} | {shown} | {share:.1f} % |")
    return "\n".join(text)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--class", dest="name", help="one class, claim or safety rule")
    parser.add_argument("--sample", type=int, help="this many mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample; 0 if left out")
    parser.add_argument("-o", "--output", type=Path, help="write every outcome as JSON")
    given = parser.parse_args(arguments)
    if given.sample is not None and given.sample < 1:
        return _refuse(f"--sample {given.sample}: give a whole number from 1")
    if given.output and not given.output.absolute().parent.is_dir():
        return _refuse(f"{given.output}: the folder does not exist; make it, then try again")

    def report(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    lab = Lab(report)
    if given.name is not None and given.name not in lab.names():
        near = did_you_mean(given.name, lab.names())
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        return _refuse(f"{given.name}: no class with a definition, claim or safety rule{hint}")
    lab.prepare()
    mutants = lab.mutants(given.name)
    if given.sample is not None and given.sample < len(mutants):
        mutants = random.Random(given.seed).sample(mutants, given.sample)
    results = run(lab, mutants, report)
    if given.output:
        rows = json.dumps([asdict(result) for result in results], indent=1, ensure_ascii=False)
        replace_text(given.output, rows + "\n")
    print(table(results, set(lab.generator._populations)))
    for result in results:
        if result.outcome == "survived":
            print(f"alive: {result.mutant}")
    print(f"score: {score(results):.2f} % of the mutants that are not equivalent")
    return 0 if score(results) >= GOAL else 1


def _refuse(text: str) -> int:
    print(text, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
