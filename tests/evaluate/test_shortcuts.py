"""A classifier on noise is at chance, one on something that leaks is not."""

import numpy as np

from spinenet.evaluate.robustness.shortcuts import discrimination


def test_noise_tells_nothing() -> None:
    rng = np.random.default_rng(0)
    found = discrimination(rng.normal(size=(200, 30)), rng.random(200) < 0.4)
    assert found.at_chance and 0.35 < found.auc < 0.65


def test_a_leak_is_found() -> None:
    rng = np.random.default_rng(1)
    present = rng.random(200) < 0.4
    features = rng.normal(size=(200, 30))
    features[:, 7] += 2.0 * present
    found = discrimination(features, present)
    assert not found.at_chance and found.low > 0.6
