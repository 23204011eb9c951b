"""The model card of a bundle: written from ``model.json``, so that it cannot say anything else than the bundle."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from spinenet.labels import EXPERIMENTAL, RESEARCH_ONLY, TARGET, Target, is_experimental
from spinenet.model.calibration import TargetCalibration

CARD_METRICS = (
    ("quadratic_kappa", "Quadratic kappa"),
    ("auc", "AUC"),
    ("average_precision", "Average precision"),
    ("macro_f1", "Macro F1"),
    ("sensitivity", "Sensitivity"),
    ("specificity", "Specificity"),
)
TRUST_METRICS = (
    ("ece", "Calibration error"),
    ("calibration_slope", "Slope"),
    ("calibration_intercept", "Intercept"),
    ("brier", "Brier"),
    ("coverage", "Share it stands by"),
    ("confident_error", "Error among those"),
    ("confident_finding_error", "Error among findings it stands by"),
    ("ppv", "PPV"),
    ("npv", "NPV"),
)
SECTIONS = (
    ("data", "Training data"),
    ("attribution", "Attribution"),
    ("licence", "Licence"),
    ("intended_use", "Intended use"),
    ("excluded_use", "Excluded use"),
    ("evaluation", "How it was evaluated"),
)


def card_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The part of ``metrics.json`` that a bundle carries: pooled figures of each target and of the levels, and the
    subgroups that differ from the largest one after correction."""
    kept = ("title", "n", "patients", "positives", "metrics", "severe")
    targets = metrics["targets"]
    return {
        "patients": metrics["patients"],
        "discs": metrics["discs"],
        "targets": {name: {key: one[key] for key in kept if key in one} for name, one in targets.items()},
        "levels": metrics["levels"],
        "gaps": [one for one in metrics.get("subgroups", ()) if (p := one["p_corrected"]) is not None and p < 0.05],
    }


def model_card(metadata: Mapping[str, Any]) -> str:
    """Markdown of a bundle's metadata (``model.json``); sections without content are left out."""
    from jinja2 import Environment, PackageLoader

    made = Environment(loader=PackageLoader("spinenet.model"), trim_blocks=True, lstrip_blocks=True, autoescape=False)
    text = made.get_template("model_card.md.jinja").render(
        facts=metadata,
        made=metadata.get("made_with", {}),
        learnt_from={TARGET[name].title: _source(metadata, name) for name in metadata["calibration"]},
        metrics=metadata.get("metrics"),
        confident=list(confident_lines(metadata)),
        sections=SECTIONS,
        figures=CARD_METRICS,
        trust=TRUST_METRICS,
        research_only=RESEARCH_ONLY,
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _source(metadata: Mapping[str, Any], target: str) -> str:
    if _is_experimental(metadata, target):
        return EXPERIMENTAL
    return str(metadata.get("learnt_from", {}).get(target, "see training data"))


def confident_lines(metadata: Mapping[str, Any]) -> Iterator[str]:
    """How probabilities of each target are calibrated and when its grade is called confident: never an experimental
    one."""
    for name, values in metadata["calibration"].items():
        words = calibration_words(TARGET[name], TargetCalibration.from_dict(values))
        never = f"never confident, {EXPERIMENTAL}"
        yield f"{TARGET[name].title}: {never if _is_experimental(metadata, name) else words}"


def _is_experimental(metadata: Mapping[str, Any], target: str) -> bool:
    return is_experimental(metadata.get("evidence", {}).get(target, "real"))


def calibration_words(target: Target, calibration: TargetCalibration) -> str:
    """Slope and intercept of the log-odds, and the limits, in a line.

    >>> calibration_words(TARGET["bulging"], TargetCalibration(1.1, -0.2, confident_from=(0.8, None)))
    'slope 1.10, intercept -0.20; confident from 0.80 if no finding, never if a finding'
    """
    line = f"slope {calibration.slope:.2f}, intercept {calibration.intercept:+.2f}; "
    if calibration.abstain_below is not None:
        return f"{line}stood by from {calibration.abstain_below:.2f} where the set holds no other grade (older rule)"
    below, above = ("never" if one is None else f"from {one:.2f}" for one in calibration.confident_from)
    cut = f"; called {target.words[1]} from {calibration.cuts[0]:.2f}" if len(calibration.cuts) == 1 else ""
    return f"{line}confident {below} if no finding, {above} if a finding{cut}"
