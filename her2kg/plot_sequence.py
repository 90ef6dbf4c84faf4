"""What guidelines name for each line of therapy on a day, preferred regimens first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from her2kg.errors import Her2kgError, one_of
from her2kg.knowledge import as_day
from her2kg.plot_rows import several
from her2kg.plot_sheet import DIM, SMALL, Sheet, line_height, require, width_of, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from her2kg.knowledge import KnowledgeGraph

_NARROW, _WIDE, _PAD = 1.75, 2.6, 0.1  # inches
_FEW = 4  # settings that have room for wide columns
_UNRANKED = "named, not ranked"


def sequence(
    kg: KnowledgeGraph,
    *,
    as_of: str | date | None = None,
    settings: str | Iterable[str] | None = None,
    every: bool = False,
) -> Figure:
    """Draw the lines of therapy side by side with the regimens that each guideline prefers.

    A column is a setting, a row the body that issued guidelines. Regimens that a guideline names
    without ranking them are counted; with `every` they are named.

    Shape: matplotlib.figure.Figure, not known to pyplot.
    Errors: UnknownTerm for an unknown setting; Her2kgError where no guideline claim counts on the
    day; EngineError without matplotlib.
    Source: queries/regimens/guideline-preferences.rq
    """
    require()
    day = as_day(as_of)
    wanted = [kg.names.resolve(each, ("setting",)) for each in several(settings)]
    rows = kg.query("regimens/guideline-preferences", asOf=day).to_dicts()
    rows = [row for row in rows if not wanted or str(row["setting"]) in wanted]
    if not rows:
        place = f" for {one_of([kg.names.labels[each] for each in wanted])}" if wanted else ""
        raise Her2kgError(f"no guideline claim{place} counts on {day}; ask for another day")
    return draw_sequence(rows, day, every=every)


def draw_sequence(rows: Sequence[dict[str, Any]], day: date, *, every: bool) -> Figure:
    """Draw rows of regimens/guideline-preferences."""
    settings = list(dict.fromkeys(row["settingLabel"] for row in rows))
    cells: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        cells.setdefault((_issuer(row), row["settingLabel"]), []).append(row)
    ranked = {issuer for (issuer, _), found in cells.items() if any(r["preference"] for r in found)}
    issuers = sorted({issuer for issuer, _ in cells}, key=lambda i: (i not in ranked, i.casefold()))

    lines = [f"Guideline claims valid on {day}, by the body that issued the guideline."]
    column = _WIDE if len(settings) <= _FEW else _NARROW
    words = [word for issuer in issuers for word in issuer.split()]
    left = max(width_of(word, bold=True) for word in words) + 2 * _PAD
    width = left + column * len(settings)
    sheet = Sheet(width, "Lines of therapy and preferred regimens", lines)
    heads = [wrapped(each, column - _PAD, bold=True) for each in settings]
    height = line_height() * max(map(len, heads)) + 0.12
    for number, head in enumerate(heads):
        x = left + column * number
        sheet.box(x, sheet.y, column - 0.04, height, facecolor="#eeeeee", zorder=0)
        sheet.lines(x + 0.05, sheet.y + height / 2, head, weight="bold")
    sheet.y += height + 0.04
    for issuer in issuers:
        drawn = [_cell(cells.get((issuer, each), []), every, column) for each in settings]
        name = wrapped(issuer, left - _PAD, bold=True)
        step = line_height(SMALL)
        tall = max([len(cell) * step for cell in drawn] + [len(name) * line_height()]) + 0.12
        sheet.rule(0, sheet.y, sheet.width, sheet.y)
        for place, line in enumerate(name):
            sheet.text(0, sheet.y + 0.06 + (place + 0.5) * line_height(), line, weight="bold")
        for number, cell in enumerate(drawn):
            x = left + column * number + 0.05
            for place, (line, options) in enumerate(cell):
                y = sheet.y + 0.06 + (place + 0.5) * step
                sheet.text(x, y, line, size=SMALL, **options)
        sheet.y += tall
    notes = [
        "Ranks are those that the guideline itself gives; an empty field: the graph holds no claim "
        "of this body for this setting on the day. Populations within a setting differ; her2kg "
        "explain gives the criteria of each claim.",
        "* recalled, not verified in its source.",
    ]
    return sheet.figure(notes)


def _issuer(row: dict[str, Any]) -> str:
    place = row["jurisdiction"]
    return f"{row['issuer']} ({place})" if place else row["issuer"]


def _cell(
    rows: Sequence[dict[str, Any]], every: bool, column: float
) -> list[tuple[str, dict[str, Any]]]:
    """The lines of a field with how they are written: each rank with its regimens."""
    lines: list[tuple[str, dict[str, Any]]] = []
    ranks = list(dict.fromkeys(row["preference"] for row in rows))
    named: set[str] = set()
    for rank in sorted(ranks, key=lambda each: each is None):
        found: dict[str, bool] = {}
        for row in rows:
            if row["preference"] == rank and (rank or row["regimenLabel"] not in named):
                sure = row["confidence"] == "verified"
                found[row["regimenLabel"]] = found.get(row["regimenLabel"], False) or sure
        if not found:
            continue
        named |= set(found)
        if rank is None and not every:
            lines.append((f"{len(found)} {_UNRANKED}", {"color": DIM}))
            continue
        head = {"weight": "bold"} if rank else {"color": DIM}
        lines.append((rank or _UNRANKED, head))
        for label, sure in found.items():
            text = label if sure else f"{label}*"
            room = column - 2 * _PAD - width_of("• ", SMALL)
            lines += [
                (f"{' ' if number else '•'} {line}", {})
                for number, line in enumerate(wrapped(text, room, SMALL))
            ]
    return lines
