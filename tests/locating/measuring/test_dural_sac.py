"""The area of the dural sac: in the axial slice that crosses the disc, and not given where the outline is no sac's."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from spinenet.labels import View
from spinenet.locating.measuring.dural_sac import (
    PIXEL_MM,
    SAC_AREA,
    SIDE,
    area_error_95,
    crossing_slices,
    measure_sacs,
    sac_placement,
    solidity,
)
from spinenet.locating.measuring.quantities import level_measurements
from spinenet.study import LevelFrame, LocatedSeries, Series

RADIUS_MM = 8.0
CENTER_MM = np.array([2.0, 30.0, -10.0])


def disc(tilt_deg: float = 0.0) -> LevelFrame:
    angle = np.deg2rad(tilt_deg)
    posterior = np.array([0.0, np.cos(angle), np.sin(angle)])
    superior = np.array([0.0, -np.sin(angle), np.cos(angle)])
    return LevelFrame("L4/L5", CENTER_MM, posterior, superior, 36.0, 9.0)


def stack(frame: LevelFrame, *, first_mm: float = -8.0, rows: int = 240, name: str = "axial") -> LocatedSeries:
    """Five axial slices 4 mm apart, the first so far from the disc's middle, of a bright round sac behind the disc."""
    affine = np.array([[0.0, 0, 0.5, -60], [0, 0.5, 0, 0], [4.0, 0, 0, CENTER_MM[2] + first_mm], [0, 0, 0, 1]])
    places_mm = np.moveaxis(np.indices((5, rows, 240)), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    sac_mm = CENTER_MM + np.array([0, 36.0 / 2 + 8.0, 0])
    inside = np.linalg.norm((places_mm - sac_mm)[..., :2], axis=-1) < RADIUS_MM
    grey = np.where(inside, 200.0, 30.0) + np.random.default_rng(0).uniform(0, 5, inside.shape)
    series = Series(name, grey.astype(np.float32), affine, "axial", View.AXIAL_T2)
    return LocatedSeries(series, (frame,), 2, np.zeros(5, np.float32))


def bright(crops_NHW: NDArray[np.float32]) -> NDArray[np.float32]:
    """An outline of everything bright."""
    return np.stack([1 - (crops_NHW > 0.5), crops_NHW > 0.5], axis=1).astype(np.float32)


def answer(mask_HW: NDArray[np.bool_]) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    return lambda crops_NHW: np.stack([~mask_HW, mask_HW])[None].astype(np.float32)


def test_the_area_is_that_of_the_slice_through_the_disc_which_is_named() -> None:
    located = [stack(disc())]
    areas, notes, _ = measure_sacs(located, bright)
    assert areas["L4/L5"].value == pytest.approx(np.pi * RADIUS_MM**2, rel=0.03) and not notes
    assert (areas["L4/L5"].series, areas["L4/L5"].slice_index) == ("axial", 2)
    assert areas["L4/L5"].unit == "mm2" and areas["L4/L5"].error_95
    (told,) = [one for one in level_measurements(located, (), None, areas) if one.name == SAC_AREA]
    assert told is areas["L4/L5"]


def test_of_two_stacks_the_slice_nearest_to_the_middle_of_the_disc_is_measured() -> None:
    (found,) = crossing_slices([stack(disc(), first_mm=-9.5), stack(disc(), first_mm=-12.4, name="axial_2")])
    assert (found.placement.series.name, found.index) == ("axial_2", 3)


def test_no_area_where_no_slice_crosses_the_disc_and_none_of_sagittal_series() -> None:
    assert measure_sacs([stack(disc(), first_mm=5.0)], bright) == ({}, (), {})
    sagittal = replace(stack(disc()).series, view=View.SAGITTAL_T2)
    assert measure_sacs([replace(stack(disc()), series=sagittal)], bright) == ({}, (), {})


@pytest.mark.parametrize(("tilt_deg", "given"), [(25.0, True), (-25.0, True), (35.0, False)])
def test_a_slice_far_from_the_plane_of_the_disc_shows_no_cross_section(tilt_deg: float, given: bool) -> None:
    rise_mm = 26.0 * np.sin(np.deg2rad(tilt_deg))  # of the disc's plane from its middle to the canal
    areas, notes, _ = measure_sacs([stack(disc(tilt_deg), first_mm=rise_mm - 8)], answer(round_mask()))
    assert bool(areas) is given and bool(notes) is not given
    assert given or "tilted by 35 degrees" in notes[0].text


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("rows", "given"), [(122, False), (116, False), (130, True), (150, True)])
def test_a_sac_that_the_image_ends_within_is_not_given_and_still_outlined(rows: int, given: bool, padded: bool) -> None:
    """It reaches to row 128. Seen in real slices, padded to a square: half a sac was given as a narrow one."""
    one = stack(disc(), rows=rows)
    if padded:
        voxels = np.pad(one.series.voxels_SRC, ((0, 0), (0, 240 - rows), (0, 0)), constant_values=30)
        one = replace(one, series=replace(one.series, voxels_SRC=voxels))
    areas, notes, outlined = measure_sacs([one], bright)
    assert bool(areas) is given and bool(notes) is not given and (outlined or not padded)
    assert given or "the image ends within the sac (axial, slice 3)" in notes[0].text


def test_an_area_that_may_be_off_by_three_quarters_of_itself_is_not_given() -> None:
    def blurred(mask_HW: NDArray[np.bool_], p: float) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
        soft_HW = np.where(mask_HW, p, 1 - p)
        return lambda crops_NHW: np.stack([1 - soft_HW, soft_HW])[None].astype(np.float32)

    assert measure_sacs([stack(disc())], blurred(round_mask(9.0), 0.99)).given
    areas, (note,), outlined = measure_sacs([stack(disc())], blurred(round_mask(9.0), 0.8))
    assert not areas and "mm² may be off by" in note.text and outlined["L4/L5"].value == pytest.approx(91, abs=3)


def round_mask(radius_px: float = 13.0, row: float = 40.0, column: float = 40.0) -> NDArray[np.bool_]:
    rows, columns = np.indices((SIDE, SIDE))
    return np.asarray(np.hypot(rows - row, columns - column) < radius_px)


def notched() -> NDArray[np.bool_]:
    mask_HW = round_mask()
    mask_HW[30:40, 32:48] = False
    return mask_HW


@pytest.mark.parametrize(
    ("mask_HW", "reason"),
    [
        (round_mask(3.0), " 9 mm²"),
        (round_mask(20.0), "448 mm²"),
        (np.zeros((SIDE, SIDE), bool), "0 mm²"),
        (round_mask(column=8.0), "beyond the crop"),
        (round_mask() | round_mask(5.0, row=65.0), "two pieces"),
        (notched(), "notches"),
    ],
    ids=("small", "large", "none", "cut", "two", "notched"),
)
def test_an_outline_that_is_no_sacs_gives_a_reason_and_no_area(mask_HW: NDArray[np.bool_], reason: str) -> None:
    areas, (note,), _ = measure_sacs([stack(disc())], answer(mask_HW))
    assert not areas and reason in note.text and note.code == "no_sac_area"


def test_roots_within_the_outline_belong_to_the_sac_and_specks_beside_it_do_not() -> None:
    whole = round_mask()
    with_roots = (whole & ~round_mask(2.0)) | round_mask(2.0, row=70.0)
    values = [measure_sacs([stack(disc())], answer(mask))[0]["L4/L5"].value for mask in (whole, with_roots)]
    assert values[0] == values[1] == round(whole.sum() * PIXEL_MM**2)


def test_a_round_outline_is_solid_and_a_notched_one_is_not() -> None:
    assert solidity(round_mask()) > 0.93 > 0.85 > solidity(notched())


def test_the_crop_begins_behind_the_discs_middle_and_its_columns_grow_to_the_left() -> None:
    one = stack(disc())
    matrix = sac_placement(one, disc()).matrix(2)
    middle_mm = one.series.to_mm(np.array([2.0, *(matrix @ [(SIDE - 1) / 2, (SIDE - 1) / 2, 1])]))
    right_mm = one.series.to_mm(np.array([2.0, *(matrix @ [(SIDE - 1) / 2, SIDE - 1, 1])]))
    assert middle_mm == pytest.approx(CENTER_MM + [0, 26.0, 0]) and right_mm[0] > middle_mm[0]


def test_an_area_is_known_less_well_where_its_border_is_blurred_and_at_the_lower_levels() -> None:
    distance_mm = np.hypot(*(np.indices((SIDE, SIDE)) - SIDE / 2)) * PIXEL_MM - RADIUS_MM

    def error(level: str, blur_mm: float) -> float:
        return area_error_95(level, 0.5 - 0.5 * np.tanh(distance_mm / blur_mm))

    assert 20 == error("L2/L3", 0.01) < error("L2/L3", 0.4) < error("L2/L3", 0.8)
    assert error("L5/S1", 0.8) == pytest.approx(error("L2/L3", 0.8) * 85 / 45, abs=1)
