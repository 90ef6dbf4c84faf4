"""Knowledge and patients in stores of others, and every way in which an endpoint can fail.

The stores are the Oxigraph server and Virtuoso of `stores.py`; the failures come from a server
that answers as it is told.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from rdflib import BNode, Literal, URIRef
from stores import STORES, OxigraphServer, Virtuoso
from test_queries import CASES, COHORT, EXAMPLES, as_cells, knowledge, read_case
from typer.testing import CliRunner

from her2kg import KnowledgeGraph, endpoint
from her2kg.cli import app
from her2kg.endpoint import Endpoint
from her2kg.errors import DataError, EngineError
from her2kg.remote import RemoteEngine

pytestmark = pytest.mark.timeout(600)
PATIENTS = [
    EXAMPLES / f"{name}.json"
    for name in ("second-line-after-thp", "relapse-8-months", "minimal-record")
]
OURS = "https://w3id.org/her2kg"
GRAPHS = "SELECT DISTINCT ?graph WHERE { GRAPH ?graph { ?one ?property ?value } }"
INTEGER = "http://www.w3.org/2001/XMLSchema#integer"
SIZE = "SELECT (COUNT(?property) AS ?size) WHERE { ?one ?property ?value }"


# In stores of others


def by_value(triples: list[tuple[Any, Any, Any]]) -> set[tuple[str, str, Any]]:
    """Triples with Python values: Virtuoso gives a whole decimal back as an integer."""
    return {
        (str(s), str(p), o.toPython() if isinstance(o, Literal) else str(o))
        for s, p, o in triples
        if not isinstance(s, BNode) and not isinstance(o, BNode)
    }


class Published:
    """A store with the knowledge in it."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.options: dict[str, Any] = {**store.empty(), "timeout": 300}
        self.kg = self.open()  # its copy of the knowledge serves several tests
        self.size = self.kg.publish()

    def open(self, **other: Any) -> KnowledgeGraph:
        return KnowledgeGraph(**{**self.options, **other})

    def reading(self, **other: Any) -> KnowledgeGraph:
        return self.open(update_endpoint=None, **other)

    def graphs(self) -> set[str]:
        """Our graphs in the store, whatever their names."""
        rows = Endpoint(
            self.options["endpoint"],
            user=self.options.get("user"),
            password=self.options.get("password"),
        ).ask(GRAPHS)[0]["results"]["bindings"]
        return {row["graph"]["value"] for row in rows if row["graph"]["value"].startswith(OURS)}

    def arguments(self) -> list[str]:
        """The options of the command line for this store."""
        names = ("endpoint", "update_endpoint", "user")
        given = [(name, self.options.get(name)) for name in names]
        return [f"--{name.replace('_', '-')}={value}" for name, value in given if value]


@pytest.fixture(scope="module", params=["oxigraph server", "virtuoso"])
def published(request: Any, tmp_path_factory: Any) -> Iterator[Published]:
    kind = STORES[request.param]
    if reason := kind.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("remote")
    # Fewer rows at a time than the knowledge has, so that answers come in pages.
    store = Virtuoso(folder, rows=10_000) if kind is Virtuoso else kind(folder)
    found = Published(store)
    yield found
    found.kg.close()
    store.close()


@pytest.fixture(scope="module")
def own() -> KnowledgeGraph:
    return knowledge("oxigraph")


def test_published_knowledge_answers_as_the_embedded(published, own):
    kg = published.reading()
    own.complete()
    (size,) = own.select(SIZE).rows
    assert (published.size,) == size == kg.select(SIZE).rows[0]
    assert kg.drug("Enhertu") == own.drug("Enhertu")
    assert kg.names.labels == own.names.labels
    assert published.graphs() >= {OURS}


@pytest.mark.parametrize("name", [case for case in CASES if case.startswith("seed/")])
def test_questions_are_answered_there(published, name):
    case = read_case(name)
    rows = published.reading().query(case.query, **case.parameters)
    assert as_cells(rows, case.only) == case.rows


def test_verdicts_of_the_server_are_those_of_the_embedded_graph(published, own):
    for path in PATIENTS:
        assert published.kg.eligibility(path).to_json() == own.eligibility(path).to_json()
    assert by_value(published.kg.facts(PATIENTS[0])) == by_value(own.facts(PATIENTS[0]))
    assert published.reading().select(SIZE).rows == [(published.size,)]


def test_read_only_store_lends_its_knowledge(published, own):
    kg = published.reading()
    for path in PATIENTS:
        assert kg.eligibility(path).to_json() == own.eligibility(path).to_json()
    assert kg.version == own.version


def test_two_users_do_not_see_one_another(published, own):
    expected = own.eligibility(PATIENTS[0]).to_json()
    record = published.kg.record(PATIENTS[1])
    with published.open() as other, published.kg._evaluator.inferred(record):
        assert other.eligibility(PATIENTS[0]).to_json() == expected
        assert len([graph for graph in published.graphs() if "/work/" in graph]) == 2
        assert other._working.select(f"SELECT ?p {{ ?p a <{OURS}#Patient> }}").rows == []
        other.close()
        assert len([graph for graph in published.graphs() if "/work/" in graph]) == 1


def test_patients_are_published_and_asked_about(published, own):
    paths = [EXAMPLES / f"{name}.json" for name in COHORT]
    done: list[int] = []
    assert published.kg.publish_patients(paths[:2], told=done.append) == 2
    assert published.kg.publish_patients(paths, told=done.append) == len(paths)
    published.kg._remote.patients = None  # the other tests ask about the knowledge alone
    assert done == [2, len(paths)]
    kg = published.reading(patients=f"{OURS}/patients")
    cases = [read_case(name) for name in CASES if name.startswith("cohort/")]
    assert cases
    for case in cases:
        assert as_cells(kg.query(case.query, **case.parameters), case.only) == case.rows
    assert published.reading().select(SIZE).rows == [(published.size,)]
    with pytest.raises(DataError, match="one record for each patient"):
        published.kg.publish_patients([paths[0], paths[0]])


def test_patients_among_the_knowledge_are_refused(published):
    place = f"{OURS}/mixed"
    patient = URIRef(f"{OURS}#patient_x")
    kind = URIRef("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
    version = URIRef("http://www.w3.org/2002/07/owl#versionInfo")
    remote = published.kg._remote
    remote.insert(
        [(patient, kind, URIRef(f"{OURS}#Patient")), (URIRef(OURS), version, Literal("1"))], place
    )
    mixed = published.open(graph=place)._remote
    for judge in (mixed.fetched, lambda: mixed.working_graph().select(SIZE)):
        with pytest.raises(EngineError, match="holds patients beside the knowledge"):
            judge()
    remote._drop(place)


def test_failure_while_publishing_leaves_what_was_there(published, monkeypatch):
    sent = Endpoint.update

    def fail(after: int) -> Callable[..., None]:
        left = iter(range(after))

        def update(self: Endpoint, text: str) -> None:
            if next(left, None) is None and "DROP" not in text:
                raise EngineError("the server stopped")
            sent(self, text)

        return update

    before = published.graphs()
    for after in (0, 3):
        monkeypatch.setattr(Endpoint, "update", fail(after))
        with pytest.raises(EngineError, match="the server stopped"), published.open() as kg:
            kg.publish()
    monkeypatch.undo()
    assert published.graphs() == before
    assert published.reading().select(SIZE).rows == [(published.size,)]


def test_program_killed_while_publishing_leaves_what_was_there(published):
    script = (
        "from her2kg import KnowledgeGraph; import sys\n"
        f"kg = KnowledgeGraph(**{published.options!r})\n"
        "kg.publish(told=lambda sent: print(sent, flush=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and int(process.stdout.readline()) > 0
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert published.reading().select(SIZE).rows == [(published.size,)]
    (left,) = [graph for graph in published.graphs() if "/new/" in graph]
    with published.open() as kg:
        kg._remote._drop(left)


def test_evaluation_that_fails_does_not_spoil_the_next(published, own, monkeypatch):
    kg = published.kg
    whole = Endpoint.update

    def update(self: Endpoint, text: str) -> None:
        if "#+ summary: Remove all" in text:
            raise EngineError("the server stopped")
        whole(self, text)

    monkeypatch.setattr(Endpoint, "update", update)
    with pytest.raises(EngineError, match="the server stopped"):
        kg.eligibility(PATIENTS[1])
    monkeypatch.undo()
    assert not [graph for graph in published.graphs() if "/work/" in graph]
    assert kg.eligibility(PATIENTS[0]).to_json() == own.eligibility(PATIENTS[0]).to_json()
    # Someone else drops the copy meanwhile.
    kg._remote._drop(kg._working._here())
    assert kg.eligibility(PATIENTS[2]).to_json() == own.eligibility(PATIENTS[2]).to_json()


def test_terms_of_every_kind_arrive_as_they_left(published):
    strange = [
        Literal('quote " backslash \\ tab \t line \n end'),
        Literal("ümläut 漢字 😀"),
        Literal("text", lang="de"),
        Literal("2.50", datatype=URIRef("http://www.w3.org/2001/XMLSchema#decimal")),
        Literal("2024-02-29", datatype=URIRef("http://www.w3.org/2001/XMLSchema#date")),
        URIRef("https://example.org/%20?a=b&c#d"),
    ]
    one, prop, node = URIRef("urn:one"), URIRef("urn:p"), BNode("node")
    triples = [(one, prop, each) for each in strange]
    triples += [(one, prop, node), (node, prop, BNode("other")), (BNode("other"), prop, node)]
    with published.open() as kg:
        place = f"{OURS}/test"
        assert kg._remote.replace(place, triples, lambda _: None) == len(triples)
        asked = RemoteEngine(kg._remote.endpoint, graph=place)
        asked.__dict__["graph"] = place  # it holds no ontology to be known by
        back = asked.select("SELECT ?o WHERE { <urn:one> <urn:p> ?o }").rows
        ring = asked.select(
            "SELECT ?a WHERE { <urn:one> <urn:p> ?a . ?a <urn:p> ?b . ?b <urn:p> ?a "
            "FILTER(isBlank(?a) && isBlank(?b)) }"
        ).rows
        kg._remote._drop(place)
    texts = {str(cell) for (cell,) in back}
    assert {str(strange[0]), str(strange[1]), "text", "2024-02-29", str(strange[5])} <= texts
    assert {"2.5", "2.50"} & texts
    assert len(back) == len(strange) + 1 and len(ring) == 1


def test_command_line_publishes_judges_and_asks(published, own, monkeypatch):
    if "password" in published.options:
        monkeypatch.setenv("HER2KG_PASSWORD", published.options["password"])
    to_store = [*published.arguments(), "--timeout", "300"]

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, [*to_store, *arguments])

    path = str(PATIENTS[0])
    done = run("publish", "--patients-only", path)
    assert (done.exit_code, done.stderr) == (0, "1 patients published\n")
    done = run("eligible", path, "--format", "json")
    assert (done.exit_code, done.stdout) == (0, own.eligibility(path).to_json() + "\n")
    assert run("show", "T-DXd", "--format", "json").stdout == (
        CliRunner().invoke(app, ["show", "T-DXd", "--format", "json"]).stdout
    )
    to_store.append(f"--patients={OURS}/patients")
    done = run("run", "cohort/eligible-patients", "--format", "json")
    assert {row["patient"] for row in json.loads(done.stdout)} == {
        "https://w3id.org/her2kg#patient_second_line_after_thp"
    }


def test_wrong_password_and_none_are_told_apart(tmp_path_factory):
    if reason := Virtuoso.missing():
        pytest.skip(reason)
    store = Virtuoso(tmp_path_factory.mktemp("login"))
    try:
        options = store.empty()
        with pytest.raises(EngineError, match="refused the user name or the password"):
            KnowledgeGraph(**{**options, "password": "wrong"}).select("ASK {}")
        with pytest.raises(EngineError, match="asks for a user name"):
            KnowledgeGraph(endpoint=options["endpoint"]).select("ASK {}")
        with pytest.raises(EngineError, match="holds no her2kg knowledge"):
            KnowledgeGraph(**options).select("ASK {}")
    finally:
        store.close()


def test_knowledge_in_the_default_graph_is_found(tmp_path):
    store = OxigraphServer(tmp_path)
    try:
        own = KnowledgeGraph()
        own.complete()
        lines = [
            " ".join(t.n3() for t in each)
            for each in own.engine.construct("CONSTRUCT WHERE { ?subject ?property ?value }")
        ]
        (tmp_path / "all.nt").write_text("".join(f"{line} .\n" for line in lines))
        store.load("default", tmp_path / "all.nt")
        address = f"http://127.0.0.1:{store.ports[-1]}"
        expected = own.eligibility(PATIENTS[0]).to_json()
        reading = KnowledgeGraph(endpoint=f"{address}/query")
        assert reading.eligibility(PATIENTS[0]).to_json() == expected
        with KnowledgeGraph(endpoint=f"{address}/query", update_endpoint=f"{address}/update") as kg:
            assert kg.eligibility(PATIENTS[0]).to_json() == expected
    finally:
        store.close()


# Failures


Reply = tuple[int, dict[str, str], bytes]
RESULTS = json.dumps(
    {
        "head": {"vars": ["version"]},
        "results": {"bindings": [{"version": {"type": "literal", "value": "1"}}]},
    }
).encode()
JSON = {"Content-Type": "application/sparql-results+json"}


class Told:
    """A server that gives one reply after another, the last one for ever."""

    def __init__(self, *replies: Reply | Callable[[Any], None]) -> None:
        self.replies = list(replies)
        self.asked: list[dict[str, list[str]]] = []
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                told.asked.append(parse_qs(self.rfile.read(length).decode()))
                reply = told.replies.pop(0) if len(told.replies) > 1 else told.replies[0]
                if callable(reply):
                    reply(self)
                    return
                status, headers, body = reply
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                return

            def handle(self) -> None:
                with suppress(OSError):  # the client went away
                    super().handle()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}/sparql"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self) -> Told:
        return self

    def __exit__(self, *_: Any) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """The seconds that were waited between tries, without the waiting."""
    found: list[float] = []
    monkeypatch.setattr(endpoint, "_sleep", found.append)
    return found


def _begin(handler: Any, **headers: str) -> None:
    """The head of an answer; header names are written with _ for -."""
    handler.send_response(200)
    handler.send_header("Content-Type", JSON["Content-Type"])
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


def _half(handler: Any) -> None:
    _begin(handler, Content_Length="1000")
    handler.wfile.write(RESULTS[:20])
    handler.close_connection = True


def _stall(handler: Any) -> None:
    _begin(handler, Content_Length="1000")
    handler.wfile.write(RESULTS[:20])
    handler.wfile.flush()
    time.sleep(3)


def _drip(handler: Any) -> None:
    _begin(handler)
    for _ in range(30):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.1)


def _hang(handler: Any) -> None:
    time.sleep(3)


def _cut_chunks(handler: Any) -> None:
    handler.protocol_version = "HTTP/1.1"
    _begin(handler, Transfer_Encoding="chunked")
    handler.wfile.write(b"ff\r\n" + RESULTS[:20])
    handler.close_connection = True


def _reset(handler: Any) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.connection.close()


def _no_http(handler: Any) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    handler.close_connection = True


HTML = {"Content-Type": "text/html; charset=utf-8"}
TEXT = {"Content-Type": "text/plain"}
FAILURES: dict[str, tuple[Reply | Callable[[Any], None], str]] = {
    "a web page": ((200, HTML, b"<html>Welcome"), r"sent text/html, beginning '<html>Welcome'"),
    "no media type": ((200, {}, b"hello"), "an answer without a media type"),
    "JSON of something else": ((200, JSON, b'{"a": 1}'), "not the results asked for"),
    "JSON list": ((200, JSON, b"[]"), "not the results asked for"),
    "cut JSON": ((200, JSON, RESULTS[:40]), "cut off or is not SPARQL results"),
    "not UTF-8": ((200, JSON, b'{"head": "\xff\xfe'), "cut off or is not SPARQL results"),
    "head without columns": ((200, JSON, b'{"head": {}}'), "malformed SPARQL JSON"),
    "bindings of another kind": (
        (200, JSON, b'{"head": {"vars": ["x"]}, "results": {"bindings": [3]}}'),
        "malformed SPARQL JSON",
    ),
    "cell without a type": (
        (200, JSON, b'{"head":{"vars":["x"]},"results":{"bindings":[{"x":{"value":"1"}}]}}'),
        "malformed SPARQL JSON",
    ),
    "wrong query": ((400, TEXT, b"line 3: expected a brace"), "refused the query .400: line 3"),
    "error as a page": ((400, HTML, b"<html>no"), r"refused the query \(400\)"),
    "login": ((401, {"WWW-Authenticate": 'Basic realm="x"'}, b""), "asks for a user name"),
    "forbidden": ((403, TEXT, b"no"), r"forbids this \(403: no\)"),
    "nothing there": ((404, TEXT, b""), r"does not exist on that server \(404\)"),
    "moved": ((302, {"Location": "http://other/x"}, b""), "has moved to http://other/x"),
    "broken": ((500, TEXT, b"stack overflow"), r"failed \(500: stack overflow\)"),
    "body cut": (_half, "broke off after 20 bytes; try again"),
    "chunk cut": (_cut_chunks, "broke off after"),
    "stall": (_stall, r"not complete within 0.5 s \(20 bytes came\); raise the time-out"),
    "drip": (_drip, "not complete within 0.5 s"),
    "no answer": (_hang, "did not answer within 0.5 s"),
    "another protocol": (_no_http, "did not answer in HTTP"),
    "partial by time": (
        (200, {**JSON, "X-SQL-State": "S1TAT", "X-SQL-Message": "RC..."}, RESULTS),
        "stopped before all rows were found",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_is_one_sentence(name, waits):
    reply, message = FAILURES[name]
    with Told(reply) as told:
        kg = KnowledgeGraph(endpoint=told.address, timeout=0.5)
        with pytest.raises(EngineError, match=message) as found:
            kg.select("SELECT ?version {}")
        assert "\n" not in str(found.value) and told.address in str(found.value)
        done = CliRunner().invoke(
            app, ["--endpoint", told.address, "--timeout", "0.5", "sparql", "SELECT ?x {}"]
        )
        assert (done.exit_code, done.stdout) == (2, "")
        assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr
    assert waits == []


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_busy_endpoint_is_asked_again(status, waits):
    busy: Reply = (status, TEXT, b"later")
    with Told(busy, (status, {"Retry-After": "7"}, b""), busy, (200, JSON, RESULTS)) as told:
        kg = KnowledgeGraph(endpoint=told.address)
        assert kg.select("SELECT ?version {}").rows == [("1",)]
        assert len(told.asked) == 5  # one more finds the graph
    assert waits[1] == 7 and 0.3 < waits[0] < 0.7 and 1.4 < waits[2] < 2.6


def test_wait_for_a_day_is_cut_and_nonsense_ignored(waits):
    later = [(503, {"Retry-After": each}, b"") for each in ("86400", "soon", "-1")]
    past: Reply = (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, b"")
    with Told(*later, past, (200, JSON, RESULTS)) as told:
        KnowledgeGraph(endpoint=told.address).select("SELECT ?version {}")
    assert waits[0] == 60 and 0 < waits[1] < 2 and 0 < waits[2] < 4 and waits[3] == 0


def test_endpoint_that_stays_busy_is_given_up(waits):
    with Told((503, TEXT, b"")) as told:
        with pytest.raises(EngineError, match=r"is busy \(503, 5 tries\); try again later"):
            KnowledgeGraph(endpoint=told.address).select("ASK {}")
        assert len(told.asked) == 5
    assert len(waits) == 4 and waits == sorted(waits)


def test_reset_connection_is_tried_again(waits):
    with Told(_reset, (200, JSON, RESULTS)) as told:
        kg = KnowledgeGraph(endpoint=told.address)
        assert kg.select("SELECT ?version {}").rows == [("1",)]
    assert len(waits) == 1


def test_update_is_sent_again_only_where_nothing_was_done(waits):
    with Told((503, TEXT, b""), (504, TEXT, b"")) as told:
        sender = Endpoint(told.address, update_address=told.address)
        with pytest.raises(EngineError, match=r"is busy \(504, 2 tries\)"):
            sender.update("INSERT DATA { <urn:a> <urn:b> 1 }")
    with Told(_reset) as told:
        sender = Endpoint(told.address, update_address=told.address)
        with pytest.raises(EngineError, match="closed the connection"):
            sender.update("INSERT DATA { <urn:a> <urn:b> 1 }")
        assert len(told.asked) == 1


def test_rows_that_were_cut_are_asked_for_page_by_page():
    def page(*values: int, cut: bool = True) -> Reply:
        rows = [{"version": {"type": "literal", "value": str(each)}} for each in values]
        body = json.dumps({"head": {"vars": ["version"]}, "results": {"bindings": rows}}).encode()
        return 200, {**JSON, **({"X-SPARQL-MaxRows": "2"} if cut else {})}, body

    query = (
        "# SELECT of words\nPREFIX a: <urn:select>\nSELECT ?version {} ORDER BY ?version LIMIT 5"
    )
    with Told(page(1, cut=False), page(1, 2), page(3, 4), page(5)) as told:
        kg = KnowledgeGraph(endpoint=told.address)
        assert [row[0] for row in kg.select(query).rows] == ["1", "2", "3", "4", "5"]
        pages = [asked["query"][0] for asked in told.asked[2:]]
    head = "# SELECT of words\nPREFIX a: <urn:select>\n"
    inner = "SELECT ?version {} ORDER BY ?version LIMIT 5"
    assert pages == [
        f"{head}\nSELECT ?version WHERE {{ {{\n{inner}\n}} }} LIMIT 2 OFFSET {offset}"
        for offset in (2, 4)
    ]


def test_knowledge_that_does_not_arrive_whole_is_refused(monkeypatch):
    one = {"type": "uri", "value": "urn:x"}
    found: dict[str, Any] = {
        "version": {"version": {"type": "literal", "value": "1"}},
        "patients": {"patients": {"type": "literal", "value": "0", "datatype": INTEGER}},
        "subject": {"subject": one, "property": one, "value": one},
        "triples": {
            name: {
                "type": "literal",
                "value": value,
                "datatype": "http://www.w3.org/2001/XMLSchema#integer",
            }
            for name, value in (("triples", "2"), ("blank", "0"))
        },
    }

    def ask(self: Endpoint, query: str, graphs: Any = ()) -> Any:
        names = ("version", "triples", "subject", "patients")
        name = next(name for name in names if re.search(rf"(SELECT|AS) \?{name}\b", query))
        row = found[name]
        return {"head": {"vars": list(row)}, "results": {"bindings": [row]}}, {}

    monkeypatch.setattr(Endpoint, "ask", ask)
    kg = KnowledgeGraph(endpoint="http://127.0.0.1:9/sparql")
    with pytest.raises(EngineError, match="did not send the knowledge completely"):
        kg._remote.fetched()


def test_count_that_differs_keeps_the_old_graph(monkeypatch):
    sent: list[str] = []
    monkeypatch.setattr(Endpoint, "update", lambda self, text: sent.append(text))
    row = {
        name: {
            "type": "literal",
            "value": "1",
            "datatype": "http://www.w3.org/2001/XMLSchema#integer",
        }
        for name in ("triples", "blank")
    }
    answer = {"head": {"vars": list(row)}, "results": {"bindings": [row]}}
    monkeypatch.setattr(Endpoint, "ask", lambda *_: (answer, {}))
    store = RemoteEngine(Endpoint("http://a/q", update_address="http://a/u"))
    triples = [(URIRef("urn:a"), URIRef("urn:b"), Literal(each)) for each in range(3)]
    with pytest.raises(EngineError, match="holds 1 triples of 3 sent; the graph that was there is"):
        store.replace("urn:place", triples, lambda _: None)
    assert not any("MOVE" in each for each in sent) and "DROP SILENT" in sent[-1]


# Bad input

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "file": ({"endpoint": "file:///etc/passwd"}, "no address of a SPARQL endpoint"),
    "no scheme": ({"endpoint": "localhost:7878/query"}, "no address of a SPARQL endpoint"),
    "blank": ({"endpoint": "http://host/a b"}, "no address of a SPARQL endpoint"),
    "port": ({"endpoint": "http://host:99999/"}, "no address of a SPARQL endpoint"),
    "empty": ({"endpoint": ""}, "no address of a SPARQL endpoint"),
    "update": (
        {"endpoint": "http://host/", "update_endpoint": "ftp://host/"},
        "no address of a SPARQL update endpoint",
    ),
    "password in the address": ({"endpoint": "http://me:secret@host/"}, "holds a user name"),
    "user alone": ({"endpoint": "http://host/", "user": "me"}, "no password; give both"),
    "password alone": ({"endpoint": "http://host/", "password": "x"}, "no user name; give both"),
    "time-out": ({"endpoint": "http://host/", "timeout": 0}, "give seconds above 0"),
    "no number": ({"endpoint": "http://host/", "timeout": float("nan")}, "give seconds above 0"),
    "graph": ({"endpoint": "http://host/", "graph": "a b"}, "graph 'a b' is no IRI"),
    "injection": (
        {"endpoint": "http://host/", "patients": "urn:a> DROP ALL #"},
        "patients 'urn:a> DROP ALL #' is no IRI",
    ),
    "no endpoint": ({"graph": "urn:a"}, "give endpoint too"),
}


@pytest.mark.parametrize("name", BAD)
def test_options_that_cannot_be_used_are_one_sentence(name):
    options, message = BAD[name]
    with pytest.raises(EngineError, match=message) as found:
        KnowledgeGraph(**options)
    assert "secret" not in str(found.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--graph", "urn:a", "show", "T-DXd"], "--graph goes with --endpoint"),
        (["publish"], "no store is named"),
        (["--endpoint", "http://127.0.0.1:9/", "publish"], "is used read-only"),
        (["--endpoint", "http://127.0.0.1:9/", "check"], "her2kg check works on the files here"),
        (["--endpoint", "http://127.0.0.1:9/", "reason", "x"], "leave --endpoint away"),
        (["--endpoint", "http://127.0.0.1:9/", "show", "x"], "refused the connection"),
        (["--endpoint", "http://127.0.0.1:9/", "--user", "me", "show", "x"], "HER2KG_PASSWORD"),
        (["--endpoint", "http://host.invalid/", "show", "x"], "host that is not known"),
        (["--endpoint", "nowhere", "show", "x"], "no address of a SPARQL endpoint"),
        (
            ["--endpoint", "http://127.0.0.1:9/", "eligible", "x.json", "--engine", "rdflib"],
            "--engine goes with the embedded graph",
        ),
        (
            ["--endpoint", "http://127.0.0.1:9/", "publish", "--patients-only"],
            "--patients-only needs patients",
        ),
        (
            ["--endpoint", "http://127.0.0.1:9/", "publish", "no-such-file.json"],
            "a file that does not exist",
        ),
    ],
)
def test_command_line_says_what_is_wrong(arguments, message, monkeypatch):
    monkeypatch.delenv("HER2KG_PASSWORD", raising=False)
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_options_of_one_run_do_not_stay_for_the_next():
    CliRunner().invoke(app, ["--endpoint", "http://127.0.0.1:9/", "show", "T-DXd"])
    assert CliRunner().invoke(app, ["show", "T-DXd"]).exit_code == 0


def test_embedded_graph_is_no_store_and_reasoner_needs_one(own):
    with pytest.raises(EngineError, match="there is no store to publish to"):
        own.publish()
    with pytest.raises(EngineError, match="works on an embedded graph"):
        KnowledgeGraph(endpoint="http://127.0.0.1:9/").reasoner()
