"""Configuration of the disc network's training, and the only place its defaults are written."""

from dataclasses import dataclass, field

from spinenet.crops import CropSpec
from spinenet.labels import TARGET
from spinenet.train.training_config import (
    CUMULATIVE,
    TRUTH,
    FitConfig,
    RunConfig,
    check_labels,
    check_ordinal,
)

BEGINNINGS = ("imagenet", "random")


@dataclass
class DiscFitConfig(FitConfig):
    """As for the others, and how gently the encoder is changed."""

    steps: int = 450
    """At least so many optimiser steps, to the end of an epoch, instead of ``epochs``; 0 is off. The schedule of the
    learning rate ends with them."""
    learning_rate: float = 1.5e-3
    """Highest learning rate of AdamW; it rises and falls along one cycle."""
    batch_size: int = 7
    """Patients in a step."""
    encoder_rate: float = 0.25
    """Learning rate of the encoder, as a share of the others'; 0: it learns nothing, its batch statistics included."""
    layer_decay: float = 1.0
    """Factor by which the encoder's rate falls from each of its stages to the one before; 1: all learn alike."""
    freeze_after: float = 0.3
    """Share of the steps after which the encoder's early stages learn no more, which makes a step a third faster; 1:
    they always learn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.freeze_after <= 1 or self.encoder_rate < 0 or not 0 < self.layer_decay <= 1:
            raise ValueError(
                "fit.freeze_after is a share, 0 to 1, fit.encoder_rate is 0 or more, fit.layer_decay above 0, at most 1"
            )


@dataclass
class DiscModelConfig:
    """Kind and size of the disc network."""

    encoder: str = "efficientnet_lite0"
    """One of ENCODERS (``train/discs/encoders.py``): efficientnet_lite0 to efficientnet_lite2, monai_resnet18,
    or small for tests and quick looks."""
    weights: str = "imagenet"
    """What the encoder begins with unless ``init`` is given: imagenet (extra ``imagenet``; efficientnet_lite0 to
    efficientnet_lite2 have them) or random."""
    width: int = 192
    """Features of a disc; a multiple of 4."""
    dropout: float = 0.3
    """Share of the features left out in a step of training."""
    ordinal: str = CUMULATIVE
    """How ordinal grades are told and learnt: cumulative (one score, and ordered cuts of each data set's raters), corn
    (each cut given the one below), or cross_entropy (a logit a grade); the last two are the same for all raters."""

    def __post_init__(self) -> None:
        check_ordinal(self.ordinal)
        if self.weights not in BEGINNINGS:
            raise ValueError(f"model.weights is {self.weights}; choose one of {', '.join(BEGINNINGS)}")
        if self.width < 4 or self.width % 4:
            raise ValueError(f"model.width is {self.width}; it must be a multiple of 4")


@dataclass
class DiscAugmentConfig:
    """How far a disc's picture may move from what was acquired: standard deviations and probabilities."""

    strength: float = 1.0
    """Factor of every standard deviation; 0 leaves places and grey values as they are."""
    shift_mm: float = 1.4
    """Standard deviation of a disc's shift along both axes."""
    turn_deg: float = 4.5
    """Standard deviation of its turn."""
    zoom: float = 0.06
    """Standard deviation of the logarithm of its height and of its width; five sixths of it for the patient's scale."""
    jitter_mm: float = 0.28
    """Standard deviation of one view's shift against the other."""
    gain: float = 0.18
    """Standard deviation of the logarithm of a series' contrast."""
    bias: float = 0.06
    """Standard deviation of a series' brightness."""
    gamma: float = 0.2
    """Standard deviation of the logarithm of gamma, of 60 % of the series."""
    noise: float = 0.04
    """Standard deviation of the standard deviation of the noise that half of the series get."""
    blur: float = 0.25
    """Probability that a series is smoothed."""
    hide: float = 0.3
    """Probability that a rectangle away from the disc is hidden in all of a patient's pictures."""
    drop_t1: float = 0.08
    """Probability that T1 is left out where there is another view."""
    drop_t2: float = 0.04
    """The same of T2."""
    other_series: float = 0.3
    """Probability that of several T2-like series another than the first is shown."""
    upper_levels: float = 0.55
    """Probability that a disc above L2/L3 is shown: most of them are healthy."""
    levels: int = 7
    """At most so many discs of a patient."""
    mix: float = 0.5
    """Probability that a step mixes discs that show the same views (mixup, Zhang et al. 2018)."""


def _target_weights() -> dict[str, float]:
    return {"pfirrmann": 1.0, "modic": 0.7, "endplate_upper": 0.5, "endplate_lower": 0.5}


@dataclass
class DiscLossConfig:
    """What the sum that is learnt consists of."""

    targets: dict[str, float] = field(default_factory=_target_weights)
    """Target -> weight of its loss."""
    other_targets: float = 0.8
    """Weight of every other target that there are labels of."""
    sources: dict[str, float] = field(default_factory=dict)
    """Data set -> factor of the loss of its ordinal grades; others 1."""
    rare: float = 0.0
    """How far rare grades are lifted: a grade weighs (mean count / count) to this power; 0: all discs alike."""
    smoothing: float = 0.02
    """Share of every answer that is taken to be wrong."""
    pairs: float = 0.15
    """Weight of pairs of a patient's discs, of which the worse one should have the higher score."""
    segmentation: float = 0.3
    """Weight of the second task, to draw bodies, canal and discs; 0 leaves it out."""

    def __post_init__(self) -> None:
        unknown = set(self.targets) - set(TARGET)
        if unknown:
            raise ValueError(f"loss.targets names what is no target: {', '.join(sorted(unknown))}")
        if self.rare < 0:
            raise ValueError("loss.rare is 0 (off) or more")


def _disc_crop() -> CropSpec:
    return CropSpec(rows=96, columns=128, pixel_mm=0.53, posterior_shift_mm=6.0)


@dataclass
class TrainDiscsConfig(RunConfig):
    """``spinenet train discs``."""

    out: str = "data/runs/discs"
    """Run folder, one that no other run has used."""
    labels: str = TRUTH
    """What is learnt where several raters graded: ``truth``, what most said (of phantoms what is exact), or ``rater``,
    one of them at random each time, which teaches the shares of their grades."""
    fit: DiscFitConfig = field(default_factory=DiscFitConfig)
    model: DiscModelConfig = field(default_factory=DiscModelConfig)
    augment: DiscAugmentConfig = field(default_factory=DiscAugmentConfig)
    loss: DiscLossConfig = field(default_factory=DiscLossConfig)
    crop: CropSpec = field(default_factory=_disc_crop)
    """Rows and columns must be multiples of 32."""

    def __post_init__(self) -> None:
        check_labels(self.labels)
        if self.crop.rows % 32 or self.crop.columns % 32:
            raise ValueError(f"crop is {self.crop.rows} x {self.crop.columns}; both must be multiples of 32")
