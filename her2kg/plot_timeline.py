"""Approvals and guideline statements on a drug, or claims on a regimen, over time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from her2kg.errors import DataError, Her2kgError, Problem, one_of
from her2kg.knowledge import as_day
from her2kg.page import counted
from her2kg.plot_rows import Column, beside_scale, several, ticks
from her2kg.plot_sheet import BLUE, ORANGE, SMALL, require, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from her2kg.knowledge import KnowledgeGraph

_DECISION = "approval"  # as queries/evidence/timeline-of-drug.rq names it
_YEAR = 365.25
_STEPS = (1, 2, 5, 10, 20)  # years between ticks


class Entry(NamedTuple):
    """A decision, statement or claim: from when until when, by whom, about what."""

    part: str
    item: str
    start: date
    end: date | None
    by: str
    jurisdiction: str | None
    text: str
    confidence: str


def timeline(
    kg: KnowledgeGraph,
    *,
    drugs: str | Iterable[str] | None = None,
    regimens: str | Iterable[str] | None = None,
    jurisdictions: Iterable[str] | None = None,
    as_of: str | date | None = None,
) -> Figure:
    """Draw when a drug was approved and guidelines named it, or which claims on a regimen counted.

    Of a drug: the decisions of regulators and the guideline statements that name a regimen of it.
    Of a regimen: its claims by label, guideline and trial. What began after `as_of` (today if left
    out) is counted on the figure and not drawn; what is of no one territory always counts.

    Shape: matplotlib.figure.Figure, not known to pyplot.
    Errors: UnknownTerm for an unknown drug or regimen; DataError for an unknown jurisdiction;
    Her2kgError where neither is named or nothing is known; EngineError without matplotlib.
    Source: queries/evidence/timeline-of-drug.rq, queries/evidence/claims-of-regimen.rq
    """
    require()
    day = as_day(as_of)
    places, elsewhere = _places(kg, jurisdictions)
    given = [kg.names.resolve(each, ("drug", "product")) for each in several(drugs)]
    names = list(dict.fromkeys(drug for each in given for drug in kg.names.ingredients(each)))
    chosen = [iri for each in several(regimens) for iri in kg.names.regimens(each)]
    if not names and not chosen:
        raise Her2kgError("no drug or regimen given; name one: --drug NAME or --regimen NAME")
    entries = _of_drugs(kg, names) + _of_regimens(kg, chosen)
    labels = one_of([kg.names.labels[each] for each in dict.fromkeys([*names, *chosen])])
    there = [entry for entry in entries if entry.jurisdiction not in elsewhere]
    known = [entry for entry in there if entry.start <= day]
    if not known:
        where = f" in {', '.join(places)}" if places else ""
        raise Her2kgError(
            f"nothing is known of {labels}{where} up to {day}; ask for another name, jurisdiction "
            "or day"
        )
    return draw_timeline(known, labels, day, places, len(there) - len(known))


def _places(kg: KnowledgeGraph, given: Iterable[str] | None) -> tuple[list[str], list[str]]:
    """The territories asked for, and those that are not; neither where none is named."""
    codes = {code.casefold(): code for _, code, _ in kg.query("terms/jurisdictions")}
    wanted = several(given)
    problems = [
        Problem("jurisdiction", each, ", ".join(codes.values()))
        for each in wanted
        if each.casefold() not in codes
    ]
    if problems:
        raise DataError(problems)
    asked = list(dict.fromkeys(codes[each.casefold()] for each in wanted))
    return asked, [code for code in codes.values() if asked and code not in asked]


def _of_drugs(kg: KnowledgeGraph, drugs: Sequence[str]) -> list[Entry]:
    if not drugs:
        return []
    entries = {}
    for row in kg.query("evidence/timeline-of-drug", drug=list(drugs)).to_dicts():
        by = f"{row['body']} {row['version']}" if row["version"] else row["body"]
        own = len(drugs) == 1 and row["subject"] == kg.names.labels[drugs[0]]
        plain = own or row["subject"] is None
        text = row["text"] if plain else f"{row['subject']}: {row['text']}"
        entries[row["part"], row["item"]] = Entry(
            row["part"], row["item"].local, row["validFrom"], row["validUntil"], by,
            row["jurisdiction"], text, row["confidence"],
        )  # fmt: skip
    return sorted(entries.values(), key=lambda e: (e.part, e.start, e.item))


def _of_regimens(kg: KnowledgeGraph, regimens: Sequence[str]) -> list[Entry]:
    if not regimens:
        return []
    entries = {}
    for row in kg.query("evidence/claims-of-regimen", regimen=list(regimens)).to_dicts():
        label = row["label"]
        if len(regimens) == 1:
            label = label.removeprefix(kg.names.labels[regimens[0]]).lstrip(" ,:") or label
        entries[row["claim"]] = Entry(
            f"{row['basis']} claim", row["claim"].local, row["validFrom"], row["validUntil"],
            row["basis"], row["jurisdiction"], label, row["confidence"],
        )  # fmt: skip
    return sorted(entries.values(), key=lambda e: (e.part, e.start, e.item))


def draw_timeline(
    entries: Sequence[Entry],
    labels: str,
    day: date,
    places: Sequence[str] = (),
    later: int = 0,
) -> Figure:
    """Draw entries in their order, one a row, under the heading of each part."""
    columns = [
        Column("from", [[entry.start.isoformat()] for entry in entries]),
        Column("until", [[entry.end.isoformat() if entry.end else ""] for entry in entries]),
        Column("by", [wrapped(_by(entry), 1.7, SMALL) for entry in entries]),
        Column("for", [wrapped(entry.text, 3.9, SMALL, most=4) for entry in entries]),
    ]
    begin = _year(min(entry.start for entry in entries))
    end = max(_year(day), begin + 1)

    def draw(axes: Axes, heights: Sequence[float]) -> None:
        margin = (end - begin) * 0.02
        axes.set_xlim(begin - margin, end + margin)
        step = next((s for s in _STEPS if (end - begin) / s <= 8), _STEPS[-1])
        ticks(axes, range(math.ceil(begin / step) * step, math.floor(end) + 1, step))
        for entry, y in zip(entries, heights, strict=True):
            _draw_entry(axes, entry, y, day, end)

    named = f"; jurisdictions: {', '.join(places)}, and what is of no one territory"
    lines = [
        f"Up to {day}{named if places else ''}.",
        "◆ day of a decision; ● first day, line: valid; | no longer valid. "
        "Filled: read in the source; open: recalled, not verified.",
    ]
    notes = ["A statement or claim without an end is drawn up to the day above."]
    if later:
        notes.append(f"Left out, as later than {day}: {counted(later, 'line')}.")
    heads = [f"{entry.part}s" for entry in entries]
    return beside_scale(f"Timeline: {labels}", lines, columns, 3, heads, draw, ("", ""), notes)


def _draw_entry(axes: Axes, entry: Entry, y: float, day: date, end: float) -> None:
    lasting = entry.part != _DECISION
    colour = BLUE if lasting else ORANGE
    start = _year(entry.start)
    if lasting:
        over = min(_year(entry.end), end) if entry.end else end
        axes.plot(
            (start, over), (y, y), color=colour, linewidth=3.5, alpha=0.55,
            solid_capstyle="butt", gid="valid",
        )  # fmt: skip
    fill = colour if entry.confidence == "verified" else "white"
    axes.plot(
        [start], [y], linestyle="none", marker="o" if lasting else "D", markersize=5,
        markerfacecolor=fill, markeredgecolor=colour, gid="start", zorder=3,
    )  # fmt: skip
    if entry.end and entry.end <= day:
        axes.plot(
            [_year(entry.end)], [y], linestyle="none", marker="|", markersize=8,
            markeredgecolor=colour, markeredgewidth=1.6, gid="end",
        )  # fmt: skip


def _by(entry: Entry) -> str:
    return f"{entry.by} ({entry.jurisdiction})" if entry.jurisdiction else entry.by


def _year(day: date) -> float:
    return day.year + (day.timetuple().tm_yday - 1) / _YEAR
