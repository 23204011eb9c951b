"""Intervals come from drawing patients, not discs."""

import numpy as np
import pytest

from spinenet.evaluate.intervals import (
    Estimate,
    draw_patients,
    estimate,
    estimate_reflected,
    from_resamples,
    weights_of_discs,
)


def share_of(hit_N):
    return lambda weights_SN: (weights_SN @ hit_N) / weights_SN.sum(axis=1)


def width(figure):
    return figure.high - figure.low


def test_discs_that_agree_within_a_patient_widen_the_interval():
    patient_N = np.arange(60).repeat(5)
    hit_N = (np.random.default_rng(0).random(60) < 0.5).astype(float).repeat(5)
    over_patients = estimate(share_of(hit_N), draw_patients(60, 1000, 0), patient_N)
    over_discs = estimate(share_of(hit_N), draw_patients(300, 1000, 0), np.arange(300))
    assert over_patients.value == over_discs.value
    assert width(over_patients) == pytest.approx(np.sqrt(5) * width(over_discs), rel=0.15)


def test_the_interval_of_a_mean_is_the_normal_one():
    hit_N = (np.arange(400) % 4 == 0).astype(float)
    figure = estimate(share_of(hit_N), draw_patients(400, 4000, 1), np.arange(400))
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert (figure.low, figure.high) == (pytest.approx(0.25 - half, abs=0.006), pytest.approx(0.25 + half, abs=0.006))


def test_a_seed_gives_the_same_draws_and_every_draw_has_all_places():
    assert (draw_patients(9, 20, 5) == draw_patients(9, 20, 5)).all()
    assert (draw_patients(9, 20, 5) != draw_patients(9, 20, 6)).any()
    assert (draw_patients(9, 20, 5).sum(axis=1) == 9).all()


def test_blocks_of_resamples_join_to_all(monkeypatch):
    draws_SP, patient_N = draw_patients(4, 10, 0), np.array([0, 0, 2, 3, 3])
    monkeypatch.setattr("spinenet.evaluate.intervals._CELLS_AT_ONCE", 15)
    blocks = list(weights_of_discs(draws_SP, patient_N))
    assert len(blocks) == 4
    assert (np.concatenate(blocks) == draws_SP[:, patient_N]).all()


def test_one_patient_has_no_interval():
    figure = estimate(share_of(np.array([1.0, 0.0])), draw_patients(3, 50, 0), np.array([1, 1]))
    assert figure.value == 0.5
    assert np.isnan([figure.low, figure.high]).all()


def test_few_defined_resamples_give_no_interval():
    values_S = np.where(np.arange(100) < 49, 0.5, np.nan)
    assert np.isnan(from_resamples(0.5, values_S).low)
    assert from_resamples(0.5, np.where(np.arange(100) < 51, 0.5, np.nan)).low == 0.5


def test_a_mirrored_interval_reaches_below_what_noise_added():
    def gap(weights_SN):  # mean of |mean of noise| over ten groups: 0 but for chance
        return np.abs(weights_SN @ groups_NG).mean(axis=1) / len(groups_NG)

    groups_NG = np.random.default_rng(2).normal(0, 1, (200, 10))
    draws_SP, discs = draw_patients(200, 500, 0), np.arange(200)
    plain, mirrored = estimate(gap, draws_SP, discs), estimate_reflected(gap, draws_SP, discs)
    assert 0 <= mirrored.low < plain.low
    assert mirrored.low <= mirrored.value <= mirrored.high


def test_undefined_is_null_in_json():
    assert Estimate(0.5, np.nan, np.nan).to_dict() == {"value": 0.5, "low": None, "high": None}
