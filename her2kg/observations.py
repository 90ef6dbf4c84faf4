"""What a record says about each criterion, in words for the reasons."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from her2kg.namespaces import Iri


def observations(ask: Any, patient: str) -> dict[Iri, str]:
    """For each class, what the record says of it, in words."""
    courses = _courses(ask, patient)
    bearing: dict[Iri, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for iri, course, status in ask("course-observations", patient=f"<{patient}>"):
        bearing[iri][status].append(courses.get(course, course.local))
    stated: dict[Iri, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for iri, _, label, value, value_label, unit in ask("observations", patient=f"<{patient}>"):
        stated[iri][label].append(_shown(value, value_label, unit))
    history = dict(ask("history-classes", patient=f"<{patient}>"))
    found = {}
    for iri in {*stated, *history}:
        parts = [f"{label}: {', '.join(values)}" for label, values in sorted(stated[iri].items())]
        if iri in history:
            parts.append(_history(bearing[iri], complete=history[iri]))
        found[iri] = "; ".join(parts)
    return found


def _history(bearing: dict[str, list[str]], *, complete: bool) -> str:
    """Which courses bear on a criterion, and whether the list of courses is complete."""
    parts = list(bearing["met"])
    parts += [f"{course} (may count)" for course in bearing["unknown"]]
    parts += [f"{course} (does not count)" for course in bearing["outside"]]
    text = "; ".join(parts) or "no such course recorded"
    return text if complete else f"{text}; the list of therapies is not stated to be complete"


def _courses(ask: Any, patient: str) -> dict[Iri, str]:
    drugs: dict[Iri, list[str]] = defaultdict(list)
    heads: dict[Iri, tuple[Any, ...]] = {}
    for course, _, setting, start, end, outcome, drug, months in ask(
        "courses", patient=f"<{patient}>"
    ):
        heads[course] = (setting, start, end, outcome, months)
        if drug:
            drugs[course].append(drug)
    texts = {}
    for course, (setting, start, end, outcome, months) in heads.items():
        what = " + ".join(drugs[course]) or "drugs not recorded"
        dates = f"{start or '?'} to {end or '?'}" if start or end else None
        relapse = f"{_number(months)} months to recurrence" if months is not None else None
        texts[course] = f"{what} ({', '.join(x for x in (setting, dates, outcome, relapse) if x)})"
    return texts


def _number(value: Decimal | int) -> str:
    text = f"{Decimal(value):.1f}"
    return text.removesuffix(".0")


def _shown(value: Any, label: str | None, unit: str | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        text = f"{round(value, 2).normalize():f}"
        return f"{text}{unit if unit == '%' else ' ' + unit}" if unit else text
    return str(label or value)
