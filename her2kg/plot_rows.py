"""The layout of pictures with a row for each figure: columns of text and a scale among them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from her2kg.plot_sheet import DIM, RULE, SMALL, Sheet, line_height, width_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCALE = 2.8  # inches of a scale
_GAP = 0.2  # inches between columns


class Column(NamedTuple):
    """A column of text: its heading, its width in inches at most, its lines row by row."""

    head: str
    lines: list[list[str]]
    right: bool = False

    @property
    def width(self) -> float:
        return max(
            [width_of(line, SMALL) for cell in self.lines for line in cell]
            + [width_of(line, SMALL, bold=True) for line in self.head.split("\n")]
        )


def several(names: str | Iterable[str] | None) -> list[str]:
    """The names given, of which one may stand alone."""
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)


def first(*values: Any) -> Any:
    """The first value that is there."""
    return next((value for value in values if value is not None), None)


def plain(value: Any, places: int = 0) -> str:
    """A number with `places` decimals at least, and with those that it has."""
    text = f"{Decimal(value):f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    whole, _, decimals = text.partition(".")
    decimals = decimals.ljust(places, "0")
    return f"{whole}.{decimals}" if decimals else whole


def arm(label: str, trial: str) -> str:
    """The name of an arm without the name of its trial and its number, which stand before `: `."""
    return label.removeprefix(trial).partition(": ")[2] or label if trial in label else label


def beside_scale(
    title: str,
    lines: Sequence[str],
    columns: Sequence[Column],
    before: int,
    heads: Sequence[str],
    draw: Any,
    feet: tuple[str, str],
    notes: Sequence[str],
    wide: float = SCALE,
) -> Figure:
    """Draw rows of text with a scale, `wide` inches, after the first `before` columns."""
    starts, x = [], 0.0
    for number, column in enumerate(columns):
        if number == before:
            scale_at = x
            x += wide + _GAP
        starts.append(x)
        x += column.width + _GAP
    sheet = Sheet(x - _GAP, title, lines)
    tall = max(column.head.count("\n") for column in columns) + 1
    sheet.y += line_height(SMALL) * tall
    for start, column in zip(starts, columns, strict=True):
        for number, line in enumerate(reversed(column.head.split("\n"))):
            y = sheet.y - (number + 0.5) * line_height(SMALL)
            _cell(sheet, start, y, column, line, weight="bold")
    sheet.y += 0.06
    top, places = sheet.y, []
    for number in range(len(heads)):
        if number == 0 or heads[number] != heads[number - 1]:
            sheet.y += 0.06 if number else 0
            sheet.box(0, sheet.y, sheet.width, 0.22, facecolor="#eeeeee", zorder=0)
            sheet.text(0.05, sheet.y + 0.11, heads[number], weight="bold")
            sheet.y += 0.26
        most = max(len(column.lines[number]) for column in columns)
        height = max(line_height(SMALL) * most, 0.2) + 0.08
        middle = sheet.y + height / 2
        for start, column in zip(starts, columns, strict=True):
            step = line_height(SMALL)
            for place, line in enumerate(column.lines[number]):
                y = middle + (place - (len(column.lines[number]) - 1) / 2) * step
                _cell(sheet, start, y, column, line)
        places.append(middle)
        sheet.y += height
        sheet.rule(0, sheet.y, sheet.width, sheet.y)
    bottom = sheet.y

    def fill(axes: Axes) -> None:
        axes.set_ylim(bottom, top)
        axes.set_yticks([])
        for side in ("left", "right", "top"):
            axes.spines[side].set_visible(False)
        draw(axes, places)

    sheet.scale(scale_at, top, wide, bottom - top, fill)
    sheet.y += 0.32 if any(feet) else 0.2
    for text, side, x in ((feet[0], "left", scale_at), (feet[1], "right", scale_at + wide)):
        if text:
            sheet.text(x, sheet.y, text, size=SMALL, ha=side, color=DIM)
    sheet.y += 0.12 if any(feet) else 0.0
    return sheet.figure(notes)


def _cell(sheet: Sheet, start: float, y: float, column: Column, line: str, **options: Any) -> None:
    if column.right:
        sheet.text(start + column.width, y, line, size=SMALL, ha="right", **options)
    else:
        sheet.text(start, y, line, size=SMALL, **options)


def ticks(axes: Axes, places: Iterable[float]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.xaxis.set_major_locator(FixedLocator(list(places)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.tick_params(axis="x", labelsize=SMALL, length=3, width=0.6)
    axes.grid(axis="x", color=RULE, linewidth=0.5, zorder=0)
    axes.set_axisbelow(True)
