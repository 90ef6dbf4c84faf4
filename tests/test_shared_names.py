"""A name that several regimens bear means the one that suits the patient best."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from her2kg import KnowledgeGraph
from her2kg.cli import app

FOLDER = Path(__file__).parent.parent / "ontology" / "examples"
RESIDUAL, SECOND_LINE = "early-residual-ypt1a-ypn0", "second-line-after-thp"


@cache
def graph() -> KnowledgeGraph:
    return KnowledgeGraph()


@cache
def answers(name: str):
    return graph().eligibility(FOLDER / f"{name}.json")


@pytest.mark.parametrize("name", ["T-DM1", "t-dm1", "Kadcyla"])
def test_name_means_the_regimen_that_suits(name):
    assert answers(RESIDUAL)[name].regimen == "regimen_t_dm1_post_neoadjuvant"
    assert answers(SECOND_LINE)[name].regimen == "regimen_tdm1"


def test_tie_goes_to_the_regimen_that_the_name_stands_for():
    assert answers("early-adjuvant-1-9-cm")["T-DXd"].regimen == "regimen_tdxd_monotherapy"


def test_look_up_gives_the_regimen_that_the_name_stands_for():
    assert graph().regimen("T-DXd").id == "regimen_tdxd_monotherapy"


def test_regimens_asked_for_by_a_shared_name_are_all_answered():
    found = graph().eligibility(FOLDER / f"{RESIDUAL}.json", regimens=["T-DM1"])
    assert [each.regimen for each in found.regimens] == [
        "regimen_t_dm1_post_neoadjuvant",
        "regimen_tdm1",
    ]


def test_explain_shows_the_regimen_that_suits_first():
    result = CliRunner().invoke(app, ["explain", str(FOLDER / f"{RESIDUAL}.json"), "T-DM1"])
    assert result.exit_code == 0
    first = result.stdout.index("regimen_t_dm1_post_neoadjuvant")
    assert first < result.stdout.index("regimen_tdm1")
