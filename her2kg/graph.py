"""Find the ontology, load it into an engine, run what does not depend on a patient, hold it.

The flattened form is kept in the user's cache folder under a hash of everything it was made from,
so that only the first start after a change pays for it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from her2kg import rules
from her2kg.engines import OxigraphEngine, RdflibEngine, make_engine
from her2kg.errors import DataError, Problem
from her2kg.files import replacing
from her2kg.namespaces import BASE, ONTOLOGY_HOME, QUERIES_HOME


def is_module(relative: Path) -> bool:
    """Say whether a file (path inside ontology/) is knowledge: not a shape, not an example."""
    return relative.as_posix() != "shapes.ttl" and relative.parts[0] != "examples"


def module_files(home: Path = ONTOLOGY_HOME) -> list[Path]:
    """The Turtle modules of the knowledge: all but shapes and example patients, sorted."""
    return sorted(path for path in home.rglob("*.ttl") if is_module(path.relative_to(home)))


def _fingerprint(home: Path) -> str:
    digest = hashlib.sha256()
    files = module_files(home)
    for folder in ("closure", "inference"):
        files += rules.rule_files(folder)
    files += sorted((QUERIES_HOME / "hygiene").glob("profile-*.rq"))
    for path in files:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def cache_folder() -> Path:
    """Where flattened graphs are kept: HER2KG_CACHE, else the user's cache folder."""
    own = os.environ.get("HER2KG_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "her2kg"


def _refuse_outside_profile(engine: OxigraphEngine | RdflibEngine) -> None:
    problems = []
    for path in sorted((QUERIES_HOME / "hygiene").glob("profile-*.rq")):
        for term, problem in engine.select(path.read_text(encoding="utf-8")).rows:
            problems.append(Problem(str(term).replace(BASE, "her2kg:"), problem, ""))
    if problems:
        raise DataError(problems)


def build(engine: OxigraphEngine | RdflibEngine, home: Path = ONTOLOGY_HOME) -> None:
    """Load the modules and flatten them: class axioms to plain triples, drugs to their classes.

    Errors: DataError if a criterion uses a construct outside the criterion profile, named.
    Source: queries/closure/*.rq, queries/inference/*.rq
    """
    for path in module_files(home):
        engine.load_file(path)
    _refuse_outside_profile(engine)
    rules.run_folder(engine, "closure")
    rules.infer(engine)
    rules.unmark(engine)


def load(
    engine_name: str = "oxigraph", home: Path = ONTOLOGY_HOME
) -> OxigraphEngine | RdflibEngine:
    """An engine with all knowledge, from the cache where that is fresh.

    Errors: EngineError if a file cannot be read; DataError as in `build`.
    """
    if not module_files(home):
        raise DataError([Problem(str(home), "no ontology module", "a folder with her2kg.ttl")])
    kept = cache_folder() / f"{_fingerprint(home)}.nt"
    engine = make_engine(engine_name)
    if kept.is_file():
        engine.load_file(kept)
        return engine
    builder = engine if isinstance(engine, OxigraphEngine) else OxigraphEngine()
    build(builder, home)
    _keep(builder, kept)
    if builder is not engine:
        engine.add(builder.construct(rules.system("everything.rq")))
    return engine


def _keep(engine: OxigraphEngine, target: Path) -> None:
    """Write the flattened graph beside its name, then rename; a read-only cache is no error."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            engine.dump(temporary)
    except OSError:
        return
