"""The options that name a store before the command, and `her2kg publish`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from her2kg.commands import Store, load_graph, named_store, say
from her2kg.errors import Her2kgError, one_of

app = typer.Typer()

_HERE_ONLY = {
    "check", "cohort", "export", "format", "queries", "reason", "release", "schema", "serve",
    "simulate", "what-if",
}  # fmt: skip
_EVERY = 20_000  # triples between two messages


def store_options(
    endpoint: str | None,
    update_endpoint: str | None,
    graph: str | None,
    patients: str | None,
    user: str | None,
    timeout: float | None,
) -> Store | None:
    """The store that the options name, None if they name none.

    Errors: Her2kgError for options that need --endpoint.
    """
    others = {
        "--update-endpoint": update_endpoint,
        "--graph": graph,
        "--patients": patients,
        "--user": user,
        "--timeout": timeout,
    }
    if endpoint is None:
        given = [name for name, value in others.items() if value is not None]
        if given:
            raise Her2kgError(f"{one_of(given)} goes with --endpoint; give --endpoint URL too")
        return None
    return Store(endpoint, update_endpoint, graph, patients, user, timeout)


def for_command(store: Store | None, command: str | None) -> Store | None:
    """The store, for a command that can use it. Errors: Her2kgError for one that cannot."""
    if store is not None and command in _HERE_ONLY:
        raise Her2kgError(f"her2kg {command} works on the files here; leave --endpoint away")
    return store


@app.command()
def publish(
    patients: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATIENT]...", show_default=False, help="Patients to judge and keep there."
        ),
    ] = None,
    skip_knowledge: Annotated[
        bool,
        typer.Option("--patients-only", help="Leave the knowledge of the store as it is."),
    ] = False,
) -> None:
    """Load the knowledge, and patients, into a store.

    Each goes into a graph of its own, in the place of what that graph held: completely, or on a
    failure not at all. Write the options of the store before the command.
    """
    if named_store() is None:
        raise Her2kgError(
            "no store is named; write: her2kg --endpoint URL --update-endpoint URL publish"
        )
    from her2kg.knowledge import KnowledgeGraph

    if skip_knowledge and not patients:
        raise Her2kgError("--patients-only needs patients; name the files of their records")
    with load_graph() as kg:
        # Read first: a record that is refused must not be found out after the knowledge is sent.
        reader = kg if skip_knowledge or not patients else KnowledgeGraph()
        records = [reader.record(path) for path in patients or ()]
        if not skip_knowledge:
            say(f"{kg.publish(told=_progress())} triples published")
        if records:
            say(f"{kg.publish_patients(records)} patients published")


def _progress() -> Callable[[int], None]:
    """Says now and then how many triples were sent."""
    said = 0

    def told(sent: int) -> None:
        nonlocal said
        if sent >= said + _EVERY:
            said = sent
            say(f"{sent} triples sent")

    return told
