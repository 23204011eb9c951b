"""Of several series that show the same one is graded, and what files leave open is told from the image or left."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from spinenet.labels import View
from spinenet.locating.discs import LOCATOR_CLASSES
from spinenet.locating.routing import route
from spinenet.study import Basis, Series, SourceImages, Study
from spinephantom import make_study

UNTOLD = {"view": None, "basis": Basis.UNDECIDED, "reason": "Sagittal by orientation; weighting unknown."}
AXES = {"sagittal": np.eye(3), "axial": np.eye(3)[[2, 1, 0]]}


def stack(name, view, *, slices=11, step_mm=4.0, pixel_mm=0.7, start_mm=0.0, plane="sagittal", tilt=0.0, **more):
    affine = np.eye(4)
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    affine[:3, :3] = turn @ AXES[plane] * [step_mm, pixel_mm, pixel_mm]
    affine[:3, 3] = affine[:3, 0] / step_mm * start_mm
    return Series(name, np.ones((slices, 8, 8), np.float32), affine, plane, view, "Told by physics.", **more)


def axial(name, **more):
    return stack(name, View.AXIAL_T2, plane="axial", **more)


def nothing_seen(images_N1HW):
    """A locator that finds no spine."""
    count, _, rows, columns = images_N1HW.shape
    probabilities = np.zeros((count, len(LOCATOR_CLASSES), rows, columns), np.float32)
    probabilities[:, 0] = 1.0
    return probabilities


def used(*series):
    routed = route(Study("17", series), nothing_seen).study.series
    assert [one.name for one in routed] == [one.name for one in series]
    assert all(one.reason.endswith(".") for one in routed)
    assert all((one.view is None) == (one.basis is Basis.EXCLUDED) for one in routed)
    return [one.name for one in routed if one.view], [one.reason for one in routed if not one.view]


@pytest.mark.parametrize(
    ("first", "second", "kept", "why"),
    [
        ({}, {}, "b", "is the later one"),
        ({}, {"slices": 3}, "a", "covers more"),
        ({"pixel_mm": 0.5}, {}, "a", "finer pixels"),
        ({"step_mm": 3.0, "slices": 20}, {"slices": 15}, "a", "thinner slices"),
        ({}, {"original": False}, "a", "not computed from others"),
        ({"slices": 3, "basis": Basis.USER}, {}, "a", "was asked for"),
    ],
)
def test_of_two_sagittal_t2_the_better_is_graded_and_said(first, second, kept, why):
    names, reasons = used(stack("a", View.SAGITTAL_T2, **first), stack("b", View.SAGITTAL_T2, **second))
    assert names == [kept]
    assert reasons == [f"Told by physics; not used: {kept} shows the same and {reasons[0].partition(' and ')[2]}"]
    assert why in reasons[0]


def test_a_volume_and_a_stack_of_one_weighting_add_to_each_other():
    names, _ = used(stack("tse", View.SAGITTAL_T2), stack("space", View.SAGITTAL_T2, step_mm=1.0, slices=40))
    assert names == ["tse", "space"]


def test_stir_is_graded_only_where_there_is_no_t2_or_it_is_asked_for():
    t1, t2, stir = (stack(view.value, view) for view in (View.SAGITTAL_T1, View.SAGITTAL_T2, View.SAGITTAL_STIR))
    assert used(t1, stir)[0] == ["sagittal_t1", "sagittal_stir"]
    names, reasons = used(t1, t2, stir)
    assert names == ["sagittal_t1", "sagittal_t2"] and "shows the same with fat" in reasons[0]
    assert used(t2, replace(stir, basis=Basis.USER))[0] == ["sagittal_t2", "sagittal_stir"]


def test_axial_groups_of_one_acquisition_and_of_several_levels_are_all_graded():
    images = SourceImages("1.2", "", ())
    groups = [axial(f"a{i}", slices=4, start_mm=30.0 * i, tilt=0.1 * i, images=images) for i in range(5)]
    assert len(used(*groups)[0]) == 5
    assert len(used(axial("low", slices=8), axial("high", slices=8, start_mm=60.0))[0]) == 2


def test_of_a_repeated_axial_series_the_later_is_graded():
    assert used(axial("first"), axial("second", start_mm=0.5))[0] == ["second"]
    assert used(axial("whole", slices=30), axial("broken off", slices=6))[0] == ["whole"]
    assert used(axial("asked for", slices=6, basis=Basis.USER), axial("whole", slices=30))[0] == ["asked for"]


def test_axial_series_at_the_same_coordinates_are_repeats_only_where_the_image_agrees_if_frames_differ():
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(9, 90, 90)), (1, 4, 4)).astype(np.float32)

    def acquired(name, frame, voxels):
        return replace(axial(name, slices=9, pixel_mm=1.5), voxels_SRC=voxels, frame_of_reference=frame)

    first = acquired("first", "1.1", smooth)
    assert used(first, acquired("again", "1.2", 2 * smooth + 1))[0] == ["again"]
    assert used(first, acquired("elsewhere", "1.2", smooth[:, ::-1]))[0] == ["first", "elsewhere"]
    assert used(first, acquired("same frame", "1.1", smooth[:, ::-1]))[0] == ["same frame"]


def test_a_tilted_axial_series_is_no_repeat_of_a_straight_one():
    assert len(used(axial("straight"), axial("tilted", tilt=0.4))[0]) == 2


@pytest.mark.parametrize(("stir", "view"), [(0.0, View.SAGITTAL_T2), (1.0, View.SAGITTAL_STIR)])
def test_the_image_tells_what_files_leave_open_or_leaves_it_open_but_never_wrongly(perfect_segmenter, stir, view):
    told = []
    for seed in (9, 10, 11):
        study = make_study(seed, axial=False, size=256, slices=5, sub_slices=1, stir_share=stir)
        masked = [(one.series, one.mask_SRC) for one in study.series]
        untold = tuple(replace(series, **UNTOLD) for series, _ in masked)
        routed = route(Study("17", untold), perfect_segmenter(*masked)).study.series
        for one, true in zip(routed, (View.SAGITTAL_T1, view), strict=True):
            assert one.view in (true, None)
            told += [true] * (one.view is not None)
            assert (one.basis is Basis.IMAGE and "by its image" in one.reason) or one.view is None
    assert View.SAGITTAL_T1 in told and (view in told or stir)


def test_axial_series_are_told_by_the_canals_that_the_levels_lead_to(perfect_segmenter, angled_study):
    stacks = [item for series in angled_study.series for item in series.stacks]
    sagittal = [(one.series, one.mask_SRC) for one in stacks if one.series.plane == "sagittal"]
    untold = [replace(one.series, **UNTOLD) for one in stacks if one.series.plane == "axial"]
    study = Study("17", (*(series for series, _ in sagittal), *untold))
    routed = [one for one in route(study, perfect_segmenter(*sagittal)).study.series if one.plane == "axial"]
    assert {one.view for one in routed} <= {View.AXIAL_T2, None}
    assert sum(one.view is View.AXIAL_T2 for one in routed) >= len(routed) / 2
    assert all((one.basis is Basis.IMAGE) == (one.view is not None) for one in routed)


@pytest.mark.parametrize("basis", [Basis.NAME, Basis.PHYSICS])
def test_a_t2_whose_fat_and_marrow_are_dark_is_read_as_stir_whatever_its_name(perfect_segmenter, phantom, basis):
    _, t2 = phantom.series
    watery = (t2.mask_SRC == 100) | (t2.mask_SRC > 200)
    dark = replace(
        t2.series, voxels_SRC=t2.series.voxels_SRC * np.where(watery, 1.0, 0.15).astype(np.float32), basis=basis
    )
    (routed,) = route(Study("17", (dark,)), perfect_segmenter((dark, t2.mask_SRC))).study.series
    assert (routed.view, routed.basis) == (View.SAGITTAL_STIR, Basis.IMAGE) and "fat is suppressed" in routed.reason
    (plain,) = route(Study("17", (t2.series,)), perfect_segmenter((t2.series, t2.mask_SRC))).study.series
    assert plain.view is View.SAGITTAL_T2
    lean = t2.mask_SRC == 0  # little fat behind, and marrow as ever
    thin = replace(t2.series, voxels_SRC=t2.series.voxels_SRC * np.where(lean, 0.15, 1.0).astype(np.float32))
    assert route(Study("17", (thin,)), perfect_segmenter((thin, t2.mask_SRC))).study.series[0].view is View.SAGITTAL_T2
    asked = replace(dark, basis=Basis.USER)
    assert (
        route(Study("17", (asked,)), perfect_segmenter((asked, t2.mask_SRC))).study.series[0].view is View.SAGITTAL_T2
    )


def test_an_image_between_the_weightings_is_left_and_said(perfect_segmenter, phantom):
    t1, t2 = phantom.series
    flat = np.where(t2.mask_SRC > 0, 0.6, 0.3) * np.ones_like(t2.series.voxels_SRC)  # bone, disc and fluid alike
    between = flat + 0.02 * t1.series.voxels_SRC / np.percentile(t1.series.voxels_SRC, 99)
    series = replace(t2.series, voxels_SRC=between.astype(np.float32), **UNTOLD)
    (routed,) = route(Study("17", (series,)), perfect_segmenter((series, t2.mask_SRC))).study.series
    assert routed.view is None and "fits no weighting surely" in routed.reason


def test_of_two_stations_the_one_with_the_sacrum_is_graded_though_the_other_came_later(phantom, perfect_segmenter):
    item = next(one for one in phantom.series if one.name == "t2")
    rows = item.series.voxels_SRC.shape[1]
    stations = []
    for name, start, stop in (("lower", rows // 4, rows), ("upper", 0, 3 * rows // 4)):
        affine = item.series.affine_vox2mm.copy()
        affine[:3, 3] += affine[:3, 1] * start
        voxels = np.ascontiguousarray(item.series.voxels_SRC[:, start:stop])
        cut = replace(item.series, name=name, voxels_SRC=voxels, affine_vox2mm=affine)
        stations.append((cut, item.mask_SRC[:, start:stop]))
    routed = route(Study("17", tuple(cut for cut, _ in stations)), perfect_segmenter(*stations)).study.series
    assert [one.name for one in routed if one.view] == ["lower"]
    assert "lower shows the sacrum" in routed[1].reason
