"""A study's page: nothing hidden, nothing made up, nothing from outside, nothing identifying."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spinenet.labels import RESEARCH_ONLY, TARGET, TARGETS, View
from spinenet.locating.discs import NUMBERING
from spinenet.locating.measuring.quantities import level_measurements
from spinenet.report.certainty import EXPLAINED, Certainty, with_percent
from spinenet.report.dicom.objects import made_from
from spinenet.report.dicom.sr_text import read_report
from spinenet.report.dicom.structured_report import write_report
from spinenet.report.document import study_entry
from spinenet.report.findings import experimental_of, findings_of
from spinenet.report.options import ReportOptions
from spinenet.report.page.grade_table import cell_of
from spinenet.report.page.html import in_words, print_width_mm, render, report_name, write_study_report
from spinenet.report.page.strips import caption_of
from spinenet.report.ranking import ranking
from spinenet.report.tables import prediction_rows
from spinenet.report.text.narrative import narrative
from spinenet.study import (
    LevelCrop,
    LevelFrame,
    LocatedSeries,
    Note,
    Prediction,
    Scope,
    Series,
    Severity,
    StudyResult,
)

MODEL = {"name": "test model", "version": "2.1", "data": "made-up patients", "targets": ("pfirrmann", "herniation")}
PREDICTIONS = (
    Prediction("L5/S1", "pfirrmann", 5, (0.0, 0.0, 0.0, 0.1, 0.9), True),
    Prediction("L5/S1", "herniation", 1, (0.4, 0.6), False),
    Prediction("L4/L5", "pfirrmann", 2, (0.1, 0.8, 0.1, 0.0, 0.0), True),
    Prediction("L4/L5", "herniation", 0, (0.97, 0.03), True),
)


def frame(level: str, height_mm: float) -> LevelFrame:
    return LevelFrame(level, np.array([0.0, 0, height_mm]), np.array([0.0, 1, 0]), np.array([0.0, 0, 1]), 30.0, 8.0)


@pytest.fixture
def result() -> StudyResult:
    generator = np.random.default_rng(0)
    affine = np.array([[4.0, 0, 0, -8], [0, 0, 1, -50], [0, -1, 0, 60], [0, 0, 0, 1]])
    voxels_SRC = generator.random((5, 120, 100), np.float32)
    series = Series("t2", voxels_SRC, affine, "sagittal", View.SAGITTAL_T2)
    frames = (frame("L5/S1", -40), frame("L4/L5", -5), frame("L3/L4", 30))
    cut = Note("level_missed", Scope.SERIES, "t2", "the top is cut off")
    located = LocatedSeries(series, frames, 2, np.zeros(5, np.float32), (cut,))
    crops = {
        level: tuple(
            LevelCrop("t2", View.SAGITTAL_T2, 2 + step, 4.0 * step, generator.random((8, 10), np.float32))
            for step in (0, 1, -1)
        )
        for level in ("L5/S1", "L4/L5")
    }
    notes = (Note("skipped", Scope.STUDY, "", "axial series not used"), NUMBERING)
    return StudyResult(
        "study-1",
        "ok",
        0.4,
        notes,
        located=(located,),
        predictions=PREDICTIONS,
        crops=crops,
        measurements=level_measurements((located,), ()),
    )


def text_of(html: str) -> str:
    """What one who reads it sees: no style, no markup, single spaces, and without the report text."""
    body = re.sub(r"<(style|script|pre)\b.*?</\1>", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_the_page_says_research_only_twice_and_names_its_model(result: StudyResult) -> None:
    text = text_of(render(result, model=MODEL))
    assert text.count(RESEARCH_ONLY) == 2
    assert "test model 2.1" in text
    assert "made-up patients" in text


def test_levels_are_listed_from_the_head_down_as_in_the_picture(result: StudyResult) -> None:
    rows = re.findall(r'<th scope="row">([^<]+)</th>', render(result, model=MODEL))
    assert rows == ["L3/L4", "L4/L5", "L5/S1"]


def test_a_level_found_but_not_graded_is_shown_as_such(result: StudyResult) -> None:
    text = text_of(render(result, model=MODEL))
    assert "L3/L4 found, not graded ≈ 8.0 L4/L5" in text
    assert "L3/L4 No grade here that the model stands by" in text


def test_what_the_model_does_not_stand_by_is_said_in_words_and_never_bare_uncertain(result: StudyResult) -> None:
    text = text_of(render(result, model=MODEL))
    assert "likely 60 %" in text
    assert "absent 97 %" in text
    assert EXPLAINED in text and "uncertain" not in text


def test_the_first_line_says_the_worst_finding_and_how_likely_it_is(result: StudyResult) -> None:
    canal = (0.1, 0.5, 0.4)
    worst = Prediction("L4/L5", "canal_stenosis", 1, canal, False, "real", (1, 2))
    unlikely = Prediction("L4/L5", "spondylolisthesis", 0, (0.7, 0.3), False, "real", (0, 1))
    synthetic = Prediction("L5/S1", "canal_stenosis", 2, (0.0, 0.0, 1.0), False, "synthetic")
    text = text_of(render(replace(result, predictions=(*PREDICTIONS, unlikely, worst)), model=MODEL))
    assert "L4/L5 spinal canal stenosis: likely moderate or severe (90 %) Then: L5/S1 disc herniation: likely" in text
    assert "Cannot exclude: L4/L5 spondylolisthesis (30 %)." in text
    text = text_of(render(replace(result, predictions=(*PREDICTIONS, synthetic)), model=MODEL))
    assert "L5/S1 disc herniation: likely (60 %) Then: L5/S1 Pfirrmann degeneration: V (90 %)." in text


def test_the_series_that_are_missing_stand_at_the_top_with_what_is_therefore_not_graded(result: StudyResult) -> None:
    model = {**MODEL, "views": ["sagittal_t1", "sagittal_t2", "axial_t2"], "targets": ("pfirrmann", "modic")}
    text = text_of(render(result, model=model))
    assert "Not available: sagittal T1, axial T2. Not graded: Modic changes. Series read: sagittal T2." in text


def test_every_level_is_marked_and_every_crop_shown(result: StudyResult) -> None:
    html = render(result, model=MODEL)
    assert re.findall(r"<text[^>]*>([^<]+)</text>", html) == ["L5/S1", "L4/L5", "L3/L4"]
    assert html.count('<img src="data:image/png') == 6


def test_crops_run_from_the_patients_right_to_the_left(result: StudyResult) -> None:
    captions = re.findall(r"<figcaption>([^<]+)</figcaption>", render(result, model=MODEL))
    assert captions[-3:] == ["4 mm right", "midline", "4 mm left"]


def test_a_side_that_is_not_known_is_not_named(result: StudyResult) -> None:
    crop = result.crops["L5/S1"][1]
    assert caption_of(crop, side_known=False) == "4 mm, side unknown"
    one_sided = replace(result.located[0], series=replace(result.located[0].series, laterality_known=False))
    html = render(replace(result, located=(one_sided,)), model=MODEL)
    assert "4 mm left" not in html
    assert "4 mm, side unknown" in html


def test_what_was_not_looked_for_is_said(result: StudyResult) -> None:
    text = text_of(render(result, model=MODEL))
    for words in ("Not looked for is never absent", "spinal canal stenosis", "disc bulging", "fracture", "infection"):
        assert words in text
    everything = text_of(render(result, model={**MODEL, "targets": [target.name for target in TARGETS]}))
    assert "does not grade fracture" in everything


def test_what_no_patient_has_verified_is_shown_apart_and_is_no_finding(result: StudyResult) -> None:
    severe = Prediction("L5/S1", "canal_stenosis", 2, (0.0, 0.05, 0.95), False, "synthetic")
    html = render(replace(result, predictions=(*PREDICTIONS, severe)), model=MODEL)
    before, apart = html.split('<section class="grades experimental">')
    assert "Spinal canal stenosis" not in before and "severe" not in text_of(before)
    assert "severe" not in re.sub(r".*<pre|</pre>.*", "", html, flags=re.DOTALL)
    apart = text_of(apart.split("</section>")[0])
    assert "Experimental: learnt from synthetic studies, not verified on patients" in apart and "severe? 95 %" in apart
    assert 'class="grades experimental"' not in render(result, model=MODEL)


def test_the_numbering_is_never_shown_as_verified(result: StudyResult) -> None:
    text = text_of(render(result, model=MODEL))
    assert text.count(NUMBERING.text) == text.count("the top is cut off") == 1
    assert NUMBERING.text in text_of(render(replace(result, notes=()), model=MODEL))
    assert "axial series not used" in text


def test_a_failed_study_gets_its_reason_and_no_grade(result: StudyResult) -> None:
    refused = Note("few_discs", Scope.SERIES, "t2", "only two discs in view", Severity.REFUSE)
    html = render(replace(result, status="failed", flags=(refused,)), model=MODEL)
    assert "only two discs in view" in html
    assert RESEARCH_ONLY in html
    for shown in ("<table", "<svg", "<img", "grade V", "absent 97"):
        assert shown not in html


def test_the_page_needs_nothing_from_outside(result: StudyResult) -> None:
    html = render(result, model=MODEL)
    links = re.findall(r'(?:src|href)="([^"]{0,5})', html)
    assert links
    assert set(links) == {"data:", "#view"}
    assert not re.search(r"https?://|<script[^>]* src|@import|url\(|fetch\(", html)


@pytest.mark.parametrize("place", ["key", "note", "model", "series"])
def test_markup_in_names_is_shown_not_run(result: StudyResult, place: str) -> None:
    bad, model = "<script>alert(1)</script>", MODEL
    if place == "model":
        model = {**MODEL, "data": bad}
    elif place == "series":
        located = result.located[0]
        result = replace(result, located=(replace(located, series=replace(located.series, name=bad)),))
    elif place == "note":
        result = replace(result, notes=(Note("skipped", Scope.STUDY, "", bad),))
    else:
        result = replace(result, key=bad)
    html = render(result, model=model)
    assert (
        html.count("<script") == 4 and "<script>alert" not in html
    )  # words, data of the form and of the viewer, their script
    assert "&lt;script&gt;" in html


def test_a_bar_shows_the_whole_scale_and_marks_the_grade() -> None:
    cell = cell_of(PREDICTIONS[0])
    assert [words for words, _, _ in cell.bar] == list(TARGET["pfirrmann"].words)
    assert [decided for _, _, decided in cell.bar] == [False] * 4 + [True]
    assert (cell.percent, cell.weight) == (90, 2)


def test_only_confident_findings_are_put_in_the_heading() -> None:
    assert findings_of(PREDICTIONS) == "Pfirrmann grade V"


def test_a_likely_finding_is_said_with_its_chance_and_not_left_among_what_is_open() -> None:
    slip = Prediction("L5/S1", "spondylolisthesis", 1, (0.05, 0.95), False)
    modic = Prediction("L5/S1", "modic", 0, (0.45, 0.1, 0.4, 0.05), False)
    doubtful = Prediction("L5/S1", "herniation", 0, (0.8, 0.2), False)
    synthetic = Prediction("L5/S1", "canal_stenosis", 2, (0.1, 0.1, 0.8), False, "synthetic")
    level = [modic, doubtful, slip, synthetic]
    assert with_percent(level, Certainty.LIKELY) == "spondylolisthesis 95 %, Modic change type 2 40 %"
    assert with_percent(level, Certainty.OPEN) == "disc herniation 20 %"
    assert experimental_of(level) == "Spinal canal stenosis: severe?" and ranking([synthetic]).urgency == 0
    assert with_percent([replace(slip, confident=True)], Certainty.LIKELY) == ""
    dark = Prediction("L4/L5", "pfirrmann", 3, (0.05, 0.1, 0.4, 0.3, 0.15), False)
    assert with_percent([dark], Certainty.LIKELY) == "Pfirrmann degeneration III 40 %"


def test_a_level_that_was_not_graded_says_so_and_one_with_a_likely_finding_does_not(result: StudyResult) -> None:
    slip = Prediction("L4/L5", "spondylolisthesis", 1, (0.05, 0.95), False)
    text = text_of(render(replace(result, predictions=(slip,)), model=MODEL))
    assert "L4/L5 Likely spondylolisthesis of L4 on L5 (95 %)." in text
    assert text.count("found, not graded") == len(result.levels) - 1


def test_a_report_is_one_file_named_after_the_key(result: StudyResult, tmp_path: Path) -> None:
    path = write_study_report(result, tmp_path / "reports", model=MODEL)
    assert path == tmp_path / "reports" / "study-1.html"
    assert [found.name for found in path.parent.iterdir()] == ["study-1.html"]


def test_keys_cannot_leave_the_folder_or_collide() -> None:
    names = [report_name(key) for key in ("../../etc/passwd", "a/b", "a_b", "a b", ".hidden")]
    assert len(set(names)) == 5
    assert all("/" not in name and not name.startswith(".") for name in names)


def test_nothing_said_about_the_data_is_left_out() -> None:
    assert in_words({"source": "SPIDER", "patients": 179}) == "SPIDER, 179"
    assert in_words(None) == ""


def test_flags_stand_where_they_belong(result: StudyResult) -> None:
    flags = (
        Note("a", Scope.STUDY, "", "metal in view", Severity.FLAG),
        Note("b", Scope.SERIES, "t1", "blurred by motion", Severity.REFUSE),
        Note("c", Scope.LEVEL, "L4/L5", "partly out of view", Severity.FLAG),
    )
    text = text_of(render(replace(result, flags=flags), model=MODEL))
    assert "Caution metal in view" in text
    assert "Refused t1: blurred by motion" in text
    assert re.search(r"L4/L5 (No|Cannot)[^:]*\. partly out of view", text)


def test_why_a_study_is_partial_stands_at_the_top_and_once(result: StudyResult) -> None:
    lost = Note("slices_left_out", Scope.SERIES, "t2", "1 of 13 slices left out: cut short")
    html = render(replace(result, status="partial", notes=(*result.notes, lost)), model=MODEL)
    assert html.count(str(lost)) == 1 and html.index(str(lost)) < html.index('<section class="grades">')


def test_what_stands_elsewhere_on_the_page_is_not_said_again(result: StudyResult) -> None:
    flags = (
        Note("a", Scope.STUDY, "", "a disc too many; all names may be one off", Severity.FLAG),
        Note("b", Scope.SERIES, "t2", "blurred by motion", Severity.FLAG),
    )
    text = text_of(render(replace(result, flags=flags), model=MODEL))
    for said in (flags[0].text, "blurred by motion", "the top is cut off", "axial series not used"):
        assert text.count(said) == 1


def test_a_prediction_set_is_shown_where_it_holds_more_than_the_grade(result: StudyResult) -> None:
    sets = {("L5/S1", "pfirrmann"): (4, 5), ("L5/S1", "herniation"): (0, 1), ("L4/L5", "pfirrmann"): (2,)}
    predictions = tuple(replace(one, grade_set=sets.get((one.level, one.target), ())) for one in result.predictions)
    html = render(replace(result, predictions=predictions), model=MODEL)
    assert "grade V 90 %; set: IV, V" in html
    assert "present 60 %; set: absent, present" in html


def test_the_slices_that_decided_are_shown_with_their_attention(graded: StudyResult, model: dict[str, object]) -> None:
    real = tuple(replace(one, evidence="real") for one in graded.predictions)
    html = render(replace(graded, predictions=real), model=model)
    strip = text_of(html).split("Each level")[-1].split("L2/L3 ")[1]
    assert re.search(r"sagittal T2 \(t2\), 3 of 5 slices (\d mm|midline).* counted most", strip)
    assert not re.search(r"<figcaption>[^/]*%", html)
    shown = [one for one in re.split("<article[^>]*>", html)[1:] if 'class="crops"' in one]
    assert len(shown) == len(graded.crops)
    for section in shown:
        lengths = [float(one) for one in re.findall(r'class="attention"[^>]*><i style="width:([\d.]+)%', section)]
        assert len(lengths) == 3 + 2 and max(lengths) == 100.0
        assert ", 3 of 5 slices</h4>" in section and ", 2 of 5 slices</h4>" in section


def test_a_page_states_places_as_closely_as_a_picture_shows_them(graded: StudyResult, model: dict[str, object]) -> None:
    markup = re.sub(r"data:image/png;base64,[^\"]*", "", render(graded, model=model))
    assert "<line x1=" in markup and re.findall(r'="[^"]*\d\.\d{3,}[^"]*"', markup) == []


def test_the_slices_looked_at_most_are_the_ones_shown(graded: StudyResult, model: dict[str, object]) -> None:
    mostly = [0.0, 0.3, 0.01, 0.0, 0.2, 0.0, 0.09, 0.0, 0.4, 0.0]
    crops = tuple(
        replace(crop, attention_T=(share,) * len(TARGETS))
        for crop, share in zip(graded.crops["L4/L5"], mostly, strict=True)
    )
    html = render(replace(graded, crops={"L4/L5": crops}), model=model)
    captions = re.findall(r'<figcaption>([^<]+)<span class="most">counted ([^<]+)</span>', html)
    assert captions == [
        *(("4 mm right", "2nd"), ("midline", "5th"), ("8 mm left", "3rd")),
        *(("4 mm right", "4th"), ("4 mm left", "most")),
    ]


def test_without_attention_the_page_does_not_claim_to_know_what_decided(result: StudyResult) -> None:
    text = text_of(render(result, model=MODEL))
    assert "does not say which slice decided" in text
    assert "Those that decided most" not in text


def test_axial_slices_lie_above_or_below_the_disc() -> None:
    axial = LevelCrop("axial", View.AXIAL_T2, 3, -4.2, np.zeros((4, 4), np.float32))
    assert caption_of(axial, side_known=True) == "4 mm below"
    assert caption_of(replace(axial, offset_mm=0.3), side_known=True) == "mid-disc"


def test_the_patient_is_named_only_where_asked_for(graded: StudyResult, model: dict[str, object]) -> None:
    assert not any(word in text_of(render(graded, model=model)) for word in ("Doe", "4711", "1.2.3"))
    elements = (("StudyDate", "20260102"), ("AccessionNumber", "A7"), ("PatientBirthDate", "19600503"))
    dated = replace(graded, origin=replace(graded.origin, elements=elements))
    head = text_of(render(dated, model=model, options=ReportOptions(identify=True)))
    assert "Patient Doe, Jane , born 1960-05-03 , id ID4711 , examined 2026-01-02 , accession A7 Research" in head
    assert not any(word in text_of(render(dated, model=model)) for word in ("2026-01-02", "1960", "A7"))


def test_the_page_says_why_there_is_no_dicom_report(result: StudyResult, graded: StudyResult) -> None:
    assert "No DICOM report" in render(result, model=MODEL)
    assert "No DICOM report" not in render(graded, model=MODEL)
    nowhere = replace(graded, origin=replace(graded.origin, study_uid="/a/folder"))
    assert "No DICOM report: study, series or images lack a valid UID" in render(nowhere, model=MODEL)


def test_slices_are_printed_smaller_where_there_are_many_levels() -> None:
    widths = [print_width_mm(levels, 6) for levels in range(1, 11)]
    assert widths[0] == widths[4] == 24.0 and widths[9] == 15.0
    assert widths == sorted(widths, reverse=True)


def test_a_finding_is_said_alike_in_table_page_text_picture_and_structured_report(
    graded: StudyResult, model: dict[str, object], tmp_path: Path
) -> None:
    """A herniation that a cut found, though it is less probable than none."""
    rare = Prediction("L4/L5", "herniation", 1, (0.6, 0.4), False, grade_set=(0, 1))
    result = replace(graded, predictions=(rare,))
    (row,), (grade,) = prediction_rows(result), study_entry(result)["levels"][1]["grades"]
    assert row["label"] == grade["label"] == "possible"
    html = render(result, model=model)
    page = text_of(html)
    assert "L4/L5 disc herniation: possible (40 %)" in page and "possible 40 %" in page
    assert '"L4/L5":{"herniation":"possible"}' in html
    assert "possible disc herniation" in narrative(result, model).impression[0]
    made = made_from(result, model, identify=False)
    assert made is not None
    write_report(made, tmp_path / "report.dcm")
    (told,) = read_report(tmp_path / "report.dcm").grades
    assert (told.certainty, told.grades, told.probability) == (Certainty.LIKELY, (1,), 0.4)
    assert with_percent([rare], Certainty.LIKELY) == "disc herniation 40 %" and findings_of([rare]) == ""
