"""The fields of a patient record, with their units, accepted values and meaning."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    WithJsonSchema,
)

from her2kg import record_input as reading


def _number(
    unit: str,
    low: float = 0,
    high: float | None = None,
    *,
    whole: bool = False,
    if_small: str | None = None,
) -> Any:
    schema = {"type": "integer" if whole else "number", "minimum": low}
    if high is not None:
        schema["maximum"] = high
    read = reading.number_reader(unit, low, high, whole=whole, if_small=if_small)
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
# No heart ejects less than 5 percent: a smaller number is a fraction typed by mistake.
Lvef = _number("percent", 5, 100, if_small="a percentage such as 62, not a fraction")
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
    """One dated HER2 test; which of them counts is stated in the ontology (Her2Test)."""

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
    high_risk_of_recurrence: StrictBool | None = _is("The risk of recurrence is high.")
    low_risk_of_recurrence: StrictBool | None = _is("The risk of recurrence is low.")
    high_cardiotoxicity_risk: StrictBool | None = _is("The risk of cardiac toxicity is high.")
    anthracycline_contraindicated: StrictBool | None = _is("No anthracycline can be given.")
    chemotherapy_contraindicated: StrictBool | None = _is("No chemotherapy can be given.")
    chemotherapy_declined: StrictBool | None = _is("The patient declines chemotherapy.")
    antibody_drug_conjugate_unavailable: StrictBool | None = _is(
        "Neither trastuzumab emtansine nor trastuzumab deruxtecan can be used."
    )
    trastuzumab_cardiotoxicity: StrictBool | None = _is(
        "Cardiac toxicity of trastuzumab limited treatment."
    )
    osteonecrosis_risk: StrictBool | None = _is("High risk of osteonecrosis of the jaw.")
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
    tnm: Text | None = _is(
        "TNM with its prefixes c, p or yp, such as cT2 cN1 M0, or cT3 cN1 M0; ypT1a ypN0."
    )
    grade: TumourGrade | None = _is("Tumour grade, 1 to 3.")
    tumor_size_cm: Centimetres | None = _is(
        "Largest diameter, cm: clinical before surgery, pathological where surgery came first."
    )
    clinical_tumor_size_cm: Centimetres | None = _is("Largest diameter before treatment, cm.")
    pathological_tumor_size_cm: Centimetres | None = _is(
        "Largest invasive diameter in the specimen where surgery came first, cm."
    )
    nodes: Text | None = _is("Nodal status, such as cN0, pN1a, ypN0(i+) or 2 positive.")
    positive_nodes: Count | None = _is("Number of positive nodes found at surgery.")
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
    lvef_percent: Lvef | None = _is("Left ventricular ejection fraction now, percent.")
    lvef_baseline_percent: Lvef | None = _is("Ejection fraction before therapy, percent.")
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
