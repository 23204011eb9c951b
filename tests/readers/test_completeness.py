"""A series that was copied in part is said to be, whichever of its images are missing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from spinenet.readers import find_studies, read_study
from spinenet.readers.dicom.completeness import MISSING


def said(folder: Path) -> list[str]:
    (source,) = find_studies([folder])
    return [note.text for note in read_study(source).notes if note.code == MISSING]


def write(patient: Any, folder: Path, *lacking: int, **tags: Any) -> None:
    stack = patient.stack(shape=(14, 24, 20)).having(SpacingBetweenSlices=4.0, **tags)
    for index, path in enumerate(patient.write(folder, stack)):
        if index + 1 in lacking:
            path.unlink()


@pytest.mark.parametrize(("lacking", "count"), [((4, 5), 2), ((3, 7, 8, 9, 12), 5), ((2, 4, 6, 8, 10, 12, 14), 6)])
def test_numbers_that_lack_among_the_images_are_missing_images(
    patient: Any, tmp_path: Path, lacking: tuple[int, ...], count: int
) -> None:
    write(patient, tmp_path, *lacking)
    (text,) = said(tmp_path)
    assert text.startswith(f"{14 - len(lacking)} of {14 - len(lacking) + count} images are there, by the numbers")


def test_the_last_images_are_missed_where_the_header_counts_them(patient: Any, tmp_path: Path) -> None:
    write(patient, tmp_path, *range(9, 15), NumberOfSeriesRelatedInstances=14)
    assert said(tmp_path) == ["8 of 14 images are there, by the header; copy the series again"]


def test_a_whole_series_lacks_nothing(patient: Any, tmp_path: Path) -> None:
    write(patient, tmp_path / "whole", NumberOfSeriesRelatedInstances=14)
    assert said(tmp_path / "whole") == []


@pytest.mark.parametrize(
    "numbers",
    [
        range(1, 28, 2),
        range(7, 147, 10),
        range(301, 315),
        [907, 12, 4411, 30021, 5, 7000, 81, 3333, 650, 15000, 222, 99, 4, 20000],
        [1] * 14,
    ],
)
def test_numbers_of_another_kind_miss_nothing(patient: Any, tmp_path: Path, numbers: Sequence[int]) -> None:
    stack = patient.stack(shape=(14, 24, 20)).having(SpacingBetweenSlices=4.0)
    patient.write(tmp_path, stack, lambda data, index: setattr(data, "InstanceNumber", numbers[index]))
    assert said(tmp_path) == []
