"""Configuration of ``spinenet evaluate`` and ``scripts/compare.py``."""

from dataclasses import dataclass, field

from spinenet.datasets.splits import DataConfig


@dataclass
class EvaluateConfig:
    """Either ``runs``: run folders of ``train grader`` or ``export``, one a fold; patients lie where ``data`` says.

    Or ``predictions``: a predictions.csv, with the truth in a column of its own or in the CSV ``truth`` (study, level,
    target, truth); ``truth=consensus`` takes the consensus of ``raters``.
    """

    runs: list[str] = field(default_factory=list)
    """Run folders whose bundles are to predict their test patients."""
    predictions: str | None = None
    """A predictions.csv, packed (.gz) or not, or its folder."""
    truth: str | None = None
    """CSV of true grades, or ``consensus``."""
    cases: str | None = None
    """CSV of what is known of the studies: ``study`` and any columns to form subgroups by."""
    raters: str | None = None
    """CSV of raters' grades: ``rater, study, level, target, grade``."""
    previous: str | None = None
    """Another run's predictions.csv (or its folder) of the same patients."""
    out: str = "data/evaluation"
    """Folder that gets report, figures and tables."""
    title: str = "Evaluation"
    """Title of the report."""
    samples: int = 1000
    """Bootstrap samples of patients for the intervals."""
    seed: int = 0
    """Seed of the bootstrap."""
    threshold: float | None = None
    """Probability from which a finding counts as present; null takes the decided grades."""
    data: DataConfig = field(default_factory=DataConfig)

    def __post_init__(self) -> None:
        _check(self.samples)
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise ValueError(f"threshold is {self.threshold}; it is a probability between 0 and 1, or null")
        if self.truth is not None and not self.predictions:
            raise ValueError("truth belongs to predictions; runs have the truth of their data set")
        if self.truth == "consensus" and self.raters is None:
            raise ValueError("truth=consensus needs raters")


@dataclass
class CompareConfig:
    """``first`` and ``second`` are run folders with a predictions.csv, or such files, of the same patients."""

    first: str = ""
    """The run that is compared."""
    second: str = ""
    """The run it is compared with."""
    truth: str | None = None
    """CSV of true grades, where the tables hold none."""
    out: str = "data/comparison"
    """Folder that gets report and tables."""
    samples: int = 1000
    """Bootstrap samples of patients."""
    seed: int = 0
    """Seed of the bootstrap."""

    def __post_init__(self) -> None:
        _check(self.samples)


def _check(samples: int) -> None:
    from spinenet.evaluate.intervals import FEWEST_SAMPLES  # an extra that help does without

    if samples < FEWEST_SAMPLES:
        raise ValueError(f"samples is {samples}; intervals and corrected p-values need at least {FEWEST_SAMPLES}")


@dataclass
class RobustnessConfig:
    """``studies`` are paths as ``spinenet predict`` takes them; without ``bundle`` the one in the package predicts."""

    studies: list[str] = field(default_factory=list)
    """Paths of studies."""
    bundle: str | None = None
    """Bundle that predicts."""
    out: str = "data/robustness"
    """Folder that gets report and tables."""
    most: int = 40
    """At most so many studies, taken evenly from all."""
    samples: int = 1000
    """Bootstrap samples of patients."""
    seed: int = 0
    """Seed of changes and bootstrap."""

    def __post_init__(self) -> None:
        _check(self.samples)
        if self.most < 1:
            raise ValueError(f"most is {self.most}; at least one study is needed")


@dataclass
class NoiseConfig:
    """``studies`` are paths as ``spinenet predict`` takes them, none for ``rescans`` of phantoms alone; ``bundle`` is
    what is measured and gets the noise."""

    studies: list[str] = field(default_factory=list)
    """Paths of studies."""
    bundle: str = "data/runs/bundle"
    """Bundle that is measured and gets the noise."""
    most: int = 40
    """At most so many studies, taken evenly from all."""
    rescans: int = 60
    """Phantoms that are scanned twice, by other scanners with other planes; 0 measures readings alone."""
    seed: int = 0
    """Seed of the repeated readings and of the phantoms."""


@dataclass
class MeasureSpinesConfig:
    """``scripts/measure_spines.py``: a data set with label images of discs, bodies and canal."""

    out: str = "data/measurements.csv"
    """CSV that gets one row a disc and series."""
    workers: int = 1
    """Studies measured at the same time."""
    data: DataConfig = field(default_factory=DataConfig)

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers is {self.workers}; it must be 1 or more")


@dataclass
class PhantomTestConfig:
    """``scripts/phantom_test.py``; without ``bundle`` the one in the package predicts."""

    out: str = "notebooks/phantom_test"
    """Folder that gets the tables."""
    bundle: str | None = None
    """Bundle that predicts."""
    data: DataConfig = field(default_factory=DataConfig)


@dataclass
class SimToRealConfig:
    """``scripts/sim_to_real.py``; without ``bundle`` the one in the package grades."""

    out: str = "data/sim_to_real"
    """Folder that gets the report; its pictures show patients."""
    bundle: str | None = None
    """Bundle that grades."""
    samples: int = 1000
    """Bootstrap samples of patients."""
    seed: int = 0
    """Seed of the bootstrap."""
    data: DataConfig = field(default_factory=DataConfig)

    def __post_init__(self) -> None:
        _check(self.samples)
