"""TLS of a node (PS3.15, B.12: version 1.2 or later), where it is asked for by a certificate or the CA of others."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinenet.errors import NodeError, in_words

HANDSHAKE_S = 15.0


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: this node's certificate and key, and the authorities that certificates of others are held against."""

    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None


class _ServerContext(ssl.SSLContext):
    """Leaves the handshake to the thread of the association: one that never comes holds no other up."""

    def wrap_socket(self, sock: Any, *args: Any, **options: Any) -> Any:
        sock.settimeout(HANDSHAKE_S)
        return super().wrap_socket(sock, *args, **{**options, "do_handshake_on_connect": False})


def server_context(files: TlsFiles) -> ssl.SSLContext | None:
    """What callers are answered with, None in the clear; with a CA they have to show a certificate too."""
    if files.certificate is None:
        return None
    context = _ServerContext(ssl.PROTOCOL_TLS_SERVER)
    _load(context, files)
    context.verify_mode = ssl.CERT_REQUIRED if files.ca else ssl.CERT_NONE
    return context


def client_context(files: TlsFiles) -> ssl.SSLContext | None:
    """What others are spoken with; certificate and name of the other are always verified."""
    if files.certificate is None and files.ca is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if files.ca is None:
        context.load_default_certs()
    _load(context, files)
    return context


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if files.certificate is not None:
            context.load_cert_chain(files.certificate, files.key)
        if files.ca is not None:
            context.load_verify_locations(files.ca)
    except (ssl.SSLError, OSError) as error:
        named = ", ".join(str(one) for one in (files.certificate, files.key, files.ca) if one)
        raise NodeError(f"TLS cannot use {named} ({in_words(error)}); give PEM files that belong together") from error
