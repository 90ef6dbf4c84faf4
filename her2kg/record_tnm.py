"""Read TNM and nodal status as written: syntax only, what a category means is in the ontology."""

from __future__ import annotations

import re
from dataclasses import dataclass

TNM = "TNM categories with their prefixes, such as cT2 cN1 M0, or cT3 cN1 M0; ypT1a ypN0"
NODES = "an N category such as cN0, pN1a or ypN0(i+), or a number such as 2 positive"
PROPERTIES = {
    ("c", "T"): "clinicalT",
    ("c", "N"): "clinicalN",
    ("p", "T"): "pathologicalT",
    ("p", "N"): "pathologicalN",
    ("yp", "T"): "postNeoadjuvantT",
    ("yp", "N"): "postNeoadjuvantN",
    ("", "T"): "unprefixedT",
    ("", "N"): "unprefixedN",
}
_PREFIX = r"(yp|yc|rp|rc|[cpr])?"
_CATEGORY = re.compile(
    _PREFIX + r"([TNM])(X|x|is|[0-9](?:mi|[a-d])?)((?:\([A-Za-z0-9+\-]+\))*)", re.ASCII
)
_KEPT_NOTES = ("(i+)", "(mol+)")  # the others, such as (sn) or (i-), change no category
_NUMBER = re.compile(r"([0-9]+)(?: ?(?:/|of) ?[0-9]+)?(?: positive)?", re.IGNORECASE)


@dataclass(frozen=True)
class Category:
    """One T, N or M category; `prefix` is c, p, yp, another, or empty if none is written."""

    prefix: str
    letter: str
    name: str

    @property
    def written(self) -> str:
        return self.prefix + self.name

    @property
    def property(self) -> str | None:
        """Local name of the property that holds the category; None for those that none holds."""
        return PROPERTIES.get((self.prefix, self.letter))


def read_tnm(text: str) -> list[Category] | None:
    """Give the categories of a TNM text, without those that are X; None if it is no TNM.

    Shape: a prefix holds until the next one, within a group; semicolons separate groups.
    """
    found: list[Category] = []
    for group in text.split(";"):
        prefix, at = "", 0
        group = re.sub(r"[\s,]+", " ", group).strip()
        if not group:
            return None
        while at < len(group):
            match = _CATEGORY.match(group, at)
            if match is None:
                return None
            at = match.end() + (group[match.end() : match.end() + 1] == " ")
            own, letter, category, notes = match.groups()
            prefix = own or prefix
            if category in "Xx":
                continue
            kept = "".join(n for n in re.findall(r"\([^)]*\)", notes) if n in _KEPT_NOTES)
            found.append(Category(prefix, letter, letter + category + kept * (letter == "N")))
    return found


def read_nodes(text: str) -> tuple[list[Category], int | None] | None:
    """Give the N categories or the number of positive nodes of a text; None if it is neither."""
    number = _NUMBER.fullmatch(text.strip())
    if number:
        return [], int(number[1])
    found = read_tnm(text)
    if found is None or any(category.letter != "N" for category in found):
        return None
    return found, None


def categories(tnm: str | None, nodes: str | None) -> list[Category]:
    """Give every category of a record; texts that cannot be read give none."""
    found = (read_tnm(tnm) if tnm else None) or []
    by_nodes = read_nodes(nodes) if nodes else None
    return list(dict.fromkeys([*found, *(by_nodes[0] if by_nodes else [])]))
