"""The command line: arguments in, text out, no logic; data to stdout, messages to stderr.

Exit codes: 0 fine, 1 findings, 2 wrong input. The rest of the package is imported inside the
commands that use it, so that help is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from her2kg import output
from her2kg.cohort.command import cohort
from her2kg.cohort.simulate_command import simulate
from her2kg.cohort.whatif_command import what_if
from her2kg.commands import (
    Format,
    evaluate,
    listed,
    load_graph,
    note_example,
    prepare_streams,
    program_version,
    project_folder,
    read_parameters,
    read_sparql,
    report,
    say,
    screen_of_stdout,
    searched,
    usage_sentence,
    use_store,
    write_out,
)
from her2kg.errors import Her2kgError, UnknownQuery, UnknownTerm
from her2kg.options import Bases, Jurisdictions, OnlyRegimens, PatientFile, RecordDay
from her2kg.plot_commands import app as plot
from her2kg.serve_commands import serve
from her2kg.store_commands import app as store_app
from her2kg.store_commands import for_command, store_options

if TYPE_CHECKING:
    from her2kg.page import Screen
    from her2kg.queries import Rows


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
        prepare_streams()
        try:
            code = super().main(args, prog_name, standalone_mode=False, **extra)
        except (KeyboardInterrupt, typer.Abort):
            code = 130
        except SystemExit:  # typer's way to end when the reader of the help went away
            code = 0
        except Her2kgError as error:
            report(error)
            code = 2
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package in ("", "her2kg"):
                raise
            say(f"this needs {package}, which is not installed; install it: pip install {package}")
            code = 2
        except Exception as error:
            if not hasattr(error, "format_message"):
                raise
            say(usage_sentence(error))
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


# Commands

_Engine = Annotated[
    str | None,
    typer.Option(
        "--engine", metavar="ENGINE", help="oxigraph or, slower, rdflib. [default: oxigraph]"
    ),
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
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", metavar="URL", help="Ask the SPARQL endpoint of a store."),
    ] = None,
    update_endpoint: Annotated[
        str | None,
        typer.Option("--update-endpoint", metavar="URL", help="Where that store takes updates."),
    ] = None,
    graph: Annotated[
        str | None,
        typer.Option("--graph", metavar="IRI", help="Its graph with the knowledge."),
    ] = None,
    patients: Annotated[
        str | None,
        typer.Option("--patients", metavar="IRI", help="Its graph with judged patients."),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME", help="Log in; HER2KG_PASSWORD is the password."),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", help="For one request. [default: 60]"),
    ] = None,
) -> None:
    """Knowledge graph of HER2-positive breast cancer treatment.

    For research and education; not medical advice.
    """
    store = store_options(endpoint, update_endpoint, graph, patients, user, timeout)
    use_store(for_command(store, ctx.invoked_subcommand))
    if version:
        write_out(f"her2kg {program_version()}\n")
        raise typer.Exit(0)
    if ctx.invoked_subcommand is None:
        sys.stderr.write(ctx.get_help() + "\n")
        raise typer.Exit(2)


@app.command()
def eligible(
    patient: PatientFile,
    as_of: RecordDay = None,
    regimen: OnlyRegimens = None,
    basis: Bases = None,
    jurisdiction: Jurisdictions = None,
    engine: _Engine = None,
    root: _Root = None,
    format: _Format = Format.table,
) -> None:
    """Which regimens suit a patient: a verdict for each."""
    from her2kg import render

    kg = load_graph(engine, root)
    answers = evaluate(kg, patient, as_of, regimen, basis, jurisdiction, format)
    _write(
        format,
        table=lambda screen: render.eligible_table(answers, screen),
        csv=lambda: output.eligible_csv(answers),
        json=lambda: answers.to_json() + "\n",
    )


@app.command()
def explain(
    patient: PatientFile,
    regimen: Annotated[
        str,
        typer.Argument(
            metavar="REGIMEN", show_default=False, help="Id, label, synonym or abbreviation."
        ),
    ],
    as_of: RecordDay = None,
    basis: Bases = None,
    jurisdiction: Jurisdictions = None,
    engine: _Engine = None,
    root: _Root = None,
    format: _Format = Format.table,
) -> None:
    """Why a regimen suits a patient or not, criterion by criterion."""
    from her2kg import render

    kg = load_graph(engine, root)
    answers = evaluate(kg, patient, as_of, [regimen], basis, jurisdiction, format)
    if not answers.regimens:
        raise typer.Exit(2)
    _write(
        format,
        table=lambda screen: render.explain_table(answers, screen, kg.names.labels),
        csv=lambda: output.explain_csv(answers),
        json=lambda: answers.to_json() + "\n",
    )


@app.command()
def reason(
    patient: PatientFile,
    why: Annotated[
        str | None,
        typer.Option(
            "--why",
            metavar="CLASS",
            help="Explain one class: criteria, and axioms of the reasoner.",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="List every class, not only what is met or differs.")
    ] = False,
    reasoner: Annotated[
        str, typer.Option("--reasoner", metavar="NAME", help="hermit; others are refused with why.")
    ] = "hermit",
    format: _Format = Format.table,
) -> None:
    """What HermiT and the rules say of a patient, side by side.

    Exits with 1 if they differ. Needs Java.
    """
    from her2kg import reasoning, render_reason

    reasoning.accept(reasoner)
    kg = load_graph()
    record = kg.record(sys.stdin.buffer.read() if patient == "-" else Path(patient))
    running = reasoning.Reasoner(kg)
    if why is not None:
        found = running.explain(record, why)
        _write(
            format,
            table=lambda screen: render_reason.justification_table(found, screen),
            csv=lambda: render_reason.justification_csv(found),
            json=lambda: render_reason.justification_json(found),
        )
        raise typer.Exit(0 if found.rules == found.reasoner else 1)
    compared = running.compare(record)
    _write(
        format,
        table=lambda screen: render_reason.comparison_table(compared, screen, every=every),
        csv=lambda: render_reason.comparison_csv(compared),
        json=lambda: render_reason.comparison_json(compared),
    )
    number = len(compared.differences)
    say(f"{number or 'no'} difference{'' if number == 1 else 's'}")
    raise typer.Exit(1 if number else 0)


@app.command()
def show(
    term: Annotated[
        str,
        typer.Argument(
            metavar="TERM", show_default=False, help="Id, label, brand, synonym or code."
        ),
    ],
    format: _Format = Format.table,
) -> None:
    """What is known of a drug, regimen, trial or another term.

    Give an id, label, brand, synonym or abbreviation, or a code such as RxNorm:224905; a name or
    code of several terms shows each.
    """
    from her2kg import render_lists
    from her2kg.details import details

    kg = load_graph()
    try:
        terms = kg.terms(term)
    except UnknownTerm as error:
        raise error.as_any() from None
    _write(
        format,
        table=lambda screen: render_lists.terms_table(
            terms, screen, {each.iri: details(kg, each) for each in terms}
        ),
        csv=lambda: output.terms_csv(terms),
        json=lambda: output.terms_json(terms),
    )


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
    from her2kg import render_lists

    found = list(library.library().values())
    if text is not None:
        try:
            query = library.find(text)
        except UnknownQuery:
            found = [query for query in found if text.casefold() in searched(query)]
            if not found:
                raise
        else:
            _write(
                format,
                table=lambda _: f"# {query.name}\n{query.text}",
                csv=lambda: output.query_csv(query),
                json=lambda: output.query_json(query),
            )
            return
    _write(
        format,
        table=lambda screen: render_lists.queries_table(found, screen),
        csv=lambda: output.queries_csv(found),
        json=lambda: output.queries_json(found),
    )


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
    given = read_parameters(query, parameters or [])
    kg = load_graph()
    rows = kg.query(query.name, **given)
    if not given:
        note_example(query)
    _write_rows(rows, format)


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
    text = read_sparql(query)
    kg = load_graph()
    rows = kg.select(text)
    for unknown in kg.unknown_terms(text):
        say(f"note: {unknown}")
    _write_rows(rows, format)


app.command()(serve)


@app.command()
def export(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", show_default=False, help="What to write: sssom.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where to. [default: stdout]"),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="NAMES", help="Vocabularies to leave out: SNOMEDCT,ATC."),
    ] = None,
) -> None:
    """Write the mappings to other vocabularies as SSSOM TSV."""
    from her2kg.files import replace_text
    from her2kg.sssom import sssom

    if kind != "sssom":
        raise Her2kgError(f"unknown kind of export {kind!r}; accepted: sssom")
    text = sssom(load_graph(), without=listed(without) or ())
    if out is None:
        write_out(text)
        return
    try:
        replace_text(out, text)
    except OSError as error:
        raise Her2kgError(f"{out} cannot be written: {error.strerror}") from None
    say(f"{text.count(chr(10)) - text.count(chr(10) + '#') - 2} mappings written to {out}")


app.command()(cohort)
app.add_typer(plot, name="plot")
app.add_typer(store_app)
app.command()(simulate)
app.command("what-if")(what_if)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the patient record."""
    from her2kg.records import json_schema

    write_out(output.to_json(json_schema()))


@app.command()
def check(root: _Root = None, format: _Format = Format.table) -> None:
    """Check the ontology and list what is wrong with it.

    Canonical form, imports and catalog, hygiene rules, criterion profile and SHACL shapes.
    """
    from her2kg import render_lists
    from her2kg.checks import run_checks

    findings = run_checks(project_folder(root))
    _write(
        format,
        table=lambda screen: render_lists.findings_table(findings, screen),
        csv=lambda: output.findings_csv(findings),
        json=lambda: output.findings_json(findings),
    )
    say(f"{len(findings) or 'no'} finding{'' if len(findings) == 1 else 's'}")
    raise typer.Exit(1 if findings else 0)


@app.command("format")
def format_(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 if a file would change.")
    ] = False,
    incoming: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Take over a module saved elsewhere, in Turtle, RDF/XML or OWL/XML; repeatable.",
        ),
    ] = None,
    root: _Root = None,
) -> None:
    """Write the ontology in its canonical form.

    Lists the files that changed; renews all imports and the catalog.
    """
    from her2kg.tree import format_tree

    folder = project_folder(root)
    changed = format_tree(folder, check=check, incoming=incoming or ())
    write_out("".join(f"{path.relative_to(folder).as_posix()}\n" for path in changed))
    files = f"{len(changed) or 'no'} file{'' if len(changed) == 1 else 's'}"
    say(f"{files} {'would change' if check else 'changed'}")
    raise typer.Exit(1 if check and changed else 0)


@app.command()
def release(
    out: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where to put the release.")
    ] = Path("dist"),
    root: _Root = None,
    reasoner: Annotated[
        str,
        typer.Option(
            "--reasoner",
            metavar="NAME",
            help="hermit, or rules: quicker, without Java, finds less.",
        ),
    ] = "hermit",
) -> None:
    """Build the files of a release into one folder.

    The ontology as one file in four syntaxes, an inferred copy, a description for catalogues, a
    page with pictures, and the sums of all.
    """
    from her2kg.release import build_release

    files = build_release(out, project_folder(root) / "ontology", reasoner=reasoner)
    write_out("".join(f"{out / file.name}\n" for file in files))
    say(f"{len(files)} files and their sums written to {out}")


def _write(
    format: Format,
    *,
    table: Callable[[Screen], str],
    csv: Callable[[], str],
    json: Callable[[], str],
) -> None:
    """Write data to stdout in the form asked for."""
    if format == Format.table:
        write_out(table(screen_of_stdout()))
    else:
        write_out(csv() if format == Format.csv else json())


def _write_rows(rows: Rows, format: Format) -> None:
    from her2kg.render_lists import rows_table

    if not rows.rows:
        say("no rows")
    _write(
        format,
        table=lambda screen: rows_table(rows, screen),
        csv=lambda: output.rows_csv(rows),
        json=lambda: output.rows_json(rows),
    )
