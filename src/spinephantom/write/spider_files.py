"""Studies on disc, in SPIDER's layout: images/, masks/, two tables; and beside them one truth file a study.

The tables are made from the truth files, so a run that was interrupted and resumed ends with the same bytes. Every
layout has the same truth files.
"""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.errors import DatasetError
from spinenet.labels import LEVELS, TARGETS, UNKNOWN, View, columns_of
from spinenet.system.files import write_text
from spinephantom.physics.sequence import Weighting
from spinephantom.synthesis import GENERATOR_VERSION, PhantomSeries, PhantomStudy, options_record

OVERVIEW_COLUMNS = [
    "new_file_name",
    "num_vertebrae",
    "num_discs",
    "sex",
    "birth_date",
    "subset",
    "AngioFlag",
    "BodyPartExamined",
    "DeviceSerialNumber",
    "EchoNumbers",
    "EchoTime",
    "EchoTrainLength",
    "FlipAngle",
    "ImagedNucleus",
    "ImagingFrequency",
    "InPlanePhaseEncodingDirection",
    "MRAcquisitionType",
    "MagneticFieldStrength",
    "Manufacturer",
    "ManufacturerModelName",
    "NumberOfPhaseEncodingSteps",
    "PercentPhaseFieldOfView",
    "PercentSampling",
    "PhotometricInterpretation",
    "PixelBandwidth",
    "PixelSpacing",
    "RepetitionTime",
    "SAR",
    "SamplesPerPixel",
    "ScanningSequence",
    "SequenceName",
    "SeriesDescription",
    "SliceThickness",
    "SoftwareVersions",
    "SpacingBetweenSlices",
    "SpecificCharacterSet",
    "TransmitCoilName",
    "WindowCenter",
    "WindowWidth",
]

GRADING_COLUMNS = [
    "Modic",
    "UP endplate",
    "LOW endplate",
    "Spondylolisthesis",
    "Disc herniation",
    "Disc narrowing",
    "Disc bulging",
    "Pfirrman grade",
]
# how SPIDER's files store their axes: order of the canonical axes (slice, row, column) as (i, j, k), and their signs
STORAGE = {"PIR": ((2, 1, 0), (1, 1, -1)), "LPS": ((0, 2, 1), (1, 1, -1))}


def write_spider(
    study: PhantomStudy, root: Path, patient: str, *, subset: str = "training", storage: str = "PIR"
) -> None:
    """Write the images, masks and truth file of one study below ``root``; the truth file comes last and marks it done.

    ``storage`` is the order of the axes in the files: "PIR" (columns backwards, rows down, slices to the right) or
    "LPS". Call ``write_tables`` when all studies are written.
    """
    write_spider_images(study, root, patient, storage)
    write_truth(root, truth_record(study, patient, subset))


def write_spider_images(study: PhantomStudy, root: Path, patient: str, storage: str) -> None:
    """Write images and masks alone."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for item in sagittal(study):
        pixels = item.series.voxels_SRC.astype(np.uint8 if item.pixel == "uint8" else np.uint16)
        affine = item.series.affine_vox2mm
        write_mha(root / "images" / f"{patient}_{item.name}.mha", pixels, affine, storage)
        write_mha(root / "masks" / f"{patient}_{item.name}.mha", item.mask_SRC, affine, storage)


def write_truth(root: Path, record: Mapping[str, Any]) -> None:
    """Write one truth file under its patient's name; it appears whole, and marks the study as done."""
    path = root / "truth" / f"{record['patient']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(record, indent=1, sort_keys=True) + "\n")


def sagittal(study: PhantomStudy) -> list[PhantomSeries]:
    """The series SPIDER's layout has a place for."""
    return [item for item in study.series if item.view is not View.AXIAL_T2]


def write_mha(path: Path, voxels_SRC: NDArray[Any], affine_vox2mm: NDArray[np.float64], storage: str) -> None:
    """Write a volume in canonical order with its axes stored in another order; world positions stay the same."""
    import SimpleITK

    order, signs = STORAGE[storage]
    volume = voxels_SRC.transpose(order)
    affine = affine_vox2mm[:, [*order, 3]].copy()
    for axis, sign in enumerate(signs):
        if sign < 0:
            volume = np.flip(volume, axis)
            affine[:3, 3] += affine[:3, axis] * (volume.shape[axis] - 1)
            affine[:3, axis] *= -1
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(volume.transpose(2, 1, 0)))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    SimpleITK.WriteImage(image, str(path), useCompression=True)


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
        "readers": [grades_record(grades_LT) for grades_LT in study.reader_grades_RLT],
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


def overview_row(study: PhantomStudy, item: PhantomSeries, patient: str, subset: str) -> dict[str, str]:
    """The row of overview.csv for one series. ``birth_date`` holds the age in years, as in SPIDER."""
    protocol, series = item.protocol, item.series
    present = np.unique(item.mask_SRC)
    rows = series.voxels_SRC.shape[1]
    gap, _, spacing = (float(step) for step in np.linalg.norm(series.affine_vox2mm[:3, :3], axis=0))
    low, high = float(series.voxels_SRC.min()), float(series.voxels_SRC.max())
    inversion = protocol.weighting is Weighting.STIR
    known = {
        "new_file_name": f"{patient}_{item.name}",
        "num_vertebrae": int(((present > 0) & (present < 100)).sum()),
        "num_discs": int((present > 200).sum()),
        "sex": study.spine.person.sex + " ",
        "birth_date": f"{study.spine.person.age:.1f}",
        "subset": subset,
        "BodyPartExamined": "LSPINE",
        "EchoNumbers": 1,
        "EchoTime": protocol.te_ms,
        "EchoTrainLength": protocol.echo_train,
        "FlipAngle": 150,
        "ImagedNucleus": "1H",
        "ImagingFrequency": round(42.577 * protocol.field_t, 3),
        "InPlanePhaseEncodingDirection": "COL" if protocol.phase_rows else "ROW",
        "MRAcquisitionType": "2D",
        "MagneticFieldStrength": protocol.field_t,
        "Manufacturer": protocol.vendor,
        "ManufacturerModelName": protocol.model,
        "NumberOfPhaseEncodingSteps": round(rows * protocol.acquired_fraction[1]),
        "PercentPhaseFieldOfView": 100.0,
        "PercentSampling": round(100.0 * protocol.acquired_fraction[1], 2),
        "PhotometricInterpretation": "MONOCHROME2",
        "PixelBandwidth": round(protocol.bandwidth_hz),
        "PixelSpacing": f"[{spacing:.6g}, {spacing:.6g}]",
        "RepetitionTime": protocol.tr_ms,
        "SamplesPerPixel": 1,
        "ScanningSequence": "['SE', 'IR']" if inversion else "SE",
        "SequenceName": f"tir2d1_{protocol.echo_train}" if inversion else f"tse2d1_{protocol.echo_train}",
        "SeriesDescription": protocol.description,
        "SliceThickness": round(0.9 * gap, 2),
        "SoftwareVersions": f"spinenet phantom {GENERATOR_VERSION}",
        "SpacingBetweenSlices": round(gap, 3),
        "SpecificCharacterSet": "ISO_IR 100",
        "TransmitCoilName": "Body",
        "WindowCenter": 0.5 * (low + high),
        "WindowWidth": high - low,
    }
    return {column: str(known.get(column, "")) for column in OVERVIEW_COLUMNS}


def read_truth(root: Path) -> list[dict[str, Any]]:
    """The truth files below ``root``, ordered by patient number."""
    paths = sorted((root / "truth").glob("*.json"), key=lambda path: (len(path.stem), path.stem))
    if not paths:
        raise DatasetError(f"{root}: no phantom studies; expected truth/*.json")
    return [json.loads(path.read_text()) for path in paths]


def write_tables(root: Path) -> None:
    """Write overview.csv and radiological_gradings.csv of all studies below ``root``."""
    records = read_truth(root)
    overview = [row for record in records for row in record["series"]]
    _write_csv(root / "overview.csv", OVERVIEW_COLUMNS, overview)
    gradings = [row for record in records for row in _grading_rows(record)]
    _write_csv(root / "radiological_gradings.csv", ["Patient", "IVD label", *GRADING_COLUMNS], gradings)


def _grading_rows(record: dict[str, Any]) -> list[dict[str, str]]:
    rows, target_of = [], columns_of("spider")
    for level, values in sorted(record["levels"].items(), key=lambda item: LEVELS.index(item[0])):
        row = {"Patient": record["patient"], "IVD label": str(LEVELS.index(level) + 1)}
        row |= {column: str(values["grades"][target_of[column]]) for column in GRADING_COLUMNS}
        rows.append(row)
    return rows


def _write_csv(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue())
