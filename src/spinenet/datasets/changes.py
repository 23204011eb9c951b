"""Whether prepared studies are still what their data set says: which are to be made anew, and which are none of it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinenet.datasets.cache import LocatedStudy, is_of_this_version, load_labels
from spinenet.datasets.labelled import LabelledStudy
from spinenet.errors import DatasetError

SHOWN = 3
"""Files that a refusal names."""


def digest_of_inputs(study: LabelledStudy) -> str:
    """Twenty hex digits that stand for what places a study's levels: its points, and sizes and times of its files.

    Files are those of its images and label images, by name, so that a folder may be moved. Grades are not in it.
    """
    source = study.source
    digest = hashlib.sha256()
    _feed(digest.update, [source.volumes, source.frames, source.folders, source.wanted, study.masks, study.points])
    return digest.hexdigest()[:20]


def _feed(update: Callable[[bytes], object], value: Any) -> None:
    """Feed a value and all that it holds, in an order that does not depend on how it was put together."""
    if isinstance(value, Path):
        sidecar = value.with_name(value.name.partition(".nii")[0] + ".json")  # beside NIfTI
        for path in sorted(value.rglob("*")) if value.is_dir() else [value, *[sidecar] * (".nii" in value.name)]:
            on_disk = next(
                (one for one in (path, *path.parents) if one.is_file()), None
            )  # the archive, of one in a zip
            stat = on_disk and on_disk.stat()
            update(repr((path.name, stat and (stat.st_size, stat.st_mtime_ns))).encode())
    elif isinstance(value, np.ndarray):
        update(repr((value.shape, value.dtype.str)).encode() + value.tobytes())
    elif is_dataclass(value):
        _feed(update, [(type(value).__name__, *(getattr(value, field.name) for field in fields(value)))])
    elif isinstance(value, Mapping):
        _feed(update, sorted(value.items()))
    elif isinstance(value, list | tuple):
        update(f"{len(value)} of".encode())
        for one in value:
            _feed(update, one)
    else:
        update(f"{value!r};".encode())


def is_changed(study: LabelledStudy, path: Path) -> bool:
    """Whether the prepared study at ``path`` has other grades, another patient or other inputs than the study has now.

    Files prepared before inputs were noted are held against grades and patient alone. DatasetError where it is damaged.
    """
    if study.prepared is not None:  # the data set is the folder itself: nothing to hold it against
        return False
    stored = load_labels(path)
    made_from = stored.made_from
    return not _same_labels(study, stored) or (made_from != "" and made_from != digest_of_inputs(study))


def _same_labels(study: LabelledStudy, stored: LocatedStudy) -> bool:
    if study.patient != stored.patient or (study.published_RT is None) != (stored.published_RT is None):
        return False
    ours = (study.grades_LT, study.raters_RLT, study.published_RT)
    theirs = (stored.grades_LT, stored.raters_RLT, stored.published_RT)
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None)


def refuse_others(out: Path, dataset: str, studies: Sequence[LabelledStudy]) -> None:
    """DatasetError where ``out`` holds prepared studies that are not among these: training would learn from all."""
    keys = {study.key for study in studies}
    others = [
        path.name
        for path in sorted(out.glob("*.npz"))
        if path.stem not in keys or (is_of_this_version(path) and load_labels(path).dataset != dataset)
    ]
    if others:
        named = ", ".join(others[:SHOWN]) + (", ..." if len(others) > SHOWN else "")
        count = f"{len(others)} prepared file{'s' * (len(others) != 1)}"
        raise DatasetError(
            f"{out}: holds {count} of no study of this data set ({named}), which training would learn from too; "
            "choose another folder with out=, or delete them"
        )
