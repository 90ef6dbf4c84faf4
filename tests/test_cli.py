"""The command line: every command, every format, every way to be wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from her2kg import KnowledgeGraph, render
from her2kg.cli import app
from her2kg.output import inert
from her2kg.page import Page, Screen, new_table, styled
from her2kg.queries import library
from her2kg.verdicts import VERDICTS

ROOT = Path(__file__).parent.parent
ANSI = re.compile(r"\x1b\[")
COMMANDS = (
    "eligible", "explain", "reason", "show", "queries", "run", "sparql", "serve", "export",
    "cohort", "simulate", "what-if", "schema", "check", "format", "release", "plot", "publish",
)  # fmt: skip
CASE = {
    "id": "case-1",
    "as_of": "2026-11-22",
    "sex": "female",
    "age": 55,
    "menopausal": "postmenopausal",
    "pregnancy": "not pregnant",
    "ecog": 1,
    "her2_ihc": "2+",
    "her2_ish": {"result": "positive", "ratio": 2.4, "copy_number": 6.2, "probe": "dual"},
    "er_percent": 0,
    "pr_percent": 0,
    "setting": "metastatic",
    "metastatic_sites": ["liver", "brain"],
    "brain_mets": "active",
    "prior_therapies": [
        {
            "drugs": ["trastuzumab", "pertuzumab", "docetaxel"],
            "setting": "metastatic",
            "start": "2025-12-01",
            "end": "2026-08-01",
            "outcome": "progression",
            "progression_date": "2026-08-01",
        }
    ],
    "prior_therapies_complete": True,
    "lvef_percent": 60,
    "labs": {"creatinine_clearance_ml_min": 90, "dpyd": "normal metaboliser"},
    "history": {"interstitial_lung_disease": "none", "hypersensitivity": []},
}
EVIL = "[bold red]x[/] :smile: \x1b[31m\x9b2J\u202e\u2028{}%s"


@pytest.fixture(scope="session")
def kg() -> KnowledgeGraph:
    return KnowledgeGraph()


@pytest.fixture
def case(tmp_path: Path):
    """Write a record: the case with changes; a change to None takes the field out."""

    def write(**changes) -> str:
        record = {k: v for k, v in {**deepcopy(CASE), **changes}.items() if v is not None}
        path = tmp_path / "case.json"
        path.write_text(json.dumps(record), encoding="utf-8")
        return str(path)

    return write


def run(*args: str, stdin: str | bytes | None = None, env: dict[str, str] | None = None):
    return CliRunner(env=env).invoke(app, list(args), input=stdin, catch_exceptions=False)


def process(*args: str, **options) -> subprocess.CompletedProcess:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "", **options.pop("env", {})}
    env.pop("COLUMNS", None)
    command = [sys.executable, "-m", "her2kg", *args]
    return subprocess.run(command, capture_output=True, env=env, timeout=60, **options)


def assert_refused(result, lines: int | None = 1) -> list[str]:
    """Exit 2, nothing on stdout, one clean line a problem on stderr."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.endswith("\n")
    said = result.stderr[:-1].split("\n")
    assert all(line.strip() for line in said)
    assert all(line == inert(line) for line in said)
    if lines is not None:
        assert len(said) == lines, result.stderr
    return said


def assert_fits(text: str, width: int = 80) -> None:
    assert not ANSI.search(text)
    wide = [line for line in text.split("\n") if cell_len(line) > width]
    assert not wide, wide
    assert not [line for line in text.split("\n") if line != line.rstrip()]


# Help and version


def test_help_is_an_index_with_one_line_a_command():
    result = run("--help")
    assert result.exit_code == 0
    assert "For research and education; not medical advice." in result.stdout
    listed = re.search(r"Commands:\n(.*?)\n\n", result.stdout, re.DOTALL)[1].split("\n")
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)
    assert_fits(result.stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_fits(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert_fits(result.stdout)


def test_no_command_shows_the_index_as_a_message():
    result = run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Commands:" in result.stderr


def test_version_names_a_version():
    result = run("--version")
    assert result.exit_code == 0
    assert re.match(r"her2kg \d+\.\d+", result.stdout)


def test_import_of_the_command_line_leaves_rich_and_engines_alone():
    code = "import sys, her2kg.cli; print([m for m in ('rich', 'pyoxigraph') if m in sys.modules])"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, text=True)
    assert result.stdout == "[]\n", result.stderr


# eligible


def test_eligible_json_is_the_answer_of_the_library(kg, case):
    path = case()
    result = run("eligible", path, "--format", "json")
    assert result.exit_code == 0
    assert result.stdout == kg.eligibility(path).to_json() + "\n"
    assert result.stderr == ""


def test_eligible_json_passes_every_option_on(kg, case):
    path = case()
    options = ("--as-of", "2027-01-01", "--basis", "trial,label", "--jurisdiction", "us")
    regimens = ["regimen_tdxd_monotherapy", "regimen_thp_docetaxel"]
    names = ("--regimen", regimens[0], "--regimen", regimens[1], "--engine", "oxigraph")
    result = run("eligible", path, *options, *names, "--format", "json")
    expected = kg.eligibility(
        path,
        as_of="2027-01-01",
        bases=["trial", "label"],
        jurisdictions=["US"],
        regimens=regimens,
    )
    assert result.stdout == expected.to_json() + "\n"
    assert len(json.loads(result.stdout)["regimens"]) == 2


def test_eligible_table_holds_every_regimen_under_its_verdict(kg, case):
    path = case()
    answers = kg.eligibility(path)
    result = run("eligible", path)
    assert result.exit_code == 0
    assert_fits(result.stdout)
    flat = " ".join(result.stdout.split())
    for verdict in VERDICTS:
        number = sum(each.verdict == verdict and bool(each.claims) for each in answers.regimens)
        plural = "" if number == 1 else "s"
        assert (f"{verdict.capitalize()}: {number} regimen{plural}" in flat) == bool(number)
    for each in answers.regimens:
        assert each.label.split()[0] in flat
    for word in ("✓ eligible", "✗ ineligible", "Patient case-1, as of 2026-11-22"):
        assert word in flat
    assert "For research and education; not medical advice." in flat
    assert answers.record_sha256 in flat


def test_regimen_without_a_claim_on_the_day_is_listed_apart(kg, case):
    path = case()
    options = ("--basis", "label", "--as-of", "2005-01-01")
    answers = kg.eligibility(path, bases=["label"], as_of="2005-01-01")
    without = [each for each in answers.regimens if not any(each.by_basis.values())]
    assert without and all(each.verdict == "ineligible" for each in without)
    shown = run("eligible", path, *options).stdout
    assert_fits(shown)
    judged, _, apart = shown.partition(f"· No claim on this day: {len(without)} regimens\n")
    assert apart.count("· no claim on this day") == len(without)
    assert judged.count("✗ ineligible  ") == sum(
        each.verdict == "ineligible" for each in answers.regimens
    ) - len(without)
    assert run("eligible", path, *options, "--format", "json").stdout == answers.to_json() + "\n"
    explained = run("explain", path, without[0].regimen, *options).stdout
    assert "Verdict: · no claim on this day" in explained and "✗ ineligible" not in explained


def test_eligible_table_tells_cautions_and_missing_facts(kg, case):
    path = case()
    shown = " ".join(run("eligible", path).stdout.split())
    eligible = [each for each in kg.eligibility(path).regimens if each.verdict == "eligible"]
    assert any(each.cautions for each in eligible)
    for each in eligible:
        assert all(note.label in shown for note in each.cautions)
        assert all(path in shown for path in each.missing)


def test_eligible_csv_has_one_row_per_regimen_and_claim(kg, case):
    path = case()
    rows = list(csv.DictReader(io.StringIO(run("eligible", path, "--format", "csv").stdout)))
    answers = kg.eligibility(path)
    expected = [
        (each.regimen, claim.claim if claim else "")
        for each in answers.regimens
        for claim in (each.claims or [None])
    ]
    assert [(row["regimen"], row["claim"]) for row in rows] == expected
    assert {row["scope"] for row in rows} == {"inside"}


def test_eligible_reads_stdin(case):
    path = Path(case())
    result = run("eligible", "-", "--format", "json", stdin=path.read_text())
    assert result.stdout == run("eligible", str(path), "--format", "json").stdout


def test_eligible_without_any_eligible_regimen_exits_0(case):
    result = run(
        "eligible",
        case(pregnancy="pregnant", menopausal=None),
        "--regimen",
        "regimen_thp_docetaxel",
    )
    assert result.exit_code == 0
    assert "Ineligible: 1 regimen" in result.stdout
    assert "Contraindications met" in result.stdout


def test_earlier_day_is_noted(case):
    path = case()
    result = run("eligible", path, "--as-of", "2026-07-01", "--regimen", "THP")
    assert result.exit_code == 0
    assert result.stderr.count("\n") == 1
    assert "2026-11-22" in result.stderr and "only chooses which claims count" in result.stderr
    assert run("eligible", path, "--as-of", "2026-11-22", "--regimen", "THP").stderr == ""


def test_day_to_come_is_noted(case):
    path = case()
    for form in ("table", "json"):
        result = run("eligible", path, "--as-of", "2999-01-01", "--format", form)
        assert result.exit_code == 0
        assert result.stderr == (
            "note: 2999-01-01 is after today; claims of later years are not known\n"
        )


def test_what_is_not_interpreted_is_noted(case):
    result = run("eligible", case(conditions=["migraine"], medications=["no such medicine"]))
    assert result.exit_code == 0
    assert result.stderr.split("\n") == [
        'note: not interpreted: conditions: "migraine"',
        'note: not interpreted: medications: "no such medicine"',
        "",
    ]


@pytest.fixture
def in_situ(case) -> str:
    gone = ("metastatic_sites", "brain_mets", "prior_therapies", "her2_ish")
    return case(setting=None, invasive=False, **dict.fromkeys(gone))


def test_outside_the_knowledge_is_prominent(kg, in_situ):
    answers = kg.eligibility(in_situ)
    assert answers.scope == "outside"
    for command in (("eligible", in_situ), ("explain", in_situ, "THP")):
        result = run(*command)
        assert result.exit_code == 0
        head = " ".join(result.stdout[:900].split())
        assert f"{render.OUTSIDE} {answers.scope_note} {render.NO_JUDGEMENT}" in head
        assert result.stdout.index("no judgement") < result.stdout.index("✗")
        assert_fits(result.stdout)
    result = run("eligible", in_situ, "--format", "csv")
    assert f"note: outside what the graph covers: {answers.scope_note}\n" in result.stderr
    assert {row["scope"] for row in csv.DictReader(io.StringIO(result.stdout))} == {"outside"}


def test_many_undetermined_regimens_share_one_list_of_missing_facts(case):
    bare = dict.fromkeys(CASE)
    result = run("eligible", case(**{**bare, "id": "bare", "setting": "metastatic"}))
    assert result.exit_code == 0
    assert "how many undetermined regimens they bear on" in result.stdout
    assert "her2_ihc" in result.stdout
    assert_fits(result.stdout)


def test_regimen_without_such_a_claim_is_noted(kg, case):
    path = case()
    only = min(set(kg.eligibility(path)) - set(kg.eligibility(path, bases=["label"])))
    result = run("eligible", path, "--regimen", only, "--basis", "label")
    assert result.exit_code == 0
    assert result.stderr.startswith(f"note: '{only}' has no claim of basis label")
    (line,) = assert_refused(run("explain", path, only, "--basis", "label"))
    assert "ask for another basis" in line


# explain


def test_explain_shows_every_claim_and_reason(kg, case):
    path = case()
    verdict = kg.eligibility(path)["regimen_tdxd_monotherapy"]
    result = run("explain", path, "regimen_tdxd_monotherapy")
    assert result.exit_code == 0
    assert_fits(result.stdout)
    flat = "".join(result.stdout.split())
    for claim in verdict.claims:
        assert claim.claim in flat and claim.source in flat
    assert f"Claim {len(verdict.claims)} of {len(verdict.claims)}" in result.stdout
    assert result.stdout.count("not: pregnancy") == len(verdict.claims)
    assert "✗ unmet" in result.stdout


def test_explain_json_is_the_answer_of_the_library(kg, case):
    path = case()
    result = run("explain", path, "Enhertu", "--basis", "label", "--format", "json")
    expected = kg.eligibility(path, regimens=["Enhertu"], bases=["label"])
    assert result.stdout == expected.to_json() + "\n"


def test_explain_csv_has_one_row_per_reason(kg, case):
    path = case()
    told = run("explain", path, "regimen_thp_docetaxel", "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(told)))
    reasons = [
        r for claim in kg.eligibility(path)["regimen_thp_docetaxel"].claims for r in claim.reasons
    ]
    assert [(row["criterion"], row["status"], row["source"]) for row in rows] == [
        (reason.criterion, reason.status, reason.source) for reason in reasons
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "ontology" / "examples").glob("*.json")), ids=str)
def test_every_example_is_shown_in_80_columns(path):
    result = run("eligible", str(path))
    assert result.exit_code == 0
    assert_fits(result.stdout)


# Untrusted text


def test_text_of_a_record_is_inert_in_tables(case):
    path = case(id=EVIL, conditions=[EVIL])
    for args in (("eligible", path), ("explain", path, "T-DXd", "--basis", "label")):
        result = run(*args)
        assert result.exit_code == 0
        for text in (result.stdout, result.stderr):
            assert all(line == inert(line) for line in text.split("\n"))
        assert "[bold red]x[/] :smile: \\x1b[31m\\x9b2J\\u202e\\u2028{}%s" in result.stdout


def test_text_of_a_record_is_no_formula_in_csv(case):
    path = case(id="=HYPERLINK(1)")
    for args in (("eligible", path), ("explain", path, "THP")):
        rows = csv.DictReader(io.StringIO(run(*args, "--format", "csv").stdout))
        assert {row["patient"] for row in rows} == {"'=HYPERLINK(1)"}


def test_field_name_cannot_break_the_line(tmp_path):
    path = tmp_path / "case.json"
    path.write_text(json.dumps({"id": "x", "\x1b[2J\nTraceback": 1}))
    result = run("eligible", str(path))
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "\\x1b[2J" in result.stderr and "\x1b" not in result.stderr


# show


def test_show_prints_a_term_with_readable_links(kg):
    result = run("show", "tucatinib")
    assert result.exit_code == 0
    assert_fits(result.stdout)
    flat = " ".join(result.stdout.split())
    assert kg.drug("tucatinib").definition in flat
    assert "Tukysa" in flat and "active ingredient: Tukysa [product_tukysa]" in flat
    assert "her2kg:" not in flat and "differs from" not in flat


def test_show_prints_each_term_of_an_ambiguous_name(kg):
    terms = kg.terms("T-DXd")
    assert len(terms) > 1
    result = run("show", "T-DXd")
    assert f"{len(terms)} terms bear this name." in result.stdout
    for term in terms:
        assert f"{term.kind}, {term.id}" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    "name", ["NCT03529110", "ILD", "Her2PositivePatient", "statement_asco_2022_2_1"]
)
def test_show_knows_every_kind(name):
    result = run("show", name)
    assert result.exit_code == 0
    assert_fits(result.stdout)


def test_show_tells_what_a_trial_found():
    result = run("show", "CLEOPATRA")
    assert_fits(result.stdout)
    flat = " ".join(result.stdout.split())
    assert "Outcomes arm 1: pertuzumab+trastuzumab+docetaxel arm 2: placebo" in flat
    assert "18.5 months 12.4 months HR 0.62" in flat
    assert "14%* 8%*" in flat
    assert "of trial" not in flat, "outcomes are listed once, as a table"


def test_show_tells_how_often_an_adverse_event_was_seen():
    flat = " ".join(run("show", "ILD").stdout.split())
    assert "12.1%, fatal 0.5%" in flat
    assert "CTCAE 5.0 grade 1: asymptomatic, imaging only" in flat
    assert "boxed warning: " in flat and "What to watch" in flat


def test_show_writes_json_and_csv(kg):
    term = kg.drug("tucatinib")
    (found,) = json.loads(run("show", "tucatinib", "--format", "json").stdout)
    assert (found["id"], found["label"], found["kind"]) == (term.id, term.label, "drug")
    assert len(found["links"]) == len(term.links)
    rows = list(csv.DictReader(io.StringIO(run("show", "tucatinib", "--format", "csv").stdout)))
    assert len(rows) == len(term.links)


# queries, run, sparql


def test_queries_lists_every_question():
    result = run("queries")
    assert_fits(result.stdout)
    assert all(name in result.stdout for name in library())
    found = json.loads(run("queries", "--format", "json").stdout)
    assert [query["name"] for query in found] == list(library())
    rows = list(csv.DictReader(io.StringIO(run("queries", "--format", "csv").stdout)))
    assert [row["name"] for row in rows] == list(library())


def test_queries_looks_for_text():
    result = run("queries", "which claims")
    assert "eligibility/claims" in result.stdout and "terms/values" not in result.stdout


def test_queries_with_a_name_prints_header_and_text():
    query = library()["terms/describe"]
    for name in ("terms/describe", "describe"):
        result = run("queries", name)
        assert result.exit_code == 0
        assert query.text in result.stdout
    found = json.loads(run("queries", "describe", "--format", "json").stdout)
    assert found["parameters"] == query.parameters and found["text"] == query.text
    assert "parameter,term," in run("queries", "describe", "--format", "csv").stdout


def test_run_takes_dynamic_parameters(kg):
    expected = kg.query("terms/describe", term="drug_tucatinib")
    for args in (
        ("--term", "drug_tucatinib", "--format", "json"),
        ("--format", "json", "--term=drug_tucatinib"),
    ):
        found = json.loads(run("run", "terms/describe", *args).stdout)
        assert len(found) == len(expected)
        assert tuple(found[0]) == expected.columns
    twice = run("run", "describe", "--term", "drug_tucatinib", "--term", "THP", "--format", "csv")
    assert twice.exit_code == 0
    assert len(twice.stdout.split("\n")) > len(expected) + 2


def test_run_reads_a_dashed_parameter_as_camel_case(kg):
    query = next((q for q in library().values() if "asOf" in q.parameters), None)
    assert query is not None
    result = run("run", query.name, "--as-of", "2026-11-22")
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("name", sorted(library()))
def test_every_question_is_shown_in_80_columns(name):
    result = run("run", name)
    assert result.exit_code == 0, result.stderr
    assert_fits(result.stdout)
    notes = result.stderr.splitlines()
    assert result.stdout or notes.pop() == "no rows"
    assert len(notes) == bool(library()[name].parameters)
    assert all(note.startswith("note: no --") for note in notes)


def test_run_without_parameters_names_the_example(kg):
    result = run("run", "regimens/components", "--format", "json")
    assert result.stderr == (
        "note: no --regimen given; the answer is for the example, regimen_thp_docetaxel\n"
    )
    given = run("run", "components", "--regimen", "regimen_thp_docetaxel", "--format", "json")
    assert (given.stdout, given.stderr) == (result.stdout, "")
    assert run("run", "evidence/changed-between").stderr == (
        "note: no --after or --upTo given; the answer is for the example, "
        "--after 2021-12-31 --upTo 2022-12-31\n"
    )
    assert run("run", "evidence/counts").stderr == ""


LABELS = "SELECT ?r ?label WHERE { ?r a her2kg:Regimen ; rdfs:label ?label } ORDER BY ?r LIMIT 3"


def test_sparql_reads_text_file_and_stdin(kg, tmp_path):
    path = tmp_path / "labels.rq"
    path.write_text(LABELS)
    expected = [{"r": str(iri), "label": label} for iri, label in kg.select(LABELS)]
    for args, stdin in (((LABELS,), None), ((str(path),), None), (("-",), LABELS)):
        result = run("sparql", *args, "--format", "json", stdin=stdin)
        assert json.loads(result.stdout) == expected
    table = run("sparql", LABELS).stdout
    assert "regimen_" in table and "https://" not in table
    assert "https://w3id.org/her2kg#regimen_" in run("sparql", LABELS, "--format", "csv").stdout


def test_sparql_writes_values_as_they_are():
    text = 'SELECT (1.50 AS ?n) (true AS ?b) ("2026-11-22"^^xsd:date AS ?d) ("=1\x1b" AS ?t) ?u {}'
    (row,) = json.loads(run("sparql", text, "--format", "json").stdout)
    assert row == {"n": 1.5, "b": True, "d": "2026-11-22", "t": "=1\x1b", "u": None}
    assert (
        run("sparql", text, "--format", "csv").stdout
        == "n,b,d,t,u\n1.5,true,2026-11-22,'=1\\x1b,\n"
    )
    assert "\x1b" not in run("sparql", text).stdout


def test_sparql_without_rows_says_so():
    result = run("sparql", "SELECT ?x WHERE { ?x a owl:Nothing }")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no rows\n")
    assert (
        run("sparql", "SELECT ?x WHERE { ?x a owl:Nothing }", "--format", "json").stdout == "[]\n"
    )


def test_sparql_asks_and_constructs():
    assert json.loads(run("sparql", "ASK {}", "--format", "json").stdout) == [{"answer": True}]
    text = "CONSTRUCT { ?d a owl:Thing } WHERE { ?d a her2kg:Regimen }"
    assert "subject,predicate,object" in run("sparql", text, "--format", "csv").stdout


# schema, check, format


def test_schema_is_json_schema():
    found = json.loads(run("schema").stdout)
    assert found["$schema"].startswith("https://json-schema.org/")
    assert "her2_ihc" in found["properties"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small ontology in its canonical form."""
    (tmp_path / "ontology").mkdir()
    (tmp_path / "queries" / "hygiene").mkdir(parents=True)
    (tmp_path / "ontology" / "her2kg.ttl").write_text(
        "@prefix owl: <http://www.w3.org/2002/07/owl#> .\n<https://w3id.org/her2kg> a owl:Ontology ."
    )
    assert run("format", "--root", str(tmp_path)).exit_code == 0
    return tmp_path


def test_format_lists_what_changed(project):
    path = project / "ontology" / "her2kg.ttl"
    good = path.read_text()
    assert run("format", "--check", "--root", str(project)).exit_code == 0
    path.write_text(good.replace("\n", "\n\n"))
    result = run("format", "--check", "--root", str(project))
    assert (result.exit_code, result.stdout) == (1, "ontology/her2kg.ttl\n")
    assert path.read_text() != good
    result = run("format", "--root", str(project))
    assert (result.exit_code, result.stdout) == (0, "ontology/her2kg.ttl\n")
    assert path.read_text() == good
    result = run("format", "--root", str(project))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no files changed\n")


def test_check_groups_findings_by_rule(project):
    result = run("check", "--root", str(project))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no findings\n")
    path = project / "ontology" / "her2kg.ttl"
    path.write_text(path.read_text() + "\n\n")
    result = run("check", "--root", str(project))
    assert result.exit_code == 1
    assert result.stdout.startswith("format: 1 finding\n  ontology/her2kg.ttl: ")
    assert result.stderr == "1 finding\n"
    assert_fits(result.stdout)
    (finding,) = json.loads(run("check", "--root", str(project), "--format", "json").stdout)
    assert finding["rule"] == "format"
    assert (
        "rule,term,problem\nformat,"
        in run("check", "--root", str(project), "--format", "csv").stdout
    )


def test_format_refuses_broken_turtle(project):
    (project / "ontology" / "her2kg.ttl").write_text("this is no Turtle")
    assert_refused(run("format", "--root", str(project)))
    assert run("check", "--root", str(project)).exit_code == 1


# Wrong input


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"id": "x"', "not JSON (line 1, column 11"),
        (b"", "an empty file"),
        (b" \n", "an empty file"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\xff\xfe", "not UTF-8"),
        (b"[]", "a list"),
        (b"null", "null"),
        (b'{"id": "x", "id": "y"}', "twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"id": "\xff"}', "not UTF-8"),
    ],
)  # fmt: skip
def test_unreadable_record_is_refused(tmp_path, content, said):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    (line,) = assert_refused(run("eligible", str(path)))
    assert str(path) in line and said in line


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"her2": "3+"}, ["her2: ", "her2_ihc"]),
        ({"her2_ihc": "4+"}, ['her2_ihc: given "4+"', "3+"]),
        ({"lvef_percent": "60 %"}, ['lvef_percent: given "60 %"', "percent"]),
        ({"labs": {"bilirubin_mg_dl": 1}}, ["labs.bilirubin_mg_dl", "bilirubin_x_uln"]),
        ({"prior_therapies": [{"drugs": ["trastuzumb"]}]}, ["trastuzumb", "trastuzumab"]),
        ({"prior_therapies": [{"regimen": "THPP"}]}, ["THPP", "prior_therapies[0].regimen"]),
        ({"surgery_date": "2024-02-30"}, ["surgery_date", "2024-02-30"]),
        ({"surgery_date": "2999-01-01"}, ["surgery_date", "2999-01-01"]),
        ({"prior_therapies": [{"drugs": None, "start": "2026-02-01", "end": "2026-01-01"}]}, ["2026-01-01"]),
        ({"menopausal": None, "sex": "male", "pregnancy": "pregnant"}, ["pregnancy"]),
        ({"brain_mets": "none"}, ["brain_mets"]),
    ],
)  # fmt: skip
def test_wrong_record_is_refused(case, changes, said):
    path = case(**changes)
    (line,) = assert_refused(run("eligible", path))
    assert line.startswith(path)
    assert all(part in line for part in said), line
    assert_refused(run("explain", path, "THP"))


def test_each_problem_has_a_line(case):
    assert_refused(run("eligible", case(her2_ihc="4+", age=400, lvef_percent="x")), lines=3)


def test_missing_file_and_directory_are_refused(tmp_path):
    (line,) = assert_refused(run("eligible", str(tmp_path / "none.json")))
    assert "does not exist" in line
    (line,) = assert_refused(run("eligible", str(tmp_path)))
    assert "a directory" in line
    assert_refused(run("eligible", "x" * 5000))
    assert_refused(run("eligible", "-", stdin=""))


def test_100_megabytes_of_nonsense_are_refused(tmp_path):
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    (line,) = assert_refused(run("eligible", str(path)))
    assert "100.00 MB" in line
    (line,) = assert_refused(run("sparql", str(path)))
    assert "longer" in line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--as-of", "tomorrow"), "YYYY-MM-DD"),
        (("--as-of", "2026-02-30"), "YYYY-MM-DD"),
        (("--basis", "labels"), "label, guideline, trial"),
        (("--basis", "label,opinion"), "label, guideline, trial"),
        (("--basis", ""), "basis: given nothing, accepted label, guideline, trial"),
        (("--jurisdiction", ","), "jurisdiction: given nothing, accepted "),
        (("--jurisdiction", "Mars"), "US"),
        (("--engine", "virtuoso"), "oxigraph and rdflib"),
        (("--regimen", "THPP"), "did you mean"),
        (("--format", "xml"), "'csv'"),
        (("--nonsense",), "--nonsense"),
        (("one too many",), "one too many"),
        (("--as-of",), "--as-of"),
    ],
)
def test_wrong_option_is_refused(case, options, said):
    (line,) = assert_refused(run("eligible", case(), *options))
    assert said in line


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("explian",), "'explain'"),
        (("eligible",), "'PATIENT'; see her2kg eligible --help"),
        (("explain", "x.json"), "'REGIMEN'"),
        (("show", "trastuzumb"), "unknown term 'trastuzumb'; did you mean 'trastuzumab'"),
        (("show", "zzzz"), "unknown term 'zzzz'"),
        (("queries", "no question has this"), "unknown query"),
        (("run", "no-such-question"), "her2kg queries"),
        (("run", "terms/descrbe"), "did you mean 'terms/describe'"),
        (("run", "--term", "drug_tucatinib", "terms/describe"), "her2kg run NAME"),
        (("run", "terms/describe", "--drug", "tucatinib"), "term"),
        (("run", "terms/describe", "--term", "zzzz"), "zzzz"),
        (("run", "terms/describe", "--term"), "--term value"),
        (("run", "terms/describe", "--term", "--term", "x"), "--term value"),
        (("run", "terms/describe", "drug_tucatinib"), "--name value"),
        (("sparql", "SELECT ?x WHERE { ?x a ?y "), "1:27"),
        (("sparql", "DELETE WHERE { ?s ?p ?o }"), "not valid SPARQL"),
        (("sparql", ""), "not valid SPARQL"),
        (("sparql", "none.rq"), "does not exist"),
        (("sparql", "."), "a directory"),
        (("check", "--root", "none"), "holds ontology/"),
        (("format", "--root", "none"), "holds ontology/"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(args, said):
    (line,) = assert_refused(run(*args))
    assert said in line


def test_unknown_term_of_show_does_not_advise_show(case):
    for name in ("zzzz", "trastuzumb"):
        (line,) = assert_refused(run("show", name))
        assert "her2kg show" not in line
    (line,) = assert_refused(run("explain", case(), "zzzz"))
    assert line.endswith("Look a name up: her2kg show TERM")


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("--regime", "has no parameter 'regime'; did you mean 'regimen'?"),
        ("--regimen", "parameter 'regimen': given \"zzzz\", accepted the name of a regimen"),
    ],
)
def test_wrong_parameter_names_the_header(parameter, said):
    (line,) = assert_refused(run("run", "components", parameter, "zzzz"))
    assert line.startswith("query 'regimens/components'") and said in line
    assert line.endswith("Its header: her2kg queries regimens/components")


def test_unknown_regimen_is_refused_with_suggestions(case):
    (line,) = assert_refused(run("explain", case(), "trastuzumab deruxtecan monotherpy"))
    assert "did you mean 'Trastuzumab deruxtecan monotherapy'" in line


def test_sparql_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "query.rq"
    path.write_bytes(b"\x89PNG\xff")
    (line,) = assert_refused(run("sparql", str(path)))
    assert "not UTF-8" in line


def test_missing_package_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyoxigraph", None)
    (line,) = assert_refused(run("sparql", "ASK {}"))
    assert line.startswith("this needs pyoxigraph, which is not installed")


def test_interrupt_is_quiet(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("her2kg.cli.load_graph", interrupted)
    result = run("show", "THP")
    assert (result.exit_code, result.output) == (130, "")


# Whole processes


def test_process_writes_utf8_without_colour_when_piped(kg, case):
    path = case()
    plain = process("eligible", path)
    assert (plain.returncode, plain.stderr) == (0, b"")
    assert_fits(plain.stdout.decode())
    assert "✓" in plain.stdout.decode()
    ascii_ = process("eligible", path, "--format", "json", env={"PYTHONIOENCODING": "ascii"})
    assert ascii_.stdout.decode() == kg.eligibility(path).to_json() + "\n"


def test_process_refuses_with_exit_2(case):
    result = process("eligible", case(her2_ihc="4+"))
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"her2_ihc" in result.stderr and b"Traceback" not in result.stderr


def test_process_is_quiet_when_its_reader_goes(case):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    for args in (["explain", case(), "T-DXd"], ["schema"], ["--help"]):
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, "-m", "her2kg", *args]
        result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=env, timeout=60)
        os.close(writer)
        assert (result.returncode, result.stderr) == (0, b""), args


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_process_that_cannot_write_says_so():
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "her2kg", "schema"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=env, timeout=60)
    assert result.returncode == 2
    assert result.stderr.startswith(b"the output cannot be written") and result.stderr[-1:] == b"\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("extra", "colour"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_process_has_colour_on_a_terminal(case, extra, colour):
    import pty

    main, side = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", **extra}
    if colour:
        env.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "her2kg", "eligible", case(), "--regimen", "THP"]
    with subprocess.Popen(command, stdout=side, env=env) as running:
        os.close(side)
        seen = b""
        try:
            while chunk := os.read(main, 65536):
                seen += chunk
        except OSError:
            pass
    os.close(main)
    assert running.returncode == 0
    assert bool(ANSI.search(seen.decode())) == colour
    assert "Pertuzumab" in seen.decode()


def test_ascii_terminal_gets_ascii_marks(kg, case):
    answers = kg.eligibility(case())
    text = render.eligible_table(answers, Screen(unicode=False))
    assert text.isascii() and "+ eligible" in text and "x ineligible" in text


def test_wide_screen_is_used(kg, case):
    answers = kg.eligibility(case())
    text = render.eligible_table(answers, Screen(width=120))
    assert "guideline" in text.split("verdict")[1] and "cautions" in text
    assert_fits(text, 120)


LONG = "Subcutaneous pertuzumab/trastuzumab/hyaluronidase + docetaxel"


@pytest.mark.parametrize("width", [24, 30, 40])
def test_long_label_is_broken_after_a_slash(width):
    words = {"pertuzumab/", "trastuzumab/", "hyaluronidase"}
    for draw in ("line", "table"):
        page = Page(Screen(width=width))
        if draw == "line":
            page.line(LONG, hang=2)
        else:
            table = new_table(head=False)
            table.add_column(ratio=1, overflow="fold")
            table.add_row(styled((LONG, "bold")))
            page.table(table)
        shown = str(page)
        assert_fits(shown, width)
        assert all(word in shown for word in words), shown
        assert "".join(shown.split()) == LONG.replace(" ", "")


def test_labels_of_regimens_are_not_broken_inside_a_word(kg, case):
    answers = kg.eligibility(case())
    slashed = [each.label for each in answers.regimens if "/trastuzumab/" in each.label]
    assert slashed
    for width in (60, 80):
        shown = render.eligible_table(answers, Screen(width=width))
        for label in slashed:
            words = re.findall(r"[^\s/]+/?", label)
            assert all(word in shown for word in words), (width, label)


# The script and the README


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash")
def test_dev_try_resolves_the_record_where_it_is_called(tmp_path):
    venv, work = tmp_path / "venv", tmp_path / "work"
    (venv / "bin").mkdir(parents=True)
    work.mkdir()
    (venv / "installed-plain").touch()
    program = venv / "bin" / "her2kg"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    example = ROOT / "ontology" / "examples" / "second-line-after-thp.json"
    for given, expected in (
        (["my patient.json"], work / "my patient.json"),
        ([str(work / "m.json")], work / "m.json"),
        (["-"], "-"),
        ([], example),
    ):
        command = ["bash", str(ROOT / "dev"), "try", *given]
        env = {**os.environ, "HER2KG_VENV": str(venv)}
        result = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True)
        assert result.stdout == f"eligible {expected}\n", result.stderr


def test_readme_says_how_to_call_the_command_and_what_is_not_held():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    start = readme.split("## Try it")[1].split("\n## ")[0]
    for text in (".venv/bin/her2kg", "source .venv/bin/activate", "./dev try my-patient.json"):
        assert f"`{text}`" in start
    limits = readme.split("## Limits")[1].split("\n## ")[0]
    for text in (
        "Trial protocols are encoded only in part",
        "facts are recalled",
    ):
        assert text in limits
