"""The outlines of discs, vertebral bodies and canal as a DICOM Segmentation (PS3.3 A.51), a segment each.

Its frames have the rows and columns of the image that was outlined, in that file's own order: what viewers lay over it.
Shape letters: F frame, R C pixels of a slice in canonical order, Y X those of the file.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import pack_bits
from pydicom.uid import MRImageStorage, SegmentationStorage
from pydicom.valuerep import DSfloat

from spinenet.labels import Code, Unit
from spinenet.readers.dicom.assembly import is_uid
from spinenet.report.dicom import codes
from spinenet.report.dicom.objects import ObjectSource, coded, dataset, new_object
from spinenet.report.outlined_slice import OutlinedSlice, Part, Structure, outlined_slice
from spinenet.study import Series, SourceImages
from spinenet.system.files import replacing

SERIES_NUMBER = 9004
COLOURS = {Part.DISC: (85, 0, 75), Part.BODY: (60, -5, -35), Part.CANAL: (80, -50, 10)}
"""CIELab of what is outlined, neighbours unlike each other; some viewers show no segment that has none."""
IN_SEGMENT, IN_PLACE = (0x0062, 0x000B), (0x0020, 0x0032)
"""What frames differ in: the segment they are of, and where they lie."""


def write_segmentation(made: ObjectSource, path: Path) -> bool:
    """Write the segmentation of a study, whole or not at all; False where there is nothing to write.

    That is where nothing was outlined, or the outlined slice is no image with a place in a frame of reference.
    """
    outlined = outlined_slice(made.result)
    if outlined is None or not outlined.structures:
        return False
    images = made.images.get(outlined.series.name)
    if images is None or images.instances[outlined.index] is None or not is_uid(outlined.series.frame_of_reference):
        return False
    segmentation = segmentation_of(made, outlined, images)
    with replacing(path) as partial:
        segmentation.save_as(partial, enforce_file_format=True)
    return True


def as_acquired(
    labels_RC: NDArray[np.uint8], series: Series, images: SourceImages
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """(Y, X) pixels of a slice in the order of its file, and the distances of its rows and columns in mm."""
    along_row, along_column = np.array(images.orientation).reshape(2, 3)
    steps_mm = series.affine_vox2mm[:3, 1:3]
    down, right = 0, 1
    if abs(steps_mm[:, 0] @ along_row) > abs(steps_mm[:, 0] @ along_column):
        labels_RC, down, right = labels_RC.T, 1, 0
    if steps_mm[:, down] @ along_column < 0:
        labels_RC = labels_RC[::-1]
    if steps_mm[:, right] @ along_row < 0:
        labels_RC = labels_RC[:, ::-1]
    return labels_RC, (float(series.spacing_mm[1 + down]), float(series.spacing_mm[1 + right]))


def segmentation_of(made: ObjectSource, outlined: OutlinedSlice, images: SourceImages) -> Dataset:
    """The object of an outlined slice that is an image among ``images``."""
    labels_YX, spacing_mm = as_acquired(outlined.labels_RC, outlined.series, images)
    numbers = range(1, len(outlined.structures) + 1)
    masks_FYX = np.stack([labels_YX == number for number in numbers])
    made_object = new_object(made, SegmentationStorage, "SEG", SERIES_NUMBER, "spinenet outlines, research only")
    _describe_image(made_object, labels_YX.shape, len(numbers))
    made_object.FrameOfReferenceUID, made_object.PositionReferenceIndicator = outlined.series.frame_of_reference, ""
    made_object.SegmentSequence = [_segment(made, number, outlined.structures[number - 1]) for number in numbers]
    made_object.SharedFunctionalGroupsSequence = [_shared(outlined, images, spacing_mm)]
    made_object.PerFrameFunctionalGroupsSequence = [_frame(number, outlined.index, images) for number in numbers]
    made_object.ReferencedSeriesSequence = [
        dataset(SeriesInstanceUID=images.series_uid, ReferencedInstanceSequence=[_image(outlined.index, images)])
    ]
    organisation = made.uid("dimensions")
    made_object.DimensionOrganizationSequence = [dataset(DimensionOrganizationUID=organisation)]
    made_object.DimensionIndexSequence = [
        dataset(DimensionOrganizationUID=organisation, DimensionIndexPointer=tag, FunctionalGroupPointer=group)
        for tag, group in ((IN_SEGMENT, (0x0062, 0x000A)), (IN_PLACE, (0x0020, 0x9113)))
    ]
    made_object.PixelData = pack_bits(masks_FYX.astype(np.uint8), pad=True)
    made_object["PixelData"].VR = "OB"
    return made_object


def _describe_image(made_object: Dataset, shape: tuple[int, ...], frames: int) -> None:
    made_object.ImageType = ["DERIVED", "PRIMARY"]
    made_object.ContentLabel, made_object.ContentDescription = "SPINENET", codes.RESEARCH.meaning
    made_object.ContentCreatorName = ""
    made_object.SegmentationType, made_object.SegmentsOverlap = "BINARY", "NO"
    made_object.LossyImageCompression = "00"
    made_object.NumberOfFrames = frames
    made_object.Rows, made_object.Columns = shape
    made_object.SamplesPerPixel, made_object.PhotometricInterpretation = 1, "MONOCHROME2"
    made_object.BitsAllocated, made_object.BitsStored, made_object.HighBit = 1, 1, 0
    made_object.PixelRepresentation = 0


def _segment(made: ObjectSource, number: int, structure: Structure) -> Dataset:
    code = code_of(structure)
    return dataset(
        SegmentNumber=number,
        SegmentLabel=code.meaning,
        SegmentedPropertyCategoryCodeSequence=[coded(codes.ANATOMY)],
        SegmentedPropertyTypeCodeSequence=[coded(code)],
        SegmentAlgorithmType="AUTOMATIC",
        SegmentAlgorithmName=str(made.model["name"]),
        SegmentationAlgorithmIdentificationSequence=[
            dataset(
                AlgorithmFamilyCodeSequence=[coded(codes.LEARNT)],
                AlgorithmName=str(made.model["name"]),
                AlgorithmVersion=str(made.model["version"]),
            )
        ],
        RecommendedDisplayCIELabValue=_colour(*COLOURS[structure.part]),
        TrackingID=code.meaning,
        TrackingUID=made.uid("segment", code.value),
    )


def _colour(light: float, a: float, b: float) -> list[int]:
    """CIELab as it is stored (PS3.3 C.10.7.1.1).

    >>> _colour(100, -128, 127)
    [65535, 0, 65535]
    """
    return [round(light / 100 * 0xFFFF), round((a + 128) / 255 * 0xFFFF), round((b + 128) / 255 * 0xFFFF)]


def code_of(structure: Structure) -> Code:
    """What a structure is."""
    if structure.part is Part.CANAL:
        return codes.CANAL
    return codes.SITES[Unit.DISC if structure.part is Part.DISC else Unit.VERTEBRA][structure.level]


def _shared(outlined: OutlinedSlice, images: SourceImages, spacing_mm: tuple[float, float]) -> Dataset:
    between_mm = _decimal(float(outlined.series.spacing_mm[0]))
    return dataset(
        PlaneOrientationSequence=[dataset(ImageOrientationPatient=[_decimal(one) for one in images.orientation])],
        PixelMeasuresSequence=[dataset(PixelSpacing=[_decimal(mm) for mm in spacing_mm], SliceThickness=between_mm)],
    )


def _frame(number: int, index: int, images: SourceImages) -> Dataset:
    position_mm = images.positions_mm[index] or ()
    source = _image(index, images)
    source.SpatialLocationsPreserved = "YES"
    source.PurposeOfReferenceCodeSequence = [coded(codes.SEGMENTED_IMAGE)]
    return dataset(
        FrameContentSequence=[dataset(DimensionIndexValues=[number, 1])],
        PlanePositionSequence=[dataset(ImagePositionPatient=[_decimal(mm) for mm in position_mm])],
        DerivationImageSequence=[
            dataset(DerivationCodeSequence=[coded(codes.SEGMENTATION)], SourceImageSequence=[source])
        ],
        SegmentIdentificationSequence=[dataset(ReferencedSegmentNumber=number)],
    )


def _image(index: int, images: SourceImages) -> Dataset:
    """The outlined image, or the frame of it."""
    uid, frame = images.instances[index] or ("", 1)
    reference = dataset(ReferencedSOPClassUID=images.sop_class_uid, ReferencedSOPInstanceUID=uid)
    if images.sop_class_uid != MRImageStorage:
        reference.ReferencedFrameNumber = frame
    return reference


def _decimal(value: float) -> DSfloat:
    return DSfloat(value, auto_format=True)
