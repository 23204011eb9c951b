"""Anybody's studies with a table of grades beside them: DICOM, NIfTI or MHA, whatever the folders are called.

    ROOT/grades.csv        study, level, and a column a target (wide) or target and grade (long); patient where known
    ROOT/points.csv        optional: study, level and x, y, z (LPS mm), or series, slice, row, column of a disc's centre
    ROOT/...               the studies: a folder each, or files that begin alike (17_t1.nii.gz, 17_t2.nii.gz)

``study`` is a path relative to the table, or its key, as ``spinenet inspect ROOT`` or results name it; ROOT may also
name the table itself. Levels come from label images (SPIDER's values; ``masks/`` beside ``images/``, or ``_seg``,
``_mask`` after the name), else from points, else from the locator. What cannot be read is a finding, never a grade.
"""

import csv
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinenet.datasets.check import image_findings
from spinenet.datasets.labelled import Adapter, Dataset, Finding, Kind, LabelledStudy, no_grades
from spinenet.datasets.masks import LabelImage, MaskFile
from spinenet.datasets.points import MIN_POINTS, frames_of_centers
from spinenet.errors import DatasetError, ReadError, in_words, other_separator
from spinenet.labels import LEVELS, MAX_GRADES, TARGET, TARGET_INDEX, UNKNOWN, Target
from spinenet.readers import StudySource, find_studies
from spinenet.readers.dicom.assembly import SALT_FILE, study_key
from spinenet.study import LevelFrame, Study

GRADES_FILE, POINTS_FILE = "grades.csv", "points.csv"
GRADE_COLUMNS = ("corrected", "truth", "grade")
"""Of a long table the first that it has: what a rater put in place of a model's grade, what an evaluation held it
against, or simply the grade. The model's own grades in predictions.csv are no labels."""
MODEL_COLUMNS = (
    "label",
    "confident",
    "evidence",
    "refused",
    *(f"{one}_{k}" for one in "pu" for k in range(MAX_GRADES)),
)
MASK_WORDS = ("seg", "dseg", "mask", "label", "labels")
_ENDINGS = re.compile(r"(\.nii\.gz|\.nii|\.mha|\.mhd)$", re.IGNORECASE)

Row = Mapping[str, str]


@dataclass(frozen=True)
class Place:
    """The centre of one disc: (3,) in LPS mm, or where ``series`` names one, (slice, row, column) of its voxels.

    Voxels are counted from 0 in the canonical order of ``spinenet.study``: sagittal slices from the patient's right,
    rows downwards, columns backwards.
    """

    level: str
    values: tuple[float, float, float]
    series: str = ""


@dataclass(frozen=True)
class DiscPoints:
    """The centres of a study's discs that a table gives."""

    places: tuple[Place, ...]

    def frames(self, source: StudySource, study: Study) -> tuple[tuple[LevelFrame, ...], list[str]]:
        """Level frames through the centres."""
        series = {one.name: one for one in study.series}
        centers_mm, problems = {}, []
        for place in self.places:
            if not place.series:
                centers_mm[place.level] = np.array(place.values)
            elif place.series in series:
                centers_mm[place.level] = series[place.series].to_mm(np.array(place.values))
            else:
                have = ", ".join(series)
                problems.append(f"point of {place.level}: no series is called {place.series!r}; there are {have}")
        frames = frames_of_centers({level: centers_mm[level] for level in LEVELS if level in centers_mm})
        if not frames:
            problems.append(f"fewer than {MIN_POINTS} points, so that levels are those of the locator")
        return frames, problems


def load_table(root: Path) -> Dataset:
    """Read grades and file lists; raises DatasetError where the table is none or not one of its studies is there."""
    path = root if root.is_file() else root / GRADES_FILE
    rows = _rows(path, ("study", "level"))
    findings: list[Finding] = []
    grades = _grades(path, rows, findings)
    patients = {row["study"]: row.get("patient") or row["study"] for row in rows}
    points = _points(path.parent / POINTS_FILE, findings)
    for name in sorted(set(points) - set(grades)):
        findings.append(Finding(f"study {name}", "it has points and no grades; left out", Kind.UNUSED))
    sources = _sources(path.parent, grades, findings)
    studies = []
    for name, source in sources.items():
        masks = {one.name: mask for one in source.volumes if (mask := _mask_of(one.path)) is not None}
        grades_LT = consensus_of(grades[name])
        one = LabelledStudy(source.key, patients[name], source, grades_LT, masks, points=points.get(name))
        studies.append(replace(one, raters_RLT=grades[name]) if len(grades[name]) > 1 else one)
    if not studies:
        first = findings[-1] if findings else "it has no rows"
        raise DatasetError(f"{path}: none of its {len(grades)} studies can be read ({first})")
    return Dataset("table", tuple(studies), tuple(findings))


def _rows(path: Path, needed: Iterable[str]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [
                {str(key).strip().lower(): str(value or "").strip() for key, value in row.items()}
                for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"{path}: no table of grades can be read there ({in_words(error)}); see docs/how-to/own-data-set.md"
        ) from error
    missing = [column for column in needed if column not in (rows[0] if rows else {})]
    if missing:
        what = f"columns missing: {', '.join(missing)}{other_separator(list(rows[0]))}" if rows else "it has no rows"
        raise DatasetError(f"{path}: {what}")
    return rows


def _grades(path: Path, rows: list[dict[str, str]], findings: list[Finding]) -> dict[str, NDArray[np.int64]]:
    """Study -> (R, L, T) grades of a wide or a long table, one row of them a rater; one where it names no raters."""
    columns = list(rows[0])
    known = {"study", "patient", "level", "rater"}
    if "target" in columns:
        column = next((one for one in GRADE_COLUMNS if one in columns), None)
        if column is None or (column == "grade" and "p_0" in columns):
            what = "its grades are a model's" if column else "it has no column of grades"
            raise DatasetError(f"{path}: {what}; give the raters' in a column called {' or '.join(GRADE_COLUMNS)}")
        known |= {"target", *GRADE_COLUMNS, *MODEL_COLUMNS}
        cells = [(row, row["target"].lower(), row[column]) for row in rows]
    else:
        targets = [one for one in columns if one in TARGET]
        if not targets:
            raise DatasetError(f"{path}: no column is a target; they are called {', '.join(TARGET)}")
        known |= set(targets)
        cells = [(row, target, row[target]) for row in rows for target in targets]
    findings += [Finding(path.name, _unknown_column(one, known), Kind.UNUSED) for one in columns if one not in known]
    grades: dict[str, dict[str, NDArray[np.int64]]] = {}
    for row, target, text in cells:
        own = grades.setdefault(row["study"], {}).setdefault(row.get("rater", ""), no_grades())
        said = _set(own, row["level"], target, text) if text else ""
        if said:
            findings.append(Finding(f"study {row['study']}", said, Kind.NO_LABEL))
    return {study: np.stack(list(raters.values())) for study, raters in grades.items()}


def consensus_of(grades_RLT: NDArray[np.int64]) -> NDArray[np.int64]:
    """(L, T) the grade that most raters gave; between grades that as many gave, the lower one nearest to the middle.

    >>> consensus_of(np.array([[[2, 0]], [[3, UNKNOWN]], [[3, 1]]])).tolist()
    [[3, 0]]
    """
    middle_LT = no_grades()[: grades_RLT.shape[1], : grades_RLT.shape[2]]
    for place in np.ndindex(*middle_LT.shape):
        known = np.sort(grades_RLT[(slice(None), *place)])
        known = known[known != UNKNOWN]
        if known.size:
            counts = np.bincount(known)
            most = np.flatnonzero(counts == counts.max())
            middle_LT[place] = most[np.argmin(np.abs(most - known[(known.size - 1) // 2]))]
    return middle_LT


def _unknown_column(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, [*known, *TARGET], 1)
    return f"column {name!r} is not known and not read" + (f"; did you mean {near[0]!r}?" if near else "")


def _set(grades_LT: NDArray[np.int64], level: str, target: str, text: str) -> str:
    """Write one grade into its place; what is wrong with it, "" where nothing is."""
    where = f"{level} {target}"
    named = level_of(level)
    if named is None:
        return f"{where}: {level!r} is not a level; they are called {', '.join(LEVELS)}"
    if target not in TARGET:
        return f"{where}: not a target; they are called {', '.join(TARGET)}"
    grade = grade_of(TARGET[target], text)
    if grade is None:
        scale = ", ".join(map(str, TARGET[target].grades))
        return f"{where}: {text!r} is not a grade; its scale is {scale}"
    place = LEVELS.index(named), TARGET_INDEX[target]
    before = grades_LT[place]
    grades_LT[place] = grade if before in (UNKNOWN, grade) else UNKNOWN
    return f"{where}: graded twice and not alike; unknown" if before not in (UNKNOWN, grade) else ""


def level_of(text: str) -> str | None:
    """Level that a word means.

    >>> level_of("L4-L5"), level_of("l5_s1"), level_of("T12-L1"), level_of("L45"), level_of("L7")
    ('L4/L5', 'L5/S1', 'T12/L1', 'L4/L5', None)
    """
    plain = {re.sub(r"\W", "", level): level for level in LEVELS}
    short = {re.sub(r"/[LT]", "", level): level for level in LEVELS if level[0] == level.split("/")[1][0]}
    return (plain | short).get(re.sub(r"[\W_]", "", text.upper()))


def grade_of(target: Target, text: str) -> int | None:
    """Index of a grade given as its published value or its words, None where it is neither.

    >>> grade_of(TARGET["pfirrmann"], "4"), grade_of(TARGET["bulging"], "Present"), grade_of(TARGET["modic"], "9")
    (3, 1, None)
    """
    try:
        number = float(text)
    except ValueError:
        words = [one.lower() for one in target.words]
        return words.index(text.lower()) if text.lower() in words else None
    return target.grades.index(int(number)) if number.is_integer() and int(number) in target.grades else None


def _points(path: Path, findings: list[Finding]) -> dict[str, DiscPoints]:
    """Study -> its points; none where there is no such table."""
    if not path.is_file():
        return {}
    places: dict[str, list[Place]] = {}
    for row in _rows(path, ("study", "level")):
        place = _place(row)
        if place is None:
            text = f"a point that cannot be read ({', '.join(row.values())}); give level and x, y, z in LPS mm, or "
            findings.append(Finding(f"study {row['study']}", text + "series, slice, row, column", Kind.UNUSED))
        else:
            places.setdefault(row["study"], []).append(place)
    return {study: DiscPoints(tuple(found)) for study, found in places.items()}


def _place(row: Row) -> Place | None:
    level = level_of(row["level"])
    names = ("slice", "row", "column") if row.get("series") else ("x", "y", "z")
    try:
        first, second, third = (float(row[name]) for name in names)
    except (KeyError, ValueError):
        return None
    if level is None or not np.isfinite([first, second, third]).all():
        return None
    return Place(level, (first, second, third), row.get("series", ""))


def _sources(folder: Path, studies: Iterable[str], findings: list[Finding]) -> dict[str, StudySource]:
    """Study of the table -> where it lies, each under a key of its own."""
    sources: dict[str, StudySource] = {}
    by_key: dict[str, StudySource] | None = None
    for name in studies:
        if name and (folder / name).exists():
            found = _found_at(folder / name)
        else:
            by_key = _by_key(folder) if by_key is None else by_key
            found = by_key.get(name, f"no file, folder or study of this name below {folder}; its grades are left out")
        if isinstance(found, str):
            findings.append(Finding(f"study {name}", found, Kind.UNUSABLE))
        else:
            sources[name] = found
    keys: dict[str, int] = {}
    for name, source in sources.items():
        count = keys[source.key] = keys.get(source.key, 0) + 1
        sources[name] = source if count == 1 else replace(source, key=f"{source.key}-{count}")
    return sources


def _found_at(path: Path) -> StudySource | str:
    """The one study at a path, or what is wrong with it."""
    try:
        found = find_studies([path])
    except ReadError as error:
        return str(error)
    if len(found) > 1:
        return f"holds {len(found)} studies; name one of them: {', '.join(one.key for one in found[:5])}"
    return found[0].problem or found[0]


def _by_key(folder: Path) -> dict[str, StudySource]:
    """Studies below a folder by their keys; by those of an output folder too whose salt lies beside the table."""
    try:
        found = find_studies([folder])
        salt = (folder / SALT_FILE).read_bytes()[:64] if (folder / SALT_FILE).is_file() else b""
    except (ReadError, OSError):
        return {}
    salted = {study_key(one.identity, salt): one for one in found if salt and one.identity}
    return {**salted, **{one.key: one for one in found}}


def _mask_of(path: Path) -> LabelImage | None:
    """The label image of a NIfTI or MHA file, where there is one. What it leaves out may be there all the same."""
    stem, ending = _ENDINGS.sub("", path.name), path.name[len(_ENDINGS.sub("", path.name)) :]
    candidates = [path.with_name(f"{stem}_{word}{ending}") for word in MASK_WORDS]
    parts = path.parts
    if "images" in parts:
        place = len(parts) - 1 - parts[::-1].index("images")
        candidates.append(Path(*parts[:place], "masks", *parts[place + 1 :]))
    return next((MaskFile(one, whole=False) for one in candidates if one.is_file()), None)


TABLE = Adapter(load_table, image_findings, licence="that of your data", credit="your own")
