"""``spinenet prepare``, ``train``, ``evaluate``, ``export``, and scripts of these names: by Hydra, without a checkout.

Each imports what it needs when it runs, so that a wrong key is told at once and evaluation needs no torch.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from spinenet.errors import ConfigError
from spinenet.train.discs.disc_config import TrainDiscsConfig
from spinenet.train.evaluation_config import EvaluateConfig
from spinenet.train.export_config import MONAI, ExportConfig
from spinenet.train.preparation import prepare_data
from spinenet.train.run_folder import refuse_early
from spinenet.train.script import script
from spinenet.train.training_config import (
    TrainGraderConfig,
    TrainLocatorConfig,
    TrainMeasuredConfig,
    TrainSegmenterConfig,
)

if TYPE_CHECKING:
    from spinenet.evaluate import Beside, Settings

__all__ = [
    "evaluate",
    "export",
    "prepare_data",
    "train_discs",
    "train_grader",
    "train_locator",
    "train_measured",
    "train_segmenter",
]


@script("train_locator", TrainLocatorConfig)
def train_locator(config: TrainLocatorConfig) -> float | None:
    """Split patients, train, export ``locator.onnx`` into the run folder; returns the best validation score."""
    refuse_early(config, Path(config.out))
    from spinenet.train.runs import train_locator as train

    return _told(config.out, train(config, Path(config.out)))


@script("train_segmenter", TrainSegmenterConfig)
def train_segmenter(config: TrainSegmenterConfig) -> float | None:
    """Split patients, train, export ``segmenter.onnx`` into the run folder, and judge it on the test patients.

    Returns the best validation score.
    """
    refuse_early(config, Path(config.out))
    from spinenet.train.runs import train_segmenter as train

    return _told(config.out, train(config, Path(config.out)))


@script("train_measured", TrainMeasuredConfig)
def train_measured(config: TrainMeasuredConfig) -> None:
    """Measure every disc as prediction does, by a segmenter that has not learnt from the patient, and fit
    ``measured.npz`` of the run folder on the measurements."""
    refuse_early(config, Path(config.out))
    from spinenet.train.runs import train_measured as train

    train(config, Path(config.out))


@script("train_grader", TrainGraderConfig)
def train_grader(config: TrainGraderConfig) -> float | None:
    """Split patients, train, export, and predict the validation patients to calibrate the bundle.

    Returns the best validation score, which a sweep makes the most of.
    """
    refuse_early(config, Path(config.out))
    from spinenet.train.runs import train_grader as train

    return _told(config.out, train(config, Path(config.out)))


def _told(out: str, score: float | None) -> float | None:
    """The best validation score, printed with where the run lies."""
    from pytorch_lightning.utilities.rank_zero import rank_zero_only

    rank_zero_only(print)(f"run: {out}" if score is None else f"run: {out}, best validation score {score:.3f}")
    return score


@script("train_discs", TrainDiscsConfig)
def train_discs(config: TrainDiscsConfig) -> float | None:
    """Split patients, train, export ``discs.onnx`` and ``discs.ckpt`` into the run folder.

    Returns the best validation score.
    """
    refuse_early(config, Path(config.out))
    from spinenet.train.discs.disc_run import train_discs as train

    return _told(config.out, train(config, Path(config.out)))


@script("export", ExportConfig)
def export(config: ExportConfig) -> None:
    """Write ``out/bundle``; every network is compared with torch before it is kept."""
    named = (*config.graders, *config.discs, config.locator, config.measured, config.segmenter, config.sac)
    if absent := [run for run in named if run and not Path(run).is_dir()]:
        raise ConfigError(f"{absent[0]}: no such folder; name finished runs of spinenet train")
    if config.format == MONAI:
        from spinenet.train.monai_graders import export_monai

        print(f"bundle of MONAI: {export_monai(config)}")
        return
    from spinenet.train.bundling import export_run

    said = export_run(config, Path(config.out))
    print("\n".join([*said, f"bundle: {Path(config.out) / 'bundle'}"]))


@script("evaluate", EvaluateConfig)
def evaluate(config: EvaluateConfig) -> None:
    """Evaluate a table of predictions, or predict every run's test patients from their files first."""
    from spinenet.evaluate import Settings, load_predictions, write_evaluation
    from spinenet.evaluate.evaluation import CONSENSUS, read_beside, read_truth

    if bool(config.runs) == bool(config.predictions):
        raise ConfigError("name either runs, such as 'runs=[data/runs/grader]', or predictions=predictions.csv")
    settings = Settings(config.title, config.samples, config.seed, config.threshold)
    truth = read_truth(config.truth, config.raters)
    consensus = config.truth == CONSENSUS
    beside = read_beside(config.cases, config.raters, config.previous, truth, consensus=consensus)
    if config.predictions:
        write_evaluation(load_predictions(Path(config.predictions), truth), Path(config.out), settings, beside)
    else:
        _evaluate_runs(config, settings, beside)
    print(f"report: {Path(config.out) / 'report.md'}")


def _evaluate_runs(config: EvaluateConfig, settings: "Settings", beside: "Beside") -> None:
    """Each run's bundle on the patients it never saw."""
    from spinenet.evaluate.collection.run_folders import evaluate_runs, open_run
    from spinenet.system.progress import progress_bar

    runs = [open_run(Path(run), config.data.name, Path(config.data.root)) for run in config.runs]
    with progress_bar() as progress:
        task = progress.add_task("predicting", total=sum(len(run.test) for run in runs))
        evaluate_runs(runs, Path(config.out), settings, beside, on_study=lambda study: progress.advance(task))
