"""A study as a FHIR R4 Bundle: DiagnosticReport, an Observation a grade and level, and the ImagingStudy they are of.

Codes are those of the structured report (``report.dicom.codes``), and so is what is said: a grade that is stood by is
an Observation's value; of any other the value is unknown, and components say what is likely or cannot be excluded. The
report's conclusion codes are the findings that are present and stood by, no others. Experimental grades have no part in
it unless asked for. Who the patient is and UIDs are in it only where outputs may identify.
"""

import base64
import datetime
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinenet import __version__
from spinenet.labels import PRIVATE_SCHEME, RESEARCH_ONLY, TARGET, Code
from spinenet.locating.measuring.quantities import QUANTITY, error_in_words
from spinenet.report.certainty import Certainty, label, reading_of
from spinenet.report.deciding_slices import where_read
from spinenet.report.dicom import codes
from spinenet.report.dicom.objects import why_no_objects
from spinenet.report.findings import in_words, is_found
from spinenet.report.identification import identification_of
from spinenet.report.reviewed import review_of
from spinenet.report.text.narrative import narrative
from spinenet.study import Level, Prediction, SourceImages, StudyResult
from spinenet.system.files import write_text

Resource = dict[str, Any]
SYSTEMS = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "LN": "http://loinc.org",
    "UCUM": "http://unitsofmeasure.org",
    codes.RADELEMENT: "https://radelement.org",
    PRIVATE_SCHEME: f"urn:oid:{codes.PRIVATE_UID}",
}
"""Coding scheme of DICOM -> code system of FHIR."""
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
UIDS = "urn:dicom:uid"
GENDERS = {"M": "male", "F": "female", "O": "other"}


@dataclass(frozen=True)
class BundleSource:
    """What a bundle is made from: a result, the model's facts, and whether it may identify the patient."""

    result: StudyResult
    model: Mapping[str, Any]
    identify: bool

    def url(self, *parts: str) -> str:
        """The address of a resource within the bundle, the same whenever the same model reads the same study."""
        model = str(self.model.get("digest", self.model["name"]))
        return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, '/'.join([self.result.key, model, *parts]))}"

    def reference(self, *parts: str) -> Resource:
        """A reference to such a resource."""
        return {"reference": self.url(*parts)}

    @property
    def status(self) -> str:
        """Final where a reader has approved it."""
        review = review_of(self.result)
        return "final" if review and review.approved else "preliminary"

    @property
    def images(self) -> list[SourceImages]:
        """The images that may be named and can be: by UIDs."""
        named = self.identify and not why_no_objects(self.result)
        return [one.series.images for one in self.result.located if one.series.images and named]


def write_bundle_of(result: StudyResult, path: Path, model: Mapping[str, Any], *, identify: bool) -> None:
    """Write the bundle of a graded study; it is there whole or not at all."""
    content = fhir_bundle(result, model, identify=identify)
    write_text(path, json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n")


def fhir_bundle(result: StudyResult, model: Mapping[str, Any], *, identify: bool = False) -> Resource:
    """The bundle of a graded study, a collection: nothing in it asks a server to store or change anything."""
    source = BundleSource(result, model, identify)
    entries = {source.url("patient"): _patient(source), source.url("device"): _device(source)}
    if source.images:
        entries[source.url("images")] = _imaging_study(source)
    observations = dict(_observations(source))
    entries |= {source.url("report"): _report(source, list(observations)), **observations}
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": _now(),
        "entry": [{"fullUrl": url, "resource": resource} for url, resource in entries.items()],
    }


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def coding(code: Code) -> Resource:
    """A code as FHIR has it."""
    return {"system": SYSTEMS[code.scheme], "code": code.value, "display": code.meaning}


def concept(*several: Code, text: str = "") -> Resource:
    """What several code systems call the same."""
    return {"coding": [coding(code) for code in several], **({"text": text} if text else {})}


def _of_hl7(system: str, code: str) -> Resource:
    return {"coding": [{"system": f"{TERMINOLOGY}/{system}", "code": code}]}


def _patient(source: BundleSource) -> Resource:
    """Who was examined, or, where outputs may not identify, nobody but the study's key."""
    origin = source.result.origin
    if origin is None or not source.identify:
        return {"resourceType": "Patient", "identifier": [{"value": source.result.key}]}
    told = identification_of(origin)
    patient: Resource = {"resourceType": "Patient"}
    if told.patient_id.strip():
        patient["identifier"] = [{"value": told.patient_id.strip()}]
    if told.name:
        patient["name"] = [{"text": told.name}]
    if told.sex.strip():
        patient["gender"] = GENDERS.get(told.sex, "unknown")
    if _is_date(told.birth_date):
        patient["birthDate"] = told.birth_date
    return patient


def _is_date(text: str) -> bool:
    """Whether it is a whole date of ISO 8601; headers hold anything."""
    try:
        return bool(datetime.date.fromisoformat(text)) and len(text) == 10
    except ValueError:
        return False


def _device(source: BundleSource) -> Resource:
    model = source.model
    return {
        "resourceType": "Device",
        "manufacturer": "spinenet",
        "deviceName": [{"name": str(model["name"]), "type": "model-name"}],
        "version": [{"value": f"spinenet {__version__}"}, {"value": f"model {model['version']}"}],
        "note": [{"text": RESEARCH_ONLY}],
    }


def _imaging_study(source: BundleSource) -> Resource:
    """The series that were read, each with its images."""
    told, origin = identification_of(source.result.origin), source.result.origin
    identifiers: list[Resource] = [{"system": UIDS, "value": f"urn:oid:{origin.study_uid}"}] if origin else []
    if accession := told.accession.strip():
        identifiers.append({"type": _of_hl7("v2-0203", "ACSN"), "value": accession})
    by_series: dict[str, dict[str, str]] = {}
    for images in source.images:  # stacks of one series share its UID
        uids = [one[0] for one in images.instances if one is not None]
        by_series.setdefault(images.series_uid, {}).update(dict.fromkeys(uids, images.sop_class_uid))
    return {
        "resourceType": "ImagingStudy",
        "identifier": identifiers,
        "status": "available",
        "subject": source.reference("patient"),
        **({"started": told.date} if _is_date(told.date) else {}),
        "series": [
            {
                "uid": uid,
                "modality": coding(codes.MAGNETIC_RESONANCE),
                "instance": [{"uid": one, "sopClass": _class(class_uid)} for one, class_uid in instances.items()],
            }
            for uid, instances in by_series.items()
        ],
    }


def _class(uid: str) -> Resource:
    return {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{uid}"}


def _report(source: BundleSource, observations: Sequence[str]) -> Resource:
    result, review = source.result, review_of(source.result)
    text = narrative(result, source.model)
    found = [one for one in result.reported if is_found(one)]
    date = identification_of(result.origin).date if source.identify else ""
    return {
        "resourceType": "DiagnosticReport",
        "status": source.status,
        "category": [_of_hl7("v2-0074", "RAD")],
        "code": concept(codes.IMAGING_REPORT, text="Lumbar spine MRI: grades by spinenet"),
        "subject": source.reference("patient"),
        **({"effectiveDateTime": date} if _is_date(date) else {}),
        "issued": _now(),
        **({"resultsInterpreter": [{"display": review.reader}]} if review else {}),
        "result": [{"reference": url} for url in observations],
        **({"imagingStudy": [source.reference("images")]} if source.images else {}),
        "conclusion": " ".join((*text.impression, RESEARCH_ONLY)),
        **({"conclusionCode": [_conclusion(one) for one in found]} if found else {}),
        "presentedForm": [
            {
                "contentType": "text/plain; charset=utf-8",
                "language": "en",
                "data": base64.b64encode(text.text().encode()).decode("ascii"),
                "title": "Report text, research use only",
            }
        ],
    }


def _conclusion(prediction: Prediction) -> Resource:
    return concept(codes.finding_code(TARGET[prediction.target]), text=f"{prediction.level} {in_words(prediction)}")


def _observations(source: BundleSource) -> Iterator[tuple[str, Resource]]:
    """Addresses and Observations: the measurements of each level, and each grade."""
    for level in source.result.levels:
        if level.measurements:
            yield source.url("measurements", level.name), _measured(source, level)
    for prediction in source.result.reported:
        yield source.url("grade", prediction.level, prediction.target), _graded(source, prediction)


def _observation(source: BundleSource, category: Sequence[Code], said: str, **content: Any) -> Resource:
    """What all Observations have in common."""
    return {
        "resourceType": "Observation",
        "status": source.status,
        "category": [_of_hl7("observation-category", "imaging"), *(concept(code) for code in category)],
        "subject": source.reference("patient"),
        "device": source.reference("device"),
        **({"derivedFrom": [source.reference("images")]} if source.images else {}),
        "note": [{"text": f"{said}. {RESEARCH_ONLY}"}],
        **content,
    }


def _measured(source: BundleSource, level: Level) -> Resource:
    errors = [f"{QUANTITY[name].words} {error_in_words(name, error)}" for name, error in level.errors_95.items()]
    return _observation(
        source,
        (),
        "; ".join((f"{level.name}: measurements", *errors)),
        code=concept(codes.MEASUREMENT_GROUP),
        bodySite=concept(codes.LEVEL_CODES[level.name]),
        component=[
            {"code": concept(codes.MEASUREMENT_CODES[name]), "valueQuantity": _quantity(value, codes.UNITS[name])}
            for name, value in level.measurements.items()
        ],
    )


def _quantity(value: float, unit: Code) -> Resource:
    return {"value": float(f"{value:.6g}"), "unit": unit.meaning, "system": SYSTEMS[unit.scheme], "code": unit.value}


def _graded(source: BundleSource, prediction: Prediction) -> Resource:
    target, reading = TARGET[prediction.target], reading_of(prediction)
    category, element = codes.RADELEMENTS.get(target.name, (None, None))
    stands = reading.certainty is Certainty.STANDS
    value = (
        {"valueCodeableConcept": concept(target.step(prediction.grade).code)}
        if stands
        else {"dataAbsentReason": _of_hl7("data-absent-reason", "unknown")}
    )
    return _observation(
        source,
        () if category is None else (category,),
        f"{prediction.level} {target.running}: {label(prediction)}{where_read(source.result, prediction)}",
        code=concept(codes.finding_code(target), *(() if element is None else (element,)), text=target.title),
        bodySite=concept(codes.SITES[target.unit][prediction.level]),
        component=list(_components(prediction)),
        **value,
    )


def _components(prediction: Prediction) -> Iterator[Resource]:
    """Side, probability, what is likely or cannot be excluded, the prediction set, and what it was learnt from."""
    target, reading = TARGET[prediction.target], reading_of(prediction)
    if target.side:
        yield {"code": concept(codes.LATERALITY), "valueCodeableConcept": concept(codes.SIDES[target.side])}
    yield {"code": concept(codes.PROBABILITY), "valueQuantity": _quantity(reading.share, codes.RATIO)}
    coded = [(codes.SET_MEMBER, grade) for grade in prediction.grade_set]
    if reading.certainty is not Certainty.STANDS:
        coded = [*((codes.GRADES[reading.certainty], grade) for grade in reading.grades), *coded]
    for name, grade in coded:
        yield {"code": concept(name), "valueCodeableConcept": concept(target.step(grade).code)}
    yield {"code": concept(codes.EVIDENCE), "valueCodeableConcept": concept(codes.EVIDENCES[prediction.evidence])}
