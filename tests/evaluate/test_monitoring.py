"""Control charts stop where something changed, and hardly ever where nothing did."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from typer.testing import CliRunner

from spinenet.cli import app
from spinenet.errors import PredictionsError, SpinenetError
from spinenet.evaluate.quality_assurance import monitoring
from spinenet.evaluate.quality_assurance.monitoring import (
    BASELINE,
    EVERYWHERE,
    FALSE_STOPS,
    Point,
    charts,
    load_days,
    load_results,
    write_monitoring,
)
from spinenet.report.document import FORMAT

MONTHS = 300


def made(studies, rng, quantities=8):
    results = pd.DataFrame(rng.normal(10, 2, (studies, quantities)), columns=[f"q{k}" for k in range(quantities)])
    results.insert(0, "study", [f"s{index:04d}" for index in range(studies)])
    dates = pd.date_range("2026-01-01", periods=studies, freq="D")
    return results, pd.DataFrame({"study": results["study"], "date": dates, "scanner": EVERYWHERE})


def test_a_limit_below_0_is_shown_as_0_and_judged_by_as_it_is():
    point = Point("1", "flags", "2026-01", 12, 0.0, 0.05, -0.04, 0.14)
    assert point.shown_low == 0.0 and not point.beyond
    assert Point("1", "slip", "2026-01", 12, -0.3, 0.05, -0.2, 0.3).shown_low == -0.2  # millimetres may be negative


def test_a_shift_of_a_spread_stops_within_a_month_and_names_the_chart():
    results, days = made(150, np.random.default_rng(0))
    results.loc[110:, "q3"] += 2.5
    beyond = charts(results, days).beyond
    assert {point.quantity for point in beyond} == {"q3"}
    assert beyond[0].month in ("2026-04", "2026-05")


def skewed(studies, rng):
    """What results are like: refusals in one of fifty, a few flags, shares of seven levels that hang together by the
    spine, long tails, and measurements that are not always there."""
    spine = rng.normal(size=studies)
    results = pd.DataFrame(
        {
            "not graded": (rng.random(studies) < 0.02).astype(float),
            "flags": rng.poisson(0.1, studies),
            "never": 0.0,
            **{f"share{k}": rng.binomial(7, 1 / (1 + np.exp(3 + k - spine))) / 7 for k in range(4)},
            **{f"tail{k}": np.exp(rng.normal(0, 1, studies) + spine) for k in range(4)},
        }
    )
    results = results.mask(rng.random(results.shape) < 0.05)
    results.insert(0, "study", [f"s{index:04d}" for index in range(studies)])
    dates = pd.date_range("2026-01-01", periods=studies, freq="12h")
    return results, pd.DataFrame({"study": results["study"], "date": dates, "scanner": EVERYWHERE})


def test_where_nothing_changed_a_month_stops_in_one_of_a_hundred_however_skewed_its_numbers(monkeypatch):
    monkeypatch.setattr(monitoring, "_BEYOND", 5)  # a quarter of the shuffles, as exact
    stops = [bool(charts(*skewed(66, np.random.default_rng(seed))).beyond) for seed in range(MONTHS)]
    at_most, at_least = (binom.isf(0.005, MONTHS, FALSE_STOPS), binom.ppf(0.005, MONTHS, FALSE_STOPS))
    assert at_least <= sum(stops) <= at_most


def test_refusals_that_never_occurred_before_have_a_chart_and_stop():
    results, days = made(90, np.random.default_rng(3))
    results["not graded"] = 0.0
    results.loc[70:, "not graded"] = (np.arange(20) % 2).astype(float)
    found = charts(results, days)
    assert {point.quantity for point in found.beyond} == {"not graded"}
    assert "not graded" not in str(charts(results, days).left_out)
    results["not graded"] = 0.0
    assert any("Always the same" in words and "not graded" in words for words in charts(results, days).left_out)


def test_what_no_chart_holds_is_told_with_its_reason():
    results, days = made(160, np.random.default_rng(4))
    days["scanner"] = np.where(np.arange(160) < 150, "A", "B")
    days = pd.concat([days[3:], pd.DataFrame({"study": ["x"], "date": days["date"][:1], "scanner": "A"})])
    words = " ".join(charts(results, days).left_out)
    assert "3 of 160 studies have no date: s0000, s0001, s0002." in words
    assert "1 of 158 dates are of no study of these results: x." in words
    assert "charts of their own (60): B (10)" in words and "wait for a month of 10" in words


def test_numbers_that_are_all_the_same_are_refused_in_a_line():
    results, days = made(80, np.random.default_rng(5))
    results.loc[:, "q0":] = 1.0
    with pytest.raises(PredictionsError, match="all 80 dated studies have the same numbers"):
        charts(results, days)


def test_a_scanner_that_drifts_alone_has_a_chart_of_its_own():
    results, days = made(300, np.random.default_rng(1))
    days["scanner"] = np.where(np.arange(300) % 2, "A", "B")
    drifted = (days["scanner"] == "B") & (days.index > 200)
    results.loc[drifted, "q0"] += 3
    beyond = {(point.scanner, point.quantity) for point in charts(results, days).beyond}
    assert ("B", "q0") in beyond and not any(scanner == "A" for scanner, _ in beyond)


def test_small_months_are_joined_and_too_few_studies_are_refused():
    results, days = made(BASELINE + 24, np.random.default_rng(2))
    days["date"] = pd.date_range("2026-01-01", periods=len(days), freq="5D")  # six a month
    assert all(point.studies >= 10 for point in charts(results, days).points)
    with pytest.raises(PredictionsError, match="a chart needs 50 and 10 after them"):
        charts(results[:40], days)
    with pytest.raises(PredictionsError, match="is among those with a date"):
        charts(results.assign(study="x"), days)


def written(folder, studies):
    whole = [{"status": "ok", "flags": [], "levels": [], **study} for study in studies]
    (folder / "predictions.json").write_text(json.dumps({"format": FORMAT, "studies": whole}))


def test_results_of_prediction_become_one_row_a_study_and_the_report_says_stop(tmp_path):
    grade = {"target": "herniation", "grade": 1, "grade_set": [0, 1], "confident": False, "evidence": "real"}
    grade["probabilities"] = [0.4, 0.6]
    level = {"level": "L4/L5", "grades": [grade, {**grade, "target": "bulging", "grade": 0, "grade_set": []}]}
    written(tmp_path, [{"study": "a", "flags": [1, 2], "levels": [{**level, "measurements": {"disc_height_mm": 9.0}}]}])
    row = load_results(tmp_path).set_index("study").loc["a"]
    names = [
        "flags",
        "levels graded",
        "disc_height_mm",
        "Disc herniation: findings",
        "Disc herniation: grades in a set",
    ]
    assert row[names].tolist() == [2, 1, 9, 1, 2]
    written(tmp_path, [{"study": "b", "status": "failed"}])
    assert load_results(tmp_path)["not graded"].tolist() == [1]
    results, days = made(120, np.random.default_rng(0))
    results.loc[90:, "q1"] -= 4
    write_monitoring(charts(results, days[:-1]), tmp_path / "out")
    report = (tmp_path / "out" / "report.md").read_text()
    assert "**Stop**" in report and "| q1 |" in report and (tmp_path / "out" / "charts.png").stat().st_size > 5000
    assert "8 charts of one number a study, 2 months" in report and "1 of 120 studies have no date: s0119." in report


def test_results_of_something_else_are_refused_in_a_line(tmp_path):
    for content, message in (
        ("{}", "not a predictions.json of this version"),
        ("study,level", "not a predictions.json"),
        (json.dumps({"format": FORMAT, "studies": []}), "no studies as spinenet predict writes them"),
        (json.dumps({"format": FORMAT, "studies": [{"patient": 1}]}), "no studies as spinenet predict writes them"),
    ):
        (tmp_path / "predictions.json").write_text(content)
        with pytest.raises(SpinenetError, match=message):
            load_results(tmp_path)
    written(tmp_path, [{"study": "a"}, {"study": "a"}])
    with pytest.raises(PredictionsError, match="study a is there twice"):
        load_results(tmp_path)
    with pytest.raises(SpinenetError, match="no such file"):
        load_results(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("study,date\na,27.11.2026\n", "study a: date '27.11.2026' is no day"),
        ("study,date\na,2999-01-01\n", "study a: date '2999-01-01' lies in the future"),
        ("study,date\na,2026-11-25\na,2026-11-26\n", "study a: it has two rows"),
        ("study,date\n", "no rows"),
        ("study\na\n", "needs the columns study and date.*it has study$"),
    ],
)
def test_days_are_checked(tmp_path, table, said):
    path = tmp_path / "days.csv"
    path.write_text(table)
    with pytest.raises(PredictionsError, match=said):
        load_days(path)


def test_days_without_a_scanner_are_of_one(tmp_path):
    path = tmp_path / "days.csv"
    path.write_text("study,date\na,2026-11-27\n")
    assert load_days(path)["scanner"].tolist() == [EVERYWHERE]


def test_the_command_ends_with_one_where_use_should_stop_and_two_where_it_is_called_wrongly(tmp_path):
    heights = np.r_[np.random.default_rng(0).normal(9, 1, 80), np.full(20, 4.0)]
    levels = [[{"level": "L4/L5", "grades": [], "measurements": {"disc_height_mm": height}}] for height in heights]
    studies = [{"study": f"s{index}", "levels": mine} for index, mine in enumerate(levels)]
    written(tmp_path, studies)
    dates = pd.date_range("2026-01-01", periods=100, freq="D").strftime("%Y-%m-%d")
    table = pd.DataFrame({"study": [one["study"] for one in studies], "date": dates})
    table[1:].to_csv(tmp_path / "days.csv", index=False)
    call = ["monitor", str(tmp_path), "--days", str(tmp_path / "days.csv"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 1 and "STOP" in done.output and "1 of 100 studies have no date: s0." in done.output
    assert CliRunner().invoke(app, [*call[:3], "none.csv", *call[4:]]).exit_code == 2
