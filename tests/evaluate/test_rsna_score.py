"""RSNA's 2024 score: worked by hand, independent of row order, and at its published floors for constant predictions."""

import numpy as np
import pandas as pd
import pytest

from spinenet.datasets.labelled import no_grades
from spinenet.datasets.rsna_names import CONDITIONS, PUBLISHED_COUNTS, RSNA_LEVELS, row_id
from spinenet.errors import PredictionsError
from spinenet.evaluate.rsna_score import (
    GRADES,
    SUBMISSION,
    TRUTH,
    UNIFORM,
    WEIGHTS,
    names_of,
    prior,
    rsna_score,
    submission_of,
    truth_of_grades,
    truth_of_predictions,
)
from spinenet.labels import LEVELS, TARGET_INDEX
from spinenet.readers.dicom.assembly import study_key

CANAL, LEFT_FORAMEN, _, _, RIGHT_RECESS = CONDITIONS

# Normal or mild, moderate, severe of each column of the public training labels, L1/L2 first.
PUBLISHED_COLUMNS = {
    "spinal_canal_stenosis": [(1886, 67, 21), (1771, 150, 53), (1621, 231, 122), (1482, 237, 255), (1904, 51, 19)],
    "left_neural_foraminal_narrowing": [
        (1908, 63, 2), (1791, 172, 12), (1521, 410, 39), (1204, 629, 140), (1247, 521, 205),
    ],
    "right_neural_foraminal_narrowing": [
        (1890, 63, 14), (1794, 167, 6), (1513, 413, 41), (1208, 629, 130), (1281, 496, 191),
    ],
    "left_subarticular_stenosis": [
        (1690, 92, 27), (1554, 256, 83), (1322, 453, 193), (886, 623, 461), (1414, 410, 148),
    ],
    "right_subarticular_stenosis": [
        (1677, 110, 24), (1577, 242, 74), (1320, 453, 197), (890, 621, 459), (1402, 396, 174),
    ],
}  # fmt: skip


def table(*rows):
    """Truth of (study, condition, level, grade)."""
    cells = [(row_id(s, c, level), s, c.column, c.group, level, grade) for s, c, level, grade in rows]
    return pd.DataFrame(cells, columns=TRUTH)


def submitted(truth, probabilities):
    return pd.concat([truth["row_id"], pd.DataFrame(np.array(probabilities, float), columns=GRADES)], axis=1)


def published(columns):
    """One row a published label of these columns; every label is a study of its own."""
    rows = []
    for condition in CONDITIONS:
        for level, counts in zip(RSNA_LEVELS, columns[condition.column], strict=True):
            for grade, count in enumerate(counts):
                rows += [(f"{level}{grade}{index}", condition, level, grade) for index in range(count)]
    return table(*rows)


@pytest.fixture(scope="module")
def labels():
    return published(PUBLISHED_COLUMNS)


def constant_submission(truth, by=("group",)):
    """The best prediction that looks at no image: weighted frequencies of all rows alike in the columns ``by``.

    ``("group",)`` gives one prediction a group, ``("condition", "level")`` one for each of the 25 columns.
    """
    one_hot = np.eye(len(GRADES))[truth["grade"].to_numpy(int)] * WEIGHTS
    weighted = pd.DataFrame(one_hot, columns=GRADES, index=truth.index)
    sums = weighted.groupby([truth[column] for column in by]).transform("sum")
    return pd.concat([truth["row_id"], sums.div(sums.sum(axis=1), axis=0)], axis=1)


def test_rows_weigh_by_their_grade_and_studies_by_their_worst_canal():
    truth = table(
        ("1", CANAL, "L4/L5", 0),
        ("1", CANAL, "L3/L4", 2),
        ("2", CANAL, "L4/L5", 1),
        ("1", LEFT_FORAMEN, "L5/S1", 1),
        ("2", RIGHT_RECESS, "L4/L5", 2),
    )
    p = [[0.5, 0.3, 0.2], [0.2, 0.4, 0.4], [0.3, 0.6, 0.1], [0.25, 0.5, 0.25], [0.1, 0.1, 0.8]]
    score = rsna_score(truth, submitted(truth, p))
    # by hand: weights 1, 4, 2 over seven
    assert score["canal"] == pytest.approx(-(np.log(0.5) + 4 * np.log(0.4) + 2 * np.log(0.6)) / 7)
    assert score["foraminal"] == pytest.approx(-np.log(0.5))
    assert score["subarticular"] == pytest.approx(-np.log(0.8))
    # study 1 is severe and weighs 4, its largest p(severe) is 0.4; study 2 is not, weighs 2 and says 0.1
    assert score["any_severe"] == pytest.approx(-(4 * np.log(0.4) + 2 * np.log(0.9)) / 6)
    assert score["total"] == pytest.approx(
        (score["canal"] + score["foraminal"] + score["subarticular"] + score["any_severe"]) / 4
    )


def test_rows_are_joined_by_name_and_not_by_place():
    truth = table(("1", CANAL, "L4/L5", 0), ("1", CANAL, "L3/L4", 2), ("2", LEFT_FORAMEN, "L4/L5", 1))
    submission = submitted(truth, [[0.8, 0.1, 0.1], [0.1, 0.2, 0.7], [0.3, 0.6, 0.1]])
    score, turned = rsna_score(truth, submission), rsna_score(truth, submission[::-1])
    assert (score["canal"], score["foraminal"]) == (turned["canal"], turned["foraminal"])
    assert np.isnan(score["subarticular"])


def test_a_sure_and_right_submission_scores_nothing_and_a_sure_wrong_one_stays_finite():
    truth = table(*[("1", condition, "L4/L5", 2) for condition in CONDITIONS])
    assert rsna_score(truth, submitted(truth, [[0, 0, 1]] * 5))["total"] == pytest.approx(0, abs=1e-9)
    assert 30 < rsna_score(truth, submitted(truth, [[1, 0, 0]] * 5))["total"] < 40


def test_knowing_nothing_scores_the_logarithm_of_three(labels):
    score = rsna_score(labels, submitted(labels, np.full((len(labels), 3), 1 / 3)))
    assert (score["canal"], score["foraminal"], score["subarticular"]) == pytest.approx((UNIFORM,) * 3)
    assert pytest.approx(1.0986, abs=1e-4) == UNIFORM


def test_best_constant_predictions_score_the_published_floors(labels):
    whole = rsna_score(labels, constant_submission(labels))
    assert (whole["canal"], whole["foraminal"], whole["subarticular"]) == pytest.approx((0.783, 0.919, 1.051), abs=1e-3)
    level = rsna_score(labels, constant_submission(labels, ("condition", "level")))
    assert (level["canal"], level["foraminal"], level["subarticular"]) == pytest.approx((0.706, 0.804, 0.951), abs=1e-3)


def test_priors_from_the_published_counts_score_the_floors_and_unweighted_ones_worse(labels):
    frequencies = {group: np.array(counts) / sum(counts) for group, counts in PUBLISHED_COUNTS.items()}
    weighted = rsna_score(labels, submitted(labels, np.stack([prior(group) for group in labels["group"]])))
    plain = rsna_score(labels, submitted(labels, np.stack([frequencies[group] for group in labels["group"]])))
    assert (weighted["canal"], weighted["foraminal"], weighted["subarticular"]) == pytest.approx(
        (0.783, 0.919, 1.051), abs=1e-3
    )
    assert (plain["canal"], plain["foraminal"], plain["subarticular"]) == pytest.approx((0.888, 1.019, 1.198), abs=1e-3)


def test_a_missing_a_doubled_and_an_empty_row_are_refused():
    truth = table(("1", CANAL, "L4/L5", 0), ("1", CANAL, "L3/L4", 2))
    submission = submitted(truth, [[0.8, 0.1, 0.1], [0.1, 0.2, 0.7]])
    with pytest.raises(PredictionsError, match="1 labelled rows are missing, such as 1_spinal_canal_stenosis_l3_l4"):
        rsna_score(truth, submission[:1])
    with pytest.raises(PredictionsError, match="there twice"):
        rsna_score(truth, pd.concat([submission, submission[:1]]))
    with pytest.raises(PredictionsError, match="holds no probabilities"):
        rsna_score(truth, submission.replace(0.7, np.nan))


def predictions(*rows):
    """Our predictions table of (study, level, target, truth, p_0, p_1, p_2)."""
    columns = ["study", "level", "target", "truth", "p_0", "p_1", "p_2"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(grade=frame[["p_0", "p_1", "p_2"]].to_numpy().argmax(1))


def test_predictions_of_ours_become_25_rows_a_study_and_what_is_missing_its_prior():
    frame = predictions(
        ("study-a", "L4/L5", "canal_stenosis", 2, 0.1, 0.2, 0.7),
        ("study-a", "L4/L5", "pfirrmann", 1, 0.9, 0.1, 0.0),
        ("study-a", "T12/L1", "canal_stenosis", 0, 0.9, 0.1, 0.0),
        ("other", "L4/L5", "canal_stenosis", 0, 0.9, 0.1, 0.0),
    )
    submission, filled = submission_of(frame, {"study-a": "4003253"})
    assert list(submission.columns) == SUBMISSION and len(submission) == 25 and filled == 24
    assert submission["row_id"].is_monotonic_increasing
    rows = submission.set_index("row_id")
    assert rows.loc["4003253_spinal_canal_stenosis_l4_l5"].tolist() == [0.1, 0.2, 0.7]
    assert rows.loc["4003253_left_subarticular_stenosis_l1_l2"].tolist() == pytest.approx(prior("subarticular"))
    assert truth_of_predictions(frame)["row_id"].tolist() == [
        "study-a_spinal_canal_stenosis_l4_l5", "other_spinal_canal_stenosis_l4_l5",
    ]  # fmt: skip


def test_studies_are_known_by_their_number_and_by_the_key_that_prediction_gives_them():
    row = ("L4/L5", "canal_stenosis", 2, 0.1, 0.2, 0.7)
    names = names_of(["4003253", "77"])
    submission, filled = submission_of(predictions((study_key("4003253"), *row), ("77", *row)), names)
    assert len(submission) == 50 and filled == 48
    rows = submission.set_index("row_id")
    assert rows.loc["4003253_spinal_canal_stenosis_l4_l5"].tolist() == [0.1, 0.2, 0.7]


def test_truth_of_grades_leaves_unknown_ones_out():
    grades_LT = no_grades()
    grades_LT[LEVELS.index("L5/S1"), TARGET_INDEX["foraminal_stenosis_left"]] = 1
    grades_LT[LEVELS.index("T12/L1"), TARGET_INDEX["foraminal_stenosis_left"]] = 1
    truth = truth_of_grades([("9", grades_LT)])
    assert truth.to_dict("records") == [
        {
            "row_id": "9_left_neural_foraminal_narrowing_l5_s1",
            "study": "9",
            "condition": "left_neural_foraminal_narrowing",
            "group": "foraminal",
            "level": "L5/S1",
            "grade": 1,
        }
    ]
