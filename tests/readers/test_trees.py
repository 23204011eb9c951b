"""Trees as they come out of archives and off discs: what belongs together is found, what does not stays apart."""

import os
import random

import pytest
from pydicom.uid import generate_uid

from spinenet.errors import ReadError
from spinenet.labels import View
from spinenet.readers import find_studies, parse_wanted, read_study, with_views
from spinenet.study import Basis, sentence

AXIAL = ((1, 0, 0), (0, 1, 0))


def read_one(*paths):
    (source,) = find_studies(paths)
    return read_study(source)


def test_a_dicomdir_stands_for_the_folder_it_lies_in(tmp_path, patient):
    patient.write(tmp_path / "DICOM" / "ST1" / "SE1", patient.stack())
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    assert patient.shows_patient(read_one(tmp_path / "DICOMDIR").series[0])


def test_patients_who_share_a_study_uid_stay_apart(tmp_path, patient):
    for name in ("A", "B"):
        stack = patient.stack().having(PatientID=name, SeriesInstanceUID=f"1.2.{ord(name)}")
        patient.write(tmp_path / "all" / name, stack)
    sources = find_studies([tmp_path])
    assert [len(read_study(source).series) for source in sources] == [1, 1]
    assert len({source.key for source in sources}) == 2


def test_files_of_many_patients_in_one_heap_find_their_studies(tmp_path, patient):
    (tmp_path / "heap").mkdir()
    slices = [
        path
        for number in range(4)
        for path in patient.write(
            tmp_path / str(number), patient.stack().having(StudyInstanceUID=f"1.{number}", PatientID=f"P{number}")
        )
    ]
    random.Random(0).shuffle(slices)
    for number, path in enumerate(slices):
        path.rename(tmp_path / "heap" / f"{number:08X}")
    studies = [read_study(source) for source in find_studies([tmp_path / "heap"])]
    assert len(studies) == 4
    assert all(len(study.series) == 1 and patient.shows_patient(study.series[0]) for study in studies)


def test_series_without_a_uid_in_one_folder_are_told_apart_by_number(tmp_path, patient):
    for number, echo in ((1, 12.0), (2, 100.0)):
        tags = {"SeriesNumber": number, "EchoTime": echo, "RepetitionTime": 600.0 if number == 1 else 3500.0}
        patient.write(tmp_path, patient.stack().having(SeriesInstanceUID=None, **tags))
    views = [series.view for series in read_one(tmp_path).series]
    assert views == [View.SAGITTAL_T1, View.SAGITTAL_T2]


def test_two_slabs_that_lie_through_each_other_are_told_apart(tmp_path, patient):
    """Interleaved: one series, two stacks shifted by half a slice distance, with acquisition numbers of their own."""
    for number in (1, 2):
        shifted = patient.stack(origin_mm=(-12.0 + 0.8 * number, -30.0, 15.0))
        patient.write(tmp_path / str(number), shifted.having(AcquisitionNumber=number))
    series = read_one(tmp_path).series
    assert [each.voxels_SRC.shape[0] for each in series] == [7, 7]
    assert all(map(patient.shows_patient, series))


def test_a_few_slices_in_several_planes_are_a_localiser(tmp_path, patient):
    patient.write(tmp_path / "sag", patient.stack(shape=(3, 24, 20)).having(SeriesDescription="T2"))
    patient.write(tmp_path / "ax", patient.stack(*AXIAL, shape=(3, 24, 20)).having(SeriesDescription="T2"))
    series = read_one(tmp_path).series
    assert len(series) == 2 and all(each.view is None and "localiser" in each.reason for each in series)


def test_tilted_axial_stacks_are_no_localiser(tmp_path, patient):
    for number in range(3):
        stack = patient.stack(*AXIAL, shape=(4, 24, 20), origin_mm=(-8.0, -5.0, 30.0 * number))
        patient.write(tmp_path / str(number), stack)
    assert {each.view for each in read_one(tmp_path).series} == {View.AXIAL_T2}


def test_pipes_and_dangling_links_hold_nothing_up(tmp_path, patient):
    patient.write(tmp_path, patient.stack())
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert read_one(tmp_path).notes == ()
    (tmp_path / "IM1").symlink_to(tmp_path / "nowhere")
    assert [note.code for note in read_one(tmp_path).notes] == ["not_dicom"]


def test_files_that_end_in_a_number_need_no_preamble(tmp_path, patient):
    for number, path in enumerate(patient.write(tmp_path, patient.stack())):
        path.write_bytes(path.read_bytes()[132:])
        path.rename(tmp_path / f"slice.{number:03d}")
    assert patient.shows_patient(read_one(tmp_path).series[0])


def test_the_view_a_user_names_outweighs_all_else(tmp_path, patient):
    patient.write(tmp_path / "a", patient.stack().having(SeriesNumber=4, SeriesDescription="PD sag", EchoTime=20.0))
    (source,) = find_studies([tmp_path])
    assert read_study(source).series[0].view is None
    for name in ("series-4", "4", "pd*"):
        (series,) = read_study(with_views(source, [parse_wanted(f"sagittal_t2={name}")])).series
        assert (series.view, series.basis) == (View.SAGITTAL_T2, Basis.USER) and "as asked for" in series.reason


def test_a_view_of_another_plane_is_refused_with_its_reason(tmp_path, patient):
    patient.write(tmp_path, patient.stack())
    (source,) = find_studies([tmp_path])
    (series,) = read_study(with_views(source, [parse_wanted("axial_t2=series-1")])).series
    assert series.view is None and "cannot be axial_t2" in series.reason


def test_a_wanted_name_that_no_series_has_is_said(tmp_path, patient):
    patient.write(tmp_path, patient.stack())
    (source,) = find_studies([tmp_path])
    study = read_study(with_views(source, [parse_wanted("sagittal_t1=series-9")]))
    assert sentence(study.notes) == (
        "--series sagittal_t1=series-9 names no series of this study; spinenet inspect lists them"
    )
    with pytest.raises(ReadError, match="expected VIEW=NAME"):
        parse_wanted("t2=series-1")


@pytest.mark.parametrize(
    ("tags", "age"),
    [
        ({"PatientAge": "014Y"}, 14),
        ({"PatientAge": "030M"}, 2.5),
        ({"PatientBirthDate": "20100601", "StudyDate": "20260531"}, 15),
        ({"PatientBirthDate": "20100601", "StudyDate": "20260601"}, 16),
        ({"PatientBirthDate": "1970"}, None),
        ({}, None),
    ],
)
def test_age_comes_from_the_header_where_it_says_one(tmp_path, patient, tags, age):
    patient.write(tmp_path, patient.stack().having(**tags))
    assert read_one(tmp_path).age_years == age


def test_reformatted_series_are_known_as_such(tmp_path, patient):
    patient.write(tmp_path, patient.stack().having(ImageType=["DERIVED", "SECONDARY", "MPR"]))
    assert not read_one(tmp_path).series[0].original


def test_files_of_one_uid_and_other_places_are_all_kept(tmp_path, patient):
    uid = generate_uid()
    patient.write(tmp_path, patient.stack().having(SOPInstanceUID=uid))
    assert read_one(tmp_path).series[0].voxels_SRC.shape[0] == 7


def test_an_image_larger_than_a_patient_is_refused_at_once(tmp_path, patient):
    patient.write(tmp_path, patient.stack(spacing_mm=(4.0, 60.0, 60.0)))
    with pytest.raises(ReadError, match="1440 mm is larger than a patient"):
        read_one(tmp_path)
