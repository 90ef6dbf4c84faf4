"""The tables of a cohort, their columns, and the steps that derive more columns from them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

from her2kg.cohort.axioms import WIDTH, Axioms
from her2kg.cohort.expressions import Expression, Reader
from her2kg.namespaces import QUERIES_HOME
from her2kg.record_tnm import PROPERTIES as TNM_PROPERTIES

# Each table hangs off another one: its rows know the row that they belong to.
PARENTS = {"test": "patient", "course": "patient", "toxicity": "course", "pair": "course"}
_PREFIXES = (
    ("her2_tests[]", "test"),
    ("prior_therapies[].adverse_events[]", "toxicity"),
    ("prior_therapies[]", "course"),
)
_SCALARS = {"decimal": "number", "date": "date", "string": "mask"}


@dataclass(frozen=True)
class Step:
    """One column to derive, or, where `name` is empty, a table of pairs to make."""

    table: str
    name: str
    kind: str
    expression: Expression
    repeat: bool = False
    of: str | None = None
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """Further values of a property of patients, in the rows of another table."""

    property: str
    table: str
    column: str
    where: str


@dataclass(frozen=True)
class Field:
    """A column that the record gives; `path` is its place in the record."""

    table: str
    name: str
    kind: str
    path: str


class Definitions:
    """The given columns and the derived ones, in order.

    Source: queries/columns/derivation.toml
    """

    def __init__(self, axioms: Axioms, paths: dict[str, tuple[str, str]]) -> None:
        self.axioms = axioms
        self.fields = [_field(path, iri, kind) for path, (iri, kind) in sorted(paths.items())]
        self.fields += [
            Field("patient", name, "mask", "tnm")
            for name in (*TNM_PROPERTIES.values(), "metastasisInTnm")
        ]
        self.table_of = {field.name: field.table for field in self.fields}
        self.kinds = {field.name: field.kind for field in self.fields}
        for prop in axioms.properties.values():
            self.kinds.setdefault(prop.name, _kind(prop.range))
        self.kinds["hadCourse_closed"] = self.kinds["gaveDrug_closed"] = "flag"
        text = (QUERIES_HOME / "columns" / "derivation.toml").read_text(encoding="utf-8")
        said = tomllib.loads(text)
        self.sources = [Source(**each) for each in said["source"]]
        order = [*said["column"]]
        for each in order:
            if "kind" in each or "like" in each:
                self.kinds[each["name"]] = each.get("kind", "mask")
            self.table_of.setdefault(each["name"], each["table"])
        self.ranges = {each["name"]: each["like"] for each in order if "like" in each}
        reader = Reader(axioms, lambda name: self.kinds[name], self.ranges)
        self.steps: list[Step] = []
        pairs = {each["table"]: each for each in said["pairs"]}
        for each in order:
            for table, made in list(pairs.items()):
                if f"({table}," in each["is"]:
                    where = reader.read(made["where"], "")
                    self.steps.append(Step(table, "", "", where, of=made["of"]))
                    del pairs[table]
            name = each["name"]
            self.steps.append(
                Step(
                    each["table"],
                    name,
                    self.kinds[name],
                    reader.read(each["is"], name),
                    repeat=each.get("repeat", False),
                    rules=tuple(each.get("rules", ())),
                )
            )

    def width(self, name: str) -> int:
        """Bits of the column of a mask."""
        prop = self.axioms.properties.get(self.ranges.get(name, name))
        return prop.width if prop is not None else WIDTH

    def given(self, table: str) -> list[Field]:
        """The columns that the record gives for a table."""
        return [field for field in self.fields if field.table == table]


def _field(path: str, iri: str, kind: str) -> Field:
    table = next((table for prefix, table in _PREFIXES if path.startswith(prefix)), "patient")
    return Field(table, iri.rsplit("#", 1)[-1], _SCALARS.get(kind, "mask"), path)


def _kind(range_: str) -> str:
    return _SCALARS.get(range_, "mask")
