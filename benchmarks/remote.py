"""Time what `her2kg --endpoint` does in stores of others and print one table.

    python benchmarks/remote.py [--write] [--runs N]

The stores are those of tests/stores.py, empty at the start. All rows come from one run; `--write`
puts the table into docs/remote.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
PAGE = ROOT / "docs" / "remote.md"

from run import EXAMPLE, median, replace_table, seconds  # noqa: E402
from stores import OxigraphServer, Virtuoso  # noqa: E402

from her2kg import KnowledgeGraph  # noqa: E402

STORES: dict[str, Any] = {"Oxigraph server": OxigraphServer, "Virtuoso": Virtuoso}


def in_store(kind: Any, folder: Path, runs: int) -> list[float]:
    """Seconds to publish, for the first verdict, for another, for the first of a read-only one."""
    store = kind(folder)
    try:
        options = {**store.empty(), "timeout": 600}
        with KnowledgeGraph(**options) as kg:
            found = [seconds(kg.publish), seconds(lambda: kg.eligibility(EXAMPLE))]
            found.append(median(lambda: kg.eligibility(EXAMPLE), runs))
        del options["update_endpoint"]
        reading = KnowledgeGraph(**options)
        return [*found, seconds(lambda: reading.eligibility(EXAMPLE))]
    finally:
        store.close()


def main() -> None:
    """Measure, print, write if asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="renew docs/remote.md")
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    own = KnowledgeGraph()
    own.eligibility(EXAMPLE)
    here = median(lambda: own.eligibility(EXAMPLE), asked.runs)
    found = {}
    for name, kind in STORES.items():
        if reason := kind.missing():
            print(f"{name}: {reason}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as folder:
            found[name] = in_store(kind, Path(folder), asked.runs)
    labels = (
        "`publish`, the knowledge",
        "first verdict, with the copy of the knowledge",
        "another verdict",
        "first verdict of a read-only store, made here",
    )
    lines = [f"| | {' | '.join(found)} |", "| --- |" + " ---: |" * len(found)]
    for at, label in enumerate(labels):
        cells = " | ".join(f"{times[at]:.1f} s" for times in found.values())
        lines.append(f"| {label} | {cells} |")
    ratio = " | ".join(f"{times[2] / here:.0f} x" for times in found.values())
    lines.append(f"| another verdict, beside the embedded graph ({here * 1000:.0f} ms) | {ratio} |")
    print("\n".join(lines))
    if asked.write:
        replace_table(PAGE, "times", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
