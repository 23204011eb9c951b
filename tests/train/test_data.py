"""Batches: bags of different size side by side, and what is padded is masked and unknown."""

import numpy as np
import pytest
import torch
from monai.transforms import Compose

from spinenet.crops import BAG_ARRAYS, CropSpec, build_bag
from spinenet.datasets import load_dataset
from spinenet.datasets.cache import located_study, save_study
from spinenet.datasets.masks import locate_all
from spinenet.datasets.splits import DataConfig, split_studies
from spinenet.errors import DatasetError
from spinenet.labels import LEVELS, TARGET_INDEX, TARGETS, UNKNOWN, columns_of
from spinenet.locating.discs import LOCATOR_CLASSES, LOWEST_DISC, SIZE_MULTIPLE
from spinenet.readers import read_study
from spinenet.train.augment import CropBagd
from spinenet.train.data import (
    Draws,
    MultiSourceDataset,
    ReadLocatedd,
    ReadSlicesd,
    StudyBags,
    collate_bags,
    grader_loaders,
    locator_loaders,
    shuffled,
)
from spinenet.train.training_config import FitConfig, RandomiseConfig, TrainGraderConfig, TrainLocatorConfig
from spinenet.train.windows import collate_windows


@pytest.fixture(scope="module")
def split(phantom_root):
    return split_studies(DataConfig(name="phantom", root=str(phantom_root), folds=3, fold=0, validation=0.25))


def test_bags_of_different_size_are_padded_to_the_largest(item, spec):
    small = {**item, "located": tuple(replace_frames(one, 2) for one in item["located"][:1])}
    large, small = (CropBagd(spec)(one) for one in (item, small))
    batch = collate_bags([large, small])
    levels, slices = large["mask_LS"].shape
    assert batch["crops_LSHW"].shape == (2, levels, slices, spec.rows, spec.columns)
    assert torch.equal(batch["mask_LS"][1, :2, :3], torch.as_tensor(small["mask_LS"]))
    assert not batch["mask_LS"][1, 2:].any() and not batch["mask_LS"][1, :, 3:].any()
    assert (batch["grades_LT"][1, 2:] == UNKNOWN).all()
    for name in (*BAG_ARRAYS, "grades_LT"):
        assert torch.equal(batch[name][0], torch.as_tensor(large[name]))


def replace_frames(one, count):
    from dataclasses import replace

    return replace(one, frames=one.frames[:count])


def config(spec, **changes):
    return TrainGraderConfig(fit=FitConfig(batch_size=2), crop=spec, **changes)


def test_validation_bags_are_what_prediction_would_build(split, spec):
    bags = StudyBags(split.validation, ReadLocatedd(spec), Compose([CropBagd(spec)]), progress=False)
    for seen, study in zip((bags[index] for index in range(len(bags))), split.validation, strict=True):
        bag = build_bag(locate_all(read_study(study.source).series, study.masks), spec)
        for name in BAG_ARRAYS:
            assert np.array_equal(seen[name], getattr(bag, name))
        assert np.array_equal(seen["grades_LT"], study.grades_LT[bag.level_L])


def test_the_graders_loaders_hold_each_their_part_of_the_patients(split, spec):
    train, validation = grader_loaders(split, config(spec, seed=0))
    assert len(train.dataset) == len(split.train) and len(validation.dataset) == len(split.validation)
    batch = next(iter(train))
    assert batch["windows_MRC"].dtype == torch.uint8 and batch["grades_LT"].shape[2] == len(TARGETS)
    known = (batch["grades_LT"] != UNKNOWN).any(0).any(0)
    assert set(torch.nonzero(known).flatten().tolist()) == {
        TARGET_INDEX[name] for name in columns_of("spider").values()
    }


def test_two_runs_with_one_seed_see_the_same_batches(split, spec):
    first, again = (list(grader_loaders(split, config(spec, seed=5))[0]) for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for one, other in zip(first, again, strict=True) for name in one)


def test_without_validation_patients_there_is_no_validation_loader(phantom_root):
    everybody = split_studies(DataConfig(name="phantom", root=str(phantom_root), fold=-1, validation=0.0))
    assert grader_loaders(everybody, config(CropSpec(rows=16, columns=16)))[1] is None


def test_an_epoch_as_long_as_a_data_set_of_which_nothing_is_shown_is_refused():
    class Phantoms(MultiSourceDataset):
        sources = ["phantom"] * 3

    shares = DataConfig(name="spider", root="SPIDER", extra={"phantom": "P"}, shares={"spider": 0.5, "phantom": 0.5})
    with pytest.raises(DatasetError, match="SPIDER: no study to train on shows what is to be learnt, and an epoch is"):
        shuffled(Phantoms(), TrainGraderConfig(data=shares), collate_windows)


def test_an_epoch_has_every_sources_share_and_sees_each_study_before_any_twice():
    sources = ["spider"] * 6 + ["phantom"] * 20
    sampler = Draws(sources, {"spider": 1.0, "phantom": 2.0}, "spider", seed=0)
    epochs = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        epochs.append([draw.place for draw in sampler])
    first, second = epochs
    assert len(sampler) == len(first) == 18
    for epoch in (first, second):
        assert sorted(index for index in epoch if index < 6) == list(range(6))
    phantoms = [index for index in first + second if index >= 6]
    assert len(phantoms) == 24 and len(set(phantoms)) == 20


def test_prepared_studies_give_the_bags_that_their_files_give(split, spec, tmp_path):
    for study in split.train:
        located = locate_all(read_study(study.source).series, study.masks)
        save_study(tmp_path / f"{study.key}.npz", located_study("phantom", study, located), spec)
    prepared = load_dataset("phantom", tmp_path).studies
    direct = {study.key: study for study in split.train}
    cut = (ReadLocatedd(spec), Compose([CropBagd(spec)]))
    for study, bag in zip(prepared, StudyBags(prepared, *cut), strict=True):
        (expected,) = StudyBags([direct[study.key]], *cut, progress=False)
        assert np.array_equal(bag["grades_LT"], expected["grades_LT"])
        assert np.allclose(bag["crops_LSHW"], expected["crops_LSHW"], atol=1e-3)


def test_the_locator_learns_from_the_midline_and_its_neighbours(phantom_root):
    study = load_dataset("phantom", phantom_root).studies[0]
    items = ReadSlicesd(3)(study)
    assert len(items) == 6  # three slices of T1 and of T2
    for item in items:
        assert item["image"].shape == item["classes"].shape
        assert set(np.unique(item["classes"])) == set(range(len(LOCATOR_CLASSES)))
    assert len(ReadSlicesd(1)(study)) == 2


def test_locator_windows_have_one_size_and_validation_slices_fit_the_network(split):
    train, validation = locator_loaders(
        split,
        TrainLocatorConfig(
            fit=FitConfig(batch_size=2), randomise=RandomiseConfig(rows=96, columns=80), slices_per_volume=1
        ),
    )
    batch = next(iter(train))
    assert batch["image"].shape == (2, 1, 96, 80) and batch["classes"].shape == (2, 96, 80)
    assert batch["image"].dtype == torch.float32 and batch["classes"].dtype == torch.int64
    whole = next(iter(validation))
    assert whole["image"].shape[2] % SIZE_MULTIPLE == whole["image"].shape[3] % SIZE_MULTIPLE == 0
    assert whole["image"].shape[2:] == whole["classes"].shape[1:]
    assert (whole["classes"] == LOWEST_DISC).any()


def test_there_are_as_many_names_as_the_grades_have_rows(split):
    assert {study.grades_LT.shape for study in split.train} == {(len(LEVELS), len(TARGETS))}
