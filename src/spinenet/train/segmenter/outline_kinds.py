"""What a segmenter can be trained to outline, by name: the disc with what surrounds it, or the dural sac."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.transforms import Transform

from spinenet.datasets.labelled import LabelledStudy
from spinenet.locating.measuring.dural_sac import SAC_CLASSES, SIDE
from spinenet.locating.measuring.fine_crops import DISC, FINE_CLASSES, ROWS
from spinenet.train.segmenter.disc_crops import PlainDisc, RandDisc
from spinenet.train.segmenter.disc_samples import ReadDiscs
from spinenet.train.segmenter.held_out import judge
from spinenet.train.segmenter.sac_crops import PlainSac, RandSac
from spinenet.train.segmenter.sac_held_out import judge_sacs
from spinenet.train.segmenter.sac_samples import ReadSacs
from spinenet.train.training_config import OUTLINES, DiscRandomiseConfig

DISC_WEIGHT = 2.0
"""Heights hang on the disc's border."""


@dataclass(frozen=True)
class OutlineKind:
    """One of OUTLINES: its classes, what each weighs, and the side of its square crops in pixels.

    ``read`` gets the slices to take of a volume and makes samples of a study, ``plain`` and ``randomised`` a crop of a
    sample, and ``judge`` writes how a segmenter does on test patients to a run folder.
    """

    classes: tuple[str, ...]
    weights: tuple[float, ...]
    side: int
    read: Callable[[int], Transform]
    plain: Callable[[], Transform]
    randomised: Callable[[DiscRandomiseConfig], Transform]
    judge: Callable[[Iterable[LabelledStudy], Callable[..., Any], Path], None]


KINDS = {
    "disc": OutlineKind(
        FINE_CLASSES,
        tuple(DISC_WEIGHT if index == DISC else 1.0 for index in range(len(FINE_CLASSES))),
        ROWS,
        ReadDiscs,
        PlainDisc,
        RandDisc,
        judge,
    ),
    "sac": OutlineKind(SAC_CLASSES, (1.0, 1.0), SIDE, lambda slices: ReadSacs(), PlainSac, RandSac, judge_sacs),
}
assert tuple(KINDS) == tuple(OUTLINES)
