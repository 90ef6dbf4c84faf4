"""What the rules and the reasoner say of a patient, drawn side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from her2kg import output
from her2kg.page import Page, Screen, counted, new_table, styled

if TYPE_CHECKING:
    from her2kg.reasoning import Comparison, Justification, Membership

_COLUMNS = ("individual", "class", "label", "rules", "reasoner", "agree")


def comparison_table(found: Comparison, screen: Screen, *, every: bool = False) -> str:
    """Draw the classes that are met and those that differ, or every class."""
    page = Page(screen)
    page.line("Patient ", (found.patient, "bold"), ", by the rules and by HermiT")
    if not found.consistent:
        page.line(
            "The facts contradict the axioms: everything follows from them, so a reasoner tells "
            "nothing. What contradicts each other is marked conflicting by the rules.",
        )
    different = set(found.differences)
    shown = [m for m in found.memberships if every or m.rules in ("met", "conflicting")]
    shown += [m for m in found.memberships if m in different and m not in shown]
    for individual in dict.fromkeys(m.individual for m in found.memberships):
        rows = [m for m in shown if m.individual == individual]
        if not rows:
            continue
        page.gap()
        page.line((individual, "bold"))
        table = new_table()
        table.add_column("class", ratio=1, overflow="fold")
        table.add_column("rules", width=13)
        table.add_column("HermiT", width=13)
        for each in rows:
            name = styled(each.label, "\n", (each.class_, "dim"))
            marks = [styled(_mark(page, status)) for status in (each.rules, each.reasoner)]
            if not each.agree and found.consistent:
                marks[1].append("  <-", style="bold red")
            table.add_row(name, *marks)
        page.table(table)
    page.gap()
    page.line(_counts(found.memberships))
    if not every:
        page.line(("Only what is met or differs is listed; --all lists every class.", "dim"))
    return str(page)


def _mark(page: Page, status: str) -> tuple[str, str]:
    return (status, "red") if status == "inconsistent" else page.mark(status, word=True)


def _counts(memberships: tuple[Membership, ...]) -> str:
    numbers = [
        f"{sum(m.rules == status for m in memberships)} {status}"
        for status in ("met", "unmet", "unknown", "conflicting")
    ]
    return f"{counted(len(memberships), 'membership')} by the rules: {', '.join(numbers)}"


def comparison_csv(found: Comparison) -> str:
    """One row per individual and class."""
    return output.to_csv(_COLUMNS, ([*row.values()] for row in _rows(found)), guard=True)


def comparison_json(found: Comparison) -> str:
    """One object with all memberships."""
    return output.to_json(
        {
            "patient": found.patient,
            "consistent": found.consistent,
            "differences": len(found.differences),
            "memberships": _rows(found),
        }
    )


def _rows(found: Comparison) -> list[dict[str, object]]:
    return [
        dict(
            zip(
                _COLUMNS,
                (m.individual, m.class_, m.label, m.rules, m.reasoner, m.agree),
                strict=True,
            )
        )
        for m in found.memberships
    ]


def justification_table(found: Justification, screen: Screen) -> str:
    """Draw why a class is met or unmet: reasons of the rules, then axioms of the reasoner."""
    page = Page(screen)
    page.line((found.label, "bold"), (f"  {found.class_}", "dim"), hang=2)
    page.line("by the rules: ", page.mark(found.rules, word=True))
    for depth, reason in found.reasons:
        page.line(
            page.mark(reason.status),
            f" {reason.label}: {reason.observed}",
            indent=2 * depth,
            hang=2,
        )
    if not found.reasons and found.rules in ("met", "unmet"):
        page.line("Decided by what includes or excludes it, not by its own parts.", indent=2)
    page.gap()
    page.line("by HermiT: ", page.mark(found.reasoner, word=True))
    if not found.axioms:
        page.line("Neither the membership nor its negation follows.", indent=2)
    for axiom in found.axioms:
        page.line(axiom, indent=2, hang=2)
    return str(page)


def justification_json(found: Justification) -> str:
    """One object: status and reasons by the rules, status and axioms by the reasoner."""
    return output.to_json(
        {
            "patient": found.patient,
            "class": found.class_,
            "label": found.label,
            "rules": found.rules,
            "reasoner": found.reasoner,
            "reasons": [
                {
                    "criterion": reason.criterion,
                    "label": reason.label,
                    "status": reason.status,
                    "observed": reason.observed,
                    "depth": depth,
                }
                for depth, reason in found.reasons
            ],
            "axioms": list(found.axioms),
        }
    )


def justification_csv(found: Justification) -> str:
    """One row per reason and per axiom."""
    rows = [("rules", r.status, r.criterion, r.label, r.observed) for _, r in found.reasons]
    rows += [("reasoner", found.reasoner, None, axiom, None) for axiom in found.axioms]
    return output.to_csv(("by", "status", "criterion", "text", "observed"), rows, guard=True)
