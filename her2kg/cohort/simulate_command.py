"""The command `her2kg simulate`: arguments in, a file of synthetic patients out, no logic."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from her2kg.commands import say
from her2kg.errors import Her2kgError


def simulate(
    n: Annotated[str, typer.Argument(metavar="N", show_default=False, help="How many patients.")],
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", show_default=False, help="A .parquet or .ndjson file."
        ),
    ],
    seed: Annotated[
        int, typer.Option("--seed", metavar="S", help="The same seed gives the same patients.")
    ] = 0,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="DAY",
            help="Day of the registry, YYYY-MM-DD. [default: day of the model]",
        ),
    ] = None,
) -> None:
    """Make a synthetic registry of patients, of nobody.

    Frequencies come from publications or are marked as assumptions. The first patients of a larger
    registry are those of a smaller one with the same seed.
    """
    from her2kg.cohort.simulate import simulate as write

    number = int(n) if n.isascii() and n.isdigit() and len(n) < 19 else n
    write(number, seed, out, _day(as_of))
    say(f"{number} patient{'' if number == 1 else 's'} written to {out}")


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        if len(text) == len("YYYY-MM-DD"):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise Her2kgError(f"given the day {text!r}, accepted a day as YYYY-MM-DD")
