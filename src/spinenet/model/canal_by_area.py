"""The canal's grade from what the grader says of it and from a measured area: of the dural sac in axial slices or,
where there is none, of the canal in sagittal ones.

Proportional-odds lines (McCullagh 1980, "Regression models for ordinal data"), one for levels with each of these areas
and one for the others, fitted on synthetic studies that the grader is not tested on.
Shape letters: L level, F feature, K grade.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import TARGET

NAME = "canal_stenosis"
KEY = "canal_by_area"
"""Its key in ``model.json``."""
MOST_LOG_ODDS = 8.0
LEAST_AREA_MM2 = 20.0
FEWEST_LEVELS = 3
"""Measured levels from which the largest area of a patient says what is usual for him or her."""
LEAST_P = 1e-6
Floats = NDArray[np.float64]


class CanalAreas(NamedTuple):
    """Areas of levels in mm2, NaN where not measured: of the sac in axial slices, of the canal in sagittal ones."""

    sac_L: Floats
    canal_L: Floats


@dataclass(frozen=True)
class OrdinalLine:
    """``weights`` of features, and rising ``cuts`` between grades on the scale of their sum."""

    weights: tuple[float, ...]
    cuts: tuple[float, ...]

    def __post_init__(self) -> None:
        if not np.isfinite([*self.weights, *self.cuts]).all() or (np.diff(self.cuts) <= 0).any():
            raise ValueError(f"{self}: numbers must be finite, and cuts must rise")

    def probabilities(self, features_LF: Floats) -> Floats:
        """(L, K) probabilities of the grades.

        >>> OrdinalLine((1.0,), (0.0, 2.0)).probabilities(np.array([[0.0]])).round(2).tolist()
        [[0.5, 0.38, 0.12]]
        """
        above = 1 / (1 + np.exp(-((features_LF @ np.array(self.weights))[:, None] - np.array(self.cuts))))
        ends = np.ones((len(above), 1)), np.zeros((len(above), 1))
        edge = np.concatenate([ends[0], above, ends[1]], axis=1)
        return np.clip(edge[:, :-1] - edge[:, 1:], LEAST_P, 1)


@dataclass(frozen=True)
class CanalByArea:
    """The lines ``with_sac`` and ``with_area`` read ``features_of``, that ``without`` its first column alone."""

    with_sac: OrdinalLine
    with_area: OrdinalLine
    without: OrdinalLine

    def log_probabilities(self, logp_LK: Floats, areas: CanalAreas) -> Floats:
        """(L, K) log-probabilities from the grader's."""
        sac_LF, canal_LF = features_of(logp_LK, areas.sac_L), features_of(logp_LK, areas.canal_L)
        p_LK = self.without.probabilities(canal_LF[:, :1])
        for line, features_LF in ((self.with_area, canal_LF), (self.with_sac, sac_LF)):
            known_L = ~np.isnan(features_LF).any(1)
            p_LK[known_L] = line.probabilities(features_LF[known_L])
        return np.log(p_LK / p_LK.sum(1, keepdims=True))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ``from_dict`` gives the same back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "CanalByArea":
        """Of a ``model.json``; ValueError where it is not such."""
        try:
            lines = {one.name: values[one.name] for one in fields(cls)}
            return cls(**{name: OrdinalLine(tuple(one["weights"]), tuple(one["cuts"])) for name, one in lines.items()})
        except (KeyError, TypeError) as error:
            raise ValueError(f"not lines of the canal by its area: {dict(values)}") from error


def features_of(logp_LK: Floats, area_L: Floats) -> Floats:
    """(L, 3): sum of the grader's log-odds of passing each cut, log of the area, and the area as a share of the
    patient's largest; the last two NaN where they are not known."""
    p_LK = np.exp(logp_LK[:, : len(TARGET[NAME].grades)].astype(np.float64))
    above_LK = np.cumsum(p_LK[:, ::-1], axis=1)[:, ::-1][:, 1:] / p_LK.sum(1, keepdims=True)
    above_LK = np.clip(above_LK, LEAST_P, 1 - LEAST_P)
    odds_LK = np.clip(np.log(above_LK / (1 - above_LK)), -MOST_LOG_ODDS, MOST_LOG_ODDS)
    area_L = np.asarray(area_L, np.float64)
    known_L = ~np.isnan(area_L)
    enough = known_L.sum() >= FEWEST_LEVELS
    largest = float(area_L[known_L].max()) if enough else np.nan
    return np.stack([odds_LK.sum(1), np.log(np.maximum(area_L, LEAST_AREA_MM2)), area_L / largest], axis=1)
