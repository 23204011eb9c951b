"""Where the canal and the bodies lie on the planes of a stack: shared by what is painted and what is labelled."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinephantom.shapes import column
from spinephantom.shapes.fields import near
from spinephantom.shapes.frames import Array
from spinephantom.shapes.planes import Grid, Window
from spinephantom.shapes.soft import smax
from spinephantom.spine.records import Canal, Disc, Vertebra

F32 = NDArray[Any]


def canal_line(canal: Canal) -> tuple[Array, float]:
    """Points (N, 3) along the canal, and how far from them its fat reaches at most."""
    reach = float(max(canal.half_ap_mm.max() + canal.posterior_fat_mm.max() + 6.0, canal.half_width_mm.max() + 6.0))
    return np.column_stack([canal.x_mm, canal.y_mm, canal.z_mm]), reach


def canal_window(grid: Grid, canal: Canal) -> Window | None:
    """The part of the planes the canal passes through."""
    return grid.window(*canal_line(canal))


def body_with_nodes(grid: Grid, body: Vertebra, discs: tuple[Disc | None, Disc]) -> tuple[Window, F32] | None:
    """A vertebral body without the Schmorl nodes of the disc above and of the disc below it; None out of view."""
    found = near(body.part, grid)
    if found is None:
        return None
    window, d = found
    for disc, upper in ((discs[0], False), (discs[1], True)):
        if disc is None:
            continue
        node = disc.shape.above if upper else disc.shape.below
        if node.radii[0]:
            d = smax(d, -column.node_sdf(*window.local(disc.frame), node), 0.8)
    return window, d
