"""Series whose UIDs were scrambled are put together by geometry; a stack without its middle has no midline."""

from pathlib import Path
from typing import Any

from spinenet.readers import find_studies, read_study


def read(folder: Path) -> Any:
    (source,) = find_studies([folder])
    return read_study(source)


def test_images_with_a_series_uid_each_are_one_stack(patient: Any, tmp_path: Path) -> None:
    patient.write(tmp_path, patient.stack(), lambda data, index: setattr(data, "SeriesInstanceUID", f"1.2.{9 - index}"))
    study = read(tmp_path)
    (series,) = study.series
    assert len(series.voxels_SRC) == 7 and patient.shows_patient(series) and series.images is None
    assert [note.code for note in study.notes] == ["joined"]


def test_halves_and_every_other_slice_under_two_series_uids_are_one_stack(patient: Any, tmp_path: Path) -> None:
    for name, belongs in (("halves", lambda index: index < 3), ("turns", lambda index: index % 2)):

        def renamed(data: Any, index: int, belongs: Any = belongs) -> None:
            data.SeriesInstanceUID = "1.2.5" if belongs(index) else "1.2.6"
            data.SeriesNumber = 5 if belongs(index) else 6

        patient.write(tmp_path / name, patient.stack(), renamed)
        (series,) = read(tmp_path / name).series
        assert len(series.voxels_SRC) == 7 and patient.shows_patient(series)


def test_a_repeated_acquisition_and_another_echo_stay_series_of_their_own(patient: Any, tmp_path: Path) -> None:
    for number, changes in enumerate(({}, {}, {"EchoTime": 20.0}), start=1):
        stack = patient.stack().having(SeriesNumber=number, SeriesInstanceUID=f"1.2.{number}", **changes)
        patient.write(tmp_path, stack)
    assert [len(series.voxels_SRC) for series in read(tmp_path).series] == [7, 7, 7]


def test_stations_of_a_larger_field_are_not_one_stack(patient: Any, tmp_path: Path) -> None:
    for number, top_mm in ((1, 15.0), (2, 215.0)):
        stack = patient.stack(origin_mm=(-12.0, -30.0, top_mm))
        patient.write(tmp_path, stack.having(SeriesNumber=number, SeriesInstanceUID=f"1.2.{number}"))
    assert len(read(tmp_path).series) == 2


def without(patient: Any, folder: Path, missing: range, row: Any = (0, 1, 0), column: Any = (0, 0, -1)) -> Any:
    paths = patient.write(folder, patient.stack(row, column, shape=(14, 24, 20)))
    for index in missing:
        paths[index].unlink()
    return read(folder).series


def test_sagittal_slices_without_the_middle_of_the_stack_are_no_view(patient: Any, tmp_path: Path) -> None:
    series = without(patient, tmp_path, range(4, 10))
    assert [one.view for one in series] == [None, None]
    assert all("the middle of the spine is missing" in one.reason for one in series)


def test_of_a_stack_with_a_gap_beside_the_middle_the_part_with_the_middle_is_used(patient: Any, tmp_path: Path) -> None:
    series = without(patient, tmp_path, range(9, 12))
    assert [(len(one.voxels_SRC), one.view is None) for one in series] == [(9, False), (2, True)]


def test_axial_slabs_with_gaps_between_discs_stay_in_use(patient: Any, tmp_path: Path) -> None:
    series = without(patient, tmp_path, range(4, 10), (1, 0, 0), (0, 1, 0))
    assert all(one.view is not None for one in series)
