"""Sudirman's 515 patients of one hospital (Mendeley k57fr854j2), Pfirrmann grades of LSMA-PQR (p3r4xd2488); CC BY 4.0.

The pictures lie below ROOT in one of these layouts, the fullest that is there is read:

    01_MRI_Data/<patient>/<study>/<T2_TSE_SAG_384_0002 ...>/*.ima     k57fr854j2: whole series, DICOM
    images/<patient>_{t1,t2}.mha, vertebrae.json                      mid-sagittal slices, outlines of L1 to S1
    images_png/[sag_]T{1,2}_<patient>_S<slice>.png, masks_indexed/    LSMA-PQR: mid-sagittal pictures, masks

and the grades of the lowest three discs beside them in one of TABLES. Patients are numbers, padded with zeros or not.

Traps handled here: a body outlined twice under one name stands for its neighbour; where a body is missing between two
that are named as neighbours, or outlines lie beside the bodies (MISPLACED), levels are left to the locator; where hand
and outlines name all discs one apart (DOUBTFUL), nobody knows which disc was graded; six patients have no mid-sagittal
T2, so that nothing shows what was graded; names of pictures carry stray blanks; a patient may have several studies;
slice numbers of pictures name no place.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from spinenet.datasets.check import image_findings
from spinenet.datasets.labelled import Adapter, Dataset, Finding, Kind, LabelledStudy, no_grades
from spinenet.datasets.masks import CANAL_VALUE, DISC_VALUE, LabelImage
from spinenet.datasets.outlines import Outlines, Polygon, missing_body, named_bodies
from spinenet.errors import DatasetError, in_words
from spinenet.labels import LEVELS, TARGET, TARGET_INDEX, View, columns_of
from spinenet.readers import StudySource, find_studies
from spinenet.readers.sources import Format, VolumeFile
from spinenet.study import Series

TABLES = ("pfirrmann.csv", "PfirrmannGrades.csv", "PfirrmannGrade.csv", "PfirrmannGrade_Updated.csv")
LEVEL_COLUMNS = {"D3": "L3/L4", "D4": "L4/L5", "D5": "L5/S1"}
PIXEL_MM, SHAPE = 0.6875, (384, 384)
"""Of the mid-sagittal pictures, all alike."""
MISPLACED = frozenset({"75", "249", "268", "332", "395"})
"""Outlines 7 to 25 mm beside the bodies they name."""
DOUBTFUL = frozenset({"52", "62", "69", "78", "265", "296", "322", "451"})
"""Transitional anatomy: the disc below the promontory is counted by the outlines and not by points set by hand."""

MIN_REGION_MM2 = 20.0

_BODY, _DISC, _SACRUM, _CANAL = 1, 2, 3, 4
_PICTURE = re.compile(r"(?:sag_)?T([12])_0*(\d+)_S\d+ *", re.IGNORECASE)
_SEQUENCE = re.compile(r"T([12])_.*SAG", re.IGNORECASE)
GRADED = next(iter(columns_of("sudirman").values()))


@dataclass(frozen=True)
class IndexedMask:
    """LSMA-PQR's label image of a mid-sagittal picture: 1 bodies, 2 discs, 3 the sacrum, 4 the canal, unnumbered.

    Bodies and discs are counted up from the sacrum. What lies above L1 is not drawn.
    """

    path: Path
    whole: bool = False

    def values(self, series: Series) -> NDArray[np.uint8]:
        """SPIDER's values; DatasetError without a sacrum to count from."""
        try:
            with Image.open(self.path) as picture:
                classes_RC = np.asarray(picture)
        except OSError as error:
            raise DatasetError(f"{self.path}: not a label image ({in_words(error)}); copy it again") from error
        if (1, *classes_RC.shape) != series.voxels_SRC.shape:
            raise DatasetError(f"{self.path}: mask is {classes_RC.shape}, its image {series.voxels_SRC.shape[1:]}")
        if not (classes_RC == _SACRUM).any():
            raise DatasetError(f"{self.path}: no sacrum, so that its discs cannot be counted")
        values_RC = np.where(classes_RC == _CANAL, CANAL_VALUE, 0).astype(np.uint8)
        for kind, before in ((_BODY, 0), (_DISC, DISC_VALUE)):
            for number, inside in enumerate(_from_below(classes_RC == kind), start=1):
                values_RC[inside] = before + number
        return values_RC[None]


def _from_below(drawn_RC: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Connected regions of a class from the lowest up, specks left out."""
    labelled_RC, count = ndimage.label(drawn_RC, structure=np.ones((3, 3)))
    regions = [labelled_RC == index for index in range(1, count + 1)]
    large = [one for one in regions if one.sum() * PIXEL_MM**2 >= MIN_REGION_MM2]
    return sorted(large, key=lambda one: -float(np.argwhere(one)[:, 0].mean()))


def load_sudirman(root: Path) -> Dataset:
    """Read grades and file lists; raises DatasetError where nothing has one of the layouts."""
    findings: list[Finding] = []
    sources, masks = _sources(root, findings)
    grades = _grades(root, findings)
    studies = []
    for patient in sorted(set(sources) | set(grades), key=int):
        if patient not in sources or patient not in grades:
            what = "graded, but without pictures" if patient in grades else "pictures without grades"
            findings.append(Finding(_called(patient), f"{what}; left out", Kind.UNUSABLE))
            continue
        grades_LT, said = _known(patient, grades[patient], sources[patient])
        findings += [Finding(_called(patient), one, Kind.NO_LABEL) for one in said]
        name = f"sudirman-{patient}"  # other data sets number their patients too
        source = replace(sources[patient], key=name)
        studies.append(
            LabelledStudy(name, name, source, grades_LT, masks.get(patient, {}), published_RT=grades[patient])
        )
    if not studies:
        raise DatasetError(f"{root}: no patient has both pictures and grades")
    return Dataset("sudirman", tuple(studies), tuple(findings))


def _known(patient: str, grades_LT: NDArray[np.int64], source: StudySource) -> tuple[NDArray[np.int64], list[str]]:
    """The grades that are of a known disc and that a series shows."""
    if patient in DOUBTFUL:
        return no_grades(), ["outlines and points set by hand name its discs one apart: all grades unknown"]
    shown = {volume.name for volume in source.volumes} | {f"t{one}" for one in _weightings(source.folders)}
    if "t2" not in shown:
        return no_grades(), ["no T2 series: all grades unknown"]
    return grades_LT, []


def _called(patient: str) -> str:
    return f"patient {patient}"


Masks = dict[str, dict[str, LabelImage]]
"""Patient -> series -> label image."""


def _sources(root: Path, findings: list[Finding]) -> tuple[dict[str, StudySource], Masks]:
    """Patient -> where the pictures lie, and label images where there are any."""
    whole, slices, pictures = (root / name for name in ("01_MRI_Data", "images", "images_png"))
    if whole.is_dir():
        return dict(_dicom_sources(whole, findings)), {}
    if slices.is_dir():
        sources = {str(int(one.key)): one for one in find_studies([slices]) if one.key.isdecimal()}
        return sources, _outlined(root / "vertebrae.json", sources, findings)
    if pictures.is_dir():
        return _picture_sources(pictures)
    raise DatasetError(
        f"{root}: no pictures of Sudirman's patients; expected 01_MRI_Data/, images/ or images_png/ in it "
        "(see data/README.md for the download)"
    )


def _dicom_sources(folder: Path, findings: list[Finding]) -> Iterator[tuple[str, StudySource]]:
    """One study a patient: the first that has sagittal T1 and T2, else the first that has either."""
    for path in sorted(one for one in folder.iterdir() if one.is_dir() and one.name.isdecimal()):
        patient = str(int(path.name))
        studies = [_series_of(one) for one in sorted(path.iterdir()) if one.is_dir()]
        usable = sorted((one for one in studies if one), key=lambda one: -len(_weightings(one)))
        if not usable:
            findings.append(Finding(_called(patient), "no sagittal series", Kind.UNUSABLE))
            continue
        if len(usable) > 1:
            findings.append(Finding(_called(patient), f"{len(usable)} studies; the first of the fullest is used"))
        yield patient, StudySource(patient, path, (Format.DICOM,), folders=usable[0])


Folders = tuple[tuple[Path, str], ...]
"""Series with the words that their folders have for them."""


def _series_of(study: Path) -> Folders:
    """The series of a study, none where no sagittal one is among them; localizers are no series."""
    folders = tuple(
        (one, one.name)
        for one in sorted(study.iterdir())
        if one.is_dir() and not one.name.upper().startswith("LOCALIZER")
    )
    return folders if _weightings(folders) else ()


def _weightings(folders: Folders) -> set[str]:
    return {match[1] for _, words in folders if (match := _SEQUENCE.match(words))}


def _outlined(path: Path, sources: Mapping[str, StudySource], findings: list[Finding]) -> Masks:
    """Label images drawn from the outlines of each patient, where they can be trusted."""
    if not path.is_file():
        findings.append(Finding(path.name, "no outlines of vertebrae; levels can only be located"))
        return {}
    try:
        outlines = json.loads(path.read_text(encoding="utf-8"))
        bodies = {str(int(patient)): named_bodies(one) for patient, one in outlines.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path}: not outlines of vertebrae by patient and name ({in_words(error)})") from error
    masks: Masks = {}
    for patient, source in sources.items():
        named, said = bodies.get(patient, ({}, ""))
        if said:
            findings.append(Finding(_called(patient), said, Kind.NAMES))
        why = _unfit(patient, named)
        if why:
            findings.append(Finding(_called(patient), f"{why}; its levels can only be located", Kind.NAMES))
        else:
            masks[patient] = {volume.name: Outlines(named, SHAPE) for volume in source.volumes}
    return masks


def _unfit(patient: str, bodies: Mapping[str, Polygon]) -> str:
    """Why no levels can be taken from these outlines, "" where they can."""
    if len(bodies) < 2:
        return "fewer than two bodies are outlined"
    if patient in MISPLACED:
        return "outlines lie beside the bodies"
    apart = missing_body(bodies, PIXEL_MM)
    return f"a body between {apart} is not outlined, so that names may be one off" if apart else ""


def _picture_sources(folder: Path) -> tuple[dict[str, StudySource], Masks]:
    volumes: dict[str, list[VolumeFile]] = {}
    masks: Masks = {}
    for path in sorted(folder.glob("*.png")):
        match = _PICTURE.fullmatch(path.stem)
        if match:
            patient, name = match[2], f"t{match[1]}"
            view = View.SAGITTAL_T1 if name == "t1" else View.SAGITTAL_T2
            volumes.setdefault(patient, []).append(VolumeFile(path, name, view, PIXEL_MM))
            mask = folder.parent / "masks_indexed" / path.name
            if mask.is_file():
                masks.setdefault(patient, {})[name] = IndexedMask(mask)
    return {one: StudySource(one, folder, (Format.PNG,), tuple(several)) for one, several in volumes.items()}, masks


def _grades(root: Path, findings: list[Finding]) -> dict[str, NDArray[np.int64]]:
    """Patient -> grades, from the first table that is there."""
    path = next((root / name for name in TABLES if (root / name).is_file()), None)
    if path is None:
        raise DatasetError(f"{root}: no table of grades; expected one of {', '.join(TABLES)} in it")
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [
            {str(key).strip(): str(value or "").strip() for key, value in row.items()} for row in csv.DictReader(file)
        ]
    grades: dict[str, NDArray[np.int64]] = {}
    for row in rows:
        number = next((row[name] for name in ("patient", "PatientID", "Patient_ID") if name in row), "")
        graded = {row.get("level", ""): row[GRADED]} if GRADED in row else {
            level: row[column] for column, level in LEVEL_COLUMNS.items() if column in row
        }  # fmt: skip
        if not number.isdecimal() or not graded:
            raise DatasetError(f"{path}: expected patient, level and {GRADED}, or PatientID, D3, D4 and D5")
        patient = str(int(number))
        for level, text in graded.items():
            index = _grade_index(text)
            if index is None or level not in LEVELS:
                text = f"{level or 'a row without level'}: {text!r} is not a grade; unknown"
                findings.append(Finding(_called(patient), text, Kind.NO_LABEL))
            else:
                grades.setdefault(patient, no_grades())[LEVELS.index(level), TARGET_INDEX[GRADED]] = index
    return grades


def _grade_index(text: str) -> int | None:
    try:
        return TARGET[GRADED].index_of(int(text))
    except ValueError:
        return None


SUDIRMAN = Adapter(
    load_sudirman,
    image_findings,
    licence="CC BY 4.0",
    credit="Sudirman S, Al Kafri A, Natalia F, et al. Lumbar Spine MRI Dataset. Mendeley Data V2 (2019), "
    "doi 10.17632/k57fr854j2.2; Masood RF, Taj IA. LSMA-PQR. Mendeley Data V1 (2025), doi 10.17632/p3r4xd2488.1; "
    "outlines: project-h1lhu/backspine v3, Roboflow Universe. Changed: grey values, headers and outlines laid on",
)
