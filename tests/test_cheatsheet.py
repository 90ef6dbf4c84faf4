"""The patterns of docs/cheatsheet.md give the same rows on both engines, flattened and plain."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import blocks  # noqa: E402

from her2kg import KnowledgeGraph, graph  # noqa: E402
from her2kg.engines import OxigraphEngine, RdflibEngine  # noqa: E402
from her2kg.namespaces import BASE, ONTOLOGY_HOME, PREFIXES  # noqa: E402
from her2kg.release_graphs import RULES, inferred, merged, subsumptions  # noqa: E402
from her2kg.turtle import write_turtle  # noqa: E402

PAGE = "docs/cheatsheet.md"
BLOCKS = blocks.blocks(PAGE)
PATTERNS = [block for block in BLOCKS if block.language == "sparql"]
PLAIN = [block for block in PATTERNS if "inferred" not in block.info]
INFERRED = [block for block in PATTERNS if "inferred" in block.info]
HEADER = next(block.text for block in BLOCKS if block.language == "text")
FLATTENED = ("her2kg:expr", "her2kg:givesDrug", "her2kg:dependsOn", "her2kg:hasPart")


def place(block):
    return block.text.split("WHERE")[0].strip()


@cache
def flattened(engine):
    kg = KnowledgeGraph(engine=engine)
    kg.complete()
    return kg.engine


@cache
def plain():
    engine = OxigraphEngine()
    for path in graph.module_files():
        engine.load_file(path)
    return engine


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """The inferred copy with the patient of the page, on both engines."""
    kg = KnowledgeGraph()
    example = [ONTOLOGY_HOME / "examples" / "second-line-after-thp.json"]
    triples = inferred(kg, merged(ONTOLOGY_HOME), example, subsumptions(kg, RULES))
    copy = tmp_path_factory.mktemp("copy") / "her2kg-inferred.ttl"
    copy.write_text(write_turtle(triples), encoding="utf-8")
    engines = OxigraphEngine(), RdflibEngine()
    for engine in engines:
        engine.load_file(copy)
    return engines


def test_the_prefixes_are_those_of_the_package():
    lines = [f"PREFIX {name}: <{iri}>" for name, iri in sorted(PREFIXES.items())]
    assert HEADER.splitlines() == lines


def test_the_shape_names_terms_of_the_ontology():
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    shape = text.split("## The shape of the graph")[1].split("## Patterns")[0]
    names = re.findall(r"-(\w+)->", shape) + re.findall(r"^(\w+) +-", shape, re.MULTILINE)
    names += [name for name in re.findall(r"`(?:her2kg:)?(\w+)`", shape) if name != "a"]
    labels = KnowledgeGraph().names.every_label
    assert len(names) > 60
    assert [name for name in names if BASE + name not in labels] == []


def test_the_page_has_its_patterns_each_with_rows():
    assert len(PATTERNS) >= 20
    for block in PATTERNS:
        assert block.output and len(block.output.text.splitlines()) > 1, block.place
        assert "ORDER BY" in block.text and "SELECT *" not in block.text, block.place


@pytest.mark.parametrize("block", PLAIN, ids=place)
def test_a_pattern_gives_the_same_rows_everywhere(block):
    assert not any(name in block.text for name in FLATTENED)
    query = HEADER + block.text
    expected = flattened("oxigraph").select(query)
    assert expected.rows
    assert flattened("rdflib").select(query) == expected
    assert plain().select(query) == expected


@pytest.mark.parametrize("block", INFERRED, ids=place)
def test_a_pattern_of_the_inferred_copy_gives_the_same_rows(block, copies):
    first, second = (engine.select(HEADER + block.text) for engine in copies)
    assert first.rows and first == second
