"""From finished runs to one bundle: which parts it has, and which of them have a say in which target."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from spinenet.errors import ConfigError
from spinenet.evaluate.collection.run_folders import load_calibration
from spinenet.labels import TARGET
from spinenet.model import canal_by_area
from spinenet.model.bundle import DISCS, GRADER, LOCATOR, MEASURED, SAC, SEGMENTER, Bundle, load_bundle, write_bundle
from spinenet.model.calibration import NEUTRAL, TargetCalibration
from spinenet.model.card import card_metrics, model_card
from spinenet.system.files import write_bytes, write_text
from spinenet.train.export import mean_of_networks
from spinenet.train.export_config import ExportConfig
from spinenet.train.export_summary import decisions, refuse_other_kinds
from spinenet.train.exported_weights import PACKAGED
from spinenet.train.runs import export_bundle, first_fitted, learnt_by, locator_onnx, made_with, read_json, recipe_of

OF_THE_START = (
    "format", "digest", "crop", "calibration", "sha256", "noise", "metrics", "evaluation", "intended_use"
)  # fmt: skip
"""What is true of the bundle that is started from alone."""
OUTLINING = (SEGMENTER, SAC)
"""Parts that grade nothing."""


def export_run(config: ExportConfig, out: Path) -> list[str]:
    """Join runs in a bundle, in a run folder that can be evaluated: it has the split of the first run named. Returns
    lines that say what each part decides."""
    refuse_other_kinds(config)
    facts: dict[str, Any] = {
        "name": config.name,
        "version": config.version,
        **config.facts,
        "learnt_from": config.learnt_from,
    }
    if config.metrics:
        facts["metrics"] = card_metrics(read_json(Path(config.metrics), "metrics.json of spinenet evaluate"))
    calibration = first_fitted([load_calibration(Path(path)) for path in config.calibration])
    bundle = _started(config, calibration, facts, out)
    if more := _further_parts(config):
        bundle = _with_parts(bundle, more, config, calibration, facts, out)
    write_text(bundle.path / "MODEL_CARD.md", model_card(bundle.metadata))
    for name in ("config.yaml", "split.json"):
        write_bytes(out / name, (_first_run(config) / name).read_bytes())
    learnt = learnt_by([Path(run) for run in config.graders])["evidence"] if config.graders else {}
    return list(decisions(bundle, _start(config), calibration, learnt))


def _named_runs(config: ExportConfig) -> list[Path]:
    named = [*config.discs, *filter(None, (config.measured, config.segmenter)), *config.graders]
    named += [config.sac] if config.sac else []
    if not named:
        raise ConfigError("no run is named; name graders=[...], discs=[...], measured=..., segmenter=... or sac=...")
    return [Path(run) for run in named]


def _first_run(config: ExportConfig) -> Path:
    return _named_runs(config)[0]


def _started(
    config: ExportConfig, calibration: dict[str, TargetCalibration], facts: dict[str, Any], out: Path
) -> Bundle:
    """The bundle of locator and grader: from their runs, or those of ``start``."""
    _first_run(config)
    if config.graders and not (config.locator or config.start):
        raise ConfigError(
            "graders=[...] need the locator=... that goes with them, or start= with a bundle whose grader they replace"
        )
    if not config.graders and not config.start:
        raise ConfigError("a bundle needs graders=[...] and locator=..., or start= with a bundle that has them")
    start = _start(config)
    if config.measured and not config.segmenter and not (start and SEGMENTER in start.parts):
        raise ConfigError("measured=... needs segmenter=..., which outlines what it reads, or start= that has one")
    if start and not config.graders:
        return start
    located_by = start.parts[LOCATOR] if start and not config.locator else locator_onnx(Path(config.locator or ""))
    graded = load_bundle(export_bundle([Path(run) for run in config.graders], located_by, calibration, facts, out))
    return _with_grader(start, graded, out) if start else graded


def _start(config: ExportConfig) -> Bundle | None:
    return load_bundle(None if config.start == PACKAGED else Path(config.start)) if config.start else None


def _with_grader(start: Bundle, graded: Bundle, out: Path) -> Bundle:
    """``start`` with another bundle's locator and grader, which answers for the targets that its other parts do not;
    of data and licences both are told."""
    others = [name for name in start.targets if start.graded_by(name) != (GRADER,)]
    targets = [name for name in TARGET if name in others or name in graded.targets]
    told = {key: value for key, value in start.metadata.items() if key not in OF_THE_START} | {
        key: value for key, value in graded.metadata.items() if key not in OF_THE_START
    }
    told.pop(canal_by_area.KEY, None)
    told |= {key: f"{start.metadata[key]}; {graded.metadata[key]}" for key in ("data", "licence")}
    told["learnt_from"] = {
        name: words
        for one in (start, graded)
        for name, words in one.metadata.get("learnt_from", {}).items()
        if (name in others) == (one is start)
    }
    told["evidence"] = {name: (start if name in others else graded).evidence(name) for name in targets}
    calibrated = {name: (start if name in others else graded).calibration[name] for name in targets}
    parts = {**start.parts, **graded.parts}
    return load_bundle(write_bundle(out / "bundle", parts, graded.spec, calibrated, told))


def _further_parts(config: ExportConfig) -> dict[str, Path]:
    """Part -> the run folder (of discs the first one) that it comes from."""
    discs = config.discs[0] if config.discs else None
    named = {SEGMENTER: config.segmenter, SAC: config.sac, MEASURED: config.measured, DISCS: discs}
    return {part: Path(run) for part, run in named.items() if run}


def _with_parts(
    start: Bundle,
    more: Mapping[str, Path],
    config: ExportConfig,
    calibration: Mapping[str, TargetCalibration],
    facts: Mapping[str, Any],
    out: Path,
) -> Bundle:
    """``start`` with further parts: they alone have a say in what they have learnt from patients, those of its own that
    stay in the rest. What other parts decide than before is not calibrated until it is told anew."""
    parts = {**start.parts, **{part: _content(run, part) for part, run in more.items() if part != DISCS}}
    if config.locator:
        parts[LOCATOR] = locator_onnx(Path(config.locator))
    if config.discs:
        parts[DISCS] = mean_of_networks([_content(Path(run), DISCS) for run in config.discs])
    learnt = {part: learnt_by(_runs_of(part, run, config)) for part, run in more.items() if part not in OUTLINING}
    real = {part: [t for t, kind in one["evidence"].items() if kind == "real"] for part, one in learnt.items()}
    patients = [name for name in TARGET if any(name in names for names in real.values())]
    kept = {key: value for key, value in start.metadata.items() if key not in OF_THE_START}
    if set(OUTLINING) & set(more):
        kept.pop(canal_by_area.KEY, None)
    kept |= {key: value for key, value in facts.items() if value}
    kept["evidence"] = {**start.metadata.get("evidence", {}), **dict.fromkeys(patients, "real")}
    kept["graded_by"] = decided = _deciding(start, real, more)
    views = next((one["views"] for part, one in learnt.items() if part == DISCS), None)
    before_from = {name: seen for name, seen in start.metadata.get("read_from", {}).items() if name in decided}
    kept["read_from"] = before_from | {name: views or learnt[MEASURED]["views"] for name in patients}
    made = made_with(_named_runs(config))
    before = start.metadata.get("made_with", {}).get("generators", ())
    if generators := sorted({*before, *made.get("generators", ())}):
        made["generators"] = generators
    kept["made_with"] = made
    if config.discs:
        kept["disc_crop"] = recipe_of(more[DISCS])["crop"]
    elif not any(DISCS in several for several in decided.values()):
        parts.pop(DISCS, None)
        kept.pop("disc_crop", None)
    targets = [name for name in TARGET if name in start.targets or name in patients]
    as_before = {name: start.calibration[name] for name in targets if _is_unchanged(name, start, decided, more)}
    calibrated = {name: calibration.get(name, as_before.get(name, NEUTRAL)) for name in targets}
    return load_bundle(write_bundle(out / "bundle", parts, start.spec, calibrated, kept))


def _deciding(start: Bundle, real: Mapping[str, Sequence[str]], replaced: Collection[str]) -> dict[str, list[str]]:
    """Target -> the parts that decide it, where that is not the grader alone: new ones what they have learnt from
    patients, else those of ``start`` that are not replaced."""
    decided = {}
    for name in TARGET:
        new = [part for part, names in real.items() if name in names]
        stays = [part for part in start.graded_by(name) if name in start.targets and part not in replaced]
        if new or set(stays) - {GRADER}:
            decided[name] = new or stays
    return decided


def _is_unchanged(name: str, start: Bundle, decided: Mapping[str, Sequence[str]], replaced: Collection[str]) -> bool:
    """Whether a target is decided as it was in ``start``: what measures reads what the segmenter outlines."""
    parts = tuple(decided.get(name, (GRADER,)))
    by_area = name == canal_by_area.NAME and start.canal_by_area is not None
    rests_on = {*parts, *(OUTLINING if by_area else (SEGMENTER,) if MEASURED in parts else ())}
    return name in start.targets and parts == start.graded_by(name) and not rests_on & set(replaced)


def _runs_of(part: str, first: Path, config: ExportConfig) -> Sequence[Path]:
    return [Path(run) for run in config.discs] if part == DISCS else [first]


def _content(run: Path, part: str) -> bytes:
    try:
        return (run / part).read_bytes()
    except OSError as error:
        raise ConfigError(f"{run}: not a finished run ({part} is missing)") from error
