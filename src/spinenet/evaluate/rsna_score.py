"""The score of RSNA's 2024 lumbar spine challenge, rows joined by ``row_id``, and ``submission.csv``.

Mean of four log losses: canal, foraminal and subarticular grades, each pooled over levels and sides, and whether a
study has any severe canal stenosis (its prediction is the largest p(severe) over levels). A row weighs 1, 2 or 4 by its
true grade, a study by the largest weight of its canal rows. Rows without a label do not count. Lower is better.

A truth table has the columns TRUTH (``grade`` 0 to 2), a submission SUBMISSION, in any order of rows.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinenet.datasets.rsna_names import CONDITION_OF, CONDITIONS, GROUPS, PUBLISHED_COUNTS, RSNA_LEVELS, row_id
from spinenet.errors import PredictionsError
from spinenet.evaluate.intervals import Estimate, Floats, bca, resting
from spinenet.evaluate.metrics import ratio
from spinenet.evaluate.samples import Cohort
from spinenet.labels import LEVELS, TARGET_INDEX, UNKNOWN
from spinenet.readers.dicom.assembly import study_key

GRADES = ["normal_mild", "moderate", "severe"]
SUBMISSION = ["row_id", *GRADES]
TRUTH = ["row_id", "study", "condition", "group", "level", "grade"]
WEIGHTS = np.array([1.0, 2.0, 4.0])
UNIFORM = float(np.log(len(GRADES)))
"""Log loss of knowing nothing, 1.0986."""


def truth_of_grades(grades: Iterable[tuple[str, NDArray[np.int64]]]) -> pd.DataFrame:
    """Truth table of (study, grades_LT) pairs; unknown grades have no row."""
    rows = [
        (row_id(study, condition, level), study, condition.column, condition.group, level, int(grade))
        for study, grades_LT in grades
        for condition in CONDITIONS
        for level in RSNA_LEVELS
        if (grade := grades_LT[LEVELS.index(level), TARGET_INDEX[condition.target]]) != UNKNOWN
    ]
    return pd.DataFrame(rows, columns=TRUTH)


def truth_of_predictions(predictions: pd.DataFrame) -> pd.DataFrame:
    """Truth table of a predictions table with a ``truth`` column; rows of other targets and levels are passed over."""
    rows = _scored(predictions[predictions["truth"].notna()])
    columns = {
        "row_id": _row_ids(rows),
        "condition": rows["target"].map({target: one.column for target, one in CONDITION_OF.items()}),
        "group": rows["target"].map({target: one.group for target, one in CONDITION_OF.items()}),
        "grade": rows["truth"].astype(int),
    }
    table = rows.assign(**columns)
    return table[TRUTH].reset_index(drop=True)


def submission_of(predictions: pd.DataFrame, studies: Mapping[str, str]) -> tuple[pd.DataFrame, int]:
    """The 25 rows of every study from our predictions, and how many of them had none.

    ``studies`` maps the study's name in ``predictions`` to its number in the challenge. A level that was not graded
    gets what is best known of it: the weighted frequencies of its condition (``prior``).
    """
    rows = _scored(predictions[predictions["grade"].notna() & predictions["study"].isin(list(studies))])
    rows = rows.assign(study=rows["study"].map(dict(studies)))
    known = rows[["p_0", "p_1", "p_2"]].set_axis(GRADES, axis=1).astype(float).set_index(_row_ids(rows))
    if known.index.has_duplicates:
        raise PredictionsError(f"predictions: {known.index[known.index.duplicated()][0]} is there twice")
    wanted = {
        row_id(study, condition, level): prior(condition.group)
        for study in studies.values()
        for condition in CONDITIONS
        for level in RSNA_LEVELS
    }
    table = pd.DataFrame.from_dict(wanted, orient="index", columns=GRADES)
    table.update(known)
    filled = int((~table.index.isin(known.index)).sum())
    return table.rename_axis("row_id").reset_index().sort_values("row_id", ignore_index=True), filled


def names_of(studies: Iterable[str], salt: bytes = b"") -> dict[str, str]:
    """Names under which predictions may hold studies of the challenge: their numbers, or the keys that ``spinenet
    predict`` makes of them (the number is the StudyInstanceUID in every file) with the salt of its output folder."""
    return {name: study for study in studies for name in (study, study_key(study, salt))}


def prior(group: str) -> NDArray[np.float64]:
    """The best constant prediction of a group: frequencies in the published training labels, weighted as scored."""
    weighted = np.array(PUBLISHED_COUNTS[group]) * WEIGHTS
    return weighted / weighted.sum()


def rsna_score(truth: pd.DataFrame, submission: pd.DataFrame) -> dict[str, float]:
    """The four log losses, nan where no row of a group has a label, and their mean, ``total``; PredictionsError where
    a labelled row is missing, doubled or has no probabilities."""
    predicted = submission.set_index("row_id")[GRADES].astype(float)
    if predicted.index.has_duplicates:
        raise PredictionsError(f"submission: {predicted.index[predicted.index.duplicated()][0]} is there twice")
    missing = truth.loc[~truth["row_id"].isin(predicted.index), "row_id"]
    if len(missing):
        raise PredictionsError(f"submission: {len(missing)} labelled rows are missing, such as {missing.iloc[0]}")
    p_NK = predicted.loc[truth["row_id"]].to_numpy()
    wrong = ~np.isfinite(p_NK).all(1) | (p_NK < 0).any(1) | (p_NK.sum(1) <= 0)
    if wrong.any():
        raise PredictionsError(f"submission: {truth['row_id'].iloc[int(np.argmax(wrong))]} holds no probabilities")
    losses = row_losses(truth, submission)
    means = {group: float(np.average(rows["loss"], weights=rows["weight"])) for group, rows in losses.groupby("group")}
    found = {group: means.get(group, float("nan")) for group in (*GROUPS, "any_severe")}
    return found | {"total": float(np.mean(list(found.values())))}


def row_losses(truth: pd.DataFrame, submission: pd.DataFrame) -> pd.DataFrame:
    """What the score averages: ``study, group, loss, weight``, one row a label, and one a study for ``any_severe``."""
    p_NK = submission.set_index("row_id")[GRADES].astype(float).loc[truth["row_id"]].to_numpy()
    grade_N = truth["grade"].to_numpy(int)
    rows = truth[["study", "group"]].assign(loss=_log_losses(grade_N, p_NK), weight=WEIGHTS[grade_N])
    canal = truth.assign(severe=p_NK[:, 2])[truth["group"] == "canal"]
    studies = canal.groupby("study").agg({"grade": "max", "severe": "max"})
    worst_N, severe_N = studies["grade"].to_numpy(int), studies["severe"].to_numpy(float)
    any_severe = pd.DataFrame({"study": studies.index, "group": "any_severe", "weight": WEIGHTS[worst_N]})
    any_severe["loss"] = _log_losses((worst_N == 2).astype(int), np.stack([1 - severe_N, severe_N], axis=1))
    return pd.concat([rows, any_severe], ignore_index=True)


def _log_losses(grade_N: NDArray[np.int64], p_NK: NDArray[np.float64]) -> NDArray[np.float64]:
    """-log p(true grade) of each row; probabilities are clipped first and then made to sum to 1, as there."""
    tiny = np.finfo(float).eps
    p_NK = np.clip(p_NK, tiny, 1 - tiny)
    p_NK = p_NK / p_NK.sum(1, keepdims=True)
    return -np.log(p_NK[np.arange(len(grade_N)), grade_N])


def _scored(predictions: pd.DataFrame) -> pd.DataFrame:
    return predictions[predictions["target"].isin(list(CONDITION_OF)) & predictions["level"].isin(RSNA_LEVELS)]


def _row_ids(rows: pd.DataFrame) -> pd.Series:
    ids = [
        row_id(str(study), CONDITION_OF[target], level)
        for study, target, level in zip(rows["study"], rows["target"], rows["level"], strict=True)
    ]
    return pd.Series(ids, index=rows.index, name="row_id", dtype=object)


def rsna_estimates(cohort: Cohort) -> dict[str, Estimate]:
    """The four log losses (``canal``, ``foraminal``, ``subarticular``, ``any_severe``) and ``total``; lower is better.

    Labelled levels that were not graded get the challenge's weighted frequencies. Empty where no target of the
    challenge has a label.
    """
    frame = cohort.frame
    truth = truth_of_predictions(frame)
    if truth.empty:
        return {}
    studies = {study: study for study in truth["study"].unique()}
    losses = row_losses(truth, submission_of(frame, studies)[0])
    patients = frame.drop_duplicates("study").set_index("study")["patient"]
    place = {patient: index for index, patient in enumerate(cohort.patients)}
    patient_N = losses["study"].map(patients).map(place).to_numpy(int)
    values: dict[str, Floats] = {}
    for group in dict.fromkeys(losses["group"]):
        rows = (losses["group"] == group).to_numpy()
        weight_N, loss_N = losses.loc[rows, "weight"].to_numpy(), losses.loc[rows, "loss"].to_numpy()
        sums_C3 = cohort.resamples.totals(patient_N[rows], weight_N, weight_N * loss_N)
        values[group] = resting(ratio(sums_C3[:, 2], sums_C3[:, 1]), patient_N[rows])
    if len(values) == 4:
        values["total"] = np.mean(list(values.values()), axis=0)
    return {name: bca(values_C, cohort.resamples) for name, values_C in values.items()}
