"""A DICOM node when images are corrected or late, when its grader fails, its clock is set or its state damaged."""

import errno
import io
import socket
import time
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from ward import STUDIES, Ward, deliver, image, placed, until

from spinenet.errors import OutputError
from spinenet.serve.node import incoming, service
from spinenet.serve.node.incoming import SUCCESS, Incoming, signature
from spinenet.serve.node.service import Node
from spinenet.serve.node.state import SentObject
from spinenet.system.lone_process import ProcessLostError


def test_a_corrected_image_takes_the_place_of_the_first_and_the_study_is_graded_anew(ward: Ward) -> None:
    with ward.running():
        deliver(ward, placed(1, 0.0), placed(2, 4.0))
        until(lambda: len(ward.graded) == 1)
        deliver(ward, placed(2, 4.0, grey=7))
        until(lambda: len(ward.graded) == 2)
        deliver(ward, placed(2, 4.0, grey=7))  # sent again as it was: nothing to do
        time.sleep(0.3)
    assert ward.graded == [2, 2] and {dcmread(path).SmallestImagePixelValue for path in ward.kept()} == {0, 7}


def packed(data: Dataset, syntax: str) -> bytes:
    """A file of an image with pixels, a private element and a sequence, in a transfer syntax."""
    made = deepcopy(data)
    made.Rows = made.Columns = 8
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.PixelData = np.arange(64, dtype="<u2").tobytes()
    made.add_new(0x00190010, "LO", "ACME")
    made.add_new(0x0019100A, "US", 7)
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.3"
    made.ReferencedImageSequence = [item]
    buffer = io.BytesIO()
    if UID(syntax).is_compressed:
        made.compress(syntax, generate_instance_uid=False)
        made.save_as(buffer, enforce_file_format=True)
    else:
        made.file_meta.TransferSyntaxUID = UID(syntax)
        little, implicit = UID(syntax).is_little_endian, UID(syntax).is_implicit_VR
        made.save_as(buffer, enforce_file_format=True, little_endian=little, implicit_vr=implicit)
    return buffer.getvalue()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, RLELossless, DeflatedExplicitVRLittleEndian])
def test_an_image_sent_again_in_another_transfer_syntax_is_no_other_image(tmp_path: Path, syntax: str) -> None:
    first = placed(1, 0.0, grey=1)
    keeper = Incoming(tmp_path / "incoming", 0)
    keeper.open()

    def take(data: Dataset, syntax: str) -> str:
        content = packed(data, syntax)
        assert keeper.take(lambda: dcmread(io.BytesIO(content)), lambda _: content).status == SUCCESS
        (study,) = keeper.changed
        return signature(keeper.images(study))

    before = take(first, ExplicitVRLittleEndian)
    assert take(first, syntax) == before
    changed = take(placed(1, 0.0, grey=2), syntax)
    assert changed != before and take(placed(1, 0.0, grey=2), ExplicitVRLittleEndian) == changed
    (study,) = keeper.changed
    assert len(keeper.images(study)) == 1


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
        folder = node.incoming.folder
    (study,) = [path.name for path in folder.iterdir()]
    (next(folder.glob("*/*.dcm"))).touch()  # changed, so that it is to be graded again
    for _ in range(service.MAX_TRIES):
        node.state.begin(study)  # and was killed
    with ward.running():
        until(lambda: any("set aside" in line for line in ward.said))
    assert ward.graded == [1] and ward.kept()


def test_a_study_of_which_images_were_refused_waits_for_them(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = incoming.write_safely

    def full(path: Path, content: bytes) -> None:
        if b"refuse" in content:
            raise OSError(errno.ENOSPC, "No space left on device")
        kept(path, content)

    monkeypatch.setattr(incoming, "write_safely", full)
    second = placed(2, 4.0)
    second.SeriesDescription = "refuse"
    with ward.running():
        with ward.association() as association:
            assert association.send_c_store(placed(1, 0.0)).Status == 0
            assert association.send_c_store(second).Status == incoming.OUT_OF_RESOURCES
        time.sleep(0.3)
        assert ward.graded == []
        monkeypatch.undo()
        deliver(ward, second)
        until(lambda: ward.graded)
    assert ward.graded == [2]


def test_a_study_whose_images_were_refused_for_good_is_graded_without_them(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ward.running(), ward.association() as association:
        assert association.send_c_store(placed(1, 0.0)).Status == 0
        monkeypatch.setattr(incoming, "write_safely", _full)
        assert association.send_c_store(placed(2, 4.0)).Status == incoming.OUT_OF_RESOURCES
        association.release()
        time.sleep(0.3)
        assert ward.graded == []
        monkeypatch.setattr(service, "MAX_REFUSED_S", 0.1)
        until(lambda: ward.graded)
        assert any("1 images were refused and never sent again" in line for line in ward.said)


def _full(path: Path, content: bytes) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_study_that_kills_its_process_has_its_turn_last_and_is_set_aside(ward: Ward) -> None:
    class Deadly(Ward):
        def grade(self, images: Path, earlier: Sequence[SentObject]) -> Sequence[SentObject]:
            if len(list(images.glob("*.dcm"))) == 3:
                raise ProcessLostError("its process died, perhaps for lack of memory")
            return super().grade(images, earlier)

    deadly = Deadly(ward.config.folder)
    with deadly.running(retry_s=0.01):
        deliver(deadly, *(placed(number, 4.0 * number) for number in range(3)))
        until(lambda: any("tried again" in line for line in deadly.said))
        deliver(deadly, image(STUDIES[1]))
        until(lambda: any("set aside" in line for line in deadly.said))
        until(lambda: deadly.graded)
    assert sum("its process died" in line for line in deadly.said) == 5
    (words,) = deadly.words
    assert words.startswith("Not graded: set aside") and len(deadly.kept()) == 4
    with deadly.running():
        time.sleep(0.3)
    assert len(deadly.words) == 1  # it is said once


def test_what_has_just_come_is_not_held_up_by_what_lies_there(ward: Ward) -> None:
    with ward.running():
        deliver(ward, *(image(study) for study in STUDIES[:6]))
        until(lambda: len(ward.graded) == 6)
    for path in (ward.config.folder / "incoming").glob("*/*.dcm"):
        path.touch()  # all of them are to be graded again
    node = Node(ward.config, ward, ward.hear)
    server = node.start(0.02)
    deliver(ward, image(STUDIES[6]), image(STUDIES[6], 2))
    until(lambda: len(node.complete()) == 7)
    assert node.complete()[0] == incoming.digest_of_uid(STUDIES[6])
    node.stop()
    node.work()
    server.shutdown()


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
