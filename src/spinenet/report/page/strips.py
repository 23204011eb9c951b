"""The slices that a level's grades were read from, those that decided first chosen and then put in their place."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spinenet.labels import View
from spinenet.report.deciding_slices import share_of
from spinenet.report.page.page_words import ENGLISH, PageWords
from spinenet.report.page.pictures import Window, crop_window, data_uri
from spinenet.study import LevelCrop

SHOWN = {View.SAGITTAL_T2: 3, View.SAGITTAL_STIR: 2, View.SAGITTAL_T1: 2, View.AXIAL_T2: 2}
"""So many slices of a view are in the strip; a usual study then prints to two pages."""


LEAST_SHARE = 0.005
"""A slice with less of the attention did not count."""


@dataclass(frozen=True)
class Slice:
    """One slice of a strip. ``place`` says its rank among the level's slices in words, over all targets: a share of the
    attention would be read as a probability. "" where the model does not tell, or hardly looked at it."""

    image: str
    caption: str
    place: str
    length: float
    """Of its bar in per cent: that of the slice looked at most is full."""


@dataclass(frozen=True)
class Strip:
    """The slices of one level in one view, from the patient's right to the left or from below upwards."""

    title: str
    slices: tuple[Slice, ...]
    seen: int
    """So many slices of this view the model saw."""


def crop_windows(crops: Mapping[str, Sequence[LevelCrop]]) -> dict[str, Window]:
    """One window a series over all levels."""
    by_series: dict[str, list[LevelCrop]] = {}
    for crop in (crop for level_crops in crops.values() for crop in level_crops):
        by_series.setdefault(crop.series_name, []).append(crop)
    return {name: crop_window(series_crops) for name, series_crops in by_series.items()}


def strips_of(
    crops: Sequence[LevelCrop],
    windows: Mapping[str, Window],
    two_sided: Collection[str],
    targets: Sequence[str],
    words: PageWords,
) -> tuple[Strip, ...]:
    """The crops of a level, one strip a view; ``two_sided`` names the series whose left is known, ``targets`` what is
    graded."""
    strips = []
    shares = sorted((attention_of(crop, targets) or 0.0 for crop in crops), reverse=True)
    for view in (view for view in SHOWN if any(crop.view is view for crop in crops)):
        own = [crop for crop in crops if crop.view is view]
        chosen = sorted(_deciding(own, SHOWN[view], targets), key=lambda crop: crop.offset_mm)
        slices = [_slice(crop, windows[crop.series_name], two_sided, targets, shares, words) for crop in chosen]
        names = ", ".join(dict.fromkeys(crop.series_name for crop in own))
        strips.append(Strip(f"{words.view(view)} ({names})", tuple(slices), len(own)))
    return tuple(strips)


def attention_of(crop: LevelCrop, targets: Sequence[str]) -> float | None:
    """Mean share over the targets, 0 to 1; None where the model does not tell."""
    shares = [share for target in targets if (share := share_of(crop, target)) is not None]
    return float(np.mean(shares)) if shares else None


def caption_of(crop: LevelCrop, side_known: bool, words: PageWords = ENGLISH) -> str:
    """Where a slice lies: beside the midline, or for an axial one above or below the middle of the disc."""
    distance_mm = round(abs(crop.offset_mm))
    if crop.view is View.AXIAL_T2:
        beside = "{mm} mm above" if crop.offset_mm > 0 else "{mm} mm below"
        return words("mid-disc") if distance_mm == 0 else words(beside, mm=distance_mm)
    if distance_mm == 0:
        return words("midline")
    if not side_known:
        return words("{mm} mm, side unknown", mm=distance_mm)
    return words("{mm} mm left" if crop.offset_mm > 0 else "{mm} mm right", mm=distance_mm)


def _deciding(crops: Sequence[LevelCrop], count: int, targets: Sequence[str]) -> list[LevelCrop]:
    """The slices looked at most; where that is not known, those nearest to the middle."""
    return sorted(crops, key=lambda crop: (-(attention_of(crop, targets) or 0.0), abs(crop.offset_mm)))[:count]


def _slice(
    crop: LevelCrop,
    window: Window,
    two_sided: Collection[str],
    targets: Sequence[str],
    shares: Sequence[float],
    words: PageWords,
) -> Slice:
    share = attention_of(crop, targets) or 0.0
    return Slice(
        image=data_uri(crop.pixels_HW, window),
        caption=caption_of(crop, crop.series_name in two_sided, words),
        place=rank_in_words(share, shares, words),
        length=round(100 * share / shares[0], 1) if share else 0.0,
    )


def rank_in_words(share: float, shares: Sequence[float], words: PageWords = ENGLISH) -> str:
    """Which place a slice takes among all of a level, whose shares of the attention run from the largest.

    >>> [rank_in_words(share, (0.6, 0.3, 0.1, 0.001)) for share in (0.6, 0.3, 0.001)]
    ['counted most', 'counted 2nd', '']
    """
    if share < LEAST_SHARE:
        return ""
    place = sum(other > share for other in shares) + 1
    if place > 1 and not words.is_english:
        return words("counted no. {place}", place=place)
    return words("counted most") if place == 1 else f"counted {place}{ {2: 'nd', 3: 'rd'}.get(place, 'th') }"
