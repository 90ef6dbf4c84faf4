"""A picture of what would change in a cohort: eligible before and after, regimen by regimen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from her2kg.cohort.tables import counted
from her2kg.plot_rows import Column, beside_scale, ticks
from her2kg.plot_sheet import BLUE, SMALL, require, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE = 3.2  # inches of the names of regimens
_SCALE = 4.2  # inches
_LIGHT = "#9a9a9a"


def plot_what_if(table: pl.DataFrame, words: Sequence[str], labels: Mapping[str, str]) -> Figure:
    """Draw the regimens of a table of `whatif.compare` as lines from before to after.

    Shape: matplotlib.figure.Figure, not known to pyplot. Units: patients.
    Errors: EngineError without matplotlib.
    """
    require()
    rows = table.to_dicts()
    patients = rows[0]["patients"] if rows else 0
    columns = [
        Column("regimen", [wrapped(labels[row["regimen"]], _WIDE, SMALL) for row in rows]),
        _numbers("eligible", rows, "eligible_before", "eligible_after"),
        _numbers("gained", rows, "gained"),
        _numbers("lost", rows, "lost"),
        _numbers("undetermined", rows, "undetermined_before", "undetermined_after"),
    ]
    ways = ("eligible", "undetermined")
    drawn = [row[f"{way}_{when}"] for row in rows for way in ways for when in ("before", "after")]
    most = max(drawn, default=1) or 1

    def draw(axes: Axes, places: Sequence[float]) -> None:
        axes.set_xlim(-most * 0.04, most * 1.06)
        ticks(axes, _steps(most))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        for row, y in zip(rows, places, strict=True):
            for way, colour, marker, size in (
                ("undetermined", _LIGHT, "D", 3.5),
                ("eligible", BLUE, "o", 5.5),
            ):
                old, new = row[f"{way}_before"], row[f"{way}_after"]
                thick = 2 if way == "eligible" else 1
                axes.plot([old, new], [y, y], color=colour, linewidth=thick, zorder=2)
                for when, at, fill in (("before", old, "white"), ("after", new, colour)):
                    axes.plot(
                        [at], [y], linestyle="none", marker=marker, markersize=size,
                        markerfacecolor=fill, markeredgecolor=colour, markeredgewidth=1.1,
                        gid=f"{way} {when}", zorder=4 if way == "eligible" else 3,
                    )  # fmt: skip

    lines = [
        f"{counted(patients, 'patient')}. Circles: eligible; grey diamonds: undetermined. "
        "Open: as they are; filled: after the change.",
    ]
    notes = [
        "Counts over the bases and territories asked for; regimens without a change are left out. "
        "What is changed is assumed: it shows how far verdicts rest on it.",
    ]
    heads = ["patients"] * len(rows)
    title = "What if: " + "; ".join(words)
    return beside_scale(title, lines, columns, 1, heads, draw, ("", ""), notes, _SCALE)


def _numbers(head: str, rows: Sequence[Mapping[str, int]], *names: str) -> Column:
    cells = [[" → ".join(f"{row[name]:,}" for name in names)] for row in rows]
    return Column(head, cells, right=True)


def _steps(most: int) -> list[int]:
    """Round numbers from nothing to the largest, three to seven of them."""
    size = 10 ** (len(str(most)) - 1)
    steps = (size // 5, size // 4, size // 2, size, 2 * size)
    step = next(part for part in steps if part and most / part <= 6)
    return list(range(0, most + 1, step))
