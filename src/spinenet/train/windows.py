"""What a step of the grader is made of before its pictures: windows of slices as bytes, with how to resample them.

Which slices a bag shows, and where, is decided here beside each study; the pictures of a whole batch are made at once
where the network runs (``train.rendering``).

Shapes: L level, S place of a bag, M picture (a slice at a level), Z series, R C pixels of a window, T target.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spinenet.checking.visible import visible_targets
from spinenet.crops import Bag, CropSpec, Shown, ShownSlice, Window, bag_of, window_of
from spinenet.datasets.grey_values import HeldSeries
from spinenet.labels import UNKNOWN
from spinenet.study import LocatedSeries

Item = dict[Hashable, Any]
BAG_PLACES = ("tissue_LS3", "view_LS", "offset_LS", "mirrored_LS", "mask_LS", "level_L")
"""The arrays of a bag but for its pictures."""
PLACED = (*BAG_PLACES, "grades_LT", "picture_LS", "flipped_LS")
PER_PICTURE = ("matrix_M23", "size_M2", "smoothing_M", "series_M")
PER_SERIES = ("grey_Z256", "window_Z3", "noise_Z", "blur_Z2", "field_Z33")
_FILL = {"grades_LT": UNKNOWN, "picture_LS": -1}
NOTHING = np.zeros((0, 0), np.float32)
SHARP: dict[str, NDArray[np.float32]] = {
    "window_Z3": np.array([-np.inf, np.inf, 1.0], np.float32),
    "noise_Z": np.zeros((), np.float32),
    "blur_Z2": np.zeros(2, np.float32),
    "field_Z33": np.zeros((3, 3), np.float32),
}
"""How a series looks as it was acquired: no window, noise, blur or bias field."""


def window_item(shown: Shown, data: Mapping[Hashable, Any], spec: CropSpec, grades_LT: NDArray[np.int64]) -> Item:
    """The bag of these slices without its pictures, and what those are made of. ``looks_of`` names the series that each
    row of the arrays per series is of: stacks of one series look alike."""
    bag = bag_of(shown, NOTHING.shape, lambda one: NOTHING)
    series, taken, picture_LS = _pictures(shown, bag)
    windows = [_window(one, spec) for one in taken]
    item: Item = {name: getattr(bag, name) for name in BAG_PLACES}
    item["grades_LT"] = np.where(visible_targets(bag, data["located"]), grades_LT[bag.level_L], UNKNOWN)
    item |= {"picture_LS": picture_LS, "flipped_LS": bag.mirrored_LS.copy()}
    item["windows"] = [_cut(one, window) for one, window in zip(taken, windows, strict=True)]
    item["matrix_M23"] = np.array([window.matrix for window in windows], np.float32).reshape(-1, 2, 3)
    item["size_M2"] = np.array([window.high - window.low for window in windows], np.int64).reshape(-1, 2)
    item["smoothing_M"] = np.array([window.smoothing for window in windows], np.float32)
    rows = {id(one): row for row, one in enumerate(series)}
    item["series_M"] = np.array([rows[id(one.located)] for one in taken], np.int64)
    item["grey_Z256"] = np.array([_grey(one) for one in series], np.float32).reshape(-1, 256)
    for name, value in SHARP.items():
        item[name] = np.tile(value, (len(series), *[1] * value.ndim))
    item |= {"looks_of": [one.series.name for one in series], "study": data["study"], "spec": spec}
    return item


def _pictures(shown: Shown, bag: Bag) -> tuple[list[LocatedSeries], list[ShownSlice], NDArray[np.int64]]:
    """The series that are shown, the slices one after the other, and (L, S) which of them stands at a place (-1: none).

    LocatedSeries hold arrays and are compared by identity.
    """
    taken = [one for slices in shown.values() for one in slices]
    series = list({id(one.located): one.located for one in taken}.values())
    begins_L = _begins([*map(len, shown.values())])
    return series, taken, np.where(bag.shown_LS >= 0, bag.shown_LS + begins_L[:, None], -1)


def _window(one: ShownSlice, spec: CropSpec) -> Window:
    return window_of(one.placement.series.voxels_SRC.shape[1:], one.placement.matrix(one.slice_index), spec)


def _cut(one: ShownSlice, window: Window) -> NDArray[np.uint8]:
    series = one.placement.series
    assert isinstance(series, HeldSeries)
    (top, left), (bottom, right) = window.low, window.high
    return series.steps_SRC[one.slice_index, top:bottom, left:right]


def _grey(one: LocatedSeries) -> NDArray[np.float32]:
    """What every byte of a series stands for on its scale, 0 dark and 1 bright."""
    assert isinstance(one.series, HeldSeries)
    dark, bright = one.reference[:2]
    scaled: NDArray[np.float32] = (one.series.grey_values - dark) / (bright - dark)
    return scaled


def collate_windows(items: Sequence[Mapping[Hashable, Any]]) -> dict[str, torch.Tensor]:
    """One batch: places padded to (B, L, S, ...) and masked, pictures and series of all studies one after the other.

    ``windows_MRC`` uint8 are padded to the largest; ``place_HW2`` are the pixels (row, column) of a crop.
    """
    batch = {name: padded([item[name] for item in items], _FILL.get(name, 0)) for name in PLACED}
    pictures, series = ([len(item[name]) for item in items] for name in ("series_M", "grey_Z256"))
    batch["picture_LS"] += np.where(batch["picture_LS"] >= 0, _begins(pictures)[:, None, None], 0)
    batch |= {name: np.concatenate([item[name] for item in items]) for name in (*PER_PICTURE, *PER_SERIES)}
    batch["series_M"] += np.repeat(_begins(series), pictures)
    windows = [window for item in items for window in item["windows"]]
    batch["windows_MRC"] = np.zeros((len(windows), *batch["size_M2"].max(0, initial=1)), np.uint8)
    for held, window in zip(batch["windows_MRC"], windows, strict=True):
        held[: window.shape[0], : window.shape[1]] = window
    spec = items[0]["spec"]
    batch["place_HW2"] = np.moveaxis(np.indices((spec.rows, spec.columns)), 0, -1).astype(np.float32)
    return {name: torch.as_tensor(array) for name, array in batch.items()}


def _begins(counts: Sequence[int]) -> NDArray[np.int64]:
    """Where each of several parts begins, one after the other."""
    return np.cumsum([0, *counts])[:-1].astype(np.int64)


def padded(arrays: Sequence[NDArray[Any]], fill: float) -> NDArray[Any]:
    """Arrays of different size in their first axes as one, each at the beginning of its row."""
    shape = np.max([array.shape for array in arrays], axis=0)
    out = np.full((len(arrays), *shape), fill, arrays[0].dtype)
    for row, array in zip(out, arrays, strict=True):
        row[tuple(map(slice, array.shape))] = array
    return out
