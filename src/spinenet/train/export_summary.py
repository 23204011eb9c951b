"""What an export says: which kind of run stands under the wrong key, and what each part of the bundle decides."""

from collections.abc import Collection, Iterator
from pathlib import Path

from omegaconf import OmegaConf

from spinenet.errors import ConfigError
from spinenet.model.bundle import Bundle
from spinenet.model.calibration import NEUTRAL
from spinenet.train.export_config import ExportConfig

SAC_KIND = "segmenter outlines=sac"
TELLING = {
    "grader": ("augment.midline_slices", "graders=[RUN]"),
    "discs": ("augment.other_series", "discs=[RUN]"),
    "locator": ("randomise.cut_sacrum", "locator=RUN"),
    "segmenter": ("randomise.saturate", "segmenter=RUN"),
    SAC_KIND: ("randomise.saturate", "sac=RUN"),
    "measured": ("forest.trees", "measured=RUN"),
}
"""Kind of training -> a key that its configuration has, of others none but a kind of it, and how an export takes its
runs."""


def refuse_other_kinds(config: ExportConfig) -> None:
    """ConfigError where a run is named by the key of another kind of training."""
    single = {
        "locator": config.locator,
        "segmenter": config.segmenter,
        SAC_KIND: config.sac,
        "measured": config.measured,
    }
    named = {"grader": config.graders, "discs": config.discs} | {kind: [run] for kind, run in single.items() if run}
    for kind, runs in named.items():
        for run in runs:
            found = kind_of_run(Path(run))
            if found not in (kind, None):
                raise ConfigError(
                    f"{run}: a run of spinenet train {found}, so not {TELLING[kind][1]}; name it by {TELLING[found][1]}"
                )


def kind_of_run(run: Path) -> str | None:
    """Which training made a run folder; None where its configuration does not tell."""
    if not (run / "config.yaml").is_file():
        return None
    recipe = OmegaConf.load(run / "config.yaml")
    kind = next((kind for kind, (key, _) in TELLING.items() if OmegaConf.select(recipe, key) is not None), None)
    return SAC_KIND if kind == "segmenter" and OmegaConf.select(recipe, "outlines") == "sac" else kind


def decisions(
    bundle: Bundle, start: Bundle | None, calibrated: Collection[str], learnt: Collection[str]
) -> Iterator[str]:
    """Lines on which parts decide which targets and where their calibration comes from; of the targets that the graders
    have ``learnt``, those that other parts decide.

    ``calibrated`` are the targets of which the export was given a calibration.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for name in bundle.targets:
        key = (" and ".join(bundle.graded_by(name)), _calibrated_by(bundle, start, calibrated, name))
        groups.setdefault(key, []).append(name)
    for (parts, source), names in groups.items():
        yield f"{parts}: {', '.join(names)}; {source}"
    if unused := [name for name in bundle.targets if name in learnt and bundle.graded_by(name) != ("grader.onnx",)]:
        yield f"learnt by the graders too, but decided by other parts: {', '.join(unused)}"


def _calibrated_by(bundle: Bundle, start: Bundle | None, calibrated: Collection[str], name: str) -> str:
    if name in calibrated:
        return "calibration and thresholds of calibration=..."
    if bundle.calibration[name] == NEUTRAL:
        return "not calibrated, so that no such grade is stood by: calibration=... of an evaluation does it"
    return f"calibration and thresholds of {start.name} {start.version}, with which it began" if start else "calibrated"
