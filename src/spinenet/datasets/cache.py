"""Located studies on disk, trimmed to what crops can need: one .npz a study, from which training reads.

A trimmed study gives the same bag as the whole one, jittered or not, because the box around its levels holds every
pixel a crop of its CropSpec can reach and ends where the image ends. Series of any plane are carried alike: a sagittal
series with the frames found in it; every axial stack (one tilt of one series) as a LocatedSeries of its own whose
frames are those of the study's sagittal series, in the same world coordinates. What a box cannot reach is left out.
"""

import json
import zipfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.crops import CropSpec
from spinenet.datasets.grey_values import HeldSeries, packed, shape_alone, unpacked, whole
from spinenet.datasets.labelled import Dataset, Finding, LabelledStudy
from spinenet.errors import DatasetError, in_words
from spinenet.labels import TARGET_INDEX, TARGETS, UNKNOWN, View
from spinenet.readers import StudySource
from spinenet.study import LevelFrame, LocatedSeries
from spinenet.system.files import replacing

MAX_ZOOM = 1.25
"""Largest factor by which a training crop may be wider than its spec."""
MAX_SHIFT_MM = 8.0
"""Largest shift of a frame or midline in training: five times the usual standard deviation."""
MAX_TURN_DEG = 20.0
AXIAL_MM = 20.0
"""How far above and below a disc axial slices are kept."""
MARGIN_PIXELS = 6
"""Pixels beside a crop that its smoothing and interpolation read."""

_FORMAT = 3
_GRADES = ("grades_LT", "raters_RLT", "published_RT")
_FACTS = ("key", "patient", "dataset", "generator", "made_from", "located_by")
_ARRAYS = ("stored", "grey_values", "affine", "frames", "sizes", "reference")


@dataclass(frozen=True)
class LocatedStudy:
    """A labelled study after locating: ``dataset`` says where it is from, ``located`` holds its series with frames.

    ``grades_LT``, ``raters_RLT``, ``published_RT`` and ``generator`` as in LabelledStudy. ``made_from`` stands for the
    files and points it was made from (``datasets.changes``); empty where that was not noted. ``located_by`` is the
    SHA-256 of the locator that placed its levels; empty where label images or points did, or it was not noted.
    """

    key: str
    patient: str
    dataset: str
    grades_LT: NDArray[np.int64]
    located: tuple[LocatedSeries, ...]
    raters_RLT: NDArray[np.int64]
    published_RT: NDArray[np.int64] | None = None
    generator: str = ""
    made_from: str = ""
    located_by: str = ""


def located_study(dataset: str, study: LabelledStudy, located: Sequence[LocatedSeries]) -> LocatedStudy:
    """A labelled study with what was located in it."""
    return LocatedStudy(
        study.key,
        study.patient,
        dataset,
        study.grades_LT,
        tuple(located),
        study.raters_RLT,
        study.published_RT,
        study.generator,
    )


def reach_mm(spec: CropSpec, plane: str) -> NDArray[np.float64]:
    """How far crops of one plane reach from a disc's centre, (3,) in mm to both sides: left, posterior, superior."""
    turn = np.sin(np.deg2rad(MAX_TURN_DEG))
    pixel_mm = spec.axial_pixel_mm if plane == "axial" else spec.pixel_mm
    height, width = (MAX_ZOOM * pixel_mm * count / 2 for count in (spec.rows, spec.columns))
    if plane == "axial":
        far = spec.axial_shift_mm + height + width * turn + MAX_SHIFT_MM
        return np.array([width + height * turn + MAX_SHIFT_MM, far, AXIAL_MM + MAX_SHIFT_MM])
    far = spec.posterior_shift_mm + width + height * turn + MAX_SHIFT_MM
    up = height + (width + spec.posterior_shift_mm) * turn + MAX_SHIFT_MM
    return np.array([spec.reach_mm + MAX_SHIFT_MM, far, up])


def trimmed(one: LocatedSeries, spec: CropSpec) -> LocatedSeries | None:
    """The series cut to the box that crops of its levels can reach, positions unchanged; None where it shows none.

    Of a sagittal series only slices near the midline are kept; of an axial stack those that pass near a disc.
    """
    if not one.frames:
        return None
    shape = np.array(one.series.voxels_SRC.shape)
    low_3, high_3 = _box(one, reach_mm(spec, one.series.plane))
    if (high_3 < 0).any() or (low_3 >= shape).any():
        return None
    low_3, high_3 = np.clip(low_3, 0, shape - 1), np.clip(high_3, 0, shape - 1)
    box = tuple(slice(int(low), int(high) + 1) for low, high in zip(low_3, high_3, strict=True))
    affine = one.series.affine_vox2mm.copy()
    affine[:3, 3] += affine[:3, :3] @ low_3
    voxels_SRC = np.ascontiguousarray(one.series.voxels_SRC[box])
    midline = int(np.clip(one.midline_slice - low_3[0], 0, len(voxels_SRC) - 1))
    return replace(one, series=replace(one.series, voxels_SRC=voxels_SRC, affine_vox2mm=affine), midline_slice=midline)


def _box(one: LocatedSeries, reach: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last voxel index (3,) of the box around all frames, not yet clipped to the image."""
    signs = np.stack(np.meshgrid(*[(-1.0, 1.0)] * 3, indexing="ij"), -1).reshape(-1, 3)
    corners_mm = []
    for frame in one.frames:
        axes = np.stack([np.cross(frame.posterior, frame.superior), frame.posterior, frame.superior])
        corners_mm.append(frame.center_mm + signs * reach @ axes)
    corners = one.series.to_vox(np.concatenate(corners_mm))
    margin = np.array([1, MARGIN_PIXELS, MARGIN_PIXELS])
    return np.floor(corners.min(0)).astype(int) - margin, np.ceil(corners.max(0)).astype(int) + margin


def save_study(path: Path, study: LocatedStudy, spec: CropSpec) -> LocatedStudy:
    """Write a study trimmed for crops of ``spec`` and smaller ones; returns the trimmed one.

    Grey values come back as ``grey_values`` says, the rest exactly. The file appears under its name only when it is
    whole, so that an interrupted run can be resumed.
    """
    cut = replace(study, located=tuple(one for each in study.located if (one := trimmed(each, spec)) is not None))
    arrays: dict[str, NDArray[Any]] = {"grades_LT": cut.grades_LT, "raters_RLT": cut.raters_RLT}
    if cut.published_RT is not None:
        arrays["published_RT"] = cut.published_RT
    for index, one in enumerate(cut.located):
        arrays |= {f"{name}_{index}": array for name, array in _arrays_of(one).items()}
    about = {
        "format": _FORMAT,
        "key": cut.key,
        "patient": cut.patient,
        "dataset": cut.dataset,
        "generator": cut.generator,
        "made_from": cut.made_from,
        "located_by": cut.located_by,
        "targets": [target.name for target in TARGETS],
        "reach_mm": _reaches(spec),
        "series": [_facts_of(one) for one in cut.located],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]
    return cut


def load_study(path: Path, spec: CropSpec) -> LocatedStudy:
    """Read a study for crops of ``spec``; DatasetError where the file is damaged or was trimmed for smaller crops."""
    study = load_held(path, spec)
    return replace(study, located=tuple(map(whole, study.located)))


def load_held(path: Path, spec: CropSpec) -> LocatedStudy:
    """The same with series that stay in bytes, as training holds them."""
    about, arrays = _read(path)
    if not _reaches_far_enough(about, spec):
        keys = f"crop.rows={spec.rows} crop.columns={spec.columns} crop.pixel_mm={spec.pixel_mm:g}"
        raise DatasetError(f"{path}: trimmed for smaller crops than are asked for; prepare the data again with {keys}")
    located = [_series_of(facts, index, arrays) for index, facts in enumerate(about["series"])]
    return replace(_labels_of(about, arrays), located=tuple(located))


def is_wide_enough(path: Path, spec: CropSpec) -> bool:
    """Whether a file was not trimmed for smaller crops than those of ``spec``."""
    return _reaches_far_enough(_read(path, ())[0], spec)


def load_labels(path: Path) -> LocatedStudy:
    """Key, patient and grades of a study without its series (``located`` is empty): quick, for splits and counts."""
    return _labels_of(*_read(path, _GRADES))


def cached_studies(folder: Path) -> list[Path]:
    """The files of a cache folder in order of their names; DatasetError where there are none."""
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise DatasetError(f"{folder}: no prepared studies; make them with spinenet prepare")
    return paths


def is_cache(folder: Path) -> bool:
    """Whether a folder holds prepared studies."""
    return any(folder.glob("*.npz"))


def load_prepared(name: str, folder: Path) -> Dataset:
    """The labels of a cache folder as a data set, matched by the names of targets; its studies are read with
    ``load_study``."""
    studies = []
    for path in cached_studies(folder):
        labels = load_labels(path)
        source = StudySource(labels.key, path)
        studies.append(
            LabelledStudy(
                labels.key,
                labels.patient,
                source,
                labels.grades_LT,
                raters_RLT=labels.raters_RLT,
                published_RT=labels.published_RT,
                prepared=path,
                generator=labels.generator,
            )
        )
    return Dataset(name, tuple(studies), _differences(studies[0].source.location))


def _reaches_far_enough(about: dict[str, Any], spec: CropSpec) -> bool:
    return all(np.all(np.array(about["reach_mm"][plane]) >= needed) for plane, needed in _reaches(spec).items())


def _reaches(spec: CropSpec) -> dict[str, list[float]]:
    return {plane: np.round(reach_mm(spec, plane), 3).tolist() for plane in ("sagittal", "axial")}


Arrays = Mapping[str, NDArray[Any]]


def is_of_this_version(path: Path) -> bool:
    """Whether a file can be read; one that another version prepared cannot. DatasetError where it is damaged."""
    return bool(_opened(path, ())[0].get("format") == _FORMAT)


def _read(path: Path, names: Collection[str] | None = None) -> tuple[dict[str, Any], Arrays]:
    """The facts of a file and its arrays, all or those of ``names``; DatasetError where it is damaged or not ours."""
    about, arrays = _opened(path, names)
    if about.get("format") != _FORMAT:
        raise DatasetError(
            f"{path}: prepared by another version; spinenet prepare with out={path.parent} makes it again"
        )
    return about, arrays


def _opened(path: Path, names: Collection[str] | None) -> tuple[dict[str, Any], Arrays]:
    try:
        with np.load(path) as stored:
            about = json.loads(str(stored["about"]))
            return about, {name: stored[name] for name in stored.files if names is None or name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetError(f"{path}: not a prepared study ({in_words(error)}); remove it and prepare again") from error


def _labels_of(about: dict[str, Any], arrays: Arrays) -> LocatedStudy:
    grades: dict[str, Any] = {name: _by_name(arrays[name], about["targets"]) for name in _GRADES if name in arrays}
    facts = {
        name: about.get(name, "") for name in ("key", "patient", "dataset", "generator", "made_from", "located_by")
    }
    return LocatedStudy(located=(), **facts, **grades)


def _by_name(grades_XT: NDArray[np.int64], targets: Sequence[str]) -> NDArray[np.int64]:
    """Grades of these targets as those of the label space: UNKNOWN where it has others, which were not prepared."""
    ours = np.full((*grades_XT.shape[:-1], len(TARGETS)), UNKNOWN)
    for index, name in enumerate(targets):
        if name in TARGET_INDEX:
            ours[..., TARGET_INDEX[name]] = grades_XT[..., index]
    return ours


def _differences(path: Path) -> tuple[Finding, ...]:
    """What a file was prepared without, and with what that is not known here."""
    prepared = _read(path, ())[0]["targets"]
    without = [name for name in TARGET_INDEX if name not in prepared]
    unknown = [name for name in prepared if name not in TARGET_INDEX]
    said = [(without, "grades were not prepared"), (unknown, "prepared, but not in the label space; left out")]
    return tuple(Finding(str(path.parent), f"{', '.join(names)}: {words}") for names, words in said if names)


def _arrays_of(one: LocatedSeries) -> dict[str, NDArray[Any]]:
    """What of a located series is arrays."""
    stored, grey_values = packed(one.series.voxels_SRC)
    axes = np.array([[frame.center_mm, frame.posterior, frame.superior] for frame in one.frames])
    return {
        "stored": stored,
        "grey_values": grey_values,
        "affine": one.series.affine_vox2mm,
        "frames": axes,
        "sizes": np.array([[frame.depth_mm, frame.height_mm, frame.confidence] for frame in one.frames]),
        "reference": one.reference,
    }


def _facts_of(one: LocatedSeries) -> dict[str, Any]:
    series = one.series
    return {
        "name": series.name,
        "plane": series.plane,
        "view": series.view,
        "laterality_known": series.laterality_known,
        "shape": series.voxels_SRC.shape,
        "levels": [frame.level for frame in one.frames],
        "midline_slice": one.midline_slice,
    }


def _series_of(facts: dict[str, Any], index: int, arrays: Any) -> LocatedSeries:
    stored, grey_values, affine, frames, sizes, reference = (arrays[f"{name}_{index}"] for name in _ARRAYS)
    steps_SRC = unpacked(stored, facts["shape"])
    view = View(facts["view"]) if facts["view"] else None
    named = zip(facts["levels"], frames, sizes, strict=True)
    return LocatedSeries(
        HeldSeries(
            facts["name"],
            shape_alone(steps_SRC),
            affine,
            facts["plane"],
            view,
            "",
            facts["laterality_known"],
            steps_SRC=steps_SRC,
            grey_values=grey_values,
        ),
        tuple(LevelFrame(level, *axes, *map(float, size)) for level, axes, size in named),
        facts["midline_slice"],
        reference,
    )
