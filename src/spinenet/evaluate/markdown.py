"""An assessment in words and Markdown tables: ``report.md``, and tables for notebooks and the README."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from spinenet.evaluate.assessment import Assessment
from spinenet.evaluate.comparison import Comparison
from spinenet.evaluate.evaluation import Metrics, TargetMetrics
from spinenet.evaluate.figure_words import METRIC_WORDS, cells, digits, markdown, size
from spinenet.evaluate.human import LEVELS_MISNAMED, agreement_on
from spinenet.evaluate.intervals import Estimate
from spinenet.evaluate.levels import LevelErrors
from spinenet.evaluate.metrics import MAIN
from spinenet.evaluate.questions import PRESENCE, SEVERE, target_named
from spinenet.evaluate.raters import Raters
from spinenet.evaluate.subgroups import FEW_PATIENTS, Subgroup
from spinenet.evaluate.verdicts import Verdict
from spinenet.labels import RESEARCH_ONLY, Scale
from spinenet.model.calibration import MAX_ERROR

_MAIN = {
    Scale.ORDINAL: ("quadratic_kappa", "linear_kappa", "gwet_ac1", "macro_f1", "balanced_accuracy", "matthews"),
    Scale.NOMINAL: ("auc", "average_precision", "kappa", "macro_f1", "balanced_accuracy"),
    Scale.BINARY: ("auc", "average_precision", "kappa", "gwet_ac1", "matthews", "macro_f1", "balanced_accuracy"),
}
_ANSWERS = ("prevalence", "auc", "average_precision", "sensitivity", "specificity", "ppv", "npv")
_CALIBRATION = (
    *("ece_uncalibrated", "ece", "ece_adaptive", "brier", "log_loss"),
    *("calibration_slope", "calibration_intercept"),
)
_CONFIDENT = ("coverage", "confident_error", "finding_coverage", "confident_finding_error")
_FIGURES = {
    "levels": "The main figure of each target by level; orange rests on fewer than 30 patients, dotted is chance.",
    "confusion": "Discs by true and decided grade; the shade is the share of the true grade.",
    "roc": "ROC curves with 95 % bands over patients; the dot is where the decided grades lie.",
    "precision_recall": "Precision over recall with 95 % bands; the dotted floor is the prevalence.",
    "reliability": "Observed frequency over stated probability, ten bins of equally many discs, 95 % intervals.",
    "decision": "Net benefit of acting on the probability, beside acting on every disc and on none.",
    "risk_coverage": "Share decided wrongly among the discs the model is surest of; the dot is where it abstains now.",
    "raters": "Kappa of the model and of raters; grey is what raters reached in publications.",
}


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
    rows = [[target.target.title, size(target), *cells(target, names)] for target in chosen]
    if asked is not None:
        head.append(heading)
        rows = [[*row, asked.get(target.target.name, "–")] for row, target in zip(rows, chosen, strict=True)]
    return markdown(head, rows)


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """Better than chance, than the previous run, than a rater? One row a target."""
    rows = []
    for verdict in verdicts:
        chance, previous, rater = verdict.answers
        gap = "" if verdict.previous is None else f" ({_signed(verdict.previous.gap)})"
        apart = "" if verdict.rater_gap is None else f" ({_signed(verdict.rater_gap)})"
        named = [target_named(verdict.target).title, METRIC_WORDS[verdict.metric][0], str(verdict.estimate)]
        rows.append([*named, chance, previous + gap, rater + apart])
    return markdown(["Target", "Figure", "Value", "Than chance", "Than the previous run", "Than a rater"], rows)


def _signed(estimate: Estimate) -> str:
    return f"{'+' if estimate.value >= 0 else ''}{estimate}"


def report(assessment: Assessment, figure_names: Sequence[str]) -> str:
    """The whole ``report.md``; ``figure_names`` are the stems of the figures beside it."""
    sections = [
        f"# {assessment.settings.title}",
        f"> {RESEARCH_ONLY}",
        _introduction(assessment),
        "## Better than chance, than the previous run, than a rater?",
        verdict_table(assessment.verdicts),
        _how_judged(assessment),
        *_results(assessment),
        *_level_names(assessment.levels),
        "## By level",
        "Quadratic kappa for ordinal targets, AUC for the others, with the number of discs (positive).",
        _by_level(assessment.targets),
        *_figure("levels", figure_names),
        "## Calibration",
        markdown_table(assessment.metrics, _CALIBRATION, targets=assessment.targets),
        "## Is it right where it is confident?",
        f"A grade is called confident where at most {MAX_ERROR:.0%} of such grades are expected to be wrong.",
        markdown_table(assessment.metrics, _CONFIDENT, targets=assessment.targets),
        *(line for name in ("reliability", "risk_coverage") for line in _figure(name, figure_names)),
        "## Curves and decisions",
        *(
            line
            for name in ("confusion", "roc", "precision_recall", "decision")
            for line in _figure(name, figure_names)
        ),
        *_subgroups(assessment.subgroups, figure_names),
        *_raters(assessment.raters, figure_names),
        *_previous(assessment.previous),
        *_human(assessment),
        "## What the figures mean",
        "\n".join(f"- {name}: {meaning}." for name, meaning in METRIC_WORDS.values()),
    ]
    return "\n\n".join(sections) + "\n"


def _introduction(assessment: Assessment) -> str:
    metrics, threshold = assessment.metrics, assessment.settings.threshold
    decided = (
        "A finding counts as present where the decided grade says so; the cuts of that must come from other patients."
        if threshold is None
        else f"A finding counts as present from a probability of {threshold:g}."
    )
    words = (
        f"{metrics.patients} patients, {metrics.discs} discs with a known grade. Brackets hold 95 % intervals from "
        f"{metrics.samples} bootstrap samples of patients (seed {metrics.seed}; BCa, shares of 0 or 1 by Clopper and "
        f"Pearson over patients). {decided} A dash means that the figure is not defined."
    )
    if assessment.synthetic:
        titles = ", ".join(target_named(name).title for name in assessment.synthetic)
        words += f"\n\nLearnt from synthetic studies alone, not from patients: {titles}."
    return words


def _how_judged(assessment: Assessment) -> str:
    if assessment.consensus:
        rater = "agrees with raters as well as they do among themselves (the truth is their consensus)"
    else:
        rater = "agrees with the truth as well as raters do (mean kappa)"
    return (
        f"Better or worse: p below 0.05 after correction over the targets ({assessment.settings.correction}). Not "
        f"shown is not the same as equal. Than a rater: whether the model {rater}; differences in brackets."
    )


def _results(assessment: Assessment) -> Iterator[str]:
    targets = assessment.targets
    known = {name: published.text() for name in targets if (published := agreement_on(name))}
    for scale, heading in ((Scale.ORDINAL, "Ordinal grades"), (Scale.NOMINAL, "Types"), (Scale.BINARY, "Findings")):
        names = [name for name, target in targets.items() if target.target.scale is scale]
        if names:
            yield f"## {heading}"
            yield markdown_table(
                assessment.metrics, _MAIN[scale], targets=names, asked=known, heading="Raters among themselves"
            )
    yield "## Presence"
    asked = {name: PRESENCE[name].title for name in targets}
    yield markdown_table(assessment.metrics, _ANSWERS, targets=targets, asked=asked, heading="Question")
    yield from _severe(targets)
    yield from _rsna(assessment.rsna)
    left_out = [f"{one.target.title} {one.not_graded}" for one in assessment.metrics.targets.values() if one.not_graded]
    if left_out:
        yield f"Discs with a known grade but without a prediction, in none of these figures: {', '.join(left_out)}."
    if assessment.refused:
        reasons = ", ".join(f"{code} {count}" for code, count in assessment.refused.items())
        yield f"Of these grades, refused as spinenet predict refuses them: {reasons}."


def _severe(targets: Mapping[str, TargetMetrics]) -> Iterator[str]:
    graded = {name: target for name, target in targets.items() if target.severe}
    if graded:
        names = ("called_normal", *_ANSWERS)
        rows = [
            [
                f"{target.target.title}: {question.title}",
                f"{target.n} ({target.severe_positives})",
                *(target.severe[metric].text(digits(metric)) for metric in names),
            ]
            for name, target in graded.items()
            if (question := SEVERE[name])
        ]
        yield "## Severe"
        yield markdown(["Question", "Discs (positive)", *(METRIC_WORDS[name][0] for name in names)], rows)


def _rsna(rsna: Mapping[str, Estimate]) -> Iterator[str]:
    if rsna:
        yield "## RSNA 2024 score"
        yield markdown(["Part", "Weighted log loss"], [[name, estimate.text(3)] for name, estimate in rsna.items()])
        yield "Lower is better; 1.0986 is knowing nothing. A level without a grade gets the weighted frequencies."


def _level_names(levels: LevelErrors | None) -> Iterator[str]:
    if levels is None:
        return
    median, high = levels.distance_mm
    yield "## Levels found and named"
    yield markdown(
        [f"Of {levels.graded} graded discs, {levels.studies} series", "Discs", "Fraction"],
        [[name, str(levels.counts[name]), _percent(levels.fractions[name])] for name in levels.counts],
    )
    yield (
        f"Right: a located centre within {levels.tolerance_mm:g} mm under the disc's name; misnamed: under another; "
        "extra: a located centre at no disc, or a second one at a disc. From true to located centre "
        f"{median:.1f} mm (median), {high:.1f} mm (95th percentile). Raters numbered a level wrongly from lumbar "
        f"images alone in {100 * LEVELS_MISNAMED:.1f} % of patients."
    )


def _percent(fraction: Estimate) -> str:
    return f"{100 * fraction.value:.1f} % [{100 * fraction.low:.1f}, {100 * fraction.high:.1f}]"


def _by_level(targets: Mapping[str, TargetMetrics]) -> str:
    names = list(dict.fromkeys(level for target in targets.values() for level in target.levels))
    rows = []
    for target in targets.values():
        metric = MAIN[target.target.scale]
        parts = [target.levels.get(level) for level in names]
        figures = (f"{part.estimates[metric]} <br> {size(part)}" if part else "–" for part in parts)
        rows.append([target.target.title, *figures])
    return markdown(["Target", *names], rows)


def _figure(name: str, figure_names: Sequence[str]) -> Iterator[str]:
    if name in figure_names:
        yield f"![{_FIGURES[name]}](figures/{name}.png)"
        yield f"*{_FIGURES[name]}*"


def _subgroups(groups: Sequence[Subgroup], figure_names: Sequence[str]) -> Iterator[str]:
    if not groups:
        return
    asked = [group for group in groups if group.p_corrected == group.p_corrected]
    apart = sorted((group for group in asked if group.p_corrected < 0.05), key=lambda group: group.p_corrected)
    yield "## Subgroups"
    yield (
        f"{len(asked)} gaps between a group and the largest group of its variable were looked at; {len(apart)} differ "
        "after correction. All of them: tables/subgroups.csv."
    )
    if apart:
        head = ["Target", "Group", "Patients", "Figure", "Decided wrongly", "Gap to", "Gap", "p, corrected"]
        yield markdown(head, [_gap_row(group) for group in apart])
    few = dict.fromkeys(f"{one.variable} {one.group} ({one.patients})" for one in groups if one.few)
    if few:
        yield f"**Fewer than {FEW_PATIENTS} patients, so hardly anything can be said:** {', '.join(few)}."
    for name in figure_names:
        if name.startswith("subgroup_"):
            yield f"![By {name.removeprefix('subgroup_')}](figures/{name}.png)"


def _gap_row(group: Subgroup) -> list[str]:
    few = " **few**" if group.few else ""
    title = target_named(group.target).title
    named = [title, f"{group.variable} {group.group}", f"{group.patients}{few}", str(group.estimate), str(group.wrong)]
    return [*named, group.reference, _signed(group.gap), f"{group.p_corrected:.3f}"]


def _raters(raters: Raters | None, figure_names: Sequence[str]) -> Iterator[str]:
    if raters is None or not raters.means:
        return
    names = ("model_truth", "rater_truth", "gap_truth", "model_rater", "rater_rater", "gap")
    head = [
        "Target",
        "Model, truth",
        "Raters, truth",
        "Difference",
        "Model, raters",
        "Raters, raters",
        "Difference",
    ]
    rows = [
        [
            target_named(name).title,
            *(str(means[key]) for key in names),
            published.text() if (published := agreement_on(name)) else "–",
        ]
        for name, means in raters.means.items()
    ]
    yield "## Raters"
    yield "Mean kappas (quadratic for ordinal grades); every pair, with AC1, in tables/raters.csv."
    yield markdown([*head, "Published, raters"], rows)
    yield from _figure("raters", figure_names)


def _previous(previous: Comparison | None) -> Iterator[str]:
    if previous is not None:
        yield "## Against the previous run"
        yield comparison_table(previous)


def comparison_table(comparison: Comparison) -> str:
    """The main figure of each target in both runs, with the paired difference."""
    first, second = comparison.names
    head = ["Target", "Figure", "Discs", first, second, "Difference", "p", "p, corrected", "p, DeLong", "First run is"]
    rows = [
        [
            *(target_named(name).title, METRIC_WORDS[row.metric][0], str(row.n), str(row.first), str(row.second)),
            *(_signed(row.gap), _chance(row.p), _chance(row.p_corrected), _chance(row.p_delong), row.verdict),
        ]
        for name, row in comparison.main().items()
    ]
    return markdown(head, rows)


def _chance(p: float) -> str:
    return "–" if p != p else f"{p:.3f}" if p >= 0.001 else "< 0.001"


def _human(assessment: Assessment) -> Iterator[str]:
    known = {published.text(): None for name in assessment.targets if (published := agreement_on(name))}
    if known:
        yield "## What raters reach among themselves"
        yield "\n".join(f"- {words}" for words in known)
