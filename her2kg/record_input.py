"""Read a patient record: bytes to JSON, JSON values to Python values, errors to problems."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, BeforeValidator
from pydantic_core import PydanticCustomError

from her2kg.errors import MISSING, DataError, Fact, Problem, did_you_mean

MAX_RECORD_BYTES = 5_000_000
_DEEPEST = 50
_OBJECT = "one JSON object with a patient record"
RECORD = f'{_OBJECT}, such as {{"id": "case-1"}}; fields: her2kg schema'
DAY = "a date as YYYY-MM-DD"
_LISTS_OF_OBJECTS = ("prior_therapies", "adverse_events", "her2_tests")
_SIMPLE = {
    "bool_type": "true or false",
    "list_type": "a list",
    "model_type": "an object",
    "missing": "a text that names the record",
}

Place = tuple[str | int, ...]


# Reading


def read_bytes(path: Path, what: str = RECORD) -> bytes:
    """Read a record file whole, after looking at its size.

    Errors: DataError if it is missing, no file, unreadable, empty or above MAX_RECORD_BYTES.
    """
    try:
        if path.is_dir():
            raise _unreadable(path, "a directory", f"a file with {what}")
        if not path.exists():
            raise _unreadable(path, "a file that does not exist", f"the path of a file with {what}")
        if not path.is_file():
            raise _unreadable(path, "a device or a pipe", f"a file with {what}")
        refuse_large(path.stat().st_size, str(path))
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _unreadable(path, f"a file that cannot be read ({reason})", what) from None
    refuse_large(len(content), str(path))
    if not content.strip():
        raise _unreadable(path, "an empty file", what)
    return content


def refuse_large(size: int, place: str) -> None:
    """Raise DataError if a record is longer than MAX_RECORD_BYTES."""
    if size > MAX_RECORD_BYTES:
        given = Fact(f"{size / 1e6:.2f} MB ({size} bytes)")
        accepted = f"at most {MAX_RECORD_BYTES / 1e6:g} MB ({MAX_RECORD_BYTES} bytes) a record"
        raise DataError([Problem(place, given, accepted)])


def read_text_of(content: bytes | str, place: str) -> str:
    """Decode a record as UTF-8, with or without a byte order mark."""
    if isinstance(content, str):
        return content.removeprefix("\ufeff")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        given = f"bytes that are not UTF-8 (at byte {error.start})"
        raise _unreadable(place, given, "UTF-8 text; save the file as UTF-8") from None


def parse_json(text: str, place: str, what: str = _OBJECT) -> tuple[Any, list[Problem]]:
    """Parse JSON text; keys that come twice in an object are problems."""
    problems: list[Problem] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key, value in items:
            if key in built:
                given = Fact(f"the key {json.dumps(key, ensure_ascii=False)} twice in one object")
                problems.append(Problem(place, given, "each key once; remove one of the two"))
            built[key] = value
        return built

    try:
        return json.loads(text, object_pairs_hook=pairs), problems
    except json.JSONDecodeError as error:
        given = f"text that is not JSON (line {error.lineno}, column {error.colno}: {error.msg})"
    except RecursionError:
        given = "objects or lists nested too deeply"
    except ValueError:
        given = "a number with thousands of digits"
    raise _unreadable(place, given, what)


def read_source(source: Any) -> tuple[dict[str, Any], list[Problem]]:
    """Turn any accepted source into one dict of plain JSON values.

    Shape: the dict, and the problems that do not keep the record from being checked further.
    Errors: DataError if there is no dict to check.
    """
    place = str(source) if isinstance(source, Path) else "record"
    problems: list[Problem] = []
    if isinstance(source, BaseModel):
        source = source.model_dump(mode="json", exclude_none=True)
    if isinstance(source, Path):
        source = read_bytes(source)
    if isinstance(source, str | bytes | bytearray):
        raw = source if isinstance(source, str) else bytes(source)
        refuse_large(len(raw), place)
        if not raw.strip():
            raise _unreadable(place, "empty text", RECORD)
        source, problems = parse_json(read_text_of(raw, place), place, RECORD)
    if not isinstance(source, Mapping):
        given = {list: "a list", tuple: "a list", str: "a text", bool: "true or false"}.get(
            type(source), "null" if source is None else f"a value of type {type(source).__name__}"
        )
        accepted = f"{_OBJECT}; for several patients, one at a time"
        raise _unreadable(place, given, accepted)
    try:
        data = _plain(source, (), problems, place)
    except RecursionError:
        raise _unreadable(place, "nested too deeply", f"at most {_DEEPEST} levels") from None
    return data, problems


def _plain(value: Any, at: Place, problems: list[Problem], place: str) -> Any:
    if len(at) > _DEEPEST:
        given = f"objects or lists nested in more than {_DEEPEST} levels"
        raise _unreadable(place, given, f"at most {_DEEPEST} levels")
    if isinstance(value, Mapping):
        result = {}
        for key, inner in value.items():
            if not isinstance(key, str) or not _is_unicode(key):
                problems.append(Problem(written(at) or place, key, "keys that are text"))
            else:
                result[key] = _plain(inner, (*at, key), problems, place)
        return result
    if isinstance(value, list | tuple):
        return [_plain(v, (*at, i), problems, place) for i, v in enumerate(value)]
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        problems.append(Problem(written(at), Fact(str(value)), "a finite number, or null"))
        return None
    if isinstance(value, str) and not _is_unicode(value):
        problems.append(Problem(written(at), value, "text in Unicode without lone surrogates"))
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    given = Fact(f"a Python value of type {type(value).__name__}")
    problems.append(Problem(written(at), given, "a JSON value"))
    return None


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _unreadable(place: object, given: str, accepted: str) -> DataError:
    return DataError([Problem(str(place), Fact(given), accepted)])


# Values


def _refused(accepted: str) -> PydanticCustomError:
    return PydanticCustomError("her2kg", "{accepted}", {"accepted": accepted})


def number_reader(
    unit: str, low: float, high: float | None, *, whole: bool, if_small: str | None = None
) -> Callable[[Any], float]:
    """Make a reader of numbers that refuses text, booleans and what is out of range.

    Shape: `if_small` is what is accepted, as told for a number from 0 to below `low`.
    """
    within = f"from {low:g} to {high:g}" if high is not None else f"of at least {low:g}"
    noun = "a whole number" if whole else "a number"
    accepted = f"{noun} {within}" + (f" ({unit}), written without the unit" if unit else "")

    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _refused(accepted)
        try:
            number = float(value)
        except OverflowError:
            raise _refused(accepted) from None
        if if_small and 0 <= number < low:
            raise _refused(if_small)
        if not math.isfinite(number) or number < low or (high is not None and number > high):
            raise _refused(accepted)
        if not whole:
            return number + 0.0  # minus zero becomes zero
        if not number.is_integer():
            raise _refused(accepted)
        return int(value)

    return read


def read_day(value: Any) -> date:
    """Read a date object or YYYY-MM-DD."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise _refused(f"{DAY}; there is no such day") from None
    raise _refused(DAY)


def read_day_or_false(value: Any) -> date | bool:
    """Read a date, or false for what has not happened."""
    if value is False:
        return False
    try:
        return read_day(value)
    except PydanticCustomError:
        raise _refused(f"{DAY}, or false") from None


def read_text(value: Any) -> str:
    """Read text that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise _refused("text that is not blank")
    return value.strip()


ISH_SHORT_FORM = BeforeValidator(lambda v: {"result": v} if isinstance(v, str) else v)


def written(place: Iterable[str | int]) -> str:
    """Write a place as a record path, such as prior_therapies[1].outcome."""
    text = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place)
    return text.removeprefix(".")


def translate(
    errors: Iterable[Mapping[str, Any]],
    data: Any,
    parts: Mapping[tuple[str, ...], type[BaseModel]],
) -> list[tuple[Problem, Place]]:
    """Turn what pydantic found into problems, each with the place of the value to leave out."""
    found: dict[Place, tuple[Problem, Place]] = {}
    for error in errors:
        place = _real_place(error["loc"], data)
        found.setdefault(place, (_translated(error, place, parts), place))
    return list(found.values())


def _translated(error: Mapping[str, Any], place: Place, parts: Mapping) -> Problem:
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        accepted = _known_field(place, parts)
        return Problem(written(place), Fact("an unknown field"), accepted)
    if kind == "missing":
        return Problem(written(place), MISSING, _SIMPLE[kind])
    if kind == "her2kg":
        return Problem(written(place), value, error["ctx"]["accepted"])
    if kind == "literal_error":
        accepted = ", ".join(re.findall(r"'([^']*)'", error["ctx"]["expected"]))
        if place[-1] in ("her2_ish", "ish"):
            accepted += ", or an object with result, ratio, copy_number and probe"
        if not isinstance(value, str):
            accepted = f"text: {accepted}"
        return Problem(written(place), value, accepted)
    return Problem(written(place), value, _SIMPLE.get(kind, error["msg"]))


def _real_place(loc: Place, data: Any) -> Place:
    """Cut a place where the record holds a plain value (the short form of her2_ish)."""
    for depth, step in enumerate(loc[:-1], 1):
        data = data[step] if isinstance(data, dict | list) else data
        if not isinstance(data, dict | list):
            return tuple(loc[:depth])
    return tuple(loc)


def _known_field(place: Place, parts: Mapping[tuple[str, ...], type[BaseModel]]) -> str:
    name, above = str(place[-1]), tuple(step for step in place[:-1] if isinstance(step, str))
    here = list(parts[above].model_fields)
    elsewhere = {
        field: ".".join((*path, field))
        for path, part in parts.items()
        if path != above
        for field in part.model_fields
    }
    close = did_you_mean(name, here)
    if name in elsewhere:
        close = (elsewhere[name], *close)
    elif not close:
        close = tuple(elsewhere[field] for field in did_you_mean(name, elsewhere))
    if close:
        return f"a known field; did you mean {' or '.join(close)}?"
    return f"one of {', '.join(here)}"


def without(data: Any, places: Iterable[Place]) -> Any:
    """Copy a record without the values at some places, so that the rest can be checked.

    Shape: a course, test or event becomes an empty object; another list loses all its items.
    """
    copy = json.loads(json.dumps(data))
    for place in places:
        if place == ("id",):
            copy["id"] = "record"
            continue
        holder, above = copy, None
        for step in place[:-1]:
            holder, above = holder[step], holder
            if holder is None:
                break
        if isinstance(holder, dict):
            holder.pop(place[-1], None)
        elif isinstance(holder, list) and place[-2] in _LISTS_OF_OBJECTS:
            holder[place[-1]] = {}
        elif isinstance(holder, list):
            above[place[-2]] = None
    return copy
