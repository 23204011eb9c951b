"""One truth file a study, in every layout: all that is known of it except its pixels, as ROOT/truth/<name>.json."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.errors import DatasetError
from spinenet.labels import LEVELS, TARGETS, UNKNOWN
from spinenet.system.files import write_text
from spinephantom.phantom import GENERATOR_VERSION, PhantomStudy, options_record
from spinephantom.write.spider_overview import overview_row, sagittal


def write_truth(root: Path, record: Mapping[str, Any]) -> None:
    """Write one truth file under its patient's name; it appears whole, and marks the study as done."""
    path = root / "truth" / f"{record['patient']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(record, indent=1, sort_keys=True) + "\n")


def read_truth(root: Path) -> list[dict[str, Any]]:
    """The truth files below ``root``, ordered by patient number."""
    paths = sorted((root / "truth").glob("*.json"), key=lambda path: (len(path.stem), path.stem))
    if not paths:
        raise DatasetError(f"{root}: no phantom studies; expected truth/*.json")
    return [json.loads(path.read_text()) for path in paths]


def truth_record(study: PhantomStudy, patient: str, subset: str) -> dict[str, Any]:
    """Everything known about a study except its pixels, ready for JSON."""
    return {
        "patient": patient,
        "subset": subset,
        "seed": study.seed,
        "generator_version": GENERATOR_VERSION,
        "options": options_record(study.options),
        "parameters": study.parameters(),
        "levels": study.levels,
        "grades": grades_record(study.grades_LT),
        "raters": [grades_record(grades_LT) for grades_LT in study.rater_grades_RLT],
        "keypoints": [asdict(point) for point in study.keypoints],
        "series": [overview_row(study, item, patient, subset) for item in sagittal(study)],
    }


def grades_record(grades_LT: NDArray[np.int64]) -> dict[str, dict[str, int]]:
    """Known grades as published values by level and target."""
    record: dict[str, dict[str, int]] = {}
    for level, grades_T in zip(LEVELS, grades_LT, strict=True):
        known = {
            target.name: target.grades[int(grade)]
            for target, grade in zip(TARGETS, grades_T, strict=True)
            if grade != UNKNOWN
        }
        if known:
            record[level] = known
    return record
