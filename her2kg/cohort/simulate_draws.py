"""Draws for a synthetic registry: weighted choices, shares, lists, all by arrays.

Shape: an array has one entry a patient (or a course); a Choice draws positions in its `names`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import polars as pl

Array = np.ndarray[Any, Any]


class Choice:
    """One of some names, by weights; the weights may differ between groups."""

    def __init__(self, *groups: Mapping[str, float]) -> None:
        self.names = list(groups[0])
        weights = np.array([[group[name] for name in self.names] for group in groups], float)
        cumulated = np.cumsum(weights, axis=1) / weights.sum(axis=1, keepdims=True)
        # The groups lie one after the other, so that one search serves all of them.
        self._bounds = (cumulated + np.arange(len(groups))[:, None]).ravel()

    def draw(self, rng: np.random.Generator, number: int, group: Array | int = 0) -> Array:
        """Positions in `names`, one for each patient."""
        found = np.searchsorted(self._bounds, rng.random(number) + group, side="right")
        # A sum may round up to the bound of the next group.
        return np.minimum(found - group * len(self.names), len(self.names) - 1)


def texts(names: Sequence[Any], codes: Array, stated: Array | bool = True) -> pl.Series:
    """The names at some positions, null where nothing is stated."""
    kind = pl.Boolean if isinstance(names[0], bool) else pl.String
    table = pl.Series([*names, None], dtype=kind)
    return table.gather(np.where(stated, codes, len(names)).astype(np.uint32))


def truths(values: Array, stated: Array | bool = True) -> pl.Series:
    """True and false, null where nothing is stated."""
    return texts([False, True], values.astype(np.int64), stated)


def numbers(values: Array, stated: Array | bool = True, *, whole: bool = False) -> pl.Series:
    """Numbers, null where nothing is stated."""
    found = pl.Series(np.where(stated, values, np.nan), dtype=pl.Float64, nan_to_null=True)
    return found.cast(pl.Int64) if whole else found


def days(values: Array, stated: Array | bool = True) -> pl.Series:
    """Days since 1970 as dates, null where nothing is stated."""
    return numbers(values, stated).cast(pl.Int32).cast(pl.Date)


def subsets(names: Sequence[str], held: Sequence[Array], stated: Array | bool = True) -> pl.Series:
    """Lists of those names that each patient holds, null where nothing is stated."""
    table = _all_subsets(tuple(names))
    code = np.zeros(len(held[0]), np.uint32)
    for place, each in enumerate(held):
        code |= each.astype(np.uint32) << np.uint32(place)
    return table.gather(np.where(stated, code, np.uint32(len(table) - 1)))


@cache
def _all_subsets(names: tuple[str, ...]) -> pl.Series:
    """Every list of some names, by the number whose bits tell which; a null at the end."""
    known = [
        [name for place, name in enumerate(names) if code >> place & 1]
        for code in range(2 ** len(names))
    ]
    return pl.Series([*known, None], dtype=pl.List(pl.String))


def lists(owner: Array, items: pl.Series, stated: Array) -> pl.Series:
    """Lists of items by owner: `owner` ascends; an owner that states none has an empty list.

    Shape: one entry for each of `stated`; null where it is false.
    """
    table = pl.DataFrame({"owner": pl.Series(owner).set_sorted(), "item": items})
    held = table.group_by("owner", maintain_order=True).agg("item")
    empty = pl.Series([[], None], dtype=pl.List(items.dtype))
    place = np.where(stated, len(held), len(held) + 1)
    has = held["owner"].to_numpy()
    place[has] = np.where(stated[has], np.arange(len(has)), len(held) + 1)
    # In one piece: to gather lists from two is forty times slower.
    return pl.concat([held["item"], empty]).rechunk().gather(place.astype(np.uint32))


def between(rng: np.random.Generator, limits: Sequence[float], number: int) -> Array:
    """Whole numbers from the first to the second limit, both included."""
    return rng.integers(int(limits[0]), int(limits[1]) + 1, number)
