"""What the slices of a level can show: a target is graded where one of its needs is met, and nowhere else.

A side is graded only from series in which left and right are known.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinenet.crops import Bag
from spinenet.geometry import in_image
from spinenet.labels import LEVELS, SAGITTAL_VIEWS, TARGET, TARGET_INDEX, TARGETS, VIEWS, Need, Side, Target, View
from spinenet.study import LevelCrop, LevelFrame, LocatedSeries, Note, Scope, Series

LATERAL_MM = 11.0
"""A sagittal slice farther than this from the midline passes through the foramina rather than the canal."""
RECESS_MM = 8.0, 12.0
"""Recesses lie within this distance beside the midline."""
BEHIND_MM = 0.0, 10.0
"""And within this distance behind the back of the disc."""
NOT_SHOWN = "not_shown"
"""Code of the notes that say what was not graded since no series shows it."""


@dataclass(frozen=True)
class LevelViews:
    """Views that a level was seen in: with None for a slice anywhere, with a side for one beside the midline there.

    ``sided`` is the same of the series in which left and right are known.
    """

    every: frozenset[tuple[View, Side | None]]
    sided: frozenset[tuple[View, Side | None]]


ReadFrom = Callable[[str], Collection[View]]
"""Name of a target -> the views that its grades are read from."""


def any_view(target: str) -> Collection[View]:
    """Every view counts for every target."""
    return VIEWS


def visible_targets(bag: Bag, located: Sequence[LocatedSeries], read_from: ReadFrom = any_view) -> NDArray[np.bool_]:
    """(L, T) true where the level's slices can show the target; ``located`` are the series the bag was built from."""
    return _visible(bag, list(_shown_at(bag, located)), read_from)


def _visible(bag: Bag, shown_L: Sequence[LevelViews], read_from: ReadFrom) -> NDArray[np.bool_]:
    return np.array(
        [
            [LEVELS[level] in target.levels and _is_shown(target, shown, read_from(target.name)) for target in TARGETS]
            for level, shown in zip(bag.level_L, shown_L, strict=True)
        ],
        np.bool_,
    ).reshape(len(bag.level_L), len(TARGETS))


def not_shown(
    bag: Bag, located: Sequence[LocatedSeries], targets: Iterable[str], read_from: ReadFrom = any_view
) -> tuple[Note, ...]:
    """Which of these targets the slices of some level cannot show, where, and what is missing for it."""
    shown_L = list(_shown_at(bag, located))
    visible_LT = _visible(bag, shown_L, read_from)
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for target in map(TARGET.__getitem__, targets):
        rows = [row for row, level in enumerate(bag.level_L) if LEVELS[level] in target.levels]
        lacking: dict[str, list[str]] = {}
        for row, shown in enumerate(shown_L):
            if row in rows and not visible_LT[row, TARGET_INDEX[target.name]]:
                lacking.setdefault(_lacking(target, shown, read_from(target.name)), []).append(LEVELS[bag.level_L[row]])
        for what, levels in lacking.items():
            found.setdefault((what, () if len(levels) == len(rows) else tuple(levels)), []).append(target.running)
    return tuple(
        Note(NOT_SHOWN, Scope.STUDY, "", _in_words(what, levels, names)) for (what, levels), names in found.items()
    )


def _shown_at(bag: Bag, located: Sequence[LocatedSeries]) -> Iterator[LevelViews]:
    series = {one.series.name: one for one in located}
    for level, crops in zip(bag.level_L, bag.shown, strict=True):
        seen = [(crop, view) for crop in crops for view in _views_of(crop, series[crop.series_name], LEVELS[level])]
        sided = [view for crop, view in seen if series[crop.series_name].series.laterality_known]
        yield LevelViews(frozenset(view for _, view in seen), frozenset(sided))


def _views_of(crop: LevelCrop, located: LocatedSeries, level: str) -> Iterator[tuple[View, Side | None]]:
    yield crop.view, None
    if crop.view not in SAGITTAL_VIEWS:
        frame = next(frame for frame in located.frames if frame.level == level)
        yield from ((crop.view, side) for side in Side if _reaches(located.series, crop.slice_index, frame, side))
    elif abs(crop.offset_mm) > LATERAL_MM:
        yield crop.view, Side.LEFT if crop.offset_mm > 0 else Side.RIGHT


def _reaches(series: Series, slice_index: int, frame: LevelFrame, side: Side) -> bool:
    """Whether an axial slice holds an image where the recess of a side lies: not past its edge, nor in its padding."""
    left = np.cross(frame.posterior, frame.superior)
    beside_mm = np.arange(*RECESS_MM, 1.0) * (1 if side is Side.LEFT else -1)
    behind_mm = frame.depth_mm / 2 + np.arange(*BEHIND_MM, 1.0)
    at_mm = frame.center_mm + beside_mm[:, None, None] * left + behind_mm[:, None] * frame.posterior
    places_rc = series.to_vox(at_mm.reshape(-1, 3))[:, 1:]
    return bool(in_image(series.voxels_SRC[slice_index], places_rc).all())


def _is_shown(target: Target, shown: LevelViews, views: Collection[View]) -> bool:
    seen = shown.sided if target.side else shown.every
    return any(_is_met(need, target.side, seen) for need in _readable(target, views))


def _readable(target: Target, views: Collection[View]) -> list[Need]:
    """Needs of a target that can be met by views that its grades are read from."""
    return [need for need in target.needs if set(need.views) <= set(views)]


def _is_met(need: Need, side: Side | None, seen: frozenset[tuple[View, Side | None]]) -> bool:
    return all((view, side if need.lateral else None) in seen for view in need.views)


def _lacking(target: Target, shown: LevelViews, views: Collection[View]) -> str:
    """The least that the series would have to have for the target to be shown."""
    needs = _readable(target, views)
    sides = tuple(Side) if target.side else (None,)
    if any(_is_met(need, side, shown.every) for need in needs for side in sides):
        known = any(_is_met(need, side, shown.sided) for need in needs for side in sides)
        return f"no slice shows the {target.side} side" if known else "left and right are not known"
    missing = [[view for view in need.views if (view, None) not in shown.every] for need in needs]
    fewest = min(missing, key=len)
    if not fewest:
        return "no slice shows either side"
    alternatives = [" and ".join(view.words for view in one) for one in missing if len(one) == len(fewest)]
    return f"no usable {' or '.join(dict.fromkeys(alternatives))} series"


def _in_words(lacking: str, levels: Sequence[str], names: Sequence[str]) -> str:
    if not levels:
        return f"{lacking}: {', '.join(names)} not graded"
    return f"{lacking} at {', '.join(levels)}: {', '.join(names)} not graded there"
