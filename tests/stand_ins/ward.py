"""A node with a grader that grades nothing, images to send to it, and what waits for it."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pynetdicom import AE

from spinenet.serve.node.events import Event
from spinenet.serve.node.peers import Caller
from spinenet.serve.node.service import Node, NodeConfig
from spinenet.serve.node.state import SentObject
from spinenet.serve.node.study_grader import reference_to


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
        callers = (Caller("SCANNER"),)
        self.config = NodeConfig("SPINENET", free_port(), folder, callers, host="127.0.0.1", quiet_s=0.0)
        self.graded: list[int] = []
        self.said: list[str] = []
        self.words: list[str] = []
        self.fault: Exception | None = None

    def grade(self, images: Path, earlier: Sequence[SentObject]) -> Sequence[SentObject]:
        if self.fault:
            raise self.fault
        found = sorted(images.glob("*.dcm"))
        self.graded.append(len(found))
        return [reference_to(found[0])]

    def tell(self, images: Path, title: str, words: str) -> Sequence[SentObject]:
        self.words.append(words)
        return []

    def hear(self, event: Event) -> None:
        self.said.append(str(event))

    @contextmanager
    def running(self, **changes: Any) -> Iterator[Node]:
        node = Node(replace(self.config, **changes), self, self.hear)
        server = node.start(0.02)
        worker = threading.Thread(target=node.work, args=(0.02,))
        worker.start()
        try:
            yield node
        finally:
            node.stop()
            worker.join()
            server.shutdown()

    def kept(self) -> list[Path]:
        """Images in the folder; unlike a glob, a walk bears that the node takes a folder away meanwhile."""
        places = os.walk(self.config.folder / "incoming")
        return sorted(Path(place) / name for place, _, names in places for name in names if name.endswith(".dcm"))

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


def placed(number: int, where: float, grey: int = 0) -> Dataset:
    """An image at a place, of a UID that others may bear too."""
    data = image(STUDIES[0], number)
    data.ImagePositionPatient, data.SmallestImagePixelValue = [where, 0, 0], grey
    return data


def deliver(ward: Ward, *images: Dataset) -> None:
    with ward.association() as association:
        for one in images:
            assert association.send_c_store(one).Status == 0
