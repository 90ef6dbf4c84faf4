"""Records as rows of the cohort table, for the five indications."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl

from benchmarks.cohort.handwritten import COLUMNS


def frame(records: list[dict[str, Any]]) -> pl.DataFrame:
    """A cohort table of records as dicts, with the columns that the five indications read."""
    rows = [row(record) for record in records]
    columns = {
        name: pl.Series(name, [each.get(name) for each in rows], dtype=kind)
        for name, kind in COLUMNS.items()
    }
    return pl.DataFrame(columns)


def row(record: dict[str, Any]) -> dict[str, Any]:
    """One record with its parts flat, days as days and each list item with all its fields."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if name == "her2_ish":
            value = _ish(value)
        if isinstance(value, dict) and name not in ("genomics", "notes"):
            flat.update({f"{name}.{key}": inner for key, inner in value.items()})
        else:
            flat[name] = value
    tests = flat.get("her2_tests")
    if tests is not None:
        flat["her2_tests"] = [{**test, "ish": _ish(test.get("ish"))} for test in tests]
    return {name: _shaped(flat[name], kind) for name, kind in COLUMNS.items() if name in flat}


def _ish(value: Any) -> Any:
    return {"result": value} if isinstance(value, str) else value


def _shaped(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, pl.List):
        return [_shaped(each, kind.inner) for each in value]
    if isinstance(kind, pl.Struct):
        return {field.name: _shaped(value.get(field.name), field.dtype) for field in kind.fields}
    if kind == pl.Date and isinstance(value, str):
        return date.fromisoformat(value)
    return float(value) if kind == pl.Float64 else value
