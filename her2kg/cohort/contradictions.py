"""Rows that contradict themselves: what rests on the contradiction counts as unknown.

For these rows no clause is left out. All are followed to the end, the classes that turn out both
met and unmet are noted, and all are followed again without those, as `rules.infer` does. Which
rows a literal holds for is one whole number with a bit for each row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from her2kg.cohort.circuit import TABLES, Circuit, plain_column
from her2kg.cohort.clauses import KINDS, Literal
from her2kg.cohort.expressions import Expression
from her2kg.cohort.frames import Program, Tables

Clause = tuple[Literal, tuple[Literal, ...]]
Held = dict[Literal, int]  # for which rows of a table a literal holds


class Contradictions:
    """Decides all classes for rows whose facts contradict one another.

    Source: queries/inference, queries/system/mark-conflicts.ru
    """

    def __init__(self, circuit: Circuit, program: Program) -> None:
        self.users: dict[str, dict[Literal, list[Clause]]] = {}
        self.late: dict[str, list[Clause]] = {}
        self.leaves: dict[str, Any] = {}
        clauses = circuit.system.every
        nodes = {node for node, _ in clauses} | {node for node, _ in circuit.system.given}
        for table in TABLES:
            own = {node for node in nodes if circuit.table_of.get(node) == table}
            users: dict[Literal, list[Clause]] = defaultdict(list)
            self.late[table] = []
            for head, bodies in clauses.items():
                if head[0] in own:
                    for body in bodies:
                        clause = (head, tuple(sorted(body)))
                        if (head, body) in circuit.system.late:
                            self.late[table].append(clause)
                        else:
                            for literal in body:
                                users[literal].append(clause)
            # The rules ask for the last conjunct first, then for the last disjunct.
            self.late[table].sort(key=lambda clause: clause[0][1])
            self.users[table] = users
            facts = {
                plain_column(node, met)[2]: circuit.leaf(
                    circuit.axioms.leaves[node], met, plain=True
                )
                for node, met in sorted(circuit.system.given)
                if node in own
            }
            self.leaves[table] = program.work(table, facts, dict.fromkeys(facts, "flag"))
        self.literals = {
            table: sorted(
                literal
                for literal in {*circuit.system.given, *clauses}
                if circuit.table_of.get(literal[0]) == table
            )
            for table in TABLES
        }
        self.columns = {
            table: [plain_column(*literal)[2] for literal in literals]
            for table, literals in self.literals.items()
        }
        self.read_above = {
            leaf.filler for leaf in circuit.axioms.leaves.values() if leaf.filler is not None
        }
        self.known = {literal for literals in self.literals.values() for literal in literals}

    def column(self, node: str, met: bool) -> Expression | None:
        """The column of a class, met or unmet, after `decide`."""
        return plain_column(node, met) if (node, met) in self.known else None

    def decide(self, tables: Tables) -> pl.DataFrame:
        """Met and unmet of every class for the patients of tables with all columns derived.

        Shape: the frame of the patients with two columns for each class that can be decided.
        """
        both = self.follow(tables, {}, final=False)
        self.follow(tables, both, final=True)
        return tables.frames["patient"]

    def follow(
        self, tables: Tables, dropped: Mapping[str, Mapping[str, int]], *, final: bool
    ) -> dict[str, Any]:
        """Follow every clause in every table; give the nodes that are both met and unmet."""
        both: dict[str, dict[str, int]] = {}
        for table in TABLES:
            tables.frames[table] = tables.frames[table].drop(self.columns[table], strict=False)
            tables.add(self.leaves[table])
            frame = tables.frames[table]
            left_out = dropped.get(table, {})
            every = (1 << frame.height) - 1
            held: Held = {}
            there = set(frame.columns)
            pairs = list(zip(self.literals[table], self.columns[table], strict=True))
            for literal, name in pairs:
                if name in there:
                    held[literal] = _bits(frame[name]) & (every ^ left_out.get(literal[0], 0))
            held |= {(kind, True): every for kind, own in KINDS.items() if own == table}
            self.close(table, held, left_out, every)
            both[table] = {
                node: common
                for node, met in held
                if met and (common := held[node, True] & held.get((node, False), 0))
            }
            if table == TABLES[-1] and not final:
                continue
            tables.frames[table] = frame.with_columns(
                _flags(held.get(literal, 0), frame.height).alias(name)
                for literal, name in pairs
                if literal[0] in self.read_above or table == TABLES[-1]
            )
        return both

    def close(self, table: str, held: Held, left_out: Mapping[str, int], every: int) -> None:
        """Add all that follows, but nothing about a node in the rows where it is left out."""
        waiting = [literal for literal, rows in held.items() if rows]
        while waiting:
            self.spread(table, held, left_out, every, waiting)
            for side in (False, True):
                now = dict(held)
                for head, body in self.late[table]:
                    if head[1] == side:
                        rows = _rows(head, body, now, left_out, every)
                        rows &= ~now.get((head[0], not side), 0)
                        if rows & ~held.get(head, 0):
                            held[head] = held.get(head, 0) | rows
                            waiting.append(head)

    def spread(
        self,
        table: str,
        held: Held,
        left_out: Mapping[str, int],
        every: int,
        waiting: list[Literal],
    ) -> None:
        """Follow all clauses that do not wait, from the literals that grew."""
        users, queued = self.users[table], set(waiting)
        while waiting:
            literal = waiting.pop()
            queued.discard(literal)
            for head, body in users.get(literal, ()):
                rows = _rows(head, body, held, left_out, every)
                before = held.get(head, 0)
                if rows & ~before:
                    held[head] = before | rows
                    if head not in queued:
                        queued.add(head)
                        waiting.append(head)


def _rows(
    head: Literal,
    body: tuple[Literal, ...],
    held: Held,
    left_out: Mapping[str, int],
    every: int,
) -> int:
    """The rows for which a clause tells its head."""
    rows = every & ~left_out.get(head[0], 0)
    for part in body:
        rows &= held.get(part, 0)
        if not rows:
            break
    return rows


def _bits(flags: pl.Series) -> int:
    """A column of flags as one number, the first row as its lowest bit."""
    packed = np.packbits(flags.to_numpy(), bitorder="little")
    return int.from_bytes(packed.tobytes(), "little")


def _flags(bits: int, height: int) -> pl.Series:
    packed = np.frombuffer(bits.to_bytes((height + 7) // 8, "little"), dtype=np.uint8)
    return pl.Series(np.unpackbits(packed, count=height, bitorder="little").astype(bool))
