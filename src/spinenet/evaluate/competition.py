"""The score of RSNA's 2024 challenge with its intervals over patients. Shape letters: C columns of weights, N rows."""

import numpy as np

from spinenet.evaluate.agreement import ratio
from spinenet.evaluate.evaluation import Cohort
from spinenet.evaluate.intervals import Estimate, Floats, bca
from spinenet.evaluate.rsna_score import row_losses, submission_of, truth_of_predictions


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
        values[group] = ratio(sums_C3[:, 2], sums_C3[:, 1])
    if len(values) == 4:
        values["total"] = np.mean(list(values.values()), axis=0)
    return {name: bca(values_C, cohort.resamples) for name, values_C in values.items()}
