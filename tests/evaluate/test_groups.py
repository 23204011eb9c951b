"""Subgroups and raters: who is graded worse, and does the model agree as raters do?"""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from spinenet.evaluate import PredictionsError, load_cases, load_predictions, load_raters
from spinenet.evaluate.evaluation import Beside, Settings, assess
from spinenet.evaluate.intervals import FAMILY_ERROR
from spinenet.evaluate.raters import MODEL, TRUTH, compare_raters, consensus
from spinenet.evaluate.samples import check_predictions, load_truth, make_cohort
from spinenet.evaluate.subgroups import FEW_PATIENTS, subgroups


@pytest.fixture
def cohort(predictions):
    def make(*names, patients=60, **columns):
        frame = check_predictions(predictions(*names, patients=patients).assign(**columns))
        return make_cohort(frame, samples=200, seed=0)

    return make


def test_a_group_that_is_graded_at_random_stands_out(predictions):
    frame = predictions("bulging", patients=120)
    bad = frame.study.astype(int) % 3 == 0
    swapped = np.random.default_rng(0).permutation(np.flatnonzero(bad))
    frame.loc[bad, ["grade", "p_0", "p_1"]] = frame.loc[swapped, ["grade", "p_0", "p_1"]].to_numpy()
    cohort = make_cohort(check_predictions(frame), samples=300, seed=0)
    cases = pd.DataFrame({"study": frame.study.unique(), "vendor": ["B", "A", "A"] * 40})
    rows = {(row.variable, row.group): row for row in subgroups(cohort, cases)}
    assert rows["vendor", "B"].reference == "A"
    assert rows["vendor", "B"].gap.high < 0 and rows["vendor", "B"].p_corrected < FAMILY_ERROR
    assert np.isnan(rows["vendor", "A"].p_corrected)
    assert rows["vendor", "B"].wrong.value > rows["vendor", "A"].wrong.value
    assert not rows["vendor", "B"].few


def test_few_patients_are_flagged_and_unknown_is_a_group(cohort):
    studies = [f"{index:03d}" for index in range(60)]
    cases = pd.DataFrame({"study": studies[:50], "sex": ["F"] * 20 + ["M"] * 30})
    rows = {row.group: row for row in subgroups(cohort("bulging"), cases) if row.variable == "sex"}
    assert {name: (row.patients, row.few) for name, row in rows.items()} == {
        "F": (20, True),
        "M": (30, FEW_PATIENTS > 30),
        "unknown": (10, True),
    }


def test_sides_are_compared_where_there_are_two(cohort):
    rows = subgroups(cohort("foraminal_stenosis_left", "foraminal_stenosis_right"))
    sides = [row for row in rows if row.variable == "side"]
    assert {(row.target, row.group) for row in sides} == {
        ("foraminal_stenosis", "left"),
        ("foraminal_stenosis", "right"),
    }


def test_cases_are_one_row_a_study_and_groups_are_few(tmp_path):
    path = tmp_path / "cases.csv"
    path.write_text("study,age\n" + "".join(f"{i},{20 + i}\n" for i in range(60)))
    assert sorted(load_cases(path)["age"].value_counts()) == [20, 20, 20]
    path.write_text("study,age\na,1\na,2\n")
    with pytest.raises(PredictionsError, match="study a has two rows"):
        load_cases(path)
    path.write_text("study,name\n" + "".join(f"{i},n{i}\n" for i in range(20)))
    with pytest.raises(PredictionsError, match="20 different texts"):
        load_cases(path)
    path.write_text("study\na\n")
    with pytest.raises(PredictionsError, match="needs a column study"):
        load_cases(path)


def rater(frame, name, share_right, seed):
    """A rater who finds the truth in a share of discs and guesses in the others."""
    rng = np.random.default_rng(seed)
    grade = np.where(rng.random(len(frame)) < share_right, frame.truth, rng.permutation(frame.truth))
    return frame[["study", "level", "target"]].assign(rater=name, grade=grade.astype(float))


def test_pairs_are_scikit_learns_kappas_and_means_their_mean(cohort):
    made = cohort("pfirrmann")
    raters = [rater(made.frame, name, 0.7, seed) for seed, name in enumerate("AB")]
    found = compare_raters(made, pd.concat(raters))
    pairs = {(pair.first, pair.second): pair.figures["quadratic_kappa"].value for pair in found.pairs}
    one, two = (rows["grade"].to_numpy() for rows in raters)
    truth, model = made.frame["truth"].to_numpy(), made.frame["grade"].to_numpy()
    for key, (x, y) in {("A", "B"): (one, two), (MODEL, "A"): (model, one), (TRUTH, "B"): (truth, two)}.items():
        assert pairs[key] == pytest.approx(cohen_kappa_score(x, y, weights="quadratic"), abs=1e-9)
    means = found.means["pfirrmann"]
    assert means["model_rater"].value == pytest.approx((pairs[MODEL, "A"] + pairs[MODEL, "B"]) / 2)
    assert means["gap"].value == pytest.approx(means["model_rater"].value - pairs["A", "B"])


def test_a_good_model_agrees_better_than_poor_raters_and_worse_than_good_ones(cohort):
    made = cohort("pfirrmann", patients=100)
    for share_right, sign in ((0.2, 1), (0.99, -1)):
        raters = [rater(made.frame, name, share_right, seed) for seed, name in enumerate("AB")]
        found = compare_raters(made, pd.concat(raters))
        assert sign * found.means["pfirrmann"]["gap_truth"].value > 0 and found.p["pfirrmann"]["p_truth"] < 0.01


def test_consensus_is_the_lower_median_or_the_commonest_grade():
    rows = [("A", "canal_stenosis", 0), ("B", "canal_stenosis", 2), ("C", "canal_stenosis", 2)]
    rows += [("A", "modic", 3), ("B", "modic", 1), ("C", "modic", 1), ("A", "pfirrmann", 2), ("B", "pfirrmann", 3)]
    table = pd.DataFrame(rows, columns=["rater", "target", "grade"]).assign(study="s", level="L4/L5")
    found = consensus(table.astype({"grade": float})).set_index("target")["truth"]
    assert found.to_dict() == {"canal_stenosis": 2, "modic": 1, "pfirrmann": 2}


def test_raters_tables_are_checked(tmp_path):
    path = tmp_path / "raters.csv"
    head = "rater,study,level,target,grade\n"
    for rows, message in (
        ("A,s,L4/L5,modic,9\n", "not on the target's scale"),
        ("A,s,L4/L5,modic,1\nA,s,L4/L5,modic,2\n", "a second row with the same key"),
        ("truth,s,L4/L5,modic,1\n", "no name of its own"),
    ):
        path.write_text(head + rows)
        with pytest.raises(PredictionsError, match=message):
            load_raters(path)
    path.write_text(head + "A,s,L4/L5,modic,\nB,s,L4/L5,modic,2\n")
    assert load_raters(path)["rater"].tolist() == ["B"]


def test_a_truth_from_elsewhere_is_joined_by_key_and_keeps_what_was_not_graded(predictions, tmp_path):
    frame = predictions("herniation", patients=6)
    truth = frame[["study", "level", "target", "truth"]].astype(str).sample(frac=1, random_state=2)
    frame.drop(columns="truth").iloc[3:].to_csv(tmp_path / "predictions.csv", index=False)
    joined = load_predictions(tmp_path, truth)
    assert len(joined) == len(frame) and joined["grade"].isna().sum() == 3
    together = joined.merge(frame, on=["study", "level", "target"])
    assert (together["truth_x"] == together["truth_y"]).all()


def test_studies_without_a_grade_keep_their_patient_or_are_one_of_their_own(predictions, tmp_path):
    frame = predictions("herniation", patients=6)
    studies = frame["study"].unique()
    truth = frame[["study", "level", "target", "truth"]].astype(str)
    graded = frame[~frame["study"].isin(studies[:2])].iloc[1:].assign(patient=lambda rows: "P" + rows["study"])
    graded.drop(columns="truth").to_csv(tmp_path / "predictions.csv", index=False)
    joined = load_predictions(tmp_path, truth).drop_duplicates(["study", "patient"])
    assert dict(zip(joined["study"], joined["patient"], strict=True)) == {
        study: study if study in studies[:2] else f"P{study}" for study in studies
    }


@pytest.mark.parametrize("name", ["cases", "raters"])
def test_a_table_beside_that_knows_none_of_the_studies_is_refused(predictions, name):
    frame = predictions("herniation", patients=6)
    other = pd.DataFrame({"study": ["elsewhere"], "vendor": ["x"]})
    with pytest.raises(PredictionsError, match=rf"{name}: none of its studies \(elsewhere, ...\)"):
        assess(frame, Settings("t", samples=2), Beside(**{name: other}))


def test_a_truth_that_knows_none_of_the_discs_is_refused_and_a_bad_truth_names_its_own_file(predictions, tmp_path):
    frame = predictions("herniation", patients=6)
    frame.drop(columns="truth").to_csv(tmp_path / "predictions.csv", index=False)
    truth = frame[["study", "level", "target", "truth"]].astype(str)
    with pytest.raises(PredictionsError, match=r"none of its discs \(000 .*has a truth \(x000 "):
        load_predictions(tmp_path, truth.assign(study="x" + truth["study"]))
    for column, value, message in (("truth", "7", "scale"), ("level", "L9/S9", "level"), ("truth", "a", "number")):
        bad = truth.copy()
        bad.loc[2, column] = value
        bad.to_csv(tmp_path / "truth.csv", index=False)
        with pytest.raises(PredictionsError, match=f"truth.csv: .*{message}"):
            load_truth(tmp_path / "truth.csv")
