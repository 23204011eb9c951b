"""``predictions.json``: everything known about studies, for programs; ``report.schema`` describes it.

Each study's page has such a file with that one study beside it; ``predictions.json`` holds all studies of a folder.
Nothing in it says who the patient is, whatever else is asked for. UIDs of study, series and images, by which whoever
has the archive finds the patient, are in it only where outputs may identify.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spinenet import __version__
from spinenet.errors import OutputError
from spinenet.labels import LEVELS, NEVER_LOOKED_FOR, RESEARCH_ONLY, TARGET, TARGETS
from spinenet.locating.discs import NUMBERING
from spinenet.locating.measuring.quantities import QUANTITY
from spinenet.report.certainty import label
from spinenet.report.deciding_slices import deciding, share_of
from spinenet.report.dicom.objects import why_no_objects
from spinenet.study import (
    Level,
    LevelCrop,
    LocatedSeries,
    Measurement,
    Note,
    Prediction,
    Reason,
    Scope,
    Severity,
    SourceImages,
    StudyResult,
)
from spinenet.system.files import replacing, write_text

FORMAT = 1
DOCUMENT_FILE = "predictions.json"
DETAILS = ("error_95", "percentile", "series", "slice_index")
"""What a document says of a measurement beside its value."""
MODEL_FACTS = ("name", "version", "digest", "data", "licence", "noise", "rescan_noise", "views")
Document = dict[str, Any]
"""A file's content; ``studies`` is the list of its studies."""


def document(model: Mapping[str, Any], studies: Iterable[Mapping[str, Any]]) -> Document:
    """The whole content of a file; ``model`` as ``serve.batch.model_facts`` gives it."""
    targets = tuple(model.get("targets", ()))
    facts = {name: model[name] for name in MODEL_FACTS if name in model}
    return {
        "format": FORMAT,
        "notice": RESEARCH_ONLY,
        "numbering": NUMBERING.text,
        "spinenet": __version__,
        "model": {**facts, "targets": list(targets)},
        "not_graded": [target.name for target in TARGETS if target.name not in targets],
        "never_looked_for": list(NEVER_LOOKED_FOR),
        "studies": list(studies),
    }


def study_entry(result: StudyResult, *, identify: bool = False) -> dict[str, Any]:
    """One study, with the UIDs it came with where outputs may identify; a failed one has its reason and flags alone."""
    failed = result.status == "failed"
    named = identify and not why_no_objects(result)
    return {
        "study": result.key,
        **({"study_uid": result.origin.study_uid} if named and result.origin else {}),
        "status": result.status,
        "message": result.message,
        "seconds": round(result.seconds, 3),
        "notes": [_note_entry(note) for note in result.notes],
        "flags": [_note_entry(flag) for flag in result.flags],
        "series": [] if failed else [_series_entry(located, named) for located in result.located],
        "levels": [] if failed else _level_entries(result),
    }


def predictions_of(study: Mapping[str, Any]) -> tuple[Prediction, ...]:
    """The predictions of one study of a document, as they were before they were written."""
    return tuple(
        Prediction(
            level=level["level"],
            target=grade["target"],
            grade=grade["grade"],
            probabilities=tuple(grade["probabilities"]),
            confident=grade["confident"],
            evidence=grade["evidence"],
            grade_set=tuple(grade["grade_set"]),
            reasons=tuple(Reason(**one) for one in grade.get("reasons", ())),
        )
        for level in study["levels"]
        for grade in level["grades"]
    )


def measurements_of(study: Mapping[str, Any]) -> tuple[Measurement, ...]:
    """The measurements of one study of a document, as they were before they were written."""
    return tuple(
        Measurement(
            level["level"], name, value, QUANTITY[name].unit, **level.get("measurement_details", {}).get(name, {})
        )
        for level in study["levels"]
        for name, value in level["measurements"].items()
    )


def notes_of(entries: Sequence[Mapping[str, str]]) -> tuple[Note, ...]:
    """The notes or flags of a study of a document, as they were before they were written."""
    return tuple(
        Note(one["code"], Scope(one["scope"]), one["subject"], one["message"], Severity(one["severity"]))
        for one in entries
    )


def write_document(path: Path, content: Document) -> None:
    """Write a document; it is there whole or not at all."""
    write_text(path, _text(content) + "\n")


def merge_documents(parts: Sequence[Path], path: Path) -> None:
    """Write one document with the studies of many, reading one at a time; where there are no parts there is none."""
    if not parts:
        path.unlink(missing_ok=True)
        return
    opening, closing = _text({**read_document(parts[0]), "studies": []}).rsplit("[]", 1)
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        for index, part in enumerate(parts):
            studies = ",\n".join(_text(study) for study in read_document(part)["studies"])
            file.write(("," if index else opening + "[") + "\n" + studies)
        file.write("\n]" + closing + "\n")


def read_document(path: Path) -> Document:
    """A document as written; OutputError where the file is not one or is of another format."""
    if not path.exists():
        raise OutputError(f"{path}: no such file; name a folder that spinenet predict wrote")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: not a predictions.json of spinenet; predict the studies again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise OutputError(f"{path}: not a predictions.json of this version (format {FORMAT}); predict again")
    return content


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)


def _note_entry(note: Note) -> dict[str, str]:
    return {
        "scope": note.scope.value,
        "subject": note.subject,
        "code": note.code,
        "severity": note.severity.value,
        "message": note.text,
    }


def _series_entry(located: LocatedSeries, named: bool) -> dict[str, Any]:
    series = located.series
    return {
        "name": series.name,
        "plane": series.plane,
        "view": None if series.view is None else series.view.value,
        "reason": series.reason,
        "slices": int(series.voxels_SRC.shape[0]),
        "laterality_known": series.laterality_known,
        "notes": [note.text for note in located.notes],
        **({"images": _images_entry(located.series.images)} if named and located.series.images else {}),
    }


def _images_entry(images: SourceImages) -> dict[str, Any]:
    return {
        "series_uid": images.series_uid,
        "sop_class_uid": images.sop_class_uid,
        "slices": [None if one is None else {"sop_uid": one[0], "frame": one[1]} for one in images.instances],
    }


def _level_entries(result: StudyResult) -> list[dict[str, Any]]:
    """Levels from the sacrum up, those found but not graded too."""
    measured: dict[str, list[Measurement]] = {}
    for one in result.measurements:
        measured.setdefault(one.level, []).append(one)
    found = {level.name: level for level in result.levels}
    levels = sorted({*measured, *result.graded_levels}, key=LEVELS.index)
    return [
        {
            "level": level,
            **({"place": _place_entry(found[level])} if level in found else {}),
            "measurements": {one.name: one.value for one in measured.get(level, ())},
            **_details(measured.get(level, ())),
            "grades": [
                _grade_entry(one, result.crops.get(level, ())) for one in result.predictions if one.level == level
            ],
        }
        for level in levels
    ]


def _place_entry(level: Level) -> dict[str, Any]:
    return {"series": level.series, "center_mm": [round(float(mm), 2) for mm in level.center_mm]}


def _slice_entries(prediction: Prediction, crops: Sequence[LevelCrop]) -> dict[str, Any]:
    """The slices that decided a grade; nothing where the model does not tell."""
    shares = [(one, share_of(one, prediction.target)) for one in deciding(crops, prediction.target)]
    slices = [
        {"series": one.series_name, "slice": one.slice_index, "share": round(share, 3)}
        for one, share in shares
        if share is not None and share > 0
    ]
    return {"slices": slices} if slices else {}


def _details(measured: Sequence[Measurement]) -> dict[str, Any]:
    """How well is known what outlines gave, and from where; nothing where the bundle does not outline."""
    details = {
        one.name: {
            "series": one.series,
            **({} if one.error_95 is None else {"error_95": one.error_95}),
            **({} if one.percentile is None else {"percentile": one.percentile}),
            **({} if one.slice_index is None else {"slice_index": one.slice_index}),
        }
        for one in measured
        if one.series
    }
    return {"measurement_details": details} if details else {}


def measurement_rows(study: Mapping[str, Any]) -> list[dict[str, str]]:
    """The lines of ``measurements.csv`` of one study of a document; none where it was not measured by outlines."""
    levels = study["levels"]
    if not any("measurement_details" in level for level in levels):
        return []
    return [
        {
            "study": study["study"],
            "level": level["level"],
            "measurement": name,
            "value": QUANTITY[name].written(value),
            "unit": QUANTITY[name].unit,
            **{key: str(level.get("measurement_details", {}).get(name, {}).get(key, "")) for key in DETAILS},
        }
        for level in levels
        for name, value in level["measurements"].items()
    ]


def _grade_entry(prediction: Prediction, crops: Sequence[LevelCrop]) -> dict[str, Any]:
    target = TARGET[prediction.target]
    return {
        "target": target.name,
        "grade": prediction.grade,
        "label": label(prediction),
        "probabilities": [round(share, 6) for share in prediction.probabilities],
        "grade_set": list(prediction.grade_set),
        "confident": prediction.confident,
        "evidence": prediction.evidence,
        **_slice_entries(prediction, crops),
        **({"reasons": [asdict(one) for one in prediction.reasons]} if prediction.reasons else {}),
    }
