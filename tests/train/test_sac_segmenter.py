"""The segmenter of the dural sac: what it learns from, what is unknown beside a narrow volume, and how it is judged."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from spinenet.datasets import load_dataset
from spinenet.datasets.labelled import LabelledStudy
from spinenet.datasets.masks import CANAL_VALUE, LabelImage
from spinenet.datasets.splits import DataConfig
from spinenet.labels import View
from spinenet.locating.measuring.dural_sac import PIXEL_MM, SIDE
from spinenet.model.bundle import SAC as SAC_PART
from spinenet.study import LevelFrame, LocatedSeries, Series
from spinenet.train.runs import train_segmenter
from spinenet.train.segmenter.exported import open_segmenter
from spinenet.train.segmenter.sac_crops import PlainSac, RandSac, sac_classes
from spinenet.train.segmenter.sac_held_out import sac_errors, sac_rows
from spinenet.train.segmenter.sac_samples import OTHER, SAC, UNKNOWN, ReadSacs, SacSample, _of_volume
from spinenet.train.training_config import (
    DiscRandomiseConfig,
    FitConfig,
    LoggerConfig,
    SegmenterModelConfig,
    TrainerConfig,
    TrainSegmenterConfig,
)
from spinephantom import PhantomStudy
from spinephantom.phantom import PhantomStack
from spinephantom.write.nifti_files import write_nifti
from spinephantom.write.truth_files import truth_record, write_truth


@pytest.fixture(scope="module", name="root")
def fixture_root(angled_study: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom in its own layout, axial stacks with label images among it."""
    root = tmp_path_factory.mktemp("axial")
    for name in ("1", "2"):
        write_nifti(angled_study, root, name)
        write_truth(root, truth_record(angled_study, name, "training"))
    return root


@pytest.fixture(scope="module", name="study")
def fixture_study(root: Path) -> LabelledStudy:
    return load_dataset("phantom", root).studies[0]


@pytest.fixture(scope="module", name="samples")
def fixture_samples(study: LabelledStudy) -> list[SacSample]:
    return ReadSacs()(study)


def stacks(study: PhantomStudy) -> list[PhantomStack]:
    return [stack for item in study.series if item.view is View.AXIAL_T2 for stack in item.stacks]


def test_axial_slices_of_a_study_teach_the_sac_that_their_label_images_show(
    samples: list[SacSample], angled_study: PhantomStudy
) -> None:
    largest_mm2 = max(
        (mask_RC == CANAL_VALUE).sum() * float(np.prod(stack.series.spacing_mm[1:]))
        for stack in stacks(angled_study)
        for mask_RC in stack.mask_SRC
    )
    shown_mm2 = [(PlainSac()(one)["allowed"][SAC]).sum() * PIXEL_MM**2 for one in samples]
    assert {one.level for one in samples} >= {"L5/S1", "L4/L5", "L3/L4", "L2/L3", "L1/L2"}
    assert 0.85 * largest_mm2 < max(shown_mm2) < 1.1 * largest_mm2


def test_a_study_without_whole_label_images_has_no_sac_to_learn(study: LabelledStudy) -> None:
    assert ReadSacs()(replace(study, masks={})) == []
    partial: dict[str, LabelImage] = {name: replace(one, whole=False) for name, one in study.masks.items()}  # type: ignore[type-var]
    assert ReadSacs()(replace(study, masks=partial)) == []


@pytest.fixture(scope="module", name="narrow")
def fixture_narrow() -> SacSample:
    """A level of a sagittal volume 20 mm wide in which the sac is a tube of 6 mm radius behind the disc."""
    shape = (21, 80, 160)
    affine = np.array([[1.0, 0, 0, -10], [0, 0, 0.5, -20], [0, -0.5, 0, 20], [0, 0, 0, 1]])
    places_mm = np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    inside = np.hypot(places_mm[..., 0], places_mm[..., 1] - 26.0) < 6.0
    series = Series("t2", inside.astype(np.float32), affine, "sagittal", View.SAGITTAL_T2)
    frame = LevelFrame("L4/L5", np.zeros(3), np.array([0.0, 1, 0]), np.array([0.0, 0, 1]), 36.0, 9.0)
    located = LocatedSeries(series, (frame,), 10, np.zeros(5, np.float32))
    (sample,) = _of_volume(located, (inside * CANAL_VALUE).astype(np.uint8))
    return sample


def test_beside_a_narrow_volume_a_pixel_may_be_anything_and_within_it_the_sac_is_round(narrow: SacSample) -> None:
    allowed = PlainSac()(narrow)["allowed"]
    known = allowed.sum(0) == 1
    assert known[SIDE // 2].sum() * PIXEL_MM == pytest.approx(20.0, abs=1.5)
    assert (allowed[SAC] & known).sum() * PIXEL_MM**2 == pytest.approx(np.pi * 6.0**2, rel=0.1)  # in voxels of 1 mm
    assert sac_classes(np.array([[OTHER, SAC, UNKNOWN]], np.uint8)).T.tolist() == [
        [[True, False]],
        [[False, True]],
        [[True, True]],
    ]


def test_a_moved_slice_moves_with_its_label_and_is_the_same_for_the_same_seed(narrow: SacSample) -> None:
    plain = DiscRandomiseConfig(gamma=0, tissue=0, invert=0, field=0, blur=0, noise=0, saturate=0, scale=0)
    moved = RandSac(plain)
    first, again, other = (moved.set_random_state(seed)(narrow) for seed in (1, 1, 2))
    assert np.array_equal(first["crop"], again["crop"]) and np.array_equal(first["allowed"], again["allowed"])
    assert not np.array_equal(first["allowed"], other["allowed"])
    known = first["allowed"].sum(0) == 1
    sac = first["allowed"][SAC] & known
    assert first["crop"][0][sac].mean() > 0.9 > 0.2 > first["crop"][0][known & ~sac].mean()


def perfect(samples: list[SacSample]) -> NDArray[np.float32]:
    return np.stack([np.stack([~one, one]) for one in (PlainSac()(sample)["allowed"][SAC] for sample in samples)])


def test_a_perfect_outline_has_no_error_and_a_thinner_one_a_smaller_area(
    study: LabelledStudy, samples: list[SacSample]
) -> None:
    soft = perfect(samples).astype(np.float32)
    errors = sac_errors(pd.DataFrame(sac_rows(study, lambda crops: soft))).set_index("level")
    assert errors.loc["all", "slices"] == len(samples) and errors.loc["all", "dice"] > 0.97
    assert abs(errors.loc["all", "bias_mm2"]) < 3
    soft[:, SAC, : SIDE // 2] = 0
    thinner = sac_errors(pd.DataFrame(sac_rows(study, lambda crops: soft))).set_index("level")
    assert thinner.loc["all", "bias_mm2"] < -20 and thinner.loc["all", "dice"] < 0.9


def test_a_run_ends_in_a_part_that_outlines_sacs_and_its_errors_on_test_patients(root: Path, tmp_path: Path) -> None:
    config = TrainSegmenterConfig(
        out=str(tmp_path),
        outlines="sac",
        data=DataConfig(name="phantom", root=str(root), folds=2, fold=0, validation=0.0),
        fit=FitConfig(epochs=1, batch_size=4, max_batches=1),
        trainer=TrainerConfig(accelerator="cpu", threads=1),
        logger=LoggerConfig(tensorboard=False),
        model=SegmenterModelConfig(width=2, inner=2),
    )
    torch.manual_seed(0)
    train_segmenter(config, tmp_path)
    said = open_segmenter(tmp_path, SAC_PART)(np.zeros((2, SIDE, SIDE), np.float32))
    assert said.shape == (2, 2, SIDE, SIDE) and said.sum(1) == pytest.approx(1, abs=1e-4)
    assert set(pd.read_csv(tmp_path / "sac_errors.csv")["level"]) > {"all", "L4/L5"}
