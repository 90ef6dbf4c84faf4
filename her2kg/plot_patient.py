"""The criteria that stand on a patient's way to each regimen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from her2kg.page import counted
from her2kg.plot_matrix import answers_of, asked_for, no_claims
from her2kg.plot_sheet import DIM, INK, SMALL, Sheet, line_height, require, width_of, wrapped
from her2kg.verdicts import VERDICTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from her2kg.knowledge import KnowledgeGraph
    from her2kg.verdicts import Answers, ClaimVerdict, RegimenVerdict

MOST_COLUMNS, MOST_ROWS = 24, 60
_CELL, _ROW = 0.31, 0.24  # inches
_HEADS = 5.2  # inches for names that stand upright above a column
_URGENCY = {"unmet": 0, "conflicting": 1, "unknown": 2, "met": 3}


def patient_map(
    kg: KnowledgeGraph,
    record: Any,
    *,
    as_of: str | date | None = None,
    bases: Iterable[str] | None = None,
    jurisdictions: Iterable[str] | None = None,
    regimens: Iterable[str] | None = None,
) -> Figure:
    """Draw the criteria that are met, unmet and unknown on a patient's way to each regimen.

    A column is a claim: of each regimen the one that comes nearest, or, where `regimens` are
    named, every claim of them. A row is a criterion of the claims shown, with what the record
    says. At most 24 columns and 60 rows are drawn; what is left out is counted on the figure.

    Shape: `record` is one as KnowledgeGraph.eligibility takes it, or an answer of it;
    matplotlib.figure.Figure, not known to pyplot.
    Errors: DataError for a record with problems; UnknownTerm for an unknown regimen; Her2kgError
    where there is no claim to draw; EngineError without matplotlib.
    Source: KnowledgeGraph.eligibility
    """
    require()
    named = list(regimens) if regimens is not None else None
    (answers,) = answers_of(kg, [record], as_of, bases, jurisdictions, named)
    return draw_patient(answers, every=named is not None)


def draw_patient(answers: Answers, *, every: bool) -> Figure:
    """Draw the criteria of one patient; of every claim, or of the nearest of each regimen."""
    columns = [
        (regimen, claim)
        for regimen in answers.regimens
        for claim in (sorted(regimen.claims, key=_distance) if every else _nearest(regimen))
    ]
    if not columns:
        raise no_claims(answers)
    shown, rest = columns[:MOST_COLUMNS], columns[MOST_COLUMNS:]
    rows = _criteria([claim for _, claim in shown])
    kept, dropped = rows[:MOST_ROWS], rows[MOST_ROWS:]

    seen = {row[0]: row for row in kept}
    facts = {key: wrapped(observed, 3.2, SMALL, most=2) for key, _, _, observed in kept}
    names = {key: wrapped(label, 3.4, most=2) for key, label, _, _ in kept}
    left = max(width_of(line) for lines in names.values() for line in lines) + 0.15
    right = max(width_of(line, SMALL) for lines in facts.values() for line in lines)
    body = left + _CELL * len(shown)

    title = f"Criteria on the way to each regimen: patient {answers.patient}"
    sheet = Sheet(body + 0.15 + right, title, asked_for([answers]))
    present = {status for _, _, status, _ in kept}
    states = [state for state in ("met", "unmet", "unknown", "conflicting") if state in present]
    sheet.legend([(state, f"criterion {state}") for state in states])
    heads = [_column_head(regimen, claim) for regimen, claim in shown]
    tall = max(width_of(line, SMALL) for lines in heads for line in lines)
    foot = sheet.y + tall + 0.1
    for number, lines in enumerate(heads):
        x = left + _CELL * (number + 0.5)
        step = line_height(SMALL) * 0.92
        for place, line in enumerate(lines):
            across = x + (place - (len(lines) - 1) / 2) * step
            sheet.text(
                across, foot - 0.04, line, size=SMALL, rotation=90, ha="center", va="bottom",
                color=DIM if place else INK,
            )  # fmt: skip
    sheet.text(body + 0.15, foot - 0.1, "what the record says", size=SMALL, style="italic")
    sheet.y = foot + 0.02
    _verdict_row(sheet, shown, left, faint=answers.scope != "inside")
    for key in seen:
        height = max(
            _ROW, line_height() * len(names[key]), line_height(SMALL) * len(facts[key])
        ) + (0.06 if len(names[key]) + len(facts[key]) > 2 else 0)
        sheet.rule(0, sheet.y, body + 0.15 + right, sheet.y)
        middle = sheet.y + height / 2
        sheet.lines(0, middle, names[key])
        for number, (_, claim) in enumerate(shown):
            for reason in claim.reasons:
                if (reason.criterion, reason.label) == key:
                    sheet.state(left + _CELL * (number + 0.5), middle, reason.status)
                    break
        sheet.lines(body + 0.15, middle, facts[key], size=SMALL)
        sheet.y += height
    return sheet.figure(_patient_notes(answers, every, rest, dropped))


def _verdict_row(sheet: Sheet, shown: Sequence[Any], left: float, *, faint: bool) -> None:
    sheet.text(0, sheet.y + _ROW / 2, "verdict of the claim", weight="bold")
    for number, (_, claim) in enumerate(shown):
        x = left + _CELL * (number + 0.5)
        sheet.state(x, sheet.y + _ROW / 2, claim.verdict, faint=faint)
    sheet.y += _ROW + 0.05


def _distance(claim: ClaimVerdict) -> tuple[int, int, int]:
    """How far a claim is from holding: by verdict, criteria refuted, criteria unknown."""
    counts = Counter(reason.status for reason in claim.reasons)
    unknown = counts["unknown"] + counts["conflicting"]
    return VERDICTS.index(claim.verdict), counts["unmet"], unknown


def _nearest(regimen: RegimenVerdict) -> list[ClaimVerdict]:
    return [min(regimen.claims, key=_distance)] if regimen.claims else []


def _criteria(claims: Sequence[ClaimVerdict]) -> list[tuple[tuple[str, str], str, str, str]]:
    """Key, label, status and observation of each criterion: what stands in the way first."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    uses: Counter[tuple[str, str]] = Counter()
    for claim in claims:
        for reason in dict.fromkeys(claim.reasons):
            key = (reason.criterion, reason.label)
            found[key] = (reason.status, reason.observed)
            uses[key] += 1
    rows = [(key, key[1], status, observed) for key, (status, observed) in found.items()]
    return sorted(rows, key=lambda row: (_URGENCY[row[2]], -uses[row[0]], row[1]))


def _column_head(regimen: RegimenVerdict, claim: ClaimVerdict) -> list[str]:
    kind = ", ".join(each for each in (claim.basis, claim.jurisdiction, claim.setting) if each)
    label = wrapped(regimen.label, _HEADS, SMALL, most=1)
    return [*label, *wrapped(kind, _HEADS, SMALL, most=1)]


def _patient_notes(
    answers: Answers, every: bool, rest: Sequence[Any], dropped: Sequence[Any]
) -> list[str]:
    notes = ['Met speaks for the claim, also where the criterion begins with "not:".']
    if not every:
        notes.append("Each column is the claim of a regimen that comes nearest to holding.")
    if rest:
        words = Counter(claim.verdict for _, claim in rest)
        counts = ", ".join(f"{words[verdict]} {verdict}" for verdict in VERDICTS if words[verdict])
        what = "claims" if every else "regimens"
        notes.append(
            f"Left out: {len(rest)} more {what} ({counts}) and the criteria of those alone; "
            "choose regimens by name to see them."
        )
    if dropped:
        counts = Counter(status for _, _, status, _ in dropped)
        words = ", ".join(f"{number} {status}" for status, number in counts.items())
        notes.append(f"Left out: {len(dropped)} more criteria ({words}).")
    silent = sum(not regimen.claims for regimen in answers.regimens)
    if silent:
        notes.append(f"Not drawn: {counted(silent, 'regimen')} without a claim valid on the day.")
    if answers.scope != "inside":
        notes.append(
            f"Outside what the graph covers: {answers.scope_note or 'this record'} The marks show "
            "the claims that are held; they are no judgement of this patient."
        )
    return notes
