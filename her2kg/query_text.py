"""What is told of a query from its text: where it is wrong, unknown names, SERVICE and LOAD.

The text is split as a SPARQL parser splits it, only coarser; nothing here knows the grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from her2kg.errors import did_you_mean, one_of
from her2kg.namespaces import BASE, PREFIXES

_TOKEN = re.compile(
    r"""
      (?P<string>\"\"\"(?:\"{0,2}(?:[^"\\]|\\.))*\"\"\"|'''(?:'{0,2}(?:[^'\\]|\\.))*'''
               |"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*')
    | (?P<iri><[^<>"{}|^`\x00-\x20]*>)
    | (?P<comment>\#[^\n\r]*)
    | (?P<variable>[?$]\w+)
    | (?P<tag>@[A-Za-z]+(?:-[A-Za-z0-9]+)*)
    | (?P<name>(?P<prefix>[^\W\d_](?:[\w.\-]*[\w\-])?|_)?:(?P<local>(?:[\w.\-:%]|\\.)*))
    | (?P<word>\w+)
    | (?P<other>\S)
    """,
    re.VERBOSE | re.DOTALL,
)
_LONGEST = 80  # characters of a name that are shown or looked at
_OURS = re.compile(r"(?:her2kg:|https://w3id\.org/her2kg#)([\w.\-]+)")
_DECLARED = re.compile(r"(?i)prefix$")
_KEYWORDS = tuple(  # of the language, and its functions
    word
    for line in (
        "A ADD ALL AS ASC ASK BASE BIND BY CLEAR CONSTRUCT COPY CREATE DATA DEFAULT DELETE DESC",
        "DESCRIBE DISTINCT DROP EXISTS FALSE FILTER FROM GRAPH GROUP HAVING IN INSERT INTO LIMIT",
        "LOAD MINUS MOVE NAMED NOT OFFSET OPTIONAL ORDER PREFIX REDUCED SELECT SEPARATOR SERVICE",
        "SILENT TO TRUE UNDEF UNION USING VALUES WHERE WITH ABS AVG BNODE BOUND CEIL COALESCE",
        "CONCAT CONTAINS COUNT DATATYPE DAY ENCODE_FOR_URI FLOOR GROUP_CONCAT HOURS IF IRI ISBLANK",
        "ISIRI ISLITERAL ISNUMERIC ISURI LANG LANGMATCHES LCASE MAX MD5 MIN MINUTES MONTH NOW RAND",
        "REGEX REPLACE ROUND SAMETERM SAMPLE SECONDS SHA1 SHA256 SHA384 SHA512 STR STRAFTER",
        "STRBEFORE STRDT STRENDS STRLANG STRLEN STRSTARTS STRUUID SUBSTR SUM TIMEZONE TZ UCASE URI",
        "UUID YEAR",
    )
    for word in line.split()
)

_UPDATES = {"ADD", "CLEAR", "COPY", "CREATE", "DELETE", "DROP", "INSERT", "LOAD", "MOVE", "WITH"}


def tokens(text: str) -> Iterator[re.Match[str]]:
    """The tokens of a text; the name of their kind is `lastgroup`, or `name` for prefixed names."""
    return _TOKEN.finditer(text)


def calls(text: str, keyword: str) -> bool:
    """Say whether a text may use a keyword such as SERVICE outside strings, IRIs and comments.

    A parser may read a keyword that a name or number follows or precedes without a space, so any
    word and any prefix that contains it counts; variables and local names do not.
    """
    if keyword.lower() not in text.lower():
        return False
    # What looks like an IRI may be two signs of comparison; then a bracket closes in between.
    hidden = re.compile(rf"\).*{keyword}", re.IGNORECASE | re.DOTALL)
    found = (
        token["word"] or token["prefix"] or "" if not token["iri"] else hidden.search(token["iri"])
        for token in tokens(text)
    )
    return any(keyword.lower() in word.lower() if isinstance(word, str) else word for word in found)


def place(text: str, offset: int) -> str:
    """Where a character stands, as line:column, both from 1."""
    line = text.count("\n", 0, offset) + 1
    return f"{line}:{offset - text.rfind(chr(10), 0, offset)}"


def syntax_sentence(text: str, message: str) -> str:
    """Say where and why a query is not valid SPARQL, with the nearest prefix or keyword.

    Shape: one sentence; `message` is the parser's.
    """
    words = (token["word"].upper() for token in tokens(text) if token["word"])
    first = next((word for word in words if word not in ("PREFIX", "BASE")), "")
    if first in _UPDATES:
        return (
            f"not valid SPARQL as a query: {first} begins an update; write SELECT, ASK or CONSTRUCT"
        )
    unknown = _unknown_prefix(text)
    if unknown is not None and "Prefix not found" in message:
        token, close = unknown
        given = (token["prefix"] or "")[:_LONGEST]
        known = "known without a declaration are " + ", ".join(f"{name}:" for name in PREFIXES)
        hint = f"did you mean {_quoted(f'{name}:' for name in close)}? " if close else ""
        at = place(text, token.start())
        return f"not valid SPARQL at {at}: unknown prefix '{given}:'; {hint}{known}"
    at = re.search(r"\bat (\d+):(\d+)", message)
    if at is None:
        return f"not valid SPARQL: {_short(message)}"
    line, column = int(at[1]), int(at[2])
    lines = text.split("\n")
    offset = sum(len(each) + 1 for each in lines[: line - 1]) + column - 1
    if misspelt := _misspelt(text, offset):
        return f"not valid SPARQL at {misspelt}"
    following = _TOKEN.search(text, offset)
    if following is None:
        return f"not valid SPARQL at {line}:{column}: it ends too early"
    at = place(text, following.start())
    return f"not valid SPARQL at {at}, '{following[0][:40]}': {_short(message)}"


def _unknown_prefix(text: str) -> tuple[re.Match[str], tuple[str, ...]] | None:
    declared, before = set(PREFIXES) | {"_"}, ""
    for token in tokens(text):
        if token["comment"]:
            continue
        if token["name"]:
            prefix = token["prefix"] or ""
            if _DECLARED.search(before):
                declared.add(prefix)
            elif prefix not in declared:
                return token, did_you_mean(prefix[:_LONGEST], declared - {"_", ""})
        before = token[0]
    return None


def _misspelt(text: str, offset: int) -> str:
    """A word at or before the place of an error that resembles a keyword, with its place."""
    words = [token for token in tokens(text) if token["word"] and token.start() <= offset]
    for token in reversed(words[-3:]):
        word = token["word"][:_LONGEST].upper()
        close = did_you_mean(word, _KEYWORDS, count=1)
        if close and word not in _KEYWORDS:
            at = place(text, token.start())
            return f"{at}: unknown word '{token['word'][:_LONGEST]}'; did you mean {close[0]}?"
    return ""


def _short(message: str) -> str:
    """The message of a parser without its place and without a long list of what it expected."""
    text = re.sub(r"^.*?error at \d+:\d+: ", "", " ".join(message.split()))
    reason = re.search(r"\b((?:The|Duplicated|Prefix)\s[a-zA-Z ]+)", text)
    if reason:
        return reason[1].strip()
    words = re.findall(r'"[^"]{1,20}"|\b[A-Z_]{2,}\b', text)
    if "[" in text or not 1 < len(words) <= 4:
        return "not expected here"
    return f"expected {one_of(words)}"


def unknown_terms(text: str, terms: frozenset[str]) -> list[str]:
    """Say which her2kg terms of a query the graph does not have, with the nearest it has.

    Shape: one sentence each, at most three.
    """
    if all(local.rstrip(".") in terms for local in _OURS.findall(text)):
        return []
    found: dict[str, str] = {}
    for token in tokens(text):
        if token["iri"] and token[0].startswith(f"<{BASE}"):
            local = token[0][len(BASE) + 1 : -1]
        elif token["prefix"] == "her2kg" and token["local"]:
            local = token["local"].rstrip(".")
        else:
            continue
        if local and local not in terms and local not in found:
            close = did_you_mean(local, terms) if len(local) <= _LONGEST else ()
            hint = f"did you mean {_quoted(f'her2kg:{name}' for name in close)}?" if close else ""
            at = place(text, token.start())
            found[local] = f"her2kg:{local[:_LONGEST]} at {at} is not in the graph; {hint}".rstrip(
                "; "
            )
            if len(found) == 3:
                break
    return list(found.values())


def _quoted(names: Iterable[str]) -> str:
    return one_of([f"'{name}'" for name in names])
