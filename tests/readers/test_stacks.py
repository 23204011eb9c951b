"""Files of a series as stacks of slices: what belongs together, what is there twice, what is missing or damaged."""

import numpy as np
import pytest
from pydicom.uid import (
    JPEG2000Lossless,
    RLELossless,
)

from spinenet.labels import View
from spinenet.readers import find_studies, read_study
from spinenet.study import sentence


def read_one(folder):
    (source,) = find_studies([folder])
    return read_study(source)


def tilted(degrees):
    """Direction of a column of an axial slice that dips backwards by so much."""
    angle = np.deg2rad(degrees)
    return (0.0, float(np.cos(angle)), float(-np.sin(angle)))


def test_two_series_of_one_number_keep_apart_from_the_stacks_of_either(tmp_path, patient):
    for number, (uid, angle, height) in enumerate([("1.2.1", 0, 0.0), ("1.2.1", 12, 25.0), ("1.2.2", 0, 80.0)]):
        stack = patient.stack((1, 0, 0), tilted(angle), shape=(4, 24, 20), origin_mm=(-8.0, -5.0, height))
        patient.write(
            tmp_path / str(number), stack, lambda dataset, _, uid=uid: setattr(dataset, "SeriesInstanceUID", uid)
        )
    names = [series.name for series in read_one(tmp_path).series]
    assert len(set(names)) == len(names) == 3


def test_differently_tilted_stacks_of_one_series_stay_apart(tmp_path, patient):
    for number, (angle, height) in enumerate([(0, 0.0), (12, 25.0), (-8, 50.0)]):
        stack = patient.stack((1, 0, 0), tilted(angle), shape=(4, 24, 20), origin_mm=(-8.0, -5.0, height))
        patient.write(tmp_path / str(number), stack)
    study = read_one(tmp_path)
    assert [series.name for series in study.series] == ["series-1-1", "series-1-2", "series-1-3"]
    assert all(series.view is View.AXIAL_T2 and patient.shows_patient(series) for series in study.series)


def test_the_name_of_a_tilted_stack_does_not_depend_on_the_order_of_files(tmp_path, patient):
    named = []
    for order in ((0, 1, 2), (2, 0, 1)):
        for number, group in enumerate(order):
            height, angle = ((0.0, 0), (25.0, 12), (50.0, -8))[group]
            stack = patient.stack((1, 0, 0), tilted(angle), shape=(4, 24, 20), origin_mm=(-8.0, -5.0, height))
            patient.write(tmp_path / str(order) / str(number), stack)
        study = read_one(tmp_path / str(order))
        named.append({series.name: series.affine_vox2mm[:3, 3].round(2).tolist() for series in study.series})
    assert named[0] == named[1]


def test_parallel_stacks_shifted_in_plane_or_far_apart_stay_apart(tmp_path, patient):
    for number, origin in enumerate([(-8.0, -5.0, 0.0), (-8.0, 15.0, 2.0), (-8.0, -5.0, 100.0)]):
        patient.write(tmp_path / str(number), patient.stack((1, 0, 0), (0, 1, 0), shape=(4, 24, 20), origin_mm=origin))
    series = read_one(tmp_path).series
    assert [each.voxels_SRC.shape[0] for each in series] == [4, 4, 4]
    assert all(map(patient.shows_patient, series))


def test_two_echoes_at_the_same_places_are_two_series(tmp_path, patient):
    patient.write(tmp_path / "a", patient.stack().having(EchoTime=20.0, RepetitionTime=2500.0))
    patient.write(tmp_path / "b", patient.stack().having(EchoTime=90.0, RepetitionTime=2500.0))
    series = read_one(tmp_path).series
    assert sorted(str(each.view) for each in series) == ["None", "sagittal_t2"]
    assert all(map(patient.shows_patient, series))


def test_frames_of_two_sizes_stay_apart(tmp_path, patient):
    patient.write(tmp_path / "a", patient.stack())
    patient.write(tmp_path / "b", patient.stack(shape=(3, 32, 20)))
    study = read_one(tmp_path)
    assert [series.voxels_SRC.shape for series in study.series] == [(7, 24, 20), (3, 32, 20)]
    assert "several sizes" in study.notes[0].text


def test_duplicates_are_dropped_with_a_note(tmp_path, patient):
    patient.write(tmp_path / "a", patient.stack())
    patient.write(tmp_path / "b", patient.stack())
    study = read_one(tmp_path)
    assert study.series[0].voxels_SRC.shape[0] == 7 and patient.shows_patient(study.series[0])
    assert sentence(study.notes) == "series-1: 7 slices at the place of another dropped"


def test_the_same_file_twice_is_one_image(tmp_path, patient):
    paths = patient.write(tmp_path, patient.stack())
    (tmp_path / "copy.dcm").write_bytes(paths[2].read_bytes())
    study = read_one(tmp_path)
    assert study.series[0].voxels_SRC.shape[0] == 7
    assert sentence(study.notes) == "1 image was there more than once"


def test_a_missing_slice_is_bridged_and_said(tmp_path, patient):
    patient.write(tmp_path, patient.stack())[3].unlink()
    study = read_one(tmp_path)
    assert study.series[0].voxels_SRC.shape[0] == 7 and patient.shows_patient(study.series[0], tolerance=1.0)
    assert sentence(study.notes) == (
        "series-1: 6 of 7 images are there, by the numbers; copy the series again; "
        "series-1: 1 of 7 slices missing within the stack, interpolated from their neighbours"
    )


@pytest.mark.parametrize("kept_bytes", [0.9, 0.5])
def test_a_truncated_file_costs_its_slice_only(tmp_path, patient, kept_bytes):
    path = patient.write(tmp_path, patient.stack())[6]
    content = path.read_bytes()
    path.write_bytes(content[: int(kept_bytes * len(content))])
    study = read_one(tmp_path)
    assert study.series[0].voxels_SRC.shape[0] == 6 and patient.shows_patient(study.series[0])
    assert any("cut short" in note.text for note in study.notes)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_a_truncated_compressed_file_costs_its_slice_only(tmp_path, patient, syntax):
    stack = patient.stack(shape=(5, 64, 64))
    paths = patient.write(tmp_path, stack, lambda ds, _: ds.compress(syntax, generate_instance_uid=False))
    paths[0].write_bytes(paths[0].read_bytes()[:-300])
    study = read_one(tmp_path)
    assert study.series[0].voxels_SRC.shape[0] == 4 and patient.shows_patient(study.series[0])
    assert "1 of 5 slices left out" in study.notes[0].text
