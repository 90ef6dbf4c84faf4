"""her2kg: a knowledge graph of HER2-positive breast cancer treatment. Not medical advice."""

from typing import TYPE_CHECKING, Any

from her2kg.errors import (
    BadParameter,
    DataError,
    EngineError,
    Her2kgError,
    QueryError,
    UnknownCode,
    UnknownQuery,
    UnknownTerm,
)

if TYPE_CHECKING:
    from her2kg.knowledge import KnowledgeGraph

__all__ = [
    "BadParameter",
    "DataError",
    "EngineError",
    "Her2kgError",
    "KnowledgeGraph",
    "QueryError",
    "UnknownCode",
    "UnknownQuery",
    "UnknownTerm",
]


def __getattr__(name: str) -> Any:
    # Loaded on first use: `her2kg --help` needs neither rdflib nor pydantic.
    if name == "KnowledgeGraph":
        from her2kg.knowledge import KnowledgeGraph

        return KnowledgeGraph
    raise AttributeError(f"module 'her2kg' has no attribute {name!r}")
