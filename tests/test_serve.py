"""`her2kg serve` answers as the embedded graph does, and keeps answering whatever it is sent."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
import rdflib
from serving import ROOT, RUNAWAY, START, Serving, descendants, serving, until
from stores import table
from test_queries import CASES, as_cells, read_case

from her2kg import KnowledgeGraph, queries, query_text, serve_formats
from her2kg.engines import OxigraphEngine
from her2kg.namespaces import BASE
from her2kg.rows import Rows

pytest.importorskip("uvicorn", reason="needs pip install 'her2kg[serve]'")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

DRUGS = (
    "SELECT ?drug ?label WHERE { ?drug a her2kg:Her2Antibody ; rdfs:label ?label } ORDER BY ?drug"
)
GRAPH = (
    "CONSTRUCT { ?s rdfs:label ?l } WHERE { VALUES ?s { her2kg:drug_tucatinib } ?s rdfs:label ?l }"
)
ALIVE = "ASK { her2kg:drug_tucatinib a ?type }"
ALL = "SELECT ?s ?p ?o WHERE { ?s ?p ?o }"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def server():
    with serving("--timeout", "20") as found:
        yield found


@pytest.fixture(scope="module")
def limited():
    """A server with narrow limits."""
    with serving("--timeout", "2", "--max-size", "1", "--workers", "2") as found:
        yield found


@pytest.fixture(scope="module")
def open_server():
    with serving("--allow-updates", "--allow-service", "--cors", "https://tool.example") as found:
        yield found


@pytest.fixture(scope="module")
def served(server):
    """The graph that is served, in an embedded engine."""
    from her2kg.serve_store import prepared

    engine = OxigraphEngine()
    graph = prepared(Path("/nonexistent"))
    import pyoxigraph

    engine.store.bulk_load(path=str(graph.path), format=pyoxigraph.RdfFormat.N_QUADS)
    return engine


@pytest.fixture(scope="module")
def shown(server):
    """The questions as the page shows them."""
    return {each["name"]: each["text"] for each in json.loads(server.ask("/queries").body)}


def answers(server: Serving) -> bool:
    return server.query(ALIVE).status == 200


# Formats


@pytest.mark.parametrize(
    ("accept", "media", "start"),
    [
        ("application/sparql-results+json", "application/sparql-results+json", '{"head"'),
        ("application/sparql-results+xml", "application/sparql-results+xml", "<?xml"),
        ("text/csv", "text/csv; charset=utf-8", "drug,label"),
        ("text/tab-separated-values", "text/tab-separated-values; charset=utf-8", "?drug\t?label"),
        ("*/*", "application/sparql-results+json", '{"head"'),
        ("text/csv;q=0.5, application/json", "application/sparql-results+json", '{"head"'),
    ],
)
def test_curl_gets_rows_in_each_format(server, accept, media, start):
    command = ["curl", "-sS", "-H", f"Accept: {accept}", "--data-urlencode", f"query={DRUGS}"]
    command += ["-w", "\n%{http_code} %{content_type}", f"{server.address}sparql"]
    body, _, last = subprocess.run(command, capture_output=True, text=True).stdout.rpartition("\n")
    assert last == f"200 {media}"
    assert body.startswith(start)
    assert "drug_trastuzumab" in body


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("text/turtle", "turtle"),
        ("application/n-triples", "nt"),
        ("application/rdf+xml", "xml"),
        ("application/ld+json", "json-ld"),
    ],
)
def test_curl_gets_a_graph_in_each_format(server, accept, form):
    command = ["curl", "-sS", "-G", "-H", f"Accept: {accept}", "--data-urlencode", f"query={GRAPH}"]
    done = subprocess.run([*command, f"{server.address}query"], capture_output=True, text=True)
    graph = rdflib.Graph().parse(data=done.stdout, format=form)
    assert [str(value) for value in graph.objects()] == ["tucatinib"]


def test_the_protocol_in_its_three_forms_gives_the_same(server):
    by_get = server.ask(f"/sparql?query={quote(DRUGS)}")
    by_body = server.ask(
        method="POST", body=DRUGS.encode(), Content_Type="application/sparql-query; charset=utf-8"
    )
    assert by_get.body == by_body.body == server.query(DRUGS).body
    assert server.ask(f"/sparql?query={quote(ALIVE)}&format=csv").text.strip() == "true"


def test_wrong_requests_get_a_sentence(server):
    for answer, status, words in (
        (server.ask(), 400, "send one query"),
        (server.ask("/sparql?query=a&query=b"), 400, "2 were sent"),
        (server.ask(method="POST", body=b"x", Content_Type="text/x"), 415, "'text/x' was sent"),
        (
            server.ask(method="POST", body=b"\xff", Content_Type="application/sparql-query"),
            400,
            "byte 1",
        ),
        (server.query(DRUGS, "image/png"), 406, "'image/png'"),
        (server.query(DRUGS, "text/turtle"), 406, "text/csv"),
        (server.query(GRAPH, "text/csv"), 406, "text/turtle"),
        (server.ask(f"/sparql?query={quote(DRUGS)}&format=exe"), 400, "unknown format 'exe'"),
        (server.ask("/nothing"), 404, "/sparql"),
        (server.ask("/health", method="DELETE"), 405, "DELETE"),
        (server.ask("/sparql?update=CLEAR+ALL"), 405, "by POST"),
    ):
        assert (answer.status, words in answer.text) == (status, True), answer.text
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.text.count("\n") == 1


def test_a_graph_that_the_protocol_names_replaces_the_graph(server):
    address = f"/sparql?query={quote(ALIVE)}&format=csv&default-graph-uri=urn:other"
    assert server.ask(address).text.strip() == "false"


def test_accept_headers_are_weighed():
    rows, graphs = serve_formats.ROWS, serve_formats.GRAPHS
    assert serve_formats.choose("", rows) == "JSON"
    assert serve_formats.choose("text/*", rows) == "XML"
    assert serve_formats.choose("text/csv;q=0, */*;q=0.1", rows) == "JSON"
    assert serve_formats.choose("text/csv, text/tab-separated-values", rows) == "CSV"
    assert serve_formats.choose("text/html", rows) is None
    assert serve_formats.choose("text/html, application/rdf+xml;q=0.3", graphs) == "RDF_XML"
    assert serve_formats.choose(";;,,=;q=x,text/turtle;q=9", graphs) == "TURTLE"


def test_sparqlwrapper_gets_rows_and_graphs(server):
    from SPARQLWrapper import CSV, JSON, TURTLE, SPARQLWrapper

    for method in ("GET", "POST"):
        wrapper = SPARQLWrapper(f"{server.address}sparql")
        wrapper.setMethod(method)
        wrapper.setQuery(DRUGS)
        wrapper.setReturnFormat(JSON)
        found = wrapper.queryAndConvert()["results"]["bindings"]
        assert f"{BASE}drug_trastuzumab" in [row["drug"]["value"] for row in found]
        wrapper.setReturnFormat(CSV)
        assert wrapper.queryAndConvert().startswith(b"drug,label")
        wrapper.setQuery(GRAPH)
        wrapper.setReturnFormat(TURTLE)
        assert b"tucatinib" in wrapper.queryAndConvert()


def test_a_remote_graph_on_the_server_answers(server):
    kg = KnowledgeGraph(endpoint=f"{server.address}sparql")
    assert kg.drug("Enhertu").label == "trastuzumab deruxtecan"


# The library


@pytest.mark.parametrize("name", queries.library())
def test_library_query_gives_the_rows_of_the_embedded_graph(server, served, shown, name):
    text = shown[name]
    answer = server.query(text)
    assert answer.status == 200, answer.text
    assert "her2kg-note" not in answer.headers
    there, here = table(json.loads(answer.body)), served.select(text)
    assert there.columns == here.columns
    assert sorted(as_cells(Rows(*there))) == sorted(as_cells(Rows(*here)))


def test_library_queries_give_their_expected_rows(server):
    """Those about knowledge; the patients of the other cases are not those that are served."""
    names = KnowledgeGraph().names
    wrong = []
    cases = [
        case
        for case in CASES
        if not case.startswith(("cohort/", "eligibility/", "terms/", "early/"))
    ]
    for name in cases:
        case = read_case(name)
        query = queries.find(case.query)
        answer = server.query(queries.bind(query, case.parameters, names))
        rows = Rows(*table(json.loads(answer.body)))
        if as_cells(rows, case.only) != case.rows:
            wrong.append(name)
    assert len(cases) > 80
    assert wrong == []


def test_examples_are_served_with_their_inferred_types(server):
    rows = server.query(
        "SELECT (COUNT(DISTINCT ?p) AS ?n) WHERE { ?p a her2kg:Patient, her2kg:Her2PositivePatient }"
    )
    assert int(json.loads(rows.body)["results"]["bindings"][0]["n"]["value"]) > 50


# Wrong queries


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT * WHERE {\n  ?s her2g:usesDrug ?o }", ["2:6", "'her2g:'", "'her2kg:'"]),
        ("SELECT * WHERE { ?s scos:notation ?o }", ["1:21", "'skos:'"]),
        ("SELEC ?s WHERE { ?s ?p ?o }", ["1:1", "'SELEC'", "SELECT"]),
        ("SELECT ?s WHERE { ?s ?p ?o \n FLTER(?o > 1) }", ["2:2", "FILTER"]),
        ("SELECT (COUNT(?s) AS ?n) WHERE { ?s ?p ?o } ORDER BY ASC(?n) ?", ["1:63", "early"]),
        ("SELECT ?s WHERE {", ["1:18", "ends too early"]),
        ("SELECT ?s WHERE { ?s ?p } ORDER BY", ["1:27", "'ORDER'"]),
    ],
)
def test_a_wrong_query_is_told_its_place_and_what_is_near(server, query, words):
    answer = server.query(query)
    assert answer.status == 400
    assert [word for word in words if word not in answer.text] == [], answer.text
    assert answer.text.count("\n") == 1


def test_an_unknown_term_is_told_beside_the_rows(server):
    answer = server.query("SELECT ?r WHERE {\n ?r her2kg:useDrug her2kg:drug_tucatinb }")
    assert answer.status == 200
    note = answer.headers["her2kg-note"]
    assert "her2kg:useDrug at 2:5 is not in the graph; did you mean 'her2kg:usesDrug'" in note
    assert "'her2kg:drug_tucatinib'" in note


# SERVICE and updates


@pytest.mark.parametrize(
    "where",
    [
        "SERVICE <http://127.0.0.1:9/> { ?s ?p ?o }",
        "service silent<http://127.0.0.1:9/>{ ?s ?p ?o }",
        "SERVICEher2kg:x { ?s ?p ?o }",
        "?s ?p 1SERVICE<http://127.0.0.1:9/> { ?s ?p ?o }",
        "?s ?p trueSERVICE<http://127.0.0.1:9/> { ?s ?p ?o }",
        "FILTER(1<2)SERVICE#>\n<http://127.0.0.1:9/> { ?s ?p ?o }",
        "?s her2kg:a\\# SERVICE <http://127.0.0.1:9/> { ?s ?p ?o }",
        "?s ?p '\\'' . SERVICE ?s { ?s ?p 'x' }",
    ],
)
def test_service_is_refused(server, where):
    answer = server.query(f"SELECT * WHERE {{ {where} }}")
    assert (answer.status, "--allow-service" in answer.text) == (403, True), answer.text


@pytest.mark.parametrize(
    "query",
    [
        "SELECT ?service WHERE { ?service ?p 'SERVICE <x> {' } LIMIT 1",
        "SELECT ?s WHERE { # SERVICE <http://x/>\n ?s ?p ?o } LIMIT 1",
        "SELECT ?s WHERE { ?s <http://x/SERVICE> ?o }",
        'SELECT ?s WHERE { ?s her2kg:service """a "service" b""" }',
    ],
)
def test_the_word_service_alone_is_not_refused(server, query):
    assert server.query(query).status == 200


def test_a_worker_can_open_no_socket():
    """What the check of the text would let through, the kernel stops."""
    script = (
        "import socket\nfrom her2kg.serve_worker import forbid_sockets\n"
        "print(forbid_sockets())\n"
        "try:\n    socket.socket()\nexcept PermissionError:\n    print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    if done.stdout.startswith("False"):
        pytest.skip("no seccomp here")
    assert done.stdout.split() == ["True", "refused"], done.stderr


def test_updates_are_refused(server):
    for answer in (
        server.update("INSERT DATA { <urn:a> <urn:b> <urn:c> }"),
        server.query("INSERT DATA { <urn:a> <urn:b> <urn:c> }"),
        server.ask(
            method="POST",
            body=b"update=CLEAR+ALL",
            Content_Type="application/x-www-form-urlencoded",
        ),
    ):
        assert answer.status in (400, 403)
    assert "--allow-updates" in server.update("CLEAR ALL").text
    assert json.loads(server.query("ASK { <urn:a> ?p ?o }").body)["boolean"] is False


def test_updates_are_taken_when_asked(open_server):
    assert open_server.update("INSERT DATA { <urn:a> rdfs:label 'new' }").status == 204
    assert json.loads(open_server.query("ASK { <urn:a> rdfs:label 'new' }").body)["boolean"]
    assert open_server.update("INSERT DTA { <urn:a> rdfs:label 'new' }").status == 400
    with serving() as other:  # nothing was kept
        assert not json.loads(other.query("ASK { <urn:a> ?p ?o }").body)["boolean"]


def test_changes_outlive_a_worker_that_is_ended():
    with serving("--allow-updates", "--timeout", "1") as server:
        assert server.update("INSERT DATA { <urn:b> rdfs:label 'kept' }").status == 204
        assert server.query(RUNAWAY).status == 504
        assert json.loads(server.query("ASK { <urn:b> rdfs:label 'kept' }").body)["boolean"]
        refused = server.update("LOAD <http://127.0.0.1:9/x.ttl>")
        assert (refused.status, refused.text.split()[0]) == (403, "LOAD")


def test_service_is_called_when_asked(open_server, server):
    query = f"SELECT ?l WHERE {{ SERVICE <{server.address}sparql> {{ her2kg:drug_tucatinib rdfs:label ?l }} }}"
    assert "tucatinib" in open_server.query(query, "text/csv").text
    files = open_server.update("LOAD <file:///etc/hostname>")
    assert files.status == 500


# Limits


def test_a_runaway_query_is_stopped_while_others_are_answered(limited):
    with ThreadPoolExecutor(1) as pool:
        start = time.monotonic()
        runaway = pool.submit(limited.query, RUNAWAY)
        time.sleep(0.3)
        assert answers(limited)
        assert not runaway.done()
        answer = runaway.result()
    assert (answer.status, "stopped after 2 seconds" in answer.text) == (504, True)
    assert time.monotonic() - start < 5
    assert answers(limited)


def test_memory_and_size_are_limited(limited):
    hungry = "SELECT DISTINCT ?a ?d WHERE { ?a ?b ?c . ?d ?e ?f } ORDER BY ?a"
    with serving("--memory", "64", "--timeout", "60") as small:
        answer = small.query(hungry)
        assert (answer.status, "64 MB of memory" in answer.text) == (507, True), answer.text
        assert answers(small)
    answer = limited.query(ALL)
    assert (answer.status, "--max-size" in answer.text) == (507, True)


def test_deep_nesting_ends_only_its_worker(server):
    answer = server.query("SELECT * WHERE " + "{" * 100_000 + "}" * 100_000)
    assert (answer.status, "nested too deeply" in answer.text) == (507, True)
    assert answers(server)


def test_a_body_of_50_megabytes_is_refused_unread(server):
    for headers in ([], ["-H", "Transfer-Encoding: chunked"]):
        command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "@-"]
        command += ["-H", "Content-Type: application/sparql-query", *headers]
        done = subprocess.run(
            [*command, f"{server.address}sparql"], input=b"#" * 50_000_000, capture_output=True
        )
        assert done.stdout == b"413", done.stderr
    peak = next(
        line
        for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
        if "VmHWM" in line
    )
    assert int(peak.split()[1]) < 300_000, peak
    assert answers(server)


HEAD = b"POST /sparql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sparql-query\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\xff\x00\xff garbage\r\n\r\n",
        b"GET",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        HEAD + b"Content-Length: 1000\r\n\r\nASK {}",
        HEAD + b"Content-Length: -5\r\n\r\nASK {}",
        HEAD + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nASK {}",
        HEAD + b"Content-Length: 6\r\nContent-Length: 7\r\n\r\nASK {}",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nASK {}\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\nASK {}",
        HEAD + b"Transfer-Encoding: gzip\r\n\r\nASK {}",
        b"GET /sparql?query=%ff%fe%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /term/%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /static/../../pyproject.toml HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=lambda data: repr(data[:24] + data[-24:]),
)
def test_malformed_http_does_no_harm(server, data):
    got = server.raw(data, timeout=1.5)
    status = got.split(b" ")[1] if got.startswith(b"HTTP/1.1 ") else None
    assert (
        status in (None, b"400", b"404", b"421", b"413", b"431", b"501") or b"X: y\r\nX: y" in data
    ), got[:300]
    assert b"Traceback" not in got
    assert answers(server)


def test_a_silent_connection_is_closed(server):
    start = time.monotonic()
    assert server.raw(b"GET / HTTP/1.1\r\nHost:", timeout=60) == b""
    assert 15 < time.monotonic() - start < 40


def test_a_hundred_clients_are_all_answered(server):
    def one(number: int) -> int:
        return server.query(DRUGS if number % 10 else ALL).status

    with ThreadPoolExecutor(100) as pool:
        statuses = list(pool.map(one, range(300)))
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) > 100
    assert answers(server)


def test_clients_that_go_away_leave_nothing_behind(server):
    answers(server)
    workers, handles = len(server.children()), server.handles()

    def leave(query: str, read: int) -> None:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            body = query.encode()
            connection.sendall(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            if read:
                connection.recv(read)
            time.sleep(0.1)

    with ThreadPoolExecutor(8) as pool:
        for query, read in ((RUNAWAY, 0), (ALL, 100)):
            list(pool.map(lambda _, q=query, r=read: leave(q, r), range(20)))
    start = time.monotonic()
    assert answers(server)
    assert time.monotonic() - start < 15, "the workers were not freed before the time limit"
    assert until(lambda: len(server.children()) == workers)
    assert until(lambda: server.handles() <= handles), (server.handles(), handles)
    folder = _folder_of(server)
    assert until(lambda: not list(folder.iterdir()))


def _folder_of(server: Serving) -> Path:
    keeper = server.children()[0]
    settings = Path(f"/proc/{keeper}/cmdline").read_bytes().split(b"\0")
    return Path(json.loads(next(each for each in settings if each.startswith(b"{")))["folder"])


def test_killed_processes_are_replaced(server):
    keeper = next(pid for pid in server.children() if descendants(pid))
    workers = descendants(keeper)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    assert until(lambda: not set(workers) & set(server.children()))
    assert all(answers(server) for _ in range(5))
    os.kill(keeper, signal.SIGKILL)
    assert until(lambda: keeper not in server.children())
    assert all(answers(server) for _ in range(5))


def test_no_process_outlives_a_killed_server(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # servers of other tests clear the common one
    with serving() as server:
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(lambda: pytest.raises(OSError, server.query, RUNAWAY))
            time.sleep(0.5)
            children, folder = server.children(), _folder_of(server)
            server.process.kill()
            asked.result()
        server.process.wait()
        assert len(children) >= 3
        assert until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
        assert folder.exists()
    with serving():  # the next start clears up
        assert not folder.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_quick_and_leaves_nothing(number):
    with serving() as server:
        assert answers(server)
        children, folder = server.children(), _folder_of(server)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: pytest.raises(OSError, server.query, RUNAWAY))
            time.sleep(0.3)
            server.process.send_signal(number)
            assert server.process.wait(timeout=10) == 0
        assert not folder.exists()
        assert until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))


# Starting


def start(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", START, "serve", *options],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )


def test_a_second_start_is_quick(server):
    begin = time.monotonic()
    with serving() as other:
        assert answers(other)
        assert time.monotonic() - begin < 6  # under three seconds on an idle machine


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", "203.0.113.7"], "port 7200 of 203.0.113.7"),
        (["--host", "no such host"], "'no such host' is no address"),
        (["--port", "99999"], "65535"),
        (["--port", "x"], "a valid integer"),
        (["--cors", "example.org"], "'example.org' is no origin"),
        (["--timeout", "0"], "timeout"),
        (["--workers", "0"], "workers"),
        (["--max-size", "0"], "max-size"),
    ],
)
def test_a_wrong_start_gets_a_sentence(options, words):
    done = start(*options)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_taken_port_gets_a_sentence(server):
    done = start("--port", str(server.port))
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"port {server.port} of 127.0.0.1 cannot be used (address already"
    )
    assert done.stderr.count("\n") == 1


def test_a_missing_package_gets_a_sentence():
    script = f"import sys; sys.modules['uvicorn'] = None\n{START}"
    done = subprocess.run(
        [sys.executable, "-c", script, "serve"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 2
    assert "pip install 'her2kg[serve]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_open_address_is_warned_of(tmp_path):
    told = tmp_path / "told"
    with told.open("w") as errors:
        server = Serving("--host", "0.0.0.0", errors=errors)
    try:
        assert "0.0.0.0 can be reached from other machines" in told.read_text()
        assert server.ask("/health", Host="203.0.113.7:80").status == 200
        assert server.ask("/health", Host="evil.example").status == 421
    finally:
        server.stop()
        server.process.stdout.close()


# Hosts and origins


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:7200", 200),
        ("127.0.0.1", 200),
        ("[::1]:7200", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost@evil.example", 421),
        ("", 421),
    ],
)
def test_only_names_of_this_machine_are_answered(server, host, status):
    assert server.ask("/health", Host=host).status == status


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:3000", True),
        ("https://127.0.0.1:8443", True),
        ("http://[::1]:1", True),
        ("http://localhost.evil.example", False),
        ("https://evil.example", False),
        ("null", False),
    ],
)
def test_only_local_tools_may_ask_from_a_page(server, origin, allowed):
    answer = server.query(ALIVE, Origin=origin)
    before = server.ask(method="OPTIONS", Origin=origin, Access_Control_Request_Method="POST")
    assert answer.status == (200 if allowed else 403)
    for each in (answer, before):
        assert each.headers.get("access-control-allow-origin") == (origin if allowed else None)
    assert "Origin" in server.query(ALIVE).headers["vary"]


def test_another_origin_may_be_allowed(open_server):
    answer = open_server.query(ALIVE, Origin="https://tool.example")
    assert answer.headers["access-control-allow-origin"] == "https://tool.example"
    assert open_server.update("CLEAR ALL", Origin="https://evil.example").status == 403


# Pages


def test_a_term_has_a_page(server):
    answer = server.ask("/term/drug_tucatinib", Accept="text/html,*/*;q=0.8")
    assert answer.headers["content-type"].startswith("text/html")
    assert "Accept" in answer.headers["vary"]
    for piece in ("<h1>tucatinib</h1>", "ONT-380", "L01EH03", "/term/Her2TyrosineKinaseInhibitor"):
        assert piece in answer.text
    assert "Not medical advice" in answer.text


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("text/turtle", "turtle"),
        ("application/ld+json", "json-ld"),
        ("application/rdf+xml", "xml"),
        ("application/n-triples", "nt"),
    ],
)
def test_a_term_is_data_too(server, accept, form):
    answer = server.ask("/term/drug_tucatinib", Accept=accept)
    assert answer.headers["content-type"].startswith(accept)
    graph = rdflib.Graph().parse(data=answer.text, format=form)
    term = rdflib.URIRef(f"{BASE}drug_tucatinib")
    assert str(graph.value(term, rdflib.RDFS.label)) == "tucatinib"
    assert list(graph.subjects(None, term))


def test_a_class_is_told_with_its_axioms(server):
    answer = server.ask("/term/NoBrainMetastasesPatient?format=ttl")
    graph = rdflib.Graph().parse(data=answer.text, format="turtle")
    assert list(graph.triples((None, rdflib.OWL.onProperty, None)))


def test_an_unknown_term_gets_the_nearest(server):
    answer = server.ask("/term/drug_tucatinb")
    assert (answer.status, "did you mean drug_tucatinib" in answer.text) == (404, True)
    page = server.ask(f"/term/{quote('<script>alert(1)</script>', safe='')}", Accept="text/html")
    assert page.status == 404
    assert page.headers["content-type"].startswith("text/plain")
    assert server.ask("/term/drug_tucatinib?format=exe").status == 400
    assert server.ask("/term/drug_tucatinib", Accept="image/png").status == 406


def test_resource_leads_to_the_term(server):
    answer = server.ask(f"/resource?iri={quote(BASE)}drug_tucatinib")
    assert (answer.status, answer.headers["location"]) == (303, "/term/drug_tucatinib")
    assert server.ask("/resource?iri=https://evil.example/").status == 404


def test_every_kind_of_term_has_a_page(server):
    kinds = server.query(
        "SELECT (MIN(?t) AS ?term) WHERE { ?t a ?k FILTER(STRSTARTS(STR(?t), STR(her2kg:))) } GROUP BY ?k"
    )
    iris = {row["term"]["value"] for row in json.loads(kinds.body)["results"]["bindings"]}
    wrong = []
    for iri in sorted(iris)[:60]:
        answer = server.ask(f"/term/{quote(iri.removeprefix(BASE), safe='')}", Accept="text/html")
        if answer.status != 200:
            wrong.append((iri, answer.status))
    assert len(iris) > 30
    assert wrong == []


def test_texts_of_a_page_are_escaped():
    from her2kg.serve_pages import term_page

    bad = '<script>alert("x")</script>'
    row = {"direction": "out", "property": _iri(f"{BASE}a"), "propertyLabel": bad, "value": bad}
    row["valueLabel"] = bad
    code = {"system": bad, "code": bad, "concept": _iri("javascript:alert(1)"), "conceptLabel": bad}
    code |= {"predicate": _iri(f"{BASE}exactMatch"), "confidence": bad}
    html = term_page(
        "a", [row, {**row, "property": _iri("javascript:x"), "value": _iri("data:x")}], [code]
    )
    assert "<script" not in html
    assert 'href="javascript' not in html
    assert 'href="data' not in html


def _iri(text: str):
    from her2kg.namespaces import Iri

    return Iri(text)


def test_the_library_and_health_are_told(server):
    library = json.loads(server.ask("/queries").body)
    assert [each["name"] for each in library] == list(queries.library())
    health = json.loads(server.ask("/health").body)
    assert health["status"] == "ok"
    assert health["triples"] > 100_000
    assert health["workers"] >= 2


def test_pages_may_load_from_this_server_alone(server):
    policy = server.ask("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "connect-src 'self';" in policy


# Text


def test_texts_that_never_end_are_split_quickly():
    for text in ('"""a' * 20_000, "'" * 50_000, "\\" * 50_000, "<" * 50_000, ":" * 50_000):
        begin = time.monotonic()
        query_text.calls(text + "service", "SERVICE")
        assert time.monotonic() - begin < 3, text[:10]


# A browser


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_library_query_runs_in_the_browser(server, tmp_path):
    api = pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")
    told, asked = [], []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(server.address)
        page.wait_for_selector("body[data-ready]")
        assert page.locator(".tabsList .tab").count() >= 3
        page.fill("#find", "schedule")
        page.click("#library button[data-name='regimens/schedule']")
        page.wait_for_selector("#about:has-text('VALUES')")
        page.click(".tabPanel.active .yasqe_queryButton")
        page.wait_for_selector(".tabPanel.active .yasr table tbody tr")
        rows = page.locator(".tabPanel.active .yasr table tbody tr")
        assert rows.count() >= 2
        assert "her2kg:" in rows.first.inner_text()
        shown = os.environ.get("HER2KG_SCREENSHOT", str(tmp_path / "serve.png"))
        page.screenshot(path=shown)
        with page.context.expect_page() as opened:
            rows.first.locator("a.iri").first.click()
        opened.value.wait_for_load_state()
        assert "/term/" in opened.value.url
        assert opened.value.locator("h1").inner_text()
        browser.close()
    assert [text for text in told if text] == []
    assert [url for url in asked if not url.startswith((server.address, "data:"))] == []


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_an_error_is_shown_in_the_browser(server):
    api = pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{server.address}#query={quote('SELECT * WHERE { ?s her2g:x ?o }')}")
        page.wait_for_selector("body[data-ready]")
        page.click(".tabPanel.active .yasqe_queryButton")
        page.wait_for_selector(".tabPanel.active .yasr :text('did you mean')")
        browser.close()
