"""Slices of a DICOM series sorted into stacks of parallel, evenly spaced slices: geometry alone, no pixels.

One SeriesInstanceUID may hold several stacks: differently tilted (axial lumbar series often do), shifted in their own
plane, of other frame size, or several echoes at the same places. InstanceNumber tells nothing about any of this.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinenet.readers.sources import Frame
from spinenet.study import Note, Scope

SAME_ORIENTATION = 0.01
"""Largest difference of the six direction cosines between neighbours of a stack (about half a degree)."""
SAME_STACK_SHIFT_MM = 3.0
"""Largest shift in plane between neighbouring slices of one stack."""
SAME_PLACE_MM = 0.1
MANY_AT_ONE_PLACE = 5
MAX_FILLED = 2
"""Missing slices in a row that are still bridged; a wider gap ends the stack."""


def split_series(name: str, frames: Sequence[Frame]) -> tuple[list[list[Frame]], list[Note]]:
    """Stacks of the series ``name``, each sorted along its normal without duplicates, and notes on what was done."""
    frames, notes = _with_spacing(name, frames)
    same_sizes = _grouped(frames, lambda frame: (frame.rows, frame.columns))
    if len(same_sizes) > 1:
        notes.append(Note("several_sizes", Scope.SERIES, name, "frames of several sizes were kept apart"))
    scales = (_grouped(group, _rounded_spacing).values() for group in same_sizes.values())
    stacks: list[list[Frame]] = []
    for alike in (group for groups in scales for group in groups):
        for parallel in _clusters(alike, _orientations(alike), SAME_ORIENTATION):
            for stack in _clusters(parallel, _shifts_mm(parallel), SAME_STACK_SHIFT_MM):
                stacks += _untangled(_sorted(stack))
    unique = [_without_duplicates(stack) for stack in stacks]
    flat = sum(len(stack) for stack, one in zip(stacks, unique, strict=True) if _is_flat(stack, one))
    if flat:
        text = f"all {flat} slices lie at one place: their positions are missing or were blanked; left out"
        notes.append(Note("one_place", Scope.SERIES, name, text))
    pairs = [(stack, one) for stack, one in zip(stacks, unique, strict=True) if not _is_flat(stack, one)]
    stacks, unique = [stack for stack, _ in pairs], [one for _, one in pairs]
    dropped = sum(map(len, stacks)) - sum(map(len, unique))
    if dropped:
        text = f"{dropped} slice{'s' * (dropped > 1)} at the place of another dropped"
        notes.append(Note("same_place", Scope.SERIES, name, text))
    return sorted(unique, key=lambda stack: (-len(stack), stack[0].position_mm)), notes


def _is_flat(stack: Sequence[Frame], unique: Sequence[Frame]) -> bool:
    """Whether many slices lie at one place."""
    return len(unique) == 1 and len(stack) >= MANY_AT_ONE_PLACE


def is_one_stack(frames: Sequence[Frame]) -> bool:
    """Whether parallel frames make one stack: none at the place of another, none beside it, no wide gap."""
    if len(_clusters(frames, _shifts_mm(frames), SAME_STACK_SHIFT_MM)) > 1:
        return False
    return len(frames) > 1 and _is_even(_sorted(frames))


def arrange(depths_mm: NDArray[np.float64]) -> list[list[int | None]]:
    """Indices of sorted slices as evenly spaced stacks; None stands for a missing slice that is to be bridged.

    >>> arrange(np.array([0.0, 4.0, 12.0, 16.0]))
    [[0, 1, None, 2, 3]]
    >>> arrange(np.array([0.0, 4.0, 8.0, 30.0, 34.0]))
    [[0, 1, 2], [3, 4]]
    """
    stacks: list[list[int | None]] = [[0]]
    if len(depths_mm) < 2:
        return stacks
    steps = np.diff(depths_mm)
    step = _typical(steps)
    for index, ratio in enumerate(steps / step, start=1):
        missing = round(float(ratio)) - 1
        if ratio > 1.25 and (missing not in range(1, MAX_FILLED + 1) or abs(ratio - missing - 1) > 0.25):
            stacks.append([index])
        else:
            stacks[-1] += [*([None] * max(missing, 0)), index]
    return stacks


def depths_mm(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """Position of each slice along the normal of the first, (N,) in mm."""
    return _positions(frames) @ normal(frames[0])


def normal(frame: Frame) -> NDArray[np.float64]:
    """Unit vector (3,) across the slice: direction of a row times direction of a column."""
    across = np.cross(frame.orientation[:3], frame.orientation[3:])
    return across / np.linalg.norm(across)


def affine_of(frames: Sequence[Frame], places: Sequence[int]) -> NDArray[np.float64]:
    """(4, 4) affine from (slice, row, column, 1) to LPS mm of sorted frames that lie at slice indices ``places``.

    A single slice has no neighbour: its extent across is the stated gap, or 1 mm.
    """
    first, positions = frames[0], _positions(frames)
    spacing = first.spacing_mm or (1.0, 1.0)
    affine_vox2mm = np.eye(4)
    if len(frames) > 1:
        affine_vox2mm[:3, 0] = (positions[-1] - positions[0]) / (places[-1] - places[0])
    else:
        affine_vox2mm[:3, 0] = normal(first) * (first.gap_mm or 1.0)
    affine_vox2mm[:3, 1] = np.array(first.orientation[3:]) * spacing[0]
    affine_vox2mm[:3, 2] = np.array(first.orientation[:3]) * spacing[1]
    affine_vox2mm[:3, 3] = positions[0] - affine_vox2mm[:3, 0] * places[0]
    return affine_vox2mm


def is_uneven(frames: Sequence[Frame], places: Sequence[int], affine_vox2mm: NDArray[np.float64]) -> bool:
    """Whether some slice lies more than a quarter of the slice distance from where the affine puts it."""
    expected = affine_vox2mm[:3, 3] + np.outer(places, affine_vox2mm[:3, 0])
    away = np.linalg.norm(_positions(frames) - expected, axis=1).max()
    return bool(away > 0.25 * np.linalg.norm(affine_vox2mm[:3, 0]))


def _with_spacing(name: str, frames: Sequence[Frame]) -> tuple[list[Frame], list[Note]]:
    """Frames with a pixel spacing, borrowed within the series where the header lacks it."""
    known = Counter(frame.spacing_mm for frame in frames if frame.spacing_mm)
    lacking = sum(frame.spacing_mm is None for frame in frames)
    if not lacking:
        return list(frames), []
    if not known:
        text = "no pixel spacing in its headers, so it has no size in mm: left out"
        return [], [Note("no_spacing", Scope.SERIES, name, text)]
    usual = known.most_common(1)[0][0]
    filled = [frame if frame.spacing_mm else replace(frame, spacing_mm=usual) for frame in frames]
    text = f"{lacking} without pixel spacing, taken from the others of the series"
    return filled, [Note("spacing_borrowed", Scope.SERIES, name, text)]


def _grouped(frames: Sequence[Frame], key: Callable[[Frame], Hashable]) -> dict[Hashable, list[Frame]]:
    groups: dict[Hashable, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(key(frame), []).append(frame)
    return groups


def _rounded_spacing(frame: Frame) -> tuple[float, ...]:
    return tuple(round(mm, 3) for mm in frame.spacing_mm or ())


def _clusters(frames: Sequence[Frame], points: NDArray[np.float64], tolerance: float) -> list[list[Frame]]:
    """Frames whose points (N, D) are linked by steps of at most ``tolerance``."""
    open_indices = np.ones(len(frames), dtype=bool)
    clusters = []
    while open_indices.any():
        reached = [int(np.argmax(open_indices))]
        open_indices[reached] = False
        for index in reached:  # grows while it is walked
            near = open_indices & (np.linalg.norm(points - points[index], axis=1) <= tolerance)
            open_indices &= ~near
            reached += np.flatnonzero(near).tolist()
        clusters.append([frames[index] for index in sorted(reached)])
    return clusters


def _sorted(frames: Sequence[Frame]) -> list[Frame]:
    order = np.argsort(depths_mm(frames), kind="stable")
    return [frames[index] for index in order]


def _untangled(frames: list[Frame]) -> list[list[Frame]]:
    """Stacks that lie through each other (echoes, overlapping slabs), told apart by the first tag that does it."""
    for is_sound in (_is_even, _is_regular):
        if is_sound(frames):
            return [frames]
        for tag in range(len(frames[0].tags)):
            parts = list(_grouped(frames, lambda frame, tag=tag: frame.tags[tag]).values())  # type: ignore[misc]
            if 1 < len(parts) <= len(frames) / 2 and all(map(is_sound, parts)):
                return parts
    return [frames]


def _is_even(frames: Sequence[Frame]) -> bool:
    """Whether slices lie at whole multiples of one distance: a stack, perhaps with narrow gaps."""
    steps = np.diff(depths_mm(frames))
    if len(steps) == 0:
        return True
    ratios = steps / max(_typical(steps), SAME_PLACE_MM)
    return bool(
        np.all(np.abs(ratios - np.round(ratios)) < 0.15) and ratios.min() > 0.5 and ratios.max() < MAX_FILLED + 1.5
    )


def _is_regular(frames: Sequence[Frame]) -> bool:
    steps = np.diff(depths_mm(frames))
    return len(steps) == 0 or bool(steps.min() > max(0.5 * _typical(steps), SAME_PLACE_MM))


def _typical(steps: NDArray[np.float64]) -> float:
    """Lower median: of two different steps the smaller, since gaps only widen."""
    return float(np.sort(steps)[(len(steps) - 1) // 2])


def _without_duplicates(frames: Sequence[Frame]) -> list[Frame]:
    kept: list[Frame] = []
    last = -np.inf
    for frame, depth in zip(frames, depths_mm(frames), strict=True):
        if depth - last > SAME_PLACE_MM:
            kept.append(frame)
            last = depth
    return kept


def _positions(frames: Sequence[Frame]) -> NDArray[np.float64]:
    return np.array([frame.position_mm for frame in frames])


def _orientations(frames: Sequence[Frame]) -> NDArray[np.float64]:
    return np.array([frame.orientation for frame in frames])


def _shifts_mm(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """Position of each slice within the plane of the first, (N, 3) in mm."""
    across = normal(frames[0])
    positions = _positions(frames)
    return positions - np.outer(positions @ across, across)
