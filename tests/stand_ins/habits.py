"""Habits of scanners, archives and people: the same phantoms as somebody may hand them over, each with what is right.

A habit writes files into a folder and says what must come of them (``habit_judge``). Around most of them lies another
that must never matter: order and names of files, folders, zip archives, files that are no images.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import habit_changes as of
import nibabel as nib
import numpy as np
from habit_files import Patient, Rng, Slices, every, stated, written
from habit_judge import Expected, Image, Outcome
from pydicom.uid import generate_uid

Habit = Callable[[Rng, Sequence[Patient], Path], Expected]


def one_of(rng: Rng, patients: Sequence[Patient]) -> Patient:
    return patients[int(rng.integers(len(patients)))]


def two_of(rng: Rng, patients: Sequence[Patient]) -> tuple[Patient, Patient]:
    first, second = rng.choice(len(patients), 2, replace=False)
    return patients[first], patients[second]


def _single(
    outcome: Outcome, change: Callable[[Rng, Slices], Mapping[str, tuple[float, float, float]] | None], **how: Any
) -> Habit:
    """A habit with the files of one patient: ``change`` changes them and says which series it moved."""

    def habit(rng: Rng, patients: Sequence[Patient], out: Path) -> Expected:
        patient = one_of(rng, patients)
        files = patient.files()
        places = change(rng, files) or {}
        written(rng, files, out)
        return Expected(outcome, (patient.person.name,), patient.images(files, **places), **how)

    return habit


def several_times(rng: Rng, patients: Sequence[Patient], out: Path) -> Expected:
    patient = one_of(rng, patients)
    for copied in ("a", "b"):
        written(rng, patient.files(), out / copied)
    return Expected(Outcome.SAME, (patient.person.name,), patient.images(patient.files()))


def together(
    tags: Callable[[Rng, int], dict[str, object]], *, mixed: bool = False, outcome: Outcome = Outcome.SAME
) -> Habit:
    """Two patients in one folder, the headers of each with what ``tags`` says of it."""

    def habit(rng: Rng, patients: Sequence[Patient], out: Path) -> Expected:
        both = two_of(rng, patients)
        images: dict[str, Image] = {}
        uid = generate_uid()
        for index, patient in enumerate(both):
            files = patient.files()
            said = {"StudyInstanceUID": uid} | tags(rng, index)
            stated(every(files), **{key: value for key, value in said.items() if value != "own"})
            written(rng, files, out if mixed else out / f"p{index}", begins=f"p{index}" if mixed else "")
            images |= patient.images(files)
        return Expected(outcome, tuple(one.person.name for one in both), images)

    return habit


def axial_of_another(rng: Rng, patients: Sequence[Patient], out: Path) -> Expected:
    one, other = two_of(rng, patients)
    files, others = one.files(), other.files()
    head = files["t2"][0]
    stated(
        others["axial"],
        **{k: head.get(k) for k in ("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber")},
    )
    written(rng, files | {"axial": others["axial"]}, out)
    images = one.images(files) | {data.SOPInstanceUID: Image(other.person.name) for data in others["axial"]}
    return Expected(Outcome.ANY, (one.person.name,), images, may_split=True)


def field_too_high(rng: Rng, patients: Sequence[Patient], out: Path) -> Expected:
    patient = one_of(rng, patients)
    files = patient.files()
    of.cut_at_sacrum(patient, files, float(rng.uniform(1, 10)))
    written(rng, files, out)
    return Expected(Outcome.ANY, (patient.person.name,), patient.images(files))


def in_nifti(way: str, outcome: Outcome) -> Habit:
    """Series as NIfTI in a random order of axes, placed by sform, qform, both, both contradicting, or neither."""

    def habit(rng: Rng, patients: Sequence[Patient], out: Path) -> Expected:
        patient = one_of(rng, patients)
        out.mkdir(parents=True, exist_ok=True)
        for number, one in enumerate(patient.series):
            voxels, affine = one.voxels_SRC, np.diag([-1.0, -1, 1, 1]) @ one.affine_vox2mm
            order = rng.permutation(3)
            voxels, affine = voxels.transpose(order), affine[:, [*order, 3]]
            for axis in np.flatnonzero(rng.integers(0, 2, 3)):
                voxels = np.flip(voxels, axis)
                affine = affine.copy()
                affine[:3, 3] += affine[:3, axis] * (voxels.shape[axis] - 1)
                affine[:3, axis] *= -1
            image = nib.Nifti1Image(np.ascontiguousarray(voxels), affine)
            image.set_sform(affine, 1 if way in ("sform", "both", "contradicting") else 0)
            other = np.diag([-1.0, 1, 1, 1]) @ affine if way == "contradicting" else affine
            image.set_qform(other, 1 if way in ("qform", "both", "contradicting") else 0)
            view = str(one.view or "other").replace("sagittal", "sag").replace("axial", "ax")
            nib.save(image, out / f"sub-1_acq-{number}_{view}{('.nii', '.nii.gz')[number % 2]}")
        return Expected(outcome, (patient.person.name,), is_placed=way != "nothing")

    return habit


def damaged(rng: Rng, patients: Sequence[Patient], out: Path) -> Expected:
    """Some files cut short or empty."""
    patient = one_of(rng, patients)
    files = patient.files()
    for series, several in files.items():
        (out / series).mkdir(parents=True)
        for index, data in enumerate(several):
            path = out / series / f"{index}.dcm"
            data.save_as(path, enforce_file_format=True)
            if rng.random() < 0.15:
                path.write_bytes(path.read_bytes()[: int(rng.integers(0, 3000))])
    return Expected(Outcome.ANY, (patient.person.name,), patient.images(files))


HABITS: dict[str, Habit] = {
    "as it is": _single(Outcome.SAME, of.as_it_is),
    "a series UID for every image": _single(Outcome.SAME, of.own_series_uids),
    "a frame of reference for every series": _single(Outcome.LESS, of.own_frames),
    "anonymous": _single(Outcome.SAME, of.anonymous),
    "odd text": _single(Outcome.SAME, of.odd_text),
    "stacks in halves": _single(Outcome.SAME, of.in_halves),
    "copied twice": several_times,
    "two patients, two study UIDs": together(lambda rng, i: {"StudyInstanceUID": "own"}),
    "two patients, two study UIDs, one folder": together(lambda rng, i: {"StudyInstanceUID": "own"}, mixed=True),
    "one study UID, two ids": together(lambda rng, i: {}),
    "one id, two birth dates": together(
        lambda rng, i: {"PatientID": "1", "PatientBirthDate": ("19500505", "19700101")[i]}
    ),
    "one id, two names and sexes": together(
        lambda rng, i: {"PatientID": "ANON", "PatientName": ("Doe^Jane", "Roe^John")[i], "PatientSex": "FM"[i]}
    ),
    "one person at two dates": together(
        lambda rng, i: {
            "PatientID": "1",
            "PatientName": "Doe",
            "PatientAge": "",
            "StudyDate": ("20200101", "20240303")[i],
        }
    ),
    "nobody named, two ages": together(
        lambda rng, i: {"PatientID": "", "PatientName": "", "PatientBirthDate": "", "PatientAge": ("041Y", "067Y")[i]}
    ),
    "nobody named, two folders": together(
        lambda rng, i: {
            **{
                key: ""
                for key in ("PatientID", "PatientName", "PatientBirthDate", "PatientAge", "PatientSex", "StudyID")
            },
            "FrameOfReferenceUID": f"1.9.{i}",
        }
    ),
    "axial slices of another patient": axial_of_another,
    "T1 mirrored": _single(Outcome.NO_SIDE, of.mirrored("t1")),
    "T2 mirrored": _single(Outcome.NO_SIDE, of.mirrored("t2")),
    "axial mirrored": _single(Outcome.NO_SIDE, of.mirrored("axial")),
    "T1 and T2 mirrored": _single(Outcome.NO_SIDE, of.mirrored("t1", "t2")),
    "slices shuffled": _single(Outcome.ANY, of.shuffled),
    "another pixel spacing in T2": _single(Outcome.FLAGGED_OR_REFUSED, of.other_spacing),
    "T1 taken elsewhere": _single(Outcome.LESS, of.lying_elsewhere("t1", own_frame=True)),
    "axial taken elsewhere": _single(Outcome.LESS, of.lying_elsewhere("axial", own_frame=True)),
    "axial taken elsewhere in one frame": _single(Outcome.LESS, of.lying_elsewhere("axial", own_frame=False)),
    "T1 taken elsewhere in one frame": _single(Outcome.ANY, of.lying_elsewhere("t1", own_frame=False)),
    "field ends at the lowest disc": field_too_high,
    "middle slices missing": _single(Outcome.REFUSED, of.without_middle),
    "half copied": _single(Outcome.LESS, of.without_some),
    "one side alone": _single(Outcome.ANY, of.one_side),
    "T2 repeated": _single(Outcome.SAME, of.repeated),
    "T2 repeated elsewhere": _single(Outcome.LESS, of.repeated_elsewhere),
    "positions blanked": _single(Outcome.REFUSED, of.blank_places),
    "NIfTI by sform": in_nifti("sform", Outcome.SAME),
    "NIfTI by qform": in_nifti("qform", Outcome.SAME),
    "NIfTI by both": in_nifti("both", Outcome.SAME),
    "NIfTI contradicting": in_nifti("contradicting", Outcome.NO_SIDE),
    "NIfTI by nothing": in_nifti("nothing", Outcome.ANY),
    "names in many words": _single(Outcome.SAME, of.named),
    "neither names nor times": _single(Outcome.LESS, of.unnamed),
    "times in seconds": _single(Outcome.SAME, of.in_seconds),
    "after contrast agent": _single(Outcome.LESS, of.after_agent),
    "no contrast agent": _single(Outcome.SAME, of.no_agent),
    "a picture of fat": _single(Outcome.LESS, of.of_fat),
    "junk beside it": _single(Outcome.SAME, of.with_junk),
    "a child": _single(Outcome.REFUSED, of.of_a_child),
    "a child by dates": _single(Outcome.REFUSED, of.born_late),
    "metal": _single(Outcome.FLAGGED_OR_REFUSED, of.with_metal),
    "files damaged": damaged,
}
