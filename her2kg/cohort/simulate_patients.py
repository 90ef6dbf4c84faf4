"""One chunk of a synthetic registry: patients, their disease, therapies and fields."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl

from her2kg.cohort import simulate_draws as draw
from her2kg.cohort.rows import schema
from her2kg.cohort.simulate_courses import (
    NONE,
    OUTCOMES,
    RESPONSES,
    SETTINGS,
    Courses,
    Events,
    Regimens,
    Writing,
    without_notes,
)
from her2kg.cohort.simulate_draws import Array, Choice

_YEAR, _MONTH = 365.2425, 30.4375
_TEST = schema()["her2_tests"].inner


def _recoded(found: Array, choice: Choice, names: list[str]) -> Array:
    return np.array([names.index(name) for name in choice.names])[found]


class Chunk:
    """Patients of one chunk; every step adds to `is_` (facts) and to `fields` (columns)."""

    def __init__(self, registry: Registry, rng: np.random.Generator, first: int, as_of: int):
        self.registry, self.model, self.rng = registry, registry.model, rng
        self.number, self.as_of = self.model["cohort"]["chunk"], as_of
        self.is_ = SimpleNamespace()
        self.fields: dict[str, pl.Series] = {}
        ids = pl.Series(np.arange(first + 1, first + 1 + self.number))
        self.fields["id"] = "p" + ids.cast(pl.String).str.zfill(8)
        self.fields["as_of"] = draw.days(np.full(self.number, as_of))

    def frame(self) -> pl.DataFrame:
        """All columns of the table."""
        self._disease()
        self._pathway()
        self._lines()
        self._diagnosis()
        self._person()
        self._her2()
        self._receptors()
        self._extent()
        self._sites()
        self._therapies()
        self._heart()
        self._laboratory()
        self._history()
        self._lists()
        self._judgement()
        return pl.DataFrame(
            {
                name: self.fields.get(name, pl.repeat(None, self.number, dtype=kind, eager=True))
                for name, kind in schema().items()
            },
            schema=schema(),
        )

    # Draws

    def _yes(self, share: Any, number: int | None = None) -> Array:
        number = self.number if number is None else number
        return self.rng.random(number, dtype=np.float32) < share

    def _pick(self, name: str, group: Array | int = 0, number: int | None = None) -> Array:
        choice = self.registry.choices[name]
        return choice.draw(self.rng, self.number if number is None else number, group)

    def _names(self, name: str) -> list[str]:
        return self.registry.choices[name].names

    def _any(self, name: str, codes: Array, *wanted: str) -> Array:
        names = self._names(name)
        return np.isin(codes, [names.index(each) for each in wanted])

    def _between(self, limits: Any, number: int | None = None) -> Array:
        return draw.between(self.rng, limits, self.number if number is None else number)

    def _stated(self, field: str) -> Array:
        return self._yes(self.model["stated"][field])

    # Disease and its course

    def _disease(self) -> None:
        is_, model = self.is_, self.model
        setting = self._pick("setting")
        names = self._names("setting")
        is_.early = setting == names.index("early")
        is_.metastatic = setting == names.index("metastatic")
        is_.advanced = ~is_.early
        self.fields["setting"] = draw.texts(names, setting, self._stated("setting"))
        new = np.where(
            is_.metastatic,
            model["advanced"]["de_novo"],
            model["advanced"]["unresectable"]["de_novo"],
        )
        is_.de_novo = is_.advanced & self._yes(new)
        is_.recurrent = is_.advanced & ~is_.de_novo
        is_.truth = self._pick("her2")
        is_.truths = self._names("her2")
        is_.positive = is_.truth == is_.truths.index("positive")
        receptors = model["hormone_receptors"]
        share = np.where(is_.de_novo, receptors["de_novo"], receptors["recurrent"])
        share = np.where(is_.early, receptors["early"]["her2_positive"], share)
        share = np.where(is_.positive, share, receptors["early"]["her2_other"])
        is_.hormone = self._yes(share)

    def _pathway(self) -> None:
        """Early disease, of those with early disease now and of those with a recurrence."""
        is_, rule = self.is_, self.model["early"]
        is_.had_early = is_.early | is_.recurrent
        is_.neoadjuvant = is_.had_early & self._yes(rule["neoadjuvant"])
        place = self._pick("places", is_.neoadjuvant.astype(int))
        places = self._names("places")
        is_.before = is_.early & (place == places.index("before"))
        is_.after = is_.early & (place == places.index("after"))
        is_.under_way = is_.early & (place == places.index("under_way"))
        is_.completed = is_.early & (place == places.index("completed"))
        is_.operated = is_.had_early & ~is_.before
        since = np.select(
            [is_.after, is_.under_way],
            [self._between(rule[f"{name}_days"]) for name in ("after_surgery", "under_way")],
            self._between(rule["completed_days"]),
        )
        is_.surgery = (self.as_of - since).astype(float)  # of those with early disease now

    def _lines(self) -> None:
        """Days of the lines of advanced disease, counted back from the day of the registry."""
        is_, rule = self.is_, self.model["advanced"]
        going, spans = rule["course"], rule["duration"]
        most = len(spans["median_months"])
        dice = self.rng.random((most - 1, self.number))
        goes_on = dice >= np.array(rule["attrition"]["after"])[:, None]
        lines = 1 + np.cumprod(goes_on, axis=0).sum(axis=0)
        lines[self._yes(rule["attrition"]["untreated"])] = 0
        lines = np.where(
            is_.metastatic, lines, np.minimum(lines, rule["unresectable"]["most_lines"])
        )
        is_.lines = np.where(is_.advanced, lines, 0)
        is_.ongoing = self._yes(going["ongoing"])
        start = np.empty((most, self.number))
        end = np.empty((most, self.number))
        now = np.full(self.number, float(self.as_of))
        last_end = now - self._between(going["ended_since_days"])
        for line in reversed(range(most)):
            scale = spans["median_months"][line] * _MONTH / np.log(2) ** (1 / spans["shape"])
            span = np.clip(
                self.rng.weibull(spans["shape"], self.number) * scale,
                spans["least_days"],
                spans["most_days"],
            )
            pause = going["pause_least_days"] + self.rng.exponential(
                going["pause_mean_days"], self.number
            )
            last = is_.lines == line + 1
            end[line] = np.where(last, np.where(is_.ongoing, self.as_of, last_end), now - pause)
            span = np.where(last & is_.ongoing, 1 + span * self.rng.random(self.number), span)
            end[line] = np.floor(end[line])
            start[line] = np.floor(end[line] - span)
            now = np.where(is_.lines > line, start[line], now)
        is_.line_start, is_.line_end = start, end
        wait = np.where(
            is_.lines > 0,
            self._between(going["diagnosis_to_start_days"]),
            self._between(going["untreated_days"]),
        )
        is_.advanced_since = now - wait
        interval = rule["interval"]
        length = interval["median_months"] * _MONTH
        length = length * np.exp(self.rng.normal(0, interval["log_sd"], self.number))
        length = np.clip(length, interval["least_days"], interval["most_days"])
        since = np.floor(is_.advanced_since - length)
        is_.surgery = np.where(is_.recurrent, since, is_.surgery)
        is_.limit = np.where(is_.recurrent, is_.advanced_since, self.as_of)

    def _diagnosis(self) -> None:
        """Courses are drawn here: the first of them tells when the cancer was found."""
        is_ = self.is_
        is_.courses = Courses()
        wait = self._between(self.model["early"]["diagnosis_to_start_days"])
        is_.diagnosis = np.where(is_.operated, is_.surgery, self.as_of) - wait
        is_.diagnosis = np.where(is_.de_novo, is_.advanced_since, is_.diagnosis)
        is_.states = self._pick("before_states")
        self._neoadjuvant(wait)
        self._response()
        self._adjuvant()
        self._advanced()

    def _draw_regimen(self, who: Array, pool: Array | str, start: Array) -> Array:
        is_, regimens = self.is_, self.registry.regimens
        if isinstance(pool, str):
            other = regimens.pools.get(f"{pool}_other", regimens.pools[pool])
            pool = np.where(is_.positive[who], regimens.pools[pool], other)
        return regimens.draw(self.rng, pool, start, is_.hormone[who].astype(int))

    def _neoadjuvant(self, wait: Array) -> None:
        is_, rule = self.is_, self.model["early"]
        states = self._names("before_states")
        waiting = is_.before & (is_.states == states.index("waiting"))
        who = np.flatnonzero(is_.neoadjuvant & ~waiting)
        number = len(who)
        to_surgery = self._between(rule["neoadjuvant_to_surgery_days"], number)
        operated = is_.operated[who]
        end = np.where(operated, is_.surgery[who], self.as_of) - to_surgery
        end[~operated] += to_surgery[~operated] - self._between([0, 30], int((~operated).sum()))
        # The first day is known only with the regimen; this one is not after it.
        regimens = self.registry.regimens
        regimen = self._draw_regimen(who, "neoadjuvant", end - regimens.longest["neoadjuvant"])
        length = regimens.days[regimen]
        going = ~operated & (is_.states[who] == states.index("under_way"))
        start = np.where(
            going, self.as_of - 1 - np.floor(self.rng.random(number) * (length - 2)), end - length
        )
        is_.diagnosis[who] = start - wait[who]
        response = _recoded(
            self._pick("early_response", number=number),
            self.registry.choices["early_response"],
            RESPONSES,
        )
        is_.courses.add(
            who,
            "neoadjuvant",
            regimen=regimen,
            start=start,
            end=np.where(going, np.nan, end),
            outcome=np.where(going, OUTCOMES.index("ongoing"), OUTCOMES.index("completed")),
            response=np.where(going, NONE, response),
        )

    def _response(self) -> None:
        is_, rule = self.is_, self.model["early"]
        share = np.where(
            is_.hormone,
            rule["complete_response_hr_positive"]["share"],
            rule["complete_response_hr_negative"]["share"],
        )
        other = rule["complete_response_her2_other"]["share"]
        is_.judged = is_.neoadjuvant & is_.operated
        is_.complete = is_.judged & self._yes(np.where(is_.positive, share, other))
        rest = is_.judged & ~is_.complete
        is_.only_in_situ = rest & self._yes(rule["residual"]["in_situ_only"])
        is_.residual = rest & ~is_.only_in_situ

    def _adjuvant(self) -> None:
        is_, rule, regimens = self.is_, self.model["early"], self.registry.regimens
        self._draw_extent()
        names, sizes = self._names("N"), self._names("T")
        small = np.isin(is_.nodes, [names.index(each) for each in rule["small_nodes"]])
        small &= np.isin(is_.size, [sizes.index(each) for each in rule["small_sizes"]])
        is_.small = small
        neoadjuvant = is_.neoadjuvant
        given = is_.operated & ~is_.after & self._yes(rule["adjuvant_given"])
        given &= is_.positive | ~neoadjuvant
        pool = np.where(small, regimens.pools["adjuvant_small"], regimens.pools["adjuvant"])
        pool = np.where(is_.positive, pool, regimens.pools["adjuvant_other"])
        pool = np.where(neoadjuvant, regimens.pools["completion"], pool)
        pool = np.where(is_.residual, regimens.pools["residual"], pool)
        first = is_.surgery + self._between(rule["surgery_to_adjuvant_days"])
        who = np.flatnonzero(given & (first < is_.limit))
        start, number = first[who], len(who)
        regimen = self._draw_regimen(who, pool[who], start)
        shortened = self._yes(rule["shortened"], number)
        low, high = rule["shortened_to"]
        part = np.where(shortened, low + (high - low) * self.rng.random(number), 1.0)
        end = start + np.floor(regimens.days[regimen] * part)
        outcome = _recoded(
            self._pick("shortened", number=number), self.registry.choices["shortened"], OUTCOMES
        )
        outcome = np.where(shortened, outcome, OUTCOMES.index("completed"))
        end, outcome = self._until_limit(who, end, outcome)
        is_.courses.add(
            who,
            np.where(
                is_.residual[who], SETTINGS.index("post-neoadjuvant"), SETTINGS.index("adjuvant")
            ),
            regimen=regimen,
            start=start,
            end=end,
            outcome=outcome,
        )
        is_.adjuvant_now = np.zeros(self.number, bool)
        is_.adjuvant_now[who[np.isnan(end)]] = True
        self._endocrine(first)
        self._extended(who, end, outcome)

    def _until_limit(self, who: Array, end: Array, outcome: Array) -> tuple[Array, Array]:
        """Courses that the day of the registry, or a recurrence, cuts."""
        is_ = self.is_
        cut = end >= is_.limit[who]
        back = is_.recurrent[who]
        outcome = np.where(cut & back, OUTCOMES.index("recurrence"), outcome)
        outcome = np.where(cut & ~back, OUTCOMES.index("ongoing"), outcome)
        return np.where(cut, np.where(back, is_.limit[who], np.nan), end), outcome

    def _endocrine(self, first: Array) -> None:
        is_, rule = self.is_, self.model["early"]
        given = is_.operated & ~is_.after & is_.hormone & self._yes(rule["endocrine_given"])
        first = first + rule["endocrine_after_days"]
        who = np.flatnonzero(given & (first < is_.limit))
        end = first[who] + rule["endocrine_days"]
        end, outcome = self._until_limit(who, end, np.full(len(who), OUTCOMES.index("completed")))
        is_.courses.add(
            who,
            "adjuvant",
            regimen=self._draw_regimen(who, "endocrine", first[who]),
            start=first[who],
            end=end,
            outcome=outcome,
        )

    def _extended(self, who: Array, ended: Array, outcome: Array) -> None:
        is_, rule = self.is_, self.model["early"]
        done = (outcome == OUTCOMES.index("completed")) & is_.hormone[who] & is_.positive[who]
        first = ended + self._between(rule["extended_after_days"], len(who))
        given = done & self._yes(rule["extended_given"], len(who)) & (first < is_.limit[who])
        who, first = who[given], first[given]
        end, outcome = self._until_limit(
            who, first + rule["extended_days"], np.full(len(who), OUTCOMES.index("completed"))
        )
        is_.courses.add(
            who,
            "extended adjuvant",
            regimen=self._draw_regimen(who, "extended", first),
            start=first,
            end=end,
            outcome=outcome,
        )

    def _advanced(self) -> None:
        is_, rule, regimens = self.is_, self.model["advanced"]["course"], self.registry.regimens
        used = np.zeros(self.number, np.int64)
        for line in range(len(is_.line_start)):
            who = np.flatnonzero(is_.lines > line)
            number = len(who)
            start, end = is_.line_start[line][who], is_.line_end[line][who]
            pool = f"line_{line + 1}" if line < 3 else "line_later"
            regimen = self._draw_regimen(who, pool, start)
            for _ in range(rule["repeated_draws"]):
                again = np.flatnonzero(used[who] >> regimen & 1)
                regimen[again] = self._draw_regimen(who[again], pool, start[again])
            used[who] |= np.int64(1) << regimen
            last = is_.lines[who] == line + 1
            now = last & is_.ongoing[who]
            kinds = self.registry.choices["advanced_outcome"]
            outcome = _recoded(
                self._pick("advanced_outcome", last.astype(int), number), kinds, OUTCOMES
            )
            outcome = np.where(now, OUTCOMES.index("ongoing"), outcome)
            response = _recoded(
                self._pick("advanced_response", min(line, 2), number),
                self.registry.choices["advanced_response"],
                RESPONSES,
            )
            shown = end - self._between([0, rule["progression_before_end_days"]], number)
            progressed = outcome == OUTCOMES.index("progression")
            both = {"who": who, "response": response}
            split = (
                (line == 0)
                & regimens.maintained[regimen]
                & (end - start > rule["maintenance_least_days"])
                & self._yes(rule["maintenance"], number)
            )
            turn = start + rule["maintenance_after_days"]
            progression = np.where(progressed, np.maximum(shown, start), np.nan)
            whole_end = np.where(now, np.nan, end)
            is_.courses.add(
                **both,
                setting="metastatic",
                regimen=regimen,
                start=start,
                end=np.where(split, turn, whole_end),
                outcome=np.where(split, OUTCOMES.index("completed"), outcome),
                progression=np.where(split, np.nan, progression),
            )
            rest = who[split]
            is_.courses.add(
                rest,
                "maintenance",
                regimen=self._draw_regimen(rest, "maintenance", turn[split]),
                start=turn[split] + 1,
                end=whole_end[split],
                outcome=outcome[split],
                progression=np.where(
                    progressed[split], np.maximum(shown[split], turn[split] + 1), np.nan
                ),
            )

    # Person

    def _person(self) -> None:
        is_, model = self.is_, self.model
        age, spread = model["age"], model["age_spread"]
        mean = np.where(is_.recurrent, age["recurrent_at_recurrence"], age["early"])
        mean = np.where(is_.de_novo, age["de_novo"], mean)
        drawn = np.clip(self.rng.normal(mean, spread["sd"]), spread["least"], spread["most"])
        known = np.where(is_.recurrent, is_.advanced_since, is_.diagnosis)
        birth = np.floor(known - drawn * _YEAR)
        birth = np.minimum(birth, np.floor(is_.diagnosis - spread["least"] * _YEAR))
        is_.age = (self.as_of - birth) / _YEAR
        form = self._pick("age_form")
        self.fields["age"] = draw.numbers(
            np.floor(is_.age), self._any("age_form", form, "age", "both")
        )
        self.fields["birth_date"] = draw.days(
            birth, self._any("age_form", form, "birth_date", "both")
        )
        male = self._yes(model["sex"]["male"])
        self.fields["sex"] = draw.texts(["female", "male"], male.astype(int), self._stated("sex"))
        rule = model["menopause"]
        past = self._yes(1 / (1 + np.exp((rule["middle"] - is_.age) / rule["width"])))
        self.fields["menopausal"] = draw.texts(
            ["premenopausal", "postmenopausal"],
            past.astype(int),
            ~male & self._stated("menopausal"),
        )
        rule = model["pregnancy"]
        could = ~male & ~past & (is_.age < rule["below_age"])
        pregnant = could & self._yes(rule["pregnant"])
        said = could & (pregnant | self._yes(rule["stated"]))
        self.fields["pregnancy"] = draw.texts(
            ["not pregnant", "pregnant"], pregnant.astype(int), said
        )
        self.fields["weeks_pregnant"] = draw.numbers(self._between(rule["weeks"]), pregnant)
        group = np.where(is_.early, 0, np.where(is_.lines > 2, 2, 1))
        ecog = self._pick("ecog", group)
        self.fields["ecog"] = draw.numbers(ecog, self._stated("ecog"), whole=True)

    # Receptors

    def _assay(self, truth: Array) -> dict[str, Array]:
        """One HER2 test for each entry of `truth`: score and in-situ hybridisation."""
        rule, number = self.model["her2"], len(truth)
        form, counts = rule["form"], rule["counts"]
        score = self._pick("ihc", truth, number)
        open_score = self._names("ihc").index("2+")
        truths = self.is_.truths
        positive = truth == truths.index("positive")
        equivocal = truth == truths.index("equivocal")
        groups = self._names("ish_groups")
        group = self._pick("ish_groups", positive.astype(int), number)
        tested = (score == open_score) | self._yes(form["ish_beside_other_scores"], number)
        counted = tested & ~equivocal & self._yes(form["counts"], number)
        single = counted & self._yes(form["single_probe"], number)
        ratio = np.array([counts["ratio"][each] for each in groups])
        copies = np.array([counts["copies"][each] for each in groups])
        # Towards the lower limit: few tumours have very many copies.
        part = self.rng.random((2, number)) ** 2
        part[1] = (
            form["copies_follow_ratio"] * part[0] + (1 - form["copies_follow_ratio"]) * part[1]
        )
        result = positive.astype(int)  # negative, positive, equivocal, not done
        open_result = np.where(self._yes(form["equivocal_result"], number), 2, 3)
        return {
            "ihc": score,
            "result": np.where(equivocal, open_result, result),
            "has_result": tested & (~counted | self._yes(form["result"], number)),
            "ratio": np.round(ratio[group, 0] + part[0] * np.ptp(ratio[group], axis=1), 2),
            "copies": np.round(copies[group, 0] + part[1] * np.ptp(copies[group], axis=1), 1),
            "counted": counted,
            "has_ratio": counted & ~single,
            "single": single,
            "has_probe": counted & (single | self._yes(form["probe"], number)),
            "tested": tested,
            "recount": tested & self._yes(form["recount"], number),
        }

    def _ish(self, assay: dict[str, Array], said: Array) -> dict[str, pl.Series]:
        results = ["negative", "positive", "equivocal", "not done"]
        return {
            "result": draw.texts(results, assay["result"], said & assay["has_result"]),
            "ratio": draw.numbers(assay["ratio"], said & assay["has_ratio"]),
            "copy_number": draw.numbers(assay["copies"], said & assay["counted"]),
            "probe": draw.texts(
                ["dual", "single"], assay["single"].astype(int), said & assay["has_probe"]
            ),
            "recount_confirmed": draw.truths(assay["recount"], said & assay["recount"]),
        }

    def _her2(self) -> None:
        is_, rule = self.is_, self.model["her2"]["form"]
        form = self._pick("her2_form")
        short = self._any("her2_form", form, "short", "both")
        dated = self._any("her2_form", form, "tests", "both")
        assay = self._assay(is_.truth)
        scores = self._names("ihc")
        self.fields["her2_ihc"] = draw.texts(scores, assay["ihc"], short)
        for name, column in self._ish(assay, short).items():
            self.fields[f"her2_ish.{name}"] = column
        zero = assay["ihc"] == scores.index("0")
        self.fields["her2_membrane_staining"] = draw.truths(
            ~zero | self._yes(rule["staining_of_zero"]), short & zero & self._yes(rule["staining"])
        )
        status = np.where(is_.positive, 0, 1)
        status[is_.truth == is_.truths.index("equivocal")] = 2
        self.fields["her2_status"] = draw.texts(
            ["positive", "negative", "equivocal"], status, self._any("her2_form", form, "status")
        )
        self.fields["her2_tests"] = self._tests(assay, dated, short)

    def _tests(self, assay: dict[str, Array], dated: Array, short: Array) -> pl.Series:
        is_, rule = self.is_, self.model["her2"]["form"]
        first = np.flatnonzero(dated)
        # Beside the short form one test counts: a second might contradict it.
        twice = dated & ~short & is_.recurrent & self._yes(rule["second_test"])
        second = np.flatnonzero(twice)
        third = np.flatnonzero(dated & is_.residual & self._yes(rule["residual_test"]))
        later = np.concatenate([second, third])
        lost = self._yes(rule["tests_negative_again"], len(later))
        again = self._assay(np.where(lost, is_.truths.index("low"), is_.truth[later]))
        all_ = {name: np.concatenate([assay[name][first], again[name]]) for name in assay}
        owner = np.concatenate([first, later])
        specimen = np.repeat([0, 1, 2], [len(first), len(second), len(third)])
        date = np.concatenate(
            [is_.diagnosis[first], is_.advanced_since[second], is_.surgery[third]]
        )
        order = np.lexsort((date, owner))
        all_ = {name: column[order] for name, column in all_.items()}
        owner, specimen, date = owner[order], specimen[order], date[order]
        every = np.ones(len(owner), bool)
        ish = pl.DataFrame(self._ish(all_, every)).to_struct("ish")
        tested = pl.Series(all_["tested"])
        table = pl.DataFrame(
            {
                "date": draw.days(date),
                "specimen": draw.texts(["primary", "metastasis", "residual disease"], specimen),
                "ihc": draw.texts(self._names("ihc"), all_["ihc"]),
                "ish": ish.zip_with(
                    tested, pl.Series([None], dtype=ish.dtype).new_from_index(0, len(ish))
                ),
            }
        )
        items = table.to_struct("item").cast(_TEST)
        return draw.lists(owner, items, dated)

    def _receptors(self) -> None:
        is_, rule = self.is_, self.model["hormone_receptors"]["percent"]
        step = rule["round"]
        low = is_.hormone & self._yes(self.model["hormone_receptors"]["low"]["share"])
        for name in ("er", "pr"):
            high = self.rng.beta(*rule[name], self.number) * (100 - 2 * step) + 2 * step
            percent = np.round(high / step) * step
            percent = np.where(low, self._between([1, 9]), percent)
            if name == "pr":
                none = self._yes(rule[f"{name}_negative_though_positive"]) & ~is_.er_none
            else:
                none = is_.er_none = self._yes(rule[f"{name}_negative_though_positive"])
            percent = np.where(is_.hormone & ~none, percent, 0)
            said = self._stated(f"{name}_percent")
            self.fields[f"{name}_percent"] = draw.numbers(percent, said)

    # Extent

    def _draw_extent(self) -> None:
        is_ = self.is_
        group = np.where(is_.neoadjuvant, 0, 1)
        group = np.where(is_.de_novo, np.where(is_.metastatic, 3, 2), group)
        is_.size, is_.nodes = self._pick("T", group), self._pick("N", group)
        # Micrometastases are found at surgery only.
        micro = self._names("N").index("N1mi")
        is_.by_surgery = is_.operated & ~is_.neoadjuvant
        is_.nodes[(is_.nodes == micro) & ~is_.by_surgery] = self._names("N").index("N0")

    def _extent(self) -> None:
        is_, registry, rule = self.is_, self.registry, self.model["writing"]
        in_situ = is_.early & is_.by_surgery & self._yes(self.model["in_situ"]["share"])
        # Where no recurrence is dated, the extent now must be the one that is written.
        dated = is_.recurrent & self._stated("recurrence_date")
        self.fields["recurrence_date"] = draw.days(np.floor(is_.advanced_since), dated)
        now = ~is_.recurrent | dated
        distant = is_.metastatic & is_.de_novo

        stage = registry.stage[is_.size, is_.nodes]
        stage = np.where(distant | (is_.metastatic & ~now), registry.stages.index("IV"), stage)
        stage = np.where(in_situ, registry.stages.index("0"), stage)
        said = self._stated("stage") & (now | is_.metastatic)
        self.fields["stage"] = draw.texts(registry.stages, stage, said)

        isolated = (is_.nodes == 0) & self._yes(rule["isolated_cells"]) & is_.by_surgery
        column = np.where(isolated, len(self._names("N")), is_.nodes)
        with_m = self._yes(rule["with_m"])
        m = np.where(with_m, np.where(distant, 2, 1), 0)
        told = now & ~in_situ & self._stated("tnm")
        text = registry.tnm_code(is_.by_surgery, is_.size, column, m)
        residual_t, residual_n = self._residual()
        both = registry.residual_code(residual_t, residual_n)
        first = draw.texts(registry.tnm_texts, text, told)
        second = draw.texts(["", *registry.residual_texts], np.where(is_.judged, both + 1, 0))
        self.fields["tnm"] = first + second

        limits = self.model["positive_nodes"]
        final = np.where(is_.judged, residual_n, column)
        low = np.array([limits[registry.plain(name)][0] for name in registry.node_names])[final]
        high = np.array([limits[registry.plain(name)][1] for name in registry.node_names])[final]
        positive = low + np.floor(self.rng.random(self.number) * (high - low + 1))
        at_surgery = is_.operated & ~in_situ
        counted = at_surgery & self._stated("positive_nodes")
        self.fields["positive_nodes"] = draw.numbers(positive, counted, whole=True)
        prefix = np.where(is_.judged, 2, is_.by_surgery)
        by_name = draw.texts(registry.node_texts, prefix * len(registry.node_names) + final)
        number = pl.Series(positive).cast(pl.Int64).cast(pl.String) + " positive"
        as_number = pl.Series(at_surgery & self._yes(rule["nodes_as_number"]))
        nodes = number.zip_with(as_number, by_name)
        nothing = pl.repeat(None, self.number, dtype=pl.String, eager=True)
        shown = pl.Series(self._stated("nodes") & now & ~in_situ)
        self.fields["nodes"] = nodes.zip_with(shown, nothing)

        self._sizes(in_situ, now)
        t4d = is_.size == self._names("T").index("T4d")
        self.fields["inflammatory"] = draw.truths(t4d, self._stated("inflammatory") & ~in_situ)
        self.fields["invasive"] = draw.truths(~in_situ, self._stated("invasive") | in_situ)
        self.fields["grade"] = draw.numbers(
            self._pick("grade") + 1, self._stated("grade"), whole=True
        )
        cut = is_.early | (is_.advanced & ~is_.metastatic)
        self.fields["resectable"] = draw.truths(is_.early, cut & self._stated("resectable"))
        self._phase()

    def _residual(self) -> tuple[Array, Array]:
        """T and N after neoadjuvant therapy, as places in their lists."""
        is_, registry = self.is_, self.registry
        sizes, nodes = registry.residual_sizes, registry.node_names
        clear = _recoded(self._pick("complete_T"), registry.choices["complete_T"], sizes)
        clear = np.where(is_.only_in_situ, sizes.index("Tis"), clear)
        left = _recoded(self._pick("residual_T"), registry.choices["residual_T"], sizes)
        n = _recoded(self._pick("residual_N"), registry.choices["residual_N"], nodes)
        return np.where(is_.residual, left, clear), np.where(is_.residual, n, nodes.index("N0"))

    def _sizes(self, in_situ: Array, now: Array) -> None:
        is_, rule = self.is_, self.model["writing"]
        limits = np.array([self.model["size_cm"][name] for name in self._names("T")])
        low, high = limits[is_.size, 0], limits[is_.size, 1]
        size = np.round(low + self.rng.random(self.number) * (high - low), 1)
        said = self._stated("tumor_size_cm") & ~in_situ & now
        general = self._yes(rule["size_general"]) & ~is_.judged
        self.fields["tumor_size_cm"] = draw.numbers(size, said & general)
        self.fields["clinical_tumor_size_cm"] = draw.numbers(
            size, said & ~general & ~is_.by_surgery
        )
        self.fields["pathological_tumor_size_cm"] = draw.numbers(
            size, said & ~general & is_.by_surgery
        )

    def _phase(self) -> None:
        is_, rule = self.is_, self.model["early"]
        names = [
            "before surgery", "after surgery", "residual disease", "adjuvant therapy under way",
            "adjuvant therapy completed",
        ]  # fmt: skip
        phase = np.where(
            is_.after, np.where(is_.residual & self._yes(rule["residual_phase"]), 2, 1), 4
        )
        phase = np.where(is_.under_way, np.where(is_.adjuvant_now, 3, 1), phase)
        phase = np.where(is_.before, 0, phase)
        self.fields["phase"] = draw.texts(names, phase, is_.early & self._stated("phase"))
        self.fields["surgery_date"] = draw.days(
            is_.surgery, is_.operated & self._stated("surgery_date")
        )
        response = np.where(is_.complete, 0, np.where(is_.residual, 1, 2))
        self.fields["pathologic_response"] = draw.texts(
            ["pCR", "residual invasive disease", "residual in situ only"],
            response,
            is_.judged & self._stated("pathologic_response"),
        )

    def _sites(self) -> None:
        is_, model = self.is_, self.model
        shares = without_notes(model["sites"]) | without_notes(model["sites_other"])
        growth, rule = model["sites_growth"], model["brain"]
        held = {}
        for name, share in shares.items():
            part = np.where(is_.de_novo, share["de_novo"], share["recurrent"])
            if name == "brain":
                part = part + growth["brain_each_line"] * is_.lines
                part = np.where(is_.hormone, part, part * growth["hr_negative_factor"])
            held[name] = is_.metastatic & self._yes(part)
        none = is_.metastatic & ~np.any(list(held.values()), axis=0)
        sole, sites = self._pick("sites_sole"), self._names("sites_sole")
        for code, name in enumerate(sites):
            held[name] |= none & (sole == code)
        nodes_only = is_.advanced & ~is_.metastatic
        near = model["advanced"]["unresectable"]["nodes"]
        held["lymph node"] |= nodes_only & self._yes(near)
        is_.liver, is_.brain = held["liver"], held["brain"]
        said = np.where(
            is_.advanced, self._stated("metastatic_sites"), self._stated("metastatic_sites_early")
        )
        self.fields["metastatic_sites"] = draw.subsets(list(held), list(held.values()), said)
        states = ["none", *self._names("brain_states")]
        state = np.where(is_.brain, self._pick("brain_states") + 1, 0)
        known = np.where(is_.brain, rule["stated"], rule["none_stated"] * is_.advanced)
        self.fields["brain_mets"] = draw.texts(states, state, self._yes(known))
        is_.brain_active = is_.brain & ~np.isin(
            state, [states.index("stable"), states.index("treated-stable")]
        )
        self.fields["leptomeningeal_disease"] = draw.truths(
            held["leptomeninges"], is_.metastatic & self._yes(rule["leptomeningeal_stated"])
        )
        self.fields["measurable_disease"] = draw.truths(
            self._yes(model["measurable"]["share"]),
            is_.advanced & self._stated("measurable_disease"),
        )

    # Therapies and what they leave

    def _therapies(self) -> None:
        is_, registry, model = self.is_, self.registry, self.model
        rule = model["writing_of_courses"]
        stated = self._yes(rule["therapies_stated"])
        complete = self._pick("complete")
        whole = stated & self._any("complete", complete, "yes")
        self.fields["prior_therapies_complete"] = draw.truths(
            whole, stated & self._any("complete", complete, "yes", "no")
        )
        flat = is_.courses.flat()
        owner = flat["patient"]
        lost = self._yes(rule["lost_if_incomplete"], len(owner)) & ~whole[owner]
        kept = np.flatnonzero(stated[owner] & ~lost)
        flat = {name: column[kept] for name, column in flat.items()}
        number = len(flat["patient"])
        last = np.where(np.isnan(flat["end"]), self.as_of, flat["end"])
        kind = registry.regimens.kind[flat["regimen"]]
        found = registry.events.draw(self.rng, kind, flat["start"], last)
        for organ, meant in registry.events.meaning.items():
            hit = np.zeros(self.number, bool)
            hit[flat["patient"][found["course"][meant[found["event"]]]]] = True
            setattr(is_, organ, hit)
        rule = model["events"]
        listed = self._yes(rule["stated"], number)
        events = registry.events.column(found, listed, self.as_of)
        self.fields["prior_therapies"] = registry.writing.column(
            self.rng, flat, registry.regimens, events, self.as_of, rule["cycle_days"], stated
        )

    def _heart(self) -> None:
        is_, rule = self.is_, self.model["lvef"]
        mean = np.where(self._yes(rule["low_baseline"]), rule["low_mean"], rule["mean"])
        before = self.rng.normal(mean, rule["sd"])
        change = self.rng.normal(rule["change_mean"], rule["change_sd"], self.number)
        fall = self.rng.normal(rule["event_mean"], rule["event_sd"], self.number)
        now = before + change + np.where(is_.heart, fall, 0)
        for name, value in (("lvef_percent", now), ("lvef_baseline_percent", before)):
            value = np.round(np.clip(value, rule["least"], rule["most"]))
            self.fields[name] = draw.numbers(value, self._stated(name))

    def _laboratory(self) -> None:
        is_, rule, rare = self.is_, self.model["labs"], self.model["labs_rare"]
        stated = self._yes(rule["stated"])
        for name, law in rule.items():
            if not isinstance(law, dict):
                continue
            value = law["median"] * np.exp(self.rng.normal(0, law["log_sd"], self.number))
            if law.get("liver"):
                value = np.where(is_.liver, value * rule["liver_factor"], value)
            if law.get("late"):
                value = np.where(is_.lines > 2, value * rule["late_factor"], value)
            said = stated & self._yes(rule["each_stated"])
            self.fields[f"labs.{name}"] = draw.numbers(np.round(value, law["digits"]), said)
        for name in ("dpyd", "child_pugh"):
            self.fields[f"labs.{name}"] = draw.texts(
                self._names(name), self._pick(name), self._yes(rare[f"{name}_stated"])
            )

    def _history(self) -> None:
        is_, rule = self.is_, self.model["history"]
        stated = self._yes(rule["stated"])

        def said() -> Array:
            return stated & self._yes(rule["each_stated"])

        lung = self._pick("lung", is_.lung.astype(int))
        shown = said()
        self.fields["history.interstitial_lung_disease"] = draw.texts(
            self._names("lung"), lung, shown
        )
        self.fields["history.ild_needed_steroids"] = draw.truths(
            self._yes(rule["steroids"]), shown & (lung > 0)
        )
        heart = self._pick("heart", is_.heart.astype(int))
        shown = said()
        self.fields["history.heart_failure"] = draw.texts(self._names("heart"), heart, shown)
        failing = heart == self._names("heart").index("symptomatic")
        self.fields["history.nyha_class"] = draw.texts(
            self._names("nyha"), self._pick("nyha"), shown & failing
        )
        self.fields["history.neuropathy_grade"] = draw.numbers(
            self._pick("neuropathy", is_.nerve.astype(int)), said(), whole=True
        )
        shares = rule["hypersensitivity"]
        self.fields["history.hypersensitivity"] = self._list(
            shares, stated & self._yes(rule["hypersensitivity_stated"])
        )

    def _list(self, shares: Mapping[str, float], stated: Array) -> pl.Series:
        held = [self._yes(share) for share in shares.values()]
        return draw.subsets(list(shares), held, stated)

    def _lists(self) -> None:
        for name in ("medications", "conditions"):
            rule = self.model[name]
            self.fields[name] = self._list(rule["shares"], self._yes(rule["stated"]))

    def _judgement(self) -> None:
        is_, model = self.is_, self.model
        for name, shares in without_notes(model["judgement"]).items():
            early, advanced = shares["early"], shares["advanced"]
            dice = self.rng.random((2, self.number))
            said = dice[0] < np.where(is_.early, early[0], advanced[0])
            true = dice[1] < np.where(is_.early, early[1], advanced[1])
            self.fields[f"judgement.{name}"] = draw.truths(true, said)
        for name, (stated, share) in without_notes(model["judgement_brain"]).items():
            self.fields[f"judgement.{name}"] = draw.truths(
                self._yes(share) & is_.brain_active, is_.brain & self._yes(stated)
            )
        rule = model["judgement_recurrence"]
        share = np.where(is_.small, rule["high"]["small"], rule["high"]["large"])
        high, said = self._yes(share), is_.early & self._yes(rule["stated"])
        self.fields["judgement.high_risk_of_recurrence"] = draw.truths(high, said)
        self.fields["judgement.low_risk_of_recurrence"] = draw.truths(~high, said)
        rule = model["judgement_circumstances"]
        self.fields["judgement.special_circumstances"] = self._list(
            rule["shares"], is_.advanced & self._yes(rule["stated"])
        )


class Registry:
    """The model, made ready once for all chunks."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        self.model = model
        self.regimens = Regimens(model)
        self.events = Events(model, self.regimens)
        self.writing = Writing(model)
        self.choices = _choices(model)
        self._staging()

    def _staging(self) -> None:
        model, sizes = self.model, self.choices["T"].names
        nodes = self.choices["N"].names
        table = without_notes(model["stage"])
        self.stages = sorted({each for row in table.values() for each in row.values()})
        self.stages += ["0", "IV"]
        self.stage = np.array([[self.stages.index(table[t][n]) for n in nodes] for t in sizes])
        self.node_names = [*nodes, "N0(i+)"]
        self.tnm_texts = [
            f"{prefix}{t} {prefix}{n}{m}"
            for prefix in "cp"
            for t in sizes
            for n in self.node_names
            for m in ("", " M0", " M1")
        ]
        self.node_texts = [f"{prefix}{n}" for prefix in ("c", "p", "yp") for n in self.node_names]
        residual = model["early"]["residual"]
        self.residual_sizes = [*residual["complete_T"], *residual["T"]]
        self.residual_texts = [
            f"; yp{t} yp{n}" for t in self.residual_sizes for n in self.node_names
        ]

    def tnm_code(self, by_surgery: Array, size: Array, nodes: Array, m: Array) -> Array:
        """Places in `tnm_texts`."""
        code = by_surgery.astype(int) * len(self.choices["T"].names) + size
        return (code * len(self.node_names) + nodes) * 3 + m

    def residual_code(self, size: Array, nodes: Array) -> Array:
        """Places in `residual_texts`."""
        return size * len(self.node_names) + nodes

    @staticmethod
    def plain(name: str) -> str:
        """A category of nodes without its note."""
        return name.partition("(")[0]


def _choices(model: Mapping[str, Any]) -> dict[str, Choice]:
    early, advanced, her2 = model["early"], model["advanced"], model["her2"]
    extent, history = model["extent"], model["history"]
    groups = [
        extent[name] for name in ("neoadjuvant", "surgery_first", "locally_advanced", "de_novo")
    ]
    ecog, ihc = model["ecog"], her2["ihc"]
    outcome, response = advanced["outcome"], advanced["response"]
    return {
        "setting": Choice(model["setting"]["weights"]),
        "her2": Choice(her2["weights"]),
        "ihc": Choice(*(ihc[name] for name in her2["weights"])),
        "ish_groups": Choice(her2["groups"]["negative"], her2["groups"]["positive"]),
        "her2_form": Choice(her2["form"]["weights"]),
        "age_form": Choice(model["age_form"]["weights"]),
        "ecog": Choice(*(ecog[name] for name in ("early", "advanced", "late"))),
        "places": Choice(early["surgery_first_places"], early["neoadjuvant_places"]),
        "before_states": Choice(early["before_states"]),
        "early_response": Choice(early["response"]["weights"]),
        "shortened": Choice(early["outcome"]["shortened"]),
        "complete_T": Choice(early["residual"]["complete_T"]),
        "residual_T": Choice(early["residual"]["T"]),
        "residual_N": Choice(early["residual"]["N"]),
        "T": Choice(*(group["T"] for group in groups)),
        "N": Choice(*(group["N"] for group in groups)),
        "grade": Choice(model["grade"]["weights"]),
        "advanced_outcome": Choice(outcome["earlier"], outcome["last"]),
        "advanced_response": Choice(response["first"], response["second"], response["later"]),
        "sites_sole": Choice(model["sites_sole"]["weights"]),
        "brain_states": Choice(model["brain"]["states"]),
        "complete": Choice(model["writing_of_courses"]["complete"]),
        "dpyd": Choice(model["labs_rare"]["dpyd"]),
        "child_pugh": Choice(model["labs_rare"]["child_pugh"]),
        "lung": Choice(history["lung"], history["lung_after_event"]),
        "heart": Choice(history["heart"], history["heart_after_event"]),
        "nyha": Choice(history["nyha"]),
        "neuropathy": Choice(history["neuropathy"], history["neuropathy_after_event"]),
    }
