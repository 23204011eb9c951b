"""Local acceptance testing: a frozen bundle, bars that were stated before, a department's own studies and readers."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinenet.errors import ConfigError, PredictionsError, SpinenetError
from spinenet.evaluate.intervals import ENDS, FEWEST_PATIENTS, UNDEFINED, Estimate, patients_of, plain
from spinenet.evaluate.quality_assurance.bars import OF_ALL, OF_PATIENTS_ALONE, Bar, figure_of, question_of
from spinenet.evaluate.quality_assurance.protocol import Protocol
from spinenet.evaluate.report import template, write_json
from spinenet.evaluate.samples import KEY, Cohort, Question, Sample, load_predictions, load_truth, make_cohort
from spinenet.labels import RESEARCH_ONLY
from spinenet.model.bundle import Bundle
from spinenet.predict import predict_study
from spinenet.readers import find_studies, read_study
from spinenet.readers.dicom.assembly import SALT_FILE, study_key
from spinenet.readers.sources import StudySource
from spinenet.report.tables import PREDICTION_COLUMNS, PREDICTIONS_FILE, prediction_rows, write_table
from spinenet.system.files import write_text

PASS, FAIL, TOO_FEW = "pass", "fail", "too few"
RECORD_FILE, PAGE_FILE = "acceptance.json", "acceptance.html"


@dataclass(frozen=True)
class BarResult:
    """A bar and what was found of ``patients`` with a label, of whom ``positive_patients`` have the finding and
    ``unread`` (``positive_unread``) have no grade.

    ``verdict`` is pass, fail or too few; ``wanted`` patients would do, with the finding where the bar is about one.
    """

    bar: Bar
    estimate: Estimate
    patients: int
    positive_patients: int
    unread: int
    positive_unread: int
    verdict: str
    wanted: int | None

    @property
    def words(self) -> str:
        """The verdict with what would be enough."""
        if self.verdict != TOO_FEW:
            return self.verdict
        if self.wanted:
            whom = "patients" if self.bar.figure in OF_PATIENTS_ALONE else "patients with the finding"
            if not np.isfinite(self.estimate.low):
                return f"{TOO_FEW}; at least {self.wanted} {whom} before it can be judged"
            return f"{TOO_FEW}; about {self.wanted} {whom} would do"
        if np.isfinite(self.estimate.low):
            return f"{TOO_FEW}; the figure lies on the bar"
        return f"{TOO_FEW}; it rests on fewer than {FEWEST_PATIENTS} patients with the finding, without it, or called"


def read_studies(
    sources: Sequence[StudySource], bundle: Bundle, out: Path, on_study: Callable[[int, int], None]
) -> dict[str, str]:
    """Grade every study into ``out/predictions.csv``; returns study -> why it has no grade."""
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
        raise PredictionsError(f"none of {len(sources)} studies can be graded: {next(iter(failures.values()))}")
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / PREDICTIONS_FILE, PREDICTION_COLUMNS, rows)
    return failures


def names_beside(table: Path, sources: Sequence[StudySource]) -> dict[str, str]:
    """Key in the output folder whose salt lies beside a table -> our key."""
    try:
        salt = (table.parent / SALT_FILE).read_bytes()[:64]
    except OSError:
        return {}
    return {study_key(source.identity, salt): source.key for source in sources if source.identity}


def with_keys(truth: pd.DataFrame, keys: Iterable[str], names: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The readers' table under our keys: a study may be named by its StudyInstanceUID, from which its key is made, or
    by one of ``names``."""
    known, names = set(keys), names or {}
    unknown = [study for study in truth["study"].unique() if study not in known]
    made = {study: names.get(study.strip()) or study_key(study.strip()) for study in unknown}
    named = truth.assign(study=[made[study] if made.get(study) in known else study for study in truth["study"]])
    if named.duplicated(KEY).any():
        twice = truth["study"][named.duplicated(KEY, keep=False)].unique()
        raise PredictionsError(f"{' and '.join(twice[:2])} are the same study; name it once, by its key or by its UID")
    return named


def judge(frame: pd.DataFrame, protocol: Protocol) -> list[BarResult]:
    """Every bar against a checked table of predictions with truth."""
    cohort = make_cohort(frame, samples=protocol.samples, seed=protocol.seed)
    return [_judged(bar, cohort) for bar in protocol.bars]


def _judged(bar: Bar, cohort: Cohort) -> BarResult:
    sample = cohort.samples.get(bar.target)
    if sample is None:
        return BarResult(bar, UNDEFINED, 0, 0, 0, 0, TOO_FEW, max(bar.patients, FEWEST_PATIENTS))
    question = question_of(bar)
    estimate = figure_of(bar, question, sample, cohort.resamples).estimate(cohort.resamples)
    graded = sample if bar.figure in OF_ALL else sample.predicted
    fewest = _patients(graded, question)[bar.figure not in OF_PATIENTS_ALONE]
    verdict = TOO_FEW if fewest < bar.patients else _verdict(bar, estimate)
    labelled, read = _patients(sample, question), _patients(sample.predicted, question)
    wanted = _wanted(bar, estimate, fewest) if verdict == TOO_FEW else None
    return BarResult(bar, estimate, *labelled, labelled[0] - read[0], labelled[1] - read[1], verdict, wanted)


def _patients(sample: Sample, question: Question) -> tuple[int, int]:
    """How many there are, and how many of them have the finding."""
    return patients_of(sample.patient_N), patients_of(sample.patient_N[sample.truth_N >= question.first])


def _verdict(bar: Bar, estimate: Estimate) -> str:
    """The whole interval on the right side is a pass, on the wrong side a fail; a bar within it needs more patients."""
    if not np.isfinite([estimate.low, estimate.high]).all():
        return TOO_FEW
    if bar.most is not None:
        return PASS if estimate.high <= bar.limit else FAIL if estimate.low > bar.limit else TOO_FEW
    return PASS if estimate.low >= bar.limit else FAIL if estimate.high < bar.limit else TOO_FEW


def _wanted(bar: Bar, estimate: Estimate, patients: int) -> int | None:
    """Patients with the finding at which an interval around the same value would end at the bar; None where it cannot
    be said."""
    gap, least = abs(estimate.value - bar.limit), max(bar.patients, FEWEST_PATIENTS)
    if not np.isfinite([estimate.low, gap]).all() or gap == 0:
        return least if patients < least else None
    if estimate.value in (0.0, 1.0):  # the exact interval of a share shrinks with patients, not with their root
        return max(least, int(np.ceil(np.log(ENDS[0]) / np.log1p(-gap))))
    near = estimate.low if estimate.value >= bar.limit else estimate.high
    return max(least, int(np.ceil(patients * (abs(estimate.value - near) / gap) ** 2)))


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
    """Grade the studies that the readers graded, judge them once and write ``acceptance.json`` and the page; returns
    the verdict. What cannot be judged is said before any study is read."""
    _must_fit(protocol, bundle, out)
    sources = find_studies(paths)
    keys = [source.key for source in sources]
    readers = with_keys(load_truth(truth), keys, names_beside(truth, sources))
    here = readers[readers["study"].isin(keys) & readers["truth"].notna()]
    if here.empty:
        raise PredictionsError(
            f"{truth}: no grade of a study in {paths[0]}; it names {readers['study'].iloc[0]}, ..., "
            f"the studies are {keys[0]}, ...; name them so, or by their StudyInstanceUID"
        )
    graded = set(here["study"])
    failures = read_studies([source for source in sources if source.key in graded], bundle, out, on_study)
    frame = load_predictions(out / PREDICTIONS_FILE, here)
    record = _record(judge(frame, protocol), protocol, bundle, failures)
    record["studies"] = len(graded)
    record["patients"] = int(frame.loc[frame["truth"].notna(), "patient"].nunique())
    record["studies_without_truth"] = len(set(keys) - graded)
    record["rows_without_truth"] = int(readers["truth"].isna().sum())
    record["truth_of_other_studies"] = int(readers.loc[~readers["study"].isin(keys), "study"].nunique())
    record["digests"] = {
        "bundle": bundle.metadata["digest"],
        "protocol": protocol.digest,
        "truth": hashlib.sha256(truth.read_bytes()).hexdigest(),
        "predictions": hashlib.sha256((out / PREDICTIONS_FILE).read_bytes()).hexdigest(),
    }
    record["seal"] = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    write_json(record, out / RECORD_FILE)
    write_text(out / PAGE_FILE, template("acceptance.html.jinja").render(r=record))
    return str(record["verdict"])


def _must_fit(protocol: Protocol, bundle: Bundle, out: Path) -> None:
    digest = str(bundle.metadata["digest"])
    if protocol.bundle not in ("", digest):
        raise ConfigError(
            f"the protocol is for the bundle {protocol.bundle[:12]}..., this is {digest[:12]}...: see spinenet verify"
        )
    for number, bar in enumerate(protocol.bars, 1):
        if bar.target not in bundle.targets:
            raise ConfigError(f"bar {number}: {bundle.name} does not grade {bar.target}; see spinenet verify")
    if (out / RECORD_FILE).exists():
        raise ConfigError(f"{out}: holds an acceptance test; a second look is another test, with a folder of its own")


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
                "could_not_be_read": one.unread,
                "positive_could_not_be_read": one.positive_unread,
                "verdict": one.verdict,
                "words": one.words,
                "wanted": one.wanted,
            }
            for one in found
        ],
    }
