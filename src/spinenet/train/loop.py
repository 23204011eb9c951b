"""The training loop: a Lightning Trainer with logs, checkpoints, resume, early stop and averaged weights."""

import logging
import time
from pathlib import Path
from pickle import UnpicklingError

import pytorch_lightning as pl
import torch
from monai.data import DataLoader
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import EarlyStopping, EMAWeightAveraging, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from spinenet.errors import ConfigError
from spinenet.train.training_config import FitConfig

LAST = "last.ckpt"


def fit(
    module: pl.LightningModule,
    train: DataLoader,
    validation: DataLoader | None,
    config: FitConfig,
    out: Path,
    *,
    resume: bool,
) -> Path:
    """Train and return the path of the final checkpoint, whose weights are the averaged ones.

    ``out`` gets ``checkpoints/``, ``metrics.csv`` an epoch and TensorBoard's logs. With ``resume`` training goes on at
    the last finished epoch, the metrics so far being kept as ``metrics-1.csv``; raises ConfigError if there is none.
    """
    # What Lightning tells of hardware and its other products hides what the run says.
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    if config.threads:
        torch.set_num_threads(config.threads)
    checkpoints = out / "checkpoints"
    last = checkpoints / LAST
    if resume and not last.is_file():
        raise ConfigError(f"{last}: nothing to resume; start the run without resume=true")
    if resume:
        _keep_metrics(out)
    if config.overfit_batches:
        validation = train
    trainer = pl.Trainer(
        default_root_dir=out,
        max_epochs=config.epochs,
        accelerator=config.accelerator,
        devices=config.devices,
        num_nodes=config.nodes,
        strategy=config.strategy,
        precision=config.precision,  # type: ignore[arg-type]
        gradient_clip_val=1.0,
        overfit_batches=config.overfit_batches,
        limit_train_batches=config.max_batches or 1.0,
        limit_val_batches=config.max_batches or 1.0,
        logger=[CSVLogger(out, "", ""), TensorBoardLogger(out, "", "tensorboard")],
        callbacks=_callbacks(config, checkpoints, has_validation=validation is not None),
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        enable_model_summary=False,
    )
    trainer.fit(module, train, validation, ckpt_path=str(last) if resume else None, weights_only=False)
    return last


def _keep_metrics(out: Path) -> None:
    """Lightning's CSV log removes the table that it finds."""
    table = out / "metrics.csv"
    if table.is_file():
        table.rename(out / f"metrics-{len(list(out.glob('metrics-*.csv'))) + 1}.csv")


def _callbacks(config: FitConfig, checkpoints: Path, *, has_validation: bool) -> list[pl.Callback]:
    callbacks: list[pl.Callback] = [
        ModelCheckpoint(
            checkpoints, filename="last", save_top_k=1, enable_version_counter=False, save_on_train_epoch_end=True
        ),
        LearningRateMonitor("epoch"),
    ]
    if config.average:
        callbacks.append(EMAWeightAveraging(decay=config.average))
    if config.minutes:
        callbacks.append(StopAfter(config.minutes))
    if config.patience and has_validation:
        callbacks.append(EarlyStopping("validation_loss", patience=config.patience))
    return callbacks


class StopAfter(pl.Callback):
    """End the run when it has used so many minutes of processor time: the same budget for networks of any size."""

    def __init__(self, minutes: float) -> None:
        self.seconds = 60 * minutes
        self.began = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.began = time.process_time()

    def on_train_batch_end(self, trainer: pl.Trainer, *unused: object) -> None:
        """Look at the clock."""
        if time.process_time() - self.began > self.seconds:
            trainer.should_stop = True


def trained_weights(path: Path, prefix: str = "network.") -> dict[str, torch.Tensor]:
    """Weights of the network in a checkpoint, averaged where the run averaged; raises ConfigError if unreadable."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=False)["state_dict"]
    except (OSError, EOFError, KeyError, TypeError, RuntimeError, UnpicklingError) as error:
        raise ConfigError(f"{path}: not a checkpoint of train_locator.py or train_grader.py ({error})") from error
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def save_config(config: object, out: Path) -> None:
    """Write the composed configuration, from which the run can be repeated, to ``out/config.yaml``.

    A run that is resumed keeps its settings, on which its learning-rate schedule rests; ConfigError where they differ.
    """
    path = out / "config.yaml"
    now = OmegaConf.structured(config)
    if now.resume and path.is_file():
        was = OmegaConf.load(path)
        changed = [key for key in now if key not in ("resume", "out") and was.get(key) != now[key]]
        if changed:
            raise ConfigError(
                f"{path}: {', '.join(changed)} changed since the run was started; resume it with the same settings, "
                "or start a new run from its weights with init="
            )
    out.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(now, path)
