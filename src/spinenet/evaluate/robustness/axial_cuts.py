"""Thin sagittal volumes cut axially at their discs: axial slices of patients where nobody acquired any.

What a grader that learnt axial slices of phantoms says of patients' can be counted so, by level, though nobody has
graded them. Shape letters: H W pixels of a slice, R C of a volume's.
"""

from collections.abc import Iterable
from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from spinenet.crops import CropSpec
from spinenet.datasets import LabelledStudy
from spinenet.datasets.level_sources import placed_series
from spinenet.geometry import RAS_TO_LPS
from spinenet.labels import STENOSIS_LEVELS
from spinenet.study import LevelFrame, LocatedSeries, StudyResult

FEWEST_SLICES = 20
"""A sagittal series of fewer slices is no volume: cut across it shows nothing."""
SIZE, PIXEL_MM, BEHIND_MM = 256, 0.6, 20.0
"""Of a slice, whose middle lies so far behind that of the disc; what the volume does not reach is padding."""
SLICE_MM, HEIGHTS_MM, THICKNESS_MM = 4.0, (-4.0, 0.0, 4.0), (-1.2, 0.0, 1.2)
"""Slices of a stack above and below the disc's middle, and where in a slice its grey value is taken, for a mean."""
STENOSES = ("canal_stenosis", "foraminal_stenosis", "subarticular_stenosis")


def cut_axially(study: LabelledStudy, folder: Path) -> LocatedSeries | None:
    """Write a study's first thin sagittal volume, thinned to slices of about 4 mm, and an axial stack a lumbar disc as
    NIfTI below ``folder``/``name_of``; the volume, or None where it has none. Levels are those of its label images."""
    volumes = (one for one in placed_series(study, CropSpec()) if one.series.plane == "sagittal")
    located = next((one for one in volumes if len(one.series.voxels_SRC) >= FEWEST_SLICES), None)
    if located is None:
        return None
    name = name_of(study)
    images = folder / name / "anat"
    images.mkdir(parents=True, exist_ok=True)
    step = max(1, round(0.975 * SLICE_MM / float(located.series.spacing_mm[0])))
    affine = located.series.affine_vox2mm @ np.diag([step, 1.0, 1.0, 1.0])
    _save(located.series.voxels_SRC[::step], affine, images / f"{name}_acq-sag_T2w.nii.gz")
    for frame in located.frames:
        if frame.level in STENOSIS_LEVELS:
            voxels_SHW, affine = _stack(located, frame)
            _save(voxels_SHW, affine, images / f"{name}_acq-ax{frame.level.replace('/', '')}_T2w.nii.gz")
    return located


def name_of(study: LabelledStudy) -> str:
    """What the cut study is called, as its result is."""
    return f"sub-{study.key.removeprefix('sub-')}"


def _stack(located: LocatedSeries, frame: LevelFrame) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Slices square to the disc's axis, rows backwards and columns to the patient's side, with their affine."""
    up, back = (vector / np.linalg.norm(vector) for vector in (frame.superior, frame.posterior))
    across = np.cross(back, up)
    across = across if across[0] < 0 else -across
    steps_mm = (np.arange(SIZE) - SIZE / 2) * PIXEL_MM
    plane_mm = frame.center_mm + BEHIND_MM * back + steps_mm[:, None, None] * back + steps_mm[None, :, None] * across
    volume_SRC = located.series.voxels_SRC
    shown = [
        np.mean([_sampled(located, plane_mm + (height + beside) * up) for beside in THICKNESS_MM], axis=0)
        for height in HEIGHTS_MM
    ]
    affine = np.eye(4)
    affine[:3, :3] = np.stack([SLICE_MM * up, PIXEL_MM * back, PIXEL_MM * across], axis=1)
    affine[:3, 3] = plane_mm[0, 0] + HEIGHTS_MM[0] * up
    return np.stack(shown).astype(volume_SRC.dtype), affine


def _sampled(located: LocatedSeries, places_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    volume_SRC = located.series.voxels_SRC
    at = np.moveaxis(located.series.to_vox(places_mm), -1, 0)
    return np.asarray(ndimage.map_coordinates(volume_SRC, at, order=1, cval=float(volume_SRC.min())), np.float32)


def _save(voxels_SRC: NDArray[np.float32], affine_vox2mm: NDArray[np.float64], path: Path) -> None:
    """A volume as NIfTI, whose first axis are columns."""
    affine = RAS_TO_LPS @ affine_vox2mm[:, [2, 1, 0, 3]]
    nib.save(nib.Nifti1Image(np.transpose(voxels_SRC, (2, 1, 0)), affine), path)


def grades_by_level(results: Iterable[StudyResult]) -> pd.DataFrame:
    """A row a stenosis (left and right together) and level, from the head down: how many were graded, and shares of
    moderate and severe."""
    graded: dict[tuple[str, str], list[int]] = {}
    for one in (prediction for result in results for prediction in result.predictions):
        graded.setdefault((one.target.removesuffix("_left").removesuffix("_right"), one.level), []).append(one.grade)
    return pd.DataFrame(
        {
            "target": target,
            "level": level,
            "graded": len(grades),
            "moderate": np.mean(np.equal(grades, 1)),
            "severe": np.mean(np.equal(grades, 2)),
        }
        for target, level in product(STENOSES, reversed(STENOSIS_LEVELS))
        if (grades := graded.get((target, level)))
    )
