"""Series that contradict each other about left and right give no grade of a side."""

from dataclasses import replace

import numpy as np
import pytest
from tissue import SYMMETRIC, seen

from spinenet.labels import View
from spinenet.locating.sides import CONTRADICT, with_agreed_sides


def mirrored(one):
    """The same with its pixels mirrored left to right and the header left as it was."""
    side = 0 if one.series.plane == "sagittal" else 2
    return replace(one, series=replace(one.series, voxels_SRC=np.flip(one.series.voxels_SRC, side)))


def study(**how):
    return [seen(View.SAGITTAL_T1, **how), seen(View.SAGITTAL_T2, **how), seen(View.AXIAL_T2, count=20, **how)]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_one_mirrored_series_leaves_no_side_known_and_is_told_by_name(which):
    series = study()
    series[which] = mirrored(series[which])
    left, (note,) = with_agreed_sides(series)
    assert note.code == CONTRADICT and series[which].series.name in note.text
    assert [one.series.view for one in left] == [View.SAGITTAL_T1, View.SAGITTAL_T2]
    assert not any(one.series.laterality_known for one in left)


@pytest.mark.parametrize("moved_mm", [(0, 0, 0), (4, 2, 3), (-5, 0, 2)])
def test_series_that_agree_are_left_as_they_are_though_the_patient_moved(moved_mm):
    series = [*study()[:2], seen(View.AXIAL_T2, count=20, moved_mm=moved_mm)]
    assert with_agreed_sides(series) == (tuple(series), [])


def test_axial_slices_are_held_against_the_stack_whose_coordinates_they_share():
    """A T2 repeated after the patient had moved has coordinates of its own."""
    t1, t2, axial = study()
    repeated = replace(t2, series=replace(t2.series, frame_of_reference="1.2.9"))
    moved = mirrored(repeated)  # whatever it shows at these coordinates, it is no mirror image of the axial slices
    assert with_agreed_sides([t1, moved, axial])[1] == []
    assert with_agreed_sides([t1, moved, mirrored(axial)])[1] != []


def test_a_stack_mirrored_about_the_middle_of_an_image_beside_the_spine_is_found():
    one, other = seen(View.SAGITTAL_T2), seen(View.AXIAL_T2, count=20, at_mm=(12, 0, 0))
    (_, notes) = with_agreed_sides([one, mirrored(other)])
    assert [note.code for note in notes] == [CONTRADICT]


def test_of_a_body_that_is_its_own_mirror_image_nothing_is_said():
    series = study(tissue=SYMMETRIC)
    assert with_agreed_sides([mirrored(series[0]), *series[1:]])[1] == []


def test_what_shows_little_beside_the_midline_or_says_no_side_is_not_judged():
    narrow = [seen(View.SAGITTAL_T1, count=5), mirrored(seen(View.SAGITTAL_T2, count=5))]
    assert with_agreed_sides(narrow)[1] == []
    one, other = (replace(one, series=replace(one.series, laterality_known=False)) for one in study()[:2])
    assert with_agreed_sides([one, mirrored(other)])[1] == []
