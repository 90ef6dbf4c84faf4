"""The summary of a cohort as a table in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from her2kg.cohort.claims import ANY
from her2kg.cohort.summary import Summary
from her2kg.page import Page, Screen, new_table, styled
from her2kg.verdicts import VERDICTS


def summary_page(
    summary: Summary,
    excluded: list[dict[str, Any]],
    labels: Mapping[str, str],
    top: int,
    screen: Screen,
) -> str:
    """Verdicts by regimen, what excludes most, which facts are missing most."""
    page = Page(screen)
    page.line((f"{summary.patients:,} patients", "bold"))
    if summary.outside:
        page.line((f"{summary.outside:,} of them lie outside what the graph covers", "dim"))
    page.gap()
    table = new_table()
    table.add_column(styled("regimen"), ratio=1, overflow="fold")
    for way in VERDICTS:
        table.add_column(styled(way), justify="right", no_wrap=True)
    every = [(name, regimen) for name, regimen, basis in summary.columns if basis == ANY]
    every.sort(key=lambda each: (-summary.verdicts[each[0], VERDICTS[0]], labels.get(each[1], "")))
    for name, regimen in every:
        numbers = [f"{summary.verdicts[name, way]:,}" for way in VERDICTS]
        table.add_row(styled(labels.get(regimen, regimen)), *map(styled, numbers))
    page.table(table)
    if excluded:
        page.gap()
        page.line(("What excludes most", "bold"))
        table = new_table()
        table.add_column(styled("patients"), justify="right", no_wrap=True)
        table.add_column(styled("criterion"), ratio=1, overflow="fold")
        table.add_column(styled("regimen"), ratio=1, overflow="fold")
        for each in excluded:
            regimen = labels.get(each["regimen"], each["regimen"])
            table.add_row(styled(f"{each['patients']:,}"), styled(each["label"]), styled(regimen))
        page.table(table)
    if top and summary.missing:
        page.gap()
        page.line(("Facts most often missing, where a claim waits for one", "bold"))
        table = new_table()
        table.add_column(styled("patients"), justify="right", no_wrap=True)
        table.add_column(styled("fact"), ratio=1, overflow="fold")
        for path, number in summary.missing.most_common(top):
            table.add_row(styled(f"{number:,}"), styled(path))
        page.table(table)
    return str(page)


def what_if_page(
    table: Any, words: tuple[str, ...], patients: int, labels: Mapping[str, str], screen: Screen
) -> str:
    """The regimens for which a number changes, those with most gained first."""
    page = Page(screen)
    for each in words:
        page.line((each, "bold"))
    page.line((counted(patients, "patient"), "dim"))
    if not table.height:
        page.line("No verdict changes.")
        return str(page)
    page.gap()
    drawn = new_table()
    drawn.add_column(styled("regimen"), ratio=1, overflow="fold")
    for head in ("eligible", "after", "gained", "lost", "undetermined", "after"):
        drawn.add_column(styled(head), justify="right", no_wrap=True)
    names = (
        "eligible_before",
        "eligible_after",
        "gained",
        "lost",
        "undetermined_before",
        "undetermined_after",
    )
    for row in table.to_dicts():
        label = labels.get(row["regimen"], row["regimen"])
        drawn.add_row(styled(label), *(styled(f"{row[name]:,}") for name in names))
    page.table(drawn)
    return str(page)


def counted(number: int, thing: str) -> str:
    """A number of things in words: 1 patient, 2,000 patients."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
