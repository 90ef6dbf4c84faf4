"""The graph that `her2kg serve` answers from, as files: made once, then kept in the cache folder.

It holds the knowledge with all modules and its closure, and the example patients with what the
rules derive from them: facts, criteria met and failed, and what is met as a type.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from her2kg import rules
from her2kg.files import replacing
from her2kg.graph import cache_folder, example_files, fingerprint, module_files
from her2kg.namespaces import BASE, QUERIES_HOME

# Sources that decide which triples are made.
_MAKERS = ("eligibility.py", "engines.py", "graph.py", "rules.py", "serve_store.py")


@dataclass(frozen=True)
class Graph:
    """A graph as a file of N-Quads, with what the server tells of it without asking.

    Shape: `terms` are the local names of all her2kg terms, `example` that of the patient of whom
    most is known.
    """

    path: Path
    version: str
    triples: int
    patients: int
    example: str
    terms: tuple[str, ...]


def _fingerprint() -> str:
    code = Path(__file__).parent
    files = [*module_files(), *example_files()]
    files += sorted(
        path
        for folder in ("closure", "derivation", "inference", "system")
        for path in (QUERIES_HOME / folder).iterdir()
    )
    files += [code / name for name in _MAKERS] + sorted(code.glob("record*.py"))
    return fingerprint(files)


def prepared(folder: Path) -> Graph:
    """The graph from the cache where that is fresh, else made now.

    Where the cache cannot be written, the files are left in `folder`.

    Errors: EngineError or DataError if the ontology or an example cannot be read.
    """
    name = _fingerprint()
    kept = cache_folder()
    found = _read(kept / f"{name}.serve.json")
    if found is not None:
        return found
    try:
        kept.mkdir(parents=True, exist_ok=True)
        return _make(kept / f"{name}.serve.json")
    except OSError:
        return _make(folder / f"{name}.serve.json")


def _read(about: Path) -> Graph | None:
    path = about.with_suffix(".nq")
    try:
        told = json.loads(about.read_text(encoding="utf-8"))
        if path.stat().st_size != told.pop("bytes"):
            return None
        return Graph(path=path, **{**told, "terms": tuple(told["terms"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _make(about: Path) -> Graph:
    from her2kg.eligibility import Evaluator
    from her2kg.knowledge import KnowledgeGraph
    from her2kg.record_rdf import to_triples

    kg = KnowledgeGraph()
    records = [kg.record(path) for path in example_files()]
    path = about.with_suffix(".nq")
    with Evaluator(kg.engine, kg.names).inferred(*records):
        kg.engine.add(kg.engine.construct(rules.system("evaluated-facts.rq")))
        kg.complete()
        terms = kg.engine.select(rules.system("defined-terms.rq")).rows
        with replacing(path) as temporary:
            count = kg.engine.dump_all(temporary)
            size = temporary.stat().st_size
    fullest = max(records, key=lambda record: len(to_triples(record, kg.names)))
    graph = Graph(
        path=path,
        version=kg.version,
        triples=count,
        patients=len(records),
        example=fullest.iri.removeprefix(BASE),
        terms=tuple(str(term).removeprefix(BASE) for (term,) in terms),
    )
    told = {key: value for key, value in asdict(graph).items() if key != "path"}
    with replacing(about) as temporary:
        temporary.write_text(json.dumps({**told, "bytes": size}), encoding="utf-8")
    return graph
