"""The lines around a mask, to be drawn: what was outlined, where it was measured.

Shape letters: H W pixels, N points.
"""

import numpy as np
from numpy.typing import NDArray

STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""Along the sides of a pixel: its upper one to the right, then down, left and up, the pixel on the right hand."""
CORNERS = ((0, 0), (0, 1), (1, 1), (1, 0))
BESIDE = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""What lies beyond each side."""


def boundaries(mask_HW: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Closed lines (N, 2) of (row, column) around each piece of a mask and each hole in it, pixel centres at whole
    numbers: through the middles of the pixels' outer sides, every second one.

    >>> boundaries(np.array([[True]]))[0].tolist()
    [[-0.5, 0.0], [0.5, 0.0]]
    """
    padded_HW = np.pad(mask_HW, 1)
    next_of: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for (row, column), corner, step in zip(BESIDE, CORNERS, STEPS, strict=True):
        outside_HW = ~np.roll(padded_HW, (-row, -column), (0, 1))[1:-1, 1:-1]
        for row_at, column_at in np.argwhere(mask_HW & outside_HW) + corner:
            next_of.setdefault((row_at, column_at), []).append((row_at + step[0], column_at + step[1]))
    lines = []
    while next_of:
        corners = [next(iter(next_of))]
        while (here := corners[-1]) in next_of:
            corners.append(next_of[here].pop())
            if not next_of[here]:
                del next_of[here]
        at = np.array(corners, float)
        lines.append(((at[:-1] + at[1:]) / 2 - 0.5)[::2])
    return lines
