"""Segmentation in SPIDER's values, from the same shapes that are painted."""

import numpy as np
from numpy.typing import NDArray

from spinenet.phantom import shapes
from spinenet.phantom.anatomy import Spine
from spinenet.phantom.canal import sac_distance
from spinenet.phantom.canvas import Grid
from spinenet.phantom.render import body_with_nodes

CANAL, FIRST_DISC = 100, 201
"""Mask values: vertebrae 1.. from L5 upwards, the dural sac 100, discs 201.. from L5/S1 upwards."""


def label_planes(grid: Grid, spine: Spine) -> NDArray[np.uint8]:
    """Labels of the planes of a grid, (P, H, W). The sacrum has no label, as in SPIDER."""
    labels = np.zeros(grid.shape, np.uint8)
    whole = grid.whole()
    labels[sac_distance(whole.world(), spine.canal) < 0.0] = CANAL
    for index, body in enumerate(spine.vertebrae):
        window = grid.window(body.frame.moved(v=body.half_depth + body.canal_ap).center_mm, 60.0)
        if window is not None:
            labels[window.index][shapes.posterior_sdf(*window.local(body.frame), body) < 0.0] = index + 1
    for index, disc in enumerate(spine.discs):
        window = grid.window(disc.frame.center_mm, disc.half_depth + 0.5 * disc.mid_height + 20.0)
        if window is not None:
            labels[window.index][shapes.disc_sdf(*window.local(disc.frame), disc) < 0.0] = FIRST_DISC + index
    for index, (body, discs) in enumerate(zip(spine.vertebrae, spine.neighbours(), strict=True)):
        window = grid.window(body.frame.center_mm, body.half_depth + 0.5 * body.height + 8.0)
        if window is not None:
            labels[window.index][body_with_nodes(window, body, discs) < 0.0] = index + 1
    return labels
