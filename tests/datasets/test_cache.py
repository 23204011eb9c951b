"""Prepared studies: smaller on disc, the same crops, and nothing read that does not fit."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from spinenet.crops import CropSpec, build_bag
from spinenet.datasets.cache import (
    LocatedStudy,
    cached_studies,
    load_labels,
    load_prepared,
    load_study,
    located_study,
    save_study,
    trimmed,
)
from spinenet.datasets.grey_values import packed, unpacked
from spinenet.datasets.labelled import LabelledStudy
from spinenet.datasets.masks import locate_from_mask
from spinenet.errors import DatasetError
from spinenet.labels import TARGET, TARGET_INDEX, UNKNOWN, View
from spinenet.readers import StudySource
from spinenet.study import LevelFrame, LocatedSeries, Series
from spinephantom import PhantomStudy

SPEC = CropSpec()


@pytest.fixture(scope="module")
def study(phantom: PhantomStudy) -> LocatedStudy:
    located = [locate_from_mask(item.series, item.mask_SRC) for item in phantom.series]
    source = StudySource("7", Path("nowhere"))
    published_RT = phantom.grades_LT[:3] + 1
    raters_RLT = np.stack([phantom.grades_LT] * 3)
    labelled = LabelledStudy("7", "7", source, phantom.grades_LT, {}, raters_RLT, published_RT, generator="maker 3")
    return located_study("phantom", labelled, located)


@pytest.fixture(scope="module")
def path(study: LocatedStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cache") / "7.npz"
    save_study(path, study, SPEC)
    return path


def bags_agree(one: LocatedStudy, other: LocatedStudy, spec: CropSpec) -> bool:
    first, second = build_bag(one.located, spec), build_bag(other.located, spec)
    return all(
        np.allclose(a, b, atol=1e-4) for a, b in zip(first.inputs().values(), second.inputs().values(), strict=True)
    )


def test_a_trimmed_study_gives_the_same_bag_as_the_whole_one(study: LocatedStudy, path: Path) -> None:
    cut = load_study(path, SPEC)
    whole, kept = (sum(one.series.voxels_SRC.size for one in each.located) for each in (study, cut))
    assert kept < 0.85 * whole
    assert bags_agree(study, cut, SPEC)


@pytest.mark.parametrize("turn_deg, forward_mm, up_mm, zoom", [(15, 6, 5, 1.2), (-15, -6, -5, 1.2), (8, -7, 7, 0.8)])
def test_so_does_one_whose_frames_were_moved_for_training(
    study: LocatedStudy, path: Path, turn_deg: float, forward_mm: float, up_mm: float, zoom: float
) -> None:
    cos, sin = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))

    def moved(frame: LevelFrame) -> LevelFrame:
        return replace(
            frame,
            center_mm=frame.center_mm + forward_mm * frame.posterior + up_mm * frame.superior,
            posterior=cos * frame.posterior + sin * frame.superior,
            superior=cos * frame.superior - sin * frame.posterior,
        )

    def jittered(one: LocatedStudy) -> LocatedStudy:
        located = tuple(replace(each, frames=tuple(map(moved, each.frames))) for each in one.located)
        return replace(one, located=located)

    wider = replace(SPEC, pixel_mm=zoom * SPEC.pixel_mm)
    assert bags_agree(jittered(study), jittered(load_study(path, SPEC)), wider)


def test_what_was_saved_is_what_is_read(study: LocatedStudy, path: Path) -> None:
    read, labels = load_study(path, SPEC), load_labels(path)
    for one in (read, labels):
        assert (one.key, one.patient, one.dataset, one.generator) == ("7", "7", "phantom", "maker 3")
        assert np.array_equal(one.grades_LT, study.grades_LT) and one.raters_RLT.shape == (3, *study.grades_LT.shape)
        assert one.published_RT is not None and np.array_equal(one.published_RT, study.grades_LT[:3] + 1)
    assert labels.located == () and [one.series.view for one in read.located] == [View.SAGITTAL_T1, View.SAGITTAL_T2]
    for one, whole in zip(read.located, study.located, strict=True):
        kept = trimmed(whole, SPEC)
        assert kept is not None and np.array_equal(one.series.voxels_SRC, kept.series.voxels_SRC)
        assert np.array_equal(one.frames[1].posterior, whole.frames[1].posterior)
        assert one.frames[1].level == "L4/L5" and one.frames[1].height_mm == whole.frames[1].height_mm


def test_positions_in_the_patient_stay_what_they_were(study: LocatedStudy) -> None:
    whole = study.located[0]
    cut = trimmed(whole, SPEC)
    assert cut is not None
    first_mm = cut.series.affine_vox2mm @ np.array([0, 0, 0, 1.0])
    first = np.rint(np.linalg.inv(whole.series.affine_vox2mm) @ first_mm).astype(int)[:3]
    assert cut.series.voxels_SRC[0, 0, 0] == whole.series.voxels_SRC[tuple(first)]
    assert cut.midline_slice + first[0] == whole.midline_slice


def axial(height_mm: float, voxels: np.ndarray) -> LocatedSeries:
    """An axial stack of 3 slices, 3 mm apart, at a height, with one disc at the origin."""
    affine = np.array([[0, 0, 0.5, -50.0], [0, 0.5, 0, -40.0], [3.0, 0, 0, height_mm], [0, 0, 0, 1.0]])
    series = Series("axial.0", voxels, affine, "axial", View.AXIAL_T2)
    frame = LevelFrame("L4/L5", np.zeros(3), np.array([0, 1.0, 0]), np.array([0, 0, 1.0]), 35.0, 10.0)
    return LocatedSeries(series, (frame,), 1, np.ones(5, np.float32))


def test_axial_slices_at_a_disc_stay_and_those_of_other_levels_go() -> None:
    voxels = np.ones((3, 200, 200), np.float32)
    near, far = trimmed(axial(-3.0, voxels), SPEC), trimmed(axial(60.0, voxels), SPEC)
    assert near is not None and near.series.voxels_SRC.shape[0] == 3
    assert far is None


def test_a_prepared_voxel_is_within_half_a_step_of_what_was_acquired() -> None:
    rng = np.random.default_rng(1)
    acquired_SRC = rng.gamma(2, 300, (3, 40, 50)).astype(np.float32) - 20
    stored, grey_values = packed(acquired_SRC)
    away = np.abs(grey_values[unpacked(stored, (3, 40, 50))] - acquired_SRC)
    span = acquired_SRC.max() - acquired_SRC.min()
    assert away.max() <= 0.004 * span
    assert away[acquired_SRC - acquired_SRC.min() <= span / 10].max() <= 0.0013 * span


@pytest.mark.parametrize("lowest", [0, -1024])
def test_integers_of_eight_bits_and_an_empty_image_come_back_exactly(lowest: int) -> None:
    eight_bits = (lowest + np.arange(256, dtype=np.float32)).reshape(1, 2, 128)
    for image in (eight_bits, np.full((2, 3, 4), 0.5, np.float32)):
        stored, grey_values = packed(image)
        assert np.array_equal(grey_values[unpacked(stored, image.shape)], image)


def test_prepared_voxels_take_less_than_a_byte(study: LocatedStudy, path: Path) -> None:
    voxels = sum(one.series.voxels_SRC.size for one in load_study(path, SPEC).located)
    assert path.stat().st_size < 0.9 * voxels


def test_crops_larger_than_the_study_was_trimmed_for_are_refused(path: Path) -> None:
    with pytest.raises(DatasetError, match="prepare the data again"):
        load_study(path, replace(SPEC, rows=2 * SPEC.rows))
    assert load_study(path, replace(SPEC, rows=SPEC.rows // 2)).located


def test_a_damaged_file_and_an_empty_folder_are_said_so(path: Path, tmp_path: Path) -> None:
    cut_short = tmp_path / "cut" / "7.npz"
    cut_short.parent.mkdir()
    cut_short.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DatasetError, match="not a prepared study"):
        load_study(cut_short, SPEC)
    assert cached_studies(cut_short.parent) == [cut_short]
    with pytest.raises(DatasetError, match="no prepared studies"):
        cached_studies(tmp_path)


def test_the_same_study_gives_the_same_bytes(study: LocatedStudy, path: Path, tmp_path: Path) -> None:
    save_study(tmp_path / "again.npz", study, SPEC)
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_grades_prepared_in_another_label_space_are_matched_by_name(
    study: LocatedStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache made when there was a target more, another was not yet there, and all stood in another order."""
    names = ["cyst", *reversed([name for name in TARGET if name != "bulging"])]
    columns = [TARGET_INDEX.get(name, 0) for name in names]
    older = replace(
        study,
        grades_LT=study.grades_LT[:, columns],
        raters_RLT=study.raters_RLT[..., columns],
        published_RT=None,
    )
    monkeypatch.setattr("spinenet.datasets.cache.TARGETS", [SimpleNamespace(name=name) for name in names])
    save_study(tmp_path / "7.npz", older, SPEC)
    monkeypatch.undo()
    read = load_study(tmp_path / "7.npz", SPEC)
    kept = [index for name, index in TARGET_INDEX.items() if name != "bulging"]
    assert np.array_equal(read.grades_LT[:, kept], study.grades_LT[:, kept])
    assert np.array_equal(read.raters_RLT[..., kept], study.raters_RLT[..., kept])
    assert (read.grades_LT[:, TARGET_INDEX["bulging"]] == UNKNOWN).all()
    assert tuple(map(str, load_prepared("phantom", tmp_path).findings)) == (
        f"{tmp_path}: bulging: grades were not prepared",
        f"{tmp_path}: cyst: prepared, but not in the label space; left out",
    )
