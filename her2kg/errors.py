"""Every error that her2kg raises on purpose.

    Her2kgError
    |-- UnknownTerm         a name that the graph does not know, or that means several things
    |   `-- UnknownCode     a code of another vocabulary that stands for no term of that kind
    |-- QueryError          a query that cannot be run
    |   |-- UnknownQuery    no query of that name
    |   `-- BadParameter    a parameter that is missing, unknown or of the wrong kind
    |-- DataError           a patient record or another input that cannot be read
    `-- EngineError         a store, a reasoner or the installed knowledge that does not answer

A message says what was given, what is accepted and what to do next; the facts are attributes.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_LONGEST_VALUE = 80
ANY_TERM = "term"  # the kind of an UnknownTerm that was looked for among all terms
_NO_SUCH_PARAMETER = ("only the parameters ", "no parameter at all")


def did_you_mean(name: str, candidates: Iterable[str], *, count: int = 3) -> tuple[str, ...]:
    """Find the candidates that a misspelt name most resembles, whatever its case.

    Shape: at most `count` candidates as they were given, the closest first; may be empty.
    """
    by_lower: dict[str, str] = {}
    for candidate in candidates:
        by_lower.setdefault(candidate.lower(), candidate)
    close = difflib.get_close_matches(name.strip().lower(), by_lower, n=count, cutoff=0.6)
    return tuple(by_lower[match] for match in close)


def one_of(words: Sequence[str]) -> str:
    """Write alternatives as text: `a`, `a or b`, `a, b or c`."""
    words = list(words)
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


class Fact(str):
    """A value described in words, such as "a directory"; messages print it without quotes."""

    __slots__ = ()


MISSING = Fact("missing")  # the value of a Problem about something that must be added


def _shown(value: Any) -> str:
    """Write a value as a message shows it: JSON, on one line, cut when it is long."""
    if isinstance(value, Fact):
        return str(value)
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        text = f"a value of type {type(value).__name__}"
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an input: where, what was given, what is accepted.

    Shape: `path` is a record path such as `prior_therapies[1].outcome`, or the name of a file;
    `value` is MISSING where nothing was given.
    """

    path: str
    value: Any
    accepted: str

    def __str__(self) -> str:
        if isinstance(self.value, Fact) and self.value == MISSING:
            return f"{self.path}: missing; add {self.accepted}"
        return f"{self.path}: given {_shown(self.value)}, accepted {self.accepted}"


class Her2kgError(Exception):
    """The root of every error that her2kg raises on purpose."""


class UnknownTerm(Her2kgError):
    """A name that the graph does not know, or that means several things.

    Shape: `term` as given, `kind` the word for what was looked for, ANY_TERM where `her2kg show`
    looked, `suggestions` a tuple; `ambiguous` is true when the suggestions are the terms that
    the name could mean.
    """

    def __init__(
        self, term: str, kind: str, suggestions: Iterable[str] = (), ambiguous: bool = False
    ) -> None:
        self.term = term
        self.kind = kind
        self.suggestions = tuple(suggestions)
        self.ambiguous = ambiguous
        super().__init__(term, kind, self.suggestions, ambiguous)

    def as_any(self) -> UnknownTerm:
        """The same, for a name that was looked for among all terms."""
        return UnknownTerm(self.term, ANY_TERM, self.suggestions, self.ambiguous)

    def __str__(self) -> str:
        if self.ambiguous:
            return (
                f"{self.kind} '{self.term}' is ambiguous; "
                f"write one of: {', '.join(self.suggestions)}"
            )
        if self.suggestions:
            hint = f"did you mean {one_of([f'{name!r}' for name in self.suggestions])}?"
        else:
            hint = "accepted: an id, a label, a brand, a synonym or an abbreviation."
        advice = "" if self.kind == ANY_TERM else " Look a name up: her2kg show TERM"
        return f"unknown {self.kind} '{self.term}'; {hint}{advice}"


class UnknownCode(UnknownTerm):
    """A code of another vocabulary that stands for no term of the kind looked for.

    Shape: `systems` are the prefixes of the vocabularies that the graph has codes of; `means` the
    local ids of terms of other kinds that the code stands for; `known` whether the graph has codes
    of the vocabulary.
    """

    def __init__(
        self,
        term: str,
        kind: str,
        systems: Iterable[str] = (),
        means: Iterable[str] = (),
        known: bool = False,
    ) -> None:
        super().__init__(term, kind)
        self.systems = tuple(systems)
        self.means = tuple(means)
        self.known = known
        self.args = (term, kind, self.systems, self.means, known)

    @property
    def accepted(self) -> str:
        """What would be accepted instead, in words."""
        if self.means:
            return f"the code of another term: this one stands for {one_of(self.means)}"
        return f"a code that the graph has, of {one_of(self.systems)}"

    def __str__(self) -> str:
        if self.means:
            return f"unknown {self.kind} '{self.term}'; the code stands for {one_of(self.means)}"
        if self.known:
            which = "term" if self.kind == ANY_TERM else self.kind
            reason = f"the graph has codes of this system, but no {which} has this one."
        else:
            reason = f"codes are known of {one_of(self.systems)}."
        advice = "List the codes of a term: her2kg run terms/codes-of --term TERM"
        return f"unknown {self.kind} '{self.term}'; {reason} {advice}"

    def as_any(self) -> UnknownCode:
        return UnknownCode(self.term, ANY_TERM, self.systems, self.means, self.known)


class QueryError(Her2kgError):
    """A query that cannot be run."""


class UnknownQuery(QueryError):
    """A query name that the library does not have.

    Shape: `name` as given, `suggestions` a tuple of query names.
    """

    def __init__(self, name: str, suggestions: Iterable[str] = ()) -> None:
        self.name = name
        self.suggestions = tuple(suggestions)
        super().__init__(name, self.suggestions)

    def __str__(self) -> str:
        close = one_of([f"{name!r}" for name in self.suggestions]) if self.suggestions else ""
        hint = f"did you mean {close}? List" if close else "list"
        return f"unknown query '{self.name}'; {hint} them: her2kg queries"


class BadParameter(QueryError):
    """A query parameter that is missing, unknown or of the wrong kind.

    Shape: `query` and `parameter` are names, `given` the value or None, `accepted` a text.
    """

    def __init__(self, query: str, parameter: str, given: Any, accepted: str) -> None:
        self.query = query
        self.parameter = parameter
        self.given = given
        self.accepted = accepted
        super().__init__(query, parameter, given, accepted)

    def __str__(self) -> str:
        header = f"Its header: her2kg queries {self.query}"
        if self.accepted.startswith(_NO_SUCH_PARAMETER):
            return (
                f"query '{self.query}' has no parameter '{self.parameter}'; {self._hint()} {header}"
            )
        given = "nothing" if self.given is None else _shown(self.given)
        return (
            f"query '{self.query}', parameter '{self.parameter}': given {given}, "
            f"accepted {self.accepted}. {header}"
        )

    def _hint(self) -> str:
        only, none = _NO_SUCH_PARAMETER
        if self.accepted == none:
            return "it takes none."
        names = self.accepted.removeprefix(only)
        close = did_you_mean(self.parameter, names.split(", "))
        return (
            f"did you mean {one_of([f'{n!r}' for n in close])}?" if close else f"it takes {names}."
        )


class DataError(Her2kgError):
    """An input that cannot be read, with every problem found in it.

    Shape: `problems` is a tuple of Problem, never empty; `source` names the file, or is None.
    """

    def __init__(self, problems: Iterable[Problem], source: str | None = None) -> None:
        self.problems = tuple(problems)
        self.source = source
        super().__init__(self.problems, source)

    def __str__(self) -> str:
        place = f"{self.source}: " if self.source else ""
        return "\n".join(f"{place}{problem}" for problem in self.problems)


class EngineError(Her2kgError):
    """A store, a reasoner or the installed knowledge that does not answer as it must."""
