"""A node on the network keeps what it acknowledged, answers only whom it knows, and sends what it made of a study."""

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pynetdicom import AE, evt

from spinenet.errors import NodeError, OutputError
from spinenet.serve import node as listen
from spinenet.serve.node import Node, NodeConfig
from spinenet.serve.peers import Peer, send
from spinephantom import make_study
from spinephantom.patient.pathology import Mode
from spinephantom.write.dicom_files import write_dicom

STORESCU = shutil.which("storescu", path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")
"""DCMTK's: pynetdicom puts a command of the same name into the environment, which would test itself."""
ORTHANC = shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def image(study: str, number: int = 1) -> Dataset:
    data = Dataset()
    data.SOPClassUID = MRImageStorage
    data.SOPInstanceUID = generate_uid(entropy_srcs=[study, str(number)])
    data.StudyInstanceUID, data.SeriesInstanceUID = study, generate_uid(entropy_srcs=[study])
    data.Modality, data.PatientName, data.InstanceNumber = "MR", "Doe^John", number
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    return data


STUDIES = [generate_uid(entropy_srcs=[f"study {index}"]) for index in range(8)]


class Ward:
    """A node with a grader that returns the first image of a study as its result, and what it said."""

    def __init__(self, folder: Path) -> None:
        self.config = NodeConfig("SPINENET", free_port(), folder, ("SCANNER",), host="127.0.0.1", quiet_s=0.0)
        self.graded: list[int] = []
        self.said: list[str] = []
        self.fault: Exception | None = None

    def grade(self, folder: Path) -> Sequence[Path]:
        if self.fault:
            raise self.fault
        images = sorted(folder.glob("*.dcm"))
        self.graded.append(len(images))
        return images[:1]

    @contextmanager
    def running(self, **changes: Any) -> Iterator[Node]:
        node = Node(replace(self.config, **changes), self.grade, self.said.append)
        server = node.start()
        stop = threading.Event()
        worker = threading.Thread(target=node.work, args=(stop, 0.02))
        worker.start()
        try:
            yield node
        finally:
            stop.set()
            worker.join()
            server.shutdown()

    def kept(self) -> list[Path]:
        return sorted((self.config.folder / "incoming").glob("*/*.dcm"))

    @contextmanager
    def association(self, caller: str = "SCANNER", called: str = "SPINENET") -> Iterator[Any]:
        client = AE(caller)
        client.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
        association = client.associate("127.0.0.1", self.config.port, ae_title=called)
        yield association
        if association.is_established:
            association.release()


def until(get: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What ``get`` returns as soon as that is something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := get():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen")


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    return Ward(tmp_path / "node")


@pytest.fixture
def pacs() -> Iterator[tuple[Peer, list[Dataset]]]:
    """Another node that takes everything."""
    taken: list[Dataset] = []

    def store(event: Any) -> int:
        taken.append(event.dataset)
        return 0

    node = AE("PACS")
    node.add_supported_context(MRImageStorage)
    peer = Peer("PACS", "127.0.0.1", free_port())
    server = node.start_server((peer.host, peer.port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    yield peer, taken
    server.shutdown()


def test_a_study_is_graded_once_when_all_of_it_is_there_and_sent_on(
    ward: Ward, pacs: tuple[Peer, list[Dataset]]
) -> None:
    peer, taken = pacs
    with ward.running(destinations=(peer,)):
        with ward.association() as association:
            for number in range(5):
                assert association.send_c_store(image(STUDIES[0], number)).Status == 0
            assert ward.graded == []  # more may come
        until(lambda: len(ward.said) == 2)
    assert (ward.graded, len(taken)) == ([5], 1)
    assert [line.partition(": ")[2] for line in ward.said] == ["5 images graded", "1 objects sent"]
    assert not any("Doe" in line for line in ward.said)


def test_only_known_titles_are_answered(ward: Ward) -> None:
    with ward.running():
        for caller, called in (("STRANGER", "SPINENET"), ("SCANNER", "OTHER")):
            with ward.association(caller, called) as association:
                assert not association.is_established
        with ward.association() as association:
            assert association.is_established


def test_an_aborted_association_loses_nothing_that_was_acknowledged(ward: Ward) -> None:
    with ward.running():
        with ward.association() as association:
            for number in range(3):
                assert association.send_c_store(image(STUDIES[0], number)).Status == 0
            association.abort()
        until(lambda: ward.said)
    assert ward.graded == [3]
    assert [line.partition(": ")[2] for line in ward.said] == ["3 images graded"]  # and sent nowhere


def test_a_flood_from_many_senders_is_kept_whole(ward: Ward) -> None:
    def deliver(study: str) -> None:
        with ward.association() as association:
            for number in range(20):
                assert association.send_c_store(image(study, number)).Status == 0

    with ward.running():
        senders = [threading.Thread(target=deliver, args=(study,)) for study in STUDIES]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        until(lambda: len(ward.graded) == len(STUDIES), 30.0)
    assert len(ward.kept()) == 20 * len(STUDIES)
    assert ward.graded == [20] * len(STUDIES)


def test_a_full_disk_is_told_to_the_sender_and_leaves_no_half_image(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with ward.running(), ward.association() as association:
        assert association.send_c_store(image(STUDIES[0], 1)).Status == 0
        monkeypatch.setattr(os, "fsync", full)
        assert association.send_c_store(image(STUDIES[0], 2)).Status == listen.OUT_OF_RESOURCES
        monkeypatch.undo()
    assert len(ward.kept()) == 1
    assert not list(ward.config.folder.rglob("*.partial"))
    assert dcmread(ward.kept()[0]).InstanceNumber == 1


def test_an_image_without_a_study_is_refused(ward: Ward) -> None:
    broken = image(STUDIES[0])
    del broken.StudyInstanceUID
    with ward.running(), ward.association() as association:
        assert association.send_c_store(broken).Status == listen.CANNOT_UNDERSTAND
    assert not ward.kept()


def test_a_node_that_was_killed_goes_on_and_repeats_nothing(ward: Ward) -> None:
    ward.fault = NodeError("PACS does not answer")
    with ward.running():
        with ward.association() as association:
            association.send_c_store(image(STUDIES[0]))
        until(lambda: ward.said)
    assert "tried again in 60 s" in ward.said[0]
    ward.fault = None
    with ward.running():
        until(lambda: ward.graded)
    with ward.running() as node:
        until(lambda: node.complete() == [])
    assert ward.graded == [1]


def test_images_that_come_late_are_graded_with_the_others(ward: Ward) -> None:
    with ward.running():
        for number in (1, 2):
            with ward.association() as association:
                association.send_c_store(image(STUDIES[0], number))
            until(lambda count=number: len(ward.graded) == count)  # type: ignore[misc]
    assert ward.graded == [1, 2]


def test_images_are_deleted_a_while_after_their_study_is_done(ward: Ward) -> None:
    with ward.running(keep_s=0.0):
        with ward.association() as association:
            association.send_c_store(image(STUDIES[0]))
        until(lambda: ward.graded and not ward.kept())
    assert ward.graded == [1] and not ward.kept()


def test_a_destination_that_is_not_there_is_one_line(ward: Ward, tmp_path: Path) -> None:
    image(STUDIES[0]).save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(NodeError, match=r"PACS at 127\.0\.0\.1:1 does not answer"):
        send([tmp_path / "a.dcm"], "SPINENET", Peer("PACS", "127.0.0.1", 1))


def test_a_port_or_a_folder_in_use_is_one_line(ward: Ward, tmp_path: Path) -> None:
    with ward.running():
        with pytest.raises(NodeError, match="cannot be opened"):
            Node(replace(ward.config, folder=tmp_path / "other"), ward.grade, print).start()
        with pytest.raises(NodeError, match="another node receives here"):
            Node(ward.config, ward.grade, print).start()


@pytest.mark.parametrize("title", ["", "   ", "A" * 17, "A\\B", "Ä"])
def test_a_title_that_is_none_is_one_line(ward: Ward, title: str) -> None:
    with pytest.raises(NodeError, match="no title"):
        Node(replace(ward.config, aet=title), ward.grade, print).start()


def placed(number: int, where: float, grey: int = 0) -> Dataset:
    """An image at a place, of a UID that others may bear too."""
    data = image(STUDIES[0], number)
    data.ImagePositionPatient, data.SmallestImagePixelValue = [where, 0, 0], grey
    return data


def deliver(ward: Ward, *images: Dataset) -> None:
    with ward.association() as association:
        for one in images:
            assert association.send_c_store(one).Status == 0


def test_a_corrected_image_takes_the_place_of_the_first_and_the_study_is_graded_anew(ward: Ward) -> None:
    with ward.running():
        deliver(ward, placed(1, 0.0), placed(2, 4.0))
        until(lambda: len(ward.graded) == 1)
        deliver(ward, placed(2, 4.0, grey=7))
        until(lambda: len(ward.graded) == 2)
        deliver(ward, placed(2, 4.0, grey=7))  # sent again as it was: nothing to do
        time.sleep(0.3)
    assert ward.graded == [2, 2] and {dcmread(path).SmallestImagePixelValue for path in ward.kept()} == {0, 7}


def test_different_images_under_one_uid_are_all_kept(ward: Ward) -> None:
    with ward.running():
        deliver(ward, *(placed(1, 4.0 * index) for index in range(13)))
        until(lambda: ward.graded)
    assert ward.graded == [13]


def test_one_late_image_does_not_replace_a_result_whose_images_were_deleted(ward: Ward) -> None:
    with ward.running(keep_s=0.0):
        deliver(ward, *(placed(number, 4.0 * number) for number in range(5)))
        until(lambda: ward.graded and not ward.kept())
        deliver(ward, placed(9, 36.0))
        until(lambda: any("send the whole study again" in line for line in ward.said))
        assert ward.graded == [5] and len(ward.kept()) == 1  # kept, as it was acknowledged
        deliver(ward, *(placed(number, 4.0 * number) for number in range(5)))
        until(lambda: len(ward.graded) == 2)
    assert ward.graded == [5, 6]


def test_a_passing_fault_loses_no_image_and_is_tried_again(ward: Ward) -> None:
    for ward.fault in (OSError(errno.EIO, "read"), MemoryError(), ZeroDivisionError(), OutputError("busy")):
        ward.said.clear()
        with ward.running(retry_s=0.2, keep_s=0.0):
            deliver(ward, placed(1, 0.0))
            until(lambda: any("tried again" in line for line in ward.said))
            assert ward.kept()
    ward.fault = None
    with ward.running():
        until(lambda: ward.graded)
    assert ward.graded == [1]


def test_a_study_that_ends_the_node_again_and_again_is_set_aside(ward: Ward) -> None:
    with ward.running() as node:
        deliver(ward, placed(1, 0.0))
        until(lambda: ward.graded)
        folder = node.incoming
    (study,) = [path.name for path in folder.iterdir()]
    (next(folder.glob("*/*.dcm"))).touch()  # changed, so that it is to be graded again
    for _ in range(listen.MAX_TRIES):
        node.state.begin(study)  # and was killed
    with ward.running():
        until(lambda: any("set aside" in line for line in ward.said))
    assert ward.graded == [1] and ward.kept()


def test_a_study_of_which_images_were_refused_waits_for_them(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = listen.write_safely

    def full(path: Path, content: bytes) -> None:
        if b"refuse" in content:
            raise OSError(errno.ENOSPC, "No space left on device")
        kept(path, content)

    monkeypatch.setattr(listen, "write_safely", full)
    second = placed(2, 4.0)
    second.SeriesDescription = "refuse"
    with ward.running():
        with ward.association() as association:
            assert association.send_c_store(placed(1, 0.0)).Status == 0
            assert association.send_c_store(second).Status == listen.OUT_OF_RESOURCES
        time.sleep(0.3)
        assert ward.graded == []
        monkeypatch.undo()
        deliver(ward, second)
        until(lambda: ward.graded)
    assert ward.graded == [2]


def test_a_clock_that_is_set_changes_nothing(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    with ward.running(keep_s=3600.0):
        deliver(ward, placed(1, 0.0))
        until(lambda: ward.graded)
        for shift in (-1e8, 1e8):
            monkeypatch.setattr(time, "time", lambda shift=shift: 1.7e9 + shift)
            deliver(ward, placed(2 + int(shift > 0), 4.0))
        until(lambda: len(ward.graded) >= 2)
        assert ward.kept()


def test_a_state_that_is_damaged_is_put_aside(ward: Ward) -> None:
    ward.config.folder.mkdir(parents=True)
    (ward.config.folder / "node.sqlite").write_bytes(b"half a record" * 100)
    with ward.running():
        deliver(ward, placed(1, 0.0))
        until(lambda: ward.graded)
    assert (ward.config.folder / "node.sqlite.damaged").exists()


def test_a_pdu_that_promises_gigabytes_is_not_waited_for(ward: Ward) -> None:
    with ward.running(), socket.create_connection(("127.0.0.1", ward.config.port)) as stranger:
        stranger.sendall(b"\x01\x00\xff\xff\xff\xf0" + bytes(1000))
        stranger.settimeout(10)
        assert stranger.recv(10) == b""  # closed


def test_one_destination_that_is_away_costs_the_other_nothing_twice(
    ward: Ward, pacs: tuple[Peer, list[Dataset]]
) -> None:
    peer, taken = pacs
    absent = Peer("AWAY", "127.0.0.1", free_port())
    with ward.running(destinations=(peer, absent), retry_s=0.1):
        deliver(ward, placed(1, 0.0))
        until(lambda: sum("tried again" in line for line in ward.said) >= 3)
    assert len(taken) == 1 and ward.graded == [1]  # graded once, however often it is sent
    waits = [line.rpartition(" in ")[2] for line in ward.said if "tried again" in line]
    assert waits[0] == "0 s" and ward.kept()


def test_a_destination_gets_objects_in_a_form_that_it_takes(tmp_path: Path) -> None:
    import numpy as np

    packed = image(STUDIES[0], 1)
    packed.Rows = packed.Columns = 8
    packed.BitsAllocated, packed.BitsStored, packed.HighBit, packed.PixelRepresentation = 16, 16, 15, 0
    packed.SamplesPerPixel, packed.PhotometricInterpretation = 1, "MONOCHROME2"
    packed.PixelData = np.arange(64, dtype="<u2").tobytes()
    packed.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
    packed.save_as(tmp_path / "packed.dcm", enforce_file_format=True)
    plain_only = AE("OLD")
    plain_only.add_supported_context(MRImageStorage, "1.2.840.10008.1.2")
    got: list[Any] = []
    handler = [(evt.EVT_C_STORE, lambda event: got.append(event.dataset) or 0)]
    old = Peer("OLD", "127.0.0.1", free_port())
    server = plain_only.start_server((old.host, old.port), block=False, evt_handlers=handler)
    try:
        send([tmp_path / "packed.dcm"], "SPINENET", old)
    finally:
        server.shutdown()
    assert bytes(got[0].PixelData) == np.arange(64, dtype="<u2").tobytes()


@pytest.mark.parametrize("text", ["PACS", "PACS@host", "@host:104", "PACS@host:x", "MUCH_TOO_LONG_A_TITLE@host:104"])
def test_a_node_is_named_in_one_way(text: str) -> None:
    with pytest.raises(NodeError, match="AET@HOST:PORT"):
        Peer.parse(text)


@pytest.mark.skipif(STORESCU is None, reason="dcmtk is not installed (Debian: apt install dcmtk)")
def test_dcmtk_can_send_to_it(ward: Ward, tmp_path: Path) -> None:
    for number in range(3):
        image(STUDIES[0], number).save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    files = [str(path) for path in sorted(tmp_path.glob("*.dcm"))]
    with ward.running():
        command = [str(STORESCU), "-aet", "SCANNER", "-aec", "SPINENET", "127.0.0.1", str(ward.config.port), *files]
        subprocess.run(command, check=True, timeout=60)
        until(lambda: ward.graded)
    assert ward.graded == [3]


class Archive:
    """A running Orthanc that knows the node as ``spinenet``."""

    def __init__(self, folder: Path, node_port: int) -> None:
        self.http, self.dicom = free_port(), free_port()
        config = {
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "HttpPort": self.http,
            "DicomPort": self.dicom,
            "DicomAet": "ARCHIVE",
            "AuthenticationEnabled": False,
            "RemoteAccessAllowed": False,
            "Plugins": [],
            "DicomModalities": {"spinenet": ["SPINENET", "127.0.0.1", node_port]},
        }
        (folder / "orthanc.json").write_text(json.dumps(config))
        self.log = (folder / "orthanc.log").open("wb")
        self.process = subprocess.Popen([str(ORTHANC), str(folder / "orthanc.json")], stdout=self.log, stderr=self.log)
        until(lambda: self.ask("/system"), 60.0)

    def ask(self, path: str, body: bytes | None = None) -> Any:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", body, timeout=60) as answer:
                return json.loads(answer.read())
        except OSError:
            return None

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[tuple[Archive, int]]:
    port = free_port()
    archive = Archive(tmp_path, port)
    yield archive, port
    archive.stop()


@pytest.mark.skipif(ORTHANC is None, reason="Orthanc is not installed (Debian: apt install orthanc)")
def test_a_study_sent_from_orthanc_comes_back_as_a_report(archive: tuple[Archive, int], tmp_path: Path) -> None:
    orthanc, port = archive
    write_dicom(make_study(2, mode=Mode.SCREENING, axial=False, size=256, slices=3, sub_slices=1), tmp_path / "study")
    for path in (tmp_path / "study").rglob("*.dcm"):
        assert orthanc.ask("/instances", path.read_bytes())
    (study,) = orthanc.ask("/studies")
    command = [sys.executable, "-c", "from spinenet.cli import main; main()", "listen", "--out", str(tmp_path / "node")]
    command += ["--allow", "ARCHIVE", "--port", str(port), "--host", "127.0.0.1", "--wait", "0.5"]
    command += ["--send-to", f"ARCHIVE@127.0.0.1:{orthanc.dicom}", "--identify"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as node:
        try:
            sent = until(lambda: orthanc.ask("/modalities/spinenet/store", study.encode()), 60.0)
            assert sent["FailedInstancesCount"] == 0
            find = json.dumps({"Level": "Series", "Query": {"Modality": "SR"}, "Expand": True}).encode()
            (report,) = until(lambda: orthanc.ask("/tools/find", find), 60.0)
        finally:
            node.terminate()
    instance = orthanc.ask(f"/instances/{report['Instances'][0]}/simplified-tags")
    assert instance["SOPClassUID"] == "1.2.840.10008.5.1.4.1.1.88.34"  # Comprehensive 3D SR
    assert len(orthanc.ask("/studies")) == 1  # the report belongs to the study it was made of
