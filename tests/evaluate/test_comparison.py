"""Two runs on the same patients: paired and corrected."""

import numpy as np
import pytest

from spinenet.evaluate import PredictionsError, compare


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
    assert found["herniation"].gap.low > 0
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
