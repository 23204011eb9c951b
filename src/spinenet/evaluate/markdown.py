"""The words of every figure, and what an assessment found as Markdown tables, for the report and for notebooks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from spinenet.evaluate.assessment import Assessment
from spinenet.evaluate.comparison import Comparison
from spinenet.evaluate.discrimination import Discrimination
from spinenet.evaluate.estimates import MAIN
from spinenet.evaluate.evaluation import Metrics, TargetMetrics
from spinenet.evaluate.intervals import FAMILY_ERROR, Estimate
from spinenet.evaluate.raters import agreement_on
from spinenet.evaluate.samples import SEVERE, target_named
from spinenet.labels import Scale

METRIC_WORDS = {
    "quadratic_kappa": ("Quadratic kappa", "agreement beyond chance, far misses counting more; 1 is perfect"),
    "linear_kappa": ("Linear kappa", "the same, misses counting by their distance"),
    "kappa": ("Kappa", "agreement beyond chance, without weights"),
    "gwet_ac1": ("Gwet's AC1", "agreement beyond chance that rare grades do not sink"),
    "matthews": ("MCC", "correlation of decided and true grades; 0 is chance"),
    "macro_f1": ("Macro F1", "F1 of each grade, averaged with equal weight"),
    "macro_f1_neutral": ("Macro F1, most probable", "the same where the most probable grade is decided, without cuts"),
    "macro_f1_gain": ("Gain by cuts", "macro F1 as decided minus that of the most probable grade"),
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
    "calibration_slope": ("Slope", "of the line from stated log-odds of the finding to true ones; below 1 is too sure"),
    "calibration_intercept": ("Intercept", "of that line; 0 is perfect, more is stated too rarely"),
    "brier": ("Brier", "mean squared error of the probabilities; 0 is perfect"),
    "brier_skill": ("Brier skill", "share of the Brier error of stating the prevalence that is saved; 1 is perfect"),
    "log_loss": ("Log loss", "mean of minus the log of the true grade's probability; 0 is perfect"),
    "ece": ("ECE", "expected calibration error over ten equal bins; a perfect model of this size has about 0.03"),
    "ece_adaptive": ("Adaptive ECE", "the same over ten bins of equally many discs"),
    "ece_uncalibrated": ("ECE before", "ECE before calibration"),
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
_OF_SCALE = {
    Scale.ORDINAL: (
        "quadratic_kappa",
        "linear_kappa",
        "kappa",
        "gwet_ac1",
        "macro_f1",
        "balanced_accuracy",
        "matthews",
    ),
    Scale.NOMINAL: ("auc", "average_precision", "kappa", "macro_f1", "balanced_accuracy"),
    Scale.BINARY: ("auc", "average_precision", "kappa", "gwet_ac1", "matthews", "macro_f1", "balanced_accuracy"),
}
ANSWERS = ("prevalence", "auc", "average_precision", "sensitivity", "specificity", "ppv", "npv")
_HEADINGS = {Scale.ORDINAL: "Ordinal grades", Scale.NOMINAL: "Types", Scale.BINARY: "Findings"}


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """
    >>> print(markdown(["a", "b"], [["1", 2]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = ["| " + " | ".join(map(str, cells)) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def size(target: TargetMetrics) -> str:
    """Discs, and how many of them have the finding where the grades are not ordinal."""
    return f"{target.n} ({target.positives})" if target.target.scale is not Scale.ORDINAL else f"{target.n}"


def figure_text(name: str, found: Mapping[str, Estimate]) -> str:
    """A figure as "value [low, high]"; a dash for one that is not there."""
    return found[name].text(3 if name in _SMALL else 2) if name in found else "–"


def signed(estimate: Estimate) -> str:
    """A difference, with its sign."""
    return f"{'+' if estimate.value >= 0 else ''}{estimate}"


def chance(p: float) -> str:
    """A p-value for a table."""
    return "–" if p != p else f"{p:.3f}" if p >= 0.001 else "< 0.001"


def percent(fraction: Estimate) -> str:
    """A share in percent."""
    return f"{100 * fraction.value:.1f} % [{100 * fraction.low:.1f}, {100 * fraction.high:.1f}]"


def markdown_table(
    metrics: Metrics,
    names: Sequence[str] = ("quadratic_kappa", "auc", "average_precision", "macro_f1"),
    *,
    targets: Iterable[str] | None = None,
    asked: Mapping[str, str] | None = None,
    heading: str = "Asked for",
) -> str:
    """A Markdown table, one row a target, one column a metric as "value [low, high]".

    ``names`` are keys of METRIC_WORDS, ``targets`` names (default: all that were evaluated), ``asked`` a last column of
    other figures by target under ``heading``. A metric that a target does not have is left as a dash.
    """
    every = metrics.targets | metrics.sides
    chosen = [every[name] for name in (metrics.targets if targets is None else targets)]
    head = ["Target", "Discs (positive)", *(METRIC_WORDS[name][0] for name in names)]
    rows = [
        [one.target.title, size(one), *(figure_text(name, one.estimates) for name in names)]
        + ([] if asked is None else [asked.get(one.target.name, "–")])
        for one in chosen
    ]
    return markdown(head if asked is None else [*head, heading], rows)


def baseline_table(found: Sequence[Discrimination]) -> str:
    """The main figure beside those of names without an image, and what is left of it within a level or a patient."""
    head = ["Target", "Figure", "Value", "Level alone", "Level and readers' companion", "Better than both?"]
    rows = []
    for one in found:
        beside = f"{one.with_companion} ({one.companion})" if one.companion else "–"
        answers = set(one.answers) - {"not asked"}
        said = "–" if not answers else "yes" if answers == {"better"} else "not shown"
        rows.append(
            [target_named(one.target).title, METRIC_WORDS[one.metric][0], one.estimate, one.level_alone, beside, said]
        )
    return markdown(head, rows)


def area_table(found: Sequence[Discrimination]) -> str:
    """AUC of "present" over all pairs, within a level, within a patient, and of patients; and the count of findings."""
    names = ("pooled", "within_level", "within_patient", "anywhere")
    head = ["Target", "AUC, pooled", "Within a level", "Within a patient", "Has this patient one anywhere"]
    counts = ("wholly_right", "errors", "missed", "false_calls")
    head += ["Patients without an error", "Errors a patient", "Missed", "False calls", "Right finding, wrong level"]
    rows = [
        [target_named(one.target).title, *(one.areas[name] for name in names), *(one.count[name] for name in counts)]
        + [f"{one.wrong_level} patients"]
        for one in found
    ]
    return markdown(head, rows)


def comparison_table(comparison: Comparison) -> str:
    """The main figure of each target in both runs, with the paired difference."""
    head = ["Target", "Figure", "Discs", *comparison.names, "Difference", "p, corrected", "First run is"]
    rows = [
        [target_named(name).title, METRIC_WORDS[row.metric][0], row.n, row.first, row.second]
        + [signed(row.gap), chance(row.p_corrected), row.verdict]
        for name, row in comparison.main().items()
    ]
    return markdown(head, rows)


def results(assessment: Assessment) -> Iterator[tuple[str, str]]:
    """Heading and table of the grades of each scale."""
    known = {name: one.text() for name in assessment.targets if (one := agreement_on(name))}
    for scale, heading in _HEADINGS.items():
        names = [name for name, target in assessment.targets.items() if target.target.scale is scale]
        if names:
            columns = _OF_SCALE[scale]
            raters = {"asked": known, "heading": "Raters, linear kappa"} if set(names) & set(known) else {}
            yield heading, markdown_table(assessment.metrics, columns, targets=names, **raters)  # type: ignore[arg-type]


def severe_table(targets: Mapping[str, TargetMetrics]) -> str:
    """The question whether a disc is severe, of targets that have such grades; empty where none has."""
    names = ("called_normal", *ANSWERS)
    rows = [
        [f"{target.target.title}: {question.title}", f"{target.n} ({target.severe_positives})"]
        + [figure_text(metric, target.severe) for metric in names]
        for name, target in targets.items()
        if target.severe and (question := SEVERE[name])
    ]
    return markdown(["Question", "Discs (positive)", *(METRIC_WORDS[name][0] for name in names)], rows) if rows else ""


def level_table(targets: Mapping[str, TargetMetrics]) -> str:
    """The main figure of each target at each level."""
    names = list(dict.fromkeys(level for target in targets.values() for level in target.levels))
    rows = []
    for target in targets.values():
        metric = MAIN[target.target.scale]
        parts = [target.levels.get(level) for level in names]
        cells = (f"{part.estimates[metric]} <br> {size(part)}" if part else "–" for part in parts)
        rows.append([target.target.title, *cells])
    return markdown(["Target", *names], rows)


def gap_table(assessment: Assessment) -> str:
    """Groups that differ from the largest of their variable; empty where none does."""
    apart = [group for group in assessment.subgroups if group.p_corrected < FAMILY_ERROR]
    head = ["Target", "Group", "Patients", "Figure", "Decided wrongly", "Gap to", "Gap", "p, corrected"]
    rows = [
        [target_named(one.target).title, f"{one.variable} {one.group}", f"{one.patients}{' **few**' * one.few}"]
        + [one.estimate, one.wrong, one.reference, signed(one.gap), chance(one.p_corrected)]
        for one in sorted(apart, key=lambda group: group.p_corrected)
    ]
    return markdown(head, rows) if rows else ""


def rater_table(assessment: Assessment) -> str:
    """Model and raters with the truth and with each other; empty without raters."""
    if assessment.raters is None or not assessment.raters.means:
        return ""
    names = ("model_truth", "rater_truth", "gap_truth", "model_rater", "rater_rater", "gap")
    gap, p = "Difference", "p, corrected"
    head = ["Target", "Model, truth", "Raters, truth", gap, p, "Model, raters", "Raters, raters", gap, p]
    rows = []
    for name, means in assessment.raters.means.items():
        cells = [str(means[key]) for key in names]
        cells.insert(3, chance(assessment.raters.p_truth[name]))
        rows.append([target_named(name).title, *cells, chance(assessment.raters.p[name])])
    return markdown(head, rows)
