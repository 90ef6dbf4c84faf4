"""From clean rows of patients to the tables that expressions are computed over.

Texts become bits: each distinct text, or list of texts, of a batch is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import polars as pl

from her2kg.cohort.axioms import FALSE, TRUE, Axioms, Property
from her2kg.cohort.definitions import Definitions, Field
from her2kg.cohort.frames import Tables
from her2kg.errors import UnknownTerm
from her2kg.names import Names
from her2kg.namespaces import BASE
from her2kg.record_checks import drugs_of
from her2kg.record_tnm import categories, read_nodes

_BETWEEN = "\x1f"  # stands between the texts of a list; no name holds it
_STATIC_ROWS = pl.UInt32



class Encoder:
    """Encodes rows; keeps what it learned of texts from one batch to the next.

    Shape: rows as docs/cohorts.md describes them, without problems (`cohort.checking`).
    """

    def __init__(self, axioms: Axioms, definitions: Definitions, names: Names) -> None:
        self.axioms = axioms
        self.definitions = definitions
        self.names = names
        self._known: dict[str, dict[str, Any]] = {}

    def encode(self, rows: pl.DataFrame, today: date) -> Tables:
        """The tables of one batch; `today` stands for a missing `as_of`."""
        patients = self.patients(rows, today)
        return Tables(
            {
                "patient": patients,
                "test": self.tests(rows),
                **self.courses(rows),
            }
        )

    # --- patients -----------------------------------------------------------------------------

    def patients(self, rows: pl.DataFrame, today: date) -> pl.DataFrame:
        lists = {
            "hasMetastaticSite": self.coded("hasMetastaticSite"),
            "specialCircumstance": self.coded("specialCircumstance"),
            "hypersensitiveTo": self.drugs,
            "takesMedicine": self.medicines,
        }
        staging = self.staging(rows)
        made: list[pl.Expr | pl.Series] = []
        for field in self.definitions.given("patient"):
            if field.name in ("hadCourse", "hasHer2Test", "recordIdentifier"):
                continue
            if field.path == "tnm" and field.name in staging:
                made.append(staging[field.name].alias(field.name))
            elif field.path not in rows.columns and field.name != "statedIshResult":
                made.append(_absent(field))
            elif field.name in lists:
                made.append(self.listed(rows[field.path], field.name, lists[field.name]))
            else:
                made.append(self.scalar(rows, field))
        frame = rows.select(made) if made else pl.DataFrame()
        day = pl.col("recordDate").fill_null(pl.lit(today))
        frame = frame.with_columns(
            day,
            self.closed(rows),
            *(
                self.complete(rows, path).alias(f"{name}_closed")
                for name, path in {
                    "specialCircumstance": "judgement.special_circumstances",
                    "hypersensitiveTo": "history.hypersensitivity",
                }.items()
            ),
            self.complete_medicines(rows).alias("takesMedicine_closed"),
        )
        if "birth_date" in rows.columns:
            frame = frame.with_columns(pl.coalesce("ageYears", _years("birthDate", "recordDate")))
        if "nodes" in rows.columns:
            counted = self.by_text(rows["nodes"], "nodes count", _count_of_nodes, pl.Float64)
            frame = frame.with_columns(pl.coalesce("positiveNodes", counted))
        return frame

    def closed(self, rows: pl.DataFrame) -> pl.Expr:
        name = "prior_therapies_complete"
        if name not in rows.columns:
            return pl.lit(False).alias("hadCourse_closed")
        return pl.lit(rows[name].fill_null(False)).alias("hadCourse_closed")

    def complete(self, rows: pl.DataFrame, path: str) -> pl.Series:
        if path not in rows.columns:
            return pl.repeat(False, rows.height, eager=True)
        return rows[path].is_not_null()

    def complete_medicines(self, rows: pl.DataFrame) -> pl.Series:
        path = "medications"
        if path not in rows.columns:
            return pl.repeat(False, rows.height, eager=True)
        unknown = self.by_list(rows[path], "unknown medicines", self.any_unknown_medicine)
        return rows[path].is_not_null() & (unknown == 0)

    def scalar(self, rows: pl.DataFrame, field: Field) -> pl.Series:
        if field.name == "statedIshResult":
            path = "her2_ish.result" if "her2_ish.result" in rows.columns else "her2_ish"
            if path not in rows.columns:
                return pl.repeat(0, rows.height, dtype=pl.Int64, eager=True).alias(field.name)
            return self.value(rows[path], field.name).alias(field.name)
        return self.typed(rows[field.path], field).alias(field.name)

    def typed(self, series: pl.Series, field: Field) -> pl.Series:
        if field.kind == "number":
            return series.cast(pl.Float64)
        if field.kind == "date":
            return series.cast(pl.Date)
        return self.value(series, field.name)

    def value(self, series: pl.Series, name: str) -> pl.Series:
        """The bits of one coded value a row."""
        prop = self.axioms.properties[name]
        if prop.range == "boolean" or series.dtype == pl.Boolean:
            return _bits_of_truth(series)
        if not prop.values:
            return pl.select(pl.when(series.is_not_null()).then(TRUE).otherwise(0)).to_series()
        if series.dtype == pl.Null:
            return pl.repeat(0, len(series), dtype=pl.Int64, eager=True)
        bits = {said: prop.bits([value]) for said, value in prop.notations.items()}
        return series.replace_strict(bits, default=0, return_dtype=pl.Int64)

    def staging(self, rows: pl.DataFrame) -> dict[str, pl.Series]:
        """The T and N categories and the M of `tnm` and `nodes`, as bits."""
        there = [name for name in ("tnm", "nodes") if name in rows.columns]
        wanted = [f.name for f in self.definitions.given("patient") if f.path == "tnm"]
        wanted = [name for name in wanted if name != "tnm"]
        if not there:
            return {}
        texts = [
            rows[name].cast(pl.String).fill_null("")
            if name in there
            else pl.repeat("", rows.height, eager=True)
            for name in ("tnm", "nodes")
        ]
        both = texts[0] + _BETWEEN + texts[1]
        return {
            name: self.by_text(both, f"staging {name}", lambda text, n=name: self.stage_bits(text, n))
            for name in wanted
        }

    def stage_bits(self, text: str, name: str) -> int:
        tnm, nodes = text.split(_BETWEEN)
        prop = self.axioms.properties[name]
        found = set()
        for category in categories(tnm or None, nodes or None):
            if category.letter == "M" and name == "metastasisInTnm":
                found.add(category.name != "M0")
            elif category.property == name:
                found.add(prop.notations[category.name])
        return prop.bits(found)

    # --- rows below patients ------------------------------------------------------------------

    def tests(self, rows: pl.DataFrame) -> pl.DataFrame:
        fields = self.definitions.given("test")
        table = _exploded(rows, "her2_tests")
        if "ish" in table.columns and isinstance(table.schema["ish"], pl.Struct):
            inner = table["ish"].struct.unnest()
            table = table.drop("ish").with_columns(
                inner[name].alias("ish" if name == "result" else f"ish.{name}")
                for name in inner.columns
            )
        return self.below(table, fields, "her2_tests[].")

    def courses(self, rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
        table = _exploded(rows, "prior_therapies")
        fields = [
            field
            for field in self.definitions.given("course")
            if field.name not in ("hadToxicity", "gaveDrug", "usedRegimen")
        ]
        frame = self.below(table, fields, "prior_therapies[].")
        regimens = _column(table, "regimen", pl.String)
        drugs = _column(table, "drugs", pl.List(pl.String))
        listed = drugs.list.join(_BETWEEN)
        key = regimens.fill_null("") + "\x1e" + listed.fill_null("\x1d")
        frame = frame.with_columns(
            self.by_text(key, "course drugs", self.given_drugs).alias("gaveDrug"),
            (regimens.is_not_null() | drugs.is_not_null()).alias("gaveDrug_closed"),
        )
        events = _exploded(table, "adverse_events")
        if "resolved" in events.columns and events.schema["resolved"] == pl.String:
            said = events["resolved"]
            events = events.with_columns(
                said.str.to_date("%Y-%m-%d", strict=False).alias("resolved"),
                pl.select(pl.when(said == "false").then(True)).to_series().alias("unresolved"),
            )
        fields = self.definitions.given("toxicity")
        toxicity = self.below(events, fields, "prior_therapies[].adverse_events[].")
        if "event" in events.columns:
            event = self.by_text(events["event"].fill_null(""), "events", self.event)
            toxicity = toxicity.with_columns(event.alias("toxicityEvent"))
        closed = _column(table, "adverse_events", pl.List(pl.Null)).is_not_null()
        frame = frame.with_columns(closed.alias("hadToxicity_closed"))
        return {"course": frame, "toxicity": toxicity}

    def below(self, table: pl.DataFrame, fields: Iterable[Field], prefix: str) -> pl.DataFrame:
        made = [table["_row"]]
        for field in fields:
            path = field.path.removeprefix(prefix)
            if path in table.columns and field.name != "toxicityEvent":
                made.append(self.typed(table[path], field).alias(field.name))
            else:
                value = 0 if field.kind == "mask" else None
                absent = pl.repeat(value, table.height, dtype=_dtype(field), eager=True)
                made.append(absent.alias(field.name))
        return pl.DataFrame(made)

    # --- texts --------------------------------------------------------------------------------

    def by_text(
        self, series: pl.Series, what: str, read: Callable[[str], Any], dtype: Any = pl.Int64
    ) -> pl.Series:
        """Read each distinct text once."""
        known = self._known.setdefault(what, {})
        for text in series.unique().drop_nulls():
            if text not in known:
                known[text] = read(text)
        if not known:
            return pl.repeat(None, len(series), dtype=dtype, eager=True)
        default = 0 if dtype == pl.Int64 else None
        return series.replace_strict(known, default=default, return_dtype=dtype)

    def by_list(
        self, series: pl.Series, what: str, read: Callable[[list[str]], int]
    ) -> pl.Series:
        if series.dtype == pl.Null or series.dtype.inner == pl.Null:
            return pl.repeat(0, len(series), dtype=pl.Int64, eager=True)
        joined = series.list.join(_BETWEEN).fill_null("")
        return self.by_text(joined, what, lambda text: read(text.split(_BETWEEN) if text else []))

    def listed(
        self, series: pl.Series, name: str, read: Callable[[list[str]], int]
    ) -> pl.Series:
        return self.by_list(series, name, read).alias(name)

    def coded(self, name: str) -> Callable[[list[str]], int]:
        prop = self.axioms.properties[name]
        return lambda said: prop.bits(prop.notations[each] for each in said)

    def drugs(self, said: list[str]) -> int:
        return self.drug_bits("hypersensitiveTo", said, ("drug", "product"))

    def drug_bits(self, name: str, said: Iterable[str], kinds: tuple[str, ...]) -> int:
        terms = [_local(self.names.resolve(each, kinds)) for each in said]
        found = (_local(drug) for drug in drugs_of(self.names, terms))
        return self.axioms.properties[name].bits(found)

    def given_drugs(self, key: str) -> int:
        """Drugs of a course: those listed or, without a list, those of the regimen."""
        regimen, listed = key.split("\x1e")
        if listed != "\x1d":
            said = listed.split(_BETWEEN) if listed else []
            return self.drug_bits("gaveDrug", said, ("drug", "product"))
        return self.drug_bits("gaveDrug", [regimen], ("regimen",)) if regimen else 0

    def medicines(self, said: list[str]) -> int:
        known = [iri for iri in map(self.medicine, said) if iri is not None]
        return self.axioms.properties["takesMedicine"].bits(known)

    def medicine(self, name: str) -> str | None:
        try:
            return _local(self.names.resolve(name, ("concomitant medicine",)))
        except UnknownTerm:
            return None

    def any_unknown_medicine(self, said: list[str]) -> int:
        return int(any(self.medicine(each) is None for each in said))

    def event(self, name: str) -> int:
        if not name:
            return 0
        found = _local(self.names.resolve(name, ("adverse event",)))
        return self.axioms.properties["toxicityEvent"].bits([found])


def _local(iri: str) -> str:
    return str(iri).removeprefix(BASE)


def _dtype(field: Field) -> Any:
    return {"number": pl.Float64, "date": pl.Date}.get(field.kind, pl.Int64)


def _absent(field: Field) -> pl.Expr:
    value = 0 if field.kind == "mask" else None
    return pl.lit(value, _dtype(field)).alias(field.name)


def _bits_of_truth(series: pl.Series) -> pl.Series:
    bits = pl.when(series).then(TRUE).when(series.not_()).then(FALSE).otherwise(0)
    return pl.select(bits.cast(pl.Int64)).to_series()


def _column(table: pl.DataFrame, name: str, dtype: Any) -> pl.Series:
    if name in table.columns and table.schema[name] != pl.Null:
        return table[name]
    return pl.repeat(None, table.height, dtype=dtype, eager=True)


def _exploded(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """One row for each part of a list of parts, with the number of the row it stood in."""
    empty = pl.DataFrame({"_row": []}, schema={"_row": _STATIC_ROWS})
    if name not in rows.columns or not isinstance(rows.schema[name], pl.List):
        return empty
    held = rows.select(pl.int_range(pl.len(), dtype=_STATIC_ROWS).alias("_row"), pl.col(name))
    held = held.filter(pl.col(name).list.len() > 0)
    if not held.height or not isinstance(rows.schema[name].inner, pl.Struct):
        return empty
    return held.explode(name).unnest(name)


def _years(birth: str, day: str) -> pl.Expr:
    """Birthdays after birth up to and including a day."""
    b, d = pl.col(birth).dt, pl.col(day).dt
    not_yet = (d.month() < b.month()) | ((d.month() == b.month()) & (d.day() < b.day()))
    return (d.year() - b.year() - not_yet.cast(pl.Int32)).cast(pl.Float64)


def _count_of_nodes(text: str) -> float | None:
    found = read_nodes(text)
    return None if found is None or found[1] is None else float(found[1])
