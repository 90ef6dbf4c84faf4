"""What a patient record can say wrong: unknown names, impossible dates, contradictions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from her2kg.errors import Fact, Problem, UnknownCode, UnknownTerm
from her2kg.namespaces import BASE
from her2kg.record_input import DAY
from her2kg.record_tnm import NODES, TNM, Category, categories, read_nodes, read_tnm

if TYPE_CHECKING:
    from her2kg.record_model import Course, PatientRecord
    from her2kg.record_rdf import Names

OLDEST = 130  # years
LOCAL_SITES = ("lymph node",)
_PLACEHOLDER = "drug_unspecified_"


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
            if isinstance(error, UnknownCode):
                accepted = error.accepted
            elif error.ambiguous:
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


def completed_years(birth: date, day: date) -> int:
    """Count the birthdays after birth up to and including a day."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def unknown_categories(model: PatientRecord, names: Names) -> Iterator[tuple[str, str]]:
    """Find the T and N categories of a record that the ontology does not hold."""
    for category in categories(model.tnm, model.nodes):
        if category.property is not None:
            try:
                names.value(BASE + category.property, category.name)
            except UnknownTerm:
                yield "tnm" if category.written in (model.tnm or "") else "nodes", category.written


def check_record(model: PatientRecord, today: date) -> list[Problem]:
    """Find impossible dates and statements that contradict one another."""
    return [
        *_dates(model, today),
        *_age(model, today),
        *_her2(model),
        *_staging(model),
        *_surgery(model),
        *_contradictions(model),
    ]


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
            yield Problem(at, Fact("nothing"), f"{DAY}; add the date of the test")
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
    if years > OLDEST:
        yield Problem(
            "birth_date",
            model.birth_date.isoformat(),
            f"a date that makes the age on {day} at most {OLDEST} years (it is {years})",
        )
    elif years >= 0 and model.age is not None and abs(model.age - years) > 1:
        accepted = (
            f"about {years}, the age on {day} by birth_date; correct or leave out one of them"
        )
        yield Problem("age", model.age, accepted)


def _her2(model: PatientRecord) -> Iterator[Problem]:
    """Compare the short fields with the tests, the setting with the specimens."""
    tests = model.her2_tests or []
    for field in ("ihc", "ish"):
        at, short = f"her2_{field}", getattr(model, f"her2_{field}")
        # A test of residual disease never counts, so it may differ.
        counting = [test for test in tests if test.specimen != "residual disease"]
        results = [result for test in counting if (result := getattr(test, field)) is not None]
        if short is not None and results and all(_differ(short, other) for other in results):
            said = " or ".join(dict.fromkeys(_brief(result) for result in results))
            accepted = f"a result of her2_tests ({said}); correct or leave out one"
            yield Problem(at, Fact(_brief(short)), accepted)
    assays = [("her2_ish", model.her2_ish)]
    assays += [(f"her2_tests[{index}].ish", test.ish) for index, test in enumerate(tests)]
    for at, ish in assays:
        if ish is not None and ish.probe == "single" and ish.ratio is not None:
            yield Problem(f"{at}.ratio", ish.ratio, "nothing with probe single; a ratio needs dual")
    for index, test in enumerate(tests):
        if test.specimen == "metastasis" and model.setting == "early":
            accepted = "primary or residual disease with setting early; correct one of them"
            yield Problem(f"her2_tests[{index}].specimen", "metastasis", accepted)


def _staging(model: PatientRecord) -> Iterator[Problem]:
    """Read TNM and nodes, and look for categories that are stated twice."""
    tnm = read_tnm(model.tnm) if model.tnm is not None else []
    nodes = read_nodes(model.nodes) if model.nodes is not None else ([], None)
    if tnm is None:
        yield Problem("tnm", model.tnm, TNM)
    if nodes is None:
        yield Problem("nodes", model.nodes, NODES)
    seen: dict[tuple[str, str], Category] = {}
    for at, category in [
        *(("tnm", category) for category in tnm or []),
        *(("nodes", category) for category in (nodes[0] if nodes else [])),
    ]:
        prefix = category.prefix if category.letter != "M" else ""
        other = seen.setdefault((prefix, category.letter), category)
        if other.name != category.name:
            accepted = f"{other.written} as stated before; correct one of them"
            yield Problem(at, Fact(category.written), accepted)
    number = nodes[1] if nodes else None
    if number is not None and model.positive_nodes not in (None, number):
        accepted = f"{number} as nodes says; correct one of them"
        yield Problem("positive_nodes", model.positive_nodes, accepted)


def _surgery(model: PatientRecord) -> Iterator[Problem]:
    """Compare what tells of surgery with the phase and the therapies."""
    written = {category.prefix: category for category in categories(model.tnm, model.nodes)}
    courses = model.prior_therapies or []
    neoadjuvant = any(course.setting == "neoadjuvant" for course in courses)
    none_came_first = (
        model.prior_therapies_complete is True
        and not neoadjuvant
        and all(course.setting is not None for course in courses)
    )
    after = {
        "surgery_date": model.surgery_date,
        "pathologic_response": model.pathologic_response,
        "positive_nodes": model.positive_nodes,
        "pathological_tumor_size_cm": model.pathological_tumor_size_cm,
        "tnm or nodes": next((str(written[p].written) for p in ("p", "yp") if p in written), None),
    }
    told = [field for field, value in after.items() if value is not None]
    if model.phase == "before surgery" and told:
        accepted = f"a later phase with {told[0]}; correct one of them"
        yield Problem("phase", "before surgery", accepted)
    if "p" in written and neoadjuvant:
        accepted = "the prefix yp after neoadjuvant therapy, c before it"
        yield Problem("tnm", Fact(written["p"].written), accepted)
    if none_came_first and "yp" in written:
        accepted = "c or p where the complete prior_therapies hold no neoadjuvant course"
        yield Problem("tnm", Fact(written["yp"].written), accepted)
    if none_came_first and model.pathologic_response is not None:
        accepted = "nothing where the complete prior_therapies hold no neoadjuvant course"
        yield Problem("pathologic_response", model.pathologic_response, accepted)
    if none_came_first and model.phase == "residual disease":
        accepted = "another phase where the complete prior_therapies hold no neoadjuvant course"
        yield Problem("phase", model.phase, accepted)


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
    distant = ", ".join(site for site in sites if site not in LOCAL_SITES)
    early, stage = model.setting == "early", model.stage
    tnm_m = re.search(r"M([01])", model.tnm or "")
    grown = [c for c in categories(model.tnm, model.nodes) if re.match("T[1-4]", c.name)]
    in_brain = model.brain_mets not in (None, "none")
    pregnant = model.pregnancy == "pregnant"
    # With a recurrence date, stage and TNM may be those of the first diagnosis.
    now = model.recurrence_date is None
    if distant and now and stage is not None and stage != "IV":
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
    if tnm_m and tnm_m[1] == "0" and distant and now:
        yield Problem("tnm", model.tnm, f"M1 with metastatic_sites {distant}; correct one of them")
    if model.invasive is False and model.setting == "metastatic":
        yield Problem("invasive", False, "true, or nothing, with setting metastatic")
    elif model.invasive is False and grown:
        accepted = f"true, or nothing, with {grown[0].written} in tnm"
        yield Problem("invasive", False, accepted)
    elif model.invasive is False and stage not in (None, "0"):
        yield Problem("invasive", False, f"true, or nothing, with stage {stage}")
    if pregnant and model.sex == "male":
        yield Problem("pregnancy", "pregnant", "not pregnant, or nothing, with sex male")
    if pregnant and model.menopausal == "postmenopausal":
        yield Problem("pregnancy", "pregnant", "not pregnant, or nothing, when postmenopausal")
    if model.weeks_pregnant is not None and model.pregnancy == "not pregnant":
        yield Problem("weeks_pregnant", model.weeks_pregnant, "nothing when not pregnant")
    if model.menopausal is not None and model.sex == "male":
        yield Problem("menopausal", model.menopausal, "nothing with sex male")
