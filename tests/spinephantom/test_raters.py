"""Simulated raters agree as published raters do, know what the truth knows, and err on sides now and then."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spinenet.labels import LEVELS, TARGET, TARGET_INDEX, TARGETS, UNKNOWN
from spinephantom.data import raw
from spinephantom.truth import simulated_raters as raters
from spinephantom.truth.grades import Margins
from spinephantom.truth.simulated_raters import HABITS, impression, rate

ORDINAL = ("canal_stenosis", "foraminal_stenosis_left", "subarticular_stenosis_right")


def published(name: str) -> Any:
    """Kappa between two raters: linear weights, quadratic for Pfirrmann."""
    return raw("raters")["agreement"][TARGET[name].condition]["value"]


def finding_at(rank: float, condition: str, cuts: int) -> Margins:
    """Margins of a finding with about this rank among patients."""
    ranks = raters.calibration()["raters"][condition]
    severity = float(ranks[min(int(rank * len(ranks)), len(ranks) - 1)])
    passed = min(int(severity), cuts)
    if passed == 0:
        near = -np.log(max(severity, 1e-6))
        return tuple(near + step for step in range(cuts))
    inside = severity - passed
    if passed == cuts:
        return (-1.0,) * (cuts - 1) + (float(np.log(max(1.0 - inside, 1e-6))),)
    return (-1.0,) * (passed - 1) + (-max(inside, 1e-6), 1.0 - inside) + (2.0,) * (cuts - passed - 1)


def patients(count: int, seed: int = 0) -> list[tuple[dict[int, dict[str, Margins]], np.ndarray]]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        findings: dict[int, dict[str, Margins]] = {}
        truth_LT = np.full((len(LEVELS), len(TARGETS)), UNKNOWN)
        for level in range(5):
            findings[level] = {}
            for target in TARGETS:
                cuts = 1 if target.name == "modic" else len(target.grades) - 1
                values = finding_at(float(rng.random()), target.condition, cuts)
                findings[level][target.name] = values
                truth_LT[level, TARGET_INDEX[target.name]] = sum(value < 0.0 for value in values)
        made.append((findings, truth_LT))
    return made


@pytest.fixture(scope="module")
def ratings() -> tuple[np.ndarray, np.ndarray]:
    """(raters, N, targets) and truth (N, targets) of many levels of many patients."""
    pairs = [(rate(np.random.default_rng(n), *patient), patient[1]) for n, patient in enumerate(patients(400))]
    rated_RNT = np.concatenate([item[0][:, :5] for item in pairs], axis=1)
    return rated_RNT, np.concatenate([item[1][:5] for item in pairs])


def kappa(a: np.ndarray, b: np.ndarray, power: int) -> float:
    grades = int(max(a.max(), b.max())) + 1
    table = np.histogram2d(a, b, bins=(np.arange(grades + 1), np.arange(grades + 1)))[0] / len(a)
    cost = np.abs(np.subtract.outer(np.arange(grades), np.arange(grades))) ** power
    return float(1.0 - (cost * table).sum() / (cost * np.outer(table.sum(1), table.sum(0))).sum())


def between_raters(rated_RNT: np.ndarray, name: str, power: int) -> float:
    at = TARGET_INDEX[name]
    pairs = [(i, j) for i in range(HABITS.count) for j in range(i)]
    return float(np.mean([kappa(rated_RNT[i, :, at], rated_RNT[j, :, at], power) for i, j in pairs]))


@pytest.mark.parametrize("name", ORDINAL)
def test_two_raters_agree_on_stenosis_as_published(ratings: tuple, name: str) -> None:
    assert between_raters(ratings[0], name, 1) == pytest.approx(published(name), abs=0.08)


def test_two_raters_agree_on_pfirrmann_and_herniation_as_published(ratings: tuple) -> None:
    assert between_raters(ratings[0], "pfirrmann", 2) == pytest.approx(published("pfirrmann"), abs=0.08)
    low, high = published("herniation")
    assert low <= between_raters(ratings[0], "herniation", 1) <= high


def test_raters_agree_with_the_truth_better_than_with_each_other(ratings: tuple) -> None:
    rated_RNT, truth_NT = ratings
    for name in ORDINAL:
        at = TARGET_INDEX[name]
        with_truth = np.mean([kappa(rater[:, at], truth_NT[:, at], 1) for rater in rated_RNT])
        assert with_truth > between_raters(rated_RNT, name, 1)


def test_what_is_not_graded_is_not_rated() -> None:
    findings, truth_LT = patients(1)[0]
    hidden = truth_LT.copy()
    hidden[2, TARGET_INDEX["canal_stenosis"]] = UNKNOWN
    rated_RLT = rate(np.random.default_rng(1), findings, hidden)
    assert ((rated_RLT == UNKNOWN) == (hidden == UNKNOWN)).all()


def test_a_graver_finding_makes_a_graver_impression() -> None:
    mild, cuts = impression((0.5, 1.2), "canal_stenosis")
    grave, same_cuts = impression((-0.4, -0.1), "canal_stenosis")
    assert cuts == same_cuts and mild < cuts[0] < cuts[1] < grave


def test_two_or_three_levels_in_a_hundred_are_confused(monkeypatch: pytest.MonkeyPatch) -> None:
    sure = replace(raters.HABITS, noise={}, other_noise=0.0, bias=0.0)
    monkeypatch.setattr(raters, "HABITS", sure)
    left, right = TARGET_INDEX["foraminal_stenosis_left"], TARGET_INDEX["foraminal_stenosis_right"]
    swapped = differs = 0
    for n, (findings, truth_LT) in enumerate(patients(150, seed=5)):
        for rater in rate(np.random.default_rng(n), findings, truth_LT):
            unlike = truth_LT[:5, left] != truth_LT[:5, right]
            differs += unlike.sum()
            swapped += (
                unlike & (rater[:5, left] == truth_LT[:5, right]) & (rater[:5, right] == truth_LT[:5, left])
            ).sum()
    assert 0.005 < swapped / differs < 0.03
