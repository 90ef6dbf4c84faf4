"""From clean rows of patients to the tables that expressions are computed over.

Texts become bits: each distinct text, or list of texts, of a batch is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import polars as pl

from her2kg.cohort.axioms import FALSE, TRUE, Axioms
from her2kg.cohort.definitions import Definitions, Field
from her2kg.cohort.frames import Tables, mask_type
from her2kg.errors import UnknownTerm
from her2kg.names import Names
from her2kg.namespaces import BASE
from her2kg.record_checks import drugs_of
from her2kg.record_tnm import categories, read_nodes

_BETWEEN = "\x1f"  # stands between the texts of a list; no name holds it
_ROWS = pl.UInt32
_FEW = 8
_REMEMBERED = 100_000  # texts of one kind
_UNREAD = object()
_OWN_ROWS = ("hadCourse", "hasHer2Test", "recordIdentifier")  # no columns of their own


class Encoder:
    """Encodes rows; keeps what it learned of texts from one batch to the next.

    Shape: rows as docs/cohorts.md describes them, without problems (`cohort.checking`).
    """

    def __init__(self, axioms: Axioms, definitions: Definitions, names: Names) -> None:
        self.axioms = axioms
        self.definitions = definitions
        self.names = names
        self._known: dict[str, dict[str, Any]] = {}
        self._stages: dict[tuple[str, str], int] = {}

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
        made: list[pl.Expr | pl.Series] = list(self.staging(rows))
        staged = {series.name for series in made}
        for field in self.definitions.given("patient"):
            if field.name in (*_OWN_ROWS, *staged):
                continue
            path = field.path
            if field.name == "statedIshResult" and "her2_ish.result" in rows.columns:
                path = "her2_ish.result"
            if path not in rows.columns or rows.schema[path] == pl.Null:
                made.append(self.absent(field).alias(field.name))
            elif field.name in lists:
                read = self.by_list(rows[path], field.name, lists[field.name])
                made.append(read.cast(self.dtype(field)).alias(field.name))
            else:
                made.append(self.value(pl.col(path), field, rows.schema[path]).alias(field.name))
        made += [
            _stated(rows, "prior_therapies_complete", pl.col("prior_therapies_complete"))
            .fill_null(False)
            .alias("hadCourse_closed"),
            _listed(rows, "judgement.special_circumstances").alias("specialCircumstance_closed"),
            _listed(rows, "history.hypersensitivity").alias("hypersensitiveTo_closed"),
            self.complete_medicines(rows).alias("takesMedicine_closed"),
        ]
        if not rows.height:
            made = [each.clear() if isinstance(each, pl.Series) else each for each in made]
        # Some columns may be single values: the row numbers give the height.
        frame = rows.select(pl.int_range(pl.len()).alias("_number"), *made).drop("_number")
        frame = frame.with_columns(pl.col("recordDate").fill_null(pl.lit(today)))
        if "birth_date" in rows.columns:
            frame = frame.with_columns(pl.coalesce("ageYears", _years("birthDate", "recordDate")))
        if "nodes" in rows.columns and rows.schema["nodes"] == pl.String:
            counted = self.by_text(rows["nodes"], "count of nodes", _count_of_nodes, pl.Float64)
            frame = frame.with_columns(pl.coalesce("positiveNodes", counted))
        return frame

    def complete_medicines(self, rows: pl.DataFrame) -> pl.Series | pl.Expr:
        if "medications" not in rows.columns or rows.schema["medications"] == pl.Null:
            return pl.lit(False)
        unknown = self.by_list(rows["medications"], "unknown medicines", self.unknown_medicines)
        return rows["medications"].is_not_null() & (unknown == 0)

    def dtype(self, field: Field) -> Any:
        """The type of a column."""
        if field.kind == "mask":
            return mask_type(self.definitions.width(field.name))
        return {"number": pl.Float64, "date": pl.Date}[field.kind]

    def absent(self, field: Field) -> pl.Expr:
        """The column of a field that nothing states."""
        return pl.lit(0 if field.kind == "mask" else None, self.dtype(field))

    def value(self, column: pl.Expr, field: Field, dtype: Any) -> pl.Expr:
        """A number, a day, or the bits of one coded value a row."""
        if field.kind != "mask":
            return column.cast(self.dtype(field))
        prop = self.axioms.properties[field.name]
        own = self.dtype(field)
        none = pl.lit(0, own)
        if dtype == pl.Boolean:
            yes, no = pl.lit(TRUE, own), pl.lit(FALSE, own)
            return pl.when(column).then(yes).when(~column).then(no).otherwise(none)
        if not prop.values:  # that it is stated is all that counts
            return pl.when(column.is_not_null()).then(pl.lit(TRUE, own)).otherwise(none)
        bits = {said: prop.bits([value]) for said, value in prop.notations.items()}
        if len(bits) > _FEW:
            return column.replace_strict(bits, default=0, return_dtype=own)
        # For few words, comparing each is faster than looking them up.
        found = none
        for said, bit in bits.items():
            found = pl.when(column == said).then(pl.lit(bit, own)).otherwise(found)
        return found

    def staging(self, rows: pl.DataFrame) -> Iterable[pl.Series]:
        """The T and N categories and the M of `tnm` and `nodes`, as bits."""
        there = [
            name
            for name in ("tnm", "nodes")
            if name in rows.columns and rows.schema[name] == pl.String
        ]
        if not there:
            return []
        texts = [
            rows[name].fill_null("") if name in there else pl.lit("") for name in ("tnm", "nodes")
        ]
        both = rows.select((texts[0] + pl.lit(_BETWEEN) + texts[1]).alias("both"))["both"]
        fields = [f for f in self.definitions.given("patient") if f.path == "tnm"]
        fields = [field for field in fields if field.name != "tnm"]
        distinct = both.unique()
        places = distinct.to_frame("both").with_row_index("place")
        place = both.to_frame("both").join(places, "both", "left", maintain_order="left")["place"]
        return [
            pl.Series(
                field.name,
                [self.stage_bits(text, field.name) for text in distinct],
                self.dtype(field),
            ).gather(place)
            for field in fields
        ]

    def stage_bits(self, text: str, name: str) -> int:
        key = (text, name)
        if len(self._stages) > _REMEMBERED:
            self._stages.clear()
        found = self._stages.get(key)
        if found is None:
            found = self._stages[key] = self.read_stage(text, name)
        return found

    def read_stage(self, text: str, name: str) -> int:
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
        fields = [f for f in self.definitions.given("toxicity") if f.name != "toxicityEvent"]
        toxicity = self.below(events, fields, "prior_therapies[].adverse_events[].")
        names = _column(events, "event", pl.String).fill_null("")
        event = self.by_text(names, "events", self.event)
        toxicity = toxicity.with_columns(event.alias("toxicityEvent"))
        closed = _column(table, "adverse_events", pl.List(pl.Null)).is_not_null()
        frame = frame.with_columns(closed.alias("hadToxicity_closed"))
        return {"course": frame, "toxicity": toxicity}

    def below(self, table: pl.DataFrame, fields: Iterable[Field], prefix: str) -> pl.DataFrame:
        made = []
        for field in fields:
            path = field.path.removeprefix(prefix)
            if path in table.columns and table.schema[path] != pl.Null:
                read = self.value(pl.col(path), field, table.schema[path])
            else:
                read = self.absent(field)
            made.append(read.alias(field.name))
        return table.select("_row", *made)

    # --- texts --------------------------------------------------------------------------------

    def by_text(
        self, series: pl.Series, what: str, read: Callable[[str], Any], dtype: Any = pl.Int64
    ) -> pl.Series:
        """Read each distinct text once."""
        known = self._known.setdefault(what, {})
        if len(known) > _REMEMBERED:
            known.clear()
        found = {}
        for text in series.unique().drop_nulls():
            # Batches of other threads read and clear the same texts.
            value = known.get(text, _UNREAD)
            if value is _UNREAD:
                value = known[text] = read(text)
            found[text] = value
        if not found:
            return pl.repeat(None, len(series), dtype=dtype, eager=True)
        default = 0 if dtype == pl.Int64 else None
        return series.replace_strict(found, default=default, return_dtype=dtype)

    def by_list(self, series: pl.Series, what: str, read: Callable[[list[str]], int]) -> pl.Series:
        if series.dtype == pl.Null or series.dtype.inner == pl.Null:
            return pl.repeat(0, len(series), dtype=pl.Int64, eager=True)
        joined = series.list.join(_BETWEEN).fill_null("")
        return self.by_text(joined, what, lambda text: read(text.split(_BETWEEN) if text else []))

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

    def unknown_medicines(self, said: list[str]) -> int:
        return int(any(self.medicine(each) is None for each in said))

    def event(self, name: str) -> int:
        if not name:
            return 0
        found = _local(self.names.resolve(name, ("adverse event",)))
        return self.axioms.properties["toxicityEvent"].bits([found])


def _local(iri: str) -> str:
    return str(iri).removeprefix(BASE)


def _stated(rows: pl.DataFrame, name: str, read: pl.Expr) -> pl.Expr:
    """An expression of a column; false where there is none."""
    return read if name in rows.columns and rows.schema[name] != pl.Null else pl.lit(False)


def _listed(rows: pl.DataFrame, name: str) -> pl.Expr:
    """Whether a list is stated, be it empty."""
    return pl.col(name).is_not_null() if name in rows.columns else pl.lit(False)


def _column(table: pl.DataFrame, name: str, dtype: Any) -> pl.Series:
    if name in table.columns and table.schema[name] != pl.Null:
        return table[name]
    return pl.repeat(None, table.height, dtype=dtype, eager=True)


def _exploded(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """One row for each part of a list of parts, with the number of the row it stood in."""
    empty = pl.DataFrame({"_row": []}, schema={"_row": _ROWS})
    if name not in rows.columns or not isinstance(rows.schema[name], pl.List):
        return empty
    held = rows.select(pl.int_range(pl.len(), dtype=_ROWS).alias("_row"), pl.col(name))
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
