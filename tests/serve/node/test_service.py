"""A node on the network keeps what it acknowledged, answers only whom it knows, and sends what it made of a study."""

import errno
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage
from ward import STUDIES, Ward, deliver, image, until

from spinenet.errors import NodeError, StudyError
from spinenet.serve.node import incoming
from spinenet.serve.node.incoming import patient_of
from spinenet.serve.node.peers import Peer
from spinenet.serve.node.service import Node
from spinenet.serve.node.state import SentObject
from spinenet.serve.node.study_grader import reference_to


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


def test_a_study_that_is_not_graded_is_answered_all_the_same(ward: Ward, pacs: tuple[Peer, list[Dataset]]) -> None:
    peer, taken = pacs
    ward.fault = StudyError("shows no lumbar spine")
    with ward.running(destinations=(peer,)):
        deliver(ward, image(STUDIES[0]))
        until(lambda: any("no object was made" in line for line in ward.said))  # this ward's words are no object
    assert ward.words == ["Not graded: shows no lumbar spine"]
    assert not any("tried again" in line for line in ward.said)


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
    assert [line.partition(": ")[2] for line in ward.said] == ["3 images graded of a sender that broke off"]


def test_a_study_whose_sender_broke_off_waits_for_the_rest_and_is_said_to_be_a_part(ward: Ward) -> None:
    with ward.running(quiet_s=0.4):
        with ward.association() as association:
            assert all(association.send_c_store(image(STUDIES[0], number)).Status == 0 for number in range(3))
            association.abort()
        began = time.monotonic()
        until(lambda: ward.said)
        assert time.monotonic() - began > 2.0
        assert any("3 images graded of a sender that broke off" in line for line in ward.said)
        deliver(ward, *(image(STUDIES[0], number) for number in range(3)))  # nothing had been missing
        until(lambda: len(ward.said) == 2)
        assert "broke off" not in ward.said[-1]
        deliver(ward, image(STUDIES[1]), image(STUDIES[2]))
        until(lambda: len(ward.said) == 4)
    assert not list((ward.config.folder / "incoming").glob("*/.broken_off"))


def test_a_sender_that_always_aborts_sends_whole_studies_unless_it_breaks_off_amid_an_image(ward: Ward) -> None:
    with ward.running(aborting=("SCANNER",)):
        with ward.association() as association:
            assert association.send_c_store(image(STUDIES[0])).Status == 0
            association.abort()
        until(lambda: ward.said)
        assert "broke off" not in ward.said[-1]
        with ward.association() as association:
            assert association.send_c_store(image(STUDIES[1])).Status == 0
            association.dul.socket.send(b"\x04\x00\x00\x00\x40\x00" + bytes(5000))  # 16 kB were promised
            association.abort()
        until(lambda: len(ward.said) == 2)
        assert "broke off" in ward.said[-1]


def test_a_node_that_was_ended_amid_a_study_knows_that_it_is_a_part(ward: Ward) -> None:
    with ward.running(quiet_s=30.0), ward.association() as association:
        assert association.send_c_store(image(STUDIES[0])).Status == 0
        assert list((ward.config.folder / "incoming").glob("*/.broken_off"))


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
        assert association.send_c_store(image(STUDIES[0], 2)).Status == incoming.OUT_OF_RESOURCES
        monkeypatch.undo()
    assert len(ward.kept()) == 1
    assert not list(ward.config.folder.rglob("*.partial"))
    assert dcmread(ward.kept()[0]).InstanceNumber == 1


def test_an_image_without_a_study_is_refused(ward: Ward) -> None:
    broken = image(STUDIES[0])
    del broken.StudyInstanceUID
    with ward.running(), ward.association() as association:
        assert association.send_c_store(broken).Status == incoming.CANNOT_UNDERSTAND
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
            until(lambda count=number: len(ward.graded) == count)
    assert ward.graded == [1, 2]


def test_images_are_deleted_a_while_after_their_study_is_done(ward: Ward) -> None:
    with ward.running(keep_s=0.0):
        with ward.association() as association:
            association.send_c_store(image(STUDIES[0]))
        until(lambda: ward.graded and not ward.kept())
    assert ward.graded == [1] and not ward.kept()


def test_a_port_or_a_folder_in_use_is_one_line(ward: Ward, tmp_path: Path) -> None:
    with ward.running():
        with pytest.raises(NodeError, match="cannot be opened.*choose another --port"):
            Node(replace(ward.config, folder=tmp_path / "other"), ward, ward.hear).start()
        with pytest.raises(NodeError, match="another node receives here"):
            Node(ward.config, ward, ward.hear).start()


@pytest.mark.parametrize("host", ["10.99.99.99", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_no_matter_of_ports(ward: Ward, host: str) -> None:
    with pytest.raises(NodeError, match="choose another --host"):
        Node(replace(ward.config, host=host), ward, ward.hear).start()


def test_of_two_patients_under_one_study_it_is_said_how_many_images_were_graded(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = image(STUDIES[0], 3)
    other.PatientName = "Poe^Ann"

    def grade(images: Path, earlier: Sequence[SentObject]) -> Sequence[SentObject]:
        by_patient = {one.patient: one for one in map(reference_to, sorted(images.glob("*.dcm")))}
        return [
            replace(one, class_uid=BasicTextSRStorage) if patient == patient_of(other) else one
            for patient, one in by_patient.items()
        ]

    monkeypatch.setattr(ward, "grade", grade)
    with ward.running(quiet_s=0.5):
        deliver(ward, image(STUDIES[0]), image(STUDIES[0], 2), other)
        until(lambda: any("graded" in line for line in ward.said))
    assert any("2 images graded, 1 not; 2 patients under one study UID" in line for line in ward.said)


@pytest.mark.parametrize("title", ["", "   ", "A" * 17, "A\\B", "Ä"])
def test_a_title_that_is_none_is_one_line(ward: Ward, title: str) -> None:
    with pytest.raises(NodeError, match="no title"):
        Node(replace(ward.config, aet=title), ward, ward.hear).start()
