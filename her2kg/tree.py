"""The files of the ontology: their canonical form, the imports of the root, Protege's catalog."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

from her2kg.errors import DataError, Fact, Problem
from her2kg.files import replace_text
from her2kg.graph import is_module
from her2kg.namespaces import BASE, ONTOLOGY, PREFIXES
from her2kg.turtle import Triple, module_iri, parse_turtle, write_turtle

ROOT_FILE = "her2kg.ttl"
CATALOG_FILE = "catalog-v001.xml"
_IMPORTS = f"<{PREFIXES['owl']}imports>"
_TYPE = f"<{PREFIXES['rdf']}type>"
_OURS = f"<{BASE}"
_MODULE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*(?:/[a-z0-9]+(?:-[a-z0-9]+)*)*")
_PROPERTY_TYPES = {
    f"<{PREFIXES['owl']}{kind}Property>" for kind in ("Object", "Datatype", "Annotation")
}


def format_tree(root: Path, *, check: bool, incoming: Sequence[Path] = ()) -> list[Path]:
    """Format every Turtle file under `root`/ontology and renew all imports and the catalog.

    Each `incoming` file is a module in Turtle, RDF/XML or OWL/XML; it replaces the module of the
    same ontology IRI, or becomes a new one at the place that its IRI names.

    Shape: the files that were (with `check`: would be) changed, sorted; second run gives none.
    Errors: DataError naming every file that cannot be read, has no ontology IRI or repeats one;
    nothing is written then.
    """
    changed = []
    for path, text in sorted(expected_files(Path(root), incoming).items()):
        if not path.exists() or path.read_bytes() != text.encode():
            changed.append(path)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                replace_text(path, text)
    return changed


def expected_files(root: Path, incoming: Sequence[Path] = ()) -> dict[Path, str]:
    """Say what every Turtle file under `root`/ontology and the catalog should contain.

    Shape: path -> text, for each `.ttl` present or coming in, and for `catalog-v001.xml`.
    Errors: DataError as `format_tree`.
    """
    ontology = Path(root) / "ontology"
    files: dict[Path, set[Triple]] = {}
    problems: list[Problem] = []
    for file in incoming:
        try:
            path, triples = _incoming(ontology, Path(file))
            if path in files:
                raise DataError([Problem(str(file), Fact("a module again"), "each module once")])
            files[path] = triples
        except DataError as error:
            problems += error.problems
    for path in sorted(ontology.rglob("*.ttl")):
        if path in files:
            continue
        try:
            files[path] = parse_turtle(path.read_bytes(), path=path.relative_to(root).as_posix())
        except DataError as error:
            problems += error.problems
    if not files and not problems:
        accepted = "a directory that holds .ttl files"
        problems.append(Problem("ontology", str(ontology), accepted))

    iris: dict[Path, str] = {}
    for path, triples in files.items():
        name, iri = path.relative_to(root).as_posix(), module_iri(triples)
        if iri is None:
            if is_module(path.relative_to(ontology)):
                accepted = "<module IRI> a owl:Ontology"
                problems.append(Problem(name, "no owl:Ontology", accepted))
        elif iri in iris.values():
            problems.append(Problem(name, iri, "an ontology IRI that no other file has"))
        else:
            iris[path] = iri
    if problems:
        raise DataError(problems)

    main = ontology / ROOT_FILE
    modules = {
        path: iri
        for path, iri in iris.items()
        if path != main and is_module(path.relative_to(ontology))
    }
    if main in iris:
        needed = _needed_imports({iri: files[path] for path, iri in modules.items()})
        for path, iri in modules.items():
            files[path] = _with_imports(files[path], iri, needed[iri])
        files[main] = _with_imports(files[main], iris[main], set(modules.values()))
    texts = {path: write_turtle(triples) for path, triples in files.items()}
    texts[ontology / CATALOG_FILE] = _catalog(
        {iri: path.relative_to(ontology).as_posix() for path, iri in iris.items()}
    )
    return texts


def module_path(iri: str) -> str | None:
    """Say in which file inside ontology/ a module belongs, or None for an IRI that is not ours."""
    if iri == ONTOLOGY:
        return ROOT_FILE
    name = _MODULE.fullmatch(iri.removeprefix(f"{ONTOLOGY}/"))
    return f"{name[0]}.ttl" if name and iri.startswith(f"{ONTOLOGY}/") else None


def _incoming(ontology: Path, file: Path) -> tuple[Path, set[Triple]]:
    """Read a module from outside, and say where it belongs."""
    try:
        triples = parse_turtle(file.read_bytes(), path=str(file))
    except OSError as error:
        what = Fact(f"a file that cannot be read ({error.strerror})")
        raise DataError([Problem(str(file), what, "a saved module")]) from None
    iri = module_iri(triples) or ""
    place = module_path(iri)
    if place is None or not is_module(Path(place)):
        accepted = (
            f"a module whose ontology IRI names its place, such as {ONTOLOGY}/regimens/new-regimen "
            "(small letters, digits and hyphens); set it in Protege, tab Active ontology"
        )
        raise DataError([Problem(str(file), iri or Fact("no ontology IRI"), accepted)])
    return ontology / place, triples


def _needed_imports(modules: dict[str, set[Triple]]) -> dict[str, set[str]]:
    """Say which modules each module needs: those that declare the terms it uses.

    OWL tools read an axiom right only if its properties are declared before it. A module that
    declares properties therefore imports no other kind, so that the others find it complete.
    """
    home, with_properties = {}, set()
    for iri, triples in modules.items():
        for subject, predicate, value in triples:
            if predicate == _TYPE and subject.startswith(_OURS):
                home[subject] = iri
                if value in _PROPERTY_TYPES:
                    with_properties.add(iri)
    needed = {
        iri: {home[term] for triple in triples for term in triple if term in home} - {iri}
        for iri, triples in modules.items()
    }
    return {
        iri: found & with_properties if iri in with_properties else found
        for iri, found in needed.items()
    }


def _with_imports(triples: set[Triple], ontology: str, modules: set[str]) -> set[Triple]:
    """Replace the imports of our own modules; an import from elsewhere stays."""
    subject = f"<{ontology}>"
    ours = (f"<{ONTOLOGY}>", f"<{ONTOLOGY}/")
    kept = {t for t in triples if t[:2] != (subject, _IMPORTS) or not t[2].startswith(ours)}
    return kept | {(subject, _IMPORTS, f"<{iri}>") for iri in modules}


def _catalog(paths: dict[str, str]) -> str:
    """Write the OASIS catalog by which Protege finds the modules offline."""
    rows = "".join(
        f"    <uri name={quoteattr(iri)} uri={quoteattr(path)}/>\n"
        for iri, path in sorted(paths.items())
    )
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
        '<catalog prefer="public" xmlns="urn:oasis:names:tc:entity:xmlns:xml:catalog">\n'
        f"{rows}</catalog>\n"
    )
