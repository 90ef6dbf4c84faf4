"""SPARQL engines behind one small interface: Oxigraph or rdflib; `remote` has that of endpoints.

Rows come back as Python values (`Iri`, `Blank`, str, int, Decimal, bool, date), so that callers
compare values and not lexical forms. pyoxigraph is imported only here, but for `serve_worker`,
which evaluates queries for `her2kg serve` in processes without the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from her2kg.errors import EngineError
from her2kg.namespaces import PREFIXES, Blank, Iri

XSD = "http://www.w3.org/2001/XMLSchema#"
_INTEGERS = {XSD + name for name in ("integer", "int", "long", "nonNegativeInteger")}


Syntax = Literal["turtle", "rdf-xml", "json-ld", "nt"]

INVALID = "the query is not valid SPARQL"  # how a message on the text of a query begins
_RENEW_AFTER = 15_000  # removed quads: some dozen patients


class Table(NamedTuple):
    """Rows of one SELECT (or one ASK: a single column `answer`)."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class Engine(Protocol):
    """What the rest of the package may ask of a store."""

    name: str

    def load_file(self, path: Path) -> None: ...
    def add(self, triples: Iterable[tuple[Any, Any, Any]]) -> None: ...
    def remove_subjects(self, subjects: Iterable[Any]) -> None: ...
    def select(self, query: str) -> Table: ...
    def update(self, update: str) -> None: ...
    def construct(self, query: str) -> list[tuple[Any, Any, Any]]: ...


def to_python(lexical: str, datatype: str | None) -> Any:
    """A literal as a Python value; a lexical form outside its datatype stays a string."""
    try:
        if datatype in _INTEGERS:
            return int(lexical)
        if datatype in (XSD + "decimal", XSD + "double", XSD + "float"):
            return Decimal(lexical)
        if datatype == XSD + "boolean":
            return lexical in ("true", "1")
        if datatype == XSD + "date":
            return date.fromisoformat(lexical[:10])
        if datatype == XSD + "dateTime":
            return datetime.fromisoformat(lexical)
    except (ValueError, InvalidOperation):
        pass
    return lexical


def from_json(cell: dict[str, str] | None) -> Any:
    """A cell of SPARQL JSON results as a Python value, None for no value."""
    if cell is None:
        return None
    if cell["type"] == "uri":
        return Iri(cell["value"])
    if cell["type"] == "bnode":
        return Blank(cell["value"])
    return to_python(cell["value"], cell.get("datatype"))


def _brief(error: Exception) -> str:
    """The message of a parser, without the tail of a long list of what it would have accepted."""
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else text[:157].rstrip(", ") + "..."


class OxigraphEngine:
    """Oxigraph in memory, the default."""

    name = "oxigraph"

    def __init__(self) -> None:
        import pyoxigraph

        self._ox = pyoxigraph
        self.store = pyoxigraph.Store()
        self._removed = 0

    def load_file(self, path: Path) -> None:
        formats = {
            ".ttl": self._ox.RdfFormat.TURTLE,
            ".nt": self._ox.RdfFormat.N_TRIPLES,
            ".rdf": self._ox.RdfFormat.RDF_XML,
        }
        try:
            self.store.bulk_load(path=str(path), format=formats[path.suffix])
        except (SyntaxError, OSError) as error:
            raise EngineError(
                f"{path} cannot be loaded: {error}; correct the file, then try again"
            ) from error

    def load_kept(self, path: Path) -> None:
        """Load what `dump` wrote; blank nodes keep their names, so that two files fit together."""
        triples = self._ox.parse(path=str(path), format=self._ox.RdfFormat.N_TRIPLES)
        self.store.bulk_extend(triples)

    def _term(self, term: Any) -> Any:
        from rdflib import BNode, URIRef

        if isinstance(term, URIRef):
            return self._ox.NamedNode(str(term))
        if isinstance(term, BNode):
            return self._ox.BlankNode(str(term))
        if term.language:
            return self._ox.Literal(str(term), language=term.language)
        if term.datatype:
            return self._ox.Literal(str(term), datatype=self._ox.NamedNode(str(term.datatype)))
        return self._ox.Literal(str(term))

    def add(self, triples: Iterable[tuple[Any, Any, Any]]) -> None:
        term = self._term
        self.store.extend(self._ox.Quad(term(s), term(p), term(o)) for s, p, o in triples)

    def remove_subjects(self, subjects: Iterable[Any]) -> None:
        for subject in subjects:
            for quad in list(self.store.quads_for_pattern(self._term(subject), None, None)):
                self.store.remove(quad)
                self._removed += 1
        if self._removed > _RENEW_AFTER:
            # The store in memory keeps what was removed and slows down; a copy starts afresh.
            fresh = self._ox.Store()
            fresh.bulk_extend(self.store)
            self.store, self._removed = fresh, 0

    def _value(self, term: Any) -> Any:
        if term is None:
            return None
        if isinstance(term, self._ox.NamedNode):
            return Iri(term.value)
        if isinstance(term, self._ox.Literal):
            return to_python(term.value, term.datatype.value)
        return Blank(term.value)

    def _run(self, query: str) -> Any:
        try:
            return self.store.query(query)
        except SyntaxError as error:
            raise EngineError(f"{INVALID}: {_brief(error)}") from error
        except (ValueError, RuntimeError, OSError) as error:
            raise EngineError(f"the query failed: {error}") from error

    def select(self, query: str) -> Table:
        result = self._run(query)
        if isinstance(result, self._ox.QueryBoolean):
            return Table(("answer",), [(bool(result),)])
        if isinstance(result, self._ox.QueryTriples):
            rows = [
                (self._value(t.subject), self._value(t.predicate), self._value(t.object))
                for t in result
            ]
            return Table(("subject", "predicate", "object"), rows)
        columns = tuple(variable.value for variable in result.variables)
        value = self._value
        width = range(len(columns))
        return Table(columns, [tuple(value(row[i]) for i in width) for row in result])

    def update(self, update: str) -> None:
        try:
            self.store.update(update)
        except SyntaxError as error:
            raise EngineError(f"the update is not valid SPARQL: {error}") from error

    def construct(self, query: str) -> list[tuple[Any, Any, Any]]:
        from rdflib import BNode, Literal, URIRef

        def back(term: Any) -> Any:
            if isinstance(term, self._ox.NamedNode):
                return URIRef(term.value)
            if isinstance(term, self._ox.BlankNode):
                return BNode(term.value)
            if term.language:
                return Literal(term.value, lang=term.language)
            if term.datatype.value == XSD + "string":
                return Literal(term.value)  # as rdflib itself reads it
            return Literal(term.value, datatype=URIRef(term.datatype.value))

        return [(back(t.subject), back(t.predicate), back(t.object)) for t in self._run(query)]

    def dump(self, first: Path, later: Path, query: str) -> None:
        """Write every triple as N-Triples: what the CONSTRUCT query gives to `later`."""
        apart = set(self._run(query))
        triples = (quad.triple for quad in self.store)
        form = self._ox.RdfFormat.N_TRIPLES
        self._ox.serialize(apart, str(later), format=form)
        self._ox.serialize((each for each in triples if each not in apart), str(first), format=form)

    def dump_all(self, path: Path) -> int:
        """Write every triple as N-Quads; the number of triples."""
        self.store.dump(str(path), format=self._ox.RdfFormat.N_QUADS)
        return len(self.store)


@lru_cache(maxsize=256)
def _prepared_update(text: str) -> Any:
    """An update as rdflib runs it, parsed once: the rules run in rounds."""
    from rdflib.plugins.sparql import prepareUpdate

    return prepareUpdate(text)


class RdflibEngine:
    """Pure rdflib: slower, the same rows."""

    name = "rdflib"

    def __init__(self) -> None:
        import rdflib

        self._rdflib = rdflib
        self.graph = rdflib.Graph()
        self._blank: dict[str, Any] = {}

    def load_file(self, path: Path) -> None:
        formats = {".ttl": "turtle", ".nt": "nt", ".rdf": "xml"}
        try:
            self.graph.parse(str(path), format=formats[path.suffix])
        except Exception as error:  # rdflib raises many kinds
            raise EngineError(
                f"{path} cannot be loaded: {error}; correct the file, then try again"
            ) from error

    def load_kept(self, path: Path) -> None:
        """Load what OxigraphEngine.dump wrote; the blank nodes of two files fit together."""
        self.graph.parse(str(path), format="nt", bnode_context=self._blank)

    def add(self, triples: Iterable[tuple[Any, Any, Any]]) -> None:
        for triple in triples:
            self.graph.add(triple)

    def remove_subjects(self, subjects: Iterable[Any]) -> None:
        for subject in subjects:
            self.graph.remove((subject, None, None))

    def _value(self, term: Any) -> Any:
        if term is None:
            return None
        if isinstance(term, self._rdflib.URIRef):
            return Iri(str(term))
        if isinstance(term, self._rdflib.BNode):
            return Blank(str(term))
        return to_python(str(term), str(term.datatype) if term.datatype else None)

    def _run(self, query: str) -> Any:
        try:
            return self.graph.query(query)
        except Exception as error:  # pyparsing and rdflib raise many kinds
            place = re.search(r"\(line:(\d+), col:(\d+)\)", str(error))
            where = f"error at {place[1]}:{place[2]}: " if place else ""
            reason = (
                str(error)
                .partition(" (at char")[0]
                .replace("Unknown namespace", "Prefix not found:")
            )
            raise EngineError(f"{INVALID}: {where}{reason}") from error

    def select(self, query: str) -> Table:
        result = self._run(query)
        if result.type == "ASK":
            return Table(("answer",), [(bool(result.askAnswer),)])
        if result.type in ("CONSTRUCT", "DESCRIBE"):
            return Table(
                ("subject", "predicate", "object"),
                [tuple(self._value(term) for term in triple) for triple in result.graph],
            )
        columns = tuple(str(variable) for variable in result.vars)
        return Table(columns, [tuple(self._value(term) for term in row) for row in result])

    def update(self, update: str) -> None:
        self.graph.update(_prepared_update(update))

    def construct(self, query: str) -> list[tuple[Any, Any, Any]]:
        return list(self._run(query).graph)


def make_engine(name: str) -> OxigraphEngine | RdflibEngine:
    """The embedded engine of that name: oxigraph or rdflib."""
    if name == "oxigraph":
        return OxigraphEngine()
    if name == "rdflib":
        return RdflibEngine()
    raise EngineError(f"unknown engine {name!r}; accepted are oxigraph and rdflib")


# Turtle as terms, without a store


def parse_terms(
    data: bytes,
    syntax: Literal["turtle", "nt", "xml"],
    literal: Callable[[str, str | None, str], str],
) -> set[tuple[str, str, str]]:
    """Read Turtle, N-Triples or RDF/XML into triples of texts.

    Shape: "<iri>", "_:label", or what `literal` makes of a value, its language and its datatype.
    Errors: SyntaxError, with `lineno` where the parser knows it; ValueError.
    """
    import pyoxigraph as ox

    cache: dict[Any, str] = {}

    def term(node: Any) -> str:
        known = cache.get(node)
        if known is None:
            if isinstance(node, ox.Literal):
                known = literal(node.value, node.language, node.datatype.value)
            elif isinstance(node, ox.NamedNode | ox.BlankNode):
                known = str(node)
            else:
                raise SyntaxError("a triple term; only IRIs, blank nodes and literals are used")
            cache[node] = known
        return known

    forms = {"turtle": "TURTLE", "nt": "N_TRIPLES", "xml": "RDF_XML"}
    return {
        (term(quad.subject), term(quad.predicate), term(quad.object))
        for quad in ox.parse(data, format=getattr(ox.RdfFormat, forms[syntax]))
    }


def canonical_blanks(turtle: bytes) -> bytes:
    """Write Turtle as N-Triples whose blank nodes are named after their content (RDFC-1.0)."""
    import pyoxigraph as ox

    dataset = ox.Dataset(ox.parse(turtle, format=ox.RdfFormat.TURTLE))
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    return "".join(f"{quad.triple} .\n" for quad in dataset).encode()


def convert(text: str, source: Syntax, target: Syntax) -> str:
    """Write RDF in another syntax, triples and blank nodes in the order of the text.

    Shape: blank nodes are numbered as they come, so that the same text gives the same bytes.
    """
    import pyoxigraph as ox

    forms = {
        "turtle": ox.RdfFormat.TURTLE,
        "rdf-xml": ox.RdfFormat.RDF_XML,
        "json-ld": ox.RdfFormat.JSON_LD,
        "nt": ox.RdfFormat.N_TRIPLES,
    }
    blanks: dict[Any, Any] = {}

    def numbered(term: Any) -> Any:
        if not isinstance(term, ox.BlankNode):
            return term
        return blanks.setdefault(term, ox.BlankNode(f"b{len(blanks) + 1}"))

    by_subject: dict[Any, list[Any]] = {}
    for quad in ox.parse(text.encode(), format=forms[source]):
        subject, value = numbered(quad.subject), numbered(quad.object)
        by_subject.setdefault(subject, []).append(ox.Triple(subject, quad.predicate, value))
    triples = (triple for group in by_subject.values() for triple in group)
    prefixes = None if target == "nt" else PREFIXES
    return ox.serialize(triples, format=forms[target], prefixes=prefixes).decode()
