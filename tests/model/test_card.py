"""The model card says what the bundle's metadata say, and nothing is made up where a figure is undefined."""

from spinenet.labels import EXPERIMENTAL, RESEARCH_ONLY
from spinenet.model.card import card_metrics, model_card

FIGURE = {"value": 0.91234, "low": 0.85, "high": 0.95}
UNDEFINED = {"value": None, "low": None, "high": None}
METRICS = {
    "title": "t",
    "patients": 12,
    "discs": 80,
    "bootstrap": {},
    "targets": {
        "herniation": {
            "title": "Disc herniation",
            "n": 80,
            "patients": 12,
            "positives": 5,
            "metrics": {"auc": FIGURE, "sensitivity": UNDEFINED},
            "levels": {"L4/L5": "left out of the card"},
            "confusion": [[1]],
        }
    },
    "levels": {
        "graded": 80,
        "studies": 20,
        "tolerance_mm": 5.0,
        "fractions": {"right": {"value": 0.975, "low": 0.95, "high": 0.99}},
    },
}
METADATA = {
    "name": "m",
    "version": "1",
    "data": "SPIDER",
    "licence": "CC BY 4.0",
    "calibration": {"herniation": {"slope": 1.25, "intercept": -0.5, "cuts": [0.3], "confident_from": [0.75, None]}},
    "learnt_from": {"herniation": "patients"},
}


def test_card_metrics_keep_the_pooled_figures_only():
    kept = card_metrics(METRICS)
    assert kept["targets"]["herniation"]["metrics"]["auc"] == FIGURE
    assert "levels" not in kept["targets"]["herniation"]


def test_card_states_use_origin_and_figures_with_intervals():
    card = model_card({**METADATA, "metrics": card_metrics(METRICS)})
    assert RESEARCH_ONLY in card and "CC BY 4.0" in card and "Disc herniation: patients" in card
    assert "0.91 [0.85, 0.95]" in card and "97.5 % [95.0, 99.0]" in card


def test_card_says_how_often_severe_was_called_normal_and_who_is_graded_otherwise():
    overlooked = {"value": 0.02, "low": 0.01, "high": 0.04}
    severe = {"presence": "severe", "positives": 55, "metrics": {"called_normal": overlooked}}
    gap = {"variable": "vendor", "group": "B", "target": "herniation", "patients": 12, "few": True}
    figures = {"estimate": FIGURE, "gap": {"value": -0.2, "low": -0.3, "high": -0.1}, "reference": "A"}
    targets = {"herniation": {**METRICS["targets"]["herniation"], "severe": severe}}
    found = [{**gap, **figures, "p_corrected": p} for p in (0.01, 0.5, None)]
    card = model_card({**METADATA, "metrics": card_metrics({**METRICS, "targets": targets, "subgroups": found})})
    assert "Of 55 discs with Disc herniation of severe, a share of 0.02 [0.01, 0.04] was called normal." in card
    assert card.count("vendor B (12 patients; fewer than 30 patients): 0.91 [0.85, 0.95], -0.20 [-0.30, -0.10]") == 1


def test_card_says_when_a_grade_is_called_confident_and_that_no_finding_of_a_target_is():
    limits = "confident from 0.75 if no finding, never if a finding"
    line = f"slope 1.25, intercept -0.50; {limits}; called present from 0.30"
    assert f"- Disc herniation: {line}" in model_card(METADATA)
    older = {"herniation": {"temperature": 0.5, "cuts": [0.3], "abstain_below": 0.75}}
    assert "slope 2.00, intercept +0.00; stood by from 0.75" in model_card({**METADATA, "calibration": older})


def test_an_undefined_figure_is_a_dash_and_missing_metrics_are_no_table():
    assert "| – |" in model_card({**METADATA, "metrics": card_metrics(METRICS)})
    assert "## Figures" not in model_card(METADATA)


def test_what_no_patient_has_verified_is_said_to_be_experimental_and_never_confident():
    calibration = {
        **METADATA["calibration"],
        "canal_stenosis": {"slope": 1.0, "intercept": 0.0, "cuts": [], "confident_from": [0.5, 0.5]},
    }
    card = model_card({**METADATA, "calibration": calibration, "evidence": {"canal_stenosis": "synthetic"}})
    assert f"- Spinal canal stenosis: {EXPERIMENTAL}\n" in card
    assert f"- Spinal canal stenosis: never confident, {EXPERIMENTAL}\n" in card
    assert "- Disc herniation: never" not in card


def test_a_share_without_an_interval_is_said_without_one():
    levels = {**METRICS["levels"], "fractions": {"right": {"value": 1.0, "low": None, "high": None}}}
    card = model_card({**METADATA, "metrics": card_metrics({**METRICS, "levels": levels})})
    assert "in 20 series, 100.0 % were found within 5 mm" in card
