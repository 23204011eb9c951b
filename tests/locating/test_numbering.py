"""Discs at one place bear one name, and series whose patient moved between them keep their own."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tissue import FRAMES, seen

from spinenet.labels import LEVELS, View
from spinenet.locating import numbering
from spinenet.locating.numbering import contradicts, counted_alike, seen_away_mm


def named(one, *levels):
    """The series with only these of its discs, from the lowest up, by their places in FRAMES, named in order."""
    frames = (replace(FRAMES[place], level=LEVELS[index]) for index, place in enumerate(levels))
    return replace(one, frames=tuple(frames))


@pytest.mark.parametrize("passed_over", [1, 2, 3])
def test_a_disc_that_one_series_passes_over_does_not_shift_the_names_above_it(passed_over):
    whole = seen(View.SAGITTAL_T2)
    short = named(seen(View.SAGITTAL_T1), *(place for place in range(5) if place != passed_over))
    for order in ((whole, short), (short, whole)):
        assert not contradicts(*order)
        for one in counted_alike(order):
            assert all(frame.level == LEVELS[round((frame.center_mm[2] + 70) / 35)] for frame in one.frames)
    noted = counted_alike([whole, short])[1].notes
    assert [note.code for note in noted] == ["level_missed"] and LEVELS[passed_over] in noted[0].text


def test_names_counted_from_another_disc_are_a_contradiction():
    assert contradicts(seen(View.SAGITTAL_T2), named(seen(View.SAGITTAL_T1), 1, 2, 3, 4))


@pytest.mark.parametrize("up_mm", [-35.0, 20.0, 35.0])
def test_a_patient_who_moved_within_one_frame_of_reference_is_told_by_names_and_image(up_mm):
    one, other = seen(View.SAGITTAL_T2), seen(View.SAGITTAL_T1, moved_mm=(0, 0, up_mm))
    other = replace(other, frames=tuple(replace(f, center_mm=f.center_mm + [0, 0, up_mm]) for f in other.frames))
    assert seen_away_mm(one, other) == (pytest.approx(abs(up_mm)), True)
    misnamed = replace(seen(View.SAGITTAL_T1), frames=other.frames)  # names alone say so, the image does not
    assert seen_away_mm(one, misnamed) == (0, False)
    assert seen_away_mm(one, seen(View.SAGITTAL_T1)) == (0, False)


def test_places_are_compared_in_the_slices():
    one, other = seen(View.SAGITTAL_T2), seen(View.SAGITTAL_T1)
    beside = replace(
        other, frames=tuple(replace(f, center_mm=f.center_mm + np.array([15.0, 0, 0])) for f in other.frames)
    )
    assert seen_away_mm(one, beside) == (0, False)


def test_a_series_that_image_and_names_put_elsewhere_but_not_clearly_is_left_out(monkeypatch):
    one, other = seen(View.SAGITTAL_T2), seen(View.SAGITTAL_T1, moved_mm=(0, 0, 35.0))
    other = replace(other, frames=tuple(replace(f, center_mm=f.center_mm + [0, 0, 35.0]) for f in other.frames))
    found = numbering.displacement
    monkeypatch.setattr(numbering, "displacement", lambda *given: replace(found(*given), clearness=1.0))
    monkeypatch.setattr(numbering, "name_levels", lambda detection: detection.named)
    located, notes = numbering._counted([SimpleNamespace(series=each.series, named=each) for each in (one, other)])
    assert [each.series.name for each in located] == [one.series.name]
    assert [note.code for note in notes] == ["left_out"] and "may lie 35 mm" in notes[0].text
