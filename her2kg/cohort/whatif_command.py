"""The command `her2kg what-if`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from her2kg.commands import Format, listed, load_graph, say, screen_of_stdout, write_out
from her2kg.errors import DataError, Her2kgError, Problem
from her2kg.options import Bases, Jurisdictions, OnlyRegimens

if TYPE_CHECKING:
    from her2kg.cohort.whatif import Change, Tally

_NAMED = 5  # classes in a message


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
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="For values that are drawn.")
    ] = 1,
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
    from her2kg.cohort.whatif import Tally, changed, read_change, what_if
    from her2kg.knowledge import as_day

    if plot is not None:
        _check_picture(plot)
    if (first is None) != (second is None):
        raise Her2kgError("two days are compared: give both --from DAY and --to DAY")
    days = (as_day(first), as_day(second)) if first is not None else None
    kg = load_graph()
    change = read_change(kg, fill or (), limit or (), days, seed=seed)
    asked: dict[str, Any] = {"regimens": regimen, "jurisdictions": listed(jurisdiction)}
    if basis is not None:
        asked["bases"] = listed(basis)
    tally = Tally()
    table = what_if(Cohorts(kg), source, change, therapies=therapies, tally=tally, **asked)
    some = changed(table)
    labels = {key.rsplit("#", 1)[-1]: label for key, label in kg.names.every_label.items()}
    if format == Format.json:
        found = {
            "change": change.words,
            "kept": change.kept,
            "patients": tally.patients,
            "rejected": tally.rejected,
            "filled": tally.filled,
            "unfit": tally.unfit,
            "knowledge_version": kg.version,
            "regimens": table.to_dicts(),
        }
        write_out(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    elif format == Format.csv:
        write_out(table.write_csv())
    else:
        from her2kg.cohort.tables import what_if_page

        write_out(what_if_page(some, change.words, tally.patients, labels, screen_of_stdout()))
    _tell(change, tally, table.height, some.height)
    if plot is not None:
        if not some.height:
            say("no picture: nothing changes")
            return
        from her2kg.cohort.whatif_plot import plot_what_if
        from her2kg.plot_sheet import save

        save(plot_what_if(some, change.words, labels), plot)
        say(f"picture written to {plot}")


def _check_picture(target: Path) -> None:
    """Refuse a picture that cannot be drawn or written, before the cohort is judged."""
    from her2kg.plot_sheet import ending, require

    ending(target)
    require()
    if not target.absolute().parent.is_dir():
        accepted = "a folder that is there; make it first"
        raise DataError([Problem("plot", str(target.parent), accepted)])


def _tell(change: Change, tally: Tally, regimens: int, some: int) -> None:
    """What the counts rest on, and what is not in the table."""
    from her2kg.cohort.tables import counted

    say(f"{regimens - some} of {regimens} regimens do not change")
    for name, number in tally.filled.items():
        say(f"{counted(number, 'patient')} without {name}: filled in")
    for name, number in tally.undrawn.items():
        say(f"{counted(number, 'patient')} without {name}: none is recorded to draw from")
    if tally.unfit:
        say(f"{counted(tally.unfit, 'patient')} left as recorded: a value contradicts the record")
    if change.kept:
        named, more = "; ".join(change.kept[:_NAMED]), len(change.kept) - _NAMED
        rest = f"; and {more} more" if more > 0 else ""
        say(f"classes that go by the same number and stay as they are: {named}{rest}")
    if tally.rejected:
        rows = counted(tally.rejected, "row")
        say(f"{rows} left out; her2kg cohort --rejects FILE lists what is wrong")
