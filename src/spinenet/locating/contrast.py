"""What an image itself tells of its weighting: how fluid, bone marrow and fat look beside each other in the spine.

Only sure cases get a view: an image between the weightings stays without one.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import View
from spinenet.locating.axial import locate_axial
from spinenet.locating.discs import Detection
from spinenet.regions import LUMBAR
from spinenet.study import LocatedSeries, Series

BRIGHT_FLUID, BRIGHT_SAC, DARK_SAC = 0.6, 0.45, 0.25
"""Canal (its brighter part) and dural sac behind the discs on the scale of the spine's grey values, 0 dark to 1 bright.
T2 and STIR lie above the first two, T1's sac below the last: in 42 series of SPIDER it reached 0.20, T2's canal fell to
0.63. The brighter part of a canal alone misleads in T1, where it is fat."""
FROM_MARROW = 0.1
"""How far they must lie from bone marrow on that scale, above it in T2 and STIR, below in T1."""
BRIGHT_FAT, DARK_FAT = 0.6, 0.4
"""Fat behind the spine as a share of fluid: T2 lies above, STIR below."""
DARK_DISCS, BRIGHT_DISCS = 0.7, 0.85
"""Discs as a share of bone marrow: T2 lies below; in STIR, where marrow's fat is dark, they lie above."""
DARK_MARROW = 0.2
"""Marrow on the scale of the spine's grey values, where fat is suppressed: 0.09 in two such T2 series, 0.42 in T2's
median. A lean patient has little fat to judge by, but never dark marrow alone."""
SAC_BEHIND_MM, FAT_BEHIND_MM = (5.0, 12.0), (30.0, 95.0)
"""Where sac and fat lie behind the back of a disc."""
UNSURE = "its image fits no weighting surely"


def sagittal_view(detection: Detection) -> tuple[View | None, str]:
    """View of a sagittal series by the slice its discs were found in, None where not sure, and what was seen."""
    if len(detection.discs) < LUMBAR.fewest:
        return None, "too few discs are seen to judge its image"
    dark, bright, *tissues = detection.reference
    marrow, fluid, discs = (np.array(tissues) - dark) / (bright - dark)
    sac = (float(np.median(_behind(detection, SAC_BEHIND_MM))) - dark) / (bright - dark)
    if sac < min(DARK_SAC, marrow - FROM_MARROW):
        return View.SAGITTAL_T1, "the dural sac darker than marrow"
    if sac < BRIGHT_SAC or fluid < max(BRIGHT_FLUID, marrow + FROM_MARROW):
        return None, UNSURE
    fat = (float(np.percentile(_behind(detection, FAT_BEHIND_MM), 90)) - dark) / (tissues[1] - dark)
    if fat > BRIGHT_FAT and discs < DARK_DISCS * marrow:
        return View.SAGITTAL_T2, "fluid and fat bright"
    if fat < DARK_FAT and discs > BRIGHT_DISCS * marrow:
        return View.SAGITTAL_STIR, "fluid bright, fat and marrow dark"
    return None, UNSURE


def lacks_fat(detection: Detection) -> bool:
    """Whether the image of what the files call T2 shows surely that its fat is suppressed."""
    dark, bright, marrow, *_ = detection.reference
    return sagittal_view(detection)[0] is View.SAGITTAL_STIR and marrow - dark < DARK_MARROW * (bright - dark)


def axial_view(series: Series, sagittal: Sequence[LocatedSeries]) -> tuple[View | None, str]:
    """View of an axial series by the canals that the sagittal levels lead to, None where that is not sure."""
    crossing, _ = locate_axial([replace(series, view=View.AXIAL_T2)], sagittal)
    if not crossing:
        return None, "no level leads to its canals"
    dark, bright, body, canal, disc = crossing[0].reference
    fluid, around = (canal - dark) / (bright - dark), (max(body, disc) - dark) / (bright - dark)
    if fluid > BRIGHT_FLUID and fluid > around + FROM_MARROW:
        return View.AXIAL_T2, "fluid bright"
    return None, UNSURE


def _behind(detection: Detection, range_mm: tuple[float, float]) -> NDArray[np.float32]:
    """Grey values so far behind the discs, (N,); a single 0 where all of that lies outside the image."""
    series = detection.series
    slice_RC = series.voxels_SRC[detection.slice_index]
    places_mm = np.concatenate(
        [
            frame.center_mm + np.outer(np.arange(*range_mm) + frame.depth_mm / 2, frame.posterior)
            for frame in (disc.frame for disc in detection.discs)
        ]
    )
    points = np.rint(series.to_vox(places_mm))[:, 1:].astype(int)
    inside = points[((points >= 0) & (points < slice_RC.shape)).all(axis=1)]
    return slice_RC[inside[:, 0], inside[:, 1]] if len(inside) else np.zeros(1, np.float32)
