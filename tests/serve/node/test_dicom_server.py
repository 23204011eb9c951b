"""Who may come to the DICOM port of a node, and how much at once."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from ward import STUDIES, Ward, deliver, free_port, image, until

from spinenet.errors import NodeError
from spinenet.serve.node import dicom_server
from spinenet.serve.node.peers import Caller, Peer
from spinenet.serve.node.tls import TlsFiles, client_context, server_context

OPENSSL = shutil.which("openssl")
STORESCU = shutil.which("storescu", path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")
STORESCP = shutil.which("storescp", path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")


@pytest.mark.parametrize(
    ("host", "is_answered"),
    [("127.0.0.1", True), ("127.0.0.0/8", True), ("localhost", True), ("10.1.2.3", False), ("::1", False)],
)
def test_a_title_is_answered_only_from_the_address_it_is_listed_with(ward: Ward, host: str, is_answered: bool) -> None:
    with ward.running(callers=(Caller("OTHER"), Caller("SCANNER", host))), ward.association() as association:
        assert association.is_established == is_answered
        assert association.is_rejected != is_answered


@pytest.mark.parametrize(
    "text",
    ["", "@10.0.0.1", "MR1@", "A_TITLE_OF_TOO_MANY_LETTERS@host", "MR1@host:x", "MR1@host:99999"]
    + ["MR1@999.1.1.1", "MR1@10.0.0", "MR1@10.0.0.0/33", "MR1@a b", "MR1@999.1.1.1:104"],
)
def test_who_may_send_is_written_in_one_way(text: str) -> None:
    with pytest.raises(NodeError):
        Caller.parse(text)


@pytest.mark.parametrize("host", ["localhost", "mr1.ward_2.example.org", "3t.example.org", "10.0.0.0/24", "fd00::/16"])
def test_who_may_send_has_an_address_a_network_or_a_name(host: str) -> None:
    assert Caller.parse(f"MR1@{host}").host == host


def test_addresses_of_ipv6_may_be_listed() -> None:
    assert Caller.parse("MR1@[fd00::7]:104") == Caller("MR1", "fd00::7", 104)
    assert Caller.parse("MR1@fd00::/16").is_at("fd00::7") and not Caller.parse("MR1@fd00::/16").is_at("fe80::1%eth0")
    assert Caller.parse("MR1@10.0.0.7").is_at("::ffff:10.0.0.7")


def test_an_image_that_never_ends_is_not_taken_into_memory(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_server._Budget, "left", 200_000)
    monkeypatch.setattr(dicom_server, "MAX_MESSAGE_BYTES", 200_000)
    large = image(STUDIES[0], 20)
    large.add_new(0x7FE00010, "OB", bytes(60_000))
    with ward.running():
        deliver(ward, *(image(STUDIES[0], number) for number in range(9)), large)  # small ones do not add up
        large.add_new(0x7FE00010, "OB", bytes(400_000))
        with ward.association() as association:
            assert "Status" not in association.send_c_store(large)
    assert len(ward.kept()) == 10 and all(path.stat().st_size < 100_000 for path in ward.kept())


class Certificates:
    """A CA, and certificates by it for this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ward", "-days", "2",
                      "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip
        for name in ("node", "other"):
            self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
                          "-out", f"{name}.csr")  # fmt: skip
            (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost")
            self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
                          "-CAcreateserial", "-extfile", "names", "-out", f"{name}.pem")  # fmt: skip

    def _openssl(self, *arguments: str) -> None:
        subprocess.run([str(OPENSSL), *arguments], cwd=self.folder, check=True, capture_output=True)

    def of(self, name: str) -> TlsFiles:
        return TlsFiles(self.folder / f"{name}.pem", self.folder / f"{name}.key", self.folder / "ca.pem")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if OPENSSL is None:
        pytest.skip("no openssl: apt-get install openssl")
    return Certificates(tmp_path_factory.mktemp("tls"))


@pytest.mark.skipif(STORESCU is None, reason="dcmtk is not installed (Debian: apt install dcmtk)")
def test_with_tls_who_shows_a_certificate_is_heard_and_others_hold_nobody_up(
    ward: Ward, certificates: Certificates, tmp_path: Path
) -> None:
    image(STUDIES[0]).save_as(tmp_path / "a.dcm", enforce_file_format=True)
    other = certificates.of("other")
    known = ["+tls", str(other.key), str(other.certificate), "+cf", str(other.ca)]
    stranger = ["+tla", "-ic"]  # encrypted, without a certificate
    place = ["-aet", "SCANNER", "-aec", "SPINENET", "127.0.0.1", str(ward.config.port), str(tmp_path / "a.dcm")]
    with ward.running(tls=certificates.of("node")):
        with socket.create_connection(("127.0.0.1", ward.config.port)):  # and never says a word
            for secrecy, is_heard in (([], False), (stranger, False), (known, True)):
                done = subprocess.run([str(STORESCU), *secrecy, *place], capture_output=True, timeout=60)
                assert (done.returncode == 0) == is_heard, done.stderr
                assert len(ward.kept()) == int(is_heard)
        until(lambda: ward.graded)


@pytest.mark.skipif(STORESCP is None, reason="dcmtk is not installed (Debian: apt install dcmtk)")
def test_results_go_out_by_tls_to_a_peer_whose_certificate_is_right(
    ward: Ward, certificates: Certificates, tmp_path: Path
) -> None:
    port, other = free_port(), certificates.of("other")
    command = [str(STORESCP), "+tls", str(other.key), str(other.certificate), "+cf", str(other.ca)]
    peer = Peer.parse(f"tls://PACS@127.0.0.1:{port}").secured(client_context(certificates.of("node")))
    with subprocess.Popen([*command, "-od", str(tmp_path), str(port)], stderr=subprocess.DEVNULL) as archive:
        try:
            with ward.running(destinations=(peer,), retry_s=0.2):
                deliver(ward, image(STUDIES[0]))
                until(lambda: any("objects sent" in line for line in ward.said))
        finally:
            archive.terminate()
    assert len([path for path in tmp_path.iterdir() if path.name.startswith("MR")]) == 1


def test_files_of_tls_that_do_not_fit_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("none")
    for make in (server_context, client_context):
        with pytest.raises(NodeError, match=r"cert\.pem"):
            make(TlsFiles(tmp_path / "cert.pem", None, None))
    with pytest.raises(NodeError, match="TLS needs"):
        Peer.parse("tls://PACS@host:2762").secured(None)
    assert server_context(TlsFiles()) is None and client_context(TlsFiles()) is None
