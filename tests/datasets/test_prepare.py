"""One pass from a data set's files to prepared studies: what is missing is made, what fails is said, nothing twice."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spinenet.crops import CropSpec, build_bag
from spinenet.datasets import load_dataset
from spinenet.datasets.cache import cached_studies, load_study
from spinenet.datasets.check import kept_lines
from spinenet.datasets.masks import locate_all
from spinenet.datasets.prepare import PROBLEMS, Job, prepare
from spinenet.datasets.rsna_points import RsnaPoints
from spinenet.labels import LEVELS, UNKNOWN, VIEWS, View
from spinenet.readers import StudySource, read_study
from spinenet.study import Note, Scope, Severity, Study, StudyLevels
from spinephantom import PhantomStudy
from spinephantom.write.nifti_files import write_nifti
from spinephantom.write.rsna_files import write_rsna, write_rsna_tables
from spinephantom.write.truth_files import truth_record, write_truth

SPEC = CropSpec()


@pytest.fixture(scope="module")
def phantoms_root(angled_study: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantoms")
    for name in ("1", "2"):
        write_nifti(angled_study, root, name)
        write_truth(root, truth_record(angled_study, name, "training"))
    return root


@pytest.fixture(scope="module")
def rsna_root(angled_study: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rsna")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spinephantom.write.rsna_files.MISTAKES", {})
        patch.setattr("spinephantom.write.rsna_files.POINT_ERROR_PX", 0.4)
        for seed in (1, 2):
            one = replace(angled_study, seed=seed)
            write_truth(root, {**truth_record(one, str(seed), "training"), **write_rsna(one, root)})
    write_rsna_tables(root)
    return root


def jobs(name: str, root: Path, out: Path, **how: object) -> list[Job]:
    return [Job(name, one, out, SPEC, **how) for one in load_dataset(name, root).studies]  # type: ignore[arg-type]


def problems(out: Path) -> dict[str, str]:
    with (out / PROBLEMS).open(newline="") as file:
        return {row["study"]: row["problem"] for row in csv.DictReader(file)}


def test_a_prepared_phantom_gives_the_bag_of_its_files(phantoms_root: Path, tmp_path: Path) -> None:
    todo = jobs("phantom", phantoms_root, tmp_path)
    assert [(one.key, one.problem) for one in prepare(todo)] == [("sub-1", ""), ("sub-2", "")]
    study = todo[0].study
    whole = build_bag(locate_all(read_study(study.source).series, study.masks), SPEC)
    kept = load_study(tmp_path / "sub-1.npz", SPEC)
    cut = build_bag(kept.located, SPEC)
    for name, array in whole.inputs().items():
        away = np.abs(array.astype(float) - cut.inputs()[name])
        assert away.max() < (0.03 if name in ("crops_LSHW", "tissue_LS3") else 1e-4)  # of the series' grey scale
        assert away.mean() < 0.004
    assert VIEWS.index(View.AXIAL_T2) in cut.view_LS[cut.mask_LS] and len(kept.raters_RLT) == 2
    assert (kept.grades_LT != UNKNOWN).sum() > 30


def test_rsna_studies_are_prepared_from_their_points(rsna_root: Path, tmp_path: Path) -> None:
    todo = jobs("rsna2024", rsna_root, tmp_path)
    outcomes = list(prepare(todo))
    assert all(one.series >= 4 for one in outcomes)
    read = load_study(cached_studies(tmp_path)[0], SPEC)
    assert read.dataset == "rsna2024" and {one.series.view for one in read.located} >= {
        View.SAGITTAL_T1, View.SAGITTAL_T2, View.AXIAL_T2,
    }  # fmt: skip
    bag = build_bag(read.located, SPEC)
    assert [LEVELS[index] for index in bag.level_L] == list(LEVELS[:5])


def test_what_is_there_is_not_made_again_and_what_failed_is_tried_again(rsna_root: Path, tmp_path: Path) -> None:
    first, second = jobs("rsna2024", rsna_root, tmp_path)
    empty = replace(second, study=replace(second.study, source=replace(second.study.source, folders=())))
    outcomes = list(prepare([first, empty]))
    assert [bool(one.series) for one in outcomes] == [True, False] and not second.path.exists()
    assert problems(tmp_path)[second.study.key] == "no image series in it"
    made = first.path.stat().st_mtime_ns
    assert [one.key for one in prepare([first, second])] == [second.study.key]
    assert first.path.stat().st_mtime_ns == made and second.path.exists()
    assert "no image series" not in problems(tmp_path).get(second.study.key, "")


def test_several_processes_write_the_same_bytes(phantoms_root: Path, tmp_path: Path) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    list(prepare(jobs("phantom", phantoms_root, alone)))
    done = list(prepare(jobs("phantom", phantoms_root, together), workers=2))
    assert sorted(one.key for one in done) == ["sub-1", "sub-2"]
    for path in cached_studies(alone):
        assert (together / path.name).read_bytes() == path.read_bytes()


def test_a_study_without_usable_points_is_left_to_the_locator(rsna_root: Path, tmp_path: Path, monkeypatch) -> None:
    def lost(study: Study, bundle: object) -> StudyLevels:
        return StudyLevels(
            study, (), (Note("no_sacrum", Scope.SERIES, "t2", "the sacrum is not in view", Severity.REFUSE),)
        )

    monkeypatch.setattr("spinenet.datasets.prepare.locate", lost)
    monkeypatch.setattr("spinenet.datasets.prepare._bundle", lambda path: None)
    monkeypatch.setattr("spinenet.datasets.prepare._locator", lambda path: "of this test")
    job = jobs("rsna2024", rsna_root, tmp_path)[0]
    (outcome,) = prepare([replace(job, study=replace(job.study, points=RsnaPoints((), {})))])
    assert outcome.series == 0 and "the sacrum is not in view" in outcome.problem


def moved_axial(source: StudySource) -> Study:
    """The study, the patient laid anew, 20 mm higher, before the axial slices."""
    study = read_study(source)
    up = np.eye(4)
    up[2, 3] = 20.0
    moved = (
        replace(one, affine_vox2mm=up @ one.affine_vox2mm) if one.plane == "axial" else one for one in study.series
    )
    return replace(study, series=tuple(moved))


def test_axial_stacks_are_prepared_though_every_series_has_a_frame_of_its_own_unless_the_image_denies_it(
    rsna_root: Path, tmp_path: Path, monkeypatch
) -> None:
    job = jobs("rsna2024", rsna_root, tmp_path)[0]
    assert len({one.frame_of_reference for one in read_study(job.study.source).series}) > 2
    (placed,) = prepare([job])
    assert "in another frame of reference" not in placed.problem
    assert all(placed.shown[f"subarticular_stenosis_{side}"] > 0 for side in ("left", "right"))
    monkeypatch.setattr("spinenet.datasets.level_sources.read_study", moved_axial)
    (denied,) = prepare([replace(job, out=tmp_path / "moved")])
    assert "in another frame of reference than the sagittal series" in denied.problem
    assert not any("subarticular" in name for name in denied.shown) and denied.shown["canal_stenosis"] > 0
    lines = list(kept_lines([job.study], denied.shown))
    assert any(line.startswith("  Left subarticular stenosis: 0 of ") for line in lines)


def test_where_the_locator_fails_levels_lie_where_the_points_say(rsna_root: Path, tmp_path: Path, monkeypatch) -> None:
    def lost(study: Study, bundle: object) -> StudyLevels:
        return StudyLevels(
            study, (), (Note("no_sacrum", Scope.SERIES, "t2", "the sacrum is not in view", Severity.REFUSE),)
        )

    monkeypatch.setattr("spinenet.datasets.prepare.locate", lost)
    monkeypatch.setattr("spinenet.datasets.prepare._bundle", lambda path: None)
    monkeypatch.setattr("spinenet.datasets.prepare._locator", lambda path: "of this test")
    (outcome,) = prepare(jobs("rsna2024", rsna_root, tmp_path, locator=True)[:1])
    assert outcome.series > 0 and "the sacrum is not in view; levels lie where the points say" in outcome.problem
