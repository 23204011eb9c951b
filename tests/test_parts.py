"""A bundle of several parts: outlines, measurements and pictures of the discs have their say in a grade."""

from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper

from spinenet.crops import CropSpec
from spinenet.datasets.fine_masks import soft_masks
from spinenet.errors import BundleError
from spinenet.labels import TARGET_INDEX, View
from spinenet.locating.measuring.fine_crops import COLUMNS, FINE_CLASSES, ROWS
from spinenet.model.bundle import DISCS, MEASURED, SEGMENTER, Bundle, load_bundle, write_bundle
from spinenet.model.fusion import joined
from spinenet.predict import check, grade, locate, predict_study
from spinenet.report.document import measurement_rows, study_entry
from spinenet.report.text.narrative import narrative
from spinenet.study import Study
from spinephantom.truth.morphometry import measure

FEATURES = ("g_height_mean_mm", "t2_nucleus", "level")
LIKELIHOODS = np.array([0.8, 0.2])


def network(nodes, inputs, outputs):
    graph = helper.make_graph(nodes, "drawn", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()


def floats(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


@pytest.fixture(scope="module", name="segmenter")
def fixture_segmenter():
    """Says nothing of any pixel; tests draw the outlines in its place."""
    shape = helper.make_tensor("repeats", TensorProto.INT64, [4], [1, len(FINE_CLASSES), 1, 1])
    nodes = [
        helper.make_node("Constant", [], ["repeats"], value=shape),
        helper.make_node("Tile", ["crops", "repeats"], ["tiled"]),
        helper.make_node("Softmax", ["tiled"], ["probabilities"], axis=1),
    ]
    crops, probabilities = floats("crops", ["n", 1, ROWS, COLUMNS]), floats("probabilities", ["n", 5, ROWS, COLUMNS])
    return network(nodes, [crops], [probabilities])


@pytest.fixture(scope="module", name="discs")
def fixture_discs():
    """Narrowing with the probability 0.2 wherever T2 shows the disc, 0.5 elsewhere."""
    weights = np.array([[0, 0], np.log(LIKELIHOODS)], np.float32)
    nodes = [
        helper.make_node("Constant", [], ["w"], value=helper.make_tensor("w", TensorProto.FLOAT, [2, 2], weights)),
        helper.make_node("MatMul", ["present_LV", "w"], ["scores"]),
        helper.make_node("LogSoftmax", ["scores"], ["narrowing"], axis=1),
    ]
    return network(nodes, [floats("present_LV", ["l", 2])], [floats("narrowing", ["l", 2])])


@pytest.fixture(name="bundle")
def fixture_bundle(tiny_bundle, segmenter, discs, stump_arrays, packed, tmp_path):
    """The tiny bundle; narrowing is graded by measurements and pictures, Pfirrmann by measurements alone, from T2."""
    arrays = packed(stump_arrays(FEATURES, ("pfirrmann", "narrowing")))
    parts = {**tiny_bundle.parts, SEGMENTER: segmenter, DISCS: discs, MEASURED: arrays}
    facts = {
        "name": "parts",
        "version": "1",
        "data": "drawn",
        "licence": "none",
        "disc_crop": CropSpec(rows=16, columns=24, pixel_mm=2.0).to_dict(),
        "graded_by": {"narrowing": [MEASURED, DISCS], "pfirrmann": [MEASURED]},
        "read_from": {name: ["sagittal_t1", "sagittal_t2"] for name in ("narrowing", "pfirrmann")},
    }
    return load_bundle(write_bundle(tmp_path / "parts", parts, tiny_bundle.spec, tiny_bundle.calibration, facts))


@pytest.fixture(name="series")
def fixture_series(phantom, perfect_segmenter, monkeypatch):
    """The phantom's series by name; they are located and outlined as their masks have it."""
    masked = {item.name: (item.series, item.mask_SRC) for item in phantom.series}
    segment = perfect_segmenter(*masked.values())
    monkeypatch.setattr(Bundle, "segment", lambda self, images_N1HW: segment(images_N1HW))
    return masked


@pytest.fixture(name="predict")
def fixture_predict(series, bundle, monkeypatch):
    """``predict(name, ...)``: the result of the study of these series and what the grader alone says of it."""

    def run(*names, bundle=bundle):
        study = Study("17", tuple(series[name][0] for name in names))
        located = check(locate(study, bundle), bundle)
        shown = next(one for one in located.series if one.series.view is not View.SAGITTAL_T1 or len(names) == 1)
        soft = soft_masks(shown, series[shown.series.name][1])
        nothing = np.zeros((1, *soft.shape[1:]), soft.dtype)  # beside the midline
        monkeypatch.setattr(
            Bundle,
            "outline",
            lambda self, crops_NHW: soft if len(crops_NHW) == len(soft) else np.repeat(nothing, len(crops_NHW), 0),
        )
        return predict_study(study, bundle), grade(located, bundle)

    return run


def of(result, target):
    return {one.level: one for one in result.predictions if one.target == target}


def test_a_grade_is_the_mean_of_the_parts_that_are_named_for_it(predict, bundle):
    result, graded = predict("t1", "t2")
    features = graded.features
    by_measurements = bundle.measured_grader.probabilities(
        bundle.measured_grader.columns_of(features.names, features.values_LF)
    )["narrowing"]
    both = np.sqrt(by_measurements * LIKELIHOODS)
    both /= both.sum(1, keepdims=True)
    assert len(of(result, "narrowing")) >= 5
    for level, one in of(result, "narrowing").items():
        row = [*of(result, "narrowing")].index(level)
        np.testing.assert_allclose(one.probabilities, both[row], atol=1e-5)


def test_what_no_other_part_is_named_for_is_the_graders_as_before(predict, tiny_bundle):
    result, _ = predict("t1", "t2")
    before, _ = predict("t1", "t2", bundle=tiny_bundle)
    assert of(result, "modic") == of(before, "modic") and of(result, "modic")


def test_a_grade_says_which_measurements_moved_it(predict):
    result, _ = predict("t1", "t2")
    words = {reason.measurement for one in of(result, "pfirrmann").values() for reason in one.reasons}
    assert words <= {"disc height", "signal of the nucleus"} and words
    assert all(one.reasons == () for one in of(result, "modic").values())


def test_a_study_is_measured_in_t2_where_it_has_one(predict):
    both, _ = predict("t1", "t2")
    alone, _ = predict("t1")
    assert [one.series_name for one in both.measured] == ["t2"]
    assert [one.series_name for one in alone.measured] == ["t1"]
    assert all(2 < numbers["height_mean_mm"] < 16 for numbers in both.measured[0].levels.values())


def test_a_measurement_reaches_the_document_within_its_error(predict, phantom):
    result, _ = predict("t1", "t2")
    discs = {disc.level: index for index, disc in enumerate(phantom.spine.discs)}
    gaps, errors = [], []
    for level in study_entry(result)["levels"]:
        truth = measure(phantom.spine, discs[level["level"]])
        for name, true_mm in (("disc_height_middle_mm", truth.mid_height_mm), ("slip_mm", truth.slip_mm)):
            known = level.get("measurement_details", {}).get(name)
            if known and truth.schmorl_above_mm == truth.schmorl_below_mm == 0:
                assert known["series"] == "t2"
                gaps.append(abs(level["measurements"][name] - true_mm))
                errors.append(known["error_95"])
    assert len(gaps) >= 8
    assert np.mean(np.array(gaps) <= np.array(errors)) >= 0.9


def test_measurements_come_from_t2_or_else_from_t1(predict):
    for names, series in ((("t1", "t2"), "t2"), (("t1",), "t1")):
        result, _ = predict(*names)
        assert {one.series for one in result.measurements if one.name == "disc_height_front_mm"} == {series}
        signals = [one for one in result.measurements if one.name == "nucleus_signal_share"]
        assert bool(signals) == (series == "t2")


def test_a_bundle_without_a_segmenter_reports_what_the_locator_measured(predict, tiny_bundle):
    result, _ = predict("t1", "t2", bundle=tiny_bundle)
    assert result.measured == () and {one.series for one in result.measurements} == {""}
    assert {one.name for one in result.measurements} <= {"disc_height_mm", "disc_depth_mm", "canal_depth_mm", "slip_mm"}


def test_the_slices_that_were_read_are_those_that_decided(predict):
    result, _ = predict("t1", "t2")
    for crops in result.crops.values():
        shares = {crop.series_name: crop.attention_T[TARGET_INDEX["narrowing"]] for crop in crops if crop.attention_T}
        read = [crop for crop in crops if crop.attention_T[TARGET_INDEX["narrowing"]] > 0]
        assert {crop.series_name for crop in read} == {"t1", "t2"} and len(read) == 2
        assert sum(shares.values()) <= 1


def test_a_view_that_was_never_learnt_from_gives_no_grade_and_is_named(predict, series):
    stir, mask = series["t2"]
    series["stir"] = (replace(stir, name="stir", view=View.SAGITTAL_STIR), mask)
    result, _ = predict("stir")
    assert not of(result, "narrowing") and of(result, "bulging")
    assert any("sagittal T1 or sagittal T2" in str(note) and "narrowing" in str(note) for note in result.notes)


def test_beside_stir_it_is_t1_that_is_measured(predict, series):
    """A grade is learnt from measurements of T2 and T1; those of a STIR would leave T1's without a say."""
    stir, mask = series["t2"]
    series["stir"] = (replace(stir, name="stir", view=View.SAGITTAL_STIR), mask)
    result, _ = predict("t1", "stir")
    assert [one.view for one in result.measured] == [View.SAGITTAL_T1]


def test_a_part_that_is_named_but_missing_is_refused(bundle, tmp_path):
    facts = {key: bundle.metadata[key] for key in ("name", "version", "data", "licence", "graded_by", "disc_crop")}
    parts = {name: content for name, content in bundle.parts.items() if name != DISCS}
    with pytest.raises(BundleError, match=r"discs\.onnx is missing"):
        write_bundle(tmp_path / "b", parts, bundle.spec, bundle.calibration, facts)
    (bundle.path / MEASURED).write_bytes(bundle.parts[MEASURED][:-10])
    with pytest.raises(BundleError, match=r"measured\.npz was altered"):
        load_bundle(bundle.path)


def test_a_part_that_says_nothing_of_a_disc_leaves_it_to_the_others():
    said = np.log(np.array([[[0.3, 0.7]], [[0.6, 0.4]]], np.float32))
    silent = said.copy()
    silent[1] = np.nan
    joint = np.exp(joined([said, silent]))
    np.testing.assert_allclose(joint[1], [[0.6, 0.4]], rtol=1e-6)
    assert np.isnan(joined([silent])[1]).all()


def test_the_area_of_the_sac_reaches_document_table_and_text_with_its_slice(
    angled_study, tiny_bundle, perfect_segmenter, monkeypatch
):
    sagittal = [(item.series, item.mask_SRC) for item in angled_study.series if item.view is not View.AXIAL_T2]
    segment = perfect_segmenter(*sagittal)
    monkeypatch.setattr(Bundle, "segment", lambda self, images_N1HW: segment(images_N1HW))
    monkeypatch.setattr(Bundle, "views", property(lambda self: tuple(View)))
    study = Study("17", angled_study.images)
    before = predict_study(study, tiny_bundle)
    assert not any(one.name == "sac_area_mm2" for one in before.measurements)
    disc_HW = np.hypot(*(np.indices((80, 80)) - 40)) < 12
    soft_CHW = np.stack([~disc_HW, disc_HW]).astype(np.float32)
    monkeypatch.setattr(Bundle, "outlines_sacs", property(lambda self: True))
    monkeypatch.setattr(Bundle, "outline_sacs", lambda self, crops_NHW: np.stack([soft_CHW] * len(crops_NHW)))
    result = predict_study(study, tiny_bundle)
    assert result.predictions == before.predictions
    levels = {one["level"]: one for one in study_entry(result)["levels"] if "sac_area_mm2" in one["measurements"]}
    detail = levels["L3/L4"]["measurement_details"]["sac_area_mm2"]
    axial = {one.series.name for one in result.located if one.series.view is View.AXIAL_T2}
    assert detail["series"] in axial and detail["slice_index"] >= 0 and detail["error_95"] > 0
    row = next(row for row in measurement_rows(study_entry(result)) if row["measurement"] == "sac_area_mm2")
    assert (row["value"], row["unit"]) == (f"{disc_HW.sum() * 0.36:.0f}", "mm2") and row["slice_index"]
    findings = dict(narrative(result, {}).findings)
    assert any("ural sac" in sentence and "mm²" in sentence for sentence in findings["L3/L4"])
