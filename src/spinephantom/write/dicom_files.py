"""A phantom study as plain DICOM: one MR Image Storage file a slice, full but synthetic headers, fixed by the seed."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from spinenet.labels import View
from spinenet.study import Series
from spinephantom.phantom import PhantomSeries, PhantomStudy
from spinephantom.physics.sequence import Weighting
from spinephantom.scan.practice import SLICE

IMPLEMENTATION_UID = "2.25.302043790172249692526321623266752743501"


LOCAL_DESCRIPTIONS = {
    View.SAGITTAL_T1: ("T1 tse sag LWS", "SAG T1 RACHIS LOMBAIRE", "T1 SAG COLUMNA LUMBAR"),
    View.SAGITTAL_T2: ("T2 tse sag LWS", "SAG T2 RACHIS LOMBAIRE", "T2 SAG COLUMNA LUMBAR"),
    View.SAGITTAL_STIR: ("tirm sag LWS", "SAG STIR RACHIS LOMBAIRE", "STIR SAG COLUMNA LUMBAR"),
    View.AXIAL_T2: ("T2 tse tra LWS", "AX T2 RACHIS LOMBAIRE", "T2 AX COLUMNA LUMBAR"),
}
"""German, French and Spanish: a study in ten is described in one of these, one in thirty not at all."""


def uid(*parts: object) -> UID:
    """A UID below the 2.25 root that always is the same for the same parts (DICOM PS3.5, B.2).

    >>> uid("study", 1) == uid("study", 1)
    True
    """
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")


def write_dicom(study: PhantomStudy, folder: Path, *, transfer_syntax: str = ExplicitVRLittleEndian) -> list[Path]:
    """Write every slice to ``folder/<series>/IM<number>.dcm``; returns the paths.

    ``transfer_syntax`` is a UID pydicom can encode: explicit or implicit little endian, RLE lossless
    ("1.2.840.10008.1.2.5") or, with pylibjpeg-openjpeg, JPEG 2000 lossless ("1.2.840.10008.1.2.4.90").
    Slices are numbered from the right where the seed is even and from the left where it is odd, as scanners differ.
    """
    paths = []
    for number, item in enumerate(study.series, start=1):
        target = folder / item.name
        target.mkdir(parents=True, exist_ok=True)
        slices = [(stack.series, index) for stack in item.stacks for index in range(len(stack.series.voxels_SRC))]
        for instance, (series, index) in enumerate(slices if study.seed % 2 == 0 else slices[::-1], start=1):
            dataset = _dataset(study, item, series, (number, instance, index))
            if transfer_syntax not in ("1.2.840.10008.1.2", ExplicitVRLittleEndian):
                # the offset table and everything else is a function of the pixels: no random UID is made
                dataset.compress(transfer_syntax, generate_instance_uid=False)
            else:
                dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
            path = target / f"IM{instance:04d}.dcm"
            dataset.save_as(path, enforce_file_format=True)
            paths.append(path)
    return paths


def _dataset(study: PhantomStudy, item: PhantomSeries, series: Series, numbers: tuple[int, int, int]) -> Dataset:
    number, instance, index = numbers
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = uid("instance", study.seed, series.name, index)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    _describe_study(dataset, study)
    _describe_protocol(dataset, item, _description(study, item))
    dataset.SeriesInstanceUID = uid("series", study.seed, item.name)
    dataset.SeriesNumber = number
    dataset.InstanceNumber = instance
    describe_plane(dataset, series, index)
    set_pixels(dataset, series.voxels_SRC[index])
    if item.protocol.vendor.startswith("Philips"):
        # Philips stores numbers of its own and says how they become grey values
        dataset.RescaleSlope = _decimal(np.random.default_rng([study.seed, number]).uniform(0.5, 4.0))
        dataset.RescaleIntercept = 0
        dataset.RescaleType = "US"
    return dataset


def _describe_study(dataset: Dataset, study: PhantomStudy) -> None:
    person = study.spine.person
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.StudyInstanceUID = uid("study", study.seed)
    dataset.FrameOfReferenceUID = uid("frame", study.seed)
    dataset.PositionReferenceIndicator = ""
    dataset.StudyID = str(study.seed % 100000)
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = "20200101"
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = "120000"
    dataset.AccessionNumber = ""
    dataset.PatientName = "Phantom^Synthetic"
    dataset.PatientID = f"PHANTOM{study.seed}"
    dataset.PatientSex = person.sex
    dataset.PatientAge = f"{int(person.age):03d}Y"
    dataset.PatientBirthDate = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = "Synthetic lumbar spine"
    dataset.Modality = "MR"
    dataset.BodyPartExamined = "LSPINE"
    # one in twenty lies with the feet first; the coordinates are the patient's all the same
    dataset.PatientPosition = ("FF" if study.seed % 20 == 0 else "HF") + ("P" if person.prone else "S")


def _description(study: PhantomStudy, item: PhantomSeries) -> str:
    """The vendor's words, or now and then a department's own or none."""
    draw, language = np.random.default_rng([study.seed, 35]).random(2)
    if draw < 1 / 30:
        return ""
    return LOCAL_DESCRIPTIONS[item.view][int(3 * language)] if draw < 1 / 10 else item.protocol.description


def _describe_protocol(dataset: Dataset, item: PhantomSeries, description: str) -> None:
    protocol = item.protocol
    inversion = protocol.weighting is Weighting.STIR
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "SE"]
    dataset.Manufacturer = protocol.vendor
    dataset.ManufacturerModelName = protocol.model
    dataset.SoftwareVersions = "phantom"
    dataset.SeriesDescription = dataset.ProtocolName = description
    dataset.ScanningSequence = ["SE", "IR"] if inversion else "SE"
    dataset.SequenceVariant = "SK"
    dataset.ScanOptions = "FS" if protocol.weighting is Weighting.FAT_SATURATED else ""
    dataset.MRAcquisitionType = "2D"
    dataset.RepetitionTime = protocol.tr_ms
    dataset.EchoTime = protocol.te_ms
    if inversion:
        dataset.InversionTime = protocol.ti_ms
    dataset.EchoTrainLength = protocol.echo_train
    dataset.EchoNumbers = 1
    dataset.FlipAngle = 150
    dataset.ImagedNucleus = "1H"
    dataset.MagneticFieldStrength = protocol.field_t
    dataset.ImagingFrequency = round(42.577 * protocol.field_t, 3)
    dataset.PixelBandwidth = round(protocol.bandwidth_hz)
    dataset.InPlanePhaseEncodingDirection = "COL" if protocol.phase_rows else "ROW"


def describe_plane(dataset: Dataset, series: Series, index: int) -> None:
    """Where a slice lies: position, orientation and distances, rows and columns as they are in canonical order."""
    affine = series.affine_vox2mm
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    row_direction, column_direction = affine[:3, 2] / spacing[2], affine[:3, 1] / spacing[1]
    position = affine @ np.array([index, 0, 0, 1.0])
    dataset.ImageOrientationPatient = [_decimal(v) for v in (*row_direction, *column_direction)]
    dataset.ImagePositionPatient = [_decimal(v) for v in position[:3]]
    dataset.PixelSpacing = [_decimal(spacing[1]), _decimal(spacing[2])]
    dataset.SliceThickness = _decimal(SLICE.thickness * spacing[0])
    dataset.SpacingBetweenSlices = _decimal(spacing[0])
    dataset.SliceLocation = _decimal(position[:3] @ affine[:3, 0] / spacing[0])


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters, as DICOM wants it."""
    return f"{value + 0.0:.9g}"


def set_pixels(dataset: Dataset, pixels_RC: NDArray[np.float32]) -> None:
    """Store grey values of up to 12 bits, and the window that shows them all."""
    pixels = pixels_RC.astype(np.uint16)
    low, high = int(pixels.min()), max(int(pixels.max()), 1)
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = 16
    dataset.BitsStored = 12
    dataset.HighBit = 11
    dataset.PixelRepresentation = 0
    dataset.WindowCenter = 0.5 * (low + high)
    dataset.WindowWidth = high - low
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
