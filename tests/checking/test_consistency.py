"""Images that contradict what their headers say of places are not graded."""

from dataclasses import replace

import numpy as np
import pytest

from spinenet.checking.consistency import IN_ORDER, SHUFFLED, of_two_sizes, order_of, out_of_order
from spinenet.labels import LEVELS, View
from spinenet.study import LevelFrame, LocatedSeries, Series, Severity


def anatomy(slices=12):
    """Slices that change slowly from one side to the other."""
    noise = np.random.default_rng(3).normal(size=(slices + 4, 40, 40))
    return np.stack([noise[index : index + 5].mean(axis=0) for index in range(slices)]).astype(np.float32)


def located(voxels=None, *, scale=1.0, depth=1.0, name="t2"):
    affine = np.diag([4.0, 1.0, 1.0, 1.0])
    series = Series(name, anatomy() if voxels is None else voxels, affine, "sagittal", View.SAGITTAL_T2)
    posterior, superior = np.array([0.0, 1, 0]), np.array([0.0, 0, 1])
    frames = tuple(
        LevelFrame(LEVELS[index], np.array([0, 0, 35.0 * scale * index]), posterior, superior, 34.0 * depth, 9.0)
        for index in range(5)
    )
    return LocatedSeries(series, frames, 5, np.zeros(5, np.float32))


def test_slices_in_order_are_told_from_shuffled_ones():
    voxels = anatomy()
    mixed = voxels[np.random.default_rng(0).permutation(len(voxels))]
    assert order_of(voxels) > IN_ORDER and order_of(voxels[::-1]) > IN_ORDER and order_of(mixed) < SHUFFLED
    assert list(out_of_order(located(voxels))) == []
    (note,) = out_of_order(located(mixed))
    assert note.severity is Severity.REFUSE and note.code == "slice_order"


def test_few_slices_have_no_order():
    assert list(out_of_order(located(anatomy(5)[[3, 0, 4, 1, 2]]))) == []


@pytest.mark.parametrize(
    ("change", "is_told"),
    [({}, False), ({"scale": 1.02, "depth": 1.07}, False), ({"scale": 0.85, "depth": 0.85}, True)]
    + [({"scale": 1.2, "depth": 1.2}, True), ({"depth": 1.25}, True)],
)
def test_two_series_show_one_spine_at_one_size(change, is_told):
    notes = list(of_two_sizes([located(), replace(located(**change), certainty=0.5)]))
    assert [note.code for note in notes] == ["two_sizes"] * is_told
    assert all(note.severity is Severity.REFUSE for note in notes)
