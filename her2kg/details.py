"""What is told of a term beside its links: trial results, adverse event rates, grades."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from her2kg.knowledge import KnowledgeGraph, Term
    from her2kg.queries import Rows

# Kind of term: the questions that tell more of it, each with its parameter.
_QUESTIONS = {
    "trial": (("evidence/outcomes-of-trial", "trial"), ("adverse-events/rates-of-trial", "trial")),
    "adverse event": (
        ("adverse-events/rates-of-event", "event"),
        ("adverse-events/ctcae-grades", "event"),
        ("adverse-events/monitoring", "event"),
        ("adverse-events/drugs-causing", "event"),
    ),
}
# Links into a term of the kind that the questions tell better.
TOLD = {"trial": {"her2kg:ofTrial"}, "adverse event": {"her2kg:ofEvent"}}


def details(kg: KnowledgeGraph, term: Term) -> Mapping[str, Rows]:
    """Ask the questions that tell more of a term; only those with rows are given.

    Shape: name of the question -> its rows, in the order to show them.
    """
    found: dict[str, Rows] = {}
    for name, parameter in _QUESTIONS.get(term.kind, ()):
        values = {parameter: f"<{term.iri}>"}
        if name.endswith("ctcae-grades"):
            values["version"] = "UNDEF"
        rows = kg.query(name, **values)
        if rows.rows:
            found[name] = rows
    return found
