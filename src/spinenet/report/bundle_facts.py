"""A model bundle in lines of text, as ``spinenet verify`` prints it."""

from collections.abc import Iterator

from spinenet.labels import RESEARCH_ONLY
from spinenet.model.bundle import Bundle
from spinenet.model.card import confident_lines
from spinenet.report.page.html import model_lines


def lines_of(bundle: Bundle) -> Iterator[str]:
    """What a bundle is, what it grades and how well, in a few lines."""
    yield f"{bundle.path}: every file is as it was made"
    for heading, text in model_lines({**bundle.metadata, "name": bundle.name, "version": bundle.version}):
        yield f"{heading}: {text}"
    made = bundle.metadata.get("made_with", {})
    if made:
        torch = made.get("versions", {}).get("torch", "not known")
        yield f"Made with: commit {made.get('commit') or 'not known'}, torch {torch}"
    yield f"Grades: {', '.join(bundle.targets)}"
    if bundle.not_graded:
        yield f"Does not grade: {', '.join(bundle.not_graded)}"
    yield from confident_lines(bundle.metadata)
    for target in bundle.metadata.get("metrics", {}).get("targets", {}).values():
        yield f"{target['title']} (n = {target['n']}): {', '.join(_figures(target['metrics']))}"
    yield RESEARCH_ONLY


def _figures(metrics: dict[str, dict[str, float | None]]) -> Iterator[str]:
    """The figures of a model card, each with its 95 % interval; ``metrics`` as in ``metrics.json``."""
    for name in ("quadratic_kappa", "auc", "macro_f1"):
        figure = metrics.get(name, {})
        if figure.get("value") is not None:
            interval = "" if figure.get("low") is None else f" ({figure['low']:.2f} to {figure['high']:.2f})"
            yield f"{name} {figure['value']:.2f}{interval}"
