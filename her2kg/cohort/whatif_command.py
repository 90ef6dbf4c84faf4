"""The command `her2kg what-if`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from her2kg.commands import Format, listed, load_graph, say, screen_of_stdout, write_out
from her2kg.options import Bases, Jurisdictions, OnlyRegimens


def what_if(
    source: Annotated[
        Path,
        typer.Argument(metavar="PATH", show_default=False, help="Patients, as for her2kg cohort."),
    ],
    fill: Annotated[
        list[str] | None,
        typer.Option(
            "--fill",
            metavar="FIELD=VALUE",
            help="A value for those who have none, or FIELD=recorded: drawn from the others.",
        ),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", metavar="CLASS=N", help="Another limit for a class."),
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="Claims of this day, and")
    ] = None,
    second: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="those of this day instead.")
    ] = None,
    therapies: Annotated[
        Path | None,
        typer.Option("--therapies", metavar="PATH", help="A second table: the courses, by id."),
    ] = None,
    regimen: OnlyRegimens = None,
    basis: Bases = None,
    jurisdiction: Jurisdictions = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw it: .svg or .png.")
    ] = None,
    format: Annotated[Format, typer.Option("--format", help="How to write the data.")] = (
        Format.table
    ),
) -> None:
    """What would change in a cohort, and for how many.

    Missing facts filled in, a limit moved, or the claims of another day.

    For research and education; not medical advice.
    """
    from her2kg.cohort.needs import require

    require()
    from her2kg.cohort.screening import Cohorts
    from her2kg.cohort.whatif import changed, read_change, what_if
    from her2kg.errors import Her2kgError
    from her2kg.knowledge import as_day

    if plot is not None:
        from her2kg.plot_sheet import ending
        from her2kg.plot_sheet import require as require_plots

        ending(plot)
        require_plots()
    if (first is None) != (second is None):
        raise Her2kgError("two days are compared: give both --from DAY and --to DAY")
    kg = load_graph()
    change = read_change(kg, fill or (), limit or (), as_day(second) if second else None)
    asked: dict[str, Any] = {"regimens": regimen, "jurisdictions": listed(jurisdiction)}
    if basis is not None:
        asked["bases"] = listed(basis)
    table = what_if(
        Cohorts(kg),
        source,
        change,
        therapies=therapies,
        as_of=as_day(first) if first else None,
        **asked,
    )
    some = changed(table)
    labels = {key.rsplit("#", 1)[-1]: label for key, label in kg.names.labels.items()}
    if format == Format.json:
        write_out(
            json.dumps({"change": change.words, "regimens": table.to_dicts()}, indent=1) + "\n"
        )
    elif format == Format.csv:
        write_out(table.write_csv())
    else:
        from her2kg.cohort.tables import what_if_page

        write_out(what_if_page(some, change.words, labels, screen_of_stdout()))
    say(f"{table.height - some.height} of {table.height} regimens do not change")
    if plot is not None:
        if not some.height:
            say("no picture: nothing changes")
            return
        from her2kg.cohort.whatif_plot import plot_what_if
        from her2kg.plot_sheet import save

        save(plot_what_if(some, change.words, labels), plot)
        say(f"picture written to {plot}")
