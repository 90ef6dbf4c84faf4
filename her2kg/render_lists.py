"""Terms, questions, rows and findings as tables for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from her2kg import render_trials
from her2kg.details import TOLD
from her2kg.namespaces import BASE, Blank, Iri
from her2kg.output import cell
from her2kg.page import Page, Screen, counted, new_table, styled

if TYPE_CHECKING:
    from her2kg.checks import Finding
    from her2kg.knowledge import Link, Term
    from her2kg.queries import Query, Rows

_SHOWN_ABOVE = {"rdfs:label", "skos:altLabel", "skos:definition"}
# What flattening and the truth rules add to the graph; CSV and JSON have it.
_MACHINERY = re.compile(
    r"her2kg:(expr\w*|hasPart|hasDirectPart|dependsOn|differsFrom|isOfKind|meets|fails)$"
)
_MATCH = re.compile(r"skos:\w+Match$")  # shown as codes
_MAPPING = f"{BASE}mapping_"
_SECTIONS = (("out", "What is stated of it"), ("in", "Where it is used"))


def terms_table(
    terms: Sequence[Term], screen: Screen, details: Mapping[str, Mapping[str, Rows]] | None = None
) -> str:
    """Draw terms with their links in groups, then what more is told of each by its IRI."""
    page = Page(screen)
    if len(terms) > 1:
        page.line((f"{len(terms)} terms bear this name.", "dim"))
    for number, term in enumerate(terms):
        if number or len(terms) > 1:
            page.gap()
        page.line((term.label, "bold"), (f"  {term.kind}, {term.id}", "dim"), hang=2)
        if term.definition:
            page.line(term.definition, indent=2)
        if term.synonyms:
            page.line(("also: ", "dim"), ", ".join(term.synonyms), indent=2, hang=2)
        if term.codes:
            page.gap()
            page.line(("Its codes", "bold"), indent=2)
        for code in term.codes:
            name = f", {code.label}" if code.label and code.label != term.label else ""
            recalled = " (recalled, to be checked)" if code.confidence == "recalled" else ""
            parts = (f"{code.system}:{code.code}", "cyan"), f"  {code.match} match{name}{recalled}"
            page.line(*parts, indent=4, hang=2)
        for direction, title in _SECTIONS:
            groups: dict[str, list[Link]] = {}
            for link in term.links:
                if link.direction != direction or not _worth_showing(link):
                    continue
                if direction == "out" or link.property not in TOLD.get(term.kind, ()):
                    groups.setdefault(link.property, []).append(link)
            if groups:
                page.gap()
                page.line((title, "bold"), indent=2)
            for name, links in groups.items():
                _link_group(page, links[0].property_label or _words(name), links)
        render_trials.draw(page, (details or {}).get(term.iri, {}))
    return str(page)


def _worth_showing(link: Link) -> bool:
    built_in = isinstance(link.value, Iri) and link.value.endswith("#NamedIndividual")
    return not (
        built_in
        or isinstance(link.value, Blank)
        or _MACHINERY.match(link.property)
        or (link.direction == "out" and _MATCH.match(link.property))
        or (link.direction == "in" and str(link.value).startswith(_MAPPING))
        or (link.direction == "out" and link.property in _SHOWN_ABOVE)
    )


def _link_group(page: Page, name: str, links: Sequence[Link]) -> None:
    def parts(link: Link) -> list[Any]:
        if isinstance(link.value, Iri) and link.label:
            return [link.label, (f" [{cell(link.value)}]", "dim")]
        return [cell(link.value)]

    if len(links) == 1:
        page.line((f"{name}: ", "cyan"), *parts(links[0]), indent=4, hang=2)
        return
    page.line((f"{name} ({len(links)})", "cyan"), indent=4)
    for link in links:
        page.line(*parts(link), indent=6, hang=2)


def _words(curie: str) -> str:
    """A property name as words: her2kg:hasComponent is "has component"."""
    local = curie.rsplit(":", 1)[-1].rstrip(">")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", local).lower()


def queries_table(found: Iterable[Query], screen: Screen) -> str:
    """Draw the list of questions: name and summary."""
    page = Page(screen)
    table = new_table()
    table.add_column("name", overflow="fold", min_width=24)
    table.add_column("summary", ratio=1, overflow="fold")
    for query in found:
        table.add_row(styled((query.name, "cyan")), styled(query.summary))
    page.table(table)
    return str(page)


def rows_table(rows: Rows, screen: Screen) -> str:
    """Draw rows as a table or, where the columns do not fit, one block a row."""
    page = Page(screen)
    if not rows.rows:
        return ""
    shown = [[cell(value) for value in row] for row in rows.rows]
    longest = [
        _longest_word([name, *each]) for name, *each in zip(rows.columns, *shown, strict=True)
    ]
    if sum(min(width, 24) + 1 for width in longest) > screen.width + 1:
        wide = max(len(name) for name in rows.columns)
        for number, row in enumerate(shown, 1):
            if number > 1:
                page.gap()
            page.line((f"row {number} of {len(shown)}", "dim"))
            table = new_table(head=False)
            table.add_column(width=min(wide, screen.width // 3), overflow="fold")
            table.add_column(ratio=1, overflow="fold")
            for name, value in zip(rows.columns, row, strict=True):
                table.add_row(styled((name, "cyan")), styled(value))
            page.table(table, indent=2)
        return str(page)
    table = new_table()
    table.expand = False
    for name, width in zip(rows.columns, longest, strict=True):
        table.add_column(styled(name), overflow="fold", min_width=min(width, 24))
    for row in shown:
        table.add_row(*(styled(value) for value in row))
    page.table(table)
    return str(page)


def _longest_word(texts: Iterable[str]) -> int:
    return max((len(word) for text in texts for word in text.split()), default=1)


def findings_table(findings: Sequence[Finding], screen: Screen) -> str:
    """Draw findings grouped by the rule that found them."""
    page = Page(screen)
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.rule, []).append(finding)
    for number, (rule, found) in enumerate(groups.items()):
        if number:
            page.gap()
        page.line((rule, "bold"), f": {counted(len(found), 'finding')}")
        for each in found:
            term = each.term.replace(BASE, "her2kg:")
            page.line((term, "cyan"), f": {each.problem}", indent=2, hang=2)
    return str(page)
