"""Configuration of the training scripts: one dataclass a group, and the only place their defaults are written."""

from dataclasses import dataclass, field
from typing import Any

from spinenet.crops import CropSpec
from spinenet.datasets.splits import DataConfig

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps", "tpu")
STRATEGIES = ("auto", "ddp", "fsdp", "deepspeed", "single_device")
"""What the names of Lightning's strategies begin with, as far as one fits these networks."""
MISSING: Any = "???"
"""What Hydra takes for a value that must be given."""
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true")
CUMULATIVE, CORN, CROSS_ENTROPY = ORDINALS = ("cumulative", "corn", "cross_entropy")
"""How the grades of ordinal scales are told and learnt (``train/ordinal.py``)."""
OUTLINES = {"disc": "segmenter.onnx", "sac": "sac.onnx"}
"""What a segmenter can outline, and the part of a bundle that it becomes."""
TRUTH, RATER = LABELS = ("truth", "rater")
"""Whose grades are learnt where several raters graded."""
GRADER_KINDS = ("attention", "mean", "resnet18_3d", "resnet34_3d")
"""Networks that ``baselines.build_grader`` can build."""


@dataclass
class FitConfig:
    """How much is learnt, and how fast."""

    epochs: int = 30
    """Epochs to train, unless ``steps`` says how long."""
    steps: int = 0
    """At least so many optimiser steps, to the end of an epoch, instead of ``epochs``; 0 is off. The schedule of the
    learning rate ends with them."""
    learning_rate: float = 2e-3
    """Highest learning rate of AdamW; it rises and falls along one cycle."""
    weight_decay: float = 0.05
    """Weight decay of AdamW."""
    batch_size: int = 8
    """Studies (grader, disc network), slices (locator) or discs (segmenter) in a step."""
    overfit_batches: int = 0
    """Train and validate on so many batches of the training part alone; 0 is off. For debugging."""
    max_batches: int = 0
    """At most so many batches an epoch; 0 is all. For debugging."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or self.learning_rate <= 0:
            raise ValueError("fit.epochs, fit.batch_size and fit.learning_rate must be positive")
        if self.steps < 0 or self.max_batches < 0:
            raise ValueError("fit.steps and fit.max_batches are 0 (off) or positive")


@dataclass
class TrainerConfig:
    """The hardware; the first five go to Lightning's Trainer unchanged."""

    accelerator: str = "auto"
    """As Lightning names it: auto, cpu, gpu."""
    devices: int = 1
    """Processors or cards of one machine."""
    nodes: int = 1
    """Machines."""
    strategy: str = "auto"
    """As Lightning names it, such as ddp."""
    precision: str = "32-true"
    """32-true, bf16-mixed, 16-mixed, bf16-true, 16-true or 64-true."""
    workers: int = 0
    """Processes that load and augment; 0 does both between the steps."""
    threads: int = 0
    """CPU threads; 0 leaves the choice to torch."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"trainer.precision is {self.precision}; choose one of {', '.join(PRECISIONS)}")
        if self.accelerator not in ACCELERATORS:
            raise ValueError(f"trainer.accelerator is {self.accelerator}; choose one of {', '.join(ACCELERATORS)}")
        if not self.strategy.startswith(STRATEGIES):
            raise ValueError(f"trainer.strategy is {self.strategy}; choose one of {', '.join(STRATEGIES)}")
        if self.devices == 0 or self.nodes < 1:
            raise ValueError("trainer.devices is a number of devices, -1 for all; trainer.nodes is 1 or more")


@dataclass
class CallbacksConfig:
    """What watches over a run."""

    average: float = 0.99
    """Decay of the exponential moving average of the weights, lower in the first steps; the average is what is
    validated and exported. 0 is off."""
    patience: int = 0
    """Stop after so many epochs without a better validation score; 0 trains all epochs."""
    minutes: float = 0.0
    """At most so much time on the clock, over all resumed parts together: ends the run cleanly, wherever its schedule
    is; 0 is no limit."""

    def __post_init__(self) -> None:
        if not 0 <= self.average < 1:
            raise ValueError(f"callbacks.average is {self.average}; it is a decay, 0 or more and below 1")
        if self.patience < 0 or self.minutes < 0:
            raise ValueError("callbacks.patience and callbacks.minutes are 0 (off) or positive")


@dataclass
class LoggerConfig:
    """Where an epoch's figures go beside ``metrics.csv``."""

    tensorboard: bool = True
    """Event files for TensorBoard."""
    wandb: str = ""
    """Project of Weights & Biases (extra ``wandb``); empty is off. WANDB_MODE=offline keeps it on this machine."""
    mlflow: str = ""
    """Tracking address of MLflow (extra ``mlflow``), such as file:mlruns; empty is off."""


@dataclass
class PathsConfig:
    """Folders that other keys start from."""

    data: str = "data"
    """Where data sets lie."""
    runs: str = "data/runs"
    """Where runs go."""


@dataclass
class GraderModelConfig:
    """Kind and size of the grader."""

    kind: str = "attention"
    """One of GRADER_KINDS."""
    width: int = 16
    """Channels of the first layer of the encoder."""
    features: int = 96
    """Features of a slice that attention joins."""
    dropout: float = 0.2
    """Share of the features left out in a step of training."""
    ordinal: str = CUMULATIVE
    """How ordinal grades are told and learnt: cumulative (one score with ordered cuts), corn (each cut given the one
    below), or cross_entropy (a logit a grade)."""

    def __post_init__(self) -> None:
        if self.kind not in GRADER_KINDS:
            raise ValueError(f"model.kind is {self.kind}, no grader; choose one of {', '.join(GRADER_KINDS)}")
        check_ordinal(self.ordinal)


def check_ordinal(name: str) -> None:
    """ValueError where there is no such way to tell ordinal grades."""
    if name not in ORDINALS:
        raise ValueError(f"model.ordinal is {name}; choose one of {', '.join(ORDINALS)}")


def check_labels(name: str) -> None:
    """ValueError where there are no such labels."""
    if name not in LABELS:
        raise ValueError(f"labels is {name}; choose {' or '.join(LABELS)}")


@dataclass
class GraderLossConfig:
    """What the grader's sum that is learnt consists of."""

    rare: float = 0.5
    """How far rare grades are lifted: a grade weighs (mean count / count) to this power; 0: all discs alike."""
    smoothing: float = 0.0
    """Share of every answer that is taken to be wrong."""
    pairs: float = 0.0
    """Weight of pairs of a patient's discs, of which the worse one should have the higher score."""

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 0.5 or self.rare < 0 or self.pairs < 0:
            raise ValueError("loss.smoothing is 0 to 0.5, loss.rare and loss.pairs are 0 or more")


@dataclass
class LocatorModelConfig:
    """Kind and size of the locator."""

    kind: str = "unet"
    """Always unet."""
    width: int = 12
    """Channels of the first layer."""

    def __post_init__(self) -> None:
        if self.kind != "unet":
            raise ValueError(f"model.kind is {self.kind}, no locator; choose model=locator or locator_small")


@dataclass
class SegmenterModelConfig:
    """Kind and size of the segmenter."""

    kind: str = "unet"
    """Always unet."""
    width: int = 8
    """Channels at the full grid."""
    inner: int = 16
    """Channels at half of it; twice and three times as many at a quarter and an eighth."""

    def __post_init__(self) -> None:
        if self.kind != "unet":
            raise ValueError(f"model.kind is {self.kind}, no segmenter; choose model=segmenter")


@dataclass
class AugmentConfig:
    """How far a training bag may move from what was acquired: standard deviations and probabilities.

    A step sees few of the slices: so many near the midline and on each side of every sagittal series, so many of every
    axial stack, at ``levels`` of the levels.
    """

    shift_mm: float = 1.5
    """Standard deviation of a level's shift along each of its three axes."""
    rotation_deg: float = 4.0
    """Standard deviation of a level's turn in its plane."""
    zoom: float = 0.06
    """Standard deviation of the logarithm of a study's scale."""
    window: float = 0.12
    """Standard deviation of the upper end of the grey window, as a share of it; a third of it at the lower end."""
    gamma: float = 0.2
    """Standard deviation of the logarithm of gamma."""
    noise: float = 0.03
    """Standard deviation of the noise that half of the series get, as a share of the grey window."""
    artefacts: float = 0.15
    """Probability of a blur, and of a bias field, in a series."""
    drop_view: float = 0.2
    """Probability that one view of the study is left out, if others remain."""
    midline_slices: int = 2
    """Slices of a sagittal series near the midline."""
    lateral_slices: int = 1
    """Slices of a sagittal series on each side."""
    axial_slices: int = 2
    """Slices of each axial stack a level."""
    levels: int = 0
    """Levels of a study; 0 is all."""


@dataclass
class LearningConfig:
    """What all trainings have in common."""

    resume: bool = False
    """Go on with the run in ``out``, where it was stopped: a network's at its last finished epoch."""
    seed: int = 0
    """Decides weights, order and augmentation."""
    tags: list[str] = field(default_factory=list)
    """Words by which runs are found again, in ``run.json`` and the loggers."""
    data: DataConfig = field(default_factory=DataConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)


@dataclass
class RunConfig(LearningConfig):
    """What all trainings of networks have in common."""

    init: str | None = None
    """What to start from: ``default``, the network of the bundle in the package; a bundle, a folder or zip; or the
    checkpoint of a run, whose optimiser state is not used."""
    fit: FitConfig = field(default_factory=FitConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    callbacks: CallbacksConfig = field(default_factory=CallbacksConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)


@dataclass
class TrainGraderConfig(RunConfig):
    """``spinenet train grader``."""

    out: str = "data/runs/grader"
    """Run folder, one that no other run has used."""
    locator: str | None = None
    """Run folder of ``train locator``; with it the run exports a whole bundle and predicts its test patients."""
    labels: str = TRUTH
    """What is learnt where several raters graded: ``truth``, what most said (of phantoms what is exact), or ``rater``,
    one of them at random each time, which teaches the shares of their grades."""
    memory_gb: float = 8.0
    """Prepared studies are held in memory once they are read, up to so many GB; others are read whenever shown."""
    model: GraderModelConfig = field(default_factory=GraderModelConfig)
    loss: GraderLossConfig = field(default_factory=GraderLossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    crop: CropSpec = field(default_factory=CropSpec)

    def __post_init__(self) -> None:
        check_labels(self.labels)


@dataclass
class RandomiseConfig:
    """Domain randomisation of the locator: probabilities and ranges."""

    rotation_deg: float = 15.0
    """Largest turn of a slice."""
    scale: float = 0.2
    """Largest change of its scale, as a share."""
    shift_px: float = 16.0
    """Standard deviation of the window's shift from the spine, in pixels of the locator's grid."""
    contrast: float = 0.4
    """Probability of a change of gamma, and of a bias field."""
    invert: float = 0.05
    """Probability that bright and dark are swapped."""
    tissue: float = 0.15
    """Probability that every tissue gets a random grey value."""
    cut_sacrum: float = 0.15
    """Probability that the field of view ends above the lowest disc."""
    rows: int = 256
    """Rows of the window that is seen."""
    columns: int = 160
    """Columns of it."""


@dataclass
class TrainLocatorConfig(RunConfig):
    """``spinenet train locator``."""

    out: str = "data/runs/locator"
    """Run folder, one that no other run has used."""
    slices_per_volume: int = 3
    """Slices taken of each series, around its middle."""
    model: LocatorModelConfig = field(default_factory=LocatorModelConfig)
    randomise: RandomiseConfig = field(default_factory=RandomiseConfig)


@dataclass
class DiscRandomiseConfig:
    """Domain randomisation of the segmenter: standard deviations, and probabilities of what not every crop gets."""

    shift_mm: float = 1.7
    """Standard deviation of the frame's shift along and across the disc."""
    far: float = 0.1
    """Probability that the shift is three times that."""
    rotation_deg: float = 6.0
    """Standard deviation of its turn."""
    scale: float = 0.1
    """Standard deviation of the logarithm of the scale; half as much stretches one axis against the other."""
    gamma: float = 0.35
    """Standard deviation of the logarithm of gamma."""
    tissue: float = 0.3
    """Probability that every tissue gets other grey values."""
    invert: float = 0.12
    """Probability that bright and dark are swapped."""
    field: float = 0.4
    """Probability of a field of coils."""
    blur: float = 0.5
    """Probability of a blur of up to 1.2 pixels."""
    noise: float = 0.5
    """Probability of noise of up to 8 %."""
    saturate: float = 0.1
    """Probability that the brightest values are cut off."""


@dataclass
class TrainSegmenterConfig(RunConfig):
    """``spinenet train segmenter``."""

    out: str = "data/runs/segmenter"
    """Run folder, one that no other run has used."""
    outlines: str = "disc"
    """disc: discs, bodies and canal in sagittal slices; sac: the dural sac in axial ones."""
    slices_per_volume: int = 5
    """Slices taken of each sagittal series, 3 mm apart around its middle, as far as it has them; of no account for
    sacs."""
    model: SegmenterModelConfig = field(default_factory=SegmenterModelConfig)
    randomise: DiscRandomiseConfig = field(default_factory=DiscRandomiseConfig)

    def __post_init__(self) -> None:
        if self.outlines not in OUTLINES:
            raise ValueError(f"outlines is {self.outlines}; choose one of {', '.join(OUTLINES)}")


@dataclass
class ForestConfig:
    """The forest of each target."""

    trees: int = 150
    """Trees of a target."""
    leaf: int = 3
    """Fewest discs in a leaf."""
    features: float = 0.15
    """Share of the features that a cut is chosen among."""

    def __post_init__(self) -> None:
        if self.trees < 1 or self.leaf < 1 or not 0 < self.features <= 1:
            raise ValueError("forest.trees and forest.leaf must be positive, forest.features a share above 0")


@dataclass
class TrainMeasuredConfig(LearningConfig):
    """``spinenet train measured``."""

    out: str = "data/runs/measured"
    """Run folder, one that no other run has used."""
    segmenters: list[str] = MISSING
    """Run folders of ``train segmenter``, or bundles that have one (``default``: the one in the package). A patient's
    discs are measured on what the first of them outlines that has not learnt from the patient, else on what the first
    does. A bundle does not say whom it learnt from: name it for patients that it has not seen."""
    locator: str | None = None
    """Run folder of ``train locator`` or bundle that finds the levels; none: the bundle in the package."""
    forest: ForestConfig = field(default_factory=ForestConfig)
