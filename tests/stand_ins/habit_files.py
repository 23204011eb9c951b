"""Phantoms as files: copies that may be changed, and the ways in which people hand them over."""

import pickle
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from habit_judge import Image, Person
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from spinenet.readers import find_studies, read_study
from spinenet.study import Series

Rng = np.random.Generator
Slices = dict[str, list[Dataset]]


@dataclass(frozen=True)
class Patient:
    """A phantom: its pickled files by series (``t1``, ``t2``, ``axial``), as series, and how it is graded as it is."""

    slices: Mapping[str, Sequence[bytes]]
    series: Sequence[Series]
    person: Person

    def files(self) -> Slices:
        """A copy that may be changed."""
        return {name: [pickle.loads(one) for one in several] for name, several in self.slices.items()}

    def images(self, files: Slices, **moved_mm: tuple[float, float, float]) -> dict[str, Image]:
        """Whose these are, and by how much the headers of a series were moved."""
        place = {name: moved_mm.get(name, (0.0, 0.0, 0.0)) for name in files}
        return {one.SOPInstanceUID: Image(self.person.name, place[name]) for name, ds in files.items() for one in ds}


def patient_of(folder: Path, person: Person) -> Patient:
    """A phantom that was written as DICOM, every series in a folder of its own."""
    slices = {one.name: [dcmread(file) for file in sorted(one.iterdir())] for one in sorted(folder.iterdir())}
    for one in (one for several in slices.values() for one in several):
        one.PatientBirthDate = "19700101"
    pickled = {name: [pickle.dumps(one) for one in several] for name, several in slices.items()}
    return Patient(pickled, read_study(find_studies([folder])[0]).series, person)


def every(files: Slices) -> list[Dataset]:
    return [one for several in files.values() for one in several]


def stated(files: Sequence[Dataset], **tags: object) -> None:
    """Headers with these values; None takes an element out."""
    for data in files:
        for keyword, value in tags.items():
            if value is None:
                data.pop(keyword, None)
            else:
                setattr(data, keyword, value)


def moved(files: Sequence[Dataset], offset_mm: Sequence[float]) -> None:
    for data in files:
        data.ImagePositionPatient = [
            round(float(a) + b, 6) for a, b in zip(data.ImagePositionPatient, offset_mm, strict=True)
        ]


def by_place(files: Sequence[Dataset]) -> list[Dataset]:
    return sorted(files, key=lambda one: float(one.ImagePositionPatient[0]))


def new_uids(files: Sequence[Dataset], *keywords: str) -> None:
    """One new UID for all of them under each keyword."""
    stated(files, **{keyword: generate_uid() for keyword in keywords})


def written(rng: Rng, files: Slices, out: Path, *, begins: str = "") -> None:
    """Files in one of the ways they come in; ``begins`` begins their names."""
    way = int(rng.integers(6))
    for number, (series, several) in enumerate(files.items()):
        for index in rng.permutation(len(several)):
            data = several[index]
            stem = [
                f"IM{index:04d}.dcm",
                f"{data.SOPInstanceUID}",
                f"{number}{index:05d}",
                f"MR.{data.SOPInstanceUID}.dcm",
            ][way % 4]
            folder = out / (series if way != 4 else "DICOM") / (f"{number:02d}" if way in (2, 4) else "")
            folder.mkdir(parents=True, exist_ok=True)
            data.save_as(folder / f"{begins}{stem}", enforce_file_format=True)
    if way in (1, 3):
        (out / "README.txt").write_text("from the archive")
        (out / "._IM0001.dcm").write_bytes(b"\x00\x05\x16\x07" + bytes(80))
        (out / "DICOMDIR").write_bytes(bytes(400))
    if way == 5:
        _packed(out, f"{begins}study.zip")


def _packed(out: Path, name: str) -> None:
    inside = [one for one in out.rglob("*") if one.is_file() and one.suffix != ".zip"]
    with zipfile.ZipFile(out / name, "w", zipfile.ZIP_DEFLATED if len(inside) % 2 else zipfile.ZIP_STORED) as archive:
        for one in inside:
            archive.write(one, one.relative_to(out))
            one.unlink()
