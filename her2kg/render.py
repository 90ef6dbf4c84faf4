"""The answers for a patient as tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from her2kg.namespaces import BASE
from her2kg.page import Page, Screen, broken, counted, new_table, styled
from her2kg.verdicts import VERDICTS

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from her2kg.verdicts import Answers, ClaimVerdict, Reason, RegimenVerdict, RuleNote

DISCLAIMER = "For research and education; not medical advice."
OUTSIDE = "Outside what the graph covers:"
NO_JUDGEMENT = (
    "The marks below show the claims that are held; they are no judgement of this patient."
)
_NO_CLAIM = "no claim on this day"
_FEW = 6  # undetermined regimens whose missing facts are told one by one
_URGENCY = {"unmet": 0, "conflicting": 1, "unknown": 2, "met": 3}


def eligible_table(answers: Answers, screen: Screen) -> str:
    """Draw the verdict of every regimen, grouped by verdict, with cautions and missing facts."""
    page = Page(screen)
    _head_of_answer(page, answers)
    for verdict in (*VERDICTS, None):
        group = [each for each in answers.regimens if _judged(each) == verdict]
        if not group:
            continue
        page.gap()
        mark, style = page.mark(verdict)
        title = (verdict or _NO_CLAIM).capitalize()
        page.line((f"{mark} {title}: {counted(len(group), 'regimen')}", style))
        page.gap()
        if verdict:
            page.table(_verdict_table(page, group, answers.bases, verdict))
        else:
            page.table(_no_claim_table(page, group))
    page.gap()
    _legend(page, (*VERDICTS, None))
    _summary_of_notes(page, answers.regimens)
    page.gap()
    page.line((f"Record sha256 {answers.record_sha256}", "dim"))
    return str(page)


def _judged(regimen: RegimenVerdict) -> str | None:
    """The verdict of a regimen, or None where no claim asked for is valid on the day."""
    return regimen.verdict if any(regimen.by_basis.values()) else None


def _verdict_mark(page: Page, regimen: RegimenVerdict) -> tuple[str, str]:
    mark, style = page.mark(_judged(regimen))
    return f"{mark} {_judged(regimen) or _NO_CLAIM}", style


def _head_of_answer(page: Page, answers: Answers) -> None:
    day = f", as of {answers.as_of} (knowledge {answers.knowledge_version})"
    page.line("Patient ", (answers.patient, "bold"), day, hang=2)
    bases, places = ", ".join(answers.bases), ", ".join(answers.jurisdictions)
    page.line(f"Claims asked for: {bases}; jurisdictions: {places}", hang=2)
    page.line((DISCLAIMER, "dim"))
    if answers.scope != "inside":
        page.gap()
        note = answers.scope_note or "this record."
        page.line((OUTSIDE, "bold reverse red"), (f" {note}", "bold"), hang=2)
        page.line((NO_JUDGEMENT, "bold"), hang=2)


def _verdict_table(
    page: Page, group: Sequence[RegimenVerdict], bases: Sequence[str], verdict: str
) -> Table:
    wide = page.screen.width >= 100
    broken_heads = {"guideline": "guide-\nline", "cautions": "cau-\ntions", "missing": "miss-\ning"}
    heads = {} if wide else broken_heads
    table = new_table()
    table.add_column("verdict", width=14)
    table.add_column("regimen", ratio=1, overflow="fold")
    for basis in bases:
        table.add_column(heads.get(basis, basis), justify="center", width=9 if wide else 6)
    if verdict != "ineligible":
        for name in ("cautions", "missing"):
            table.add_column(heads.get(name, name), justify="right", width=8 if wide else 5)
    for each in group:
        cells = [styled(page.mark(each.verdict, word=True)), styled(each.label)]
        cells += [styled(page.mark(each.by_basis[basis])) for basis in bases]
        if verdict != "ineligible":
            cells += [_number(each.cautions), _number(each.missing)]
        table.add_row(*cells)
    return table


def _no_claim_table(page: Page, group: Sequence[RegimenVerdict]) -> Table:
    table = new_table()
    table.add_column("verdict", width=len(_NO_CLAIM) + 2)
    table.add_column("regimen", ratio=1, overflow="fold")
    for each in group:
        table.add_row(styled(_verdict_mark(page, each)), styled(each.label))
    return table


def _number(found: Sequence[Any]) -> Text:
    return styled((str(len(found)), "bold") if found else ("-", "dim"))


def _legend(page: Page, statuses: Iterable[str | None]) -> None:
    parts: list[str | tuple[str, str]] = []
    for status in statuses:
        parts += [page.mark(status), f" {status or 'no claim of that kind on this day'}   "]
    page.line(*parts)
    page.line(("Ordered by guideline preference, basis and name; no ranking of benefit.", "dim"))


def _summary_of_notes(page: Page, regimens: Sequence[RegimenVerdict]) -> None:
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
            page.line(f"{number:>4}  ", (path, "bold yellow"))
    ineligible = [each for each in regimens if each.verdict == "ineligible"]
    met = Counter(note for each in ineligible for note in each.contraindications)
    if met:
        page.gap()
        page.line(("Contraindications met, and how many regimens they rule out", "bold"))
        page.gap()
        for note, number in met.items():
            page.line(f"{number:>4}  ", note.label, (f" [{note.source}]", "dim"), hang=6)


def _notes(
    page: Page, regimen: RegimenVerdict, missing: Sequence[str], *, brief: bool = False
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
    page = Page(screen)
    _head_of_answer(page, answers)
    for regimen in answers.regimens:
        page.gap()
        page.line((regimen.label, "bold"), (f"  {regimen.regimen}", "dim"), hang=2)
        page.line("Drugs: ", ", ".join(regimen.drugs), hang=2)
        page.line("Verdict: ", _verdict_mark(page, regimen))
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
    return bases.index(claim.basis), VERDICTS.index(claim.verdict)


def _basis_line(page: Page, regimen: RegimenVerdict, basis: str) -> list[Any]:
    verdict = regimen.by_basis[basis]
    claims = [claim for claim in regimen.claims if claim.basis == basis]
    if verdict is None:
        return [f"by {basis}: ", (f"{page.mark(None)[0]} no claim valid on this day", "dim")]
    counts = [(v, sum(claim.verdict == v for claim in claims)) for v in VERDICTS]
    text = ", ".join(f"{number} {v}" for v, number in counts if number)
    return [f"by {basis}: ", page.mark(verdict, word=True), (f" (claims: {text})", "dim")]


def _claim(page: Page, claim: ClaimVerdict, title: str, labels: Mapping[str, str]) -> None:
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


def _reason_table(page: Page, reasons: Sequence[Reason]) -> Table:
    """Reasons, what speaks against the claim first; rules that say the same share a row."""
    width = 22 if page.screen.width < 100 else 34
    table = new_table()
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
        ids = "\n".join(broken(source, width) for source in sources)
        shown = (observed, "dim") if observed == "not recorded" else observed
        table.add_row(styled(page.mark(status)), styled(label), styled(shown), styled((ids, "dim")))
    return table
