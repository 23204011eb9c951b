"""The generator's own layout: one NIfTI file a stack with a JSON sidecar, named after BIDS, and its label image.

    ROOT/images/sub-<name>/sub-<name>_acq-sag_T1w.nii.gz    grey values as the scanner stored them, and a sidecar
                           sub-<name>_acq-ax_chunk-1_T2w.nii.gz ...           (.json) with TR and TE in s
    ROOT/masks/sub-<name>/<same name>.nii.gz    1.. vertebrae, 100 canal, 201.. discs, counted from the lowest
    ROOT/truth/<name>.json                      all that is known (``write.truth_files.truth_record``)

A stack is a file, since one affine cannot hold differently tilted slices; "chunk" is BIDS' word for parts of a whole.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import View
from spinephantom.phantom import PhantomSeries, PhantomStudy
from spinephantom.physics.sequence import Weighting
from spinephantom.scan.practice import SLICE

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
BIDS_WORDS = {
    View.SAGITTAL_T1: ("sag", "T1w"),
    View.SAGITTAL_T2: ("sag", "T2w"),
    View.SAGITTAL_STIR: ("sagstir", "T2w"),
    View.AXIAL_T2: ("ax", "T2w"),
}


def write_nifti(study: PhantomStudy, root: Path, name: str) -> None:
    """Write images, sidecars and masks of one study below ``root``; its truth file is written by the caller."""
    for item in study.series:
        for index, stack in enumerate(item.stacks):
            file = f"sub-{name}_{stack_name(item, index)}"
            pixels_SRC = stack.series.voxels_SRC.astype(np.uint8 if item.pixel == "uint8" else np.uint16)
            for folder, voxels_SRC in (("images", pixels_SRC), ("masks", stack.mask_SRC)):
                target = root / folder / f"sub-{name}"
                target.mkdir(parents=True, exist_ok=True)
                save_volume(target / f"{file}.nii.gz", voxels_SRC, stack.series.affine_vox2mm)
            sidecar = json.dumps(_sidecar(item, stack.series.affine_vox2mm), indent=1, sort_keys=True)
            (root / "images" / f"sub-{name}" / f"{file}.json").write_text(sidecar + "\n")


def stack_name(item: PhantomSeries, index: int) -> str:
    """Name of one stack in files and as a series read from them.

    Series of one view are told apart by BIDS' "run", stacks of one series by "chunk"; both count from 1.
    """
    plane, weighting = BIDS_WORDS[item.view]
    number = item.name.rpartition("_")[2]
    run = f"_run-{number}" if number.isdecimal() else ""
    chunk = f"_chunk-{index + 1}" if len(item.stacks) > 1 else ""
    return f"acq-{plane}{run}{chunk}_{weighting}"


def save_volume(path: Path, voxels_SRC: NDArray[Any], affine_vox2mm: NDArray[np.float64]) -> None:
    """Write a volume in canonical order as NIfTI, columns fastest, world positions in RAS as NIfTI has them."""
    import nibabel as nib

    affine_ras = _LPS_TO_RAS @ affine_vox2mm[:, [2, 1, 0, 3]]
    image = nib.Nifti1Image(np.ascontiguousarray(voxels_SRC.transpose(2, 1, 0)), affine_ras)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine_ras, code=1)
    image.set_sform(affine_ras, code=1)
    nib.save(image, path)


def _sidecar(item: PhantomSeries, affine_vox2mm: NDArray[np.float64]) -> dict[str, Any]:
    """Acquisition in BIDS' keys and units (seconds, mm, Tesla)."""
    protocol = item.protocol
    gap_mm = float(np.linalg.norm(affine_vox2mm[:3, 0]))
    inversion = protocol.weighting is Weighting.STIR
    return {
        "Modality": "MR",
        "BodyPartExamined": "LSPINE",
        "Manufacturer": protocol.vendor,
        "ManufacturersModelName": protocol.model,
        "MagneticFieldStrength": protocol.field_t,
        "SeriesDescription": protocol.description,
        "ScanningSequence": "SE_IR" if inversion else "SE",
        "SequenceVariant": "SK",
        **({"ScanOptions": "FS"} if protocol.weighting is Weighting.FAT_SATURATED else {}),
        "MRAcquisitionType": "2D",
        "RepetitionTime": protocol.tr_ms / 1000,
        "EchoTime": protocol.te_ms / 1000,
        **({"InversionTime": protocol.ti_ms / 1000} if inversion else {}),
        "EchoTrainLength": protocol.echo_train,
        "FlipAngle": 150,
        "PixelBandwidth": protocol.bandwidth_hz,
        "SliceThickness": round(SLICE.thickness * gap_mm, 3),
        "SpacingBetweenSlices": round(gap_mm, 3),
    }
