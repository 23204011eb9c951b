"""From packed studies to batches: which pictures a step shows, and how they move (``discs.moves``).

Shapes: N disc of a batch, M picture, V view, H W pixels, R C pixels of the classes, T target.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from monai.data import DataLoader
from numpy.typing import NDArray
from torch import Tensor

from spinenet.crops import DISC_PAIR, CropSpec
from spinenet.labels import LEVELS, TARGETS, UNKNOWN
from spinenet.train.data import Draw, Draws, MultiSourceDataset, shuffled
from spinenet.train.discs.disc_config import DiscAugmentConfig, TrainDiscsConfig
from spinenet.train.discs.moves import STILL, Moves
from spinenet.train.discs.packed import PackedStudy, can_show
from spinenet.train.training_config import RATER, TRUTH

ALWAYS = LEVELS.index("L2/L3") + 1
"""Levels below this are always shown."""
Item = dict[str, NDArray[Any]]
Pair = tuple[int, int]
"""Pictures of a disc in the places of DISC_PAIR; -1: none."""


class DiscStudies(MultiSourceDataset):
    """One item a study: as prediction shows it, or, of a Draw, moved by its chance. ``numbered`` are all data sets in
    the order by which a batch numbers them; ``labels`` says whose grades a Draw brings."""

    def __init__(
        self,
        studies: Sequence[PackedStudy],
        numbered: Sequence[str],
        config: DiscAugmentConfig,
        spec: CropSpec,
        labels: str = TRUTH,
    ) -> None:
        self.studies, self.config, self.spec, self.labels = studies, config, spec, labels
        self.sources = [one.source for one in studies]
        self.numbers = {name: number for number, name in enumerate(numbered)}

    def __getitem__(self, index: int | Draw) -> Item:
        if isinstance(index, Draw):
            rng = np.random.default_rng(index.seed)
            study = self.studies[index.place]
            if self.labels == RATER and len(study.raters_RLT):
                study = replace(study, grades_LT=rng.choice(study.raters_RLT))
            shown = drawn_discs(study, self.config, rng)
            moves = Moves(rng, self.config, self.spec)
        else:
            study = self.studies[index]
            shown, moves = plain_discs(study), Moves(np.random.default_rng(0), STILL, self.spec)
        return _item(study, shown, moves, self.numbers[study.source])


class EvenDraws(Draws):
    """Draws whose every stretch holds each source's share: five patients of one hospital and two of another a step."""

    def __iter__(self) -> Iterator[Draw]:
        parts = [self._items(order, name) for order, name in enumerate(self.counts)]
        when = np.concatenate([(np.arange(len(part)) + 0.5) / max(1, len(part)) for part in parts])
        seeds = np.random.default_rng([self.seed, self.epoch]).integers(0, 2**31, len(when))
        in_turn = np.concatenate(parts)[np.argsort(when, kind="stable")]
        for index, seed in zip(in_turn.tolist(), seeds.tolist(), strict=True):
            yield Draw(index, seed)


def plain_discs(study: PackedStudy) -> dict[int, Pair]:
    """Level -> pictures as ``crops.disc_views`` has them first: first T1 and first T2-like series, their own slices."""
    first = [_series_in(study, place_V)[:1] for place_V in range(len(DISC_PAIR))]
    return _pairs(study, [(series[0] if series else -1, 0) for series in first])


def drawn_discs(study: PackedStudy, config: DiscAugmentConfig, rng: np.random.Generator) -> dict[int, Pair]:
    """Level -> pictures of a step: graded discs, now and then another series, another slice, one view alone."""
    (t1, t2), slice_number = (_series_in(study, 0), _series_in(study, 1)), int(rng.integers(0, 2**31))
    second = t2[0] if t2 else -1
    if len(t2) > 1 and rng.random() < config.other_series:
        second = int(rng.choice(t2[1:]))
    first, dropped = t1[0] if t1 else -1, rng.random()
    if t1 and t2 and dropped < config.drop_t1 + config.drop_t2:
        first, second = (-1, second) if dropped < config.drop_t1 else (first, -1)
    pairs = _pairs(study, [(first, 0), (second, slice_number)])
    graded = [level for level in pairs if (study.grades_LT[level] != UNKNOWN).any()] or [*pairs]
    kept = [level for level in graded if level < ALWAYS or rng.random() < config.upper_levels] or graded
    if len(kept) > config.levels:
        kept = sorted(rng.choice(kept, config.levels, replace=False).tolist())
    return {level: pairs[level] for level in kept}


def _series_in(study: PackedStudy, place_V: int) -> list[int]:
    return [index for index, view in enumerate(study.views) if view in DISC_PAIR[place_V]]


def _pairs(study: PackedStudy, chosen: Sequence[tuple[int, int]]) -> dict[int, Pair]:
    """Level -> its pictures of the chosen (series, number of the slice from the midline outwards)."""
    pairs: dict[int, list[int]] = {}
    for place_V, (series, number) in enumerate(chosen):
        for level in np.unique(study.level_M[study.series_M == series]):
            rows = np.flatnonzero((study.series_M == series) & (study.level_M == level))
            rows = rows[np.argsort(np.abs(study.offset_M[rows]), kind="stable")]
            pairs.setdefault(int(level), [-1, -1])[place_V] = int(rows[number % len(rows)])
    return {level: (pairs[level][0], pairs[level][1]) for level in sorted(pairs)}


def _item(study: PackedStudy, shown: Mapping[int, Pair], moves: Moves, source: int) -> Item:
    """What ``render`` makes a study's pictures of, and what is known of them."""
    levels, pairs_NV = np.array([*shown], np.int64), np.array([*shown.values()], np.int64)
    disc_M, view_M = np.nonzero(pairs_NV >= 0)
    rows_M = pairs_NV[disc_M, view_M]
    wide = study.pictures_MHW.shape[1:]
    affine_N23 = moves.affine(len(levels), (wide[0], wide[1]))
    grey_V5 = np.stack([moves.grey() for _ in DISC_PAIR])
    grades_NT = study.grades_LT[levels].copy()
    for disc, pair in enumerate(pairs_NV):
        views = {study.views[study.series_M[row]] for row in pair if row >= 0}
        grades_NT[disc, [not can_show(target, views) for target in TARGETS]] = UNKNOWN
    return {
        "pictures_MHW": study.pictures_MHW[rows_M],
        "disc_M": disc_M,
        "view_M": view_M,
        "jitter_M2": moves.jitter(len(rows_M), (wide[0], wide[1])),
        "grey_M5": grey_V5[view_M],
        "affine_N23": affine_N23,
        "hidden_N4": np.tile(moves.hidden(), (len(levels), 1)),
        "classes_NRC": study.classes_MRC[np.where(pairs_NV[:, 1] >= 0, pairs_NV[:, 1], pairs_NV[:, 0])],
        "level_N": levels,
        "grades_NT": grades_NT,
        "source_N": np.full(len(levels), source),
    }


Batch = dict[str, Tensor]


def collate(items: Sequence[Item]) -> Batch:
    """Discs and pictures of several studies in one row each; ``patient_N`` and ``place_N`` say whose and which."""
    discs = [len(item["level_N"]) for item in items]
    begins = np.cumsum([0, *discs[:-1]])
    joined = {name: np.concatenate([item[name] for item in items]) for name in items[0]}
    joined["disc_M"] = np.concatenate([item["disc_M"] + begin for item, begin in zip(items, begins, strict=True)])
    joined["patient_N"] = np.repeat(np.arange(len(items)), discs)
    joined["place_N"] = np.concatenate([np.arange(count) for count in discs])
    return {name: torch.as_tensor(array) for name, array in joined.items()}


def disc_loaders(
    train: Sequence[PackedStudy], validation: Sequence[PackedStudy], config: TrainDiscsConfig, sources: Sequence[str]
) -> tuple[DataLoader, DataLoader | None]:
    """Loaders of moved training discs, each source's share in every step, and of validation discs as predicted."""
    loader = shuffled(
        DiscStudies(train, sources, config.augment, config.crop, config.labels), config, collate, EvenDraws
    )
    if not validation:
        return loader, None
    still = DiscStudies(validation, sources, config.augment, config.crop)
    return loader, DataLoader(still, batch_size=config.fit.batch_size, collate_fn=collate)
