"""The notebooks run and give the outputs that they hold."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import notebooks  # noqa: E402

PATHS = notebooks.notebooks()
_MACHINE = re.compile(
    r"(?<![\w.:/])/(?:home|tmp|root|usr|opt|work|Users|var)/|site-packages|[A-Z]:\\"
)


def names(path):
    return path.stem


def test_the_notebooks_are_there_and_named_in_the_readme():
    assert [path.stem for path in PATHS] == ["cohort", "patient", "questions"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in PATHS if f"(notebooks/{path.name})" not in readme] == []


@pytest.mark.parametrize("path", PATHS, ids=names)
def test_a_notebook_gives_the_outputs_shown(path):
    shown, given = (
        notebooks.outputs(each) for each in (notebooks.read(path), notebooks.executed(path))
    )
    for (code, expected), (_, actual) in zip(shown, given, strict=True):
        assert actual == expected, f"{path.name}: run python docs/notebooks.py\n{code}"


@pytest.mark.parametrize("path", PATHS, ids=names)
def test_a_notebook_is_kept_as_it_is_written(path):
    notebook = notebooks.read(path)
    nbformat.validate(notebook)
    assert path.read_text(encoding="utf-8") == notebooks.text(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {each.output_type for cell in code for each in cell.outputs}
    assert kinds <= {"execute_result", "stream"}
    assert not any(each.get("name") == "stderr" for cell in code for each in cell.outputs)


@pytest.mark.parametrize("path", PATHS, ids=names)
def test_a_notebook_says_what_it_is_for_and_nothing_of_the_machine(path):
    text = path.read_text(encoding="utf-8")
    assert "For research and education. Not medical advice." in text
    assert _MACHINE.findall(text) == []
    for link in re.findall(r"\]\(([^)#:\s]+)\)", text):
        assert (path.parent / link).exists(), link


def test_a_failing_cell_is_an_error(tmp_path):
    from nbclient.exceptions import CellExecutionError

    broken = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    path = tmp_path / "broken.ipynb"
    path.write_text(notebooks.text(broken), encoding="utf-8")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        notebooks.executed(path)


def test_outputs_are_texts_by_cell():
    cell = nbformat.v4.new_code_cell("x")
    cell.outputs = [
        nbformat.v4.new_output("stream", text="a\n"),
        nbformat.v4.new_output("execute_result", data={"text/plain": "b", "text/html": "<p>"}),
    ]
    words = nbformat.v4.new_markdown_cell("words")
    assert notebooks.outputs(nbformat.v4.new_notebook(cells=[words, cell])) == [("x", ["a", "b"])]
