"""Other nodes: what they are called, what they take, and programs that are not ours (DCMTK, Orthanc)."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from orthanc_archive import ORTHANC, Archive
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage
from pynetdicom import AE, evt
from ward import STUDIES, Ward, deliver, free_port, image, placed, until

from spinenet.errors import NodeError
from spinenet.serve.node.peers import Peer, send
from spinephantom import make_study
from spinephantom.patient.pathology import Mode
from spinephantom.write.dicom_files import write_dicom

STORESCU = shutil.which("storescu", path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")
"""DCMTK's: pynetdicom puts a command of the same name into the environment, which would test itself."""


def test_a_destination_that_is_not_there_is_one_line(ward: Ward, tmp_path: Path) -> None:
    image(STUDIES[0]).save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(NodeError, match=r"PACS at 127\.0\.0\.1:1 does not answer"):
        send([tmp_path / "a.dcm"], "SPINENET", Peer("PACS", "127.0.0.1", 1))


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
    server: Any = plain_only.start_server((old.host, old.port), block=False, evt_handlers=handler)
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
