"""A table of predictions is read by its keys, and refused in one line that names the row."""

import numpy as np
import pytest

from spinenet.errors import PredictionsError
from spinenet.evaluate.samples import KEY, check_predictions, load_grades, load_predictions, sample_of
from spinenet.labels import TARGET, UNKNOWN


def test_a_written_table_reads_back(predictions, tmp_path):
    frame = predictions("pfirrmann", "herniation")
    frame.to_csv(tmp_path / "predictions.csv", index=False, float_format="%.6f")
    read = load_predictions(tmp_path / "predictions.csv")
    assert len(read) == len(frame)
    assert read["study"].iloc[0] == "000"  # a key, not the number 0
    assert read["confident"].dtype == bool
    wanted = check_predictions(frame)
    assert np.allclose(read[["p_0", "p_4", "truth"]], wanted[["p_0", "p_4", "truth"]], atol=1e-6, equal_nan=True)


def test_a_checked_table_comes_back_unchanged(predictions):
    frame = check_predictions(predictions("modic"))
    assert check_predictions(frame).equals(frame)


def test_a_sample_holds_known_discs_as_indices(predictions):
    frame = predictions("pfirrmann", patients=2)
    frame.loc[3, "truth"] = np.nan
    frame.loc[4, ["grade", "p_0", "p_1", "p_2", "p_3", "p_4"]] = np.nan
    sample = sample_of(check_predictions(frame), TARGET["pfirrmann"], ["000", "001"])
    assert len(sample) == 9
    assert sample.truth_N.min() >= 0
    assert sample.truth_N.max() <= 4
    assert (sample.grade_N == UNKNOWN).sum() == 1
    assert len(sample.predicted) == 8
    assert np.bincount(sample.patient_N).tolist() == [4, 5]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("level", "L6/S1", "unknown level"),
        ("target", "scoliosis", "unknown target"),
        ("study", " ", "no study"),
        ("grade", 0, "grade is not one of"),
        ("truth", 6, "truth is not one of"),
        ("grade", "two", "grade is not a number"),
        ("grade", np.nan, "no grade, but probabilities"),
        ("p_1", 1.5, "p_0 to p_4 are not probabilities"),
        ("p_1", np.nan, "p_0 to p_4 are not probabilities"),
        ("u_0", -1, "u_0 to u_4 are not probabilities"),
        ("confident", "perhaps", "confident is neither"),
    ],
)
def test_a_bad_value_is_refused_with_its_row(predictions, column, value, message):
    frame = predictions("pfirrmann").astype(object)
    frame.loc[7, column] = value
    with pytest.raises(PredictionsError, match=message) as refused:
        check_predictions(frame, "some.csv")
    assert str(refused.value).startswith("some.csv: ")
    assert "\n" not in str(refused.value)
    assert "study" in str(refused.value)


def test_a_probability_past_the_scale_is_refused(predictions):
    frame = predictions("herniation")
    frame.loc[0, "p_2"] = 0.1
    with pytest.raises(PredictionsError, match="past the 2 grades"):
        check_predictions(frame)


def test_a_key_may_occur_once(predictions):
    frame = predictions("herniation")
    frame.loc[1, ["study", "level"]] = frame.loc[0, ["study", "level"]]
    with pytest.raises(PredictionsError, match="second row with the same key"):
        check_predictions(frame)


def test_missing_columns_and_files_are_named(predictions, tmp_path):
    with pytest.raises(PredictionsError, match="no column truth"):
        check_predictions(predictions("herniation").drop(columns="truth"))
    with pytest.raises(PredictionsError, match="no rows"):
        check_predictions(predictions("herniation").iloc[:0])
    with pytest.raises(PredictionsError, match="no such file"):
        load_predictions(tmp_path / "predictions.csv")
    for mark, words in ((";", "parted by ';'"), ("\t", "parted by tabs")):
        (tmp_path / "other.csv").write_text(mark.join(("study", "level", "target", "truth")) + "\n")
        with pytest.raises(PredictionsError, match=words):
            load_grades(tmp_path / "other.csv", KEY, "truth")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(PredictionsError, match="not a CSV table"):
        load_predictions(tmp_path / "empty.csv")
