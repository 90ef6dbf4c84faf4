"""Verdicts of claims and regimens from the truth of classes: the last step of an answer.

It follows `queries/eligibility/claim-verdicts.rq` and `her2kg/eligibility.py`, and is held against
them in `test_mutants.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from mutation import Mutant, local
from truth import MET, UNMET

from her2kg import KnowledgeGraph

BASES = ("label", "guideline", "trial")
ORDER = ("eligible", "undetermined", "ineligible")


@dataclass(frozen=True)
class Claim:
    regimen: str
    population: str
    basis: str
    jurisdiction: str | None
    start: date
    end: date | None


@dataclass(frozen=True)
class Rule:
    kinds: frozenset[str]
    targets: frozenset[str]
    patient_class: str
    territory: str | None
    start: date | None


@dataclass(frozen=True)
class Model:
    """Claims and safety rules, each by local name."""

    claims: dict[str, Claim]
    rules: dict[str, Rule]
    drugs: dict[str, frozenset[str]]  # of each regimen
    codes: dict[str, str]  # notations of bases and jurisdictions

    def changed(self, mutant: Mutant) -> Model:
        """The model with one claim or rule changed."""
        new = mutant.new
        if mutant.group == "claim":
            claim = self.claims[mutant.subject]
            fields = {
                "validFrom": lambda: {"start": new},
                "validUntil": lambda: {"end": new},
                "basis": lambda: {"basis": self.codes[local(new)]},
                "jurisdiction": lambda: {"jurisdiction": self.codes[local(new)]},
                "population": lambda: {"population": str(new)},
                "setting": dict,
            }[mutant.prop]()
            return replace(self, claims=self.claims | {mutant.subject: replace(claim, **fields)})
        if mutant.subject not in self.rules:
            return self
        rule = self.rules[mutant.subject]
        old = local(str(mutant.old))
        fields = {
            "a": lambda: {"kinds": rule.kinds - {old} | {local(new)}},
            "appliesTo": lambda: {"targets": rule.targets - {old} | {local(new)}},
            "patientClass": lambda: {"patient_class": str(new)},
            "jurisdiction": lambda: {"territory": self.codes[local(new)]},
            "validFrom": lambda: {"start": new},
        }[mutant.prop]()
        return replace(self, rules=self.rules | {mutant.subject: replace(rule, **fields)})

    def conditions(self) -> dict[str, list[tuple[str, str, bool, date | None]]]:
        """For each claim, the safety rules: name, class, whether it is wanted, first day."""
        found: dict[str, list[tuple[str, str, bool, date | None]]] = {c: [] for c in self.claims}
        by_target: dict[str, list[str]] = defaultdict(list)
        for name, rule in self.rules.items():
            for target in rule.targets:
                by_target[target].append(name)
        for name, claim in self.claims.items():
            targets = {name, claim.regimen, *self.drugs.get(claim.regimen, ())}
            for rule_name in sorted({r for t in targets for r in by_target.get(t, ())}):
                rule = self.rules[rule_name]
                if rule.territory is not None and rule.territory != claim.jurisdiction:
                    continue
                if "Contraindication" in rule.kinds:
                    found[name].append((rule_name, rule.patient_class, False, rule.start))
                if "RequirementToKnow" in rule.kinds and claim.basis == "label":
                    found[name].append((rule_name, rule.patient_class, True, rule.start))
        return found

    def cautions(self) -> dict[str, list[tuple[str, str, frozenset[str]]]]:
        """For each regimen, the cautions: name, class, the claims that it is confined to."""
        found: dict[str, list[tuple[str, str, frozenset[str]]]] = defaultdict(list)
        claims_of: dict[str, set[str]] = defaultdict(set)
        for name, claim in self.claims.items():
            claims_of[claim.regimen].add(name)
        for regimen in set(claims_of) | set(self.drugs):
            for name, rule in self.rules.items():
                if "Caution" not in rule.kinds:
                    continue
                confined = rule.targets & claims_of[regimen]
                if confined or regimen in rule.targets or rule.targets & self.drugs[regimen]:
                    found[regimen].append((name, rule.patient_class, frozenset(confined)))
        return dict(found)


def read(kg: KnowledgeGraph) -> Model:
    """The claims and rules of a graph."""

    def rows(sparql: str) -> list[tuple[Any, ...]]:
        return kg.select(sparql).rows

    codes = {
        x.local: code
        for x, code in rows("SELECT ?x ?n WHERE { ?x a owl:NamedIndividual ; skos:notation ?n }")
    }
    claims = {
        c.local: Claim(r.local, str(p), codes[b.local], codes[j.local] if j else None, start, end)
        for c, r, p, b, j, start, end in rows("""
        SELECT ?c ?r ?p ?b ?j ?from ?until WHERE {
          ?c her2kg:ofRegimen ?r ; her2kg:population ?p ; her2kg:basis ?b ; her2kg:validFrom ?from
          OPTIONAL { ?c her2kg:jurisdiction ?j } OPTIONAL { ?c her2kg:validUntil ?until } }""")
    }
    drugs: dict[str, set[str]] = defaultdict(set)
    for regimen, drug in rows("SELECT ?r ?d WHERE { ?r her2kg:givesDrug ?d }"):
        drugs[regimen.local].add(drug.local)
    found: dict[str, dict[str, Any]] = {}
    for rule, kind, target, criterion, place, start in rows("""
        SELECT ?rule ?kind ?target ?class ?place ?from WHERE {
          ?rule her2kg:patientClass ?class ; her2kg:appliesTo ?target ; a ?kind .
          ?kind rdfs:subClassOf* her2kg:SafetyRule
          OPTIONAL { ?rule her2kg:jurisdiction ?place } OPTIONAL { ?rule her2kg:validFrom ?from } }"""):
        each = found.setdefault(
            rule.local, {"kinds": set(), "targets": set(), "class": str(criterion)}
        )
        each["kinds"].add(kind.local)
        each["targets"].add(target.local)
        each["place"], each["start"] = codes[place.local] if place else None, start
    return Model(
        claims=claims,
        rules={
            name: Rule(
                frozenset(each["kinds"]),
                frozenset(each["targets"]),
                each["class"],
                each["place"],
                each["start"],
            )
            for name, each in found.items()
        },
        drugs=defaultdict(frozenset, {r: frozenset(d) for r, d in drugs.items()}),
        codes=codes,
    )


def best(verdicts: Iterable[str], none: str | None = "ineligible") -> str | None:
    found = set(verdicts)
    return next((verdict for verdict in ORDER if verdict in found), none)


class Judge:
    """Judges one model; keeps what does not depend on a patient."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.conditions = model.conditions()
        self.cautions = model.cautions()

    def differences(self, other: Judge) -> set[str]:
        """Claims and regimens of which the other judge may say something else."""
        found = {
            name
            for name, claim in self.model.claims.items()
            if claim != other.model.claims[name] or self.conditions[name] != other.conditions[name]
        }
        found |= {self.model.claims[name].regimen for name in found}
        regimens = set(self.cautions) | set(other.cautions)
        return found | {r for r in regimens if self.cautions.get(r) != other.cautions.get(r)}

    def claim(self, name: str, status: Callable[[str], str], day: date) -> str | None:
        """The verdict of a claim, None where it is not valid on the day."""
        claim = self.model.claims[name]
        if day < claim.start or (claim.end is not None and day >= claim.end):
            return None
        found = [status(claim.population)]
        for _, criterion, wanted, start in self.conditions[name]:
            if start is None or start <= day:
                each = status(criterion)
                found.append(each if wanted else {MET: UNMET, UNMET: MET}.get(each, each))
        if UNMET in found:
            return "ineligible"
        return "eligible" if set(found) == {MET} else "undetermined"

    def regimens(
        self, status: Callable[[str], str], day: date, places: Iterable[str], wanted=None
    ) -> dict[str, dict[str, Any]]:
        """What an expected file says of each regimen, but for what is missing."""
        groups: dict[str, list[str]] = defaultdict(list)
        places = set(places)
        for name, claim in self.model.claims.items():
            if claim.jurisdiction is None or claim.jurisdiction in places:
                groups[claim.regimen].append(name)
        found = {}
        for regimen, names in groups.items():
            if wanted is not None and regimen not in wanted:
                continue
            verdicts = {n: self.claim(n, status, day) for n in names}
            valid = {n: v for n, v in verdicts.items() if v is not None}
            still_open = {n for n, v in valid.items() if v != "ineligible"}
            found[regimen] = {
                "verdict": best(valid.values()),
                "by_basis": {
                    basis: best(
                        (v for n, v in valid.items() if self.model.claims[n].basis == basis), None
                    )
                    for basis in BASES
                },
                "cautions": sorted(
                    rule
                    for rule, criterion, confined in self.cautions.get(regimen, ())
                    if status(criterion) == MET and (not confined or confined & still_open)
                ),
                "contraindications": sorted(
                    {
                        rule
                        for n in valid
                        for rule, criterion, needed, start in self.conditions[n]
                        if not needed
                        and (start is None or start <= day)
                        and status(criterion) == MET
                    }
                ),
            }
        return found
