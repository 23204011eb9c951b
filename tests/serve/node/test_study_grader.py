"""What a node sends of a study: a grade, or why there is none, and which earlier result it takes the place of."""

import csv
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from spinenet.errors import SpinenetError
from spinenet.model.bundle import load_bundle
from spinenet.report.options import ReportOptions
from spinenet.serve.node.incoming import BROKEN_OFF
from spinenet.serve.node.study_grader import StudyGrader, origin_in
from spinephantom import make_study
from spinephantom.patient.pathology import Mode
from spinephantom.write.dicom_files import write_dicom


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that the bundle in the package grades, flat as a node keeps it."""
    root = tmp_path_factory.mktemp("images")
    write_dicom(make_study(2, mode=Mode.SCREENING, axial=False, size=256, slices=3, sub_slices=1), root / "tree")
    (root / "study").mkdir()
    for number, path in enumerate(sorted((root / "tree").rglob("*.dcm"))):
        data = dcmread(path)
        data.AccessionNumber, data.StudyDate, data.PatientName = "A17", "20260102", "Doe^Jane"
        data.IssuerOfPatientID, data.ReferringPhysicianName = "WARD", "Roe^Jim"
        data.save_as(root / "study" / f"{number}.dcm")
    return root / "study"


@pytest.fixture(scope="module")
def grader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudyGrader]:
    grader = StudyGrader(tmp_path_factory.mktemp("results"), load_bundle().path, ReportOptions(identify=True))
    yield grader
    grader.end()


def test_a_study_is_graded_then_graded_anew_then_refused_and_each_names_what_it_replaces(
    images: Path, grader: StudyGrader, tmp_path: Path
) -> None:
    study = Path(shutil.copytree(images, tmp_path / "study"))
    first = grader.grade(study, ())
    assert [Path(one.path).name for one in first] == [
        f"{one.instance_uid}.{kind}.dcm" for one, kind in zip(first, ("sr", "overview"), strict=True)
    ]
    report: Any = dcmread(first[0].path)
    assert (report.AccessionNumber, report.StudyDate, report.PatientName) == ("A17", "20260102", "Doe^Jane")
    assert "PredecessorDocumentsSequence" not in report
    assert (report.IssuerOfPatientID, report.ReferringPhysicianName) == ("WARD", "Roe^Jim")

    second = grader.grade(study, first)  # of the same images, so that all grades are the same
    report = dcmread(second[0].path)
    (named,) = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert named.ReferencedSOPInstanceUID == first[0].instance_uid
    uids = {one.instance_uid for one in (*first, *second)}
    assert len(uids) == 4 and report.SOPInstanceUID == second[0].instance_uid
    assert report.file_meta.MediaStorageSOPInstanceUID == report.SOPInstanceUID
    for one in first:  # what still waits to be sent is as it was
        assert dcmread(one.path).SOPInstanceUID == one.instance_uid
    if shutil.which("dciodvfy"):
        told = subprocess.run(["dciodvfy", "-new", second[0].path], capture_output=True, text=True).stderr
        assert [line for line in told.splitlines() if line.startswith("Error")] == []

    pictures: list[Any] = [dcmread(made[1].path) for made in (first, second)]
    assert [one.InstanceNumber for one in pictures] == [1, 2]
    assert pictures[1].ImageComments == "takes the place of 1 earlier of this study" and report.InstanceNumber == 2
    assert report.CompletionFlag == "COMPLETE"

    (study / BROKEN_OFF).touch()
    report = dcmread(grader.grade(study, ())[0].path)
    assert report.CompletionFlag == "PARTIAL" and "missing" in report.CompletionFlagDescription
    (study / BROKEN_OFF).unlink()

    for path in study.iterdir():
        data = dcmread(path)
        data.BodyPartExamined, data.ImageOrientationPatient = "KNEE", [1, 0, 0, 0, 1, 0]
        data.save_as(path)
    (third,) = grader.grade(study, second)
    report = dcmread(third.path)
    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.11" and report.PatientName == "Doe^Jane"
    (named,) = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert named.ReferencedSOPInstanceUID == second[0].instance_uid
    assert "takes its place" in report.ContentSequence[5].ContentSequence[0].TextValue


def test_what_is_said_in_place_of_a_grade_is_filed_with_the_study(
    images: Path, grader: StudyGrader, tmp_path: Path
) -> None:
    (said,) = grader.tell(images, "spinenet: not graded", "Not graded: set aside")
    report: Any = dcmread(said.path)
    assert (report.StudyInstanceUID, report.PatientName, report.AccessionNumber) == (
        dcmread(next(images.iterdir())).StudyInstanceUID,
        "Doe^Jane",
        "A17",
    )
    assert report.ContentSequence[5].ContentSequence[0].TextValue == "Not graded: set aside"


def test_nothing_is_said_of_images_of_two_patients(images: Path, grader: StudyGrader, tmp_path: Path) -> None:
    study = Path(shutil.copytree(images, tmp_path / "study"))
    path = next(study.iterdir())
    data = dcmread(path)
    data.PatientID = "another"
    data.save_as(path)
    assert origin_in(study) is None and grader.tell(study, "title", "words") == []


def test_of_two_patients_under_one_study_each_report_replaces_that_of_its_patient_alone(
    images: Path, grader: StudyGrader, tmp_path: Path
) -> None:
    study = Path(shutil.copytree(images, tmp_path / "two"))
    before = grader.grade(study, ())
    for path in sorted(images.iterdir()):
        data = dcmread(path)
        data.PatientID, data.PatientName = "another", "Poe^Ann"
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"{data.SOPInstanceUID}.1"
        data.save_as(study / f"other-{path.name}")
    made = grader.grade(study, before)
    assert len({one.series_uid for one in made}) == len({one.instance_uid for one in made}) == 4
    again: list[Any] = [dcmread(one.path) for one in grader.grade(study, [*made, *before])]
    reports = {str(one.PatientName): one for one in again if one.Modality == "SR"}
    (second,) = (one for one in made if one.patient != before[0].patient and one.path.endswith(".sr.dcm"))
    assert _replaced(reports["Poe^Ann"]) == {second.instance_uid}
    assert before[0].instance_uid in _replaced(reports["Doe^Jane"])
    assert second.instance_uid not in _replaced(reports["Doe^Jane"])

    for path in study.glob("[0-9]*.dcm"):
        path.unlink()
    grader.tell(study, "spinenet: not graded", "Not graded: set aside")
    grader.grade(study, ())
    results = grader.results / study.name
    with (results / "studies.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert all(path.name.startswith(row["study"]) for path in (results / "reports").iterdir())
    assert {one["study"] for one in csv.DictReader((results / "predictions.csv").open())} == {row["study"]}
    assert [one["study"] for one in json.loads((results / "predictions.json").read_text())["studies"]] == [row["study"]]


def _replaced(report: Any) -> set[str]:
    return {
        str(one.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for one in report.PredecessorDocumentsSequence
    }


def test_a_folder_without_an_image_that_can_be_read_is_no_study(grader: StudyGrader, tmp_path: Path) -> None:
    (tmp_path / "1.dcm").write_bytes(b"x" * 300)
    with pytest.raises(SpinenetError):
        grader.grade(tmp_path, ())
