"""Augmentation of graders' bags as MONAI dictionary transforms; geometry is moved in the frames, before the resample.

Keys of an item: ``located`` (tuple of LocatedSeries), ``grades_LT``, ``raters_RLT``; after slices were chosen those of
``windows.window_item``: no picture is made here, but chance decides what the network's device makes of each.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from monai.transforms import RandomizableTransform, Transform
from numpy.typing import NDArray

from spinenet.checking.visible import LATERAL_MM, visible_targets
from spinenet.crops import BAG_ARRAYS, CropSpec, build_bag, shown_slices
from spinenet.labels import LEVELS, MIRROR, SAGITTAL_VIEWS, UNKNOWN, VIEWS, View
from spinenet.study import LevelFrame, LocatedSeries, Series
from spinenet.train.rendering import windowed
from spinenet.train.training_config import AugmentConfig
from spinenet.train.windows import window_item

Item = dict[Hashable, Any]
FORAMEN_MM = 17.0
"""Usual distance of the foramina from the midline."""


class JitterFramesd(RandomizableTransform):
    """Move, turn and scale the levels' frames, drop a view now and then, and take some of the levels.

    The shift carries the locator's error into training; one zoom serves a study, as spacings are uncertain by patient.
    """

    def __init__(self, config: AugmentConfig, spec: CropSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        item = dict(data)
        located = self._some_views(item["located"])
        levels = self._some_levels(located)
        item["located"] = tuple(
            replace(one, frames=tuple(self._jitter(frame) for frame in one.frames if frame.level in levels))
            for one in located
        )
        zoom = float(np.exp(np.clip(self.R.normal(0, self.config.zoom), -0.2, 0.2)))
        item["spec"] = replace(
            self.spec, pixel_mm=self.spec.pixel_mm * zoom, axial_pixel_mm=self.spec.axial_pixel_mm * zoom
        )
        return item

    def _some_views(self, located: tuple[LocatedSeries, ...]) -> tuple[LocatedSeries, ...]:
        """All but one view, now and then; a sagittal one always stays, as without it there are no levels."""
        views = sorted({one.series.view for one in located if one.series.view})
        if len(views) < 2 or self.R.random() >= self.config.drop_view:
            return located
        dropped = views[self.R.randint(len(views))]
        kept = tuple(one for one in located if one.series.view is not dropped)
        return kept if any(one.series.view in SAGITTAL_VIEWS for one in kept) else located

    def _some_levels(self, located: tuple[LocatedSeries, ...]) -> set[str]:
        names = {frame.level for one in located for frame in one.frames}
        levels = sorted(names, key=LEVELS.index)
        if not 0 < self.config.levels < len(levels):
            return names
        return {levels[index] for index in self.R.choice(len(levels), self.config.levels, replace=False)}

    def _jitter(self, frame: LevelFrame) -> LevelFrame:
        angle = np.deg2rad(self.R.normal(0, self.config.rotation_deg))
        forward, up, left = self.R.normal(0, self.config.shift_mm, 3)
        cos, sin = np.cos(angle), np.sin(angle)
        return replace(
            frame,
            center_mm=frame.center_mm
            + forward * frame.posterior
            + up * frame.superior
            + left * np.cross(frame.posterior, frame.superior),
            posterior=cos * frame.posterior + sin * frame.superior,
            superior=cos * frame.superior - sin * frame.posterior,
        )


class CropBagd(Transform):
    """Cut the bag out of the located series: exactly what prediction does."""

    def __init__(self, spec: CropSpec) -> None:
        self.spec = spec

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        bag = build_bag(data["located"], self.spec)
        item: Item = {name: getattr(bag, name) for name in BAG_ARRAYS}
        shown_LT = visible_targets(bag, data["located"])
        return item | {"grades_LT": np.where(shown_LT, data["grades_LT"][bag.level_L], UNKNOWN), "study": data["study"]}


class SampleBagd(RandomizableTransform):
    """A bag of a few slices, by chance, but always some of each kind that a target needs."""

    def __init__(self, config: AugmentConfig, spec: CropSpec, labels: str = "truth") -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.grades_of = {"truth": _truth, "rater": self._one_rater}[labels]

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        spec = data.get("spec", self.spec)
        return window_item(shown_slices(data["located"], spec, self.choose), data, spec, self.grades_of(data))

    def choose(self, series: Series, slices: list[int], offsets_mm: NDArray[np.float64]) -> list[int]:
        """Axial: slices near the disc. Sagittal: near the midline, and on each side about where foramina lie."""
        if series.plane == "axial":
            return self._draw(slices, np.abs(offsets_mm) / 5, self.config.axial_slices)
        chosen = []
        beside_mm = np.abs(offsets_mm) - FORAMEN_MM
        for within, far, count in (
            (np.abs(offsets_mm) <= LATERAL_MM, offsets_mm / 4, self.config.midline_slices),
            (offsets_mm > LATERAL_MM, beside_mm / 5, self.config.lateral_slices),
            (offsets_mm < -LATERAL_MM, beside_mm / 5, self.config.lateral_slices),
        ):
            inside = [index for index, one in zip(slices, within, strict=True) if one]
            chosen += self._draw(inside, far[within], count)
        return chosen or slices[:1]

    def _draw(self, slices: list[int], far: NDArray[np.float64], count: int) -> list[int]:
        """At most ``count`` of the slices, those that are ``far`` (standard deviations) rarely."""
        if len(slices) <= count:
            return slices
        weights = np.exp(-0.5 * far**2) + 1e-3
        return [slices[index] for index in self.R.choice(len(slices), count, replace=False, p=weights / weights.sum())]

    def _one_rater(self, data: Mapping[Hashable, Any]) -> NDArray[np.int64]:
        raters_RLT = data["raters_RLT"]
        return raters_RLT[self.R.randint(len(raters_RLT))] if len(raters_RLT) else data["grades_LT"]


def _truth(data: Mapping[Hashable, Any]) -> NDArray[np.int64]:
    grades_LT: NDArray[np.int64] = data["grades_LT"]
    return grades_LT


class RandMirrord(RandomizableTransform):
    """Show every other study mirrored left to right: places, pictures and grades alike.

    Our own grader gains nothing by it, because it cannot tell the difference; others it has to teach.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        return mirrored(data) if self.R.random() < 0.5 else dict(data)


def mirrored(data: Mapping[Hashable, Any]) -> Item:
    """The item of the mirrored study; twice mirrored it is what it was."""
    item = dict(data)
    axial_LS = item["view_LS"] == VIEWS.index(View.AXIAL_T2)
    item["offset_LS"] = np.where(axial_LS, item["offset_LS"], -item["offset_LS"])
    item["mirrored_LS"] = item["mirrored_LS"] ^ (axial_LS & item["mask_LS"])
    item["grades_LT"] = item["grades_LT"][:, list(MIRROR)]
    return item


class RandWindowd(RandomizableTransform):
    """Show each series as another exporter would have: other window, gamma and saturation.

    A monotone map of grey values, applied to the tissue values of a series here and to its pictures where those are
    made.
    """

    def __init__(self, config: AugmentConfig) -> None:
        super().__init__()
        self.config = config

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        item = dict(data)
        item["window_Z3"] = _of_series(item, "window_Z3", self._window)
        window_M3 = item["window_Z3"][item["series_M"]]
        mask_LS, tissue_LS3 = item["mask_LS"], item["tissue_LS3"].copy()
        window_P3 = window_M3[item["picture_LS"][mask_LS]]
        tissue_LS3[mask_LS] = windowed(torch.as_tensor(tissue_LS3[mask_LS]), torch.as_tensor(window_P3)).numpy()
        item["tissue_LS3"] = tissue_LS3
        return item

    def _window(self) -> NDArray[np.float32]:
        """Lower and upper end, and gamma."""
        gamma = np.exp(self.R.normal(0, self.config.gamma))
        low = self.R.normal(0, self.config.window / 3)
        return np.array([low, 1 + self.R.normal(0, self.config.window), gamma], np.float32)


class RandScannerd(RandomizableTransform):
    """Noise, a blur and a bias field of each series: half of them get noise of up to ``noise``, each blurred and shaded
    with the probability ``artefacts``."""

    def __init__(self, config: AugmentConfig) -> None:
        super().__init__()
        self.config = config

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        item = dict(data)
        for name, drawn in (("noise_Z", self._noise), ("blur_Z2", self._blur), ("field_Z33", self._field)):
            item[name] = _of_series(item, name, drawn)
        return item

    def _noise(self) -> NDArray[np.float32]:
        deviation = self.R.uniform(0, self.config.noise)
        return np.array(deviation * (self.R.random() < 0.5), np.float32)

    def _blur(self) -> NDArray[np.float32]:
        """Standard deviations in pixels along rows and columns."""
        widths = self.R.uniform(0.3, 1.0, 2)
        return np.array(widths * (self.R.random() < self.config.artefacts), np.float32)

    def _field(self) -> NDArray[np.float32]:
        """Coefficients of Legendre polynomials along rows and columns; their sum is the logarithm of the field."""
        coefficients = np.tril(self.R.uniform(-0.15, 0.15, (3, 3)))
        return np.array(coefficients * (self.R.random() < self.config.artefacts), np.float32)


def _of_series(item: Item, name: str, draw: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
    """Chance of this name drawn once a series: rows of the same one are alike."""
    drawn = {series: draw() for series in dict.fromkeys(item["looks_of"])}
    return np.array([drawn[series] for series in item["looks_of"]], np.float32).reshape(item[name].shape)
