"""Which series are graded: a view the files leave open is told from the image, and of series that show the same one is
taken, with the reason written on each.

Files speak first (``readers.views``), then the image (``contrast``) where it is sure: it also tells that a T2 has its
fat suppressed, of which many files say nothing.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from spinenet.labels import SAGITTAL_VIEWS, View
from spinenet.locating.agreement import displacement, share_frame, stack_points
from spinenet.locating.contrast import axial_view, lacks_fat, sagittal_view
from spinenet.locating.discs import Detection, Segmenter, detect
from spinenet.locating.numbering import number_study
from spinenet.study import Basis, Series, Study

FULL_COVERAGE_MM = 60.0
"""Slices that reach over more than this show the whole canal and both foramina."""
SAME_REACH = 0.85
"""Series that share less than this of the longest one's length may be stations of a larger field."""
ALIKE = 1.15
"""Two series are equal in a figure where they differ by less than this factor."""
THIN_MM = 2.0
"""Thinner slices make a volume, thicker ones a stack: they add to each other and are no repeats."""


@dataclass(frozen=True)
class ViewAssignment:
    """A study with each series' view settled, and of each series the discs that were looked for on the way to it."""

    study: Study
    seen: tuple[Detection | None, ...]


def route(study: Study, segment: Segmenter) -> ViewAssignment:
    """Settle the view of each series: those not to be graded have none, and a reason that says so."""
    asked = [_is_open(one, "sagittal") or _may_lack_fat(one) for one in study.series]
    seen = [detect(one, segment) if ask else None for one, ask in zip(study.series, asked, strict=True)]
    pairs = zip(study.series, seen, strict=True)
    series = [_by_image(one, discs) if discs else one for one, discs in pairs]
    if any(_is_open(one, "axial") for one in series):
        seen = detections(series, seen, segment)
        usable = [discs for discs in seen if discs and discs.series.view in SAGITTAL_VIEWS]
        sagittal, _ = number_study(usable, study.level_names)
        series = [_told(one, *axial_view(one, sagittal)) if _is_open(one, "axial") else one for one in series]
    seen = _seen_of_stations(series, seen, segment)
    unshown = {discs.series.name for discs in seen if discs and discs.anchor is None}
    series = _without_repeated_axial(_one_fluid_view(_one_of_each(series, unshown)))
    return ViewAssignment(replace(study, series=tuple(series)), tuple(seen))


def detections(
    series: Sequence[Series], seen: Sequence[Detection | None], segment: Segmenter
) -> list[Detection | None]:
    """The discs of every series of a sagittal view; ``seen`` are those that were looked for already."""
    found = [
        one_seen or (detect(one, segment) if one.view in SAGITTAL_VIEWS else None)
        for one, one_seen in zip(series, seen, strict=True)
    ]
    return [replace(discs, series=one) if discs else None for one, discs in zip(series, found, strict=True)]


def _is_open(series: Series, plane: str) -> bool:
    return series.basis is Basis.UNDECIDED and series.plane == plane


def _may_lack_fat(series: Series) -> bool:
    """Whether the files say T2, and nothing of fat: what has it suppressed by its header or name is STIR already."""
    return series.view is View.SAGITTAL_T2 and series.basis in (Basis.PHYSICS, Basis.NAME)


def _by_image(series: Series, discs: Detection) -> Series:
    """A sagittal series as its image has it where files leave that open; a T2 remains one unless its fat is dark."""
    if series.view is None:
        return _told(series, *sagittal_view(discs))
    if not lacks_fat(discs):
        return series
    return _told(series, View.SAGITTAL_STIR, "fluid bright, fat and marrow dark: fat is suppressed")


def _told(series: Series, view: View | None, seen: str) -> Series:
    said = series.reason.rstrip(".")
    if view is None:
        return replace(series, basis=Basis.EXCLUDED, reason=f"{said}, and {seen}: not used.")
    return replace(series, view=view, basis=Basis.IMAGE, reason=f"{said}; {view} by its image ({seen}).")


def _seen_of_stations(
    series: Sequence[Series], seen: Sequence[Detection | None], segment: Segmenter
) -> list[Detection | None]:
    """The discs of sagittal series of one view that do not reach as far down or up as each other, too: stations of a
    larger field, of which some do not show the sacrum."""
    apart = {one.name for several in _rivals(series).values() for one in several if not _reach_alike(several)}
    return [
        one_seen or (detect(one, segment) if one.name in apart else None)
        for one, one_seen in zip(series, seen, strict=True)
    ]


def _rivals(series: Sequence[Series]) -> dict[tuple[View, bool], list[Series]]:
    """Sagittal series of one view and kind."""
    rivals: dict[tuple[View, bool], list[Series]] = {}
    for one in series:
        if one.view in SAGITTAL_VIEWS:
            rivals.setdefault((one.view, one.spacing_mm[0] < THIN_MM), []).append(one)
    return rivals


def _reach_alike(several: Sequence[Series]) -> bool:
    """Whether the series lie over nearly the same length of the patient."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    ends_mm = []
    for one in several:
        z_mm = one.to_mm(corners * (np.array(one.voxels_SRC.shape) - 1))[:, 2]
        ends_mm.append((float(z_mm.min()), float(z_mm.max())))
    low, high = max(low for low, _ in ends_mm), min(high for _, high in ends_mm)
    return high - low >= SAME_REACH * max(high - low for low, high in ends_mm)


def _one_of_each(series: Sequence[Series], unshown: Collection[str]) -> list[Series]:
    """Of sagittal series of one view and kind the best keeps its view; ``unshown`` are names of those that are known
    not to show the sacrum."""
    beaten: dict[str, str] = {}
    for several in _rivals(series).values():
        asked = any(one.basis is Basis.USER for one in several)
        shown = [one for one in several if asked or one.name not in unshown]
        if shown and len(shown) < len(several):
            words = f"{shown[0].name} shows the sacrum, from which levels are counted, and this one does not"
            beaten |= {one.name: words for one in several if one not in shown}
        beaten |= {loser.name: reason for loser, reason in _beaten(shown or several)}
    return [_unused(one, beaten[one.name]) if one.name in beaten else one for one in series]


def _beaten(rivals: Sequence[Series]) -> list[tuple[Series, str]]:
    """All but the best of the rivals, each with why the best is better."""
    best = rivals[0]
    for one in rivals[1:]:
        best = one if _is_better(one, best)[0] else best
    others = [one for one in rivals if one is not best]
    return [(one, f"{best.name} shows the same and {_is_better(best, one)[1] or 'is better'}") for one in others]


def _is_better(one: Series, other: Series) -> tuple[bool, str]:
    """Whether ``one`` is preferred and why; between equals the later, which the caller's order says, is."""
    for words, figure in _MERITS:
        mine, theirs = figure(one), figure(other)
        if mine > ALIKE * theirs:
            return True, words
        if theirs > ALIKE * mine:
            return False, ""
    return True, "is the later one"


_MERITS: tuple[tuple[str, Callable[[Series], float]], ...] = (
    ("was asked for", lambda one: 2.0 if one.basis is Basis.USER else 1.0),
    ("was not computed from others", lambda one: 2.0 if one.original else 1.0),
    ("covers more", lambda one: min(FULL_COVERAGE_MM, _extent_mm(one))),
    ("has finer pixels", lambda one: 1 / float(np.prod(one.spacing_mm[1:]))),
    ("has thinner slices", lambda one: 1 / float(one.spacing_mm[0])),
)


def _extent_mm(series: Series) -> float:
    return float(len(series.voxels_SRC) * series.spacing_mm[0])


def _unused(series: Series, why: str) -> Series:
    return replace(series, view=None, basis=Basis.EXCLUDED, reason=f"{series.reason.rstrip('.')}; not used: {why}.")


def _one_fluid_view(series: Sequence[Series]) -> list[Series]:
    """STIR stands in where there is no T2; beside one it is not graded, unless a user asks for it."""
    t2 = next((one.name for one in series if one.view is View.SAGITTAL_T2), None)
    if t2 is None:
        return list(series)
    why = f"{t2} shows the same with fat"
    spare = [one.view is View.SAGITTAL_STIR and one.basis is not Basis.USER for one in series]
    return [_unused(one, why) if not_needed else one for one, not_needed in zip(series, spare, strict=True)]


def _without_repeated_axial(series: Sequence[Series]) -> list[Series]:
    """Axial acquisitions whose slices another one shows as well lose their view; several stacks make an acquisition."""
    ordered = sorted((one for one in series if one.view is View.AXIAL_T2), key=_acquisition_of)
    acquisitions = [list(stacks) for _, stacks in groupby(ordered, _acquisition_of)]
    acquisitions.sort(key=lambda stacks: [one.name for one in series].index(stacks[0].name))
    dropped: dict[str, str] = {}
    kept: list[list[Series]] = []
    for stacks in acquisitions:
        rival = next((other for other in kept if _shows(other, stacks) or _shows(stacks, other)), None)
        if rival is None:
            kept.append(stacks)
            continue
        if _is_better_acquisition(stacks, rival):
            stacks, rival = rival, stacks
            kept[kept.index(stacks)] = rival
        dropped |= {one.name: f"{rival[0].name} shows the same levels and is the better or later one" for one in stacks}
    return [_unused(one, dropped[one.name]) if one.name in dropped else one for one in series]


def _is_better_acquisition(one: Sequence[Series], other: Sequence[Series]) -> bool:
    asked = [any(stack.basis is Basis.USER for stack in stacks) for stacks in (one, other)]
    slices = [sum(len(stack.voxels_SRC) for stack in stacks) for stacks in (one, other)]
    if asked[0] != asked[1]:
        return asked[0]
    if max(slices) > ALIKE * min(slices):
        return slices[0] > slices[1]
    return _is_better(one[0], other[0])[0]


def _acquisition_of(series: Series) -> str:
    return series.images.series_uid if series.images else series.name


def _shows(stacks: Sequence[Series], others: Sequence[Series]) -> bool:
    """Whether nearly every slice of ``others`` lies on one of ``stacks``, turned by less than 10 degrees."""
    seen = [
        any(_lies_on(center_mm, other, stack) for stack in stacks)
        for other in others
        for center_mm in _centers_mm(other)
    ]
    return float(np.mean(seen)) > 0.8 and all(_shares_coordinates(other, stacks) for other in others)


def _shares_coordinates(one: Series, stacks: Sequence[Series]) -> bool:
    """Whether places in a stack are the same places in some of these, by their frames of reference or their image."""
    return any(share_frame(one, stack) for stack in stacks) or any(
        displacement(stack_points(one), stack).agrees for stack in stacks
    )


def _centers_mm(series: Series) -> np.ndarray:
    """Middle of every slice, (S, 3) in LPS mm."""
    slices, rows, columns = series.voxels_SRC.shape
    middle = np.array([0, (rows - 1) / 2, (columns - 1) / 2])
    return series.to_mm(middle + np.outer(np.arange(slices), [1, 0, 0]))


def _lies_on(center_mm: np.ndarray, other: Series, stack: Series) -> bool:
    normal, turned = (np.cross(one.affine_vox2mm[:3, 1], one.affine_vox2mm[:3, 2]) for one in (stack, other))
    normal, turned = normal / np.linalg.norm(normal), turned / np.linalg.norm(turned)
    away_mm = np.abs((_centers_mm(stack) - center_mm) @ normal).min()
    step_mm = float(stack.spacing_mm[0])
    return bool(abs(normal @ turned) > np.cos(np.radians(10)) and away_mm < 0.75 * step_mm)
