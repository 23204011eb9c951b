"""Do the images of two series bear out that they agree about left and right?

A header can mirror its image, and nothing in that series alone shows it. Where two series show one place, what they
tell of each other does: vessels, kidneys, muscles and turned vertebrae make no side the image of the other. One series
is held over the other as its coordinates say and mirrored at the spine's midline. Both are moved sideways to where they
fit best, since a mirror need not lie in the midline.

How well it tells is in ``notebooks/EXPERIMENTS.md`` (2026-11-27). Shape letters: N points, S slices, R rows, C columns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import View
from spinenet.locating.agreement import BINS, Points, entropy, joint_shares, ranks, share_frame
from spinenet.study import LocatedSeries, Note, Scope, Series, Severity

Floats = NDArray[np.floating]

CLEAR, CLEAR_IN_T1 = 1.15, 1.2
"""Mirrored, two series tell so many times as much of each other as they do as they are. Axial T2 slices and a T1 tell
less of each other: of 37 phantoms one reaches 1.16 as it is, mirrored all but two are beyond the second, which was
chosen on them."""
TELLING = 0.04
"""Mutual information below which two series have hardly anything to do with each other, mirrored or not."""
FRONT_MM, BACK_MM, BEYOND_MM = 45.0, 60.0, 15.0
"""What is compared: from vessels in front of the discs to the muscles behind, and so far above and below the levels."""
POINT_MM = 4.0
STEP_MM = 2.0
NEAR_MM, FAR_MM = np.arange(-6.0, 7.0, STEP_MM), np.arange(-42.0, 43.0, STEP_MM)
"""How far series are moved sideways: as they are by as much as patients move, mirrored farther, since the middle of an
image may lie 20 mm beside the spine."""
TURNS_DEGREES = (-3.0, 3.0)
FEWEST_POINTS, MOST_POINTS = 1000, 4000
ALIKE = float(np.cos(np.radians(2)))
WIDE_MM = 36.0
"""A narrower sagittal stack shows too little beside the midline."""
CONTRADICT = "sides_contradict"
"""Code of the note that series contradict each other about left and right."""


def with_agreed_sides(located: Sequence[LocatedSeries]) -> tuple[tuple[LocatedSeries, ...], list[Note]]:
    """The series where they agree about left and right; where two do not, no side of any is known any more: axial
    stacks are left out, since they show little else, and a note names the two."""
    found = next(contradictions(located), None)
    if found is None:
        return tuple(located), []
    text = (
        f"{found[0].series.name} and {found[1].series.name} contradict each other about left and right: what one shows "
        "on the left the other shows on the right, so one of them is mirrored; no side is graded"
    )
    sagittal = (
        replace(one, series=replace(one.series, laterality_known=False)) for one in located if _is_sagittal(one)
    )
    return tuple(sagittal), [Note(CONTRADICT, Scope.STUDY, "", text, Severity.FLAG)]


def contradictions(located: Sequence[LocatedSeries]) -> Iterator[tuple[LocatedSeries, LocatedSeries]]:
    """Pairs of series that show the same place mirrored, each with the sagittal series it was compared to."""
    known = [one for one in located if one.series.laterality_known]
    stacks = [one for one in known if _is_sagittal(one) and _width_mm(one.series) >= WIDE_MM]
    if not stacks:
        return
    stacks.sort(key=lambda one: one.series.view is not View.SAGITTAL_T2)
    pairs = [(stacks[0], [one]) for one in stacks[1:] if share_frame(one.series, stacks[0].series)]
    axial = sorted((one for one in known if not _is_sagittal(one)), key=_acquisition)
    for _, several in groupby(axial, _acquisition):
        acquired = list(several)
        in_frame = (one for one in stacks if share_frame(one.series, acquired[0].series))
        pairs.append((next(in_frame, stacks[0]), acquired))
    for fixed, moving in pairs:
        clear = CLEAR if fixed.series.view is View.SAGITTAL_T2 else CLEAR_IN_T1
        if mirrored_better([one.series for one in moving], fixed) > clear:
            yield fixed, moving[0]


def mirrored_better(moving: Sequence[Series], fixed: LocatedSeries) -> float:
    """How many times as much the series tell of a sagittal one when they are mirrored at its midline as when they are
    not; 0 where that cannot be said.

    The mirror may be square to the slices of either (pixels mirrored) or to the patient (positions mirrored).
    """
    points = [_grid(one) for one in moving]
    places_mm = np.concatenate([one.places_mm for one in points])
    overlay = _Overlay(fixed, np.concatenate([one.values_N for one in points]))
    near = overlay.is_near(fixed.series.to_vox(places_mm))
    places_mm, overlay = places_mm[near], replace(overlay, values_N=overlay.values_N[near])
    middle_mm = np.mean([frame.center_mm for frame in fixed.frames], axis=0)
    as_is = overlay.shared(places_mm, NEAR_MM)
    if as_is <= 0:
        return 0.0
    mirrors = _apart([_left(fixed.series), _left(moving[0]), np.array([1.0, 0.0, 0.0])])
    mirrored = max(overlay.shared(_mirrored(places_mm, middle_mm, left), FAR_MM) for left in mirrors)
    if mirrored <= max(TELLING, CLEAR * as_is):
        return mirrored / as_is if mirrored > TELLING else 0.0
    turned = (overlay.shared(_turned(places_mm, middle_mm, angle), NEAR_MM) for angle in TURNS_DEGREES)
    return mirrored / max(as_is, *turned)


def _turned(places_mm: Floats, middle_mm: Floats, degrees: float) -> Floats:
    """The places turned about the patient's long axis, as patients turn between two series."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (places_mm - middle_mm) @ np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]]) + middle_mm


def _apart(directions: Sequence[Floats]) -> list[Floats]:
    """Those that are not nearly the same as one before."""
    kept: list[Floats] = []
    for one in directions:
        if all(abs(one @ other) < ALIKE for other in kept):
            kept.append(one)
    return kept


def _mirrored(places_mm: Floats, middle_mm: Floats, left: Floats) -> Floats:
    return places_mm - 2 * np.outer((places_mm - middle_mm) @ left, left)


def _left(series: Series) -> Floats:
    """Direction in which a series goes from right to left: from slice to slice, or in an axial one along its rows."""
    left = series.affine_vox2mm[:3, 2 if series.plane == "axial" else 0]
    return np.asarray(left / np.linalg.norm(left), float)


def _width_mm(series: Series) -> float:
    return float(len(series.voxels_SRC) * series.spacing_mm[0])


def _is_sagittal(one: LocatedSeries) -> bool:
    return one.series.plane == "sagittal"


def _acquisition(one: LocatedSeries) -> str:
    return one.series.images.series_uid if one.series.images else ""


@dataclass(frozen=True)
class _Overlay:
    """Grey values (N,) of points of one series, to be held over the slices of a sagittal one around its levels."""

    fixed: LocatedSeries
    values_N: Floats

    def shared(self, places_mm: Floats, shifts_mm: Floats) -> float:
        """Normalised mutual information, less 1, where the points lie in these places, (N, 3), moved sideways by the
        shift that suits them best; 0 where too few of them lie in the series."""
        places = self.fixed.series.to_vox(places_mm)
        chosen = np.flatnonzero(self.is_near(places))
        chosen = chosen[:: max(1, len(chosen) // MOST_POINTS)]
        shown_SN = _smoothed(self.fixed.series.voxels_SRC, *np.rint(places[chosen, 1:]).astype(int).T)
        rank_N = ranks(self.values_N[chosen])
        at_N, step_mm = places[chosen, 0], self.fixed.series.spacing_mm[0]
        found = {shift: _shared(rank_N, at_N + shift / step_mm, shown_SN) for shift in shifts_mm[::2]}
        near = [shift for shift in shifts_mm[1::2] if abs(shift - max(found, key=found.__getitem__)) < 1.5 * STEP_MM]
        return max(*found.values(), *(_shared(rank_N, at_N + shift / step_mm, shown_SN) for shift in near))

    def is_near(self, places: Floats) -> NDArray[np.bool_]:
        """Which voxel positions lie around the levels, or within reach beside them."""
        series = self.fixed.series
        centers = series.to_vox(np.array([frame.center_mm for frame in self.fixed.frames]))
        reach = np.array([[FAR_MM[-1], BEYOND_MM, FRONT_MM], [FAR_MM[-1], BEYOND_MM, BACK_MM]]) / series.spacing_mm
        size = np.array(series.voxels_SRC.shape)
        low, high = centers.min(axis=0) - reach[0], centers.max(axis=0) + reach[1]
        low[0], high[0] = -reach[0, 0], size[0] - 1 + reach[0, 0]
        low[1:], high[1:] = np.maximum(low[1:], 1), np.minimum(high[1:], size[1:] - 2)
        return np.asarray(((places >= low) & (places <= high)).all(axis=1))


def _shared(rank_N: NDArray[np.int64], at_N: Floats, shown_SN: NDArray[np.float32]) -> float:
    """Normalised mutual information, less 1, of points at these places between slices and what the slices show."""
    inside = (at_N >= 0) & (at_N <= len(shown_SN) - 1)
    if inside.sum() < FEWEST_POINTS:
        return 0.0
    at_N, column_N = at_N[inside], np.flatnonzero(inside)
    low_N = np.minimum(at_N.astype(int), len(shown_SN) - 2)
    part_N = at_N - low_N
    seen_N = (1 - part_N) * shown_SN[low_N, column_N] + part_N * shown_SN[low_N + 1, column_N]
    joint_BB = joint_shares(rank_N[inside], ranks(seen_N))
    both, by_chance = entropy(joint_BB), (BINS - 1) ** 2 / (2 * len(seen_N))
    return (entropy(joint_BB.sum(axis=0)) + entropy(joint_BB.sum(axis=1)) - by_chance) / both - 1


def _grid(series: Series) -> Points:
    """Points all over a series, about POINT_MM apart in its slices."""
    slices, rows, columns = series.voxels_SRC.shape
    down, across = np.maximum(1, np.rint(POINT_MM / series.spacing_mm[1:])).astype(int)
    row_RC, column_RC = np.meshgrid(np.arange(1, rows - 1, down), np.arange(1, columns - 1, across), indexing="ij")
    row_N, column_N = row_RC.ravel(), column_RC.ravel()
    values_SN = _smoothed(series.voxels_SRC, row_N, column_N)
    index_SN = np.repeat(np.arange(slices), len(row_N))
    places = np.stack([index_SN, np.tile(row_N, slices), np.tile(column_N, slices)], axis=1)
    return Points(series.to_mm(places.astype(float)), values_SN.ravel().astype(float))


def _smoothed(
    voxels_SRC: NDArray[np.float32], row_N: NDArray[np.int64], column_N: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Means of a pixel and the four beside it in every slice, (S, N)."""
    beside = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
    return np.asarray(sum(voxels_SRC[:, row_N + down, column_N + right] for down, right in beside) / len(beside))
