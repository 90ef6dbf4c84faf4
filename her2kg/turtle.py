"""Write canonical Turtle: one accepted form for every file of the ontology.

`format_turtle` turns any Turtle (hand-written, saved by Protege, an rdflib graph) into that form;
`format_tree` applies it to `ontology/` and renews the imports of the root and Protege's catalog.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

BASE = "https://w3id.org/her2kg"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
OWL = "http://www.w3.org/2002/07/owl#"
XSD = "http://www.w3.org/2001/XMLSchema#"

PREFIXES = {
    "dcterms": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "her2kg": BASE + "#",
    "owl": OWL,
    "prov": "http://www.w3.org/ns/prov#",
    "rdf": RDF,
    "rdfs": RDFS,
    "schema": "https://schema.org/",
    "sh": "http://www.w3.org/ns/shacl#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "vann": "http://purl.org/vocab/vann/",
    "xsd": XSD,
}

ROOT_FILE = "her2kg.ttl"
CATALOG_FILE = "catalog-v001.xml"
WIDTH = 100
INDENT = "    "

_TYPE, _LABEL = f"<{RDF}type>", f"<{RDFS}label>"
_FIRST, _REST, _NIL = f"<{RDF}first>", f"<{RDF}rest>", f"<{RDF}nil>"
_ONTOLOGY, _IMPORTS = f"<{OWL}Ontology>", f"<{OWL}imports>"
_LEAD = {_TYPE: 0, _LABEL: 1}
_SECTIONS = {
    _ONTOLOGY: 0,
    f"<{OWL}Class>": 1,
    f"<{RDFS}Class>": 1,
    f"<{RDFS}Datatype>": 1,
    f"<{OWL}ObjectProperty>": 2,
    f"<{OWL}DatatypeProperty>": 3,
    f"<{OWL}AnnotationProperty>": 4,
}
_INDIVIDUAL, _FOREIGN = 5, 6
_LOCAL_NAME = re.compile(r"[A-Za-z_0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9_-])?\Z")
# Only forms that every parser keeps: rdflib reads 007 as 7, 0.0000001 as 1E-7 and 1e3 as 1000.0.
_SHORTHAND = {
    f"{XSD}integer": re.compile(r"(?:0|-?[1-9][0-9]*)\Z"),
    f"{XSD}decimal": re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]{1,6}\Z"),
    f"{XSD}boolean": re.compile(r"(?:true|false)\Z"),
}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED = re.compile(r'[\\"\x00-\x1f\x7f\x85\u2028\u2029\ufeff]')

# A term is held as its N-Triples text: "<iri>", "_:label" or '"literal"...' in its Turtle form.
Triple = tuple[str, str, str]


def format_turtle(text_or_graph: Any, *, path: str = "Turtle text") -> str:
    """Write Turtle text or an rdflib graph in the one accepted form.

    Shape: UTF-8 text with LF line ends; formatting it again returns it unchanged; comments go.
    Units: literals keep their lexical form; language tags are written in lower case.
    Errors: DataError naming `path` and the line if the text is not Turtle.
    """
    return _write(parse_turtle(text_or_graph, path=path))


def parse_turtle(text_or_graph: Any, *, path: str = "Turtle text") -> set[Triple]:
    """Read Turtle text or an rdflib graph into triples of N-Triples terms.

    Shape: a set of (subject, predicate, object); numbers keep their lexical form.
    Errors: DataError naming `path` and the line if the text is not Turtle.
    """
    if isinstance(text_or_graph, str | bytes):
        return _parse(text_or_graph, path, "turtle")
    return _parse(text_or_graph.serialize(format="nt"), path, "nt")


def module_iri(triples: Iterable[Triple]) -> str | None:
    """Give the IRI of the owl:Ontology in these triples, or None."""
    iris = sorted(s[1:-1] for s, p, o in triples if p == _TYPE and o == _ONTOLOGY and s[0] == "<")
    return iris[0] if iris else None


def format_tree(root: Path, *, check: bool) -> list[Path]:
    """Format every Turtle file under `root`/ontology and renew the imports and the catalog.

    Shape: the files that were (with `check`: would be) changed, sorted; second run gives none.
    Errors: DataError naming every file that is not Turtle, has no ontology IRI or repeats one;
    nothing is written then.
    """
    changed = []
    for path, text in sorted(expected_files(Path(root)).items()):
        if not path.exists() or path.read_bytes() != text.encode():
            changed.append(path)
            if not check:
                _replace(path, text)
    return changed


def expected_files(root: Path) -> dict[Path, str]:
    """Say what every Turtle file under `root`/ontology and the catalog should contain.

    Shape: path -> text, for each `.ttl` present and for `catalog-v001.xml`.
    Errors: DataError as `format_tree`.
    """
    from her2kg.errors import DataError

    ontology = Path(root) / "ontology"
    files: dict[Path, set[Triple]] = {}
    problems: list[tuple[str, str, str]] = []
    for path in sorted(ontology.rglob("*.ttl")):
        try:
            files[path] = parse_turtle(path.read_bytes(), path=path.relative_to(root).as_posix())
        except DataError as error:
            problems += [(p.path, p.value, p.accepted) for p in error.problems]
    if not files and not problems:
        problems.append(("ontology", str(ontology), "a directory that holds .ttl files"))

    iris: dict[Path, str] = {}
    for path, triples in files.items():
        name, iri = path.relative_to(root).as_posix(), module_iri(triples)
        if iri is None:
            if is_module(path.relative_to(ontology)):
                problems.append((name, "no owl:Ontology", "<module IRI> a owl:Ontology"))
        elif iri in iris.values():
            problems.append((name, iri, "an ontology IRI that no other file has"))
        else:
            iris[path] = iri
    if problems:
        raise _data_error(problems)

    main = ontology / ROOT_FILE
    if main in iris:
        others = {path: iri for path, iri in iris.items() if path != main}
        modules = {iri for path, iri in others.items() if is_module(path.relative_to(ontology))}
        files[main] = _with_imports(files[main], iris[main], modules)
    texts = {path: _write(triples) for path, triples in files.items()}
    texts[ontology / CATALOG_FILE] = _catalog(
        {iri: path.relative_to(ontology).as_posix() for path, iri in iris.items()}
    )
    return texts


def is_module(relative: Path) -> bool:
    """Say whether a file (path inside ontology/) is imported: not a shape, not an example."""
    return relative.as_posix() != "shapes.ttl" and relative.parts[0] != "examples"


def _with_imports(triples: set[Triple], root: str, modules: set[str]) -> set[Triple]:
    """Replace the imports of our own modules; an import from elsewhere stays."""
    subject = f"<{root}>"
    kept = {t for t in triples if t[:2] != (subject, _IMPORTS) or not t[2].startswith(f"<{BASE}/")}
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


def _replace(path: Path, text: str) -> None:
    """Write a file in one step, so that a reader never sees half of it."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


# --- reading (the only place here that knows the parser) ---------------------------------------


def _parse(text: str | bytes, path: str, syntax: str) -> set[Triple]:
    from pyoxigraph import BlankNode, Literal, NamedNode, RdfFormat, parse

    cache: dict[Any, str] = {}

    def term(node: Any) -> str:
        known = cache.get(node)
        if known is None:
            if isinstance(node, Literal):
                known = _literal(node.value, node.language, node.datatype.value)
            elif isinstance(node, NamedNode | BlankNode):
                known = str(node)
            else:
                raise SyntaxError("a triple term; only IRIs, blank nodes and literals are used")
            cache[node] = known
        return known

    data = text.encode() if isinstance(text, str) else text
    form = RdfFormat.TURTLE if syntax == "turtle" else RdfFormat.N_TRIPLES
    try:
        return {
            (term(q.subject), term(q.predicate), term(q.object))
            for q in parse(data.removeprefix(b"\xef\xbb\xbf"), format=form)
        }
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f"{path}, line {line}" if line else path
        given = data.split(b"\n")[line - 1].decode(errors="replace").strip() if line else str(error)
        reason = re.sub(r"^Parser error at line.*?: | \(line \d+\)$", "", str(error))
        raise _data_error([(place, given, f"valid Turtle ({reason})")]) from error


def _literal(value: str, language: str | None, datatype: str) -> str:
    pattern = _SHORTHAND.get(datatype)
    if pattern and pattern.match(value):
        return value
    quoted = '"' + _ESCAPED.sub(_escape, value) + '"'
    if language:
        return f"{quoted}@{language}"
    return quoted if datatype == f"{XSD}string" else f"{quoted}^^<{datatype}>"


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0]) or f"\\u{ord(match[0]):04X}"


def _data_error(problems: list[tuple[str, str, str]]) -> Exception:
    from her2kg.errors import DataError, Problem

    return DataError([Problem(*problem) for problem in problems])


# --- writing -----------------------------------------------------------------------------------


def _write(triples: set[Triple]) -> str:
    shared = _shared_blanks(triples)
    if shared:
        triples = _stable_labels(triples)
        shared = _shared_blanks(triples)
    return _Writer(triples, shared).document()


def _shared_blanks(triples: set[Triple]) -> set[str]:
    """Find the blank nodes that cannot be nested: referred to twice, or part of a cycle."""
    uses: dict[str, list[str]] = {}
    blanks: set[str] = set()
    for s, _, o in triples:
        blanks.update(term for term in (s, o) if term.startswith("_:"))
        if o.startswith("_:"):
            uses.setdefault(o, []).append(s)
    shared = {blank for blank, users in uses.items() if len(users) > 1}
    for blank in blanks - shared:
        seen: set[str] = set()
        node = blank
        while node.startswith("_:") and node not in seen and node not in shared and node in uses:
            seen.add(node)
            node = uses[node][0]
        if node in seen:
            shared |= seen
    return shared


def _stable_labels(triples: set[Triple]) -> set[Triple]:
    """Rename the blank nodes after their content (RDFC-1.0), so that labels do not wander."""
    from pyoxigraph import CanonicalizationAlgorithm, Dataset, RdfFormat, parse

    text = "".join(f"{s} {p} {o} .\n" for s, p, o in triples)
    dataset = Dataset(parse(text.encode(), format=RdfFormat.TURTLE))
    dataset.canonicalize(CanonicalizationAlgorithm.RDFC_1_0)
    lines = "".join(f"{q.triple} .\n" for q in dataset)
    return _parse(lines, "Turtle text", "nt")


class _Writer:
    """Hold one graph while it is written."""

    def __init__(self, triples: set[Triple], shared: set[str]) -> None:
        self.shared = shared
        self.prefixes: set[str] = set()
        self.facts: dict[str, dict[str, list[str]]] = {}
        self.nested: set[str] = set()
        for s, p, o in triples:
            self.facts.setdefault(s, {}).setdefault(p, []).append(o)
            if o.startswith("_:") and o not in shared:
                self.nested.add(o)

    def document(self) -> str:
        blocks = [
            (*self._place(subject), self._block(subject))
            for subject in self.facts
            if subject not in self.nested
        ]
        body = "\n".join(block for *_, block in sorted(blocks))
        head = "".join(f"@prefix {p}: <{PREFIXES[p]}> .\n" for p in sorted(self.prefixes))
        return f"{head}\n{body}" if head and body else head + body

    def _place(self, subject: str) -> tuple[int, str]:
        """Give the section and the order within it."""
        if subject.startswith("_:"):
            return (8, subject) if subject in self.shared else (7, "")
        types = self.facts[subject].get(_TYPE, ())
        if _ONTOLOGY in types:
            return 0, subject
        if not subject.startswith((f"<{BASE}#", f"<{BASE}/", f"<{BASE}>")):
            return _FOREIGN, subject
        return min((_SECTIONS.get(t, _INDIVIDUAL) for t in types), default=_INDIVIDUAL), subject

    def _block(self, subject: str) -> str:
        named = not subject.startswith("_:") or subject in self.shared
        lines = [self._term(subject) if named else "[]"]
        lines += [f"{INDENT}{fact} ;" for fact in self._pairs(subject, 1)]
        return "\n".join([*lines, f"{INDENT}.", ""])

    def _pairs(self, subject: str, depth: int) -> list[str]:
        """Write `predicate value`, one for each fact, in order."""
        rows = []
        for predicate, values in self.facts.get(subject, {}).items():
            verb = "a" if predicate == _TYPE else self._term(predicate)
            lead = _LEAD.get(predicate, 2)
            room = WIDTH - len(INDENT) * depth - len(verb) - 3
            rows += [(lead, verb, self._value(value, depth, room)) for value in values]
        return [f"{verb} {value}" for _, verb, value in sorted(rows)]

    def _value(self, value: str, depth: int, room: int) -> str:
        if not value.startswith("_:") or value in self.shared:
            return self._term(value)
        members = self._members(value)
        inner, outer = INDENT * (depth + 1), INDENT * depth
        if members is not None:
            items = [self._value(m, depth + 1, WIDTH - len(inner)) for m in members]
            line = f"( {' '.join(items)} )"
            if not any(m in self.nested for m in members) and len(line) <= room:
                return line
            return "\n".join(["(", *(inner + item for item in items), f"{outer})"])
        facts = self._pairs(value, depth + 1)
        line = f"[ {' ; '.join(facts)} ]" if facts else "[]"
        if "\n" not in line and len(line) <= room:
            return line
        return "\n".join(["[", *(f"{inner}{fact} ;" for fact in facts), f"{outer}]"])

    def _members(self, head: str) -> list[str] | None:
        """Give the members if this blank node is a well-formed list that can be written ( ... )."""
        members, node = [], head
        while node != _NIL:
            facts = self.facts.get(node, {})
            if node not in self.nested or facts.keys() != {_FIRST, _REST}:
                return None
            if len(facts[_FIRST]) != 1 or len(facts[_REST]) != 1:
                return None
            members.append(facts[_FIRST][0])
            node = facts[_REST][0]
        return members

    def _term(self, term: str) -> str:
        if term.startswith("<"):
            return self._name(term)
        if term.endswith(">") and "^^<" in term:
            text, _, datatype = term.rpartition("^^")
            return f"{text}^^{self._name(datatype)}"
        return term

    def _name(self, iri: str) -> str:
        if iri == _NIL:
            return "()"
        for prefix, namespace in PREFIXES.items():
            if iri.startswith(namespace, 1) and _LOCAL_NAME.match(iri[len(namespace) + 1 : -1]):
                self.prefixes.add(prefix)
                return f"{prefix}:{iri[len(namespace) + 1 : -1]}"
        return iri
