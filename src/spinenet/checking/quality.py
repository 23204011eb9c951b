"""How a located series compares with the real ones a model was judged on: a few cheap figures and one distance.

The figures are grey values of the tissues on the spine's own scale, noise, sharpness, and, in the sagittal series that
discs are found in, how surely they were seen.
Noise, sharpness and sureness count on their bad side alone. The distance is Mahalanobis' over them; the limits stored
with a bundle are quantiles of the distances of held-out patients. What is looked at, and the factor that refuses, were
chosen by hand on SPIDER's series. Shape letters: N series, F figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.crops import CropSpec, judged_slice
from spinenet.locating.axial import FIELD
from spinenet.study import LevelFrame, LocatedSeries

Floats = NDArray[np.float64]

FIGURES = ("marrow", "fluid", "disc", "noise", "sharpness", "sureness of discs")
BAD_SIDE = (0, 0, 0, 1, -1, -1)
"""1: only what lies above the usual counts, -1: only what lies below, 0: both."""
MARGIN_MM = 25.0
"""What is looked at around the discs."""
FLAG_QUANTILE = 0.99
"""Share of held-out real series that lie nearer than the limit of a flag."""
REFUSE_FACTOR = 3.0
"""A series this many times farther than the limit of a flag is like nothing the model was judged on."""
_FOLDS = 5


@dataclass(frozen=True)
class SeriesFigures:
    """What was measured in a series: FIGURES of it, (F,), of an axial one all but the last, and the spread of the grey
    values around the spine in units of their noise (of axial slices the median)."""

    figures_F: Floats
    signal_to_noise: float


def figures_of(located: LocatedSeries) -> SeriesFigures:
    """Measure a series around its levels."""
    dark, bright, *tissues = (float(value) for value in located.reference)
    scale, regions = bright - dark, _regions(located)
    signal = scale / max(float(np.median([_noise(region_RC) for region_RC in regions])), 1e-6 * scale)
    spacing = located.series.spacing_mm[1:]
    steep = [float(np.percentile(_slopes(region_RC, spacing), 95)) / scale for region_RC in regions]
    grey = [(tissue - dark) / scale for tissue in tissues]
    figures = [*grey, np.log10(1 / signal + 1e-3), np.log10(float(np.median(steep)) + 1e-3)]
    if located.series.plane == "sagittal":
        figures.append(np.mean([frame.confidence for frame in located.frames]))
    return SeriesFigures(np.array(figures), signal)


def share_in_view(located: LocatedSeries, frame: LevelFrame, spec: CropSpec) -> float:
    """How much of a level's crop lies within the slice that it is judged by, 0 to 1."""
    placement, index = judged_slice(located, frame, spec)
    return placement.share_in_view(index)


@dataclass(frozen=True)
class UsualSeries:
    """What real series of one view look like: usual figures (F,), the inverse covariance of their deviations (F, F),
    and limits of distance and of artefacts."""

    usual_F: Floats
    inverse_FF: Floats
    flag: float
    n: int

    synthetic: bool = False
    """Learnt from synthetic series, for want of real ones."""
    artefact_flags: tuple[float, ...] = ()
    """Limits of the figures of ``spinenet.checking.artefacts``, of sagittal views alone."""

    def distance(self, figures_F: Floats) -> float:
        """How far a series is from the usual, in units of their spread."""
        away_F = _deviations(figures_F[None], self.usual_F)[0]
        return float(np.sqrt(away_F @ self.inverse_FF @ away_F))

    def oddest(self, figures_F: Floats) -> str:
        """The figure that adds most to the distance."""
        away_F = _deviations(figures_F[None], self.usual_F)[0]
        return FIGURES[int(np.argmax(away_F * (self.inverse_FF @ away_F)))]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``model.json``."""
        return {
            "figures": list(FIGURES[: len(self.usual_F)]),
            "usual": self.usual_F.round(5).tolist(),
            "inverse_covariance": self.inverse_FF.round(5).tolist(),
            "flag": round(self.flag, 4),
            "artefact_flags": [round(limit, 4) for limit in self.artefact_flags],
            "n": self.n,
            "evidence": "synthetic" if self.synthetic else "real",
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "UsualSeries":
        """The same from ``model.json``."""
        usual, inverse = (np.array(values[key], float) for key in ("usual", "inverse_covariance"))
        synthetic = values.get("evidence") == "synthetic"
        limits = tuple(float(limit) for limit in values.get("artefact_flags", ()))
        return cls(usual, inverse, float(values["flag"]), int(values["n"]), synthetic, limits)


def fit_usual(figures_NF: Floats) -> tuple[UsualSeries, Floats]:
    """The reference of real series and their held-out distances (N,): each measured by a reference made of the others.

    Needs at least ten series a figure.
    """
    if len(figures_NF) < 10 * len(FIGURES):
        raise ValueError(f"{len(figures_NF)} series are too few to learn what {len(FIGURES)} figures usually are")
    held_out_N = np.empty(len(figures_NF))
    for fold in range(_FOLDS):
        here_N = np.arange(len(figures_NF)) % _FOLDS == fold
        others = _usual(figures_NF[~here_N])
        held_out_N[here_N] = [others.distance(figures_F) for figures_F in figures_NF[here_N]]
    whole = _usual(figures_NF)
    flag = float(np.quantile(held_out_N, FLAG_QUANTILE))
    return UsualSeries(whole.usual_F, whole.inverse_FF, flag, len(figures_NF)), held_out_N


def _usual(figures_NF: Floats) -> UsualSeries:
    usual_F = np.asarray(np.median(figures_NF, axis=0), dtype=np.float64)
    away_NF = _deviations(figures_NF, usual_F)
    spread_FF = away_NF.T @ away_NF / len(away_NF)
    ridge_FF = 1e-4 * np.diag(np.diag(spread_FF))
    return UsualSeries(usual_F, np.asarray(np.linalg.inv(spread_FF + ridge_FF), np.float64), np.inf, len(figures_NF))


def _deviations(figures_NF: Floats, usual_F: Floats) -> Floats:
    away_NF = figures_NF - usual_F
    side_F = np.array(BAD_SIDE[: len(usual_F)])
    return np.where(side_F == 0, away_NF, np.where(away_NF * side_F > 0, away_NF, 0.0))


def _regions(located: LocatedSeries) -> list[NDArray[np.float32]]:
    """Where a series is judged, in its own pixels: around the discs of a sagittal slice, around each axial level."""
    if located.series.plane == "sagittal":
        return [region(located)]
    return [_around_canal(located, frame) for frame in located.frames]


def _around_canal(located: LocatedSeries, frame: LevelFrame) -> NDArray[np.float32]:
    """The axial slice nearest to a level, as far as a crop reaches about the canal."""
    half_mm = np.array([FIELD.rows, FIELD.columns]) * FIELD.axial_pixel_mm / 2
    half = half_mm / located.series.spacing_mm[1:]
    placement, index = judged_slice(located, frame, FIELD)
    center = placement.center(index)
    return _window(located.series.voxels_SRC[index], center - half, center + half)


def region(located: LocatedSeries) -> NDArray[np.float32]:
    """The part of a sagittal slice that holds all discs, MARGIN_MM beyond their centres."""
    series = located.series
    centers_mm = np.stack([frame.center_mm for frame in located.frames])
    places = series.to_vox(centers_mm)[:, 1:]
    margin = MARGIN_MM / series.spacing_mm[1:]
    return _window(series.voxels_SRC[located.midline_slice], places.min(0) - margin, places.max(0) + margin)


def _window(image_RC: NDArray[np.float32], low: Floats, high: Floats) -> NDArray[np.float32]:
    """The part of an image from ``low`` to ``high`` (row, column), at least eight pixels each way."""
    far = np.array(image_RC.shape)
    first = np.clip(np.floor(low), 0, far - 8).astype(int)
    last = np.clip(np.ceil(high), first + 8, far).astype(int)
    return image_RC[first[0] : last[0], first[1] : last[1]]


def _slopes(region_RC: NDArray[np.float32], spacing_rc_mm: Floats) -> NDArray[np.floating]:
    return np.hypot(*(np.gradient(region_RC, mm, axis=axis) for axis, mm in enumerate(spacing_rc_mm)))


def _noise(image_RC: NDArray[np.float32]) -> float:
    """Standard deviation of the noise from what second differences leave of the image (Immerkaer 1996), by their
    median, so that edges count little."""
    rows = image_RC[:-2] - 2 * image_RC[1:-1] + image_RC[2:]
    both = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    return float(np.median(np.abs(both))) / 0.6745 / 6.0
