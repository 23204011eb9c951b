"""Images are one study where nothing says otherwise of patient and examination: persons are never merged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spinenet.errors import ReadError
from spinenet.readers import find_studies, read_study


def written(patient: Any, root: Path, folder: str, number: int = 1, **tags: Any) -> None:
    stack = patient.stack().having(SeriesNumber=number, SeriesInstanceUID=f"1.2.3.{number}", **tags)
    patient.write(root / folder, stack)


NOBODY = {"PatientID": "", "PatientName": "", "FrameOfReferenceUID": "1.9.1"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"PatientID": "", "PatientName": "Anon 3"}, {"PatientID": "", "PatientName": "Anon 4"}),
        ({"PatientID": "1"}, {"PatientID": "2"}),
        ({"PatientID": "120"}, {"PatientID": "12"}),
        ({"PatientID": "ANON", "PatientBirthDate": "19700101"}, {"PatientID": "ANON", "PatientBirthDate": "19500505"}),
        ({"PatientName": "Doe^Jane", "PatientSex": "F"}, {"PatientName": "Roe^John", "PatientSex": "M"}),
        ({"StudyDate": "20200101"}, {"StudyDate": "20240303"}),
        ({**NOBODY, "PatientAge": "041Y"}, {**NOBODY, "PatientAge": "067Y"}),
        ({**NOBODY, "StudyTime": "101500"}, {**NOBODY, "StudyTime": "163000"}),
        ({**NOBODY, "PatientWeight": "70"}, {**NOBODY, "PatientWeight": "92.5"}),
    ],
)
def test_two_persons_or_examinations_under_one_study_uid_are_two_studies_with_a_note(
    patient: Any, tmp_path: Path, one: dict[str, str], other: dict[str, str]
) -> None:
    written(patient, tmp_path, "a", 1, **one)
    written(patient, tmp_path, "b", 2, **other)
    sources = find_studies([tmp_path])
    assert len(sources) == len({source.key for source in sources}) == 2
    assert all([note.code for note in source.notes] == ["several_patients"] for source in sources)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"PatientName": "Doe^Jane"}, {"PatientName": "DOE JANE"}),
        ({"PatientName": "Müller^Jörg"}, {"PatientName": "MULLER^JORG"}),
        ({"PatientName": "Müller^Jörg"}, {"PatientName": "MUELLER^JOERG"}),
        ({"PatientID": "0000123"}, {"PatientID": "123"}),
        ({"PatientName": "Yamada^Taro"}, {"PatientName": "Yamada^Taro=山田^太郎"}),
        ({"PatientBirthDate": "19700101"}, {"PatientBirthDate": ""}),
        ({"PatientName": "Doe^Jane"}, {"PatientName": "ANONYMOUS"}),
        ({**NOBODY, "PatientWeight": "70"}, {**NOBODY, "PatientWeight": "70.0"}),
        ({**NOBODY, "StudyTime": "101500"}, {**NOBODY, "StudyTime": "101500.000"}),
    ],
)
def test_one_person_in_two_spellings_is_one_study(
    patient: Any, tmp_path: Path, one: dict[str, str], other: dict[str, str]
) -> None:
    written(patient, tmp_path, "a", 1, **one)
    written(patient, tmp_path, "b", 2, **other)
    (source,) = find_studies([tmp_path])
    assert not source.notes and len(read_study(source).series) == 2


def test_folders_that_share_no_frame_of_reference_are_apart_where_headers_name_nobody(
    patient: Any, tmp_path: Path
) -> None:
    for person in ("3", "4"):
        for number in (1, 2):
            tags = {**NOBODY, "FrameOfReferenceUID": f"1.9.{person}"}
            written(patient, tmp_path, f"patient{person}/s{number}", 10 * int(person) + number, **tags)
    assert len(find_studies([tmp_path])) == 2


ALIKE = {"PatientID": "ANON", "PatientName": "ANON", "FrameOfReferenceUID": "1.9.1"}


def as_patient(place_mm: float) -> Callable[[Any, int], None]:
    """An anonymiser that numbers images: UIDs are those of every other patient's."""

    def change(data: Any, index: int) -> None:
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"{data.SeriesInstanceUID}.{index}"
        data.ImagePositionPatient = [float(mm) + place_mm for mm in data.ImagePositionPatient]

    return change


@pytest.mark.parametrize("folders", [("one", "two"), (".", "two")])
def test_patients_whose_images_bear_the_same_uids_are_told_apart_by_their_folders(
    patient: Any, tmp_path: Path, folders: tuple[str, str]
) -> None:
    for folder, place_mm in zip(folders, (0.0, 7.0), strict=True):
        for number in (1, 2):
            stack = patient.stack().having(SeriesNumber=number, SeriesInstanceUID=f"1.2.3.{number}", **ALIKE)
            patient.write(tmp_path / folder / f"s{number}", stack, as_patient(place_mm))
    sources = find_studies([tmp_path])
    assert len(sources) == len({source.key for source in sources}) == 2
    assert all(not source.problem and len(read_study(source).series) == 2 for source in sources)


def test_patients_whose_images_bear_the_same_uids_in_one_folder_are_refused(patient: Any, tmp_path: Path) -> None:
    for folder, place_mm in (("a", 0.0), ("b", 7.0)):
        patient.write(tmp_path / folder, patient.stack().having(**ALIKE), as_patient(place_mm))
    (tmp_path / "all").mkdir()
    for folder in ("a", "b"):
        for file in (tmp_path / folder).iterdir():
            file.rename(tmp_path / "all" / f"{folder}{file.name}")
    (source,) = find_studies([tmp_path])
    assert "bear the same UIDs" in source.problem and "folder of its own" in source.problem


def test_copies_and_a_series_with_one_uid_for_all_its_images_are_one_study(patient: Any, tmp_path: Path) -> None:
    for folder, place_mm in (("a", 0.0), ("b", 0.04)):  # rounded where it was copied
        patient.write(tmp_path / folder, patient.stack().having(**ALIKE), as_patient(place_mm))

    def one_uid(data: Any, index: int) -> None:
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.77"

    patient.write(tmp_path / "c", patient.stack().having(SeriesInstanceUID="1.2.7", SeriesNumber=7, **ALIKE), one_uid)
    (source,) = find_studies([tmp_path])
    assert [len(one.voxels_SRC) for one in read_study(source).series] == [7, 7]


def test_series_with_a_frame_of_reference_each_are_one_study_where_headers_name_nobody(
    patient: Any, tmp_path: Path
) -> None:
    for number in (1, 2, 3):  # as in public collections, where every series lies in a folder of its own
        written(patient, tmp_path, f"s{number}", number, **{**NOBODY, "FrameOfReferenceUID": f"1.9.{number}"})
    assert len(find_studies([tmp_path])) == 1


def test_images_with_a_study_uid_each_are_refused_together(patient: Any, tmp_path: Path) -> None:
    patient.write(tmp_path, patient.stack(), lambda data, index: setattr(data, "StudyInstanceUID", f"1.2.{index + 1}"))
    (source,) = find_studies([tmp_path])
    assert "7 images of one patient" in source.problem and "UID" in source.problem


def test_single_images_of_several_patients_are_studies_of_their_own(patient: Any, tmp_path: Path) -> None:
    def one_each(data: Any, index: int) -> None:
        data.StudyInstanceUID, data.PatientID, data.PatientName = f"1.2.{index + 1}", f"{index}", ""

    patient.write(tmp_path, patient.stack(), one_each)
    assert [source.problem for source in find_studies([tmp_path])] == [""] * 7


def test_an_identity_in_a_key_takes_more_than_a_guess() -> None:
    from spinenet.readers.dicom.assembly import study_key

    assert len(study_key("1.2.3")) == len("study-") + 20
    assert study_key("1.2.3", b"a") != study_key("1.2.3", b"b")


@pytest.mark.parametrize(
    ("tags", "age"),
    [
        ({"PatientAge": "14"}, 14),
        ({"PatientAge": "014Y"}, 14),
        ({"PatientAge": "14 y"}, 14),
        ({"PatientAge": "Y014"}, 14),
        ({"PatientAge": "14.5 Y"}, 14),
        ({"PatientAge": "14 ans"}, 14),
        ({"PatientAge": "14 Jahre"}, 14),
        ({"PatientAge": "150 mois"}, 12.5),
        ({"PatientAge": "6M"}, 0.5),
        ({"PatientAge": "041Y", "PatientBirthDate": "20100101", "StudyDate": "20200101"}, 10),
        ({"PatientBirthDate": "2008", "StudyDate": "20200601"}, 12),
        ({"PatientAge": "999Y"}, None),
        ({"PatientAge": "adult"}, None),
    ],
)
def test_a_child_is_known_by_any_spelling_of_age(
    patient: Any, tmp_path: Path, tags: dict[str, str], age: float | None
) -> None:
    written(patient, tmp_path, "a", 1, **tags)
    assert read_study(find_studies([tmp_path])[0]).age_years == age


@pytest.mark.parametrize(
    ("told", "is_animal"),
    [
        ({"PatientSpeciesDescription": "Canis lupus familiaris"}, True),
        ({"PatientBreedDescription": "Beagle"}, True),
        ({"PatientSpeciesDescription": "Homo sapiens"}, False),
        ({"PatientSpeciesDescription": "Human"}, False),
    ],
)
def test_an_animal_is_no_patient(patient: Any, tmp_path: Path, told: dict[str, str], is_animal: bool) -> None:
    written(patient, tmp_path, "a", **told)
    (source,) = find_studies([tmp_path])
    if is_animal:
        with pytest.raises(ReadError, match="of an animal"):
            read_study(source)
    else:
        assert read_study(source).series


def test_images_under_one_uid_that_differ_are_said_to(patient: Any, tmp_path: Path) -> None:
    for name, brighter in (("a", 0), ("b", 0), ("c", 50)):

        def edit(data: Any, index: int, brighter: int = brighter) -> None:
            data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{index}"
            patient.set_pixels(data, data.pixel_array + brighter)

        patient.write(tmp_path / name, patient.stack(), edit)
    for folders, says in ((("a", "b"), False), (("a", "c"), True)):
        (source,) = find_studies([tmp_path / folder for folder in folders])
        (text,) = [note.text for note in source.notes if note.code == "repeated"]
        assert ("not the same each time" in text) == says


def test_a_study_that_no_object_can_refer_to_says_so(patient: Any, tmp_path: Path) -> None:
    written(patient, tmp_path, "a", 1, SOPClassUID=None)
    notes = read_study(find_studies([tmp_path])[0]).notes
    assert [note.text for note in notes if note.code == "not_referred"][0].startswith("no SOP Class UID")
