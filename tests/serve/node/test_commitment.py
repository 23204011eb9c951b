"""Whoever asks whether images are kept is told so of those that are, on an association of its own."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from orthanc_archive import ORTHANC, Archive
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage, generate_uid
from pynetdicom import AE, evt
from ward import STUDIES, Ward, deliver, free_port, image, until

from spinenet.serve.node.commitment import INSTANCE, MODEL, NO_SUCH_OBJECT
from spinenet.serve.node.peers import Caller


def request(*uids: str) -> Dataset:
    asked = Dataset()
    asked.TransactionUID = generate_uid()
    asked.ReferencedSOPSequence = []
    for uid in uids:
        one = Dataset()
        one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = MRImageStorage, uid
        asked.ReferencedSOPSequence.append(one)
    return asked


def hearing(reports: list[Any]) -> Any:
    """A handler that keeps what it is told."""

    def hear(event: Any) -> tuple[int, None]:
        reports.append(event.event_information)
        return 0, None

    return (evt.EVT_N_EVENT_REPORT, hear)


@pytest.fixture
def told() -> Iterator[tuple[int, list[Any]]]:
    """A node that is told what is kept: its port, and what it was told."""
    reports: list[Any] = []
    node = AE("SCANNER")
    node.add_supported_context(MODEL, scu_role=False, scp_role=True)
    port = free_port()
    server: Any = node.start_server(("127.0.0.1", port), block=False, evt_handlers=[hearing(reports)])
    yield port, reports
    server.shutdown()


def ask(ward: Ward, asked: Dataset, handlers: Any = (), linger: Any = lambda: None) -> int:
    client = AE("SCANNER")
    client.add_requested_context(MODEL)
    association = client.associate("127.0.0.1", ward.config.port, ae_title="SPINENET", evt_handlers=list(handlers))
    assert association.is_established
    status, _ = association.send_n_action(asked, 1, MODEL, INSTANCE)
    linger()
    association.release()
    return int(status.Status)


def test_images_that_lie_here_are_promised_and_kept(ward: Ward, told: tuple[int, list[Any]]) -> None:
    port, reports = told
    kept, unknown = image(STUDIES[0]), image(STUDIES[1])
    caller = Caller("SCANNER", "127.0.0.1", port)
    with ward.running(commits=True, keep_s=0.5, callers=(caller,)):
        deliver(ward, kept)
        asked = request(kept.SOPInstanceUID, unknown.SOPInstanceUID)
        assert ask(ward, asked) == 0
        (report,) = until(lambda: reports)
        until(lambda: ward.graded)
        deliver(ward, image(STUDIES[2]))
        until(lambda: len(ward.kept()) == 1)  # the other study's image was deleted
    assert report.TransactionUID == asked.TransactionUID
    assert [one.ReferencedSOPInstanceUID for one in report.ReferencedSOPSequence] == [kept.SOPInstanceUID]
    assert [(one.ReferencedSOPInstanceUID, one.FailureReason) for one in report.FailedSOPSequence] == [
        (unknown.SOPInstanceUID, NO_SUCH_OBJECT)
    ]


def test_who_has_no_listed_address_is_told_on_the_association_that_asked(ward: Ward) -> None:
    reports: list[Any] = []
    with ward.running(commits=True):
        deliver(ward, image(STUDIES[0]))
        ask(ward, request(image(STUDIES[0]).SOPInstanceUID), [hearing(reports)], lambda: until(lambda: reports))
    assert len(reports[0].ReferencedSOPSequence) == 1 and "FailedSOPSequence" not in reports[0]


def test_an_answer_that_could_not_be_given_is_given_after_a_kill(ward: Ward, told: tuple[int, list[Any]]) -> None:
    port, reports = told
    callers = (Caller("SCANNER", "127.0.0.1", free_port()),)  # nobody is there
    with ward.running(commits=True, callers=callers):
        deliver(ward, image(STUDIES[0]))
        assert ask(ward, request(image(STUDIES[0]).SOPInstanceUID)) == 0
        until(lambda: any("told again" in line for line in ward.said))
    with ward.running(commits=True, callers=(replace(callers[0], port=port),)):
        assert len(until(lambda: reports)) == 1


def test_nothing_is_promised_unless_asked_for_and_asked_rightly(ward: Ward) -> None:
    with ward.running():
        client = AE("SCANNER")
        client.add_requested_context(MODEL)
        assert not client.associate("127.0.0.1", ward.config.port, ae_title="SPINENET").accepted_contexts
    with ward.running(commits=True):
        nothing = Dataset()
        nothing.TransactionUID = generate_uid()
        assert ask(ward, nothing) == 0x0115  # invalid argument


@pytest.mark.skipif(ORTHANC is None, reason="Orthanc is not installed (Debian: apt install orthanc)")
def test_orthanc_is_told_what_is_kept(ward: Ward, tmp_path: Path) -> None:
    archive = Archive(tmp_path, ward.config.port)
    try:
        image(STUDIES[0]).save_as(tmp_path / "a.dcm", enforce_file_format=True)
        key = archive.ask("/instances", (tmp_path / "a.dcm").read_bytes())["ID"]
        with ward.running(commits=True, callers=(Caller("ARCHIVE", "127.0.0.1", archive.dicom),)):
            archive.ask("/modalities/spinenet/store", key.encode())
            until(ward.kept)
            asked = json.dumps({"Resources": [key]}).encode()
            place = archive.ask("/modalities/spinenet/storage-commitment", asked)["Path"]
            until(lambda: (archive.ask(place) or {}).get("Status") != "Pending")
            assert archive.ask(place)["Status"] == "Success"
    finally:
        archive.stop()
