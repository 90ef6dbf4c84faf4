"""Find the ontology, load it into an engine, run what does not depend on a patient, hold it.

The flattened form is kept in the user's cache folder under a hash of everything it was made from,
so that only the first start after a change pays for it: in one file what verdicts need, in another
what waits until a question is asked.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
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


def example_files(home: Path = ONTOLOGY_HOME) -> list[Path]:
    """The records of the example patients, sorted."""
    return sorted((home / "examples").glob("*.json"))


# Modules on which no verdict rests: they are read when they are first asked for.
_DEFERRED = (
    "approvals",
    "evidence/adverse-event-rates",
    "evidence/label-status",
    "evidence/outcomes",
    "mappings",
)


def is_deferred(relative: Path) -> bool:
    """Say whether a module (path inside ontology/) waits until its facts are asked for."""
    name = relative.with_suffix("").as_posix()
    return any(name == module or name.startswith(f"{module}/") for module in _DEFERRED)


def _split_modules(home: Path) -> tuple[list[Path], list[Path]]:
    """The modules that are loaded at once, and those that wait until they are asked for."""
    files = module_files(home)
    later = [path for path in files if is_deferred(path.relative_to(home))]
    return [path for path in files if path not in later], later


def fingerprint(files: Iterable[Path]) -> str:
    """A name for what files hold, in the order given, and for their names."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def _makers(home: Path) -> list[Path]:
    """The files that a flattened graph is made from."""
    files, _ = _split_modules(home)
    for folder in ("closure", "inference", "system"):
        files += rules.rule_files(folder)
    return files + sorted((QUERIES_HOME / "hygiene").glob("profile-*.rq"))


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

    What `is_deferred` names is left to `Deferred`.

    Errors: DataError if a criterion uses a construct outside the criterion profile, named.
    Source: queries/closure/*.rq, queries/inference/*.rq
    """
    for path in _split_modules(home)[0]:
        engine.load_file(path)
    flatten(engine)


def flatten(engine: OxigraphEngine | RdflibEngine) -> None:
    """Derive from the loaded modules what does not depend on a patient.

    Errors: DataError if a criterion uses a construct outside the criterion profile, named.
    """
    _refuse_outside_profile(engine)
    rules.run_folder(engine, "closure")
    rules.infer(engine)
    rules.unmark(engine)


class Deferred:
    """Adds what `load` leaves out, when it is first called.

    Errors: EngineError if a file cannot be read.
    """

    def __init__(
        self,
        engine: OxigraphEngine | RdflibEngine,
        home: Path = ONTOLOGY_HOME,
        kept: Path | None = None,
    ) -> None:
        self._engine = engine
        self._home = home
        self._kept = kept
        self._waiting = _split_modules(home)[1]

    def __call__(self) -> None:
        if self._kept is not None:
            if self._kept.is_file():
                self._engine.load_kept(self._kept)
            else:  # the cache was emptied since
                builder = OxigraphEngine()
                build(builder, self._home)
                self._engine.add(builder.construct(rules.system("later.rq")))
            self._kept = None
        while self._waiting:
            self._engine.load_file(self._waiting[0])
            del self._waiting[0]


def load(
    engine_name: str = "oxigraph", home: Path = ONTOLOGY_HOME
) -> tuple[OxigraphEngine | RdflibEngine, Deferred]:
    """An engine with all that verdicts need, from the cache where that is fresh, and the rest.

    Errors: EngineError if a file cannot be read; DataError as in `build`.
    """
    if not module_files(home):
        raise DataError([Problem(str(home), "no ontology module", "a folder with her2kg.ttl")])
    first = cache_folder() / f"{fingerprint(_makers(home))}.nt"
    later = first.with_suffix(".later.nt")
    engine = make_engine(engine_name)
    if first.is_file() and later.is_file():
        engine.load_kept(first)
        return engine, Deferred(engine, home, later)
    builder = engine if isinstance(engine, OxigraphEngine) else OxigraphEngine()
    build(builder, home)
    _keep(builder, first, later)
    if builder is not engine:
        engine.add(builder.construct(rules.system("everything.rq")))
    return engine, Deferred(engine, home)


def _keep(engine: OxigraphEngine, first: Path, later: Path) -> None:
    """Write the flattened graph, in two files; a read-only cache is no error."""
    try:
        first.parent.mkdir(parents=True, exist_ok=True)
        with replacing(first) as one, replacing(later) as two:
            engine.dump(one, two, rules.system("later.rq"))
    except OSError:
        return
