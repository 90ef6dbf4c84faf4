"""The verdict of each regimen for each of several patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2kg.errors import DataError, Fact, Her2kgError, Problem
from her2kg.page import counted
from her2kg.plot_sheet import Sheet, line_height, require, width_of, wrapped
from her2kg.records import PatientRecord, Record
from her2kg.verdicts import VERDICTS, Answers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from her2kg.knowledge import KnowledgeGraph
    from her2kg.verdicts import RegimenVerdict

MOST_PATIENTS = 60
_NO_CLAIM = "no claim valid on the day"
_CELL = 0.24
_LABELS = 4.2  # inches for the names of rows
_HEADS = 2.6  # inches for names that stand upright above a column


def eligibility_matrix(
    kg: KnowledgeGraph,
    records: Iterable[Any],
    *,
    as_of: str | date | None = None,
    bases: Iterable[str] | None = None,
    jurisdictions: Iterable[str] | None = None,
    regimens: Iterable[str] | None = None,
    every: bool = False,
) -> Figure:
    """Draw the verdict of each regimen for each patient: patients across, regimens down.

    Regimens stand as `her2kg eligible` orders them; of several patients those first that suit most
    of them. Regimens that suit no patient and are undetermined for none are left out and counted
    on the figure, unless `every` is true or `regimens` are named. At most 60 patients are drawn.

    Shape: `records` are records as KnowledgeGraph.eligibility takes them, or answers of it;
    matplotlib.figure.Figure, not known to pyplot.
    Errors: DataError for no record or a record with problems; UnknownTerm for an unknown regimen;
    Her2kgError where no regimen has a claim; EngineError without matplotlib.
    Source: KnowledgeGraph.eligibility
    """
    require()
    named = list(regimens) if regimens is not None else None
    answers = answers_of(kg, records, as_of, bases, jurisdictions, named)
    return draw_matrix(answers, every=every or named is not None)


def answers_of(
    kg: KnowledgeGraph,
    records: Iterable[Any],
    as_of: str | date | None,
    bases: Iterable[str] | None,
    jurisdictions: Iterable[str] | None,
    regimens: Iterable[str] | None,
) -> list[Answers]:
    """The answer for each record; an answer stands for itself."""
    asked: dict[str, Any] = {"as_of": as_of, "jurisdictions": jurisdictions, "regimens": regimens}
    if bases is not None:
        asked["bases"] = list(bases)
    asked = {
        name: list(value) if name in ("jurisdictions", "regimens") and value else value
        for name, value in asked.items()
    }
    single = str | bytes | Path | Mapping | PatientRecord | Record
    found = []
    for record in [records] if isinstance(records, single) else records:
        answered = isinstance(record, Answers)
        found.append(record if answered else kg.eligibility(record, **asked))
    if not found:
        raise DataError([Problem("records", Fact("nothing"), "one patient record or more")])
    return found


def draw_matrix(answers: Sequence[Answers], *, every: bool) -> Figure:
    """Draw the verdicts of answers that were asked alike."""
    shown, rest = answers[:MOST_PATIENTS], answers[MOST_PATIENTS:]
    judged = [{each.regimen: judgement(each) for each in answer.regimens} for answer in shown]
    labels = {each.regimen: each.label for answer in shown for each in answer.regimens}
    order = _order(shown, judged)
    if not order:
        raise no_claims(shown[0])
    idle = () if every else [r for r in order if not _open(j.get(r) for j in judged)]
    rows = [regimen for regimen in order if regimen not in idle] or order
    names = [wrapped(labels[regimen], _LABELS, most=2) for regimen in rows]
    left = max([width_of(line) for lines in names for line in lines] + [1.5]) + 0.15

    sheet = Sheet(left + _CELL * len(shown) + 0.1, "Eligibility by regimen", asked_for(shown))
    sheet.legend([*((verdict, verdict) for verdict in VERDICTS), (None, _NO_CLAIM)])
    heads = _patient_names(shown)
    tall = max(width_of(head) for head in heads)
    foot = sheet.y + tall + 0.1
    for number, head in enumerate(heads):
        x = left + _CELL * (number + 0.5)
        sheet.text(x, foot - 0.04, head, rotation=90, ha="center", va="bottom")
    sheet.y = foot
    for regimen, lines in zip(rows, names, strict=True):
        height = max(_CELL, line_height() * len(lines) + 0.06)
        sheet.rule(0, sheet.y, left + _CELL * len(shown), sheet.y)
        middle = sheet.y + height / 2
        sheet.lines(0, middle, lines)
        for number, found in enumerate(judged):
            x, outside = left + _CELL * (number + 0.5), shown[number].scope != "inside"
            sheet.state(x, middle, found.get(regimen), faint=outside)
        sheet.y += height
    return sheet.figure(_matrix_notes(shown, rest, [] if rows == order else idle, judged))


def no_claims(answers: Answers) -> Her2kgError:
    """That no regimen asked for has a claim that could be drawn."""
    bases, places = ", ".join(answers.bases), ", ".join(answers.jurisdictions)
    return Her2kgError(
        f"no claim of basis {bases} in {places} on {answers.as_of} for the regimens asked for; "
        "ask for another basis, jurisdiction or day"
    )


def judgement(regimen: RegimenVerdict) -> str | None:
    """The verdict of a regimen, or None where no claim asked for is valid on the day."""
    return regimen.verdict if any(regimen.by_basis.values()) else None


def _open(verdicts: Iterable[str | None]) -> bool:
    return any(verdict in VERDICTS[:2] for verdict in verdicts)


def _order(answers: Sequence[Answers], judged: Sequence[dict[str, str | None]]) -> list[str]:
    """Regimens that suit most patients first, then as the answers order them."""
    places: dict[str, list[int]] = {}
    for answer in answers:
        for place, each in enumerate(answer.regimens):
            places.setdefault(each.regimen, []).append(place)
    counts = {r: Counter(found.get(r) for found in judged) for r in places}
    return sorted(
        places,
        key=lambda r: (-counts[r]["eligible"], -counts[r]["undetermined"], min(places[r]), r),
    )


def asked_for(answers: Sequence[Answers]) -> list[str]:
    days = sorted({answer.as_of.isoformat() for answer in answers})
    day = days[0] if len(days) == 1 else f"the day of each record ({days[0]} to {days[-1]})"
    first = answers[0]
    return [
        f"Claims valid on {day}; knowledge {first.knowledge_version}.",
        f"Claims asked for: {', '.join(first.bases)}; "
        f"jurisdictions: {', '.join(first.jurisdictions)}.",
    ]


def _patient_names(answers: Sequence[Answers]) -> list[str]:
    """Names of patients short enough to stand above a column, each different from the others."""
    names: list[str] = []
    for answer in answers:
        mark = "" if answer.scope == "inside" else " †"
        (name,) = wrapped(answer.patient, _HEADS - 0.4, most=1)
        again = sum(each.partition(" (")[0].removesuffix(" †") == name for each in names)
        names.append(f"{name}{f' ({again + 1})' if again else ''}{mark}")
    return names


def _matrix_notes(
    shown: Sequence[Answers],
    rest: Sequence[Answers],
    idle: Sequence[str],
    judged: Sequence[dict[str, str | None]],
) -> list[str]:
    notes = [
        "Regimens in the order of guideline preference, basis and name; no ranking of benefit."
    ]
    if len(shown) > 1:
        notes[0] = (
            "Regimens that suit most of these patients first, then in the order of guideline "
            "preference, basis and name; no ranking of benefit."
        )
    if idle:
        silent = sum(all(found.get(r) is None for found in judged) for r in idle)
        parts = [
            (len(idle) - silent, "that suit no patient, by claims valid on the day"),
            (silent, "without a claim valid on the day"),
        ]
        said = "; ".join(f"{counted(number, 'regimen')} {what}" for number, what in parts if number)
        notes.append(f"Left out: {said}.")
    if rest:
        notes.append(f"Left out: {len(rest)} of {len(shown) + len(rest)} patients, the last given.")
    outside = [answer for answer in shown if answer.scope != "inside"]
    if outside:
        notes.append(
            "†, faint: outside what the graph covers; the marks show the claims that are held and "
            "are no judgement of this patient."
        )
    return notes
