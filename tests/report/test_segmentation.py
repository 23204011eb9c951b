"""Outlines as a DICOM Segmentation: on the very pixels that were outlined, however the file holds them."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, SegmentationStorage

from spinenet.readers import find_studies, read_study
from spinenet.report.corrections import Corrections, corrected
from spinenet.report.dicom.objects import ObjectSource, made_from
from spinenet.report.dicom.segmentation import segmentation_of, write_segmentation
from spinenet.report.outlined_slice import OutlinedSlice, Part, Structure, outlined_slice
from spinenet.report.reviewed import Review
from spinenet.study import StudyResult

AXES = [tuple((sign * axis).tolist()) for axis in np.eye(3) for sign in (1.0, -1.0)]
PLANES = [(row, column) for row, column in product(AXES, AXES) if np.dot(row, column) == 0]
SHOWN = [Structure(Part.DISC, "L5/S1"), Structure(Part.DISC, "L4/L5"), Structure(Part.CANAL)]
DISCS = ("L5/S1", "L4/L5", "L3/L4", "L2/L3", "L1/L2")


def made(result: StudyResult, model: dict[str, Any]) -> ObjectSource:
    what = made_from(result, model, identify=False)
    assert what is not None
    return what


def frames_of(segmentation: Dataset) -> np.ndarray:
    """(F, Y, X), unpacked here: not by what packed it."""
    bits = np.unpackbits(np.frombuffer(segmentation.PixelData, np.uint8), bitorder="little")
    shape = int(segmentation.NumberOfFrames), segmentation.Rows, segmentation.Columns
    return bits[: np.prod(shape)].reshape(shape).astype(bool)


def places_mm(mask_YX: np.ndarray, position: Any, orientation: Any, spacing: Any) -> np.ndarray:
    """Places of a mask's pixels in the patient (PS3.3, equation C.7.6.2.1-1), sorted."""
    y, x = np.nonzero(mask_YX)
    row, column = np.array(orientation, float).reshape(2, 3)
    mm = np.array(position, float) + np.outer(x * spacing[1], row) + np.outer(y * spacing[0], column)
    return np.array(sorted(mm.round(3).tolist()))


def write_stack(folder: Path, row: np.ndarray, column: np.ndarray, order: int) -> None:
    """Four slices of random pixels 0 to 3, oblong and of oblong pixels; ``order`` of the files along their normal."""
    normal, generator = np.cross(row, column), np.random.default_rng(1)
    for index in range(4):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID, one.SOPInstanceUID = MRImageStorage, f"1.2.3.1.{index + 1}"
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = "1.2.3", "1.2.3.1", "1.2.9"
        one.Modality, one.SeriesNumber, one.InstanceNumber = "MR", 1, index + 1
        one.ImagePositionPatient = [float(mm) for mm in np.array([-7.5, 3.25, 11]) + 4 * order * index * normal]
        one.ImageOrientationPatient = [float(cosine) for cosine in (*row, *column)]
        one.PixelSpacing, one.SliceThickness = [0.5, 0.75], 3.0
        one.Rows, one.Columns, one.SamplesPerPixel, one.PhotometricInterpretation = 32, 37, 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
        one.PixelData = generator.integers(0, 4, (32, 37)).astype("<i2").tobytes()
        one.save_as(folder / f"{index}.dcm", enforce_file_format=True)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(("row", "column"), PLANES, ids=str)
def test_a_mask_lies_on_the_pixels_that_it_was_drawn_on_in_every_orientation(
    graded: StudyResult,
    model: dict[str, Any],
    tmp_path: Path,
    row: tuple[float, ...],
    column: tuple[float, ...],
    order: int,
) -> None:
    angle = np.deg2rad(12.0)
    tilt = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    write_stack(tmp_path, tilt @ row, tilt @ column, order)
    (series,) = read_study(find_studies([tmp_path])[0]).series
    labels_RC = series.voxels_SRC[1].astype(np.uint8)
    outlined = OutlinedSlice(series, 1, tuple(SHOWN), labels_RC)
    segmentation = segmentation_of(made(graded, model), outlined, series.images)
    (place,) = {str(one.PlanePositionSequence) for one in segmentation.PerFrameFunctionalGroupsSequence}
    assert place
    frame = segmentation.PerFrameFunctionalGroupsSequence[0]
    (source,) = frame.DerivationImageSequence[0].SourceImageSequence
    (image,) = [one for path in tmp_path.iterdir() if (one := dcmread(path)).SOPInstanceUID == source[0x00081155].value]
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    position = frame.PlanePositionSequence[0].ImagePositionPatient
    assert np.allclose(orientation, image.ImageOrientationPatient, atol=1e-9)
    assert np.allclose(position, image.ImagePositionPatient, atol=1e-9) and list(spacing) == [0.5, 0.75]
    for label, mask_YX in enumerate(frames_of(segmentation), start=1):
        assert (mask_YX == (image.pixel_array == label)).all()
        canonical = np.argwhere(labels_RC == label)
        there_mm = series.to_mm(np.insert(canonical, 0, 1, axis=1))
        here_mm = places_mm(mask_YX, position, orientation, spacing)
        assert np.allclose(here_mm, np.array(sorted(there_mm.round(3).tolist())), atol=2e-3)


def test_another_implementation_reads_segments_and_their_places(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    highdicom = pytest.importorskip("highdicom")
    assert write_segmentation(made(graded, model), tmp_path / "seg.dcm")
    read = highdicom.seg.segread(tmp_path / "seg.dcm")
    assert read.SOPClassUID == SegmentationStorage and read.number_of_segments == 5 + 4 + 1
    described = [read.get_segment_description(number) for number in read.segment_numbers]
    told = [one.segmented_property_type.meaning for one in described]
    bodies = [f"{level.partition('/')[0]} vertebra" for level in DISCS[:4]]
    assert told == [*(f"{level} disc" for level in DISCS), *bodies, "Vertebral canal"]
    assert {one.algorithm_identification.name for one in described} == {"test model"}
    assert {one.algorithm_identification.version for one in described} == {"2.1"}
    assert {one.tracking_uid for one in described} and len({one.tracking_uid for one in described}) == len(told)
    pixels = read.get_pixels_by_source_instance(["1.2.3.1.3"], combine_segments=True)[0]
    volume = read.get_volume(combine_segments=True)
    series = graded.located[0].series
    for number, level in enumerate(DISCS, start=1):
        place = np.argwhere(pixels == number).mean(0)
        (frame,) = [one for one in graded.located[0].frames if one.level == level]
        assert np.allclose(series.to_mm(np.array([2, *place])), frame.center_mm, atol=0.5)
        there = volume.map_indices_to_reference(np.argwhere(volume.array == number)).mean(0)
        assert np.allclose(there, frame.center_mm, atol=0.5)


def test_discs_bodies_and_canal_have_the_size_they_were_outlined_with(graded: StudyResult) -> None:
    outlined = outlined_slice(graded)
    assert outlined is not None
    area_mm2 = {
        structure: float((outlined.labels_RC == number).sum())  # of 1 mm2 pixels
        for number, structure in enumerate(outlined.structures, start=1)
    }
    for level in DISCS:
        assert area_mm2[Structure(Part.DISC, level)] == pytest.approx(8.4 * 30.1, rel=0.08)
    for level in DISCS[:4]:  # 35 mm from disc to disc
        assert area_mm2[Structure(Part.BODY, level)] == pytest.approx((35 - 8.4) * 30.1, rel=0.08)
    assert area_mm2[Structure(Part.CANAL)] == pytest.approx(18 * 0.7 * (4 * 35 + 67), rel=0.08)


def test_a_body_that_is_not_seen_whole_is_left_out(graded: StudyResult) -> None:
    outlines = {level: one for level, one in graded.measured[0].outlines.items() if level != "L3/L4"}
    outlined = outlined_slice(replace(graded, measured=(replace(graded.measured[0], outlines=outlines),)))
    assert outlined is not None
    bodies = [one.level for one in outlined.structures if one.part is Part.BODY]
    assert bodies == ["L5/S1", "L2/L3"]  # of L4 and L3 a part was not outlined, nor of L1, which lies above all discs


def test_outlines_bear_the_names_that_a_reader_gives(graded: StudyResult) -> None:
    review = Review("Reader^Jo", "2026-11-27T03:04:05Z", approved=True)
    renamed = corrected(graded, Corrections("study-1", "0" * 64, review, shift=1, struck=frozenset({"L1/L2"})))
    outlined = outlined_slice(renamed)
    assert outlined is not None
    discs = [one.level for one in outlined.structures if one.part is Part.DISC]
    assert discs == ["L4/L5", "L3/L4", "L2/L3", "L1/L2"]


def test_frames_of_a_multi_frame_image_are_named(graded: StudyResult, model: dict[str, Any], tmp_path: Path) -> None:
    first = graded.located[0]
    instances = tuple(("1.2.3.4", frame) for frame in (5, 4, 3, 2, 1))
    images = replace(first.series.images, sop_class_uid=EnhancedMRImageStorage, instances=instances)
    result = replace(graded, located=(replace(first, series=replace(first.series, images=images)),))
    assert write_segmentation(made(result, model), tmp_path / "seg.dcm")
    frame = dcmread(tmp_path / "seg.dcm").PerFrameFunctionalGroupsSequence[0]
    (source,) = frame.DerivationImageSequence[0].SourceImageSequence
    assert (source.ReferencedSOPInstanceUID, source.ReferencedFrameNumber) == ("1.2.3.4", 3)


@pytest.mark.parametrize("missing", ["outlines", "frame of reference", "an image of the slice"])
def test_what_has_no_place_gets_no_segmentation(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path, missing: str
) -> None:
    first = graded.located[0]
    if missing == "outlines":
        graded = replace(graded, measured=())
    elif missing == "frame of reference":
        graded = replace(graded, located=(replace(first, series=replace(first.series, frame_of_reference="")),))
    else:
        images = replace(first.series.images, instances=(*first.series.images.instances[:2], None, None, None))
        graded = replace(graded, located=(replace(first, series=replace(first.series, images=images)),))
    assert not write_segmentation(made(graded, model), tmp_path / "seg.dcm")
    assert not (tmp_path / "seg.dcm").exists()
