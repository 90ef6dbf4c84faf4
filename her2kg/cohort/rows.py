"""The columns of a table of patients, and one record as one row of it.

A column is named by its place in the record: `lvef_percent`, `labs.platelets_10e9_per_l`. Courses
of therapy, their adverse events and HER2 tests are lists of structures within the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any

import polars as pl

from her2kg.records import json_schema

PARTS = ("her2_ish", "labs", "history", "judgement")  # flat columns with a dot in the name
_KEPT = ("genomics", "notes")  # never interpreted, and not read


@cache
def schema() -> dict[str, Any]:
    """Column -> Polars type, in the order of the record.

    Source: the JSON Schema of the patient record
    """
    model = json_schema()
    found: dict[str, Any] = {}
    for name, field in model["properties"].items():
        if name in _KEPT:
            continue
        if name in PARTS:
            inner = inner_fields(model, field)
            found |= {f"{name}.{each}": _type(model, said) for each, said in inner.items()}
        else:
            found[name] = _type(model, field)
    return found


def inner_fields(model: Mapping[str, Any], field: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a structure of the JSON Schema; none for any other field."""
    for way in (field, *field.get("anyOf", ())):
        if "$ref" in way:
            return model["$defs"][way["$ref"].rsplit("/", 1)[-1]].get("properties", {})
    return {}


def _type(model: Mapping[str, Any], field: Mapping[str, Any]) -> Any:
    ways = [field, *field.get("anyOf", ())]
    for way in ways:
        if "$ref" in way:
            inner = inner_fields(model, way)
            return pl.Struct({name: _type(model, said) for name, said in inner.items()})
    kinds = {way.get("type") for way in ways} - {"null", None}
    formats = {way.get("format") for way in ways}
    if "array" in kinds:
        (items,) = [way["items"] for way in ways if "items" in way]
        return pl.List(_type(model, items))
    if "date" in formats:
        return pl.String if "boolean" in kinds else pl.Date
    simple = {"number": pl.Float64, "integer": pl.Int64, "boolean": pl.Boolean}
    return next((simple[kind] for kind in kinds if kind in simple), pl.String)


def row_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """One record, as JSON values, as one row.

    Shape: `record` as `Record.to_dict()` gives it; the row has the columns of `schema()` that the
    record states.
    """
    row: dict[str, Any] = {}
    for name, value in record.items():
        if name in _KEPT:
            continue
        if name in PARTS:
            row |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            row[name] = value
    return {name: _as_type(value, schema()[name]) for name, value in row.items()}


def record_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row as a record of JSON values, without what is not recorded."""
    record: dict[str, Any] = {}
    for name, value in row.items():
        if value is None:
            continue
        part, _, inner = name.partition(".")
        value = _as_json(value)
        if inner:
            held = record.setdefault(part, {})
            if isinstance(held, dict):
                held[inner] = value
        else:
            record[name] = value
    return record


def _as_type(value: Any, dtype: Any) -> Any:
    if value is None:
        return None
    if dtype == pl.Date and isinstance(value, str):
        return date.fromisoformat(value)
    if dtype == pl.String and isinstance(value, bool):
        return str(value).lower()
    if dtype == pl.Float64:
        return float(value)
    if isinstance(dtype, pl.List):
        return [_as_type(each, dtype.inner) for each in value]
    if isinstance(dtype, pl.Struct):
        return {f.name: _as_type(value.get(f.name), f.dtype) for f in dtype.fields}
    return value


def _as_json(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [_as_json(each) for each in value]
    if isinstance(value, dict):
        found = {name: _as_json(each) for name, each in value.items() if each is not None}
        if found.get("resolved") == "false":
            found["resolved"] = False
        return found
    return value


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a table with every column."""
    return pl.DataFrame(rows, schema=schema(), orient="row")
