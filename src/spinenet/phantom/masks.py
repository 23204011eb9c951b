"""Segmentation in SPIDER's values, from the same shapes that are painted."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.phantom import shapes
from spinenet.phantom.anatomy import Array, Disc, Spine, Vertebra
from spinenet.phantom.canal import sac_distance
from spinenet.phantom.canvas import Grid, Window
from spinenet.phantom.render import body_with_nodes

CANAL, FIRST_DISC = 100, 201
"""Mask values: vertebrae 1.. from L5 upwards, the dural sac 100, discs 201.. from L5/S1 upwards."""


def label_planes(grid: Grid, spine: Spine) -> NDArray[np.uint8]:
    """Labels of the planes of a grid, (P, H, W): the sac where it is free, and no sacrum, as in SPIDER."""
    labels = np.zeros(grid.shape, np.uint8)

    def put(center_mm: Array, radius_mm: float, value: int, distance: Callable[[Window], NDArray[Any]]) -> None:
        window = grid.window(center_mm, radius_mm)
        if window is not None:
            labels[window.index][distance(window) < 0.0] = value

    labels[sac_distance(grid.whole().world(), spine.canal) < 0.0] = CANAL
    for disc in spine.discs:
        center = disc.frame.moved(v=disc.half_depth + disc.sac_ap).center_mm
        put(center, 26.0, 0, partial(_behind_sac, disc=disc))
    for index, body in enumerate(spine.vertebrae):
        center = body.frame.moved(v=body.half_depth + body.canal_ap).center_mm
        put(center, 60.0, index + 1, partial(_posterior, body=body))
    for index, disc in enumerate(spine.discs):
        reach = disc.half_depth + 0.5 * disc.mid_height + 20.0
        put(disc.frame.center_mm, reach, FIRST_DISC + index, partial(_disc, disc=disc))
    for index, (body, discs) in enumerate(zip(spine.vertebrae, spine.neighbours(), strict=True)):
        reach = body.half_depth + 0.5 * body.height + 8.0
        put(body.frame.center_mm, reach, index + 1, partial(body_with_nodes, body=body, discs=discs))
    return labels


def _behind_sac(window: Window, disc: Disc) -> NDArray[Any]:
    uvw = window.local(disc.frame)
    return np.minimum(shapes.flavum_sdf(*uvw, disc), shapes.facet_sdf(*uvw, disc))


def _posterior(window: Window, body: Vertebra) -> NDArray[Any]:
    return shapes.posterior_sdf(*window.local(body.frame), body)


def _disc(window: Window, disc: Disc) -> NDArray[Any]:
    return shapes.disc_sdf(*window.local(disc.frame), disc)
