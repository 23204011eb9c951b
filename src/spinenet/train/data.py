"""Studies into batches: which patients a run trains on, and MONAI data sets that cache what does not change.

Shapes: B study, L level, S slice, T target; bags of one batch are padded to the largest L and S.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import CacheDataset, DataLoader
from monai.transforms import Compose, Transform

from spinenet.crops import BAG_ARRAYS, CropSpec
from spinenet.datasets import LabelledStudy
from spinenet.datasets.masks import locate_all, locator_classes, midline_slice, on_locator_grid, read_mask
from spinenet.datasets.splits import Split
from spinenet.geometry import spacing_mm
from spinenet.labels import UNKNOWN
from spinenet.locate import locator_grid, pad_to_multiple
from spinenet.readers import read_study
from spinenet.train.augment import AugmentConfig, CropBagd, JitterFramesd, RandScannerd, RandWindowd
from spinenet.train.config import RandomiseConfig
from spinenet.train.randomise import Normalised, randomise

Item = dict[Hashable, Any]


class ReadLocatedd(Transform):
    """LabelledStudy -> its sagittal series with levels where the masks have them. Deterministic, so it is cached."""

    def __call__(self, data: LabelledStudy) -> Item:
        study = read_study(data.source)
        return {"study": data.key, "located": locate_all(study.series, data.masks), "grades_LT": data.grades_LT}


class ReadSlicesd(Transform):
    """LabelledStudy -> slices on the locator's grid with their classes, the midline and its neighbours. Cached."""

    def __init__(self, slices_per_volume: int) -> None:
        self.slices_per_volume = slices_per_volume

    def __call__(self, data: LabelledStudy) -> list[Item]:
        study = read_study(data.source)
        items: list[Item] = []
        for series in study.series:
            if series.plane != "sagittal" or series.name not in data.masks:
                continue
            mask_SRC = read_mask(data.masks[series.name], series)
            spacing = spacing_mm(series.affine_vox2mm)
            stride = max(1, round(3.0 / spacing[0]))
            middle = midline_slice(mask_SRC)
            reach = self.slices_per_volume // 2
            for index in (middle + k * stride for k in range(-reach, reach + 1)):
                if 0 <= index < len(mask_SRC):
                    grid = locator_grid(series.voxels_SRC[index], spacing[1:])
                    classes = on_locator_grid(locator_classes(mask_SRC[index]), grid)
                    items.append({"image": grid.image_HW[None], "classes": classes[None]})
        return items


def grader_transforms(config: AugmentConfig, spec: CropSpec) -> Compose:
    """From a cached located study to an augmented bag."""
    return Compose([JitterFramesd(config, spec), CropBagd(spec), RandWindowd(config), RandScannerd(config)])


class StudyBags(torch.utils.data.Dataset):
    """One item a study: its bag, augmented or as prediction will see it. Reading is cached by MONAI's CacheDataset."""

    def __init__(self, studies: Sequence[LabelledStudy], transforms: Compose, *, progress: bool = True) -> None:
        cached = CacheDataset(list(studies), ReadLocatedd(), num_workers=1, progress=progress, copy_cache=False)
        self.located = [item for item in (cached[index] for index in range(len(cached))) if item["located"]]
        self.transforms = transforms

    def __len__(self) -> int:
        return len(self.located)

    def __getitem__(self, index: int) -> Item:
        return self.transforms(self.located[index])


class SpineSlices(torch.utils.data.Dataset):
    """One item a slice: image and classes, randomised."""

    def __init__(
        self, studies: Sequence[LabelledStudy], transforms: Compose, slices_per_volume: int, *, progress: bool = True
    ) -> None:
        cached = CacheDataset(
            list(studies), ReadSlicesd(slices_per_volume), num_workers=1, progress=progress, copy_cache=False
        )
        self.slices = [item for index in range(len(cached)) for item in cached[index]]
        self.transforms = transforms

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, index: int) -> Item:
        return self.transforms(self.slices[index])


def collate_bags(items: Sequence[Mapping[Hashable, Any]]) -> dict[str, torch.Tensor]:
    """Pad bags to one (B, L, S, ...) batch; places past a study's own are masked, their grades UNKNOWN."""
    levels = max(item["mask_LS"].shape[0] for item in items)
    slices = max(item["mask_LS"].shape[1] for item in items)
    batch = {}
    for name in (*BAG_ARRAYS, "grades_LT"):
        per_slice = "LS" in name
        fill = UNKNOWN if name == "grades_LT" else 0
        padded = []
        for item in items:
            array = item[name]
            extra = [(0, levels - array.shape[0])] + [(0, slices - array.shape[1] if per_slice else 0)]
            extra = (extra + [(0, 0)] * 2)[: array.ndim]
            padded.append(np.pad(array, extra, constant_values=fill))
        batch[name] = torch.as_tensor(np.stack(padded))
    return batch


def collate_slices(items: Sequence[Mapping[Hashable, Any]]) -> dict[str, torch.Tensor]:
    """Stack randomised windows: image (B, 1, H, W) float32, classes (B, H, W) int64."""
    return {
        "image": torch.as_tensor(np.stack([np.asarray(item["image"], np.float32) for item in items])),
        "classes": torch.as_tensor(np.stack([np.asarray(item["classes"])[0].astype(np.int64) for item in items])),
    }


def grader_loaders(
    split: Split, augment: AugmentConfig, spec: CropSpec, batch_size: int, seed: int
) -> tuple[DataLoader, DataLoader | None]:
    """Loaders of training bags (shuffled, augmented) and validation bags (as predicted)."""
    transforms = grader_transforms(augment, spec)
    transforms.set_random_state(seed)
    train = _shuffled(StudyBags(split.train, transforms), batch_size, collate_bags, seed)
    if not split.validation:
        return train, None
    validation = StudyBags(split.validation, Compose([CropBagd(spec)]), progress=False)
    return train, DataLoader(validation, batch_size=batch_size, collate_fn=collate_bags)


def locator_loaders(
    split: Split, config: RandomiseConfig, slices_per_volume: int, batch_size: int, seed: int
) -> tuple[DataLoader, DataLoader | None]:
    """Loaders of randomised training windows and plain whole validation slices."""
    transforms = randomise(config)
    transforms.set_random_state(seed)
    train = _shuffled(SpineSlices(split.train, transforms, slices_per_volume), batch_size, collate_slices, seed)
    if not split.validation:
        return train, None
    validation = SpineSlices(split.validation, Compose([Normalised(("image",)), PadToMultiple()]), 1, progress=False)
    return train, DataLoader(validation, batch_size=1, collate_fn=collate_slices)


def _shuffled(dataset: StudyBags | SpineSlices, batch_size: int, collate: Callable[..., Any], seed: int) -> DataLoader:
    """Whole batches only, as a small last one would upset batch statistics; order fixed by the seed."""
    return DataLoader(
        dataset,
        batch_size=batch_size,
        shuffle=True,
        drop_last=len(dataset) > batch_size,
        collate_fn=collate,
        generator=torch.Generator().manual_seed(seed),
    )


class PadToMultiple(Transform):
    """Whole slices for validation, padded as the network needs them."""

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        return {key: pad_to_multiple(np.asarray(data[key])[0])[None] for key in ("image", "classes")}
