"""The mappings as SSSOM TSV, the exchange format of the mapping commons.

https://mapping-commons.github.io/sssom: a YAML header behind `#`, then one row a mapping. Rows and
header come from the graph; SNOMED CT and other vocabularies can be left out by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from her2kg.knowledge import KnowledgeGraph
from her2kg.namespaces import PREFIXES, Iri
from her2kg.output import inert

COLUMNS = (
    "subject_id", "subject_label", "predicate_id", "object_id", "object_label",
    "mapping_justification", "confidence", "object_source", "mapping_source",
    "curation_rule_text", "comment",
)  # fmt: skip
_PREFIXES = {
    **{name: PREFIXES[name] for name in ("her2kg", "skos", "dcterms")},
    "semapv": "https://w3id.org/semapv/vocab/",
}
_RULE = {
    "verified": "verified: the code was seen beside the name in the source",
    "recalled": "recalled: from general knowledge of the curators, to be checked",
}


def sssom(kg: KnowledgeGraph, *, without: Iterable[str] = ()) -> str:
    """Write every mapping as SSSOM TSV; `without` names vocabularies to leave out.

    Shape: UTF-8 text with LF line ends; the same knowledge gives the same bytes.
    Errors: UnknownTerm for an unknown vocabulary.
    Source: queries/terms/mappings.rq, mapping-set.rq, vocabularies.rq
    """
    left_out = {kg.names.resolve(name, ("vocabulary",)) for name in without}
    systems = {
        row["prefix"]: row["base"]
        for row in kg.query("terms/vocabularies").to_dicts()
        if row["prefix"] and row["vocabulary"] not in left_out
    }
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in kg.query("terms/mappings", vocabulary="UNDEF").to_dicts():
        if row["prefix"] not in systems:
            continue
        key = (row["term"], row["concept"])
        if key in rows:  # a mapping with several sources is one row
            rows[key]["mapping_source"] += "|" + _curie(row["source"])
        else:
            rows[key] = _row(row)
    used = {row["object_id"].partition(":")[0] for row in rows.values()}
    curie_map = {**_PREFIXES, **{name: base for name, base in systems.items() if name in used}}
    lines = [f"#{line}" for line in _header(kg, curie_map, left_out)]
    lines.append("\t".join(COLUMNS))
    ordered = sorted(rows.values(), key=lambda row: [row[name] for name in COLUMNS])
    lines += ["\t".join(_field(row[name]) for name in COLUMNS) for row in ordered]
    return "\n".join(lines) + "\n"


def _row(row: dict[str, Any]) -> dict[str, str]:
    return {
        "subject_id": _curie(row["term"]),
        "subject_label": row["label"] or "",
        "predicate_id": _curie(row["predicate"]),
        "object_id": f"{row['prefix']}:{row['code']}",
        "object_label": row["conceptLabel"] or "",
        "mapping_justification": _curie(row["justification"]),
        "confidence": f"{row['weight'].normalize():f}",
        "object_source": _curie(row["vocabulary"]),
        "mapping_source": _curie(row["source"]),
        "curation_rule_text": _RULE[row["confidence"]],
        "comment": row["note"] or "",
    }


def _curie(iri: Iri) -> str:
    for name, base in _PREFIXES.items():
        if iri.startswith(base):
            return f"{name}:{iri[len(base) :]}"
    return str(iri)


def _header(kg: KnowledgeGraph, curie_map: dict[str, str], left_out: set[str]) -> Iterable[str]:
    (about,) = kg.query("terms/mapping-set").to_dicts()
    comment = about["description"] + " The confidence is a rank by convention, no probability."
    if left_out:
        names = sorted(kg.names.labels[iri] for iri in left_out)
        comment += f" Left out: {', '.join(names)}."
    yield f"mapping_set_id: {_yaml(about['set'])}"
    yield f"mapping_set_title: {_yaml(about['title'])}"
    yield f"mapping_set_description: {_yaml(comment)}"
    yield f"mapping_set_version: {_yaml(about['version'])}"
    yield f"mapping_date: {_yaml(about['date'].isoformat())}"
    yield f"license: {_yaml(about['license'])}"
    yield "creator_label:"
    yield f"  - {_yaml(about['creator'])}"
    yield f"mapping_tool: {_yaml('her2kg')}"
    yield "curie_map:"
    for name in sorted(curie_map):
        yield f"  {name}: {_yaml(curie_map[name])}"


def _yaml(value: object) -> str:
    """A text as a YAML flow scalar; JSON strings are such."""
    return json.dumps(str(value), ensure_ascii=False)


def _field(text: str) -> str:
    return re.sub(r"\s+", " ", inert(text)).strip()
