"""Names and codes of terms: from what people write to IRIs; record fields to properties."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

from her2kg import rules
from her2kg.engines import Engine
from her2kg.errors import UnknownCode, UnknownTerm, did_you_mean
from her2kg.namespaces import BASE, QUERIES_HOME

_PREFIXED = re.compile(r"(?P<prefix>[A-Za-z][\w .-]*):(?P<code>\s*\S+)")
_LITERAL_KINDS = {"decimal", "date", "boolean", "string"}


def name_key(name: str) -> str:
    """The form under which names are compared: lower case, without blanks, - and _."""
    return re.sub(r"[\s_\-]+", "", name.casefold())


def _query(name: str) -> str:
    return (QUERIES_HOME / "terms" / f"{name}.rq").read_text(encoding="utf-8")


class _Code(NamedTuple):
    """A code as it was written: its vocabulary (None for one that is not known) and itself."""

    vocabulary: str | None
    code: str


class Names:
    """Every name of every term, read from the graph on first use.

    A code of another vocabulary, such as `RxNorm:224905` or the IRI of its concept, is looked up
    only where no term bears it as a name; `load_codes` is called before.
    """

    def __init__(self, engine: Engine, *, load_codes: Callable[[], None] = lambda: None) -> None:
        self._engine = engine
        self._load_codes = load_codes

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

    @cached_property
    def every_label(self) -> dict[str, str]:
        """Label of every term of the graph, by IRI: classes, properties and all individuals."""
        self._load_codes()
        rows = self._engine.select(rules.system("labels.rq")).rows
        return {str(term): label for term, label in rows}

    @cached_property
    def value_kinds(self) -> dict[str, str]:
        """What the values of each property are: iri, or the kind of their datatype."""
        from her2kg.column_kinds import of_range

        rows = self._engine.select(rules.system("ranges.rq")).rows
        return {str(prop): of_range(str(range_)) for prop, range_ in rows}

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(sorted(self._index))

    def find(self, name: str, kinds: tuple[str, ...] | None = None) -> list[tuple[str, str]]:
        """Every (kind, IRI) that bears the name, in the order of `kinds`; never raises."""
        wanted = name[len(BASE) :] if name.startswith(BASE) else name.removeprefix("her2kg:")
        key = name_key(wanted)
        found = [
            (kind, iri)
            for kind in (kinds or self.kinds)
            for iri in sorted(self._index.get(kind, {}).get(key, ()))
        ]
        return found or self._with_code(self._read_code(name), kinds)

    def resolve(self, name: str, kinds: tuple[str, ...]) -> str:
        """The IRI that a name of one of the kinds stands for.

        Errors: UnknownTerm if none or, within the first kind that has it, several bear it.
        """
        found = self.find(name, kinds)
        code = self._read_code(name)
        if found:
            by_code = code is not None and found == self._with_code(code, kinds)
            first = [iri for kind, iri in found if by_code or kind == found[0][0]]
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
        if code is not None and (code.vocabulary or not labels):
            means = tuple(iri.rsplit("#", 1)[-1] for _, iri in self._with_code(code, None))
            known = code.vocabulary is not None
            raise UnknownCode(name, " or ".join(kinds), self.code_systems, means, known)
        raise UnknownTerm(name, " or ".join(kinds), tuple(labels))

    @cached_property
    def _shared(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for name, regimen in self._engine.select(_query("shared-names")).rows:
            found[name_key(name)].append(str(regimen))
        return found

    def regimens(self, name: str) -> tuple[str, ...]:
        """The IRIs of all regimens that bear a name, the one it stands for first.

        Errors: UnknownTerm as `resolve`.
        """
        shared = self._shared.get(name_key(name), [])
        if shared and not self.find(name, ("regimen",)):
            return tuple(shared)
        return tuple(dict.fromkeys((self.resolve(name, ("regimen",)), *shared)))

    # Codes of other vocabularies

    @cached_property
    def _prefixes(self) -> list[tuple[Any, ...]]:
        return self._engine.select(_query("code-prefixes")).rows

    @property
    def code_systems(self) -> tuple[str, ...]:
        """The prefixes of the vocabularies that the graph has codes of."""
        return tuple(dict.fromkeys(prefix for _, prefix, _, _ in self._prefixes))

    def _read_code(self, name: str) -> _Code | None:
        """The code that a text is; None for a text that is not written as one."""
        text = name.strip()
        if "://" in text:
            for vocabulary, _, use, base in self._prefixes:
                if use == "base" and text.startswith(base) and text != base:
                    return _Code(str(vocabulary), text[len(base) :].casefold())
            return None if text.startswith(BASE) else _Code(None, text)
        written = _PREFIXED.fullmatch(text)
        if written is None or text.startswith("her2kg:"):
            return None
        key, code = name_key(written["prefix"]), written["code"].strip().casefold()
        for vocabulary, _, use, prefix in self._prefixes:
            if use == "prefix" and name_key(prefix) == key:
                return _Code(str(vocabulary), code)
        plain = written["code"] == written["code"].strip() and " " not in written["prefix"]
        return _Code(None, code) if plain else None

    @cached_property
    def _codes(self) -> dict[_Code, list[tuple[int, str, str]]]:
        self._load_codes()
        found: dict[_Code, list[tuple[int, str, str]]] = defaultdict(list)
        for vocabulary, code, rank, term, kind in self._engine.select(_query("codes")).rows:
            found[_Code(str(vocabulary), code.casefold())].append((rank, kind, str(term)))
        return found

    def _with_code(
        self, code: _Code | None, kinds: tuple[str, ...] | None
    ) -> list[tuple[str, str]]:
        """Every (kind, IRI) that the code stands for, the closest matches only."""
        if code is None or code.vocabulary is None:
            return []
        found = [each for each in self._codes.get(code, ()) if kinds is None or each[1] in kinds]
        closest = min((rank for rank, _, _ in found), default=0)
        return list(dict.fromkeys((kind, iri) for rank, kind, iri in found if rank == closest))

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
