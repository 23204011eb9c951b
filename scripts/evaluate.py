"""Evaluate exported bundles on the patients they never saw: metrics with intervals, tables and figures.

python scripts/evaluate.py 'runs=[RUN_FOLD0,RUN_FOLD1,RUN_FOLD2]' data=spider data.root=PATH out=DIR
"""

from pathlib import Path

from rich.progress import Progress

from spinenet.config import script
from spinenet.errors import ConfigError
from spinenet.evaluate.config import EvaluateConfig


@script("evaluate", EvaluateConfig)
def main(config: EvaluateConfig) -> None:
    """Predict every run's test patients from their files and write the evaluation."""
    from spinenet.evaluate.runs import evaluate_runs, open_run

    if not config.runs:
        raise ConfigError("runs is empty; name run folders, such as 'runs=[data/runs/grader]'")
    runs = [open_run(Path(run), config.data.name, Path(config.data.root)) for run in config.runs]
    with Progress() as progress:
        task = progress.add_task("predicting", total=sum(len(run.test) for run in runs))
        evaluate_runs(
            runs,
            Path(config.out),
            title=config.title,
            samples=config.samples,
            seed=config.seed,
            on_study=lambda study: progress.advance(task),
        )
    print(f"report: {Path(config.out) / 'report.md'}")


if __name__ == "__main__":
    main()
