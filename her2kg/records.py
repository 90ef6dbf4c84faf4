"""The patient record: how it is loaded and checked, and its JSON Schema."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from her2kg import record_checks as checks
from her2kg import record_input as reading
from her2kg.errors import DataError, Problem
from her2kg.namespaces import BASE
from her2kg.record_model import PARTS, PatientRecord
from her2kg.record_rdf_read import RDF_FORMATS, fingerprint, read_rdf

if TYPE_CHECKING:
    from her2kg.record_rdf import Names, Triple

DRUG_KINDS = ("drug", "product")
REGIMEN_KINDS = ("regimen",)
EVENT_KINDS = ("adverse event",)
MEDICINE_KINDS = ("concomitant medicine",)


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
    """Replace names by local ids, and look TNM categories up."""
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
    for at, category in checks.unknown_categories(model, names):
        accepted = "a category that the ontology knows"
        find.problems.append(Problem(at, category, accepted))
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
