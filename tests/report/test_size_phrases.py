"""Sizes in the report text: a narrow canal, a disc's height beside its narrowing, a slip and what is graded of it."""

from dataclasses import replace

import pytest

from spinenet.labels import TARGET, VIEWS, View
from spinenet.locating.measuring.quantities import QUANTITY
from spinenet.report.document import study_entry
from spinenet.report.narrow_canal import narrow_canals
from spinenet.report.options import Language
from spinenet.report.page.grade_table import grade_table
from spinenet.report.page.html import render
from spinenet.report.page.patient import patient_page
from spinenet.report.page.worklist import entry_of
from spinenet.report.text.language import phrases
from spinenet.report.text.narrative import narrative
from spinenet.study import Measurement, Prediction, StudyResult

MODEL = {"name": "test", "version": "1", "views": [view.value for view in VIEWS], "targets": list(TARGET)}


def test_a_canal_measured_to_be_narrow_is_said_though_no_grade_says_it() -> None:
    depths = (("L4/L5", 6.0), ("L3/L4", 13.0), ("L2/L3", 14.0), ("L5/S1", 13.0))
    measured = tuple(Measurement(one, "canal_depth_least_mm", mm, "mm", 2.1, None, "t2") for one, mm in depths)
    calm = tuple(Prediction(level, "herniation", 0, (1.0, 0.0), True) for level, _ in depths)
    result = StudyResult("a", "ok", 0.0, predictions=calm, measurements=measured)
    text = narrative(result, MODEL)
    said = "canal 6.0 mm deep at its narrowest in the mid-sagittal slice (± 2.1 mm; median of the other levels 13.0 mm)"
    assert [level for level, sentences in text.findings if said in " ".join(sentences)] == ["L4/L5"]
    assert text.impression == ("L4/L5: narrow spinal canal as measured (6.0 ± 2.1 mm deep).",)
    coarse = tuple(replace(one, series="", error_95=None, percentile=None) for one in measured)
    assert "canal 6" not in narrative(replace(result, measurements=coarse), MODEL).text()
    for view, is_told in ((View.SAGITTAL_T1, False), (View.SAGITTAL_T2, True)):
        assert bool(narrow_canals(measured, {"t2": view})) is is_told


@pytest.mark.parametrize(
    ("name", "value", "error", "is_named", "leads"),
    [
        ("sac_area_mm2", 74.0, 60.0, True, True),
        ("sac_area_mm2", 75.0, 60.0, True, False),
        ("sac_area_mm2", 104.0, 60.0, False, False),
        ("canal_depth_least_mm", 7.8, 2.1, True, True),
        ("canal_depth_least_mm", 8.9, 3.7, True, True),
        ("canal_depth_least_mm", 9.3, 2.1, True, False),
        ("canal_depth_least_mm", 10.4, 2.1, False, False),
    ],
)
@pytest.mark.parametrize("level", ["L2/L3", "L5/S1"])
def test_one_rule_says_at_every_level_and_everywhere_when_a_canal_is_narrow(
    name: str, value: float, error: float, is_named: bool, leads: bool, level: str
) -> None:
    size = Measurement(level, name, value, QUANTITY[name].unit, error, None, "t2")
    calm = Prediction(level, "herniation", 0, (1.0, 0.0), True)
    result = StudyResult("a", "ok", 0.0, predictions=(calm,), measurements=(size,))
    text, page = narrative(result, MODEL), render(result, model=MODEL)
    first, table = page.split('<section class="lead">')[1].split("</section>")[0], page.split("<tbody>")[1]
    row = entry_of(study_entry(result), "a.html")
    brief = "narrow spinal canal as measured"
    assert [brief in one for one in (text.impression[0], first, " ".join(row.found))] == [leads] * 3
    near = value + error >= {"sac_area_mm2": 100, "canal_depth_least_mm": 10}[name]
    is_doubtful = near and name == "canal_depth_least_mm"
    assert row.word == ("routine" if not leads else "low" if is_doubtful else "moderate")
    assert ("narrow" in table.split("</tbody>")[0]) is leads
    assert ("narrow" in patient_page(result).split("<footer>")[0].split("Questions")[0]) is leads
    told = " ".join(dict(text.findings)[level])
    assert (", below" in told, "within its error of that limit" in told) == (is_named, is_named and near)
    if leads:
        assert (
            f"{QUANTITY[name].written(value)} ± {QUANTITY[name].written(error)}" in first
            and ("within its error" in first) is near
        )


@pytest.mark.parametrize(("evidence", "is_told"), [("synthetic", True), ("reader", False), ("approved", False)])
def test_beside_a_readers_grade_of_the_canal_no_size_is_told_in_its_place(evidence: str, is_told: bool) -> None:
    size = Measurement("L4/L5", "canal_depth_least_mm", 6.0, "mm", 2.1, None, "t2")
    read = Prediction("L4/L5", "canal_stenosis", 1, (0.0, 1.0, 0.0), evidence != "synthetic", evidence)
    result = StudyResult("a", "ok", 0.0, predictions=(read,), measurements=(size,))
    said = (narrative(result, MODEL).text(), " ".join(entry_of(study_entry(result), "a.html").found))
    assert ["narrow spinal canal as measured" in one for one in said] == [is_told] * 2
    assert ("not a grade of stenosis" in said[0]) is is_told


@pytest.mark.parametrize(("percentile", "is_against"), [(19, False), (60, True)])
def test_a_height_that_is_usual_at_its_level_does_not_bear_narrowing_out(percentile: int, is_against: bool) -> None:
    """However low the patient's other discs are."""
    graded = (Prediction("L4/L5", "narrowing", 1, (0.1, 0.9), False),)
    heights = [("L4/L5", 6.0, percentile), ("L3/L4", 5.0, 5), ("L2/L3", 5.0, 5)]
    measured = tuple(Measurement(level, "disc_height_mm", mm, "mm", 1.1, place, "t2") for level, mm, place in heights)
    result = StudyResult("a", "ok", 0.0, predictions=graded, measurements=measured)
    text = narrative(result, MODEL).text()
    assert ("does not bear it out" in text) is is_against and f"percentile {percentile} for this level" in text
    assert "median" not in text


@pytest.mark.parametrize("language", list(Language))
def test_a_height_beyond_what_is_known_of_its_level_is_placed_below_or_above_it(language: Language) -> None:
    words, graded = phrases(language), (Prediction("L4/L5", "narrowing", 1, (0.1, 0.9), False),)
    for percentile, key in ((0, "placed_below"), (100, "placed_above")):
        height = (Measurement("L4/L5", "disc_height_mm", 6.0, "mm", 1.1, percentile, "t2"),)
        result = StudyResult("a", "ok", 0.0, predictions=graded, measurements=height)
        assert words.isolated(words(key)) in narrative(result, MODEL, language).findings[0][1][0]


def test_a_slip_that_was_measured_and_graded_absent_is_in_findings_and_impression() -> None:
    slip = (Measurement("L4/L5", "slip_mm", 7.8, "mm", 1.5, 99, "t2"),)
    for decided, is_told in ((0, True), (1, False)):
        graded = (Prediction("L4/L5", "spondylolisthesis", decided, (0.5, 0.5), False),)
        text = narrative(StudyResult("a", "ok", 0.0, predictions=graded, measurements=slip), MODEL)
        assert ("forward slip of 7.8 mm as measured" in text.findings[0][1][-1].lower()) is is_told
        assert ("forward slip as measured (7.8 ± 1.5 mm), graded absent" in text.impression[0]) is is_told
    coarse = (replace(slip[0], error_95=None, percentile=None, series=""),)
    graded = (Prediction("L4/L5", "spondylolisthesis", 0, (0.5, 0.5), False),)
    text = narrative(StudyResult("a", "ok", 0.0, predictions=graded, measurements=coarse), MODEL)
    assert "as measured" not in text.impression[0]  # the locator's slips do not lead
    backward = (replace(slip[0], value=-4.2, error_95=2.7),)
    text = narrative(StudyResult("a", "ok", 0.0, predictions=graded, measurements=backward), MODEL)
    assert "backward slip of 4.2 mm as measured" in text.findings[0][1][-1].lower()
    assert "as measured" not in text.impression[0]


def test_a_slip_whose_error_is_not_known_is_said_to_be_coarse() -> None:
    graded = (Prediction("L5/S1", "spondylolisthesis", 1, (0.1, 0.9), True),)
    for error, said in ((None, "(4.2 mm, coarsely measured)"), (1.5, "(4.2 mm)")):
        slip = (Measurement("L5/S1", "slip_mm", 4.2, "mm", error),)
        result = StudyResult("a", "ok", 0.0, predictions=graded, measurements=slip)
        assert said in narrative(result, MODEL).text()


def test_an_area_of_the_sac_that_is_badly_known_excludes_no_narrow_canal() -> None:
    graded = (Prediction("L4/L5", "narrowing", 0, (0.9, 0.1), True),)
    for error, is_open in ((40.0, False), (88.0, True)):
        sac = Measurement("L4/L5", "sac_area_mm2", 151.0, "mm2", error, None, "axial", slice_index=2)
        text = narrative(StudyResult("a", "ok", 0.0, predictions=graded, measurements=(sac,)), MODEL).text()
        table = grade_table((), ("L4/L5",), (sac,))
        assert table.rows[0][2][0][0] == ("151 ± 88" if is_open else "151")
        assert ("below 75 mm² is not excluded" in text) is is_open
