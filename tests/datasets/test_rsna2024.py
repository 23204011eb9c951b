"""RSNA 2024 in its official layout: labels, places in the patient, and every known trap told or handled."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spinenet.datasets import Dataset, LabelledStudy, load_dataset
from spinenet.datasets.points import located_by_points, named_by_points
from spinenet.datasets.rsna2024 import NOT_LUMBAR, read_tables
from spinenet.datasets.rsna_check import place_findings, point_findings
from spinenet.datasets.rsna_names import CONDITIONS
from spinenet.datasets.rsna_points import Mark, Point, canal_points, in_line, marks_of, point_frames
from spinenet.errors import DatasetError
from spinenet.labels import LEVELS, TARGET_INDEX, UNKNOWN, View
from spinenet.readers import opened, read_study
from spinephantom import PhantomStudy
from spinephantom.write.rsna_files import write_rsna, write_rsna_tables
from spinephantom.write.truth_files import truth_record, write_truth


def publish(study: PhantomStudy, root: Path, mistakes: dict[str, float], seeds: tuple[int, ...] = (1,)) -> Path:
    """RSNA's layout of the same patient as often as there are seeds, with mistakes as likely as told."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spinephantom.write.rsna_files.MISTAKES", mistakes)
        patch.setattr("spinephantom.write.rsna_files.POINT_ERROR_PX", 0.4)  # the pixels are three times the usual ones
        for seed in seeds:
            one = replace(study, seed=seed)
            write_truth(root, {**truth_record(one, str(seed), "training"), **write_rsna(one, root)})
    write_rsna_tables(root)
    return root


@pytest.fixture(scope="module")
def root(angled_study: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(angled_study, tmp_path_factory.mktemp("rsna"), {}, (1, 2))


@pytest.fixture(scope="module")
def dataset(root: Path) -> Dataset:
    return load_dataset("rsna2024", root)


@pytest.fixture
def copied(root: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(root, tmp_path / "copy"))


def edited(root: Path, table: str, change: Callable[[str], str]) -> None:
    path = root / table
    path.write_text("".join(change(line) for line in path.read_text().splitlines(keepends=True)))


def marks(root: Path, study: LabelledStudy) -> tuple[Mark, ...]:
    found, problems = marks_of(read_tables(root).points[study.key], opened(study.source).frames)
    assert problems == []
    return found


def test_labels_are_those_of_train_csv_and_empty_cells_are_unknown(root: Path, dataset: Dataset, copied: Path) -> None:
    assert len(dataset.studies) == 2 and dataset.studies[0].patient == dataset.studies[0].key
    grades_LT = dataset.studies[0].grades_LT
    known = grades_LT[:5, [TARGET_INDEX[condition.target] for condition in CONDITIONS]]
    assert set(np.unique(known[known != UNKNOWN])) in ({1}, {2})  # one rater calls all moderate, the other severe
    assert (grades_LT[5:] == UNKNOWN).all() and (grades_LT[:, TARGET_INDEX["pfirrmann"]] == UNKNOWN).all()
    edited(copied, "train.csv", lambda line: line.replace("Moderate", "", 1).replace("Severe", "", 1))
    column = TARGET_INDEX["canal_stenosis"]
    for study in load_dataset("rsna2024", copied).studies:
        assert study.grades_LT[LEVELS.index("L1/L2"), column] == UNKNOWN
        assert study.grades_LT[LEVELS.index("L2/L3"), column] != UNKNOWN


def test_a_study_is_read_from_its_folders_when_it_is_asked_for(dataset: Dataset, angled_study: PhantomStudy) -> None:
    source = dataset.studies[0].source
    assert source.frames == () and len(source.folders) >= 3
    views = [series.view for series in read_study(source).series]
    written = [stack.series.view for item in angled_study.series for stack in item.stacks]
    assert sorted(view for view in views if view) == sorted(written)


def test_points_lie_in_the_patient_where_the_structures_are(root: Path, dataset: Dataset, angled_study) -> None:
    truth = {(point.target, point.level): np.array(point.world_mm) for point in angled_study.keypoints}
    for study in dataset.studies:
        found = marks(root, study)
        assert len(found) > 20
        for mark in found:
            assert mark.inside
            assert np.linalg.norm(mark.world_mm - truth[mark.point.target, mark.point.level]) < 8.0  # 1.7 mm pixels


def test_frames_from_points_lie_in_the_discs(phantoms: tuple[PhantomStudy, ...]) -> None:
    away_mm, turned_deg = [], []
    for study in phantoms:
        points = {one.level: np.array(one.world_mm) for one in study.keypoints if one.target == "canal_stenosis"}
        frames = point_frames({level: points[level] for level in LEVELS if level in points})
        discs = {disc.level: disc.frame for disc in study.spine.discs}
        away_mm += [np.linalg.norm((one.center_mm - discs[one.level].center_mm)[1:]) for one in frames]
        turned_deg += [np.degrees(np.arccos(one.superior @ discs[one.level].axes[:, 2])) for one in frames]
    assert len(away_mm) == 5 * len(phantoms)
    assert np.median(away_mm) < 3.0 and np.quantile(away_mm, 0.9) < 8.0
    assert np.median(turned_deg) < 5.0


def test_every_series_gets_the_frames_and_axial_stacks_those_they_cross(root: Path, dataset: Dataset) -> None:
    study = dataset.studies[0]
    frames = point_frames(canal_points(marks(root, study)))
    located, _ = located_by_points(read_study(study.source).series, frames)
    sagittal = [one for one in located if one.series.plane == "sagittal"]
    assert {one.series.view for one in sagittal} == {View.SAGITTAL_T1, View.SAGITTAL_T2}
    assert all(len(one.frames) == 5 for one in sagittal)
    axial = [one for one in located if one.series.view is View.AXIAL_T2]
    assert {frame.level for one in axial for frame in one.frames} == set(LEVELS[:5])
    for one in sagittal:
        dark, bright, body, canal, disc = one.reference
        assert dark < disc < bright and dark < body < bright and (one.series.view is View.SAGITTAL_T1 or canal > disc)


def test_locator_names_give_way_to_those_of_the_points(root: Path, dataset: Dataset) -> None:
    study = dataset.studies[0]
    frames = point_frames(canal_points(marks(root, study)))
    located, _ = located_by_points(read_study(study.source).series, frames)
    same, said = named_by_points(located, frames)
    assert same == located and said == ""
    lower = tuple(replace(frame, level=LEVELS[LEVELS.index(frame.level) - 1]) for frame in frames[1:])
    shifted, said = named_by_points(tuple(replace(one, frames=lower) for one in located), frames)
    assert [frame.level for frame in shifted[0].frames] == [frame.level for frame in frames[1:]]
    assert said.startswith("the points name discs 1 level higher")
    far = tuple(replace(frame, center_mm=frame.center_mm + 60.0) for frame in frames)
    assert named_by_points(tuple(replace(one, frames=far) for one in located), frames)[0] == ()


@pytest.mark.parametrize("level", LEVELS[:5])
def test_a_canal_point_that_leaves_the_line_is_dropped_and_no_other(level: str) -> None:
    canal_mm = canal_points(list(usual_marks().values()))
    assert in_line(canal_mm) == (canal_mm, [])
    kept, dropped = in_line({**canal_mm, level: canal_mm[level] + np.array([0.0, 25.0, -20.0])})
    assert dropped == [level] and list(kept) == [name for name in canal_mm if name != level]


def usual_marks() -> dict[tuple[str, str], Mark]:
    """Points of a spine with a usual lordosis, each where a rater puts it."""
    heights = {
        "L5/S1": (0.0, 0.0),
        "L4/L5": (-10.0, 26.0),
        "L3/L4": (-14.0, 56.0),
        "L2/L3": (-12.0, 88.0),
        "L1/L2": (-6.0, 121.0),
    }
    canal = {level: np.array([0.0, y, z]) for level, (y, z) in heights.items()}
    places = {("canal_stenosis", level): point for level, point in canal.items()}
    for frame in point_frames(canal):
        for side, x in (("left", 1.0), ("right", -1.0)):
            foramen = frame.center_mm + 18.0 * frame.posterior + 9.5 * frame.superior
            recess = frame.center_mm + 23.0 * frame.posterior
            places[f"foraminal_stenosis_{side}", frame.level] = foramen + np.array([18.0 * x, 0, 0])
            places[f"subarticular_stenosis_{side}", frame.level] = recess + np.array([9.0 * x, 0, 0])
    return {key: Mark(Point("1", 1, *key, 0.0, 0.0), place, True) for key, place in places.items()}


def test_usual_points_have_nothing_odd_about_them() -> None:
    assert place_findings(list(usual_marks().values())) == []


def test_a_point_of_a_level_at_the_place_of_another_is_told() -> None:
    marks = usual_marks()
    moved = replace(
        marks["subarticular_stenosis_left", "L5/S1"], world_mm=marks["subarticular_stenosis_left", "L4/L5"].world_mm
    )
    marks["subarticular_stenosis_left", "L5/S1"] = moved
    assert place_findings(list(marks.values())) == [
        "subarticular_stenosis_left L5/S1 lies at L4/L5 of the canal points; a level mistake?"
    ]


def test_points_of_another_part_of_the_spine_are_told_by_their_distances() -> None:
    marks = [replace(mark, world_mm=mark.world_mm * 0.5) for mark in usual_marks().values()]
    assert "is not the distance of lumbar levels" in place_findings(marks)[0]


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("swapped foramina", "foraminal points: left and right are swapped at L5/S1, L4/L5"),
        ("far canal point", "canal point"),
        ("far foramen point", "mm from where the canal points put it"),
        ("recess level", "of the canal points; a level mistake?"),
    ],
)
def test_each_kind_of_mistake_is_found(angled_study: PhantomStudy, tmp_path: Path, mistake: str, said: str) -> None:
    publish(angled_study, tmp_path, {mistake: 1.0}, (3,))
    study = load_dataset("rsna2024", tmp_path).studies[0]
    findings = [str(one) for one in point_findings(study)]
    assert any(said in line for line in findings), findings
    assert all(line.startswith(f"study {study.key}: ") for line in findings)


def test_missing_double_undescribed_and_foreign_series_are_told(copied: Path) -> None:
    tables = read_tables(copied)
    study, series = next(iter(tables.series.items()))
    by_kind = {kind: one for one, kind in series.items()}
    shutil.rmtree(copied / "train_images" / study / by_kind["Sagittal T1"])
    shutil.copytree(copied / "train_images" / study / by_kind["Axial T2"], copied / "train_images" / study / "77")
    foreign = next(iter(NOT_LUMBAR))
    (copied / "train_images" / study / by_kind["Sagittal T2/STIR"]).rename(copied / "train_images" / study / foreign)
    dataset = load_dataset("rsna2024", copied)
    lines = "\n".join(map(str, dataset.findings))
    assert f"series {by_kind['Sagittal T1']} (Sagittal T1) is described but has no folder" in lines
    assert "series 77 has no description" in lines and f"series {foreign} is not lumbar" in lines
    assert f"study {study}: no Sagittal T1 series" in lines
    source = next(one for one in dataset.studies if one.key == study).source
    assert foreign not in {folder.name for folder, _ in source.folders}
    findings = "\n".join(str(one) for one in point_findings(next(one for one in dataset.studies if one.key == study)))
    assert "fewer than 3 canal points" in findings
    assert "graded without a point" in findings


def test_a_point_in_a_missing_instance_is_told(root: Path, dataset: Dataset) -> None:
    study = dataset.studies[0]
    point = replace(read_tables(root).points[study.key][0], instance=999)
    found, problems = marks_of([point], opened(study.source).frames)
    assert found == () and problems[0].startswith("canal_stenosis L1/L2: the image it names is missing")


def test_strange_words_and_broken_points_are_findings_not_grades(copied: Path) -> None:
    edited(copied, "train.csv", lambda line: line.replace("Moderate", "Mild", 1).replace("Severe", "Mild", 1))
    edited(copied, "train_label_coordinates.csv", lambda line: line.replace("L4/L5", "L6/L7"))
    dataset = load_dataset("rsna2024", copied)
    lines = "\n".join(map(str, dataset.findings))
    assert "spinal_canal_stenosis_l1_l2 'Mild' is not a grade; unknown" in lines
    assert "a point that cannot be read" in lines and "L6/L7" in lines


def test_labels_without_images_and_images_without_labels_are_left_out(copied: Path) -> None:
    first, second = sorted(path.name for path in (copied / "train_images").iterdir())
    shutil.rmtree(copied / "train_images" / first)
    (copied / "train_images" / "5").mkdir()
    dataset = load_dataset("rsna2024", copied)
    assert [study.key for study in dataset.studies] == [second]
    assert f"study {first}: labelled, but train_images/ holds no folder of it; left out" in map(str, dataset.findings)
    assert "study 5: images without labels; left out" in map(str, dataset.findings)


def test_what_is_not_the_download_is_refused_in_one_line(tmp_path: Path, copied: Path) -> None:
    with pytest.raises(DatasetError, match="not RSNA 2024's layout; expected train_images/"):
        load_dataset("rsna2024", tmp_path)
    (copied / "train_label_coordinates.csv").write_text("study_id,x\n1,2\n")
    with pytest.raises(DatasetError, match="columns missing: series_id"):
        load_dataset("rsna2024", copied)
