"""What is said of discs in words is counted as the page says it."""

import numpy as np
import pytest

from spinenet.errors import PredictionsError
from spinenet.evaluate import Beside, Settings, assess, table
from spinenet.evaluate.samples import make_cohort
from spinenet.evaluate.wording import wordings


@pytest.fixture
def told(predictions):
    """Herniation of 60 patients, with prediction sets."""
    frame = predictions("herniation", patients=60)
    frame["grade_set"] = np.select([frame.p_1 < 0.05, frame.p_1 > 0.95], ["0", "1"], "0 1")
    frame["grade"] = (frame.p_1 >= 0.4).astype(int)
    return frame.assign(confident=(frame.p_1 < 0.05) | (frame.p_1 > 0.98), evidence="real")


def test_a_disc_is_counted_where_its_words_put_it(told):
    (found,) = wordings(make_cohort(told, samples=200, seed=0))
    said = [
        told.confident & (told.grade == 1),
        ~told.confident & (told.p_1 >= 0.5),
        ~told.confident & (told.p_1 < 0.5) & (told.grade == 1),  # by a cut
        ~told.confident & (told.grade == 0),  # the set holds it
        told.confident & (told.grade == 0),
    ]
    assert [one.words for one in found.said] == [
        "said plainly",
        "likely",
        "possible",
        "cannot exclude",
        "not mentioned",
    ]
    assert [one.discs for one in found.said] == [mask.sum() for mask in said]
    assert [one.have_it.value for one in found.said] == [pytest.approx(told.truth[mask].mean()) for mask in said]
    positive, called = told.truth == 1, np.zeros(len(told), bool)
    for mask, one in zip(said[:-1], found.said[:-1], strict=True):
        called = called | mask
        assert one.sensitivity.value == pytest.approx(called[positive].mean())
        assert one.specificity.value == pytest.approx((~called)[~positive].mean())
        assert one.sensitivity.low <= one.sensitivity.value <= one.sensitivity.high
    assert found.said[-1].sensitivity is None
    assert found.by_grade.value == pytest.approx((told.grade == 1)[positive].mean())


def test_without_sets_and_of_experimental_grades_nothing_is_said(told):
    for frame in (told.drop(columns="grade_set"), told.assign(evidence="synthetic")):
        assert not list(wordings(make_cohort(frame, samples=200, seed=0)))


def test_the_report_has_both_tables(told):
    found = assess(told, Settings("t", samples=200), Beside())
    assert "| Said plainly | Likely | Possible | Cannot exclude | Not mentioned |" in table("wording", found)
    assert "| Sensitivity, likely or surer | Specificity, likely or surer |" in table("found_by_words", found)


def test_a_set_that_is_not_of_the_scale_is_refused(told):
    told.loc[3, "grade_set"] = "0 7"
    with pytest.raises(PredictionsError, match="grade_set holds more than grades"):
        make_cohort(told, samples=200, seed=0)
