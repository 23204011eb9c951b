"""Teach a bundle how the canal's grade follows a measured area, and calibrate what comes out.

python scripts/fit_canal.py BUNDLE PHANTOMS CALIBRATION: the lines are fitted on PHANTOMS that no part of the bundle has
learnt from, the calibration on others with the frequencies of patients. Both are written into BUNDLE/model.json.
"""

from collections.abc import Callable, Iterable, Iterator
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
from spinenet.model.canal_by_area import KEY, NAME, CanalAreas, CanalByArea, OrdinalLine, features_of
from spinenet.predict import canal_areas, check, grade, locate
from spinenet.readers import read_study
from spinenet.system.progress import track

RIDGE = 0.5
"""Of the weights, each of a feature in units of its spread."""
PATIENTS_NOISE = 3.0
"""Standard deviation of what is added to the grader's log-odds while lines are fitted, so that they lean on areas: of
phantoms the grader tells the grade, as it has learnt from others of their kind, of patients it tells less, while areas
are outlined by networks of patients. Chosen by looking at SPIDER's SPACE volumes (``notebooks/EXPERIMENTS.md``)."""
REPEATS = 8
Floats = NDArray[np.float64]
Levels = tuple[Floats, CanalAreas, NDArray[np.int64]]
"""Of a study: log-probabilities of the grader (L, K), areas, grades (L,), UNKNOWN where not to be seen."""


def main(bundle: Path, phantoms: Path, calibration_phantoms: Path) -> None:
    """Measure, fit, write."""
    opened = load_bundle(bundle)
    facts = {key: value for key, value in opened.metadata.items() if key not in ("digest", "sha256", KEY)}
    plain = replace(opened, metadata=facts)
    graded = list(_graded(phantoms, plain))

    def line(features: Callable[[Floats, CanalAreas], Floats]) -> OrdinalLine:
        return _fitted(*_known((features(logp_LK, areas), grade_L) for logp_LK, areas, grade_L in graded))

    lines = CanalByArea(
        with_sac=line(lambda logp_LK, areas: features_of(logp_LK, areas.sac_L)),
        with_area=line(lambda logp_LK, areas: features_of(logp_LK, areas.canal_L)),
        without=line(lambda logp_LK, areas: features_of(logp_LK, areas.canal_L)[:, :1]),
    )
    print(lines)
    logp_LK, grade_L = _known(
        (lines.log_probabilities(logp_LK, areas), grade_L)
        for logp_LK, areas, grade_L in _graded(calibration_phantoms, plain)
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
        areas = canal_areas(graded.measured, graded.sacs, level_L)
        yield graded.logp_LTK[:, index, :grades].astype(np.float64), areas, grade_L


def _known(studies: Iterable[tuple[Floats, NDArray[np.int64]]]) -> tuple[Floats, NDArray[np.int64]]:
    """The levels of all studies that have a grade and all values, one after the other."""
    values, grades = zip(*studies, strict=True)
    values_LF, grade_L = np.concatenate(values), np.concatenate(grades)
    known_L = (grade_L != UNKNOWN) & ~np.isnan(values_LF).any(1)
    return values_LF[known_L], grade_L[known_L]


def _fitted(features_LF: Floats, grade_L: NDArray[np.int64]) -> OrdinalLine:
    """The line with the least penalised negative log-likelihood; the grader's log-odds come first of the features."""
    rng = np.random.default_rng(0)
    features_LF, grade_L = np.tile(features_LF, (REPEATS, 1)), np.tile(grade_L, REPEATS)
    features_LF[:, 0] += rng.normal(0, PATIENTS_NOISE, len(features_LF))
    spread_F, cuts = features_LF.std(0), len(TARGET[NAME].grades) - 1

    def line(x: Floats) -> OrdinalLine:
        weights_F, first, steps = x[: len(spread_F)] / spread_F, x[len(spread_F)], np.exp(x[len(spread_F) + 1 :])
        return OrdinalLine(tuple(map(float, weights_F)), tuple(map(float, first + np.cumsum([0.0, *steps]))))

    def loss(x: Floats) -> float:
        p_LK = line(x).probabilities(features_LF)
        likelihood = np.log(p_LK[np.arange(len(grade_L)), grade_L]).sum()
        return float(-likelihood / REPEATS + RIDGE * (x[: len(spread_F)] ** 2).sum())

    return line(minimize(loss, np.zeros(len(spread_F) + cuts), method="L-BFGS-B").x)


if __name__ == "__main__":
    typer.run(main)
