"""Canal depth and slip at a disc, in mm, from the locator's probabilities in one sagittal slice.

Probabilities are read along lines parallel to the disc's long axis. They are soft at the borders, so a border is known
to a fraction of the locator's pixel. Shape letters: H W pixels of the locator's grid, U steps along the axis.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spinenet.study import LevelFrame

STEP_MM = 0.25
CANAL_LINES_MM = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Heights of the lines beside the disc's middle on which the canal is measured; their median counts."""
BODY_LINES_MM = (2.5, 3.5, 4.5)
"""Heights of the lines beyond the disc's end-plates on which the bodies are measured."""
CANAL_REACH_MM = (-4.0, 32.0)
"""Where the canal is looked for, from the back of the disc."""
PLAUSIBLE_CANAL_MM = (3.0, 30.0)
MAX_SLIP_SHARE = 0.6
"""A larger share of the disc's depth is a mistake of the masks rather than a slip."""


@dataclass(frozen=True)
class Sampler:
    """One slice of probabilities on the locator's grid; ``mm2grid`` (3, 4) takes (x, y, z, 1) in LPS mm to (row,
    column) of the grid in its last two rows."""

    probabilities_CHW: NDArray[np.float32]
    mm2grid: NDArray[np.float64]

    def along(self, channel: int, frame: LevelFrame, up_mm: float, u_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """(U,) probabilities on a line ``up_mm`` above the disc's middle, at ``u_mm`` behind it; 0 beyond the image."""
        from scipy import ndimage

        points_mm = frame.center_mm + up_mm * frame.superior + u_mm[:, None] * frame.posterior
        row_column = (self.mm2grid[:, :3] @ points_mm.T + self.mm2grid[:, 3:])[1:]
        return ndimage.map_coordinates(self.probabilities_CHW[channel], row_column, order=1, mode="constant")


def measured(frame: LevelFrame, sampler: Sampler, *, canal: int, vertebra: int) -> LevelFrame:
    """The frame with what could be measured at it; ``canal`` and ``vertebra`` are channels of the probabilities."""
    return replace(frame, canal_mm=canal_depth_mm(frame, sampler, canal), slip_mm=slip_mm(frame, sampler, vertebra))


def canal_depth_mm(frame: LevelFrame, sampler: Sampler, channel: int) -> float | None:
    """Depth of the canal behind a disc along the disc's axis; None where none is seen there."""
    u_mm = frame.depth_mm / 2 + np.arange(*CANAL_REACH_MM, STEP_MM)
    depths = [float(sampler.along(channel, frame, up, u_mm).sum() * STEP_MM) for up in CANAL_LINES_MM]
    depth = float(np.median(depths))
    return depth if PLAUSIBLE_CANAL_MM[0] <= depth <= PLAUSIBLE_CANAL_MM[1] else None


def slip_mm(frame: LevelFrame, sampler: Sampler, channel: int) -> float | None:
    """How far the body above lies in front (positive) of the body below: between the middles of their end-plates."""
    above, below = (_middle_mm(frame, sampler, channel, sign) for sign in (1.0, -1.0))
    if above is None or below is None or abs(below - above) > MAX_SLIP_SHARE * frame.depth_mm:
        return None
    return below - above


def _middle_mm(frame: LevelFrame, sampler: Sampler, channel: int, sign: float) -> float | None:
    """Where the middle of a body's end-plate lies along the disc's axis; the arch behind the canal is not looked at."""
    half_mm = frame.depth_mm / 2
    u_mm = np.arange(-1.6 * half_mm, 1.3 * half_mm, STEP_MM)
    middles = []
    for line_mm in BODY_LINES_MM:
        inside_U = sampler.along(channel, frame, sign * (frame.height_mm / 2 + line_mm), u_mm) > 0.5
        run = _longest_run(inside_U)
        if run is not None and (run[1] - run[0]) * STEP_MM > half_mm:
            middles.append(float(u_mm[list(run)].mean()))
    return float(np.median(middles)) if middles else None


def _longest_run(inside_U: NDArray[np.bool_]) -> tuple[int, int] | None:
    """First and last index of the longest stretch of true values.

    >>> _longest_run(np.array([True, False, True, True]))
    (2, 3)
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside_U.astype(np.int8), [0]])))
    if not edges.size:
        return None
    starts, ends = edges[::2], edges[1::2] - 1
    longest = int(np.argmax(ends - starts))
    return int(starts[longest]), int(ends[longest])
