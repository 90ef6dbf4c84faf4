"""Registers of every claim and safety rule, so that none changes unseen.

Example patients cannot show the day of each claim, or the kind of a rule that never enters an
answer. `python -m tests.test_registers` writes the registers anew: read the difference, and keep
it only where the source says so.
"""

from __future__ import annotations

import csv
import io
import sys
from functools import cache
from pathlib import Path

import pytest

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))

from test_queries import cell

from her2kg import KnowledgeGraph
from her2kg.files import replace_text

DATA = Path(__file__).parent / "data"
REGISTERS = {
    "claim": """
        SELECT ?claim ?regimen ?basis ?jurisdiction ?setting ?validFrom ?validUntil ?population
        WHERE {
          ?claim her2kg:ofRegimen ?regimen ; her2kg:population ?population ; her2kg:basis ?basis ;
            her2kg:setting ?setting ; her2kg:validFrom ?validFrom .
          OPTIONAL { ?claim her2kg:jurisdiction ?jurisdiction }
          OPTIONAL { ?claim her2kg:validUntil ?validUntil }
        } ORDER BY ?claim ?jurisdiction""",
    "rule": """
        SELECT ?rule ?kind ?appliesTo ?patientClass ?jurisdiction ?validFrom WHERE {
          ?kind rdfs:subClassOf* her2kg:SafetyRule . ?rule a ?kind .
          OPTIONAL { ?rule her2kg:appliesTo ?appliesTo }
          OPTIONAL { ?rule her2kg:patientClass ?patientClass }
          OPTIONAL { ?rule her2kg:jurisdiction ?jurisdiction }
          OPTIONAL { ?rule her2kg:validFrom ?validFrom }
        } ORDER BY ?rule ?kind ?appliesTo ?patientClass ?jurisdiction""",
}


@cache
def graph() -> KnowledgeGraph:
    return KnowledgeGraph()


def path(name: str) -> Path:
    return DATA / f"register-{name}s.csv"


def found(kg: KnowledgeGraph, name: str) -> list[list[str]]:
    """The register as the graph has it, its columns first."""
    rows = kg.select(REGISTERS[name])
    return [list(rows.columns), *([cell(value) for value in row] for row in rows)]


@cache
def written(name: str) -> list[list[str]]:
    """The register as the file has it."""
    return list(csv.reader(io.StringIO(path(name).read_text(encoding="utf-8"))))


@pytest.mark.parametrize("name", sorted(REGISTERS))
def test_register_is_unchanged(name):
    now, before = ({tuple(row) for row in rows} for rows in (found(graph(), name), written(name)))
    wrong = [f"not in {path(name).name}: {', '.join(row)}" for row in sorted(now - before)]
    wrong += [f"not in the ontology: {', '.join(row)}" for row in sorted(before - now)]
    assert not wrong, "\n".join(wrong)


def write_registers() -> None:
    for name in REGISTERS:
        target = io.StringIO()
        csv.writer(target, lineterminator="\n").writerows(found(graph(), name))
        replace_text(path(name), target.getvalue())


if __name__ == "__main__":
    write_registers()
