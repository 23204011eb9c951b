"""Coverage is measured on patients whose sets others' grades have shaped."""

import numpy as np
import pandas as pd
import pytest

from spinenet.errors import PredictionsError
from spinenet.evaluate.experiments.coverage import measure_coverage
from spinenet.labels import LEVELS, TARGET
from spinenet.model.conformal import COVERAGE


@pytest.fixture(scope="module")
def table():
    """Herniation in 150 patients of five discs, known about as well as a rater knows it."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 750)
    present = 1 / (1 + np.exp(-(3 * truth - 1.5 + rng.normal(0, 1.5, 750))))
    names = [(f"p{index // 5}", LEVELS[index % 5]) for index in range(750)]
    return pd.DataFrame(
        {
            "study": [study for study, _ in names],
            "level": [level for _, level in names],
            "target": "herniation",
            "grade": (present > 0.5).astype(int),
            **{f"{letter}_{k}": (1 - present, present)[k] for letter in "pu" for k in (0, 1)},
            **{f"{letter}_{k}": np.nan for letter in "pu" for k in (2, 3, 4)},
            "confident": True,
            "truth": truth,
        }
    )


def test_the_stated_coverage_lies_in_the_measured_interval(table):
    figures = measure_coverage(table, samples=200)
    assert list(figures) == ["herniation"]
    one = figures["herniation"]
    assert one.target is TARGET["herniation"] and one.n == 750
    for measured in (one.coverage, *one.coverage_of_grade.values()):
        assert measured.low - 0.01 <= COVERAGE <= measured.high + 0.01
    assert 1 < one.size.value < 2 and one.size.value == pytest.approx(2 - one.single.value)


def test_without_uncalibrated_probabilities_there_is_nothing_to_measure(table):
    with pytest.raises(PredictionsError, match="coverage needs them"):
        measure_coverage(table.drop(columns=[f"u_{k}" for k in range(5)]), samples=10)
