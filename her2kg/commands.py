"""What the commands share: streams and messages, how arguments are read, the evaluation."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from her2kg.errors import DataError, EngineError, Fact, Her2kgError, Problem, one_of
from her2kg.output import inert

if TYPE_CHECKING:
    from her2kg.knowledge import KnowledgeGraph
    from her2kg.page import Screen
    from her2kg.queries import Query
    from her2kg.records import Record
    from her2kg.verdicts import Answers

_MAX_QUERY_BYTES = 1_000_000
PASSWORD = "HER2KG_PASSWORD"  # an option would be seen by every user of the machine


class Format(StrEnum):
    """How data is written."""

    table = "table"
    csv = "csv"
    json = "json"


# Streams


def prepare_streams() -> None:
    """What is piped is UTF-8 everywhere; a terminal keeps its encoding, with escapes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def write_out(text: str) -> None:
    """Write data; a reader that went away ends the program quietly."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise typer.Exit(0) from None
        raise Her2kgError(f"the output cannot be written: {error.strerror}") from None


def say(message: str) -> None:
    """Write one message, on one line."""
    sys.stderr.write(inert(message) + "\n")


def report(error: Her2kgError) -> None:
    """Write an error: each problem of a DataError is a line of its own."""
    if isinstance(error, DataError):
        place = f"{error.source}: " if error.source else ""
        for problem in error.problems:
            say(f"{place}{problem}")
    else:
        say(" ".join(str(error).split()))


def usage_sentence(error: Any) -> str:
    """Say in one sentence what is wrong with the arguments, and where to look."""
    where = error.ctx.command_path if getattr(error, "ctx", None) else "her2kg"
    text = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    text = text[:1].lower() + text[1:]
    return f"{where}: {text}{' See' if text.endswith('?') else '; see'} {where} --help"


def screen_of_stdout() -> Screen:
    """The screen that stdout is; what is piped is 80 columns, or as many as COLUMNS says."""
    from her2kg.page import NARROW, WIDE, Screen

    terminal = sys.stdout.isatty()
    size = shutil.get_terminal_size((NARROW, 24)).columns if terminal else _stated_width()
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return Screen(
        width=max(40, min(size, WIDE)),
        colour=terminal and not plain,
        unicode=(sys.stdout.encoding or "").lower().startswith("utf"),
    )


def _stated_width() -> int:
    from her2kg.page import NARROW

    stated = os.environ.get("COLUMNS", "")
    return int(stated) if stated.isascii() and stated.isdigit() else NARROW


# Arguments


def program_version() -> str:
    """The version of the installed package or, in a checkout, of the knowledge."""
    from importlib.metadata import PackageNotFoundError, version

    from her2kg.knowledge import KnowledgeGraph

    try:
        return version("her2kg")
    except PackageNotFoundError:
        return f"{KnowledgeGraph().version} (not installed)"


@dataclass(frozen=True)
class Store:
    """The store that the options before the command name."""

    endpoint: str
    update_endpoint: str | None
    graph: str | None
    patients: str | None
    user: str | None
    timeout: float | None

    def open(self, ontology: Path | None) -> KnowledgeGraph:
        """The knowledge in the store; the password comes from HER2KG_PASSWORD."""
        from her2kg.knowledge import KnowledgeGraph

        password = os.environ.get(PASSWORD) if self.user is not None else None
        given = {name: value for name, value in vars(self).items() if value is not None}
        return KnowledgeGraph(**given, password=password, ontology=ontology)


_named: list[Store] = []  # the store of this run of the command line, if it names one


def use_store(store: Store | None) -> None:
    """Have `load_graph` open the store, or for None load the embedded graph."""
    _named[:] = [store] if store is not None else []


def named_store() -> Store | None:
    """The store that the running command line names, None for the embedded graph."""
    return _named[0] if _named else None


def load_graph(engine: str | None = None, root: Path | None = None) -> KnowledgeGraph:
    """Load the knowledge that her2kg came with, or that of --root, or open that of --endpoint."""
    from her2kg.knowledge import KnowledgeGraph

    ontology = project_folder(root) / "ontology" if root else None
    store = named_store()
    if store is None:
        return KnowledgeGraph(engine=engine or "oxigraph", ontology=ontology)
    given = "--engine" if engine else "--root" if root else None
    if given:
        raise EngineError(f"{given} goes with the embedded graph; leave it or --endpoint away")
    return store.open(ontology)


def project_folder(root: Path | None) -> Path:
    """The folder with ontology/ that --root names, else the one that her2kg came with.

    Errors: DataError if it holds no ontology/.
    """
    from her2kg.namespaces import ONTOLOGY_HOME

    folder = (root or ONTOLOGY_HOME.parent).resolve()
    if not (folder / "ontology").is_dir():
        raise DataError([Problem("--root", str(root), "a folder that holds ontology/")])
    return folder


def listed(given: Iterable[str] | None) -> list[str] | None:
    """The values of an option that takes commas and may be repeated."""
    if not given:
        return None
    return [part.strip() for each in given for part in each.split(",") if part.strip()]


def evaluate(
    kg: KnowledgeGraph,
    patient: str,
    as_of: str | None,
    regimens: list[str] | None,
    basis: list[str] | None,
    jurisdiction: list[str] | None,
    format: Format,
) -> Answers:
    """Evaluate the record, and say on stderr what the reader must know beside the answer."""
    source = sys.stdin.buffer.read() if patient == "-" else Path(patient)
    record = kg.record(source)
    asked = {"bases": listed(basis), "jurisdictions": listed(jurisdiction), "as_of": as_of}
    asked = {name: value for name, value in asked.items() if value is not None}
    answers = kg.eligibility(record, regimens=regimens, **asked)
    for each in answers.not_interpreted:
        say(f"note: not interpreted: {each}")
    if as_of is not None and answers.as_of > date.today():
        say(f"note: {answers.as_of} is after today; claims of later years are not known")
    latest = max(_days(record), default=answers.as_of)
    if as_of is not None and answers.as_of < latest:
        say(
            f"note: the record states facts up to {latest}; "
            f"--as-of {answers.as_of} only chooses which claims count"
        )
    if answers.scope != "inside" and format != Format.table:
        say(f"note: outside what the graph covers: {answers.scope_note or 'this record'}")
    found = {each.regimen for each in answers.regimens}
    for name in regimens or ():
        if found.isdisjoint(iri.rpartition("#")[2] for iri in kg.names.regimens(name)):
            say(
                f"note: {name!r} has no claim of basis {', '.join(answers.bases)} "
                f"in {', '.join(answers.jurisdictions)}; ask for another basis or jurisdiction"
            )
    return answers


def _days(record: Record) -> Iterator[date]:
    """Every day that the record states, the day of birth aside."""

    def inside(value: Any) -> Iterator[date]:
        if isinstance(value, date):
            yield value
        elif isinstance(value, dict):
            for each in value.values():
                yield from inside(each)
        elif isinstance(value, list | tuple):
            for each in value:
                yield from inside(each)

    yield from inside(record.model.model_dump(exclude={"birth_date", "genomics", "notes"}))
    for _, _, value in record.rdf or ():
        yield from inside(value.toPython())


def searched(query: Query) -> str:
    """The text of a question that her2kg queries TEXT looks in."""
    parts = (query.name, query.summary, query.description, *query.tags)
    return " ".join(parts).casefold()


def read_parameters(query: Query, given: list[str]) -> dict[str, str | list[str]]:
    """Read `--name value` and `--name=value`; --as-of is read as the parameter asOf."""
    found: dict[str, list[str]] = {}
    rest = iter(given)
    for token in rest:
        name, equals, value = token.removeprefix("--").partition("=")
        if not token.startswith("--") or not name:
            raise Her2kgError(f"unexpected argument {token!r}; write parameters as --name value")
        if name not in query.parameters:
            head, *tail = name.split("-")
            camel = head + "".join(part[:1].upper() + part[1:] for part in tail)
            name = camel if camel in query.parameters else name
        if not equals:
            value = next(rest, None)
            if value is None or value.startswith("--"):
                raise Her2kgError(
                    f"parameter --{name} has no value; write --{name} value, or --{name}=value"
                )
        found.setdefault(name, []).append(value)
    return {name: each[0] if len(each) == 1 else each for name, each in found.items()}


def note_example(query: Query) -> None:
    """Say for which values a question is answered that was asked without its parameters."""
    found: dict[str, list[str]] = {}
    for name in query.parameters:
        block = re.search(rf"VALUES\s+\?{name}\s*\{{([^{{}}]*)\}}", query.text)
        values = block[1].split() if block else []
        if values and "UNDEF" not in values:
            found[name] = [_example_value(value) for value in values]
    if not found:
        return
    missing = one_of([f"--{name}" for name in found])
    if len(found) == 1:
        example = ", ".join(*found.values())
    else:
        example = " ".join(f"--{name} {each}" for name, values in found.items() for each in values)
    say(f"note: no {missing} given; the answer is for the example, {example}")


def _example_value(term: str) -> str:
    """A term of a query as one would give it: her2kg:drug_x is drug_x, a literal its text."""
    return term.removeprefix("her2kg:").partition("^^")[0].strip('"')


def read_sparql(given: str) -> str:
    """The query itself: the argument, or what a file or stdin holds."""
    if given == "-":
        content = sys.stdin.buffer.read(_MAX_QUERY_BYTES + 1)
        return _decoded(content, "stdin")
    if any(mark in given for mark in "{\n") or not given.strip():
        return given
    path = Path(given)
    named = path.suffix in (".rq", ".sparql") or " " not in given.strip()
    if not named and not path.is_file():
        return given
    if not path.is_file():
        what = "a directory" if path.is_dir() else "a file that does not exist"
        raise DataError([Problem(given, Fact(what), "SPARQL text, a file with it, or -")])
    with path.open("rb") as file:
        return _decoded(file.read(_MAX_QUERY_BYTES + 1), given)


def _decoded(content: bytes, place: str) -> str:
    accepted = f"SPARQL in UTF-8, at most {_MAX_QUERY_BYTES} bytes"
    if len(content) > _MAX_QUERY_BYTES:
        raise DataError([Problem(place, Fact("a longer text"), accepted)])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError([Problem(place, Fact("bytes that are not UTF-8"), accepted)]) from None
