"""The slices that were read, as data for the viewer in a study's page: pictures, where they lie in the patient, the
levels, and which of them decided each grade.

Series are joined into panes: every sagittal series is one, the axial stacks of a study are one together. A place on a
picture is (x, y) in its own pixels from its upper left corner; places in the patient are LPS in mm.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spinenet.crops import CropSpec, Placement, place
from spinenet.report.deciding_slices import deciding, share_of
from spinenet.report.page.measured_places import measured_places
from spinenet.report.page.page_words import ENGLISH, PageWords
from spinenet.report.page.pictures import Window, grey_of, sagittal_first, spine_window
from spinenet.study import LevelFrame, LocatedSeries, Series, StudyResult

MAX_BYTES = 3_900_000
"""Of all pictures; as text in a page they are a third more, so that a page stays below 6 MB."""
MAX_SIDE, MAX_TOTAL_PIXELS = 512, 16_000_000
QUALITIES = (90, 75, 60, 45, 30)
"""Of JPEG, the best that keeps to MAX_BYTES is taken."""
RANGE = (0.1, 99.9)
"""Percentiles of a series that are the first and last of its 256 greys."""
MAX_DECIDING = 4
"""So many slices are named for a grade at most."""

Point = list[float]


@dataclass(frozen=True)
class Stack:
    """The pictures of a series, and the grey values that are black and white in them."""

    greys: Window
    pictures: list[Image.Image]


def viewer_data(result: StudyResult, model: Mapping[str, Any], words: PageWords = ENGLISH) -> dict[str, Any]:
    """Everything the viewer shows, ready for JSON; ``{}`` where there is nothing to show.

    ``panes`` are titles with their slices, ``levels`` lie in the patient, and ``cells`` say for ``level|target`` the
    slices that decided it, the first first, each as pane, slice, per cent of the attention and corners of the crop.
    ``measured`` says for ``level|size`` of the table the pane and slice that it was measured in, and the lines around
    what was measured.
    """
    panes = _panes(result.located)
    if not panes:
        return {}
    side = _side(result.located)
    stacks = {one.series.name: _stack(one.series, side) for one in result.located}
    quality = _quality(list(stacks.values()))
    by_name = {one.series.name: one.series for one in result.located}
    at = {
        (one.series.name, index): (number, place_in_pane)
        for number, pane in enumerate(panes)
        for place_in_pane, (one, index) in enumerate(pane)
    }
    return {
        "panes": [_pane(pane, stacks, quality, words) for pane in panes],
        "levels": [_level(result, name) for name in dict.fromkeys(level.name for level in result.levels)],
        "measured": {
            key: [*at[series, index], [_on_picture(line, by_name[series], side) for line in lines]]
            for key, (series, index, lines) in measured_places(result).items()
        },
        "cells": _cells(result, at, CropSpec(**model["crop"]) if "crop" in model else CropSpec(), side),
    }


def _panes(located: Sequence[LocatedSeries]) -> list[list[tuple[LocatedSeries, int]]]:
    """The slices of every pane in order: sagittal from the right, axial ones from below, stack after stack."""
    sagittal = [[(one, index) for index in range(len(one.series.voxels_SRC))] for one in sagittal_first(located)]
    axial = sorted((one for one in located if one.series.plane == "axial"), key=_height_mm)
    together = [(one, index) for one in axial for index in range(len(one.series.voxels_SRC))]
    return [*sagittal, *([together] if together else [])]


def _height_mm(one: LocatedSeries) -> float:
    """Where the middle of a series lies, towards the head."""
    return float(one.series.to_mm((np.array(one.series.voxels_SRC.shape) - 1) / 2)[2])


def _side(located: Sequence[LocatedSeries]) -> int:
    """Longest side of a picture in pixels, so that all together keep to MAX_TOTAL_PIXELS."""
    side = MAX_SIDE
    while side > 128 and sum(len(one.series.voxels_SRC) * np.prod(_shape(one.series, side)) for one in located) > (
        MAX_TOTAL_PIXELS
    ):
        side -= 32
    return side


def _shape(series: Series, side: int) -> tuple[int, int]:
    """(rows, columns) of the pictures of a series: as they are, or so that the longest side is ``side``."""
    rows, columns = series.voxels_SRC.shape[1:]
    shrink = min(1.0, side / max(rows, columns))
    return round(rows * shrink), round(columns * shrink)


def _stack(series: Series, side: int) -> Stack:
    """The slices of a series in 256 greys of one range."""
    black, white = (float(value) for value in np.percentile(series.voxels_SRC[:, ::3, ::3], RANGE))
    greys, size = Window(black, max(white, black + 1e-3)), _shape(series, side)[::-1]
    pictures = [Image.fromarray(grey_of(slice_RC, greys)) for slice_RC in series.voxels_SRC]
    return Stack(greys, [one if one.size == size else one.resize(size, Image.Resampling.BOX) for one in pictures])


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=quality)
    return content.getvalue()


def _quality(stacks: Sequence[Stack]) -> int:
    """The best quality at which all pictures keep to MAX_BYTES, judged by the middle one of every series."""
    for quality in QUALITIES:
        if (
            sum(len(one.pictures) * len(_jpeg(one.pictures[len(one.pictures) // 2], quality)) for one in stacks)
            <= MAX_BYTES
        ):
            return quality
    return QUALITIES[-1]


def _pane(
    pane: Sequence[tuple[LocatedSeries, int]], stacks: Mapping[str, Stack], quality: int, words: PageWords
) -> dict[str, Any]:
    first = pane[0][0].series
    view = words.view(first.view) if first.view else words("view unknown")
    names = list(dict.fromkeys(one.series.name for one, _ in pane))
    return {
        "title": f"{view} ({names[0] if len(names) == 1 else words('{count} stacks', count=len(names))})",
        "plane": first.plane,
        "start": pane[0][0].midline_slice if first.plane == "sagittal" else len(pane) // 2,
        "sides": all(one.series.laterality_known for one, _ in pane),
        "slices": [_slice(one, index, stacks[one.series.name], quality) for one, index in pane],
    }


def _slice(one: LocatedSeries, index: int, stack: Stack, quality: int) -> dict[str, Any]:
    """One picture: its corner and steps of a pixel to the right and downwards in the patient, its window and name."""
    series = one.series
    rows, columns = series.voxels_SRC.shape[1:]
    affine = series.affine_vox2mm
    picture, full, shown = stack.pictures[index], stack.greys, spine_window(one)
    scale = 255 / (full.white - full.black)
    return {
        "image": base64.b64encode(_jpeg(picture, quality)).decode("ascii"),
        "size": [picture.width, picture.height],
        "corner": _point(series.to_mm(np.array([index, -0.5, -0.5]))),
        "right": _point(affine[:3, 2] * columns / picture.width, 5),
        "down": _point(affine[:3, 1] * rows / picture.height, 5),
        "window": [round((shown.black - full.black) * scale, 1), round((shown.white - full.black) * scale, 1)],
        "greys": [round(full.black, 2), round(full.white, 2)],
        "series": series.name,
        "number": [index + 1, len(series.voxels_SRC)],
        "beside": round(float((index - one.midline_slice) * series.spacing_mm[0]), 1),
    }


def _level(result: StudyResult, name: str) -> dict[str, Any]:
    """A level: its centre, the ends of its disc's axis, and the lines that the locator measured."""
    frame = _frame(result, name)
    back = frame.center_mm + frame.depth_mm / 2 * frame.posterior
    lines = [(frame.center_mm - frame.depth_mm / 2 * frame.posterior, back)]
    lines.append(
        (frame.center_mm - frame.height_mm / 2 * frame.superior, frame.center_mm + frame.height_mm / 2 * frame.superior)
    )
    if frame.canal_mm:
        lines.append((back, back + frame.canal_mm * frame.posterior))
    return {
        "name": name,
        "center": _point(frame.center_mm),
        "lines": [[_point(first), _point(last)] for first, last in lines],
    }


def _frame(result: StudyResult, name: str) -> LevelFrame:
    """A level as the series has it that ``StudyResult.levels`` names for it."""
    series = next(level.series for level in result.levels if level.name == name)
    one = next(one for one in result.located if one.series.name == series)
    return next(frame for frame in one.frames if frame.level == name)


def _cells(
    result: StudyResult, at: Mapping[tuple[str, int], tuple[int, int]], spec: CropSpec, side: int
) -> dict[str, list[list[Any]]]:
    frames = {
        (one.series.name, frame.level): place(one.series, frame, spec) for one in result.located for frame in one.frames
    }
    cells: dict[str, list[list[Any]]] = {}
    for prediction in result.predictions:
        crops = [one for one in result.crops.get(prediction.level, ()) if (one.series_name, prediction.level) in frames]
        cells[f"{prediction.level}|{prediction.target}"] = [
            [
                *at[crop.series_name, crop.slice_index],
                None if (share := share_of(crop, prediction.target)) is None else round(100 * share),
                _corners(frames[crop.series_name, prediction.level], crop.slice_index, side),
            ]
            for crop in deciding(crops, prediction.target, MAX_DECIDING)
        ]
    return cells


def _corners(placement: Placement, index: int, side: int) -> list[Point]:
    """The four corners of a level's crop on the picture of a slice."""
    rows, columns = placement.spec.rows - 0.5, placement.spec.columns - 0.5
    corners = np.array([[-0.5, -0.5, 1], [-0.5, columns, 1], [rows, columns, 1], [rows, -0.5, 1]])
    return _on_picture(corners @ placement.matrix(index).T, placement.series, side)


def _on_picture(places_rc: NDArray[np.float64], series: Series, side: int) -> list[Point]:
    """Places (N, 2) of (row, column) on a slice, on its picture."""
    shrink = np.array(_shape(series, side)) / np.array(series.voxels_SRC.shape[1:])
    return [_point(place[::-1], 1) for place in (places_rc + 0.5) * shrink]


def _point(values: NDArray[np.floating], digits: int = 2) -> Point:
    return [round(float(value), digits) for value in values]
