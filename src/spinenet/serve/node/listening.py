"""A node put together from its settings, and run until it is stopped."""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from spinenet.errors import ConfigError, NodeError, in_words
from spinenet.labels import RESEARCH_ONLY
from spinenet.model.bundle import Bundle
from spinenet.report.options import ReportOptions
from spinenet.serve.node.delivery import Destination
from spinenet.serve.node.dicom_archive import DicomArchive
from spinenet.serve.node.events import Event, line_of
from spinenet.serve.node.peers import Caller, Peer
from spinenet.serve.node.priors import Priors
from spinenet.serve.node.service import Node, NodeConfig
from spinenet.serve.node.study_grader import StudyGrader
from spinenet.serve.node.tls import TlsFiles, client_context
from spinenet.serve.node.web_archive import WebArchive
from spinenet.serve.node.web_server import WebConfig, WebServer
from spinenet.serve.node_settings import NodeSettings


def listen(settings: NodeSettings, bundle: Bundle, options: ReportOptions, say: Callable[[str], None]) -> None:
    """Run a node until it is told to end; ``say`` gets its log, a line at a time. NodeError or ConfigError where it
    cannot be started as it is asked for."""
    config = config_of(settings)
    if config.destinations and not options.identify:
        raise NodeError("--send-to needs --identify, or an archive would make a new patient of each result")
    if settings.priors and not options.identify:
        raise NodeError("--priors needs --identify, or studies of two persons could be compared")
    os.umask(0o077)  # images and results are the owner's alone

    def tell(event: Event) -> None:
        say(line_of(event, settings.log))

    grader = StudyGrader(config.folder / "results", bundle.path, options)
    node = Node(config, grader, tell)
    server = node.start()
    try:
        _beside(node, grader, settings)
        callers = ", ".join(caller.aet for caller in config.callers)
        node.tell("started", f"{config.aet} listens on {config.host}:{config.port} for {callers}. {RESEARCH_ONLY}")
        signal.signal(signal.SIGTERM, lambda *_: node.stop())
        node.work()
        node.tell("stopped", "stopped; what was received is kept, the same command goes on with it")
    finally:
        server.shutdown()
        grader.end()


def config_of(settings: NodeSettings) -> NodeConfig:
    """What the node is to do; ConfigError or NodeError where the settings do not say it."""
    if settings.out is None or not settings.allow:
        lacking = "a folder for images and results (--out)" if settings.out is None else "who may send (--allow)"
        raise ConfigError(f"the node is not told {lacking}; give the option or the key in the file")
    tls = TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_ca)
    callers = tuple(map(Caller.parse, settings.allow))
    if settings.priors and not is_web(settings.priors):
        archive = Peer.parse(settings.priors)
        callers = (*callers, Caller(archive.aet, archive.host, archive.port))  # it sends what it was asked for
    if strangers := set(settings.aborting) - {one.aet for one in callers}:
        raise ConfigError(f"aborting: {', '.join(sorted(strangers))} may not send (--allow); name titles that may")
    return NodeConfig(
        settings.aet,
        settings.port,
        settings.out,
        callers,
        destinations(settings.send_to, tls, settings.send_token_file),
        settings.host,
        quiet_s=settings.wait,
        retry_s=settings.retry,
        keep_s=3600.0 * settings.keep_hours,
        reserve_bytes=settings.reserve_mb << 20,
        commits=settings.commit,
        compares=bool(settings.priors),
        tls=tls,
        aborting=settings.aborting,
    )


def destinations(places: Sequence[str], tls: TlsFiles, token_file: Path | None) -> tuple[Destination, ...]:
    """Where results go, by DICOM or DICOMweb."""
    context, token = client_context(tls), token_in(token_file)
    return tuple(
        WebArchive.parse(place, token) if is_web(place) else Peer.parse(place).secured(context) for place in places
    )


def is_web(place: str) -> bool:
    """Whether a place is the URL of a DICOMweb archive."""
    return place.startswith(("https://", "http://"))


def token_in(path: Path | None) -> str:
    """The token in a file, "" without one; ConfigError where there is none in it."""
    if path is None:
        return ""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {in_words(error)}; write the token into it") from error
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"{path}: holds no token; write one word into it")
    return token


def _beside(node: Node, grader: StudyGrader, settings: NodeSettings) -> None:
    """Start what is not part of every node: the web port, and looking for priors."""
    tls = node.config.tls
    if settings.web_port:
        web = WebConfig(settings.host, settings.web_port, token_in(settings.web_token_file), tls)
        WebServer(node, web).start()
    if not settings.priors:
        return
    if is_web(settings.priors):
        archive: WebArchive | DicomArchive = WebArchive.parse(settings.priors, token_in(settings.send_token_file))
    else:
        peer = Peer.parse(settings.priors).secured(client_context(tls))
        archive = DicomArchive(peer, settings.aet, settings.priors_by)
    node.begin(Priors(node, archive, grader, settings.retry).run)
