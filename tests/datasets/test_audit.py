"""The audit of labels: grades that exclude each other, that no series shows, and level names one off."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spinenet.datasets import DATASETS, Adapter, load_dataset
from spinenet.datasets.audit import contradictions, disc_findings, point_names, read_points, unseen_labels
from spinenet.datasets.check import check_study
from spinenet.datasets.labelled import Kind, LabelledStudy, no_grades
from spinenet.datasets.masks import locate_all
from spinenet.datasets.synthetic import load_phantom
from spinenet.errors import DatasetError
from spinenet.labels import LEVELS, TARGET, TARGET_INDEX, View
from spinenet.readers import StudySource, read_study
from spinenet.study import LocatedSeries, Series


def study(**grades: int) -> LabelledStudy:
    """A study with these published grades at L4/L5."""
    grades_LT = no_grades()
    for target, grade in grades.items():
        grades_LT[1, TARGET_INDEX[target]] = TARGET[target].index_of(grade)
    return LabelledStudy("7", "7", StudySource("7", Path()), grades_LT)


@pytest.mark.parametrize(
    ("grades", "odd"),
    [
        ({"pfirrmann": 1, "narrowing": 1}, True),
        ({"pfirrmann": 1, "herniation": 1}, True),
        ({"pfirrmann": 5, "narrowing": 0}, True),
        ({"pfirrmann": 5, "narrowing": 1}, False),
        ({"pfirrmann": 2, "narrowing": 1, "herniation": 1}, False),
        ({"pfirrmann": 1}, False),
        ({"narrowing": 1}, False),
    ],
)
def test_grades_that_one_disc_cannot_have_together_are_told(grades: dict[str, int], odd: bool) -> None:
    found = list(contradictions(study(**grades)))
    assert len(found) == odd
    assert all(one.kind is Kind.DOUBT and "L4/L5 is graded pfirrmann" in one.text for one in found)


def test_labels_of_a_synthetic_study_are_beyond_doubt() -> None:
    doubtful = study(pfirrmann=1, herniation=1)
    described, prepared = DATASETS["phantom"], Path("7.npz")
    assert len(check_study(described, replace(doubtful, prepared=prepared), {})) == 1
    assert check_study(described, replace(doubtful, prepared=prepared, generator="maker 3"), {}) == []


def test_a_grade_that_no_series_of_the_study_can_show_is_told() -> None:
    def series(view: View | None) -> Series:
        return Series("one", np.zeros((1, 4, 4), np.float32), np.eye(4), "sagittal", view)

    graded = study(subarticular_stenosis_left=2, narrowing=1)
    (found,) = unseen_labels(graded, [series(View.SAGITTAL_T2), series(None)])
    assert str(found) == "7: subarticular_stenosis_left of 1 discs is graded, and no series shows it"
    assert list(unseen_labels(graded, [series(View.SAGITTAL_T1), series(View.AXIAL_T2)])) == []


def test_graded_discs_that_fit_the_mask_one_level_off_are_told_once() -> None:
    graded, seen = set(LEVELS[:5]), set(LEVELS[1:6])
    (found,) = disc_findings("7_t2", graded, seen)
    assert str(found) == "7_t2: the names of the graded discs fit its mask better one level higher"
    assert found.kind is Kind.NAMES
    assert [one.kind for one in disc_findings("7_t2", graded, set(LEVELS[:7]))] == [Kind.DISCS]
    assert list(disc_findings("7_t2", graded, graded)) == []


@pytest.fixture(scope="module")
def first(phantom_root: Path) -> LabelledStudy:
    return load_dataset("phantom", phantom_root).studies[0]


def shares(one: LocatedSeries) -> dict[str, float]:
    """Where points set by hand would lie: the height of each disc's back in its picture."""
    backs_mm = {frame.level: frame.center_mm + frame.depth_mm / 2 * frame.posterior for frame in one.frames[:5]}
    return {
        level: float(one.series.to_vox(back_mm)[1] / one.series.voxels_SRC.shape[1])
        for level, back_mm in backs_mm.items()
    }


def named_lower(right: dict[str, float]) -> dict[str, float]:
    return {LEVELS[LEVELS.index(level) - 1]: share for level, share in right.items() if level != "L5/S1"}


def test_points_that_name_discs_otherwise_are_told_and_others_are_not(first: LabelledStudy) -> None:
    located = locate_all(read_study(first.source).series, first.masks)
    right = shares(located[0])
    assert point_names(first, located[:1], right) == []
    (found,) = point_names(first, located[:1], named_lower(right))
    assert str(found) == "1_t1: 4 of 4 points set by hand name its discs 1 level lower" and found.kind is Kind.NAMES
    assert point_names(first, located[:1], dict.fromkeys(right, 0.98)) == []


def test_a_check_holds_names_against_the_points_of_its_patient(first: LabelledStudy) -> None:
    wrong = named_lower(shares(locate_all(read_study(first.source).series, first.masks)[0]))
    silent = Adapter(load_phantom, lambda study: [], licence="none", credit="nobody")
    assert {one.kind for one in check_study(silent, first, {"1": wrong})} == {Kind.NAMES}
    assert check_study(silent, first, {"2": wrong}) == []
    assert check_study(silent, replace(first, prepared=Path("1.npz")), {"1": wrong}) == []


def test_points_are_read_by_source_and_patient(tmp_path: Path) -> None:
    table = tmp_path / "points.csv"
    rows = ["source,patient,series,level,x_share,y_share", "spider,7,t2,L5/S1,0.5,0.7", "other,7,t2,L5/S1,0.5,0.6"]
    table.write_text("\n".join(rows) + "\n")
    assert read_points(table, "other") == {"7": {"L5/S1": 0.6}, "other-7": {"L5/S1": 0.6}}
    table.write_text("patient,level\n7,L5/S1\n")
    with pytest.raises(DatasetError, match="not a table of points with source, patient, level, y_share"):
        read_points(table, "other")
