"""What a record says about each criterion, in words for the reasons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from decimal import Decimal
from typing import Any

from her2kg.namespaces import Iri


class Observer:
    """Words for what a record says; keeps what does not depend on a patient."""

    def __init__(self, ask: Any, classes: Collection[Iri]) -> None:
        self._ask = ask
        self._properties: dict[Iri, list[Iri]] = defaultdict(list)
        for iri, prop in ask("criterion-properties"):
            if iri in classes:
                self._properties[iri].append(prop)
        self._history: dict[Iri, list[Any]] = defaultdict(list)
        for iri, asked in ask("history-classes"):
            if iri in classes:
                self._history[iri].append(asked)

    def observations(self, patient: str) -> dict[Iri, str]:
        """For each class, what the record says of it, in words."""
        about = {"patient": f"<{patient}>"}
        stated: dict[Iri, tuple[str, list[str]]] = {}
        for prop, label, value, value_label, unit in self._ask("observations", **about):
            stated.setdefault(prop, (label, []))[1].append(_shown(value, value_label, unit))
        courses = _courses(self._ask, patient)
        bearing: dict[Any, list[tuple[Iri, str]]] = defaultdict(list)
        for asked, course, status in self._ask("course-observations", **about):
            bearing[asked].append((course, status))
        complete = self._ask("history-complete", **about)[0][1]
        found = {}
        for iri in {*self._properties, *self._history}:
            known = sorted(stated[p] for p in self._properties[iri] if p in stated)
            parts = [f"{label}: {', '.join(values)}" for label, values in known]
            if iri in self._history:
                texts: dict[str, list[str]] = defaultdict(list)
                rows = {row for asked in self._history[iri] for row in bearing[asked]}
                for course, status in sorted(rows):
                    texts[status].append(courses.get(course, course.local))
                parts.append(_history(texts, complete=complete))
            if parts:
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
