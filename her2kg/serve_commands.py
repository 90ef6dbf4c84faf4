"""The command `her2kg serve`: arguments in, a server on this machine out, no logic."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from her2kg.commands import say, write_out
from her2kg.errors import Her2kgError

_NEEDED = ("starlette", "uvicorn", "jinja2")


def serve(
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, metavar="N", help="Port; 0 is any free one.")
    ] = 7200,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", min=1, max=256, metavar="N", help="Processes. [default: 4 per core]"
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", min=0.1, max=86400, metavar="SECONDS", help="Limit of time for a query."
        ),
    ] = 30,
    memory: Annotated[
        int,
        typer.Option(
            "--memory", min=64, max=1 << 20, metavar="MB", help="Limit of memory for a query."
        ),
    ] = 1024,
    max_size: Annotated[
        int,
        typer.Option("--max-size", min=1, max=4096, metavar="MB", help="Limit of an answer."),
    ] = 64,
    cors: Annotated[
        list[str] | None,
        typer.Option(
            "--cors", metavar="ORIGIN", help="Origin of web pages that may ask; may be repeated."
        ),
    ] = None,
    allow_updates: Annotated[
        bool,
        typer.Option("--allow-updates", help="Take SPARQL updates; forgotten when it stops."),
    ] = False,
    allow_service: Annotated[
        bool, typer.Option("--allow-service", help="Let queries fetch with SERVICE and LOAD.")
    ] = False,
) -> None:
    """Answer SPARQL on this machine, with a query page in the browser.

    Read-only, with a page for each term. Needs starlette and uvicorn:
    pip install 'her2kg[serve]'
    """
    import os
    import re

    if not hasattr(os, "fork"):
        raise Her2kgError("her2kg serve runs on Linux and macOS; on Windows use it in WSL")
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        needs = " and ".join(missing)
        raise Her2kgError(
            f"her2kg serve needs {needs}, not installed; install: pip install 'her2kg[serve]'"
        )
    for origin in cors or ():
        if not re.fullmatch(r"https?://[^/\s*@]+", origin):
            raise Her2kgError(
                f"--cors {origin!r} is no origin; accepted: a scheme and a host, with a port if "
                "it has one, such as https://example.org"
            )
    from her2kg.serve_app import Options
    from her2kg.serve_guard import is_loopback
    from her2kg.serve_pool import Limits
    from her2kg.serve_server import run

    options = Options(
        host=host,
        workers=workers or 4 * (os.cpu_count() or 1),
        limits=Limits(seconds=timeout, memory=memory, answer=max_size),
        updates=allow_updates,
        service=allow_service,
        origins=tuple(cors or ()),
    )

    def started(address: str) -> None:
        if not is_loopback(host):
            say(f"{host} can be reached from other machines and nobody is asked for a password")
        write_out(f"{address}\n")
        say(f"SPARQL at {address}sparql; Ctrl-C stops. Research and education, not medical advice")

    run(options, port, started)
