"""Axial slices of phantoms look like those of patients, as far as figures can say."""

import numpy as np
import pytest

from spinenet.labels import LEVELS, View
from spinephantom import make_study
from spinephantom.likeness import PATIENTS, U_MM, V_MM, Figures, disc_crops, figures, on_scale

SMALL = {"mode": "rsna", "size": 96, "slices": 3, "sub_slices": 1, "axial_size": 0}


@pytest.fixture(scope="module")
def found() -> list[Figures]:
    crops = [item for seed in range(6) for item in disc_crops(make_study(seed, **SMALL)).items()]
    return [figures(crop) for level, crop in crops if level in LEVELS[1:4]]


def test_grey_values_about_the_canal_lie_where_patients_have_them(found: list[Figures]) -> None:
    off = np.abs(np.mean([one.table for one in found], axis=0) - PATIENTS.grey)
    mean, most = PATIENTS.grey_off
    assert off.mean() < mean and off.max() < most


@pytest.mark.parametrize(
    "name", ["sac_width_mm", "sac_depth_mm", "sac_from_disc_mm", "fat_share", "edge", "disc_noise", "sac_spread"]
)
def test_sizes_and_sharpness_lie_within_the_range_of_patients(found: list[Figures], name: str) -> None:
    low, high = getattr(PATIENTS, name)
    assert low <= np.median([one.numbers()[name] for one in found]) <= high


def test_a_bright_sac_is_measured_where_it_was_drawn() -> None:
    crop = np.where((np.abs(U_MM) < 9.2) & (V_MM[:, None] > 0.8) & (V_MM[:, None] < 11.2), 200.0, 20.0)
    sac = figures(on_scale(crop))
    assert sac.sac_width_mm == pytest.approx(18.5, abs=0.5) and sac.sac_depth_mm == pytest.approx(10.5, abs=0.5)
    assert sac.sac_from_disc_mm == pytest.approx(1.0, abs=0.3) and sac.disc_noise == 0.0


def test_only_slices_through_a_disc_are_compared() -> None:
    study = make_study(0, **SMALL)
    assert set(disc_crops(study)) <= set(LEVELS[:5])
    assert not disc_crops(make_study(0, mode="rsna", size=96, slices=3, axial=False))
    assert any(item.view is View.AXIAL_T2 for item in study.series)
