"""Rows of a query as users get them: Python values, data frames, CSV, tables on the screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from html import escape
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from her2kg import output
from her2kg.errors import DataError, EngineError, Problem, one_of
from her2kg.files import replace_text
from her2kg.namespaces import Iri

if TYPE_CHECKING:
    import pandas
    import polars

IriForm = Literal["iri", "curie", "label"]
_FORMS = ("iri", "curie", "label")

# How much of a long answer is shown: rows, characters of a line, of a cell, of a cell in HTML.
_SHOWN, _WIDEST, _LONGEST, _LONGEST_HTML = 20, 100, 40, 200


@dataclass(frozen=True, repr=False)
class Rows:
    """Rows of a query, as Python values; iterable, with the column names in `columns`.

    Shape: each value is an Iri, Blank, str, int, Decimal, bool, date or datetime, or None for no
    value.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    # Read from the graph when they are first needed: labels by IRI, kinds by column.
    read_labels: Callable[[], Mapping[str, str]] = field(default=dict, compare=False)
    read_kinds: Callable[[], Mapping[str, str]] = field(default=dict, compare=False)

    def __iter__(self):
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __reduce__(self) -> Any:
        # A copy that travels takes along what it may need of the graph.
        used = {value for row in self.rows for value in row if isinstance(value, Iri)}
        labels = self.read_labels() if used else {}
        own = {str(iri): labels[iri] for iri in sorted(used) if iri in labels}
        return Rows, (self.columns, self.rows, partial(dict, own), partial(dict, self._kinds()))

    def to_dicts(self) -> list[dict[str, Any]]:
        """Rows as dictionaries of Python values, by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def with_labels(self, *columns: str) -> Rows:
        """The same rows with a column `<column>_label` after each of these columns of IRIs.

        Shape: without arguments, after each column of IRIs that has no `<column>Label` beside it;
        no column is added twice. The label is that of the graph, None for an IRI without one.
        Errors: DataError for a name that is not a column.
        """
        unknown = [name for name in columns if name not in self.columns]
        if unknown:
            accepted = one_of(self.columns)
            raise DataError([Problem("column", name, accepted) for name in unknown])
        wanted = columns or [
            name
            for name in self.columns
            if self._kind(name) == "iri" and f"{name}Label" not in self.columns
        ]
        wanted = [name for name in wanted if f"{name}_label" not in self.columns]
        names: list[str] = []
        places: list[tuple[int, bool]] = []
        for place, name in enumerate(self.columns):
            names.append(name)
            places.append((place, False))
            if name in wanted:
                names.append(f"{name}_label")
                places.append((place, True))
        labels = self.read_labels() if wanted else {}
        rows = [
            tuple(_label(row[i], labels) if as_label else row[i] for i, as_label in places)
            for row in self.rows
        ]

        def kinds() -> Mapping[str, str]:
            return {**self.read_kinds(), **{f"{name}_label": "text" for name in wanted}}

        return replace(self, columns=tuple(names), rows=rows, read_kinds=kinds)

    def to_polars(self, *, iris: IriForm = "iri") -> polars.DataFrame:
        """A polars data frame with typed columns.

        Shape: text, IRIs and blank nodes are String, whole numbers Int64, decimals Float64, truth
        values Boolean, days Date, moments Datetime (UTC where they state a zone); what is missing
        is null. Numbers that a float cannot hold to the last digit stay Decimal, values of several
        kinds in one column become String. A column without any value has the type that the query
        and the ontology give it, else String. `iris` writes IRIs in full, as CURIEs, or as labels
        (CURIEs where the graph has no label).
        Errors: EngineError if polars is not installed; DataError for another `iris`.
        """
        from her2kg import frames

        return frames.to_polars(self.columns, self._texts(iris), self._kinds())

    def to_pandas(self, *, iris: IriForm = "iri") -> pandas.DataFrame:
        """A pandas data frame with typed columns that may hold pandas.NA.

        Shape: string, Int64, Float64, boolean, datetime64[s] for days and datetime64[us] for
        moments; decimals that a float cannot hold are objects. Else as `to_polars`.
        Errors: EngineError if pandas is not installed; DataError for another `iris`.
        """
        from her2kg import frames

        return frames.to_pandas(self.columns, self._texts(iris), self._kinds())

    def to_csv(self, path: str | Path | None = None, *, iris: IriForm = "iri") -> str | None:
        """Rows as CSV: the text, or None once it is written to `path` in one step.

        Shape: UTF-8, a header, LF line ends, an empty cell for no value; text that a spreadsheet
        would run as a formula gets an apostrophe in front.
        Errors: EngineError if the file cannot be written; DataError for another `iris`.
        """
        text = output.to_csv(self.columns, self._texts(iris), guard=True)
        if path is None:
            return text
        try:
            replace_text(Path(path), text)
        except OSError as error:
            raise EngineError(
                f"{path} cannot be written: {error.strerror}; name a file in a folder that exists"
            ) from None
        return None

    def _texts(self, iris: str) -> list[tuple[Any, ...]]:
        """The rows with IRIs in the form asked for."""
        if iris not in _FORMS:
            raise DataError([Problem("iris", iris, one_of(_FORMS))])
        if iris == "iri":
            return self.rows
        labels = self.read_labels() if iris == "label" else {}
        return [
            tuple((labels.get(v) or v.curie.strip("<>")) if isinstance(v, Iri) else v for v in row)
            for row in self.rows
        ]

    def _kinds(self) -> dict[str, str]:
        """What the query says of the columns without any value."""
        empty = {
            name
            for place, name in enumerate(self.columns)
            if all(row[place] is None for row in self.rows)
        }
        return {n: kind for n, kind in self.read_kinds().items() if n in empty} if empty else {}

    def _kind(self, column: str) -> str | None:
        place = self.columns.index(column)
        present = [row[place] for row in self.rows if row[place] is not None]
        if not present:
            return self.read_kinds().get(column)
        return "iri" if any(isinstance(value, Iri) for value in present) else None

    def _count(self, columns: int | None = None) -> str:
        size = [_number(len(self.rows), "row"), _number(len(self.columns), "column")]
        shown = [_number(_SHOWN, "row")] if len(self.rows) > _SHOWN else []
        shown += [_number(columns, "column")] if columns not in (None, len(self.columns)) else []
        return ", ".join(size) + (f"; shown: the first {' and '.join(shown)}" if shown else "")

    def __repr__(self) -> str:
        cells = [[output.inert(output.cell(v)) for v in row] for row in self.rows[:_SHOWN]]
        lines = [[_cut(text, _LONGEST) for text in line] for line in (self.columns, *cells)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        ends = list(accumulate(width + 2 for width in widths))
        fitting = max(sum(end - 2 <= _WIDEST for end in ends), min(1, len(ends)))
        lines.insert(1, ["-" * width for width in widths])
        drawn = [
            "  ".join(
                text.ljust(width) for text, width in zip(line[:fitting], widths, strict=False)
            )
            for line in lines
        ]
        return "\n".join([*(line.rstrip() for line in drawn), f"({self._count(fitting)})"])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(output.inert(name))}</th>" for name in self.columns)
        body = "".join(
            f"<tr>{''.join(f'<td>{_html(value)}</td>' for value in row)}</tr>\n"
            for row in self.rows[:_SHOWN]
        )
        return (
            f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"
            f"<p>{self._count()}</p>"
        )


def _label(value: Any, labels: Mapping[str, str]) -> str | None:
    return labels.get(value) if isinstance(value, Iri) else None


def _number(count: int | None, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _html(value: Any) -> str:
    """A cell of a table in a notebook: an IRI of the web is a link, everything else inert text."""
    if not isinstance(value, Iri):
        return escape(_cut(output.inert(output.cell(value)), _LONGEST_HTML))
    text = escape(_cut(output.inert(value.curie.strip("<>")), _LONGEST_HTML))
    if not value.startswith(("https://", "http://")):
        return text
    return f'<a href="{escape(output.inert(value))}">{text}</a>'
