"""Every code block of README, CONTRIBUTING and docs/ runs; every generated part is fresh."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import blocks  # noqa: E402
import generate  # noqa: E402

from her2kg import KnowledgeGraph, queries  # noqa: E402
from her2kg.checks import run_checks  # noqa: E402
from her2kg.tree import format_tree  # noqa: E402

PAGES = sorted(blocks.PAGES)
PIECES = [block for block in blocks.blocks("CONTRIBUTING.md") if block.file]


@pytest.fixture(scope="module")
def kg():
    return KnowledgeGraph()


@pytest.fixture(scope="module")
def fresh(kg):
    return generate.generated(kg)


@pytest.fixture(scope="module")
def shell():
    with blocks.shell() as run:
        yield run


def test_every_page_is_listed():
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    pages = {path.relative_to(ROOT).as_posix() for path in found}
    assert pages - {"CHANGELOG.md"} == set(PAGES)
    assert [page for page in PAGES if not (ROOT / page).read_text("utf-8").startswith("# ")] == []


@pytest.mark.parametrize("page", PAGES)
def test_blocks_have_a_known_language(page):
    wrong = [block.place for block in blocks.blocks(page) if block.language not in blocks.LANGUAGES]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES)
def test_python_and_sparql_blocks_give_the_output_shown(page, kg):
    runner = blocks.Runner(kg)
    for block in blocks.blocks(page):
        output = runner.run(block) or ""
        shown = block.output.text if block.output else ""
        assert blocks.matches(shown, output), f"{block.place}\nshown:\n{shown}\ngiven:\n{output}"


CONSOLE = [b for page in PAGES for b in blocks.blocks(page) if b.language == "console"]


@pytest.mark.parametrize("block", CONSOLE, ids=lambda block: block.place)
def test_console_blocks_give_the_output_shown(block, shell):
    assert blocks.commands(block), block.place
    for command, shown in blocks.commands(block):
        done = shell(command)
        assert blocks.matches(shown, done.stdout), (
            f"{block.place}: {command}\nshown:\n{shown}\ngiven:\n{done.stdout}\n{done.stderr}"
        )


@pytest.mark.parametrize("page", PAGES)
def test_shell_blocks_that_are_only_shown_are_known(page):
    shown = [
        line for b in blocks.blocks(page) if b.language == "sh" for line in b.text.splitlines()
    ]
    assert [line for line in shown if line not in blocks.SHOWN_ONLY] == []
    for line in shown:
        words = line.split()
        script = words[1] if words[0] == "python" else words[0]
        if script == "-m":
            script = words[2].replace(".", "/") + ".py"
        assert script in ("apt", "pip", "her2kg", "pytest.py") or (ROOT / script).is_file(), line


@pytest.mark.parametrize("page", [generate.SCHEMA_PAGE, *filter(generate.has_parts, PAGES)])
def test_generated_parts_are_fresh(page, fresh):
    path = ROOT / page
    current = path.read_text(encoding="utf-8") if path.exists() else ""
    assert current == fresh[page], f"{page} is stale; run python docs/generate.py"


def test_json_schema_accepts_the_fields_of_every_example():
    known = json.loads((ROOT / generate.SCHEMA_PAGE).read_text(encoding="utf-8"))["properties"]
    for path in sorted((ROOT / "ontology" / "examples").glob("*.json")):
        assert set(json.loads(path.read_text(encoding="utf-8"))) <= set(known), path.name


@pytest.mark.parametrize("page", PAGES)
def test_links_to_files_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)
    folder = (ROOT / page).parent
    assert [link for link in links if not (folder / link).exists()] == []


# --- the worked examples of CONTRIBUTING ----------------------------------------------------------


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Path:
    """A copy of the project with every example of CONTRIBUTING added and formatted."""
    root = tmp_path_factory.mktemp("extended")
    for name in ("ontology", "queries"):
        shutil.copytree(ROOT / name, root / name)
    for block in PIECES:
        path = root / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if block.after:
            lines = before.splitlines(keepends=True)
            at = max(n for n, line in enumerate(lines) if line.strip() == block.after)
            text = "".join([*lines[: at + 1], block.text, *lines[at + 1 :]])
        else:
            text = f"{before}\n{block.text}" if before else block.text
        path.write_text(text, encoding="utf-8")
    format_tree(root, check=False)
    return root


@pytest.fixture(scope="module")
def extended_kg(extended, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HER2KG_CACHE", str(tmp_path_factory.mktemp("cache")))
        return KnowledgeGraph(ontology=extended / "ontology")


def second_line(**more):
    return {
        "id": "liver",
        "as_of": "2026-01-15",
        "sex": "female",
        "age": 58,
        "her2_ihc": "3+",
        "setting": "metastatic",
        "metastatic_sites": ["liver"],
        "prior_therapies": [
            {
                "regimen": "THP",
                "setting": "metastatic",
                "start": "2024-03-01",
                "end": "2025-10-01",
                "outcome": "progression",
            }
        ],
        "prior_therapies_complete": True,
        **more,
    }


def test_contributing_shows_an_example_of_each_kind():
    files = [block.file for block in PIECES]
    for start in (
        "ontology/evidence/sources.ttl",
        "ontology/drugs.ttl",
        "ontology/regimens/",
        "ontology/criteria.ttl",
        "ontology/safety.ttl",
        "queries/",
    ):
        assert any(file.startswith(start) for file in files), start


def test_contributing_examples_are_new():
    """An example that has become part of the ontology must be replaced by another."""
    there = [b.file for b in PIECES if "/regimens/" in b.file or b.file.startswith("queries/")]
    assert [file for file in there if (ROOT / file).exists()] == []


def test_contributing_examples_pass_every_check(extended):
    before = {str(finding) for finding in run_checks(ROOT)}
    assert [str(f) for f in run_checks(extended) if str(f) not in before] == []


def test_contributing_regimen_files_are_in_canonical_form(extended):
    for block in PIECES:
        if "/regimens/" in block.file:
            assert (extended / block.file).read_text(encoding="utf-8") == block.text, block.place


def test_contributing_drug_is_found_by_its_brand(extended_kg):
    assert extended_kg.drug("Cipterbin").id == "drug_inetetamab"


def test_contributing_regimen_is_judged(extended_kg):
    cases = [
        (second_line(), "eligible"),
        (second_line(prior_therapies=[]), "ineligible"),
        (second_line(metastatic_sites=None), "undetermined"),
    ]
    for record, verdict in cases:
        answer = extended_kg.eligibility(record, jurisdictions=["CN"])["DV monotherapy"]
        assert answer.verdict == verdict, record
        assert "LiverMetastasesPatient" in {reason.criterion for reason in answer.reasons}
    assert answer.missing == ("metastatic_sites",)
    day_before = extended_kg.eligibility(second_line(), as_of="2025-05-08", jurisdictions=["CN"])
    assert day_before["DV monotherapy"].claims == ()


def test_contributing_safety_rule_is_shown(extended_kg):
    for medicines, shown in (([], False), (["warfarin"], True)):
        record = second_line(medications=medicines)
        answers = extended_kg.eligibility(
            record, regimens=["regimen_abemaciclib_fulvestrant_trastuzumab"]
        )
        rules = [note.rule for verdict in answers.regimens for note in verdict.cautions]
        assert ("caution_anticoagulant_fulvestrant" in rules) is shown, medicines


def test_contributing_question_gives_its_expected_rows(extended, extended_kg, monkeypatch):
    (question,) = [b for b in PIECES if b.file.startswith("queries/")]
    (proof,) = [b for b in PIECES if b.file.startswith("tests/expected/")]
    name = question.file.removeprefix("queries/").removesuffix(".rq")
    assert proof.file.startswith(f"tests/expected/{name}.")
    monkeypatch.setattr(queries, "QUERIES_HOME", extended / "queries")
    queries.library.cache_clear()
    try:
        setting, *expected = proof.text.splitlines()
        parameter, value = setting.removeprefix("# ").split("=")
        rows = extended_kg.query(name, **{parameter: value})
        assert rows.columns == tuple(queries.find(name).columns)
        given = [",".join(getattr(cell, "local", str(cell)) for cell in row) for row in rows]
        assert [",".join(rows.columns), *given] == expected
    finally:
        monkeypatch.undo()
        queries.library.cache_clear()
