"""Shapes behind the discs, each for one side in a frame whose u axis points away from the midline: facets, flavum.

A facet joint has a frame of its own: t runs along the joint from its antero-medial to its postero-lateral edge, n
across it to the postero-medial side, w up. The superior process (of the vertebra below) lies at n < 0, the inferior
process (of the vertebra above) at n > 0; the joint is a shallow trough around the inferior process.
"""

from typing import NamedTuple

import numpy as np

from spinephantom.shapes.distances import F32, smax, smoothstep, superellipse

TROUGH_PER_MM = 0.04
"""Curvature of the joint: its ends stand this times t squared before its middle."""


class FacetShape(NamedTuple):
    """One facet joint; mm. ``tip`` is the growth of the superior process forwards, ``top`` its upper end."""

    scale: float
    gap: float
    top: float
    bottom: float
    tip: float


class FlavumShape(NamedTuple):
    """One half of the yellow ligament: a slab along a line of the axial plane; mm.

    Its outer face is where ``normal`` times the position from the middle of the sac equals ``offset``; it thickens
    inwards. ``end_u`` is its lateral end, ``buckle`` the share by which it bulges at the level of the disc.
    """

    normal: tuple[float, float]
    center_v: float
    offset: float
    thickness: float
    end_u: float
    half_height: float
    buckle: float
    middle: float
    """Thickness at the midline, mm."""


def superior_sdf(t: F32, n: F32, w: F32, p: FacetShape) -> F32:
    """The superior articular process: a crescent in front of the joint that narrows to a tip at its top."""
    s = np.float32(p.scale)
    grown = np.float32(p.tip) * smoothstep(w, -2.0, 6.0)
    slim = 1.0 - 0.6 * smoothstep(w, -3.0, p.top)
    # thickest at its postero-lateral edge, the mammillary process
    thick = (4.3 * s + 0.7 * grown) * slim * (1.0 + 0.2 * smoothstep(t, -5.0, 6.0))
    # it grows inwards too, under the pedicle, where the root passes
    wide = (8.4 * s + 0.5 * grown) * (1.0 - 0.2 * smoothstep(w, -3.0, p.top))
    q = superellipse((t - 0.8 + 0.6 * grown) / wide, (n + (3.3 * s + 0.7 * grown) * slim) / thick, 1.0, 1.0)
    face = n - np.float32(TROUGH_PER_MM) * t * t + np.float32(0.5 * p.gap)
    ends = np.maximum(w - np.float32(p.top), np.float32(p.bottom) - w)
    return smax(smax((q - 1.0) * thick, face, 1.0), ends, 4.0)


def inferior_sdf(t: F32, n: F32, w: F32, p: FacetShape) -> F32:
    """The inferior articular process: a wedge behind the joint that fills the trough."""
    # spurs grow from the superior process most
    s = 1.0 + 0.45 * (p.scale - 1.0)
    # a wedge: broad where it leaves the lamina, narrow at its tip
    taper = 1.0 - 0.45 * smoothstep(w, 6.0, -10.0)
    thick = np.float32(5.6 * s) * taper
    q = superellipse((t - 0.4) / (np.float32(8.2 * s) * (0.35 + 0.65 * taper)), (n - 0.8 * thick) / thick, 1.0, 1.0)
    face = np.float32(TROUGH_PER_MM) * t * t + np.float32(0.5 * p.gap) - n
    ends = np.maximum(w - 13.0, -9.5 - w)
    return smax(smax((q - 1.0) * thick, face, 1.0), ends, 5.0)


def joint_space_sdf(t: F32, n: F32, w: F32, p: FacetShape) -> F32:
    """Cartilage and fluid between the two processes."""
    across = np.abs(n - np.float32(TROUGH_PER_MM) * t * t) - np.float32(0.5 * p.gap + 0.4)
    rim = np.sqrt(np.square(t * np.float32(1.0 / (7.2 * p.scale))) + np.square(w * np.float32(1.0 / 9.0)))
    return np.maximum(across, (rim - 1.0) * np.float32(7.2 * p.scale))


def flavum_sdf(u: F32, v: F32, w: F32, p: FlavumShape) -> F32:
    """One half of the yellow ligament, anchored at the laminae and the facet, thickest at the height of the disc."""
    outer = u * np.float32(p.normal[0]) + (v - np.float32(p.center_v)) * np.float32(p.normal[1]) - np.float32(p.offset)
    high = np.square(w * np.float32(1.0 / p.half_height))
    along = u * np.float32(1.0 / p.end_u)
    thickness = np.float32(p.thickness) * (
        1.06 - 0.25 * high + np.float32(p.buckle) * np.maximum(1.0 - 4.0 * high, 0.0)
    )
    # thin where it becomes the capsule of the joint, and at the midline, where fat parts the halves however thick
    thickness = thickness * (1.0 - 0.80 * smoothstep(along, 0.62, 1.0))
    middle = np.minimum(thickness, np.float32(p.middle))
    thickness = thickness + (middle - thickness) * smoothstep(along, 0.55, 0.10)
    slab = np.abs(outer + 0.5 * thickness) - 0.5 * thickness
    ends = np.maximum(np.abs(w) - np.float32(p.half_height), np.maximum(0.4 - u, u - np.float32(p.end_u)))
    return smax(slab, ends, 1.2)
