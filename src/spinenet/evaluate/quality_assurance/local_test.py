"""Local acceptance testing: a frozen bundle, bars that were stated before, a department's own studies and readers.

A protocol is a TOML file: ``name``, optionally the ``bundle`` digest it is meant for, and one ``[[bar]]`` a figure
that must hold. All bars must hold, so none is corrected for the others. Shapes: N discs, C columns of weights.
"""

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinenet.errors import ConfigError, PredictionsError, SpinenetError, in_words
from spinenet.evaluate.discrimination import areas
from spinenet.evaluate.estimates import (
    Figure,
    answer_figures,
    answered,
    figures_of,
    mean_of,
    score,
    severe_figures,
)
from spinenet.evaluate.intervals import (
    ENDS,
    FEWEST_PATIENTS,
    UNDEFINED,
    Estimate,
    Resamples,
    bca,
    once,
    patients_of,
    plain,
)
from spinenet.evaluate.report import METRIC_WORDS, template, write_json
from spinenet.evaluate.samples import (
    PRESENCE,
    SEVERE,
    Cohort,
    Question,
    Sample,
    load_predictions,
    load_truth,
    make_cohort,
    target_named,
)
from spinenet.labels import RESEARCH_ONLY, TARGET, UNKNOWN
from spinenet.model.bundle import Bundle
from spinenet.predict import predict_study
from spinenet.readers import find_studies, read_study
from spinenet.readers.dicom.assembly import study_key
from spinenet.report.tables import PREDICTION_COLUMNS, PREDICTIONS_FILE, prediction_rows, write_table
from spinenet.system.files import write_text

PASS, FAIL, TOO_FEW = "pass", "fail", "too few"
OF_DISCS, OF_PATIENTS = "disc", "patient"
OWN_FIGURES = {
    "graded": "Share of labelled discs graded",
    "false_calls": "False calls a patient",
    "anywhere": "AUC of patients by their highest disc",
    "within_level": "AUC within a level",
    "within_patient": "AUC within a patient",
}
"""Figures of a bar beside those of ``metrics.json``, in words."""
IN_WORDS = OWN_FIGURES | {"calibration_slope": "Calibration slope", "calibration_intercept": "Calibration intercept"}
OF_GRADES = (
    "quadratic_kappa",
    "linear_kappa",
    "kappa",
    "gwet_ac1",
    "matthews",
    "macro_f1",
    "balanced_accuracy",
    "accuracy",
    "graded",
)
"""Figures of all grades, not of the question whether a disc has the finding."""
CALLED = ("sensitivity", "specificity", "ppv", "npv", "false_calls")
"""Figures of calls, which a threshold may make."""


@dataclass(frozen=True)
class Bar:
    """``figure`` of ``target`` must be at ``least``, or at ``most``, so high, by its whole 95 % interval.

    ``question`` is "presence" or "severe"; with ``unit`` "patient" a patient has what any of the discs has.
    ``threshold`` is the probability from which it is called, the decided grade without one. Fewer than ``patients``
    with the finding are too few.
    """

    target: str
    figure: str
    least: float | None = None
    most: float | None = None
    patients: int = FEWEST_PATIENTS
    question: str = "presence"
    unit: str = OF_DISCS
    threshold: float | None = None

    @property
    def words(self) -> str:
        """The bar in a line."""
        asked = (SEVERE if self.question == "severe" else PRESENCE)[self.target]
        called = "" if self.threshold is None else f", called from {self.threshold:g}"
        limit = f"at least {self.least:g}" if self.most is None else f"at most {self.most:g}"
        title, figure = target_named(self.target).title, IN_WORDS.get(self.figure) or METRIC_WORDS[self.figure][0]
        about = "" if self.figure in OF_GRADES or not asked else f" ({asked.title}, by {self.unit}{called})"
        return f"{title}{about}: {figure} {limit}"


@dataclass(frozen=True)
class Protocol:
    """What was stated before anyone looked: ``bundle`` is the digest it is meant for, "" for any."""

    name: str
    bars: tuple[Bar, ...]
    bundle: str = ""
    samples: int = 2000
    seed: int = 0
    digest: str = ""


@dataclass(frozen=True)
class BarResult:
    """A bar and what was found: ``verdict`` is pass, fail or too few; ``wanted`` patients with the finding would do."""

    bar: Bar
    estimate: Estimate
    patients: int
    positive_patients: int
    verdict: str
    wanted: int | None


def load_protocol(path: Path) -> Protocol:
    """Read a protocol; ConfigError says what in it cannot be judged."""
    try:
        text = path.read_bytes()
        content = tomllib.loads(text.decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a protocol in TOML ({in_words(error)})") from error
    bars = content.pop("bar", [])
    known = {one.name for one in fields(Protocol)} - {"bars", "digest"}
    if not bars or set(content) - known:
        wrong = ", ".join(sorted(set(content) - known)) or "no [[bar]]"
        raise ConfigError(f"{path}: {wrong}; a protocol has name, bundle, samples, seed and [[bar]] tables")
    made = tuple(_bar(one, f"{path}: bar {number}") for number, one in enumerate(bars, 1))
    return Protocol(**{"name": path.stem, **content}, bars=made, digest=hashlib.sha256(text).hexdigest())


def _bar(values: dict[str, Any], where: str) -> Bar:
    names = {one.name for one in fields(Bar)}
    if set(values) - names or not {"target", "figure"} <= set(values):
        raise ConfigError(f"{where}: its keys are {', '.join(sorted(names))}; target and figure are needed")
    bar = Bar(**values)
    numbers = [number for number in (bar.least, bar.most, bar.patients, bar.threshold) if number is not None]
    for wrong, what in (
        (bar.target not in TARGET, f"unknown target {bar.target}"),
        ((bar.least is None) == (bar.most is None), "give either least or most"),
        (not all(isinstance(one, int | float) for one in numbers), "least, most, patients and threshold are numbers"),
        (bar.question not in ("presence", "severe"), f"question is {bar.question}, neither presence nor severe"),
        (bar.unit not in (OF_DISCS, OF_PATIENTS), f"unit is {bar.unit}, neither disc nor patient"),
        (bar.threshold is not None and bar.figure not in CALLED, f"a threshold belongs to {', '.join(CALLED)}"),
    ):
        if wrong:
            raise ConfigError(f"{where}: {what}")
    if bar.question == "severe" and SEVERE[bar.target] is None:
        raise ConfigError(f"{where}: {bar.target} has no severe grades")
    if bar.figure not in (known := _known_figures(bar)):
        raise ConfigError(
            f"{where}: no figure {bar.figure} of {bar.target} by {bar.unit}; there are {', '.join(known)}"
        )
    return bar


def _known_figures(bar: Bar) -> list[str]:
    """What can be judged of such a bar, as it is found of two discs."""
    target, two = TARGET[bar.target], np.arange(2)
    chances = np.eye(len(target.grades))[:2]
    sample = Sample(target, two * 0, two * 0, chances, None, two > 0, patient_N=two, level_N=two, row_N=two)
    own = () if bar.unit == OF_PATIENTS else OWN_FIGURES
    return [*_figures(bar, _question(bar), sample, once(2)), *own]


def read_studies(
    paths: Sequence[Path], bundle: Bundle, out: Path, on_study: Callable[[int, int], None]
) -> dict[str, str]:
    """Grade every study into ``out/predictions.csv``; returns study -> why it has no grade."""
    sources = find_studies(paths)
    rows, failures = [], {}
    for number, source in enumerate(sources, 1):
        try:
            result = predict_study(read_study(source), bundle)
            rows += prediction_rows(result)
            if not result.predictions:
                failures[source.key] = result.message
        except SpinenetError as error:
            failures[source.key] = str(error)
        on_study(number, len(sources))
    if not rows:
        raise PredictionsError(
            f"{paths[0]}: none of {len(sources)} studies can be graded: {next(iter(failures.values()))}"
        )
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / PREDICTIONS_FILE, PREDICTION_COLUMNS, rows)
    return failures


def with_keys(truth: pd.DataFrame, keys: Iterable[str]) -> pd.DataFrame:
    """The readers' table under our keys: a study may be named by its StudyInstanceUID, from which its key is made."""
    known = set(keys)
    made = {study: study_key(study) for study in truth["study"].unique() if study not in known}
    return truth.assign(study=truth["study"].map(lambda study: made[study] if made.get(study) in known else study))


def judge(frame: pd.DataFrame, protocol: Protocol) -> list[BarResult]:
    """Every bar against a checked table of predictions with truth."""
    cohort = make_cohort(frame, samples=protocol.samples, seed=protocol.seed)
    return [_judged(bar, cohort) for bar in protocol.bars]


def _judged(bar: Bar, cohort: Cohort) -> BarResult:
    sample = cohort.samples.get(bar.target)
    if sample is None:
        return BarResult(bar, UNDEFINED, 0, 0, TOO_FEW, bar.patients)
    question = _question(bar)
    estimate = _figure(bar, question, sample, cohort.resamples).estimate(cohort.resamples)
    judged = sample if bar.figure == "graded" else sample.predicted
    patients = patients_of(judged.patient_N)
    positive = patients_of(judged.patient_N[judged.truth_N >= question.first])
    fewest = patients if bar.figure in ("graded", "false_calls") else positive
    verdict = TOO_FEW if fewest < bar.patients else _verdict(bar, estimate)
    return BarResult(
        bar, estimate, patients, positive, verdict, _wanted(bar, estimate, fewest) if verdict == TOO_FEW else None
    )


def _question(bar: Bar) -> Question:
    severe = SEVERE[bar.target]
    return severe if bar.question == "severe" and severe else PRESENCE[bar.target]


def _verdict(bar: Bar, estimate: Estimate) -> str:
    """The whole interval on the right side is a pass, on the wrong side a fail; a bar within it needs more patients."""
    if not np.isfinite([estimate.low, estimate.high]).all():
        return TOO_FEW
    low, high, limit = (
        (estimate.low, estimate.high, bar.least)
        if bar.least is not None
        else (-estimate.high, -estimate.low, -(bar.most or 0.0))
    )
    return PASS if low >= limit else FAIL if high < limit else TOO_FEW


def _wanted(bar: Bar, estimate: Estimate, patients: int) -> int | None:
    """Patients with the finding at which an interval around the same value would end at the bar; None where it cannot
    be said."""
    limit = bar.least if bar.least is not None else bar.most
    gap = abs(estimate.value - (limit or 0.0))
    if not np.isfinite([estimate.low, gap]).all() or gap == 0:
        return bar.patients if patients < bar.patients else None
    if estimate.value in (0.0, 1.0):  # the exact interval of a share shrinks with patients, not with their root
        return max(bar.patients, int(np.ceil(np.log(ENDS[0]) / np.log1p(-gap))))
    near = estimate.low if estimate.value >= (limit or 0.0) else estimate.high
    return max(bar.patients, int(np.ceil(patients * (abs(estimate.value - near) / gap) ** 2)))


def _figure(bar: Bar, question: Question, sample: Sample, resamples: Resamples) -> Figure:
    if bar.figure == "graded":
        return mean_of(sample.grade_N != UNKNOWN, sample.patient_N, resamples)
    graded = sample.predicted
    if bar.figure == "false_calls":
        return _false_calls(bar, question, graded, resamples)
    if bar.figure in OWN_FIGURES:
        return areas(graded, resamples, question)[bar.figure]
    return _figures(bar, question, graded, resamples)[bar.figure]


def _figures(bar: Bar, question: Question, sample: Sample, resamples: Resamples) -> dict[str, Figure]:
    """Those of ``metrics.json`` for the question and the unit of a bar."""
    if bar.unit == OF_PATIENTS:
        return answer_figures(by_patient(sample, question, bar.threshold), question, resamples)
    figures = severe_figures if bar.question == "severe" else figures_of
    return figures(sample, resamples, bar.threshold)


def _false_calls(bar: Bar, question: Question, sample: Sample, resamples: Resamples) -> Figure:
    """Calls without the finding, a patient."""
    present_P = np.unique(sample.patient_N)
    false_N = answered(sample, question, bar.threshold) & (sample.truth_N < question.first)
    false_P = np.bincount(sample.patient_N, false_N, resamples.patients)[present_P]
    return mean_of(false_P, present_P, resamples, bca)


def by_patient(sample: Sample, question: Question, threshold: float | None) -> Sample:
    """One row a patient: true where any disc is, called where any is, with the highest score; grades are 0 and the
    first that means yes."""
    score_N, called_N = score(sample, question), answered(sample, question, threshold)
    rows = [np.flatnonzero(sample.patient_N == patient) for patient in np.unique(sample.patient_N)]
    first = np.array([mine[0] for mine in rows])
    worst = np.array([mine[np.argmax(score_N[mine])] for mine in rows])
    yes = np.array([[(sample.truth_N[mine] >= question.first).any(), called_N[mine].any()] for mine in rows])
    one = sample.where(np.isin(np.arange(len(sample)), first))
    return replace(
        one,
        truth_N=yes[:, 0] * question.first,
        grade_N=yes[:, 1] * question.first,
        probabilities_NK=sample.probabilities_NK[worst],
        uncalibrated_NK=None,
    )


def overall(found: Sequence[BarResult]) -> str:
    """Fail where any bar fails, else too few where any has too few, else pass."""
    verdicts = {one.verdict for one in found}
    return next(verdict for verdict in (FAIL, TOO_FEW, PASS) if verdict in verdicts)


def accept(
    paths: Sequence[Path],
    truth: Path,
    protocol: Protocol,
    bundle: Bundle,
    out: Path,
    on_study: Callable[[int, int], None] = lambda done, total: None,
) -> str:
    """Grade the studies, judge them once and write ``acceptance.json`` and the page; returns the verdict."""
    digest = str(bundle.metadata["digest"])
    if protocol.bundle not in ("", digest):
        raise ConfigError(
            f"the protocol is for the bundle {protocol.bundle[:12]}..., this is {digest[:12]}...: see spinenet verify"
        )
    readers = load_truth(truth)
    failures = read_studies(paths, bundle, out, on_study)
    keys = [*pd.read_csv(out / PREDICTIONS_FILE, dtype=str)["study"].unique(), *failures]
    readers = with_keys(readers, keys)
    here = readers[readers["study"].isin(keys)]
    frame = load_predictions(out / PREDICTIONS_FILE, here if len(here) else readers)
    record = _record(judge(frame, protocol), protocol, bundle, failures)
    record["studies"] = int(here["study"].nunique())
    record["studies_without_truth"] = len(set(keys) - set(here["study"]))
    record["truth_of_other_studies"] = int(readers.loc[~readers["study"].isin(keys), "study"].nunique())
    record["digests"] = {
        "bundle": digest,
        "protocol": protocol.digest,
        "truth": hashlib.sha256(truth.read_bytes()).hexdigest(),
        "predictions": hashlib.sha256((out / PREDICTIONS_FILE).read_bytes()).hexdigest(),
    }
    record["seal"] = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    write_json(record, out / "acceptance.json")
    write_text(out / "acceptance.html", template("acceptance.html.jinja").render(r=record))
    return str(record["verdict"])


def _record(found: Sequence[BarResult], protocol: Protocol, bundle: Bundle, failures: dict[str, str]) -> dict[str, Any]:
    return {
        "research_use_only": RESEARCH_ONLY,
        "protocol": protocol.name,
        "model": f"{bundle.name} {bundle.version}",
        "samples": protocol.samples,
        "seed": protocol.seed,
        "verdict": overall(found),
        "without_grades": failures,
        "bars": [
            {
                "bar": one.bar.words,
                "estimate": plain(one.estimate),
                "text": str(one.estimate),
                "patients": one.patients,
                "positive_patients": one.positive_patients,
                "verdict": one.verdict,
                "wanted": one.wanted,
            }
            for one in found
        ],
    }
