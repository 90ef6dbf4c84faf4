"""Generated patient records over the whole schema, for properties and for the agreement run.

The fields, words and limits come from the published JSON Schema and from the ontology: numbers are
drawn at the limits that class axioms name, and just below and above them. `draw` takes any source
of randomness: `random.Random(seed)`, or hypothesis's own, which can shrink.
"""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

from hypothesis import strategies as st

from her2kg import KnowledgeGraph
from her2kg.errors import DataError
from her2kg.namespaces import ONTOLOGY_HOME
from her2kg.records import json_schema

AS_OF = date(2026, 11, 22)
_LIMITS = """
SELECT DISTINCT ?path ?limit WHERE {
  ?node her2kg:exprProperty ?property .
  { ?node her2kg:exprMinInclusive ?limit } UNION { ?node her2kg:exprMaxInclusive ?limit }
  UNION { ?node her2kg:exprMinExclusive ?limit } UNION { ?node her2kg:exprMaxExclusive ?limit }
  ?property her2kg:recordPath ?path .
} ORDER BY ?path ?limit
"""
_NAMES = """
SELECT DISTINCT ?name WHERE { ?term a ?class ; rdfs:label ?name .
  ?class rdfs:subClassOf* her2kg:%s . } ORDER BY ?name
"""
_CATEGORIES = {
    "c": (["T0", "Tis", "T1mi", "T1a", "T1b", "T1c", "T2", "T3", "T4", "T4a", "T4b", "T4d"],
          ["N0", "N1", "N2", "N3"]),
    "p": (["T0", "T1mi", "T1a", "T1b", "T1c", "T2", "T3", "T4"],
          ["N0", "N0(i+)", "N1mi", "N1", "N1a", "N2", "N3"]),
    "yp": (["T0", "Tis", "T1", "T1a", "T2", "T3"], ["N0", "N0(i+)", "N1mi", "N1", "N2"]),
}  # fmt: skip


@cache
def schema() -> dict[str, Any]:
    return json_schema()


@cache
def graph() -> KnowledgeGraph:
    return KnowledgeGraph()


@cache
def limits() -> dict[str, list[Decimal]]:
    """Limits of class axioms by record path, brackets of lists left out."""
    found: dict[str, list[Decimal]] = {}
    for path, limit in graph().select(_LIMITS).rows:
        found.setdefault(re.sub(r"\[[^\]]*\]", "", path), []).append(Decimal(str(limit)))
    return found


@cache
def names(kind: str) -> list[str]:
    """Names of all terms of a class that the record accepts."""
    labels = [name for (name,) in graph().select(_NAMES % kind).rows]
    return labels


@cache
def examples() -> list[str]:
    """The example patients as JSON text."""
    folder = ONTOLOGY_HOME / "examples"
    return [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.json"))]


def draw(rng: Random, *, consistent: bool = True) -> dict[str, Any]:
    """One record that her2kg accepts: from scratch, or an example with fields changed.

    With `consistent`, fields that restate others (HER2 tests beside a short form, sizes beside T,
    a stage beside TNM) are kept apart, so that contradictions are rare; they cannot be ruled out.
    """
    if rng.random() < 0.6:
        data = json.loads(rng.choice(examples()))
        _change(rng, data)
    else:
        share = rng.choice([0.15, 0.4, 0.7])
        data = _object(rng, schema(), "", share)
    data["as_of"] = AS_OF.isoformat()
    if rng.random() < 0.5:
        data["prior_therapies_complete"] = True
    if consistent:
        _keep_apart(rng, data)
    data["id"] = "generated"
    return _accepted(data)


def records(*, consistent: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Hypothesis strategy of accepted records."""
    rngs = st.randoms(use_true_random=False)
    return rngs.map(lambda rng: draw(rng, consistent=consistent))


def seeded(number: int, seed: int) -> dict[str, Any]:
    """The record of that number of a series: the same whatever else is drawn."""
    return draw(Random(f"{seed}-{number}"))


# Fields


def _object(rng: Random, model: dict[str, Any], path: str, share: float) -> dict[str, Any]:
    found = {}
    for name, field in model["properties"].items():
        where = f"{path}.{name}" if path else name
        if where in ("id", "as_of", "genomics", "notes") or rng.random() > share:
            continue
        found[name] = _value(rng, field, where, share)
    return found


def _value(rng: Random, field: dict[str, Any], path: str, share: float) -> Any:
    if "$ref" in field:
        model = schema()["$defs"][field["$ref"].rsplit("/", 1)[-1]]
        return _object(rng, model, path, max(share, 0.5))
    choices = [each for each in field.get("anyOf", [field]) if each.get("type") != "null"]
    chosen = rng.choice(choices)
    if chosen is not field and ("$ref" in chosen or "anyOf" in chosen):
        return _value(rng, chosen, path, share)
    if "const" in chosen:
        return chosen["const"]
    if "enum" in chosen:
        return rng.choice(chosen["enum"])
    kind = chosen["type"]
    if kind == "boolean":
        return rng.random() < 0.5
    if kind in ("integer", "number"):
        return _number(rng, chosen, path)
    if kind == "array":
        number = rng.choice([0, 1, 1, 2, 3])
        return _distinct([_value(rng, chosen["items"], path, share) for _ in range(number)])
    if chosen.get("format") == "date":
        return (AS_OF - timedelta(days=rng.randrange(1, 1500))).isoformat()
    return _text(rng, path)


def _number(rng: Random, field: dict[str, Any], path: str) -> int | float:
    least, most = field.get("minimum", 0), field.get("maximum", 300)
    known = limits().get(path)
    if known and rng.random() < 0.85:
        step = Decimal(1) if field["type"] == "integer" else Decimal("0.1")
        number = rng.choice(known) + rng.choice([-step, Decimal(0), step])
    elif field["type"] == "integer":
        number = Decimal(rng.randint(least, min(most, 12)))
    else:
        number = Decimal(rng.randint(least * 10, min(most, 100) * 10)) / 10
    number = min(max(number, Decimal(least)), Decimal(most))
    return int(number) if number == int(number) else float(number)


def _text(rng: Random, path: str) -> str:
    if path == "tnm":
        return _tnm(rng)
    if path == "nodes":
        return rng.choice(["cN0", "cN1", "pN0", "pN1a", "pN1mi", "2 positive", "5 positive"])
    kinds = {
        "prior_therapies.regimen": "Regimen",
        "prior_therapies.drugs": "Drug",
        "prior_therapies.adverse_events.event": "AdverseEvent",
        "history.hypersensitivity": "Drug",
        "medications": rng.choice(["ConcomitantMedicine", "Drug"]),
    }
    return rng.choice(names(kinds[path])) if path in kinds else "another condition"


def _tnm(rng: Random) -> str:
    parts = []
    for prefix in rng.sample(["c", "p", "yp"], rng.choice([1, 1, 2])):
        sizes, nodes = _CATEGORIES[prefix]
        parts += [f"{prefix}{rng.choice(sizes)}", f"{prefix}{rng.choice(nodes)}"]
    return " ".join([*parts, *rng.choice([[], ["M0"], ["M1"]])])


def _distinct(items: list[Any]) -> list[Any]:
    return [each for number, each in enumerate(items) if each not in items[:number]]


def _change(rng: Random, data: dict[str, Any]) -> None:
    """Leave fields out, draw others again, add some."""
    for name in list(data):
        dice = rng.random()
        if dice < 0.12:
            del data[name]
        elif dice < 0.25 and name not in ("id", "as_of", "genomics", "notes"):
            data[name] = _value(rng, schema()["properties"][name], name, 0.6)
    for course in data.get("prior_therapies") or ():
        for name in list(course):
            if rng.random() < 0.12:
                del course[name]
    data.update(_object(rng, schema(), "", 0.06))


def _keep_apart(rng: Random, data: dict[str, Any]) -> None:
    groups = [
        (["her2_tests"], ["her2_ihc", "her2_ish", "her2_membrane_staining", "her2_status"]),
        (["tnm"], ["stage", "tumor_size_cm", "clinical_tumor_size_cm",
                   "pathological_tumor_size_cm", "nodes", "positive_nodes", "inflammatory"]),
        (["pathologic_response"], ["phase"]),
        (["birth_date"], ["age"]),
        (["brain_mets"], ["metastatic_sites"]),
    ]  # fmt: skip
    for one, others in groups:
        if any(name in data for name in one) and any(name in data for name in others):
            for name in rng.choice([one, others]):
                data.pop(name, None)


def _accepted(data: dict[str, Any]) -> dict[str, Any]:
    """The record without what her2kg refuses; each refusal names its path."""
    for _ in range(60):
        try:
            graph().record(data)
            return data
        except DataError as error:
            for problem in error.problems:
                _drop(data, str(problem.path))
    return {"id": "generated", "as_of": AS_OF.isoformat()}


def _drop(data: dict[str, Any], path: str) -> None:
    steps = [int(s) if s.isdigit() else s for s in re.findall(r"[^.\[\]]+", path)]
    node: Any = data
    for step in steps[:-1]:
        inside = isinstance(node, list) and isinstance(step, int) and step < len(node)
        if not (inside or (isinstance(node, dict) and step in node)):
            break
        node = node[step]
    last = steps[-1]
    if (
        isinstance(node, list)
        and isinstance(last, int)
        and last < len(node)
        or isinstance(node, dict)
        and last in node
        and last != "id"
    ):
        del node[last]
    else:
        data.pop(steps[0], None)
