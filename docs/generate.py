"""Write the generated pages and parts of pages from the ontology, the queries and the record model.

    python docs/generate.py              write what is generated
    python docs/generate.py --outputs    also renew the outputs shown under code blocks
    python docs/generate.py --check      write nothing; exit 1 and name what is stale

A part stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import blocks  # noqa: E402

from her2kg import KnowledgeGraph, queries  # noqa: E402
from her2kg.namespaces import QUERIES_HOME  # noqa: E402
from her2kg.records import json_schema  # noqa: E402

SCHEMA_PAGE = "docs/patient-record.schema.json"
_PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)


def table(head: list[str], rows: Iterator[list[str]] | list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _plain(text: str) -> str:
    return re.sub(r"([|<>\[\]*_])", r"\\\1", text)


# --- what the graph holds -----------------------------------------------------------------------


def verified(kg: KnowledgeGraph) -> str:
    """The rows of queries/evidence/verified-share.rq."""
    rows = [
        [row["what"], str(row["number"]), str(row["verified"]), f"{row['verifiedPercent']:f}%"]
        for row in kg.query("evidence/verified-share").to_dicts()
    ]
    return table(["kind of fact", "how many", "verified", "share"], rows)


def contents(kg: KnowledgeGraph) -> str:
    """The rows of queries/evidence/counts.rq, and how many entries are recalled."""
    rows = [[what, str(number)] for what, number in kg.query("evidence/counts")]
    recalled = kg.query("evidence/recalled", kind="UNDEF").to_dicts()
    number = len({row["term"] for row in recalled})
    rows.append(["entries of all kinds that are recalled, not verified in a source", str(number)])
    return table(["what", "how many"], rows)


def version(kg: KnowledgeGraph) -> str:
    """The version of the knowledge, as a citation needs it."""
    citation = kg.select(
        "SELECT ?text WHERE { <https://w3id.org/her2kg> dcterms:bibliographicCitation ?text }"
    )
    return f"> {next(iter(citation))[0]} https://w3id.org/her2kg\n"


# --- the patient record -------------------------------------------------------------------------


def _options(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]


def _accepted(schema: dict[str, Any]) -> str:
    texts = []
    for option in _options(schema):
        kind = option.get("type")
        name = option.get("$ref", "").rsplit("/", 1)[-1]
        if name and name != "JsonValue":
            texts.append(f"an object: see [{name}](#{name.lower()})")
        elif "enum" in option:
            texts.append(", ".join(f"`{value}`" for value in option["enum"]))
        elif "const" in option:
            texts.append(f"`{json.dumps(option['const'])}`")
        elif kind == "array":
            items = _accepted(option["items"]).replace("an object:", "objects:")
            texts.append(f"a list of {items}")
        elif kind in ("number", "integer"):
            low, high = option.get("minimum"), option.get("maximum")
            kind = "whole number" if kind == "integer" else "number"
            texts.append(f"{kind} from {low:g}" + (f" to {high:g}" if high is not None else ""))
        elif kind == "boolean":
            texts.append("`true`, `false`")
        elif option.get("format") == "date":
            texts.append("a day, `YYYY-MM-DD`")
        elif kind == "string":
            texts.append("text")
        else:
            texts.append("any JSON")
    return " or ".join(texts)


def _field_rows(schema: dict[str, Any]) -> list[list[str]]:
    return [
        [f"`{name}`", _plain(field.get("description", "")), _accepted(field)]
        for name, field in schema["properties"].items()
    ]


def fields(kg: KnowledgeGraph) -> str:
    """Every field of the record, part by part, from the JSON Schema."""
    schema = json_schema()
    head = ["field", "what it is", "accepted"]
    parts = [table(head, _field_rows(schema))]
    for name, part in sorted(schema["$defs"].items()):
        if "properties" not in part:
            continue
        parts.append(f"### {name}\n\n{part['description']}\n\n" + table(head, _field_rows(part)))
    return "\n".join(parts)


def schema_text() -> str:
    """The published JSON Schema of the record."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


# --- queries ------------------------------------------------------------------------------------


def _headers(folder: str) -> list[tuple[str, queries.Query]]:
    files = sorted((QUERIES_HOME / folder).glob("*.rq"))
    return [
        (path.name, queries.parse_header(path.stem, path.read_text(encoding="utf-8")))
        for path in files
    ]


def rules(folder: str) -> Callable[[KnowledgeGraph], str]:
    """The rule files of one folder with their sentences."""

    def write(kg: KnowledgeGraph) -> str:
        rows = [
            [f"`{name}`", f"{_plain(query.summary)}. {_plain(query.description)}"]
            for name, query in _headers(folder)
        ]
        return table(["rule", "what it does"], rows)

    return write


def question_index(kg: KnowledgeGraph) -> str:
    """Every question of the library, folder by folder; those of the package itself in short."""
    by_folder: dict[str, list[queries.Query]] = {}
    internal: list[list[str]] = []
    for query in queries.library().values():
        if query.example:
            by_folder.setdefault(query.name.rsplit("/", 1)[0], []).append(query)
        else:
            internal.append([f"`{query.name}`", _plain(query.description)])
    parts = []
    for folder, found in sorted(by_folder.items()):
        parts.append(f"## {folder}\n")
        for query in found:
            parts.append(f"### {query.name}\n\n{query.description}\n")
            if query.parameters:
                rows = [[f"`{k}`", _plain(v)] for k, v in query.parameters.items()]
                parts.append(table(["parameter", "what it is"], rows))
            rows = [[f"`{name}`", _plain(text)] for name, text in query.columns.items()]
            parts.append(table(["column", "what it is"], rows))
            parts.append(f"`{query.example}`\n")
    parts.append("## Asked by the package itself\n")
    parts.append(table(["question", "what it asks"], internal))
    return "\n".join(parts)


def case_splits(kg: KnowledgeGraph) -> str:
    """Classes that a reasoner decides by cases or by assumption, from tests/data."""
    with (ROOT / "tests" / "data" / "case-splits.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            [f"`{r['class']}`", r["reasoner"], r["why"], _named(r["axiom"])]
            for r in csv.DictReader(file)
        ]
    return table(["class", "by HermiT", "how", "axioms: definitions of, and disjointness"], rows)


def _named(axioms: str) -> str:
    """Of axioms in Manchester syntax the classes that are defined, and what excludes what."""
    each = axioms.split("; ")
    defined = [axiom.split(" EquivalentTo ")[0] for axiom in each if " EquivalentTo " in axiom]
    apart = [a for a in each if " DisjointWith " in a or a.startswith("DisjointClasses")]
    return "; ".join([", ".join(f"`{name}`" for name in defined), *apart])


PARTS: dict[str, Callable[[KnowledgeGraph], str]] = {
    "contents": contents,
    "verified-share": verified,
    "citation": version,
    "fields": fields,
    "questions": question_index,
    "derivation-rules": rules("derivation"),
    "truth-rules": rules("inference"),
    "case-splits": case_splits,
}


def has_parts(page: str) -> bool:
    """Whether a page has generated parts."""
    path = ROOT / page
    return path.exists() and _PART.search(path.read_text(encoding="utf-8")) is not None


def generated(kg: KnowledgeGraph) -> dict[str, str]:
    """What every page with generated parts, and the schema, should contain."""
    found = {SCHEMA_PAGE: schema_text()}
    for page in blocks.PAGES:
        if has_parts(page):
            text = (ROOT / page).read_text(encoding="utf-8")
            found[page] = _PART.sub(lambda m: f"{m[1]}\n{PARTS[m[2]](kg)}\n{m[3]}", text)
    return found


def main(arguments: list[str]) -> int:
    """Write, or with --check name what is stale."""
    kg = KnowledgeGraph()
    stale = []
    for page, text in generated(kg).items():
        path = ROOT / page
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(page)
            if "--check" not in arguments:
                path.write_text(text, encoding="utf-8")
    if "--outputs" in arguments:
        for page in blocks.PAGES:
            (ROOT / page).write_text(blocks.renewed(page, kg), encoding="utf-8")
    if "--check" in arguments and stale:
        print(f"stale: {', '.join(stale)}; run python docs/generate.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
