"""What `her2kg serve` answers at each address: the SPARQL 1.1 Protocol, pages, terms, health."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from her2kg import serve_formats as formats
from her2kg import serve_pages as pages
from her2kg.errors import did_you_mean, one_of
from her2kg.namespaces import BASE
from her2kg.serve_guard import Guard, read_body
from her2kg.serve_pool import Busy, Limits, Pool, Reply
from her2kg.serve_refusals import HANDLERS, Refusal, media_types, refusal
from her2kg.serve_store import Graph

_CHUNK = 1 << 18
_FORM = "application/x-www-form-urlencoded"
_PAGE_HEADERS = {
    # YASGUI sets styles on its elements; scripts come from this server's files alone.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True)
class Options:
    """How a server is to behave."""

    host: str = "127.0.0.1"
    workers: int = 4 * (os.cpu_count() or 1)  # a slow query leaves room for quick ones
    limits: Limits = field(default_factory=Limits)
    updates: bool = False
    service: bool = False
    origins: tuple[str, ...] = ()


@dataclass
class _Asked:
    """One request of the SPARQL protocol."""

    kind: str
    text: str
    default_graph: list[str]
    named_graphs: list[str]
    format: str | None


async def _asked(request: Request) -> _Asked:
    """Read a query or update from the address or the body. Errors: Refusal."""
    body = await read_body(request)
    pairs = list(request.query_params.multi_items())
    media = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if request.method == "POST":
        if media == _FORM:
            pairs += parse_qsl(_utf8(body), keep_blank_values=True, max_num_fields=1000)
        elif media in ("application/sparql-query", "application/sparql-update"):
            pairs.append((media.rpartition("-")[2], _utf8(body)))
        else:
            given = f"content type {media[:60]!r}" if media else "no content type"
            accepted = one_of(["application/sparql-query", "application/sparql-update", _FORM])
            raise Refusal(415, f"{given} was sent; accepted: {accepted}")
    texts = [(key, value) for key, value in pairs if key in ("query", "update")]
    if len(texts) != 1 or not texts[0][1].strip():
        given = f"{len(texts)} were" if len(texts) > 1 else "none was"
        raise Refusal(400, f"send one query as ?query= or in the body of a POST; {given} sent")
    kind, text = texts[0]
    if kind == "update" and request.method != "POST":
        raise Refusal(405, "an update is sent by POST, not by GET", Allow="POST")

    def values(*keys: str) -> list[str]:
        return [value for key, value in pairs if key in keys]

    return _Asked(
        kind,
        text,
        values("default-graph-uri", "using-graph-uri"),
        values("named-graph-uri", "using-named-graph-uri"),
        next(iter(values("format")), None),
    )


def _utf8(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal(400, f"the body is not UTF-8 at byte {error.start + 1}; send UTF-8") from None


class Server:
    """The addresses and what they answer."""

    def __init__(self, pool: Pool, graph: Graph, options: Options) -> None:
        self._pool = pool
        self._graph = graph
        self._options = options
        self._terms = frozenset(graph.terms)

    async def ask(self, request: Request, **asked: Any) -> Reply:
        """Have a worker answer; if the client goes away meanwhile, the worker is freed.

        Errors: Refusal, ClientDisconnect.
        """
        asking = asyncio.ensure_future(self._pool.ask(asked))
        leaving = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait([asking, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise ClientDisconnect
            reply = asking.result()
        except Busy:
            text = "too many requests at once; ask again in a few seconds"
            raise Refusal(503, text, Retry_After="5") from None
        finally:
            leaving.cancel()
            asking.cancel()
        if not reply.head["ok"]:
            raise refusal(reply.head, self._pool.limits)
        return reply

    async def sparql(self, request: Request) -> Response:
        asked = await _asked(request)
        if asked.kind == "update":
            return await self._update(request, asked)
        rows, graph = self._wanted(request, asked.format)
        reply = await self.ask(
            request,
            do="query",
            text=asked.text,
            rows=rows,
            graph=graph,
            default_graph=asked.default_graph,
            named_graphs=asked.named_graphs,
        )
        if reply.head["kind"] == "rows":
            return _sent(reply, formats.media_type(rows or "", formats.ROWS))
        return _sent(reply, formats.media_type(graph or "", formats.GRAPHS))

    def _wanted(self, request: Request, short: str | None) -> tuple[str | None, str | None]:
        if short is not None:
            if short not in formats.SHORT:
                raise Refusal(
                    400, f"unknown format {short[:40]!r}; accepted: {one_of(list(formats.SHORT))}"
                )
            return formats.SHORT[short]
        accept = request.headers.get("accept", "")
        rows, graph = formats.choose(accept, formats.ROWS), formats.choose(accept, formats.GRAPHS)
        if rows is None and graph is None:
            among = [*formats.ROWS, *formats.GRAPHS]
            raise Refusal(406, f"nothing is answered in {accept[:80]!r}; {media_types(among)}")
        return rows, graph

    async def _update(self, request: Request, asked: _Asked) -> Response:
        if not self._options.updates:
            text = "this server is read-only; to change a copy: her2kg serve --allow-updates"
            raise Refusal(403, text)
        if asked.default_graph or asked.named_graphs:
            raise Refusal(400, "write USING into the update; using-graph-uri is not read")
        await self.ask(request, do="update", text=asked.text)
        return Response(status_code=204)

    async def page(self, request: Request) -> Response:
        facts = {"version": self._graph.version, "triples": self._graph.triples}
        html = pages.query_page(
            patients=self._graph.patients, updates=self._options.updates, **facts
        )
        return Response(html, media_type="text/html", headers=_PAGE_HEADERS)

    async def library(self, request: Request) -> Response:
        return Response(pages.library_json(self._graph), media_type="application/json")

    async def health(self, request: Request) -> Response:
        told = {
            "status": "ok",
            "version": self._graph.version,
            "triples": self._graph.triples,
            "workers": len(self._pool.workers),
        }
        return Response(json.dumps(told), media_type="application/json")

    async def resource(self, request: Request) -> Response:
        iri = request.query_params.get("iri", "")
        if not iri.startswith(BASE):
            raise Refusal(
                404, f"only IRIs that begin with {BASE} have a page here; given {iri[:80]!r}"
            )
        return RedirectResponse(f"/term/{quote(iri[len(BASE) :], safe='')}", status_code=303)

    async def term(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._terms:
            close = did_you_mean(name, self._terms)
            hint = f"did you mean {one_of(list(close))}?" if close else "find one: her2kg show NAME"
            raise Refusal(404, f"unknown term {name[:80]!r}; {hint}", Vary="Accept")
        wanted = self._term_format(request)
        about = pages.about_term(name)
        if wanted != "HTML":
            reply = await self.ask(
                request, do="query", text=about["graph"], rows=None, graph=wanted
            )
            return _sent(reply, formats.media_type(wanted, formats.GRAPHS), vary="Accept")
        statements = await self.ask(
            request, do="query", text=about["statements"], rows="JSON", graph=None
        )
        codes = await self.ask(request, do="query", text=about["codes"], rows="JSON", graph=None)
        html = pages.term_page(name, pages.rows(_all(statements)), pages.rows(_all(codes)))
        headers = {**_PAGE_HEADERS, "Vary": "Accept"}
        return Response(html, media_type="text/html", headers=headers)

    def _term_format(self, request: Request) -> str:
        short = request.query_params.get("format")
        if short == "html":
            return "HTML"
        if short is not None:
            accepted = [key for key, (_, graph) in formats.SHORT.items() if graph]
            graph = formats.SHORT.get(short, (None, None))[1]
            if graph is None:
                accepted = one_of(["html", *accepted])
                raise Refusal(400, f"unknown format {short[:40]!r}; accepted: {accepted}")
            return graph
        media = {"text/html": "HTML", "application/xhtml+xml": "HTML", **formats.GRAPHS}
        accept = request.headers.get("accept", "")
        wanted = formats.choose(accept, media)
        if wanted is None:
            raise Refusal(
                406, f"a term is answered in none of {accept[:80]!r}; {media_types(media)}"
            )
        return wanted


async def _left(request: Request) -> None:
    """Return when the client goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _all(reply: Reply) -> bytes:
    """The bytes of a reply, read from its file if it has one."""
    if reply.path is None:
        return reply.data
    path = Path(reply.path)
    try:
        return path.read_bytes()
    finally:
        path.unlink(missing_ok=True)


def _sent(reply: Reply, media: str, vary: str = "Accept") -> Response:
    """A reply as a response; a long one is sent from its file, which is removed at once."""
    headers = {"Vary": vary, "Content-Type": media, "X-Content-Type-Options": "nosniff"}
    if notes := reply.head.get("notes"):
        text = " | ".join(notes).encode("ascii", "backslashreplace").decode()
        headers["Her2kg-Note"] = " ".join(text.split())
    if reply.path is None:
        return Response(reply.data, headers=headers)
    file = open(reply.path, "rb")  # noqa: SIM115 - closed by `chunks`
    os.unlink(reply.path)

    async def chunks() -> AsyncIterator[bytes]:
        with file:
            while chunk := file.read(_CHUNK):
                yield chunk

    return StreamingResponse(
        chunks(), headers={**headers, "Content-Length": str(reply.head["size"])}
    )


def create_app(pool: Pool, graph: Graph, options: Options) -> Any:
    """The ASGI application; the pool starts and ends with it."""
    server = Server(pool, graph, options)
    static = Path(__file__).parent / "static"

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await pool.close()

    def route(path: str, endpoint: Callable[..., Any], *methods: str) -> Route:
        return Route(path, endpoint, methods=list(methods) or ["GET"])

    app = Starlette(
        routes=[
            route("/", server.page),
            route("/sparql", server.sparql, "GET", "POST"),
            route("/query", server.sparql, "GET", "POST"),
            route("/update", server.sparql, "POST"),
            route("/queries", server.library),
            route("/health", server.health),
            route("/resource", server.resource),
            route("/term/{name}", server.term),
            Mount("/static", StaticFiles(directory=static)),
        ],
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )
    return Guard(app, host=options.host, origins=options.origins)
