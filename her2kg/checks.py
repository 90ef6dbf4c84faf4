"""Check the ontology: canonical form, imports, hygiene rules, criterion profile, SHACL shapes.

Every rule is a file: `queries/hygiene/*.rq` (rows are violations) or a shape in
`ontology/shapes.ttl`. This module finds them, runs them and gives what they report one form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

from rdflib import Graph

from her2kg import rules as rule_texts
from her2kg.engines import OxigraphEngine
from her2kg.errors import DataError, did_you_mean
from her2kg.graph import is_module
from her2kg.namespaces import BASE, QUERIES_HOME
from her2kg.syntaxes import SYNTAXES, parse_turtle, syntax_of
from her2kg.tree import CATALOG_FILE, ROOT_FILE, expected_files, module_path
from her2kg.turtle import format_turtle

_OTHER_SYNTAXES = (".rdf", ".owl", ".owx", ".ofn", ".omn")


@dataclass(frozen=True)
class Finding:
    """One violation: the rule that found it, the term it is about, and a full sentence.

    Shape: `rule` is `syntax`, `place`, `format`, `imports`, `catalog`, the name of a hygiene
    query or, for a shape, `shape-<name>`; `term` is an IRI, or a path for the first five.
    """

    rule: str
    term: str
    problem: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.term}: {self.problem}"


def run_checks(root: Path) -> list[Finding]:
    """Run every check on the ontology under `root`, in a fixed order.

    Shape: findings of the form, the imports and catalog, the hygiene rules, the criterion
    profile, then the shapes; each group sorted; an empty list means that all is well.
    Errors: none for broken Turtle: a file that cannot be read is a finding, and alone reported.
    Source: queries/hygiene/*.rq, ontology/shapes.ttl
    """
    root = Path(root)
    findings = form_findings(root)
    if any(finding.rule == "syntax" for finding in findings):
        return findings
    modules, examples = ontology_files(root)
    findings += rule_findings(rule_files(root), modules, examples)
    shapes = root / "ontology" / "shapes.ttl"
    if shapes.exists():
        findings += shape_findings(shapes, [*modules, *examples])
    return findings


def ontology_files(root: Path) -> tuple[list[Path], list[Path]]:
    """List the Turtle files of the knowledge and those of the example patients, sorted."""
    ontology = Path(root) / "ontology"
    files = sorted(ontology.rglob("*.ttl"))
    modules = [path for path in files if is_module(path.relative_to(ontology))]
    return modules, [p for p in files if p.relative_to(ontology).parts[0] == "examples"]


def rule_files(root: Path) -> list[Path]:
    """List the hygiene queries, the rules of the criterion profile last."""
    own = Path(root) / "queries" / "hygiene"
    files = (own if own.is_dir() else QUERIES_HOME / "hygiene").glob("*.rq")
    return sorted(files, key=lambda path: (path.name.startswith("profile-"), path.name))


def form_findings(root: Path) -> list[Finding]:
    """Compare each file with its canonical form, and imports and catalog with the files.

    Shape: rules `syntax` (then no other), `place`, `format`, `imports` and `catalog`.
    """
    root = Path(root)
    try:
        expected = expected_files(root)
    except DataError as error:
        return [
            Finding("syntax", str(p.path), f"Given {p.value}, accepted {p.accepted}.")
            for p in error.problems
        ]
    findings = []
    for path, text in sorted(expected.items()):
        current = path.read_bytes() if path.exists() else b""
        name = path.relative_to(root).as_posix()
        syntax = syntax_of(current) if path.suffix == ".ttl" else "turtle"
        if syntax != "turtle":
            wrong = f"The file is {SYNTAXES[syntax]}, not Turtle; run `her2kg format`."
            return [Finding("syntax", name, wrong)]
        if path.exists() and current == text.encode():
            continue
        if path.name == CATALOG_FILE:
            rule, wrong = "catalog", "does not list every module file that is present"
        elif path.name == ROOT_FILE and format_turtle(current) == current.decode():
            rule, wrong = "imports", "does not import exactly the module files that are present"
        else:
            rule, wrong = "format", "is not in the canonical form"
        findings.append(Finding(rule, name, f"The file {wrong}; run `her2kg format`."))
    findings += _place_findings(root, expected)
    order = ("place", "format", "imports", "catalog")
    return sorted(findings, key=lambda f: (order.index(f.rule), f.term))


def _place_findings(root: Path, expected: dict[Path, str]) -> list[Finding]:
    """Say which files stand at the wrong place, are not read, or hold what is not theirs."""
    ontology = root / "ontology"
    found = []
    for entry in ElementTree.fromstring(expected[ontology / CATALOG_FILE].encode()):
        iri, name = entry.attrib["name"], entry.attrib["uri"]
        place = module_path(iri)
        if place != name:
            where = f"belongs in ontology/{place}" if place else "is not one of her2kg"
            todo = "rename the file, or set the ontology IRI of the module to match its file"
            wrong = f"The module <{iri}> in this file {where}; {todo}."
            found.append(Finding("place", f"ontology/{name}", wrong))
    terms = {s[1:-1] for s, _, _ in parse_turtle(expected.get(ontology / ROOT_FILE, ""))}
    for term in sorted(term for term in terms if term.startswith(BASE)):
        wrong = (
            f"The term stands in ontology/{ROOT_FILE}, which only names the modules; move it to "
            "its module (in Protege: Refactor > Copy/move/delete axioms)."
        )
        found.append(Finding("place", term, wrong))
    for path in sorted(ontology.rglob("*")):
        if path.suffix in _OTHER_SYNTAXES:
            name = path.relative_to(root).as_posix()
            todo = f"take it over with `her2kg format --from {name}`, then delete it"
            found.append(Finding("place", name, f"The file is not Turtle and is not read; {todo}."))
    return found


def rule_findings(
    rules: Iterable[Path], modules: Sequence[Path], examples: Sequence[Path] = ()
) -> list[Finding]:
    """Run hygiene queries over the merged modules.

    Shape: one finding a row, in the order of the rules; a rule tagged `examples` also reads the
    example patients, the others do not; one tagged `spelling` gets the nearest names and the files.
    """
    knowledge = _engine(modules)
    everything = _engine([*modules, *examples]) if examples else knowledge
    findings = []
    for rule in rules:
        text = rule.read_text(encoding="utf-8")
        tags = re.search(r"^#\+ tags: *\[(.*)\]", text, re.MULTILINE)
        wide = tags and "examples" in re.split(r"[,\s]+", tags[1])
        engine = everything if wide else knowledge
        found = [Finding(rule.stem, str(term), why) for term, why in engine.select(text).rows]
        if found and tags and "spelling" in re.split(r"[,\s]+", tags[1]):
            terms = rule_texts.system("defined-terms.rq")
            known = [str(term).removeprefix(BASE) for (term,) in engine.select(terms).rows]
            found = [_with_place(each, known, [*modules, *examples]) for each in found]
        findings += found
    return findings


def _with_place(finding: Finding, known: Sequence[str], paths: Iterable[Path]) -> Finding:
    """A finding on a name that is not known, with the nearest that are and where it stands."""
    name = finding.term.removeprefix(BASE)
    close = [f"her2kg:{each}" for each in did_you_mean(name, known)]
    word = re.compile(rf"her2kg:{re.escape(name)}(?![\w-])")
    used = [path.name for path in paths if word.search(path.read_text(encoding="utf-8"))]
    nearest = f" The nearest: {', '.join(close)}." if close else ""
    place = f" It stands in {', '.join(used)}." if used else ""
    return replace(finding, problem=finding.problem + nearest + place)


def shape_findings(shapes: Path, data: Iterable[Path]) -> list[Finding]:
    """Validate data with SHACL, without inference.

    Shape: one finding for each message on each node, sorted by rule and node; the rule is the
    node shape: `her2kg:PatientDatesShape` reports as `shape-patient-dates`.
    """
    from pyshacl import validate
    from rdflib import SH

    shape_graph = Graph().parse(shapes, format="turtle")
    _, report, _ = validate(
        _rdflib_graph(data),
        shacl_graph=shape_graph,
        inference="none",
        inplace=True,
        advanced=False,
        meta_shacl=False,
        do_owl_imports=False,
    )
    findings = set()
    for result in report.objects(None, SH.result):
        shape = report.value(result, SH.sourceShape)
        owner = shape_graph.value(None, SH.property, shape) or shape
        message = str(report.value(result, SH.resultMessage)).strip()
        value = report.value(result, SH.value)
        given = f" (Given: {value}.)" if value is not None else ""
        node = str(report.value(result, SH.focusNode))
        findings.add(Finding(_shape_rule(str(owner)), node, message + given))
    return sorted(findings, key=lambda f: (f.rule, f.term, f.problem))


def _shape_rule(iri: str) -> str:
    name = re.sub(r"Shape$", "", re.split(r"[#/]", iri)[-1])
    return "shape-" + re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def _engine(paths: Iterable[Path]) -> OxigraphEngine:
    engine = OxigraphEngine()
    for path in paths:
        engine.load_file(path)
    return engine


def _rdflib_graph(paths: Iterable[Path]) -> Graph:
    """An rdflib graph (for pyshacl), parsed by Oxigraph, which is ten times as fast."""
    graph = Graph()
    for triple in _engine(paths).construct(rule_texts.system("everything.rq")):
        graph.add(triple)
    return graph
