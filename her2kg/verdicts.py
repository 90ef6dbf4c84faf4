"""What an answer is made of: reasons, claims, regimens and the answer for one patient."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from her2kg.errors import UnknownTerm
from her2kg.names import Names
from her2kg.namespaces import BASE

BASES = ("label", "guideline", "trial")
VERDICTS = ("eligible", "undetermined", "ineligible")


@dataclass(frozen=True)
class Reason:
    """One criterion of a claim and how the patient stands to it.

    Shape: `status` is met, unmet, unknown or conflicting; `met` speaks for the claim, also where
    the criterion is a contraindication that the patient must not have. `parts` are the named
    conditions that a compound criterion is made of, each with its own status.
    """

    criterion: str
    label: str
    required: str
    observed: str
    status: str
    source: str
    parts: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class ClaimVerdict:
    """The verdict of one claim. Dates are ISO days; `valid_until` is the first day outside."""

    claim: str
    basis: str
    jurisdiction: str | None
    setting: str
    source: str
    valid_from: str
    valid_until: str | None
    strength: str | None
    preference: str | None
    verdict: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class RuleNote:
    """A safety rule that the patient meets."""

    rule: str
    label: str
    source: str


@dataclass(frozen=True)
class RegimenVerdict:
    """The verdict of a regimen: eligible if one of its claims is, over the bases asked for.

    Shape: `by_basis` maps each basis to a verdict, or None where no claim of that basis is valid;
    `missing` are record paths that would help to settle undetermined claims.
    """

    regimen: str
    label: str
    drugs: tuple[str, ...]
    verdict: str
    by_basis: dict[str, str | None]
    claims: tuple[ClaimVerdict, ...]
    contraindications: tuple[RuleNote, ...]
    cautions: tuple[RuleNote, ...]
    missing: tuple[str, ...]

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Every different reason over all claims, in the order of the claims."""
        return tuple(dict.fromkeys(reason for claim in self.claims for reason in claim.reasons))


@dataclass(frozen=True)
class Answers(Mapping[str, RegimenVerdict]):
    """The answer for one patient; `answers["THP"]` finds a regimen by any of its names."""

    patient: str
    as_of: date
    knowledge_version: str
    record_sha256: str
    bases: tuple[str, ...]
    jurisdictions: tuple[str, ...]
    scope: str
    scope_note: str | None
    regimens: tuple[RegimenVerdict, ...]
    not_interpreted: tuple[str, ...]
    names: Names

    def __getitem__(self, name: str) -> RegimenVerdict:
        """The verdict of a regimen; of several that bear the name, the one that suits best."""
        bearers = [iri.removeprefix(BASE) for iri in self.names.regimens(name)]
        found = [verdict for verdict in self.regimens if verdict.regimen in bearers]
        if not found:
            raise UnknownTerm(name, "regimen with a claim among the bases asked for")
        return min(
            found,
            key=lambda each: (VERDICTS.index(each.verdict), bearers.index(each.regimen)),
        )

    def __iter__(self) -> Iterator[str]:
        return (verdict.regimen for verdict in self.regimens)

    def __len__(self) -> int:
        return len(self.regimens)

    def to_dict(self) -> dict[str, Any]:
        """The answer in the shape of `her2kg eligible --format json`."""
        return {
            "patient": self.patient,
            "as_of": self.as_of.isoformat(),
            "knowledge_version": self.knowledge_version,
            "record_sha256": self.record_sha256,
            "bases": list(self.bases),
            "jurisdictions": list(self.jurisdictions),
            "scope": self.scope,
            "scope_note": self.scope_note,
            "regimens": [_plain(verdict) for verdict in self.regimens],
        }

    def to_json(self) -> str:
        """The answer as JSON text; the same input gives the same bytes."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        fields = {name: getattr(value, name) for name in value.__dataclass_fields__}
        if isinstance(value, Reason) and not value.parts:
            del fields["parts"]  # most criteria have none
        return {name: _plain(each) for name, each in fields.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value
