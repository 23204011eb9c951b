"""Nothing that a header or a folder says of a patient is in any output of a study that is not identified."""

from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.datadict import DicomDictionary

from spinenet.model.bundle import Bundle, load_bundle
from spinenet.report.options import Output, ReportOptions
from spinenet.serve.batch import predict_paths
from spinephantom import make_study
from spinephantom.patient.pathology import Mode
from spinephantom.write.dicom_files import write_dicom
from spinephantom.write.nifti_files import write_nifti

MARK = "ZQMARK"
DATE, NUMBER = "19470813", "8675309"
TEXT = {"LO", "SH", "PN", "UT", "ST", "LT", "UC"}
KEPT = {"SeriesDescription", "ProtocolName"}
"""What decides the view: a marker joins what they say."""
SPECIES = {"PatientSpeciesDescription", "PatientBreedDescription"}
"""Any word in these is taken for an animal's, which is refused."""
AGENT = "ContrastBolus"
"""Any word under these is taken for a contrast agent."""


def mark(path: Path) -> None:
    """Put a marker into every text element that a header may have, dates and numbers of the patient's too."""
    data = dcmread(path)
    for tag, (vr, vm, _, _, keyword) in DicomDictionary.items():
        if (
            vr in TEXT
            and vm == "1"
            and keyword
            and tag >> 16 in (0x8, 0x10, 0x18, 0x20, 0x32, 0x40)
            and keyword not in KEPT | SPECIES
            and not keyword.startswith(AGENT)
        ):
            setattr(data, keyword, MARK)
    for keyword in KEPT:
        setattr(data, keyword, f"{data.get(keyword, '')} {MARK}")
    data.PatientBirthDate, data.PatientID, data.AccessionNumber = DATE, f"{MARK}{NUMBER}", NUMBER
    data.StudyDate = data.SeriesDate = data.AcquisitionDate = data.ContentDate = "20190722"
    data.save_as(path)


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("archive") / f"{MARK}_JOHN"
    study = make_study(2, mode=Mode.SCREENING, axial=False, size=256, slices=3, sub_slices=1, stir_share=0.0)
    write_dicom(study, root / "study")
    for path in (root / "study").rglob("*.dcm"):
        mark(path)
    broken = root / f"{MARK}_broken"
    broken.mkdir()
    (broken / f"{MARK}.dcm").write_bytes(b"damaged")
    (root / f"{MARK}_empty").mkdir()
    return root


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """The one in the package, which grades phantoms."""
    return load_bundle()


def test_no_output_holds_what_a_header_or_a_folder_says_of_a_patient(
    marked: Path, bundle: Bundle, tmp_path: Path
) -> None:
    paths = [marked / "study", marked / f"{MARK}_broken", marked / f"{MARK}_empty"]
    summary = predict_paths(paths, tmp_path / "out", bundle, options=ReportOptions(outputs=tuple(Output)))
    assert summary.counts.total() == 3
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    made = {path.name.partition(".")[2] for path in written}
    assert {"sr.dcm", "overview.dcm", "seg.dcm"} <= made and len(written) > 10
    uid = dcmread(next((marked / "study").rglob("*.dcm"))).StudyInstanceUID
    for path in written:
        assert path.suffix == ".dcm" or uid.encode() not in path.read_bytes(), f"a UID in {path.name}"
    for path in written:
        content = path.read_bytes()
        for secret in (MARK, DATE, NUMBER, "20190722"):
            assert secret not in path.name and secret.encode() not in content, f"{secret} in {path.name}"


def test_a_refused_study_has_a_report_that_tells_nothing_of_the_patient(
    marked: Path, bundle: Bundle, tmp_path: Path
) -> None:
    for path in sorted((marked / "study").rglob("*.dcm")):
        data = dcmread(path)
        data.BodyPartExamined, data.ImageOrientationPatient = "KNEE", [1, 0, 0, 0, 1, 0]
        (tmp_path / "knee").mkdir(exist_ok=True)
        data.save_as(tmp_path / "knee" / path.name)
    assert predict_paths([tmp_path / "knee"], tmp_path / "out", bundle).counts["failed"] == 1
    (report,) = (tmp_path / "out").rglob("*.sr.dcm")
    assert dcmread(report).SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.11"
    for secret in (MARK, DATE, NUMBER, "20190722"):
        assert secret.encode() not in report.read_bytes()


def test_who_asks_for_it_gets_the_patient_into_page_and_objects(marked: Path, bundle: Bundle, tmp_path: Path) -> None:
    predict_paths([marked / "study"], tmp_path / "out", bundle, options=ReportOptions(identify=True))
    (report,) = (tmp_path / "out").rglob("*.sr.dcm")
    data: Any = dcmread(report)
    assert (data.PatientBirthDate, data.AccessionNumber, data.StudyDate) == (DATE, NUMBER, "20190722")
    assert MARK in (tmp_path / "out" / "worklist.html").read_text(encoding="utf-8")
    (identity,) = (tmp_path / "out").rglob("*.identity.json")
    assert "2019-07-22" in identity.read_text(encoding="utf-8") and identity.stat().st_mode & 0o077 == 0
    predict_paths([marked / "study"], tmp_path / "out", bundle, overwrite=True)
    assert not identity.exists() and MARK not in (tmp_path / "out" / "worklist.html").read_text(encoding="utf-8")
    assert str(data.PatientName) == MARK and data.PatientID == f"{MARK}{NUMBER}"


def test_no_output_holds_a_file_name_that_may_be_a_patients(bundle: Bundle, tmp_path: Path) -> None:
    study = make_study(2, mode=Mode.SCREENING, axial=False, size=256, slices=3, sub_slices=1, stir_share=0.0)
    images = tmp_path / f"{MARK}_clinic"
    write_nifti(study, images, f"sub-{MARK}{NUMBER}")
    (images / f"{NUMBER}_{MARK}_t2.nii.gz").write_bytes(b"damaged")
    (images / f"t2_{MARK}.mha").write_bytes(b"damaged")
    (images / f"{MARK}_t1.mhd").write_text(
        f"NDims = 3\nDimSize = 64 64 9\nElementType = MET_SHORT\nElementDataFile = {MARK}.raw\n"
    )
    predict_paths([images], tmp_path / "out", bundle)
    written = [one for one in (tmp_path / "out").rglob("*") if one.is_file()]
    assert len(written) > 8
    for one in written:
        content = one.read_bytes() + str(one.relative_to(tmp_path)).encode()
        assert MARK.encode() not in content and NUMBER.encode() not in content, one.name
