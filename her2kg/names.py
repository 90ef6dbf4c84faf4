"""Names of terms: from what people write to IRIs, and from record fields to properties."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cached_property
from typing import Any

from her2kg.engines import Engine
from her2kg.errors import UnknownTerm, did_you_mean
from her2kg.namespaces import BASE, QUERIES_HOME

_LITERAL_KINDS = {"decimal", "date", "boolean", "string"}


def name_key(name: str) -> str:
    """The form under which names are compared: lower case, without blanks, - and _."""
    return re.sub(r"[\s_\-]+", "", name.casefold())


def _query(name: str) -> str:
    return (QUERIES_HOME / "terms" / f"{name}.rq").read_text(encoding="utf-8")


class Names:
    """Every name of every term, read from the graph on first use."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @cached_property
    def _named(self) -> list[tuple[Any, ...]]:
        return self._engine.select(_query("names")).rows

    @cached_property
    def _index(self) -> dict[str, dict[str, set[str]]]:
        index: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for term, kind, _, name in self._named:
            local = term.local
            for each in (name, local, local.split("_", 1)[-1]):
                index[kind][name_key(each)].add(str(term))
        for term, label in self._engine.select(_query("classes")).rows:
            index["class"][name_key(term.local)].add(str(term))
            index["class"][name_key(label)].add(str(term))
        return index

    @cached_property
    def labels(self) -> dict[str, str]:
        """Label of every named term, by IRI."""
        return {str(term): label for term, _, label, _ in self._named}

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(sorted(self._index))

    def find(self, name: str, kinds: tuple[str, ...] | None = None) -> list[tuple[str, str]]:
        """Every (kind, IRI) that bears the name, in the order of `kinds`; never raises."""
        wanted = name[len(BASE) :] if name.startswith(BASE) else name.removeprefix("her2kg:")
        key = name_key(wanted)
        return [
            (kind, iri)
            for kind in (kinds or self.kinds)
            for iri in sorted(self._index.get(kind, {}).get(key, ()))
        ]

    def resolve(self, name: str, kinds: tuple[str, ...]) -> str:
        """The IRI that a name of one of the kinds stands for.

        Errors: UnknownTerm if none or, within the first kind that has it, several bear it.
        """
        found = self.find(name, kinds)
        if found:
            first = [iri for kind, iri in found if kind == found[0][0]]
            if len(set(first)) == 1:
                return first[0]
            raise UnknownTerm(
                name,
                " or ".join(kinds),
                tuple(iri.rsplit("#", 1)[-1] for iri in first),
                ambiguous=True,
            )
        candidates = {
            key: next(iter(iris))
            for kind in kinds
            for key, iris in self._index.get(kind, {}).items()
        }
        close = did_you_mean(name_key(name), list(candidates))
        labels = dict.fromkeys(self.labels.get(candidates[key], key) for key in close)
        raise UnknownTerm(name, " or ".join(kinds), tuple(labels))

    @cached_property
    def _ingredients(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for term, drug in self._engine.select(_query("ingredients")).rows:
            found[str(term)].append(str(drug))
        return found

    def ingredients(self, iri: str) -> list[str]:
        """Drugs of a product or regimen; a drug stands for itself."""
        return self._ingredients.get(iri, [iri])

    @cached_property
    def _properties(self) -> dict[str, tuple[str, str]]:
        found = {}
        for prop, path, range_ in self._engine.select(_query("properties")).rows:
            kind = str(range_).rsplit("#", 1)[-1]
            found[path] = (str(prop), kind if kind in _LITERAL_KINDS else "object")
        return found

    def properties(self) -> dict[str, tuple[str, str]]:
        """Place in the record -> (property IRI, object | decimal | date | boolean | string)."""
        return self._properties

    @cached_property
    def _values(self) -> dict[tuple[str, str], str]:
        rows = self._engine.select(_query("values")).rows
        return {(str(prop), notation): str(value) for prop, value, notation in rows}

    def value(self, property_iri: str, notation: str) -> str:
        """The individual that a coded record value stands for.

        Errors: UnknownTerm naming the accepted values.
        """
        try:
            return self._values[property_iri, notation]
        except KeyError:
            accepted = tuple(n for p, n in self._values if p == property_iri)
            raise UnknownTerm(notation, property_iri.rsplit("#", 1)[-1], accepted) from None

    @cached_property
    def _terms(self) -> set[str]:
        rows = self._engine.select(_query("defined")).rows
        return {str(term) for (term,) in rows}

    def is_term(self, iri: str) -> bool:
        """Whether the ontology defines the IRI."""
        return iri in self._terms
