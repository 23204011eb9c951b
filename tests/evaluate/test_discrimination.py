"""What a pooled area hides: names alone, one level, one patient, whether a patient has one, and twin findings."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from spinenet.evaluate.discrimination import areas, discriminations, twins
from spinenet.evaluate.samples import check_predictions, make_cohort


def cohort_of(frame, samples=300):
    return make_cohort(check_predictions(frame), samples=samples, seed=0)


@pytest.fixture
def knows_levels_alone(predictions):
    """A finding that depends on the level, and a model that has learnt the level and nothing else."""
    frame = predictions("herniation", "bulging", patients=120)
    rng = np.random.default_rng(0)
    share = frame.level.map({"L5/S1": 0.6, "L4/L5": 0.5, "L3/L4": 0.2, "L2/L3": 0.1, "L1/L2": 0.05})
    rows = frame.target == "herniation"
    frame.loc[rows, "truth"] = (rng.random(rows.sum()) < share[rows]).astype(int)
    frame.loc[rows, "p_1"] = share[rows] + 0.001 * rng.random(rows.sum())
    frame.loc[rows, "p_0"] = 1 - frame.loc[rows, "p_1"]
    return frame.assign(grade=frame.grade.where(~rows, (frame.p_1 > 0.45).astype(int)))


def test_a_model_that_knows_the_level_alone_is_better_than_chance_and_not_than_a_list_of_names(knows_levels_alone):
    found = {one.target: one for one in discriminations(cohort_of(knows_levels_alone))}["herniation"]
    assert found.areas["pooled"].low > 0.65 and found.level_alone.value == pytest.approx(found.estimate.value, abs=0.03)
    assert found.answers[0] == "not shown" and found.companion == "bulging"
    assert found.areas["within_level"].value == pytest.approx(0.5, abs=0.08)
    assert found.areas["anywhere"].value < 0.65


def test_a_model_that_sees_the_finding_is_better_than_names(predictions):
    found = {one.target: one for one in discriminations(cohort_of(predictions("bulging", "pfirrmann", patients=120)))}
    assert found["bulging"].answers == ("better", "better") and found["bulging"].companion == "pfirrmann"
    assert found["pfirrmann"].answers == ("better", "not asked") and found["pfirrmann"].companion == ""


def test_areas_within_a_level_and_a_patient_count_such_pairs_alone(predictions):
    cohort = cohort_of(predictions("bulging", patients=40), samples=20)
    sample = cohort.graded["bulging"]
    truth_N, p_N = sample.truth_N, sample.probabilities_NK[:, 1]
    found = {name: figure.values_C[0] for name, figure in areas(sample, cohort.resamples).items()}

    def over(group_N):
        met = right = 0.0
        for group in np.unique(group_N):
            here = group_N == group
            pairs = truth_N[here].sum() * (1 - truth_N[here]).sum()
            if pairs:
                met, right = met + pairs, right + pairs * roc_auc_score(truth_N[here], p_N[here])
        return right / met

    assert found["pooled"] == pytest.approx(roc_auc_score(truth_N, p_N), rel=1e-12)
    assert found["within_level"] == pytest.approx(over(sample.level_N), rel=1e-12)
    assert found["within_patient"] == pytest.approx(over(sample.patient_N), rel=1e-12)
    by_patient = [(truth_N[sample.patient_N == one].max(), p_N[sample.patient_N == one].max()) for one in range(40)]
    assert found["anywhere"] == pytest.approx(roc_auc_score(*zip(*by_patient, strict=True)), rel=1e-12)


def test_the_right_finding_at_the_wrong_level_is_two_errors(predictions):
    frame = predictions("herniation", patients=12).assign(truth=0, grade=0)
    frame.loc[[0, 5], "truth"], frame.loc[[1, 5], "grade"] = 1, 1  # patient 0: one level off; patient 1: right
    found = discriminations(cohort_of(frame, samples=20))[0]
    assert found.wrong_level == 1
    assert found.count["errors"].value == pytest.approx(2 / 12)
    assert found.count["missed"].value == found.count["false_calls"].value == pytest.approx(1 / 12)
    assert found.count["wholly_right"].value == pytest.approx(11 / 12)


def test_end_plates_are_judged_together_and_where_they_differ(predictions):
    frame = predictions("endplate_upper", "endplate_lower", patients=60)
    upper, lower = (frame.target == name for name in ("endplate_upper", "endplate_lower"))
    frame.loc[lower, ["p_0", "p_1", "grade"]] = frame.loc[
        upper, ["p_0", "p_1", "grade"]
    ].to_numpy()  # it repeats the upper one
    frame.loc[lower, "truth"] = frame.loc[upper, "truth"].to_numpy()
    differing = frame.index[lower][::10]
    frame.loc[differing, "truth"] = 1 - frame.loc[differing, "truth"]
    found = twins(cohort_of(frame))
    assert (found.n, found.differing) == (300, 30) and found.alike.value == pytest.approx(0.9)
    assert found.told_apart.value == pytest.approx(0.5)  # one score for both cannot tell which
    assert twins(cohort_of(frame[upper])) is None
