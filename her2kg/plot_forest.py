"""Forest plots: the hazard ratios of the trials of a treatment setting."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from her2kg.errors import Her2kgError, one_of
from her2kg.plot_rows import SCALE, Column, arm, beside_scale, first, plain, several, ticks
from her2kg.plot_sheet import BLUE, INK, SMALL, require, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from her2kg.knowledge import KnowledgeGraph

_TICKS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)


def forest(
    kg: KnowledgeGraph,
    setting: str | Iterable[str],
    *,
    endpoint: str | Iterable[str] | None = None,
) -> Figure:
    """Draw the hazard ratios of the trials of a treatment setting as a forest plot.

    One row an analysis, under its endpoint; beside it the arms compared, their size, the median
    follow-up and the ratio with its interval as stated. Several settings or endpoints may be named.

    Shape: matplotlib.figure.Figure, not known to pyplot.
    Units: follow-up in months unless stated otherwise.
    Errors: UnknownTerm for an unknown setting or endpoint; Her2kgError where there is no hazard
    ratio; EngineError without matplotlib.
    Source: queries/evidence/hazard-ratios.rq
    """
    require()
    settings = [kg.names.resolve(each, ("setting",)) for each in several(setting)]
    endpoints = [kg.names.resolve(each, ("endpoint",)) for each in several(endpoint)]
    rows = kg.query("evidence/hazard-ratios", setting=settings, endpoint="UNDEF").to_dicts()
    labels = [kg.names.labels[each] for each in settings]
    known = dict.fromkeys(row["endpointLabel"] for row in rows)
    wanted = [row for row in rows if not endpoints or str(row["endpoint"]) in endpoints]
    if not wanted:
        place = f"the trials of {' or '.join(labels)}"
        if not known:
            settings_with = _settings_with_ratios(kg)
            raise Her2kgError(f"no hazard ratio in {place}; there are some of {settings_with}")
        asked = one_of([kg.names.labels[each] for each in endpoints])
        raise Her2kgError(f"no hazard ratio on {asked} in {place}; accepted: {', '.join(known)}")
    unique = {row["outcome"]: row for row in reversed(wanted)}
    kept = [row for row in wanted if unique.get(row["outcome"]) is row]
    return draw_forest(kept, f"Hazard ratios: {', '.join(labels)}")


def _settings_with_ratios(kg: KnowledgeGraph) -> str:
    rows = kg.query("evidence/hazard-ratios", setting="UNDEF", endpoint="UNDEF").to_dicts()
    return one_of(list(dict.fromkeys(row["settingLabel"] for row in rows)))


def draw_forest(rows: Sequence[dict[str, Any]], title: str) -> Figure:
    """Draw rows of evidence/hazard-ratios, in their order, under the heading of each endpoint."""
    columns = [
        Column("trial and analysis,\ndesign", [_analysis(row) for row in rows]),
        Column("arms compared (patients enrolled)", [_comparison(row) for row in rows]),
        Column("median\nfollow-up", [wrapped(_follow_up(row), 0.9, SMALL) for row in rows]),
        Column("hazard ratio\n(95% CI)", [_ratio(row) for row in rows]),
    ]
    lowest = min(float(first(row["lower"], row["hazardRatio"])) for row in rows)
    highest = max(float(first(row["upper"], row["hazardRatio"])) for row in rows)
    limits = min(lowest * 0.9, 0.5), max(highest * 1.1, 2.0)

    def draw(axes: Axes, places: Sequence[float]) -> None:
        axes.set_xscale("log")
        axes.set_xlim(*limits)
        ticks(axes, _apart(_TICKS, limits))
        axes.axvline(1, color=INK, linewidth=0.8, zorder=1)
        for row, y in zip(rows, places, strict=True):
            _point(axes, row, y)

    lines = [
        "Experimental arm against control arm: below 1 favours the arm named first.",
        "Filled: read in the source; open: recalled, not verified.",
    ]
    notes = [
        "Hazard ratios and intervals as the sources state them; without a line: no interval given. "
        "Intervals are of 95% unless another level is written.",
        "Several analyses of a trial are not independent. Trials differ in patients, arms and "
        "follow-up: their ratios are not compared with each other here.",
    ]
    several_named = len({row["setting"] for row in rows}) > 1
    heads = [
        f"{row['settingLabel']}: {row['endpointLabel']}" if several_named else row["endpointLabel"]
        for row in rows
    ]
    feet = ("◂ favours the first arm", "favours the second arm ▸")
    return beside_scale(title, lines, columns, 3, heads, draw, feet, notes)


def _analysis(row: dict[str, Any]) -> list[str]:
    said = [row["endpointText"]]
    for more in (row["population"], row["assessor"]):
        if more and _letters(more) not in _letters(row["endpointText"]):
            said.append(more)
    lines = wrapped(f"{row['trialLabel']}: {'; '.join(said)}", 2.7, SMALL)
    return [*lines, *(wrapped(row["design"], 2.7, SMALL) if row["design"] else [])]


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _comparison(row: dict[str, Any]) -> list[str]:
    if row["experimental"] is None or row["control"] is None:
        return ["arms not stated"]
    first = arm(row["experimental"], row["trialLabel"]) + _size(row["experimentalEnrolled"])
    second = arm(row["control"], row["trialLabel"]) + _size(row["controlEnrolled"])
    return wrapped(f"{first} vs {second}", 3.1, SMALL)


def _size(number: Decimal | None) -> str:
    return f" ({number:f})" if number is not None else " (number not known)"


def _follow_up(row: dict[str, Any]) -> str:
    if row["followUp"]:
        return row["followUp"]
    return (
        f"{plain(row['followUpMonths'])} mo" if row["followUpMonths"] is not None else "not stated"
    )


def _ratio(row: dict[str, Any]) -> list[str]:
    text = plain(row["hazardRatio"], 2)
    if row["lower"] is None:
        return [text]
    text = f"{text} ({plain(row['lower'], 2)}–{plain(row['upper'], 2)})"
    level = row["levelPercent"]
    if level == 95:
        return [text]
    return [text, "level not stated" if level is None else f"{plain(level)}% CI"]


def _apart(places: Sequence[float], limits: tuple[float, float]) -> list[float]:
    """The places within the limits that stand far enough apart on a log scale, 1 among them."""
    inch = SCALE / (math.log(limits[1]) - math.log(limits[0]))
    kept = [1.0]
    for place in sorted(places, key=lambda p: abs(math.log(p))):
        far = all(abs(math.log(place / other)) * inch >= 0.3 for other in kept)
        if limits[0] <= place <= limits[1] and far:
            kept.append(place)
    return sorted(kept)


def _point(axes: Axes, row: dict[str, Any], y: float) -> None:
    stated = row["lower"] is not None
    if stated:
        limits = float(row["lower"]), float(row["upper"])
        axes.plot(limits, (y, y), color=BLUE, linewidth=1.3, gid="interval")
    axes.plot(
        [float(row["hazardRatio"])], [y], linestyle="none", marker="s" if stated else "D",
        markersize=5, markerfacecolor=BLUE if row["confidence"] == "verified" else "white",
        markeredgecolor=BLUE, markeredgewidth=1.1, gid="ratio", zorder=3,
    )  # fmt: skip
