"""Predictions gathered for an evaluation: what is fitted on them treats left and right alike."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from spinenet.datasets.labelled import LabelledStudy, no_grades
from spinenet.datasets.masks import MaskFile
from spinenet.datasets.outlines import Outlines
from spinenet.evaluate.collection.collect import LabelledPredictions, fit_calibration, where_drawn
from spinenet.labels import MAX_GRADES, TARGET_INDEX, TARGETS
from spinenet.readers import StudySource

SIDES = ("foraminal_stenosis_left", "foraminal_stenosis_right")


def test_left_and_right_are_calibrated_as_one():
    rng = np.random.default_rng(5)
    grades_NT = rng.integers(0, 3, (300, len(TARGETS)))
    shift = {"foraminal_stenosis_left": 2.0, "foraminal_stenosis_right": 0.5}
    logp_NTK = np.full((300, len(TARGETS), MAX_GRADES), np.nan, np.float32)
    for side in SIDES:
        index = TARGET_INDEX[side]
        logits = rng.normal(0, 1, (300, 3)) + shift[side] * np.eye(3)[grades_NT[:, index]]
        logp_NTK[:, index, :3] = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    discs = tuple(("study", "L4/L5") for _ in range(300))
    no_NT = np.zeros((300, len(TARGETS)), np.bool_)
    nothing = no_NT, no_NT, np.full((300, len(TARGETS)), "")
    seen = LabelledPredictions(discs, logp_NTK, grades_NT, *nothing, {}, {}, {})
    both = fit_calibration(seen, SIDES)
    one_side = logp_NTK.copy()
    one_side[:, TARGET_INDEX[SIDES[1]]] = np.nan
    left = fit_calibration(replace(seen, logp_NTK=one_side), SIDES[:1])
    assert both[SIDES[0]] == both[SIDES[1]] != left[SIDES[0]]


def test_discs_beyond_what_a_label_image_shows_count_neither_for_nor_against():
    study = LabelledStudy(
        "7",
        "7",
        StudySource("7", Path()),
        no_grades(),
        {"t1": Outlines({}, (9, 9)), "t2": MaskFile(Path("t2.mha"))},
    )
    heights = {"L5/S1": 0.0, "L4/L5": 35.0, "L3/L4": 70.0, "T12/L1": 170.0}
    discs = {level: np.array([0.0, 0.0, height]) for level, height in heights.items()}
    drawn = {level: discs[level] for level in ("L5/S1", "L4/L5")}
    found = where_drawn({"7/t1": discs, "7/t2": discs}, {"7/t1": drawn, "7/t2": drawn}, study)
    assert list(found["7/t1"]) == ["L5/S1", "L4/L5"] and list(found["7/t2"]) == list(discs)
