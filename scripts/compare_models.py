"""Graders of different kinds on one test set: agreement with intervals, size and time, as one Markdown table.

python scripts/compare_models.py 'runs=[RUN,RUN,...]' data=phantom data.root=TEST_SET out=DIR

Each run is a folder of spinenet export (or train grader with a locator) whose training had the same data and budget
(experiment=compare_grader).
"""

from dataclasses import dataclass, field
from pathlib import Path

from spinenet.datasets.splits import DataConfig
from spinenet.errors import ConfigError
from spinenet.system.files import write_text
from spinenet.train.script import script


@dataclass
class CompareModelsConfig:
    """``runs`` as in spinenet evaluate; ``data`` is a test set that none of them has learnt from."""

    runs: list[str] = field(default_factory=list)
    """Run folders to compare."""
    out: str = "data/comparison"
    """Folder that gets the evaluations and models.md."""
    samples: int = 1000
    """Bootstrap samples of patients."""
    seed: int = 0
    """Seed of the bootstrap."""
    data: DataConfig = field(default_factory=DataConfig)


@script("compare_models", CompareModelsConfig)
def main(config: CompareModelsConfig) -> None:
    """Evaluate every run and write ``models.md`` beside the single evaluations."""
    from spinenet.train.contest import contest_table, judge

    if not config.runs:
        raise ConfigError("runs is empty; name run folders, such as 'runs=[data/runs/ours,data/runs/mean]'")
    out = Path(config.out)
    judged = []
    for run in map(Path, config.runs):
        print(f"evaluating {run}")
        judged.append(
            judge(run, config.data.name, Path(config.data.root), out, samples=config.samples, seed=config.seed)
        )
    write_text(out / "models.md", contest_table(judged))
    print(f"table: {out / 'models.md'}")


if __name__ == "__main__":
    main()
