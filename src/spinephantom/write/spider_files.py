"""Studies in SPIDER's layout: images/, masks/ and two tables.

The tables are made from the truth files, so a run that was interrupted and resumed ends with the same bytes.
"""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import LEVELS, columns_of
from spinenet.system.files import write_text
from spinephantom.phantom import PhantomStudy
from spinephantom.write.spider_overview import OVERVIEW_COLUMNS, sagittal
from spinephantom.write.truth_files import read_truth, truth_record, write_truth

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
    "LPS". Call ``write_spider_tables`` when all studies are written.
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


def write_spider_tables(root: Path) -> None:
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
    write_text(path, text.getvalue())
