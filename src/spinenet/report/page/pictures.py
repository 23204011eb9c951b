"""Grey values and frames -> pictures a browser can show: PNG data URIs, and marks in mm on top of them."""

import base64
import io
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spinenet.labels import View
from spinenet.study import LevelCrop, LevelFrame, LocatedSeries, Series

MAX_PIXELS = 768
"""Longest side of a slice in a report; more is not seen on a page."""
FIRST_VIEWS = (View.SAGITTAL_T2, View.SAGITTAL_STIR, View.SAGITTAL_T1)
"""Which series shows the levels best, the best first."""
MOST_CLIPPED = 0.02
"""Share of a slice that a window may show as pure white."""
OF_SLICE = (1.0, 99.5)
"""Percentiles of a slice that are black and white where the spine's window clips more."""
_LABEL_GAP_MM = 5.0
_LABEL_ROOM_MM = 24.0


@dataclass(frozen=True)
class Window:
    """Grey values shown as black and as white."""

    black: float
    white: float


@dataclass(frozen=True)
class Mark:
    """One level on a slice: the disc's long axis and where its name goes, in mm from the upper left corner."""

    level: str
    anterior_mm: tuple[float, float]
    posterior_mm: tuple[float, float]
    label_mm: tuple[float, float]


@dataclass(frozen=True)
class Overview:
    """The slice that levels were found in, true to scale: the picture covers ``width_mm`` by ``height_mm``."""

    image: str
    width_mm: float
    height_mm: float
    marks: tuple[Mark, ...]


def window_of(images: Iterable[NDArray[np.float32]]) -> Window:
    """One window for pictures that are to be compared with each other: 0.5th to 99.5th percentile of them all.

    >>> window_of([np.array([[0.0, 100.0]])])
    Window(black=0.5, white=99.5)
    """
    values = np.concatenate([image.ravel() for image in images])
    black, white = np.percentile(values, [0.5, 99.5])
    return Window(float(black), float(white))


def grey_of(image_HW: NDArray[np.float32], window: Window) -> NDArray[np.uint8]:
    """The picture in 256 greys."""
    scale = 255.0 / max(window.white - window.black, 1e-6)
    return np.clip((image_HW - window.black) * scale, 0, 255).round().astype(np.uint8)


def data_uri(image_HW: NDArray[np.float32], window: Window) -> str:
    """The picture as a PNG of 8 bits inside the page."""
    picture = Image.fromarray(grey_of(image_HW, window))
    picture.thumbnail((MAX_PIXELS, MAX_PIXELS))
    png = io.BytesIO()
    picture.save(png, "PNG", compress_type=zlib.Z_RLE)  # as small as the default here in half the time
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode("ascii")


def overview(located: LocatedSeries) -> Overview:
    """The mid-sagittal slice of a series with its levels."""
    slice_RC = located.series.voxels_SRC[located.midline_slice]
    _, row_mm, column_mm = located.series.spacing_mm
    return Overview(
        image=data_uri(slice_RC, spine_window(located)),
        width_mm=float(slice_RC.shape[1] * column_mm),
        height_mm=float(slice_RC.shape[0] * row_mm),
        marks=tuple(mark_of(frame, located.series) for frame in frames_in(located)),
    )


def sagittal_first(located: Iterable[LocatedSeries]) -> list[LocatedSeries]:
    """The sagittal series, the one that shows the levels best first."""
    sagittal = [one for one in located if one.series.plane == "sagittal"]
    return sorted(sagittal, key=lambda one: FIRST_VIEWS.index(one.series.view) if one.series.view in FIRST_VIEWS else 9)


def frames_in(located: LocatedSeries) -> list[LevelFrame]:
    """The levels whose centre the slices show; others may have been seen in another series alone."""
    last_rc = np.array(located.series.voxels_SRC.shape[1:]) - 1
    places = [located.series.to_vox(frame.center_mm)[1:] for frame in located.frames]
    return [
        frame for frame, rc in zip(located.frames, places, strict=True) if (rc >= 0).all() and (rc <= last_rc).all()
    ]


def spine_window(located: LocatedSeries) -> Window:
    """The window that shows the spine, however bright the fat near a surface coil is; where it would show more than
    MOST_CLIPPED of the mid-sagittal slice as white, as of T1, where fat is what is bright, the one of the slice."""
    dark, bright = (float(value) for value in located.reference[:2])
    spine = Window(dark, bright + 0.1 * (bright - dark))
    slice_RC = located.series.voxels_SRC[located.midline_slice]
    if np.mean(slice_RC > spine.white) <= MOST_CLIPPED:
        return spine
    black, white = (float(value) for value in np.percentile(slice_RC, OF_SLICE))
    return Window(min(spine.black, black), max(spine.white, white))


def mark_of(frame: LevelFrame, series: Series) -> Mark:
    """Where a level lies on the slices of a series; its name stands in front of the disc, as there is least to hide."""
    half_mm = frame.posterior * frame.depth_mm / 2
    anterior_mm = _on_slice(frame.center_mm - half_mm, series)
    posterior_mm = _on_slice(frame.center_mm + half_mm, series)
    label_mm = (max(anterior_mm[0] - _LABEL_GAP_MM, _LABEL_ROOM_MM), max(anterior_mm[1], _LABEL_GAP_MM))
    return Mark(frame.level, anterior_mm, posterior_mm, label_mm)


def crop_window(crops: Iterable[LevelCrop]) -> Window:
    """One window for every crop of a series, so that a dark disc looks dark beside its neighbours."""
    return window_of([crop.pixels_HW for crop in crops])


def _on_slice(point_mm: NDArray[np.float64], series: Series) -> tuple[float, float]:
    """World point (LPS) to (x, y) in mm from the corner of the slice; voxel centres lie half a pixel inside."""
    _, y_mm, x_mm = (series.to_vox(point_mm) + 0.5) * series.spacing_mm
    return float(x_mm), float(y_mm)
