"""The model card of a bundle: written from ``model.json``, so that it cannot say anything else than the bundle."""

from collections.abc import Iterator, Mapping, Sequence
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
    return "\n".join(_lines(metadata)) + "\n"


def _lines(metadata: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Model card: {metadata['name']} {metadata['version']}"
    yield f"\n> {RESEARCH_ONLY}"
    for key, title in SECTIONS:
        if metadata.get(key):
            yield f"\n## {title}\n\n{metadata[key]}"
    yield from _made_lines(metadata.get("made_with", {}))
    yield "\n## What each target was learnt from\n"
    for name in metadata["calibration"]:
        learnt_from = metadata.get("learnt_from", {}).get(name, "see training data")
        yield f"- {TARGET[name].title}: {EXPERIMENTAL if _is_experimental(metadata, name) else learnt_from}"
    metrics = metadata.get("metrics")
    if metrics:
        yield f"\n## Figures\n\n{metrics['patients']} patients, {metrics['discs']} discs; 95 % intervals.\n"
        yield from _table(metrics["targets"], CARD_METRICS)
        yield from _level_lines(metrics.get("levels"))
        yield "\n## Can its probabilities be trusted?\n"
        yield from _table(metrics["targets"], TRUST_METRICS)
        yield from _severe_lines(metrics["targets"])
        yield from _gap_lines(metrics.get("gaps", ()), metrics["targets"])
    yield "\n## When is a grade called confident?\n"
    yield from (f"- {line}" for line in confident_lines(metadata))


def _made_lines(made: Mapping[str, Any]) -> Iterator[str]:
    """Where it comes from, where the bundle says so."""
    if made:
        yield "\n## Where it comes from\n"
        yield f"- Commit: {made.get('commit') or 'not known'}"
        yield f"- Labels: {made.get('labels', 'not known')} (digest of studies and grades)"
        yield f"- Versions: {', '.join(f'{name} {version}' for name, version in made.get('versions', {}).items())}"
        if made.get("generators"):
            yield f"- Synthetic studies: {', '.join(made['generators'])}"
        fit = made.get("recipe", {}).get("fit", {})
        yield f"- Recipe: {', '.join(f'{key} {value}' for key, value in fit.items())}; the rest is in `model.json`"


def _table(targets: Mapping[str, Any], columns: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield "| Target | Discs (positive) | " + " | ".join(title for _, title in columns) + " |"
    yield "|---" * (len(columns) + 2) + "|"
    for target in targets.values():
        positives = "" if target["positives"] is None else f" ({target['positives']})"
        figures = (target["metrics"].get(name, {}) for name, _ in columns)
        cells = ("–" if figure.get("value") is None else _figure(figure) for figure in figures)
        yield f"| {target['title']} | {target['n']}{positives} | " + " | ".join(cells) + " |"


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
        return f"{line}stood by from {calibration.abstain_below:.2f} where the set is small (older rule)"
    below, above = ("never" if one is None else f"from {one:.2f}" for one in calibration.confident_from)
    cut = f"; called {target.words[1]} from {calibration.cuts[0]:.2f}" if len(calibration.cuts) == 1 else ""
    return f"{line}confident {below} if no finding, {above} if a finding{cut}"


def _severe_lines(targets: Mapping[str, Any]) -> Iterator[str]:
    """How often a severe disc was called normal, of targets that have such a grade."""
    for target in targets.values():
        overlooked = (target.get("severe") or {}).get("metrics", {}).get("called_normal", {})
        if overlooked.get("value") is not None:
            severe = target["severe"]
            yield (
                f"\nOf {severe['positives']} discs with {target['title']} of {severe['presence']}, a share of "
                f"{_figure(overlooked)} was called normal."
            )


def _gap_lines(gaps: Sequence[Mapping[str, Any]], targets: Mapping[str, Any]) -> Iterator[str]:
    if gaps:
        yield "\n## Whom it grades otherwise than the largest group\n"
    for gap in gaps:
        title = targets.get(gap["target"], {}).get("title", gap["target"])
        few = "; fewer than 30 patients" if gap["few"] else ""
        group = f"{gap['variable']} {gap['group']} ({gap['patients']} patients{few})"
        yield f"- {title}, {group}: {_figure(gap['estimate'])}, {_figure(gap['gap'])} beside {gap['reference']}"


def _figure(figure: Mapping[str, float | None]) -> str:
    if figure.get("low") is None:
        return f"{figure['value']:.2f}"
    return f"{figure['value']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]"


def _level_lines(levels: Mapping[str, Any] | None) -> Iterator[str]:
    if levels:
        right = levels["fractions"]["right"]
        interval = "" if right["low"] is None else f" [{100 * right['low']:.1f}, {100 * right['high']:.1f}]"
        yield (
            f"\nOf {levels['graded']} graded discs in {levels['studies']} series, "
            f"{100 * right['value']:.1f} %{interval} were found within {levels['tolerance_mm']:g} mm of "
            "the mask's centre and named as the data set names them."
        )
