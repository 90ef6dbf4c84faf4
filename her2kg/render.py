"""Answers, terms and rows as text: tables for people, CSV and JSON for programs.

Text from a record or a query is inert here: rich markup is never parsed, and control characters
and marks that reorder text are written as escapes. rich is imported only when a table is drawn.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from her2kg.namespaces import BASE, Blank, Iri

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from her2kg.checks import Finding
    from her2kg.eligibility import Answers, ClaimVerdict, Reason, RegimenVerdict, RuleNote
    from her2kg.knowledge import Term
    from her2kg.queries import Query, Rows

DISCLAIMER = "For research and education; not medical advice."
NARROW, WIDE = 80, 120
_FEW = 6  # undetermined regimens whose missing facts are told one by one

_STYLES = {
    "eligible": "bold green",
    "met": "green",
    "undetermined": "bold yellow",
    "unknown": "bold yellow",
    "conflicting": "bold magenta",
    "ineligible": "red",
    "unmet": "bold red",
}
_MARKS = {
    "eligible": "✓",
    "met": "✓",
    "undetermined": "?",
    "unknown": "?",
    "conflicting": "≠",
    "ineligible": "✗",
    "unmet": "✗",
    None: "·",
}
_ASCII_MARKS = {
    "eligible": "+",
    "met": "+",
    "undetermined": "?",
    "unknown": "?",
    "conflicting": "#",
    "ineligible": "x",
    "unmet": "x",
    None: ".",
}
_VERDICTS = ("eligible", "undetermined", "ineligible")
_URGENCY = {"unmet": 0, "conflicting": 1, "unknown": 2, "met": 3}
# C0, DEL, C1, soft hyphen, zero-width and direction marks, line separators, BOM, lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_FORMULA = re.compile(r"[=+@\t\r-](?![\d.]*$)")
_HEAD = "    \n    \n -- \n    \n    \n    \n    \n    \n"


def inert(text: object) -> str:
    """Write text so that a terminal shows it and does not obey it."""
    return _UNSAFE.sub(lambda m: m[0].encode("unicode_escape").decode("ascii"), str(text))


# Tables


@dataclass(frozen=True)
class Screen:
    """Where a table goes: its width in columns, with colour or not, Unicode or plain ASCII."""

    width: int = NARROW
    colour: bool = False
    unicode: bool = True


class _Page:
    """Text that grows from top to bottom."""

    def __init__(self, screen: Screen) -> None:
        from rich.console import Console

        self.screen = screen
        self.marks = _MARKS if screen.unicode else _ASCII_MARKS
        self._file = io.StringIO()
        self._console = Console(
            file=self._file,
            width=screen.width,
            force_terminal=screen.colour,
            color_system="standard" if screen.colour else None,
            no_color=not screen.colour,
            legacy_windows=False,
            markup=False,
            emoji=False,
            highlight=False,
        )

    def line(self, *parts: str | tuple[str, str], indent: int = 0, hang: int = 0) -> None:
        """Add a paragraph; a part is text, or text and its style."""
        from rich.padding import Padding

        styled = _text(*parts)
        if not hang:
            self._console.print(Padding(styled, (0, 0, 0, indent)))
            return
        lines = styled.wrap(self._console, max(self.screen.width - indent - hang, 10))
        for number, each in enumerate(lines):
            each.rstrip()
            left = indent if number == 0 else indent + hang
            self._console.print(Padding(each, (0, 0, 0, left)))

    def gap(self) -> None:
        self._console.print()

    def table(self, table: Table, indent: int = 0) -> None:
        from rich.padding import Padding

        self._console.print(Padding(table, (0, 0, 0, indent)))

    def mark(self, status: str | None, *, word: bool = False) -> tuple[str, str]:
        """The symbol of a verdict or status, with its word if wanted, and its style."""
        text = self.marks[status]
        return (f"{text} {status}" if word else text), _STYLES.get(status or "", "dim")

    def __str__(self) -> str:
        text = self._file.getvalue()
        if not self.screen.colour:
            text = "\n".join(line.rstrip() for line in text.split("\n"))
        return text


def _text(*parts: str | tuple[str, str]) -> Text:
    from rich.text import Text

    text = Text()
    for part in parts:
        content, style = (part, "") if isinstance(part, str) else part
        text.append("\n".join(inert(line) for line in content.split("\n")), style=style)
    return text


def _table(*, head: bool = True) -> Table:
    from rich.box import Box
    from rich.table import Table

    return Table(
        box=Box(_HEAD, ascii=True) if head else None,
        show_header=head,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        expand=True,
        header_style="dim",
    )


def _broken(identifier: str, width: int) -> str:
    """An id that is wider than its column, cut after underscores."""
    lines = [""]
    for piece in re.findall(r"[^_]*_|[^_]+", inert(identifier)):
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def eligible_table(answers: Answers, screen: Screen) -> str:
    """Draw the verdict of every regimen, grouped by verdict, with cautions and missing facts."""
    page = _Page(screen)
    _head_of_answer(page, answers)
    for verdict in _VERDICTS:
        group = [each for each in answers.regimens if each.verdict == verdict]
        if not group:
            continue
        page.gap()
        mark, style = page.mark(verdict)
        page.line((f"{mark} {verdict.capitalize()}: {_count(len(group), 'regimen')}", style))
        page.gap()
        page.table(_verdict_table(page, group, answers.bases, verdict))
    page.gap()
    _legend(page, (*_VERDICTS, None))
    _summary_of_notes(page, answers.regimens)
    page.gap()
    page.line((f"Record sha256 {answers.record_sha256}", "dim"))
    return str(page)


def _head_of_answer(page: _Page, answers: Answers) -> None:
    day = f", as of {answers.as_of} (knowledge {answers.knowledge_version})"
    page.line("Patient ", (answers.patient, "bold"), day, hang=2)
    bases, places = ", ".join(answers.bases), ", ".join(answers.jurisdictions)
    page.line(f"Claims asked for: {bases}; jurisdictions: {places}", hang=2)
    page.line((DISCLAIMER, "dim"))
    if answers.scope != "inside":
        page.gap()
        note = answers.scope_note or "This record is not covered; the verdicts do not apply."
        page.line(("OUTSIDE THE KNOWLEDGE", "bold reverse red"), (f"  {note}", "bold"), hang=2)


def _verdict_table(
    page: _Page, group: Sequence[RegimenVerdict], bases: Sequence[str], verdict: str
) -> Table:
    wide = page.screen.width >= 100
    heads = {"guideline": "guideline" if wide else "guide-\nline"}
    table = _table()
    table.add_column("verdict", width=14)
    table.add_column("regimen", ratio=1, overflow="fold")
    for basis in bases:
        table.add_column(heads.get(basis, basis), justify="center", width=9 if wide else 6)
    if verdict != "ineligible":
        table.add_column(
            "cautions" if wide else "cau-\ntions", justify="right", width=8 - 3 * (not wide)
        )
        table.add_column(
            "missing" if wide else "miss-\ning", justify="right", width=8 - 3 * (not wide)
        )
    for each in group:
        cells = [_text(page.mark(each.verdict, word=True)), _text(each.label)]
        cells += [_text(page.mark(each.by_basis[basis])) for basis in bases]
        if verdict != "ineligible":
            cells += [_number(each.cautions), _number(each.missing)]
        table.add_row(*cells)
    return table


def _number(found: Sequence[Any]) -> Text:
    return _text((str(len(found)), "bold") if found else ("-", "dim"))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _legend(page: _Page, statuses: Iterable[str | None]) -> None:
    parts: list[str | tuple[str, str]] = []
    for status in statuses:
        parts += [page.mark(status), f" {status or 'no claim of that kind on this day'}   "]
    page.line(*parts)


def _summary_of_notes(page: _Page, regimens: Sequence[RegimenVerdict]) -> None:
    """Cautions and missing facts by regimen; what many regimens share is told once."""
    undetermined = [each for each in regimens if each.verdict == "undetermined"]
    together = len(undetermined) > _FEW
    title = "Cautions and missing facts"
    for each in regimens:
        if each.verdict == "ineligible":
            continue
        missing = () if together and each.verdict == "undetermined" else each.missing
        if each.contraindications or each.cautions or missing:
            if title:
                page.gap()
                page.line((title, "bold"))
                title = ""
            page.gap()
            page.line(page.mark(each.verdict), " ", (each.label, "bold"))
            _notes(page, each, missing, brief=True)
    if together:
        paths = Counter(path for each in undetermined for path in each.missing)
        page.gap()
        page.line(("Missing facts, and how many undetermined regimens they bear on", "bold"))
        page.gap()
        for path, number in sorted(paths.items(), key=lambda pair: (-pair[1], pair[0])):
            page.line(f"{number:>4}  ", (path, _STYLES["unknown"]))
    ineligible = [each for each in regimens if each.verdict == "ineligible"]
    met = Counter(note for each in ineligible for note in each.contraindications)
    if met:
        page.gap()
        page.line(("Contraindications met, and how many regimens they rule out", "bold"))
        page.gap()
        for note, number in met.items():
            page.line(f"{number:>4}  ", note.label, (f" [{note.source}]", "dim"), hang=6)


def _notes(
    page: _Page, regimen: RegimenVerdict, missing: Sequence[str], *, brief: bool = False
) -> None:
    """Contraindications and cautions of a regimen, each with its source, then missing facts."""
    groups: list[tuple[str, str, Sequence[RuleNote]]] = [
        ("contraindication", "bold red", regimen.contraindications),
        ("caution", "bold yellow", regimen.cautions),
    ]
    for word, style, notes in groups:
        for note in notes:
            where = note.source if brief else f"{note.rule}, {note.source}"
            page.line((f"{word}: ", style), note.label, (f" [{where}]", "dim"), indent=2, hang=2)
    if missing:
        page.line(("missing: ", "bold yellow"), ", ".join(missing), indent=2, hang=2)


def explain_table(answers: Answers, screen: Screen, labels: Mapping[str, str]) -> str:
    """Draw every claim of each regimen with its reasons; `labels` maps IRIs to labels."""
    page = _Page(screen)
    _head_of_answer(page, answers)
    for regimen in answers.regimens:
        page.gap()
        page.line((regimen.label, "bold"), (f"  {regimen.regimen}", "dim"), hang=2)
        page.line("Drugs: ", ", ".join(regimen.drugs), hang=2)
        page.line("Verdict: ", page.mark(regimen.verdict, word=True))
        for basis in answers.bases:
            page.line(*_basis_line(page, regimen, basis), indent=2, hang=2)
        if regimen.contraindications or regimen.cautions or regimen.missing:
            page.gap()
            _notes(page, regimen, regimen.missing)
        claims = sorted(regimen.claims, key=lambda claim: _order(claim, answers.bases))
        for number, claim in enumerate(claims, 1):
            page.gap()
            _claim(page, claim, f"Claim {number} of {len(claims)}: ", labels)
    page.gap()
    _legend(page, ("met", "unmet", "unknown", "conflicting"))
    page.line((f"Record sha256 {answers.record_sha256}", "dim"))
    return str(page)


def _order(claim: ClaimVerdict, bases: Sequence[str]) -> tuple[int, int]:
    return bases.index(claim.basis), _VERDICTS.index(claim.verdict)


def _basis_line(page: _Page, regimen: RegimenVerdict, basis: str) -> list[Any]:
    verdict = regimen.by_basis[basis]
    claims = [claim for claim in regimen.claims if claim.basis == basis]
    if verdict is None:
        return [f"by {basis}: ", (f"{page.marks[None]} no claim valid on this day", "dim")]
    counts = [(v, sum(claim.verdict == v for claim in claims)) for v in _VERDICTS]
    text = ", ".join(f"{number} {v}" for v, number in counts if number)
    return [f"by {basis}: ", page.mark(verdict, word=True), (f" (claims: {text})", "dim")]


def _claim(page: _Page, claim: ClaimVerdict, title: str, labels: Mapping[str, str]) -> None:
    page.line((title, "bold"), page.mark(claim.verdict, word=True), f"  {claim.claim}", hang=2)
    kind = ", ".join(each for each in (claim.basis, claim.jurisdiction, claim.setting) if each)
    until = f"before {claim.valid_until}" if claim.valid_until else "no end stated"
    page.line(f"{kind}; valid from {claim.valid_from}, {until}", indent=2, hang=2)
    weight = [
        f"{name}: {value}"
        for name, value in (("strength", claim.strength), ("preference", claim.preference))
        if value
    ]
    if weight:
        page.line("; ".join(weight), indent=2, hang=2)
    source = labels.get(BASE + claim.source, "")
    page.line("source: ", source, (f" [{claim.source}]", "dim"), indent=2, hang=2)
    page.table(_reason_table(page, claim.reasons), indent=2)


def _reason_table(page: _Page, reasons: Sequence[Reason]) -> Table:
    """Reasons, what speaks against the claim first; rules that say the same share a row."""
    width = 22 if page.screen.width < 100 else 34
    table = _table()
    table.add_column("", width=1)
    table.add_column("criterion", ratio=10, overflow="fold")
    table.add_column("observed", ratio=11, overflow="fold")
    table.add_column("source", width=width, overflow="fold")
    rows: dict[tuple[str, str, str], list[str]] = {}
    for reason in sorted(reasons, key=lambda each: _URGENCY.get(each.status, 0)):
        sources = rows.setdefault((reason.status, reason.label, reason.observed), [])
        if reason.source not in sources:
            sources.append(reason.source)
    for (status, label, observed), sources in rows.items():
        ids = "\n".join(_broken(source, width) for source in sources)
        shown = (observed, "dim") if observed == "not recorded" else observed
        table.add_row(_text(page.mark(status)), _text(label), _text(shown), _text((ids, "dim")))
    return table


_SHOWN_ABOVE = {"rdfs:label", "skos:altLabel", "skos:definition"}
# What flattening and the truth rules add to the graph; CSV and JSON have it.
_MACHINERY = re.compile(r"her2kg:(expr\w*|hasPart|dependsOn|differsFrom|isOfKind|meets|fails)$")
_SECTIONS = (("out", "What is stated of it"), ("in", "Where it is used"))


def terms_table(terms: Sequence[Term], screen: Screen, labels: Mapping[str, str]) -> str:
    """Draw terms with their links in groups; `labels` maps prefixed property names to labels."""
    page = _Page(screen)
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
        for direction, title in _SECTIONS:
            groups: dict[str, list[Any]] = {}
            for link in term.links:
                if link.direction == direction and _worth_showing(link):
                    groups.setdefault(link.property, []).append(link)
            if groups:
                page.gap()
                page.line((title, "bold"), indent=2)
            for name, links in groups.items():
                _link_group(page, labels.get(name, _words(name)), links)
    return str(page)


def _worth_showing(link: Any) -> bool:
    built_in = isinstance(link.value, Iri) and link.value.endswith("#NamedIndividual")
    return not (
        built_in
        or isinstance(link.value, Blank)
        or _MACHINERY.match(link.property)
        or (link.direction == "out" and link.property in _SHOWN_ABOVE)
    )


def _link_group(page: _Page, name: str, links: Sequence[Any]) -> None:
    def parts(link: Any) -> list[Any]:
        if not isinstance(link.value, Iri):
            return [cell(link.value)]
        if link.label:
            return [str(link.label), (f" [{cell(link.value)}]", "dim")]
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
    page = _Page(screen)
    table = _table()
    table.add_column("name", overflow="fold", min_width=24)
    table.add_column("summary", ratio=1, overflow="fold")
    for query in found:
        table.add_row(_text((query.name, "cyan")), _text(query.summary))
    page.table(table)
    return str(page)


def rows_table(rows: Rows, screen: Screen) -> str:
    """Draw rows as a table or, where the columns do not fit, one block a row."""
    page = _Page(screen)
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
            table = _table(head=False)
            table.add_column(width=min(wide, screen.width // 3), overflow="fold")
            table.add_column(ratio=1, overflow="fold")
            for name, value in zip(rows.columns, row, strict=True):
                table.add_row(_text((name, "cyan")), _text(value))
            page.table(table, indent=2)
        return str(page)
    table = _table()
    table.expand = False
    for name, width in zip(rows.columns, longest, strict=True):
        table.add_column(_text(name), overflow="fold", min_width=min(width, 24))
    for row in shown:
        table.add_row(*(_text(value) for value in row))
    page.table(table)
    return str(page)


def _longest_word(texts: Iterable[str]) -> int:
    return max((len(word) for text in texts for word in text.split()), default=1)


def findings_table(findings: Sequence[Finding], screen: Screen) -> str:
    """Draw findings grouped by the rule that found them."""
    page = _Page(screen)
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.rule, []).append(finding)
    for number, (rule, found) in enumerate(groups.items()):
        if number:
            page.gap()
        page.line((rule, "bold"), f": {_count(len(found), 'finding')}")
        for each in found:
            term = each.term.replace(BASE, "her2kg:")
            page.line((term, "cyan"), f": {each.problem}", indent=2, hang=2)
    return str(page)


# CSV and JSON


def cell(value: Any) -> str:
    """A value as a table shows it: local id, prefixed name, plain number or text."""
    if isinstance(value, Iri):
        return value.local if value.startswith(BASE) else value.curie.strip("<>")
    return _flat(value)


def _flat(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal) and value.is_finite():
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, Blank):
        return f"_:{value}"
    return value.isoformat() if isinstance(value, date) else str(value)


def _json_value(value: Any) -> Any:
    if isinstance(value, Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else float(value)
    return value if value is None or isinstance(value, bool | int) else _flat(value)


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, guard: bool = False) -> str:
    """Write rows as CSV with a header.

    Shape: LF line ends, empty for no value; control characters are written as escapes. With
    `guard`, text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = [inert(_flat(value)) for value in row]
        writer.writerow([f"'{c}" if guard and _FORMULA.match(c) else c for c in cells])
    return out.getvalue()


def to_json(value: Any) -> str:
    """Write JSON as every command writes it."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def rows_csv(rows: Rows) -> str:
    """Rows of a query as CSV; IRIs in full."""
    return to_csv(rows.columns, rows.rows)


def rows_json(rows: Rows) -> str:
    """Rows of a query as a list of objects; IRIs in full."""
    return to_json([{k: _json_value(v) for k, v in row.items()} for row in rows.to_dicts()])


_ANSWER = ("patient", "as_of", "knowledge_version", "scope", "regimen")
_CLAIM = (
    "claim", "basis", "jurisdiction", "setting", "claim_source", "valid_from", "valid_until",
    "strength", "preference", "claim_verdict",
)  # fmt: skip


def _answer_cells(answers: Answers, regimen: RegimenVerdict) -> list[Any]:
    head = (answers.patient, answers.as_of, answers.knowledge_version, answers.scope)
    return [*head, regimen.regimen]


def _claim_cells(claim: ClaimVerdict) -> list[Any]:
    return [
        claim.claim, claim.basis, claim.jurisdiction, claim.setting, claim.source,
        claim.valid_from, claim.valid_until, claim.strength, claim.preference, claim.verdict,
    ]  # fmt: skip


def eligible_csv(answers: Answers) -> str:
    """One row per regimen and claim; a regimen without a valid claim keeps one row."""
    notes = ("contraindications", "cautions", "missing")
    rows = []
    for each in answers.regimens:
        lists = [
            " ".join(note.rule for note in each.contraindications),
            " ".join(note.rule for note in each.cautions),
            " ".join(each.missing),
        ]
        head = [*_answer_cells(answers, each), each.label, each.verdict]
        claims = [_claim_cells(claim) for claim in each.claims] or [[None] * len(_CLAIM)]
        rows += [[*head, *claim, *lists] for claim in claims]
    return to_csv((*_ANSWER, "label", "verdict", *_CLAIM, *notes), rows, guard=True)


def explain_csv(answers: Answers) -> str:
    """One row per reason of each claim."""
    columns = ("claim", "claim_verdict", "criterion", "label", "required", "observed", "status")
    rows = [
        [
            *_answer_cells(answers, regimen), claim.claim, claim.verdict, reason.criterion,
            reason.label, reason.required, reason.observed, reason.status, reason.source,
        ]
        for regimen in answers.regimens
        for claim in regimen.claims
        for reason in claim.reasons
    ]  # fmt: skip
    return to_csv((*_ANSWER, *columns, "source"), rows, guard=True)


def terms_csv(terms: Iterable[Term]) -> str:
    """One row per link of each term."""
    rows = [
        (term.id, term.kind, link.direction, link.property, link.value, link.label)
        for term in terms
        for link in term.links
    ]
    return to_csv(("term", "kind", "direction", "property", "value", "label"), rows)


def terms_json(terms: Iterable[Term]) -> str:
    """Terms with their links as a list of objects."""
    return to_json(
        [
            {
                "id": term.id,
                "iri": term.iri,
                "kind": term.kind,
                "label": term.label,
                "definition": term.definition,
                "synonyms": list(term.synonyms),
                "links": [
                    {
                        "direction": link.direction,
                        "property": link.property,
                        "value": _json_value(link.value),
                        "label": link.label,
                    }
                    for link in term.links
                ],
            }
            for term in terms
        ]
    )
