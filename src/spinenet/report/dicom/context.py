"""What every report of ours says beside its content: who observed, and which images it speaks of.

A slice is named by its series and its place in it, ``(series, index)``; those that were interpolated have no image.
"""

from collections.abc import Iterable

from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from spinenet.labels import Code
from spinenet.report.deciding_slices import deciding
from spinenet.report.dicom import codes
from spinenet.report.dicom.content_tree import CONTEXT, Item, code_item, encoded, image_item, item, text_item, uid_item
from spinenet.report.dicom.objects import MANUFACTURER, ObjectSource, dataset
from spinenet.report.reviewed import review_of
from spinenet.study import Prediction, SourceImages

Slice = tuple[str, int]


def device(made: ObjectSource) -> list[Item]:
    """The program as an observer (TID 1004)."""
    return [
        code_item(CONTEXT, codes.OBSERVER_TYPE, codes.DEVICE),
        uid_item(CONTEXT, codes.DEVICE_UID, made.uid("device")),
        text_item(CONTEXT, codes.DEVICE_NAME, "spinenet"),
        text_item(CONTEXT, codes.DEVICE_MANUFACTURER, MANUFACTURER),
        text_item(CONTEXT, codes.DEVICE_MODEL, f"{made.model['name']} {made.model['version']}"),
    ]


def reader(made: ObjectSource) -> list[Item]:
    """The person who corrected or approved, as an observer beside the device (TID 1003)."""
    review = review_of(made.result)
    if review is None:
        return []
    name = item(CONTEXT, "PNAME", codes.PERSON_NAME, PersonName=review.reader)
    return [code_item(CONTEXT, codes.OBSERVER_TYPE, codes.PERSON), name]


def measured_in(made: ObjectSource, level: str = "") -> list[Slice]:
    """Each slice that a level, or without one any, was measured in: sagittal ones, then axial ones."""
    sizes = [one for one in made.result.measurements if level in (one.level, "")]
    sagittal = [(one.series.name, one.midline_slice) for one in made.result.located if one.series.plane == "sagittal"]
    return [*sagittal, *((one.series, one.slice_index) for one in sizes if one.slice_index is not None)]


def read_from(made: ObjectSource, prediction: Prediction) -> list[Slice]:
    """The slices that decided a grade."""
    crops = deciding(made.result.crops.get(prediction.level, ()), prediction.target)
    return [(crop.series_name, crop.slice_index) for crop in crops]


def references(made: ObjectSource, name: Code | None, slices: Iterable[Slice]) -> list[Item]:
    """The images of slices, under a name or none."""
    found = []
    for images, (uid, frame) in _instances(made, slices):
        is_single = images.sop_class_uid == MRImageStorage
        found.append(image_item(name, images.sop_class_uid, uid, None if is_single else frame))
    return found


def evidence(made: ObjectSource, slices: Iterable[Slice]) -> Item:
    """The study, series and instances that the content refers to (PS3.3 C.17.2.3)."""
    instances: dict[str, dict[str, Item]] = {}
    for images, (uid, _) in _instances(made, slices):  # stacks of one series share its UID
        reference = encoded(ReferencedSOPClassUID=images.sop_class_uid, ReferencedSOPInstanceUID=uid)
        instances.setdefault(images.series_uid, {})[uid] = reference
    series = [
        encoded(SeriesInstanceUID=uid, ReferencedSOPSequence=[listed[key] for key in sorted(listed)])
        for uid, listed in instances.items()
    ]
    return encoded(StudyInstanceUID=made.origin.study_uid, ReferencedSeriesSequence=series)


def instances_of_evidence(made: ObjectSource, slices: Iterable[Slice]) -> list[Dataset]:
    """The images of slices, each once, as an attribute of an object that is no report."""
    found = {uid: images.sop_class_uid for images, (uid, _) in _instances(made, slices)}
    return [dataset(ReferencedSOPClassUID=class_uid, ReferencedSOPInstanceUID=uid) for uid, class_uid in found.items()]


def _instances(made: ObjectSource, slices: Iterable[Slice]) -> list[tuple[SourceImages, tuple[str, int]]]:
    """The series and (instance UID, frame) of each slice that was acquired."""
    known = [(made.images[name], index) for name, index in slices if name in made.images]
    return [(images, instance) for images, index in known if (instance := images.instances[index]) is not None]
