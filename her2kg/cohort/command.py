"""The command `her2kg cohort`: arguments in, verdicts in a file and a summary out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from her2kg.commands import (
    Format,
    listed,
    load_graph,
    say,
    screen_of_stdout,
    write_out,
)
from her2kg.options import Bases, Jurisdictions, OnlyRegimens

if TYPE_CHECKING:
    from her2kg.cohort.running import Done
    from her2kg.knowledge import KnowledgeGraph

_TOP = 10


def cohort(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            show_default=False,
            help="Patients: .parquet, .csv, .tsv, .ndjson, .json, or a folder of these.",
        ),
    ],
    therapies: Annotated[
        Path | None,
        typer.Option("--therapies", metavar="PATH", help="A second table: the courses, by id."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Verdicts: .parquet, .csv, .ndjson or a folder."
        ),
    ] = None,
    long: Annotated[
        bool, typer.Option("--long", help="One row for each patient, regimen and basis.")
    ] = False,
    reasons: Annotated[
        Path | None,
        typer.Option(
            "--reasons", metavar="FILE", help="Write what stands against a regimen or is open."
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="DAY",
            help="Count the claims valid on this day, or on that of a column of this name. "
            "[default: day of each record]",
        ),
    ] = None,
    regimen: OnlyRegimens = None,
    basis: Bases = None,
    jurisdiction: Jurisdictions = None,
    rejects: Annotated[
        Path | None,
        typer.Option("--rejects", metavar="FILE", help="Write rows with problems: .csv, .parquet."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at a row with a problem.")] = False,
    engine: Annotated[
        str, typer.Option("--engine", metavar="ENGINE", help="polars or spark.")
    ] = "polars",
    master: Annotated[
        str | None,
        typer.Option("--master", metavar="URL", help="Spark master, such as spark://HOST:7077."),
    ] = None,
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=0, help="Lines of criteria and facts.")
    ] = _TOP,
    format: Annotated[Format, typer.Option("--format", help="How to write the data.")] = (
        Format.table
    ),
) -> None:
    """Verdicts for many patients, and what they come to.

    Rows with problems are left out and counted. An interrupted run goes on where it stopped.
    For research and education; not medical advice.
    """
    from her2kg.cohort.needs import require

    require()
    from her2kg.cohort.screening import Cohorts

    kg = load_graph()
    asked: dict[str, Any] = {
        "as_of": as_of,
        "regimens": regimen,
        "jurisdictions": listed(jurisdiction),
    }
    if basis is not None:
        asked["bases"] = listed(basis)
    if engine != "polars" or master is not None:
        from her2kg.cohort.spark import command

        command(kg, source, output, engine, master, **asked)
        return
    with _progress() as told:
        done = Cohorts(kg).judge(
            source,
            therapies=therapies,
            output=output,
            long=long,
            reasons=reasons,
            rejects=rejects,
            strict=strict,
            told=told,
            **asked,
        )
    _write(kg, done, format, top)
    _tell(done, output, reasons, rejects)


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """A counter of patients on a terminal; nothing where messages go to a file."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    screen = Console(stderr=True)
    if not screen.is_terminal:
        yield lambda _: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed:,} patients, {task.fields[speed]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task("patients", total=None, speed="")

        def told(number: int) -> None:
            seconds = bar.tasks[0].elapsed or 1
            bar.update(task, completed=number, speed=f"{number / seconds:,.0f} a second")

        yield told


def _tell(done: Done, output: Path | None, reasons: Path | None, rejects: Path | None) -> None:
    say(f"{done.patients:,} patients judged" + (f", verdicts in {output}" if output else ""))
    if reasons is not None:
        say(f"reasons in {reasons}")
    if done.resumed:
        say(f"{done.resumed:,} of them by an earlier run that was interrupted")
    if done.rejected:
        where = f"; they are in {rejects}" if rejects else "; --rejects FILE lists them"
        say(f"{done.rejected:,} rows left out, with {done.problems:,} problems{where}")
    if done.duplicates:
        say(f"{done.duplicates:,} rows have the id of another row; each was judged by itself")


def _write(kg: KnowledgeGraph, done: Done, format: Format, top: int) -> None:
    rows = done.summary.rows()
    if format == Format.json:
        excluded = _excluded(kg, done, None)
        missing = [{"path": path, "patients": n} for path, n in done.summary.missing.most_common()]
        found = {
            "patients": done.patients,
            "rejected": done.rejected,
            "outside": done.summary.outside,
            "knowledge_version": kg.version,
            "regimens": rows,
            "excluded": excluded,
            "missing": missing,
        }
        write_out(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    elif format == Format.csv:
        from her2kg.output import rows_csv
        from her2kg.rows import Rows

        columns = tuple(rows[0]) if rows else ("regimen",)
        write_out(rows_csv(Rows(columns, [tuple(row.values()) for row in rows])))
    else:
        from her2kg.cohort.tables import summary_page

        labels = {key.rsplit("#", 1)[-1]: label for key, label in kg.names.every_label.items()}
        write_out(
            summary_page(done.summary, _excluded(kg, done, top), labels, top, screen_of_stdout())
        )


def _excluded(kg: KnowledgeGraph, done: Done, top: int | None) -> list[dict[str, Any]]:
    """Which criteria keep most patients from a regimen, with their words."""
    from her2kg import queries

    rows = queries.run(kg.engine, kg.names, "eligibility/claim-criteria", {}).to_dicts()
    words = {row["criterion"].local: row["label"] for row in rows}
    return [
        {
            "regimen": regimen,
            "criterion": criterion,
            "wanted": "met" if wanted else "unmet",
            "label": words[criterion] if wanted else f"not: {words[criterion]}",
            "patients": number,
        }
        for (regimen, criterion, wanted), number in done.summary.excluded.most_common(top)
    ]
