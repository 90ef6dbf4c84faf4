"""Courses of therapy of a synthetic registry, as one flat table before it becomes lists."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from typing import Any, get_args

import numpy as np
import polars as pl

from her2kg.cohort import simulate_draws as draw
from her2kg.cohort.rows import schema
from her2kg.cohort.simulate_draws import Array, Choice
from her2kg.record_model import CourseSetting, Outcome, Response

SETTINGS, OUTCOMES, RESPONSES = (
    list(get_args(each)) for each in (CourseSetting, Outcome, Response)
)
_COLUMNS = ("patient", "regimen", "setting", "start", "end", "outcome", "progression", "response")
_EPOCH = date(1970, 1, 1)
_NOTES = ("source", "why")
NONE = -1


def day_number(day: date) -> int:
    """Days since 1970."""
    return (day - _EPOCH).days


def without_notes(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table of the model without its source."""
    return {name: value for name, value in table.items() if name not in _NOTES}


class Regimens:
    """The regimens of the model, and how they are drawn for a line and a day."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        known = without_notes(model["regimens"])
        self.keys = list(known)
        self.table = list(known.values())
        self.days = np.array([each["days"] for each in self.table])
        kinds = [each["kind"] for each in self.table]
        self.kinds = sorted(set(kinds))
        self.kind = np.array([self.kinds.index(each) for each in kinds])
        self.named = np.array(["names" in each for each in self.table])
        self.maintained = np.array([each.get("maintained", False) for each in self.table])
        self.names = [name for each in self.table for name in each.get("names", [None] * 3)]
        drugs = [each["drugs"] for each in self.table]
        self.drugs = pl.Series([*drugs, None], dtype=pl.List(pl.String))
        since = [day_number(each["since"]) if "since" in each else None for each in self.table]
        self._eras = np.array(sorted({each for each in since if each is not None}))
        pools = without_notes(model["pools"])
        self.pools = {name: place for place, name in enumerate(pools)}
        self.longest = {
            name: max(self.table[self.keys.index(key)]["days"] for key in pool)
            for name, pool in pools.items()
        }
        self._choice = Choice(
            *(
                self._weights(pool, since, [-np.inf, *self._eras][era], bool(receptors))
                for pool in pools.values()
                for era in range(len(self._eras) + 1)
                for receptors in (0, 1)
            )
        )

    def _weights(
        self, pool: Any, since: list[Any], day: float, receptors: bool
    ) -> dict[str, float]:
        return {
            key: pool.get(key, 0.0)
            * (first is None or first <= day)
            * (receptors or not each.get("endocrine", False))
            for key, each, first in zip(self.keys, self.table, since, strict=True)
        }

    def draw(self, rng: np.random.Generator, pool: Array, start: Array, receptors: Array) -> Array:
        """A regimen for each course: `pool` as numbers of `pools`, `start` as days."""
        era = np.searchsorted(self._eras, start, side="right")
        group = (pool * (len(self._eras) + 1) + era) * 2 + receptors
        return self._choice.draw(rng, len(group), group)


class Courses:
    """Courses as they are added, each a set of arrays of the same length."""

    def __init__(self) -> None:
        self._parts: list[dict[str, Array]] = []

    def add(self, who: Array, setting: str | Array, **columns: Any) -> None:
        """Courses of the patients `who`; a day that is not there is NaN, a code NONE."""
        part = {
            "patient": who,
            "setting": SETTINGS.index(setting) if isinstance(setting, str) else setting,
            "progression": np.nan,
            "response": NONE,
        } | columns
        self._parts.append({name: np.broadcast_to(part[name], who.shape) for name in _COLUMNS})

    def flat(self) -> dict[str, Array]:
        """All courses, by patient and then by first day."""
        all_ = {name: np.concatenate([part[name] for part in self._parts]) for name in _COLUMNS}
        # One key that holds both is sorted faster than two.
        order = np.argsort(
            all_["patient"].astype(np.int64) * 100_000 + all_["start"].astype(np.int64)
        )
        return {name: column[order] for name, column in all_.items()}


class Events:
    """Adverse events of courses, drawn by the kind of therapy."""

    def __init__(self, model: Mapping[str, Any], regimens: Regimens) -> None:
        self.rule = model["events"]
        self.names: list[str] = []
        self._by_kind: list[tuple[Array, Array, Array]] = []
        for kind in regimens.kinds:
            table = without_notes(self.rule[kind])
            for name in table:
                if name not in self.names:
                    self.names.append(name)
            shares = np.array(list(table.values()))
            codes = np.array([self.names.index(name) for name in table])
            self._by_kind.append((codes, shares[:, 0], shares[:, 1] / shares[:, 0]))
        meaning = without_notes(model["events_meaning"])
        self.meaning = {
            organ: np.array([name in names for name in self.names])
            for organ, names in meaning.items()
        }

    def draw(
        self, rng: np.random.Generator, kind: Array, first: Array, last: Array
    ) -> dict[str, Array]:
        """Events of courses from `first` to `last` day, by course."""
        rule = self.rule
        courses, events, severe = [], [], []
        for place, (codes, any_grade, part) in enumerate(self._by_kind):
            of_kind = np.flatnonzero(kind == place)
            hit = rng.random((len(of_kind), len(codes)), dtype=np.float32)
            course, event = np.nonzero(hit < any_grade * rule["heard_of"])
            courses.append(of_kind[course])
            events.append(codes[event])
            severe.append(part[event])
        course = np.concatenate(courses)
        order = np.argsort(course, kind="stable")
        course, event = course[order], np.concatenate(events)[order]
        severe = np.concatenate(severe)[order]
        number = len(course)
        dice = rng.random((6, number))
        low = np.where(dice[1] < rule["grades_below_3"], 1, 2)
        high = np.where(dice[1] < rule["grade_4_of_severe"], 4, 3)
        start = first[course] + np.floor(dice[2] * (last[course] - first[course] + 1))
        length = 1 + np.floor(rng.exponential(rule["recovery_mean_days"], number))
        return {
            "course": course,
            "event": event,
            "grade": np.where(dice[0] < severe, high, low),
            "start": start,
            "resolved": start + length,
            "recovers": dice[3] < rule["resolved"],
            "grade_dice": dice[4],
            "start_dice": dice[5],
            "resolved_dice": rng.random(number),
        }

    def column(self, found: dict[str, Array], stated: Array, as_of: int) -> pl.Series:
        """The events as a list for each course."""
        rule = self.rule
        listed = np.flatnonzero(stated[found["course"]])
        found = {name: column[listed] for name, column in found.items()}
        said = found["resolved_dice"] < rule["resolved_stated"]
        ended = found["recovers"] & (found["resolved"] <= as_of)
        # Days as text come from a table, which is faster than to write each of them.
        texts = _days_as_text(as_of)
        place = np.where(ended, found["resolved"], len(texts) - 1).astype(np.int64)
        table = pl.DataFrame(
            {
                "event": draw.texts(self.names, found["event"]),
                "grade": draw.numbers(
                    found["grade"], found["grade_dice"] < rule["grade_stated"], whole=True
                ),
                "start": draw.days(found["start"], found["start_dice"] < rule["start_stated"]),
                "resolved": draw.texts(texts, place, said),
            }
        )
        return draw.lists(found["course"], table.to_struct("item"), stated)


@cache
def _days_as_text(last: int) -> list[str]:
    """Every day since 1970 until `last`, and "false" at the end."""
    return [*((_EPOCH + timedelta(each)).isoformat() for each in range(last + 1)), "false"]


class Writing:
    """How courses are written: which names, which fields are stated."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        self.rule = rule = model["writing_of_courses"]
        self.names = Choice(rule["names"])
        self.forms = Choice(rule["forms"])

    def column(
        self,
        rng: np.random.Generator,
        flat: dict[str, Array],
        regimens: Regimens,
        events: pl.Series,
        as_of: int,
        cycle_days: int,
        stated: Array,
    ) -> pl.Series:
        """`prior_therapies`: one list a patient, null where `stated` is false."""
        rule, number = self.rule, len(flat["patient"])
        regimen = flat["regimen"]
        form, forms = self.forms.draw(rng, number), self.forms.names
        known = form != forms.index("unknown")
        by_name = known & regimens.named[regimen] & (form != forms.index("drugs"))
        by_drugs = known & ~(by_name & (form == forms.index("regimen")))
        said = {
            field: rng.random(number) < rule[f"{field}_stated"]
            for field in ("setting", "start", "end", "progression", "outcome", "cycles", "response")
        }
        ends = ~np.isnan(flat["end"])
        last = np.where(ends, flat["end"], as_of)
        cycles = 1 + np.floor((last - flat["start"]) / cycle_days)
        drugs = regimens.drugs.gather(np.where(by_drugs, regimen, len(regimens.keys)))
        table = pl.DataFrame(
            {
                "regimen": draw.texts(
                    regimens.names, regimen * 3 + self.names.draw(rng, number), by_name
                ),
                "drugs": drugs,
                "setting": draw.texts(SETTINGS, flat["setting"], said["setting"]),
                "start": draw.days(flat["start"], said["start"]),
                "end": draw.days(last, ends & said["end"]),
                "outcome": draw.texts(OUTCOMES, flat["outcome"], said["outcome"]),
                "progression_date": draw.days(flat["progression"], said["progression"]),
                "best_response": draw.texts(
                    RESPONSES, flat["response"], said["response"] & (flat["response"] != NONE)
                ),
                "cycles": draw.numbers(cycles, said["cycles"], whole=True),
                "adverse_events": events,
            }
        )
        return draw.lists(flat["patient"], table.to_struct("item"), stated).cast(
            schema()["prior_therapies"]
        )
