"""What an image itself tells of its weighting: how fluid, bone marrow and fat look beside each other in the spine.

Only sure cases get a view: an image between the weightings stays without one.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spinenet.axial import axial_reference, locate_axial
from spinenet.labels import View
from spinenet.locate import MIN_LEVELS, Detection
from spinenet.study import LocatedSeries, Series

BRIGHT_CANAL, DARK_CANAL = 0.6, 0.45
"""Fluid on the scale of the spine's grey values (0 dark, 1 bright): T2 and STIR lie above, T1 below. In 84 T1 and T2
series of SPIDER T1 reached 0.41 at most and T2 0.69 at least."""
FROM_MARROW = 0.1
"""How far fluid must lie from bone marrow on that scale, above it in T2 and STIR, below in T1."""
BRIGHT_FAT, DARK_FAT = 0.6, 0.5
"""Fat behind the spine as a share of fluid: T2 lies above, STIR below."""
DARK_DISCS, BRIGHT_DISCS = 0.7, 0.85
"""Discs as a share of bone marrow: T2 lies below; in STIR, where marrow's fat is dark, they lie above."""
FAT_BEHIND_MM = (30.0, 95.0)
UNSURE = "its image fits no weighting surely"


def sagittal_view(detection: Detection) -> tuple[View | None, str]:
    """View of a sagittal series by the slice its discs were found in, None where not sure, and what was seen."""
    if len(detection.discs) < MIN_LEVELS:
        return None, "too few discs are seen to judge its image"
    dark, bright, *tissues = detection.reference
    marrow, fluid, discs = (np.array(tissues) - dark) / (bright - dark)
    fat = (_fat_behind(detection) - dark) / max(tissues[1] - dark, 1e-6)
    if fluid < DARK_CANAL and fluid < marrow - FROM_MARROW and fat > 1:
        return View.SAGITTAL_T1, "fluid darker than marrow and fat"
    if fluid > BRIGHT_CANAL and fluid > marrow + FROM_MARROW:
        if fat > BRIGHT_FAT and discs < DARK_DISCS * marrow:
            return View.SAGITTAL_T2, "fluid and fat bright"
        if fat < DARK_FAT and discs > BRIGHT_DISCS * marrow:
            return View.SAGITTAL_STIR, "fluid bright, fat and marrow dark"
    return None, UNSURE


def axial_view(series: Series, sagittal: Sequence[LocatedSeries]) -> tuple[View | None, str]:
    """View of an axial series by the canals that the sagittal levels lead to, None where that is not sure."""
    crossing, _ = locate_axial([replace(series, view=View.AXIAL_T2)], sagittal)
    if not crossing:
        return None, "no level leads to its canals"
    dark, bright, body, canal, disc = axial_reference(series, crossing[0].frames)
    fluid, around = (canal - dark) / (bright - dark), (max(body, disc) - dark) / (bright - dark)
    if fluid > BRIGHT_CANAL and fluid > around + FROM_MARROW:
        return View.AXIAL_T2, "fluid bright"
    return None, UNSURE


def _fat_behind(detection: Detection) -> float:
    """Bright grey value (90th percentile) of what lies behind the discs: muscle and the fat under the skin."""
    series = detection.series
    slice_RC = series.voxels_SRC[detection.slice_index]
    mm2vox = np.linalg.inv(series.affine_vox2mm)
    behind_mm = np.concatenate(
        [
            frame.center_mm + np.outer(np.arange(*FAT_BEHIND_MM) + frame.depth_mm / 2, frame.posterior)
            for frame in (disc.frame for disc in detection.discs)
        ]
    )
    points = np.rint(behind_mm @ mm2vox[:3, :3].T + mm2vox[:3, 3])[:, 1:].astype(int)
    inside = points[((points >= 0) & (points < slice_RC.shape)).all(axis=1)]
    return float(np.percentile(slice_RC[inside[:, 0], inside[:, 1]], 90)) if len(inside) else float("nan")
