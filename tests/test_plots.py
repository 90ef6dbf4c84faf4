"""Pictures: the figures in them are those of the queries, nothing overlaps, no colour alone."""

from __future__ import annotations

import re
import subprocess
import sys
from copy import deepcopy
from datetime import date
from pathlib import Path

import matplotlib
import pytest
from typer.testing import CliRunner

from her2kg import DataError, EngineError, Her2kgError, KnowledgeGraph, UnknownTerm, plots
from her2kg.cli import app
from her2kg.plot_adverse_events import interval
from her2kg.plot_sheet import DOTS_PER_INCH, NOTICE, STATES, style, width_of, wrapped

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import blocks  # noqa: E402

EXAMPLES = ROOT / "ontology" / "examples"
DAY = "2026-11-22"
PATIENTS = (
    "second-line-after-thp", "treatment-naive-first-line", "ihc-2-without-ish", "minimal-record",
    "pregnant", "in-situ-only",
)  # fmt: skip
PAGE = (ROOT / "docs" / "pictures.md").read_text("utf-8")
COMMANDS = re.findall(r"^her2kg plot .+$", PAGE, re.M)


@pytest.fixture(scope="module")
def kg():
    return KnowledgeGraph()


def example(name: str) -> Path:
    return EXAMPLES / f"{name}.json"


def texts(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def marks(figure, gid: str) -> list[tuple[list[float], list[float]]]:
    """Points of every line of that name, as lists of x and of y."""
    return [
        ([float(x) for x in line.get_xdata()], [float(y) for y in line.get_ydata()])
        for axes in figure.axes
        for line in axes.lines
        if line.get_gid() == gid
    ]


def states(figure) -> dict[tuple[float, float], str]:
    """The state drawn at each place below the legend."""
    found = {}
    for state in STATES:
        for xs, ys in marks(figure, f"state-{state}"):
            found |= {(round(x, 3), round(y, 3)): str(state) for x, y in zip(xs, ys, strict=True)}
    return found


def boxes(figure):
    """Text and place of every text that is drawn, in pixels."""
    renderer = figure.canvas.get_renderer()
    with style():
        figure.draw(renderer)
    found = []
    for axes in figure.axes:
        shown = [*axes.texts, *(axes.get_xticklabels() if axes.axison else [])]
        low, high = axes.get_xlim()
        for text in shown:
            if text not in axes.texts and not low <= text.get_position()[0] <= high:
                continue
            if text.get_text().strip():
                found.append((text.get_text(), text.get_window_extent(renderer)))
    return found


def assert_legible(figure) -> None:
    """No text runs out of the figure, over another text or over the square of a state."""
    drawn = boxes(figure)
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in drawn:
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
        assert inside, f"runs out of the figure: {text!r}"
    for number, (text, box) in enumerate(drawn):
        for other, place in drawn[number + 1 :]:
            across = min(box.x1, place.x1) - max(box.x0, place.x0)
            down = min(box.y1, place.y1) - max(box.y0, place.y0)
            assert across < 1 or down < 1, f"{text!r} lies over {other!r}"
    sheet = figure.axes[0]
    for x, y in states(figure):
        middle = sheet.transData.transform((x, y))
        over = [text for text, box in drawn if box.contains(*middle)]
        assert not over, f"{over} lies over a state"


# --- the interval ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "share, number, lower, upper",
    [
        # z = 1.95996, z^2 = 3.84146: (0.1 + 0.0192073 -+ 1.95996 sqrt(0.0009 + 0.000096036)) / 1.0384146
        (0.10, 100, 0.05523, 0.17437),
        # 0 of 20: upper limit z^2 / (20 + z^2)
        (0.0, 20, 0.0, 0.16113),
        (1.0, 20, 0.83887, 1.0),
        # 10.9% of 261: (0.109 + 0.0073591 -+ 1.95996 sqrt(0.00037210 + 0.0000140980)) / 1.0147182
        (0.109, 261, 0.07671, 0.15263),
    ],
)
def test_wilson_interval_is_that_of_the_formula_by_hand(share, number, lower, upper):
    assert plots.wilson(share, number) == pytest.approx((lower, upper), abs=2e-5)


def test_wilson_interval_of_another_level_is_narrower():
    low, high = plots.wilson(0.3, 50, 0.95), plots.wilson(0.3, 50, 0.8)
    assert low[0] < high[0] < 0.3 < high[1] < low[1]


# --- what is drawn --------------------------------------------------------------------------------


def test_matrix_holds_the_verdict_of_every_patient_and_regimen(kg):
    files = [example(name) for name in PATIENTS]
    figure = plots.eligibility_matrix(kg, files, as_of=DAY, every=True)
    drawn = states(figure)
    sheet = figure.axes[0].texts
    columns = {
        t.get_text().removesuffix(" †"): t.get_position()[0] for t in sheet if t.get_rotation()
    }
    assert list(columns) == list(PATIENTS)
    checked = 0
    for name in PATIENTS:
        for verdict in kg.eligibility(example(name), as_of=DAY).regimens:
            lines = wrapped(verdict.label, 4.2, most=2)
            rows = {
                round(y, 3): state
                for (x, y), state in drawn.items()
                if abs(x - columns[name]) < 0.01
            }
            said = [t.get_text() for t in sheet]
            (at,) = [n for n in range(len(said)) if said[n : n + len(lines)] == lines]
            middle = sum(t.get_position()[1] for t in sheet[at : at + len(lines)]) / len(lines)
            near = min(rows, key=lambda y: abs(y - middle))
            expected = verdict.verdict if any(verdict.by_basis.values()) else "None"
            assert rows[near] == expected, (name, verdict.label)
            checked += 1
    assert checked > 350
    assert "in-situ-only †" in texts(figure)
    assert "no judgement of this patient" in " ".join(texts(figure))
    faint = [
        xs
        for axes in figure.axes
        for line in axes.lines
        if line.get_alpha()
        for xs in line.get_xdata()
    ]
    assert {round(x, 3) for x in faint} == {round(columns["in-situ-only"], 3)}


def test_matrix_orders_regimens_of_one_patient_as_the_answer_does(kg):
    answers = kg.eligibility(example("second-line-after-thp"), as_of=DAY, bases=["label"])
    figure = plots.eligibility_matrix(
        kg, [example("second-line-after-thp")], as_of=DAY, bases=["label"], every=True
    )
    shown = texts(figure)
    order = [shown.index(wrapped(each.label, 4.2, most=2)[0]) for each in answers.regimens]
    assert order == sorted(order)


def test_matrix_leaves_out_what_suits_nobody_and_says_so(kg):
    files = [example("second-line-after-thp")]
    asked = {"as_of": DAY, "bases": ["label"], "jurisdictions": ["US"]}
    verdicts = [each.verdict for each in kg.eligibility(files[0], **asked).regimens]
    figure = plots.eligibility_matrix(kg, files, **asked)
    idle = verdicts.count("ineligible")
    assert f"Left out: {idle} regimens that suit no patient, by claims valid on the day." in texts(
        figure
    )
    assert len(states(figure)) - 4 == len(verdicts) - idle  # four states in the legend
    assert "Left out" not in " ".join(
        texts(plots.eligibility_matrix(kg, files, **asked, every=True))
    )


def test_matrix_tells_no_claim_from_ineligible(kg):
    figure = plots.eligibility_matrix(
        kg, [example("second-line-after-thp")], as_of="2010-01-01", every=True
    )
    answers = kg.eligibility(example("second-line-after-thp"), as_of="2010-01-01")
    none = sum(not any(each.by_basis.values()) for each in answers.regimens)
    assert none > 5
    assert list(states(figure).values()).count("None") == none + 1


def test_answers_and_single_records_are_taken_as_they_are(kg):
    asked = {"as_of": DAY, "bases": ["label"], "jurisdictions": ["EU"]}
    record = kg.record(example("pregnant"))
    answers = kg.eligibility(record, **asked)
    wanted = texts(plots.eligibility_matrix(kg, [example("pregnant")], **asked, every=True))
    for given in (record, record.model, answers, [answers], str(example("pregnant"))):
        assert texts(plots.eligibility_matrix(kg, given, **asked, every=True)) == wanted
    assert texts(plots.patient_map(kg, answers)) == texts(plots.patient_map(kg, record, **asked))


def test_patients_of_one_name_and_too_many_are_told_apart(kg):
    record = kg.record(example("minimal-record"))
    figure = plots.eligibility_matrix(
        kg, [record] * 62, as_of=DAY, bases=["label"], jurisdictions=["US"], regimens=["THP"]
    )
    heads = [t.get_text() for t in figure.axes[0].texts if t.get_rotation()]
    assert len(heads) == 60 == len(set(heads))
    assert "Left out: 2 of 62 patients, the last given." in texts(figure)
    assert_legible(figure)


def test_patient_map_holds_the_reasons_of_every_claim(kg):
    asked = {
        "as_of": DAY,
        "bases": ["label"],
        "jurisdictions": ["US"],
        "regimens": ["THP", "T-DM1"],
    }
    answers = kg.eligibility(example("ihc-2-without-ish"), **asked)
    figure = plots.patient_map(kg, example("ihc-2-without-ish"), **asked)
    claims = [claim for each in answers.regimens for claim in each.claims]
    counts = {"met": 0, "unmet": 0, "unknown": 0}
    for claim in claims:
        for reason in {(r.criterion, r.label): r for r in claim.reasons}.values():
            counts[reason.status] += 1
    drawn = list(states(figure).values())
    for state, number in counts.items():
        assert number and drawn.count(state) == number + 1, state  # one in the legend
    for verdict in ("eligible", "undetermined", "ineligible"):
        assert drawn.count(verdict) == sum(claim.verdict == verdict for claim in claims)
    assert "HER2 IHC score: IHC 2+" in texts(figure)


def test_patient_map_of_a_patient_outside_the_scope_is_faint_and_says_so(kg):
    figure = plots.patient_map(kg, example("in-situ-only"), as_of=DAY, regimens=["THP"])
    faint = [line.get_gid() for line in figure.axes[0].lines if line.get_alpha()]
    assert faint == ["state-ineligible"]
    assert "Outside what the graph covers" in " ".join(texts(figure))


def test_patient_map_counts_what_it_leaves_out(kg):
    figure = plots.patient_map(kg, example("second-line-after-thp"), as_of=DAY)
    answers = kg.eligibility(example("second-line-after-thp"), as_of=DAY)
    verdicts = [state for state in states(figure).values() if state in ("eligible", "ineligible")]
    assert len(verdicts) == 24
    rest = sum(bool(each.claims) for each in answers.regimens) - 24
    assert any(text.startswith(f"Left out: {rest} more regimens (") for text in texts(figure))
    heads = [t.get_text() for t in figure.axes[0].texts if t.get_rotation()]
    drawn = [each.label for each in answers.regimens if each.claims][:24]
    assert heads[::2] == drawn  # in full


def test_forest_holds_the_ratios_and_intervals_of_the_query(kg):
    rows = kg.query(
        "evidence/hazard-ratios", setting="setting_metastatic_second_line", endpoint="UNDEF"
    ).to_dicts()
    figure = plots.forest(kg, "metastatic second line")
    assert sorted(xs for xs, _ in marks(figure, "ratio")) == sorted(
        [float(row["hazardRatio"])] for row in rows
    )
    assert sorted(xs for xs, _ in marks(figure, "interval")) == sorted(
        [float(row["lower"]), float(row["upper"])] for row in rows if row["lower"] is not None
    )
    said = texts(figure)
    assert {"overall survival", "progression-free survival"} <= set(said)
    assert "randomised 2:1, open-label, HER2-low" in said  # DESTINY-Breast04: other patients
    # EMILIA as its publication gives it
    assert "0.65 (0.55–0.77)" in said and "T-DM1 (495) vs lapatinib+capecitabine (496)" in said
    assert figure.axes[1].get_xscale() == "log"
    assert any(line.get_xdata()[0] == 1 for line in figure.axes[1].lines)


def test_forest_of_several_settings_names_each_and_draws_a_trial_once(kg):
    figure = plots.forest(kg, ["metastatic first line", "metastatic second line"], endpoint="PFS")
    said = texts(figure)
    assert said.count("metastatic first line: progression-free survival") == 1
    assert said.count("metastatic second line: progression-free survival") == 1
    rows = kg.query(
        "evidence/hazard-ratios",
        setting=["setting_metastatic_first_line", "setting_metastatic_second_line"],
        endpoint="PFS",
    ).to_dicts()
    assert len(marks(figure, "ratio")) == len({row["outcome"] for row in rows})


def test_forest_marks_recalled_ratios_and_other_levels(kg):
    figure = plots.forest(kg, "adjuvant", endpoint="DFS")
    rows = kg.query("evidence/hazard-ratios", setting="setting_adjuvant", endpoint="DFS").to_dicts()
    fills = [
        line.get_markerfacecolor() for line in figure.axes[1].lines if line.get_gid() == "ratio"
    ]
    assert fills.count("white") == sum(row["confidence"] == "recalled" for row in rows) > 0
    assert texts(figure).count("90% CI") == sum(row["levelPercent"] == 90 for row in rows) > 0


def test_adverse_events_hold_the_rates_of_the_query(kg):
    regimens = ["regimen_tdxd_monotherapy", "regimen_thp_docetaxel"]
    events = ["ae_ild", "diarrhoea"]
    rows = kg.query(
        "adverse-events/rates-with-arm-sizes", regimen=regimens, event=["ae_ild", "ae_diarrhoea"]
    ).to_dicts()
    figure = plots.adverse_events(kg, regimens, events=events)
    for kind, column in (
        ("any grade", "anyGradePercent"),
        ("grade 3 or higher", "grade3OrHigherPercent"),
    ):
        stated = {(row["event"], row["rate"]): row for row in rows if row[column] is not None}
        points = sorted(xs[0] for xs, _ in marks(figure, f"rate {kind}"))
        assert points == sorted(float(row[column]) for row in stated.values()), kind
        drawn = [line for line in figure.axes[1].lines if line.get_gid() == f"rate {kind}"]
        fills = [line.get_markerfacecolor() for line in drawn]
        recalled = [row for row in stated.values() if row["confidence"] == "recalled"]
        assert fills.count("white") == len(recalled) > 0, kind
        lines = sorted(xs for xs, _ in marks(figure, f"interval {kind}"))
        known = [row for row in stated.values() if row["enrolled"] and not row["population"]]
        expected = [plots.wilson(float(row[column]) / 100, float(row["enrolled"])) for row in known]
        assert lines == [pytest.approx([100 * a, 100 * b]) for a, b in sorted(expected)], kind
    said = texts(figure)
    assert "10.9 (7.7–15.3)" in said and "261" in said
    assert any("not compared head to head" in text for text in said)
    assert any(text.startswith("Intervals: Wilson's score interval of 95%") for text in said)


@pytest.mark.parametrize(
    "row, number",
    [
        ({"assessed": 50, "enrolled": 60, "population": None}, 50),
        ({"assessed": None, "enrolled": 60, "population": None}, 60),
        ({"assessed": 50, "enrolled": 60, "population": "aged 65 and older"}, 50),
        ({"assessed": None, "enrolled": 60, "population": "aged 65 and older"}, None),
        ({"assessed": None, "enrolled": None, "population": None}, None),
    ],
)
def test_interval_needs_the_number_that_the_rate_is_of(row, number):
    found = interval(row, 20.0)
    if number is None:
        assert found is None
    else:
        lower, upper = plots.wilson(0.2, number)
        assert found == pytest.approx((100 * lower, 100 * upper))


def test_adverse_events_without_a_choice_are_those_counted_for_both(kg):
    figure = plots.adverse_events(kg, ["regimen_tdxd_monotherapy", "regimen_tdm1"])
    rows = kg.query(
        "adverse-events/rates-with-arm-sizes",
        regimen=["regimen_tdxd_monotherapy", "regimen_tdm1"],
        event="UNDEF",
    ).to_dicts()
    seen: dict[str, set] = {}
    for row in rows:
        if row["event"] == row["seen"] and (row["anyGradePercent"] or row["grade3OrHigherPercent"]):
            seen.setdefault(row["eventLabel"], set()).add(row["regimen"])
    both = {label for label, regimens in seen.items() if len(regimens) == 2}
    heads = {label for label in seen if label in texts(figure)}
    assert heads == both and both


def test_timeline_holds_days_of_approvals_and_statements(kg):
    rows = kg.query("evidence/timeline-of-drug", drug="drug_trastuzumab_emtansine").to_dicts()
    figure = plots.timeline(kg, drugs="T-DM1", as_of=DAY)
    said = texts(figure)
    assert [text for text in said if re.fullmatch(r"\d{4}-\d\d-\d\d", text)] == [
        day.isoformat() for row in rows for day in (row["validFrom"], row["validUntil"]) if day
    ]
    starts = [xs[0] for xs, _ in marks(figure, "start")]
    assert starts == pytest.approx([_year(row["validFrom"]) for row in rows], abs=0.004)
    bars = [xs for xs, _ in marks(figure, "valid")]
    stated = [row for row in rows if row["part"] != "approval"]
    ends = [_year(row["validUntil"] or date.fromisoformat(DAY)) for row in stated]
    assert [xs[1] for xs in bars] == pytest.approx(ends, abs=0.004)
    assert len(marks(figure, "end")) == sum(row["validUntil"] is not None for row in rows) > 0


def _year(day: date) -> float:
    return day.year + (day - date(day.year, 1, 1)).days / 365.25


def test_timeline_leaves_out_other_territories_and_later_days(kg):
    rows = kg.query("evidence/timeline-of-drug", drug="drug_trastuzumab_emtansine").to_dicts()
    only = plots.timeline(kg, drugs="T-DM1", jurisdictions=["eu"], as_of=DAY)
    wanted = [row for row in rows if row["jurisdiction"] in ("EU", "INT", None)]
    assert len(marks(only, "start")) == len(wanted) < len(rows)
    assert "FDA (US)" not in texts(only) and "EMA (EU)" in texts(only)
    early = plots.timeline(kg, drugs="T-DM1", as_of="2019-12-31")
    later = sum(row["validFrom"] > date(2019, 12, 31) for row in rows)
    assert f"Left out, as later than 2019-12-31: {later} lines." in texts(early)
    assert not any(text.startswith(("2020-", "2021-10")) for text in texts(early))


def test_timeline_of_a_brand_is_that_of_its_drug(kg):
    brand = plots.timeline(kg, drugs="Enhertu", as_of=DAY)
    assert texts(brand) == texts(plots.timeline(kg, drugs="trastuzumab deruxtecan", as_of=DAY))


def test_timeline_of_a_regimen_holds_its_claims(kg):
    figure = plots.timeline(kg, regimens="regimen_tdm1", as_of=DAY)
    rows = kg.query("evidence/claims-of-regimen", regimen="regimen_tdm1").to_dicts()
    assert len(marks(figure, "start")) == len({row["claim"] for row in rows})
    assert {"guideline claims", "label claims", "trial claims"} <= set(texts(figure))


def test_sequence_holds_what_guidelines_prefer_on_the_day(kg):
    figure = plots.sequence(kg, as_of=DAY, settings="metastatic second line")
    said = texts(figure)
    field = said[said.index("NCCN (US)") + 1 : said.index("ASCO (US)")]
    assert field == [
        "preferred",
        "• Trastuzumab deruxtecan monotherapy*",  # recalled
        "other recommended",
        "• Trastuzumab emtansine monotherapy",
        "certain circumstances",
        "• Tucatinib + trastuzumab + capecitabine",
    ]
    assert said.count("preferred") == 3  # Belgian group, ESMO, NCCN
    before = texts(plots.sequence(kg, as_of="2019-12-01", settings="metastatic second line"))
    assert "• Trastuzumab emtansine monotherapy" in before
    assert not any("deruxtecan" in text for text in before)


def test_sequence_counts_or_names_regimens_without_rank(kg):
    counted = texts(plots.sequence(kg, as_of=DAY, settings="metastatic second line"))
    named = texts(plots.sequence(kg, as_of=DAY, settings="metastatic second line", every=True))
    assert "2 named, not ranked" in counted
    assert "named, not ranked" in named and "2 named, not ranked" not in named
    assert len(named) > len(counted)
    assert "•" not in [text.strip() for text in texts(plots.sequence(kg, as_of=DAY, every=True))]


# --- legible --------------------------------------------------------------------------------------

LONG = "a-patient-with-a-very-long-name-that-nobody-would-write-but-a-register-may-hold-0000001"
PICTURES = {
    "matrix": lambda kg: plots.eligibility_matrix(kg, [example(n) for n in PATIENTS], as_of=DAY),
    "matrix-every": lambda kg: plots.eligibility_matrix(
        kg, [example(n) for n in PATIENTS[:2]], as_of=DAY, every=True
    ),
    "matrix-names": lambda kg: plots.eligibility_matrix(
        kg,
        [{"id": LONG}, {"id": "$x^2$ \\frac{1}{2}"}, {"id": "病人 一"}],
        as_of=DAY,
        regimens=["THP"],
    ),
    "patient": lambda kg: plots.patient_map(kg, example("second-line-after-thp"), as_of=DAY),
    "patient-early": lambda kg: plots.patient_map(
        kg, example("early-residual-may-2026"), as_of=DAY, bases=["guideline"]
    ),
    "patient-minimal": lambda kg: plots.patient_map(
        kg, {"id": LONG}, as_of=DAY, regimens=["T-DXd"]
    ),
    "forest": lambda kg: plots.forest(kg, ["metastatic first line", "metastatic third line"]),
    "forest-early": lambda kg: plots.forest(kg, ["neoadjuvant", "adjuvant", "post-neoadjuvant"]),
    "adverse-events": lambda kg: plots.adverse_events(kg, ["T-DXd", "T-DM1", "THP"]),
    "one-event": lambda kg: plots.adverse_events(kg, "T-DXd", events="ILD"),
    "timeline": lambda kg: plots.timeline(kg, drugs=["T-DXd", "tucatinib"], as_of=DAY),
    "timeline-old": lambda kg: plots.timeline(kg, drugs="trastuzumab", as_of=DAY),
    "timeline-regimen": lambda kg: plots.timeline(kg, regimens="T-DXd", as_of=DAY),
    "sequence": lambda kg: plots.sequence(kg, as_of=DAY),
    "sequence-every": lambda kg: plots.sequence(kg, as_of=DAY, every=True),
}


@pytest.mark.parametrize("name", PICTURES)
def test_text_does_not_overlap_or_run_out(kg, name):
    figure = PICTURES[name](kg)
    assert_legible(figure)
    assert NOTICE in texts(figure)
    assert max(figure.get_size_inches()) * DOTS_PER_INCH < 2**15


def test_overlapping_text_would_be_found(kg):
    figure = plots.sequence(kg, as_of=DAY, settings="metastatic second line")
    figure.axes[0].text(0, 0.05, "over the title", fontsize=12)
    with pytest.raises(AssertionError, match="lies over"):
        assert_legible(figure)
    figure = plots.sequence(kg, as_of=DAY, settings="metastatic second line")
    figure.axes[0].text(figure.get_size_inches()[0] - 0.5, 0.5, "out of the figure")
    with pytest.raises(AssertionError, match="runs out"):
        assert_legible(figure)


def test_every_state_is_told_by_a_symbol_and_by_a_grey(kg):
    figure = plots.eligibility_matrix(kg, [example(n) for n in PATIENTS], as_of=DAY, every=True)
    for state in ("eligible", "undetermined", "ineligible", None):
        symbol, _, _ = STATES[state]
        assert marks(figure, f"symbol-{symbol}") == marks(figure, f"state-{state}"), state
    for group in (
        ("eligible", "undetermined", "ineligible", None),
        ("met", "unknown", "unmet"),
    ):
        assert len({STATES[state][0] for state in group}) == len(group)
        greys = sorted(_grey(STATES[state][1]) for state in group)
        assert all(b - a > 0.12 for a, b in zip(greys, greys[1:], strict=False)), greys
    for _, fill, ink in STATES.values():
        assert abs(_grey(fill) - _grey(ink)) > 0.4


def _grey(colour: str) -> float:
    red, green, blue = matplotlib.colors.to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_words_are_broken_only_where_they_must_be():
    assert wrapped("one two three", 10) == ["one two three"]
    assert all(
        width_of(line) <= 0.8 for line in wrapped("trastuzumab/pertuzumab/hyaluronidase", 0.8)
    )
    assert "".join(wrapped("trastuzumab/pertuzumab/hyaluronidase", 0.8)).endswith("hyaluronidase")
    (cut,) = wrapped("one two three four five six", 0.8, most=1)
    assert cut.endswith("…") and width_of(cut) <= 0.8
    assert wrapped("", 1) == [""]


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".svg", ".png", ".SVG"])
def test_same_data_give_the_same_bytes_whatever_the_settings(kg, tmp_path, ending):
    def draw(name: str) -> bytes:
        figure = plots.forest(kg, "metastatic second line", endpoint="PFS")
        return plots.save(figure, tmp_path / f"{name}{ending}").read_bytes()

    first = draw("one")
    changed = {"font.size": 30, "svg.fonttype": "path", "savefig.dpi": 20, "lines.linewidth": 9}
    with matplotlib.rc_context(changed):
        assert draw("two") == first
        assert matplotlib.rcParams["font.size"] == 30
    if ending != ".png":
        assert b"<dc:date>" not in first and b"<title>Hazard ratios" in first
        assert "T-DM1 (495) vs lapatinib+capecitabine (496)" in first.decode()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_pyplot_is_not_used_and_matplotlib_waits(tmp_path):
    code = (
        "import sys; from her2kg import plots, KnowledgeGraph\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"plots.save(plots.forest(KnowledgeGraph(), 'adjuvant', endpoint='OS'), {str(tmp_path / 'f.png')!r})\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


# --- the command line -----------------------------------------------------------------------------


def run(*args: str, stdin: str | None = None):
    return CliRunner().invoke(app, ["plot", *args], input=stdin, catch_exceptions=False)


PATIENT = str(example("second-line-after-thp"))
CALLS = {
    "matrix": ("matrix", PATIENT, str(example("minimal-record")), "--regimen", "THP"),
    "patient": ("patient", PATIENT, "--regimen", "THP", "--basis", "label,guideline"),
    "adverse-events": ("adverse-events", "T-DXd", "T-DM1", "--event", "ILD"),
    "forest": ("forest", "metastatic second line", "--endpoint", "PFS"),
    "timeline": ("timeline", "--drug", "T-DXd", "--jurisdiction", "US,EU"),
    "sequence": ("sequence", "--as-of", DAY, "--setting", "adjuvant", "--all"),
}


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("ending, start", [(".svg", b"<?xml"), (".png", b"\x89PNG")])
def test_command_writes_a_picture(tmp_path, kind, ending, start):
    out = tmp_path / f"picture{ending}"
    result = run(*CALLS[kind], "-o", str(out))
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    assert result.stderr == f"picture written to {out}\n"
    assert out.read_bytes().startswith(start)


def test_command_reads_a_record_from_stdin(tmp_path):
    out = tmp_path / "picture.svg"
    result = run("patient", "-", "-o", str(out), "--regimen", "THP", stdin='{"id": "from-stdin"}')
    assert result.exit_code == 0, result.stderr
    assert "patient from-stdin" in out.read_text("utf-8")


OUT = ("-o", "x.svg")
WRONG = {
    "ending": (("forest", "adjuvant", "-o", "x.pdf"), r"x\.pdf has the ending '\.pdf'; accepted: \.svg or \.png"),
    "no-ending": (("forest", "adjuvant", "-o", "x"), r"x has no ending; accepted"),
    "folder": (("forest", "adjuvant", "-o", "nowhere/x.svg"), r"nowhere/x\.svg cannot be written: No such"),
    "no-output": (("forest", "adjuvant"), r"missing option '-o'"),
    "setting": (("forest", "first line", *OUT), r"unknown setting 'first line'; did you mean 'metastatic first line'"),
    "endpoint": (("forest", "adjuvant", "--endpoint", "IDSF", *OUT), r"unknown endpoint 'IDSF'; did you mean"),
    "no-ratio": (
        ("forest", "metastatic second line", "--endpoint", "IDFS", *OUT),
        r"no hazard ratio on invasive disease-free survival .*; accepted: overall survival, progression-free",
    ),
    "regimen": (("adverse-events", "T-DXdd", *OUT), r"unknown regimen 'T-DXdd'; did you mean"),
    "event": (("adverse-events", "T-DXd", "--event", "ILDD", *OUT), r"unknown adverse event 'ILDD'; did you mean"),
    "no-rate": (("adverse-events", "T-DXd", "--event", "alopecia", *OUT), r"no rate of alopecia .*her2kg run"),
    "no-drug": (("timeline", *OUT), r"no drug or regimen given; name one: --drug"),
    "drug": (("timeline", "--drug", "trastuzumabb", *OUT), r"unknown drug or product 'trastuzumabb'; did you mean"),
    "jurisdiction": (("timeline", "--drug", "T-DXd", "--jurisdiction", "XX", *OUT), r"given \"XX\", accepted US, "),
    "too-early": (("timeline", "--drug", "T-DXd", "--as-of", "2001-01-01", *OUT), r"nothing is known of .* up to 2001"),
    "day": (("sequence", "--as-of", "tomorrow", *OUT), r"as_of: given \"tomorrow\", accepted a day"),
    "no-claim": (("sequence", "--as-of", "1990-01-01", *OUT), r"no guideline claim counts on 1990-01-01"),
    "no-claim-of-patient": (
        ("patient", PATIENT, "--regimen", "THP", "--as-of", "1990-01-01", *OUT),
        r"no claim of basis label, guideline, trial in US, EU on 1990-01-01",
    ),
    "no-patient": (("matrix", *OUT), r"missing argument 'PATIENT"),
    "no-file": (("matrix", PATIENT, "missing.json", *OUT), r"missing\.json: given a file that does not exist"),
    "kind": (("pie", *OUT), r"no such command 'pie'"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_sentence_and_no_file(tmp_path, monkeypatch, case):
    args, sentence = WRONG[case]
    monkeypatch.chdir(tmp_path)
    result = run(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.search(sentence, result.stderr), result.stderr
    said = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
    assert len(said) == 1 and "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_target_stays_as_it_was_when_drawing_fails(tmp_path):
    target = tmp_path / "x.svg"
    target.write_text("before")
    assert run("forest", "no such line", "-o", str(target)).exit_code == 2
    assert target.read_text() == "before"


def test_library_refuses_with_the_same_errors(kg, tmp_path):
    with pytest.raises(DataError, match="one patient record or more"):
        plots.eligibility_matrix(kg, [])
    with pytest.raises(UnknownTerm):
        plots.patient_map(kg, example("pregnant"), regimens=["no such regimen"])
    with pytest.raises(Her2kgError, match="no regimen given"):
        plots.adverse_events(kg, [])
    with pytest.raises(Her2kgError, match="accepted: .svg or .png"):
        plots.save(plots.forest(kg, "adjuvant", endpoint="OS"), tmp_path / "x.gif")


def test_missing_matplotlib_is_one_sentence(monkeypatch, tmp_path, kg):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(EngineError, match=r"pip install her2kg\[plots\]"):
        plots.sequence(kg)
    result = run("sequence", "-o", str(tmp_path / "x.svg"))
    assert result.exit_code == 2
    assert result.stderr == (
        "pictures need matplotlib, which is not installed; install it: pip install her2kg[plots]\n"
    )


def test_help_lists_every_kind_in_one_line_and_fits():
    result = run("--help")
    assert result.exit_code == 0
    listed = re.search(r"Commands:\n(.*?)\n\n", result.stdout, re.DOTALL)[1].split("\n")
    assert [line.split()[0] for line in listed] == list(CALLS)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)
    for kind in CALLS:
        shown = run(kind, "--help").stdout
        assert max(map(len, shown.split("\n"))) <= 80
        assert "-o, --output FILE" in shown


# --- the page -------------------------------------------------------------------------------------


def content(svg: str) -> tuple[list[str], int]:
    """The texts of a picture in their order, and how many marks it has."""
    return re.findall(r"<text [^>]*>([^<]*)</text>", svg), svg.count("<use ")


def test_page_shows_a_picture_of_each_kind_and_no_other():
    assert [command.split()[2] for command in COMMANDS] == list(CALLS)
    named = re.findall(r"-o (docs/img/\S+)", PAGE)
    assert sorted(named) == sorted(f"docs/{link}" for link in re.findall(r"\((img/\S+)\)", PAGE))
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "img").iterdir()}
    of_other_pages = {"docs/img/serve.png", "docs/img/what-if.svg"}
    assert files - of_other_pages == set(named)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[2])
def test_pictures_of_the_page_are_current(tmp_path, command):
    (target,) = re.findall(r"-o (\S+)", command)
    fresh = tmp_path / "fresh.svg"
    with blocks.shell() as shell:
        done = shell(command.replace(target, str(fresh)))
    assert done.returncode == 0, done.stderr
    kept = (ROOT / target).read_text("utf-8")
    words, number = content(kept)
    assert len(words) > 20
    assert content(fresh.read_text("utf-8")) == (words, number), f"stale; run: {command}"
    assert len(kept) < 150_000


def test_records_are_not_changed(kg):
    record = {"id": "case", "her2_ihc": "3+"}
    before = deepcopy(record)
    plots.patient_map(kg, record, as_of=DAY, regimens=["THP"])
    assert record == before
