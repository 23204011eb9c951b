"""What the scanner makes of an ideal image: edges as wide as in patients, noise with the statistics of a magnitude,
and tissues as bright against each other as radiologists know them."""

from dataclasses import replace

import numpy as np
import pytest

from spinenet.labels import View
from spinephantom import PhantomStudy, make_study
from spinephantom.paint.canvas import Canvas
from spinephantom.paint.trunk import Body, make_body
from spinephantom.physics.kspace import Noise, filtered, k_window
from spinephantom.physics.sequence import PoolSignal, Weighting, sample_protocol, sample_scanner
from spinephantom.physics.texture import make_textures
from spinephantom.scan.prescription import plan_axial
from spinephantom.scan.scanner_artefacts import (
    sample_acquisition,
    sensitivity,
    shifted_fat,
    with_metal,
    with_motion,
    with_zipper,
)
from spinephantom.shapes.planes import Grid, upscaled


@pytest.fixture(scope="module")
def studies() -> list[PhantomStudy]:
    return [
        make_study(
            seed,
            size=256,
            axial_size=256,
            sub_slices=1,
            clean=True,
            pixel="uint16",
            stir_share=seed % 2,
            widened_share=0.0,
        )
        for seed in (20, 21)
    ]


def flat_grid(size: int = 128) -> Grid:
    """One sagittal plane of 0.8 mm pixels."""
    pixel = 0.8
    return Grid(np.zeros(3), np.eye(3)[0], np.array([0, 0, -pixel]), np.array([0, pixel, 0]), np.zeros(1), size, size)


@pytest.mark.parametrize("weighting", list(Weighting))
def test_edges_are_one_to_two_and_a_half_pixels_wide(weighting: Weighting) -> None:
    widths = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        protocol = sample_protocol(rng, sample_scanner(rng), weighting)
        acquisition = sample_acquisition(rng, View.SAGITTAL_T2)
        grid = flat_grid()
        canvas = Canvas(grid, ({"csf": PoolSignal(1.0, 0.0, 0.0)},), make_textures(rng, grid))
        _, y, z = grid.whole().world()
        canvas.paint(grid.whole(), canvas.alpha(55.3 - 0.99 * y + 0.14 * z), "csf")
        image = filtered(canvas.water[0, 0], k_window((128, 128), protocol, acquisition.filter_strength))
        row = image[64, 20:100]
        edge = np.interp([0.1, 0.9], np.maximum.accumulate(row), np.arange(len(row)))
        widths.append(edge[1] - edge[0])
    assert 0.9 < np.median(widths) < 2.5 and max(widths) < 5.0


def test_magnitude_of_noise_is_rician() -> None:
    rng = np.random.default_rng(0)
    protocol = replace(
        sample_protocol(rng, sample_scanner(rng), Weighting.T2), acquired_fraction=(1.0, 1.0), echo_train=0
    )
    noise = Noise(rng, k_window((256, 256), protocol, 0.0), (256, 256), 2.0)
    air, tissue = (
        noise.add(np.zeros((256, 256), np.float32), 1.0),
        noise.add(np.full((256, 256), 100.0, np.float32), 1.0),
    )
    # Rayleigh without signal, Gaussian far above the noise
    assert air.mean() == pytest.approx(2.0 * np.sqrt(np.pi / 2.0), rel=0.03)
    assert tissue.std() == pytest.approx(2.0, rel=0.03) and tissue.mean() == pytest.approx(100.0, rel=0.01)


def test_fat_moves_along_frequency_encoding_and_water_stays() -> None:
    rng = np.random.default_rng(3)
    protocol = replace(
        sample_protocol(rng, sample_scanner(rng), Weighting.T1), phase_rows=True, bandwidth_hz=110.25, field_t=1.5
    )
    fat = np.zeros((1, 9, 9), np.float32)
    fat[0, 4, 4] = 1.0
    for sign in (1, -1):
        moved = shifted_fat(fat, protocol, replace(sample_acquisition(rng, View.SAGITTAL_T1), shift_sign=sign))
        at = np.unravel_index(moved.argmax(), moved.shape)
        assert at == (0, 4, 4 + sign * round(protocol.fat_shift_px)) and moved.sum() == pytest.approx(1.0)


def body_of(study: PhantomStudy) -> Body:
    return make_body(np.random.default_rng(study.seed), study.spine)


def test_crossing_groups_lose_signal_where_they_cross_and_nowhere_else(studies: list[PhantomStudy]) -> None:
    study = studies[0]
    plain = replace(sample_acquisition(np.random.default_rng(1), View.AXIAL_T2), crosstalk=0.0)
    groups = next(
        g
        for g in (plan_axial(np.random.default_rng(k), study.spine, study.options.coverage())[0] for k in range(9))
        if len(g) > 1
    )
    grid, other = groups[0], groups[1]
    ratio = sensitivity(grid, replace(plain, crosstalk=0.5), body_of(study), (other,)) / sensitivity(
        grid, plain, body_of(study)
    )
    offset = np.broadcast_to(
        sum(n * axis for n, axis in zip(other.normal, grid.whole().world(), strict=True)), grid.shape
    )
    offset = offset - other.normal @ other.origin_mm
    far = (offset < other.offsets_mm[0] - 12.0) | (offset > other.offsets_mm[-1] + 12.0)
    assert np.abs(np.broadcast_to(ratio, grid.shape)[far] - 1.0).max() < 0.02
    assert 0.45 < ratio.min() <= 1.0


def test_metal_leaves_a_void_and_changes_nothing_far_away() -> None:
    grid = flat_grid()
    rng = np.random.default_rng(2)
    protocol = sample_protocol(rng, sample_scanner(rng), Weighting.T2)
    middle = grid.origin_mm + 64 * (grid.row_mm + grid.col_mm)
    image = with_metal(
        np.ones((1, 128, 128), np.float32), grid, protocol, [(middle, middle + np.array([0.0, 8.0, 0.0]))]
    )
    assert image[0, 64, 64] < 0.1 and (image[0, :20] == 1.0).all()


def test_ghosts_add_copies_along_phase_encoding_only() -> None:
    rng = np.random.default_rng(4)
    protocol = replace(sample_protocol(rng, sample_scanner(rng), Weighting.T2), phase_rows=True)
    acquisition = replace(sample_acquisition(rng, View.SAGITTAL_T2), ghost=0.05, ghost_shift=0.25, wrap=0.0)
    image = np.zeros((1, 40, 40), np.float32)
    image[0, 20, 7] = 1.0
    seen = with_motion(image, protocol, acquisition)
    assert set(zip(*np.nonzero(seen[0]), strict=True)) == {(20, 7), (10, 7), (30, 7)}


def test_interference_lies_on_one_line_of_one_frequency_in_every_slice() -> None:
    rng = np.random.default_rng(4)
    protocol = replace(sample_protocol(rng, sample_scanner(rng), Weighting.T2), phase_rows=True)
    acquisition = replace(sample_acquisition(rng, View.SAGITTAL_T2), zipper=4.0, zipper_at=0.3)
    slices = [with_zipper(np.zeros((30, 40), np.float32), rng, protocol, acquisition, 1.0) for _ in range(3)]
    assert [set(np.nonzero(image)[1]) for image in slices] == [{12}] * 3


def test_upscaling_keeps_a_slope_and_the_mean() -> None:
    slope = np.arange(8, dtype=np.float32)[None, :] * np.ones((6, 1), np.float32)
    wide = upscaled(slope, 12, 16)
    assert (
        wide.shape == (12, 16)
        and np.allclose(np.diff(wide[:, 1:-1], axis=1), 0.5)
        and wide.mean() == pytest.approx(slope.mean())
    )


def tissue_levels(study: PhantomStudy, name: str) -> dict[str, float]:
    """Median grey values of a sagittal series: CSF, marrow, subcutaneous fat, and muscle off the midline."""
    item = next(one for one in study.series if one.name == name)
    voxels, mask = item.series.voxels_SRC, item.mask_SRC
    body = body_of(study)
    index = np.moveaxis(np.indices(voxels.shape), 0, -1)
    world = index @ item.series.affine_vox2mm[:3, :3].T + item.series.affine_vox2mm[:3, 3]
    x, y, z = np.moveaxis(world, -1, 0)
    side = np.abs(x - body.at("middle_x_mm", z))
    lumbar = (z > 30.0) & (z < 120.0)
    fascia, skin = body.at("fascia_y_mm", z), body.at("skin_y_mm", z)
    fat = lumbar & (y > fascia + 5.0) & (y < skin - 4.0) & (side < 12.0)
    muscle = lumbar & (y > fascia - 16.0) & (y < fascia - 8.0) & (side > 16.0) & (side < 26.0) & (mask == 0)
    return {
        "csf": float(np.quantile(voxels[mask == 100], 0.7)),
        "marrow": float(np.median(voxels[(mask > 0) & (mask < 6)])),
        "fat": float(np.median(voxels[fat])),
        "muscle": float(np.median(voxels[muscle])),
    }


def test_tissues_stand_to_each_other_as_in_patients(studies: list[PhantomStudy]) -> None:
    for study in studies:
        t1 = tissue_levels(study, "t1")
        assert 0.08 < t1["csf"] / t1["fat"] < 0.35
        second = tissue_levels(study, "t2")
        if study.series[1].view is View.SAGITTAL_STIR:
            assert second["fat"] / second["csf"] < 0.3
        else:
            assert 0.08 < second["muscle"] / second["csf"] < 0.40
            assert 0.25 < second["marrow"] / second["csf"] < 0.75
            assert 0.5 < second["fat"] / second["csf"] < 1.3
