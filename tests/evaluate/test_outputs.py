"""An evaluation as files."""

import json
from importlib.resources import files

import jsonschema
import numpy as np
import pandas as pd
import pytest

from spinenet.evaluate import (
    Beside,
    Settings,
    compare,
    evaluate,
    level_errors,
    markdown_table,
    write_comparison,
    write_evaluation,
)
from spinenet.labels import LEVELS, RESEARCH_ONLY


def strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def levels():
    truth = {f"{patient:03d}": {level: [0, 0, 30 * i] for i, level in enumerate(LEVELS[:5])} for patient in range(12)}
    return level_errors(dict(list(truth.items())[1:]), truth)


@pytest.fixture
def undrawn(monkeypatch):
    """Figures take most of the time; where a test is not about them they are made but not drawn."""
    monkeypatch.setattr("spinenet.evaluate.report._write_figures", lambda drawn, folder: list(drawn))


def written(frame, folder, samples=50, **beside):
    """The content of metrics.json, which must be strict JSON that fits the published schema."""
    assessment = write_evaluation(frame, folder, Settings("Made-up spines", samples), Beside(**beside))
    content = strict((folder / "metrics.json").read_text())
    jsonschema.validate(content, schema("metrics"))
    assert json.loads(json.dumps(assessment.to_dict())) == content
    return content


def schema(name):
    found = json.loads((files("spinenet.evaluate") / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(found)
    return found


def test_everything_is_written_and_says_what_it_is(predictions, levels, tmp_path):
    names = ("pfirrmann", "modic", "foraminal_stenosis_left", "foraminal_stenosis_right")
    frame = predictions(*names, patients=36)
    raters = pd.concat(
        [
            frame[["study", "level", "target"]].assign(rater=rater, grade=frame.truth.where(keep, frame.grade))
            for rater, keep in (("A", frame.index % 3 > 0), ("B", frame.index % 4 > 0))
        ]
    )
    cases = pd.DataFrame({"study": frame.study.unique(), "vendor": ["A", "A", "B"] * 12})
    beside = {"levels": levels, "raters": raters, "cases": cases, "previous": frame.assign(grade=frame.truth)}
    content = written(frame, tmp_path / "run", **beside)
    assert content["levels"]["counts"]["missed"] == 5
    assert content["targets"]["pfirrmann"]["metrics"]["quadratic_kappa"]["low"] is not None
    report = (tmp_path / "run" / "report.md").read_text()
    for words in ("# Made-up spines", RESEARCH_ONLY, "36 patients, 180 discs", "ECE before", "a list of level names?"):
        assert words in report
    for words in ("Fewer than 30 patients", "vendor B (12)", "RSNA 2024 score", "both sides", "14.1 %"):
        assert words in report
    drawn = ("confusion", "roc", "precision_recall", "reliability", "decision", "risk_coverage", "levels", "raters")
    for name in (*drawn, "subgroup_vendor"):
        assert f"figures/{name}.png" in report
        for suffix in (".png", ".svg"):
            assert (tmp_path / "run" / "figures" / name).with_suffix(suffix).stat().st_size > 5000
    for name in (
        "metrics",
        "confusion",
        "discrimination",
        "subgroups",
        "raters",
        "previous",
        "rsna_score",
        "curve_roc",
    ):
        assert len(pd.read_csv(tmp_path / "run" / "tables" / f"{name}.csv")) > 0


def test_every_figure_of_every_table_has_its_interval(predictions, tmp_path, undrawn):
    written(predictions("pfirrmann", "herniation", patients=60), tmp_path, samples=100)
    table = pd.read_csv(tmp_path / "tables" / "metrics.csv")
    pooled = table[table.level == "all"]
    assert pooled[["value", "low", "high"]].notna().all(axis=None)
    assert (table["value"].notna() | table["low"].isna()).all()


def test_the_same_table_gives_the_same_bytes(predictions, tmp_path):
    frame = predictions("bulging", patients=12)
    for run in ("a", "b"):
        write_evaluation(frame, tmp_path / run, Settings("twice", samples=20, seed=4))
    for name in ("metrics.json", "report.md", "figures/roc.svg", "figures/roc.png", "tables/metrics.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


@pytest.mark.parametrize("patients", [1, 2])
def test_a_handful_of_discs_with_one_class_still_gives_a_report(predictions, patients, tmp_path, undrawn):
    frame = predictions("herniation", "modic", patients=patients).assign(truth=0)
    content = written(frame, tmp_path, samples=20)
    assert content["targets"]["herniation"]["metrics"]["auc"]["value"] is None
    assert "nan" not in (tmp_path / "report.md").read_text()


def test_a_single_positive_gives_a_report_without_probabilities_before_calibration_too(predictions, tmp_path):
    frame = predictions("herniation", patients=3).drop(columns=[f"u_{index}" for index in range(5)])
    frame["truth"] = (np.arange(len(frame)) == 0).astype(int)
    assert written(frame, tmp_path, samples=30)["targets"]["herniation"]["positives"] == 1


def test_a_target_that_was_never_predicted_is_reported_so(predictions, tmp_path, undrawn):
    frame = predictions("bulging", "narrowing", patients=6).astype({"confident": object})
    lost = frame.target == "bulging"
    frame.loc[lost, ["grade", "p_0", "p_1", "u_0", "u_1"]] = np.nan
    content = written(frame, tmp_path, samples=20)
    assert content["targets"]["bulging"]["n"] == 0
    assert "without a prediction, in none of these figures: Disc bulging 30" in (tmp_path / "report.md").read_text()


def test_what_was_refused_is_counted_by_its_reason(predictions, tmp_path, undrawn):
    frame = predictions("bulging", "narrowing", patients=6).astype({"confident": object})
    frame["refused"] = ""
    noisy, child = frame.index[frame.target == "bulging"][:3], frame.index[frame.target == "narrowing"][:1]
    frame.loc[noisy, "refused"], frame.loc[child, "refused"] = "low_signal", "under_age"
    frame.loc[[*noisy, *child], ["grade", "p_0", "p_1", "u_0", "u_1"]] = np.nan
    assert written(frame, tmp_path, samples=20)["refused"] == {"low_signal": 3, "under_age": 1}
    assert "low_signal 3, under_age 1" in (tmp_path / "report.md").read_text()


def test_grades_learnt_from_synthetic_studies_alone_are_named(predictions, tmp_path, undrawn):
    frame = predictions("bulging", "canal_stenosis", patients=6)
    frame["evidence"] = np.where(frame.target == "bulging", "real", "synthetic")
    assert written(frame, tmp_path, samples=20)["synthetic"] == ["canal_stenosis"]
    assert "synthetic studies alone, not from patients: Spinal canal stenosis" in (tmp_path / "report.md").read_text()


def test_a_comparison_is_written_and_fits_its_schema(predictions, tmp_path):
    frame = predictions("pfirrmann", "herniation")
    write_comparison(compare(frame, frame, ("new", "old"), samples=50), tmp_path)
    content = strict((tmp_path / "comparison.json").read_text())
    jsonschema.validate(content, schema("comparison"))
    assert {row["verdict"] for row in content["differences"]} == {"not shown", "not asked"}
    assert RESEARCH_ONLY in (tmp_path / "report.md").read_text()
    assert (tmp_path / "figures" / "comparison.png").stat().st_size > 5000
    assert len(pd.read_csv(tmp_path / "tables" / "comparison.csv")) == len(content["differences"])


def test_the_table_for_the_readme(predictions):
    metrics = evaluate(predictions("pfirrmann", "herniation", patients=20), samples=30)
    table = markdown_table(metrics, ("quadratic_kappa", "auc"), asked={"pfirrmann": "0.80"}).splitlines()
    assert table[0] == "| Target | Discs (positive) | Quadratic kappa | AUC | Asked for |"
    assert len(table) == 4
    assert {line.count("|") for line in table} == {6}
    assert table[2].startswith("| Pfirrmann degeneration | 100 | 0.")
    assert table[2].endswith(" | 0.80 |") and table[3].endswith(" | – |")
    assert str(metrics.targets["herniation"].estimates["auc"]) in table[3]
    assert len(markdown_table(metrics, targets=["herniation"]).splitlines()) == 3
