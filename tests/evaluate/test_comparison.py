"""Two runs on the same patients: paired, corrected, and DeLong as others compute it."""

import numpy as np
import pytest
from scipy import stats

from spinenet.evaluate import PredictionsError, compare
from spinenet.evaluate.correction import benjamini_hochberg, corrected, holm
from spinenet.evaluate.delong import areas


def two_scores(discs=300, seed=0):
    rng = np.random.default_rng(seed)
    positive_N = rng.random(discs) < 0.3
    shared_N = rng.normal(0, 1, discs)
    return positive_N, np.stack(
        [positive_N + shared_N.round(1), 0.6 * positive_N + shared_N + rng.normal(0, 0.5, discs)]
    )


def test_the_variance_of_one_area_is_brunner_and_munzels():
    positive_N, score_RN = two_scores()
    found = areas(positive_N, score_RN, np.arange(300))
    for index, score_N in enumerate(score_RN):
        z = (found.area_R[index] - 0.5) / np.sqrt(found.covariance_RR[index, index])
        theirs = stats.brunnermunzel(score_N[~positive_N], score_N[positive_N], distribution="normal")
        assert z == pytest.approx(theirs.statistic, rel=1e-9)


def test_the_covariance_of_two_areas_is_delongs_own_formula():
    positive_N, score_RN = two_scores(60)
    kernel = [
        (s[positive_N][:, None] > s[~positive_N]) + 0.5 * (s[positive_N][:, None] == s[~positive_N]) for s in score_RN
    ]
    over_negatives, over_positives = (np.stack([k.mean(axis=axis) for k in kernel]) for axis in (1, 0))
    by_definition = np.cov(over_negatives) / positive_N.sum() + np.cov(over_positives) / (~positive_N).sum()
    found = areas(positive_N, score_RN, np.arange(60))
    assert found.covariance_RR == pytest.approx(by_definition, rel=1e-9)
    gap, error = found.difference(0, 1)
    assert gap == pytest.approx(kernel[0].mean() - kernel[1].mean())
    assert found.p_of_difference(0, 1) == pytest.approx(2 * stats.norm.sf(abs(gap) / error))


def test_discs_that_only_repeat_a_patient_add_no_certainty():
    positive_N, score_RN = two_scores(80)
    once = areas(positive_N, score_RN, np.arange(80))
    repeated = areas(positive_N.repeat(5), score_RN.repeat(5, axis=1), np.arange(80).repeat(5))
    assert repeated.area_R == pytest.approx(once.area_R)
    assert repeated.covariance_RR == pytest.approx(once.covariance_RR, rel=1e-9)


def test_corrections_are_statsmodels():
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(3).beta(0.5, 3, 15)
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])
    with_nan = corrected(np.r_[p, np.nan], "holm")
    assert with_nan[:-1] == pytest.approx(holm(p)) and np.isnan(with_nan[-1])


def worse(frame, seed=0):
    """The same table with a fifth of the herniation probabilities exchanged."""
    frame = frame.copy()
    rows = (np.random.default_rng(seed).random(len(frame)) < 0.2) & (frame.target == "herniation")
    frame.loc[rows, ["p_0", "p_1"]] = frame.loc[rows, ["p_1", "p_0"]].to_numpy()
    frame.loc[rows, "grade"] = 1 - frame.loc[rows, "grade"]
    return frame


def test_a_clearly_better_run_is_better_and_an_equal_one_is_not(predictions):
    frame = predictions("herniation", "bulging", patients=80)
    found = compare(frame, worse(frame), ("new", "old"), samples=300).main()
    assert (found["herniation"].verdict, found["bulging"].verdict) == ("better", "not shown")
    assert found["herniation"].gap.low > 0 and found["herniation"].p_delong < 0.01
    back = compare(worse(frame), frame, ("old", "new"), samples=300).main()["herniation"]
    assert back.verdict == "worse" and back.gap.value == pytest.approx(-found["herniation"].gap.value)


def test_a_lower_loss_is_the_better_one(predictions):
    frame = predictions("herniation", patients=80)
    rows = {row.metric: row for row in compare(frame, worse(frame), ("new", "old"), samples=200).differences}
    assert rows["brier"].gap.value < 0 and rows["brier"].verdict == "better"


def test_rows_are_joined_by_key_and_only_common_discs_count(predictions):
    frame = predictions("herniation", patients=20)
    shuffled = frame.iloc[10:].sample(frac=1, random_state=1)
    found = compare(frame, shuffled, ("a", "b"), samples=50)
    assert (found.left_out, found.discs) == (10, 90)
    assert found.main()["herniation"].gap.value == 0


def test_runs_that_disagree_on_the_truth_or_share_no_disc_are_refused(predictions):
    frame = predictions("herniation", patients=10)
    other = frame.assign(truth=1 - frame.truth)
    with pytest.raises(PredictionsError, match="different truth"):
        compare(frame, other, ("a", "b"), samples=20)
    with pytest.raises(PredictionsError, match="no labelled disc that both graded"):
        compare(frame, frame.assign(study="x" + frame.study), ("a", "b"), samples=20)
