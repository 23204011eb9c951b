"""Discs and bodies from outlines of vertebrae in one mid-sagittal picture: between two end-plates a disc.

Outlines are polygons (N, 2) of pixels (x, y): x a column, growing backwards, y a row, growing downwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from spinenet.datasets.masks import DISC_VALUE
from spinenet.errors import DatasetError
from spinenet.study import Series

BODIES = ("S1", "L5", "L4", "L3", "L2", "L1")
"""From the lowest; disc n lies below body n, so that L5/S1 is 1 and lies below L5."""
SACRUM_VALUE, UNSURE_VALUE = 99, 250
"""In labels of bodies: that of S1, and of what lies so near to an outline that nobody knows its side."""
UNSURE_PX = 2
"""Outlines are polygons of five to seven corners."""
MAX_GAP_MM = 25.0
"""Facing end-plates farther apart have a body between them that nobody outlined. Discs are up to 17 mm high here."""

Polygon = NDArray[np.float64]


@dataclass(frozen=True)
class Outlines:
    """A label image drawn from outlines of some bodies, for a series of one slice of the outlined picture's size.

    Above and below them, and of the canal, nothing is drawn. ``shape`` is (rows, columns) of that picture.
    """

    bodies: Mapping[str, Polygon]
    shape: tuple[int, int]
    whole: bool = False

    def values(self, series: Series) -> NDArray[np.uint8]:
        """Discs and bodies in SPIDER's values; S1, which these do not have, is left out."""
        if series.voxels_SRC.shape != (1, *self.shape):
            raise DatasetError(
                f"{series.name}: {series.voxels_SRC.shape} voxels, its outlines were drawn on one slice of {self.shape}"
            )
        picture = Image.new("L", self.shape[::-1])
        draw = ImageDraw.Draw(picture)
        discs = {
            DISC_VALUE + number: disc_corners(self.bodies[upper], self.bodies[lower])
            for number, (lower, upper) in enumerate(pairwise(BODIES), start=1)
            if lower in self.bodies and upper in self.bodies
        }
        for value, corners in discs.items():
            draw.polygon(_pairs(corners), fill=value)
        for number, name in enumerate(BODIES):
            if name in self.bodies:
                draw.polygon(_pairs(self.bodies[name]), fill=number)
        for value, corners in discs.items():  # the end-plates of a collapsed disc leave next to nothing of it
            draw.line(_pairs((corners[[0, 1]] + corners[[3, 2]]) / 2), fill=value, width=3)
        return np.asarray(picture, np.uint8)[None]

    def body_labels(self) -> NDArray[np.uint8]:
        """(rows, columns) 1 for L5 to 5 for L1, SACRUM_VALUE for S1, and UNSURE_VALUE along every outline."""
        from scipy import ndimage

        labels_RC = np.zeros(self.shape, np.uint8)
        unsure_RC = np.zeros(self.shape, np.bool_)
        for number, name in enumerate(BODIES):
            if name in self.bodies:
                picture = Image.new("1", self.shape[::-1])
                ImageDraw.Draw(picture).polygon(_pairs(self.bodies[name]), fill=1)
                inside_RC = np.asarray(picture, np.bool_)
                labels_RC[inside_RC] = number or SACRUM_VALUE
                wide_RC = ndimage.binary_dilation(inside_RC, iterations=UNSURE_PX)
                unsure_RC |= wide_RC & ~ndimage.binary_erosion(inside_RC, iterations=UNSURE_PX)
        return np.where(unsure_RC, np.uint8(UNSURE_VALUE), labels_RC)


def named_bodies(outlines: Mapping[str, Sequence[Sequence[Sequence[float]]]]) -> tuple[dict[str, Polygon], str]:
    """One outline a body, and what had to be said.

    A name that occurs twice stands for a neighbour as well: where all six are outlined, they take the names in order.
    """
    polygons = [(name, np.array(one, float)) for name in BODIES for one in outlines.get(name, ())]
    twice = sorted({name for name, _ in polygons if len(outlines[name]) > 1})
    if not twice:
        return dict(polygons), ""
    in_order = sorted((one for _, one in polygons), key=lambda one: -center(one)[1])
    if len(in_order) == len(BODIES):
        return dict(zip(BODIES, in_order, strict=True)), f"{', '.join(twice)} is outlined twice; named by their order"
    kept = {name: one for name, one in polygons if name not in twice}
    return kept, f"{', '.join(twice)} is outlined twice and which is which cannot be told; left out"


def missing_body(bodies: Mapping[str, Polygon], pixel_mm: float) -> str:
    """The first two named neighbours that are too far apart to be any, "" where there are none."""
    for lower, upper in pairwise(BODIES):
        if lower in bodies and upper in bodies:
            first, second, third, fourth = disc_corners(bodies[upper], bodies[lower])
            gap_px = np.linalg.norm((first + second) / 2 - (third + fourth) / 2)
            if gap_px * pixel_mm > MAX_GAP_MM:
                return f"{upper} and {lower}"
    return ""


def disc_corners(upper: Polygon, lower: Polygon) -> Polygon:
    """Corners (4, 2) of the disc between two bodies: front and back of the upper end-plate, back and front of the
    lower one. The corners of a body are its outermost points along and across the disc, whose direction is the mean of
    both end-plates', found in a few rounds."""
    down = _unit(center(lower) - center(upper))
    for _ in range(3):
        back = np.array([down[1], -down[0]])
        back = back if back[0] > 0 else -back
        first, second = _corner(upper, down - back), _corner(upper, down + back)
        third, fourth = _corner(lower, back - down), _corner(lower, -back - down)
        along = _unit(_unit(second - first) + _unit(third - fourth))
        down = np.array([-along[1], along[0]])
    return np.stack([first, second, third, fourth])


def _pairs(points: Polygon) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in points]


def center(polygon: Polygon) -> NDArray[np.float64]:
    """Centre of the area (2,)."""
    following = np.roll(polygon, -1, axis=0)
    weights = polygon[:, 0] * following[:, 1] - following[:, 0] * polygon[:, 1]
    return ((polygon + following) * weights[:, None]).sum(0) / (3 * weights.sum())


def _corner(polygon: Polygon, direction: NDArray[np.float64]) -> NDArray[np.float64]:
    return polygon[int(np.argmax(polygon @ direction))]


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / np.linalg.norm(vector)
