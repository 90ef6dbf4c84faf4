"""What TNM texts say of the five indications, one set of bits for each text.

The texts of a cohort repeat, so each different one is read once, by the reader of the package.
"""

from __future__ import annotations

from functools import lru_cache

import polars as pl

from her2kg.record_tnm import read_nodes, read_tnm

_PREFIXES = ("c", "p", "yp", "")
_KINDS = ("T", "T1-4", "T0", "Tis", "N", "N+", "N0", "N0 exactly", "N0(i+)")
BITS = {
    **{(p, k): 1 << (i * 9 + j) for i, p in enumerate(_PREFIXES) for j, k in enumerate(_KINDS)},
    ("", "M0"): 1 << 36,
    ("", "M1"): 1 << 37,
}


@lru_cache(maxsize=100_000)
def bits(text: str) -> int:
    """The bits of one text of `tnm` or `nodes`."""
    found = read_tnm(text)
    if found is None:
        by_nodes = read_nodes(text)
        found = by_nodes[0] if by_nodes else []
    value = 0
    for category in found:
        name = category.name
        if category.letter == "M":
            value |= BITS["", "M0" if name == "M0" else "M1"]
            continue
        if category.prefix not in _PREFIXES:
            continue
        kinds = [category.letter]
        if category.letter == "T":
            kinds += ["T1-4"] if name[1] in "1234" else [name] if name in ("T0", "Tis") else []
        elif name[1] in "123":
            kinds.append("N+")
        else:
            kinds.append("N0")
            kinds += {"N0": ["N0 exactly"], "N0(i+)": ["N0(i+)"]}.get(name, [])
        for kind in kinds:
            value |= BITS[category.prefix, kind]
    return value


def read_texts(texts: pl.Series) -> pl.Series:
    """The bits of each text of a column; 0 where there is none."""
    different = texts.unique().drop_nulls()
    if different.is_empty():
        return pl.repeat(0, len(texts), dtype=pl.UInt64, eager=True)
    values = pl.Series([bits(text) for text in different], dtype=pl.UInt64)
    return texts.replace_strict(different, values, default=0, return_dtype=pl.UInt64)
