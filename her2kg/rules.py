"""Run the rule files of `queries/`: closure at load, derivation and inference for a patient.

A rule is one CONSTRUCT; run as an update, its first word becomes INSERT and nothing else changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from her2kg.engines import OxigraphEngine, RdflibEngine
from her2kg.namespaces import QUERIES_HOME

_CONSTRUCT = re.compile(r"^CONSTRUCT\b", re.MULTILINE)
_ROUNDS = 50  # a fixpoint takes about as many rounds as the deepest class is nested


def rule_files(folder: str) -> list[Path]:
    """The rule files of one folder of `queries/`, in the order of their names."""
    return sorted((QUERIES_HOME / folder).glob("*.rq"))


@lru_cache(maxsize=16)
def _updates(folder: str, **header: str) -> tuple[str, ...]:
    """The rules of a folder as updates, those whose header has the given entries."""
    texts = [path.read_text(encoding="utf-8") for path in rule_files(folder)]
    wanted = [f"#+ {key}: {value}\n" for key, value in header.items()]
    chosen = [text for text in texts if all(line in text for line in wanted)]
    return tuple(_CONSTRUCT.sub("INSERT", text, count=1) for text in chosen)


@lru_cache(maxsize=16)
def system(name: str) -> str:
    """The text of a file of `queries/system/`."""
    return (QUERIES_HOME / "system" / name).read_text(encoding="utf-8")


def run_folder(engine: OxigraphEngine | RdflibEngine, folder: str) -> None:
    """Run every rule of a folder once, in the order of their names."""
    for update in _updates(folder):
        engine.update(update)


def infer(engine: OxigraphEngine | RdflibEngine) -> int:
    """Run the truth rules to a fixpoint on the individuals that are marked for evaluation.

    Who is judged by others, as a patient by her courses, has a turn after them. What rests on
    contradictory facts is marked and left undecided: the rules run a second time without it.

    Shape: the number of rounds.
    Source: queries/inference/*.rq: in each turn the rules of stage `facts` once, of `propagation`
    repeatedly, of `remaining` when these end, of `last` once
    """
    rounds = _in_turns(engine)
    if engine.select(system("conflicts.rq")).rows[0][0]:
        engine.update(system("mark-conflicts.ru"))
        rounds += _in_turns(engine, after_each=system("drop-conflicting.ru"))
    return rounds


def _in_turns(engine: OxigraphEngine | RdflibEngine, after_each: str | None = None) -> int:
    rounds = 0
    engine.update(system("turn-hold-back.ru"))
    while True:
        now, waiting = engine.select(system("turns.rq")).rows[0]
        ring = waiting and not now
        if ring:
            engine.update(system("turn-all.ru"))
        rounds += _fixpoint(engine, after_each, nested=ring)
        if ring or not waiting:
            engine.update(system("turn-end.ru"))
            return rounds
        engine.update(system("turn-next.ru"))


def _fixpoint(
    engine: OxigraphEngine | RdflibEngine, after_each: str | None, *, nested: bool
) -> int:
    def run(updates: Iterable[str]) -> None:
        for update in updates:
            engine.update(update)
            if after_each is not None:
                engine.update(after_each)

    count = system("inference-progress.rq")
    stages = ("propagation", "nested") if nested else ("propagation",)
    run(_updates("inference", stage="facts"))
    before = (0, 0)
    for done in range(_ROUNDS):
        now = engine.select(count).rows[0]
        if now == before:  # these derive something for few patients, so they wait until now
            run(_updates("inference", stage="remaining"))
            now = engine.select(count).rows[0]
        if now == before:
            run(_updates("inference", stage="last"))
            return done
        # A rule reads memberships or refutations; it can derive more only where those grew.
        grown = [
            kind
            for kind, old, new in zip(("meets", "fails"), before, now, strict=True)
            if new > old
        ]
        before = now
        for kind in grown:
            for stage in stages:
                run(_updates("inference", stage=stage, reads=kind))
    raise RuntimeError("the truth rules found no fixpoint")


def unmark(engine: OxigraphEngine | RdflibEngine) -> None:
    """Take the evaluation mark off every individual."""
    engine.update(system("unmark.ru"))
