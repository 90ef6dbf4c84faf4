"""What would change in a cohort, against single answers before and after."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import cache

import patients
import polars as pl
import pytest

from her2kg.cohort.rows import frame_of, record_of, row_of
from her2kg.cohort.screening import Cohorts
from her2kg.cohort.whatif import Change, changed, filled, read_change, what_if
from her2kg.errors import DataError, UnknownTerm
from her2kg.namespaces import ONTOLOGY_HOME

LIMIT = "LvefAtLeast50Patient"
EXAMPLE = ONTOLOGY_HOME / "examples" / "treatment-naive-first-line.json"


@cache
def cohorts() -> Cohorts:
    return Cohorts(patients.graph())


@cache
def table() -> pl.DataFrame:
    """Ten first-line patients, of whom three have no LVEF and two have 46 or 48."""
    record = patients.graph().record(EXAMPLE)
    row = row_of(record.to_dict()) | {"as_of": date(2026, 11, 22)}
    lvef = [60.0, 55.0, None, 46.0, 62.0, None, 48.0, None, 50.0, 70.0]
    return frame_of([row | {"id": f"p{n}", "lvef_percent": each} for n, each in enumerate(lvef)])


def eligible(rows, **asked):
    """How many patients each regimen suits, one by one."""
    counts = {}
    for row in rows.iter_rows(named=True):
        answers = patients.graph().eligibility(record_of(row), **asked)
        for regimen in answers.regimens:
            counts[regimen.regimen] = counts.get(regimen.regimen, 0) + (
                regimen.verdict == "eligible"
            )
    return counts


def test_missing_values_filled_in():
    change = read_change(patients.graph(), ["lvef_percent=60"], [], None)
    found = what_if(cohorts(), table(), change)
    before, after = eligible(table()), eligible(filled(table(), change.fills, 1))
    for row in found.to_dicts():
        assert row["eligible_before"] == before[row["regimen"]]
        assert row["eligible_after"] == after[row["regimen"]]
        assert row["patients"] == 10
    asked = {"bases": ["label"], "jurisdictions": ["US"], "regimens": ["regimen_thp_docetaxel"]}
    (thp,) = what_if(cohorts(), table(), change, **asked).to_dicts()
    assert (thp["gained"], thp["gained_from_undetermined"], thp["lost"]) == (3, 3, 0)
    assert 0 < changed(found).height < found.height


def test_values_drawn_from_those_recorded():
    drawn = filled(table(), {"lvef_percent": "recorded"}, 5)
    known = set(table()["lvef_percent"].drop_nulls())
    assert set(drawn["lvef_percent"]) <= known
    assert drawn["lvef_percent"].null_count() == 0
    assert drawn.equals(filled(table(), {"lvef_percent": "recorded"}, 5))
    stated = table()["lvef_percent"].is_not_null()
    assert drawn.filter(stated).equals(table().filter(stated))
    none = table().with_columns(pl.lit(None, pl.Float64).alias("lvef_percent"))
    assert filled(none, {"lvef_percent": "recorded"}, 5).equals(none)


def test_a_limit_moved():
    change = read_change(patients.graph(), [], [f"{LIMIT}=45"], None)
    assert change.limits == {LIMIT: Decimal(45)}
    asked = {"bases": ["label"], "jurisdictions": ["US"], "regimens": ["regimen_thp_docetaxel"]}
    (row,) = what_if(cohorts(), table(), change, **asked).to_dicts()
    assert row["eligible_before"] == eligible(table(), **asked)["regimen_thp_docetaxel"] == 5
    assert (row["gained"], row["gained_from_ineligible"], row["lost"]) == (2, 2, 0)


def test_a_limit_moved_counts_for_the_classes_that_rest_on_it():
    change = Change(limits={"AdultPatient": Decimal(90)})
    asked = {"bases": ["label"], "jurisdictions": ["EU"], "regimens": ["regimen_thp_docetaxel"]}
    found = what_if(cohorts(), table(), change, **asked)
    assert found["eligible_after"].sum() <= found["eligible_before"].sum()
    assert found["lost"].sum() > 0


def test_two_days_compared():
    change = read_change(patients.graph(), [], [], date(2026, 11, 22))
    found = what_if(cohorts(), table(), change, as_of=date(2019, 1, 1))
    before = eligible(table(), as_of="2019-01-01")
    after = eligible(table(), as_of="2026-11-22")
    for row in found.to_dicts():
        assert row["eligible_before"] == before[row["regimen"]]
        assert row["eligible_after"] == after[row["regimen"]]
    assert found["gained"].sum() > 0


@pytest.mark.parametrize(
    ("fills", "limits", "error", "sentence"),
    [
        (["lvef_percent"], [], DataError, "FIELD=VALUE"),
        (["lvef=60"], [], DataError, "lvef_percent"),
        (["lvef_percent=0.6"], [], DataError, "a percentage such as 62"),
        (["brain_mets=many"], [], DataError, "brain_mets"),
        (["prior_therapies=none"], [], DataError, "a field of one value"),
        ([], ["LvefAtLeast50Patient=high"], DataError, "a number after the ="),
        ([], ["LvefAtLeast5Patient=45"], UnknownTerm, "LvefAtLeast5"),
        ([], ["MetastaticPatient=1"], UnknownTerm, "class with one limit"),
        ([], [], DataError, "--fill FIELD=VALUE"),
    ],
)
def test_wrong_changes_are_refused(fills, limits, error, sentence):
    with pytest.raises(error) as told:
        read_change(patients.graph(), fills, limits, None)
    assert sentence in str(told.value)


def test_the_picture_names_the_regimens_that_change(tmp_path):
    pytest.importorskip("matplotlib")
    from her2kg.cohort.whatif_plot import plot_what_if
    from her2kg.plot_sheet import save

    change = read_change(patients.graph(), ["lvef_percent=60"], [], None)
    found = changed(what_if(cohorts(), table(), change))
    labels = {k.rsplit("#", 1)[-1]: v for k, v in patients.graph().names.labels.items()}
    target = tmp_path / "what-if.svg"
    save(plot_what_if(found, change.words, labels), target)
    text = target.read_text(encoding="utf-8")
    assert "What if: lvef_percent" in text
    assert labels["regimen_thp_docetaxel"].split(" + ")[0] in text
