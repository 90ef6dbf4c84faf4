"""Verdicts with reasons: derive, infer, then turn rows into records.

The record is added to the graph, `queries/derivation/` and `queries/inference/` run on it, the
questions of `queries/eligibility/` are asked, and the record is taken out again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cached_property
from threading import Lock
from typing import Any

from her2kg import queries, rules
from her2kg.engines import OxigraphEngine, RdflibEngine
from her2kg.names import Names
from her2kg.namespaces import BASE, Iri
from her2kg.observations import Observer
from her2kg.record_rdf import to_triples
from her2kg.records import Record
from her2kg.verdicts import (
    BASES,
    VERDICTS,
    Answers,
    ClaimVerdict,
    Reason,
    RegimenVerdict,
    RuleNote,
)

_LAST = Decimal(99)  # rank of what has none


@dataclass(frozen=True)
class _Criterion:
    iri: Iri
    label: str
    required: str
    wanted: bool
    rules: tuple[RuleNote, ...]  # safety rules behind it; none for a criterion of the population
    rule_from: date | None
    source: str | None


@dataclass(frozen=True)
class _Claim:
    iri: Iri
    regimen: Iri
    basis: str
    jurisdiction: str | None
    setting: str
    setting_rank: Decimal
    valid_from: date
    valid_until: date | None
    strength: str | None
    preference: str | None
    preference_rank: Decimal
    source: str
    criteria: tuple[_Criterion, ...]


@dataclass(frozen=True)
class _Caution:
    note: RuleNote
    criterion: Iri
    claims: list[Iri]  # a caution confined to claims counts only while one of them is open


class Evaluator:
    """Evaluates records against one graph; keeps what does not depend on a patient."""

    def __init__(self, engine: OxigraphEngine | RdflibEngine, names: Names) -> None:
        self.engine = engine
        self.names = names
        self._lock = Lock()

    def _ask(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        return queries.run(self.engine, self.names, f"eligibility/{name}", parameters).rows

    @cached_property
    def version(self) -> str:
        return self.engine.select(rules.system("version.rq")).rows[0][0]

    @cached_property
    def _claims(self) -> list[_Claim]:
        criteria: dict[Iri, dict[tuple[Iri, bool], _Criterion]] = defaultdict(dict)
        for row in self._ask("claim-criteria"):
            claim, iri, label, required, asked, rule, rule_label, rule_from, source, _ = row
            wanted = asked == "met"
            local = source.local if source else None
            notes = (RuleNote(rule.local, rule_label, local or ""),) if rule else ()
            known = criteria[claim].get((iri, wanted))
            if known is None:
                criteria[claim][iri, wanted] = _Criterion(
                    iri, label, required, wanted, notes, rule_from, local
                )
            elif notes and notes[0].rule not in {note.rule for note in known.rules}:
                # The same class behind the rules of two drugs is one reason, from the first day.
                earliest = (
                    min(known.rule_from, rule_from) if known.rule_from and rule_from else None
                )
                criteria[claim][iri, wanted] = replace(
                    known, rules=known.rules + notes, rule_from=earliest
                )
        sources: dict[Iri, str] = {}
        for claim, source in self._ask("claim-sources"):
            # A statement or trial names the claim better than the document it was read in.
            if claim not in sources or sources[claim].startswith("source_"):
                sources[claim] = source.local
        rows = queries.run(self.engine, self.names, "eligibility/claims", {}).to_dicts()
        return [
            _Claim(
                iri=row["claim"],
                regimen=row["regimen"],
                basis=row["basis"],
                jurisdiction=row["jurisdiction"],
                setting=row["setting"],
                setting_rank=row["settingRank"],
                valid_from=row["validFrom"],
                valid_until=row["validUntil"],
                strength=row["strength"],
                preference=row["preference"],
                preference_rank=_LAST if row["preferenceRank"] is None else row["preferenceRank"],
                source=sources[row["claim"]],
                criteria=tuple(criteria[row["claim"]].values()),
            )
            for row in rows
        ]

    @cached_property
    def _parts(self) -> dict[Any, list[tuple[Iri, str, str, bool]]]:
        """Named conditions of each compound criterion, through what has no name.

        Shape: IRI, label, sentence, and false where the condition stands under a not.
        """
        steps: dict[Any, list[tuple[Any, ...]]] = defaultdict(list)
        for whole, joined, *part in self._ask("criterion-parts"):
            steps[whole].append((joined, *part))

        def named(whole: Any, wanted: bool = True) -> Iterator[tuple[Iri, str, str, bool]]:
            for joined, part, label, required in steps[whole]:
                side = wanted != (joined == "not")
                if label is None:
                    yield from named(part, side)
                else:
                    yield part, label, required, side

        compound = [
            whole
            for whole, parts in list(steps.items())
            if len(parts) > 1 and all(joined != "not" for joined, *_ in parts)
        ]
        found = {
            whole: sorted(set(named(whole))) for whole in compound
        }  # unnamed parts have no order
        return {whole: parts for whole, parts in found.items() if parts}

    @cached_property
    def _observer(self) -> Observer:
        shown = {c.iri for claim in self._claims for c in claim.criteria}
        waiting = list(shown)
        while waiting:
            for part, *_ in self._parts.get(waiting.pop(), ()):
                if part not in shown:
                    shown.add(part)
                    waiting.append(part)
        return Observer(self._ask, shown)

    @cached_property
    def _regimens(self) -> dict[Iri, tuple[str, tuple[str, ...]]]:
        found: dict[Iri, tuple[str, list[str]]] = {}
        for regimen, label, drug in self._ask("regimen-drugs"):
            found.setdefault(regimen, (label, []))[1].append(drug.lower())
        return {
            regimen: (label, tuple(sorted(drugs, key=_place_in(label))))
            for regimen, (label, drugs) in found.items()
        }

    @cached_property
    def _cautions(self) -> dict[Iri, list[_Caution]]:
        found: dict[Iri, dict[Iri, _Caution]] = defaultdict(dict)
        for regimen, rule, label, criterion, source, claim in self._ask("cautions"):
            note = RuleNote(rule.local, label, source.local)
            caution = found[regimen].setdefault(rule, _Caution(note, criterion, []))
            if claim is not None:
                caution.claims.append(claim)
        return {regimen: list(cautions.values()) for regimen, cautions in found.items()}

    def facts(self, record: Record) -> list[tuple[Any, Any, Any]]:
        """Every fact of a record, first those stated, then those derived, types included.

        Source: queries/derivation, queries/inference, queries/system/evaluated-facts.rq
        """
        with self.inferred(record) as stated:
            found = self.engine.construct(rules.system("evaluated-facts.rq"))
        known = {(s, p, getattr(o, "value", o)) for s, p, o in stated}
        derived = [t for t in found if (*t[:2], getattr(t[2], "value", t[2])) not in known]
        return stated + sorted(derived)

    def evaluate(
        self,
        record: Record,
        *,
        as_of: date,
        bases: Iterable[str] = BASES,
        jurisdictions: Iterable[str],
        regimens: Iterable[str] | None = None,
    ) -> Answers:
        """Verdict of every regimen for a record, with reasons.

        Shape: one RegimenVerdict per regimen that has a claim, eligible first.
        Units: as the property names of the ontology say.
        Source: queries/derivation, queries/inference, queries/eligibility
        """
        with self.inferred(record):
            facts = _Facts(self, record.iri, as_of)
        bases, jurisdictions = tuple(bases), tuple(jurisdictions)
        wanted = None if regimens is None else set(regimens)
        return Answers(
            patient=record.model.id,
            as_of=as_of,
            knowledge_version=self.version,
            record_sha256=record.sha256,
            bases=bases,
            jurisdictions=jurisdictions,
            scope="outside" if facts.scope else "inside",
            scope_note=" ".join(facts.scope) or None,
            regimens=tuple(self._verdicts(facts, as_of, bases, jurisdictions, wanted)),
            not_interpreted=record.not_interpreted,
            names=self.names,
        )

    @contextmanager
    def inferred(
        self, *records: Record, assumed: Mapping[tuple[str, str], str] | None = None
    ) -> Iterator[list[Any]]:
        """Hold records in the graph, with what is derived and inferred from them and `assumed`."""
        from rdflib import Literal, URIRef

        triples = [triple for each in records for triple in to_triples(each, self.names)]
        marked = URIRef(BASE + "isUnderEvaluation")
        marks = [(URIRef(each.iri), marked, Literal(True)) for each in records]
        told = {"met": URIRef(BASE + "meets"), "unmet": URIRef(BASE + "fails")}
        more = [(URIRef(x), told[status], URIRef(c)) for (x, c), status in (assumed or {}).items()]
        with self._lock:
            try:
                self.engine.add([*triples, *marks, *more])
                rules.run_folder(self.engine, "derivation")
                rules.infer(self.engine)
                yield triples
            finally:
                self.engine.remove_subjects({triple[0] for triple in triples})

    def decided(
        self, record: Record, assumed: Mapping[tuple[str, str], str] | None = None
    ) -> tuple[list[Any], dict[tuple[str, str], str]]:
        """What the rules decide of a record, and the facts that they decide it from.

        `assumed` are memberships told to the rules beforehand, as a reasoner found them.

        Shape: triples, stated and derived, as rdflib terms; (individual, class) -> met, unmet or
        conflicting, for the patient, the courses and the toxicity episodes.
        Source: queries/system/individual-facts.rq, queries/system/decided-classes.rq
        """
        statuses: dict[tuple[str, str], str] = {}
        with self.inferred(record, assumed=assumed) as triples:
            facts = self.engine.construct(rules.system("individual-facts.rq"))
            rows = self.engine.select(rules.system("decided-classes.rq")).rows
        for individual, iri, status in rows:
            known = statuses.setdefault((str(individual), str(iri)), status)
            if known != status:
                statuses[str(individual), str(iri)] = "conflicting"
        return [*triples, *facts], statuses

    def _verdicts(
        self,
        facts: _Facts,
        as_of: date,
        bases: tuple[str, ...],
        jurisdictions: tuple[str, ...],
        wanted: set[str] | None,
    ) -> list[RegimenVerdict]:
        by_regimen: dict[Iri, list[_Claim]] = defaultdict(list)
        for claim in self._claims:
            if wanted is not None and str(claim.regimen) not in wanted:
                continue
            asked = claim.basis in bases
            there = claim.jurisdiction is None or claim.jurisdiction in jurisdictions
            if asked and there:
                by_regimen[claim.regimen].append(claim)
        found = []
        for regimen, claims in by_regimen.items():
            valid = [claim for claim in claims if claim.iri in facts.verdicts]
            valid.sort(key=lambda c: (bases.index(c.basis), c.setting_rank, c.iri))
            verdict = self._verdict(facts, as_of, regimen, valid, bases)
            bearing = [c for c in valid if facts.verdicts[c.iri] == verdict.verdict]
            key = (
                VERDICTS.index(verdict.verdict),
                min((c.preference_rank for c in bearing), default=_LAST),
                min((bases.index(c.basis) for c in bearing), default=len(bases)),
                verdict.label.casefold(),
            )
            found.append((key, verdict))
        return [verdict for _, verdict in sorted(found, key=lambda pair: pair[0])]

    def _verdict(
        self,
        facts: _Facts,
        as_of: date,
        regimen: Iri,
        claims: list[_Claim],
        bases: tuple[str, ...],
    ) -> RegimenVerdict:
        label, drugs = self._regimens[regimen]
        verdicts = [facts.claim(claim, as_of) for claim in claims]
        present: dict[str, RuleNote] = {}
        for claim in claims:
            for criterion in claim.criteria:
                if criterion.wanted or not _counts(criterion, as_of):
                    continue
                if facts.status(criterion.iri) == "met":
                    present.update((note.rule, note) for note in criterion.rules)
        open_claims = {c.iri for c in claims if facts.verdicts[c.iri] != "ineligible"}
        cautions = tuple(
            caution.note
            for caution in self._cautions.get(regimen, ())
            if facts.status(caution.criterion) == "met"
            and (not caution.claims or open_claims.intersection(caution.claims))
        )
        missing = {
            path
            for claim in claims
            if facts.verdicts[claim.iri] == "undetermined"
            for criterion in claim.criteria
            if _counts(criterion, as_of) and facts.status(criterion.iri) == "unknown"
            for path in facts.missing.get(criterion.iri, ())
        }
        return RegimenVerdict(
            regimen=regimen.local,
            label=label,
            drugs=drugs,
            verdict=_best(verdict.verdict for verdict in verdicts),
            by_basis={
                basis: _best((v.verdict for v in verdicts if v.basis == basis), none=None)
                for basis in bases
            },
            claims=tuple(verdicts),
            contraindications=tuple(sorted(present.values(), key=lambda note: note.rule)),
            cautions=cautions,
            missing=tuple(sorted(missing)),
        )


def _counts(criterion: _Criterion, as_of: date) -> bool:
    return criterion.rule_from is None or criterion.rule_from <= as_of


def _place_in(label: str):
    """Order drugs as the label of the regimen names them, then by name."""
    text = label.casefold()
    return lambda drug: (text.find(drug) if drug in text else len(text), drug)


def _best(verdicts: Iterable[str], none: str | None = "ineligible") -> str | None:
    found = set(verdicts)
    return next((verdict for verdict in VERDICTS if verdict in found), none)


class _Facts:
    """What the graph says of one evaluated patient."""

    def __init__(self, evaluator: Evaluator, patient: str, as_of: date) -> None:
        ask = evaluator._ask
        self._status: dict[str, str] = {}
        for iri, status in ask("statuses", patient=f"<{patient}>"):
            known = self._status.setdefault(iri, status)
            if known != status:
                self._status[iri] = "conflicting"
        self.verdicts = dict(ask("claim-verdicts", patient=f"<{patient}>", asOf=as_of))
        self.scope = [text for _, _, text in ask("scope", patient=f"<{patient}>")]
        used = {c.iri for claim in evaluator._claims for c in claim.criteria}
        unknown = [f"<{iri}>" for iri in sorted(used) if iri not in self._status]
        self.missing: dict[Iri, list[str]] = defaultdict(list)
        if unknown:
            about = {"class": unknown, "patient": f"<{patient}>"}
            for question in ("missing-facts", "missing-course-facts"):
                for iri, path in ask(question, **about):
                    self.missing[iri].append(path)
        self._observed = evaluator._observer.observations(patient)
        self._composition = evaluator._parts
        self._reasons: dict[tuple[Any, ...], Reason] = {}

    def _reason(self, iri: Iri, label: str, required: str, wanted: bool, source: str) -> Reason:
        """How the patient stands to a criterion that must, or must not, hold, with its parts.

        Many claims share a criterion and its source, and so the reason.
        """
        key = (iri, label, required, wanted, source)
        known = self._reasons.get(key)
        if known is None:
            known = self._reasons[key] = self._new_reason(*key)
        return known

    def _new_reason(self, iri: Iri, label: str, required: str, wanted: bool, source: str) -> Reason:
        parts = self._composition.get(iri, ()) if wanted else ()
        status = self.status(iri)
        if not wanted:
            status = {"met": "unmet", "unmet": "met"}.get(status, status)
            label, required = f"not: {label}", f"Not: {required}"
        return Reason(
            criterion=iri.local,
            label=label,
            required=required,
            observed=self._observed.get(iri, "not recorded"),
            status=status,
            source=source,
            parts=tuple(self._reason(*part, source) for part in parts),
        )

    def status(self, iri: Iri) -> str:
        return self._status.get(iri, "unknown")

    def claim(self, claim: _Claim, as_of: date) -> ClaimVerdict:
        """The verdict of a claim with its reasons, population first, then safety rules."""
        reasons = []
        for criterion in claim.criteria:
            if not _counts(criterion, as_of):
                continue
            reasons.append(
                self._reason(
                    criterion.iri,
                    criterion.label,
                    criterion.required,
                    criterion.wanted,
                    criterion.source or claim.source,
                )
            )
        return ClaimVerdict(
            claim=claim.iri.local,
            basis=claim.basis,
            jurisdiction=claim.jurisdiction,
            setting=claim.setting,
            source=claim.source,
            valid_from=claim.valid_from.isoformat(),
            valid_until=claim.valid_until.isoformat() if claim.valid_until else None,
            strength=claim.strength,
            preference=claim.preference,
            verdict=self.verdicts[claim.iri],
            reasons=tuple(reasons),
        )
