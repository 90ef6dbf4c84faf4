"""What would change in a cohort, against single answers before and after."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from functools import cache

import patients
import polars as pl
import pytest
from typer.testing import CliRunner

from her2kg import KnowledgeGraph
from her2kg.cli import app
from her2kg.cohort.axioms import Axioms
from her2kg.cohort.checking import Checker
from her2kg.cohort.engine import Judge
from her2kg.cohort.rows import frame_of, record_of, row_of
from her2kg.cohort.screening import Cohorts
from her2kg.cohort.whatif import (
    COLUMNS,
    Change,
    Tally,
    changed,
    compare,
    compiled_with,
    filled,
    movable,
    move,
    read_change,
    what_if,
)
from her2kg.errors import DataError, UnknownTerm
from her2kg.namespaces import BASE, ONTOLOGY_HOME
from her2kg.verdicts import VERDICTS

LIMIT = "LvefAtLeast50Patient"
LVEF = [60.0, 55.0, None, 46.0, 62.0, None, 48.0, None, 50.0, 70.0]
DAY = date(2026, 11, 22)
US_LABEL = {"bases": ["label"], "jurisdictions": ["US"]}
THP = {**US_LABEL, "regimens": ["regimen_thp_docetaxel"]}


@cache
def cohorts() -> Cohorts:
    return Cohorts(patients.graph())


def row(name: str, **other):
    record = patients.graph().record(ONTOLOGY_HOME / "examples" / f"{name}.json")
    return row_of(record.to_dict()) | {"as_of": DAY} | other


@cache
def table() -> pl.DataFrame:
    """Ten first-line patients, of whom three have no LVEF and two have 46 or 48."""
    first = row("treatment-naive-first-line")
    return frame_of([first | {"id": f"p{n}", "lvef_percent": each} for n, each in enumerate(LVEF)])


@cache
def mixed() -> pl.DataFrame:
    """Patients of several lines of therapy, every other one without an LVEF."""
    names = ["treatment-naive-first-line", "second-line-after-thp", "early-pcr", "minimal-record"]
    rows = [row(name, id=name) for name in names]
    rows += [each | {"id": f"{each['id']} again", "lvef_percent": None} for each in rows]
    return frame_of(rows)


@cache
def edited() -> KnowledgeGraph:
    """The ontology with the limit of LIMIT written as 45."""
    folder = patients_folder() / "ontology"
    shutil.copytree(ONTOLOGY_HOME, folder)
    text = (folder / "criteria.ttl").read_text(encoding="utf-8")
    before, name, after = text.partition(f"\nher2kg:{LIMIT}\n")
    assert after.count("xsd:minInclusive 50.0") > 1
    after = after.replace("xsd:minInclusive 50.0", "xsd:minInclusive 45.0", 1)
    (folder / "criteria.ttl").write_text(before + name + after, encoding="utf-8")
    return KnowledgeGraph(ontology=folder)


_FOLDER = []


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory):
    _FOLDER.append(tmp_path_factory.mktemp("what-if"))


def patients_folder():
    return _FOLDER[0]


def one_by_one(rows, second_rows, second_graph=None, first_day=None, second_day=None, **asked):
    """The table of `compare` from single answers, without regimens that nobody was told of."""
    graph, pairs, number = patients.graph(), {}, 0
    for old, new in zip(rows.iter_rows(named=True), second_rows.iter_rows(named=True), strict=True):
        first = graph.eligibility(record_of(old), as_of=first_day, **asked)
        second = (second_graph or graph).eligibility(record_of(new), as_of=second_day, **asked)
        number += 1
        told = {each.regimen: each.verdict for each in second.regimens}
        for each in first.regimens:
            pairs.setdefault(each.regimen, Counter())[each.verdict, told[each.regimen]] += 1
    return {
        regimen: {
            "regimen": regimen,
            "patients": number,
            **{f"{v}_before": sum(n for (a, _), n in own.items() if a == v) for v in VERDICTS},
            **{f"{v}_after": sum(n for (_, b), n in own.items() if b == v) for v in VERDICTS},
            "gained": own["undetermined", "eligible"] + own["ineligible", "eligible"],
            "gained_from_undetermined": own["undetermined", "eligible"],
            "gained_from_ineligible": own["ineligible", "eligible"],
            "lost": own["eligible", "undetermined"] + own["eligible", "ineligible"],
        }
        for regimen, own in pairs.items()
    }


def by_regimen(found):
    return {each["regimen"]: each for each in found.to_dicts()}


def with_lvef(rows, value):
    return rows.with_columns(pl.col("lvef_percent").fill_null(value))


# --- missing values -------------------------------------------------------------------------------


def test_three_of_ten_without_lvef_become_eligible():
    change = read_change(patients.graph(), ["lvef_percent=60"])
    tally = Tally()
    found = what_if(cohorts(), table(), change, tally=tally)
    assert by_regimen(found) == one_by_one(table(), with_lvef(table(), 60.0))
    assert found.schema == COLUMNS
    assert (tally.patients, tally.filled, tally.unfit) == (10, {"lvef_percent": 3}, 0)
    (thp,) = what_if(cohorts(), table(), change, **THP).to_dicts()
    assert (thp["eligible_before"], thp["undetermined_before"]) == (5, 3)
    assert (thp["gained"], thp["gained_from_undetermined"], thp["lost"]) == (3, 3, 0)
    assert 0 < changed(found).height < found.height
    assert found["gained"].is_sorted(descending=True)


def test_filled_values_count_only_where_the_record_stays_sound():
    change = read_change(patients.graph(), ["menopausal=postmenopausal"])
    rows = (
        table()
        .head(4)
        .with_columns(
            pl.Series("menopausal", [None, None, "premenopausal", None]),
            pl.Series("sex", ["female", "male", "female", "male"]),
            pl.lit(None, pl.String).alias("pregnancy"),
        )
    )
    tally = Tally()
    found = what_if(cohorts(), rows, change, tally=tally)
    second = rows.with_columns(
        pl.Series("menopausal", ["postmenopausal", None, "premenopausal", None])
    )
    assert by_regimen(found) == one_by_one(rows, second)
    assert (tally.filled, tally.unfit) == ({"menopausal": 1}, 2)


def test_values_drawn_from_those_recorded():
    checker = Checker(patients.graph().names)
    change = read_change(patients.graph(), ["lvef_percent=recorded"], seed=5)
    drawn, places = filled(table(), change, checker)
    assert places.to_list() == [2, 5, 7]
    assert set(drawn["lvef_percent"]) <= set(table()["lvef_percent"].drop_nulls())
    again, _ = filled(table(), change, checker)
    assert drawn.equals(again)
    others = [filled(table(), Change(change.fills, seed=n), checker)[0] for n in range(8)]
    assert len({tuple(each["lvef_percent"]) for each in others}) > 1


def test_two_columns_are_drawn_apart():
    values = [float(n) for n in range(40, 80)]
    rows = frame_of(
        [{"id": f"k{n}", "lvef_percent": v, "age": v} for n, v in enumerate(values)]
        + [{"id": f"m{n}"} for n in range(40)]
    )
    change = read_change(patients.graph(), ["lvef_percent=recorded", "age=recorded"])
    drawn, _ = filled(rows, change, Checker(patients.graph().names))
    assert (drawn["lvef_percent"] == drawn["age"]).sum() < 10


def test_nothing_recorded_to_draw_from():
    none = table().with_columns(pl.lit(None, pl.Float64).alias("lvef_percent"))
    tally = Tally()
    change = read_change(patients.graph(), ["lvef_percent=recorded"])
    found = what_if(cohorts(), none, change, tally=tally, **THP)
    assert changed(found).height == 0
    assert tally.undrawn == {"lvef_percent": 10}
    assert not tally.filled


def test_a_column_that_the_table_lacks_is_filled():
    change = read_change(patients.graph(), ["lvef_percent=60"])
    lacks = what_if(cohorts(), table().drop("lvef_percent"), change, **THP)
    (thp,) = lacks.to_dicts()
    assert (thp["undetermined_before"], thp["eligible_after"]) == (10, 10)


# --- a limit moved --------------------------------------------------------------------------------


def test_a_limit_moved_by_five():
    change = read_change(patients.graph(), limits=[f"{LIMIT}=45"])
    assert change.limits == {LIMIT: Decimal(45)}
    after = compiled_with(cohorts(), change.limits)

    def found(**asked):
        question = cohorts().question(**asked)
        judges = (Judge(each, question) for each in (cohorts().compiled, after))
        return compare([table()], *judges, change)

    assert by_regimen(found()) == one_by_one(table(), table(), edited())
    (thp,) = found(**THP).to_dicts()
    assert (thp["eligible_before"], thp["gained"], thp["gained_from_ineligible"]) == (5, 2, 2)
    assert thp["lost"] == 0


def test_a_limit_moved_is_as_in_a_graph_that_says_so():
    axioms, told = Axioms(patients.graph().engine), Axioms(edited().engine)
    move(axioms, LIMIT, Decimal(45))
    named = {n for n in axioms.leaves if BASE + n in patients.graph().names.every_label}
    assert {n: axioms.leaves[n].limits for n in named} == {n: told.leaves[n].limits for n in named}
    for kind in ("Upper", "Lower", "Disjoint"):
        for node in named:
            mine, theirs = (set(each.joined[kind].get(node, ())) & named for each in (axioms, told))
            assert mine == theirs, (kind, node)


def test_moving_a_limit_there_and_back_changes_nothing():
    graph, axioms = patients.graph(), Axioms(patients.graph().engine)
    fit = movable(graph, axioms)
    assert len(fit) > 30
    for node, leaf in fit.items():
        ((_, limit),) = leaf.limits
        before = {k: {n: set(o) for n, o in v.items() if o} for k, v in axioms.joined.items()}
        move(axioms, node, limit)
        after = {k: {n: set(o) for n, o in v.items() if o} for k, v in axioms.joined.items()}
        assert before == after, node
        assert axioms.leaves[node] == leaf


def test_ranges_stated_to_be_disjoint_are_so_until_they_overlap():
    axioms = Axioms(patients.graph().engine)
    move(axioms, "ErPositivePatient", Decimal(10))
    assert "ErNegativePatient" in axioms.joined["Disjoint"]["ErPositivePatient"]
    move(axioms, "ErPositivePatient", Decimal("0.5"))
    assert "ErNegativePatient" not in axioms.joined["Disjoint"]["ErPositivePatient"]
    assert "ErPositivePatient" not in axioms.joined["Disjoint"]["ErNegativePatient"]


def test_classes_of_the_same_number_stay_and_are_named():
    change = read_change(patients.graph(), limits=["LVEF at least 50%=45", "LvefBelow50Patient=45"])
    assert set(change.limits) == {LIMIT, "LvefBelow50Patient"}
    assert "LVEF at most 50%" in change.kept
    assert "LVEF at least 50% or a fall below 10 points" in change.kept
    assert not {"LVEF at least 50%", "LVEF below 50%"} & set(change.kept)


# --- two days -------------------------------------------------------------------------------------


def test_a_label_change_between_two_days():
    claims = {claim.name: claim for claim in cohorts().compiled.claims.claims}
    last = claims["indication_tdxd_her2pos_accelerated_us"].end
    days = (last - timedelta(days=1), last)
    asked = {**US_LABEL, "regimens": ["regimen_tdxd_monotherapy"]}
    found = what_if(cohorts(), mixed(), read_change(patients.graph(), days=days), **asked)
    assert by_regimen(found) == one_by_one(
        mixed(), mixed(), first_day=days[0], second_day=days[1], **asked
    )
    (line,) = found.to_dicts()
    assert (line["gained"], line["gained_from_ineligible"], line["lost"]) == (1, 1, 0)


def test_two_days_of_all_claims():
    days = (date(2019, 1, 1), DAY)
    found = what_if(cohorts(), mixed(), read_change(patients.graph(), days=days))
    alone = one_by_one(mixed(), mixed(), first_day=days[0], second_day=days[1])
    assert by_regimen(found) == alone
    assert found["gained"].sum() > 0


# --- together, and how frames are read ------------------------------------------------------------


def test_all_kinds_together():
    days = (date(2021, 6, 1), DAY)
    change = read_change(patients.graph(), ["lvef_percent=46"], [f"{LIMIT}=45"], days)
    assert len(change.words) == 3
    rows = pl.concat([mixed(), table().head(4)])
    found = what_if(cohorts(), rows, change)
    alone = one_by_one(rows, with_lvef(rows, 46.0), edited(), *days)
    assert by_regimen(found) == alone


def test_frames_may_come_one_by_one_and_may_be_empty():
    change = read_change(patients.graph(), ["lvef_percent=60"])
    judge = Judge(cohorts().compiled, cohorts().question(**US_LABEL))
    rows = pl.concat([table(), mixed()])
    pieces = (rows.slice(start, 5) for start in range(0, rows.height + 5, 5))
    assert compare(pieces, judge, judge, change).equals(compare([rows], judge, judge, change))
    none = compare([], judge, judge, change)
    assert none.schema == COLUMNS
    assert none["patients"].sum() == none["gained"].sum() == changed(none).height == 0
    assert none.height == len({regimen for regimen, _ in judge.columns})


@pytest.mark.parametrize(
    ("fills", "limits", "error", "sentence"),
    [
        (["lvef_percent"], [], DataError, "FIELD=VALUE"),
        (["lvef=60"], [], DataError, "lvef_percent"),
        (["id=x"], [], DataError, "a field of one value"),
        (["lvef_percent=0.6"], [], DataError, "a percentage such as 62"),
        (["lvef_percent=inf"], [], DataError, "a finite number"),
        (["lvef_percent=60", "lvef_percent=50"], [], DataError, "one value for lvef_percent"),
        (["brain_mets=many"], [], DataError, "brain_mets"),
        (["as_of=2020-02-30"], [], DataError, "there is no such day"),
        (["prior_therapies=none"], [], DataError, "a field of one value"),
        ([], ["LvefAtLeast50Patient=high"], DataError, "a number after the ="),
        ([], ["LvefAtLeast50Patient=nan"], DataError, "a number after the ="),
        ([], ["LvefAtLeast50Patient=1e999"], DataError, "a number after the ="),
        ([], [f"{LIMIT}=45", "LVEF at least 50%=40"], DataError, f"one limit for {LIMIT}"),
        ([], ["LvefAtLeast5Patient=45"], UnknownTerm, "LvefAtLeast50Patient"),
        ([], ["MetastaticPatient=1"], DataError, "a class of one number with one limit"),
        ([], ["LvefFrom40To45Patient=1"], DataError, "a class of one number with one limit"),
        ([], ["NeoadjuvantCyclesAtLeast6Patient=4"], DataError, "with one limit"),
        ([], [], DataError, "--fill FIELD=VALUE"),
    ],
)
def test_wrong_changes_are_refused_in_one_sentence(fills, limits, error, sentence):
    with pytest.raises(error) as told:
        read_change(patients.graph(), fills, limits)
    assert sentence in str(told.value)
    assert "\n" not in str(told.value)


def test_a_wrong_value_is_told_as_of_a_record():
    with pytest.raises(DataError) as of_record:
        patients.graph().record({"id": "a", "lvef_percent": 0.6})
    with pytest.raises(DataError) as of_fill:
        read_change(patients.graph(), ["lvef_percent=0.6"])
    assert str(of_fill.value) == str(of_record.value)


# --- the command and its picture ------------------------------------------------------------------


def test_the_picture_holds_the_counts():
    pytest.importorskip("matplotlib")
    from test_plots import assert_legible, marks, texts

    from her2kg.cohort.whatif_plot import plot_what_if

    change = read_change(patients.graph(), ["lvef_percent=60"])
    found = changed(what_if(cohorts(), table(), change, **US_LABEL))
    labels = {k.rsplit("#", 1)[-1]: v for k, v in patients.graph().names.every_label.items()}
    figure = plot_what_if(found, change.words, labels)
    said = texts(figure)
    assert said[0] == figure.get_label() == "What if: lvef_percent, where it is missing: 60"
    assert any(text.startswith("10 patients. Circles: eligible") for text in said)
    for way in ("eligible", "undetermined"):
        for when in ("before", "after"):
            drawn = [xs[0] for xs, _ in marks(figure, f"{way} {when}")]
            assert drawn == found[f"{way}_{when}"].to_list()
    assert labels["regimen_thp_docetaxel"] in " ".join(said)
    assert "5 → 8" in said
    assert_legible(figure)


def run(*args):
    return CliRunner().invoke(app, ["what-if", *map(str, args)])


def test_the_command(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    source, picture = tmp_path / "cohort.csv", tmp_path / "picture.svg"
    lines = [f"p{n},{'' if v is None else v}" for n, v in enumerate(LVEF)]
    source.write_text("\n".join(["id,lvef_percent", *lines, "bad,0.6"]) + "\n", encoding="utf-8")
    shared = [source, "--fill", "lvef_percent=40", "--jurisdiction", "US"]
    done = run(*shared, "--plot", picture)
    assert done.exit_code == 0, done.stderr
    assert "lvef_percent, where it is missing: 40" in done.stdout
    assert "10 patients" in done.stdout
    assert "3 patients without lvef_percent: filled in" in done.stderr
    assert "1 row left out" in done.stderr
    assert "regimens do not change" in done.stderr
    assert "What if: lvef_percent" in picture.read_text(encoding="utf-8")
    monkeypatch.setattr("her2kg.cohort.screening.Cohorts", lambda _: cohorts())  # compiled before
    found = json.loads(run(*shared, "--format", "json").stdout)
    assert (found["patients"], found["rejected"], found["filled"]) == (10, 1, {"lvef_percent": 3})
    assert run(*shared, "--format", "csv").stdout.startswith(",".join(COLUMNS))


def test_the_picture_of_the_page_is_current(tmp_path):
    pytest.importorskip("matplotlib")
    from test_plots import ROOT, blocks, content

    page = (ROOT / "docs" / "what-if.md").read_text(encoding="utf-8")
    (simulated,) = re.findall(r"^\$ (her2kg simulate .+)$", page, re.M)
    (command,) = re.findall(r"^her2kg what-if .+ --plot .+$", page, re.M)
    table, target = simulated.split()[-1], command.split()[-1]
    fresh = str(tmp_path / "fresh.svg")
    with blocks.shell() as shell:
        for each in (simulated, command.replace(target, fresh)):
            done = shell(each.replace(table, str(tmp_path / "cohort.parquet")))
            assert done.returncode == 0, done.stderr
    kept = (ROOT / target).read_text(encoding="utf-8")
    assert content((tmp_path / "fresh.svg").read_text(encoding="utf-8")) == content(kept)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--from", "2019-01-01"], "give both --from DAY and --to DAY"),
        (["--from", "then", "--to", "2020-01-01"], "a day as YYYY-MM-DD"),
        (["--fill", "lvef_percent=60", "--plot", "picture.gif"], "accepted: .svg or .png"),
        (["--fill", "lvef_percent=60", "--plot", "no/such/picture.svg"], "make it first"),
        ([], "--fill FIELD=VALUE"),
    ],
)
def test_the_command_refuses(tmp_path, args, sentence):
    source = tmp_path / "cohort.csv"
    source.write_text("id\np1\n", encoding="utf-8")
    done = run(source, *args)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
