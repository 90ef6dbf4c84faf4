"""The patient record: its model, how it is loaded and checked, and its JSON Schema."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    ValidationError,
    WithJsonSchema,
)

from her2kg import record_checks as checks
from her2kg import record_input as reading
from her2kg.errors import DataError, Problem
from her2kg.record_rdf import BASE, RDF_FORMATS, fingerprint, read_rdf

if TYPE_CHECKING:
    from her2kg.record_rdf import Names, Triple

MAX_RECORD_BYTES = reading.MAX_RECORD_BYTES
DRUG_KINDS = ("drug", "product")
REGIMEN_KINDS = ("regimen",)
EVENT_KINDS = ("adverse event",)
MEDICINE_KINDS = ("concomitant medicine",)


def _number(unit: str, low: float = 0, high: float | None = None, *, whole: bool = False) -> Any:
    schema = {"type": "integer" if whole else "number", "minimum": low}
    if high is not None:
        schema["maximum"] = high
    read = reading.number_reader(unit, low, high, whole=whole)
    return Annotated[int if whole else float, BeforeValidator(read), WithJsonSchema(schema)]


_DAY_SCHEMA = {"type": "string", "format": "date"}
Day = Annotated[date, BeforeValidator(reading.read_day), WithJsonSchema(_DAY_SCHEMA)]
DayOrFalse = Annotated[
    date | Literal[False],
    BeforeValidator(reading.read_day_or_false),
    WithJsonSchema({"anyOf": [_DAY_SCHEMA, {"type": "boolean", "const": False}]}),
]
Text = Annotated[
    str,
    BeforeValidator(reading.read_text),
    WithJsonSchema({"type": "string", "pattern": r"\S"}),
]
Percent = _number("percent", 0, 100)
TimesUln = _number("multiples of the upper limit of normal")
Cells = _number("10^9 per litre")
MlPerMin = _number("mL/min")
Ratio = _number("HER2/CEP17 signals")
Copies = _number("HER2 signals per cell")
Years = _number("years", 0, 130)
Weeks = _number("weeks", 0, 45)
Centimetres = _number("cm")
Count = _number("", whole=True)
EcogGrade = _number("ECOG grade", 0, 5, whole=True)
TumourGrade = _number("histologic grade", 1, 3, whole=True)
EventGrade = _number("CTCAE grade", 1, 5, whole=True)
NeuropathyGrade = _number("CTCAE grade", 0, 5, whole=True)

IhcScore = Literal["0", "1+", "2+", "3+"]
IshResult = Literal["positive", "negative", "equivocal", "not done"]
Stage = Literal[
    "0", "I", "IA", "IB", "II", "IIA", "IIB", "III", "IIIA", "IIIB", "IIIC", "IV"
]  # fmt: skip
Phase = Literal[
    "before surgery",
    "after surgery",
    "residual disease",
    "adjuvant therapy under way",
    "adjuvant therapy completed",
]
Site = Literal[
    "brain", "liver", "lung", "bone", "lymph node", "skin", "pleura", "peritoneum",
    "leptomeninges", "other",
]  # fmt: skip
BrainState = Literal[
    "none", "stable", "treated-stable", "active", "untreated-asymptomatic",
    "treated-progressing", "active-asymptomatic", "symptomatic",
]  # fmt: skip
Circumstance = Literal[
    "low disease burden", "contraindication to HER2 therapy", "long disease-free interval"
]
CourseSetting = Literal[
    "neoadjuvant", "adjuvant", "post-neoadjuvant", "extended adjuvant", "metastatic", "maintenance"
]
Outcome = Literal["completed", "progression", "recurrence", "toxicity", "ongoing", "stopped"]
Response = Literal["complete response", "partial response", "stable disease", "progressive disease"]
PathologicResponse = Literal["pCR", "residual invasive disease", "residual in situ only"]
Dpyd = Literal["normal metaboliser", "intermediate metaboliser", "poor metaboliser"]
Specimen = Literal["primary", "metastasis", "residual disease"]


def _is(description: str) -> Any:
    return Field(default=None, description=description)


def _short_form(schema: dict[str, Any]) -> None:
    schema["anyOf"].insert(
        0, {"type": "string", "enum": ["positive", "negative", "equivocal", "not done"]}
    )


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IshTest(_Part):
    """An in-situ hybridisation test of HER2."""

    result: IshResult | None = _is("Result as reported.")
    ratio: Ratio | None = _is("HER2/CEP17 ratio, no unit.")
    copy_number: Copies | None = _is("Mean HER2 copies per cell.")
    probe: Literal["dual", "single"] | None = _is("Kind of probe.")
    recount_confirmed: StrictBool | None = _is("A second, blinded count gave the same result.")


Ish = Annotated[IshTest, reading.ISH_SHORT_FORM]


def _ish(description: str) -> Any:
    return Field(default=None, description=description, json_schema_extra=_short_form)


class Her2Test(_Part):
    """One dated HER2 test; the newest supplies her2_ihc and her2_ish where these are absent."""

    date: Day | None = _is("Date of the specimen, YYYY-MM-DD; required.")
    specimen: Specimen | None = _is("What was tested.")
    ihc: IhcScore | None = _is("Immunohistochemistry score.")
    ish: Ish | None = _ish("In-situ hybridisation: its result, or an object with the counts.")


class AdverseEvent(_Part):
    """One toxicity during a course of therapy."""

    event: Text | None = _is("Name or id of the adverse event; required.")
    grade: EventGrade | None = _is("CTCAE grade, 1 to 5.")
    start: Day | None = _is("Day of onset, YYYY-MM-DD.")
    resolved: DayOrFalse | None = _is("Day of recovery, YYYY-MM-DD, or false: not recovered.")


class Course(_Part):
    """One course of therapy; neither regimen nor drugs means that the drugs are unknown."""

    regimen: Text | None = _is("Id, label, abbreviation or synonym of the regimen.")
    drugs: list[Text] | None = _is("Drugs by id, label, brand or synonym; null: not known which.")
    setting: CourseSetting | None = _is("Why the course was given.")
    start: Day | None = _is("First day, YYYY-MM-DD.")
    end: Day | None = _is("Last day, YYYY-MM-DD.")
    outcome: Outcome | None = _is("How the course ended, or ongoing.")
    progression_date: Day | None = _is("Day of progression, YYYY-MM-DD.")
    best_response: Response | None = _is("Best response to the course.")
    cycles: Count | None = _is("Number of cycles given.")
    adverse_events: list[AdverseEvent] | None = _is("Toxicities; [] means that there were none.")


class Labs(_Part):
    """Laboratory values; the unit is in each name."""

    creatinine_clearance_ml_min: MlPerMin | None = _is("Creatinine clearance, mL/min.")
    bilirubin_x_uln: TimesUln | None = _is("Bilirubin, multiples of the upper limit of normal.")
    ast_x_uln: TimesUln | None = _is("AST, multiples of the upper limit of normal.")
    alt_x_uln: TimesUln | None = _is("ALT, multiples of the upper limit of normal.")
    platelets_10e9_per_l: Cells | None = _is("Platelets, 10^9 per litre.")
    anc_10e9_per_l: Cells | None = _is("Neutrophils, 10^9 per litre.")
    dpyd: Dpyd | None = _is("DPYD phenotype.")
    child_pugh: Literal["A", "B", "C"] | None = _is("Child-Pugh class.")


class History(_Part):
    """Earlier and present conditions that criteria ask for."""

    interstitial_lung_disease: Literal["none", "past", "current"] | None = _is(
        "Interstitial lung disease or pneumonitis."
    )
    ild_needed_steroids: StrictBool | None = _is("The lung disease needed steroids.")
    heart_failure: Literal["none", "asymptomatic", "symptomatic"] | None = _is("Heart failure.")
    nyha_class: Literal["I", "II", "III", "IV"] | None = _is("NYHA class of heart failure.")
    neuropathy_grade: NeuropathyGrade | None = _is(
        "Present peripheral neuropathy, CTCAE grade, 0 to 5."
    )
    hypersensitivity: list[Text] | None = _is("Drugs not tolerated; [] means none.")


class Judgement(_Part):
    """What only the treating clinician can say."""

    symptomatic_mass_effect: StrictBool | None = _is("Symptomatic mass effect in the brain.")
    immediate_brain_therapy_needed: StrictBool | None = _is("Brain metastases need therapy now.")
    visceral_crisis: StrictBool | None = _is("Visceral crisis.")
    chemotherapy_intended: StrictBool | None = _is("Chemotherapy is intended.")
    suitable_for_endocrine_therapy: StrictBool | None = _is("Endocrine therapy is suitable.")
    satisfactory_alternative: StrictBool | None = _is("A satisfactory alternative exists.")
    special_circumstances: list[Circumstance] | None = _is("Special circumstances; []: none.")


class PatientRecord(_Part):
    """One patient with breast cancer at one date. Absent or null means not recorded."""

    model_config = ConfigDict(title="her2kg patient record")

    id: Text = Field(description="Name of the record; no personal data.")
    as_of: Day | None = _is("Reference date of the record, YYYY-MM-DD; today if absent.")
    sex: Literal["female", "male"] | None = _is("Sex.")
    age: Years | None = _is("Age at as_of, years.")
    birth_date: Day | None = _is("Date of birth, YYYY-MM-DD; instead of age.")
    menopausal: Literal["premenopausal", "postmenopausal"] | None = _is("Menopausal status.")
    pregnancy: Literal["pregnant", "not pregnant"] | None = _is("Pregnancy status.")
    weeks_pregnant: Weeks | None = _is("Completed weeks of pregnancy.")
    ecog: EcogGrade | None = _is("ECOG performance status, 0 to 5.")
    her2_ihc: IhcScore | None = _is("HER2 immunohistochemistry score.")
    her2_ish: Ish | None = _ish("HER2 in-situ hybridisation: result, or object with the counts.")
    her2_membrane_staining: StrictBool | None = _is("Any HER2 membrane staining was seen.")
    her2_status: Literal["positive", "negative", "equivocal"] | None = _is(
        "HER2 status reported without a score."
    )
    her2_tests: list[Her2Test] | None = _is("Dated HER2 tests.")
    er_percent: Percent | None = _is("Oestrogen-receptor-positive cells, percent.")
    pr_percent: Percent | None = _is("Progesterone-receptor-positive cells, percent.")
    setting: Literal["early", "unresectable", "metastatic"] | None = _is(
        "Extent now; unresectable is locally advanced or recurrent without distant spread."
    )
    phase: Phase | None = _is("Where a patient with early disease stands.")
    stage: Stage | None = _is("Anatomic stage.")
    tnm: Text | None = _is("TNM with its prefixes, such as cT2 cN1 M0.")
    grade: TumourGrade | None = _is("Tumour grade, 1 to 3.")
    tumor_size_cm: Centimetres | None = _is("Largest diameter of the tumour, cm.")
    nodes: Text | None = _is("Nodal status in words, such as cN0, pN1a or 2 positive.")
    positive_nodes: Count | None = _is("Number of positive nodes.")
    inflammatory: StrictBool | None = _is("Inflammatory breast cancer.")
    invasive: StrictBool | None = _is("Invasive cancer; false means in situ only.")
    resectable: StrictBool | None = _is("The tumour can be resected.")
    metastatic_sites: list[Site] | None = _is("Sites of metastases.")
    brain_mets: BrainState | None = _is("State of brain metastases.")
    leptomeningeal_disease: StrictBool | None = _is("Leptomeningeal disease.")
    judgement: Judgement | None = _is("What only the treating clinician can say.")
    measurable_disease: StrictBool | None = _is("Measurable disease by RECIST.")
    surgery_date: Day | None = _is("Day of breast surgery, YYYY-MM-DD.")
    recurrence_date: Day | None = _is("Day of recurrence, YYYY-MM-DD.")
    pathologic_response: PathologicResponse | None = _is("Response found at surgery.")
    prior_therapies: list[Course] | None = _is("Courses of therapy, those under way included.")
    prior_therapies_complete: StrictBool | None = _is("prior_therapies lists every course.")
    lvef_percent: Percent | None = _is("Left ventricular ejection fraction now, percent.")
    lvef_baseline_percent: Percent | None = _is("Ejection fraction before therapy, percent.")
    labs: Labs | None = _is("Laboratory values; the unit is in each name.")
    history: History | None = _is("Earlier and present conditions that criteria ask for.")
    medications: list[Text] | None = _is("Concomitant medicines; [] means none.")
    conditions: list[Text] | None = _is("Other conditions by name or code; kept.")
    genomics: JsonValue = _is("Any JSON; kept, never interpreted.")
    notes: JsonValue = _is("Any JSON; kept, never interpreted.")


PARTS: dict[tuple[str, ...], type[BaseModel]] = {
    (): PatientRecord,
    ("her2_ish",): IshTest,
    ("her2_tests",): Her2Test,
    ("her2_tests", "ish"): IshTest,
    ("prior_therapies",): Course,
    ("prior_therapies", "adverse_events"): AdverseEvent,
    ("labs",): Labs,
    ("history",): History,
    ("judgement",): Judgement,
}


@dataclass(frozen=True)
class Record:
    """A checked patient record.

    Shape: `model` holds local ids in place of drug and regimen names; `rdf` is None, or the
    triples of a record that came as RDF (its `model` then holds only id and as_of).
    Units: `sha256` in hexadecimal, `iri` a full IRI.
    """

    model: PatientRecord
    sha256: str
    iri: str
    not_interpreted: tuple[str, ...] = ()
    as_of: date | None = None
    rdf: tuple[Triple, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the normalised record as JSON values, without nulls."""
        return _plain_record(self.model)


def slug(identifier: str) -> str:
    """Turn a record id into the part of its IRI after patient_."""
    return re.sub(r"[^a-z0-9]", "_", identifier.lower())


def load_record(
    source: str | Path | bytes | Mapping[str, Any] | PatientRecord,
    *,
    names: Names,
    today: date | None = None,
) -> Record:
    """Read, check and normalise one patient record.

    Shape: `source` is a path, JSON text or bytes, a dict or a PatientRecord; a path that ends in
    .ttl, .nt, .jsonld, .rdf or .owl is RDF. A string that starts with { or [ is JSON text.
    Errors: one DataError with every problem of the record.
    """
    today = today or date.today()
    path = _path_of(source)
    if path is not None and path.suffix.lower() in RDF_FORMATS:
        return _load_rdf(path, names)
    where = str(path) if path is not None else None
    data, problems = reading.read_source(source if path is None else path)
    model, found = _validate(data)
    problems += found
    problems += checks.check_record(model, today)
    model, found, not_interpreted = _resolve(model, names)
    problems += found
    if problems:
        raise DataError(problems, where)
    return Record(
        model=model,
        sha256=hashlib.sha256(_canonical(_plain_record(model))).hexdigest(),
        iri=f"{BASE}patient_{slug(model.id)}",
        not_interpreted=not_interpreted,
        as_of=model.as_of,
    )


def json_schema() -> dict[str, Any]:
    """Give the JSON Schema of the patient record, with the accepted values and units."""
    schema = PatientRecord.model_json_schema()
    schema["$defs"]["Her2Test"]["required"] = ["date"]
    schema["$defs"]["AdverseEvent"]["required"] = ["event"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def write_json_schema(path: str | Path) -> None:
    """Write the JSON Schema of the patient record to a file."""
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    Path(path).write_text(text + "\n", encoding="utf-8")


def _path_of(source: Any) -> Path | None:
    if isinstance(source, Path):
        return source
    if isinstance(source, str) and source.strip() and source.lstrip("\ufeff \t\r\n")[0] not in "{[":
        return Path(source)
    return None


def _validate(data: Any) -> tuple[PatientRecord, list[Problem]]:
    """Build the model from what is well-formed, and report the rest."""
    problems: list[Problem] = []
    while True:
        try:
            tidy = _plain_record(PatientRecord.model_validate(data))
            return PatientRecord.model_validate(tidy), problems
        except ValidationError as error:
            found = reading.translate(error.errors(include_url=False), data, PARTS)
            problems += [problem for problem, _ in found]
            data = reading.without(data, [place for _, place in found])


def _resolve(
    model: PatientRecord, names: Names
) -> tuple[PatientRecord, list[Problem], tuple[str, ...]]:
    """Replace names by local ids and fill the HER2 short fields from the newest test."""
    find = checks.Resolver(names)
    data = model.model_dump()
    for index, course in enumerate(data["prior_therapies"] or []):
        at = f"prior_therapies[{index}]"
        if course["regimen"] is not None:
            course["regimen"] = find.one(course["regimen"], REGIMEN_KINDS, f"{at}.regimen")
        course["drugs"] = find.all(course["drugs"], DRUG_KINDS, f"{at}.drugs")
        for number, event in enumerate(course["adverse_events"] or []):
            place = f"{at}.adverse_events[{number}].event"
            if event["event"] is not None:
                event["event"] = find.one(event["event"], EVENT_KINDS, place)
        find.check_course(course, model.prior_therapies[index], at)
    history = data["history"]
    if history:
        given, place = history["hypersensitivity"], "history.hypersensitivity"
        history["hypersensitivity"] = find.all(given, DRUG_KINDS, place)
    not_interpreted = [f'conditions: "{name}"' for name in data["conditions"] or []]
    if data["medications"] is not None:
        known = [find.known(name, MEDICINE_KINDS) for name in data["medications"]]
        pairs = list(zip(data["medications"], known, strict=True))
        not_interpreted += [f'medications: "{name}"' for name, term in pairs if term is None]
        data["medications"] = [term or name for name, term in pairs]
    for field in ("ihc", "ish"):
        newest = checks.newest_results(model, field)
        if data[f"her2_{field}"] is None and newest:
            data[f"her2_{field}"] = newest[0]
    return PatientRecord.model_validate(data), find.problems, tuple(not_interpreted)


def _load_rdf(path: Path, names: Names) -> Record:
    triples, iri = read_rdf(path, names)
    identifier, as_of, digest = fingerprint(triples, iri, names)
    model = PatientRecord(id=identifier, as_of=as_of)
    return Record(model, digest, iri, (), as_of, tuple(triples))


def _plain_record(model: PatientRecord) -> dict[str, Any]:
    """Write a model as JSON values: no nulls, no empty parts, whole numbers as integers."""
    data = model.model_dump(mode="json", exclude_none=True)
    free = {name: data.pop(name) for name in ("genomics", "notes") if name in data}
    return {**_tidy(data), **free}


def _tidy(value: Any) -> Any:
    if isinstance(value, dict):
        tidy = {key: _tidy(inner) for key, inner in value.items()}
        return {key: inner for key, inner in tidy.items() if inner != {}}
    if isinstance(value, list):
        return [_tidy(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _canonical(data: dict[str, Any]) -> bytes:
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8")
