"""Rows of a cohort table as FHIR R4 bundles, with what the five indications need.

    python -m benchmarks.cohort.fhir COHORT.parquet BUNDLES.ndjson [--rows 2000]

LOINC and SNOMED CT where a code is well known, else codes of the project; drugs and adverse events
by their ids in the graph. A fact that is not recorded is not written.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from benchmarks.cohort.handwritten import COLUMNS
from her2kg.record_tnm import read_nodes, read_tnm

if TYPE_CHECKING:
    from her2kg import KnowledgeGraph

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
OWN, TERMS = "https://w3id.org/her2kg/cohort-code", "https://w3id.org/her2kg#"
MCODE = "http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-"

# Column -> code of the observation, unit of its number.
NUMBERS = {
    "age": (LOINC, "30525-0", "a"),
    "er_percent": (LOINC, "14228-1", "%"),
    "pr_percent": (LOINC, "14230-7", "%"),
    "tumor_size_cm": (OWN, "tumour-size", "cm"),
    "pathological_tumor_size_cm": (OWN, "pathological-tumour-size", "cm"),
    "positive_nodes": (LOINC, "21893-3", "{#}"),
    "lvef_percent": (LOINC, "10230-1", "%"),
    "labs.creatinine_clearance_ml_min": (LOINC, "2164-2", "mL/min"),
    "labs.bilirubin_x_uln": (LOINC, "1975-2", "{ULN}"),
    "labs.ast_x_uln": (LOINC, "1920-8", "{ULN}"),
    "labs.alt_x_uln": (LOINC, "1742-6", "{ULN}"),
    "labs.platelets_10e9_per_l": (LOINC, "777-3", "10*9/L"),
    "labs.anc_10e9_per_l": (LOINC, "26499-4", "10*9/L"),
}
# Column -> code of the observation whose value is a code of the project.
WORDS = {
    "menopausal": (OWN, "menopausal-status"),
    "her2_status": (LOINC, "48676-1"),
    "setting": (OWN, "disease-extent"),
    "phase": (OWN, "treatment-phase"),
    "stage": (LOINC, "21908-9"),
    "pathologic_response": (OWN, "pathologic-response"),
    "labs.dpyd": (OWN, "dpyd-phenotype"),
}
PREGNANCY = {"pregnant": "77386006", "not pregnant": "60001007"}


class Writer:
    """Writes patients one by one; names of drugs and events are looked up once each."""

    def __init__(self, kg: KnowledgeGraph) -> None:
        self.names = kg.names
        self._known: dict[tuple[str, tuple[str, ...]], list[str]] = {}

    def drugs(self, names: list[str]) -> list[str]:
        """The ids of the drugs that names of drugs and products stand for."""
        found = [drug for name in names for drug in self._ids(name, ("drug", "product"))]
        return list(dict.fromkeys(found))

    def _ids(self, name: str, kinds: tuple[str, ...]) -> list[str]:
        if (name, kinds) not in self._known:
            iri = self.names.resolve(name, kinds)
            parts = self.names.ingredients(iri)
            self._known[name, kinds] = [str(part).removeprefix(TERMS) for part in parts]
        return self._known[name, kinds]

    def bundle(self, row: dict[str, Any]) -> dict[str, Any]:
        """One patient as a bundle."""
        resources = list(self._resources(row))
        for number, resource in enumerate(resources):
            resource.setdefault("id", f"r{number}")
        entries = [{"resource": resource} for resource in resources]
        return {"resourceType": "Bundle", "type": "collection", "entry": entries}

    def _resources(self, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        patient: dict[str, Any] = {
            "resourceType": "Patient",
            "id": row["id"],
            "meta": {"profile": [f"{MCODE}cancer-patient"]},
        }
        if row["sex"]:
            patient["gender"] = row["sex"]
        if row["birth_date"]:
            patient["birthDate"] = row["birth_date"].isoformat()
        yield patient
        yield from _disease(row)
        for column, (system, code, unit) in NUMBERS.items():
            if row[column] is not None:
                quantity = {"value": row[column], "code": unit}
                yield _observation(system, code, valueQuantity=quantity)
        for column, (system, code) in WORDS.items():
            if row[column] is not None:
                yield _observation(system, code, valueCodeableConcept=_concept(OWN, row[column]))
        if row["pregnancy"]:
            value = _concept(SNOMED, PREGNANCY[row["pregnancy"]])
            yield _observation(LOINC, "82810-3", valueCodeableConcept=value)
        if row["invasive"] is not None:
            yield _observation(OWN, "invasive", valueBoolean=row["invasive"])
        yield from _staging(row)
        yield from _her2(row)
        yield from self._intolerances(row)
        yield from self._therapies(row)

    def _intolerances(self, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        names = row["history.hypersensitivity"]
        if names is None:
            return
        # A list that is given is complete; an empty one is a statement of its own.
        found = [_concept(TERMS, drug) for drug in self.drugs(names)]
        for code in found or [_concept(SNOMED, "409137002")]:
            yield {"resourceType": "AllergyIntolerance", "patient": {}, "code": code}

    def _therapies(self, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if row["prior_therapies_complete"]:
            yield {
                "resourceType": "List",
                "status": "current",
                "mode": "snapshot",
                "code": _concept(OWN, "complete-therapy-history"),
            }
        for number, course in enumerate(row["prior_therapies"] or []):
            yield from self._course(course, f"course-{number}")

    def _course(self, course: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
        drugs, events = course["drugs"], course["adverse_events"]
        if drugs is not None:
            given = self.drugs(drugs)
        elif course["regimen"] is not None:
            given = self._ids(course["regimen"], ("regimen",))
        else:
            given = None
        resource: dict[str, Any] = {
            "resourceType": "Procedure",
            "id": key,
            "status": "in-progress" if course["outcome"] == "ongoing" else "completed",
            "code": _concept(OWN, "course-of-therapy"),
        }
        if course["setting"]:
            resource["category"] = _concept(OWN, course["setting"])
        if course["outcome"]:
            resource["outcome"] = _concept(OWN, course["outcome"])
        if course["end"]:
            resource["performedPeriod"] = {"end": course["end"].isoformat()}
        listed = [("drugs-listed", given), ("adverse-events-listed", events)]
        resource["extension"] = [
            {"url": f"{OWN}/{name}", "valueBoolean": True}
            for name, values in listed
            if values is not None
        ]
        yield resource
        reference = {"reference": f"Procedure/{key}"}
        for drug in given or []:
            yield {
                "resourceType": "MedicationAdministration",
                "meta": {"profile": [f"{MCODE}cancer-related-medication-administration"]},
                "status": "completed",
                "medicationCodeableConcept": _concept(TERMS, drug),
                "partOf": [reference],
            }
        for event in events or []:
            (name,) = self._ids(event["event"], ("adverse event",))
            yield {
                "resourceType": "AdverseEvent",
                "actuality": "actual",
                "event": _concept(TERMS, name),
                "suspectEntity": [{"instance": reference}],
            }


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def _observation(system: str, code: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": _concept(system, code),
        **more,
    }


def _disease(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    condition = {
        "resourceType": "Condition",
        "meta": {"profile": [f"{MCODE}primary-cancer-condition"]},
        "code": _concept(SNOMED, "254837009"),
    }
    yield condition
    if row["recurrence_date"]:
        status = "http://terminology.hl7.org/CodeSystem/condition-clinical"
        yield {
            **condition,
            "clinicalStatus": _concept(status, "recurrence"),
            "onsetDateTime": row["recurrence_date"].isoformat(),
        }
    if row["surgery_date"]:
        yield {
            "resourceType": "Procedure",
            "meta": {"profile": [f"{MCODE}cancer-related-surgical-procedure"]},
            "status": "completed",
            "code": _concept(OWN, "definitive-surgery"),
            "performedDateTime": row["surgery_date"].isoformat(),
        }


def _staging(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each TNM category as an observation; the prefix is in its code."""
    if row["tnm"]:
        yield _observation(OWN, "tnm", valueString=row["tnm"])
    found = (read_tnm(row["tnm"]) or []) if row["tnm"] else []
    nodes = read_nodes(row["nodes"]) if row["nodes"] else None
    if nodes:
        found = [*found, *nodes[0]]
        if nodes[1] is not None and row["positive_nodes"] is None:
            number = {"value": nodes[1], "code": "{#}"}
            yield _observation(LOINC, "21893-3", valueQuantity=number)
    for category in dict.fromkeys(found):
        prefix = "" if category.letter == "M" else category.prefix
        if prefix in ("c", "p", "yp", ""):
            code = f"{prefix}{category.letter}"
            value = _concept(OWN, category.name)
            yield _observation(OWN, code, valueCodeableConcept=value)


def _her2(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """HER2 tests as panels; one without a date is what the record says in short."""
    short = {name: row[f"her2_ish.{name}"] for name in _ISH}
    tests = [{"date": None, "specimen": None, "ihc": row["her2_ihc"], "ish": short}]
    for test in [*tests, *(row["her2_tests"] or [])]:
        parts = [
            _component(LOINC, "85319-2", test["ihc"]),
            _component(OWN, "specimen", test["specimen"]),
            *(_component(*_ISH[name], (test["ish"] or {}).get(name)) for name in _ISH),
        ]
        parts = [part for part in parts if part]
        if parts or test["date"]:
            more: dict[str, Any] = {"component": parts} if parts else {}
            if test["date"]:
                more["effectiveDateTime"] = test["date"].isoformat()
            yield _observation(OWN, "her2-test", **more)


_ISH = {
    "result": (LOINC, "85318-4"),
    "ratio": (LOINC, "74860-8"),
    "copy_number": (OWN, "her2-copy-number"),
    "probe": (OWN, "ish-probe"),
    "recount_confirmed": (OWN, "ish-recount-confirmed"),
}


def _component(system: str, code: str, value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    if isinstance(value, bool):
        typed: dict[str, Any] = {"valueBoolean": value}
    elif isinstance(value, str):
        typed = {"valueCodeableConcept": _concept(OWN, value)}
    else:
        typed = {"valueQuantity": {"value": value}}
    return {"code": _concept(system, code), **typed}


def bundles(cohort: pl.DataFrame, kg: KnowledgeGraph) -> Iterator[dict[str, Any]]:
    """Every row of a cohort table as a bundle; columns that are absent are not recorded."""
    writer = Writer(kg)
    absent = [pl.lit(None, kind).alias(n) for n, kind in COLUMNS.items() if n not in cohort.columns]
    for row in cohort.with_columns(absent).iter_rows(named=True):
        yield writer.bundle(row)


def write(cohort: pl.DataFrame, kg: KnowledgeGraph, path: Path) -> int:
    """Write bundles, one a line; gives their number."""
    number = 0
    with path.open("w", encoding="utf-8") as file:
        for bundle in bundles(cohort, kg):
            file.write(json.dumps(bundle, separators=(",", ":")) + "\n")
            number += 1
    return number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("bundles", type=Path)
    parser.add_argument("--rows", type=int, default=2000)
    options = parser.parse_args()

    from her2kg import KnowledgeGraph

    cohort = pl.scan_parquet(options.cohort).head(options.rows).collect()
    print(write(cohort, KnowledgeGraph(), options.bundles), "bundles")


if __name__ == "__main__":
    main()
