"""Sizes in the report text: a narrow canal, a disc's height beside its narrowing, a slip and what is graded of it."""

import html
from collections.abc import Sequence
from dataclasses import replace

import pytest

from spinenet.labels import TARGET, VIEWS, View
from spinenet.locating.measuring.plausibility import _note, withheld_slips
from spinenet.locating.measuring.quantities import QUANTITY
from spinenet.report.document import study_entry
from spinenet.report.narrow_canal import narrow_canals, unmeasured_canals
from spinenet.report.options import Language, ReportOptions
from spinenet.report.page.grade_table import Cell, grade_table
from spinenet.report.page.html import render
from spinenet.report.page.page_words import page_words
from spinenet.report.page.patient import patient_page
from spinenet.report.page.worklist import entry_of
from spinenet.report.ranking import ranking_of
from spinenet.report.text.language import phrases, sentence
from spinenet.report.text.narrative import narrative
from spinenet.study import Measurement, Prediction, StudyResult

MODEL = {"name": "test", "version": "1", "views": [view.value for view in VIEWS], "targets": list(TARGET)}


def test_a_canal_measured_to_be_narrow_is_said_though_no_grade_says_it() -> None:
    depths = (("L4/L5", 6.0), ("L3/L4", 13.0), ("L2/L3", 14.0), ("L5/S1", 13.0))
    measured = tuple(Measurement(one, "canal_depth_least_mm", mm, "mm", 2.1, None, "t2") for one, mm in depths)
    calm = tuple(Prediction(level, "herniation", 0, (1.0, 0.0), True) for level, _ in depths)
    result = StudyResult("a", "ok", 0.0, predictions=calm, measurements=measured)
    text = narrative(result, MODEL)
    size = "canal 6.0 mm deep at its narrowest in the mid-sagittal slice (± 2.1 mm; median of the other levels 13.0 mm)"
    said = f"{size}: very narrow, below 7 mm."
    assert [level for level, sentences in text.findings if said in " ".join(sentences)] == ["L4/L5"]
    assert text.impression == ("L4/L5: very narrow spinal canal as measured (6.0 ± 2.1 mm deep).",)
    coarse = tuple(replace(one, series="", error_95=None, percentile=None) for one in measured)
    assert "canal 6" not in narrative(replace(result, measurements=coarse), MODEL).text()
    for view, is_told in ((View.SAGITTAL_T1, False), (View.SAGITTAL_T2, True)):
        assert bool(narrow_canals(measured, {"t2": view})) is is_told


@pytest.mark.parametrize(
    ("name", "value", "error", "tier", "priority"),
    [
        ("sac_area_mm2", 74.0, 60.0, "very narrow", "moderate"),
        ("sac_area_mm2", 75.0, 60.0, "narrow", "low"),
        ("sac_area_mm2", 99.0, 60.0, "narrow", "low"),
        ("sac_area_mm2", 104.0, 60.0, "", "routine"),
        ("sac_area_mm2", 60.0, 60.0, "", "routine"),
        ("canal_depth_least_mm", 6.8, 2.1, "very narrow", "moderate"),
        ("canal_depth_least_mm", 6.8, 3.7, "very narrow", "low"),
        ("canal_depth_least_mm", 8.9, 3.7, "narrow", "low"),
        ("canal_depth_least_mm", 9.3, 2.1, "", "routine"),
        ("canal_depth_least_mm", 3.1, 6.2, "", "routine"),
    ],
)
@pytest.mark.parametrize("level", ["T11/T12", "L2/L3", "L5/S1"])
def test_one_rule_says_at_every_lumbar_level_and_everywhere_when_a_canal_is_narrow(
    name: str, value: float, error: float, tier: str, priority: str, level: str
) -> None:
    """By two tiers, in the same words and colours; a size as uncertain as itself is none, and a thoracic one a size."""
    tier, priority = (tier, priority) if level != "T11/T12" else ("", "routine")
    size = Measurement(level, name, value, QUANTITY[name].unit, error, None, "t2")
    calm = Prediction(level, "herniation", 0, (1.0, 0.0), True)
    result = StudyResult("a", "ok", 0.0, predictions=(calm,), measurements=(size,))
    text, page = narrative(result, MODEL), render(result, model=MODEL)
    first, table = page.split('<section class="lead">')[1].split("</section>")[0], page.split("<tbody>")[1]
    row = entry_of(study_entry(result), "a.html")
    brief = f"{tier} spinal canal as measured" if tier else "narrow spinal"
    assert [brief in one for one in (text.impression[0], first, " ".join(row.found))] == [bool(tier)] * 3
    assert row.word == priority
    cell = table.split(f'data-size="{level}|{name}"')[0].rpartition("<td")[2]
    assert ("weight2" in cell, "weight1" in cell) == (tier == "very narrow", tier == "narrow")
    assert (f'remark">{tier}</span>' in table.split("</tbody>")[0]) is bool(tier)
    assert ("narrow" in patient_page(result).split("<footer>")[0].split("Questions")[0]) is bool(tier)
    assert (f": {tier}, below" in " ".join(dict(text.findings)[level])) is bool(tier)
    assert ("no grades of stenosis" in "".join(text.not_assessed)) is bool(tier)
    written = [QUANTITY[name].written(one) for one in (value, error)]
    assert (" ± ".join(written) in first) is bool(tier) and f"± {written[1]}" in table


SACS = (("L5/S1", 150.0, 55.0), ("L4/L5", 114.0, 80.0), ("L2/L3", 193.0, 28.0), ("L1/L2", 234.0, 27.0))


def sizes_of(name: str, *sizes: tuple[str, float, float]) -> tuple[Measurement, ...]:
    return tuple(
        Measurement(level, name, value, QUANTITY[name].unit, error, None, "t2") for level, value, error in sizes
    )


def graded_at(levels: Sequence[str], *others: Prediction) -> tuple[Prediction, ...]:
    return (*(Prediction(level, "herniation", 0, (1.0, 0.0), True) for level in levels), *others)


def test_the_dural_sac_decides_and_a_depth_that_contradicts_it_says_so_and_does_not_lead() -> None:
    """As in a patient whose L3/L4 has half of the others' sac, and whose L4/L5 beside it only looks shallow."""
    depths = sizes_of("canal_depth_least_mm", ("L4/L5", 8.5, 3.7), ("T11/T12", 8.2, 2.6), ("L3/L4", 9.2, 3.7))
    measured = (*sizes_of("sac_area_mm2", *SACS, ("L3/L4", 85.0, 44.0)), *depths)
    levels = ("T11/T12", "L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1")
    result = StudyResult("a", "ok", 0.0, predictions=graded_at(levels), measurements=measured)
    text = narrative(result, MODEL)
    half = "(dural sac 85 ± 44 mm², less than half of the other levels')"
    assert text.impression == (f"L3/L4: very narrow spinal canal as measured {half}.",)
    told = {level: " ".join(sentences) for level, sentences in text.findings}
    assert "the dural sac, which counts more, was not measured to be narrow" in told["L4/L5"]
    assert "median of the other levels 172 mm²) as measured: very narrow, less than half" in told["L3/L4"]
    assert "narrow" not in told["T11/T12"]


@pytest.mark.parametrize(("area", "tier"), [(95.0, "narrow"), (70.0, "very narrow")])
def test_no_depth_is_of_another_tier_than_the_sac_beside_it(area: float, tier: str) -> None:
    sizes = (*sizes_of("sac_area_mm2", ("L4/L5", area, 30.0)), *sizes_of("canal_depth_least_mm", ("L4/L5", 6.3, 4.7)))
    result = StudyResult("a", "ok", 0.0, predictions=graded_at(("L4/L5",)), measurements=sizes)
    page, text = render(result, model=MODEL), narrative(result, MODEL)
    assert text.impression[0].startswith(f"L4/L5: {tier} spinal canal as measured (dural sac {area:.0f} ± 30 mm², 6.3")
    assert page.count(f'<span class="percent remark">{tier}</span>') == page.count('"percent remark"') == 2
    assert text.findings[0][1][-1].endswith(f": {tier}, below {7 if tier[0] == 'v' else 9} mm.")


def test_a_sac_of_half_of_the_others_is_narrow_however_large() -> None:
    for area, is_told in ((117.0, True), (119.0, False)):
        measured = sizes_of("sac_area_mm2", ("L4/L5", area, 30.0), ("L3/L4", 234.0, 30.0), ("L2/L3", 235.0, 30.0))
        assert [(one.level, one.is_very) for one in narrow_canals(measured, {})] == [("L4/L5", False)] * is_told
    assert not narrow_canals(measured[:1] + sizes_of("sac_area_mm2", ("L3/L4", 300.0, 30.0)), {})  # one is no median


def test_narrow_canals_are_told_by_how_far_they_are_beyond_their_error() -> None:
    measured = sizes_of("sac_area_mm2", ("L1/L2", 62.0, 55.0), ("L2/L3", 70.0, 30.0), ("L3/L4", 160.0, 30.0))
    result = StudyResult("a", "ok", 0.0, predictions=graded_at(("L1/L2", "L2/L3", "L3/L4")), measurements=measured)
    assert ranking_of(result).levels == ["L2/L3", "L1/L2"]


@pytest.mark.parametrize("language", list(Language))
def test_a_lumbar_canal_that_could_not_be_measured_is_said_and_leads_where_something_speaks_for_a_narrow_one(
    language: Language,
) -> None:
    words = phrases(language)
    slip = Prediction("L4/L5", "spondylolisthesis", 1, (0.2, 0.8), False)
    tried = Prediction("L4/L5", "canal_stenosis", 1, (0.3, 0.5, 0.2), False, "synthetic")
    calm = Prediction("L4/L5", "canal_stenosis", 0, (0.8, 0.1, 0.1), False, "synthetic")
    for other, depth, leads in ((slip, 13.0, True), (tried, 13.0, True), (calm, 13.0, False), (calm, 6.0, True)):
        depths = sizes_of("canal_depth_least_mm", ("L3/L4", depth, 2.1), ("L1/L2", 13.0, 2.1), ("L4/L5", 3.3, 6.5))
        measured = (*depths, *sizes_of("canal_depth_mm", ("L4/L5", 7.2, 4.2)))  # a median says nothing of the least
        predictions = graded_at(("L1/L2", "L3/L4", "L4/L5"), other)
        result = StudyResult("a", "ok", 0.0, predictions=predictions, measurements=measured)
        text, row = (
            narrative(result, MODEL, language),
            entry_of(study_entry(result), "a.html", words=page_words(language)),
        )
        told = dict(text.findings)
        assert words.isolated(sentence(words("canal_unmeasured"))) in told["L4/L5"]
        assert words.isolated(sentence(words("canal_unmeasured"))) not in told["L3/L4"]
        brief = words("canal_unmeasured_brief")
        assert (words.isolated(brief) in " ".join(text.impression)) is leads
        assert (brief in " ".join(row.found)) is leads
        first = render(result, model=MODEL, options=ReportOptions(language=language)).split('<section class="lead">')[1]
        assert (brief in html.unescape(first.split("</section>")[0])) is leads
        plain = words.of("patient", "canal_unmeasured")[1:]
        assert (plain in html.unescape(patient_page(result, language))) is leads


def test_where_no_canal_was_measured_none_is_said_to_be_unmeasured() -> None:
    """As where only the locator or a T1 series measured."""
    coarse = (Measurement("L4/L5", "canal_depth_mm", 9.0, "mm"),)
    for measured, views in (
        (coarse, {}),
        (sizes_of("canal_depth_least_mm", ("L4/L5", 9.0, 2.0)), {"t2": View.SAGITTAL_T1}),
    ):
        assert not unmeasured_canals(measured, views, graded_at(("L3/L4", "L4/L5")))


def test_a_slip_that_was_measured_and_left_out_takes_back_that_there_is_none() -> None:
    """In text and table, at its level alone."""
    slip = Measurement("L3/L4", "slip_mm", -4.5, "mm", 2.0, 0, "t2")
    usual = replace(slip, level="L4/L5", value=0.2)
    absent = tuple(Prediction(one, "spondylolisthesis", 0, (0.98, 0.02), True) for one in ("L3/L4", "L4/L5"))
    note = _note(slip, "it is far beyond what is usual at L3/L4")
    result = StudyResult("a", "ok", 0.0, flags=(note,), predictions=absent, measurements=(usual,))
    assert withheld_slips(result.flags) == {"L3/L4"}
    told = {level: " ".join(sentences) for level, sentences in narrative(result, MODEL).findings}
    assert "o spondylolisthesis" not in told["L3/L4"] and "A slip was measured, not believed" in told["L3/L4"]
    assert "o spondylolisthesis" in told["L4/L5"] and "slip was" not in told["L4/L5"]
    rows = {level: cells[0] for level, cells, _ in grade_table(absent, ("L3/L4", "L4/L5"), doubted={"L3/L4"}).rows}
    assert [(one.words, one.kind) for one in rows.values() if isinstance(one, Cell)] == [
        ("in doubt", "open"),
        ("absent", "stands"),
    ]


def test_the_median_depth_never_stands_in_the_column_of_the_least() -> None:
    measured = (
        *sizes_of("canal_depth_mm", ("L3/L4", 3.5, 3.0), ("L4/L5", 10.9, 2.2)),
        *sizes_of("canal_depth_least_mm", ("L4/L5", 10.8, 2.4)),
    )
    table = grade_table((), ("L3/L4", "L4/L5"), measured)
    assert table.names == ("canal_depth_least_mm",)
    assert [(one.text, one.error) for _, _, sizes in table.rows for one in sizes] == [("–", ""), ("10.8", "± 2.4")]


@pytest.mark.parametrize(("evidence", "is_told"), [("synthetic", True), ("reader", False), ("approved", False)])
def test_beside_a_readers_grade_of_the_canal_no_size_is_told_in_its_place(evidence: str, is_told: bool) -> None:
    size = Measurement("L4/L5", "canal_depth_least_mm", 6.0, "mm", 2.1, None, "t2")
    read = Prediction("L4/L5", "canal_stenosis", 1, (0.0, 1.0, 0.0), evidence != "synthetic", evidence)
    result = StudyResult("a", "ok", 0.0, predictions=(read,), measurements=(size,))
    said = (narrative(result, MODEL).text(), " ".join(entry_of(study_entry(result), "a.html").found))
    assert ["narrow spinal canal as measured" in one for one in said] == [is_told] * 2
    assert ("no grades of stenosis" in said[0]) is is_told


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
        assert (
            "forward slip of 7.8 mm (± 1.5) measured; the grade of the pictures is absent" in text.impression[0]
        ) is is_told
    coarse = (replace(slip[0], error_95=None, percentile=None, series=""),)
    graded = (Prediction("L4/L5", "spondylolisthesis", 0, (0.5, 0.5), False),)
    text = narrative(StudyResult("a", "ok", 0.0, predictions=graded, measurements=coarse), MODEL)
    assert "slip" not in text.impression[0]  # the locator's slips do not lead
    backward = (replace(slip[0], value=-4.2, error_95=2.7),)
    text = narrative(StudyResult("a", "ok", 0.0, predictions=graded, measurements=backward), MODEL)
    assert "backward slip of 4.2 mm as measured" in text.findings[0][1][-1].lower()
    assert "slip" not in text.impression[0]


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
        assert (table.rows[0][2][0].text, table.rows[0][2][0].error) == ("151", f"± {error:.0f}")
        assert ("below 75 mm² is not excluded" in text) is is_open
