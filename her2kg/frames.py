"""Columns of Python values as columns of polars and pandas with a type each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from her2kg.errors import EngineError
from her2kg.output import flat

if TYPE_CHECKING:
    import pandas
    import polars

_INT64 = range(-(2**63), 2**63)
_DIGITS = 38  # of a polars Decimal
_MISSING = "{0} is not installed; install it: pip install 'her2kg[tables]'"


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, Decimal):
        return "decimal"
    if isinstance(value, datetime):
        return "moment" if value.tzinfo is None else "moment in a zone"
    return "date" if isinstance(value, date) else "text"


def _fits_float(value: int | Decimal) -> bool:
    """Whether a float written out again is the same number."""
    number = Decimal(value)
    return not number.is_finite() or Decimal(repr(float(number))) == number


def kind(values: Sequence[Any], declared: str | None = None) -> str:
    """What a column holds; `declared` where it holds nothing.

    Shape: boolean, integer, decimal, exact (numbers that no float holds), date, moment, moment in
    a zone, or text, which is also what a mixture becomes.
    """
    present = [value for value in values if value is not None]
    if not present:
        return "text" if declared in (None, "iri") else declared
    types = {_type(value) for value in present}
    if types == {"integer"} and all(value in _INT64 for value in present):
        return "integer"
    if types <= {"integer", "decimal"}:
        return "decimal" if all(map(_fits_float, present)) else "exact"
    return types.pop() if len(types) == 1 else "text"


def _shaped(kind: str, values: Sequence[Any]) -> list[Any]:
    """The values as a column of that kind takes them."""
    shape = {
        "text": lambda value: value if type(value) is str else flat(value),
        "decimal": float,
        "moment in a zone": lambda value: value.astimezone(UTC),
    }.get(kind)
    if shape is None:
        return list(values)
    return [None if value is None else shape(value) for value in values]


def _columns(
    names: Sequence[str], rows: Sequence[Sequence[Any]], declared: Mapping[str, str]
) -> list[tuple[str, str, list[Any]]]:
    found = []
    for place, name in enumerate(names):
        values = [row[place] for row in rows]
        found.append((name, kind(values, declared.get(name)), values))
    return found


def _at_one_scale(values: Sequence[Any]) -> tuple[int, list[Decimal | None]] | None:
    """The numbers with the same digits behind the point; None where polars cannot hold them."""
    numbers = [None if value is None else Decimal(value) for value in values]
    present = [number for number in numbers if number is not None]
    if not all(number.is_finite() for number in present):
        return None
    scale = max(max(-number.as_tuple().exponent, 0) for number in present)
    whole = max(max(number.adjusted() + 1, 0) for number in present)
    if scale + whole > _DIGITS:
        return None
    unit, context = Decimal(1).scaleb(-scale), Context(prec=_DIGITS)
    return scale, [
        each if each is None else each.quantize(unit, context=context) for each in numbers
    ]


def to_polars(
    names: Sequence[str], rows: Sequence[Sequence[Any]], declared: Mapping[str, str]
) -> polars.DataFrame:
    """A polars data frame; `declared` are the kinds of columns without any value.

    Errors: EngineError if polars is not installed.
    """
    try:
        import polars
    except ImportError:
        raise EngineError(_MISSING.format("polars")) from None
    types = {
        "text": polars.String,
        "boolean": polars.Boolean,
        "integer": polars.Int64,
        "decimal": polars.Float64,
        "date": polars.Date,
        "moment": polars.Datetime("us"),
        "moment in a zone": polars.Datetime("us", "UTC"),
    }
    series = []
    for name, found, values in _columns(names, rows, declared):
        if found == "exact":
            held = _at_one_scale(values)
            if held is not None:
                scale, numbers = held
                series.append(polars.Series(name, numbers, polars.Decimal(_DIGITS, scale)))
                continue
            found = "text"
        series.append(polars.Series(name, _shaped(found, values), types[found]))
    return polars.DataFrame(series)


def to_pandas(
    names: Sequence[str], rows: Sequence[Sequence[Any]], declared: Mapping[str, str]
) -> pandas.DataFrame:
    """A pandas data frame; `declared` are the kinds of columns without any value.

    Errors: EngineError if pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise EngineError(_MISSING.format("pandas")) from None
    types = {
        "text": "string",
        "boolean": "boolean",
        "integer": "Int64",
        "decimal": "Float64",
        "exact": object,
        "date": "datetime64[s]",
        "moment": "datetime64[us]",
        "moment in a zone": "datetime64[us, UTC]",
    }
    columns = {
        name: pandas.Series(_shaped(found, values), dtype=types[found])
        for name, found, values in _columns(names, rows, declared)
    }
    return pandas.DataFrame(columns, columns=list(names), index=pandas.RangeIndex(len(rows)))
