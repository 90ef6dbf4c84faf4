"""What a query says about its columns, for those that no row has a value of.

A variable is the object of a property with a known range, the result of a function, a count: so
the type of a column is known where the answer is empty.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from rdflib import Literal, URIRef, Variable
from rdflib.paths import AlternativePath, InvPath, MulPath, Path, SequencePath
from rdflib.plugins.sparql.algebra import translateQuery
from rdflib.plugins.sparql.parser import parseQuery
from rdflib.plugins.sparql.parserutils import CompValue

from her2kg.namespaces import PREFIXES

_XSD = PREFIXES["xsd"]
_DATATYPES = {
    "string": "text",
    "boolean": "boolean",
    "integer": "integer",
    "decimal": "decimal",
    "double": "decimal",
    "float": "decimal",
    "date": "date",
    "dateTime": "moment",
}
_FUNCTIONS = {
    "text": "STR CONCAT LCASE UCASE SUBSTR REPLACE STRBEFORE STRAFTER LANG ENCODE_FOR_URI",
    "integer": "STRLEN YEAR MONTH DAY HOURS MINUTES",
    "boolean": "BOUND isIRI isURI isLITERAL isBLANK isNUMERIC REGEX CONTAINS STRSTARTS STRENDS "
    "LANGMATCHES sameTerm EXISTS NOTEXISTS",
    "iri": "IRI URI DATATYPE",
    "moment": "NOW",
}
_OF_FUNCTION = {name: kind for kind, names in _FUNCTIONS.items() for name in names.split()}
_LOGICAL = {"RelationalExpression", "ConditionalAndExpression", "ConditionalOrExpression"}
_SAME = {"Aggregate_Min", "Aggregate_Max", "Aggregate_Sample", "Aggregate_Sum", "Aggregate_Avg"}
_ARGUMENT = {"Builtin_ABS", "Builtin_ROUND", "Builtin_CEIL", "Builtin_FLOOR", "UnaryMinus"}
_TEXTS = {f"{PREFIXES['rdfs']}Literal", f"{PREFIXES['rdf']}langString"}
# Properties of other vocabularies, whose ranges the graph does not state.
_OTHERS = {
    "text": "rdfs:label rdfs:comment skos:altLabel skos:prefLabel skos:definition skos:notation",
    "iri": "rdf:type rdfs:subClassOf owl:equivalentClass dcterms:source",
}
_OF_OTHER = {
    PREFIXES[curie.partition(":")[0]] + curie.partition(":")[2]: kind
    for kind, curies in _OTHERS.items()
    for curie in curies.split()
}


def of_range(range_: str) -> str:
    """The kind of values of a range: a class holds IRIs, a datatype not known here text."""
    if range_.startswith(_XSD):
        return _DATATYPES.get(range_.removeprefix(_XSD), "text")
    return "text" if range_ in _TEXTS else "iri"


def column_kinds(query: str, ranges: Mapping[str, str]) -> dict[str, str]:
    """The kind of each variable of a query that the query and `ranges` tell it for.

    Shape: iri, text, boolean, integer, decimal, date or moment by variable; `ranges` gives the
    kind of the values of each property. Empty for a text that cannot be read.
    """
    try:
        algebra = translateQuery(parseQuery(query)).algebra
    except Exception:  # pyparsing and rdflib raise many kinds
        return {}
    told: dict[Any, list[Any]] = defaultdict(list)
    for node in _nodes(algebra):
        _read(node, told, ranges)
    kinds = {str(each): _kind_of(each, told, frozenset()) for each in told}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _nodes(value: Any) -> Iterator[CompValue]:
    if isinstance(value, CompValue):
        yield value
        for each in value.values():
            yield from _nodes(each)
    elif isinstance(value, list):
        for each in value:
            yield from _nodes(each)


def _read(node: CompValue, told: dict[Any, list[Any]], ranges: Mapping[str, str]) -> None:
    """Note what one node says of its variables: a kind, or an expression that has one."""
    if node.name == "BGP":
        for subject, predicate, value in node.triples:
            if isinstance(predicate, Variable):
                told[predicate].append("iri")
            told[subject].append("iri")
            found = _of_path(predicate, ranges)
            if found is not None:
                told[value].append(found)
    elif node.name == "Extend":
        told[node.var].append(node.expr)
    elif node.name == "AggregateJoin":
        for each in node.A:
            told[each.res].append(each)
    elif node.name == "values":
        for row in node.res:
            for variable, term in row.items():
                if term != "UNDEF":
                    told[variable].append(term)


def _of_path(predicate: Any, ranges: Mapping[str, str]) -> str | None:
    if isinstance(predicate, URIRef):
        return _OF_OTHER.get(str(predicate)) or ranges.get(str(predicate))
    if isinstance(predicate, InvPath):
        return "iri"
    if isinstance(predicate, MulPath):
        return _of_path(predicate.path, ranges)
    if isinstance(predicate, SequencePath):
        return _of_path(predicate.args[-1], ranges)
    if isinstance(predicate, AlternativePath):
        found = {_of_path(each, ranges) for each in predicate.args}
        return found.pop() if len(found) == 1 else None
    return "iri" if isinstance(predicate, Path) else None


def _kind_of(term: Any, told: dict[Any, list[Any]], seen: frozenset[Any]) -> str | None:
    """The kind of a variable, an expression or a term; None where several or none is told."""
    if isinstance(term, Variable):
        if term in seen:
            return None
        return _common([_kind_of(each, told, seen | {term}) for each in told.get(term, ())])
    if isinstance(term, URIRef):
        return "iri"
    if isinstance(term, Literal):
        return of_range(str(term.datatype)) if term.datatype else "text"
    if isinstance(term, str):
        return term  # a kind that was noted
    if not isinstance(term, CompValue):
        return None
    name = term.name
    if name in _SAME:
        return _kind_of(term.vars, told, seen)
    if name in _ARGUMENT:
        return _kind_of(term.arg if "arg" in term else term.expr, told, seen)
    if name == "Builtin_IF":
        return _common([_kind_of(each, told, seen) for each in (term.arg2, term.arg3)])
    if name == "Builtin_COALESCE":
        return _common([_kind_of(each, told, seen) for each in term.arg])
    if name == "Aggregate_Count":
        return "integer"
    if name == "Aggregate_GroupConcat":
        return "text"
    if name == "Function":
        return _DATATYPES.get(str(term.iri).removeprefix(_XSD))
    if name in _LOGICAL or name == "UnaryNot":
        return "boolean"
    if name == "AdditiveExpression":
        return _common([_kind_of(each, told, seen) for each in (term.expr, *term.other)])
    if name == "MultiplicativeExpression":
        return "decimal"
    return _OF_FUNCTION.get(name.removeprefix("Builtin_"))


def _common(kinds: list[str | None]) -> str | None:
    found = {kind for kind in kinds if kind is not None}
    if found == {"integer", "decimal"}:
        return "decimal"
    return found.pop() if len(found) == 1 else None
