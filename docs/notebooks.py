"""Run the notebooks of notebooks/ and compare or renew the outputs that they hold.

    python docs/notebooks.py             run each notebook and keep its outputs
    python docs/notebooks.py --check     write nothing; exit 1 and name what has changed

Outputs are compared as text. What would differ from run to run is not kept: times, versions, the
number of a run.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from her2kg.files import replace_text  # noqa: E402

FOLDER = ROOT / "notebooks"
SECONDS = 120  # for one cell
_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def notebooks() -> list[Path]:
    """The notebooks, sorted."""
    return sorted(FOLDER.glob("*.ipynb"))


def read(path: Path) -> Any:
    """A notebook as it stands."""
    return nbformat.read(path, as_version=4)


def executed(path: Path) -> Any:
    """A notebook after its cells were run in order, from its own folder.

    Errors: nbclient.exceptions.CellExecutionError for a cell that fails.
    """
    notebook = read(path)
    with tempfile.TemporaryDirectory() as folder:
        # The kernel is spoken to by files of this folder, not by ports.
        files = {"transport": "ipc", "connection_file": f"{folder}/kernel.json"}
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "IPYTHONDIR": folder,
        }
        client = NotebookClient(
            notebook,
            config=Config({"KernelManager": files}),
            kernel_name="python3",
            timeout=SECONDS,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(FOLDER)}},
        )
        client.execute(env=environment)
    notebook.metadata = {"kernelspec": _KERNEL, "language_info": {"name": "python"}}
    for number, cell in enumerate(notebook.cells, 1):
        cell.id, cell.metadata = f"cell-{number}", {}
    return notebook


def text(notebook: Any) -> str:
    """A notebook as its file holds it."""
    return nbformat.writes(notebook, indent=1).rstrip("\n") + "\n"


def outputs(notebook: Any) -> list[tuple[str, list[str]]]:
    """The code of each cell with the texts that it put out, HTML and pictures left aside."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            texts = [
                each.get("text") or each.get("data", {}).get("text/plain", "")
                for each in cell.outputs
            ]
            found.append((cell.source, ["".join(each).rstrip() for each in texts]))
    return found


def main(arguments: list[str]) -> int:
    stale = []
    for path in notebooks():
        after = executed(path)
        if outputs(after) != outputs(read(path)) or "--check" not in arguments:
            if "--check" in arguments:
                stale.append(path.name)
            else:
                replace_text(path, text(after))
    for name in stale:
        print(f"notebooks/{name} is stale; run python docs/notebooks.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
