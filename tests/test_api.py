"""What other programs use: one study gives one result, its table, its levels in mm and its pictures."""

import doctest
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import spinenet
from spinenet.errors import ReadError, SpinenetError, StudyError
from spinenet.labels import EXPERIMENTAL, LEVELS, RESEARCH_ONLY
from spinenet.readers import find_studies
from spinenet.report.certainty import label
from spinenet.serve.batch import predict_source

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "sample"


@pytest.fixture(scope="module")
def model() -> spinenet.Model:
    return spinenet.load()


@pytest.fixture(scope="module")
def result(model: spinenet.Model) -> spinenet.Result:
    return model.predict(SAMPLE)


def seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def test_importing_takes_no_time_and_loads_no_library() -> None:
    code = "import sys; before = set(sys.modules); import spinenet; print(*set(sys.modules) - before)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert {name for name in told.split() if name.split(".")[0] not in sys.stdlib_module_names} == {"spinenet"}
    differences = [seconds("import spinenet") - seconds("pass") for _ in range(5)]
    assert statistics.median(differences) < 0.1


def test_every_public_name_is_there_when_it_is_asked_for() -> None:
    assert all(getattr(spinenet, name) is not None for name in spinenet.__all__)
    assert set(spinenet.__all__) <= set(dir(spinenet))
    with pytest.raises(AttributeError, match="predict_everything"):
        spinenet.predict_everything  # noqa: B018


def test_a_result_is_what_the_command_writes(model: spinenet.Model, result: spinenet.Result) -> None:
    (source,) = find_studies([SAMPLE])
    written = predict_source(source, model.bundle)
    assert isinstance(result, spinenet.StudyResult) and result.status == written.status
    assert result.predictions == written.predictions
    assert [level.name for level in result.levels] == [level.name for level in written.levels]


def test_flags_are_what_calls_for_caution_and_nothing_else(model: spinenet.Model, result: spinenet.Result) -> None:
    (source,) = find_studies([SAMPLE])
    written = predict_source(source, model.bundle)
    assert {flag.code for flag in result.flags} == {"size_doubtful"}  # at L5/S1, whose outline is blurred
    assert {remark.code for remark in result.remarks} == {"not_looked_for", "experimental"}
    assert (*result.flags, *result.remarks) == written.flags and result.message == written.message


def test_a_study_that_was_read_gives_what_its_path_gives(model: spinenet.Model, result: spinenet.Result) -> None:
    (study,) = spinenet.read(SAMPLE)
    (again,) = model.predict([study])
    assert again.grades == result.grades


def test_the_table_holds_every_grade_in_words(result: spinenet.Result) -> None:
    assert len(result.grades) == len(result.predictions) > 50
    for row, one in zip(result.grades, result.predictions, strict=True):
        assert (row.level, row.target, row.grade, row.probabilities) == (
            one.level, one.target, one.grade, one.probabilities,
        )  # fmt: skip
        assert row.label == label(one)
    at_level = result.grades.at("L4/L5")
    assert {row.level for row in at_level} == {"L4/L5"} and len(at_level.of("pfirrmann")) == 1
    assert list(dict.fromkeys(row.level for row in result.grades)) == list(LEVELS[: len(result.levels)])


@pytest.mark.parametrize("ask", [lambda grades: grades.at("L6"), lambda grades: grades.of("pfirman")])
def test_a_name_that_does_not_exist_is_no_empty_table(result: spinenet.Result, ask: object) -> None:
    with pytest.raises(SpinenetError, match="is not one of"):
        ask(result.grades)  # type: ignore[operator]


def test_measurements_are_a_table_too(result: spinenet.Result) -> None:
    (height,) = result.measurements.at("L4/L5").of("disc_height_mm")
    level = next(level for level in result.levels if level.name == "L4/L5")
    assert height.value == level.measurements["disc_height_mm"] and height.unit == "mm"
    assert (height.error_95 is None) == (height.series == "")  # outlines alone have an error
    assert level.errors_95.get("disc_height_mm") == height.error_95
    frame = result.measurements.to_frame()
    assert list(frame.columns) == ["level", "name", "value", "unit", "error_95", "percentile", "series", "slice_index"]
    assert len(frame) == len(result.measurements) and frame.attrs["notice"] == RESEARCH_ONLY
    with pytest.raises(spinenet.SpinenetError, match="slip_mm"):
        result.measurements.of("height")


def test_a_data_frame_has_a_column_a_field(result: spinenet.Result) -> None:
    frame = result.grades.to_frame()
    assert len(frame) == len(result.grades) and frame.attrs["notice"] == RESEARCH_ONLY
    assert list(frame.columns[:6]) == ["level", "target", "title", "grade", "label", "p_0"]
    shares = frame.filter(regex="^p_").sum(axis=1)
    assert np.allclose(shares, 1.0) and frame["confident"].dtype == bool


def test_without_pandas_a_line_says_what_to_install(result: spinenet.Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SpinenetError, match="pip install pandas"):
        result.grades.to_frame()


def test_a_level_lies_in_its_series_and_above_the_one_below(result: spinenet.Result) -> None:
    by_name = {one.series.name: one.series for one in result.located}
    for level in result.levels:
        at = by_name[level.series].to_vox(level.center_mm)
        assert (at >= 0).all() and (at < by_name[level.series].voxels_SRC.shape).all()
    given = [level.measurements["disc_height_mm"] for level in result.levels if "disc_height_mm" in level.measurements]
    assert len(given) >= 5 and 4 < min(given) <= max(given) < 16
    heights = [level.center_mm[2] for level in result.levels]
    assert all(20 < above - below < 55 for below, above in zip(heights, heights[1:], strict=False))


def test_a_picture_shows_every_slice_that_the_grader_saw(result: spinenet.Result) -> None:
    picture = result.show("L4/L5")
    widest = max(sum(crop.view is view for crop in result.crops["L4/L5"]) for view in spinenet.labels.View)
    assert picture.width > 100 * widest and picture._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(StudyError, match=r"T8/T9 was not graded in study-.*graded: L5/S1, L4/L5"):
        result.show("T8/T9")


def test_wherever_grades_are_shown_research_use_is_said(result: spinenet.Result) -> None:
    for shown in (result._repr_html_(), result.grades._repr_html_(), str(result.grades)):
        assert RESEARCH_ONLY in shown and ("stenosis" in shown) == (EXPERIMENTAL in shown)


def test_names_of_levels_can_be_given_beforehand(model: spinenet.Model, result: spinenet.Result) -> None:
    counted = [level.name for level in result.levels]
    moved = model.predict(SAMPLE, levels="L4/L5")
    assert [level.name for level in moved.levels] == [LEVELS[LEVELS.index(name) + 1] for name in counted]
    with pytest.raises(SpinenetError, match="names no level"):
        model.predict(SAMPLE, levels=["L9/S1"])


def test_a_study_without_grades_is_a_result_with_the_reason(model: spinenet.Model) -> None:
    (study,) = spinenet.read(SAMPLE / "axial")
    refused = model.predict(study)
    assert refused.status == "failed" and not refused.grades and not refused.levels
    assert "no sagittal" in refused.message and "no sagittal" in refused._repr_html_()


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """A broken study and the sample."""
    (tmp_path / "sample").symlink_to(SAMPLE)
    (tmp_path / "1_t2.mha").write_text("<b>no image</b>")
    return tmp_path


def test_several_studies_are_taken_one_by_one(model: spinenet.Model, several: Path) -> None:
    (several / "sample").unlink()
    (several / "2_t2.mha").write_text("no image")
    with pytest.raises(ReadError, match=r"holds 2 studies; predict_each"):
        model.predict(several)
    results = model.predict_each([several, SAMPLE])
    assert isinstance(results, Iterator)
    assert [one.status for one in results] == ["failed", "failed", "ok"]


def test_the_page_of_the_documentation_says_what_happens() -> None:
    text = (ROOT / "docs" / "tutorial" / "python.md").read_text(encoding="utf-8")
    examples = "\n".join(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL))
    test = doctest.DocTestParser().get_doctest(examples, {}, "python.md", None, None)
    assert len(test.examples) > 10
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(test).failed == 0
