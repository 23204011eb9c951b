"""The layouts a phantom can be written in, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.uid import JPEG2000Lossless

from spinephantom.phantom import PhantomStudy
from spinephantom.write.dicom_files import write_dicom
from spinephantom.write.nifti_files import write_nifti
from spinephantom.write.rsna_files import write_rsna, write_rsna_tables
from spinephantom.write.spider_files import write_spider_images, write_spider_tables


@dataclass(frozen=True)
class Layout:
    """``write`` puts the images of one study below a root under a name and returns what the layout adds to its truth
    file; ``finish`` writes the tables over all studies of a root from their truth files."""

    write: Callable[[PhantomStudy, Path, str], dict[str, Any]]
    finish: Callable[[Path], None]


def _nifti(study: PhantomStudy, root: Path, name: str) -> dict[str, Any]:
    write_nifti(study, root, name)
    return {}


def _spider(study: PhantomStudy, root: Path, name: str) -> dict[str, Any]:
    # SPIDER stores 73 of 447 series with the slice axis first
    write_spider_images(study, root, name, "PIR" if study.seed % 6 == 0 else "LPS")
    return {}


def _dicom(study: PhantomStudy, root: Path, name: str) -> dict[str, Any]:
    write_dicom(study, root / "images" / name)
    return {}


def _dicom_jpeg2000(study: PhantomStudy, root: Path, name: str) -> dict[str, Any]:
    write_dicom(study, root / "images" / name, transfer_syntax=JPEG2000Lossless)
    return {}


def _rsna(study: PhantomStudy, root: Path, name: str) -> dict[str, Any]:
    return write_rsna(study, root)  # studies have numbers there, not names


def _no_tables(root: Path) -> None:
    """Layouts without tables over all studies."""


LAYOUTS = {
    "phantom": Layout(_nifti, _no_tables),
    "spider": Layout(_spider, write_spider_tables),
    "dicom": Layout(_dicom, _no_tables),
    "dicom_jpeg2000": Layout(_dicom_jpeg2000, _no_tables),
    "rsna2024": Layout(_rsna, write_rsna_tables),
}
