"""The grader of a node: each study into a folder of its own, in a process of its own, and what replaces what."""

import functools
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from spinenet.errors import StudyError
from spinenet.model.bundle import Bundle, load_bundle
from spinenet.readers.dicom.headers import PERSON_DETAILS
from spinenet.report.dicom.text_report import write_words
from spinenet.report.options import ReportOptions
from spinenet.report.study_files import REPORT_SUFFIX, REPORTS_FOLDER
from spinenet.serve.batch import grade_folder, model_facts
from spinenet.serve.node.incoming import BROKEN_OFF, patient_of
from spinenet.serve.node.state import SentObject
from spinenet.study import Note, Origin, Scope, StudyResult
from spinenet.system.files import replacing, write_bytes
from spinenet.system.lone_process import LoneProcess

TIMEOUT_S = 900.0
"""A study that takes longer is ended: the largest takes less than a minute."""
_WHO = ("StudyInstanceUID", "PatientName", "PatientID")
OUTGOING_FOLDER = "outgoing"
WORDS = "spinenet-"
"""What titles of reports of words, and so their files, begin with; no key of a study does."""
FILED_BY = ("IssuerOfPatientID", "OtherPatientIDs", "ReferringPhysicianName", "StudyDescription")
"""Elements that some archives file or list by, beside those of ``report.dicom.objects``."""
_BROKEN_OFF = Note(
    "broken_off", Scope.STUDY, "", "its sender broke off, so images may be missing; more that come are graded with it"
)
_MORE = ("PatientBirthDate", "PatientSex", "StudyDate", *PERSON_DETAILS)


@dataclass(frozen=True)
class _Job:
    """What is done to one study: graded, or spoken of where there are words."""

    images: Path
    out: Path
    earlier: tuple[SentObject, ...] = ()
    title: str = ""
    words: str = ""


class StudyGrader:
    """Grades below ``results`` with the bundle in a folder or file."""

    def __init__(self, results: Path, bundle: Path, options: ReportOptions, timeout_s: float = TIMEOUT_S) -> None:
        self.results = results
        self._do = LoneProcess[_Job, list[SentObject]](functools.partial(_done, bundle, options), timeout_s)

    def grade(self, images: Path, earlier: Sequence[SentObject]) -> Sequence[SentObject]:
        """Grade a study; returns the objects to be sent, which say that they take the place of ``earlier`` ones."""
        return self._do(_Job(images, self.results / images.name, tuple(earlier)))

    def tell(self, images: Path, title: str, words: str) -> Sequence[SentObject]:
        """An object that says something about a study; none where its images do not name one patient and study."""
        return self._do(_Job(images, self.results / images.name, (), title, words))

    def end(self) -> None:
        """End the process that grades."""
        self._do.end()


@functools.cache
def _bundle(path: Path) -> Bundle:
    return load_bundle(path)


def _done(bundle: Path, options: ReportOptions, job: _Job) -> list[SentObject]:
    if job.words:
        path = speak(job.images, job.out, job.title, job.words, _bundle(bundle), options)
        return [outgoing(path, job.out)] if path else []
    remarks = [_BROKEN_OFF] if (job.images / BROKEN_OFF).exists() else []
    made = grade_folder(job.images, job.out, _bundle(bundle), options, remarks)
    if not made:
        raise StudyError("no DICOM object can be made of it; is a UID missing?")
    for path in (job.out / REPORTS_FOLDER).glob(f"{WORDS}*{REPORT_SUFFIX}"):
        path.unlink()  # what was said in place of an earlier grade, or of one
    told = study_elements(job.images) if options.identify else {}
    for path in made:
        complete(path, job.earlier, told)
    return [outgoing(path, job.out) for path in made]


def speak(images: Path, out: Path, title: str, words: str, bundle: Bundle, options: ReportOptions) -> Path | None:
    """Write a report of words about the study in a folder; None where its images are of no or of several patients."""
    origin = origin_in(images)
    if origin is None:
        return None
    result = StudyResult(images.name, "failed", 0.0, origin=origin)
    path = out / REPORTS_FOLDER / (re.sub(r"\W+", "-", title) + REPORT_SUFFIX)
    path.parent.mkdir(parents=True, exist_ok=True)
    said = write_words(result, [words], model_facts(bundle), path, title=title, identify=options.identify)
    return path if said else None


def origin_in(images: Path) -> Origin | None:
    """The one study and patient that the images in a folder are of, None where that is not one."""
    found: dict[tuple[str, ...], Origin] = {}
    for path in sorted(images.glob("*.dcm")):
        try:
            data = dcmread(path, stop_before_pixels=True, specific_tags=[*_WHO, *_MORE])
            who = tuple(str(data.get(keyword, "")).strip() for keyword in _WHO)
            elements = tuple((keyword, str(data.get(keyword) or "").strip()) for keyword in _MORE)
        except (OSError, ValueError, TypeError, AttributeError, KeyError, EOFError):
            continue
        found.setdefault(who, Origin(who[0], who[1], who[2], elements))
    return next(iter(found.values())) if len(found) == 1 else None


def reference_to(path: Path) -> SentObject:
    """An object by its UIDs and patient."""
    data = dcmread(path, stop_before_pixels=True)
    keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")
    study, series, kind, instance = (str(data[keyword].value) for keyword in keywords)
    return SentObject(str(path), study, series, kind, instance, patient_of(data))


def study_elements(images: Path) -> dict[str, Any]:
    """What the first image that can be read says of patient and study beside what every report takes over, with the
    patient's id that it belongs to."""
    for path in sorted(images.glob("*.dcm")):
        try:
            data = dcmread(path, stop_before_pixels=True, specific_tags=["PatientID", *FILED_BY])
            return {keyword: data[keyword].value for keyword in ("PatientID", *FILED_BY) if keyword in data}
        except (OSError, ValueError, TypeError, AttributeError, KeyError, EOFError):
            continue
    return {}


def complete(path: Path, earlier: Sequence[SentObject], told: Mapping[str, Any]) -> None:
    """Give an object the elements of its patient and study that it lacks, and let it take its place."""
    data: Any = dcmread(path)
    if told and str(told.get("PatientID", "")).strip() == str(data.PatientID).strip():
        for keyword in FILED_BY:
            if told.get(keyword) and not data.get(keyword):
                setattr(data, keyword, told[keyword])
    succeed(data, path, earlier)
    with replacing(path) as partial:
        data.save_as(partial, enforce_file_format=True)


def outgoing(path: Path, out: Path) -> SentObject:
    """An object under a name that no later one takes: what waits to be sent never changes under way."""
    made = reference_to(path)
    kept = out / OUTGOING_FOLDER / f"{made.instance_uid}.{path.name.partition('.')[2]}"
    kept.parent.mkdir(exist_ok=True)
    kept.unlink(missing_ok=True)
    try:
        os.link(path, kept)
    except OSError:  # a file system without links
        write_bytes(kept, path.read_bytes())
    return replace(made, path=str(kept))


def succeed(data: Any, path: Path, earlier: Sequence[SentObject]) -> None:
    """Let an object say which ones of its patient it takes the place of, under a UID that no earlier one bears.

    Reports name them as predecessor documents (PS3.3, C.17.2). For others DICOM has no such reference: they get the
    next instance number of their series, by which viewers order them, and a comment.
    """
    if not earlier:
        return
    text = "/".join([str(data.SOPInstanceUID), *(one.instance_uid for one in earlier)])
    data.SOPInstanceUID = f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], 'big')}"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    patient = patient_of(data)
    reports = [one for one in earlier if one.path.endswith(REPORT_SUFFIX) and one.patient == patient]
    if path.name.endswith(REPORT_SUFFIX) and reports:
        data.PredecessorDocumentsSequence = [_predecessor(one) for one in reports]
    before = [one for one in earlier if one.class_uid == data.SOPClassUID and one.patient == patient]
    if before:
        data.InstanceNumber = len(before) + 1
        if "PixelData" in data:
            data.ImageComments = f"takes the place of {len(before)} earlier of this study"


def _predecessor(one: SentObject) -> Dataset:
    instance, series, study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = one.class_uid, one.instance_uid
    series.SeriesInstanceUID, series.ReferencedSOPSequence = one.series_uid, [instance]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = one.study_uid, [series]
    return study
