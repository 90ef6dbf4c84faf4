"""What can be wrong with a patient record: its file, its values, its names, its contradictions."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, BeforeValidator
from pydantic_core import PydanticCustomError

from her2kg.errors import DataError, Fact, Problem, UnknownTerm, did_you_mean

if TYPE_CHECKING:
    from her2kg.record_rdf import Names
    from her2kg.records import Course, PatientRecord

BASE = "https://w3id.org/her2kg#"
MAX_RECORD_BYTES = 5_000_000
_DEEPEST = 50
_DAY = "a date as YYYY-MM-DD"
_OLDEST = 130
_LISTS_OF_OBJECTS = ("prior_therapies", "adverse_events", "her2_tests")
_LOCAL_SITES = ("lymph node",)
_PLACEHOLDER = "drug_unspecified_"
_SIMPLE = {
    "bool_type": "true or false",
    "list_type": "a list",
    "model_type": "an object",
    "missing": "a text that names the record; add it",
}

Place = tuple[str | int, ...]


# Reading


def read_bytes(path: Path, what: str = "one JSON object") -> bytes:
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


def parse_json(text: str, place: str) -> tuple[Any, list[Problem]]:
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
    raise _unreadable(place, given, "one JSON object with a patient record")


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
            raise _unreadable(place, "empty text", "one JSON object with a patient record")
        source, problems = parse_json(read_text_of(raw, place), place)
    if not isinstance(source, Mapping):
        given = {list: "a list", tuple: "a list", str: "a text", bool: "true or false"}.get(
            type(source), "null" if source is None else f"a value of type {type(source).__name__}"
        )
        accepted = "one JSON object with a patient record; for several patients, one at a time"
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
    unit: str, low: float, high: float | None, *, whole: bool
) -> Callable[[Any], float]:
    """Make a reader of numbers that refuses text, booleans and what is out of range."""
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
            raise _refused(f"{_DAY}; there is no such day") from None
    raise _refused(_DAY)


def read_day_or_false(value: Any) -> date | bool:
    """Read a date, or false for what has not happened."""
    if value is False:
        return False
    try:
        return read_day(value)
    except PydanticCustomError:
        raise _refused(f"{_DAY}, or false") from None


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
        return Problem(written(place), Fact("nothing"), _SIMPLE[kind])
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


# Names


class Resolver:
    """Looks names up, and collects the problems of those that are not found."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.problems: list[Problem] = []

    def known(self, name: str, kinds: tuple[str, ...]) -> str | None:
        """Give the local id of a name, or None."""
        try:
            return _local(self.names.resolve(name, kinds))
        except UnknownTerm:
            return None

    def one(self, name: str, kinds: tuple[str, ...], at: str) -> str:
        """Give the local id of a name, or note a problem and give the name back."""
        try:
            return _local(self.names.resolve(name, kinds))
        except UnknownTerm as error:
            close, kind = ", ".join(error.suggestions), kinds[0]
            if error.ambiguous:
                accepted = f"an unambiguous {kind} name: one of {close}"
            elif close:
                accepted = f"a {kind} that the graph knows; did you mean {close}?"
            else:
                accepted = f"the id, label, brand, synonym or abbreviation of a known {kind}"
            accepted = re.sub(r"^a (?=[aeiou])", "an ", accepted)
            self.problems.append(Problem(at, name, accepted))
            return name

    def all(self, given: list[str] | None, kinds: tuple[str, ...], at: str) -> list[str] | None:
        """Do the same for a list of names; None stays None."""
        if given is None:
            return None
        return [self.one(name, kinds, f"{at}[{i}]") for i, name in enumerate(given)]

    def check_course(self, course: Mapping[str, Any], given: Course, at: str) -> None:
        """Note a problem if the drugs of a course do not go with its regimen."""
        regimen, drugs = course["regimen"], course["drugs"]
        if regimen is None or drugs is None or any(p.path.startswith(at) for p in self.problems):
            return
        stated = drugs_of(self.names, drugs)
        planned = drugs_of(self.names, [regimen])
        exact_stated = {drug for drug in stated if not _local(drug).startswith(_PLACEHOLDER)}
        exact_planned = {drug for drug in planned if not _local(drug).startswith(_PLACEHOLDER)}
        if not (exact_stated <= set(planned) or exact_planned <= set(stated)):
            accepted = (
                f"drugs that go with {given.regimen} ({', '.join(_local(d) for d in planned)}), "
                "or another regimen, or no regimen"
            )
            self.problems.append(Problem(f"{at}.drugs", given.drugs, accepted))


def drugs_of(names: Names, terms: Iterable[str]) -> list[str]:
    """Give the distinct drugs in drugs, products and regimens, named by local id, as full IRIs."""
    found: dict[str, None] = {}
    for term in terms:
        found.update(dict.fromkeys(str(drug) for drug in names.ingredients(BASE + term)))
    return list(found)


def _local(iri: str) -> str:
    return str(iri).removeprefix(BASE)


# One field against another


def completed_years(birth: date, day: date) -> int:
    """Count the birthdays after birth up to and including a day."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def newest_results(model: PatientRecord, field: str) -> list[Any]:
    """Give the ihc or ish results of the day of the newest HER2 test; may be empty."""
    tests = [test for test in model.her2_tests or [] if test.date and (test.ihc or test.ish)]
    if model.as_of is not None:
        tests = [test for test in tests if test.date <= model.as_of]
    last = max((test.date for test in tests), default=None)
    results = [getattr(test, field) for test in tests if test.date == last]
    return [result for result in results if result is not None]


def check_record(model: PatientRecord, today: date) -> list[Problem]:
    """Find impossible dates and statements that contradict one another."""
    return [*_dates(model, today), *_age(model, today), *_her2(model), *_contradictions(model)]


def _dates(model: PatientRecord, today: date) -> Iterator[Problem]:
    limit, name = today, f"today, {today}"
    if model.as_of is not None:
        if model.as_of > today:
            yield _late("as_of", model.as_of, name)
        else:
            limit, name = model.as_of, f"as_of, {model.as_of}"
    days = {
        field: getattr(model, field) for field in ("birth_date", "surgery_date", "recurrence_date")
    }
    for index, test in enumerate(model.her2_tests or []):
        at = f"her2_tests[{index}].date"
        days[at] = test.date
        if test.date is None:
            yield Problem(at, Fact("nothing"), f"{_DAY}; add the date of the test")
    for index, course in enumerate(model.prior_therapies or []):
        yield from _course_dates(course, f"prior_therapies[{index}]", days)
    for at, day in days.items():
        if day is None:
            continue
        if day > limit:
            yield _late(at, day, name)
        if model.birth_date is not None and day < model.birth_date:
            yield _early(at, day, "birth_date", model.birth_date)


def _course_dates(course: Course, at: str, days: dict[str, date | None]) -> Iterator[Problem]:
    for field in ("start", "end", "progression_date"):
        day = getattr(course, field)
        days[f"{at}.{field}"] = day
        if day is not None and course.start is not None and day < course.start:
            yield _early(f"{at}.{field}", day, "the start of the course", course.start)
    for number, event in enumerate(course.adverse_events or []):
        place = f"{at}.adverse_events[{number}]"
        if event.event is None:
            accepted = "the name of the adverse event; add it"
            yield Problem(f"{place}.event", Fact("nothing"), accepted)
        days[f"{place}.start"] = event.start
        if event.start is not None and course.start is not None and event.start < course.start:
            yield _early(f"{place}.start", event.start, "the start of the course", course.start)
        if isinstance(event.resolved, date):
            days[f"{place}.resolved"] = event.resolved
            if event.start is not None and event.resolved < event.start:
                yield _early(f"{place}.resolved", event.resolved, "its start", event.start)


def _late(at: str, day: date, limit: str) -> Problem:
    return Problem(at, day.isoformat(), f"a date not after {limit}")


def _early(at: str, day: date, what: str, limit: date) -> Problem:
    return Problem(at, day.isoformat(), f"a date not before {what}, {limit}")


def _age(model: PatientRecord, today: date) -> Iterator[Problem]:
    if model.birth_date is None:
        return
    day = min(model.as_of or today, today)
    years = completed_years(model.birth_date, day)
    if years > _OLDEST:
        yield Problem(
            "birth_date",
            model.birth_date.isoformat(),
            f"a date that makes the age on {day} at most {_OLDEST} years (it is {years})",
        )
    elif years >= 0 and model.age is not None and abs(model.age - years) > 1:
        accepted = (
            f"about {years}, the age on {day} by birth_date; correct or leave out one of them"
        )
        yield Problem("age", model.age, accepted)


def _her2(model: PatientRecord) -> Iterator[Problem]:
    """Compare the short fields with the newest test, and tests of one day with one another."""
    for field in ("ihc", "ish"):
        at, short = f"her2_{field}", getattr(model, f"her2_{field}")
        newest = newest_results(model, field)
        said = " and ".join(dict.fromkeys(_brief(result) for result in newest))
        if short is None and any(_differ(newest[0], other) for other in newest[1:]):
            accepted = f"one result a day; state {at} to say which one counts"
            yield Problem("her2_tests", Fact(f"{said} on one day"), accepted)
        elif short is not None and newest and all(_differ(short, other) for other in newest):
            accepted = f"what the newest of her2_tests says ({said}); correct or leave out one"
            yield Problem(at, Fact(_brief(short)), accepted)


def _differ(one: Any, other: Any) -> bool:
    if isinstance(one, str):
        return one != other
    pairs = [(getattr(one, name), getattr(other, name)) for name in type(one).model_fields]
    return any(a != b for a, b in pairs if a is not None and b is not None)


def _brief(value: Any) -> str:
    if isinstance(value, str):
        return value
    stated = value.model_dump(exclude_none=True)
    return ", ".join(f"{name} {inner}" for name, inner in stated.items())


def _contradictions(model: PatientRecord) -> Iterator[Problem]:
    """Compare fields two at a time; each problem is told at the first of the two."""
    sites = model.metastatic_sites or []
    distant = ", ".join(site for site in sites if site not in _LOCAL_SITES)
    early, stage = model.setting == "early", model.stage
    tnm_m = re.search(r"M([01])", model.tnm or "")
    in_brain = model.brain_mets not in (None, "none")
    pregnant = model.pregnancy == "pregnant"
    if distant and stage is not None and stage != "IV":
        yield Problem("stage", stage, f"IV with metastatic_sites {distant}; correct one of them")
    if distant and early:
        accepted = "no site but lymph node with setting early; correct one of them"
        yield Problem("metastatic_sites", sites, accepted)
    if stage == "IV" and early:
        yield Problem("stage", stage, "a stage below IV with setting early; correct one of them")
    if model.brain_mets == "none" and "brain" in sites:
        yield Problem("brain_mets", "none", "a state with brain in metastatic_sites")
    if in_brain and early:
        accepted = "none, or nothing, with setting early; correct one of them"
        yield Problem("brain_mets", model.brain_mets, accepted)
    if tnm_m and tnm_m[1] == "1" and early:
        yield Problem("tnm", model.tnm, "M0, or no M, with setting early; correct one of them")
    if tnm_m and tnm_m[1] == "0" and distant:
        yield Problem("tnm", model.tnm, f"M1 with metastatic_sites {distant}; correct one of them")
    if model.invasive is False and model.setting == "metastatic":
        yield Problem("invasive", False, "true, or nothing, with setting metastatic")
    if pregnant and model.sex == "male":
        yield Problem("pregnancy", "pregnant", "not pregnant, or nothing, with sex male")
    if pregnant and model.menopausal == "postmenopausal":
        yield Problem("pregnancy", "pregnant", "not pregnant, or nothing, when postmenopausal")
    if model.weeks_pregnant is not None and model.pregnancy == "not pregnant":
        yield Problem("weeks_pregnant", model.weeks_pregnant, "nothing when not pregnant")
    if model.menopausal is not None and model.sex == "male":
        yield Problem("menopausal", model.menopausal, "nothing with sex male")
