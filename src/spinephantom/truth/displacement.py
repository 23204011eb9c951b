"""Kind of a herniation after Fardon 2014, from the shape of what lies beyond the disc alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from spinephantom.shapes.frames import Array
from spinephantom.spine.records import Disc
from spinephantom.truth.cuts import OUTLINE

_ACROSS_MM = np.arange(-14.0, 14.1, 0.7)
_AHEAD_MM = np.arange(-2.0, 15.0, 0.5)
_UP_MM = np.arange(-30.0, 30.1, 0.75)
_FEW = 20
"""Samples that are no fragment yet."""
_LIPS_MM = 1.2


def kind_of_herniation(disc: Disc) -> str:
    """ "protrusion", "extrusion" or "sequestration" of the disc's herniated material; empty without any.

    Free of the disc: sequestration. Wider than its base, or taller than the disc's space, by OUTLINE.dome: extrusion.
    """
    shape = disc.shape
    if not shape.herniation:
        return ""
    inside = disc.part.at(_samples(disc)) < 0.0
    pieces, count = label(inside)
    if count > 1 and sorted(np.bincount(pieces.ravel())[1:])[-2] > _FEW:
        return "sequestration"
    base = int(np.argmin(np.abs(_AHEAD_MM - shape.bulge - 1.0)))
    wide = _extent(inside, axis=0, step_mm=float(_ACROSS_MM[1] - _ACROSS_MM[0]))
    tall = _extent(inside, axis=2, step_mm=float(_UP_MM[1] - _UP_MM[0]))
    # the height of the disc's space, with what a bulging annulus adds to it above and below
    space = float(tall[0]) + 2.0 * _LIPS_MM
    dome = max(float(wide[base:].max()) / max(float(wide[base]), 1.0), float(tall[base:].max()) / space)
    return "extrusion" if dome > OUTLINE.dome else "protrusion"


def _samples(disc: Disc) -> Array:
    """Points (across, ahead, up, 3) about the place of the herniation on the rim, LPS mm."""
    (u, v), (fu, fv) = disc.shape.at, disc.shape.front
    across, ahead, up = np.meshgrid(_ACROSS_MM, _AHEAD_MM, _UP_MM, indexing="ij")
    return disc.frame.world(np.stack([u + fv * across + fu * ahead, v - fu * across + fv * ahead, up], axis=-1))


def _extent(inside: NDArray[Any], axis: int, step_mm: float) -> Array:
    """How far the material reaches at most along an axis, (ahead,)."""
    other = 2 if axis == 0 else 0
    found: Array = inside.sum(axis=axis).max(axis=0 if other == 0 else 1) * step_mm
    return found
