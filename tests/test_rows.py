"""Rows as data frames, CSV and tables: each type arrives, nothing is lost, nothing is obeyed."""

from __future__ import annotations

import csv
import io
import pickle
import stat
import sys
from datetime import UTC, date, datetime
from decimal import Decimal

import pandas
import polars
import pytest

from her2kg import DataError, EngineError, KnowledgeGraph, frames, output, queries
from her2kg.column_kinds import column_kinds
from her2kg.namespaces import BASE, Blank, Iri
from her2kg.rows import Rows

THP = Iri(f"{BASE}regimen_thp_docetaxel")
LABELS = {str(THP): "Pertuzumab + trastuzumab + docetaxel"}
NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def kg():
    return KnowledgeGraph()


def column(*values, kind=None) -> Rows:
    kinds = {"x": kind} if kind else {}
    return Rows(("x",), [(value,) for value in values], lambda: LABELS, lambda: kinds)


COLUMNS = {
    "text": (column("a", None), polars.String, "string", ["a", None]),
    "iri": (column(THP, None), polars.String, "string", [str(THP), None]),
    "blank": (column(Blank("b0")), polars.String, "string", ["_:b0"]),
    "integer": (column(3, None, -4), polars.Int64, "Int64", [3, None, -4]),
    "decimal": (column(Decimal("0.54"), None), polars.Float64, "Float64", [0.54, None]),
    "number": (column(Decimal("0.5"), 2), polars.Float64, "Float64", [0.5, 2.0]),
    "boolean": (column(True, None, False), polars.Boolean, "boolean", [True, None, False]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_has_the_type_of_its_values(name):
    rows, in_polars, in_pandas, values = COLUMNS[name]
    frame, other = rows.to_polars(), rows.to_pandas()
    assert frame.schema == {"x": in_polars} and frame["x"].to_list() == values
    assert str(other["x"].dtype) == in_pandas
    assert [None if pandas.isna(value) else value for value in other["x"]] == values


def test_days_and_moments_are_dates():
    frame = Rows(
        ("day", "moment", "local"),
        [(date(2019, 12, 20), NOON, NOON.replace(tzinfo=None)), (None, None, None)],
    )
    assert frame.to_polars().schema == {
        "day": polars.Date,
        "moment": polars.Datetime("us", "UTC"),
        "local": polars.Datetime("us"),
    }
    assert frame.to_polars().row(0) == (date(2019, 12, 20), NOON, NOON.replace(tzinfo=None))
    other = frame.to_pandas()
    assert [str(kind) for kind in other.dtypes] == [
        "datetime64[s]",
        "datetime64[us, UTC]",
        "datetime64[us]",
    ]
    assert other["day"][0] == pandas.Timestamp("2019-12-20") and other.isna().loc[1].all()


def test_numbers_that_no_float_holds_stay_exact():
    long = Decimal("0.12345678901234567890123")
    for values in (
        [long, 2],
        [Decimal("1E+20"), Decimal("0.12345678901234567")],
        [2**63, 1],
        [2**53 + 1, Decimal("0.5")],
    ):
        frame = column(*values, None).to_polars()
        assert isinstance(frame.schema["x"], polars.Decimal), values
        assert frame["x"].to_list() == [*values, None]
        assert column(*values, None).to_pandas()["x"].to_list() == [*values, None]
    too_long = Decimal("1" * 40)
    assert column(too_long).to_polars()["x"].to_list() == ["1" * 40]
    assert column(too_long).to_pandas()["x"].to_list() == [too_long]
    endless = column(Decimal("NaN"), Decimal("Infinity"), Decimal("0.5")).to_polars()
    assert endless["x"].dtype == polars.Float64 and endless["x"].is_nan().to_list()[0]


def test_a_column_of_several_kinds_becomes_text():
    values = ["IHC 3+", Decimal("50.0"), True, date(2026, 1, 2), None, THP, 7]
    texts = ["IHC 3+", "50", "true", "2026-01-02", None, str(THP), "7"]
    assert column(*values).to_polars()["x"].to_list() == texts
    assert column(*values).to_pandas()["x"].astype(object).tolist()[:4] == texts[:4]
    assert column(NOON, NOON.replace(tzinfo=None)).to_polars()["x"].dtype == polars.String
    assert column(NOON, NOON.date()).to_polars()["x"].to_list()[1] == "2026-01-02"
    assert column(True, 1).to_polars()["x"].to_list() == ["true", "1"]


@pytest.mark.parametrize(
    ("kind", "in_polars", "in_pandas"),
    [
        (None, polars.String, "string"),
        ("iri", polars.String, "string"),
        ("integer", polars.Int64, "Int64"),
        ("decimal", polars.Float64, "Float64"),
        ("boolean", polars.Boolean, "boolean"),
        ("date", polars.Date, "datetime64[s]"),
        ("moment", polars.Datetime("us"), "datetime64[us]"),
    ],
)
def test_a_column_without_values_has_the_type_that_the_query_tells(kind, in_polars, in_pandas):
    for rows in (column(kind=kind), column(None, None, kind=kind)):
        assert rows.to_polars().schema == {"x": in_polars}
        assert str(rows.to_pandas()["x"].dtype) == in_pandas
        assert len(rows.to_pandas()) == rows.to_polars().height == len(rows)


EMPTY = """
    SELECT ?claim ?from ?source (COUNT(?rule) AS ?rules) (MAX(?limit) AS ?highest)
           (YEAR(?from) AS ?year) (BOUND(?from) AS ?dated) (STR(?claim) AS ?name) ?off
    WHERE {
      ?claim a her2kg:LabelIndication ; her2kg:validFrom ?from ; dcterms:source ?source .
      OPTIONAL { ?rule her2kg:appliesTo ?claim ; her2kg:doseValue ?limit }
      OPTIONAL { ?claim her2kg:anthracyclineContraindicated ?off }
      FILTER(?from > "2100-01-01"^^xsd:date)
    } GROUP BY ?claim ?from ?source ?off"""


def test_an_empty_answer_keeps_its_types(kg):
    rows = kg.select(EMPTY)
    assert len(rows) == 0
    assert rows.to_polars().schema == {
        "claim": polars.String,
        "from": polars.Date,
        "source": polars.String,
        "rules": polars.Int64,
        "highest": polars.Float64,
        "year": polars.Int64,
        "dated": polars.Boolean,
        "name": polars.String,
        "off": polars.Boolean,
    }
    assert str(rows.to_pandas()["from"].dtype) == "datetime64[s]"
    assert rows.with_labels().columns[:5] == (
        "claim",
        "claim_label",
        "from",
        "source",
        "source_label",
    )
    assert rows.to_csv() == ",".join(rows.columns) + "\n"


def test_what_a_query_tells_of_its_columns_is_what_they_hold(kg):
    compared = 0
    for name in sorted(queries.library())[::4]:
        rows = kg.query(name)
        for place, (title, told) in enumerate((c, rows.read_kinds().get(c)) for c in rows.columns):
            values = [row[place] for row in rows]
            if told is None or all(value is None for value in values):
                continue
            found = frames.kind(values)
            if found == "text" and any(isinstance(value, Iri) for value in values):
                found = "iri"
            assert found == told, f"{name}: {title}"
            compared += 1
    assert compared > 150


def test_a_text_that_is_no_query_tells_nothing():
    assert column_kinds("SELECT", {}) == {}
    assert column_kinds("ASK { ?s ?p ?o }", {})["p"] == "iri"


def test_both_engines_give_the_same_frame(kg):
    other = KnowledgeGraph(engine="rdflib")
    for name, value in (("regimens/components", "THP"), ("evidence/outcomes-of-regimen", "T-DM1")):
        first, second = (each.query(name, regimen=value) for each in (kg, other))
        assert first.to_polars().equals(second.to_polars())
        assert first.with_labels().to_csv(iris="label") == second.with_labels().to_csv(iris="label")


def test_doses_arrive_as_numbers(kg):
    frame = kg.query("regimens/components", regimen="THP").to_polars()
    doses = dict(frame.select("drug", "dose").iter_rows())
    assert doses == {"docetaxel": 75.0, "pertuzumab": 420.0, "trastuzumab": 6.0}
    assert frame.schema["loadingDose"] == polars.Float64 and frame["loadingDose"].null_count() == 1


# IRIs, CURIEs and labels


def test_iris_are_written_in_full_as_curies_or_as_labels(kg):
    rows = kg.query("regimens/components", regimen="THP")
    forms = {
        "iri": str(THP),
        "curie": "her2kg:regimen_thp_docetaxel",
        "label": "Pertuzumab + trastuzumab + docetaxel",
    }
    for form, text in forms.items():
        assert rows.to_polars(iris=form)["regimen"].unique().to_list() == [text]
        assert set(rows.to_pandas(iris=form)["regimen"]) == {text}
        assert f"\n{text}," in rows.to_csv(iris=form)
    assert rows.to_polars().equals(rows.to_polars(iris="iri"))


def test_an_iri_without_a_label_or_prefix_stays_readable():
    own, foreign = Iri(f"{BASE}nothing"), Iri("http://purl.obolibrary.org/obo/NCIT_C1647")
    rows = column(own, foreign)
    assert rows.to_polars(iris="label")["x"].to_list() == ["her2kg:nothing", str(foreign)]
    assert rows.with_labels().to_dicts()[1] == {"x": foreign, "x_label": None}


def test_labels_stand_beside_the_iris(kg):
    rows = kg.query("regimens/components", regimen="THP").with_labels("regimen", "source")
    assert rows.columns[:3] == ("regimen", "regimen_label", "component")
    assert set(rows.to_polars()["regimen_label"]) == {"Pertuzumab + trastuzumab + docetaxel"}
    assert "Perjeta dosing page of the manufacturer" in set(rows.to_polars()["source_label"])
    assert rows.with_labels("regimen").columns == rows.columns
    beside = Rows(("x", "xLabel"), [(THP, "THP")])
    assert beside.with_labels() == beside and len(beside.with_labels("x").columns) == 3
    every = kg.query("regimens/components", regimen="THP").with_labels()
    assert [name for name in every.columns if name.endswith("_label")] == [
        "regimen_label",
        "component_label",
        "source_label",
    ]


def test_labels_cover_classes_properties_and_what_is_loaded_late(kg):
    rows = kg.select(
        "SELECT ?x { VALUES ?x { her2kg:Her2PositivePatient her2kg:validFrom"
        " her2kg:drug_trastuzumab } } ORDER BY ?x"
    )
    labels = dict(rows.with_labels().rows)
    assert {iri.local: label for iri, label in labels.items()} == {
        "Her2PositivePatient": "HER2-positive",
        "validFrom": "valid from",
        "drug_trastuzumab": "trastuzumab",
    }
    outcome = kg.select("SELECT ?x { ?x a her2kg:TrialOutcome } ORDER BY ?x LIMIT 1")
    assert outcome.with_labels().rows[0][1]


def test_an_unknown_column_or_form_is_one_sentence():
    with pytest.raises(DataError) as caught:
        column(THP).with_labels("y")
    assert str(caught.value) == 'column: given "y", accepted x'
    for work in (column(THP).to_polars, column(THP).to_pandas, column(THP).to_csv):
        with pytest.raises(DataError) as caught:
            work(iris="name")
        assert str(caught.value) == 'iris: given "name", accepted iri, curie or label'


# CSV


def test_csv_protects_against_formulas():
    rows = column("=HYPERLINK(1)", "+cmd", "@x", "-1.5", Decimal("-2.50"), 'a "b"\n', None)
    cells = [line[0] if line else "" for line in csv.reader(io.StringIO(rows.to_csv()))]
    assert cells == ["x", "'=HYPERLINK(1)", "'+cmd", "'@x", "-1.5", "-2.5", 'a "b"\\n', ""]
    assert output.rows_csv(rows) == rows.to_csv()


def test_csv_of_a_query_is_that_of_the_command(kg):
    rows = kg.query("regimens/components", regimen="THP")
    assert rows.to_csv() == output.rows_csv(rows)
    assert rows.to_csv().splitlines()[0] == ",".join(rows.columns)


def test_csv_is_written_in_one_step(tmp_path):
    target = tmp_path / "rows.csv"
    target.write_text("before")
    target.chmod(0o600)
    assert column("ä", None).to_csv(target) is None
    assert target.read_bytes() == 'x\nä\n""\n'.encode()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [target]


def test_csv_that_cannot_be_written_is_one_sentence(tmp_path):
    target = tmp_path / "nowhere" / "rows.csv"
    with pytest.raises(EngineError) as caught:
        column("a").to_csv(str(target))
    assert str(caught.value) == (
        f"{target} cannot be written: No such file or directory; "
        "name a file in a folder that exists"
    )
    with pytest.raises(EngineError, match="cannot be written"):
        column("a").to_csv(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("library", ["polars", "pandas"])
def test_a_missing_library_is_one_sentence(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(EngineError) as caught:
        getattr(column("a"), f"to_{library}")()
    assert (
        str(caught.value) == f"{library} is not installed; install it: pip install 'her2kg[tables]'"
    )


# On the screen


def test_html_is_escaped_and_links_the_iris_of_the_web():
    page = column('<b onclick="x">&', THP, Iri('javascript:"alert(1)'), None)._repr_html_()
    assert "<td>&lt;b onclick=&quot;x&quot;&gt;&amp;</td>" in page
    assert f'<a href="{THP}">her2kg:regimen_thp_docetaxel</a>' in page
    assert "<td>javascript:&quot;alert(1)</td>" in page and page.count("<a ") == 1
    assert "<td></td>" in page and page.endswith("<p>4 rows, 1 column</p>")


def test_long_answers_are_cut_and_counted():
    rows = column(*range(1000, 1050))
    for shown in (rows._repr_html_(), repr(rows)):
        assert "50 rows, 1 column; shown: the first 20 rows" in shown
        assert "1019" in shown and "1020" not in shown
    wide = Rows(("a", "b", "c"), [("x" * 45,) * 3] * 21)
    assert repr(wide).splitlines()[2] == "  ".join(["x" * 39 + "…"] * 2)
    assert repr(wide).endswith("(21 rows, 3 columns; shown: the first 20 rows and 2 columns)")
    assert "a" * 39 + "…" in repr(column("a" * 60)) and "a" * 60 in column("a" * 60)._repr_html_()
    assert len(column("<" * 900)._repr_html_()) < 1200


def test_repr_is_a_table():
    rows = Rows(("name", "number"), [(THP, Decimal("0.50")), ("a\x1b[2J", None)])
    assert repr(rows).splitlines() == [
        "name                   number",
        "---------------------  ------",
        "regimen_thp_docetaxel  0.5",
        "a\\x1b[2J",
        "(2 rows, 2 columns)",
    ]
    assert repr(Rows(("x",), [])) == "x\n-\n(0 rows, 1 column)"
    assert Rows((), []).to_polars().height == 0 and repr(Rows((), [])).endswith("columns)")


def test_rows_compare_and_travel(kg):
    rows = kg.query("regimens/components", regimen="THP")
    copy = pickle.loads(pickle.dumps(rows))
    assert copy == rows and copy.to_polars(iris="label").equals(rows.to_polars(iris="label"))
