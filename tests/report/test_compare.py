"""Two studies of a patient: only what exceeds the model's own noise is called a change."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from spinenet.cli import app
from spinenet.errors import OutputError
from spinenet.labels import LEVELS, RESEARCH_ONLY, TARGETS
from spinenet.report.corrections import CORRECTED, by_reader
from spinenet.report.document import document, study_entry, write_document
from spinenet.report.identification import Identification, write_identification
from spinenet.report.options import Language
from spinenet.report.page.change import Change, compare, page, table
from spinenet.report.page.change_sentences import level_sentences
from spinenet.report.page.html import write_study_report
from spinenet.report.text.language import phrases
from spinenet.serve.change_lines import print_changes
from spinenet.study import LocatedSeries, Measurement, Note, Prediction, Scope, Severity, StudyResult

NOISE = {"pfirrmann": 0.5, "canal_stenosis": 0.4, "modic": 0.3}
MODEL = {"name": "m", "version": "1", "digest": "0" * 64, "targets": [one.name for one in TARGETS], "noise": NOISE}


def pfirrmann(*shares: float, level: str = "L4/L5", confident: bool = True) -> Prediction:
    return Prediction(level, "pfirrmann", 1 + shares.index(max(shares)), shares, confident)


def write(path: Path, *results: StudyResult, model: dict[str, Any] = MODEL) -> Path:
    write_document(path, document(model, map(study_entry, results)))
    return path


def study(key: str, *predictions: Prediction) -> StudyResult:
    return StudyResult(key, "ok", 0.1, predictions=predictions)


def changed(tmp_path: Path, before: Prediction, after: Prediction, **options: Any) -> Change:
    files = [write(tmp_path / f"{key}.json", study(key, one), **options) for key, one in (("a", before), ("b", after))]
    (change,) = compare(*files).changes
    return change


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((0.1, 0.8, 0.1, 0, 0), (0, 0, 0.1, 0.8, 0.1), "changed"),
        ((0, 0.52, 0.48, 0, 0), (0, 0.48, 0.52, 0, 0), "within noise"),
        ((0, 0.9, 0.1, 0, 0), (0, 0.4, 0, 0.3, 0.3), "same grade, probability moved"),
        ((0, 0.9, 0.1, 0, 0), (0, 0.8, 0.2, 0, 0), "same"),
    ],
)
def test_a_change_has_to_exceed_the_noise(
    tmp_path: Path, before: tuple[float, ...], after: tuple[float, ...], verdict: str
) -> None:
    assert changed(tmp_path, pfirrmann(*before), pfirrmann(*after)).verdict == verdict


def test_a_change_has_to_exceed_what_another_scan_does_too(tmp_path: Path) -> None:
    before, after = pfirrmann(0.1, 0.8, 0.1, 0, 0), pfirrmann(0, 0, 0.1, 0.8, 0.1)
    for more, verdict in ((2.1, "within noise"), (0.1, "changed")):
        model = {**MODEL, "rescan_noise": {"pfirrmann": more}}
        change = changed(tmp_path, before, after, model=model)
        assert (change.verdict, change.noise) == (verdict, max(more, NOISE["pfirrmann"]))


def lain_higher(located: LocatedSeries, mm: float) -> LocatedSeries:
    """The same images and levels, farther towards the head."""
    affine_vox2mm = located.series.affine_vox2mm.copy()
    affine_vox2mm[2, 3] += mm
    frames = tuple(replace(one, center_mm=one.center_mm + np.array([0, 0, mm])) for one in located.frames)
    return replace(located, series=replace(located.series, affine_vox2mm=affine_vox2mm), frames=frames)


def test_both_dates_stand_side_by_side_and_go_to_a_level_together(
    watched: Any, complete: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    files = []
    for key in ("earlier", "later"):
        result = replace(complete, key=key)
        if key == "later":  # the patient lay 40 mm higher
            result = replace(result, located=tuple(lain_higher(one, 40.0) for one in result.located))
        write_study_report(result, tmp_path, model=model)
        files.append(write(tmp_path / f"{key}.json", result))
    path = tmp_path / "changes.html"
    path.write_text(page(compare(*files)), encoding="utf-8")
    opened = watched.open(path)
    opened.wait_for_selector("#viewer-2[data-ready]")
    boxes = [opened.locator(f"#viewer-{number}").bounding_box() for number in (1, 2)]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    opened.click('#viewer-1 [data-go="L3/L4"]')
    assert opened.get_attribute("#viewer-2", "data-level") == "L3/L4"
    opened.click('#viewer-2 [data-go="L4/L5"]')
    assert opened.get_attribute("#viewer-1", "data-level") == "L4/L5"
    opened.locator("#viewer-2 canvas").first.focus()
    opened.keyboard.press("ArrowLeft")
    assert {opened.get_attribute(f"#viewer-{number}", "data-level") for number in (1, 2)} == {"L3/L4"}
    opened.locator("#viewer-1 canvas").first.click(position={"x": 60, "y": 60})
    levels = {opened.get_attribute("#viewer-2", "data-level")}
    assert levels <= {level.name for level in complete.levels}
    opened.set_viewport_size({"width": 390, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") == 390
    assert watched.complaints == [] and all(url.startswith(("file:", "data:")) for url in watched.requests)


def test_a_difference_is_later_minus_earlier_in_grades(tmp_path: Path) -> None:
    change = changed(tmp_path, pfirrmann(0, 1, 0, 0, 0), pfirrmann(0, 0, 0, 0.5, 0.5))
    assert change.difference == pytest.approx(2.5)
    assert (change.prior, change.current, change.noise) == ("grade II", "grade IV", 0.5)


def test_modic_types_have_no_order_so_only_what_moved_counts(tmp_path: Path) -> None:
    before = Prediction("L4/L5", "modic", 1, (0.1, 0.8, 0.1, 0.0), True)
    after = Prediction("L4/L5", "modic", 0, (0.8, 0.1, 0.1, 0.0), True)
    assert changed(tmp_path, before, after).difference == pytest.approx(0.7)
    assert changed(tmp_path, after, before).difference == pytest.approx(0.7)


def test_without_measured_noise_no_change_is_called_real(tmp_path: Path) -> None:
    model = {**MODEL, "noise": {}}
    change = changed(tmp_path, pfirrmann(1, 0, 0, 0, 0), pfirrmann(0, 0, 0, 0, 1), model=model)
    assert (change.verdict, change.noise) == ("noise not known", None)


def test_a_level_in_one_study_only_is_said_not_guessed(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "a.json", study("a", pfirrmann(1, 0, 0, 0, 0))),
        write(tmp_path / "b.json", study("b", pfirrmann(1, 0, 0, 0, 0, level="L3/L4"))),
    ]
    changes = compare(*files).changes
    assert [(one.level, one.prior, one.current, one.verdict) for one in changes] == [
        ("L4/L5", "grade I", "", "in one study only"),
        ("L3/L4", "", "grade I", "in one study only"),
    ]


def test_an_uncertain_grade_makes_the_change_uncertain(tmp_path: Path) -> None:
    unsure = pfirrmann(0, 0, 0, 0, 1, confident=False)
    assert not changed(tmp_path, pfirrmann(1, 0, 0, 0, 0), unsure).confident


def test_a_change_that_no_patient_has_verified_comes_after_all_others_and_is_not_pointed_out(tmp_path: Path) -> None:
    files = [
        write(
            tmp_path / f"{key}.json",
            study(
                key,
                Prediction("L4/L5", "canal_stenosis", grade, shares, False, "synthetic"),
                pfirrmann(0, 0.52, 0.48, 0, 0),
            ),
        )
        for key, grade, shares in (("a", 0, (1.0, 0.0, 0.0)), ("b", 2, (0.0, 0.0, 1.0)))
    ]
    comparison = compare(*files)
    assert [(one.target, one.experimental) for one in comparison.changes] == [
        ("pfirrmann", False),
        ("canal_stenosis", True),
    ]
    html = page(comparison)
    assert "experimental, not verified on patients" in html and 'class="changed"' not in html


def test_a_sure_grade_is_not_doubtful_because_the_other_study_lacks_it(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "a.json", study("a", pfirrmann(1, 0, 0, 0, 0))),
        write(tmp_path / "b.json", study("b", pfirrmann(1, 0, 0, 0, 0, level="L3/L4", confident=False))),
    ]
    assert [(one.level, one.confident) for one in compare(*files).changes] == [("L4/L5", True), ("L3/L4", False)]


def test_measurements_are_compared_in_mm(graded: StudyResult, tmp_path: Path) -> None:
    flatter = tuple(
        replace(one, value=one.value - 2) if one.name == "disc_height_mm" else one for one in graded.measurements
    )
    model = {**MODEL, "noise": {"disc_height_mm": 0.8}}
    files = [
        write(tmp_path / "a.json", graded, model=model),
        write(tmp_path / "b.json", replace(graded, measurements=flatter), model=model),
    ]
    heights = [one for one in compare(*files).changes if one.target == "disc_height_mm"]
    assert {(one.difference, one.verdict) for one in heights} == {(-2.0, "changed")}


def test_results_of_two_models_are_not_compared(tmp_path: Path) -> None:
    before = write(tmp_path / "a.json", study("a", pfirrmann(1, 0, 0, 0, 0)))
    after = write(tmp_path / "b.json", study("b", pfirrmann(1, 0, 0, 0, 0)), model={**MODEL, "digest": "1" * 64})
    with pytest.raises(OutputError, match="different models"):
        compare(before, after)


def test_a_study_that_was_not_graded_is_not_called_unchanged(tmp_path: Path) -> None:
    before = write(tmp_path / "a.json", study("a", pfirrmann(1, 0, 0, 0, 0)))
    refused = Note("few_discs", Scope.STUDY, "", "no spine", Severity.REFUSE)
    after = write(tmp_path / "b.json", StudyResult("b", "failed", 0.1, flags=(refused,)))
    with pytest.raises(OutputError, match=r"b: was not graded \(no spine\)"):
        compare(before, after)


def test_folders_of_many_studies_are_paired_by_key(tmp_path: Path) -> None:
    one, other = pfirrmann(1, 0, 0, 0, 0), pfirrmann(0, 0, 0, 0, 1)
    for name, studies in (("a", [study("x", one), study("y", one)]), ("b", [study("y", other), study("z", one)])):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "predictions.json", *studies)
    comparison = compare(tmp_path / "a", tmp_path / "b")
    assert [(change.prior_study, change.verdict) for change in comparison.changes] == [("y", "changed")]
    assert comparison.unpaired == ("x", "z")
    with pytest.raises(OutputError, match="no study in common"):
        compare(tmp_path / "a", write(tmp_path / "c.json", study("p", one), study("q", one)))


def test_the_command_writes_table_and_page_with_what_changed_on_top(tmp_path: Path) -> None:
    same, other = pfirrmann(0, 1, 0, 0, 0, level="L5/S1"), Prediction("L4/L5", "modic", 0, (1.0, 0, 0, 0), True)
    before = write(tmp_path / "a.json", study("a", same, other, pfirrmann(1, 0, 0, 0, 0)))
    after = write(tmp_path / "b.json", study("b", same, other, pfirrmann(0, 0, 0, 0, 1)))
    done = CliRunner().invoke(app, ["compare", str(before), str(after), "--out", str(tmp_path / "out")])
    assert (
        done.exit_code == 0
        and RESEARCH_ONLY in done.output
        and "Grades and measurements: changed 1, same 2." in done.output
    )
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "changes.csv").read_text())))
    assert [row["verdict"] for row in rows] == ["changed", "same", "same"]
    assert (rows[0]["difference"], rows[0]["confident"]) == ("4.0", "true")
    html = (tmp_path / "out" / "changes.html").read_text()
    assert html.count('<tr class="changed">') == 1 and html.count(RESEARCH_ONLY) == 2 and "<script" not in html


def test_table_and_page_agree_on_every_change(graded: StudyResult, model: dict[str, Any], tmp_path: Path) -> None:
    files = [write(tmp_path / f"{key}.json", replace(graded, key=key), model=model) for key in "ab"]
    comparison = compare(*files)
    rows = list(csv.DictReader(io.StringIO(table(comparison.changes))))
    assert len(rows) == len(comparison.changes) == len(graded.predictions) + 2 * 5
    assert f"{len(rows)} of {len(rows)} grades and measurements are the same" in page(comparison)


HERNIATED = Prediction("L4/L5", "herniation", 1, (0.1, 0.9), True)
WHOLE = Prediction("L4/L5", "herniation", 0, (0.95, 0.05), True)
JANE = Identification("Doe, Jane", "4711", "1960-05-03", "F", "2024-03-01")


def identified(folder: Path, key: str, person: Identification, *predictions: Prediction) -> Path:
    model = {**MODEL, "noise": {"herniation": 0.3, "pfirrmann": 0.5, "disc_height_mm": 0.8}}
    file = write(folder / f"{key}.json", study(key, *predictions), model=model)
    write_identification(folder / f"{key}.identity.json", person)
    return file


def test_two_persons_are_refused(tmp_path: Path) -> None:
    first = identified(tmp_path, "a", JANE, WHOLE)
    for changes in ({"patient_id": "1"}, {"birth_date": "1961-05-03"}, {"sex": "M"}):
        second = identified(tmp_path, "b", replace(JANE, **changes), HERNIATED)
        with pytest.raises(OutputError, match="of two persons"):
            compare(first, second)


def test_the_earlier_study_comes_first_whatever_the_order_given(tmp_path: Path) -> None:
    early = identified(tmp_path, "a", JANE, WHOLE, pfirrmann(0, 1, 0, 0, 0, level="L5/S1"))
    late = identified(
        tmp_path, "b", replace(JANE, date="2026-01-02"), HERNIATED, pfirrmann(0, 1, 0, 0, 0, level="L5/S1")
    )
    for files in ((early, late), (late, early)):
        (pair,) = compare(*files).pairs
        assert (pair.prior, pair.current, pair.caution) == ("a, 2024-03-01", "b, 2026-01-02", "")
        assert pair.sentences == (
            "L4/L5: new disc herniation; nothing else that was judged changed.",
            "L5/S1: nothing that was judged changed.",
        )


def test_a_grade_that_moved_is_said_from_where_to_where(tmp_path: Path) -> None:
    before = write(tmp_path / "a.json", study("a", pfirrmann(0, 1, 0, 0, 0)))
    after = write(tmp_path / "b.json", study("b", pfirrmann(0, 0, 0, 1, 0)))
    comparison = compare(before, after)
    (sentence,) = comparison.pairs[0].sentences
    assert sentence == "L4/L5: Pfirrmann degeneration from II to IV; nothing else that was judged changed."
    assert "nothing says that these two are of one person" in comparison.pairs[0].caution
    assert sentence in page(comparison)


def test_a_sentence_names_the_sizes_of_the_table_and_counts_the_others() -> None:
    pfirrmanns = [pfirrmann(0, 0.1, 0.5, 0.4, 0, confident=False), pfirrmann(0, 0.1, 0.45, 0.45, 0, confident=False)]
    changed = [
        (("L4/L5", "pfirrmann"), pfirrmanns[0], pfirrmanns[0]),
        (("L4/L5", "canal_depth_least_mm"), 14.0, 11.0),
        (("L4/L5", "disc_wedge_deg"), 2.0, 9.0),
        (("L4/L5", "disc_depth_mm"), 30.0, 36.0),
    ]
    (sentence, rest) = level_sentences(changed, ["L5/S1", "L4/L5"])
    sizes = "least canal depth from 14.0 to 11.0 mm; 2 other sizes, see the table"
    told = f"L4/L5: {sizes}; nothing else that was judged changed."
    assert (sentence, rest) == (told, "L5/S1: nothing that was judged changed.")
    assert level_sentences([], ["L5/S1", "L1/L2"], ["L1/L2"])[1] == "L1/L2: graded in one study only."


def test_a_change_that_a_reader_made_is_told_as_the_readers(tmp_path: Path) -> None:
    tried = Prediction("L4/L5", "canal_stenosis", 0, (0.6, 0.3, 0.1), False, "synthetic")
    hernia = Prediction("L4/L5", "herniation", 1, (0.45, 0.55), True)
    later = study("b", by_reader("L4/L5", "canal_stenosis", 2), by_reader("L4/L5", "herniation", 0))
    later = replace(later, notes=(Note(CORRECTED, Scope.STUDY, "", "changed by a reader: 2 grades"),))
    comparison = compare(write(tmp_path / "a.json", study("a", tried, hernia)), write(tmp_path / "b.json", later))
    assert {(one.verdict, one.experimental) for one in comparison.changes} == {("changed", False)}
    (pair,) = comparison.pairs
    assert pair.sentences == (
        "L4/L5: spinal canal stenosis from normal or mild? (experimental) to severe (by the reader); "
        "no disc herniation any more (by the reader); nothing else that was judged changed.",
    )
    assert "the later study was corrected or approved by a reader" in pair.caution
    assert "the later study was corrected" in page(comparison)


@pytest.mark.parametrize("other", ["9", ""])
def test_results_that_name_patients_are_paired_by_person_and_date(other: str, tmp_path: Path) -> None:
    """Whether or not one of them has no patient id."""
    people = {"a": JANE, "b": replace(JANE, date="2025-01-01"), "c": replace(JANE, patient_id=other, date="2025-06-01")}
    reports = tmp_path / "reports"
    reports.mkdir()
    for key, person in people.items():
        write_identification(reports / f"{key}.identity.json", person)
    write(tmp_path / "predictions.json", *(study(key, WHOLE) for key in people))
    comparison = compare(tmp_path, tmp_path)
    assert [(pair.prior_study, pair.current_study) for pair in comparison.pairs] == [("a", "b")]
    assert comparison.unpaired == ("c",)


def test_a_study_is_not_compared_with_itself(tmp_path: Path) -> None:
    file = identified(tmp_path, "a", JANE, WHOLE)
    with pytest.raises(OutputError, match="the same results twice"):
        compare(file, file)


def profile(first: int, *, levels: tuple[str, ...] = LEVELS[:5]) -> tuple[Prediction, ...]:
    """Discs from below upwards, of which every other one is worn, and the sixth intact."""
    grades = (5, 2, 4, 1, 5, 1)[first : first + len(levels)]
    return tuple(
        pfirrmann(*(float(one == grade) for one in range(1, 6)), level=level)
        for level, grade in zip(levels, grades, strict=True)
    )


def test_levels_that_agree_better_under_other_names_are_pointed_out(tmp_path: Path) -> None:
    first = identified(tmp_path, "a", JANE, *profile(0))
    for start, hint in ((1, "taken one up in the later study"), (0, "")):
        later = identified(tmp_path, "b", replace(JANE, date="2026-01-02"), *profile(start), WHOLE)
        sentences = " ".join(compare(first, later).pairs[0].sentences)
        assert hint in sentences and ("may be named differently by one" in sentences) is bool(hint)


@pytest.mark.parametrize("language", list(Language)[1:])
def test_the_page_of_two_dates_speaks_the_language_asked_for(tmp_path: Path, language: Language) -> None:
    early = identified(tmp_path, "a", JANE, WHOLE, pfirrmann(0, 1, 0, 0, 0, level="L5/S1"))
    late = identified(
        tmp_path, "b", replace(JANE, date="2026-01-02"), HERNIATED, pfirrmann(0, 0, 0, 0, 1, level="L5/S1")
    )
    html = page(compare(early, late, language))
    text = re.sub(r"<script.*?</script>|<style>.*?</style>", " ", html, flags=re.S)
    shown = " ".join(re.findall(r">([^<]+)<", text))
    assert not re.search(r"\b(?:the|of|and|not|new|changed|herniation|levels?|noise)\b", shown)
    assert phrases(language).brief("herniation") in html and f'<html lang="{language}"' in html


def test_what_differs_and_was_not_judged_is_said_and_not_called_unchanged(tmp_path: Path) -> None:
    """Sizes whose noise is not known, and experimental grades."""
    tried = [Prediction("L4/L5", "canal_stenosis", grade, shares, False, "synthetic") for grade, shares in (
        (0, (0.8, 0.1, 0.1)), (2, (0.1, 0.1, 0.8)))]  # fmt: skip
    files = []
    for key, one, area in zip("ab", tried, (150.0, 90.0), strict=True):
        result = replace(study(key, WHOLE, one), measurements=(Measurement("L4/L5", "sac_area_mm2", area, "mm2"),))
        files.append(write(tmp_path / f"{key}.json", result))
    (pair,) = compare(*files).pairs
    assert pair.sentences == (
        "L4/L5: nothing that was judged changed.",
        "Differs, and was not judged: dural sac area, 1 experimental grade.",
    )


@pytest.mark.parametrize(("share", "is_doubted"), [(1.02, False), (1.12, True)])
def test_two_studies_with_bones_of_unlike_size_are_said_to_look_like_two_persons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], share: float, is_doubted: bool
) -> None:
    names = ("vertebra_height_front_mm", "vertebra_height_middle_mm", "vertebra_height_back_mm", "disc_depth_mm")
    files = []
    for key, factor in (("a", 1.0), ("b", share)):
        sizes = [Measurement(level, name, 27.0 * factor, "mm") for level in ("L3/L4", "L4/L5") for name in names]
        files.append(write(tmp_path / f"{key}.json", replace(study(key, WHOLE), measurements=tuple(sizes))))
    comparison = compare(*files)
    assert [comparison.pairs[0].is_doubted, "look like two persons" in page(comparison)] == [is_doubted] * 2
    print_changes(comparison)
    assert ("look like two persons" in capsys.readouterr().out.splitlines()[0]) is is_doubted


@pytest.mark.parametrize("is_other", [False, True])
def test_bones_are_compared_under_the_names_that_agree_better(tmp_path: Path, is_other: bool) -> None:
    """Names moved by one hold each vertebra against its smaller neighbour; that makes no second person."""
    names = ("vertebra_height_front_mm", "vertebra_height_middle_mm", "vertebra_height_back_mm", "disc_depth_mm")
    sizes_mm = (36.0, 33.0, 30.0, 27.0, 24.0, 21.0)
    files = []
    for key, start, factor in (("a", 0, 1.0), ("b", 1, 1.12 if is_other else 1.0)):
        sizes = [
            Measurement(level, name, round(size * factor, 1), "mm")
            for level, size in zip(LEVELS[:5], sizes_mm[start:], strict=False)
            for name in names
        ]
        files.append(write(tmp_path / f"{key}.json", replace(study(key, *profile(start)), measurements=tuple(sizes))))
    (pair,) = compare(*files).pairs
    assert "may be named differently by one" in pair.sentences[0] and pair.is_doubted is is_other


def test_the_terminal_tells_changes_in_the_language_asked_for_and_counts_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = (
        identified(tmp_path, "a", JANE, WHOLE),
        identified(tmp_path, "b", replace(JANE, date="2026-01-02"), HERNIATED),
    )
    print_changes(compare(*files, Language.DE))
    told = capsys.readouterr().out
    assert "L4/L5 Bandscheibenvorfall: nicht vorhanden -> vorhanden (Differenz 0,85, Rauschen 0,30)" in told
    assert "Grade und Messungen: geändert 1." in told and len(told.splitlines()) < 8
