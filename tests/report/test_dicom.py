"""The DICOM objects of a study: valid for others' tools, readable back to the same grades, and of nobody by default."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_writers import WRITERS
from pydicom import dcmread
from pydicom.uid import EnhancedMRImageStorage, MRImageStorage

from spinenet.errors import OutputError
from spinenet.labels import LEVELS, RESEARCH_ONLY, TARGET, TARGET_INDEX, TARGETS, Code, Unit
from spinenet.report.certainty import reading_of
from spinenet.report.dicom import codes as dicom_codes
from spinenet.report.dicom.capture import write_capture
from spinenet.report.dicom.content_tree import concept, encoded
from spinenet.report.dicom.key_slices import write_key_slices
from spinenet.report.dicom.objects import ObjectSource, made_from, why_no_objects
from spinenet.report.dicom.sr_text import read_report
from spinenet.report.dicom.structured_report import walk, write_report
from spinenet.report.dicom.text_report import write_refusal
from spinenet.report.findings import in_words, is_found
from spinenet.report.options import Output, ReportOptions
from spinenet.report.study_files import write_study_files
from spinenet.report.text.narrative import narrative
from spinenet.study import Measurement, Note, Scope, Severity, StudyResult

IODS = ("Comprehensive3DSR", "SCImage", "Segmentation", "KeyObjectSelectionDocument", "EncapsulatedPDF")
"""What dciodvfy calls them."""


def made(result: StudyResult, model: dict[str, Any], *, identify: bool = False) -> ObjectSource:
    what = made_from(result, model, identify=identify)
    assert what is not None
    return what


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="no dciodvfy: apt-get install dicom3tools")
@pytest.mark.parametrize("identify", [False, True])
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_objects_are_valid_to_dciodvfy(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path, write: Any, identify: bool
) -> None:
    write(made(graded, model, identify=identify), tmp_path / "object.dcm")
    told = subprocess.run(["dciodvfy", "-new", tmp_path / "object.dcm"], capture_output=True, text=True).stderr
    assert [line for line in told.splitlines() if line.startswith("Error")] == []
    assert any(name in told for name in IODS)


def test_the_structured_report_reads_back_to_the_same_grades(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    write_report(made(replace(graded, experimental=True), model), tmp_path / "report.dcm")
    report = read_report(tmp_path / "report.dcm")
    assert len(report.grades) == len(graded.predictions)
    for read, given in zip(report.grades, graded.predictions, strict=True):
        for name in ("level", "target", "confident", "evidence", "grade_set"):
            assert getattr(read, name) == getattr(given, name)
        reading = reading_of(given)
        assert (read.certainty, read.grades) == (reading.certainty, reading.grades)
        assert read.probability == pytest.approx(reading.share, abs=1e-6)
    assert report.measurements == {level.name: level.measurements for level in graded.levels}
    assert set(report.flags) == {"low-signal", "numbering"}


def test_what_no_patient_has_verified_is_no_finding_of_a_report_unless_asked_for(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    write_report(made(graded, model), tmp_path / "report.dcm")
    report = read_report(tmp_path / "report.dcm")
    assert {one.evidence for one in report.grades} == {"real"}
    assert len(report.grades) == sum(not one.experimental for one in graded.predictions)


def test_a_number_of_the_report_says_how_far_it_may_be_off(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    level = graded.levels[0].name
    sizes = (Measurement(level, "slip_mm", 4.5, "mm", 1.7, None, "t2"), Measurement(level, "disc_height_mm", 8.0, "mm"))
    write_report(made(replace(graded, measurements=sizes), model), tmp_path / "report.dcm")
    numbers = [one for one in walk(dcmread(tmp_path / "report.dcm").ContentSequence) if one.ValueType == "NUM"]
    told = {float(one.MeasuredValueSequence[0].NumericValue): one.get("ContentSequence") for one in numbers}
    assert told[4.5][0].TextValue == "95 % error ± 1.7 mm"
    assert told[8.0][0].TextValue.startswith("by the locator alone")


def test_a_caution_stands_in_the_report_to_its_last_word(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    long = [f"{number}: {'words ' * 40}end" for number in (1, 2)]
    cautions = [Note("artefact", Scope.SERIES, "T2", message, Severity.FLAG) for message in long]
    write_report(made(replace(graded, flags=tuple(cautions)), model), tmp_path / "report.dcm")
    items = list(walk(dcmread(tmp_path / "report.dcm").ContentSequence))
    coded = [one for one in items if one.ValueType == "CODE"]
    told = [one for one in coded if one.ConceptCodeSequence[0].get("CodeValue") == "artefact"]
    assert [str(one.ContentSequence[0].TextValue) for one in told] == [f"T2: {message}" for message in long]
    assert {str(one.ConceptCodeSequence[0].CodeMeaning) for one in told} == {"Artefact"}


@pytest.mark.parametrize(
    "values",
    [
        {"CodeMeaning": "x" * 65},
        {"CodeMeaning": "two\\values"},
        {"CodeMeaning": "two\nlines"},
        {"CodeValue": "x" * 17},
        {"ValueType": "code"},
        {"UID": "1.2.x"},
        {"UID": "1." * 32 + "1"},
        {"NumericValue": "nan"},
        {"NumericValue": "0.12345678901234567"},
    ],
)
def test_what_an_attribute_cannot_hold_is_an_error_and_never_cut(values: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        encoded(**values)


def test_every_code_has_one_meaning_and_fits() -> None:
    codes = [one for one in vars(dicom_codes).values() if isinstance(one, Code)]
    codes += [step.code for target in TARGETS for step in target.steps]
    codes += [dicom_codes.finding_code(target) for target in TARGETS]
    meanings: dict[tuple[str, str], set[str]] = {}
    for code in codes:
        concept(code)
        meanings.setdefault(code[:2], set()).add(code.meaning)
    assert all(len(said) == 1 for said in meanings.values())


def test_studies_of_long_keys_are_not_one_patient(graded: StudyResult, model: dict[str, Any], tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_report(made(replace(graded, key="ward-" * 20 + name), model), tmp_path / name)
    first, second = (str(dcmread(tmp_path / name).PatientID) for name in ("a", "b"))
    assert first != second and len(first) <= 64


def test_another_implementation_reads_the_same_groups(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    highdicom = pytest.importorskip("highdicom")
    graded = replace(graded, experimental=True)
    write_report(made(graded, model), tmp_path / "report.dcm")
    content = highdicom.sr.srread(tmp_path / "report.dcm").content
    groups = content.get_image_measurement_groups(tracking_uid=None)
    assert len(groups) == 1 + len(graded.predictions)
    group, prediction = groups[-1], graded.predictions[-1]
    assert prediction.target == "subarticular_stenosis_right"
    assert group.finding_sites[0].value.meaning == f"{prediction.level} disc"
    assert group.finding_sites[0].laterality.meaning == "Right"
    assert group.get_measurements()[0].unit.scheme_designator == "UCUM"
    levels = content.get_planar_roi_measurement_groups(tracking_uid=None)
    assert [one.finding_sites[0].value.meaning for one in levels] == [f"{one.name} disc" for one in graded.levels]
    heights = levels[0].get_measurements()
    assert [(one.value, one.unit.value) for one in heights] == [(8.0, "mm"), (30.0, "mm")]
    for one, level in zip(levels, graded.levels, strict=True):
        assert one.roi.graphic_type.value == "POINT" and one.roi.frame_of_reference_uid == "1.2.9"
        assert np.allclose(one.roi.value, level.center_mm)


def test_a_level_lies_where_the_study_has_it_if_that_place_can_be_named(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    write_report(made(graded, model), tmp_path / "report.dcm")
    read = read_report(tmp_path / "report.dcm").centers_mm
    assert read == {level.name: tuple(level.center_mm) for level in graded.levels}
    located = tuple(replace(one, series=replace(one.series, frame_of_reference="")) for one in graded.located)
    write_report(made(replace(graded, located=located), model), tmp_path / "report.dcm")
    report = read_report(tmp_path / "report.dcm")
    assert report.centers_mm == {} and len(report.measurements) == 5


def test_what_is_absent_or_doubtful_is_called_no_finding(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    write_report(made(replace(graded, experimental=True), model), tmp_path / "report.dcm")
    given = {(one.level, one.target): one for one in graded.predictions}
    called = {(one.level, one.target) for one in read_report(tmp_path / "report.dcm").grades if one.found}
    assert called and called != set(given)
    for key, one in given.items():
        present = TARGET[one.target].index_of(one.grade) >= TARGET[one.target].finding_from
        assert (key in called) == (present and one.confident)


def test_a_grade_refers_to_the_images_that_decided_it(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    report_path = tmp_path / "report.dcm"
    crops = {}
    for level, several in graded.crops.items():  # all attention on the third slice of T1
        attention = [(1.0,) * len(TARGETS) if index == 7 else (0.0,) * len(TARGETS) for index in range(10)]
        crops[level] = tuple(replace(crop, attention_T=row) for crop, row in zip(several, attention, strict=True))
    write_report(made(replace(graded, crops=crops), model), report_path)
    group = dcmread(report_path).ContentSequence[-2].ContentSequence[-1]
    images = [one.ReferencedSOPSequence[0] for one in group.ContentSequence if one.ValueType == "IMAGE"]
    (image,) = images  # no other slice had a part in it
    assert image.ReferencedSOPInstanceUID == "1.2.3.2.3" and "ReferencedFrameNumber" not in image


def test_key_slices_are_those_that_decided_what_was_found(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    assert write_key_slices(made(graded, model), tmp_path / "key.dcm")
    selection = dcmread(tmp_path / "key.dcm")
    images = [one.ReferencedSOPSequence[0] for one in selection.ContentSequence if one.ValueType == "IMAGE"]
    found = [one for one in graded.predictions if is_found(one)]
    deciding = {
        ("1.2.3.2" if crop.series_name == "t1" else "1.2.3.1") + f".{crop.slice_index + 1}"
        for one in found
        for crop in sorted(graded.crops[one.level], key=lambda crop: -crop.attention_T[TARGET_INDEX[one.target]])[:3]
    }
    assert found and {str(one.ReferencedSOPInstanceUID) for one in images} == deciding
    (evidence,) = selection.CurrentRequestedProcedureEvidenceSequence
    listed = [one for series in evidence.ReferencedSeriesSequence for one in series.ReferencedSOPSequence]
    assert {str(one.ReferencedSOPInstanceUID) for one in listed} == deciding
    texts = [str(one.TextValue) for one in selection.ContentSequence if one.ValueType == "TEXT"]
    (told,) = [text for text in texts if text.startswith("Slices")]
    assert RESEARCH_ONLY in told and all(f"{one.level} {in_words(one)}" in told for one in found)


def test_another_implementation_reads_the_key_slices(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    highdicom = pytest.importorskip("highdicom")
    write_key_slices(made(graded, model), tmp_path / "key.dcm")
    selection = highdicom.ko.KeyObjectSelectionDocument.from_dataset(dcmread(tmp_path / "key.dcm"))
    references = selection.content.get_references()
    assert references and {one.referenced_sop_class_uid for one in references} == {MRImageStorage}
    for one in references:
        study, series, instance = selection.resolve_reference(one.referenced_sop_instance_uid)
        assert study == "1.2.3" and instance.startswith(f"{series}.")


def test_without_a_finding_that_stands_there_are_no_key_slices(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    doubted = tuple(replace(one, confident=False) for one in graded.predictions)
    assert not write_key_slices(made(replace(graded, predictions=doubted), model), tmp_path / "key.dcm")
    assert not (tmp_path / "key.dcm").exists()


def test_every_image_referred_to_is_listed_as_evidence_of_its_study(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    t2, t1 = graded.located  # two stacks of one series, as angled axial slices are
    images = replace(t1.series.images, series_uid=t2.series.images.series_uid)
    located = (t2, replace(t1, series=replace(t1.series, images=images)))
    write_report(made(replace(graded, located=located), model), tmp_path / "report.dcm")
    (evidence,) = dcmread(tmp_path / "report.dcm").CurrentRequestedProcedureEvidenceSequence
    listed = [
        one.ReferencedSOPInstanceUID for a in evidence.ReferencedSeriesSequence for one in a.ReferencedSOPSequence
    ]
    assert evidence.StudyInstanceUID == "1.2.3" and len(evidence.ReferencedSeriesSequence) == 1
    assert set(listed) == read_report(tmp_path / "report.dcm").referenced
    assert len(set(listed)) == len(listed)


def test_a_frame_of_a_multi_frame_image_is_referred_to_by_its_number(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    located = []
    for one in graded.located:
        instances = tuple(("1.2.3.4", frame) for frame in (5, 4, 3, 2, 1))
        images = replace(one.series.images, sop_class_uid=EnhancedMRImageStorage, instances=instances)
        located.append(replace(one, series=replace(one.series, images=images)))
    write_report(made(replace(graded, located=tuple(located)), model), tmp_path / "report.dcm")
    groups = dcmread(tmp_path / "report.dcm").ContentSequence[-2].ContentSequence
    image = next(one for one in groups[1].ContentSequence if one.ValueType == "IMAGE").ReferencedSOPSequence[0]
    assert (image.ReferencedSOPInstanceUID, image.ReferencedFrameNumber) == ("1.2.3.4", 3)


def test_objects_that_are_no_longer_asked_for_are_removed(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    def made_for(*outputs: Output) -> set[str]:
        write_study_files(graded, tmp_path, model=model, options=ReportOptions(outputs=outputs))
        return {path.name for path in tmp_path.glob("*.dcm")}

    assert made_for(*Output) == {f"study-1.{name}.dcm" for name in ("sr", "overview", "seg", "key", "pdf")}
    assert made_for(Output.OUTLINES) == {"study-1.seg.dcm"}
    assert made_for() == set()


def test_no_object_names_the_patient_unless_asked_for(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    for name, write in WRITERS.items():
        write(made(graded, model), tmp_path / name)
        written = dcmread(tmp_path / name, stop_before_pixels=True)
        assert "Doe" not in str(written) and "4711" not in str(written)
        assert written.PatientIdentityRemoved == "YES"


def test_identified_objects_belong_to_the_patient_and_study(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    write_report(made(graded, model, identify=True), tmp_path / "report")
    report = dcmread(tmp_path / "report")
    assert (report.PatientName, report.PatientID, report.StudyInstanceUID) == ("Doe^Jane", "ID4711", "1.2.3")
    assert "PatientIdentityRemoved" not in report


def test_the_same_result_gets_the_same_uids_and_another_one_others(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    changed = replace(graded, predictions=graded.predictions[:-1])
    more = replace(graded, experimental=True)
    fewer = replace(graded, located=tuple(replace(one, frames=one.frames[1:]) for one in graded.located))
    uids = []
    for name, result in (("a", graded), ("b", graded), ("c", changed), ("d", more), ("e", fewer)):
        write_report(made(result, model), tmp_path / name)
        uids.append(dcmread(tmp_path / name).SOPInstanceUID)
    assert uids[0] == uids[1] and len(set(uids)) == 4


@pytest.mark.parametrize("missing", ["origin", "study uid", "image uid", "images", "grades"])
def test_what_cannot_be_referred_to_gets_no_object(graded: StudyResult, model: dict[str, Any], missing: str) -> None:
    located = graded.located[0]
    images = located.series.images
    assert images is not None
    if missing == "images":
        images = None
    elif missing == "image uid":
        images = replace(images, instances=(("/some/file", 1), *images.instances[1:]))
    result = replace(graded, located=(replace(located, series=replace(located.series, images=images)),))
    if missing == "origin":
        result = replace(result, origin=None)
    elif missing == "study uid":
        result = replace(result, origin=replace(graded.origin, study_uid="/a/folder"))
    elif missing == "grades":
        result = replace(graded, status="failed")
    assert made_from(result, model, identify=False) is None and why_no_objects(result)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="no dciodvfy: apt-get install dicom3tools")
@pytest.mark.parametrize("identify", [False, True])
def test_a_study_that_was_not_graded_gets_a_valid_report_that_says_why(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path, identify: bool
) -> None:
    flag = Note("wrong_region", Scope.STUDY, "", "shows no lumbar spine", Severity.REFUSE)
    result = replace(graded, status="failed", flags=(flag,))
    assert write_refusal(result, model, tmp_path / "sr.dcm", identify=identify)
    told = subprocess.run(["dciodvfy", "-new", tmp_path / "sr.dcm"], capture_output=True, text=True).stderr
    assert [line for line in told.splitlines() if line.startswith("Error")] == [] and "BasicTextSR" in told
    data = dcmread(tmp_path / "sr.dcm")
    said = [one.TextValue for one in walk(data.ContentSequence) if one.ValueType == "TEXT"]
    assert any(line.startswith("Not graded: shows no lumbar spine") for line in said) and RESEARCH_ONLY in said
    assert graded.origin is not None and data.StudyInstanceUID == graded.origin.study_uid
    assert (data.PatientName == graded.origin.patient_name) == identify
    assert not write_refusal(replace(result, origin=None), model, tmp_path / "none.dcm", identify=identify)


def test_every_level_and_grade_has_a_code_of_its_own() -> None:
    assert set(dicom_codes.LEVEL_CODES) == set(LEVELS)
    assert len({code[0] for code in dicom_codes.LEVEL_CODES.values()}) == len(LEVELS)
    assert len(dicom_codes.TARGET_OF_CODE) == len(TARGET_INDEX)
    for target in TARGETS:
        values = [step.code.value for step in target.steps]
        assert [dicom_codes.grade_of_code(target, value) for value in values] == list(target.grades)


def test_codes_of_the_standard_are_as_pydicom_lists_them() -> None:
    from pydicom.sr.codedict import codes

    assert dicom_codes.LEVEL_CODES["L5/S1"][0] == codes.SCT.L5S1Disc.value
    assert dicom_codes.LEVEL_CODES["T12/L1"][0] == codes.SCT.T12L1Disc.value
    assert dicom_codes.LEVEL_CODES["T8/T9"][0] == codes.SCT.T8T9Disc.value
    vertebrae = dicom_codes.SITES[Unit.VERTEBRA]
    assert all(code.value == getattr(codes.SCT, f"{code.meaning[:-9]}Vertebra").value for code in vertebrae.values())
    assert dicom_codes.SIDES["left"][0] == codes.SCT.Left.value
    assert dicom_codes.SIDES["right"][0] == codes.SCT.Right.value
    assert TARGET["canal_stenosis"].step(2).code.value == codes.SCT.Severe.value
    assert TARGET["herniation"].step(1).code.value == codes.SCT.Present.value


def test_a_file_that_is_no_report_is_refused_in_one_line(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("no DICOM")
    write_capture(made(graded, model), tmp_path / "capture")
    for name in ("text", "capture", "missing"):
        with pytest.raises(OutputError, match=f"{name}: not a structured report of spinenet"):
            read_report(tmp_path / name)


def test_the_report_text_is_in_the_structured_report_sentence_by_sentence(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    write_report(made(graded, model), tmp_path / "report.dcm")
    evaluations = dcmread(tmp_path / "report.dcm").ContentSequence[-1]
    assert evaluations.ConceptNameCodeSequence[0].CodeMeaning == "Qualitative Evaluations"
    texts: dict[str, list[str]] = {}
    for one in evaluations.ContentSequence:
        texts.setdefault(one.ConceptNameCodeSequence[0].CodeMeaning, []).append(one.TextValue)
    told = narrative(graded, model)
    assert texts["Finding"] == [f"{level}: {' '.join(sentences)}" for level, sentences in told.findings]
    assert texts["Impression"] == list(told.impression)
    assert RESEARCH_ONLY in texts["Comment"] and set(told.not_assessed) <= set(texts["Comment"])
