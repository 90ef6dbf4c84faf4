"""her2kg: a knowledge graph of HER2-positive breast cancer treatment. Not medical advice."""

from her2kg.errors import (
    BadParameter,
    DataError,
    EngineError,
    Her2kgError,
    QueryError,
    UnknownQuery,
    UnknownTerm,
)
from her2kg.knowledge import KnowledgeGraph

__all__ = [
    "BadParameter",
    "DataError",
    "EngineError",
    "Her2kgError",
    "KnowledgeGraph",
    "QueryError",
    "UnknownQuery",
    "UnknownTerm",
]
