"""Answers, terms, questions and rows as CSV and JSON, for programs.

Text from a record or a query is made inert: control characters and marks that reorder text are
written as escapes, here and in the tables.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from her2kg.namespaces import BASE, Blank, Iri

if TYPE_CHECKING:
    from her2kg.checks import Finding
    from her2kg.knowledge import Term
    from her2kg.queries import Query, Rows
    from her2kg.verdicts import Answers, ClaimVerdict, RegimenVerdict

# C0, DEL, C1, soft hyphen, zero-width and direction marks, line separators, BOM, lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_FORMULA = re.compile(r"[=+@\t\r-](?![\d.]*$)")


def inert(text: object) -> str:
    """Write text so that a terminal shows it and does not obey it."""
    return _UNSAFE.sub(lambda m: m[0].encode("unicode_escape").decode("ascii"), str(text))


def cell(value: Any) -> str:
    """A value as a table shows it: local id, prefixed name, plain number or text."""
    if isinstance(value, Iri):
        return value.local if value.startswith(BASE) else value.curie.strip("<>")
    return flat(value)


def flat(value: Any) -> str:
    """A value as CSV writes it: IRIs in full, plain numbers, ISO days, nothing for no value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal) and value.is_finite():
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, Blank):
        return f"_:{value}"
    return value.isoformat() if isinstance(value, date) else str(value)


def _json_value(value: Any) -> Any:
    if isinstance(value, Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else float(value)
    return value if value is None or isinstance(value, bool | int) else flat(value)


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, guard: bool = False) -> str:
    """Write rows as CSV with a header.

    Shape: LF line ends, empty for no value; control characters are written as escapes. With
    `guard`, text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = [inert(flat(value)) for value in row]
        writer.writerow([f"'{c}" if guard and _FORMULA.match(c) else c for c in cells])
    return out.getvalue()


def to_json(value: Any) -> str:
    """Write JSON as every command writes it."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def rows_csv(rows: Rows) -> str:
    """Rows of a query as CSV; IRIs in full."""
    return to_csv(rows.columns, rows.rows, guard=True)


def rows_json(rows: Rows) -> str:
    """Rows of a query as a list of objects; IRIs in full."""
    return to_json([{k: _json_value(v) for k, v in row.items()} for row in rows.to_dicts()])


_ANSWER = ("patient", "as_of", "knowledge_version", "scope", "regimen")
_CLAIM = (
    "claim", "basis", "jurisdiction", "setting", "claim_source", "valid_from", "valid_until",
    "strength", "preference", "claim_verdict",
)  # fmt: skip


def _answer_cells(answers: Answers, regimen: RegimenVerdict) -> list[Any]:
    head = (answers.patient, answers.as_of, answers.knowledge_version, answers.scope)
    return [*head, regimen.regimen]


def _claim_cells(claim: ClaimVerdict) -> list[Any]:
    return [
        claim.claim, claim.basis, claim.jurisdiction, claim.setting, claim.source,
        claim.valid_from, claim.valid_until, claim.strength, claim.preference, claim.verdict,
    ]  # fmt: skip


def eligible_csv(answers: Answers) -> str:
    """One row per regimen and claim; a regimen without a valid claim keeps one row."""
    notes = ("contraindications", "cautions", "missing")
    rows = []
    for each in answers.regimens:
        lists = [
            " ".join(note.rule for note in each.contraindications),
            " ".join(note.rule for note in each.cautions),
            " ".join(each.missing),
        ]
        head = [*_answer_cells(answers, each), each.label, each.verdict]
        claims = [_claim_cells(claim) for claim in each.claims] or [[None] * len(_CLAIM)]
        rows += [[*head, *claim, *lists] for claim in claims]
    return to_csv((*_ANSWER, "label", "verdict", *_CLAIM, *notes), rows, guard=True)


def explain_csv(answers: Answers) -> str:
    """One row per reason of each claim."""
    columns = ("claim", "claim_verdict", "criterion", "label", "required", "observed", "status")
    rows = [
        [
            *_answer_cells(answers, regimen), claim.claim, claim.verdict, reason.criterion,
            reason.label, reason.required, reason.observed, reason.status, reason.source,
        ]
        for regimen in answers.regimens
        for claim in regimen.claims
        for reason in claim.reasons
    ]  # fmt: skip
    return to_csv((*_ANSWER, *columns, "source"), rows, guard=True)


def terms_csv(terms: Iterable[Term]) -> str:
    """One row per link of each term."""
    rows = [
        (term.id, term.kind, link.direction, link.property, link.value, link.label)
        for term in terms
        for link in term.links
    ]
    return to_csv(("term", "kind", "direction", "property", "value", "label"), rows)


def terms_json(terms: Iterable[Term]) -> str:
    """Terms with their links as a list of objects."""
    return to_json(
        [
            {
                "id": term.id,
                "iri": term.iri,
                "kind": term.kind,
                "label": term.label,
                "definition": term.definition,
                "synonyms": list(term.synonyms),
                "links": [
                    {
                        "direction": link.direction,
                        "property": link.property,
                        "value": _json_value(link.value),
                        "label": link.label,
                    }
                    for link in term.links
                ],
                "codes": [vars(code) for code in term.codes],
            }
            for term in terms
        ]
    )


def _query_dict(query: Query) -> dict[str, Any]:
    return {
        "name": query.name,
        "summary": query.summary,
        "description": query.description,
        "parameters": query.parameters,
        "columns": query.columns,
        "example": query.example,
        "tags": list(query.tags),
    }


def queries_csv(found: Iterable[Query]) -> str:
    """One row per question."""
    rows = [
        (q.name, q.summary, q.description, " ".join(q.parameters), " ".join(q.tags)) for q in found
    ]
    return to_csv(("name", "summary", "description", "parameters", "tags"), rows)


def queries_json(found: Iterable[Query]) -> str:
    """Questions as a list of objects, without their text."""
    return to_json([_query_dict(query) for query in found])


def query_csv(query: Query) -> str:
    """One row per parameter and column of a question."""
    parts = (("parameter", query.parameters), ("column", query.columns))
    rows = [(query.name, part, *item) for part, items in parts for item in items.items()]
    return to_csv(("name", "part", "key", "meaning"), rows)


def query_json(query: Query) -> str:
    """A question with its text."""
    return to_json({**_query_dict(query), "text": query.text})


def findings_csv(findings: Iterable[Finding]) -> str:
    """One row per finding."""
    rows = [(each.rule, each.term, each.problem) for each in findings]
    return to_csv(("rule", "term", "problem"), rows)


def findings_json(findings: Iterable[Finding]) -> str:
    """Findings as a list of objects."""
    return to_json([vars(finding) for finding in findings])
