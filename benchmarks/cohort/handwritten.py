"""Five US label indications written by hand in Polars: cohort table to verdicts.

    python -m benchmarks.cohort.handwritten COHORT.parquet VERDICTS.parquet --as-of 2026-11-22

What an expert would write for speed who knows these five only; it is what an evaluator of all
claims is measured against. Truth has three values: a Boolean that is null is unknown, and `&`, `|`
and `~` of Polars keep it so. Names of drugs and adverse events come from the graph.
"""

from __future__ import annotations

import argparse
import operator
import time
from collections.abc import Iterable
from datetime import date
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from benchmarks.cohort.tnm_facts import BITS, read_texts

if TYPE_CHECKING:
    from her2kg import KnowledgeGraph

# The regimens, their one US label claim each and its first day.
CLAIMS = {
    "regimen_thp_docetaxel": ("indication_thp_docetaxel_1l_us", date(2012, 6, 8)),
    "regimen_tucatinib_trastuzumab_capecitabine": (
        "indication_tucatinib_triplet_us",
        date(2020, 4, 17),
    ),
    "regimen_t_dm1_post_neoadjuvant": ("indication_t_dm1_residual_disease_us", date(2019, 5, 3)),
    "regimen_neratinib_extended_adjuvant": ("indication_neratinib_fda_us", date(2017, 7, 17)),
    "regimen_lapatinib_letrozole": ("indication_lapatinib_ai_us", date(2010, 1, 29)),
}
DPYD_RULES_FROM = date(2025, 10, 31)

_ADVERSE_EVENT = pl.Struct({"event": pl.String})
_ISH = pl.Struct({"result": pl.String, "ratio": pl.Float64, "copy_number": pl.Float64,
                  "probe": pl.String, "recount_confirmed": pl.Boolean})  # fmt: skip
# The columns of a cohort table that the five read; a column that is absent is not recorded.
COLUMNS = {
    "id": pl.String,
    "as_of": pl.Date,
    "sex": pl.String,
    "age": pl.Float64,
    "birth_date": pl.Date,
    "menopausal": pl.String,
    "pregnancy": pl.String,
    "her2_ihc": pl.String,
    "her2_ish.result": pl.String,
    "her2_ish.ratio": pl.Float64,
    "her2_ish.copy_number": pl.Float64,
    "her2_ish.probe": pl.String,
    "her2_ish.recount_confirmed": pl.Boolean,
    "her2_status": pl.String,
    "her2_tests": pl.List(
        pl.Struct({"date": pl.Date, "specimen": pl.String, "ihc": pl.String, "ish": _ISH})
    ),
    "er_percent": pl.Float64,
    "pr_percent": pl.Float64,
    "setting": pl.String,
    "phase": pl.String,
    "stage": pl.String,
    "tnm": pl.String,
    "tumor_size_cm": pl.Float64,
    "pathological_tumor_size_cm": pl.Float64,
    "nodes": pl.String,
    "positive_nodes": pl.Int64,
    "invasive": pl.Boolean,
    "surgery_date": pl.Date,
    "recurrence_date": pl.Date,
    "pathologic_response": pl.String,
    "prior_therapies": pl.List(
        pl.Struct(
            {"regimen": pl.String, "drugs": pl.List(pl.String), "setting": pl.String,
             "end": pl.Date, "outcome": pl.String, "adverse_events": pl.List(_ADVERSE_EVENT)}
        )
    ),
    "prior_therapies_complete": pl.Boolean,
    "lvef_percent": pl.Float64,
    "labs.creatinine_clearance_ml_min": pl.Float64,
    "labs.bilirubin_x_uln": pl.Float64,
    "labs.ast_x_uln": pl.Float64,
    "labs.alt_x_uln": pl.Float64,
    "labs.platelets_10e9_per_l": pl.Float64,
    "labs.anc_10e9_per_l": pl.Float64,
    "labs.dpyd": pl.String,
    "history.hypersensitivity": pl.List(pl.String),
}  # fmt: skip

# What a course or an intolerance is asked for; each takes two bits, "it is" and "it may be".
_GIVEN = ("her2_targeted", "antibody_or_adc", "taxane", "cytotoxic", "trastuzumab", "t_dm1",
          "docetaxel", "pertuzumab", "lapatinib", "capecitabine", "fluorouracil")  # fmt: skip
_EVENTS = ("infusion_reaction", "ild_or_nrh")
_PLACE = {name: 2 * at for names in (_GIVEN, _EVENTS) for at, name in enumerate(names)}

Codes = dict[str, dict[str, int]]


def codes(kg: KnowledgeGraph) -> Codes:
    """The dictionaries of names of drugs, regimens and adverse events, each name with its bits.

    A drug "of its class, not stated which" may be any of them, so it only may be trastuzumab.
    """
    drugs, events = _drug_bits(kg), _event_bits(kg)
    known: Codes = {"drug": {}, "regimen": {}, "adverse event": {}}
    for term, kind, name in kg.select(_NAMES).rows:
        if kind == "adverse event":
            bits = events.get(term, 0)
        else:
            parts = kg.names.ingredients(str(term))
            bits = reduce(operator.or_, (drugs.get(part, 0) for part in parts), 0)
        into = known["drug" if kind == "product" else kind]
        for written in (name, term.local, term.local.split("_", 1)[-1]):
            into.setdefault(written.lower(), bits)
    return known


_NAMES = """
SELECT DISTINCT ?term ?kind ?name WHERE {
  ?term her2kg:isOfKind ?kind . VALUES ?kind { "drug" "product" "regimen" "adverse event" }
  { ?term rdfs:label ?written } UNION { ?term skos:altLabel ?written }
  UNION { ?term skos:notation ?written }
  BIND(STR(?written) AS ?name)
} ORDER BY STR(?term) ?name
"""
_OF_CLASS = """
SELECT DISTINCT ?drug ?class ?status WHERE {
  VALUES (?class ?of) { %s }
  ?drug a ?kind . ?kind rdfs:subClassOf* her2kg:Drug .
  OPTIONAL { ?drug her2kg:meets ?of . BIND("is" AS ?met) }
  OPTIONAL { ?drug her2kg:fails ?of . BIND("is not" AS ?unmet) }
  BIND(COALESCE(?met, ?unmet, "may be") AS ?status)
} ORDER BY ?drug ?class
"""
_IS_VALUE = """
SELECT DISTINCT ?term ?class ?status WHERE {
  VALUES (?class ?value) { %s }
  ?term a ?kind . ?kind rdfs:subClassOf* her2kg:%s .
  OPTIONAL { ?term her2kg:differsFrom ?value . BIND("is not" AS ?other) }
  BIND(IF(?term = ?value, "is", COALESCE(?other, "may be")) AS ?status)
} ORDER BY ?term ?class
"""


def _collect(rows: Iterable[tuple[str, str, str]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for term, name, status in rows:
        value = {"is": 3, "may be": 2, "is not": 0}[status]
        found[term] = found.get(term, 0) | value << _PLACE[name]
    return found


def _pairs(names: dict[str, str]) -> str:
    return " ".join(f'("{name}" her2kg:{local})' for name, local in names.items())


def _drug_bits(kg: KnowledgeGraph) -> dict[str, int]:
    of = {"her2_targeted": "Her2TargetedDrug", "taxane": "Taxane", "cytotoxic": "CytotoxicDrug"}
    is_ = {name: f"drug_{name}" for name in _GIVEN[4:]} | {"t_dm1": "drug_trastuzumab_emtansine"}
    rows = [
        *kg.select(_OF_CLASS % _pairs(of)).rows,
        *kg.select(_OF_CLASS % _pairs({"antibody_or_adc": "Her2Antibody"})).rows,
        *kg.select(_OF_CLASS % _pairs({"antibody_or_adc": "Her2AntibodyDrugConjugate"})).rows,
        *kg.select(_IS_VALUE % (_pairs(is_), "Drug")).rows,
    ]
    return _collect(rows)


def _event_bits(kg: KnowledgeGraph) -> dict[str, int]:
    rows = []
    for name, event in (
        ("infusion_reaction", "ae_infusion_reaction"),
        ("ild_or_nrh", "ae_ild"),
        ("ild_or_nrh", "ae_nodular_regenerative_hyperplasia"),
    ):
        rows += kg.select(_IS_VALUE % (_pairs({name: event}), "AdverseEvent")).rows
    return _collect(rows)


def verdicts(cohort: pl.LazyFrame, as_of: date, codes: Codes) -> pl.LazyFrame:
    """Verdicts of the five regimens, one row a patient, in the order of the cohort.

    Shape: id, and for each regimen eligible, ineligible or undetermined.
    """
    there = cohort.collect_schema()
    table = cohort.select(
        pl.col(name) if name in there else pl.lit(None, kind).alias(name)
        for name, kind in COLUMNS.items()
    ).with_row_index("row")
    patients = (
        table.drop("prior_therapies", "her2_tests")
        .join(_therapies(table, codes), on="row", how="left", maintain_order="left")
        .join(_counting_tests(table), on="row", how="left", maintain_order="left")
        .with_columns(
            *(_had(name) for name in _HAD),
            tnm_bits=_texts("tnm") | _texts("nodes"),
            intolerance=_bits_of_list("history.hypersensitivity", codes["drug"]),
            ihc=pl.coalesce("her2_ihc", "counting.ihc"),
            stated_ish=pl.coalesce("her2_ish.result", "counting.result"),
            ratio=pl.coalesce("her2_ish.ratio", "counting.ratio"),
            copies=pl.coalesce("her2_ish.copy_number", "counting.copy_number"),
            probe=pl.coalesce("her2_ish.probe", "counting.probe"),
            recount=pl.coalesce("her2_ish.recount_confirmed", "counting.recount_confirmed"),
            years=pl.coalesce(pl.col("age").floor(), _completed_years()),
            nodes_found=pl.coalesce("positive_nodes", _number_of_nodes()),
        )
        .with_columns(her2=_her2(), surgery_done=_surgery_done())
        .with_columns(early=_early(), residual=_residual(), pregnant=_pregnant())
    )
    criteria = _criteria(as_of)
    return patients.select(
        "id",
        *(
            _verdict(criteria[regimen] if first <= as_of else [pl.lit(False)]).alias(regimen)
            for regimen, (_, first) in CLAIMS.items()
        ),
    )


def _criteria(as_of: date) -> dict[str, list[pl.Expr]]:
    """What must be true for each regimen: its population, what must be known, and no danger."""
    col = pl.col
    known = {
        "her2": _known(col("her2").is_not_null()),
        "lvef": _known(col("lvef_percent").is_not_null()),
        "pregnancy": _known(col("pregnant").is_not_null()),
        "bilirubin": _known(col("labs.bilirubin_x_uln").is_not_null()),
        "platelets": _known(col("labs.platelets_10e9_per_l").is_not_null()),
        "transaminases": _known(
            col("labs.ast_x_uln").is_not_null() & col("labs.alt_x_uln").is_not_null()
        ),
        "dpyd": _known(col("labs.dpyd").is_not_null()),
    }
    adult = col("years") >= 18
    metastatic = col("setting") == "metastatic"
    advanced = col("setting").is_in(["metastatic", "unresectable"])
    not_pregnant = ~col("pregnant")
    tucatinib = [
        adult,
        advanced,
        col("her2"),
        col("had.advanced_her2"),
        known["her2"],
        known["lvef"],
        known["pregnancy"],
        not_pregnant,
        ~(col("labs.creatinine_clearance_ml_min") < 30),
        ~(_flag("intolerance", "capecitabine") | _flag("intolerance", "fluorouracil")),
    ]
    if as_of >= DPYD_RULES_FROM:
        tucatinib += [known["dpyd"], col("labs.dpyd") != "poor metaboliser"]
    return {
        "regimen_thp_docetaxel": [
            metastatic,
            col("her2"),
            col("lvef_percent") >= 50,
            ~col("had.advanced_her2"),
            ~col("had.advanced_chemotherapy"),
            known["her2"],
            known["lvef"],
            known["pregnancy"],
            not_pregnant,
            ~(col("labs.bilirubin_x_uln") > 1),
            ~(col("labs.anc_10e9_per_l") < 1.5),
            ~_flag("intolerance", "docetaxel"),
            ~_flag("intolerance", "pertuzumab"),
        ],
        "regimen_tucatinib_trastuzumab_capecitabine": tucatinib,
        "regimen_t_dm1_post_neoadjuvant": [
            col("her2"),
            col("early"),
            col("surgery_done"),
            col("residual"),
            _neoadjuvant(),
            col("had.neoadjuvant_taxane"),
            col("had.neoadjuvant_trastuzumab"),
            known["her2"],
            known["lvef"],
            known["bilirubin"],
            known["platelets"],
            known["transaminases"],
            not_pregnant,
            ~col("had.ild_or_nrh_on_t_dm1"),
            ~col("had.infusion_reaction_on_trastuzumab"),
        ],
        "regimen_neratinib_extended_adjuvant": [
            adult,
            col("her2"),
            col("early"),
            col("surgery_done"),
            col("had.adjuvant_completed") & ~col("had.adjuvant_under_way"),
            known["her2"],
            known["pregnancy"],
            not_pregnant,
        ],
        "regimen_lapatinib_letrozole": [
            metastatic,
            col("her2"),
            (col("er_percent") >= 1) | (col("pr_percent") >= 1),
            # Menopause is of women, so a man is not postmenopausal.
            (col("menopausal") == "postmenopausal") & ((col("sex") == "female") | ~_is_male()),
            known["her2"],
            known["lvef"],
            not_pregnant,
            ~_flag("intolerance", "lapatinib"),
        ],
    }


def _verdict(criteria: list[pl.Expr]) -> pl.Expr:
    met = reduce(operator.and_, criteria)
    return (
        pl.when(met)
        .then(pl.lit("eligible"))
        .when(met.is_null())
        .then(pl.lit("undetermined"))
        .otherwise(pl.lit("ineligible"))
    )


def _known(recorded: pl.Expr) -> pl.Expr:
    """What must be known is met or unknown, never unmet."""
    return pl.when(recorded).then(True)


def _flag(bits: str, name: str) -> pl.Expr:
    """True, false or unknown from the two bits of a name."""
    place, bits_of = _PLACE[name], pl.col(bits)
    return (
        pl.when(bits_of & (1 << place) != 0)
        .then(True)
        .when(bits_of & (2 << place) == 0)
        .then(False)
    )


# Age, sex, pregnancy


def _completed_years() -> pl.Expr:
    born, today = pl.col("birth_date").dt, pl.col("as_of").dt
    early = (today.month() * 100 + today.day()) < (born.month() * 100 + born.day())
    return (today.year() - born.year() - early.cast(pl.Int32)).cast(pl.Float64)


def _is_male() -> pl.Expr:
    return (pl.col("sex") == "male").fill_null(False)


def _pregnant() -> pl.Expr:
    excluded = (
        (pl.col("pregnancy") == "not pregnant").fill_null(False)
        | (pl.col("menopausal") == "postmenopausal").fill_null(False)
        | (pl.col("years") >= 60).fill_null(False)
        | _is_male()
    )
    return pl.when(pl.col("pregnancy") == "pregnant").then(True).when(excluded).then(False)


# HER2


def _counting_tests(table: pl.LazyFrame) -> pl.LazyFrame:
    """Results of the dated HER2 test that counts, for patients who have one.

    The latest decisive test of a metastasis, else of the primary; without any specimen stated, of
    all. IHC without ISH is read from the latest earlier test of the same kind of specimen.
    """
    tests = (
        table.select("row", "setting", "her2_tests")
        .filter(pl.col("her2_tests").list.len() > 0)
        .explode("her2_tests")
        .unnest("her2_tests")
        .unnest("ish")
        .with_columns(
            rank=pl.when(pl.col("specimen").is_null().all().over("row"))
            .then(0)
            .when((pl.col("specimen") == "metastasis") & pl.col("setting").ne_missing("early"))
            .then(1)
            .when(pl.col("specimen") == "primary")
            .then(2),
            open=~(
                pl.col("ihc").is_in(["0", "1+", "3+"]).fill_null(False)
                | pl.col("result").is_in(["positive", "negative"]).fill_null(False)
                | pl.col("ratio").is_not_null()
                | pl.col("copy_number").is_not_null()
            ),
            day=pl.col("date").cast(pl.Int32),
        )
        .filter(pl.col("rank").is_not_null())
        # Decisive before open, then the kind of specimen, then the latest day: one number.
        .with_columns(
            order=pl.col("open").cast(pl.Int64) * 10_000_000
            + pl.col("rank").cast(pl.Int64) * 1_000_000
            - pl.col("day")
        )
        .with_columns(counts=pl.col("order") == pl.col("order").min().over("row"))
    )
    fields = ("ihc", "result", "ratio", "copy_number", "probe", "recount_confirmed")
    counting = (
        tests.filter("counts")
        .group_by("row")
        .agg(
            pl.col("rank").first(),
            pl.col("day").first(),
            *(pl.col(f).drop_nulls().first().alias(f"counting.{f}") for f in fields),
        )
    )
    before = (
        tests.filter(pl.col("ihc").is_not_null())
        .join(counting.select("row", "rank", "day"), on=["row", "rank"], suffix="_counting")
        .filter(pl.col("day") <= pl.col("day_counting"))
        .group_by("row")
        .agg(pl.col("ihc").sort_by("day").last().alias("before.ihc"))
    )
    return (
        counting.join(before, on="row", how="left")
        .with_columns(pl.coalesce("counting.ihc", "before.ihc").alias("counting.ihc"))
        .drop("rank", "day", "before.ihc")
    )


def _her2() -> pl.Expr:
    """HER2-positive, by IHC, ISH, its counts (groups 1 to 5), or as reported."""
    col = pl.col
    ratio, copies, ihc = col("ratio"), col("copies"), col("ihc")
    single = col("probe") == "single"
    complete = copies.is_not_null() & (ratio.is_not_null() | single.fill_null(False))
    # Beside complete counts an IHC of 3+ would have been reported.
    is_3 = pl.when(ihc.is_null() & complete).then(False).otherwise(ihc == "3+")
    is_2, is_0_or_1 = ihc == "2+", ihc.is_in(["0", "1+"])
    decided_by_ihc = (is_3 | is_0_or_1).fill_null(False)
    stated = col("stated_ish")
    ish_positive = ((stated == "positive") & ~complete).fill_null(False)
    ish_negative = ((stated == "negative") & ~complete).fill_null(False)
    not_needed = decided_by_ihc & ~ish_positive & ~ish_negative & ratio.is_null() & copies.is_null()
    reported = pl.when(
        ~(
            decided_by_ihc
            | ish_positive
            | (ish_negative & (ihc.is_not_null() | complete))
            | complete
        )
    ).then(col("her2_status"))
    high, low = ratio >= 2, ratio < 2
    group_2, group_4 = high & (copies < 4), low & (copies >= 4) & (copies < 6)
    group_3, group_5 = low & (copies >= 6), low & (copies < 4)
    positive = [
        is_3,
        ish_positive,
        high & (copies >= 4),
        group_3 & is_2 & col("recount"),
        single & (copies >= 6),
        reported == "positive",
    ]
    negative = [
        reported == "negative",
        is_0_or_1 & (ish_negative | not_needed),
        is_2 & ish_negative,
        group_5 & ~is_3,
        (group_2 | group_4) & is_2 & col("recount"),
        single & ((~is_3 & (copies < 4)) | (is_0_or_1 & (copies >= 4) & (copies < 6))),
        (group_2 | group_3 | group_4) & is_0_or_1,
    ]

    def any_of(found: list[pl.Expr]) -> pl.Expr:
        return reduce(operator.or_, (each.fill_null(False) for each in found))

    return pl.when(any_of(positive)).then(True).when(any_of(negative)).then(False)


# Extent and surgery


def _texts(name: str) -> pl.Expr:
    return pl.col(name).map_batches(read_texts, return_dtype=pl.UInt64, is_elementwise=True)


def _tnm(*wanted: tuple[str, str]) -> pl.Expr:
    """Whether the record holds any of the categories."""
    return pl.col("tnm_bits") & sum(BITS[each] for each in wanted) != 0


def _number_of_nodes() -> pl.Expr:
    number = r"(?i)^\s*([0-9]+)(?: ?(?:/|of) ?[0-9]+)?(?: positive)?\s*$"
    return pl.col("nodes").str.extract(number, 1).cast(pl.Int64)


def _before_surgery() -> pl.Expr:
    return pl.col("phase").eq_missing("before surgery")


def _done() -> pl.Expr:
    """Something tells of definitive surgery."""
    col = pl.col
    later = ["after surgery", "residual disease", "adjuvant therapy under way",
             "adjuvant therapy completed"]  # fmt: skip
    return (
        col("surgery_date").is_not_null()
        | col("pathologic_response").is_not_null()
        | col("pathological_tumor_size_cm").is_not_null()
        | col("nodes_found").is_not_null()
        | _tnm(("p", "T"), ("p", "N"), ("yp", "T"), ("yp", "N"))
        | col("phase").is_in(later).fill_null(False)
        | col("any.after_surgery").fill_null(False)
    )


def _list_with_settings() -> pl.Expr:
    """The list of therapies is complete and tells the setting of each."""
    return _complete() & ~pl.col("any.unplaced").fill_null(False)


def _complete() -> pl.Expr:
    return pl.col("prior_therapies_complete").fill_null(False)


def _recurred() -> pl.Expr:
    return pl.col("recurrence_date").is_not_null() | pl.col("any.recurrence").fill_null(False)


def _surgery_done() -> pl.Expr:
    col = pl.col
    to_come = _before_surgery() | (
        (col("setting").eq_missing("early"))
        & _tnm(("c", "T"), ("c", "N"))
        & _list_with_settings()
        & col("phase").is_null()
        & ~_recurred()
    )
    return pl.when(_done()).then(True).when(to_come).then(False)


def _invasive() -> pl.Expr:
    """As recorded, else by what only an invasive cancer has, else in situ by its categories."""
    col = pl.col
    categories = [(p, k) for p in ("c", "p", "yp") for k in ("T1-4", "N+")] + [("", "T1-4")]
    therapy_first = (
        _tnm(("yp", "T"), ("yp", "N"))
        | col("pathologic_response").is_not_null()
        | col("any.neoadjuvant").fill_null(False)
        | col("phase").eq_missing("residual disease")
    )
    size_in_specimen = (col("pathological_tumor_size_cm") > 0).fill_null(False) | (
        (col("tumor_size_cm") > 0).fill_null(False)
        & col("pathological_tumor_size_cm").is_null()
        & col("surgery_done").fill_null(False)
        & (_tnm(("p", "T"), ("p", "N")) | _list_with_settings())
        & ~therapy_first
    )
    # Without a prefix, and with surgery still to come, categories are clinical.
    to_come = _before_surgery()
    clinical_tis = _tnm(("c", "Tis")) | (to_come & _tnm(("", "Tis")) & ~_tnm(("c", "T")))
    clinical_n0 = _tnm(("c", "N0")) | (to_come & _tnm(("", "N0")) & ~_tnm(("c", "N")))
    clinical_n1 = to_come & _tnm(("", "N+")) & ~_tnm(("c", "N"))
    metastasis = col("setting").eq_missing("metastatic") | _tnm(("", "M1"))
    invasive = (
        _tnm(*categories)
        | clinical_n1
        | col("stage").is_in(_STAGES_I_TO_IV).fill_null(False)
        | (col("nodes_found") > 0).fill_null(False)
        | size_in_specimen
        | metastasis
        | col("pathologic_response").eq_missing("residual invasive disease")
        | col("phase").eq_missing("residual disease")
    )
    stage_0_by_tnm = (
        (_tnm(("p", "Tis")) | (clinical_tis & ~_tnm(("p", "T"))))
        & (_tnm(("p", "N0")) | (clinical_n0 & ~_tnm(("p", "N"))))
        & (_tnm(("", "M0")) | col("setting").is_not_null())
    )
    in_situ = (
        _tnm(("p", "Tis"))
        | (clinical_tis & ~col("surgery_done")).fill_null(False)
        | (
            (col("stage").eq_missing("0") | (col("stage").is_null() & stage_0_by_tnm))
            & col("pathologic_response").is_null()
        )
    )
    return pl.coalesce("invasive", pl.when(invasive).then(True).when(in_situ).then(False))


_STAGES_I_TO_IV = ["I", "IA", "IB", "II", "IIA", "IIB", "III", "IIIA", "IIIB", "IIIC", "IV"]


def _early() -> pl.Expr:
    """Early disease, or locally advanced disease that is no recurrence; and not in situ only."""
    col = pl.col
    not_a_recurrence = (
        _list_with_settings()
        & (col("stage").is_not_null() | col("tnm").is_not_null())
        & col("recurrence_date").is_null()
        & col("surgery_date").is_null()
        & ~col("any.early").fill_null(False)
    )
    recurred = pl.when(_recurred()).then(True).when(not_a_recurrence).then(False)
    locally_advanced = (col("setting") == "unresectable") & ~recurred
    return _invasive() & ((col("setting") == "early") | locally_advanced)


def _residual() -> pl.Expr:
    """Residual invasive disease, stated or by yp categories; a complete response excludes it."""
    response = pl.col("pathologic_response")
    residual = (
        response.eq_missing("residual invasive disease")
        | pl.col("phase").eq_missing("residual disease")
        | _tnm(("yp", "T1-4"), ("yp", "N+"), ("yp", "N0(i+)"))
    )
    none = (
        response.eq_missing("pCR")
        | (response.eq_missing("residual in situ only") & _tnm(("yp", "N0 exactly")))
        | (_tnm(("yp", "T0"), ("yp", "Tis")) & _tnm(("yp", "N0 exactly")))
    )
    return pl.when(residual).then(True).when(none).then(False)


def _neoadjuvant() -> pl.Expr:
    """Neoadjuvant therapy was given, by a course or by what is only there after it."""
    told = (
        pl.col("pathologic_response").is_not_null()
        | pl.col("phase").eq_missing("residual disease")
        | _tnm(("yp", "T"), ("yp", "N"))
    )
    # Positive nodes before and none at surgery, by p categories: surgery came first.
    surgery_first = _tnm(("c", "N+")) & _tnm(("p", "N0"))
    return (
        pl.when(told)
        .then(True)
        .when(surgery_first)
        .then(False)
        .otherwise(pl.col("had.neoadjuvant"))
    )


# Therapies

_HAD = (
    "advanced_her2",
    "advanced_chemotherapy",
    "neoadjuvant",
    "neoadjuvant_taxane",
    "neoadjuvant_trastuzumab",
    "adjuvant_completed",
    "adjuvant_under_way",
    "ild_or_nrh_on_t_dm1",
    "infusion_reaction_on_trastuzumab",
)
_ADVANCED = ["metastatic", "maintenance"]
_AFTER_SURGERY = ["adjuvant", "post-neoadjuvant", "extended adjuvant"]


def _bits_of_list(name: str, names: dict[str, int]) -> pl.Expr:
    """The bits of a list of names, joined by or; null where there is no list."""
    joined = pl.col(name).list.eval(_bits_of(pl.element(), names).bitwise_or()).list.first()
    return pl.when(pl.col(name).list.len() == 0).then(0).otherwise(joined)


def _bits_of(name: pl.Expr, names: dict[str, int]) -> pl.Expr:
    return name.str.to_lowercase().replace_strict(
        pl.Series(list(names), dtype=pl.String),
        pl.Series(list(names.values()), dtype=pl.UInt32),
        return_dtype=pl.UInt32,
    )


def _therapies(table: pl.LazyFrame, codes: Codes) -> pl.LazyFrame:
    """What the courses on record say: `had.` with three values, `any.` where it is stated."""
    col = pl.col
    is_set = col("course_setting")
    her2, chemotherapy = _flag("given", "her2_targeted"), _flag("given", "cytotoxic")
    advanced = is_set.is_in(_ADVANCED)
    neoadjuvant = is_set == "neoadjuvant"
    adjuvant = is_set.is_in(["adjuvant", "post-neoadjuvant"]) & _flag("given", "antibody_or_adc")
    outcome = col("outcome")
    under_way = pl.when(outcome.is_not_null() | col("end").is_not_null()).then(
        outcome.eq_missing("ongoing")
    )
    trastuzumab = _flag("given", "trastuzumab")
    had = {
        "advanced_her2": advanced & her2,
        "advanced_chemotherapy": advanced & chemotherapy,
        "neoadjuvant": neoadjuvant,
        "neoadjuvant_taxane": neoadjuvant & _flag("given", "taxane"),
        "neoadjuvant_trastuzumab": neoadjuvant & trastuzumab,
        "adjuvant_completed": adjuvant & (outcome == "completed"),
        "adjuvant_under_way": adjuvant & under_way,
        "ild_or_nrh_on_t_dm1": _flag("given", "t_dm1") & _flag("events", "ild_or_nrh"),
        "infusion_reaction_on_trastuzumab": trastuzumab
        & (outcome == "toxicity")
        & _flag("events", "infusion_reaction"),
    }
    found = {
        "unplaced": is_set.is_null(),
        "neoadjuvant": neoadjuvant,
        "after_surgery": is_set.is_in(_AFTER_SURGERY),
        "early": is_set.is_in(["neoadjuvant", *_AFTER_SURGERY]),
        "recurrence": outcome == "recurrence",
    }
    return (
        table.select("row", "prior_therapies")
        .explode("prior_therapies")
        .filter(col("prior_therapies").is_not_null())
        .unnest("prior_therapies")
        .with_columns(
            course_setting=col("setting"),
            given=pl.coalesce(
                _bits_of_list("drugs", codes["drug"]), _bits_of(col("regimen"), codes["regimen"])
            ),
            events=_bits_of_events(codes["adverse event"]),
        )
        .group_by("row")
        .agg(
            *(each.any(ignore_nulls=False).alias(f"had.{name}") for name, each in had.items()),
            *(each.any().alias(f"any.{name}") for name, each in found.items()),
        )
    )


def _had(name: str) -> pl.Expr:
    """Whether some course is such a one; that none is, only a complete list says."""
    found, no_courses = pl.col(f"had.{name}"), pl.col("any.unplaced").is_null()
    none = _complete() & (~found | no_courses)
    return pl.when(found).then(True).when(none).then(False).alias(f"had.{name}")


def _bits_of_events(names: dict[str, int]) -> pl.Expr:
    events = pl.col("adverse_events")
    each = _bits_of(pl.element().struct.field("event"), names)
    joined = events.list.eval(each.bitwise_or()).list.first()
    return pl.when(events.list.len() == 0).then(0).otherwise(joined)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("verdicts", type=Path)
    parser.add_argument("--as-of", type=date.fromisoformat, default=date.today())
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()

    from her2kg import KnowledgeGraph

    names = codes(KnowledgeGraph())
    rows = pl.scan_parquet(options.cohort).select(pl.len()).collect().item()
    times = []
    for _ in range(options.runs):
        start = time.perf_counter()
        verdicts(pl.scan_parquet(options.cohort), options.as_of, names).sink_parquet(
            options.verdicts
        )
        times.append(time.perf_counter() - start)
    best = sorted(times)[len(times) // 2]
    print(f"{rows} patients in {best:.3f} s (median of {len(times)}): {rows / best:,.0f} a second")


if __name__ == "__main__":
    main()
