"""Studies into batches: which patients a run trains on, and MONAI data sets that cache what does not change.

Shapes: B study, L level, S slice, T target; bags of one batch are padded to the largest L and S.
"""

import logging
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.data import CacheDataset, DataLoader
from monai.transforms import Compose, Randomizable, Transform
from numpy.typing import NDArray

from spinenet.crops import BAG_ARRAYS, CropSpec
from spinenet.datasets import LabelledStudy
from spinenet.datasets.cache import load_held, trimmed
from spinenet.datasets.grey_values import HeldSeries, held
from spinenet.datasets.level_sources import placed_series
from spinenet.datasets.masks import locator_classes, midline_slice, on_locator_grid
from spinenet.datasets.splits import Split
from spinenet.errors import DatasetError
from spinenet.labels import UNKNOWN
from spinenet.locating.discs import locator_grid, pad_to_multiple
from spinenet.readers import read_study
from spinenet.study import LocatedSeries
from spinenet.system.progress import is_watched, track
from spinenet.train.augment import (
    AugmentConfig,
    CropBagd,
    JitterFramesd,
    RandMirrord,
    RandScannerd,
    RandWindowd,
    SampleBagd,
)
from spinenet.train.randomise import NormalisePercentilesd, randomise
from spinenet.train.training_config import RunConfig, TrainGraderConfig, TrainLocatorConfig
from spinenet.train.windows import collate_windows, padded

_log = logging.getLogger(__name__)

Item = dict[Hashable, Any]


class ReadLocatedd(Transform):
    """LabelledStudy -> its series with levels where the masks, or who prepared it, have them. Deterministic."""

    def __init__(self, spec: CropSpec) -> None:
        self.spec = spec

    def __call__(self, data: LabelledStudy) -> Item:
        return self.item(data, placed_series(data, self.spec))

    def item(self, data: LabelledStudy, located: tuple[LocatedSeries, ...]) -> Item:
        """A study's series with its grades."""
        return {
            "study": data.key,
            "located": located,
            "grades_LT": data.grades_LT,
            "raters_RLT": data.raters_RLT,
        }


class HoldLocatedd(ReadLocatedd):
    """The same as training holds it: no more than crops can reach, grey values in bytes."""

    def __call__(self, data: LabelledStudy) -> Item:
        if data.prepared is not None:
            located = load_held(data.prepared, self.spec).located
        else:
            cut = (trimmed(one, self.spec) for one in placed_series(data, self.spec))
            located = tuple(held(one) for one in cut if one is not None)
        return self.item(data, located)


class ReadSlicesd(Transform):
    """LabelledStudy -> slices on the locator's grid with their classes, the midline and its neighbours. Cached."""

    def __init__(self, slices_per_volume: int) -> None:
        self.slices_per_volume = slices_per_volume

    def __call__(self, data: LabelledStudy) -> list[Item]:
        study = read_study(data.source)
        items: list[Item] = []
        for series in study.series:
            image = data.masks.get(series.name)
            if series.plane != "sagittal" or image is None or not image.whole:
                continue  # what is not drawn would be learnt as background
            mask_SRC = image.values(series)
            spacing = series.spacing_mm
            stride = max(1, round(3.0 / spacing[0]))
            middle = midline_slice(mask_SRC)
            reach = self.slices_per_volume // 2
            for index in (middle + k * stride for k in range(-reach, reach + 1)):
                if 0 <= index < len(mask_SRC):
                    grid = locator_grid(series.voxels_SRC[index], spacing[1:])
                    classes = on_locator_grid(locator_classes(mask_SRC[index]), grid)
                    items.append({"image": grid.image_HW[None], "classes": classes[None]})
        return items


def grader_transforms(config: AugmentConfig, spec: CropSpec, labels: str = "truth") -> Compose:
    """From a located study to an augmented bag; ``labels`` is ``truth`` or ``rater``, one of them at random."""
    return Compose(
        [
            JitterFramesd(config, spec),
            SampleBagd(config, spec, labels),
            RandMirrord(),
            RandWindowd(config),
            RandScannerd(config),
        ]
    )


class MultiSourceDataset(torch.utils.data.Dataset[Any]):
    """Items to train on; ``sources`` names the data set of every item."""

    sources: Sequence[str]

    def __len__(self) -> int:
        return len(self.sources)


class StudyBags(MultiSourceDataset):
    """One item a study: its bag, augmented or as prediction will see it.

    Prepared studies are read when they are needed and held from then on, as far as ``memory_gb`` goes; the few others
    are read once (MONAI's CacheDataset), and those of them without levels are left out.
    """

    def __init__(
        self,
        studies: Sequence[LabelledStudy],
        read: ReadLocatedd,
        transforms: Compose,
        *,
        sources: Sequence[str] = (),
        progress: bool = True,
        memory_gb: float = 0.0,
    ) -> None:
        self.read, self.transforms, self.free_bytes = read, transforms, int(memory_gb * 1e9)
        files = [study for study in studies if study.prepared is None]
        shown = progress and bool(files) and is_watched()
        cached = CacheDataset(files, self.read, num_workers=1, progress=shown, copy_cache=False)
        placed = iter([cached[index] for index in range(len(files))])
        named = zip(studies, sources or [""] * len(studies), strict=True)
        kept = [(study if study.prepared is not None else next(placed), source) for study, source in named]
        kept = [(one, source) for one, source in kept if isinstance(one, LabelledStudy) or one["located"]]
        if len(kept) < len(studies):
            said = "%d of %d studies are left out: no label images or points place levels in them; prepare them first"
            _log.warning(said, len(studies) - len(kept), len(studies))
        self.studies: list[Item | LabelledStudy] = [one for one, _ in kept]
        self.sources = [source for _, source in kept]

    def __getitem__(self, index: "int | Draw") -> Item:
        return self.transforms(self.located(_place(index, self.transforms)))

    def located(self, place: int) -> Item:
        """A study before its bag is cut, held in memory if there is room."""
        study = self.studies[place]
        if not isinstance(study, LabelledStudy):
            return study
        item = self.read(study)
        size = sum(one.series.steps_SRC.nbytes for one in item["located"] if isinstance(one.series, HeldSeries))
        if 0 < size <= self.free_bytes:
            self.studies[place] = item
            self.free_bytes -= size
        return item


class Draw(NamedTuple):
    """An item to be shown in training, and the seed of the chance by which it is changed."""

    place: int
    seed: int


def _place(index: int | Draw, transforms: Transform) -> int:
    """Where an item lies; one that is drawn brings the chance of its transforms, whichever process makes them."""
    if isinstance(index, Draw):
        assert isinstance(transforms, Randomizable)
        transforms.set_random_state(index.seed)
        return index.place
    return index


class Draws(torch.utils.data.Sampler[Draw]):
    """The order of an epoch, a function of seed and epoch alone: every item once, or each source's share of items.

    With ``shares`` an epoch is long enough to see all of ``first`` once. Every source is gone through in an order of
    its own and starts anew when it is at its end, so that none of its items is seen twice before all were seen once.
    """

    def __init__(self, sources: Sequence[str], shares: Mapping[str, float], first: str, seed: int) -> None:
        named = np.array(sources) if shares else np.full(len(sources), first)
        shares = shares or {first: 1.0}
        total = sum(shares.values())
        length = round(int((named == first).sum()) * total / shares[first])
        self.of = {name: np.flatnonzero(named == name) for name in shares}
        self.counts = {name: round(length * share / total) for name, share in shares.items() if len(self.of[name])}
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch, a resumed one too."""
        self.epoch = epoch

    def __len__(self) -> int:
        return sum(self.counts.values())

    def __iter__(self) -> Iterator[Draw]:
        drawn = np.concatenate([self._items(order, name) for order, name in enumerate(self.counts)])
        rng = np.random.default_rng([self.seed, self.epoch])
        seeds = rng.integers(0, 2**31, len(drawn))
        for index, seed in zip(rng.permutation(drawn).tolist(), seeds.tolist(), strict=True):
            yield Draw(index, seed)

    def _items(self, order: int, name: str) -> NDArray[np.int64]:
        """This epoch's part of an endless sequence of shuffled rounds through a source."""
        own, count = self.of[name], self.counts[name]
        first = self.epoch * count
        rounds = range(first // len(own), (first + count - 1) // len(own) + 1)
        sequence = np.concatenate(
            [np.random.default_rng([self.seed, order, 1 + turn]).permutation(own) for turn in rounds]
        )
        start = first - rounds[0] * len(own)
        return sequence[start : start + count]


class StudyParts(MultiSourceDataset):
    """Several items a study, such as its slices: ``read`` once, and changed by chance whenever one is shown."""

    def __init__(
        self,
        studies: Sequence[LabelledStudy],
        read: Transform,
        transforms: Transform,
        *,
        sources: Sequence[str] = (),
        progress: bool = True,
    ) -> None:
        shown = progress and is_watched()
        cached = CacheDataset(list(studies), read, num_workers=1, progress=shown, copy_cache=False)
        self.parts = [part for index in range(len(cached)) for part in cached[index]]
        named = sources or [""] * len(studies)
        self.sources = [named[index] for index in range(len(cached)) for _ in cached[index]]
        self.transforms = transforms

    def __getitem__(self, index: "int | Draw") -> Item:
        return self.transforms(self.parts[_place(index, self.transforms)])


def collate_bags(items: Sequence[Mapping[Hashable, Any]]) -> dict[str, torch.Tensor]:
    """Pad bags to one (B, L, S, ...) batch; places past a study's own are masked, their grades UNKNOWN."""
    fills = {name: UNKNOWN if name == "grades_LT" else 0 for name in (*BAG_ARRAYS, "grades_LT")}
    return {name: torch.as_tensor(padded([item[name] for item in items], fill)) for name, fill in fills.items()}


def collate_slices(items: Sequence[Mapping[Hashable, Any]]) -> dict[str, torch.Tensor]:
    """Stack randomised windows: image (B, 1, H, W) float32, classes (B, H, W) int64."""
    return {
        "image": torch.as_tensor(np.stack([np.asarray(item["image"], np.float32) for item in items])),
        "classes": torch.as_tensor(np.stack([np.asarray(item["classes"])[0].astype(np.int64) for item in items])),
    }


def grader_loaders(split: Split, config: TrainGraderConfig) -> tuple[DataLoader, DataLoader | None]:
    """Loaders of training bags (shuffled or balanced, augmented) and validation bags (as predicted)."""
    spec, batch_size = config.crop, config.fit.batch_size
    transforms = grader_transforms(config.augment, spec, config.labels)
    bags = StudyBags(split.train, HoldLocatedd(spec), transforms, sources=split.sources, memory_gb=config.memory_gb)
    if config.trainer.workers:  # which share what was read before they began
        for place in track(range(len(bags)), "reading"):
            bags.located(place)
    train = shuffled(bags, config, collate_windows)
    if not split.validation:
        return train, None
    validation = StudyBags(split.validation, ReadLocatedd(spec), Compose([CropBagd(spec)]), progress=False)
    return train, DataLoader(validation, batch_size=batch_size, collate_fn=collate_bags)


def locator_loaders(split: Split, config: TrainLocatorConfig) -> tuple[DataLoader, DataLoader | None]:
    """Loaders of randomised training windows and plain whole validation slices."""
    transforms = randomise(config.randomise)
    slices = StudyParts(split.train, ReadSlicesd(config.slices_per_volume), transforms, sources=split.sources)
    train = shuffled(slices, config, collate_slices)
    if not split.validation:
        return train, None
    plain = Compose([NormalisePercentilesd(("image",)), PadToMultiple()])
    validation = StudyParts(split.validation, ReadSlicesd(1), plain, progress=False)
    return train, DataLoader(validation, batch_size=1, collate_fn=collate_slices)


def shuffled(
    dataset: MultiSourceDataset, config: RunConfig, collate: Callable[..., Any], draws: type[Draws] = Draws
) -> DataLoader:
    """Shuffled, or balanced where the sources have shares, in an order fixed by the seed. Whole batches only, as a
    small last one would upset batch statistics."""
    data, batch_size = config.data, config.fit.batch_size
    if not len(dataset):
        raise DatasetError(
            f"{data.root}: no study has levels to train on (no masks, no points); let spinenet prepare locate them"
        )
    sampler = draws(dataset.sources, data.shares, data.name, config.seed)
    if not len(sampler):
        raise DatasetError(
            f"{data.root}: no study to train on shows what is to be learnt, and an epoch is as long as these are seen "
            "once (data.shares); name other studies as data.root"
        )
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        drop_last=len(sampler) > batch_size,
        collate_fn=collate,
        num_workers=config.trainer.workers,
        persistent_workers=config.trainer.workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


class PadToMultiple(Transform):
    """Whole slices for validation, padded as the network needs them."""

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        return {key: pad_to_multiple(np.asarray(data[key])[0])[None] for key in ("image", "classes")}
