"""A page of plain or coloured text for a terminal; rich is imported only when one is drawn."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from her2kg.output import inert

if TYPE_CHECKING:
    from rich.console import Console
    from rich.containers import Lines
    from rich.table import Table
    from rich.text import Text

NARROW, WIDE = 80, 120

# Each verdict and status: its mark, the mark in plain ASCII, its style.
_MARKS = {
    "eligible": ("✓", "+", "bold green"),
    "met": ("✓", "+", "green"),
    "undetermined": ("?", "?", "bold yellow"),
    "unknown": ("?", "?", "bold yellow"),
    "conflicting": ("≠", "#", "bold magenta"),
    "ineligible": ("✗", "x", "red"),
    "unmet": ("✗", "x", "bold red"),
    None: ("·", ".", "dim"),
}
_HEAD = "    \n    \n -- \n    \n    \n    \n    \n    \n"


@dataclass(frozen=True)
class Screen:
    """Where a table goes: its width in columns, with colour or not, Unicode or plain ASCII."""

    width: int = NARROW
    colour: bool = False
    unicode: bool = True


class Page:
    """Text that grows from top to bottom."""

    def __init__(self, screen: Screen) -> None:
        from rich.console import Console

        self.screen = screen
        self._file = io.StringIO()
        self._console = Console(
            file=self._file,
            width=screen.width,
            force_terminal=screen.colour,
            color_system="standard" if screen.colour else None,
            no_color=not screen.colour,
            legacy_windows=False,
            markup=False,
            emoji=False,
            highlight=False,
        )

    def line(self, *parts: str | tuple[str, str], indent: int = 0, hang: int = 0) -> None:
        """Add a paragraph; a part is text, or text and its style."""
        from rich.padding import Padding

        line = styled(*parts)
        if not hang:
            self._console.print(Padding(line, (0, 0, 0, indent)))
            return
        lines = line.wrap(self._console, max(self.screen.width - indent - hang, 10))
        for number, each in enumerate(lines):
            each.rstrip()
            left = indent if number == 0 else indent + hang
            self._console.print(Padding(each, (0, 0, 0, left)))

    def gap(self) -> None:
        self._console.print()

    def table(self, table: Table, indent: int = 0) -> None:
        from rich.padding import Padding

        self._console.print(Padding(table, (0, 0, 0, indent)))

    def mark(self, status: str | None, *, word: bool = False) -> tuple[str, str]:
        """The symbol of a verdict or status, with its word if wanted, and its style."""
        symbol, ascii_symbol, style = _MARKS[status]
        text = symbol if self.screen.unicode else ascii_symbol
        return (f"{text} {status}" if word else text), style

    def __str__(self) -> str:
        text = self._file.getvalue()
        if not self.screen.colour:
            text = "\n".join(line.rstrip() for line in text.split("\n"))
        return text


def styled(*parts: str | tuple[str, str]) -> Text:
    """Put inert text together from parts, each a text or a text with its style."""
    text = _text_class()()
    for part in parts:
        content, style = (part, "") if isinstance(part, str) else part
        text.append("\n".join(inert(line) for line in content.split("\n")), style=style)
    return text


@lru_cache(maxsize=1)
def _text_class() -> type[Text]:
    """Text whose long words are broken after a slash, where rich would cut them anywhere."""
    from rich.text import Text

    class Slashed(Text):
        def wrap(self, console: Console, width: int, **options: Any) -> Lines:
            text = Text("\n").join(self.divide(_slash_breaks(self.plain, width)))
            return text.wrap(console, width, **options)

    return Slashed


def _slash_breaks(text: str, width: int) -> list[int]:
    """Where to break the words that are wider than a line: after the last slash that fits."""
    from rich.cells import cell_len

    breaks = []
    for word in re.finditer(r"\S+", text):
        if cell_len(word[0]) <= width:
            continue
        start = word.start()
        for piece in re.finditer(r"[^\s/]*/+|[^\s/]+", word[0]):
            end = word.start() + piece.end()
            if cell_len(text[start:end]) > width and word.start() + piece.start() > start:
                start = word.start() + piece.start()
                breaks.append(start)
    return breaks


def new_table(*, head: bool = True) -> Table:
    """An empty table as wide as the page, its head underlined."""
    from rich.box import Box
    from rich.table import Table

    return Table(
        box=Box(_HEAD, ascii=True) if head else None,
        show_header=head,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        expand=True,
        header_style="dim",
    )


def broken(identifier: str, width: int) -> str:
    """An id that is wider than its column, cut after underscores."""
    lines = [""]
    for piece in re.findall(r"[^_]*_|[^_]+", inert(identifier)):
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 regimen`, `2 regimens`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
