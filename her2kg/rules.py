"""Run the rule files of `queries/`: closure at load, derivation and inference for a patient.

A rule is one CONSTRUCT; run as an update, its first word becomes INSERT and nothing else changes.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from her2kg.engines import OxigraphEngine, RdflibEngine
from her2kg.namespaces import QUERIES_HOME

_STAGE = re.compile(r"^#\+ stage: (\w+)", re.MULTILINE)
_CONSTRUCT = re.compile(r"^CONSTRUCT\b", re.MULTILINE)
_ROUNDS = 50  # a fixpoint takes about as many rounds as the deepest class is nested


def rule_files(folder: str) -> list[Path]:
    """The rule files of one folder of `queries/`, in the order of their names."""
    return sorted((QUERIES_HOME / folder).glob("*.rq"))


@lru_cache(maxsize=16)
def _updates(folder: str, stage: str | None = None) -> tuple[str, ...]:
    texts = [path.read_text(encoding="utf-8") for path in rule_files(folder)]
    if stage is not None:
        texts = [text for text in texts if (m := _STAGE.search(text)) and m.group(1) == stage]
    return tuple(_CONSTRUCT.sub("INSERT", text, count=1) for text in texts)


@lru_cache(maxsize=8)
def system(name: str) -> str:
    """The text of a file of `queries/system/`."""
    return (QUERIES_HOME / "system" / name).read_text(encoding="utf-8")


def run_folder(engine: OxigraphEngine | RdflibEngine, folder: str) -> None:
    """Run every rule of a folder once, in the order of their names."""
    for update in _updates(folder):
        engine.update(update)


def infer(engine: OxigraphEngine | RdflibEngine) -> int:
    """Run the truth rules to a fixpoint on the individuals that are marked for evaluation.

    Shape: the number of rounds.
    Source: queries/inference/*.rq (rules of stage `facts` once, of stage `propagation` repeatedly)
    """
    count = system("inference-progress.rq")
    for update in _updates("inference", "facts"):
        engine.update(update)
    before = -1
    for done in range(_ROUNDS):
        now = engine.select(count).rows[0][0]
        if now == before:
            return done
        before = now
        for update in _updates("inference", "propagation"):
            engine.update(update)
    raise RuntimeError("the truth rules found no fixpoint")


def unmark(engine: OxigraphEngine | RdflibEngine) -> None:
    """Take the evaluation mark off every individual."""
    engine.update(system("unmark.ru"))
