"""The command line: arguments in, text out, no logic; data to stdout, messages to stderr.

Exit codes: 0 fine, 1 findings, 2 wrong input. The rest of the package is imported inside the
commands that use it, so that help is quick.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from her2kg.errors import DataError, Fact, Her2kgError, Problem, UnknownTerm

if TYPE_CHECKING:
    from her2kg.eligibility import Answers
    from her2kg.knowledge import KnowledgeGraph
    from her2kg.queries import Query, Rows
    from her2kg.records import Record
    from her2kg.render import Screen

_MAX_QUERY_BYTES = 1_000_000


class Format(StrEnum):
    """How data is written."""

    table = "table"
    csv = "csv"
    json = "json"


class _Commands(TyperGroup):
    """The group of commands; turns every expected error into one sentence and an exit code."""

    def main(
        self,
        args: Any = None,
        prog_name: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name, standalone_mode=False, **extra)
        _prepare_streams()
        try:
            code = super().main(args, prog_name, standalone_mode=False, **extra)
        except (KeyboardInterrupt, typer.Abort):
            code = 130
        except SystemExit:  # typer's way to end when the reader of the help went away
            code = 0
        except Her2kgError as error:
            _report(error)
            code = 2
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package in ("", "her2kg"):
                raise
            _say(f"this needs {package}, which is not installed; install it: pip install {package}")
            code = 2
        except Exception as error:
            if not hasattr(error, "format_message"):
                raise
            _say(_usage_sentence(error))
            code = 2
        sys.exit(code if isinstance(code, int) else 0)


app = typer.Typer(
    name="her2kg",
    cls=_Commands,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line: the entry point `her2kg`."""
    app(prog_name="her2kg")


# Streams


def _prepare_streams() -> None:
    """What is piped is UTF-8 everywhere; a terminal keeps its encoding, with escapes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def _out(text: str) -> None:
    """Write data; a reader that went away ends the program quietly."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise typer.Exit(0) from None
        raise Her2kgError(f"the output cannot be written: {error.strerror}") from None


def _say(message: str) -> None:
    """Write one message, on one line."""
    from her2kg.render import inert

    sys.stderr.write(inert(message) + "\n")


def _report(error: Her2kgError) -> None:
    """Write an error: each problem of a DataError is a line of its own."""
    if isinstance(error, DataError):
        place = f"{error.source}: " if error.source else ""
        for problem in error.problems:
            _say(f"{place}{problem}")
    else:
        _say(" ".join(str(error).split()))


def _usage_sentence(error: Any) -> str:
    where = error.ctx.command_path if getattr(error, "ctx", None) else "her2kg"
    text = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    text = text[:1].lower() + text[1:]
    return f"{where}: {text}{' See' if text.endswith('?') else '; see'} {where} --help"


def _screen() -> Screen:
    from her2kg.render import NARROW, WIDE, Screen

    terminal = sys.stdout.isatty()
    size = shutil.get_terminal_size((NARROW, 24)).columns if terminal else _stated_width()
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return Screen(
        width=max(40, min(size, WIDE)),
        colour=terminal and not plain,
        unicode=(sys.stdout.encoding or "").lower().startswith("utf"),
    )


def _stated_width() -> int:
    from her2kg.render import NARROW

    stated = os.environ.get("COLUMNS", "")
    return int(stated) if stated.isascii() and stated.isdigit() else NARROW


# Commands

_Patient = Annotated[
    str,
    typer.Argument(
        metavar="PATIENT", show_default=False, help="File with the patient record; - reads stdin."
    ),
]
_AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="DAY",
        help="Count the claims valid on this day, YYYY-MM-DD. [default: day of the record]",
    ),
]
_Basis = Annotated[
    list[str] | None,
    typer.Option("--basis", metavar="KINDS", help="label, guideline, trial. [default: all]"),
]
_Jurisdiction = Annotated[
    list[str] | None,
    typer.Option("--jurisdiction", metavar="CODES", help="Such as US,EU. [default: all]"),
]
_Engine = Annotated[
    str, typer.Option("--engine", metavar="ENGINE", help="oxigraph or, slower, rdflib.")
]
_Format = Annotated[Format, typer.Option("--format", help="How to write the data.")]
_Root = Annotated[
    Path | None,
    typer.Option(
        "--root", metavar="FOLDER", help="Folder with ontology/ and queries/. [default: her2kg's]"
    ),
]


@app.callback(
    invoke_without_command=True,
    epilog="Data goes to stdout, messages to stderr. Exit codes: 0 fine, 1 findings, "
    "2 wrong input. Start with: her2kg eligible PATIENT",
)
def _her2kg(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Knowledge graph of HER2-positive breast cancer treatment.

    For research and education; not medical advice.
    """
    if version:
        _out(f"her2kg {_version()}\n")
        raise typer.Exit(0)
    if ctx.invoked_subcommand is None:
        sys.stderr.write(ctx.get_help() + "\n")
        raise typer.Exit(2)


@app.command()
def eligible(
    patient: _Patient,
    as_of: _AsOf = None,
    regimen: Annotated[
        list[str] | None,
        typer.Option("--regimen", metavar="NAME", help="Only this regimen; may be repeated."),
    ] = None,
    basis: _Basis = None,
    jurisdiction: _Jurisdiction = None,
    engine: _Engine = "oxigraph",
    format: _Format = Format.table,
) -> None:
    """Which regimens suit a patient: a verdict for each."""
    from her2kg import render

    kg = _graph(engine)
    answers = _answers(kg, patient, as_of, regimen, basis, jurisdiction, format)
    if format == Format.json:
        _out(answers.to_json() + "\n")
    elif format == Format.csv:
        _out(render.eligible_csv(answers))
    else:
        _out(render.eligible_table(answers, _screen()))


@app.command()
def explain(
    patient: _Patient,
    regimen: Annotated[
        str,
        typer.Argument(
            metavar="REGIMEN", show_default=False, help="Id, label, synonym or abbreviation."
        ),
    ],
    as_of: _AsOf = None,
    basis: _Basis = None,
    jurisdiction: _Jurisdiction = None,
    engine: _Engine = "oxigraph",
    format: _Format = Format.table,
) -> None:
    """Why a regimen suits a patient or not, criterion by criterion."""
    from her2kg import render

    kg = _graph(engine)
    answers = _answers(kg, patient, as_of, [regimen], basis, jurisdiction, format)
    if not answers.regimens:
        raise typer.Exit(2)
    if format == Format.json:
        _out(answers.to_json() + "\n")
    elif format == Format.csv:
        _out(render.explain_csv(answers))
    else:
        _out(render.explain_table(answers, _screen(), kg.names.labels))


@app.command()
def show(
    term: Annotated[
        str,
        typer.Argument(metavar="TERM", show_default=False, help="Id, label, brand or synonym."),
    ],
    format: _Format = Format.table,
) -> None:
    """What is known of a drug, regimen, trial or another term.

    Give an id, label, brand, synonym or abbreviation; a name that several terms bear shows each.
    """
    from her2kg import render

    kg = _graph()
    try:
        terms = kg.terms(term)
    except UnknownTerm as error:
        raise UnknownTerm(error.term, "term", error.suggestions) from None
    if format == Format.json:
        _out(render.terms_json(terms))
    elif format == Format.csv:
        _out(render.terms_csv(terms))
    else:
        _out(render.terms_table(terms, _screen(), _property_labels(kg, terms)))


@app.command()
def queries(
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="[TEXT]", show_default=False, help="Name of one question, or text to look for."
        ),
    ] = None,
    format: _Format = Format.table,
) -> None:
    """List the questions of the library, or print one with its header."""
    from her2kg import queries as library
    from her2kg import render
    from her2kg.errors import UnknownQuery

    found = list(library.library().values())
    if text is not None:
        try:
            _out_query(library.find(text), format)
            return
        except UnknownQuery:
            found = [query for query in found if text.casefold() in _searched(query)]
            if not found:
                raise
    fields = ("name", "summary", "description", "parameters", "tags")
    if format == Format.json:
        _out(render.to_json([_query_dict(query) for query in found]))
    elif format == Format.csv:
        rows = [
            (q.name, q.summary, q.description, " ".join(q.parameters), " ".join(q.tags))
            for q in found
        ]
        _out(render.to_csv(fields, rows))
    else:
        _out(render.queries_table(found, _screen()))


@app.command(context_settings={"ignore_unknown_options": True})
def run(
    name: Annotated[
        str, typer.Argument(metavar="NAME", show_default=False, help="Name of the question.")
    ],
    parameters: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="--param value",
            show_default=False,
            help="Its parameters; repeat one to give several values.",
        ),
    ] = None,
    format: _Format = Format.table,
) -> None:
    """Run one question of the library.

    Any --name value after NAME is a parameter; her2kg queries NAME says which there are.
    """
    from her2kg import queries as library

    if name.startswith("-"):
        raise Her2kgError(f"write the name of the question before {name}: her2kg run NAME")
    query = library.find(name)
    given = _parameters(query, parameters or [])
    kg = _graph()
    _out_rows(library.run(kg.engine, kg.names, query.name, given), format)


@app.command()
def sparql(
    query: Annotated[
        str,
        typer.Argument(
            metavar="TEXT_OR_FILE", show_default=False, help="SPARQL, or a file; - reads stdin."
        ),
    ],
    format: _Format = Format.table,
) -> None:
    """Run any SPARQL query; the common prefixes need no declaration."""
    text = _sparql_text(query)
    _out_rows(_graph().select(text), format)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the patient record."""
    from her2kg.records import json_schema
    from her2kg.render import to_json

    _out(to_json(json_schema()))


@app.command()
def check(root: _Root = None, format: _Format = Format.table) -> None:
    """Check the ontology and list what is wrong with it.

    Canonical form, imports and catalog, hygiene rules, criterion profile and SHACL shapes.
    """
    from her2kg import render
    from her2kg.checks import run_checks

    findings = run_checks(_project(root))
    if format == Format.json:
        _out(render.to_json([vars(finding) for finding in findings]))
    elif format == Format.csv:
        fields = ("rule", "term", "problem")
        _out(render.to_csv(fields, [(f.rule, f.term, f.problem) for f in findings]))
    elif findings:
        _out(render.findings_table(findings, _screen()))
    _say(f"{len(findings) or 'no'} finding{'' if len(findings) == 1 else 's'}")
    raise typer.Exit(1 if findings else 0)


@app.command("format")
def format_(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 if a file would change.")
    ] = False,
    root: _Root = None,
) -> None:
    """Write the ontology in its canonical form.

    Lists the files that changed; renews the imports of the root and the catalog.
    """
    from her2kg.turtle import format_tree

    folder = _project(root)
    changed = format_tree(folder, check=check)
    _out("".join(f"{path.relative_to(folder).as_posix()}\n" for path in changed))
    files = f"{len(changed) or 'no'} file{'' if len(changed) == 1 else 's'}"
    _say(f"{files} {'would change' if check else 'changed'}")
    raise typer.Exit(1 if check and changed else 0)


# What the commands share


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("her2kg")
    except PackageNotFoundError:
        return f"{_graph().version} (not installed)"


def _graph(engine: str = "oxigraph") -> KnowledgeGraph:
    from her2kg.knowledge import KnowledgeGraph

    return KnowledgeGraph(engine=engine)


def _project(root: Path | None) -> Path:
    from her2kg.namespaces import ONTOLOGY_HOME

    folder = (root or ONTOLOGY_HOME.parent).resolve()
    if not (folder / "ontology").is_dir():
        raise DataError([Problem("--root", str(root), "a folder that holds ontology/")])
    return folder


def _listed(given: Iterable[str] | None) -> list[str] | None:
    """The values of an option that takes commas and may be repeated."""
    if not given:
        return None
    return [part.strip() for each in given for part in each.split(",") if part.strip()]


def _answers(
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
    asked = {"bases": _listed(basis), "jurisdictions": _listed(jurisdiction), "as_of": as_of}
    asked = {name: value for name, value in asked.items() if value is not None}
    answers = kg.eligibility(record, regimens=regimens, **asked)
    for each in answers.not_interpreted:
        _say(f"note: not interpreted: {each}")
    latest = max(_days(record), default=answers.as_of)
    if as_of is not None and answers.as_of < latest:
        _say(
            f"note: the record states facts up to {latest}; "
            f"--as-of {answers.as_of} only chooses which claims count"
        )
    if answers.scope != "inside" and format != Format.table:
        _say(f"note: outside the knowledge: {answers.scope_note or 'the record is not covered'}")
    found = {each.regimen for each in answers.regimens}
    for name in regimens or ():
        if kg.names.resolve(name, ("regimen",)).rpartition("#")[2] not in found:
            _say(
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


def _property_labels(kg: KnowledgeGraph, terms: Iterable[Any]) -> dict[str, str]:
    labels = {}
    for term in terms:
        for _, name, label, _, _ in kg.query("terms/describe", term=f"<{term.iri}>"):
            if label:
                labels[name.curie] = label
    return labels


def _searched(query: Query) -> str:
    parts = (query.name, query.summary, query.description, *query.tags)
    return " ".join(parts).casefold()


def _query_dict(query: Query) -> dict[str, Any]:
    return {
        "name": query.name,
        "summary": query.summary,
        "description": query.description,
        "parameters": query.parameters,
        "columns": query.columns,
        "example": query.example,
        "tags": list(query.tags),
    }


def _parameters(query: Query, given: list[str]) -> dict[str, str | list[str]]:
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


def _sparql_text(given: str) -> str:
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


def _out_query(query: Query, format: Format) -> None:
    from her2kg import render

    if format == Format.json:
        _out(render.to_json({**_query_dict(query), "text": query.text}))
    elif format == Format.csv:
        fields = ("name", "part", "key", "meaning")
        parts = (("parameter", query.parameters), ("column", query.columns))
        rows = [(query.name, part, *item) for part, items in parts for item in items.items()]
        _out(render.to_csv(fields, rows))
    else:
        _out(f"# {query.name}\n{query.text}")


def _out_rows(rows: Rows, format: Format) -> None:
    from her2kg import render

    if not rows.rows:
        _say("no rows")
    if format == Format.json:
        _out(render.rows_json(rows))
    elif format == Format.csv:
        _out(render.rows_csv(rows))
    else:
        _out(render.rows_table(rows, _screen()))
