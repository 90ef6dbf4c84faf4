"""Values of a table in the types of `rows.schema()`; what does not fit its type is set aside."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache
from typing import Any

import polars as pl

from her2kg.cohort.rows import schema
from her2kg.errors import DataError
from her2kg.record_input import read_source

KEPT = ("genomics", "notes")  # accepted, never read
Odd = dict[int, Any]  # number of a row in its chunk -> the value that its type cannot hold
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WHOLE = 2**63
_FEW = 50  # lists that are built one by one
_RESOLVED = "resolved"  # a day, or false: held as text
_ISH = "ish"  # its result as text is short for a structure


class Unfit(Exception):
    """A value that a column cannot hold; `load_record` says what is wrong with it."""


# --- whole columns --------------------------------------------------------------------------------


def typed(series: pl.Series, dtype: Any) -> tuple[pl.Series, Odd]:
    """A column in the type asked for, empty where a value does not fit, and those values."""
    if series.dtype == dtype:
        return series, {}
    if _safe(series.dtype, dtype):
        shaped = _shaped(pl.col(series.name), series.dtype, dtype)
        return series.to_frame().select(shaped.alias(series.name)).to_series(), {}
    if isinstance(dtype, pl.List):
        return _by_value(series, dtype)
    if isinstance(series.dtype, pl.Categorical | pl.Enum):
        series = series.cast(pl.String)
    if series.dtype.is_decimal():
        series = series.cast(pl.Float64)
    return _split(series, _converted(series, dtype))


def from_text(series: pl.Series, dtype: Any) -> tuple[pl.Series, Odd]:
    """A column of CSV cells in the type asked for; an empty cell is not recorded."""
    cell = pl.col(series.name)
    series = series.to_frame().select(pl.when(cell != "").then(cell)).to_series()
    if dtype == pl.String:
        return series, {}
    if isinstance(dtype, pl.List):
        return _by_cell(series, dtype)
    if dtype == pl.Boolean:
        found = pl.when(cell == "true").then(True).when(cell == "false").then(False)
        return _split(series, series.to_frame().select(found).to_series().alias(series.name))
    if dtype == pl.Date:
        return _split(series, _converted(series, dtype))
    numbers = series.cast(pl.Float64, strict=False)
    if dtype == pl.Int64:
        numbers = series.cast(pl.Int64, strict=False).fill_null(_whole(numbers))
    return _split(series, numbers)


def _split(series: pl.Series, found: pl.Series) -> tuple[pl.Series, Odd]:
    lost = (series.is_not_null() & found.is_null()).arg_true()
    return found, dict(zip(lost.to_list(), series.gather(lost).to_list(), strict=True))


def _safe(given: Any, wanted: Any) -> bool:
    """Whether a cast keeps every value and adds none."""
    if given == wanted or given == pl.Null:
        return True
    if wanted == pl.Int64:
        return given.is_integer() and given not in (pl.UInt64, pl.Int128, pl.UInt128)
    if wanted == pl.Float64:
        return given.is_integer() or given == pl.Float32
    if wanted == pl.String:
        return isinstance(given, pl.Categorical | pl.Enum)
    if isinstance(wanted, pl.List):
        return isinstance(given, pl.List | pl.Array) and _safe(given.inner, wanted.inner)
    if isinstance(wanted, pl.Struct):
        inner = {field.name: field.dtype for field in wanted.fields}
        return isinstance(given, pl.Struct) and all(
            field.name in inner and _safe(field.dtype, inner[field.name]) for field in given.fields
        )
    return False


def _shaped(value: pl.Expr, given: Any, wanted: Any) -> pl.Expr:
    """A cast that `_safe` allows; fields that a structure lacks become null."""
    if given == wanted:
        return value
    if given == pl.Null:
        return value.cast(wanted)
    if isinstance(wanted, pl.List):
        value = value.arr.to_list() if isinstance(given, pl.Array) else value
        return value.list.eval(_shaped(pl.element(), given.inner, wanted.inner))
    if not isinstance(wanted, pl.Struct):
        return value.cast(wanted)
    there = {field.name: field.dtype for field in given.fields}
    fields = [
        _shaped(value.struct.field(field.name), there[field.name], field.dtype).alias(field.name)
        if field.name in there
        else pl.lit(None, field.dtype).alias(field.name)
        for field in wanted.fields
    ]
    return pl.when(value.is_not_null()).then(pl.struct(fields))


def _converted(series: pl.Series, dtype: Any) -> pl.Series:
    """The values that mean the same in the other type; the rest is left empty."""
    given = series.dtype
    if dtype == pl.Int64 and given.is_float():
        return _whole(series)
    if dtype == pl.Int64 and given.is_integer():
        return series.cast(pl.Int64, strict=False)
    if dtype == pl.Float64 and given.is_float():
        return series.cast(pl.Float64)
    if dtype == pl.Date and given == pl.String:
        days = series.str.to_date("%Y-%m-%d", strict=False)
        return _where(days, days.dt.to_string("%Y-%m-%d") == series)
    if dtype == pl.Date and isinstance(given, pl.Datetime) and given.time_zone is None:
        days = series.dt.date()
        return _where(days, days.cast(given) == series)
    return pl.repeat(None, len(series), dtype=dtype, eager=True).alias(series.name)


def _whole(numbers: pl.Series) -> pl.Series:
    found = numbers.cast(pl.Int64, strict=False)
    return _where(found, found.cast(pl.Float64) == numbers.cast(pl.Float64))


def _where(series: pl.Series, fits: pl.Series) -> pl.Series:
    frame = pl.DataFrame([series.alias("value"), fits.alias("fits")])
    kept = frame.select(pl.when("fits").then("value")).to_series()
    return kept.alias(series.name)


def _by_value(series: pl.Series, dtype: Any) -> tuple[pl.Series, Odd]:
    read = reader(dtype, series.name, in_json=False)
    found, odd = [], {}
    for row, value in enumerate(series.to_list()):
        try:
            found.append(read(value))
        except Unfit:
            found.append(None)
            odd[row] = value
    return column(series.name, found, dtype), odd


def _by_cell(series: pl.Series, dtype: Any) -> tuple[pl.Series, Odd]:
    """Lists from JSON text or, for lists of texts, with ; between the items."""
    read = reader(dtype, series.name)
    plain = dtype.inner == pl.String
    known: dict[str | None, Any] = {None: None}
    wrong: dict[str, Any] = {}
    for cell in series.unique().drop_nulls():
        value: Any = cell
        try:
            if plain and not cell.lstrip().startswith("["):
                value = [item.strip() for item in cell.split(";")]
            else:
                value = loads(cell)
            known[cell] = read(value)
        except (Unfit, ValueError, RecursionError):
            known[cell], wrong[cell] = None, value
    cells = series.to_list()
    odd = {row: wrong[cell] for row, cell in enumerate(cells) if cell in wrong} if wrong else {}
    return column(series.name, [known[cell] for cell in cells], dtype), odd


def column(name: str, found: list[Any], dtype: Any) -> pl.Series:
    """A column of values that `reader` gave; lists and structures are put together by columns.

    Polars takes several times longer to build them from single values.
    """
    if isinstance(dtype, pl.Struct):
        fields = [
            column(each.name, [None if v is None else v[each.name] for v in found], each.dtype)
            for each in dtype.fields
        ]
        built = pl.DataFrame(fields).to_struct(name)
        there = [value is not None for value in found]
        return built if all(there) else _where(built, pl.Series(there, dtype=pl.Boolean))
    if not isinstance(dtype, pl.List) or len(found) < _FEW:
        return pl.Series(name, found, dtype=dtype)
    inner = column("item", [each for value in found for each in value or ()], dtype.inner)
    full = [row for row, value in enumerate(found) if value]
    lengths = [len(found[row]) for row in full]
    rows = pl.DataFrame({"row": full, "n": lengths}, schema={"row": pl.UInt32, "n": pl.UInt32})
    number = rows.select(pl.col("row").repeat_by("n").explode()).to_series()
    lists = pl.DataFrame([number, inner]).group_by("row", maintain_order=True).agg("item")["item"]
    places = pl.Series([None] * len(found), dtype=pl.UInt32)
    if full:
        order = pl.int_range(len(full), dtype=pl.UInt32, eager=True)
        places = places.scatter(rows["row"], order)
    empty = pl.Series([value is not None and not value for value in found], dtype=pl.Boolean)
    frame = pl.DataFrame([lists.gather(places).alias("lists"), empty.alias("empty")])
    none = pl.lit(pl.Series([[]], dtype=dtype)).first()
    built = frame.select(pl.when("empty").then(none).otherwise("lists").alias(name)).to_series()
    return built.cast(dtype)


# --- single values --------------------------------------------------------------------------------


def loads(text: str) -> Any:
    """Parse JSON.

    Errors: Unfit for a key that comes twice and for NaN; ValueError or RecursionError for the rest.
    """
    return json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)


def _pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(items)
    if len(built) != len(items):
        raise Unfit
    return built


def _constant(_: str) -> Any:
    raise Unfit


@cache
def reader(dtype: Any, name: str = "", *, in_json: bool = True) -> Callable[[Any], Any]:
    """A function that gives a value as its column holds it.

    Shape: `in_json` tells JSON values from those of a table, where "false" is a text.
    Errors: the function raises Unfit for any value of another type.
    """
    if isinstance(dtype, pl.List):
        return _list_reader(reader(dtype.inner, name, in_json=in_json))
    if isinstance(dtype, pl.Struct):
        fields = {f.name: reader(f.dtype, f.name, in_json=in_json) for f in dtype.fields}
        return _struct_reader(fields, short=name == _ISH)
    if name == _RESOLVED:
        return _resolved if in_json else _resolved_text
    readers = {pl.Date: _day, pl.Float64: _number, pl.Int64: _count, pl.Boolean: _truth}
    return next((read for kind, read in readers.items() if dtype == kind), _text)


def _list_reader(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def listed(value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, list | tuple) or any(each is None for each in value):
            raise Unfit
        return [read(each) for each in value]

    return listed


def _struct_reader(fields: dict[str, Callable[[Any], Any]], *, short: bool) -> Callable[[Any], Any]:
    def structure(value: Any) -> Any:
        if value is None:
            return None
        if short and isinstance(value, str):
            value = {"result": value}
        if not isinstance(value, Mapping) or not value.keys() <= fields.keys():
            raise Unfit
        return {name: read(value.get(name)) for name, read in fields.items()}

    return structure


def _text(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value
    raise Unfit


def _resolved(value: Any) -> str | None:
    if value is False:
        return "false"
    if value == "false" or value is True:
        raise Unfit
    return _resolved_text(value)


def _resolved_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return _resolved(value)
    if value is None or type(value) is str:
        return value
    return _day(value).isoformat()


def _day(value: Any) -> date | None:
    if value is None or type(value) is date:
        return value
    if isinstance(value, datetime) and value.tzinfo is None and value == _midnight(value):
        return value.date()
    if type(value) is str and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise Unfit from None
    raise Unfit


def _midnight(value: datetime) -> datetime:
    return datetime(value.year, value.month, value.day)


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float):
        raise Unfit
    try:
        return float(value)
    except OverflowError:
        raise Unfit from None


def _count(value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not -_WHOLE <= value < _WHOLE:
        raise Unfit
    return value


def _truth(value: Any) -> bool | None:
    if value is None or type(value) is bool:
        return value
    raise Unfit


# --- records --------------------------------------------------------------------------------------


Read = Callable[[Any], Any]


@cache
def _readers() -> tuple[dict[str, Read], dict[str, dict[str, tuple[str, Read]]]]:
    """By field: a reader; by part and field: the name of the column and a reader."""
    top: dict[str, Read] = {}
    parts: dict[str, dict[str, tuple[str, Read]]] = {}
    for name, dtype in schema().items():
        part, _, inner = name.rpartition(".")
        read = reader(dtype, inner)
        if part:
            parts.setdefault(part, {})[inner] = (name, read)
        else:
            top[name] = read
    return top, parts


def row_from_json(record: Any) -> dict[str, Any]:
    """The row of one JSON record, without what is not recorded.

    Errors: Unfit for what the columns cannot hold.
    """
    if not isinstance(record, dict):
        raise Unfit
    row: dict[str, Any] = {}
    top, parts = _readers()
    for name, value in record.items():
        if value is None:
            continue
        if name in top:
            row[name] = top[name](value)
        elif name in parts:
            if name == "her2_ish" and isinstance(value, str):
                value = {"result": value}
            if not isinstance(value, dict):
                raise Unfit
            known = parts[name]
            for inner, each in value.items():
                if inner not in known:
                    raise Unfit
                place, read = known[inner]
                row[place] = read(each)
        elif name in KEPT:
            _look_through(name, value)
        else:
            raise Unfit
    return row


def _look_through(name: str, value: Any) -> None:
    """Values that are kept without being read must be JSON all the same."""
    if isinstance(value, str):
        return
    try:
        _, problems = read_source({name: value})
    except DataError:
        raise Unfit from None
    if problems:
        raise Unfit
