"""Names that the whole package shares: IRIs, prefixes, places of the shipped files."""

from __future__ import annotations

from pathlib import Path

BASE = "https://w3id.org/her2kg#"
ONTOLOGY = "https://w3id.org/her2kg"

PREFIXES = {
    "her2kg": BASE,
    "owl": "http://www.w3.org/2002/07/owl#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "dcterms": "http://purl.org/dc/terms/",
}


class Iri(str):
    """An IRI in a result row; `local` is the part after `#`, `curie` the prefixed form."""

    __slots__ = ()

    @property
    def local(self) -> str:
        return self.rsplit("#", 1)[-1] if "#" in self else self.rsplit("/", 1)[-1]

    @property
    def curie(self) -> str:
        for prefix, namespace in PREFIXES.items():
            if self.startswith(namespace):
                return f"{prefix}:{self[len(namespace) :]}"
        return f"<{self}>"


class Blank(str):
    """A blank node in a result row."""

    __slots__ = ()


def _home(name: str) -> Path:
    """The folder `name`: inside the installed package, else beside it in a checkout."""
    inside = Path(__file__).parent / name
    return inside if inside.is_dir() else Path(__file__).parent.parent / name


ONTOLOGY_HOME = _home("ontology")
QUERIES_HOME = _home("queries")
