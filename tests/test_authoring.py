"""The walk of docs/authoring.md, as Protege would save it: no other file, and verdicts at the end."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from owlapi import Desk

from her2kg.namespaces import BASE

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "authoring.md").read_text(encoding="utf-8")
PIECES = re.findall(r"^```turtle file=ontology/(\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EXPRESSIONS = re.findall(
    r"^ *```text class=(\S+) file=ontology/(\S+)\n *(.*?)\n *```$", PAGE, re.MULTILINE | re.DOTALL
)
SYNTAXES = ("ttl", "rdf", "owx")
OLD, NEW = (name for name, _ in PIECES)

PATIENT = {
    "id": "walk",
    "as_of": "2026-11-22",
    "sex": "female",
    "age": 58,
    "her2_ihc": "3+",
    "setting": "metastatic",
    "lvef_percent": 60,
    "menopausal": "postmenopausal",
    "brain_mets": "none",
    "labs": {"bilirubin_x_uln": 0.7, "anc_10e9_per_l": 3.8},
    "history": {"hypersensitivity": []},
    "prior_therapies": [
        {
            "regimen": "THP",
            "setting": "metastatic",
            "start": "2024-03-01",
            "end": "2025-10-01",
            "outcome": "progression",
            "adverse_events": [],
        }
    ],
    "prior_therapies_complete": True,
}


def her2kg(*arguments: object, cache: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "her2kg", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "HER2KG_CACHE": str(cache)},
    )


def copy_of_project(folder: Path) -> Path:
    for name in ("ontology", "queries"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


def texts(root: Path) -> dict[str, bytes]:
    home = root / "ontology"
    return {p.relative_to(home).as_posix(): p.read_bytes() for p in home.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory, cache) -> Path:
    """The project with the pieces of the page written into its files, and formatted."""
    root = copy_of_project(tmp_path_factory.mktemp("by-hand"))
    for name, text in PIECES:
        path = root / "ontology" / name
        before = path.read_text(encoding="utf-8") + "\n" if path.exists() else ""
        path.write_text(before + text, encoding="utf-8")
    done = her2kg("format", "--root", root, cache=cache)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> tuple[Path, list[bool]]:
    """What the OWL API saves after the same edits, and which expressions of the page it read."""
    folder = tmp_path_factory.mktemp("saved")
    desk = Desk()
    same = desk(
        "edit",
        home=str(ROOT / "ontology"),
        edits=PIECES_WITH_PREFIXES,
        save_to=str(folder),
        formats=SYNTAXES,
        expressions=[(file, BASE + name, text) for name, file, text in EXPRESSIONS],
    )
    desk.close()
    return folder, same


HEAD = "".join(re.findall(r"^@prefix .*\n", PAGE, re.MULTILINE))
PIECES_WITH_PREFIXES = [(name, text if "@prefix" in text else HEAD + text) for name, text in PIECES]


def test_page_adds_to_a_regimen_and_adds_a_regimen():
    assert (ROOT / "ontology" / OLD).exists()
    assert not (ROOT / "ontology" / NEW).exists()
    assert len(EXPRESSIONS) == 2


def test_only_the_two_modules_the_root_and_the_catalogue_change(by_hand):
    before, after = texts(ROOT), texts(by_hand)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {OLD, NEW, "her2kg.ttl", "catalog-v001.xml"}
    assert before.keys() < after.keys()


def test_expressions_of_the_page_define_its_classes(saved):
    assert saved[1] == [True] * len(EXPRESSIONS)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_protege_saves_becomes_what_is_written_by_hand(
    saved, by_hand, tmp_path, syntax, cache
):
    root = copy_of_project(tmp_path)
    files = [(saved[0] / syntax / name).with_suffix(f".{syntax}") for name in (OLD, NEW)]
    if syntax == "ttl":
        for file, name in zip(files, (OLD, NEW), strict=True):
            shutil.copy(file, root / "ontology" / name)
        done = her2kg("format", "--root", root, cache=cache)
    else:
        incoming = [part for file in files for part in ("--from", file)]
        done = her2kg("format", *incoming, "--root", root, cache=cache)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {
        f"ontology/{name}" for name in (OLD, NEW, "her2kg.ttl", "catalog-v001.xml")
    }
    assert texts(root) == texts(by_hand)


def test_check_finds_nothing(by_hand, cache):
    done = her2kg("check", "--root", by_hand, cache=cache)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def answers(root: Path, cache: Path, tmp_path: Path, **more) -> dict:
    record = tmp_path / "patient.json"
    record.write_text(json.dumps({**PATIENT, **more}))
    asked = ["eligible", record, "--root", root, "--format", "json"]
    done = her2kg(*asked, "--basis", "guideline", cache=cache)
    assert done.returncode == 0, done.stderr
    return {each["regimen"]: each for each in json.loads(done.stdout)["regimens"]}


GEMCITABINE = {"drugs": ["gemcitabine"], "setting": "metastatic", "start": "2025-11-01"}


@pytest.mark.parametrize(
    ("more", "new", "old", "decisive", "status"),
    [
        ({}, "eligible", "eligible", "PriorGemcitabineFreePatient", "met"),
        (
            {"prior_therapies": [*PATIENT["prior_therapies"], GEMCITABINE]},
            "ineligible",
            "eligible",
            "PriorGemcitabineFreePatient",
            "unmet",
        ),
        (
            {"prior_therapies_complete": None},
            "undetermined",
            "undetermined",  # a reaction to T-DM1 is not excluded either
            "PriorGemcitabineFreePatient",
            "unknown",
        ),
        ({"lvef_percent": 54}, "eligible", "ineligible", "PriorTaxanePatient", "met"),
    ],
    ids=["met", "unmet", "unknown", "other-claim-unmet"],
)
def test_new_claims_are_judged_with_reasons(
    by_hand, cache, tmp_path, more, new, old, decisive, status
):
    found = answers(by_hand, cache, tmp_path, **more)
    regimen = found["regimen_example_trastuzumab_gemcitabine"]
    assert regimen["verdict"] == new
    (claim,) = regimen["claims"]
    reasons = {each["criterion"]: each["status"] for each in claim["reasons"]}
    assert reasons[decisive] == status
    (added,) = (
        claim
        for claim in found["regimen_tdm1"]["claims"]
        if claim["claim"] == "indication_tdm1_example_hospital"
    )
    assert added["verdict"] == old


CLAIM = "    dcterms:source her2kg:source_example_hospital_2026 ;\n    her2kg:basis"
SETTING = (
    '    her2kg:setting her2kg:setting_metastatic_second_line ;\n    her2kg:validFrom "2026-01-01"'
)
NEGATED = re.compile(
    r"owl:intersectionOf \(\s+her2kg:Patient\s+(\[.*?\n            \])\s+\) ;", re.S
)
DRUG = """
her2kg:drug_example
    a her2kg:Her2Antibody ;
    a owl:NamedIndividual ;
    rdfs:label "exampleumab"@en ;
    dcterms:source her2kg:source_example_hospital_regimens_2026 ;
    her2kg:confidence her2kg:confidence_verified ;
    skos:definition "An invented antibody."@en ;
    .
"""
MISTAKES = {  # file, what the edit does, the row of the page it shows
    "misspelt class": (OLD, lambda s: s.replace(MARK, MARK.replace("Taxane", "Taxan")), 0),
    "construct outside the profile": (
        NEW,
        lambda s: s.replace("owl:someValuesFrom [", "owl:allValuesFrom ["),
        1,
    ),
    "bare negation": (NEW, lambda s: NEGATED.sub(r"owl:unionOf ( \1 ) ;", s), 2),
    "no source": (OLD, lambda s: s.replace(CLAIM, "    her2kg:basis"), 3),
    "no setting": (OLD, lambda s: s.replace(SETTING, SETTING.split("\n")[1]), 4),
    "left out of the different drugs": (NEW, lambda s: s + DRUG, 5),
    "wrong ontology IRI": (NEW, lambda s: s.replace("example-trastuzumab", "trastuzumab", 1), 6),
}
MARK = "her2kg:LvefAtLeast55Patient\n            her2kg:PriorTaxanePatient"


@pytest.mark.parametrize("mistake", MISTAKES)
def test_check_says_what_the_page_says_of_a_mistake(by_hand, cache, tmp_path, mistake):
    root = tmp_path / "project"
    shutil.copytree(by_hand, root)
    name, edit, row = MISTAKES[mistake]
    path = root / "ontology" / name
    text = path.read_text(encoding="utf-8")
    path.write_text(edit(text), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != text
    her2kg("format", "--root", root, cache=cache)
    done = her2kg("check", "--root", root, cache=cache)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    rows = re.findall(r"^\| .* \| (.*) \|$", PAGE.split("## D.")[1], re.MULTILINE)[2:]
    assert rows[row] in " ".join(done.stdout.split()), done.stdout
