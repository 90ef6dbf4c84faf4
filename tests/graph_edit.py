"""Change one fact of a loaded graph for as long as a block lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from mutation import Mutant

from her2kg import KnowledgeGraph
from her2kg.namespaces import BASE

_PREFIXES = f"PREFIX her2kg: <{BASE}> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> "


def _fact(mutant: Mutant, value: Any) -> str:
    prop = "a" if mutant.prop == "a" else f"her2kg:{mutant.prop}"
    term = f'"{value.isoformat()}"^^xsd:date' if isinstance(value, date) else f"<{value}>"
    return f"her2kg:{mutant.subject} {prop} {term}"


@contextmanager
def edited(kg: KnowledgeGraph, mutant: Mutant) -> Iterator[None]:
    """The graph with the value of one property of a claim or rule changed.

    Errors: ValueError if the old value is not there or the new one is.
    """
    facts = {word: _fact(mutant, getattr(mutant, word)) for word in ("old", "new")}
    if mutant.new is None:
        del facts["new"]
    for word, fact in facts.items():
        ((there,),) = kg.engine.select(f"{_PREFIXES} ASK {{ {fact} }}").rows
        if there != (word == "old"):
            raise ValueError(f"{mutant.name}: the graph does not hold what is to be changed")
    update = kg.engine.update
    update(f"{_PREFIXES} DELETE DATA {{ {facts['old']} }}")
    if "new" in facts:
        update(f"{_PREFIXES} INSERT DATA {{ {facts['new']} }}")
    try:
        yield
    finally:
        if "new" in facts:
            update(f"{_PREFIXES} DELETE DATA {{ {facts['new']} }}")
        update(f"{_PREFIXES} INSERT DATA {{ {facts['old']} }}")
