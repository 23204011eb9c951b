"""The viewer in a page: every slice that was read, in its place in the patient, and the one that decided each grade."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinenet.crops import CropSpec, place
from spinenet.report.options import ReportOptions
from spinenet.report.page.html import in_script, render, write_study_report
from spinenet.report.page.viewer import MAX_BYTES, viewer_data
from spinenet.study import Measurement, Prediction, StudyResult


@pytest.fixture
def page(watched: Any, complete: StudyResult, model: dict[str, Any], tmp_path: Path) -> Any:
    page = watched.open(write_study_report(complete, tmp_path, model=model))
    page.wait_for_selector("#viewer[data-ready]")
    yield page
    assert watched.complaints == []
    assert all(url.startswith(("file://", "data:")) for url in watched.requests)


def slices(page: Any) -> list[int]:
    """The slice that each pane shows, once it is drawn."""
    page.wait_for_timeout(120)
    return [int(one) for one in page.eval_on_selector_all(".pane", "panes => panes.map(pane => pane.dataset.slice)")]


def pane_value(page: Any, name: str, pane: int = 0) -> str:
    page.wait_for_timeout(120)
    return str(page.locator(".pane").nth(pane).get_attribute(f"data-{name}"))


def test_every_slice_that_was_read_is_in_the_page(complete: StudyResult, model: dict[str, Any]) -> None:
    data = viewer_data(complete, model)
    assert [len(pane["slices"]) for pane in data["panes"]] == [5, 5, 3]
    assert [pane["title"] for pane in data["panes"]] == ["sagittal T2 (t2)", "sagittal T1 (t1)", "axial T2 (axial)"]
    assert set(re.findall(r'"number":(\[\d+,\d+\])', render(complete, model=model))) >= {"[5,5]", "[3,3]"}


def test_every_grade_has_the_slice_that_decided_it(complete: StudyResult, model: dict[str, Any]) -> None:
    data = viewer_data(complete, model)
    for prediction in complete.predictions:
        pane, index, share, corners = data["cells"][f"{prediction.level}|{prediction.target}"][0]
        shown = data["panes"][pane]["slices"][index]
        crops = complete.crops[prediction.level]
        column = list(model["targets"]).index(prediction.target)
        best = max(crops, key=lambda crop: crop.attention_T[column])
        assert (shown["series"], shown["number"][0] - 1) == (best.series_name, best.slice_index)
        assert share == round(100 * best.attention_T[column]) and len(corners) == 4


def test_a_page_states_places_in_the_patient(complete: StudyResult, model: dict[str, Any]) -> None:
    data = viewer_data(complete, model)
    for pane, located in zip(data["panes"], complete.located, strict=True):
        shown, series = pane["slices"][2], located.series
        corner, right, down = (np.array(shown[name]) for name in ("corner", "right", "down"))
        assert np.allclose(corner + 10.5 * right + 20.5 * down, series.to_mm(np.array([2, 20, 10])), atol=0.01)


def test_a_picture_made_smaller_keeps_its_place(complete: StudyResult, model: dict[str, Any]) -> None:
    located = complete.located[0]
    affine = located.series.affine_vox2mm @ np.diag([1, 0.25, 0.25, 1])
    fine = replace(located.series, voxels_SRC=np.kron(located.series.voxels_SRC, np.ones((1, 4, 4), np.float32)))
    fine = replace(fine, affine_vox2mm=affine)
    shrunk = viewer_data(replace(complete, located=(replace(located, series=fine), *complete.located[1:])), model)
    shown = shrunk["panes"][0]["slices"][0]
    assert max(shown["size"]) == 512
    far = np.array(shown["corner"]) + shown["size"][0] * np.array(shown["right"])
    assert np.allclose(far, fine.to_mm(np.array([0, -0.5, fine.voxels_SRC.shape[2] - 0.5])), atol=0.02)
    level = complete.predictions[0].level
    corners = np.array(shrunk["cells"][f"{level}|pfirrmann"][0][3])
    pane, index = shrunk["cells"][f"{level}|pfirrmann"][0][:2]
    frame = next(one for one in located.frames if one.level == level)
    if pane == 0:
        placement = place(fine, frame, CropSpec())
        assert np.allclose(
            corners.mean(0), (placement.center(index) + 0.5)[::-1] * np.array(shown["size"]) / 400, atol=60
        )


def test_a_study_of_many_slices_stays_below_six_megabytes(complete: StudyResult, model: dict[str, Any]) -> None:
    generator = np.random.default_rng(0)
    many = tuple(
        replace(
            one,
            series=replace(one.series, voxels_SRC=generator.random((40, 640, 640), np.float32), name=one.series.name),
        )
        for one in complete.located
    )
    data = viewer_data(replace(complete, located=many), model)
    assert sum(len(pane["slices"]) for pane in data["panes"]) == 120
    assert len(json.dumps(data)) < 6e6 and MAX_BYTES * 4 / 3 < 6e6


def test_names_in_the_data_cannot_end_the_script() -> None:
    assert "<" not in in_script({"series": "</script><script>alert(1)</script>"})


def test_slices_can_be_left_out(complete: StudyResult, model: dict[str, Any]) -> None:
    html = render(complete, model=model, options=ReportOptions(slices=False))
    assert 'id="viewer"' not in html and 'id="slices"' not in html and 'href="#viewer"' not in html


def test_a_click_on_any_grade_shows_its_slice_with_the_crop_marked(
    page: Any, complete: StudyResult, model: dict[str, Any]
) -> None:
    data = viewer_data(complete, model)
    links = page.locator("a.open-slice")
    assert links.count() >= len(complete.predictions)
    keys = set()
    for link in links.all()[::7]:
        link.click()
        key = "|".join(str(link.get_attribute(f"data-{name}")) for name in ("level", "target"))
        keys.add(key)
        pane, index, _, _ = data["cells"][key][0]
        assert slices(page)[pane] == index
        assert pane_value(page, "crop", pane) == "marked"
    assert len(keys) > 5


def test_a_click_beside_the_words_of_a_cell_opens_its_slice_and_so_does_one_on_a_size(
    watched: Any, complete: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    axial = next(one.series for one in complete.located if one.series.plane == "axial")
    sac = Measurement("L4/L5", "sac_area_mm2", 120.0, "mm2", 30.0, None, axial.name, slice_index=1)
    measured = replace(complete, measurements=(sac,))
    page = watched.open(write_study_report(measured, tmp_path, model=model))
    page.wait_for_selector("#viewer[data-ready]")
    outlined = "document.querySelectorAll('td.shown').length"
    cell = page.locator("td:has(a.open-slice)").first
    cell.click(position={"x": 2, "y": 2})
    assert page.evaluate(outlined) == 1 and "Read from" in page.inner_text(".read-from")
    page.click("td[data-size='L4/L5|sac_area_mm2']")
    pane, index, _ = viewer_data(measured, model)["measured"]["L4/L5|sac_area_mm2"]
    assert page.evaluate(outlined) == 1 and slices(page)[pane] == index


def test_every_size_of_the_table_opens_the_slice_it_was_measured_in(
    watched: Any, complete: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    """Sizes by outlines with the line around them, on the very disc; the locator's with its own lines."""
    names = ("disc_height_mm", "canal_depth_least_mm", "slip_mm")
    by_outlines = tuple(Measurement("L4/L5", name, 8.0, "mm", 1.0, 40, "t2") for name in names)
    coarse = (Measurement("L3/L4", "canal_depth_mm", 14.0, "mm"),)
    measured = replace(complete, measurements=(*by_outlines, *coarse))
    places = viewer_data(measured, model)["measured"]
    assert set(places) == {*(f"L4/L5|{name}" for name in names), "L3/L4|canal_depth_least_mm"}
    frame = next(one for one in complete.located[0].frames if one.level == "L4/L5")
    (pane, index, (line,)) = places["L4/L5|disc_height_mm"]
    middle = complete.located[0].series.to_vox(frame.center_mm)[:0:-1] + 0.5
    assert np.abs(np.mean(line, 0) - middle).max() < 2 and np.ptp(line, 0)[0] > 2 * np.ptp(line, 0)[1] > 10
    assert len(places["L4/L5|slip_mm"][2]) == 2 and places["L3/L4|canal_depth_least_mm"][2] == []
    page = watched.open(write_study_report(measured, tmp_path, model=model))
    page.wait_for_selector("#viewer[data-ready]")
    for key, (pane, index, _) in places.items():
        page.locator(f"td[data-size='{key}'] a").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(f"td.shown[data-size='{key}']")
        assert slices(page)[pane] == index and "Measured in t2, slice 3" in page.inner_text(".read-from")
    assert not watched.complaints


def test_outline_and_zoom_follow_the_grade_and_the_level_that_are_chosen(page: Any) -> None:
    outlined = "[...document.querySelectorAll('td.shown a')].map(link => link.dataset.level)"
    links = page.locator("a.open-slice")
    for number in (0, 25):
        links.nth(number).click()
        assert page.evaluate(outlined) == [links.nth(number).get_attribute("data-level")]
    page.click("[data-go='L5/S1']")
    assert page.evaluate(outlined) == [] and page.inner_text(".read-from") == ""


def test_a_grade_is_opened_from_the_keyboard(page: Any) -> None:
    page.locator("a.open-slice").nth(3).focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "CANVAS"
    assert "Read from" in page.inner_text(".read-from")


def test_keys_go_through_slices_and_levels(page: Any) -> None:
    page.locator(".pane canvas").first.focus()
    page.keyboard.press("Home")
    assert slices(page)[0] == 0
    page.keyboard.press("ArrowDown")
    assert slices(page)[0] == 1
    page.keyboard.press("End")
    assert slices(page)[0] == 4
    page.keyboard.press("ArrowLeft")
    lowest = page.get_attribute("#viewer", "data-level")
    page.keyboard.press("ArrowLeft")
    above = page.get_attribute("#viewer", "data-level")
    page.keyboard.press("ArrowRight")
    assert (lowest, above, page.get_attribute("#viewer", "data-level")) == ("L5/S1", "L4/L5", "L5/S1")


def test_the_wheel_turns_slices_only_once_the_viewer_is_used(page: Any) -> None:
    canvas = page.locator(".pane canvas").first
    canvas.scroll_into_view_if_needed()
    box, before = canvas.bounding_box(), slices(page)[0]
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.wheel(0, 60)
    assert slices(page)[0] == before
    canvas.focus()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.wheel(0, 60)
    assert slices(page)[0] == before + 1


def test_dragging_changes_the_window_and_reset_brings_it_back(page: Any) -> None:
    canvas = page.locator(".pane canvas").first
    canvas.scroll_into_view_if_needed()
    before = [pane_value(page, name) for name in ("low", "high")]
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 180, box["y"] + 130, steps=4)
    page.mouse.up()
    after = [pane_value(page, name) for name in ("low", "high")]
    assert float(after[1]) - float(after[0]) > float(before[1]) - float(before[0])
    page.keyboard.press("+")
    assert float(pane_value(page, "zoom")) > 1
    page.keyboard.press("0")
    assert [pane_value(page, name) for name in ("low", "high", "zoom")] == [*before, "1.00"]


def test_a_click_shows_the_same_place_in_the_other_series(page: Any, complete: StudyResult) -> None:
    """The lower a click in a sagittal slice, the lower the axial slice."""
    canvas = page.locator(".pane canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.15)
    high = slices(page)[2]
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.95)
    assert (high, slices(page)[2]) == (2, 0)


def test_letters_name_the_sides_as_the_page_shows_them(
    watched: Any, complete: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    """Axial: the patient's right on the left; where the side is not known no letter claims it."""
    unknown = replace(complete.located[2], series=replace(complete.located[2].series, laterality_known=False))
    for name, result in (("known", complete), ("unknown", replace(complete, located=(*complete.located[:2], unknown)))):
        page = watched.open(write_study_report(replace(result, key=name), tmp_path, model=model))
        page.add_init_script("window.written = []")
        watched.page.add_init_script(
            "const write = CanvasRenderingContext2D.prototype.fillText;"
            "CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {"
            " (window.written ||= []).push("
            "  [text, x / this.canvas.width, y / this.canvas.height, this.canvas.ariaLabel]);"
            " write.call(this, text, x, y); };"
        )
        page.reload()
        page.wait_for_selector("#viewer[data-ready]")
        page.wait_for_timeout(300)
        axial = [one for one in page.evaluate("window.written") if one[3] and one[3].startswith("axial")]
        left = {text for text, x, y, _ in axial if x < 0.1}
        right = {text for text, x, y, _ in axial if x > 0.9}
        assert (left, right) == (({"R"}, {"L"}) if name == "known" else ({"?"}, {"?"}))
        assert {text for text, x, y, _ in axial if y < 0.1} == {"A"}


def test_on_a_phone_one_series_is_shown_and_a_finger_turns_its_slices(
    browser: Any, complete: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    context = browser.new_context(
        offline=True, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2
    )
    page = context.new_page()
    page.goto(write_study_report(complete, tmp_path, model=model).as_uri())
    page.wait_for_selector("#viewer[data-ready]")
    assert [pane.is_visible() for pane in page.locator(".pane").all()] == [True, False, False]
    page.tap(".tabs button >> nth=2")
    assert [pane.is_visible() for pane in page.locator(".pane").all()] == [False, False, True]
    page.tap(".tabs button >> nth=0")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    canvas = page.locator(".pane canvas").first
    canvas.scroll_into_view_if_needed()
    box, before = canvas.bounding_box(), slices(page)[0]
    session = context.new_cdp_session(page)
    for kind, y in (("touchStart", 100), ("touchMove", 130), ("touchMove", 190), ("touchEnd", None)):
        touches = [] if y is None else [{"x": box["x"] + 100, "y": box["y"] + y}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
    assert slices(page)[0] > before
    context.close()


def test_a_page_of_sixty_slices_unpacks_those_alone_that_it_shows(
    watched: Any, complete: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    generator = np.random.default_rng(0)
    many = tuple(
        replace(one, series=replace(one.series, voxels_SRC=generator.random((20, 512, 512), np.float32)))
        for one in complete.located
    )
    watched.page.add_init_script(
        "window.unpacked = 0; const decode = HTMLImageElement.prototype.decode;"
        "HTMLImageElement.prototype.decode = function () { window.unpacked += 1; return decode.call(this); };"
    )
    path = write_study_report(replace(complete, located=many), tmp_path, model=model)
    page = watched.open(path)
    page.wait_for_selector("#viewer[data-ready]")
    assert len(slices(page)) == 3
    assert 3 <= page.evaluate("window.unpacked") <= 6  # a pane may be drawn before and after it has its size
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})  # of the page alone, whatever else runs
    watched.open(path).wait_for_selector("#viewer[data-ready]")
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    assert 0 < metrics["TaskDuration"] < 3  # s
    assert watched.complaints == [] and all(url.startswith(("file:", "data:")) for url in watched.requests)


def test_a_grade_of_a_level_without_crops_is_no_fault(complete: StudyResult, model: dict[str, Any]) -> None:
    lone = (*complete.predictions, Prediction("L1/L2", "modic", 0, (0.9, 0.1, 0.0, 0.0), True))
    assert viewer_data(replace(complete, predictions=lone), model)["cells"]["L1/L2|modic"] == []
