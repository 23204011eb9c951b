"""Who a node speaks with: callers that may send to it, and other nodes that it sends to or asks.

An object is sent in a form that the other node takes, and only where it has not taken it yet.
"""

import errno
import ipaddress
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from ssl import SSLContext
from typing import Any

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.presentation import build_context

from spinenet.errors import NodeError, in_words

SUCCESS = 0x0000
CONNECT_S, TIMEOUT_S = 15, 60
TLS_SCHEME = "tls://"
_HOST_NAME = re.compile(r"([\w-]+\.)*(?!\d+\.?$)[\w-]+\.?")
"""A name of a host, whose last part is no number (RFC 1123, 2.1): 999.1.1.1 is none, nor is an address gone wrong."""


def cannot_open(error: OSError, host: str, port: int, option: str) -> NodeError:
    """Why a port cannot be opened, and which option to choose anew: another machine's address is no matter of ports."""
    place = f"port {host or '*'}:{port} cannot be opened: {in_words(error)}"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return NodeError(f"{place}; choose another --host, an address of this machine")
    return NodeError(f"{place}; choose another {option}")


class UnreachableError(NodeError):
    """A destination does not answer at all, so that nothing that waits for it can be sent now."""


class RefusedObjectError(NodeError):
    """A destination answers and did not take one object."""


def checked_title(text: str) -> str:
    """An application entity title; NodeError where it is none (PS3.5, 6.2: 16 characters, no backslash)."""
    title = text.strip()
    if not 0 < len(title) <= 16 or "\\" in title or not title.isascii() or not title.isprintable():
        raise NodeError(f"{text!r} is no title of a DICOM node: 1 to 16 letters without a backslash")
    return title


@dataclass(frozen=True)
class Peer:
    """Another DICOM node; ``tls`` is what it is spoken with in secret, None in the clear."""

    aet: str
    host: str
    port: int
    is_secret: bool = False
    tls: SSLContext | None = None

    @classmethod
    def parse(cls, text: str) -> "Peer":
        """From ``AET@HOST:PORT`` or ``tls://AET@HOST:PORT``; NodeError if it is not of that form.

        >>> Peer.parse("PACS@10.0.0.7:104").called
        'PACS@10.0.0.7:104'
        """
        plain = text.removeprefix(TLS_SCHEME)
        aet, _, place = plain.partition("@")
        host, _, port = place.rpartition(":")
        if not (aet and len(aet) <= 16 and "\\" not in aet and host and port.isdecimal() and 0 < int(port) < 65536):
            raise NodeError(f"{text!r} names no DICOM node; write AET@HOST:PORT, the title with at most 16 letters")
        return cls(aet, host.strip("[]"), int(port), plain != text)

    def secured(self, tls: SSLContext | None) -> "Peer":
        """This node, spoken with by ``tls`` where that was asked for; NodeError where there is none."""
        if self.is_secret and tls is None:
            raise NodeError(f"{self.called}: TLS needs a CA or a certificate; give tls_ca or tls_certificate")
        return replace(self, tls=tls if self.is_secret else None)

    @property
    def called(self) -> str:
        """As it is written on a command line."""
        return f"{TLS_SCHEME if self.is_secret else ''}{self.aet}@{self.host}:{self.port}"

    def send(self, files: Sequence[Path], aet: str, taken: Callable[[Path], object]) -> None:
        """C-STORE files to it, and say of each when it was taken; NodeError where one is not."""
        send(files, aet, self, taken)


@dataclass(frozen=True)
class Caller:
    """Who may send: a title and, where ``host`` is not empty, the address, name or network it has to come from.
    ``port`` is where it takes answers to a commitment, 0 where that is not known."""

    aet: str
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> "Caller":
        """From ``AET``, ``AET@HOST``, ``AET@10.0.0.0/24`` or ``AET@HOST:PORT``; NodeError for anything else.

        >>> Caller.parse("MR1@10.0.0.7:104"), Caller.parse("MR1")
        (Caller(aet='MR1', host='10.0.0.7', port=104), Caller(aet='MR1', host='', port=0))
        """
        aet, at, host = text.partition("@")
        port = ""
        if host.count(":") == 1 or host.startswith("["):
            host, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
        if (at and not host) or (port and not (port.isdecimal() and 0 < int(port) < 65536)):
            raise NodeError(f"{text!r} names nobody who may send; write AET, AET@HOST or AET@HOST:PORT")
        host = host.strip("[]")
        if host and not (_is_network(host) or _HOST_NAME.fullmatch(host)):
            raise NodeError(f"{text!r}: {host} is no address, network or name of a host; correct it")
        return cls(checked_title(aet), host, int(port or 0))

    def is_at(self, address: str) -> bool:
        """Whether an address is one it may come from."""
        if not self.host:
            return True
        came = _plain(address)
        try:
            return came in ipaddress.ip_network(self.host, strict=False)
        except ValueError:
            pass
        try:
            return came in {_plain(str(one[4][0])) for one in socket.getaddrinfo(self.host, None)}
        except OSError:
            return False


def _is_network(host: str) -> bool:
    """Whether it is an address or a network of them."""
    try:
        ipaddress.ip_network(host, strict=False)
    except ValueError:
        return False
    return True


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address, that of IPv4 where IPv6 only carries one."""
    found = ipaddress.ip_address(address.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found


def send(files: Sequence[Path], aet: str, peer: Peer, taken: Callable[[Path], object] = lambda path: None) -> None:
    """C-STORE files to another node, and say of each when it was taken; NodeError where one is not."""
    if not files:
        return
    datasets = [dcmread(path) for path in files]
    with associated(peer, aet, _contexts(datasets)) as association:
        for path, data in zip(files, datasets, strict=True):
            status = _sent(association, _acceptable(data, association), peer)
            # 0xBxxx are warnings: stored, though not exactly as sent
            if "Status" not in status:
                raise UnreachableError(f"{peer.aet} broke off while it was sent a {data.Modality} object")
            if status.Status != SUCCESS and status.Status >> 12 != 0xB:
                raise RefusedObjectError(
                    f"{peer.aet} did not take a {data.Modality} object (answered 0x{status.Status:04X})"
                )
            taken(path)


@contextmanager
def associated(
    peer: Peer, aet: str, contexts: Sequence[Any], roles: Sequence[Any] = (), handlers: Sequence[Any] = ()
) -> Iterator[Any]:
    """An association with another node; UnreachableError where it does not answer or does not want it."""
    node = AE(aet)
    node.connection_timeout = CONNECT_S
    node.acse_timeout = node.dimse_timeout = node.network_timeout = TIMEOUT_S
    node.requested_contexts = list(contexts)
    association = node.associate(
        peer.host,
        peer.port,
        ae_title=peer.aet,
        ext_neg=list(roles),
        tls_args=(peer.tls, peer.host) if peer.tls else None,
        evt_handlers=list(handlers),
    )
    if not association.is_established:
        raise UnreachableError(f"{peer.aet} at {peer.host}:{peer.port} does not answer or refuses {aet}")
    try:
        yield association
    finally:
        association.release()


def _contexts(datasets: Sequence[Any]) -> list[Any]:
    """Presentation contexts for these objects: uncompressed as every node must take them, and as they are."""
    plain: list[Any] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    made = [build_context(uid, plain) for uid in dict.fromkeys(data.SOPClassUID for data in datasets)]
    compressed = {(data.SOPClassUID, data.file_meta.TransferSyntaxUID) for data in datasets if _is_compressed(data)}
    return made + [build_context(uid, syntax) for uid, syntax in sorted(compressed)]


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
        raise RefusedObjectError(f"{peer.aet} does not accept the kind of object that is sent: {error}") from error
    except RuntimeError as error:  # the association is gone
        raise UnreachableError(f"{peer.aet} broke off: {error}") from error
