"""Stores of others: the knowledge and the patients in named graphs of a SPARQL endpoint.

Knowledge is loaded into a fresh graph, counted, and then moved into its place. A patient is judged
in a copy of the knowledge on the server, where updates are allowed; else the knowledge is fetched
and the patient judged here. The text of every request stands in `queries/`.
"""

from __future__ import annotations

import re
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any

from her2kg import graph, rules
from her2kg.endpoint import Endpoint
from her2kg.engines import OxigraphEngine, Table, from_json
from her2kg.errors import EngineError
from her2kg.namespaces import ONTOLOGY

_TOGETHER = 300  # triples in one update: Virtuoso refuses some hundred more
_AT_ONCE = 20  # patients judged together
_STAND_IN = "urn:her2kg:blank:"
_SOURCE, _TARGET = "<urn:her2kg:source>", "<urn:her2kg:target>"
_OPERATION = re.compile(r"^(?=(?:DELETE|INSERT)\b)", re.MULTILINE)
_PROLOGUE = re.compile(r"(?:\s+|#[^\n]*|(?:PREFIX\s+[\w.-]*:|BASE)\s*<[^>]*>)*", re.IGNORECASE)


def _term(cell: dict[str, str]) -> Any:
    """A cell of SPARQL JSON results as an rdflib term."""
    from rdflib import BNode, Literal, URIRef

    if cell["type"] == "uri":
        return URIRef(cell["value"])
    if cell["type"] == "bnode":
        return BNode(cell["value"].removeprefix("_:").replace("://", ""))
    if "xml:lang" in cell:
        return Literal(cell["value"], lang=cell["xml:lang"])
    return Literal(cell["value"], datatype=cell.get("datatype"))


class RemoteEngine:
    """The knowledge in a store, read as an engine is read.

    Shape: `graph` is the IRI of its named graph, found by itself where none is given: the
    ontology's own IRI, else the default graph; `patients` the IRI of a graph with evaluated
    patients, asked together with it.
    """

    name = "remote"

    def __init__(
        self, endpoint: Endpoint, *, graph: str | None = None, patients: str | None = None
    ) -> None:
        self.endpoint = endpoint
        self.patients = patients and _graph_name(patients, "patients")
        self._given = graph and _graph_name(graph, "graph")

    @cached_property
    def graph(self) -> str | None:
        """The named graph of the knowledge, None for the default graph. Errors: EngineError."""
        for place in (self._given,) if self._given else (ONTOLOGY, None):
            if _rows(self.endpoint, rules.system("version.rq"), [place] if place else []).rows:
                return place
        where = f"in graph {self._given}" if self._given else "there"
        raise EngineError(
            f"{self.endpoint.address} holds no her2kg knowledge {where}; load it: "
            "her2kg --endpoint ... --update-endpoint ... publish, or name its graph: --graph IRI"
        )

    @property
    def home(self) -> str:
        """The named graph into which knowledge is published."""
        return self._given or ONTOLOGY

    @property
    def _graphs(self) -> list[str]:
        return [*self._knowledge, *([self.patients] if self.patients else [])]

    @property
    def _knowledge(self) -> list[str]:
        return [self.graph] if self.graph else []

    def select(self, query: str) -> Table:
        return _rows(self.endpoint, query, self._graphs)

    def construct(self, query: str) -> list[tuple[Any, Any, Any]]:
        return _graph_of(self.endpoint, query, self._graphs)

    def _read_only(self, *_: Any) -> Any:
        raise EngineError(
            f"the knowledge in {self.endpoint.address} is not changed piece by piece; "
            "publish it as a whole"
        )

    load_file = add = remove_subjects = update = _read_only

    def refuse_patients(self) -> None:
        """Errors: EngineError if patients stand among the knowledge: they would be judged too."""
        asking = rules.system("patients-there.rq")
        if _rows(self.endpoint, asking, self._knowledge).rows[0][0]:
            raise EngineError(
                f"{self.endpoint.address} holds patients beside the knowledge, so nobody is judged "
                "by it; name a graph with the knowledge alone (graph, --graph), or leave the "
                "endpoint away"
            )

    # Read-only stores: evaluate here

    def fetched(self) -> OxigraphEngine:
        """The knowledge of the store in an engine here, complete and flattened.

        Errors: EngineError where not all of it arrives; DataError as in `graph.flatten`.
        """
        graphs = self._knowledge
        self.refuse_patients()
        here = OxigraphEngine()
        here.add(_triples(self.endpoint, rules.system("every-row.rq"), graphs))
        there = _rows(self.endpoint, rules.system("size.rq"), graphs).rows
        if here.select(rules.system("size.rq")).rows != there:
            raise EngineError(
                f"{self.endpoint.address} did not send the knowledge completely; "
                "evaluate with an embedded graph: leave the endpoint away"
            )
        if not _flattened(here):
            graph.flatten(here)
        return here

    # Stores that take updates

    def replace(
        self, place: str, triples: Iterable[tuple[Any, Any, Any]], told: Callable[[int], None]
    ) -> int:
        """Put triples in the place of a named graph; on a failure that graph stays as it was.

        `told` is called with the number of triples sent so far.

        Shape: the number of triples in the store. Errors: EngineError.
        """

        def fill(fresh: str) -> int:
            return self.insert(triples, fresh, told)

        return self._switch(place, fill)

    def replace_patients(
        self,
        records: list[Any],
        store: Callable[[list[Any], str], None],
        told: Callable[[int], None],
    ) -> int:
        """Put records, judged by `store` some at a time, in the place of the graph of patients.

        Shape: the number of records. Errors: EngineError.
        """

        def fill(fresh: str) -> None:
            for start in range(0, len(records), _AT_ONCE):
                store(records[start : start + _AT_ONCE], fresh)
                told(min(start + _AT_ONCE, len(records)))

        place = self.patients or f"{self.home}/patients"
        self._switch(place, fill)
        self.patients = place
        return len(records)

    def _switch(self, place: str, fill: Callable[[str], int | None]) -> int:
        """Fill a fresh graph, check how much it holds, and move it to its place."""
        fresh = f"{place}/new/{uuid.uuid4().hex}"
        try:
            expected = fill(fresh)
            held = int(_rows(self.endpoint, rules.system("size.rq"), [fresh]).rows[0][0])
            if expected is not None and held != expected:
                raise EngineError(
                    f"{self.endpoint.update_address} holds {held} triples of {expected} sent; "
                    "the graph that was there is unchanged; see the log of that server"
                )
            if held:
                self.endpoint.update(_placed("move-graph.ru", fresh, place))
            else:
                self.endpoint.update(_placed("drop-graph.ru", "", place))
        except BaseException:
            self._drop(fresh)
            raise
        self.__dict__.pop("graph", None)
        return held

    def insert(
        self,
        triples: Iterable[tuple[Any, Any, Any]],
        place: str,
        told: Callable[[int], None] | None = None,
    ) -> int:
        """Add triples to a named graph, blank nodes by way of IRIs that stand in for them.

        Shape: the number of triples. Without `told` the graph remembers the stand-ins, so that
        `remove.ru` can name its blank nodes.
        """
        nodes: dict[Any, str] = {}
        text, sent = _placed("insert.ru", "", place), 0
        for lines in _lots(_lines(triples, nodes), " .\n"):
            self.endpoint.update(text.replace("{}", "{\n" + lines + " .\n}"))
            sent += lines.count(" .\n") + 1
            if told is not None:
                told(sent)
        for file in ("blank-nodes.ru", "blank-nodes-placed.ru"):
            for names in _lots(nodes.values(), " "):
                self.endpoint.update(_within(_with_things(file, names), place))
        if nodes and told is not None:
            self.endpoint.update(_within(rules.system("blank-nodes-done.ru"), place))
        return sent

    def _drop(self, place: str) -> None:
        try:
            self.endpoint.update(_placed("drop-graph.ru", "", place))
        except EngineError:  # the failure that led here is the one to tell
            return

    def working_graph(self) -> WorkingGraph:
        """A copy of the knowledge on the server in which patients are judged."""
        return WorkingGraph(self)


class WorkingGraph:
    """An engine on a copy of the knowledge, made when first needed and dropped with this object."""

    name = "remote"

    def __init__(self, remote: RemoteEngine) -> None:
        self._remote = remote
        self._endpoint = remote.endpoint
        self._place: str | None = None
        self._end: weakref.finalize | None = None

    def close(self) -> None:
        """Drop the copy; it is made anew when needed again."""
        if self._end is not None:
            self._end()
        self._place = self._end = None

    def _here(self) -> str:
        if self._place is not None:
            return self._place
        source = self._remote.graph
        self._remote.refuse_patients()
        place = f"{self._remote.home}/work/{uuid.uuid4().hex}"
        self._end = weakref.finalize(self, self._remote._drop, place)
        copying = _placed("copy-graph.ru", source or "", place)
        if source is None:
            copying = copying.replace("GRAPH <>", "DEFAULT")
        self._endpoint.update(copying)
        self._place = place
        if not _flattened(self):
            self.close()
            raise EngineError(
                f"{self._endpoint.address} holds the ontology without what the rules need beside "
                "it; load it with: her2kg --endpoint ... --update-endpoint ... publish"
            )
        return place

    def select(self, query: str) -> Table:
        return _rows(self._endpoint, query, [self._here()])

    def construct(self, query: str) -> list[tuple[Any, Any, Any]]:
        return _graph_of(self._endpoint, query, [self._here()])

    def update(self, update: str) -> None:
        self._endpoint.update(_within(update, self._here()))

    def add(self, triples: Iterable[tuple[Any, Any, Any]]) -> None:
        if self._place is not None and not _flattened(self):
            self.close()  # the server was restarted, or someone dropped the copy
        self._remote.insert(triples, self._here())

    def remove_subjects(self, subjects: Iterable[Any]) -> None:
        try:
            for things in _lots(map(_name, subjects), " "):
                self.update(_with_things("remove.ru", things))
        except BaseException:
            self.close()  # it may still hold the patient
            raise

    def copy_facts(self, subjects: Iterable[Any], place: str) -> None:
        """Copy all that is said of the subjects into another named graph."""
        for things in _lots(map(_name, subjects), " "):
            text = _with_things("copy-facts.ru", things)
            text = text.replace(_SOURCE, f"<{self._here()}>").replace(_TARGET, f"<{place}>")
            self._endpoint.update(text)


def _graph_name(given: str, what: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+", given):
        raise EngineError(f"{what} {given!r} is no IRI; give one such as {ONTOLOGY}")
    return given


# Requests


def _rows(endpoint: Endpoint, query: str, graphs: list[str]) -> Table:
    """The rows of a SELECT, all pages of them, or of an ASK."""
    cells = _pages(endpoint, query, graphs)
    columns = next(cells)
    if isinstance(columns, bool):
        return Table(("answer",), [(columns,)])
    rows = [tuple(from_json(row.get(each)) for each in columns) for page in cells for row in page]
    if columns == ("__ASK_RETVAL",):  # so Virtuoso answers an ASK
        return Table(("answer",), [(bool(rows and rows[0][0]),)])
    return Table(columns, rows)


def _graph_of(endpoint: Endpoint, query: str, graphs: list[str]) -> list[tuple[Any, Any, Any]]:
    """The triples of a CONSTRUCT."""
    import rdflib

    answer = endpoint.triples(query, graphs)
    try:
        return list(rdflib.Graph().parse(data=answer.body, format="turtle"))
    except Exception as error:  # rdflib raises many kinds
        raise EngineError(
            f"{endpoint.address} sent Turtle that cannot be read: {error}; try again"
        ) from error


def _triples(endpoint: Endpoint, query: str, graphs: list[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of a SELECT as triples of rdflib terms."""
    cells = _pages(endpoint, query, graphs)
    columns = next(cells)
    for page in cells:
        for row in page:
            yield tuple(_term(row[each]) for each in columns)


def _pages(endpoint: Endpoint, query: str, graphs: list[str]) -> Iterator[Any]:
    """First the columns, or the truth of an ASK; then the rows, as many at a time as are sent."""
    found, headers = endpoint.ask(query, graphs)
    if "boolean" in found:
        yield bool(found["boolean"])
        return
    columns, rows = _table(endpoint, found)
    yield columns
    yield rows
    size = len(rows)
    if not rows or not _cut(endpoint, headers):
        return
    offset = size
    while len(rows) == size:
        found, headers = endpoint.ask(_page(query, columns, size, offset), graphs)
        rows = _table(endpoint, found)[1]
        yield rows
        offset += size


def _table(endpoint: Endpoint, found: dict[str, Any]) -> tuple[tuple[str, ...], list[Any]]:
    try:
        columns, rows = tuple(found["head"]["vars"]), found["results"]["bindings"]
        sound = all(
            name in columns and {"type", "value"} <= cell.keys()
            for row in rows
            for name, cell in row.items()
        )
    except (KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise EngineError(
            f"{endpoint.address} sent malformed SPARQL JSON results; check the server's version"
        )
    return columns, rows


def _cut(endpoint: Endpoint, headers: dict[str, str]) -> bool:
    """Whether the store says that it left rows out. Errors: EngineError if it gave up on time."""
    if "x-sql-state" in headers:
        raise EngineError(
            f"{endpoint.address} stopped before all rows were found "
            f"({headers.get('x-sql-message', headers['x-sql-state'])}); ask for less"
        )
    return "x-sparql-maxrows" in headers


def _page(query: str, columns: tuple[str, ...], size: int, offset: int) -> str:
    """Some rows of a query, which becomes a sub-select and so keeps its order and its limits."""
    prologue = _PROLOGUE.match(query)
    start = prologue.end() if prologue else 0
    names = " ".join(f"?{each}" for each in columns)
    return (
        f"{query[:start]}\nSELECT {names} WHERE {{ {{\n{query[start:]}\n}} }} "
        f"LIMIT {size} OFFSET {offset}"
    )


def _flattened(engine: Any) -> bool:
    return bool(engine.select(rules.system("is-flattened.rq")).rows[0][0])


# Texts


@lru_cache(maxsize=256)
def _within(update: str, place: str) -> str:
    """An update as one of a named graph: each operation starts a line."""
    return _OPERATION.sub(f"WITH <{place}> ", update)


def _placed(name: str, source: str, target: str) -> str:
    text = rules.system(name)
    return text.replace(_SOURCE, f"<{source}>").replace(_TARGET, f"<{target}>")


def _with_things(name: str, things: str) -> str:
    return rules.system(name).replace("UNDEF", things)


def _name(term: Any) -> str:
    """A subject as SPARQL names it: a blank node by the IRI that stands in for it."""
    from rdflib import BNode

    return f"<{_STAND_IN}{term}>" if isinstance(term, BNode) else term.n3()


def _lines(triples: Iterable[tuple[Any, Any, Any]], nodes: dict[Any, str]) -> Iterator[str]:
    """Triples as SPARQL writes them; `nodes` collects the names of blank nodes."""
    from rdflib import BNode

    for triple in triples:
        for term in triple:
            if isinstance(term, BNode) and term not in nodes:
                nodes[term] = _name(term)
        yield " ".join(nodes.get(term) or term.n3() for term in triple)


def _lots(texts: Iterable[str], between: str) -> Iterator[str]:
    """Texts put together, as many at a time as an update takes."""
    rest = iter(texts)
    while lot := list(islice(rest, _TOGETHER)):
        yield between.join(lot)
