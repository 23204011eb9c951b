"""Shape of the spinous process, in the frame of its vertebra."""

from typing import NamedTuple

import numpy as np

from spinephantom.shapes.distances import F32, smax


class SpinousShape(NamedTuple):
    """A spinous process in the frame of its vertebra; mm and radians."""

    start_v: float
    start_w: float
    cosine: float
    sine: float
    length: float
    height: float


def spinous_sdf(u: F32, v: F32, w: F32, p: SpinousShape) -> F32:
    """The spinous process: a plate in the midline, tilted down, pointed in front and blunt at its tip."""
    dv, dw = v - np.float32(p.start_v), w - np.float32(p.start_w)
    along = np.float32(p.cosine) * dv - np.float32(p.sine) * dw
    up = np.float32(p.sine) * dv + np.float32(p.cosine) * dw
    t = np.minimum(np.maximum(along * np.float32(1.0 / p.length), 0.0), 1.0)
    # waist in the middle, a root that slopes forwards and upwards, a tip that droops
    half = np.float32(0.5 * p.height) * (0.62 + 0.95 * t - 0.6 * t * t)
    middle = np.float32(0.16 * p.height) * (1.0 - t) - np.float32(0.10 * p.height) * t
    profile = smax(np.abs(up - middle) - half, np.abs(along - 0.5 * p.length) - 0.5 * p.length, 5.0)
    return smax(profile, np.abs(u) - (2.6 + 1.6 * t * t), 2.0)
