"""Arguments and options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

PatientFile = Annotated[
    str,
    typer.Argument(
        metavar="PATIENT", show_default=False, help="File with the patient record; - reads stdin."
    ),
]
RecordDay = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="DAY",
        help="Count the claims valid on this day, YYYY-MM-DD. [default: day of the record]",
    ),
]
Bases = Annotated[
    list[str] | None,
    typer.Option("--basis", metavar="KINDS", help="label, guideline, trial. [default: all]"),
]
Jurisdictions = Annotated[
    list[str] | None,
    typer.Option(
        "--jurisdiction", metavar="CODES", help="Such as US,EU,GB. [default: as the ontology marks]"
    ),
]
OnlyRegimens = Annotated[
    list[str] | None,
    typer.Option("--regimen", metavar="NAME", help="Only this regimen; may be repeated."),
]
