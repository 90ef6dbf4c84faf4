"""A quick look at many rows: which of them may have a problem.

Sound, not exact: a row that `load_record` refuses is always suspected; one that it accepts may be.
Limits and words are those of the JSON Schema, and each distinct text is asked about once.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import cache, lru_cache, reduce
from operator import or_
from typing import Any

import polars as pl
from pydantic import ValidationError

from her2kg.cohort.rows import inner_fields, schema
from her2kg.errors import UnknownTerm
from her2kg.names import Names
from her2kg.record_checks import (
    LOCAL_SITES,
    OLDEST,
    Resolver,
    check_record,
    unknown_categories,
)
from her2kg.record_model import Course, IshTest, PatientRecord
from her2kg.record_tnm import categories, read_nodes
from her2kg.records import DRUG_KINDS, EVENT_KINDS, REGIMEN_KINDS, json_schema

_REMEMBERED = 200_000  # texts of one column that are kept from batch to batch
_ROW = "_row"
_LIMIT = "_limit"
_BIRTH = "_birth"
_ISH = tuple(f"her2_ish.{name}" for name in IshTest.model_fields)
# No blank at either end; a text that begins or ends in another script is looked at closer.
_PRINTED = r"(?s)\A[!-~](?:.*[!-~])?\z"
_PLAIN = pl.QueryOptFlags(comm_subexpr_elim=False)
_HIGHEST = sys.float_info.max
_OWN = {
    "_stage": pl.UInt8,
    "_number": pl.Int64,
    "_distant": pl.Boolean,
    "_brain": pl.Boolean,
    "_neoadjuvant": pl.Boolean,
    "_unset": pl.Boolean,
}
_BETWEEN = "\x1f"
_WRONG, _P, _YP, _M0, _M1, _GROWN = 1, 2, 4, 8, 16, 32  # what TNM and nodes say, as bits
_NAMED = {
    "prior_therapies[].regimen": REGIMEN_KINDS,
    "prior_therapies[].drugs": DRUG_KINDS,
    "prior_therapies[].adverse_events[].event": EVENT_KINDS,
    "history.hypersensitivity": DRUG_KINDS,
    "medications": (),
    "conditions": (),
}


@cache
def fields() -> dict[str, Mapping[str, Any]]:
    """Record path -> its part of the JSON Schema; [] stands after the name of a list."""
    model = json_schema()
    found: dict[str, Mapping[str, Any]] = {}

    def walk(given: Mapping[str, Any], prefix: str) -> None:
        for name, field in given.items():
            path = f"{prefix}{name}"
            found[path] = field
            ways = [field, *field.get("anyOf", ())]
            if any("$ref" in way for way in ways):
                walk(inner_fields(model, field), f"{path}.")
            for way in ways:
                if "items" in way:
                    found[path] = way["items"]
                    walk(inner_fields(model, way["items"]), f"{path}[].")

    walk(model["properties"], "")
    return found


def wrong(value: pl.Expr, path: str) -> pl.Expr | None:
    """Whether a value is outside the limits or words of its field; null where it is null."""
    ways = [fields()[path], *fields()[path].get("anyOf", ())]
    words = [word for way in ways for word in way.get("enum", ())]
    if words:
        return ~reduce(or_, [value == word for word in words])
    for way in ways:
        if "minimum" in way:
            # What is not a number is above the highest number for Polars.
            high = way.get("maximum", _HIGHEST if way["type"] == "number" else None)
            inside = value >= way["minimum"]
            return ~(inside & (value <= high)) if high is not None else ~inside
    return None


class Screen:
    """Finds suspects; keeps what it learned of texts from one batch to the next.

    Shape: `today` is the day after which no date may lie.
    """

    def __init__(self, names: Names, today: date) -> None:
        self.names = names
        self.today = today
        self._fine: dict[str, set[str]] = {}
        self._stages: dict[str, dict[str, int]] = {}
        self._pairs: dict[tuple[str, ...], int] = {}
        self._counts: dict[str, int | None] = {}
        self._rules = lru_cache(maxsize=16)(self._all_rules)

    def suspects(self, rows: pl.DataFrame) -> pl.Series:
        """Numbers of the rows that may have a problem, ascending.

        Shape: `rows` has columns of `rows.schema()`, in its types.
        """
        found: list[pl.Series] = []
        more = [self.limit(rows), *self.sites(rows, found), *self.staging(rows)]
        rows = rows.with_columns(more)
        rows = rows.with_columns(self.courses(rows, found))
        self.tests(rows, found)
        for name in ("history.hypersensitivity", "medications", "conditions"):
            if name in rows.columns:
                found += self.listed_texts(rows[name], name)
        name = "judgement.special_circumstances"
        if name in rows.columns:
            found += self.listed_words(rows[name], name)
        found += self.broken(rows)
        return pl.concat(found).unique().sort() if found else pl.Series([], dtype=pl.UInt32)

    def broken(self, rows: pl.DataFrame) -> list[pl.Series]:
        """Rows that a rule on whole rows suspects."""
        rules = self._rules(tuple(rows.columns))
        # Nearly all rules are kept by all rows: asked for one answer each, they share no work.
        asked = rows.lazy().select(
            rule.any().alias(str(number)) for number, rule in enumerate(rules)
        )
        answers = asked.collect(optimizations=_PLAIN).row(0)
        kept = [rule for rule, broken in zip(rules, answers, strict=True) if broken]
        if not kept:
            return []
        said = rows.select(pl.any_horizontal(kept).fill_null(False)).to_series()
        return [said.arg_true().cast(pl.UInt32)]

    # --- rows ---------------------------------------------------------------------------------

    def limit(self, rows: pl.DataFrame) -> pl.Expr:
        """The day after which no day of the row may lie."""
        today = pl.lit(self.today)
        if "as_of" not in rows.columns:
            return today.alias(_LIMIT)
        return pl.min_horizontal(pl.col("as_of"), today).fill_null(today).alias(_LIMIT)

    def _all_rules(self, columns: tuple[str, ...]) -> list[pl.Expr]:
        rules = [
            rule
            for name in columns
            if name in fields() and not isinstance(schema()[name], pl.List)
            if (rule := wrong(pl.col(name), name)) is not None
        ]
        ident = pl.col("id")
        rules += [ident.is_null(), ~ident.str.contains(_PRINTED)]
        rules += self.date_rules(columns)
        rules += self.cross_rules(_Columns(columns))
        return rules

    def date_rules(self, columns: tuple[str, ...]) -> Iterator[pl.Expr]:
        days = ("birth_date", "surgery_date", "recurrence_date")
        there = [name for name in days if name in columns]
        if "as_of" in columns:
            yield pl.col("as_of") > self.today
        for name in there:
            yield pl.col(name) > pl.col(_LIMIT)
        if "birth_date" not in columns:
            return
        for name in there[1:]:
            yield pl.col(name) < pl.col("birth_date")
        birth, day = pl.col("birth_date").dt, pl.col(_LIMIT).dt
        days_old = pl.col(_LIMIT).to_physical() - pl.col("birth_date").to_physical()
        yield days_old > OLDEST * 365
        if "age" in columns:
            later = (birth.month() > day.month()) | (
                (birth.month() == day.month()) & (birth.day() > day.day())
            )
            years = day.year() - birth.year() - later.cast(pl.Int32)
            yield (pl.col("age") - years).abs() > 1

    def cross_rules(self, at: _Columns) -> Iterator[pl.Expr]:
        """What `record_checks` compares, two or three fields at a time.

        Source: record_checks._surgery and _contradictions
        """
        early = at("setting") == "early"
        distant, before = at("_distant"), at("phase") == "before surgery"
        now = at("recurrence_date").is_null()
        bits = at("_stage")
        prefixed = bits & (_P | _YP) != 0
        told = ("surgery_date", "pathologic_response", "positive_nodes")
        for name in (*told, "pathological_tumor_size_cm"):
            yield before & at(name).is_not_null()
        yield before & prefixed
        neoadjuvant, unset = at("_neoadjuvant").fill_null(False), at("_unset").fill_null(False)
        yield (bits & _P != 0) & neoadjuvant
        none_came_first = at("prior_therapies_complete") & ~neoadjuvant & ~unset
        yield none_came_first & (bits & _YP != 0)
        yield none_came_first & at("pathologic_response").is_not_null()
        yield none_came_first & (at("phase") == "residual disease")
        yield bits & _WRONG != 0
        number, positive = at("_number"), at("positive_nodes")
        yield number != positive
        stage, brain = at("stage"), at("brain_mets")
        yield distant & now & (stage != "IV")
        yield distant & early
        yield (stage == "IV") & early
        yield (brain == "none") & at("_brain")
        yield (brain != "none") & early
        yield (bits & _M1 != 0) & early
        yield (bits & _M0 != 0) & distant & now
        in_situ = ~at("invasive")
        yield in_situ & (at("setting") == "metastatic")
        yield in_situ & (bits & _GROWN != 0)
        yield in_situ & (stage != "0")
        pregnant, male = at("pregnancy") == "pregnant", at("sex") == "male"
        yield pregnant & male
        yield pregnant & (at("menopausal") == "postmenopausal")
        yield at("weeks_pregnant").is_not_null() & (at("pregnancy") == "not pregnant")
        yield at("menopausal").is_not_null() & male
        yield (at("her2_ish.probe") == "single") & at("her2_ish.ratio").is_not_null()

    # --- lists of texts -----------------------------------------------------------------------

    def sites(self, rows: pl.DataFrame, found: list[pl.Series]) -> list[pl.Series]:
        """Whether there are distant metastases, and metastases in the brain."""
        name = "metastatic_sites"
        if name not in rows.columns:
            return []
        items = values(rows[name])
        found += self.listed_words(rows[name], name)
        if not len(items):
            return []
        index = numbers(rows[name])
        return [
            _marked(rows, index.filter(~items.is_in(LOCAL_SITES)), "_distant"),
            _marked(rows, index.filter(items == "brain"), "_brain"),
        ]

    def listed_words(self, lists: pl.Series, path: str) -> list[pl.Series]:
        """Rows with an item that is no accepted word, or nothing."""
        items = values(lists).to_frame("item")
        bad = items.select(wrong(pl.col("item"), path).fill_null(True)).to_series()
        return [numbers(lists).filter(bad)] if bad.any() else []

    def listed_texts(self, lists: pl.Series, path: str) -> list[pl.Series]:
        """Rows with an item that `bad_texts` finds."""
        items = values(lists)
        bad = self.bad_texts(items, path)
        return [numbers(lists).filter(items.is_in(bad, nulls_equal=True))] if bad else []

    def bad_texts(self, items: pl.Series, path: str) -> list[str | None]:
        """Texts that name nothing, are blank or have blanks around them, or are missing."""
        fine = self._fine.setdefault(path, set())
        if len(fine) > _REMEMBERED:
            fine.clear()
        bad = []
        for text in items.unique().to_list():
            if text in fine:
                continue
            if text and text == text.strip() and text.isprintable() and self.resolves(text, path):
                fine.add(text)
            else:
                bad.append(text)
        return bad

    def resolves(self, text: str, path: str) -> bool:
        kinds = _NAMED[path]
        try:
            return not kinds or bool(self.names.resolve(text, kinds))
        except UnknownTerm:
            return False

    # --- staging ------------------------------------------------------------------------------

    def staging(self, rows: pl.DataFrame) -> list[pl.Series]:
        """What `tnm` and `nodes` say, as bits, and the number of positive nodes in `nodes`."""
        there = [name for name in ("tnm", "nodes") if name in rows.columns]
        if not there:
            return []
        bits = reduce(or_, [self.stages(rows[name], name == "nodes") for name in there])
        if len(there) == 2:
            bits = self.both(rows, bits)
        bits = bits.alias("_stage")
        if "nodes" not in there or "positive_nodes" not in rows.columns:
            return [bits]
        if len(self._counts) > _REMEMBERED:
            self._counts.clear()
        for text in rows["nodes"].unique().drop_nulls():
            if text not in self._counts:
                read = read_nodes(text)
                self._counts[text] = read[1] if read else None
        number = _looked_up(rows["nodes"], self._counts, pl.Int64)
        return [bits, number.alias("_number")]

    def stages(self, texts: pl.Series, nodes: bool) -> pl.Series:
        """What each text says alone."""
        known = self._stages.setdefault(texts.name, {})
        if len(known) > _REMEMBERED:
            known.clear()
        for text in texts.unique().drop_nulls():
            if text not in known:
                known[text] = self.stage(None, text) if nodes else self.stage(text, None)
        return _looked_up(texts, known, pl.UInt8).fill_null(0)

    def both(self, rows: pl.DataFrame, bits: pl.Series) -> pl.Series:
        """The same, with what is wrong with two texts together."""
        table = rows.select("tnm", "nodes").with_row_index(_ROW).drop_nulls()
        pairs = table.select("tnm", "nodes").unique()
        known = self._pairs
        if len(known) > _REMEMBERED:
            known.clear()
        wrong_pairs = []
        for pair in pairs.iter_rows():
            if pair not in known:
                known[pair] = self.stage(*pair)
            if known[pair] & _WRONG:
                wrong_pairs.append(pair)
        if not wrong_pairs:
            return bits
        bad = pl.DataFrame(wrong_pairs, schema=["tnm", "nodes"], orient="row")
        return bits.scatter(table.join(bad, on=["tnm", "nodes"], how="semi")[_ROW], _WRONG)

    def stage(self, tnm: str | None, nodes: str | None) -> int:
        try:
            model = PatientRecord(id="x", tnm=tnm, nodes=nodes)
        except ValidationError:
            return _WRONG
        if (model.tnm, model.nodes) != (tnm, nodes):  # blanks around it
            return _WRONG
        if check_record(model, self.today) or any(unknown_categories(model, self.names)):
            return _WRONG
        found = categories(model.tnm, model.nodes)
        prefixes = {category.prefix for category in found}
        metastases = re.search("M([01])", tnm or "")
        return (
            _P * ("p" in prefixes)
            | _YP * ("yp" in prefixes)
            | (0 if metastases is None else _M1 if metastases[1] == "1" else _M0)
            | _GROWN * any(re.match("T[1-4]", category.name) for category in found)
        )

    # --- courses and tests --------------------------------------------------------------------

    def courses(self, rows: pl.DataFrame, found: list[pl.Series]) -> list[pl.Series]:
        """Suspect courses; whether one is neoadjuvant, and whether one has no setting."""
        name = "prior_therapies"
        if name not in rows.columns:
            return []
        table = below(rows, name, found)
        row = table[_ROW]
        if not table.height:
            return []
        table = table.with_columns(_from_rows(rows, row))
        path = f"{name}[]"
        found += self.limits(table, path)
        for day in ("start", "end", "progression_date"):
            found += _outside(table, day, "start" if day != "start" else None)
        regimens = table["regimen"]
        bad = [each for each in self.bad_texts(regimens, f"{path}.regimen") if each is not None]
        if bad:
            found.append(row.filter(regimens.is_in(bad)))
        found += [row.gather(each) for each in self.listed_texts(table["drugs"], f"{path}.drugs")]
        found += self.pairs(table.select(_ROW, "regimen", "drugs").drop_nulls())
        found += self.events(table)
        setting = table["setting"]
        return [
            _marked(rows, row.filter(setting == "neoadjuvant"), "_neoadjuvant"),
            _marked(rows, row.filter(setting.is_null()), "_unset"),
        ]

    def limits(self, table: pl.DataFrame, path: str) -> list[pl.Series]:
        """Rows of parts with a number or a word that is not accepted."""
        rules = [
            rule
            for name in table.columns
            if f"{path}.{name}" in fields() and not table.schema[name].is_nested()
            if (rule := wrong(pl.col(name), f"{path}.{name}")) is not None
        ]
        return _where(table, pl.any_horizontal(rules))

    def pairs(self, table: pl.DataFrame) -> list[pl.Series]:
        """Rows with a course whose drugs may not go with its regimen."""
        key = table["regimen"] + _BETWEEN + table["drugs"].list.join(_BETWEEN, ignore_nulls=False)
        fine = self._fine.setdefault("pairs", set())
        if len(fine) > _REMEMBERED:
            fine.clear()
        bad = [text for text in key.unique() if text not in fine]
        for text in list(bad):
            if text is not None and self.goes_together(*text.split(_BETWEEN)):
                fine.add(text)
                bad.remove(text)
        return [table[_ROW].filter(key.is_in(bad, nulls_equal=True))] if bad else []

    def goes_together(self, regimen: str, *drugs: str) -> bool:
        find = Resolver(self.names)
        listed = [drug for drug in drugs if drug]
        try:
            given = Course(regimen=regimen, drugs=listed)
        except ValidationError:
            return False
        course = {
            "regimen": find.one(regimen, REGIMEN_KINDS, "regimen"),
            "drugs": find.all(listed, DRUG_KINDS, "drugs"),
        }
        find.check_course(course, given, "")
        return not find.problems

    def events(self, courses: pl.DataFrame) -> list[pl.Series]:
        """Rows with a suspect adverse event."""
        found: list[pl.Series] = []
        table = below(courses, "adverse_events", found)
        at = table[_ROW]
        shared = [name for name in (_LIMIT, _BIRTH) if name in courses.columns]
        upper = courses.select(_ROW, *shared, pl.col("start").alias("_start"))[at]
        # Numbers of courses become numbers of rows.
        found = [courses[_ROW].gather(each) for each in found]
        if not table.height:
            return found
        table = table.drop(_ROW).hstack(upper)
        path = "prior_therapies[].adverse_events[]"
        found += self.limits(table, path)
        if bad := self.bad_texts(table["event"], f"{path}.event"):
            found.append(table[_ROW].filter(table["event"].is_in(bad, nulls_equal=True)))
        found += _outside(table, "start", "_start")
        said = pl.col("resolved")
        if table["resolved"].null_count() < table.height:
            day = said.str.to_date("%Y-%m-%d", strict=False)
            table = table.with_columns(day.alias("_resolved"))
            odd = (day.dt.to_string("%Y-%m-%d") != said) | day.is_null()
            found += _where(table, odd & (said != "false"))
            found += _outside(table, "_resolved", "start")
        return found

    def tests(self, rows: pl.DataFrame, found: list[pl.Series]) -> None:
        """Suspect HER2 tests.

        Source: record_checks._dates and _her2
        """
        name = "her2_tests"
        if name not in rows.columns:
            return
        table = below(rows, name, found)
        if not table.height:
            return
        ish = table["ish"].struct.unnest()
        ish = ish.rename(lambda each: f"ish.{each}")
        shorts = [each for each in ("setting", "her2_ihc", *_ISH) if each in rows.columns]
        upper = rows.select(pl.col(shorts).name.prefix("_"))[table[_ROW]]
        above = _from_rows(rows, table[_ROW])
        table = table.drop("ish").hstack(ish).hstack(upper).with_columns(above)
        path = f"{name}[]"
        found += self.limits(table, path)
        found += _where(table, pl.col("date").is_null())
        found += _outside(table, "date")
        at = _Columns(table.columns)
        found += _where(table, (at("ish.probe") == "single") & at("ish.ratio").is_not_null())
        found += _where(table, (at("specimen") == "metastasis") & (at("_setting") == "early"))
        counts = at("specimen").ne_missing(pl.lit("residual disease"))
        # A short form is wrong only if no test agrees with it.
        same = table.filter(counts & (at("ihc") == at("_her2_ihc")))[_ROW]
        differ = table.filter(counts & (at("ihc") != at("_her2_ihc")))[_ROW]
        found.append(differ.filter(~differ.is_in(same.implode())))
        differ = [at(f"ish.{each[9:]}") != at(f"_{each}") for each in _ISH]
        found += _where(table, counts & pl.any_horizontal(differ))


class _Columns:
    """Expressions for columns, empty for one that a table does not have."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = set(names)

    def __call__(self, name: str) -> pl.Expr:
        if name in self.names:
            return pl.col(name)
        return pl.lit(None, _OWN[name] if name in _OWN else schema().get(name, pl.String))


def values(lists: pl.Series) -> pl.Series:
    """The items of lists one below the other."""
    return lists.explode(empty_as_null=False, keep_nulls=False)


def numbers(lists: pl.Series) -> pl.Series:
    """The number of the list that each of `values` stood in."""
    lengths = lists.list.len().fill_null(0).alias("n").to_frame()
    index = lengths.select(pl.int_range(pl.len(), dtype=pl.UInt32).repeat_by("n"))
    return values(index.to_series())


def below(table: pl.DataFrame, name: str, found: list[pl.Series]) -> pl.DataFrame:
    """The parts in the lists of a column, one below the other; rows with an empty part are found.

    Shape: the fields of a part, and `_row`, the number of the row of `table` it stood in.
    """
    index, parts = numbers(table[name]), values(table[name])
    if parts.null_count():
        found.append(index.filter(parts.is_null()))
    return parts.struct.unnest().with_columns(index.alias(_ROW))


def _from_rows(rows: pl.DataFrame, index: pl.Series) -> list[pl.Series]:
    """The days of the row that a part stood in."""
    found = [rows[_LIMIT].gather(index)]
    if "birth_date" in rows.columns:
        found.append(rows["birth_date"].gather(index).alias(_BIRTH))
    return found


def _outside(table: pl.DataFrame, day: str, start: str | None = None) -> list[pl.Series]:
    """Rows with a day after their limit, before birth, or before another day."""
    rules = [pl.col(day) > pl.col(_LIMIT)]
    if _BIRTH in table.columns:
        rules.append(pl.col(day) < pl.col(_BIRTH))
    if start is not None:
        rules.append(pl.col(day) < pl.col(start))
    return _where(table, pl.any_horizontal(rules))


def _where(table: pl.DataFrame, rule: pl.Expr) -> list[pl.Series]:
    if not table.height:
        return []
    said = table.select(rule.fill_null(False)).to_series()
    return [table[_ROW].filter(said)] if said.any() else []


def _marked(rows: pl.DataFrame, places: pl.Series, name: str) -> pl.Series:
    marks = pl.repeat(False, rows.height, eager=True)
    return (marks.scatter(places, True) if len(places) else marks).alias(name)


def _looked_up(series: pl.Series, known: Mapping[str, Any], dtype: Any) -> pl.Series:
    if not known:
        return pl.repeat(None, len(series), dtype=dtype, eager=True)
    return series.replace_strict(known, default=None, return_dtype=dtype)
