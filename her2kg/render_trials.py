"""Trial outcomes, adverse event rates, grades and causes as tables for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from her2kg.output import cell
from her2kg.page import Page, new_table, styled

if TYPE_CHECKING:
    from her2kg.queries import Rows

Row = dict[str, Any]
RECALLED = "*"
# Columns of rates with the words that stand before the figure and the unit after it.
_FIGURES = (
    ("anyGradePercent", "", "%"),
    ("grade3OrHigherPercent", "grade 3+ ", "%"),
    ("grade3Percent", "grade 3 ", "%"),
    ("grade4Percent", "grade 4 ", "%"),
    ("fatalPercent", "fatal ", "%"),
    ("deaths", "deaths ", ""),
    ("seriousPercent", "serious ", "%"),
    ("discontinuationPercent", "stopped ", "%"),
)


def draw(page: Page, details: Mapping[str, Rows]) -> None:
    """Draw the answers to the questions about a term, one section each."""
    for name, rows in details.items():
        page.gap()
        _DRAWN[name](page, rows.to_dicts())


def _outcomes(page: Page, rows: Sequence[Row]) -> None:
    """A line for each outcome: what each arm showed and how the arms compare."""
    page.line(("Outcomes", "bold"), indent=2)
    arms = _arms(page, rows)
    sources = _Sources()
    table = new_table()
    table.add_column("endpoint", ratio=7, overflow="fold")
    for number in arms:
        table.add_column(f"arm {number}", ratio=5, overflow="fold")
    table.add_column("comparison", ratio=8, overflow="fold")
    for same in _grouped(rows, "outcome").values():
        first = same[0]
        results: dict[int, list[str]] = {}
        for row in same:
            if row["arm"] is not None:
                told = results.setdefault(int(row["armOrder"]), [])
                text = _result(row)
                if text not in told:
                    told.append(text)
        about = [first["endpointText"]]
        if first["population"] and first["population"] not in first["endpointText"]:
            about.append(f"in: {first['population']}")
        if first["followUp"]:
            about.append(f"follow-up {first['followUp']}")
        mark = RECALLED if first["confidence"] == "recalled" else ""
        head = styled(f"{about[0]}{mark} ", (sources.mark(same), "dim"))
        for more in about[1:]:
            head.append(f"\n{more}", style="dim")
        cells = ["\n".join(results.get(number, ["-"])) for number in arms]
        table.add_row(head, *(styled(each) for each in cells), styled(_comparison(first)))
    page.gap()
    page.table(table, indent=4)
    _foot(page, sources, rows)


def _result(row: Row) -> str:
    """The figure of an arm, in the words of the evidence where it is no number."""
    if row["value"] is None:
        text = str(row["stated"])
    else:
        unit = row["unit"] if row["unit"].startswith("%") else f" {row['unit']}"
        text = f"{cell(row['value'])}{unit}"
        if row["lower"] is not None or row["upper"] is not None:
            upper = "not reached" if row["upper"] is None else cell(row["upper"])
            text += f" ({cell(row['lower'])} to {upper})"
        if row["atMonths"] is not None:
            text += f" at {cell(row['atMonths'])} months"
    if row["patients"] is not None and row["assessed"] is not None and row["value"] is not None:
        text += f", {cell(row['patients'])} of {cell(row['assessed'])}"
    elif row["patients"] is not None and row["value"] is not None:
        text += f", {cell(row['patients'])} patients"
    if row["subgroup"] and row["subgroup"] != row["population"]:
        text = f"{row['subgroup']}: {text}"
    different = row["resultConfidence"] == "recalled" != row["confidence"]
    return text + (RECALLED if different else "")


def _comparison(row: Row) -> str:
    parts = []
    if row["hazardRatio"] is not None:
        text = f"HR {cell(row['hazardRatio'])}"
        if row["hrLower"] is not None:
            level = row["hrLevelPercent"]
            shown = f", {cell(level)}%" if level is not None and level != 95 else ""
            text += f" ({cell(row['hrLower'])} to {cell(row['hrUpper'])}{shown})"
        parts.append(text)
    if row["difference"] is not None:
        text = f"difference {cell(row['difference'])} {row['differenceUnit']}"
        if row["differenceLower"] is not None:
            text += f" ({cell(row['differenceLower'])} to {cell(row['differenceUpper'])})"
        parts.append(text)
    if row["reductionPercent"] is not None:
        parts.append(f"risk lower by {cell(row['reductionPercent'])}%")
    elif row["outcomeStated"] and row["difference"] is None:
        parts.append(row["outcomeStated"])
    if row["pValue"]:
        parts.append(f"p {row['pValue']}")
    pair = [re.search(r" arm (\d+): ", row[arm] or "") for arm in ("experimental", "control")]
    if parts and all(pair) and [m[1] for m in pair if m] != ["1", "2"]:
        parts.append("arm " + " against arm ".join(m[1] for m in pair if m))
    return "; ".join(parts) or "-"


def _rates_of_trial(page: Page, rows: Sequence[Row]) -> None:
    """A line for each event and population, a column for each arm."""
    page.line(("Adverse event rates", "bold"), indent=2)
    arms = _arms(page, rows)
    sources = _Sources()
    table = new_table()
    table.add_column("event", ratio=6, overflow="fold")
    for number in arms:
        table.add_column(f"arm {number}", ratio=7, overflow="fold")
    for (label, population), same in _grouped(rows, "eventLabel", "population").items():
        figures: dict[int, list[str]] = {}
        for same_rate in _grouped(same, "rate").values():
            told = figures.setdefault(int(same_rate[0]["armOrder"]), [])
            told.append(_figures(same_rate[0]))
        head = styled(f"{label} ", (sources.mark(same), "dim"))
        if population:
            head.append(f"\n{population}", style="dim")
        cells = ["\n".join(figures.get(number, ["-"])) for number in arms]
        table.add_row(head, *(styled(each) for each in cells))
    page.gap()
    page.table(table, indent=4)
    _foot(page, sources, rows)


def _figures(row: Row) -> str:
    parts = [
        f"{before}{cell(row[column])}{unit}"
        for column, before, unit in _FIGURES
        if row[column] is not None
    ]
    if row["otherPercent"] is not None:
        parts.append(f"{row['severity']}: {cell(row['otherPercent'])}%")
    if row["patients"] is not None:
        whole = f" of {cell(row['assessed'])}" if row["assessed"] is not None else ""
        parts.append(f"{cell(row['patients'])}{whole} patients")
    text = ", ".join(parts) or str(row["severity"] or row.get("stated") or "no figure stated")
    return text + (RECALLED if row["confidence"] == "recalled" else "")


def _rates_of_event(page: Page, rows: Sequence[Row]) -> None:
    """A line for each trial arm in which the event was counted."""
    page.line(("How often it was seen, arm by arm", "bold"), indent=2)
    page.gap()
    sources = _Sources()
    table = new_table()
    table.add_column("trial and arm", ratio=8, overflow="fold")
    table.add_column("frequency", ratio=6, overflow="fold")
    for same in _grouped(rows, "rate").values():
        row = same[0]
        what = "" if row["seen"] == row["event"] else f"{row['seenLabel']}: "
        head = styled(f"{row['armLabel']} ", (sources.mark(same), "dim"))
        if row["population"]:
            head.append(f"\n{row['population']}", style="dim")
        table.add_row(head, styled(what + _figures(row)))
    page.table(table, indent=4)
    _foot(page, sources, rows)


def _grades(page: Page, rows: Sequence[Row]) -> None:
    page.line(("What its grades mean", "bold"), indent=2)
    for version, same in _grouped(rows, "versionLabel").items():
        page.line((version[0], "cyan"), indent=4)
        for row in same:
            name = "changed: " if row["grade"] is None else f"grade {cell(row['grade'])}: "
            page.line((name, "dim"), row["text"], indent=6, hang=2)


def _monitoring(page: Page, rows: Sequence[Row]) -> None:
    page.line(("What to watch", "bold"), indent=2)
    for row in rows:
        mark = RECALLED if row["confidence"] == "recalled" else ""
        page.line(row["text"] + mark, (f" [{cell(row['source'])}]", "dim"), indent=4, hang=2)


def _causes(page: Page, rows: Sequence[Row]) -> None:
    page.line(("Drugs said to cause it", "bold"), indent=2)
    for kind, same in _grouped(rows, "kind").items():
        stated = dict.fromkeys(
            row["asStated"] + (RECALLED if row["confidence"] == "recalled" else "") for row in same
        )
        page.line((f"{kind[0]}: ", "cyan"), ", ".join(stated), indent=4, hang=2)
    _foot(page, None, rows)


class _Sources:
    """Sources by number, in the order in which they are met."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def mark(self, rows: Iterable[Row]) -> str:
        found = dict.fromkeys(cell(row["source"]) for row in rows)
        numbers = [self.numbers.setdefault(each, len(self.numbers) + 1) for each in found]
        return "".join(f"[{number}]" for number in numbers)


def _arms(page: Page, rows: Sequence[Row]) -> list[int]:
    """Tell what the numbers of the arms stand for."""
    labels = {int(row["armOrder"]): row["armLabel"] for row in rows if row["arm"] is not None}
    for number in sorted(labels):
        name = re.sub(r"^.*? arm \d+: ", "", labels[number])
        page.line((f"arm {number}: ", "cyan"), name, indent=4, hang=2)
    return sorted(labels)


def _grouped(rows: Iterable[Row], *columns: str) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in columns), []).append(row)
    return groups


def _foot(page: Page, sources: _Sources | None, rows: Iterable[Row]) -> None:
    for source, number in (sources.numbers if sources else {}).items():
        page.line((f"[{number}] {source}", "dim"), indent=4, hang=4)
    if any("recalled" in (row["confidence"], row.get("resultConfidence")) for row in rows):
        page.line((f"{RECALLED} recalled, to be confirmed", "dim"), indent=4)


_DRAWN: dict[str, Callable[[Page, Sequence[Row]], None]] = {
    "evidence/outcomes-of-trial": _outcomes,
    "adverse-events/rates-of-trial": _rates_of_trial,
    "adverse-events/rates-of-event": _rates_of_event,
    "adverse-events/ctcae-grades": _grades,
    "adverse-events/monitoring": _monitoring,
    "adverse-events/drugs-causing": _causes,
}
