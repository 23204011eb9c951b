"""Local acceptance testing: a frozen bundle, bars that were stated before, a department's own studies and readers."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinenet.errors import ConfigError, PredictionsError, SpinenetError
from spinenet.evaluate.intervals import (
    ENDS,
    UNDEFINED,
    Estimate,
    patients_of,
    plain,
)
from spinenet.evaluate.quality_assurance.bars import Bar, figure_of, question_of
from spinenet.evaluate.quality_assurance.protocol import Protocol
from spinenet.evaluate.report import template, write_json
from spinenet.evaluate.samples import (
    Cohort,
    load_predictions,
    load_truth,
    make_cohort,
)
from spinenet.labels import RESEARCH_ONLY
from spinenet.model.bundle import Bundle
from spinenet.predict import predict_study
from spinenet.readers import find_studies, read_study
from spinenet.readers.dicom.assembly import study_key
from spinenet.report.tables import PREDICTION_COLUMNS, PREDICTIONS_FILE, prediction_rows, write_table
from spinenet.system.files import write_text

PASS, FAIL, TOO_FEW = "pass", "fail", "too few"


@dataclass(frozen=True)
class BarResult:
    """A bar and what was found: ``verdict`` is pass, fail or too few; ``wanted`` patients with the finding would do."""

    bar: Bar
    estimate: Estimate
    patients: int
    positive_patients: int
    verdict: str
    wanted: int | None


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
    question = question_of(bar)
    estimate = figure_of(bar, question, sample, cohort.resamples).estimate(cohort.resamples)
    judged = sample if bar.figure == "graded" else sample.predicted
    patients = patients_of(judged.patient_N)
    positive = patients_of(judged.patient_N[judged.truth_N >= question.first])
    fewest = patients if bar.figure in ("graded", "false_calls") else positive
    verdict = TOO_FEW if fewest < bar.patients else _verdict(bar, estimate)
    return BarResult(
        bar, estimate, patients, positive, verdict, _wanted(bar, estimate, fewest) if verdict == TOO_FEW else None
    )


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
