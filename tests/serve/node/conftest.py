"""A node that is sent images, and another that takes what it sends."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage
from pynetdicom import AE, evt
from ward import Ward, free_port

from spinenet.serve.node.peers import Peer


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
    server: Any = node.start_server((peer.host, peer.port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    yield peer, taken
    server.shutdown()
