"""What each figure is called and means, and the pieces that Markdown tables are made of."""

from collections.abc import Iterable, Sequence

from spinenet.evaluate.evaluation import TargetMetrics
from spinenet.labels import Scale

METRIC_WORDS = {
    "quadratic_kappa": ("Quadratic kappa", "agreement beyond chance, far misses counting more; 1 is perfect"),
    "linear_kappa": ("Linear kappa", "the same, misses counting by their distance"),
    "kappa": ("Kappa", "agreement beyond chance"),
    "gwet_ac1": ("Gwet's AC1", "agreement beyond chance that rare grades do not sink"),
    "matthews": ("MCC", "correlation of decided and true grades; 0 is chance"),
    "macro_f1": ("Macro F1", "F1 of each grade, averaged with equal weight"),
    "balanced_accuracy": ("Balanced accuracy", "share decided rightly of each true grade, averaged with equal weight"),
    "accuracy": ("Accuracy", "share decided rightly; high for rare findings whatever the model does"),
    "auc": ("AUC", "chance that a disc with the finding scores above one without it"),
    "average_precision": ("Average precision", "precision averaged over recall; its floor is the prevalence"),
    "sensitivity": ("Sensitivity", "share of discs with the finding that are decided so"),
    "specificity": ("Specificity", "share of discs without the finding that are decided so"),
    "ppv": ("PPV", "share of discs decided to have the finding that have it, at this prevalence"),
    "npv": ("NPV", "share of discs decided not to have the finding that do not, at this prevalence"),
    "prevalence": ("Prevalence", "share of discs with the finding"),
    "called_normal": ("Severe called normal", "share of severe discs that are decided to be normal"),
    "brier": ("Brier", "mean squared error of the probabilities; 0 is perfect"),
    "log_loss": ("Log loss", "mean of minus the log of the true grade's probability; 0 is perfect"),
    "ece": ("ECE", "expected calibration error over ten equal bins of probability; 0 is perfect"),
    "ece_adaptive": ("Adaptive ECE", "the same over ten bins of equally many discs"),
    "ece_uncalibrated": ("ECE before", "ECE before calibration"),
    "calibration_slope": ("Slope", "of the line from stated log-odds of the finding to true ones; below 1 is too sure"),
    "calibration_intercept": ("Intercept", "of that line; 0 is perfect, more is stated too rarely"),
    "coverage": ("Confident", "share of discs on which the model stands by its grade"),
    "confident_error": ("Error among confident", "share decided wrongly where the model stands by its grade"),
    "finding_coverage": ("Findings confident", "share stood by of the discs decided to have the finding"),
    "confident_finding_error": (
        "Error among confident findings",
        "share decided wrongly of the discs decided to have the finding, where the model stands by that",
    ),
}
"""Name in tables and meaning of every metric."""

_SMALL = ("ece", "ece_adaptive", "ece_uncalibrated", "brier", "log_loss")
"""Figures near 0 that need a third decimal."""


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """
    >>> print(markdown(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def cells(target: TargetMetrics, names: Sequence[str]) -> list[str]:
    """Figures as "value [low, high]"; a dash for one that the target does not have."""
    return [target.estimates[name].text(digits(name)) if name in target.estimates else "–" for name in names]


def digits(metric: str) -> int:
    """Decimals that a metric is written with."""
    return 3 if metric in _SMALL else 2


def size(target: TargetMetrics) -> str:
    """Discs, and how many of them have the finding where the grades are not ordinal."""
    return f"{target.n} ({target.positives})" if target.target.scale is not Scale.ORDINAL else f"{target.n}"
