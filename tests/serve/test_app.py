"""``spinenet app``: from a drop in a real browser to a corrected report, and nothing for anybody else."""

import http.client
import io
import json
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from spinenet.errors import OutputError
from spinenet.labels import RESEARCH_ONLY
from spinenet.model.bundle import load_bundle
from spinenet.report.options import ReportOptions
from spinenet.serve.app import serve
from spinenet.serve.workspace import Workspace, inner_path
from spinephantom import make_study
from spinephantom.patient.pathology import Mode
from spinephantom.write.dicom_files import write_dicom


class Running:
    """A page that runs, and what it may be asked."""

    def __init__(self, folder: Path) -> None:
        self.workspace = Workspace(folder, load_bundle(), ReportOptions(identify=True))
        told: list[str] = []
        threading.Thread(target=serve, args=(self.workspace, 0, told.append), daemon=True).start()
        while not told:
            time.sleep(0.02)
        self.address = told[0]
        self.port = int(self.address.split(":")[2].split("/")[0])
        self.token = self.address.partition("token=")[2]

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = {"Cookie": f"spinenet-{self.port}={self.token}", **headers}
        connection.request(method, path, body or None, sent)
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}

    def drop(self, files: dict[str, bytes]) -> dict[str, Any]:
        key = json.loads(self.ask("POST", "/drops")[1])["key"]
        for name, content in files.items():
            assert self.ask("PUT", f"/drops/{key}?name={name}", content)[0] == 204
        assert self.ask("POST", f"/drops/{key}")[0] == 204
        return self.until(key)

    def until(self, key: str) -> dict[str, Any]:
        while True:
            drop = next(one for one in json.loads(self.ask("GET", "/progress")[1])["drops"] if one["key"] == key)
            if drop["state"] in ("done", "failed"):
                return drop
            time.sleep(0.1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Running:
    return Running(tmp_path_factory.mktemp("app"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images") / "study"
    write_dicom(
        make_study(2, mode=Mode.SCREENING, axial=False, size=256, slices=3, sub_slices=1, stir_share=0.0), folder
    )
    return folder


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": "none=1"},
        {"Cookie": "spinenet-1=x"},
        {"Host": "example.org"},
        {"Origin": "http://example.org"},
        {"Origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/progress", "/results/predictions.csv", "/results.zip"])
def test_nobody_without_the_token_or_from_another_site_gets_anything(
    running: Running, headers: dict[str, str], path: str
) -> None:
    status, body, _ = running.ask("GET", path, **headers)
    assert status == 403 and len(body) < 60


def test_the_token_becomes_a_cookie_and_leaves_the_address(running: Running) -> None:
    status, _, headers = running.ask("GET", f"/?token={running.token}", Cookie="")
    assert (status, headers["location"]) == (303, "/")
    assert "HttpOnly" in headers["set-cookie"] and "samesite=strict" in headers["set-cookie"].lower()
    assert running.ask("GET", "/?token=wrong", Cookie="")[0] == 403


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/passwd", "a//b", "..", "", "a\\b", "C:/x", "a/ .", "a%00b"]
)
def test_no_dropped_name_lies_outside(running: Running, name: str) -> None:
    key = json.loads(running.ask("POST", "/drops")[1])["key"]
    status, body, _ = running.ask("PUT", f"/drops/{key}?name={name}".replace(" ", "%20"), b"x")
    assert status == 400 and b"not a name" in body
    assert not list((running.workspace.images / key).rglob("*"))


@pytest.mark.parametrize("path", ["../.salt", "%2e%2e/images", ".salt", "reports/../../x", "..%2f..%2fetc/passwd"])
def test_no_result_lies_outside_and_the_salt_is_nobodys(running: Running, path: str) -> None:
    running.workspace.results.mkdir(parents=True, exist_ok=True)
    assert running.ask("GET", f"/results/{path}")[0] == 404


def test_a_zip_bomb_and_a_zip_that_points_out_of_itself_are_refused(running: Running) -> None:
    archives = {}
    for name, inside, content in (("bomb", "a.dcm", b"\0" * (300 << 20)), ("escape", "../../out-of-the-zip.dcm", b"x")):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(inside, content)
        archives[f"{name}.zip"] = packed.getvalue()
    told = " ".join(running.drop(archives)["told"])
    assert "no archive of images" in told and "point out of it" in told
    assert not list(running.workspace.folder.parent.rglob("out-of-the-zip.dcm"))


def test_what_is_no_correction_is_refused_and_leaves_nothing(running: Running) -> None:
    status, body, _ = running.ask("POST", "/corrections", b"corrections=%7B%7D")
    assert status == 400 and b"no corrections" in body
    assert not list((running.workspace.folder / "corrections").glob("*"))
    assert running.ask("POST", "/corrections", b"x" * (2 << 20))[0] == 400


def test_of_a_file_that_broke_off_nothing_is_left(running: Running) -> None:
    workspace = running.workspace
    key = workspace.begin()
    with pytest.raises(ConnectionError), workspace.receive(key, "study/1.dcm") as file:
        file.write(b"half")
        raise ConnectionError
    assert not [path for path in (workspace.images / key).rglob("*") if path.is_file()]
    with pytest.raises(OutputError, match="nothing was dropped"):
        workspace.close(key)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (["notes of today.txt"], "notes of today.txt: no DICOM, NIfTI or MHA image"),
        (["scan/a.txt", "scan/b.txt"], "scan: no DICOM, NIfTI or MHA image in this folder or below it"),
        (list("abcde"), "a, b, c, 2 more: no DICOM, NIfTI or MHA image"),
    ],
)
def test_what_is_no_image_is_called_as_it_was_dropped(running: Running, files: list[str], told: str) -> None:
    drop = running.drop({name.replace(" ", "%20"): b"no image" for name in files})
    assert drop["state"] == "failed" and drop["told"] == [told]


def test_an_empty_drop_is_no_drop(running: Running) -> None:
    key = json.loads(running.ask("POST", "/drops")[1])["key"]
    assert running.ask("POST", f"/drops/{key}")[0] == 400
    assert running.ask("PUT", "/drops/none?name=a", b"x")[0] == 400
    with pytest.raises(OutputError):
        inner_path("a" * 300)


def dragged_in(page: Any, *paths: Path) -> None:
    """Files and folders of the disk dragged over the page and let go, as a person does it."""
    devtools = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    box = page.locator("#drop").bounding_box()
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "data": data, **place})


def test_a_folder_and_an_archive_are_dragged_in_and_a_study_is_deleted_with_all_that_is_of_it(
    browser: Any, images: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in images.rglob("*.dcm"):
            archive.write(path, path.relative_to(images))
    running = Running(tmp_path / "work")
    page = browser.new_context().new_page()
    page.goto(running.address)
    dragged_in(page, images)
    page.wait_for_selector("#drops li[data-state=done]", timeout=60_000)
    (drop,) = (running.workspace.images).iterdir()
    kept = sorted(path.relative_to(drop / images.name) for path in drop.rglob("*") if path.is_file())
    assert kept == sorted(path.relative_to(images) for path in images.rglob("*") if path.is_file())
    row = page.frame_locator("#worklist").locator("tr[data-study]").first
    study = row.get_attribute("data-study")
    page.on("dialog", lambda dialog: dialog.accept())
    row.locator("button.delete").click()
    page.wait_for_selector("#drops li:has-text('deleted')", timeout=60_000)
    folder = running.workspace.folder
    assert not list(running.workspace.images.iterdir())
    assert not [path for path in folder.rglob("*") if study in path.name]
    texts = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert not any(study.encode() in text for text in texts)
    dragged_in(page, packed)
    page.wait_for_selector("#drops li[data-state=done]:has-text('1 ok'), #drops li:has-text('partial')", timeout=60_000)
    assert (running.workspace.results / "reports").glob("study-*.html")
    page.context.close()


def test_of_two_studies_in_one_archive_the_other_stays(images: Path, tmp_path: Path) -> None:
    running = Running(tmp_path / "work")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in images.rglob("*.dcm"):
            archive.write(path, path.relative_to(images))
        other = (Path(__file__).parents[2] / "data" / "sample" / "t2").glob("*.dcm")
        for path in other:
            archive.write(path, f"other/{path.name}")
    running.drop({"both.zip": packed.getvalue()})
    studies = [line.split(",")[0] for line in (running.workspace.results / "studies.csv").read_text().splitlines()[1:]]
    assert len(studies) == 2
    assert running.ask("DELETE", f"/studies/{studies[0]}")[0] == 204
    told = running.until(json.loads(running.ask("GET", "/progress")[1])["drops"][0]["key"])["told"]
    assert told == [f"deleted: {studies[0]}", "both.zip stays, for other studies are in it"]
    left = (running.workspace.results / "studies.csv").read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in left] == studies[1:]
    assert running.ask("DELETE", f"/studies/{studies[1]}")[0] == 204
    running.until(json.loads(running.ask("GET", "/progress")[1])["drops"][0]["key"])
    assert not list(running.workspace.images.rglob("both.zip"))
    assert running.ask("DELETE", "/studies/none")[0] == 204
    gone = running.until(json.loads(running.ask("GET", "/progress")[1])["drops"][0]["key"])
    assert gone["state"] == "failed" and "no such study" in gone["told"][0]


def test_from_the_drop_to_the_corrected_report_in_a_browser(browser: Any, images: Path, tmp_path: Path) -> None:
    running = Running(tmp_path)
    context = browser.new_context()
    page, asked, complaints = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(running.address)
    assert page.url == f"http://127.0.0.1:{running.port}/" and page.get_by_text(RESEARCH_ONLY).first.is_visible()
    page.set_input_files("#folder", str(images))
    page.wait_for_selector("#drops li[data-state=done]", timeout=60_000)
    worklist = page.frame_locator("#worklist")
    link = worklist.locator("#worklist tbody th a").first
    link.wait_for()
    study = worklist.locator("tr[data-study]").first.get_attribute("data-study")
    assert study in page.inner_text("#drops li[data-state=done] small")
    assert "2020" in worklist.locator("#worklist").inner_text()  # the phantom's date of examination
    worklist.locator("tbody a[target=_top]").first.wait_for()
    link.click()
    page.wait_for_selector("#viewer[data-ready]")
    page.click("#correct summary")
    page.fill("[name=reader]", "Reader^Jo")
    page.select_option("[name='L4/L5|herniation']", label="present")
    page.check("[name=approved]")
    button = page.locator("#correct button[type=submit]")
    assert button.inner_text() == "put the corrections into the results"
    button.click()
    page.wait_for_url(f"http://127.0.0.1:{running.port}/")
    page.wait_for_selector("#drops li[data-state=done]:has-text('corrected')", timeout=60_000)
    (report,) = (running.workspace.results / "reports").glob("study-*.txt")
    assert "Corrected and approved by Reader^Jo" in report.read_text(encoding="utf-8")
    with page.expect_download() as waited:
        page.click("text=export all results")
    with zipfile.ZipFile(waited.value.path()) as archive:
        names = archive.namelist()
    assert "predictions.csv" in names and not any(name.startswith(".") for name in names)
    assert {url.split("/")[2] for url in asked if url.startswith("http")} == {f"127.0.0.1:{running.port}"}
    assert complaints == []
    context.close()
