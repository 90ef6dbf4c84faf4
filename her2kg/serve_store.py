"""The graph that `her2kg serve` answers from, as files: made once, then kept in the cache folder.

It holds the knowledge with all modules and its closure, and the example patients with what the
rules derive from them, types included.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from her2kg import rules
from her2kg.files import replacing
from her2kg.graph import cache_folder, module_files
from her2kg.namespaces import BASE, ONTOLOGY_HOME, QUERIES_HOME

# Sources that decide which triples are made.
_MAKERS = ("eligibility.py", "engines.py", "graph.py", "rules.py", "serve_store.py")


@dataclass(frozen=True)
class Graph:
    """A graph as a file of N-Quads, with what the server tells of it without asking.

    Shape: `terms` are the local names of all her2kg terms.
    """

    path: Path
    version: str
    triples: int
    patients: int
    terms: tuple[str, ...]


def example_files(home: Path = ONTOLOGY_HOME) -> list[Path]:
    """The records of the example patients, sorted."""
    return sorted((home / "examples").glob("*.json"))


def _fingerprint() -> str:
    code = Path(__file__).parent
    files = [*module_files(), *example_files()]
    files += sorted(
        path
        for folder in ("closure", "derivation", "inference", "system")
        for path in (QUERIES_HOME / folder).iterdir()
    )
    files += [code / name for name in _MAKERS] + sorted(code.glob("record*.py"))
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


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
    from her2kg.knowledge import KnowledgeGraph

    kg = KnowledgeGraph()
    kg.complete()
    records = example_files()
    facts = [triple for record in records for triple in kg.facts(record)]
    kg.engine.add(facts)
    terms = kg.engine.select(rules.system("defined-terms.rq")).rows
    path = about.with_suffix(".nq")
    with replacing(path) as temporary:
        triples = kg.engine.dump_all(temporary)
        size = temporary.stat().st_size
    graph = Graph(
        path=path,
        version=kg.version,
        triples=triples,
        patients=len(records),
        terms=tuple(str(term).removeprefix(BASE) for (term,) in terms),
    )
    told = {key: value for key, value in asdict(graph).items() if key != "path"}
    with replacing(about) as temporary:
        temporary.write_text(json.dumps({**told, "bytes": size}), encoding="utf-8")
    return graph
