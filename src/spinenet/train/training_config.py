"""Configuration of the training scripts: one dataclass a group, and the only place their defaults are written."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from spinenet.crops import CropSpec
from spinenet.datasets.splits import DataConfig

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true")
GRADER_KINDS = ("attention", "mean", "resnet18_3d", "resnet34_3d")
"""Networks that ``baselines.build_grader`` can build."""


@dataclass
class FitConfig:
    """The training loop. ``devices``, ``nodes`` and ``strategy`` go to Lightning's Trainer unchanged."""

    epochs: int = 30
    steps: int = 0
    """At least so many optimiser steps, to the end of an epoch, instead of ``epochs``; 0 is off. The schedule of the
    learning rate ends with them."""
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    batch_size: int = 8
    average: float = 0.99
    """Decay of the exponential moving average of the weights, lower in the first steps; the average is what is
    validated and exported."""
    patience: int = 0
    """Stop after so many epochs without a better validation score; 0 trains all epochs."""
    precision: str = "32-true"
    """One of Lightning's: 32-true, bf16-mixed, 16-mixed, bf16-true, 16-true, 64-true."""
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"
    workers: int = 0
    """Processes that load and augment; 0 does both between the steps."""
    threads: int = 0
    """CPU threads; 0 leaves the choice to torch."""
    overfit_batches: int = 0
    """Train and validate on so many batches of the training part alone; 0 is off. For debugging."""
    minutes: float = 0.0
    """At most so much time on the clock, over all resumed parts together: ends the run cleanly, wherever its schedule
    is; 0 is no limit."""
    max_batches: int = 0
    """At most so many batches an epoch; 0 is all. For debugging."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or self.learning_rate <= 0:
            raise ValueError("fit.epochs, fit.batch_size and fit.learning_rate must be positive")
        if self.steps < 0 or self.minutes < 0 or self.max_batches < 0:
            raise ValueError("fit.steps, fit.minutes and fit.max_batches are 0 (off) or positive")
        if self.precision not in PRECISIONS:
            raise ValueError(f"fit.precision is {self.precision}; choose one of {', '.join(PRECISIONS)}")
        if not 0 <= self.average < 1:
            raise ValueError(f"fit.average is {self.average}; it is a decay, 0 or more and below 1")


@dataclass
class GraderModelConfig:
    """Kind and size of the grader."""

    kind: str = "attention"
    """One of GRADER_KINDS."""
    width: int = 16
    features: int = 96
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if self.kind not in GRADER_KINDS:
            raise ValueError(f"model.kind is {self.kind}, no grader; choose one of {', '.join(GRADER_KINDS)}")


@dataclass
class LocatorModelConfig:
    """Kind and size of the locator."""

    kind: str = "unet"
    width: int = 12

    def __post_init__(self) -> None:
        if self.kind != "unet":
            raise ValueError(f"model.kind is {self.kind}, no locator; choose model=locator or locator_small")


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
class TrainGraderConfig:
    """``scripts/train_grader.py``."""

    out: str = "data/runs/grader"
    locator: str | None = None
    """Run folder of train_locator.py; with it the run exports a whole bundle and predicts its test patients."""
    resume: bool = False
    seed: int = 0
    init: str | None = None
    """Checkpoint to start from (pre-training); its optimiser state is not used."""
    labels: str = "truth"
    """What phantoms are learnt from: ``truth``, their exact grades, or ``reader``, one simulated reader at random."""
    data: DataConfig = field(default_factory=DataConfig)
    model: GraderModelConfig = field(default_factory=GraderModelConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    crop: CropSpec = field(default_factory=CropSpec)


@dataclass
class RandomiseConfig:
    """Domain randomisation of the locator: probabilities and ranges."""

    rotation_deg: float = 15.0
    scale: float = 0.2
    shift_px: float = 16.0
    contrast: float = 0.4
    invert: float = 0.05
    tissue: float = 0.15
    cut_sacrum: float = 0.15
    rows: int = 256
    columns: int = 160


@dataclass
class TrainLocatorConfig:
    """``scripts/train_locator.py``."""

    out: str = "data/runs/locator"
    resume: bool = False
    seed: int = 0
    init: str | None = None
    slices_per_volume: int = 3
    data: DataConfig = field(default_factory=DataConfig)
    model: LocatorModelConfig = field(default_factory=LocatorModelConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    randomise: RandomiseConfig = field(default_factory=RandomiseConfig)


@dataclass
class ExportConfig:
    """``scripts/export.py``."""

    out: str = MISSING
    graders: list[str] = MISSING
    """Run folders of train_grader.py on one split; several are averaged in one network."""
    locator: str = MISSING
    calibration: list[str] = field(default_factory=list)
    """``calibration.json`` of evaluations: each target is calibrated as in the first where it could be fitted."""
    metrics: str | None = None
    """``metrics.json`` of an evaluation, kept in the bundle for the model card."""
    name: str = "spinenet-run"
    version: str = "0"
    facts: dict[str, str] = field(
        default_factory=lambda: {"data": "see config.yaml of the runs", "licence": "see the training data"}
    )
    """Sections of the model card (``model.card.SECTIONS``)."""
    learnt_from: dict[str, str] = field(default_factory=dict)
    """Target name -> what its grades were learnt from, in words."""
