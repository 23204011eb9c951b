"""DICOM as archives really hold it: whatever the file order, tilt or storage, each voxel shows its place."""

import io
import random
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    EnhancedMRImageStorage,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from spinenet.errors import ReadError
from spinenet.labels import View
from spinenet.readers import find_studies, read_study
from spinenet.study import sentence


def read_one(folder):
    (source,) = find_studies([folder])
    return read_study(source)


def test_sagittal_series_has_left_to_the_left_and_head_up(tmp_path, patient):
    patient.write(tmp_path, patient.stack())
    study = read_one(tmp_path)
    (series,) = study.series
    assert (series.plane, series.view) == ("sagittal", View.SAGITTAL_T2)
    assert patient.shows_patient(series)
    assert series.affine_vox2mm[0, 0] > 0 and series.affine_vox2mm[2, 1] < 0 and series.affine_vox2mm[1, 2] > 0
    assert series.voxels_SRC[-1].mean() > series.voxels_SRC[0].mean()  # the patient is brighter to the left
    assert series.laterality_known and study.notes == ()


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ((0, -1, 0), (0, 0, -1)),
        ((0, 1, 0), (0, 0, 1)),
        ((0, 0, 1), (0, 1, 0)),
        ((0.2, 0.98, 0.0), (0.0, 0.0, -1.0)),
        ((0.15, 0.95, 0.27), (-0.05, 0.28, -0.95)),
    ],
)
def test_flipped_turned_and_oblique_slices_show_the_same_patient(tmp_path, patient, row, column):
    row = np.array(row) / np.linalg.norm(row)
    column = np.array(column) - row * (row @ np.array(column))
    patient.write(tmp_path, patient.stack(tuple(row), tuple(column / np.linalg.norm(column))))
    (series,) = read_one(tmp_path).series
    assert series.plane == "sagittal"
    assert patient.shows_patient(series)


def test_slices_are_sorted_by_position_not_by_instance_number_or_name(tmp_path, patient):
    numbers = random.Random(0).sample(range(100), 7)
    paths = patient.write(tmp_path, patient.stack(), lambda ds, index: setattr(ds, "InstanceNumber", numbers[index]))
    for path, number in zip(paths, numbers, strict=True):
        path.rename(tmp_path / f"IM{number:04d}")  # no ending either
    (series,) = read_one(tmp_path).series
    assert patient.shows_patient(series)


@pytest.mark.parametrize("uid", ["1.2.3", ""])
def test_the_frame_of_reference_is_kept_where_the_header_names_one(tmp_path, patient, uid):
    patient.write(tmp_path, patient.stack(), lambda ds, index: setattr(ds, "FrameOfReferenceUID", uid))
    (series,) = read_one(tmp_path).series
    assert series.frame_of_reference == uid


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_lossless_compression_changes_no_voxel(tmp_path, patient, syntax):
    stack = patient.stack(shape=(4, 40, 48))
    patient.write(tmp_path, stack, lambda ds, _: ds.compress(syntax, generate_instance_uid=False))
    (series,) = read_one(tmp_path).series
    assert patient.shows_patient(series)


def test_jpeg_baseline_is_decoded(tmp_path, patient):
    def compress(dataset, _):
        pixels = np.frombuffer(dataset.PixelData, "<i2").reshape(dataset.Rows, dataset.Columns)
        jpeg = io.BytesIO()
        Image.fromarray((pixels - 780).astype(np.uint8)).save(jpeg, "JPEG", quality=98)
        dataset.PixelData = encapsulate([jpeg.getvalue()])
        dataset["PixelData"].is_undefined_length = True
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 780
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit

    patient.write(tmp_path, patient.stack(), compress)
    (series,) = read_one(tmp_path).series
    assert patient.shows_patient(series, tolerance=4)


def test_unknown_compression_says_what_to_install(tmp_path, patient, monkeypatch):
    def mislabel(dataset, _):
        dataset.PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x02\x00\x00\x00\xff\xd8"
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = JPEGExtended12Bit

    patient.write(tmp_path, patient.stack(), mislabel)
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.is_available", False)
    (source,) = find_studies([tmp_path])
    with pytest.raises(ReadError, match=r"compressed as JPEG Extended.*install 'spinenet-mri\[gdcm\]'"):
        read_study(source)


@pytest.mark.parametrize("row", [(0, 1, 0), (0, -1, 0)])
def test_every_slice_knows_the_image_it_was_read_from(tmp_path, patient, row):
    column = (0, 0, -1) if row[1] > 0 else (0, 0, 1)
    stack = patient.stack(row, column)
    paths = patient.write(tmp_path, stack)
    paths.pop(3).unlink()
    study = read_one(tmp_path)
    (series,) = study.series
    assert series.images.instances[3] is None  # bridged
    for index, instance in enumerate(series.images.instances):
        if instance is not None:
            (path,) = [path for path in paths if dcmread(path).SOPInstanceUID == instance[0]]
            position_mm = dcmread(path).ImagePositionPatient
            assert series.affine_vox2mm[0, 3] + index * series.affine_vox2mm[0, 0] == pytest.approx(position_mm[0])
            assert instance[1] == 1
            assert series.images.positions_mm[index] == tuple(position_mm)
    assert series.images.orientation == (*row, *column)
    assert series.images.positions_mm[3] is None
    assert (series.images.series_uid, study.origin.study_uid) == ("1.2.3.1", "1.2.3")
    assert (study.origin.patient_name, study.origin.patient_id) == ("Doe^Jane", "ID4711")


def test_rescale_is_applied_slice_by_slice(tmp_path, patient):
    def store_scaled(dataset, index):
        stored = np.frombuffer(dataset.PixelData, "<i2").astype(int)
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.5, -100 - index
        dataset.PixelData = ((stored + 100 + index) * 2).astype("<i2").tobytes()

    patient.write(tmp_path, patient.stack(), store_scaled)
    (series,) = read_one(tmp_path).series
    assert patient.shows_patient(series)


def test_monochrome1_is_turned_bright_for_much_signal(tmp_path, patient):
    def invert(dataset, _):
        dataset.PixelData = (-1 - np.frombuffer(dataset.PixelData, "<i2")).astype("<i2").tobytes()
        dataset.PhotometricInterpretation = "MONOCHROME1"

    patient.write(tmp_path, patient.stack(), invert)
    (series,) = read_one(tmp_path).series
    assert patient.shows_patient(series)


def test_tags_that_archives_strip_are_not_needed(tmp_path, patient):
    stripped = ("SOPClassUID", "Modality", "SliceThickness", "SeriesNumber", "PatientName", "EchoTime")
    stack = patient.stack().having(**dict.fromkeys(stripped), SeriesDescription="T2")
    patient.write(
        tmp_path, stack, lambda ds, _: setattr(ds.file_meta, "MediaStorageSOPClassUID", EnhancedMRImageStorage)
    )
    (series,) = read_one(tmp_path).series
    assert series.view is View.SAGITTAL_T2 and patient.shows_patient(series)


def test_missing_pixel_spacing_is_borrowed_within_the_series(tmp_path, patient):
    def strip(dataset, index):
        if index == 2:
            del dataset.PixelSpacing

    patient.write(tmp_path, patient.stack(), strip)
    study = read_one(tmp_path)
    assert patient.shows_patient(study.series[0]) and "1 without pixel spacing" in study.notes[0].text


def test_a_series_without_any_pixel_spacing_is_refused(tmp_path, patient):
    patient.write(tmp_path, patient.stack().having(PixelSpacing=None))
    with pytest.raises(ReadError, match="no pixel spacing"):
        read_one(tmp_path)


def test_files_without_preamble_are_read(tmp_path, patient):
    for path in patient.write(tmp_path, patient.stack()):
        dataset = dcmread(path)
        bare = Dataset()
        bare.update({element.tag: element for element in dataset})
        bare.save_as(path.with_suffix(""), implicit_vr=True, little_endian=True)
        path.unlink()
    (series,) = read_one(tmp_path).series
    assert patient.shows_patient(series)


def test_what_is_no_image_is_skipped_and_counted(tmp_path, patient):
    patient.write(tmp_path, patient.stack())
    report = patient.slice(patient.stack(), 0)
    report.Modality, report.SOPInstanceUID = "SR", generate_uid()
    del report.Rows, report.Columns, report.PixelData
    report.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    capture = patient.slice(patient.stack(), 0)
    capture.SOPClassUID = SecondaryCaptureImageStorage
    capture.save_as(tmp_path / "capture.dcm", enforce_file_format=True)
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "readme.txt").write_text("notes")
    study = read_one(tmp_path)
    assert sentence(study.notes) == "1 x secondary capture, 1 x structured report skipped"
    assert study.series[0].voxels_SRC.shape[0] == 7


def test_a_study_without_images_says_what_it_holds(tmp_path, patient):
    patient.write(tmp_path, patient.stack().having(Modality="CT"))
    with pytest.raises(ReadError, match="no MR image in this DICOM study, only 7 x object that is not MR"):
        read_one(tmp_path)


def enhanced(patient, stack):
    """All slices in one multi-frame object, shuffled, geometry in functional groups, rescale differing by frame."""
    dataset = patient.slice(stack, 0)
    order = random.Random(1).sample(range(stack.shape[0]), stack.shape[0])
    single = [patient.slice(stack, index) for index in order]
    shared = Dataset()
    measures, orientation, timing = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = dataset.PixelSpacing, dataset.SliceThickness
    orientation.ImageOrientationPatient = dataset.ImageOrientationPatient
    timing.RepetitionTime = 3500.0
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([orientation])
    shared.MRTimingAndRelatedParametersSequence = Sequence([timing])
    frames = []
    for index, one in zip(order, single, strict=True):
        frame, position, echo, values = Dataset(), Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient, echo.EffectiveEchoTime = one.ImagePositionPatient, 100.0
        values.RescaleSlope, values.RescaleIntercept = 1.0, float(index)
        frame.PlanePositionSequence, frame.MREchoSequence = Sequence([position]), Sequence([echo])
        frame.PixelValueTransformationSequence = Sequence([values])
        frames.append(frame)
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    dataset.NumberOfFrames = len(order)
    stored = stack.voxels[order] - np.array(order)[:, None, None]
    patient.set_pixels(dataset, stored)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "EchoTime", "RepetitionTime"):
        delattr(dataset, keyword)
    return dataset


@pytest.mark.parametrize("compressed", [False, True])
def test_enhanced_multi_frame_is_read_like_single_frames(tmp_path, patient, compressed):
    dataset = enhanced(patient, patient.stack())
    if compressed:
        dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(tmp_path / "multi.dcm", enforce_file_format=True)
    (series,) = read_one(tmp_path).series
    assert series.voxels_SRC.shape == (7, 24, 20)
    assert series.view is View.SAGITTAL_T2 and patient.shows_patient(series)


def test_studies_are_told_apart_by_uid_wherever_their_files_lie(tmp_path, patient):
    patient.write(tmp_path / "all", patient.stack())
    patient.write(tmp_path / "all", patient.stack().having(SeriesInstanceUID="1.2.3.2", SeriesNumber=2))
    patient.write(tmp_path / "more", patient.stack().having(SeriesInstanceUID="1.2.3.3", SeriesNumber=3))
    other = patient.stack().having(StudyInstanceUID="1.2.4", SeriesInstanceUID="1.2.4.1", SeriesNumber=4)
    patient.write(tmp_path / "all", other)
    sources = find_studies([tmp_path])
    assert Counter(len(read_study(source).series) for source in sources) == {3: 1, 1: 1}
    assert len({source.key for source in sources}) == 2


def test_nothing_identifying_leaves_the_headers(tmp_path, patient):
    folder = tmp_path / "DOE_JANE_ID4711"
    stack = patient.stack().having(SeriesDescription="Doe Jane T2 sag", StudyDate="20260102")
    path = patient.write(folder, stack)[1]
    path.write_bytes(path.read_bytes()[:200])
    study = read_one(tmp_path)
    told = " ".join(
        [study.key, sentence(study.notes), *(series.name + series.reason for series in study.series)]
    ).lower()
    assert not any(word in told for word in ("doe", "jane", "4711", "0815", "20260102"))
    assert study.notes


def test_unreadable_files_with_nothing_beside_them_are_a_failed_study(tmp_path, patient):
    patient.write(tmp_path / "good", patient.stack())
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.dcm").write_text("this is not DICOM")
    good, bad = find_studies([tmp_path])
    assert len(read_study(good).series) == 1
    with pytest.raises(ReadError, match="1 file cannot be read as DICOM"):
        read_study(bad)


def test_a_blank_series_is_left_out_and_the_other_read(tmp_path, patient):
    patient.write(tmp_path / "a", patient.stack())
    blank = patient.stack().having(SeriesInstanceUID="1.2.3.2", SeriesNumber=2)
    patient.write(tmp_path / "b", blank, lambda ds, _: patient.set_pixels(ds, np.zeros((24, 20))))
    study = read_one(tmp_path)
    assert [series.name for series in study.series] == ["series-1"]
    assert sentence(study.notes) == "series-2: a stack of 7 slices: every voxel is 0: the image is blank"


def test_text_burnt_into_an_image_is_known_by_its_header(tmp_path, patient):
    patient.write(tmp_path, patient.stack().having(BurnedInAnnotation="YES"))
    (series,) = read_study(find_studies([tmp_path])[0]).series
    assert series.view is None and "text burnt" in series.reason
