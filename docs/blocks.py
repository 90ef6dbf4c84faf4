"""Run the code blocks of the Markdown pages and compare or renew the output that they show.

    ```python      runs; blocks of a page share their names
    ```sparql      runs as a query; rows are shown with ` | ` between columns; with `inferred` after
                   `sparql` it is asked of the inferred copy, with the example patients it names
    ```console     each `$ command` runs in a shell in the checkout, its output stands below it
    ```json        is read; with `record` after `json` it is a patient record
    ```turtle      with `file=PATH` is a piece of that file (tests/test_docs.py puts it there, at
                   the end or, with `after=NAME`, below the last line that is that name)
    ```sh          is shown only: see SHOWN_ONLY
    ```text        directly after a python or sparql block is its output

A line `...` in an output stands for any lines.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WIDTH = "100"
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/authoring.md",
    "docs/benchmarks.md",
    "docs/cheatsheet.md",
    "docs/cohorts.md",
    "docs/engines.md",
    "docs/evidence-review.md",
    "docs/how-verdicts-are-made.md",
    "docs/agreement.md",
    "docs/mappings.md",
    "docs/ontology.md",
    "docs/patient-record.md",
    "docs/pictures.md",
    "docs/queries.md",
    "docs/query-times.md",
    "docs/reasoning.md",
    "docs/release.md",
    "docs/remote.md",
    "docs/seed-statements.md",
    "docs/serve.md",
    "docs/simulate.md",
    "docs/what-if.md",
]
SHOWN_ONLY = {
    "./dev try",
    "./dev test",
    ".ci/run",
    "her2kg release",
    "her2kg release -o /tmp/her2kg --root .",
    "pip install '.[release]'",
    "pip install .",
    "pip install '.[tables]'",
    "pip install '.[plots]'",
    "apt install virtuoso-opensource-7-bin libapache-jena-java default-jre-headless",
    "pip install '.[serve]'",
    "pip install '.[cohort]'",
    "her2kg cohort registry/ --therapies courses.csv -o verdicts/ --rejects rejects.csv",
    "her2kg cohort cohort.parquet -o verdicts.parquet --reasons reasons.parquet --as-of visit_date",
    "python -m tests.cohort_agreement --patients 100000 --seed 1 --workers 2 -o result.jsonl",
    "her2kg serve",
    "her2kg simulate 1000000 --seed 1 -o cohort.parquet",
    "her2kg what-if /tmp/her2kg-what-if.parquet --fill lvef_percent=60 "
    "--limit LvefAtLeast50Patient=45 --basis label --jurisdiction US --plot docs/img/what-if.svg",
    "python benchmarks/serve.py",
    "pip install '.[dev]'",
    "python -m pytest tests/test_stores.py",
    "her2kg plot matrix -o docs/img/matrix.svg --as-of 2026-11-22 --basis label --jurisdiction US "
    "ontology/examples/{treatment-naive-first-line,second-line-after-thp,third-line-after-tdxd,"
    "ihc-2-without-ish,early-pcr,pregnant}.json",
    "her2kg plot patient ontology/examples/ihc-2-without-ish.json -o docs/img/patient.svg "
    "--as-of 2026-11-22 --basis label --jurisdiction US --regimen THP --regimen T-DM1",
    "her2kg plot adverse-events regimen_tdxd_monotherapy regimen_tdm1 regimen_thp_docetaxel "
    "-o docs/img/adverse-events.svg --event ILD --event diarrhoea",
    "her2kg plot forest 'metastatic second line' -o docs/img/forest.svg --endpoint OS "
    "--endpoint PFS",
    "her2kg plot timeline -o docs/img/timeline.svg --drug T-DM1 --as-of 2026-11-22",
    "her2kg plot sequence -o docs/img/sequence.svg --as-of 2026-11-22 "
    "--setting 'metastatic first line' --setting 'metastatic second line' "
    "--setting 'metastatic third line'",
    "python -m tests.agreement --patients 2200 --seed 1 --workers 2 -o result.jsonl",
    "her2kg format --from tdm1.owl --from example-trastuzumab-gemcitabine.owl",
    "python -m tests.mutants",
    "python benchmarks/engines.py --write",
    "python benchmarks/run.py",
    "python benchmarks/run.py --write",
    "python docs/generate.py",
    "python docs/generate.py --outputs",
}
LANGUAGES = {"python", "sparql", "console", "json", "turtle", "sh", "text", "csv"}

_FENCE = re.compile(r"^```([a-z]*)[ ]*([^\n`]*)\n(.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block: `start` and `end` bound its inner text in the page."""

    page: str
    line: int
    language: str
    info: str
    text: str
    start: int
    end: int
    output: Block | None = None

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that the block is a piece of, if it is."""
        return self._given("file")

    @property
    def after(self) -> str | None:
        """The line of that file that the block stands below, if it says so."""
        return self._given("after")

    def _given(self, key: str) -> str | None:
        match = re.search(rf"\b{key}=(\S+)", self.info)
        return match[1] if match else None


def blocks(page: str, text: str | None = None) -> list[Block]:
    """The blocks of a page, each with the output block that belongs to it."""
    if text is None:
        text = (ROOT / page).read_text(encoding="utf-8")
    found: list[Block] = []
    last_end = 0
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        block = Block(page, line, match[1], match[2], match[3], match.start(3), match.end(3))
        directly = not text[last_end : match.start()].strip()
        if block.language == "text" and directly and found and _has_output(found[-1]):
            found[-1] = Block(*[getattr(found[-1], n) for n in _FIELDS], output=block)
        else:
            found.append(block)
        last_end = match.end()
    return found


_FIELDS = ("page", "line", "language", "info", "text", "start", "end")


def _has_output(block: Block) -> bool:
    return block.language in ("python", "sparql") and block.file is None


def matches(expected: str, actual: str) -> bool:
    """Whether an output is the one shown; trailing blanks do not count."""
    wanted = [line.rstrip() for line in expected.strip("\n").splitlines()]
    got = "\n".join(line.rstrip() for line in actual.strip("\n").splitlines())
    pattern = "\n".join(
        r"(?:.*\n)*?.*" if line.strip() == "..." else re.escape(line) for line in wanted
    )
    return re.fullmatch(pattern, got) is not None


def commands(block: Block) -> list[tuple[str, str]]:
    """The commands of a console block with the output shown below each."""
    found: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.startswith("> ") and found and not found[-1][1]:
            found[-1] = (found[-1][0] + "\n" + line[2:], [])
        elif found:
            found[-1][1].append(line)
    return [(command, "\n".join(lines)) for command, lines in found]


class Runner:
    """Runs the blocks of one page in their order."""

    def __init__(self, kg: Any) -> None:
        self.kg = kg
        self.names: dict[str, Any] = {"__name__": "docs"}

    def run(self, block: Block) -> str | None:
        """The output of a python or sparql block; None for one that has none."""
        if block.file is not None:
            return None
        if block.language == "python":
            caught = io.StringIO()
            code = compile("\n" * block.line + block.text, block.page, "exec")
            with _in_root(), contextlib.redirect_stdout(caught):
                exec(code, self.names)
            return caught.getvalue()
        if block.language == "sparql":
            if "inferred" in block.info.split():
                rows = _ask_inferred(self.kg, block.text)
            else:
                rows = self.kg.select(block.text)
            lines = [rows.columns, *rows]
            return "\n".join(" | ".join(_cell(value) for value in line) for line in lines)
        if block.language == "json":
            record = json.loads(block.text)
            if "record" in block.info.split():
                self.kg.record(record)
        return None


def _ask_inferred(kg: Any, query: str) -> Any:
    from her2kg import queries
    from her2kg.engines import OxigraphEngine
    from her2kg.namespaces import ONTOLOGY_HOME
    from her2kg.records import slug
    from her2kg.release_graphs import RULES, inferred, merged, subsumptions
    from her2kg.turtle import write_turtle

    examples = (ONTOLOGY_HOME / "examples").glob("*.json")
    named = [path for path in examples if f"patient_{slug(path.stem)} " in query]
    engine = OxigraphEngine()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "her2kg-inferred.ttl"
        triples = inferred(kg, merged(ONTOLOGY_HOME), named, subsumptions(kg, RULES))
        copy.write_text(write_turtle(triples), encoding="utf-8")
        engine.load_file(copy)
    return queries.select(engine, query)


def _cell(value: Any) -> str:
    return "" if value is None else getattr(value, "curie", str(value))


@contextlib.contextmanager
def _in_root() -> Iterator[None]:
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def shell() -> Iterator[Any]:
    """A function that runs a command with `her2kg` and `python` of this interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        tool = Path(folder) / "her2kg"
        tool.write_text(
            f"#!{sys.executable}\nimport sys\nfrom her2kg.cli import main\nsys.exit(main())\n"
        )
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
        environment = {
            **os.environ,
            "PATH": os.pathsep.join(
                [folder, str(Path(sys.executable).parent), os.environ.get("PATH", "")]
            ),
            "TMPDIR": folder,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "COLUMNS": WIDTH,
            "NO_COLOR": "1",
            "TERM": "dumb",
        }

        def run(command: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                ["bash", "-c", command],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
            )

        yield run


def renewed(page: str, kg: Any) -> str:
    """The text of a page with the outputs that its blocks give now."""
    text = (ROOT / page).read_text(encoding="utf-8")
    runner = Runner(kg)
    changes: list[tuple[int, int, str]] = []
    with shell() as run:
        for block in blocks(page, text):
            if block.language == "console":
                shown = []
                for command, expected in commands(block):
                    done = run(command)
                    if not done.stdout and done.returncode > 1:
                        raise RuntimeError(f"{block.place}: {command}: {done.stderr}")
                    shown += ["$ " + command.replace("\n", "\n> ")]
                    kept = expected if matches(expected, done.stdout) else done.stdout
                    shown += [kept.rstrip("\n")] if kept.strip("\n") else []
                changes.append((block.start, block.end, "\n".join(shown) + "\n"))
                continue
            output = runner.run(block)
            if block.output is not None and not matches(block.output.text, output or ""):
                shown_text = (output or "").rstrip("\n") + "\n"
                changes.append((block.output.start, block.output.end, shown_text))
    for start, end, new in sorted(changes, reverse=True):
        text = text[:start] + new + text[end:]
    return "\n".join(line.rstrip() for line in text.split("\n"))
