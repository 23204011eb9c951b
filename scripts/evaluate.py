"""How good are the grades? Figures with intervals, tables and pictures in one folder.

python scripts/evaluate.py predictions=predictions.csv truth=truth.csv out=DIR     a table, without torch or images
python scripts/evaluate.py 'runs=[RUN_FOLD0,RUN_FOLD1]' data=spider data.root=PATH out=DIR     bundles on test patients
"""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress

from spinenet.errors import ConfigError
from spinenet.evaluate.evaluation_config import EvaluateConfig
from spinenet.train.hydra_command import script

if TYPE_CHECKING:
    from spinenet.evaluate import Beside, Settings


@script("evaluate", EvaluateConfig)
def main(config: EvaluateConfig) -> None:
    """Evaluate a table of predictions, or predict every run's test patients from their files first."""
    from spinenet.evaluate import Settings, load_predictions, write_evaluation
    from spinenet.evaluate.assess.inputs import read_beside, read_truth

    if bool(config.runs) == bool(config.predictions):
        raise ConfigError("name either runs, such as 'runs=[data/runs/grader]', or predictions=predictions.csv")
    settings = Settings(config.title, config.samples, config.seed, config.threshold, config.correction)
    truth = read_truth(config.truth, config.readers)
    beside = read_beside(config, truth)
    if config.predictions:
        write_evaluation(load_predictions(Path(config.predictions), truth), Path(config.out), settings, beside)
    else:
        evaluate_runs_of(config, settings, beside)
    print(f"report: {Path(config.out) / 'report.md'}")


def evaluate_runs_of(config: EvaluateConfig, settings: "Settings", beside: "Beside") -> None:
    """Each run's bundle on the patients it never saw."""
    from spinenet.evaluate.assess.runs import evaluate_runs, open_run

    runs = [open_run(Path(run), config.data.name, Path(config.data.root)) for run in config.runs]
    with Progress() as progress:
        task = progress.add_task("predicting", total=sum(len(run.test) for run in runs))
        evaluate_runs(runs, Path(config.out), settings, beside, on_study=lambda study: progress.advance(task))


if __name__ == "__main__":
    main()
