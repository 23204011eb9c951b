"""The model card of a bundle: written from ``model.json``, so that it cannot say anything else than the bundle."""

from collections.abc import Iterator, Mapping
from typing import Any

from spinenet.labels import RESEARCH_ONLY, TARGET

CARD_METRICS = (
    ("quadratic_kappa", "Quadratic kappa"),
    ("auc", "AUC"),
    ("average_precision", "Average precision"),
    ("macro_f1", "Macro F1"),
    ("sensitivity", "Sensitivity"),
    ("specificity", "Specificity"),
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
    """The part of ``metrics.json`` that a bundle carries: pooled figures of each target, and of the levels."""
    kept = ("title", "n", "patients", "positives", "metrics")
    return {
        "patients": metrics["patients"],
        "discs": metrics["discs"],
        "targets": {name: {key: target[key] for key in kept} for name, target in metrics["targets"].items()},
        "levels": metrics["levels"],
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
    yield "\n## What each target was learnt from\n"
    for name in metadata["calibration"]:
        synthetic = metadata.get("evidence", {}).get(name) == "synthetic"
        unsaid = "learnt from synthetic studies" if synthetic else "see training data"
        yield f"- {TARGET[name].title}: {metadata.get('learnt_from', {}).get(name, unsaid)}"
    metrics = metadata.get("metrics")
    if metrics:
        yield f"\n## Figures\n\n{metrics['patients']} patients, {metrics['discs']} discs; 95 % intervals.\n"
        yield "| Target | Discs (positive) | " + " | ".join(title for _, title in CARD_METRICS) + " |"
        yield "|---" * (len(CARD_METRICS) + 2) + "|"
        for target in metrics["targets"].values():
            yield _row(target)
        yield from _level_lines(metrics.get("levels"))


def _row(target: Mapping[str, Any]) -> str:
    positives = "" if target["positives"] is None else f" ({target['positives']})"
    cells = [target["title"], f"{target['n']}{positives}"]
    for name, _ in CARD_METRICS:
        figure = target["metrics"].get(name, {})
        cells.append("–" if figure.get("value") is None else _figure(figure))
    return "| " + " | ".join(cells) + " |"


def _figure(figure: Mapping[str, float | None]) -> str:
    if figure.get("low") is None:
        return f"{figure['value']:.2f}"
    return f"{figure['value']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]"


def _level_lines(levels: Mapping[str, Any] | None) -> Iterator[str]:
    if levels:
        right = levels["fractions"]["right"]
        yield (
            f"\nOf {levels['graded']} graded discs in {levels['studies']} series, {100 * right['value']:.1f} % "
            f"[{100 * right['low']:.1f}, {100 * right['high']:.1f}] were found within {levels['tolerance_mm']:g} mm of "
            "the mask's centre and named as the data set names them."
        )
