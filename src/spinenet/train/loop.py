"""The training loop: a Lightning Trainer with logs, checkpoints, exact resume, early stop and averaged weights."""

import io
import logging
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from monai.data import DataLoader
from pytorch_lightning.callbacks import (
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    Timer,
    WeightAveraging,
)
from pytorch_lightning.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import Tensor

from spinenet.errors import ConfigError
from spinenet.system.files import write_bytes
from spinenet.system.progress import is_watched
from spinenet.train.hydra_command import started_again
from spinenet.train.learning_curves import draw_curves
from spinenet.train.run_folder import BEST, LAST
from spinenet.train.training_config import FitConfig, RunConfig, TrainerConfig

SCORE = "validation_score"
"""What every network logs of each epoch's validation, higher is better; the epoch that has most of it is exported."""
OTHER_TARGETS = (
    "the label space has changed since the run was started, so it cannot be resumed; "
    "start a new run from its weights with init="
)
"""What is said of a checkpoint that learns other targets."""


@dataclass(frozen=True)
class Fit:
    """How training ended: the checkpoint to export and its validation score, None without validation."""

    checkpoint: Path
    score: float | None


def fit(
    module: pl.LightningModule,
    train: DataLoader,
    validation: DataLoader | None,
    config: RunConfig,
    out: Path,
) -> Fit:
    """Train; the checkpoint's weights are the averaged ones of the best epoch, or the last without validation.

    ``out`` gets ``checkpoints/``, ``metrics.csv`` an epoch, ``curves.png`` and TensorBoard's logs. A resumed run goes
    on at the last finished epoch and ends as it would have undisturbed, the metrics so far being kept as
    ``metrics-1.csv``; raises ConfigError if there is none.
    """
    if config.trainer.threads:
        torch.set_num_threads(config.trainer.threads)
    checkpoints = out / "checkpoints"
    last = checkpoints / LAST
    if config.resume and not last.is_file():
        raise ConfigError(f"{last}: nothing to resume; start the run without resume=true")
    if config.resume:
        _keep_metrics(out)
    if config.fit.overfit_batches:
        validation = train
    best = None if validation is None else ModelCheckpoint(
        checkpoints, filename="best", monitor=SCORE, mode="max", save_top_k=1, enable_version_counter=False
    )  # fmt: skip
    trainer = trainer_of(
        config.trainer,
        max_epochs=_epochs(config.fit, train),
        overfit_batches=config.fit.overfit_batches,
        limit_train_batches=config.fit.max_batches or 1.0,
        limit_val_batches=config.fit.max_batches or 1.0,
        default_root_dir=out,
        logger=loggers_of(config, out),
        # The best first, so that what is saved as the last knows it.
        callbacks=[*([best] if best else []), *_callbacks(config, checkpoints, validates=best is not None)],
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    with started_again(str(out)):
        trainer.fit(module, train, validation, ckpt_path=str(last) if config.resume else None, weights_only=True)
    if trainer.is_global_zero:
        draw_curves(out)
    if best is None or best.best_model_score is None:
        return Fit(last, None)
    return Fit(checkpoints / BEST, float(best.best_model_score))


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that take the place of the one before when they are complete: a disk that is full, or a run that is
    killed, costs the newest alone."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write the checkpoint; OSError where there is no room."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(Path(path), content.getvalue())


def trainer_of(config: TrainerConfig, **options: Any) -> pl.Trainer:
    """Lightning's Trainer on the hardware that the configuration names; ConfigError where that cannot be had."""
    _quieten()
    try:
        return pl.Trainer(
            accelerator=config.accelerator,
            devices=config.devices,
            num_nodes=config.nodes,
            strategy=config.strategy,
            precision=config.precision,  # type: ignore[arg-type]
            gradient_clip_val=1.0,
            enable_model_summary=False,
            enable_progress_bar=is_watched(),
            plugins=[WholeCheckpoints()],
            **options,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"trainer.accelerator={config.accelerator}, devices={config.devices}, strategy={config.strategy}, "
            f"precision={config.precision}: {reason}"
        ) from error


def _quieten() -> None:
    """Leave out what Lightning tells of hardware, other products and its own future: it hides what a run says."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in (
        "(Experiment logs|Checkpoint) directory .* is not empty",
        ".isinstance.treespec, LeafSpec.. is dep",
        "You defined a `validation_step` but have no `val_dataloader`",  # asked for by data.validation=0
    ):
        warnings.filterwarnings("ignore", message)


def loggers_of(config: RunConfig, out: Path) -> list[Logger]:
    """``metrics.csv`` always, others as asked for; ConfigError where one is not installed."""
    loggers: list[Logger] = [CSVLogger(out, "", "")]
    if config.logger.tensorboard:
        loggers.append(TensorBoardLogger(out, "", "tensorboard"))
    try:
        if config.logger.wandb:
            loggers.append(WandbLogger(out.name, out, project=config.logger.wandb, tags=list(config.tags)))
        if config.logger.mlflow:
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # a folder is what is named here, if no server
            tags = dict.fromkeys(config.tags, "")
            loggers.append(MLFlowLogger("spinenet", out.name, tracking_uri=config.logger.mlflow, tags=tags))
    except ModuleNotFoundError as error:
        raise ConfigError(f"logger: {error}; pip install 'spinenet-mri[{error.name}]'") from error
    return loggers


def _epochs(config: FitConfig, train: DataLoader) -> int:
    """Epochs of a run whose budget is in steps: as many as it takes to make them."""
    if not config.steps:
        return config.epochs
    batches = min(len(train), config.max_batches or len(train))
    return -(-config.steps // batches)


def _keep_metrics(out: Path) -> None:
    """Lightning's CSV log removes the table that it finds."""
    table = out / "metrics.csv"
    if table.is_file():
        table.rename(out / f"metrics-{len(list(out.glob('metrics-*.csv'))) + 1}.csv")


def _callbacks(config: RunConfig, checkpoints: Path, *, validates: bool) -> list[pl.Callback]:
    callbacks: list[pl.Callback] = [
        ModelCheckpoint(
            checkpoints, filename="last", save_top_k=1, enable_version_counter=False, save_on_train_epoch_end=True
        ),
        LearningRateMonitor("epoch"),
        SeededSteps(config.seed),
        *([] if is_watched() else [EpochLines()]),
    ]
    watched = config.callbacks
    if watched.average:
        callbacks.append(WeightAveraging(avg_fn=warm_average(watched.average)))
    if watched.minutes:
        callbacks.append(Timer(timedelta(minutes=watched.minutes), interval="step", verbose=False))
    if watched.patience and validates:
        callbacks.append(EarlyStopping(SCORE, patience=watched.patience, mode="max"))
    return callbacks


def warm_average(decay: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Exponential moving average whose decay rises with the steps made, so that it forgets the random start.

    >>> kept = warm_average(0.99)
    >>> [round(float(kept(torch.tensor(1.0), torch.tensor(0.0), torch.tensor(step))), 2) for step in (1, 90, 10000)]
    [0.18, 0.91, 0.99]
    """

    def average(averaged: Tensor, current: Tensor, updates: Tensor) -> Tensor:
        kept = torch.clamp((1 + updates) / (10 + updates), max=decay)
        return kept * averaged + (1 - kept) * current

    return average


class EpochLines(pl.Callback):
    """A line an epoch on stderr, for a log that has no progress bar."""

    def on_train_epoch_end(self, trainer: pl.Trainer, *unused: object) -> None:
        """What the epoch came to, validation included."""
        if trainer.is_global_zero:
            known = trainer.callback_metrics
            figures = (
                f"{name} {float(known[name]):.4g}" for name in ("train_loss", "validation_loss", SCORE) if name in known
            )
            sys.stderr.write(f"epoch {trainer.current_epoch + 1}: {', '.join(figures)}\n")


class SeededSteps(pl.Callback):
    """Chance within the network (dropout), from seed and step alone, so that a resumed run is the same run."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: pl.Trainer, *unused: object) -> None:
        """Seed torch for this step; ranks differ."""
        torch.manual_seed((self.seed * 1009 + trainer.global_rank) * 10_000_019 + trainer.global_step)
