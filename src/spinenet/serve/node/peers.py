"""Other DICOM nodes, and sending them objects: each in a form that they accept, and only what they have not taken."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from spinenet.errors import NodeError

try:
    from pynetdicom import AE
except ImportError as error:
    raise NodeError("a DICOM node needs pynetdicom: pip install 'spinenet-mri[network]'") from error

SUCCESS = 0x0000
TIMEOUT_S = 60


def checked_title(text: str) -> str:
    """An application entity title; NodeError where it is none (PS3.5, 6.2: 16 characters, no backslash)."""
    title = text.strip()
    if not 0 < len(title) <= 16 or "\\" in title or not title.isascii() or not title.isprintable():
        raise NodeError(f"{text!r} is no title of a DICOM node: 1 to 16 letters without a backslash")
    return title


@dataclass(frozen=True)
class Peer:
    """Another DICOM node."""

    aet: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Peer":
        """From ``AET@HOST:PORT``; NodeError if it is not of that form.

        >>> Peer.parse("PACS@10.0.0.7:104")
        Peer(aet='PACS', host='10.0.0.7', port=104)
        """
        aet, _, place = text.partition("@")
        host, _, port = place.rpartition(":")
        if not (aet and len(aet) <= 16 and "\\" not in aet and host and port.isdecimal() and 0 < int(port) < 65536):
            raise NodeError(f"{text!r} names no DICOM node; write AET@HOST:PORT, the title with at most 16 letters")
        return cls(aet, host, int(port))

    @property
    def called(self) -> str:
        """As it is written on a command line."""
        return f"{self.aet}@{self.host}:{self.port}"


def send(files: Sequence[Path], aet: str, peer: Peer, taken: Callable[[Path], object] = lambda path: None) -> None:
    """C-STORE files to another node, and say of each when it was taken; NodeError where one is not."""
    if not files:
        return
    datasets = [dcmread(path) for path in files]
    with _association(datasets, aet, peer) as association:
        for path, data in zip(files, datasets, strict=True):
            status = _sent(association, _acceptable(data, association), peer)
            # 0xBxxx are warnings: stored, though not exactly as sent
            if "Status" not in status or (status.Status != SUCCESS and status.Status >> 12 != 0xB):
                answer = f"0x{status.Status:04X}" if "Status" in status else "nothing"
                raise NodeError(f"{peer.aet} did not take a {data.Modality} object (answered {answer})")
            taken(path)


@contextmanager
def _association(datasets: Sequence[Any], aet: str, peer: Peer) -> Iterator[Any]:
    """An association for these objects, uncompressed as every node must take them, and as they are."""
    node = AE(aet)
    node.acse_timeout = node.dimse_timeout = node.network_timeout = TIMEOUT_S
    for uid in dict.fromkeys(data.SOPClassUID for data in datasets):
        node.add_requested_context(uid, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    compressed = {(data.SOPClassUID, data.file_meta.TransferSyntaxUID) for data in datasets if _is_compressed(data)}
    for uid, syntax in sorted(compressed):
        node.requested_contexts = [*node.requested_contexts, _context(uid, syntax)]
    association = node.associate(peer.host, peer.port, ae_title=peer.aet)
    if not association.is_established:
        raise NodeError(f"{peer.aet} at {peer.host}:{peer.port} does not answer or refuses {aet}")
    try:
        yield association
    finally:
        association.release()


def _context(uid: str, syntax: str) -> Any:
    from pynetdicom.presentation import build_context

    return build_context(uid, syntax)


def _is_compressed(data: Any) -> bool:
    return bool(data.file_meta.TransferSyntaxUID.is_compressed)


def _acceptable(data: Any, association: Any) -> Any:
    """The object as the other node takes it: unpacked where it does not take it compressed."""
    syntax = data.file_meta.TransferSyntaxUID
    accepted = {
        one
        for context in association.accepted_contexts
        for one in context.transfer_syntax
        if context.abstract_syntax == data.SOPClassUID
    }
    if syntax.is_compressed and syntax not in accepted:
        data.decompress(generate_instance_uid=False)
    return data


def _sent(association: Any, data: Any, peer: Peer) -> Any:
    """The answer to one C-STORE, empty where there was none."""
    try:
        return association.send_c_store(data)
    except ValueError as error:
        raise NodeError(f"{peer.aet} does not accept the kind of object that is sent: {error}") from error
