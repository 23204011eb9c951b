"""What every DICOM object of ours has in common: patient, study, equipment and UIDs.

Study and image UIDs are those of the source, or nothing could be referred to. What identifies patient and study is kept
only where asked for, and then all of what an archive files by; nothing else of the source ever is.
"""

import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from spinenet import __version__
from spinenet.labels import PRIVATE_SCHEME, Code
from spinenet.readers.dicom.assembly import is_uid
from spinenet.report.dicom.codes import PRIVATE_NAME, PRIVATE_UID
from spinenet.study import Origin, SourceImages, StudyResult

IMPLEMENTATION_UID = "2.25.97314159268053217620241136509127814533"
MANUFACTURER = "spinenet"
_PATIENT, _STUDY = ("PatientBirthDate", "PatientSex"), ("StudyDate", "StudyTime", "AccessionNumber", "StudyID")
"""Elements by which an archive files an object: kept with the patient's name and id, else empty."""


@dataclass(frozen=True)
class ObjectSource:
    """What an object is made from: a result whose images can be referred to, the model's facts, and whether the
    patient's name and id are kept."""

    result: StudyResult
    origin: Origin
    images: Mapping[str, SourceImages]
    """Series name -> its images."""
    model: Mapping[str, Any]
    identify: bool

    def uid(self, *parts: str) -> str:
        """A UID (root 2.25) that is the same whenever the same model says the same of the same study and patient: two
        may bear one study UID. Where the patient is not named, the study's key stands for both, or who knows the study
        could try out names."""
        model = str(self.model.get("digest", self.model["name"]))
        named = [self.origin.patient_name, self.origin.patient_id]
        named += [value for keyword, value in self.origin.elements if keyword in _PATIENT]
        patient = named if self.identify else [self.result.key]
        text = "/".join([self.origin.study_uid, *patient, model, __version__, str(self.identify), *parts])
        return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], 'big')}"


def made_from(result: StudyResult, model: Mapping[str, Any], *, identify: bool) -> ObjectSource | None:
    """None where ``why_no_objects`` says why."""
    if result.origin is None or why_no_objects(result):
        return None
    return ObjectSource(result, result.origin, _images(result), model, identify)


def why_no_objects(result: StudyResult) -> str:
    """Why no DICOM object can be made of a result; "" where one can."""
    if result.status == "failed":
        return "nothing was graded"
    images = _images(result)
    if result.origin is None or not images:
        return "the images did not come as DICOM"
    uids = [result.origin.study_uid]
    for one in images.values():
        uids += [one.series_uid, one.sop_class_uid, *instances_of(one)]
    if all(map(is_uid, uids)):
        return ""
    return "study, series or images lack a valid UID, and an object could not refer to them"


def _images(result: StudyResult) -> dict[str, SourceImages]:
    return {one.series.name: one.series.images for one in result.located if one.series.images is not None}


def instances_of(images: SourceImages) -> list[str]:
    """The instance UIDs of a series, each once."""
    return list(dict.fromkeys(instance[0] for instance in images.instances if instance is not None))


def dataset(**values: object) -> Dataset:
    """A data set with these attributes."""
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def coded(code: Code) -> Dataset:
    """A coded word."""
    return dataset(CodeValue=code.value, CodingSchemeDesignator=code.scheme, CodeMeaning=code.meaning)


def new_object(made: ObjectSource, class_uid: str, modality: str, series_number: int, description: str) -> Dataset:
    """An object without content: file meta information, patient, study, series and equipment."""
    now = datetime.datetime.now()
    started = dataset(
        SpecificCharacterSet="ISO_IR 192",
        SOPClassUID=class_uid,
        SOPInstanceUID=made.uid("instance", class_uid, *_content(made.result)),
        InstanceCreationDate=now.strftime("%Y%m%d"),
        InstanceCreationTime=now.strftime("%H%M%S"),
        ContentDate=now.strftime("%Y%m%d"),
        ContentTime=now.strftime("%H%M%S"),
        StudyInstanceUID=made.origin.study_uid,
        SeriesInstanceUID=made.uid("series", class_uid),
        SeriesNumber=series_number,
        InstanceNumber=1,
        SeriesDescription=description,
        Modality=modality,
        Manufacturer=MANUFACTURER,
        ManufacturerModelName=str(made.model["name"]),
        DeviceSerialNumber=str(made.model.get("digest", "unknown")),
        SoftwareVersions=[f"spinenet {__version__}", f"model {made.model['version']}"],
        CodingSchemeIdentificationSequence=[
            dataset(
                CodingSchemeDesignator=PRIVATE_SCHEME,
                CodingSchemeUID=PRIVATE_UID,
                CodingSchemeName=PRIVATE_NAME,
                CodingSchemeResponsibleOrganization=MANUFACTURER,
            )
        ],
    )
    told = dict(made.origin.elements) if made.identify else {}
    for keyword in (*_STUDY, "ReferringPhysicianName"):
        setattr(started, keyword, told.get(keyword, ""))
    _name_patient(started, made)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(class_uid), started.SOPInstanceUID
    meta.TransferSyntaxUID, meta.ImplementationClassUID = ExplicitVRLittleEndian, UID(IMPLEMENTATION_UID)
    started.file_meta = meta
    return started


def _content(result: StudyResult) -> list[str]:
    """What makes one object of a study another one."""
    return [str(result.predictions), str(result.experimental), *(level.name for level in result.levels)]


def _name_patient(started: Dataset, made: ObjectSource) -> None:
    told = dict(made.origin.elements) if made.identify else {}
    for keyword in _PATIENT:
        setattr(started, keyword, told.get(keyword, ""))
    if made.identify:
        started.PatientName, started.PatientID = made.origin.patient_name, made.origin.patient_id
        return
    started.PatientName, started.PatientID = "", _patient_id(made.result.key)
    started.PatientIdentityRemoved = "YES"
    started.DeidentificationMethod = "made without name, id and dates"


def _patient_id(key: str) -> str:
    """A study's key within the 64 characters that an id may have; longer ones are kept apart by a digest.

    >>> _patient_id("study-0a1b"), len(_patient_id("a" * 80))
    ('study-0a1b', 64)
    """
    return key if len(key) <= 64 else f"{key[:47]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
