"""Configuration of ``scripts/evaluate.py``."""

from dataclasses import dataclass, field

from spinenet.datasets.splits import DataConfig


@dataclass
class EvaluateConfig:
    """``runs`` are run folders of train_grader.py or export.py, one a fold; ``data`` is where their patients lie."""

    runs: list[str] = field(default_factory=list)
    out: str = "data/evaluation"
    title: str = "Cross-validated test patients"
    samples: int = 1000
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)

    def __post_init__(self) -> None:
        if self.samples < 100:
            raise ValueError(f"samples is {self.samples}; an interval needs at least 100 bootstrap samples")
