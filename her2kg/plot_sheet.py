"""The sheet that every picture is drawn on: text measured in inches, symbols, colours, files.

Positions are inches from the upper left corner, so that a text column is as wide as its text and
nothing overlaps, whatever is shown. matplotlib is imported only when a picture is drawn, and never
its pyplot state.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2kg.errors import EngineError, Her2kgError
from her2kg.files import replacing
from her2kg.output import inert

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path as Outline

NOTICE = "For research and education. Not medical advice."
ENDINGS = (".svg", ".png")
DOTS_PER_INCH = 150
BODY, SMALL, TITLE = 8.0, 7.0, 11.0  # font sizes in points
SIDE = 0.17  # inches, of the square of a state

# Okabe and Ito's colours for all kinds of colour vision, chosen so that their greys differ too.
INK, DIM, RULE = "#000000", "#595959", "#d0d0d0"
BLUE, ORANGE, GREEN, PURPLE, YELLOW = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#F0E442"

# Each state: its symbol, as the tables of the command line show it, fill and colour of the symbol.
STATES = {
    "eligible": ("✓", GREEN, "white"),
    "met": ("✓", GREEN, "white"),
    "undetermined": ("?", YELLOW, INK),
    "unknown": ("?", YELLOW, INK),
    "ineligible": ("✗", PURPLE, INK),
    "unmet": ("✗", PURPLE, INK),
    "conflicting": ("≠", "#56B4E9", INK),
    None: ("·", "white", DIM),
}

# Everything a user's own matplotlib settings could change; text in SVG stays text.
_STYLE = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "svg.fonttype": "none",
    "svg.hashsalt": "her2kg",
    "text.parse_math": False,
    "text.hinting": "none",
    "figure.dpi": DOTS_PER_INCH,
    "savefig.dpi": DOTS_PER_INCH,
}
_SLACK = 1.03  # renderers set text up to this much wider than its outline


def require() -> None:
    """Errors: EngineError if matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise EngineError(
            "pictures need matplotlib, which is not installed; "
            "install it: pip install her2kg[plots]"
        ) from None


@contextmanager
def style() -> Iterator[None]:
    """Settings under which a picture is drawn and written, the same for every user."""
    require()
    import matplotlib

    with matplotlib.rc_context(), _no_word_of_missing_glyphs():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


@contextmanager
def _no_word_of_missing_glyphs() -> Iterator[None]:
    """A name in a script that the font lacks is drawn as boxes, without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+", category=UserWarning)
        yield


def width_of(text: str, size: float = BODY, *, bold: bool = False) -> float:
    """How wide a line of text is, in inches."""
    return _measured(text, bold) * size / 72 * _SLACK


@lru_cache(maxsize=20000)
def _measured(text: str, bold: bool) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal", size=100)
    with _no_word_of_missing_glyphs():
        return text_to_path.get_text_width_height_descent(text, font, False)[0] / 100


def line_height(size: float = BODY) -> float:
    """Distance of two lines of text, in inches."""
    return size / 72 * 1.32


def wrapped(
    text: object, width: float, size: float = BODY, *, most: int = 0, bold: bool = False
) -> list[str]:
    """Break text into lines no wider than `width` inches; with `most`, the last one is cut by …."""
    lines: list[str] = []
    for word in inert(text).split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(joined, size, bold=bold) <= width:
            lines[-1] = joined
            continue
        while width_of(word, size, bold=bold) > width and len(word) > 1:
            fits = len(word) - 1
            while fits > 1 and width_of(word[:fits], size, bold=bold) > width:
                fits -= 1
            fits = max(word.rfind(mark, 0, fits) + 1 for mark in "/-_,") or fits
            lines.append(word[:fits])
            word = word[fits:]
        lines.append(word)
    if most and len(lines) > most:
        last = lines[most - 1]
        while last and width_of(f"{last}…", size, bold=bold) > width:
            last = last[:-1]
        lines = [*lines[: most - 1], f"{last.rstrip(' ,;')}…"]
    return lines or [""]


@lru_cache(maxsize=16)
def outline(symbol: str) -> Outline:
    """The outline of a character as a marker of matplotlib: it needs no font where it is shown."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.path import Path as Outline
    from matplotlib.textpath import TextPath

    path = TextPath((0, 0), symbol, size=1, prop=FontProperties(family="DejaVu Sans"))
    box = path.get_extents()
    centre = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
    return Outline(path.vertices - centre, path.codes)


class Sheet:
    """A figure that is filled from top to bottom; `y` is how far it has come, in inches.

    What is drawn is kept until `figure()` knows the height.
    """

    def __init__(self, width: float, title: str, lines: Iterable[str] = ()) -> None:
        require()
        self.width = max(width, 6.0)
        self.title = title
        self.y = 0.0
        self.margin = 0.2
        self._texts: list[tuple[float, float, str, dict[str, Any]]] = []
        self._shapes: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self._states: dict[tuple[str | None, bool], list[tuple[float, float]]] = {}
        self._scales: list[tuple[float, float, float, float, Any]] = []
        self.paragraph(title, size=TITLE, weight="bold")
        self.y += 0.02
        for line in lines:
            self.paragraph(line)
        self.y += 0.12

    def text(self, x: float, y: float, text: str, *, size: float = BODY, **options: Any) -> None:
        """Write one line of text whose middle is at the height `y`."""
        options = {"ha": "left", "va": "center_baseline", "color": INK, **options}
        self._texts.append((x, y, inert(text), {"fontsize": size, **options}))

    def lines(
        self, x: float, y: float, lines: Sequence[str], *, size: float = BODY, **options: Any
    ) -> None:
        """Write several lines whose block is centred at the height `y`."""
        step = line_height(size)
        for number, line in enumerate(lines):
            self.text(x, y + (number - (len(lines) - 1) / 2) * step, line, size=size, **options)

    def paragraph(self, text: str, *, size: float = BODY, x: float = 0.0, **options: Any) -> None:
        """Write text over the width of the sheet and go on below it."""
        bold = options.get("weight") == "bold"
        for line in wrapped(text, self.width - x, size, bold=bold):
            self.text(x, self.y + line_height(size) / 2, line, size=size, **options)
            self.y += line_height(size)

    def box(self, x: float, y: float, width: float, height: float, **options: Any) -> None:
        self._shapes.append(("box", (x, y, width, height), {"linewidth": 0, **options}))

    def rule(self, x0: float, y0: float, x1: float, y1: float, **options: Any) -> None:
        options = {"color": RULE, "linewidth": 0.6, **options}
        self._shapes.append(("rule", (x0, y0, x1, y1), options))

    def state(self, x: float, y: float, state: str | None, *, faint: bool = False) -> None:
        """Draw a state as a coloured square with its symbol, centred at a place."""
        self._states.setdefault((state, faint), []).append((x, y))

    def legend(self, states: Sequence[tuple[str | None, str]], y: float | None = None) -> None:
        """Explain the states in one line or more, and go on below it."""
        x, side = 0.0, SIDE
        self.y = self.y if y is None else y
        for state, words in states:
            wide = side + 0.06 + width_of(words) + 0.25
            if x and x + wide - 0.25 > self.width:
                x, self.y = 0.0, self.y + 0.24
            self.state(x + side / 2, self.y + 0.12, state)
            self.text(x + side + 0.06, self.y + 0.12, words)
            x += wide
        self.y += 0.28

    def scale(self, x: float, y: float, width: float, height: float, draw: Any) -> None:
        """Set aside a place for axes with a scale of their own; `draw(axes)` fills them."""
        self._scales.append((x, y, width, height, draw))

    def figure(self, notes: Iterable[str] = ()) -> Figure:
        """Write the notes and the notice at the foot and make the figure."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.y += 0.1
        for note in notes:
            self.paragraph(note, size=SMALL, color=DIM)
        self.paragraph(NOTICE, weight="bold", size=SMALL)
        edge = self.margin
        across, down = self.width + 2 * edge, self.y + 2 * edge
        with style():
            figure = Figure(figsize=(across, down), dpi=DOTS_PER_INCH, facecolor="white")
            FigureCanvasAgg(figure)
            axes = figure.add_axes((0, 0, 1, 1))
            axes.set(xlim=(-edge, across - edge), ylim=(down - edge, -edge))
            axes.set_axis_off()
            for kind, place, options in self._shapes:
                _draw(axes, kind, place, options)
            for (state, faint), places in self._states.items():
                _draw_states(axes, state, places, faint=faint)
            for x, y, text, options in self._texts:
                axes.text(x, y, text, parse_math=False, **options)
            for x, y, width, height, draw in self._scales:
                place = (x + edge) / across, 1 - (y + height + edge) / down
                inner = figure.add_axes((*place, width / across, height / down), facecolor="none")
                draw(inner)
            figure.set_label(self.title)
        return figure


def _draw(axes: Axes, kind: str, place: tuple[Any, ...], options: dict[str, Any]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    if kind == "box":
        x, y, width, height = place
        axes.add_patch(Rectangle((x, y), width, height, **options))
    else:
        x0, y0, x1, y1 = place
        axes.add_line(Line2D([x0, x1], [y0, y1], **options))


def _draw_states(
    axes: Axes, state: str | None, places: list[tuple[float, float]], *, faint: bool
) -> None:
    """Draw every square of a state, then every symbol, each as one line of markers."""
    from matplotlib.lines import Line2D

    symbol, fill, colour = STATES[state]
    colour = DIM if faint else colour
    path = outline(symbol)
    points = tuple(zip(*places, strict=True))
    # matplotlib scales an outline so that its longer side is as long as the marker is large.
    size = SIDE * 72 * 0.72 * min(max(abs(path.vertices).max() * 2 / 0.75, 0.28), 1)
    square = Line2D(
        *points, linestyle="none", gid=f"state-{state}", marker="s", markersize=SIDE * 72,
        markerfacecolor=fill, markeredgecolor=RULE if state is None else fill,
        markeredgewidth=0.5, alpha=0.25 if faint else None,
    )  # fmt: skip
    mark = Line2D(
        *points, linestyle="none", gid=f"symbol-{symbol}", marker=path, markersize=size,
        markerfacecolor=colour, markeredgecolor=colour, markeredgewidth=0.4,
    )  # fmt: skip
    axes.add_line(square)
    axes.add_line(mark)


def ending(target: str | Path) -> str:
    """The ending of a file for a picture. Errors: Her2kgError if it is not a known one."""
    found = Path(target).suffix.lower()
    if found not in ENDINGS:
        given = f"the ending {found!r}" if found else "no ending"
        raise Her2kgError(
            f"{target} has {given}; accepted: {' or '.join(ENDINGS)}; "
            "write for example -o picture.svg"
        )
    return found


def save(figure: Figure, target: str | Path) -> Path:
    """Write a figure as SVG or PNG, by the ending of the file, in one step.

    Shape: the path; the same figure gives the same bytes.
    Errors: Her2kgError for another ending or a file that cannot be written.
    """
    kind, target = ending(target), Path(target)
    about = {"Date": None, "Creator": "her2kg", "Title": figure.get_label() or "her2kg"}
    metadata = about if kind == ".svg" else {"Software": None}
    try:
        with style(), replacing(target) as temporary:
            figure.savefig(temporary, format=kind[1:], dpi=DOTS_PER_INCH, metadata=metadata)
    except OSError as error:
        raise Her2kgError(f"{target} cannot be written: {error.strerror}") from None
    return target
