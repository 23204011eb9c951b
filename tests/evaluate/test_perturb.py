"""A study shown in another way shows the same patient: structures keep their place in the world, or move as stated."""

from dataclasses import replace

import numpy as np
import pytest

from spinenet.evaluate.robustness import perturb
from spinenet.labels import View
from spinenet.study import Series, Study

SPOT = (2, 30, 24)


def rng():
    return np.random.default_rng(0)


def series(view=View.SAGITTAL_T2, plane="sagittal", shape=(5, 64, 48), spot=SPOT):
    voxels = np.full(shape, 10, np.float32)
    voxels[spot[0], spot[1] - 2 : spot[1] + 3, spot[2] - 2 : spot[2] + 3] = 100
    affine = np.eye(4)
    if plane == "sagittal":
        affine[:3, :3] = np.column_stack([[4.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    else:
        affine[:3, :3] = np.column_stack([[0, 0, 4.0], [0, 1.0, 0], [1.0, 0, 0]])
    affine[:3, 3] = (-8, -40, 60)
    return Series(view.value, voxels, affine, plane, view)


def bright_mm(one):
    """World position of the bright spot's middle."""
    places = np.argwhere(one.voxels_SRC > one.voxels_SRC.min() + 0.5 * np.ptp(one.voxels_SRC))
    return one.affine_vox2mm[:3, :3] @ places.mean(axis=0) + one.affine_vox2mm[:3, 3]


@pytest.mark.parametrize("change", [perturb.resliced, perturb.recentred, perturb.darker, perturb.brighter])
def test_what_is_only_shown_differently_stays_where_it_is(change):
    assert bright_mm(change(series(), rng())) == pytest.approx(bright_mm(series()), abs=0.7)


@pytest.mark.parametrize("plane", ["sagittal", "axial"])
def test_a_mirrored_structure_lies_on_the_other_side_in_canonical_order(plane):
    one = series(plane=plane, spot=(1, 30, 24))
    other = perturb.mirrored(one, rng())
    assert bright_mm(other) == pytest.approx(bright_mm(one) * [-1, 1, 1])
    to_left = 0 if plane == "sagittal" else 2
    assert other.affine_vox2mm[0, to_left] > 0  # canonical: this index still grows to the patient's left


def test_a_turned_patient_turns_alike_in_sagittal_and_axial_images():
    spot_mm = np.array([0.0, -16.0, 30.0])
    study = Study("a", (series(), series(View.AXIAL_T2, "axial", (5, 48, 48), (0, 24, 8))))
    study = replace(study, series=(study.series[0], _spot_at(study.series[1], spot_mm)))
    assert bright_mm(study.series[0]) == pytest.approx(spot_mm, abs=0.5)
    turned = perturb.rotated(study, rng(), 10.0)
    sagittal, axial = (bright_mm(one) for one in turned.series)
    assert sagittal == pytest.approx(axial, abs=0.7)
    moved = np.linalg.norm(sagittal - spot_mm)
    middle_mm = perturb._middle_mm(study.series[0])
    assert moved == pytest.approx(2 * np.sin(np.deg2rad(5)) * np.linalg.norm((spot_mm - middle_mm)[1:]), abs=0.7)


def _spot_at(one, place_mm):
    offset = place_mm - bright_mm(one)
    affine = one.affine_vox2mm.copy()
    affine[:3, 3] += offset
    return replace(one, affine_vox2mm=affine)


def test_noise_has_the_stated_size_and_is_never_negative():
    flat = replace(series(), voxels_SRC=series().voxels_SRC * 0 + 1000)
    flat.voxels_SRC[0, 0, 0] = 0
    noisy = perturb.noisy(flat, rng(), 0.05)
    assert noisy.voxels_SRC.min() >= 0
    assert noisy.voxels_SRC[1:].std() == pytest.approx(50, rel=0.05)


def test_a_view_that_was_not_there_or_is_the_only_one_is_not_removed():
    study = Study("a", (series(),))
    assert perturb.MISSING_VIEW["without T1"](study, rng()) is study
    assert perturb.MISSING_VIEW["without sagittal T2"](study, rng()) is study
    both = Study("a", (series(View.SAGITTAL_T1), series()))
    assert [one.view for one in perturb.MISSING_VIEW["without T1"](both, rng()).series] == [View.SAGITTAL_T2]


def test_the_middle_slice_alone_keeps_its_place():
    alone = perturb.one_slice(series(), rng())
    assert len(alone.voxels_SRC) == 1
    assert bright_mm(alone) == pytest.approx(bright_mm(series()))
    assert perturb.one_slice(alone, rng()) is alone


def test_a_field_of_view_that_ends_higher_loses_what_lies_below():
    cut = perturb.cut_below(Study("a", (series(),)), z_mm=20.0).series[0]
    lowest_mm = cut.affine_vox2mm[2, 3] + cut.affine_vox2mm[2, 1] * (cut.voxels_SRC.shape[1] - 1)
    assert lowest_mm == pytest.approx(20.0, abs=1.0)
    assert bright_mm(cut) == pytest.approx(bright_mm(series()))
