"""The web port of a node, and archives that speak DICOMweb."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from orthanc_archive import DICOMWEB, ORTHANC, Archive
from prometheus_client.parser import text_string_to_metric_families
from pydicom import dcmread
from pydicom.dataset import Dataset
from ward import STUDIES, Ward, deliver, free_port, image, placed, until

from spinenet.errors import NodeError
from spinenet.serve.node import incoming, web_server
from spinenet.serve.node.incoming import digest_of_uid
from spinenet.serve.node.peers import Peer, RefusedObjectError, UnreachableError
from spinenet.serve.node.service import Node
from spinenet.serve.node.web_archive import WebArchive, encoded, fetch
from spinenet.serve.node.web_server import WebConfig, WebServer

TOKEN = "a-token-of-a-test"


@contextmanager
def web(node: Node, token: str = "", tls: Any = None) -> Iterator[str]:
    """A running web port, by its address."""
    port = free_port()
    server = WebServer(node, WebConfig("127.0.0.1", port, token)).start()
    until(lambda: server.started)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True


def get(url: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, {name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


MULTIPART = 'multipart/related; type="application/dicom"; boundary=xyz'


def body(*parts: bytes, end: bytes = b"--xyz--\r\n") -> bytes:
    return b"".join(b"--xyz\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n" for part in parts) + end


def post(url: str, *parts: bytes, **headers: str) -> tuple[int, Any]:
    code, answer = get(f"{url}/dicom-web/studies", body(*parts), Content_Type=MULTIPART, **headers)
    return code, json.loads(answer) if answer[:1] == b"{" else answer.decode()


def test_a_study_that_comes_by_stow_is_graded_as_one_that_came_by_dicom(ward: Ward) -> None:
    with ward.running(quiet_s=0.3) as node, web(node) as url:
        code, answer = post(url, *(encoded(placed(number, 4.0 * number)) for number in range(3)))
        assert code == 200 and len(answer["00081199"]["Value"]) == 3 and "00081198" not in answer
        until(lambda: ward.graded)
        client = WebArchive.parse(f"{url}/dicom-web")  # a library that is not ours sends as well
        placed(4, 16.0).save_as(ward.config.folder / "4.dcm", enforce_file_format=True)
        client.send([ward.config.folder / "4.dcm"], "SPINENET", lambda path: None)
        until(lambda: len(ward.graded) == 2)
    assert ward.graded == [3, 4]


def test_of_each_image_it_is_said_whether_it_was_kept(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    report = image(STUDIES[0], 2)
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    with ward.running() as node, web(node) as url:
        code, answer = post(url, encoded(image(STUDIES[0], 1)), encoded(report), b"no image")
        assert code == 202 and len(answer["00081199"]["Value"]) == 1
        assert [one["00081197"]["Value"][0] for one in answer["00081198"]["Value"]] == [0x0122, 0xC000]
        assert post(url, b"no image")[0] == 409
        code, answer = get(
            f"{url}/dicom-web/studies/1.2.3", body(encoded(image(STUDIES[0], 3))), Content_Type=MULTIPART
        )
        assert code == 409 and b"43264" in answer  # of another study
        monkeypatch.setattr(incoming, "write_safely", lambda path, content: (_ for _ in ()).throw(OSError(28, "full")))
        assert post(url, encoded(image(STUDIES[1])))[0] == 503
    assert len(ward.kept()) == 1


@pytest.mark.parametrize("cut", [10, 60, 300, -12, -4])
def test_a_body_that_breaks_off_or_is_damaged_is_refused(ward: Ward, cut: int) -> None:
    whole = body(encoded(image(STUDIES[0])))
    with ward.running() as node, web(node) as url:
        code, _ = get(f"{url}/dicom-web/studies", whole[:cut], Content_Type=MULTIPART)
        assert code == 400
        for kind, refused in (("text/plain", 415), ('multipart/related; type="application/dicom"', 400)):
            assert get(f"{url}/dicom-web/studies", whole, Content_Type=kind)[0] == refused
        assert get(f"{url}/dicom-web/studies", b"", Content_Type=MULTIPART)[0] == 400


def test_an_image_without_bounds_is_refused(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "MAX_IMAGE_BYTES", 1000)
    with ward.running() as node, web(node) as url:
        assert post(url, bytes(5000))[0] == 400
    assert not ward.kept()


def test_a_sender_shows_the_token_or_comes_from_a_listed_address(ward: Ward) -> None:
    part = encoded(image(STUDIES[0]))
    with ward.running() as node, web(node, TOKEN) as url:
        assert post(url, part)[0] == 403
        assert post(url, part, Authorization=f"Bearer {TOKEN[:-1]}")[0] == 403
        assert post(url, part, Authorization=f"Bearer {TOKEN}")[0] == 200
        path = ward.config.folder / "a.dcm"
        path.write_bytes(encoded(image(STUDIES[0], 2)))
        WebArchive(f"{url}/dicom-web", TOKEN).send([path], "SPINENET", lambda one: None)
        with pytest.raises(UnreachableError, match="answered 403"):
            WebArchive(f"{url}/dicom-web", "other").send([path], "SPINENET", lambda one: None)
    assert len(ward.kept()) == 2


def test_health_and_metrics_say_how_it_is_and_nothing_of_patients(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Peer("AWAY", "127.0.0.1", free_port())
    with ward.running(destinations=(absent,)) as node, web(node) as url:
        deliver(ward, image(STUDIES[0]), image(STUDIES[0], 2))
        until(lambda: ward.graded and any("does not answer" in line for line in ward.said))
        assert get(f"{url}/health") == (200, b'{"status":"ok","problems":[]}')
        code, text = get(f"{url}/metrics")
        values = {
            (one.name, *one.labels.values()): one.value
            for family in text_string_to_metric_families(text.decode())
            for one in family.samples
        }
        assert code == 200 and values["spinenet_images_received_total",] == 2
        assert values["spinenet_events_total", "graded"] == 1
        assert values["spinenet_objects_waiting", absent.called] == 1
        assert values["spinenet_send_failures_total", absent.called] >= 1
        assert values["spinenet_disk_free_bytes",] > 0
        assert b"Doe" not in text and STUDIES[0].encode() not in text
        monkeypatch.setattr("spinenet.serve.node.delivery.LONG_AWAY_S", 0.0)
        code, answer = get(f"{url}/health")
        (problem,) = json.loads(answer)["problems"]
        assert code == 503 and problem.startswith(f"{absent.called} cannot be sent to since 2")
        assert problem.endswith(", 1 objects wait")
        monkeypatch.setattr(node, "config", type("Full", (), {**vars(node.config), "reserve_bytes": 1 << 60})())
        code, answer = get(f"{url}/health")
        assert code == 503 and b"the disk is full" in answer


@pytest.mark.parametrize("text", ["http://", "https://me:secret@host/x", "https://host/a?b", "ftp://host"])
def test_an_archive_of_dicomweb_is_named_in_one_way(text: str) -> None:
    with pytest.raises(NodeError) as error:
        WebArchive.parse(text)
    assert "secret" not in str(error.value)


def test_an_archive_that_is_away_or_refuses_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(encoded(image(STUDIES[0])))
    with pytest.raises(UnreachableError, match="does not answer"):
        WebArchive(f"http://127.0.0.1:{free_port()}/dicom-web").send([path], "SPINENET", lambda one: None)


def test_two_senders_by_the_two_ways_at_once(ward: Ward) -> None:
    def stow(url: str) -> None:
        for number in range(10):
            assert post(url, encoded(placed(2 * number, 8.0 * number)))[0] == 200

    with ward.running(quiet_s=0.5) as node, web(node) as url:
        thread = threading.Thread(target=stow, args=(url,))
        thread.start()
        deliver(ward, *(placed(2 * number + 1, 8.0 * number + 4.0) for number in range(10)))
        thread.join()
        until(lambda: ward.graded)
    assert sum(ward.graded) >= 20 and len(ward.kept()) == 20


@pytest.mark.skipif(not (ORTHANC and DICOMWEB), reason="no DICOMweb of Orthanc (Debian: apt install orthanc-dicomweb)")
def test_orthanc_takes_results_and_gives_studies_by_dicomweb(ward: Ward, tmp_path: Path) -> None:
    archive = Archive(tmp_path, ward.config.port, plugins=[str(DICOMWEB)])
    try:
        place = WebArchive.parse(archive.web)
        with ward.running(destinations=(place,)):
            named = image(STUDIES[0])
            named.PatientID = "P1"
            deliver(ward, named)
            until(lambda: any("objects sent" in line for line in ward.said))
        until(lambda: len(archive.ask("/instances")) == 1)
        (found,) = place.studies(PatientID="P1")
        assert found.StudyInstanceUID == STUDIES[0]
        taken: list[Dataset] = []

        def take(read: Callable[[], Any], encode: Callable[[Any], bytes]) -> Any:
            assert encode(read())[128:132] == b"DICM"
            taken.append(read())

        place.retrieve(STUDIES[0], take)
        assert len(taken) == 1 and digest_of_uid(str(taken[0].StudyInstanceUID)) == digest_of_uid(STUDIES[0])
        with pytest.raises(RefusedObjectError, match="404"):
            place.retrieve("1.2.3", take)
        assert fetch(f"{archive.web}/studies/{STUDIES[0]}/", tmp_path / "fetched", "") == 1
        (path,) = (tmp_path / "fetched").iterdir()
        assert dcmread(path).StudyInstanceUID == STUDIES[0] and path.stat().st_mode & 0o077 == 0
        with pytest.raises(NodeError, match="names no study"):
            fetch(archive.web, tmp_path / "fetched", "")
    finally:
        archive.stop()
