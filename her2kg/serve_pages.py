"""The pages of `her2kg serve`: the query page with the library, and a page for each term."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any
from urllib.parse import quote

from her2kg import queries, rules
from her2kg.engines import from_json
from her2kg.namespaces import BASE, PREFIXES, Iri
from her2kg.serve_store import Graph

_PATIENT = re.compile(r"\bher2kg:(patient_\w+)")
_LISTED = 200  # values of one property before the page says how many more there are
# Shown above the table, so not in it.
_ABOVE = {"rdf:type", "rdfs:label", "skos:definition", "skos:altLabel"}


@cache
def _template(name: str) -> Any:
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("her2kg"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)


def query_page(**facts: Any) -> str:
    """The query page; `facts` are version, triples, patients and limits in words."""
    return _template("serve.html").render(**facts)


@cache
def library_json(graph: Graph) -> bytes:
    """The questions of the library: name, group, summary, description, parameters, columns, text.

    Shape: a JSON array, sorted by name; the text is the query with an example for each parameter,
    for a patient one that the graph has.
    """
    listed = [
        {
            "name": query.name,
            "group": query.name.split("/")[0],
            "summary": query.summary,
            "description": query.description,
            "parameters": query.parameters,
            "columns": query.columns,
            "text": _with_patient(query.text, graph),
        }
        for query in queries.library().values()
    ]
    return json.dumps(listed, ensure_ascii=False).encode()


def _with_patient(text: str, graph: Graph) -> str:
    def known(match: re.Match[str]) -> str:
        return match[0] if match[1] in graph.terms else f"her2kg:{graph.example}"

    return _PATIENT.sub(known, text)


def about_term(name: str) -> dict[str, str]:
    """The queries that a page of a term rests on: statements, codes, graph."""
    iri = f"<{BASE}{name}>"
    rdf = queries.parse_header("system/term-statements", rules.system("term-statements.rq"))
    found = {
        "statements": queries.find("terms/describe"),
        "codes": queries.find("terms/codes-of"),
        "graph": rdf,
    }
    return {key: queries.bind_iri(query, "term", iri) for key, query in found.items()}


def rows(data: bytes) -> list[dict[str, Any]]:
    """SPARQL JSON results as dictionaries of Python values."""

    found = json.loads(data)["results"]["bindings"]
    return [{key: from_json(cell) for key, cell in row.items()} for row in found]


def term_page(name: str, statements: list[dict[str, Any]], codes: list[dict[str, Any]]) -> str:
    """The page of a term, from the rows of its two questions."""
    groups: dict[str, dict[str, dict[str, Any]]] = {"out": {}, "in": {}}
    for row in statements:
        prop = row["property"]
        group = groups[row["direction"]].setdefault(
            prop, {"link": _link(prop, row.get("propertyLabel")), "values": []}
        )
        link = _link(row["value"], row.get("valueLabel"))
        if link not in group["values"]:
            group["values"].append(link)

    def texts(curie: str) -> list[str]:
        found = groups["out"].get(_iri(curie), {"values": []})
        return [value["text"] for value in found["values"]]

    tables = {
        direction: [
            {**group, "values": group["values"][:_LISTED], "more": len(group["values"]) - _LISTED}
            for prop, group in of.items()
            if direction == "in" or Iri(prop).curie not in _ABOVE
        ]
        for direction, of in groups.items()
    }
    return _template("term.html").render(
        name=name,
        iri=BASE + name,
        label=next(iter(texts("rdfs:label")), name),
        definition=" ".join(texts("skos:definition")),
        synonyms=texts("skos:altLabel"),
        types=groups["out"].get(_iri("rdf:type"), {"values": []})["values"],
        codes=[_code(row) for row in codes],
        **{"outward": tables["out"], "inward": tables["in"]},
    )


def _iri(curie: str) -> str:
    prefix, _, local = curie.partition(":")
    return PREFIXES[prefix] + local


def _link(value: Any, label: Any = None) -> dict[str, str | None]:
    """A value as text, with the address that it leads to and its short name, if it has them."""
    if not isinstance(value, Iri):
        if isinstance(value, bool):
            value = str(value).lower()
        return {"text": str(value), "href": None, "name": None}
    short = value.curie.strip("<>")
    if value.startswith(BASE):
        href = f"/term/{quote(value[len(BASE) :], safe='')}"
    else:
        href = str(value) if value.startswith(("https://", "http://")) else None
    return {"text": str(label or short), "href": href, "name": short if label else None}


def _code(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "system": row.get("system", ""),
        "code": row.get("code", ""),
        "concept": _link(row["concept"], row.get("conceptLabel")),
        "match": row["predicate"].local,
        "confidence": row.get("confidence", ""),
    }
