"""How far a bundle's grades and measurements move when one study is read again: the noise that a change has to exceed.

The study is shown with noise, resampled, moved in its field of view and on other grey scales (``perturb``). A second
scan of the same patient differs by more: another scanner, other settings, other planes. Phantoms that are scanned again
say by how much (``scripts/measure_noise.py``); a patient's other day they do not, so a change beyond both is necessary,
not sufficient.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from spinenet.evaluate.robustness.perturb import SAME_STUDY
from spinenet.model.bundle import Bundle
from spinenet.predict import predict_study
from spinenet.report.page.change import shift
from spinenet.study import Study, StudyResult

REPEATS = ("re-sliced", "noise 3 %", "re-centred", "darker", "brighter")
PERCENTILE = 95.0
MIN_PAIRS = 30
"""With fewer repeated readings a target's noise is not stated."""

Pair = tuple[StudyResult, StudyResult]


def repeats(study: Study, bundle: Bundle, seed: int) -> Iterator[Pair]:
    """The study as it is and read again in each way; nothing where it cannot be graded."""
    before = predict_study(study, bundle)
    for index, kind in enumerate(REPEATS if before.predictions else ()):
        changed = SAME_STUDY[kind](study, np.random.default_rng([seed, index]))
        yield before, predict_study(changed, bundle)


def scanned_again(first: Study, again: Study, bundle: Bundle) -> list[Pair]:
    """Two scans of one person as a pair; nothing where one of them cannot be graded."""
    pair = predict_study(first, bundle), predict_study(again, bundle)
    return [pair] if all(one.predictions for one in pair) else []


def noise_table(pairs: Iterable[Pair]) -> dict[str, float]:
    """Target or measurement -> what PERCENTILE of the repeated readings stay below, as ``compare`` measures changes."""
    moved: dict[str, list[float]] = {}
    for before, after in pairs:
        again = {(one.level, one.target): one for one in after.predictions}
        for one in before.predictions:
            if (one.level, one.target) in again:
                moved.setdefault(one.target, []).append(abs(shift(one, again[one.level, one.target])))
        measured = {level.name: level.measurements for level in after.levels}
        for level in before.levels:
            for name in level.measurements.keys() & measured.get(level.name, {}).keys():
                moved.setdefault(name, []).append(abs(level.measurements[name] - measured[level.name][name]))
    return {
        name: round(float(np.percentile(values, PERCENTILE)), 4)
        for name, values in moved.items()
        if len(values) >= MIN_PAIRS
    }
