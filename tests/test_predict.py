"""One study, one result: whole where all is well, partial or failed with the reason, and never a guess."""

from dataclasses import replace

import numpy as np
import pytest

from spinenet.labels import LEVELS, TARGET, View
from spinenet.model.bundle import Bundle
from spinenet.model.calibration import TargetCalibration, decision
from spinenet.predict import predict_study
from spinenet.study import Note, Scope, Series, Study

FIRST_DISC = 201


@pytest.fixture
def masked(phantom):
    """name -> (series, mask) of one phantom."""
    return {item.name: (item.series, item.mask_SRC) for item in phantom.series}


@pytest.fixture
def predict(tiny_bundle, perfect_segmenter, monkeypatch):
    """``predict((series, mask), ...)``: the result of the study of these series, segmented as their masks have it."""

    def run(*masked, bundle=tiny_bundle, notes=(), names=()):
        segment = perfect_segmenter(*masked)
        monkeypatch.setattr(Bundle, "segment", lambda self, images_N1HW: segment(images_N1HW))
        study = Study("17", tuple(series for series, _ in masked), notes, level_names=names)
        return predict_study(study, bundle)

    return run


def axial(name="axial"):
    return Series(name, np.ones((9, 8, 8), np.float32), np.eye(4), "axial", View.AXIAL_T2, "Axial by orientation.")


def test_every_level_found_is_graded_for_every_target_of_the_bundle(predict, masked, tiny_bundle, phantom):
    result = predict(*masked.values())
    assert (result.key, result.status) == ("17", "ok") and result.seconds > 0
    assert set(phantom.levels) <= set(result.graded_levels)
    assert result.graded_levels == LEVELS[: len(result.graded_levels)]
    expected = [(level, target) for level in result.graded_levels for target in tiny_bundle.targets]
    assert [(one.level, one.target) for one in result.predictions] == expected


def test_grades_are_on_the_published_scale_with_probabilities_that_sum_to_one(predict, masked):
    for one in predict(*masked.values()).predictions:
        assert one.grade in TARGET[one.target].grades
        assert len(one.probabilities) == len(TARGET[one.target].grades)
        assert min(one.probabilities) >= 0 and sum(one.probabilities) == pytest.approx(1, abs=1e-9)
        assert isinstance(one.grade, int) and isinstance(one.confident, bool)


def test_the_grade_is_what_the_calibration_decides_from_the_probabilities(predict, masked, tiny_bundle):
    cuts = TargetCalibration(0.3, 0.1, (0.5, 0.6, 0.7, 3.9), (0.2, 0.25))
    bundle = replace(tiny_bundle, calibration={**tiny_bundle.calibration, "pfirrmann": cuts})
    target, seen = TARGET["pfirrmann"], 0
    for one in predict(*masked.values(), bundle=bundle).predictions:
        if one.target == "pfirrmann":
            step = np.log(one.probabilities) / cuts.slope - cuts.intercept / cuts.slope * np.arange(5)
            decided = decision(target, step[None], cuts)
            assert (one.grade, one.confident) == (target.grades[decided.grade_N[0]], bool(decided.confident_N[0]))
            seen += 1
    assert seen >= 5


def test_the_crops_that_decided_come_with_the_result(predict, masked):
    result = predict(*masked.values())
    assert set(result.crops) == set(result.graded_levels)
    for level in result.graded_levels:
        assert {crop.series_name for crop in result.crops[level]} == {"t1", "t2"}


def test_notes_of_reading_and_locating_reach_the_message(predict, masked):
    skipped = Note("skipped", Scope.STUDY, "", "two files were skipped")
    message = predict(*masked.values(), notes=(skipped,)).message
    assert "two files were skipped" in message and message.count("not verified") == 1


def test_the_same_study_gives_the_same_result(predict, masked):
    first, second = predict(*masked.values()), predict(*masked.values())
    assert first.predictions == second.predictions


def test_one_series_is_enough(predict, masked):
    alone, both = predict(masked["t2"]), predict(*masked.values())
    assert alone.status == "ok" and alone.graded_levels == both.graded_levels
    assert alone.predictions != both.predictions  # the other series does count


def test_series_in_another_order_give_the_same_grades(predict, masked):
    forth, back = predict(*masked.values()), predict(*reversed(masked.values()))
    for one, other in zip(forth.predictions, back.predictions, strict=True):
        assert one.grade == other.grade and np.allclose(one.probabilities, other.probabilities, atol=1e-4)


def test_a_series_counted_differently_takes_the_names_of_the_surer_one_and_that_is_said(predict, masked):
    series, mask_SRC = masked["t1"]
    shifted = np.where(mask_SRC == FIRST_DISC, 0, np.where(mask_SRC > FIRST_DISC, mask_SRC - 1, mask_SRC))
    unsure = (shifted == FIRST_DISC) & (np.arange(shifted.shape[2]) % 2 == 0)
    result = predict(masked["t2"], (series, np.where(unsure, 250, shifted)))
    assert result.status == "partial"
    assert "t1: its lowest disc looked like another one than in t2; levels are named as in t2" in result.message
    assert same_places(result)


def test_the_canal_is_measured_where_it_cannot_be_graded(predict, masked, tiny_bundle):
    result = predict(masked["t1"])
    assert not any(one.target == "canal_stenosis" for one in result.predictions)
    assert "spinal canal stenosis" in result.message or "canal_stenosis" not in tiny_bundle.targets
    measured = {one.level for one in result.measurements if one.name == "canal_depth_mm"}
    cut_by_the_edge = {"T11/T12"}
    assert measured >= set(result.graded_levels) - cut_by_the_edge and len(measured) >= 5


def moved_up(series, by_mm, frame):
    """The patient lay elsewhere in that series, which has a frame of reference of its own."""
    affine = series.affine_vox2mm.copy()
    affine[2, 3] += by_mm
    return replace(series, affine_vox2mm=affine, frame_of_reference=frame)


def test_a_patient_laid_anew_between_series_keeps_the_names_of_each_and_one_who_lay_still_is_named_once(
    predict, masked
):
    (t1, t1_mask), (t2, t2_mask) = masked["t1"], masked["t2"]
    t2 = replace(t2, frame_of_reference="1.2")
    right = predict((t1, t1_mask), (t2, t2_mask))
    for by_mm in (35.0, 0.0):  # by a level, and a public set that gives each series a frame of its own
        result = predict((moved_up(t1, by_mm, "1.9"), t1_mask), (t2, t2_mask))
        assert result.status == "ok" and not any(note.code == "named_as_other" for note in result.notes)
        named = {one.series.name: {frame.level: frame.center_mm[2] for frame in one.frames} for one in result.located}
        expected = {one.series.name: {frame.level: frame.center_mm[2] for frame in one.frames} for one in right.located}
        assert named["t2"] == pytest.approx(expected["t2"], abs=2.0)
        assert named["t1"] == pytest.approx({level: mm + by_mm for level, mm in expected["t1"].items()}, abs=2.0)


def test_a_series_of_a_patient_laid_anew_that_cannot_be_named_by_itself_is_left_out_and_that_is_said(predict, masked):
    (t1, t1_mask), (t2, t2_mask) = masked["t1"], masked["t2"]
    hidden = np.where(t1_mask == FIRST_DISC, 0, t1_mask)
    result = predict((moved_up(t1, 35.0, "1.9"), hidden), (replace(t2, frame_of_reference="1.2"), t2_mask))
    assert result.status == "partial" and "t1: the sacrum is not in view" in result.message
    assert [one.series.name for one in result.located] == ["t2"]
    assert [note.subject for note in result.notes if note.code == "left_out"] == ["t1"]


def test_a_series_whose_sacrum_is_not_seen_is_named_like_the_other(predict, masked):
    series, mask_SRC = masked["t1"]
    result = predict((series, np.where(mask_SRC == FIRST_DISC, 0, mask_SRC)), masked["t2"])
    assert result.status == "partial" and "t1: the sacrum is not in view" in result.message
    assert same_places(result) and result.graded_levels == predict(masked["t2"]).graded_levels


def same_places(result):
    """Whether discs of one name lie at one place in both series."""
    centers = [{frame.level: frame.center_mm for frame in one.frames} for one in result.located]
    shared = set(centers[0]) & set(centers[1])
    return len(shared) >= 5 and all(np.linalg.norm(centers[0][level] - centers[1][level]) < 2 for level in shared)


def test_a_level_that_only_one_series_shows_is_looked_at_in_both(predict, masked):
    series, mask_SRC = masked["t1"]
    result = predict(masked["t2"], (series, np.where(mask_SRC == FIRST_DISC + 2, 0, mask_SRC)))
    assert result.status == "ok" and result.graded_levels == predict(*masked.values()).graded_levels
    assert {crop.series_name for crop in result.crops[LEVELS[2]]} == {"t1", "t2"}


def test_a_series_without_a_spine_does_not_stop_the_other(predict, masked):
    series, mask_SRC = masked["t1"]
    result = predict((series, np.zeros_like(mask_SRC)), masked["t2"])
    assert result.status == "partial" and "t1: only 0 lumbar discs in view" in result.message
    assert result.predictions == predict(masked["t2"]).predictions


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda mask_SRC: np.where(mask_SRC > FIRST_DISC + 1, 0, mask_SRC), "only 2 lumbar discs in view"),
        (lambda mask_SRC: np.where(mask_SRC == FIRST_DISC, 0, mask_SRC), "the sacrum is not in view"),
        (np.zeros_like, "only 0 lumbar discs in view"),
    ],
    ids=["two discs", "no sacrum", "no spine"],
)
def test_a_study_that_cannot_be_numbered_gets_no_grade_at_all(predict, masked, change, reason):
    result = predict(*((series, change(mask_SRC)) for series, mask_SRC in masked.values()))
    assert result.status == "failed" and result.predictions == () and result.crops == {}
    assert f"t1: {reason}" in result.message and f"t2: {reason}" in result.message


@pytest.mark.parametrize(("lowest", "shift"), [("L5/S1", 0), ("L4/L5", 1), ("S1/S2", -1)])
def test_a_lowest_disc_that_the_reader_names_shifts_every_level(predict, masked, lowest, shift):
    counted, result = predict(*masked.values()), predict(*masked.values(), names=(lowest,))
    known = ("S1/S2", *LEVELS)
    expected = [known[known.index(level) + shift] for level in counted.graded_levels]
    assert list(result.graded_levels) == [level for level in expected if level in LEVELS]
    places = {level.name: level.center_mm for level in counted.levels}
    for level in result.levels:
        assert np.allclose(level.center_mm, places[known[known.index(level.name) - shift]], atol=2)
    codes = {note.code for note in (*result.notes, *result.flags)}
    assert "named_by_reader" in codes and not codes & {"numbering", "doubtful_names"}
    assert {one.level for one in result.measurements} <= set(LEVELS)


def test_names_of_all_discs_are_taken_as_given_and_others_left_out(predict, masked):
    names = ("L4/L5", "L3/L4", "L1/L2", "T12/L1")
    result = predict(*masked.values(), names=names)
    assert (
        result.graded_levels == names
        and "named by the reader: discs from the lowest one up are L4/L5" in result.message
    )


def test_more_names_than_discs_are_a_contradiction_that_is_said(predict, masked):
    few = [(series, np.where(mask_SRC > FIRST_DISC + 3, 0, mask_SRC)) for series, mask_SRC in masked.values()]
    result = predict(*few, names=LEVELS[:6])
    assert "4 discs are seen, and the reader named more: L1/L2, T12/L1 not found" in result.message
    assert "names_questioned" in {flag.code for flag in result.flags}


def test_a_study_that_ends_above_the_sacrum_is_graded_under_the_readers_names(predict, masked):
    above = [(series, np.where(mask_SRC == FIRST_DISC, 0, mask_SRC)) for series, mask_SRC in masked.values()]
    result = predict(*above, names=("L4/L5",))
    assert result.graded_levels == predict(*masked.values()).graded_levels[1:] and result.status == "ok"
    sure = predict(*above, names=("L5/S1",))
    assert "the reader named the lowest disc L5/S1, and the sacrum is not clearly recognised" in sure.message


def test_axial_images_alone_are_not_graded(tiny_bundle):
    result = predict_study(Study("17", (axial(),)), tiny_bundle)
    assert result.status == "failed" and result.predictions == ()
    assert "no sagittal T1, T2 or STIR series" in result.message and "axial: axial" in result.message


def test_a_sagittal_series_of_no_known_weighting_is_not_graded(tiny_bundle, masked):
    unknown = replace(masked["t2"][0], view=None, reason="a localiser: not used.")
    result = predict_study(Study("17", (unknown,)), tiny_bundle)
    assert result.status == "failed" and "a localiser" in result.message


def test_a_study_without_series_fails_with_a_reason(tiny_bundle):
    result = predict_study(Study("17", ()), tiny_bundle)
    assert result.status == "failed" and "no image series" in result.message


def test_axial_series_do_not_disturb_sagittal_ones(predict, masked, tiny_bundle):
    plain = predict(*masked.values())
    study = Study("17", (axial(), *(series for series, _ in masked.values())))
    assert predict_study(study, tiny_bundle).predictions == plain.predictions


def test_a_locator_that_has_learnt_nothing_gives_a_reason_not_an_exception(tiny_bundle, phantom):
    result = predict_study(Study("17", tuple(item.series for item in phantom.series)), tiny_bundle)
    assert result.status == "failed" and result.message and result.predictions == ()


def test_a_network_that_cannot_run_fails_the_study_in_one_line(predict, masked, tiny_bundle):
    result = predict(*masked.values(), bundle=replace(tiny_bundle, spec=replace(tiny_bundle.spec, rows=24)))
    assert result.status == "failed" and result.predictions == ()
    assert result.message.startswith("grader.onnx could not be run on this study")


@pytest.mark.parametrize("shape", [(1, 3, 3), (3, 5, 400), (2, 40, 40)])
def test_odd_images_give_a_reason_not_an_exception(tiny_bundle, shape):
    voxels = np.random.default_rng(0).random(shape, np.float32)
    series = Series("t2", voxels, np.diag([4.0, 0.7, 0.7, 1.0]), "sagittal", View.SAGITTAL_T2)
    assert predict_study(Study("17", (series,)), tiny_bundle).status == "failed"
