"""Whole runs, from a configuration to a run folder: what the training scripts call."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from spinenet.datasets import adapter
from spinenet.datasets.splits import Split, save_split, split_studies
from spinenet.errors import ConfigError, in_words
from spinenet.evaluate.collection.collect import collect, fit_calibration
from spinenet.evaluate.collection.run_folders import evaluate_runs, open_run
from spinenet.evaluate.evaluation import Settings
from spinenet.labels import TARGET, TARGETS, VIEWS, Target, View
from spinenet.model.bundle import GRADER, LOCATOR, MEASURED, load_bundle, write_bundle
from spinenet.model.calibration import NEUTRAL, TargetCalibration
from spinenet.system.files import replacing, write_text
from spinenet.system.progress import track
from spinenet.train.baselines import build_grader
from spinenet.train.counts import counted
from spinenet.train.data import grader_loaders, locator_loaders
from spinenet.train.export import TOLERANCE, export_grader, export_locator, export_segmenter
from spinenet.train.exported_weights import name_of_start, names_bundle
from spinenet.train.grader import GraderModule
from spinenet.train.hydra_command import job_overrides, one_line
from spinenet.train.locator import LocatorModule
from spinenet.train.loop import fit, trainer_of
from spinenet.train.measured.disc_features import features_of_study, open_locator, open_segmenter_run, outline_for
from spinenet.train.measured.forest_and_kernel import fitted_arrays, joined_discs, learnable
from spinenet.train.networks import Locator
from spinenet.train.provenance import read_provenance, write_provenance
from spinenet.train.run_folder import exported_checkpoint, save_config
from spinenet.train.segmenter.exported import open_segmenter
from spinenet.train.segmenter.loaders import segmenter_loaders
from spinenet.train.segmenter.outline_kinds import KINDS
from spinenet.train.segmenter.training_step import SegmenterModule
from spinenet.train.segmenter.unet import Segmenter
from spinenet.train.training_config import (
    OUTLINES,
    LearningConfig,
    RunConfig,
    TrainGraderConfig,
    TrainLocatorConfig,
    TrainMeasuredConfig,
    TrainSegmenterConfig,
)
from spinenet.train.weights import load_trained, not_learnt, start_from


def train_locator(config: TrainLocatorConfig, out: Path) -> float | None:
    """Train a locator and write config, split, checkpoints, logs and ``locator.onnx`` to ``out``.

    Returns the best validation score, the Dice of all discs; None without validation patients.
    """
    split = start_run(config, out)
    train, validation = locator_loaders(split, config)
    module = LocatorModule(config.model, config.fit)
    if config.init:
        start_from(module.network, config.init, LOCATOR)
    done = fit(module, train, validation, config, out)
    if module.trainer.is_global_zero:
        network = Locator(config.model.width)
        load_trained(network, done.checkpoint)
        _within_tolerance(export_locator(network, out / "locator.onnx"))
    return done.score


def train_segmenter(config: TrainSegmenterConfig, out: Path) -> float | None:
    """Train a segmenter and write config, split, checkpoints, logs and ``segmenter.onnx``, or ``sac.onnx``, to ``out``.

    Where there are test patients, tables say how it does on them (``held_out.judge``, ``sac_held_out.judge_sacs``).
    Returns the best validation score, the mean Dice of what is outlined; None without validation patients.
    """
    split = start_run(config, out)
    train, validation = segmenter_loaders(split, config)
    kind, part = KINDS[config.outlines], OUTLINES[config.outlines]
    module = SegmenterModule(config.model, config.fit, config.outlines)
    if config.init:
        start_from(module.network, config.init, part)
    done = fit(module, train, validation, config, out)
    if module.trainer.is_global_zero:
        network = Segmenter(config.model.width, config.model.inner, len(kind.classes))
        load_trained(network, done.checkpoint)
        _within_tolerance(export_segmenter(network, out / part, kind.side))
        kind.judge(track(split.test, "judging"), open_segmenter(out, part), out)
    return done.score


def train_grader(config: TrainGraderConfig, out: Path) -> float | None:
    """Train a grader and write config, split, checkpoints and logs to ``out``; returns the best validation score.

    With a locator's run: export the bundle, calibrate it on the validation patients as they are predicted, and evaluate
    the bundle on the test patients.
    """
    split = start_run(config, out)
    train, validation = grader_loaders(split, config)
    grades_NT = torch.as_tensor(np.concatenate([study.grades_LT for study in split.train]))
    module = GraderModule(config.model, config.fit, config.loss, grades_NT)
    if config.init:
        start_from(module.network, config.init, GRADER)
    done = fit(module, train, validation, config, out)
    if not module.trainer.is_global_zero:
        return done.score
    save_learnt(out, split, [view for view, seen in zip(VIEWS, module.views_V.tolist(), strict=True) if seen])
    if config.locator:
        facts = _facts("spinenet-run", config)
        export_bundle([out], locator_onnx(Path(config.locator)), {}, facts, out)
        if split.validation:
            bundle = load_bundle(out / "bundle")
            seen = collect(list(track(split.validation, "calibrating")), bundle)
            facts |= {name: bundle.metadata[name] for name in ("onnx_difference", *LEARNT)}
            write_bundle(out / "bundle", bundle.parts, bundle.spec, fit_calibration(seen, bundle.targets), facts)
        if split.test:
            test = open_run(out, config.data.name, Path(config.data.root))
            evaluate_runs([test], out, Settings(title=f"Test patients of {out.name}"))
    return done.score


def train_measured(config: TrainMeasuredConfig, out: Path) -> None:
    """Measure the discs of all training patients, fit a model on them, and write ``measured.npz`` and ``learnt.json``.

    What was measured is kept in ``out/features``, so that a run that is resumed measures the rest.
    """
    runs = [open_segmenter_run(Path(run)) for run in config.segmenters]
    if not runs:
        raise ConfigError("segmenters is empty; name one or more run folders of spinenet train segmenter")
    locator = open_locator(Path(config.locator) if config.locator else None)
    split = _begin(config, out)
    measured = []
    for study in track(split.train, "measuring"):
        kept = out / "features" / f"{study.key}.npz"
        measured.append(features_of_study(study, locator, outline_for(study.patient, runs), kept))
    discs = joined_discs(measured, [study.grades_LT for study in split.train])
    arrays = fitted_arrays(discs, config.forest, config.seed)
    with replacing(out / MEASURED) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    seen = {one.view for one in measured}
    save_learnt(out, split, [view for view in VIEWS if view.value in seen], learnable(discs.grades_NT))


def first_fitted(calibrations: Sequence[dict[str, TargetCalibration]]) -> dict[str, TargetCalibration]:
    """Each target's calibration from the first evaluation that could fit one: each knows the targets of its data."""
    fitted: dict[str, TargetCalibration] = {}
    for calibration in calibrations:
        for name, one in calibration.items():
            if name in TARGET and one != NEUTRAL:
                fitted.setdefault(name, one)
    return fitted


def export_bundle(
    graders: Sequence[Path],
    located_by: bytes,
    calibration: dict[str, TargetCalibration],
    facts: dict[str, Any],
    out: Path,
) -> Path:
    """Export trained runs to ``out/bundle`` beside ``located_by``, a locator's ONNX; several graders become one network
    that averages their probabilities.

    The bundle grades what all of them have learnt, from the views that all have seen; a target without a calibration
    gets the neutral one.
    """
    configs = [grader_config(run) for run in graders]
    learnt = learnt_by(graders)
    members = []
    for run, config in zip(graders, configs, strict=True):
        if config.crop != configs[0].crop or config.data != configs[0].data:
            raise ConfigError(
                f"{run}: trained on other crops or another split than {graders[0]}; they cannot be joined"
            )
        network = build_grader(config.model)
        load_trained(network, exported_checkpoint(run), not_learnt(learnt["evidence"]))
        members.append(network.eval())
    difference = export_grader(members, configs[0].crop, out / "grader.onnx")
    _within_tolerance(difference)
    networks = {"grader.onnx": (out / "grader.onnx").read_bytes(), "locator.onnx": located_by}
    (out / "grader.onnx").unlink()
    calibrated = {name: calibration.get(name, NEUTRAL) for name in learnt["evidence"]}
    facts = {**facts, **learnt, "onnx_difference": difference, "made_with": made_with(graders)}
    return write_bundle(out / "bundle", networks, configs[0].crop, calibrated, facts)


LEARNT = ("evidence", "views", "made_with")


def made_with(runs: Sequence[Path]) -> dict[str, Any]:
    """Where a bundle comes from: commit, versions, labels and recipe of its first run, and what made the synthetic
    studies of any; no folder of this machine."""
    recipe = recipe_of(runs[0])
    kept = {key: value for key, value in recipe.items() if key not in ("out", "locator", "init", "resume", "paths")}
    kept = {key: value for key, value in kept.items() if key not in ("segmenters", "predicted_by")}
    kept["data"] = {**kept["data"], "root": "", "extra": sorted(kept["data"]["extra"])}
    made = {**read_provenance(runs[0]), "runs": len(runs), "recipe": kept}
    generators = {name for run in runs for name in read_provenance(run).get("generators", ())}
    return made | ({"generators": sorted(generators)} if generators else {})


def recipe_of(run: Path) -> dict[str, Any]:
    """The configuration of a run, as plain values."""
    try:
        recipe = OmegaConf.to_container(OmegaConf.load(run / "config.yaml"))
    except OSError as error:
        raise ConfigError(f"{run}: not a run folder (no config.yaml)") from error
    assert isinstance(recipe, dict)
    return {str(key): value for key, value in recipe.items()}


def save_learnt(out: Path, split: Split, views: Sequence[View], targets: Collection[Target] = TARGETS) -> None:
    """Write ``learnt.json``: those of the targets that the run had labels of and whether of patients, how many
    (``counted``), and the views it saw."""
    counts = counted(split, [target.name for target in targets])
    evidence = {name: "real" if count["patients"] else "synthetic" for name, count in counts.items()}
    learnt = {"evidence": evidence, "counts": counts, "views": list(views)}
    write_text(out / "learnt.json", json.dumps(learnt, indent=1) + "\n")


def learnt_by(runs: Sequence[Path]) -> dict[str, Any]:
    """What all of the runs have learnt: ``evidence`` by target of the label space, ``real`` only where each has it so,
    and ``views``."""
    records = [read_json(run / "learnt.json", "learnt.json of spinenet train grader") for run in runs]
    common = [name for name in TARGET if all(name in record["evidence"] for record in records)]
    evidence = {
        name: "real" if all(record["evidence"][name] == "real" for record in records) else "synthetic"
        for name in common
    }
    views = [view for view in records[0]["views"] if all(view in record["views"] for record in records)]
    return {"evidence": evidence, "views": views}


def start_run(config: RunConfig, out: Path) -> Split:
    """Write configuration, split and provenance of a run to ``out``, and seed; ConfigError where it cannot run."""
    trainer_of(config.trainer, logger=False, enable_checkpointing=False)  # before hours of reading, not after
    pl.seed_everything(config.seed, workers=True, verbose=False)
    return _begin(config, out)


def _begin(config: LearningConfig, out: Path) -> Split:
    """Divide the patients, and write what a run folder begins with."""
    save_config(config, out)
    split = split_studies(config.data)
    save_split(out / "split.json", split.folds, seed=config.data.seed)
    own = [study for study, name in zip(split.train, split.sources, strict=True) if name == config.data.name]
    data = {config.data.name: [*own, *split.validation, *split.test]}
    for name in config.data.extra:
        data[name] = [study for study, source in zip(split.train, split.sources, strict=True) if source == name]
    started_from = ""
    if isinstance(config, RunConfig) and config.init and names_bundle(config.init):
        started_from = name_of_start(config.init, config.data.name if split.validation or split.test else "")
    write_provenance(out, config.tags, job_overrides(), data, started_from)
    return split


def grader_config(run: Path) -> TrainGraderConfig:
    """The configuration a grader was trained with, from its run folder or one of ``export``."""
    try:
        loaded = OmegaConf.load(run / "config.yaml")
    except OSError as error:
        raise ConfigError(f"{run}: not a run folder of spinenet train grader (no config.yaml)") from error
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(TrainGraderConfig), loaded))  # type: ignore[return-value]
    except (OmegaConfBaseException, ValueError) as error:
        raise ConfigError(f"{run}: its config.yaml is not one of this version ({one_line(error)})") from error


def locator_onnx(run: Path) -> bytes:
    """The network of a finished run of ``spinenet train locator``; ConfigError where there is none."""
    try:
        return (run / "locator.onnx").read_bytes()
    except OSError as error:
        raise ConfigError(f"{run}: not a finished run of spinenet train locator (no locator.onnx)") from error


def read_json(path: Path, what: str) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not a {what} ({in_words(error)})") from error


def _facts(name: str, config: TrainGraderConfig) -> dict[str, Any]:
    learnt_from = [config.data.name, *config.data.extra]
    data = "\n".join(f"- {one}: {adapter(one).credit}" for one in learnt_from)
    licence = "; ".join(f"{one}: {adapter(one).licence}" for one in learnt_from)
    return {"name": name, "version": "0", "data": data, "licence": f"that of the training data ({licence})"}


def _within_tolerance(difference: float) -> None:
    if difference > TOLERANCE:
        raise ConfigError(
            f"the ONNX file differs from torch by {difference:.1e}, more than {TOLERANCE:.0e}; not exported"
        )
