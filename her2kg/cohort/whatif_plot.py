"""A picture of what would change in a cohort: eligible before and after, regimen by regimen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from her2kg.plot_rows import Column, beside_scale, ticks
from her2kg.plot_sheet import BLUE, DIM, INK, SMALL, require, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE = 3.2  # inches of the names of regimens


def plot_what_if(table: pl.DataFrame, words: Sequence[str], labels: Mapping[str, str]) -> Figure:
    """Draw the regimens of a table of `whatif.compare` as lines from before to after.

    Shape: matplotlib.figure.Figure. Errors: EngineError without matplotlib.
    """
    require()
    rows = table.to_dicts()
    patients = rows[0]["patients"] if rows else 0
    columns = [
        Column("regimen", [wrapped(labels[row["regimen"]], _WIDE, SMALL) for row in rows]),
        Column("eligible\nbefore", [[f"{row['eligible_before']:,}"] for row in rows], right=True),
        Column("eligible\nafter", [[f"{row['eligible_after']:,}"] for row in rows], right=True),
        Column("gained", [[f"{row['gained']:,}"] for row in rows], right=True),
        Column("lost", [[f"{row['lost']:,}"] for row in rows], right=True),
    ]
    most = max((max(r["eligible_before"], r["eligible_after"]) for r in rows), default=1) or 1

    def draw(axes: Axes, places: Sequence[float]) -> None:
        axes.set_xlim(-most * 0.03, most * 1.05)
        ticks(axes, _steps(most))
        for row, y in zip(rows, places, strict=True):
            old, new = row["eligible_before"], row["eligible_after"]
            axes.plot([old, new], [y, y], color=BLUE, linewidth=2, zorder=2)
            axes.plot([old], [y], "o", color="white", markeredgecolor=INK, markersize=6, zorder=3)
            axes.plot([new], [y], "o", color=BLUE, markeredgecolor=DIM, markersize=6, zorder=4)

    lines = [f"{patients:,} patients; open: as they are; filled: after the change."]
    notes = [
        "Counts over the bases and territories asked for; regimens without a change are left out."
    ]
    heads = ["eligible patients"] * len(rows)
    return beside_scale(
        "What if: " + "; ".join(words), lines, columns, 1, heads, draw, ("", ""), notes
    )


def _steps(most: int) -> list[int]:
    """Round numbers from nothing to the largest, three to six of them."""
    size = 10 ** (len(str(most)) - 1)
    step = next(
        part for part in (size // 5, size // 2, size, 2 * size) if part and most / part <= 6
    )
    return list(range(0, most + 1, step))
