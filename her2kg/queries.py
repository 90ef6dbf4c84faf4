"""The query library: read the header of a query file, bind its parameters, run it.

A parameter is one `VALUES ?name { ... }` line of the query; only what stands between the braces is
replaced, and only by RDF terms that were parsed, never by pasted text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from her2kg.engines import INVALID, Engine
from her2kg.errors import (
    BadParameter,
    EngineError,
    UnknownCode,
    UnknownQuery,
    UnknownTerm,
    did_you_mean,
)
from her2kg.names import Names
from her2kg.namespaces import BASE, PREFIXES, QUERIES_HOME
from her2kg.query_text import syntax_sentence
from her2kg.rows import Rows

# Folders whose files are rules or parts of the machinery, not questions.
_NOT_QUESTIONS = {"closure", "derivation", "inference", "system", "hygiene"}
_VALUES = r"VALUES\s+\?{name}\s*\{{[^{{}}]*\}}"


@dataclass(frozen=True)
class Query:
    """One question of the library."""

    name: str
    summary: str
    description: str
    text: str
    parameters: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    example: str | None = None
    tags: tuple[str, ...] = ()


def parse_header(name: str, text: str) -> Query:
    """Read the `#+` header of a query file."""
    simple: dict[str, str] = {}
    nested: dict[str, dict[str, str]] = {}
    section = None
    for line in text.splitlines():
        if not line.startswith("#+"):
            break
        body = line[2:]
        if body.startswith("   ") and section:
            key, _, value = body.strip().partition(": ")
            nested.setdefault(section, {})[key] = value.strip()
        else:
            key, _, value = body.strip().partition(":")
            section = key if not value.strip() else None
            simple[key] = value.strip()
    return Query(
        name=name,
        summary=simple.get("summary", ""),
        description=simple.get("description", ""),
        text=text,
        parameters=nested.get("parameters", {}),
        columns=nested.get("columns", {}),
        example=simple.get("example"),
        tags=tuple(t.strip() for t in simple.get("tags", "").strip("[]").split(",") if t.strip()),
    )


@lru_cache(maxsize=1)
def library() -> dict[str, Query]:
    """Every question of `queries/` by name (its path without the ending), sorted."""
    found = {}
    for path in sorted(QUERIES_HOME.rglob("*.rq")):
        relative = path.relative_to(QUERIES_HOME)
        if relative.parts[0] in _NOT_QUESTIONS:
            continue
        name = relative.with_suffix("").as_posix()
        found[name] = parse_header(name, path.read_text(encoding="utf-8"))
    return found


def find(name: str) -> Query:
    """The question of that name; the part after the folder is enough where it is unique.

    Errors: UnknownQuery with suggestions.
    """
    questions = library()
    if name in questions:
        return questions[name]
    short = [key for key in questions if key.rsplit("/", 1)[-1] == name]
    if len(short) == 1:
        return questions[short[0]]
    raise UnknownQuery(name, tuple(short) or did_you_mean(name, list(questions)))


def _literal(value: Any) -> str | None:
    """A Python value, or text that reads as one, as an RDF literal; None if it is a name."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal | float):
        return str(value)
    if isinstance(value, date):
        return f'"{value.isoformat()}"^^<{PREFIXES["xsd"]}date>'
    text = str(value).strip()
    if re.fullmatch(r"[+-]?\d+(\.\d+)?", text):
        return text
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        try:
            return _literal(date.fromisoformat(text))
        except ValueError:
            return None
    if len(text) >= 2 and text[0] == text[-1] == '"':
        inner = text[1:-1].replace("\\", "\\\\").replace('"', '\\"')
        return '"' + inner.replace("\n", "\\n").replace("\r", "\\r") + '"'
    return None


def _terms(query: Query, parameter: str, value: Any, names: Names) -> list[str]:
    """The RDF terms that one parameter value stands for, written for SPARQL."""
    if value is None or str(value).strip().upper() in ("UNDEF", "ALL"):
        return ["UNDEF"]
    if query.parameters[parameter].startswith("text,"):
        value = '"' + str(value).strip().strip('"') + '"'
    literal = _literal(value)
    if literal is not None:
        return [literal]
    text = str(value).strip()
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]
    prefix, colon, local = text.partition(":")
    if colon and prefix in PREFIXES:
        text = PREFIXES[prefix] + local
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+", text) and "://" in text:
        return [f"<{text}>"]
    if re.fullmatch(r"patient_\w+", text):
        return [f"<{BASE}{text}>"]
    kinds = (parameter,) if parameter in names.kinds else names.kinds
    kinds = (*kinds, "product") if parameter == "drug" else kinds
    try:
        found = names.resolve(text, kinds)
    except UnknownTerm as unknown:
        giving = _regimens_of_drug(text, names) if parameter == "regimen" else []
        if giving:
            return [f"<{iri}>" for iri in giving]
        wanted = f"the name of a {parameter}" if parameter in names.kinds else "a term of the graph"
        if isinstance(unknown, UnknownCode):
            raise BadParameter(query.name, parameter, value, unknown.accepted) from unknown
        close = ", ".join(unknown.suggestions)
        hint = f"one of {close}" if unknown.ambiguous else f"{wanted} (did you mean {close}?)"
        raise BadParameter(query.name, parameter, value, hint if close else wanted) from unknown
    if parameter == "drug":
        return [f"<{iri}>" for iri in names.ingredients(found)]
    return [f"<{found}>"]


def _regimens_of_drug(text: str, names: Names) -> list[str]:
    drugs = {iri for _, iri in names.find(text, ("drug", "product"))}
    wanted = {drug for iri in drugs for drug in names.ingredients(iri)}
    regimens = sorted(iri for iri in names.labels if iri.startswith(BASE + "regimen_"))
    return [iri for iri in regimens if wanted & set(names.ingredients(iri))]


def bind(query: Query, parameters: dict[str, Any], names: Names) -> str:
    """The text of a question with its parameters bound.

    Errors: BadParameter for a parameter that it does not have or a value that means nothing.
    """
    text = query.text
    for parameter, value in parameters.items():
        if parameter not in query.parameters:
            accepted = f"only the parameters {', '.join(query.parameters)}"
            accepted = accepted if query.parameters else "no parameter at all"
            raise BadParameter(query.name, parameter, value, accepted)
        many = value if isinstance(value, list | tuple | set) else [value]
        terms = [term for each in many for term in _terms(query, parameter, each, names)]
        text = _replaced(text, parameter, " ".join(dict.fromkeys(terms)))
    return text


def bind_iri(query: Query, parameter: str, iri: str) -> str:
    """The text of a question with one parameter bound to an IRI that is known to be one."""
    return _replaced(query.text, parameter, f"<{iri.strip('<>')}>")


def _replaced(text: str, parameter: str, terms: str) -> str:
    block = f"VALUES ?{parameter} {{ {terms} }}"
    return re.sub(_VALUES.format(name=parameter), lambda _: block, text)


def run(engine: Engine, names: Names, name: str, parameters: dict[str, Any]) -> Rows:
    """Run a question of the library.

    Shape: `Rows` with the columns of its header.
    Errors: UnknownQuery, BadParameter, EngineError.
    """
    query = find(name)
    return _answer(engine, names, bind(query, parameters, names))


def _answer(engine: Engine, names: Names | None, sparql: str) -> Rows:
    """The rows of a query, with the means to ask `names` about their terms and columns."""
    table = engine.select(sparql)
    if names is None:
        return Rows(table.columns, table.rows)

    @cache
    def kinds() -> dict[str, str]:
        from her2kg.column_kinds import column_kinds

        return column_kinds(sparql, names.value_kinds)

    return Rows(table.columns, table.rows, lambda: names.every_label, kinds)


def select(engine: Engine, sparql: str, names: Names | None = None) -> Rows:
    """Run any query, with declarations put in front for the common prefixes that it lacks.

    Without `names` the rows know no labels.

    Errors: EngineError; the place of a syntax error is a place in the query as given.
    """
    declared = {p.lower() for p in re.findall(r"(?im)^\s*PREFIX\s+([\w-]*):", sparql)}
    used = [name for name in PREFIXES if f"{name}:" in sparql and name not in declared]
    added = "".join(f"PREFIX {name}: <{PREFIXES[name]}> " for name in used)
    try:
        return _answer(engine, names, added + sparql)
    except EngineError as error:
        message = str(error)
        if not message.startswith(INVALID):
            raise
        shift = len(added)
        place = re.compile(r"\bat 1:(\d+)")
        moved = place.sub(lambda m: f"at 1:{max(int(m[1]) - shift, 1)}", message)
        told = syntax_sentence(sparql, moved.removeprefix(INVALID).lstrip(": "))
        raise EngineError(f"the query is {told}") from error
