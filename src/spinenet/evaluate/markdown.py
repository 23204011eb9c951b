"""An evaluation in words and Markdown tables, for ``report.md``, the README and the model card."""

from collections.abc import Iterable, Mapping, Sequence

from spinenet.evaluate.evaluation import Metrics, TargetMetrics
from spinenet.evaluate.levels import LevelErrors
from spinenet.labels import RESEARCH_ONLY, Scale

METRIC_WORDS = {
    "quadratic_kappa": ("Quadratic kappa", "agreement beyond chance, far misses counting more; 1 is perfect"),
    "macro_f1": ("Macro F1", "F1 of each grade, averaged with equal weight"),
    "balanced_accuracy": ("Balanced accuracy", "share decided rightly of each true grade, averaged with equal weight"),
    "auc": ("AUC", "chance that a disc with the finding scores above one without it (Modic: any type against none)"),
    "average_precision": ("Average precision", "precision averaged over recall; its floor is the share of positives"),
    "sensitivity": ("Sensitivity", "share of discs with the finding that are decided so"),
    "specificity": ("Specificity", "share of discs without the finding that are decided so"),
    "brier": ("Brier", "mean squared error of the probabilities; 0 is perfect"),
    "ece": ("ECE", "expected calibration error over ten bins; 0 is perfect"),
    "ece_uncalibrated": ("ECE before", "the same before temperature scaling"),
    "coverage": ("Coverage", "share of discs on which the model stands by its grade"),
}

HUMAN_AGREEMENT = {
    "pfirrmann": "Pfirrmann grade, kappa about 0.6",
    "herniation": "herniation, kappa 0.42 (MSU readings); disc morphology, kappa 0.81 (SPORT)",
    "canal_stenosis": "central canal (Schizas), kappa 0.44; thecal sac, kappa 0.54 (SPORT)",
    "foraminal_stenosis_left": "foramen (Lee), kappa 0.39 (general readers) to 0.9 (experts)",
    "subarticular_stenosis_left": "nerve root, kappa 0.47 (SPORT)",
}
"""What readers reach among themselves, by the target it bounds."""

_MAIN = {
    Scale.ORDINAL: ("quadratic_kappa", "macro_f1", "balanced_accuracy"),
    Scale.NOMINAL: ("macro_f1", "balanced_accuracy", "auc", "average_precision"),
    Scale.BINARY: ("auc", "average_precision", "sensitivity", "specificity", "macro_f1", "balanced_accuracy"),
}
_FIGURES = {
    "confusion": ("Confusion", "Discs by true and decided grade; the shade is the share of the true grade."),
    "roc": ("ROC curves", "Bands are 95 % intervals over patients; the dot is where the decided grades lie."),
    "reliability": (
        "Reliability",
        "Bars are 95 % intervals over patients, grey columns the share of discs in each bin of probability; bins with "
        "fewer than five discs are not drawn.",
    ),
}
_PER_LEVEL = {Scale.ORDINAL: "quadratic_kappa", Scale.NOMINAL: "auc", Scale.BINARY: "auc"}
_SMALL = ("ece", "ece_uncalibrated", "brier")
"""Figures near 0 that need a third decimal."""
_CALIBRATION = ("ece_uncalibrated", "ece", "brier", "coverage")


def markdown_table(
    metrics: Metrics,
    names: Sequence[str] = ("quadratic_kappa", "auc", "average_precision", "macro_f1"),
    *,
    targets: Iterable[str] | None = None,
    asked: Mapping[str, str] | None = None,
) -> str:
    """A Markdown table, one row a target, one column a metric as "value [low, high]".

    ``names`` are keys of METRIC_WORDS, ``targets`` names (default: all that were evaluated), ``asked`` a last column of
    figures to reach by target. A metric that a target does not have is left as a dash.
    """
    chosen = [metrics.targets[name] for name in (metrics.targets if targets is None else targets)]
    head = ["Target", "Discs (positive)", *(METRIC_WORDS[name][0] for name in names)]
    rows = [[target.target.title, _size(target), *_figures_of(target, names)] for target in chosen]
    if asked is not None:
        head.append("Asked for")
        rows = [[*row, asked.get(target.target.name, "–")] for row, target in zip(rows, chosen, strict=True)]
    return _table(head, rows)


def report(metrics: Metrics, title: str, levels: LevelErrors | None, figure_names: Sequence[str]) -> str:
    """The whole ``report.md``; ``figure_names`` are among the keys of _FIGURES."""
    intro = (
        f"{metrics.patients} patients, {metrics.discs} discs with a known grade. Brackets hold 95 % intervals from "
        f"{metrics.samples} bootstrap samples of patients (seed {metrics.seed}). An interval of no width means that no "
        "resample differed, not certainty; a dash means that the figure is not defined. Grades are taken as they were "
        "decided, by cuts that must come from other patients than these."
    )
    sections = [
        f"# {title}",
        f"> {RESEARCH_ONLY}",
        intro,
        *_results(metrics),
        *_level_names(levels),
        "## By level",
        "Quadratic kappa for ordinal targets, AUC for the others, with the number of discs (positive).",
        _by_level(metrics),
        "## Calibration",
        "Expected calibration error before and after temperature scaling, on the same discs.",
        markdown_table(metrics, _CALIBRATION),
        *(_figure(name) for name in figure_names),
        *_human_agreement(metrics),
        "## What the figures mean",
        "\n".join(f"- {name}: {meaning}." for name, meaning in METRIC_WORDS.values()),
    ]
    return "\n\n".join(sections) + "\n"


def _figure(name: str) -> str:
    title, caption = _FIGURES[name]
    return f"## {title}\n\n{caption}\n\n![{title}](figures/{name}.png)"


def _results(metrics: Metrics) -> Iterable[str]:
    for scale, heading in ((Scale.ORDINAL, "Ordinal grades"), (Scale.NOMINAL, "Types"), (Scale.BINARY, "Findings")):
        names = [name for name, target in metrics.targets.items() if target.target.scale is scale]
        if names:
            yield f"## {heading}"
            yield markdown_table(metrics, _MAIN[scale], targets=names)
    left_out = [f"{t.target.title} {t.not_graded}" for t in metrics.targets.values() if t.not_graded]
    if left_out:
        yield f"Discs with a known grade but without a prediction, in none of these figures: {', '.join(left_out)}."


def _level_names(levels: LevelErrors | None) -> Iterable[str]:
    if levels is None:
        return
    median, high = levels.distance_mm
    yield "## Levels"
    yield _table(
        [f"Of {levels.graded} graded discs, {levels.studies} studies", "Discs", "Fraction"],
        [[name, str(levels.counts[name]), _percent(levels, name)] for name in levels.counts],
    )
    yield (
        f"Right: a located centre within {levels.tolerance_mm:g} mm under the disc's name; misnamed: under another; "
        "extra: a located centre at no disc, or a second one at a disc. From true to located centre "
        f"{median:.1f} mm (median), {high:.1f} mm (95th percentile)."
    )


def _percent(levels: LevelErrors, name: str) -> str:
    fraction = levels.fractions[name]
    return f"{100 * fraction.value:.1f} % [{100 * fraction.low:.1f}, {100 * fraction.high:.1f}]"


def _by_level(metrics: Metrics) -> str:
    names = list(dict.fromkeys(level for target in metrics.targets.values() for level in target.levels))
    rows = []
    for target in metrics.targets.values():
        metric = _PER_LEVEL[target.target.scale]
        cells = [target.levels.get(level) for level in names]
        rows.append(
            [target.target.title, *(f"{cell.estimates[metric]} <br> {_size(cell)}" if cell else "–" for cell in cells)]
        )
    return _table(["Target", *names], rows)


def _human_agreement(metrics: Metrics) -> Iterable[str]:
    known = [words for target, words in HUMAN_AGREEMENT.items() if target in metrics.targets]
    if known:
        yield "## What readers reach among themselves"
        yield (
            "\n".join(f"- {words}" for words in known)
            + "\n- level named wrongly from lumbar images alone: 14.1 % of patients"
        )


def _figures_of(target: TargetMetrics, names: Sequence[str]) -> list[str]:
    digits = {name: 3 if name in _SMALL else 2 for name in names}
    return [target.estimates[name].text(digits[name]) if name in target.estimates else "–" for name in names]


def _size(target: TargetMetrics) -> str:
    return f"{target.n} ({target.positives})" if target.target.scale is not Scale.ORDINAL else f"{target.n}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """
    >>> print(_table(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    return "\n".join(
        ["| " + " | ".join(cells) + " |" for cells in (head,)]
        + ["|" + "---|" * len(head)]
        + ["| " + " | ".join(cells) + " |" for cells in rows]
    )
