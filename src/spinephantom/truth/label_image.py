"""Segmentation in SPIDER's values, from the same shapes that are painted."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinephantom.shapes.fields import near
from spinephantom.shapes.parts import Part
from spinephantom.shapes.planes import Grid
from spinephantom.spine.records import Spine
from spinephantom.spine.sac import sac_distances
from spinephantom.spine.sections import body_with_nodes, canal_window

CANAL, FIRST_DISC = 100, 201
"""Mask values: vertebrae 1.. from L5 upwards, the dural sac 100, discs 201.. from L5/S1 upwards."""


def label_planes(grid: Grid, spine: Spine) -> NDArray[np.uint8]:
    """Labels of the planes of a grid, (P, H, W): the sac where it is free, and no sacrum, as in SPIDER."""
    labels = np.zeros(grid.shape, np.uint8)
    window = canal_window(grid, spine.canal)
    if window is not None:
        labels[window.index][sac_distances(window.world(), spine.canal)[1] < 0.0] = CANAL
    soft = [part for pair in spine.joints for joint in pair for part in joint.soft()]
    _put(labels, grid, (*soft, *spine.sacral_posterior()), 0)
    for index in range(len(spine.vertebrae)):
        _put(labels, grid, spine.posterior(index), index + 1)
    _put(labels, grid, (spine.sacrum[0].part,), 0)
    for index, disc in enumerate(spine.discs):
        _put(labels, grid, (disc.part,), FIRST_DISC + index)
    for index, (body, discs) in enumerate(zip(spine.vertebrae, spine.neighbours(), strict=True)):
        found = body_with_nodes(grid, body, discs)
        if found is not None:
            labels[found[0].index][found[1] < 0.0] = index + 1
    return labels


def _put(labels: NDArray[Any], grid: Grid, parts: tuple[Part, ...], value: int) -> None:
    for part in parts:
        found = near(part, grid)
        if found is not None:
            labels[found[0].index][found[1] < 0.0] = value
