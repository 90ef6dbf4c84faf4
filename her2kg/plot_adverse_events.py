"""Rates of adverse events of regimens, arm by arm, with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from her2kg.errors import Her2kgError, one_of
from her2kg.page import counted
from her2kg.plot_rows import Column, arm, beside_scale, first, plain, several, ticks
from her2kg.plot_sheet import BLUE, ORANGE, SMALL, require, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from her2kg.knowledge import KnowledgeGraph


def wilson(share: float, number: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share that was seen in a number of patients.

    Shape: lower and upper limit, between 0 and 1.
    Source: E. B. Wilson, J Am Stat Assoc 1927;22:209-212.
    """
    z = NormalDist().inv_cdf(0.5 + level / 2)
    centre = share + z * z / (2 * number)
    spread = z * math.sqrt(share * (1 - share) / number + z * z / (4 * number * number))
    whole = 1 + z * z / number
    return max(0.0, (centre - spread) / whole), min(1.0, (centre + spread) / whole)


def adverse_events(
    kg: KnowledgeGraph,
    regimens: str | Iterable[str],
    *,
    events: str | Iterable[str] | None = None,
) -> Figure:
    """Draw how often adverse events were seen with regimens, arm by arm, with intervals.

    Without `events` those are drawn that were counted for two of the regimens or, of one regimen,
    all. Any grade and grade 3 or higher are told apart by symbol and colour. Intervals are Wilson's
    of 95%, computed from the percentage and the number of patients assessed or, where that is not
    stated, enrolled in the arm; an arm of unknown size has none.

    Shape: matplotlib.figure.Figure, not known to pyplot.
    Units: percent of patients.
    Errors: UnknownTerm for an unknown regimen or event; Her2kgError where nothing was counted;
    EngineError without matplotlib.
    Source: queries/adverse-events/rates-with-arm-sizes.rq
    """
    require()
    bearers = {iri: name for name in several(regimens) for iri in kg.names.regimens(name)}
    asked = list(bearers)
    named = [kg.names.resolve(each, ("adverse event",)) for each in several(events)]
    names = one_of([kg.names.labels[iri] for iri in asked]) if asked else "no regimen"
    found = kg.query(
        "adverse-events/rates-with-arm-sizes", regimen=asked or ["UNDEF"], event=named or "UNDEF"
    ).to_dicts()
    if not asked:
        raise Her2kgError("no regimen given; name one or more")
    if not named:
        found = [row for row in found if row["event"] == row["seen"]]
    rows = list({(row["event"], row["regimen"], row["rate"]): row for row in found}.values())
    drawn = [row for row in rows if _rates(row)]
    if not named and len(set(bearers.values())) > 1:
        given: dict[Any, set[str]] = {}
        for row in drawn:
            given.setdefault(row["event"], set()).add(bearers[str(row["regimen"])])
        drawn = [row for row in drawn if len(given[row["event"]]) > 1]
    if not drawn:
        what = one_of([kg.names.labels[each] for each in named]) if named else "an adverse event"
        both = "" if named or len(several(regimens)) < 2 else " for two of them"
        raise Her2kgError(
            f"no rate of {what} at any grade or at grade 3 or higher{both} for {names}; "
            "see what was counted: her2kg run adverse-events/rates-of-regimen --regimen REGIMEN"
        )
    order = {iri: place for place, iri in enumerate(asked)}
    events_in_order = list(dict.fromkeys(named)) or sorted(
        {str(row["event"]) for row in drawn}, key=lambda e: kg.names.labels[e].casefold()
    )
    drawn.sort(
        key=lambda row: (events_in_order.index(str(row["event"])), order[str(row["regimen"])])
    )
    left_out = sum(
        not _rates(row) for row in rows if any(row["event"] == d["event"] for d in drawn)
    )
    seen = {str(row["regimen"]) for row in drawn}
    silent = [kg.names.labels[iri] for iri in asked if iri not in seen]
    return draw_adverse_events(drawn, left_out, silent)


def _rates(row: dict[str, Any]) -> list[tuple[str, float]]:
    """The rates of a row that are drawn: kind and percent."""
    kinds = (("any grade", "anyGradePercent"), ("grade 3 or higher", "grade3OrHigherPercent"))
    return [(kind, float(row[key])) for kind, key in kinds if row[key] is not None]


def counted_among(row: dict[str, Any]) -> Decimal | None:
    """The patients a rate is of: those assessed, else those enrolled if it is of the whole arm."""
    return row["assessed"] if row["population"] else first(row["assessed"], row["enrolled"])


def interval(row: dict[str, Any], percent: float) -> tuple[float, float] | None:
    """Wilson's interval of a rate, in percent; None where their number is not known."""
    number = counted_among(row)
    if not number:
        return None
    lower, upper = wilson(percent / 100, float(number))
    return lower * 100, upper * 100


_MARKERS = {"any grade": ("o", BLUE, -0.06), "grade 3 or higher": ("^", ORANGE, 0.06)}


def draw_adverse_events(
    rows: Sequence[dict[str, Any]], left_out: int = 0, silent: Sequence[str] = ()
) -> Figure:
    """Draw rows of adverse-events/rates-with-arm-sizes, in their order, under each event."""
    columns = [
        Column("regimen", [wrapped(row["regimenLabel"], 2.3, SMALL) for row in rows]),
        Column("trial and arm", [_trial_arm(row) for row in rows]),
        Column("patients", [_number(row) for row in rows], right=True),
        Column("any grade\n% (95% CI)", [_rate_text(row, "any grade") for row in rows]),
        Column(
            "grade 3 or higher\n% (95% CI)", [_rate_text(row, "grade 3 or higher") for row in rows]
        ),
    ]
    tops = [
        (interval(row, percent) or (percent, percent))[1]
        for row in rows
        for _, percent in _rates(row)
    ]
    step = next(step for step in (1, 2, 5, 10, 20, 25) if max(tops) <= 5 * step or step == 25)
    limit = min(100, step * math.ceil(max(max(tops), 0.5) / step))

    def draw(axes: Axes, places: Sequence[float]) -> None:
        axes.set_xlim(-limit * 0.02, limit * 1.02)
        ticks(axes, range(0, int(limit) + 1, step))
        for row, y in zip(rows, places, strict=True):
            for kind, percent in _rates(row):
                marker, colour, shift = _MARKERS[kind]
                shift = shift if len(_rates(row)) > 1 else 0.0
                found = interval(row, percent)
                if found:
                    axes.plot(
                        found,
                        (y + shift, y + shift),
                        color=colour,
                        linewidth=1.3,
                        gid=f"interval {kind}",
                    )
                fill = colour if row["confidence"] == "verified" else "white"
                axes.plot(
                    [percent], [y + shift], linestyle="none", marker=marker, markersize=5.5,
                    markerfacecolor=fill, markeredgecolor=colour, markeredgewidth=1.1,
                    gid=f"rate {kind}", zorder=3,
                )  # fmt: skip

    lines = [
        "● any grade, ▲ grade 3 or higher. Filled: read in the source; open: recalled, "
        "not verified.",
    ]
    notes = [
        "Intervals: Wilson's score interval of 95%, computed by her2kg from the percentage and the "
        "patients assessed or, where that number is not stated, enrolled in the arm, which may "
        "differ a little from those assessed. No line: that number is not known, as for a part of "
        "an arm or a figure of another report.",
        "Arms of different trials are not compared head to head: their patients, times of "
        "observation and ways of counting differ.",
    ]
    if left_out:
        notes.append(
            f"Left out: {counted(left_out, 'rate')} stated only in another form, such as a single "
            "grade or as serious."
        )
    if silent:
        notes.append(f"No such rate in the graph for: {'; '.join(silent)}.")
    heads = [row["eventLabel"] for row in rows]
    title = "Adverse events: " + (heads[0] if len(set(heads)) == 1 else "rates by trial arm")
    feet = ("", "percent of patients")
    return beside_scale(title, lines, columns, 3, heads, draw, feet, notes)


def _trial_arm(row: dict[str, Any]) -> list[str]:
    text = f"{row['trialLabel']}: {arm(row['armLabel'], row['trialLabel'])}"
    added = [row["population"]] if row["population"] else []
    if row["seen"] != row["event"]:
        added.append(f"counted as {row['seenLabel']}")
    if row["gave"] == "choice":
        added.append("one of several regimens that could be chosen")
    return wrapped(f"{text} ({'; '.join(added)})" if added else text, 2.9, SMALL)


def _number(row: dict[str, Any]) -> list[str]:
    number = counted_among(row)
    return [plain(number) if number is not None else "not known"]


def _rate_text(row: dict[str, Any], kind: str) -> list[str]:
    for each, percent in _rates(row):
        if each == kind:
            found = interval(row, percent)
            shown = plain(Decimal(str(percent)))
            return [f"{shown} ({found[0]:.1f}–{found[1]:.1f})" if found else shown]
    return ["–"]
