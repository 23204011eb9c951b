"""Teach a bundle how the canal's grade follows its measured area, and calibrate what comes out.

python scripts/fit_canal.py BUNDLE PHANTOMS CALIBRATION: the lines are fitted on PHANTOMS that no part of the bundle has
learnt from, the calibration on others with the frequencies of patients. Both are written into BUNDLE/model.json.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.optimize import minimize

from spinenet.datasets import load_dataset
from spinenet.labels import TARGET, TARGET_INDEX, UNKNOWN
from spinenet.model import calibration
from spinenet.model.bundle import Bundle, load_bundle, write_bundle
from spinenet.model.canal_by_area import KEY, NAME, CanalByArea, OrdinalLine, features_of
from spinenet.predict import canal_areas, check, grade, locate
from spinenet.readers import read_study
from spinenet.system.progress import track

RIDGE = 0.5
"""Of the weights, each of a feature in units of its spread."""
Floats = NDArray[np.float64]
Levels = tuple[Floats, Floats, NDArray[np.int64]]
"""Of a study: log-probabilities of the grader (L, K), areas in mm2 (L,), grades (L,), UNKNOWN where not to be seen."""


def main(bundle: Path, phantoms: Path, calibration_phantoms: Path) -> None:
    """Measure, fit, write."""
    opened = load_bundle(bundle)
    facts = {key: value for key, value in opened.metadata.items() if key not in ("digest", "sha256", KEY)}
    plain = replace(opened, metadata=facts)
    features_LF, grade_L = _known(
        (features_of(logp_LK, area_L), grade_L) for logp_LK, area_L, grade_L in _graded(phantoms, plain)
    )
    measured_L = ~np.isnan(features_LF).any(1)
    lines = CanalByArea(_fitted(features_LF[measured_L], grade_L[measured_L]), _fitted(features_LF[:, :1], grade_L))
    print(f"{len(grade_L)} levels, {measured_L.sum()} with an area: {lines}")
    logp_LK, grade_L = _known(
        (lines.log_probabilities(logp_LK, area_L), grade_L)
        for logp_LK, area_L, grade_L in _graded(calibration_phantoms, plain)
    )
    fitted = calibration.fit(TARGET[NAME], logp_LK, grade_L)
    print(f"{len(logp_LK)} levels: {fitted}")
    calibrated = {**opened.calibration, NAME: fitted}
    write_bundle(bundle, opened.parts, opened.spec, calibrated, {**facts, KEY: lines.to_dict()})


def _graded(root: Path, bundle: Bundle) -> Iterator[Levels]:
    index, grades = TARGET_INDEX[NAME], len(TARGET[NAME].grades)
    for labelled in track(load_dataset("phantom", root).studies, str(root)):
        graded = grade(check(locate(read_study(labelled.source), bundle), bundle), bundle)
        level_L = graded.bag.level_L
        grade_L = np.where(graded.visible_LT[:, index], labelled.grades_LT[level_L, index], UNKNOWN)
        yield graded.logp_LTK[:, index, :grades].astype(np.float64), canal_areas(graded.measured, level_L), grade_L


def _known(studies: Iterable[tuple[Floats, NDArray[np.int64]]]) -> tuple[Floats, NDArray[np.int64]]:
    """The levels of all studies that have a grade, one after the other."""
    values, grades = zip(*studies, strict=True)
    grade_L = np.concatenate(grades)
    return np.concatenate(values)[grade_L != UNKNOWN], grade_L[grade_L != UNKNOWN]


def _fitted(features_LF: Floats, grade_L: NDArray[np.int64]) -> OrdinalLine:
    """The line with the least penalised negative log-likelihood."""
    spread_F, cuts = features_LF.std(0), len(TARGET[NAME].grades) - 1

    def line(x: Floats) -> OrdinalLine:
        weights_F, first, steps = x[: len(spread_F)] / spread_F, x[len(spread_F)], np.exp(x[len(spread_F) + 1 :])
        return OrdinalLine(tuple(map(float, weights_F)), tuple(map(float, first + np.cumsum([0.0, *steps]))))

    def loss(x: Floats) -> float:
        p_LK = line(x).probabilities(features_LF)
        likelihood = np.log(p_LK[np.arange(len(grade_L)), grade_L]).sum()
        return float(-likelihood + RIDGE * (x[: len(spread_F)] ** 2).sum())

    return line(minimize(loss, np.zeros(len(spread_F) + cuts), method="L-BFGS-B").x)


if __name__ == "__main__":
    typer.run(main)
