"""The segmenter: a pixel may be of any class that its label allows, samples say which, and a run can be resumed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage

from spinenet.datasets import load_dataset
from spinenet.datasets.masks import CANAL_VALUE, DISC_VALUE
from spinenet.datasets.outlines import BODIES, SACRUM_VALUE, UNSURE_VALUE, Outlines
from spinenet.datasets.splits import DataConfig
from spinenet.labels import View
from spinenet.locating.measuring.fine_crops import BACKGROUND, CANAL, COLUMNS, DISC, FINE_CLASSES, LOWER, ROWS, UPPER
from spinenet.study import Series
from spinenet.train.export import export_segmenter
from spinenet.train.losses import allowed_classes_loss
from spinenet.train.runs import train_segmenter
from spinenet.train.segmenter import held_out
from spinenet.train.segmenter.disc_crops import PlainDisc, RandDisc
from spinenet.train.segmenter.disc_samples import DiscSample, ReadDiscs, allowed_classes
from spinenet.train.segmenter.exported import open_segmenter
from spinenet.train.segmenter.loaders import collate_crops
from spinenet.train.segmenter.training_step import SegmenterModule, mean_dice
from spinenet.train.segmenter.unet import Segmenter
from spinenet.train.training_config import (
    DiscRandomiseConfig,
    FitConfig,
    LoggerConfig,
    SegmenterModelConfig,
    TrainerConfig,
    TrainSegmenterConfig,
)

ALIKE = torch.ones(len(FINE_CLASSES))


@pytest.fixture(scope="module")
def samples(phantom_root: Path) -> list[DiscSample]:
    return ReadDiscs(3)(load_dataset("phantom", phantom_root).studies[0])


def certain(class_: int) -> torch.Tensor:
    """Logits (1, C, 4, 4) that say one class everywhere."""
    logits = torch.full((1, len(FINE_CLASSES), 4, 4), -40.0)
    logits[:, class_] = 40.0
    return logits


def test_either_of_two_allowed_classes_is_right_and_a_third_is_wrong() -> None:
    allowed = torch.zeros(1, len(FINE_CLASSES), 4, 4, dtype=torch.bool)
    allowed[:, [BACKGROUND, LOWER]] = True
    lost = [float(allowed_classes_loss(certain(one), allowed, ALIKE)) for one in (BACKGROUND, LOWER, CANAL)]
    assert lost[0] == lost[1] == pytest.approx(0, abs=1e-5) and lost[2] > 10


def test_a_pixel_that_may_be_anything_teaches_nothing() -> None:
    logits = torch.randn(1, len(FINE_CLASSES), 4, 4, requires_grad=True)
    allowed_classes_loss(logits, torch.ones_like(logits, dtype=torch.bool), ALIKE).backward()
    assert logits.grad is not None and float(logits.grad.abs().max()) < 1e-6


def test_a_known_class_is_learnt_by_overlap_too() -> None:
    allowed = torch.zeros(1, len(FINE_CLASSES), 4, 4, dtype=torch.bool)
    allowed[:, DISC] = True
    right, wrong = (allowed_classes_loss(certain(one), allowed, ALIKE) for one in (DISC, CANAL))
    assert float(right) == pytest.approx(0, abs=1e-5) and float(wrong) > 80
    assert float(mean_dice(certain(DISC), allowed)) == 1 and float(mean_dice(certain(CANAL), allowed)) == 0


def test_each_drawn_tissue_is_its_own_class_and_other_discs_may_be_background(samples: list[DiscSample]) -> None:
    sample = next(one for one in samples if one.frame.level == "L3/L4")
    labels = np.array([[0, sample.disc, sample.disc + 1, sample.upper, sample.lower, CANAL_VALUE, 40]], np.uint8)
    classes = [set(np.flatnonzero(column)) for column in allowed_classes(sample, labels)[:, 0].T]
    assert sample.disc == DISC_VALUE + 3 and (sample.upper, sample.lower) == (3, 2)
    assert classes == [{BACKGROUND}, {DISC}, {DISC, BACKGROUND}, {UPPER}, {LOWER}, {CANAL}, {BACKGROUND}]


def test_a_sacrum_that_nobody_drew_may_be_wherever_nothing_else_is(samples: list[DiscSample]) -> None:
    sample = next(one for one in samples if one.frame.level == "L5/S1")
    allowed = allowed_classes(sample, np.array([[0, sample.upper, CANAL_VALUE]], np.uint8))
    assert sample.lower == 0
    assert [set(np.flatnonzero(column)) for column in allowed[:, 0].T] == [{BACKGROUND, LOWER}, {UPPER}, {CANAL}]


def test_crops_show_what_their_classes_say(samples: list[DiscSample]) -> None:
    item = PlainDisc()(next(one for one in samples if one.frame.level == "L4/L5"))
    middle = item["allowed"][:, ROWS // 2, COLUMNS // 2 - 9]
    assert set(np.flatnonzero(middle)) == {DISC}
    above, below = item["allowed"][UPPER], item["allowed"][LOWER]
    assert np.nonzero(above)[0].mean() < ROWS / 2 < np.nonzero(below)[0].mean()
    assert item["crop"].shape == (1, ROWS, COLUMNS) and 0 <= item["crop"].min() <= item["crop"].max() <= 1.2


def test_a_moved_crop_moves_with_its_classes_and_is_the_same_for_the_same_seed(samples: list[DiscSample]) -> None:
    moved = RandDisc(DiscRandomiseConfig(shift_mm=6.0))
    first, again, other = (moved.set_random_state(seed)(samples[2]) for seed in (1, 1, 2))
    assert np.array_equal(first["crop"], again["crop"]) and np.array_equal(first["allowed"], again["allowed"])
    assert not np.array_equal(first["allowed"], other["allowed"])


def square(middle: tuple[float, float]) -> np.ndarray:
    x, y = middle
    return np.array([[x - 25, y - 20], [x + 25, y - 20], [x + 25, y + 20], [x - 25, y + 20]], float)


@pytest.fixture(scope="module")
def outlined() -> list[DiscSample]:
    """The levels of six squares, one above the other, as outlines of bodies."""
    bodies = {name: square((190.0, 330.0 - 56 * number)) for number, name in enumerate(BODIES)}
    outlines = Outlines(bodies, (384, 384))
    affine = np.array([[4.0, 0, 0, 0], [0, 0, 0.7, 0], [0, -0.7, 0, 0], [0, 0, 0, 1]])
    picture = np.random.default_rng(0).random((1, 384, 384)).astype(np.float32)
    return list(ReadDiscs(1)._of(Series("t2", picture, affine, "sagittal", View.SAGITTAL_T2), outlines))


def test_outlines_teach_bodies_and_the_sacrum_and_leave_the_rest_open(outlined: list[DiscSample]) -> None:
    lowest = next(one for one in outlined if one.frame.level == "L5/S1")
    assert len(outlined) == 5 and (lowest.upper, lowest.lower) == (1, SACRUM_VALUE)
    labels = np.array([[0, 1, SACRUM_VALUE, UNSURE_VALUE, 2]], np.uint8)
    classes = [set(np.flatnonzero(column)) for column in allowed_classes(lowest, labels)[:, 0].T]
    open_ = {BACKGROUND, DISC, CANAL}
    assert classes == [open_, {UPPER}, {LOWER}, set(range(len(FINE_CLASSES))), open_]


def test_the_rim_of_an_outline_is_nobodys(outlined: list[DiscSample]) -> None:
    labels_RC = outlined[0].labels_RC
    assert labels_RC[330, 190] == SACRUM_VALUE and labels_RC[311, 190] == labels_RC[309, 190] == UNSURE_VALUE
    assert labels_RC[302, 190] == 0


def test_studies_without_label_images_have_no_discs_to_learn(phantom_root: Path) -> None:
    study = load_dataset("phantom", phantom_root).studies[0]
    assert ReadDiscs(3)(replace(study, masks={})) == []


def test_a_few_steps_lower_the_loss(samples: list[DiscSample]) -> None:
    torch.manual_seed(0)
    network = Segmenter(4, 4)
    batch = collate_crops([PlainDisc()(one) for one in samples[:8]])
    optimiser = torch.optim.AdamW(network.parameters(), 0.02)
    losses = []
    for _ in range(16):
        loss = allowed_classes_loss(network(batch["crop"]), batch["allowed"], ALIKE)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


def test_the_exported_segmenter_says_what_torch_says(samples: list[DiscSample], tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Segmenter(4, 4).eval()
    assert export_segmenter(network, tmp_path / "segmenter.onnx") < 1e-4
    crops = np.stack([PlainDisc()(one)["crop"] for one in samples[:3]])
    probabilities = open_segmenter(tmp_path)(crops[:, 0])
    assert probabilities.shape == (3, len(FINE_CLASSES), ROWS, COLUMNS)
    with torch.no_grad():
        assert np.allclose(probabilities, network(torch.as_tensor(crops)).softmax(1).numpy(), atol=1e-4)


def run(root: Path, out: Path, *, resume: bool = False) -> float | None:
    config = TrainSegmenterConfig(
        out=str(out),
        resume=resume,
        slices_per_volume=1,
        data=DataConfig(name="phantom", root=str(root), folds=3, fold=0, validation=0.25),
        fit=FitConfig(epochs=2, batch_size=4, max_batches=2, learning_rate=0.02),
        trainer=TrainerConfig(accelerator="cpu", threads=1),
        logger=LoggerConfig(tensorboard=False),
        model=SegmenterModelConfig(width=2, inner=2),
    )
    return train_segmenter(config, out)


def test_a_run_ends_in_a_segmenter_and_its_errors_on_test_patients_stopped_between_or_not(
    phantom_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    score = run(phantom_root, whole)
    assert score is not None and 0 <= score <= 1
    dice = pd.read_csv(whole / "dice.csv")
    assert set(dice["series"]) == {"t1", "t2"} and set(dice["class"]) == set(FINE_CLASSES[1:])
    assert dice["median"].between(0, 1).all()

    step = SegmenterModule.training_step

    def dies(module: SegmenterModule, batch: dict[str, torch.Tensor], index: int) -> torch.Tensor:
        if module.trainer.global_step == 3:
            raise MemoryError
        return step(module, batch, index)

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(SegmenterModule, "training_step", dies)
        run(phantom_root, stopped)
    assert not (stopped / "segmenter.onnx").exists()
    run(phantom_root, stopped, resume=True)
    crops = np.random.default_rng(0).random((2, ROWS, COLUMNS), np.float32)
    assert np.allclose(open_segmenter(whole)(crops), open_segmenter(stopped)(crops), atol=1e-5)


@pytest.mark.parametrize("blurred", [False, True])
def test_errors_are_told_by_how_blurred_the_border_is(phantom_root: Path, tmp_path: Path, *, blurred: bool) -> None:
    study = load_dataset("phantom", phantom_root).studies[0]

    def outline(crops_LHW: np.ndarray) -> np.ndarray:
        """The truth of each series in turn, sharp or blurred, all of it one pixel lower."""
        soft = np.roll(truths.pop(0), 1, axis=2)
        return ndimage.gaussian_filter(soft, (0, 0, 1.5, 1.5)) if blurred else soft

    truths: list[np.ndarray] = []
    with pytest.MonkeyPatch.context() as patch:
        true_masks = held_out.soft_masks

        def kept(*arguments: object) -> np.ndarray:
            truths.append(true_masks(*arguments))
            return truths[-1]

        patch.setattr(held_out, "soft_masks", kept)
        held_out.judge([study], outline, tmp_path)
    table = pd.read_csv(tmp_path / "measured.csv").set_index(["series", "measurement"])
    assert table["error_95_clear"].notna().any() != blurred
    assert table["error_95_blurred"].notna().any() == blurred
    if not blurred:  # moved as a whole, the masks have the sizes they had
        assert abs(table.loc[("t2", "height_middle_mm"), "bias"]) < 0.05
        assert (pd.read_csv(tmp_path / "dice.csv")["median"] > 0.8).all()
