"""The rows of SPIDER's overview.csv: one series each, with what its header told."""

import numpy as np

from spinenet.labels import View
from spinephantom.phantom import GENERATOR_VERSION, PhantomSeries, PhantomStudy
from spinephantom.physics.sequence import Weighting
from spinephantom.scan.practice import SLICE

OVERVIEW_COLUMNS = [
    "new_file_name",
    "num_vertebrae",
    "num_discs",
    "sex",
    "birth_date",
    "subset",
    "AngioFlag",
    "BodyPartExamined",
    "DeviceSerialNumber",
    "EchoNumbers",
    "EchoTime",
    "EchoTrainLength",
    "FlipAngle",
    "ImagedNucleus",
    "ImagingFrequency",
    "InPlanePhaseEncodingDirection",
    "MRAcquisitionType",
    "MagneticFieldStrength",
    "Manufacturer",
    "ManufacturerModelName",
    "NumberOfPhaseEncodingSteps",
    "PercentPhaseFieldOfView",
    "PercentSampling",
    "PhotometricInterpretation",
    "PixelBandwidth",
    "PixelSpacing",
    "RepetitionTime",
    "SAR",
    "SamplesPerPixel",
    "ScanningSequence",
    "SequenceName",
    "SeriesDescription",
    "SliceThickness",
    "SoftwareVersions",
    "SpacingBetweenSlices",
    "SpecificCharacterSet",
    "TransmitCoilName",
    "WindowCenter",
    "WindowWidth",
]


def sagittal(study: PhantomStudy) -> list[PhantomSeries]:
    """The series SPIDER's layout has a place for."""
    return [item for item in study.series if item.view is not View.AXIAL_T2]


def overview_row(study: PhantomStudy, item: PhantomSeries, patient: str, subset: str) -> dict[str, str]:
    """The row of overview.csv for one series. ``birth_date`` holds the age in years, as in SPIDER."""
    protocol, series = item.protocol, item.series
    present = np.unique(item.mask_SRC)
    rows = series.voxels_SRC.shape[1]
    gap, _, spacing = (float(step) for step in np.linalg.norm(series.affine_vox2mm[:3, :3], axis=0))
    low, high = float(series.voxels_SRC.min()), float(series.voxels_SRC.max())
    inversion = protocol.weighting is Weighting.STIR
    known = {
        "new_file_name": f"{patient}_{item.name}",
        "num_vertebrae": int(((present > 0) & (present < 100)).sum()),
        "num_discs": int((present > 200).sum()),
        "sex": study.spine.person.sex + " ",
        "birth_date": f"{study.spine.person.age:.1f}",
        "subset": subset,
        "BodyPartExamined": "LSPINE",
        "EchoNumbers": 1,
        "EchoTime": protocol.te_ms,
        "EchoTrainLength": protocol.echo_train,
        "FlipAngle": 150,
        "ImagedNucleus": "1H",
        "ImagingFrequency": round(42.577 * protocol.field_t, 3),
        "InPlanePhaseEncodingDirection": "COL" if protocol.phase_rows else "ROW",
        "MRAcquisitionType": "2D",
        "MagneticFieldStrength": protocol.field_t,
        "Manufacturer": protocol.vendor,
        "ManufacturerModelName": protocol.model,
        "NumberOfPhaseEncodingSteps": round(rows * protocol.acquired_fraction[1]),
        "PercentPhaseFieldOfView": 100.0,
        "PercentSampling": round(100.0 * protocol.acquired_fraction[1], 2),
        "PhotometricInterpretation": "MONOCHROME2",
        "PixelBandwidth": round(protocol.bandwidth_hz),
        "PixelSpacing": f"[{spacing:.6g}, {spacing:.6g}]",
        "RepetitionTime": protocol.tr_ms,
        "SamplesPerPixel": 1,
        "ScanningSequence": "['SE', 'IR']" if inversion else "SE",
        "SequenceName": f"tir2d1_{protocol.echo_train}" if inversion else f"tse2d1_{protocol.echo_train}",
        "SeriesDescription": protocol.description,
        "SliceThickness": round(SLICE.thickness * gap, 2),
        "SoftwareVersions": f"spinenet phantom {GENERATOR_VERSION}",
        "SpacingBetweenSlices": round(gap, 3),
        "SpecificCharacterSet": "ISO_IR 100",
        "TransmitCoilName": "Body",
        "WindowCenter": 0.5 * (low + high),
        "WindowWidth": high - low,
    }
    return {column: str(known.get(column, "")) for column in OVERVIEW_COLUMNS}
