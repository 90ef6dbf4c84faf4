"""Which syntax an answer is written in: the Accept header against what there is."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Media types by the name that pyoxigraph has for the syntax; the first of a syntax is sent.
ROWS = {
    "application/sparql-results+json": "JSON",
    "application/json": "JSON",
    "application/sparql-results+xml": "XML",
    "application/xml": "XML",
    "text/xml": "XML",
    "text/csv": "CSV",
    "text/tab-separated-values": "TSV",
}
GRAPHS = {
    "text/turtle": "TURTLE",
    "application/x-turtle": "TURTLE",
    "application/n-triples": "N_TRIPLES",
    "text/plain": "N_TRIPLES",
    "application/rdf+xml": "RDF_XML",
    "application/xml": "RDF_XML",
    "application/ld+json": "JSON_LD",
    "application/json": "JSON_LD",
}
# What stands for a syntax in `?format=`.
SHORT = {
    "json": ("JSON", "JSON_LD"),
    "xml": ("XML", "RDF_XML"),
    "csv": ("CSV", None),
    "tsv": ("TSV", None),
    "ttl": (None, "TURTLE"),
    "turtle": (None, "TURTLE"),
    "nt": (None, "N_TRIPLES"),
    "rdf": (None, "RDF_XML"),
    "jsonld": (None, "JSON_LD"),
}
_MEDIA = re.compile(r"([\w!#$%&'*+.^`|~-]+/[\w!#$%&'*+.^`|~-]+)")


def media_type(name: str, among: Mapping[str, str]) -> str:
    """The media type of a syntax, with its character set where it is text."""
    media = next(media for media, each in among.items() if each == name)
    return f"{media}; charset=utf-8" if media.startswith("text/") else media


def choose(accept: str, among: Mapping[str, str]) -> str | None:
    """The syntax that an Accept header likes best; None if it likes none.

    Shape: a value of `among`; without a header, the first. Of equally liked ones the more exact,
    then the one that the client names first, then the first of `among`.
    """
    wanted = _ranges(accept) or [("*/*", 1.0)]
    best: tuple[float, int, int, int] | None = None
    chosen = None
    for rank, (media, name) in enumerate(among.items()):
        liked = [
            (exact, quality, place)
            for place, (each, quality) in enumerate(wanted)
            if (exact := _fits(each, media)) is not None
        ]
        if not liked:
            continue
        exact, quality, place = max(liked, key=lambda each: (each[0], each[1]))
        score = (quality, exact, -place, -rank)
        if quality > 0 and (best is None or score > best):
            best, chosen = score, name
    return chosen


def _fits(wanted: str, media: str) -> int | None:
    """How exactly a range names a media type; None if it does not."""
    if wanted == media:
        return 2
    if wanted.endswith("/*") and media.startswith(wanted[:-1]):
        return 1
    return 0 if wanted == "*/*" else None


def _ranges(accept: str) -> list[tuple[str, float]]:
    found = []
    for part in accept.split(",")[:100]:
        media, *parameters = (each.strip().lower() for each in part.split(";"))
        if media == "*":
            media = "*/*"
        if not _MEDIA.fullmatch(media):
            continue
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    quality = min(max(float(value), 0.0), 1.0)
                except ValueError:
                    quality = 0.0
        found.append((media, quality))
    return found
