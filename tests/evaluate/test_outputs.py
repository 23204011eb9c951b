"""An evaluation as files."""

import json

import numpy as np
import pytest

from spinenet.evaluate import evaluate, level_errors, markdown_table, write_evaluation
from spinenet.labels import LEVELS, RESEARCH_ONLY


def strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def levels():
    truth = {f"{patient:03d}": {level: [0, 0, 30 * i] for i, level in enumerate(LEVELS[:5])} for patient in range(12)}
    return level_errors(dict(list(truth.items())[1:]), truth)


def test_everything_is_written_and_says_what_it_is(predictions, levels, tmp_path):
    frame = predictions("pfirrmann", "modic", "herniation", patients=12)
    content = write_evaluation(frame, tmp_path / "run", title="Made-up spines", samples=50, levels=levels)
    assert strict((tmp_path / "run" / "metrics.json").read_text()) == content
    assert content["levels"]["counts"]["missed"] == 5
    assert content["targets"]["pfirrmann"]["metrics"]["quadratic_kappa"]["low"] is not None
    report = (tmp_path / "run" / "report.md").read_text()
    for words in ("# Made-up spines", RESEARCH_ONLY, "12 patients, 60 discs", "ECE before", "L4/L5", "kappa about 0.6"):
        assert words in report
    for name in ("confusion", "roc", "reliability"):
        assert f"figures/{name}.png" in report
        for suffix in (".png", ".svg"):
            assert (tmp_path / "run" / "figures" / name).with_suffix(suffix).stat().st_size > 5000


def test_the_same_table_gives_the_same_bytes(predictions, tmp_path):
    frame = predictions("bulging", patients=12)
    for run in ("a", "b"):
        write_evaluation(frame, tmp_path / run, title="twice", samples=20, seed=4)
    for name in ("metrics.json", "report.md", "figures/roc.svg", "figures/roc.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


@pytest.mark.parametrize("patients", [1, 2])
def test_a_handful_of_discs_with_one_class_still_gives_a_report(predictions, patients, tmp_path):
    frame = predictions("herniation", "modic", patients=patients).assign(truth=0)
    content = write_evaluation(frame, tmp_path, title="tiny", samples=20)
    assert content["targets"]["herniation"]["metrics"]["auc"]["value"] is None
    assert strict((tmp_path / "metrics.json").read_text()) == content
    assert "nan" not in (tmp_path / "report.md").read_text()


def test_a_single_positive_gives_a_report(predictions, tmp_path):
    frame = predictions("herniation", patients=3)
    frame["truth"] = (np.arange(len(frame)) == 0).astype(int)
    content = write_evaluation(frame, tmp_path, title="one positive", samples=30)
    assert content["targets"]["herniation"]["positives"] == 1


def test_a_target_that_was_never_predicted_is_reported_so(predictions, tmp_path):
    frame = predictions("bulging", "narrowing", patients=6).astype({"confident": object})
    lost = frame.target == "bulging"
    frame.loc[lost, ["grade", "p_0", "p_1", "u_0", "u_1"]] = np.nan
    content = write_evaluation(frame, tmp_path, title="half", samples=20)
    assert content["targets"]["bulging"]["n"] == 0
    assert "without a prediction, in none of these figures: Disc bulging 30" in (tmp_path / "report.md").read_text()


def test_the_table_for_the_readme(predictions):
    metrics = evaluate(predictions("pfirrmann", "herniation", patients=20), samples=30)
    table = markdown_table(metrics, ("quadratic_kappa", "auc"), asked={"pfirrmann": "0.80"}).splitlines()
    assert table[0] == "| Target | Discs (positive) | Quadratic kappa | AUC | Asked for |"
    assert len(table) == 4
    assert {line.count("|") for line in table} == {6}
    assert table[2].startswith("| Pfirrmann degeneration | 100 | 0.")
    assert table[2].endswith("| – | 0.80 |")
    assert str(metrics.targets["herniation"].estimates["auc"]) in table[3]
    assert len(markdown_table(metrics, targets=["herniation"]).splitlines()) == 3
