"""The commands `her2kg plot KIND`: arguments in, a picture in a file out, no logic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from her2kg.commands import Format, evaluate, listed, load_graph, say
from her2kg.options import Bases, Jurisdictions, OnlyRegimens, PatientFile, RecordDay

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from her2kg.knowledge import KnowledgeGraph

app = typer.Typer(
    help="Draw a picture into a file, SVG or PNG by its ending.",
    no_args_is_help=False,
    rich_markup_mode=None,
    epilog="Needs matplotlib: pip install her2kg[plots]",
)

_Out = Annotated[
    Path,
    typer.Option(
        "-o", "--output", metavar="FILE", show_default=False, help="Where to: .svg or .png."
    ),
]
_AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="DAY", help="Day in question, YYYY-MM-DD. [default: today]"),
]


def _draw(out: Path, draw: Callable[[KnowledgeGraph], Figure]) -> None:
    """Draw and write a picture; what can be refused at once is refused before the graph loads."""
    from her2kg.plot_sheet import ending, require, save

    ending(out)
    require()
    save(draw(load_graph()), out)
    say(f"picture written to {out}")


@app.command()
def matrix(
    patients: Annotated[
        list[str],
        typer.Argument(
            metavar="PATIENT", show_default=False, help="Files with patient records; - is stdin."
        ),
    ],
    out: _Out,
    as_of: RecordDay = None,
    regimen: OnlyRegimens = None,
    basis: Bases = None,
    jurisdiction: Jurisdictions = None,
    every: Annotated[
        bool, typer.Option("--all", help="Draw also the regimens that suit no patient.")
    ] = False,
) -> None:
    """Which regimens suit which patients."""
    from her2kg import plots

    def draw(kg: KnowledgeGraph) -> Figure:
        answers = [
            evaluate(kg, each, as_of, regimen, basis, jurisdiction, Format.table)
            for each in patients
        ]
        return plots.eligibility_matrix(kg, answers, regimens=regimen, every=every)

    _draw(out, draw)


@app.command()
def patient(
    patient: PatientFile,
    out: _Out,
    as_of: RecordDay = None,
    regimen: Annotated[
        list[str] | None,
        typer.Option(
            "--regimen", metavar="NAME", help="Every claim of this regimen; may be repeated."
        ),
    ] = None,
    basis: Bases = None,
    jurisdiction: Jurisdictions = None,
) -> None:
    """Criteria met, unmet and unknown for each regimen."""
    from her2kg import plots

    def draw(kg: KnowledgeGraph) -> Figure:
        answers = evaluate(kg, patient, as_of, regimen, basis, jurisdiction, Format.table)
        return plots.patient_map(kg, answers, regimens=regimen)

    _draw(out, draw)


@app.command("adverse-events")
def adverse_events(
    regimens: Annotated[
        list[str],
        typer.Argument(
            metavar="REGIMEN", show_default=False, help="Ids, labels, synonyms, abbreviations."
        ),
    ],
    out: _Out,
    event: Annotated[
        list[str] | None,
        typer.Option(
            "--event",
            metavar="NAME",
            help="Only this event; may be repeated. [default: those counted for two regimens]",
        ),
    ] = None,
) -> None:
    """How often adverse events were seen, arm by arm."""
    from her2kg import plots

    _draw(out, lambda kg: plots.adverse_events(kg, regimens, events=event))


@app.command()
def forest(
    settings: Annotated[
        list[str],
        typer.Argument(
            metavar="SETTING",
            show_default=False,
            help="Line of therapy or setting; her2kg run regimens/for-line lists them.",
        ),
    ],
    out: _Out,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            "--endpoint",
            metavar="NAME",
            help="Label or abbreviation; may be repeated. [default: all]",
        ),
    ] = None,
) -> None:
    """Hazard ratios of the trials of a line of therapy."""
    from her2kg import plots

    _draw(out, lambda kg: plots.forest(kg, settings, endpoint=endpoint))


@app.command()
def timeline(
    out: _Out,
    drug: Annotated[
        list[str] | None,
        typer.Option(
            "--drug",
            metavar="NAME",
            help="Approvals of this drug and guideline statements; may be repeated.",
        ),
    ] = None,
    regimen: Annotated[
        list[str] | None,
        typer.Option("--regimen", metavar="NAME", help="Claims on this regimen; may be repeated."),
    ] = None,
    jurisdiction: Annotated[
        list[str] | None,
        typer.Option("--jurisdiction", metavar="CODES", help="Such as US,EU. [default: all]"),
    ] = None,
    as_of: _AsOf = None,
) -> None:
    """Approvals and guideline changes over time."""
    from her2kg import plots

    _draw(
        out,
        lambda kg: plots.timeline(
            kg, drugs=drug, regimens=regimen, jurisdictions=listed(jurisdiction), as_of=as_of
        ),
    )


@app.command()
def sequence(
    out: _Out,
    setting: Annotated[
        list[str] | None,
        typer.Option("--setting", metavar="NAME", help="Only this line; may be repeated."),
    ] = None,
    as_of: _AsOf = None,
    every: Annotated[
        bool, typer.Option("--all", help="Name also the regimens that a guideline does not rank.")
    ] = False,
) -> None:
    """Lines of therapy with the regimens that guidelines prefer."""
    from her2kg import plots

    _draw(out, lambda kg: plots.sequence(kg, settings=setting, as_of=as_of, every=every))
