"""Control charts stop where something changed, and hardly ever where nothing did."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from spinenet.cli import app
from spinenet.errors import PredictionsError
from spinenet.evaluate.quality_assurance.monitoring import (
    BASELINE,
    EVERYWHERE,
    FALSE_STOPS,
    charts,
    load_days,
    load_results,
    write_monitoring,
)


def made(studies, rng, quantities=8):
    results = pd.DataFrame(rng.normal(10, 2, (studies, quantities)), columns=[f"q{k}" for k in range(quantities)])
    results.insert(0, "study", [f"s{index:04d}" for index in range(studies)])
    dates = pd.date_range("2026-01-01", periods=studies, freq="D")
    return results, pd.DataFrame({"study": results["study"], "date": dates, "scanner": EVERYWHERE})


def test_a_shift_of_a_spread_stops_within_a_month_and_names_the_chart():
    results, days = made(150, np.random.default_rng(0))
    results.loc[110:, "q3"] += 2.5
    beyond = [point for point in charts(results, days) if point.beyond]
    assert {point.quantity for point in beyond} == {"q3"}
    assert beyond[0].month in ("2026-04", "2026-05")


def test_where_nothing_changed_a_month_stops_in_one_of_a_hundred():
    stopped = months = 0
    for seed in range(150):
        points = charts(*made(110, np.random.default_rng(seed)))
        by_month = {point.month for point in points}
        months += len(by_month)
        stopped += len({point.month for point in points if point.beyond})
    assert stopped / months <= 3 * FALSE_STOPS


def test_a_scanner_that_drifts_alone_has_a_chart_of_its_own():
    results, days = made(300, np.random.default_rng(1))
    days["scanner"] = np.where(np.arange(300) % 2, "A", "B")
    drifted = (days["scanner"] == "B") & (days.index > 200)
    results.loc[drifted, "q0"] += 3
    beyond = {(point.scanner, point.quantity) for point in charts(results, days) if point.beyond}
    assert ("B", "q0") in beyond and not any(scanner == "A" for scanner, _ in beyond)


def test_small_months_are_joined_and_too_few_studies_are_refused():
    results, days = made(BASELINE + 24, np.random.default_rng(2))
    days["date"] = pd.date_range("2026-01-01", periods=len(days), freq="5D")  # six a month
    assert all(point.studies >= 10 for point in charts(results, days))
    with pytest.raises(PredictionsError, match="a chart needs 50 and 10 after them"):
        charts(results[:40], days)
    with pytest.raises(PredictionsError, match="has a date"):
        charts(results.assign(study="x"), days)


def test_results_of_prediction_become_one_row_a_study_and_the_report_says_stop(tmp_path):
    grade = {"target": "herniation", "grade": 1, "grade_set": [0, 1], "confident": False}
    level = {"level": "L4/L5", "grades": [grade, {**grade, "target": "bulging", "grade": 0, "grade_set": None}]}
    study = {"study": "a", "flags": [1, 2], "levels": [{**level, "measurements": {"disc_height_mm": 9.0}}]}
    studies = [study, {"study": "b", "flags": [], "levels": []}]
    (tmp_path / "predictions.json").write_text(json.dumps({"studies": studies}))
    row = load_results(tmp_path).set_index("study")
    assert row.loc[
        "a", ["flags", "disc_height_mm", "Disc herniation: findings", "Disc herniation: grades in a set"]
    ].tolist() == [2, 9, 1, 2]
    assert row.loc["b", "not graded"] == 1 and np.isnan(row.loc["b", "disc_height_mm"])
    results, days = made(120, np.random.default_rng(0))
    results.loc[90:, "q1"] -= 4
    assert write_monitoring(charts(results, days), tmp_path / "out")
    report = (tmp_path / "out" / "report.md").read_text()
    assert "**Stop**" in report and "| q1 |" in report and (tmp_path / "out" / "charts.png").stat().st_size > 5000
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(PredictionsError, match="not the predictions.json"):
        load_results(tmp_path / "broken.json")


def test_days_are_checked(tmp_path):
    path = tmp_path / "days.csv"
    path.write_text("study,date\na,27.11.2026\n")
    with pytest.raises(PredictionsError, match="study a: date '27.11.2026' is no day"):
        load_days(path)
    path.write_text("study\na\n")
    with pytest.raises(PredictionsError, match="needs the columns study and date"):
        load_days(path)
    path.write_text("study,date\na,2026-11-27\n")
    assert load_days(path)["scanner"].tolist() == [EVERYWHERE]


def test_the_command_ends_with_one_where_use_should_stop_and_two_where_it_is_called_wrongly(tmp_path):
    studies = [
        {"study": f"s{index}", "flags": [], "levels": [{"grades": [], "measurements": {"disc_height_mm": height}}]}
        for index, height in enumerate(np.r_[np.random.default_rng(0).normal(9, 1, 80), np.full(20, 4.0)])
    ]
    (tmp_path / "predictions.json").write_text(json.dumps({"studies": studies}))
    dates = pd.date_range("2026-01-01", periods=100, freq="D").strftime("%Y-%m-%d")
    pd.DataFrame({"study": [one["study"] for one in studies], "date": dates}).to_csv(tmp_path / "days.csv", index=False)
    call = ["monitor", str(tmp_path), "--days", str(tmp_path / "days.csv"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 1 and "STOP" in done.output
    assert CliRunner().invoke(app, [*call[:3], "none.csv", *call[4:]]).exit_code == 2
