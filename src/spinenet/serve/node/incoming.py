"""Images that were acknowledged, on disk before they are: ``incoming/STUDY/IMAGE.dcm``, both digests of their UIDs.

Times are measured by a clock that nobody sets; after a start they begin anew.
"""

import hashlib
import io
import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from spinenet.errors import in_words
from spinenet.readers.dicom.assembly import is_uid
from spinenet.readers.dicom.pixels import stored_values
from spinenet.system.files import remove_partials, sync_names, write_safely

LOG = logging.getLogger(__name__)

SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND, NO_SUCH_CLASS = 0x0000, 0xA700, 0xC000, 0x0122
"""C-STORE status codes (PS3.4, B.2.3; PS3.7, C.5)."""
TAKEN = ("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4")
"""MR, enhanced MR and legacy converted MR images; what is no MR image is not offered a place to go."""

BROKEN_OFF = ".broken_off"
"""In the folder of a study: a sender began with it and has not come to its end."""
_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")


@dataclass(frozen=True)
class Receipt:
    """How an image was taken: a status of C-STORE, its study, and what went wrong with it."""

    status: int
    study: str = ""
    problem: str = ""


class Take(Protocol):
    """Keep an image that ``read`` decodes and ``encode`` writes."""

    def __call__(
        self, read: Callable[[], Any], encode: Callable[[Any], bytes], *, is_asked: bool = False
    ) -> Receipt: ...


class Incoming:
    """The folder, and which studies in it changed; may be used by many threads."""

    def __init__(self, folder: Path, reserve_bytes: int) -> None:
        self.folder, self.reserve_bytes = folder, reserve_bytes
        self.lock = threading.RLock()
        """Held while an image is put in its place, and while images are counted or deleted."""
        self.changed: dict[str, float] = {}
        """Studies that may have something to be done, and when the last image of each arrived."""
        self.refused: dict[str, set[str]] = {}
        """Images of a study that could not be kept and were not sent again yet."""
        self.asked_for: dict[str, Path] = {}
        """Studies that this node has asked an archive for, and where their images belong instead."""

    def open(self) -> None:
        """Make the folder ready; all that lies there may have something to be done."""
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_partials(self.folder)  # never acknowledged
        now = time.monotonic()
        self.changed |= {folder.name: now for folder in self.folder.iterdir() if folder.is_dir()}

    def take(self, read: Callable[[], Any], encode: Callable[[Any], bytes], *, is_asked: bool = False) -> Receipt:
        """Keep the image that ``read`` decodes; a success is on disk, as safely as the disk can. ``is_asked`` for one
        that an archive sends because this node has asked for it."""
        try:
            data = read()
            uids = [str(data.StudyInstanceUID).strip(), str(data.SOPInstanceUID).strip()]
            place, kind = str(data.get("ImagePositionPatient")), str(data.get("SOPClassUID"))
            content = encode(data)
        except (AttributeError, ValueError, TypeError, KeyError, EOFError, NotImplementedError) as error:
            return Receipt(CANNOT_UNDERSTAND, problem=type(error).__name__)
        if not all(map(is_uid, uids)):
            return Receipt(CANNOT_UNDERSTAND, problem="no valid UID")
        if kind not in TAKEN:
            return Receipt(NO_SUCH_CLASS, problem="no MR image")
        study, instance = map(digest_of_uid, uids)
        with self.lock:
            try:
                self._place(study, instance, place, content, is_asked=is_asked)
            except OSError as error:
                self.refused.setdefault(study, set()).add(instance)
                return Receipt(OUT_OF_RESOURCES, study, in_words(error))
            if (lacking := self.refused.get(study)) is not None:
                lacking.discard(instance)
                if not lacking:
                    del self.refused[study]
        return Receipt(SUCCESS, study)

    def _place(self, study: str, instance: str, place: str, content: bytes, *, is_asked: bool) -> None:
        """Keep an image where it belongs: what was asked for, apart, and never in the place of what is there, since a
        correction may have come here before it came to the archive."""
        folder = self.asked_for.get(study) if is_asked else None
        if not is_asked or not ((folder or self.folder / study) / f"{instance}.dcm").exists():
            self._keep(folder or self.folder / study, instance, place, content)
        if folder is None:
            self.changed[study] = time.monotonic()

    def _keep(self, folder: Path, instance: str, place: str, content: bytes) -> None:
        """Write an image to its place: in that of an earlier one of its UID where it lies there too, and so corrects
        it, else beside it."""
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            sync_names(folder.parent)
        if shutil.disk_usage(folder).free < self.reserve_bytes + len(content):
            raise OSError("the disk is full")  # results of what is here need room too
        if any(_says_the_same(other.read_bytes(), content) for other in folder.glob(f"{instance}*.dcm")):
            return
        path = folder / f"{instance}.dcm"
        if path.exists() and _place_of(path) != place:
            path = folder / f"{instance}-{hashlib.sha256(content).hexdigest()[:16]}.dcm"
        write_safely(path, content)

    def ended(self, study: str, *, is_whole: bool) -> None:
        """Note that a sender has begun with a study, or broke off, or has sent the whole of it. It lies on disk: that
        the node itself was ended must not make a part look whole."""
        mark = self.folder / study / BROKEN_OFF
        with self.lock, suppress(OSError):
            if not is_whole and mark.parent.exists():
                mark.touch()
            elif is_whole and mark.exists():
                mark.unlink()
                self.changed[study] = time.monotonic()

    def is_broken_off(self, study: str) -> bool:
        """Whether a sender has not come to the end of a study."""
        return (self.folder / study / BROKEN_OFF).exists()

    def images(self, study: str) -> list[Path]:
        """The images of a study that are there, by name."""
        return sorted((self.folder / study).glob("*.dcm"))

    def remove(self, study: str) -> None:
        """Delete the images of a study."""
        shutil.rmtree(self.folder / study, ignore_errors=True)

    def holders(self, uids: Sequence[str]) -> dict[str, Path]:
        """UID -> file of those images that are there and bear it."""
        names = {f"{digest_of_uid(uid)}.dcm": uid for uid in uids}
        with self.lock:
            found = [path for study in self.folder.iterdir() for path in study.glob("*.dcm") if path.name in names]
        return {names[path.name]: path for path in found}


def digest_of_uid(uid: str) -> str:
    """What stands for a UID in names of files: it says nothing of the patient and cannot point elsewhere."""
    return hashlib.sha256(uid.encode()).hexdigest()[:24]


def signature(images: Sequence[Path]) -> str:
    """Changes with every image that comes, goes or is written again, and when a study that was broken off is whole; ""
    where there is none."""
    records = [(path.name, (found := path.stat()).st_size, found.st_mtime_ns) for path in images]
    if images and images[0].with_name(BROKEN_OFF).exists():
        records.append((BROKEN_OFF, 0, 0))
    return hashlib.sha256(repr(records).encode()).hexdigest()[:32] if records else ""


def study_uid_of(images: Sequence[Path]) -> str:
    """The Study Instance UID that images bear."""
    return str(dcmread(images[0], stop_before_pixels=True, specific_tags=["StudyInstanceUID"]).StudyInstanceUID)


def patient_of(data: Any) -> str:
    """A digest of the patient that an image or an object names."""
    who = [str(data.get(keyword) or "").strip() for keyword in _PATIENT]
    return hashlib.sha256("\n".join(who).encode()).hexdigest()[:24]


def patient_in(path: Path) -> str:
    """``patient_of`` a file, "" where it cannot be read."""
    try:
        return patient_of(dcmread(path, stop_before_pixels=True, specific_tags=list(_PATIENT)))
    except (OSError, ValueError, TypeError, AttributeError, KeyError, EOFError):
        return ""


def _says_the_same(one: bytes, other: bytes) -> bool:
    """Whether two files hold one data set and pixels, in whatever transfer syntax; not where that cannot be told."""
    if one == other:
        return True
    try:
        first, second = (dcmread(io.BytesIO(content)) for content in (one, other))
        return _without_pixels(first) == _without_pixels(second) and _same_pixels(first, second)
    except Exception:  # decoders fail in ways of their own; the image is kept then as one that was changed
        LOG.debug("two images that cannot be compared", exc_info=True)
        return False


def _without_pixels(data: Any) -> bytes:
    """The data set but pixels, in the one form that leaves out how it was sent."""
    plain = Dataset({element.tag: element for element in data if element.keyword != "PixelData"})
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, True
    write_dataset(buffer, plain)
    return buffer.getvalue()


def _same_pixels(one: Any, other: Any) -> bool:
    if "PixelData" not in one or "PixelData" not in other:
        return ("PixelData" in one) == ("PixelData" in other)
    if one.file_meta.TransferSyntaxUID == other.file_meta.TransferSyntaxUID and one.PixelData == other.PixelData:
        return True
    count = int(one.get("NumberOfFrames") or 1)
    return count == int(other.get("NumberOfFrames") or 1) and all(
        np.array_equal(stored_values(one, index), stored_values(other, index)) for index in range(count)
    )


def _place_of(path: Path) -> str:
    try:
        return str(
            dcmread(path, stop_before_pixels=True, specific_tags=["ImagePositionPatient"]).get("ImagePositionPatient")
        )
    except (OSError, ValueError, TypeError, AttributeError, KeyError, EOFError):
        return ""
