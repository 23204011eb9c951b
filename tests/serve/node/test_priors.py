"""Earlier studies of a patient are found in an archive, graded, and compared with what has come."""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from orthanc_archive import DICOMWEB, ORTHANC, Archive
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from ward import Ward, deliver, free_port, placed, until

from spinenet.model.bundle import load_bundle
from spinenet.report.options import ReportOptions
from spinenet.serve.node.dicom_archive import DicomArchive
from spinenet.serve.node.incoming import Incoming, digest_of_uid
from spinenet.serve.node.listening import config_of
from spinenet.serve.node.peers import Caller, Peer
from spinenet.serve.node.priors import Priors, is_of
from spinenet.serve.node.service import Node
from spinenet.serve.node.study_grader import StudyGrader
from spinenet.serve.node.web_archive import WebArchive, encoded
from spinenet.serve.node_settings import NodeSettings, Retrieval
from spinenet.study import Origin
from spinephantom import make_study
from spinephantom.patient.pathology import Mode
from spinephantom.write.dicom_files import write_dicom

DCMQRSCP = shutil.which("dcmqrscp", path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Date -> images: two visits of a patient, and one of another patient of the same name and another id."""
    root = tmp_path_factory.mktemp("visits")
    write_dicom(make_study(2, mode=Mode.SCREENING, axial=False, size=256, slices=3, sub_slices=1), root / "tree")
    made: dict[str, list[Path]] = {}
    for date, patient in (("20240301", "P1"), ("20260301", "P1"), ("20250301", "P2")):
        uids: dict[str, str] = {}
        for number, path in enumerate(sorted((root / "tree").rglob("*.dcm"))):
            data = dcmread(path)
            for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
                uid = uids.setdefault(data[keyword].value, generate_uid(entropy_srcs=[date, data[keyword].value]))
                data[keyword].value = uid
            data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
            data.StudyDate, data.PatientID, data.PatientName, data.PatientBirthDate = date, patient, "Doe^Jane", ""
            data.save_as(root / f"{date}-{number}.dcm")
            made.setdefault(date, []).append(root / f"{date}-{number}.dcm")
    return made


@contextmanager
def comparing(folder: Path, port: int, archive: Any) -> Iterator[tuple[Node, StudyGrader, list[str]]]:
    """A node that grades in earnest and asks an archive for priors."""
    settings = NodeSettings(
        folder / "node", ("ARCHIVE",), port=port, wait=0.3, retry=0.2, priors=archive.called, identify=True
    )
    said: list[str] = []
    grader = StudyGrader(folder / "node" / "results", load_bundle().path, ReportOptions(identify=True, slices=False))
    node = Node(config_of(settings), grader, lambda event: said.append(f"{event.name}: {event}"))
    server = node.start(0.05)
    node.begin(Priors(node, archive, grader, 0.2).run, 0.05)
    worker = threading.Thread(target=node.work, args=(0.05,))
    worker.start()
    try:
        yield node, grader, said
    finally:
        node.stop()
        worker.join()
        server.shutdown()
        grader.end()


@pytest.mark.skipif(ORTHANC is None, reason="Orthanc is not installed (Debian: apt install orthanc)")
@pytest.mark.parametrize("by", [*Retrieval, "web"])
def test_what_changed_since_the_last_visit_is_told(visits: dict[str, list[Path]], tmp_path: Path, by: str) -> None:
    port = free_port()
    if by == "web" and DICOMWEB is None:
        pytest.skip("no DICOMweb of Orthanc (Debian: apt install orthanc-dicomweb)")
    orthanc = Archive(tmp_path, port, plugins=[str(DICOMWEB)] if by == "web" else [])
    try:
        for path in (one for paths in visits.values() for one in paths):
            assert orthanc.ask("/instances", path.read_bytes())
        place: Any = WebArchive(orthanc.web)
        if by != "web":
            place = DicomArchive(Peer("ARCHIVE", "127.0.0.1", orthanc.dicom), "SPINENET", Retrieval(by))
        with comparing(tmp_path, port, place) as (node, _, said):
            wanted = {"PatientID": "P1", "StudyDate": "20260301"}
            find = json.dumps({"Level": "Study", "Query": wanted}).encode()
            (key,) = orthanc.ask("/tools/find", find)
            assert orthanc.ask("/modalities/spinenet/store", key.encode())["FailedInstancesCount"] == 0
            until(lambda: any(line.startswith("compared") for line in said), 60.0)
            assert [line.partition(":")[0] for line in said] == ["graded", "compared"]
            current = node.config.folder / "results" / digest_of_uid(dcmread(visits["20260301"][0]).StudyInstanceUID)
            report: Any = dcmread(current / "reports" / "spinenet-changes.sr.dcm")
            text = report.ContentSequence[5].ContentSequence[0].TextValue
            assert (
                text.startswith("Compared with the study of 2024-03-01: ") and "nothing that was judged changed" in text
            )
            assert report.PatientID == "P1" and (current / "changes.html").exists()
            assert not list((node.config.folder / "priors").iterdir())
            assert len(list((node.config.folder / "incoming").iterdir())) == 1
    finally:
        orthanc.stop()


@pytest.mark.skipif(DCMQRSCP is None, reason="dcmtk is not installed (Debian: apt install dcmtk)")
def test_studies_are_found_in_and_taken_from_dcmtk(visits: dict[str, list[Path]], tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "store").mkdir()
    (tmp_path / "qr.cfg").write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\nHostTable BEGIN\nHostTable END\n"
        f"VendorTable BEGIN\nVendorTable END\nAETable BEGIN\nQR {tmp_path}/store RW (99, 1024mb) ANY\nAETable END\n"
    )
    with subprocess.Popen([str(DCMQRSCP), "-c", str(tmp_path / "qr.cfg")], stderr=subprocess.DEVNULL) as archive:
        try:
            peer = Peer("QR", "127.0.0.1", port)
            until(lambda: _sent(visits["20240301"], peer))
            place = DicomArchive(peer, "SPINENET", Retrieval.GET)
            (found,) = place.studies(PatientID="P1")
            assert found.StudyDate == "20240301" and place.studies(PatientID="P9") == []
            taken: list[bytes] = []

            def take(read: Any, encode: Any) -> Any:
                taken.append(encode(read()))
                return type("Kept", (), {"status": 0})

            place.retrieve(found.StudyInstanceUID, take)
            assert len(taken) == len(visits["20240301"])
        finally:
            archive.terminate()


def _sent(paths: list[Path], peer: Peer) -> bool:
    from spinenet.errors import NodeError

    try:
        peer.send(paths, "SPINENET", lambda path: None)
    except NodeError:
        time.sleep(0.1)
        return False
    return True


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"PatientName": "doe jane"}, True),
        ({"PatientName": ""}, True),
        ({"PatientBirthDate": "1970.01.01"}, True),
        ({"PatientBirthDate": "19700102"}, False),
        ({"PatientName": "Roe^Jane"}, False),
        ({"PatientID": "P1*"}, False),
        ({"PatientID": ""}, False),
    ],
)
def test_a_study_is_the_patients_only_by_all_that_both_tell(changes: dict[str, str], same: bool) -> None:
    origin = Origin("1.2", "Doe^Jane", "P1", (("PatientBirthDate", "19700101"), ("StudyDate", "20260301")))
    found = Dataset()
    told = {"PatientID": "P1", "PatientName": "Doe^Jane", "PatientBirthDate": "19700101"} | changes
    for keyword, value in told.items():
        setattr(found, keyword, value)
    assert is_of(found, origin) == same


def test_what_a_scanner_sends_of_a_study_that_was_asked_for_is_kept_as_its_own(
    tmp_path: Path, visits: dict[str, list[Path]]
) -> None:
    incoming, (path, *_) = Incoming(tmp_path / "incoming", 0), visits["20240301"]
    incoming.open()
    study = digest_of_uid(dcmread(path).StudyInstanceUID)
    incoming.asked_for[study] = tmp_path / "priors"
    for is_asked, place in ((True, tmp_path / "priors"), (False, tmp_path / "incoming" / study)):
        incoming.take(lambda: dcmread(path), lambda data: path.read_bytes(), is_asked=is_asked)
        assert len(list(place.glob("*.dcm"))) == 1
        assert (study in incoming.changed) != is_asked


@pytest.mark.skipif(ORTHANC is None, reason="Orthanc is not installed (Debian: apt install orthanc)")
@pytest.mark.parametrize("by", list(Retrieval))
def test_late_images_are_graded_with_those_that_the_archive_sends_again(
    ward: Ward, tmp_path: Path, by: Retrieval
) -> None:
    orthanc = Archive(tmp_path, ward.config.port)
    try:
        archived = [placed(number, 4.0 * number) for number in range(4)]
        for data in archived:
            assert orthanc.ask("/instances", encoded(data))
        place = DicomArchive(Peer("ARCHIVE", "127.0.0.1", orthanc.dicom), "SPINENET", by)
        callers = (*ward.config.callers, Caller("ARCHIVE"))
        with ward.running(callers=callers, keep_s=0.0, quiet_s=0.3) as node:
            deliver(ward, *archived)
            until(lambda: ward.graded and not ward.kept())
            node.config = replace(node.config, keep_s=3600.0)
            grader: Any = type("None", (), {"results": tmp_path})
            Priors(node, place, grader, 0.2)
            deliver(ward, placed(3, 12.0, grey=7), placed(9, 36.0))  # one is a correction that the archive lacks
            until(lambda: len(ward.graded) == 2)
        assert ward.graded == [4, 5] and not ward.words
        assert sorted(dcmread(path).SmallestImagePixelValue for path in ward.kept()) == [0, 0, 0, 0, 7]
    finally:
        orthanc.stop()


def test_an_archive_that_is_away_is_asked_again_and_then_left(tmp_path: Path, visits: dict[str, list[Path]]) -> None:
    port = free_port()
    away = DicomArchive(Peer("ARCHIVE", "127.0.0.1", free_port()), "SPINENET", Retrieval.MOVE)
    with comparing(tmp_path, port, away) as (_, _, said):
        Peer("SPINENET", "127.0.0.1", port).send(visits["20260301"], "ARCHIVE", lambda path: None)
        until(lambda: any(line.startswith("not_compared") for line in said), 60.0)
    assert sum(line.startswith("priors_failed") for line in said) == 4
